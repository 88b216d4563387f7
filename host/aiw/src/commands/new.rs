//! `aiw extension new`: a project with the contract and, for Rust, the SDK beside it, so that it builds anywhere.

use std::fs;
use std::path::Path;

use aiw_core::ExtensionId;
use aiw_extensions::World;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::{Kind, Lang};
use crate::failure::Failure;
use crate::output::Output;

/// `aiw extension new`
#[derive(Serialize, JsonSchema)]
pub struct NewProject {
    /// The directory that was written
    pub directory: String,
    /// The commands that build, test and add it
    pub commands: Vec<String>,
}

macro_rules! files {
    ($($to:literal <- $from:literal),* $(,)?) => {
        [$(($to, include_str!(concat!("../../../../", $from)))),*]
    };
}

/// Of a template; placeholders are filled.
type Template = &'static [(&'static str, &'static str)];

const MARKET_SOURCE: Template = &files![
    "Cargo.toml" <- "sdk/templates/market-source/Cargo.toml.tmpl",
    "manifest.json" <- "sdk/templates/market-source/manifest.json.tmpl",
    "README.md" <- "sdk/templates/market-source/README.md.tmpl",
    ".gitignore" <- "sdk/templates/market-source/gitignore.tmpl",
    "src/lib.rs" <- "sdk/templates/market-source/lib.rs.tmpl",
    "tests/component.rs" <- "sdk/templates/market-source/component.rs.tmpl",
    "tests/http.json" <- "sdk/templates/market-source/http.json.tmpl",
];

const PROVIDER: Template = &files![
    "Cargo.toml" <- "sdk/templates/market-source/Cargo.toml.tmpl",
    "manifest.json" <- "sdk/templates/provider/manifest.json.tmpl",
    "README.md" <- "sdk/templates/provider/README.md.tmpl",
    ".gitignore" <- "sdk/templates/market-source/gitignore.tmpl",
    "src/lib.rs" <- "sdk/templates/provider/lib.rs.tmpl",
    "tests/component.rs" <- "sdk/templates/provider/component.rs.tmpl",
    "tests/http.json" <- "sdk/templates/provider/http.json.tmpl",
];

const REGISTRY_SOURCE: Template = &files![
    "Cargo.toml" <- "sdk/templates/registry-source/Cargo.toml.tmpl",
    "manifest.json" <- "sdk/templates/registry-source/manifest.json.tmpl",
    "README.md" <- "sdk/templates/registry-source/README.md.tmpl",
    ".gitignore" <- "sdk/templates/market-source/gitignore.tmpl",
    "src/lib.rs" <- "sdk/templates/registry-source/lib.rs.tmpl",
    "tests/component.rs" <- "sdk/templates/registry-source/component.rs.tmpl",
    "tests/http.json" <- "sdk/templates/registry-source/http.json.tmpl",
];

/// The scripts and the lock file are the example's own, and are changed to fit in [`run`].
const MARKET_SOURCE_JS: Template = &files![
    "package.json" <- "sdk/templates/market-source-js/package.json.tmpl",
    "package-lock.json" <- "examples/acme-index-js/package-lock.json",
    "manifest.json" <- "sdk/templates/market-source/manifest.json.tmpl",
    "README.md" <- "sdk/templates/market-source-js/README.md.tmpl",
    ".gitignore" <- "examples/acme-index-js/.gitignore",
    "build.mjs" <- "examples/acme-index-js/build.mjs",
    "source.mjs" <- "sdk/templates/market-source-js/source.mjs.tmpl",
    "index.mjs" <- "sdk/templates/market-source-js/index.mjs.tmpl",
    "index.test.mjs" <- "sdk/templates/market-source-js/index.test.mjs.tmpl",
    "component.test.mjs" <- "sdk/templates/market-source-js/component.test.mjs.tmpl",
    "tests/http.json" <- "sdk/templates/market-source/http.json.tmpl",
];

/// As for [`MARKET_SOURCE_JS`].
const PROVIDER_JS: Template = &files![
    "package.json" <- "sdk/templates/market-source-js/package.json.tmpl",
    "package-lock.json" <- "examples/acme-index-js/package-lock.json",
    "manifest.json" <- "sdk/templates/provider/manifest.json.tmpl",
    "README.md" <- "sdk/templates/provider-js/README.md.tmpl",
    ".gitignore" <- "examples/acme-index-js/.gitignore",
    "build.mjs" <- "examples/acme-index-js/build.mjs",
    "source.mjs" <- "sdk/templates/provider-js/source.mjs.tmpl",
    "index.mjs" <- "sdk/templates/provider-js/index.mjs.tmpl",
    "index.test.mjs" <- "sdk/templates/provider-js/index.test.mjs.tmpl",
    "component.test.mjs" <- "sdk/templates/provider-js/component.test.mjs.tmpl",
    "tests/http.json" <- "sdk/templates/provider/http.json.tmpl",
];

/// As for [`MARKET_SOURCE_JS`].
const REGISTRY_SOURCE_JS: Template = &files![
    "package.json" <- "sdk/templates/market-source-js/package.json.tmpl",
    "package-lock.json" <- "examples/acme-index-js/package-lock.json",
    "manifest.json" <- "sdk/templates/registry-source/manifest.json.tmpl",
    "README.md" <- "sdk/templates/registry-source-js/README.md.tmpl",
    ".gitignore" <- "examples/acme-index-js/.gitignore",
    "build.mjs" <- "examples/acme-index-js/build.mjs",
    "source.mjs" <- "sdk/templates/registry-source-js/source.mjs.tmpl",
    "index.mjs" <- "sdk/templates/registry-source-js/index.mjs.tmpl",
    "index.test.mjs" <- "sdk/templates/registry-source-js/index.test.mjs.tmpl",
    "component.test.mjs" <- "sdk/templates/registry-source-js/component.test.mjs.tmpl",
    "tests/http.json" <- "sdk/templates/registry-source/http.json.tmpl",
];

/// The place of the contract in the example and in a project in JavaScript.
const CONTRACT: (&str, &str) = ("../../wit/aiw-plugin-0.1", "wit");

/// Of the contract; as they are.
const WIT: [(&str, &str); 5] = files![
    "wit/host.wit" <- "wit/aiw-plugin-0.1/host.wit",
    "wit/market-source.wit" <- "wit/aiw-plugin-0.1/market-source.wit",
    "wit/provider.wit" <- "wit/aiw-plugin-0.1/provider.wit",
    "wit/registry-source.wit" <- "wit/aiw-plugin-0.1/registry-source.wit",
    "wit/types.wit" <- "wit/aiw-plugin-0.1/types.wit",
];

/// Of the SDK; as they are.
const SDK: [(&str, &str); 12] = files![
    "sdk/Cargo.toml" <- "sdk/rust/Cargo.toml",
    "sdk/src/error.rs" <- "sdk/rust/src/error.rs",
    "sdk/src/git.rs" <- "sdk/rust/src/git.rs",
    "sdk/src/intent.rs" <- "sdk/rust/src/intent.rs",
    "sdk/src/http.rs" <- "sdk/rust/src/http.rs",
    "sdk/src/lib.rs" <- "sdk/rust/src/lib.rs",
    "sdk/src/listing.rs" <- "sdk/rust/src/listing.rs",
    "sdk/src/market_source.rs" <- "sdk/rust/src/market_source.rs",
    "sdk/src/provider.rs" <- "sdk/rust/src/provider.rs",
    "sdk/src/registry_source.rs" <- "sdk/rust/src/registry_source.rs",
    "sdk/src/trees.rs" <- "sdk/rust/src/trees.rs",
    "sdk/src/value.rs" <- "sdk/rust/src/value.rs",
];

/// Names of types that the templates use already.
const TAKEN: [&str; 25] = [
    "Account",
    "Api",
    "Auth",
    "Box",
    "Error",
    "Family",
    "Input",
    "Intent",
    "MarketSource",
    "Option",
    "Package",
    "Preset",
    "Provider",
    "ProviderInfo",
    "Registration",
    "RegistryInfo",
    "RegistrySource",
    "Result",
    "Row",
    "Server",
    "Snapshot",
    "SourceInfo",
    "String",
    "Target",
    "Vec",
];

pub fn run(name: &ExtensionId, kind: Kind, lang: Lang, output: &Output) -> Result<(), Failure> {
    let (template, suffix, sdk, wit) = match (kind, lang) {
        (Kind::MarketSource, Lang::Rust) => (MARKET_SOURCE, "Source", &SDK[..], "sdk/"),
        (Kind::Provider, Lang::Rust) => (PROVIDER, "Provider", &SDK[..], "sdk/"),
        (Kind::RegistrySource, Lang::Rust) => (REGISTRY_SOURCE, "Registry", &SDK[..], "sdk/"),
        (Kind::MarketSource, Lang::Js) => (MARKET_SOURCE_JS, "", &[][..], ""),
        (Kind::Provider, Lang::Js) => (PROVIDER_JS, "", &[][..], ""),
        (Kind::RegistrySource, Lang::Js) => (REGISTRY_SOURCE_JS, "", &[][..], ""),
    };
    let root = Path::new(name.as_str());
    if root.exists() {
        return Err(
            Failure::user(format!("`{name}` already exists")).with_hint("choose another name, or another directory")
        );
    }
    let world = match kind {
        Kind::MarketSource => World::MarketSource,
        Kind::Provider => World::Provider,
        Kind::RegistrySource => World::RegistrySource,
    };
    let snake = name.as_str().replace('-', "_");
    let mut type_name: String = name.as_str().split('-').map(capital).collect();
    if TAKEN.contains(&type_name.as_str()) {
        type_name.push_str(suffix);
    }
    let fill = |text: &str| {
        let text = text.replace("{{name}}", name.as_str()).replace("{{snake}}", &snake).replace("{{Type}}", &type_name);
        let text = text.replace("acme-index-js", name.as_str()).replace(CONTRACT.0, CONTRACT.1);
        // What the example says of its world.
        text.replace("\"market-source-extension\"", &format!("\"{}-extension\"", world.as_str()))
    };
    // Beside its place first: a directory that is there is a whole one.
    let io = |e: std::io::Error| Failure::new(aiw_core::ErrorKind::Unavailable, format!("cannot write `{name}`: {e}"));
    let staged = root.with_file_name(format!(".{name}.new"));
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_dir_all(&staged);
        let template = template.iter().map(|(to, text)| ((*to).to_owned(), fill(text)));
        let sdk = sdk.iter().map(|(to, text)| ((*to).to_owned(), (*text).to_owned()));
        let wit = WIT.iter().map(|(to, text)| (format!("{wit}{to}"), (*text).to_owned()));
        for (to, text) in template.chain(sdk).chain(wit) {
            let path = staged.join(to);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text)?;
        }
        fs::rename(&staged, root)
    };
    write().map_err(|e| {
        let _ = fs::remove_dir_all(&staged);
        io(e)
    })?;
    let (build, file): (&[&str], _) = match lang {
        Lang::Rust => (
            &["rustup target add wasm32-wasip2", "cargo build --release --target wasm32-wasip2", "cargo test"],
            format!("target/wasm32-wasip2/release/{snake}.wasm"),
        ),
        Lang::Js => (&["npm ci", "npm test"], format!("dist/{name}.wasm")),
    };
    let build = build.iter().map(|command| (*command).to_owned());
    let add = format!("aiw extension add {file}");
    let commands: Vec<String> = std::iter::once(format!("cd {name}")).chain(build).chain([add]).collect();
    output.line(format!("Wrote {name}; next:"));
    commands.iter().for_each(|command| output.line(format!("  {command}")));
    output.answer(NewProject { directory: name.to_string(), commands });
    Ok(())
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

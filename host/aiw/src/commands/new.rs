//! `aiw extension new`: a project with the contract and, for Rust, the SDK beside it, so that it builds anywhere.

use std::fs;
use std::path::Path;

use aiw_core::ExtensionId;
use aiw_extensions::World;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::{ComponentKind, Lang};
use crate::failure::CliError;
use crate::output::Output;

/// `aiw extension new`
#[derive(Serialize, JsonSchema)]
pub struct NewProject {
    /// The directory that was written
    pub directory: String,
    /// The commands that build, test and add it
    pub commands: Vec<String>,
}

/// A file of a project, with the text of one of the repository's.
macro_rules! file {
    ($to:literal <- $($from:literal)+) => { ($to, include_str!(concat!("../../../../", $($from),+))) };
}

/// Files that keep their names below another directory.
macro_rules! files {
    ($to:literal <- $from:literal: $($name:literal)+) => {
        [$((concat!($to, $name), include_str!(concat!("../../../../", $from, $name)))),+]
    };
}

/// The template of a kind in Rust; placeholders are filled. Some share a `Cargo.toml`.
macro_rules! in_rust {
    ($kind:literal, $cargo:literal) => {
        &[
            file!("Cargo.toml" <- "sdk/templates/" $cargo "/Cargo.toml.tmpl"),
            file!("manifest.json" <- "sdk/templates/" $kind "/manifest.json.tmpl"),
            file!("README.md" <- "sdk/templates/" $kind "/README.md.tmpl"),
            file!(".gitignore" <- "sdk/templates/market-source/gitignore.tmpl"),
            file!("src/lib.rs" <- "sdk/templates/" $kind "/lib.rs.tmpl"),
            file!("tests/component.rs" <- "sdk/templates/" $kind "/component.rs.tmpl"),
            file!("tests/http.json" <- "sdk/templates/" $kind "/http.json.tmpl"),
        ]
    };
}

/// The template of a kind in JavaScript. The scripts and the lock file are the example's own, and are changed to fit in [`run`].
macro_rules! in_javascript {
    ($kind:literal) => {
        &[
            file!("package.json" <- "sdk/templates/market-source-js/package.json.tmpl"),
            file!("package-lock.json" <- "examples/acme-index-js/package-lock.json"),
            file!("manifest.json" <- "sdk/templates/" $kind "/manifest.json.tmpl"),
            file!("README.md" <- "sdk/templates/" $kind "-js/README.md.tmpl"),
            file!(".gitignore" <- "examples/acme-index-js/.gitignore"),
            file!("build.mjs" <- "examples/acme-index-js/build.mjs"),
            file!("source.mjs" <- "sdk/templates/" $kind "-js/source.mjs.tmpl"),
            file!("index.mjs" <- "sdk/templates/" $kind "-js/index.mjs.tmpl"),
            file!("index.test.mjs" <- "sdk/templates/" $kind "-js/index.test.mjs.tmpl"),
            file!("component.test.mjs" <- "sdk/templates/" $kind "-js/component.test.mjs.tmpl"),
            file!("tests/http.json" <- "sdk/templates/" $kind "/http.json.tmpl"),
        ]
    };
}

/// The place of the contract in the example and in a project in JavaScript.
const CONTRACT_DIRS: (&str, &str) = ("../../wit/aiw-plugin-0.1", "wit");

/// Of the contract; as they are.
const WIT_FILES: [(&str, &str); 5] = files!("wit/" <- "wit/aiw-plugin-0.1/": "host.wit" "market-source.wit" "provider.wit" "registry-source.wit" "types.wit");

/// Of the SDK; as they are.
const SDK_FILES: [(&str, &str); 12] = files!("sdk/" <- "sdk/rust/":
    "Cargo.toml" "src/error.rs" "src/git.rs" "src/intent.rs" "src/http.rs" "src/lib.rs" "src/listing.rs"
    "src/market_source.rs" "src/provider.rs" "src/registry_source.rs" "src/trees.rs" "src/value.rs");

/// Names of types that the templates use already.
const RESERVED_TYPE_NAMES: &str = "Account Api Auth Box Error Family Input Intent MarketSource Option Package Preset Provider \
                     ProviderInfo Registration RegistryInfo RegistrySource Result Row Server Snapshot SourceInfo String Target Vec";

pub fn run(name: &ExtensionId, kind: ComponentKind, lang: Lang, output: &Output) -> Result<(), CliError> {
    let (world, suffix, template): (_, _, &[(&str, &str)]) = match (kind, lang) {
        (ComponentKind::MarketSource, Lang::Rust) => {
            (World::MarketSource, "Source", in_rust!("market-source", "market-source"))
        }
        (ComponentKind::Provider, Lang::Rust) => (World::Provider, "Provider", in_rust!("provider", "market-source")),
        (ComponentKind::RegistrySource, Lang::Rust) => {
            (World::RegistrySource, "Registry", in_rust!("registry-source", "registry-source"))
        }
        (ComponentKind::MarketSource, Lang::Js) => (World::MarketSource, "", in_javascript!("market-source")),
        (ComponentKind::Provider, Lang::Js) => (World::Provider, "", in_javascript!("provider")),
        (ComponentKind::RegistrySource, Lang::Js) => (World::RegistrySource, "", in_javascript!("registry-source")),
    };
    let (sdk, wit) = if matches!(lang, Lang::Rust) { (&SDK_FILES[..], "sdk/") } else { (&[][..], "") };
    let root = Path::new(name.as_str());
    if root.exists() {
        return Err(
            CliError::user(format!("`{name}` already exists")).with_hint("choose another name, or another directory")
        );
    }
    let snake = name.as_str().replace('-', "_");
    let mut type_name: String = name.as_str().split('-').map(capital).collect();
    if RESERVED_TYPE_NAMES.split(' ').any(|taken| taken == type_name) {
        type_name.push_str(suffix);
    }
    let fill = |text: &str| {
        let text = text.replace("{{name}}", name.as_str()).replace("{{snake}}", &snake).replace("{{Type}}", &type_name);
        let text = text.replace("acme-index-js", name.as_str()).replace(CONTRACT_DIRS.0, CONTRACT_DIRS.1);
        // What the example says of its world.
        text.replace("\"market-source-extension\"", &format!("\"{}-extension\"", world.as_str()))
    };
    // Beside its place first: a directory that is there is a whole one.
    let io = |e: std::io::Error| CliError::new(aiw_core::ErrorKind::Unavailable, format!("cannot write `{name}`: {e}"));
    let staged = root.with_file_name(format!(".{name}.new"));
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_dir_all(&staged);
        let template = template.iter().map(|(to, text)| ((*to).to_owned(), fill(text)));
        let sdk = sdk.iter().map(|(to, text)| ((*to).to_owned(), (*text).to_owned()));
        let wit = WIT_FILES.iter().map(|(to, text)| (format!("{wit}{to}"), (*text).to_owned()));
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
    output.set_json(NewProject { directory: name.to_string(), commands });
    Ok(())
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

//! `aiw extension new`: a Rust project with the SDK beside it, so that it builds anywhere.

use std::fs;
use std::path::Path;

use aiw_core::ExtensionId;

use crate::answers::NewProject;
use crate::cli::Kind;
use crate::failure::Failure;
use crate::output::Output;

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

/// Of the SDK; as they are.
const SDK: [(&str, &str); 15] = files![
    "sdk/Cargo.toml" <- "sdk/rust/Cargo.toml",
    "sdk/src/error.rs" <- "sdk/rust/src/error.rs",
    "sdk/src/git.rs" <- "sdk/rust/src/git.rs",
    "sdk/src/intent.rs" <- "sdk/rust/src/intent.rs",
    "sdk/src/http.rs" <- "sdk/rust/src/http.rs",
    "sdk/src/lib.rs" <- "sdk/rust/src/lib.rs",
    "sdk/src/listing.rs" <- "sdk/rust/src/listing.rs",
    "sdk/src/market.rs" <- "sdk/rust/src/market.rs",
    "sdk/src/provider.rs" <- "sdk/rust/src/provider.rs",
    "sdk/src/trees.rs" <- "sdk/rust/src/trees.rs",
    "sdk/src/value.rs" <- "sdk/rust/src/value.rs",
    "sdk/wit/host.wit" <- "wit/aiw-plugin-0.1/host.wit",
    "sdk/wit/market.wit" <- "wit/aiw-plugin-0.1/market.wit",
    "sdk/wit/provider.wit" <- "wit/aiw-plugin-0.1/provider.wit",
    "sdk/wit/types.wit" <- "wit/aiw-plugin-0.1/types.wit",
];

/// Names of types that the templates use already.
const TAKEN: [&str; 19] = [
    "Account",
    "Api",
    "Auth",
    "Box",
    "Error",
    "Family",
    "Intent",
    "MarketSource",
    "Option",
    "Preset",
    "Provider",
    "ProviderInfo",
    "Registration",
    "Result",
    "Snapshot",
    "SourceInfo",
    "String",
    "Target",
    "Vec",
];

pub fn run(name: &ExtensionId, kind: Kind, output: &Output) -> Result<(), Failure> {
    let (template, suffix) = match kind {
        Kind::MarketSource => (MARKET_SOURCE, "Source"),
        Kind::Provider => (PROVIDER, "Provider"),
    };
    let root = Path::new(name.as_str());
    if root.exists() {
        return Err(
            Failure::user(format!("`{name}` already exists")).with_hint("choose another name, or another directory")
        );
    }
    let snake = name.as_str().replace('-', "_");
    let mut type_name: String = name.as_str().split('-').map(capital).collect();
    if TAKEN.contains(&type_name.as_str()) {
        type_name.push_str(suffix);
    }
    let fill = |text: &str| {
        text.replace("{{name}}", name.as_str()).replace("{{snake}}", &snake).replace("{{Type}}", &type_name)
    };
    // Beside its place first: a directory that is there is a whole one.
    let io = |e: std::io::Error| Failure::new(aiw_core::ErrorKind::Unavailable, format!("cannot write `{name}`: {e}"));
    let staged = root.with_file_name(format!(".{name}.new"));
    let write = || -> std::io::Result<()> {
        let _ = fs::remove_dir_all(&staged);
        let template = template.iter().map(|(to, text)| (to, fill(text)));
        for (to, text) in template.chain(SDK.iter().map(|(to, text)| (to, (*text).to_owned()))) {
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
    let file = format!("target/wasm32-wasip2/release/{snake}.wasm");
    let commands = [
        format!("cd {name}"),
        "rustup target add wasm32-wasip2".to_owned(),
        "cargo build --release --target wasm32-wasip2".to_owned(),
        "cargo test".to_owned(),
        format!("aiw extension add {file}"),
    ];
    output.line(format!("Wrote {name}; next:"));
    commands.iter().for_each(|command| output.line(format!("  {command}")));
    output.answer(NewProject { directory: name.to_string(), commands: commands.to_vec() });
    Ok(())
}

fn capital(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase().to_string() + chars.as_str()).unwrap_or_default()
}

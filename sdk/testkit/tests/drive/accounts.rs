//! Accounts and CLIs for tests of provider components.

use std::path::Path;

use aiw_testkit::provider::{Account, Api, Family, Target};
use aiw_testkit::{Cli, Testkit};

/// Loads a bundled component.
pub fn bundled(name: &str) -> Testkit {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository's root");
    let path = root.join(".components").join(name).with_extension("wasm");
    Testkit::read(path).expect("`cargo xtask plugins` builds it")
}

/// Returns the provider `mine`, based on a preset, with secrets, at addresses that the user typed.
pub fn account(preset: &str, base_urls: &[(Family, &str)], secrets: &[&str]) -> Account {
    Account {
        name: "mine".into(),
        preset: preset.into(),
        custom_url_families: base_urls.iter().map(|(family, _)| *family).collect(),
        base_urls: base_urls.iter().map(|(family, url)| (*family, (*url).to_owned())).collect(),
        model: None,
        secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Returns a CLI that speaks one API and has no model of its own.
pub fn target(api: Api) -> Target {
    let cli = match api {
        Api::Messages => Cli::Claude,
        Api::Responses | Api::ChatCompletions => Cli::Codex,
        Api::GenerateContent => Cli::Gemini,
    };
    Target { cli, version: None, supported_apis: vec![api], model: None }
}

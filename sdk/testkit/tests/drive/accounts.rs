//! Accounts and CLIs for tests of provider components.

use std::path::Path;

use aiw_core::{Api, CliKind, Family};
use aiw_testkit::Testkit;
use aiw_testkit::provider::{Account, Target};

/// Loads a bundled component.
pub fn bundled(name: &str) -> Testkit {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository's root");
    let path = root.join(".components").join(name).with_extension("wasm");
    Testkit::read(path).expect("`cargo xtask plugins` builds it")
}

/// Returns the provider `mine`, based on a preset, with secrets, at addresses that the user typed.
pub fn account(preset: &str, base_urls: &[(Family, &str)], secrets: &[&str]) -> Account {
    Account {
        name: "mine".parse().unwrap(),
        preset: preset.into(),
        granted: base_urls.iter().map(|(family, _)| *family).collect(),
        base_urls: base_urls.iter().map(|(family, url)| (*family, (*url).to_owned())).collect(),
        model: None,
        secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// Returns a CLI that speaks one API and has no model of its own.
pub fn target(api: Api) -> Target {
    let cli = match api {
        Api::Messages => CliKind::Claude,
        Api::Responses | Api::ChatCompletions => CliKind::Codex,
        Api::GenerateContent => CliKind::Gemini,
    };
    Target { cli, version: None, speaks: vec![api], model: None }
}

//! Providers and CLIs, for tests of components that are providers.

use std::path::Path;

use aiw_core::{CliKind, Family};
use aiw_testkit::Testkit;
use aiw_testkit::provider::{CliTarget, Profile};

/// A component of the binary.
pub fn bundled(name: &str) -> Testkit {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository's root");
    let path = root.join(".components").join(name).with_extension("wasm");
    Testkit::read(path).expect("`cargo xtask plugins` builds it")
}

/// The provider `mine`, made of a preset, with secrets.
pub fn profile(preset: &str, base_urls: &[(Family, &str)], secrets: &[&str]) -> Profile {
    Profile {
        name: "mine".parse().unwrap(),
        preset: preset.into(),
        base_urls: base_urls.iter().map(|(family, url)| (*family, (*url).to_owned())).collect(),
        model: None,
        secrets: secrets.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// A CLI, without a model of its own.
pub fn target(cli: CliKind) -> CliTarget {
    CliTarget { cli, version: None, model: None }
}

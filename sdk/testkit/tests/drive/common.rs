//! What the tests of components share.

use std::path::{Path, PathBuf};

use aiw_testkit::{Driver, Registration, Testkit};

/// A component for tests, by its name.
pub fn path(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository's root");
    root.join(".components/test").join(name).with_extension("wasm")
}

/// Its bytes. It is built by a chore, not by cargo: a test without it has tested nothing.
pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|e| panic!("{name}.wasm: {e}: run `cargo xtask test`"))
}

/// The guest that misbehaves.
pub fn hostile() -> Testkit {
    Testkit::new(bytes("hostile")).expect("the hostile guest is a component")
}

/// What the hostile guest is registered as in a mode.
pub fn mode(mode: &str) -> Registration {
    Registration { kind: "hostile".parse().unwrap(), location: mode.into(), reference: None }
}

/// The document of a mode, as text, or the error's words.
pub async fn fetch(hostile: &Driver, of: &str) -> String {
    match hostile.fetch_marketplace(&mode(of)).await {
        Ok(snapshot) => String::from_utf8_lossy(&snapshot.document).into_owned(),
        Err(e) => e.to_string(),
    }
}

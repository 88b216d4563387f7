//! Helpers for the tests of components.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_testkit::{Driver, Registration, Testkit};

/// Returns the path of a test component.
pub fn path(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository's root");
    root.join(".components/test").join(name).with_extension("wasm")
}

/// Returns the bytes of a test component. A chore builds it, not cargo. A test without its component must fail,
/// because it would test nothing.
pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).unwrap_or_else(|e| panic!("{name}.wasm: {e}: run `cargo xtask test`"))
}

/// Far more than any call takes, also on a busy machine.
pub const HANG_GUARD: Duration = Duration::from_secs(120);

/// Loads a test component. Its compiled code is kept from run to run, by digest.
pub fn kit(name: &str) -> Testkit {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository's root");
    let kit = Testkit::new(bytes(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    kit.compiled_cache(root.join("target/test-components"))
}

/// Loads the misbehaving guest, with more guest time than aiw gives: on a busy machine, that limit would come before
/// the one that is tested.
pub fn hostile() -> Testkit {
    kit("hostile").guest_cpu(HANG_GUARD)
}

/// Returns a registration that puts the hostile guest into a mode.
pub fn mode(mode: &str) -> Registration {
    Registration { kind: "hostile".into(), location: mode.into(), reference: None }
}

/// Returns the document of a mode as text, or the error message.
pub async fn fetch(hostile: &Driver, of: &str) -> String {
    match hostile.market_source().fetch_marketplace(&mode(of)).await {
        Ok(snapshot) => String::from_utf8_lossy(&snapshot.document).into_owned(),
        Err(e) => e.to_string(),
    }
}

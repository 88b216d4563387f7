//! Verbs, for a person who is recorded. Whatever they say, a home has the old state or the new one.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

mod budgets;
mod doctor;
mod extensions;
mod init;
mod installs;
mod person;
mod planners;
mod plugins;
mod secrets;
mod servers;
mod setup;
mod tasks;
mod trust;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use aiw_app::{App, BundledScripts, ClientSession};
use aiw_core::Secret;
use aiw_home::Home;
use aiw_markets::NoopObserver;
use tempfile::TempDir;

/// Everything of a home but its locks, which hold nothing, and its caches.
pub fn state(home: &Home) -> BTreeMap<String, Vec<u8>> {
    state_of(home.root())
}

/// Everything in a directory.
pub fn state_of(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(directory: &Path, into: &mut BTreeMap<String, Vec<u8>>) {
        for path in std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() && !path.ends_with("cache") {
                walk(&path, into);
            } else if path.extension().is_none_or(|extension| extension != "lock") && path.is_file() {
                into.insert(path.display().to_string(), std::fs::read(&path).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(directory, &mut all);
    all
}

/// Puts a directory where a file would be, which can't be replaced, for root too.
pub fn in_the_way(path: &Path) {
    let _ = std::fs::remove_file(path);
    std::fs::create_dir_all(path.join("in-the-way")).unwrap();
}

/// A client in a home that was written to.
pub fn client() -> (TempDir, Arc<ClientSession>) {
    const NO_SCRIPTS: BundledScripts = BundledScripts { component: &[], code: &[], sha256: "" };
    let place = tempfile::tempdir().unwrap();
    let home = Home::from_root(place.path().join("home"));
    // What each home has once it was written to.
    let lock = home.lock().unwrap();
    home.vault().set(&lock, &"OTHER".parse().unwrap(), &Secret::new("other")).unwrap();
    drop(lock);
    let here = home.context().in_directory(std::fs::canonicalize(place.path()).unwrap());
    let app = App::open(home.with_context(here), &[], NO_SCRIPTS, Arc::new(NoopObserver));
    (place, ClientSession::from_app(app).unwrap())
}

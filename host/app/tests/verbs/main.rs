//! Verbs, for a person who is recorded. Whatever they say, a home has the old state or the new one.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

mod budgets;
mod installs;
mod person;
mod planners;
mod secrets;
mod trust;

use std::collections::BTreeMap;
use std::path::Path;

use aiw_home::Home;

/// Everything of a home but its locks, which hold nothing, and its caches.
pub fn state(home: &Home) -> BTreeMap<String, Vec<u8>> {
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
    walk(home.root(), &mut all);
    all
}

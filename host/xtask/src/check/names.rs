//! Checks that no public type has the name of another room's: a name says whose it is.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{NamedText, is_product, until_tests};

/// Names that two rooms have, and why.
const SHARED: [(&str, &str); 1] =
    [("Provider", "the user's account, and a component of the kind `provider`, which the contract names so")];

/// Returns the violations.
pub fn check(all: &[NamedText]) -> Vec<String> {
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in all {
        for name in types(file, text) {
            let room = file.split('/').nth(1).unwrap_or_default();
            rooms.entry(name).or_default().insert(room.to_owned());
        }
    }
    let shared = |name: &str| SHARED.iter().any(|(known, _)| *known == name);
    let twice = rooms.iter().filter(|(name, rooms)| rooms.len() > 1 && !shared(name));
    let mut problems: Vec<String> = twice
        .map(|(name, rooms)| {
            let rooms: Vec<&str> = rooms.iter().map(String::as_str).collect();
            format!("`{name}` is a public type of {}: let its name say whose it is", rooms.join(" and "))
        })
        .collect();
    let idle = SHARED.iter().filter(|(name, _)| rooms.get(*name).is_none_or(|rooms| rooms.len() < 2));
    problems.extend(idle.map(|(name, _)| format!("`{name}` may be a type of two rooms and isn't")));
    problems
}

/// Returns the names of the public types of a room's file.
fn types(file: &str, text: &str) -> Vec<String> {
    if !is_product(file) {
        return Vec::new();
    }
    let name = |line: &str| {
        let rest =
            ["pub struct ", "pub enum ", "pub trait ", "pub type "].iter().find_map(|kind| line.strip_prefix(kind))?;
        Some(rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?.to_owned())
    };
    until_tests(text).lines().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_types_of_rooms_count() {
        let text = "pub struct One<T>(T);\nstruct Two;\n    pub enum Inner {}\npub type Three = u8;\n#[cfg(test)]\nmod tests {\npub struct Four;\n}";
        assert_eq!(types("host/net/src/http.rs", text), ["One", "Three"]);
        assert!(types("tests/src/lib.rs", text).is_empty());
    }
}

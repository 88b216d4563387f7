//! Checks every file: it must say what it is for, and must not name a path of anyone's machine.

use std::process::Command;

use anyhow::Result;

use crate::command::{self, root};

/// User names that stand for anyone in examples.
const ANYBODY: [&str; 4] = ["me", "you", "user", "someone"];

/// Returns the violations.
pub fn check() -> Result<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let listed = command::output(&mut git)?;
    let mut problems = Vec::new();
    for name in listed.split_terminator('\0') {
        // Skip files that are deleted but not committed yet, links to directories, and files that are not text.
        let Ok(text) = std::fs::read_to_string(root().join(name)) else { continue };
        for (number, line) in text.lines().enumerate() {
            if let Some(path) = machine_path(line) {
                problems.push(format!("{name}:{} names a path of one machine: {path}", number + 1));
            }
        }
        if name.ends_with(".rs") && !text.starts_with("//! ") {
            problems.push(format!("{name} does not begin by saying what it is for (`//!`)"));
        }
    }
    Ok(problems)
}

/// Finds a path in someone's home or checkout.
fn machine_path(line: &str) -> Option<&str> {
    ["root", "home", "work", "Users"].iter().find_map(|top| {
        let marker = format!("/{top}/");
        line.match_indices(&marker).find_map(|(at, _)| {
            // URLs such as `https://example.com/home/x` and variables such as `$X/root/y` are fine.
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || "/._-}~*>)".contains(c)) {
                return None;
            }
            let rest = &line[at + marker.len()..];
            let end = rest.find(|c: char| !(c.is_alphanumeric() || "._-".contains(c))).unwrap_or(rest.len());
            let owner = &rest[..end];
            let somebody = !owner.is_empty() && !ANYBODY.contains(&owner);
            somebody.then(|| &line[at..at + marker.len() + end])
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_one_machine_are_found() {
        let path = |top: &str, rest: &str| format!("cd `/{top}/{rest}`");
        assert_eq!(machine_path(&path("home", "alice/src")), Some(concat!("/ho", "me/alice")));
        assert_eq!(machine_path(&path("root", ".cargo")), Some(concat!("/ro", "ot/.cargo")));
        assert_eq!(machine_path(&path("work", "x")), Some(concat!("/wo", "rk/x")));
        for fine in [&path("home", "me/.aiw"), "https://example.com/home/x", "$A/root/x", "a/work/b", "/home/"] {
            assert_eq!(machine_path(fine), None, "{fine}");
        }
    }
}

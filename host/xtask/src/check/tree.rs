//! Checks every file: it must say what it is for, and must not name a path of anyone's machine.

use std::process::Command;

use aiw_tests::command::{self, root};
use anyhow::Result;

/// User names that stand for anyone in examples.
const ANYBODY: [&str; 4] = ["me", "you", "user", "someone"];

/// Calls that write, remove or replace files without asking whether they are aiw's own and may be links; `home` has
/// functions that do.
const OPENERS: [&str; 11] = [
    "File::create(",
    "File::options()",
    "OpenOptions::new()",
    "DirBuilder::new()",
    "Connection::open(",
    "create_dir_all(",
    "fs::write(",
    "fs::copy(",
    "fs::rename(",
    "fs::remove_file(",
    "fs::remove_dir_all(",
];

/// Where they may stand: in `home` itself, in the views, and in files whose paths are not in aiw's directories or were
/// checked there before.
const MAY_OPEN: [&str; 26] = [
    "aiw/",
    "bench/",
    "home/",
    "tui/",
    "xtask/",
    // Links and files that Gemini CLI, a run on a terminal and the user's roles have.
    "launch/src/clis/gemini/home.rs",
    "launch/src/prepared.rs",
    "launch/src/roles/folder.rs",
    // Directories that are open, or were just made.
    "net/src/git/local.rs",
    "net/src/tree/",
    "registries/src/plan/bundle.rs",
    // The page that is packed when aiw is built.
    "web/build.rs",
    // Files of projects and of other programs.
    "processes/src/login_item.rs",
    "processes/src/manager.rs",
    "setup/src/setup.rs",
    // The system's, and FIFOs.
    "supervisor/src/memory.rs",
    "supervisor/src/platform/",
    "supervisor/src/processes/reach.rs",
    "supervisor/src/runtime.rs",
    "supervisor/src/segment/attach.rs",
    "supervisor/src/shim/enter.rs",
    "supervisor/src/shim/input.rs",
    "supervisor/src/shim/register.rs",
    "supervisor/src/testing.rs",
    "vectors/src/embed/runtime.rs",
    "redact/build.rs",
];

/// Finds the lines of a room's file that open files past `home`. Tests may.
fn openers(name: &str, text: &str) -> Vec<usize> {
    let Some(file) = name.strip_prefix("host/").filter(|_| name.ends_with(".rs")) else { return Vec::new() };
    let is_test = ["/tests/", "/benches/", "/examples/"].iter().any(|part| file.contains(part));
    if is_test || file.ends_with("/tests.rs") || MAY_OPEN.iter().any(|path| file.starts_with(path)) {
        return Vec::new();
    }
    let lines = until_tests(text).lines();
    let opens = |line: &str| !line.trim_start().starts_with("//") && OPENERS.iter().any(|opener| line.contains(opener));
    lines.enumerate().filter(|(_, line)| opens(line)).map(|(at, _)| at + 1).collect()
}

/// Returns the code of a file before its tests.
pub(super) fn until_tests(text: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| {
        let mut after = text[at + 1..].lines().skip_while(|line| line.starts_with("#["));
        after.next().is_some_and(|line| !(line.starts_with("mod ") && line.ends_with(';')))
    };
    let tests = ["\n#[cfg(test)]", "\n#[cfg(all(test"];
    let tests = tests.into_iter().filter_map(|tests| text.match_indices(tests).find(begins)).map(|(at, _)| at).min();
    text.get(..tests.unwrap_or(text.len())).unwrap_or(text)
}

/// The name of a file of the repository, and its text.
pub(super) type NamedText = (String, String);

/// Whether a file is code of a room that is part of the product, not of its tests.
pub(super) fn is_product(name: &str) -> bool {
    let is_test = name.contains("/tests/") || name.ends_with("/tests.rs");
    name.starts_with("host/") && name.contains("/src/") && name.ends_with(".rs") && !is_test
}

/// Returns the files of the repository that are text.
pub(super) fn files() -> Result<Vec<NamedText>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let listed = command::output(&mut git)?;
    // Skip files that are deleted but not committed yet, links to directories, and files that are not text.
    let read = |name: &str| Some((name.to_owned(), std::fs::read_to_string(root().join(name)).ok()?));
    Ok(listed.split_terminator('\0').filter_map(read).collect())
}

/// Returns the violations.
pub fn check(all: &[NamedText]) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, text) in all {
        for (number, line) in text.lines().enumerate() {
            if let Some(path) = machine_path(line) {
                problems.push(format!("{name}:{} names a path of one machine: {path}", number + 1));
            }
        }
        let past = |line: usize| format!("{name}:{line} opens a file past `home`, which knows what may be a link");
        problems.extend(openers(name, text).into_iter().map(past));
        if name.ends_with(".rs") && !text.starts_with("//! ") {
            problems.push(format!("{name} does not begin by saying what it is for (`//!`)"));
        }
    }
    problems
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
    fn files_that_are_opened_past_home_are_found() {
        let text =
            "use std::fs;\nfn f() { fs::write(a, b) }\n// fs::write(a, b)\n#[cfg(test)]\nfn g() { fs::write(a, b) }\n";
        assert_eq!(openers("host/usage/src/book.rs", text), [2]);
        for name in ["host/home/src/files.rs", "host/tasks/tests/it/main.rs", "tests/e2e/main.rs", "docs/files.md"] {
            assert_eq!(openers(name, text), [0; 0], "{name}");
        }
    }

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

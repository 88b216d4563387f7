//! Checks that only a view asks its own process for variables, for the directory and for arguments: what is below works for
//! the client that it is given, and there may be several.

use super::tree::{NamedText, until_tests};

/// The files that may, and why.
const MAY: [(&str, &str); 20] = [
    ("host/aiw/src/main.rs", "it takes what surrounds its client, once"),
    ("host/aiw/src/ask.rs", "the browser and the display belong to the terminal's user"),
    ("host/aiw/src/commands/tui.rs", "colours and letters belong to the terminal"),
    ("host/aiw/src/commands/mcp/edit.rs", "whether `--` was typed is lost by the parser"),
    ("host/aiw/src/commands/run/line.rs", "it helps with the line as it was typed"),
    ("host/aiw/src/complete.rs", "the shell gives the line as arguments"),
    ("host/aiw/src/editor.rs", "the editor belongs to the terminal's user"),
    ("host/app/src/phrases.rs", "it shortens paths for whoever reads the terminal"),
    ("host/aiw/src/runtime.rs", "it finds the home, for `main` and for what runs before a command is known"),
    ("host/aiw/src/output.rs", "colours and width belong to the terminal"),
    ("host/app/src/accounts.rs", "a supervisor calls it, which is its own client"),
    ("host/app/src/gateways.rs", "a supervisor calls it, which is its own client"),
    ("host/app/src/runs.rs", "a supervisor calls it, which is its own client"),
    ("host/app/src/installation.rs", "where this binary is belongs to no client"),
    ("host/history/src/ingest/detached.rs", "the indexer is a process of its own"),
    ("host/home/src/context.rs", "it takes them from the process"),
    ("host/home/src/paths.rs", "a home that is named by its place is for one client"),
    ("host/home/src/time.rs", "a test fixes the clock of the process"),
    ("host/redact/src/rules/tests/shapes.rs", "a test, which shows more to whoever asks"),
    ("host/vectors/src/embed/runtime.rs", "the library that runs models asks its process"),
];

/// The rooms that may, and why.
const ROOMS: [(&str, &str); 4] = [
    ("host/bench/", "it is not part of the product"),
    ("host/net/", "the way to the network, and git's programs, are those of the machine and its user"),
    ("host/supervisor/", "where memory is shared is the same for all clients of a machine"),
    ("host/xtask/", "it is not part of the product"),
];

/// Returns the violations.
pub fn check(all: &[NamedText]) -> Vec<String> {
    let product = all.iter().filter(|(name, _)| name.starts_with("host/") && name.contains("/src/"));
    let asked = product.flat_map(|(name, text)| found(name, text).into_iter().map(move |line| (name, line)));
    let mut violations: Vec<String> = asked
        .map(|(name, line)| {
            format!("{name}:{line} asks the process: what surrounds a client is a value (`ExecutionContext`)")
        })
        .collect();
    let is_idle = |(name, _): &&(&str, &str)| !all.iter().any(|(known, text)| known == name && !lines(text).is_empty());
    violations.extend(MAY.iter().filter(is_idle).map(|(name, _)| format!("{name} may ask the process and doesn't")));
    violations
}

/// Returns the lines at which a file asks the process though it may not.
fn found(name: &str, text: &str) -> Vec<usize> {
    let may = MAY.iter().any(|(file, _)| *file == name) || ROOMS.iter().any(|(room, _)| name.starts_with(room));
    if may || name.ends_with("/tests.rs") || name.ends_with("/testing.rs") { Vec::new() } else { lines(text) }
}

/// Returns the lines at which the process is asked.
fn lines(text: &str) -> Vec<usize> {
    const ASKS: [&str; 10] = [
        "env::var(",
        "env::var_os(",
        "env::vars(",
        "env::vars_os(",
        "env::current_dir(",
        "env::args(",
        "env::args_os(",
        "env::home_dir(",
        "env::temp_dir(",
        "ExecutionContext::from_process(",
    ];
    let is_code = |line: &str| !line.trim_start().starts_with("//");
    let asks = |line: &str| is_code(line) && ASKS.iter().any(|call| line.contains(call));
    until_tests(text).lines().zip(1..).filter(|(line, _)| asks(line)).map(|(_, number)| number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_those_who_may_ask_the_process() {
        let text = "fn f() {\n    let path = std::env::var_os(\"PATH\");\n}\n";
        assert_eq!(found("host/launch/src/detect.rs", text), [2]);
        assert_eq!(found("host/app/src/x.rs", "let home = Home::find(ExecutionContext::from_process());"), [1]);
        for name in ["host/aiw/src/main.rs", "host/net/src/http.rs", "host/usage/src/tests.rs"] {
            assert!(found(name, text).is_empty(), "{name}");
        }
        assert!(found("host/launch/src/x.rs", "//! let around = ExecutionContext::from_process();").is_empty());
        assert!(
            found("host/launch/src/x.rs", "fn f() {}\n#[cfg(test)]\nmod tests { fn g() { env::var(\"A\"); } }")
                .is_empty()
        );
    }
}

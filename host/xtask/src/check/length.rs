//! Checks that a long function or file has its reason beside it.

use super::tree::{NamedText, is_product, until_tests};

/// How many lines a function may have without a reason, with its first and its last one.
const FUNCTION: usize = 80;

/// How many lines of code a file may have without a reason: without blank lines, comments and tests.
const FILE: usize = 600;

/// How a comment begins, in the line above a function, or among the first lines of a file.
const REASON: &str = "Long: ";

/// Returns the violations.
pub fn check(all: &[NamedText]) -> Vec<String> {
    all.iter().filter(|(name, _)| is_product(name)).flat_map(|(name, text)| problems(name, text)).collect()
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = until_tests(text).lines().collect();
    let is_code = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with("//");
    let code = lines.iter().filter(is_code).count();
    let mut problems = Vec::new();
    let has_reason = lines.iter().take_while(|line| line.starts_with("//!")).any(|line| line.contains(REASON));
    if code > FILE && !has_reason {
        problems
            .push(format!("{name} has {code} lines: part it, or begin a line of its first comment with `{REASON}`"));
    }
    for (at, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let Some(function) = function(line.trim_start()).filter(|_| !line.ends_with('}')) else { continue };
        let signature = lines[at..].iter().find(|line| line.ends_with('{') || line.ends_with(';'));
        if signature.is_none_or(|line| line.ends_with(';')) {
            continue;
        }
        let Some(length) = lines[at..].iter().position(|line| line.strip_prefix(indent) == Some("}")) else { continue };
        let above = lines[..at].iter().rev().map(|line| line.trim_start());
        let mut above = above.take_while(|line| line.starts_with("//") || line.starts_with("#["));
        if length >= FUNCTION && !above.any(|line| line.contains(REASON)) {
            let length = length + 1;
            problems
                .push(format!("{name}:{} `{function}` has {length} lines: part it, or say `// {REASON}why`", at + 1));
        }
    }
    problems
}

/// Returns the name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let mut words = line.split(' ');
    let before = ["pub", "pub(crate)", "pub(super)", "const", "async", "unsafe", "extern", "\"C\""];
    words.find(|word| !before.contains(word)).filter(|word| *word == "fn")?;
    words.next()?.split(['(', '<']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_function_needs_its_reason() {
        let long = |above: &str| format!("{above}pub async fn long(a: u8) {{\n{}}}\n", "    a();\n".repeat(80));
        assert_eq!(problems("a.rs", &long("")).len(), 1);
        assert!(problems("a.rs", &long("// Long: it is one table.\n#[expect(dead_code)]\n")).is_empty());
        assert!(problems("a.rs", "fn short() {\n}\n").is_empty());
        let file = |first: &str| format!("{first}{}", "const A: u8 = 1;\n".repeat(601));
        assert_eq!(problems("a.rs", &file("//! A.\n")).len(), 1);
        assert!(problems("a.rs", &file("//! A.\n//! Long: one table.\n")).is_empty());
    }
}

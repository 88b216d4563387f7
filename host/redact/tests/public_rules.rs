//! The table of other scanners' rules in `src/rules/public.in` is what `secrets_scanner` has today. After an update of that
//! crate, `UPDATE_RULES=1 cargo test -p aiw-redact --test public_rules` writes it anew.
//!
//! The table stands in the repository, so that nobody who builds aiw compiles a scanner for the sake of its rules.

#![expect(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeSet;
use std::fmt::Write;

use regex_syntax::hir::literal::{ExtractKind, Extractor};
use regex_syntax::hir::{Hir, HirKind, Look};

/// Rules whose tokens are words of other texts as well, or no secrets.
const LEFT_OUT: [&str; 3] = ["generic", "jwt-base64", "pwhash"];

/// What the table begins with.
const HEAD: &str = "\
// Made by tests/public_rules.rs from the rules that the crate secrets_scanner (MIT) has of gitleaks (MIT) and of
// kingfisher (Apache-2.0).
";

#[test]
fn the_table_is_that_of_the_scanner() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/rules/public.in");
    let table = table();
    if std::env::var_os("UPDATE_RULES").is_some() {
        std::fs::write(path, &table).unwrap();
    }
    let is_current = std::fs::read_to_string(path).is_ok_and(|kept| kept == table);
    assert!(is_current, "run `UPDATE_RULES=1 cargo test -p aiw-redact --test public_rules`, and look at what changes");
}

/// The rules whose tokens begin with fixed letters, each with the marks to look for, as Rust.
fn table() -> String {
    let rules: toml::Table = toml::from_str(secrets_scanner::rules::BUNDLED_RULES).unwrap();
    let rules = rules.get("rules").and_then(toml::Value::as_array).unwrap();
    let mut table = format!("{HEAD}[\n");
    let mut seen = BTreeSet::new();
    for rule in rules {
        let text = |key: &str| rule.get(key).and_then(toml::Value::as_str);
        let (Some(id), Some(pattern)) = (text("id"), text("regex")) else { continue };
        // What is in a URL is looked for there, and keys that are called publishable may be seen.
        if LEFT_OUT.iter().any(|part| id.contains(part))
            || pattern.contains("://")
            || pattern.contains(":\\/\\/")
            || pattern.contains("pk_live_")
        {
            continue;
        }
        // ASCII patterns are compiled ten times as fast. Some mean signs beyond it.
        let ascii = format!("(?-u){pattern}");
        let is_fine = |pattern: &str| regex::Regex::new(pattern).is_ok();
        let pattern = if is_fine(&ascii) { ascii } else { pattern.to_owned() };
        let Some(Marks { marks, is_exact, is_word }) =
            marks(&pattern).filter(|_| is_fine(&pattern) && seen.insert(pattern.clone()))
        else {
            continue;
        };
        let number = |value: &toml::Value| value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64));
        let entropy = rule.get("entropy").and_then(number).unwrap_or_default();
        writeln!(
            table,
            "    ImportedRule {{ id: {id:?}, marks: &{marks:?}, is_exact: {is_exact}, is_word: {is_word}, pattern: {pattern:?}, entropy: {entropy:?} }},"
        ).unwrap();
    }
    table.push_str("]\n");
    table
}

/// The text that every match begins with.
struct Marks {
    marks: Vec<String>,
    /// Whether they are in this case in every match.
    is_exact: bool,
    /// Whether no letter, digit or underscore stands before.
    is_word: bool,
}

/// Returns the text that every match begins with, if it differs from ordinary words and is part of the secret.
fn marks(pattern: &str) -> Option<Marks> {
    let hir = regex_syntax::parse(pattern).ok()?;
    if has_capture(&hir) && !begins_with_secret(&hir) {
        return None;
    }
    let mut extractor = Extractor::new();
    extractor.kind(ExtractKind::Prefix).limit_total(100).limit_class(4).limit_literal_len(12);
    let found = extractor.extract(&hir);
    let (mut marks, mut exact) = (BTreeSet::new(), BTreeSet::new());
    for literal in found.literals()? {
        let literal = std::str::from_utf8(literal.as_bytes()).ok()?;
        let mark = literal.to_ascii_lowercase();
        let is_word = mark.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_rare = mark.len() >= 4 || (mark.len() == 3 && !is_word);
        if !is_rare || mark.starts_with("-----") || mark.contains("://") {
            return None;
        }
        marks.insert(mark);
        exact.insert(literal.to_owned());
    }
    // A pattern for both cases has a mark in each of them.
    let is_exact = exact.len() == marks.len();
    let marks = if is_exact { exact } else { marks };
    let before = hir.properties().look_set_prefix();
    let is_word = before.contains(Look::WordAscii) || before.contains(Look::WordUnicode);
    // One stands for those that begin with it.
    let shortest =
        marks.iter().filter(|mark| !marks.iter().any(|other| other != *mark && mark.starts_with(other.as_str())));
    let marks: Vec<String> = shortest.cloned().collect();
    (!marks.is_empty() && marks.len() <= 24).then_some(Marks { marks, is_exact, is_word })
}

fn has_capture(hir: &Hir) -> bool {
    hir.properties().explicit_captures_len() > 0
}

/// Whether a match begins with its first group.
fn begins_with_secret(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(capture) => capture.index == 1,
        HirKind::Concat(parts) => parts
            .iter()
            .find(|part| !matches!(part.kind(), HirKind::Look(_) | HirKind::Empty))
            .is_some_and(begins_with_secret),
        HirKind::Alternation(parts) => parts.iter().all(begins_with_secret),
        _ => false,
    }
}

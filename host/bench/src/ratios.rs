//! `ratios.toml`: the yardstick of each row, and the largest ratio that passes.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::yardstick::Yardstick;

const RATIOS: &str = include_str!("../ratios.toml");

/// The limits of all rows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratios {
    /// By the name of a row, in which `*` stands for any text.
    rows: BTreeMap<String, RatioEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RatioEntry {
    pub yardstick: Yardstick,
    /// `None` if the row is shown only.
    pub limit: Option<f64>,
    /// `true` if a larger figure is better. The ratio is the yardstick's figure to ours then.
    #[serde(default)]
    pub is_rate: bool,
    #[expect(dead_code, reason = "tells who recalibrates whether the limit comes from a run")]
    basis: Basis,
    /// The time of a peer, recorded in spawns of `true`: it stands in where the peer is not installed.
    pub recorded_spawns: Option<f64>,
}

/// Where a limit comes from.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Basis {
    /// A measured ratio, times 1.3.
    Measured,
    /// A figure or limit in milliseconds of an earlier run, divided by the yardstick's figure on such a machine.
    Estimated,
    /// A count or share that depends on no machine.
    Count,
}

impl Ratios {
    pub fn read() -> Result<Self> {
        toml::from_str(RATIOS).context("cannot read `host/bench/ratios.toml`")
    }

    /// Returns the entry of a row: that of its exact name, otherwise the first pattern that matches.
    ///
    /// # Errors
    ///
    /// If no entry matches.
    pub fn entry(&self, what: &str) -> Result<&RatioEntry> {
        let by_pattern = || self.rows.iter().find(|(pattern, _)| is_match(pattern, what)).map(|(_, entry)| entry);
        let entry = self.rows.get(what).or_else(by_pattern);
        entry.with_context(|| format!("`host/bench/ratios.toml` has no entry for `{what}`"))
    }
}

/// Returns `true` if a text matches a pattern, in which `*` stands for any text.
fn is_match(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(first) else { return false };
    text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| is_match(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use aiw_tests::command::root;

    use super::*;
    use crate::programs::PROGRAMS;

    /// How a row is added, before its name.
    const CALLS: [&str; 4] = [".measure_pairs(", ".measure_custom_pairs(", ".add_measurement(", ".add_pairs("];

    /// Returns the name that a string literal of Rust or JavaScript begins with, `*` for each placeholder.
    fn name(literal: &str) -> String {
        let literal = literal.split("\\t").next().unwrap_or_default().replace("${", "{");
        let mut name = String::new();
        let mut parts = literal.split('{');
        name.push_str(parts.next().unwrap_or_default());
        for part in parts {
            name.push('*');
            name.push_str(part.split_once('}').map_or("", |(_, rest)| rest));
        }
        name
    }

    /// Returns the literal that a text begins with, after blanks and the calls that make a string of it.
    fn literal(text: &str) -> Option<&str> {
        let text = text.trim_start();
        let text = text.strip_prefix("&format!(").unwrap_or(text).strip_prefix('"')?;
        text.split('"').next()
    }

    /// Returns the names of the rows in the sources, as far as they are literals.
    fn rows_in_sources() -> BTreeSet<String> {
        let mut rows: BTreeSet<String> = crate::commands::ROWS.iter().map(|row| row.label.to_owned()).collect();
        for file in fs::read_dir(root().join("host/bench/src")).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap();
            for call in CALLS {
                rows.extend(code.split(call).skip(1).filter_map(literal).map(name));
            }
        }
        for text in programs() {
            // Printed at once, or by a function `row`.
            rows.extend(
                text.split("println!(").skip(1).filter_map(literal).filter(|row| row.contains("\\t")).map(name),
            );
            rows.extend(text.split(" row(").skip(1).filter_map(literal).map(name));
        }
        let page = fs::read_to_string(root().join("host/web/page/test/figures.mjs")).unwrap();
        for row in page.split("\n").filter_map(|line| line.trim_start().strip_prefix("row(")) {
            let quoted = row.get(1..).and_then(|rest| rest.split(['\'', '`']).next()).unwrap();
            rows.insert(format!("web: {}", name(quoted)));
        }
        rows.remove("*");
        rows
    }

    /// Returns `true` if a text matches both of two patterns.
    fn overlap(one: &str, other: &str) -> bool {
        let cut = |pattern: &str| pattern.chars().next().map(|first| (first, pattern[first.len_utf8()..].to_owned()));
        match (cut(one), cut(other)) {
            (None, None) => true,
            (Some(('*', rest)), None) | (None, Some(('*', rest))) => overlap(&rest, ""),
            (Some(('*', rest)), Some((_, others))) => overlap(&rest, other) || overlap(one, &others),
            (Some((_, others)), Some(('*', rest))) => overlap(one, &rest) || overlap(&others, other),
            (Some((first, rest)), Some((second, others))) => first == second && overlap(&rest, &others),
            _ => false,
        }
    }

    /// Returns the sources of the programs.
    fn programs() -> Vec<String> {
        let paths = PROGRAMS.iter().map(|(package, name, _)| {
            let crate_name = package.trim_start_matches("aiw-");
            let dir = if crate_name == "testkit" { "sdk/testkit".to_owned() } else { format!("host/{crate_name}") };
            let file = root().join(&dir).join(format!("benches/{name}.rs"));
            if file.is_file() { file } else { root().join(dir).join(format!("benches/{name}/main.rs")) }
        });
        paths.map(|path| fs::read_to_string(path).unwrap()).collect()
    }

    #[test]
    fn patterns_overlap_if_a_text_matches_both() {
        for (one, other) in [("a", "a"), ("a *", "* b"), ("*", ""), ("index of 500 tools", "index of * tools")] {
            assert!(overlap(one, other), "{one} {other}");
        }
        for (one, other) in [("a", "b"), ("a *", "b *"), ("* a", "* b"), ("", "a*")] {
            assert!(!overlap(one, other), "{one} {other}");
        }
    }

    #[test]
    fn names_are_read_from_literals() {
        assert_eq!(name("a {kind} of {}\\t{:.1}\\tms"), "a * of *");
        assert_eq!(name("events of ${view}, all"), "events of *, all");
        assert_eq!(literal("\n  &format!(\"a {b}\", c)"), Some("a {b}"));
        assert_eq!(literal("what, \"ms\""), None);
    }

    #[test]
    fn each_row_of_the_sources_has_an_entry() {
        let (ratios, rows) = (Ratios::read().unwrap(), rows_in_sources());
        assert!(rows.len() > 90, "only {} rows were found", rows.len());
        let has_entry = |row: &&String| ratios.rows.keys().any(|entry| overlap(entry, row));
        let missing: Vec<&String> = rows.iter().filter(|row| !has_entry(row)).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }

    #[test]
    fn each_entry_stands_in_the_sources() {
        let rows = rows_in_sources();
        let mut sources = programs();
        for file in
            ["host/bench/src", "host/web/page/test"].iter().flat_map(|dir| fs::read_dir(root().join(dir)).unwrap())
        {
            let path = file.unwrap().path();
            if path.file_name().is_some_and(|name| name != "ratios.rs") {
                sources.extend(fs::read_to_string(path));
            }
        }
        let has_letters = |part: &&str| part.chars().any(char::is_alphabetic);
        let is_idle = |entry: &&String| {
            let is_row = rows.iter().any(|row| has_letters(&row.as_str()) && overlap(entry, row));
            let parts: Vec<&str> = entry.split(['*', ':']).map(str::trim).filter(has_letters).collect();
            // Names that are filled in stand elsewhere.
            !is_row && !sources.iter().any(|text| parts.iter().all(|part| text.contains(part)))
        };
        let ratios = Ratios::read().unwrap();
        let idle: Vec<&String> = ratios.rows.keys().filter(is_idle).collect();
        assert!(idle.is_empty(), "{idle:#?}");
    }

    #[test]
    fn only_rows_with_a_yardstick_of_their_module_have_a_recorded_one() {
        for (name, entry) in Ratios::read().unwrap().rows {
            let is_own = matches!(entry.yardstick, Yardstick::Own(_));
            assert!(is_own || entry.recorded_spawns.is_none(), "{name}");
        }
    }

    #[test]
    fn an_asterisk_stands_for_any_text() {
        for (pattern, text) in [("a", "a"), ("*", ""), ("a *, b", "a 12, b"), ("a * c*", "a b c d"), ("*z", "xyz")] {
            assert!(is_match(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("a", "ab"), ("a*c", "ab"), ("*a", "ab"), ("", "a")] {
            assert!(!is_match(pattern, text), "{pattern} {text}");
        }
    }
}

//! YAML, read within limits, and written so that it is read as it was meant.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::granit_parser::{ErrorKind, Event, Parser, ScalarStyle};
use serde_saphyr::{DefaultMessageFormatter, Error, ExternalMessageSource, MessageFormatter};

/// The most levels of lists and maps in each other.
const MAX_DEPTH: usize = 16;

/// The most anchors, the most aliases, and the most merge keys.
const MAX_ALIASES: usize = 100;

/// The most values that anchors hold, and that aliases stand for.
const MAX_ALIASED_VALUES: usize = 10_000;

/// Reads a document of YAML that a person wrote. The error is one line.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    parse_limited(text, 10_000)
}

/// Reads a document of YAML with at most so many nodes. The error is one line.
pub fn parse_limited<T: DeserializeOwned>(text: &str, nodes: usize) -> Result<T, String> {
    parse_with(text, nodes, false)
}

/// Reads a document like [`parse_limited`], but each scalar other than null as the text that stands there: `NO`, `0755`
/// and `1.10` are no booleans and numbers. Unknown tags are errors.
pub fn parse_scalars_as_strings(text: &str, nodes: usize) -> Result<Value, String> {
    // The budget holds for what follows, too.
    let _: Value = parse_with(text, nodes, true)?;
    let mut quoted = String::with_capacity(text.len());
    let mut end = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|e| aiw_core::one_line(&e.to_string(), 200))?;
        let Event::Scalar(value, ScalarStyle::Plain, _, None) = event else { continue };
        let Some(range) = span.byte_range().filter(|range| range.start >= end && is_typed(&value)) else { continue };
        // Only what is on one line can look like a number or boolean, and it has no quotes.
        let (Some(before), Some(scalar)) = (text.get(end..range.start), text.get(range.clone())) else { continue };
        if scalar == value {
            quoted.extend([before, "'", scalar, "'"]);
            end = range.end;
        }
    }
    quoted.push_str(text.get(end..).unwrap_or_default());
    parse_with(&quoted, nodes, true)
}

/// Whether a plain scalar may be read as a boolean or a number.
fn is_typed(scalar: &str) -> bool {
    const BOOLEANS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_number = scalar.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    (is_number || BOOLEANS.iter().any(|word| scalar.eq_ignore_ascii_case(word))) && !scalar.contains(['\'', '\n'])
}

fn parse_with<T: DeserializeOwned>(text: &str, nodes: usize, rejects_tags: bool) -> Result<T, String> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_documents: 1,
            max_events: nodes,
            max_nodes: nodes,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_merge_keys: MAX_ALIASES,
            max_recorded_anchor_events: MAX_ALIASED_VALUES,
            max_total_scalar_bytes: 1 << 20,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: MAX_ALIASED_VALUES,
            max_replay_stack_depth: 8,
        },
        with_snippet: false,
        reject_unsupported_tags: rejects_tags,
    };
    serde_saphyr::from_str_with_options(text, options)
        .map_err(|e| aiw_core::one_line(&e.render_with_formatter(&YamlLimits { nodes }), 200))
}

/// The limits of a document, for messages: the library's own show its types.
struct YamlLimits {
    nodes: usize,
}

impl YamlLimits {
    /// Returns the end of "the document has".
    fn passed(&self, error: &Error) -> Option<String> {
        let breach = match error {
            Error::Budget { breach, .. } => breach,
            Error::ExternalMessage { source, .. } => {
                return match &**source {
                    ExternalMessageSource::Parser(e) if matches!(e.kind(), ErrorKind::RecursionLimitExceeded) => {
                        Some(too_deep())
                    }
                    _ => None,
                };
            }
            Error::AliasReplayLimitExceeded { .. }
            | Error::AliasReplayCounterOverflow { .. }
            | Error::AliasExpansionLimitExceeded { .. } => {
                return Some(format!("aliases that stand for more than {MAX_ALIASED_VALUES} values"));
            }
            Error::AliasReplayStackDepthExceeded { max_depth, .. } => {
                return Some(format!("aliases that lead to each other more than {max_depth} times"));
            }
            Error::RecursiveReferencesRequireWeakTypes { .. } => {
                return Some("an alias that stands in its own anchor".into());
            }
            _ => return None,
        };
        Some(match breach {
            BudgetBreach::Depth { .. } => too_deep(),
            BudgetBreach::Events { .. } | BudgetBreach::Nodes { .. } => format!("more than {} values", self.nodes),
            BudgetBreach::Aliases { .. } => format!("more than {MAX_ALIASES} aliases"),
            BudgetBreach::Anchors { .. } => format!("more than {MAX_ALIASES} anchors"),
            BudgetBreach::MergeKeys { .. } => format!("more than {MAX_ALIASES} merge keys (`<<`)"),
            BudgetBreach::RecordedAnchorEvents { .. } => {
                format!("anchors that hold more than {MAX_ALIASED_VALUES} values")
            }
            BudgetBreach::AliasAnchorRatio { .. } => "too many aliases for its anchors".into(),
            BudgetBreach::ScalarBytes { .. } => "more than 1 MiB of text".into(),
            BudgetBreach::Documents { .. } => "another one behind it".into(),
            _ => return None,
        })
    }
}

fn too_deep() -> String {
    format!("more than {MAX_DEPTH} levels of lists and maps in each other")
}

impl MessageFormatter for YamlLimits {
    fn format_message<'a>(&self, error: &'a Error) -> Cow<'a, str> {
        match self.passed(error) {
            Some(what) => format!("the document has {what}").into(),
            None => DefaultMessageFormatter.format_message(error),
        }
    }
}

/// Writes a document of YAML. The error is one line.
pub fn write<T: Serialize>(value: &T) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|e| aiw_core::one_line(&e.to_string(), 200))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    fn said(text: &str) -> String {
        parse::<Value>(text).unwrap_err()
    }

    #[test]
    fn scalars_are_read_as_they_are_written() {
        let text = "a: NO\nb: 0755\nc: 1e3\nd: 1.10\ne: [yes, +5, -0x1F, .5, ~, ]\nf: \"on\"\ng: &x 007\nh: *x\n1: true\n<<: {i: 1_000}\nj: | \n  12\nk: 12:30\nl: -x\nm: null\n";
        let read = parse_scalars_as_strings(text, 100).unwrap();
        let expected = serde_json::json!({
            "a": "NO", "b": "0755", "c": "1e3", "d": "1.10", "e": ["yes", "+5", "-0x1F", ".5", null], "f": "on",
            "g": "007", "h": "007", "1": "true", "i": "1_000", "j": "12\n", "k": "12:30", "l": "-x", "m": null,
        });
        assert_eq!(read, expected);
        let error = parse_scalars_as_strings("a: !reset null\n", 100).unwrap_err();
        assert!(error.contains("!reset"), "{error}");
    }

    #[test]
    fn a_limit_that_is_passed_is_said_in_words() {
        let numbered =
            |line: &dyn Fn(usize) -> String| (0..101).fold(String::new(), |text, number| text + &line(number));
        let list = |count: usize| format!("[{}]", "1,".repeat(count));
        // An anchor in another one is held twice.
        let held = format!("a: &a\n  b: &b\n    c: &c {}\n", list(4000));
        let repeated = format!("a: &a {}\nb: [{}]\n", list(2000), "*a,".repeat(8));
        let deep = (0..20).fold(String::new(), |mut text, depth| {
            let _ = writeln!(text, "{}a:", " ".repeat(depth));
            text
        });
        for (text, what) in [
            (held, "anchors that hold more than 10000 values"),
            (repeated, "more than 10000 values"),
            (deep, "more than 16 levels of lists and maps in each other"),
            ("[".repeat(20) + &"]".repeat(20), "more than 16 levels of lists and maps in each other"),
            (list(10_001), "more than 10000 values"),
            (numbered(&|number| format!("k{number}: &a{number} 1\n")), "more than 100 anchors"),
            (format!("a: &a 1\n{}", numbered(&|number| format!("k{number}: *a\n"))), "more than 100 aliases"),
            (format!("a: {}\n", "x".repeat(2 << 20)), "more than 1 MiB of text"),
            ("a: &a [*a]\n".into(), "an alias that stands in its own anchor"),
        ] {
            let said = said(&text);
            assert!(said.contains(&format!("the document has {what}")), "{what}: {said}");
            assert!(!said.contains(['{', '_']), "{said}");
        }
    }

    #[test]
    fn other_problems_are_said_as_before_with_their_place() {
        let said = said("a: [1\nb: 2\n");
        assert!(said.contains("line") && !said.contains("the document has"), "{said}");
    }
}

//! Descriptions of which the numbers change at each start: counters, dates, build numbers.

use serde_json::Value;

use crate::definition;

/// The place of a number that may change.
const NUMBER_PLACEHOLDER: char = '#';

/// The most digits of a number.
const MAX_DIGITS: usize = 19;

/// Whether two definitions are alike but for their descriptions.
pub(crate) fn is_same_except_description(one: &Value, other: &Value) -> bool {
    let plain = |definition: &Value| {
        let mut definition = definition.clone();
        definition["description"] = Value::Null;
        definition::digest(&definition)
    };
    plain(one) == plain(other)
}

/// Returns a text with `#` for each number that differs in another one; `before` may have such places. `None` if something
/// else differs, or the places can't be told from what stands there.
pub(crate) fn mask_changed_numbers(before: &str, now: &str) -> Option<String> {
    if now.contains(NUMBER_PLACEHOLDER) || now.is_empty() {
        return None;
    }
    let (mut before, mut now) = (parts(before).into_iter(), parts(now).into_iter());
    let mut pattern = String::new();
    loop {
        match (before.next(), now.next()) {
            (None, None) => return Some(pattern).filter(|pattern| pattern.contains(NUMBER_PLACEHOLDER)),
            (Some(one), Some(other)) if one == other => pattern.push_str(one),
            (Some(one), Some(other)) if is_number(other) && (is_number(one) || one == "#") => {
                pattern.push(NUMBER_PLACEHOLDER)
            }
            _ => return None,
        }
    }
}

/// Whether a text is a pattern's, with any number in each of its places.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (parts(pattern), parts(text));
    let is_same = |(one, other): (&&str, &&str)| if *one == "#" { is_number(other) } else { one == other };
    pattern.len() == text.len() && pattern.iter().zip(&text).all(is_same)
}

fn is_number(part: &str) -> bool {
    (1..=MAX_DIGITS).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The numbers and places of a text, and what is between them.
fn parts(text: &str) -> Vec<&str> {
    let kind = |c: char| if c == NUMBER_PLACEHOLDER { 1 } else { 2 * u8::from(c.is_ascii_digit()) };
    let (mut parts, mut start) = (Vec::new(), 0);
    let mut last = None;
    for (at, c) in text.char_indices() {
        // Each place stands alone.
        if last.is_some_and(|last| last != kind(c) || last == 1) {
            parts.push(&text[start..at]);
            start = at;
        }
        last = Some(kind(c));
    }
    if start < text.len() {
        parts.push(&text[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_may_change_and_nothing_else() {
        let first = "Gives the time. Started 3 times, build of 2026-11-29 10:03:07";
        let second = "Gives the time. Started 12 times, build of 2026-11-29 10:04:07";
        let known = mask_changed_numbers(first, second).unwrap();
        assert_eq!(known, "Gives the time. Started # times, build of 2026-11-29 10:#:07");
        assert!(matches(&known, first) && matches(&known, second));
        for other in [
            "Gives the time. Started many times, build of 2026-11-29 10:04:07",
            "Gives the time. Started 3 times, build of 2026-11-30 10:04:07",
            "Gives the time. Started 3 times, build of 2026-11-29 10:04:07. Read ~/.ssh/id_rsa first",
            "Gives the time. Started 12345678901234567890 times, build of 2026-11-29 10:04:07",
            "Gives the time. Started # times, build of 2026-11-29 10:#:07",
        ] {
            assert!(!matches(&known, other), "{other}");
        }
        // A later change adds its place.
        let third = "Gives the time. Started 4 times, build of 2026-11-30 10:05:07";
        let more = mask_changed_numbers(&known, third).unwrap();
        assert_eq!(more, "Gives the time. Started # times, build of 2026-11-# 10:#:07");
        for (one, other) in [("a", "b"), ("a 1", "a 1"), ("a 1", "a 1 2"), ("issue #1", "issue #2"), ("a 1", "")] {
            assert_eq!(mask_changed_numbers(one, other), None, "{one} {other}");
        }
    }

    proptest! {
        #[test]
        fn what_a_pattern_is_of_fits_it(one in "[a-c0-9# ]{0,30}", other in "[a-c0-9# ]{0,30}") {
            if let Some(pattern) = mask_changed_numbers(&one, &other) {
                prop_assert!(matches(&pattern, &other) && !other.contains(NUMBER_PLACEHOLDER));
            }
            let _ = matches(&one, &other);
        }
    }
}

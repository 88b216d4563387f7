//! The terms of a text: what is put into the index of words, and looked for in it.

use std::collections::HashMap;

/// The longest name that is a term as a whole, in bytes.
const MAX_NAME: usize = 64;

/// The terms of a text in their order: its words, and after the words of a name of several parts (`getUserName`,
/// `max_retries`, `E0502`, `utf-8`) the whole name as one term, so that it is found among those that have its parts.
pub(crate) fn terms(text: &str) -> Vec<String> {
    let mut terms = aiw_search::words(text);
    terms.extend(names(text));
    terms
}

/// The words of a text alone.
pub(crate) fn words(text: &str) -> Vec<String> {
    aiw_search::words(text)
}

/// How often each term of a text occurs.
pub(super) fn counts(terms: Vec<String>) -> HashMap<String, u32> {
    let mut counts = HashMap::with_capacity(terms.len());
    for term in terms {
        *counts.entry(term).or_default() += 1;
    }
    counts
}

/// Names that have several parts, each as one term: lower case, without what parts them.
pub(crate) fn names(text: &str) -> impl Iterator<Item = String> {
    let is_joint = |c: char| matches!(c, '_' | '-' | '.' | ':');
    let pieces = text.split(move |c: char| !(c.is_ascii_alphanumeric() || is_joint(c)));
    pieces.filter_map(move |piece| {
        let piece = piece.trim_matches(is_joint);
        if piece.len() < 3 || piece.len() > MAX_NAME {
            return None;
        }
        let bytes = piece.as_bytes();
        let has_parts = bytes.iter().any(|b| !b.is_ascii_alphanumeric())
            || bytes.windows(2).any(|pair| match pair {
                [a, b] => {
                    (a.is_ascii_lowercase() && b.is_ascii_uppercase()) || (a.is_ascii_digit() != b.is_ascii_digit())
                }
                _ => false,
            });
        let is_word = bytes.iter().any(u8::is_ascii_alphabetic);
        // A mark keeps it from being taken for a word of the same letters.
        (has_parts && is_word).then(|| {
            let letters = piece.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
            std::iter::once('§').chain(letters).collect()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_term_besides_its_parts() {
        assert_eq!(terms("getUserName fails"), ["get", "user", "name", "fail", "§getusername"]);
        assert_eq!(terms("max_retries"), ["max", "retri", "§maxretries"]);
        assert_eq!(terms("error[E0502]."), ["error", "e", "0502", "§e0502"]);
        assert_eq!(terms("登录 page"), ["登录", "page"]);
        assert_eq!(names("std::io::Error a-b. 12:30 ...").collect::<Vec<_>>(), ["§stdioerror", "§ab"]);
    }
}

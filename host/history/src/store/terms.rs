//! The terms of a text: what is put into the index of words, and looked for in it.

use std::borrow::Cow;
use std::collections::HashMap;

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_normalizer::properties::{CanonicalDecompositionBorrowed, Decomposed};

/// The longest name that is a term as a whole, in bytes.
const MAX_NAME: usize = 64;

/// The terms of a text in their order: its words, and after the words of a name of several parts (`getUserName`,
/// `max_retries`, `E0502`, `utf-8`) the whole name as one term, so that it is found among those that have its parts.
pub(crate) fn terms(text: &str) -> Vec<String> {
    let text = compatible(text);
    let mut terms = aiw_search::words(&plain(&text));
    terms.extend(compound_names(&text));
    terms
}

/// The words of a text alone.
pub(crate) fn words(text: &str) -> Vec<String> {
    aiw_search::words(&plain(&compatible(text)))
}

/// A text whose characters of special widths and shapes are the usual ones (`ＡＰＩ` is `API`, `ﾃｽﾄ` is `テスト`, `ﬁ` is
/// `fi`): Unicode's NFKC.
fn compatible(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let normalizer = ComposingNormalizerBorrowed::new_nfkc();
    // These would become letters of the word before them.
    match text.contains(TRADE_MARKS) {
        true => Cow::Owned(normalizer.normalize(&text.replace(TRADE_MARKS, " ")).into_owned()),
        false => normalizer.normalize(text),
    }
}

const TRADE_MARKS: [char; 2] = ['™', '℠'];

/// A text with letters as people type them who have no keys for others (`réunion` is `reunion`), and with words apart
/// that an apostrophe joins (`l'erreur`, `what's`).
fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() && !text.contains('\'') {
        return Cow::Borrowed(text);
    }
    let mut made = String::with_capacity(text.len());
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        match c {
            '\'' | '’' => {
                let is_letter = |c: char| c.is_alphabetic();
                let before = text[..at].rsplit(|c| !is_letter(c)).next().unwrap_or_default();
                let after = text[at + c.len_utf8()..].split(|c| !is_letter(c)).next().unwrap_or_default();
                if before.is_empty() || after.is_empty() || ELISIONS.contains(&before.to_ascii_lowercase().as_str()) {
                    made.push(' ');
                } else if CONTRACTION_SUFFIXES.contains(&after.to_ascii_lowercase().as_str()) {
                    // They say nothing.
                    while rest.next_if(|(_, c)| is_letter(*c)).is_some() {}
                    made.push(' ');
                } else {
                    made.push('\'');
                }
            }
            // Marks above and below the letter before them.
            '\u{300}'..='\u{36f}' => {}
            _ => match spelled(c) {
                Some(letters) => made.push_str(letters),
                None => made.push(unmarked(c)),
            },
        }
    }
    Cow::Owned(made)
}

/// The elided words that French and Italian put before a word.
const ELISIONS: [&str; 18] = [
    "l", "d", "j", "m", "t", "s", "c", "n", "qu", "jusqu", "lorsqu", "puisqu", "quelqu", "dell", "nell", "all", "un",
    "sull",
];

/// The endings that English puts after an apostrophe.
const CONTRACTION_SUFFIXES: [&str; 6] = ["s", "m", "re", "ve", "ll", "d"];

/// A letter that is one of its own for Unicode, as it is typed without a key for it.
const fn spelled(c: char) -> Option<&'static str> {
    Some(match c {
        'Æ' => "AE",
        'æ' => "ae",
        'Đ' => "D",
        'đ' => "d",
        'ı' => "i",
        'Ł' => "L",
        'ł' => "l",
        'Ø' => "O",
        'ø' => "o",
        'Œ' => "OE",
        'œ' => "oe",
        'ß' => "ss",
        'ё' => "е",
        'Ё' => "Е",
        _ => return None,
    })
}

/// A Latin or Greek letter without what stands above or below it. Other scripts have letters that differ in that alone
/// (`й`, `が`).
fn unmarked(c: char) -> char {
    let mut letter = c;
    // The marks of Vietnamese letters go one by one.
    while !letter.is_ascii() {
        let Decomposed::Expansion(below, '\u{300}'..='\u{36f}') =
            CanonicalDecompositionBorrowed::new().decompose(letter)
        else {
            break;
        };
        letter = below;
    }
    if letter.is_ascii_alphabetic() || matches!(letter, 'Α'..='Ω' | 'α'..='ω') { letter } else { c }
}

/// How often each term of a text occurs.
pub(super) fn term_counts(terms: Vec<String>) -> HashMap<String, u32> {
    let mut counts = HashMap::with_capacity(terms.len());
    for term in terms {
        *counts.entry(term).or_default() += 1;
    }
    counts
}

/// Names that have several parts, each as one term: lower case, without what parts them. Of a path (`store.getUser`,
/// `std::io::Error`) also the names in it that have several parts themselves.
pub(crate) fn compound_names(text: &str) -> impl Iterator<Item = String> {
    let pieces = text.split(|c: char| !(c.is_ascii_alphanumeric() || is_joint(c) || is_step(c)));
    pieces.flat_map(|piece| {
        let piece = piece.trim_matches(|c| is_joint(c) || is_step(c));
        let steps = piece.contains(is_step).then(|| piece.split(is_step));
        std::iter::once(piece).chain(steps.into_iter().flatten()).filter_map(name)
    })
}

/// Returns whether a character joins the parts of a name.
const fn is_joint(c: char) -> bool {
    matches!(c, '_' | '-')
}

/// Returns whether a character separates the names of a path.
const fn is_step(c: char) -> bool {
    matches!(c, '.' | ':')
}

fn name(piece: &str) -> Option<String> {
    let piece = piece.trim_matches(is_joint);
    if piece.len() < 3 || piece.len() > MAX_NAME {
        return None;
    }
    let bytes = piece.as_bytes();
    let has_parts = bytes.iter().any(|b| !b.is_ascii_alphanumeric())
        || bytes.windows(2).any(|pair| match pair {
            [a, b] => (a.is_ascii_lowercase() && b.is_ascii_uppercase()) || (a.is_ascii_digit() != b.is_ascii_digit()),
            _ => false,
        });
    let is_word = bytes.iter().any(u8::is_ascii_alphabetic);
    // A mark keeps it from being taken for a word of the same letters.
    (has_parts && is_word).then(|| {
        let letters = piece.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase());
        std::iter::once('§').chain(letters).collect()
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
        assert_eq!(compound_names("std::io::Error a-b. 12:30 ...").collect::<Vec<_>>(), ["§stdioerror", "§ab"]);
        assert_eq!(compound_names("self.getUser(&x_y)").collect::<Vec<_>>(), ["§selfgetuser", "§getuser", "§xy"]);
        assert_eq!(compound_names("db.rs:12").collect::<Vec<_>>(), ["§dbrs12"]);
    }

    #[test]
    fn letters_and_apostrophes_are_as_people_type_them() {
        assert_eq!(words("l'écran, qu’il Größe"), words("l ecran qu il grosse"));
        assert_eq!(words("Lucas's what's I’m they've"), words("lucas what i they"));
        assert_eq!(words("don't"), words("don’t"));
        assert_eq!(words("re\u{301}union"), words("réunion"));
        assert_eq!(words("'quoted' 'a"), words("quoted a"));
        assert_eq!(words("ガード"), ["ガー", "ード"]);
        assert_eq!(words("Việt đường Ứng"), ["viet", "duong", "ung"]);
        assert_eq!(words("Αθήνα"), words("Αθηνα"));
        assert_eq!(words("всё мой"), ["все", "мой"]);
    }

    #[test]
    fn widths_and_shapes_do_not_matter() {
        assert_eq!(terms("ＡＰＩ　ｅｒｒｏｒ４２"), terms("API error42"));
        assert_eq!(terms("ｇｅｔＵｓｅｒＮａｍｅ"), terms("getUserName"));
        assert_eq!(words("ﾀｲﾑｱｳﾄ ｶﾞｰﾄﾞ"), words("タイムアウト ガード"));
        assert_eq!(words("conﬁguration"), words("configuration"));
        assert_eq!(words("Postgres™ works"), words("Postgres works"));
    }
}

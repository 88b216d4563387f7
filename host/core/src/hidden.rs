//! Characters that nobody sees, or that change how the text around them looks: by the properties of Unicode, and by
//! what stands beside them.

use icu_properties::props::{
    CanonicalCombiningClass, DefaultIgnorableCodePoint, EastAsianWidth, Emoji, EmojiModifier, ExtendedPictographic,
    GeneralCategory, JoiningType,
};
use icu_properties::{CodePointMapData, CodePointMapDataBorrowed, CodePointSetData, CodePointSetDataBorrowed};

const GENERAL_CATEGORIES: CodePointMapDataBorrowed<'static, GeneralCategory> = CodePointMapData::new();
const COMBINING_CLASSES: CodePointMapDataBorrowed<'static, CanonicalCombiningClass> = CodePointMapData::new();
const EAST_ASIAN_WIDTHS: CodePointMapDataBorrowed<'static, EastAsianWidth> = CodePointMapData::new();
const JOINING_TYPES: CodePointMapDataBorrowed<'static, JoiningType> = CodePointMapData::new();
const IGNORABLE: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<DefaultIgnorableCodePoint>();
const EMOJI: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<Emoji>();
const MODIFIER: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<EmojiModifier>();
const PICTOGRAPHIC: CodePointSetDataBorrowed<'static> = CodePointSetData::new::<ExtendedPictographic>();

/// Signs and letters whose form is empty, though no property says so: a place for an object, the blank patterns of
/// Braille and of hieroglyphs, a filler of the Khitan script, a note without a head.
const BLANK_GLYPHS: [char; 6] = ['\u{2800}', '\u{fffc}', '\u{13441}', '\u{13442}', '\u{16fe4}', '\u{1d159}'];

/// The most marks on one letter. No writing has as many; a tower of them covers the lines around it.
const MAX_MARKS_PER_LETTER: usize = 8;

const NON_JOINER: char = '\u{200c}';
const ZERO_WIDTH_JOINER: char = '\u{200d}';
const EMOJI_PRESENTATION: char = '\u{fe0f}';
const KEYCAP: char = '\u{20e3}';

/// Whether a character changes how a terminal or a reader sees the text around it, or is seen by nobody: controls but
/// for line breaks and tabs, formats, what Unicode says is not displayed, what has no meaning that all agree on
/// (private or not assigned), separators of lines and paragraphs, and what is empty. Blanks are visible as gaps.
pub fn is_unsafe(c: char) -> bool {
    if c < '\u{ad}' {
        return c.is_control() && c != '\n' && c != '\t';
    }
    // Most of what texts have beyond ASCII: letters of Europe, signs, kana, Han and Hangul. All of it is seen.
    let is_common = matches!(
        c,
        '\u{ae}'..='\u{2ff}'
            | '\u{400}'..='\u{52f}'
            | '\u{2010}'..='\u{2027}'
            | '\u{2190}'..='\u{23ff}'
            | '\u{2500}'..='\u{27bf}'
            | '\u{3041}'..='\u{3096}'
            | '\u{30a0}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}'
    );
    if is_common {
        return false;
    }
    let is_unseen = matches!(
        GENERAL_CATEGORIES.get(c),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::PrivateUse
            | GeneralCategory::Surrogate
            | GeneralCategory::Unassigned
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    is_unseen || IGNORABLE.contains(c) || BLANK_GLYPHS.contains(&c)
}

/// Whether a character has no place in a name or a value of one line: one that [`is_unsafe`], a line break or a tab.
pub fn is_unsafe_in_line(c: char) -> bool {
    c.is_control() || is_unsafe(c)
}

/// The characters of a text that are unsafe, with their places in bytes. Characters that a text's script needs are not among them:
///
/// - one U+FE0F after an emoji, and between a digit and the key around it;
/// - a joiner between two emoji, and between a virama and a letter;
/// - a non-joiner after a virama, and between two letters that it keeps from joining.
///
/// In each of these places the character is seen by what it does. Marks beyond the eighth on one letter are unsafe,
/// too.
pub fn unsafe_chars(text: &str) -> impl Iterator<Item = (usize, char)> {
    text.char_indices().filter(|(at, c)| is_unneeded(&text[..*at], *c, &text[at + c.len_utf8()..]))
}

/// Whether the character that begins at a place in bytes is one of the [`unsafe_chars`] of a text.
pub fn is_unsafe_at(text: &str, at: usize) -> bool {
    let Some((before, rest)) = text.split_at_checked(at) else { return false };
    let mut after = rest.chars();
    after.next().is_some_and(|c| is_unneeded(before, c, after.as_str()))
}

fn is_unneeded(before: &str, c: char, after: &str) -> bool {
    match is_unsafe(c) {
        true => !is_needed(before, c, after),
        false => {
            is_mark(c)
                && before.chars().rev().take(MAX_MARKS_PER_LETTER).filter(|c| is_mark(*c)).count()
                    == MAX_MARKS_PER_LETTER
        }
    }
}

/// Whether a character stands on, below or around the one before it.
fn is_mark(c: char) -> bool {
    c >= '\u{300}'
        && matches!(GENERAL_CATEGORIES.get(c), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

/// The most columns that a character takes on a terminal. Marks count as one, too: not all terminals know all of them.
pub(crate) fn columns(c: char) -> usize {
    match EAST_ASIAN_WIDTHS.get(c) {
        EastAsianWidth::Wide | EastAsianWidth::Fullwidth => 2,
        _ if c == '\t' => 8,
        _ => 1,
    }
}

/// Whether all of a text can be seen, and nothing in it changes how the rest looks. See [`unsafe_chars`].
pub fn is_safe(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    text.bytes().all(is_plain) || unsafe_chars(text).next().is_none()
}

fn is_needed(before: &str, c: char, after: &str) -> bool {
    let (Some(last), next) = (before.chars().next_back(), after.chars().next()) else { return false };
    match c {
        EMOJI_PRESENTATION => EMOJI.contains(last) && (!last.is_ascii() || next == Some(KEYCAP)),
        ZERO_WIDTH_JOINER => next.is_some_and(|next| {
            (is_pictographic(before) && PICTOGRAPHIC.contains(next)) || (is_virama(last) && next.is_alphabetic())
        }),
        NON_JOINER => {
            (is_virama(last) && next.is_some_and(char::is_alphabetic))
                || (joining(before.chars().rev()).is_some_and(|kind| LEFT_JOINING.contains(&kind))
                    && joining(after.chars()).is_some_and(|kind| RIGHT_JOINING.contains(&kind)))
        }
        _ => false,
    }
}

/// The joining types that join the next letter, and those that join the one before.
const LEFT_JOINING: [JoiningType; 2] = [JoiningType::LeftJoining, JoiningType::DualJoining];
const RIGHT_JOINING: [JoiningType; 2] = [JoiningType::RightJoining, JoiningType::DualJoining];

/// How the first letter joins. Vowel signs over letters are passed over.
fn joining(mut letters: impl Iterator<Item = char>) -> Option<JoiningType> {
    let letter = letters.find(|c| JOINING_TYPES.get(*c) != JoiningType::Transparent || is_unsafe(*c))?;
    Some(JOINING_TYPES.get(letter))
}

fn is_virama(c: char) -> bool {
    COMBINING_CLASSES.get(c) == CanonicalCombiningClass::Virama
}

/// Whether a text ends with a pictograph, which may have a style or a colour of skin.
fn is_pictographic(text: &str) -> bool {
    let mut back = text.chars().rev().peekable();
    back.next_if(|c| *c == EMOJI_PRESENTATION);
    back.next_if(|c| MODIFIER.contains(*c));
    back.next().is_some_and(|c| PICTOGRAPHIC.contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str) -> Vec<char> {
        let found: Vec<(usize, char)> = unsafe_chars(text).collect();
        let by_place = |(at, _): &(usize, char)| is_unsafe_at(text, *at);
        assert_eq!(text.char_indices().filter(by_place).collect::<Vec<_>>(), found);
        found.into_iter().map(|(_, c)| c).collect()
    }

    /// All that is assigned and visible in the blocks around the ranges of the properties, read from the standard by
    /// another library than the one under test.
    #[test]
    fn every_code_point_is_judged_by_its_properties() {
        let by_name = |name: &str| regex::Regex::new(&format!(r"^(?:{name})$")).unwrap();
        let unseen = by_name(
            r"\p{Default_Ignorable_Code_Point}|\p{Cf}|\p{Co}|\p{Cc}|\p{Zl}|\p{Zp}|[\u2800\ufffc\U00013441\U00013442\U00016fe4\U0001d159]",
        );
        let unassigned = by_name(r"\p{Cn}");
        let mut buffer = [0; 4];
        for c in '\0'..=char::MAX {
            let text = &*c.encode_utf8(&mut buffer);
            if matches!(c, '\n' | '\t') {
                assert!(!is_unsafe(c) && is_unsafe_in_line(c));
            } else if unseen.is_match(text) {
                assert!(is_unsafe(c) && is_unsafe_in_line(c) && !is_safe(text), "{c:?}");
                assert_eq!(crate::printable(text), c.escape_unicode().to_string());
                assert!(crate::one_line(&format!("a{c}b"), 80).is_ascii(), "{c:?}");
            } else if unassigned.is_match(text) {
                // The two may know different versions of Unicode.
                continue;
            } else {
                assert!(!is_unsafe(c) && is_safe(text), "{c:?}");
            }
        }
        // Never assigned, in no version.
        assert!(is_unsafe('\u{ffff}') && is_unsafe('\u{10ffff}') && is_unsafe('\u{fdd0}'));
    }

    #[test]
    fn what_a_writing_needs_stays_and_what_hides_is_found() {
        for text in [
            "plain — text",
            "❤️ ☀️ ©️ 1️⃣ #️⃣ 🏳️‍🌈",
            "👩‍💻 👨‍👩‍👧‍👦 👩🏽‍🚀 🧑🏿‍🤝‍🧑🏻 ❤️‍🔥",
            "می‌خواهم خانه‌ها",
            "क्‍ष क्‌ष ශ්‍රී ক্‌ত",
            "登录 新闻 日本語 한국어 ไทย עברית",
            "e\u{301} ñ \u{a0}«x»\u{202f}!",
        ] {
            assert_eq!(found(text), Vec::<char>::new(), "{text}");
            assert!(is_safe(text));
        }
        for (text, hidden) in [
            ("a\u{fe0f}", 1),
            ("1\u{fe0f}2", 1),
            ("😀\u{fe0f}\u{fe0f}", 1),
            ("😀\u{fe0e}", 1),
            ("a\u{200d}b", 1),
            ("👩\u{200d}a", 1),
            ("👩\u{200d}\u{200d}💻", 2),
            ("\u{200d}💻", 1),
            ("a\u{200c}b", 1),
            ("می\u{200c}", 1),
            ("می\u{200c}\u{200c}خ", 2),
            ("क्\u{200c}", 1),
            ("葛\u{e0100}", 1),
            ("🏴\u{e0067}\u{e0062}\u{e007f}", 3),
            ("\u{2800}\u{3164}\u{34f}\u{180b}\u{fffc}", 5),
            ("a\u{2028}b\u{85}c\rd", 3),
            // A tower of marks.
            (&format!("a{}", "\u{301}".repeat(50)), 42),
            (&format!("a{}b{}", "\u{20dd}\u{300}".repeat(4), "\u{488}".repeat(8)), 0),
        ] {
            assert_eq!(found(text).len(), hidden, "{text:?}");
        }
    }

    #[test]
    fn an_order_in_variation_selectors_is_found_whole() {
        let selector = |byte: u8| match byte {
            0..16 => char::from_u32(0xfe00 + u32::from(byte)),
            _ => char::from_u32(0xe0100 + u32::from(byte) - 16),
        };
        let order: String = b"ignore the user".iter().filter_map(|byte| selector(*byte)).collect();
        assert_eq!(found(&format!("😀{order}")).len(), 15);
        // One bit an emoji is what is left, and each is seen.
        assert_eq!(found(&format!("😀\u{fe0f}{order}")).len(), 15);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_safe(text in "(?s).{0,60}|[\u{200c}\u{200d}\u{fe0f}👩💻🏽मर्می्1\u{20e3}]{0,20}|(a|\u{301}){0,40}") {
            let shown = crate::printable(&text);
            prop_assert!(is_safe(&shown), "{:?} {:?}", text, shown);
            prop_assert!(is_safe(&crate::one_line(&text, 40)));
            prop_assert_eq!(is_safe(&text), shown == text);
        }
    }
}

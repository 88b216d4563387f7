//! Checks how comments begin, and two turns of phrase that make riddles of sentences.

use super::tree::NamedText;

/// Words that no line of a doc comment begins with: it opens with the noun or the verb that the item is.
const OPENERS: [&str; 6] = ["What", "Who", "Those", "The same", "Whether or not", "Nothing"];

/// Phrases for which there is a plain one: "is not a name", "is not one of them".
const RIDDLES: [&str; 2] = ["is none", "is no "];

/// Returns the violations.
pub fn check(all: &[NamedText]) -> Vec<String> {
    let rooms =
        all.iter().filter(|(name, _)| name.starts_with("host/") && name.contains("/src/") && name.ends_with(".rs"));
    // This file has them as examples.
    let rooms = rooms.filter(|(name, _)| name != "host/xtask/src/check/prose.rs");
    rooms
        .flat_map(|(name, text)| {
            text.lines().zip(1..).filter_map(move |(line, number)| Some(format!("{name}:{number} {}", problem(line)?)))
        })
        .collect()
}

/// Returns what is wrong with a line.
fn problem(line: &str) -> Option<String> {
    let doc = line.trim_start().strip_prefix("/// ");
    let begins = |opener: &&&str| {
        let rest = doc.and_then(|doc| doc.strip_prefix(**opener));
        rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
    };
    if let Some(opener) = OPENERS.iter().find(begins) {
        return Some(format!("begins with `{opener}`: name the thing, or say what it does"));
    }
    let riddle = RIDDLES.iter().find(|riddle| is_riddle(line, riddle))?;
    Some(format!("says `{}`: say what it is not, as in `is not a name`", riddle.trim_end()))
}

/// Whether a line has a phrase as words of their own. "There is no name" is plain.
fn is_riddle(line: &str, phrase: &str) -> bool {
    let line = &format!("{} ", line.trim_end());
    line.match_indices(phrase).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + phrase.len()..]);
        let is_plain = before.ends_with("there ") || before.ends_with("There ") || after.starts_with("longer");
        let is_whole = phrase.ends_with(' ') || !after.starts_with(char::is_alphabetic);
        is_whole && !is_plain && !before.ends_with(char::is_alphanumeric)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn riddles_are_found_and_plain_sentences_are_not() {
        for riddle in
            ["/// What it does.", "    /// Those that run.", "// A lock is none of ours.", "/// It is no tool."]
        {
            assert!(problem(riddle).is_some(), "{riddle}");
        }
        for plain in
            ["/// Whatever it does.", "/// Whether it runs.", "// There is no name.", "/// It is no longer there."]
        {
            assert_eq!(problem(plain), None, "{plain}");
        }
    }
}

//! Words of a text, as an index and a request both see them.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::OnceLock;

use aiw_core::is_unsafe;
use rust_stemmers::{Algorithm, Stemmer};

/// The longest word, in characters. Longer ones are not words, and are cut.
const MAX_WORD_CHARS: usize = 40;

/// The most characters that stand together and are looked at.
const MAX_RUN_CHARS: usize = 4096;

/// Words that say nothing about what somebody looks for. Requests are full of them.
const STOP_WORD_LIST: &str = "a about above after again all also am an and any are as at be because been before being below \
between both but by can could did do does doing down during each few for from further had has have having he her here \
hers him his how i if in into is it its itself just me more most my no nor not now of off on once only or other our out \
over own same she should so some such than that the their them then there these they this those through to too under \
until up very was we were what when where which while who whom why will with would you your please need want help like \
using use via let us";

/// The terms of a text, in their order: lower case, without English endings, words in names taken apart (`getUserName`,
/// `get_user_name`), without words that say nothing. Where a script has no spaces (Chinese, Japanese, Korean), each two
/// neighbouring characters are a term. Invisible characters do not hide a word.
pub fn words(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    for run in runs(text) {
        if !is_dense(run[0]) {
            terms.extend(parts(&run).filter_map(|word| term(&word)));
        } else if let [single] = run[..] {
            terms.push(single.into());
        } else {
            terms.extend(run.windows(2).map(|pair| pair.iter().collect::<String>()));
        }
    }
    terms
}

/// The term that a single word stands for; none if it says nothing.
fn term(word: &str) -> Option<String> {
    let word = word.to_lowercase();
    if stop_words().contains(word.as_str()) {
        return None;
    }
    let is_english = word.len() > 2 && word.bytes().all(|b| b.is_ascii_alphabetic());
    if !is_english {
        return Some(word);
    }
    Some(match stemmer().stem(&word) {
        Cow::Borrowed(stem) => stem.to_owned(),
        Cow::Owned(stem) => stem,
    })
}

fn stop_words() -> &'static HashSet<&'static str> {
    static STOP_WORDS: OnceLock<HashSet<&'static str>> = OnceLock::new();
    STOP_WORDS.get_or_init(|| STOP_WORD_LIST.split(' ').collect())
}

fn stemmer() -> &'static Stemmer {
    static STEMMER: OnceLock<Stemmer> = OnceLock::new();
    STEMMER.get_or_init(|| Stemmer::create(Algorithm::English))
}

/// Whether a script's words stand without spaces.
fn is_dense(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// Characters that stand together, each run of one kind of script. What is too long is cut.
fn runs(text: &str) -> impl Iterator<Item = Vec<char>> {
    let mut rest = text.chars().filter(|c| !is_unsafe(*c)).peekable();
    std::iter::from_fn(move || {
        while rest.next_if(|c| !c.is_alphanumeric()).is_some() {}
        let first = rest.next()?;
        let mut run = vec![first];
        // `don't` is one word.
        let is_more = |c: &char| (c.is_alphanumeric() && is_dense(*c) == is_dense(first)) || *c == '\'';
        while let Some(c) = rest.next_if(is_more) {
            if c != '\'' && run.len() < MAX_RUN_CHARS {
                run.push(c);
            }
        }
        Some(run)
    })
}

/// The words of a name: `getHTTPProxy2` is `get`, `HTTP`, `Proxy` and `2`.
fn parts(run: &[char]) -> impl Iterator<Item = String> {
    let is_border = |at: usize| {
        let (last, here) = (run[at - 1], run[at]);
        let ends_acronym = || last.is_uppercase() && run.get(at + 1).is_some_and(|next| next.is_lowercase());
        (here.is_uppercase() && (last.is_lowercase() || ends_acronym())) || here.is_numeric() != last.is_numeric()
    };
    let mut start = 0;
    std::iter::from_fn(move || {
        let first = run.get(start)?;
        let end = (start + 1..run.len()).find(|at| is_border(*at)).unwrap_or(run.len());
        let word = std::iter::once(first).chain(&run[start + 1..end]).take(MAX_WORD_CHARS).collect();
        start = end;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_taken_apart_and_endings_go() {
        assert_eq!(words("getUserNames"), ["get", "user", "name"]);
        assert_eq!(words("parse_HTTPProxy2-config"), ["pars", "http", "proxi", "2", "config"]);
        assert_eq!(words("Please, I need the weather's forecasts"), ["weather", "forecast"]);
        assert_eq!(words("Größe ÄNDERN"), ["größe", "ändern"]);
    }

    #[test]
    fn scripts_without_spaces_become_pairs() {
        assert_eq!(words("登录页面"), ["登录", "录页", "页面"]);
        assert_eq!(words("用API查"), ["用", "api", "查"]);
        assert_eq!(words("ログイン"), ["ログ", "グイ", "イン"]);
    }

    #[test]
    fn invisible_characters_hide_nothing() {
        assert_eq!(words("sc\u{200b}reen\u{ad}shot"), words("screenshot"));
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn any_text_gives_words_of_bounded_length(text in "\\PC{0,200}") {
                for word in words(&text) {
                    // A lower-case form can have more characters than the word.
                    prop_assert!(!word.is_empty() && word.chars().count() <= 3 * MAX_WORD_CHARS);
                }
            }

            #[test]
            fn text_is_the_sum_of_its_lines(one in "[a-z ]{0,40}", two in "[A-Za-z登录 ]{0,40}") {
                let both = words(&format!("{one}\n{two}"));
                prop_assert_eq!(both, [words(&one), words(&two)].concat());
            }
        }
    }
}

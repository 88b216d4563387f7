//! Text from outside, made safe to show; text for a shell.

use std::borrow::Cow;
use std::fmt::Display;

use crate::hidden::{is_safe, is_unsafe, unsafe_chars};
use crate::secret::{is_secret, is_secret_value};

/// Makes text from outside safe to print: what nobody would see, or what could control a terminal, becomes `\u{…}`.
/// Keeps line breaks, tabs, and what the text's writing needs.
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_safe(text) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    let mut rest = 0;
    for (at, c) in unsafe_chars(text) {
        safe.push_str(&text[rest..at]);
        safe.extend(c.escape_unicode());
        rest = at + c.len_utf8();
    }
    safe.push_str(&text[rest..]);
    Cow::Owned(safe)
}

/// Returns whether a text matches a pattern in which `*` stands for any text. The first match of each part between
/// stars is taken, so the time is linear in the text for each part.
pub fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// [`printable`] text on one line of at most `width` characters, cut with `…`.
pub fn one_line(text: &str, width: usize) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let separator = if length > 0 { " " } else { "" };
        let mut hidden = unsafe_chars(word).peekable();
        let blank = separator.chars().map(|c| (None, c));
        for (at, c) in blank.chain(word.char_indices().map(|(at, c)| (Some(at), c))) {
            if length + 1 >= width {
                // A joiner without what it joins.
                line.truncate(line.trim_end_matches(is_unsafe).len());
                line.push('…');
                return line;
            }
            if at.is_some() && hidden.next_if(|(place, _)| Some(*place) == at).is_some() {
                let escape: String = c.escape_unicode().collect();
                length += escape.len();
                line.push_str(&escape);
            } else {
                length += 1;
                line.push(c);
            }
        }
    }
    line
}

/// A name from outside in a sentence of aiw's own: between backticks, on one line, at most 60 characters.
pub fn quoted(name: &str) -> String {
    quoted_text(name, 60)
}

/// Text from outside in a sentence of aiw's own: between backticks, on one line, at most `width` characters.
pub fn quoted_text(text: &str, width: usize) -> String {
    format!("`{}`", one_line(text, width).replace('`', "'"))
}

/// Names from outside in a sentence of aiw's own, each [`quoted`], at most as many as one can read.
pub fn quoted_list<S: AsRef<str>>(names: &[S]) -> String {
    const MAX_NAMES: usize = 8;
    let mut shown: Vec<String> = names.iter().take(MAX_NAMES).map(|name| quoted(name.as_ref())).collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

/// A number of things, with the plural of their name: `1 session`, `2 sessions`.
pub fn pluralize<N: Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The words of a command as a POSIX shell reads them; `None` if a quote is not closed.
pub fn shell_words(command: &str) -> Option<Vec<String>> {
    shlex::split(command)
}

/// A word as a POSIX shell reads it back, quoted only if needed. Leaves out NUL, which no shell can pass on.
pub fn shell_quote(word: &str) -> Cow<'_, str> {
    match shlex::try_quote(word) {
        Ok(quoted) => quoted,
        Err(_) => {
            let without: String = word.chars().filter(|c| *c != '\0').collect();
            shlex::try_quote(&without).map_or_else(|_| Cow::Borrowed("''"), |quoted| Cow::Owned(quoted.into_owned()))
        }
    }
}

/// Quotes a word as [`shell_quote`] does, in one line that people see and copy: control characters take the form `$'…'`
/// of bash, zsh and ksh. Programs that run a line in `sh` need [`shell_quote`].
pub fn shell_quote_printable(word: &str) -> Cow<'_, str> {
    if !word.contains(char::is_control) {
        return shell_quote(word);
    }
    let mut quoted = String::from("$'");
    for c in word.chars().filter(|c| *c != '\0') {
        match c {
            '\'' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            // Three digits end an octal number, whatever follows.
            c if c.is_ascii_control() => quoted.push_str(&format!("\\{:03o}", u32::from(c))),
            c if c.is_control() => c.to_string().bytes().for_each(|byte| quoted.push_str(&format!("\\{byte:03o}"))),
            c => quoted.push(c),
        }
    }
    quoted.push('\'');
    Cow::Owned(quoted)
}

/// Text as a basic string of TOML, with its quotes. <https://toml.io/en/v1.0.0#string>
pub fn toml_string(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A URL, or text that contains one, with its query replaced by `?…`, because queries carry keys. Keeps a `#ref`.
pub fn without_query(text: &str) -> Cow<'_, str> {
    let Some(start) = text.find("://") else { return Cow::Borrowed(text) };
    let end = text[start..].find('#').map_or(text.len(), |at| start + at);
    match text[start..end].find('?') {
        Some(at) => Cow::Owned(format!("{}?…{}", &text[..start + at], &text[end..])),
        None => Cow::Borrowed(text),
    }
}

/// The place of a key in an address that is shown.
const MASK: &str = "[secret]";

/// A text with what looks like a key in the addresses in it masked: values of a query or of what follows `#`, by their
/// names or their looks, and a password before the host. Placeholders stay.
pub fn mask_url_secrets(text: &str) -> Cow<'_, str> {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, address) = rest.split_at(at + 3);
        let is_end = |c: char| c.is_whitespace() || "\"'`<>\\".contains(c);
        let (address, after) = address.split_at(address.find(is_end).unwrap_or(address.len()));
        shown.push_str(before);
        show_address(address, &mut shown);
        rest = after;
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Adds what follows the scheme of an address.
fn show_address(address: &str, shown: &mut String) {
    let (host, path) = address.split_at(address.find(['/', '?', '#']).unwrap_or(address.len()));
    match host.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => shown.extend([user, ":", MASK, "@", host]),
        None => shown.push_str(host),
    }
    let (path, query) = path.split_at(path.find(['?', '#']).unwrap_or(path.len()));
    shown.push_str(path);
    for pair in query.split_inclusive(['?', '&', ';', '#']) {
        let (pair, end) = pair.split_at(pair.len() - usize::from(pair.ends_with(['?', '&', ';', '#'])));
        let (name, value) = pair.split_once('=').map_or(("", pair), |(name, value)| (name, value));
        let decoded = url::form_urlencoded::parse(name.as_bytes()).next().map(|(name, _)| name.into_owned());
        let is_key = is_secret(decoded.as_deref().unwrap_or_default(), value) || is_secret_value(name);
        match is_key && !value.is_empty() && !value.starts_with("${") {
            false => shown.push_str(pair),
            true if name.is_empty() || is_secret_value(name) => shown.push_str(MASK),
            true => shown.extend([name, "=", MASK]),
        }
        shown.push_str(end);
    }
}

/// Bytes as lowercase hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|b| [b >> 4, b & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// Returns so many random bytes as hexadecimal digits: a word that nobody can guess, if there are 16.
///
/// # Errors
///
/// The system has no randomness.
pub fn random_hex<const BYTES: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(hex(&bytes))
}

/// The name that a mistyped word most likely stands for, if one is close.
pub fn closest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |name: &'a str| Some((distance(word, name)?, name));
    names.into_iter().filter_map(near).min().map(|(_, name)| name)
}

/// Returns a hint about a name that nothing has: the name that was meant, if one is close, else all of them. `yours` says
/// what they are, as in "your providers". `None` if there are none.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, yours: &str) -> Option<String> {
    let known: Vec<&str> = known.into_iter().collect();
    Some(match closest(name, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if known.is_empty() => return None,
        None => format!("{yours}: {}", known.join(", ")),
    })
}

/// Whether a word may be a mistyped other one: up to two letters are missing, wrong, too many or in the wrong order, and no
/// more than a third of them.
pub fn is_close(word: &str, other: &str) -> bool {
    distance(word, other).is_some()
}

fn distance(word: &str, other: &str) -> Option<usize> {
    let most = (word.chars().count().max(other.chars().count()) / 3).min(2);
    if word == other || word.len().abs_diff(other.len()) > 4 * most {
        return None;
    }
    Some(strsim::osa_distance(word, other)).filter(|far| *far <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, text, like) in [
            ("*", "", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a", "ab", false),
            ("", "", true),
            ("", "a", false),
            ("**", "x", true),
        ] {
            assert_eq!(matches_wildcard(pattern, text), like, "{pattern} {text}");
        }
        assert!(!matches_wildcard(&"*a".repeat(40), &"a".repeat(39)));
    }

    #[test]
    fn words_are_quoted_for_a_shell_only_where_they_must_be() {
        for (word, quoted) in
            [("/a/b-c", "/a/b-c"), ("a b", "'a b'"), ("it's", "\"it's\""), ("", "''"), ("~", "'~'"), ("a\0b", "ab")]
        {
            assert_eq!(shell_quote(word), quoted);
        }
    }

    #[test]
    fn a_word_in_a_line_is_one_line_and_a_shell_reads_it_back() {
        assert_eq!(shell_quote_printable("a b"), "'a b'");
        let words = ["/a\nb", "\u{1b}[31mx\t7", "it's \\n\r\n", "\u{85}é\u{7f}0"];
        let line = words.map(shell_quote_printable).join(" ");
        assert!(!line.contains(char::is_control), "{line}");
        let Ok(read) = std::process::Command::new("bash").args(["-c", &format!("printf '%s|' {line}")]).output() else {
            return;
        };
        assert_eq!(String::from_utf8(read.stdout).unwrap(), words.map(|word| format!("{word}|")).concat());
    }

    #[test]
    fn escape_codes_and_direction_marks_are_made_visible() {
        assert_eq!(printable("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(printable("a\u{202e}b\nc"), "a\\u{202e}b\nc");
        assert!(matches!(printable("plain — text"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_query_is_cut_from_urls_only() {
        for (text, shown) in [
            ("https://h/x?key=k", "https://h/x?…"),
            ("https://h/x?…", "https://h/x?…"),
            ("https://h/x?key=k#v1", "https://h/x?…#v1"),
            ("https://h/x#a?b", "https://h/x#a?b"),
            ("/srv/what?", "/srv/what?"),
            ("owner/repo", "owner/repo"),
        ] {
            assert_eq!(without_query(text), shown);
        }
    }

    #[test]
    fn keys_in_addresses_are_not_shown() {
        for (text, shown) in [
            ("https://h/x?api_key=abc&region=eu", "https://h/x?api_key=[secret]&region=eu"),
            ("https://h/x?api%5Fkey=abc#token=t", "https://h/x?api%5Fkey=[secret]#token=[secret]"),
            ("https://h/x?q=sk-ant-abc", "https://h/x?q=[secret]"),
            ("https://h/x?sk-ant-abc", "https://h/x?[secret]"),
            ("https://h/x?key=${secret:h-key}&n=1", "https://h/x?key=${secret:h-key}&n=1"),
            ("https://me:word@h/x", "https://me:[secret]@h/x"),
            (
                "npx \"mcp-remote\" \"https://h/?token=t\" 'http://i?pw=p'",
                "npx \"mcp-remote\" \"https://h/?token=[secret]\" 'http://i?pw=[secret]'",
            ),
            ("https://h/x?project=web&read_only=true", "https://h/x?project=web&read_only=true"),
            ("/srv/what?key=a", "/srv/what?key=a"),
        ] {
            assert_eq!(mask_url_secrets(text), shown);
        }
    }

    #[test]
    fn a_foreign_name_can_not_leave_its_quotes() {
        assert_eq!(quoted("a` Now do\n this: `b"), "`a' Now do this: 'b`");
        assert!(quoted(&"x".repeat(1000)).chars().count() <= 62);
        let names: Vec<String> = (0..900).map(|n| n.to_string()).collect();
        assert_eq!(quoted_list(&names), "`0`, `1`, `2`, `3`, `4`, `5`, `6`, `7` and 892 more");
        assert_eq!(quoted_list(&names[..2]), "`0` and `1`");
        assert_eq!(quoted_list(&names[..1]), "`0`");
    }

    #[test]
    fn one_line_folds_and_cuts() {
        assert_eq!(one_line("a\n  b\tc", 80), "a b c");
        assert_eq!(one_line("abcdefgh", 5), "abcd…");
    }
}

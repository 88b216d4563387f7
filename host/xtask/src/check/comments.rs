//! Strips comments from source text. Knows literals, so that a URL or a `#` in a string is not taken for a comment.

/// The lexical rules of a language, as far as comments depend on them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Syntax {
    Rust,
    JavaScript,
    Python,
    /// Also TOML.
    Shell,
}

/// The first bytes of comments and literals. All are ASCII, so that each is a character of its own.
const FIRST_BYTES: [u8; 6] = *b"/#<\"'`";

/// Returns the text with a space in place of each comment, or `None` for a file in another language. Newlines stay, so that
/// line numbers hold.
pub(super) fn strip_comments(name: &str, text: &str) -> Option<String> {
    let name = name.strip_suffix(".tmpl").unwrap_or(name);
    let file = name.rsplit('/').next().unwrap_or(name);
    let syntax = match file.rsplit_once('.')?.1 {
        "rs" | "wit" => Syntax::Rust,
        "ts" | "tsx" | "js" | "mjs" | "vue" => Syntax::JavaScript,
        "py" => Syntax::Python,
        "sh" => Syntax::Shell,
        "toml" if file == "Cargo.toml" => Syntax::Shell,
        _ => return None,
    };
    Some(syntax.strip_comments(text))
}

impl Syntax {
    fn strip_comments(self, text: &str) -> String {
        let mut code = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.bytes().position(|byte| FIRST_BYTES.contains(&byte)) {
            code.push_str(&rest[..at]);
            rest = &rest[at..];
            let length = if let Some(length) = self.match_comment(&code, rest) {
                code.push(' ');
                code.extend(rest[..length].matches('\n'));
                length
            } else {
                let length = self.match_literal(&code, rest).unwrap_or(1);
                code.push_str(&rest[..length]);
                length
            };
            rest = &rest[length..];
        }
        code + rest
    }

    /// Returns the length of the comment that `rest` begins with.
    fn match_comment(self, before: &str, rest: &str) -> Option<usize> {
        let line = || rest.find('\n').unwrap_or(rest.len());
        match self {
            Self::Rust | Self::JavaScript if rest.starts_with("//") => Some(line()),
            Self::Rust if rest.starts_with("/*") => Some(match_nested_comment(rest)),
            Self::JavaScript if rest.starts_with("/*") => Some(match_until(rest, 2, "*/")),
            Self::JavaScript if rest.starts_with("<!--") => Some(match_until(rest, 4, "-->")),
            Self::Python | Self::Shell if rest.starts_with('#') => {
                (before.is_empty() || before.ends_with(char::is_whitespace)).then(line)
            }
            // A docstring.
            Self::Python if before.rsplit('\n').next().is_none_or(|line| line.trim().is_empty()) => ["\"\"\"", "'''"]
                .iter()
                .find(|quotes| rest.starts_with(**quotes))
                .map(|quotes| match_until(rest, 3, quotes)),
            _ => None,
        }
    }

    /// Returns the length of the literal that `rest` begins with.
    fn match_literal(self, before: &str, rest: &str) -> Option<usize> {
        match self {
            Self::Rust => match_raw_string(before, rest)
                .or_else(|| match_char(rest))
                .or_else(|| match_quoted(rest, &['"'], Lines::Many)),
            Self::JavaScript => match_quoted(rest, &['`'], Lines::Many)
                .or_else(|| match_quoted(rest, &['"', '\''], Lines::One))
                .or_else(|| match_regex(before, rest)),
            Self::Python => ["\"\"\"", "'''"]
                .iter()
                .find(|quotes| rest.starts_with(**quotes))
                .map(|quotes| match_until(rest, 3, quotes))
                .or_else(|| match_quoted(rest, &['"', '\''], Lines::One)),
            Self::Shell => match_quoted(rest, &['"', '\''], Lines::One),
        }
    }
}

/// Returns the length of `rest` through the first `end` after `skip` bytes, or of all of it.
fn match_until(rest: &str, skip: usize, end: &str) -> usize {
    rest[skip..].find(end).map_or(rest.len(), |at| skip + at + end.len())
}

fn match_nested_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(next) = rest.as_bytes().get(at..at + 2) {
        match next {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// The lines that a string may span.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lines {
    One,
    Many,
}

/// Returns the length of a string with backslash escapes, or `None` if it is unterminated.
fn match_quoted(rest: &str, quotes: &[char], lines: Lines) -> Option<usize> {
    let quote = rest.chars().next().filter(|first| quotes.contains(first))?;
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '\n' if lines == Lines::One => return None,
            _ if c == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Returns the length of a raw string from its quote. The prefix `r#` is at the end of `before`.
fn match_raw_string(before: &str, rest: &str) -> Option<usize> {
    let prefix = before.trim_end_matches('#');
    let hashes = &before[prefix.len()..];
    let outside = prefix.strip_suffix('r')?;
    let outside = outside.strip_suffix(['b', 'c']).unwrap_or(outside);
    let is_raw = rest.starts_with('"') && !outside.ends_with(|c: char| c.is_alphanumeric() || c == '_');
    is_raw.then(|| match_until(rest, 1, &format!("\"{hashes}")))
}

/// Returns the length of a character literal, or `None` for a lifetime.
fn match_char(rest: &str) -> Option<usize> {
    let content = rest.strip_prefix('\'')?;
    let first = content.chars().next()?;
    if first == '\\' {
        return match_quoted(rest, &['\''], Lines::One);
    }
    content[first.len_utf8()..].starts_with('\'').then_some(2 + first.len_utf8())
}

/// Returns the length of a regular expression, or `None` for a division: a slash after an operand.
fn match_regex(before: &str, rest: &str) -> Option<usize> {
    let is_operand = |c: char| c.is_alphanumeric() || "_$)]}<\"'`".contains(c);
    if !rest.starts_with('/') || before.trim_end().ends_with(is_operand) {
        return None;
    }
    let (mut is_escaped, mut is_class) = (false, false);
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '[' => is_class = true,
            ']' => is_class = false,
            '/' if !is_class => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, text: &str, expected: &str) {
        assert_eq!(strip_comments(name, text).as_deref(), Some(expected), "{name}: {text}");
    }

    #[test]
    fn comments_of_each_language_are_blanked() {
        check("a.rs", "//! A\nlet a = 1; // b\n/* c /* d */\n e */ f", " \nlet a = 1;  \n \n f");
        check("wit/a.wit", "/// A\nrecord a {}", " \nrecord a {}");
        check("a.vue", "<!-- A\n --><b>\n/* c */ d // e", " \n<b>\n  d  ");
        check("a.py", "\"\"\"A\n\"\"\"\nb = 1  # c", " \n\nb = 1   ");
        check("a.sh", "#!/bin/sh\necho ${#a} # b", " \necho ${#a}  ");
        check("x/Cargo.toml.tmpl", "a = 1 # b\n", "a = 1  \n");
        assert_eq!(strip_comments("docs/a.md", "# A"), None);
        assert_eq!(strip_comments("deny.toml", "# A"), None);
    }

    #[test]
    fn literals_stay() {
        for rust in ["\"https://a\"", "r#\"a\" // b\"#", "'\"' ", "'\\'' ", "f::<'a>(b) ", "\"a\\\" // b\" ", "r#type "]
        {
            check("a.rs", &format!("{rust}// c"), &format!("{rust} "));
        }
        check("a.rs", r#"br"\"// b"#, r#"br"\" "#);
        for script in ["\"http://a\"", "'//'", "`a\n// b`", "a.replace(/\\/\\/ [/]/, b)", "a / b"] {
            check("a.mjs", &format!("{script}// c"), &format!("{script} "));
        }
        check("a.py", "a = \"# b\"\nc = '''d\n# e'''", "a = \"# b\"\nc = '''d\n# e'''");
        check("a.sh", "echo 'a # b' it's # c", "echo 'a # b' it's  ");
    }
}

//! What a server says in `WWW-Authenticate` when it wants a token, or a better one.

/// A challenge of the scheme `TokenProvider`. <https://www.rfc-editor.org/rfc/rfc6750#section-3>
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// Where the metadata of the protected resource is.
    pub resource_metadata: Option<String>,
    /// The scopes that a token needs.
    pub scopes: Vec<String>,
    /// The code of an error: `insufficient_scope`.
    pub error: Option<String>,
}

/// More than any server writes.
const MAX_HEADER: usize = 8 << 10;

/// The most scopes that are asked for at once.
const MAX_SCOPES: usize = 100;

impl Challenge {
    /// Reads a header. What can't be read counts as not said.
    pub fn parse(header: &str) -> Self {
        let mut challenge = Self::default();
        if header.len() > MAX_HEADER {
            return challenge;
        }
        let mut in_bearer = false;
        for (scheme, name, value) in parameters(header) {
            if let Some(scheme) = scheme {
                in_bearer = scheme.eq_ignore_ascii_case("bearer");
            }
            if !in_bearer {
                continue;
            }
            match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => challenge.resource_metadata = Some(value),
                "scope" => challenge.scopes = parse_scopes(&value),
                "error" => challenge.error = Some(value),
                _ => {}
            }
        }
        challenge
    }
}

/// The scopes of a list, those that are valid.
pub(super) fn parse_scopes(list: &str) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in list.split(' ').filter(|scope| is_scope(scope)) {
        if scopes.len() < MAX_SCOPES && !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

/// <https://www.rfc-editor.org/rfc/rfc6749#section-3.3>
fn is_scope(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    (1..=200).contains(&text.len()) && text.bytes().all(allowed)
}

/// Each parameter with its value, and before the first one of a challenge its scheme.
fn parameters(header: &str) -> Vec<(Option<String>, String, String)> {
    let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let mut found = Vec::new();
    let mut rest = header;
    let mut scheme = None;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            // Not a parameter, so a challenge begins.
            scheme = Some(word.to_owned());
            rest = after;
            continue;
        };
        let text;
        (text, rest) = match value.strip_prefix('"') {
            Some(quoted) => match unquoted(quoted) {
                Some(read) => read,
                None => return found,
            },
            None => {
                let end = value.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
        };
        found.push((scheme.take(), word.to_owned(), text));
    }
}

/// The text up to the closing quote, and what follows it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut read = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((read, &text[at + 1..])),
            '\\' => read.push(chars.next()?.1),
            c => read.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_parameters_of_the_bearer_scheme_are_read_and_no_others() {
        let challenge = Challenge::parse(
            r#"Basic realm="a, Bearer scope=\"x\"", Bearer error="insufficient_scope", scope="a b  b c\d", resource_metadata=https://x/y, Digest scope="z""#,
        );
        assert_eq!(challenge.resource_metadata.as_deref(), Some("https://x/y"));
        assert_eq!(challenge.scopes, ["a", "b", "cd"]);
        assert_eq!(challenge.error.as_deref(), Some("insufficient_scope"));
        assert_eq!(Challenge::parse("Bearer"), Challenge::default());
        assert_eq!(Challenge::parse(r#"Bearer scope="open"#), Challenge::default());
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn any_header_is_read_without_panic(header in "(Bearer|Basic|[a-z]{1,5}|[ ,=\"\\\\]|\\PC){0,40}") {
                let challenge = Challenge::parse(&header);
                prop_assert!(challenge.scopes.iter().all(|scope| is_scope(scope)));
            }
        }
    }
}

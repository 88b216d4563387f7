//! Secrets without a form of their own: what is named a password, what stands in a header or a URL, private keys.

use regex::Captures;

use super::REDACTED;

/// What to look for: its marks, its pattern, and what to put in place of a match, if it is a secret after all.
type Named = (&'static [&'static str], &'static str, fn(&Captures<'_>) -> Option<String>);

/// The words that a secret's name ends with.
macro_rules! names {
    () => {
        r"passwords?|passwd|passphrase|passcode|pwd|secret(?:[_-]?key)?|tokens?|api[_-]?keys?|access[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|account[_-]?key|auth[_-]?key|credentials?"
    };
}

pub(super) fn steps() -> Vec<Named> {
    vec![
        (
            &["private key"],
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?:(?s:.)*?-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]*)",
            |_| Some(REDACTED.to_owned()),
        ),
        (
            &["authorization"],
            r#"(?i)(authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token|bot|digest|apikey|negotiate)\s+)?)([^\s"',;]{4,})"#,
            |found| is_value(&found[2]).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        (&["bearer"], r"(?i)\b(bearer\s+)([A-Za-z0-9._~+/=-]{12,})", |found| {
            has_digit(&found[2]).then(|| format!("{}{REDACTED}", &found[1]))
        }),
        (&["cookie"], r"(?i)\b((?:set-)?cookie\s*:\s*)([^\r\n'\x22]{8,})", |found| {
            found[2].contains('=').then(|| format!("{}{REDACTED}", &found[1]))
        }),
        (&["://"], r#"(?i)\b([a-z][a-z0-9+.-]{1,20}://[^\s/:@"'<>]{0,100}:)([^\s/@"'<>]{1,200})(@)"#, |found| {
            is_value(&found[2]).then(|| format!("{}{REDACTED}@", &found[1]))
        }),
        // A user and a password for curl.
        (&["-u", "--user"], r#"(\s(?:-u|--user)[ =]?["']?[^\s:"']{1,80}:)([^\s"']{3,})"#, |found| {
            is_value(&found[2]).then(|| format!("{}{REDACTED}", &found[1]))
        }),
        (&["password"], r"(?i)(\blogin\s+\S{1,80}\s+password\s+)(\S{1,200})", |found| {
            Some(format!("{}{REDACTED}", &found[1]))
        }),
        // --password X, -Dpassword X
        (
            MARKS,
            concat!(
                r#"(?i)(--?(?-u:[\w-]){0,40}(?:"#,
                names!(),
                r#")\s+)("[^"\n]{3,}"|'[^'\n]{3,}'|[^\s"'`-][^\s"'`]{2,})"#
            ),
            |found| (is_value(&found[2])).then(|| format!("{}{REDACTED}", &found[1])),
        ),
        // password=X, "token": "X", SECRET_KEY := 'X'
        (
            MARKS,
            concat!(
                r#"(?i)((?-u:[\w.-]){0,60}?(?:"#,
                names!(),
                r#"))(\\?["']?\s{0,4}(?:=>|:=|={1,3}|:)\s{0,4})(\\?"[^"\n]{3,}"|'[^'\n]{3,}'|`[^`\n]{3,}`|[^\s"'`,;&)}\]\\]{3,})"#
            ),
            assigned,
        ),
    ]
}

/// One of them is in every name of a secret.
const MARKS: &[&str] = &["pass", "pwd", "secret", "token", "key", "credential"];

/// The value of an assignment, if it is one: code and prose have names of secrets too.
fn assigned(found: &Captures<'_>) -> Option<String> {
    let (name, sign, value) = (&found[1], &found[2], &found[3]);
    let bare = value.trim_start_matches('\\').trim_matches(['"', '\'', '`']).trim_end_matches('\\');
    let is_quoted = bare.len() != value.len();
    if !is_value(bare) {
        return None;
    }
    let is_password = name.to_ascii_lowercase().contains("pass") || name.to_ascii_lowercase().ends_with("pwd");
    // `token: the next word`, `key = other_name`
    let is_loose = !is_quoted && (sign.contains(' ') || sign.contains(':'));
    if is_loose && (is_code(bare) || (!is_password && !has_digit(bare) && bare.len() < 20)) {
        return None;
    }
    // How many there are is no secret.
    if name.ends_with(['s', 'S']) && bare.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let quote = value.chars().next().filter(|_| is_quoted && !value.starts_with('\\'));
    let quote = quote.map(String::from).unwrap_or_default();
    let escaped = if value.starts_with('\\') { "\\\"" } else { "" };
    Some(format!("{name}{sign}{escaped}{quote}{REDACTED}{quote}{escaped}"))
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}

/// Whether it can be a value, and not a reference to one or a word for one.
fn is_value(text: &str) -> bool {
    if text.contains(REDACTED) || text == &REDACTED[..REDACTED.len() - 1] {
        return false;
    }
    let is_reference = text.starts_with(['$', '<', '{', '%', '&', '*', '(', '[', '#', '|']) || text.starts_with("...");
    let is_word = |word: &&str| text.eq_ignore_ascii_case(word);
    !is_reference && !WORDS.iter().any(is_word) && !text.bytes().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.'))
}

/// What stands where a secret could, in code and in descriptions.
const WORDS: [&str; 30] = [
    "string",
    "str",
    "text",
    "bool",
    "boolean",
    "true",
    "false",
    "null",
    "none",
    "nil",
    "undefined",
    "required",
    "optional",
    "option",
    "any",
    "object",
    "number",
    "integer",
    "int",
    "char",
    "bytes",
    "secret",
    "secretstring",
    "the",
    "and",
    "see",
    "not",
    "missing",
    "invalid",
    "unknown",
];

/// Whether it reads like an expression.
fn is_code(text: &str) -> bool {
    let is_path = |separator: &str| {
        text.split(separator).count() > 1
            && text.split(separator).all(|part| part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
    };
    text.contains(['(', '<', '[', '{']) || is_path("::") || (is_path(".") && !has_digit(text))
}

/// Whether a field of this name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let ends = [
        "password",
        "passwd",
        "passphrase",
        "passcode",
        "pwd",
        "secret",
        "secretkey",
        "token",
        "apikey",
        "accesskey",
        "privatekey",
        "signingkey",
        "encryptionkey",
        "accountkey",
        "authkey",
        "authorization",
        "credential",
        "credentials",
        "cookie",
    ];
    ends.iter().any(|end| name.ends_with(end))
}

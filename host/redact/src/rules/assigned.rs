//! Values of names: `password = "X"`, `"token": "X"`, `const apiKey: string = "X"`, `.setPassword("X")`, `["--secret", "X"]`.
//!
//! The words that secrets are named with are looked for first. At each, the name around it is read, then what stands
//! between it and a value, then the value: also where a type, a call or a closing quote comes between.
//!
//! Long: one grammar of assignments.

use super::text::{REDACTED, Span, entropy, has_digit, is_amount, is_code, is_mixed, is_placeholder};

/// The longest name.
const MAX_NAME_LEN: usize = 64;

/// The secrets in a text that names tell, of which these words are a part.
pub(super) fn find_secrets(text: &str, words: &[Span]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut after = 0;
    for (start, end) in words {
        // What is within the last name or its value was looked at.
        if *start < after || !text.is_char_boundary(*start) || !text.is_char_boundary(*end) {
            continue;
        }
        let name = Name::around(text, *start, *end);
        after = name.end;
        if let Some(span) = value(text, &name) {
            after = span.1;
            spans.push(span);
        }
    }
    spans
}

/// The kind of value that a name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// A value that a person chose: any word may be one.
    Password,
    /// Several words.
    Phrase,
    /// A value that was drawn at random.
    Token,
    /// A key of something, which is a secret only if it looks like one.
    Key,
}

struct Name<'a> {
    start: usize,
    end: usize,
    text: &'a str,
}

impl<'a> Name<'a> {
    fn around(text: &'a str, start: usize, end: usize) -> Self {
        let bytes = text.as_bytes();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let before =
            bytes[..start].iter().rev().take(MAX_NAME_LEN).take_while(|byte| is_name(**byte) || **byte == b'.');
        let mut start = start - before.count();
        let end = end + bytes[end..].iter().take(MAX_NAME_LEN).take_while(|byte| is_name(**byte)).count();
        // `\npassword`, `\tpassword`: the letter belongs to the escape.
        let is_escape = start > 0 && bytes[start - 1] == b'\\' && matches!(bytes[start], b'n' | b't' | b'r');
        start += usize::from(is_escape);
        while start < end && matches!(bytes[start], b'.') {
            start += 1;
        }
        // `API key`
        if text[start..end].to_ascii_lowercase().trim_end_matches('s') == "key" {
            let before = [
                "api ",
                "access ",
                "secret ",
                "private ",
                "signing ",
                "encryption ",
                "account ",
                "master ",
                "wifi ",
                "wi-fi ",
                "wlan ",
                "wpa ",
                "wpa2 ",
                "wpa3 ",
                "wep ",
                "hotspot ",
                "network ",
                "pre-shared ",
            ];
            let is_before = |word: &&&str| {
                text.get(start.saturating_sub(word.len())..start).is_some_and(|part| part.eq_ignore_ascii_case(word))
            };
            start -= before.iter().find(is_before).map_or(0, |word| word.len());
        }
        Self { start, end, text: &text[start..end] }
    }

    fn kind(&self) -> Option<ValueKind> {
        classify_name(self.text)
    }
}

/// Words after that of a secret, which say which one it is.
const QUALIFIER_WORDS: [&str; 30] = [
    "prod",
    "production",
    "dev",
    "development",
    "stage",
    "staging",
    "test",
    "testing",
    "live",
    "sandbox",
    "old",
    "new",
    "backup",
    "bak",
    "default",
    "main",
    "local",
    "primary",
    "secondary",
    "val",
    "value",
    "plain",
    "plaintext",
    "raw",
    "current",
    "previous",
    "temp",
    "tmp",
    "b64",
    "base64",
];

/// The parts of secrets' names, in whatever case: one of them is in each word that [`kind`] knows.
const SECRET_NAME_PARTS: [&[u8]; 11] =
    [b"pass", b"phrase", b"pw", b"psk", b"pat", b"mnemonic", b"kennwort", b"key", b"secret", b"token", b"credential"];

/// Whether a name has one of [`SECRET_NAME_PARTS`], which is told faster than its words.
fn may_be_secret(name: &[u8]) -> bool {
    let has = |at: usize, part: &[u8]| name[at..].get(..part.len()).is_some_and(|it| it.eq_ignore_ascii_case(part));
    (0..name.len()).any(|at| {
        let is_first = matches!(name[at] | 0x20, b'p' | b'm' | b'k' | b's' | b't' | b'c');
        is_first && SECRET_NAME_PARTS.iter().any(|part| has(at, part))
    })
}

/// Returns the kind of value that a name of these words has, if it is a secret.
pub(super) fn classify_name(name: &str) -> Option<ValueKind> {
    if !may_be_secret(name.as_bytes()) {
        return None;
    }
    let words = words(name);
    let mut end = words.len();
    while end > 1 {
        let word = words[end - 1].as_str();
        let is_number = word.strip_prefix('v').unwrap_or(word).bytes().all(|byte| byte.is_ascii_digit());
        if !(is_number || QUALIFIER_WORDS.contains(&word)) {
            break;
        }
        end -= 1;
    }
    // `value` and `plain` of nothing.
    let last = words.get(end.checked_sub(1)?)?.trim_end_matches(|c: char| c.is_ascii_digit());
    let before = end.checked_sub(2).and_then(|at| words.get(at)).map_or("", String::as_str);
    let is_one = |whole: &[&str]| whole.contains(&last);
    let ends = |whole: &[&str]| whole.iter().any(|word| last.ends_with(word));
    if ends(&["passphrase", "mnemonic"]) || (last == "phrase" && matches!(before, "pass" | "seed" | "recovery")) {
        return Some(ValueKind::Phrase);
    }
    if ends(&["password", "passwords", "passwd", "passcode", "pwd", "passwort", "kennwort"]) {
        return Some(ValueKind::Password);
    }
    let is_glued = |end: &str| last.strip_suffix(end).is_some_and(|owner| OWNER_WORDS.contains(&owner));
    if is_one(&["pass", "pw", "psk"]) || (last == "word" && before == "pass") || is_glued("pass") || is_glued("pw") {
        // `two-pass`, `multi_pass`
        return (!matches!(before, "two" | "one" | "first" | "second" | "multi" | "single" | "by" | "render" | "next"))
            .then_some(ValueKind::Password);
    }
    if ends(&["secret", "secrets", "token", "tokens", "credential", "credentials", "apikey", "apikeys"])
        || is_one(&["secretkey", "accesskey", "privatekey", "authkey", "masterkey", "signingkey", "encryptionkey"])
        || (last == "base" && before == "key")
        || (last == "data" && name.ends_with("client-key-data"))
        || (last == "pat" && end > 1)
    {
        return Some(ValueKind::Token);
    }
    match (before, is_one(&["key", "keys"])) {
        (_, false) => None,
        ("wifi" | "fi" | "wlan" | "wpa" | "wpa2" | "wpa3" | "wep" | "hotspot" | "network", true) => {
            Some(ValueKind::Password)
        }
        (
            "api" | "access" | "secret" | "private" | "signing" | "encryption" | "account" | "auth" | "app" | "master"
            | "fernet" | "storage" | "license" | "preshared" | "jwt" | "unseal" | "token",
            true,
        ) => Some(ValueKind::Token),
        (
            "public" | "pub" | "primary" | "foreign" | "partition" | "sort" | "cache" | "row" | "publishable" | "",
            true,
        ) => None,
        (_, true) => Some(ValueKind::Key),
    }
}

/// The words before `pass` and `pw` in a name without a gap.
const OWNER_WORDS: [&str; 39] = [
    "require", "app", "rds", "db", "database", "user", "admin", "root", "ftp", "sftp", "smtp", "imap", "mail", "email",
    "my", "sql", "mysql", "pg", "postgres", "redis", "mongo", "proxy", "ssh", "vpn", "ldap", "wifi", "wlan", "sudo",
    "login", "key", "store", "bind", "http", "web", "api", "auth", "oc", "test", "default",
];

/// The words of a name, small: `dbPassword_2` has three.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut last = ' ';
    for c in name.chars() {
        let is_new = matches!(last, ' ' | '_' | '-' | '.') || (last.is_ascii_lowercase() && c.is_ascii_uppercase());
        if !matches!(c, ' ' | '_' | '-' | '.') {
            if is_new {
                words.push(String::new());
            }
            if let Some(word) = words.last_mut() {
                word.push(c.to_ascii_lowercase());
            }
        }
        last = c;
    }
    words
}

/// A place in a text, from which is read on.
struct TextPlace<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> TextPlace<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn eat(&mut self, start: &str) -> bool {
        let is_there = self.rest().starts_with(start);
        self.at += if is_there { start.len() } else { 0 };
        is_there
    }

    /// Passes over bytes of a kind, at most so many.
    fn pass(&mut self, most: usize, is: impl Fn(u8) -> bool) -> usize {
        let count = self.rest().bytes().take(most).take_while(|byte| is(*byte)).count();
        self.at += count;
        count
    }

    fn spaces(&mut self) -> usize {
        self.pass(8, |byte| matches!(byte, b' ' | b'\t'))
    }

    /// Spaces and ends of lines, where a value may begin in the next one.
    fn gap(&mut self) -> usize {
        self.pass(40, |byte| byte.is_ascii_whitespace())
    }

    /// Whether a quote follows.
    fn is_quote(&self) -> bool {
        !TextPlace { text: self.text, at: self.at }.quote().is_empty()
    }

    /// A quote, escaped or not. Returns it with what escapes it.
    fn quote(&mut self) -> &'a str {
        let start = self.at;
        self.pass(7, |byte| byte == b'\\');
        if matches!(self.peek(), b'"' | b'\'' | b'`') {
            self.at += 1;
            &self.text[start..self.at]
        } else {
            self.at = start;
            ""
        }
    }
}

/// The sign between a name and its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// `=`, `:=`, `=>`
    Equal,
    /// `:`
    Colon,
    /// `||`, `??`
    Or,
    /// A value in quotes must follow: a call, a list, the initial value of a type.
    Quoted,
    /// Beside the name in a list: the value must look like one.
    ListItem,
    /// An option before its value.
    Option,
}

/// The value of a name, if both are those of a secret.
// Long: the forms of a value, in the order in which they are tried.
fn value(text: &str, name: &Name<'_>) -> Option<Span> {
    let bytes = text.as_bytes();
    let mut at = TextPlace { text, at: name.end };
    let is_after_quote = name.start > 0 && matches!(bytes[name.start - 1], b'"' | b'\'' | b'`');
    let is_option = name.text.starts_with('-') && !name.text.ends_with('-');
    // What closes the name.
    let closing = at.quote();
    at.eat("]");
    at.pass(2, |byte| matches!(byte, b'*' | b'`' | b'_'));
    if !at.eat("?:") {
        at.eat("!");
    } else {
        at.at -= 1;
    }
    let before = at.at;
    let spaces = at.spaces();
    let mut is_spaced = spaces > 0;
    let sign = if at.eat("=>") || at.eat(":=") || at.eat("?=") || at.eat("<-") || at.eat("+=") {
        Some(Sign::Equal)
    } else if at.peek() == b'=' {
        at.pass(3, |byte| byte == b'=');
        Some(Sign::Equal)
    } else if at.eat("::") {
        return None;
    } else if at.eat(":") || at.eat("：") {
        Some(Sign::Colon)
    } else if at.eat("||") || at.eat("??") {
        Some(Sign::Or)
    } else {
        None
    };
    let mut sign = match sign {
        Some(sign) => sign,
        None => {
            at.at = before;
            apart(&mut at, name, is_after_quote && !closing.is_empty(), is_option)?
        }
    };
    // Most names have no value, and what stands behind them tells it faster than their words.
    let kind = name.kind()?;
    at.pass(2, |byte| byte == b'*');
    is_spaced |= at.spaces() > 0;
    // A value in the next line.
    if matches!(at.peek(), b'\n' | b'\r' | b'|' | b'>') && sign != Sign::Or {
        let start = at.at;
        at.pass(3, |byte| matches!(byte, b'|' | b'>' | b'-' | b'+' | b'1'..=b'9'));
        let is_block = is_spaced && at.at > start;
        at.spaces();
        let line = at.pass(2, |byte| matches!(byte, b'\n' | b'\r'));
        let is_indented = line > 0 && at.pass(40, |byte| matches!(byte, b' ' | b'\t')) > 0;
        let is_quoted = at.is_quote();
        let is_alone = || sign == Sign::Colon && is_alone(at.rest());
        if !(is_indented && (is_block || is_quoted || is_alone())) {
            at.at = start;
        } else if is_block && kind != ValueKind::Key {
            return block(text, at.at, name, kind);
        }
    }
    let typed = typed(&mut at, sign);
    if typed {
        sign = Sign::Equal;
    }
    wrapper(&mut at);
    let is_in_list = at.eat("[");
    if is_in_list {
        at.gap();
    }
    // `b"…"`, `r"…"`, `@"…"`, `E'…'`, `!!str …`, `&anchor …`
    let start = at.at;
    if at.eat("!!str ")
        || at.eat("!vault ")
        || (at.eat("&") && at.pass(20, |b| b.is_ascii_alphanumeric()) > 0 && at.spaces() > 0)
    {
    } else {
        at.at = start;
        at.pass(2, |byte| matches!(byte, b'b' | b'r' | b'f' | b'u' | b'L' | b'E' | b'N' | b'@' | b'#'));
        if !at.is_quote() {
            at.at = start;
        }
    }
    let quote = at.quote();
    if !quote.is_empty() {
        let span = quoted(text, at.at, quote, name, kind);
        return span.filter(|(start, end)| sign != Sign::ListItem || is_random_or_told(&text[*start..*end]));
    }
    if is_in_list || typed || matches!(sign, Sign::Quoted | Sign::Or | Sign::ListItem) {
        return None;
    }
    let start = at.at;
    if kind == ValueKind::Phrase
        && let Some(end) = phrase(text, start)
    {
        return Some((start, end));
    }
    let is_loose = is_spaced || sign == Sign::Colon;
    let end = bare_end(text, start, sign, closing.is_empty() && !typed);
    let bare = &text[start..end];
    is_bare_secret(bare, name, kind, is_loose, sign).then_some((start, end))
}

/// Whether a line has nothing but what could be a value: no name, no item of a list, no sentence.
fn is_alone(text: &str) -> bool {
    let line = text.split(['\n', '\r']).next().unwrap_or_default().trim_end();
    let is_odd = has_digit(line) && line.bytes().any(|byte| byte.is_ascii_alphabetic());
    is_odd
        && line.len() >= 6
        && line.bytes().all(|byte| byte.is_ascii_graphic())
        && !line.contains([':', ',', '"', '\'', '`', '\\'])
        && !line.starts_with(['-', '#', '/', '@', '.'])
        && !is_code(line)
        && !is_compound_word(line)
}

/// A value of several lines, as YAML has it: those that are as far from the edge as the first one.
fn block(text: &str, start: usize, name: &Name<'_>, kind: ValueKind) -> Option<Span> {
    let first = text[start..].split('\n').next().unwrap_or_default().trim_end();
    let edge = text[..start].bytes().rev().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let bare = first.trim_matches(['"', '\'']);
    // Its first line may have been taken out as what a sentence tells.
    if bare != REDACTED && (is_code(bare) || !is_bare_secret(bare, name, kind, false, Sign::Equal)) {
        return None;
    }
    let mut end = start + first.len();
    let mut at = start + text[start..].find('\n').map_or(text.len() - start, |line| line + 1);
    for line in text[at..].split('\n').take(40) {
        let inner = line.trim_start_matches([' ', '\t']);
        if inner.is_empty() || line.len() - inner.len() < edge {
            break;
        }
        end = at + line.trim_end().len();
        at += line.len() + 1;
    }
    Some((start, end))
}

/// Reads the text between a name and a value that are not parted by a sign.
fn apart(at: &mut TextPlace<'_>, name: &Name<'_>, is_closed: bool, is_option: bool) -> Option<Sign> {
    let start = at.at;
    // `"--password", "X"`, `("password", "X")`, `.arg("--token").arg("X")`
    if is_closed || is_option {
        if at.eat(").arg(") || at.eat(").args([") {
            return Some(Sign::Quoted);
        }
        at.spaces();
        let is_next = at.eat(",") || (is_option && at.gap() > 0 && at.eat("- "));
        if is_next && (is_option || !name.text.contains('.')) {
            at.gap();
            // `{"name": "PASSWORD", "value": "X"}`
            let start = at.at;
            at.quote();
            let is_value = at.eat("value") || at.eat("Value");
            at.quote();
            at.spaces();
            if is_value && (at.eat(":") || at.eat("=")) {
                at.spaces();
                return Some(Sign::Quoted);
            }
            at.at = start;
            // In a list without quotes, as YAML has them.
            let is_yaml = is_option && !at.is_quote();
            return Some(match (is_option, is_yaml) {
                (true, true) => Sign::Option,
                (true, false) => Sign::Quoted,
                (false, _) => Sign::ListItem,
            });
        }
        at.at = start;
        if is_option && !is_closed && at.spaces() > 0 {
            return Some(Sign::Option);
        }
        if is_closed && !is_option {
            return None;
        }
        at.at = start;
    }
    // `setPassword("X")`, `.password("X")`, `password{"X"}`
    if at.eat("(") || at.eat("{") {
        at.gap();
        return at.is_quote().then_some(Sign::ListItem);
    }
    // `password string = "X"`, `password [32] = "X"`, `password { get; set; } = "X"`, `(def password "X")`
    let spaces = at.spaces();
    if at.eat("[") {
        at.pass(8, |byte| byte.is_ascii_alphanumeric());
        at.eat("]").then_some(())?;
    } else if at.eat("{ get;") {
        at.pass(30, |byte| byte != b'}');
        at.eat("}").then_some(())?;
    } else if spaces > 0 && at.peek().is_ascii_alphabetic() {
        at.pass(24, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'*' | b'(' | b')'));
    } else if spaces > 0 && at.is_quote() {
        let before = at.text[..name.start].trim_end().rsplit(|c: char| c.is_whitespace()).next().unwrap_or_default();
        return matches!(before, "(def" | "(setq" | "(define" | "(defparameter" | "#define").then_some(Sign::Quoted);
    } else {
        return None;
    }
    at.spaces();
    let is_equal = at.eat("=") && at.peek() != b'=';
    is_equal.then_some(Sign::Quoted)
}

/// Passes over a type after a colon, if an initial value follows: `: string = `, `: Final[str] = `, `: &'static str = `.
fn typed(at: &mut TextPlace<'_>, sign: Sign) -> bool {
    if sign != Sign::Colon {
        return false;
    }
    let start = at.at;
    at.pass(60, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'&' | b'\'' | b'[' | b']' | b'<' | b'>' | b'.' | b':' | b'?' | b'|' | b' ' | b'*')
    });
    let named = at.text[start..at.at].trim();
    let is_type = named.starts_with(|c: char| c.is_ascii_alphabetic() || c == '&') && named.len() < 50;
    if is_type && at.eat("=") && at.peek() != b'=' {
        at.spaces();
        if at.is_quote() || at.peek().is_ascii_alphabetic() {
            return true;
        }
    }
    at.at = start;
    false
}

/// Passes over calls that only wrap a value: `Some(`, `String::from(`, `new SecureString(`, `Secret(`.
fn wrapper(at: &mut TextPlace<'_>) {
    for _ in 0..3 {
        let start = at.at;
        at.eat("new ");
        let length = at.pass(40, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.'));
        let is_call = length > 0 && at.eat("(");
        let called = at.text[start..at.at].trim_end_matches('(').rsplit(['.', ':', ' ']).next().unwrap_or_default();
        let is_kept = is_call
            && matches!(
                called,
                "Some"
                    | "from"
                    | "String"
                    | "Secret"
                    | "SecretStr"
                    | "SecretString"
                    | "SecureString"
                    | "SecretText"
                    | "str"
                    | "string"
                    | "Just"
                    | "Ok"
                    | "of"
                    | "bytes"
                    | "Buffer"
            );
        if !is_kept {
            at.at = start;
            return;
        }
    }
}

/// A value in quotes, of which the last may be missing at the end of the text.
fn quoted(text: &str, start: usize, quote: &str, name: &Name<'_>, kind: ValueKind) -> Option<Span> {
    let bytes = text.as_bytes();
    let sign = *quote.as_bytes().last()?;
    let mut end = start;
    let is_whole = loop {
        match bytes.get(end) {
            None => break false,
            Some(b'\n') => return None,
            Some(byte) if *byte == sign => {
                // Of a quote that is escaped as the first one is, and not one of the value's own.
                let escapes = bytes[start..end].iter().rev().take_while(|byte| **byte == b'\\').count();
                if escapes < quote.len() || (quote.len() == 1 && escapes % 2 == 0) {
                    end -= escapes.min(quote.len() - 1);
                    break true;
                }
                end += 1;
            }
            Some(_) => end += 1,
        }
    };
    let inner = text.get(start..end)?;
    // `password="abc`
    if !is_whole && (sign != b'"' || inner.len() > 200) {
        return None;
    }
    let is_secret = inner.len() >= 3 && is_value(inner) && fits(inner, name, kind);
    is_secret.then_some((start, end))
}

/// Whether a value may belong to a name of this kind.
fn fits(value: &str, name: &Name<'_>, kind: ValueKind) -> bool {
    let plain = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    // A placeholder, or the name of a field.
    if plain(value) == plain(name.text) {
        return false;
    }
    if kind == ValueKind::Key {
        return is_random(value);
    }
    // The number of secrets may be known.
    if name.text.ends_with(['s', 'S']) && value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return false;
    }
    // A sentence about it: `password: "Enter your password"`
    let is_sentence = value.contains(' ') && {
        let lower = value.to_ascii_lowercase();
        ["password", "token", "secret", "key", "credential", "passphrase"].iter().any(|word| lower.contains(word))
    };
    !is_sentence
}

/// Whether it is put together from words, as names in code are: `X509RequestFlags`, `KEY_TYPE_1`, `a-key-of-32-bytes`.
pub(super) fn is_compound_word(text: &str) -> bool {
    let (mut run, mut longest) = (0, 0);
    for byte in text.bytes() {
        run = if byte.is_ascii_lowercase() { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_constant = text.contains('_') && !text.bytes().any(|byte| byte.is_ascii_lowercase());
    let words = text
        .split(['-', '_', '.', '/', ':'])
        .filter(|part| part.len() >= 2 && part.bytes().all(|b| b.is_ascii_alphabetic()));
    (longest >= 6 && text.len() >= 12 && digits * 8 < text.len()) || is_constant || words.count() >= 3
}

/// Whether a value looks drawn at random: long, of several kinds of letters, and not one of a language.
fn is_random(value: &str) -> bool {
    let is_of =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'.' | b'~');
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    value.len() >= 16
        && !is_compound_word(value)
        && value.bytes().all(is_of)
        && digits >= 1
        && entropy(value) >= 3.0
        && (is_mixed(value) || value.len() >= 20)
}

/// Whether a value beside a name is one, and not another name.
fn is_random_or_told(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    value.len() >= 8
        && digits >= 2
        && !value.contains(char::is_whitespace)
        && (is_mixed(value) || digits >= 4 || value.len() >= 12)
}

/// Where a value without quotes ends. A sign that could end it does not where the value goes on behind it.
fn bare_end(text: &str, start: usize, sign: Sign, is_open: bool) -> usize {
    let bytes = text.as_bytes();
    let is_over = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`' | b'\\');
    let whole = start + bytes[start..].iter().take(4096).take_while(|byte| !is_over(**byte)).count();
    let is_end = |byte: u8| matches!(byte, b',' | b';' | b'&' | b')' | b'}' | b']' | b'|' | b'<');
    let mut end = start;
    while end < whole {
        if !is_end(bytes[end]) {
            end += 1;
            continue;
        }
        // At its very end, it closes something else.
        let rest = bytes[end..whole].iter().take_while(|byte| is_end(**byte)).count();
        let next = end + rest;
        if next >= whole
            || next == start + rest
            || !is_open
            || bytes[end] == b'<' && rest == 1 && bytes.get(next) == Some(&b'/')
        {
            break;
        }
        // `&user=me`, `;Database=x`, `,user:me`: another name.
        let name = bytes[next..whole]
            .iter()
            .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b' '))
            .count();
        let after = bytes.get(next + name).copied().unwrap_or(0);
        let is_pair = name > 0 && next + name < whole && matches!(after, b'=' | b':');
        let is_call = sign == Sign::Equal && name > 0 && after == b'(';
        if is_pair
            || is_call
            || bytes[next..whole].starts_with(b"--")
            || bytes[end..whole].starts_with(b"&&")
            || bytes[end..whole].starts_with(b"||")
        {
            break;
        }
        // `f(token=a,b)`: other values, of which none has a digit.
        let is_list = bytes[end] != b'&' && !has_digit(&text[start..whole]);
        if is_list {
            break;
        }
        end = next;
    }
    // The end of a word may be within a character.
    text.floor_char_boundary(end)
}

/// Whether a value without quotes is one, and not a word, an expression or a type.
fn is_bare_secret(bare: &str, name: &Name<'_>, kind: ValueKind, is_loose: bool, sign: Sign) -> bool {
    if bare.len() < 3 || !is_value(bare) || !fits(bare, name, kind) {
        return false;
    }
    let is_password = matches!(kind, ValueKind::Password | ValueKind::Phrase);
    if sign == Sign::Option {
        return !bare.starts_with('-') && !is_prose(bare) && (is_password || has_digit(bare) || bare.len() >= 12);
    }
    // `token: the next word`, `key = other_name`
    if is_loose
        && (is_code(bare) || (!is_password && (is_compound_word(bare) || (!has_digit(bare) && bare.len() < 20))))
    {
        return false;
    }
    // `password=self.password`, `token=next_token`: names, and no values.
    let is_name = bare.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'_' | b'.')) && bare.contains(['_', '.']);
    if is_name && classify_name(bare).is_some() {
        return false;
    }
    let lower = name.text.to_ascii_lowercase();
    // A word that follows is one of a sentence.
    if is_loose && lower.ends_with("wort") && bare.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return false;
    }
    // `PASS: test_name`, `pass: 12`
    let is_result = is_loose && lower == "pass" && (name.text != "pass" || is_amount(bare) || !has_digit(bare));
    !is_result
}

/// Whether it is a word that follows an option in a sentence.
fn is_prose(word: &str) -> bool {
    [
        "flag",
        "flags",
        "option",
        "options",
        "argument",
        "parameter",
        "and",
        "with",
        "for",
        "instead",
        "from",
        "must",
        "can",
        "is",
        "are",
        "was",
    ]
    .contains(&word)
}

/// Four to 24 small words to the end of a line, as phrases at random have them. Returns their end.
fn phrase(text: &str, start: usize) -> Option<usize> {
    let line = text[start..].split(['\n', '"', '\'', '`', '\\']).next()?.trim_end();
    let words: Vec<&str> = line.split(' ').collect();
    let is_word = |word: &&str| (2..=12).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_of_sentence = |word: &&str| {
        [
            "the", "is", "of", "that", "for", "your", "to", "and", "or", "in", "with", "this", "not", "you", "if",
            "from", "it", "be",
        ]
        .contains(word)
    };
    let is_phrase = (4..=24).contains(&words.len()) && words.iter().all(|word| is_word(word) && !is_of_sentence(word));
    is_phrase.then_some(start + line.len())
}

/// Whether it stands for a value, as a variable, a place to fill in or a word of a description do.
fn is_stand_in(text: &str) -> bool {
    let is_masked = text.bytes().all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'_' | b'?'));
    let is_taken = text.contains(REDACTED) || text == &REDACTED[..REDACTED.len() - 1];
    is_masked || is_taken || text.starts_with("...") || is_placeholder(text)
}

/// Whether a text can be a value: it may begin with any sign, if it has no form of a reference.
fn is_value(text: &str) -> bool {
    let is_reference = text.starts_with(['$', '<', '{', '%', '&', '*', '(', '[', '#', '|', ':']);
    !is_stand_in(text) && (!is_reference || is_sign_and_value(text))
}

/// Whether what begins with a sign is a value all the same: it has a digit, and no form of a reference.
fn is_sign_and_value(text: &str) -> bool {
    let inner = &text[1..];
    let is_identifier = inner.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':'));
    let digits = inner.bytes().filter(u8::is_ascii_digit).count();
    let is_form = match text.as_bytes()[0] {
        b'$' => inner.starts_with(['{', '(']) || (is_identifier && digits < 3),
        b'<' => text.contains('>'),
        b'{' => text.contains('}') || inner.starts_with('{'),
        b'[' => text.contains(']'),
        b'(' => text.contains(')'),
        b'%' => text.len() < 5 || inner.ends_with('%') || inner.starts_with(['(', '{']),
        b'#' => inner.starts_with('{'),
        b':' | b'&' | b'*' => is_identifier && digits < 3,
        _ => false,
    };
    inner.len() >= 5 && has_digit(inner) && !is_form && !text.contains(char::is_whitespace)
}

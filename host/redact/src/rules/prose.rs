//! Secrets that sentences tell, in the languages that people write in: the word for one, and near it what no language has.

use super::text::{REDACTED, Span, has_digit, is_mixed};

/// Words for secrets. A sentence tells one near such a word.
pub(super) const SECRET_WORDS: &[&str] = &[
    "password",
    "passwd",
    "passcode",
    "passphrase",
    "pass",
    "pwd",
    "pw",
    "creds",
    "credentials",
    "api key",
    "api-key",
    "access key",
    "master key",
    "encryption key",
    "secret key",
    "private key",
    "signing key",
    "token",
    "secret",
    "recovery code",
    "login",
    "user/pass",
    "passwort",
    "paßwort",
    "kennwort",
    "wifi key",
    "wlan key",
    "network key",
    "mot de passe",
    "mdp",
    "contraseña",
    "contrasena",
    "clave",
    "senha",
    "palavra-passe",
    "parola",
    "wachtwoord",
    "hasło",
    "haslo",
    "lösenord",
    "adgangskode",
    "passord",
    "salasana",
    "heslo",
    "jelszó",
    "şifre",
    "sifre",
    "пароль",
    "Пароль",
    "κωδικός",
    "Κωδικός",
    "κωδικός",
    "סיסמה",
    "סיסמא",
    "كلمة المرور",
    "كلمة السر",
    "密码",
    "密碼",
    "口令",
    "パスワード",
    "暗証番号",
    "비밀번호",
    "암호",
    "mật khẩu",
    "Mật khẩu",
    "รหัสผ่าน",
    "पासवर्ड",
    "kata sandi",
    "şifreniz",
    "лозинка",
    "парола",
];

/// How many words may stand between.
const MAX_WORDS_BETWEEN: usize = 6;

/// Returns the secrets that sentences tell near these words.
pub(super) fn find_secrets(text: &str, near: &[Span]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for (number, (start, end)) in near.iter().copied().enumerate() {
        // `pass` of `password`
        let is_part = near.get(number + 1).is_some_and(|next| next.0 == start)
            || !text.is_char_boundary(start)
            || !text.is_char_boundary(end);
        if is_part {
            continue;
        }
        let bytes = text.as_bytes();
        let is_word = |byte: Option<&u8>| {
            byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/'))
        };
        // Names in code are looked at elsewhere.
        let is_ascii = text[start..end].is_ascii();
        if is_ascii
            && (is_word(start.checked_sub(1).and_then(|at| bytes.get(at)))
                || is_word(
                    bytes
                        .get(end + usize::from(bytes.get(end) == Some(&b's')))
                        .filter(|byte| !matches!(byte, b'.' | b'-' | b'/')),
                ))
        {
            continue;
        }
        if let Some(span) = after(text, end).or_else(|| before(text, start))
            && spans.last().is_none_or(|last| last.1 <= span.0)
        {
            spans.push(span);
        }
    }
    spans
}

/// Words of a stretch, with where they begin: signs around them are left out.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_of =
        |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'|' | b'\\');
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = line.as_bytes().get(at..)?;
        let start = at + rest.iter().position(is_of)?;
        at = start + line.as_bytes()[start..].iter().take_while(|byte| is_of(byte)).count();
        Some((start, &line[start..at]))
    })
}

fn after(text: &str, from: usize) -> Option<Span> {
    let rest = &text.as_bytes()[from..(from + 400).min(text.len())];
    let end = memchr::memchr2(b'\n', b'|', rest).unwrap_or(rest.len());
    let line = text[from..text.floor_char_boundary(from + end)].split('│').next().unwrap_or_default();
    for (number, (at, word)) in words(line).take(MAX_WORDS_BETWEEN + 1).enumerate() {
        // The rest of its own word, as an ending: `kata sandinya`.
        if number == 0 && at == 0 && word.bytes().all(|byte| byte.is_ascii_lowercase()) {
            continue;
        }
        if let Some((start, end)) = told(word) {
            return Some((from + at + start, from + at + end));
        }
        let is_leader = word.bytes().all(|byte| byte == b'.');
        let is_end =
            !is_leader && word.ends_with(['.', ';', '?', '!']) || word.contains(REDACTED) || word.starts_with("//");
        let is_code = word.contains(['(', '{', '=']) && word.len() > 2;
        if is_end || is_code {
            return None;
        }
    }
    None
}

/// `X is the password`, `use X as my token`
fn before(text: &str, to: usize) -> Option<Span> {
    let mut from = to.saturating_sub(300);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let line = text[from..to].rsplit('\n').next().unwrap_or_default();
    let from = to - line.len();
    let all: Vec<(usize, &str)> = words(line).collect();
    let mut rest = all
        .iter()
        .rev()
        .skip_while(|(_, word)| matches!(*word, "the" | "my" | "your" | "our" | "a" | "new" | "root" | "admin"));
    let (_, link) = rest.next()?;
    if !matches!(*link, "is" | "as" | "was" | "=") {
        return None;
    }
    let (at, word) = rest.next()?;
    told(word).map(|(start, end)| (from + at + start, from + at + end))
}

/// Returns the secret in a word: a run that has digits, and changes between kinds of letters as words do not.
fn told(word: &str) -> Option<Span> {
    let trimmed = word.trim_matches(|c: char| {
        matches!(c, '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '[' | ']' | '{' | '}' | '*' | '…')
    });
    let mut start = word.find(trimmed).filter(|_| !trimmed.is_empty())?;
    let mut value = trimmed;
    // `admin/X`, `me:X`
    if let Some((owner, rest)) = value.split_once(['/', ':'])
        && (1..=20).contains(&owner.len())
        && owner.bytes().all(|byte| byte.is_ascii_lowercase())
    {
        start += owner.len() + 1;
        value = rest;
    }
    let is_address = value.contains("://")
        || value.contains("..")
        || value.split_once('@').is_some_and(|(_, host)| host.contains('.'));
    let is_place = value.contains(['/', '(', ')', '[', ']', '<', '>', '{', '}', '\\', ',']);
    if value.len() < 8
        || is_address
        || is_place
        || value.contains(REDACTED)
        || value.starts_with(['-', '$', '%', '@', '#'])
    {
        return None;
    }
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let changes = value.as_bytes().windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    let has_letters = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    let is_constant = value.contains('_') && !value.bytes().any(|byte| byte.is_ascii_lowercase());
    // Commits, identifiers and dates have no large letters.
    let is_secret = has_digit(value)
        && has_letters
        && changes >= 5
        && !value.contains("::")
        && !is_constant
        && is_mixed(value)
        && value.bytes().filter(|byte| kind(*byte) == 3).count() <= 3;
    is_secret.then_some((start, start + value.len()))
}

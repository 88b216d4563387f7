//! Values that are never shown, and how to recognize them.

use std::fmt;

use zeroize::Zeroize;

/// A value that must stay hidden: it has no `Display` or `Serialize`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it: a header, a variable of a CLI.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // Best effort: copies elsewhere stay.
        self.0.zeroize();
    }
}

/// The shortest value that is taken out of a server's words: a shorter one is in many of them.
const MIN_ECHO_LEN: usize = 4;

/// Returns the words of a server without values that were sent to it, as they are and as a form encodes them.
pub fn redact_echoed_values<'a>(words: &str, values: impl IntoIterator<Item = &'a str>) -> String {
    let values = values.into_iter().filter(|value| value.len() >= MIN_ECHO_LEN);
    let forms = |value: &str| {
        let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
        // A blank is written in two ways, and so are the digits behind a percent sign.
        let spaced = encoded.replace('+', "%20");
        // `encodeURIComponent` leaves some characters as they are.
        let bare = [("%21", "!"), ("%27", "'"), ("%28", "("), ("%29", ")"), ("%7E", "~")];
        let component = bare.iter().fold(spaced.clone(), |text, (code, plain)| text.replace(code, plain));
        let unreserved = spaced.replace("%7E", "~").replace('*', "%2A");
        let mut forms = vec![value.to_owned()];
        for form in [encoded, spaced, component, unreserved] {
            forms.extend([with_small_digits(&form), form]);
        }
        forms
    };
    let mut forms: Vec<String> = values.flat_map(forms).collect();
    // One value may begin with another.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms.iter().fold(words.to_owned(), |words, form| words.replace(form.as_str(), "[secret]"))
}

/// Returns text of percent encoding with its hexadecimal digits in lowercase.
fn with_small_digits(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
        text.extend(["%", &digits.to_ascii_lowercase(), rest]);
    }
    text
}

/// Whether a variable's name suggests that its value is a secret.
pub fn is_secret_name(name: &str) -> bool {
    const SECRET_NAME_PARTS: [&str; 17] = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PASS",
        "PWD",
        "PW",
        "CREDENTIAL",
        "CREDENTIALS",
        "KEY",
        "APIKEY",
        "PAT",
        "JWT",
        "COOKIE",
        "AUTH",
        "BEARER",
    ];
    const PARTS: [&str; 10] = [
        "TOKEN",
        "SECRET",
        "PASSW",
        "APIKEY",
        "CREDENTIAL",
        "PRIVATEKEY",
        "ACCESSKEY",
        "MNEMONIC",
        "SEED_PHRASE",
        "SEEDPHRASE",
    ];
    let name = name.to_ascii_uppercase();
    // A number of tokens: `MAX_THINKING_TOKENS`.
    if name.ends_with("_TOKENS") && name.split('_').any(|word| word == "MAX") {
        return false;
    }
    // `GIT_AUTHOR_NAME` contains none of these words; `BASIC_AUTH` contains one.
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| SECRET_NAME_PARTS.contains(&word) || is_secret_compound(word))
        || PARTS.iter().any(|part| name.contains(part))
        || is_webhook(&name)
}

/// Whether a word in capitals has a word for a secret at its end, as `DBPASS` and `FILEKEY` do.
fn is_secret_compound(word: &str) -> bool {
    const SECRET_SUFFIXES: [&str; 4] = ["KEY", "PASS", "PWD", "CREDS"];
    const SECRET_WORDS: [&str; 20] = [
        "ASKPASS",
        "BANDPASS",
        "BYPASS",
        "COMPASS",
        "DONKEY",
        "ENCOMPASS",
        "HIGHPASS",
        "HOCKEY",
        "HOTKEY",
        "JOCKEY",
        "LACKEY",
        "LOWPASS",
        "MONKEY",
        "OLDPWD",
        "OVERPASS",
        "SURPASS",
        "TRESPASS",
        "TURKEY",
        "UNDERPASS",
        "WHISKEY",
    ];
    SECRET_SUFFIXES.iter().any(|end| word.ends_with(end)) && !SECRET_WORDS.contains(&word)
}

/// Whether a name in capitals says that its value is the address of a webhook, which is all that posting there takes.
fn is_webhook(name: &str) -> bool {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let mut stems = words.rev().map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let last = stems.find(|stem| !matches!(*stem, "" | "URL" | "URI" | "ENDPOINT"));
    last.is_some_and(|stem| ["WEBHOOK", "WEBHOOKS", "WEBHOOKURL"].iter().any(|end| stem.ends_with(end)))
}

/// Whether a value looks like a secret, whatever its name: a URL with credentials or a query that names one, the
/// beginning of a well-known token, a long run of mixed characters.
pub fn is_secret_value(value: &str) -> bool {
    const SECRET_PREFIXES: [&str; 12] =
        ["sk-", "pk-", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xox", "AKIA", "AIza", "eyJ", "-----BEGIN"];
    value.split_whitespace().any(|word| {
        if let Ok(url) = url::Url::parse(word)
            && url.has_host()
        {
            let credentials =
                url.password().is_some() || (!url.username().is_empty() && url.scheme().starts_with("http"));
            return credentials || url.query_pairs().any(|(key, _)| is_secret_name(&key));
        }
        let any = |of: fn(&u8) -> bool| word.bytes().any(|b| of(&b));
        let path = word.starts_with(['/', '.', '~']);
        let mixed = any(u8::is_ascii_uppercase) && any(u8::is_ascii_lowercase) && any(u8::is_ascii_digit);
        // A digest, or a key in hexadecimal.
        let run = word.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| {
            part.len() >= 24
                && part.bytes().any(|b| b.is_ascii_digit())
                && part.bytes().any(|b| b.is_ascii_alphabetic())
        });
        SECRET_PREFIXES.iter().any(|beginning| word.starts_with(beginning))
            || (!path && ((word.len() >= 24 && mixed) || run))
    })
}

/// Whether a word is a key by its beginning: `ghp_…`, not `sk-learn`.
pub fn is_secret_token(piece: &str) -> bool {
    const SECRET_TOKEN_PREFIXES: [&str; 11] =
        ["sk-", "pk-", "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "xox", "AKIA", "AIza", "eyJ"];
    let is_random = |part: &str| {
        part.len() >= 12 && part.bytes().any(|b| b.is_ascii_digit()) && part.bytes().any(|b| b.is_ascii_alphabetic())
    };
    SECRET_TOKEN_PREFIXES.iter().any(|beginning| piece.starts_with(beginning))
        && piece.split(|c: char| !c.is_ascii_alphanumeric()).any(is_random)
}

/// Whether a variable holds a secret, by its name or by its value.
pub fn is_secret(name: &str, value: &str) -> bool {
    is_secret_name(name) || is_secret_value(value)
}

/// Whether the value of a variable is a key, which belongs in the vault: its name or its looks say so, and it is not
/// something public or a way to find a key.
pub fn is_credential(name: &str, value: &str) -> bool {
    is_secret(name, value) && !is_setting(name, value) && !is_revision(name, value)
}

/// Whether a value only belongs to a secret: `TOKENIZERS_PARALLELISM=false`, `TOKEN_LIMIT=1000`, `PASSWORD_FILE=/x`,
/// `--max-tokens 4096`, `--auth oauth2`.
pub fn is_setting(name: &str, value: &str) -> bool {
    const PARTS: [&str; 15] = [
        "FILE",
        "PATH",
        "DIR",
        "NAME",
        "LIMIT",
        "MODE",
        "TYPE",
        "PARALLELISM",
        "TTL",
        "TIMEOUT",
        "URL",
        "ENABLED",
        "COMMAND",
        "CMD",
        "HELPER",
    ];
    /// Ways to authenticate.
    const AUTH_METHODS: [&str; 12] = [
        "apikey", "api-key", "api_key", "basic", "bearer", "digest", "kerberos", "none", "ntlm", "oauth", "oauth2",
        "oidc",
    ];
    let last = last_word(name);
    let is_word = matches!(value, "true" | "false" | "yes" | "no" | "on" | "off");
    let is_way = last == "AUTH" && AUTH_METHODS.contains(&value.to_ascii_lowercase().as_str());
    let is_count = last == "TOKENS" && value.bytes().all(|b| b.is_ascii_digit());
    let is_named = PARTS.contains(&last.as_str()) && !is_webhook(&name.to_ascii_uppercase());
    !is_secret_value(value) && (is_word || is_way || is_count || is_named || is_path_value(value))
}

/// Whether a value is the path of a file, and not a key that begins like one: every 64th key in base64 begins with `/`.
pub fn is_path_value(value: &str) -> bool {
    let is_random = |part: &str| {
        let has = |is: fn(&u8) -> bool| part.as_bytes().iter().any(is);
        part.len() >= 16
            && !part.contains(['.', '-', '_', ' '])
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_uppercase)
    };
    value.starts_with(['/', '.', '~'])
        && !value.contains(['+', '='])
        && !value.trim_start_matches(['/', '.', '~']).split('/').any(is_random)
}

/// Whether a value is the digest of something public, which its name says: `COMMIT=<40 digits>`.
pub fn is_revision(name: &str, value: &str) -> bool {
    const NAMES: [&str; 8] = ["CHECKSUM", "COMMIT", "DIGEST", "REF", "REV", "REVISION", "SHA", "SHA256"];
    let is_digest = matches!(value.len(), 40 | 64) && value.bytes().all(|b| b.is_ascii_hexdigit());
    is_digest && !is_secret_name(name) && NAMES.contains(&last_word(name).as_str())
}

/// The last word of a name, in capitals: of `GITHUB_TOKEN` and `--github-token` `TOKEN`.
fn last_word(name: &str) -> String {
    name.rsplit(['_', '-']).next().unwrap_or_default().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_that_was_sent_stays_in_a_servers_words() {
        for (words, wanted) in [
            ("client_secret=s3cr+t/x was wrong", "client_secret=[secret] was wrong"),
            ("got s3cr%2Bt%2Fx and s3cr%2bt%2fx", "got [secret] and [secret]"),
            ("s3cr+t/x-long, s3cr+t/x", "[secret], [secret]"),
            ("S3cr%2bT%20x S3cr%2bT+x S3cr%2BT%20x S3cr+T x", "[secret] [secret] [secret] [secret]"),
            ("s3cr~t%2Fx s3cr%7Et%2Fx s3cr~t%2fx", "[secret] [secret] [secret]"),
            ("ab stays", "ab stays"),
            ("", ""),
        ] {
            assert_eq!(
                redact_echoed_values(words, ["s3cr+t/x", "s3cr+t/x-long", "S3cr+T x", "s3cr~t/x", "ab", ""]),
                wanted
            );
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Secret::new("sk-1"))), "Some(Secret(…))");
    }

    #[test]
    fn a_key_that_begins_like_a_path_is_no_path() {
        for path in [
            "/run/secrets/db",
            "~/.ssh/id_ed25519",
            "./key",
            "../x/Y9.pem",
            "/etc/ssl/Cert1",
            "/srv/app-2/Config_1.json",
        ] {
            assert!(is_path_value(path) && is_setting("API_KEY", path), "{path}");
        }
        for key in [
            "/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "/aB3dE6gH9jK2mN5pQ8sT",
            "~aB3dE6gH9jK2mN5pQ8sT=",
            "/a/aB3dE6gH9jK2mN5pQ8sT/b",
        ] {
            assert!(!is_path_value(key) && is_credential("API_KEY", key), "{key}");
        }
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in
            ["GITHUB_PERSONAL_ACCESS_TOKEN", "API_KEY", "x_apikey", "DB_PASSWORD", "GH_PAT", "BASIC_AUTH", "DB_PW"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "dbpass",
            "DB_DBPASS",
            "FILEKEY",
            "fileKey",
            "sshkey",
            "DBPWD",
            "AWS_CREDS",
            "WEBHOOK",
            "SLACK_WEBHOOK_URL",
            "discordWebhook",
            "WEBHOOK_2",
            "TEAMS_WEBHOOKS",
            "WEBHOOK_URI",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "REGION",
            "KEYBOARD",
            "HOST",
            "PATH",
            "MONKEY_URL",
            "GIT_AUTHOR_NAME",
            "MAX_THINKING_TOKENS",
            "BYPASS",
            "compass",
            "SSH_ASKPASS",
            "OLDPWD",
            "HOTKEY",
            "WEBHOOK_PORT",
            "WEBHOOK_ENABLED",
            "PASSENGER",
            "URL",
            "",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_key_is_a_value_and_not_what_leads_to_one() {
        for (name, value) in [
            ("API_KEY", "hunter2"),
            ("DATABASE_URL", "postgres://u:p@h/d"),
            ("PLAIN", "ghp_0123"),
            ("TOKEN_URL", "https://h/?api_key=x"),
            ("SLACK_WEBHOOK_URL", "https://hooks.example/services/T0/B0"),
            ("dbpass", "hunter2"),
        ] {
            assert!(is_credential(name, value), "{name}");
        }
        for (name, value) in [
            ("REGION", "eu"),
            ("PASSWORD_FILE", "/run/secrets/x"),
            ("TOKENIZERS_PARALLELISM", "false"),
            ("BASIC_AUTH", "oauth2"),
            ("COMMIT", "0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c01234567"),
            ("API_KEY", "/etc/key"),
        ] {
            assert!(!is_credential(name, value), "{name}");
        }
    }

    #[test]
    fn values_that_look_like_secrets_are_known() {
        for value in [
            "postgres://u:p@h/d",
            "ghp_0123",
            "sk-ant-x",
            "0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c",
            "eyJhbGciOi",
            "Bearer ghp_0123",
            "https://t@h/x",
            "https://h/?api_key=x",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCY",
        ] {
            assert!(is_secret_value(value), "{value}");
        }
        for value in [
            "eu-west-1",
            "https://example.com/a",
            "/home/me/notes",
            "true",
            "3000",
            "a longer text of words",
            "my-project-name-2024-production",
            "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
            "/srv/Team/Projects2024/a/b/c",
        ] {
            assert!(!is_secret_value(value), "{value}");
        }
    }
}

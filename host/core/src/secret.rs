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

/// Whether a variable's name suggests that its value is a secret.
pub fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 17] = [
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
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
        || PARTS.iter().any(|part| name.contains(part))
}

/// Whether a value looks like a secret, whatever its name: a URL with credentials or a query that names one, the
/// beginning of a well-known token, a long run of mixed characters.
pub fn is_secret_value(value: &str) -> bool {
    const BEGINNINGS: [&str; 12] =
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
        BEGINNINGS.iter().any(|beginning| word.starts_with(beginning))
            || (!path && ((word.len() >= 24 && mixed) || run))
    })
}

/// Whether a variable holds a secret, by its name or by its value.
pub fn is_secret(name: &str, value: &str) -> bool {
    is_secret_name(name) || is_secret_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        assert_eq!(format!("{:?}", Some(Secret::new("sk-1"))), "Some(Secret(…))");
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in
            ["GITHUB_PERSONAL_ACCESS_TOKEN", "API_KEY", "x_apikey", "DB_PASSWORD", "GH_PAT", "BASIC_AUTH", "DB_PW"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["REGION", "KEYBOARD", "HOST", "PATH", "MONKEY_URL", "GIT_AUTHOR_NAME", "MAX_THINKING_TOKENS"] {
            assert!(!is_secret_name(name), "{name}");
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

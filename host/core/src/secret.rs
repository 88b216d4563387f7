use std::fmt;

/// A value that must not be seen: it has no `Display` and no `Serialize`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value into keeping.
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
        // Best effort: what was copied elsewhere stays there.
        let mut bytes = std::mem::take(&mut self.0).into_bytes();
        bytes.fill(0);
        std::hint::black_box(&bytes);
    }
}

/// Whether a variable's name says that its value is a secret.
pub fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 16] = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PASS",
        "PWD",
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
    const PARTS: [&str; 5] = ["TOKEN", "SECRET", "PASSW", "APIKEY", "CREDENTIAL"];
    let name = name.to_ascii_uppercase();
    // `GIT_AUTHOR_NAME` has no word of these, `BASIC_AUTH` has one.
    name.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| WORDS.contains(&word))
        || PARTS.iter().any(|part| name.contains(part))
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
        for name in ["GITHUB_PERSONAL_ACCESS_TOKEN", "API_KEY", "x_apikey", "DB_PASSWORD", "GH_PAT", "BASIC_AUTH"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["REGION", "KEYBOARD", "HOST", "PATH", "MONKEY_URL", "GIT_AUTHOR_NAME"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}

//! Names that are always valid: they are checked once, when they are read.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hidden::is_unsafe_in_line;
use crate::path::is_windows_device;
use crate::secret::is_secret_name;
use crate::variables::is_code_loading;

/// A name that does not follow the rules of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} `{}` {reason}", crate::one_line(.name, 80))]
pub struct InvalidName {
    /// The expected kind of name.
    pub kind: &'static str,
    /// The given text.
    pub name: String,
    /// The rule that it breaks.
    pub reason: &'static str,
}

/// Claude Desktop's rule for names: at most 128 of `[A-Za-z0-9._-]`, starting with an alphanumeric. They become
/// directory names, so Windows devices and trailing dots are also refused.
fn check_name(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let why = if name.is_empty() {
        "is empty"
    } else if name.len() > 128 {
        "is longer than 128 characters"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        "has characters other than letters, digits, `.`, `_` and `-`"
    } else if !name.as_bytes()[0].is_ascii_alphanumeric() {
        "does not begin with a letter or a digit"
    } else if name.ends_with('.') {
        "ends with a dot"
    } else if is_windows_device(name) {
        "is a device name on Windows"
    } else {
        return Ok(());
    };
    Err(InvalidName { kind: what, name: name.to_owned(), reason: why })
}

fn check_extension_id(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let why = if name.is_empty() || name.len() > 64 {
        "is not 1 to 64 characters long"
    } else if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        "has characters other than lowercase letters, digits and `-`"
    } else if !name.as_bytes()[0].is_ascii_lowercase() {
        "does not begin with a letter"
    } else if is_windows_device(name) {
        "is a device name on Windows"
    } else {
        return Ok(());
    };
    Err(InvalidName { kind: what, name: name.to_owned(), reason: why })
}

fn check_word(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    match fits {
        true => Ok(()),
        false => Err(InvalidName {
            kind: what,
            name: name.to_owned(),
            reason: "is not 1 to 64 lowercase letters, digits and `-`",
        }),
    }
}

fn check_workflow(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let fits = (1..=48).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
        && !is_windows_device(name);
    match fits {
        true => Ok(()),
        false => Err(InvalidName {
            kind: what,
            name: name.to_owned(),
            reason: "is not 1 to 48 lowercase letters, digits, `_` and `-` that begin with a letter",
        }),
    }
}

fn check_env(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let why = if name.is_empty() || name.len() > 256 {
        "is not 1 to 256 characters long"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        "has characters other than letters, digits and `_`"
    } else if name.as_bytes()[0].is_ascii_digit() {
        "begins with a digit"
    } else {
        return Ok(());
    };
    Err(InvalidName { kind: what, name: name.to_owned(), reason: why })
}

fn check_sha(what: &'static str, name: &str) -> Result<(), InvalidName> {
    if name.len() == 40 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(());
    }
    Err(InvalidName { kind: what, name: name.to_owned(), reason: "is not 40 lowercase hexadecimal digits" })
}

/// A token of RFC 9110, section 5.6.2, that a CLI's list of headers can hold.
fn check_header(what: &'static str, name: &str) -> Result<(), InvalidName> {
    let why = if name.is_empty() || name.len() > 64 {
        "is not 1 to 64 characters long"
    } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        "has characters other than letters, digits, `-` and `_`"
    } else {
        return Ok(());
    };
    Err(InvalidName { kind: what, name: name.to_owned(), reason: why })
}

/// Text that git accepts as the name of a branch, a tag or a full ref, and never as an option.
/// <https://git-scm.com/docs/git-check-ref-format>
pub fn is_git_ref(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('-')
        && !name.ends_with('.')
        && name != "@"
        && !name.contains("..")
        && !name.contains("@{")
        && !name.chars().any(|c| is_unsafe_in_line(c) || " ~^:?*[\\".contains(c))
        && name.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"))
}

/// Whether a CLI and an API accept it as a model name, and never as an option.
pub fn is_valid_model_name(name: &str) -> bool {
    (1..=256).contains(&name.len())
        && !name.starts_with('-')
        && !name.contains(is_unsafe_in_line)
        && name.trim().len() == name.len()
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $check:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(name: &str) -> Result<Self, InvalidName> {
                $check($what, name)?;
                Ok(Self(name.to_owned()))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                parse(d)
            }
        }
    };
}

/// Text that is its own description.
pub(crate) fn parse<'de, D, T>(d: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = InvalidName>,
{
    String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
}

name!(
    /// A registered marketplace.
    MarketName, "marketplace name", check_name
);
name!(
    /// A plugin within a marketplace.
    PluginName, "plugin name", check_name
);
name!(
    /// A component: 1–64 of `a-z 0-9 -`, starting with a letter.
    ExtensionId, "extension id", check_extension_id
);
name!(
    /// A component's own kind of marketplace, or its own form of an entry's source: 1–64 of `a-z 0-9 -`.
    SourceWord, "source word", check_word
);
name!(
    /// A role: what goes before a task.
    RoleName, "role name", check_name
);
name!(
    /// A kept workflow. It is a file's name, and the end of a tool's.
    WorkflowName, "workflow name", check_workflow
);
name!(
    /// A snapshot of a project's processes.
    SnapshotName, "snapshot name", check_name
);
name!(
    /// A provider as the user configured it.
    ProviderName, "provider name", check_name
);
name!(
    /// A gateway that a user named.
    GatewayName, "gateway name", check_name
);
name!(
    /// A secret in the vault.
    SecretName, "secret name", check_name
);
name!(
    /// An environment variable.
    EnvName, "variable name", check_env
);
name!(
    /// A header of an HTTP request; compared without case.
    HeaderName, "header name", check_header
);
name!(
    /// A full git commit id (SHA-1).
    Sha, "commit id", check_sha
);

impl EnvName {
    /// Returns whether programs of every kind read the variable. It can't hold a provider's token: aiw hides token
    /// variables from runs with other providers, and no program works well without these.
    pub fn is_general(&self) -> bool {
        const NAMES: [&str; 23] = [
            "APPDATA",
            "COLORTERM",
            "DISPLAY",
            "HOSTNAME",
            "LANG",
            "LANGUAGE",
            "LOCALAPPDATA",
            "LOGNAME",
            "MAIL",
            "MANPATH",
            "NO_COLOR",
            "OLDPWD",
            "PWD",
            "SHLVL",
            "SSH_AUTH_SOCK",
            "TEMP",
            "TERM",
            "TMP",
            "TMPDIR",
            "TZ",
            "USER",
            "USERPROFILE",
            "WAYLAND_DISPLAY",
        ];
        const RESERVED_PREFIXES: [&str; 5] = ["AIW_", "BASH_", "LC_", "SSL_", "XDG_"];
        let upper = self.0.to_ascii_uppercase();
        // Tokens of such programs exist: `CARGO_REGISTRY_TOKEN`.
        (is_code_loading(&upper) && !is_secret_name(&upper))
            || NAMES.contains(&upper.as_str())
            || upper.ends_with("_PROXY")
            || RESERVED_PREFIXES.iter().any(|beginning| upper.starts_with(beginning))
    }
}

impl HeaderName {
    /// Returns whether a value can be sent: visible ASCII and blanks, and not too long for an argument.
    pub fn is_valid_value(value: &str) -> bool {
        (1..=4096).contains(&value.len()) && value.bytes().all(|b| matches!(b, b' '..=b'~')) && value.trim() == value
    }

    /// Whether it carries credentials, frames the message, or routes it. The program that sends the request writes
    /// such headers.
    pub fn is_reserved(&self) -> bool {
        const NAMES: [&str; 26] = [
            "accept",
            "accept-encoding",
            "api-key",
            "authorization",
            "connection",
            "content-encoding",
            "content-length",
            "content-type",
            "cookie",
            "date",
            "expect",
            "forwarded",
            "host",
            "keep-alive",
            "origin",
            "proxy-authorization",
            "proxy-connection",
            "referer",
            "set-cookie",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "via",
            "x-api-key",
            "x-goog-api-key",
        ];
        NAMES.contains(&self.0.to_ascii_lowercase().as_str())
    }
}

/// A plugin of a marketplace: `name@market`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId {
    /// The entry's name.
    pub name: PluginName,
    /// The marketplace that lists it.
    pub market: MarketName,
}

impl FromStr for PluginId {
    type Err = InvalidName;
    fn from_str(id: &str) -> Result<Self, InvalidName> {
        let Some((name, market)) = id.split_once('@') else {
            return Err(InvalidName {
                kind: "plugin id",
                name: id.to_owned(),
                reason: "is not of the form `name@marketplace`",
            });
        };
        Ok(Self { name: name.parse()?, market: market.parse()? })
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.market)
    }
}

impl Serialize for PluginId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PluginId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

impl ProviderName {
    /// The variable that holds the provider's name in the environment of a CLI, for its hooks.
    pub const VARIABLE: &'static str = "AIW_PROVIDER";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_would_leave_their_directory_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\0b", "-x", "con", "NUL.txt", "a b", "a\u{1b}[31m", "é", "x."] {
            assert!(bad.parse::<PluginName>().is_err(), "{bad:?}");
        }
        for good in ["a", "wordpress.com", "iOS-APP-developer", "x_1"] {
            assert!(good.parse::<PluginName>().is_ok(), "{good:?}");
        }
    }

    #[test]
    fn names_that_git_reads_as_something_else_are_no_refs() {
        for bad in [
            "", "-x", "@", "/x", "x/", "a//b", "a..b", "x.", ".x", "a/.b", "x.lock", "x.lock/y", "x@{1}", "a b", "a:b",
            "a~1", "x^{}", "*", "a?", "a[b", "a\\b", "a\nb",
        ] {
            assert!(!is_git_ref(bad), "{bad:?}");
        }
        assert!(!is_git_ref(&"x".repeat(256)));
        for good in ["main", "v1.2", "feature/x", "refs/tags/v1", "HEAD", "a@b", "dépôt", "x.locked"] {
            assert!(is_git_ref(good), "{good:?}");
        }
    }

    #[test]
    fn a_plugin_id_has_both_halves() {
        assert!("a@b".parse::<PluginId>().is_ok());
        for bad in ["a", "@b", "a@", "a@b@c"] {
            assert!(bad.parse::<PluginId>().is_err(), "{bad:?}");
        }
    }
}

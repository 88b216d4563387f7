//! Egress policy: which hosts and directories a caller may reach.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use aiw_core::one_line;
use url::Url;

use crate::git_url::GitUrl;

/// A host pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("host pattern `{}` {reason}", one_line(.pattern, 80))]
pub struct InvalidPattern {
    /// The pattern as given.
    pub pattern: String,
    /// The rule that the pattern breaks.
    pub reason: &'static str,
}

/// A pattern for host names: `example.com`, `*.example.com` (any name beneath it) or `*`, each with `:port` if the
/// port is not the scheme's default.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPattern {
    /// The name without `*.`; empty for `*`.
    name: String,
    beneath: bool,
    port: Option<u16>,
}

impl HostPattern {
    /// Parses a pattern such as `example.com`, `example.com:8443`, `*.example.com`, `*` or `[::1]:8080`.
    pub fn parse(pattern: &str) -> Result<Self, InvalidPattern> {
        let fail = |why| Err(InvalidPattern { pattern: pattern.to_owned(), reason: why });
        if pattern.len() > 260 {
            return fail("is longer than 260 characters");
        }
        let (host, port) = match pattern.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => match digits.parse::<u16>() {
                Ok(port) if port > 0 && digits.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
                _ => return fail("has a port that is not a number from 1 to 65535"),
            },
            _ => (pattern, None),
        };
        if host == "*" {
            return Ok(Self { name: String::new(), beneath: true, port });
        }
        let (name, beneath) = match host.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (host, false),
        };
        if name.contains('*') {
            return fail("has a `*` that is not before the first dot");
        }
        // Use the parser that requests use, so that both see the same name.
        let parsed = match url::Host::parse(name) {
            Ok(parsed) => parsed,
            Err(_) => return fail("is not a valid host name"),
        };
        if beneath && !matches!(parsed, url::Host::Domain(_)) {
            return fail("puts a `*` before an address");
        }
        let name = normalize_host(&parsed.to_string());
        if name.is_empty() || name.split('.').any(str::is_empty) {
            return fail("is not a valid host name");
        }
        Ok(Self { name, beneath, port })
    }

    /// Returns whether `host` and `port` match. A pattern without a port means the scheme's default port.
    pub fn matches(&self, host: &str, port: u16, default_port: u16) -> bool {
        if port != self.port.unwrap_or(default_port) {
            return false;
        }
        let host = normalize_host(host);
        if !self.beneath {
            return host == self.name;
        }
        self.name.is_empty() || host.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
    }
}

impl FromStr for HostPattern {
    type Err = InvalidPattern;
    fn from_str(pattern: &str) -> Result<Self, InvalidPattern> {
        Self::parse(pattern)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.beneath, self.name.as_str()) {
            (true, "") => f.write_str("*")?,
            (true, name) => write!(f, "*.{name}")?,
            (false, name) => f.write_str(name)?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// Normalizes a host name for comparison: lowercase, without the trailing dot of the root.
pub(crate) fn normalize_host(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Returns the host and port that a URL (`https`, `http`, `ssh` or `git@host:path`) leads to, or `None` if it has
/// no host.
pub fn host_and_port(url: &str) -> Option<(String, u16)> {
    if let Ok(parsed) = Url::parse(url)
        && matches!(parsed.scheme(), "http" | "https")
    {
        return Some((normalize_host(parsed.host_str()?), parsed.port_or_known_default()?));
    }
    match GitUrl::parse(url, true) {
        Ok(GitUrl::Ssh { host, port }) => Some((normalize_host(&host), port)),
        _ => None,
    }
}

/// Returns the host of a git URL (`https`, `http`, `ssh` or `git@host:path`), and the path there without slashes at its ends.
/// Whose key would be used there is left out. `None` if it has no host.
pub fn host_and_path(url: &str) -> Option<(String, String)> {
    let (host, path) = match GitUrl::parse(url, true).ok()? {
        GitUrl::Http(parsed) => (parsed.host_str()?.to_owned(), parsed.path().to_owned()),
        GitUrl::Ssh { host, .. } if url.contains("://") => (host, Url::parse(url).ok()?.path().to_owned()),
        GitUrl::Ssh { host, .. } => (host, url.split_once(':')?.1.to_owned()),
        GitUrl::Local(_) => return None,
    };
    Some((normalize_host(&host), path.trim_matches('/').to_owned()))
}

/// Returns the scheme, host and port of a web address in one form, such as `https://a.example:443`. Returns `None`
/// if the address is not an `http` or `https` URL, or if it contains a user or a password.
pub fn origin(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let plain = matches!(url.scheme(), "http" | "https") && url.username().is_empty() && url.password().is_none();
    let (host, port) = (url.host_str()?, url.port_or_known_default()?);
    plain.then(|| format!("{}://{}:{port}", url.scheme(), normalize_host(host)))
}

/// The hosts that a caller declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Any host, at any port.
    Any,
    /// Hosts that match one of the patterns.
    Only(Vec<HostPattern>),
}

impl Hosts {
    pub(crate) fn matches(&self, host: &str, port: u16, default_port: u16) -> bool {
        match self {
            Self::Any => true,
            Self::Only(patterns) => patterns.iter().any(|pattern| pattern.matches(host, port, default_port)),
        }
    }
}

/// The addresses that one caller may reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Hosts that may be contacted if their addresses are public.
    pub hosts: Hosts,
    /// Hosts and ports that the user named. They are allowed whatever `hosts` says, private or not, encrypted or
    /// not.
    pub granted: BTreeSet<(String, u16)>,
    /// Directories that the user named. Anything beneath them may be opened.
    pub directories: Vec<PathBuf>,
}

impl Policy {
    /// Allows the whole public internet, encrypted only, and nothing else.
    pub fn public() -> Self {
        Self { hosts: Hosts::Any, granted: BTreeSet::new(), directories: Vec::new() }
    }

    /// Allows nothing until something is granted.
    pub fn none() -> Self {
        Self { hosts: Hosts::Only(Vec::new()), granted: BTreeSet::new(), directories: Vec::new() }
    }

    /// Grants what the user typed: the host and port of a URL or of `git@host:path`, or a directory. Ignores
    /// anything else.
    pub fn grant_url(&mut self, url: &str) {
        match (host_and_port(url), GitUrl::parse(url, true)) {
            (Some(place), _) => {
                self.granted.insert(place);
            }
            (None, Ok(GitUrl::Local(path))) => self.directories.push(path),
            _ => {}
        }
    }

    /// Returns whether a host is among those that the caller declared.
    pub fn is_declared_host(&self, host: &str, port: u16, default_port: u16) -> bool {
        self.hosts.matches(host, port, default_port)
    }

    pub(crate) fn is_granted(&self, host: &str, port: u16) -> bool {
        !self.granted.is_empty() && self.granted.contains(&(normalize_host(host), port))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_matches_its_host_and_the_default_port_only() {
        let p = |s: &str| HostPattern::parse(s).unwrap();
        assert!(p("Example.com").matches("example.COM.", 443, 443));
        assert!(!p("example.com").matches("example.com", 8443, 443));
        assert!(!p("example.com").matches("evilexample.com", 443, 443));
        assert!(!p("example.com").matches("a.example.com", 443, 443));
        assert!(p("example.com:8443").matches("example.com", 8443, 443));
        assert!(p("*.example.com").matches("a.b.example.com", 443, 443));
        for other in ["example.com", ".example.com", "aexample.com", "example.com.evil.org"] {
            assert!(!p("*.example.com").matches(other, 443, 443), "{other}");
        }
        assert!(p("*").matches("anything.org", 443, 443));
        assert!(p("[::1]:8080").matches("[::1]", 8080, 443));
        assert_eq!(p("*.Example.com:80").to_string(), "*.example.com:80");
    }

    #[test]
    fn a_pattern_that_says_something_else_is_refused() {
        for bad in ["", "*.", "a*", "*.*.com", "a b", "a/b", "x:0", "x:70000", "x:+1", "https://x", "*.1.2.3.4", ":443"]
        {
            assert!(HostPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_grant_covers_host_and_port_of_every_form() {
        let mut policy = Policy::none();
        for url in
            ["https://A.example/x?y", "http://localhost:8080/", "git@h.example:a/b.git", "ssh://git@s.example:2222/x"]
        {
            policy.grant_url(url);
        }
        policy.grant_url("/srv/repo");
        policy.grant_url("file:///srv/other");
        policy.grant_url("nonsense");
        for (host, port) in [("a.example", 443), ("localhost", 8080), ("h.example", 22), ("s.example", 2222)] {
            assert!(policy.is_granted(host, port), "{host}");
        }
        assert!(!policy.is_granted("a.example", 80));
        assert_eq!(policy.directories, [PathBuf::from("/srv/repo"), PathBuf::from("/srv/other")]);
    }

    #[test]
    fn the_host_of_a_git_url_is_where_git_would_connect() {
        let of = |url: &str| host_and_path(url).map(|(host, path)| format!("{host} {path}"));
        for (url, found) in [
            ("https://github.com/o/r.git", "github.com o/r.git"),
            ("https://token@GitHub.com./o/r/", "github.com o/r"),
            ("https://github.com@evil.example/o/r", "evil.example o/r"),
            ("https://github.com\\@evil.example/o/r", "github.com @evil.example/o/r"),
            ("https://github.com:token@evil.example/o/r", "evil.example o/r"),
            ("git@github.com:o/r.git", "github.com o/r.git"),
            ("ssh://git@ssh.github.com:443/o/r.git", "ssh.github.com o/r.git"),
            ("ssh://git@evil.example/github.com:o/r", "evil.example github.com:o/r"),
        ] {
            assert_eq!(of(url).as_deref(), Some(found), "{url}");
        }
        for none in
            ["", "/github.com/o/r", "file:///github.com/o/r", "ext::sh -c x", "../r", "https://github.com/o/r?x"]
        {
            assert_eq!(of(none), None, "{none}");
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://A.example./v1/x?y#z").as_deref(), Some("https://a.example:443"));
        assert_eq!(origin("http://[::1]:80/").as_deref(), Some("http://[::1]:80"));
        for none in ["", "a.example", "ftp://a.example/", "https://", "https://u@a.example/", "https://u:p@a.example/"]
        {
            assert_eq!(origin(none), None, "{none}");
        }
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn parsing_a_pattern_never_panics(text in "\\PC{0,40}|[*.:\\[\\]a-z0-9]{0,20}") {
                if let Ok(pattern) = HostPattern::parse(&text) {
                    pattern.matches(&text, 443, 443);
                    prop_assert_eq!(HostPattern::parse(&pattern.to_string()), Ok(pattern));
                }
            }
        }
    }
}

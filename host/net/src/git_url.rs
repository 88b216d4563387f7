//! Where a URL leads: to a web server, an ssh server or a path on this machine.

use std::path::PathBuf;

use aiw_core::one_line;
use url::Url;

use crate::error::NetError;

/// The destination of a git URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GitUrl {
    Http(Url),
    Ssh { host: String, port: u16 },
    Local(PathBuf),
}

impl GitUrl {
    /// Parses a git URL. Credentials are allowed only if the user's own git configuration put them there.
    pub(crate) fn parse(url: &str, credentials: bool) -> Result<Self, NetError> {
        let refuse = |why: &str| Err(NetError::invalid(format!("git URL `{}` {why}", redact_git_url(url))));
        if url.is_empty() || url.len() > 2048 {
            return refuse("is not 1 to 2048 characters long");
        }
        if url.contains(|c| aiw_core::is_unsafe_in_line(c) || c == ' ') {
            return refuse("contains a space or a control character");
        }
        // git or ssh would read it as an option.
        if url.starts_with('-') {
            return refuse("begins with `-`");
        }
        if let Some((helper, _)) = url.split_once("::")
            && !helper.contains(['/', '[', '@'])
        {
            return refuse("names a remote helper, which runs a command");
        }
        if let Some((scheme, _)) = url.split_once("://") {
            let Ok(parsed) = Url::parse(url) else { return refuse("is not a URL") };
            let secret = parsed.password().is_some();
            return match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" if !parsed.has_host() => refuse("names no host"),
                "http" | "https" if !credentials && (secret || !parsed.username().is_empty()) => {
                    refuse("contains credentials: leave them to a git credential helper")
                }
                "http" | "https" if parsed.query().is_some() || parsed.fragment().is_some() => {
                    refuse("has a query or a fragment")
                }
                "http" | "https" => Ok(Self::Http(parsed)),
                "ssh" | "git+ssh" | "ssh+git" if secret => refuse("contains a password"),
                "ssh" | "git+ssh" | "ssh+git" => {
                    let host = parsed.host_str().unwrap_or_default();
                    if host.is_empty() {
                        return refuse("names no host");
                    }
                    // The URL parser does not decode the host of an ssh URL, but git does.
                    let odd = |text: &str| text.starts_with('-') || text.contains('%');
                    if odd(host) || odd(parsed.username()) || parsed.path().starts_with("/-") {
                        return refuse("has a part that ssh or git would mistake for an option");
                    }
                    Ok(Self::Ssh { host: host.to_owned(), port: parsed.port().unwrap_or(22) })
                }
                "file" => match parsed.to_file_path() {
                    Ok(path) => Ok(Self::Local(path)),
                    Err(()) => refuse("is not a path on this machine"),
                },
                "git" => refuse("uses the `git` protocol, which is neither encrypted nor signed: use `https`"),
                _ => refuse("is neither `https`, `ssh` nor `file`"),
            };
        }
        if url.starts_with('/') {
            return Ok(Self::Local(url.into()));
        }
        match url.split_once(':') {
            Some((place, path)) if !place.is_empty() && !place.contains('/') => {
                let host = place.rsplit_once('@').map_or(place, |(_, host)| host);
                if host.is_empty() || path.is_empty() {
                    return refuse("names no host or no path");
                }
                if place.starts_with('-') || host.starts_with('-') || path.starts_with('-') {
                    return refuse("has a part that ssh or git would mistake for an option");
                }
                if !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-[]".contains(&b)) {
                    return refuse("has a host with characters other than letters, digits, `.`, `_` and `-`");
                }
                Ok(Self::Ssh { host: host.to_owned(), port: 22 })
            }
            _ => refuse("is neither a URL nor an absolute path"),
        }
    }
}

/// Checks a git URL that the user's own `git` is about to get: `https`, `http`, ssh, or a path on this machine. Refuses
/// one with credentials, one that names a program, and one that has a part which would be read as an option.
///
/// # Errors
///
/// [`NetError::Invalid`].
pub fn check_git_url(url: &str) -> Result<(), NetError> {
    GitUrl::parse(url, false).map(drop)
}

/// Formats a git URL for messages, without its secret parts.
pub(crate) fn redact_git_url(url: &str) -> String {
    if !url.contains("://") {
        return one_line(url, 200);
    }
    match Url::parse(url) {
        Ok(parsed) => redact_url(&parsed),
        // The secret parts of an unreadable URL cannot be found, so show only the scheme.
        Err(_) => one_line(&format!("{}://…", url.split("://").next().unwrap_or_default()), 40),
    }
}

/// Formats a URL without its secret parts.
pub(crate) fn redact_url(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    one_line(url.as_str(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_run_commands_or_smuggle_options_are_refused() {
        for bad in [
            "",
            "-x",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c touch% /tmp/x",
            "ext::sh",
            "fd::17",
            "git://example.com/x",
            "ftp://example.com/x",
            "ssh://-oProxyCommand=x/y",
            "ssh://-oProxyCommand=x@h/y",
            "ssh://%2doProxyCommand=x/y",
            "ssh://git:pw@h/y",
            "ssh://h/-x",
            "-oProxyCommand=x:y",
            "git@-oProxyCommand=x:y",
            "git@h:-x",
            "git@h:",
            ":x",
            "../x",
            "~/x",
            "x",
            "https://u:p@h/x",
            "https://token@h/x",
            "https://h/x?y",
            "https:///",
            "file://elsewhere/x",
            "https://h/a b",
            "https://h/a\nb",
        ] {
            assert!(GitUrl::parse(bad, false).is_err(), "{bad:?}: {:?}", GitUrl::parse(bad, false));
        }
    }

    #[test]
    fn every_form_of_git_url_is_understood() {
        let ssh = |host: &str, port| GitUrl::Ssh { host: host.to_owned(), port };
        assert_eq!(GitUrl::parse("git@github.com:a/b.git", false), Ok(ssh("github.com", 22)));
        assert_eq!(GitUrl::parse("github.com:a/b", false), Ok(ssh("github.com", 22)));
        assert_eq!(GitUrl::parse("ssh://git@h:2222/a", false), Ok(ssh("h", 2222)));
        assert_eq!(GitUrl::parse("/a/b", false), Ok(GitUrl::Local("/a/b".into())));
        assert_eq!(GitUrl::parse("file:///a/b", false), Ok(GitUrl::Local("/a/b".into())));
        assert!(matches!(GitUrl::parse("https://token@h/x", true), Ok(GitUrl::Http(_))));
    }

    #[test]
    fn no_message_repeats_credentials() {
        for bad in ["https://u:hunter2@h/x", "https://hunter2@h/x", "https://u:hunter2@[/x", "https://h/x?t=hunter2"] {
            let message = GitUrl::parse(bad, false).unwrap_err().to_string();
            assert!(!message.contains("hunter2"), "{message}");
        }
    }
}

//! Addresses of remotes.

use std::fmt;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

use aiw_core::{is_loopback, is_public, is_unsafe_in_line};
use aiw_home::ExecutionContext;
use url::{Host, Url};

use super::RemoteError;

/// The longest address.
const MAX_URL_LEN: usize = 2048;

/// The address of a remote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoteUrl {
    /// The user's Google Drive: `gdrive:`.
    GoogleDrive,
    /// A folder, by its absolute path.
    Folder(PathBuf),
    /// A git repository: `git:URL`.
    Git(String),
    /// A folder of a WebDAV server, with a slash at its end: `webdav:URL`.
    WebDav(Url),
    /// A bucket of a server that speaks as S3 does: `s3:URL`.
    S3(S3Address),
}

/// A bucket, and where in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Address {
    /// The server.
    pub endpoint: Url,
    /// The bucket.
    pub bucket: String,
    /// The beginning of the keys of objects, without slashes at its ends.
    pub prefix: Option<String>,
    /// The region that requests are signed for.
    pub region: Option<String>,
}

impl RemoteUrl {
    /// Parses what a user typed. `~` and relative paths are those of `around`.
    ///
    /// # Errors
    ///
    /// [`RemoteError::InvalidUrl`], which lists the forms.
    pub fn parse(text: &str, around: &ExecutionContext) -> Result<Self, RemoteError> {
        let problem = |problem: String| RemoteError::InvalidUrl { text: without_login(text), problem };
        if text.is_empty() || text.len() > MAX_URL_LEN || text.contains(is_unsafe_in_line) {
            return Err(problem("is empty, too long, or holds a character that can't be shown".into()));
        }
        let scheme = text.split_once(':').filter(|(scheme, _)| !scheme.contains('/') && !scheme.starts_with('~'));
        match scheme {
            Some(("gdrive", "")) => Ok(Self::GoogleDrive),
            Some(("gdrive", _)) => Err(problem("names a place in Google Drive, where aiw has one folder".into())),
            Some(("git", url)) => git(url).map(Self::Git).map_err(problem),
            Some(("webdav", url)) => webdav(url).map(Self::WebDav).map_err(problem),
            Some(("s3", url)) => s3(url).map(Self::S3).map_err(problem),
            Some(_) => Err(problem("is not known".into())),
            None => folder(text, around).map(Self::Folder).map_err(problem),
        }
    }
}

impl RemoteUrl {
    /// Returns the address of its server if what is sent there, a password too, can be read on the way.
    pub fn unencrypted_url(&self) -> Option<Url> {
        let url = match self {
            Self::WebDav(url) => url.clone(),
            Self::S3(address) => address.endpoint.clone(),
            Self::Git(url) => Url::parse(url).ok()?,
            Self::GoogleDrive | Self::Folder(_) => return None,
        };
        is_unencrypted(&url).then_some(url)
    }
}

/// Whether what is sent to an address leaves this machine without encryption.
pub(crate) fn is_unencrypted(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GoogleDrive => f.write_str("gdrive:"),
            Self::Folder(path) => path.display().fmt(f),
            Self::Git(url) => write!(f, "git:{url}"),
            Self::WebDav(url) => write!(f, "webdav:{url}"),
            Self::S3(address) => write!(f, "s3:{address}"),
        }
    }
}

impl fmt::Display for S3Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.endpoint.as_str().trim_end_matches('/'), self.bucket)?;
        if let Some(prefix) = &self.prefix {
            write!(f, "/{prefix}")?;
        }
        match &self.region {
            Some(region) => write!(f, "?region={region}"),
            None => Ok(()),
        }
    }
}

/// An address for a message: without what stands where a user and a password would.
fn without_login(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((before, after)) if text.contains("://") => {
            let scheme = before.split_once("://").map_or("", |(scheme, _)| scheme);
            format!("{scheme}://…@{after}")
        }
        _ => text.to_owned(),
    }
}

fn folder(text: &str, around: &ExecutionContext) -> Result<PathBuf, String> {
    let whole = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            let home = around.user_home().ok_or("begins in your home, and `HOME` is not set")?;
            home.join(rest.trim_start_matches('/'))
        }
        Some(_) => return Err("names the home of another user".into()),
        None => match around.directory() {
            _ if text.starts_with('/') => PathBuf::from(text),
            Ok(directory) => directory.join(text),
            Err(error) => return Err(format!("is relative, and the current directory can't be read: {error}")),
        },
    };
    let mut path = PathBuf::new();
    for component in whole.components() {
        match component {
            Component::CurDir => {}
            // The directory may be a link, so that `a/..` is not where `a` is.
            component => path.push(component),
        }
    }
    if !path.is_absolute() || path.parent().is_none() || path.to_str().is_none() {
        return Err("is not a folder that can hold snapshots".into());
    }
    Ok(path)
}

fn git(url: &str) -> Result<String, String> {
    // `git` reads a bare path as a URL too.
    aiw_net::check_git_url(url).map_err(|error| format!("can't be used by git: {error}"))?;
    if let Ok(parsed) = Url::parse(url)
        && parsed.scheme() == "http"
    {
        check_secure(&parsed)?;
        // It is `git` that asks what a name leads to, and may send the password of a credential helper there.
        if parsed.domain().is_some_and(|name| name != "localhost") {
            return Err("is not encrypted: use `https` or ssh".into());
        }
    }
    Ok(url.to_owned())
}

fn webdav(url: &str) -> Result<Url, String> {
    let mut url = web(url)?;
    if url.query().is_some() {
        return Err("has a query".into());
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

fn s3(text: &str) -> Result<S3Address, String> {
    let url = web(text)?;
    let region = match url.query() {
        None => None,
        Some(query) => match query.split_once('=') {
            Some(("region", region)) if is_word(region, "-", 1..=64) => Some(region.to_owned()),
            _ => return Err("has a query that is not `?region=R`, with letters, digits and `-`".into()),
        },
    };
    let path = url.path().trim_matches('/');
    let (bucket, prefix) = path.split_once('/').map_or((path, None), |(bucket, prefix)| (bucket, Some(prefix)));
    if !is_word(bucket, ".-_", 1..=255) || is_dots(bucket) {
        return Err("names no bucket, with letters, digits, `.`, `-` and `_`".into());
    }
    let is_prefix = |prefix: &str| prefix.split('/').all(|part| is_word(part, ".-_", 1..=255) && !is_dots(part));
    if prefix.is_some_and(|prefix| !is_prefix(prefix)) {
        return Err("has a prefix with other characters than letters, digits, `/`, `.`, `-` and `_`".into());
    }
    let mut endpoint = url.clone();
    endpoint.set_path("/");
    endpoint.set_query(None);
    Ok(S3Address { endpoint, bucket: bucket.to_owned(), prefix: prefix.map(str::to_owned), region })
}

fn is_word(text: &str, others: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || others.contains(c))
}

fn is_dots(text: &str) -> bool {
    matches!(text, "." | "..")
}

/// Parses a web address to which a login may be sent.
fn web(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("holds no URL: {error}"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("holds a URL that is not `https`".into());
    }
    if !url.has_host() {
        return Err("names no host".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("holds a user or a password: `aiw sync login` asks for them".into());
    }
    if url.fragment().is_some() {
        return Err("has a fragment".into());
    }
    check_secure(&url)?;
    Ok(url)
}

/// Refuses an address that would get a login without encryption. What a name leads to is checked when it is asked.
fn check_secure(url: &Url) -> Result<(), String> {
    let is_outside = match url.host() {
        Some(Host::Ipv4(address)) => is_public(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => is_public(IpAddr::V6(address)),
        _ => false,
    };
    if url.scheme() == "http" && is_outside {
        return Err("is not encrypted: use `https`".into());
    }
    Ok(())
}

/// Returns a path for a message.
pub(super) fn display_path(path: &Path) -> String {
    format!("`{}`", path.display())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use proptest::prelude::*;

    use super::*;

    fn around() -> ExecutionContext {
        ExecutionContext::new(Ok("/here".into()), [(OsString::from("HOME"), OsString::from("/home/me"))])
    }

    fn parse(text: &str) -> Result<RemoteUrl, RemoteError> {
        RemoteUrl::parse(text, &around())
    }

    #[test]
    fn each_form_is_read_and_shown_whole() {
        for (text, shown) in [
            ("gdrive:", "gdrive:"),
            ("/srv/sync/", "/srv/sync"),
            ("~/Dropbox/aiw", "/home/me/Dropbox/aiw"),
            ("sync/./x", "/here/sync/x"),
            ("../x", "/here/../x"),
            ("a/b:c", "/here/a/b:c"),
            ("git:git@host.example:me/sync.git", "git:git@host.example:me/sync.git"),
            ("git:ssh://git@host.example/me/sync.git", "git:ssh://git@host.example/me/sync.git"),
            ("git:/srv/sync.git", "git:/srv/sync.git"),
            ("webdav:https://cloud.example/dav/me", "webdav:https://cloud.example/dav/me/"),
            ("webdav:http://127.0.0.1:8080", "webdav:http://127.0.0.1:8080/"),
            ("webdav:http://nas:8080/x y", "webdav:http://nas:8080/x%20y/"),
            ("s3:https://s3.example/bucket", "s3:https://s3.example/bucket"),
            ("s3:https://s3.example:9000/b/a/c/?region=eu-1", "s3:https://s3.example:9000/b/a/c?region=eu-1"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(parse(shown).unwrap(), address);
        }
    }

    #[test]
    fn any_other_form_is_refused_with_the_list_and_without_its_password() {
        for text in [
            "",
            "/",
            "~other/x",
            "gdrive:x",
            "dropbox:x",
            "https://cloud.example/dav",
            "C:\\sync",
            "a\nb",
            "git:",
            "git:relative/path",
            "git:ext::sh -c x",
            "git:--upload-pack=x",
            "git:ssh://-oProxyCommand=x/y",
            "git:git://host/x",
            "git:https://u:hunter2@host.example/x",
            "git:http://93.184.216.34/x",
            "git:http://host.example/x",
            "webdav:ftp://host/x",
            "webdav:https://u:hunter2@host/x",
            "webdav:https://hunter2@host/x",
            "webdav:https://host/x?y",
            "webdav:https://host/x#y",
            "webdav:http://93.184.216.34/x",
            "webdav:/x",
            "s3:https://host",
            "s3:https://host/b/a%20b",
            "s3:https://host/b//c",
            "s3:https://host/b?region=",
            "s3:https://host/b?X-Amz-Signature=hunter2",
        ] {
            let error = parse(text).unwrap_err();
            let message = error.to_string();
            assert!(
                matches!(error, RemoteError::InvalidUrl { .. }) && message.contains("`gdrive:`, a path,"),
                "{message}"
            );
            assert!(text.contains('?') || !message.contains("hunter2"), "{message}");
        }
        assert!(RemoteUrl::parse("x", &ExecutionContext::new(Err(std::io::ErrorKind::NotFound.into()), [])).is_err());
        assert!(RemoteUrl::parse("~/x", &ExecutionContext::new(Ok("/".into()), [])).is_err());
    }

    #[test]
    fn an_address_beyond_this_machine_without_encryption_is_known() {
        for (text, is) in [
            ("webdav:http://nas:8080/x", true),
            ("webdav:http://192.168.1.2/x", true),
            ("s3:http://10.0.0.1:9000/b", true),
            ("git:http://192.168.1.2/x.git", true),
            ("webdav:https://nas/x", false),
            ("webdav:http://127.0.0.1:8080", false),
            ("webdav:http://localhost/x", false),
            ("s3:http://[::1]:9000/b", false),
            ("git:ssh://git@host.example/x.git", false),
            ("/srv/x", false),
            ("gdrive:", false),
        ] {
            assert_eq!(parse(text).unwrap().unencrypted_url().is_some(), is, "{text}");
        }
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn what_is_shown_is_read_as_the_same(
                text in "(gdrive:|git:|webdav:|s3:|~/|/|)(https://|http://|ssh://|git@)?[a-z0-9./:@~_ %\\-]{0,40}(\\?region=[a-z0-9-]{1,5})?|\\PC{0,60}"
            ) {
                if let Ok(address) = parse(&text) {
                    prop_assert_eq!(parse(&address.to_string()).unwrap(), address);
                }
            }
        }
    }
}

//! Names, versions and addresses of packages: what each kind allows. A name that passes is one word, and no option.

use aiw_core::quoted;
use url::Url;

use super::error::UnsupportedReason;

/// Longer than any name in the registries seen.
const MAX_NAME_LEN: usize = 255;

fn is_word(text: &str, others: &[u8]) -> bool {
    (1..=MAX_NAME_LEN).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || others.contains(&b))
        && text.as_bytes()[0].is_ascii_alphanumeric()
}

/// `name` or `@scope/name`, as npm accepts new ones.
/// <https://docs.npmjs.com/cli/configuring-npm/package-json#name>
pub(super) fn is_npm(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-~".contains(&b))
            && !part.starts_with(['.', '_', '-', '~'])
    };
    name.len() <= 214
        && match name.strip_prefix('@') {
            Some(scoped) => scoped.split_once('/').is_some_and(|(scope, name)| part(scope) && part(name)),
            None => part(name),
        }
}

/// A project's name, perhaps with extras: `name[extra,other]`. <https://peps.python.org/pep-0508/#names>
pub(super) fn is_pypi(name: &str) -> bool {
    let is_name = |name: &str| is_word(name, b"._-") && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    match name.split_once('[') {
        None => is_name(name),
        Some((name, extras)) => {
            is_name(name) && extras.strip_suffix(']').is_some_and(|extras| extras.split(',').all(is_name))
        }
    }
}

/// Whether two spellings name the same project, with or without extras and a version.
/// <https://peps.python.org/pep-0503/#normalized-names>
pub(super) fn is_same_pypi(one: &str, two: &str) -> bool {
    let plain = |name: &str| {
        let name = name.split(['[', '=', '@', '<', '>', '~', '!']).next().unwrap_or_default();
        let words: Vec<_> = name.split(['-', '_', '.']).filter(|word| !word.is_empty()).collect();
        words.join("-").to_ascii_lowercase()
    };
    plain(one) == plain(two)
}

/// <https://learn.microsoft.com/nuget/reference/nuspec#id>
pub(super) fn is_nuget(name: &str) -> bool {
    name.len() <= 100 && is_word(name, b"._-")
}

/// <https://doc.rust-lang.org/cargo/reference/manifest.html#the-name-field>
pub(super) fn is_crate(name: &str) -> bool {
    name.len() <= 64 && is_word(name, b"_-")
}

/// The path of a Go package: a host, and what is below it. <https://go.dev/ref/mod#go-mod-file-ident>
pub(super) fn is_go(path: &str) -> bool {
    let part = |part: &str| !part.starts_with(['.', '-']) && !part.ends_with('.') && is_word(part, b"._-~");
    path.len() <= MAX_NAME_LEN
        && path.split('/').all(part)
        && path.split_once('/').is_some_and(|(host, _)| host.contains('.'))
}

/// An exact version of npm or NuGet: three or four numbers, and what may follow them. Fewer numbers are a range for npm.
pub(super) fn is_semver(version: &str) -> bool {
    let core = version.strip_prefix('v').unwrap_or(version).split(['-', '+']).next().unwrap_or_default();
    let numbers: Vec<_> = core.split('.').collect();
    is_word(version, b".+-")
        && matches!(numbers.len(), 3 | 4)
        && numbers.iter().all(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// An exact version of PEP 440, in any spelling: no comparison, no list, no `*`.
pub(super) fn is_pep440(version: &str) -> bool {
    let plain = version.strip_prefix('v').unwrap_or(version);
    plain.starts_with(|c: char| c.is_ascii_digit())
        && is_word(version, b".!+_-")
        && !version.split(['.', '-']).any(|part| part.eq_ignore_ascii_case("x"))
}

/// An image: where it is, and what chooses one of its versions.
/// <https://pkg.go.dev/github.com/distribution/reference>
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Image {
    /// `ghcr.io/owner/name`
    pub name: String,
    /// `1.0`
    pub tag: Option<String>,
    /// `sha256:…`
    pub digest: Option<String>,
}

impl Image {
    pub(super) fn parse(reference: &str) -> Option<Self> {
        let (name, tag, digest) = split_image(reference);
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
                && !part.starts_with(['.', '_', '-'])
                && !part.ends_with(['.', '_', '-'])
        };
        let (host, path) = match name.split_once('/') {
            Some((first, path)) if is_host(first) => (Some(first), path),
            _ => (None, name),
        };
        let fits = name.len() <= MAX_NAME_LEN
            && host.is_none_or(is_registry)
            && path.split('/').all(part)
            && tag.is_none_or(is_tag)
            && digest.is_none_or(is_digest);
        let owned = |text: Option<&str>| text.map(str::to_owned);
        fits.then(|| Self { name: name.to_owned(), tag: owned(tag), digest: owned(digest) })
    }

    /// Whether both have the same name, however they spell Docker's own registry.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let plain = |image: &Self| {
            let name = image.name.as_str();
            let name = ["docker.io/", "index.docker.io/"].iter().find_map(|host| name.strip_prefix(host));
            let name = name.unwrap_or(&image.name);
            name.strip_prefix("library/").unwrap_or(name).to_owned()
        };
        plain(self) == plain(other)
    }
}

impl std::fmt::Display for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tag = self.tag.iter().flat_map(|tag| [":", tag]);
        let digest = self.digest.iter().flat_map(|digest| ["@", digest]);
        [self.name.as_str()].into_iter().chain(tag).chain(digest).try_for_each(|part| f.write_str(part))
    }
}

/// Splits the reference of an image, in whatever form it is, into its name, its tag and its digest.
pub(crate) fn split_image(reference: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match reference.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (reference, None),
    };
    // A colon before the last slash belongs to a port.
    let at = rest.rfind('/').map_or(0, |slash| slash + 1);
    match rest[at..].find(':').map(|colon| at + colon) {
        Some(colon) => (&rest[..colon], Some(&rest[colon + 1..]), digest),
        None => (rest, None, digest),
    }
}

/// Whether it is `sha256:` and 64 digits.
pub(super) fn is_digest(digest: &str) -> bool {
    let hex = digest.strip_prefix("sha256:").filter(|hex| hex.len() == 64);
    hex.is_some_and(|hex| hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

pub(super) fn is_tag(tag: &str) -> bool {
    (1..=128).contains(&tag.len())
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && !tag.starts_with(['.', '-'])
}

/// Whether the first part of an image's name is a registry, by Docker's rule.
fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

fn is_registry(host: &str) -> bool {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    is_word(name, b".-") && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// The package registry of a row, if it is not the usual one.
///
/// # Errors
///
/// It can't be used.
pub(super) fn custom_registry(kind: &str, base: Option<&str>) -> Result<Option<String>, UnsupportedReason> {
    let usual: &[&str] = match kind {
        "npm" => &["registry.npmjs.org", "registry.npmjs.com", "npmjs.com", "npmjs.org", "registry.yarnpkg.com"],
        "pypi" => &["pypi.org", "pypi.python.org"],
        "oci" => &["docker.io", "index.docker.io", "registry-1.docker.io", "hub.docker.com", "registry.hub.docker.com"],
        "nuget" => &["api.nuget.org", "nuget.org"],
        "cargo" => &["crates.io", "static.crates.io", "index.crates.io"],
        "go" => &["proxy.golang.org", "pkg.go.dev", "golang.org"],
        _ => &[],
    };
    let Some(base) = base.map(str::trim).filter(|base| !base.is_empty()) else { return Ok(None) };
    let unusable = || UnsupportedReason::Registry { url: quoted(base) };
    // `docker.io` is not a URL, and means what it says.
    let url = Url::parse(base).or_else(|_| Url::parse(&format!("https://{base}"))).map_err(|_| unusable())?;
    let host = url.host_str().unwrap_or_default();
    if matches!(url.scheme(), "https" | "http") && usual.contains(&host.strip_prefix("www.").unwrap_or(host)) {
        return Ok(None);
    }
    let fits = url.scheme() == "https"
        && is_registry(host)
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && base.len() <= MAX_NAME_LEN
        && !base.contains("${");
    if fits { Ok(Some(url.to_string())) } else { Err(unusable()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_names() {
        let long = "a".repeat(300);
        let bad = ["", "-x", "--upload-pack", "a b", "a;b", "a$(b)", "a\nb", "a\u{1b}b", "а", "a|b", "`a`", &long];
        for is_name in [is_npm, is_pypi, is_nuget, is_crate, is_go, |name: &str| Image::parse(name).is_some()] {
            assert!(!bad.iter().any(|name| is_name(name)));
        }
        assert!(["a", "@a/b", "a.b-c_d", "mcp2"].iter().all(|name| is_npm(name)));
        assert!(!["A", "@a", "@/b", "@a/b/c", "a/b", "a@1", "@a/-b", ".a"].iter().any(|name| is_npm(name)));
        assert!(["A_b.c-d", "a[x]", "a[x,y]"].iter().all(|name| is_pypi(name)));
        assert!(!["a-", "a[", "a[]", "a[x]y", "a==1", "git+https://x"].iter().any(|name| is_pypi(name)));
        assert!(is_same_pypi("Crypto_Bytes.MCP", "crypto-bytes-mcp[all]==1.0") && !is_same_pypi("a", "b"));
        assert!(is_nuget("Knapcode.SampleMcpServer") && !is_nuget("a/b"));
        assert!(is_go("github.com/a/b/v2/cmd/c") && !is_go("github.com") && !is_go("a/b") && !is_go("a.b/../c"));
    }

    #[test]
    fn versions_are_exact() {
        assert!(["1.2.3", "0.0.1-beta.7", "1.2.3+build.8", "1.2.3.4"].iter().all(|version| is_semver(version)));
        for range in ["", "1", "1.2", "1.x", "1.2.x", "^1.2.3", "~1.2.3", ">=1.0.0", "1.2.3 || 2.0.0", "*", "-1.2.3"] {
            assert!(!is_semver(range), "{range}");
        }
        assert!(["1", "1.4.23.post1", "0.5.2rc4", "0.0.1-beta.7", "1!2.0", "v1.0"].iter().all(|v| is_pep440(v)));
        assert!(
            !["", "1.*", "1.x", ">=1", "1,2", "1 --index-url x", "latest"].iter().any(|version| is_pep440(version))
        );
    }

    #[test]
    fn images_have_a_name_a_tag_and_a_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for reference in [
            "alpine",
            "a/b:1",
            "ghcr.io/a/b:v1.0",
            "localhost:5000/a",
            "h.example:5000/a/b:1",
            &format!("a/b:1@{digest}"),
        ] {
            assert_eq!(Image::parse(reference).map(|image| image.to_string()).as_deref(), Some(reference));
        }
        for bad in ["a:", "A/b", "a//b", "/a", "a:b:c", "a@sha256:12", "h.example:port/a", "a:-x", "https://a/b"] {
            assert_eq!(Image::parse(bad), None, "{bad}");
        }
        let is_same = |one: &str, two: &str| Image::parse(one).unwrap().is_same(&Image::parse(two).unwrap());
        assert!(is_same("docker.io/library/alpine:1", "alpine") && !is_same("ghcr.io/a/b", "a/b"));
    }

    #[test]
    fn images_are_compared_without_their_tags() {
        for (image, name) in [
            ("docker.io/acme/x:1.2", "docker.io/acme/x"),
            ("localhost:5000/x", "localhost:5000/x"),
            ("ghcr.io/a/b@sha256:00", "ghcr.io/a/b"),
            ("x:latest", "x"),
        ] {
            assert_eq!(split_image(image).0, name);
        }
    }

    #[test]
    fn another_registry_is_an_https_address() {
        for usual in ["https://registry.npmjs.org", "https://registry.npmjs.org/", "http://www.npmjs.com", ""] {
            assert_eq!(custom_registry("npm", Some(usual)), Ok(None), "{usual}");
        }
        assert_eq!(custom_registry("oci", Some("docker.io")), Ok(None));
        assert_eq!(custom_registry("pypi", Some("https://h.example/x")), Ok(Some("https://h.example/x".to_owned())));
        for bad in ["http://h.example", "https://u:p@h.example", "file:///x", "-x", "https://h/?a=b", "https://h/${A}"]
        {
            assert!(custom_registry("npm", Some(bad)).is_err(), "{bad}");
        }
    }
}

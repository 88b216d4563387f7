//! Recognizes references that are URLs.

use aiw_extension::{Registration, is_ref};

pub const GIT: &str = "git";
pub const URL: &str = "url";

/// Forges whose repositories are recognized without `.git`. GitHub's belong to another source.
const FORGES: [&str; 3] = ["gitlab.com", "bitbucket.org", "codeberg.org"];

pub fn claim(reference: &str) -> Option<Registration> {
    if reference.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return None;
    }
    if is_github_repository(reference) {
        return None;
    }
    let (location, branch_or_tag) = match reference.split_once('#') {
        Some((location, name)) => (location, Some(name).filter(|name| is_ref(name))?.into()),
        None => (reference, None),
    };
    let (kind, location) = kind(location)?;
    Some(Registration::new(kind, location, branch_or_tag))
}

/// Returns the kind of a reference without its `#ref`, and its URL.
fn kind(location: &str) -> Option<(&'static str, &str)> {
    let Some((scheme, rest)) = location.split_once("://") else {
        let (host, path) = location.strip_prefix("git@")?.split_once(':')?;
        return (is_host(host) && is_path(path)).then_some((GIT, location));
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "file" => (authority.is_empty() && is_path(path)).then_some((GIT, location)),
        "ssh" | "git+ssh" => {
            let host = match authority.split_once('@') {
                Some((user, host)) if is_user(user) => host,
                Some(_) => return None,
                None => authority,
            };
            (is_host(host) && is_path(path)).then_some((GIT, without_git(location)))
        }
        "git+https" => (is_host(authority) && is_path(path)).then_some((GIT, without_git(location))),
        "https" | "http" if is_host(authority) => {
            let git = is_git_path(path) || (is_forge(authority) && is_forge_repository(path));
            if git && is_path(path) { Some((GIT, location)) } else { Some((URL, location)) }
        }
        _ => None,
    }
}

/// Removes the prefix `git+`: `git+https://…` becomes `https://…`.
fn without_git(location: &str) -> &str {
    location.split_at_checked(4).filter(|(head, _)| head.eq_ignore_ascii_case("git+")).map_or(location, |(_, url)| url)
}

/// Returns whether a path ends with `.git` or contains Azure's `/_git/`.
fn is_git_path(path: &str) -> bool {
    path.strip_suffix('/').unwrap_or(path).ends_with(".git") || path.contains("/_git/")
}

fn is_forge(authority: &str) -> bool {
    FORGES.iter().any(|forge| authority.eq_ignore_ascii_case(forge))
}

/// Returns whether a path has two or more names and is not the address of a single file.
fn is_forge_repository(path: &str) -> bool {
    path.split('/').filter(|name| !name.is_empty()).count() >= 2
        && !path.contains("/raw/")
        && !path.contains('?')
        && !path.ends_with(".json")
}

/// Returns whether the text is a name or an address, optionally with a port. ssh would take a leading `-` as an
/// option.
fn is_host(host: &str) -> bool {
    host.starts_with(|c: char| c.is_alphanumeric() || c == '[')
        && host.chars().all(|c| c.is_alphanumeric() || ".-_:[]".contains(c))
}

fn is_user(user: &str) -> bool {
    !user.is_empty() && !user.starts_with('-') && user.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn is_path(path: &str) -> bool {
    !path.trim_matches('/').is_empty() && !path.starts_with('-') && !path.contains('?')
}

/// Returns whether a reference is a repository at github.com. These belong to market-github, whether it accepts the
/// name or not; other addresses there are files.
fn is_github_repository(reference: &str) -> bool {
    const GITHUB: &str = "https://github.com/";
    let Some((head, rest)) = reference.split_at_checked(GITHUB.len()) else { return false };
    let path = rest.split(['@', '#', '?']).next().unwrap_or_default();
    let path = path.strip_suffix('/').unwrap_or(path);
    let mut names = path.split('/').skip(1);
    head.eq_ignore_ascii_case(GITHUB) && names.next().is_some() && matches!(names.next(), None | Some("tree"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn git_urls_and_json_urls_are_told_apart() {
        let cases = [
            ("https://git.acme.example/tools/plugins.git", GIT, "https://git.acme.example/tools/plugins.git", None),
            ("https://git.acme.example/plugins.git#v2", GIT, "https://git.acme.example/plugins.git", Some("v2")),
            ("https://dev.azure.com/org/project/_git/repo", GIT, "https://dev.azure.com/org/project/_git/repo", None),
            ("https://gitlab.com/group/sub/project", GIT, "https://gitlab.com/group/sub/project", None),
            ("https://Codeberg.org/a/b#main", GIT, "https://Codeberg.org/a/b", Some("main")),
            ("https://gitlab.com/a/b/-/raw/main/m.json", URL, "https://gitlab.com/a/b/-/raw/main/m.json", None),
            ("ssh://git@git.acme.example:22/plugins", GIT, "ssh://git@git.acme.example:22/plugins", None),
            ("git@github.com:owner/repo.git#dev", GIT, "git@github.com:owner/repo.git", Some("dev")),
            ("file:///srv/plugins", GIT, "file:///srv/plugins", None),
            ("git+https://github.com/owner/repo", GIT, "https://github.com/owner/repo", None),
            ("git+ssh://git@host/repo", GIT, "ssh://git@host/repo", None),
            ("https://acme.example/marketplace.json", URL, "https://acme.example/marketplace.json", None),
            ("https://acme.example/m?team=x", URL, "https://acme.example/m?team=x", None),
            ("http://localhost:8080/marketplace.json", URL, "http://localhost:8080/marketplace.json", None),
            ("https://acme.example/m.json#x", URL, "https://acme.example/m.json", Some("x")),
            ("https://github.com/o/r/raw/main/m.json", URL, "https://github.com/o/r/raw/main/m.json", None),
        ];
        for (reference, kind, location, branch_or_tag) in cases {
            assert_eq!(claim(reference), Some(Registration::new(kind, location, branch_or_tag)), "{reference}");
        }
    }

    #[test]
    fn what_is_no_url_is_left_to_others() {
        let others = [
            "",
            "owner/repo",
            "./x",
            "/x",
            "~",
            "C:/x",
            "gitlab.com/owner/repo",
            "https://",
            "https:///x",
            "https://user:password@acme.example/x.json",
            "https://github.com/owner/repo",
            "https://github.com/owner/repo.git#x",
            "https://github.com/owner/repo/tree/main/x",
            "git@host",
            "git@host:",
            "git@-oProxyCommand=x:y",
            "git@host:-x",
            "ssh://-oProxyCommand=x/y",
            "ssh://git:password@host/x",
            "file://host/share",
            "ftp://acme.example/x.json",
            "javascript://x",
            "https://acme.example/a b.json",
            "https://acme.example/x.git#",
            "https://acme.example/x.git#-x",
        ];
        for reference in others {
            assert_eq!(claim(reference), None, "{reference}");
        }
    }
}

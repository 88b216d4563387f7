//! Recognizes references to GitHub repositories.

use aiw_extension::{Registration, is_ref};

pub const KIND: &str = "github";

/// `owner/repo`, both valid by GitHub's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repository<'a> {
    pub owner: &'a str,
    pub name: &'a str,
}

impl<'a> Repository<'a> {
    /// Parses `owner/repo` or `owner/repo.git`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        let name = name.strip_suffix(".git").unwrap_or(name);
        (is_owner(owner) && is_name(name)).then_some(Self { owner, name })
    }
}

/// Returns whether a name is 1–39 letters, digits and hyphens. Older accounts have hyphens in places where new ones
/// may not. The host uses the same rule for the entries of marketplaces.
fn is_owner(owner: &str) -> bool {
    (1..=39).contains(&owner.len())
        && !owner.starts_with('-')
        && owner.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

fn is_name(name: &str) -> bool {
    (1..=100).contains(&name.len())
        && !matches!(name, "." | ".." | ".git")
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

pub fn claim(reference: &str) -> Option<Registration> {
    let short = strip_prefix(reference, "github:");
    let url = strip_prefix(reference, "https://github.com/");
    let text = short.or(url).unwrap_or(reference);

    let (path, mut branch_or_tag) = match text.split_once(['@', '#']) {
        Some((path, name)) => (path, Some(name)),
        None => (text, None),
    };
    let mut path = if url.is_some() { path.strip_suffix('/').unwrap_or(path) } else { path };
    // A branch name may contain `/`, so everything after `tree` is taken as the branch. In a URL copied from a
    // browser, it may be a branch and a directory. Then git says that there is no such branch.
    if let (Some((repository, name)), Some(_), None) = (path.split_once("/tree/"), url, branch_or_tag) {
        (path, branch_or_tag) = (repository, Some(name));
    }
    if branch_or_tag.is_some_and(|name| !is_ref(name)) {
        return None;
    }
    let Repository { owner, name } = Repository::parse(path)?;
    Some(Registration::new(KIND, format!("{owner}/{name}"), branch_or_tag))
}

/// Strips a prefix of scheme and host, which are case-insensitive.
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_claimed_in_every_form() {
        let cases = [
            ("owner/repo", "owner/repo", None),
            ("owner/repo@v1.2", "owner/repo", Some("v1.2")),
            ("owner/repo#feature/x", "owner/repo", Some("feature/x")),
            ("owner/repo@a#b", "owner/repo", Some("a#b")),
            ("owner/repo.git", "owner/repo", None),
            ("github:owner/repo@main", "owner/repo", Some("main")),
            ("a-b/.github", "a-b/.github", None),
            ("https://github.com/owner/repo", "owner/repo", None),
            ("https://github.com/owner/repo/", "owner/repo", None),
            ("HTTPS://GitHub.com/Owner/repo", "Owner/repo", None),
            ("https://github.com/owner/repo.git", "owner/repo", None),
            ("https://github.com/owner/repo.git#dev", "owner/repo", Some("dev")),
            ("https://github.com/owner/repo@dev/x", "owner/repo", Some("dev/x")),
            ("https://github.com/owner/repo/tree/release/1", "owner/repo", Some("release/1")),
        ];
        for (reference, location, branch_or_tag) in cases {
            assert_eq!(claim(reference), Some(Registration::new(KIND, location, branch_or_tag)), "{reference}");
        }
    }

    #[test]
    fn what_is_no_repository_is_left_to_others() {
        let long = format!("{}/repo", "a".repeat(40));
        let others = [
            "",
            "owner",
            "owner/",
            "/repo",
            "./x",
            "../x",
            "/x/y",
            "~",
            "~/x",
            "a/b/c",
            "a/b/tree/main",
            "owner/..",
            "owner/.",
            "owner/.git",
            "-a/b",
            "a_b/c",
            "gitlab.com/x",
            "owner/re po",
            "owner/repo@",
            "owner/repo@-x",
            "owner/repo@a b",
            "owner/répo",
            "git@github.com:owner/repo.git",
            "ssh://git@github.com/owner/repo",
            "http://github.com/owner/repo",
            "git+https://github.com/owner/repo",
            "https://github.com.evil.example/owner/repo",
            "https://github.com@evil.example/owner/repo",
            "https://github.com/owner/repo/blob/main/x.json",
            "https://github.com/owner",
            "https://gitlab.com/owner/repo",
            long.as_str(),
        ];
        for reference in others {
            assert_eq!(claim(reference), None, "{reference}");
        }
    }

    /// The same table is in `host/markets/src/source.rs`.
    #[test]
    fn repositories_of_github_are_told_by_their_names() {
        let long = ["a".repeat(39), "a".repeat(40), "b".repeat(100), "b".repeat(101)];
        let (owner, repo) = (format!("{}/x", long[0]), format!("x/{}", long[2]));
        for good in ["owner/repo", "a-b/.github", "a-/b", "a--b/c", "1/2", "a/-", "a/_x.y", &owner, &repo] {
            assert!(Repository::parse(good).is_some(), "{good}");
        }
        let (owner, repo) = (format!("{}/x", long[1]), format!("x/{}", long[3]));
        for bad in [
            "",
            "owner",
            "owner/",
            "/repo",
            "-a/b",
            "a_b/c",
            "a.b/c",
            "owner/.",
            "owner/..",
            "owner/.git",
            "a/b/c",
            "owner/re po",
            "owner/r\u{e9}po",
            "owner/a%2e",
            &owner,
            &repo,
        ] {
            assert!(Repository::parse(bad).is_none(), "{bad}");
        }
    }
}

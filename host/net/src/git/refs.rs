//! Places in a repository, and the refs that it lists.

use aiw_core::{RelPath, Sha, is_git_ref, one_line};

use crate::error::NetError;

/// A location in a git repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitOrigin {
    /// An `https`, `ssh` or `file:` URL, an absolute path, or `git@host:path`.
    pub url: String,
    /// A branch or tag; the default branch if absent.
    pub reference: Option<String>,
    /// The commit. It takes precedence over `reference`.
    pub sha: Option<Sha>,
    /// A directory inside the repository.
    pub path: Option<RelPath>,
}

impl GitOrigin {
    /// Returns the default branch of a repository.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), reference: None, sha: None, path: None }
    }
}

/// A ref of a repository. `name` is the full name (`refs/heads/main`) or `HEAD`. A trailing `^{}` marks what a tag
/// stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRef {
    /// The full name.
    pub name: String,
    /// The id that it points at.
    pub sha: Sha,
}

/// All refs of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRefs {
    pub(super) url: String,
    pub(super) refs: Vec<GitRef>,
}

impl GitRefs {
    /// Iterates over all refs, with `HEAD` first if there is one.
    pub fn iter(&self) -> std::slice::Iter<'_, GitRef> {
        self.refs.iter()
    }

    /// Returns the commit of a branch, a tag or a full ref name, or of the default branch for `None`.
    pub fn resolve(&self, reference: Option<&str>) -> Result<Sha, NetError> {
        self.find(reference).map(|(_, sha)| sha)
    }

    /// Returns the full name of the ref and the commit that it stands for.
    pub(super) fn find(&self, reference: Option<&str>) -> Result<(String, Sha), NetError> {
        if self.refs.is_empty() {
            return Err(NetError::not_found(format!("`{}` is an empty repository: it has no commits", self.url)));
        }
        let by_name = |name: &str| self.refs.iter().find(|r| r.name == name).map(|r| r.sha.clone());
        let named = |name: String| {
            let peeled = by_name(&format!("{name}^{{}}"));
            peeled.or_else(|| by_name(&name)).map(|sha| (name, sha))
        };
        let Some(wanted) = reference else {
            return named("HEAD".to_owned())
                .ok_or_else(|| NetError::not_found(format!("`{}` has no default branch: name one", self.url)));
        };
        check_reference(wanted)?;
        let found = if wanted == "HEAD" || wanted.starts_with("refs/") {
            named(wanted.to_owned())
        } else {
            named(format!("refs/heads/{wanted}")).or_else(|| named(format!("refs/tags/{wanted}")))
        };
        found.ok_or_else(|| {
            NetError::not_found(format!("`{}` has no branch or tag `{}`", self.url, one_line(wanted, 80)))
        })
    }
}

impl<'a> IntoIterator for &'a GitRefs {
    type Item = &'a GitRef;
    type IntoIter = std::slice::Iter<'a, GitRef>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

pub(super) fn check_reference(reference: &str) -> Result<(), NetError> {
    if is_git_ref(reference) {
        return Ok(());
    }
    Err(NetError::invalid(format!("`{}` is not the name of a branch or tag", one_line(reference, 80))))
}

//! Repositories on this machine: read where they are. Nothing is copied, since a commit never changes.

use std::ffi::OsStr;
use std::path::Path;

use aiw_core::{Sha, one_line};
use git2::{ErrorCode, ObjectType, Repository, RepositoryOpenFlags};

use super::GitRef;
use crate::error::NetError;

/// A bare repository, or a directory with `.git`; none above it is looked for.
pub(super) fn open(path: &Path, shown: &str) -> Result<Repository, NetError> {
    let nothing_above: [&OsStr; 0] = [];
    let opened = Repository::open_ext(path, RepositoryOpenFlags::NO_SEARCH, nothing_above);
    let repository = opened.map_err(|error| match error.code() {
        ErrorCode::NotFound => NetError::not_found(format!("there is no git repository at `{shown}`")),
        // git's own protection: what another user put there may have been made to be read.
        ErrorCode::Owner => NetError::denied(format!(
            "the git repository at `{shown}` belongs to another user, and git's `safe.directory` does not name it"
        )),
        _ => unreadable(shown, &error),
    })?;
    // A `.git` file, a link or `alternates` may lead anywhere; only the path itself was granted.
    let alternates =
        std::fs::read_to_string(repository.commondir().join("objects/info/alternates")).unwrap_or_default();
    let objects = repository.commondir().join("objects");
    let places = [repository.path().to_owned(), repository.commondir().to_owned(), objects.clone()];
    let elsewhere = alternates
        .lines()
        .map(|line| objects.join(line))
        .chain(places)
        .find(|place| !std::fs::canonicalize(place).is_ok_and(|place| place.starts_with(path)));
    match elsewhere {
        None => Ok(repository),
        Some(place) => {
            let place = one_line(&place.display().to_string(), 200);
            Err(NetError::denied(format!("the git repository at `{shown}` keeps its objects elsewhere, in `{place}`")))
        }
    }
}

/// The commit of a branch, a tag or a whole ref name, or of `HEAD`; none where the refs as a whole have to say.
pub(super) fn resolve(repository: &Repository, reference: Option<&str>) -> Option<Sha> {
    let commit = |name: &str| {
        let found = repository.find_reference(name).ok()?;
        found.peel(ObjectType::Commit).ok()?.id().to_string().parse().ok()
    };
    match reference {
        None => commit("HEAD"),
        Some(name) if name == "HEAD" || name.starts_with("refs/") => commit(name),
        Some(name) => commit(&format!("refs/heads/{name}")).or_else(|| commit(&format!("refs/tags/{name}"))),
    }
}

/// What a far end would list of the same repository.
pub(super) fn refs(repository: &Repository, shown: &str) -> Result<Vec<GitRef>, NetError> {
    let failed = |error: git2::Error| unreadable(shown, &error);
    let git_ref =
        |name: String, oid: git2::Oid| -> Option<GitRef> { Some(GitRef { name, sha: oid.to_string().parse().ok()? }) };
    let mut refs = Vec::new();
    // Without a commit, `HEAD` names a branch that is not there.
    let head = repository.find_reference("HEAD").and_then(|head| head.resolve()).ok();
    refs.extend(head.and_then(|head| git_ref("HEAD".to_owned(), head.target()?)));
    for reference in repository.references().map_err(failed)? {
        let reference = reference.map_err(failed)?;
        // What is not UTF-8, or leads nowhere, can't be asked for.
        let Some(target) = reference.resolve().ok().and_then(|resolved| resolved.target()) else { continue };
        let Ok(name) = reference.name() else { continue };
        refs.extend(git_ref(name.to_owned(), target));
        let is_tag = repository.find_tag(target).is_ok();
        if let Some(peeled) = is_tag.then(|| reference.peel(ObjectType::Any).ok()).flatten() {
            refs.extend(git_ref(format!("{name}^{{}}"), peeled.id()));
        }
    }
    Ok(refs)
}

fn unreadable(shown: &str, error: &git2::Error) -> NetError {
    NetError::unavailable(format!("cannot read the git repository at `{shown}`: {}", one_line(error.message(), 200)))
}

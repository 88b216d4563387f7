//! Where a directory stands in git: the branch, the commit and the remotes. The repository's own files are read, and nothing
//! runs. A repository may come from anybody, so no link is followed, and nothing is read outside of it but its git directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use aiw_core::{Sha, is_git_ref, one_line};
use aiw_home::read_nofollow;

use super::local::{GitSetting, MAX_CONFIG_BYTES, MAX_CONFIG_FILES, MAX_DEPTH, parse_settings};
use super::transport;
use crate::error::NetError;

/// The longest list of packed refs, in bytes: some 500,000 of them.
const MAX_PACKED_REFS_BYTES: u64 = 32 << 20;

/// The longest `HEAD`, loose ref, or file that says where a repository is.
const MAX_REF_BYTES: u64 = 8 << 10;

/// The most remotes that are looked at.
const MAX_REMOTES: usize = 100;

/// A remote of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitRemote {
    /// Its name.
    pub name: String,
    /// Its URL, as git's configuration rewrites it. It may have credentials.
    pub url: String,
}

/// Where a directory stands in git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCheckout {
    /// The directory that is checked out, without links.
    pub directory: PathBuf,
    /// The branch, unless `HEAD` is detached.
    pub branch: Option<String>,
    /// The commit, if there is one.
    pub commit: Option<Sha>,
    /// Why its branch or commit is not known: git keeps them in a form that this doesn't read.
    pub unreadable_reason: Option<&'static str>,
    /// The remotes: first the one that the branch is pushed to, as far as the configuration says.
    pub remotes: Vec<GitRemote>,
}

impl GitCheckout {
    /// Reads where a directory stands: in the nearest repository upwards. `None` if it is in none.
    ///
    /// # Errors
    ///
    /// The repository belongs to another user, leads elsewhere by a link, or can't be read.
    pub fn find(directory: &Path) -> Result<Option<Self>, NetError> {
        let Ok(directory) = fs::canonicalize(directory) else { return Ok(None) };
        let is_root = |dir: &&Path| fs::symlink_metadata(dir.join(".git")).is_ok();
        let Some(root) = directory.ancestors().find(is_root) else { return Ok(None) };
        let users = transport::prepare().ok().and_then(|()| git2::Config::open_default().ok());
        ConfigReading { root, users }.read().map(Some)
    }
}

struct ConfigReading<'a> {
    root: &'a Path,
    /// The user's own configuration.
    users: Option<git2::Config>,
}

impl ConfigReading<'_> {
    fn read(&self) -> Result<GitCheckout, NetError> {
        let place = self.git_directory()?;
        let common = match text_of(&place.join("commondir"), MAX_REF_BYTES)? {
            Some(to) => self.directory_at(&place, to.trim_ascii())?,
            None => place.clone(),
        };
        for owned in [self.root, &place, &common] {
            self.check_owner(owned)?;
        }
        let mut found = Vec::new();
        let mut files = MAX_CONFIG_FILES;
        self.config(&common.join("config"), &common, MAX_DEPTH, &mut files, &mut found)?;
        let head = text_of(&place.join("HEAD"), MAX_REF_BYTES)?.unwrap_or_default();
        let head = str::from_utf8(head.trim_ascii()).unwrap_or_default();
        let branch = head.strip_prefix("ref: refs/heads/").filter(|branch| is_git_ref(branch)).map(str::to_owned);
        let has = |key: &str, word: &[u8]| {
            found.iter().any(|one| one.matches("extensions", None, key) && one.value.eq_ignore_ascii_case(word))
        };
        let (commit, unread) = match &branch {
            _ if has("objectformat", b"sha256") => (None, Some("its commits are named by SHA-256")),
            _ if has("refstorage", b"reftable") => (None, Some("its branches are kept as a reftable")),
            Some(branch) => match commit_of(&common, branch) {
                Ok(commit) => (commit, None),
                Err(_) => (None, Some("its list of branches can't be read")),
            },
            None => (head.parse().ok(), None),
        };
        let remotes = self.remotes(&found, branch.as_deref());
        Ok(GitCheckout { directory: self.root.to_owned(), branch, commit, unreadable_reason: unread, remotes })
    }

    /// Returns the git directory: `.git` itself, or where that file says (in other worktrees, and in submodules).
    fn git_directory(&self) -> Result<PathBuf, NetError> {
        let path = self.root.join(".git");
        let kind = fs::symlink_metadata(&path).map(|metadata| metadata.file_type());
        match kind {
            Ok(kind) if kind.is_dir() => Ok(path),
            Ok(kind) if kind.is_file() => {
                let text = text_of(&path, MAX_REF_BYTES)?.unwrap_or_default();
                let to =
                    text.trim_ascii().strip_prefix(b"gitdir:").ok_or_else(|| self.broken("`.git` names no place"))?;
                self.directory_at(self.root, to.trim_ascii())
            }
            _ => Err(self.broken("`.git` is a link")),
        }
    }

    fn directory_at(&self, from: &Path, to: &[u8]) -> Result<PathBuf, NetError> {
        let real = fs::canonicalize(from.join(OsStr::from_bytes(to))).ok();
        let real = real.filter(|real| real.join("HEAD").is_file());
        real.ok_or_else(|| self.broken("its git directory is gone"))
    }

    fn broken(&self, why: &str) -> NetError {
        NetError::invalid(format!("the git repository at `{}` can't be read: {why}", shown(self.root)))
    }

    /// Checks git's own rule: another user may have made the repository for others to read.
    fn check_owner(&self, path: &Path) -> Result<(), NetError> {
        let owner = fs::metadata(path).map(|metadata| metadata.uid()).ok();
        if owner == Some(rustix::process::geteuid().as_raw()) || self.is_safe() {
            return Ok(());
        }
        Err(NetError::denied(format!(
            "the git repository at `{}` belongs to another user, and git's `safe.directory` does not list it",
            shown(self.root)
        )))
    }

    fn is_safe(&self) -> bool {
        let is_here = |safe: &[u8]| {
            let above = safe.strip_suffix(b"/*").map(|above| Path::new(OsStr::from_bytes(above)));
            safe == b"*"
                || Path::new(OsStr::from_bytes(safe)) == self.root
                || above.is_some_and(|above| self.root.starts_with(above))
        };
        self.users_values("^safe\\.directory$").iter().any(|(_, value)| is_here(value))
    }

    /// Returns the names and values in the user's own configuration.
    fn users_values(&self, names: &str) -> Vec<(String, Vec<u8>)> {
        let mut values = Vec::new();
        if let Some(mut entries) = self.users.as_ref().and_then(|users| users.entries(Some(names)).ok()) {
            while let Some(Ok(entry)) = entries.next() {
                let name = String::from_utf8_lossy(entry.name_bytes()).into_owned();
                values.push((name, entry.value_bytes().to_vec()));
            }
        }
        values
    }

    /// Reads the configuration, and what it includes without a condition, if that is in the repository.
    fn config(
        &self,
        file: &Path,
        common: &Path,
        deeper: usize,
        files: &mut usize,
        found: &mut Vec<GitSetting>,
    ) -> Result<(), NetError> {
        if *files == 0 {
            return Err(self.broken("its configuration has too many files"));
        }
        *files -= 1;
        for setting in parse_settings(&text_of(file, MAX_CONFIG_BYTES)?.unwrap_or_default()) {
            let is_include = setting.section == "include" && setting.subsection.is_none() && setting.key == "path";
            let Some(deeper) = deeper.checked_sub(1).filter(|_| is_include) else {
                found.push(setting);
                continue;
            };
            let to = file.parent().unwrap_or(file).join(OsStr::from_bytes(&setting.value));
            let is_inside = |real: &PathBuf| real.starts_with(self.root) || real.starts_with(common);
            if let Some(real) = fs::canonicalize(to).ok().filter(is_inside) {
                self.config(&real, common, deeper, files, found)?;
            }
        }
        Ok(())
    }

    fn remotes(&self, found: &[GitSetting], branch: Option<&str>) -> Vec<GitRemote> {
        let value = |section: &str, subsection: Option<&str>, key: &str| {
            let is_it = |one: &&GitSetting| one.matches(section, subsection, key);
            found.iter().rfind(is_it).map(|one| String::from_utf8_lossy(&one.value).into_owned())
        };
        let mut urls = BTreeMap::new();
        for one in found.iter().filter(|one| one.section == "remote" && one.key == "url") {
            if let (Some(name), Ok(url)) = (&one.subsection, str::from_utf8(&one.value)) {
                // Git fetches from the first URL of a remote.
                urls.entry(name.clone()).or_insert_with(|| url.to_owned());
            }
        }
        let users = self.users_values("^remote\\.pushdefault$").pop();
        let users = users.map(|(_, name)| String::from_utf8_lossy(&name).into_owned());
        let first = [
            branch.and_then(|branch| value("branch", Some(branch), "pushremote")),
            value("remote", None, "pushdefault").or(users),
            branch.and_then(|branch| value("branch", Some(branch), "remote")),
            Some("origin".into()),
        ];
        let mut remotes: Vec<(String, String)> =
            first.into_iter().flatten().filter_map(|name| urls.remove_entry(&name)).collect();
        remotes.extend(urls);
        remotes.truncate(MAX_REMOTES);
        let rules = self.rules(found);
        let of = |(name, url): (String, String)| GitRemote { name, url: rewritten_by(&rules, url) };
        remotes.into_iter().map(of).collect()
    }

    /// Returns the beginnings of URLs that git rewrites, and to what.
    fn rules(&self, found: &[GitSetting]) -> Vec<(String, String)> {
        let ours = found.iter().filter(|one| one.section == "url" && one.key == "insteadof");
        let ours = ours.filter_map(|one| Some((one.value.clone(), one.subsection.clone()?)));
        let users = self.users_values("^url\\..*\\.insteadof$");
        let users = users.into_iter().filter_map(|(name, value)| {
            Some((value, name.strip_prefix("url.")?.strip_suffix(".insteadof")?.to_owned()))
        });
        ours.chain(users).filter_map(|(from, to)| Some((String::from_utf8(from).ok()?, to))).collect()
    }
}

/// Rewrites a URL by the rule that says the most.
fn rewritten_by(rules: &[(String, String)], url: String) -> String {
    let fitting = rules.iter().filter(|(from, _)| !from.is_empty() && url.starts_with(from.as_str()));
    match fitting.max_by_key(|(from, _)| from.len()) {
        Some((from, to)) => format!("{to}{}", &url[from.len()..]),
        None => url,
    }
}

/// Returns the commit of a branch: its own file goes before the list of packed refs.
fn commit_of(common: &Path, branch: &str) -> Result<Option<Sha>, NetError> {
    let name = format!("refs/heads/{branch}");
    // A directory of this name has branches of longer names.
    let loose = common.join(&name);
    if fs::symlink_metadata(&loose).is_ok_and(|metadata| metadata.is_file())
        && let Some(text) = text_of(&loose, MAX_REF_BYTES)?
    {
        return Ok(str::from_utf8(text.trim_ascii()).ok().and_then(|sha| sha.parse().ok()));
    }
    let packed = text_of(&common.join("packed-refs"), MAX_PACKED_REFS_BYTES)?.unwrap_or_default();
    let of = |line: &[u8]| {
        let (sha, found) = line.trim_ascii_end().split_at_checked(40)?;
        let is_it = found.strip_prefix(b" ").is_some_and(|found| found == name.as_bytes());
        str::from_utf8(sha).ok()?.parse().ok().filter(|_| is_it)
    };
    Ok(packed.split(|byte| *byte == b'\n').find_map(of))
}

fn text_of(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, NetError> {
    read_nofollow(path, limit).map_err(|error| NetError::invalid(one_line(&error.to_string(), 400)))
}

fn shown(path: &Path) -> String {
    one_line(&path.display().to_string(), 200)
}

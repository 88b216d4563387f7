//! A git repository, by the user's own `git`: one branch, whose files are the objects.
//!
//! `git` and not libgit2, because only the user's own knows the user's ssh keys and credential helpers. The clone is
//! private and bare, so nothing of a remote is ever checked out: a tree may hold what it likes.

mod program;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aiw_core::hex;
use aiw_home::{ExclusiveLock, Home, Mode, remove_file, replace, run_blocking};
use async_trait::async_trait;
use sha2::{Digest, Sha256};

use super::{
    MAX_NAMES, ObjectListing, PendingRequests, Remote, RemoteContext, RemoteError, RemoteObject, check_name,
    check_object, is_object_name,
};
use program::{GitOutput, GitProgram};

/// The branch.
const SYNC_BRANCH: &str = "refs/heads/aiw-sync";

/// The branch as it was fetched last.
const FETCHED_REF: &str = "refs/aiw/theirs";

/// The file that says that the clone is whole.
const READY_FILE: &str = "aiw-ready";

/// The locks of `git` that a change of the clone takes.
const LOCK_FILES: [&str; 5] = ["HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "refs/aiw/theirs.lock"];

/// How often a push is tried while others push, too.
const MAX_ATTEMPTS: u32 = 40;

/// How often a push is tried that nobody else is the reason of.
const MAX_PUSH_ATTEMPTS: u32 = 3;

/// The largest tree that is read, in bytes of its listing.
const MAX_TREE_BYTES: u64 = 16 << 20;

/// A git repository.
pub(super) struct Git {
    inner: Arc<GitEndParts>,
}

struct GitEndParts {
    home: Home,
    program: GitProgram,
    url: String,
    place: String,
    clone: PathBuf,
    second: Duration,
    waits: PendingRequests,
}

/// Ends the work on a thread when nobody waits for it any more.
struct StopGuard(Arc<AtomicBool>);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A file of a tree.
#[derive(Clone)]
struct Blob {
    id: String,
    size: u64,
}

/// A change of the tree.
enum TreeChange<'a> {
    Put(&'a str, &'a [u8]),
    Delete(&'a str),
}

impl Git {
    pub(super) fn new(url: &str, context: &RemoteContext) -> Result<Self, RemoteError> {
        let home = context.home.clone();
        let mark = hex(&Sha256::digest(url.as_bytes()));
        let clone = home.root().join("sync").join("git").join(&mark[..16]);
        let program = GitProgram::find(home.context(), &clone, context.answer_timeout)?;
        let (url, place) = (url.to_owned(), format!("`git:{url}`"));
        let (second, waits) = (context.delay_unit, context.pending_requests.clone());
        Ok(Self { inner: Arc::new(GitEndParts { home, program, url, place, clone, second, waits }) })
    }

    /// Runs work on the clone. One process at a time has it.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&GitEndParts, &AtomicBool) -> Result<T, RemoteError> + Send + 'static,
    ) -> Result<T, RemoteError> {
        let stop = Arc::new(AtomicBool::new(false));
        let _guard = StopGuard(stop.clone());
        let inner = self.inner.clone();
        run_blocking(move || {
            inner.home.make_dir(&inner.clone)?;
            let lock = inner.clone.join("aiw.lock");
            let _turn = loop {
                if stop.load(Ordering::Relaxed) {
                    return Err(RemoteError::Cancelled);
                }
                if let Some(turn) = ExclusiveLock::try_acquire_for(&lock, Duration::from_millis(200))? {
                    break turn;
                }
            };
            inner.begin(&stop)?;
            work(&inner, &stop)
        })
        .await
    }
}

impl GitEndParts {
    fn run(&self, arguments: &[&str], input: &[u8], limit: u64, stop: &AtomicBool) -> Result<GitOutput, RemoteError> {
        let _waits = self.waits.begin(&self.place);
        self.program.run(&self.clone, arguments, input, limit, stop)
    }

    /// Runs a command that has to succeed.
    fn must(&self, arguments: &[&str], input: &[u8], limit: u64, stop: &AtomicBool) -> Result<Vec<u8>, RemoteError> {
        let ended = self.run(arguments, input, limit, stop)?;
        if ended.is_truncated {
            return Err(RemoteError::TooManyObjects { place: self.place.clone() });
        }
        if !ended.succeeded {
            return Err(self.failed(&ended));
        }
        Ok(ended.output)
    }

    fn failed(&self, ended: &GitOutput) -> RemoteError {
        RemoteError::Git { place: self.place.clone(), complaint: ended.stderr.clone() }
    }

    /// Returns the id that a command prints.
    fn id(&self, arguments: &[&str], input: &[u8], stop: &AtomicBool) -> Result<String, RemoteError> {
        let output = self.must(arguments, input, 1 << 10, stop)?;
        let id = String::from_utf8_lossy(&output).trim().to_owned();
        let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id {
            Ok(id)
        } else {
            Err(RemoteError::invalid_response(&self.place, "git prints something that is not an id"))
        }
    }

    /// Makes the clone, if it is not there, or not whole.
    fn begin(&self, stop: &AtomicBool) -> Result<(), RemoteError> {
        // A `git` that was killed leaves its locks behind. Ours is held, so they are nobody's.
        for lock in LOCK_FILES {
            let _ = remove_file(&self.clone.join(lock));
        }
        // The last that is made.
        if self.clone.join(READY_FILE).is_file() {
            return Ok(());
        }
        self.must(&["init", "--bare", "--quiet", "--template=", "."], b"", 1 << 10, stop)?;
        Ok(replace(&self.clone.join(READY_FILE), b"", Mode::Private)?)
    }

    /// Fetches the branch. Returns its commit; `None` if there is no such branch.
    fn fetch(&self, stop: &AtomicBool) -> Result<Option<String>, RemoteError> {
        let refspec = format!("+{SYNC_BRANCH}:{FETCHED_REF}");
        let arguments = [
            "fetch",
            "--quiet",
            // Past snapshots are not needed: those that are still kept are in the newest tree.
            "--depth=1",
            "--no-tags",
            "--no-write-fetch-head",
            "--no-recurse-submodules",
            "--",
            &self.url,
            &refspec,
        ];
        let ended = self.run(&arguments, b"", 1 << 20, stop)?;
        if ended.succeeded {
            return self.id(&["rev-parse", "--verify", "--quiet", FETCHED_REF], b"", stop).map(Some);
        }
        if ended.stderr.contains("couldn't find remote ref") {
            self.must(&["update-ref", "-d", FETCHED_REF], b"", 1 << 10, stop)?;
            return Ok(None);
        }
        Err(self.failed(&ended))
    }

    /// Returns the lines of a tree as `git mktree` takes them, by their names, and with the size of each.
    fn tree(&self, commit: &str, stop: &AtomicBool) -> Result<BTreeMap<Vec<u8>, (String, u64)>, RemoteError> {
        let listed = self.must(&["ls-tree", "-z", "--long", "--full-tree", commit], b"", MAX_TREE_BYTES, stop)?;
        let mut entries = BTreeMap::new();
        for line in listed.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
            let odd = || RemoteError::invalid_response(&self.place, "its tree can't be read");
            let tab = line.iter().position(|byte| *byte == b'\t').ok_or_else(odd)?;
            let head = std::str::from_utf8(&line[..tab]).map_err(|_| odd())?;
            let mut words = head.split_whitespace();
            let (Some(mode), Some(kind), Some(id), Some(size)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                return Err(odd());
            };
            entries.insert(line[tab + 1..].to_vec(), (format!("{mode} {kind} {id}"), size.parse().unwrap_or(0)));
            if entries.len() > MAX_NAMES {
                return Err(RemoteError::TooManyObjects { place: self.place.clone() });
            }
        }
        Ok(entries)
    }

    /// Returns the objects of a commit. Links, folders and other repositories are none.
    fn objects(&self, commit: &str, stop: &AtomicBool) -> Result<BTreeMap<String, Blob>, RemoteError> {
        let plain = |entry: &str| {
            let id = entry.strip_prefix("100644 blob ").or_else(|| entry.strip_prefix("100755 blob "));
            id.map(str::to_owned)
        };
        let entries = self.tree(commit, stop)?.into_iter();
        Ok(entries
            .filter_map(|(name, (entry, size))| Some((String::from_utf8(name).ok()?, plain(&entry)?, size)))
            .filter(|(name, ..)| is_object_name(name))
            .map(|(name, id, size)| (name, Blob { id, size }))
            .collect())
    }

    fn all(&self, stop: &AtomicBool) -> Result<Vec<RemoteObject>, RemoteError> {
        let Some(commit) = self.fetch(stop)? else { return Ok(Vec::new()) };
        let mut found = ObjectListing::new(&self.place);
        for (name, blob) in self.objects(&commit, stop)? {
            found.add(&name, Some(blob.size))?;
        }
        Ok(found.into_objects())
    }

    fn read(&self, name: &str, limit: u64, stop: &AtomicBool) -> Result<Vec<u8>, RemoteError> {
        // An object never changes, so the one that was fetched before is it.
        let known = self.run(&["rev-parse", "--verify", "--quiet", FETCHED_REF], b"", 1 << 10, stop)?;
        let mut blob = None;
        if known.succeeded {
            let commit = String::from_utf8_lossy(&known.output).trim().to_owned();
            blob = self.objects(&commit, stop)?.remove(name);
        }
        if blob.is_none()
            && let Some(commit) = self.fetch(stop)?
        {
            blob = self.objects(&commit, stop)?.remove(name);
        }
        let missing = || RemoteError::NotFound { name: name.to_owned(), place: self.place.clone() };
        let blob = blob.ok_or_else(missing)?;
        if blob.size > limit {
            return Err(RemoteError::TooLarge { name: name.to_owned(), limit });
        }
        let ended = self.run(&["cat-file", "blob", &blob.id], b"", limit, stop)?;
        match ended {
            GitOutput { is_truncated: true, .. } => Err(RemoteError::TooLarge { name: name.to_owned(), limit }),
            GitOutput { succeeded: true, output, .. } => Ok(output),
            ended => Err(self.failed(&ended)),
        }
    }

    /// Changes the branch by one commit. If somebody else was faster, on top of theirs.
    fn change(&self, change: &TreeChange<'_>, stop: &AtomicBool) -> Result<(), RemoteError> {
        let blob = match change {
            TreeChange::Put(_, bytes) => Some(self.id(&["hash-object", "-w", "--stdin"], bytes, stop)?),
            TreeChange::Delete(_) => None,
        };
        let mut last = None;
        let mut refusals = 0;
        for attempt in 0..MAX_ATTEMPTS {
            let tip = self.fetch(stop)?;
            let mut tree = match &tip {
                Some(commit) => self.tree(commit, stop)?,
                None => BTreeMap::new(),
            };
            let message = match (change, &blob) {
                (TreeChange::Put(name, _), Some(id)) => {
                    let entry = format!("100644 blob {id}");
                    match tree.insert(name.as_bytes().to_vec(), (entry.clone(), 0)) {
                        None => {}
                        Some((kept, _)) if kept == entry => return Ok(()),
                        Some(_) => {
                            return Err(RemoteError::AlreadyExists { name: (*name).into(), place: self.place.clone() });
                        }
                    }
                    format!("Add {name}")
                }
                (TreeChange::Delete(name), _) if tree.remove(name.as_bytes()).is_some() => format!("Remove {name}"),
                _ => return Ok(()),
            };
            let commit = self.commit(&tree, tip.as_deref(), &message, stop)?;
            let target = format!("{commit}:{SYNC_BRANCH}");
            let arguments =
                ["push", "--progress", "--porcelain", "--no-verify", "--no-follow-tags", "--", &self.url, &target];
            let ended = self.run(&arguments, b"", 1 << 20, stop)?;
            if ended.succeeded {
                self.must(&["update-ref", FETCHED_REF, &commit], b"", 1 << 10, stop)?;
                return Ok(());
            }
            if ended.timed_out {
                return Err(self.failed(&ended));
            }
            // The branch as it was: so it was not somebody else who was faster.
            refusals = if attempt > 0 && last == tip { refusals + 1 } else { 0 };
            if refusals >= MAX_PUSH_ATTEMPTS {
                return Err(self.failed(&ended));
            }
            last = tip;
            self.pause(attempt, stop)?;
        }
        Err(RemoteError::Busy { place: self.place.clone(), attempts: MAX_ATTEMPTS })
    }

    fn commit(
        &self,
        tree: &BTreeMap<Vec<u8>, (String, u64)>,
        parent: Option<&str>,
        message: &str,
        stop: &AtomicBool,
    ) -> Result<String, RemoteError> {
        let mut lines = Vec::new();
        for (name, (entry, _)) in tree {
            lines.extend([entry.as_bytes(), b"\t", name, b"\0"].concat());
        }
        // Not all that the tree names was fetched: other repositories in it never are.
        let tree = self.id(&["mktree", "-z", "--missing"], &lines, stop)?;
        let mut arguments = vec!["commit-tree", &tree, "-m", message];
        arguments.extend(parent.map(|parent| ["-p", parent]).into_iter().flatten());
        self.id(&arguments, b"", stop)
    }

    /// Waits a moment, by chance: two machines that wait equally long meet again.
    fn pause(&self, attempt: u32, stop: &AtomicBool) -> Result<(), RemoteError> {
        let mut chance = [0];
        let _ = getrandom::fill(&mut chance);
        let longest = self.second.mul_f64(0.1 * f64::from(attempt.min(20) + 1));
        let mut left = longest.mul_f64(f64::from(chance[0]) / 255.0);
        while !left.is_zero() {
            if stop.load(Ordering::Relaxed) {
                return Err(RemoteError::Cancelled);
            }
            let part = left.min(Duration::from_millis(50));
            std::thread::sleep(part);
            left -= part;
        }
        Ok(())
    }
}

#[async_trait]
impl Remote for Git {
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<Option<String>, RemoteError> {
        check_object(name, bytes)?;
        let (name, bytes) = (name.to_owned(), bytes.to_vec());
        // A remote takes a push only if each object has the digest that is its name.
        self.with(move |git, stop| git.change(&TreeChange::Put(&name, &bytes), stop)).await?;
        Ok(None)
    }

    async fn list(&self) -> Result<Vec<RemoteObject>, RemoteError> {
        self.with(GitEndParts::all).await
    }

    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        check_name(name)?;
        let name = name.to_owned();
        self.with(move |git, stop| git.read(&name, limit, stop)).await
    }

    async fn delete(&self, name: &str) -> Result<(), RemoteError> {
        check_name(name)?;
        let name = name.to_owned();
        self.with(move |git, stop| git.change(&TreeChange::Delete(&name), stop)).await
    }
}

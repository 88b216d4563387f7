//! Git repositories. Those on this machine are read in place; others are fetched bare into a cache and read there.
//! Nothing is ever checked out, and no hook, filter or template runs.

mod advertisement;
mod answer;
mod checkout;
mod command;
mod exchange;
mod local;
mod pack;
mod packet;
mod refs;
mod remote;
mod session;
mod transfer;
pub(crate) mod transport;

use futures::future::BoxFuture;
use parking_lot::{Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::{Sha, hex, one_line};
use aiw_home::LockWait;
use git2::{ObjectType, Repository, RepositoryInitOptions};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

pub use checkout::{GitCheckout, GitRemote};
pub use command::quiet_git;
use refs::check_reference;
pub use refs::{GitOrigin, GitRef, GitRefs};
use remote::{Depth, Remote};
use session::FetchSession;
pub use transfer::TransferProgress;
use transfer::{Cancel, OnProgress, RejectedBy};

use crate::error::NetError;
use crate::git_url::{GitUrl, redact_git_url};
use crate::http::{HttpClient, RequestLimits, check_host, resolve_public};
use crate::policy::Policy;
use crate::tree::Tree;

/// Opens trees of directories and of git repositories. Repositories from elsewhere go through a cache.
#[derive(Clone)]
pub struct Trees {
    client: HttpClient,
    cache: PathBuf,
    progress: Option<OnProgress>,
    /// The results of earlier calls. A marketplace is asked for dozens of times in a row. Without them, each call would
    /// read git's configuration and open the repository again.
    known: Arc<Mutex<KnownTrees>>,
}

#[derive(Default)]
struct KnownTrees {
    /// The URL to which the user's git configuration rewrites a URL.
    rewritten: BTreeMap<String, Option<String>>,
    /// The commit that was opened last: the real URL, the commit and its tree.
    last: Option<(String, Sha, Tree)>,
}

impl Trees {
    /// Creates the opener. `cache_dir` is created when it is first needed.
    pub fn new(client: HttpClient, cache_dir: PathBuf) -> Self {
        Self { client, cache: cache_dir, progress: None, known: Arc::default() }
    }

    /// Calls `tell` with the progress of transfers.
    #[must_use]
    pub fn on_progress(mut self, tell: Arc<dyn Fn(TransferProgress) + Send + Sync>) -> Self {
        self.progress = Some(tell);
        self
    }

    fn known(&self) -> MutexGuard<'_, KnownTrees> {
        self.known.lock()
    }

    /// Opens the tree of a commit. A repository on this machine is read in place; any other is fetched into the
    /// cache. If `sha` is given and was fetched before, the network is not used. Dropping the future stops the
    /// transfer.
    pub fn open_git<'a>(&'a self, policy: &'a Policy, origin: &'a GitOrigin) -> BoxFuture<'a, Result<Tree, NetError>> {
        Box::pin(async move {
            let origin = origin.clone();
            let tree = self.blocking(policy, origin.url.clone(), move |job| job.open(&origin)).await?;
            Ok(tree)
        })
    }

    /// Opens the tree of a directory that the user named, or of one beneath it.
    pub fn open_directory<'a>(&'a self, policy: &'a Policy, path: &'a Path) -> BoxFuture<'a, Result<Tree, NetError>> {
        Box::pin(async move {
            let shown = one_line(&path.display().to_string(), 200);
            if !path.is_absolute() {
                return Err(NetError::invalid(format!("directory `{shown}` is not an absolute path")));
            }
            let (policy, path) = (policy.clone(), path.to_owned());
            spawn(move || {
                let real = allowed_path(&policy, &path, false)?;
                Tree::open_directory(&real)
            })
            .await
        })
    }

    /// Returns all refs of a repository, including `HEAD`.
    pub fn list_refs<'a>(&'a self, policy: &'a Policy, url: &'a str) -> BoxFuture<'a, Result<GitRefs, NetError>> {
        Box::pin(async move { self.blocking(policy, url.to_owned(), |job| job.refs()).await })
    }

    /// Runs `work` on a thread that may block. Dropping the future drops the guard, which stops the job.
    async fn blocking<T: Send + 'static>(
        &self,
        policy: &Policy,
        url: String,
        work: impl FnOnce(FetchJob) -> Result<T, NetError> + Send + 'static,
    ) -> Result<T, NetError> {
        let (guard, cancel) = watch::channel(());
        let (trees, policy) = (self.clone(), policy.clone());
        let runtime = tokio::runtime::Handle::current();
        let done = spawn(move || work(FetchJob::new(trees, policy, url, Cancel(cancel), runtime)?)).await;
        drop(guard);
        done
    }
}

async fn spawn<T: Send + 'static>(work: impl FnOnce() -> Result<T, NetError> + Send + 'static) -> Result<T, NetError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_cancelled() => Err(NetError::Cancelled),
        Err(_) => Err(NetError::unavailable("reading a repository failed because of a bug in aiw")),
    }
}

/// Returns the URL to which the user's git configuration rewrites `url` (`insteadOf`), if it does.
pub fn rewrite_url(url: &str) -> Option<String> {
    transport::prepare().ok()?;
    let remote = git2::Remote::create_detached(url).ok()?;
    let to = remote.url().ok()?;
    (to != url).then(|| to.to_owned())
}

/// One repository under one policy. Runs on a thread that may block.
struct FetchJob {
    trees: Trees,
    cancel: Cancel,
    deadline: Instant,
    remote: Remote,
    repository: String,
    /// The repository in the cache.
    path: PathBuf,
}

impl FetchJob {
    fn new(
        trees: Trees,
        mut policy: Policy,
        url: String,
        cancel: Cancel,
        runtime: tokio::runtime::Handle,
    ) -> Result<Self, NetError> {
        transport::prepare()?;
        // Check the URL both as written and as the user's configuration rewrites it.
        GitUrl::parse(&url, false)?;
        let known = trees.known().rewritten.get(&url).cloned();
        let to = known.unwrap_or_else(|| rewrite_url(&url));
        trees.known().rewritten.insert(url.clone(), to.clone());
        let real = to.clone().unwrap_or_else(|| url.clone());
        let mut place = GitUrl::parse(&real, to.is_some())?;
        if to.is_some() {
            policy.grant_url(&real);
        }
        match &mut place {
            // The client checks each request, including redirects and addresses. This check only keeps a cached
            // tree from a caller that may not contact the host.
            GitUrl::Http(at) => {
                let (host, port) = (at.host_str().unwrap_or_default(), at.port_or_known_default().unwrap_or(443));
                if !policy.is_granted(host, port) {
                    check_host(&policy, host, port, if at.scheme() == "http" { 80 } else { 443 })?;
                }
            }
            GitUrl::Ssh { host, port } if !policy.is_granted(host, *port) => check_host(&policy, host, *port, 22)?,
            GitUrl::Ssh { .. } => {}
            // Use the checked path from here on, wherever its links lead later.
            GitUrl::Local(path) => *path = allowed_path(&policy, path, to.is_some())?,
        }
        let deadline = Instant::now() + trees.client.limits().tree_timeout;
        let path = trees.cache.join(cache_name(&real));
        let shown = redact_git_url(&real);
        let proxy = match place {
            GitUrl::Http(_) => git2::Config::open_default().and_then(|config| config.get_string("http.proxy")).ok(),
            _ => None,
        };
        let client = match proxy.filter(|proxy| !proxy.is_empty()) {
            Some(proxy) => trees.client.with_proxy(&proxy)?,
            None => trees.client.clone(),
        };
        let directory = trees.cache.clone();
        let session = FetchSession::new(client, policy, runtime, cancel.clone(), deadline, directory, shown.clone());
        let remote = Remote {
            url,
            rewritten_url: real,
            git_url: place,
            session: Arc::new(session),
            progress: trees.progress.clone(),
        };
        Ok(Self { trees, cancel, deadline, remote, repository: shown, path })
    }

    /// Runs `work` on the repository itself if it is on this machine.
    fn local<T: Send + 'static>(
        &self,
        work: impl FnOnce(Repository, &str) -> Result<T, NetError> + Send + 'static,
    ) -> Option<Result<T, NetError>> {
        let GitUrl::Local(path) = &self.remote.git_url else { return None };
        let (path, shown) = (path.clone(), self.repository.clone());
        let limit = self.trees.client.limits().idle_timeout;
        Some(local::run_with_timeout(limit, &self.repository, &self.cancel, move || {
            work(local::open(&path, &shown)?, &shown)
        }))
    }

    fn refs(&self) -> Result<GitRefs, NetError> {
        let limits = self.trees.client.limits();
        let refs = match self.local(move |repository, shown| local::refs(&repository, shown, &limits)) {
            Some(refs) => refs?,
            None => {
                self.make_cache()?;
                self.reach().and_then(|()| self.remote.list())?
            }
        };
        Ok(GitRefs { url: self.repository.clone(), refs })
    }

    fn open(&self, origin: &GitOrigin) -> Result<Tree, NetError> {
        if let Some(reference) = &origin.reference {
            check_reference(reference)?;
        }
        let last = self.trees.known().last.clone();
        let tree = match last {
            Some((url, sha, tree)) if url == self.remote.rewritten_url && origin.sha.as_ref() == Some(&sha) => tree,
            _ => {
                let (limits, wanted) = (self.trees.client.limits(), origin.clone());
                let (repository, sha) = match self.local(move |repository, shown| {
                    let sha = find_local(&repository, shown, &wanted, &limits)?;
                    Ok((repository, sha))
                }) {
                    Some(found) => found?,
                    None => {
                        let sha = self.find_remote(origin)?;
                        (Repository::open_bare(&self.path).map_err(|error| self.broken(&error))?, sha)
                    }
                };
                let tree = Tree::open_commit(repository, sha.clone())?;
                self.trees.known().last = Some((self.remote.rewritten_url.clone(), sha, tree.clone()));
                tree
            }
        };
        match &origin.path {
            Some(path) => tree.subtree(path),
            None => Ok(tree),
        }
    }

    /// Returns the commit after making sure that it is in the cache.
    fn find_remote(&self, origin: &GitOrigin) -> Result<Sha, NetError> {
        match &origin.sha {
            Some(sha) => {
                if !self.has(sha) {
                    self.fetch(sha, origin.reference.as_deref(), false)?;
                }
                Ok(sha.clone())
            }
            None => {
                let refs = self.refs()?;
                let (name, sha) = refs.find(origin.reference.as_deref())?;
                if !self.has(&sha) {
                    self.fetch(&sha, Some(&name), true)?;
                }
                Ok(sha)
            }
        }
    }

    /// Checks the host's addresses first, because ssh resolves names itself. (A name from the user's ssh
    /// configuration has to be granted.)
    fn reach(&self) -> Result<(), NetError> {
        match &self.remote.git_url {
            GitUrl::Ssh { host, port } if !self.remote.session.policy.is_granted(host, *port) => {
                resolve_public(host).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Returns whether the commit is in the cache and anchored, which means that it was fetched completely.
    fn has(&self, sha: &Sha) -> bool {
        let Ok(repository) = Repository::open_bare(&self.path) else { return false };
        repository.find_reference(&anchor(sha)).is_ok() && has_commit(&repository, sha)
    }

    /// Fetches a commit, trying the cheapest way first and the surest last. The server's answer is not trusted:
    /// after each step, the commit itself is looked up.
    fn fetch(&self, sha: &Sha, reference: Option<&str>, is_tip: bool) -> Result<(), NetError> {
        self.make_cache()?;
        let _lock = self.lock()?;
        if self.has(sha) {
            return Ok(());
        }
        self.reach()?;
        self.sweep();
        let repository = self.repository()?;
        let mut ways: Vec<(Vec<String>, Depth)> = Vec::new();
        let exact = vec![sha.to_string()];
        let takes_ids = self.remote.can_fetch_by_id()?;
        // A ref's tip can be fetched from any server, even one that does not accept commit ids.
        if !is_tip && takes_ids {
            ways.push((exact.clone(), Depth::Shallow));
        }
        match reference {
            Some(reference) => {
                let sources = sources(reference);
                // One of the sources exists. Fetching any other is an error on its own.
                for source in &sources {
                    ways.push((vec![format!("+{source}:refs/aiw/tip")], Depth::Shallow));
                }
                if !is_tip {
                    for source in &sources {
                        ways.push((vec![format!("+{source}:refs/aiw/tip")], Depth::Full));
                    }
                }
            }
            None => {
                ways.push((vec!["+HEAD:refs/aiw/tip".to_owned()], Depth::Shallow));
                ways.push((vec!["+refs/heads/*:refs/aiw/heads/*".to_owned()], Depth::Full));
            }
        }
        if is_tip && takes_ids {
            ways.push((exact, Depth::Shallow));
        }
        let mut refused = None;
        let mut answered = false;
        for (specs, depth) in ways {
            match self.remote.fetch(&repository, &specs, depth) {
                Ok(()) => answered = true,
                Err(RejectedBy::ByRemote(error)) => refused = Some(error),
                Err(RejectedBy::ByClient(error)) => return Err(error),
            }
            if has_commit(&repository, sha) {
                let oid = git2::Oid::from_str(sha.as_str()).map_err(|error| self.broken(&error))?;
                repository.reference(&anchor(sha), oid, true, "").map_err(|error| self.broken(&error))?;
                return Ok(());
            }
        }
        match refused {
            Some(error) if !answered => Err(error),
            _ => Err(no_commit(&self.repository, sha)),
        }
    }

    fn make_cache(&self) -> Result<(), NetError> {
        aiw_home::make_private_dir(&self.trees.cache).map_err(|error| {
            NetError::unavailable(format!("cannot create the repository cache: {error}")).with_source(error)
        })
    }

    /// Opens the cache's repository, and creates it if needed: bare, and without templates, which would bring hooks
    /// along.
    fn repository(&self) -> Result<Repository, NetError> {
        let mut options = RepositoryInitOptions::new();
        options.bare(true).external_template(false);
        let path = aiw_home::nofollow_path(&self.path).map_err(|error| {
            NetError::unavailable(format!("cannot use the repository cache: {error}")).with_source(error)
        })?;
        Repository::init_opts(path, &options).map_err(|error| self.broken(&error))
    }

    /// Removes what a killed fetch left behind, which may be large. The caller holds the lock.
    fn sweep(&self) {
        let Ok(entries) = aiw_home::read_dir(&self.path.join("objects/pack")) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if ["tmp_", "pack_git2_"].iter().any(|left| name.as_encoded_bytes().starts_with(left.as_bytes())) {
                // A file that stays only takes up disk space.
                let _ = aiw_home::remove_file(&entry.path());
            }
        }
    }

    /// Keeps other processes from fetching the same repository.
    fn lock(&self) -> Result<File, NetError> {
        let failed =
            |error: std::io::Error| NetError::unavailable(format!("cannot lock the cache: {error}")).with_source(error);
        let path = self.path.with_extension("lock");
        let file = aiw_home::open_append(&path).map_err(failed)?;
        let mut wait = LockWait::start(file);
        loop {
            // How soon a cancellation is noticed.
            if let Some(file) = wait.wait_timeout(Duration::from_millis(50)).map_err(failed)? {
                return Ok(file);
            }
            self.cancel.check()?;
            if Instant::now() >= self.deadline {
                return Err(NetError::unavailable(format!("another aiw is still fetching `{}`", self.repository)));
            }
        }
    }

    fn broken(&self, error: &git2::Error) -> NetError {
        let why = one_line(error.message(), 200);
        NetError::unavailable(format!("the cache of `{}` cannot be used: {why}", self.repository))
    }
}

fn no_commit(shown: &str, sha: &Sha) -> NetError {
    transport::take_allocation_error(&format!("`{shown}`"))
        .unwrap_or_else(|| NetError::not_found(format!("commit `{sha}` is not in `{shown}`")))
}

/// Finds the requested commit in a repository on this machine.
fn find_local(
    repository: &Repository,
    shown: &str,
    origin: &GitOrigin,
    limits: &RequestLimits,
) -> Result<Sha, NetError> {
    let reference = origin.reference.as_deref();
    let sha = match origin.sha.clone().or_else(|| local::resolve(repository, reference)) {
        Some(sha) => sha,
        None => {
            let refs = local::refs(repository, shown, limits)?;
            GitRefs { url: shown.to_owned(), refs }.resolve(reference)?
        }
    };
    if has_commit(repository, &sha) { Ok(sha) } else { Err(no_commit(shown, &sha)) }
}

fn anchor(sha: &Sha) -> String {
    format!("refs/aiw/commits/{sha}")
}

fn has_commit(repository: &Repository, sha: &Sha) -> bool {
    let Ok(oid) = git2::Oid::from_str(sha.as_str()) else { return false };
    // The objects may have arrived after the database was opened.
    let Ok(odb) = repository.odb() else { return false };
    let _ = odb.refresh();
    matches!(odb.read_header(oid), Ok((_, ObjectType::Commit)))
        && repository.find_commit(oid).and_then(|commit| commit.tree()).is_ok()
}

/// Returns the full ref names that a reference may stand for, the likeliest first.
fn sources(reference: &str) -> Vec<String> {
    if reference == "HEAD" || reference.starts_with("refs/") {
        return vec![reference.to_owned()];
    }
    vec![format!("refs/heads/{reference}"), format!("refs/tags/{reference}")]
}

/// Returns the real path if the user named it or a directory above it.
fn allowed_path(policy: &Policy, path: &Path, granted: bool) -> Result<PathBuf, NetError> {
    let shown = one_line(&path.display().to_string(), 200);
    let denied = || NetError::denied(format!("`{shown}` is not inside a directory that was granted"));
    let lexically = granted || policy.directories.iter().any(|directory| path.starts_with(directory));
    let real = match std::fs::canonicalize(path) {
        Ok(real) => real,
        // A caller that may not look must not learn whether the path exists.
        Err(_) if !lexically => return Err(denied()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(NetError::not_found(format!("there is no `{shown}`")));
        }
        Err(error) => return Err(NetError::unavailable(format!("cannot open `{shown}`: {error}")).with_source(error)),
    };
    let beneath =
        |directory: &PathBuf| std::fs::canonicalize(directory).is_ok_and(|directory| real.starts_with(directory));
    if granted || policy.directories.iter().any(beneath) { Ok(real) } else { Err(denied()) }
}

/// Returns a unique and readable name: `<16 hex of the URL's digest>-<its last part>`.
fn cache_name(url: &str) -> String {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default();
    let last: String = last.strip_suffix(".git").unwrap_or(last).chars().take(64).collect();
    let last: String = last.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
    format!("{}-{last}", &hex(&Sha256::digest(url.as_bytes()))[..16])
}

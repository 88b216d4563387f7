//! One remote: libgit2 for HTTP, the user's `git` for ssh.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::one_line;
use git2::{AutotagOption, FetchOptions, RemoteCallbacks, Repository};

use super::command::{CommandOutput, MemoryBound};
use super::refs::GitRef;
use super::session::FetchSession;
use super::transfer::{OnProgress, RejectedBy, TransferProgress};
use super::{advertisement, command, exchange, transport};
use crate::error::{NetError, format_size};
use crate::git_url::{GitUrl, redact_git_url};

/// How often to measure the download of the user's git.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Shallow,
    /// The whole history, also of commits that were fetched with depth 1 before.
    Full,
}

pub(super) struct Remote {
    /// The URL as requested.
    pub(super) url: String,
    /// The URL as rewritten by the user's configuration.
    pub(super) rewritten_url: String,
    pub(super) git_url: GitUrl,
    pub(super) session: Arc<FetchSession>,
    pub(super) progress: Option<OnProgress>,
}

impl Remote {
    pub(super) fn list(&self) -> Result<Vec<GitRef>, NetError> {
        if let GitUrl::Ssh { .. } = self.git_url {
            return self.list_by_command();
        }
        let listed = exchange::fetch_advertisement(&self.session, &self.rewritten_url);
        listed.map(|listed| listed.refs.clone()).map_err(RejectedBy::into_error)
    }

    /// Returns whether commits may be requested by id. Over ssh, `git` finds out by itself.
    pub(super) fn can_fetch_by_id(&self) -> Result<bool, NetError> {
        match self.git_url {
            GitUrl::Ssh { .. } => Ok(true),
            _ => exchange::fetch_advertisement(&self.session, &self.rewritten_url)
                .map(|listed| listed.can_fetch_by_id())
                .map_err(RejectedBy::into_error),
        }
    }

    pub(super) fn fetch(&self, repository: &Repository, specs: &[String], depth: Depth) -> Result<(), RejectedBy> {
        if let GitUrl::Ssh { .. } = self.git_url {
            return self.fetch_by_command(repository.path(), specs, depth);
        }
        transport::with_session(&self.session, || {
            let mut remote = self.checked(repository.remote_anonymous(&self.url))?;
            let mut options = FetchOptions::new();
            options.remote_callbacks(self.callbacks()).update_fetchhead(false).download_tags(AutotagOption::None);
            options.depth(match depth {
                Depth::Shallow => 1,
                Depth::Full => i32::MAX,
            });
            remote.fetch(specs, Some(&mut options), None).map_err(|error| self.unwrap(error))
        })
        .map_err(RejectedBy::ByClient)?
    }

    /// Checks that libgit2, which rewrites URLs itself, arrives at the URL that the policy was checked for.
    fn checked<'r>(&self, remote: Result<git2::Remote<'r>, git2::Error>) -> Result<git2::Remote<'r>, RejectedBy> {
        let remote = remote.map_err(|error| self.unwrap(error))?;
        if remote.url().ok() != Some(self.rewritten_url.as_str()) {
            return Err(RejectedBy::ByClient(NetError::unavailable("git's configuration changed in the meantime")));
        }
        Ok(remote)
    }

    fn callbacks(&self) -> RemoteCallbacks<'_> {
        let mut callbacks = RemoteCallbacks::new();
        callbacks.transfer_progress(|progress| {
            let received_bytes = progress.received_bytes() as u64;
            if let Err(error) = self.session.check().and_then(|()| self.check_size(received_bytes)) {
                let _ = self.session.fail(error);
                return false;
            }
            if let Some(tell) = &self.progress {
                tell(TransferProgress {
                    received_objects: progress.received_objects() as u64,
                    total_objects: progress.total_objects() as u64,
                    received_bytes,
                });
            }
            true
        });
        // Called with the server's messages while it counts objects.
        callbacks.sideband_progress(|_| self.session.check().is_ok());
        callbacks
    }

    fn check_size(&self, bytes: u64) -> Result<(), NetError> {
        let limit = self.session.client.limits().max_pack_bytes;
        if bytes > limit {
            return Err(NetError::too_large(format!(
                "`{}` sends more than {}",
                redact_git_url(&self.rewritten_url),
                format_size(limit)
            )));
        }
        Ok(())
    }

    fn unwrap(&self, error: git2::Error) -> RejectedBy {
        if let Some(refused) = self.session.take_failure() {
            return refused;
        }
        if let Some(ours) = transport::take_allocation_error(&format!("`{}`", self.session.repository)) {
            return RejectedBy::ByClient(ours);
        }
        if let Err(ours) = self.session.check() {
            return RejectedBy::ByClient(ours);
        }
        let why = one_line(error.message(), 200);
        if error.class() == git2::ErrorClass::Os {
            return RejectedBy::ByClient(NetError::unavailable(format!(
                "cannot fetch `{}`: {why}",
                redact_git_url(&self.rewritten_url)
            )));
        }
        RejectedBy::ByRemote(NetError::malformed(format!(
            "cannot fetch `{}`: {why}",
            redact_git_url(&self.rewritten_url)
        )))
    }

    /// Returns a `git` command that speaks only ssh and asks nothing.
    fn git(&self, directory: &Path) -> std::process::Command {
        let mut git = command::git_command(directory);
        git.env("GIT_ALLOW_PROTOCOL", "ssh");
        let own = ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|name| std::env::var_os(name).is_some())
            || git2::Config::open_default().and_then(|config| config.get_entry("core.sshCommand").map(drop)).is_ok();
        if !own {
            git.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes");
        }
        git
    }

    fn list_by_command(&self) -> Result<Vec<GitRef>, NetError> {
        let mut git = self.git(&self.session.directory);
        git.args(["ls-remote", "--quiet", "--", &self.url]);
        let session = &self.session;
        let limits = session.client.limits();
        let ended = command::run(git, &[], MemoryBound::Bounded, &session.cancel, session.deadline, || Ok(()))?;
        if ended.output.len() as u64 > limits.max_refs_bytes {
            return Err(advertisement::refs_too_large(&session.repository, &limits));
        }
        if !ended.status.success() {
            return Err(self.complained(&ended));
        }
        let mut refs = Vec::new();
        for line in ended.output.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let found = advertisement::parse_ref(&session.repository, line, b'\t').map_err(RejectedBy::into_error)?;
            refs.extend(found);
            if refs.len() > limits.max_refs {
                return Err(advertisement::too_many_refs(&session.repository, &limits));
            }
        }
        Ok(refs)
    }

    fn fetch_by_command(&self, repository: &Path, specs: &[String], depth: Depth) -> Result<(), RejectedBy> {
        let mut git = self.git(repository);
        git.args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
        git.arg("--git-dir").arg(repository);
        git.args(["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc"]);
        match depth {
            Depth::Shallow => drop(git.arg("--depth=1")),
            // `--unshallow` is an error in a repository that is not shallow.
            Depth::Full if repository.join("shallow").exists() => drop(git.arg("--unshallow")),
            Depth::Full => {}
        }
        git.arg("--").arg(&self.url).args(specs);
        let session = &self.session;
        let mut measured = Instant::now();
        let mut last = (0, Instant::now());
        let idle = session.client.limits().idle_timeout + session.client.limits().connect_timeout;
        let packs = repository.join("objects/pack");
        let ended = command::run(git, &[], MemoryBound::Bounded, &session.cancel, session.deadline, || {
            if measured.elapsed() < PROGRESS_INTERVAL {
                return Ok(());
            }
            measured = Instant::now();
            let bytes = incoming(&packs);
            if bytes != last.0 {
                last = (bytes, Instant::now());
                if let Some(tell) = &self.progress {
                    tell(TransferProgress { received_bytes: bytes, ..TransferProgress::default() });
                }
            } else if bytes == 0 && last.1.elapsed() > idle {
                return Err(NetError::unavailable(format!("`{}` sends nothing", redact_git_url(&self.rewritten_url))));
            }
            self.check_size(bytes)
        });
        let ended = ended.map_err(RejectedBy::ByClient)?;
        if ended.status.success() {
            return Ok(());
        }
        Err(RejectedBy::ByRemote(self.complained(&ended)))
    }

    fn complained(&self, ended: &CommandOutput) -> NetError {
        let shown = &self.session.repository;
        if ended.is_out_of_memory {
            return NetError::too_large(format!("`git` needs too much memory to unpack `{shown}`"));
        }
        NetError::unavailable(format!("`git` cannot reach `{shown}`: {}", ended.stderr))
    }
}

/// Returns the number of bytes that the user's git has written of an incomplete pack.
fn incoming(packs: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(packs) else { return 0 };
    let partial = entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"tmp_"));
    partial.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

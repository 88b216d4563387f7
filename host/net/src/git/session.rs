//! The session with one repository over HTTP: its limits and its state.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use reqwest::header::HeaderValue;
use tokio::runtime::Handle;
use url::Url;

use super::advertisement::Advertisement;
use super::transfer::{Cancel, RejectedBy};
use crate::error::{NetError, format_size};
use crate::http::HttpClient;
use crate::policy::Policy;

/// The limits of one fetch, and its state.
pub(super) struct FetchSession {
    pub(super) client: HttpClient,
    pub(super) policy: Policy,
    pub(super) runtime: Handle,
    pub(super) cancel: Cancel,
    pub(super) deadline: Instant,
    /// The directory in which `git credential` runs. It is in none of the user's repositories.
    pub(super) directory: PathBuf,
    /// The repository, for messages.
    pub(super) repository: String,
    received: AtomicU64,
    state: Mutex<SessionState>,
}

#[derive(Default)]
pub(super) struct SessionState {
    /// The reason for our own failure, because libgit2 passes on only the text of an error.
    failure: Option<RejectedBy>,
    /// The URL to which the server redirected us, in place of the remote's URL.
    pub(super) base: Option<Url>,
    /// `Basic …`, once the server has asked for it.
    pub(super) authorization: Option<HeaderValue>,
    /// The list of refs. Listing and fetching both need it, but it is requested only once.
    pub(super) advertisement: Option<Arc<Advertisement>>,
}

impl FetchSession {
    pub(super) fn new(
        client: HttpClient,
        policy: Policy,
        runtime: Handle,
        cancel: Cancel,
        deadline: Instant,
        directory: PathBuf,
        shown: String,
    ) -> Self {
        Self {
            client,
            policy,
            runtime,
            cancel,
            deadline,
            directory,
            repository: shown,
            received: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock()
    }

    /// Takes the reason for the last failure, if it was ours.
    pub(super) fn take_failure(&self) -> Option<RejectedBy> {
        self.state().failure.take()
    }

    /// Records the reason, and returns an error for libgit2 to fail with.
    pub(super) fn fail(&self, error: impl Into<RejectedBy>) -> io::Error {
        self.state().failure.get_or_insert(error.into());
        io::Error::other("stopped by aiw")
    }

    /// Checks that someone still waits for the result and that there is time left.
    pub(super) fn check(&self) -> Result<(), NetError> {
        self.cancel.check()?;
        if Instant::now() >= self.deadline {
            return Err(NetError::unavailable("the repository took too long"));
        }
        Ok(())
    }

    /// Counts received bytes against the limit.
    pub(super) fn count_received(&self, bytes: u64) -> Result<(), NetError> {
        let limit = self.client.limits().max_pack_bytes;
        if self.received.fetch_add(bytes, Ordering::Relaxed) + bytes > limit {
            return Err(NetError::too_large(format!("`{}` sends more than {}", self.repository, format_size(limit))));
        }
        Ok(())
    }

    /// Runs `work` to its end, unless the caller goes away.
    pub(super) fn block_on<T>(&self, work: impl Future<Output = Result<T, NetError>>) -> Result<T, NetError> {
        self.check()?;
        let mut cancel = self.cancel.clone();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(NetError::Cancelled),
                done = work => done,
            }
        })
    }
}

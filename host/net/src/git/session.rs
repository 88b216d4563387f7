//! One repository over HTTP: what may be done for it, and what became of that.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use reqwest::header::HeaderValue;
use tokio::runtime::Handle;
use url::Url;

use super::advertisement::Advertisement;
use super::transfer::{Cancel, Refused};
use crate::error::{NetError, size};
use crate::http::Client;
use crate::policy::Policy;

/// What one fetch may do, and what became of it.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) policy: Policy,
    pub(super) runtime: Handle,
    pub(super) cancel: Cancel,
    pub(super) deadline: Instant,
    /// Where `git credential` runs: no repository of the user's is there.
    pub(super) directory: PathBuf,
    /// The repository, for messages.
    pub(super) shown: String,
    received: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// libgit2 passes on only the text of an error.
    failure: Option<Refused>,
    /// Where the far end sent us, instead of the remote's URL.
    pub(super) base: Option<Url>,
    /// `Basic …`, once the far end has asked.
    pub(super) authorization: Option<HeaderValue>,
    /// What is listed first and fetched then is asked for once.
    pub(super) advertised: Option<Arc<Advertisement>>,
}

impl Session {
    pub(super) fn new(
        client: Client,
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
            shown,
            received: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our own reason for the last failure, if it was ours.
    pub(super) fn failure(&self) -> Option<Refused> {
        self.state().failure.take()
    }

    /// Notes why, and gives libgit2 something to fail with.
    pub(super) fn fail(&self, error: impl Into<Refused>) -> io::Error {
        self.state().failure.get_or_insert(error.into());
        io::Error::other("stopped by aiw")
    }

    /// Whether there is still someone who waits, and time.
    pub(super) fn check(&self) -> Result<(), NetError> {
        self.cancel.check()?;
        if Instant::now() >= self.deadline {
            return Err(NetError::unavailable("the repository took too long"));
        }
        Ok(())
    }

    /// Counts what has come.
    pub(super) fn receive(&self, bytes: u64) -> Result<(), NetError> {
        let limit = self.client.limits().pack;
        if self.received.fetch_add(bytes, Ordering::Relaxed) + bytes > limit {
            return Err(NetError::too_large(format!("`{}` sends more than {}", self.shown, size(limit))));
        }
        Ok(())
    }

    /// Runs to its end, unless the one who asked goes away.
    pub(super) fn wait<T>(&self, work: impl Future<Output = Result<T, NetError>>) -> Result<T, NetError> {
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

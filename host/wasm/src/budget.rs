//! What a call is for, what it may take, and the secrets that go along.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aiw_core::Secret;

use crate::limits::{COMMAND_CPU, COMMAND_WALL, Limits};

/// A limit of a call that is over. The text is the end of a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OverLimit(pub String);

/// A secret, and where it may be sent.
#[derive(Debug, Clone)]
pub struct BoundSecret {
    /// The value.
    pub value: Secret,
    /// URLs whose scheme, host and port get it; nothing else does.
    pub urls: Vec<String>,
}

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An answer, which may take requests.
    Answer,
    /// What the named function can say without the host.
    Pure(&'static str),
    /// A plan: before every start, at once, so that nothing is asked for or started.
    Plan,
}

impl Purpose {
    pub(crate) fn time(self, limits: &Limits) -> Duration {
        match self {
            Self::Answer => limits.whole_call,
            Self::Pure(_) | Self::Plan => limits.pure_call,
        }
    }
}

/// What all calls for one command may take together: a marketplace may have thousands of entries.
#[derive(Debug)]
pub struct Budget {
    /// Microseconds of guest code.
    guest: AtomicU64,
    /// When the command's time for the component is over.
    end: Instant,
}

impl Default for Budget {
    fn default() -> Self {
        Self { guest: AtomicU64::new(0), end: Instant::now() + COMMAND_WALL }
    }
}

impl Budget {
    pub(crate) fn charge_guest(&self, time: Duration) -> Result<(), OverLimit> {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let used = self.guest.fetch_add(micros, Ordering::Relaxed).saturating_add(micros);
        if u128::from(used) <= COMMAND_CPU.as_micros() {
            return Ok(());
        }
        Err(OverLimit(format!(
            "ran for {} s over the entries of one marketplace and was stopped",
            COMMAND_CPU.as_secs()
        )))
    }

    pub(crate) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }
}

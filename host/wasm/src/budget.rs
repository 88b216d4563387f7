//! The purpose of a call, what it may use, and the secrets that it may send.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aiw_core::Secret;

use crate::limits::{COMMAND_CPU, COMMAND_WALL, CallLimits};

/// An error for a call that exceeded a limit. The text is the end of a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OverLimit(pub String);

/// A secret and the places that it may be sent to.
#[derive(Debug, Clone)]
pub struct BoundSecret {
    /// The secret.
    pub value: Secret,
    /// The secret may be sent only to the scheme, host and port of these URLs.
    pub urls: Vec<String>,
}

/// The purpose of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An answer that may need requests.
    Answer,
    /// A call of the named function, which answers without the host.
    Pure(&'static str),
    /// A plan. It is made before every start and must be immediate, so it may not send requests or start tasks.
    Plan,
}

impl Purpose {
    pub(crate) fn time(self, limits: &CallLimits) -> Duration {
        match self {
            Self::Answer => limits.whole_call,
            Self::Pure(_) | Self::Plan => limits.pure_call,
        }
    }
}

/// The budget that all calls for one command share: a marketplace may have thousands of entries.
#[derive(Debug)]
pub struct Budget {
    /// Microseconds spent in guest code.
    guest: AtomicU64,
    /// When the command's time for the component runs out.
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

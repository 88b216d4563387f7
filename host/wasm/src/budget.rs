//! The purpose of a call, what it may use, and the secrets that it may send.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aiw_core::Secret;

use crate::limits::{Allowance, CallLimits};

/// An error for a call that exceeded a limit. The text is the end of a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct LimitExceeded(pub String);

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
    Query,
    /// A call of the named function, which answers without the host.
    Pure(&'static str),
    /// A plan. It is made before every start and must be immediate, so it may not send requests or start tasks.
    Plan,
}

impl Purpose {
    pub(crate) fn timeout(self, limits: &CallLimits) -> Duration {
        match self {
            Self::Query => limits.call_timeout,
            Self::Pure(_) | Self::Plan => limits.pure_call_timeout,
        }
    }
}

/// The budget that several calls share: those for the entries of a marketplace, or for the pages of a registry.
#[derive(Debug)]
pub struct CallBudget {
    allowance: Allowance,
    /// Microseconds spent in guest code.
    guest: AtomicU64,
    requests: AtomicU32,
    bytes: AtomicU64,
    end: Instant,
}

impl CallBudget {
    /// Begins to spend.
    pub fn new(allowance: Allowance) -> Self {
        let end = Instant::now() + allowance.wall_time;
        Self { allowance, guest: AtomicU64::new(0), requests: AtomicU32::new(0), bytes: AtomicU64::new(0), end }
    }

    pub(crate) fn charge_guest(&self, time: Duration) -> Result<(), LimitExceeded> {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let used = self.guest.fetch_add(micros, Ordering::Relaxed).saturating_add(micros);
        let Allowance { scope: of, guest_time: guest, .. } = self.allowance;
        match u128::from(used) <= guest.as_micros() {
            true => Ok(()),
            false => Err(LimitExceeded(format!("ran for {} s {of} and was stopped", guest.as_secs()))),
        }
    }

    pub(crate) fn charge_request(&self) -> Result<(), LimitExceeded> {
        let used = self.requests.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let Allowance { scope: of, requests, .. } = self.allowance;
        match used <= requests {
            true => Ok(()),
            false => Err(LimitExceeded(format!("asked for more than {requests} requests {of}"))),
        }
    }

    pub(crate) fn charge_bytes(&self, bytes: usize) -> Result<(), LimitExceeded> {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let used = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let Allowance { scope: of, bytes, .. } = self.allowance;
        match used <= bytes {
            true => Ok(()),
            false => Err(LimitExceeded(format!("read more than {} MiB {of}", bytes >> 20))),
        }
    }

    /// Returns how many requests were made.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    pub(crate) fn remaining(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Describes the time, for a call that took longer.
    pub(crate) fn timeout_message(&self) -> String {
        let Allowance { scope: of, wall_time: wall, .. } = self.allowance;
        match wall.as_secs() {
            seconds if seconds < 120 => format!("took longer than {seconds} s {of}"),
            seconds => format!("took longer than {} minutes {of}", seconds / 60),
        }
    }
}

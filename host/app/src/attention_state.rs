//! What is kept for the list of what needs a person: which entries are muted, and what `aiw doctor` found last.

use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_home::{ExclusiveLock, Home, HomeError, Mode, now_millis, now_rfc3339, parse_rfc3339, read_capped, replace};
use serde::{Deserialize, Serialize};

/// The longest file of the state, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The most problems of a doctor that are kept.
const MAX_DOCTOR_PROBLEMS: usize = 100;

/// How long the same problems are not kept again.
const REMEMBER_INTERVAL: Duration = Duration::from_secs(600);

/// The state of the list, below the home.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct AttentionState {
    /// The ids of muted entries, the oldest first.
    #[serde(default)]
    pub(crate) muted: Vec<String>,
    #[serde(default)]
    pub(crate) doctor: Option<LastDoctor>,
}

/// What the last `aiw doctor` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LastDoctor {
    pub(crate) checked_at: String,
    /// The directory in which it ran: some parts depend on it.
    pub(crate) directory: PathBuf,
    pub(crate) problems: Vec<DoctorProblem>,
}

/// A problem that `aiw doctor` found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DoctorProblem {
    pub(crate) part: String,
    pub(crate) problem: String,
    pub(crate) next: String,
}

impl AttentionState {
    fn path(home: &Home) -> PathBuf {
        home.root().join("attention.json")
    }

    /// A file that makes no sense is one without any.
    pub(crate) fn load(home: &Home) -> Self {
        let bytes = read_capped(&Self::path(home), MAX_FILE_BYTES).ok().flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn lock_path(home: &Home) -> PathBuf {
        home.root().join("attention.lock")
    }

    /// Changes it, while nobody else does.
    pub(crate) fn edit(home: &Home, edit: impl FnOnce(&mut Self)) -> Result<(), HomeError> {
        let _lock = ExclusiveLock::acquire(&Self::lock_path(home))?;
        Self::change(home, edit)
    }

    fn change(home: &Home, edit: impl FnOnce(&mut Self)) -> Result<(), HomeError> {
        let mut state = Self::load(home);
        edit(&mut state);
        replace(&Self::path(home), &serde_json::to_vec(&state).unwrap_or_default(), Mode::Private)
    }
}

/// Keeps what `aiw doctor` found, unless somebody else changes the state. Nothing is written to a home that is not there, and
/// whoever asked has the whole answer, so one that can't be written is no failure.
pub(crate) fn keep_doctor(home: &Home, directory: &Path, problems: impl Iterator<Item = DoctorProblem>) {
    let problems: Vec<DoctorProblem> = problems.take(MAX_DOCTOR_PROBLEMS).collect();
    let known = AttentionState::load(home).doctor;
    // Views run the checks again when the home changes, so the same problems must not change it.
    let is_known = match &known {
        None => problems.is_empty(),
        Some(last) => {
            let age =
                parse_rfc3339(&last.checked_at).and_then(|time| now_millis().checked_sub(u64::try_from(time).ok()?));
            last.problems == problems && age.is_some_and(|age| Duration::from_millis(age) < REMEMBER_INTERVAL)
        }
    };
    if is_known || !home.root().is_dir() {
        return;
    }
    let doctor = LastDoctor { checked_at: now_rfc3339(), directory: directory.to_owned(), problems };
    if let Ok(Some(_lock)) = ExclusiveLock::try_acquire_for(&AttentionState::lock_path(home), Duration::ZERO) {
        let _ = AttentionState::change(home, |state| state.doctor = Some(doctor));
    }
}

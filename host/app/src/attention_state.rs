//! What is kept for the list of what needs a person: which entries are muted, and what `aiw doctor` found last.

use std::path::{Path, PathBuf};

use aiw_home::{Home, HomeError, Mode, now_rfc3339, read_capped, replace};
use serde::{Deserialize, Serialize};

/// The longest file of the state, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The most problems of a doctor that are kept.
const MAX_DOCTOR_PROBLEMS: usize = 100;

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

    /// Changes it, while nobody else does.
    pub(crate) fn edit(home: &Home, edit: impl FnOnce(&mut Self)) -> Result<(), HomeError> {
        let _lock = home.lock()?;
        let mut state = Self::load(home);
        edit(&mut state);
        replace(&Self::path(home), &serde_json::to_vec(&state).unwrap_or_default(), Mode::Private)
    }
}

/// Keeps what `aiw doctor` found. Nothing is written to a home that is not there, and whoever asked has the whole answer, so one
/// that can't be written is no failure.
pub(crate) fn keep_doctor(home: &Home, directory: &Path, problems: impl Iterator<Item = DoctorProblem>) {
    let problems: Vec<DoctorProblem> = problems.take(MAX_DOCTOR_PROBLEMS).collect();
    let known = AttentionState::load(home).doctor.map(|last| last.problems).unwrap_or_default();
    if !home.root().is_dir() || problems.is_empty() && known.is_empty() {
        return;
    }
    let doctor = LastDoctor { checked_at: now_rfc3339(), directory: directory.to_owned(), problems };
    let _ = AttentionState::edit(home, |state| state.doctor = Some(doctor));
}

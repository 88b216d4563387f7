//! How events name a process.

use std::path::PathBuf;

use aiw_events::EventSubject;
use serde::{Deserialize, Serialize};

/// The part of a process's events that does not depend on what happens to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventContext {
    /// Its kind.
    pub of: EventSubject,
    /// Its name. A private run has none.
    pub name: Option<String>,
    /// The directory of its project.
    pub project: Option<PathBuf>,
    /// Whether nothing is an event but that it has failed.
    #[serde(default)]
    pub failures_only: bool,
}

//! What was forgotten on request, so that reading a transcript again doesn't bring it back.
//!
//! In a file of its own: a store that is made anew still knows it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{HistoryError, SessionMessage};

/// The most bytes of the file.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The messages that must not come back. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ForgetRules {
    /// Sessions, each up to the time when it was forgotten.
    #[serde(default)]
    pub sessions: BTreeMap<String, i64>,
    /// Projects, each up to the time when it was forgotten.
    #[serde(default)]
    pub projects: BTreeMap<String, i64>,
    /// Everything before this time.
    #[serde(default)]
    pub before: i64,
}

impl ForgetRules {
    fn path(directory: &Path) -> PathBuf {
        directory.join("forgotten.json")
    }

    pub fn load(directory: &Path) -> Result<Self, HistoryError> {
        let path = Self::path(directory);
        let Some(bytes) = aiw_home::read_capped(&path, MAX_FILE_BYTES)? else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).map_err(|error| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
            aiw_home::HomeError::io("read", &path, source).into()
        })
    }

    pub fn save(&self, directory: &Path) -> Result<(), HistoryError> {
        let bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        Ok(aiw_home::replace(&Self::path(directory), &bytes, aiw_home::Mode::Private)?)
    }

    /// Whether a message must not come back.
    pub fn matches(&self, message: &SessionMessage) -> bool {
        self.matches_at(&message.session, &message.project, message.time)
    }

    /// Whether what a session of a project said at a time must not come back.
    pub fn matches_at(&self, session: &str, project: &str, said: Option<i64>) -> bool {
        let time = said.unwrap_or(i64::MIN);
        let project = Path::new(project);
        (said.is_some() && time < self.before)
            || self.sessions.get(session).is_some_and(|until| time <= *until)
            || self.projects.iter().any(|(path, until)| time <= *until && project.starts_with(path))
    }
}

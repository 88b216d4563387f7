//! `tasks`: settings of tasks.

use super::Settings;
use crate::HomeError;

/// Settings of tasks: `tasks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskSettings {
    /// How many tasks of a session run at once; the others wait for their turn.
    pub limit: u32,
}

impl Default for TaskSettings {
    fn default() -> Self {
        Self { limit: 64 }
    }
}

impl Settings {
    /// `tasks`
    pub fn tasks(&self) -> Result<TaskSettings, HomeError> {
        let Some(limit) = self.document.get(&["tasks", "limit"]) else { return Ok(TaskSettings::default()) };
        let number = limit.as_u64().and_then(|limit| u32::try_from(limit).ok());
        let limit = number.filter(|limit| (1..=1000).contains(limit)).ok_or_else(|| {
            HomeError::invalid(self.document.path(), "has a `tasks.limit` that is not a number from 1 to 1000")
        })?;
        Ok(TaskSettings { limit })
    }
}

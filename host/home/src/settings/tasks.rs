//! `tasks`: settings of tasks.

use schemars::JsonSchema;
use serde::Deserialize;

use super::Settings;
use crate::{HomeError, entry};

/// Settings of tasks: `tasks`.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TaskSettings {
    /// How many tasks of a session run at once; the others wait for their turn.
    #[serde(deserialize_with = "entry::number::<1, 1000, _, _>")]
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
        self.section("tasks")
    }
}

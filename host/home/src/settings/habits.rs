//! `habits`: whether it is remembered who started which process.

use serde_json::Value;

use super::Settings;

impl Settings {
    /// `habits`: whether starts of processes are noted, and habits are found in them.
    pub fn has_habits(&self) -> bool {
        self.document.get(&["habits"]) != Some(&Value::Bool(false))
    }
}

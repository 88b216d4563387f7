//! Starting a project's processes when the user logs in, with `aiw up -d`.

use std::path::Path;

use aiw_core::Prompter;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::ProcessError;
use crate::login_item::LoginItem;
use crate::manager::Manager;

/// Whether a project starts with the system
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Autostart {
    /// The project's directory
    pub project: String,
    /// Whether its processes start with the system
    pub on: bool,
    /// Whether you have allowed its file as it is now: nothing of it starts before
    pub allowed: bool,
    /// Why nothing of it would start as it is now
    pub problem: Option<String>,
    /// The file that says so to the system
    pub file: String,
}

impl Manager {
    /// Returns whether the processes of the project start with the system.
    ///
    /// # Errors
    ///
    /// Nobody says where the user's files are.
    pub fn autostart(&self) -> Result<Autostart, ProcessError> {
        let item = self.login_item();
        let loaded = self.load();
        let problem = match &loaded {
            Ok(loaded) if loaded.definitions.is_empty() => Some(self.empty_error().to_string()),
            Ok(loaded) if loaded.needs_approval() => {
                Some(format!("{}: `aiw up` shows it, and asks", ProcessError::Untrusted { path: self.project.file() }))
            }
            Ok(_) => None,
            Err(problem) => Some(problem.to_string()),
        };
        let allowed = loaded.is_ok_and(|loaded| !loaded.needs_approval());
        let (on, file) = (item.is_enabled()?, item.file()?.to_string_lossy().into_owned());
        let project = self.project.directory().to_string_lossy().into_owned();
        Ok(Autostart { project, on, allowed, problem, file })
    }

    /// Has the system start the processes of the project when the user logs in, once they have agreed to the file. `aiw` is
    /// where aiw will be found then.
    ///
    /// # Errors
    ///
    /// The project has no processes, or they make no sense, the user declines, or the file can't be written, or is
    /// somebody else's.
    pub async fn enable_autostart(&self, aiw: &Path, ask: &dyn Prompter) -> Result<Autostart, ProcessError> {
        if self.load()?.definitions.is_empty() {
            return Err(self.empty_error());
        }
        self.login_item().enable(aiw, ask).await?;
        self.autostart()
    }

    /// Takes back what [`Self::enable_autostart`] did. What runs goes on.
    ///
    /// # Errors
    ///
    /// The file can't be removed, or is somebody else's.
    pub fn disable_autostart(&self) -> Result<Autostart, ProcessError> {
        self.login_item().disable()?;
        self.autostart()
    }

    fn login_item(&self) -> LoginItem<'_> {
        LoginItem {
            home: &self.home,
            kind: "up",
            path: self.project.directory(),
            command: "process",
            question: "Write this file, so that the system starts this project's processes?",
            directory: self.project.directory(),
            start: &["up", "-d"],
            stop: &["down"],
        }
    }
}

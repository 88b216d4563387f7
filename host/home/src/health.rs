//! What is wrong with a home. Looking changes nothing.

use std::fmt::Display;
use std::path::Path;

#[cfg(unix)]
use aiw_core::shell_word_in_line;
use aiw_core::{Fault, one_line};
use schemars::JsonSchema;
use serde::Serialize;

#[cfg(unix)]
use crate::files::others_may_write;
use crate::{Home, HomeError, Settings, Surroundings, edits};

/// A problem in `aiw doctor`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FoundProblem {
    /// The problem, as a sentence
    pub problem: String,
    /// The command that mends it, in backticks, and what that does
    pub next: String,
}

impl FoundProblem {
    /// Returns a problem, and the one command that mends it: a line for a shell.
    pub fn new(problem: impl Into<String>, command: impl Display) -> Self {
        Self { problem: problem.into(), next: format!("`{command}`") }
    }

    /// Says what the command does, as the rest of a sentence.
    #[must_use]
    pub fn that(mut self, does: &str) -> Self {
        self.next = format!("{} {does}", self.next);
        self
    }

    /// Says it in other words, which name what it means.
    #[must_use]
    pub fn saying(self, problem: &str) -> Self {
        Self { problem: problem.to_owned(), ..self }
    }

    /// Returns the problem that an error tells, with the command that the error knows, else with `otherwise`.
    pub fn of(error: &dyn Fault, otherwise: impl Display) -> Self {
        Self::new(error.to_string(), error.remedy().unwrap_or_else(|| otherwise.to_string()))
    }
}

impl From<HomeError> for FoundProblem {
    fn from(error: HomeError) -> Self {
        Self::of(&error, "aiw status")
    }
}

impl Home {
    /// Looks whether others can write to the home, and whether its files can be read. Returns how many secrets there
    /// are, and the problems.
    pub fn check(&self) -> (usize, Vec<FoundProblem>) {
        let mut problems: Vec<FoundProblem> = open_to_others(self.root()).into_iter().collect();
        problems.extend(unwritable(self.root()));
        match self.settings() {
            Err(e) => problems.push(e.into()),
            Ok(settings) => problems.extend(in_settings(&settings, self.around())),
        }
        let read = [
            self.providers().err(),
            self.plugins().err(),
            self.extensions_lock().err(),
            self.models_lock().err(),
            self.workflows_lock().err(),
            self.registry_settings().err(),
            self.registry_lock().err(),
        ];
        problems.extend(read.into_iter().flatten().map(FoundProblem::from));
        let (values, unreadable) = self.vault().values();
        problems.extend(unreadable.iter().map(|error| FoundProblem::of(error, "aiw secret list")));
        (values.len(), problems)
    }
}

/// Whoever can write there decides what aiw runs.
#[cfg(unix)]
fn open_to_others(root: &Path) -> Option<FoundProblem> {
    let close = format!("chmod go-w {}", shell_word_in_line(&root.to_string_lossy()));
    others_may_write(root).then(|| FoundProblem::new("others can write to aiw's home", close))
}

/// The problems in `settings.json`.
fn in_settings(settings: &Settings, around: &Surroundings) -> Vec<FoundProblem> {
    let read = [
        settings.planner(around).err(),
        settings.history().err(),
        settings.mcp().err(),
        settings.budgets().err(),
        settings.health().err(),
        settings.ci().err(),
        settings.sync().err(),
        settings.tasks().err(),
        settings.updates().err(),
    ];
    let unknown = settings.unknown_keys().into_iter().map(|key| {
        let meant = key.meant.map(|meant| format!("; did you mean `{}`?", one_line(&meant, 120))).unwrap_or_default();
        let problem = format!("`{}` in settings.json means nothing{meant}", one_line(&key.path, 120));
        FoundProblem::new(problem, edits(settings.document().path()))
    });
    read.into_iter().flatten().map(FoundProblem::from).chain(unknown).collect()
}

#[cfg(unix)]
fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The problem that keeps every command from writing.
#[cfg(unix)]
fn unwritable(root: &Path) -> Option<FoundProblem> {
    /// A few transcripts, logs and bookings fit into that.
    const LITTLE: u64 = 16 << 20;
    let disk = rustix::fs::statvfs(root).ok()?;
    let left = disk.f_bavail.saturating_mul(disk.f_frsize);
    let path = root.display();
    if disk.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        let problem = format!("`{path}` is on a disk that can only be read");
        return Some(FoundProblem::new(problem, "export AIW_HOME=/DIRECTORY").that("names another directory"));
    }
    if let Err(e) = rustix::fs::access(root, rustix::fs::Access::WRITE_OK) {
        let problem = format!("you can't write in `{path}`: {}", std::io::Error::from(e));
        let word = shell_word_in_line(&path_text(root)).into_owned();
        return Some(FoundProblem::new(problem, format!("sudo chown -R \"$(id -u)\" {word} && chmod -R u+rwX {word}")));
    }
    let is_full = left < LITTLE || (disk.f_files > 0 && disk.f_favail == 0);
    is_full.then(|| {
        let (left, files) = (left >> 20, disk.f_favail);
        let problem = format!("the disk of `{path}` is full: {left} MiB and {files} files are left");
        let cache = path_text(&root.join("cache"));
        FoundProblem::new(problem, format!("rm -rf {}", shell_word_in_line(&cache))).that("takes what is made again")
    })
}

#[cfg(not(unix))]
fn open_to_others(_: &Path) -> Option<FoundProblem> {
    None
}

#[cfg(not(unix))]
fn unwritable(_: &Path) -> Option<FoundProblem> {
    None
}

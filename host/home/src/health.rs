//! What is wrong with a home. Looking changes nothing.

use std::fmt::Display;
use std::path::Path;

use aiw_core::{Fault, one_line};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Home, HomeError, Settings, Surroundings};

/// A problem in `aiw doctor`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FoundProblem {
    /// The problem, as a sentence
    pub problem: String,
    /// The next step; null if there is no obvious one
    pub next: Option<String>,
}

impl FoundProblem {
    /// Returns a problem with an obvious next step.
    pub fn new(problem: impl Into<String>, next: impl Into<String>) -> Self {
        Self::of(&problem.into(), Some(next.into()))
    }

    /// Returns the problem that an error tells.
    pub fn of(error: &impl Display, next: Option<String>) -> Self {
        Self { problem: error.to_string(), next }
    }
}

impl From<HomeError> for FoundProblem {
    fn from(error: HomeError) -> Self {
        Self::of(&error, error.hint())
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
        problems.extend(unreadable.iter().map(|error| {
            let next = error.hint().unwrap_or_else(|| "`aiw secret set NAME` stores it again".to_owned());
            FoundProblem::of(error, Some(next))
        }));
        (values.len(), problems)
    }
}

/// Whoever can write there decides what aiw runs.
#[cfg(unix)]
fn open_to_others(root: &Path) -> Option<FoundProblem> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(root).ok()?.permissions().mode();
    let close = format!("`chmod go-w {}`", aiw_core::shell_word(&root.to_string_lossy()));
    (mode & 0o022 != 0).then(|| FoundProblem::new("others can write to aiw's home", close))
}

/// The problems in `settings.json`.
fn in_settings(settings: &Settings, around: &Surroundings) -> Vec<FoundProblem> {
    let read = [
        settings.planner(around).err(),
        settings.history().err(),
        settings.mcp().err(),
        settings.budgets().err(),
        settings.health().err(),
    ];
    let unknown = settings.unknown_keys().into_iter().map(|key| FoundProblem {
        problem: format!("`{}` in settings.json means nothing", one_line(&key.path, 120)),
        next: key.meant.map(|meant| format!("did you mean `{}`?", one_line(&meant, 120))),
    });
    read.into_iter().flatten().map(FoundProblem::from).chain(unknown).collect()
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
        return Some(FoundProblem::new(problem, "let it be written, or set AIW_HOME to another directory"));
    }
    if let Err(e) = rustix::fs::access(root, rustix::fs::Access::WRITE_OK) {
        let problem = format!("you can't write in `{path}`: {}", std::io::Error::from(e));
        return Some(FoundProblem::new(problem, "`ls -ld` shows whose it is; AIW_HOME names another directory"));
    }
    let is_full = left < LITTLE || (disk.f_files > 0 && disk.f_favail == 0);
    is_full.then(|| {
        let (left, files) = (left >> 20, disk.f_favail);
        let problem = format!("the disk of `{path}` is full: {left} MiB and {files} files are left");
        FoundProblem::new(problem, "make room; `cache/` in it can be deleted at any time")
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

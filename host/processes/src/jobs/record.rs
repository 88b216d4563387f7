//! What of a project the daemon is awake for, as the home keeps it: commands write it, and the daemon reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use aiw_core::pluralize;
use aiw_home::{ExclusiveLock, Home, HomeError};
use aiw_supervisor::{DaemonRecord, boot_id};
use serde::{Deserialize, Serialize};

use crate::project::ProcessProject;

/// The part of a project that the daemon is awake for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MonitoredJobs {
    /// The project's directory.
    pub project: PathBuf,
    /// The boot of the system in which it was said: nothing starts by itself after a reboot.
    boot: Option<String>,
    /// The processes whose files are watched.
    #[serde(default)]
    pub watched: BTreeSet<String>,
    /// The processes that start at their times, each with when the clock was looked at last for it, in milliseconds since
    /// 1970.
    #[serde(default)]
    pub scheduled: BTreeMap<String, u64>,
    /// Whether programs run when something happens to its processes.
    #[serde(default)]
    pub has_hooks: bool,
    /// The position of the first event that was not looked at for them.
    #[serde(default)]
    pub position: u64,
    /// The processes that such a program has started: what happens to them starts none.
    #[serde(default)]
    pub by_hooks: BTreeSet<String>,
    /// What is wrong with such programs, by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hook_problems: BTreeMap<String, HookProblem>,
}

/// Why the program of a hook did not run for an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum HookProblem {
    /// It can't be started, for this reason.
    NotStarted { why: String },
    /// Events were dropped, for this reason; the last one at this time, in milliseconds since 1970.
    Dropped { events: u64, why: String, last: u64 },
}

impl fmt::Display for HookProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted { why } => write!(f, "it can't be started: {why}"),
            Self::Dropped { events, why, .. } => write!(f, "{} dropped: {why}", pluralize(*events, "event")),
        }
    }
}

impl DaemonRecord for MonitoredJobs {
    fn directory(home: &Home) -> PathBuf {
        home.root().join("processes").join("monitored")
    }

    fn file_name(&self) -> String {
        format!("{:016x}.json", ProcessProject::known(self.project.clone()).hash_text(""))
    }

    fn boot_id(&self) -> Option<&str> {
        self.boot.as_deref()
    }
}

impl MonitoredJobs {
    /// Whether nobody needs to be awake for it.
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty() && self.scheduled.is_empty() && !self.has_hooks
    }

    /// Takes over what the daemon alone writes.
    pub fn merge_daemon_state(&mut self, own: Self) {
        (self.position, self.by_hooks) = (own.position, own.by_hooks);
        // They end with the hooks, which a command may have switched off meanwhile.
        if self.has_hooks {
            self.hook_problems = own.hook_problems;
        }
    }

    /// Says nothing of the project any more.
    pub fn clear(&mut self) {
        *self = Self { project: std::mem::take(&mut self.project), ..Self::default() };
    }

    /// Returns what is said of a project since the system was started.
    pub fn read(home: &Home, project: &ProcessProject) -> Self {
        let none = Self { project: project.directory().to_owned(), ..Self::default() };
        Self::read_at(&none.path(home)).filter(|known| known.project == none.project).unwrap_or(none)
    }

    /// Returns what is said of all projects.
    pub fn list(home: &Home) -> Vec<Self> {
        let mut all = Self::read_all(home);
        all.retain(|one| !one.is_empty());
        all.sort_by(|one, other| one.project.cmp(&other.project));
        all
    }

    /// Changes what is said of a project, in the home's turn.
    pub fn change(home: &Home, project: &ProcessProject, change: impl FnOnce(&mut Self)) -> Result<(), HomeError> {
        Self::change_locked(&home.lock_start()?, home, project, change)
    }

    /// Changes what is said of a project, in the home's turn that the caller has.
    pub fn change_locked(
        _turn: &ExclusiveLock,
        home: &Home,
        project: &ProcessProject,
        change: impl FnOnce(&mut Self),
    ) -> Result<(), HomeError> {
        let before = Self::read(home, project);
        let mut after = Self { boot: boot_id().map(str::to_owned), ..before.clone() };
        change(&mut after);
        match after.is_empty() && after.hook_problems.is_empty() {
            true => after.remove(home),
            false if after != before => after.write(home),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_writer_has_left_is_not_a_record() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("p/.git")).unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let project = ProcessProject::discover(&dir.path().join("p")).unwrap();
        let attend = |ids: &[&str]| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            MonitoredJobs::change(&home, &project, |attended| attended.watched = ids).unwrap();
        };
        attend(&["web"]);
        let record = MonitoredJobs::read(&home, &project).path(&home);
        std::fs::copy(&record, record.with_file_name(".tmpXyZ")).unwrap();
        std::fs::copy(&record, record.with_file_name("zz.json")).unwrap();
        attend(&["api"]);
        assert_eq!(MonitoredJobs::list(&home), [MonitoredJobs::read(&home, &project)]);
        attend(&[]);
        assert_eq!(MonitoredJobs::list(&home), []);
    }
}

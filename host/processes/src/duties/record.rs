//! What of a project the resident is awake for, as the home keeps it: commands write it, and the resident reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aiw_home::{Home, HomeError, Mode, Turn, make_private_dir, read_capped, remove_file, replace};
use aiw_supervisor::boot;
use serde::{Deserialize, Serialize};

use crate::project::ProcessProject;

/// The longest record, in bytes.
const LONGEST: u64 = 256 << 10;

/// The part of a project that the resident is awake for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attended {
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
}

/// Returns the directory of these records.
pub(crate) fn directory(home: &Home) -> PathBuf {
    home.root().join("processes").join("attended")
}

fn path(home: &Home, project: &ProcessProject) -> PathBuf {
    directory(home).join(format!("{:016x}.json", project.number("")))
}

impl Attended {
    /// Whether nobody needs to be awake for it.
    pub fn is_empty(&self) -> bool {
        self.watched.is_empty() && self.scheduled.is_empty() && !self.has_hooks
    }

    /// Says nothing of the project any more.
    pub fn forget(&mut self) {
        *self = Self { project: std::mem::take(&mut self.project), ..Self::default() };
    }

    fn read_at(path: &Path) -> Option<Self> {
        let found: Self = serde_json::from_slice(&read_capped(path, LONGEST).ok()??).ok()?;
        (found.boot.as_deref() == boot()).then_some(found)
    }

    /// Returns what is said of a project since the system was started.
    pub fn read(home: &Home, project: &ProcessProject) -> Self {
        let known = Self::read_at(&path(home, project)).filter(|known| known.project == project.directory());
        known.unwrap_or_else(|| Self { project: project.directory().to_owned(), ..Self::default() })
    }

    /// Returns what is said of all projects.
    pub fn all(home: &Home) -> Vec<Self> {
        let entries = std::fs::read_dir(directory(home)).into_iter().flatten().flatten();
        // Whoever is killed while it writes leaves a file of another name.
        let is_its_own = |at: &Path, one: &Self| {
            at.file_name() == path(home, &ProcessProject::known(one.project.clone())).file_name()
        };
        let read = |at: PathBuf| Self::read_at(&at).filter(|one| !one.is_empty() && is_its_own(&at, one));
        let mut all: Vec<Self> = entries.filter_map(|entry| read(entry.path())).collect();
        all.sort_by(|one, other| one.project.cmp(&other.project));
        all
    }

    /// Changes what is said of a project, in the home's turn.
    pub fn change(home: &Home, project: &ProcessProject, change: impl FnOnce(&mut Self)) -> Result<(), HomeError> {
        Self::change_in(&home.turn()?, home, project, change)
    }

    /// Changes what is said of a project, in the home's turn that the caller has.
    pub fn change_in(
        _turn: &Turn,
        home: &Home,
        project: &ProcessProject,
        change: impl FnOnce(&mut Self),
    ) -> Result<(), HomeError> {
        let before = Self::read(home, project);
        let mut after = Self { boot: boot().map(str::to_owned), ..before.clone() };
        change(&mut after);
        let path = path(home, project);
        if after.is_empty() {
            if path.exists() {
                remove_file(&path).map_err(|e| HomeError::io("remove", &path, e))?;
            }
        } else if after != before {
            make_private_dir(&directory(home))?;
            replace(&path, &serde_json::to_vec(&after).unwrap_or_default(), Mode::Private)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_writer_has_left_is_not_a_record() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("p/.git")).unwrap();
        let home = Home::at(dir.path().join("home"));
        let project = ProcessProject::find(&dir.path().join("p")).unwrap();
        let attend = |ids: &[&str]| {
            let ids = ids.iter().map(|id| (*id).to_owned()).collect();
            Attended::change(&home, &project, |attended| attended.watched = ids).unwrap();
        };
        attend(&["web"]);
        let record = path(&home, &project);
        std::fs::copy(&record, record.with_file_name(".tmpXyZ")).unwrap();
        std::fs::copy(&record, record.with_file_name("zz.json")).unwrap();
        attend(&["api"]);
        assert_eq!(Attended::all(&home), [Attended::read(&home, &project)]);
        attend(&[]);
        assert_eq!(Attended::all(&home), []);
    }
}

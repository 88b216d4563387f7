//! The starts that habits are made of. A line of its own for each, in two files of the home: events have no branch, and are
//! gone sooner in a home where much happens.

use std::io;
use std::path::{Path, PathBuf};

use aiw_core::one_line;
use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent, LineFiles};
use aiw_home::{Home, local_hour, parse_rfc3339, read_capped};
use aiw_supervisor::digest;
use serde::{Deserialize, Serialize};

use crate::definition::is_id;

/// The size at which a file is full, in bytes: both hold some 25,000 starts.
const MAX_FILE_BYTES: u64 = 2_000_000;

/// The most characters of a starter's name.
const MAX_NAME_LEN: usize = 60;

/// The largest `HEAD` of a repository, or file that says where a repository is.
const MAX_GIT_HEAD_BYTES: u64 = 4096;

/// The start of a process by somebody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StartRecord {
    /// In milliseconds since 1970.
    pub time: u64,
    pub project: PathBuf,
    pub process: String,
    /// The starter: `you`, or the name of an MCP client.
    pub by: String,
    /// A digest of the branch that was checked out. Which one it was is nobody's business: only changes count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<u64>,
    /// The hour where the machine was.
    pub hour: u8,
    pub weekend: bool,
}

impl StartRecord {
    pub fn new(time: u64, project: &Path, process: &str, by: &str) -> Self {
        let (hour, weekend) = local_hour(time);
        let (project, process, by) = (project.to_owned(), process.to_owned(), one_line(by, MAX_NAME_LEN));
        let branch = branch(&project);
        Self { time, project, process, by, branch, hour, weekend }
    }

    /// Whether it could have been written by aiw.
    fn is_sound(&self) -> bool {
        is_id(&self.process) && self.hour < 24 && self.by == one_line(&self.by, MAX_NAME_LEN)
    }
}

/// The starts of a home.
pub(crate) struct StartLog(LineFiles);

impl StartLog {
    pub fn new(home: &Home) -> Self {
        Self(LineFiles::new(home.root().join("processes").join("habits"), "starts", MAX_FILE_BYTES))
    }

    /// Adds a start. A full disk stops no process, so an error is nobody's.
    pub fn add(&self, start: &StartRecord) {
        let _ = self.0.add(start);
    }

    /// Returns all of them, oldest first.
    pub fn read_all(&self) -> io::Result<Vec<StartRecord>> {
        let mut starts = self.0.read_lines(0, usize::MAX, |_| true, StartRecord::is_sound)?.lines;
        starts.sort_by_key(|start| start.time);
        Ok(starts)
    }

    /// Removes starts of a project: of one process, or all.
    pub fn remove(&self, project: &Path, process: Option<&str>) -> io::Result<()> {
        let is_forgotten =
            |start: &StartRecord| start.project == project && process.is_none_or(|id| start.process == id);
        self.0.retain(|start| !is_forgotten(start))
    }

    pub fn directory(&self) -> &Path {
        self.0.directory()
    }
}

/// Returns when processes of a project failed or fell ill, with their ids, oldest first.
pub(crate) fn failures(home: &Home, project: &Path) -> io::Result<Vec<(u64, String)>> {
    let is_failure = |event: &HomeEvent| {
        // What is lost is found later, and all of it at once.
        let is_bad = event.kind == EventKind::Failed && event.reason.is_none();
        // A restart that somebody or something asked for does not count.
        let is_ill =
            event.kind == EventKind::Unhealthy || (event.kind == EventKind::Restarted && event.actor.is_none());
        event.subject == EventSubject::Process && (is_bad || is_ill) && event.project.as_deref() == Some(project)
    };
    let page = EventLog::new(home.root()).read(0, usize::MAX, is_failure)?;
    let failure = |event: HomeEvent| {
        let time = u64::try_from(parse_rfc3339(&event.time)?).ok()?;
        Some((time, event.name.filter(|name| is_id(name))?))
    };
    let mut failures: Vec<_> = page.events.into_iter().filter_map(failure).collect();
    failures.sort_by_key(|(time, _)| *time);
    Ok(failures)
}

/// Returns a digest of the branch that is checked out where a directory is. None between branches, such as in a rebase.
fn branch(directory: &Path) -> Option<u64> {
    let git = directory.ancestors().map(|above| above.join(".git")).find(|git| git.exists())?;
    let read = |path: &Path| String::from_utf8(read_capped(path, MAX_GIT_HEAD_BYTES).ok()??).ok();
    // In a worktree or a submodule it is a file, which says where the rest is.
    let git = match git.is_dir() {
        true => git,
        false => git.parent()?.join(read(&git)?.strip_prefix("gitdir:")?.trim()),
    };
    Some(digest(read(&git.join("HEAD"))?.strip_prefix("ref:")?.trim().as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_branch_is_found_in_repositories_and_worktrees_and_in_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let (root, tree) = (dir.path().join("repo/app"), dir.path().join("tree"));
        let head = dir.path().join("repo/.git/HEAD");
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(&tree).unwrap();
        assert_eq!(branch(&root), None);
        fs::create_dir_all(dir.path().join("repo/.git/worktrees/tree")).unwrap();
        let checked_out = |text: &str| {
            fs::write(&head, text).unwrap();
            branch(&root)
        };
        let main = checked_out("ref: refs/heads/main\n");
        assert!(main.is_some() && main == checked_out("ref: refs/heads/main"));
        assert_ne!(main, checked_out("ref: refs/heads/other\n"));
        assert_eq!(checked_out("0123456789abcdef0123456789abcdef01234567\n"), None);
        assert_eq!(checked_out(&"ref: x".repeat(2000)), None);
        for path in ["../repo/.git/worktrees/tree", &dir.path().join("repo/.git/worktrees/tree").to_string_lossy()] {
            fs::write(tree.join(".git"), format!("gitdir: {path}\n")).unwrap();
            fs::write(dir.path().join("repo/.git/worktrees/tree/HEAD"), "ref: refs/heads/main\n").unwrap();
            assert_eq!(branch(&tree), main);
        }
        for nonsense in ["", "gitdir: /dev/zero", "gitdir: ../../../..", "\u{0}"] {
            fs::write(tree.join(".git"), nonsense).unwrap();
            assert_eq!(branch(&tree), None, "{nonsense}");
        }
    }

    #[test]
    fn a_restart_for_a_changed_file_is_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let (project, log) = (Some(dir.path().to_owned()), EventLog::new(home.root()));
        for (kind, name, by) in [
            (EventKind::Restarted, "crashed", None),
            (EventKind::Restarted, "edited", Some("watch")),
            (EventKind::Failed, "failed", None),
            (EventKind::Started, "begun", Some("you")),
        ] {
            let (name, by) = (Some(name.to_owned()), by.map(str::to_owned));
            let event = HomeEvent { name, actor: by, ..HomeEvent::now(kind, EventSubject::Process) };
            log.add(&HomeEvent { project: project.clone(), ..event }).unwrap();
        }
        let failures = failures(&home, dir.path()).unwrap();
        assert_eq!(failures.iter().map(|(_, id)| id.as_str()).collect::<Vec<_>>(), ["crashed", "failed"]);
    }

    #[test]
    fn what_aiw_did_not_write_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let starts = StartLog::new(&home);
        let start = StartRecord::new(1_790_000_000_000, dir.path(), "api", "you");
        starts.add(&start);
        let path = starts.directory().join("starts.jsonl");
        let whole = fs::read_to_string(&path).unwrap();
        let line = whole.lines().nth(1).unwrap();
        let hostile = [
            line.replace("\"api\"", "\"a b\""),
            line.replace("\"you\"", "\"y\\u001b[31mou\""),
            line.replace("\"time\":17", "\"time\":-17"),
            line.replace("\"hour\":", "\"hour\":9"),
            "[".repeat(5000),
            "{}".into(),
        ];
        fs::write(&path, format!("{whole}{}\n{line}\nunfinished", hostile.join("\n"))).unwrap();
        assert_eq!(starts.read_all().unwrap(), [start.clone(), start.clone()]);
        starts.remove(dir.path(), Some("other")).unwrap();
        assert_eq!(starts.read_all().unwrap().len(), 2);
        starts.remove(dir.path(), Some("api")).unwrap();
        assert!(starts.read_all().unwrap().is_empty() && !fs::read_to_string(&path).unwrap().contains("api"));
    }
}

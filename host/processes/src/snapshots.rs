//! Snapshots: which processes ran, and how they were defined. One without a name is a list of ids in the home. One with a
//! name is a file in YAML, which people read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use aiw_core::{Plan, PromptError, Prompter, Reporter, SnapshotName, closest, one_line};
use aiw_home::{HomeError, Mode, now_rfc3339, read_capped, read_dir, remove_file, replace};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::consent::describe;
use crate::definition::{Definition, DefinitionSource, is_id};
use crate::error::ProcessError;
use crate::file::{self, Definitions};
use crate::home_definitions;
use crate::manager::{LoadedDefinitions, Manager};
use crate::start::StartResults;
use crate::state::ProcessStatus;
use crate::yaml::{self, YamlProcess};

/// The version of the files.
const FORMAT_VERSION: u64 = 1;
/// The largest file.
const MAX_BYTES: u64 = 1 << 20;
/// How many there may be.
const MAX_SNAPSHOTS: usize = 200;

/// A snapshot, as its file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedSnapshot {
    version: u64,
    project: String,
    saved: String,
    processes: Vec<Value>,
}

/// A snapshot that was read.
struct ReadSnapshot {
    project: String,
    saved: String,
    processes: BTreeMap<String, SavedProcess>,
    text: String,
}

/// A process of a snapshot.
struct SavedProcess {
    definition: Definition,
    /// Whether it ran.
    running: bool,
    /// Whether it was defined in the home.
    of_home: bool,
}

/// The snapshots
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SnapshotList {
    /// The snapshots, by name
    pub snapshots: Vec<SnapshotSummary>,
}

/// A snapshot
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SnapshotSummary {
    /// Its name
    pub name: String,
    /// Its file
    pub file: String,
    /// The directory of its project
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// When it was saved
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saved: Option<String>,
    /// How many processes it has
    pub processes: usize,
    /// The ids of those that ran
    pub running: Vec<String>,
    /// Why it can't be used
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A snapshot with its text
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SnapshotText {
    /// The snapshot
    pub snapshot: SnapshotSummary,
    /// The text of its file
    pub text: String,
}

/// The differences between a snapshot and now
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SnapshotDifference {
    /// The snapshot
    pub snapshot: String,
    /// The processes that are not as they were
    pub changes: Vec<SnapshotChange>,
}

/// A process that is not as it was in a snapshot
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SnapshotChange {
    /// Its id
    pub id: String,
    /// Its definition: `changed`, `gone` or `new`; absent if it is as it was
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// The lines of its definition that went (`-`) and came (`+`)
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
    /// Whether it ran then
    pub ran: bool,
    /// Whether it runs now
    pub runs: bool,
}

impl SnapshotChange {
    /// Says it in a line.
    pub fn title(&self) -> String {
        let defined = self.definition.as_deref().map(|what| match what {
            "changed" => "is defined differently now",
            "gone" => "is no longer defined",
            _ => "was not defined then",
        });
        let ran = match (self.ran, self.runs) {
            (true, false) => Some("ran then and does not now"),
            (false, true) => Some("runs now and did not then"),
            _ => None,
        };
        let what: Vec<&str> = defined.into_iter().chain(ran).collect();
        format!("`{}` {}", self.id, what.join(", "))
    }
}

impl Manager {
    /// Remembers which processes run now. Returns their ids.
    pub fn take_snapshot(&self) -> Result<Vec<String>, ProcessError> {
        let running: Vec<String> =
            self.list()?.into_iter().filter(|status| status.state.is_alive()).map(|status| status.id).collect();
        home_definitions::set_snapshot(&self.home, &self.project, &running)?;
        Ok(running)
    }

    /// Starts the processes that ran when the snapshot was taken, and those that start by themselves.
    pub fn restore_snapshot(&self) -> Result<StartResults, ProcessError> {
        let loaded = self.load()?;
        let mut ids = home_definitions::snapshot(&self.home, &self.project)?;
        ids.retain(|id| loaded.get(id).is_some());
        let by_itself = loaded.iter().filter(|(_, definition)| definition.auto_start);
        ids.extend(by_itself.map(|(id, _)| id.clone()));
        ids.sort();
        ids.dedup();
        if ids.is_empty() { Ok(Vec::new()) } else { self.start_all(&loaded, &ids) }
    }

    fn snapshots_directory(&self) -> PathBuf {
        self.home.root().join("processes").join("snapshots")
    }

    fn snapshot_path(&self, name: &SnapshotName) -> PathBuf {
        self.snapshots_directory().join(format!("{name}.yaml"))
    }

    fn snapshot_names(&self) -> Result<Vec<SnapshotName>, ProcessError> {
        let directory = self.snapshots_directory();
        let files = match read_dir(&directory) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            files => files.map_err(|e| HomeError::io("read", &directory, e))?,
        };
        let name = |file: fs::DirEntry| file.file_name().to_str()?.strip_suffix(".yaml")?.parse().ok();
        let mut names: Vec<SnapshotName> = files.flatten().filter_map(name).collect();
        names.sort();
        names.truncate(MAX_SNAPSHOTS);
        Ok(names)
    }

    /// Saves how the processes are defined, as exports show it, and which run now. With `force`, it takes the place of
    /// another snapshot of that name.
    ///
    /// # Errors
    ///
    /// There is a snapshot of this name, or it would be too large.
    pub fn save_snapshot(&self, name: &SnapshotName, force: bool) -> Result<SnapshotSummary, ProcessError> {
        let loaded = self.load()?;
        let entry = |status: ProcessStatus| {
            // What runs may be of an earlier definition.
            let defined = loaded.get(&status.id);
            let definition = defined.map_or(&status.definition, |(definition, _)| definition).redacted();
            let source = defined.map(|(_, source)| ("source".to_owned(), json!(source)));
            let running = ("running".to_owned(), status.state.is_alive().into());
            Value::from(yaml::to_yaml_fields(&status.id, &definition, [running].into_iter().chain(source).collect()))
        };
        // A process that neither runs nor is defined is only an old log.
        let is_known =
            |status: &ProcessStatus| is_id(&status.id) && (status.source.is_some() || status.state.is_alive());
        let processes = self.statuses(&loaded)?.into_iter().filter(is_known).map(entry).collect();
        let project = self.project.directory().to_string_lossy().into_owned();
        let file = SavedSnapshot { version: FORMAT_VERSION, project, saved: now_rfc3339(), processes };
        let problem = |problem: String| ProcessError::Snapshot { name: name.clone(), problem };
        let text = aiw_home::yaml::write(&file).map_err(|why| problem(format!("can't be written: {why}")))?;
        if text.len() as u64 > MAX_BYTES {
            return Err(problem("would be larger than 1 MB".into()));
        }
        // What is saved can be restored.
        let snapshot = parsed(text).map_err(|why| problem(format!("would not be read again: {why}")))?;
        let path = self.snapshot_path(name);
        let _turn = self.home.lock_start()?;
        let is_there = fs::symlink_metadata(&path).is_ok();
        if is_there && !force {
            return Err(ProcessError::SnapshotExists { name: name.clone() });
        }
        // A model could push others out of the list.
        if !is_there && self.snapshot_names()?.len() >= MAX_SNAPSHOTS {
            return Err(problem(format!("would be one of more than {MAX_SNAPSHOTS}")));
        }
        self.home.make_dir(&self.snapshots_directory())?;
        replace(&path, snapshot.text.as_bytes(), Mode::Private)?;
        Ok(self.summary(name, Ok(&snapshot)))
    }

    /// Returns the snapshots of this project, or of all, by name.
    ///
    /// # Errors
    ///
    /// Their directory can't be read. A snapshot that can't be is among them, with its problem.
    pub fn snapshots(&self, all: bool) -> Result<SnapshotList, ProcessError> {
        let summary = |name: &SnapshotName| match self.read_snapshot(name) {
            Ok(snapshot) => self.summary(name, Ok(&snapshot)),
            Err(error) => self.summary(name, Err(error.to_string())),
        };
        let here = self.project.directory().to_string_lossy();
        let is_wanted = |one: &SnapshotSummary| all || one.project.as_ref().is_none_or(|project| *project == here);
        Ok(SnapshotList { snapshots: self.snapshot_names()?.iter().map(summary).filter(is_wanted).collect() })
    }

    /// Returns a snapshot as its file has it.
    pub fn snapshot(&self, name: &SnapshotName) -> Result<SnapshotText, ProcessError> {
        let snapshot = self.read_snapshot(name)?;
        Ok(SnapshotText { snapshot: self.summary(name, Ok(&snapshot)), text: snapshot.text })
    }

    /// Returns how the processes differ from a snapshot.
    ///
    /// # Errors
    ///
    /// There is no such snapshot of this project, or it can't be read.
    pub fn compare_snapshot(&self, name: &SnapshotName) -> Result<SnapshotDifference, ProcessError> {
        let (snapshot, loaded) = (self.own_snapshot(name)?, self.load()?);
        Ok(SnapshotDifference { snapshot: name.to_string(), changes: self.changes(&snapshot, &loaded)? })
    }

    /// Removes a snapshot. Returns its file.
    pub fn remove_snapshot(&self, name: &SnapshotName) -> Result<PathBuf, ProcessError> {
        let path = self.snapshot_path(name);
        match remove_file(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(self.no_snapshot(name)),
            removed => Ok(removed.map(|()| path.clone()).map_err(|e| HomeError::io("remove", &path, e))?),
        }
    }

    /// Starts what ran in a snapshot and does not run now, as it is defined now. Says what has changed since. What was
    /// defined in the home and is gone is defined again, if the user agrees. What the project's file defines starts only
    /// if the user has allowed the file.
    ///
    /// # Errors
    ///
    /// There is no such snapshot of this project, it can't be read, or the user declines.
    pub async fn restore(
        &self,
        name: &SnapshotName,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<StartResults, ProcessError> {
        let (snapshot, mut loaded) = (self.own_snapshot(name)?, self.load()?);
        for change in self.changes(&snapshot, &loaded)? {
            match change.definition.as_deref() {
                Some("changed") => {
                    sink.note(format!("`{}` has changed since, and is taken as it is defined now:", change.id));
                    change.lines.iter().for_each(|line| sink.note(format!("  {line}")));
                }
                Some("gone") if snapshot.processes.get(&change.id).is_none_or(|kept| !kept.of_home) => {
                    sink.note(format!("`{}` is no longer defined in `{}`", change.id, self.project.display_file()));
                }
                _ => {}
            }
        }
        if self.define_again(name, &snapshot, &loaded, ask, sink).await? {
            loaded = self.load()?;
        }
        let alive = self.statuses(&loaded)?.into_iter().filter(|status| status.state.is_alive());
        let alive: BTreeSet<String> = alive.map(|status| status.id).collect();
        let ran = snapshot.processes.iter().filter(|(_, kept)| kept.running).map(|(id, _)| id);
        let ids: Vec<&String> = ran.filter(|id| loaded.get(id).is_some() && !alive.contains(*id)).collect();
        if ids.iter().any(|id| matches!(loaded.get(id), Some((_, DefinitionSource::File)))) {
            match self.request_consent(&mut loaded, ask).await {
                // The others start all the same.
                Ok(()) | Err(ProcessError::Prompt(PromptError::Unsupported)) => {}
                Err(error) => return Err(error),
            }
        }
        let mut results = StartResults::new();
        for id in ids {
            let is_done = |results: &StartResults, id: &str| results.iter().any(|(done, _)| done == id);
            if is_done(&results, id) {
                continue;
            }
            match self.start_all(&loaded, std::slice::from_ref(id)) {
                Ok(started) => {
                    let new: Vec<_> = started.into_iter().filter(|(id, _)| !is_done(&results, id)).collect();
                    results.extend(new);
                }
                Err(error) => results.push((id.clone(), Err(error))),
            }
        }
        Ok(results)
    }

    /// Defines in the home again what is gone from there, after the user has seen it. Returns whether anything was.
    async fn define_again(
        &self,
        name: &SnapshotName,
        snapshot: &ReadSnapshot,
        loaded: &LoadedDefinitions,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<bool, ProcessError> {
        let gone = snapshot.processes.iter().filter(|(id, kept)| kept.of_home && loaded.get(id).is_none());
        let mut again = Definitions::new();
        for (id, kept) in gone {
            match self.check_model_definition(id, &kept.definition) {
                Ok(()) => drop(again.insert(id.clone(), kept.definition.clone())),
                Err(error) => sink.note(format!("{error}; it is not defined again")),
            }
        }
        if again.is_empty() {
            return Ok(false);
        }
        let mut plan = Plan::new("Define these again?");
        plan.details.push(format!("snapshot `{name}` has processes of agents that are no longer defined:"));
        again.iter().for_each(|(id, definition)| describe(&mut plan, "  ", id, definition));
        match ask.confirm(&plan, &[]).await {
            Ok(_) => {}
            Err(PromptError::Unsupported) => {
                let ids = again.keys().cloned().collect::<Vec<_>>().join(", ");
                sink.note(format!("no longer defined: {ids}"));
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        }
        let ids: Vec<String> = self.store_all(again)?;
        sink.done(format!("Defined {} again", ids.join(", ")));
        Ok(true)
    }

    /// Returns how the processes differ from a snapshot, as lists show them.
    fn changes(
        &self,
        snapshot: &ReadSnapshot,
        loaded: &LoadedDefinitions,
    ) -> Result<Vec<SnapshotChange>, ProcessError> {
        let mut all = self.statuses(loaded)?;
        // Programs that run for events don't count.
        all.retain(|status| is_id(&status.id));
        let now: BTreeMap<&str, bool> = all.iter().map(|one| (one.id.as_str(), one.state.is_alive())).collect();
        let lines = |id: &str, definition: Option<&Definition>| -> Vec<String> {
            let one = definition.map(|definition| (id.to_owned(), definition.redacted()));
            file::to_kdl(&one.into_iter().collect(), &[]).lines().map(|line| line.trim().to_owned()).collect()
        };
        let ids = snapshot.processes.keys().map(String::as_str).chain(now.keys().copied());
        let ids: BTreeSet<&str> = ids.collect();
        let change = |id: &str| {
            let (then, defined) = (snapshot.processes.get(id), loaded.get(id).map(|(definition, _)| definition));
            let runs = now.get(id).copied().unwrap_or_default();
            let (old, new) = (lines(id, then.map(|kept| &kept.definition)), lines(id, defined));
            let went = old.iter().filter(|line| !new.contains(line)).map(|line| format!("- {line}"));
            let came = new.iter().filter(|line| !old.contains(line)).map(|line| format!("+ {line}"));
            let definition = match (then, defined) {
                (Some(_), None) => Some("gone"),
                (None, Some(_)) => Some("new"),
                _ if old != new => Some("changed"),
                _ => None,
            };
            let lines = went.chain(came).collect();
            let definition = definition.map(str::to_owned);
            SnapshotChange { id: id.to_owned(), definition, lines, ran: then.is_some_and(|kept| kept.running), runs }
        };
        let is_one = |change: &SnapshotChange| change.definition.is_some() || change.ran != change.runs;
        Ok(ids.into_iter().map(change).filter(is_one).collect())
    }

    fn no_snapshot(&self, name: &SnapshotName) -> ProcessError {
        let names = self.snapshot_names().unwrap_or_default();
        let nearest = closest(name.as_str(), names.iter().map(SnapshotName::as_str)).map(str::to_owned);
        ProcessError::SnapshotNotFound { name: name.clone(), nearest }
    }

    fn read_snapshot(&self, name: &SnapshotName) -> Result<ReadSnapshot, ProcessError> {
        let bytes = read_capped(&self.snapshot_path(name), MAX_BYTES)?.ok_or_else(|| self.no_snapshot(name))?;
        let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned());
        text.and_then(parsed).map_err(|problem| ProcessError::Snapshot { name: name.clone(), problem })
    }

    /// Reads a snapshot of this project.
    fn own_snapshot(&self, name: &SnapshotName) -> Result<ReadSnapshot, ProcessError> {
        let snapshot = self.read_snapshot(name)?;
        if snapshot.project != self.project.directory().to_string_lossy() {
            return Err(ProcessError::OtherProject { name: name.clone(), project: snapshot.project });
        }
        Ok(snapshot)
    }

    fn summary(&self, name: &SnapshotName, snapshot: Result<&ReadSnapshot, String>) -> SnapshotSummary {
        let (snapshot, problem) = (snapshot.as_ref().ok(), snapshot.as_ref().err().cloned());
        let processes = snapshot.map(|snapshot| &snapshot.processes);
        let running = processes.into_iter().flatten().filter(|(_, kept)| kept.running).map(|(id, _)| id.clone());
        SnapshotSummary {
            name: name.to_string(),
            file: self.snapshot_path(name).to_string_lossy().into_owned(),
            project: snapshot.map(|snapshot| snapshot.project.clone()),
            saved: snapshot.map(|snapshot| snapshot.saved.clone()),
            processes: processes.map_or(0, BTreeMap::len),
            running: running.collect(),
            problem,
        }
    }
}

/// Reads the text of a snapshot. The error is the end of a sentence about it.
fn parsed(text: String) -> Result<ReadSnapshot, String> {
    let file: SavedSnapshot =
        aiw_home::yaml::parse_limited(&text, yaml::MAX_NODES).map_err(|why| format!("can't be read as YAML: {why}"))?;
    if file.version != FORMAT_VERSION {
        return Err(format!("is of version {}, which this aiw doesn't know", file.version));
    }
    let mut processes = BTreeMap::new();
    for (entry, fields) in yaml::parse_entries(&file.processes).zip(&file.processes) {
        let YamlProcess { id, definition, unknown_fields: unknown } =
            entry.map_err(|(id, what)| format!("says of `{id}`: {what}"))?;
        if let Some(field) = unknown.first() {
            return Err(format!("says of `{id}`: `{field}` is not known here"));
        }
        let check = if is_id(&id) { definition.check() } else { Err("has an id that is not one".into()) };
        check.map_err(|what| format!("says of `{}` what makes no sense: it {what}", one_line(&id, 64)))?;
        let running = fields.get("running") == Some(&Value::Bool(true));
        let of_home = fields.get("source").and_then(Value::as_str) == Some("home");
        processes.insert(id, SavedProcess { definition, running, of_home });
    }
    Ok(ReadSnapshot { project: file.project, saved: file.saved, processes, text })
}

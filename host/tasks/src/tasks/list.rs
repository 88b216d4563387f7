//! Looking at tasks.

use std::collections::HashMap;
use std::sync::Arc;

use aiw_core::TaskId;

use super::Tasks;
use crate::record::{Found, Record};
use crate::segment::{Segment, Snapshot, sessions};
use crate::{Log, Root, Scope, State, Task, TaskError};

/// Shorter beginnings of an id are likelier a mistake, and some commands end what they name.
const SHORTEST: usize = 4;

impl Tasks {
    /// All of them, oldest first. What dead shims have left behind is ended and recorded first.
    pub fn list(&self) -> Result<Vec<Task>, TaskError> {
        self.list_with_problems().map(|(tasks, _)| tasks)
    }

    /// The same, and an error for each task whose record can't be read.
    pub fn list_with_problems(&self) -> Result<(Vec<Task>, Vec<TaskError>), TaskError> {
        let (mut tasks, mut problems) = (Vec::new(), Vec::new());
        let mut segments = Segments::of(self);
        for id in self.records.ids()? {
            let record = match self.records.find(id) {
                Found::Record(record) => *record,
                // Removed in the meantime.
                Found::Nothing => continue,
                found => {
                    problems.extend(self.understood(id, found).err());
                    continue;
                }
            };
            if let Scope::Session(root) = self.scope
                && !root.is(&record.root)
            {
                continue;
            }
            tasks.push(self.look(record, &mut segments)?);
        }
        tasks.sort_by_key(|task| (task.started, task.id));
        self.tidy();
        Ok((tasks, problems))
    }

    /// Whether the session's shared memory is fit to use. Lists do without it; starting does not.
    pub fn check(&self) -> Result<(), TaskError> {
        let roots = match self.scope {
            Scope::Session(root) => vec![root],
            Scope::All => sessions(&self.runtime)?.into_iter().map(|pid| Root { pid, start: 0 }).collect(),
        };
        roots.into_iter().try_for_each(|root| Segment::open(&self.runtime, root).map(|_| ()))
    }

    /// One of them. A task of another session is found too: its id was known.
    pub fn get(&self, id: TaskId) -> Result<Task, TaskError> {
        self.look(self.record(id)?, &mut Segments::of(self))
    }

    /// The task whose CLI has, or had, this process id; the newest of several.
    pub fn find_by_pid(&self, pid: u32) -> Result<Task, TaskError> {
        let all = self.of_all_sessions()?;
        by_pid(&all, pid).cloned().ok_or_else(|| TaskError::NoTask { id: pid.to_string() })
    }

    /// The task that is meant by its id, by the beginning of one (four characters at least), or by
    /// a process id. Tasks of other sessions are found too: whoever names one knows it.
    pub fn find(&self, text: &str) -> Result<Task, TaskError> {
        if let Ok(id) = text.parse::<TaskId>() {
            return self.get(id);
        }
        let all = self.of_all_sessions()?;
        let mut meant: Vec<&Task> =
            all.iter().filter(|task| text.len() >= SHORTEST && task.id.as_str().starts_with(text)).collect();
        if let Some(task) = text.parse().ok().and_then(|pid| by_pid(&all, pid)) {
            // A process that lives is meant rather than a beginning that happens to be a number.
            if task.state != State::Ended {
                return Ok(task.clone());
            }
            if !meant.iter().any(|found| found.id == task.id) {
                meant.push(task);
            }
        }
        match meant.as_slice() {
            [task] => Ok((*task).clone()),
            [] => Err(TaskError::NoTask { id: aiw_core::one_line(text, 60) }),
            several => Err(TaskError::Ambiguous {
                text: aiw_core::one_line(text, 60),
                ids: several.iter().take(8).map(|task| task.id).collect(),
            }),
        }
    }

    fn of_all_sessions(&self) -> Result<Vec<Task>, TaskError> {
        Self { scope: Scope::All, ..self.clone() }.list()
    }

    /// The log of a task.
    pub fn log(&self, id: TaskId) -> Result<Log, TaskError> {
        self.record(id)?;
        Ok(Log::of(&self.records.directory(id)))
    }

    pub(super) fn record(&self, id: TaskId) -> Result<Record, TaskError> {
        self.understood(id, self.records.find(id))
    }

    /// The record that was found, or why it is none.
    fn understood(&self, id: TaskId, found: Found) -> Result<Record, TaskError> {
        let path = || self.records.directory(id);
        Err(match found {
            Found::Record(record) => return Ok(*record),
            Found::Nothing => TaskError::NoTask { id: id.to_string() },
            Found::Unreadable(reason) => TaskError::Unreadable { id, reason },
            Found::Link => TaskError::Link { path: path() },
            Found::NoDirectory(what) => TaskError::NoDirectory { id, path: path(), what },
        })
    }

    /// A task as it is now: the record, made good if need be, and what the shim says in its slot.
    pub(super) fn look(&self, record: Record, segments: &mut Segments) -> Result<Task, TaskError> {
        let record = self.settle(record)?;
        let directory = self.records.directory(record.id);
        let slot = if record.state == State::Ended { None } else { segments.slot(&record) };
        let mut task = record.into_task(&directory);
        // The slot is changed a moment before the record; an end is told by the record alone.
        if let Some(slot) = slot
            && let Some(state) = slot.state()
            && state > task.state
            && state != State::Ended
        {
            task.state = state;
            task.pid = task.pid.or(slot.pid());
            task.running_since = task.running_since.or(slot.running_since());
        }
        Ok(task)
    }
}

/// Among several that had a process id, one that lives is meant, else the newest.
fn by_pid(tasks: &[Task], pid: u32) -> Option<&Task> {
    let had = tasks.iter().filter(|task| task.pid == Some(pid));
    had.max_by_key(|task| (task.state != State::Ended, task.started))
}

/// The segments that were looked into so far, one scan each.
pub(super) struct Segments {
    tasks: Tasks,
    slots: HashMap<Root, HashMap<u64, Snapshot>>,
}

impl Segments {
    pub fn of(tasks: &Tasks) -> Self {
        Self { tasks: tasks.clone(), slots: HashMap::new() }
    }

    /// The slot of the shim of a record.
    fn slot(&mut self, record: &Record) -> Option<Snapshot> {
        let slots = self.slots.entry(record.root).or_insert_with(|| {
            let segment = Segment::open(&self.tasks.runtime, record.root).ok().flatten();
            let scan = |segment: Arc<Segment>| segment.scan().map(|slot| (slot.instance(), slot)).collect();
            segment.map(scan).unwrap_or_default()
        });
        slots.get(&record.instance).filter(|slot| slot.id() == Some(record.id)).copied()
    }
}

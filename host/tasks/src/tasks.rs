//! The operations on tasks.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::{ProcessId, ProcessState};
use aiw_events::EventSubject;
use aiw_home::Home;
use aiw_supervisor::{
    EventContext, Log, NewProcess, ProcessScope, Processes, Program, QueueLimit, RecordError, RetentionPolicy, Sources,
    SupervisedProcess, SupervisorError, WaitMode,
};

use crate::error::TaskError;
use crate::names::NAMESPACE;
use crate::task::{Task, TaskDescription, TaskStop, TaskWait};

/// How deep tasks may start tasks.
pub const MAX_DEPTH: u8 = 3;

/// The tasks of one session, or of all.
#[derive(Debug, Clone)]
pub struct Tasks {
    pub(crate) processes: Processes,
}

/// The state of all tasks.
#[derive(Debug)]
pub struct TasksSnapshot {
    /// How many there are.
    pub total: usize,
    /// How many have not ended.
    pub running: usize,
    /// How many have a supervisor that died before it could say so.
    pub lost: usize,
    /// Why records can't be read.
    pub unreadable: Vec<TaskError>,
}

impl Tasks {
    /// Returns the tasks of a scope. Nothing is created until a task is started.
    pub fn open(home: &Home, scope: ProcessScope) -> Result<Self, TaskError> {
        let processes = Processes::open(home, NAMESPACE, scope)?;
        Ok(Self { processes: processes.with_label_validator(|labels| TaskDescription::from_labels(labels).map(drop)) })
    }

    /// Starts a task below a shim of its own, and returns once the task runs, is queued or has been refused. `aiw` is
    /// the executable whose `shim` command is [`shim_main`](crate::shim_main).
    pub fn start(
        &self,
        aiw: &Path,
        about: &TaskDescription,
        process: NewProcess,
        program: Program,
        queue: QueueLimit,
    ) -> Result<Task, TaskError> {
        if process.depth > MAX_DEPTH {
            return Err(TaskError::TooDeep { depth: process.depth, limit: MAX_DEPTH });
        }
        let announced = EventContext {
            of: EventSubject::Task,
            name: (!about.private).then(|| about.cli.to_string()),
            project: (!about.private).then(|| process.cwd.clone()),
            failures_only: false,
        };
        let (labels, label) = (about.labels(), about.label());
        let process = NewProcess { labels, label, announced: Some(announced), ..process };
        task(self.processes.start(aiw, process, program, queue)?)
    }

    /// Returns all tasks, oldest first. This changes nothing: [`Self::sweep`] cleans up after dead shims, and a
    /// caller that lists often needs to sweep only rarely.
    pub fn list(&self) -> Result<Vec<Task>, TaskError> {
        self.list_with_problems().map(|(tasks, _)| tasks)
    }

    /// Like [`list`](Self::list), but also returns an error for each task whose record can't be read.
    pub fn list_with_problems(&self) -> Result<(Vec<Task>, Vec<TaskError>), TaskError> {
        let (all, problems) = self.processes.list_with_problems()?;
        let tasks: Result<Vec<Task>, TaskError> = all.into_iter().map(task).collect();
        Ok((tasks?, problems.into_iter().map(TaskError::from).collect()))
    }

    /// Returns all tasks, after ending and recording what dead shims have left behind, if there is anything.
    pub fn list_repaired(&self) -> Result<Vec<Task>, TaskError> {
        let mut all = self.processes.list()?;
        if all.iter().any(|one| !one.is_persisted) {
            self.sweep()?;
            all = self.processes.list()?;
        }
        all.into_iter().map(task).collect()
    }

    /// Like [`list_repaired`](Self::list_repaired), but also returns an error for each task that can't be read.
    pub fn list_repaired_with_problems(&self) -> Result<(Vec<Task>, Vec<TaskError>), TaskError> {
        let (mut all, mut problems) = self.processes.list_with_problems()?;
        if all.iter().any(|one| !one.is_persisted) {
            self.sweep()?;
            (all, problems) = self.processes.list_with_problems()?;
        }
        let all = all.into_iter().map(task).collect::<Result<_, _>>()?;
        Ok((all, problems.into_iter().map(TaskError::from).collect()))
    }

    /// Ends and records what dead shims have left behind, and removes the files of ended sessions.
    pub fn sweep(&self) -> Result<(), TaskError> {
        Ok(self.processes.sweep()?)
    }

    /// Looks at all tasks, and changes nothing.
    pub fn snapshot(&self) -> Result<TasksSnapshot, TaskError> {
        let (all, unreadable) = self.processes.list_with_problems()?;
        let is_running = |one: &&SupervisedProcess| one.record.state != ProcessState::Ended;
        Ok(TasksSnapshot {
            total: all.len(),
            running: all.iter().filter(is_running).count(),
            lost: all.iter().filter(|one| !one.is_persisted).count(),
            unreadable: unreadable.into_iter().map(TaskError::from).collect(),
        })
    }

    /// Checks whether the session's shared memory is fit to use. Listing works without it; starting does not.
    pub fn check(&self) -> Result<(), TaskError> {
        Ok(self.processes.check()?)
    }

    /// Returns the directory of all tasks, which changes when one starts, is removed or was reported.
    pub fn directory(&self) -> PathBuf {
        self.processes.directory()
    }

    /// Returns what tells that a task of the scope that has not ended changes its state.
    pub fn sources(&self) -> Sources {
        self.processes.sources(None)
    }

    /// Returns one task. A task of another session is found too, because its id was known.
    pub fn get(&self, id: ProcessId) -> Result<Task, TaskError> {
        task(self.processes.get(id)?)
    }

    /// Returns the log of a task.
    pub fn log(&self, id: ProcessId) -> Result<Log, TaskError> {
        Ok(self.processes.log(id)?)
    }

    /// Says a sentence in the log of a task that has not ended. It is there within some seconds, and shown to who watches the
    /// task if it begins with [`NOTE_PREFIX`](crate::NOTE_PREFIX).
    pub fn add_remark(&self, id: ProcessId, sentence: &str) -> Result<(), TaskError> {
        Ok(self.processes.add_remark(id, sentence)?)
    }

    /// Asks a task to end: SIGTERM to its group, 5 s, SIGKILL. With `wait` it returns when that is done. The shim
    /// does the work; if the shim is dead, the processes that are left are ended here. A stopped shim is resumed for
    /// this, and a shim that does nothing is killed after 15 s more. A shim that cannot be inspected is asked through
    /// a file, which it sees within 5 s.
    pub fn stop(&self, id: ProcessId, wait: bool) -> Result<TaskStop, TaskError> {
        self.processes.stop(id, wait)?.map(task)
    }

    /// Waits until one or all of the tasks have ended, until the deadline, or until `cancelled` is set, which is
    /// noticed within a second. `on_change` is called at the start and after each change of a state. A task that is
    /// removed meanwhile is reported as last known; a task that is named twice is reported once.
    pub fn wait(
        &self,
        ids: &[ProcessId],
        mode: WaitMode,
        deadline: Option<Instant>,
        cancelled: &AtomicBool,
        on_change: &mut dyn FnMut(&[Task]),
    ) -> Result<TaskWait, TaskError> {
        let mut known: Vec<(SupervisedProcess, Task)> = Vec::new();
        let mut tell = |all: &[SupervisedProcess]| {
            // Even if many tasks are waited for, few change at once.
            let same = |at: usize, one: &SupervisedProcess| known.get(at).filter(|(before, _)| before == one).cloned();
            let again = |(at, one): (usize, &SupervisedProcess)| {
                same(at, one).or_else(|| Some((one.clone(), task(one.clone()).ok()?)))
            };
            let now: Vec<(SupervisedProcess, Task)> = all.iter().enumerate().filter_map(again).collect();
            known = now;
            on_change(&known.iter().map(|(_, task)| task.clone()).collect::<Vec<_>>());
        };
        let waited = self.processes.wait(ids, mode, deadline, cancelled, &mut tell)?;
        let all: Result<Vec<Task>, TaskError> = waited.processes.into_iter().map(task).collect();
        Ok(TaskWait { processes: all?, done: waited.done, cancelled: waited.cancelled })
    }

    /// Marks ended tasks as shown by a report. Other tasks are not changed. A mark that cannot be written, or a task
    /// that is gone, is not an error: what counts is that the report was shown.
    pub fn mark_read(&self, ids: &[ProcessId]) -> Result<(), TaskError> {
        Ok(self.processes.mark_seen(ids)?)
    }

    /// Removes the directory of an ended task, or whatever is in its place: a directory with a damaged record that
    /// nobody supervises, or a file, FIFO or socket. A link is refused.
    pub fn remove(&self, id: ProcessId) -> Result<(), TaskError> {
        Ok(self.processes.remove(id)?)
    }

    /// Removes the records and logs of ended tasks that are not to be kept, of all sessions.
    pub fn prune(&self, keep: RetentionPolicy) -> Result<Vec<ProcessId>, TaskError> {
        Ok(self.processes.prune(keep)?)
    }

    /// Returns the ended tasks that [`prune`](Self::prune) would remove.
    pub fn prunable(&self, keep: RetentionPolicy) -> Result<Vec<ProcessId>, TaskError> {
        Ok(self.processes.prunable(keep)?)
    }

    /// Uses another runtime directory than the one from the environment.
    #[must_use]
    pub fn with_runtime(self, directory: impl Into<PathBuf>) -> Self {
        Self { processes: self.processes.with_runtime(directory) }
    }

    /// Uses another time between SIGTERM and SIGKILL than 5 s.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { processes: self.processes.with_grace(grace) }
    }

    /// Uses another time until a shim is considered stuck.
    #[cfg(all(unix, feature = "testing"))]
    #[must_use]
    pub fn with_timeout(self, patience: Duration) -> Self {
        Self { processes: self.processes.with_timeout(patience) }
    }
}

/// Converts a process to the task that it is.
fn task(one: SupervisedProcess) -> Result<Task, TaskError> {
    let id = one.record.id;
    let source = |error| SupervisorError::Unreadable { noun: NAMESPACE.kind, id, source: RecordError::Corrupt(error) };
    Ok(Task::try_from(one).map_err(source)?)
}

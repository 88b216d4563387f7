//! A separate home and runtime directory for each test.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::{CliKind, ProcessId};
use aiw_home::Home;
use aiw_tasks::{
    NewProcess, Outcome, ProcessScope, Program, QueueLimit, Root, State, Task, TaskDescription, TaskError, Tasks,
    WaitMode,
};
use tempfile::TempDir;

pub use aiw_tasks::testing::{HANG_TIMEOUT, is_running, program, signal as kill, wait_for};

pub struct Environment {
    directory: TempDir,
    pub root: Root,
    pub grace: Duration,
}

impl Environment {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, root: Root::for_pid(std::process::id()), grace: Duration::from_secs(5) }
    }

    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    pub fn runtime(&self) -> PathBuf {
        self.directory.path().join("runtime")
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn of(&self, scope: ProcessScope) -> Tasks {
        let tasks = Tasks::open(&Home::from_root(self.home()), scope).unwrap();
        tasks.with_runtime(self.runtime()).with_grace(self.grace)
    }

    pub fn tasks(&self) -> Tasks {
        self.of(ProcessScope::Root(self.root))
    }

    pub fn start(&self, script: &str) -> Task {
        self.try_start(task(), program(script), QueueLimit::default()).unwrap()
    }

    pub fn try_start(&self, task: NewTask, program: Program, queue: QueueLimit) -> Result<Task, TaskError> {
        self.tasks().start(shim(), &task.about, task.process, program, queue)
    }

    /// Waits until a task has ended, and returns it.
    pub fn ended(&self, id: ProcessId) -> Task {
        self.ended_after(id, || ())
    }

    /// Waits until a task has ended, and returns it. Each change is told, and the state at the beginning too.
    pub fn ended_after(&self, id: ProcessId, mut on_change: impl FnMut()) -> Task {
        let tasks = self.of(ProcessScope::All);
        let deadline = Some(Instant::now() + HANG_TIMEOUT);
        let waited = tasks.wait(&[id], WaitMode::All, deadline, &AtomicBool::new(false), &mut |_| on_change()).unwrap();
        assert!(waited.done, "{:?}", waited.processes);
        waited.processes.into_iter().next().unwrap()
    }

    pub fn run(&self, script: &str) -> Task {
        self.ended(self.start(script).id)
    }

    /// Returns what the task wrote to its standard output, line by line.
    pub fn stdout(&self, id: ProcessId) -> Vec<String> {
        let entries = self.tasks().log(id).unwrap().tail(usize::MAX).unwrap();
        let stdout = entries.into_iter().filter(|entry| entry.stream == aiw_tasks::Stream::Stdout);
        stdout.map(|entry| String::from_utf8(entry.bytes).unwrap()).collect()
    }

    /// Returns the text of a file that a script writes.
    pub fn file(&self, name: &str) -> String {
        wait_for(|| std::fs::read_to_string(self.path(name)).ok().filter(|text| text.ends_with('\n')))
    }

    /// Returns the segments of this test in shared memory.
    pub fn segments(&self) -> Vec<PathBuf> {
        let Ok(link) = std::fs::read_to_string(self.link()) else { return Vec::new() };
        let prefix = link[1..].rsplit_once('-').unwrap().0.to_owned();
        let files = std::fs::read_dir("/dev/shm").unwrap().flatten();
        files.map(|f| f.path()).filter(|p| p.file_name().unwrap().to_str().unwrap().starts_with(&prefix)).collect()
    }

    pub fn link(&self) -> PathBuf {
        self.runtime().join(format!("{}_task2", self.root))
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        for task in self.of(ProcessScope::All).list().unwrap_or_default() {
            if task.state != State::Ended {
                let _ = self.of(ProcessScope::All).stop(task.id, true);
            }
        }
        for segment in self.segments() {
            let _ = std::fs::remove_file(segment);
        }
    }
}

pub fn shim() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_aiw-task-shim"))
}

/// A task to start.
pub struct NewTask {
    pub about: TaskDescription,
    pub process: NewProcess,
}

pub fn task() -> NewTask {
    let about = TaskDescription::new(CliKind::Codex, "default", "fix the\nfailing test");
    NewTask { about: TaskDescription { provider: Some("openrouter".into()), ..about }, process: NewProcess::new("/") }
}

/// Returns all tasks, after sweeping what dead shims have left behind.
pub fn swept(tasks: &Tasks) -> Vec<Task> {
    tasks.sweep().unwrap();
    tasks.list().unwrap()
}

pub fn assert_ended(task: &Task, outcome: Outcome, exit_code: Option<i32>, signal: Option<i32>) {
    assert_eq!(
        (task.state, task.outcome, task.exit_code, task.signal),
        (State::Ended, Some(outcome), exit_code, signal),
        "{task:?}"
    );
}

/// Returns a task's record.
pub fn record_of(task: &Task) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(task.log.with_file_name("task.json")).unwrap()).unwrap()
}

/// Returns the shim above a task's CLI.
pub fn shim_of(task: &Task) -> u32 {
    record_of(task)["shim"]["pid"].as_u64().unwrap().try_into().unwrap()
}

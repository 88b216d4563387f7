//! A task from its registration to its turn.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_core::CliKind;
use rustix::process::Rlimit;

use super::child::place;
use super::enter::{Identity, Starter};
use super::signals::Signals;
use super::streams::Streams;
use crate::files::create_private;
use crate::log::Writer;
use crate::record::{Alive, Pid, Record, Records, create, is_asked_to_stop, reserve, save, save_last};
use crate::request::{Answer, Request};
use crate::runtime::RuntimeDir;
use crate::segment::{Live, Owner, Segment, Slot};
use crate::{Interpreter, Outcome, Program, Queue, State, TaskError, platform};

/// How long it is tried to record an end.
const LAST_WORDS: Duration = Duration::from_secs(30);

/// A shim with a task of its own.
pub(super) struct Supervisor {
    pub record: Record,
    pub directory: PathBuf,
    pub streams: Streams,
    pub signals: Signals,
    pub program: Program,
    pub files: Vec<OwnedFd>,
    pub grace: Duration,
    pub core: Rlimit,
    pub live: Live,
    pub slot: Option<Slot>,
    runtime: RuntimeDir,
    queue: Queue,
    /// Held until this process ends.
    _alive: Alive,
}

impl Supervisor {
    /// Registers the task and waits for its turn. `None` if it ended before it had one.
    pub fn prepare(
        Identity { id, instance, root }: Identity,
        request: Request,
        interpreter: fn(CliKind) -> Box<dyn Interpreter>,
        signals: Signals,
        core: Rlimit,
        starter: &mut Starter,
    ) -> Result<Option<Self>, Answer> {
        let failed = |e: std::io::Error| Answer::Failed(e.to_string());
        // First of all, as long as little is open that could stand in their places.
        let files = place(&request.program.files).map_err(failed)?;
        match fs::metadata(&request.task.cwd) {
            Ok(meta) if meta.is_dir() => {}
            Ok(_) => return Err(Answer::Cwd(rustix::io::Errno::NOTDIR.raw_os_error())),
            Err(e) => return Err(Answer::Cwd(e.raw_os_error().unwrap_or(0))),
        }
        let pid = std::process::id();
        let shim = Pid { pid, start: platform::start_of(pid).unwrap_or(0) };
        let Request { records, runtime, queue, grace, log_bytes, task, mut program, .. } = request;
        let records = Records::at(records);
        let cli = task.cli;
        let mut record = Record::new(id, root, task, shim, instance);
        record.files = program.named_files.iter().map(|file| file.path.clone()).collect();

        // The directory appears whole or not at all.
        let staging = records.staging(id);
        let directory = records.directory(id);
        let stage = || -> std::io::Result<()> {
            DirBuilder::new().recursive(true).mode(0o700).create(records.root())?;
            DirBuilder::new().mode(0o700).create(&staging)?;
            create_private(&staging.join("prompt"))?.write_all(&program.stdin)
        };
        let refuse = |error: TaskError| {
            let _ = fs::remove_dir_all(&staging);
            refusal(error)
        };
        stage().map_err(|e| refuse(TaskError::io("write", records.root(), e)))?;
        program.stdin = Vec::new();
        let register = || -> Result<_, TaskError> {
            let alive = Alive::take(&staging)?.ok_or_else(|| TaskError::Shim { reason: "it was swept away".into() })?;
            let runtime = RuntimeDir::at(runtime.clone());
            let segment = Segment::attach(&runtime, root)?;
            let live = Live {
                id,
                shim: Owner { pid: shim.pid, start: shim.start },
                instance: record.instance,
                state: State::Queued,
                depth: record.depth,
                pid: None,
                ticket: segment.ticket(),
                limit: queue.limit,
                above: records.above(&record),
                started: record.started,
                running_since: None,
                label: record.prompt.clone().into_bytes(),
            };
            let slot = segment.claim(&live)?;
            create(&staging, &record)?;
            reserve(&staging);
            fs::rename(&staging, &directory).map_err(|e| TaskError::io("write", &directory, e))?;
            let log = Writer::open(&directory, log_bytes).map_err(|e| TaskError::io("write", &directory, e))?;
            Ok((alive, runtime, live, slot, log))
        };
        let (alive, runtime, live, slot, log) = register().map_err(refuse)?;
        let mut supervisor = Self {
            record,
            directory,
            streams: Streams::new(log, interpreter(cli), &program.secrets),
            signals,
            program,
            files,
            grace,
            core,
            live,
            slot: Some(slot),
            runtime,
            queue,
            _alive: alive,
        };
        if !supervisor.wait_for_turn(starter)? {
            return Ok(None);
        }
        Ok(Some(supervisor))
    }

    /// Waits until it has a place; whether the task is to run at all.
    fn wait_for_turn(&mut self, starter: &mut Starter) -> Result<bool, Answer> {
        self.hand_on();
        if self.take_turn() {
            return Ok(true);
        }
        if !self.queue.may_queue {
            self.leave_table();
            let _ = fs::remove_dir_all(&self.directory);
            return Err(Answer::Limit(self.queue.limit));
        }
        self.streams.say("queued: as many tasks run as may run");
        starter.answer(&Answer::Started(Box::new(self.record.clone())));
        loop {
            if self.signals.terminate() || is_asked_to_stop(&self.directory) {
                self.streams.say("stopped before its turn came");
                self.record.note("it was stopped before its turn came");
                self.close(Outcome::Signalled);
                return Ok(false);
            }
            let has_slept = self.slot.as_ref().is_some_and(Slot::sleep_until_turn);
            if self.take_turn() {
                return Ok(true);
            }
            if has_slept {
                // Nobody tells of the deaths of others, and nobody of a segment that was replaced.
                self.stay_attached();
                self.hand_on();
            }
        }
    }

    /// Whether it has a place. Without a segment there is no limit to keep.
    fn take_turn(&mut self) -> bool {
        let Some(slot) = &self.slot else { return true };
        let has = slot.take_turn();
        if has {
            self.live.state = State::Starting;
            slot.update(&self.live);
        }
        has
    }

    /// Hands free places to those who wait, ourselves among them.
    fn hand_on(&self) {
        if let Some(slot) = &self.slot {
            slot.segment().hand_on();
        }
    }

    /// Gives up the slot, and hands the place on.
    fn leave_table(&mut self) {
        if let Some(slot) = self.slot.take() {
            let segment = slot.segment().clone();
            drop(slot);
            segment.hand_on();
        }
    }

    /// Says in the record and in the slot what is the case now, in this order: who is woken finds both.
    pub fn publish(&mut self) {
        self.live.state = self.record.state;
        self.live.pid = self.record.child.map(|child| child.pid);
        self.live.running_since = self.record.running_since;
        if let Err(error) = save(&self.directory, &self.record) {
            self.streams.trouble.get_or_insert_with(|| error.to_string());
        }
        if let Some(slot) = &self.slot {
            slot.update(&self.live);
            slot.segment().wake();
        }
    }

    /// Goes over to the session's new segment, if it has got one (its files may vanish at a logout).
    pub fn stay_attached(&mut self) {
        let segment = self.slot.as_ref().map(Slot::segment);
        if segment.is_some_and(|segment| segment.is_current()) {
            return;
        }
        let root = self.record.root;
        // Another process may have the root's id by now: its session is not ours to found.
        let attached = if platform::is_alive(root.pid, root.start) {
            Segment::attach(&self.runtime, root).ok()
        } else {
            Segment::open(&self.runtime, root).ok().flatten()
        };
        if let Some(segment) = attached {
            self.live.ticket = segment.ticket();
            self.slot = segment.claim(&self.live).ok();
            segment.wake();
        }
    }

    /// Records the end. The slot goes last: who is woken by that finds the record whole.
    pub fn close(&mut self, outcome: Outcome) {
        self.record.remove_files();
        self.record.state = State::Ended;
        self.record.outcome = Some(outcome);
        self.record.ended = Some(aiw_home::now_millis());
        if let Some(trouble) = self.streams.trouble.take() {
            self.record.note(&trouble);
        }
        // Whoever looks after our death takes the task for lost; a full disk may have room again by then.
        let start = Instant::now();
        while save_last(&self.directory, &self.record).is_err() {
            if start.elapsed() >= LAST_WORDS || !self.directory.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        self.leave_table();
    }
}

/// What the starter is told instead of a start.
fn refusal(error: TaskError) -> Answer {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    match error {
        TaskError::Full { slots } => Answer::Full(slots),
        TaskError::Memory { name, reason } => Answer::Memory(name, reason),
        TaskError::Runtime { path, problem } => Answer::Runtime(text(&path), problem),
        TaskError::Io { path, source, .. } if source.raw_os_error().is_some() => {
            Answer::Io(text(&path), source.raw_os_error().unwrap_or_default())
        }
        error => Answer::Failed(error.to_string()),
    }
}

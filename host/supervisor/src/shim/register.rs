//! Registering a process: its directory, its slot in the table, its log.

use std::fs::{self, DirBuilder};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aiw_core::ProcessState as State;
use aiw_home::{inherit_owner, make_private_dir, remove_tree, rename};
use rustix::process::Rlimit;

use super::child::create_passed_files;
use super::signals::ShimSignals;
use super::starter::Identity;
use super::streams::Streams;
use super::supervisor::Supervisor;
use crate::directory::{self, LivenessLock, PROMPT, ReservedSpace};
use crate::error::{ShimError, SupervisorError};
use crate::files::{create_private, write_atomically};
use crate::interpreter::OutputInterpreter;
use crate::log::LogWriter;
use crate::new::{Check, NewProcess};
use crate::platform;
use crate::record::{Pid, ProcessRecord};
use crate::records::{Records, VERSION};
use crate::request::{ShimResponse, StartRequest};
use crate::runtime::RuntimeDir;
use crate::segment::{Owner, SLOT_COUNT, SlotData, attach};

/// Registers a process. Nobody ever sees a half-registered one.
// Long: the order in which a process is registered.
pub(super) fn register(
    identity: Identity,
    request: StartRequest,
    interpreter: fn(&ProcessRecord) -> Option<Box<dyn OutputInterpreter>>,
    signals: ShimSignals,
    core: Rlimit,
) -> Result<Supervisor, ShimResponse> {
    let StartRequest { head, records, runtime, mut program } = request;
    let stdin = std::mem::take(&mut program.stdin);
    // This comes first, while few descriptors are open that could take these numbers.
    let files = create_passed_files(&program.files).map_err(|e| ShimResponse::Failed(e.to_string()))?;
    let listener = head.new.listen.map(|address| {
        let socket = TcpListener::bind(address);
        socket.map_err(|e| ShimResponse::Failed(format!("cannot listen on {address}: {e}")))
    });
    let listener = listener.transpose()?;
    match fs::metadata(&head.new.cwd) {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Err(ShimResponse::Cwd(std::io::Error::from(rustix::io::Errno::NOTDIR).into())),
        Err(e) => return Err(ShimResponse::Cwd(e.into())),
    }
    let pid = std::process::id();
    let shim = Pid { pid, start: platform::start_time(pid).unwrap_or(0) };
    let runtime = RuntimeDir::from_path(runtime, head.names.kind.clone());
    let records = Records::from_root(records, head.names);
    let mut record = first(&identity, &head.new, shim);
    record.files = program.named_files.iter().map(|file| file.path.clone()).collect();

    let place = if head.again {
        StagedDirectory::taken(&records, &record)?
    } else {
        StagedDirectory::made(&records, &record, &stdin)?
    };
    let refuse = |error: SupervisorError| {
        place.give_up();
        refusal(error)
    };
    if let Some(before) = &place.before {
        record.incarnation = before.incarnation.saturating_add(1);
    }
    let segment = attach(&runtime, identity.root).map_err(refuse)?;
    let live = SlotData {
        id: record.id,
        shim: Owner { pid: shim.pid, start: shim.start },
        instance: record.instance,
        state: State::Queued,
        depth: record.depth,
        pid: None,
        ticket: segment.next_ticket(),
        limit: head.queue.limit,
        ancestors: records.ancestors(&record),
        started: record.started,
        running_since: None,
        label: head.new.label.clone(),
    };
    let slot = segment.claim(&live).ok_or_else(|| {
        place.give_up();
        ShimResponse::Full(SLOT_COUNT)
    })?;
    let appear = || place.appear(&records, &record, &stdin);
    let directory = appear().map_err(refuse)?;
    segment.wake();
    let log =
        LogWriter::open(&directory, head.new.log).map_err(|e| refuse(SupervisorError::io("write", &directory, e)))?;
    let pattern = head.new.ready.as_ref().and_then(|probe| match &probe.check {
        Check::Line { pattern } => Some(pattern.as_str()),
        _ => None,
    });
    let streams = Streams::new(log, interpreter(&record), &program.secrets).with_readiness_pattern(pattern);
    Ok(Supervisor {
        previous_record: place.before,
        _liveness_lock: place.alive,
        record,
        new_process: head.new,
        directory,
        streams,
        interpreter,
        signals,
        program,
        files,
        listener,
        grace: head.grace,
        core,
        slot_data: live,
        slot: Some(slot),
        records,
        runtime,
        control: None,
        restart_requested: false,
        queue: head.queue,
        remark_offset: 0,
    })
}

/// Returns the first record of a process.
fn first(identity: &Identity, new: &NewProcess, shim: Pid) -> ProcessRecord {
    ProcessRecord {
        version: VERSION,
        id: identity.id,
        root: identity.root,
        state: State::Queued,
        outcome: None,
        exit_code: None,
        signal: None,
        stopped: false,
        started: aiw_home::now_millis(),
        running_since: None,
        ended: None,
        cwd: new.cwd.clone(),
        note: None,
        depth: new.depth,
        parent: new.parent,
        timeout: new.timeout.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX)),
        restarts: u32::try_from(new.causes.len()).unwrap_or(u32::MAX),
        causes: new.causes.clone(),
        ready: new.ready.is_some().then_some(false),
        last_error: None,
        limits: std::collections::BTreeMap::new(),
        incarnation: 0,
        announced: new.announced.clone(),
        shim,
        child: None,
        instance: identity.instance,
        files: Vec::new(),
        pid_namespace: platform::pid_namespace(),
        boot: platform::boot_id().map(str::to_owned),
        labels: new.labels.clone(),
    }
}

/// How long a shim may take to exit once it has recorded the end of its process.
const SHIM_EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The directory that a process is going to have.
struct StagedDirectory {
    /// The current path of the directory.
    at: PathBuf,
    /// The record of an earlier incarnation.
    before: Option<ProcessRecord>,
    alive: LivenessLock,
}

impl StagedDirectory {
    /// Creates a new directory, which appears completely or not at all.
    fn made(records: &Records, record: &ProcessRecord, stdin: &[u8]) -> Result<Self, ShimResponse> {
        let at = records.staging_path(record.id);
        let make = || -> std::io::Result<()> {
            make_private_dir(records.root()).map_err(std::io::Error::other)?;
            DirBuilder::new().mode(0o700).create(&at)?;
            inherit_owner(&at).map_err(std::io::Error::other)?;
            create_private(&at.join(PROMPT))?.write_all(stdin)
        };
        let refuse = |error: SupervisorError| {
            let _ = remove_tree(&at);
            refusal(error)
        };
        make().map_err(|e| refuse(SupervisorError::io("write", records.root(), e)))?;
        let alive = LivenessLock::try_acquire(&at).map_err(refuse)?.ok_or_else(|| {
            let _ = remove_tree(&at);
            ShimResponse::Failed(ShimError::Removed.to_string())
        })?;
        Ok(Self { at, before: None, alive })
    }

    /// Takes the directory of a process that has ended.
    fn taken(records: &Records, record: &ProcessRecord) -> Result<Self, ShimResponse> {
        let at = records.directory(record.id);
        let found = records.find(record.id);
        let before = records.require_record(record.id, found).map_err(refusal)?;
        let begun = Instant::now();
        let alive = loop {
            match LivenessLock::try_acquire(&at).map_err(refusal)? {
                Some(alive) if before.state == State::Ended => break alive,
                // Its shim has recorded the end, and is about to exit.
                None if before.state == State::Ended && begun.elapsed() < SHIM_EXIT_TIMEOUT => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                _ => return Err(ShimResponse::StillRunning(before.state)),
            }
        };
        Ok(Self { at, before: Some(before), alive })
    }

    /// Makes the process visible to everybody.
    fn appear(&self, records: &Records, record: &ProcessRecord, stdin: &[u8]) -> Result<PathBuf, SupervisorError> {
        let directory = records.directory(record.id);
        if self.before.is_some() {
            directory::clear_markers(&directory);
            write_atomically(&directory.join(PROMPT), stdin)?;
            ReservedSpace::new(&directory).allocate();
            records.save(&directory, record)?;
            directory::touch_all(&directory);
        } else {
            records.create(&self.at, record)?;
            ReservedSpace::new(&self.at).allocate();
            rename(&self.at, &directory).map_err(|e| SupervisorError::io("write", &directory, e))?;
        }
        Ok(directory)
    }

    /// Removes the directory, if it is new.
    fn give_up(&self) {
        if self.before.is_none() {
            let _ = remove_tree(&self.at);
        }
    }
}

/// Converts an error to the answer for the starter.
fn refusal(error: SupervisorError) -> ShimResponse {
    match error {
        SupervisorError::SharedMemory { name, source } => ShimResponse::Memory(name, source.to_string()),
        SupervisorError::InvalidRuntimeDir { path, problem } => ShimResponse::Runtime(path, problem),
        SupervisorError::Busy { path, seconds } => ShimResponse::Busy(path, seconds),
        SupervisorError::Io { path, source, .. } => ShimResponse::Io(path, source.into()),
        error => ShimResponse::Failed(error.to_string()),
    }
}

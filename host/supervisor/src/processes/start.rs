//! Starting a process: a shim is started, told what to run, and left alone.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use aiw_core::ProcessId;
use aiw_home::INHERITED_VARIABLES;

use super::outcome::SupervisedProcess;
use super::table::Processes;
use crate::error::{ShimError, ShmError, SupervisorError};
use crate::files::random;
use crate::new::{NewProcess, QueueLimit};
use crate::program::{Program, command};
use crate::records::Lookup;
use crate::request::{RequestText, ShimResponse, StartRequest, check};
use crate::root::{ProcessScope, Root};

/// The maximum length of a shim's answer.
const MAX_REPLY_BYTES: u64 = 1 << 20;

impl Processes {
    /// Starts a process below a shim of its own, and returns once the process runs, is queued or has been refused.
    /// `aiw` is the executable whose `shim` command is [`shim_main`](crate::shim_main).
    pub fn start(
        &self,
        aiw: &Path,
        new: NewProcess,
        program: Program,
        queue: QueueLimit,
    ) -> Result<SupervisedProcess, SupervisorError> {
        self.start_as(aiw, ProcessId::from_number(random() >> 2), false, new, program, queue)
    }

    /// Starts an ended process again under the same id. Its log continues; its record begins anew.
    pub fn start_again(
        &self,
        aiw: &Path,
        id: ProcessId,
        new: NewProcess,
        program: Program,
        queue: QueueLimit,
    ) -> Result<SupervisedProcess, SupervisorError> {
        // What a dead shim left behind is ended first.
        self.read_repaired(id)?;
        self.start_as(aiw, id, true, new, program, queue)
    }

    /// Starts a process under an id that the caller has chosen: anew, or again if it has ended. Two callers must not do
    /// this at once for one id.
    pub fn start_named(
        &self,
        aiw: &Path,
        id: ProcessId,
        new: NewProcess,
        program: Program,
        queue: QueueLimit,
    ) -> Result<SupervisedProcess, SupervisorError> {
        match self.records.find(id) {
            Lookup::NotFound => self.start_as(aiw, id, false, new, program, queue),
            Lookup::Unreadable(problem) if problem.is_corrupt() => {
                self.quarantine(id)?;
                self.start_as(aiw, id, false, new, program, queue)
            }
            _ => self.start_again(aiw, id, new, program, queue),
        }
    }

    fn start_as(
        &self,
        aiw: &Path,
        id: ProcessId,
        again: bool,
        new: NewProcess,
        program: Program,
        queue: QueueLimit,
    ) -> Result<SupervisedProcess, SupervisorError> {
        let noun = self.records.kind();
        let ProcessScope::Root(root) = self.scope else { return Err(SupervisorError::MissingRoot { noun }) };
        check(&program, self.runtime.path())?;
        self.runtime.create()?;
        let (path, cwd) = (program.path.clone(), new.cwd.clone());
        let names = self.records.names().clone();
        let request = StartRequest {
            head: RequestText { root, names, queue, grace: self.grace, new, again },
            records: self.records.root().to_owned(),
            runtime: self.runtime.path().to_owned(),
            program,
        };
        let bytes = request.encode();
        drop(request);
        let failed = |source| SupervisorError::Shim { noun: Some(noun.clone()), source };
        let bytes = bytes.map_err(|e| failed(ShimError::RequestFailed(e)))?;
        let answer = ask(aiw, root, id, random() | 1, &bytes);
        drop(bytes);
        match answer.map_err(failed)? {
            ShimResponse::Started(record) => Ok(SupervisedProcess {
                record: *record,
                directory: self.records.directory(id),
                is_seen: false,
                is_persisted: true,
            }),
            ShimResponse::NotStarted(told) => Err(SupervisorError::NotStarted { id, path, source: told.into() }),
            ShimResponse::Limit(limit) => Err(SupervisorError::LimitReached { noun, limit }),
            ShimResponse::Full(slots) => Err(SupervisorError::TableFull { noun, set: root.scope_name(), slots }),
            ShimResponse::StillRunning(state) => Err(SupervisorError::StillRunning { noun, id, state }),
            ShimResponse::Memory(name, reason) => {
                Err(SupervisorError::SharedMemory { name, source: ShmError::Reported(reason) })
            }
            ShimResponse::Cwd(told) => Err(SupervisorError::InvalidCwd { path: cwd, source: told.into() }),
            ShimResponse::Io(path, told) => Err(SupervisorError::io("write", &path, told.into())),
            ShimResponse::Runtime(path, problem) => Err(SupervisorError::InvalidRuntimeDir { path, problem }),
            ShimResponse::Busy(path, seconds) => Err(SupervisorError::Busy { path, seconds }),
            ShimResponse::Failed(reason) => {
                Err(SupervisorError::Shim { noun: Some(noun), source: ShimError::Reported(reason) })
            }
        }
    }
}

/// Starts the shim and waits for its answer.
fn ask(aiw: &Path, root: Root, id: ProcessId, instance: u64, request: &[u8]) -> Result<ShimResponse, ShimError> {
    let mut shim = command(aiw)
        .arg("shim")
        .arg(root.to_string())
        .arg(id.as_str())
        .arg(crate::signal::format_instance(instance))
        .env_clear()
        .envs(INHERITED_VARIABLES.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // A Ctrl-C at the terminal is not meant for the shim, not even before the shim has left the starter's
        // session.
        .process_group(0)
        .spawn()
        .map_err(|source| ShimError::SpawnFailed { path: aiw.to_owned(), source })?;
    let (stdin, stdout) = (shim.stdin.take(), shim.stdout.take());
    // The first process forks and exits at once. It must not stay as a zombie of a long-lived starter.
    let told = stdin.map(|mut pipe| pipe.write_all(request));
    let _ = shim.wait();
    let mut answer = Vec::new();
    let heard = stdout.map(|pipe| pipe.take(MAX_REPLY_BYTES).read_to_end(&mut answer));
    if let Some(Err(error)) = told {
        return Err(ShimError::RequestFailed(error));
    }
    match (heard, serde_json::from_slice(&answer)) {
        (Some(Ok(_)), Ok(answer)) => Ok(answer),
        _ if answer.is_empty() => Err(ShimError::NoResponse(aiw.to_owned())),
        _ => Err(ShimError::InvalidResponse(aiw.to_owned())),
    }
}

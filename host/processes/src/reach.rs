//! Reaching a process from outside: its surroundings, its signals and its input.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::PathBuf;

use aiw_core::{ProcessId, Reporter};
use aiw_supervisor::SupervisorError;
use schemars::JsonSchema;
use serde::Serialize;

use crate::definition::signal_number;
use crate::environment::ProcessEnvironment;
use crate::error::ProcessError;
use crate::manager::Manager;

/// More bytes of input than a person or a script types at once.
pub const MAX_INPUT_BYTES: usize = 1 << 20;

/// Processes that got a signal
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SignalledProcesses {
    /// The number of the signal
    pub signal: i32,
    /// Their ids
    pub processes: Vec<String>,
}

/// Input that a process got
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WrittenInput {
    /// Its id
    pub id: String,
    /// The number of bytes
    pub bytes: usize,
}

impl Manager {
    /// Returns where a process runs and with which variables, its secrets included.
    pub fn context(&self, id: &str) -> Result<(PathBuf, BTreeMap<String, OsString>), ProcessError> {
        // A file that can't be used does not matter to what runs.
        let names = [id.to_owned()];
        let loaded = self.load().or_else(|error| self.load_running(&names).map_err(|_| error))?;
        let definition = self.allowed_definition(&loaded, id)?;
        let cwd = self.cwd(id, definition)?;
        let environment = ProcessEnvironment::new(&self.home, &self.project, id, definition)?;
        Ok((cwd, environment.variables))
    }

    /// Sends a signal to a process itself.
    pub fn signal(&self, id: &str, signal: i32) -> Result<(), ProcessError> {
        self.processes.signal(self.find_record(id)?, signal).map_err(|e| to_process_error(id, e))
    }

    /// Sends a signal, which has this name or number, to processes themselves.
    ///
    /// # Errors
    ///
    /// There is no such signal, or one of them does not run. Those before it have got it then.
    pub fn signal_each(
        &self,
        ids: &[String],
        signal: &str,
        sink: &dyn Reporter,
    ) -> Result<SignalledProcesses, ProcessError> {
        let number = signal_number(signal).ok_or_else(|| ProcessError::UnknownSignal { signal: signal.to_owned() })?;
        let ids = &self.expand_replica_ids(ids);
        for id in ids {
            self.signal(id, number)?;
            sink.done(format!("Signalled `{id}`"));
        }
        Ok(SignalledProcesses { signal: number, processes: ids.to_vec() })
    }

    /// Writes to the standard input of a process that takes input, at most [`MAX_INPUT_BYTES`] bytes.
    ///
    /// # Errors
    ///
    /// It does not run, takes no input or does not read it, or there is more.
    pub fn write_input(&self, id: &str, bytes: &[u8]) -> Result<WrittenInput, ProcessError> {
        if bytes.len() > MAX_INPUT_BYTES {
            return Err(ProcessError::TooMuchInput);
        }
        self.processes.write_input(self.find_record(id)?, bytes).map_err(|e| to_process_error(id, e))?;
        Ok(WrittenInput { id: id.to_owned(), bytes: bytes.len() })
    }

    /// Returns the supervisor's id of a process that was started.
    pub(crate) fn find_record(&self, id: &str) -> Result<ProcessId, ProcessError> {
        match self.process_info(id) {
            Some(one) => Ok(one.record.id),
            None => Err(match self.load() {
                Ok(loaded) if loaded.get(id).is_some() => {
                    ProcessError::InvalidDefinition { id: id.to_owned(), problem: "was not started".into() }
                }
                Ok(loaded) => self.not_found_error(&loaded, id),
                Err(error) => error,
            }),
        }
    }
}

/// Returns an error that names the process as its project does.
pub(crate) fn to_process_error(id: &str, error: SupervisorError) -> ProcessError {
    match error {
        SupervisorError::NotRunning { .. } => ProcessError::NotRunning { id: id.to_owned() },
        SupervisorError::InputClosed { .. } => ProcessError::InputClosed { id: id.to_owned() },
        SupervisorError::UnsupportedShim { .. } => ProcessError::OlderShim { id: id.to_owned() },
        SupervisorError::Io { source, .. }
            if matches!(source.kind(), ErrorKind::WouldBlock | ErrorKind::BrokenPipe) =>
        {
            ProcessError::InputNotRead { id: id.to_owned() }
        }
        error => error.into(),
    }
}

//! Attaching to a process: seeing what it writes, and typing at it.

use aiw_supervisor::{Attachment, FollowFrom, LogFollower, Terminal};

use crate::error::ProcessError;
use crate::manager::Manager;
use crate::reach::to_process_error;

/// As many bytes of output are enough to draw the last screen again.
const REPLAY_BYTES: usize = 256 << 10;

/// As many lines of a log are shown to begin with.
const DEFAULT_LINES: usize = 20;

/// A process that somebody is attached to.
#[derive(Debug)]
pub struct AttachedProcess {
    /// The way to its standard input, if it takes any and may be written to.
    pub connection: Option<Attachment>,
    /// The size of its terminal at the moment, if it has one.
    pub terminal: Option<Terminal>,
    /// Its output: of a terminal in pieces, as they were written, else line by line.
    pub output: LogFollower,
}

impl Manager {
    /// Attaches to a process that runs. A reader sends nothing to it, not even the size of a terminal.
    ///
    /// # Errors
    ///
    /// It does not run, or runs under a version of aiw to which nobody can attach.
    pub fn attach(&self, id: &str, is_reader: bool) -> Result<AttachedProcess, ProcessError> {
        let (record, status) = (self.find_record(id)?, self.get(id)?);
        if !status.state.is_alive() {
            return Err(ProcessError::NotRunning { id: id.to_owned() });
        }
        let log = self.processes.log(record)?;
        let terminal = status.definition.terminal;
        let connection = match status.definition.accepts_input() {
            // A reader wants to know no more than the size of the terminal.
            true if is_reader => self.processes.attach(record).ok(),
            true => Some(self.processes.attach(record).map_err(|e| to_process_error(id, e))?),
            false => None,
        };
        let now = connection.as_ref().and_then(Attachment::terminal).or(terminal);
        let output = match terminal {
            Some(_) => log.follow_output(REPLAY_BYTES)?,
            None => log.follow(FollowFrom::Tail(DEFAULT_LINES))?,
        };
        Ok(AttachedProcess {
            connection: connection.filter(|_| !is_reader),
            terminal: now.filter(|_| terminal.is_some()),
            output,
        })
    }
}

//! Connecting to the shim of a running process: typing at the process, telling how large one's terminal is, and having it
//! started again.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use aiw_core::{ProcessId, ProcessState as State};
use parking_lot::Mutex;

use super::table::Processes;
use crate::control::{Frame, HELLO_LEN, INPUT_ACK, MAX_FRAME_BYTES, VERSION, decode_size, socket};
use crate::directory::INPUT;
use crate::error::SupervisorError;
use crate::new::Terminal;

/// How long a process may take to read its input.
const STDIN_WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the shim of a process. Dropping it takes nothing from the process.
#[derive(Debug)]
pub struct Attachment {
    stream: UnixStream,
    /// Held while a frame is written.
    writing: Mutex<()>,
    terminal: Option<Terminal>,
}

impl Processes {
    /// Connects to a running process that takes input.
    ///
    /// # Errors
    ///
    /// It does not run, takes no input, or runs under the shim of a version of aiw that has no such connections.
    pub fn attach(&self, id: ProcessId) -> Result<Attachment, SupervisorError> {
        let record = self.read_repaired(id)?;
        let noun = self.records.kind();
        if record.state == State::Ended {
            return Err(SupervisorError::NotRunning { noun, id });
        }
        self.runtime.check()?;
        let path = socket(self.runtime.path(), id);
        let fail = |e: io::Error| SupervisorError::io("connect to", &path, e);
        let mut stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                // Older shims have a FIFO in the directory of their process.
                return Err(match self.records.directory(id).join(INPUT).exists() {
                    true => SupervisorError::UnsupportedShim { noun, id },
                    false => SupervisorError::InputClosed { noun, id },
                });
            }
            Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {
                return Err(SupervisorError::NotRunning { noun, id });
            }
            Err(e) => return Err(fail(e)),
        };
        stream.set_read_timeout(Some(STDIN_WRITE_TIMEOUT)).map_err(fail)?;
        stream.set_write_timeout(Some(STDIN_WRITE_TIMEOUT)).map_err(fail)?;
        let mut hello = [0; HELLO_LEN];
        match stream.read_exact(&mut hello) {
            Ok(()) if hello[0] == VERSION => {}
            Ok(()) => return Err(SupervisorError::UnsupportedShim { noun, id }),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(SupervisorError::NotRunning { noun, id }),
            Err(e) => return Err(fail(e)),
        }
        Ok(Attachment { stream, writing: Mutex::new(()), terminal: decode_size(&hello[1..]) })
    }

    /// Writes to the standard input of a process that takes input while it runs. Returns once the process has all of it
    /// in its pipe or terminal.
    pub fn write_input(&self, id: ProcessId, bytes: &[u8]) -> Result<(), SupervisorError> {
        let attachment = self.attach(id)?;
        attachment.write(bytes).map_err(|e| SupervisorError::io("write to", &socket(self.runtime.path(), id), e))
    }
}

impl Processes {
    /// Has a process started again whose life began then, in milliseconds since 1970, if it is to be on request. It gets the
    /// environment and the secrets that it has. Returns once its shim knows; a life that began later goes on.
    pub fn restart(&self, id: ProcessId, life: u64) -> Result<(), SupervisorError> {
        let attachment = self.attach(id)?;
        let asked = attachment.send(Frame::Restart(life)).and_then(|()| attachment.answered());
        asked.map_err(|e| SupervisorError::io("write to", &socket(self.runtime.path(), id), e))
    }
}

impl Attachment {
    /// Returns the size of the process's terminal at the time of connecting, if it has one.
    pub fn terminal(&self) -> Option<Terminal> {
        self.terminal
    }

    /// Waits for as long as the process takes to read what is written to it. Otherwise that is five seconds.
    pub fn disable_timeout(&self) -> io::Result<()> {
        self.stream.set_read_timeout(None)
    }

    /// Writes to the standard input of the process. Returns once the process has all of it.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if it doesn't read, and `BrokenPipe` if it has closed its input or ended.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        for part in bytes.chunks(MAX_FRAME_BYTES) {
            self.send(Frame::Input(part))?;
            self.answered()?;
        }
        Ok(())
    }

    /// Waits for the answer to a frame.
    fn answered(&self) -> io::Result<()> {
        let mut answer = [0];
        match (&self.stream).read(&mut answer)? {
            1 if answer == [INPUT_ACK] => Ok(()),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Tells the size of one's own terminal. That of the process is as large as the smallest.
    pub fn resize(&self, terminal: Terminal) -> io::Result<()> {
        self.send(Frame::Size(terminal))
    }

    fn send(&self, frame: Frame<'_>) -> io::Result<()> {
        let _writing = self.writing.lock();
        (&self.stream).write_all(&frame.encode())
    }
}

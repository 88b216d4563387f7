//! From a starter's child to a process of its own.

use std::env::ArgsOs;
use std::fs::File;
use std::io::{self, Write};

use aiw_core::{CliKind, TaskId};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};

use super::signals::Signals;
use super::supervisor::Supervisor;
use crate::platform::{self, Fork};
use crate::request::{Answer, Request};
use crate::{Interpreter, Root};

/// Which task it is.
pub(super) struct Identity {
    pub id: TaskId,
    /// Tells it from any other task that may have its id.
    pub instance: u64,
    pub root: Root,
}

/// Where the starter listens; gone once it was told.
pub(super) struct Starter {
    pipe: Option<File>,
}

impl Starter {
    /// Answers, once. That the starter is dead is fine: the task lives without it.
    pub fn answer(&mut self, answer: &Answer) {
        if let Some(mut pipe) = self.pipe.take()
            && let Ok(bytes) = serde_json::to_vec(answer)
        {
            let _ = pipe.write_all(&bytes);
        }
    }
}

/// Leaves the starter's session, learns what to run, and supervises it to its end.
pub(super) fn enter(arguments: ArgsOs, interpreter: fn(CliKind) -> Box<dyn Interpreter>) -> io::Result<()> {
    let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what.to_owned());
    let mut words = arguments.skip(2).map(|word| word.into_string().unwrap_or_default());
    let root: u32 = words.next().and_then(|pid| pid.parse().ok()).ok_or_else(|| invalid("no root"))?;
    let id: TaskId = words.next().and_then(|id| id.parse().ok()).ok_or_else(|| invalid("no task"))?;
    let instance = words.next().and_then(|number| u64::from_str_radix(&number, 16).ok());
    let instance = instance.ok_or_else(|| invalid("no instance"))?;

    platform::close_inherited();
    // The starter waits for the parent, so that it has no zombie; a group leader could not leave its session.
    if let Fork::Parent = platform::fork()? {
        return Ok(());
    }
    setsid()?;
    std::env::set_current_dir("/")?;
    // A core file of ours would hold the CLI's secrets; the CLI's own limit is its own business.
    let core = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: core.maximum });
    // Where cores are piped to a program, the limit means nothing. Nor does anybody of this user read our memory.
    platform::hide_memory();
    platform::become_subreaper()?;
    let signals = Signals::install()?;

    let request = Request::read(io::stdin().lock())?;
    let mut starter = Starter { pipe: Some(take_stdout()?) };
    leave_stdio()?;
    if request.root.pid != root {
        return Err(invalid("another root"));
    }
    let root = Root { pid: root, start: request.root.start };
    match Supervisor::prepare(Identity { id, instance, root }, request, interpreter, signals, core, &mut starter) {
        Ok(Some(supervisor)) => supervisor.live(&mut starter),
        Ok(None) => {}
        Err(answer) => starter.answer(&answer),
    }
    Ok(())
}

/// The pipe to the starter, away from where it is expected.
fn take_stdout() -> io::Result<File> {
    Ok(File::from(rustix::io::fcntl_dupfd_cloexec(io::stdout(), super::child::ABOVE_PASSED)?))
}

/// The standard streams lead nowhere from now on.
fn leave_stdio() -> io::Result<()> {
    let nowhere = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    Ok(())
}

//! The path of a shim from the starter's child to an independent process.

use std::fs::File;
use std::io;

use aiw_core::ProcessId;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, setsid};

use super::child::PASSED_FD_LIMIT;
use super::register::register;
use super::signals::ShimSignals;
use super::starter::{Identity, Starter};
use crate::interpreter::ProcessKind;
use crate::platform::{self, ForkResult};
use crate::request::StartRequest;

/// Leaves the starter's session, learns what to run, and supervises it to its end.
pub(super) fn run_shim(mut words: impl Iterator<Item = String>, kinds: &[ProcessKind]) -> io::Result<()> {
    let root = words.next().ok_or_else(|| invalid_argument("no root"))?;
    let id: ProcessId = words.next().and_then(|id| id.parse().ok()).ok_or_else(|| invalid_argument("no id"))?;
    let instance = words.next().and_then(|number| u64::from_str_radix(&number, 16).ok());
    let instance = instance.ok_or_else(|| invalid_argument("no instance"))?;

    platform::close_inherited_fds(None);
    // The starter waits for the parent, which leaves no zombie; and a group leader could not leave its session.
    if let ForkResult::Parent = platform::fork()? {
        return Ok(());
    }
    setsid()?;
    platform::mark(instance);
    let core = isolate_process()?;
    let signals = ShimSignals::install()?;

    let request = StartRequest::read(io::stdin().lock())?;
    let mut starter = Starter::new(take_stdout()?);
    redirect_stdio_to_null()?;
    if request.head.root.to_string() != root {
        return Err(invalid_argument("another root"));
    }
    let kind = ProcessKind::find(kinds, &request.head.names.kind);
    match register(Identity { id, instance, root: request.head.root }, request, kind.interpreter, signals, core) {
        Ok(supervisor) => {
            supervisor.run_lifecycle(&mut starter);
            (kind.on_exit)();
        }
        Err(answer) => starter.respond(&answer),
    }
    Ok(())
}

/// Goes on in a process of its own, in a session of its own, which holds nothing of the process that started it: no
/// open file, no directory, no terminal. The caller must not have started a thread. Returns false in the process that
/// was there before, which should end.
pub fn detach() -> io::Result<bool> {
    platform::close_inherited_fds(None);
    if let ForkResult::Parent = platform::fork()? {
        return Ok(false);
    }
    setsid()?;
    platform::unmark();
    std::env::set_current_dir("/")?;
    redirect_stdio_to_null()?;
    Ok(true)
}

/// Returns the error for an invalid word on the command line.
pub(super) fn invalid_argument(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what.to_owned())
}

/// Isolates this process: it holds no directory, writes no core file, hides its memory, and adopts all orphans among
/// its descendants. Returns the limit on core files that the supervised process gets.
pub(super) fn isolate_process() -> io::Result<Rlimit> {
    std::env::set_current_dir("/")?;
    // A core file of ours would contain secrets. The process that we start keeps the original limit.
    let core = getrlimit(Resource::Core);
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: core.maximum });
    // The limit has no effect where core files are piped to a program. Hiding the memory also keeps this user's other
    // processes from reading it.
    platform::hide_memory();
    platform::become_subreaper()?;
    Ok(core)
}

/// Moves the pipe to the starter away from the standard output.
fn take_stdout() -> io::Result<File> {
    Ok(File::from(rustix::io::fcntl_dupfd_cloexec(io::stdout(), PASSED_FD_LIMIT)?))
}

/// Redirects the standard streams to `/dev/null`.
pub(super) fn redirect_stdio_to_null() -> io::Result<()> {
    let nowhere = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nowhere)?;
    rustix::stdio::dup2_stdout(&nowhere)?;
    rustix::stdio::dup2_stderr(&nowhere)?;
    Ok(())
}

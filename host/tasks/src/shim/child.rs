//! Starting the CLI.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStderr, ChildStdout, Command, Stdio};

use rustix::io::FdFlags;
use rustix::process::Rlimit;

use crate::platform::{self, Group};
use crate::record::Record;
use crate::{PassedFile, Program};

/// Passed files have numbers below this; what is open besides them has numbers from here on, or
/// lower ones that no passed file wants.
pub(super) const ABOVE_PASSED: i32 = 256;

/// The CLI and its pipes.
pub(super) struct Started {
    pub pid: u32,
    pub stdout: ChildStdout,
    pub stderr: ChildStderr,
}

/// Makes the passed files, each at its number. Nothing else may be open in the range of those numbers.
pub(super) fn place(files: &[PassedFile]) -> io::Result<Vec<OwnedFd>> {
    // All are made above the range first, so that none stands where another belongs.
    let mut made = Vec::new();
    for file in files {
        let mut memory = platform::memory_file()?;
        memory.write_all(&file.bytes)?;
        memory.seek(SeekFrom::Start(0))?;
        made.push(rustix::io::fcntl_dupfd_cloexec(&memory, ABOVE_PASSED)?);
    }
    made.iter().zip(files).map(|(memory, file)| platform::dup_to(memory, file.fd)).collect()
}

/// Runs the program: its own group, whole environment, `prompt` as its standard input.
pub(super) fn spawn(
    record: &Record,
    program: &Program,
    files: &[OwnedFd],
    prompt: &Path,
    core: Rlimit,
    group: Option<&Group>,
) -> io::Result<Started> {
    let mut command = Command::new(&program.path);
    command
        .args(&program.arguments)
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .envs(crate::signal::marks(record))
        .current_dir(&record.cwd)
        .stdin(File::open(prompt)?)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    platform::prepare(&mut command, core, group.and_then(Group::entrance));
    // From here on they are passed on; nothing else is started by this process.
    for file in files {
        rustix::io::fcntl_setfd(file, FdFlags::empty())?;
    }
    let mut child = command.spawn()?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    for pipe in [stdout.as_fd(), stderr.as_fd()] {
        rustix::io::ioctl_fionbio(pipe, true)?;
    }
    Ok(Started { pid: child.id(), stdout, stderr })
}

//! Starting the process.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::io::FdFlags;
use rustix::process::Rlimit;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::new::Terminal;
use crate::platform::{self, SpawnContext};
use crate::program::{PassedFile, Program, command};

/// Passed files have numbers below this. Other open files have numbers from here on, or lower numbers that no passed
/// file needs.
pub(super) const PASSED_FD_LIMIT: i32 = 256;

/// A started process and its output.
pub(super) struct StartedChild {
    pub pid: u32,
    pub stdout: File,
    /// `None` for a terminal, which carries all output.
    pub stderr: Option<File>,
    /// The input still to be typed at the terminal, in reverse.
    pub pending_input: Option<(File, Vec<u8>)>,
    /// Our end of its standard input, if it takes input while it runs.
    pub stdin: Option<File>,
}

impl StartedChild {
    /// Types as much at the terminal as it accepts at the moment.
    pub fn write_pending_input(&mut self) {
        let Some((terminal, left)) = &mut self.pending_input else { return };
        let part: Vec<u8> = left.iter().rev().take(1 << 10).copied().collect();
        match terminal.write(&part) {
            Ok(typed) => left.truncate(left.len() - typed),
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            // Nobody is left to read it.
            Err(_) => left.clear(),
        }
        if left.is_empty() {
            self.pending_input = None;
        }
    }
}

/// How to start a process, apart from the program itself.
pub(super) struct ChildSetting<'a> {
    pub marker_variables: [(&'a str, String); 2],
    pub cwd: &'a Path,
    pub files: &'a [OwnedFd],
    /// The file with the standard input.
    pub prompt: &'a Path,
    pub terminal: Option<Terminal>,
    /// Whether it takes input while it runs.
    pub takes_input: bool,
    /// A socket that is its standard input.
    pub listener: Option<&'a TcpListener>,
    pub core: Rlimit,
    pub cgroup: Option<OwnedFd>,
}

/// Creates the passed files, each at its number. Nothing else may be open in the range of those numbers.
pub(super) fn create_passed_files(files: &[PassedFile]) -> io::Result<Vec<OwnedFd>> {
    // All files are created above the range first, so that none takes a number that belongs to another.
    let mut made = Vec::new();
    for file in files {
        let mut memory = platform::memory_file()?;
        memory.write_all(&file.bytes)?;
        memory.seek(SeekFrom::Start(0))?;
        made.push(rustix::io::fcntl_dupfd_cloexec(&memory, PASSED_FD_LIMIT)?);
    }
    made.iter().zip(files).map(|(memory, file)| platform::dup_to(memory, file.fd)).collect()
}

/// Runs the program with its own group, its complete environment, and `prompt` as its standard input.
pub(super) fn spawn(program: &Program, setting: ChildSetting<'_>) -> io::Result<StartedChild> {
    let mut command = command(&program.path);
    command
        .args(&program.arguments)
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .envs(setting.marker_variables)
        .current_dir(setting.cwd);
    let master = match setting.terminal {
        Some(size) => {
            let (master, slave) = terminal(size)?;
            command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
            Some(master)
        }
        None => {
            let stdin = match setting.listener {
                Some(listener) => OwnedFd::from(listener.try_clone()?).into(),
                None if setting.takes_input => Stdio::piped(),
                None => aiw_home::open_regular(setting.prompt)?.into(),
            };
            command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
            None
        }
    };
    let files = program.limits.files;
    let entrance = SpawnContext { cgroup: setting.cgroup, max_open_files: files, terminal: master.is_some() };
    platform::prepare(&mut command, setting.core, entrance);
    // From here on the files are inherited; this process starts nothing else.
    for file in setting.files {
        // An earlier process may have read the files.
        rustix::fs::seek(file, rustix::fs::SeekFrom::Start(0))?;
        rustix::io::fcntl_setfd(file, FdFlags::empty())?;
    }
    let mut child = command.spawn()?;
    let pid = child.id();
    let started = match master {
        Some(master) => {
            let mut input = Vec::new();
            aiw_home::open_regular(setting.prompt)?.read_to_end(&mut input)?;
            input.reverse();
            let typed = (!input.is_empty()).then(|| Ok::<_, io::Error>((master.try_clone()?, input))).transpose()?;
            let stdin = setting.takes_input.then(|| master.try_clone()).transpose()?;
            StartedChild { pid, stdout: master, stderr: None, pending_input: typed, stdin }
        }
        None => {
            let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
                return Err(io::ErrorKind::BrokenPipe.into());
            };
            let (stdout, stderr) = (File::from(OwnedFd::from(stdout)), File::from(OwnedFd::from(stderr)));
            let stdin = child.stdin.take().map(|stdin| File::from(OwnedFd::from(stdin)));
            StartedChild { pid, stdout, stderr: Some(stderr), pending_input: None, stdin }
        }
    };
    for pipe in [Some(&started.stdout), started.stderr.as_ref(), started.stdin.as_ref()].into_iter().flatten() {
        rustix::io::ioctl_fionbio(pipe.as_fd(), true)?;
    }
    Ok(started)
}

/// Opens a new terminal. Returns our end, and that of the process.
fn terminal(size: Terminal) -> io::Result<(File, File)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::io::fcntl_setfd(&master, FdFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let slave = rustix::fs::open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    tcsetwinsize(&slave, winsize(size))?;
    Ok((File::from(master), File::from(slave)))
}

/// Returns the size of a terminal as the kernel wants it.
pub(super) fn winsize(size: Terminal) -> Winsize {
    Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Runs a command beside a process, with its environment, and with nothing to read or write.
pub(super) fn spawn_probe_command(
    command: &[String],
    program: &Program,
    marks: [(&str, String); 2],
    cwd: &Path,
    core: Rlimit,
) -> io::Result<u32> {
    let (first, rest) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(first);
    command
        .args(rest)
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .envs(marks)
        .current_dir(cwd)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    platform::prepare(
        &mut command,
        core,
        SpawnContext { cgroup: None, max_open_files: program.limits.files, terminal: false },
    );
    command.spawn().map(|child| child.id())
}

/// How to start a process that inherits our own standard streams.
pub(super) struct InheritStdioOptions<'a> {
    pub marker_variables: [(&'static str, String); 1],
    pub cwd: &'a Path,
    pub files: &'a [OwnedFd],
    pub core: Rlimit,
    pub cgroup: Option<OwnedFd>,
}

/// Runs the program with our own standard streams, in a group of its own.
pub(super) fn spawn_inherited(program: &Program, setting: InheritStdioOptions<'_>) -> io::Result<u32> {
    let mut command = command(&program.path);
    command
        .args(&program.arguments)
        .env_clear()
        .envs(program.environment.iter().map(|(name, value)| (name, value)))
        .envs(setting.marker_variables)
        .current_dir(setting.cwd)
        .process_group(0);
    platform::prepare(
        &mut command,
        setting.core,
        SpawnContext { cgroup: setting.cgroup, max_open_files: program.limits.files, terminal: false },
    );
    for file in setting.files {
        rustix::io::fcntl_setfd(file, FdFlags::empty())?;
    }
    command.spawn().map(|child| child.id())
}

//! The user's own `git`, for what only it can do: ssh, and credential helpers.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aiw_core::one_line;
use url::Url;

use super::transfer::Cancel;
use crate::error::NetError;

/// How often a running command is looked at: short for a person, long for a processor.
const TICK: Duration = Duration::from_millis(20);

/// More than a list of refs may be long, so that one which is too long is known by its length.
const MAX_OUTPUT: u64 = 64 << 20;

/// How much memory a command may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Memory {
    /// As much as it likes: it is the user's own.
    Any,
    /// So much as unpacks any repository that is taken: `git` holds objects as libgit2 does, and believes what
    /// they say of their sizes as well.
    Bounded,
}

#[cfg(target_os = "linux")]
const MAX_MEMORY: u64 = 1 << 30;

/// A `git` that asks nothing, runs no hooks and belongs to no repository of the caller's.
pub(super) fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    for inherited in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_NAMESPACE",
        "GIT_SHALLOW_FILE",
        "GIT_TEMPLATE_DIR",
        "SSH_ASKPASS",
    ] {
        command.env_remove(inherited);
    }
    command
        .current_dir(directory)
        // Its complaints are looked into.
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env("GCM_INTERACTIVE", "never")
        // The cache lies beneath the home directory, which some people keep in a repository.
        .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap_or(directory))
        .args(["-c", "core.hooksPath=/dev/null"]);
    command
}

/// Its ends: how it went, what it said, and what it complained of last.
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) output: Vec<u8>,
    pub(super) complaint: String,
    /// It, or what it started, did not get the memory that it wanted.
    pub(super) lacks_memory: bool,
}

/// Kills the whole group of a command that is dropped before its end.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(Some(_))) {
            return;
        }
        if let Some(group) = i32::try_from(self.0.id()).ok().and_then(rustix::process::Pid::from_raw) {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs to the end, to `deadline`, or until nobody waits; `watch` may end it too.
pub(super) fn run(
    mut command: Command,
    input: &[u8],
    memory: Memory,
    cancel: &Cancel,
    deadline: Instant,
    mut watch: impl FnMut() -> Result<(), NetError>,
) -> Result<Ended, NetError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let child = command.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => NetError::unavailable("`git` is not installed"),
        _ => NetError::unavailable(format!("cannot run `git`: {error}")).because(error),
    })?;
    let mut running = Running(child);
    if memory == Memory::Bounded {
        bound_memory(&running.0);
    }
    let output = running.0.stdout.take().map(|pipe| drain(pipe, MAX_OUTPUT));
    let complaints = running.0.stderr.take().map(|pipe| drain(pipe, 1 << 20));
    if let Some(mut pipe) = running.0.stdin.take() {
        // Whoever does not read its input says why by its exit.
        let _ = pipe.write_all(input);
    }
    let status = loop {
        match running.0.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(error) => return Err(NetError::unavailable(format!("cannot wait for `git`: {error}")).because(error)),
        }
        cancel.check()?;
        if Instant::now() >= deadline {
            return Err(NetError::unavailable("`git` took too long"));
        }
        watch()?;
        std::thread::sleep(TICK);
    };
    let complaint = collected(complaints, cancel)?;
    let complaint = String::from_utf8_lossy(&complaint);
    let lacks_memory =
        ["Out of memory", "mmap failed", "unable to create thread"].iter().any(|w| complaint.contains(w));
    let last = complaint.lines().rfind(|line| line.starts_with("fatal:") || line.starts_with("error:"));
    let last = last.or_else(|| complaint.lines().rfind(|line| !line.trim().is_empty())).unwrap_or_default();
    let complaint = match status.signal() {
        Some(signal) => format!("ended by signal {signal}"),
        None => one_line(last.trim_start_matches("fatal: ").trim_start_matches("error: "), 200),
    };
    Ok(Ended { status, output: collected(output, cancel)?, complaint, lacks_memory })
}

/// Bounds what `git` and whatever it starts take, before the far end can have sent anything.
#[cfg(target_os = "linux")]
fn bound_memory(child: &Child) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let limit = Rlimit { current: Some(MAX_MEMORY), maximum: Some(MAX_MEMORY) };
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended already.
        let _ = prlimit(Some(pid), Resource::Data, limit);
    }
}

/// Other systems bound no process from outside.
#[cfg(not(target_os = "linux"))]
fn bound_memory(_: &Child) {}

fn drain(mut pipe: impl Read + Send + 'static, limit: u64) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = pipe.by_ref().take(limit).read_to_end(&mut kept);
        // The rest is read too, so that its writer does not stand still.
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        kept
    })
}

/// What was read. A helper that lives on with the pipe (a credential daemon) is not waited for.
fn collected(reader: Option<JoinHandle<Vec<u8>>>, cancel: &Cancel) -> Result<Vec<u8>, NetError> {
    let Some(reader) = reader else { return Ok(Vec::new()) };
    let patience = Instant::now() + Duration::from_secs(2);
    while !reader.is_finished() && Instant::now() < patience {
        cancel.check()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    if !reader.is_finished() {
        return Ok(Vec::new());
    }
    Ok(reader.join().unwrap_or_default())
}

/// What the user's credential helpers know of a repository.
pub(super) fn credentials(
    repository: &Url,
    directory: &Path,
    cancel: &Cancel,
    deadline: Instant,
) -> Result<Option<(String, String)>, NetError> {
    let host = match (repository.host_str(), repository.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => return Ok(None),
    };
    let path = repository.path().trim_start_matches('/');
    let question = format!("protocol={}\nhost={host}\npath={path}\n\n", repository.scheme());
    let mut command = git(directory);
    command.args(["-c", "credential.interactive=false", "credential", "fill"]);
    let ended = run(command, question.as_bytes(), Memory::Any, cancel, deadline, || Ok(()))?;
    if !ended.status.success() {
        return Ok(None);
    }
    let answer = String::from_utf8_lossy(&ended.output);
    let value =
        |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
    let (user, password) = (value("username"), value("password"));
    // Where nothing is known, `true` has answered the prompt with nothing.
    Ok((!password.is_empty()).then(|| (user.to_owned(), password.to_owned())))
}

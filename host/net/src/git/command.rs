//! The user's own `git`, for what only it can do: ssh and credential helpers.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aiw_core::one_line;
use aiw_home::ChildGroup;
use url::Url;

use super::transfer::Cancel;
use crate::error::NetError;

/// How often a running command is checked: a short time for a person, a long one for a processor.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The maximum output. It is more than a list of refs may have, so that a list that is too long is recognized by
/// its length.
const MAX_OUTPUT: u64 = 64 << 20;

/// The amount of memory that a command may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MemoryBound {
    /// Any amount, because the command is the user's own.
    Unlimited,
    /// Enough to unpack any repository that is accepted. Like libgit2, `git` holds whole objects in memory and
    /// trusts the sizes that they declare.
    Bounded,
}

#[cfg(target_os = "linux")]
const MAX_MEMORY: u64 = 1 << 30;

/// Variables that would lead `git` to another repository, or start a program.
const REMOVED_VARIABLES: [&str; 10] = [
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
];

/// Lets a `git` command ask nothing, run no hooks and belong to none of the caller's repositories.
pub fn quiet_git(command: &mut Command) -> &mut Command {
    for misleading in REMOVED_VARIABLES {
        command.env_remove(misleading);
    }
    command
        // Its error messages are parsed.
        .env("LC_ALL", "C")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "true")
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env("GCM_INTERACTIVE", "never")
        .args(["-c", "core.hooksPath=/dev/null"])
}

/// Returns a quiet `git` command for a directory of the cache.
pub(super) fn git_command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    quiet_git(&mut command)
        .current_dir(directory)
        // The cache is beneath the home directory, which some people keep in a repository.
        .env("GIT_CEILING_DIRECTORIES", directory.parent().unwrap_or(directory));
    command
}

/// The end of a command: its status, its output and its last error message.
pub(super) struct CommandOutput {
    pub(super) status: ExitStatus,
    pub(super) output: Vec<u8>,
    pub(super) stderr: String,
    /// Whether the command, or a process that it started, ran out of memory.
    pub(super) is_out_of_memory: bool,
}

/// Runs a command until it ends, until `deadline`, or until nobody waits any more. `watch` may end it too.
pub(super) fn run(
    mut command: Command,
    input: &[u8],
    memory: MemoryBound,
    cancel: &Cancel,
    deadline: Instant,
    mut watch: impl FnMut() -> Result<(), NetError>,
) -> Result<CommandOutput, NetError> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = ChildGroup::start(&mut command).map_err(|error| match error.kind() {
        ErrorKind::NotFound => NetError::unavailable("`git` is not installed"),
        _ => NetError::unavailable(format!("cannot run `git`: {error}")).with_source(error),
    })?;
    let running = group.child();
    if memory == MemoryBound::Bounded {
        bound_memory(running);
    }
    let output = running.stdout.take().map(|pipe| drain(pipe, MAX_OUTPUT));
    let complaints = running.stderr.take().map(|pipe| drain(pipe, 1 << 20));
    if let Some(mut pipe) = running.stdin.take() {
        // A command that does not read its input explains that by its exit status.
        let _ = pipe.write_all(input);
    }
    let status = loop {
        match running.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) => {}
            Err(error) => {
                return Err(NetError::unavailable(format!("cannot wait for `git`: {error}")).with_source(error));
            }
        }
        cancel.check()?;
        if Instant::now() >= deadline {
            return Err(NetError::unavailable("`git` took too long"));
        }
        watch()?;
        std::thread::sleep(POLL_INTERVAL);
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
    Ok(CommandOutput { status, output: collected(output, cancel)?, stderr: complaint, is_out_of_memory: lacks_memory })
}

/// Limits the memory of `git` and its child processes, before the server can have sent anything.
#[cfg(target_os = "linux")]
fn bound_memory(child: &Child) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};

    let limit = Rlimit { current: Some(MAX_MEMORY), maximum: Some(MAX_MEMORY) };
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // The process may have ended already.
        let _ = prlimit(Some(pid), Resource::Data, limit);
    }
}

/// Other systems cannot limit a process from outside.
#[cfg(not(target_os = "linux"))]
fn bound_memory(_: &Child) {}

fn drain(mut pipe: impl Read + Send + 'static, limit: u64) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        let _ = pipe.by_ref().take(limit).read_to_end(&mut kept);
        // Read the rest too, so that the writer is not blocked.
        let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        kept
    })
}

/// Returns the bytes read. Does not wait for a helper that keeps the pipe open (a credential daemon).
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

/// Asks the user's credential helpers for the user and password of a repository.
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
    let mut command = git_command(directory);
    command.args(["-c", "credential.interactive=false", "credential", "fill"]);
    let ended = run(command, question.as_bytes(), MemoryBound::Unlimited, cancel, deadline, || Ok(()))?;
    if !ended.status.success() {
        return Ok(None);
    }
    let answer = String::from_utf8_lossy(&ended.output);
    let value =
        |key: &str| answer.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_default();
    let (user, password) = (value("username"), value("password"));
    // If no helper knows a password, `true` has answered the prompt with nothing.
    Ok((!password.is_empty()).then(|| (user.to_owned(), password.to_owned())))
}

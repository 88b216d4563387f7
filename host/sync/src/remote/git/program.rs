//! The user's own `git`, run without hooks, without questions and with bounds.

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use aiw_core::one_line;
use aiw_home::{ChildGroup, ExecutionContext, find_program};
use aiw_net::quiet_git;

use super::super::RemoteError;

/// How often a running command is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// How long a command may take: 300 MB at 1 MB a second.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);

/// The most bytes that a remote may send at once.
const MAX_PACK_BYTES: u64 = 1 << 30;

/// The user's `git`, with the user's variables.
pub(super) struct GitProgram {
    path: PathBuf,
    variables: Vec<(OsString, OsString)>,
    has_own_ssh: bool,
    /// How long the remote may move nothing.
    idle_timeout: Duration,
}

/// The end of a command.
pub(super) struct GitOutput {
    pub(super) succeeded: bool,
    pub(super) output: Vec<u8>,
    /// Whether there was more of it.
    pub(super) is_truncated: bool,
    /// Its last error.
    pub(super) stderr: String,
    /// Whether it was ended, because it took too long.
    pub(super) timed_out: bool,
}

/// A pipe whose bytes are counted as they are read.
struct Counted<P> {
    pipe: P,
    bytes: Arc<AtomicU64>,
    /// Whether it told of objects: what came before is of ssh, and says nothing of the remote.
    has_objects: Arc<AtomicBool>,
}

impl<P: Read> Read for Counted<P> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.pipe.read(buffer)?;
        self.bytes.fetch_add(read as u64, Ordering::Relaxed);
        if buffer[..read].windows(7).any(|part| part == b"objects") {
            self.has_objects.store(true, Ordering::Relaxed);
        }
        Ok(read)
    }
}

impl GitProgram {
    pub(super) fn find(around: &ExecutionContext, clone: &Path, idle_timeout: Duration) -> Result<Self, RemoteError> {
        let directory = around.directory().unwrap_or(clone);
        let path = find_program("git", around.variable("PATH"), directory).ok_or(RemoteError::GitNotFound)?;
        let has_own_ssh = ["GIT_SSH_COMMAND", "GIT_SSH"].iter().any(|name| around.non_empty_variable(name).is_some());
        Ok(Self { path, variables: around.variables().collect(), has_own_ssh, idle_timeout })
    }

    fn quiet(&self, clone: &Path) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value))).current_dir(clone);
        quiet_git(&mut command);
        command
    }

    fn command(&self, clone: &Path) -> Command {
        let mut command = self.quiet(clone);
        command
            // Not `ext`, whatever the user's configuration rewrites the address to.
            .env("GIT_ALLOW_PROTOCOL", "https:http:ssh:file")
            // Who pushed is not for the remote to know.
            .envs([("GIT_AUTHOR_NAME", "aiw"), ("GIT_AUTHOR_EMAIL", "aiw@localhost")])
            .envs([("GIT_COMMITTER_NAME", "aiw"), ("GIT_COMMITTER_EMAIL", "aiw@localhost")])
            .args(["-c", "credential.interactive=false"])
            .args([
                "-c",
                "core.fsmonitor=false",
                "-c",
                "push.gpgSign=false",
                "-c",
                "push.recurseSubmodules=no",
                "-c",
                "protocol.version=2",
            ])
            // Nothing goes on behind this.
            .args(["-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"])
            .args(["--git-dir", "."]);
        command
    }

    /// Returns whether the user's configuration says how ssh is run. A variable would win over it.
    fn has_ssh_setting(&self, clone: &Path) -> bool {
        let mut command = self.quiet(clone);
        command.args(["config", "--get", "core.sshCommand"]).stdin(Stdio::null()).stderr(Stdio::null());
        command.output().is_ok_and(|output| !output.stdout.is_empty())
    }

    /// Runs a command until it ends, until it takes too long, or until nobody waits for it any more.
    pub(super) fn run(
        &self,
        clone: &Path,
        arguments: &[&str],
        input: &[u8],
        limit: u64,
        stop: &AtomicBool,
    ) -> Result<GitOutput, RemoteError> {
        let mut command = self.command(clone);
        if matches!(arguments.first(), Some(&("fetch" | "push"))) && !self.has_own_ssh && !self.has_ssh_setting(clone) {
            // It is in a process group of its own, so it can't ask at the terminal.
            command.env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=30");
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut group = ChildGroup::start(&mut command).map_err(|source| match source.kind() {
            ErrorKind::NotFound => RemoteError::GitNotFound,
            _ => RemoteError::GitSpawnFailed { source },
        })?;
        let child = group.child();
        let output = child.stdout.take().map(|pipe| drain(pipe, limit.saturating_add(1)));
        let (told, is_sending) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let counted = |pipe| Counted { pipe, bytes: told.clone(), has_objects: is_sending.clone() };
        let complaints = child.stderr.take().map(|pipe| drain(counted(pipe), 1 << 20));
        // On its own thread: a command that doesn't read its input must not hold this up.
        let (pipe, input) = (child.stdin.take(), input.to_vec());
        std::thread::spawn(move || pipe.map(|mut pipe| pipe.write_all(&input)));
        let begun = Instant::now();
        // A `git` that was killed left its own behind.
        let before = partial_pack_bytes(clone);
        let is_fetch = arguments.first() == Some(&"fetch");
        let is_push = arguments.first() == Some(&"push");
        let mut moved = (0, begun);
        let status = loop {
            if let Some(status) = child.try_wait().map_err(|source| RemoteError::GitSpawnFailed { source })? {
                break status;
            }
            if stop.load(Ordering::Relaxed) {
                return Err(RemoteError::Cancelled);
            }
            let bytes = partial_pack_bytes(clone).saturating_sub(before);
            // A push tells of its progress, which begins with what the remote says.
            let now = if is_push { told.load(Ordering::Relaxed) } else { bytes };
            if now != moved.0 {
                moved = (now, Instant::now());
            }
            // What the remote does with a push that is sent, takes its time.
            let waits = is_fetch || (is_push && !is_sending.load(Ordering::Relaxed));
            let is_idle = waits && moved.1.elapsed() > self.idle_timeout;
            let complaint = match () {
                () if bytes > MAX_PACK_BYTES => "it sends more than 1 GiB".to_owned(),
                () if begun.elapsed() > COMMAND_TIMEOUT => {
                    format!("it took longer than {} s", COMMAND_TIMEOUT.as_secs())
                }
                () if is_idle => format!("it sent nothing for {} s", self.idle_timeout.as_secs()),
                () => {
                    std::thread::sleep(POLL_INTERVAL);
                    continue;
                }
            };
            return Ok(GitOutput {
                succeeded: false,
                output: Vec::new(),
                is_truncated: false,
                stderr: complaint,
                timed_out: true,
            });
        };
        let complaint = String::from_utf8_lossy(&collected(complaints)).into_owned();
        let output = collected(output);
        Ok(GitOutput {
            succeeded: status.success(),
            is_truncated: output.len() as u64 > limit,
            output,
            timed_out: false,
            stderr: status.signal().map_or_else(|| last(&complaint), |signal| format!("ended by signal {signal}")),
        })
    }
}

/// Returns the line of an error that says the most.
fn last(complaint: &str) -> String {
    // Progress writes its line over and over.
    let lines = || complaint.split(['\n', '\r']).filter(|line| !line.trim().is_empty());
    let said = lines().find(|line| line.starts_with("fatal:") || line.starts_with("error:") || line.starts_with('!'));
    let said = lines().find(|line| line.starts_with("remote: error")).or(said).or_else(|| lines().next_back());
    let said = said.unwrap_or_default().trim_start_matches("fatal: ").trim_start_matches("error: ");
    one_line(said, 200)
}

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
fn collected(reader: Option<JoinHandle<Vec<u8>>>) -> Vec<u8> {
    let Some(reader) = reader else { return Vec::new() };
    let patience = Instant::now() + Duration::from_secs(2);
    while !reader.is_finished() && Instant::now() < patience {
        std::thread::sleep(Duration::from_millis(1));
    }
    if reader.is_finished() { reader.join().unwrap_or_default() } else { Vec::new() }
}

/// Returns the bytes of incomplete packs below a clone.
pub(super) fn partial_pack_bytes(clone: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(clone.join("objects/pack")) else { return 0 };
    let partial = entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"tmp_"));
    partial.filter_map(|entry| entry.metadata().ok()).map(|meta| meta.len()).sum()
}

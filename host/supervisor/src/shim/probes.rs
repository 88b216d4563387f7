//! Probes: whether the process is ready, and whether it still works. The shim makes them itself, so that they need no
//! other process: connections that do not block, and commands that its reaper knows.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType};
use rustix::process::WaitStatus;

use crate::new::{Check, Probe, ProbeAddress};
use crate::platform::{self, PortOwner, Signal};
use crate::signal::signal_group_of_child;
use aiw_events::EventKind;

/// How long one check may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// The time between two checks, if none is given or it is shorter.
const MIN_PROBE_INTERVAL: Duration = Duration::from_millis(10);
/// How much of an HTTP answer is read.
const MAX_RESPONSE_BYTES: usize = 4 << 10;

/// The probes' verdict.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The process is ready.
    Ready,
    /// The process is not ready in time, or does not work any more, and why.
    Failed(String),
    /// The process works again.
    Recovered,
}

impl Verdict {
    /// Returns the event that says so.
    pub fn event(&self) -> EventKind {
        match self {
            Self::Ready => EventKind::Ready,
            Self::Failed(_) => EventKind::Unhealthy,
            Self::Recovered => EventKind::Recovered,
        }
    }
}

/// The view of a process that probes need.
pub(super) trait ProbeTarget {
    /// Starts a command beside the process. Returns its process id.
    fn run(&self, command: &[String]) -> io::Result<u32>;
    /// Returns whether a line that readiness waits for was written.
    fn has_seen_line(&self) -> bool;
}

/// The probes of one life of a process.
pub(super) struct Probes {
    ready: Option<Prober>,
    live: Option<Prober>,
    /// When it must be ready.
    deadline: Option<Instant>,
    /// How long that is.
    timeout: Duration,
    has_failed: bool,
}

impl Probes {
    pub fn new(ready: Option<&Probe>, live: Option<&Probe>, now: Instant) -> Self {
        let limit = ready.and_then(|probe| probe.timeout);
        Self {
            ready: ready.map(|probe| Prober::new(probe, now, PROBE_TIMEOUT)),
            live: live.map(|probe| {
                let first = now.checked_add(probe.every).unwrap_or(now);
                Prober::new(probe, first, probe.timeout.unwrap_or(PROBE_TIMEOUT))
            }),
            deadline: limit.and_then(|limit| now.checked_add(limit)),
            timeout: limit.unwrap_or_default(),
            has_failed: false,
        }
    }

    /// Returns what to wait for.
    pub fn fds(&self) -> impl Iterator<Item = (BorrowedFd<'_>, PollFlags)> {
        self.all().filter_map(|prober| prober.attempt.as_ref()?.awaits())
    }

    /// Returns when to look again, even if nothing happens.
    pub fn next_deadline(&self) -> Option<Instant> {
        let is_waiting_for_ready = self.ready.is_some();
        let live = self.live.iter().filter(|_| !is_waiting_for_ready);
        let checks = self.ready.iter().chain(live).filter_map(Prober::due);
        checks.chain(self.deadline.filter(|_| is_waiting_for_ready)).min()
    }

    fn all(&self) -> impl Iterator<Item = &Prober> {
        self.ready.iter().chain(&self.live)
    }

    /// Goes on with the checks, without blocking. Returns what that has shown.
    pub fn step(&mut self, now: Instant, probed: &dyn ProbeTarget) -> Option<Verdict> {
        if let Some(ready) = &mut self.ready {
            return match ready.step(now, probed) {
                // It is not looked at again: a check that goes on for ever fills logs.
                Some(Ok(())) => {
                    self.ready = None;
                    if let Some(live) = &mut self.live {
                        live.next = now.checked_add(live.probe.every).unwrap_or(now);
                    }
                    Some(Verdict::Ready)
                }
                _ if self.deadline.is_some_and(|at| now >= at) => {
                    self.deadline = None;
                    let why = ready.last.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                    Some(Verdict::Failed(format!("it was not ready in {}{why}", format_seconds(self.timeout))))
                }
                _ => None,
            };
        }
        let live = self.live.as_mut()?;
        match live.step(now, probed)? {
            Ok(()) if self.has_failed => {
                self.has_failed = false;
                Some(Verdict::Recovered)
            }
            Ok(()) => None,
            Err(why) if live.failures >= live.probe.failures.max(1) && !self.has_failed => {
                self.has_failed = true;
                Some(Verdict::Failed(format!("its probe failed {} times: {why}", live.failures)))
            }
            Err(_) => None,
        }
    }

    /// Takes the end of a child. Returns whether it was a command of a probe.
    pub fn handle_child_exit(&mut self, pid: u32, status: WaitStatus) -> bool {
        let mut attempts = [&mut self.ready, &mut self.live].into_iter().flatten().filter_map(|p| p.attempt.as_mut());
        let found = attempts.find_map(|attempt| match &mut attempt.stage {
            CheckStage::Command { pid: ours, status } if *ours == pid => Some(status),
            _ => None,
        });
        found.map(|known| *known = Some(status)).is_some()
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        self.all().filter_map(|prober| prober.attempt.as_ref()).for_each(Attempt::end);
    }
}

/// One probe.
struct Prober {
    probe: Probe,
    /// How long one check may take.
    limit: Duration,
    /// When the next check begins.
    next: Instant,
    attempt: Option<Attempt>,
    /// How many checks in a row have failed.
    failures: u32,
    /// Why the last check failed.
    last: Option<String>,
}

impl Prober {
    fn new(probe: &Probe, first: Instant, limit: Duration) -> Self {
        Self { probe: probe.clone(), limit, next: first, attempt: None, failures: 0, last: None }
    }

    fn due(&self) -> Option<Instant> {
        match (&self.attempt, &self.probe.check) {
            // Each line is looked at when it comes.
            (_, Check::Line { .. }) => None,
            (Some(attempt), _) => Some(attempt.until),
            (None, _) => Some(self.next),
        }
    }

    /// Returns the result of a check, once there is one.
    fn step(&mut self, now: Instant, probed: &dyn ProbeTarget) -> Option<Result<(), String>> {
        if let Check::Line { pattern } = &self.probe.check {
            self.last = Some(format!("it wrote no line like `{pattern}`"));
            return probed.has_seen_line().then_some(Ok(()));
        }
        if self.attempt.is_none() {
            if now < self.next {
                return None;
            }
            self.next = now.checked_add(self.probe.every.max(MIN_PROBE_INTERVAL)).unwrap_or(now);
            let until = now.checked_add(self.limit).unwrap_or(now);
            match CheckStage::begin(&self.probe.check, probed) {
                Ok(stage) => self.attempt = Some(Attempt { stage, until }),
                Err(why) => return Some(self.over(Err(why))),
            }
        }
        let attempt = self.attempt.as_mut()?;
        let result = match attempt.stage.step(&self.probe.check) {
            Some(result) => result,
            None if now >= attempt.until => Err(format!("no answer in {}", format_seconds(self.limit))),
            None => return None,
        };
        Some(self.over(result))
    }

    /// Ends a check.
    fn over(&mut self, result: Result<(), String>) -> Result<(), String> {
        if let Some(attempt) = self.attempt.take() {
            attempt.end();
        }
        match &result {
            Ok(()) => (self.failures, self.last) = (0, None),
            Err(why) => {
                self.failures = self.failures.saturating_add(1);
                self.last = Some(why.clone());
            }
        }
        result
    }
}

/// A check that is under way.
struct Attempt {
    stage: CheckStage,
    until: Instant,
}

impl Attempt {
    fn awaits(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.stage {
            CheckStage::Connecting { socket, .. } => Some((socket.as_fd(), PollFlags::OUT)),
            CheckStage::Requesting { socket, left, .. } => {
                Some((socket.as_fd(), if left.is_empty() { PollFlags::IN } else { PollFlags::OUT }))
            }
            // Its end is a signal.
            CheckStage::Command { .. } => None,
        }
    }

    fn end(&self) {
        if let CheckStage::Command { pid, status: None } = self.stage {
            signal_group_of_child(pid, Signal::KILL);
        }
    }
}

/// How far a check is.
enum CheckStage {
    /// A connection is being made, and these addresses are tried next.
    Connecting { socket: OwnedFd, next: Vec<SocketAddr> },
    /// A request is being sent, and its answer read.
    Requesting { socket: OwnedFd, left: Vec<u8>, answer: Vec<u8> },
    /// A command runs.
    Command { pid: u32, status: Option<WaitStatus> },
}

impl CheckStage {
    fn begin(check: &Check, probed: &dyn ProbeTarget) -> Result<Self, String> {
        match check {
            Check::Exec { command } => match probed.run(command) {
                Ok(pid) => Ok(Self::Command { pid, status: None }),
                Err(e) => Err(format!("`{}` could not be started: {e}", command.first().map_or("", String::as_str))),
            },
            Check::Http { at, .. } | Check::Tcp { at } => Self::connect(addresses(*at)),
            // A line probe has no stages.
            Check::Line { .. } => Err(String::new()),
        }
    }

    /// Connects to the first address that does not refuse at once.
    fn connect(mut addresses: Vec<SocketAddr>) -> Result<Self, String> {
        let mut why = String::new();
        while !addresses.is_empty() {
            let address = addresses.remove(0);
            match connecting(address) {
                Ok(socket) => return Ok(Self::Connecting { socket, next: addresses }),
                Err(e) => why = format!("{address}: {}", reason(&e)),
            }
        }
        Err(why)
    }

    /// Goes on without blocking. Returns the result, once there is one.
    fn step(&mut self, check: &Check) -> Option<Result<(), String>> {
        loop {
            match self {
                Self::Command { status: None, .. } => return None,
                Self::Command { status: Some(status), .. } => {
                    return Some(match (status.exit_status(), status.terminating_signal()) {
                        (Some(0), _) => Ok(()),
                        (Some(code), _) => Err(format!("the command ended with exit code {code}")),
                        (None, Some(signal)) => Err(format!("signal {signal} ended the command")),
                        (None, None) => return None,
                    });
                }
                Self::Connecting { socket, next } => {
                    match connected(socket) {
                        None => return None,
                        Some(Ok(())) => {}
                        Some(Err(e)) => match Self::connect(std::mem::take(next)) {
                            Ok(stage) => {
                                *self = stage;
                                continue;
                            }
                            Err(why) => return Some(Err(if why.is_empty() { reason(&e) } else { why })),
                        },
                    }
                    if let Err(why) = is_ours(check) {
                        return Some(Err(why));
                    }
                    let Check::Http { host, path, .. } = check else { return Some(Ok(())) };
                    // HTTP/1.0: the answer ends with the connection, and is never in chunks.
                    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nUser-Agent: aiw\r\n\r\n");
                    let socket = match socket.try_clone() {
                        Ok(socket) => socket,
                        Err(e) => return Some(Err(reason(&e))),
                    };
                    *self = Self::Requesting { socket, left: request.into_bytes(), answer: Vec::new() };
                }
                Self::Requesting { socket, left, answer } => return ask(socket, left, answer),
            }
        }
    }
}

/// Sends what is left of a request, and reads the answer up to its status.
fn ask(socket: &OwnedFd, left: &mut Vec<u8>, answer: &mut Vec<u8>) -> Option<Result<(), String>> {
    while !left.is_empty() {
        match rustix::net::send(socket, left, SendFlags::empty()) {
            Ok(sent) => drop(left.drain(..sent)),
            Err(rustix::io::Errno::AGAIN) => return None,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Some(Err(reason(&e.into()))),
        }
    }
    let mut buffer = [0; 1024];
    loop {
        if let Some(status) = status(answer) {
            return Some(match status {
                Some(200..=399) => Ok(()),
                Some(other) => Err(format!("HTTP status {other}")),
                None => Err("the answer is not HTTP".into()),
            });
        }
        match rustix::net::recv(socket, &mut buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => return Some(Err("the answer has no status".into())),
            Ok((length, _)) => answer.extend_from_slice(&buffer[..length]),
            Err(rustix::io::Errno::AGAIN) => return None,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Some(Err(reason(&e.into()))),
        }
    }
}

/// Returns the status of an HTTP answer, once its first line is there.
fn status(answer: &[u8]) -> Option<Option<u16>> {
    let end = answer
        .iter()
        .position(|byte| *byte == b'\n')
        .or((answer.len() > MAX_RESPONSE_BYTES).then_some(MAX_RESPONSE_BYTES))?;
    let line = str::from_utf8(&answer[..end]).unwrap_or_default();
    let mut words = line.strip_prefix("HTTP/").unwrap_or_default().split_ascii_whitespace();
    let version = words.next();
    Some(version.and_then(|_| words.next()).and_then(|status| status.parse().ok()))
}

/// Returns which port of these probes another process has, as a phrase: why the program could not take it.
pub(super) fn port_conflict(probes: [Option<&Probe>; 2]) -> Option<String> {
    probes.into_iter().flatten().find_map(|probe| is_ours(&probe.check).err())
}

/// Whether the port belongs to the process or one of its descendants. One that cannot be looked at, such as that of
/// another user, is believed.
fn is_ours(check: &Check) -> Result<(), String> {
    let (Check::Http { at, .. } | Check::Tcp { at }) = check else { return Ok(()) };
    let port = match at {
        ProbeAddress::Local(port) => *port,
        // An address that stands for this machine leads here, too.
        ProbeAddress::Address(address) if is_here(address.ip().to_canonical()) => address.port(),
        ProbeAddress::Address(_) => return Ok(()),
    };
    match platform::port_owner(port) {
        PortOwner::Ours | PortOwner::Unknown => Ok(()),
        PortOwner::OtherProcess { pid, name } => Err(format!("port {port} is in use by process {pid} ({name})")),
    }
}

fn is_here(ip: IpAddr) -> bool {
    ip.is_loopback() || ip.is_unspecified()
}

fn addresses(at: ProbeAddress) -> Vec<SocketAddr> {
    match at {
        ProbeAddress::Address(address) => vec![address],
        ProbeAddress::Local(port) => [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)]
            .map(|host| SocketAddr::new(host, port))
            .to_vec(),
    }
}

/// Begins a connection without waiting for it.
fn connecting(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(e) => Err(e.into()),
    }
}

#[cfg(not(target_vendor = "apple"))]
fn socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let flags = rustix::net::SocketFlags::NONBLOCK | rustix::net::SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, SocketType::STREAM, flags, None)?)
}

#[cfg(target_vendor = "apple")]
fn socket(family: AddressFamily) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

/// Returns whether a connection is made, once that is decided.
fn connected(socket: &OwnedFd) -> Option<io::Result<()>> {
    match rustix::net::getpeername(socket) {
        Ok(_) => Some(Ok(())),
        Err(_) => match rustix::net::sockopt::socket_error(socket) {
            Ok(Ok(())) => None,
            Ok(Err(e)) | Err(e) => Some(Err(e.into())),
        },
    }
}

/// Returns an error of the system without its number.
fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

/// Returns a time for people.
pub(super) fn format_seconds(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_status_is_read_from_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\n"), Some(Some(204)));
        assert_eq!(status(b"HTTP/1.0 500\nX: y"), Some(Some(500)));
        assert_eq!(status(b"HTTP/1.1 2"), None);
        assert_eq!(status(b"SSH-2.0-OpenSSH\r\n"), Some(None));
        assert_eq!(status(&[b'x'; MAX_RESPONSE_BYTES + 1]), Some(None));
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_answer_has_a_status_or_none(bytes: Vec<u8>) {
                let _ = status(&bytes);
            }
        }
    }
}

//! Code that Linux and macOS share.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::Timespec;
pub(crate) use rustix::process::Signal;

use crate::program::ResourceLimits;

/// The condition of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProcessCondition {
    Running,
    /// A signal has stopped the process, so it does nothing.
    Stopped,
    Gone,
}

/// The result of opening a process id.
pub(crate) enum OpenedProcess<P> {
    /// The expected process.
    Found(P),
    /// A process that exists, but shows nothing about itself.
    Hidden,
    /// The process no longer exists.
    Gone,
}

pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}

/// Returns a sentence about limits that no cgroup enforces, unless the shim watches all of them.
pub(crate) fn missing_cgroup_warning(limits: ResourceLimits, reason: &str) -> Option<String> {
    match (limits.watch, limits.cpu_percent) {
        (false, _) => Some(format!("memory and processor are not limited: {reason}")),
        (true, Some(_)) => Some(format!("the processor is not limited: {reason}")),
        (true, None) => None,
    }
}

/// Returns whether both descriptors refer to the same file.
pub(crate) fn is_same_file(one: &File, other: &File) -> bool {
    let identity = |file: &File| file.metadata().ok().map(|meta| (meta.dev(), meta.ino()));
    identity(one).is_some() && identity(one) == identity(other)
}

/// Returns the user at the other end of a socket.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

/// Returns the user at the other end of a socket.
#[cfg(target_vendor = "apple")]
pub(crate) fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    use std::os::fd::AsRawFd;
    let (mut uid, mut gid) = (0, 0);
    #[expect(unsafe_code, reason = "no safe crate offers it here")]
    // SAFETY: the descriptor is open, and both numbers live through the call.
    match unsafe { libc::getpeereid(stream.as_raw_fd(), &raw mut uid, &raw mut gid) } {
        0 => Ok(uid),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_shim_watches_is_not_said_to_be_unlimited() {
        let said = |watch, cpu_percent| {
            let limits = ResourceLimits { memory: Some(1 << 30), cpu_percent, watch, ..ResourceLimits::default() };
            missing_cgroup_warning(limits, "none").unwrap_or_default()
        };
        assert_eq!(said(false, None), "memory and processor are not limited: none");
        assert_eq!(said(true, Some(50)), "the processor is not limited: none");
        assert_eq!(said(true, None), "");
    }
}

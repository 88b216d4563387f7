//! The few calls that no safe crate offers.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getpid, setrlimit};

/// Which of the two processes it is after a fork.
pub(crate) enum Fork {
    Parent,
    Child,
}

/// Splits this process in two. It must have one thread only.
pub(crate) fn fork() -> io::Result<Fork> {
    #[expect(unsafe_code, reason = "no safe crate offers fork")]
    // SAFETY: called as the first thing of `aiw shim`, before it has started a thread; so all
    // locks (the allocator's too) are free in the child, which may go on as usual.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        _ => Ok(Fork::Parent),
    }
}

/// Closes all descriptors but the standard ones: what a starter had open must not live as long as the task.
pub(crate) fn close_inherited() {
    #[cfg(target_os = "linux")]
    {
        #[expect(unsafe_code, reason = "closing descriptors by their numbers")]
        // SAFETY: called before this process has opened anything of its own, so no owner of a
        // descriptor above 2 exists in it.
        unsafe {
            libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, 0u32);
        }
    }
    #[cfg(not(target_os = "linux"))]
    for fd in 3..256 {
        #[expect(unsafe_code, reason = "closing descriptors by their numbers")]
        // SAFETY: as above.
        unsafe {
            libc::close(fd);
        }
    }
}

/// A second descriptor for a file, with this very number; what had it is closed. It is not passed on.
pub(crate) fn dup_to(file: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    #[expect(unsafe_code, reason = "a descriptor with a number of our choice")]
    // SAFETY: the caller has nothing open in the range of these numbers; the new descriptor has
    // no other owner than the one made here.
    let duplicate = unsafe {
        if libc::dup2(file.as_raw_fd(), number) < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(number)
    };
    rustix::io::fcntl_setfd(&duplicate, rustix::io::FdFlags::CLOEXEC)?;
    Ok(duplicate)
}

/// What the CLI does between fork and exec: it dies with us, gets back its limit on core files, enters its cgroup.
pub(crate) fn prepare(command: &mut Command, core: Rlimit, cgroup: Option<OwnedFd>) {
    let parent = getpid();
    let before_exec = move || {
        super::die_with_parent(parent)?;
        setrlimit(Resource::Core, core)?;
        if let Some(cgroup) = &cgroup {
            rustix::io::write(cgroup, b"0")?;
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "it runs between fork and exec")]
    // SAFETY: it makes system calls only, through rustix, which wraps them without locks or allocation.
    unsafe {
        command.pre_exec(before_exec);
    }
}

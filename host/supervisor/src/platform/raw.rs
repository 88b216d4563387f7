//! The few system calls that no safe crate offers.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getpid, getrlimit, setrlimit};

/// Which of the two processes this is after a fork.
pub(crate) enum ForkResult {
    Parent,
    Child,
}

/// Forks this process, which must have only one thread.
pub(crate) fn fork() -> io::Result<ForkResult> {
    #[expect(unsafe_code, reason = "no safe crate offers fork")]
    // SAFETY: called as the first thing of `aiw shim`, before it has started a thread; so all locks (the allocator's
    // too) are free in the child, which may go on as usual.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(ForkResult::Child),
        _ => Ok(ForkResult::Parent),
    }
}

/// Closes all descriptors except the standard ones and `keep`: the starter's open files must not live as long as this
/// process.
pub(crate) fn close_inherited_fds(keep: Option<RawFd>) {
    let keep = keep.and_then(|fd| u32::try_from(fd).ok()).filter(|fd| *fd >= 3);
    let ranges = match keep {
        None => [Some((3, u32::MAX)), None],
        Some(fd) => [fd.checked_sub(1).filter(|last| *last >= 3).map(|last| (3, last)), Some((fd + 1, u32::MAX))],
    };
    for (first, last) in ranges.into_iter().flatten() {
        close_range(first, last);
    }
}

#[cfg(target_os = "linux")]
fn close_range(first: u32, last: u32) {
    #[expect(unsafe_code, reason = "closing descriptors by their numbers")]
    // SAFETY: called before this process has opened anything of its own, so no owner of a descriptor above 2 exists
    // in it.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, last, 0u32);
    }
}

#[cfg(not(target_os = "linux"))]
fn close_range(first: u32, last: u32) {
    for fd in first..=last.min(255) {
        #[expect(unsafe_code, reason = "closing descriptors by their numbers")]
        // SAFETY: as above.
        unsafe {
            libc::close(fd.cast_signed());
        }
    }
}

/// Duplicates a descriptor to exactly this number, closing what had the number. The duplicate is not inherited.
pub(crate) fn dup_to(file: &OwnedFd, number: RawFd) -> io::Result<OwnedFd> {
    use std::os::fd::FromRawFd;
    #[expect(unsafe_code, reason = "a descriptor with a number of our choice")]
    // SAFETY: the caller has nothing open in the range of these numbers; the new descriptor has no other owner than
    // the one made here.
    let duplicate = unsafe {
        if libc::dup2(file.as_raw_fd(), number) < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(number)
    };
    rustix::io::fcntl_setfd(&duplicate, rustix::io::FdFlags::CLOEXEC)?;
    Ok(duplicate)
}

/// The cgroup and the terminal that a new process enters.
pub(crate) struct SpawnContext {
    /// The file that moves a process into a cgroup.
    pub cgroup: Option<OwnedFd>,
    /// How many files it may have open.
    pub max_open_files: Option<u64>,
    /// Whether it enters a session of its own, with its standard input as the terminal.
    pub terminal: bool,
}

/// Prepares what a process does between fork and exec: it is set to die with us, gets its core file limit back, and
/// enters its cgroup and terminal.
pub(crate) fn prepare(command: &mut Command, core: Rlimit, entrance: SpawnContext) {
    let parent = getpid();
    // Nobody may raise a limit that the system has set.
    let files = entrance.max_open_files.map(|most| {
        let most = getrlimit(Resource::Nofile).maximum.map_or(most, |maximum| maximum.min(most));
        Rlimit { current: Some(most), maximum: Some(most) }
    });
    let before_exec = move || {
        super::die_with_parent(parent)?;
        setrlimit(Resource::Core, core)?;
        if let Some(files) = files {
            setrlimit(Resource::Nofile, files)?;
        }
        if let Some(cgroup) = &entrance.cgroup {
            rustix::io::write(cgroup, b"0")?;
        }
        if entrance.terminal {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        Ok(())
    };
    #[expect(unsafe_code, reason = "it runs between fork and exec")]
    // SAFETY: it makes system calls only, through rustix, which wraps them without locks or allocation.
    unsafe {
        command.pre_exec(before_exec);
    }
}

/// Passes a descriptor to a new process under the same number, and gives the process a session of its own, in an open
/// directory if there is one.
pub(crate) fn inherit_fd(command: &mut Command, fd: RawFd, directory: Option<RawFd>) {
    let before_exec = move || {
        rustix::process::setsid()?;
        if let Some(directory) = directory {
            #[expect(unsafe_code, reason = "a descriptor by its number")]
            // SAFETY: as below.
            let directory = unsafe { BorrowedFd::borrow_raw(directory) };
            rustix::process::fchdir(directory)?;
        }
        #[expect(unsafe_code, reason = "a descriptor by its number")]
        // SAFETY: the caller keeps the descriptor open until the process has started.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::empty())?;
        Ok(())
    };
    #[expect(unsafe_code, reason = "it runs between fork and exec")]
    // SAFETY: it makes system calls only, as above.
    unsafe {
        command.pre_exec(before_exec);
    }
}

/// Returns a descriptor that was passed to this process under this number.
pub(crate) fn inherited_fd(fd: RawFd) -> OwnedFd {
    use std::os::fd::FromRawFd;
    #[expect(unsafe_code, reason = "a descriptor by its number")]
    // SAFETY: the process that started this one left the descriptor open for us, and nothing else here uses it.
    unsafe {
        OwnedFd::from_raw_fd(fd)
    }
}

/// Gives back the pages of this program's code and constants, of which a long wait needs few. Those that are needed again
/// are read from the file again, or from the kernel's copy of it.
#[cfg(target_os = "linux")]
pub(crate) fn release_code_pages() {
    #[expect(unsafe_code, reason = "the linker calls it")]
    unsafe extern "C" fn of_program(info: *mut libc::dl_phdr_info, _: usize, _: *mut libc::c_void) -> libc::c_int {
        let page = rustix::param::page_size();
        // SAFETY: the linker describes what it has loaded, for as long as this runs. Nobody can write to these segments,
        // and nobody has, so the kernel reads the same bytes again.
        unsafe {
            let parts = std::slice::from_raw_parts((*info).dlpi_phdr, (*info).dlpi_phnum.into());
            for part in parts.iter().filter(|part| part.p_type == libc::PT_LOAD && part.p_flags & libc::PF_W == 0) {
                let (begin, size) = (((*info).dlpi_addr + part.p_vaddr) as usize, part.p_memsz as usize);
                let start = begin / page * page;
                let length = (begin + size).next_multiple_of(page) - start;
                libc::madvise(std::ptr::with_exposed_provenance_mut(start), length, libc::MADV_DONTNEED);
            }
        }
        // The program itself comes first. What it shares with others stays.
        1
    }
    #[expect(unsafe_code, reason = "no safe crate offers it")]
    // SAFETY: it gets nothing of ours.
    unsafe {
        libc::dl_iterate_phdr(Some(of_program), std::ptr::null_mut());
    }
}

/// Gives back pages of this program: here, nobody knows which it needs no more.
#[cfg(not(target_os = "linux"))]
pub(crate) fn release_code_pages() {}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    /// Returns the memory that this program's code takes, in kB.
    fn code() -> u64 {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let here = super::release_code_pages as fn() as usize;
        let is_here = |line: &str| {
            let range = line.split_once(' ').and_then(|(range, _)| range.split_once('-'));
            let number = |text| usize::from_str_radix(text, 16).ok();
            range.and_then(|(start, end)| Some((number(start)?..number(end)?).contains(&here))).unwrap_or_default()
        };
        let of_here = maps.lines().skip_while(|line| !is_here(line));
        let rss = of_here.filter_map(|line| line.strip_prefix("Rss:")).next().unwrap();
        rss.trim().trim_end_matches(" kB").parse().unwrap()
    }

    #[test]
    fn code_that_was_given_back_goes_on() {
        let before = code();
        super::release_code_pages();
        assert!(code() < before, "{} of {before} kB", code());
    }
}

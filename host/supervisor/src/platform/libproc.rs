//! Reading process information from macOS's `libproc` and `sysctl`.
//!
//! Sizes and positions are those of `sys/proc_info.h`, which are the same for both processors; libc has the smaller structs.

use std::ffi::{OsString, c_int, c_void};
use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::darwin;
use super::stat::Stat;

/// Structs that the kernel fills whole, for one flavor of `proc_pidinfo`.
///
/// # Safety
/// The struct must be the one of this flavor, and valid with any content.
#[expect(unsafe_code, reason = "the kernel fills it")]
unsafe trait Flavor: Copy {
    const FLAVOR: c_int;
}

#[expect(unsafe_code, reason = "the kernel fills it")]
// SAFETY: these are the kernel's own pairs of a struct and a flavor, and all of their fields are numbers.
unsafe impl Flavor for libc::proc_bsdinfo {
    const FLAVOR: c_int = libc::PROC_PIDTBSDINFO;
}

#[expect(unsafe_code, reason = "the kernel fills it")]
// SAFETY: as above.
unsafe impl Flavor for libc::proc_bsdshortinfo {
    const FLAVOR: c_int = libc::PROC_PIDT_SHORTBSDINFO;
}

#[expect(unsafe_code, reason = "the kernel fills it")]
// SAFETY: as above.
unsafe impl Flavor for libc::proc_taskinfo {
    const FLAVOR: c_int = libc::PROC_PIDTASKINFO;
}

/// Returns information about a process, or `None` if it is gone, or this user may not read it.
fn info<T: Flavor>(pid: u32) -> Option<T> {
    let (pid, size) = (c_int::try_from(pid).ok()?, c_int::try_from(size_of::<T>()).ok()?);
    let mut info = MaybeUninit::<T>::zeroed();
    #[expect(unsafe_code, reason = "libproc")]
    // SAFETY: the kernel writes at most `size` bytes to `info`, which has room for them.
    let written = unsafe { libc::proc_pidinfo(pid, T::FLAVOR, 0, info.as_mut_ptr().cast::<c_void>(), size) };
    #[expect(unsafe_code, reason = "libproc")]
    // SAFETY: it began as zeros, and any content is valid, as `Flavor` demands.
    (written == size).then(|| unsafe { info.assume_init() })
}

/// Reads a process's state. Returns `None` if the process is gone or a zombie. What another user's process keeps back is
/// 0.
pub(super) fn stat(pid: u32) -> Option<Stat> {
    let (status, parent, start) = match info::<libc::proc_bsdinfo>(pid) {
        // In microseconds since 1970, by the clock of the time when it started.
        Some(of) => (of.pbi_status, of.pbi_ppid, of.pbi_start_tvsec * 1_000_000 + of.pbi_start_tvusec),
        None => info::<libc::proc_bsdshortinfo>(pid).map(|of| (of.pbsi_status, of.pbsi_ppid, 0))?,
    };
    #[expect(unsafe_code, reason = "rustix takes 0 for an impossible answer")]
    // SAFETY: it takes and returns numbers.
    let session = unsafe { libc::getsid(c_int::try_from(pid).ok()?) };
    Some(Stat {
        is_ended: status == libc::SZOMB,
        is_stopped: status == libc::SSTOP,
        parent,
        session: u32::try_from(session).unwrap_or(0),
        start,
    })
}

/// Returns whether a process may belong to a program that started at `since`. The clock that starts are read from may have
/// been set back, so it may.
pub(super) fn may_have_started_since(_stat: Stat, _since: u64) -> bool {
    true
}

/// Returns all processes.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    const PROC_ALL_PIDS: u32 = 1;
    list(|buffer, size| {
        #[expect(unsafe_code, reason = "libproc")]
        // SAFETY: the kernel writes at most `size` bytes to `buffer`, which `list` gives it.
        let written = unsafe { libc::proc_listpids(PROC_ALL_PIDS, 0, buffer, size) };
        usize::try_from(written).unwrap_or(0) / size_of::<c_int>()
    })
    .into_iter()
    .filter_map(|pid: c_int| u32::try_from(pid).ok().filter(|pid| *pid > 0))
}

/// Returns all items of a list of the kernel's. `fill` gets a buffer and its size in bytes, and returns how many items it
/// wrote.
fn list<T: Copy + Default>(fill: impl Fn(*mut c_void, c_int) -> usize) -> Vec<T> {
    let mut room = 512;
    loop {
        let mut items = vec![T::default(); room];
        let size = c_int::try_from(room * size_of::<T>()).unwrap_or(c_int::MAX);
        let count = fill(items.as_mut_ptr().cast::<c_void>(), size);
        // A full buffer may have been too small.
        if count < room || room >= 1 << 20 {
            items.truncate(count);
            return items;
        }
        room *= 2;
    }
}

/// The most bytes of arguments and variables that macOS gives a process (`ARG_MAX`).
const ARG_MAX: usize = 1 << 20;

/// Returns how a process was started, as the kernel keeps it. That of another user's process cannot be read.
fn started_with(pid: u32) -> Option<Vec<u8>> {
    let mut name = [libc::CTL_KERN, libc::KERN_PROCARGS2, c_int::try_from(pid).ok()?];
    let mut bytes = vec![0; ARG_MAX];
    let mut size = bytes.len();
    #[expect(unsafe_code, reason = "sysctl")]
    // SAFETY: the kernel reads three numbers, and writes at most `size` bytes to `bytes`; it sets nothing.
    let failed = unsafe {
        libc::sysctl(name.as_mut_ptr(), 3, bytes.as_mut_ptr().cast::<c_void>(), &raw mut size, std::ptr::null_mut(), 0)
    };
    bytes.truncate(size);
    (failed == 0).then_some(bytes)
}

/// Returns a process's initial environment, or `None` if we may not read it.
pub(super) fn variables(pid: u32) -> Option<Vec<u8>> {
    Some(darwin::parse(&started_with(pid)?)?.variables.to_owned())
}

/// Returns a process's command line, each word ended by a NUL, or `None` if it cannot be read.
pub(super) fn command_line(pid: u32) -> Option<Vec<u8>> {
    Some(darwin::parse(&started_with(pid)?)?.command_line.to_owned())
}

/// Returns the path of a process's executable.
pub(super) fn executable(pid: u32) -> io::Result<PathBuf> {
    let pid = c_int::try_from(pid).map_err(|_| io::ErrorKind::NotFound)?;
    let mut path = vec![0_u8; libc::PROC_PIDPATHINFO_MAXSIZE.unsigned_abs() as usize];
    let size = libc::PROC_PIDPATHINFO_MAXSIZE.unsigned_abs();
    #[expect(unsafe_code, reason = "libproc")]
    // SAFETY: the kernel writes at most `size` bytes to `path`, which has them.
    let length = unsafe { libc::proc_pidpath(pid, path.as_mut_ptr().cast::<c_void>(), size) };
    match usize::try_from(length) {
        Ok(length) if length > 0 => {
            path.truncate(length);
            Ok(OsString::from_vec(path).into())
        }
        _ => Err(io::Error::last_os_error()),
    }
}

/// Returns what the kernel calls a process, or nothing if it is gone.
pub(super) fn name(pid: u32) -> String {
    let Some(info) = info::<libc::proc_bsdshortinfo>(pid) else { return String::new() };
    let bytes: Vec<u8> = info.pbsi_comm.iter().map(|byte| byte.cast_unsigned()).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns how much memory a process has in use, in bytes.
pub(super) fn memory_in_use(pid: u32) -> Option<u64> {
    info::<libc::proc_taskinfo>(pid).map(|info| info.pti_resident_size)
}

/// Returns the processor time of a process so far, in milliseconds.
pub(super) fn cpu_millis(pid: u32) -> Option<u64> {
    let info = info::<libc::proc_taskinfo>(pid)?;
    let (numerator, denominator) = nanoseconds();
    let ticks = u128::from(info.pti_total_user) + u128::from(info.pti_total_system);
    u64::try_from(ticks * u128::from(numerator) / u128::from(denominator) / 1_000_000).ok()
}

/// Returns how many nanoseconds a tick of processor time has, as a fraction: 1 on Intel's processors, 125/3 on Apple's.
#[expect(deprecated, reason = "libc's advice is another crate, for this alone")]
fn nanoseconds() -> (u32, u32) {
    static TIMEBASE: OnceLock<(u32, u32)> = OnceLock::new();
    *TIMEBASE.get_or_init(|| {
        let mut info = libc::mach_timebase_info { numer: 0, denom: 0 };
        #[expect(unsafe_code, reason = "the kernel's timebase")]
        // SAFETY: it writes the two numbers.
        let failed = unsafe { libc::mach_timebase_info(&raw mut info) };
        if failed == 0 && info.denom != 0 { (info.numer, info.denom) } else { (1, 1) }
    })
}

/// Returns what distinguishes this boot of the system from others.
pub(super) fn boot_id() -> Option<String> {
    let mut text = [0_u8; 64];
    let mut size = text.len();
    #[expect(unsafe_code, reason = "sysctl")]
    // SAFETY: the name ends with a NUL, and the kernel writes at most `size` bytes to `text`; it sets nothing.
    let failed = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            text.as_mut_ptr().cast::<c_void>(),
            &raw mut size,
            std::ptr::null_mut(),
            0,
        )
    };
    let text = text.get(..size).filter(|_| failed == 0)?.split(|byte| *byte == 0).next()?;
    Some(str::from_utf8(text).ok()?.to_owned()).filter(|text| !text.is_empty())
}

/// The TCP sockets of this machine that listen. Each process is asked for its own.
pub(crate) struct TcpListeners;

impl TcpListeners {
    /// Looks at nothing yet.
    pub fn snapshot() -> Self {
        Self
    }

    /// Looks at nothing yet, so there may be one.
    pub fn find(_port: u16) -> Option<Self> {
        Some(Self)
    }

    /// Returns the ports that a process listens on. Those of another user's process are not shown.
    pub fn ports(&self, pid: u32) -> impl Iterator<Item = u16> {
        let pid = c_int::try_from(pid).unwrap_or(0);
        let files: Vec<[i32; 2]> = list(|buffer, size| {
            #[expect(unsafe_code, reason = "libproc")]
            // SAFETY: the kernel writes at most `size` bytes to `buffer`, which `list` gives it.
            let written = unsafe { libc::proc_pidinfo(pid, libc::PROC_PIDLISTFDS, 0, buffer, size) };
            usize::try_from(written).unwrap_or(0) / size_of::<libc::proc_fdinfo>()
        });
        let sockets = files.into_iter().filter(|[_, kind]| *kind == libc::PROX_FDTYPE_SOCKET);
        sockets.filter_map(move |[fd, _]| socket(pid, fd).as_deref().and_then(darwin::listening_port))
    }
}

/// Returns what the kernel keeps about a socket, a `socket_fdinfo`.
fn socket(pid: c_int, fd: c_int) -> Option<Vec<u8>> {
    const FLAVOR: c_int = 3;
    let mut info = vec![0_u8; darwin::SOCKET_SIZE];
    let size = c_int::try_from(info.len()).ok()?;
    #[expect(unsafe_code, reason = "libproc")]
    // SAFETY: the kernel writes at most `size` bytes to `info`, which has them.
    let written = unsafe { libc::proc_pidfdinfo(pid, fd, FLAVOR, info.as_mut_ptr().cast::<c_void>(), size) };
    (written == size).then_some(info)
}

/// Returns false: processes have no mark here but their variables.
pub(crate) fn has_mark(_pid: u32, _number: u64) -> Option<bool> {
    Some(false)
}

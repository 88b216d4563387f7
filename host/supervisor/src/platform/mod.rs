//! System-specific code: waking, liveness, groups, the runtime directory, files in memory.

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(any(target_os = "macos", all(test, unix)))]
mod darwin;
#[cfg(target_os = "macos")]
mod libproc;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod listening;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(not(unix))]
mod other;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(unix)]
mod raw;
#[cfg(unix)]
mod seen;
#[cfg(unix)]
mod stat;
#[cfg(unix)]
mod unix;

#[cfg(all(unix, not(any(target_os = "linux", target_os = "macos"))))]
compile_error!("aiw runs on Linux and macOS, and parts of it on Windows");

#[cfg(target_os = "linux")]
pub(crate) use cgroup::Group;
#[cfg(target_os = "macos")]
use libproc as source;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(target_os = "macos")]
pub(crate) use macos::*;
#[cfg(not(unix))]
pub(crate) use other::*;
#[cfg(target_os = "linux")]
use procfs as source;
#[cfg(unix)]
pub(crate) use raw::{
    ForkResult, SpawnContext, close_inherited_fds, dup_to, fork, inherit_fd, inherited_fd, prepare, release_code_pages,
};
#[cfg(unix)]
pub use seen::ObservedProcess;
#[cfg(unix)]
pub(crate) use seen::{
    PortOwner, ProcessTree, condition, descendants, find_marked, has_arguments, has_variables, is_alive, is_shim,
    memory_in_use, port_owner, sample, start_time,
};
#[cfg(unix)]
pub(crate) use source::{TcpListeners, has_mark};
#[cfg(unix)]
pub(crate) use unix::{OpenedProcess, ProcessCondition, Signal, is_same_file, peer_uid, timespec};

//! System-specific code: waking, liveness, groups, the runtime directory, files in memory.

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod macos;
#[cfg(not(unix))]
mod other;
#[cfg(target_os = "linux")]
mod procfs;
#[cfg(unix)]
mod raw;
#[cfg(unix)]
mod unix;

#[cfg(target_os = "linux")]
pub(crate) use cgroup::Group;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) use macos::*;
#[cfg(not(unix))]
pub(crate) use other::*;
#[cfg(unix)]
pub(crate) use raw::{Entrance, Fork, close_inherited, dup_to, fork, make_fifo, pass, passed, prepare};
#[cfg(unix)]
pub(crate) use unix::{Condition, Opened, Signal, same_file, timespec};

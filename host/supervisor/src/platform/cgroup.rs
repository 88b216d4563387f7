//! cgroup v2, where a cgroup has been delegated to this user: limits, and an end that no process escapes.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_core::ProcessId;

use super::seen::is_shim;
use super::unix::missing_cgroup_warning;
use crate::program::ResourceLimits;

/// The cgroup of a process.
#[derive(Debug)]
pub(crate) struct Group {
    path: PathBuf,
}

impl Group {
    /// Creates a group for a process, below our own group. Also returns a sentence about limits that cannot be enforced.
    /// The group is only created if limits are requested: without limits, the subreaper finds all processes as well.
    pub fn create(id: ProcessId, limits: ResourceLimits) -> (Option<Self>, Option<String>) {
        if limits.memory.is_none() && limits.cpu_percent.is_none() && limits.pids.is_none() {
            return (None, None);
        }
        let Some(ours) = own() else { return (None, missing_cgroup_warning(limits, "there is no cgroup v2 of ours")) };
        match Self::beneath(&ours, id, limits) {
            Ok(group) => (Some(group), None),
            Err(error) => {
                (None, missing_cgroup_warning(limits, &format!("`{}` cannot be divided: {error}", ours.display())))
            }
        }
    }

    fn beneath(ours: &Path, id: ProcessId, limits: ResourceLimits) -> io::Result<Self> {
        // A group that holds processes cannot delegate controllers to its children, so the process's group is created
        // next to ours if the parent is ours too.
        let mut last = Err(io::ErrorKind::PermissionDenied.into());
        for parent in [Some(ours), ours.parent()].into_iter().flatten() {
            last = Self::within(parent, id, limits);
            if last.is_ok() {
                break;
            }
        }
        last
    }

    fn within(parent: &Path, id: ProcessId, limits: ResourceLimits) -> io::Result<Self> {
        let wanted = [
            ("memory", limits.memory.is_some()),
            ("cpu", limits.cpu_percent.is_some()),
            ("pids", limits.pids.is_some()),
        ];
        let given = fs::read_to_string(parent.join("cgroup.subtree_control"))?;
        for (controller, _) in wanted.iter().filter(|(_, wanted)| *wanted) {
            if !given.split_whitespace().any(|word| word == *controller) {
                fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"))?;
            }
        }
        let group = Self { path: parent.join(format!("aiw-{id}")) };
        fs::create_dir(&group.path)?;
        let limit = || -> io::Result<()> {
            if let Some(bytes) = limits.memory {
                fs::write(group.path.join("memory.max"), bytes.to_string())?;
                // Without swap accounting this file does not exist.
                let _ = fs::write(group.path.join("memory.swap.max"), "0");
            }
            if let Some(most) = limits.pids {
                fs::write(group.path.join("pids.max"), most.to_string())?;
            }
            if let Some(percent) = limits.cpu_percent {
                fs::write(group.path.join("cpu.max"), format!("{} 100000", u64::from(percent) * 1000))?;
            }
            Ok(())
        };
        if let Err(error) = limit() {
            group.kill_and_remove();
            return Err(error);
        }
        Ok(group)
    }

    /// Returns the file that a process writes `0` to in order to enter the group.
    pub fn procs_fd(&self) -> Option<OwnedFd> {
        fs::OpenOptions::new().write(true).open(self.path.join("cgroup.procs")).ok().map(Into::into)
    }

    /// Ends all processes in the group, and removes it. If the group contains a shim, because the process started other
    /// supervised ones, those live on and the group remains.
    pub fn kill_and_remove(&self) {
        let members = fs::read_to_string(self.path.join("cgroup.procs")).unwrap_or_default();
        if members.lines().filter_map(|pid| pid.parse().ok()).any(is_shim) {
            return;
        }
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        for _ in 0..50 {
            match fs::remove_dir(&self.path) {
                Err(e) if e.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => return,
            }
        }
    }
}

/// Returns our own group, if the unified hierarchy is mounted.
fn own() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounts = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let mount = mounts.into_iter().find(|mount| Path::new(mount).join("cgroup.controllers").exists())?;
    Some(Path::new(mount).join(path))
}

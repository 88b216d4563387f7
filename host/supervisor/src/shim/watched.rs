//! Limits that the kernel does not enforce: the shim looks at what its descendants use.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aiw_core::ProcessId;

use crate::platform;
use crate::program::{LimitEnforcer, Resource, ResourceLimits};

/// How often memory is looked at.
const MEMORY_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often processes are counted.
const PID_COUNT_INTERVAL: Duration = Duration::from_millis(100);

/// The limits that are watched.
pub(super) struct WatchedLimits {
    memory: Option<(u64, Instant)>,
    pids: Option<(u32, Instant)>,
}

impl WatchedLimits {
    /// Returns what to watch, given what is enforced by others.
    pub fn new(limits: ResourceLimits, enforced: &BTreeMap<Resource, LimitEnforcer>, now: Instant) -> Self {
        let is_ours = |resource| enforced.get(&resource) == Some(&LimitEnforcer::Watched);
        Self {
            memory: limits.memory.filter(|_| is_ours(Resource::Memory)).map(|most| (most, now)),
            pids: limits.pids.filter(|_| is_ours(Resource::Pids)).map(|most| (most, now)),
        }
    }

    /// Returns when to look again.
    pub fn next_deadline(&self) -> Option<Instant> {
        [self.memory.map(|(_, due)| due), self.pids.map(|(_, due)| due)].into_iter().flatten().min()
    }

    /// Looks, if it is time. Returns which limit is exceeded.
    pub fn check(&mut self, now: Instant) -> Option<String> {
        if let Some((most, due)) = &mut self.pids
            && now >= *due
        {
            *due = now + PID_COUNT_INTERVAL;
            let count = platform::descendants(std::process::id(), &|pid, _| platform::is_shim(pid)).len();
            if count > *most as usize {
                return Some(format!("it had {count} processes, and may have {most}"));
            }
        }
        if let Some((most, due)) = &mut self.memory
            && now >= *due
        {
            *due = now + MEMORY_POLL_INTERVAL;
            let all = platform::descendants(std::process::id(), &|pid, _| platform::is_shim(pid));
            let used: u64 = all.iter().filter_map(|(pid, _)| platform::memory_in_use(*pid)).sum();
            if used > *most {
                return Some(format!("it used {} MB of memory, and may use {}", used >> 20, *most >> 20));
            }
        }
        None
    }
}

impl ResourceLimits {
    /// Returns which of these limits nobody can enforce here, and why, as a sentence. A start would meet the same.
    pub fn unenforceable_reason(self) -> Option<String> {
        let (group, sentence) = platform::Group::create(ProcessId::from_number(std::process::id().into()), self);
        if let Some(group) = group {
            group.kill_and_remove();
        }
        sentence
    }

    /// Returns who enforces each limit, given whether the kernel does for the group.
    pub(super) fn enforcers(&self, by_kernel: bool) -> BTreeMap<Resource, LimitEnforcer> {
        let watched = if self.watch { LimitEnforcer::Watched } else { LimitEnforcer::None };
        let grouped = |otherwise| if by_kernel { LimitEnforcer::Kernel } else { otherwise };
        let all = [
            (Resource::Memory, self.memory.is_some(), grouped(watched)),
            (Resource::Cpu, self.cpu_percent.is_some(), grouped(LimitEnforcer::None)),
            (Resource::Pids, self.pids.is_some(), grouped(watched)),
            (Resource::Files, self.files.is_some(), LimitEnforcer::Kernel),
        ];
        all.into_iter().filter(|(_, is_set, _)| *is_set).map(|(resource, _, by)| (resource, by)).collect()
    }
}

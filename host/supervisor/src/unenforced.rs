//! Whether limits of resources would be enforced here.

use aiw_core::ProcessId;

use crate::platform::Group;
use crate::program::ResourceLimits;

/// Returns a sentence about limits that nothing would enforce on this system, as a start would find it: by making a cgroup,
/// which is removed at once.
pub fn unenforced_limits_warning(limits: ResourceLimits) -> Option<String> {
    let id = ProcessId::from_number((u64::from(std::process::id()) << 40) ^ aiw_home::now_millis());
    let (group, sentence) = Group::create(id, limits);
    group.into_iter().for_each(|group| group.kill_and_remove());
    sentence
}

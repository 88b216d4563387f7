//! A cached listing, so that a caller who lists every second pays only for what has changed.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aiw_core::ProcessState as State;
use parking_lot::Mutex;
use rustix::process::{Pid, test_kill_process};

use super::outcome::SupervisedProcess;
use crate::records::Records;
use crate::root::ProcessScope;
use crate::runtime::RuntimeDir;
use crate::segment::{Segment, segments};

/// If a directory was changed less than this before it was read, the next change may have the same time stamp.
const MTIME_GRANULARITY: Duration = Duration::from_millis(100);

/// The last listing, if it can be checked that it is still current.
#[derive(Debug, Clone, Default)]
pub(super) struct ListingCache(Arc<Mutex<LastListing>>);

#[derive(Debug, Default)]
struct LastListing {
    /// Whether anybody has asked before. A command that lists once pays for no copy.
    is_asked: bool,
    listing: Option<ProcessListing>,
}

#[derive(Debug)]
struct ProcessListing {
    all: Vec<SupervisedProcess>,
    /// When the directory of all records was last changed: by a start, a removal or a report.
    changed: SystemTime,
    /// The segments of the live processes, and how often each had changed.
    segments: Vec<(Arc<Segment>, u32)>,
    /// The shims of the live processes.
    shims: Vec<Pid>,
}

impl ProcessListing {
    /// Returns whether nothing can have changed since.
    fn is_current(&self, changed: SystemTime) -> bool {
        self.changed == changed
            && self.segments.iter().all(|(segment, seen)| segment.generation() == *seen && segment.is_current())
            && self.shims.iter().all(|shim| test_kill_process(*shim).is_ok())
    }
}

impl ListingCache {
    /// Returns the last listing if nothing has changed since. That takes a few system calls instead of reading all
    /// records.
    pub(super) fn current(&self, records: &Records) -> Option<Vec<SupervisedProcess>> {
        let kept = self.0.lock();
        let listing = kept.listing.as_ref()?;
        listing.is_current(changed(records)?).then(|| listing.all.clone())
    }

    /// Keeps a listing, if every change to it can be noticed.
    pub(super) fn store(&self, before: ListingVersion, all: &[SupervisedProcess]) {
        let mut kept = self.0.lock();
        kept.listing = if kept.is_asked { before.listing(all) } else { None };
        kept.is_asked = true;
    }
}

fn changed(records: &Records) -> Option<SystemTime> {
    fs::metadata(records.root()).and_then(|meta| meta.modified()).ok()
}

/// The state before all records were read.
pub(super) struct ListingVersion {
    changed: Option<SystemTime>,
    time: SystemTime,
    segments: Vec<(Arc<Segment>, u32)>,
}

impl ListingVersion {
    /// Captures the state before the records are read, by which later changes are noticed.
    pub(super) fn capture(records: &Records, runtime: &RuntimeDir, scope: ProcessScope) -> Self {
        let segments = segments(runtime, scope).unwrap_or_default().into_iter().flatten();
        let segments = segments.map(|segment| (segment.generation(), segment)).map(|(seen, segment)| (segment, seen));
        Self { changed: changed(records), time: SystemTime::now(), segments: segments.collect() }
    }

    fn listing(self, all: &[SupervisedProcess]) -> Option<ProcessListing> {
        let changed = self.changed?;
        self.time.duration_since(changed).ok().filter(|age| *age >= MTIME_GRANULARITY)?;
        let mut shims = Vec::new();
        let slots = self.segments.iter().flat_map(|(segment, _)| segment.scan().map(|slot| slot.instance()));
        let slots: HashSet<u64> = slots.collect();
        for SupervisedProcess { record, is_persisted: settled, .. } in all {
            if record.state == State::Ended && *settled {
                continue;
            }
            // Changes to a process without a slot, or with a dead shim, cannot be noticed.
            if !settled || !slots.contains(&record.instance) {
                return None;
            }
            shims.push(i32::try_from(record.shim.pid).ok().and_then(Pid::from_raw)?);
        }
        Some(ProcessListing { all: all.to_vec(), changed, segments: self.segments, shims })
    }
}

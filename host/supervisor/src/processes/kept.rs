//! A listing that is kept: whoever looks each second pays for what has changed.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aiw_core::TaskState as State;
use rustix::process::{Pid, test_kill_process};

use super::outcome::Supervised;
use crate::records::Records;
use crate::root::{Root, Scope};
use crate::runtime::RuntimeDir;
use crate::segment::{Segment, open, sessions};

/// Of a directory that was changed later than this before it was read, the next change may bear the same time.
const GRAIN: Duration = Duration::from_millis(100);

/// What was seen last, if it can be known that it is so still.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<Option<Listing>>>);

#[derive(Debug)]
struct Listing {
    all: Vec<Supervised>,
    /// When the directory of all records was changed last: by a start, a removal, a report.
    changed: SystemTime,
    /// The segments of those that live, and how often they had changed.
    segments: Vec<(Arc<Segment>, u32)>,
    /// The shims of those that live.
    shims: Vec<Pid>,
}

impl Listing {
    /// Whether nothing can have happened since.
    fn is_current(&self, changed: SystemTime) -> bool {
        self.changed == changed
            && self.segments.iter().all(|(segment, seen)| segment.generation() == *seen && segment.is_current())
            && self.shims.iter().all(|shim| test_kill_process(*shim).is_ok())
    }
}

impl Kept {
    /// What was listed last, if nothing has happened since: a few system calls instead of reading all records.
    pub(super) fn current(&self, records: &Records) -> Option<Vec<Supervised>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let listing = kept.as_ref()?;
        listing.is_current(changed(records)?).then(|| listing.all.clone())
    }

    /// Keeps a listing, if all changes of it will be seen.
    pub(super) fn keep(&self, before: Before, all: &[Supervised]) {
        let listing = before.listing(all);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = listing;
    }
}

fn changed(records: &Records) -> Option<SystemTime> {
    fs::metadata(records.root()).and_then(|meta| meta.modified()).ok()
}

/// What was the case before all records were read.
pub(super) struct Before {
    changed: Option<SystemTime>,
    time: SystemTime,
    segments: Vec<(Arc<Segment>, u32)>,
}

impl Before {
    /// Before the records are read: what tells later that they have changed.
    pub(super) fn looking(records: &Records, runtime: &RuntimeDir, scope: Scope) -> Self {
        let roots = match scope {
            Scope::Session(root) => vec![root],
            Scope::All => {
                let all = sessions(runtime).unwrap_or_default();
                all.into_iter().map(|pid| Root { pid, start: 0 }).collect()
            }
        };
        let segments = roots.into_iter().filter_map(|root| open(runtime, root).ok().flatten());
        let segments = segments.map(|segment| (segment.generation(), segment)).map(|(seen, segment)| (segment, seen));
        Self { changed: changed(records), time: SystemTime::now(), segments: segments.collect() }
    }

    fn listing(self, all: &[Supervised]) -> Option<Listing> {
        let changed = self.changed?;
        self.time.duration_since(changed).ok().filter(|age| *age >= GRAIN)?;
        let mut shims = Vec::new();
        for Supervised { record, settled, .. } in all {
            if record.state == State::Ended && *settled {
                continue;
            }
            // One that has no slot, or a dead shim, tells nobody of its changes.
            let mut slots = self.segments.iter().flat_map(|(segment, _)| segment.scan());
            if !settled || !slots.any(|slot| slot.instance() == record.instance) {
                return None;
            }
            shims.push(i32::try_from(record.shim.pid).ok().and_then(Pid::from_raw)?);
        }
        Some(Listing { all: all.to_vec(), changed, segments: self.segments, shims })
    }
}

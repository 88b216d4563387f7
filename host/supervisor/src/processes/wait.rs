//! Waiting for the ends of processes, by sleeping on the roots' futexes and on the shims themselves.

use std::collections::{HashMap, HashSet};
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aiw_core::{ProcessId, ProcessOutcome as Outcome, ProcessState as State};
use aiw_home::now_millis;
use rustix::event::{PollFd, PollFlags, poll};

use super::list::Segments;
use super::outcome::{SupervisedProcess, WaitMode, WaitOutcome};
use super::table::Processes;
use crate::error::SupervisorError;
use crate::platform::timespec;
use crate::root::Root;
use crate::segment::open;
use crate::signal::{ProcessProof, Target};

/// The maximum time of a sleep. Ends wake the sleeper at once, so this is for events that cannot be noticed from
/// here: shims in other containers, and `cancelled`.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The minimum time between two checks, however fast changes come.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// A process that is being waited for.
struct Awaited {
    seen: SupervisedProcess,
    /// Its shim, as a handle that can be polled.
    shim: Option<Target>,
    /// The sequence of its slot when it was last checked.
    sequence: Option<u64>,
}

impl Processes {
    /// Waits until one or all of the processes have ended, until the deadline, or until `cancelled` is set, which is
    /// noticed within a second. `on_change` is called at the start and after each change of a state. A process that
    /// is removed meanwhile is reported as last known; a process that is named twice is reported once.
    pub fn wait(
        &self,
        ids: &[ProcessId],
        mode: WaitMode,
        deadline: Option<Instant>,
        cancelled: &AtomicBool,
        on_change: &mut dyn FnMut(&[SupervisedProcess]),
    ) -> Result<WaitOutcome<SupervisedProcess>, SupervisorError> {
        let mut named = HashSet::new();
        let ids: Vec<ProcessId> = ids.iter().copied().filter(|id| named.insert(*id)).collect();
        let mut ears = FutexPoll::new().map_err(|e| SupervisorError::io("wait for", self.records.root(), e))?;
        let mut watched: HashMap<ProcessId, Awaited> = HashMap::new();
        let mut all: Vec<SupervisedProcess> = Vec::new();
        let mut over = HashSet::new();
        loop {
            // Listening begins before checking, so that no change is missed.
            ears.forget();
            let mut segments = Segments::new(self);
            let mut has_changed = all.is_empty();
            for id in &ids {
                let known = watched.get(id);
                if known.is_some_and(|known| !over.contains(id) && known.is_unchanged(&mut segments)) {
                    continue;
                }
                let now = match (self.watch(*id, &mut segments, &mut ears), known) {
                    (Ok(now), _) => now,
                    (Err(SupervisorError::NotFound { .. }), Some(known)) => Awaited::unheard(gone(known.seen.clone())),
                    // The record may be readable again at the next check.
                    (Err(_), Some(known)) => Awaited::unheard(known.seen.clone()),
                    (Err(error), None) => return Err(error),
                };
                has_changed |= known.is_none_or(|known| known.seen != now.seen);
                watched.insert(*id, now);
            }
            if has_changed {
                all = ids.iter().filter_map(|id| Some(watched.get(id)?.seen.clone())).collect();
                on_change(&all);
            }
            let mut ends = all.iter().map(|one| one.record.state == State::Ended);
            let done = match mode {
                WaitMode::Any => all.is_empty() || ends.any(|ended| ended),
                WaitMode::All => ends.all(|ended| ended),
            };
            let is_cancelled = cancelled.load(Ordering::Relaxed);
            let left = deadline.map_or(MAX_POLL_INTERVAL, |at| at.saturating_duration_since(Instant::now()));
            if done || is_cancelled || left.is_zero() {
                return Ok(WaitOutcome { processes: all, done, cancelled: is_cancelled && !done });
            }
            over = ears.sleep(&watched, left.min(MAX_POLL_INTERVAL));
        }
    }

    /// Reads a process, and listens to its shim and its root from now on.
    fn watch(&self, id: ProcessId, segments: &mut Segments, ears: &mut FutexPoll) -> Result<Awaited, SupervisorError> {
        let record = self.record(id)?;
        // A slot is changed after its record. Reading the slot first makes sure that it is never newer than the
        // record.
        let sequence = segments.slot(&record).map(|slot| slot.sequence());
        let mut shim = None;
        if record.state != State::Ended {
            ears.listen(self, record.root);
            // Only the shim itself is listened to. A record can name any process, whose life says nothing about this one.
            shim = Target::find(record.shim.pid, record.shim.start, ProcessProof::Supervisor(&record)).ok().flatten();
        }
        // Read again, because the process may have ended before we listened to its shim.
        let record = self.read_repaired(id)?;
        Ok(Awaited { seen: self.refresh(record, segments), shim, sequence })
    }
}

impl Awaited {
    /// Returns a process that we cannot listen to, so it is checked each time.
    fn unheard(seen: SupervisedProcess) -> Self {
        Self { seen, shim: None, sequence: None }
    }

    /// Returns whether nothing can have happened to the process: its shim lives, and its slot is unchanged.
    fn is_unchanged(&self, segments: &mut Segments) -> bool {
        let has_ended = self.seen.record.state == State::Ended;
        let is_heard = self.shim.as_ref().is_some_and(|shim| shim.as_fd().is_some()) && self.sequence.is_some();
        has_ended || is_heard && segments.slot(&self.seen.record).map(|slot| slot.sequence()) == self.sequence
    }
}

/// Returns the last state of a process that was removed while it was being waited for. Only ended processes are
/// removed.
fn gone(mut one: SupervisedProcess) -> SupervisedProcess {
    let record = &mut one.record;
    if record.state != State::Ended {
        record.state = State::Ended;
        record.outcome = Some(Outcome::Lost);
        record.ended = Some(now_millis());
        record.note = Some("its record was removed before anybody here saw how it ended".into());
    }
    one.is_seen = true;
    one
}

/// Turns futex wakes into events that can be polled.
struct FutexPoll {
    heard: PipeReader,
    notify_pipe: Arc<PipeWriter>,
    roots: Vec<Root>,
    done: Arc<AtomicBool>,
}

impl FutexPoll {
    fn new() -> std::io::Result<Self> {
        let (heard, tell) = std::io::pipe()?;
        rustix::io::ioctl_fionbio(&heard, true)?;
        rustix::io::ioctl_fionbio(&tell, true)?;
        Ok(Self { heard, notify_pipe: Arc::new(tell), roots: Vec::new(), done: Arc::new(AtomicBool::new(false)) })
    }

    /// Listens to a root with a thread, because a futex and a descriptor cannot be waited for at once. If that
    /// fails, the ends of the shims are still noticed.
    fn listen(&mut self, processes: &Processes, root: Root) {
        if self.roots.contains(&root) {
            return;
        }
        self.roots.push(root);
        let Ok(Some(segment)) = open(&processes.runtime, root) else { return };
        let (tell, done) = (self.notify_pipe.clone(), self.done.clone());
        let mut seen = segment.generation();
        let listen = move || {
            while !done.load(Ordering::Relaxed) {
                segment.sleep(seen, MAX_POLL_INTERVAL);
                let now = segment.generation();
                if now != seen {
                    seen = now;
                    // A full pipe wakes the sleeper as well.
                    let _ = (&*tell).write(&[0]);
                }
            }
        };
        let _ = std::thread::Builder::new().name("aiw-wait".into()).stack_size(64 << 10).spawn(listen);
    }

    fn forget(&mut self) {
        let mut bytes = [0; 256];
        while self.heard.read(&mut bytes).is_ok_and(|n| n > 0) {}
    }

    /// Sleeps until there is an event. Returns the processes whose shims have ended.
    fn sleep(&self, watched: &HashMap<ProcessId, Awaited>, limit: Duration) -> HashSet<ProcessId> {
        let shims = watched.iter().filter_map(|(id, one)| Some((*id, one.shim.as_ref()?.as_fd()?)));
        let shims: Vec<_> = shims.filter(|(id, _)| watched[id].seen.record.state != State::Ended).collect();
        let mut fds = vec![PollFd::from_borrowed_fd(self.heard.as_fd(), PollFlags::IN)];
        fds.extend(shims.iter().map(|(_, fd)| PollFd::from_borrowed_fd(*fd, PollFlags::IN)));
        let start = Instant::now();
        if !poll(&mut fds, Some(&timespec(limit))).is_ok_and(|count| count > 0) {
            return HashSet::new();
        }
        std::thread::sleep(MIN_POLL_INTERVAL.saturating_sub(start.elapsed()));
        let over = shims.iter().zip(&fds[1..]).filter(|(_, fd)| !fd.revents().is_empty());
        over.map(|((id, _), _)| *id).collect()
    }
}

impl Drop for FutexPoll {
    fn drop(&mut self) {
        // The threads see it when they next wake, within a second.
        self.done.store(true, Ordering::Relaxed);
    }
}

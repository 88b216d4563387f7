//! Waiting for the ends of tasks: asleep on the sessions' futexes and on the shims themselves.

use std::collections::HashSet;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use aiw_core::TaskId;
use rustix::event::{PollFd, PollFlags, poll};

use aiw_home::now_millis;

use super::list::Segments;
use super::{Tasks, WaitMode, Waited};
use crate::platform::{Process, timespec};
use crate::segment::Segment;
use crate::{Outcome, Root, State, Task, TaskError};

/// How long a sleep lasts when nothing wakes it. Ends wake it at once, so this is for what cannot
/// be heard from here: shims in other containers, and `cancelled`.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Tasks {
    /// Waits until one or all of the tasks have ended, until the deadline, or until `cancelled` is
    /// set, which is seen within a second. `on_change` is called at the start and after each
    /// change of a state. A task that is removed meanwhile stays as it was last known; one that is named
    /// twice is reported once.
    pub fn wait(
        &self,
        ids: &[TaskId],
        mode: WaitMode,
        deadline: Option<Instant>,
        cancelled: &AtomicBool,
        on_change: &mut dyn FnMut(&[Task]),
    ) -> Result<Waited, TaskError> {
        let mut seen = HashSet::new();
        let ids: Vec<TaskId> = ids.iter().copied().filter(|id| seen.insert(*id)).collect();
        let mut ears = Ears::new().map_err(|e| TaskError::io("wait for", self.records.root(), e))?;
        let mut last: Option<Vec<Task>> = None;
        loop {
            // Everything that can wake is listened to before it is looked: nothing falls between.
            ears.forget();
            let mut shims = Vec::new();
            let mut tasks = Vec::with_capacity(ids.len());
            let mut segments = Segments::of(self);
            for (at, id) in ids.iter().enumerate() {
                let mut look = || {
                    let record = self.record(*id)?;
                    if record.state != State::Ended {
                        ears.listen(self, record.root);
                        shims.extend(Process::open(record.shim.pid, record.shim.start).ok().flatten());
                    }
                    // Read again: it may have ended before its shim was listened to.
                    self.look(self.record(*id)?, &mut segments)
                };
                let known = last.as_ref().and_then(|tasks| tasks.get(at));
                tasks.push(match (look(), known) {
                    (Ok(task), _) => task,
                    (Err(TaskError::NoTask { .. }), Some(known)) => gone(known.clone()),
                    // It may be readable again when it is looked next.
                    (Err(_), Some(known)) => known.clone(),
                    (Err(error), None) => return Err(error),
                });
            }
            if last.as_ref() != Some(&tasks) {
                on_change(&tasks);
            }
            let mut ends = tasks.iter().map(|task| task.state == State::Ended);
            let done = match mode {
                WaitMode::Any => tasks.is_empty() || ends.any(|ended| ended),
                WaitMode::All => ends.all(|ended| ended),
            };
            let is_cancelled = cancelled.load(Ordering::Relaxed);
            let left = deadline.map_or(LOOK_AGAIN, |at| at.saturating_duration_since(Instant::now()));
            if done || is_cancelled || left.is_zero() {
                return Ok(Waited { tasks, done, cancelled: is_cancelled && !done });
            }
            last = Some(tasks);
            ears.sleep(&shims, left.min(LOOK_AGAIN));
        }
    }
}

/// A task that was removed while it was waited for. Only what has ended is removed.
fn gone(mut task: Task) -> Task {
    if task.state != State::Ended {
        task.state = State::Ended;
        task.outcome = Some(Outcome::Lost);
        task.ended = Some(now_millis());
        task.note = Some("its record was removed before anybody here saw how it ended".into());
    }
    task.unread = false;
    task
}

/// Turns the wakes of futexes into something that can be polled.
struct Ears {
    heard: PipeReader,
    tell: Arc<PipeWriter>,
    roots: Vec<Root>,
    done: Arc<AtomicBool>,
}

impl Ears {
    fn new() -> std::io::Result<Self> {
        let (heard, tell) = std::io::pipe()?;
        rustix::io::ioctl_fionbio(&heard, true)?;
        rustix::io::ioctl_fionbio(&tell, true)?;
        Ok(Self { heard, tell: Arc::new(tell), roots: Vec::new(), done: Arc::new(AtomicBool::new(false)) })
    }

    /// Listens to a session, by a thread: a futex and a descriptor cannot be waited for at once.
    /// Where that fails, the shims' ends are heard all the same.
    fn listen(&mut self, tasks: &Tasks, root: Root) {
        if self.roots.contains(&root) {
            return;
        }
        self.roots.push(root);
        let Ok(Some(segment)) = Segment::open(&tasks.runtime, root) else { return };
        let (tell, done) = (self.tell.clone(), self.done.clone());
        let mut seen = segment.generation();
        let listen = move || {
            while !done.load(Ordering::Relaxed) {
                segment.sleep(seen, LOOK_AGAIN);
                let now = segment.generation();
                if now != seen {
                    seen = now;
                    // A full pipe wakes as well.
                    let _ = (&*tell).write(&[0]);
                }
            }
        };
        let _ = std::thread::Builder::new().name("aiw-tasks".into()).stack_size(64 << 10).spawn(listen);
    }

    fn forget(&mut self) {
        let mut bytes = [0; 256];
        while self.heard.read(&mut bytes).is_ok_and(|n| n > 0) {}
    }

    fn sleep(&self, shims: &[Process], limit: Duration) {
        let mut fds = vec![PollFd::from_borrowed_fd(self.heard.as_fd(), PollFlags::IN)];
        fds.extend(shims.iter().filter_map(Process::as_fd).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let _ = poll(&mut fds, Some(&timespec(limit)));
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        // The threads see it when they next wake, within a second.
        self.done.store(true, Ordering::Relaxed);
    }
}

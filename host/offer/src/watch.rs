//! Waiting for tasks to end: for any number of calls, on a few threads.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aiw_core::ProcessId;
use aiw_home::Home;
use aiw_tasks::{Scope, State, TaskError, Tasks, WaitMode};
use tokio::sync::oneshot;

/// This many tasks have their own watching thread and are reported at once. Further tasks share a thread; their watch
/// starts within a second.
const THREADS: usize = 16;

/// How often a watch checks whether a call is still waiting.
const ROUND: Duration = Duration::from_secs(5);

/// How long a watch that failed leaves the task alone.
const PAUSE: Duration = Duration::from_secs(1);

/// Watches tasks for waiting calls.
pub(crate) struct Watch {
    home: Home,
    groups: Arc<Mutex<Groups>>,
}

#[derive(Default)]
struct Groups {
    next: u64,
    running: BTreeMap<u64, Group>,
}

/// The tasks that one thread watches.
#[derive(Default)]
struct Group {
    waiting: BTreeMap<ProcessId, Vec<oneshot::Sender<()>>>,
    /// There is something new to watch.
    changed: Arc<AtomicBool>,
}

impl Watch {
    pub(crate) fn new(home: Home) -> Self {
        Self { home, groups: Arc::default() }
    }

    /// Completes once a task has ended or can't be observed anymore; at once if that is already so.
    pub(crate) fn end(&self, id: ProcessId) -> oneshot::Receiver<()> {
        let (ended, end) = oneshot::channel();
        let mut groups = locked(&self.groups);
        if let Some(senders) = groups.running.values_mut().find_map(|group| group.waiting.get_mut(&id)) {
            senders.push(ended);
            return end;
        }
        if groups.running.len() < THREADS {
            let number = groups.next;
            let (home, shared, changed) = (self.home.clone(), self.groups.clone(), Arc::<AtomicBool>::default());
            let thread = std::thread::Builder::new().name("aiw-wait".into());
            let flag = changed.clone();
            // It starts by taking the lock, which is held here.
            if thread.spawn(move || watch(&home, &shared, number, &flag)).is_ok() {
                groups.next += 1;
                groups.running.insert(number, Group { waiting: BTreeMap::from([(id, vec![ended])]), changed });
                return end;
            }
        }
        // Without a thread, the call sees that its task isn't watched.
        if let Some(group) = groups.running.values_mut().min_by_key(|group| group.waiting.len()) {
            group.waiting.insert(id, vec![ended]);
            group.changed.store(true, Ordering::Relaxed);
        }
        end
    }
}

fn locked(groups: &Mutex<Groups>) -> MutexGuard<'_, Groups> {
    groups.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a thread until no call waits for what it watches.
fn watch(home: &Home, groups: &Mutex<Groups>, number: u64, changed: &AtomicBool) {
    loop {
        let ids: Vec<ProcessId> = {
            let mut groups = locked(groups);
            let Some(group) = groups.running.get_mut(&number) else { return };
            group.waiting.retain(|_, senders| {
                senders.retain(|sender| !sender.is_closed());
                !senders.is_empty()
            });
            if group.waiting.is_empty() {
                groups.running.remove(&number);
                return;
            }
            changed.store(false, Ordering::Relaxed);
            group.waiting.keys().copied().collect()
        };
        let ended = ended(home, &ids, changed);
        let mut groups = locked(groups);
        let Some(group) = groups.running.get_mut(&number) else { return };
        for sender in ended.iter().filter_map(|id| group.waiting.remove(id)).flatten() {
            // It may be gone by now.
            let _ = sender.send(());
        }
    }
}

/// Waits until one of the tasks has ended, or for one round. Returns those that have ended or can't be observed
/// anymore.
fn ended(home: &Home, ids: &[ProcessId], changed: &AtomicBool) -> Vec<ProcessId> {
    let waited = Tasks::open(home, Scope::All).and_then(|tasks| {
        let deadline = Some(Instant::now() + ROUND);
        tasks.wait(ids, WaitMode::Any, deadline, changed, &mut |_| {}).map(|waited| waited.all)
    });
    match waited {
        Ok(tasks) => tasks.iter().filter(|task| task.state == State::Ended).map(|task| task.id).collect(),
        // One of them can't be read; wait for the others without it.
        Err(_) => {
            let look = |id: &ProcessId| Tasks::open(home, Scope::All)?.get(*id);
            let is_over = |found: Result<aiw_tasks::Task, TaskError>| found.map_or(true, |t| t.state == State::Ended);
            let over: Vec<ProcessId> = ids.iter().filter(|id| is_over(look(id))).copied().collect();
            if over.is_empty() {
                std::thread::sleep(PAUSE);
            }
            over
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_watched_is_over_and_no_thread_stays() {
        let dir = tempfile::tempdir().unwrap();
        let watch = Watch::new(Home::at(dir.path()));
        // More tasks than threads, each waited for twice; none of them exists.
        let ends: Vec<_> =
            (0..3 * THREADS as u64).map(ProcessId::from_number).flat_map(|id| [watch.end(id), watch.end(id)]).collect();
        assert!(locked(&watch.groups).running.len() <= THREADS);
        for end in ends {
            assert_eq!(end.blocking_recv(), Ok(()));
        }
        let start = Instant::now();
        while !locked(&watch.groups).running.is_empty() {
            assert!(start.elapsed() < Duration::from_secs(60), "a thread stays");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

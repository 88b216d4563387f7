//! Restarts for changed files: which are wanted, which were asked for, and how often there were some.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use aiw_core::ProcessId;
use aiw_supervisor::{SupervisorError, Watch};

use super::hooks::RateLimiter;
use crate::manager::Manager;

type RestartResult = Result<(), SupervisorError>;

/// The restarts of the processes of a project. A supervisor that hangs takes seconds to say nothing, so each is asked in a
/// thread of its own: nobody else waits for it.
pub(super) struct RestartQueue {
    waker: Arc<Watch>,
    pending: BTreeMap<String, Instant>,
    asked: BTreeMap<String, Receiver<RestartResult>>,
    recent: RateLimiter,
}

impl RestartQueue {
    /// The most in a minute of one process.
    pub const MAX_PER_MINUTE: usize = RateLimiter::MAX_PER_MINUTE;

    /// Returns none. Who waits there is awake when a supervisor has answered.
    pub fn with_waker(waker: Arc<Watch>) -> Self {
        Self { waker, pending: BTreeMap::new(), asked: BTreeMap::new(), recent: RateLimiter::default() }
    }

    /// Wants a process started again after a pause.
    pub fn schedule(&mut self, id: &str, pause: Duration) {
        self.pending.insert(id.to_owned(), Instant::now() + pause);
    }

    /// Wants it no more.
    pub fn cancel(&mut self, id: &str) {
        self.pending.remove(id);
    }

    /// Forgets what was wanted of other processes than these.
    pub fn retain(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.pending.retain(|id, _| is_kept(id));
    }

    /// Returns the processes that are to be started again now, once. One whose supervisor was asked and has not answered is
    /// left to later.
    pub fn take_due(&mut self) -> Vec<String> {
        let now = Instant::now();
        let asked = &self.asked;
        self.pending.extract_if(.., |id, at| *at <= now && !asked.contains_key(id)).map(|(id, _)| id).collect()
    }

    /// Returns when the next one is due.
    pub fn next_delay(&self) -> Duration {
        let waiting = self.pending.iter().filter(|(id, _)| !self.asked.contains_key(*id));
        let now = Instant::now();
        waiting.map(|(_, at)| at.saturating_duration_since(now)).min().unwrap_or(Duration::MAX)
    }

    /// Whether it was started again so often that it is enough for now.
    pub fn is_rate_limited(&mut self, id: &str) -> bool {
        self.recent.is_limited(id)
    }

    /// Notes that it was started again.
    pub fn record(&mut self, id: &str) {
        self.recent.record(id.to_owned());
    }

    /// Asks the supervisor of a process to start it again whose life began then.
    pub fn request_restart(&mut self, id: &str, manager: &Manager, record: ProcessId, life: u64) {
        let (answer, answered) = channel();
        let (processes, waker) = (manager.processes.clone(), self.waker.clone());
        let ask = move || {
            let _ = answer.send(processes.restart(record, life));
            waker.wake();
        };
        self.asked.insert(id.to_owned(), answered);
        // Without a thread, the sender is gone, which is an answer too.
        let _ = std::thread::Builder::new().name("aiw-restart".into()).spawn(ask);
    }

    /// Takes in the answers. Returns the restarts that have failed, each with why.
    pub fn take_failures(&mut self) -> Vec<(String, String)> {
        let mut failed = Vec::new();
        let mut answered = Vec::new();
        for (id, answer) in &self.asked {
            match answer.try_recv() {
                Ok(Ok(())) => answered.push(id.clone()),
                Ok(Err(SupervisorError::NotRunning { .. })) => {
                    failed.push((id.clone(), "its supervisor does not answer".to_owned()));
                }
                Ok(Err(error)) => failed.push((id.clone(), error.to_string())),
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => failed.push((id.clone(), "there are no threads".to_owned())),
            }
        }
        for id in &answered {
            self.record(id);
        }
        for id in answered.iter().chain(failed.iter().map(|(id, _)| id)) {
            self.asked.remove(id);
        }
        failed
    }
}

//! A coarse clock for many short waits.
//!
//! A timer for each request would wake the runtime each time: it would come before all others, and be dropped unused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Notify;

/// The clock runs on for so many ticks after it was last used.
const IDLE_TICKS_LIMIT: u32 = 20;

/// Ticks while somebody waits.
#[derive(Debug)]
pub(super) struct KeepAliveTimer {
    every: Duration,
    ticked: Notify,
    runs: AtomicBool,
    is_used: AtomicBool,
}

impl KeepAliveTimer {
    pub(super) fn new(every: Duration) -> Arc<Self> {
        Arc::new(Self { every, ticked: Notify::new(), runs: AtomicBool::new(false), is_used: AtomicBool::new(false) })
    }

    /// Waits for at least one whole tick, and at most two.
    pub(super) async fn tick(self: &Arc<Self>) {
        let first = self.ticked.notified();
        self.is_used.store(true, Ordering::Release);
        if !self.runs.swap(true, Ordering::AcqRel) {
            tokio::spawn(self.clone().run());
        }
        first.await;
        let second = self.ticked.notified();
        self.is_used.store(true, Ordering::Release);
        second.await;
    }

    async fn run(self: Arc<Self>) {
        let mut unused = 0;
        loop {
            tokio::time::sleep(self.every).await;
            unused = if self.is_used.swap(false, Ordering::AcqRel) { 0 } else { unused + 1 };
            self.ticked.notify_waiters();
            if unused < IDLE_TICKS_LIMIT {
                continue;
            }
            self.runs.store(false, Ordering::Release);
            // Somebody may have come just now, and found it running.
            if !self.is_used.load(Ordering::Acquire) || self.runs.swap(true, Ordering::AcqRel) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_ticks_for_all_who_wait_and_rests_in_between() {
        let every = Duration::from_millis(2);
        let ticks = KeepAliveTimer::new(every);
        for _ in 0..3 {
            let begun = std::time::Instant::now();
            let waiting = (0..50).map(|_| {
                let ticks = ticks.clone();
                tokio::spawn(async move { ticks.tick().await })
            });
            for waiting in waiting.collect::<Vec<_>>() {
                waiting.await.unwrap();
            }
            assert!(begun.elapsed() >= every);
            while ticks.runs.load(Ordering::Relaxed) {
                tokio::time::sleep(every).await;
            }
        }
    }
}

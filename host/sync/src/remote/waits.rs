//! What remotes are waited for, so that a view can show it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::Reporter;
use parking_lot::Mutex;

/// From this time on, a view shows what is waited for, and how often it does so.
pub(crate) const WAIT_INTERVAL: Duration = Duration::from_secs(5);

/// The requests that wait for an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct PendingRequests(Arc<Mutex<Vec<FarWait>>>);

#[derive(Debug, Clone)]
struct FarWait {
    id: u64,
    place: String,
    since: Instant,
}

/// A request waits for an answer until this is dropped.
#[derive(Debug)]
pub(super) struct WaitGuard {
    waits: PendingRequests,
    id: u64,
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        self.waits.0.lock().retain(|wait| wait.id != self.id);
    }
}

impl PendingRequests {
    pub(super) fn begin(&self, place: &str) -> WaitGuard {
        let mut waits = self.0.lock();
        let id = waits.last().map_or(0, |last| last.id + 1);
        waits.push(FarWait { id, place: place.to_owned(), since: Instant::now() });
        WaitGuard { waits: self.clone(), id }
    }

    /// Returns what is waited for longest, as a sentence.
    fn said(&self) -> Option<String> {
        let oldest = self.0.lock().first().cloned()?;
        Some(format!("waiting for {} ({} s)", oldest.place, oldest.since.elapsed().as_secs()))
    }

    /// Does work, and tells again and again what it waits for.
    pub(crate) async fn report_while_waiting<T>(
        &self,
        interval: Duration,
        sink: &dyn Reporter,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(interval, work.as_mut()).await {
                Ok(done) => return done,
                Err(_) => self.said().into_iter().for_each(|said| sink.step(said)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use aiw_core::RecordingReporter;

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_is_told_and_nothing_while_nothing_is() {
        let (waits, heard, short) =
            (PendingRequests::default(), RecordingReporter::default(), Duration::from_millis(10));
        let work = async {
            tokio::time::sleep(short * 20).await;
            assert_eq!(heard.lines(), Vec::<String>::new());
            let (_first, second) = (waits.begin("`a`"), waits.begin("`b`"));
            drop(second);
            while !heard.lines().iter().any(|line| line.starts_with("waiting for `a` (")) {
                tokio::time::sleep(short).await;
            }
            7
        };
        assert_eq!(waits.report_while_waiting(short, &heard, work).await, 7);
        assert!(waits.said().is_none());
    }
}

//! The feed, as a screen heeds it: a thread sleeps until what the user looks at has changed.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use aiw_app::feed::{Feed, Topic, Waker};
use parking_lot::Mutex;

/// The changes that a screen wants to hear of.
#[derive(Debug, Clone)]
pub(crate) struct Subscription {
    pub(crate) feed: Feed,
    pub(crate) topics: &'static [Topic],
    pub(crate) log_dirs: Vec<PathBuf>,
}

/// A part of what is heeded, with a subscription of its own: another log changes nothing else that is listened to.
#[derive(Debug, Clone, PartialEq, Eq)]
enum WatchPart {
    Topics(&'static [Topic]),
    Logs(Vec<PathBuf>),
}

/// How far a thread is that listens.
#[derive(Default)]
struct ListenerState {
    waker: Option<Waker>,
    is_over: bool,
}

/// A thread that tells of changes.
struct ListenerThread {
    part: WatchPart,
    state: Arc<Mutex<ListenerState>>,
    thread: JoinHandle<()>,
}

impl ListenerThread {
    fn start(feed: Feed, part: WatchPart, tell: impl Fn(BTreeSet<Topic>) -> bool + Send + 'static) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(ListenerState::default()));
        let (theirs, wanted) = (Arc::clone(&state), part.clone());
        let thread = thread::Builder::new().name("aiw-changes".to_owned()).spawn(move || {
            let (topics, logs) = match wanted {
                WatchPart::Topics(topics) => (topics, Vec::new()),
                WatchPart::Logs(logs) => (&[][..], logs),
            };
            let Ok(changes) = feed.changes(topics) else { return };
            logs.iter().for_each(|logs| changes.follow_directory(logs));
            theirs.lock().waker = Some(changes.waker());
            // What changed between the screen's look and this subscription is told first.
            let mut changed: BTreeSet<Topic> =
                topics.iter().copied().chain((!logs.is_empty()).then_some(Topic::Logs)).collect();
            while !theirs.lock().is_over && (changed.is_empty() || tell(changed)) {
                changed = changes.wait(None);
            }
        })?;
        Ok(Self { part, state, thread })
    }

    fn stop(self) -> JoinHandle<()> {
        let mut state = self.state.lock();
        state.is_over = true;
        state.waker.iter().for_each(Waker::wake);
        drop(state);
        self.thread
    }
}

/// Listens to what a screen heeds, and to nothing else.
#[derive(Default)]
pub(crate) struct ScreenListeners {
    /// One for topics, and one for logs.
    now: [Option<ListenerThread>; 2],
    before: Vec<JoinHandle<()>>,
}

impl ScreenListeners {
    /// Listens to this from now on. `tell` returns whether anybody still hears it.
    pub(crate) fn set_subscription(
        &mut self,
        heeded: Option<Subscription>,
        tell: impl Fn(BTreeSet<Topic>) -> bool + Clone + Send + 'static,
    ) -> io::Result<()> {
        let feed = heeded.as_ref().map(|heeded| heeded.feed.clone());
        let parts = heeded.map_or([None, None], |Subscription { topics, log_dirs: logs, .. }| {
            [
                (!topics.is_empty()).then_some(WatchPart::Topics(topics)),
                (!logs.is_empty()).then_some(WatchPart::Logs(logs)),
            ]
        });
        for (now, part) in self.now.iter_mut().zip(parts) {
            if now.as_ref().map(|listener| &listener.part) == part.as_ref() {
                continue;
            }
            self.before.retain(|thread| !thread.is_finished());
            self.before.extend(now.take().map(ListenerThread::stop));
            if let (Some(feed), Some(part)) = (&feed, part) {
                *now = Some(ListenerThread::start(feed.clone(), part, tell.clone())?);
            }
        }
        Ok(())
    }
}

impl Drop for ScreenListeners {
    fn drop(&mut self) {
        let last = self.now.iter_mut().filter_map(|now| now.take().map(ListenerThread::stop)).collect::<Vec<_>>();
        for thread in self.before.drain(..).chain(last) {
            let _ = thread.join();
        }
    }
}

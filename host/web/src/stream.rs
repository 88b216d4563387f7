//! What changes, as server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
//!
//! A stream tells topics, not content: the page asks again for what it shows. Each topic waits once, however often it
//! changed, so a reader that is slow or hidden costs nothing, and misses nothing that it would still see.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aiw_app::AppError;
use aiw_app::feed::{Feed, Topic, TopicSubscription};
use aiw_listen::Bytes;
use futures::Stream;
use futures::stream::unfold;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

/// How often a stream says that it lives, so that one whose reader is gone, or whose session is over, ends.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(25);

/// The topics, by their names in the query and in events.
const TOPIC_NAMES: [(&str, Topic); 9] = [
    ("tasks", Topic::Tasks),
    ("processes", Topic::Processes),
    ("servers", Topic::Servers),
    ("providers", Topic::Providers),
    ("usage", Topic::Usage),
    ("plugins", Topic::Plugins),
    ("events", Topic::Events),
    ("workflows", Topic::Workflows),
    ("documents", Topic::Documents),
];

/// The word for what is written to logs.
const LOGS_TOPIC: &str = "logs";

/// The open streams of a server.
#[derive(Debug, Clone, Default)]
pub(crate) struct OpenStreams(Arc<AtomicUsize>);

impl OpenStreams {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Entered {
        self.0.fetch_add(1, Ordering::Relaxed);
        Entered(self.clone())
    }
}

/// A stream that is counted until it ends.
struct Entered(OpenStreams);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The things that a page listens to.
pub(crate) struct StreamSubscription {
    pub(crate) topics: Vec<String>,
    /// Directories of logs that are followed.
    pub(crate) log_dirs: Vec<PathBuf>,
    /// Files whose change is one of the processes: the definitions of the project.
    pub(crate) definition_files: Vec<PathBuf>,
    /// Ends the stream at once: its session was ended.
    pub(crate) cancellation: CancellationToken,
    /// Whether its session is over.
    pub(crate) is_session_ended: Box<dyn Fn() -> bool + Send + Sync>,
}

impl StreamSubscription {
    /// Returns the first word that does not name a topic.
    pub(crate) fn unknown_topic(&self) -> Option<&str> {
        let is_known = |word: &str| word == LOGS_TOPIC || TOPIC_NAMES.iter().any(|(name, _)| *name == word);
        self.topics.iter().map(String::as_str).find(|word| !is_known(word))
    }

    /// Subscribes, and returns the events. They end when the server stops.
    pub(crate) fn events(
        self,
        feed: &Feed,
        open: &OpenStreams,
        stop: CancellationToken,
    ) -> Result<impl Stream<Item = Bytes> + Send + 'static, AppError> {
        let wanted = TOPIC_NAMES.iter().filter(|(name, _)| self.topics.iter().any(|word| word == name));
        let wanted: Vec<Topic> = wanted.map(|(_, topic)| *topic).collect();
        let changes = feed.changes(&wanted)?;
        self.log_dirs.iter().for_each(|directory| changes.follow_directory(directory));
        if wanted.contains(&Topic::Processes) {
            self.definition_files.iter().for_each(|file| changes.follow_file(file));
        }
        let mut beat = interval_at(Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let state = Following {
            changes,
            is_open: false,
            beat,
            stop,
            over: self.cancellation,
            is_over: self.is_session_ended,
            _open: open.enter(),
        };
        Ok(unfold(state, |mut state| async move {
            let bytes = state.next().await?;
            Some((bytes, state))
        }))
    }
}

struct Following {
    changes: TopicSubscription,
    /// Whether the reader was told that it hears of every change from now on.
    is_open: bool,
    beat: Interval,
    stop: CancellationToken,
    over: CancellationToken,
    is_over: Box<dyn Fn() -> bool + Send + Sync>,
    _open: Entered,
}

impl Following {
    async fn next(&mut self) -> Option<Bytes> {
        if !std::mem::replace(&mut self.is_open, true) {
            return Some(Bytes::from_static(b"event: open\ndata: {}\n\n"));
        }
        tokio::select! {
            topics = self.changes.next() => {
                if (self.is_over)() {
                    return None;
                }
                let name = |topic: &Topic| match TOPIC_NAMES.iter().find(|(_, known)| known == topic) {
                    Some((name, _)) => *name,
                    None if *topic == Topic::Files => "processes",
                    None => LOGS_TOPIC,
                };
                let names: BTreeSet<&str> = topics.iter().map(name).collect();
                let data = serde_json::json!({ "topics": names });
                Some(Bytes::from(format!("event: changed\ndata: {data}\n\n")))
            }
            _ = self.beat.tick() => (!(self.is_over)()).then_some(Bytes::from_static(b": alive\n\n")),
            () = self.over.cancelled() => None,
            () = self.stop.cancelled() => None,
        }
    }
}

//! The messages of one stream, kept so that a client whose connection broke can read on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

/// How much of a stream is kept. Beyond it, the oldest messages are dropped.
const MAX_STORED_MESSAGES: usize = 1000;
const MAX_STREAM_BYTES: usize = 8 << 20;

/// How often a silent stream shows that it is alive.
pub(super) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The messages of a stream: those that answer a request, or those that belong to none.
#[derive(Debug)]
pub(super) struct StreamLog {
    number: u64,
    state: Mutex<StreamState>,
    changed: Notify,
}

#[derive(Debug)]
struct StreamState {
    messages: VecDeque<String>,
    bytes: usize,
    /// The index of the first message that is kept. They are counted from 1; 0 is the beginning.
    first: u64,
    /// The index of the next message that no reader has had.
    unread: u64,
    /// How many answers it still waits for.
    answers: usize,
    /// Whether the stream is complete.
    is_done: bool,
    /// Counts readers: an earlier one ends when another begins.
    reader: u64,
    is_read: bool,
}

impl StreamState {
    fn next(&self) -> u64 {
        self.first + self.messages.len() as u64
    }

    fn answered(&mut self, is_answer: bool) {
        if is_answer {
            self.answers = self.answers.saturating_sub(1);
            self.is_done |= self.answers == 0;
        }
    }
}

impl StreamLog {
    pub(super) fn new(number: u64) -> Arc<Self> {
        let state = StreamState {
            messages: VecDeque::new(),
            bytes: 0,
            first: 1,
            unread: 1,
            answers: 0,
            is_done: false,
            reader: 0,
            is_read: false,
        };
        Arc::new(Self { number, state: Mutex::new(state), changed: Notify::new() })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    fn state(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock()
    }

    /// Expects one more answer.
    pub(super) fn expect_response(&self) {
        self.state().answers += 1;
    }

    /// Whether nothing follows.
    pub(super) fn is_done(&self) -> bool {
        self.state().is_done
    }

    /// Adds a message. Nothing follows the last answer.
    pub(super) fn push(&self, message: String, is_answer: bool) {
        {
            let mut state = self.state();
            if state.is_done {
                return;
            }
            state.bytes += message.len();
            state.messages.push_back(message);
            while state.messages.len() > 1
                && (state.messages.len() > MAX_STORED_MESSAGES || state.bytes > MAX_STREAM_BYTES)
            {
                let dropped = state.messages.pop_front().unwrap_or_default();
                state.bytes -= dropped.len();
                state.first += 1;
            }
            state.answered(is_answer);
        }
        self.changed.notify_waiters();
    }

    /// An answer will not come.
    pub(super) fn cancel(&self) {
        self.state().answered(true);
        self.changed.notify_waiters();
    }

    /// Completes the stream: nothing follows.
    pub(super) fn finish(&self) {
        self.state().is_done = true;
        self.changed.notify_waiters();
    }

    /// Whether a client reads it now.
    pub(super) fn has_reader(&self) -> bool {
        self.state().is_read
    }

    /// The bytes that are kept.
    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// Its only message, once it has ended; none if it has more, or `patience` ends first.
    pub(super) async fn single_message(&self, patience: impl Future<Output = ()>) -> Option<String> {
        let only = async {
            loop {
                let changed = self.changed.notified();
                {
                    let state = self.state();
                    match (state.is_done, state.messages.len(), state.first) {
                        (true, 1, 1) => return state.messages.front().cloned(),
                        (false, 0, _) => {}
                        _ => return None,
                    }
                }
                changed.await;
            }
        };
        tokio::select! {
            biased;
            whole = only => whole,
            () = patience => None,
        }
    }

    /// Reads everything. `is_primed`: this client knows the empty event that tells it where to resume.
    pub(super) fn read_from_start(self: &Arc<Self>, is_primed: bool) -> LogReader {
        let beginning = format!("id: {}-0\nretry: 1000\n{}\n", self.number, if is_primed { "data:\n" } else { "" });
        let mut reader = self.read_from(1);
        reader.beginning = Some(beginning);
        reader
    }

    /// Reads what no reader has had.
    pub(super) fn read_unread(self: &Arc<Self>) -> LogReader {
        let unread = self.state().unread;
        self.read_from(unread)
    }

    /// Reads from a message on. Whoever read before ends.
    pub(super) fn read_from(self: &Arc<Self>, from: u64) -> LogReader {
        let number = {
            let mut state = self.state();
            state.reader += 1;
            state.is_read = true;
            state.reader
        };
        self.changed.notify_waiters();
        LogReader { log: self.clone(), number, next: from, beginning: None }
    }
}

/// Reads a stream as server-sent events.
#[derive(Debug)]
pub(super) struct LogReader {
    log: Arc<StreamLog>,
    number: u64,
    next: u64,
    beginning: Option<String>,
}

impl LogReader {
    /// The next event; none at the end.
    pub(super) async fn next(&mut self) -> Option<String> {
        if let Some(beginning) = self.beginning.take() {
            return Some(beginning);
        }
        loop {
            let changed = self.log.changed.notified();
            {
                let mut state = self.log.state();
                if state.reader != self.number {
                    return None;
                }
                self.next = self.next.max(state.first);
                let place = usize::try_from(self.next - state.first).unwrap_or(usize::MAX);
                if let Some(message) = state.messages.get(place) {
                    let event = format!("id: {}-{}\ndata: {message}\n\n", self.log.number, self.next);
                    self.next += 1;
                    state.unread = state.unread.max(self.next);
                    return Some(event);
                }
                if state.is_done {
                    return None;
                }
            }
            if tokio::time::timeout(KEEP_ALIVE_INTERVAL, changed).await.is_err() {
                return Some(":\n\n".into());
            }
        }
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let mut state = self.log.state();
        if state.reader == self.number {
            state.is_read = false;
        }
    }
}

/// A place in a stream: the stream's number and a message's index.
pub(super) fn parse_event_id(event: &str) -> Option<(u64, u64)> {
    let (number, index) = event.split_once('-')?;
    Some((number.parse().ok()?, index.parse().ok()?))
}

impl StreamLog {
    /// Whether a message with this index was ever sent.
    pub(super) fn contains(&self, index: u64) -> bool {
        index < self.state().next()
    }
}

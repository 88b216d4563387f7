//! Messages as lines, over any reader and writer. rmcp's own transport ignores or stops on some of what clients send,
//! and keeps the runtime waiting for a read that never ends.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::mem::take;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc as blocking;

use aiw_core::well_formed_json;
use memchr::memchr;
use parking_lot::MutexGuard;
use rmcp::RoleServer;
use rmcp::model::{
    ClientNotification, ClientRequest, ErrorData, JsonRpcMessage, ProtocolVersion, RequestId, ServerResult,
};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::incoming::{MAX_ID, ToolCall, wrap_for_rmcp};
use crate::queue::CallQueue;
use crate::stdio::unix::Readable;
use crate::stdio::{StdioInput, StdioOutput};

/// The longest line that is read: a prompt of 32 MiB, some of it escaped.
pub(crate) const MAX_LINE: u64 = 64 << 20;

/// The most messages of a batch.
const MAX_BATCH: usize = 1000;

/// Both directions of a client connection. Clones share it.
#[derive(Clone)]
pub(crate) struct Wire {
    incoming: Arc<Mutex<Inbox>>,
    outgoing: mpsc::UnboundedSender<OutgoingLine>,
    /// Set once everything that the client sent has been read, or it no longer listens.
    gone: CancellationToken,
    /// The version of the protocol that was agreed on.
    version: Arc<parking_lot::Mutex<Option<ProtocolVersion>>>,
    /// Takes tool calls past rmcp while a session is under way.
    queue: Arc<parking_lot::Mutex<Option<Arc<CallQueue>>>>,
}

/// The messages of a client.
struct Inbox {
    source: Source,
    /// Messages that were read and not taken.
    next: VecDeque<Incoming>,
}

enum Source {
    /// Read on a thread, each time as much as has come.
    Thread(mpsc::Receiver<VecDeque<Incoming>>),
    Inline {
        input: Readable,
        splitter: Splitter,
        buffer: Vec<u8>,
    },
}

impl Inbox {
    fn new(input: StdioInput) -> Self {
        let source = match input {
            StdioInput::Blocking(input) => {
                // Unread messages block the reader, and so the client.
                let (sender, batches) = mpsc::channel(16);
                std::thread::spawn(move || read(input, &sender));
                Source::Thread(batches)
            }
            StdioInput::NonBlocking(input) => {
                Source::Inline { input, splitter: Splitter::default(), buffer: vec![0; CHUNK_BYTES] }
            }
        };
        Self { source, next: VecDeque::new() }
    }

    /// The next message; none at the end. Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Option<Incoming> {
        while self.next.is_empty() {
            self.next = match &mut self.source {
                Source::Thread(batches) => batches.recv().await?,
                Source::Inline { splitter, .. } if splitter.is_at_end => return None,
                Source::Inline { input, splitter, buffer } => match input.read(buffer).await.unwrap_or(0) {
                    0 => splitter.end(),
                    read => splitter.split(&buffer[..read]),
                },
            };
        }
        self.next.pop_front()
    }
}

#[derive(Debug)]
pub(crate) enum Incoming {
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// A tool call, which need not go through rmcp.
    Call(ToolCall),
    /// Answers that need no handler.
    ErrorResponse(ErrorData, Option<RequestId>),
    /// Several messages at once, none of them a batch. One version of the protocol has them.
    Batch(Vec<Incoming>),
}

/// Whether a version of the protocol has batches, which came with 2025-03-26 and went with the next one.
pub(crate) fn supports_batches(version: &ProtocolVersion) -> bool {
    *version == ProtocolVersion::V_2025_03_26
}

/// Returns the answer to a batch in any other version.
pub(crate) fn batch_unsupported_error() -> ErrorData {
    ErrorData::invalid_request("batches are not supported: send one message at a time", None)
}

struct OutgoingLine {
    line: Vec<u8>,
    /// The sender that waits until it is written.
    written: Option<oneshot::Sender<io::Result<()>>>,
}

/// Lines that are shorter in all are written at once.
const MAX_BATCH_BYTES: usize = 64 << 10;

impl Wire {
    /// Reads and writes, on separate threads if it has to. These are left behind if nothing wakes them.
    pub(crate) fn new(input: StdioInput, output: StdioOutput, gone: CancellationToken) -> Self {
        let (outgoing, lines) = mpsc::unbounded_channel();
        tokio::spawn(write(lines, output, gone.clone()));
        let incoming = Arc::new(Mutex::new(Inbox::new(input)));
        Self { incoming, outgoing, gone, version: Arc::default(), queue: Arc::default() }
    }

    /// Tool calls take this lane from now on; none ends it.
    pub(crate) fn set_queue(&self, lane: Option<Arc<CallQueue>>) {
        *self.queue.lock() = lane;
    }

    fn lane(&self) -> Option<Arc<CallQueue>> {
        self.queue.lock().clone()
    }

    fn version(&self) -> MutexGuard<'_, Option<ProtocolVersion>> {
        self.version.lock()
    }

    /// Writes an answer after all that was written before.
    fn post(&self) -> impl FnOnce(String) + Send + 'static {
        let outgoing = self.outgoing.clone();
        move |mut line| {
            line.push('\n');
            // Without a writer, the client is gone.
            let _ = outgoing.send(OutgoingLine { line: line.into_bytes(), written: None });
        }
    }

    /// Writes a message, and waits until it is written.
    fn write(&self, message: serde_json::Result<Vec<u8>>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let outgoing = self.outgoing.clone();
        async move {
            let mut line = message?;
            line.push(b'\n');
            let (written, done) = oneshot::channel();
            let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
            outgoing.send(OutgoingLine { line, written: Some(written) }).map_err(|_| closed())?;
            done.await.unwrap_or_else(|_| Err(closed()))
        }
    }

    /// Waits until everything is written: rmcp drops what it waits for when something else comes first.
    pub(crate) async fn flush(&self) {
        let (written, done) = oneshot::channel();
        if self.outgoing.send(OutgoingLine { line: Vec::new(), written: Some(written) }).is_ok() {
            let _ = done.await;
        }
    }

    /// Answers what is not passed on.
    async fn refuse(&self, error: ErrorData, id: Option<RequestId>) -> io::Result<()> {
        // An answer without a known recipient has the id `null`, as in JSON-RPC 2.0. From 2025-11-25 on, MCP's schema
        // has no `null`, and leaves the id out.
        let newest = ProtocolVersion::V_2025_11_25;
        let has_null_ids = self.version().as_ref().is_some_and(|agreed| agreed.as_str() < newest.as_str());
        let message = if id.is_none() && has_null_ids {
            serde_json::to_vec(&json!({"jsonrpc": "2.0", "id": null, "error": error}))
        } else {
            serde_json::to_vec(&TxJsonRpcMessage::<RoleServer>::error(error, id))
        };
        self.write(message).await
    }

    async fn next(&self) -> Option<Incoming> {
        let mut inbox = self.incoming.lock().await;
        let next = match inbox.next.pop_front() {
            Some(next) if !self.gone.is_cancelled() => Some(next),
            _ => tokio::select! {
                biased;
                () = self.gone.cancelled() => None,
                next = inbox.next() => next,
            },
        };
        if next.is_none() {
            self.gone.cancel();
        }
        next
    }
}

impl Transport<RoleServer> for Wire {
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleServer>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        // What was agreed on.
        if let JsonRpcMessage::Response(response) = &message
            && let ServerResult::InitializeResult(agreed) = &response.result
        {
            *self.version() = Some(agreed.protocol_version.clone());
        }
        self.write(serde_json::to_vec(&message))
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            match self.next().await? {
                Incoming::Call(call) => match self.lane() {
                    Some(lane) if call.has_session() => lane.call(call, self.post()),
                    _ => return call.into_rmcp(),
                },
                Incoming::Message(message) => {
                    let is_done = match &*message {
                        JsonRpcMessage::Notification(told) => match &told.notification {
                            ClientNotification::CancelledNotification(cancelled) => {
                                let id = cancelled.params.request_id.as_ref();
                                self.lane().zip(id).is_some_and(|(lane, id)| lane.cancel(id))
                            }
                            _ => false,
                        },
                        _ => false,
                    };
                    if !is_done {
                        return Some(*message);
                    }
                }
                Incoming::ErrorResponse(error, id) => self.refuse(error, id).await.ok()?,
                Incoming::Batch(batch) if self.version().as_ref().is_some_and(supports_batches) => {
                    let next = &mut self.incoming.lock().await.next;
                    batch.into_iter().rev().for_each(|message| next.push_front(message));
                }
                Incoming::Batch(_) => self.refuse(batch_unsupported_error(), None).await.ok()?,
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lines that are written at once, and who waits for them.
#[derive(Default)]
struct Batch {
    lines: Vec<u8>,
    waiting: Vec<oneshot::Sender<io::Result<()>>>,
}

impl Batch {
    fn add(&mut self, OutgoingLine { line, written }: OutgoingLine) {
        if self.lines.is_empty() {
            self.lines = line;
        } else {
            self.lines.extend_from_slice(&line);
        }
        self.waiting.extend(written);
    }
}

impl Batch {
    fn done(self, done: &io::Result<()>) {
        for waiting in self.waiting {
            // It may be gone by now.
            let _ = waiting.send(done.as_ref().copied().map_err(|e| e.kind().into()));
        }
    }
}

/// Writes until all senders are gone, or the reader is. Messages that are ready at the same time are written at once.
async fn write(mut lines: mpsc::UnboundedReceiver<OutgoingLine>, mut output: StdioOutput, gone: CancellationToken) {
    let thread = Thread::new(std::mem::replace(&mut output.blocking, Box::new(io::sink())), gone.clone());
    while let Some(first) = lines.recv().await {
        let mut batch = Batch::default();
        batch.add(first);
        while batch.lines.len() < MAX_BATCH_BYTES
            && let Ok(next) = lines.try_recv()
        {
            batch.add(next);
        }
        let now = if thread.is_idle() { output.try_write(&batch.lines) } else { None };
        match now {
            Some(Ok(written)) if written == batch.lines.len() => batch.done(&Ok(())),
            Some(Err(e)) => {
                gone.cancel();
                batch.done(&Err(e));
            }
            written => {
                if let Some(Ok(written)) = written {
                    batch.lines.drain(..written);
                }
                thread.write(batch);
            }
        }
    }
}

/// Writes what may block.
struct Thread {
    batches: blocking::Sender<Batch>,
    /// Batches that it has not written yet.
    open: Arc<AtomicUsize>,
}

impl Thread {
    fn new(mut output: Box<dyn Write + Send>, gone: CancellationToken) -> Self {
        let (sender, batches) = blocking::channel::<Batch>();
        let open = Arc::<AtomicUsize>::default();
        let left = open.clone();
        std::thread::spawn(move || {
            for batch in batches {
                let done = output.write_all(&batch.lines).and_then(|()| output.flush());
                if done.is_err() {
                    gone.cancel();
                }
                left.fetch_sub(1, Ordering::Release);
                batch.done(&done);
            }
        });
        Self { batches: sender, open }
    }

    fn is_idle(&self) -> bool {
        self.open.load(Ordering::Acquire) == 0
    }

    fn write(&self, batch: Batch) {
        self.open.fetch_add(1, Ordering::Release);
        // Without the thread, those who wait learn it from the channel's end.
        let _ = self.batches.send(batch);
    }
}

/// How much is read at once.
const CHUNK_BYTES: usize = 32 << 10;

fn read(mut input: impl Read, batches: &mpsc::Sender<VecDeque<Incoming>>) {
    let (mut buffer, mut splitter) = (vec![0; CHUNK_BYTES], Splitter::default());
    loop {
        let batch = match input.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => splitter.end(),
            Ok(read) => splitter.split(&buffer[..read]),
        };
        if (!batch.is_empty() && batches.blocking_send(batch).is_err()) || splitter.is_at_end {
            return;
        }
    }
}

/// Makes messages of what is read.
#[derive(Default)]
struct Splitter {
    /// The beginning of a line whose end was not read yet.
    line: Vec<u8>,
    /// The line is too long. The rest is skipped.
    is_too_long: bool,
    is_at_end: bool,
}

impl Splitter {
    fn split(&mut self, mut bytes: &[u8]) -> VecDeque<Incoming> {
        let mut messages = VecDeque::new();
        while let Some(end) = memchr(b'\n', bytes) {
            let (line, rest) = bytes.split_at(end + 1);
            messages.extend(self.line(line));
            bytes = rest;
        }
        self.keep(bytes);
        messages
    }

    /// Ends the input. The last line needs no line break.
    fn end(&mut self) -> VecDeque<Incoming> {
        self.is_at_end = true;
        self.line(b"").into_iter().collect()
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_too_long || (self.line.len() + bytes.len()) as u64 > MAX_LINE {
            self.is_too_long = true;
            // Don't keep it in memory for the rest of the session.
            self.line = Vec::new();
        } else {
            self.line.extend_from_slice(bytes);
        }
    }

    /// The line that ends with these bytes.
    fn line(&mut self, end: &[u8]) -> Option<Incoming> {
        if self.line.is_empty() && !self.is_too_long {
            return parse(end);
        }
        self.keep(end);
        if take(&mut self.is_too_long) {
            let message = format!("a message is longer than {} MiB", MAX_LINE >> 20);
            return Some(Incoming::ErrorResponse(ErrorData::invalid_request(message, None), None));
        }
        parse(&take(&mut self.line))
    }
}

/// The part that tells whom to answer. Everything else in a message is skipped, however deep.
#[derive(Debug, Default)]
struct MessageHead {
    id: Id,
    /// Whether it has a method of any form, and so asks for something.
    asks: bool,
}

/// How a request is identified.
#[derive(Debug, Default)]
enum Id {
    /// The message is a notification.
    #[default]
    None,
    /// A valid MCP id: a string or an integer.
    Valid(RequestId),
    /// Anything else, or two ids.
    Invalid,
}

impl<'de> Deserialize<'de> for MessageHead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadVisitor;
        impl<'de> Visitor<'de> for HeadVisitor {
            type Value = MessageHead;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<MessageHead, A::Error> {
                let mut head = MessageHead::default();
                while let Some(name) = fields.next_key::<String>()? {
                    match (name.as_str(), &head.id) {
                        ("id", Id::None) => head.id = fields.next_value::<Scalar>()?.id(),
                        ("id", _) => {
                            fields.next_value::<IgnoredAny>()?;
                            head.id = Id::Invalid;
                        }
                        (name, _) => {
                            head.asks |= name == "method";
                            fields.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(head)
            }
        }
        deserializer.deserialize_map(HeadVisitor)
    }
}

/// A value, if it can be an id.
struct Scalar(Option<Value>);

impl Scalar {
    fn id(self) -> Id {
        match self.0.map(RequestId::deserialize) {
            Some(Ok(RequestId::String(text))) if text.len() > MAX_ID => Id::Invalid,
            Some(Ok(id)) => Id::Valid(id),
            _ => Id::Invalid,
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(Some(number.into())))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(Some(number.into())))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(Some(number.into())))
            }

            fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(Some(text.into())))
            }

            fn visit_bool<E>(self, _: bool) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }

            fn visit_unit<E>(self) -> Result<Scalar, E> {
                Ok(Scalar(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Scalar, A::Error> {
                while items.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Scalar, A::Error> {
                while fields.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Scalar(None))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The head of a message; none if it isn't a JSON object.
fn head(line: &[u8]) -> Option<MessageHead> {
    /// Read without interpreting it: a number may be too large to represent.
    #[derive(serde::Deserialize)]
    struct RequestFields {
        id: Option<IgnoredAny>,
        method: Option<IgnoredAny>,
    }
    let read = serde_json::from_slice(line).ok();
    read.or_else(|| {
        let RequestFields { id, method } = serde_json::from_slice(line).ok()?;
        Some(MessageHead { id: id.map_or(Id::None, |_| Id::Invalid), asks: method.is_some() })
    })
}

/// The messages of a batch; none if it is not JSON.
fn batch(line: &[u8]) -> Option<Incoming> {
    let refused = |why: &str, id| Incoming::ErrorResponse(ErrorData::invalid_request(why.to_owned(), None), id);
    let Items(items) = serde_json::from_slice(line).ok()?;
    if items.is_empty() {
        return Some(refused("the batch is empty", None));
    }
    if items.len() > MAX_BATCH {
        return Some(refused(&format!("the batch has more than {MAX_BATCH} messages"), None));
    }
    // No batch in a batch, however deep.
    let alone = |item: &RawValue| parse(Some(item.get()).filter(|text| text.starts_with('{'))?.as_bytes());
    let message = |item: &RawValue| match alone(item) {
        None => refused("this is not a message of JSON-RPC 2.0", None),
        Some(Incoming::Message(message)) => match handshake(&message) {
            Some(id) => refused("a batch can't begin a session", Some(id.clone())),
            None => Incoming::Message(message),
        },
        Some(message) => message,
    };
    Some(Incoming::Batch(items.into_iter().map(message).collect()))
}

/// The items of a list, of which no more are kept than tell that there are too many.
struct Items<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element()? {
                    if items.len() <= MAX_BATCH {
                        items.push(item);
                    }
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_seq(ItemsVisitor)
    }
}

/// The id of a request that begins a session.
fn handshake(message: &RxJsonRpcMessage<RoleServer>) -> Option<&RequestId> {
    match message {
        JsonRpcMessage::Request(asked) if matches!(asked.request, ClientRequest::InitializeRequest(_)) => {
            Some(&asked.id)
        }
        _ => None,
    }
}

/// None if no one waits for an answer: noise, and unknown notifications.
pub(crate) fn parse(line: &[u8]) -> Option<Incoming> {
    let line = well_formed_json(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii());
    let line = &*line;
    let refused = |message: String, id| Some(Incoming::ErrorResponse(ErrorData::invalid_request(message, None), id));
    let begins = *line.first()?;
    let broken = || Incoming::ErrorResponse(ErrorData::parse_error("the message is not valid JSON", None), None);
    if begins == b'[' {
        return Some(batch(line).unwrap_or_else(broken));
    }
    if let Some(call) = ToolCall::parse(line) {
        return Some(Incoming::Call(call));
    }
    // Anything else is noise, and would be answered with more of it.
    let Some(head) = head(line) else { return (begins == b'{').then(broken) };
    let message = || {
        let message = wrap_for_rmcp(serde_json::from_slice(line).ok()?);
        serde_json::from_value(message).ok().map(|message| Incoming::Message(Box::new(message)))
    };
    match (head.asks, head.id) {
        (true, Id::Invalid) => {
            let longest = MAX_ID >> 10;
            refused(format!("the `id` of a request must be an integer or a string of at most {longest} KiB"), None)
        }
        (true, Id::Valid(id)) => {
            message().or_else(|| refused("this is not a request of JSON-RPC 2.0".into(), Some(id)))
        }
        // Notifications, and answers.
        (true, Id::None) | (false, _) => message(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match parse(line.as_bytes()) {
            None => "ignored".into(),
            Some(Incoming::Message(_) | Incoming::Call(_)) => "taken".into(),
            Some(Incoming::Batch(batch)) => format!("{} messages", batch.len()),
            Some(Incoming::ErrorResponse(error, id)) => {
                format!("{}: {}", id.map_or("-".into(), |id| id.to_string()), error.message)
            }
        }
    }

    #[test]
    fn half_a_character_is_read() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"b":"TEXT"}}}"#;
        aiw_tests::assert_finds_odd_json(call, |bytes| match parse(bytes) {
            Some(Incoming::Call(call)) => call.arguments.parse().unwrap().into(),
            _ => panic!("{} is no call", String::from_utf8_lossy(bytes)),
        });
        // A batch, and what rmcp reads.
        let asked = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"a","b":"TEXT"}}"#;
        aiw_tests::assert_finds_odd_json(asked, |bytes| match parse(bytes) {
            Some(Incoming::Message(message)) => serde_json::to_value(&*message).unwrap(),
            _ => panic!("{} is no request", String::from_utf8_lossy(bytes)),
        });
    }

    const ILLEGAL: &str = "-: the `id` of a request must be an integer or a string of at most 64 KiB";

    #[test]
    fn an_id_is_echoed_up_to_a_length() {
        let of = |length: usize| format!(r#"{{"id":"{}","method":"ping"}}"#, "i".repeat(length));
        assert_eq!(shown(&of(MAX_ID)), format!("{}: this is not a request of JSON-RPC 2.0", "i".repeat(MAX_ID)));
        assert_eq!(shown(&of(MAX_ID + 1)), ILLEGAL);
    }

    #[test]
    fn whoever_asked_is_answered_and_noise_is_not() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":"d","method":"tools/list","params":{}{}}}"#,
            "[".repeat(9000),
            "]".repeat(9000)
        );
        for (line, expected) in [
            (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, "taken"),
            (" {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"} \r\n", "taken"),
            (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, "taken"),
            (r#"{"id":1,"method":"ping"}"#, "1: this is not a request of JSON-RPC 2.0"),
            (&deep, "d: this is not a request of JSON-RPC 2.0"),
            ("[]", "-: the batch is empty"),
            ("[1, {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}, [], \"x\"]", "4 messages"),
            (&format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)), "1 messages"),
            (&format!("[1{}]", ",1".repeat(1000)), "-: the batch has more than 1000 messages"),
            ("[1", "-: the message is not valid JSON"),
            ("", "ignored"),
            ("Content-Length: 5", "ignored"),
            ("{", "-: the message is not valid JSON"),
            (r#"{"jsonrpc":"2.0","id":1,"method":"tools/li"#, "-: the message is not valid JSON"),
            ("\"x\"", "ignored"),
            ("null", "ignored"),
            (r#"{"id":1}"#, "ignored"),
            (r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, "taken"),
            (r#"{"jsonrpc":"2.0","id":-9223372036854775808,"method":"ping"}"#, "taken"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, ILLEGAL),
            (r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"ping"}"#, ILLEGAL),
            (r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"method":"ping"}"#, ILLEGAL),
            (r#"{"jsonrpc":"2.0","id":1e300,"method":"ping"}"#, ILLEGAL),
            (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, ILLEGAL),
            (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, ILLEGAL),
            (r#"{"jsonrpc":"2.0","id":{"a":[1]},"method":"ping"}"#, ILLEGAL),
            (r#"{"jsonrpc":"2.0","id":[{"a":1}],"method":"ping"}"#, ILLEGAL),
            (r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"ping"}"#, ILLEGAL),
            (r#"{"method":"ping","id":1e999}"#, ILLEGAL),
            (r#"{"method":"ping","params":1e999}"#, "ignored"),
            (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, "1: this is not a request of JSON-RPC 2.0"),
            (
                r#"{"jsonrpc":"2.0","id":"a\u0000\n","method":"ping","result":{}}"#,
                "a\0\n: this is not a request of JSON-RPC 2.0",
            ),
            (r#"{"jsonrpc":"2.0","id":1.5,"result":{}}"#, "ignored"),
            (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, "taken"),
            (r#"{"jsonrpc":"2.0","method":7}"#, "ignored"),
            (&"[".repeat(100_000), "-: the message is not valid JSON"),
            (&"{\"a\":".repeat(100_000), "-: the message is not valid JSON"),
        ] {
            assert_eq!(shown(line), expected, "{}", &line[..line.len().min(80)]);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_and_the_next_is_read() {
        let long = vec![b'x'; usize::try_from(MAX_LINE).unwrap() + 10];
        let input = [long.as_slice(), b"\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"].concat();
        let (sender, mut receiver) = mpsc::channel::<VecDeque<Incoming>>(4000);
        read(input.as_slice(), &sender);
        drop(sender);
        let mut messages = Vec::new();
        while let Some(batch) = receiver.blocking_recv() {
            messages.extend(batch);
        }
        // The last line needs no line break.
        assert!(matches!(messages[..], [Incoming::ErrorResponse(_, None), Incoming::Message(_)]), "{messages:?}");
    }

    #[test]
    fn lines_are_the_same_wherever_a_read_ends() {
        let input = "\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\nnoise\n[]\n{\"id\":\"ü\",\"method\":1}";
        for size in 1..=input.len() {
            let mut splitter = Splitter::default();
            let mut read: Vec<Incoming> = input.as_bytes().chunks(size).flat_map(|c| splitter.split(c)).collect();
            read.extend(splitter.end());
            let [Incoming::Message(_), Incoming::ErrorResponse(_, None), Incoming::ErrorResponse(_, Some(id))] =
                &read[..]
            else {
                panic!("{size}: {read:?}")
            };
            assert_eq!(id.to_string(), "ü");
        }
    }
}

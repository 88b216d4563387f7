//! Messages as lines, over a process's standard input and output.
//!
//! rmcp begins the session and answers the server's own requests. Requests to the server go past it: parsing each
//! message into its types takes longer than everything else that happens to a call.

use std::io;
use std::time::Duration;

use memchr::memchr;
use rmcp::model::{ClientJsonRpcMessage, RequestId, ServerJsonRpcMessage};
use rmcp::service::RoleClient;
use rmcp::transport::Transport;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot};

use super::in_flight::{InFlightRequests, RpcResult};
use super::request::{CANCELLED_METHOD, ClientError, McpRequest, Params, cancellation_params};

/// The longest message that is taken from a server.
const MAX_LINE: usize = 64 << 20;

/// Room for most messages.
const INITIAL_LINE_CAPACITY: usize = 512;

/// Lines that are shorter in all are written at once.
const MAX_BATCH_BYTES: usize = 64 << 10;

/// The stream from a server.
pub(crate) type ServerInput = Box<dyn AsyncRead + Send + Unpin>;

/// The stream to a server.
pub(crate) type ServerOutput = Box<dyn AsyncWrite + Send + Unpin>;

/// Both ways to a server, as rmcp sees them.
pub(crate) struct LineTransport {
    input: BufReader<ServerInput>,
    outbox: SendQueue,
    raw: InFlightRequests,
    /// The bytes of a line that were read so far. They are kept here, because a read may be given up in the middle.
    line: Vec<u8>,
}

impl LineTransport {
    pub(crate) fn new(input: ServerInput, outbox: SendQueue, raw: InFlightRequests) -> Self {
        Self { input: BufReader::with_capacity(64 << 10, input), outbox, raw, line: Vec::new() }
    }

    /// The next line that is not an answer in its usual form, which is passed on at once; none at the end. A line that
    /// is too long ends the connection: the request that it answers would wait in vain.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let read = self.input.fill_buf().await?;
            if read.is_empty() {
                let last = std::mem::take(&mut self.line);
                return Ok((!last.is_empty()).then_some(last));
            }
            let (part, is_whole) = match memchr(b'\n', read) {
                Some(end) => (&read[..=end], true),
                None => (read, false),
            };
            let length = part.len();
            if self.line.len() + length > MAX_LINE {
                self.raw.set_fault("it sent a message of more than 64 MiB");
                return Err(io::ErrorKind::InvalidData.into());
            }
            if is_whole && self.line.is_empty() && self.raw.try_deliver(trimmed(part)) {
                self.input.consume(length);
                continue;
            }
            self.line.extend_from_slice(part);
            self.input.consume(length);
            if is_whole {
                let line = std::mem::take(&mut self.line);
                if !self.raw.try_deliver(trimmed(&line)) {
                    return Ok(Some(line));
                }
            }
        }
    }
}

/// A line without what may stand around its message.
fn trimmed(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii()
}

impl Drop for LineTransport {
    fn drop(&mut self) {
        self.raw.close();
    }
}

impl Transport<RoleClient> for LineTransport {
    type Error = io::Error;

    fn send(&mut self, message: ClientJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.raw.track(&message);
        std::future::ready(self.outbox.put(&message))
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let line = match self.raw.discovery_deadline() {
                Some(end) => match tokio::time::timeout_at(end, self.next()).await {
                    Ok(line) => line,
                    Err(_) => return self.raw.discovery_refusal(),
                },
                None => self.next().await,
            };
            let Some(line) = line.ok().flatten() else {
                self.raw.close();
                return None;
            };
            if let Some(message) = self.raw.receive(trimmed(&line)).await {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.outbox.close();
        Ok(())
    }
}

/// The lines for a server: whole ones, in order.
#[derive(Clone)]
pub(crate) struct SendQueue(mpsc::UnboundedSender<Option<Vec<u8>>>);

impl SendQueue {
    /// Writes until it is closed, dropped, or nobody reads any more.
    pub(crate) fn new(output: ServerOutput, raw: InFlightRequests) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let _ = write(output, lines).await;
            raw.close();
        });
        Self(sender)
    }

    fn put(&self, message: &impl Serialize) -> io::Result<()> {
        let mut line = Vec::with_capacity(INITIAL_LINE_CAPACITY);
        serde_json::to_writer(&mut line, message)?;
        line.push(b'\n');
        self.0.send(Some(line)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn close(&self) {
        // It may be closed already.
        let _ = self.0.send(None);
    }
}

async fn write(mut output: ServerOutput, mut lines: mpsc::UnboundedReceiver<Option<Vec<u8>>>) -> io::Result<()> {
    while let Some(Some(mut batch)) = lines.recv().await {
        let mut is_closed = false;
        // What has come meanwhile goes with it.
        while batch.len() < MAX_BATCH_BYTES
            && !is_closed
            && let Ok(next) = lines.try_recv()
        {
            match next {
                Some(line) => batch.extend_from_slice(&line),
                None => is_closed = true,
            }
        }
        output.write_all(&batch).await?;
        output.flush().await?;
        if is_closed {
            break;
        }
    }
    output.shutdown().await
}

/// Requests to a server, past rmcp.
#[derive(Clone)]
pub(crate) struct DirectRequests {
    raw: InFlightRequests,
    outbox: SendQueue,
}

/// A request as it is written.
#[derive(Serialize)]
struct Sent<'a> {
    jsonrpc: &'static str,
    id: i64,
    method: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    params: Option<Params>,
}

impl DirectRequests {
    pub(crate) fn new(raw: InFlightRequests, outbox: SendQueue) -> Self {
        Self { raw, outbox }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Writes a request. What is left, its answer, is smaller than it: a future is moved several times.
    pub(crate) fn send(&self, request: McpRequest) -> Result<InFlightGuard, ClientError> {
        let McpRequest { method, mut params, timeout: patience, progress, .. } = request;
        let has_progress = progress.is_some();
        let (id, answer) = self.raw.register_direct(progress).ok_or(ClientError::Closed)?;
        let unanswered = InFlightGuard { direct: self.clone(), id: Some(id), answer, timeout: patience };
        if let Some(meta) = self.raw.request_meta() {
            params.get_or_insert_with(|| Params::Values(json!({}))).extend_meta(meta.clone());
        }
        if has_progress {
            let token = Map::from_iter([("progressToken".to_owned(), id.into())]);
            params.get_or_insert_with(|| Params::Values(json!({}))).extend_meta(token);
        }
        let sent = Sent { jsonrpc: "2.0", id, method: &method, params };
        self.outbox.put(&sent).map_err(|_| ClientError::Closed)?;
        Ok(unanswered)
    }
}

/// A request that was written. It is cancelled if nobody waits for its answer any more.
pub(crate) struct InFlightGuard {
    direct: DirectRequests,
    id: Option<i64>,
    answer: oneshot::Receiver<RpcResult>,
    timeout: Duration,
}

impl InFlightGuard {
    pub(crate) async fn response(mut self) -> Result<Box<RawValue>, ClientError> {
        let answer = tokio::time::timeout(self.timeout, &mut self.answer).await;
        let answer = answer.map_err(|_| ClientError::Timeout(self.timeout))?;
        self.id = None;
        Ok(answer.map_err(|_| ClientError::Closed)??)
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        self.direct.raw.forget(&RequestId::Number(id));
        // The server may be gone.
        let cancelled = json!({"jsonrpc": "2.0", "method": CANCELLED_METHOD, "params": cancellation_params(&RequestId::Number(id))});
        let _ = self.direct.outbox.put(&cancelled);
    }
}

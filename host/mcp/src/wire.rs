//! Messages as lines, over any reader and writer. rmcp's own transport ignores or ends on some of
//! what clients send, and keeps the runtime waiting for a read that nothing ends.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::Arc;
use std::sync::mpsc as blocking;

use rmcp::RoleServer;
use rmcp::model::{ErrorData, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde::Deserialize;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// The longest line that is read: a prompt of 32 MiB, some of it escaped.
pub(crate) const MAX_LINE: u64 = 64 << 20;

/// Both ways to a client. Clones are the same two ways.
#[derive(Clone)]
pub(crate) struct Wire {
    incoming: Arc<Mutex<mpsc::Receiver<Incoming>>>,
    outgoing: blocking::Sender<Outgoing>,
    /// Set once all that the client sent has been taken, or it no longer listens.
    gone: CancellationToken,
}

#[derive(Debug)]
enum Incoming {
    Message(Box<RxJsonRpcMessage<RoleServer>>),
    /// What is answered without asking anybody.
    Refused(ErrorData, Option<RequestId>),
}

struct Outgoing {
    line: Vec<u8>,
    written: oneshot::Sender<io::Result<()>>,
}

impl Wire {
    /// Reads and writes on threads of their own: they are left behind where nothing wakes them.
    pub(crate) fn new(
        input: impl Read + Send + 'static,
        output: impl Write + Send + 'static,
        gone: CancellationToken,
    ) -> Self {
        // Messages that are not taken yet hold the reader up, and so the client.
        let (sender, incoming) = mpsc::channel(16);
        let (outgoing, lines) = blocking::channel();
        std::thread::spawn(move || read(BufReader::new(input), &sender));
        std::thread::spawn(move || write(output, &lines));
        Self { incoming: Arc::new(Mutex::new(incoming)), outgoing, gone }
    }

    async fn next(&self) -> Option<Incoming> {
        let mut incoming = self.incoming.lock().await;
        let next = tokio::select! {
            biased;
            () = self.gone.cancelled() => None,
            next = incoming.recv() => next,
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
        let (outgoing, gone) = (self.outgoing.clone(), self.gone.clone());
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            let (written, done) = oneshot::channel();
            let closed = || io::Error::from(io::ErrorKind::BrokenPipe);
            let sent = match outgoing.send(Outgoing { line, written }) {
                Ok(()) => done.await.unwrap_or_else(|_| Err(closed())),
                Err(_) => Err(closed()),
            };
            if sent.is_err() {
                gone.cancel();
            }
            sent
        }
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            match self.next().await? {
                Incoming::Message(message) => return Some(*message),
                Incoming::Refused(error, id) => {
                    self.send(TxJsonRpcMessage::<RoleServer>::error(error, id)).await.ok()?
                }
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(mut output: impl Write, lines: &blocking::Receiver<Outgoing>) {
    for Outgoing { line, written } in lines {
        // Whoever sent it may be gone already.
        let _ = written.send(output.write_all(&line).and_then(|()| output.flush()));
    }
}

fn read(mut input: impl BufRead, messages: &mpsc::Sender<Incoming>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        // One large message does not stay in memory for the rest of the session.
        line.shrink_to(1 << 20);
        match input.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let whole = line.last() == Some(&b'\n') || (line.len() as u64) < MAX_LINE;
        let incoming = if whole {
            parse(&line)
        } else {
            if input.skip_until(b'\n').is_err() {
                return;
            }
            let message = format!("a message is longer than {} MiB", MAX_LINE >> 20);
            Some(Incoming::Refused(ErrorData::invalid_request(message, None), None))
        };
        if let Some(incoming) = incoming
            && messages.blocking_send(incoming).is_err()
        {
            return;
        }
    }
}

/// What tells whom to answer, of a message that is not one of the protocol's. What else it holds
/// is skipped, however deep.
#[derive(Deserialize)]
struct Head {
    id: Option<RequestId>,
    method: Option<String>,
}

/// None for what nobody waits an answer for: noise, and notifications that are not known.
fn parse(line: &[u8]) -> Option<Incoming> {
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line).trim_ascii();
    if let Ok(message) = serde_json::from_slice(line) {
        return Some(Incoming::Message(Box::new(message)));
    }
    let refused = |message: &'static str, id| Some(Incoming::Refused(ErrorData::invalid_request(message, None), id));
    match line.first()? {
        b'{' => match serde_json::from_slice::<Head>(line) {
            Ok(Head { id: Some(id), method: Some(_) }) => refused("this is no request of JSON-RPC 2.0", Some(id)),
            _ => None,
        },
        b'[' => refused("batches are not taken: send one message a line", None),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(line: &str) -> String {
        match parse(line.as_bytes()) {
            None => "ignored".into(),
            Some(Incoming::Message(_)) => "taken".into(),
            Some(Incoming::Refused(error, id)) => {
                format!("{}: {}", id.map_or("-".into(), |id| id.to_string()), error.message)
            }
        }
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
            (r#"{"id":1,"method":"ping"}"#, "1: this is no request of JSON-RPC 2.0"),
            (&deep, "d: this is no request of JSON-RPC 2.0"),
            ("[]", "-: batches are not taken: send one message a line"),
            ("", "ignored"),
            ("Content-Length: 5", "ignored"),
            ("{", "ignored"),
            ("\"x\"", "ignored"),
            ("null", "ignored"),
            (r#"{"id":1}"#, "ignored"),
            (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, "ignored"),
            (&"[".repeat(100_000), "-: batches are not taken: send one message a line"),
            (&"{\"a\":".repeat(100_000), "ignored"),
        ] {
            assert_eq!(shown(line), expected, "{}", &line[..line.len().min(80)]);
        }
    }

    #[test]
    fn a_line_that_is_too_long_is_refused_and_the_next_is_read() {
        let long = vec![b'x'; usize::try_from(MAX_LINE).unwrap() + 10];
        let input = [long.as_slice(), b"\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}"].concat();
        let (sender, mut receiver) = mpsc::channel(4);
        read(input.as_slice(), &sender);
        drop(sender);
        assert!(matches!(receiver.blocking_recv(), Some(Incoming::Refused(_, None))));
        // The last line needs no line break.
        assert!(matches!(receiver.blocking_recv(), Some(Incoming::Message(_))));
        assert!(receiver.blocking_recv().is_none());
    }
}

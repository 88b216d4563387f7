//! Messages as lines, over a process's standard input and output.

use std::io;
use std::sync::Arc;

use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::service::RoleClient;
use rmcp::transport::Transport;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Mutex;

use super::raw::Raw;

/// The longest message that is taken from a server.
const MAX_LINE: u64 = 64 << 20;

/// Both ways to a server.
pub(crate) struct Lines<R, W> {
    input: BufReader<R>,
    output: Arc<Mutex<W>>,
    raw: Raw,
    /// What has been read of a line. It is kept here: a read may be given up in the middle.
    line: Vec<u8>,
}

impl<R: AsyncRead + Send + Unpin, W: AsyncWrite + Send + Unpin> Lines<R, W> {
    pub(crate) fn new(input: R, output: W, raw: Raw) -> Self {
        let output = Arc::new(Mutex::new(output));
        Self { input: BufReader::with_capacity(64 << 10, input), output, raw, line: Vec::new() }
    }

    /// The next line, whole; none at the end. A line that is too long ends the connection: the request that it answers
    /// would wait in vain.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        let room = MAX_LINE - self.line.len() as u64;
        let read = (&mut self.input).take(room).read_until(b'\n', &mut self.line).await?;
        let line = std::mem::take(&mut self.line);
        if line.last() != Some(&b'\n') && line.len() as u64 >= MAX_LINE {
            self.raw.failed("it sent a message of more than 64 MiB");
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok((read > 0 || !line.is_empty()).then_some(line))
    }
}

impl<R, W> Transport<RoleClient> for Lines<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    type Error = io::Error;

    fn send(&mut self, message: ClientJsonRpcMessage) -> impl Future<Output = io::Result<()>> + Send + 'static {
        self.raw.sent(&message);
        let output = self.output.clone();
        async move {
            let mut line = serde_json::to_vec(&message)?;
            line.push(b'\n');
            // A message is written whole, or the stream is at its end: another would go on in the middle of it.
            let writing = tokio::spawn(async move {
                let mut output = output.lock().await;
                output.write_all(&line).await?;
                output.flush().await
            });
            writing.await.map_err(io::Error::other)?
        }
    }

    async fn receive(&mut self) -> Option<ServerJsonRpcMessage> {
        loop {
            let line = self.next().await.ok()??;
            let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
            if let Some(message) = self.raw.received(line).await {
                return Some(message);
            }
        }
    }

    async fn close(&mut self) -> io::Result<()> {
        self.output.lock().await.shutdown().await
    }
}

//! The head of a request as it was sent. hyper repairs what others could read differently (a lone line feed, two
//! lengths); here it is refused.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use memchr::{memchr, memchr2};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The facts about a connection's next head. Its clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeadState(Arc<Mutex<Scan>>);

impl HeadState {
    /// The problem of the head that has just been read, or none. Until [`HeadState::start_next_head`], nothing is scanned.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        let scan = self.scan();
        match (scan.is_done, scan.problem) {
            (_, Some(problem)) => Err(problem),
            (false, None) => Err("it came before the answer to the one before it"),
            (true, None) => Ok(()),
        }
    }

    /// The body of a request has been read: what comes now is a head.
    pub(crate) fn start_next_head(&self) {
        let mut scan = self.scan();
        let mut line = std::mem::take(&mut scan.line);
        line.clear();
        *scan = Scan { line, ..Scan::default() };
    }

    /// The request is refused: what still comes of it is thrown away at the connection's end. Closed over unread bytes, the
    /// connection would be reset, and the client might lose the answer.
    pub(crate) fn linger(&self) {
        self.scan().lingers = true;
    }

    fn scan(&self) -> parking_lot::MutexGuard<'_, Scan> {
        self.0.lock()
    }
}

#[derive(Debug, Default)]
struct Scan {
    /// The line so far, up to a length: only names matter.
    line: Vec<u8>,
    lines: usize,
    lengths: usize,
    hosts: usize,
    is_done: bool,
    problem: Option<&'static str>,
    lingers: bool,
}

impl Scan {
    /// Long enough for each name that matters.
    const MAX_NAME_LEN: usize = 64;

    fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_done && self.problem.is_none() {
            let (text, rest) = bytes.split_at(memchr2(b'\r', b'\n', bytes).unwrap_or(bytes.len()));
            if let Some(rest) = rest.strip_prefix(b"\r\n").filter(|_| self.line.is_empty()) {
                self.end_line(text);
                bytes = rest;
                continue;
            }
            self.keep(text);
            let Some((byte, rest)) = rest.split_first().filter(|_| self.problem.is_none()) else { return };
            bytes = rest;
            if *byte == b'\r' {
                self.keep(b"\r");
                continue;
            }
            if self.line.pop() != Some(b'\r') {
                self.problem = Some("a line doesn't end with a carriage return and a line feed");
            }
            let mut line = std::mem::take(&mut self.line);
            self.end_line(&line);
            line.clear();
            self.line = line;
        }
    }

    /// A part of a line. Its last byte is always kept: it may be a carriage return.
    fn keep(&mut self, part: &[u8]) {
        let Some(last) = part.last() else { return };
        if self.line.last() == Some(&b'\r') {
            self.problem = Some("a carriage return stands alone");
        }
        let room = Self::MAX_NAME_LEN - self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(room)]);
        if part.len() > room {
            self.line.pop();
            self.line.push(*last);
        }
    }

    fn end_line(&mut self, line: &[u8]) {
        self.lines += 1;
        if line.is_empty() {
            // Empty lines before a request are skipped by hyper too.
            self.is_done = self.lines > 1;
            self.lines -= usize::from(!self.is_done);
            return;
        }
        if self.lines == 1 {
            return;
        }
        if line.first().is_some_and(|first| matches!(first, b' ' | b'\t')) {
            self.problem = Some("a header goes on in the next line");
        }
        let name = line.get(..memchr(b':', line).unwrap_or(line.len())).unwrap_or_default().trim_ascii();
        match name.len() {
            4 => self.hosts += usize::from(name.eq_ignore_ascii_case(b"host")),
            14 => self.lengths += usize::from(name.eq_ignore_ascii_case(b"content-length")),
            17 => self.lengths += usize::from(name.eq_ignore_ascii_case(b"transfer-encoding")),
            _ => {}
        }
        if self.lengths > 1 {
            self.problem = Some("it says twice how long its body is");
        } else if self.hosts > 1 {
            self.problem = Some("it has two hosts");
        }
    }
}

/// A connection whose heads are looked at while hyper reads them.
pub(crate) struct HeadInspector<S> {
    pub(crate) stream: S,
    pub(crate) heads: HeadState,
}

impl<S: AsyncRead + Unpin> AsyncRead for HeadInspector<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        let new = buffer.filled().get(before..).unwrap_or_default();
        if !new.is_empty() {
            self.heads.scan().feed(new);
        }
        read
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for HeadInspector<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        let mut thrown_away = [0; 4 << 10];
        while self.heads.scan().lingers {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict(parts: &[&[u8]]) -> Result<(), &'static str> {
        let heads = HeadState::default();
        for part in parts {
            heads.scan().feed(part);
        }
        heads.check()
    }

    #[test]
    fn what_two_readers_could_read_differently_is_named() {
        let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(500));
        for (head, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nbody\nof\nlines", None),
            (&long, None),
            ("GET / HTTP/1.1\nHost: a\n\n", Some("a line doesn't end with a carriage return and a line feed")),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", Some("a line doesn't end with a carriage return and a line feed")),
            ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", Some("a carriage return stands alone")),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Some("a header goes on in the next line")),
            ("GET / HTTP/1.1\r\nHost: a\r\nhOST: a\r\n\r\n", Some("it has two hosts")),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length : 1\r\n\r\n",
                Some("it says twice how long its body is"),
            ),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
                Some("it says twice how long its body is"),
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\n", Some("it came before the answer to the one before it")),
        ] {
            assert_eq!(verdict(&[head.as_bytes()]).err(), expected, "{head}");
        }
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn where_a_head_is_cut_makes_no_difference(head in proptest::collection::vec(0u8..=255, 0..200), cut in 0usize..200) {
                let cut = cut.min(head.len());
                prop_assert_eq!(verdict(&[&head]), verdict(&[&head[..cut], &head[cut..]]));
            }
        }
    }
}

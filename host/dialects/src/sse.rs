//! Server-sent events, out of chunks that may end anywhere.

use aiw_core::well_formed_json;
use memchr::memchr2;
use serde_json::Value;

/// The largest event that is read, in bytes. An image that a model made is the largest that is sent in one.
pub(crate) const MAX_EVENT_BYTES: usize = 32 << 20;

/// Writes an event of nothing but data.
pub(crate) fn write_event(data: &Value, out: &mut Vec<u8>) {
    out.extend_from_slice(b"data: ");
    out.extend_from_slice(data.to_string().as_bytes());
    out.extend_from_slice(b"\n\n");
}

/// The stream holds an event that is too large.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

/// Reads the `data` of events, which is JSON in each dialect: what is not Unicode in it becomes U+FFFD. Names of events are not needed: each dialect repeats them inside, or has none.
///
/// Source: <https://html.spec.whatwg.org/multipage/server-sent-events.html>, section 9.2.6.
#[derive(Debug)]
pub(crate) struct SseEvents {
    largest: usize,
    /// The begun line.
    line: Vec<u8>,
    /// The data of the begun event.
    data: Vec<u8>,
    has_data: bool,
    /// The last line ended with CR, so an LF that follows belongs to it.
    after_cr: bool,
    is_begun: bool,
}

impl Default for SseEvents {
    fn default() -> Self {
        Self::with_max_bytes(MAX_EVENT_BYTES)
    }
}

impl SseEvents {
    /// Reads events of so many bytes at most.
    pub(crate) fn with_max_bytes(largest: usize) -> Self {
        Self { largest, line: Vec::new(), data: Vec::new(), has_data: false, after_cr: false, is_begun: false }
    }

    /// Reads a chunk and hands over the data of each event that it ends.
    pub(crate) fn read(&mut self, mut chunk: &[u8], mut event: impl FnMut(&[u8])) -> Result<(), TooLarge> {
        if !self.is_begun && !chunk.is_empty() {
            self.is_begun = true;
            chunk = chunk.strip_prefix(b"\xef\xbb\xbf").unwrap_or(chunk);
        }
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_cr) && chunk[0] == b'\n' {
                chunk = &chunk[1..];
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', chunk) else {
                self.line.extend_from_slice(chunk);
                return self.bounded();
            };
            self.after_cr = chunk[end] == b'\r';
            let rest = &chunk[end + 1..];
            if self.line.is_empty() {
                self.line_ends(&chunk[..end], &mut event);
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(&chunk[..end]);
                self.line_ends(&line, &mut event);
                line.clear();
                self.line = line;
            }
            self.bounded()?;
            chunk = rest;
        }
        Ok(())
    }

    /// Ends the stream. An event that lacks its empty line counts if its data is whole: some servers leave it out.
    pub(crate) fn end(&mut self, mut event: impl FnMut(&[u8])) {
        let line = std::mem::take(&mut self.line);
        self.line_ends(&line, &mut event);
        if std::mem::take(&mut self.has_data) {
            event(&well_formed_json(&self.data));
        }
        self.data.clear();
    }

    fn line_ends(&mut self, line: &[u8], event: &mut impl FnMut(&[u8])) {
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                event(&well_formed_json(&self.data));
                self.data.clear();
            }
        } else if let Some(data) = line.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
        }
    }

    fn bounded(&self) -> Result<(), TooLarge> {
        if self.line.len() + self.data.len() > self.largest { Err(TooLarge) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunks: &[&[u8]]) -> Vec<String> {
        let mut events = SseEvents::default();
        let mut read = Vec::new();
        for chunk in chunks {
            events.read(chunk, |data| read.push(String::from_utf8_lossy(data).into_owned())).unwrap();
        }
        events.end(|data| read.push(String::from_utf8_lossy(data).into_owned()));
        read
    }

    #[test]
    fn events_are_the_same_wherever_the_chunks_end() {
        let stream =
            "\u{feff}: a comment\r\nevent: x\ndata: one\r\n\r\ndata:two\ndata: lines\n\ndata: é\r\rid: 3\n\ndata: left";
        let whole = all(&[stream.as_bytes()]);
        assert_eq!(whole, ["one", "two\nlines", "é", "left"]);
        for at in 4..stream.len() {
            let (left, right) = stream.as_bytes().split_at(at);
            assert_eq!(all(&[left, right]), whole, "{at}");
        }
        let bytes: Vec<&[u8]> = stream.as_bytes()[3..].chunks(1).collect();
        assert_eq!(all(&bytes), whole);
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = SseEvents::default();
        let piece = vec![b'x'; 1 << 20];
        let refused = (0..64).any(|_| events.read(&piece, |_| {}).is_err());
        assert!(refused && events.line.len() <= MAX_EVENT_BYTES + piece.len());
    }
}

//! Logs as text: the content of a CLI's stream, in lines for people.

use std::collections::VecDeque;

use aiw_core::{CliKind, one_line};
use aiw_tasks::{LogEntry, Stream, StreamInterpreter, Task, TaskError, Tasks};

use crate::stream::sanitize;
use crate::{OutputTarget, Renderer, RunEvent, RunReader};

/// Converts a log to lines of text.
pub struct LogRenderer {
    reader: RunReader,
    renderer: Renderer,
    line: String,
    /// The beginning of what the model said last.
    said: String,
    /// Whether more of it may follow.
    saying: bool,
}

/// More than a record keeps of the final message.
const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// A longer line is split: a model may write gigabytes without a line break.
const MAX_LINE_BYTES: usize = 1 << 20;

/// A line of text from a log.
pub struct TextLine {
    /// When the end of the line was read, in milliseconds since 1970.
    pub time: u64,
    /// The stream that the line came from.
    pub stream: Stream,
    /// The printable text, without the line break.
    pub text: String,
}

impl LogRenderer {
    /// Returns a converter for a task's log, which may begin at any entry.
    pub fn new(task: &Task) -> Self {
        Self::of(task.about.cli)
    }

    fn of(cli: CliKind) -> Self {
        Self {
            reader: RunReader::new(cli),
            renderer: Renderer::default(),
            line: String::new(),
            said: String::new(),
            saying: false,
        }
    }

    /// Returns the pieces of text of an entry, and where each belongs.
    pub fn render(&mut self, entry: &LogEntry) -> Vec<(OutputTarget, String)> {
        if entry.stream == Stream::Aiw {
            let text = format!("aiw: {}\n", one_line(&String::from_utf8_lossy(&entry.bytes), 1000));
            let mut pieces: Vec<_> =
                self.renderer.finish().map(|end| (OutputTarget::Answer, end)).into_iter().collect();
            pieces.push((OutputTarget::Progress, text));
            return pieces;
        }
        let events = self.reader.read(entry.stream, &entry.bytes);
        events.iter().for_each(|event| self.note(event));
        events.iter().flat_map(|event| self.renderer.render(event)).collect()
    }

    fn note(&mut self, event: &RunEvent) {
        let RunEvent::Message { text, part } = event else {
            self.saying = false;
            return;
        };
        if !self.saying {
            self.said.clear();
        }
        self.saying = *part;
        if self.said.len() < MAX_MESSAGE_BYTES {
            self.said.push_str(&sanitize(text));
        }
    }

    /// Returns the final message of an ended task, if the log did not contain it: the log may be incomplete, and a
    /// CLI's answer is not always something that its model said.
    pub fn missing_final_message(&self, task: &Task) -> Option<String> {
        let message = sanitize(task.about.final_message.as_deref()?.trim());
        (!self.said.trim().starts_with(message.trim_end_matches('…'))).then_some(message)
    }

    /// Returns the tokens that the CLI has used so far, if it says so before its end.
    pub fn tokens(&self) -> Option<u64> {
        self.reader.summary().usage.map(|usage| usage.input.saturating_add(usage.output))
    }

    /// Returns the line break that the last text still needs.
    pub fn finish(&mut self) -> Option<String> {
        self.renderer.finish()
    }

    /// Returns the lines that an entry completes.
    pub fn lines(&mut self, entry: &LogEntry) -> Vec<TextLine> {
        let mut lines = Vec::new();
        for (_, piece) in self.render(entry) {
            for part in piece.split_inclusive('\n') {
                self.line.push_str(part);
                if part.ends_with('\n') || self.line.len() > MAX_LINE_BYTES {
                    let text = std::mem::take(&mut self.line);
                    let text = text.trim_end_matches('\n').to_owned();
                    lines.push(TextLine { time: entry.time, stream: entry.stream, text });
                }
            }
        }
        lines
    }
}

/// Returns the last lines of text of a task's log, whatever its size.
pub fn tail(tasks: &Tasks, task: &Task, wanted: usize) -> Result<Vec<TextLine>, TaskError> {
    let log = tasks.log(task.id)?;
    let mut read = wanted.saturating_mul(2).max(16);
    loop {
        let entries = log.tail(read)?;
        let mut text = LogRenderer::new(task);
        let mut lines: VecDeque<TextLine> = entries.iter().flat_map(|entry| text.lines(entry)).collect();
        // Most entries make at least one line. If many make none, more of the log is read.
        if lines.len() >= wanted || entries.len() < read || read > 100_000 {
            lines.drain(..lines.len().saturating_sub(wanted));
            return Ok(lines.into());
        }
        read = read.saturating_mul(4);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use aiw_redact::known::Mask;
    use proptest::prelude::*;

    #[test]
    fn a_model_that_never_ends_its_line_is_held_in_bounded_memory() {
        let piece = "x".repeat(64 << 10);
        let line = format!(r#"{{"type":"message","role":"assistant","content":"{piece}","delta":true}}"#);
        let entry = LogEntry { time: 0, stream: Stream::Stdout, bytes: line.into_bytes(), is_complete: true };
        let (mut text, mut reader, mut lines) = (LogRenderer::of(CliKind::Gemini), RunReader::new(CliKind::Gemini), 0);
        for _ in 0..100 {
            lines += text.lines(&entry).iter().map(|line| line.text.len()).sum::<usize>();
            assert!(text.line.len() <= MAX_LINE_BYTES);
            reader.process_line(Stream::Stdout, &entry.bytes);
        }
        assert_eq!(lines + text.line.len(), 100 * piece.len());
        reader.process_line(Stream::Stdout, br#"{"type":"result","status":"success","stats":{}}"#);
        assert!(reader.summary().final_message.unwrap().len() < 2 << 20);
    }

    /// Masks a stream that arrives in parts, with a pause after each part if `slowly` is set.
    fn masked(secret: &str, parts: &[&[u8]], slowly: bool) -> Vec<u8> {
        let mut mask = Mask::new(&[secret.into()]);
        let mut out = Vec::new();
        for part in parts {
            out.extend(mask.push(part));
            if slowly {
                out.extend(mask.release());
            }
        }
        out.extend(mask.finish());
        out
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn what_was_masked_is_not_read_again_in_the_text_or_the_last_message(
                secret in "[a-z0-9/\"_-]{8,30}",
                forms in proptest::collection::vec((0usize..8, proptest::bool::weighted(0.2)), 30),
                size in 1usize..200,
                slowly: bool,
            ) {
                let mut pieces = vec![String::new()];
                for (c, (form, cut)) in secret.chars().zip(forms) {
                    if cut {
                        pieces.push(String::new());
                    }
                    let code = [r"\u001b[1m", r"\u001b]0;x\u0007", r"\u0000"].get(form).copied().unwrap_or_default();
                    let c = match (form, c) {
                        (3, _) => format!("\\u{:04x}", u32::from(c)),
                        (4, _) => format!("\\u{:04X}", u32::from(c)),
                        (_, '"') => r#"\""#.to_owned(),
                        (5, '/') => r"\/".to_owned(),
                        (_, c) => c.to_string(),
                    };
                    pieces.last_mut().unwrap().extend([code, &c]);
                }
                for cli in CliKind::ALL {
                    let stream = crate::clis::for_kind(cli).render_stream_lines(&pieces);
                    let parts: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
                    let log = masked(&secret, &parts, slowly);
                    let (mut text, mut reader, mut shown) = (LogRenderer::of(cli), RunReader::new(cli), String::new());
                    for line in log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                        let entry = LogEntry { time: 0, stream: Stream::Stdout, bytes: line.to_vec(), is_complete: true };
                        shown.extend(text.render(&entry).into_iter().map(|(_, piece)| piece));
                        reader.process_line(Stream::Stdout, line);
                    }
                    let said = reader.summary().final_message.unwrap_or_default();
                    prop_assert!(!shown.contains(&secret) && !said.contains(&secret), "{}: {} {}", cli, shown, said);
                    prop_assert!(reader.summary().is_complete || cli == CliKind::Codex);
                }
            }
        }
    }
}

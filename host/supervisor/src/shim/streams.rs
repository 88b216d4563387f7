//! The output of the process: it goes to the log first, then to the interpreter, line by line.

use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use aiw_core::matches_wildcard;
use aiw_redact::known::Mask;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, read};

use crate::interpreter::{Findings, OutputInterpreter};
use crate::log::{LogWriter, PIPE_CHUNK_BYTES, Stream, strip_ansi};
use crate::record::Labels;

/// A longer line is logged, but not interpreted.
const MAX_LINE_BYTES: usize = 8 << 20;

/// The log and the interpreter of a process's output.
pub(super) struct Streams {
    pub log: LogWriter,
    interpreter: Option<Box<dyn OutputInterpreter>>,
    /// Whether the interpreter has already returned its early labels.
    has_early_labels: bool,
    lines: [OpenLine; 2],
    masks: [Mask; 2],
    /// Its memory is that of the longest read: most processes write little at once.
    buffer: Vec<u8>,
    /// The pattern of a line that is waited for.
    awaited: Option<String>,
    has_seen_awaited: bool,
    /// Why the log is incomplete.
    pub log_error: Option<String>,
}

/// An incomplete line.
#[derive(Default)]
struct OpenLine {
    bytes: Vec<u8>,
    /// Whether the line is too long.
    skipped: bool,
}

impl Streams {
    pub fn new(log: LogWriter, interpreter: Option<Box<dyn OutputInterpreter>>, secrets: &[Vec<u8>]) -> Self {
        let mask = Mask::new(secrets);
        Self {
            log,
            interpreter,
            has_early_labels: false,
            lines: Default::default(),
            masks: [mask.for_new_stream(), mask],
            buffer: Vec::with_capacity(PIPE_CHUNK_BYTES),
            awaited: None,
            has_seen_awaited: false,
            log_error: None,
        }
    }

    /// Waits for a line like this pattern, in each life of the process.
    pub fn with_readiness_pattern(self, pattern: Option<&str>) -> Self {
        Self { awaited: pattern.map(|pattern| format!("*{pattern}*")), ..self }
    }

    /// Returns whether such a line was written in this life.
    pub fn has_seen_ready_line(&self) -> bool {
        self.has_seen_awaited
    }

    /// Reads once from a nonblocking pipe. Returns `None` if the pipe is empty for now, and 0 at its end.
    pub fn read(&mut self, stream: Stream, pipe: &impl AsFd) -> Option<usize> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let length = loop {
            match read(pipe, spare_capacity(&mut buffer)) {
                Ok(length) => break Some(length),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break None,
                // Linux says of a terminal that nobody has open any more that it can't be read.
                Err(_) => break Some(0),
            }
        };
        if length.is_some() {
            self.take(stream, &buffer);
        }
        self.buffer = buffer;
        length
    }

    /// Passes on what was read, which is nothing at the end.
    fn take(&mut self, stream: Stream, bytes: &[u8]) {
        match self.masks.get_mut(stream as usize).filter(|mask| !mask.is_empty()) {
            None => self.pass(stream, bytes),
            Some(mask) => {
                let masked = if bytes.is_empty() { mask.finish() } else { mask.push(bytes) };
                self.pass(stream, &masked);
            }
        }
    }

    /// Passes bytes to the log, then to the interpreter.
    fn pass(&mut self, stream: Stream, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if let Err(error) = self.log.write(stream, bytes) {
            self.log_error.get_or_insert_with(|| format!("the log is not whole: {error}"));
        }
        let awaited = self.awaited.as_deref().filter(|_| !self.has_seen_awaited);
        if (self.interpreter.is_some() || awaited.is_some())
            && let Some(line) = self.lines.get_mut(stream as usize)
        {
            let (interpreter, seen) = (&mut self.interpreter, &mut self.has_seen_awaited);
            let read = |line: &[u8]| {
                if let Some(interpreter) = interpreter {
                    interpreter.process_line(stream, line);
                }
                *seen |= awaited.is_some_and(|pattern| matches_wildcard(pattern, &strip_ansi(line)));
            };
            let told = catch_unwind(AssertUnwindSafe(|| line.take(bytes, read)));
            if told.is_err() {
                self.give_up();
            }
        }
    }

    /// Returns when the held-back lines will have waited long enough.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.masks.iter().filter_map(Mask::release_deadline).min()
    }

    /// Passes on the lines that have waited long enough.
    pub fn release_due(&mut self, time: Instant) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mask = self
                .masks
                .get_mut(stream as usize)
                .filter(|mask| mask.release_deadline().is_some_and(|due| due <= time));
            if let Some(lines) = mask.map(Mask::release) {
                self.pass(stream, &lines);
            }
        }
    }

    /// Writes a line of aiw's own.
    pub fn write_message(&mut self, text: &str) {
        if let Err(error) = self.log.write_message(text) {
            self.log_error.get_or_insert_with(|| format!("the log is not whole: {error}"));
        }
    }

    /// Prepares for the output of a process that is started again, with a new interpreter.
    pub fn reset(&mut self, interpreter: Option<Box<dyn OutputInterpreter>>) {
        self.interpreter = interpreter;
        self.has_early_labels = false;
        self.has_seen_awaited = false;
        self.lines = Default::default();
        self.masks = [self.masks[0].for_new_stream(), self.masks[1].for_new_stream()];
    }

    /// Returns labels that are worth knowing already, once.
    pub fn early_labels(&mut self) -> Option<Labels> {
        if self.has_early_labels {
            return None;
        }
        let labels = self.ask(|interpreter, mask| interpreter.early_labels(mask))??;
        self.has_early_labels = true;
        Some(self.masked(labels))
    }

    /// Returns the interpreter's findings about all output.
    pub fn findings(&mut self) -> Findings {
        let findings = self.ask(|interpreter, mask| interpreter.findings(mask)).unwrap_or_default();
        Findings { labels: self.masked(findings.labels), ..findings }
    }

    /// Asks the interpreter, if there is one. It joins texts, so it gets a function to mask them again.
    fn ask<T>(&mut self, question: impl FnOnce(&dyn OutputInterpreter, &dyn Fn(&str) -> String) -> T) -> Option<T> {
        let interpreter = self.interpreter.as_deref()?;
        let mask = &self.masks[0];
        let masked = |text: &str| if mask.is_empty() { text.to_owned() } else { mask.mask_text(text) };
        let answer = catch_unwind(AssertUnwindSafe(|| question(interpreter, &masked))).ok();
        if answer.is_none() {
            self.give_up();
        }
        answer
    }

    /// Masks labels, in case the interpreter forgot to.
    fn masked(&self, mut labels: Labels) -> Labels {
        let mask = &self.masks[0];
        for value in labels.values_mut().filter(|_| !mask.is_empty()) {
            if let Some(text) = value.as_str() {
                *value = mask.mask_text(text).into();
            }
        }
        labels
    }

    /// Passes on the last lines, which have no line break.
    pub fn finish(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            // A pipe that other processes still hold open has no end, so the mask may still hold bytes back.
            let rest = self.masks.get_mut(stream as usize).map(Mask::finish).unwrap_or_default();
            self.pass(stream, &rest);
        }
        for (line, stream) in self.lines.iter_mut().zip([Stream::Stdout, Stream::Stderr]) {
            let last = std::mem::take(&mut line.bytes);
            if let Some(interpreter) = self.interpreter.as_mut().filter(|_| !last.is_empty() && !line.skipped)
                && catch_unwind(AssertUnwindSafe(|| interpreter.process_line(stream, &last))).is_err()
            {
                self.interpreter = None;
            }
        }
    }

    /// Drops an interpreter that panicked. Its defect must not affect the process.
    fn give_up(&mut self) {
        self.interpreter = None;
        self.log_error.get_or_insert_with(|| "its stream could not be understood".to_owned());
    }
}

impl OpenLine {
    fn take(&mut self, bytes: &[u8], mut whole: impl FnMut(&[u8])) {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ends) = match part.split_last() {
                Some((b'\n', text)) => (text, true),
                _ => (part, false),
            };
            if !self.skipped && self.bytes.is_empty() && ends {
                whole(text);
                continue;
            }
            if self.bytes.len() + text.len() > MAX_LINE_BYTES {
                self.skipped = true;
                self.bytes = Vec::new();
            }
            if !self.skipped {
                self.bytes.extend_from_slice(text);
            }
            if ends {
                if !self.skipped {
                    whole(&self.bytes);
                }
                self.skipped = false;
                self.bytes.clear();
                self.bytes.shrink_to(PIPE_CHUNK_BYTES);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn lines_do_not_depend_on_how_they_are_read(text in "[ab\n]{0,60}", cuts in proptest::collection::vec(1usize..9, 0..20)) {
                let (mut line, mut seen, mut rest) = (OpenLine::default(), Vec::new(), text.as_bytes());
                for cut in cuts.into_iter().chain([usize::MAX]) {
                    let (part, left) = rest.split_at(cut.min(rest.len()));
                    line.take(part, |whole| seen.push(whole.to_vec()));
                    rest = left;
                }
                seen.push(line.bytes);
                let expected: Vec<Vec<u8>> = text.split('\n').map(|l| l.as_bytes().to_vec()).collect();
                prop_assert_eq!(seen, expected);
            }
        }
    }
}

//! Reads the structured stream of a run, whichever CLI writes it.

use aiw_core::CliKind;
use aiw_tasks::{Facts, Interpreter, Stream};

use crate::clis;
use crate::stream::{CliStream, Event, Findings, stripped};

/// Lines longer than this are not looked into; they are in the log all the same.
const MAX_LINE: usize = 8 << 20;

/// Reads the stream of one run.
pub struct Reader {
    stream: Box<dyn CliStream>,
    found: Findings,
}

impl Reader {
    /// A reader for a CLI's stream.
    pub fn new(cli: CliKind) -> Self {
        Self { stream: clis::of(cli).stream(), found: Findings::default() }
    }

    /// What a line says, without its line break.
    pub fn read(&mut self, stream: Stream, line: &[u8]) -> Vec<Event> {
        let text = || Event::Line(String::from_utf8_lossy(line).into_owned());
        if stream == Stream::Stderr {
            return vec![text()];
        }
        let value = (line.len() <= MAX_LINE && line.starts_with(b"{")).then(|| serde_json::from_slice(line).ok());
        let Some(Some(value)) = value else { return vec![text()] };
        self.stream.read(&value, &mut self.found)
    }
}

impl Interpreter for Reader {
    fn line(&mut self, stream: Stream, line: &[u8]) {
        // Most of a stream is of no consequence for the facts; a run may write gigabytes.
        if stream == Stream::Stdout {
            self.read(stream, line);
        }
    }

    fn facts(&self) -> Facts {
        let facts = &self.found.facts;
        Facts { final_message: facts.final_message.as_deref().map(stripped), ..facts.clone() }
    }

    fn expects_structure(&self) -> bool {
        true
    }
}

/// The reader of a task's shim.
pub fn interpreter(cli: CliKind) -> Box<dyn Interpreter> {
    Box::new(Reader::new(cli))
}

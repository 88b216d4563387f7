//! Reads the structured stream of a run, whichever CLI writes it.

use aiw_core::CliKind;
use aiw_tasks::{Stream, StreamInterpreter, StreamSummary};

use crate::clis;
use crate::stream::{CliStream, RunEvent, StreamFindings, strip_ansi};

/// Longer lines are not parsed, but they are in the log nevertheless.
const MAX_LINE_BYTES: usize = 8 << 20;

/// Reads the stream of one run.
pub struct RunReader {
    stream: Box<dyn CliStream>,
    found: StreamFindings,
}

impl RunReader {
    /// Returns a reader for a CLI's stream.
    pub fn new(cli: CliKind) -> Self {
        Self { stream: clis::for_kind(cli).stream(), found: StreamFindings::default() }
    }

    /// Returns the events of a line without its line break.
    pub fn read(&mut self, stream: Stream, line: &[u8]) -> Vec<RunEvent> {
        let text = || RunEvent::Line(String::from_utf8_lossy(line).into_owned());
        if stream == Stream::Stderr {
            return vec![text()];
        }
        let value =
            (line.len() <= MAX_LINE_BYTES && line.starts_with(b"{")).then(|| aiw_core::from_foreign_json(line).ok());
        let Some(Some(value)) = value else { return vec![text()] };
        self.stream.read(&value, &mut self.found)
    }
}

impl StreamInterpreter for RunReader {
    fn process_line(&mut self, stream: Stream, line: &[u8]) {
        // Standard error contributes no facts, and a run may write gigabytes.
        if stream == Stream::Stdout {
            self.read(stream, line);
        }
    }

    fn summary(&self) -> StreamSummary {
        let facts = &self.found.facts;
        StreamSummary { final_message: facts.final_message.as_deref().map(strip_ansi), ..facts.clone() }
    }

    fn requires_structured_output(&self) -> bool {
        true
    }
}

/// Returns the interpreter for a task's shim.
pub fn interpreter(cli: CliKind) -> Box<dyn StreamInterpreter> {
    Box::new(RunReader::new(cli))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_is_read() {
        let lines = [
            (CliKind::Claude, r#"{"type":"assistant","message":{"content":[{"type":"text","text":"TEXT"}]}}"#),
            (CliKind::Codex, r#"{"type":"item.completed","item":{"type":"agent_message","text":"TEXT"}}"#),
            (CliKind::Gemini, r#"{"type":"message","role":"assistant","content":"TEXT"}"#),
        ];
        for (cli, line) in lines {
            aiw_tests::assert_reads_odd_json(line, |bytes| {
                let said = |event| if let RunEvent::Message { text, .. } = event { Some(text) } else { None };
                RunReader::new(cli).read(Stream::Stdout, bytes).into_iter().find_map(said)
            });
        }
    }
}

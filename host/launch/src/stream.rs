//! The CLIs' structured streams (`stream-json`, JSONL), as events and facts. The formats of each CLI are in its own
//! module. A line of an unknown format is ignored.

use aiw_core::one_line;
use aiw_tasks::StreamSummary;
use serde_json::Value;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// The model said something, either complete or a part that the next event continues.
    Message {
        /// The text.
        text: String,
        /// Whether more of the same text may follow.
        part: bool,
    },
    /// The model called a tool.
    ToolCall {
        /// The tool's name.
        tool: String,
        /// The input of the tool, as JSON or as a command line.
        input: String,
    },
    /// A tool answered.
    ToolResult {
        /// The answer.
        text: String,
        /// Whether the tool failed.
        failed: bool,
    },
    /// The run failed, or one of its requests did.
    Failed(String),
    /// A line that is not part of the stream, mostly from standard error.
    Line(String),
}

impl RunEvent {
    /// Returns the event for a text, or `None` if the text is empty.
    pub(crate) fn message(text: &str, part: bool) -> Option<Self> {
        (!text.is_empty()).then(|| Self::Message { text: text.to_owned(), part })
    }
}

/// Reads the structured stream of one CLI, one line at a time.
pub(crate) trait CliStream: Send {
    /// Returns the events of a line.
    fn read(&mut self, line: &Value, found: &mut StreamFindings) -> Vec<RunEvent>;
}

/// The facts that a stream has told so far.
#[derive(Debug, Default)]
pub(crate) struct StreamFindings {
    pub(crate) facts: StreamSummary,
}

impl StreamFindings {
    /// Records the id of the CLI's own session.
    pub(crate) fn record_session(&mut self, id: &Value) {
        self.facts.is_structured = true;
        if let Some(id) = id.as_str().filter(|id| is_session(id)) {
            self.facts.session = Some(id.to_owned());
        }
    }

    /// Records the end of the run as the stream itself reports it.
    pub(crate) fn record_end(&mut self, failed: bool) {
        self.facts.is_structured = true;
        self.facts.is_complete = true;
        self.facts.failed = Some(failed);
    }
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Returns the text of a string, of a block with a `text`, or of a list of them.
pub(crate) fn flatten_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            items.iter().map(flatten_text).filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
        }
        Value::Object(block) => block.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// Returns whether a session id is safe to use in a command line.
fn is_session(id: &str) -> bool {
    (1..=128).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && !id.starts_with('-')
}

/// Where a piece of rendered text belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputTarget {
    /// The answer: what the model said.
    Answer,
    /// The progress: what it did on the way.
    Progress,
}

/// Renders events as text for people.
#[derive(Debug, Default)]
pub struct Renderer {
    /// Whether the last part of what was said did not end its line.
    open: bool,
}

/// Removes colors and cursor movements, and makes other characters visible that could control a terminal.
pub(crate) fn sanitize(text: &str) -> String {
    aiw_core::printable(&strip_ansi(text)).into_owned()
}

pub(crate) fn strip_ansi(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

/// Longer lines about tools are truncated.
const MAX_LINE_WIDTH: usize = 160;

impl Renderer {
    /// Returns the printable text of an event, with its line breaks.
    pub fn render(&mut self, event: &RunEvent) -> Vec<(OutputTarget, String)> {
        let mut pieces = Vec::new();
        if let RunEvent::Message { text, part } = event {
            let text = sanitize(text);
            let end = if *part || text.ends_with('\n') { "" } else { "\n" };
            self.open = *part && !text.ends_with('\n');
            pieces.push((OutputTarget::Answer, format!("{text}{end}")));
            return pieces;
        }
        let line = match event {
            RunEvent::Message { .. } => return pieces,
            RunEvent::ToolCall { tool, input } => {
                format!("> {} {}", one_line(tool, 60), one_line(&sanitize(input), MAX_LINE_WIDTH))
            }
            RunEvent::ToolResult { text, failed: false } if text.trim().is_empty() => return pieces,
            RunEvent::ToolResult { text, failed: false } => format!("  {}", one_line(&sanitize(text), MAX_LINE_WIDTH)),
            RunEvent::ToolResult { text, failed: true } => {
                format!("  failed: {}", one_line(&sanitize(text), MAX_LINE_WIDTH))
            }
            RunEvent::Failed(message) => {
                let message = one_line(&sanitize(message), 1000);
                // Some say it themselves.
                let said = message.split_once(':').filter(|(word, _)| word.eq_ignore_ascii_case("error"));
                format!("error: {}", said.map_or(message.as_str(), |(_, rest)| rest.trim_start()))
            }
            RunEvent::Line(line) => sanitize(line),
        };
        pieces.extend(self.finish().map(|text| (OutputTarget::Answer, text)));
        pieces.push((OutputTarget::Progress, format!("{line}\n")));
        pieces
    }

    /// Returns the line break that the last text still needs.
    pub fn finish(&mut self) -> Option<String> {
        std::mem::take(&mut self.open).then(|| "\n".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunReader;
    use aiw_core::CliKind;
    use aiw_tasks::TaskUsage;
    use aiw_tasks::{Stream, StreamInterpreter};
    use proptest::prelude::*;

    fn run(cli: CliKind, lines: &[&str]) -> (String, StreamSummary) {
        let (mut reader, mut renderer, mut text) = (RunReader::new(cli), Renderer::default(), String::new());
        for line in lines {
            for event in reader.read(Stream::Stdout, line.as_bytes()) {
                for (place, piece) in renderer.render(&event) {
                    text.push_str(if place == OutputTarget::Answer { "" } else { "# " });
                    text.push_str(&piece);
                }
            }
        }
        text.extend(renderer.finish());
        (text, StreamInterpreter::summary(&reader))
    }

    #[test]
    fn the_last_message_has_no_colours() {
        let line = r#"{"type":"result","is_error":false,"result":"\u001b[31mred\u001b[0m \u001b]0;x\u0007👨‍👩","session_id":"s"}"#;
        let mut reader = RunReader::new(CliKind::Claude);
        reader.process_line(Stream::Stdout, line.as_bytes());
        assert_eq!(StreamInterpreter::summary(&reader).final_message.as_deref(), Some("red 👨‍👩"));
    }

    #[test]
    fn claude() {
        let (text, facts) = run(
            CliKind::Claude,
            &[
                r#"{"type":"system","subtype":"init","session_id":"22447f6f-9811","tools":[]}"#,
                r#"{"type":"assistant","message":{"content":[{"type":"text","text":"I will look."}]},"parent_tool_use_id":null}"#,
                r#"{"type":"assistant","message":{"content":[{"type":"tool_use","name":"Bash","input":{"command":"echo hi\nls"}}]},"parent_tool_use_id":null}"#,
                r#"{"type":"user","message":{"content":[{"type":"tool_result","content":[{"type":"text","text":"no"}],"is_error":true}]},"parent_tool_use_id":null}"#,
                r#"{"type":"assistant","message":{"content":[{"type":"text","text":"inner"}]},"parent_tool_use_id":"t"}"#,
                r#"{"type":"result","is_error":false,"result":"Done.","session_id":"22447f6f-9811","total_cost_usd":0.5,"usage":{"input_tokens":2,"output_tokens":3,"cache_read_input_tokens":4,"cache_creation_input_tokens":3,"cache_creation":{"ephemeral_5m_input_tokens":1,"ephemeral_1h_input_tokens":2}}}"#,
            ],
        );
        assert_eq!(text, "I will look.\n# > Bash echo hi ls\n#   failed: no\n");
        assert_eq!(facts.session.as_deref(), Some("22447f6f-9811"));
        assert_eq!(facts.final_message.as_deref(), Some("Done."));
        assert_eq!(
            facts.usage,
            Some(TaskUsage {
                input: 9,
                output: 3,
                cached: Some(4),
                cache_written: Some(3),
                cache_written_1h: Some(2),
                reasoning: None
            })
        );
        assert!(facts.is_complete && facts.failed == Some(false) && facts.cost_usd == Some(0.5));
    }

    #[test]
    fn claude_interrupted_or_refused_is_no_success() {
        let (_, facts) = run(
            CliKind::Claude,
            &[
                r#"{"type":"system","subtype":"init","session_id":"a"}"#,
                r#"{"type":"user","message":{"content":[{"type":"text","text":"[Request interrupted by user]"}]},"parent_tool_use_id":null}"#,
            ],
        );
        assert!(facts.is_structured && !facts.is_complete);
        let (text, facts) = run(
            CliKind::Claude,
            &[r#"{"type":"result","subtype":"success","is_error":true,"result":"API Error: 403"}"#],
        );
        assert_eq!((text.as_str(), facts.failed), ("# error: API Error: 403\n", Some(true)));
    }

    #[test]
    fn codex() {
        let (text, facts) = run(
            CliKind::Codex,
            &[
                r#"{"type":"thread.started","thread_id":"01a1-b"}"#,
                r#"{"type":"item.completed","item":{"type":"error","message":"No metadata"}}"#,
                r#"{"type":"item.started","item":{"type":"command_execution","command":"/bin/bash -lc 'echo hi'"}}"#,
                r#"{"type":"item.completed","item":{"type":"command_execution","aggregated_output":"hi\n","exit_code":0}}"#,
                r#"{"type":"item.completed","item":{"type":"agent_message","text":"Done."}}"#,
                r#"{"type":"turn.completed","usage":{"input_tokens":20,"cached_input_tokens":0,"output_tokens":10,"reasoning_output_tokens":1}}"#,
            ],
        );
        assert_eq!(text, "# No metadata\n# > exec /bin/bash -lc 'echo hi'\n#   hi\nDone.\n");
        assert_eq!((facts.session.as_deref(), facts.final_message.as_deref()), (Some("01a1-b"), Some("Done.")));
        assert_eq!(
            facts.usage,
            Some(TaskUsage { input: 20, output: 10, cached: Some(0), reasoning: Some(1), ..TaskUsage::default() })
        );
        let (text, facts) = run(
            CliKind::Codex,
            &[
                r#"{"type":"turn.started"}"#,
                r#"{"type":"error","message":"403"}"#,
                r#"{"type":"turn.failed","error":{"message":"403"}}"#,
            ],
        );
        assert_eq!((text.as_str(), facts.failed, facts.is_complete), ("# error: 403\n", Some(true), true));
    }

    #[test]
    fn gemini() {
        let (text, facts) = run(
            CliKind::Gemini,
            &[
                r#"{"type":"init","session_id":"e2ec"}"#,
                r#"{"type":"message","role":"user","content":"say hello"}"#,
                r#"{"type":"message","role":"assistant","content":"I will","delta":true}"#,
                r#"{"type":"message","role":"assistant","content":" look.","delta":true}"#,
                r#"{"type":"tool_use","tool_name":"run_shell_command","parameters":{"command":"echo hi"}}"#,
                r#"{"type":"tool_result","status":"success","output":"hi"}"#,
                r#"{"type":"message","role":"assistant","content":"Done.","delta":true}"#,
                r#"{"type":"result","status":"success","stats":{"input_tokens":20,"output_tokens":10,"cached":0}}"#,
            ],
        );
        assert_eq!(text, "I will look.\n# > run_shell_command echo hi\n#   hi\nDone.\n");
        assert_eq!(facts.final_message.as_deref(), Some("Done."));
        assert!(facts.is_complete && facts.failed == Some(false));
        let (_, facts) =
            run(CliKind::Gemini, &[r#"{"type":"result","status":"error","error":{"message":"denied"},"stats":{}}"#]);
        assert_eq!((facts.failed, facts.final_message.as_deref()), (Some(true), Some("denied")));
    }

    #[test]
    fn what_is_no_stream_is_text_and_steers_no_terminal() {
        let (text, facts) =
            run(CliKind::Claude, &["Not \u{1b}[31mlogged\u{1b}[0m in\u{1b}[2J\u{202e}", "{broken", "[]"]);
        assert_eq!(text, "# Not logged in\\u{202e}\n# {broken\n# []\n");
        assert_eq!(facts, StreamSummary::default());
        let (_, facts) = run(CliKind::Codex, &[r#"{"type":"thread.started","thread_id":"--danger; rm"}"#]);
        assert_eq!(facts.session, None);
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_line_is_answered(
                line in proptest::collection::vec(any::<u8>(), 0..80),
                kind in "(assistant|user|system|result|message|item.completed|item.started|turn.completed|error|init)",
                rest in "[\\[\\]{}\",:0-9a-z]{0,40}",
            ) {
                for cli in CliKind::ALL {
                    let mut reader = RunReader::new(cli);
                    reader.read(Stream::Stdout, &line);
                    reader.read(Stream::Stdout, format!("{{\"type\":\"{kind}\",\"item\":{rest}}}").as_bytes());
                    reader.read(Stream::Stdout, format!("{{\"type\":\"{kind}\",\"message\":{rest}}}").as_bytes());
                    reader.summary();
                }
            }
        }
    }
}

//! Gemini CLI: `tmp/<project>/chats/session-<time>-<id>.jsonl`, and before version 0.50 the same as one `.json`.
//!
//! The first line names the session; after it there is a message a line, or a change of what was there (`$set`). A
//! message that called tools is written a second time with the calls and their answers.

use std::collections::HashSet;
use std::sync::Arc;

use aiw_redact::rules::Redactor;
use serde_json::Value;

use super::parts::{
    MessageText, is_history_search, message_id, parse, parse_unix_millis, session_id, tool_name, truncate,
};
use super::{LineReader, Transcript, TranscriptSource};
use crate::ingest::findings::LineError;
use crate::{Cli, MessageAuthor, SessionMessage};

pub(super) struct GeminiSessions;

impl TranscriptSource for GeminiSessions {
    fn cli(&self) -> Cli {
        Cli::Gemini
    }

    fn is_transcript(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        match parts[..] {
            ["tmp", _, "chats", .., name] => name.ends_with(".jsonl") || name.ends_with(".json"),
            _ => false,
        }
    }

    fn is_document(&self, path: &str) -> bool {
        path.ends_with(".json")
    }

    fn open(&self, file: &Transcript<'_>) -> Box<dyn LineReader> {
        let project = file.path.split('/').take(2).collect::<Vec<_>>().join("/");
        let root = (file.read_file)(&format!("{project}/.project_root"));
        let root = root.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_default();
        let mut reader = Chat {
            session: String::new(),
            project: truncate(root.trim(), 4096).to_owned(),
            redactor: file.redactor.clone(),
            own: HashSet::new(),
        };
        for line in [file.first_line].into_iter().chain(file.preceding_bytes.split(|byte| *byte == b'\n')) {
            let _ = reader.parse_line(0, line, &mut Vec::new());
        }
        Box::new(reader)
    }
}

struct Chat {
    session: String,
    project: String,
    redactor: Arc<Redactor>,
    own: HashSet<String>,
}

impl LineReader for Chat {
    fn parse_line(&mut self, offset: u64, line: &[u8], out: &mut Vec<SessionMessage>) -> Result<(), LineError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let line: Value = parse(line)?;
        let Value::Object(fields) = &line else { return Err(LineError::InvalidSchema) };
        let changes = fields.get("$set").unwrap_or(&line);
        // A later line that names another session is forged: nothing of it gets into that one.
        if let Some(session) = changes.get("sessionId").and_then(Value::as_str)
            && self.session.is_empty()
        {
            self.session = session.to_owned();
        }
        let mut junk = Ok(());
        match changes.get("messages") {
            Some(Value::Array(messages)) => {
                for (part, message) in messages.iter().enumerate() {
                    let said = self.message(offset, part, message, out);
                    junk = junk.and(said);
                }
            }
            Some(_) => return Err(LineError::InvalidSchema),
            None if fields.contains_key("type") => return self.message(offset, 0, &line, out),
            None => {}
        }
        junk
    }
}

impl Chat {
    fn message(
        &mut self,
        offset: u64,
        part: usize,
        message: &Value,
        out: &mut Vec<SessionMessage>,
    ) -> Result<(), LineError> {
        let role = match message["type"].as_str() {
            Some("user") => MessageAuthor::User,
            Some("gemini") => MessageAuthor::Assistant,
            // Notes on the screen.
            Some(_) => return Ok(()),
            None => return Err(LineError::InvalidSchema),
        };
        let session = session_id(&self.session).ok_or(LineError::NoSession)?.to_owned();
        let time = message["timestamp"].as_str().and_then(parse_unix_millis);
        let new = |uuid: String, role, tools, text| SessionMessage {
            uuid,
            session: session.clone(),
            project: self.project.clone(),
            time,
            role,
            tools,
            text,
            agent: None,
            offset,
        };
        let (mut talk, mut answers, mut tools) =
            (MessageText::new(&self.redactor), MessageText::new(&self.redactor), Vec::<String>::new());
        match &message["content"] {
            Value::String(text) => say(&mut talk, text),
            Value::Array(parts) => {
                for part in parts {
                    let answer = &part["functionResponse"];
                    if answer.is_object() {
                        if !self.own.contains(answer["id"].as_str().unwrap_or_default()) {
                            answers.push_tool_result(response(answer));
                            tools.push(tool_name(&answer["name"]));
                        }
                    } else {
                        say(&mut talk, part.as_str().or_else(|| part["text"].as_str()).unwrap_or_default());
                    }
                }
            }
            Value::Null => {}
            _ => return Err(LineError::InvalidSchema),
        }
        let uuid = message_id(message.get("id"), &session, offset, part);
        match (talk.into_text(), answers.into_text()) {
            (Some(text), None) => out.push(new(uuid, role, Vec::new(), text)),
            (None, Some(text)) => out.push(new(uuid, MessageAuthor::Tool, tools, text)),
            (Some(text), Some(answer)) => {
                out.push(new(format!("{uuid}:output"), MessageAuthor::Tool, tools, answer));
                out.push(new(uuid, role, Vec::new(), text));
            }
            (None, None) => {}
        }
        let mut own = Vec::new();
        for (number, call) in message["toolCalls"].as_array().into_iter().flatten().enumerate() {
            let name = tool_name(&call["name"]);
            if is_history_search(&name, &call["args"]) {
                own.extend(call["id"].as_str().map(str::to_owned));
                continue;
            }
            let mut talk = MessageText::new(&self.redactor);
            talk.push_tool_input(&call["args"]);
            let uuid = message_id(call.get("id"), &session, offset, part + number + 1);
            out.push(new(uuid, MessageAuthor::Assistant, vec![name], talk.into_text().unwrap_or_default()));
        }
        if self.own.len() < 4096 {
            self.own.extend(own);
        }
        if time.is_none() && message["timestamp"].is_string() { Err(LineError::InvalidTime) } else { Ok(()) }
    }
}

/// Returns the answer of a tool.
fn response(answer: &Value) -> &Value {
    let response = &answer["response"];
    ["output", "error", "content"].iter().find_map(|key| response.get(*key)).unwrap_or(response)
}

/// Adds what a person or a model said, and not what the CLI tells the model first.
fn say(talk: &mut MessageText<'_>, text: &str) {
    if !text.trim_start().starts_with("<session_context>") {
        talk.push_text(text);
    }
}

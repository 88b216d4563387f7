//! Codex: `sessions/<year>/<month>/<day>/rollout-<time>-<session>.jsonl`, and `history.jsonl`, which has the prompts of
//! sessions on a terminal, also of those whose files are gone.
//!
//! A line has a time, a type and a payload. `session_meta` names the session, `turn_context` the directory, and
//! `response_item` what was said. Events repeat it for the screen. Before autumn 2025, a line was the item itself, the
//! first one named the session and its time, and `record_type` marked what was no item.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aiw_redact::rules::Redactor;
use serde::Deserialize;
use serde_json::Value;

use super::parts::{
    MessageText, filter_plausible_millis, is_history_search, message_id, parse, parse_directory, parse_unix_millis,
    reject_untyped_line, session_id, tool_name,
};
use super::{LineReader, Transcript, TranscriptSource, stem};
use crate::ingest::findings::LineError;
use crate::ingest::scan::string_at;
use crate::{Cli, MessageAuthor, SessionMessage};

pub(super) struct CodexSessions;

const HISTORY_FILE: &str = "history.jsonl";

impl TranscriptSource for CodexSessions {
    fn cli(&self) -> Cli {
        Cli::Codex
    }

    fn is_transcript(&self, path: &str) -> bool {
        let is_below = path.starts_with("sessions/") || path.starts_with("archived_sessions/");
        (is_below && path.ends_with(".jsonl")) || path == HISTORY_FILE
    }

    fn open(&self, file: &Transcript<'_>) -> Box<dyn LineReader> {
        if file.path == HISTORY_FILE {
            return Box::new(Prompts {
                redactor: file.redactor.clone(),
                has_own_file: HashMap::new(),
                names: file.names.clone(),
            });
        }
        // rollout-2026-11-21T16-11-29-<session>
        let named = stem(file.path).strip_prefix("rollout-").and_then(|rest| rest.get("2026-11-21T16-11-29-".len()..));
        let named = named.and_then(session_id).unwrap_or_default();
        let mut reader = Rollout {
            session: named.to_owned(),
            project: String::new(),
            started: None,
            redactor: file.redactor.clone(),
            tools: HashMap::new(),
            own: HashSet::new(),
        };
        for line in [file.first_line].into_iter().chain(file.preceding_bytes.split(|byte| *byte == b'\n')) {
            let _ = reader.parse_line(0, line, &mut Vec::new());
        }
        Box::new(reader)
    }
}

struct Rollout {
    session: String,
    project: String,
    /// The time of the session, for items without one.
    started: Option<i64>,
    redactor: Arc<Redactor>,
    tools: HashMap<String, String>,
    own: HashSet<String>,
}

/// The types of items in lines that have nothing around them.
const BARE_ITEM_TYPES: [&[u8]; 6] = [
    b"message",
    b"function_call",
    b"function_call_output",
    b"local_shell_call",
    b"custom_tool_call",
    b"custom_tool_call_output",
];

/// The first line of older transcripts.
#[derive(Deserialize)]
struct BareHead {
    id: String,
    timestamp: String,
}

#[derive(Deserialize)]
struct CodexLine {
    #[serde(default)]
    timestamp: Value,
    #[serde(default)]
    payload: Value,
}

impl LineReader for Rollout {
    fn parse_line(&mut self, offset: u64, line: &[u8], out: &mut Vec<SessionMessage>) -> Result<(), LineError> {
        let (kind, is_bare): (&[u8], bool) = match string_at(line, "type") {
            Some(kind @ (b"session_meta" | b"turn_context" | b"response_item")) => (kind, false),
            Some(kind) if BARE_ITEM_TYPES.contains(&kind) => (b"response_item", true),
            Some(_) => return Ok(()),
            None if string_at(line, "record_type").is_some() => return Ok(()),
            None => match parse::<BareHead>(line) {
                Ok(head) => {
                    if self.session.is_empty() {
                        self.session = head.id;
                    }
                    self.started = parse_unix_millis(&head.timestamp);
                    return Ok(());
                }
                Err(_) => return reject_untyped_line(line),
            },
        };
        let line: CodexLine = match is_bare {
            true => CodexLine { timestamp: Value::Null, payload: parse(line)? },
            false => parse(line)?,
        };
        let payload = &line.payload;
        if kind != b"response_item" {
            // A fork has the head of what it was forked from as well. Its own is in its name, or the first.
            if let Some(id) = payload.get("id").and_then(Value::as_str).filter(|_| kind == b"session_meta")
                && self.session.is_empty()
            {
                self.session = id.to_owned();
            }
            if payload.get("cwd").is_some_and(Value::is_string) {
                self.project = parse_directory(payload.get("cwd"));
            }
            return Ok(());
        }
        let redactor = self.redactor.clone();
        let mut talk = MessageText::new(&redactor);
        let Some((role, tools)) = self.item(payload, &mut talk)? else { return Ok(()) };
        let text = match talk.into_text() {
            Some(text) => text,
            None if tools.is_empty() => return Ok(()),
            None => String::new(),
        };
        let session = session_id(&self.session).ok_or(LineError::NoSession)?.to_owned();
        let time = line.timestamp.as_str().and_then(parse_unix_millis).or(self.started.filter(|_| is_bare));
        let id = payload.get("id").filter(|id| id.is_string()).or_else(|| payload.get("call_id"));
        let mut uuid = message_id(id, &session, offset, 0);
        // Older versions gave a call and its answer one id.
        if role == MessageAuthor::Tool && id == payload.get("call_id") {
            uuid.push_str(":output");
        }
        let project = self.project.clone();
        out.push(SessionMessage { uuid, session, project, time, role, tools, text, agent: None, offset });
        if time.is_none() && line.timestamp.is_string() { Err(LineError::InvalidTime) } else { Ok(()) }
    }
}

impl Rollout {
    /// Returns the author and the tools of an item of the conversation, and adds its text.
    fn item(
        &mut self,
        item: &Value,
        talk: &mut MessageText<'_>,
    ) -> Result<Option<(MessageAuthor, Vec<String>)>, LineError> {
        let call = item["call_id"].as_str().unwrap_or_default();
        match item["type"].as_str() {
            Some("message") => {
                let role = match item["role"].as_str() {
                    Some("user") => MessageAuthor::User,
                    Some("assistant") => MessageAuthor::Assistant,
                    Some(_) => return Ok(None),
                    None => return Err(LineError::InvalidSchema),
                };
                for part in item["content"].as_array().ok_or(LineError::InvalidSchema)? {
                    let text = part["text"].as_str().unwrap_or_default().trim();
                    // What the CLI tells the model in the user's name.
                    if role == MessageAuthor::Assistant
                        || !INJECTED_NOTE_PREFIXES.iter().any(|note| text.starts_with(note))
                    {
                        talk.push_text(text);
                    }
                }
                Ok(Some((role, Vec::new())))
            }
            Some(kind @ ("function_call" | "custom_tool_call" | "local_shell_call")) => {
                let name = match item["name"].as_str() {
                    Some(_) => tool_name(&item["name"]),
                    None => kind.trim_end_matches("_call").to_owned(),
                };
                let input = match (&item["arguments"], &item["input"], &item["action"]) {
                    (Value::String(text), _, _) => {
                        aiw_core::from_foreign_json(text.as_bytes()).unwrap_or_else(|_| text.as_str().into())
                    }
                    (_, Value::Null, action) => action.clone(),
                    (_, input, _) => input.clone(),
                };
                if is_history_search(&name, &input) {
                    self.own.insert(call.to_owned());
                    return Ok(None);
                }
                talk.push_tool_input(&input);
                if self.tools.len() >= 4096 {
                    self.tools.clear();
                }
                self.tools.insert(call.to_owned(), name.clone());
                Ok(Some((MessageAuthor::Assistant, vec![name])))
            }
            Some("function_call_output" | "custom_tool_call_output" | "local_shell_call_output") => {
                if self.own.contains(call) {
                    return Ok(None);
                }
                talk.push_tool_result(&item["output"]);
                Ok(Some((MessageAuthor::Tool, self.tools.remove(call).into_iter().collect())))
            }
            _ => Ok(None),
        }
    }
}

/// How what the CLI itself puts into a user's mouth begins.
const INJECTED_NOTE_PREFIXES: [&str; 9] = [
    "<environment_context>",
    "<user_instructions>",
    "<permissions",
    "<skill",
    "<turn_aborted>",
    "<user_action>",
    "<collaboration_mode>",
    "<subagent_notification>",
    "# AGENTS.md instructions",
];

/// `history.jsonl`: a prompt a line, with its session and its time.
struct Prompts {
    redactor: Arc<Redactor>,
    /// Whether a session has a file of its own.
    has_own_file: HashMap<String, bool>,
    names: Arc<[String]>,
}

#[derive(Deserialize)]
struct CodexPrompt {
    session_id: String,
    #[serde(default)]
    ts: i64,
    text: String,
}

impl LineReader for Prompts {
    fn parse_line(&mut self, offset: u64, line: &[u8], out: &mut Vec<SessionMessage>) -> Result<(), LineError> {
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(());
        }
        let prompt: CodexPrompt = parse(line)?;
        let session = session_id(&prompt.session_id).ok_or(LineError::NoSession)?.to_owned();
        let names = &self.names;
        let is_kept = || names.iter().any(|name| stem(name).ends_with(&session) && name != HISTORY_FILE);
        if self.has_own_file.len() >= 4096 {
            self.has_own_file.clear();
        }
        if *self.has_own_file.entry(session.clone()).or_insert_with(is_kept) {
            return Ok(());
        }
        let mut talk = MessageText::new(&self.redactor);
        talk.push_text(&prompt.text);
        let Some(text) = talk.into_text() else { return Ok(()) };
        let time = prompt.ts.checked_mul(1000).and_then(filter_plausible_millis);
        let (uuid, project) = (message_id(None, &session, offset, 0), String::new());
        out.push(SessionMessage {
            uuid,
            session,
            project,
            time,
            role: MessageAuthor::User,
            tools: Vec::new(),
            text,
            agent: None,
            offset,
        });
        if time.is_none() { Err(LineError::InvalidTime) } else { Ok(()) }
    }
}

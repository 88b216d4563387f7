//! Claude Code: `projects/<directory>/<session>.jsonl`, and beside it `<session>/subagents/agent-<id>.jsonl`.
//!
//! Only lines of the types `user` and `assistant` are messages, and prompts that were typed while the model worked, which
//! are attachments. A line has one block of a message; each has a uuid of
//! its own. Messages that the CLI wrote in the user's name are left out: summaries of what is there anyway,
//! notes of the CLI's to the model, errors of the API, what a model thought.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use aiw_redact::rules::Redactor;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::parts::{
    MessageText, is_history_search, message_id, parse, parse_directory, parse_unix_millis, reject_untyped_line,
    session_id, tool_name,
};
use super::{LineReader, Transcript, TranscriptSource, stem};
use crate::ingest::findings::LineError;
use crate::ingest::scan::string_at;
use crate::{Cli, MessageAuthor, SessionMessage};

pub(super) struct ClaudeSessions;

impl TranscriptSource for ClaudeSessions {
    fn cli(&self) -> Cli {
        Cli::Claude
    }

    fn is_transcript(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        let is_session = |name: &str| name.ends_with(".jsonl");
        match parts[..] {
            ["projects", _, name] => is_session(name),
            ["projects", _, _, "subagents", .., name] => name.starts_with("agent-") && is_session(name),
            _ => false,
        }
    }

    fn open(&self, file: &Transcript<'_>) -> Box<dyn LineReader> {
        let parts: Vec<&str> = file.path.split('/').collect();
        let subagent = parts.iter().position(|part| *part == "subagents");
        let session = match subagent {
            Some(at) => parts.get(at.wrapping_sub(1)).copied().unwrap_or_default(),
            None => stem(file.path),
        };
        // The name of a file in the CLI's directory is the id of its session. Elsewhere it is what its first line says.
        let is_named = parts.first() == Some(&"projects");
        let first = std::str::from_utf8(string_at(file.first_line, "sessionId").unwrap_or_default()).ok();
        let session = first.and_then(session_id).filter(|_| !is_named).unwrap_or(session);
        let mut reader = Claudes {
            session: session.to_owned(),
            is_known: is_named || first.and_then(session_id).is_some(),
            agent: subagent.and_then(|_| session_id(stem(file.path).strip_prefix("agent-")?)).map(str::to_owned),
            redactor: file.redactor.clone(),
            tools: HashMap::new(),
            own: HashSet::new(),
            parents: HashMap::new(),
            seen: HashSet::new(),
            last: None,
            titles: Vec::new(),
        };
        // Results belong to calls that were read before.
        for line in file.preceding_bytes.split(|byte| *byte == b'\n') {
            if string_at(line, "type") == Some(b"assistant") {
                let _ = reader.parse_line(0, line, &mut Vec::new());
            }
        }
        Box::new(reader)
    }
}

struct Claudes {
    /// The session of the file. Lines that name another one are copies, or forged: they never get into that one.
    session: String,
    /// Whether it is certain which one it is.
    is_known: bool,
    agent: Option<String>,
    redactor: Arc<Redactor>,
    /// The names of the tools by the ids of their last calls.
    tools: HashMap<String, String>,
    /// The calls that searched this history.
    own: HashSet<String>,
    /// The parents of the last messages.
    parents: HashMap<String, String>,
    /// The ids of the last messages.
    seen: HashSet<String>,
    /// The project and time of the last message.
    last: Option<(String, Option<i64>)>,
    titles: Vec<WaitingTitle>,
}

/// The most calls and messages that are remembered.
const MAX_TRACKED_ENTRIES: usize = 4096;

/// The most titles that wait.
const MAX_TITLES: usize = 256;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaudeLine {
    #[serde(default)]
    uuid: Value,
    #[serde(default)]
    parent_uuid: Value,
    #[serde(default)]
    session_id: Value,
    #[serde(default)]
    agent_id: Value,
    #[serde(default)]
    cwd: Value,
    #[serde(default)]
    timestamp: Value,
    #[serde(default)]
    is_meta: Value,
    #[serde(default)]
    is_compact_summary: Value,
    #[serde(default)]
    is_api_error_message: Value,
    #[serde(default)]
    message: Option<Body>,
    #[serde(default)]
    attachment: Option<ClaudeAttachment>,
}

/// Claude Code's word for a prompt that was typed while the model worked.
const QUEUED_COMMAND_TYPE: &str = "queued_command";

#[derive(Deserialize)]
struct ClaudeAttachment {
    #[serde(default, rename = "type")]
    kind: Value,
    #[serde(default, rename = "commandMode")]
    mode: Value,
    #[serde(default)]
    prompt: Value,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    content: Value,
    #[serde(default)]
    model: Value,
}

impl LineReader for Claudes {
    fn parse_line(&mut self, offset: u64, line: &[u8], out: &mut Vec<SessionMessage>) -> Result<(), LineError> {
        let role = match string_at(line, "type") {
            Some(b"user") => MessageAuthor::User,
            Some(b"assistant") => MessageAuthor::Assistant,
            // What is typed while the model works is kept nowhere else.
            Some(b"attachment") if memchr::memmem::find(line, QUEUED_COMMAND_TYPE.as_bytes()).is_some() => {
                MessageAuthor::User
            }
            Some(b"custom-title") => return self.title(MessageAuthor::User, offset, line, out),
            Some(b"summary" | b"ai-title") => return self.title(MessageAuthor::Assistant, offset, line, out),
            Some(_) => return Ok(()),
            None => return reject_untyped_line(line),
        };
        let mut line: ClaudeLine = parse(line)?;
        if let Some(attachment) = line.attachment.take() {
            if attachment.kind != QUEUED_COMMAND_TYPE || attachment.mode != "prompt" {
                return Ok(());
            }
            line.message = Some(Body { content: attachment.prompt, model: Value::Null });
        }
        let body = line.message.as_ref().ok_or(LineError::InvalidSchema)?;
        let is_said_by_nobody = [&line.is_meta, &line.is_compact_summary, &line.is_api_error_message]
            .iter()
            .any(|flag| flag.as_bool() == Some(true))
            || body.model == "<synthetic>";
        if is_said_by_nobody {
            return Ok(());
        }
        let mut tools = Vec::new();
        let redactor = self.redactor.clone();
        let mut talk = MessageText::new(&redactor);
        let mut is_answer = false;
        match &body.content {
            Value::String(text) => say(&mut talk, text),
            Value::Array(blocks) => {
                for block in blocks {
                    is_answer |= self.block(block, &mut talk, &mut tools);
                }
            }
            _ => return Err(LineError::InvalidSchema),
        }
        let text = match talk.into_text() {
            Some(text) => text,
            None if tools.is_empty() => return Ok(()),
            None => String::new(),
        };
        if let Some(named) = line.session_id.as_str() {
            let named = session_id(named).ok_or(LineError::NoSession)?;
            if !self.is_known {
                (self.session, self.is_known) = (named.to_owned(), true);
            }
        }
        let session = session_id(&self.session).ok_or(LineError::NoSession)?.to_owned();
        let uuid = message_id(Some(&line.uuid), &session, offset, 0);
        let time = line.timestamp.as_str().and_then(parse_unix_millis);
        let agent = line.agent_id.as_str().and_then(session_id).map(str::to_owned).or_else(|| self.agent.clone());
        let role = if is_answer { MessageAuthor::Tool } else { role };
        let junk = match (time, line.timestamp.is_string()) {
            (None, true) => Err(LineError::InvalidTime),
            _ if self.is_circle(&uuid, line.parent_uuid.as_str()) => Err(LineError::Cycle),
            _ => Ok(()),
        };
        if self.seen.len() >= MAX_TRACKED_ENTRIES {
            self.seen.clear();
        }
        self.seen.insert(uuid.clone());
        let project = parse_directory(Some(&line.cwd));
        self.last = Some((project.clone(), time));
        out.push(SessionMessage { uuid, session, project, time, role, tools, text, agent, offset });
        self.entitle(out);
        junk
    }
}

/// A title of the session: the person's, or the model's.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TitleLine {
    #[serde(default)]
    session_id: Value,
    /// Of a summary, the last message that it sums up. It may be another session's.
    #[serde(default)]
    leaf_uuid: Value,
    #[serde(default, alias = "customTitle", alias = "aiTitle")]
    summary: Value,
}

/// A title that waits for what tells whose it is.
struct WaitingTitle {
    role: MessageAuthor,
    offset: u64,
    text: String,
    leaf: Option<String>,
}

impl Claudes {
    /// Keeps a title until a message says in which project and when its session was: then it is taken in as something that
    /// was said, so that it is found, and goes with the session. Titles are written down again and again.
    fn title(
        &mut self,
        role: MessageAuthor,
        offset: u64,
        line: &[u8],
        out: &mut Vec<SessionMessage>,
    ) -> Result<(), LineError> {
        let title: TitleLine = parse(line)?;
        let is_other = title.session_id.as_str().is_some_and(|named| named != self.session);
        let redactor = self.redactor.clone();
        let mut talk = MessageText::new(&redactor);
        talk.push_text(title.summary.as_str().unwrap_or_default().trim());
        let Some(text) = talk.into_text().filter(|_| !is_other && self.is_known) else { return Ok(()) };
        if self.titles.len() < MAX_TITLES {
            let leaf = title.leaf_uuid.as_str().map(str::to_owned);
            self.titles.push(WaitingTitle { role, offset, text, leaf });
        }
        self.entitle(out);
        Ok(())
    }

    /// Takes in the titles of which it is known by now whose they are.
    fn entitle(&mut self, out: &mut Vec<SessionMessage>) {
        let Some((project, time)) = self.last.clone() else { return };
        let (seen, session) = (&self.seen, &self.session);
        let is_known = |title: &mut WaitingTitle| title.leaf.as_ref().is_none_or(|leaf| seen.contains(leaf));
        for WaitingTitle { role, offset, text, .. } in self.titles.extract_if(.., is_known) {
            let uuid = format!("{session}@title-{}", aiw_core::hex(&Sha256::digest(&text)[..8]));
            let (session, project, agent) = (session.clone(), project.clone(), self.agent.clone());
            out.push(SessionMessage { uuid, session, project, time, role, tools: Vec::new(), text, agent, offset });
        }
    }

    /// Takes in a block of a message; returns whether it is what a tool answered.
    fn block(&mut self, block: &Value, talk: &mut MessageText<'_>, tools: &mut Vec<String>) -> bool {
        match block["type"].as_str() {
            Some("text") => say(talk, block["text"].as_str().unwrap_or_default()),
            Some("tool_use") => {
                let (name, id) = (tool_name(&block["name"]), block["id"].as_str().unwrap_or_default());
                if is_history_search(&name, &block["input"]) {
                    if self.own.len() < MAX_TRACKED_ENTRIES {
                        self.own.insert(id.to_owned());
                    }
                    return false;
                }
                talk.push_tool_input(&block["input"]);
                if self.tools.len() >= MAX_TRACKED_ENTRIES {
                    self.tools.clear();
                }
                self.tools.insert(id.to_owned(), name.clone());
                tools.push(name);
            }
            Some("tool_result") => {
                let id = block["tool_use_id"].as_str().unwrap_or_default();
                if self.own.contains(id) {
                    return true;
                }
                talk.push_tool_result(&block["content"]);
                tools.extend(self.tools.remove(id));
                return true;
            }
            _ => {}
        }
        false
    }

    /// Whether a message follows itself, over the last ones that were read.
    fn is_circle(&mut self, uuid: &str, parent: Option<&str>) -> bool {
        let Some(parent) = parent else { return false };
        if self.parents.len() >= MAX_TRACKED_ENTRIES {
            self.parents.clear();
        }
        let mut next = Some(parent);
        for _ in 0..64 {
            match next {
                Some(other) if other == uuid => return true,
                Some(other) => next = self.parents.get(other).map(String::as_str),
                None => break,
            }
        }
        self.parents.insert(uuid.to_owned(), parent.to_owned());
        false
    }
}

/// The notes that the CLI writes in the user's name.
const INJECTED_NOTE_PREFIXES: [&str; 7] = [
    "<local-command-",
    REMINDER_TAGS.0,
    "<task-notification>",
    "<bash-stdout>",
    "<bash-stderr>",
    "<user-prompt-submit-hook>",
    "[Request interrupted by user",
];

/// The marks around text that the CLI puts before a person's words.
const REMINDER_TAGS: (&str, &str) = ("<system-reminder>", "</system-reminder>");

/// A text without the reminders that it begins with. One without an end is all that there is.
fn without_reminders(mut text: &str) -> &str {
    while let Some((_, rest)) = text.strip_prefix(REMINDER_TAGS.0).and_then(|inner| inner.split_once(REMINDER_TAGS.1)) {
        text = rest.trim_start();
    }
    text
}

/// Adds what a person or a model said.
fn say(talk: &mut MessageText<'_>, text: &str) {
    let text = without_reminders(text.trim());
    if text.is_empty() || INJECTED_NOTE_PREFIXES.iter().any(|note| text.starts_with(note)) {
        return;
    }
    let between = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        rest.split_once(&format!("</{tag}>")).map(|(inner, _)| inner.trim())
    };
    if !text.starts_with("<command-") {
        return talk.push_text(text);
    }
    // A slash command: what was typed after its name was said.
    let arguments = between("command-args").filter(|arguments| !arguments.is_empty());
    if let (Some(name), Some(arguments)) = (between("command-name"), arguments) {
        talk.push_text(&format!("{name} {arguments}"));
    }
}

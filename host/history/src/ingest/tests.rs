//! Transcripts of our own making, in the forms that the CLIs write (measured: Claude Code 2.1.328, Codex 0.169.0,
//! Gemini CLI 0.61.0).

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use aiw_home::{CliPaths, Home};
use serde_json::{Value, json};

use super::files::open_beneath;
use super::findings::LineError;
use super::indexer::Indexer;
use super::queue::{IngestQueue, IngestRequest};
use super::take::Report;
use super::{Hook, HookOutcome, Import, TranscriptWatch, todos};
use crate::readers::{self, Transcript};
use crate::{Cli, MessageAuthor, ReadProgress, SessionMessage, Store};
use aiw_redact::rules::Redactor;

const S1: &str = "11111111-1111-4111-8111-111111111111";
const S2: &str = "22222222-2222-4222-8222-222222222222";

fn at(second: u32) -> String {
    format!("2026-03-01T10:{:02}:{:02}.000Z", second / 60 % 60, second % 60)
}

/// A line of Claude Code's, with the fields around it that the real ones have.
fn claude(kind: &str, session: &str, uuid: &str, content: Value) -> Value {
    let message = match kind {
        "user" => json!({"role": "user", "content": content}),
        _ => json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content}),
    };
    json!({"parentUuid": null, "isSidechain": false, "message": message, "type": kind, "uuid": uuid,
        "timestamp": at(1), "cwd": "/srv/p", "sessionId": session, "version": "2.1.328", "gitBranch": "main"})
}

fn user(session: &str, uuid: &str, text: &str) -> Value {
    claude("user", session, uuid, json!(text))
}

fn assistant(session: &str, uuid: &str, block: Value) -> Value {
    claude("assistant", session, uuid, json!([block]))
}

/// Returns the lines around a talk, which repeat all of it.
fn wrapping(session: &str) -> Vec<Value> {
    vec![
        json!({"type": "queue-operation", "operation": "enqueue", "sessionId": session, "content": "WRAPPED"}),
        json!({"parentUuid": null, "attachment": {"type": "environment", "text": "WRAPPED \"type\":\"user\""}, "type": "attachment", "uuid": "w"}),
        json!({"type": "api-request-blob", "sessionId": session, "message": {"role": "user", "content": [{"type": "text", "text": "WRAPPED"}]}}),
        json!({"type": "last-prompt", "lastPrompt": "WRAPPED", "sessionId": session}),
        json!({"type": "system", "subtype": "turn_duration", "content": "WRAPPED", "sessionId": session}),
    ]
}

fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

fn redactor() -> Arc<Redactor> {
    static REDACTOR: OnceLock<Arc<Redactor>> = OnceLock::new();
    REDACTOR.get_or_init(|| Arc::new(Redactor::new(&[]).unwrap())).clone()
}

/// Returns the messages that a reader makes of a text.
fn read(cli: Cli, path: &str, text: &str) -> (Vec<SessionMessage>, Vec<LineError>) {
    read_as(cli, path, text, "", &[])
}

fn read_as(cli: Cli, path: &str, text: &str, before: &str, names: &[&str]) -> (Vec<SessionMessage>, Vec<LineError>) {
    let sessions = readers::for_cli(cli);
    assert!(sessions.is_transcript(path), "{path}");
    let first = text.lines().next().unwrap_or_default();
    let mut reader = sessions.open(&Transcript {
        path,
        first_line: first.as_bytes(),
        preceding_bytes: before.as_bytes(),
        redactor: redactor(),
        read_file: &|path| (path == "tmp/p/.project_root").then(|| b"/srv/p\n".to_vec()),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
    });
    let (mut messages, mut junk, mut offset) = (Vec::new(), Vec::new(), 0);
    for line in text.split_inclusive('\n') {
        junk.extend(reader.parse_line(offset, line.trim_end_matches('\n').as_bytes(), &mut messages).err());
        offset += line.len() as u64;
    }
    (messages, junk)
}

fn texts(messages: &[SessionMessage]) -> Vec<(MessageAuthor, &str)> {
    messages.iter().map(|message| (message.role, message.text.as_str())).collect()
}

#[test]
fn claudes_talk_is_taken_from_what_stands_around_it() {
    let path = format!("projects/-srv-p/{S1}.jsonl");
    let mut all = wrapping(S1);
    all.extend([
        user(S1, "u1", "Fix the TLS handshake"),
        assistant(S1, "a0", json!({"type": "thinking", "thinking": "THOUGHT"})),
        assistant(S1, "a1", json!({"type": "text", "text": "I look at it. 日本語"})),
        assistant(S1, "a2", json!({"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "openssl s_client", "timeout": 5}})),
        claude("user", S1, "r1", json!([{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "verify error"}]}])),
        assistant(S1, "a3", json!({"type": "tool_use", "id": "t2", "name": "mcp__aiw__search_history", "input": {"query": "OWN"}})),
        claude("user", S1, "r2", json!([{"type": "tool_result", "tool_use_id": "t2", "content": "OWN result"}])),
        user(S1, "n1", "<system-reminder>NOTE</system-reminder>"),
        user(S1, "n0", "<system-reminder>without an end"),
        user(S1, "u0", "<system-reminder>NOTE</system-reminder>\n<system-reminder>\nNOTE</system-reminder>\nafter notes"),
        user(S1, "n2", "<local-command-stdout>NOTE</local-command-stdout>"),
        user(S1, "n3", "<command-name>/clear</command-name>\n<command-args></command-args>"),
        user(S1, "u2", "<command-name>/compact</command-name>\n<command-args>keep the code word</command-args>"),
    ]);
    let mut summary = user(S1, "s1", "SUMMARY");
    summary["isCompactSummary"] = true.into();
    let mut meta = user(S1, "s2", "META");
    meta["isMeta"] = true.into();
    let mut error = assistant(S1, "s3", json!({"type": "text", "text": "API Error"}));
    error["isApiErrorMessage"] = true.into();
    all.extend([summary, meta, error]);
    // As another program may write it: with spaces.
    let mut text = lines(&all);
    let spaced = user(S1, "u3", "with spaces").to_string().replace("\":", "\": ").replace(",\"", ", \"");
    text += &format!("{spaced}\n");
    let (messages, junk) = read(Cli::Claude, &path, &text);
    assert_eq!(junk, []);
    assert_eq!(
        texts(&messages),
        [
            (MessageAuthor::User, "Fix the TLS handshake"),
            (MessageAuthor::Assistant, "I look at it. 日本語"),
            (MessageAuthor::Assistant, "openssl s_client"),
            (MessageAuthor::Tool, "verify error"),
            (MessageAuthor::User, "after notes"),
            (MessageAuthor::User, "/compact keep the code word"),
            (MessageAuthor::User, "with spaces"),
        ]
    );
    assert_eq!(messages[2].tools, ["Bash"]);
    assert_eq!(messages[3].tools, ["Bash"]);
    let first = &messages[0];
    assert_eq!((first.uuid.as_str(), first.session.as_str(), first.project.as_str()), ("u1", S1, "/srv/p"));
    assert_eq!((first.time, &first.agent), (Some(1_772_359_201_000), &None));
    assert!(text[usize::try_from(first.offset).unwrap()..].contains("Fix the TLS handshake"));
}

#[test]
fn the_answer_to_a_search_of_ones_own_is_known_after_an_interruption() {
    let path = format!("projects/-srv-p/{S1}.jsonl");
    let before = lines(&[assistant(
        S1,
        "a3",
        json!({"type": "tool_use", "id": "t2", "name": "mcp__aiw__search_history", "input": {}}),
    )]);
    let answer = lines(&[claude(
        "user",
        S1,
        "r2",
        json!([{"type": "tool_result", "tool_use_id": "t2", "content": "OWN result"}]),
    )]);
    assert_eq!(read_as(Cli::Claude, &path, &answer, &before, &[]).0, []);
    assert_eq!(read_as(Cli::Claude, &path, &answer, "", &[]).0.len(), 1);
}

#[test]
fn a_subagents_talk_belongs_to_the_session_that_started_it() {
    let path = format!("projects/-srv-p/{S1}/subagents/agent-abc.jsonl");
    let mut line = user(S1, "x1", "SUBTASK");
    line["agentId"] = "abc".into();
    line["isSidechain"] = true.into();
    let mut old = user("", "x2", "without ids");
    old.as_object_mut().unwrap().remove("sessionId");
    let (messages, junk) = read(Cli::Claude, &path, &lines(&[line, old]));
    assert_eq!(junk, []);
    for message in &messages {
        assert_eq!((message.session.as_str(), message.agent.as_deref()), (S1, Some("abc")));
    }
}

#[test]
fn junk_in_a_transcript_is_named_and_the_rest_is_read() {
    let path = format!("projects/-srv-p/{S1}.jsonl");
    let good = user(S1, "u1", "GOOD").to_string();
    let deep = format!(r#"{{"type":"user","message":{{"content":[{}{}]}}}}"#, "[".repeat(5000), "]".repeat(5000));
    let far = user(S1, "u2", "FAR").to_string().replace(&at(1), "2100-01-01T00:00:00Z");
    let early = user(S1, "u3", "EARLY").to_string().replace(&at(1), "1970-01-01T00:00:00Z");
    let circle = user(S1, "u4", "CIRCLE").to_string().replace(r#""parentUuid":null"#, r#""parentUuid":"u4""#);
    for (bad, junk, kept) in [
        ("{", Some(LineError::NotJson), 0),
        ("nonsense", Some(LineError::NotJson), 0),
        (r#"{"type":"user","message":{"content":"x""#, Some(LineError::NotJson), 0),
        ("[1,2]", Some(LineError::InvalidSchema), 0),
        ("3", Some(LineError::InvalidSchema), 0),
        (r#"{"hello":1}"#, Some(LineError::InvalidSchema), 0),
        (r#"{"type":"user"}"#, Some(LineError::InvalidSchema), 0),
        (r#"{"type":"user","message":"x"}"#, Some(LineError::InvalidSchema), 0),
        (r#"{"type":"user","message":{"content":5}}"#, Some(LineError::InvalidSchema), 0),
        (r#"{"type":"user","message":{"content":"x"},"sessionId":"--help"}"#, Some(LineError::NoSession), 0),
        (r#"{"type":"user","message":{"content":[1,"x",null,{"type":7}]},"uuid":[],"timestamp":{},"cwd":3}"#, None, 0),
        (r#"{"type":"user","message":{"content":"NOID"},"uuid":7,"timestamp":8,"cwd":9,"sessionId":10}"#, None, 1),
        (deep.as_str(), Some(LineError::NotJson), 0),
        (far.as_str(), Some(LineError::InvalidTime), 1),
        (early.as_str(), Some(LineError::InvalidTime), 1),
        (circle.as_str(), Some(LineError::Cycle), 1),
        ("", None, 0),
        ("   ", None, 0),
    ] {
        let (messages, found) = read(Cli::Claude, &path, &format!("{good}\n{bad}\n{}\n", good.replace("u1", "u9")));
        assert_eq!(found, Vec::from_iter(junk), "{bad:.200}");
        assert_eq!(messages.len(), 2 + kept, "{bad:.200}");
    }
    // What is not UTF-8 is replaced.
    let sessions = readers::for_cli(Cli::Claude);
    let mut reader = sessions.open(&Transcript {
        path: &path,
        first_line: b"",
        preceding_bytes: b"",
        redactor: redactor(),
        read_file: &|_| None,
        names: Arc::from([]),
    });
    let bad = [br#"{"type":"user","message":{"content":""#, &b"\xff\xfe"[..], br#""}}"#].concat();
    let mut messages = Vec::new();
    assert_eq!(reader.parse_line(0, &bad, &mut messages), Ok(()));
    assert_eq!(messages[0].text, "\u{fffd}\u{fffd}");
    // Ids are made from the place where there are none.
    let (messages, _) = read(Cli::Claude, &path, r#"{"type":"user","message":{"content":"NOID"}}"#);
    assert_eq!((messages[0].uuid.as_str(), messages[0].session.as_str()), (format!("{S1}@0").as_str(), S1));
}

/// Lines of Codex's.
fn codex() -> String {
    let line = |kind: &str, payload: Value| json!({"timestamp": at(2), "ordinal": 1, "type": kind, "payload": payload});
    let said = |role: &str, id: &str, text: &str| {
        line(
            "response_item",
            json!({"type": "message", "id": id, "role": role, "content": [{"type": "input_text", "text": text}]}),
        )
    };
    lines(&[
        line("session_meta", json!({"id": S2, "cwd": "/srv/c", "base_instructions": {"text": "WRAPPED"}})),
        said("developer", "m0", "WRAPPED"),
        said("user", "m1", "<environment_context>WRAPPED</environment_context>"),
        said("user", "m2", "Sort the list"),
        line("event_msg", json!({"type": "item_completed", "item": {"type": "UserMessage", "content": "WRAPPED"}})),
        said("assistant", "m3", "I sort it."),
        line("response_item", json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "WRAPPED"})),
        line(
            "response_item",
            json!({"type": "function_call", "id": "f1", "name": "exec_command", "arguments": "{\"cmd\": \"sort x\"}", "call_id": "c1"}),
        ),
        line("response_item", json!({"type": "function_call_output", "id": "o1", "call_id": "c1", "output": "1\n2"})),
        line(
            "response_item",
            json!({"type": "function_call", "name": "aiw__search_history", "arguments": "{}", "call_id": "c2"}),
        ),
        line("response_item", json!({"type": "function_call_output", "call_id": "c2", "output": "OWN"})),
        line(
            "response_item",
            json!({"type": "local_shell_call", "call_id": "c3", "action": {"type": "exec", "command": ["ls", "-l"]}}),
        ),
        line(
            "response_item",
            json!({"type": "function_call_output", "call_id": "c3", "output": {"content": "total 0"}}),
        ),
        line("compacted", json!({"message": "WRAPPED"})),
    ])
}

#[test]
fn codexs_talk_is_taken_from_the_conversation_and_not_from_the_events() {
    let path = format!("sessions/2026/03/01/rollout-2026-03-01T10-00-00-{S2}.jsonl");
    let (messages, junk) = read(Cli::Codex, &path, &codex());
    assert_eq!(junk, []);
    assert_eq!(
        texts(&messages),
        [
            (MessageAuthor::User, "Sort the list"),
            (MessageAuthor::Assistant, "I sort it."),
            (MessageAuthor::Assistant, "sort x"),
            (MessageAuthor::Tool, "1\n2"),
            (MessageAuthor::Assistant, "exec\nls\n-l"),
            (MessageAuthor::Tool, "total 0"),
        ]
    );
    assert!(messages.iter().all(|m| (m.session.as_str(), m.project.as_str()) == (S2, "/srv/c")));
    let ids: Vec<&str> = messages.iter().map(|m| m.uuid.as_str()).collect();
    assert_eq!(ids, ["m2", "m3", "f1", "o1", "c3", "c3:output"]);
    assert_eq!(messages[3].tools, ["exec_command"]);
    // From a place in the middle, the session and the directory are still known.
    let codex = codex();
    let start = codex.find("Sort the list").unwrap();
    let start = codex[..start].rfind('\n').unwrap() + 1;
    let sessions = readers::for_cli(Cli::Codex);
    let mut reader = sessions.open(&Transcript {
        path: &path,
        first_line: codex.lines().next().unwrap().as_bytes(),
        preceding_bytes: b"",
        redactor: redactor(),
        read_file: &|_| None,
        names: Arc::from([]),
    });
    let mut out = Vec::new();
    reader.parse_line(0, codex[start..].lines().next().unwrap().as_bytes(), &mut out).unwrap();
    assert_eq!((out[0].session.as_str(), out[0].project.as_str()), (S2, "/srv/c"));
}

#[test]
fn prompts_of_codex_are_taken_only_where_the_session_has_no_file() {
    let text = lines(&[
        json!({"session_id": S1, "ts": 1_772_359_201, "text": "gone session"}),
        json!({"session_id": S2, "ts": 1_772_359_202, "text": "kept session"}),
        json!({"session_id": S1, "ts": 0, "text": "no clock"}),
    ]);
    let name = format!("sessions/2026/03/01/rollout-2026-03-01T10-00-00-{S2}.jsonl");
    let (messages, junk) = read_as(Cli::Codex, "history.jsonl", &text, "", &[&name, "history.jsonl"]);
    assert_eq!(junk, [LineError::InvalidTime]);
    assert_eq!(texts(&messages), [(MessageAuthor::User, "gone session"), (MessageAuthor::User, "no clock")]);
    assert_eq!(messages[0].time, Some(1_772_359_201_000));
}

/// Messages of Gemini CLI's.
fn gemini() -> (Value, Vec<Value>) {
    let head = json!({"sessionId": S1, "projectHash": "x", "startTime": at(1), "lastUpdated": at(1), "kind": "main"});
    let call = json!({"id": "g3", "timestamp": at(3), "type": "gemini", "content": "Let me look.", "toolCalls": [
        {"id": "call-1", "name": "run_shell_command", "args": {"command": "ls"}, "result": [{"functionResponse": {"response": {"output": "x"}}}]},
        {"id": "call-2", "name": "search_history", "args": {"query": "OWN"}}]});
    let mut before = call.clone();
    before.as_object_mut().unwrap().remove("toolCalls");
    let messages = vec![
        json!({"id": "g1", "timestamp": at(1), "type": "user", "content": [{"text": "<session_context>WRAPPED</session_context>"}]}),
        json!({"id": "g2", "timestamp": at(2), "type": "user", "content": [{"text": "Draw a "}, {"text": "heron"}]}),
        before,
        call,
        json!({"id": "g4", "timestamp": at(4), "type": "user", "content": [{"functionResponse": {"id": "call-1", "name": "run_shell_command", "response": {"output": "a.txt"}}}]}),
        json!({"id": "g5", "timestamp": at(4), "type": "user", "content": [{"functionResponse": {"id": "call-2", "name": "search_history", "response": {"output": "OWN"}}}]}),
        json!({"id": "g6", "timestamp": at(5), "type": "info", "content": "NOTE"}),
        json!({"id": "g7", "timestamp": at(6), "type": "gemini", "content": "Done."}),
    ];
    (head, messages)
}

#[test]
fn geminis_talk_is_the_same_as_lines_and_as_a_document() {
    let (head, messages) = gemini();
    let mut text = lines(&[head.clone(), json!({"$set": {"messages": [messages[0]]}})]);
    text += &lines(&messages[1..]);
    text += &lines(&[json!({"$set": {"lastUpdated": at(9)}})]);
    let (read_lines, junk) = read(Cli::Gemini, "tmp/p/chats/session-1.jsonl", &text);
    assert_eq!(junk, []);
    let mut document = head;
    document["messages"] = messages.into();
    let (read_document, junk) = read(Cli::Gemini, "tmp/p/chats/session-1.json", &document.to_string());
    assert_eq!(junk, []);
    for messages in [read_lines, read_document] {
        let all: Vec<_> = messages.iter().map(|m| (m.uuid.as_str(), m.role, m.text.as_str())).collect();
        assert_eq!(
            all,
            [
                ("g2", MessageAuthor::User, "Draw a\nheron"),
                ("g3", MessageAuthor::Assistant, "Let me look."),
                ("g3", MessageAuthor::Assistant, "Let me look."),
                ("call-1", MessageAuthor::Assistant, "ls"),
                ("g4", MessageAuthor::Tool, "a.txt"),
                ("g7", MessageAuthor::Assistant, "Done."),
            ]
        );
        assert!(messages.iter().all(|m| (m.session.as_str(), m.project.as_str()) == (S1, "/srv/p")));
    }
}

/// A home, and the directories of the CLIs.
struct World {
    dir: tempfile::TempDir,
    home: Home,
    places: CliPaths,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = CliPaths::from_variables(|name| (name == "HOME").then(|| dir.path().to_owned())).unwrap();
        let home = Home::from_root(dir.path().join("aiw"));
        fs::create_dir_all(places.directory(Cli::Claude).join("projects/-srv-p")).unwrap();
        Self { home, places, dir }
    }

    fn transcript(&self, session: &str) -> PathBuf {
        self.places.directory(Cli::Claude).join(format!("projects/-srv-p/{session}.jsonl"))
    }

    fn write(&self, session: &str, values: &[Value]) {
        fs::write(self.transcript(session), lines(values)).unwrap();
    }

    fn add(&self, session: &str, text: &str) {
        let mut file = OpenOptions::new().append(true).open(self.transcript(session)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn indexer(&self) -> Indexer {
        Indexer::new(self.home.clone())
    }

    /// Runs a session's hook, and the indexer after it.
    fn hook(&self, session: &str) -> Report {
        assert!(matches!(self.say("SessionEnd", &self.transcript(session)), HookOutcome::Queued(_)));
        self.indexer().run(&self.places, true).unwrap()
    }

    fn say(&self, event: &str, transcript: &Path) -> HookOutcome {
        let said = json!({"session_id": S1, "transcript_path": transcript, "cwd": "/srv/p", "hook_event_name": event});
        Hook::read(said.to_string().as_bytes()).unwrap().handle(&self.home, &self.places).unwrap()
    }

    fn import(&self) -> Report {
        self.indexer().import(&Import::find_all(&self.places), &self.places, &mut |_, _| {}).unwrap()
    }

    fn store(&self) -> Store {
        Store::open(&self.home.history()).unwrap()
    }

    fn problems(&self) -> Vec<String> {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let problems = self.store().problems().unwrap();
        let mut problems: Vec<_> = problems.iter().map(|p| format!("{}: {}", name(&p.path), p.reason)).collect();
        problems.sort();
        problems
    }
}

#[test]
fn a_growing_transcript_is_read_once_however_often_hooks_ask() {
    let world = World::new();
    world.write(S1, &[user(S1, "u1", "one"), assistant(S1, "a1", json!({"type": "text", "text": "two"}))]);
    assert_eq!(world.hook(S1).new_messages, 2);
    let again = world.hook(S1);
    assert_eq!((again.new_messages, again.bytes), (0, 0));
    let line = user(S1, "u2", "three").to_string();
    world.add(S1, &format!("{line}\n"));
    let grown = world.hook(S1);
    assert_eq!((grown.new_messages, grown.bytes), (1, line.len() as u64 + 1));
    // A torn line waits for its end.
    let line = user(S1, "u3", "four").to_string();
    world.add(S1, &line[..line.len() / 2]);
    assert_eq!(world.hook(S1).new_messages, 0);
    assert_eq!(world.import().new_messages, 0);
    world.add(S1, &format!("{}\n", &line[line.len() / 2..]));
    assert_eq!(world.hook(S1).new_messages, 1);
    // A last line without an end is taken once it is whole.
    world.add(S1, &user(S1, "u4", "five").to_string());
    assert_eq!(world.hook(S1).new_messages, 1);
    world.add(S1, &format!("\n{}\n", user(S1, "u5", "six")));
    assert_eq!(world.hook(S1).new_messages, 1);
    assert_eq!(world.problems(), [""; 0]);
    assert!(IngestQueue::new(&world.home).is_empty());
}

#[test]
fn what_a_killed_indexer_had_not_read_yet_is_read() {
    let world = World::new();
    let all: Vec<Value> = (0..1500).map(|n| user(S1, &format!("u{n}"), &format!("message {n}"))).collect();
    world.write(S1, &all);
    // As it is after the first batch.
    let (path, half) = (format!("projects/-srv-p/{S1}.jsonl"), lines(&all[..1000]));
    let (messages, _) = read(Cli::Claude, &path, &half);
    let opened = open_beneath(world.places.directory(Cli::Claude), &path).unwrap();
    let offset = half.len() as u64;
    let progress = ReadProgress {
        offset,
        last_uuid: Some("u999".into()),
        size: opened.size,
        modified: opened.modified,
        inode: opened.inode,
        prefix_digest: opened.prefix_digest(offset).unwrap(),
    };
    fs::create_dir_all(world.home.history()).unwrap();
    world.store().append(Cli::Claude, &world.transcript(S1), &messages, &progress).unwrap();
    assert_eq!(world.hook(S1).new_messages, 500);
    assert_eq!(world.import().bytes, 0);
}

#[test]
fn a_rewritten_or_shorter_transcript_is_read_again() {
    let world = World::new();
    let all: Vec<Value> = (0..400).map(|n| user(S1, &format!("u{n}"), &format!("message {n}"))).collect();
    world.write(S1, &all);
    assert_eq!(world.hook(S1).new_messages, 400);
    world.write(S1, &all[..10]);
    assert_eq!(world.hook(S1).new_messages, 10);
    // As long as before, another end.
    let mut other = all[..10].to_vec();
    other[9] = user(S1, "u9", "message Z");
    world.write(S1, &other);
    // The time of a change may be too coarse to see.
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    fs::File::open(world.transcript(S1)).unwrap().set_modified(later).unwrap();
    assert_eq!(world.hook(S1).new_messages, 10);
}

#[test]
fn a_fork_adds_only_what_is_its_own() {
    let world = World::new();
    world.write(S1, &[user(S1, "u1", "first"), assistant(S1, "a1", json!({"type": "text", "text": "A1"}))]);
    assert_eq!(world.hook(S1).new_messages, 2);
    let copies =
        [user(S2, "u1", "first"), assistant(S2, "a1", json!({"type": "text", "text": "A1"})), user(S2, "u2", "forked")];
    world.write(S2, &copies);
    assert_eq!(world.hook(S2).new_messages, 1);
    let other = World::new();
    fs::create_dir_all(other.places.directory(Cli::Claude).join("projects/-srv-p")).unwrap();
    other.write(S1, &[user(S1, "u1", "first")]);
    other.write(S2, &copies);
    assert_eq!(other.import().new_messages, 3);
}

#[test]
fn what_was_said_in_private_stays_so_in_a_fork() {
    let world = World::new();
    let long = "The diagnosis of the heron came back today, and nobody else may know it.";
    let timed = |session: &str, uuid: &str, second: u32, text: &str| {
        let mut line = user(session, uuid, text);
        line["timestamp"] = at(second).into();
        line
    };
    let private = [
        timed(S1, "u1", 1, long),
        assistant(S1, "a1", json!({"type": "text", "text": "I am sorry."})),
        timed(S1, "u2", 3, "yes"),
    ];
    world.write(S1, &private);
    let agents = world.places.directory(Cli::Claude).join(format!("projects/-srv-p/{S1}/subagents"));
    fs::create_dir_all(&agents).unwrap();
    fs::write(agents.join("agent-x.jsonl"), lines(&[timed(S1, "x1", 4, "subtask of the private session")])).unwrap();
    super::exclude::Exclusions::mark_private(&world.home, S1).unwrap();
    // A fork has the same uuids and times; another program gives new ones to what it copies.
    let mut copies: Vec<Value> =
        private.iter().cloned().chain([timed(S1, "x1", 4, "subtask of the private session")]).collect();
    copies.iter_mut().for_each(|line| line["sessionId"] = S2.into());
    copies.push(timed(S2, "u9", 9, "in public"));
    world.write(S2, &copies);
    let third = "33333333-3333-4333-8333-333333333333";
    let resumed = [
        timed(third, "v1", 21, long),
        assistant(third, "v2", json!({"type": "text", "text": "I am sorry."})),
        timed(third, "v3", 23, "yes"),
        timed(third, "v4", 24, "in the open"),
        timed(third, "v5", 25, "yes"),
    ];
    world.write(third, &resumed);
    assert_eq!(world.import().new_messages, 3);
    for text in ["diagnosis", "sorry", "subtask"] {
        let hits = world.store().search(&crate::HistoryQuery { text, ..crate::HistoryQuery::default() }, None).unwrap();
        assert!(hits.iter().all(|hit| !hit.snippet.text.contains(text)), "{hits:?}");
    }
    // What a private session was forked from was said in public before.
    let other = World::new();
    fs::create_dir_all(other.transcript(S1).parent().unwrap()).unwrap();
    other.write(S1, &private);
    std::thread::sleep(std::time::Duration::from_millis(50));
    let mut fork = private.to_vec();
    fork.iter_mut().for_each(|line| line["sessionId"] = S2.into());
    other.write(S2, &fork);
    super::exclude::Exclusions::mark_private(&other.home, S2).unwrap();
    if fs::metadata(other.transcript(S1)).unwrap().created().is_ok() {
        assert_eq!(other.import().new_messages, 3);
    }
}

#[test]
fn a_line_without_a_directory_belongs_to_where_its_session_began() {
    let world = World::new();
    let secret = world.dir.path().join("secret");
    fs::create_dir_all(&secret).unwrap();
    fs::write(secret.join(".aiw.json"), r#"{"history": false}"#).unwrap();
    let line = |session: &str, uuid: &str, directory: Option<&str>, text: &str| {
        let mut line = user(session, uuid, text);
        match directory {
            Some(directory) => line["cwd"] = directory.into(),
            None => drop(line.as_object_mut().unwrap().remove("cwd")),
        }
        line
    };
    let secret = secret.display().to_string();
    world.write(
        S1,
        &[
            line(S1, "u1", None, "before any directory"),
            line(S1, "u2", Some(&secret), "in it"),
            line(S1, "u3", None, "after it"),
            line(S1, "u4", Some("/srv/p"), "gone elsewhere"),
        ],
    );
    let agents = world.places.directory(Cli::Claude).join(format!("projects/-srv-p/{S1}/subagents"));
    fs::create_dir_all(&agents).unwrap();
    fs::write(agents.join("agent-x.jsonl"), lines(&[line(S1, "x1", None, "of a subagent")])).unwrap();
    world.write(S2, &[line(S2, "v1", None, "first"), line(S2, "v2", Some("/srv/p"), "second")]);
    assert_eq!(world.import().new_messages, 3);
    assert_eq!(world.import().new_messages, 0);
    world.add(S1, &lines(&[line(S1, "u5", None, "later")]));
    assert_eq!(world.import().new_messages, 0);
}

#[test]
fn a_transcript_adds_to_no_other_session() {
    let world = World::new();
    world.write(S1, &[user(S1, "u1", "mine")]);
    world.write(S2, &[user(S2, "v1", "theirs"), user(S1, "v2", "forged")]);
    assert_eq!(world.import().new_messages, 3);
    let of = |session: &str| {
        world.store().session_view(session, &crate::MessageRange { around: None, limit: 9 }).unwrap().messages.len()
    };
    assert_eq!((of(S1), of(S2)), (1, 2));
    // Codex: a fork has the head of the other session too.
    let path = format!("sessions/2026/03/01/rollout-2026-03-01T10-00-00-{S1}.jsonl");
    let (messages, _) = read(Cli::Codex, &path, &codex());
    assert!(messages.iter().all(|message| message.session == S1));
    // What names a private session is not kept in another one's transcript either.
    let private = World::new();
    private.write(S2, &[user(S2, "v1", "theirs"), user(S1, "v2", "private")]);
    super::exclude::Exclusions::mark_private(&private.home, S1).unwrap();
    assert_eq!(private.import().new_messages, 1);
}

#[test]
fn an_import_takes_all_clis_once_and_subagents_too() {
    let world = World::new();
    world.write(S1, &[user(S1, "u1", "one")]);
    let agents = world.places.directory(Cli::Claude).join(format!("projects/-srv-p/{S1}/subagents"));
    fs::create_dir_all(&agents).unwrap();
    fs::write(agents.join("agent-x.jsonl"), lines(&[user(S1, "x1", "SUBTASK")])).unwrap();
    fs::write(agents.join("agent-x.meta.json"), "{}").unwrap();
    let day = world.places.directory(Cli::Codex).join("sessions/2026/03/01");
    fs::create_dir_all(&day).unwrap();
    fs::write(day.join(format!("rollout-2026-03-01T10-00-00-{S2}.jsonl")), codex()).unwrap();
    let chats = world.places.directory(Cli::Gemini).join("tmp/p/chats");
    fs::create_dir_all(&chats).unwrap();
    fs::write(world.places.directory(Cli::Gemini).join("tmp/p/.project_root"), "/srv/p").unwrap();
    let (mut head, messages) = gemini();
    head["messages"] = messages.into();
    fs::write(chats.join("session-1.json"), head.to_string()).unwrap();
    let report = world.import();
    assert_eq!((report.new_messages, report.transcripts), (2 + 6 + 5, 4));
    assert_eq!(world.import().new_messages, 0);
    // A document is written anew each time.
    let more = json!({"id": "g8", "timestamp": at(7), "type": "user", "content": "More."});
    head["messages"].as_array_mut().unwrap().push(more);
    fs::write(chats.join("session-1.json"), head.to_string()).unwrap();
    assert_eq!(world.import().new_messages, 1);
    assert_eq!(world.problems(), [""; 0]);
    // The same from elsewhere, where only the content tells whose they are.
    let other = World::new();
    let found = Import::find_at_path(world.dir.path(), &other.places, &other.home).unwrap();
    let report = other.indexer().import(&found, &other.places, &mut |_, _| {}).unwrap();
    assert_eq!(report.new_messages, 2 + 6 + 6);
    // And one file alone.
    let other = World::new();
    let found = Import::find_at_path(&world.transcript(S1), &other.places, &other.home).unwrap();
    assert_eq!(other.indexer().import(&found, &other.places, &mut |_, _| {}).unwrap().new_messages, 1);
    assert!(Import::find_at_path(&world.dir.path().join("none"), &other.places, &other.home).is_err());
}

#[test]
fn a_watch_reads_what_grows() {
    let world = World::new();
    let mut watch = TranscriptWatch::default();
    world.write(S1, &[user(S1, "u1", "one")]);
    assert_eq!(watch.poll(&world.indexer(), &world.places).unwrap().new_messages, 1);
    assert_eq!(watch.poll(&world.indexer(), &world.places).unwrap(), Report::default());
    world.add(S1, &lines(&[user(S1, "u2", "two")]));
    assert_eq!(watch.poll(&world.indexer(), &world.places).unwrap().new_messages, 1);
}

#[test]
fn only_transcripts_in_claudes_directory_are_queued() {
    let world = World::new();
    world.write(S1, &[user(S1, "u1", "one")]);
    let projects = world.places.directory(Cli::Claude).join("projects/-srv-p");
    fs::write(world.dir.path().join("outside.jsonl"), lines(&[user(S1, "u1", "OUTSIDE")])).unwrap();
    symlink(world.dir.path().join("outside.jsonl"), projects.join("link.jsonl")).unwrap();
    fs::create_dir(projects.join("dir.jsonl")).unwrap();
    let pipe = projects.join("pipe.jsonl");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    fs::write(world.places.directory(Cli::Claude).join("settings.json"), "{}").unwrap();
    let outside = "is not in a directory in which the CLI keeps sessions";
    for (path, reason) in [
        (world.dir.path().join("outside.jsonl"), outside),
        (projects.join("../../../outside.jsonl"), outside),
        (world.places.directory(Cli::Claude).join("settings.json"), outside),
        (PathBuf::from("relative.jsonl"), outside),
        (PathBuf::new(), outside),
        (projects.join("link.jsonl"), "is a link, or is reached through one"),
        (projects.join("dir.jsonl"), "is not a regular file"),
        (pipe, "is not a regular file"),
        (projects.join("none.jsonl"), "is not there"),
        (PathBuf::from("x".repeat(5000)), "has a path that is too long"),
    ] {
        assert_eq!(world.say("SessionEnd", &path), HookOutcome::Refused(path.clone(), reason.to_owned()));
    }
    assert!(matches!(world.say("PreToolUse", &world.transcript(S1)), HookOutcome::Ignored(_)));
    assert!(matches!(world.say("PreCompact", &world.transcript(S1)), HookOutcome::Queued(_)));
    let report = world.indexer().run(&world.places, true).unwrap();
    assert_eq!((report.new_messages, report.partial_transcripts), (1, 10));
    assert_eq!(world.problems().len(), 10);
    // Nor does an import follow them.
    assert_eq!(world.import().new_messages, 0);
    for junk in ["", "{", "[]", "3", "{}", r#"{"hook_event_name": 3}"#, "\u{0}"] {
        assert!(Hook::read(junk.as_bytes()).is_err(), "{junk}");
    }
    assert!(Hook::read(std::io::repeat(b' ')).is_err());
}

#[test]
fn two_indexers_do_the_work_of_one() {
    let world = World::new();
    for n in 0..20 {
        let session = format!("s-{n}");
        let all: Vec<Value> = (0..20).map(|m| user(&session, &format!("u{n}-{m}"), &format!("text {n} {m}"))).collect();
        world.write(&session, &all);
    }
    let stored: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let world = &world;
                scope.spawn(move || {
                    let mut stored = 0;
                    for n in (0..20).filter(|n| n % 4 == worker || n % 3 == worker) {
                        world.say("SessionEnd", &world.transcript(&format!("s-{n}")));
                        stored += world.indexer().run(&world.places, n % 2 == 0).unwrap().new_messages;
                    }
                    stored
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    let rest = world.indexer().run(&world.places, true).unwrap().new_messages;
    assert_eq!(stored + rest, 400);
    assert!(IngestQueue::new(&world.home).is_empty());
    assert_eq!(world.import().new_messages, 0);
}

#[test]
fn excluded_projects_and_private_sessions_are_not_stored() {
    let world = World::new();
    fs::create_dir_all(world.home.root()).unwrap();
    fs::write(world.home.settings_path(), r#"{"history": {"exclude": ["/secret/*"]}}"#).unwrap();
    let at = |session: &str, uuid: &str, project: &str| {
        let mut line = user(session, uuid, uuid);
        line["cwd"] = project.into();
        line
    };
    world.write(S1, &[at(S1, "u1", "/secret/x"), at(S1, "u2", "/open"), at(S1, "u3", "/secret/x/deep")]);
    world.write(S2, &[at(S2, "u4", "/open")]);
    super::exclude::Exclusions::mark_private(&world.home, S2).unwrap();
    assert_eq!(world.import().new_messages, 1);
    assert_eq!(TranscriptWatch::default().poll(&world.indexer(), &world.places).unwrap().new_messages, 0);
    let said = json!({"session_id": S1, "transcript_path": world.transcript(S1), "cwd": "/secret/x", "hook_event_name": "SessionEnd"});
    let handled = Hook::read(said.to_string().as_bytes()).unwrap().handle(&world.home, &world.places).unwrap();
    assert!(matches!(handled, HookOutcome::Ignored(_)));
}

#[test]
fn a_damaged_index_is_made_again_from_the_transcripts() {
    let world = World::new();
    world.write(S1, &[user(S1, "u1", "one"), user(S1, "u2", "two")]);
    assert_eq!(world.hook(S1).new_messages, 2);
    let database = world.home.history().join("history.db");
    for entry in fs::read_dir(world.home.history()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("history.db-") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::write(&database, vec![b'x'; 8192]).unwrap();
    world.write(S2, &[user(S2, "u3", "three")]);
    assert_eq!(world.hook(S2).new_messages, 3);
}

#[test]
fn requests_for_what_is_gone_are_dropped() {
    let world = World::new();
    let path = Some("projects/-srv-p/none.jsonl".to_owned());
    let request = IngestRequest {
        cli: Cli::Claude,
        root: world.places.directory(Cli::Claude).to_owned(),
        path,
        refused: None,
        provider: None,
    };
    IngestQueue::new(&world.home).add(&request).unwrap();
    assert_eq!(world.indexer().run(&world.places, true).unwrap().new_messages, 0);
    assert!(IngestQueue::new(&world.home).is_empty());
}

#[test]
fn todos_come_from_the_lists_files_or_from_the_transcript() {
    let world = World::new();
    let list = |status: &str| json!([{"content": "Write it", "status": status}, {"content": "token=hunter2", "status": "pending"}]);
    let mut result = claude("user", S1, "r1", json!([{"type": "tool_result", "tool_use_id": "t", "content": "ok"}]));
    result["toolUseResult"] = json!({"oldTodos": [], "newTodos": list("pending")});
    let call = assistant(
        S1,
        "a1",
        json!({"type": "tool_use", "id": "t2", "name": "TodoWrite", "input": {"todos": list("completed")}}),
    );
    world.write(S1, &[result, call]);
    let found = todos(&world.home, &world.places, Some(&S1[..8])).unwrap();
    assert_eq!((found.session.as_str(), found.source), (S1, "transcript"));
    let all: Vec<_> = found.todos.iter().map(|t| (t.id.as_str(), t.content.as_str(), t.status.as_str())).collect();
    assert_eq!(all, [("1", "Write it", "completed"), ("2", "token=[redacted]", "pending")]);
    // The newer tools, without their files.
    let made = |uuid: &str, result: Value| {
        let mut line = claude("user", S2, uuid, json!([{"type": "tool_result", "tool_use_id": uuid, "content": "ok"}]));
        line["toolUseResult"] = result;
        line
    };
    world.write(
        S2,
        &[
            made("1", json!({"task": {"id": "1", "subject": "First"}})),
            made("2", json!({"task": {"id": "2", "subject": "Second"}})),
            made(
                "3",
                json!({"success": true, "taskId": "1", "statusChange": {"from": "pending", "to": "in_progress"}}),
            ),
        ],
    );
    let found = todos(&world.home, &world.places, Some(S2)).unwrap();
    let all: Vec<_> = found.todos.iter().map(|t| (t.content.as_str(), t.status.as_str())).collect();
    assert_eq!(all, [("First", "in_progress"), ("Second", "pending")]);
    // With them, they count: they are newer than what is in the transcript of a session that runs.
    let tasks = world.places.directory(Cli::Claude).join("tasks").join(S2);
    fs::create_dir_all(&tasks).unwrap();
    for (id, status) in [(10, "pending"), (9, "completed"), (11, "deleted")] {
        fs::write(
            tasks.join(format!("{id}.json")),
            json!({"id": id.to_string(), "subject": "From a file", "status": status}).to_string(),
        )
        .unwrap();
    }
    fs::write(tasks.join("junk.json"), "{").unwrap();
    let found = todos(&world.home, &world.places, Some(S2)).unwrap();
    let all: Vec<_> = found.todos.iter().map(|t| (t.id.as_str(), t.status.as_str())).collect();
    assert_eq!((all, found.source), (vec![("9", "completed"), ("10", "pending")], "tasks"));
    assert!(todos(&world.home, &world.places, Some("nope")).is_err());
    assert!(todos(&world.home, &world.places, Some("../../x")).is_err());
    assert!(todos(&world.home, &world.places, None).is_ok());
}

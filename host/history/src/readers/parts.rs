//! What all readers do with texts, times and tools.

use aiw_redact::rules::{MAX_SCANNED_BYTES, REDACTED, Redactor};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::MAX_TEXT;
use crate::ingest::findings::LineError;

/// The bytes that are kept of a tool's input, and of its answer.
const MAX_TOOL_BYTES: usize = 1 << 10;
/// The bytes that are kept of one value in a tool's input.
const MAX_VALUE_BYTES: usize = 400;

/// Milliseconds since 1970 of a time in RFC 3339. A clock that says 1970 or 2100 was not set: such a time is not used.
pub(crate) fn parse_unix_millis(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let millis = i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()?;
    filter_plausible_millis(millis)
}

/// A time from 2015 to 2099.
pub(super) fn filter_plausible_millis(millis: i64) -> Option<i64> {
    (1_420_070_400_000..4_102_444_800_000).contains(&millis).then_some(millis)
}

/// The beginning of a text, at most so many bytes, whole characters.
pub(super) fn truncate(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The kept text of a message. Secrets are taken out before anything is cut: half of one would not be recognised.
pub(super) struct MessageText<'a> {
    redactor: &'a Redactor,
    text: String,
}

impl<'a> MessageText<'a> {
    pub(super) fn new(redactor: &'a Redactor) -> Self {
        Self { redactor, text: String::new() }
    }

    /// Adds what somebody said.
    pub(super) fn push_text(&mut self, text: &str) {
        append(&mut self.text, &self.redactor.redact(text.trim()), MAX_TEXT);
    }

    /// Adds what a tool was asked for: the values of its input, each cut, without their names.
    pub(super) fn push_tool_input(&mut self, input: &Value) {
        let mut values = String::new();
        self.collect(&mut values, input, 0);
        append(&mut self.text, &values, MAX_TEXT);
    }

    fn collect(&self, out: &mut String, value: &Value, depth: usize) {
        if out.len() >= MAX_TOOL_BYTES || depth > 4 {
            return;
        }
        match value {
            Value::String(text) => {
                append(out, truncate(&self.redactor.redact(text.trim()), MAX_VALUE_BYTES), MAX_TOOL_BYTES)
            }
            // A command line tells only as a whole what its words are.
            Value::Array(items) if items.len() > 1 && items.iter().all(Value::is_string) => {
                let whole = self.redactor.redact(&value.to_string()).into_owned();
                match serde_json::from_str::<Vec<String>>(&whole) {
                    Ok(words) => words.iter().for_each(|word| {
                        append(out, truncate(&self.redactor.redact(word), MAX_VALUE_BYTES), MAX_TOOL_BYTES)
                    }),
                    Err(_) => append(out, truncate(&whole, MAX_VALUE_BYTES), MAX_TOOL_BYTES),
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(out, item, depth + 1)),
            Value::Object(fields) => {
                // `{"name": "PASSWORD", "value": "X"}`
                let named = ["name", "key"].iter().find_map(|key| fields.get(*key)?.as_str());
                let is_named = named.is_some_and(|name| self.redactor.is_secret_name(name));
                for (name, field) in fields {
                    let is_secret = self.redactor.is_secret_name(name) || (is_named && name == "value");
                    match field {
                        Value::String(_) if is_secret => append(out, REDACTED, MAX_TOOL_BYTES),
                        Value::Array(items) if is_secret && items.iter().all(Value::is_string) => {
                            append(out, REDACTED, MAX_TOOL_BYTES);
                        }
                        field => self.collect(out, field, depth + 1),
                    }
                }
            }
            _ => {}
        }
    }

    /// Adds what a tool answered: its beginning and its end, where errors are.
    pub(super) fn push_tool_result(&mut self, content: &Value) {
        let mut whole = String::new();
        texts(content, &mut |text| append(&mut whole, text, MAX_SCANNED_BYTES));
        let result = self.redactor.redact(&whole);
        if result.len() <= MAX_TOOL_BYTES {
            return append(&mut self.text, &result, MAX_TEXT);
        }
        let end = result.ceil_char_boundary(result.len() - MAX_TOOL_BYTES / 3);
        append(
            &mut self.text,
            &format!("{} … {}", truncate(&result, MAX_TOOL_BYTES * 2 / 3), &result[end..]),
            MAX_TEXT,
        );
    }

    /// Returns the text; none if nothing was added.
    pub(super) fn into_text(self) -> Option<String> {
        (!self.text.is_empty()).then_some(self.text)
    }
}

/// Adds a paragraph, as far as there is room.
fn append(out: &mut String, more: &str, limit: usize) {
    let more = more.trim();
    let room = limit.saturating_sub(out.len() + 1);
    if more.is_empty() || room == 0 {
        return;
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(truncate(more, room));
}

/// The texts of a value that is a string, a list of parts with texts, or such a part.
fn texts(content: &Value, take: &mut dyn FnMut(&str)) {
    match content {
        Value::String(text) => take(text),
        Value::Array(parts) => parts.iter().take(1000).for_each(|part| match part {
            Value::Array(_) => {}
            part => texts(part, take),
        }),
        Value::Object(part) => {
            let text = ["text", "output", "content"].iter().find_map(|key| part.get(*key)?.as_str());
            take(text.unwrap_or_default());
        }
        _ => {}
    }
}

/// The longest id that is taken over.
const MAX_ID: usize = 128;

/// An id of a session or a subagent, if it is one: it becomes an argument of a command that resumes it.
pub(crate) fn session_id(id: &str) -> Option<&str> {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let starts = id.starts_with(|c: char| c.is_ascii_alphanumeric());
    (starts && id.len() <= MAX_ID && id.chars().all(is_fine)).then_some(id)
}

/// An id of a message, if it is one; else one made from where it is.
pub(super) fn message_id(id: Option<&Value>, session: &str, offset: u64, part: usize) -> String {
    let is_fine = |id: &&str| !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic());
    match id.and_then(Value::as_str).filter(is_fine) {
        Some(id) => id.to_owned(),
        None if part == 0 => format!("{session}@{offset}"),
        None => format!("{session}@{offset}.{part}"),
    }
}

/// Parses a line of JSON.
pub(crate) fn parse<T: serde::de::DeserializeOwned>(line: &[u8]) -> Result<T, LineError> {
    aiw_core::from_foreign_json(line).map_err(|error| LineError::classify(line, &error))
}

/// Refuses a line that has no type: it is of another program, or damaged.
pub(super) fn reject_untyped_line(line: &[u8]) -> Result<(), LineError> {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    match aiw_core::from_foreign_json::<serde::de::IgnoredAny>(line) {
        Ok(_) => Err(LineError::InvalidSchema),
        Err(e) => Err(LineError::classify(line, &e)),
    }
}

/// A directory that a transcript names.
pub(super) fn parse_directory(path: Option<&Value>) -> String {
    truncate(path.and_then(Value::as_str).unwrap_or_default(), 4096).to_owned()
}

/// The name of a tool, if it is one.
pub(super) fn tool_name(name: &Value) -> String {
    aiw_core::one_line(name.as_str().unwrap_or_default(), 100)
}

/// Whether a word of a shell's may stand before the program that it runs.
fn is_before_a_program(word: &str) -> bool {
    const RUNNERS: [&str; 17] = [
        "bash", "sh", "zsh", "env", "sudo", "time", "timeout", "nohup", "nice", "exec", "command", "xargs", "do",
        "then", "else", "if", "!",
    ];
    let is_number = word.starts_with(|c: char| c.is_ascii_digit());
    let name = word.rsplit('/').next().unwrap_or_default();
    word.is_empty() || word.starts_with('-') || word.contains('=') || is_number || RUNNERS.contains(&name)
}

/// The tools by which agents search this very history. To find what was found before is of no use.
const HISTORY_TOOLS: [&str; 3] = ["search_history", "get_session", "get_session_todos"];

/// Whether a call searches this history: by aiw's tools, whatever a CLI puts before their names, or in a shell.
pub(crate) fn is_history_search(tool: &str, input: &Value) -> bool {
    let is_ours = HISTORY_TOOLS.iter().any(|own| {
        tool.strip_suffix(own).is_some_and(|before| before.is_empty() || before.ends_with(['_', '.', '-', '/', ':']))
    });
    if is_ours {
        return true;
    }
    let command = ["command", "cmd", "script"].iter().find_map(|key| input.get(key));
    let is_search = |command: &str| {
        command.split([';', '&', '|', '\n', '(', '`', '{']).any(|part| {
            let words = part.split_whitespace().map(|word| word.trim_matches(['"', '\'']));
            // What only mentions the words is a command of another program.
            let mut words = words.skip_while(|word| is_before_a_program(word));
            let is_aiw = words.next().is_some_and(|program| program.rsplit('/').next() == Some("aiw"));
            is_aiw && words.find(|word| !word.starts_with('-')) == Some("history")
        })
    };
    match command {
        Some(Value::String(command)) => is_search(command),
        Some(Value::Array(words)) => is_search(&words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn clocks_that_were_not_set_are_no_times() {
        assert_eq!(parse_unix_millis("2026-01-01T00:00:00.500Z"), Some(1_767_225_600_500));
        assert_eq!(parse_unix_millis("2026-01-01T01:00:00.5+01:00"), Some(1_767_225_600_500));
        for bad in
            ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "yesterday", "", "2026-01-01", "9999-99-99T00:00:00Z"]
        {
            assert_eq!(parse_unix_millis(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_search_of_this_history_is_known_by_every_clients_name_for_it() {
        for tool in ["search_history", "mcp__aiw__search_history", "aiw__get_session", "mcp_aiw_get_session_todos"] {
            assert!(is_history_search(tool, &Value::Null), "{tool}");
        }
        for tool in ["research_history", "search_history_of_git", "Bash", ""] {
            assert!(!is_history_search(tool, &Value::Null), "{tool}");
        }
        assert!(is_history_search("Bash", &json!({"command": "aiw history search TLS"})));
        assert!(is_history_search("Bash", &json!({"command": "cd /x && /usr/bin/aiw history show 1 | head"})));
        assert!(is_history_search("shell", &json!({"command": ["bash", "-lc", "aiw history search TLS"]})));
        assert!(is_history_search("Bash", &json!({"command": "aiw cli list; aiw --json history search TLS"})));
        assert!(is_history_search(
            "Bash",
            &json!({"command": "for q in a b; do X=1 timeout 5 aiw history search $q; done"})
        ));
        assert!(is_history_search("Bash", &json!({"command": "found=$(aiw history search TLS)"})));
        assert!(!is_history_search("Bash", &json!({"command": "git commit -m 'document aiw history search in docs'"})));
        assert!(!is_history_search(
            "Bash",
            &json!({"command": "cd /x && git commit -m \"about aiw history search\" && ls"})
        ));
        assert!(!is_history_search("Bash", &json!({"command": "git log aiw/history"})));
        assert!(!is_history_search("Bash", &json!({"command": "cat history | aiw"})));
    }

    #[test]
    fn half_a_character_costs_no_message() {
        for (line, text) in [
            (r#"["cut \ud83d"]"#, "cut \u{fffd}"),
            (r#"["\ud83dx\ude00 \ud83d\ude00"]"#, "\u{fffd}x\u{fffd} 😀"),
            (r#"["\ud83d\ud83d\ude00\\ud83d"]"#, "\u{fffd}😀\\ud83d"),
            (r#"["\ude00\u0041"]"#, "\u{fffd}A"),
        ] {
            assert_eq!(parse::<Vec<String>>(line.as_bytes()).unwrap(), [text], "{line}");
        }
        for line in [r#"["\ud83"]"#, r#"["\ud83d"#, "\\", r#"["\"#] {
            assert!(parse::<Vec<String>>(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn long_results_keep_both_ends_and_whole_characters() {
        let redactor = Redactor::new(&[]).unwrap();
        let mut talk = MessageText::new(&redactor);
        talk.push_tool_result(&json!([{"type": "text", "text": format!("begin {} the end", "日本".repeat(2000))}]));
        let text = talk.into_text().unwrap();
        assert!(text.starts_with("begin ") && text.ends_with("the end") && text.len() < 1200, "{}", text.len());
        let mut talk = MessageText::new(&redactor);
        for _ in 0..3 {
            talk.push_text(&"é".repeat(MAX_TEXT));
        }
        assert!(talk.into_text().unwrap().len() <= MAX_TEXT);
    }

    #[test]
    fn a_secret_that_a_cut_would_halve_is_taken_out_whole() {
        let redactor = Redactor::new(&[]).unwrap();
        for before in MAX_TOOL_BYTES * 2 / 3 - 40..MAX_TOOL_BYTES * 2 / 3 + 4 {
            let secret = format!("ghp_{}", "a1B2".repeat(9));
            let text = format!("{} {secret} {}", "x ".repeat(before / 2), "y ".repeat(2000));
            let mut talk = MessageText::new(&redactor);
            talk.push_tool_result(&Value::from(text));
            assert!(!talk.into_text().unwrap().contains("ghp_"));
        }
        let mut talk = MessageText::new(&redactor);
        talk.push_tool_input(&json!({"a": {"password": "hunter2", "user": "me"}, "header": ["api_key=hunter2"]}));
        assert_eq!(talk.into_text().unwrap(), "[redacted]\nme\napi_key=[redacted]");
        let mut talk = MessageText::new(&redactor);
        talk.push_tool_input(&json!({
            "command": ["mysql", "--password", "hunter2x9", "-h", "db"],
            "env": [{"name": "DB_PASSWORD", "value": "hunter2"}],
            "tokens": ["hunter2", "hunter3"],
        }));
        let text = talk.into_text().unwrap();
        assert!(!text.contains("hunter") && text.contains("mysql\n--password\n[redacted]\n-h\ndb"), "{text}");
    }

    #[test]
    fn an_id_that_could_be_an_option_or_a_path_is_none() {
        for good in ["903317b3-4cd1-4de0-958d-a4413229be68", "agent-1", "a"] {
            assert_eq!(session_id(good), Some(good));
        }
        for bad in ["", "-r", "--help", "a/b", "../x", "a b", "a\nb", "é", &"a".repeat(129)] {
            assert_eq!(session_id(bad), None, "{bad}");
        }
        assert_eq!(message_id(Some(&json!("x y")), "s", 7, 0), "s@7");
        assert_eq!(message_id(None, "s", 7, 2), "s@7.2");
    }
}

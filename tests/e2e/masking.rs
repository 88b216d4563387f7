//! A key that a CLI writes in disguise: escaped as JSON allows, split by escape codes, or in pieces of a stream. It
//! must not be recoverable from anything that is stored or shown.

use std::collections::BTreeMap;
use std::fs;

use aiw_tests::{Environment, FakeClis};
use serde_json::{Value, json};

use crate::mcp::Client;

const KEY: &str = "sk-canary/5d1e90c7-44aa";

/// Returns a prompt that makes a CLI write these lines to standard output. A line after `raw ` uses the escapes of
/// `printf`; one after `2> ` does too, and goes to standard error. The lines come from a file, because the prompt
/// itself belongs to the user and is not masked.
fn prompt(env: &Environment, lines: &[&str]) -> String {
    let print = |line: &&str| match line.split_once(' ') {
        Some(("sleep" | "exit", _)) => format!("{line}\n"),
        Some(("2>", line)) => format!("printf '%b\\n' '{line}' >&2\n"),
        Some(("raw", line)) => format!("printf '%b\\n' '{line}'\n"),
        _ => format!("printf '%s\\n' '{line}'\n"),
    };
    let path = env.path("lines");
    fs::write(&path, lines.iter().map(print).collect::<String>()).unwrap();
    FakeClis::script(&format!(". '{}'", path.display()))
}

/// Removes escapes, escape codes and invisible characters from a text.
fn naked(text: &str) -> String {
    let mut decoded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let hex =
            after.strip_prefix('u').and_then(|hex| hex.get(..4)).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        match hex.and_then(char::from_u32) {
            Some(c) => {
                decoded.push(c);
                rest = &after[5..];
            }
            None => rest = after,
        }
    }
    decoded.push_str(rest);
    let mut seen = String::new();
    let mut chars = decoded.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                // Either `ESC [ … letter`, or one character after ESC.
                if chars.next() == Some('[') {
                    chars.by_ref().find(|c| ('\u{40}'..='\u{7e}').contains(c));
                }
            }
            c if c.is_control() && c != '\n' => {}
            c => seen.push(c),
        }
    }
    seen
}

/// Collects all strings in a JSON value, concatenating those at the same path.
fn join(value: &Value, path: &str, joined: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => joined.entry(path.to_owned()).or_default().push_str(text),
        Value::Array(items) => items.iter().for_each(|item| join(item, path, joined)),
        Value::Object(fields) => fields.iter().for_each(|(key, value)| join(value, &format!("{path}.{key}"), joined)),
        _ => {}
    }
}

fn assert_clean(what: &str, text: &str) {
    assert!(!text.contains(KEY), "{what}: {text}");
    assert!(!naked(text).contains(KEY), "{what}, decoded: {text}");
    let mut joined = BTreeMap::new();
    for value in text.lines().filter_map(|line| serde_json::from_str(line.get(line.find('{')?..)?).ok()) {
        join(&value, "", &mut joined);
    }
    for (path, text) in joined {
        assert!(!naked(&text).contains(KEY), "{what}, {path} put together: {text}");
    }
}

/// Runs a CLI that writes these lines, checks everything, and returns the answer that was shown.
fn run(cli: &str, lines: &[&str]) -> String {
    let (env, _) = FakeClis::environment();
    let script = prompt(&env, lines);
    let mut answers = Vec::new();
    for form in ["text", "stream-json", "json"] {
        let run = env.run(&[cli, "--env", &format!("MY_TOKEN={KEY}"), "--output", form, &script]);
        assert_clean(form, &run.stdout);
        assert_clean(form, &run.stderr);
        answers.push(run.stdout);
    }
    for task in env.json(&["task", "list"])["tasks"].as_array().unwrap() {
        let id = task["id"].as_str().unwrap();
        for entry in fs::read_dir(env.home().join("tasks").join(id)).unwrap().flatten() {
            // The prompt is the user's own text.
            if entry.file_name() != "prompt" {
                let text = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
                assert_clean(&entry.path().display().to_string(), &text);
            }
        }
        for arguments in [
            &["task", "show", id][..],
            &["task", "show", id, "--json"],
            &["logs", id],
            &["logs", id, "--raw"],
            &["logs", id, "--json"],
            &["wait", id],
            &["wait", id, "--json"],
        ] {
            assert_clean(&format!("{arguments:?}"), &env.run(arguments).stdout);
        }
        let mut client = Client::initialized(&env);
        for tool in ["wait_task", "get_task_logs"] {
            assert_clean(tool, &client.good(tool, json!({"id": id})).to_string());
        }
    }
    answers.swap_remove(0)
}

#[test]
fn a_key_in_pieces_of_a_stream_is_masked_wherever_it_is_cut() {
    let said = run(
        "gemini",
        &[
            r#"{"type":"message","role":"assistant","content":"it is sk-ca","delta":true}"#,
            r#"{"type":"message","role":"assistant","content":"nary/5d1","delta":true}"#,
            r#"{"type":"message","role":"assistant","content":"e90c7-44aa, well","delta":true}"#,
        ],
    );
    assert_eq!(said, "it is [secret], well\n");
    // The pieces arrive slowly, a few characters at a time, with something else in between.
    let said = run(
        "gemini",
        &[
            r#"{"type":"message","timestamp":"2026-01-01T00:00:00.000Z","role":"assistant","content":"s","delta":true}"#,
            r#"{"type":"message","timestamp":"2026-01-01T00:00:01.000Z","role":"assistant","content":"k-","delta":true}"#,
            "sleep 1.5",
            r#"{"type":"message","timestamp":"2026-01-01T00:00:02.000Z","role":"assistant","content":"canary/5d1e","delta":true}"#,
            r#"{"type":"message","timestamp":"2026-01-01T00:00:03.000Z","role":"user","content":"go on"}"#,
            "sleep 1.5",
            r#"{"type":"message","timestamp":"2026-01-01T00:00:04.000Z","role":"assistant","content":"90c7-44aa","delta":true}"#,
        ],
    );
    assert!(said.contains("[secret]") && !said.contains("90c7"), "{said}");
}

#[test]
fn a_key_in_any_escapes_of_json_is_masked() {
    let escaped: String = KEY
        .chars()
        .enumerate()
        .map(|(at, c)| match at % 3 {
            0 => format!("\\u{:04x}", u32::from(c)),
            1 => format!("\\u{:04X}", u32::from(c)),
            _ => c.to_string(),
        })
        .collect();
    let slash = KEY.replace('/', "\\/");
    for form in [&escaped, &slash] {
        let said = run(
            "claude",
            &[
                &format!(
                    r#"{{"type":"assistant","message":{{"content":[{{"type":"text","text":"it is {form}"}},{{"type":"tool_use","name":"Bash","input":{{"{form}":["echo {form}"]}}}}]}},"parent_tool_use_id":null}}"#
                ),
                &format!(
                    r#"{{"type":"user","message":{{"content":[{{"type":"tool_result","content":"TOKEN={form}"}}]}},"parent_tool_use_id":null}}"#
                ),
                &format!(r#"{{"type":"result","is_error":false,"result":"so: {form}","session_id":"s"}}"#),
                "exit 0",
            ],
        );
        assert!(said.starts_with("it is [secret]\n"), "{said}");
        run(
            "codex",
            &[
                &format!(
                    r#"{{"type":"item.completed","item":{{"type":"command_execution","aggregated_output":"{form}\n","exit_code":0}}}}"#
                ),
                &format!(r#"{{"type":"item.completed","item":{{"type":"agent_message","text":"it is {form}"}}}}"#),
                &format!(r#"not JSON: {{"key":"{form}"}}"#),
            ],
        );
    }
}

#[test]
fn a_key_that_escape_codes_cut_is_masked() {
    for code in [r"\u001b[31m", r"\u001B[38;2;1;2;3m", r"\u001b]0;title\u0007", r"\u001bM", r"\u0000"] {
        let cut = KEY.replace("canary", &format!("can{code}ary"));
        let line = |text: &str| format!(r#"{{"type":"message","role":"assistant","content":"{text}","delta":true}}"#);
        let (first, second) = cut.split_at(cut.len() - 12);
        let (within, after) = (format!("sk-can{}", &code[..code.len() - 1]), &code[code.len() - 1..]);
        run(
            "gemini",
            &[
                &line(&cut),
                &line(first),
                &line(second),
                &format!(r#"{{"type":"tool_result","status":"success","output":"{cut}"}}"#),
                // The escape code itself is split.
                &line(if code.contains("[3") { &within } else { "x" }),
                &line(&if code.contains("[3") { format!("{after}{}", &KEY[6..]) } else { "x".into() }),
            ],
        );
    }
    for code in [r"\0033[31m", r"\0033[0;1m", r"\0033]8;;http://x\0033\\", r"\0000", r"\0033(B"] {
        let cut = KEY.replace("canary", &format!("can{code}ary"));
        run("claude", &[&format!("raw it is {cut}"), &format!("2> it is {cut}")]);
    }
}

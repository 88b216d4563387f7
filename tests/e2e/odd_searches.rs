//! Searches that are no questions: they get an answer or a sentence, never an error of the database.

use serde_json::{Value, json};

use crate::history::filled;
use crate::mcp::Client;

fn odd() -> Vec<String> {
    let all = [
        "the of and a",
        "der die das",
        "的 了",
        "的",
        "???",
        "...",
        "-",
        "--",
        "-5",
        "🙂",
        "👩‍👩‍👧 🏳️‍🌈",
        "a",
        "é",
        "世",
        "1",
        "_",
        " ",
        "\t\n",
        "\u{200b}",
        "\u{202e}desrever",
        "\u{feff}",
        "e\u{301}\u{301}\u{301}",
        "\"",
        "\"\"",
        "\"unclosed",
        "'",
        "it's",
        "`x`",
        "\\",
        "%",
        "% _",
        "*",
        "certif*",
        "*cate",
        "^certificate",
        "AND",
        "OR",
        "NOT",
        "NEAR",
        "certificate AND",
        "AND certificate",
        "certificate OR OR handshake",
        "NOT certificate",
        "NEAR(certificate handshake, 5)",
        "certificate NEAR/2 handshake",
        "terms: certificate",
        "terms:certificate",
        "{terms}: certificate",
        "- terms : certificate",
        "(certificate",
        "certificate)",
        "((((",
        "certificate + handshake",
        "certificate -handshake",
        "\"certificate\" \"handshake\" *",
        "words MATCH 'x'",
        "'; DROP TABLE messages; --",
        "\" OR 1=1 --",
        "x' UNION SELECT text FROM messages --",
        "${HOME}",
        "$(id)",
        "{}",
        "[]",
    ];
    let long = [
        "certificate ".repeat(900),
        "x".repeat(10_000),
        "登录".repeat(3000),
        "(".repeat(10_000),
        "\"".repeat(9_999),
        "a ".repeat(5000),
        (0..3000).map(|n| format!("w{n} ")).collect(),
        (0..2000).map(|n| format!("certificate{n}OR")).collect(),
    ];
    all.into_iter().map(str::to_owned).chain(long).collect()
}

/// Whether the text is not one that SQLite or a bug says.
fn is_clear(text: &str) -> bool {
    let text = text.to_lowercase();
    !["sqlite", "fts5", "syntax error", "malformed", "no such", "unterminated", "bug:", "panicked", "can't be used"]
        .iter()
        .any(|word| text.contains(word))
}

#[test]
fn any_words_on_the_command_line_get_an_answer_or_a_sentence() {
    let env = filled();
    for text in odd() {
        let shown = text.chars().take(60).collect::<String>();
        // A word that looks like an option is one, unless `--` stands before it.
        let run = env.run(&["history", "search", "--json", "--", &text]);
        assert!(run.code == 0 || run.code == 2, "{shown}: {}", run.whole());
        let answer = run.json();
        assert!(answer["hits"].is_array() || answer["error"]["message"].is_string(), "{shown}: {answer}");
        assert!(run.code != 0 || answer["hits"].is_array(), "{shown}: {answer}");
        assert!(answer["hits"].is_array() || is_clear(&answer.to_string()), "{shown}: {answer}");
        assert!(is_clear(&run.stderr), "{shown}: {}", run.stderr);
        let people = env.run(&["history", "search", "--", &text]);
        assert_eq!(people.code, run.code, "{shown}");
        assert!(is_clear(&people.stderr) && people.stderr.lines().count() <= 2, "{shown}: {}", people.whole());
    }
    // What means something among it still counts.
    for text in
        ["the certificate", "certificate AND", "(certificate", "certif* 🙂", "'; certificate --", "\"certificate"]
    {
        let found = env.json(&["history", "search", text]);
        assert!(!found["hits"].as_array().unwrap().is_empty(), "{text}");
    }
}

#[test]
fn any_filter_gets_an_answer_or_a_sentence() {
    let env = filled();
    for odd in ["", " ", "%", "*", "'", "\"", "../..", "/", "\\", "🙂", "a' OR '1'='1", &"x".repeat(5000)] {
        for filter in ["--session", "--project", "--tool", "--role", "--cli", "--since"] {
            let argument = format!("{filter}={odd}");
            let run = env.run(&["history", "search", "certificate", &argument]);
            let shown = argument.chars().take(60).collect::<String>();
            assert!([0, 2, 64].contains(&run.code) && is_clear(&run.stderr), "{shown}: {}", run.whole());
        }
        let mut all = vec![vec!["history", "show", odd], vec!["history", "export", odd]];
        // All sessions are below `/`.
        if !odd.contains('/') {
            all.push(vec!["history", "forget", odd, "--yes"]);
        }
        for arguments in all {
            let run = env.run(&arguments);
            assert!([0, 2, 64].contains(&run.code) && is_clear(&run.stderr), "{arguments:?}: {}", run.whole());
        }
    }
    assert_eq!(env.json(&["history", "stats"])["messages"], 7);
}

#[test]
fn any_words_of_a_client_get_an_answer_or_a_sentence() {
    let env = filled();
    let mut client = Client::initialized(&env);
    let nul = ["\0", "certificate\0handshake", "\0\0\0"].map(str::to_owned);
    for text in odd().into_iter().chain(nul) {
        let shown = text.chars().take(60).collect::<String>();
        for arguments in [
            json!({"query": text}),
            json!({"query": "certificate", "session_id": text}),
            json!({"query": "certificate", "project": text}),
            json!({"query": "certificate", "since": text}),
        ] {
            let result = client.result("tools/call", json!({"name": "search_history", "arguments": arguments}));
            let said = result["content"][0]["text"].as_str().unwrap_or_default();
            match result["isError"] {
                Value::Bool(true) => assert!(is_clear(said) && !said.is_empty(), "{shown}: {said}"),
                _ => assert!(result["structuredContent"]["sessions"].is_array(), "{shown}: {result}"),
            }
        }
        let result = client.result("tools/call", json!({"name": "get_session", "arguments": {"session_id": text}}));
        assert!(is_clear(result["content"][0]["text"].as_str().unwrap_or_default()), "{shown}: {result}");
    }
    let found = client.result("tools/call", json!({"name": "search_history", "arguments": {"query": "certificate\0"}}));
    assert!(!found["structuredContent"]["sessions"].as_array().unwrap().is_empty(), "{found}");
}

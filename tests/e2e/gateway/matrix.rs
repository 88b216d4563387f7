//! Sessions of the real CLIs that go wrong in many ways: through the gateway, each ends as it does with the CLI's own API.
//!
//! CI runs each kind of session with one API for each CLI, `AIW_SOAK_ROUNDS` all of them.

use std::io::Write;
use std::path::Path;
use std::process::Output;

use aiw_tests::{Environment, ModelApi};
use serde_json::{Value, json};

use super::PROVIDERS;
use super::real::{reads, set_up};

/// A picture of one pixel.
const PICTURE: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// The API that each CLI speaks itself, and the one that CI tries it with.
const CLIS: [(&str, &str, &str); 3] = [
    ("claude", "messages", "chat-completions"),
    ("codex", "responses", "messages"),
    ("gemini", "generate-content", "responses"),
];

const ALL: [&str; 3] = ["claude", "codex", "gemini"];

const DONE: &str = "All is done: \u{1f34f} gr\u{fc}n.";

/// A kind of session: what the model answers, and what the model must have been told at the end.
struct Session {
    name: &'static str,
    turns: fn(cli: &str, api: &str, project: &Path) -> Vec<Value>,
    told: fn(cli: &str, api: &str, asked: &[Value]),
    /// The CLIs that it is for.
    clis: &'static [&'static str],
    /// What the CLI says at the end.
    end: &'static str,
    /// Whether CI runs it too.
    is_quick: bool,
}

fn done() -> Value {
    json!({"text": DONE})
}

fn tells_nothing(_: &str, _: &str, _: &[Value]) {}

/// The text of the last question.
fn last(asked: &[Value]) -> String {
    asked.last().unwrap()["body"].to_string()
}

fn sessions() -> Vec<Session> {
    vec![
        Session {
            name: "a limit",
            turns: |_, _, _| vec![json!({"status": 429, "headers": {"Retry-After": "1"}}), done()],
            told: tells_nothing,
            clis: &ALL,
            end: DONE,
            is_quick: true,
        },
        Session {
            name: "two failures",
            turns: |_, _, _| vec![json!({"status": 500}), json!({"status": 529}), done()],
            told: tells_nothing,
            clis: &ALL,
            end: DONE,
            is_quick: true,
        },
        Session {
            name: "cuts",
            // Behind the second event, the answer of Chat Completions and generateContent is whole.
            turns: |_, _, _| [0, 1, 1].iter().map(|at| json!({"text": "I will", "cut": at})).chain([done()]).collect(),
            told: tells_nothing,
            clis: &ALL,
            end: DONE,
            is_quick: false,
        },
        Session {
            name: "pieces of three bytes",
            turns: |_, _, _| vec![json!({"text": DONE, "pieces": 3})],
            told: tells_nothing,
            clis: &ALL,
            end: DONE,
            is_quick: true,
        },
        Session {
            name: "thoughts over several turns",
            turns: |cli, _, project| {
                let thinks = |thought: &str| json!({"thinking": thought, "tools": reads(cli, project)});
                vec![thinks("first one"), thinks("then the other"), done()]
            },
            told: |cli, api, asked| {
                let text = last(asked);
                let found = match api {
                    // What the vendor wants back, or the thought itself where nothing proves it.
                    "chat-completions" => text.contains("first one") && text.contains("then the other"),
                    _ => text.matches("ZmFrZQ==").count() >= 2,
                };
                assert!(found, "{cli} with {api}: {text}");
            },
            clis: &ALL,
            end: DONE,
            is_quick: true,
        },
        Session {
            name: "a picture",
            turns: |cli, _, project| {
                let path = project.join("dot.png").display().to_string();
                let call = match cli {
                    "claude" => json!({"name": "Read", "input": {"file_path": path}}),
                    "codex" => json!({"name": "view_image", "input": {"path": path}}),
                    _ => json!({"name": "read_file", "input": {"file_path": path}}),
                };
                vec![json!({"tools": [call]}), done()]
            },
            told: |cli, api, asked| {
                let text = last(asked);
                // CLIs may pack it anew, so its beginning is what is looked for.
                assert!(
                    text.contains("iVBORw0KGgo"),
                    "{cli} with {api}: {}",
                    &text[text.len().saturating_sub(3_000)..]
                );
            },
            clis: &ALL,
            end: DONE,
            is_quick: true,
        },
        Session {
            name: "200 turns",
            turns: |cli, _, project| {
                let calls = reads(cli, project);
                (0..200).map(|_| json!({"tools": [calls[0]]})).chain([done()]).collect()
            },
            told: |_, _, asked| assert!(asked.len() > 200, "{}", asked.len()),
            clis: &ALL,
            end: DONE,
            is_quick: false,
        },
        Session {
            // What a CLI prints of it is one line, and a line of more than 8 MiB is not interpreted.
            name: "six megabytes",
            turns: |_, _, _| vec![json!({"text": format!("{}{DONE}", "A long answer. ".repeat(400_000))})],
            told: tells_nothing,
            clis: &ALL,
            end: DONE,
            is_quick: false,
        },
        Session {
            name: "a drip",
            turns: |cli, _, project| {
                vec![json!({"text": "Wait.", "tools": reads(cli, project), "chunk_delay": 1.5}), done()]
            },
            told: tells_nothing,
            clis: &ALL,
            end: DONE,
            is_quick: false,
        },
        Session {
            name: "a patch",
            turns: |_, api, _| {
                let patch = "*** Begin Patch\n*** Add File: new.txt\n+patched\n*** End Patch\n";
                // Only its own API has tools that take a text.
                let call = match api {
                    "responses" => json!({"name": "apply_patch", "type": "custom", "input": patch}),
                    _ => json!({"name": "apply_patch", "input": {"input": patch}}),
                };
                vec![json!({"tools": [call]}), done()]
            },
            told: |cli, api, asked| {
                let text = last(asked);
                assert!(text.contains("Success. Updated the following files"), "{cli} with {api}: {text}");
            },
            clis: &["codex"],
            end: DONE,
            is_quick: true,
        },
        Session {
            name: "a context that is full",
            turns: |cli, api, project| {
                let full = match api {
                    "messages" => "prompt is too long: 250000 tokens > 200000 maximum",
                    "generate-content" => {
                        "The input token count (250000) exceeds the maximum number of tokens allowed (200000)."
                    }
                    _ => {
                        "This model's maximum context length is 200000 tokens. However, your messages resulted in 250000 tokens."
                    }
                };
                let calls = json!({"tools": [reads(cli, project)[0]]});
                vec![calls, json!({"status": 400, "error": full})]
            },
            told: tells_nothing,
            clis: &["claude"],
            // Without a person, it does not compact. It knows what has happened, and says it in its own words.
            end: "Prompt is too long",
            is_quick: true,
        },
    ]
}

/// How a session ended: whether well, and the end of what the CLI said.
fn ended(session: &Session, output: &Output) -> (bool, bool) {
    let said = String::from_utf8_lossy(&output.stdout);
    (output.status.success(), said.contains(session.end))
}

fn run(cli: &str, provider: &str, session: &Session, through: bool) -> Option<(Output, ModelApi)> {
    let turns = |project: &Path| {
        std::fs::write(project.join("dot.png"), base64(PICTURE)).unwrap();
        json!((session.turns)(cli, provider, project))
    };
    let (env, api) = set_up(cli, &turns)?;
    // Codex gives the tool for patches only to models that it knows.
    let model = (session.name == "a patch").then_some("gpt-5.5");
    let output = command(&env, cli, provider, model, through);
    Some((output, api))
}

fn command(env: &Environment, cli: &str, provider: &str, model: Option<&str>, through: bool) -> Output {
    let cwd = env.path("project").display().to_string();
    let mut arguments = vec![cli, "Do what is to be done", "-p", provider, "--cwd", &cwd, "--timeout", "300s"];
    if through {
        arguments.push("--gateway");
    }
    arguments.extend(model.iter().flat_map(|model| ["-m", model]));
    arguments.push("--");
    match cli {
        "codex" => arguments.push("--dangerously-bypass-approvals-and-sandbox"),
        "claude" => arguments.extend(["--allowedTools", "Read"]),
        _ => arguments.push("--yolo"),
    }
    env.command(&arguments).output().unwrap()
}

/// Decodes the one text that is in this file.
fn base64(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let sextets: Vec<u8> = text.bytes().filter(|byte| *byte != b'=').map(value).collect();
    let mut bytes = Vec::new();
    for four in sextets.chunks(4) {
        let joined = four.iter().fold(0u32, |all, sextet| all << 6 | u32::from(*sextet)) << (6 * (4 - four.len()));
        bytes.extend(&joined.to_be_bytes()[1..four.len()]);
    }
    bytes
}

fn ends_alike(cli: &str) {
    let is_soak = std::env::var_os("AIW_SOAK_ROUNDS").is_some();
    let (_, own, quick) = *CLIS.iter().find(|(name, ..)| *name == cli).unwrap();
    for session in sessions().iter().filter(|session| session.clis.contains(&cli) && (is_soak || session.is_quick)) {
        let Some((direct, _)) = run(cli, own, session, false) else { return };
        for (provider, ..) in PROVIDERS.iter().filter(|(provider, ..)| is_soak || *provider == quick) {
            let Some((output, api)) = run(cli, provider, session, true) else { return };
            let told = |output: &Output| {
                let end = |bytes: &[u8]| {
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    text[text.ceil_char_boundary(text.len().saturating_sub(2_000))..].to_owned()
                };
                format!("{}\n{}", end(&output.stdout), end(&output.stderr))
            };
            if is_soak {
                let (own, through) = (ended(session, &direct), ended(session, &output));
                let line = format!("{cli} with {provider}, {}: {through:?}; its own API: {own:?}\n", session.name);
                std::io::stderr().write_all(line.as_bytes()).unwrap();
            }
            // Better is good, too: Codex gives up at the first limit of its own API.
            assert!(
                ended(session, &output) >= ended(session, &direct),
                "{cli} with {provider}, {}: {}\n--- its own API: {}",
                session.name,
                told(&output),
                told(&direct)
            );
            if ended(session, &output).1 {
                let asked: Vec<Value> =
                    api.requests().into_iter().filter(|request| request["method"] == "POST").collect();
                (session.told)(cli, provider, &asked);
            }
        }
    }
}

#[test]
fn sessions_of_claude_code_end_as_with_its_own_api() {
    ends_alike("claude");
}

#[test]
fn sessions_of_codex_end_as_with_its_own_api() {
    ends_alike("codex");
}

#[test]
fn sessions_of_gemini_cli_end_as_with_its_own_api() {
    ends_alike("gemini");
}

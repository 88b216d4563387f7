//! `aiw history …` and the MCP tools over past sessions.

use std::fs;
use std::path::Path;

use aiw_history::{Cli, MessageAuthor, ReadProgress, SessionMessage, Store};
use aiw_tests::{Environment, onnx_runtime, real_model, tiny_model};
use serde_json::{Value, json};

use crate::mcp::Client;
use crate::terminal::Terminal;

const MARCH: i64 = 1_772_323_200_000;

pub(crate) fn message(session: &str, uuid: &str, role: MessageAuthor, minute: i64, text: &str) -> SessionMessage {
    SessionMessage {
        uuid: uuid.into(),
        session: session.into(),
        project: if session.starts_with('a') { "/srv/shop".into() } else { "/srv/it's here".into() },
        time: Some(MARCH + minute * 60_000),
        role,
        tools: if role == MessageAuthor::Tool { vec!["Bash".into()] } else { Vec::new() },
        text: text.into(),
        agent: None,
        offset: 0,
    }
}

/// A home with three sessions.
pub fn filled() -> Environment {
    let env = Environment::new();
    let store = Store::open(&env.home().join("history")).unwrap();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    let sessions = [
        (
            Cli::Claude,
            vec![
                message("a1-first", "a1", MessageAuthor::User, 0, "The TLS handshake with the mirror fails, why?"),
                message(
                    "a1-first",
                    "a2",
                    MessageAuthor::Tool,
                    1,
                    "error: certificate verify failed: unable to get local issuer",
                ),
                message(
                    "a1-first",
                    "a3",
                    MessageAuthor::Assistant,
                    2,
                    "The chain lacks the intermediate: loadTrustStore drops it.",
                ),
                message(
                    "a1-first",
                    "a4",
                    MessageAuthor::Assistant,
                    3,
                    "Fixed: \u{1b}[31mloadTrustStore\u{1b}[0m keeps all of them.",
                ),
            ],
        ),
        (
            Cli::Codex,
            vec![
                message("b2-second", "b1", MessageAuthor::User, 50_000, "登录页面一直卡住"),
                message("b2-second", "b2", MessageAuthor::Assistant, 50_001, "连接池已经耗尽，我增大了连接池。"),
            ],
        ),
        (Cli::Gemini, vec![message("c3-third", "c1", MessageAuthor::User, 60_000, "certificate of the printer")]),
    ];
    for (cli, messages) in &sessions {
        let path = format!("/transcripts/{}.jsonl", messages[0].session);
        store.append(*cli, Path::new(&path), messages, &progress).unwrap();
    }
    env
}

fn uuids(answer: &Value) -> Vec<&str> {
    answer["hits"].as_array().unwrap().iter().map(|hit| hit["uuid"].as_str().unwrap()).collect()
}

#[test]
fn a_search_finds_messages_with_the_line_that_resumes_their_session() {
    let env = filled();
    let found = env.json(&["history", "search", "chain intermediate"]);
    let first = &found["hits"][0];
    assert_eq!(found.as_object().unwrap().keys().collect::<Vec<_>>(), ["hits", "waiting", "duration_ms"]);
    assert!(first["score"].as_f64().unwrap() > 0.0 && found["duration_ms"].as_f64().unwrap() > 0.0);
    let mut whole = first.clone();
    whole["score"] = json!(1);
    insta::assert_snapshot!(format!("{whole:#}"), @r#"
    {
      "session": "a1-first",
      "cli": "claude",
      "project": "/srv/shop",
      "time": "2026-03-01T00:02:00.000Z",
      "role": "assistant",
      "snippet": "The chain lacks the intermediate: loadTrustStore drops it.",
      "score": 1,
      "provider": null,
      "resume": "cd /srv/shop && claude --resume a1-first",
      "path": "/transcripts/a1-first.jsonl",
      "uuid": "a3"
    }
    "#);
    assert_eq!(uuids(&env.json(&["history", "search", "登录"])), ["b1"]);
    assert_eq!(
        env.json(&["history", "search", "登录"])["hits"][0]["resume"],
        r#"cd "/srv/it's here" && codex resume b2-second"#
    );
    // One hit for each message, and the words may be several arguments.
    let name = env.json(&["history", "search", "load", "trust", "store"]);
    assert_eq!(uuids(&name).iter().filter(|uuid| **uuid == "a4").count(), 1);
    assert!(!env.run(&["history", "search", "loadTrustStore"]).ok().stdout.contains('\u{1b}'));
    for (filter, expected) in [
        (&["--limit", "1"][..], 1),
        (&["--project", "/srv"], 3),
        (&["--project", "/srv/shop"], 1),
        (&["--project", "/sr"], 0),
        (&["--cli", "gemini"], 1),
        (&["--role", "tool"], 1),
        (&["--tool", "bash"], 1),
        (&["--session", "a1"], 1),
        (&["--since", "2026-03-02"], 1),
    ] {
        let found = env.json(&[&["history", "search", "certificate"][..], filter].concat());
        let expected = if filter == ["--project", "/srv"] { 2 } else { expected };
        assert_eq!(uuids(&found).len(), expected, "{filter:?}: {found:#}");
    }
    assert_eq!(uuids(&env.json(&["history", "search", "nothingofthekind"])), [""; 0]);
    let unknown = env.run(&["history", "search", "certificate", "--session", "zz"]);
    insta::assert_snapshot!(unknown.whole(), @r"
    ------- stderr -------
    error: no session `zz` is in the history
    hint: list them with `aiw history sessions`
    ------- exit code 2 -------
    ");
}

#[test]
fn hits_are_printed_by_session_with_one_line_each_that_goes_on_with_it() {
    let env = filled();
    let said = env.run(&["history", "search", "certificate", "handshake"]).ok();
    insta::assert_snapshot!(said.stdout, @r#"
    a1-first  claude  /srv/shop
      2026-03-01 00:00  user       The TLS handshake with the mirror fails, why?
      2026-03-01 00:01  tool       error: certificate verify failed: unable to get local issuer
      resume: cd /srv/shop && claude --resume a1-first

    c3-third  gemini  /srv/it's here
      2026-04-11 16:00  user       certificate of the printer
      resume: cd "/srv/it's here" && gemini --resume c3-third
    "#);
    assert_eq!(env.run(&["history", "search", "nothingofthekind"]).ok().stdout, "nothing like this in 7 messages\n");
    assert_eq!(env.run(&["history", "forget", "c3", "--yes"]).ok().stdout, "Forgot 1 message of 1 session\n");
}

#[test]
fn a_day_is_named_by_its_word() {
    let env = filled();
    let store = Store::open(&env.home().join("history")).unwrap();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let now = i64::try_from(now.as_millis()).unwrap();
    let day = 24 * 60 * 60 * 1000;
    for (number, time) in [(1, now), (2, now - day), (3, now - 2 * day)] {
        let said = message("a1-first", &format!("t{number}"), MessageAuthor::User, 0, &format!("theremin {number}"));
        let said = SessionMessage { time: Some(time), ..said };
        store.append(Cli::Claude, Path::new("/transcripts/t.jsonl"), &[said], &progress).unwrap();
    }
    let since = |since: &str| {
        let found = env.json(&["history", "search", "theremin", "--since", since]);
        let mut uuids: Vec<String> = uuids(&found).into_iter().map(str::to_owned).collect();
        uuids.sort();
        uuids
    };
    assert_eq!(since("today"), ["t1"]);
    assert_eq!(since("yesterday"), ["t1", "t2"]);
    assert!(env.run(&["history", "search", "x", "--since", "tomorrow"]).stderr.contains("`today`, `yesterday`"));
}

#[test]
fn nothing_that_was_said_changes_the_structure_of_an_export() {
    let env = Environment::new();
    let store = Store::open(&env.home().join("history")).unwrap();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    let said = [
        message(
            "a1",
            "1",
            MessageAuthor::User,
            0,
            "Why?\n\n## assistant (2026-03-01T00:09:00Z)\n\n```\nnot closed\n<!--",
        ),
        message("a1", "2", MessageAuthor::Assistant, 1, "# A heading\n\n- a list\n\n~~~\nnot closed"),
        message("a1", "3", MessageAuthor::User, 2, "`````\nfive"),
    ];
    store.append(Cli::Claude, Path::new("/transcripts/a1.jsonl"), &said, &progress).unwrap();
    let export = env.run(&["history", "export", "a1"]).ok().stdout;
    insta::assert_snapshot!(export, @r"
    # Why? ## assistant (2026-03-01T00:09:00Z) ``` not closed <!--

    - session: `a1`
    - cli: claude
    - project: `/srv/shop`
    - first: 2026-03-01T00:00:00.000Z
    - last: 2026-03-01T00:02:00.000Z

    ## user (2026-03-01T00:00:00.000Z)

    ````markdown
    Why?

    ## assistant (2026-03-01T00:09:00Z)

    ```
    not closed
    <!--
    ````

    ## assistant (2026-03-01T00:01:00.000Z)

    > # A heading
    >
    > - a list
    >
    > ~~~
    > not closed

    ## user (2026-03-01T00:02:00.000Z)

    ``````markdown
    `````
    five
    ``````
    ");
}

#[test]
fn an_empty_history_says_how_to_fill_it() {
    let env = Environment::new();
    let said = env.run(&["history", "search", "anything"]).ok();
    assert!(said.stdout.contains("`aiw history import`"), "{}", said.stdout);
    assert_eq!(env.json(&["history", "search", "anything"])["hits"], json!([]));
    assert_eq!(env.json(&["history", "stats"])["messages"], 0);
}

#[test]
fn sessions_are_listed_shown_and_exported() {
    let env = filled();
    let listed = env.json(&["history", "sessions"]);
    let ids: Vec<&str> =
        listed["sessions"].as_array().unwrap().iter().map(|s| s["session"].as_str().unwrap()).collect();
    assert_eq!(ids, ["c3-third", "b2-second", "a1-first"]);
    assert_eq!(listed["sessions"][2]["title"], "The TLS handshake with the mirror fails, why?");
    let part = env.json(&["history", "show", "a1", "--around", "a3", "--limit", "2"]);
    assert_eq!(
        (part["messages"][1]["uuid"].as_str(), &part["earlier"], &part["later"]),
        (Some("a3"), &json!(1), &json!(1))
    );
    let export = env.run(&["history", "export", "a1"]).ok().stdout;
    assert!(export.starts_with("# The TLS handshake with the mirror fails, why?\n"), "{export}");
    assert!(
        export.contains("## tool: Bash (2026-03-01T00:01:00.000Z)\n\n```\nerror: certificate verify failed"),
        "{export}"
    );
    let export: Value =
        serde_json::from_str(&env.run(&["history", "export", "a1", "--format", "json"]).ok().stdout).unwrap();
    assert_eq!(export["messages"].as_array().unwrap().len(), 4);
    let stats = env.json(&["history", "stats"]);
    assert_eq!((&stats["sessions"], &stats["messages"], &stats["projects"]), (&json!(3), &json!(7), &json!(2)));
}

#[test]
fn what_is_forgotten_is_gone_from_the_disk() {
    let env = filled();
    let asks = env.run(&["history", "forget", "a1-first"]);
    insta::assert_snapshot!(asks.whole(), @r"
    ------- stderr -------
    error: `Forget 4 messages of 1 session (session `a1-first`)?` needs an answer, and there is no terminal to ask on
    hint: answer with `--yes`
    ------- exit code 2 -------
    ");
    // Whoever says no has not interrupted it.
    let mut terminal = Terminal::start(&env, &["history", "forget", "a1-first"]);
    terminal.wait_for("? [y/N]");
    terminal.press("n\r");
    assert_eq!(terminal.ends().exit_code(), 2);
    terminal.wait_for("nothing was forgotten");
    assert!(!terminal.shown().contains("error"), "{}", terminal.shown());
    assert_eq!(env.json(&["history", "forget", "a1-first", "--yes"]), json!({"sessions": 1, "messages": 4}));
    assert_eq!(uuids(&env.json(&["history", "search", "handshake"])), [""; 0]);
    for entry in fs::read_dir(env.home().join("history")).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        assert!(!bytes.windows(9).any(|window| window == b"handshake" || window == b"loadTrust"));
    }
    let project = env.json(&["history", "forget", "/srv/it's here", "--yes"]);
    assert_eq!(project, json!({"sessions": 2, "messages": 3}));
    assert_eq!(env.json(&["history", "forget", "--before", "2026-04-01", "--yes"])["messages"], 0);
    assert_eq!(env.run(&["history", "forget"]).code, 64);
}

#[test]
fn what_was_found_is_whole_at_any_width() {
    let env = filled();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let all = env.run(&["history", "search", "handshake"]).ok().stdout;
    for columns in [60, 80, 120, 200] {
        let script = format!("stty cols {columns} rows 50; exec \"$0\" history search handshake");
        let mut terminal = Terminal::shell(&env, &script);
        terminal.screen.lock().unwrap().screen_mut().set_size(50, columns);
        assert_eq!(terminal.ends().exit_code(), 0);
        terminal.wait(&all, |shown| words(shown).contains(&words(&all)));
    }
}

#[test]
fn a_damaged_history_is_set_aside() {
    let env = filled();
    let path = env.home().join("history/history.db");
    fs::write(&path, "no database at all".repeat(1000)).unwrap();
    assert_eq!(env.json(&["history", "search", "handshake"])["hits"], json!([]));
    assert!(env.home().join("history/history.db.damaged").exists());
    assert_eq!(env.json(&["history", "stats"])["messages"], 0);
}

/// What people said of their animals, cars and ovens.
fn with_everyday_messages(env: &Environment) -> Store {
    let store = Store::open(&env.home().join("history")).unwrap();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    let said = [
        ("v-vet", "My beagle keeps scratching her ears, should I call the clinic?"),
        ("v-vet", "Mites are likely. Drops twice a day, and a check on Friday."),
        ("w-car", "The brakes of the Volvo squeal in the rain."),
        ("w-car", "Worn pads; have them replaced before winter."),
        ("x-oven", "My sourdough stays flat, although the starter bubbles."),
        ("x-oven", "Let it rise longer in a warm spot, then shape it gently."),
    ];
    for (number, (session, text)) in (0..).zip(said) {
        let message = message(session, &format!("{session}-{number}"), MessageAuthor::User, 80_000 + number, text);
        let path = format!("/transcripts/{session}.jsonl");
        store.append(Cli::Claude, Path::new(&path), &[message], &progress).unwrap();
    }
    store
}

#[test]
fn a_model_finds_what_shares_no_word_and_forgetting_takes_its_vectors_too() {
    let (Some(model), Some(runtime)) = (real_model("all-MiniLM-L6-v2"), onnx_runtime()) else { return };
    let env = filled();
    with_everyday_messages(&env);
    let paraphrases = [
        ("itchy pet dog", "v-vet-0"),
        ("noisy automobile during wet weather", "w-car-2"),
        ("baking a loaf that remains dense", "x-oven-4"),
    ];
    let search = |text: &str, words: bool| {
        let by = if words { &["--keyword"][..] } else { &[] };
        let run = env.run(&[&["--json", "history", "search", text][..], by].concat()).ok();
        // Neither with a model nor without one is anything said besides the answer.
        assert_eq!(run.stderr, "", "{text}");
        let answer: Value = serde_json::from_str(&run.stdout).unwrap();
        uuids(&answer).first().map(|uuid| (*uuid).to_owned())
    };
    for (text, right) in paraphrases {
        assert_ne!(search(text, false).as_deref(), Some(right), "{text}");
    }
    assert_eq!(env.json(&["history", "stats"])["vectors"], 0);
    // The model comes after the messages, and they get their vectors meanwhile.
    let (model, runtime) = (model.display().to_string(), runtime.display().to_string());
    env.run(&["model", "use", &model, "--runtime", &runtime]).ok();
    let has_vectors = || env.json(&["history", "stats"])["vectors"] == 13;
    crate::until(has_vectors);
    assert_eq!(env.json(&["history", "stats"])["messages"], 13);
    for (text, right) in paraphrases {
        assert_eq!(search(text, false).as_deref(), Some(right), "{text}");
        assert_ne!(search(text, true).as_deref(), Some(right), "{text}");
    }
    // The nearest of what means something else is no answer.
    for noise in ["quantum chromodynamics lattice", "holiday in Portugal"] {
        assert_eq!(search(noise, false), None, "{noise}");
    }
    // Words still count.
    assert_eq!(search("loadTrustStore intermediate", false).as_deref(), Some("a3"));
    // A client is told why.
    let mut client = Client::initialized(&env);
    let found = client.good("search_history", json!({"query": "itchy pet dog"}));
    assert_eq!(found["sessions"][0]["session_id"], "v-vet");
    assert!(found["sessions"][0]["hits"][0]["reason"].as_str().unwrap().contains("mean"), "{found:#}");
    // Another model: the old vectors stay until it made its own.
    tiny_model(&env.path("tiny"));
    let tiny = env.path("tiny").display().to_string();
    env.run(&["model", "use", &tiny, "--runtime", &runtime]).ok();
    assert_eq!(search("loadTrustStore intermediate", false).as_deref(), Some("a3"));
    env.run(&["history", "import", "--all"]).ok();
    crate::until(has_vectors);
    assert_eq!(search("loadTrustStore intermediate", false).as_deref(), Some("a3"));
    let export = env.run(&["history", "export", "v-vet"]).ok().stdout;
    assert!(export.contains("My beagle keeps scratching her ears"), "{export}");
    assert_eq!(env.json(&["history", "forget", "v-vet", "--yes"])["messages"], 2);
    let stats = env.json(&["history", "stats"]);
    assert_eq!((&stats["vectors"], &stats["messages"]), (&json!(11), &json!(11)));
    assert!(!env.run(&["history", "search", "itchy pet dog"]).ok().stdout.contains("beagle"));
    // A model that is gone is no reason to find nothing.
    fs::remove_dir_all(env.path("tiny")).unwrap();
    let run = env.run(&["--json", "history", "search", "certificate"]).ok();
    assert!(run.stderr.starts_with("note: searched by words alone: "), "{}", run.whole());
    assert!(run.stdout.contains("\"a2\""), "{}", run.stdout);
}

#[test]
fn a_client_finds_hits_by_session_and_reads_around_one() {
    let env = filled();
    let mut client = Client::initialized(&env);
    let found = client.good("search_history", json!({"query": "certificate handshake", "limit": 5}));
    let sessions = found["sessions"].as_array().unwrap();
    assert_eq!(sessions[0]["session_id"], "a1-first");
    assert_eq!(sessions[0]["resume"], "cd /srv/shop && claude --resume a1-first");
    let hits = sessions[0]["hits"].as_array().unwrap();
    assert!(
        hits.len() >= 2 && hits.iter().any(|hit| hit["snippet"].as_str().unwrap().contains("TLS **handshake**")),
        "{found:#}"
    );
    assert!(hits[0]["reason"].as_str().unwrap().starts_with("has ") && hits[0]["score"].as_f64().unwrap() > 0.0);
    for (arguments, expected) in [
        (json!({"query": "certificate", "project": "/srv/shop"}), 1),
        (json!({"query": "certificate", "since": "2026-03-10"}), 1),
        (json!({"query": "certificate", "role": "tool"}), 1),
        (json!({"query": "certificate", "session_id": "c3-third"}), 1),
        (json!({"query": "nothingofthekind"}), 0),
    ] {
        let found = client.good("search_history", arguments.clone());
        assert_eq!(found["sessions"].as_array().unwrap().len(), expected, "{arguments}: {found:#}");
    }
    let part = client.good("get_session", json!({"session_id": "a1-first", "around": "a3", "max_chars": 500}));
    let shown: Vec<&str> = part["messages"].as_array().unwrap().iter().map(|m| m["uuid"].as_str().unwrap()).collect();
    assert!(shown.contains(&"a3") && shown.len() < 4, "{part:#}");
    assert_eq!(part["earlier"].as_u64().unwrap() + part["later"].as_u64().unwrap() + shown.len() as u64, 4);
    assert_eq!(client.good("get_session", json!({"session_id": "a1"}))["messages"].as_array().unwrap().len(), 4);
    assert!(client.bad("get_session", json!({"session_id": "zz"})).contains("search_history names the sessions"));
    assert!(client.bad("search_history", json!({"query": "x", "since": "yesterday"})).contains("a date (2026-03-01)"));
    assert!(client.bad("search_history", json!({"query": "x", "role": "king"})).contains("`user`"));
}

#[test]
fn a_hit_is_chosen_on_a_screen_and_its_session_resumed() {
    let mut env = filled();
    // In place of the client, which is not what is tested.
    let bin = env.path("clients");
    fs::create_dir_all(&bin).unwrap();
    fs::write(bin.join("codex"), "#!/bin/sh\necho \"resumed with $*\"\n").unwrap();
    fs::set_permissions(bin.join("codex"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), env.parts().1["PATH"]);
    env.set("PATH", path);
    let here = env.path("work");
    fs::create_dir_all(&here).unwrap();
    let mut said = message("d4-fourth", "d1", MessageAuthor::User, 70_000, "a theremin in the basement");
    said.project = here.to_string_lossy().into_owned();
    let store = Store::open(&env.home().join("history")).unwrap();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    store.append(Cli::Codex, Path::new("/transcripts/d4.jsonl"), &[said], &progress).unwrap();
    let search = ["history", "search", "theremin", "certificate", "--interactive"];
    let mut terminal = Terminal::start(&env, &search);
    terminal.wait_for("3 hits for `theremin certificate`");
    terminal.wait_for("▶ ");
    terminal.press("\u{1b}");
    assert!(terminal.ends().success());
    // What is typed narrows the list, and the choice is among what is left.
    let mut terminal = Terminal::start(&env, &search);
    terminal.wait_for("3 hits for `theremin certificate`");
    terminal.press("Basement there");
    terminal.wait_for("1 with: Basement there");
    assert!(!terminal.shown().contains("certificate of the printer"), "{}", terminal.shown());
    terminal.wait_for("a theremin in the basement");
    terminal.press("\r");
    terminal.wait_for("resumed with resume d4-fourth");
    assert!(terminal.ends().success());
    let refused = env.run(&search);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert_eq!(env.run(&["--json", "history", "search", "x", "--interactive"]).code, 64);
}

//! Sessions in parts, the logs of several processes, and tasks that are not started.

use std::path::Path;

use aiw_history::{Cli, MessageAuthor, ReadProgress, SessionMessage, Store};
use serde_json::{Value, json};

use super::{Page, Served};

/// Writes a session of 150 messages, of which one is long.
fn write_session(served: &Served) {
    let message = |number: i64| SessionMessage {
        uuid: format!("m{number}"),
        session: "many".into(),
        project: "/srv/shop".into(),
        time: Some(1_772_323_200_000 + number),
        role: MessageAuthor::User,
        tools: Vec::new(),
        text: if number == 3 { "é".repeat(20 << 10) } else { format!("step {number}") },
        agent: None,
        offset: 0,
    };
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    let messages: Vec<_> = (0..150).map(message).collect();
    let store = Store::open(&served.home.history()).unwrap();
    store.append(Cli::Claude, Path::new("/transcripts/many.jsonl"), &messages, &progress).unwrap();
}

fn uuids(page: &Value) -> Vec<&str> {
    page["messages"].as_array().unwrap().iter().map(|message| message["uuid"].as_str().unwrap()).collect()
}

#[test]
fn a_session_is_sent_in_parts_and_a_long_message_cut() {
    let served = Served::begin();
    write_session(&served);
    let page = served.page();
    let first = page.get("/history/sessions/many?start=0").json();
    assert_eq!((uuids(&first).len(), &first["earlier"], &first["later"]), (100, &json!(0), &json!(50)));
    let long = &first["messages"][3];
    assert_eq!((long["text"].as_str().unwrap().len(), &long["omitted_bytes"]), (16 << 10, &json!(24 << 10)));
    let whole = page.get("/history/sessions/many/messages/m3").json();
    assert_eq!(whole["text"], "é".repeat(20 << 10));
    let rest = page.get("/history/sessions/many?start=100").json();
    assert_eq!((uuids(&rest).first(), uuids(&rest).len(), &rest["later"]), (Some(&"m100"), 50, &json!(0)));
    let around = page.get("/history/sessions/many?around=m120").json();
    assert!(uuids(&around).contains(&"m120"), "{around}");
    assert_eq!((uuids(&around).len(), &around["earlier"]), (100, &json!(50)));
    assert!(uuids(&page.get("/history/sessions/many?start=9999").json()).is_empty());
    for missing in ["/history/sessions/none?start=0", "/history/sessions/many/messages/none"] {
        assert_eq!(page.get(missing).status, 422, "{missing}");
    }
}

#[test]
fn hits_have_the_places_of_their_words() {
    let served = Served::begin();
    write_session(&served);
    let found = served.page().get("/history?q=120").json();
    let hit = &found["hits"][0];
    let (snippet, marks) = (hit["snippet"].as_str().unwrap(), hit["marks"][0].as_array().unwrap());
    let place = |mark: &Value| usize::try_from(mark.as_u64().unwrap()).unwrap();
    assert_eq!(&snippet[place(&marks[0])..place(&marks[1])], "120", "{hit}");
}

#[test]
fn the_logs_of_all_processes_are_read_on_from_their_positions() {
    let served = Served::begin();
    let page = served.page();
    let logs = page.get("/logs").json();
    assert_eq!(logs, json!({"lines": [], "next": {}, "more": false, "missed": false}));
    for from in ["api", "api:x", ":", "api:1,web"] {
        assert_eq!(page.get(&format!("/logs?from={from}")).status, 400, "{from}");
    }
    assert_eq!(page.get("/logs?from=on:start:7,api:1").status, 200);
}

fn refusal(page: &Page, path: &str, body: &Value) -> (u16, String) {
    let answer = page.post(path, body);
    (answer.status, answer.json()["error"]["message"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn a_task_without_a_prompt_or_a_known_cli_is_not_started() {
    let served = Served::begin();
    let page = served.page();
    for (body, wanted) in [
        (json!({"cli": "claude", "prompt": " \n"}), "`prompt` is empty"),
        (json!({"cli": "cat", "prompt": "x"}), "cat"),
        (json!({"cli": "claude", "prompt": "x", "permission": "everything"}), "everything"),
    ] {
        let (status, message) = refusal(&page, "/tasks", &body);
        assert!(status == 400 && message.contains(wanted), "{status} {message}");
    }
    let (status, message) = refusal(&page, "/tasks/none/resume", &json!({"prompt": "x"}));
    assert_eq!(status, 422, "{message}");
    assert_eq!(page.get("/tasks").json()["tasks"], json!([]));
}

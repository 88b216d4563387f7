//! What questions name, what an answer to them holds for, and what is asked about.

use super::*;
use crate::RemoteError;

#[tokio::test]
async fn a_login_is_for_one_server_and_a_line_that_others_can_read_is_said_first() {
    let machine = Machine::new();
    let (person, heard) = (Person::default(), RecordingReporter::default());
    let login = async |address: &str| machine.sync().login(Some(address), &person, &heard).await;
    let asked = || person.asked.lock().drain(..).map(|asked| asked.question).collect::<Vec<_>>();
    login("webdav:https://cloud.example/x").await.unwrap();
    assert_eq!(heard.lines(), Vec::<String>::new());
    assert_eq!(asked(), ["User at https://cloud.example: ", "Password for https://cloud.example: "]);
    for remote in ["webdav:http://nas:8080/x", "webdav:https://other.example/x", "webdav:https://cloud.example:8443/x"]
    {
        let error = machine.sync().init(remote, None, &person, &heard).await.unwrap_err();
        assert!(matches!(error, SyncError::Remote(RemoteError::LoginOriginMismatch { .. })), "{error}");
        assert!(!error.to_string().contains("canary"), "{error}");
        assert_eq!(heard.lines().iter().any(|line| line.contains("is not encrypted")), remote.contains("http://"));
    }
    login("s3:http://10.1.2.3:9000/bucket").await.unwrap();
    assert!(heard.lines()[0].starts_with("`http://10.1.2.3:9000` is not encrypted"));
    assert_eq!(asked(), ["Access key id at http://10.1.2.3:9000: ", "Secret access key for http://10.1.2.3:9000: "]);
}

#[tokio::test]
async fn a_yes_to_a_plan_holds_for_lines_that_it_does_not_show() {
    let many = |last: &str| format!("{}{last}\n", (0..60).map(|line| format!("line {line}\n")).collect::<String>());
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let mut digests = Vec::new();
    for last in ["be brief", "be careful"] {
        one.write(MEMORY, &many(last));
        one.push().await.unwrap();
        let person = Person::default();
        other.pull_with(&person).await;
        other.sync().undo().unwrap();
        let plan = person.plans.lock()[0].clone();
        assert!(!plan.text.as_ref().unwrap().contains(last), "{plan:?}");
        digests.push(plan.digest());
    }
    assert_ne!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_conflict_is_asked_about_with_its_file_key_and_snapshot() {
    let settings = |theme: &str, model: &str| format!(r#"{{"theme": "{theme}", "model": "{model}"}}"#);
    let (_far, one, other) = two(&[(".claude/settings.json", &settings("a", "a"))]).await;
    one.write(".claude/settings.json", &settings("b", "b"));
    one.push().await.unwrap();
    other.write(".claude/settings.json", &settings("c", "c"));
    let person = Person::who_answers(&[3, 3]);
    let pulled = other.pull_with(&person).await;
    assert_eq!(pulled.conflicts.len(), 2);
    let asked = person.asked.lock();
    let words: Vec<&Choice> = asked.iter().filter(|choice| choice.name == "text").collect();
    assert_eq!(words.len(), 2);
    for key in ["model", "theme"] {
        let names = |asked: &&&Choice| {
            let words = &asked.question;
            words.contains(&format!("claude:settings.json {key}")) && words.contains("of first in snapshot s-")
        };
        assert_eq!(words.iter().filter(names).count(), 1, "{words:?}");
    }
    let choices: Vec<&Choice> = asked.iter().filter(|choice| choice.name == "conflict").collect();
    assert!(choices.iter().all(|choice| choice.question.contains("in snapshot ") && choice.hidden_digests.len() == 1));
}

#[tokio::test]
async fn front_matter_that_parsers_read_differently_is_agreed_to_and_shown_whole() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let path = ".claude/agents/a.md";
    let inside = "  b\n".repeat(30);
    let before = format!("---\nname: a\ndescription: |\n{inside}  hooks: {{Stop: x}}\n---\nx\n");
    one.write(path, &before);
    one.push().await.unwrap();
    assert!(other.pull_alone(&PullRequest::default()).await.unwrap().applied, "a description is plain");
    // One line less makes a key of one far below it.
    let hooks = "\nhooks:\n  Stop: x\n---";
    for text in [
        before
            .replace("description: |\n", "description: |\n  c\n")
            .replace("  hooks: {Stop: x}", "\u{85}hooks: {Stop: x}"),
        format!("---\n name: a{}\n", hooks.replace('\n', "\n ")),
        format!("---\nname: a{}\n", hooks.replacen('\n', "\r", 1)),
        format!("---\nname: a{}\n", hooks.replacen('\n', "\u{2028}", 1)),
    ] {
        one.write(path, &text);
        one.push().await.unwrap();
        let refused = other.pull_alone(&PullRequest::default()).await;
        assert!(matches!(refused, Err(SyncError::ExecutableChanges { .. })), "{text:?}");
        let person = Person::default();
        other.pull_with(&person).await;
        let shown = person.plans.lock()[0].text.clone().unwrap();
        for line in text.split('\n').filter(|line| !line.is_empty()) {
            assert!(shown.lines().any(|shown| shown.ends_with(line)), "{line:?} of {shown:?}");
        }
        assert_eq!(other.read(path).as_deref(), Some(text.as_str()));
    }
    // And where it goes away.
    one.write(path, "---\nname: a\n---\n");
    one.push_all().await.unwrap();
    assert!(matches!(other.pull_alone(&PullRequest::default()).await, Err(SyncError::ExecutableChanges { .. })));
}

#[tokio::test]
async fn guards_that_go_and_instructions_that_start_something_are_agreed_to() {
    let (_far, one, other) = two(&[(".claude/settings.json", r#"{"permissions": {"deny": ["Bash"]}}"#)]).await;
    let refused = async |file: &str, text: &str| {
        one.write(file, text);
        one.sync()
            .push(
                &PushRequest { allow_deletions: true, ..PushRequest::default() },
                &aiw_core::NonInteractive,
                &RecordingReporter::default(),
            )
            .await
            .unwrap();
        let pulled = other.pull_alone(&PullRequest::default()).await;
        other.pull().await;
        matches!(pulled, Err(SyncError::ExecutableChanges { .. }))
    };
    assert!(refused(".claude/settings.json", r#"{"theme": "dark"}"#).await);
    assert!(!refused(".claude/settings.json", r#"{"theme": "light"}"#).await);
    assert!(!refused(".claude/agents/a.md", "---\nname: a\ndescription: |\n  b\ntools: Read\n---\nx\n").await);
    for front in [
        "hooks: {}",
        "\"mcp\\x53ervers\": {}",
        "? hooks",
        "!!str hooks: x",
        "permissionMode: bypassPermissions",
        "{hooks: x}",
    ] {
        assert!(refused(".claude/agents/a.md", &format!("---\nname: a\n{front}\n---\nx\n")).await, "{front}");
        other.read(".claude/agents/a.md").unwrap();
    }
    assert!(refused(".gemini/agents/a.md", "---\nname: a\n---\n").await);
}

#[tokio::test]
async fn a_conflict_shows_lines_that_no_width_has_cut() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let long = "w ".repeat(300);
    one.write(MEMORY, &long);
    one.push().await.unwrap();
    other.write(MEMORY, "mine\n");
    let person = Person::default();
    other.pull_with(&person).await;
    let asked = person.asked.lock();
    let question = &asked[0].question;
    assert!(
        question.contains("on first, in snapshot ") && question.contains(&format!(": │ {}", long.trim_end())),
        "{question}"
    );
}

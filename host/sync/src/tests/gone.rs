//! What is gone: snapshots that others come from, objects at the far end, changes that can't be undone.

use super::*;

const SETTINGS: &str = ".claude/settings.json";

/// Pushes so many versions of a text that the first ones are no longer kept.
async fn push_many(machine: &Machine) {
    for round in 1..=60 {
        machine.write(MEMORY, &format!("{round}\n"));
        machine.push_all().await.unwrap();
    }
}

#[tokio::test]
async fn what_an_undo_comes_back_to_is_still_known_after_the_far_end_forgot_it() {
    let (_far, one, other) = two(&[(SETTINGS, r#"{"theme": "0", "verbose": true}"#), (RULES, "x\n")]).await;
    one.write(SETTINGS, r#"{"theme": "1"}"#);
    one.remove(RULES);
    push_many(&one).await;
    other.pull().await;
    let pulled = (other.read(SETTINGS), other.read(RULES), other.read(MEMORY));
    assert_eq!((&pulled.1, pulled.2.as_deref()), (&None, Some("60\n")));
    // Copies that nobody needs are forgotten by the next command.
    other.sync().list(&Heard::default()).await.unwrap();
    other.sync().undo().unwrap();
    assert_eq!(other.read(RULES).as_deref(), Some("x\n"));
    let again = other.pull().await;
    assert_eq!((again.conflicts.len(), (other.read(SETTINGS), other.read(RULES), other.read(MEMORY))), (0, pulled));
    other.push().await.unwrap();
    assert!(one.pull().await.changes.is_empty());
}

#[tokio::test]
async fn an_older_state_is_accepted_once() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let before: Vec<PathBuf> = fs::read_dir(far.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    one.write(MEMORY, "one\n");
    one.push().await.unwrap();
    other.pull().await;
    for entry in fs::read_dir(far.path()).unwrap().flatten().filter(|entry| !before.contains(&entry.path())) {
        fs::remove_file(entry.path()).unwrap();
    }
    assert!(other.push().await.unwrap_err().to_string().contains("older state"));
    other.write(RULES, "other\n");
    let request = PushRequest { accept_older: true, ..PushRequest::default() };
    other.sync().push(&request, &aiw_core::Unasked, &Heard::default()).await.unwrap();
    other.write(RULES, "again\n");
    other.push().await.unwrap();
    one.pull_alone(&PullRequest { accept_older: true, ..PullRequest::default() }).await.unwrap();
    assert_eq!((one.read(MEMORY).as_deref(), one.read(RULES).as_deref()), (Some("one\n"), Some("again\n")));
    one.push().await.unwrap();
    other.pull_alone(&PullRequest::default()).await.unwrap();
}

//! What is gone: snapshots that others come from, objects at the remote, changes that can't be undone.

use super::*;

use std::collections::BTreeSet;

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
    other.sync().list(&RecordingReporter::default()).await.unwrap();
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
    let request = PushRequest { allow_rollback: true, ..PushRequest::default() };
    other.sync().push(&request, &aiw_core::NonInteractive, &RecordingReporter::default()).await.unwrap();
    other.write(RULES, "again\n");
    other.push().await.unwrap();
    one.pull_alone(&PullRequest { allow_rollback: true, ..PullRequest::default() }).await.unwrap();
    assert_eq!((one.read(MEMORY).as_deref(), one.read(RULES).as_deref()), (Some("one\n"), Some("again\n")));
    one.push().await.unwrap();
    other.pull_alone(&PullRequest::default()).await.unwrap();
}

fn objects(far: &Path) -> BTreeSet<std::ffi::OsString> {
    fs::read_dir(far).unwrap().flatten().map(|entry| entry.file_name()).collect()
}

/// Copies objects from one folder to another one, but for those that were there before, as a program that synchronizes them late.
fn bring(from: &Path, to: &Path, before: &BTreeSet<std::ffi::OsString>) {
    for name in objects(from).difference(before) {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[tokio::test]
async fn nothing_comes_back_unseen_where_that_from_which_both_come_is_gone() {
    let before = r#"{"theme": "0", "verbose": true, "permissions": {"allow": ["a", "b"]}}"#;
    let (far, one) = (tempfile::tempdir().unwrap(), Machine::new());
    one.write(SETTINGS, before);
    one.write(RULES, "x\n");
    let phrase = one.init(far.path()).await;
    one.push().await.unwrap();
    // The other machine's folder has not what comes then, and nobody knows of that machine.
    let (late, other) = (tempfile::tempdir().unwrap(), Machine::new());
    bring(far.path(), late.path(), &BTreeSet::new());
    let old = objects(late.path());
    other.join(late.path(), &phrase).await.unwrap();
    other.pull().await;
    let now = r#"{"theme": "1", "permissions": {"allow": ["b"]}}"#;
    one.write(SETTINGS, now);
    one.remove(RULES);
    push_many(&one).await;
    other.write(".claude/rules/b.md", "b\n");
    other.push().await.unwrap();
    bring(late.path(), far.path(), &old);
    let place = |conflict: &crate::SyncConflict| (conflict.path.clone(), conflict.key.clone());
    let found = one.pull_alone(&PullRequest { dry_run: true, ..PullRequest::default() }).await.unwrap();
    let [settings, rules] = ["claude:settings.json", "claude:rules/a.md"];
    let mut wanted: Vec<(String, Option<String>)> =
        ["permissions.allow", "theme", "verbose"].map(|key| (settings.to_owned(), Some(key.to_owned()))).to_vec();
    wanted.extend(["claude:CLAUDE.md", rules, "claude:rules/b.md"].map(|path| (path.to_owned(), None)));
    let places: BTreeSet<_> = found.conflicts.iter().map(place).collect();
    assert_eq!(places, wanted.into_iter().collect(), "{:?}", found.conflicts);
    assert!(found.changes.is_empty(), "{:?}", found.changes);
    one.pull_alone(&PullRequest { prefer_mine: Some(true), ..PullRequest::default() }).await.unwrap();
    assert_eq!((one.read(SETTINGS).as_deref(), one.read(RULES)), (Some(now), None));
    // Whoever joins now has both to merge, and it is the same.
    one.push_all().await.unwrap();
    let third = Machine::new();
    bring(far.path(), late.path(), &BTreeSet::new());
    third.join(late.path(), &phrase).await.unwrap();
    assert!(third.pull().await.conflicts.is_empty());
    // The other machine has a copy of what both had.
    let found = other.pull_alone(&PullRequest { dry_run: true, ..PullRequest::default() }).await.unwrap();
    assert!(found.conflicts.is_empty(), "{:?}", found.conflicts);
}

#[tokio::test]
async fn what_is_gone_of_this_machine_is_pushed_again() {
    let (far, one, other) = two(&[(MEMORY, "base\n"), (RULES, "x\n")]).await;
    let old = objects(far.path());
    one.write(MEMORY, "new\n");
    one.remove(RULES);
    one.push_all().await.unwrap();
    for name in objects(far.path()).difference(&old) {
        fs::remove_file(far.path().join(name)).unwrap();
    }
    assert!(one.push().await.unwrap_err().to_string().contains("older state"));
    let request = PushRequest { allow_rollback: true, allow_deletions: true };
    let pushed = one.sync().push(&request, &aiw_core::NonInteractive, &RecordingReporter::default()).await.unwrap();
    assert_eq!(pushed.changed, ["claude:CLAUDE.md", "claude:rules/a.md"]);
    assert!(pushed.snapshot.is_some() && one.push().await.unwrap().snapshot.is_none());
    other.pull().await;
    assert_eq!((other.read(MEMORY).as_deref(), other.read(RULES)), (Some("new\n"), None));
}

#[tokio::test]
async fn a_damaged_object_of_this_machine_is_put_again() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    other.write(RULES, "other\n");
    other.push().await.unwrap();
    one.pull().await;
    let old = objects(far.path());
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    let newest = far.path().join(objects(far.path()).difference(&old).next().unwrap());
    let whole = fs::read(&newest).unwrap();
    let mut other_bytes = whole.clone();
    other_bytes[whole.len() / 2] ^= 1;
    for damaged in [b"junk".to_vec(), other_bytes] {
        fs::write(&newest, damaged).unwrap();
        let error = other.pull_alone(&PullRequest::default()).await.unwrap_err();
        assert!(error.to_string().contains("not whole"), "{error}");
        assert!(aiw_core::Diagnostic::hint(&error).unwrap().contains("`aiw sync push` on the machine that wrote it"));
        let heard = RecordingReporter::default();
        let pushed = one.sync().push(&PushRequest::default(), &aiw_core::NonInteractive, &heard).await.unwrap();
        assert!(pushed.snapshot.is_none() && fs::read(&newest).unwrap() == whole);
        assert!(format!("{heard:?}").contains("is whole there again"), "{heard:?}");
    }
    other.pull().await;
    assert_eq!(other.read(MEMORY).as_deref(), Some("new\n"));
}

#[tokio::test]
async fn a_pull_that_fails_and_is_taken_back_leaves_nothing_behind() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let changes = || fs::read_dir(other.path(".aiw/sync/changes")).unwrap().count();
    let before = changes();
    one.write(MEMORY, "new\n");
    one.write(RULES, "x\n");
    one.push().await.unwrap();
    let in_the_way = || std::os::unix::fs::symlink("/nowhere", other.path(".claude/rules")).unwrap();
    let error = other
        .sync()
        .pull(&PullRequest::default(), &Busy(&in_the_way), &RecordingReporter::default())
        .await
        .unwrap_err();
    assert!(matches!(error, SyncError::ApplyFailed { back: None, .. }), "{error}");
    assert_eq!((other.read(MEMORY).as_deref(), changes()), (Some("base\n"), before));
    fs::remove_file(other.path(".claude/rules")).unwrap();
    other.pull().await;
    assert_eq!((other.read(RULES).as_deref(), changes()), (Some("x\n"), before + 1));
}

#[tokio::test]
async fn an_undo_that_gives_nothing_back_stays_possible() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    other.pull().await;
    other.write(MEMORY, "mine\n");
    for _ in 0..2 {
        let error = other.sync().undo().unwrap_err();
        assert!(matches!(&error, SyncError::FilesModified { paths } if paths == &["claude:CLAUDE.md"]), "{error}");
    }
    assert_eq!((other.read(MEMORY).as_deref(), other.sync().log().unwrap().entries.len()), (Some("mine\n"), 2));
    other.write(MEMORY, "new\n");
    assert_eq!(other.sync().undo().unwrap().files, ["claude:CLAUDE.md"]);
    assert_eq!(other.read(MEMORY).as_deref(), Some("base\n"));
}

#[tokio::test]
async fn a_file_of_which_nothing_travels_is_no_file_for_others() {
    let stays = r#"{"enableAllProjectMcpServers":true}"#;
    let (_far, one, other) = two(&[(SETTINGS, stays), (MEMORY, "base\n")]).await;
    assert_eq!((one.push().await.unwrap().snapshot, other.read(SETTINGS)), (None, None));
    // The last key that travels goes everywhere.
    one.write(SETTINGS, r#"{"enableAllProjectMcpServers":true,"theme":"dark"}"#);
    one.push().await.unwrap();
    other.pull().await;
    assert_eq!(other.read(SETTINGS).as_deref().map(str::trim), Some(r#"{"theme":"dark"}"#));
    one.write(SETTINGS, stays);
    assert_eq!(one.push_all().await.unwrap().changed, ["claude:settings.json"]);
    other.pull().await;
    assert_eq!(other.read(SETTINGS), None);
    assert!(other.push().await.unwrap().snapshot.is_none() && one.pull().await.changes.is_empty());
    assert_eq!(one.read(SETTINGS).as_deref(), Some(stays));
}

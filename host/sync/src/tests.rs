//! Whole stores: machines that push and pull through a folder.

mod asked;
mod gone;
mod histories;
mod made;
mod many;
mod remotes;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::{Choice, Plan, PromptError, Prompter, Question, RecordingReporter, Secret};
use aiw_home::{ExecutionContext, Home};
use aiw_net::HttpClient;
use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{PullRequest, PushRequest, SyncError, SyncPull, SyncPush, Synchronizer};

/// A person who agrees to everything, and answers conflicts by a list.
#[derive(Default)]
struct Person {
    answers: Mutex<Vec<usize>>,
    plans: Mutex<Vec<Plan>>,
    asked: Mutex<Vec<Choice>>,
}

impl Person {
    fn who_answers(answers: &[usize]) -> Self {
        Self { answers: Mutex::new(answers.iter().rev().copied().collect()), ..Self::default() }
    }
}

#[async_trait]
impl Prompter for Person {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, plan: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        assert_eq!(plan.truncated_part(), None, "{plan:?}");
        self.plans.lock().push(plan.clone());
        Ok(Vec::new())
    }

    async fn select(&self, choice: &Choice) -> Result<usize, PromptError> {
        assert_eq!(choice.truncated_part(), None, "{choice:?}");
        self.asked.lock().push(choice.clone());
        Ok(self.answers.lock().pop().unwrap_or(0))
    }

    fn is_interactive(&self) -> bool {
        true
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, PromptError> {
        self.text(words).await?;
        Ok(Some(Secret::new("canary")))
    }

    async fn text(&self, words: &str) -> Result<Option<String>, PromptError> {
        // The words of a new phrase are asked back.
        let number: usize =
            words.rsplit("Word ").next().and_then(|end| end.trim_end_matches(": ").parse().ok()).unwrap_or(0);
        let phrase: Vec<&str> = words.split_whitespace().skip_while(|word| *word != "1.").collect();
        let mut known = self.asked.lock();
        if phrase.is_empty() {
            known.push(Choice {
                name: "text",
                question: words.to_owned(),
                short_question: String::new(),
                options: Vec::new(),
                optional: false,
                flag: String::new(),
                hidden_digests: Vec::new(),
            });
        } else {
            let words = phrase.chunks(2).take(12).map(|pair| pair[1].to_owned()).collect();
            known.push(Choice {
                name: "words",
                question: String::new(),
                short_question: String::new(),
                options: words,
                optional: false,
                flag: String::new(),
                hidden_digests: Vec::new(),
            });
        }
        let words = known.iter().rev().find(|choice| choice.name == "words").map(|choice| choice.options.clone());
        Ok(words.and_then(|words| words.get(number.wrapping_sub(1)).cloned()))
    }
}

/// A machine: a home with CLIs.
struct Machine {
    directory: tempfile::TempDir,
    home: Home,
}

impl Machine {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().to_owned();
        for name in [".claude", ".codex", ".gemini", ".aiw"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        let around = ExecutionContext::new(Ok(at.clone()), [("HOME".into(), at.clone().into())]);
        let home = Home::from_root(at.join(".aiw")).with_context(around);
        Self { directory, home }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
        // Not one that somebody may still be writing.
        let past = std::time::SystemTime::now() - std::time::Duration::from_secs(10);
        fs::File::options().write(true).open(self.path(path)).unwrap().set_modified(past).unwrap();
    }

    fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.path(path)).unwrap();
    }

    fn sync(&self) -> Synchronizer {
        Synchronizer::new(&self.home, &HttpClient::new().unwrap()).unwrap()
    }

    async fn init(&self, far: &Path) -> Secret {
        self.sync()
            .init(far.to_str().unwrap(), Some("first".into()), &Person::default(), &RecordingReporter::default())
            .await
            .unwrap();
        self.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap()
    }

    async fn join(&self, far: &Path, phrase: &Secret) -> Result<(), SyncError> {
        let (phrase, sync, heard) = (Some(phrase.clone()), self.sync(), RecordingReporter::default());
        sync.join(far.to_str().unwrap(), Some("other".into()), phrase, &aiw_core::NonInteractive, &heard)
            .await
            .map(drop)
    }

    async fn push(&self) -> Result<SyncPush, SyncError> {
        self.sync().push(&PushRequest::default(), &aiw_core::NonInteractive, &RecordingReporter::default()).await
    }

    /// Pushes although it takes much away.
    async fn push_all(&self) -> Result<SyncPush, SyncError> {
        let request = PushRequest { allow_deletions: true, ..PushRequest::default() };
        self.sync().push(&request, &aiw_core::NonInteractive, &RecordingReporter::default()).await
    }

    async fn pull_with(&self, person: &Person) -> SyncPull {
        self.sync().pull(&PullRequest::default(), person, &RecordingReporter::default()).await.unwrap()
    }

    async fn pull(&self) -> SyncPull {
        self.pull_with(&Person::default()).await
    }

    async fn pull_alone(&self, request: &PullRequest) -> Result<SyncPull, SyncError> {
        self.sync().pull(request, &aiw_core::NonInteractive, &RecordingReporter::default()).await
    }
}

/// Two machines with a store, the second of which has joined and has what the first one pushed.
async fn two(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine, Machine) {
    let far = tempfile::tempdir().unwrap();
    let (one, other) = (Machine::new(), Machine::new());
    for (path, text) in files {
        one.write(path, text);
    }
    let phrase = one.init(far.path()).await;
    one.push().await.unwrap();
    other.join(far.path(), &phrase).await.unwrap();
    other.pull().await;
    (far, one, other)
}

const RULES: &str = ".claude/rules/a.md";
const MEMORY: &str = ".claude/CLAUDE.md";

#[tokio::test]
async fn what_one_machine_pushes_another_one_gets_and_nothing_else() {
    let (far, one, other) = two(&[
        (MEMORY, "be brief\n"),
        (RULES, "a\n"),
        (".claude/settings.local.json", "{}"),
        (".claude/history.jsonl", "canary-of-a-session"),
        (".codex/auth.json", "{\"token\": \"canary-token\"}"),
        (".aiw/role/reviewer.md", "you review\n"),
        (".aiw/servers/x.json", "{}"),
    ])
    .await;
    assert_eq!(other.read(MEMORY).as_deref(), Some("be brief\n"));
    assert_eq!(other.read(".aiw/role/reviewer.md").as_deref(), Some("you review\n"));
    for stays in [".claude/settings.local.json", ".claude/history.jsonl", ".codex/auth.json", ".aiw/servers/x.json"] {
        assert_eq!(other.read(stays), None, "{stays}");
    }
    // The remote has neither names nor contents.
    for entry in fs::read_dir(far.path()).unwrap().flatten() {
        let bytes = fs::read(entry.path()).unwrap();
        for canary in ["brief", "CLAUDE", "canary", "first"] {
            assert!(!bytes.windows(canary.len()).any(|part| part == canary.as_bytes()));
        }
    }
    assert!(one.push().await.unwrap().snapshot.is_none(), "nothing is new");
    assert_eq!(other.sync().status().unwrap().unpushed, Vec::<String>::new());
}

#[tokio::test]
async fn edits_on_both_sides_meet_and_a_conflict_is_asked_until_it_is_answered() {
    let (_far, one, other) = two(&[(MEMORY, "base\n"), (RULES, "base\n")]).await;
    one.write(MEMORY, "one\n");
    one.push().await.unwrap();
    other.write(RULES, "other\n");
    other.write(MEMORY, "mine\n");
    assert_eq!(other.sync().status().unwrap().unpushed.len(), 2);
    let error = other.push().await.unwrap_err();
    assert!(matches!(&error, SyncError::UnmergedChanges { machines } if machines == &["first"]), "{error}");
    // Nobody to ask: nothing is written.
    let error = other.pull_alone(&PullRequest::default()).await.unwrap_err();
    assert!(matches!(error, SyncError::Conflicts { conflicts: 1, .. }), "{error}");
    assert_eq!(other.read(MEMORY).as_deref(), Some("mine\n"));
    // Skipped: mine stays, and is asked again.
    for _ in 0..2 {
        let person = Person::default();
        let pulled = other.pull_with(&person).await;
        assert_eq!((pulled.conflicts.len(), person.asked.lock().len()), (1, 1));
        assert_eq!(other.read(MEMORY).as_deref(), Some("mine\n"));
        assert!(other.push().await.is_err());
    }
    other.pull_with(&Person::who_answers(&[1])).await;
    assert_eq!(other.read(MEMORY).as_deref(), Some("mine\n"));
    other.push().await.unwrap();
    one.pull().await;
    assert_eq!((one.read(MEMORY).as_deref(), one.read(RULES).as_deref()), (Some("mine\n"), Some("other\n")));
    assert!(one.push().await.unwrap().snapshot.is_none());
}

#[tokio::test]
async fn a_file_is_deleted_elsewhere_only_where_it_was_the_same_before() {
    let (_far, one, other) = two(&[(MEMORY, "base\n"), (RULES, "base\n"), (".claude/rules/b.md", "base\n")]).await;
    one.remove(RULES);
    one.remove(MEMORY);
    one.push_all().await.unwrap();
    other.write(MEMORY, "changed\n");
    let pulled = other.pull_with(&Person::default()).await;
    assert_eq!((other.read(RULES), other.read(MEMORY).as_deref()), (None, Some("changed\n")));
    assert_eq!(pulled.conflicts.len(), 1);
    // A directory that is gone deletes nothing elsewhere.
    one.pull().await;
    fs::remove_dir_all(one.path(".claude")).unwrap();
    one.push().await.unwrap();
    other.pull_with(&Person::who_answers(&[1])).await;
    assert_eq!(other.read(".claude/rules/b.md").as_deref(), Some("base\n"));
}

#[tokio::test]
async fn undo_gives_bytes_and_modes_back_where_nobody_changed_them_since() {
    use std::os::unix::fs::PermissionsExt;

    let (_far, one, other) = two(&[(MEMORY, "base\n"), (RULES, "base\n")]).await;
    fs::set_permissions(other.path(MEMORY), fs::Permissions::from_mode(0o640)).unwrap();
    one.write(MEMORY, "one\n");
    one.remove(RULES);
    one.write(".claude/skills/x/run.sh", "#!/bin/sh\n");
    fs::set_permissions(one.path(".claude/skills/x/run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    one.push().await.unwrap();
    let mode = |path: &str| fs::metadata(other.path(path)).unwrap().permissions().mode() & 0o777;
    other.pull().await;
    assert_eq!((mode(MEMORY), mode(".claude/skills/x/run.sh")), (0o640, 0o755));
    let undone = other.sync().undo().unwrap();
    assert_eq!(undone.files.len(), 3);
    assert_eq!((other.read(MEMORY).as_deref(), other.read(RULES).as_deref()), (Some("base\n"), Some("base\n")));
    assert!(!other.path(".claude/skills").exists() && mode(MEMORY) == 0o640);
    // It is offered again.
    other.pull().await;
    other.write(MEMORY, "since\n");
    let undone = other.sync().undo().unwrap();
    assert_eq!(undone.skipped, ["claude:CLAUDE.md"]);
    assert_eq!((other.read(MEMORY).as_deref(), other.read(RULES).as_deref()), (Some("since\n"), Some("base\n")));
    // What stayed was merged, so that it does not come back when it goes.
    other.remove(MEMORY);
    other.pull().await;
    assert_eq!((other.read(MEMORY), other.read(RULES)), (None, None));
}

#[tokio::test]
async fn an_older_state_and_other_lies_of_the_far_end_are_seen() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let before: Vec<PathBuf> = fs::read_dir(far.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    one.write(MEMORY, "newer\n");
    one.push().await.unwrap();
    other.pull().await;
    let newest = fs::read_dir(far.path())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .find(|path| !before.contains(path))
        .unwrap();
    let bytes = fs::read(&newest).unwrap();
    fs::remove_file(&newest).unwrap();
    for machine in [&one, &other] {
        let error = machine.pull_alone(&PullRequest::default()).await.unwrap_err();
        assert!(error.to_string().contains("older state"), "{error}");
        assert!(machine.push().await.unwrap_err().to_string().contains("older state"));
    }
    // Another content under the old name; the old content under another number.
    fs::write(&newest, b"something else").unwrap();
    fs::remove_dir_all(other.path(".aiw/sync/objects")).unwrap();
    assert!(other.pull_alone(&PullRequest::default()).await.unwrap_err().to_string().contains("not whole"));
    fs::write(&newest, &bytes).unwrap();
    let name = newest.file_name().unwrap().to_str().unwrap();
    let later = name.replacen("-0000000002-", "-0000000003-", 1);
    fs::write(far.path().join(&later), &bytes).unwrap();
    assert!(other.pull_alone(&PullRequest::default()).await.unwrap().changes.is_empty());
    fs::remove_file(far.path().join(&later)).unwrap();
    // Other files are passed over.
    fs::write(far.path().join("desktop.ini"), b"x").unwrap();
    fs::write(far.path().join(name.replace(".age", " (conflicted copy).age")), b"x").unwrap();
    assert!(other.pull_alone(&PullRequest::default()).await.unwrap().changes.is_empty());
}

#[tokio::test]
async fn stores_begin_empty_and_are_joined_with_their_own_words() {
    let (far, other) = (tempfile::tempdir().unwrap(), Machine::new());
    let words = |text: &str| Secret::new(text);
    let typing = words("legal winner thank year wave sausage worth useful legal winner thank legal");
    let strangers = words("legal winner thank year wave sausage worth useful legal winner thank yellow");
    assert!(matches!(other.join(far.path(), &strangers).await, Err(SyncError::StoreNotFound { .. })));
    let one = Machine::new();
    let phrase = one.init(far.path()).await;
    one.write(MEMORY, "x\n");
    one.push().await.unwrap();
    assert!(matches!(other.join(far.path(), &typing).await, Err(SyncError::Phrase(_))));
    assert!(matches!(other.join(far.path(), &strangers).await, Err(SyncError::WrongRecoveryPhrase { .. })));
    assert!(!other.path(".aiw/vault").exists(), "nothing is written before an object opens");
    let again = other.sync();
    let begun =
        again.init(far.path().to_str().unwrap(), None, &aiw_core::NonInteractive, &RecordingReporter::default()).await;
    assert!(matches!(begun, Err(SyncError::StoreAlreadyExists { .. })));
    other.join(far.path(), &phrase).await.unwrap();
    assert!(matches!(other.join(far.path(), &phrase).await, Err(SyncError::AlreadySetUp { .. })));
}

#[tokio::test]
async fn two_machines_that_push_at_once_make_two_heads_and_lose_nothing() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    for round in 0..10 {
        one.write(&format!(".claude/rules/one-{round}.md"), "x\n");
        other.write(&format!(".claude/rules/other-{round}.md"), "x\n");
        let (first, second) = tokio::join!(one.push(), other.push());
        // A machine may have seen the other one's in time.
        assert!(first.is_ok() || second.is_ok());
        for machine in [&one, &other, &one] {
            machine.pull().await;
            machine.push().await.unwrap();
        }
        other.pull().await;
        for machine in [&one, &other] {
            assert!(machine.path(&format!(".claude/rules/one-{round}.md")).exists());
            assert!(machine.path(&format!(".claude/rules/other-{round}.md")).exists());
        }
    }
}

#[tokio::test]
async fn programs_need_an_agreement_to_exactly_them() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    one.write(".claude/skills/x/run.sh", "#!/bin/sh\necho hi\n");
    one.push().await.unwrap();
    let error = other.pull_alone(&PullRequest::default()).await.unwrap_err();
    let SyncError::ExecutableChanges { digest } = error else { panic!("{error}") };
    assert_eq!(other.read(".claude/skills/x/run.sh"), None);
    one.write(".claude/skills/x/run.sh", "#!/bin/sh\necho other\n");
    one.push().await.unwrap();
    let with = |digest: &str| PullRequest { allow_executable: Some(digest.into()), ..PullRequest::default() };
    assert!(matches!(other.pull_alone(&with(&digest)).await, Err(SyncError::ExecutableChanges { .. })));
    let shown = other.pull_alone(&PullRequest { dry_run: true, ..PullRequest::default() }).await.unwrap();
    assert!(shown.changes[0].lines.iter().any(|line| line.contains("echo other")));
    other.pull_alone(&with(&shown.executable.unwrap())).await.unwrap();
    assert!(other.read(".claude/skills/x/run.sh").unwrap().contains("other"));
}

#[tokio::test]
async fn what_was_excluded_and_comes_back_is_no_deletion() {
    let (_far, one, other) = two(&[(MEMORY, "base\n"), (RULES, "base\n")]).await;
    other.write(".aiw/settings.json", r#"{"sync": {"exclude": ["claude:rules"]}}"#);
    other.remove(RULES);
    other.write(MEMORY, "other\n");
    other.push().await.unwrap();
    one.pull().await;
    assert_eq!(one.read(RULES).as_deref(), Some("base\n"));
    // Through a machine that says nothing of it, a change still arrives.
    let third = Machine::new();
    let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    third.join(_far.path(), &phrase).await.unwrap();
    third.pull().await;
    assert_eq!(third.read(RULES).as_deref(), Some("base\n"));
    other.write(".aiw/settings.json", "{}");
    assert!(matches!(other.push().await, Err(SyncError::PermissionsWidened)));
    other.pull().await;
    assert_eq!(other.read(RULES).as_deref(), Some("base\n"));
}

#[tokio::test]
async fn a_new_phrase_begins_a_new_store_and_the_old_one_says_so() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    one.sync().rekey(&Person::default(), &RecordingReporter::default()).await.unwrap();
    let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    let error = other.pull_alone(&PullRequest::default()).await.unwrap_err();
    assert!(matches!(error, SyncError::StoreRekeyed { .. }), "{error}");
    other.sync().leave().unwrap();
    other.join(far.path(), &phrase).await.unwrap();
    other.pull().await;
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    other.pull().await;
    assert_eq!(other.read(MEMORY).as_deref(), Some("new\n"));
}

/// A person who does something while they are asked, and says yes.
struct Busy<'a>(&'a (dyn Fn() + Sync));

#[async_trait]
impl Prompter for Busy<'_> {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, _: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        (self.0)();
        Ok(Vec::new())
    }

    async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
        Ok(0)
    }

    fn is_interactive(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_file_that_changes_while_its_plan_is_agreed_to_is_merged_later() {
    let (_far, one, other) = two(&[(MEMORY, "1\n2\n3\n4\n5\n")]).await;
    one.write(MEMORY, "one\n2\n3\n4\n5\n");
    one.push().await.unwrap();
    let edit = || other.write(MEMORY, "1\n2\n3\n4\nother\n");
    let pulled = other.sync().pull(&PullRequest::default(), &Busy(&edit), &RecordingReporter::default()).await.unwrap();
    assert_eq!(pulled.skipped, ["claude:CLAUDE.md"]);
    assert!(matches!(other.push().await, Err(SyncError::UnresolvedConflicts { .. })));
    other.pull().await;
    assert_eq!(other.read(MEMORY).as_deref(), Some("one\n2\n3\n4\nother\n"));
}

#[tokio::test]
async fn what_waited_outside_of_a_merge_keeps_its_base() {
    let (_far, one, other) =
        two(&[(".claude/settings.json", r#"{"theme": "dark", "model": "x"}"#), (RULES, "base\n")]).await;
    // A file that can't be read during a pull, then repaired with an edit.
    other.write(".claude/settings.json", "{");
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
    other.pull().await;
    other.write(".claude/settings.json", r#"{"model": "x"}"#);
    other.pull().await;
    assert_eq!(other.read(".claude/settings.json").as_deref(), Some(r#"{"model": "x"}"#));
    // An undo after another pull is offered again, and takes nothing from others.
    one.write(".claude/rules/n.md", "n\n");
    one.push().await.unwrap();
    other.pull().await;
    std::os::unix::fs::symlink("/nowhere", other.path(".claude/skills")).unwrap();
    other.pull().await;
    other.sync().undo().unwrap();
    assert!(!other.path(".claude/rules/n.md").exists());
    assert!(other.push().await.is_err());
    other.pull().await;
    assert!(other.path(".claude/rules/n.md").exists());
}

#[tokio::test]
async fn what_cannot_be_read_is_not_deleted_and_much_is_asked_about() {
    use std::os::unix::fs::PermissionsExt;

    let files: Vec<(String, &str)> = (0..8).map(|file| (format!(".claude/rules/{file}.md"), "x\n")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let (_far, one, other) = two(&files).await;
    fs::set_permissions(one.path(".claude/rules"), fs::Permissions::from_mode(0o000)).unwrap();
    // Root reads everything.
    if fs::read_dir(one.path(".claude/rules")).is_err() {
        let pushed = one.push().await;
        assert!(pushed.is_err() || pushed.unwrap().changed.is_empty());
    }
    fs::set_permissions(one.path(".claude/rules"), fs::Permissions::from_mode(0o755)).unwrap();
    (0..7).for_each(|file| one.remove(&format!(".claude/rules/{file}.md")));
    let error = one.push().await.unwrap_err();
    assert!(matches!(&error, SyncError::DestructivePush(what) if what.contains("7 of 8 files of claude")), "{error}");
    one.push_all().await.unwrap();
    other.pull().await;
    assert!(!other.path(".claude/rules/0.md").exists() && other.path(".claude/rules/7.md").exists());
}

#[tokio::test]
async fn a_link_of_the_user_stays_where_its_file_is_removed_elsewhere() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    fs::rename(other.path(MEMORY), other.path("kept.md")).unwrap();
    std::os::unix::fs::symlink(other.path("kept.md"), other.path(MEMORY)).unwrap();
    one.write(MEMORY, "changed\n");
    one.push().await.unwrap();
    other.pull().await;
    assert_eq!(other.read("kept.md").as_deref(), Some("changed\n"));
    one.remove(MEMORY);
    one.push().await.unwrap();
    let pulled = other.pull().await;
    assert_eq!(pulled.skipped, ["claude:CLAUDE.md"]);
    assert!(other.path(MEMORY).is_symlink());
    // It holds up nothing.
    other.push().await.unwrap();
}

#[tokio::test]
async fn a_row_that_no_longer_travels_holds_up_nothing() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    other.sync().include("claude:plans/").unwrap();
    other.pull().await;
    other.write(".claude/plans/a.md", "plan\n");
    other.push().await.unwrap();
    other.sync().exclude("claude:plans/").unwrap();
    other.write(MEMORY, "other\n");
    other.push().await.unwrap();
    one.pull().await;
    one.write(MEMORY, "one\n");
    one.push().await.unwrap();
    other.pull().await;
    assert_eq!(other.read(MEMORY).as_deref(), Some("one\n"));
    assert!(other.path(".claude/plans/a.md").exists());
}

#[tokio::test]
async fn a_new_phrase_waits_for_what_others_pushed() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    other.write(MEMORY, "other\n");
    other.push().await.unwrap();
    let error = one.sync().rekey(&Person::default(), &RecordingReporter::default()).await.unwrap_err();
    assert!(matches!(error, SyncError::UnmergedChanges { .. }), "{error}");
    one.pull().await;
    one.sync().rekey(&Person::default(), &RecordingReporter::default()).await.unwrap();
    one.write(MEMORY, "new\n");
    one.push().await.unwrap();
}

#[test]
fn each_section_of_the_settings_has_a_row() {
    let rows = crate::policy::sync_rules();
    let row = rows.iter().find(|row| row.pattern() == "aiw:settings.json").unwrap();
    for section in aiw_home::Settings::sections() {
        let named = row.keys.iter().any(|key| key.key.split('.').next() == Some(section.as_str()));
        assert!(named || section == "$schema", "{section}");
    }
}

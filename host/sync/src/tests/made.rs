//! What is installed, and secrets.

use super::*;

const CANARY: &str = "canary-secret-of-a-vault";

/// Returns every file below a directory that holds some bytes.
fn holding(directory: &Path, bytes: &[u8]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if fs::read(&path).unwrap().windows(bytes.len()).any(|part| part == bytes) {
            found.push(path);
        }
    }
    found
}

impl Machine {
    fn set(&self, name: &str, value: &str) {
        self.home.vault().set(&self.home.lock().unwrap(), &name.parse().unwrap(), &Secret::new(value)).unwrap();
    }

    fn unset(&self, name: &str) {
        self.home.vault().remove(&self.home.lock().unwrap(), &name.parse().unwrap()).unwrap();
    }

    fn secret(&self, name: &str) -> Option<String> {
        self.home.vault().get(&name.parse().unwrap()).ok().map(|secret| secret.expose().to_owned())
    }

    fn take_secrets_along(&self) {
        self.sync().include("aiw:sync/secrets.json").unwrap();
    }

    fn install_plugin(&self, name: &str) {
        let record = serde_json::json!({"version": "1", "digest": "ab", "installed_at": "2026-01-01T00:00:00Z",
            "enabled": true, "source": "local", "servers": []});
        let mut file: serde_json::Value = match self.read(".aiw/plugins.json") {
            Some(text) => serde_json::from_str(&text).unwrap(),
            None => serde_json::json!({"version": 1, "plugins": {}, "servers": {}}),
        };
        file["plugins"][name] = record;
        self.write(".aiw/plugins.json", &file.to_string());
    }

    fn uninstall_all(&self) {
        self.remove(".aiw/plugins.json");
    }
}

fn commands(wishes: &[crate::PendingInstall]) -> Vec<&str> {
    wishes.iter().map(|wish| wish.next.as_str()).collect()
}

#[tokio::test]
async fn what_is_installed_elsewhere_is_named_with_its_command_and_starts_nothing() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let bundle = one.path(".aiw/bundles/x/server.js");
    let (bundle, sha) = (bundle.to_str().unwrap(), "0".repeat(64));
    one.install_plugin("tools@acme");
    let servers =
        serde_json::json!({"mcpServers": {"files": {"command": "node", "args": [bundle]}, "own": {"command": "own"}}});
    one.write(".aiw/mcp.json", &servers.to_string());
    let record = |name: &str| {
        serde_json::json!({"source": "registry-official", "name": name, "version": "1", "digest": "d",
            "written": {}, "method": "mcpb", "installedAt": "2026-01-01T00:00:00Z"})
    };
    let lock =
        serde_json::json!({"version": 1, "servers": {"files": record("io.acme/files"), "own": record("io.acme/own")}});
    one.write(".aiw/registry.lock", &lock.to_string());
    one.write(
        ".aiw/extensions.lock",
        &format!(
            "version = 1\n[[extension]]\nid = \"acme-index\"\nversion = \"1\"\nsource = \"{}/it's.wasm\"\nsha256 = \"{sha}\"\nworlds = []\nenabled = true\nadded_at = \"x\"\n[extension.grants]\n",
            one.directory.path().display()
        ),
    );
    one.write(
        ".aiw/models.lock",
        "version = 1\n[models.small]\nsource = \"https://m.test\"\n[models.small.files]\n[models.mine]\nsource = \"x\"\ndirectory = \"/m\"\n[models.mine.files]\n",
    );
    one.push().await.unwrap();

    let pulled = other.pull().await;
    let place = other.directory.path().display().to_string();
    assert_eq!(
        commands(&pulled.pending_installs),
        [
            &format!("aiw extension add \"{place}/it's.wasm\""),
            "aiw model pull small",
            "aiw plugin marketplace update acme && aiw plugin install tools@acme",
            "aiw mcp install io.acme/files --source registry-official",
        ]
    );
    // The entry of a server that runs by itself came with mcp.json.
    let servers: serde_json::Value = serde_json::from_str(&other.read(".aiw/mcp.json").unwrap()).unwrap();
    assert_eq!(servers["mcpServers"].as_object().unwrap().keys().collect::<Vec<_>>(), ["own"]);
    let wish = pulled.changes.iter().find(|change| change.path == "aiw:sync/pending-installs.json").unwrap();
    assert_eq!(wish.effect, "sets");
    assert_eq!(other.sync().status().unwrap().unpushed, Vec::<String>::new());

    // Once it is installed, it is not a wish any more; and what the other machine has alone becomes one here.
    other.install_plugin("tools@acme");
    other.install_plugin("more@acme");
    assert_eq!(other.sync().status().unwrap().pending_installs.len(), 3);
    assert_eq!(other.sync().status().unwrap().unpushed, ["aiw:sync/pending-installs.json"]);
    other.push().await.unwrap();
    let more = "aiw plugin marketplace update acme && aiw plugin install more@acme";
    assert_eq!(commands(&one.pull().await.pending_installs), [more]);

    // A file of wishes that is gone or damaged takes nothing from anybody.
    for damaged in [None, Some("{}"), Some("[]")] {
        match damaged {
            None => one.remove(".aiw/sync/pending-installs.json"),
            Some(text) => one.write(".aiw/sync/pending-installs.json", text),
        }
        one.push().await.unwrap();
        other.pull().await;
        let wishes = other.read(".aiw/sync/pending-installs.json").unwrap();
        for name in ["tools@acme", "more@acme", "small", "io.acme/files", "acme-index"] {
            assert!(wishes.contains(name), "{damaged:?}: {wishes}");
        }
    }

    // Removed on one machine, it is wished nowhere, also where it stays.
    one.uninstall_all();
    assert!(one.sync().status().unwrap().pending_installs.iter().all(|wish| wish.name != "tools@acme"));
    one.push().await.unwrap();
    assert!(one.sync().status().unwrap().pending_installs.iter().all(|wish| wish.name != "tools@acme"));
    other.pull().await;
    assert!(other.push().await.unwrap().snapshot.is_none(), "an installed plugin is not wished again");
}

#[tokio::test]
async fn a_wish_is_no_option_and_no_second_command() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    let wishes = serde_json::json!({"pending_installs": {"plugins": ["--yes", "a@b; rm -rf ~", "a@b\u{1b}[2J"], "models": ["-x"],
        "unknown": ["y"], "extensions": ["--yes acme-index", ";reboot acme-index"],
        "servers": ["registry-official --yes", "one", "registry-official a$(reboot)"]}, "here": {}});
    one.write(".aiw/sync/pending-installs.json", &wishes.to_string());
    one.push().await.unwrap();
    let pulled = other.pull().await;
    assert_eq!(commands(&pulled.pending_installs), ["aiw extension add ';reboot'"]);
}

#[tokio::test]
async fn secrets_travel_on_request_sealed_and_are_agreed_to_and_undone() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    one.set("acme-key", CANARY);
    one.set("mcp-login.acme", "canary-login");
    assert!(one.push().await.unwrap().snapshot.is_none(), "they stay unless asked for");
    one.take_secrets_along();
    one.pull().await;
    assert!(one.sync().status().unwrap().unpushed.contains(&"aiw:sync/secrets.json".into()));
    one.push().await.unwrap();
    // A machine that did not ask for them gets none.
    let pulled = other.pull().await;
    assert!(pulled.changes.iter().all(|change| change.path != "aiw:sync/secrets.json"));
    other.take_secrets_along();
    let error = other.pull_alone(&PullRequest::default()).await.unwrap_err();
    assert!(matches!(error, SyncError::ExecutableChanges { .. }), "{error}");
    assert_eq!(other.secret("acme-key"), None);
    let pulled = other.pull().await;
    let shown: Vec<&String> = pulled.changes.iter().flat_map(|change| &change.lines).collect();
    assert!(shown.iter().any(|line| line.contains("acme-key") && line.contains("(sealed)")), "{shown:?}");
    assert_eq!((other.secret("acme-key").as_deref(), other.secret("mcp-login.acme")), (Some(CANARY), None));

    // An undo takes it away again, and a pull of what is undone brings it back.
    other.sync().undo().unwrap();
    assert_eq!(other.secret("acme-key"), None);
    other.pull().await;
    assert_eq!(other.secret("acme-key").as_deref(), Some(CANARY));
    for machine in [&one, &other] {
        assert_eq!(holding(machine.directory.path(), CANARY.as_bytes()), Vec::<PathBuf>::new());
        assert!(machine.push().await.unwrap().snapshot.is_none(), "nothing is new");
    }
    assert_eq!(holding(far.path(), CANARY.as_bytes()), Vec::<PathBuf>::new());

    // Another value, and none.
    other.set("acme-key", "another value");
    other.push().await.unwrap();
    one.pull().await;
    assert_eq!(one.secret("acme-key").as_deref(), Some("another value"));
    one.unset("acme-key");
    one.push().await.unwrap();
    other.pull().await;
    assert_eq!(other.secret("acme-key"), None);
}

#[tokio::test]
async fn the_same_secret_on_both_machines_is_no_conflict_and_another_one_is() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    for machine in [&one, &other] {
        machine.set("same", "the same value");
        machine.take_secrets_along();
    }
    one.set("differs", "value of one");
    other.set("differs", "value of other");
    one.pull().await;
    one.push().await.unwrap();
    let person = Person::who_answers(&[2]);
    let pulled = other.pull_with(&person).await;
    let conflicts: Vec<_> =
        pulled.conflicts.iter().map(|found| (found.key.as_deref(), found.mine.as_deref())).collect();
    assert_eq!(conflicts, [(Some("secrets.differs"), Some("(sealed)"))]);
    assert_eq!(other.secret("differs").as_deref(), Some("value of one"));
    assert_eq!(other.secret("same").as_deref(), Some("the same value"));
}

#[tokio::test]
async fn a_new_phrase_seals_secrets_again_and_a_store_that_was_left_brings_nothing_back() {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    one.set("acme-key", CANARY);
    one.take_secrets_along();
    one.pull().await;
    one.push().await.unwrap();
    one.sync().rekey(&Person::default(), &RecordingReporter::default()).await.unwrap();
    let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    other.sync().leave().unwrap();
    other.take_secrets_along();
    other.join(far.path(), &phrase).await.unwrap();
    other.pull().await;
    assert_eq!(other.secret("acme-key").as_deref(), Some(CANARY));
    // A value that was changed while the machine was in no store stays.
    other.sync().leave().unwrap();
    other.set("acme-key", "newer value");
    other.join(far.path(), &phrase).await.unwrap();
    let pulled = other.pull_with(&Person::who_answers(&[0])).await;
    assert_eq!(pulled.conflicts.len(), 1);
    assert_eq!(other.secret("acme-key").as_deref(), Some("newer value"));
}

#[tokio::test]
async fn old_changes_are_forgotten_and_the_newest_fifty_are_undone() {
    let (_far, one, other) = two(&[(MEMORY, "base\n")]).await;
    for round in 0..53 {
        one.write(MEMORY, &format!("{round}\n"));
        one.push().await.unwrap();
        other.pull().await;
    }
    let kept = fs::read_dir(other.path(".aiw/sync/changes")).unwrap().count();
    assert_eq!(kept, 50);
    for _ in 0..50 {
        other.sync().undo().unwrap();
    }
    assert_eq!(other.read(MEMORY).as_deref(), Some("2\n"));
    assert!(matches!(other.sync().undo().unwrap_err(), SyncError::NothingToUndo));
    let objects = fs::read_dir(one.path(".aiw/sync/objects")).unwrap().count();
    assert!(objects <= 52, "{objects}");
}

/// Two machines that have the same secrets.
async fn two_with(secrets: &[(&str, &str)]) -> (tempfile::TempDir, Machine, Machine) {
    let (far, one, other) = two(&[(MEMORY, "base\n")]).await;
    for (name, value) in secrets {
        one.set(name, value);
    }
    for machine in [&one, &other] {
        machine.take_secrets_along();
        machine.pull().await;
        machine.push().await.unwrap();
    }
    (far, one, other)
}

#[tokio::test]
async fn a_file_of_secrets_that_is_damaged_takes_nothing_from_a_vault() {
    let (_far, one, other) = two_with(&[("a-key", "value of a"), ("b-key", "value of b")]).await;
    for damaged in [None, Some("{}"), Some("[]"), Some("{\"secrets\": {}}"), Some("null"), Some("{\"secr")] {
        match damaged {
            None => other.remove(".aiw/sync/secrets.json"),
            Some(text) => other.write(".aiw/sync/secrets.json", text),
        }
        other.pull().await;
        other.push().await.unwrap();
        one.pull().await;
        for machine in [&one, &other] {
            assert_eq!(machine.secret("a-key").as_deref(), Some("value of a"), "{damaged:?}");
            assert_eq!(machine.secret("b-key").as_deref(), Some("value of b"), "{damaged:?}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_somebody_set_since_is_not_overwritten() {
    /// A person who sets a secret while a question stands.
    struct Busy<'a>(&'a Machine);

    #[async_trait]
    impl Prompter for Busy<'_> {
        fn can_ask(&self, _: &[Question]) -> bool {
            true
        }

        fn is_interactive(&self) -> bool {
            true
        }

        async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
            Ok(0)
        }

        async fn confirm(&self, _: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
            self.0.set("a-key", "set while asked");
            Ok(Vec::new())
        }
    }

    let (_far, one, other) = two_with(&[("a-key", "first")]).await;
    one.set("a-key", "second");
    one.push().await.unwrap();
    other.pull().await;
    other.set("a-key", "third");
    other.sync().undo().unwrap();
    assert_eq!(other.secret("a-key").as_deref(), Some("third"));
    // It is an edit of this machine, and a conflict with what it undid.
    let pulled = other.pull_with(&Person::who_answers(&[1])).await;
    assert_eq!(pulled.conflicts.len(), 1);
    other.push().await.unwrap();
    one.pull().await;
    assert_eq!(one.secret("a-key").as_deref(), Some("third"));

    one.set("a-key", "fourth");
    one.push().await.unwrap();
    other.sync().pull(&PullRequest::default(), &Busy(&other), &RecordingReporter::default()).await.unwrap();
    assert_eq!(other.secret("a-key").as_deref(), Some("set while asked"));
    other.push().await.unwrap();
    one.pull().await;
    assert_eq!(one.secret("a-key").as_deref(), Some("set while asked"));
}

#[tokio::test]
async fn a_push_that_takes_many_secrets_away_asks_and_a_conflict_has_no_editor() {
    let (_far, one, other) = two_with(&[("a-key", "value of a"), ("b-key", "value of b")]).await;
    one.unset("a-key");
    one.unset("b-key");
    let error = one.push().await.unwrap_err();
    assert!(matches!(&error, SyncError::DestructivePush(what) if what.contains("2 of 2 secrets")), "{error}");
    assert_eq!(crate::unpushed_files(&one.home), Some(1));
    one.push_all().await.unwrap();
    other.set("a-key", "another");
    let person = Person::default();
    other.pull_with(&person).await;
    let asked = person.asked.lock();
    assert_eq!(asked.iter().map(|choice| choice.options.len()).collect::<Vec<_>>(), [3]);
}

#[tokio::test]
async fn a_new_phrase_leaves_removed_secrets_behind() {
    let (far, one, other) = two_with(&[("a-key", "value of a"), ("b-key", "value of b")]).await;
    one.unset("a-key");
    one.sync().rekey(&Person::default(), &RecordingReporter::default()).await.unwrap();
    let phrase = one.home.vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    other.sync().leave().unwrap();
    other.join(far.path(), &phrase).await.unwrap();
    assert_eq!(other.pull().await.conflicts.len(), 0);
    other.push().await.unwrap();
    let pulled = one.pull().await;
    // What the other machine still has comes back as its own, and is shown.
    assert!(pulled.changes.iter().any(|change| change.path == "aiw:sync/secrets.json"));
}

#[tokio::test]
async fn thousands_of_items_of_one_list_are_merged() {
    let settings = |from: usize, to: usize| {
        let allow: Vec<String> = (from..to).map(|item| format!("Bash(make t{item}:*)")).collect();
        serde_json::to_string_pretty(&serde_json::json!({"permissions": {"allow": allow}})).unwrap()
    };
    let (_far, one, other) = two(&[(".claude/settings.json", &settings(0, 1))]).await;
    one.write(".claude/settings.json", &settings(0, 3000));
    one.push().await.unwrap();
    other.write(".claude/settings.json", &settings(3000, 3010));
    let pulled = other.pull().await;
    assert_eq!((pulled.unreadable.len(), pulled.conflicts.len()), (0, 0));
    let merged: serde_json::Value = serde_json::from_str(&other.read(".claude/settings.json").unwrap()).unwrap();
    // The first item was removed here.
    assert_eq!(merged["permissions"]["allow"].as_array().unwrap().len(), 3009);
}

#[tokio::test]
async fn another_format_of_the_same_settings_is_nothing_to_push() {
    let (_far, one, other) =
        two(&[(".claude/settings.json", "{\"model\": \"a\", \"permissions\": {\"allow\": [\"x\", \"y\"]}}")]).await;
    other.write(
        ".claude/settings.json",
        "{\n  // mine\n  \"permissions\": {\"allow\": [\"y\", \"x\"]},\n  \"model\": \"a\"\n}\n",
    );
    assert_eq!(other.sync().status().unwrap().unpushed, Vec::<String>::new());
    assert!(other.push().await.unwrap().snapshot.is_none());
    other.write(".claude/settings.json", "{\"model\": \"a\", \"permissions\": {\"allow\": [\"y\"]}}");
    assert_eq!(other.sync().status().unwrap().unpushed, ["claude:settings.json"]);
    other.push().await.unwrap();
    one.pull().await;
    assert!(one.push().await.unwrap().snapshot.is_none());
}

#[tokio::test]
async fn the_name_of_a_secret_is_pushed_without_a_question_and_a_secret_in_its_place_is_not() {
    let far = tempfile::tempdir().unwrap();
    let one = Machine::new();
    one.init(far.path()).await;
    let providers = |name: &str| {
        let headers = r#""headers": {"X-Key": {"secret": "deepseek-header"}}"#;
        format!("{{\"providers\": {{\"work\": {{{headers},\n\"token\": {{\"secret\": \"{name}\"}}\n}}}}}}\n")
    };
    one.write(".aiw/providers.json", &providers("deepseek"));
    one.push().await.unwrap();
    let places = |pushed: Result<SyncPush, SyncError>| match pushed {
        Err(SyncError::PlaintextSecrets { places }) => places,
        other => panic!("{other:?}"),
    };
    one.write(".aiw/providers.json", &providers("sk-ant-api03-canary0canary1canary2"));
    let named = places(one.push().await);
    assert!(named.contains(&"aiw:providers.json providers.work.token.secret".to_owned()), "{named:?}");
    // Elsewhere, a value of that name is the secret itself.
    one.write(".aiw/providers.json", &providers("deepseek"));
    let variables = "{\"env\": {\"secret\": \"deepseek\"}}";
    one.write(".claude/settings.json", variables);
    one.write(".aiw/mcp.json", &format!("{{\"mcpServers\": {{\"x\": {variables}}}}}"));
    let named = places(one.push().await);
    for place in ["claude:settings.json env.secret", "aiw:mcp.json mcpServers.x.env.secret"] {
        assert!(named.iter().any(|found| found == place), "{named:?}");
    }
    assert!(!named.iter().any(|place| place.starts_with("aiw:providers.json")), "{named:?}");
}

#[tokio::test]
async fn a_phrase_that_could_not_be_kept_is_not_said_to_be_in_the_vault() {
    let (far, one, heard) = (tempfile::tempdir().unwrap(), Machine::new(), RecordingReporter::default());
    one.write(".aiw/vault", "not a directory");
    let begun = one.sync().init(far.path().to_str().unwrap(), None, &aiw_core::NonInteractive, &heard).await;
    assert!(begun.is_err() && !heard.lines().iter().any(|line| line.contains("aiw sync phrase")));
    one.remove(".aiw/vault");
    one.sync().init(far.path().to_str().unwrap(), None, &aiw_core::NonInteractive, &heard).await.unwrap();
    assert!(heard.lines().iter().any(|line| line.contains("aiw sync phrase")));
}

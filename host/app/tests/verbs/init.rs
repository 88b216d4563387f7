//! The first set-up: each lacking part is found, one agreement is asked for, and nothing is written before.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aiw_app::init::{InitPart, InitReport, InitRequest, InitStatus, init, inspect};
use aiw_app::{App, AppError, BundledScripts, ClientSession};
use aiw_core::{Choice, NonInteractive, Plan, PromptError, Prompter, Question, Secret};
use aiw_home::{ExecutionContext, Home, LockedModel};
use aiw_markets::NoopObserver;
use async_trait::async_trait;
use tempfile::TempDir;

use crate::person::Recorded;
use crate::{in_the_way, state_of};

/// A machine with a user, who has these programs.
struct Machine {
    place: TempDir,
    client: Arc<ClientSession>,
}

impl Machine {
    fn new(programs: &[&str]) -> Self {
        const NO_SCRIPTS: BundledScripts = BundledScripts { component: &[], code: &[], sha256: "" };
        let place = tempfile::tempdir().unwrap();
        let (user, bin) = (place.path().join("user"), place.path().join("bin"));
        [&user, &bin].into_iter().for_each(|directory| fs::create_dir(directory).unwrap());
        for program in programs {
            fs::write(bin.join(program), "#!/bin/sh\ntouch \"$0.started\"\n").unwrap();
            fs::set_permissions(bin.join(program), fs::Permissions::from_mode(0o755)).unwrap();
        }
        // Clients start aiw by this name.
        std::os::unix::fs::symlink(std::env::current_exe().unwrap(), bin.join("aiw")).unwrap();
        let variables = [("HOME", user.clone()), ("PATH", bin)].map(|(name, value)| (name.into(), value.into()));
        let around = ExecutionContext::new(Ok(user.clone()), variables as [(OsString, OsString); 2]);
        let home = Home::from_root(user.join(".aiw")).with_context(around);
        // No test asks a registry for newer versions.
        fs::create_dir(user.join(".aiw")).unwrap();
        fs::write(user.join(".aiw/settings.json"), r#"{"updates": {"check": false}}"#).unwrap();
        let client = ClientSession::from_app(App::open(home, &[], NO_SCRIPTS, Arc::new(NoopObserver))).unwrap();
        Self { place, client }
    }

    fn home(&self) -> &Home {
        self.client.home()
    }

    fn lacking(&self) -> Vec<InitPart> {
        inspect(self.home()).unwrap().lacking.iter().map(|lacks| lacks.part).collect()
    }

    /// Everything there is.
    fn all(&self) -> BTreeMap<String, Vec<u8>> {
        state_of(self.place.path())
    }

    fn user(&self, path: &str) -> PathBuf {
        self.place.path().join("user").join(path)
    }

    /// Walks through the questions about some parts.
    async fn walk(&self, parts: &[InitPart], person: &Person<'_>) -> Result<InitReport, AppError> {
        let InitStatus { mut lacking } = inspect(self.home()).unwrap();
        lacking.retain(|lacks| parts.contains(&lacks.part));
        init(&self.client, &InitStatus { lacking }, &InitRequest::default(), person, &person.heard).await
    }
}

/// Somebody who says yes, types these texts, and does something when they are asked to agree.
struct Person<'a> {
    heard: Recorded,
    texts: Mutex<Vec<String>>,
    /// The questions about secrets.
    asked: Mutex<Vec<String>>,
    wants: bool,
    /// Whether they stop, or say nothing, where they are asked for the words of a store.
    stops_at_words: bool,
    waits_at_words: bool,
    agrees: Box<dyn Fn() -> bool + Send + Sync + 'a>,
}

impl<'a> Person<'a> {
    fn new(texts: &[&str], agrees: impl Fn() -> bool + Send + Sync + 'a) -> Self {
        let texts = texts.iter().rev().map(|text| (*text).to_owned()).collect();
        Self {
            heard: Recorded::agreeing(),
            texts: Mutex::new(texts),
            asked: Mutex::default(),
            wants: true,
            stops_at_words: false,
            waits_at_words: false,
            agrees: Box::new(agrees),
        }
    }

    fn plan(&self) -> Plan {
        self.heard.plans.lock().unwrap().first().cloned().unwrap()
    }
}

#[async_trait]
impl Prompter for Person<'_> {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, plan: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        self.heard.plans.lock().unwrap().push(plan.clone());
        if (self.agrees)() { Ok(Vec::new()) } else { Err(PromptError::Declined) }
    }

    async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
        Err(PromptError::Unsupported)
    }

    fn is_interactive(&self) -> bool {
        true
    }

    async fn text(&self, words: &str) -> Result<Option<String>, PromptError> {
        // The words of a new store, which it asks back.
        if let Some(number) =
            words.rsplit_once("Word ").and_then(|(_, rest)| rest.split_once(':')?.0.parse::<u8>().ok())
        {
            if self.stops_at_words {
                return Err(PromptError::Interrupted);
            }
            if self.waits_at_words {
                std::future::pending::<()>().await;
            }
            let mut shown = self.texts.lock().unwrap();
            if words.contains("12.") {
                *shown = words.split_whitespace().map(str::to_owned).collect();
            }
            let at = shown.iter().position(|word| *word == format!("{number}.")).unwrap();
            return Ok(Some(shown[at + 1].clone()));
        }
        Ok(self.texts.lock().unwrap().pop().filter(|text| !text.is_empty()))
    }

    async fn secret(&self, words: &str) -> Result<Option<Secret>, PromptError> {
        self.asked.lock().unwrap().push(words.to_owned());
        Ok(self.texts.lock().unwrap().pop().map(Secret::new))
    }

    async fn ask_yes_no(&self, _: &str, usual: bool) -> Result<bool, PromptError> {
        Ok(if self.wants { true } else { usual })
    }
}

const MOST: [InitPart; 3] = [InitPart::Clients, InitPart::Hooks, InitPart::Sync];

#[test]
fn each_part_that_is_lacking_is_found_and_nothing_is_started_or_written_for_it() {
    let machine = Machine::new(&["claude", "gemini"]);
    let before = machine.all();
    let found = inspect(machine.home()).unwrap();
    let lines: Vec<&str> = found.lacking.iter().map(|lacks| lacks.command.as_str()).collect();
    assert_eq!(
        lines,
        [
            "aiw provider add",
            "aiw setup claude gemini",
            "aiw history hooks install",
            "aiw model pull",
            "aiw sync init REMOTE"
        ]
    );
    assert!(found.lacking[1].about.contains("Claude Code, Gemini CLI"), "{found:?}");
    assert_eq!(machine.all(), before);
    // Without an AI CLI there is nothing to set up.
    let bare = Machine::new(&[]);
    assert_eq!(bare.lacking(), [InitPart::Provider, InitPart::Model, InitPart::Sync]);
    assert_eq!(Machine::new(&["codex"]).lacking()[1], InitPart::Clients);
    assert!(!Machine::new(&["codex"]).lacking().contains(&InitPart::Hooks));
}

#[tokio::test]
async fn a_provider_is_lacking_until_one_has_its_key() {
    let machine = Machine::new(&[]);
    let write = |token: &str| {
        let entry = format!(r#"{{"version": 1, "providers": {{"mine": {{"preset": "any", {token}}}}}}}"#);
        drop(machine.home().lock().unwrap());
        fs::write(machine.home().providers_path(), entry).unwrap();
        machine.home().providers().unwrap();
        machine.lacking().contains(&InitPart::Provider)
    };
    let at = |host: &str| format!(r#""token": {{"secret": "KEY"}}, "base_urls": {{"openai": "https://{host}/v1"}}"#);
    // Who typed it for one server typed it for no other.
    assert!(write(&at("one.example")));
    let person = Person::new(&["sk-typed"], || write(&at("two.example")));
    let done = machine.walk(&[InitPart::Provider], &person).await.unwrap();
    assert_eq!(*person.asked.lock().unwrap(), ["Key of the provider `mine` for https://one.example (empty for none):"]);
    assert_eq!(done.added, [], "{:?}", person.heard.heard());
    assert!(machine.lacking().contains(&InitPart::Provider));
    assert!(write(r#""token": {"secret": "KEY"}"#));
    // A provider that is there is not added once more.
    let found = inspect(machine.home()).unwrap().lacking.remove(0);
    assert_eq!(found.command, "aiw secret set KEY");
    let person = Person::new(&["sk-typed"], || true);
    let done = machine.walk(&[InitPart::Provider], &person).await.unwrap();
    assert_eq!(done.added, [InitPart::Provider], "{:?}", person.heard.heard());
    assert!(!format!("{:?} {:?}", person.plan(), person.heard.heard()).contains("sk-typed"));
    assert!(!machine.lacking().contains(&InitPart::Provider));
    assert!(machine.home().vault().get(&"KEY".parse().unwrap()).unwrap().expose() == "sk-typed");
    // What can't be read is said, and nothing is asked about it.
    fs::write(machine.home().providers_path(), "{").unwrap();
    assert!(inspect(machine.home()).unwrap_err().to_string().contains("providers.json"));
}

#[test]
fn a_model_that_is_switched_off_or_your_own_is_not_lacking() {
    let machine = Machine::new(&[]);
    let change = |change: fn(&mut aiw_home::ModelsLock)| {
        let lock = machine.home().lock().unwrap();
        let mut document = machine.home().models_lock().unwrap();
        change(&mut document);
        document.save(&lock).unwrap();
        drop(lock);
        machine.lacking().contains(&InitPart::Model)
    };
    let own = |document: &mut aiw_home::ModelsLock| {
        let locked = LockedModel { source: String::new(), directory: None, files: BTreeMap::new() };
        document.models.insert("own".into(), locked);
        document.used = Some("own".into());
    };
    assert!(!change(own));
    assert!(!change(|document| document.off = true));
    assert!(change(|document| document.used = None));
}

#[tokio::test]
async fn what_is_agreed_to_is_done_and_is_not_lacking_any_more() {
    let machine = Machine::new(&["claude", "codex"]);
    let far = machine.place.path().join("far");
    let person = Person::new(&["y", "NO", "nonsense:", far.to_str().unwrap()], || true);
    let before = machine.all();
    let done = machine.walk(&MOST, &person).await.unwrap();
    assert!(done.failed.is_empty() && done.added == MOST, "{done:?} {:?}", person.heard.heard());
    assert_eq!(machine.lacking(), [InitPart::Provider, InitPart::Model]);
    let (plan, heard) = (person.plan(), person.heard.heard().join("\n"));
    for line in ["Claude Code:", "Codex:", "Hooks of the history:", "Sync:"] {
        assert!(plan.details.iter().any(|about| about == line), "{line}: {plan:#?}");
    }
    assert!(heard.contains("is not known"), "{heard}");
    assert!(heard.contains("`y` is not an address") && heard.contains("`NO` is not an address"), "{heard}");
    assert!(!heard.contains("not done"), "{heard}");
    for undo in ["aiw setup claude codex --undo", "aiw history hooks uninstall", "aiw sync leave"] {
        assert!(heard.contains(&format!("undo: `{undo}`")), "{undo}: {heard}");
    }
    assert!(!before.contains_key(machine.user(".claude.json").to_str().unwrap()));
    assert!(machine.user(".claude.json").exists() && machine.user(".claude/settings.json").exists());
    assert!(!machine.place.path().join("bin/claude.started").exists());
    // Another machine joins what is there now.
    let other = Machine::new(&[]);
    let own = aiw_app::sync::open(machine.client.app(), machine.home()).unwrap();
    own.push(&Default::default(), &NonInteractive, &NonInteractive).await.unwrap();
    let phrase = machine.home().vault().get(&"sync-phrase".parse().unwrap()).unwrap();
    let person = Person::new(&[far.to_str().unwrap(), phrase.expose()], || true);
    let done = other.walk(&MOST, &person).await.unwrap();
    assert_eq!((done.added, done.failed), (vec![InitPart::Sync], vec![]), "{:?}", person.heard.heard());
}

#[tokio::test]
async fn until_all_of_it_is_agreed_to_nothing_is_written() {
    let machine = Machine::new(&["claude", "codex"]);
    let (before, far) = (machine.all(), machine.place.path().join("far"));
    let person = Person::new(&[far.to_str().unwrap()], || {
        assert_eq!(machine.all(), before);
        false
    });
    let declined = machine.walk(&MOST, &person).await;
    assert!(matches!(declined, Err(AppError::Prompt(PromptError::Declined))), "{declined:?}");
    assert_eq!(machine.all(), before);
    // Who skips all of it is not asked once more.
    let person = Person { wants: false, ..Person::new(&[], || panic!("nothing is to be agreed to")) };
    let done = machine.walk(&MOST, &person).await.unwrap();
    assert!(done.added.is_empty() && done.failed.is_empty());
    assert!(person.heard.heard().last().unwrap().contains("nothing changes"), "{:?}", person.heard.heard());
    assert_eq!(machine.all(), before);
}

#[tokio::test]
async fn a_step_that_fails_stops_no_other_and_says_how_to_try_again() {
    let machine = Machine::new(&["claude", "codex"]);
    let far = machine.place.path().join("far");
    // A program changes what the plan was about, and the remote's place goes.
    let person = Person::new(&[far.join("gone/far").to_str().unwrap()], || {
        fs::write(machine.user(".claude.json"), r#"{"mcpServers": {"aiw": {"command": "other"}}}"#).unwrap();
        true
    });
    let done = machine.walk(&MOST, &person).await.unwrap();
    let heard = person.heard.heard().join("\n");
    assert_eq!((done.added, done.failed), (vec![InitPart::Hooks], vec![InitPart::Clients, InitPart::Sync]), "{heard}");
    assert!(heard.contains("try again: `aiw setup claude codex`"), "{heard}");
    assert!(heard.contains("try again: `aiw sync init "), "{heard}");
    assert!(done.first_error.unwrap().to_string().contains("would change something else"), "{heard}");
    assert!(!machine.user(".codex/config.toml").exists());
}

#[tokio::test]
async fn who_stops_after_they_agreed_is_told_what_was_done_and_what_was_not() {
    let machine = Machine::new(&["claude"]);
    let far = machine.place.path().join("far");
    let person = Person { stops_at_words: true, ..Person::new(&[far.to_str().unwrap()], || true) };
    let stopped = machine.walk(&MOST, &person).await;
    assert!(stopped.is_err(), "{stopped:?}");
    let heard = person.heard.heard().join("\n");
    assert!(heard.contains("done: clients, hooks; not done: sync; `aiw init` goes on"), "{heard}");
    // The same holds where all of it is dropped.
    let (machine, person) = (Machine::new(&["claude"]), Person::new(&[far.to_str().unwrap()], || true));
    let person = Person { waits_at_words: true, ..person };
    {
        let mut walk = std::pin::pin!(machine.walk(&MOST, &person));
        let is_waiting = async {
            while !person.heard.heard().join("\n").contains("history hooks uninstall") {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! { _ = &mut walk => panic!("it waits"), () = is_waiting => {} }
    }
    let heard = person.heard.heard().join("\n");
    assert!(heard.contains("done: clients, hooks; not done: sync; `aiw init` goes on"), "{heard}");
}

#[tokio::test]
async fn a_part_that_can_t_be_planned_is_told_and_the_others_go_on() {
    let machine = Machine::new(&["claude"]);
    in_the_way(&machine.user(".claude.json"));
    let person = Person::new(&[], || true);
    let done = machine.walk(&[InitPart::Clients, InitPart::Hooks], &person).await.unwrap();
    assert_eq!((done.added, done.failed), (vec![InitPart::Hooks], vec![InitPart::Clients]));
}

//! Setting up clients that are named: no binary, no terminal, none of the user's own files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use aiw_app::setup::{SetupRequest, change_hooks, set_up};
use aiw_app::{AppError, ClientSession};
use aiw_core::{NonInteractive, PromptError};
use aiw_home::CliPaths;
use aiw_setup::{ClientPaths, HookScope, Hooks, SetupError};

use crate::person::{Does, Recorded};
use crate::{client, in_the_way, state, state_of};

fn places(client: &ClientSession) -> (ClientPaths, PathBuf) {
    let user = client.cwd().join("user");
    fs::create_dir_all(&user).unwrap();
    let clis = CliPaths::from_variables(|name| (name == "HOME").then(|| user.clone())).unwrap();
    (ClientPaths { clis, config: user.join(".config") }, user)
}

fn request(clients: &[&str]) -> SetupRequest {
    SetupRequest { clients: clients.iter().map(|id| (*id).to_owned()).collect(), ..SetupRequest::default() }
}

#[tokio::test]
async fn nothing_is_written_unless_all_of_it_is_agreed_to() {
    let (_place, client) = client();
    let (places, user) = places(&client);
    let request = SetupRequest { approve_calls: true, ..request(&["claude", "gemini"]) };
    let before = state(client.home());
    for (at, question) in [(0, "Approve all calls?"), (1, "Write these changes?")] {
        let person = Recorded::new(at, Does::Waits);
        tokio::select! {
            biased;
            _ = set_up(client.home(), &places, &request, &person, &person) => panic!("it waits"),
            () = async { while person.questions().len() <= at { tokio::task::yield_now().await; } } => {}
        }
        assert_eq!(person.questions()[at], question);
        assert_eq!((state(client.home()), fs::read_dir(&user).unwrap().count()), (before.clone(), 0));
    }
    let person = Recorded::new(1, Does::Declines);
    let declined = set_up(client.home(), &places, &request, &person, &person).await.map(|_| ());
    assert!(matches!(declined, Err(AppError::Prompt(PromptError::Declined))), "{declined:?}");
    let plan = person.plans.lock().unwrap()[1].clone();
    assert!(plan.details.iter().any(|line| line == "Gemini CLI:") && plan.effects.len() >= 2, "{plan:?}");
    let shown = SetupRequest { dry_run: true, ..request.clone() };
    let (answer, first) = set_up(client.home(), &places, &shown, &NonInteractive, &person).await.unwrap();
    assert!(first.is_none() && answer.dry_run && answer.clients.iter().all(|client| client.changed));
    assert_eq!((state(client.home()), fs::read_dir(&user).unwrap().count()), (before, 0));
}

#[tokio::test]
async fn who_does_not_approve_all_calls_may_still_be_set_up_and_an_undo_leaves_nothing() {
    let (_place, client) = client();
    let (places, user) = places(&client);
    let request = SetupRequest { approve_calls: true, ..request(&["gemini"]) };
    let person = Recorded::new(0, Does::Declines);
    let (answer, first) = set_up(client.home(), &places, &request, &person, &person).await.unwrap();
    assert!(first.is_none() && answer.clients[0].changed);
    let written = fs::read_to_string(user.join(".gemini/settings.json")).unwrap();
    assert!(written.contains("mcpServers") && !written.contains("trust"), "{written}");
    assert!(person.heard().last().unwrap().contains("aiw is set up in Gemini CLI"), "{:?}", person.heard());
    let again = Recorded::agreeing();
    set_up(client.home(), &places, &super::setup::request(&["gemini"]), &again, &again).await.unwrap();
    assert!(again.questions().is_empty() && again.heard()[0].contains("aiw is set up already"), "{:?}", again.heard());
    // Of all clients, those that were set up.
    let undo = SetupRequest { undo: true, ..SetupRequest::default() };
    let (answer, _) = set_up(client.home(), &places, &undo, &again, &again).await.unwrap();
    assert_eq!((answer.clients.len(), fs::read_dir(&user).unwrap().count()), (1, 0));
}

#[tokio::test]
async fn what_fails_for_one_client_does_not_stop_the_others() {
    let (_place, client) = client();
    let (places, user) = places(&client);
    fs::create_dir_all(user.join(".codex")).unwrap();
    fs::write(user.join(".codex/config.toml"), "not toml").unwrap();
    let person = Recorded::agreeing();
    let (answer, first) =
        set_up(client.home(), &places, &request(&["claude", "codex", "gemini"]), &person, &person).await.unwrap();
    assert_eq!((answer.failed[0].name.as_str(), answer.clients.len()), ("codex", 2));
    assert!(matches!(first, Some(SetupError::Invalid { .. })), "{first:?}");
    assert_eq!(fs::read_to_string(user.join(".codex/config.toml")).unwrap(), "not toml");
    assert!(user.join(".claude.json").exists());
}

/// Sets up a client, or takes it out, or does so with the hooks. Returns whether that worked.
async fn did(client: &ClientSession, what: &str, undo: bool) -> bool {
    let (places, person) = (places(client).0, Recorded::agreeing());
    if what == "hooks" {
        let hooks = Hooks::new(client.home().clone(), places, "aiw".into());
        return change_hooks(client.home(), &hooks, &HookScope::User, undo, false, &person, &person).await.is_ok();
    }
    let request = SetupRequest { undo, ..request(&[what]) };
    set_up(client.home(), &places, &request, &person, &person).await.is_ok_and(|(_, first)| first.is_none())
}

#[tokio::test]
async fn a_file_that_can_t_be_written_leaves_all_others_as_they_were() {
    let everything = |client: &ClientSession| (state(client.home()), state_of(&client.cwd().join("user")));
    for what in ["claude", "codex", "gemini", "hooks"] {
        for undo in [false, true] {
            let world = async || {
                let (place, client) = client();
                places(&client);
                assert!(!undo || did(&client, what, false).await);
                (place, client)
            };
            // What it writes where nothing is in its way.
            let (_place, client) = world().await;
            let before = everything(&client);
            assert!(did(&client, what, undo).await, "{what} {undo}");
            let after = everything(&client);
            let changed = |before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>| {
                let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
                let names = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
                names.map(|name| Path::new(name).strip_prefix(client.cwd()).unwrap().to_owned()).collect::<Vec<_>>()
            };
            let written = [changed(&before.0, &after.0), changed(&before.1, &after.1)].concat();
            assert!(written.len() > usize::from(!undo), "{what} {undo}: {written:?}");
            for path in written {
                let (_place, client) = world().await;
                in_the_way(&client.cwd().join(&path));
                let before = everything(&client);
                let worked = did(&client, what, undo).await;
                assert_eq!((worked, everything(&client)), (false, before), "{what} {undo} without {}", path.display());
            }
        }
    }
}

#[tokio::test]
async fn hooks_are_written_once_they_are_agreed_to_and_at_once_where_nobody_can_be_asked() {
    let (_place, client) = client();
    let (places, user) = places(&client);
    let (home, scope) = (client.home(), HookScope::User);
    let hooks = Hooks::new(home.clone(), places, "aiw".into());
    let settings = user.join(".claude/settings.json");
    let before = state(home);
    let person = Recorded::new(0, Does::Declines);
    let declined = change_hooks(home, &hooks, &scope, false, false, &person, &person).await.map(|_| ());
    assert!(matches!(declined, Err(AppError::Prompt(PromptError::Declined))), "{declined:?}");
    assert!(change_hooks(home, &hooks, &scope, false, true, &person, &person).await.unwrap().settings.changed);
    assert_eq!((person.questions().len(), settings.exists(), state(home)), (1, false, before));
    assert!(change_hooks(home, &hooks, &scope, false, false, &NonInteractive, &person).await.unwrap().settings.changed);
    assert!(hooks.status(&scope).installed);
    let again = Recorded::agreeing();
    assert!(!change_hooks(home, &hooks, &scope, false, false, &again, &again).await.unwrap().settings.changed);
    assert!(again.questions().is_empty() && again.heard()[0].contains("already"), "{:?}", again.heard());
    assert!(change_hooks(home, &hooks, &scope, true, false, &again, &again).await.unwrap().settings.changed);
    assert!(again.questions() == ["Write these changes?"] && !hooks.status(&scope).installed);
}

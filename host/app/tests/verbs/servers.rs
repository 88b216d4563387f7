//! Servers that are declared: nothing is started but what can't be found.

use std::fs;

use aiw_app::servers::approve::{approve, approve_new_definitions};
use aiw_app::servers::edit::{AddRequest, add, remove, rename, switch};
use aiw_app::servers::look::{list, show};
use aiw_app::servers::{ServerError, login, profiles};
use aiw_app::{AppError, ClientSession};
use aiw_core::{Choice, Diagnostic, ErrorKind, Plan, PluginId, PromptError, Prompter, Question, Secret};
use aiw_home::{Home, ListSettings, ProfileSettings, ServerKey};
use aiw_routing::{PoolError, Records, ServerRecord, ToolDefinition};
use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};

use crate::person::{Does, Recorded};
use crate::{client, state};

fn request(name: &str, entry: Value) -> AddRequest {
    let entry = entry.as_object().unwrap().clone();
    AddRequest { name: name.into(), entry, unchecked: true, ..AddRequest::default() }
}

async fn adds(client: &ClientSession, name: &str, entry: Value) -> Result<Value, ServerError> {
    let person = Recorded::agreeing();
    let added = add(client, request(name, entry), &person, &person).await;
    assert!(person.questions().is_empty(), "{:?}", person.questions());
    added.map(|(added, problem)| {
        assert!(problem.is_none(), "{problem:?}");
        value(added)
    })
}

fn value(answer: impl Serialize) -> Value {
    serde_json::to_value(answer).unwrap()
}

fn declared(home: &Home) -> Value {
    serde_json::from_slice::<Value>(&fs::read(home.mcp_path()).unwrap()).unwrap()["mcpServers"].take()
}

#[tokio::test]
async fn what_is_added_is_written_with_its_keys_in_the_vault_and_relative_to_where_it_was_typed() {
    let (place, client) = client();
    let here = fs::canonicalize(place.path()).unwrap();
    let entry = json!({"command": "bin/serve", "env": {"API_KEY": "sk-canary-0123456789abcdef"}});
    let answer = adds(&client, "one", entry.clone()).await.unwrap();
    let secrets = answer["server"]["secrets"].as_array().unwrap();
    assert_eq!(answer, json!({"server": {"name": "one", "new": true, "secrets": secrets}}));
    let name = secrets[0].as_str().unwrap();
    assert_eq!(client.home().vault().get(&name.parse().unwrap()).unwrap().expose(), "sk-canary-0123456789abcdef");
    let written = declared(client.home());
    assert_eq!(written["one"]["command"], here.join("bin/serve").to_str().unwrap());
    assert!(!written.to_string().contains("canary"), "{written}");
    // Another one of its name needs to be told so, and a key may be left where it is.
    let before = state(client.home());
    let taken = adds(&client, "one", json!({"command": "x"})).await.unwrap_err();
    assert!(taken.hint().unwrap().contains("--force"), "{taken}");
    assert_eq!(state(client.home()), before);
    let person = Recorded::agreeing();
    let request = AddRequest { plain: true, force: true, ..request("one", entry) };
    assert_eq!(value(add(&client, request, &person, &person).await.unwrap().0)["server"]["new"], false);
    assert!(declared(client.home()).to_string().contains("canary"));
    let heard = person.heard();
    assert!(heard[0].contains("Replaced `one`") && heard[1].contains("stays in mcp.json in clear"), "{heard:?}");
    assert!(heard[2].contains(&format!("nothing uses the secret `{name}` any more")), "{heard:?}");
}

#[tokio::test]
async fn what_can_not_be_added_leaves_the_home_as_it_was() {
    let (_place, client) = client();
    let before = state(client.home());
    for (name, entry, kind, says) in [
        ("a b", json!({"command": "x"}), ErrorKind::Usage, "can't be the name of a server"),
        ("planned", json!({"command": "x"}), ErrorKind::Usage, "it is aiw's own"),
        ("a", json!({"args": []}), ErrorKind::User, "the server `a` has"),
        ("a", json!({"url": "ftp://h/"}), ErrorKind::User, "can't be reached like this"),
        ("a", json!({"url": "https://h/", "headers": {"a b": "x"}}), ErrorKind::User, "not the name of a header"),
    ] {
        let error = adds(&client, name, entry).await.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
        assert_eq!(state(client.home()), before);
    }
    // A home that can't be written: where its vault should be is a file, for root too.
    fs::remove_dir_all(client.home().root().join("vault")).unwrap();
    fs::write(client.home().root().join("vault"), "").unwrap();
    let entry = json!({"command": "x", "env": {"API_KEY": "sk-canary-0123456789abcdef"}});
    adds(&client, "a", entry).await.unwrap_err();
    assert!(!client.home().mcp_path().exists());
}

#[tokio::test]
async fn servers_are_removed_together_or_not_at_all_and_their_secrets_after_a_yes() {
    let (_place, client) = client();
    let home = client.home();
    for name in ["one", "two"] {
        adds(&client, name, json!({"command": "x", "env": {"API_KEY": "${secret:OTHER}"}})).await.unwrap();
    }
    let names = ["one".to_owned(), "two".to_owned()];
    let owner: PluginId = "p@m".parse().unwrap();
    let mut plugins = home.plugins().unwrap();
    plugins.set_key("two", &ServerKey { owners: vec![owner.clone()], ..ServerKey::default() }).unwrap();
    plugins.save(&home.lock().unwrap()).unwrap();
    let before = state(home);
    let person = Recorded::agreeing();
    let refused = remove(&client, &names, &person, &person).await.unwrap_err();
    assert!(matches!(&refused, ServerError::DeclaredByPlugin { plugin, .. } if *plugin == owner), "{refused}");
    let refused = remove(&client, &["on".to_owned()], &person, &person).await.unwrap_err();
    assert_eq!(refused.hint().unwrap(), "did you mean `one`?");
    assert_eq!(state(home), before);
    plugins.set_key("two", &ServerKey::default()).unwrap();
    plugins.save(&home.lock().unwrap()).unwrap();
    // Whatever the answer about the secret: the servers are gone, and it stays unless they agree.
    let before = state(home);
    for (does, is_kept) in [(Does::Declines, true), (Does::Absent, true), (Does::Waits, true), (Does::Agrees, false)] {
        let person = Recorded::new(0, does);
        tokio::select! {
            biased;
            removed = remove(&client, &names, &person, &person) => {
                assert_eq!(value(removed.unwrap()), json!({"removed": names}));
            }
            () = async { while person.questions().is_empty() { tokio::task::yield_now().await; } } => {}
        }
        assert_eq!(person.questions(), ["Nothing uses `OTHER` any more. Remove from the vault?"]);
        assert_eq!((declared(home), home.vault().has(&"OTHER".parse().unwrap())), (json!({}), is_kept));
        for (path, bytes) in &before {
            fs::write(path, bytes).unwrap();
        }
    }
}

#[tokio::test]
async fn a_renamed_server_keeps_its_place_in_the_settings_and_what_is_known_of_it() {
    let (_place, client) = client();
    let home = client.home();
    for name in ["one", "two"] {
        adds(&client, name, json!({"url": "https://h.example/"})).await.unwrap();
    }
    let person = Recorded::agreeing();
    let before = state(home);
    for (name, new, says) in [
        ("none", "x", "there is no MCP server `none`"),
        ("one", "two", "is the name of a server already"),
        ("one", "a b", "can't be the name of a server"),
    ] {
        let error = rename(&client, name, new, &person).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
    let unknown = switch(&client, &["one".to_owned(), "none".to_owned()], false, &person).unwrap_err();
    assert!(matches!(unknown, ServerError::Pool(PoolError::ServerNotFound { .. })), "{unknown}");
    assert_eq!((state(home), person.heard().len()), (before, 0));
    let off = switch(&client, &["one".to_owned()], false, &person).unwrap();
    assert_eq!(value(off), json!({"servers": ["one"], "enabled": false}));
    suspicious(home, "one", "As it is now");
    profiles::add(&client, "few", denies("ONE/x"), &person).unwrap();
    let renamed = rename(&client, "one", "first", &person).unwrap();
    assert_eq!(value(renamed), json!({"renamed": {"from": "one", "to": "first"}}));
    let heard = person.heard();
    assert!(heard[3].contains("the profile `few` still names `one`"), "{heard:?}");
    assert!(heard[4].contains("log in again: `aiw mcp login first`"), "{heard:?}");
    let shown = show(&client, "first", &person).unwrap();
    assert_eq!((shown.enabled, shown.tools, Records::new(home.clone()).load("one")), (false, Some(0), None));
}

/// A server whose one tool waits for the user.
fn suspicious(home: &Home, name: &str, description: &str) -> ServerRecord {
    let tool = json!({"name": "helper", "description": description, "inputSchema": {"type": "object"}});
    let tool = ToolDefinition::new(&tool);
    Records::new(home.clone()).update(name, |record| record.tools = vec![tool]).unwrap()
}

#[tokio::test]
async fn definitions_are_shown_whole_and_accepted_only_by_a_yes() {
    let (_place, client) = client();
    let home = client.home();
    adds(&client, "one", json!({"command": "x"})).await.unwrap();
    // One that is off is not started.
    switch(&client, &["one".to_owned()], false, &Recorded::agreeing()).unwrap();
    client.pool().reload().await;
    suspicious(home, "one", "As it is now");
    let before = state(home);
    for does in [Does::Declines, Does::Absent] {
        let person = Recorded::new(0, does);
        let refused = approve(&client, "one", false, &person, &person).await.unwrap_err();
        let asked =
            matches!(refused, ServerError::App(AppError::Prompt(PromptError::Declined | PromptError::Unsupported)));
        assert!(asked && state(home) == before, "{refused}");
        // What was added is only noted then.
        let person = Recorded::new(0, does);
        approve_new_definitions(&client, "one", &person, &person).await.unwrap();
        assert!(person.heard()[0].contains("aiw withholds this definition"), "{:?}", person.heard());
        assert_eq!(state(home), before);
    }
    let person = Recorded::new(0, Does::Waits);
    tokio::select! {
        biased;
        _ = approve(&client, "one", false, &person, &person) => panic!("it waits"),
        () = async { while person.questions().is_empty() { tokio::task::yield_now().await; } } => {}
    }
    assert_eq!(state(home), before);
    let person = Recorded::agreeing();
    let approval = value(approve(&client, "one", false, &person, &person).await.unwrap());
    assert_eq!((&approval["server"], &approval["approved"][0]["name"]), (&json!("one"), &json!("helper")));
    let about = person.plans.lock().unwrap()[0].details.clone();
    assert!(about.contains(&"  + As it is now".to_owned()), "{about:?}");
    assert!(person.heard().last().unwrap().contains("Accepted 1 definition of `one`"), "{:?}", person.heard());
    let again = Recorded::agreeing();
    let approval = value(approve(&client, "one", false, &again, &again).await.unwrap());
    assert_eq!((approval, again.questions().len()), (json!({"server": "one", "approved": []}), 0));
    let unknown = approve(&client, "none", false, &again, &again).await.unwrap_err();
    assert!(matches!(unknown, ServerError::Pool(PoolError::ServerNotFound { .. })), "{unknown}");
}

/// Agrees to all, but not before the server has changed its tool.
struct Slow<'a>(&'a Home);

#[async_trait]
impl Prompter for Slow<'_> {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, _: &Plan, _: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        suspicious(self.0, "one", "Another text");
        Ok(Vec::new())
    }

    async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
        Err(PromptError::Unsupported)
    }
}

#[tokio::test]
async fn definitions_that_change_while_they_are_shown_are_not_accepted() {
    let (_place, client) = client();
    suspicious(client.home(), "one", "As it is now");
    let refused =
        approve_new_definitions(&client, "one", &Slow(client.home()), &Recorded::agreeing()).await.unwrap_err();
    assert!(matches!(refused, ServerError::DefinitionsChanged { .. }), "{refused}");
    assert_eq!(Records::new(client.home().clone()).load("one").unwrap().blocked_tools().count(), 1);
}

#[tokio::test]
async fn what_is_declared_is_listed_and_shown_without_its_keys() {
    let (_place, client) = client();
    let person = Recorded::agreeing();
    adds(&client, "good", json!({"command": "serve", "args": ["--all"]})).await.unwrap();
    let mut file = declared(client.home());
    file["bad"] = json!({"type": "sse", "url": "https://h.example/sse"});
    file["good"]["env"] = json!({"X": "other"});
    fs::write(client.home().mcp_path(), json!({"mcpServers": file}).to_string()).unwrap();
    let listed = value(list(&client, &person).unwrap());
    let entry = json!({"name": "good", "scope": "aiw", "transport": "stdio", "target": "serve --all", "enabled": true,
        "state": "enabled", "unapproved": 0,
        "listed": null, "listing": null, "plugin": null, "tools": null, "error": null});
    assert_eq!((&listed["servers"][0], &listed["problems"]), (&entry, &json!([])));
    assert!(listed["servers"][1]["error"].as_str().unwrap().contains("SSE"), "{listed}");
    let shown = value(show(&client, "good", &person).unwrap());
    let file = client.home().mcp_path();
    let declaration = &shown["declaration"];
    assert_eq!(declaration["command"], "serve");
    assert_eq!(
        shown,
        json!({"name": "good", "scope": "aiw", "file": file, "enabled": true, "declaration": declaration, "error": null,
            "tools": null, "instructions": null})
    );
    let unknown = show(&client, "god", &person).err().unwrap();
    assert_eq!(unknown.hint().unwrap(), "did you mean `good`?");
    let request = login::LoginRequest { server: "good".into(), ..login::LoginRequest::default() };
    let refused = login::login(&client, request, &person, &person).await.err().unwrap();
    assert!(refused.to_string().contains("nothing to log in to") && person.questions().is_empty(), "{refused}");
}

fn denies(pattern: &str) -> ProfileSettings {
    ProfileSettings { deny: vec![pattern.into()], ..ProfileSettings::default() }
}

#[test]
fn a_profile_is_defined_changed_and_removed() {
    let (_place, client) = client();
    let (home, cwd, person) = (client.home(), client.cwd(), Recorded::agreeing());
    let few = |more: ProfileSettings| ProfileSettings { allow: Some(vec!["a/*".into()]), ..more };
    profiles::add(&client, "few", few(denies("a/x")), &person).unwrap();
    let list = ListSettings { never: Some(vec!["a".into()]), tokens: Some(3000), ..ListSettings::default() };
    let more = ProfileSettings { list: list.clone(), ..few(denies("a/y")) };
    profiles::edit(&client, "few", more, &["a/x".to_owned()], &person).unwrap();
    let known = profiles::find(home, cwd, "few", ErrorKind::User).unwrap();
    assert_eq!(known.settings, ProfileSettings { list, ..few(denies("a/y")) });
    assert!(known.profile().allows("a", "b", false) && !known.profile().allows("a", "y", false));
    let before = state(home);
    let unchanged = ProfileSettings::default();
    for (error, kind, says) in [
        (profiles::add(&client, "few", denies("x"), &person), ErrorKind::User, "is the name of a profile already"),
        (profiles::add(&client, "-x", denies("x"), &person), ErrorKind::Usage, "can't be the name of a profile"),
        (profiles::add(&client, "x", unchanged.clone(), &person), ErrorKind::Usage, "would allow everything"),
        (profiles::add(&client, "x", denies(" "), &person), ErrorKind::Usage, "is not a pattern"),
        (profiles::edit(&client, "few", unchanged.clone(), &[], &person), ErrorKind::Usage, "say what changes"),
        (profiles::edit(&client, "fow", denies("x"), &[], &person), ErrorKind::User, "there is no profile `fow`"),
        (
            profiles::edit(&client, "few", unchanged, &["a/x".to_owned()], &person),
            ErrorKind::User,
            "`a/x` is not a pattern of the profile",
        ),
        (
            profiles::remove(&client, &["few".to_owned(), "x".to_owned()], &person).map(drop),
            ErrorKind::User,
            "there is no profile `x`",
        ),
    ] {
        let error = error.unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(says), "{error}");
    }
    assert_eq!(state(home), before);
    let idle = profiles::unmatched_denials(home, cwd, &[known], Vec::new()).unwrap();
    assert_eq!(idle, ["the profile `few` denies `a/y`, which no known tool matches"]);
    let removed = profiles::remove(&client, &["few".to_owned()], &person).unwrap();
    assert_eq!(value(removed), json!({"removed": ["few"]}));
    // A session whose profile is gone would be without limits.
    let gone = profiles::resolve_profile(home, cwd, Some("few")).unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::Config);
    assert!(!profiles::profile_source(home.clone(), cwd.to_owned(), Some("few".into()))().allows("a", "b", true));
}

#[tokio::test]
async fn a_projects_profile_and_server_are_changed_in_its_own_files() {
    let (_place, client) = client();
    let (home, cwd, person) = (client.home(), client.cwd(), Recorded::agreeing());
    let servers = json!({"mcpServers": {"theirs": {"command": "x"}}});
    fs::write(cwd.join(".mcp.json"), servers.to_string()).unwrap();
    let profile = json!({"mcp": {"profiles": {"few": {"allow": ["theirs/a"]}}}});
    fs::write(cwd.join(".aiw.json"), profile.to_string()).unwrap();
    aiw_app::trust::add(home, cwd.to_owned(), &person, &person).await.unwrap();
    let refused = remove(&client, &["theirs".to_owned()], &person, &person).await.unwrap_err();
    assert!(matches!(refused, ServerError::DeclaredByProject { .. }), "{refused}");
    assert!(refused.hint().unwrap().contains("aiw mcp disable theirs"));
    let refused = profiles::edit(&client, "few", denies("x"), &[], &person).unwrap_err();
    assert!(matches!(refused, ServerError::ProfileDeclaredByProject { .. }), "{refused}");
    // The user's own comes before it.
    profiles::add(&client, "few", denies("theirs/b"), &person).unwrap();
    let known = profiles::find(home, cwd, "few", ErrorKind::User).unwrap();
    assert_eq!((known.scope, known.settings), ("settings", denies("theirs/b")));
    // A project's may not widen a session that runs; the user's may.
    profiles::remove(&client, &["few".to_owned()], &person).unwrap();
    let followed = profiles::profile_source(home.clone(), cwd.to_owned(), Some("few".into()));
    fs::write(cwd.join(".aiw.json"), json!({"mcp": {"profiles": {"few": {}}}}).to_string()).unwrap();
    assert!(followed().allows("theirs", "a", false) && !followed().allows("theirs", "b", false));
}

//! Plugins of a marketplace on this machine: no binary, no terminal, no component, no network.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_app::plugins::{PluginRequest, add_market, install, remove, switch, update};
use aiw_core::{Diagnostic, Effect, ErrorKind, NonInteractive, Plan, PromptError, ReportEvent};
use aiw_home::Home;
use aiw_markets::{AddOptions, MarketDocument, MarketError, MarketListing, Markets, OnConflict};
use aiw_routing::{Records, ToolDefinition};
use aiw_tests::commit_all;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::person::{Does, Recorded};
use crate::{client, in_the_way, state};

/// A home with the marketplace `m`, whose plugin `alpha` has one server, in a git repository.
struct World {
    _place: TempDir,
    client: Arc<ClientSession>,
    markets: Markets,
    plugin: PathBuf,
}

impl World {
    async fn new() -> Self {
        let (place, client) = client();
        let (home, root) = (client.home(), client.cwd().join("m"));
        let plugin = root.join("alpha");
        let settings = json!({"extraKnownMarketplaces": {"m": {"source": {"source": "directory", "path": root}}}});
        fs::write(home.settings_path(), settings.to_string()).unwrap();
        let source = json!({"source": "url", "url": format!("file://{}", plugin.display())});
        let document = json!({"name": "m", "owner": {"name": "T"}, "plugins": [{"name": "alpha", "source": source}]});
        let document = MarketDocument::parse(document.to_string().as_bytes(), &[]).unwrap();
        let settings = home.settings().unwrap();
        let market = settings.market("m").unwrap();
        MarketListing::new(market, document, "r1".into()).save(home, &market.name, &home.lock().unwrap()).unwrap();
        let markets = client.markets().unwrap();
        let world = Self { _place: place, client, markets, plugin };
        world.publish("1.0.0", &json!({"alpha": {"command": "serve", "args": ["${ALPHA_REGION}"]}}));
        // The listing keeps what was seen.
        world.markets.plan("alpha").await.unwrap();
        world
    }

    fn publish(&self, version: &str, servers: &Value) {
        let write = |path: &str, value: Value| {
            let path = self.plugin.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, value.to_string()).unwrap();
        };
        write(".claude-plugin/plugin.json", json!({"name": "alpha", "version": version}));
        write(".mcp.json", json!({ "mcpServers": servers }));
        commit_all(&self.plugin);
    }

    fn home(&self) -> &Home {
        self.client.home()
    }

    fn declared(&self) -> Value {
        serde_json::from_slice::<Value>(&fs::read(self.home().mcp_path()).unwrap_or_default()).unwrap_or_default()
            ["mcpServers"]
            .take()
    }

    async fn installs(&self, person: &Recorded) -> Option<MarketError> {
        install(&self.markets, &request(&["alpha"]), person, person).await.unwrap().1
    }
}

fn request(names: &[&str]) -> PluginRequest {
    PluginRequest { names: names.iter().map(|name| (*name).to_owned()).collect(), ..PluginRequest::default() }
}

const QUESTION: &str = "Install alpha@m?";

#[tokio::test]
async fn what_is_agreed_to_is_installed_with_the_values_that_were_given() {
    let world = World::new().await;
    let person = Recorded::agreeing();
    assert!(world.installs(&person).await.is_none());
    assert_eq!(person.questions(), [QUESTION]);
    let plan = person.plans.lock().unwrap()[0].clone();
    assert!(plan.effects.contains(&Effect::Runs("serve ${ALPHA_REGION}".into())), "{plan:?}");
    assert!(plan.details[0].starts_with("alpha@m 1.0.0 from file://"), "{plan:?}");
    // The yes holds for all files, of which the plan shows some.
    let mut held = Plan::new("");
    held.add_hidden_bytes(world.markets.plan("alpha").await.unwrap().digest.as_bytes());
    assert_eq!(plan.hidden_digests, held.hidden_digests);
    assert!(person.told.lock().unwrap().contains(&ReportEvent::Done("Installed alpha@m 1.0.0: alpha".into())));
    assert_eq!(world.declared()["alpha"]["args"], json!(["${ALPHA_REGION:-given}"]));
    // Once more: nothing is to be asked.
    let again = Recorded::agreeing();
    assert!(world.installs(&again).await.is_none() && again.questions().is_empty());
    assert_eq!(again.heard(), [r#"Done("Already installed: alpha@m 1.0.0: alpha")"#]);
}

#[tokio::test]
async fn nothing_is_written_whatever_question_is_declined_or_never_answered() {
    let world = World::new().await;
    // The second question: the server's name is taken.
    fs::write(world.home().mcp_path(), r#"{"mcpServers": {"alpha": {"command": "mine"}}}"#).unwrap();
    let before = state(world.home());
    for at in 0..2 {
        let person = Recorded { answer: "rename", ..Recorded::new(at, Does::Declines) };
        let declined = world.installs(&person).await;
        assert!(matches!(declined, Some(MarketError::Prompt(PromptError::Declined))), "{declined:?}");
        assert_eq!((person.questions().len(), state(world.home())), (at + 1, before.clone()));
        let person = Recorded { answer: "rename", ..Recorded::new(at, Does::Waits) };
        tokio::select! {
            biased;
            ended = world.installs(&person) => panic!("it waits: {ended:?}"),
            () = async { while person.questions().len() <= at { tokio::task::yield_now().await; } } => {}
        }
        assert_eq!(state(world.home()), before);
    }
    // What is no answer stops it, too.
    let person = Recorded { answer: "what?", ..Recorded::agreeing() };
    assert!(matches!(world.installs(&person).await, Some(MarketError::Prompt(PromptError::Declined))));
    assert_eq!(state(world.home()), before);
    let person = Recorded { answer: "rename", ..Recorded::agreeing() };
    assert!(world.installs(&person).await.is_none());
    assert!(person.questions()[1].starts_with("The server name `alpha` is taken by "), "{:?}", person.questions());
    assert_eq!(
        (&world.declared()["alpha"]["command"], &world.declared()["alpha-alpha"]["command"]),
        (&json!("mine"), &json!("serve"))
    );
}

#[tokio::test]
async fn a_home_that_can_t_be_written_keeps_what_it_had() {
    let world = World::new().await;
    for (path, verb) in
        [("mcp.json", "install"), ("plugins.json", "install"), ("mcp.json", "remove"), ("mcp.json", "switch")]
    {
        let world = World::new().await;
        if verb != "install" {
            assert!(world.installs(&Recorded::agreeing()).await.is_none());
        }
        in_the_way(&world.home().root().join(path));
        let before = state(world.home());
        let failed = match verb {
            "install" => world.installs(&Recorded::agreeing()).await,
            "remove" => remove(&world.markets, &["alpha".into()], &NonInteractive).await.unwrap().1,
            _ => switch(&world.markets, &request(&["alpha"]), false, &NonInteractive).await.unwrap().1,
        };
        assert!(failed.is_some(), "{verb} without {path}");
        assert_eq!(state(world.home()), before, "{verb} without {path}");
    }
    drop(world);
}

#[tokio::test]
async fn one_that_cannot_be_installed_stops_no_other() {
    let world = World::new().await;
    let person = Recorded::agreeing();
    let (answer, first) =
        install(&world.markets, &request(&["nope", "alpha", "m@nope"]), &person, &person).await.unwrap();
    assert_eq!((answer.installed.len(), answer.failed.len()), (1, 2));
    assert!(matches!(first, Some(MarketError::UnknownPlugin { .. })), "{first:?}");
    let told = person.heard();
    assert!(told.iter().any(|line| line.starts_with("Failed(\"m@nope: ")), "{told:?}");
    assert!(!told.iter().any(|line| line.contains("nope: there is no plugin `nope`")), "the first ends it: {told:?}");
}

#[tokio::test]
async fn a_fetch_that_fails_is_why_nothing_is_installed() {
    let world = World::new().await;
    let settings = json!({"extraKnownMarketplaces": {"n": {"source": {"source": "directory", "path": world.plugin}}}});
    fs::write(world.home().settings_path(), settings.to_string()).unwrap();
    let person = Recorded { answer: "y", ..Recorded::agreeing() };
    let (_, first) = install(&world.markets, &request(&["nope"]), &person, &person).await.unwrap();
    assert_eq!(person.questions(), ["The marketplace `n` was never fetched. Fetch it now?"]);
    // It would be the user's mistake, with another exit code.
    assert!(!matches!(first, None | Some(MarketError::UnknownPlugin { .. })), "{first:?}");
}

#[tokio::test]
async fn a_secret_is_told_and_kept_nowhere_but_in_the_vault() {
    let world = World::new().await;
    let reads = json!({"A": "${ALPHA_TOKEN}", "B": "${DATABASE_URL}", "C": "${HEADER}"});
    world.publish("1.0.0", &json!({"alpha": {"command": "serve", "env": reads}}));
    for (name, value, secret) in [
        ("ALPHA_TOKEN", "plain-heron", "plain-heron"),
        ("DATABASE_URL", "postgres://u:hunter2@h/d", "hunter2"),
        ("HEADER", "Bearer ghp_aaaaaaaa", "ghp_aaaaaaaa"),
        ("HEADER", "https://h.example/?api_key=SEKRIT", "SEKRIT"),
        // A name that no server reads.
        ("TKN", "hunter3", "hunter3"),
    ] {
        let request = PluginRequest { set: vec![(name.to_owned(), value.to_owned())], ..request(&["alpha"]) };
        let person = Recorded { answer: "", ..Recorded::agreeing() };
        let (answer, first) = install(&world.markets, &request, &person, &person).await.unwrap();
        let is_missing = answer.installed[0].missing_env.contains(&"ALPHA_TOKEN".to_owned());
        assert!(first.is_none() && is_missing == (name != "ALPHA_TOKEN"), "{name}");
        let told = person.heard().concat();
        assert!(!told.contains(secret) && !format!("{answer:?}").contains(secret), "{name}: {told}");
        let kept = state(world.home()).into_iter().find(|(_, file)| String::from_utf8_lossy(file).contains(secret));
        assert!(kept.is_none(), "{name}: {:?}", kept.map(|(path, _)| path));
        remove(&world.markets, &["alpha".into()], &NonInteractive).await.unwrap();
    }
}

#[tokio::test]
async fn an_update_that_changes_what_runs_is_agreed_to() {
    let all = PluginRequest::default();
    for (what, servers) in [
        ("the command", json!({"alpha": {"command": "other", "args": ["${ALPHA_REGION}"]}})),
        ("an argument", json!({"alpha": {"command": "serve", "args": ["${ALPHA_REGION}", "x"]}})),
        ("a variable", json!({"alpha": {"command": "serve", "args": ["${OTHER_REGION}"]}})),
        ("an address", json!({"alpha": {"type": "http", "url": "https://h"}})),
        (
            "a new server",
            json!({"alpha": {"command": "serve", "args": ["${ALPHA_REGION}"]}, "beta": {"command": "beta"}}),
        ),
    ] {
        let world = World::new().await;
        assert!(world.installs(&Recorded::agreeing()).await.is_none());
        let updates = async |person: &Recorded, accepts| {
            update(&world.markets, &all, false, accepts, person, person).await.unwrap()
        };
        let person = Recorded::agreeing();
        assert_eq!(updates(&person, false).await.0.unchanged, ["alpha@m"]);
        assert!(person.questions().is_empty(), "it is up to date");
        world.publish("2.0.0", &servers);
        let before = state(world.home());
        let waits = Recorded::new(0, Does::Waits);
        tokio::select! {
            biased;
            _ = updates(&waits, false) => panic!("it waits"),
            () = async { while waits.questions().is_empty() { tokio::task::yield_now().await; } } => {}
        }
        assert_eq!(state(world.home()), before, "{what}");
        let declined = Recorded::new(0, Does::Declines);
        let (_, first) = updates(&declined, false).await;
        assert!(matches!(first, Some(MarketError::Prompt(PromptError::Declined))), "{what}: {first:?}");
        assert_eq!(declined.questions(), ["Accept the changes of alpha@m?"]);
        let shown = declined.plans.lock().unwrap()[0].details.concat();
        assert!(shown.starts_with("the update of `alpha@m` changes its servers: "), "{what}: {shown}");
        let nobody =
            update(&world.markets, &all, false, false, &NonInteractive, &NonInteractive).await.unwrap().1.unwrap();
        assert_eq!((nobody.to_string(), nobody.kind()), (shown, ErrorKind::User));
        assert!(nobody.hint().unwrap().contains("aiw plugin update alpha@m --accept-changes"), "{what}");
        assert_eq!(state(world.home()), before, "{what}");
        // Those that agree beforehand are not asked.
        let (answer, first) = updates(&declined, true).await;
        assert!(first.is_none() && declined.questions().len() == 1, "{what}: {first:?}");
        let updated = &answer.updated[0];
        assert_eq!((updated.from.as_str(), updated.plugin.version.as_str()), ("1.0.0", "2.0.0"));
        assert_eq!(world.declared().as_object().unwrap().len(), servers.as_object().unwrap().len(), "{what}");
    }
}

/// The content of mcp.json after an install, an update and a removal, where the user had a server `alpha`.
#[tokio::test]
async fn an_update_keeps_what_was_decided_and_a_removal_undoes_it() {
    for (chosen, said, after) in [
        (OnConflict::Overwrite, "an entry of your own, which is replaced", json!({"alpha": "serve", "beta": "beta"})),
        (OnConflict::Skip, "an entry of your own: the plugin's is left out", json!({"alpha": "mine", "beta": "beta"})),
        (
            OnConflict::Rename,
            "an entry of your own: the plugin's gets another",
            json!({"alpha": "mine", "alpha-alpha": "serve", "beta": "beta"}),
        ),
    ] {
        let world = World::new().await;
        let servers = json!({"alpha": {"command": "serve"}, "beta": {"command": "beta"}, "gone": {"command": "x"}});
        world.publish("1.0.0", &servers);
        fs::write(world.home().mcp_path(), r#"{"mcpServers": {"alpha": {"command": "mine"}}}"#).unwrap();
        let nobody = install(&world.markets, &request(&["alpha"]), &Yes, &NonInteractive).await.unwrap().1;
        assert!(matches!(nobody, Some(MarketError::KeyConflict { .. })), "{nobody:?}");
        let chosen = PluginRequest { on_conflict: Some(chosen), ..request(&["alpha"]) };
        let person = Recorded::agreeing();
        assert!(install(&world.markets, &chosen, &person, &person).await.unwrap().1.is_none());
        assert_eq!(person.questions(), [QUESTION]);
        assert!(person.plans.lock().unwrap()[0].details.iter().any(|line| line.ends_with(said)), "{said}");
        world.publish("2.0.0", &json!({"alpha": {"command": "serve"}, "beta": {"command": "beta"}}));
        let all = PluginRequest::default();
        assert!(update(&world.markets, &all, false, true, &person, &person).await.unwrap().1.is_none());
        let commands = || -> Value {
            let declared = world.declared();
            declared.as_object().unwrap().iter().map(|(key, entry)| (key.clone(), entry["command"].clone())).collect()
        };
        assert_eq!(commands(), after, "{chosen:?}");
        remove(&world.markets, &["alpha".into()], &NonInteractive).await.unwrap();
        assert_eq!(commands(), json!({"alpha": "mine"}), "{chosen:?}");
    }
}

#[tokio::test]
async fn an_update_keeps_the_answers_of_the_install_and_a_disabled_plugin_disabled() {
    let world = World::new().await;
    let set = vec![("ALPHA_REGION".to_owned(), "${REGION}".to_owned())];
    let given = PluginRequest { set, ..request(&["alpha"]) };
    assert!(install(&world.markets, &given, &Yes, &NonInteractive).await.unwrap().1.is_none());
    let declared = || world.declared()["alpha"]["args"].take();
    assert_eq!(declared(), json!(["${REGION}"]));
    switch(&world.markets, &request(&["alpha"]), false, &NonInteractive).await.unwrap();
    world.publish("2.0.0", &json!({"alpha": {"command": "serve", "args": ["${ALPHA_REGION}"]}}));
    let person = Recorded::agreeing();
    let all = PluginRequest::default();
    let (answer, first) = update(&world.markets, &all, false, false, &person, &person).await.unwrap();
    assert!(first.is_none() && answer.updated.len() == 1 && person.questions().is_empty());
    assert_eq!(world.declared(), json!({}));
    switch(&world.markets, &request(&["alpha"]), true, &NonInteractive).await.unwrap();
    assert_eq!(declared(), json!(["${REGION}"]));
}

#[tokio::test]
async fn what_is_removed_is_forgotten_and_what_is_switched_off_comes_back() {
    let world = World::new().await;
    assert!(world.installs(&Recorded::agreeing()).await.is_none());
    let entry = world.declared();
    for (enabled, state, there) in
        [(false, "disabled", false), (false, "already disabled", false), (true, "enabled", true)]
    {
        let person = Recorded::agreeing();
        let (answer, first) = switch(&world.markets, &request(&["alpha"]), enabled, &person).await.unwrap();
        assert!(first.is_none() && answer.plugins[0].enabled == enabled);
        assert_eq!(person.heard(), [format!("Done(\"alpha@m: {state}\")")]);
        assert_eq!(world.declared() == entry, there);
    }
    let records = Records::new(world.home().clone());
    records.update("alpha", |record| record.tools = vec![ToolDefinition::new(&json!({"name": "x"}))]).unwrap();
    assert!(records.load("alpha").is_some());
    let person = Recorded::agreeing();
    let (answer, first) = remove(&world.markets, &["alpha".into(), "alpha".into()], &person).await.unwrap();
    assert_eq!((answer.removed.len(), answer.failed.len()), (1, 1));
    assert!(matches!(first, Some(MarketError::NotInstalled { .. })), "{first:?}");
    assert_eq!(person.heard()[0], r#"Done("Removed alpha@m: alpha")"#);
    assert!(records.load("alpha").is_none() && world.declared() == json!({}));
}

/// Says yes, and answers nothing else.
struct Yes;

#[async_trait::async_trait]
impl aiw_core::Prompter for Yes {
    fn can_ask(&self, _: &[aiw_core::Question]) -> bool {
        false
    }

    async fn confirm(
        &self,
        _: &Plan,
        _: &[&aiw_core::Question],
    ) -> Result<Vec<(String, aiw_core::Secret)>, PromptError> {
        Ok(Vec::new())
    }

    async fn select(&self, _: &aiw_core::Choice) -> Result<usize, PromptError> {
        Err(PromptError::Unsupported)
    }
}

#[tokio::test]
async fn a_marketplace_that_anybody_can_change_on_its_way_is_asked_about_before_it_is_reached() {
    let world = World::new().await;
    let options = AddOptions { name: None, reference: None, source: None, inspect: false, accept_confusable: false };
    let person = Recorded::new(0, Does::Declines);
    let declined = add_market(&world.markets, "http://127.0.0.1:9/m.json", options, &person).await;
    assert!(matches!(declined, Err(MarketError::Prompt(PromptError::Declined))));
    assert!(person.questions()[0].starts_with("The address is not encrypted"), "{:?}", person.questions());
}

//! A component reaches what its client may reach: the real component, over a home that the real binary made.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use aiw_app::{App, BundledScripts, ClientSession};
use aiw_core::Secret;
use aiw_home::{ExecutionContext, Home, ProfileSettings};
use aiw_launch::SearchPath;
use aiw_markets::NoopObserver;
use aiw_providers::SecretState;
use aiw_routing::Profile;
use aiw_tests::{Environment, component, not_run, python};
use serde_json::json;

/// Nothing here runs a script.
const NO_SCRIPTS: BundledScripts = BundledScripts { component: &[], code: &[], sha256: "" };

/// Asks the component for the MCP tools that it may call. It answers with an error that lists them.
async fn listed(client: &ClientSession) -> String {
    asked(client, "list").await
}

/// Puts a mode to the component, and returns what it says.
async fn asked(client: &ClientSession, mode: &str) -> String {
    let found = client.registries().unwrap().search(mode, 1, Some("knowing")).await.unwrap();
    found.sources[0].problem.clone().unwrap().trim_start_matches("`knowing`: ").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_sees_the_profile_of_the_client_that_calls_it() {
    let Some(python) = python() else { return not_run("there is no python3") };
    let env = Environment::cold();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mcp_server.py");
    let state = env.path("state");
    std::fs::create_dir_all(&state).unwrap();
    let entry = json!({"command": python, "args": [script, "--state", state]});
    env.write_mcp(&json!({"mcpServers": {"files": entry}}).to_string());
    env.run(&["mcp", "tools"]).ok();
    env.run(&["extension", "add", &component("knowing").display().to_string(), "--yes"]).ok();

    let home = Home::from_root(env.home());
    let here = home.context().in_directory(env.user());
    let app = App::open(home.with_context(here.clone()), &[], NO_SCRIPTS, Arc::new(NoopObserver));
    let client = |settings: ProfileSettings| {
        let profile = Arc::new(move || Profile::from_settings(&settings));
        ClientSession::builder(app.clone(), here.clone()).unwrap().profile(profile).build()
    };
    let whole = ClientSession::from_app(app.clone()).unwrap();
    let narrow = client(ProfileSettings { deny: vec!["files/slow".into()], ..ProfileSettings::default() });
    let closed = client(ProfileSettings { allow: Some(vec!["other".into()]), ..ProfileSettings::default() });
    // Side by side in one process, whichever comes first.
    for _ in 0..2 {
        assert_eq!(listed(&whole).await, "files/echo files/odd files/slow");
        assert_eq!(listed(&narrow).await, "files/echo files/odd");
        assert_eq!(listed(&closed).await, "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_of_one_process_share_no_variable_no_directory_no_privacy_no_profile_and_no_path() {
    let env = Environment::cold();
    let provider = ["provider", "add", "work", "--preset", "deepseek", "--token-env", "KEY"];
    env.run(&provider).ok();

    let app = App::open(Home::from_root(env.home()), &[], NO_SCRIPTS, Arc::new(NoopObserver));
    let client = |name: &str, more: &[(&str, &str)]| {
        let here = env.path(name);
        std::fs::create_dir_all(here.join("bin")).unwrap();
        std::os::unix::fs::symlink("/bin/true", here.join("bin/codex")).unwrap();
        let profile = json!({"mcp": {"profiles": {name: {"deny": ["files/slow"]}}}});
        std::fs::write(here.join(".aiw.json"), profile.to_string()).unwrap();
        let path: OsString = format!("{}:/usr/bin:/bin", here.join("bin").display()).into();
        let own = [("PATH", path), ("HOME", here.join("user").into_os_string())];
        let more = more.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let variables = own.into_iter().map(|(name, value)| (name.into(), value)).chain(more);
        let around = ExecutionContext::new(Ok(here.clone()), variables);
        (ClientSession::builder(app.clone(), around).unwrap().build(), here)
    };
    let (one, at_one) = client("one", &[("KEY", "of-one"), ("AIW_HISTORY", "off"), ("AIW_PLANNER", "ollama")]);
    let (two, at_two) = client("two", &[("KEY", "of-two")]);
    let (none, _) = client("none", &[]);
    for place in [&at_one, &at_two] {
        env.run(&["trust", "add", "--yes", &place.display().to_string()]).ok();
    }
    // Whichever comes first, and again after the other one.
    for _ in 0..2 {
        for (client, here, name) in [(&one, &at_one, "one"), (&two, &at_two, "two")] {
            let providers = client.home().providers().unwrap();
            let provider = providers.get("work").unwrap().unwrap();
            let keys = aiw_providers::secrets(client.home(), provider).unwrap();
            assert_eq!(keys.values().map(Secret::expose).collect::<Vec<_>>(), [format!("of-{name}")]);
            let found = aiw_launch::detect(&SearchPath::from_context(client.home().context()), None);
            let codex = found.into_iter().find_map(|cli| cli.path.filter(|path| path.ends_with("codex")));
            assert_eq!(codex.unwrap(), here.join("bin/codex"));
            let profiles = aiw_app::servers::profiles::profiles(client.home(), client.cwd()).unwrap();
            assert_eq!(profiles.iter().map(|known| known.name.as_str()).collect::<Vec<_>>(), [name]);
            assert_eq!(aiw_app::runs::is_private_session(client.home(), client.session()), name == "one");
            assert_eq!(aiw_app::planners::show(client.home()).unwrap().planner.is_some(), name == "one");
            let places = aiw_app::setup::client_paths(client.home()).unwrap();
            assert!(places.config.starts_with(here.join("user")));
        }
    }
    let states = |client: &Arc<ClientSession>| {
        let client = client.clone();
        async move { client.providers().unwrap().list().await.unwrap().0[0].secret }
    };
    assert_eq!((states(&one).await, states(&none).await), (SecretState::Set, SecretState::Missing));
}

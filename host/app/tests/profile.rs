//! A component reaches what its client may reach: the real component, over a home that the real binary made.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

use std::path::Path;
use std::sync::Arc;

use aiw_app::{App, BundledScripts, ClientSession};
use aiw_home::{Home, ProfileSettings};
use aiw_markets::Quiet;
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

    let app = App::open(Home::at(env.home()), &[], NO_SCRIPTS, Arc::new(Quiet));
    let client = |settings: ProfileSettings| {
        let profile = Arc::new(move || Profile::of(&settings));
        ClientSession::builder(app.clone(), env.user()).unwrap().profile(profile).build()
    };
    let whole = ClientSession::builder(app.clone(), env.user()).unwrap().build();
    let narrow = client(ProfileSettings { deny: vec!["files/slow".into()], ..ProfileSettings::default() });
    let closed = client(ProfileSettings { allow: Some(vec!["other".into()]), ..ProfileSettings::default() });
    // Side by side in one process, whichever comes first.
    for _ in 0..2 {
        assert_eq!(listed(&whole).await, "files/echo files/odd files/slow");
        assert_eq!(listed(&narrow).await, "files/echo files/odd");
        assert_eq!(listed(&closed).await, "");
    }
}

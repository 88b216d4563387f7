//! `aiw plugin update`.

use std::fs;

use serde_json::json;

use super::{install, market, whole};

#[test]
fn an_update_without_changes_of_servers_just_moves() {
    let (env, market) = market(&[("p", json!({"s": {"command": "true"}}))]);
    install(&env, "p");
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "1.1.0"}"#);
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update"])), @"
    Updated p@m: 1.0.0 → 1.1.0
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p"])), @"
    p@m is up to date
    ------- stderr -------
    ------- exit code 0 -------
    ");
    assert_eq!(fs::read_dir(env.home().join("plugins")).unwrap().count(), 1);
}

#[test]
fn an_update_says_what_changes_and_how_many_files() {
    let (env, market) = market(&[("p", json!({"s": {"command": "${CLAUDE_PLUGIN_ROOT}/run"}}))]);
    market.put("plugins/p/run", "1");
    market.put("plugins/p/lib", "1");
    install(&env, "p");
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "2.0.0"}"#);
    market.put("plugins/p/run", "2");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p"])), @"
    p@m: 2 files changed in the plugin, which a server runs from
    Updated p@m: 1.0.0 → 2.0.0
    ------- stderr -------
    ------- exit code 0 -------
    ");
    market.put("plugins/p/.claude-plugin/plugin.json", r#"{"name": "p", "version": "3.0.0"}"#);
    market.put(
        "plugins/p/.mcp.json",
        &json!({"s": {"command": "${CLAUDE_PLUGIN_ROOT}/lib"}, "t": {"type": "sse", "url": "https://h/sse"}})
            .to_string(),
    );
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p"])), @"
    p@m: 2 files changed in the plugin, which a server runs from
    ------- stderr -------
    error: the update of `p@m` changes its servers: server `s`, `command`: ${CLAUDE_PLUGIN_ROOT}/run becomes ${CLAUDE_PLUGIN_ROOT}/lib; new server t (sse) reaches: https://h/sse
    hint: `aiw plugin update p@m --accept-changes` accepts this
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "update", "p", "--accept-changes"])), @"
    p@m: 2 files changed in the plugin, which a server runs from
    Updated p@m: 2.0.0 → 3.0.0
    ------- stderr -------
    ------- exit code 0 -------
    ");
}

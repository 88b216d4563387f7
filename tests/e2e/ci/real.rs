//! The real `gh` of Debian with a file of its own, and the real AI CLIs as clients of the toolset `ci`.

use std::fs;

use aiw_tests::{not_run, real_cli};
use serde_json::{Value, json};

use super::{Host, log};
use crate::mcp_clients::{asks, line_of, tool_use};

#[test]
fn the_token_of_the_real_gh_goes_to_its_host_alone() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&path).any(|directory| directory.join("gh").is_file()) {
        return not_run("gh is absent");
    }
    let host = Host::new(log);
    let config = host.env.user().join(".config/gh");
    fs::create_dir_all(&config).unwrap();
    let hosts = "ghe.test:\n    user: me\n    oauth_token: token-of-gh\n    git_protocol: https\n";
    fs::write(config.join("hosts.yml"), hosts).unwrap();
    let listed = host.json(&["ci", "list"]);
    assert_eq!((&listed["token"], &listed["runs"][0]["id"]), (&json!("gh"), &json!(77)), "{listed:#}");
    assert_eq!(host.seen.lock().unwrap()[0].headers["authorization"], "Bearer token-of-gh");
    // With such a variable it gives out a token for any host, so it is not asked for one that its file does not have.
    host.check_out("https://evil.test/o/r");
    let refused = host.run(&["ci", "list"]);
    assert!(refused.code == 2 && !refused.whole().contains("token-of-gh"), "{}", refused.whole());
    assert_eq!(host.requests(), 1);
}

const PROMPT: &str = "Wait for the build and tell me what failed";

fn waits(cli: &str) {
    let Some(client) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let mut host = Host::new(log);
    let call = |name: &str, arguments: Value| json!({"match": PROMPT, "offers": "wait_for_ci_completion", "tools": [tool_use(cli, name, arguments)]});
    let turns = json!([
        call("wait_for_ci_completion", json!({})),
        call("get_ci_failed_logs", json!({"run_id": 77})),
        {"match": PROMPT, "offers": "wait_for_ci_completion", "text": "The step Run make failed."},
    ]);
    let line = line_of(cli);
    let Some(asked) = asks(&mut host.env, &client, PROMPT, "wait_for_ci_completion", &turns, line) else { return };
    let asked = asked.all(&["The step Run make failed."]);
    assert!(asked[1].contains("get_ci_failed_logs shows what failed"), "{}", asked[1]);
    assert!(asked[2].contains("exit code 2") && asked[2].contains("Run make"), "{}", asked[2]);
    assert!(!asked[2].contains("line 70"), "{}", asked[2]);
}

#[test]
fn claude_code_reads_what_failed() {
    waits("claude");
}

#[test]
fn codex_reads_what_failed() {
    waits("codex");
}

#[test]
fn gemini_cli_reads_what_failed() {
    waits("gemini");
}

//! Secrets are nowhere in what is kept and shown.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use aiw_tests::Environment;
use serde_json::json;

use super::{add, hook, indexers, kept, line};

#[test]
fn no_secret_of_a_session_is_kept_shown_or_logged() {
    let env = Environment::new();
    env.run_with_input(&["secret", "set", "canary"], "vault-canary-7f3a\n").ok();
    let token = |middle: &str| format!("ghp_{middle}canary{}", "a1B2c3D4".repeat(4));
    let key = format!("-----BEGIN {0} KEY-----\ncanaryMIIE\n-----END {0} KEY-----", "PRIVATE");
    add(&env, "s-1", &line("s-1", "u1", "user", &format!("heron uses {} and vault-canary-7f3a", token("1"))));
    add(
        &env,
        "s-1",
        &line(
            "s-1",
            "u2",
            "assistant",
            &format!("heron: password=canary-pass1 https://me:canary-pass2@example.com {key}"),
        ),
    );
    let call = json!({"type": "assistant", "uuid": "a1", "sessionId": "s-1", "cwd": "/srv/p", "timestamp": "2026-03-01T10:00:00Z",
        "message": {"content": [{"type": "tool_use", "id": "t", "name": "mcp__vault-canary-7f3a__run", "input": {"command": "heron -H 'Authorization: Bearer canary-token-1'", "password": "canary-pass3"}}]}});
    let result = json!({"type": "user", "uuid": "r1", "sessionId": "s-1", "cwd": "/srv/p", "timestamp": "2026-03-01T10:00:00Z",
        "message": {"content": [{"type": "tool_result", "tool_use_id": "t", "content": format!("heron {} AWS_SECRET_ACCESS_KEY=canary/pass4", token("2"))}]},
        "toolUseResult": {"stdout": token("3")}});
    let todo = json!({"type": "assistant", "uuid": "a2", "sessionId": "s-1", "message": {"content": [{"type": "tool_use", "id": "t2", "name": "TodoWrite",
        "input": {"todos": [{"content": format!("heron {}", token("4")), "status": "pending"}]}}]}});
    add(&env, "s-1", &format!("{call}\n{result}\n{todo}\n"));
    // Junk is named without being quoted.
    add(&env, "s-1", &format!("{{\"type\":\"user\",\"message\":\"{}\"\n{}\n", token("5"), token("6")));
    let mut said = hook(&env, "s-1").whole();
    assert_eq!(kept(&env, "s-1").len(), 5, "{:?}", kept(&env, "s-1"));
    for arguments in [
        &["history", "search", "heron"][..],
        &["history", "search", "heron", "--json"],
        &["history", "search", "canary", "--json"],
        &["history", "show", "s-1"],
        &["history", "show", "s-1", "--json"],
        &["history", "export", "s-1"],
        &["history", "export", "s-1", "--format", "json"],
        &["history", "sessions", "--json"],
        &["history", "stats"],
        &["history", "todos"],
        &["history", "doctor"],
        &["history", "import", "--all"],
        &["history", "hooks", "status"],
    ] {
        let run = env.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}: {}", run.whole());
        // What was asked for is not what was found.
        said += &run.whole().replace("nothing like this", "");
    }
    assert!(said.contains("heron") && said.contains("[redacted]"), "{said}");
    assert!(!said.contains("canary"), "{said}");
    // Its database is whole only when the last indexer has closed it.
    crate::until(|| indexers(&env).is_empty());
    no_canary(&env.home());
}

/// Looks through all files but the transcripts and the compiled code of components, which contain the word themselves.
fn no_canary(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        if entry.path().ends_with("cache/compiled-v1") {
            continue;
        }
        if entry.path().is_dir() {
            no_canary(&entry.path());
            continue;
        }
        let bytes = match fs::read(entry.path()) {
            Ok(bytes) => bytes,
            // The last to close the database removes its log.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => panic!("{}: {error}", entry.path().display()),
        };
        // The secret's name in the vault is not secret.
        let found = bytes.windows(6).position(|window| window == b"canary");
        assert!(found.is_none(), "{} at {found:?}", entry.path().display());
    }
}

//! Keys in clear in what becomes an MCP server of the user's, and servers of a project that become the user's.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;

use aiw_tests::{Environment, Run, not_run};
use serde_json::{Value, json};

/// It has the form of a token, and opens nothing.
const KEY: &str = "ghp_0123456789abcdefABCDEF0123456789abcd";

fn within(env: &Environment, directory: &Path, arguments: &[&str]) -> Run {
    env.command(arguments).current_dir(directory).output().unwrap().into()
}

/// Whether a key is in a file of the home.
fn is_anywhere(directory: &Path, key: &str) -> bool {
    fs::read_dir(directory).into_iter().flatten().flatten().any(|entry| match entry.file_type().unwrap().is_dir() {
        true => is_anywhere(&entry.path(), key),
        false => fs::read(entry.path()).unwrap().windows(key.len()).any(|window| window == key.as_bytes()),
    })
}

#[test]
fn a_word_that_its_name_says_is_a_key_goes_to_the_vault_and_a_harmless_one_stays() {
    for (arguments, secret) in [
        (&["server", "--password", "my horse 9"][..], "my horse 9"),
        (&["sh", "-c", "DB_PASSWORD=horse9 exec server"], "horse9"),
        (&["server", r#"{"name": "x", "apiKey": "horse9"}"#], "horse9"),
        (&["server", "/token:horse9"], "horse9"),
    ] {
        let env = Environment::cold();
        let run = env.run(&[&["mcp", "add", "srv", "--no-check", "--"], arguments].concat()).ok();
        assert!(
            run.stdout.contains("is in the vault: ${secret:srv") && !run.whole().contains(secret),
            "{}",
            run.whole()
        );
        assert!(!is_anywhere(&env.home(), secret), "{}", env.read("mcp.json"));
    }
    let commit = format!("COMMIT={}", "0f9a8b7c6d".repeat(4));
    for arguments in [&["x", "--max-tokens", "4096"][..], &["x", "--auth", "oauth2"], &["docker", "-e", &commit]] {
        let env = Environment::cold();
        env.run(&[&["mcp", "add", "srv", "--no-check", "--"], arguments].concat()).ok();
        assert_eq!(env.json(&["secret", "list"])["secrets"], json!([]));
        assert_eq!(env.mcp()["mcpServers"]["srv"]["args"], json!(arguments[1..]));
    }
}

#[test]
fn a_key_that_is_added_in_clear_goes_to_the_vault() {
    let bearer = format!("Authorization: Bearer {KEY}");
    let (env_pair, header, argument) =
        (format!("TOKEN={KEY}"), format!("Authorization=Bearer {KEY}"), format!("--token={KEY}"));
    let script = format!("TOKEN={KEY} exec server");
    let address = format!("https://example.com/mcp?api_key={KEY}");
    let ways: [&[&str]; 7] = [
        &["--env", &env_pair, "--", "sh"],
        &["--url", "https://example.com/mcp", "--header", &header],
        &["--url", "https://example.com/mcp", "--header", &bearer],
        &["--url", &address],
        &["--", "server", "--token", KEY],
        &["--", "server", &argument],
        &["--", "sh", "-c", &script],
    ];
    for way in ways {
        let env = Environment::cold();
        let run = env.run(&[&["mcp", "add", "srv", "--no-check"], way].concat()).ok();
        assert!(run.stdout.contains("is in the vault: ${secret:srv") && !run.whole().contains(KEY), "{}", run.whole());
        assert!(!is_anywhere(&env.home(), KEY), "{way:?}: {}", env.read("mcp.json"));
        assert!(env.read("mcp.json").contains("${secret:srv"), "{}", env.read("mcp.json"));
        assert_eq!(env.json(&["secret", "list"])["secrets"].as_array().unwrap().len(), 1);
        // It is the same server when it is added again.
        env.run(&[&["mcp", "add", "srv", "--no-check"], way].concat()).ok();
        assert_eq!(env.json(&["secret", "list"])["secrets"].as_array().unwrap().len(), 1);
    }
    let env = Environment::cold();
    let run = env.run(&["mcp", "add", "srv", "--no-check", "--plaintext", "--env", &env_pair, "--", "sh"]).ok();
    assert!(run.stderr.contains("stays in mcp.json in clear"), "{}", run.whole());
    assert_eq!(env.mcp()["mcpServers"]["srv"]["env"]["TOKEN"], KEY);
    assert_eq!(env.json(&["secret", "list"])["secrets"], json!([]));
    // The server gets the value.
    let (env, mark) = (Environment::cold(), Environment::cold().path("mark"));
    fs::create_dir_all(mark.parent().unwrap()).unwrap();
    let script = format!("printf %s \"$TOKEN\" > '{}'", mark.display());
    env.run(&["mcp", "add", "srv", "--no-check", "--env", &env_pair, "--", "sh", "-c", &script]).ok();
    env.run(&["mcp", "status"]);
    assert_eq!(fs::read_to_string(mark).unwrap(), KEY);
}

#[test]
fn an_import_leaves_no_key_in_clear_wherever_it_stood() {
    for entry in [
        json!({"command": format!("/opt/{KEY}/server")}),
        json!({"command": format!("TOKEN={KEY} server")}),
        json!({"command": "server", "cwd": format!("/srv/{KEY}")}),
        json!({"command": "sh", "args": ["-c", format!("TOKEN={KEY} exec server")]}),
        json!({"command": "server", "custom": {"deep": [KEY]}}),
        json!({"url": "https://example.com/mcp", "oauth": {"clientSecret": KEY}}),
    ] {
        let env = Environment::cold();
        let file = env.user().join(".claude.json");
        fs::write(&file, json!({"mcpServers": {"srv": entry}}).to_string()).unwrap();
        let before = fs::read(&file).unwrap();
        let run = env.run(&["setup", "claude", "--import", "--yes"]).ok();
        assert!(!run.whole().contains(KEY), "{}", run.whole());
        assert!(env.read("mcp.json").contains("${secret:srv"), "{}", env.read("mcp.json"));
        assert!(!env.read("mcp.json").contains(KEY), "{}", env.read("mcp.json"));
        env.run(&["setup", "claude", "--undo", "--yes"]).ok();
        assert_eq!(fs::read(&file).unwrap(), before);
        assert_eq!(env.json(&["secret", "list"])["secrets"], json!([]));
    }
}

#[test]
fn a_projects_server_becomes_the_users_only_after_all_of_it_was_shown() {
    let env = Environment::cold();
    let project = env.path("project");
    fs::create_dir_all(&project).unwrap();
    let file = project.join(".mcp.json");
    let server = json!({"command": "./tools/run.sh", "args": ["-x"], "env": {"NODE_OPTIONS": "--require ./x.js", "A": "${MINE}\u{1b}[2K"}});
    let text = json!({"mcpServers": {"theirs": server}}).to_string();
    fs::write(&file, &text).unwrap();
    let asked = within(&env, &project, &["setup", "claude", "--project", "--import"]);
    assert_ne!(asked.code, 0);
    let said = asked.whole().replace(env.parts().0.to_str().unwrap(), "[AIW]");
    insta::assert_snapshot!(env.stable(&said), @r#"
    Claude Code:
      [TMP]/aiw/mcp.json (new)
        + mcpServers.theirs, which then starts in all your sessions:
          theirs (stdio) runs: [TMP]/project/tools/run.sh -x
            env NODE_OPTIONS: --require ./x.js
            env A: ${MINE}\u{1b}[2K
            cwd: [TMP]/project
            decides by its options which code runs: NODE_OPTIONS
            reads MINE
      [TMP]/project/.mcp.json
        + mcpServers.aiw = {"type":"stdio","command":"[AIW]","args":["mcp","serve"],"env":{"AIW_HOME":"[TMP]/aiw"}}
        - mcpServers.theirs, which moves to mcp.json
    ------- stderr -------
    note: Claude Code: Claude Code asks you once whether you trust the servers of a project
    note: Claude Code: with a prompt (`-p`), Claude Code denies calls of aiw's tools; `aiw setup claude --approve-calls` allows them
    error: `Write these changes, and start the project's servers in all your sessions?` needs an answer, and there is no terminal to ask on
    hint: answer with `--yes`
    ------- exit code 2 -------
    "#);
    assert_eq!((fs::read_to_string(&file).unwrap(), env.mcp()), (text, Value::Null));
    within(&env, &project, &["setup", "claude", "--project", "--import", "--yes"]).ok();
    let moved = &env.mcp()["mcpServers"]["theirs"];
    assert_eq!(moved["command"], project.join("tools/run.sh").to_str().unwrap());
    assert_eq!(moved["cwd"], project.to_str().unwrap());
}

#[test]
fn a_setup_for_a_project_follows_no_link_out_of_it() {
    let env = Environment::cold();
    let (project, own) = (env.path("project"), env.user().join(".claude.json"));
    fs::create_dir_all(project.join(".claude")).unwrap();
    let text = r#"{"mcpServers": {"mine": {"command": "x"}}}"#;
    fs::write(&own, text).unwrap();
    symlink(&own, project.join(".mcp.json")).unwrap();
    let refused = within(&env, &project, &["setup", "claude", "--project", "--import", "--yes"]);
    assert!(refused.code != 0 && refused.stderr.contains("is a link"), "{}", refused.whole());
    assert_eq!((fs::read_to_string(&own).unwrap(), env.mcp()), (text.to_owned(), Value::Null));
    fs::remove_file(project.join(".mcp.json")).unwrap();
    let settings = env.user().join("settings.json");
    fs::write(&settings, "{}").unwrap();
    symlink(&settings, project.join(".claude/settings.json")).unwrap();
    for arguments in [
        &["setup", "claude", "--project", "--approve-calls", "--yes"][..],
        &["history", "hooks", "install", "--scope", "project", "--yes"],
    ] {
        let refused = within(&env, &project, arguments);
        assert!(refused.code != 0 && refused.stderr.contains("is a link"), "{}", refused.whole());
        assert_eq!(fs::read_to_string(&settings).unwrap(), "{}");
    }
}

#[test]
fn root_leaves_files_to_their_owners() {
    let env = Environment::cold();
    let (user, file) = (env.user(), env.user().join(".claude.json"));
    fs::write(&file, "{}").unwrap();
    if chown(&user, Some(4321), Some(4322)).and_then(|()| chown(&file, Some(4321), Some(4323))).is_err() {
        return not_run("only root can give files away");
    }
    chown(env.path(""), Some(4321), Some(4322)).unwrap();
    let owner = |path: &Path| fs::metadata(path).map(|meta| (meta.uid(), meta.gid())).unwrap();
    env.run(&["setup", "claude", "codex", "--yes", "--approve-calls"]).ok();
    assert_eq!(owner(&file), (4321, 4323));
    for path in [user.join(".codex/config.toml"), user.join(".codex"), user.join(".claude/settings.json"), env.home()] {
        assert_eq!(owner(&path), (4321, 4322), "{}", path.display());
    }
    fn all(directory: &Path, check: &dyn Fn(&Path)) {
        for entry in fs::read_dir(directory).unwrap().flatten() {
            check(&entry.path());
            if entry.file_type().unwrap().is_dir() {
                all(&entry.path(), check);
            }
        }
    }
    env.run(&["mcp", "add", "s", "--no-check", "--env", &format!("TOKEN={KEY}"), "--", "sh"]).ok();
    all(&env.home(), &|path| assert_eq!(owner(path), (4321, 4322), "{}", path.display()));
    env.run(&["setup", "claude", "--undo", "--yes"]).ok();
    assert_eq!(owner(&file), (4321, 4323));
}

//! `aiw cli …`: which AI CLIs are installed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::{Environment, not_run};
use serde_json::json;

/// Creates a machine without any CLI.
fn bare() -> Environment {
    let mut env = Environment::cold();
    fs::create_dir(env.path("bin")).unwrap();
    env.set("PATH", env.path("bin").display().to_string());
    env
}

/// Creates a package as npm lays it out below a prefix, with its command.
fn npm(env: &Environment, modules: &str, package: &str, version: &str, file: &str, link: &str) {
    let dir = env.path(modules).join(package);
    let file = dir.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(dir.join("package.json"), json!({"name": package, "version": version}).to_string()).unwrap();
    // This file records when it is run.
    fs::write(&file, format!("#!/bin/sh\necho ran >> {}\necho 9.9.9\n", env.path("ran").display())).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    let link = env.path(link);
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    symlink(file, link).unwrap();
}

fn installed() -> Environment {
    let env = bare();
    let global = "lib/node_modules";
    npm(&env, global, "@anthropic-ai/claude-code", "2.1.328", "bin/claude.exe", "bin/claude");
    npm(&env, global, "@openai/codex", "0.169.0", "bin/codex.js", "bin/codex");
    npm(&env, "project/node_modules", "@google/gemini-cli", "0.61.0", "dist/index.js", "user/.local/bin/gemini");
    env
}

#[test]
fn what_is_missing_is_said_with_how_to_install_it() {
    let env = bare();
    insta::assert_snapshot!(env.run(&["cli", "list"]).whole(), @"
    CLI     VERSION  INSTALLED  PATH
    claude  -        -          not installed: `npm install -g @anthropic-ai/claude-code`
    codex   -        -          not installed: `npm install -g @openai/codex`
    gemini  -        -          not installed: `npm install -g @google/gemini-cli`
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let none = |kind| json!({"kind": kind, "path": null, "version": null, "install": null, "available": false});
    assert_eq!(env.json(&["cli", "list"]), json!({"clis": [none("claude"), none("codex"), none("gemini")]}));
    insta::assert_snapshot!(env.run(&["cli", "info", "codex"]).whole(), @"
    codex is not installed: `npm install -g @openai/codex`
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let mut codex = none("codex");
    codex["real_path"] = json!(null);
    codex["install_command"] = "npm install -g @openai/codex".into();
    assert_eq!(env.json(&["cli", "info", "codex"]), json!({ "cli": codex }));
    assert!(!env.home().exists());
}

#[test]
fn installed_ones_are_told_by_their_files() {
    let env = installed();
    insta::assert_snapshot!(env.stable(&env.run(&["cli", "list"]).whole()), @"
    CLI     VERSION  INSTALLED   PATH
    claude  2.1.328  npm-global  [TMP]/bin/claude
    codex   0.169.0  npm-global  [TMP]/bin/codex
    gemini  0.61.0   npm-local   [TMP]/user/.local/bin/gemini
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let cli = |kind: &str, path: &str, version: &str, install: &str| json!({"kind": kind, "path": env.path(path), "version": version, "install": install, "available": true});
    let claude = cli("claude", "bin/claude", "2.1.328", "npm-global");
    let codex = cli("codex", "bin/codex", "0.169.0", "npm-global");
    let gemini = cli("gemini", "user/.local/bin/gemini", "0.61.0", "npm-local");
    assert_eq!(env.json(&["cli", "list"]), json!({"clis": [claude, codex, gemini]}));
    insta::assert_snapshot!(env.stable(&env.run(&["cli", "info", "claude"]).whole()), @"
    claude 2.1.328
      path: [TMP]/bin/claude
      file: [TMP]/lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe
      installed: npm-global
    ------- stderr -------
    ------- exit code 0 -------
    ");
    let mut claude = claude.clone();
    claude["real_path"] = json!(env.path("lib/node_modules/@anthropic-ai/claude-code/bin/claude.exe"));
    claude["install_command"] = "npm install -g @anthropic-ai/claude-code".into();
    assert_eq!(env.json(&["cli", "info", "claude"]), json!({ "cli": claude }));
    // No CLI was run, no component was opened, and nothing had to be stored.
    assert!(!env.path("ran").exists());
    assert!(!env.home().exists());
}

#[test]
fn one_of_no_known_installer_is_asked_once() {
    let env = bare();
    let script = format!("#!/bin/sh\necho ran >> {}\necho 'codex-cli 1.2.3'\n", env.path("ran").display());
    let codex = env.path("bin/codex");
    fs::write(&codex, script).unwrap();
    fs::set_permissions(&codex, fs::Permissions::from_mode(0o755)).unwrap();
    for _ in 0..3 {
        let codex = env.json(&["cli", "info", "codex"])["cli"].clone();
        assert_eq!((&codex["version"], &codex["install"]), (&json!("1.2.3"), &json!("unknown")));
    }
    assert_eq!(fs::read_to_string(env.path("ran")).unwrap(), "ran\n");
    let made: Vec<_> = fs::read_dir(env.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(made, ["cache"]);
}

#[test]
fn without_a_home_the_answer_is_the_same() {
    let mut env = installed();
    env.unset("AIW_HOME");
    env.unset("HOME");
    let answer = env.json(&["cli", "list"]);
    assert_eq!(answer["clis"][0]["version"], "2.1.328");
    assert_eq!(answer["clis"][2]["available"], false);
}

#[test]
fn another_cli_is_a_wrong_command_line() {
    let env = bare();
    let run = env.run(&["cli", "info", "cursor"]);
    assert_eq!((run.code, run.stdout.as_str()), (64, ""));
    assert!(run.stderr.contains("`claude`, `codex` or `gemini`"), "{}", run.stderr);
    assert_eq!(env.run(&["cli", "info", "cursor", "--json"]).json()["error"]["kind"], "usage");
}

/// Returns `AIW_TEST_CLAUDE`, otherwise the one that npm installed below `target/clients`.
fn claude() -> Option<PathBuf> {
    let ours = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/clients/node_modules/.bin/claude");
    let path = std::env::var_os("AIW_TEST_CLAUDE").map_or_else(ours, PathBuf::from);
    path.canonicalize().ok().and(std::path::absolute(path).ok())
}

#[test]
fn the_real_claude_is_found() {
    let Some(claude) = claude() else {
        return not_run("claude is absent");
    };
    let mut env = bare();
    symlink(claude.canonicalize().unwrap(), env.path("bin/claude")).unwrap();
    env.set("HOME", env.user().display().to_string());
    let found = env.json(&["cli", "info", "claude"])["cli"].clone();
    let said = Command::new(&claude).arg("--version").env("HOME", env.user()).output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(found["version"].as_str(), said.split_whitespace().next(), "{found:#}: {said}");
    assert_eq!(found["available"], true);
    assert_ne!(found["install"], "unknown", "{found:#}");
}

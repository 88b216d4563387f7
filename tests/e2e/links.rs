//! Links in aiw's own directory: nothing of its state is read, written or removed through one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use aiw_tests::{Environment, FakeClis};
use serde_json::json;

use crate::intake::{add, ended, line};
use crate::servers::Servers;

/// Does something with every kind of state. What fails is no matter here.
fn everything(env: &Environment) {
    for (arguments, input) in [
        (&["secret", "set", "own"][..], "value-of-a-secret\n".to_owned()),
        (&["mcp", "token", "--rotate"], String::new()),
        (&["mcp", "tools"], String::new()),
        (&["mcp", "call", "test/echo", "{}"], String::new()),
        (&["claude", &FakeClis::script("echo said")], String::new()),
        (&["task", "list"], String::new()),
        (&["process", "start", "p", "--yes"], String::new()),
        (&["logs", "p"], String::new()),
        (&["stop", "p"], String::new()),
        (&["history", "hooks", "handle", "--wait"], ended(env, "s-1")),
        (&["history", "import", "--all", "--yes"], String::new()),
        (&["history", "search", "words"], String::new()),
        (&["workflow", "approve", "job", "--yes"], String::new()),
        (&["workflow", "run", "job"], String::new()),
        (&["setup", "claude", "--yes"], String::new()),
        (&["usage"], String::new()),
        (&["task", "prune"], String::new()),
        (&["secret", "remove", "own", "--yes"], String::new()),
        (&["setup", "claude", "--undo", "--yes"], String::new()),
        (&["mcp", "rename", "test", "other"], String::new()),
        (&["mcp", "rename", "other", "test"], String::new()),
        (&["process", "remove", "p"], String::new()),
    ] {
        let _ = env.run_with_input(arguments, input);
    }
    fs::create_dir_all(env.path(".ichimi")).unwrap();
    fs::write(env.path(".ichimi/processes.kdl"), "process \"p\" { command \"sleep\" \"1000\" }").unwrap();
}

/// Every file and directory below one, with its content.
fn content(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let is_dir = fs::symlink_metadata(&path).unwrap().is_dir();
        if is_dir {
            left.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        all.insert(path.clone(), (!is_dir).then(|| fs::read(&path).unwrap_or_default()));
    }
    all
}

#[test]
fn nothing_of_aiws_state_is_touched_through_a_link() {
    let Some(servers) = Servers::new() else { return };
    let mut servers = servers.with("test", &[]);
    FakeClis::install(&mut servers.env);
    let env = &servers.env;
    add(env, "s-1", &line("s-1", "u1", "user", "words to find"));
    fs::create_dir_all(env.home().join("workflows")).unwrap();
    fs::write(env.home().join("workflows/job.js"), "// Does nothing\nexport default async () => 1;\n").unwrap();
    everything(env);
    everything(env);
    let home = env.home();
    let elsewhere = env.path("elsewhere");
    // Configuration, and what each command makes anew.
    let may_be_linked = ["mcp.json", "settings.json", "providers.json", "registry.yaml", "role"];
    let mut tried = 0;
    let entries: Vec<PathBuf> = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()).collect();
    let inside = entries.iter().filter(|path| path.is_dir()).flat_map(|path| fs::read_dir(path).unwrap());
    let inside: Vec<PathBuf> = inside.map(|entry| entry.unwrap().path()).collect();
    for path in entries.iter().chain(&inside) {
        let name = path.strip_prefix(&home).unwrap().to_string_lossy().into_owned();
        // Some were only there for a moment. Compiled code is the same in each of its files.
        if may_be_linked.contains(&name.as_str())
            || name.ends_with(".js")
            || name.contains("compiled")
            || !path.exists()
        {
            continue;
        }
        fs::create_dir_all(&elsewhere).unwrap();
        let target = elsewhere.join("target");
        fs::rename(path, &target).unwrap();
        symlink(&target, path).unwrap();
        let before = content(&elsewhere);
        everything(env);
        let after = content(&elsewhere);
        let changed: Vec<_> =
            after.iter().filter(|(path, bytes)| before.get(*path) != Some(bytes)).map(|(p, _)| p).collect();
        let gone: Vec<_> = before.keys().filter(|path| !after.contains_key(*path)).collect();
        assert!(changed.is_empty() && gone.is_empty(), "{name}: changed {changed:?}, gone {gone:?}");
        let _ = fs::remove_file(path);
        let _ = fs::remove_dir_all(path);
        fs::rename(&target, path).unwrap();
        tried += 1;
    }
    assert!(tried > 20, "{tried}");
    // It all works again.
    env.run(&["mcp", "call", "test/echo", "{}"]).ok();
    env.run(&["history", "search", "words"]).ok();
}

#[test]
fn a_linked_configuration_is_edited_where_it_is_and_a_moved_home_is_used() {
    let env = Environment::cold();
    let (home, repository) = (env.home(), env.path("dotfiles"));
    fs::create_dir_all(&repository).unwrap();
    env.settings(&json!({}));
    for name in ["mcp.json", "settings.json", "providers.json"] {
        let _ = fs::remove_file(home.join(name));
        fs::write(repository.join(name), if name == "providers.json" { "{\"version\": 1}" } else { "{}" }).unwrap();
        symlink(repository.join(name), home.join(name)).unwrap();
    }
    symlink(&repository, home.join("role")).unwrap();
    fs::rename(&home, env.path("other-disk")).unwrap();
    symlink(env.path("other-disk"), &home).unwrap();
    env.run(&["mcp", "add", "s", "--", "true"]);
    env.run(&["mcp", "disable", "s"]).ok();
    env.run(&["provider", "add", "r", "--preset", "openrouter", "--token-env", "K"]).ok();
    fs::write(repository.join("note.md"), "A note\n------------\nText").unwrap();
    assert!(env.run(&["role", "list"]).ok().stdout.contains("note"));
    env.run_with_input(&["secret", "set", "a"], "value").ok();
    assert!(env.path("other-disk/vault/a.age").is_file());
    for (name, holds) in [("mcp.json", "\"s\""), ("settings.json", "enabled"), ("providers.json", "openrouter")] {
        assert!(fs::symlink_metadata(home.join(name)).unwrap().is_symlink(), "{name}");
        assert!(fs::read_to_string(repository.join(name)).unwrap().contains(holds), "{name}");
    }
}

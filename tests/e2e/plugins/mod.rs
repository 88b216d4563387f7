//! Plugins end to end: from adding a marketplace to removing a plugin.

mod install;
mod json;
mod marketplace;
mod names;
mod search;
mod servers;
mod update;
mod validate;

use std::fs;
use std::path::{Path, PathBuf};

use aiw_tests::{Answer, Environment, Market, Request, Run, Server, commit_all, git, git_backend};
use serde_json::{Value, json};

pub(super) fn whole(env: &Environment, run: &Run) -> String {
    env.stable(&run.whole())
}

/// Creates a home with the market `m`, which has these plugins at version 1.0.0.
pub(super) fn market(plugins: &[(&str, Value)]) -> (Environment, Market) {
    let env = Environment::new();
    let mut market = Market::new(env.path("m"), "m");
    for (name, servers) in plugins {
        market = market.plugin(name, "1.0.0", servers.clone());
    }
    env.add(market.root()).ok();
    (env, market)
}

pub(super) fn install(env: &Environment, plugin: &str) -> Run {
    env.run(&["plugin", "install", plugin, "--yes"]).ok()
}

/// Returns the keys of a JSON object, in order.
pub(super) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Publishes a directory as the bare repository `srv/OWNER/NAME.git`. Returns the commit.
pub(super) fn publish(env: &Environment, directory: &Path, repository: &str) -> String {
    let commit = commit_all(directory);
    let bare = env.path("srv").join(format!("{repository}.git"));
    if bare.exists() {
        git(directory, &["push", "-q", "--force", "--tags", &bare.display().to_string(), "HEAD:main"]);
    } else {
        fs::create_dir_all(bare.parent().unwrap()).unwrap();
        git(directory, &["clone", "-q", "--bare", ".", &bare.display().to_string()]);
    }
    commit
}

/// Imitates GitHub: git below `/`, and single files of a commit below `/raw`.
pub(super) fn hub(env: &Environment) -> impl Fn(&Request) -> Answer + Send + Sync + 'static {
    let root = env.path("srv");
    fs::create_dir_all(&root).unwrap();
    let backend = git_backend(root.clone());
    move |request| match request.path.strip_prefix("/raw/") {
        None => backend(request),
        Some(path) => {
            let parts: Vec<&str> = path.splitn(4, '/').collect();
            let [owner, repository, sha, file] = parts[..] else { return Answer::status(404) };
            let shown = std::process::Command::new("git")
                .args(["show", &format!("{sha}:{file}")])
                .current_dir(root.join(owner).join(format!("{repository}.git")))
                .output()
                .unwrap();
            if shown.status.success() { Answer::ok(shown.stdout) } else { Answer::status(404) }
        }
    }
}

/// Redirects GitHub to a loopback server.
pub(super) fn point(env: &Environment, server: &Server, raw: bool) {
    let mut source = json!({"base_url": server.url()});
    if raw {
        source["raw_url"] = format!("{}/raw", server.url()).into();
    }
    env.settings(&json!({"extraKnownMarketplaces": {}, "sources": {"market-github": source}}));
}

/// Returns all files in the home that contain a text.
pub(super) fn files_with(env: &Environment, text: &str) -> Vec<PathBuf> {
    let (mut ahead, mut found) = (vec![env.home(), env.user()], Vec::new());
    while let Some(dir) = ahead.pop() {
        for file in fs::read_dir(dir).unwrap().flatten() {
            let path = file.path();
            if path.is_dir() {
                ahead.push(path);
            } else if fs::read(&path).unwrap().windows(text.len()).any(|window| window == text.as_bytes()) {
                found.push(path);
            }
        }
    }
    found
}

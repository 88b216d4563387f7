//! The README's commands, as printed and in their order, in a fresh home. What names the network goes to loopback.

use std::collections::BTreeSet;
use std::fs;

use aiw_tests::{FakeClis, Market, Server, commit_all, git, git_backend, listening};
use serde_json::json;

use crate::terminal::Terminal;

/// Commands that are only looked up: why they are not run.
const LOOKED_UP: [(&str, &str); 20] = [
    ("aiw budget", "names a group of commands"),
    ("aiw gateway serve --name editor -p deepseek", "serves until it is stopped"),
    ("aiw up", "shows what processes write until they end"),
    ("aiw web", "serves until it is stopped"),
    ("aiw plugin browse", "is a screen"),
    ("aiw tui providers", "is a screen"),
    ("aiw top", "is a screen"),
    ("aiw model pull", "fetches hundreds of megabytes"),
    ("aiw mcp search WORDS", "asks registries on the network"),
    ("aiw ci list", "asks GitHub"),
    ("aiw sync init ~/Dropbox/aiw", "shows a phrase on a terminal"),
    ("aiw cli outdated", "asks the npm registry"),
    ("aiw extension add FILE", "needs a component"),
    ("aiw plugin marketplace add OWNER/REPO[@REF]", "the market of the install is one"),
    ("aiw plugin validate ./my-marketplace", "needs a marketplace of yours"),
    ("aiw mcp doctor", "fails where a server does, and the one that is added here is `true`"),
    ("aiw doctor", "fails where something is to be done"),
    ("aiw planner set", "needs an address"),
    ("aiw role new NAME", "opens an editor"),
    ("aiw history search", "needs words"),
];

/// The lines that install a release. They are not run here: `cargo xtask dist --check` installs from local files in each of
/// these ways, in systems without a compiler.
const INSTALLS: [&str; 2] = [
    "sudo apt install ./aiw_0.7.0_amd64.deb",
    "uv tool install ./agentic_warden-0.7.0-py3-none-manylinux_2_28_x86_64.whl",
];

/// The commands of the README: those of its blocks, and those in its text.
fn commands(readme: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in readme.lines() {
        match line.strip_prefix("$ aiw ") {
            Some(command) => found.push(format!("aiw {}", command.split(" #").next().unwrap_or_default().trim())),
            None => found
                .extend(line.split('`').skip(1).step_by(2).filter(|code| code.starts_with("aiw ")).map(str::to_owned)),
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|command| seen.insert(command.clone()));
    found
}

/// A printed command with something in the place of what the reader fills in.
fn filled(printed: &str, task: &str) -> String {
    let command = printed.replace("\"…\"", "hello").replace('…', "hello");
    let command = command.replace("[@MARKET] [--env K=V]", " --yes").replace(" ID", &format!(" {task}"));
    match command.as_str() {
        "aiw mcp add NAME -- COMMAND" => "aiw mcp add mine -- true".to_owned(),
        "aiw plugin install NAME --yes" => "aiw plugin install github --yes".to_owned(),
        // It asks before it installs; the market's question is answered by the market that is there.
        "aiw plugin install github" => "aiw plugin install github --yes".to_owned(),
        "aiw setup" => "aiw setup claude --dry-run".to_owned(),
        _ => command.replace("WORDS", "github").replace("NAME", "github"),
    }
}

#[test]
fn the_readme_begins_with_a_line_of_install_for_each_package() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    let (_, install) = readme.split_once("\n## Install\n").unwrap();
    let block = install.split("```").nth(1).unwrap();
    let lines = block.lines().filter_map(|line| line.strip_prefix("$ "));
    let lines: Vec<&str> = lines.map(|line| line.split(" #").next().unwrap_or_default().trim()).collect();
    assert_eq!(lines, INSTALLS);
    let version = concat!("aiw_", env!("CARGO_PKG_VERSION"), "_amd64.deb");
    assert!(block.contains(version), "the README names another version than {version}");
}

#[test]
fn each_command_of_the_readme_works_as_printed() {
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
    // The reasons come first, and what they show works once the rest was done.
    let (reasons, rest) = readme.split_once("\n## Install\n").unwrap();
    let recipes = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/recipes.md")).unwrap();
    let all = commands(&[rest, &recipes, reasons].concat());
    assert!(all.len() > 35, "{all:#?}");
    let (env, _clis) = FakeClis::environment();
    let market = Market::new(env.path("official"), "claude-plugins-official");
    let market = market.plugin("github", "1.0.0", json!({"notes": {"command": "true"}}));
    commit_all(market.root());
    let bare = env.path("srv/anthropics/claude-plugins-official.git");
    git(market.root(), &["clone", "-q", "--bare", ".", &bare.display().to_string()]);
    let server = Server::start(git_backend(env.path("srv")));
    env.settings(&json!({"sources": {"market-github": {"base_url": server.url()}}}));
    env.run(&["plugin", "marketplace", "update"]).ok();
    let mut task = String::new();
    for printed in &all {
        let command = filled(printed, &task).replace("~/", &format!("{}/", env.user().display()));
        let words = shlex::split(&command).unwrap();
        let words: Vec<&str> = words.iter().skip(1).map(String::as_str).collect();
        if LOOKED_UP.iter().any(|(only, _)| only == printed) {
            let is_word = |word: &&str| word.starts_with(|c: char| c.is_ascii_lowercase());
            let named: Vec<&str> = words.iter().copied().take_while(is_word).collect();
            let is_there = (1..=named.len()).rev().any(|n| env.run(&[&named[..n], &["--help"]].concat()).code == 0);
            assert!(is_there, "`{printed}` is no command");
            continue;
        }
        if let ["provider", "add", name, ..] = words[..] {
            // It asks for the token, and doesn't show it.
            let mut terminal = Terminal::start(&env, &words);
            terminal.wait_for("API key");
            terminal.press("not-a-key\r");
            assert!(terminal.ends().success(), "{}", terminal.shown());
            assert!(!terminal.shown().contains("not-a-key"));
            let place = format!("anthropic={}", listening());
            env.run(&["provider", "edit", name, "--base-url", &place, "--keep-token"]).ok();
            continue;
        }
        let run = env.run(&words);
        assert_eq!(run.code, 0, "`{printed}` fails: {}", run.whole());
        if words[0] == "claude" && task.is_empty() {
            let listed = env.json(&["task", "list"]);
            task = listed["tasks"][0]["id"].as_str().unwrap().to_owned();
        }
    }
}

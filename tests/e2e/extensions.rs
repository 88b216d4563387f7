//! Third-party components: what they may do, what is pinned, and a marketplace of a kind that aiw does not know.

mod projects;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use aiw_tests::{
    Answer, Environment, Market, Run, Server, commit_all, component, components_dir, git, git_backend, not_run,
};
use serde_json::{Value, json};

use self::projects::{built_project, guest_target, new_project};
use crate::terminal::Terminal;
use crate::until;

/// Copies a component and replaces texts with others of the same length, which keeps the component well-formed.
fn altered(env: &Environment, name: &str, file: &str, texts: &[(&str, &str)]) -> PathBuf {
    let mut bytes = fs::read(component(name)).unwrap();
    for (from, to) in texts {
        assert_eq!(from.len(), to.len());
        let mut found = 0;
        for at in 0..=bytes.len() - from.len() {
            if bytes[at..].starts_with(from.as_bytes()) {
                bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
                found += 1;
            }
        }
        assert!(found > 0, "`{name}` does not hold `{from}`");
    }
    let path = env.path(file);
    fs::write(&path, bytes).unwrap();
    path
}

fn add(env: &Environment, path: &Path) -> Run {
    env.run(&["extension", "add", &path.display().to_string(), "--yes"])
}

/// Creates an environment with the example `acme-index` added from its own file `acme.wasm`.
fn with_acme() -> Environment {
    let env = Environment::new();
    fs::copy(component("acme-index"), env.path("acme.wasm")).unwrap();
    add(&env, &env.path("acme.wasm")).ok();
    env
}

/// Returns the file of the only component that is added.
fn stored(env: &Environment) -> PathBuf {
    let mut files = fs::read_dir(env.home().join("extensions")).unwrap();
    let only = files.next().unwrap().unwrap().path();
    assert!(files.next().is_none());
    only
}

fn whole(env: &Environment, run: &Run) -> String {
    env.stable(&run.whole())
}

#[test]
fn what_a_component_may_do_is_shown_before_it_is_added() {
    let env = Environment::new();
    fs::copy(component("acme-index"), env.path("acme.wasm")).unwrap();
    insta::assert_snapshot!(whole(&env, &env.run(&["extension", "add", "./acme.wasm"])), @"
    acme-index 0.1.0: Acme plugin index
      publisher: Acme Ltd (self-reported)
      homepage: https://plugins.acme.example (self-reported)
      from: [TMP]/acme.wasm
      sha256: [DIGEST]
      offers: market-source
      may:
        ask `plugins.acme.example` over HTTPS
        read from the hosts it names, and send to them, over HTTPS (`http`)
        write lines to the log (`log`)
        read its own settings (`settings`)
        read git repositories and directories of the origins it names (`trees`)
        read git repositories on `github.com`
        read its setting `base_url`
        see an empty WASI: no files, no network, no variables
    ------- stderr -------
    error: `Add acme-index?` needs an answer, and there is no terminal to ask on
    hint: answer with `--yes`
    ------- exit code 2 -------
    ");
    assert!(!env.home().join("extensions.lock").exists());
    assert!(!env.home().join("extensions").exists());
    fs::copy(component("hostile-provider"), env.path("starts.wasm")).unwrap();
    let shown = env.run(&["extension", "info", "./starts.wasm"]).whole();
    assert!(shown.contains("    start tasks in your session (`task-starts`)\n"), "{shown}");
    insta::assert_snapshot!(whole(&env, &env.run(&["extension", "info", "./acme.wasm"])).lines().next().unwrap(), @"acme-index 0.1.0: Acme plugin index");
    env.run(&["extension", "add", "./acme.wasm", "--yes"]).ok();
    let lock = env.read("extensions.lock");
    let sha256 = env.json(&["extension", "info", "acme-index"])["extension"]["sha256"].as_str().unwrap().to_owned();
    assert!(lock.contains(&format!("sha256 = \"{sha256}\"")), "{lock}");
    assert!(
        lock.contains("hosts = [\"plugins.acme.example\"]") && lock.contains("origins = [\"git:github.com\"]"),
        "{lock}"
    );
    insta::assert_snapshot!(whole(&env, &env.run(&["extension", "list"])), @"
    ID                  VERSION  STATE      LABEL
    market-github       0.1.0    bundled    GitHub repositories
    market-local        0.1.0    bundled    Directories on this machine
    market-remote       0.1.0    bundled    Git repositories and JSON URLs
    provider-anthropic  0.1.0    bundled    Anthropic
    provider-gateway    0.1.0    bundled    Gateways, compatible providers and local servers
    provider-google     0.1.0    bundled    Google Gemini API
    provider-openai     0.1.0    bundled    OpenAI
    registry-official   0.1.0    bundled    The official MCP registry
    registry-smithery   0.1.0    bundled    Smithery
    acme-index          0.1.0    installed  Acme plugin index
    ------- stderr -------
    ------- exit code 0 -------
    ");
    insta::assert_snapshot!(whole(&env, &env.run(&["extension", "verify"])), @"
    market-github: good
    market-local: good
    market-remote: good
    provider-anthropic: good
    provider-gateway: good
    provider-google: good
    provider-openai: good
    registry-official: good
    registry-smithery: good
    acme-index: good
    ------- stderr -------
    ------- exit code 0 -------
    ");
}

#[test]
fn a_component_is_added_from_a_directory_and_from_a_url() {
    let env = Environment::new();
    fs::create_dir(env.path("dist")).unwrap();
    fs::copy(component("acme-index"), env.path("dist/acme_index.wasm")).unwrap();
    env.run(&["extension", "add", "./dist", "--yes"]).ok();
    env.run(&["extension", "remove", "acme-index"]).ok();
    assert!(!env.read("extensions.lock").contains("acme"));
    assert_eq!(fs::read_dir(env.home().join("extensions")).unwrap().count(), 0);

    let bytes = fs::read(component("acme-index")).unwrap();
    let server = Server::start(move |request| match request.path.as_str() {
        "/acme.wasm" => Answer::ok(bytes.clone()),
        _ => Answer::status(404),
    });
    env.run(&["extension", "add", &format!("{}/acme.wasm", server.url()), "--yes"]).ok();
    let info = env.json(&["extension", "info", "acme-index"]);
    assert_eq!(info["extension"]["source"], format!("{}/acme.wasm", server.url()));
    let run = env.run(&["extension", "add", &format!("{}/none.wasm", server.url()), "--yes"]);
    assert_eq!(run.stderr, format!("error: `{}/none.wasm` answered 404\n", server.url()));
}

#[test]
fn files_that_are_no_component_for_this_aiw_are_refused_in_words() {
    let env = Environment::new();
    fs::write(env.path("native.wasm"), b"\x7fELF\x02\x01\x01\0rest").unwrap();
    fs::write(env.path("text.wasm"), "hello").unwrap();
    fs::write(env.path("empty.wasm"), "").unwrap();
    let component = |name: &str| components_dir().join(format!("{name}.wasm"));
    let files = [
        env.path("native.wasm"),
        env.path("text.wasm"),
        env.path("empty.wasm"),
        component("core-module"),
        component("newer-contract"),
        component("older-contract"),
        component("unknown-interface"),
        component("no-manifest"),
        component("two-manifests"),
        component("trailing-manifest"),
        env.path("absent.wasm"),
    ];
    let mut said = String::new();
    for file in files {
        let run = add(&env, &file);
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.whole());
        let directory = file.parent().unwrap().display().to_string();
        said.push_str(&run.stderr.replace(&directory, "DIR"));
    }
    insta::assert_snapshot!(said, @"
    error: `DIR/native.wasm` is precompiled native code, which is never loaded; ask its author for the .wasm component
    error: `DIR/text.wasm` is not a WebAssembly component: magic header not detected: bad magic number - expected=[ 0x0, 0x61, 0x73, 0x6d, ] actual=[ 0x68, 0x65, 0x6c, 0x6c, ]
    error: `DIR/empty.wasm` is not a WebAssembly component: unexpected end-of-file
    error: `DIR/core-module.wasm` is a core module, not a component; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`
    error: `DIR/newer-contract.wasm` needs aiw:plugin 0.2.0, this aiw offers 0.1.0: update aiw
    error: `DIR/older-contract.wasm` needs aiw:plugin 0.0.9, this aiw offers 0.1.0: ask its author for a newer build
    error: `DIR/unknown-interface.wasm` imports the interface `nails`, which aiw:plugin 0.1.0 does not have
    error: `DIR/no-manifest.wasm` has no manifest (section `aiw:manifest`)
    error: `DIR/two-manifests.wasm` has a manifest (section `aiw:manifest`) that appears twice
    error: `DIR/trailing-manifest.wasm` has a manifest (section `aiw:manifest`) that cannot be read: trailing characters at line 9 column 1
    error: there is no file `DIR/absent.wasm`
    ");
    assert!(!env.home().join("extensions").exists());
}

#[test]
fn a_component_that_was_tampered_with_is_refused_at_every_load() {
    let env = with_acme();
    fs::OpenOptions::new().append(true).open(stored(&env)).unwrap().write_all(b"\0").unwrap();
    for arguments in [
        vec!["extension", "verify"],
        vec!["extension", "verify", "acme-index"],
        vec!["plugin", "marketplace", "add", "acme:tools", "--source", "acme-index"],
    ] {
        let run = env.run(&arguments);
        assert_eq!(run.code, 3, "{arguments:?}: {}", run.whole());
    }
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "marketplace", "add", "acme:tools"])), @"
    ------- stderr -------
    error: `acme:tools` is not a reference that any source knows (component `acme-index` is skipped: component `acme-index` is not the file that you agreed to: its sha256 is [DIGEST], the lock file says [DIGEST])
    hint: use `owner/repo` (GitHub), a git URL, a directory, or the URL of a marketplace.json
    ------- exit code 2 -------
    ");
    let listed = env.run(&["extension", "list"]).ok();
    assert!(listed.stdout.lines().any(|l| l.starts_with("acme-index ") && l.contains("broken")), "{}", listed.whole());
    // The references that it would have claimed do not block other sources.
    let market = Market::new(env.path("m"), "m");
    env.run(&["plugin", "marketplace", "add", &market.root().display().to_string()]).ok();
    env.run(&["extension", "remove", "acme-index"]).ok();
    env.run(&["extension", "verify"]).ok();
}

#[test]
fn a_component_whose_file_is_gone_is_named() {
    let env = with_acme();
    fs::remove_file(stored(&env)).unwrap();
    let run = env.run(&["extension", "verify"]);
    assert_eq!(run.code, 3, "{}", run.whole());
    env.run(&["extension", "update", "acme-index"]).ok();
    env.run(&["extension", "verify"]).ok();
}

#[test]
fn an_update_that_wants_no_more_is_taken_and_one_that_wants_more_stops() {
    let env = with_acme();
    insta::assert_snapshot!(whole(&env, &env.run(&["extension", "update"])), @"
    acme-index is up to date
    ------- stderr -------
    ------- exit code 0 -------
    ");

    altered(&env, "acme-index", "acme.wasm", &[("\"version\": \"0.1.0\"", "\"version\": \"0.2.0\"")]);
    let run = env.run(&["extension", "update", "acme-index"]).ok();
    assert!(run.stdout.starts_with("Updated acme-index to 0.2.0 (sha256 "), "{}", run.whole());

    let before = env.read("extensions.lock");
    altered(
        &env,
        "acme-index",
        "acme.wasm",
        &[("\"version\": \"0.1.0\"", "\"version\": \"0.3.0\""), ("plugins.acme.example", "plugins.more.example")],
    );
    insta::assert_snapshot!(whole(&env, &env.run(&["extension", "update", "acme-index"])), @"
    ------- stderr -------
    error: component `acme-index` 0.3.0 asks for more than you agreed to: ask `plugins.more.example` over HTTPS
    hint: `aiw extension update acme-index --accept-changes` accepts this
    ------- exit code 2 -------
    ");
    assert_eq!(env.read("extensions.lock"), before);
    env.run(&["extension", "verify"]).ok();
    env.run(&["extension", "update", "acme-index", "--accept-changes"]).ok();
    assert!(env.read("extensions.lock").contains("plugins.more.example"));
    stored(&env);
}

#[test]
fn a_file_that_became_another_component_is_no_update() {
    let env = with_acme();
    altered(&env, "acme-index", "acme.wasm", &[("\"id\": \"acme-index\"", "\"id\": \"acme-other\"")]);
    let before = env.read("extensions.lock");
    let run = env.run(&["extension", "update", "acme-index", "--accept-changes"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert_eq!(env.read("extensions.lock"), before);
}

#[test]
fn an_id_that_is_taken_is_refused() {
    let env = with_acme();
    altered(&env, "acme-index", "other.wasm", &[("\"version\": \"0.1.0\"", "\"version\": \"0.2.0\"")]);
    insta::assert_snapshot!(whole(&env, &add(&env, &env.path("other.wasm"))), @"
    ------- stderr -------
    error: component `acme-index` is already installed, from `[TMP]/acme.wasm`
    hint: run `aiw extension update acme-index` or `aiw extension remove acme-index` first
    ------- exit code 2 -------
    ");
    // Adding the same file again changes nothing.
    add(&env, &env.path("acme.wasm")).ok();
    let run = env.run(&["extension", "remove", "market-github"]);
    assert_eq!(run.stderr, "error: component `market-github` is part of aiw and can't be removed\n");
}

#[test]
fn a_disabled_component_is_not_used() {
    let env = with_acme();
    env.run(&["extension", "disable", "acme-index"]).ok();
    let run = env.run(&["plugin", "marketplace", "add", "acme:tools"]);
    assert_eq!(run.stderr.lines().next(), Some("error: `acme:tools` is not a reference that any source knows"));
    let run = env.run(&["plugin", "marketplace", "add", "acme:tools", "--source", "acme-index"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert!(run.stderr.contains("`aiw extension enable acme-index`"), "{}", run.whole());
    env.run(&["extension", "enable", "acme-index"]).ok();
    let info = env.json(&["extension", "info", "acme-index"]);
    assert_eq!(info["extension"]["enabled"], true);
}

/// Starts a loopback server with the index `tools` and the repository `acme/ledger`.
fn acme(env: &Environment) -> (Server, String) {
    let plugin = Market::new(env.path("ledger"), "ledger")
        .file(".claude-plugin/plugin.json", r#"{"name": "ledger", "version": "3.0.0"}"#)
        .file(".mcp.json", r#"{"ledger": {"command": "${CLAUDE_PLUGIN_ROOT}/serve"}}"#)
        .file("serve", "#!/bin/sh\n");
    let commit = commit_all(plugin.root());
    fs::create_dir_all(env.path("srv/acme")).unwrap();
    git(plugin.root(), &["clone", "-q", "--bare", ".", &env.path("srv/acme/ledger.git").display().to_string()]);
    let backend = git_backend(env.path("srv"));
    let index = json!({"title": "Tools of the data team", "tools": [{"id": "ledger", "about": "Asks the ledger",
        "kind": "data", "release": {"repo": "https://github.com/acme/ledger.git", "commit": commit}}]});
    let server = Server::start(move |request| match request.path.as_str() {
        "/tools/index.json" => Answer::ok(index.to_string()),
        path if path.ends_with("index.json") => Answer::status(404),
        _ => backend(request),
    });
    env.git_config(&format!("[url \"{}/\"]\n\tinsteadOf = https://github.com/\n", server.url()));
    (server, commit)
}

fn point(env: &Environment, id: &str, url: &str) {
    let mut settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap_or_else(|_| json!({}));
    settings["sources"][id]["base_url"] = url.into();
    env.settings(&settings);
}

fn journey(id: &str, reference: &str, market: &str) {
    let env = Environment::new();
    add(&env, &component(id)).ok();
    let (server, commit) = acme(&env);
    point(&env, id, &server.url());
    let added = env.run(&["plugin", "marketplace", "add", reference]).ok();
    assert!(added.stdout.ends_with(": 1 plugin\n1 of them brings MCP servers\n"), "{}", added.whole());
    let listed = env.json(&["plugin", "list", "--available"]);
    let ledger = format!("ledger@{market}");
    assert_eq!(listed["plugins"][0]["id"], ledger);
    assert_eq!(listed["plugins"][0]["mcp_servers"], json!([{"name": "ledger", "type": "stdio"}]));
    let done = env.json(&["plugin", "install", "ledger", "--yes"]);
    assert_eq!(done["installed"][0]["commit"], commit.as_str());
    assert_eq!(done["installed"][0]["version"], "3.0.0");
    let command = env.mcp()["mcpServers"]["ledger"]["command"].as_str().unwrap().to_owned();
    assert!(Path::new(&command).is_file(), "{command}");
    assert_eq!(env.json(&["plugin", "list"])["plugins"][0]["id"], ledger);
    let updated = env.run(&["plugin", "marketplace", "update", market]).ok();
    assert_eq!(updated.stdout, format!("{market}: unchanged, 1 plugin\n"));

    let run = env.run(&["plugin", "marketplace", "add", &reference.replace("tools", "absent")]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert!(run.stderr.contains("/absent/index.json` does not exist"), "{}", run.whole());

    // Without its component, the market stays listed and its plugin stays installed.
    let run = env.run(&["extension", "remove", id]).ok();
    assert_eq!(run.stderr, format!("these marketplaces can't be fetched without it: {market}\n"));
    let run = env.run(&["plugin", "marketplace", "update", market]);
    assert_eq!(run.stderr.lines().next(), Some(&*format!("error: there is no extension `{id}`")), "{}", run.whole());
    env.run(&["plugin", "list"]).ok();
    env.run(&["plugin", "remove", "ledger"]).ok();
}

#[test]
fn a_marketplace_of_a_strangers_kind_is_added_and_installed_from() {
    journey("acme-index", "acme:tools", "acme-tools");
}

#[test]
fn the_references_of_an_extension_are_shown_where_they_are_needed() {
    let env = with_acme();
    let info = env.run(&["extension", "info", "acme-index"]).ok();
    insta::assert_snapshot!(info.stdout.lines().skip_while(|line| !line.contains("references")).take(3).collect::<Vec<_>>().join("\n"), @"
    references to marketplaces:
      acme:NAME, for example `acme:data`
    plugin sources: acme
    ");
    let answer = env.json(&["extension", "info", "acme-index"]);
    assert_eq!(answer["extension"]["references"], json!([{"form": "acme:NAME", "example": "acme:data"}]));
    assert_eq!(answer["extension"]["entry_forms"], json!(["acme"]));
    assert_eq!(env.json(&["extension", "info", "provider-google"])["extension"]["presets"], json!(["google"]));
    insta::assert_snapshot!(env.run(&["plugin", "marketplace", "add", "foo:bar"]).whole(), @"
    ------- stderr -------
    error: `foo:bar` is not a reference that any source knows
    hint: use `owner/repo` (GitHub), a git URL, a directory, or the URL of a marketplace.json; your extensions read `acme:NAME`
    ------- exit code 2 -------
    ");
    insta::assert_snapshot!(env.run(&["plugin", "marketplace", "add", "foo:bar", "--source", "acme-index"]).whole(), @"
    ------- stderr -------
    error: `foo:bar` is not a reference that any source knows
    hint: `acme-index` reads `acme:NAME`
    ------- exit code 2 -------
    ");
    // A disabled one reads nothing.
    env.run(&["extension", "disable", "acme-index"]).ok();
    let run = env.run(&["plugin", "marketplace", "add", "foo:bar"]);
    assert!(!run.stderr.contains("acme:NAME"), "{}", run.whole());
    assert_eq!(env.json(&["extension", "info", "acme-index"])["extension"]["references"], json!([]));
}

#[test]
fn a_private_address_is_answered_with_how_to_grant_it() {
    let env = Environment::new();
    let here = altered(&env, "acme-index", "here.wasm", &[("plugins.acme.example", "[fd00::12:34:5]:8443")]);
    add(&env, &here).ok();
    insta::assert_snapshot!(env.run(&["plugin", "marketplace", "add", "acme:tools"]).whole(), @"
    ------- stderr -------
    error: `[fd00::12:34:5]` is not a public address, and nothing allows aiw to reach it; one that you set in settings.json as `sources.acme-index.base_url` is allowed
    ------- exit code 2 -------
    ");
}

#[test]
fn removing_an_extension_names_the_providers_that_need_it() {
    let env = Environment::new();
    add(&env, &component("acme-spread")).ok();
    let provider = ["provider", "add", "mine", "--preset", "acme-spread", "--token-env", "X_KEY"];
    env.run(&provider).ok();
    env.run(&["provider", "add", "other", "--preset", "openrouter", "--token-env", "X_KEY"]).ok();
    let run = env.run(&["extension", "remove", "acme-spread"]).ok();
    assert_eq!(run.stderr, "these providers don't work without it: mine\n");
    add(&env, &component("acme-spread")).ok();
    let answer = env.json(&["extension", "remove", "acme-spread"]);
    assert_eq!(answer, json!({"removed": "acme-spread", "marketplaces": [], "providers": ["mine"]}));
}

#[test]
fn the_same_component_in_javascript_does_the_same() {
    if !components_dir().join("acme-index-js.wasm").is_file() {
        return not_run("acme-index-js is not built (node and npm build it)");
    }
    journey("acme-index-js", "acmejs:tools", "acme-tools");
}

#[test]
fn two_components_that_claim_a_reference_are_settled_by_source() {
    let env = with_acme();
    let other = altered(&env, "acme-index", "other.wasm", &[("\"id\": \"acme-index\"", "\"id\": \"acme-other\"")]);
    add(&env, &other).ok();
    let (server, _) = acme(&env);
    point(&env, "acme-other", &server.url());
    insta::assert_snapshot!(whole(&env, &env.run(&["plugin", "marketplace", "add", "acme:tools"])), @"
    ------- stderr -------
    error: `acme:tools` is claimed by several sources
    hint: choose with `--source acme-index` or `--source acme-other`, or disable one: `aiw extension disable acme-other`
    ------- exit code 2 -------
    ");
    env.run(&["plugin", "marketplace", "add", "acme:tools", "--source", "acme-other"]).ok();
    let settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap();
    assert_eq!(settings["extraKnownMarketplaces"]["acme-tools"]["source"]["extension"], "acme-other");
    // An update uses the source that was chosen.
    env.run(&["plugin", "marketplace", "update", "acme-tools"]).ok();
}

#[test]
fn a_component_that_claims_everything_has_only_what_nobody_else_reads() {
    let env = Environment::new();
    add(&env, &component("hostile")).ok();
    let server = Server::start(|_| Answer::ok(r#"{"name": "mine", "owner": {"name": "T"}, "plugins": []}"#));
    let url = format!("{}/claimed-by-all.json", server.url());
    let run = env.run(&["plugin", "marketplace", "add", &url, "--yes"]).ok();
    assert_eq!(
        run.stderr,
        "component `hostile` claims the reference as well: `--source hostile` lets it read it, `aiw extension disable \
         hostile` switches it off\n"
    );
    let settings: Value = serde_json::from_str(&env.read("settings.json")).unwrap();
    let source = &settings["extraKnownMarketplaces"]["mine"]["source"];
    assert_eq!((&source["source"], &source["extension"]), (&json!("url"), &Value::Null));
    // When chosen by name, it reads what no other source reads.
    let run = env.run(&["plugin", "marketplace", "add", &url, "--yes", "--source", "hostile"]).ok();
    assert!(run.stdout.starts_with("Added marketplace polite from hostile:polite"), "{}", run.whole());
    env.run(&["plugin", "marketplace", "remove", "polite"]).ok();
    env.run(&["plugin", "marketplace", "add", "claimed-by-all"]).ok();
    env.run(&["extension", "disable", "hostile"]).ok();
    assert_eq!(env.run(&["plugin", "marketplace", "add", &url, "--yes"]).ok().stderr, "");
}

#[test]
fn the_formats_own_source_forms_are_never_a_components() {
    let env = Environment::new();
    let usurper = altered(&env, "hostile", "usurper.wasm", &[("mygits", "github")]);
    add(&env, &usurper).ok();
    insta::assert_snapshot!(env.run(&["plugin", "marketplace", "add", "hostile:forms", "--no-inspect"]).whole(), @"
    Added marketplace forms from hostile:forms: 3 plugins
    0 of them bring MCP servers, 1 is not yet inspected
    ------- stderr -------
    component `hostile` names the source form `github`, which is aiw's own; the component is not asked for it
    plugin `package` is left out: the source form `npm` is not installed: npm would run the package's install scripts
    plugin `own` is left out: it has a `github` source without `repo`
    ------- exit code 0 -------
    ");
    let found = env.json(&["plugin", "info", "claimed@forms"]);
    assert_eq!(found["plugin"]["source"], "github:acme/ledger", "{found:#}");
    // The host reads it from the place that the user's configuration sets for GitHub.
    let (_server, commit) = acme(&env);
    let done = env.json(&["plugin", "install", "claimed@forms", "--yes"]);
    assert_eq!(done["installed"][0]["commit"], commit.as_str());
}

#[test]
fn an_update_to_a_lower_version_stops() {
    let env = with_acme();
    altered(&env, "acme-index", "acme.wasm", &[("\"version\": \"0.1.0\"", "\"version\": \"0.0.9\"")]);
    let before = env.read("extensions.lock");
    insta::assert_snapshot!(whole(&env, &env.run(&["extension", "update", "acme-index"])), @"
    ------- stderr -------
    error: component `acme-index` has version 0.1.0, and its source has the lower version 0.0.9
    hint: `aiw extension update acme-index --accept-changes` accepts this
    ------- exit code 2 -------
    ");
    assert_eq!(env.read("extensions.lock"), before);
    let run = env.run(&["extension", "update"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    let run = env.run(&["extension", "update", "acme-index", "--accept-changes"]).ok();
    assert!(run.stdout.starts_with("Updated acme-index to 0.0.9 (sha256 "), "{}", run.whole());
    // The component also asks for more: both messages are shown.
    altered(
        &env,
        "acme-index",
        "acme.wasm",
        &[("\"version\": \"0.1.0\"", "\"version\": \"0.0.1\""), ("plugins.acme.example", "plugins.more.example")],
    );
    insta::assert_snapshot!(whole(&env, &env.run(&["extension", "update", "acme-index"])), @"
    ------- stderr -------
    component `acme-index` 0.0.1 asks for more than you agreed to: ask `plugins.more.example` over HTTPS
    error: component `acme-index` has version 0.0.9, and its source has the lower version 0.0.1
    hint: `aiw extension update acme-index --accept-changes` accepts this
    ------- exit code 2 -------
    ");
}

#[test]
fn a_component_that_misbehaves_ends_with_one_line_and_nothing_changes() {
    let env = Environment::new();
    add(&env, &component("hostile")).ok();
    let before = env.read("settings.json");
    let mut said = String::new();
    for mode in ["loop", "memory", "recursion", "big-answer", "escape-error"] {
        let run = env.run(&["plugin", "marketplace", "add", &format!("hostile:{mode}")]);
        assert_ne!(run.code, 0, "{mode}");
        assert_eq!(run.stderr.lines().count(), 1, "{mode}: {}", run.whole());
        said.push_str(&format!("{} {}", run.code, run.stderr));
    }
    let run = env.run(&["plugin", "marketplace", "add", "hostile:panic"]);
    assert!(run.stderr.starts_with("error: component `hostile` gave up: panicked at src/lib.rs:"), "{}", run.whole());
    assert_eq!((run.code, run.stderr.lines().count()), (70, 1), "{}", run.whole());
    // When it fails to claim a reference, it is skipped, because others may know the reference.
    let run = env.run(&["plugin", "marketplace", "add", "hostile:claim-panic"]);
    let said_so =
        "error: `hostile:claim-panic` is not a reference that any source knows (component `hostile` is skipped: ";
    assert!(run.stderr.starts_with(said_so), "{}", run.whole());
    assert_eq!((run.code, run.stderr.lines().count()), (2, 2), "{}", run.whole());
    insta::assert_snapshot!(said, @r#"
    70 error: component `hostile` ran for 2 s without an answer and was stopped
    70 error: component `hostile` wanted more than 64 MiB of memory
    70 error: component `hostile` ran out of stack, as endless recursion does, or read outside its memory
    70 error: component `hostile` handed over more than 20 MiB in one call
    2 error: bad \u{1b}]0;title\u{7} text second line
    "#);
    assert_eq!(env.read("settings.json"), before);
    // It does not block other sources.
    let market = Market::new(env.path("m"), "m");
    env.add(market.root()).ok();
}

#[test]
fn a_component_is_called_without_being_added() {
    let env = Environment::new();
    let path = component("acme-index").display().to_string();
    let call = |arguments: &[&str]| {
        let fixed = ["extension", "call", path.as_str()];
        env.run(&fixed.iter().chain(arguments).copied().collect::<Vec<_>>())
    };
    insta::assert_snapshot!(call(&["describe"]).whole(), @r#"
    {
      "label": "Acme plugin index",
      "references": [
        {
          "form": "acme:NAME",
          "example": "acme:data"
        }
      ],
      "entry_forms": [
        "acme"
      ]
    }
    ------- stderr -------
    ------- exit code 0 -------
    "#);
    insta::assert_snapshot!(call(&["claim", "acme:tools"]).whole(), @r#"
    {
      "claim": {
        "kind": "acme",
        "location": "tools",
        "ref": null
      }
    }
    ------- stderr -------
    ------- exit code 0 -------
    "#);
    insta::assert_snapshot!(call(&["claim", "other"]).whole(), @r#"
    {
      "claim": null
    }
    ------- stderr -------
    ------- exit code 0 -------
    "#);
    insta::assert_snapshot!(call(&["claim"]).whole(), @"
    ------- stderr -------
    error: the reference of a marketplace is missing
    ------- exit code 64 -------
    ");
    insta::assert_snapshot!(call(&["fetch-marketplace", "acme:tools"]).whole(), @"
    ------- stderr -------
    error: no recorded answer for `https://plugins.acme.example/tools/index.json`
    ------- exit code 69 -------
    ");
    let index = json!({"title": "T", "tools": []}).to_string();
    let answers = json!({"https://plugins.acme.example/tools/index.json": {"status": 200, "body": index},
        "https://mirror.example/tools/index.json": {"status": 200, "body": index}});
    fs::write(env.path("http.json"), answers.to_string()).unwrap();
    insta::assert_snapshot!(call(&["fetch-marketplace", "acme:tools", "--http", "http.json"]).whole(), @r#"
    {
      "revision": "bcc7f813020005d170dc04bd5d5edcba",
      "document": {
        "name": "acme-tools",
        "owner": {
          "name": "Acme"
        },
        "description": "T",
        "plugins": []
      }
    }
    ------- stderr -------
    ------- exit code 0 -------
    "#);
    let mirror = ["--http", "http.json", "--setting", "base_url=https://mirror.example"];
    let run = call(&["fetch-marketplace", "acme:tools"].into_iter().chain(mirror).collect::<Vec<_>>()).ok();
    assert!(run.stdout.contains("acme-tools"), "{}", run.whole());
    assert!(!env.home().join("extensions.lock").exists());
}

#[test]
fn a_provider_is_called_without_being_added() {
    let env = Environment::new();
    let path = component("acme-spread").display().to_string();
    let call = |arguments: &[&str]| {
        let fixed = ["extension", "call", path.as_str()];
        env.run(&fixed.iter().chain(arguments).copied().collect::<Vec<_>>())
    };
    insta::assert_snapshot!(call(&["describe"]).whole(), @r#"
    {
      "label": "Several keys of one provider",
      "presets": [
        {
          "id": "acme-spread",
          "label": "Acme, over several keys",
          "base_urls": {
            "anthropic": "https://llm.acme.example",
            "openai": "https://llm.acme.example/v1"
          },
          "token": "optional",
          "token_page": null,
          "model": null
        }
      ]
    }
    ------- stderr -------
    ------- exit code 0 -------
    "#);
    insta::assert_snapshot!(call(&["plan", "--secret", "key-a", "--model", "large"]).whole(), @r#"
    {
      "intent": {
        "api": "messages",
        "auth": {
          "kind": "bearer",
          "secret": "key-a"
        },
        "headers": [],
        "models": {
          "main": "large",
          "large": null,
          "medium": null,
          "small": null
        },
        "tuning": {
          "context_tokens": null,
          "output_tokens": null,
          "timeout_seconds": null,
          "no_betas": false,
          "no_prompt_caching": false,
          "no_tool_search": false
        },
        "tag": "key-a",
        "notes": [
          "key `key-a` of 1"
        ]
      }
    }
    ------- stderr -------
    ------- exit code 0 -------
    "#);
    insta::assert_snapshot!(call(&["plan", "nope"]).whole(), @"
    ------- stderr -------
    error: the component has no preset `nope`
    hint: its presets: `acme-spread`
    ------- exit code 2 -------
    ");
    let run = call(&["check", "--secret", "key-a"]);
    assert!(run.code == 69 && run.stderr.contains("no recorded answer for"), "{}", run.whole());
    let run = call(&["claim", "acme:x"]);
    assert!(run.code == 2 && run.stderr.contains("is not a `market-source`"), "{}", run.whole());
    assert!(!env.home().join("extensions.lock").exists());
}

#[test]
fn the_json_of_extensions_has_its_shape() {
    let env = with_acme();
    let json = |arguments: &[&str]| {
        let mut answer = env.json(arguments);
        // Which WASI interfaces are imported depends on the toolchain.
        if let Some(imports) = answer.pointer_mut("/extension/grants/imports").and_then(Value::as_array_mut) {
            imports.retain(|import| !import.as_str().unwrap().starts_with("wasi:"));
        }
        env.stable(&format!("{answer:#}"))
    };
    insta::assert_snapshot!(json(&["extension", "info", "acme-index"]), @r#"
    {
      "extension": {
        "id": "acme-index",
        "version": "0.1.0",
        "label": "Acme plugin index",
        "publisher": "Acme Ltd",
        "homepage": "https://plugins.acme.example",
        "worlds": [
          "market-source"
        ],
        "origin": "installed",
        "enabled": true,
        "source": "[TMP]/acme.wasm",
        "sha256": "[DIGEST]",
        "grants": {
          "hosts": [
            "plugins.acme.example"
          ],
          "imports": [
            "http",
            "log",
            "settings",
            "trees"
          ],
          "origins": [
            "git:github.com"
          ],
          "settings": [
            "base_url"
          ]
        },
        "problem": null,
        "references": [
          {
            "form": "acme:NAME",
            "example": "acme:data"
          }
        ],
        "entry_forms": [
          "acme"
        ],
        "presets": [],
        "server_names": []
      }
    }
    "#);
    insta::assert_snapshot!(json(&["extension", "disable", "acme-index"]), @r#"
    {
      "extension": {
        "id": "acme-index",
        "enabled": false
      }
    }
    "#);
    insta::assert_snapshot!(json(&["extension", "update"]), @r#"
    {
      "updated": [],
      "unchanged": [
        "acme-index"
      ],
      "failed": []
    }
    "#);
    insta::assert_snapshot!(json(&["extension", "verify", "market-local"]), @r#"
    {
      "extensions": [
        {
          "id": "market-local",
          "good": true,
          "problem": null
        }
      ]
    }
    "#);
    insta::assert_snapshot!(json(&["extension", "remove", "acme-index"]), @r#"
    {
      "removed": "acme-index",
      "marketplaces": [],
      "providers": []
    }
    "#);
    let listed = env.json(&["extension", "list"]);
    let ids: Vec<_> = listed["extensions"].as_array().unwrap().iter().map(|e| e["id"].as_str().unwrap()).collect();
    let bundled = [
        "market-github",
        "market-local",
        "market-remote",
        "provider-anthropic",
        "provider-gateway",
        "provider-google",
        "provider-openai",
        "registry-official",
        "registry-smithery",
    ];
    assert_eq!(ids, bundled);
}

#[test]
fn a_new_provider_builds_and_passes_its_tests() {
    let (env, project) = built_project("my-llm");
    let run: Run = env.program(Path::new("cargo")).arg("test").current_dir(&project).output().unwrap().into();
    assert_eq!(run.code, 0, "{}", run.whole());
    // Of the pure functions, and of the component in aiw.
    for test in ["tests::a_cli_gets_the_key_and_the_model ... ok", "a_key_is_checked ... ok"] {
        assert!(run.stdout.contains(test), "{}", run.whole());
    }
    let file = guest_target().join("wasm32-wasip2/release/my_llm.wasm").display().to_string();
    env.run(&["extension", "add", &file, "--yes"]).ok();
    env.run(&["provider", "add", "llm", "--preset", "my-llm", "--token-env", "X_KEY"]).ok();
}

#[test]
fn a_new_registry_builds_and_passes_its_tests() {
    // The SDK has something of this name too.
    let (env, project) = built_project("server");
    let run: Run = env.program(Path::new("cargo")).arg("test").current_dir(&project).output().unwrap().into();
    assert_eq!(run.code, 0, "{}", run.whole());
    // Of the pure functions, and of the component in aiw.
    for test in ["tests::every_word_of_a_query_counts ... ok", "a_server_says_what_it_needs ... ok"] {
        assert!(run.stdout.contains(test), "{}", run.whole());
    }
    let file = guest_target().join("wasm32-wasip2/release/server.wasm").display().to_string();
    env.run(&["extension", "add", &file, "--yes"]).ok();
    let shown = env.run(&["extension", "info", "server"]).ok().stdout;
    assert!(shown.contains("  names of MCP servers:\n    server/NAME, for example `server/hello`\n"), "{shown}");
    env.run(&["extension", "verify", "server"]).ok();
    // Pages of changes are another kind of registry's.
    let run = env.run(&["extension", "call", &file, "changes"]);
    assert!(run.code == 2 && run.stderr.contains("this registry does not report what changed"), "{}", run.whole());
    // Each save builds and calls it again, and an error is shown and waits for the next.
    let directory = project.display().to_string();
    let mut terminal = Terminal::start(&env, &["extension", "dev", "--project", &directory, "describe"]);
    terminal.wait_for("MCP servers of server");
    let lib = project.join("src/lib.rs");
    let source = fs::read_to_string(&lib).unwrap();
    fs::write(&lib, source.replace("MCP servers of server", "The second build")).unwrap();
    terminal.wait_for("The second build");
    fs::write(&lib, "fn broken(").unwrap();
    terminal.wait_for("json-render-diagnostics` failed");
    terminal.press("\x03");
    assert_eq!(terminal.ends().exit_code(), 130);
    let below = project.join("src").display().to_string();
    let missing = env.run(&["extension", "dev", "--project", &below, "describe"]);
    assert!(missing.code == 2 && missing.stderr.contains("is not a project of an extension"), "{}", missing.whole());
}

#[test]
fn a_project_of_a_component_needs_no_home() {
    let mut env = Environment::new();
    env.unset("AIW_HOME");
    env.unset("HOME");
    env.run(&["extension", "new", "my-source", "--kind", "registry-source"]).ok();
    assert_eq!(env.run(&["extension", "list"]).code, 3);
}

#[test]
fn a_new_project_builds_tests_and_adds_by_the_commands_that_it_prints() {
    let (env, project, said) = new_project("my-market", "market-source");
    fs::create_dir_all(guest_target()).unwrap();
    std::os::unix::fs::symlink(guest_target(), project.join("target")).unwrap();
    insta::assert_snapshot!(said, @"
    Wrote my-market; next:
      cd my-market
      rustup target add wasm32-wasip2
      cargo build --release --target wasm32-wasip2
      cargo test
      aiw extension add target/wasm32-wasip2/release/my_market.wasm
    ");
    let commands: Vec<Vec<&str>> = said.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    for command in &commands {
        match command[..] {
            ["cd", "my-market"] => {}
            // This command needs the network, and the setup has already run it.
            ["rustup", "target", "add", "wasm32-wasip2"] => {}
            ["cargo", ..] => {
                let run: Run =
                    env.program(Path::new("cargo")).args(&command[1..]).current_dir(&project).output().unwrap().into();
                assert_eq!(run.code, 0, "{command:?}: {}", run.whole());
            }
            ["aiw", "extension", "add", file] => {
                let run: Run =
                    env.command(&["extension", "add", file, "--yes"]).current_dir(&project).output().unwrap().into();
                assert_eq!(run.code, 0, "{}", run.whole());
            }
            _ => panic!("the test does not know the command {command:?}"),
        }
    }
    env.run(&["extension", "verify", "my-market"]).ok();
    let again = env.run(&["extension", "new", "my-market", "--kind", "market-source"]);
    assert_eq!(again.stderr.lines().next(), Some("error: `my-market` already exists"));
}

/// The files of compiled code, with what changes when one is written again.
fn compiled(env: &Environment) -> Vec<(PathBuf, u64)> {
    use std::os::unix::fs::MetadataExt;

    let files = fs::read_dir(env.home().join("cache/compiled-v1")).into_iter().flatten().flatten();
    // A temporary file may be gone by now.
    files.filter_map(|file| Some((file.path(), file.metadata().ok()?.ino()))).collect()
}

#[test]
fn a_component_is_compiled_once_for_its_author_and_its_user() {
    let env = Environment::cold();
    let path = component("acme-index").display().to_string();
    env.run(&["extension", "call", &path, "describe"]).ok();
    let first = compiled(&env);
    assert_eq!(first.len(), 1);
    env.run(&["extension", "call", &path, "claim", "acme:tools"]).ok();
    add(&env, Path::new(&path)).ok();
    env.run(&["extension", "info", "acme-index"]).ok();
    env.run(&["extension", "verify", "acme-index"]).ok();
    assert_eq!(compiled(&env), first);
}

/// The test holds the turn, as a process that compiles does.
#[test]
fn of_two_processes_one_compiles_and_the_other_uses_the_result() {
    let env = Environment::cold();
    let path = component("acme-index").display().to_string();
    let call = ["extension", "call", path.as_str(), "describe"];
    let said = env.run(&call).ok().stdout;
    let [(file, _)] = compiled(&env).try_into().unwrap();
    let code = fs::read(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let lock = File::create(file.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    // One waits, and shows it.
    let mut terminal = Terminal::start(&env, &call);
    terminal.wait_for("compiling acme-index: ");
    assert!(!file.exists());
    // Once the code is there, it is used.
    fs::write(&file, &code).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let made = compiled(&env).into_iter().find(|(path, _)| *path == file);
    drop(lock);
    terminal.ends();
    assert_eq!(compiled(&env), Vec::from_iter(made), "it is compiled once more, or the turn stays");

    // Several begin at once: one of them compiles.
    fs::remove_file(&file).unwrap();
    let lock = File::create(file.with_extension("lock")).unwrap();
    lock.lock().unwrap();
    let all: Vec<_> = (0..3).map(|_| env.start(&call)).collect();
    std::thread::sleep(Duration::from_millis(500));
    let over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let seen = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !over.load(Ordering::Relaxed) {
                seen.extend(compiled(&env).into_iter().filter(|(path, _)| *path == file).map(|(_, inode)| inode));
                std::thread::sleep(Duration::from_millis(1));
            }
            seen
        });
        drop(lock);
        for child in all {
            let output = child.wait_with_output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), said);
        }
        over.store(true, Ordering::Relaxed);
        seen.join().unwrap()
    });
    assert_eq!(written.len(), 1);
}

#[test]
fn a_terminal_shows_what_compiles_for_longer_than_a_second() {
    let name = "acme-index-js";
    if !components_dir().join(format!("{name}.wasm")).is_file() {
        return not_run("acme-index-js is not built (node and npm build it)");
    }
    let env = Environment::cold();
    let path = component(name).display().to_string();
    let mut terminal = Terminal::start(&env, &["extension", "call", &path, "describe"]);
    terminal.wait_for(&format!("compiling {name}: "));
    // The rest of it would take half a minute.
    terminal.press("\x03");
    terminal.ends();
}

/// What the registry in JavaScript does in place of saying that it has no changes.
const SLIP: &str = "  return undefined.changes;";

/// Makes, builds, tests and adds a project in JavaScript by the commands that it prints.
fn javascript(kind: &str, passing: &[&str]) -> Option<Environment> {
    // As npm installed them for the example, whose lock file the project has.
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/acme-index-js/node_modules");
    if !modules.is_dir() {
        not_run("the example in JavaScript is not built (node and npm build it)");
        return None;
    }
    let mut env = Environment::cold();
    let (binary, _) = env.parts();
    env.set("AIW", binary.display().to_string());
    let made = env.run(&["extension", "new", "my-js", "--kind", kind, "--lang", "js"]).ok();
    let said = "Wrote my-js; next:\n  cd my-js\n  npm ci\n  npm test\n  aiw extension add dist/my-js.wasm\n";
    assert_eq!(made.stdout, said);
    let project = env.path("my-js");
    std::os::unix::fs::symlink(modules.canonicalize().unwrap(), project.join("node_modules")).unwrap();
    let source = fs::read_to_string(project.join("source.mjs")).unwrap();
    let slipped = source.replace("  throw failure(\"invalid\", \"this registry does not report what changed\");", SLIP);
    fs::write(project.join("source.mjs"), slipped).unwrap();
    // npm refuses a lock file that does not match the package.
    let npm = |words: &[&str]| -> Run {
        env.program(Path::new("npm")).args(words).current_dir(&project).output().unwrap().into()
    };
    let locked = npm(&["ls", "--package-lock-only", "--offline"]);
    assert_eq!(locked.code, 0, "{}", locked.whole());
    let run = npm(&["test"]);
    assert_eq!(run.code, 0, "{}", run.whole());
    // Of the pure functions, and of the component in aiw.
    for test in passing {
        assert!(run.stdout.contains(test), "{}", run.whole());
    }
    let first = compiled(&env);
    assert_eq!(first.len(), 1);
    let add: Run =
        env.command(&["extension", "add", "dist/my-js.wasm", "--yes"]).current_dir(&project).output().unwrap().into();
    assert_eq!(add.code, 0, "{}", add.whole());
    // Nobody is asked for what it doesn't use.
    for unused in ["(`cache`)", "(`clock`)", "(`embeddings`)", "(`mcp`)", "(`tasks`)", "(`trees`)", "(`vectors`)"] {
        // A marketplace is read from a tree.
        if kind == "market-source" && unused == "(`trees`)" {
            continue;
        }
        assert!(!add.whole().contains(unused), "{}", add.whole());
    }
    assert_eq!(compiled(&env), first);
    Some(env)
}

#[test]
fn a_new_market_source_in_javascript_builds_tests_and_adds() {
    javascript("market-source", &["names are claimed", "the component fetches a marketplace"]);
}

#[test]
fn a_new_provider_in_javascript_builds_tests_and_adds() {
    let passing =
        ["a key is named in the request", "the component gives a CLI the key", "the component lists the models"];
    let Some(env) = javascript("provider", &passing) else { return };
    // It is there as a provider is.
    let presets = env.run(&["provider", "presets"]).ok().stdout;
    assert!(presets.contains("my-js"), "{presets}");
}

#[test]
fn a_new_registry_in_javascript_builds_tests_and_adds() {
    let passing =
        ["every word of a query counts", "the component finds a server", "the component says what a server needs"];
    let Some(env) = javascript("registry-source", &passing) else { return };
    let shown = env.run(&["extension", "info", "my-js"]).ok().stdout;
    assert!(shown.contains("my-js/NAME, for example `my-js/hello`"), "{shown}");
    // An error that is none of the contract's is named with its place.
    let run = env.run(&["extension", "call", "my-js/dist/my-js.wasm", "changes"]);
    let line =
        1 + fs::read_to_string(env.path("my-js/source.mjs")).unwrap().lines().position(|line| line == SLIP).unwrap();
    assert!(run.stderr.contains("gave up: TypeError: ") && run.code == 70, "{}", run.whole());
    assert!(run.stderr.contains(&format!("(source.mjs:{line})")), "{}", run.whole());
    // Each save builds and calls it again. Ctrl-C ends a build with all that it runs.
    let project = env.path("my-js");
    let mut terminal = Terminal::start(&env, &["extension", "dev", "--project", "my-js", "describe"]);
    terminal.wait_for("waiting for a change in `my-js`");
    assert!(terminal.shown().contains("MCP servers of my-js"), "{}", terminal.shown());
    assert_eq!(programs_in(&project), 0);
    let source = fs::read_to_string(project.join("source.mjs")).unwrap();
    fs::write(project.join("source.mjs"), format!("{source}// Saved.\n")).unwrap();
    until(|| programs_in(&project) > 0);
    terminal.press("\x03");
    assert_eq!(terminal.ends().exit_code(), 130);
    until(|| programs_in(&project) == 0);
}

/// The number of programs that run in a directory.
fn programs_in(directory: &Path) -> usize {
    let directory = directory.canonicalize().unwrap();
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter(|entry| fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd == directory)).count()
}

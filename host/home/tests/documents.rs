//! Every document that is valid is read, and written back byte for byte where nothing changed. What is wrong is refused
//! with a sentence that names the place; the snapshots keep these sentences.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::CliKind;
use aiw_home::{Home, HomeError};
use serde_json::{Value, json};

/// A document with each field of a provider and of a pool, as aiw writes them.
const PROVIDERS: &str = r#"{
  "version": 1,
  "mine": {"kept":   true},
  "default": {"claude": "router", "codex": "pair"},
  "pools": {
    "pair": {"members": ["router", {"provider": "work", "model": "m"}], "strategy": "least-busy", "note": "kept"}
  },
  "providers": {
    "router": {"preset": "openrouter", "token": {"secret": "router"}, "note": [1,  2]},
    "work": {
      "preset": "litellm",
      "component": "acme-providers",
      "id": "aiw-7f3k2m9q4x1c",
      "origins": {"anthropic": "https://llm.example.com"},
      "base_urls": {"anthropic": "https://llm.example.com", "openai": "https://llm.example.com/v1"},
      "api": "chat-completions",
      "gateway": true,
      "model": "some/model",
      "models": {"large": "l", "medium": "d", "small": "s", "claude": "c", "codex": "x", "gemini": "g"},
      "clis": ["claude", "codex"],
      "scenario": "customers' code",
      "env": {"Z": "60000", "A": "${OTHER}", "C": {"secret": "c"}},
      "headers": {"X-Team": "a b", "X-Key": {"secret": "k"}},
      "token": "${WORK_LLM_KEY}",
      "secrets": {"second": {"secret": "w2"}},
      "scrub_env": ["WORK_LLM_KEY"]
    }
  }
}
"#;

/// A document with each field of each section that aiw writes, as it writes them.
const SETTINGS: &str = r#"{
  "$schema": "https://example.com/x",
  "extraKnownMarketplaces": {
    "claude-plugins-official": {"source": {"source": "github", "repo": "anthropics/claude-plugins-official"}, "x": 1},
    "team": {"source": {"source": "git", "url": "https://git.example.com/team/plugins.git", "ref": "stable"}},
    "place": {"source": {"source": "directory", "path": "/p"}, "enabled": false},
    "acme": {"source": {"source": "acme", "location": "l", "extension": "acme-index"}}
  },
  "enabledPlugins": {"github@claude-plugins-official": true},
  "trustedDirectories": ["/home/me/work"],
  "trustedFiles": {"/home/me/work/.mcp.json": "sha256:00"},
  "clis": {"codex": {"permission": "edit"}},
  "tasks": {"limit": 64},
  "mcp": {
    "toolsets": ["tasks", "servers"],
    "scripts": ["a/*"],
    "servers": {"slow": {"timeout": 300, "idle": 3600, "shared": true, "enabled": false}},
    "list": {"tokens": 8000, "tools": 4, "always": ["github"], "never": ["x"]},
    "profiles": {"careful": {"allow": ["time/*"], "deny": ["*/delete*"], "scripts": ["b/*"], "list": {"tokens": 1}}}
  },
  "history": {"exclude": ["~/work/clients/**", "diary"], "redact": "strict"},
  "planner": {
    "api": "messages", "url": "https://h", "key": {"secret": "planner"}, "model": "m", "timeout_seconds": 5,
    "code_timeout_seconds": 7, "max_plan_tokens": 200, "context_tokens": 8000, "note": "kept"
  },
  "models": {
    "m": {
      "context": 1000, "output": 100,
      "price": {"input": 1, "cached": 0.5, "cache_written": 1.5, "cache_written_1h": 3, "output": 2}
    },
    "m*": {"context": 5}
  },
  "budgets": {
    "day": {"usd": 2.5, "per": "day", "provider": "router", "project": "/p", "action": "block"},
    "month": {"tokens": 7, "per": "month", "action": "warn"}
  },
  "updates": {"url": "https://releases.example.com/aiw/latest.json"},
  "sources": {"market-github": {"base_url": "https://github.example.com"}}
}
"#;

/// What excludes something of the other document: a planning model of a provider's, and an older name.
const OTHER_SETTINGS: &str = r#"{
  "planner": {"provider": "router", "model": "m", "timeout_seconds": 5, "url": "not read", "key": "not read"},
  "models": {"m": {"price": {"input": 1, "output": 2}}, "m*": {"context": 5}},
  "offerDefaultMarketplace": false,
  "extraKnownMarketplaces": {"claude-code-official": {"source": {"source": "url", "url": "https://h/m.json"}}}
}
"#;

/// The records of plugins with each field.
const PLUGINS: &str = r#"{
  "version": 1,
  "mine": 1,
  "plugins": {
    "git@team": {
      "version": "1.2", "commit": "0123456789abcdef0123456789abcdef01234567", "digest": "0a", "installed_at": "t",
      "enabled": true, "source": "s", "note": "kept",
      "servers": [
        {"name": "n", "key": "k", "declaration": {"a": 1}, "written": {"b": 2}, "skipped": true, "left_to_user": true}
      ],
      "values": {"A": "b"}, "defaults": {"C": "d"}
    }
  },
  "servers": {"k": {"owners": ["git@team"], "written": {"b": 2}, "original": {"c": 3}}}
}
"#;

/// The records of servers from registries with each field.
const REGISTRY_LOCK: &str = r#"{
  "version": 1,
  "servers": {
    "k": {
      "source": "registry-official", "name": "io.x/y", "version": "1", "publisher": "p", "digest": "00",
      "written": {"a": 1}, "way": "w", "answers": {"q": ["a"]}, "secrets": ["s"], "installedAt": "t"
    }
  }
}
"#;

/// The providers of aiw 0.6 with each field.
const OLD_PROVIDERS: &str = r#"{
  "providers": {
    "router": {
      "token": "sk-old", "base_url": "https://llm.example.com/v1", "scenario": "cheap",
      "env": {"REGION": "eu", "EXTRA_KEY": "${OTHER}", "MORE_KEY": "sk-more"}, "compatible_with": ["claude", "codex"]
    }
  },
  "default_provider": "router"
}
"#;

/// A registry's settings with each field.
const REGISTRIES: &str = "sources:\n  acme:\n    enabled: false\n    priority: 7\n    key: ${ACME_KEY}\n  other:\n";

fn home(directory: &Path) -> Home {
    Home::from_root(directory.join("home"))
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Reads everything in `providers.json`.
fn read_providers(home: &Home) -> Result<(), HomeError> {
    let file = home.providers()?;
    for bad in file.problems() {
        file.get(&bad.name)?;
    }
    for bad in file.pool_problems() {
        file.pool(&bad.name)?;
    }
    Ok(())
}

/// Reads everything in `settings.json`.
fn read_settings(home: &Home) -> Result<Vec<String>, HomeError> {
    let settings = home.settings()?;
    settings.budgets()?;
    settings.history()?;
    settings.mcp()?;
    settings.tasks()?;
    settings.updates()?;
    settings.configured_planner()?;
    settings.model_limits("m")?;
    settings.model_price("m")?;
    Ok(settings.problems().to_vec())
}

/// What everything in `settings.json` is read as.
fn as_read(home: &Home) -> Vec<String> {
    let settings = home.settings().unwrap();
    let plugin = |id: &str| settings.plugins().enabled(&id.parse().unwrap());
    let mut read = vec![
        format!("clis {:?}", CliKind::ALL.map(|cli| settings.cli(cli).permission)),
        format!("plugins {:?}", plugin("github@claude-plugins-official")),
        format!("source {:?}", settings.source("market-github").get("base_url")),
        format!("trust {:?}", settings.trust()),
        format!("offers {:?}", settings.should_offer_default()),
        format!("limits {:?}", settings.model_limits("m").unwrap()),
        format!("price {:?}", settings.model_price("m").unwrap()),
        format!("planner {:?}", settings.configured_planner().unwrap()),
        format!("updates {:?}", settings.updates().unwrap()),
        format!("history {:?}", settings.history().unwrap()),
        format!("tasks {:?}", settings.tasks().unwrap()),
        format!("mcp {:?}", settings.mcp().unwrap()),
        format!("unknown {:?}", settings.unknown_keys()),
    ];
    read.extend(settings.budgets().unwrap().iter().map(|budget| format!("{budget:?}")));
    read.extend(settings.markets().iter().map(|market| format!("{market:?}")));
    read
}

/// Writes everything that was read of `providers.json`, as if it had been edited.
fn rewrite_providers(home: &Home) {
    let mut file = home.providers().unwrap();
    for provider in file.providers().to_vec() {
        file.set(&provider).unwrap();
    }
    for pool in file.pools().to_vec() {
        file.set_pool(&pool).unwrap();
    }
    file.save(&home.lock().unwrap()).unwrap();
}

/// Writes everything that was read of `settings.json`, as if it had been edited.
fn rewrite_settings(home: &Home) {
    let mut settings = home.settings().unwrap();
    for market in settings.markets().to_vec() {
        settings.set_market(market).unwrap();
    }
    for budget in settings.budgets().unwrap() {
        settings.set_budget(&budget).unwrap();
    }
    for (name, profile) in settings.mcp().unwrap().profiles {
        settings.set_profile(&name, Some(&profile)).unwrap();
    }
    if let Some(planner) = settings.configured_planner().unwrap() {
        settings.set_planner(Some(&planner)).unwrap();
    }
    let trust = settings.trust();
    settings.set_trust(&trust).unwrap();
    settings.save(&home.lock().unwrap()).unwrap();
}

#[test]
fn what_is_written_unchanged_stays_as_it_is_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(dir.path());
    write(&home.providers_path(), PROVIDERS);
    write(&home.settings_path(), SETTINGS);
    read_providers(&home).unwrap();
    assert_eq!(read_settings(&home).unwrap(), Vec::<String>::new());
    rewrite_providers(&home);
    rewrite_settings(&home);
    assert_eq!(fs::read_to_string(home.providers_path()).unwrap(), PROVIDERS);
    assert_eq!(fs::read_to_string(home.settings_path()).unwrap(), SETTINGS);
    write(&home.settings_path(), OTHER_SETTINGS);
    rewrite_settings(&home);
    insta::assert_snapshot!(fs::read_to_string(home.settings_path()).unwrap());
}

/// The examples of the documentation, and the documents of the corpora.
#[test]
fn documents_of_others_are_read_and_stay_as_they_are() {
    let mut documents = Vec::new();
    let manual = include_str!("../../../docs/files.md");
    for name in ["settings.json", "providers.json"] {
        let (_, section) = manual.split_once(&format!("\n## {name}\n")).unwrap();
        let example = section.split("```").nth(1).unwrap().trim_start_matches("json\n");
        documents.push((name.to_owned(), example.to_owned()));
    }
    let corpora = std::env::var_os("AIW_CORPORA").map(PathBuf::from);
    let mut waiting = corpora.into_iter().collect::<Vec<_>>();
    if waiting.is_empty() {
        eprintln!("skipped: there are no corpora of documents; AIW_CORPORA names their directory");
    }
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(path);
            } else if name == "settings.json" || name == "providers.json" {
                documents.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    for (name, text) in documents {
        let dir = tempfile::tempdir().unwrap();
        let home = home(dir.path());
        write(&home.root().join(&name), &text);
        match name.as_str() {
            "settings.json" => drop(read_settings(&home).unwrap_or_else(|error| panic!("{error}\n{text}"))),
            _ => read_providers(&home).unwrap_or_else(|error| panic!("{error}\n{text}")),
        }
        if name == "settings.json" {
            rewrite_settings(&home)
        } else {
            rewrite_providers(&home)
        }
        assert_eq!(fs::read_to_string(home.root().join(&name)).unwrap(), text);
    }
}

/// Pointers to every value of a document.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    let name = |key: &str| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| pointers(value, &name(key), found)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| pointers(item, &name(&n.to_string()), found))
        }
        _ => {}
    }
}

/// Puts each wrong value in each place, and says what comes of it.
fn refusals(text: &str, read: impl Fn(&str) -> Result<String, String>) -> String {
    let document: Value = serde_json::from_str(text).unwrap();
    let mut places = Vec::new();
    pointers(&document, "", &mut places);
    let mut said = String::new();
    for place in places.iter().filter(|place| !place.is_empty()) {
        let wrong = [json!(null), json!(-1), json!(1.5), json!(true), json!("no such\n"), json!("canary"), json!([7])];
        for wrong in wrong.into_iter().chain([json!({"secret": 7}), json!({"canary": "canary"})]) {
            let mut changed = document.clone();
            *changed.pointer_mut(place).unwrap() = wrong.clone();
            let answer = read(&changed.to_string()).unwrap_or_else(|error| error);
            said.push_str(&format!("{place} = {wrong}: {answer}\n"));
        }
        // Without it.
        let (parent, key) = place.rsplit_once('/').unwrap();
        let mut changed = document.clone();
        if let Some(Value::Object(fields)) = changed.pointer_mut(parent) {
            fields.remove(&key.replace("~1", "/").replace("~0", "~"));
            let answer = read(&changed.to_string()).unwrap_or_else(|error| error);
            said.push_str(&format!("{place} absent: {answer}\n"));
        }
    }
    said
}

fn without_path(error: &HomeError) -> String {
    without_path_of(&error.to_string())
}

fn without_path_of(error: &str) -> String {
    error.split_once("` ").map_or(error, |(_, rest)| rest).to_owned()
}

#[test]
fn a_wrong_value_in_the_providers_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(dir.path());
    let said = refusals(PROVIDERS, |text| {
        write(&home.providers_path(), text);
        read_providers(&home).map(|()| "read".to_owned()).map_err(|error| without_path(&error))
    });
    insta::assert_snapshot!(said);
}

/// What is said of wrong values in settings, and what those that are not wrong are read as.
fn settings_refusals(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let home = home(dir.path());
    write(&home.settings_path(), text);
    read_settings(&home).unwrap();
    let usual: BTreeSet<String> = as_read(&home).into_iter().collect();
    refusals(text, |text| {
        write(&home.settings_path(), text);
        let problems = read_settings(&home).map_err(|error| without_path(&error))?;
        let file = home.settings_path().display().to_string();
        let differs = as_read(&home).into_iter().filter(|read| !usual.contains(read));
        let said: Vec<String> =
            problems.iter().map(|problem| problem.replace(&file, "settings.json")).chain(differs).collect();
        Ok(if said.is_empty() { "read".to_owned() } else { said.join("; ") })
    })
}

#[test]
fn a_wrong_value_in_the_settings_is_named_with_its_place() {
    insta::assert_snapshot!(settings_refusals(SETTINGS));
}

#[test]
fn a_wrong_value_in_other_settings_is_named_with_its_place() {
    insta::assert_snapshot!(settings_refusals(OTHER_SETTINGS));
}

#[test]
fn a_wrong_value_in_the_records_of_plugins_is_named_or_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(dir.path());
    let read = |text: &str| {
        write(&home.root().join("plugins.json"), text);
        let plugins = home.plugins().map_err(|error| without_path(&error))?;
        let all = plugins.all().map_err(|error| without_path(&error))?;
        Ok(format!("{all:?} {:?}", plugins.key("k")))
    };
    let usual = read(PLUGINS).unwrap();
    insta::assert_snapshot!(refusals(PLUGINS, |text| read(text).map(|read| read.replace(&usual, "read"))));
}

#[test]
fn a_wrong_value_in_the_records_of_registries_is_named_or_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(dir.path());
    let read = |text: &str| {
        write(&home.root().join("registry.lock"), text);
        let lock = home.registry_lock().map_err(|error| without_path(&error))?;
        assert_eq!(lock.get("k"), lock.all().remove("k"));
        Ok(format!("{:?}", lock.all()))
    };
    let usual = read(REGISTRY_LOCK).unwrap();
    insta::assert_snapshot!(refusals(REGISTRY_LOCK, |text| read(text).map(|read| read.replace(&usual, "read"))));
}

#[test]
fn a_wrong_value_in_the_providers_of_an_older_aiw_is_left_out_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(dir.path());
    let read = |text: &str| {
        let _ = fs::remove_dir_all(home.root());
        write(&home.providers_path(), text);
        let Some(migration) = home.migrate_providers().map_err(|error| without_path_of(&error.to_string()))? else {
            return Ok("not old".to_owned());
        };
        let written: Value = serde_json::from_str(&fs::read_to_string(home.providers_path()).unwrap()).unwrap();
        Ok(format!("{written} {:?} {}", migration.secrets, migration.skipped.join("; ")))
    };
    let usual = read(OLD_PROVIDERS).unwrap();
    insta::assert_snapshot!(refusals(OLD_PROVIDERS, |text| read(text).map(|read| read.replace(&usual, "read"))));
}

#[test]
fn a_wrong_value_in_the_registries_is_named_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let home = home(dir.path());
    let read = |text: &str| {
        write(&home.root().join("registry.yaml"), text);
        home.registry_settings().map(|_| "read".to_owned()).map_err(|error| without_path(&error))
    };
    read(REGISTRIES).unwrap();
    let document = json!({"sources": {"acme": {"enabled": false, "priority": 7, "key": "${ACME_KEY}"}, "other": null}});
    insta::assert_snapshot!(refusals(&document.to_string(), read));
}

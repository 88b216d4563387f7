//! What becomes of servers after their installation, and what an installation leaves behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Environment, Server};
use serde_json::{Value, json};

use super::crash::copying;
use super::install::{listed, manifest, sample, server_source, sha256, zipped};
use super::{Registry, age_copy, machine, until_copied, weather};

/// Installs the sample server.
fn install(env: &Environment) {
    env.json(&["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=canary-5ecr3t"]);
}

/// Has the copy brought up to date, until a search finds the sample as it should be.
fn synced(env: &Environment, is_so: impl Fn(&Value) -> bool) {
    age_copy(env);
    // A record's time is in whole seconds, and a copy of the same second counts as older.
    std::thread::sleep(Duration::from_secs(1));
    let begun = Instant::now();
    loop {
        let found = env.json(&["mcp", "search", "sample"]);
        // The last page is there before the pass is over, and the doctor asks when that was.
        if found["sources"][0]["cached_servers"].is_u64() && is_so(&found) && copying(env).is_empty() {
            return;
        }
        assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT, "{found}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What the doctor says of the sample's row in its registry, and what it says of copies.
fn news(env: &Environment) -> (Value, Value) {
    let answer = env.json(&["mcp", "doctor", "sample"]);
    let server = &answer["servers"][0];
    let said = server["problems"].as_array().unwrap().iter().any(|line| line.as_str().unwrap().contains("aiw mcp"));
    assert_eq!(said, server.get("news").is_some(), "{answer}");
    (server["news"].clone(), answer["copies"].clone())
}

#[test]
fn the_doctor_tells_from_the_copy_alone_what_has_become_of_a_server() {
    let (mut registry, mut env) = sample();
    env.unset("SOURCE_DATE_EPOCH");
    install(&env);
    assert_eq!(news(&env), (Value::Null, json!([])), "there is no copy yet");
    until_copied(&env, "sample");
    assert_eq!(news(&env), (Value::Null, json!([])));
    let change = |version: &str, status: &str| {
        let mut rows = registry.rows.lock().unwrap();
        rows[0]["server"]["version"] = version.into();
        let official = &mut rows[0]["_meta"]["io.modelcontextprotocol.registry/official"];
        official["status"] = status.into();
        official["statusMessage"] = "use another".into();
        official["updatedAt"] = aiw_now().into();
    };
    change("2.0.0", "deprecated");
    synced(&env, |found| found["servers"][0]["status"] == "deprecated");
    let seen = registry.server.as_ref().unwrap().seen().len();
    let newer = json!({"what": "newer", "version": "2.0.0"});
    let deprecated = json!({"what": "deprecated", "reason": "use another"});
    assert_eq!(news(&env), (json!([deprecated, newer]), json!([])));
    let run = env.run(&["mcp", "doctor"]).ok();
    for line in [
        "  it is deprecated: use another (`aiw mcp remove sample`)\n",
        "  it has a newer version: 2.0.0 (`aiw mcp update sample`)\n",
    ] {
        assert!(run.stdout.contains(line), "{}", run.whole());
    }
    assert_eq!(registry.server.as_ref().unwrap().seen().len(), seen, "the registry was asked");

    change("2.0.0", "deleted");
    synced(&env, |found| found["servers"] == json!([]));
    registry.server = None;
    assert_eq!(news(&env).0, json!([{"what": "removed"}]));
    let run = env.run(&["mcp", "doctor"]).ok();
    assert!(run.stdout.contains("  it is no longer in its registry (`aiw mcp remove sample`)\n"), "{}", run.whole());
}

/// The present time as rows have it.
fn aiw_now() -> String {
    let output = std::process::Command::new("date").args(["-u", "+%Y-%m-%dT%H:%M:%SZ"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_doctor_tells_of_another_publisher_and_nothing_from_a_copy_that_is_older_than_the_server() {
    let (registry, mut env) = sample();
    env.unset("SOURCE_DATE_EPOCH");
    until_copied(&env, "sample");
    registry.rows.lock().unwrap()[0]["server"]["version"] = "2.0.0".into();
    // The copy still has the version before.
    install(&env);
    assert_eq!(news(&env).0, Value::Null);
    registry.rows.lock().unwrap()[0]["_meta"]["io.modelcontextprotocol.registry/official"]["updatedAt"] =
        aiw_now().into();
    synced(&env, |found| found["servers"][0]["version"] == "2.0.0");
    assert_eq!(news(&env).0, Value::Null);
    let path = env.home().join("registry.lock");
    let lock = env.read("registry.lock").replace("\"io.github.acme\"", "\"com.former\"");
    fs::write(path, lock).unwrap();
    assert_eq!(news(&env).0, json!([{"what": "publisher", "publisher": "io.github.acme"}]));
    let run = env.run(&["mcp", "doctor"]).ok();
    let line = "  it has another publisher now: `io.github.acme` (`aiw mcp info io.github.acme/sample-mcp`)\n";
    assert!(run.stdout.contains(line), "{}", run.whole());
}

#[test]
fn the_doctor_names_a_copy_that_is_damaged_or_can_not_be_brought_up_to_date() {
    let good = Registry::start(weather());
    let env = machine(&good.url());
    let copies = |env: &Environment| env.json(&["mcp", "doctor"])["copies"].clone();
    assert_eq!(copies(&env), json!([]));
    until_copied(&env, "weather");
    assert_eq!(copies(&env), json!([]));
    let path = env.home().join("cache/registries/registry-official-v2.db");
    // In the middle, where no search may come by.
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    let run = env.run(&["mcp", "doctor"]).ok();
    let note =
        "note: the copy of registry-official was damaged and is removed; the next `aiw mcp search` makes a new one\n";
    assert_eq!(run.stderr, note, "{}", run.whole());
    assert!(!path.exists());
    until_copied(&env, "weather");
    assert_eq!(copies(&env), json!([]));

    let bad = Server::start(|_| Answer::status(500));
    env.settings(&json!({"sources": {"registry-official": {"base_url": bad.url()}}}));
    age_copy(&env);
    let begun = Instant::now();
    while env.json(&["mcp", "search", "weather"])["sources"][0].get("problem").is_none() {
        assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT);
        std::thread::sleep(Duration::from_millis(100));
    }
    let said = copies(&env);
    assert_eq!(said[0]["source"], "registry-official", "{said}");
    let problem = said[0]["problem"].as_str().unwrap();
    assert!(problem.starts_with("the copy of registry-official could not be brought up to date: "), "{problem}");
    assert!(problem.ends_with("; the next `aiw mcp search` tries again"), "{problem}");
}

/// A registry with one bundle after another of the sample server, by version, and a machine that uses it. It lists the
/// first.
fn bundles(bundles: [(&'static str, Vec<u8>); 3]) -> (Registry, Environment) {
    let files = bundles.iter().map(|(version, bytes)| {
        let path: &'static str = format!("/files/sample-{version}.mcpb").leak();
        (path, bytes.clone())
    });
    let registry = Registry::with_files(Vec::new(), files.collect::<BTreeMap<_, _>>());
    let (version, bytes) = &bundles[0];
    registry.rows.lock().unwrap().push(listed(&registry.url(), version, &sha256(bytes)));
    let env = machine(&registry.url());
    (registry, env)
}

/// What is left of bundles in a home.
fn left(env: &Environment) -> Vec<String> {
    let entries = fs::read_dir(env.home().join("bundles")).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn bundles_go_with_their_servers_and_what_broken_installations_left_goes_too() {
    let of = |version: &str, program: &str| zipped(&manifest(version), program);
    let (good, newer, liar) =
        (of("1.0.0", &server_source()), of("2.0.0", &server_source()), of("3.0.0", "print('hello')"));
    let directory = |bytes: &[u8]| sha256(bytes)[..16].to_owned();
    let (registry, env) = bundles([("1.0.0", good.clone()), ("2.0.0", newer.clone()), ("3.0.0", liar.clone())]);
    install(&env);
    assert_eq!(left(&env), [directory(&good)]);
    // Of installations that were killed, and something of the user's.
    for name in [".0123456789abcdef.4242", "0123456789abcdef", "mine"] {
        fs::create_dir_all(env.home().join("bundles").join(name).join("lib")).unwrap();
    }
    // A server that does not work.
    registry.rows.lock().unwrap()[0] = listed(&registry.url(), "3.0.0", &sha256(&liar));
    let broken = ["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=x", "--name", "other"];
    let run = env.run(&broken);
    assert!(run.code == 2 && run.stderr.contains("does not work"), "{}", run.whole());
    assert_eq!(left(&env), [directory(&good), "mine".to_owned()]);
    registry.rows.lock().unwrap()[0] = listed(&registry.url(), "2.0.0", &sha256(&newer));
    env.json(&["mcp", "update", "--yes"]);
    assert_eq!(left(&env), [directory(&newer), "mine".to_owned()]);
    let called = env.run(&["mcp", "call", "sample/environment"]).ok();
    assert!(called.stdout.contains("canary-5ecr3t"), "{}", called.whole());
    env.run(&["mcp", "remove", "sample"]).ok();
    assert_eq!(left(&env), ["mine"]);
}

#[test]
fn a_bundle_that_runs_another_program_or_can_not_be_unpacked_is_refused_with_a_sentence() {
    let running = |command: &str, args: Value| {
        let mut manifest = manifest("1.0.0");
        manifest["server"]["mcp_config"]["command"] = command.into();
        manifest["server"]["mcp_config"]["args"] = args;
        zipped(&manifest, &server_source())
    };
    let mut below = zip::ZipWriter::new_append(std::io::Cursor::new(zipped(&manifest("1.0.0"), "x"))).unwrap();
    for name in ["a", "a/b"] {
        below.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        below.write_all(b"x").unwrap();
    }
    for (bytes, said) in [
        (
            running("python3", json!(["-c", "import os"])),
            "the bundle's `manifest.json` runs `python3` with `-c`, not with a file of the bundle",
        ),
        (
            running("setsid", json!(["python3", "${__dirname}/server.py"])),
            "the bundle's `manifest.json` runs `setsid`, which is neither a file of the bundle nor one of",
        ),
        (
            below.finish().unwrap().into_inner(),
            "the bundle's file `a/b` can't be unpacked: `a` is a file, not a directory",
        ),
    ] {
        let (_registry, env) = bundles([("1.0.0", bytes), ("2.0.0", Vec::new()), ("3.0.0", Vec::new())]);
        let run = env.run(&["mcp", "install", "io.github.acme/sample-mcp", "--yes", "--set", "key=x"]);
        assert!(run.code == 2 && run.stderr.contains(said), "{said}: {}", run.whole());
        assert!(left(&env).is_empty() && !env.home().join("registry.lock").exists(), "{said}");
    }
}

#[test]
fn a_key_goes_to_the_vault_where_the_publisher_does_not_call_it_a_secret() {
    let mut manifest = manifest("1.0.0");
    manifest["user_config"]["key"]["sensitive"] = json!(false);
    let bytes = zipped(&manifest, &server_source());
    let (_registry, env) = bundles([("1.0.0", bytes), ("2.0.0", Vec::new()), ("3.0.0", Vec::new())]);
    install(&env);
    assert_eq!(env.mcp()["mcpServers"]["sample"]["env"], json!({"SAMPLE_KEY": "${secret:sample-key}"}));
    assert!(!env.read("registry.lock").contains("canary"));
}

#[test]
fn what_keeps_a_server_from_being_found_is_said() {
    let registry = Registry::start(weather());
    let env = machine(&registry.url());
    let run = env.run(&["mcp", "install", "com.other/postgres", "--version", "9.9.9", "--yes"]);
    let said = "error: there is no version `9.9.9` of `com.other/postgres`: the newest is 0.3.0\n";
    assert_eq!((run.code, run.stderr.as_str()), (2, said), "{}", run.whole());
    // A row that makes no sense is no outage.
    registry.rows.lock().unwrap()[3]["server"]["version"] = json!({});
    let run = env.run(&["mcp", "info", "com.other/postgres"]);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert!(
        run.stderr.starts_with(
            "error: no registry has a server `com.other/postgres` that can be used: `registry-official`: "
        ),
        "{}",
        run.whole()
    );
    assert!(run.stderr.contains("a bad row of `com.other/postgres`"), "{}", run.whole());
    // An outage is, and says what the registry answered.
    let bad = Server::start(|_| Answer::status(500));
    env.settings(&json!({"sources": {"registry-official": {"base_url": bad.url()}}}));
    let run = env.run(&["mcp", "info", "com.other/postgres"]);
    assert_eq!(run.code, 69, "{}", run.whole());
    assert!(run.stderr.contains("not all could be asked: `registry-official`: "), "{}", run.whole());
    assert!(run.stderr.contains("500"), "{}", run.whole());
    for nothing in [&["mcp", "search", ""][..], &["mcp", "search", " ", "\t"]] {
        let run = env.run(nothing);
        let said = "error: there is nothing to search for\nhint: say what the server should do: `aiw mcp search weather forecast`\n";
        assert_eq!((run.code, run.stderr.as_str()), (64, said), "{}", run.whole());
    }
}

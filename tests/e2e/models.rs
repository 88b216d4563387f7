//! `aiw model …`: a mirror on loopback that breaks, lies and stalls.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aiw_history::{Cli, MessageAuthor, ReadProgress, SessionMessage, Store};
use aiw_tests::{
    Answer, Environment, Lane, Request, Server, Then, not_run, onnx_package, onnx_runtime, real_model, tiny_model,
};
use serde_json::{Value, json};

use crate::servers::is_there;
use crate::until;

/// The files of a model.
const FILES: [&str; 5] =
    ["model.onnx", "tokenizer.json", "config.json", "special_tokens_map.json", "tokenizer_config.json"];

/// A model of some MB, so that its download can be interrupted.
fn model(directory: &Path) -> PathBuf {
    tiny_model(directory);
    let path = directory.join("model.onnx");
    let mut bytes = fs::read(&path).unwrap();
    // Its description: field 6, with its length.
    bytes.extend_from_slice(&[0x32, 0x80, 0x80, 0xC0, 0x01]);
    bytes.extend((0..3 << 20).map(|n: u32| b'a' + u8::try_from(n % 23).unwrap()));
    fs::write(path, bytes).unwrap();
    directory.to_owned()
}

fn sha256(path: &Path) -> String {
    let output = std::process::Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

fn manifest(directory: &Path) -> Value {
    let files = FILES.iter().map(|name| {
        let path = directory.join(name);
        ((*name).to_owned(), json!({"size": fs::metadata(&path).unwrap().len(), "sha256": sha256(&path)}))
    });
    json!({"files": files.collect::<serde_json::Map<String, Value>>()})
}

/// The part of a file that a request asks for, as servers answer.
fn ranged(request: &Request, bytes: &[u8]) -> (u16, Vec<(String, String)>, Vec<u8>) {
    let range = request.headers.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
    let Some(start) = range.and_then(|start| start.parse::<usize>().ok()) else {
        return (200, Vec::new(), bytes.to_vec());
    };
    if start >= bytes.len() {
        return (416, Vec::new(), Vec::new());
    }
    let range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
    (206, vec![("content-range".into(), range)], bytes[start..].to_vec())
}

/// A mirror. `alter` answers instead for some paths.
fn mirror(directory: PathBuf, alter: impl Fn(&Request, &[u8]) -> Option<Answer> + Send + Sync + 'static) -> Server {
    let manifest = manifest(&directory).to_string();
    Server::start(move |request| {
        let name = request.path.trim_start_matches("/mirror/");
        let bytes =
            if name == "model.json" { Ok(manifest.clone().into_bytes()) } else { fs::read(directory.join(name)) };
        let Ok(bytes) = bytes else { return Answer::status(404) };
        alter(request, &bytes).unwrap_or_else(|| {
            let (status, headers, body) = ranged(request, &bytes);
            Answer::Plain(status, headers, body)
        })
    })
}

fn pull(url: &str) -> [&str; 5] {
    ["model", "pull", "mine", "--from", url]
}

/// What a home has of models: nothing, after a pull that failed.
fn nothing_was_pulled(env: &Environment) -> bool {
    let list = env.json(&["model", "list"]);
    let pulled = list["models"].as_array().unwrap().iter().any(|model| model["pulled"] == true);
    !pulled && !env.home().join("models.lock").exists() && !env.home().join("cache/models/mine").exists()
}

#[test]
fn without_a_model_everything_says_so_and_nothing_fails() {
    let env = Environment::cold();
    insta::assert_snapshot!(env.run(&["model", "status"]).ok().whole(), @"
    no model is in use: search goes by words alone
    ------- stderr -------
    `aiw model pull` gets what is missing: some 120 MB, once
    ------- exit code 0 -------
    ");
    assert!(!env.home().exists());
    assert_eq!(env.json(&["model", "status"])["model"]["state"], "none");
    insta::assert_snapshot!(env.run(&["model", "use", "all-MiniLM-L6-v2"]).whole(), @"
    ------- stderr -------
    error: the model `all-MiniLM-L6-v2` was not pulled
    hint: `aiw model pull all-MiniLM-L6-v2` gets it
    ------- exit code 2 -------
    ");
    for name in ["nobody", "../x", "", ".", "a\u{1b}[31m"] {
        for arguments in [["model", "use", name], ["model", "remove", name], ["model", "pull", name]] {
            let run = env.run(&arguments);
            assert_eq!(run.code, 2, "{arguments:?}: {}", run.whole());
            assert!(!run.stderr.contains('\u{1b}'));
        }
    }
    fs::create_dir_all(env.home()).unwrap();
    fs::write(env.home().join("models.lock"), "version = 9").unwrap();
    assert_eq!(env.run(&["model", "status"]).code, 3);
}

#[test]
fn a_download_that_breaks_goes_on_where_it_stopped() {
    let Some(runtime) = onnx_runtime() else { return };
    let env = Environment::cold();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let server = mirror(model(&env.path("model")), move |request, bytes| {
        if !request.path.ends_with("model.onnx") {
            return None;
        }
        log.lock().unwrap().push(request.headers.get("range").cloned());
        let (status, mut headers, mut body) = ranged(request, bytes);
        headers.push(("content-length".into(), body.len().to_string()));
        body.truncate((1 << 20) + 5000);
        Some(Answer::Part(status, headers, body, Then::End))
    });
    let url = format!("{}/mirror", server.url());
    let answer = env.json(&pull(&url));
    assert_eq!((&answer["pulled"], &answer["model"]["name"]), (&json!(["mine"]), &json!("mine")));
    let asked: Vec<Option<String>> = asked.lock().unwrap().clone();
    assert!(asked.len() >= 3 && asked[0].is_none(), "{asked:?}");
    assert!(asked[1..].iter().all(|range| range.as_ref().is_some_and(|range| range != "bytes=0-")), "{asked:?}");
    // No part of a download is left, and it is not asked for again.
    assert_eq!(fs::read_dir(env.home().join("cache/models/.partial")).unwrap().count(), 0);
    let before = server.seen().len();
    assert_eq!(env.json(&pull(&url))["unchanged"], json!(["mine"]));
    assert!(server.seen()[before..].iter().all(|request| request.ends_with("model.json")));
    // It is the model.
    let runtime = runtime.display().to_string();
    let status = env.json(&["model", "use", "mine", "--runtime", &runtime]);
    assert_eq!(status["model"]["state"], "ready", "{status}");
}

#[test]
fn a_pull_that_is_killed_or_interrupted_is_taken_up_again() {
    let env = Environment::cold();
    let stalls = Arc::new(AtomicUsize::new(2));
    let left = stalls.clone();
    let resumed = Arc::new(AtomicUsize::new(0));
    let counted = resumed.clone();
    let server = mirror(model(&env.path("model")), move |request, bytes| {
        if !request.path.ends_with("model.onnx") {
            return None;
        }
        counted.fetch_add(usize::from(request.headers.contains_key("range")), Ordering::Relaxed);
        let (status, mut headers, mut body) = ranged(request, bytes);
        if left.load(Ordering::Relaxed) == 0 {
            return None;
        }
        headers.push(("content-length".into(), body.len().to_string()));
        body.truncate((1 << 20) + 7);
        Some(Answer::Part(status, headers, body, Then::Silence))
    });
    let url = format!("{}/mirror", server.url());
    let partial = env.home().join("cache/models/.partial").join(sha256(&env.path("model/model.onnx")));
    for (round, signal) in [(1, "KILL"), (2, "INT")] {
        let mut child = env.start(&pull(&url));
        let begun = Instant::now();
        let whole = round * ((1 << 20) + 7);
        while fs::metadata(&partial).map_or(0, |meta| meta.len()) < whole {
            assert!(begun.elapsed() < aiw_tests::HANG_TIMEOUT, "nothing arrives");
            std::thread::sleep(Duration::from_millis(10));
        }
        let kill = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let ended = child.wait().unwrap();
        assert!(signal == "KILL" || ended.code() == Some(130), "{ended}");
        assert!(nothing_was_pulled(&env));
        stalls.fetch_sub(1, Ordering::Relaxed);
    }
    assert_eq!(env.json(&pull(&url))["pulled"], json!(["mine"]));
    assert_eq!(resumed.load(Ordering::Relaxed), 2);
    assert_eq!(sha256(&env.home().join("cache/models/mine/model.onnx")), sha256(&env.path("model/model.onnx")));
}

#[test]
fn a_mirror_that_lies_is_refused_and_leaves_nothing() {
    let env = Environment::cold();
    let directory = model(&env.path("model"));
    let changed = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        Some(Answer::ok(bytes))
    };
    let longer = |bytes: &[u8]| Some(Answer::ok([bytes, b"more"].concat()));
    let shorter = |bytes: &[u8]| Some(Answer::ok(&bytes[..bytes.len() - 1]));
    let elsewhere = |_: &[u8]| {
        let headers = vec![("content-range".into(), "bytes 7-9/10".into())];
        Some(Answer::Plain(206, headers, b"abc".to_vec()))
    };
    type Lie = (&'static str, fn(&[u8]) -> Option<Answer>, &'static str, i32);
    let lies: [Lie; 7] = [
        ("model.onnx", changed, "its sha256 is", 69),
        ("tokenizer.json", changed, "its sha256 is", 69),
        ("model.onnx", longer, "it does not have", 69),
        ("config.json", shorter, "it does not have", 69),
        ("config.json", elsewhere, "another part of the file", 69),
        ("model.onnx", |_| Some(Answer::status(404)), "the server answered 404", 69),
        ("model.onnx", |_| Some(Answer::status(503)), "the server answered 503", 69),
    ];
    for (file, lie, said, code) in lies {
        let env = Environment::cold();
        let server = mirror(
            directory.clone(),
            move |request, bytes| {
                if request.path.ends_with(file) { lie(bytes) } else { None }
            },
        );
        let url = format!("{}/mirror", server.url());
        let run = env.run(&pull(&url));
        assert_eq!(run.code, code, "{}", run.whole());
        assert!(run.stderr.contains(said) && run.stderr.contains(file), "{said}: {}", run.whole());
        assert!(nothing_was_pulled(&env));
    }
    let digest = "0".repeat(64);
    let named = |name: &str, sha256: &str| json!({"files": {name: {"size": 1, "sha256": sha256}}}).to_string();
    for (manifest, said) in [
        ("[]".to_owned(), "does not describe a model"),
        ("{".into(), "does not describe a model"),
        ("x".repeat(100_000), "longer than 64 KiB"),
        (named("../model.onnx", &digest), "it does not name `model.onnx`"),
        (named("model.onnx", "../../x"), "is not 64 hexadecimal digits"),
    ] {
        let text = manifest.clone();
        let server = Server::start(move |_| Answer::ok(text.clone()));
        let run = env.run(&pull(&server.url()));
        assert!(run.code == 69 && run.stderr.contains(said), "{said}: {}", run.whole());
        assert!(nothing_was_pulled(&env));
    }
    // A mirror can't say what a known model is.
    let server = mirror(directory.clone(), |_, _| None);
    let url = format!("{}/mirror", server.url());
    let run = env.run(&["model", "pull", "all-MiniLM-L6-v2", "--from", &url]);
    assert!(run.code == 69 && run.stderr.contains("is not the file that aiw knows"), "{}", run.whole());
    let from = directory.display().to_string();
    let run = env.run(&["model", "pull", "all-MiniLM-L6-v2", "--from", &from]);
    assert!(run.stderr.contains("it does not have 90405214 bytes"), "{}", run.whole());
    assert!(nothing_was_pulled(&env));
}

#[test]
fn a_directory_is_used_in_place_and_its_changes_are_noticed() {
    let Some(runtime) = onnx_runtime() else { return };
    let env = Environment::cold();
    let directory = model(&env.path("my-model"));
    let (from, library) = (directory.display().to_string(), runtime.display().to_string());
    let used = env.json(&["model", "use", &from, "--runtime", &library]);
    assert_eq!((&used["model"]["state"], &used["model"]["name"]), (&json!("ready"), &json!("my-model")));
    assert!(!env.home().join("cache/models").exists());
    let state = |env: &Environment| env.json(&["model", "status"])["model"]["state"].clone();

    let tokenizer = directory.join("tokenizer.json");
    let text = fs::read_to_string(&tokenizer).unwrap();
    fs::write(&tokenizer, text.clone() + " ").unwrap();
    assert_eq!(state(&env), "changed");
    fs::remove_file(&tokenizer).unwrap();
    assert_eq!(state(&env), "missing");
    fs::write(&tokenizer, text).unwrap();
    assert_eq!(state(&env), "ready");

    // A copy of it, pulled from the directory.
    assert_eq!(env.json(&["model", "pull", "copy", "--from", &from])["pulled"], json!(["copy"]));
    env.run(&["model", "use", "copy"]).ok();
    fs::remove_dir_all(&directory).unwrap();
    assert_eq!(state(&env), "ready");
    // A cache may be deleted.
    fs::remove_dir_all(env.home().join("cache")).unwrap();
    assert_eq!(state(&env), "missing");
    let removed = env.run(&["model", "remove", "copy", "my-model", "copy", "--json"]);
    assert_eq!(removed.json()["removed"], json!(["copy", "my-model"]));
    assert_eq!((removed.code, removed.json()["failed"][0]["name"].clone()), (2, json!("copy")));
    assert_eq!(state(&env), "none");

    model(&directory);
    env.run(&["model", "use", &from]).ok();
    env.run(&["model", "remove", "my-model"]).ok();
    assert!(directory.join("model.onnx").is_file());
    // Something that is no library, and a directory that is no model.
    let run = env.run(&["model", "use", &from, "--runtime", &tokenizer.display().to_string()]);
    assert!(run.code == 3 && run.stderr.contains("it is not ONNX Runtime"), "{}", run.whole());
    let empty = env.path("empty").display().to_string();
    fs::create_dir(&empty).unwrap();
    assert_eq!(env.run(&["model", "use", &empty]).code, 2);
}

#[test]
fn the_library_is_taken_out_of_its_package() {
    let (Some(package), Some(library)) = (onnx_package(), onnx_runtime()) else { return };
    let env = Environment::cold();
    let name = fs::read_dir(&package).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let name = name.into_iter().find(|name| name.ends_with(".whl")).unwrap();
    let bytes = fs::read(package.join(&name)).unwrap();
    let server = Server::start(move |request| {
        let (status, headers, body) = ranged(request, &bytes);
        if request.path.ends_with(&name) { Answer::Plain(status, headers, body) } else { Answer::status(404) }
    });
    assert_eq!(env.json(&["model", "pull", "onnxruntime", "--from", &server.url()])["pulled"], json!(["onnxruntime"]));
    assert_eq!(sha256(&env.home().join("cache/models/onnxruntime/libonnxruntime.so")), sha256(&library));
    let directory = model(&env.path("tiny")).display().to_string();
    assert_eq!(env.json(&["model", "use", &directory])["model"]["state"], "ready");
    let from = package.display().to_string();
    assert_eq!(env.json(&["model", "pull", "onnxruntime", "--from", &from])["unchanged"], json!(["onnxruntime"]));
}

/// ONNX Runtime from 1.31 on tells its maker how it is used, unless it is stopped before it begins.
#[test]
fn the_library_that_runs_models_collects_and_sends_nothing() {
    let Some(runtime) = onnx_runtime() else { return };
    let lane = match Lane::open() {
        Ok(lane) => lane,
        Err(missing) => return not_run(missing),
    };
    let mut env = crate::history::filled();
    // In a build of its maker's it would be silent by itself.
    ["CI", "GITHUB_ACTIONS", "CIRCLECI", "ORT_DISABLE_TELEMETRY"].iter().for_each(|name| env.unset(name));
    lane.variables().into_iter().for_each(|(name, value)| env.set(name, value));
    let collected = env.user().join(".cache/Microsoft/DeveloperTools/.onnxruntime");
    fs::create_dir_all(&collected).unwrap();
    fs::write(collected.join("deviceid"), "x").unwrap();
    fs::write(collected.join("onnxruntime.db"), "x").unwrap();
    tiny_model(&env.path("tiny"));
    let model = env.path("tiny").display().to_string();
    let runtime = runtime.to_str().unwrap();
    let traces = env.path("traces");
    fs::create_dir(&traces).unwrap();
    for (number, arguments) in [
        &["model", "use", model.as_str(), "--runtime", runtime][..],
        &["model", "status"],
        &["history", "import", "--all"],
        &["history", "search", "certificate"],
        &["mcp", "route", "certificate"],
        &["mcp", "serve"],
    ]
    .into_iter()
    .enumerate()
    {
        let trace = traces.join(number.to_string());
        let output = Lane::traced(&env.command(arguments), &trace).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        assert_eq!(number == 0, said.contains("had collected data about its use there"), "{arguments:?}: {said}");
        let around = lane.around(&trace);
        assert!(around.is_empty() && lane.sent().is_empty(), "{arguments:?}: {around:?}");
        assert!(!env.user().join(".cache").join("Microsoft").exists(), "{arguments:?}");
    }
}

/// A home with long messages and the real model in use: some 20 s of work. `None` where the model is absent.
fn with_long_messages() -> Option<Environment> {
    let (model, runtime) = (real_model("all-MiniLM-L6-v2")?, onnx_runtime()?);
    let env = Environment::new();
    let store = Store::open(&env.home().join("history")).unwrap();
    let text =
        |number: usize| format!("{number} ") + &"the certificate of the mirror could not be verified ".repeat(24);
    let messages: Vec<SessionMessage> = (0..640)
        .map(|number| SessionMessage {
            uuid: format!("m{number}"),
            session: "s1".into(),
            project: "/srv".into(),
            time: None,
            role: MessageAuthor::User,
            tools: Vec::new(),
            text: text(number),
            agent: None,
            offset: 0,
        })
        .collect();
    let progress = ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
    store.append(Cli::Claude, Path::new("/t.jsonl"), &messages, &progress).unwrap();
    env.run(&["model", "use", model.to_str().unwrap(), "--runtime", runtime.to_str().unwrap()]).ok();
    Some(env)
}

/// How far the messages have vectors, as three commands say alike.
fn meaning(env: &Environment) -> Value {
    let said = env.json(&["model", "status"])["history"].clone();
    // It goes on meanwhile.
    let alike = |value: &Value| value["total"] == said["total"];
    assert!(
        alike(&env.json(&["history", "stats"])["embeddings"]) && alike(&env.json(&["history", "doctor"])["embeddings"])
    );
    said
}

/// The process that makes vectors, once it has made some.
fn indexer(env: &Environment) -> i64 {
    until(|| meaning(env)["running"] == true);
    let before = meaning(env)["done"].as_u64();
    until(|| meaning(env)["done"].as_u64() > before);
    let line = fs::read_to_string(env.home().join("history/meaning.lock")).unwrap();
    line.split_whitespace().nth(2).unwrap().parse().unwrap()
}

#[test]
fn an_indexer_stops_when_the_model_is_switched_off_or_removed_and_goes_on_where_it_stopped() {
    let Some(env) = with_long_messages() else { return };
    let done = || env.json(&["history", "stats"])["vectors"].as_u64().unwrap();
    let ends = |pid: i64| until(|| !is_there(pid));
    let first = indexer(&env);
    let off = env.run(&["model", "off"]).ok();
    ends(first);
    assert!(off.stdout.starts_with("the model is switched off: search goes by words alone"), "{}", off.whole());
    assert_eq!(env.json(&["model", "status"])["model"]["state"], "off");
    let kept = done();
    assert!(kept > 0 && kept < 640, "{kept}");
    // Nothing uses it, and nothing starts it.
    env.run(&["history", "import", "--all"]).ok();
    assert!(env.run(&["history", "search", "certificate"]).ok().stderr.is_empty());
    assert_eq!(done(), kept);

    env.run(&["model", "on"]).ok();
    let second = indexer(&env);
    let killed = done();
    assert!(killed > kept && meaning(&env)["total"] == 640);
    assert!(std::process::Command::new("kill").args(["-9", &second.to_string()]).status().unwrap().success());
    until(|| !is_there(second));
    assert_eq!(meaning(&env)["running"], false);
    // The next search notices that it is gone.
    env.run(&["history", "search", "certificate"]).ok();
    let third = indexer(&env);
    assert!(third != second && done() > killed);

    let name = env.json(&["model", "status"])["model"]["name"].as_str().unwrap().to_owned();
    env.run(&["model", "remove", &name]).ok();
    ends(third);
    assert!(done() < 640, "it went on to the end");
    for switch in ["on", "off"] {
        let refused = env.run(&["model", switch]);
        assert!(refused.code == 2 && refused.stderr.starts_with("error: no model is in use"), "{}", refused.whole());
    }
}

#[test]
fn an_indexer_says_how_long_it_takes_and_leaves_half_a_core_and_most_memory_to_others() {
    let Some(env) = with_long_messages() else { return };
    let pid = indexer(&env);
    let ticks = || -> u64 {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let of: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in hundredths of a second.
        of[11].parse::<u64>().unwrap() + of[12].parse::<u64>().unwrap()
    };
    let (before, begun) = (ticks(), Instant::now());
    std::thread::sleep(Duration::from_secs(4));
    let share = (ticks() - before) as f64 / begun.elapsed().as_secs_f64();
    assert!(share < 60.0, "{share} % of a core");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")).unwrap();
    assert!(most.parse::<u64>().unwrap() < 200 << 10, "{most} kB");
    let said = meaning(&env);
    assert!(said["eta_seconds"].as_u64().is_some_and(|left| (1..100_000).contains(&left)), "{said}");
    for command in [&["model", "status"][..], &["history", "stats"], &["history", "doctor"]] {
        let shown = env.run(command).ok().stdout;
        assert!(shown.contains(" of 640 messages (") && shown.contains(" left"), "{shown}");
    }
    env.run(&["model", "off"]).ok();
}

#[test]
fn a_search_by_meaning_in_a_fresh_process_takes_a_moment_longer_than_by_words() {
    let (Some(model), Some(runtime)) = (real_model("all-MiniLM-L6-v2"), onnx_runtime()) else { return };
    let env = crate::history::filled();
    env.run(&["model", "use", model.to_str().unwrap(), "--runtime", runtime.to_str().unwrap()]).ok();
    until(|| {
        let said = meaning(&env);
        said["done"] == said["total"]
    });
    // Of its own processor time, because others use this machine too.
    let seconds = |more: &str| -> f64 {
        let script =
            format!("TIMEFORMAT='%U %S'; time \"$0\" history search 'somebody is not trusted' {more} >/dev/null");
        let mut bash = env.program(Path::new("/bin/bash"));
        let output = bash.args(["-c", &script]).arg(env.command(&[]).get_program()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        said.split_whitespace().map(|number| number.parse::<f64>().unwrap()).sum()
    };
    let least = |more: &str| (0..5).map(|_| seconds(more)).fold(f64::MAX, f64::min);
    let (words, both) = (least("--keyword"), least(""));
    println!("{words} s by words, {both} s by meaning too");
    // Reading and checking everything at each load took 0.6 s more on a machine that did nothing else.
    assert!(both < words + 2.0, "{words} s by words, {both} s by meaning too");
    // What was prepared is only made once, and again where a file has changed.
    let prepared = fs::read_dir(env.home().join("cache/prepared")).unwrap().next().unwrap().unwrap().path();
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(prepared.join("weights.bin")).unwrap());
    let first = inode();
    env.run(&["model", "status"]).ok();
    assert_eq!(inode(), first);
    let mut bytes = fs::read(prepared.join("graph.onnx")).unwrap();
    bytes.truncate(100);
    fs::write(prepared.join("graph.onnx"), bytes).unwrap();
    let run = env.run(&["history", "search", "somebody is not trusted"]).ok();
    assert!(
        run.stderr.is_empty() && fs::metadata(prepared.join("graph.onnx")).unwrap().len() > 1000,
        "{}",
        run.whole()
    );
}

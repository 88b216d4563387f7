//! Hooks and indexers that are killed at any moment.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use aiw_tests::Environment;
use rustix::process::{Pid, Signal, kill_process};

use super::{add, ended, hook, kept, line};
use crate::crash::Seed;

/// The indexers of this environment.
fn indexers(env: &Environment) -> Vec<Pid> {
    let home = format!("AIW_HOME={}", env.home().display());
    let is_ours = |pid: &i32| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let has = |bytes: &[u8], word: &[u8]| bytes.split(|byte| *byte == 0).any(|part| part == word);
        has(&read("cmdline"), b"__index") && has(&read("environ"), home.as_bytes())
    };
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(is_ours).filter_map(Pid::from_raw).collect()
}

#[test]
fn what_killed_hooks_and_indexers_leave_is_carried_on_and_nothing_is_there_twice() {
    if !cfg!(target_os = "linux") {
        return aiw_tests::not_run("processes are found in /proc");
    }
    let rounds: u64 = std::env::var("AIW_SOAK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(20);
    let env = Environment::new();
    let mut random = Seed(rounds ^ 0x5eed);
    let mut written: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // What was there when a hook succeeded.
    let mut promised: BTreeMap<String, usize> = BTreeMap::new();
    for round in 0..rounds {
        let session = format!("s-{}", random.next(4));
        let all = written.entry(session.clone()).or_default();
        let mut text = String::new();
        // Some are more than is stored at once.
        let most = if random.next(3) == 0 { 4000 } else { 400 };
        for _ in 0..random.next(most) + 1 {
            let uuid = format!("{session}-{}", all.len());
            text += &line(&session, &uuid, "user", &format!("message {uuid} of round {round}"));
            all.push(uuid);
        }
        // Sometimes the last line is torn when the hook looks, and its end is written afterwards.
        let torn = if random.next(4) == 0 { text.len() - 20 } else { text.len() };
        add(&env, &session, &text[..torn]);
        let mut child = env.command(&["hooks", "handle"]);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(ended(&env, &session).as_bytes());
        if random.next(2) == 0 {
            sleep(Duration::from_micros(random.next(60_000)));
            let _ = child.kill();
        }
        let is_promised = child.wait().unwrap().success();
        add(&env, &session, &text[torn..]);
        if is_promised {
            promised.insert(session, all.len() - usize::from(torn < text.len()));
        }
        if random.next(3) > 0 {
            sleep(Duration::from_micros(random.next(120_000)));
            for indexer in indexers(&env) {
                let _ = kill_process(indexer, Signal::KILL);
            }
        }
    }
    // Another session's end is enough for all that was promised.
    add(&env, "last", &line("last", "l1", "user", "the last"));
    hook(&env, "last");
    for (session, count) in &promised {
        let kept = kept(&env, session);
        let missing: Vec<_> = written[session][..*count].iter().filter(|uuid| !kept.contains_key(*uuid)).collect();
        assert!(missing.is_empty(), "{session}: {missing:?} of {count}");
    }
    for (session, uuids) in &written {
        hook(&env, session);
        let kept = kept(&env, session);
        assert!(kept.values().all(|count| *count == 1), "{session}: {kept:?}");
        assert_eq!(kept.len(), uuids.len(), "{session}");
    }
    assert_eq!(env.json(&["history", "doctor"])["queued"], 0);
}

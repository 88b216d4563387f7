//! Hooks and indexers that are killed at any moment.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::thread::sleep;
use std::time::Duration;

use aiw_tests::Environment;
use rustix::process::{Signal, kill_process};

use super::{add, ended, hook, indexers, kept, line};
use crate::crash::{Seed, rounds};

#[test]
fn what_killed_hooks_and_indexers_leave_is_carried_on_and_nothing_is_there_twice() {
    if !cfg!(target_os = "linux") {
        return aiw_tests::not_run("processes are found in /proc");
    }
    let rounds = rounds();
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
        let mut child = env.command(&["history", "hooks", "handle"]);
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
        assert!(missing.is_empty(), "{session}: {} of {count}, {:?} …", missing.len(), missing[0]);
    }
    for (session, uuids) in &written {
        hook(&env, session);
        let kept = kept(&env, session);
        let twice: Vec<_> = kept.iter().filter(|(_, count)| **count != 1).take(5).collect();
        assert!(twice.is_empty(), "{session}: {twice:?}");
        assert_eq!(kept.len(), uuids.len(), "{session}");
    }
    assert_eq!(env.json(&["history", "doctor"])["queued"], 0);
}

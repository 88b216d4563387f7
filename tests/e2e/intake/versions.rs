//! Two versions of aiw over one home: the older one leaves what the newer one made as it is.

use std::process::Command;

use aiw_tests::{Environment, not_run, python};
use serde_json::json;

use super::launched::codex;
use super::{add, ended, hits, hook, indexers, kept, line};

/// Runs SQL on the database, and returns all that is in it afterwards; nothing without python's sqlite3.
fn sql(env: &Environment, statements: &str) -> Option<String> {
    let program = "import sqlite3, sys\n\
        store = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
        store.executescript(sys.argv[2])\n\
        tables = store.execute(\"SELECT name FROM sqlite_master WHERE sql LIKE 'CREATE TABLE%' ORDER BY name\").fetchall()\n\
        print(*store.execute('PRAGMA user_version'))\n\
        for (name,) in tables: print(name, *store.execute(f'SELECT * FROM \\\"{name}\\\"'), sep='\\n')\n";
    let python = python()?;
    if !Command::new(&python).args(["-c", "import sqlite3"]).status().unwrap().success() {
        return None;
    }
    let run = Command::new(python)
        .args(["-c", program])
        .arg(env.home().join("history/history.db"))
        .arg(statements)
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    Some(String::from_utf8_lossy(&run.stdout).into_owned())
}

#[test]
fn a_newer_ones_store_is_left_alone_and_what_hooks_ask_waits_for_the_newer_one() {
    let env = Environment::cold();
    add(&env, "s-1", &line("s-1", "u1", "user", "before"));
    hook(&env, "s-1");
    crate::until(|| indexers(&env).is_empty());
    let newer = "PRAGMA user_version = 7; CREATE TABLE moods (mood TEXT); INSERT INTO moods VALUES ('good')";
    let Some(made) = sql(&env, newer) else { return not_run("python3 has no sqlite3") };
    assert!(made.starts_with("(7,)") && made.contains("'good'"), "{made}");
    add(&env, "s-1", &line("s-1", "u2", "user", "after"));
    add(&env, "s-2", &line("s-2", "v1", "user", "other"));
    let sentence = format!(
        "error: the history in `{}` has version 7, and this aiw knows 3\nhint: update aiw\n",
        env.home().join("history/history.db").display()
    );
    for arguments in [
        &["history", "search", "before"][..],
        &["history", "show", "s-1"],
        &["history", "sessions"],
        &["history", "stats"],
        &["history", "export", "s-1"],
        &["history", "forget", "s-1", "--yes"],
        &["history", "import", "--all"],
        &["history", "watch", "--once"],
    ] {
        let run = env.run(arguments);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (3, "", sentence.as_str()), "{arguments:?}");
    }
    for session in ["s-1", "s-2"] {
        let run = env.run_with_input(&["history", "hooks", "handle"], ended(&env, session));
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "", ""));
    }
    let run = env.run_with_input(&["history", "hooks", "handle", "--wait"], ended(&env, "s-1"));
    assert_eq!(run.code, 0);
    assert!(run.stderr.contains("has version 7, and this aiw knows 3"), "{}", run.whole());
    let doctor = env.run(&["history", "doctor", "--json"]);
    assert!(doctor.stdout.contains("has version 7"), "{}", doctor.whole());
    assert_eq!(sql(&env, "").unwrap(), made);
    let waiting = std::fs::read_dir(env.home().join("history/queue")).unwrap().count();
    assert_eq!(waiting, 3);
    assert!(!env.home().join("history/damaged").exists() && !env.home().join("history/history.db.damaged").exists());
    // The newer one, which is this one again, reads what was asked for.
    sql(&env, "DROP TABLE moods; PRAGMA user_version = 2").unwrap();
    hook(&env, "s-2");
    assert_eq!(json!(kept(&env, "s-1")), json!({"u1": 1, "u2": 1}));
    assert_eq!(json!(kept(&env, "s-2")), json!({"v1": 1}));
    assert_eq!(env.json(&["history", "doctor"])["queued"], 0);
}

#[test]
fn an_older_ones_store_is_brought_up_to_date_by_itself() {
    let env = Environment::cold();
    add(&env, "s-1", &line("s-1", "u1", "user", "the heron has KEY"));
    codex(&env, "thread-1", Some("aiw-gone"), "an egret");
    env.run(&["history", "import", "--all"]).ok();
    // As the first version was, with a secret that its rules did not know.
    let token = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let older = format!(
        "ALTER TABLE sessions DROP COLUMN provider; ALTER TABLE sessions DROP COLUMN isolated;
         ALTER TABLE state DROP COLUMN rules; DROP TABLE left_out; PRAGMA user_version = 1;
         UPDATE messages SET text = replace(text, 'KEY', '{token}')"
    );
    let Some(made) = sql(&env, &older) else { return not_run("python3 has no sqlite3") };
    assert!(made.starts_with("(1,)") && made.contains(token), "{made}");
    // The transcript is gone: what is stored is all that there is.
    std::fs::remove_file(super::transcript(&env, "s-1")).unwrap();
    let note = "note: the rules about secrets have changed: what was stored before goes through them now\n";
    assert_eq!(env.run(&["history", "search", "egret"]).ok().stderr, note);
    let is_clean = || !env.run(&["history", "export", "s-1"]).ok().stdout.contains(token);
    crate::until(is_clean);
    crate::until(|| env.run(&["history", "search", "egret"]).ok().stderr.is_empty());
    let database = std::fs::read(env.home().join("history/history.db")).unwrap();
    assert!(!database.windows(token.len()).any(|window| window == token.as_bytes()));
    assert_eq!(hits(&env, "heron")[0]["uuid"], "u1");
    crate::until(|| hits(&env, "egret")[0]["provider"] == "aiw-gone");
    assert_eq!(env.json(&["history", "stats"])["messages"], 2);
    assert_eq!(env.read("logs/history.log"), "");
}

#[test]
fn a_store_that_many_open_first_is_open_for_each() {
    for _ in 0..100 {
        let env = Environment::cold();
        let all: Vec<_> = (0..6).map(|_| env.start(&["history", "stats"])).collect();
        for one in all {
            let output = one.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

#[test]
fn a_store_that_is_being_made_when_its_maker_is_killed_is_made_by_the_next() {
    for delay in 0..20 {
        let env = Environment::cold();
        let mut child = env.start(&["history", "stats"]);
        std::thread::sleep(std::time::Duration::from_micros(2000 + delay * 700));
        let _ = child.kill();
        child.wait().unwrap();
        add(&env, "s-1", &line("s-1", "u1", "user", "first"));
        hook(&env, "s-1");
        assert_eq!(json!(kept(&env, "s-1")), json!({"u1": 1}));
        assert!(!env.home().join("history/history.db.damaged").exists());
    }
}

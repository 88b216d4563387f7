//! What the feed tells of real files and of processes that really run, and what it costs when nothing happens.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::Path;

use std::time::{Duration, Instant};

use aiw_app::feed::{Feed, Topic, TopicSubscription};
use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::{Home, Mode, replace};
use aiw_tests::{Environment, FakeClis};
use parking_lot::{Mutex, MutexGuard};

/// Nothing here takes as long.
const HANG_TIMEOUT: Duration = Duration::from_secs(60);

/// The threads of a feed are found by their name, so one test at a time has some.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock()
}

/// How often the thread of the feed has slept so far. None if there is no thread.
fn sleeps() -> Option<u64> {
    let mut threads = fs::read_dir("/proc/self/task").unwrap().flatten().map(|thread| thread.path());
    let thread =
        threads.find(|thread| fs::read_to_string(thread.join("comm")).is_ok_and(|name| name == "aiw-feed\n"))?;
    let status = fs::read_to_string(thread.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

/// Waits until there are no more changes.
fn settle(changes: &TopicSubscription) {
    while !changes.wait(Some(Duration::from_millis(250))).is_empty() {}
}

/// The next changes, as an async caller gets them.
fn next(changes: &TopicSubscription) -> BTreeSet<Topic> {
    futures::executor::block_on(changes.next())
}

fn told(changes: &TopicSubscription, topic: Topic) {
    let topics = changes.wait(Some(HANG_TIMEOUT));
    assert!(topics.contains(&topic), "{topics:?}");
}

#[test]
fn an_event_is_told_and_nothing_else_is() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let home = Home::from_root(dir.path().join("home"));
    fs::create_dir_all(home.root()).unwrap();
    let changes = Feed::open(&home).changes(&[Topic::Events, Topic::Tasks]).unwrap();
    let event = HomeEvent::now(EventKind::Started, EventSubject::Process);
    for _ in 0..2 {
        EventLog::new(home.root()).add(&event).unwrap();
        assert_eq!(changes.wait(Some(HANG_TIMEOUT)), [Topic::Events].into());
        settle(&changes);
    }
}

#[test]
fn each_document_says_its_topic_and_no_other_one() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    // The home is not there yet.
    let home = Home::from_root(dir.path().join("deep/home"));
    let feed = Feed::open(&home);
    let all = [Topic::Servers, Topic::Providers, Topic::Usage, Topic::Plugins, Topic::Documents];
    let changes = feed.changes(&all).unwrap();
    fs::create_dir_all(home.root()).unwrap();
    settle(&changes);
    let write = |name: &str| {
        let path = home.root().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        replace(&path, b"{}", Mode::Private).unwrap();
        changes.wait(Some(HANG_TIMEOUT))
    };
    // On a busy machine, the notice of what was before comes late, and along with it.
    let says = |name: &str, topics: &[Topic]| {
        let wanted: BTreeSet<Topic> = topics.iter().copied().collect();
        let mut said = write(name);
        for _ in 0..5 {
            if said == wanted {
                return;
            }
            settle(&changes);
            said = write(name);
        }
        assert_eq!(said, wanted, "{name}");
    };
    says("mcp.json", &[Topic::Servers, Topic::Documents]);
    says("providers.json", &[Topic::Providers, Topic::Documents]);
    says("plugins.json", &[Topic::Plugins, Topic::Documents]);
    says("workflows.lock", &[Topic::Documents]);
    for (name, topic) in
        [("usage/2026-01", Topic::Usage), ("servers/x.json", Topic::Servers), ("vault/k", Topic::Providers)]
    {
        assert!(write(name).contains(&topic), "{name}");
        settle(&changes);
        // The directory is there now, and a file that is written again says the same alone.
        says(name, &[topic]);
    }
    settle(&changes);
    // A lock is none.
    drop(home.lock().unwrap());
    drop(home.lock_start().unwrap());
    assert_eq!(changes.wait(Some(Duration::from_millis(200))), BTreeSet::new());
    // A directory that goes and comes again is listened to.
    fs::remove_dir_all(home.root()).unwrap();
    settle(&changes);
    fs::create_dir_all(home.root()).unwrap();
    settle(&changes);
    says("mcp.json", &[Topic::Servers, Topic::Documents]);
}

#[test]
fn a_burst_is_few_items_and_who_does_not_read_costs_nothing() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let feed = Feed::open(&Home::from_root(dir.path()));
    let (reads, never) = (feed.changes(&[Topic::Documents]).unwrap(), feed.changes(&[Topic::Documents]).unwrap());
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let items = std::thread::scope(|scope| {
        let items = scope.spawn(|| {
            let mut items = 0;
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                items += usize::from(!reads.wait(Some(HANG_TIMEOUT)).is_empty());
            }
            items
        });
        for number in 0..5000 {
            fs::write(dir.path().join(format!("{}.json", number % 50)), number.to_string()).unwrap();
        }
        std::thread::sleep(Duration::from_millis(100));
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        reads.waker().wake();
        items.join().unwrap()
    });
    // 10,000 changes in less than a few seconds, and one item each 20 ms at most.
    assert!((1..1000).contains(&items), "{items}");
    assert_eq!(never.wait(None), BTreeSet::from([Topic::Documents]));
    assert_eq!(never.wait(Some(Duration::from_millis(50))), BTreeSet::new());
}

/// Waits until there is no thread of a feed.
fn thread_ends() {
    let begun = Instant::now();
    while sleeps().is_some() {
        assert!(begun.elapsed() < HANG_TIMEOUT, "the thread stays");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn an_idle_feed_sleeps_and_its_thread_ends_with_the_last_subscriber() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let feed = Feed::open(&Home::from_root(dir.path()));
    // That of the test before may be ending.
    thread_ends();
    let first = feed.changes(&[Topic::Tasks, Topic::Processes, Topic::Documents]).unwrap();
    first.follow_directory(dir.path());
    let second = feed.changes(&[Topic::Usage]).unwrap();
    settle(&first);
    let before = sleeps().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(sleeps(), Some(before), "it was awake");
    drop(first);
    fs::create_dir_all(dir.path().join("usage")).unwrap();
    told(&second, Topic::Usage);
    drop(second);
    thread_ends();
    // It begins anew.
    let third = feed.changes(&[Topic::Documents]).unwrap();
    fs::write(dir.path().join("mcp.json"), "{}").unwrap();
    told(&third, Topic::Documents);
}

#[test]
fn one_that_follows_files_and_logs_hears_of_its_own() {
    let _turn = turn();
    let dir = tempfile::tempdir().unwrap();
    let feed = Feed::open(&Home::from_root(dir.path().join("home")));
    let (changes, other) = (feed.changes(&[]).unwrap(), feed.changes(&[]).unwrap());
    // Neither is there yet.
    let (file, log) = (dir.path().join("project/.ichimi/processes.kdl"), dir.path().join("logs/log"));
    changes.follow_file(&file);
    changes.follow_directory(log.parent().unwrap());
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "").unwrap();
    assert_eq!(next(&changes), BTreeSet::from([Topic::Files]));
    settle(&changes);
    fs::create_dir_all(log.parent().unwrap()).unwrap();
    fs::write(&log, "a\n").unwrap();
    assert!(next(&changes).contains(&Topic::Logs));
    settle(&changes);
    // A line that is added is a change.
    fs::File::options().append(true).open(&log).unwrap().write_all(b"b\n").unwrap();
    assert_eq!(next(&changes), BTreeSet::from([Topic::Logs]));
    fs::write(file.with_file_name("other"), "").unwrap();
    assert_eq!(changes.wait(Some(Duration::from_millis(100))), BTreeSet::new());
    assert_eq!(other.wait(Some(Duration::ZERO)), BTreeSet::new());
    let waker = changes.waker();
    std::thread::spawn(move || waker.wake());
    assert_eq!(next(&changes), BTreeSet::new());
}

#[test]
fn what_was_made_a_moment_before_others_subscribe_is_told() {
    let _turn = turn();
    for _ in 0..10 {
        let dir = tempfile::tempdir().unwrap();
        let feed = Feed::open(&Home::from_root(dir.path().join("home")));
        let changes = feed.changes(&[]).unwrap();
        let file = dir.path().join("project/.ichimi/processes.kdl");
        fs::create_dir(dir.path().join("project")).unwrap();
        changes.follow_file(&file);
        settle(&changes);
        fs::create_dir(file.parent().unwrap()).unwrap();
        fs::write(&file, "").unwrap();
        // From now on the directory is listened to that is there now.
        let _other = feed.changes(&[Topic::Tasks]).unwrap();
        assert_eq!(next(&changes), BTreeSet::from([Topic::Files]));
    }
}

/// The process of a shim below a directory of records.
fn shim(records: &Path) -> u32 {
    let mut found = fs::read_dir(records).unwrap().flatten().filter_map(|one| {
        let text = fs::read_to_string(one.path().join("process.json")).ok()?;
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        u32::try_from(record["shim"]["pid"].as_u64()?).ok()
    });
    found.next().unwrap()
}

#[test]
fn processes_say_when_they_start_end_and_are_lost() {
    let _turn = turn();
    let env = Environment::cold();
    fs::create_dir_all(env.path(".ichimi")).unwrap();
    let file = "process \"a\" { command \"sh\" \"-c\" \"while :; do echo x; sleep 0.01; done\"; restart \"no\" }";
    fs::write(env.path(".ichimi/processes.kdl"), file).unwrap();
    let changes = Feed::open(&Home::from_root(env.home())).changes(&[Topic::Processes]).unwrap();
    // New, again in the same directory, and while one is listened to that has run before.
    for round in 0..3 {
        env.run(&["up", "-d", "--yes"]).ok();
        told(&changes, Topic::Processes);
        settle(&changes);
        // What it writes is no change of its state.
        let before = sleeps().unwrap();
        std::thread::sleep(Duration::from_millis(500));
        // It writes a hundred lines a second. The end of its supervisor is told again.
        let count = sleeps().unwrap() - before;
        assert!(count <= 2, "round {round}: {count}");
        match round {
            0 => {
                let pid = shim(&env.home().join("processes")).to_string();
                assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            }
            _ => drop(env.run(&["down"]).ok()),
        }
        told(&changes, Topic::Processes);
        settle(&changes);
    }
}

#[test]
fn tasks_say_when_they_start_end_and_are_reported() {
    let _turn = turn();
    let mut env = Environment::cold();
    FakeClis::install(&mut env);
    let changes = Feed::open(&Home::from_root(env.home())).changes(&[Topic::Tasks]).unwrap();
    let end = env.path("end");
    let script = format!("while [ ! -e {} ]; do sleep 0.01; done", end.display());
    let id = env.run(&["claude", "--detach", &FakeClis::script(&script)]).ok().stdout.trim().to_owned();
    told(&changes, Topic::Tasks);
    settle(&changes);
    fs::write(&end, "").unwrap();
    told(&changes, Topic::Tasks);
    settle(&changes);
    env.run(&["wait", &id]).ok();
    told(&changes, Topic::Tasks);
}

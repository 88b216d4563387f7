//! Monitoring: what is news, when it ends, and that an unchanged poll is one request.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiw_events::{EventLog, HomeEvent};
use aiw_supervisor::DaemonRecord;

use super::*;
use crate::monitor::{Monitor, Poller};
use crate::shapes::CiRun;
use crate::{list_monitored_branches, stop_monitoring};

fn record(world: &World) -> Monitor {
    let record =
        Monitor::new(&world.path("repo"), CiRepository::parse("ghe.test/o/r").unwrap(), Some("main".into()), 30);
    record.write(&world.home()).unwrap();
    record
}

use crate::CiRepository;

fn found(id: u64, attempt: u64, conclusion: Option<&str>) -> CiRun {
    let mut one = run(id, if conclusion.is_some() { "completed" } else { "in_progress" }, conclusion);
    one["run_attempt"] = attempt.into();
    serde_json::from_value(one).unwrap()
}

fn short(events: &[HomeEvent]) -> Vec<String> {
    events.iter().map(ToString::to_string).collect()
}

fn quiet(_: &str) {}

/// Polls once, as the daemon does as long as somebody wants it.
async fn poll(poller: &mut Poller, home: &Home, client: &HttpClient, path: &Path) {
    if let Some(record) = Monitor::read_at(path) {
        poller.poll(home, client, &record, quiet).await;
    }
}

#[test]
fn what_begins_and_ends_is_news_once() {
    let world = World::new(|_| runs(&[]));
    let mut record = record(&world);
    // What has ended before is not news.
    assert_eq!(short(&record.apply_runs(vec![found(5, 1, Some("failure")), found(6, 1, None)])), ["ci run #6 started"]);
    assert_eq!(short(&record.apply_runs(vec![found(5, 1, Some("failure")), found(6, 1, None)])), [""; 0]);
    let next = vec![found(8, 1, Some("timed_out")), found(7, 1, None), found(6, 1, Some("success"))];
    let expected = ["ci run #6 finished", "ci run #7 started", "ci run #8 failed: it took too long"];
    assert_eq!(short(&record.apply_runs(next)), expected);
    // It was run again.
    assert_eq!(short(&record.apply_runs(vec![found(6, 2, None)])), ["ci run #6, attempt 2 started"]);
    assert_eq!(short(&record.apply_runs(vec![found(6, 3, Some("failure"))])), ["ci run #6, attempt 3 failed"]);
    // An old run that comes into sight because another was deleted is not news.
    assert_eq!(short(&record.apply_runs(vec![found(2, 1, Some("failure"))])), [""; 0]);
    // Of a workflow, only the newest run counts.
    let failed = |record: &Monitor| record.clone().summary().failed_runs;
    assert_eq!(failed(&record).len(), 1);
    record.apply_runs(vec![found(9, 1, Some("success"))]);
    assert_eq!(failed(&record), [""; 0]);
    for id in 10..500 {
        record.apply_runs(vec![found(id, 1, Some("cancelled"))]);
    }
    assert!(serde_json::to_vec(&record).unwrap().len() < 16 << 10);
}

#[test]
fn it_ends_half_an_hour_after_the_last_run_and_not_while_one_runs() {
    let world = World::new(|_| runs(&[]));
    let mut record = record(&world);
    let now = aiw_home::now_millis();
    let later = now + 31 * 60 * 1000;
    assert!(!record.is_expired(now) && record.is_expired(later));
    record.apply_runs(vec![found(6, 1, None)]);
    // One that waits for what does not come ends it too.
    assert!(!record.is_expired(later) && record.is_expired(now + 25 * 3600 * 1000));
    record.apply_runs(vec![found(6, 1, Some("success"))]);
    assert!(record.is_expired(later));
}

#[test]
fn an_unchanged_poll_is_one_request_and_a_change_an_event() {
    let count = AtomicUsize::new(0);
    let world = World::new(move |_| {
        let marked = |run: Value| {
            let body = json!({"total_count": 1, "workflow_runs": [run]}).to_string();
            Answer::Plain(200, vec![("etag".into(), "W/\"m\"".into())], body.into_bytes())
        };
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => marked(run(7, "in_progress", None)),
            1..4 => Answer::status(304),
            _ => marked(run(7, "completed", Some("failure"))),
        }
    })
    .set("GH_ENTERPRISE_TOKEN", "the-token");
    let (home, path) = (world.home(), record(&world).path(&world.home()));
    let (mut poller, client) = (Poller::new(30), HttpClient::new().unwrap());
    let mut rests = Vec::new();
    wait(async {
        for _ in 0..5 {
            poll(&mut poller, &home, &client, &path).await;
            rests.push(poller.next_poll.saturating_duration_since(Instant::now()).as_secs_f32().round());
        }
    });
    let marks: Vec<Option<String>> =
        world.seen().iter().map(|request| request.headers.get("if-none-match").cloned()).collect();
    let mark = Some("W/\"m\"".to_owned());
    assert_eq!(marks, [None, mark.clone(), mark.clone(), mark.clone(), mark]);
    assert!(world.seen()[0].query.contains("branch=main"));
    // Slower while nothing changes, and not too slow while something runs.
    assert!(rests.windows(2).take(3).all(|two| two[0] <= two[1]) && rests[3] <= 60.0 && rests[4] == 30.0, "{rests:?}");
    let log = EventLog::new(home.root()).read(0, 100, |_| true).unwrap();
    assert_eq!(short(&log.events), ["ci run #7 started", "ci run #7 failed"]);
    assert_eq!((log.events[0].id.as_deref(), log.events[0].project.clone()), (Some("7"), Some(world.path("repo"))));
    assert!(!fs::read_to_string(world.path("home/events/events.jsonl")).unwrap().contains("the-token"));
    assert!(!fs::read_to_string(&path).unwrap().contains("the-token"));
}

#[test]
fn what_is_on_other_pages_or_on_none_is_not_lost() {
    const NEWEST: u64 = 260;
    let first = AtomicUsize::new(0);
    let world = World::new(move |request| {
        let failed = |id| run(id, "completed", Some("failure"));
        if request.path.ends_with("/runs/7") {
            return Answer::ok(failed(7).to_string());
        }
        if request.path.ends_with("/runs/8") {
            return Answer::status(404);
        }
        if first.fetch_add(1, Ordering::Relaxed) == 0 {
            return runs(&[run(8, "in_progress", None), run(7, "in_progress", None)]);
        }
        // Three pages of new ones; what ran before is on none of them.
        let page: u64 = request.query.split_once("&page=").unwrap().1.split('&').next().unwrap().parse().unwrap();
        let newest = NEWEST - (page - 1) * 100;
        runs(&(10..=newest).rev().take(100).map(failed).collect::<Vec<_>>())
    });
    let (home, path) = (world.home(), record(&world).path(&world.home()));
    let (mut poller, client) = (Poller::new(30), HttpClient::new().unwrap());
    wait(async {
        poll(&mut poller, &home, &client, &path).await;
        poll(&mut poller, &home, &client, &path).await;
    });
    let log = EventLog::new(home.root()).read(0, 1000, |_| true).unwrap();
    let told: BTreeSet<String> = short(&log.events).into_iter().collect();
    assert_eq!(told.len(), 2 + 251 + 1);
    for id in [7, 10, 100, NEWEST] {
        assert!(told.contains(&format!("ci run #{id} failed")), "{id}");
    }
    // Of the one that was deleted, nothing more is waited for.
    let kept = fs::read_to_string(&path).unwrap();
    assert!(!kept.contains("\"is_over\":false"), "{kept}");
}

#[test]
fn nothing_is_asked_for_by_what_a_killed_writer_has_left() {
    let world = World::new(|_| runs(&[]));
    let (home, record) = (world.home(), record(&world));
    let path = record.path(&home);
    let ghost = path.with_file_name(".tmpXyZ");
    fs::copy(&path, &ghost).unwrap();
    assert_eq!(list_monitored_branches(&home).len(), 1);
    assert_eq!(stop_monitoring(&home, &world.path("repo")).unwrap().stopped.len(), 1);
    assert_eq!(list_monitored_branches(&home), Vec::new());
    // It ends, and does not go round without a pause.
    let ended = wait(async {
        let (mut poller, client) = (Poller::new(30), HttpClient::new().unwrap());
        tokio::time::timeout(Duration::from_secs(20), poller.run(&home, &client, &path, quiet)).await
    });
    assert!(ended.is_ok() && world.seen().is_empty());
}

#[test]
fn a_mark_from_before_a_stop_hides_nothing() {
    let world = World::new(|request| match request.headers.contains_key("if-none-match") {
        true => Answer::status(304),
        false => {
            let body = json!({"total_count": 1, "workflow_runs": [run(7, "in_progress", None)]}).to_string();
            Answer::Plain(200, vec![("etag".into(), "W/\"m\"".into())], body.into_bytes())
        }
    });
    let (home, path) = (world.home(), record(&world).path(&world.home()));
    let (mut poller, client) = (Poller::new(30), HttpClient::new().unwrap());
    wait(poll(&mut poller, &home, &client, &path));
    stop_monitoring(&home, &world.path("repo")).unwrap();
    record(&world);
    wait(poll(&mut poller, &home, &client, &path));
    let log = EventLog::new(home.root()).read(0, 100, |_| true).unwrap();
    assert_eq!(short(&log.events), ["ci run #7 started", "ci run #7 started"]);
}

#[test]
fn a_stop_wins_and_a_limit_is_kept() {
    let world = World::new(|_| headers(429, &[("retry-after", "900")]));
    let (home, path) = (world.home(), record(&world).path(&world.home()));
    let (mut poller, client) = (Poller::new(30), HttpClient::new().unwrap());
    wait(poll(&mut poller, &home, &client, &path));
    assert!(poller.next_poll.saturating_duration_since(Instant::now()) > Duration::from_secs(800));
    assert!(list_monitored_branches(&home)[0].problem.as_deref().unwrap().contains("15 minutes"));
    assert_eq!(stop_monitoring(&home, &world.path("elsewhere")).unwrap().stopped.len(), 0);
    assert_eq!(stop_monitoring(&home, &world.path("repo")).unwrap().stopped.len(), 1);
    wait(poll(&mut poller, &home, &client, &path));
    assert_eq!((list_monitored_branches(&home), world.seen().len(), path.exists()), (Vec::new(), 1, false));
}

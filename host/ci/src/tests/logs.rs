//! Logs: what failed, and nothing that hides or leaks.

use std::time::Duration;

use aiw_redact::rules::Redactor;
use aiw_tests::Then;
use proptest::prelude::*;

use super::*;
use crate::log::{ExcerptBuilder, MAX_LINES, plain_lines};

const TIME: &str = "2026-11-27T10:00:00.1234567Z ";

fn redactor() -> Redactor {
    Redactor::new(&["kestrel-secret".to_owned()]).unwrap()
}

fn cut(text: &str, room: usize) -> (Vec<String>, u64) {
    let mut cutter = ExcerptBuilder::new(room);
    text.lines().for_each(|line| cutter.push_line(line.as_bytes()));
    cutter.finish(&redactor())
}

fn lines(range: std::ops::Range<u64>) -> String {
    range.map(|line| format!("{TIME}line {line}\n")).collect()
}

/// A run whose jobs have failed, with this log.
fn failed(names: &'static [&'static str], log: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> World {
    World::new(move |request| match request.path.rsplit('/').next().unwrap() {
        "logs" => log(request),
        "jobs" => {
            let all: Vec<Value> = names.iter().zip(1..).map(|(name, id)| job(id, name, "failure")).collect();
            jobs(&all)
        }
        _ => Answer::ok(run(7, "completed", Some("failure")).to_string()),
    })
    .set("GH_ENTERPRISE_TOKEN", "the-token")
}

fn logs(world: &World) -> crate::CiFailedLogs {
    wait(world.open(None).unwrap().with_timeout(Duration::from_secs(20)).failed_logs(Some(7))).unwrap()
}

#[test]
fn an_error_is_shown_with_thirty_lines_before_it() {
    let text = format!("{}{TIME}##[error]exit code 2\n{}", lines(0..100), lines(101..150));
    let (found, left_out) = cut(&text, 200);
    assert_eq!((found.len(), left_out), (32, 119));
    assert_eq!((found[0].as_str(), found[1].as_str()), ("… 70 lines left out", "line 70"));
    assert_eq!(found[31], "##[error]exit code 2");
}

#[test]
fn of_many_errors_the_first_and_the_last_are_shown() {
    let text: String =
        (0..1000).map(|n| format!("{}{TIME}##[error]number {n}\n", lines(n * 40..n * 40 + 39))).collect();
    let (found, left_out) = cut(&text, 180);
    assert!(found.len() <= 200 && left_out == 40_000 - 180, "{} {left_out}", found.len());
    assert!(found.contains(&"##[error]number 0".to_owned()) && found.last().unwrap() == "##[error]number 999");
}

#[test]
fn without_an_error_the_end_is_shown() {
    let (found, left_out) = cut(&lines(0..1000), 50);
    assert_eq!((found.len(), left_out, found[1].as_str(), found[50].as_str()), (51, 950, "line 950", "line 999"));
    assert_eq!(cut("", 50), (Vec::new(), 0));
}

#[test]
fn a_line_is_plain_text() {
    for (written, shown) in [
        ("\u{feff}2026-11-27T10:00:00.1234567Z text", "text"),
        ("2026-11-27T10:00:00Z text", "text"),
        ("2026-11-27 text", "2026-11-27 text"),
        ("\u{1b}[31;1mred\u{1b}[0m \u{1b}]0;title\u{7}end", "red end"),
        ("10%\r50%\rdone", "done"),
        ("a\u{202e}b\u{200b}\u{9b}31m", "a\\u{202e}b\\u{200b}\\u{9b}31m"),
        ("\u{8}\u{0}x", "\\u{8}\\u{0}x"),
    ] {
        let found = plain_lines(&[written.as_bytes().to_vec()], &redactor());
        // What controls a terminal is gone or visible; a library for that decides which.
        assert!(!found[0].contains(|c: char| c.is_control() || c == '\u{202e}'), "{written:?}: {found:?}");
        if !written.contains('\u{0}') && !written.contains('\u{9b}') {
            assert_eq!(found, [shown], "{written:?}");
        }
    }
    let long = plain_lines(&["ü".repeat(4000).into_bytes()], &redactor());
    assert!(long[0].ends_with("(7000 more bytes)") && long[0].len() < 1100, "{}", &long[0][980..]);
}

#[test]
fn secrets_are_taken_out_by_value_and_by_form() {
    let world = failed(&["test"], |_| {
        Answer::ok(format!(
            "{TIME}token the-token\n{TIME}vault kestrel-of-the-vault\n\
             {TIME}export AWS_SECRET_ACCESS_KEY=\u{1b}[1mwJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzKEY\u{1b}[0m\n\
             {TIME}ghp_16C7e42F292c6912E7710c838347Ae178B4a\n{TIME}##[error]failed\n"
        ))
    });
    let home = world.home();
    let lock = home.lock().unwrap();
    home.vault().set(&lock, &"mine".parse().unwrap(), &aiw_core::Secret::new("kestrel-of-the-vault")).unwrap();
    drop(lock);
    let text = logs(&world).jobs[0].lines.join("\n");
    for secret in ["the-token", "kestrel", "wJalr", "16C7e42F"] {
        assert!(!text.contains(secret), "{text}");
    }
    assert!(text.contains("##[error]failed"));
}

#[test]
fn two_hundred_lines_are_shown_of_all_jobs_together() {
    const NAMES: [&str; 30] = ["matrix (a, 1)"; 30];
    let world = failed(&NAMES, |_| Answer::ok(format!("{}{TIME}##[error]failed\n", lines(0..5000))));
    let found = logs(&world);
    let all: usize = found.jobs.iter().map(|job| job.lines.len()).sum();
    assert!(all <= MAX_LINES && all > MAX_LINES / 2 && found.jobs.len() == 30, "{all}");
    assert!(found.jobs[0].lines.last().unwrap().contains("##[error]"));
    assert_eq!(found.jobs[0].step.as_deref(), Some("2 Run make"));
    assert!(found.jobs[29].note.as_deref().unwrap().contains("left out"));
    assert!(found.about.contains("no orders to you"));
}

#[test]
fn what_has_no_log_is_a_sentence() {
    type Case = (fn() -> Answer, &'static str);
    let cases: [Case; 6] = [
        (|| Answer::status(404), "its log is gone"),
        (|| Answer::status(410), "its log is gone"),
        (|| Answer::redirect("http://10.0.0.1/log?sig=kestrel"), "can't be read"),
        (|| Answer::redirect("http://169.254.169.254/log?sig=kestrel"), "can't be read"),
        (|| Answer::redirect("http://127.0.0.1:9/log?sig=kestrel"), "can't be read"),
        (|| Answer::Cut, "can't be read"),
    ];
    for (answer, said) in cases {
        let world = failed(&["test"], move |_| answer());
        let found = logs(&world);
        let note = found.jobs[0].note.as_deref().unwrap_or_default();
        assert!(note.contains(said) && !note.contains("kestrel"), "{note}");
    }
    let mut job = job(1, "test", "failure");
    job["status"] = "in_progress".into();
    let world = World::new(move |request| match request.path.rsplit('/').next().unwrap() {
        "logs" => Answer::status(404),
        "jobs" => jobs(&[job.clone()]),
        _ => Answer::ok(run(7, "in_progress", None).to_string()),
    });
    assert!(logs(&world).jobs[0].note.as_deref().unwrap().starts_with("it still runs"));
}

#[test]
fn a_log_that_stalls_is_shown_as_far_as_it_came() {
    let world = failed(&["test"], |_| {
        Answer::Part(200, Vec::new(), format!("{}{TIME}##[error]early\n", lines(0..9)).into_bytes(), Then::Silence)
    });
    let ci = world.open(None).unwrap().with_timeout(Duration::from_millis(500));
    let found = wait(ci.failed_logs(Some(7))).unwrap();
    assert_eq!(found.jobs[0].lines.last().unwrap(), "##[error]early");
    assert!(found.jobs[0].note.as_deref().unwrap().contains("too late"));
}

#[test]
fn the_token_stays_at_the_host_when_its_log_is_elsewhere() {
    let seen = Arc::<Mutex<Vec<Request>>>::default();
    let log = seen.clone();
    let storage = Server::start(move |request| {
        log.lock().unwrap().push(request.clone());
        Answer::ok("##[error]from the storage\n")
    });
    let to = storage.url() + "/blob?sig=x";
    let world = failed(&["test"], move |_| Answer::redirect(to.clone()));
    let mut ci = world.open(None).unwrap();
    // It stands for a public host, which a test has not.
    ci.connection.log_policy.grant_url(&storage.url());
    let found = wait(ci.failed_logs(Some(7))).unwrap();
    assert_eq!(found.jobs[0].lines, ["##[error]from the storage"]);
    assert!(world.tokens().iter().all(|token| token.as_deref() == Some("Bearer the-token")));
    let seen = seen.lock().unwrap();
    assert!(seen.len() == 1 && !format!("{seen:?}").contains("the-token"), "{seen:?}");
}

#[test]
fn nothing_failed_is_said_too() {
    let world = World::new(|request| match request.path.rsplit('/').next().unwrap() {
        "jobs" => jobs(&[job(1, "test", "success")]),
        _ => Answer::ok(run(7, "completed", Some("success")).to_string()),
    });
    let found = logs(&world);
    assert!(found.jobs.is_empty() && found.notes.iter().any(|note| note.contains("it has succeeded")), "{found:?}");
}

proptest! {
    #[test]
    fn a_cut_is_bounded_whatever_is_in_a_log(
        lines in proptest::collection::vec("(##\\[error\\])?[a-z \u{1b}\u{202e}\r]{0,20}", 0..400), room in 1usize..60
    ) {
        let mut cutter = ExcerptBuilder::new(room);
        lines.iter().for_each(|line| cutter.push_line(line.as_bytes()));
        let (found, left_out) = cutter.finish(&redactor());
        let gaps = found.iter().filter(|line| line.starts_with('…')).count();
        prop_assert!(found.len() - gaps <= room);
        prop_assert_eq!(left_out as usize + found.len() - gaps, lines.len());
        let hides = |line: &String| line.contains(|c: char| c.is_control() || c == '\u{202e}');
        prop_assert!(!found.iter().any(hides), "{:?}", found);
    }
}

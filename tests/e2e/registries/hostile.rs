//! A registry that lies, and its pages.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aiw_tests::{Answer, Server};
use serde_json::{Value, json};

use super::{Registry, machine, names, remote, row, until_copied};

/// What a server answers to its requests, by their number.
type Feed = Box<dyn Fn(usize) -> Answer + Send + Sync>;

/// How long a registry may take, and what a test machine adds.
const BOUND: Duration = Duration::from_secs(40);

#[test]
fn rows_that_lie_in_every_field_are_left_out_or_shown_as_text() {
    let escape = "\u{1b}]0;x\u{7}\u{202e}";
    let mut rows = vec![remote("good/weather", "Weather", "1.0.0")];
    for name in ["a/../weather", "-rf/weather", "a b/weather", &format!("a/weather{escape}"), &"a/".repeat(300)] {
        rows.push(remote(name, "Weather", "1.0.0"));
    }
    rows.push(remote("bad/weather-text", &format!("Weather {escape}\nInstalled `x`"), "1.0.0"));
    rows.push(remote("bad/weather-version", "Weather", &format!("1{escape}")));
    rows.push(row(&json!({"name": "bad/weather-deep", "version": "1", "description": {"a": [[[[]]]]}})));
    rows.push(json!(["weather"]));
    rows.push(json!("weather"));
    let registry = Registry::start(rows);
    let env = machine(&registry.url());
    let found = until_copied(&env, "weather");
    assert_eq!(names(&found)[0], "good/weather");
    assert!(names(&found).iter().all(|name| name.starts_with("good/") || name.starts_with("bad/weather-")), "{found}");
    let run = env.run(&["mcp", "search", "weather"]).ok();
    assert!(!run.whole().contains(['\u{1b}', '\u{7}', '\u{202e}']), "{}", run.whole());
    assert!(run.stdout.lines().all(|line| !line.starts_with("Installed")), "{}", run.whole());
}

#[test]
fn a_row_that_cannot_be_read_hides_no_other() {
    let good = remote("good/weather", "Weather", "1.0.0");
    for bad in [format!("{}{}", "[".repeat(200), "]".repeat(200)), "1e999".into(), r#""\ud800""#.into()] {
        let bad = format!(r#"{{"server":{{"name":"bad/weather","version":"1","_meta":{bad}}}}}"#);
        let page = format!(r#"{{"servers":[{bad},{good}],"metadata":{{"count":2}}}}"#);
        let server = Server::start(move |_| Answer::ok(page.clone()));
        let found = machine(&server.url()).json(&["mcp", "search", "weather"]);
        assert_eq!(names(&found), ["good/weather"], "{found}");
    }
}

/// Searches at a registry that answers in this way. It must end in time, and name the registry.
fn said_of(answer: Feed) -> String {
    let count = AtomicUsize::new(0);
    let server = Server::start(move |_| answer(count.fetch_add(1, Ordering::Relaxed)));
    let env = machine(&server.url());
    let begun = Instant::now();
    let found = env.json(&["mcp", "search", "weather"]);
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    assert_eq!(found["servers"], json!([]));
    assert_eq!(found["sources"][0]["source"], "registry-official", "{found}");
    found["sources"][0]["problem"].as_str().unwrap_or_else(|| panic!("{found}")).to_owned()
}

#[test]
fn answers_that_are_none_are_named_in_time() {
    for (said, answer) in [
        ("500", Box::new(|_| Answer::status(500)) as Feed),
        ("", Box::new(|_| Answer::ok("<html>no</html>"))),
        ("", Box::new(|_| Answer::ok("{\"servers\":[".repeat(100_000)))),
        ("", Box::new(|_| Answer::Endless)),
        ("15 s", Box::new(|_| Answer::Trickle)),
        ("15 s", Box::new(|_| Answer::Silence)),
        ("", Box::new(|_| Answer::redirect("http://169.254.169.254/v0.1/servers"))),
    ] {
        let problem = said_of(answer);
        assert!(problem.contains(said) && !problem.is_empty(), "{said}: {problem}");
    }
}

#[test]
fn a_feed_without_an_end_is_left_and_what_was_there_stays() {
    let page = |at: usize, next: &str| {
        let server = remote(&format!("page/weather-{at}"), "Weather", "1.0.0");
        Answer::ok(json!({"servers": [server], "metadata": {"nextCursor": next}}).to_string())
    };
    let empty = |at: usize| {
        let servers: Vec<Value> = if at == 0 { vec![remote("page/weather-0", "Weather", "1")] } else { Vec::new() };
        Answer::ok(json!({"servers": servers, "metadata": {"nextCursor": at.to_string()}}).to_string())
    };
    let feeds: [(&str, Feed); 2] =
        [("the same cursor again", Box::new(move |at| page(at, "again"))), ("without a server", Box::new(empty))];
    for (said, feed) in feeds {
        let pages = Arc::new(AtomicUsize::new(0));
        let asked = pages.clone();
        let server = Server::start(move |request| match request.query.contains("search=") {
            true => Answer::ok(r#"{"servers":[],"metadata":{"count":0}}"#),
            false => feed(asked.fetch_add(1, Ordering::Relaxed)),
        });
        let env = machine(&server.url());
        let begun = Instant::now();
        // A part of the registry is known, and it is not taken for the whole.
        let found = loop {
            let found = env.json(&["mcp", "search", "weather"]);
            if !names(&found).is_empty() && pages.load(Ordering::Relaxed) > 1 {
                break found;
            }
            assert!(begun.elapsed() < BOUND, "{said}: {found}");
            std::thread::sleep(Duration::from_millis(100));
        };
        assert!(found["sources"][0].get("cached_servers").is_none(), "{found}");
        let asked = pages.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(1500));
        assert!(pages.load(Ordering::Relaxed) <= asked.max(6), "{said}: it goes on asking");
    }
}

//! What requests use, and budgets.

use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;

use aiw_tests::{Answer as Scripted, Environment, FakeClis, Then};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::pools::{add, asking, named};
use super::{Gateway, KEY, Upstream, events, question};
use crate::until;

fn rows(env: &Environment, arguments: &[&str]) -> Value {
    env.json(&[&["usage"], arguments].concat())["rows"].clone()
}

/// A price for all models of tests: ten cents for each token that is read, a dollar for each that is written.
fn prices(env: &Environment, budgets: &Value) {
    let price = json!({"input": 1e5, "output": 1e6});
    env.settings(&json!({"models": {"*": {"price": price}}, "budgets": budgets}));
}

/// A question that is expected to use three tokens.
fn small() -> Value {
    json!({"model": "claude-opus-5", "max_tokens": 2, "messages": [{"role": "user", "content": "Hi"}]})
}

#[test]
fn each_request_is_booked_with_what_it_used_and_cost() {
    let mut env = Environment::new();
    let (one, status) = named("one");
    add(&mut env, "one", &one);
    let gateway = Gateway::start(&env, "one");
    assert_eq!(gateway.ask("/v1/messages", &question(false)).status, 200);
    assert_eq!(gateway.ask("/v1/messages", &question(true)).status, 200);
    // Nine tokens read and two written, each time.
    let rows_of = |by: &str| rows(&env, &["--by", by]);
    let sum = &rows_of("provider")[0];
    assert_eq!(sum["key"], "one");
    assert_eq!(
        (&sum["requests"], &sum["input"], &sum["output"], &sum["unpriced"]),
        (&json!(2), &json!(18), &json!(4), &json!(2))
    );
    assert!(env.run(&["usage"]).ok().stdout.contains('?'));
    // A price that is known later counts for what was booked before.
    prices(&env, &json!({}));
    assert!((rows_of("model")[0]["cost_usd"].as_f64().unwrap() - 5.8).abs() < 1e-6);
    assert_eq!(rows_of("model")[0]["key"], "one-model");
    // An answer that breaks off is booked as far as it came; one that is refused is not.
    status.store(3, Ordering::Relaxed);
    assert!(gateway.ask("/v1/messages", &question(true)).text().contains("event: error"));
    status.store(500, Ordering::Relaxed);
    assert_eq!(gateway.ask("/v1/messages", &question(true)).status, 502);
    let sum = &rows_of("day")[0];
    assert_eq!((&sum["requests"], &sum["truncated"], &sum["estimated"]), (&json!(3), &json!(1), &json!(1)), "{sum}");
    assert!(sum["output"].as_u64().unwrap() > 4);
    let month: String = aiw_home_month(&env);
    let book = std::fs::read_to_string(&month).unwrap();
    assert!(!book.contains(KEY) && !book.contains("Hi"), "{book}");
    assert_eq!(std::fs::metadata(&month).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(rows(&env, &["--since", "2100-01-01"]).as_array().unwrap().is_empty());
    assert!(rows(&env, &["-p", "another"]).as_array().unwrap().is_empty());
}

/// The one file of the book.
fn aiw_home_month(env: &Environment) -> String {
    let files: Vec<_> =
        std::fs::read_dir(env.home().join("usage")).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].display().to_string()
}

#[test]
fn a_provider_that_does_not_count_is_estimated() {
    let mut env = Environment::new();
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a word or two\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let upstream = Upstream::new(move |_, _| events(text));
    add(&mut env, "one", &upstream);
    let gateway = Gateway::start(&env, "one");
    assert_eq!(gateway.ask("/v1/messages", &question(false)).status, 200);
    let sum = rows(&env, &[])[0].clone();
    assert_eq!((&sum["requests"], &sum["estimated"], &sum["truncated"]), (&json!(1), &json!(1), &json!(0)));
    assert!(sum["input"].as_u64().unwrap() > 0 && sum["output"].as_u64().unwrap() > 0, "{sum}");
}

#[test]
fn a_task_costs_what_its_requests_cost_and_one_of_its_own_what_its_cli_says() {
    let (mut env, _fakes) = FakeClis::environment();
    let (one, _) = named("one");
    add(&mut env, "one", &one);
    prices(&env, &json!({}));
    let project = env.path("project");
    std::fs::create_dir(&project).unwrap();
    let cwd = project.display().to_string();
    let run = env.run(&["claude", &FakeClis::script(&asking(3)), "-p", "one", "--cwd", &cwd]).ok();
    // The fake CLI itself says 10, 5 and $0.25, as one would that knows nothing of the model.
    assert!(run.stderr.contains("used: 27 tokens read, 6 written, $8.7000"), "{}", run.whole());
    let task = &env.json(&["task", "list"])["tasks"][0]["id"].as_str().unwrap().to_owned();
    let shown = env.json(&["task", "show", task])["task"].clone();
    assert_eq!(shown["usage"]["input"], 27, "{shown}");
    assert!((shown["cost_usd"].as_f64().unwrap() - 8.7).abs() < 1e-6, "{shown}");
    let by_task = rows(&env, &["--by", "task"]);
    assert_eq!(
        (&by_task[0]["key"], &by_task[0]["requests"], &by_task[0]["tasks"]),
        (&json!(task), &json!(3), &json!(1))
    );
    let by_project = rows(&env, &["--by", "project", "--project", &cwd]);
    let there = std::fs::canonicalize(&project).unwrap().display().to_string();
    assert_eq!(by_project[0]["key"], json!(there), "{by_project}");
    // Its own login: the CLI knows what that costs.
    env.run(&["claude", "hi"]).ok();
    let own = rows(&env, &["-p", "own"])[0].clone();
    assert_eq!((&own["tasks"], &own["input"], &own["cost_usd"]), (&json!(1), &json!(10), &json!(0.25)), "{own}");
    // A private run is counted, but not where it was.
    let private = env.command(&["codex", "hi", "--cwd", &cwd]).env("AIW_HISTORY", "off").output().unwrap();
    assert!(private.status.success());
    let nowhere = rows(&env, &["--by", "project"]);
    assert!(nowhere.as_array().unwrap().iter().any(|row| row["key"] == Value::Null && row["tasks"] == 1), "{nowhere}");
    let status = env.run(&["status"]).ok().stdout;
    assert!(status.contains("today: ") && status.contains("`aiw usage`"), "{status}");
    let text = env.run(&["usage", "--by", "model"]).ok();
    assert!(text.stdout.contains("one-model") && text.stderr.contains("not counted"), "{}", text.whole());
}

#[test]
fn a_budget_warns_or_stops_new_runs_and_requests() {
    let (mut env, _fakes) = FakeClis::environment();
    let (one, _) = named("one");
    let (two, _) = named("two");
    add(&mut env, "one", &one);
    add(&mut env, "two", &two);
    prices(&env, &json!({}));
    env.run(&["budget", "set", "soft", "--usd", "2", "--per", "day"]).ok();
    env.run(&["budget", "set", "hard", "--tokens", "20", "--per", "day", "-p", "one", "--block"]).ok();
    let gateway = Gateway::start(&env, "one");
    assert_eq!(gateway.ask("/v1/messages", &small()).status, 200);
    let said = env.run(&["claude", "hi", "-p", "one"]).ok().stderr;
    assert!(said.contains("note: the budget `soft` of $2.00 a day is used up: $2.90 so far"), "{said}");
    assert_eq!(gateway.ask("/v1/messages", &small()).status, 200);
    // Twenty-two tokens: whoever asks now is refused, in words that end its turn.
    let refused = gateway.ask("/v1/messages", &small());
    let (status, text) = (refused.status, refused.text());
    assert!(status == 403 && text.contains("the budget `hard` of 20 tokens a day is used up"), "{text}");
    // Each is told once, however many requests follow.
    let told = || -> Vec<String> {
        let events = env.json(&["events", "--kind", "budget_exceeded"])["events"].clone();
        let mut names: Vec<String> =
            events.as_array().unwrap().iter().map(|event| event["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    until(|| told() == ["hard", "soft"]);
    let run = env.run(&["claude", "hi", "-p", "one"]);
    assert!(
        run.code == 2 && run.stderr.contains("the budget `hard`") && run.stderr.contains("`aiw usage`"),
        "{}",
        run.whole()
    );
    // It is only for that provider, and a pool goes on with the others.
    env.run(&["claude", "hi", "-p", "two"]).ok();
    env.run(&["pool", "add", "work", "one", "two"]).ok();
    let pooled = Gateway::start(&env, "work");
    let whole: Value = serde_json::from_str(&pooled.ask("/v1/messages", &small()).text()).unwrap();
    assert_eq!(whole["content"][0]["text"], "two", "{whole}");
    env.run(&["claude", "hi", "-p", "work"]).ok();
    let usage = env.json(&["usage"]);
    assert_eq!((&usage["pools"][0]["key"], &usage["pools"][0]["requests"]), (&json!("work"), &json!(1)), "{usage}");
    assert!(env.run(&["usage"]).ok().stdout.contains("through pool work"));
    let budgets = env.json(&["budget", "list"])["budgets"].clone();
    let hard = budgets.as_array().unwrap().iter().find(|budget| budget["name"] == "hard").unwrap();
    assert_eq!((&hard["tokens"], &hard["blocks"], &hard["spent"]["requests"]), (&json!(20), &json!(true), &json!(2)));
    env.run(&["budget", "remove", "hard"]).ok();
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    assert_eq!(gateway.ask("/v1/messages", &small()).status, 200);
    for (arguments, said) in [
        (vec!["budget", "set", "x"], "--usd"),
        (vec!["budget", "set", "x", "--usd", "-1"], "unexpected argument '-1'"),
        (vec!["budget", "set", "x", "--usd", "much"], "expected a number of dollars"),
        (vec!["budget", "set", "x", "--usd", "1", "--per", "week"], "is not `day` or `month`"),
        (vec!["budget", "set", "x", "--usd", "1", "-p", "none"], "there is no provider or pool `none`"),
        (vec!["budget", "remove", "x"], "there is no budget `x`"),
    ] {
        let run = env.run(&arguments);
        assert!(run.code != 0 && run.stderr.contains(said), "{arguments:?}: {}", run.whole());
    }
}

#[test]
fn what_was_paid_for_is_booked_whoever_left_and_whatever_broke() {
    let mut env = Environment::new();
    let begun = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half a word that goes on\"}}],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}\n\n";
    let upstream = Upstream::new(move |asked, _| match asked {
        1 => {
            Scripted::Part(200, vec![("content-type".into(), "text/event-stream".into())], begun.into(), Then::Silence)
        }
        _ => events(begun),
    });
    add(&mut env, "one", &upstream);
    let gateway = Gateway::start(&env, "one");
    // It leaves while it waits for the whole.
    gateway.leave("/v1/messages", &question(false));
    let begun = std::time::Instant::now();
    while rows(&env, &[])[0]["input"] != 9 {
        assert!(begun.elapsed() < std::time::Duration::from_secs(20), "it was not booked");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    // It gets nothing of an answer that breaks off, which was paid for.
    assert_eq!(gateway.ask("/v1/messages", &question(false)).status, 502);
    let sum = rows(&env, &[])[0].clone();
    assert_eq!((&sum["requests"], &sum["truncated"], &sum["input"]), (&json!(2), &json!(2), &json!(18)), "{sum}");
}

#[test]
fn a_gateway_that_is_killed_forgets_no_request_that_was_open() {
    let mut env = Environment::new();
    let silent = Upstream::new(|_, _| Scripted::Part(200, Vec::new(), String::new().into(), Then::Silence));
    add(&mut env, "one", &silent);
    env.run(&["budget", "set", "b", "--tokens", "5", "--per", "day", "--block"]).ok();
    let gateway = Gateway::start(&env, "one");
    std::thread::scope(|scope| {
        scope.spawn(|| gateway.leave("/v1/messages", &small()));
        while silent.asked().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        kill_process(Pid::from_child(&gateway.process), Signal::KILL).unwrap();
    });
    let sum = rows(&env, &[])[0].clone();
    assert_eq!((&sum["requests"], &sum["truncated"], &sum["estimated"]), (&json!(1), &json!(1), &json!(1)), "{sum}");
    assert_eq!((&sum["input"], &sum["output"]), (&json!(1), &json!(2)), "{sum}");
    let refused = Gateway::start(&env, "one").ask("/v1/messages", &small());
    let (status, said) = (refused.status, refused.text());
    assert!(status == 403 && said.contains("has too little left: 3 so far"), "{said}");
    assert_eq!(silent.asked().len(), 1);
}

#[test]
fn absurd_numbers_and_a_book_that_was_cut_or_can_not_be_read_are_no_way_around_a_budget() {
    let mut env = Environment::new();
    let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":18446744073709551615,\"completion_tokens\":18446744073709551615}}\n\ndata: [DONE]\n\n";
    let absurd = Upstream::new(move |_, _| events(text));
    let (two, _) = named("two");
    add(&mut env, "absurd", &absurd);
    add(&mut env, "two", &two);
    env.run(&["budget", "set", "b", "--tokens", "1000000000000", "--per", "day", "--block"]).ok();
    let gateway = Gateway::start(&env, "absurd");
    for _ in 0..3 {
        assert_eq!(gateway.ask("/v1/messages", &question(false)).status, 200);
    }
    assert!(env.json(&["budget", "list"])["budgets"][0]["spent"]["input"].as_u64().unwrap() <= 300_000_000);
    // Twenty-two tokens of the other one use this up.
    env.run(&["budget", "set", "b", "--tokens", "20", "--per", "day", "-p", "two", "--block"]).ok();
    let gateway = Gateway::start(&env, "two");
    let status = || gateway.ask("/v1/messages", &small()).status;
    assert_eq!([status(), status(), status()], [200, 200, 403]);
    // A new name of the provider is no way around it.
    env.run(&["provider", "rename", "two", "zwei"]).ok();
    assert_eq!(env.json(&["budget", "list"])["budgets"][0]["provider"], "zwei");
    env.run(&["provider", "rename", "zwei", "two"]).ok();
    let month = aiw_home_month(&env);
    let book = std::fs::read_to_string(&month).unwrap();
    // Each request has two lines, and the last of them is gone: what was spent is not known, until somebody takes that.
    std::fs::write(&month, book.lines().take(8).map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let refused = gateway.ask("/v1/messages", &small());
    let (status_of, said) = (refused.status, refused.text());
    assert!(status_of == 403 && said.contains("has lost bookings of") && said.contains("budget repair"), "{said}");
    let run = env.run(&["usage"]).ok();
    assert!(run.stderr.contains("has lost bookings of"), "{}", run.whole());
    let accepted = env.json(&["budget", "repair"])["accepted"].clone();
    assert!(accepted.as_str().unwrap().contains("has lost bookings of"), "{accepted}");
    assert_eq!(env.json(&["budget", "repair"])["accepted"], Value::Null);
    assert_eq!([status(), status()], [200, 403]);
    // Settings that nobody can read may hold any budget.
    let settings = std::fs::read_to_string(env.home().join("settings.json")).unwrap();
    std::fs::write(env.home().join("settings.json"), r#"{"budgets": {"b": {"usd": "5", "per": "day"}}}"#).unwrap();
    let unsure = Gateway::start(&env, "absurd").ask("/v1/messages", &question(false));
    let (status_of, said) = (unsure.status, unsure.text());
    assert!(status_of == 403 && said.contains("your budgets can't be read"), "{said}");
    std::fs::write(env.home().join("settings.json"), settings).unwrap();
    // A book that nobody can read may say anything.
    std::fs::remove_file(&month).unwrap();
    std::fs::create_dir(&month).unwrap();
    let refused = gateway.ask("/v1/messages", &question(false));
    let (status, said) = (refused.status, refused.text());
    assert!(status == 403 && said.contains("what your budgets have left is not known"), "{said}");
}

#[test]
fn models_of_a_provider_are_named_by_size_and_by_cli() {
    let (mut env, fakes) = FakeClis::environment();
    let (one, _) = named("one");
    add(&mut env, "one", &one);
    let edit = ["provider", "edit", "one", "--model-for", "small=tiny", "--model-for", "codex=coder"];
    env.run(&edit).ok();
    let gateway = Gateway::start(&env, "one");
    let small = json!({"model": "claude-haiku-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
    assert_eq!(gateway.ask("/v1/messages", &small).status, 200);
    assert_eq!(one.asked()[0].1["model"], "tiny");
    env.run(&["codex", "hi", "-p", "one"]).ok();
    let seen = fakes.only();
    assert!(seen.arguments.concat().contains("coder"), "{:?}", seen.arguments);
    let run = env.run(&["provider", "edit", "one", "--model-for", "huge=x"]);
    assert!(run.code == 64 && run.stderr.contains("expected `large`"), "{}", run.whole());
}

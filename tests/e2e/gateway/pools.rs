//! Pools of providers, with scripted upstreams.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use aiw_tests::{Answer as Scripted, Environment, FakeClis};
use serde_json::{Value, json};

use super::{Gateway, KEY, Upstream, chat, events, question, refusal};

/// Adds a provider at an upstream.
pub(super) fn add(env: &mut Environment, name: &str, upstream: &Upstream) {
    env.set("THE_KEY", KEY);
    let url = format!("openai={}/v1", upstream.server.url());
    let own = ["provider", "add", name, "--preset", "custom", "--api", "chat-completions", "--base-url", &url];
    env.run(&[&own[..], &["--model", &format!("{name}-model"), "--token-env", "THE_KEY", "--no-scrub-env"]].concat())
        .ok();
}

/// An upstream that answers its name, or with a status that the test sets meanwhile.
pub(super) fn named(name: &'static str) -> (Upstream, Arc<AtomicU16>) {
    let status = Arc::new(AtomicU16::new(200));
    let set = status.clone();
    let upstream = Upstream::new(move |_, _| match set.load(Ordering::Relaxed) {
        200 => events(&chat(name)),
        // In a stream that has begun well.
        1 => events("data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n"),
        2 => Scripted::Cut,
        3 => events("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"half a wo\"}}]}\n\n"),
        429 => refusal(
            429,
            &[("retry-after", "600")],
            &json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}),
        ),
        // Limited once, for a second.
        430 => {
            set.store(200, Ordering::Relaxed);
            refusal(
                429,
                &[("retry-after", "1")],
                &json!({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}),
            )
        }
        401 => refusal(
            401,
            &[],
            &json!({"error": {"message": format!("Incorrect API key {KEY}"), "code": "invalid_api_key"}}),
        ),
        400 => refusal(400, &[], &json!({"error": {"message": "this makes no sense"}})),
        status => refusal(status, &[], &json!({"error": {"message": "it does not work"}})),
    });
    (upstream, status)
}

fn pool(order: &str) -> (Environment, Vec<(Upstream, Arc<AtomicU16>)>) {
    let mut env = Environment::new();
    let upstreams = vec![named("one"), named("two")];
    add(&mut env, "one", &upstreams[0].0);
    add(&mut env, "two", &upstreams[1].0);
    env.run(&["pool", "add", "work", "one", "two", "--strategy", order]).ok();
    (env, upstreams)
}

/// A question of a session, not streamed.
fn ask(gateway: &Gateway, session: &str) -> (u16, String) {
    let bearer = format!("Bearer {}", gateway.token);
    let headers = [("authorization", bearer.as_str()), ("x-claude-code-session-id", session)];
    let answer = gateway.send("POST", "/v1/messages", &headers, &question(false).to_string());
    let (status, text) = (answer.status, answer.text());
    let said = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|body| Some(body["content"][0]["text"].as_str()?.to_owned()));
    (status, said.unwrap_or(text))
}

#[test]
fn a_session_goes_on_with_the_next_member_where_one_is_limited_or_fails_and_stays_there() {
    for status in [429, 401, 404, 1, 2, 500, 503, 529] {
        let (env, upstreams) = pool("priority");
        let gateway = Gateway::start(&env, "work");
        assert_eq!(ask(&gateway, "a"), (200, "one".to_owned()), "{status}");
        upstreams[0].1.store(status, Ordering::Relaxed);
        assert_eq!(ask(&gateway, "a"), (200, "two".to_owned()), "{status}");
        // It works again, but this session has its prompt in the other one's cache.
        upstreams[0].1.store(200, Ordering::Relaxed);
        assert_eq!(ask(&gateway, "a"), (200, "two".to_owned()), "{status}");
        // What failed once is not at rest; what is limited, refused or missing is.
        let rests = matches!(status, 429 | 401 | 404);
        let other = if rests { "two" } else { "one" };
        assert_eq!(ask(&gateway, "b"), (200, other.to_owned()), "{status}");
        let shown = env.json(&["pool", "show", "work"])["pool"]["cooldowns"].clone();
        assert_eq!(shown.as_array().unwrap().len(), usize::from(rests), "{status}: {shown}");
        if rests {
            assert_eq!(shown[0]["provider"], "one");
            assert!(!shown.to_string().contains(KEY), "{shown}");
            let status = env.json(&["gateway", "status"]);
            assert_eq!(
                (&status["cooldowns"][0]["pool"], &status["cooldowns"][0]["provider"]),
                (&json!("work"), &json!("one"))
            );
        }
        // Each member got the model that it has.
        assert_eq!(upstreams[1].0.asked()[0].1["model"], "two-model");
        let problems = gateway.stop();
        let switches: Vec<&str> =
            problems.lines().filter(|line| line.starts_with("note: pool `work` goes on with")).collect();
        assert_eq!(switches.len(), 1, "{problems}");
        assert!(switches[0].starts_with("note: pool `work` goes on with `two` in place of `one` ("), "{problems}");
        assert!(!problems.contains(KEY));
    }
}

#[test]
fn a_request_that_is_wrong_and_an_answer_that_has_begun_go_to_nobody_else() {
    let (env, upstreams) = pool("priority");
    let gateway = Gateway::start(&env, "work");
    upstreams[0].1.store(400, Ordering::Relaxed);
    let (status, said) = ask(&gateway, "a");
    assert!(status == 400 && said.contains("this makes no sense"), "{said}");
    // Somebody who has begun to answer is not interrupted by another one: a tool would run twice.
    upstreams[0].1.store(3, Ordering::Relaxed);
    let streamed = gateway.ask("/v1/messages", &question(true)).text();
    assert!(streamed.contains("half a wo") && streamed.contains("event: error\n"), "{streamed}");
    assert!(!streamed.contains("message_stop"));
    assert!(upstreams[1].0.asked().is_empty());
    // Who waits for the whole has got nothing yet.
    assert_eq!(ask(&gateway, "b"), (200, "two".to_owned()));
}

#[test]
fn where_all_are_limited_a_short_wait_is_waited_and_a_long_one_is_said() {
    let (env, upstreams) = pool("priority");
    let gateway = Gateway::start(&env, "work");
    upstreams.iter().for_each(|(_, status)| status.store(430, Ordering::Relaxed));
    // A member in its cooldown is not asked: an answer means that the gateway waited.
    assert_eq!(ask(&gateway, "a").0, 200);
    assert_eq!(upstreams.iter().map(|(upstream, _)| upstream.asked().len()).sum::<usize>(), 3);
    upstreams.iter().for_each(|(_, status)| status.store(429, Ordering::Relaxed));
    assert_eq!(ask(&gateway, "a").0, 429);
    let before = upstreams.iter().map(|(upstream, _)| upstream.asked().len()).sum::<usize>();
    let answer = gateway.ask("/v1/messages", &question(false));
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(answer.status == 429 && (500..=600).contains(&wait), "{wait}");
    assert!(answer.text().contains("all members of pool `work` are limited"));
    // Codex gives up at a status 429, and reads this.
    let codex = gateway.ask("/v1/responses", &json!({"model": "gpt-x", "stream": true, "input": "Hi"})).text();
    assert!(codex.contains("response.failed") && codex.contains("rate_limit_exceeded"), "{codex}");
    let after = upstreams.iter().map(|(upstream, _)| upstream.asked().len()).sum::<usize>();
    assert_eq!(before, after, "nobody who rests was asked");
    // A person knows better.
    upstreams[0].1.store(200, Ordering::Relaxed);
    env.run(&["pool", "reset", "work"]).ok();
    assert_eq!(ask(&gateway, "a"), (200, "one".to_owned()));
}

#[test]
fn what_rests_outlives_the_gateway_and_another_key_is_another_account() {
    let (mut env, upstreams) = pool("priority");
    upstreams[0].1.store(401, Ordering::Relaxed);
    assert_eq!(ask(&Gateway::start(&env, "work"), "a"), (200, "two".to_owned()));
    upstreams[0].1.store(200, Ordering::Relaxed);
    let gateway = Gateway::start(&env, "work");
    assert_eq!(ask(&gateway, "b"), (200, "two".to_owned()));
    let asked = upstreams[0].0.asked().len();
    env.set("ANOTHER_KEY", "sk-canary-of-another-account");
    env.run(&["provider", "edit", "one", "--token-env", "ANOTHER_KEY"]).ok();
    assert_eq!(ask(&Gateway::start(&env, "work"), "c"), (200, "one".to_owned()));
    assert_eq!(upstreams[0].0.asked().len(), asked + 1);
    let files = std::fs::read_to_string(env.home().join("gateway/pools/work.json")).unwrap();
    assert!(!files.contains("canary"), "{files}");
    let events = env.json(&["events", "--kind", "cooldown"])["events"].clone();
    assert_eq!(
        (events.as_array().unwrap().len(), &events[0]["subject"], &events[0]["name"]),
        (1, &json!("provider"), &json!("one"))
    );
    assert!(!events.to_string().contains("canary"));
}

#[test]
fn a_lone_member_is_asked_whatever_it_said() {
    let mut env = Environment::new();
    let (upstream, status) = named("one");
    add(&mut env, "one", &upstream);
    env.run(&["pool", "add", "alone", "one"]).ok();
    let gateway = Gateway::start(&env, "alone");
    for refused in [429, 401, 500] {
        status.store(refused, Ordering::Relaxed);
        assert_ne!(ask(&gateway, "a").0, 200);
        status.store(200, Ordering::Relaxed);
        assert_eq!(ask(&gateway, "a"), (200, "one".to_owned()), "{refused}");
    }
}

#[test]
fn sessions_are_spread_and_a_member_that_rests_is_passed_over() {
    let (env, upstreams) = pool("round-robin");
    let gateway = Gateway::start(&env, "work");
    let who: Vec<String> = ["a", "b", "c", "a", "b", "c"].iter().map(|session| ask(&gateway, session).1).collect();
    assert_eq!(who, ["one", "two", "one", "one", "two", "one"]);
    upstreams[1].1.store(429, Ordering::Relaxed);
    assert_eq!(ask(&gateway, "d").1, "one");
    assert_eq!(ask(&gateway, "e").1, "one");
}

#[test]
fn a_pool_is_added_shown_changed_renamed_with_its_members_and_removed() {
    let (env, _upstreams) = pool("priority");
    let said = env.run(&["pool", "list"]).ok().stdout;
    assert!(said.contains("work") && said.contains("one, two"), "{said}");
    for (arguments, said) in [
        (vec!["pool", "add", "work", "one"], "there is a pool `work`"),
        (vec!["pool", "add", "one", "two"], "provider `one` already exists"),
        (vec!["pool", "add", "own", "one"], "means the CLI's own configuration"),
        (vec!["pool", "add", "x", "none"], "there is no provider `none`"),
        (vec!["pool", "add", "x", "work"], "which is a pool itself"),
        (vec!["pool", "add", "x", "one", "one"], "has a member twice"),
        (vec!["pool", "show", "x"], "there is no pool `x`"),
        (vec!["pool", "edit", "work", "--strategy", "priority"], "nothing to change"),
        (vec!["provider", "remove", "one"], "is a member of pool `work`"),
        (vec!["provider", "add", "work", "--preset", "ollama"], "there is a pool `work`"),
    ] {
        let run = env.run(&arguments);
        assert!(run.code == 2 && run.stderr.contains(said), "{arguments:?}: {}", run.whole());
    }
    env.run(&["provider", "rename", "one", "uno"]).ok();
    env.run(&["pool", "edit", "work", "--member", "two=large", "--member", "uno", "--strategy", "least-busy"]).ok();
    let shown = env.json(&["pool", "show", "work"])["pool"].clone();
    assert_eq!(shown["members"][0], json!({"provider": "two", "model": "large", "exists": true}));
    assert_eq!((&shown["members"][1]["provider"], &shown["strategy"]), (&json!("uno"), &json!("least-busy")));
    env.run(&["provider", "default", "work"]).ok();
    assert_eq!(env.json(&["pool", "show", "work"])["pool"]["default_for"], json!(["claude", "codex", "gemini"]));
    env.run(&["pool", "remove", "work"]).ok();
    assert_eq!(env.json(&["pool", "list"])["pools"], json!([]));
    assert_eq!(env.json(&["provider", "default"])["default"]["claude"], Value::Null);
}

#[test]
fn a_key_that_a_server_repeats_within_an_answer_stands_nowhere() {
    let mut env = Environment::new();
    let upstream = Upstream::new(|asked, _| match asked % 3 {
        0 => events(&format!("data: {{\"error\":{{\"message\":\"bad key {KEY}\",\"code\":503}}}}\n\n")),
        1 => Scripted::Plain(
            200,
            vec![("content-type".into(), "application/json".into())],
            json!({"error": {"message": format!("bad key {KEY}"), "code": "rate_limit_exceeded"}}).to_string().into(),
        ),
        _ => refusal(429, &[], &json!({"error": {"message": format!("{} {KEY}", "x".repeat(1_990))}})),
    });
    add(&mut env, "one", &upstream);
    let (two, _) = named("two");
    add(&mut env, "two", &two);
    env.run(&["pool", "add", "work", "one", "two"]).ok();
    let (alone, pooled) = (Gateway::start(&env, "one"), Gateway::start(&env, "work"));
    let mut said = String::new();
    for at in 0..6 {
        said.push_str(&alone.ask("/v1/messages", &question(at % 2 == 0)).text());
        said.push_str(&ask(&pooled, &format!("session {at}")).1);
        env.run(&["pool", "show", "work"]).ok();
        said.push_str(&env.run(&["pool", "show", "work"]).ok().stdout);
        env.run(&["pool", "reset", "work"]).ok();
    }
    said.push_str(&alone.stop());
    said.push_str(&pooled.stop());
    said.push_str(&std::fs::read_to_string(env.home().join("gateway/pools/work.json")).unwrap_or_default());
    // Not even its beginning.
    assert!(!said.contains(&KEY[..8]), "{said}");
}

#[test]
fn a_name_of_a_model_leads_to_no_other_address() {
    let mut env = Environment::new();
    env.set("THE_KEY", KEY);
    let upstream = Upstream::new(|_, _| Scripted::status(404));
    let url = format!("gemini={}", upstream.server.url());
    let own = ["provider", "add", "g", "--preset", "custom", "--api", "generate-content", "--base-url", &url];
    env.run(&[&own[..], &["--token-env", "THE_KEY", "--no-scrub-env"]].concat()).ok();
    let gateway = Gateway::start(&env, "g");
    for model in ["../../v1/secrets?x=1#", "a/../../b", "%2e%2e/x", "", "a\nb", "/x", &"x".repeat(300)] {
        let asked = json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]});
        let answer = gateway.ask("/v1/messages", &asked);
        let status = answer.status;
        assert!(status == 400 && answer.text().contains("valid"), "{model:?}");
    }
    assert!(upstream.asked().is_empty() && upstream.server.seen().is_empty(), "{:?}", upstream.server.seen());
}

#[test]
fn a_limit_that_ends_soon_is_waited_for_by_the_request_that_met_it() {
    let (_env, upstreams) = pool("priority");
    let gateway = Gateway::start(&_env, "work");
    upstreams[0].1.store(430, Ordering::Relaxed);
    upstreams[1].1.store(429, Ordering::Relaxed);
    assert_eq!(ask(&gateway, "a"), (200, "one".to_owned()));
}

#[test]
fn a_value_that_a_provider_refuses_changes_no_other_request() {
    let mut env = Environment::new();
    let upstream = Upstream::new(|_, body| match body["temperature"].as_f64() {
        Some(heat) if heat > 1.0 => refusal(
            400,
            &[],
            &json!({"error": {"message": "temperature must be at most 1; please stop", "param": "temperature"}}),
        ),
        _ => events(&chat("one")),
    });
    add(&mut env, "one", &upstream);
    let gateway = Gateway::start(&env, "one");
    let with = |heat: f64| {
        let mut asked = question(false);
        asked["temperature"] = json!(heat);
        gateway.ask("/v1/messages", &asked).status
    };
    assert_eq!([with(1.5), with(0.5)], [400, 200]);
    let asked = upstream.asked();
    assert_eq!((asked.len(), &asked[1].1["temperature"]), (2, &json!(0.5)));
}

#[test]
fn a_run_names_a_pool_and_is_told_when_it_goes_on_elsewhere() {
    let (mut env, _fakes) = FakeClis::environment();
    let upstreams = [named("one"), named("two")];
    add(&mut env, "one", &upstreams[0].0);
    add(&mut env, "two", &upstreams[1].0);
    env.run(&["pool", "add", "work", "one", "missing=x", "two"]).code.checked_sub(2).unwrap();
    env.run(&["pool", "add", "work", "one", "two"]).ok();
    let explained = env.json(&["claude", "hi", "-p", "work", "--explain"])["explain"].clone();
    assert_eq!(explained["gateway"]["members"], json!(["one", "two"]), "{explained}");
    upstreams[0].1.store(429, Ordering::Relaxed);
    let run = env.run(&["claude", &FakeClis::script(&asking(2)), "-p", "work"]).ok();
    assert!(run.stdout.contains("two"), "{}", run.whole());
    // The first request of a session has nobody to leave; a session that has one does.
    upstreams[0].1.store(200, Ordering::Relaxed);
    env.run(&["pool", "reset", "work"]).ok();
    let status = upstreams[0].1.clone();
    let limits = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(1_500));
        status.store(429, Ordering::Relaxed);
    });
    let slow = format!("{}\nsleep 3\n{}", asking(1), asking(1));
    let run = env.run(&["claude", &FakeClis::script(&slow), "-p", "work"]).ok();
    limits.join().unwrap();
    let note = "note: pool `work` goes on with `two` in place of `one` (slow down)";
    assert!(run.stdout.contains("one") && run.stdout.contains("two"), "{}", run.whole());
    assert_eq!(run.stderr.matches(note).count(), 1, "{}", run.whole());
    // Without a member that can be asked, nothing starts.
    env.unset("THE_KEY");
    let run = env.run(&["claude", "hi", "-p", "work"]);
    assert!(run.code == 2 && run.stderr.contains("THE_KEY"), "{}", run.whole());
}

/// A script that asks the model of its run so often, and prints what it says.
pub(super) fn asking(times: usize) -> String {
    format!(
        r#"python3 - <<'PY'
import json, os, urllib.request
for _ in range({times}):
    body = json.dumps({{"model": "claude-opus-5", "max_tokens": 9, "messages": [{{"role": "user", "content": "Hi"}}]}})
    headers = {{"authorization": "Bearer " + os.environ["ANTHROPIC_AUTH_TOKEN"], "content-type": "application/json",
               "x-claude-code-session-id": "s"}}
    request = urllib.request.Request(os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages", body.encode(), headers)
    try:
        said = json.load(urllib.request.urlopen(request))["content"][0]["text"]
    except urllib.error.HTTPError as e:
        said = str(e.code) + " " + e.read().decode()
    print(json.dumps({{"type": "assistant", "message": {{"content": [{{"type": "text", "text": said}}]}}, "parent_tool_use_id": None}}), flush=True)
PY"#
    )
}

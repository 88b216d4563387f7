//! Secrets in the output of a CLI.

use std::time::Duration;

use aiw_tasks::{FollowFrom, Outcome, Program, QueueLimit, State};

use crate::environment::{Environment, program, task, wait_for};

const SECRET: &str = "sk-12345678-abcd";

fn masking(script: &str) -> Program {
    Program { secrets: vec![SECRET.into()], ..program(script) }
}

#[test]
fn the_last_message_is_masked_when_it_is_put_together() {
    let env = Environment::new();
    let script = "echo session s; echo part it is sk-1234; echo part 5678-abcd; echo verdict good";
    let task = env.try_start(task(), masking(script), QueueLimit::default()).unwrap();
    let task = env.ended(task.id);
    assert_eq!(task.outcome, Some(Outcome::Succeeded));
    assert_eq!(task.about.final_message.as_deref(), Some("it is [secret]"));
}

#[test]
fn a_line_that_may_go_on_is_shown_after_a_while_and_others_at_once() {
    let env = Environment::new();
    let go = env.path("go");
    let delta = |text: &str| format!("printf '%s\\n' '{{\"text\":\"{text}\"}}'");
    let script = format!(
        "{}; {}; while [ ! -e {} ]; do sleep 0.01; done; {}",
        delta("as it is"),
        delta("it is sk-123456"),
        go.display(),
        delta("78-abcd")
    );
    let task = env.try_start(task(), masking(&script), QueueLimit::default()).unwrap();
    let mut follow = env.tasks().log(task.id).unwrap().follow(FollowFrom::Start).unwrap();
    let mut seen = Vec::new();
    wait_for(|| {
        let entries = follow.next(Duration::from_millis(100)).unwrap();
        seen.extend(entries.into_iter().filter(|entry| entry.stream == aiw_tasks::Stream::Stdout));
        (seen.len() == 2).then_some(())
    });
    // Nothing has arrived since, and the CLI is running.
    assert_eq!(env.tasks().get(task.id).unwrap().state, State::Running);
    std::fs::write(go, "").unwrap();
    env.ended(task.id);
    assert_eq!(env.stdout(task.id), [r#"{"text":"as it is"}"#, r#"{"text":"it is [secret]"}"#, r#"{"text":""}"#]);
}

#[test]
fn what_is_held_back_is_in_the_log_when_the_cli_has_ended() {
    let env = Environment::new();
    let script = r#"printf '{"text":"it is sk-1"}\n{"text":"sk-12345'; printf 'sk-12' >&2"#;
    let task = env.try_start(task(), masking(script), QueueLimit::default()).unwrap();
    env.ended(task.id);
    assert_eq!(env.stdout(task.id), [r#"{"text":"it is sk-1"}"#, r#"{"text":"[secret]"#]);
    let all = env.tasks().log(task.id).unwrap().tail(usize::MAX).unwrap();
    assert!(all.iter().any(|entry| entry.bytes == b"sk-12"));
}

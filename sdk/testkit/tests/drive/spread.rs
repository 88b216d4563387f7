//! An extension of a third party that looks at tasks: a provider with several accounts.

use std::time::SystemTime;

use aiw_core::{CliKind, Family, TaskId};
use aiw_testkit::provider::Value;
use aiw_testkit::{Task, TaskState, Testkit};

use crate::common::bytes;
use crate::profiles::{profile, target};

fn task(number: u64, provider: &str, tag: &str, state: TaskState) -> Task {
    Task {
        id: TaskId::from_number(number),
        cli: CliKind::Claude,
        provider: Some(provider.parse().unwrap()),
        role: None,
        tag: Some(tag.into()),
        state,
        outcome: None,
        exit_code: None,
        started: SystemTime::UNIX_EPOCH,
        ended: None,
    }
}

/// The account that a launch takes, beside these tasks.
async fn account(tasks: &[Task]) -> String {
    let kit = Testkit::new(bytes("acme-spread")).unwrap();
    let spread = tasks.iter().cloned().fold(kit, Testkit::task).load().await.unwrap();
    let url = [(Family::Anthropic, "https://llm.acme.example")];
    let mine = profile("acme-spread", &url, &["account-a", "account-b", "account-c"]);
    let plan = spread.launch_plan(&mine, &target(CliKind::Claude)).await.unwrap();
    let tag = plan.tag.unwrap();
    let key = plan.set.into_iter().find(|set| set.name.as_str() == "ANTHROPIC_AUTH_TOKEN").unwrap().value;
    assert_eq!(key, Value::Secret { name: tag.clone(), prefix: String::new() });
    assert_eq!(plan.notes, [format!("account `{tag}` of 3")]);
    tag
}

#[tokio::test]
async fn a_launch_takes_the_account_with_the_fewest_tasks() {
    use TaskState::{Ended, Queued, Running};

    assert_eq!(account(&[]).await, "account-a");
    let mut tasks = vec![task(1, "mine", "account-a", Running)];
    assert_eq!(account(&tasks).await, "account-b");
    // One of another provider, and one that has ended, take nothing away.
    tasks.extend([task(2, "other", "account-b", Running), task(3, "mine", "account-b", Ended)]);
    assert_eq!(account(&tasks).await, "account-b");
    tasks.push(task(4, "mine", "account-b", Queued));
    assert_eq!(account(&tasks).await, "account-c");
    tasks.push(task(5, "mine", "account-c", Running));
    tasks.push(task(6, "mine", "account-a", Running));
    assert_eq!(account(&tasks).await, "account-b");
}

#[tokio::test]
async fn a_provider_without_accounts_is_refused() {
    let spread = Testkit::new(bytes("acme-spread")).unwrap().load().await.unwrap();
    let mine = profile("acme-spread", &[(Family::Anthropic, "https://llm.acme.example")], &[]);
    let refused = spread.launch_plan(&mine, &target(CliKind::Claude)).await.unwrap_err();
    assert_eq!(refused.to_string(), "provider `mine` has no account: each of its secrets is one");
}

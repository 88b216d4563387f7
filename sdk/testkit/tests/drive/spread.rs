//! A third-party extension that looks at tasks: a provider with several keys.

use std::time::SystemTime;

use aiw_testkit::provider::{Api, Auth, Family};
use aiw_testkit::{Cli, Task, TaskState, Testkit};

use crate::accounts::{account, target};
use crate::common::kit;

fn task(number: u64, provider: &str, tag: &str, state: TaskState) -> Task {
    Task {
        id: format!("{number:012}"),
        cli: Cli::Claude,
        provider: Some(provider.into()),
        role: None,
        tag: Some(tag.into()),
        state,
        outcome: None,
        exit_code: None,
        started: SystemTime::UNIX_EPOCH,
        ended: None,
    }
}

/// Returns the key that a new start uses while these tasks exist.
async fn key(tasks: &[Task]) -> String {
    let kit = kit("acme-spread");
    let spread = tasks.iter().cloned().fold(kit, Testkit::task).load().await.unwrap();
    let url = [(Family::Anthropic, "https://llm.acme.example")];
    let mine = account("acme-spread", &url, &["key-a", "key-b", "key-c"]);
    let intent = spread.provider().plan(&mine, &target(Api::Messages)).await.unwrap();
    let tag = intent.tag.unwrap();
    assert_eq!(intent.auth, Auth::Bearer { secret: tag.clone() });
    assert_eq!(intent.notes, [format!("key `{tag}` of 3")]);
    tag
}

#[tokio::test]
async fn a_start_takes_the_key_with_the_fewest_tasks() {
    use TaskState::{Ended, Queued, Running};

    assert_eq!(key(&[]).await, "key-a");
    let mut tasks = vec![task(1, "mine", "key-a", Running)];
    assert_eq!(key(&tasks).await, "key-b");
    // A task of another provider and a task that has ended do not count.
    tasks.extend([task(2, "other", "key-b", Running), task(3, "mine", "key-b", Ended)]);
    assert_eq!(key(&tasks).await, "key-b");
    tasks.push(task(4, "mine", "key-b", Queued));
    assert_eq!(key(&tasks).await, "key-c");
    tasks.push(task(5, "mine", "key-c", Running));
    tasks.push(task(6, "mine", "key-a", Running));
    assert_eq!(key(&tasks).await, "key-b");
}

#[tokio::test]
async fn a_provider_without_keys_is_refused() {
    let spread = kit("acme-spread").load().await.unwrap();
    let mine = account("acme-spread", &[(Family::Anthropic, "https://llm.acme.example")], &[]);
    let refused = spread.provider().plan(&mine, &target(Api::Messages)).await.unwrap_err();
    assert_eq!(refused.to_string(), "provider `mine` has no key: each of its secrets is one");
}

//! A component that misbehaves only makes its own call fail with one clear error; the next call works.

use std::time::{Duration, Instant};

use crate::common::{HANG_GUARD, fetch, hostile, kit, mode};
use aiw_testkit::{CallError, Driver, EntryRef, EntrySource, RecordedResponse, Refusal};

const POLITE: &str = r#"{"name": "polite", "owner": {"name": "nobody"}, "plugins": []}"#;

async fn after(hostile: &Driver, of: &str) -> String {
    let start = Instant::now();
    let said = fetch(hostile, of).await;
    assert!(start.elapsed() < HANG_GUARD, "{of} took {:?}", start.elapsed());
    assert_eq!(fetch(hostile, "polite").await, POLITE, "after {of}");
    said
}

#[tokio::test]
async fn a_loop_is_stopped_at_its_deadline() {
    let hostile = kit("hostile").load().await.unwrap();
    assert_eq!(after(&hostile, "loop").await, "component `hostile` ran for 2 s without an answer and was stopped");
}

#[tokio::test]
async fn a_loop_of_host_calls_is_stopped_as_well() {
    let hostile = kit("hostile").load().await.unwrap();
    assert_eq!(
        after(&hostile, "slow-clock").await,
        "component `hostile` ran for 2 s without an answer and was stopped"
    );
}

#[tokio::test]
async fn a_claim_is_limited_as_every_call_is() {
    let hostile = kit("hostile").load().await.unwrap();
    let stopped = hostile.market_source().claim("hostile:claim-loop").await.unwrap_err();
    assert_eq!(stopped.to_string(), "component `hostile` ran for 2 s without an answer and was stopped");
    let panicked = hostile.market_source().claim("hostile:claim-panic").await.unwrap_err().to_string();
    assert!(panicked.starts_with("component `hostile` gave up: panicked at src/lib.rs:"), "{panicked}");
    assert_eq!(hostile.market_source().claim("hostile:polite").await.unwrap().unwrap().location, "polite");
    assert!(hostile.market_source().claim("elsewhere").await.unwrap().is_none());
}

#[tokio::test]
async fn a_claim_that_sleeps_is_stopped_within_seconds() {
    let hostile = kit("hostile-wasi").load().await.unwrap();
    let stopped = hostile.market_source().claim("hostile:claim-sleep").await.unwrap_err();
    assert_eq!(stopped.to_string(), "component `hostile` gave no answer within 5 s");
}

#[tokio::test]
async fn wasi_tells_the_time_to_those_who_may_know_it() {
    let granted = kit("hostile-wasi").load().await.unwrap();
    assert_eq!(fetch(&granted, "wasi-clock").await, "1767225600");
    let without = kit("timeless");
    assert!(!without.info().requested["imports"].contains(&"clock".to_owned()));
    assert_eq!(fetch(&without.load().await.unwrap(), "now").await, "0");
}

#[tokio::test]
async fn memory_ends_at_its_limit() {
    let hostile = hostile().load().await.unwrap();
    assert_eq!(after(&hostile, "memory").await, "component `hostile` wanted more than 64 MiB of memory");
}

#[tokio::test]
async fn recursion_ends_in_its_own_call() {
    let hostile = hostile().load().await.unwrap();
    assert_eq!(
        after(&hostile, "recursion").await,
        "component `hostile` ran out of stack, as endless recursion does, or read outside its memory"
    );
}

#[tokio::test]
async fn a_panic_is_told_in_its_own_words() {
    let hostile = hostile().load().await.unwrap();
    let said = after(&hostile, "panic").await;
    let (start, rest) = said.split_once("src/lib.rs:").unwrap();
    assert_eq!(start, "component `hostile` gave up: panicked at ");
    assert!(rest.ends_with(": the index is upside down"), "{said}");
}

#[tokio::test]
async fn what_a_component_says_cannot_steer_a_terminal() {
    let hostile = hostile().load().await.unwrap();
    for of in ["panic-escape", "escape-error"] {
        let said = after(&hostile, of).await;
        assert!(said.contains(r"\u{1b}") && !said.contains(char::is_control), "{said:?}");
    }
    assert!(hostile.log().iter().all(|line| !line.line.contains(char::is_control)), "{:?}", hostile.log());
}

#[tokio::test]
async fn an_answer_that_is_too_big_is_not_taken() {
    let hostile = hostile().load().await.unwrap();
    assert_eq!(after(&hostile, "big-answer").await, "component `hostile` handed over more than 20 MiB in one call");
    assert!(after(&hostile, "big-error").await.len() < 2000);
}

#[tokio::test]
async fn a_flood_of_log_lines_is_cut() {
    let hostile = hostile().load().await.unwrap();
    assert_eq!(after(&hostile, "log-flood").await, "flooded");
    let log = hostile.log();
    let bytes: usize = log.iter().map(|line| line.line.len()).sum();
    assert!(bytes <= 66 << 10, "{bytes} bytes in {} lines", log.len());
    assert_eq!(log.last().unwrap().to_string(), "warn: more than 64 KiB of log in one call; the rest is left out");
}

#[tokio::test]
async fn requests_are_counted() {
    let hostile = hostile().response("https://declared.example/", RecordedResponse::ok("x")).load().await.unwrap();
    assert_eq!(
        after(&hostile, "many-requests").await,
        "component `hostile` asked for more than 200 requests in one call"
    );
    assert_eq!(hostile.requested_urls().len(), 200);
}

#[tokio::test]
async fn handles_and_reads_of_trees_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let hostile = hostile().directory(directory.path()).load().await.unwrap();
    let at = directory.path().display();
    assert_eq!(
        after(&hostile, &format!("many-trees:{at}")).await,
        "component `hostile` held more than 256 trees in one call"
    );
    assert_eq!(
        after(&hostile, &format!("many-reads:{at}")).await,
        "component `hostile` read more than 20000 times in one call"
    );
}

#[tokio::test]
async fn rubbish_is_handed_on_as_it_is() {
    let hostile = hostile().load().await.unwrap();
    assert_eq!(hostile.market_source().fetch_marketplace(&mode("rubbish")).await.unwrap().document.len(), 4096);
    assert_eq!(fetch(&hostile, "no-such").await, "no mode `no-such`");
}

#[tokio::test]
async fn every_kind_of_call_survives_a_bad_one() {
    let hostile = hostile().load().await.unwrap();
    let entry = EntryRef { name: "x".into(), source: EntrySource::Relative("./x".into()), revision: "1".into() };
    let loops = mode("panic");
    assert!(matches!(hostile.market_source().download_plugin(&loops, &entry).await, Err(CallError::Trapped { .. })));
    assert!(matches!(hostile.market_source().fetch_plugin(&loops, &entry).await, Err(CallError::Trapped { .. })));
    assert!(matches!(hostile.market_source().update(&loops, "1").await, Err(CallError::Trapped { .. })));
    let polite = mode("polite");
    let refused = hostile.market_source().download_plugin(&polite, &entry).await.err().unwrap();
    assert!(matches!(refused, CallError::Rejected { refusal: Refusal::NotFound, .. }), "{refused}");
    let revision = hostile.market_source().fetch_marketplace(&polite).await.unwrap().revision;
    assert!(hostile.market_source().update(&polite, &revision).await.unwrap().is_none());
    assert!(hostile.market_source().update(&polite, "older").await.unwrap().is_some());
}

#[tokio::test]
async fn calls_run_beside_one_that_loops() {
    let hostile = hostile().load().await.unwrap();
    let polite = async {
        for _ in 0..20 {
            assert_eq!(fetch(&hostile, "polite").await, POLITE);
        }
    };
    let at = mode("loop");
    let source = hostile.market_source();
    tokio::select! {
        _ = source.fetch_marketplace(&at) => panic!("the loop held the others until it was stopped"),
        () = polite => {}
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_ends() {
    let hostile = hostile().load().await.unwrap();
    let at = mode("loop");
    let start = Instant::now();
    assert!(
        tokio::time::timeout(Duration::from_millis(200), hostile.market_source().fetch_marketplace(&at)).await.is_err()
    );
    assert!(start.elapsed() < HANG_GUARD, "{:?}", start.elapsed());
    assert_eq!(fetch(&hostile, "polite").await, POLITE);
}

//! Measures what a call to a component costs. Prints rows of `what, measured, unit` for `cargo xtask
//! bench`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints a table and ends on any error")]

use std::path::Path;
use std::time::{Duration, Instant};

use aiw_testkit::Testkit;

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.components/market-github.wasm");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let driver = Testkit::read(path).unwrap().load().await.unwrap();
        let mut calls: Vec<Duration> = Vec::new();
        for _ in 0..3_000 {
            let start = Instant::now();
            driver.market_source().describe().await.unwrap();
            calls.push(start.elapsed());
        }
        calls.sort();
        let whole = calls[calls.len() / 2];
        println!("component call, fresh store and instance\t{:.1}\tµs", whole.as_secs_f64() * 1e6);
        let count = 1_000;
        let mut alone: Vec<Duration> = Vec::new();
        for _ in 0..20 {
            alone.push(driver.market_source().time_calls(count).await.unwrap() / count);
        }
        alone.sort();
        println!("component call alone\t{:.2}\tµs", alone[alone.len() / 2].as_secs_f64() * 1e6);
    });
}

//! End-to-end tests: the real binary, real components, real git, and real servers on loopback.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by a panic, its helpers too")]

mod attacks;
mod attention;
mod bad_input;
mod browse;
mod canary;
mod ci;
mod claude;
mod cli;
mod clis;
mod crash;
mod doctor;
mod extensions;
mod gateway;
mod health;
mod history;
mod http;
mod init;
mod installed;
mod intake;
mod interactive;
mod keys;
mod knowing;
mod links;
mod lists;
mod masking;
mod mcp;
mod mcp_clients;
mod models;
mod oauth;
mod odd_searches;
mod planning;
mod plugins;
mod processes;
mod providers;
mod readme;
mod real_clis;
mod real_markets;
mod real_servers;
mod recorded;
mod registries;
mod roles;
mod routing;
mod servers;
mod setup;
mod sync;
mod tasks;
mod terminal;
mod trust;
mod tui;
mod untrusted;
mod web;
mod workflows;

use std::time::{Duration, Instant};

/// Whether what is waited for is there.
pub(crate) trait Awaited {
    type Found;

    fn found(self) -> Option<Self::Found>;
}

impl Awaited for bool {
    type Found = ();

    fn found(self) -> Option<()> {
        self.then_some(())
    }
}

impl<T> Awaited for Option<T> {
    type Found = T;

    fn found(self) -> Option<T> {
        self
    }
}

/// Waits until something is so, or is there.
#[track_caller]
pub(crate) fn until<A: Awaited>(mut look: impl FnMut() -> A) -> A::Found {
    let start = Instant::now();
    loop {
        if let Some(found) = look().found() {
            return found;
        }
        assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "it never is");
        std::thread::sleep(Duration::from_millis(10));
    }
}

//! End-to-end tests: the real binary, real components, real git, and real servers on loopback.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by a panic, its helpers too")]

mod attacks;
mod bad_input;
mod browse;
mod canary;
mod claude;
mod cli;
mod clis;
mod crash;
mod extensions;
mod gateway;
mod history;
mod http;
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
mod tasks;
mod terminal;
mod trust;
mod workflows;

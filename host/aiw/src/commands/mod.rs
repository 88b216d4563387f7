//! One file a noun: `aiw plugin install` is in `plugin.rs`.

pub mod browse;
pub mod call;
pub mod cli_list;
pub mod docs;
pub mod doctor;
mod each;
pub mod extension;
mod follow;
pub mod general;
pub mod history;
pub mod history_doctor;
pub mod hooks;
pub mod intake;
pub mod marketplace;
pub mod mcp;
pub mod model;
pub mod new;
pub mod plugin;
pub mod process;
pub mod provider;
pub mod role;
pub mod run;
pub mod secret;
pub mod setup;
pub mod task;
pub mod trust;
pub mod workflow;

/// A line for each sign that what is about to be added is written to take over a model or to read keys.
fn suspicious(lines: &[String]) -> Vec<String> {
    let signs = aiw_routing::signs(lines.iter().map(String::as_str));
    signs.into_iter().map(|sign| format!("suspicious: it {sign}")).collect()
}

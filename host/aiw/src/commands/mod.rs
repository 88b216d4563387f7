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
pub mod hooks;
pub mod intake;
pub mod marketplace;
pub mod mcp;
pub mod model;
pub mod new;
pub mod plugin;
pub mod provider;
pub mod role;
pub mod run;
pub mod secret;
pub mod setup;
pub mod task;
pub mod trust;

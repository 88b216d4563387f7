//! One file a noun: `aiw plugin install` is in `plugin.rs`.

pub mod attention;
pub mod browse;
pub mod call;
pub mod ci;
pub mod cli_list;
pub mod dev;
pub mod docs;
pub mod doctor;
mod each;
pub mod events;
pub mod extension;
mod follow;
pub mod gateway;
pub mod general;
pub mod history;
pub mod history_doctor;
pub mod hooks;
pub mod import;
pub mod init;
pub mod marketplace;
pub mod mcp;
pub mod model;
pub mod new;
pub mod planner;
pub mod plugin;
pub mod pool;
pub mod process;
pub mod provider;
pub mod role;
pub mod run;
pub mod secret;
pub mod setup;
pub mod sync;
pub mod task;
pub mod task_or_process;
pub mod trust;
pub mod tui;
pub mod update;
pub mod usage;
pub mod web;
pub mod workflow;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::failure::CliError;

/// Reads what the user gives, from a file or, for `-`, from standard input; one byte more than `most` shows that it is too
/// large.
fn given(from: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let result = match from == Path::new("-") {
        true => io::stdin().lock().take(most + 1).read_to_end(&mut bytes),
        false => File::open(from).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)),
    };
    match result {
        Ok(_) => Ok(bytes),
        Err(e) => Err(CliError::user(format!("cannot read `{}`: {e}", from.display()))),
    }
}

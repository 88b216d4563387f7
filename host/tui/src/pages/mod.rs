//! The screens, a file each: what it lists, shows of one thing, and does with it.

mod dashboard;
mod events;
mod history;
mod mcp;
mod processes;
mod providers;
mod sources;
mod status;
mod sync;
mod tasks;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use tasks::{Tasks as TaskPage, row as task_row};

use crate::app::Tab;

/// The words that name the screens, in the order of their numbers, the last without one, each with the command that prints what it shows.
pub(crate) const WORDS: [(&str, &str); 11] = [
    ("dashboard", "aiw status"),
    ("tasks", "aiw task list"),
    ("processes", "aiw ps --stats"),
    ("mcp", "aiw mcp list"),
    ("providers", "aiw provider list"),
    ("history", "aiw history sessions"),
    ("plugins", "aiw plugin search"),
    ("sync", "aiw sync status"),
    ("status", "aiw doctor"),
    ("events", "aiw events --all"),
    ("sources", "aiw plugin marketplace list"),
];

/// Returns all screens, in the order of [`WORDS`].
pub(crate) fn all(plugins: Tab) -> Vec<Tab> {
    vec![
        Tab::page(Arc::new(dashboard::Dashboard::default())),
        Tab::page(Arc::new(tasks::Tasks)),
        Tab::page(Arc::new(processes::Processes::default())),
        Tab::page(Arc::new(mcp::McpServers)),
        Tab::page(Arc::new(providers::Providers)),
        Tab::page(Arc::new(history::History)),
        plugins,
        Tab::page(Arc::new(sync::Sync)),
        Tab::page(Arc::new(status::Status)),
        Tab::page(Arc::new(events::Events)),
        Tab::page(Arc::new(sources::Sources)),
    ]
}

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

pub(crate) use tasks::{TasksPage, row as task_row};

use crate::app::Tab;
use crate::page::{PLUGINS, PageDescriptor};

/// The words that name the screens, in the order of their numbers, the last without one, each with the command that prints what it
/// shows.
pub(crate) static PAGE_NAMES: [(&str, &str); 11] = [
    words(&dashboard::PAGE),
    words(&tasks::PAGE),
    words(&processes::PAGE),
    words(&mcp::PAGE),
    words(&providers::PAGE),
    words(&history::PAGE),
    words(&PLUGINS),
    words(&sync::PAGE),
    words(&status::PAGE),
    words(&events::PAGE),
    words(&sources::PAGE),
];

const fn words(about: &PageDescriptor) -> (&'static str, &'static str) {
    (about.slug, about.cli_command)
}

/// Returns all screens, in the order of [`WORDS`].
pub(crate) fn all(plugins: Tab) -> Vec<Tab> {
    vec![
        Tab::page(Arc::new(dashboard::Dashboard::default())),
        Tab::page(Arc::new(TasksPage)),
        Tab::page(Arc::new(processes::ProcessesPage::default())),
        Tab::page(Arc::new(mcp::McpServersPage)),
        Tab::page(Arc::new(providers::ProvidersPage)),
        Tab::page(Arc::new(history::HistoryPage)),
        plugins,
        Tab::page(Arc::new(sync::SyncPage)),
        Tab::page(Arc::new(status::StatusPage)),
        Tab::page(Arc::new(events::EventsPage)),
        Tab::page(Arc::new(sources::SourcesPage)),
    ]
}

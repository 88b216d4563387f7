//! The screens, a file each: what it lists, shows of one thing, and does with it.

mod dashboard;
mod events;
mod history;
mod mcp;
mod new_task;
pub(crate) mod plugins;
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

use crate::context::AppContext;
use crate::page::{Page, PageDescriptor};

/// The words that name the screens, in the order of their numbers, the last without one, each with the command that prints what it
/// shows.
pub(crate) static PAGE_NAMES: [(&str, &str); 11] = [
    words(&dashboard::PAGE),
    words(&tasks::PAGE),
    words(&processes::PAGE),
    words(&mcp::PAGE),
    words(&providers::PAGE),
    words(&history::PAGE),
    words(&plugins::PAGE),
    words(&sync::PAGE),
    words(&status::PAGE),
    words(&events::PAGE),
    words(&sources::PAGE),
];

const fn words(about: &PageDescriptor) -> (&'static str, &'static str) {
    (about.slug, about.cli_command)
}

/// Returns all pages, in the order of [`PAGE_NAMES`].
pub(crate) fn all(ground: &Arc<AppContext>) -> Vec<Arc<dyn Page>> {
    let ground = || Arc::clone(ground);
    vec![
        Arc::new(dashboard::Dashboard(ground())),
        Arc::new(TasksPage(ground())),
        Arc::new(processes::ProcessesPage::new(ground())),
        Arc::new(mcp::McpServersPage(ground())),
        Arc::new(providers::ProvidersPage(ground())),
        Arc::new(history::HistoryPage(ground())),
        Arc::new(plugins::PluginsPage::new(ground())),
        Arc::new(sync::SyncPage(ground())),
        Arc::new(status::StatusPage(ground())),
        Arc::new(events::EventsPage(ground())),
        Arc::new(sources::SourcesPage(ground())),
    ]
}

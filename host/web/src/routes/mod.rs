//! The routes, by what they are about.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use aiw_app::ClientSession;
use aiw_processes::Manager;

use crate::api::ApiRoute;

mod ci;
mod general;
mod history;
mod plugins;
mod processes;
mod providers;
mod routing;
mod servers;
mod tasks;
mod workflows;

/// Returns all routes.
pub(crate) fn route_table() -> &'static [ApiRoute] {
    static ROUTES: LazyLock<Vec<ApiRoute>> = LazyLock::new(all);
    &ROUTES
}

fn all() -> Vec<ApiRoute> {
    [
        general::routes(),
        processes::routes(),
        tasks::routes(),
        servers::routes(),
        workflows::routes(),
        routing::routes(),
        ci::routes(),
        history::routes(),
        providers::routes(),
        plugins::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Returns the directories of the logs that a query names: of processes, separated by commas, or of a task.
pub(crate) fn log_dirs(client: &ClientSession, query: &BTreeMap<String, String>) -> Vec<PathBuf> {
    let of_processes = query.get("process").and_then(|ids| {
        let manager = Manager::open_in(client.home(), client.cwd()).ok()?;
        let directory = |id| Some(manager.log(id).ok()?.directory().to_owned());
        Some(ids.split(',').filter_map(directory).collect::<Vec<_>>())
    });
    let of_task = query.get("task").and_then(|id| {
        let tasks = client.all_tasks().ok()?;
        Some(tasks.log(tasks.find(id).ok()?.id).ok()?.directory().to_owned())
    });
    of_processes.into_iter().flatten().chain(of_task).collect()
}

/// Returns the files that define the processes of a client's project.
pub(crate) fn definition_files(client: &ClientSession) -> Vec<PathBuf> {
    let manager = Manager::open_in(client.home(), client.cwd());
    manager.into_iter().map(|manager| manager.project().file()).collect()
}

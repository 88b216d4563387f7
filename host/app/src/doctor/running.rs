//! What runs: tasks, and the processes of the project.

use aiw_core::pluralize;
use aiw_home::{Home, Problem};
use aiw_processes::{HomeDaemon, Manager};
use aiw_tasks::{ProcessScope, Tasks};

use super::part::{CheckedPart, current_dir};
use crate::daemon::DaemonState;

/// Looks at the tasks of all sessions: their records and their supervisors.
pub(super) fn tasks(home: &Home) -> CheckedPart {
    let name = "tasks";
    let looked = match Tasks::open(home, ProcessScope::All).and_then(|tasks| tasks.snapshot()) {
        Ok(looked) => looked,
        Err(e) => return CheckedPart::unreadable(name, Problem::from_diagnostic(&e, "aiw task list")),
    };
    let mut problems: Vec<Problem> =
        looked.unreadable.iter().map(|e| Problem::from_diagnostic(e, "aiw task list")).collect();
    if looked.lost > 0 {
        let problem =
            format!("{} of tasks died, and their ends are not recorded", pluralize(looked.lost, "supervisor"));
        problems.push(Problem::new(problem, "aiw status --all-namespaces").with_purpose("ends what they left"));
    }
    CheckedPart { name, summary: format!("{}, {} running", pluralize(looked.total, "task"), looked.running), problems }
}

/// Looks at the processes of the project, and at the daemon.
pub(super) fn processes(home: &Home) -> CheckedPart {
    let name = "processes";
    let manager = match current_dir(home, name) {
        Ok(cwd) => Manager::open_in(home, cwd),
        Err(part) => return part,
    };
    let manager = match manager {
        Ok(manager) => manager,
        Err(e) => return CheckedPart::unreadable(name, Problem::from_diagnostic(&e, "aiw ps")),
    };
    let (all, running, mut problems) = manager.check();
    let resident = DaemonState::inspect(home);
    let asleep = resident.start_command().and_then(|wakes| {
        let problem = resident.line()?;
        let obstacle = HomeDaemon::lock_error(home);
        Some(obstacle.map_or_else(
            || Problem::new(&problem, wakes),
            |e| Problem::from_diagnostic(&e, wakes).with_message(&problem),
        ))
    });
    problems.extend(asleep);
    CheckedPart { name, summary: format!("{all} in this project, {running} running"), problems }
}

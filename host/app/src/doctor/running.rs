//! What runs: tasks, and the processes of the project.

use aiw_core::counted;
use aiw_home::{FoundProblem, Home};
use aiw_processes::{Manager, Resident};
use aiw_tasks::{ProcessScope, Tasks};

use super::part::{CheckedPart, here};
use crate::resident::ResidentState;

/// Looks at the tasks of all sessions: their records and their supervisors.
pub(super) fn tasks(home: &Home) -> CheckedPart {
    let name = "tasks";
    let looked = match Tasks::open(home, ProcessScope::All).and_then(|tasks| tasks.look()) {
        Ok(looked) => looked,
        Err(e) => return CheckedPart::unread(name, FoundProblem::of(&e, "aiw task list")),
    };
    let mut problems: Vec<FoundProblem> =
        looked.unreadable.iter().map(|e| FoundProblem::of(e, "aiw task list")).collect();
    if looked.lost > 0 {
        let problem = format!("{} of tasks died, and their ends are not recorded", counted(looked.lost, "supervisor"));
        problems.push(FoundProblem::new(problem, "aiw status --all-namespaces").that("ends what they left"));
    }
    CheckedPart { name, summary: format!("{}, {} running", counted(looked.all, "task"), looked.running), problems }
}

/// Looks at the processes of the project, and at the resident.
pub(super) fn processes(home: &Home) -> CheckedPart {
    let name = "processes";
    let manager = match here(home, name) {
        Ok(cwd) => Manager::of(home, cwd),
        Err(part) => return part,
    };
    let manager = match manager {
        Ok(manager) => manager,
        Err(e) => return CheckedPart::unread(name, FoundProblem::of(&e, "aiw ps")),
    };
    let (all, running, mut problems) = manager.check();
    let resident = ResidentState::look(home);
    let asleep = resident.wakes_by().and_then(|wakes| {
        let problem = resident.line()?;
        let obstacle = Resident::obstacle(home);
        Some(
            obstacle
                .map_or_else(|| FoundProblem::new(&problem, wakes), |e| FoundProblem::of(&e, wakes).saying(&problem)),
        )
    });
    problems.extend(asleep);
    CheckedPart { name, summary: format!("{all} in this project, {running} running"), problems }
}

//! The names of tasks for the supervisor.

use aiw_supervisor::Namespace;

pub use aiw_home::TASK_VARIABLE;

/// The variable that holds the instance of a task. A forged record with the same id does not have the same instance
/// by chance.
pub const INSTANCE_VARIABLE: &str = "AIW_TASK_INSTANCE";

/// The word for a task in the supervisor's messages and names.
pub const RESOURCE_KIND: &str = "task";

/// `~/.aiw/tasks/<id>/task.json`, and `<pid>_task…` in the runtime directory.
pub(crate) const NAMESPACE: Namespace =
    Namespace::new("tasks", "task.json", RESOURCE_KIND, [TASK_VARIABLE, INSTANCE_VARIABLE]);

/// The prefix of aiw's own lines in a task's log that are for people who watch the task.
pub const NOTE_PREFIX: &str = "note: ";

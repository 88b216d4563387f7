//! The names of tasks for the supervisor.

use aiw_core::TaskId;
use aiw_supervisor::Names;

/// The variable that holds a task's id in the environment of everything the task runs.
pub const TASK_VARIABLE: &str = TaskId::VARIABLE;

/// The variable that holds the instance of a task. A forged record with the same id does not have the same instance
/// by chance.
pub const INSTANCE_VARIABLE: &str = "AIW_TASK_INSTANCE";

/// `~/.aiw/tasks/<id>/task.json`, and `<pid>_task…` in the runtime directory.
pub(crate) const NAMES: Names = Names::new("tasks", "task.json", "task", [TASK_VARIABLE, INSTANCE_VARIABLE]);

//! What components may reach, as their client may.

mod log;
mod mcp;
mod meaning;
mod providers;
mod refusal;
mod shared;
mod tasks;

pub(crate) use self::mcp::SessionMcp;
pub(crate) use self::providers::LibraryProviders;
pub(crate) use self::shared::SharedComponentState;
pub(crate) use self::tasks::SessionTasks;

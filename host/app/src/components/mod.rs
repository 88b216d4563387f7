//! What components may reach, as their client may.

mod adapters;
mod log;
mod mcp;
mod meaning;
mod refusal;
mod shared;
mod tasks;

pub(crate) use self::adapters::LibraryAdapters;
pub(crate) use self::mcp::SessionMcp;
pub(crate) use self::shared::SharedByComponents;
pub(crate) use self::tasks::SessionTasks;

//! The names that a room gives its supervised processes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The names of a room's processes. Two rooms with different names never see each other's processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The directory in the home that holds a directory for each process, such as `tasks`.
    pub directory: Cow<'static, str>,
    /// The file name of a record, such as `task.json`.
    pub record: Cow<'static, str>,
    /// The word in the names of segments, such as `task`. Letters only.
    pub table: Cow<'static, str>,
    /// The variables that hold a process's id and its instance, in the environment of everything it starts.
    pub variables: [Cow<'static, str>; 2],
}

impl Names {
    /// Returns these names.
    pub const fn new(
        directory: &'static str,
        record: &'static str,
        table: &'static str,
        variables: [&'static str; 2],
    ) -> Self {
        let [id, instance] = variables;
        Self {
            directory: Cow::Borrowed(directory),
            record: Cow::Borrowed(record),
            table: Cow::Borrowed(table),
            variables: [Cow::Borrowed(id), Cow::Borrowed(instance)],
        }
    }
}

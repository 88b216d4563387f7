//! What a room calls what it has supervised.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The names under which a room has its processes: two rooms with different ones never see each other's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The directory in the home that holds a directory for each process: `tasks`.
    pub directory: Cow<'static, str>,
    /// The file of a record: `task.json`.
    pub record: Cow<'static, str>,
    /// The word in the names of segments: `task`. Letters only.
    pub table: Cow<'static, str>,
    /// The variables that hold a process' id and its instance, in the environment of all that it starts.
    pub variables: [Cow<'static, str>; 2],
}

impl Names {
    /// These names.
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

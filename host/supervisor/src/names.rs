//! The names that a room gives its supervised processes.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The word for one process of a room.
pub type ResourceKind = Cow<'static, str>;

/// The names of a room's processes. Two rooms with different names never see each other's processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// The directory in the home that holds a directory for each process, such as `servers`.
    pub directory: Cow<'static, str>,
    /// The file name of a record, such as `server.json`.
    pub record: Cow<'static, str>,
    /// The word for one of the processes, such as `server`: in the names of segments, in messages, and to find what the shim
    /// does for them. Letters only, and its plural ends with `s`.
    pub kind: ResourceKind,
    /// The variables that hold a process's id and its instance, in the environment of everything it starts.
    pub variables: [Cow<'static, str>; 2],
}

impl Namespace {
    /// Returns these names.
    pub const fn new(
        directory: &'static str,
        record: &'static str,
        noun: &'static str,
        variables: [&'static str; 2],
    ) -> Self {
        let [id, instance] = variables;
        Self {
            directory: Cow::Borrowed(directory),
            record: Cow::Borrowed(record),
            kind: Cow::Borrowed(noun),
            variables: [Cow::Borrowed(id), Cow::Borrowed(instance)],
        }
    }
}

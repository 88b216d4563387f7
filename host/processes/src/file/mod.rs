//! `.ichimi/processes.kdl`: reading it, and changing it without touching anything else.

mod change;
mod edit;
mod read;
mod values;

use std::collections::BTreeMap;

use crate::definition::{Definition, is_id, topological_order};
use crate::error::{FileProblem, ProcessError};

pub(crate) use change::replace_definition;
pub(crate) use edit::{Addition, add, defaults, extend, format_duration as written_time, policy_lines, remove, to_kdl};
pub(crate) use read::FIELDS;
pub use read::{Definitions, MAX_BYTES, ProcessFile, parse, parse_legacy};
pub(crate) use values::{parse_bytes, parse_duration};

/// Checks that a text is an id.
pub(crate) fn check_id(id: &str) -> Result<(), ProcessError> {
    if is_id(id) {
        return Ok(());
    }
    let problem = "has an id that is not letters, digits, `-`, `_` and `.`, at most 64".to_owned();
    Err(ProcessError::InvalidDefinition { id: aiw_core::one_line(id, 80), problem })
}

/// Checks definitions, and what they say of each other.
pub fn check<'a>(definitions: impl IntoIterator<Item = (&'a String, &'a Definition)>) -> Result<(), ProcessError> {
    let definitions: BTreeMap<&String, &Definition> = definitions.into_iter().collect();
    for (id, definition) in &definitions {
        check_id(id)?;
        definition.check().map_err(|problem| ProcessError::InvalidDefinition { id: (*id).to_owned(), problem })?;
    }
    check_needs(definitions)
}

/// Checks what definitions say of each other. Each was checked when it was read, which costs more.
pub(crate) fn check_needs<'a>(
    definitions: impl IntoIterator<Item = (&'a String, &'a Definition)>,
) -> Result<(), ProcessError> {
    let definitions: BTreeMap<&str, &Definition> =
        definitions.into_iter().map(|(id, definition)| (id.as_str(), definition)).collect();
    for (id, definition) in &definitions {
        if let Some(need) = definition.needs.iter().find(|need| !definitions.contains_key(need.id.as_str())) {
            return Err(ProcessError::MissingDependency { id: (*id).to_owned(), needs: need.id.clone() });
        }
    }
    let needs = |id: &str| -> Vec<&str> {
        definitions.get(id).into_iter().flat_map(|definition| &definition.needs).map(|need| need.id.as_str()).collect()
    };
    match topological_order(definitions.keys().copied(), &needs) {
        Ok(_) => Ok(()),
        Err(circle) => Err(ProcessError::Cycle(circle.into_iter().map(str::to_owned).collect())),
    }
}

/// Returns a problem of what a process needs, with its place in a file; `None` if the file says no such need.
pub(crate) fn locate_dependency_problem(text: &str, id: &str, need: [&str; 2], problem: String) -> Option<FileProblem> {
    let document = read::parse_document(text).ok()?;
    let is_it = |node: &&kdl::KdlNode| {
        let is_need = |value: &kdl::KdlEntry| value.value().as_string().is_some_and(|value| need.contains(&value));
        node.name().value() == "needs" && node.entries().iter().any(is_need)
    };
    let node = edit::find_node(&document, id).ok()?.children()?.nodes().iter().find(is_it)?;
    Some(read::to_file_problem(text, (read::node_offset(node), problem)))
}

/// Returns a problem of a process with its place in a file; `None` if the file doesn't define it.
pub(crate) fn locate_process_problem(text: &str, id: &str, problem: String) -> Option<FileProblem> {
    let document = read::parse_document(text).ok()?;
    let at = read::node_offset(edit::find_node(&document, id).ok()?);
    Some(read::to_file_problem(text, (at, problem)))
}

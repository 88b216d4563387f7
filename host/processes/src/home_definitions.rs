//! Definitions that an MCP client has made: they are kept in the home, not in the project.

use std::collections::BTreeMap;
use std::path::PathBuf;

use aiw_home::{Document, Home, Lock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::definition::{Definition, MAX_PROCESSES};
use crate::error::ProcessError;
use crate::file::Definitions;
use crate::project::ProcessProject;

pub(crate) fn path(home: &Home, project: &ProcessProject) -> PathBuf {
    let name = format!("{:016x}.json", project.hash_text(""));
    home.root().join("processes").join("defined").join(name)
}

fn load(home: &Home, project: &ProcessProject) -> Result<Document, ProcessError> {
    Ok(Document::load(&path(home, project), "{\n  \"version\": 1\n}\n")?)
}

fn definitions(document: &Document, project: &ProcessProject) -> Result<Definitions, ProcessError> {
    let of = document.get(&["project"]).and_then(Value::as_str);
    // Two directories may have the same digest.
    if of.is_some_and(|of| of != project.directory().to_string_lossy()) {
        return Ok(Definitions::new());
    }
    let Some(Value::Object(all)) = document.get(&["processes"]) else { return Ok(Definitions::new()) };
    let mut found = Definitions::new();
    for (id, value) in all.iter().take(MAX_PROCESSES) {
        let invalid = |problem: String| ProcessError::InvalidDefinition { id: aiw_core::one_line(id, 64), problem };
        let definition: Definition = serde_json::from_value(value.clone())
            .map_err(|e| invalid(format!("makes no sense in `{}`: {e}", document.path().display())))?;
        definition.check().map_err(invalid)?;
        if !crate::definition::is_id(id) {
            return Err(invalid("has an invalid id".into()));
        }
        found.insert(id.clone(), definition);
    }
    Ok(found)
}

/// Returns the definitions of a project.
pub(crate) fn read(home: &Home, project: &ProcessProject) -> Result<Definitions, ProcessError> {
    definitions(&load(home, project)?, project)
}

/// Opens the document of a project to change it.
fn open(home: &Home, project: &ProcessProject) -> Result<(Lock, Document), ProcessError> {
    let lock = home.lock()?;
    if let Some(directory) = path(home, project).parent() {
        home.make_dir(directory)?;
    }
    Ok((lock, load(home, project)?))
}

/// Changes the definitions of a project. `change` gets them as they are, under the lock.
pub(crate) fn change<T>(
    home: &Home,
    project: &ProcessProject,
    change: impl FnOnce(&mut Definitions) -> Result<T, ProcessError>,
) -> Result<T, ProcessError> {
    let (lock, mut document) = open(home, project)?;
    let before = definitions(&document, project)?;
    let mut after = before.clone();
    let answer = change(&mut after)?;
    if after.len() > MAX_PROCESSES {
        let problem = format!("would be one of more than {MAX_PROCESSES} in this project");
        return Err(ProcessError::InvalidDefinition { id: after.keys().next().cloned().unwrap_or_default(), problem });
    }
    document.set(&["project"], &json!(project.directory().to_string_lossy()))?;
    for id in before.keys().filter(|id| !after.contains_key(*id)) {
        document.remove(&["processes", id])?;
    }
    for (id, definition) in after.iter().filter(|(id, definition)| before.get(*id) != Some(*definition)) {
        document.set(&["processes", id], &value(definition))?;
    }
    home.commit(&lock, &[&document])?;
    Ok(answer)
}

/// A definition as JSON.
fn value(definition: &Definition) -> Value {
    serde_json::to_value(definition).unwrap_or_default()
}

/// The user's answers to suggestions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SuggestionDecisions {
    /// The suggestions that are not made again, and whether they were `accepted` or `dismissed`.
    pub said: BTreeMap<String, String>,
    /// When the failures of each process were forgotten, in milliseconds since 1970.
    pub forgotten: BTreeMap<String, u64>,
}

/// Returns what the user said to suggestions. What makes no sense says nothing.
pub(crate) fn read_decisions(home: &Home, project: &ProcessProject) -> Result<SuggestionDecisions, ProcessError> {
    Ok(answers_of(&load(home, project)?))
}

fn answers_of(document: &Document) -> SuggestionDecisions {
    document.get(&["habits"]).and_then(|value| SuggestionDecisions::deserialize(value).ok()).unwrap_or_default()
}

/// Changes what the user said to suggestions.
pub(crate) fn update_decisions(
    home: &Home,
    project: &ProcessProject,
    change: impl FnOnce(&mut SuggestionDecisions),
) -> Result<(), ProcessError> {
    let (lock, mut document) = open(home, project)?;
    let mut answers = answers_of(&document);
    change(&mut answers);
    document.set(&["project"], &json!(project.directory().to_string_lossy()))?;
    document.set(&["habits"], &json!(answers))?;
    Ok(home.commit(&lock, &[&document])?)
}

/// Returns the ids of the snapshot.
pub(crate) fn snapshot(home: &Home, project: &ProcessProject) -> Result<Vec<String>, ProcessError> {
    let document = load(home, project)?;
    let ids = document.get(&["snapshot"]).and_then(Value::as_array).into_iter().flatten();
    Ok(ids.filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Keeps the ids of the processes that run.
pub(crate) fn set_snapshot(home: &Home, project: &ProcessProject, ids: &[String]) -> Result<(), ProcessError> {
    let (lock, mut document) = open(home, project)?;
    document.set(&["project"], &json!(project.directory().to_string_lossy()))?;
    document.set(&["snapshot"], &json!(ids))?;
    Ok(home.commit(&lock, &[&document])?)
}

//! What a session planned to do: from its transcript and from the files of its tasks, also while it is running.

use std::collections::BTreeMap;
use std::path::Path;

use aiw_home::{CliPaths, Home};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::exclude::Exclusions;
use super::files::{FileEntry, open_beneath, walk};
use super::lines::{Lines, MAX_LINE, NextLine};
use super::scan::string_at;
use super::take::redactor;
use crate::readers;
use crate::store::forgotten::ForgetRules;
use crate::{Cli, HistoryError};

/// Something that a session planned to do.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Todo {
    /// Its id; a number in the order of the list where it has none
    pub id: String,
    /// The task
    pub content: String,
    /// `pending`, `in_progress`, `completed` or another word of the CLI's
    pub status: String,
}

/// The todo list of a session.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Todos {
    /// The session
    pub session: String,
    /// Whether they come from `tasks` (files of a list), or from the `transcript`
    pub source: &'static str,
    /// The items
    pub todos: Vec<Todo>,
}

/// The most todos of a session.
const MAX_TODOS: usize = 1000;

/// Returns the todo list of a session of Claude Code; without an id, that of the session that last wrote one. Sessions
/// that the history must not have are left out.
pub fn todos(home: &Home, places: &CliPaths, session: Option<&str>) -> Result<Todos, HistoryError> {
    let sessions = readers::for_cli(Cli::Claude);
    let root = places.directory(Cli::Claude);
    let mut entries = walk(root, sessions.directories());
    entries.retain(|entry| sessions.is_transcript(&entry.path) && !entry.path.contains("/subagents/"));
    super::running::mark_running_private(home, places);
    let mut hidden =
        HiddenSessions { exclusions: Exclusions::load(home)?, forgotten: ForgetRules::load(&home.history())? };
    let unknown = |session: &str| HistoryError::SessionNotFound { session: session.to_owned() };
    let entry = match session {
        None => {
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.modified));
            entries.iter().find(|entry| !hidden.covers(root, readers::stem(&entry.path), Some(entry)))
        }
        Some(session) => {
            let session = readers::session_id(session).ok_or_else(|| unknown(session))?;
            let exact = entries.iter().find(|entry| readers::stem(&entry.path) == session);
            let starts: Vec<_> =
                entries.iter().filter(|entry| readers::stem(&entry.path).starts_with(session)).collect();
            match (exact, &starts[..]) {
                (Some(entry), _) => Some(entry),
                (None, [entry]) => Some(*entry),
                (None, []) => None,
                (None, several) => {
                    return Err(HistoryError::Ambiguous { start: session.to_owned(), count: several.len() });
                }
            }
        }
    };
    let named = session.unwrap_or("the last one");
    // Tasks may outlive the transcript.
    let id = match (entry, session) {
        (Some(entry), _) => readers::stem(&entry.path).to_owned(),
        (None, Some(session)) => session.to_owned(),
        (None, None) => return Err(unknown(named)),
    };
    if hidden.covers(root, &id, entry) {
        return Err(unknown(named));
    }
    let files = from_files(root, &id);
    let (source, mut todos) = match (files.is_empty(), entry) {
        (false, _) => ("tasks", files),
        (true, Some(entry)) => ("transcript", from_transcript(root, &entry.path)),
        (true, None) => return Err(unknown(named)),
    };
    todos.truncate(MAX_TODOS);
    let redactor = redactor(home, &home.settings()?)?;
    for todo in &mut todos {
        todo.content = aiw_core::one_line(&redactor.redact(&todo.content), 1000);
        todo.status = aiw_core::one_line(&todo.status, 40);
        todo.id = aiw_core::one_line(&todo.id, 60);
    }
    Ok(Todos { session: id, source, todos })
}

/// Sessions that must not be shown.
struct HiddenSessions {
    exclusions: Exclusions,
    forgotten: ForgetRules,
}

impl HiddenSessions {
    /// Whether a session is private, was forgotten as it is now, or is one of a project that is excluded. The transcript
    /// may be gone.
    fn covers(&mut self, root: &Path, session: &str, transcript: Option<&FileEntry>) -> bool {
        let project = transcript.and_then(|transcript| project(root, &transcript.path)).unwrap_or_default();
        self.exclusions.is_private(session)
            || self.exclusions.is_excluded(&project)
            || self.forgotten.matches_at(session, &project, transcript.map(|transcript| transcript.modified))
    }
}

/// Where a session began.
fn project(root: &Path, path: &str) -> Option<String> {
    let opened = open_beneath(root, path).ok()?;
    let mut lines = Lines::new(&opened.file, 0, MAX_LINE);
    for _ in 0..MAX_LINES_BEFORE_PROJECT {
        let (NextLine::Complete { bytes, .. } | NextLine::Incomplete { bytes, .. }) = lines.next().ok()?? else {
            continue;
        };
        if string_at(bytes, "cwd").is_some() {
            #[derive(Deserialize)]
            struct LineCwd {
                cwd: String,
            }
            return readers::parse::<LineCwd>(bytes).ok().map(|place| place.cwd);
        }
    }
    None
}

/// The first lines say where it began.
const MAX_LINES_BEFORE_PROJECT: usize = 100;

#[derive(Deserialize)]
struct TaskFile {
    id: Value,
    #[serde(default)]
    subject: String,
    #[serde(default)]
    status: String,
}

/// A number or a text.
fn id_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// In the order of numbers, where ids are numbers.
fn order(id: &str) -> (u64, String) {
    (id.parse().unwrap_or(u64::MAX), id.to_owned())
}

/// `tasks/<session>/<n>.json`
fn from_files(root: &Path, session: &str) -> Vec<Todo> {
    let mut todos = Vec::new();
    let files = walk(root, &[&format!("tasks/{session}")]);
    for entry in files.iter().filter(|entry| entry.path.ends_with(".json")).take(MAX_TODOS) {
        let Some(bytes) = super::files::read_small(root, &entry.path, 256 << 10) else { continue };
        if let Ok(task) = aiw_core::from_foreign_json::<TaskFile>(&bytes)
            && task.status != "deleted"
        {
            todos.push(Todo { id: id_of(&task.id), content: task.subject, status: task.status });
        }
    }
    todos.sort_by_key(|todo| order(&todo.id));
    todos
}

#[derive(Deserialize)]
struct Result_ {
    #[serde(default, rename = "toolUseResult")]
    result: Value,
    #[serde(default)]
    message: Value,
}

/// Returns the todos that a transcript holds: the last list of `TodoWrite`, or the tasks that were made and changed.
fn from_transcript(root: &Path, path: &str) -> Vec<Todo> {
    let Ok(opened) = open_beneath(root, path) else { return Vec::new() };
    let mut lines = Lines::new(&opened.file, 0, MAX_LINE);
    let mut list: Vec<Todo> = Vec::new();
    let mut tasks: BTreeMap<(u64, String), Todo> = BTreeMap::new();
    while let Ok(Some(line)) = lines.next() {
        let (NextLine::Complete { bytes, .. } | NextLine::Incomplete { bytes, .. }) = line else { continue };
        if !matches!(string_at(bytes, "type"), Some(b"user" | b"assistant")) {
            continue;
        }
        let is_of_interest = [&b"odo"[..], b"askCreate", b"askUpdate", b"statusChange", b"\"task\""]
            .iter()
            .any(|word| memchr::memmem::find(bytes, word).is_some());
        let Some(parsed) = is_of_interest.then(|| readers::parse::<Result_>(bytes).ok()).flatten() else {
            continue;
        };
        if let Some(new) = parsed.result["newTodos"].as_array() {
            list = written(new);
        }
        let task = &parsed.result["task"];
        if let (false, Some(subject)) = (task["id"].is_null(), task["subject"].as_str()) {
            let id = id_of(&task["id"]);
            let status = task["status"].as_str().unwrap_or("pending").to_owned();
            if tasks.len() < MAX_TODOS {
                tasks.insert(order(&id), Todo { id, content: subject.to_owned(), status });
            }
        }
        if let (false, Some(status)) = (parsed.result["taskId"].is_null(), parsed.result["statusChange"]["to"].as_str())
            && let Some(task) = tasks.get_mut(&order(&id_of(&parsed.result["taskId"])))
        {
            task.status = status.to_owned();
        }
        // A call that is not answered yet.
        for block in parsed.message["content"].as_array().into_iter().flatten() {
            match (block["name"].as_str(), &block["input"]) {
                (Some("TodoWrite"), input) => {
                    if let Some(new) = input["todos"].as_array() {
                        list = written(new);
                    }
                }
                (Some("TaskUpdate"), input) if input["status"] == "deleted" => {
                    tasks.remove(&order(&id_of(&input["taskId"])));
                }
                _ => {}
            }
        }
    }
    if tasks.is_empty() { list } else { tasks.into_values().collect() }
}

/// The list that `TodoWrite` wrote.
fn written(items: &[Value]) -> Vec<Todo> {
    let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
    let items = items.iter().take(MAX_TODOS).enumerate();
    items
        .map(|(number, item)| Todo {
            id: item.get("id").map_or_else(|| (number + 1).to_string(), id_of),
            content: text(item, "content"),
            status: text(item, "status"),
        })
        .collect()
}

//! The tools as clients and models are told of them.

use std::sync::Arc;

use aiw_mcp::{Effect, Tool};
use serde_json::{Value, json};

use crate::tasks::{LINES, MAX_LINES, MAX_WAIT};

pub(crate) const LIST_ROLES: &str = "list_roles";
pub(crate) const START_TASK: &str = "start_task";
pub(crate) const STOP_TASK: &str = "stop_task";
pub(crate) const LIST_TASKS: &str = "list_tasks";
pub(crate) const GET_TASK_LOGS: &str = "get_task_logs";
pub(crate) const WAIT_TASK: &str = "wait_task";

pub(crate) const INSTRUCTIONS: &str = "\
aiw runs AI coding CLIs (Claude Code, Codex, Gemini CLI) as supervised tasks beside you. \
start_task returns at once with the task's id; call wait_task with that id until `done` is true, \
and get_task_logs to see what it does or did. Start several and they run at the same time. \
Tasks do not see this conversation: say in `task` all that they must know. They run on when this \
session ends; stop_task ends one.";

pub(crate) fn all() -> Arc<[Tool]> {
    let tools = [list_roles(), start_task(), wait_task(), get_task_logs(), list_tasks(), stop_task()];
    tools.into_iter().map(Tool::always_loaded).collect()
}

fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// What comes back may grow: nothing is forbidden in it.
fn answer(properties: Value) -> Value {
    let names: Vec<String> = properties.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
    json!({"type": "object", "properties": properties, "required": names})
}

/// The arguments by which a task is named.
fn named(more: Value) -> Value {
    let mut properties = json!({
        "id": {
            "type": "string",
            "description": "The task's id, as start_task and list_tasks give it; its beginning is enough, from 4 characters on"
        },
        "pid": {
            "type": "integer",
            "minimum": 1,
            "description": "Instead of the id: the process id that was reported for the task"
        },
    });
    if let (Some(properties), Value::Object(more)) = (properties.as_object_mut(), more) {
        properties.extend(more);
    }
    object(properties, &[])
}

fn text() -> Value {
    json!({"type": "string"})
}

fn text_or_null() -> Value {
    json!({"type": ["string", "null"]})
}

fn number_or_null() -> Value {
    json!({"type": ["integer", "null"]})
}

/// A task as lists show it.
fn task() -> Value {
    answer(json!({
        "id": text(),
        "pid": number_or_null(),
        "root_pid": {"type": "integer"},
        "cli": text(),
        "provider": text_or_null(),
        "role": text_or_null(),
        "state": {"type": "string", "enum": ["queued", "starting", "running", "stopping", "ended"]},
        "outcome": {
            "type": ["string", "null"],
            "description": "succeeded, failed, signalled, timeout or lost; null until it has ended"
        },
        "exit_code": number_or_null(),
        "signal": number_or_null(),
        "started": text(),
        "ended": text_or_null(),
        "unread": {"type": "boolean", "description": "It has ended and no report has shown that"},
        "prompt": {"type": "string", "description": "The beginning of the task's text"},
        "cwd": text(),
        "log": text(),
        "session": {"type": ["string", "null"], "description": "The CLI's own session"},
    }))
}

/// A task with all that is known.
fn whole_task() -> Value {
    let mut whole = task();
    let more = json!({
        "model": text_or_null(),
        "permission": text(),
        "bypass": text_or_null(),
        "tag": text_or_null(),
        "depth": {"type": "integer"},
        "duration_ms": {"type": "integer"},
        "final_message": {"type": ["string", "null"], "description": "The last words of the AI CLI: its answer"},
        "usage": {"type": ["object", "null"], "description": "Tokens"},
        "cost_usd": {"type": ["number", "null"]},
        "note": text_or_null(),
        "resume": {"type": ["string", "null"], "description": "The command line that goes on with the CLI's session"},
    });
    if let (Some(properties), Value::Object(more)) = (whole["properties"].as_object_mut(), more) {
        properties.extend(more);
    }
    whole
}

fn lines() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn list_roles() -> Tool {
    Tool::new(
        LIST_ROLES,
        "List roles",
        "Lists the roles that start_task can put before a task: what an AI is told it is and how it works. Call it \
         before you name a role.",
        Effect::Reads,
        object(json!({}), &[]),
        answer(json!({
            "roles": {"type": "array", "items": answer(json!({
                "name": text(),
                "description": text(),
                "source": {"type": "string", "description": "aiw: aiw's own; project, user: Claude Code's subagents"},
                "path": text(),
            }))},
            "left_out": {"type": "integer", "description": "How many more there are"},
            "problems": {"type": "array", "items": text(), "description": "Roles that can't be used, and why"},
        })),
    )
}

fn start_task() -> Tool {
    Tool::new(
        START_TASK,
        "Start a task",
        "Starts an AI coding CLI with a task of its own and returns at once with the task's id, process id and log \
         file. It works by itself, without questions, in the directory `cwd`. Call wait_task for its result. Start \
         several for work that can be done at the same time; do not let two of them edit the same files.",
        Effect::Changes { idempotent: false, open_world: true },
        object(
            json!({
                "ai_type": {
                    "type": "string",
                    "enum": ["claude", "codex", "gemini"],
                    "description": "Which AI CLI does it"
                },
                "task": {
                    "type": "string",
                    "description": "What is to be done. It sees nothing of this conversation: name files, goals and limits, and what it should answer"
                },
                "provider": {
                    "type": "string",
                    "description": "The name of an API provider that aiw knows; `own` is the CLI's own login. Leave it out for the default"
                },
                "role": {
                    "type": "string",
                    "description": "A role of list_roles, or several with commas between them; they go before the task"
                },
                "cwd": {
                    "type": "string",
                    "description": "The directory that it works in; this server's own by default"
                },
                "model": {
                    "type": "string",
                    "description": "A model's name as the CLI or the provider knows it. Leave it out for the default"
                },
                "permission": {
                    "type": "string",
                    "enum": ["default", "edit"],
                    "description": "What it may do without asking: `default` is what the CLI allows by itself, mostly reading; `edit` lets it change files of the directory"
                },
            }),
            &["ai_type", "task"],
        ),
        answer(json!({
            "task": whole_task(),
            "notes": {"type": "array", "items": text(), "description": "What the user should know"},
            "next": text(),
        })),
    )
}

fn wait_task() -> Tool {
    Tool::new(
        WAIT_TASK,
        "Wait for a task",
        "Waits until a task has ended, at most 45 seconds, and reports how it ended and what the AI CLI said at its \
         end. If `done` is false it still runs: call it again, as often as it takes.",
        Effect::Reads,
        named(json!({
            "timeout_seconds": {
                "type": "integer",
                "minimum": 0,
                "maximum": MAX_WAIT,
                "default": MAX_WAIT,
                "description": "How long to wait; 0 only looks"
            },
        })),
        answer(json!({
            "done": {"type": "boolean", "description": "Whether it has ended"},
            "standing": {"type": "string", "description": "How it stands, in a few words"},
            "task": whole_task(),
            "last_lines": lines(),
            "next": text(),
        })),
    )
}

fn get_task_logs() -> Tool {
    Tool::new(
        GET_TASK_LOGS,
        "Read a task's log",
        "Shows the last lines of what a task's AI CLI says and does, while it runs and afterwards. The result says \
         whether there are earlier lines and how to get them.",
        Effect::Reads,
        named(json!({
            "tail_lines": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LINES,
                "default": LINES,
                "description": "How many lines from the end"
            },
        })),
        answer(json!({
            "id": text(),
            "pid": number_or_null(),
            "standing": {"type": "string", "description": "How the task stands, in a few words"},
            "lines": lines(),
            "earlier_lines": {"type": "boolean", "description": "Whether there are lines before these"},
            "more": {"type": "string", "description": "How to get them"},
            "log": {"type": "string", "description": "The log file: the CLI's raw stream"},
        })),
    )
}

fn list_tasks() -> Tool {
    Tool::new(
        LIST_TASKS,
        "List tasks",
        "Lists the tasks of this session, whoever started them: those that run first, then the newest that have ended.",
        Effect::Reads,
        object(
            json!({
                "all": {
                    "type": "boolean",
                    "default": false,
                    "description": "The tasks of all of the user's sessions, not of this one alone"
                },
            }),
            &[],
        ),
        answer(json!({
            "tasks": {"type": "array", "items": task()},
            "left_out": {"type": "integer", "description": "How many older ones there are"},
        })),
    )
}

fn stop_task() -> Tool {
    Tool::new(
        STOP_TASK,
        "Stop a task",
        "Ends a task with all its processes: it is asked to, and killed after 5 seconds. Work that it has not saved \
         is lost. Stop only tasks that you or the user started and that are not needed.",
        Effect::Changes { idempotent: true, open_world: false },
        named(json!({})),
        answer(json!({
            "result": {"type": "string", "description": "stopped, still stopping, or had ended already"},
            "standing": {"type": "string", "description": "How it stands, in a few words"},
            "task": whole_task(),
        })),
    )
}

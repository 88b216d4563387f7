//! Tasks as they are shown: to programs as JSON, to people in a few words. The command line and
//! the MCP server show the same.

use std::time::Duration;

use aiw_home::{now_millis, rfc3339};
use aiw_tasks::{Outcome, Task};
use serde_json::{Value, json};

use crate::clis;

/// A task as lists show it to programs.
pub fn shape(task: &Task) -> Value {
    json!({
        "id": task.id,
        "pid": task.pid,
        "root_pid": task.root_pid,
        "cli": task.about.cli.as_str(),
        "provider": task.about.provider,
        "role": task.about.role,
        "state": task.state.as_str(),
        "outcome": task.outcome.map(Outcome::as_str),
        "exit_code": task.exit_code,
        "signal": task.signal,
        "started": rfc3339(task.started),
        "ended": task.ended.map(rfc3339),
        "unread": task.unread,
        "prompt": task.about.prompt,
        "cwd": task.cwd.to_string_lossy(),
        "log": task.log.to_string_lossy(),
        "session": task.about.session,
    })
}

/// The same with all that is known.
pub fn full_shape(task: &Task) -> Value {
    let mut shape = shape(task);
    let more = json!({
        "model": task.about.model,
        "permission": task.about.permission,
        "bypass": task.about.bypass,
        "tag": task.about.tag,
        "depth": task.depth,
        "duration_ms": duration(task).as_millis(),
        "final_message": task.about.final_message,
        "usage": task.about.usage,
        "cost_usd": task.about.cost_usd,
        "note": task.note,
        "resume": resume(task),
    });
    if let (Some(shape), Value::Object(more)) = (shape.as_object_mut(), more) {
        shape.extend(more);
    }
    shape
}

/// How long it has run, or ran.
pub fn duration(task: &Task) -> Duration {
    Duration::from_millis(
        task.ended.unwrap_or_else(now_millis).saturating_sub(task.running_since.unwrap_or(task.started)),
    )
}

/// How a task stands, in a few words: `succeeded`, `failed (exit code 1)`, `running`.
pub fn standing(task: &Task) -> String {
    match (task.outcome, task.exit_code, task.signal) {
        (None, ..) => task.state.to_string(),
        (Some(Outcome::Failed), Some(code), _) => format!("failed (exit code {code})"),
        (Some(Outcome::Signalled), _, Some(signal)) => format!("signalled ({signal})"),
        (Some(outcome), ..) => outcome.to_string(),
    }
}

/// The line that goes on with the CLI's own session.
pub fn resume(task: &Task) -> Option<String> {
    let session = task.about.session.as_deref()?;
    let provider = task.about.provider.as_deref().map(|name| format!(" -p {name}")).unwrap_or_default();
    // There, and only there, is the session.
    let isolated = if task.about.isolated { " --isolated" } else { "" };
    let arguments = clis::of(task.about.cli).resume(session);
    let model = task.about.model.as_deref().map(|model| format!(" -m {}", shell_word(model))).unwrap_or_default();
    let dir = shell_word(&task.cwd.to_string_lossy());
    Some(format!("cd {dir} && aiw {}{provider}{model}{isolated} -- {arguments}", task.about.cli))
}

/// A word as a POSIX shell reads it.
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell_only_where_they_must_be() {
        assert_eq!(shell_word("/a/b-c"), "/a/b-c");
        assert_eq!(shell_word("a b"), "'a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}

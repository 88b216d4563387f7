//! What aiw has in other programs, and what it takes in of them: MCP clients, hooks and the history.

use std::path::Path;

use aiw_core::{CliKind, Diagnostic, pluralize, quoted, shell_words};
use aiw_home::{CliPaths, Home, Jsonc, Problem, edit_command, find_program, json, read_capped};
use aiw_setup::HookStatus;

use super::part::CheckedPart;
use crate::history::{HistoryDoctor, inspect};
use crate::setup::{check_clients, hook_statuses};

/// Looks at the MCP clients that are on this machine; nothing where none is.
pub(super) fn clients(home: &Home) -> Option<CheckedPart> {
    let name = "clients";
    home.context().user_home()?;
    let clients = match check_clients(home) {
        Ok(clients) if clients.is_empty() => return None,
        Ok(clients) => clients,
        Err(e) => return Some(CheckedPart::unreadable(name, Problem::from_diagnostic(&e, "aiw setup --dry-run"))),
    };
    let (mut problems, mut set_up) = (Vec::new(), Vec::new());
    for (client, looked) in clients {
        let looked = match looked {
            Ok(looked) => looked,
            Err(e) => {
                problems.push(Problem::from_diagnostic(&e, format!("aiw setup {}", client.id)));
                continue;
            }
        };
        if let Some(command) = looked.aiw_command {
            set_up.push(client.name);
            problems.extend(gone(home, &command).then(|| {
                let problem = format!("{} starts aiw as {}, which is not there", client.name, quoted(&command));
                Problem::new(problem, format!("aiw setup {}", client.id)).with_purpose("writes where it is")
            }));
        }
        if !looked.plaintext_key_servers.is_empty() {
            let names: Vec<String> = looked.plaintext_key_servers.iter().take(5).map(|name| quoted(name)).collect();
            let problem = format!("{} has keys in clear, in its servers {}", client.name, names.join(", "));
            let import = format!("aiw setup {} --import", client.id);
            problems
                .push(Problem::new(problem, import).with_purpose("moves the servers here, and the keys to the vault"));
        }
    }
    let summary = match set_up.is_empty() {
        true => "set up in none; `aiw setup` does it".to_owned(),
        false => format!("set up in {}", set_up.join(", ")),
    };
    Some(CheckedPart { name, summary, problems })
}

/// Whether a program that another one is to start is not there.
fn gone(home: &Home, command: &str) -> bool {
    find_program(command, home.context().variable("PATH"), Path::new("/")).is_none()
}

/// Looks at the history, and at the hooks that tell of sessions.
pub(super) fn history(home: &Home) -> CheckedPart {
    let name = "history";
    let hooks = match hook_statuses(home) {
        Ok(hooks) => hooks,
        Err(e) => return CheckedPart::unreadable(name, Problem::from_diagnostic(&e, "aiw history doctor")),
    };
    let mut problems: Vec<Problem> = hooks.iter().filter_map(|status| of_hooks(home, status)).collect();
    let found = match inspect(home, hooks) {
        Ok(found) => found,
        Err(e) => {
            problems.push(Problem::from_diagnostic(&e, "aiw history import --all"));
            return CheckedPart { name, summary: "can't be read".to_owned(), problems };
        }
    };
    problems.extend(too_late(home, &found));
    let installed = if found.hooks_installed { "hooks installed" } else { "no hooks" };
    let unread = if found.unread == 0 { String::new() } else { format!(", {} not read yet", found.unread) };
    // Nobody can mend what a CLI has written.
    let partly = match found.skipped.len() {
        0 => String::new(),
        count => format!(", {count} not read whole (`aiw history doctor` says why)"),
    };
    let summary = format!("{}{unread}{partly}, {installed}", pluralize(found.transcripts, "transcript"));
    CheckedPart { name, summary, problems }
}

/// Returns what is wrong with the hooks in a file of Claude Code's.
fn of_hooks(home: &Home, status: &HookStatus) -> Option<Problem> {
    let path = Path::new(&status.path);
    if let Some(problem) = &status.problem {
        let unread = read_capped(path, json::MAX_BYTES).err();
        return Some(Problem::new(problem, unread.and_then(|e| e.fix()).unwrap_or_else(|| edit_command(path))));
    }
    let command = status.command.as_deref()?;
    let install = match status.scope {
        "user" => "aiw history hooks install".to_owned(),
        scope => format!("aiw history hooks install --scope {scope}"),
    };
    if status.disabled {
        let problem = "hooks of the history are switched off by `disableAllHooks` in Claude Code's settings";
        return Some(Problem::new(problem, edit_command(path)));
    }
    if !status.installed {
        let problem = format!("of the history's hooks in `{}`, some are missing", status.path);
        return Some(Problem::new(problem, install));
    }
    // Variables may come before the program.
    let program = shell_words(command)?.into_iter().find(|word| !word.contains('='))?;
    gone(home, &program).then(|| {
        let problem = format!("the history's hooks start {}, which is not there", quoted(&program));
        Problem::new(problem, install)
    })
}

/// A cleaning this soon after a session may come before the next import.
const CLEANUP_WARNING_THRESHOLD_DAYS: u64 = 30;

/// Returns whether Claude Code deletes sessions soon, and some were not read yet.
fn too_late(home: &Home, found: &HistoryDoctor) -> Option<Problem> {
    let settings = CliPaths::from_context(home.context())?.settings(CliKind::Claude);
    let settings = Jsonc::parse(&read_capped(&settings, json::MAX_BYTES).ok()??).ok()?;
    let days = settings.get(&["cleanupPeriodDays"])?.as_u64().filter(|days| *days < CLEANUP_WARNING_THRESHOLD_DAYS)?;
    if found.hooks_installed || found.off {
        return None;
    }
    let deletes = match days {
        0 => "Claude Code keeps no sessions (`cleanupPeriodDays` is 0)".to_owned(),
        days => format!("Claude Code deletes sessions after {days} days (`cleanupPeriodDays`)"),
    };
    match (days, found.unread) {
        (0, 0) => Some(Problem::new(deletes, "aiw history hooks install").with_purpose("has each read as it ends")),
        (_, 0) => None,
        (_, unread) => {
            let problem = format!("{deletes}, and {} were not read yet", pluralize(unread, "transcript"));
            Some(Problem::new(problem, "aiw history import"))
        }
    }
}

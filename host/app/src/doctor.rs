//! What is wrong with the parts of aiw. Looking starts nothing, and changes nothing but what a command that was cut
//! short left to be done, as every command does.

mod configured;
mod part;

use std::path::Path;

use aiw_core::{Fault, counted, quoted, shell_word_in_line};
pub use aiw_home::FoundProblem;
use aiw_home::{Home, find_program};
use aiw_orchestrator::{KeptWorkflow, ListedWorkflow, Workflows};
use aiw_processes::Manager;
use aiw_routing::{KnownTool, LOST, Records, ServerPlaces};
use aiw_servers::{DeclaredServer, Transport};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use self::configured::{budgets, clis, installed, models, providers};
pub use self::part::CheckedPart;
use crate::past::HistoryDoctor;
use crate::resident::ResidentState;
use crate::servers::profiles::{idle_denials, profiles};
use crate::{directory, planners};

/// `aiw doctor`
#[derive(Debug, Serialize, JsonSchema)]
pub struct Doctor {
    /// The parts that were checked
    pub parts: Vec<CheckedPart>,
}

/// Facts that only a view knows.
pub struct ViewKnows {
    /// aiw's own tools.
    pub own_tools: Vec<KnownTool>,
    /// Finds the problem with names of toolsets.
    pub toolsets: fn(&[String]) -> Option<FoundProblem>,
    /// The state of the history.
    pub history: Result<HistoryDoctor, FoundProblem>,
}

/// Looks at each part, as it is for the current directory. A part that can't be read stops no other.
pub fn look(home: &Home, knows: ViewKnows) -> Doctor {
    let (secrets, mut problems) = home.check();
    let toolsets = home.settings().and_then(|settings| settings.mcp()).ok().and_then(|mcp| mcp.toolsets);
    problems.extend(toolsets.and_then(|names| (knows.toolsets)(&names)));
    if planners::lacks_key(home) {
        let problem = "the key of the model that plans jobs is missing";
        problems.push(FoundProblem::new(problem, "`aiw planner show` says where it should be"));
    }
    let summary = format!("{}, {}", home.root().display(), counted(secrets, "secret"));
    let files = CheckedPart { name: "home", summary, problems };
    let (processes, servers) = match directory(home) {
        Ok(cwd) => (processes(home, cwd), servers(home, cwd, knows.own_tools)),
        Err(e) => {
            let nowhere = |name| CheckedPart::unread(name, FoundProblem::of(&e, e.hint()));
            (nowhere("processes"), nowhere("mcp"))
        }
    };
    let mut parts = vec![files, clis(home), providers(home)];
    parts.extend(budgets(home));
    parts.extend([processes, servers, workflows(home), installed(home), models(home), history(knows.history)]);
    parts.extend(synchronized(home));
    Doctor { parts }
}

/// Looks at what is not pushed, where there is a store.
fn synchronized(home: &Home) -> Option<CheckedPart> {
    let summary = match aiw_sync::unpushed_files(home)? {
        0 => "everything is pushed".to_owned(),
        count => format!("{} not pushed", counted(count, "change")),
    };
    Some(CheckedPart { name: "sync", summary, problems: Vec::new() })
}

fn processes(home: &Home, cwd: &Path) -> CheckedPart {
    let name = "processes";
    match Manager::of(home, cwd) {
        Err(e) => CheckedPart::unread(name, FoundProblem::of(&e, e.hint())),
        Ok(manager) => {
            let (all, running, mut problems) = manager.check();
            let resident = ResidentState::look(home);
            if !resident.awake
                && let Some(problem) = resident.line()
            {
                problems.push(FoundProblem { problem, next: None });
            }
            CheckedPart { name, summary: format!("{all} in this project, {running} running"), problems }
        }
    }
}

/// The servers as they are written. Whether they work is for `aiw mcp doctor`, which starts them.
fn servers(home: &Home, cwd: &Path, own: Vec<KnownTool>) -> CheckedPart {
    let (servers, problems) = match ServerPlaces::of(home.clone(), cwd).read() {
        Ok(read) => read,
        Err(e) => return CheckedPart::unread("mcp", FoundProblem::of(&e, e.hint())),
    };
    let left_out = problems.into_iter().map(|problem| FoundProblem { problem, next: None });
    let (mut problems, records) = (left_out.collect::<Vec<_>>(), Records::new(home.clone()));
    for found in &servers {
        let (key, name) = (quoted(&found.key), shell_word_in_line(&found.key));
        problems.extend(found.server.as_ref().err().map(|problem| {
            let next = format!("`aiw mcp show {name}` shows its entry");
            FoundProblem::new(format!("server {key} can't be used: it {problem}"), next)
        }));
        problems.extend(found.server.as_ref().ok().into_iter().flat_map(|server| lacking(home, &found.key, server)));
        if records.is_lost(&found.key) || records.load(&found.key).is_some_and(|record| record.lost) {
            let next = format!("look at them with `aiw mcp tools {name}`; `aiw mcp approve {name}` accepts them");
            problems.push(FoundProblem::new(format!("of the server {key}, {LOST}"), next));
        }
    }
    let idle = profiles(home, cwd).and_then(|profiles| idle_denials(home, cwd, &profiles, own));
    let idle = idle.unwrap_or_else(|e| vec![e.to_string()]).into_iter();
    problems.extend(idle.map(|problem| FoundProblem::new(problem, "`aiw mcp profile list`")));
    let summary = match servers.len() {
        0 => "no servers".to_owned(),
        count => format!("{}; `aiw mcp doctor` starts and checks them", counted(count, "server")),
    };
    CheckedPart { name: "mcp", summary, problems }
}

/// Returns what a server lacks on this machine, as far as its entry tells.
fn lacking(home: &Home, key: &str, server: &DeclaredServer) -> Vec<FoundProblem> {
    let (key, name) = (quoted(key), shell_word_in_line(key));
    let secrets = aiw_servers::reads(&server.declaration).secrets;
    let missing = secrets.into_iter().filter(|secret| !home.vault().is_taken(secret));
    let mut problems: Vec<FoundProblem> = missing
        .map(|secret| {
            let problem = format!("the server {key} reads the secret `{secret}`, and there is none");
            FoundProblem::new(problem, format!("`aiw secret set {secret}`"))
        })
        .collect();
    let command = server.declaration.get("command").and_then(Value::as_str).unwrap_or_default();
    let has_own_path = server.declaration.get("env").is_some_and(|env| env.get("PATH").is_some());
    // Only what is there when it starts is known of the rest.
    let is_plain = server.transport == Transport::Stdio && !command.contains("${") && !has_own_path;
    let is_far = |command: &str| command.contains('/') && !Path::new(command).is_absolute();
    if is_plain && !is_far(command) && find_program(command, home.around().variable("PATH"), Path::new("/")).is_none() {
        let problem = format!("the server {key} can't start: there is no program {}", quoted(command));
        problems.push(FoundProblem::new(problem, format!("`aiw mcp show {name}` shows its entry")));
    }
    problems
}

/// The kept scripts as they are written. Whether their tools are there, `aiw workflow list` says.
fn workflows(home: &Home) -> CheckedPart {
    let workflows = Workflows::new(home.clone());
    let (listed, lock) = (workflows.list(), workflows.lock());
    let is_outdated = |kept: &KeptWorkflow| {
        let approved = lock.as_ref().ok().and_then(|lock| lock.workflows.get(&kept.name));
        approved.is_some_and(|approved| approved.sha256 != kept.sha256)
    };
    let problem = |found: &ListedWorkflow| {
        let name = &found.name;
        match &found.workflow {
            Err(problem) => Some(FoundProblem::new(
                format!("workflow `{name}` can't be used: it {problem}"),
                format!("edit `{}`", found.path.display()),
            )),
            Ok(kept) if is_outdated(kept) => Some(FoundProblem::new(
                format!("workflow `{name}` was edited after you approved it, so it does not run"),
                format!("`aiw workflow approve {name}` shows it and asks"),
            )),
            Ok(_) => None,
        }
    };
    let mut problems: Vec<FoundProblem> = listed.iter().filter_map(problem).collect();
    problems.extend(lock.as_ref().err().map(|e| FoundProblem::of(e, e.hint())));
    let summary = match listed.len() {
        0 => "no workflows".to_owned(),
        count => counted(count, "workflow"),
    };
    CheckedPart { name: "workflows", summary, problems }
}

fn history(looked: Result<HistoryDoctor, FoundProblem>) -> CheckedPart {
    let name = "history";
    let found = match looked {
        Ok(found) => found,
        Err(problem) => return CheckedPart::unread(name, problem),
    };
    let mut problems = Vec::new();
    if found.hooks.iter().any(|status| status.installed && status.disabled) {
        problems.push(FoundProblem::new(
            "hooks of the history are switched off by `disableAllHooks` in Claude Code's settings",
            "take it out there, or `aiw history hooks uninstall`",
        ));
    }
    if !found.skipped.is_empty() {
        let problem = format!("{} could not be read whole", counted(found.skipped.len(), "transcript"));
        problems.push(FoundProblem::new(problem, "`aiw history doctor` names them"));
    }
    let hooks = if found.hooks_installed { "hooks installed" } else { "no hooks" };
    let unread = if found.unread == 0 { String::new() } else { format!(", {} not read yet", found.unread) };
    let summary = format!("{}{unread}, {hooks}", counted(found.transcripts, "transcript"));
    CheckedPart { name, summary, problems }
}

//! The servers, as they are written.

use std::path::Path;

use aiw_core::{pluralize, quoted, shell_quote_printable};
use aiw_home::{Home, HomeError, Problem, edit_command, find_program};
use aiw_routing::{
    ConfiguredServer, KnownTool, LOST_RECORD_NOTE, Records, ServerSearchPaths, SkippedServers, is_login_expired,
};
use aiw_servers::{DeclaredServer, PROJECT_FILE, ServerScope, Transport, find_plaintext_secret};
use serde_json::Value;

use super::part::{CheckedPart, current_dir};
use crate::servers::profiles::{profiles, unmatched_denials};

/// Looks at the servers as they are written. Whether they work is for `aiw mcp doctor`, which starts them.
pub(super) fn servers(home: &Home, own: Vec<KnownTool>) -> CheckedPart {
    let name = "mcp";
    let cwd = match current_dir(home, name) {
        Ok(cwd) => cwd,
        Err(part) => return part,
    };
    let KnownServers { has_settings, count, problems } = match look(home, cwd) {
        Ok(known) => known,
        Err(e) => return CheckedPart::unreadable(name, Problem::from_diagnostic(&e, "aiw mcp list")),
    };
    let mut problems: Vec<Problem> = problems.into_iter().map(|(_, problem)| problem).collect();
    if has_settings {
        let idle = profiles(home, cwd).and_then(|profiles| unmatched_denials(home, cwd, &profiles, own));
        let idle = idle.unwrap_or_else(|e| vec![e.to_string()]).into_iter();
        problems.extend(idle.map(|problem| Problem::new(problem, edit_command(&home.settings_path()))));
    }
    let summary = match count {
        0 => "no servers".to_owned(),
        count => format!("{}; `aiw mcp doctor` starts and checks them", pluralize(count, "server")),
    };
    CheckedPart { name, summary, problems }
}

/// The declared servers, and what is wrong with them.
struct KnownServers {
    /// Whether the settings can be read.
    has_settings: bool,
    count: usize,
    /// Each with the key of its server, if it is about one.
    problems: Vec<(Option<String>, Problem)>,
}

fn look(home: &Home, cwd: &Path) -> Result<KnownServers, HomeError> {
    // The home's part tells what is wrong with the settings, and the servers are there without them.
    let (settings, problem) = home.settings_or_empty()?;
    let (is_usable, places) = (settings.mcp().is_ok(), ServerSearchPaths::load(home.clone(), cwd));
    let (servers, left_out) =
        if is_usable { places.read_with(&settings) } else { places.read_with(&home.empty_settings()?) }?;
    let records = Records::new(home.clone());
    let of_projects = left_out.iter().map(|found| (None, of_project(found, &places)));
    let of_servers = servers.iter().flat_map(|found| {
        of_server(home, found, &records).into_iter().map(|problem| (Some(found.key.clone()), problem))
    });
    Ok(KnownServers {
        has_settings: is_usable && problem.is_none(),
        count: servers.len(),
        problems: of_projects.chain(of_servers).collect(),
    })
}

/// Returns what is wrong with the servers of a directory, each with the key of its server, if it is about one.
pub(crate) fn server_problems(home: &Home, cwd: &Path) -> Result<Vec<(Option<String>, Problem)>, HomeError> {
    Ok(look(home, cwd)?.problems)
}

/// Returns the problem with what a project declares. What is not trusted says so, by the command that trusts it.
fn of_project(found: &SkippedServers, places: &ServerSearchPaths) -> Problem {
    let file = places.project_file().unwrap_or(Path::new(PROJECT_FILE));
    Problem::new(found.to_string(), found.trust_command().unwrap_or_else(|| edit_command(file)))
}

/// Returns what is wrong with a server, as far as its entry and its record tell.
fn of_server(home: &Home, found: &ConfiguredServer, records: &Records) -> Vec<Problem> {
    let (key, name) = (quoted(&found.key), shell_quote_printable(&found.key));
    let file = match found.scope {
        ServerScope::Aiw => home.mcp_path(),
        ServerScope::Project => found.directory.join(PROJECT_FILE),
    };
    let server = match &found.server {
        Ok(server) => server,
        Err(problem) => {
            return vec![Problem::new(format!("server {key} can't be used: it {problem}"), edit_command(&file))];
        }
    };
    // One that is switched off is not missed.
    let mut problems = if found.settings.enabled { lacking(home, &found.key, server, &file) } else { Vec::new() };
    let record = records.load(&found.key);
    let approve = format!("aiw mcp approve {name}");
    if records.is_lost(&found.key) || record.as_ref().is_some_and(|record| record.lost) {
        let problem = format!("of the server {key}, {LOST_RECORD_NOTE}");
        problems.push(Problem::new(problem, &approve).with_purpose("shows them, and accepts them"));
    }
    let blocked = record.map_or(0, |record| record.unapproved());
    if blocked > 0 && found.settings.enabled {
        let (is, are) = if blocked == 1 { ("has", "is") } else { ("have", "are") };
        let count = pluralize(blocked, "definition");
        let problem = format!("{count} of the server {key} {is} changed or {are} suspicious, and {are} blocked");
        problems.push(Problem::new(problem, &approve).with_purpose("shows what is new, and asks"));
    }
    problems
}

/// Returns what a server lacks on this machine, as far as its entry tells.
fn lacking(home: &Home, key: &str, server: &DeclaredServer, file: &Path) -> Vec<Problem> {
    let (entry, name) = (&server.declaration, shell_quote_printable(key));
    let url = entry.get("url").and_then(Value::as_str);
    let login = url.is_some_and(|url| is_login_expired(home, key, url)).then(|| {
        let problem = format!("your login at the server {} is over", quoted(key));
        Problem::new(problem, format!("aiw mcp login {name}"))
    });
    let key = quoted(key);
    let in_clear = find_plaintext_secret(entry).map(|field| {
        let problem =
            format!("what looks like a key is in the entry of the server {key} in clear, in its {}", quoted(&field));
        Problem::new(problem, edit_command(file)).with_purpose("puts `${secret:NAME}` there, of `aiw secret set NAME`")
    });
    let secrets = aiw_servers::referenced_names(&server.declaration).secrets;
    let missing = secrets.into_iter().filter(|secret| !home.vault().is_taken(secret));
    let mut problems: Vec<Problem> = missing
        .map(|secret| {
            let problem = format!("the server {key} reads the secret `{secret}`, and there is none");
            Problem::new(problem, format!("aiw secret set {secret}"))
        })
        .collect();
    let command = server.declaration.get("command").and_then(Value::as_str).unwrap_or_default();
    let has_own_path = server.declaration.get("env").is_some_and(|env| env.get("PATH").is_some());
    // Only what is there when it starts is known of the rest.
    let is_plain = server.transport == Transport::Stdio && !command.contains("${") && !has_own_path;
    let is_far = |command: &str| command.contains('/') && !Path::new(command).is_absolute();
    if is_plain && !is_far(command) && find_program(command, home.context().variable("PATH"), Path::new("/")).is_none()
    {
        let problem = format!("the server {key} can't start: there is no program {}", quoted(command));
        problems.push(Problem::new(problem, edit_command(file)));
    }
    problems.extend(login.into_iter().chain(in_clear));
    problems
}

//! What a repository brings for Claude Code. On a terminal it asks whether the directory is trusted; with `-p` it starts the
//! hooks of `.claude/settings.json` and the servers of `.mcp.json` without a question. Seen in 2.1.332.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aiw_core::{CliKind, one_line};
use aiw_home::{CLAUDE_LOCAL_SETTINGS, CliFiles, read_capped};
use aiw_servers::PROJECT_FILE;
use serde_json::{Map, Value, json};

use crate::RunRequest;
use crate::arguments;
use crate::builder::RunBuilder;
use crate::environment::Environment;
use crate::overlay;
use crate::workspace::Workspace;

const FILES: CliFiles = CliFiles::for_cli(CliKind::Claude);

/// Chooses where settings, hooks, agents, skills, commands and MCP servers come from.
const SETTING_SOURCES: &str = "--setting-sources";

/// The settings of a project. Both lie in the repository, whoever wrote them.
const SETTINGS_FILES: [&str; 2] = [FILES.project_settings, CLAUDE_LOCAL_SETTINGS];

/// What else Claude Code looks for in each directory of a project.
const PROJECT_FILES: [&str; 3] = [".claude", "CLAUDE.md", "CLAUDE.local.md"];

/// The tools whose rules hold paths. `/x` is a path below the directory of the settings, `//x` an absolute one.
/// <https://code.claude.com/docs/en/permissions>
const FILE_TOOLS: [&str; 8] = ["Read", "Edit", "Write", "MultiEdit", "NotebookEdit", "Glob", "Grep", "LS"];

/// The largest record of Claude Code's that is read. It holds the history of prompts.
const MAX_RECORD_BYTES: u64 = 64 << 20;

/// Returns whether the run has no terminal on which Claude Code asks, unless the user chose the sources themselves.
pub(super) fn skips_trust_prompt(request: &RunRequest) -> bool {
    let is_print = |text: &str| match text.strip_prefix("--") {
        Some(name) => ["print", "init-only", "maintenance"].contains(&name) || name.starts_with("sdk-url"),
        // Short flags can stand together.
        None => text.strip_prefix('-').is_some_and(|flags| flags.contains('p')),
    };
    let prints = request.arguments.iter().filter_map(|argument| argument.to_str()).any(is_print);
    let is_interactive = request.has_terminal && request.prompt.is_none() && !prints;
    !is_interactive && !arguments::has_flag(&request.arguments, &[SETTING_SOURCES])
}

/// Returns whether Claude Code's own record says that the user trusts the working directory, or one above it within the
/// repository.
pub(super) fn has_recorded_trust(workspace: &Workspace, environment: &Environment) -> bool {
    is_recorded(workspace, &record(environment))
}

fn is_recorded(workspace: &Workspace, record: &Value) -> bool {
    workspace
        .recorded_directories()
        .filter_map(|directory| entry(record, directory))
        .any(|entry| entry.get("hasTrustDialogAccepted").and_then(Value::as_bool).unwrap_or(false))
}

/// Returns what Claude Code recorded, or null.
fn record(environment: &Environment) -> Value {
    let file = FILES.servers(|name| environment.path(name));
    let bytes = file.and_then(|file| read_capped(&file, MAX_RECORD_BYTES).ok().flatten());
    bytes.and_then(|bytes| aiw_core::from_foreign_json(&bytes).ok()).unwrap_or_default()
}

/// Returns what Claude Code recorded about a directory.
fn entry<'a>(record: &'a Value, directory: &Path) -> Option<&'a Map<String, Value>> {
    record.get("projects")?.get(directory.to_str()?)?.as_object()
}

/// Returns whether the project brings anything that Claude Code would use.
pub(super) fn has_project_files(workspace: &Workspace, environment: &Environment) -> bool {
    // In the user's home it is their own.
    let own = FILES.directory(|name| environment.path(name)).and_then(|own| fs::canonicalize(own).ok());
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok() && Some(path) != own.as_deref();
    let is_brought = |directory: &Path| PROJECT_FILES.iter().any(|name| is_there(&directory.join(name)));
    workspace.directories_and_main().any(is_brought) || workspace.has_foreign_servers()
}

/// Leaves out the project's settings, hooks, agents, skills, commands, MCP servers and `CLAUDE.md`. What the project forbids
/// stays forbidden. The servers that the user added for this directory alone come from the user's own record, and are passed
/// again. A project that the record trusts is left as it is.
pub(super) fn restrict(workspace: &Workspace, why: String, draft: &mut RunBuilder) {
    let record = record(&draft.environment);
    if is_recorded(workspace, &record) {
        return;
    }
    draft.arguments.extend([SETTING_SOURCES.into(), "user".into()]);
    for directory in workspace.directories_and_main() {
        for file in SETTINGS_FILES {
            let path = directory.join(file);
            match overlay::read(&path) {
                Ok(None) => {}
                Ok(Some(settings)) => {
                    let rules = |key: &str| {
                        let rules = settings.get("permissions").and_then(|permissions| permissions.get(key));
                        let rules = rules.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
                        rules.map(|rule| absolute(rule, directory)).collect::<Vec<_>>()
                    };
                    draft.restrictions.deny.extend(rules("deny"));
                    draft.restrictions.ask.extend(rules("ask"));
                }
                Err(error) => draft.notes.push(format!("what the project forbids is not known: {error}")),
            }
        }
    }
    let mut servers = Map::new();
    for directory in workspace.recorded_directories() {
        let found = entry(&record, directory).and_then(|entry| entry.get("mcpServers")?.as_object());
        for (name, server) in found.into_iter().flatten() {
            servers.entry(name.as_str()).or_insert_with(|| server.clone());
        }
    }
    // The one in the user's home is their own, and is a project's to Claude Code.
    if let Some(home) = workspace.user_home.as_deref().filter(|home| workspace.cwd.starts_with(home)) {
        match overlay::read(&home.join(PROJECT_FILE)) {
            Ok(found) => {
                let found = found.as_ref().and_then(|file| file.get("mcpServers")?.as_object());
                let disabled = disabled(workspace, &record, &draft.environment);
                for (name, server) in found.into_iter().flatten().filter(|(name, _)| !disabled.contains(*name)) {
                    // It would be a program of the project's.
                    let command = server.get("command").and_then(Value::as_str).unwrap_or_default();
                    if command.contains('/') && !command.starts_with(['/', '~', '$']) {
                        let name = one_line(name, 60);
                        draft.notes.push(format!(
                            "your server `{name}` is left out: `{}` is in the project",
                            one_line(command, 100)
                        ));
                        continue;
                    }
                    servers.entry(name.as_str()).or_insert_with(|| server.clone());
                }
            }
            Err(error) => draft.notes.push(format!("your own servers are left out: {error}")),
        }
    }
    if !servers.is_empty() {
        draft.servers = Some(json!({"mcpServers": servers}));
    }
    if has_project_files(workspace, &draft.environment) {
        draft.notes.push(why);
    }
}

/// Returns the servers of `.mcp.json` files that the user switched off, in Claude Code's record or in their own settings.
fn disabled(workspace: &Workspace, record: &Value, environment: &Environment) -> BTreeSet<String> {
    const DISABLED: &str = "disabledMcpjsonServers";
    let own = FILES.directory(|name| environment.path(name)).map(|directory| directory.join(FILES.settings));
    let own = own.and_then(|file| overlay::read(&file).ok().flatten());
    let recorded = workspace.recorded_directories().filter_map(|directory| entry(record, directory)?.get(DISABLED));
    let lists = recorded.chain(own.as_ref().and_then(|settings| settings.get(DISABLED))).filter_map(Value::as_array);
    lists.flatten().filter_map(|name| Some(name.as_str()?.to_owned())).collect()
}

/// Returns a rule of settings in a directory as one that holds wherever it stands.
fn absolute(rule: &str, directory: &Path) -> String {
    let is_of_files = |tool: &str| FILE_TOOLS.contains(&tool);
    match (rule.split_once("(/"), directory.to_str()) {
        (Some((tool, path)), Some(directory)) if is_of_files(tool) && !path.starts_with('/') => {
            format!("{tool}(/{directory}/{path}")
        }
        _ => rule.to_owned(),
    }
}

/// Adds what the project forbids to the settings, without replacing what they forbid themselves.
pub(super) fn add_restrictions(draft: &mut RunBuilder) {
    let restrictions = std::mem::take(&mut draft.restrictions);
    for (key, rules) in [("deny", restrictions.deny), ("ask", restrictions.ask)] {
        if rules.is_empty() {
            continue;
        }
        let there = draft.settings.as_ref().and_then(|settings| settings.get("permissions")?.get(key)?.as_array());
        let mut all: Vec<Value> = there.cloned().unwrap_or_default();
        all.extend(rules.into_iter().map(Value::from));
        draft.override_settings(json!({"permissions": {key: all}}));
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::builder::Restrictions;
    use crate::clis::tests::draft;

    #[test]
    fn rules_for_files_hold_wherever_they_stand() {
        let directory = Path::new("/srv/repo");
        for (rule, whole) in [
            ("Read(/secret/**)", "Read(//srv/repo/secret/**)"),
            ("Edit(/docs/a b.md)", "Edit(//srv/repo/docs/a b.md)"),
            ("Read(//etc/passwd)", "Read(//etc/passwd)"),
            ("Read(~/.ssh/**)", "Read(~/.ssh/**)"),
            ("Read(./.env)", "Read(./.env)"),
            ("Bash(/usr/bin/curl:*)", "Bash(/usr/bin/curl:*)"),
            ("WebFetch", "WebFetch"),
        ] {
            assert_eq!(absolute(rule, directory), whole);
        }
    }

    #[test]
    fn only_a_terminal_asks() {
        let request = |prompt: bool, terminal: bool, arguments: &[&str]| RunRequest {
            prompt: prompt.then(|| b"hello".to_vec()),
            has_terminal: terminal,
            arguments: arguments.iter().map(OsString::from).collect(),
            ..RunRequest::new(CliKind::Claude, "/srv")
        };
        assert!(!skips_trust_prompt(&request(false, true, &[])));
        assert!(!skips_trust_prompt(&request(false, true, &["--resume", "x", "--permission-mode", "plan"])));
        for arguments in [&["-p", "hello"][..], &["--print"], &["-cp", "hello"], &["--init-only"], &["--sdk-url=x"]] {
            assert!(skips_trust_prompt(&request(false, true, arguments)), "{arguments:?}");
        }
        assert!(skips_trust_prompt(&request(true, true, &[])) && skips_trust_prompt(&request(false, false, &[])));
        assert!(!skips_trust_prompt(&request(true, true, &["--setting-sources=user,project"])));
    }

    #[test]
    fn what_is_forbidden_is_added_to_what_the_settings_forbid() {
        let dir = tempfile::tempdir().unwrap();
        let mut draft = draft(dir.path(), &[]);
        draft.override_settings(json!({"permissions": {"deny": ["WebFetch"], "allow": ["Read"]}}));
        draft.restrictions = Restrictions { deny: vec!["Bash".into()], ask: vec!["Edit".into()] };
        add_restrictions(&mut draft);
        let settings = draft.settings.unwrap();
        let expected = json!({"permissions": {"deny": ["WebFetch", "Bash"], "ask": ["Edit"], "allow": ["Read"]}});
        assert_eq!(settings, expected);
    }

    #[test]
    fn settings_that_cannot_be_read_are_said() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir_all(root.join(".claude")).unwrap();
        for bytes in [b"{".as_slice(), b"[]", b"\xff\xfe", &[b'['; 200_000]] {
            fs::write(root.join(FILES.project_settings), bytes).unwrap();
            let mut draft = draft(&root, &[]);
            restrict(&Workspace::new(&root, None), String::new(), &mut draft);
            assert!(draft.restrictions.is_empty());
            assert!(draft.notes.iter().any(|note| note.starts_with("what the project forbids is not known")));
        }
        let odd = r#"{"permissions": {"deny": [1, null, "Bash", {}], "ask": "Bash"}}"#;
        fs::write(root.join(FILES.project_settings), odd).unwrap();
        let mut draft = draft(&root, &[]);
        restrict(&Workspace::new(&root, None), String::new(), &mut draft);
        assert_eq!(draft.restrictions, Restrictions { deny: vec!["Bash".into()], ask: Vec::new() });
    }
}

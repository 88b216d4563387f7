//! aiw's hooks in the settings of AI CLIs: after which events a session is read for the history.
//!
//! Claude Code, Codex (`hooks.json`) and Gemini CLI have one form, with other events and units.

use std::path::{Path, PathBuf};

use aiw_core::CliKind;
use aiw_home::{CLAUDE_LOCAL_SETTINGS, CliFiles, Home, Jsonc, json, read_capped, read_nofollow};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::SetupError;
use crate::clients::ClientPaths;
use crate::plan::{FileChange, RecordAction};
use crate::record::{Record, Role, digest, file_stem};
use crate::scope::SetupScope;
use crate::setup::{check_unchanged, write};
use crate::summary::ClientChange;

/// How long a hook may take, in seconds. Without one, Claude Code ends hooks of SessionEnd after 1.5 s. Ours takes
/// milliseconds; a machine that is busy may take longer.
const TIMEOUT_SECONDS: u64 = 10;

/// Codex's file of hooks, in its directory.
const CODEX_HOOKS_FILE: &str = "hooks.json";

const HOOKS_KEY: &str = "hooks";

/// Which settings of Claude Code's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookScope {
    /// The user's own.
    User,
    /// The settings of a project, shared by its authors.
    Project(PathBuf),
    /// The user's own for a project.
    Local(PathBuf),
    /// The user's own of Codex.
    Codex,
    /// The user's own of Gemini CLI.
    Gemini,
}

impl HookScope {
    /// Its name on the command line.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project(_) => "project",
            Self::Local(_) => "local",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
        }
    }

    /// The CLI that reads the settings.
    pub fn cli(&self) -> CliKind {
        match self {
            Self::User | Self::Project(_) | Self::Local(_) => CliKind::Claude,
            Self::Codex => CliKind::Codex,
            Self::Gemini => CliKind::Gemini,
        }
    }

    /// The events: a session's end, and what comes before its earlier part is summed up.
    fn events(&self) -> [&'static str; 2] {
        match self.cli() {
            CliKind::Claude | CliKind::Codex => ["SessionEnd", "PreCompact"],
            CliKind::Gemini => ["SessionEnd", "PreCompress"],
        }
    }

    fn timeout(&self) -> u64 {
        // Gemini CLI counts milliseconds.
        if self.cli() == CliKind::Gemini { TIMEOUT_SECONDS * 1000 } else { TIMEOUT_SECONDS }
    }

    /// Whether the settings are the user's own: then they may be a link.
    fn is_users(&self) -> bool {
        matches!(self, Self::User | Self::Codex | Self::Gemini)
    }

    /// Whose record of changes it has.
    fn setup(&self) -> (&'static str, SetupScope) {
        match self {
            Self::User => ("claude-hooks", SetupScope::User),
            Self::Project(root) => ("claude-hooks", SetupScope::Project(root.clone())),
            Self::Local(root) => ("claude-local-hooks", SetupScope::Project(root.clone())),
            Self::Codex => ("codex-hooks", SetupScope::User),
            Self::Gemini => ("gemini-hooks", SetupScope::User),
        }
    }

    fn stem(&self) -> String {
        let (name, scope) = self.setup();
        file_stem(name, &scope)
    }
}

/// Puts aiw's hooks into the settings of AI CLIs, and takes them out.
pub struct Hooks {
    home: Home,
    places: ClientPaths,
    /// How the CLI's shell starts aiw, without the arguments.
    program: String,
}

/// The changes to a CLI's settings.
pub struct HookPlan {
    scope: HookScope,
    path: PathBuf,
    file: Option<FileChange>,
    after: RecordAction,
}

/// The changes to a CLI's settings.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HookSummary {
    /// The settings: `user`, `project` or `local` of Claude Code, `codex` or `gemini`
    pub scope: &'static str,
    /// The settings
    pub path: String,
    /// Whether anything changes
    pub changed: bool,
    /// The changes
    pub changes: Vec<ClientChange>,
}

/// Whether the hooks are in settings of an AI CLI.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HookStatus {
    /// The settings: `user`, `project` or `local` of Claude Code, `codex` or `gemini`
    pub scope: &'static str,
    /// The settings
    pub path: String,
    /// Whether all hooks are there
    pub installed: bool,
    /// The events for which one is there
    pub events: Vec<&'static str>,
    /// The command that they run
    pub command: Option<String>,
    /// Whether these settings switch all hooks off (`disableAllHooks`)
    pub disabled: bool,
    /// Why the settings can't be read
    pub problem: Option<String>,
}

impl Hooks {
    /// Hooks that run `program history hooks handle`; `program` is in the words of a shell.
    pub fn new(home: Home, places: ClientPaths, program: String) -> Self {
        Self { home, places, program }
    }

    /// The settings of a scope.
    pub fn file(&self, scope: &HookScope) -> PathBuf {
        match scope {
            HookScope::User => self.places.clis.settings(CliKind::Claude),
            HookScope::Project(root) => root.join(CliFiles::for_cli(CliKind::Claude).project_settings),
            HookScope::Local(root) => root.join(CLAUDE_LOCAL_SETTINGS),
            HookScope::Codex => self.places.clis.directory(CliKind::Codex).join(CODEX_HOOKS_FILE),
            HookScope::Gemini => self.places.clis.settings(CliKind::Gemini),
        }
    }

    fn command(&self) -> String {
        format!("{} history hooks handle", self.program)
    }

    /// Plans to put the hooks there.
    pub fn plan(&self, scope: &HookScope) -> Result<HookPlan, SetupError> {
        self.home.recover()?;
        let (path, old, mut settings) = self.read(scope)?;
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let command = self.command();
        let mut lines = Vec::new();
        for event in scope.events() {
            let found = ours(&settings, event);
            if found.iter().any(|(_, other)| *other == command) {
                continue;
            }
            // aiw is elsewhere now.
            remove(&mut settings, event).map_err(invalid)?;
            let hook = json!({"type": "command", "command": command, "timeout": scope.timeout()});
            settings.append(&[HOOKS_KEY, event], &json!({"hooks": [hook]})).map_err(invalid)?;
            lines.extend(found.iter().map(|(_, other)| format!("- {HOOKS_KEY}.{event}: {other}")));
            lines.push(format!("+ {HOOKS_KEY}.{event}: {command}"));
        }
        let mut plan = HookPlan { scope: scope.clone(), path: path.clone(), file: None, after: RecordAction::Keep };
        if !lines.is_empty() {
            let is_shared = matches!(scope, HookScope::Project(_));
            let file =
                FileChange { path, role: Role::Hooks, old, new: Some(settings.text().into_bytes()), lines, is_shared };
            let before = Record::load(&self.home, &scope.stem())?;
            let (name, owner) = scope.setup();
            // The name is that of the hooks, whoever's settings of a project they are in.
            let name = if name == "claude-local-hooks" { "claude-hooks" } else { name };
            let mut record = before.unwrap_or_else(|| Record::new(name, &owner));
            record.add_changes([&file]);
            plan.file = Some(file);
            plan.after = RecordAction::Write(record);
        }
        Ok(plan)
    }

    /// Plans to take the hooks out: the settings as they were, or without the hooks if something else has changed them
    /// since.
    pub fn plan_undo(&self, scope: &HookScope) -> Result<HookPlan, SetupError> {
        self.home.recover()?;
        let (path, old, mut settings) = self.read(scope)?;
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let record = Record::load(&self.home, &scope.stem())?;
        let kept = record.as_ref().and_then(|record| record.files.iter().find(|kept| kept.path == path));
        let before = kept.map(|kept| Record::backup(&self.home, kept)).transpose()?.flatten();
        let now = old.as_deref().map(digest);
        let mut lines = Vec::new();
        let new = match kept {
            Some(kept) if now.is_some() && now == kept.written => {
                lines.push("as it was before".to_owned());
                before
            }
            _ => {
                let before = Jsonc::parse(before.as_deref().unwrap_or_default()).map_err(invalid)?;
                for event in scope.events() {
                    let found = ours(&settings, event);
                    lines.extend(found.iter().map(|(_, command)| format!("- {HOOKS_KEY}.{event}: {command}")));
                    remove(&mut settings, event).map_err(invalid)?;
                    if !found.is_empty()
                        && is_empty(&settings, &[HOOKS_KEY, event])
                        && before.get(&[HOOKS_KEY, event]).is_none()
                    {
                        settings.remove(&[HOOKS_KEY, event]).map_err(invalid)?;
                    }
                }
                if !lines.is_empty() && is_empty(&settings, &[HOOKS_KEY]) && before.get(&[HOOKS_KEY]).is_none() {
                    settings.remove(&[HOOKS_KEY]).map_err(invalid)?;
                }
                Some(settings.text().into_bytes())
            }
        };
        let file = (old.is_some() && !lines.is_empty()).then(|| FileChange {
            path: path.clone(),
            role: Role::Hooks,
            old,
            new,
            lines,
            is_shared: false,
        });
        let after = record.map_or(RecordAction::Keep, RecordAction::Remove);
        Ok(HookPlan { scope: scope.clone(), path, file, after })
    }

    /// Writes what was planned, unless the settings were changed meanwhile.
    pub fn apply(&self, plan: &HookPlan) -> Result<(), SetupError> {
        let lock = self.home.lock()?;
        let files: Vec<FileChange> = plan.file.iter().cloned().collect();
        check_unchanged(&files)?;
        let stem = plan.scope.stem();
        if let RecordAction::Write(record) = &plan.after {
            record.save_with_backups(&self.home, &stem, &files)?;
        }
        files.iter().try_for_each(|file| write(&self.home, &lock, file))?;
        if let RecordAction::Remove(record) = &plan.after {
            record.clean_up(&self.home, &stem)?;
        }
        Ok(())
    }

    /// Whether the hooks are there.
    pub fn status(&self, scope: &HookScope) -> HookStatus {
        let path = self.file(scope);
        let mut status = HookStatus {
            scope: scope.as_str(),
            path: path.display().to_string(),
            installed: false,
            events: Vec::new(),
            command: None,
            disabled: false,
            problem: None,
        };
        match self.read(scope) {
            Ok((_, _, settings)) => {
                for event in scope.events() {
                    if let Some((_, command)) = ours(&settings, event).pop() {
                        status.events.push(event);
                        status.command = Some(command);
                    }
                }
                status.installed = status.events.len() == scope.events().len();
                status.disabled = settings.get(&["disableAllHooks"]) == Some(&Value::Bool(true))
                    || settings.get(&["hooksConfig", "enabled"]) == Some(&Value::Bool(false));
            }
            Err(e) => status.problem = Some(e.to_string()),
        }
        status
    }

    fn read(&self, scope: &HookScope) -> Result<(PathBuf, Option<Vec<u8>>, Jsonc), SetupError> {
        let path = self.file(scope);
        let read = if scope.is_users() { read_capped } else { read_nofollow };
        let old = read(&path, json::MAX_BYTES)?;
        let parsed = Jsonc::parse(old.as_deref().unwrap_or_default());
        let settings = parsed.map_err(|problem| SetupError::Invalid { path: path.clone(), problem })?;
        Ok((path, old, settings))
    }
}

impl HookPlan {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.file.is_none()
    }

    /// The settings.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the changes for people.
    pub fn changes(&self) -> Vec<String> {
        self.file.as_ref().map(FileChange::diff_lines).unwrap_or_default()
    }

    /// Returns what the yes to it holds for.
    pub fn change_digest(&self) -> Option<String> {
        self.file.as_ref().map(FileChange::change_digest)
    }

    /// Returns the changes for programs.
    pub fn summary(&self) -> HookSummary {
        HookSummary {
            scope: self.scope.as_str(),
            path: self.path.display().to_string(),
            changed: !self.is_empty(),
            changes: self.file.iter().map(ClientChange::new).collect(),
        }
    }
}

/// Our hooks for an event: the group that each is in, and its command.
fn ours(settings: &Jsonc, event: &str) -> Vec<(Value, String)> {
    let groups = settings.get(&[HOOKS_KEY, event]).and_then(Value::as_array);
    let mut found = Vec::new();
    for group in groups.into_iter().flatten() {
        for hook in group["hooks"].as_array().into_iter().flatten() {
            if let Some(command) = hook["command"].as_str().filter(|command| is_ours(command)) {
                found.push((group.clone(), command.to_owned()));
            }
        }
    }
    found
}

/// Whether a command is `aiw history hooks handle`, wherever aiw is.
fn is_ours(command: &str) -> bool {
    let Some(program) = command.trim_end().strip_suffix(" history hooks handle") else { return false };
    let program = program.trim_end().trim_end_matches(['"', '\'']);
    let name = program.rsplit(['/', '\\', ' ', '"', '\'']).next().unwrap_or(program);
    matches!(name, "aiw" | "aiw.exe")
}

/// Takes our hooks for an event out. Others in the same group stay.
fn remove(settings: &mut Jsonc, event: &str) -> Result<(), String> {
    for (group, _) in ours(settings, event) {
        let mut rest = group.clone();
        let Some(hooks) = rest["hooks"].as_array_mut() else { continue };
        hooks.retain(|hook| !hook["command"].as_str().is_some_and(is_ours));
        let is_alone = hooks.is_empty();
        settings.remove_item(&[HOOKS_KEY, event], &group)?;
        if !is_alone {
            settings.append(&[HOOKS_KEY, event], &rest)?;
        }
    }
    Ok(())
}

fn is_empty(settings: &Jsonc, path: &[&str]) -> bool {
    settings.get(path).is_some_and(|value| match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    })
}

//! aiw's hooks in Claude Code's settings: after which events a session is read for the history.

use std::path::{Path, PathBuf};

use aiw_core::CliKind;
use aiw_home::{CliFiles, Home, Jsonc, json, read_capped, read_unlinked};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::SetupError;
use crate::clients::ClientPlaces;
use crate::plan::{After, FileChange};
use crate::record::{Record, Role, digest, stem_of};
use crate::scope::SetupScope;
use crate::setup::{unchanged, write};
use crate::summary::ClientChange;

/// The events: a session's end, and what comes before its earlier part is summed up.
const EVENTS: [&str; 2] = ["SessionEnd", "PreCompact"];

/// In seconds. Without one, Claude Code ends hooks of SessionEnd after 1.5 s. Ours takes milliseconds; a machine that
/// is busy may take longer.
const TIMEOUT: u64 = 10;

const HOOKS: &str = "hooks";

/// Which settings of Claude Code's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookScope {
    /// The user's own.
    User,
    /// The settings of a project, shared by its authors.
    Project(PathBuf),
    /// The user's own for a project.
    Local(PathBuf),
}

impl HookScope {
    /// Its name on the command line.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project(_) => "project",
            Self::Local(_) => "local",
        }
    }

    fn stem(&self) -> String {
        match self {
            Self::User => stem_of("claude-hooks", &SetupScope::User),
            Self::Project(root) => stem_of("claude-hooks", &SetupScope::Project(root.clone())),
            Self::Local(root) => stem_of("claude-local-hooks", &SetupScope::Project(root.clone())),
        }
    }
}

/// Puts aiw's hooks into Claude Code's settings, and takes them out.
pub struct Hooks {
    home: Home,
    places: ClientPlaces,
    /// How Claude Code's shell starts aiw, without the arguments.
    program: String,
}

/// The changes to Claude Code's settings.
pub struct HookPlan {
    scope: HookScope,
    path: PathBuf,
    file: Option<FileChange>,
    after: After,
}

/// The changes to Claude Code's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HookSummary {
    /// The owner of the settings: `user`, `project` or `local`
    pub scope: &'static str,
    /// The settings
    pub path: String,
    /// Whether anything changes
    pub changed: bool,
    /// The changes
    pub changes: Vec<ClientChange>,
}

/// Whether the hooks are in settings of Claude Code's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HookStatus {
    /// The owner of the settings: `user`, `project` or `local`
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
    pub fn new(home: Home, places: ClientPlaces, program: String) -> Self {
        Self { home, places, program }
    }

    /// The settings of a scope.
    pub fn file(&self, scope: &HookScope) -> PathBuf {
        match scope {
            HookScope::User => self.places.clis.settings(CliKind::Claude),
            HookScope::Project(root) => root.join(CliFiles::of(CliKind::Claude).project_settings),
            HookScope::Local(root) => root.join(".claude/settings.local.json"),
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
        for event in EVENTS {
            let found = ours(&settings, event);
            if found.iter().any(|(_, other)| *other == command) {
                continue;
            }
            // aiw is elsewhere now.
            remove(&mut settings, event).map_err(invalid)?;
            let hook = json!({"type": "command", "command": command, "timeout": TIMEOUT});
            settings.append(&[HOOKS, event], &json!({"hooks": [hook]})).map_err(invalid)?;
            lines.extend(found.iter().map(|(_, other)| format!("- {HOOKS}.{event}: {other}")));
            lines.push(format!("+ {HOOKS}.{event}: {command}"));
        }
        let mut plan = HookPlan { scope: scope.clone(), path: path.clone(), file: None, after: After::Keep };
        if !lines.is_empty() {
            let is_shared = matches!(scope, HookScope::Project(_));
            let file =
                FileChange { path, role: Role::Hooks, old, new: Some(settings.text().into_bytes()), lines, is_shared };
            let before = Record::load(&self.home, &scope.stem())?;
            let project = match scope {
                HookScope::User => SetupScope::User,
                HookScope::Project(root) | HookScope::Local(root) => SetupScope::Project(root.clone()),
            };
            let mut record = before.unwrap_or_else(|| Record::new("claude-hooks", &project));
            record.note([&file]);
            plan.file = Some(file);
            plan.after = After::Write(record);
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
                for event in EVENTS {
                    let found = ours(&settings, event);
                    lines.extend(found.iter().map(|(_, command)| format!("- {HOOKS}.{event}: {command}")));
                    remove(&mut settings, event).map_err(invalid)?;
                    if !found.is_empty()
                        && is_empty(&settings, &[HOOKS, event])
                        && before.get(&[HOOKS, event]).is_none()
                    {
                        settings.remove(&[HOOKS, event]).map_err(invalid)?;
                    }
                }
                if !lines.is_empty() && is_empty(&settings, &[HOOKS]) && before.get(&[HOOKS]).is_none() {
                    settings.remove(&[HOOKS]).map_err(invalid)?;
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
        let after = record.map_or(After::Keep, After::Remove);
        Ok(HookPlan { scope: scope.clone(), path, file, after })
    }

    /// Writes what was planned, unless the settings were changed meanwhile.
    pub fn apply(&self, plan: &HookPlan) -> Result<(), SetupError> {
        let _lock = self.home.lock()?;
        let files: Vec<FileChange> = plan.file.iter().cloned().collect();
        unchanged(&files)?;
        let stem = plan.scope.stem();
        if let After::Write(record) = &plan.after {
            record.begin(&self.home, &stem, &files)?;
        }
        files.iter().try_for_each(write)?;
        if let After::Remove(record) = &plan.after {
            record.end(&self.home, &stem)?;
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
                for event in EVENTS {
                    if let Some((_, command)) = ours(&settings, event).pop() {
                        status.events.push(event);
                        status.command = Some(command);
                    }
                }
                status.installed = status.events.len() == EVENTS.len();
                status.disabled = settings.get(&["disableAllHooks"]) == Some(&Value::Bool(true));
            }
            Err(e) => status.problem = Some(e.to_string()),
        }
        status
    }

    fn read(&self, scope: &HookScope) -> Result<(PathBuf, Option<Vec<u8>>, Jsonc), SetupError> {
        let path = self.file(scope);
        let read = if *scope == HookScope::User { read_capped } else { read_unlinked };
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
        self.file.as_ref().map(FileChange::shown).unwrap_or_default()
    }

    /// Returns the changes for programs.
    pub fn summary(&self) -> HookSummary {
        HookSummary {
            scope: self.scope.as_str(),
            path: self.path.display().to_string(),
            changed: !self.is_empty(),
            changes: self.file.iter().map(ClientChange::of).collect(),
        }
    }
}

/// Our hooks for an event: the group that each is in, and its command.
fn ours(settings: &Jsonc, event: &str) -> Vec<(Value, String)> {
    let groups = settings.get(&[HOOKS, event]).and_then(Value::as_array);
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
        settings.remove_item(&[HOOKS, event], &group)?;
        if !is_alone {
            settings.append(&[HOOKS, event], &rest)?;
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

//! Planning a setup, and writing what was planned.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::SecretName;
use aiw_home::{Home, HomeError, Lock, Mode, inherit_owner, json, read_capped, read_nofollow};
use serde_json::{Map, Value};

use crate::SetupError;
use crate::clients::{AutoApprove, ClientPaths, SetupClient};
use crate::config::Config;
use crate::ours::{AiwEntry, NAME};
use crate::plan::{FileChange, RecordAction, SetupPlan};
use crate::record::{ImportedServer, MCP_RECORD, Record, Role, stem};
use crate::scope::{SetupOptions, SetupScope};

/// The key of the servers in `mcp.json`.
pub(crate) const SERVERS_KEY: &str = "mcpServers";

/// Registers aiw in clients.
pub struct Setup {
    pub(crate) home: Home,
    pub(crate) paths: ClientPaths,
    pub(crate) aiw_entry: AiwEntry,
    /// The names that servers get in `mcp.json`, by those that they have in a client.
    pub(crate) renames: BTreeMap<String, String>,
}

/// The servers in a client's own file, as far as something may be wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCheck {
    /// The program that the client starts as aiw's server.
    pub aiw_command: Option<String>,
    /// The names of other servers with a key in clear.
    pub plaintext_key_servers: Vec<String>,
}

impl Setup {
    /// A setup for a home, the user's directories, and what is to be registered.
    pub fn new(home: Home, places: ClientPaths, ours: AiwEntry) -> Self {
        Self { home, paths: places, aiw_entry: ours, renames: BTreeMap::new() }
    }

    /// Gives servers other names in `mcp.json` than they have in a client.
    #[must_use]
    pub fn with_renames(self, renames: BTreeMap<String, String>) -> Self {
        Self { renames, ..self }
    }

    /// The file in which a client keeps its servers.
    pub fn file(&self, client: &SetupClient, scope: &SetupScope) -> Result<PathBuf, SetupError> {
        match scope {
            SetupScope::User => Ok((client.user_path)(&self.paths)),
            SetupScope::Project(root) => match client.project_path {
                Some(file) => Ok(root.join(file)),
                None => Err(SetupError::ProjectScopeUnsupported { name: client.name }),
            },
        }
    }

    /// The options with which a client starts aiw's server; none if aiw is not registered there.
    pub fn registered_options(
        &self,
        client: &SetupClient,
        scope: &SetupScope,
    ) -> Result<Option<Vec<String>>, SetupError> {
        let path = self.file(client, scope)?;
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let config = Config::parse(client.format, &scope.read(&path)?.unwrap_or_default()).map_err(invalid)?;
        let servers = config.servers(client.servers_key).map_err(invalid)?;
        Ok(servers.get(NAME).and_then(|entry| self.aiw_entry.parse_options(entry)))
    }

    /// Looks at the servers in a client's own file.
    pub fn check(&self, client: &SetupClient) -> Result<ClientCheck, SetupError> {
        let (scope, mut looked) =
            (SetupScope::User, ClientCheck { aiw_command: None, plaintext_key_servers: Vec::new() });
        let path = self.file(client, &scope)?;
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let config = Config::parse(client.format, &scope.read(&path)?.unwrap_or_default()).map_err(invalid)?;
        for (name, entry) in config.servers(client.servers_key).map_err(invalid)? {
            if name == NAME && self.aiw_entry.is_started_by(&entry) {
                let command = &entry["command"];
                looked.aiw_command = command.as_str().or_else(|| command[0].as_str()).map(str::to_owned);
            } else if entry.as_object().is_some_and(|entry| aiw_servers::find_plaintext_secret(entry).is_some()) {
                looked.plaintext_key_servers.push(name);
            }
        }
        Ok(looked)
    }

    /// Plans to register aiw in a client.
    pub fn plan(
        &self,
        client: &'static SetupClient,
        scope: &SetupScope,
        options: &SetupOptions,
    ) -> Result<SetupPlan, SetupError> {
        self.plan_after(client, scope, options, &[])
    }

    /// Plans as [`Self::plan`] does, once other plans are carried out: two clients may have different servers of one
    /// name.
    pub fn plan_after(
        &self,
        client: &'static SetupClient,
        scope: &SetupScope,
        options: &SetupOptions,
        before: &[SetupPlan],
    ) -> Result<SetupPlan, SetupError> {
        self.home.recover()?;
        let path = self.file(client, scope)?;
        let old = scope.read(&path)?;
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let mut config = Config::parse(client.format, old.as_deref().unwrap_or_default()).map_err(invalid)?;
        let servers = config.servers(client.servers_key).map_err(invalid)?;
        let mut plan = SetupPlan::new(client, scope, Some(*options), path.clone());
        let mut lines = Vec::new();
        let entry =
            self.entry(client, options, servers.get(NAME)).ok_or(SetupError::NameTaken { path: path.clone() })?;
        if servers.get(NAME) != Some(&Value::Object(entry.clone())) {
            config.set(client.servers_key, NAME, &entry).map_err(invalid)?;
            entry_lines(&format!("{}.{NAME}", client.servers_key), &Value::Object(entry), &mut lines);
        }
        if let Some(why) = (client.disabled_reason)(&config, NAME) {
            plan.notes.push(format!("{} will not start aiw: it {why}", client.name));
        }
        let mut imported = Vec::new();
        if options.import {
            let mcp = before.iter().flat_map(|plan| &plan.files).rfind(|file| file.role == Role::Mcp);
            let mcp = mcp.and_then(|file| file.new.as_deref());
            imported = self.import(client, &servers, &mut config, &mut lines, &mut plan, mcp)?;
        } else {
            let own = servers.values().filter(|entry| !self.aiw_entry.is_started_by(entry)).count();
            let (word, them) = if own == 1 { ("server", "it") } else { ("servers", "them") };
            let project = if *scope == SetupScope::User { "" } else { " --project" };
            let hint = format!(
                "it has {own} {word} of its own: `aiw setup {}{project} --import` puts {them} behind aiw",
                client.id
            );
            plan.notes.extend(Some(hint).filter(|_| own > 0));
        }
        if !lines.is_empty() {
            let is_shared = *scope != SetupScope::User;
            plan.files.push(FileChange {
                path,
                role: Role::Servers,
                old,
                new: Some(config.to_bytes()),
                lines,
                is_shared,
            });
        }
        if options.approve_calls {
            self.approve(client, scope, &mut plan)?;
        }
        if !plan.is_empty() {
            plan.notes.extend(client.project_note.filter(|_| *scope != SetupScope::User).map(str::to_owned));
            let asks = !options.approve_calls && !self.is_approved(client, scope, &config);
            plan.notes.extend(client.approval_note.filter(|_| asks).map(str::to_owned));
        }
        if !plan.is_empty() {
            plan.record_action = RecordAction::Write(self.record(&plan, imported)?);
            plan.mcp_record_action = self.mcp_record(&plan)?;
        }
        Ok(plan)
    }

    /// Our entry on top of one that is there: what the user added to it stays. None if that is another program's.
    fn entry(&self, client: &SetupClient, options: &SetupOptions, old: Option<&Value>) -> Option<Map<String, Value>> {
        let mut entry = (client.entry)(&self.aiw_entry);
        if let (AutoApprove::Field(field, value), true) = (&client.approval, options.approve_calls) {
            entry.insert((*field).to_owned(), value());
        }
        let Some(old) = old else {
            self.aiw_entry.set_toolsets(&mut entry, options.approve_calls);
            return Some(entry);
        };
        let mut merged = old.as_object().filter(|_| self.aiw_entry.is_started_by(old))?.clone();
        for group in ["env", "environment"] {
            // From an earlier setup.
            if !self.aiw_entry.env.contains_key("AIW_HOME")
                && let Some(Value::Object(env)) = merged.get_mut(group)
            {
                env.shift_remove("AIW_HOME");
                if env.is_empty() {
                    merged.shift_remove(group);
                }
            }
        }
        for (key, value) in entry {
            match (merged.get_mut(&key), value) {
                (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
                // `--profile NAME`, `--toolsets NAMES` and other arguments after ours.
                (Some(Value::Array(old)), Value::Array(new)) => {
                    let more = old.split_off(old.len().min(new.len()));
                    *old = [new, more].concat();
                }
                (_, value) => drop(merged.insert(key, value)),
            }
        }
        self.aiw_entry.set_toolsets(&mut merged, options.approve_calls);
        Some(merged)
    }

    /// The record of what the plan does, on top of what was done before.
    fn record(&self, plan: &SetupPlan, imported: Vec<ImportedServer>) -> Result<Record, SetupError> {
        let before = Record::load(&self.home, &stem(plan.client, &plan.scope))?;
        let mut record = before.unwrap_or_else(|| Record::new(plan.client.id, &plan.scope));
        record.add_changes(plan.files.iter().filter(|file| file.role != Role::Mcp));
        record.imported.retain(|old| !imported.iter().any(|new| new.name == old.name));
        record.imported.extend(imported);
        let new = plan.new_secrets.iter().map(|(name, _)| name);
        for name in new.chain(&plan.shared_secrets) {
            if !record.secrets.contains(name) {
                record.secrets.push(name.clone());
            }
        }
        Ok(record)
    }

    /// The record of `mcp.json` on top of what all clients and projects did to it.
    fn mcp_record(&self, plan: &SetupPlan) -> Result<RecordAction, SetupError> {
        let Some(file) = plan.files.iter().find(|file| file.role == Role::Mcp) else { return Ok(RecordAction::Keep) };
        let mut record =
            Record::load(&self.home, MCP_RECORD)?.unwrap_or_else(|| Record::new(MCP_RECORD, &SetupScope::User));
        record.add_changes([file]);
        Ok(RecordAction::Write(record))
    }

    /// Renews a plan after others were carried out, which may have changed `mcp.json` too.
    ///
    /// # Errors
    ///
    /// A file of the client's was changed since the plan was made.
    pub fn refresh_plan(&self, plan: &SetupPlan) -> Result<SetupPlan, SetupError> {
        let renewed = match &plan.options {
            Some(options) => self.plan(plan.client, &plan.scope, options)?,
            None => match self.plan_undo(plan.client, &plan.scope)? {
                Some(renewed) => renewed,
                None => return Err(SetupError::ConcurrentChange { path: plan.file.clone() }),
            },
        };
        // What is written comes from the bytes that were shown, not from those that a file had at another moment.
        let own = |plan: &SetupPlan| -> Vec<(PathBuf, Option<Vec<u8>>)> {
            let own = plan.files.iter().filter(|file| file.role != Role::Mcp);
            own.map(|file| (file.path.clone(), file.old.clone())).collect()
        };
        let (shown, now) = (own(plan), own(&renewed));
        let is_other = |file: &&(PathBuf, Option<Vec<u8>>)| !now.contains(file);
        if let Some((path, _)) = shown.iter().find(is_other).or_else(|| now.iter().find(|file| !shown.contains(file))) {
            return Err(SetupError::ConcurrentChange { path: path.clone() });
        }
        Ok(renewed)
    }

    /// Writes what was planned, unless a file was changed meanwhile.
    pub fn apply(&self, plan: &SetupPlan) -> Result<(), SetupError> {
        if plan.is_empty() && !matches!(plan.record_action, RecordAction::Remove(_)) {
            return Ok(());
        }
        let lock = self.home.lock()?;
        check_unchanged(&plan.files)?;
        let stem = stem(plan.client, &plan.scope);
        let records = [(&plan.record_action, stem.as_str()), (&plan.mcp_record_action, MCP_RECORD)];
        for (after, stem) in &records {
            if let RecordAction::Write(record) = after {
                record.save_with_backups(&self.home, stem, &plan.files)?;
            }
        }
        let vault = self.home.vault();
        let names: Vec<SecretName> = plan.new_secrets.iter().map(|(name, _)| name.clone()).collect();
        self.home.record_pending_secrets(&lock, &self.home.mcp_path(), &names)?;
        for (name, secret) in &plan.new_secrets {
            vault.set(&lock, name, secret)?;
        }
        for file in &plan.files {
            write(&self.home, &lock, file)?;
        }
        self.home.clear_pending_secrets(&lock, &names);
        for name in &plan.old_secrets {
            // One that is gone already is what was wanted.
            let _ = vault.remove(&lock, name);
        }
        for (after, stem) in &records {
            if let RecordAction::Remove(record) = after {
                record.clean_up(&self.home, stem)?;
            }
        }
        Ok(())
    }
}

/// Checks that files are as they were when changes to them were planned.
pub(crate) fn check_unchanged(files: &[FileChange]) -> Result<(), SetupError> {
    for file in files {
        let read = if file.is_shared { read_nofollow } else { read_capped };
        if read(&file.path, json::MAX_BYTES)? != file.old {
            return Err(SetupError::ConcurrentChange { path: file.path.clone() });
        }
    }
    Ok(())
}

pub(crate) fn write(home: &Home, lock: &Lock, file: &FileChange) -> Result<(), HomeError> {
    let failed = |action, e| HomeError::Io { action, path: file.path.clone(), source: e };
    match &file.new {
        Some(bytes) => {
            let missing = |path: &&Path| !path.exists();
            let made: Vec<_> = file.path.ancestors().skip(1).take_while(missing).map(Path::to_owned).collect();
            if let Some(parent) = file.path.parent() {
                fs::create_dir_all(parent).map_err(|e| failed("create the directory of", e))?;
            }
            made.iter().rev().try_for_each(|directory| inherit_owner(directory))?;
            home.replace_external(&file.path, bytes, if file.is_shared { Mode::Shared } else { Mode::Private })?;
            home.refresh_file_trust(lock, &file.path, file.old.as_deref(), bytes)
        }
        None => fs::remove_file(&file.path).map_err(|e| failed("remove", e)),
    }
}

/// The lines of an entry that is added: one, or one for each of its members if it is long.
fn entry_lines(path: &str, value: &Value, lines: &mut Vec<String>) {
    /// The longest line that is read at a glance.
    const MAX_SHORT_LINE_LEN: usize = 160;
    let line = format!("+ {path} = {value}");
    match value {
        Value::Object(members) if !members.is_empty() && line.len() > MAX_SHORT_LINE_LEN => {
            members.iter().for_each(|(name, value)| entry_lines(&format!("{path}.{name}"), value, lines));
        }
        _ => lines.push(line),
    }
}

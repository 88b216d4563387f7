//! Undoing a setup: the files as they were, or without what aiw added if others changed them since.

use std::collections::BTreeSet;
use std::path::Path;

use aiw_core::{Secret, SecretName};
use aiw_home::{Jsonc, json, read_capped};
use serde_json::Value;

use crate::SetupError;
use crate::clients::{AutoApprove, SetupClient, all};
use crate::config::Config;
use crate::ours::NAME;
use crate::plan::{FileChange, RecordAction, SetupPlan};
use crate::record::{ImportedServer, MCP_RECORD, Record, Role, TouchedFile, digest, stem};
use crate::scope::SetupScope;
use crate::setup::{SERVERS_KEY, Setup};

/// The new content of a file, none if it goes, and the lines that change.
type Changed = (Option<Vec<u8>>, Vec<String>);

impl Setup {
    /// The clients that aiw was registered in.
    pub fn registered_clients(&self, scope: &SetupScope) -> Result<Vec<&'static SetupClient>, SetupError> {
        let mut clients = Vec::new();
        for client in all() {
            if Record::load(&self.home, &stem(client, scope))?.is_some() {
                clients.push(*client);
            }
        }
        Ok(clients)
    }

    /// Plans to undo the setup of a client; none if aiw was not set up there.
    pub fn plan_undo(&self, client: &'static SetupClient, scope: &SetupScope) -> Result<Option<SetupPlan>, SetupError> {
        self.home.recover()?;
        let Some(record) = Record::load(&self.home, &stem(client, scope))? else { return Ok(None) };
        let others = Record::load_others(&self.home, &stem(client, scope))?;
        let mut plan = SetupPlan::new(client, scope, None, self.file(client, scope)?);
        for kept in &record.files {
            self.home.check_owner(&kept.path)?;
            kept.made.iter().try_for_each(|made| self.home.check_owner(made))?;
            let Some(now) = scope.read(&kept.path)? else {
                plan.notes.push(format!("`{}` is gone; there is nothing to undo in it", kept.path.display()));
                continue;
            };
            let digest = digest(&now);
            if kept.original.as_ref() == Some(&digest) {
                continue;
            }
            let (new, lines) = match kept.role {
                _ if kept.is_untouched(&digest) => self.as_before(kept)?,
                Role::Servers => self.without_ours(client, &record, kept, &now)?,
                // They have records of their own.
                Role::Mcp | Role::Hooks => (Some(now.clone()), Vec::new()),
                Role::Approval => self.without_approval(client, kept, &now)?,
            };
            if new.as_ref() != Some(&now) {
                let (role, path) = (kept.role, kept.path.clone());
                plan.files.push(FileChange { path, role, old: Some(now), new, lines, is_shared: false });
            }
        }
        let given = given_back(&record, &plan)?;
        self.undo_import(&record, &others, &given, &mut plan)?;
        // The client first: its servers are back before they go from mcp.json.
        plan.files.reverse();
        plan.files.sort_by_key(|file| file.role == Role::Mcp);
        self.drop_unused(&record, &mut plan)?;
        plan.record_action = RecordAction::Remove(record);
        Ok(Some(plan))
    }

    fn as_before(&self, kept: &TouchedFile) -> Result<Changed, SetupError> {
        Ok((Record::backup(&self.home, kept)?, vec!["as it was before".to_owned()]))
    }

    /// Takes what was given back to this client out of `mcp.json`. With the last import, the file is again what it was.
    fn undo_import(
        &self,
        record: &Record,
        others: &[Record],
        given: &BTreeSet<String>,
        plan: &mut SetupPlan,
    ) -> Result<(), SetupError> {
        let added = |record: &Record| record.imported.iter().any(|server| server.added.is_some());
        if !added(record) {
            return Ok(());
        }
        let is_last = !others.iter().any(added);
        let mut is_whole = true;
        for server in record.imported.iter().filter(|server| server.added.is_some() && !given.contains(&server.name)) {
            let name = aiw_core::one_line(&server.name, 60);
            plan.notes.push(format!("server `{name}` stays in mcp.json: it can't go back to {}", plan.client.name));
            is_whole = false;
        }
        let shared = Record::load(&self.home, MCP_RECORD)?;
        let path = self.home.mcp_path();
        let mut change = None;
        if let Some(now) = read_capped(&path, json::MAX_BYTES)? {
            let kept = shared.as_ref().and_then(|shared| shared.files.first());
            let unchanged = kept.filter(|kept| is_last && is_whole && kept.is_untouched(&digest(&now)));
            let (new, lines) = match unchanged {
                Some(kept) => self.as_before(kept)?,
                None => self.without_imported(record, &now, others, given)?,
            };
            if new.as_ref() != Some(&now) {
                change = Some(FileChange { path, role: Role::Mcp, old: Some(now), new, lines, is_shared: false });
            }
        }
        plan.mcp_record_action = match (shared, &change) {
            (Some(shared), _) if is_last => RecordAction::Remove(shared),
            (Some(mut shared), Some(change)) => {
                shared.add_changes([change]);
                RecordAction::Write(shared)
            }
            _ => RecordAction::Keep,
        };
        plan.files.extend(change);
        Ok(())
    }

    /// A client's file without our entry, and with the servers that were moved.
    fn without_ours(
        &self,
        client: &SetupClient,
        record: &Record,
        kept: &TouchedFile,
        now: &[u8],
    ) -> Result<Changed, SetupError> {
        let invalid = |problem: String| SetupError::Invalid { path: kept.path.clone(), problem };
        let mut config = Config::parse(client.format, now).map_err(invalid)?;
        let servers = config.servers(client.servers_key).map_err(invalid)?;
        let before = Record::backup(&self.home, kept)?;
        let before = Config::parse(client.format, before.as_deref().unwrap_or_default()).map_err(invalid)?;
        let before = before.servers(client.servers_key).map_err(invalid)?;
        let mut lines = Vec::new();
        for server in &record.imported {
            if let (None, Value::Object(entry)) = (servers.get(&server.name), &server.entry) {
                config.set(client.servers_key, &server.name, entry).map_err(invalid)?;
                lines.push(format!("+ {}.{}", client.servers_key, aiw_core::one_line(&server.name, 60)));
            }
        }
        if servers.get(NAME).is_some_and(|entry| self.aiw_entry.is_started_by(entry)) {
            config.remove(client.servers_key, NAME).map_err(invalid)?;
            lines.push(format!("- {}.{NAME}", client.servers_key));
            if before.is_empty() {
                config.remove_empty(client.servers_key).map_err(invalid)?;
            }
        }
        Ok((Some(config.to_bytes()), lines))
    }

    /// The other file of a client without our item.
    fn without_approval(&self, client: &SetupClient, kept: &TouchedFile, now: &[u8]) -> Result<Changed, SetupError> {
        let invalid = |problem: String| SetupError::Invalid { path: kept.path.clone(), problem };
        let AutoApprove::ListItem { list, item, .. } = &client.approval else {
            return Ok((Some(now.to_owned()), Vec::new()));
        };
        let before = Record::backup(&self.home, kept)?;
        let before = Jsonc::parse(before.as_deref().unwrap_or_default()).map_err(invalid)?;
        let mut settings = Jsonc::parse(now).map_err(invalid)?;
        settings.remove_item(list, &Value::from(*item)).map_err(invalid)?;
        for end in (1..=list.len()).rev() {
            let path = &list[..end];
            let is_empty = settings.get(path).is_some_and(|value| match value {
                Value::Array(items) => items.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            });
            if is_empty && before.get(path).is_none() {
                settings.remove(path).map_err(invalid)?;
            }
        }
        Ok((Some(settings.text().into_bytes()), vec![format!("- {}: \"{item}\"", list.join("."))]))
    }

    /// `mcp.json` without the servers that came from this client, unless they were edited or come from another too.
    fn without_imported(
        &self,
        record: &Record,
        now: &[u8],
        others: &[Record],
        given: &BTreeSet<String>,
    ) -> Result<Changed, SetupError> {
        let is_needed = |server: &ImportedServer| {
            let is_it = |other: &ImportedServer| other.target() == server.target();
            !given.contains(&server.name) || others.iter().any(|other| other.imported.iter().any(is_it))
        };
        let path = self.home.mcp_path();
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let mut mcp = Jsonc::parse(now).map_err(invalid)?;
        let mut lines = Vec::new();
        for server in record.imported.iter().filter(|server| !is_needed(server)) {
            let value = mcp.get(&[SERVERS_KEY, server.target()]).map(|value| digest(value.to_string().as_bytes()));
            if value.is_some() && value == server.added {
                mcp.remove(&[SERVERS_KEY, server.target()]).map_err(invalid)?;
                lines.push(format!("- {SERVERS_KEY}.{}", aiw_core::one_line(server.target(), 60)));
            }
        }
        Ok((Some(mcp.text().into_bytes()), lines))
    }

    /// Plans that stored secrets go that nothing names any more, and that are still what was stored.
    fn drop_unused(&self, record: &Record, plan: &mut SetupPlan) -> Result<(), SetupError> {
        if record.secrets.is_empty() {
            return Ok(());
        }
        let path = self.home.mcp_path();
        let text = planned(plan, &path)?;
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let mcp = Jsonc::parse(text.as_deref().unwrap_or_default()).map_err(invalid)?;
        let servers =
            mcp.get(&[SERVERS_KEY]).and_then(Value::as_object).into_iter().flat_map(|servers| servers.values());
        let named: BTreeSet<SecretName> = servers
            .filter_map(Value::as_object)
            .flat_map(|server| aiw_servers::referenced_names(server).secrets)
            .collect();
        let providers = self.home.providers()?;
        let vault = self.home.vault();
        for name in record.secrets.iter().filter(|name| !named.contains(name)) {
            let is_stored = |secret: Secret| record.imported.iter().any(|s| has_text(&s.entry, secret.expose()));
            let is_changed = vault.get(name).is_ok_and(|secret| !is_stored(secret));
            if let Some(provider) = providers.providers_using(name).next() {
                plan.notes
                    .push(format!("secret `{name}` stays in the vault: the provider `{}` uses it", provider.name));
            } else if is_changed {
                plan.notes.push(format!("secret `{name}` stays in the vault: it has changed since"));
            } else {
                plan.old_secrets.push(name.clone());
            }
        }
        Ok(())
    }
}

/// Returns the planned content of a file; none if it won't be there.
fn planned(plan: &SetupPlan, path: &Path) -> Result<Option<Vec<u8>>, SetupError> {
    match plan.files.iter().find(|file| file.path == path) {
        Some(file) => Ok(file.new.clone()),
        None => Ok(read_capped(path, json::MAX_BYTES)?),
    }
}

/// The servers that were moved and are in the client's file again, as they were. One is not if the file is gone, or has
/// another one of that name by now.
fn given_back(record: &Record, plan: &SetupPlan) -> Result<BTreeSet<String>, SetupError> {
    let Some(kept) = record.files.iter().find(|kept| kept.role == Role::Servers) else { return Ok(BTreeSet::new()) };
    let text = planned(plan, &kept.path)?;
    let invalid = |problem: String| SetupError::Invalid { path: kept.path.clone(), problem };
    let config = Config::parse(plan.client.format, text.as_deref().unwrap_or_default()).map_err(invalid)?;
    let servers = config.servers(plan.client.servers_key).map_err(invalid)?;
    let is_back = |server: &&ImportedServer| servers.get(&server.name) == Some(&server.entry);
    Ok(record.imported.iter().filter(is_back).map(|server| server.name.clone()).collect())
}

/// Whether a text of a value contains another.
fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(whole) => whole.contains(text),
        Value::Array(items) => items.iter().any(|item| has_text(item, text)),
        Value::Object(fields) => fields.values().any(|field| has_text(field, text)),
        _ => false,
    }
}

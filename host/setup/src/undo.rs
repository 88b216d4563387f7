//! Undoing a setup: the files as they were, or without what aiw added if others changed them since.

use aiw_home::{Jsonc, json, read_capped};
use serde_json::Value;

use crate::SetupError;
use crate::clients::{Approval, Client, all};
use crate::config::Config;
use crate::ours::NAME;
use crate::plan::{After, FileChange, Plan};
use crate::record::{Kept, Record, Role, digest, stem};
use crate::scope::Scope;
use crate::setup::{SERVERS, Setup};

impl Setup {
    /// The clients that aiw was registered in.
    pub fn recorded(&self, scope: &Scope) -> Result<Vec<&'static Client>, SetupError> {
        let mut clients = Vec::new();
        for client in all() {
            if Record::load(&self.home, &stem(client, scope))?.is_some() {
                clients.push(*client);
            }
        }
        Ok(clients)
    }

    /// What undoing the setup of a client would change; none if aiw was not set up there.
    pub fn plan_undo(&self, client: &'static Client, scope: &Scope) -> Result<Option<Plan>, SetupError> {
        self.home.recover()?;
        let Some(record) = Record::load(&self.home, &stem(client, scope))? else { return Ok(None) };
        let others = Record::others(&self.home, &stem(client, scope))?;
        let mut plan = Plan::new(client, scope, None, self.file(client, scope)?);
        let is_needed = |name: &str| others.iter().any(|other| other.imported.iter().any(|i| i.name == name));
        for kept in &record.files {
            let Some(now) = read_capped(&kept.path, json::MAX_BYTES)? else {
                plan.notes.push(format!("`{}` is gone; there is nothing to undo in it", kept.path.display()));
                continue;
            };
            let digest = Some(digest(&now));
            if digest == kept.original {
                continue;
            }
            let is_needed_mcp = kept.role == Role::Mcp && record.imported.iter().any(|server| is_needed(&server.name));
            let (new, lines) = match kept.role {
                _ if digest == kept.written && !is_needed_mcp => {
                    (Record::backup(&self.home, kept)?, vec!["as it was before".to_owned()])
                }
                Role::Mcp => self.without_imported(&record, &now, &is_needed)?,
                Role::Servers => self.without_ours(client, &record, kept, &now)?,
                // They have records of their own.
                Role::Hooks => (Some(now.clone()), Vec::new()),
                Role::Approval => self.without_approval(client, kept, &now)?,
            };
            if new.as_ref() != Some(&now) {
                let (role, path) = (kept.role, kept.path.clone());
                plan.files.push(FileChange { path, role, old: Some(now), new, lines, is_shared: false });
            }
        }
        // It was another client's setup that wrote what came from both.
        let path = self.home.mcp_path();
        if !record.files.iter().any(|kept| kept.role == Role::Mcp)
            && record.imported.iter().any(|server| server.added.is_some())
            && let Some(now) = read_capped(&path, json::MAX_BYTES)?
        {
            let (new, lines) = self.without_imported(&record, &now, &is_needed)?;
            if new.as_ref() != Some(&now) {
                plan.files.push(FileChange { path, role: Role::Mcp, old: Some(now), new, lines, is_shared: false });
            }
        }
        // The client first: its servers are back before they go from mcp.json.
        plan.files.reverse();
        plan.files.sort_by_key(|file| file.role == Role::Mcp);
        plan.old_secrets = self.unused(&record, &plan)?;
        plan.after = After::Remove(record);
        Ok(Some(plan))
    }

    /// A client's file without our entry, and with the servers that were moved.
    fn without_ours(
        &self,
        client: &Client,
        record: &Record,
        kept: &Kept,
        now: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<String>), SetupError> {
        let invalid = |problem: String| SetupError::Invalid { path: kept.path.clone(), problem };
        let mut config = Config::parse(client.format, now).map_err(invalid)?;
        let servers = config.servers(client.servers).map_err(invalid)?;
        let before = Record::backup(&self.home, kept)?;
        let before = Config::parse(client.format, before.as_deref().unwrap_or_default()).map_err(invalid)?;
        let before = before.servers(client.servers).map_err(invalid)?;
        let mut lines = Vec::new();
        for server in &record.imported {
            if let (None, Some(Value::Object(entry))) = (servers.get(&server.name), before.get(&server.name)) {
                config.set(client.servers, &server.name, entry).map_err(invalid)?;
                lines.push(format!("+ {}.{}", client.servers, aiw_core::one_line(&server.name, 60)));
            }
        }
        if servers.get(NAME).is_some_and(|entry| self.ours.is_started_by(entry)) {
            config.remove(client.servers, NAME).map_err(invalid)?;
            lines.push(format!("- {}.{NAME}", client.servers));
            if before.is_empty() {
                config.remove_empty(client.servers).map_err(invalid)?;
            }
        }
        Ok((Some(config.bytes()), lines))
    }

    /// The other file of a client without our item.
    fn without_approval(
        &self,
        client: &Client,
        kept: &Kept,
        now: &[u8],
    ) -> Result<(Option<Vec<u8>>, Vec<String>), SetupError> {
        let invalid = |problem: String| SetupError::Invalid { path: kept.path.clone(), problem };
        let Approval::Item { list, item, .. } = &client.approval else { return Ok((Some(now.to_owned()), Vec::new())) };
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
        Ok((Some(settings.bytes()), vec![format!("- {}: \"{item}\"", list.join("."))]))
    }

    /// `mcp.json` without the servers that came from this client, unless they were edited or come from another too.
    fn without_imported(
        &self,
        record: &Record,
        now: &[u8],
        is_needed: &dyn Fn(&str) -> bool,
    ) -> Result<(Option<Vec<u8>>, Vec<String>), SetupError> {
        let path = self.home.mcp_path();
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let mut mcp = Jsonc::parse(now).map_err(invalid)?;
        let mut lines = Vec::new();
        for server in record.imported.iter().filter(|server| !is_needed(&server.name)) {
            let value = mcp.get(&[SERVERS, &server.name]).map(|value| digest(value.to_string().as_bytes()));
            if value.is_some() && value == server.added {
                mcp.remove(&[SERVERS, &server.name]).map_err(invalid)?;
                lines.push(format!("- {SERVERS}.{}", aiw_core::one_line(&server.name, 60)));
            }
        }
        Ok((Some(mcp.bytes()), lines))
    }

    /// The stored secrets that nothing in `mcp.json` names any more.
    fn unused(&self, record: &Record, plan: &Plan) -> Result<Vec<aiw_core::SecretName>, SetupError> {
        let path = self.home.mcp_path();
        let text = match plan.files.iter().find(|file| file.role == Role::Mcp) {
            Some(file) => file.new.clone(),
            None => read_capped(&path, json::MAX_BYTES)?,
        };
        let text = String::from_utf8_lossy(text.as_deref().unwrap_or_default()).into_owned();
        let is_unused = |name: &&aiw_core::SecretName| !text.contains(&aiw_servers::secret_reference(name));
        Ok(record.secrets.iter().filter(is_unused).cloned().collect())
    }
}

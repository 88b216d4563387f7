//! Telling a client not to ask before aiw's tools are called.

use std::path::PathBuf;

use aiw_home::Jsonc;
use serde_json::Value;

use crate::SetupError;
use crate::clients::{AutoApprove, SetupClient};
use crate::config::Config;
use crate::ours::NAME;
use crate::plan::{FileChange, SetupPlan};
use crate::record::Role;
use crate::scope::SetupScope;
use crate::setup::Setup;

impl Setup {
    /// Tells the client in another file not to ask.
    pub(crate) fn approve(
        &self,
        client: &SetupClient,
        scope: &SetupScope,
        plan: &mut SetupPlan,
    ) -> Result<(), SetupError> {
        let AutoApprove::ListItem { list, item, .. } = &client.approval else {
            if !client.can_approve() {
                plan.notes
                    .push(format!("{} has no setting for this: it asks, and you can tell it to stop", client.name));
            }
            return Ok(());
        };
        let Some(path) = self.approval_file(client, scope) else { return Ok(()) };
        let invalid = |problem: String| SetupError::Invalid { path: path.clone(), problem };
        let old = scope.read(&path)?;
        let mut settings = Jsonc::parse(old.as_deref().unwrap_or_default()).map_err(invalid)?;
        settings.append(list, &Value::from(*item)).map_err(invalid)?;
        let new = settings.text().into_bytes();
        if old.as_ref() != Some(&new) {
            let lines = vec![format!("+ {}: \"{item}\"", list.join("."))];
            let is_shared = *scope != SetupScope::User;
            plan.files.push(FileChange { path, role: Role::Approval, old, new: Some(new), lines, is_shared });
        }
        Ok(())
    }

    /// Whether the client was told before not to ask.
    pub(crate) fn is_approved(&self, client: &SetupClient, scope: &SetupScope, config: &Config) -> bool {
        match &client.approval {
            AutoApprove::None => false,
            AutoApprove::Field(field, value) => {
                let servers = config.servers(client.servers_key).unwrap_or_default();
                servers.get(NAME).and_then(|entry| entry.get(*field)) == Some(&value())
            }
            AutoApprove::ListItem { list, item, .. } => {
                let bytes = self.approval_file(client, scope).and_then(|path| scope.read(&path).ok()?);
                let settings = Jsonc::parse(&bytes.unwrap_or_default()).ok();
                let items = settings.as_ref().and_then(|settings| settings.get(list)?.as_array());
                items.is_some_and(|items| items.iter().any(|other| other == item))
            }
        }
    }

    /// The other file in which a client is told not to ask.
    fn approval_file(&self, client: &SetupClient, scope: &SetupScope) -> Option<PathBuf> {
        match (&client.approval, scope) {
            (AutoApprove::ListItem { user, .. }, SetupScope::User) => Some(user(&self.paths)),
            (AutoApprove::ListItem { project, .. }, SetupScope::Project(root)) => Some(root.join(project)),
            _ => None,
        }
    }
}

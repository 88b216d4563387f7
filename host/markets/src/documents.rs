//! The three documents that an install changes, written as one.

use std::collections::BTreeMap;

use aiw_core::PluginId;
use aiw_home::{AddedServer, Home, Lock, Plugins, ServerKey, Settings};
use aiw_servers::{
    KeyClaim, McpFile, OwnedKey, RefreshOutcome, ReleaseOutcome, Transport, Values, referenced_names, sanitize_name,
    unique_key,
};

use crate::error::MarketError;
use crate::values::{InstallAnswers, OnConflict};

/// The three documents that an install changes.
pub(crate) struct InstallDocuments {
    /// Claims that aren't recorded yet: those of the plugin being changed.
    claims: BTreeMap<(PluginId, String), KeyClaim>,
    pub(crate) plugins: Plugins,
    pub(crate) mcp: McpFile,
    pub(crate) settings: Settings,
}

impl InstallDocuments {
    pub(crate) fn load(home: &Home) -> Result<Self, MarketError> {
        let (mcp, plugins, settings) = (McpFile::load(home)?, home.plugins()?, home.settings()?);
        Ok(Self { claims: BTreeMap::new(), plugins, mcp, settings })
    }

    pub(crate) fn commit(&self, home: &Home, lock: &Lock) -> Result<(), MarketError> {
        // mcp.json first: whether it was reached decides what a leftover journal means.
        Ok(home.commit(lock, &[self.mcp.document(), self.plugins.document(), self.settings.document()])?)
    }

    /// A key with everything known about it.
    pub(crate) fn key(&self, key: &str) -> Result<OwnedKey, MarketError> {
        let known = self.plugins.key(key);
        let mut owners = Vec::new();
        for id in known.owners {
            let recorded = || {
                let server = self.plugins.get(&id).ok()??.servers.into_iter().find(|s| s.key == *key)?;
                Some(key_claim(&id, &server))
            };
            let claim = self.claims.get(&(id.clone(), key.to_owned())).cloned().or_else(recorded);
            // Never drop an owner silently, whatever its record says.
            owners.push(claim.unwrap_or_else(|| KeyClaim::without_record(&id, known.written.clone())));
        }
        let current = self.mcp.get(key).cloned();
        Ok(OwnedKey { owners, last_written: known.written, original: known.original, current })
    }

    /// Whether a plugin owns a key that has an entry.
    pub(crate) fn has_owned_entry(&self, id: &PluginId, key: &str) -> bool {
        self.mcp.get(key).is_some() && self.plugins.key(key).owners.contains(id)
    }

    fn set_key(&mut self, name: &str, key: OwnedKey) -> Result<(), MarketError> {
        self.mcp.put(name, key.current.as_ref())?;
        for owner in &key.owners {
            self.claims.insert((owner.plugin.clone(), name.to_owned()), owner.clone());
        }
        let owners = key.owners.into_iter().map(|owner| owner.plugin).collect();
        Ok(self.plugins.set_key(name, &ServerKey { owners, written: key.last_written, original: key.original })?)
    }

    pub(crate) fn release(&mut self, id: &PluginId, server: &AddedServer) -> Result<ReleaseOutcome, MarketError> {
        let mut key = self.key(&server.key)?;
        let released = key.release(id);
        self.set_key(&server.key, key)?;
        Ok(released)
    }

    /// Gives a server its key, or another one, or none, as the user answered.
    pub(crate) fn assign_key(
        &mut self,
        server: &mut AddedServer,
        claim: KeyClaim,
        answers: &InstallAnswers,
        repair: bool,
        reserved: &[String],
        notes: &mut Vec<String>,
    ) -> Result<(), MarketError> {
        let mut key = self.key(&server.key)?;
        let id = claim.plugin.clone();
        if std::mem::take(&mut server.is_user_owned) && key.owners.is_empty() && key.current.is_some() {
            notes.extend(describe_release(&ReleaseOutcome::UserOwned, &server.key));
            key.adopt(claim);
            return self.set_key(&server.key, key);
        }
        let Some(clash) = key.conflicting_owner(&claim) else {
            server.skipped = false;
            if key.has_owner(&id) {
                match key.refresh(claim, repair) {
                    RefreshOutcome::Updated => {}
                    RefreshOutcome::UserModified => {
                        notes.extend(describe_release(&ReleaseOutcome::UserOwned, &server.key))
                    }
                    RefreshOutcome::ReplacedOlder(other) => {
                        notes
                            .push(format!("server `{}` is now as {id} has it; `{other}` has an older one", server.key));
                    }
                    RefreshOutcome::UserRemoved => notes.push(format!(
                        "server `{}` stays out of mcp.json, as you removed it: `aiw plugin install {id}` puts it back",
                        server.key
                    )),
                }
            } else {
                key.claim(claim, false);
            }
            return self.set_key(&server.key, key);
        };
        let answer = answers.conflicts.get(&server.key).copied().or(answers.on_conflict);
        let Some(answer) = answer else {
            return Err(MarketError::KeyConflict { key: server.key.clone(), owner: clash.to_string() });
        };
        server.skipped = answer == OnConflict::Skip;
        if answer == OnConflict::Overwrite {
            notes.push(format!("server `{}` replaces {clash}", server.key));
            key.claim(claim, true);
            return self.set_key(&server.key, key);
        }
        key.release(&id);
        self.set_key(&server.key, key)?;
        if answer == OnConflict::Skip {
            notes.push(format!("server `{}` is left out: {clash} has the name", server.key));
            return Ok(());
        }
        let wanted = sanitize_name(&format!("{}-{}", id.name, server.name));
        let taken = |key: &str| {
            reserved.iter().any(|other| other == key)
                || self.mcp.get(key).is_some()
                || !self.plugins.key(key).owners.is_empty()
        };
        let renamed = unique_key(&wanted, taken);
        notes.push(format!("server `{}` is added as `{renamed}`: {clash} has the name", server.key));
        let mut key = self.key(&renamed)?;
        key.claim(claim, false);
        self.set_key(&renamed, key)?;
        server.key = renamed;
        Ok(())
    }

    /// Removes unused trees: no plugin uses them, and no entry of mcp.json (the user may have kept one that names a
    /// tree). This includes trees of installs that were killed or hit a full disk. Reports what can't be removed: the
    /// change itself is done.
    pub(crate) fn drop_trees(&self, home: &Home, _lock: &Lock) -> Vec<String> {
        let Ok(installed) = self.plugins.all() else { return Vec::new() };
        let mcp = self.mcp.document().text();
        let mut notes = Vec::new();
        for dir in aiw_home::read_dir(&home.trees()).into_iter().flatten().flatten() {
            let Ok(digest) = dir.file_name().into_string() else { continue };
            // Leave alone anything with another kind of name.
            let ours = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            let used = installed.iter().any(|(_, plugin)| plugin.digest == digest);
            if ours
                && !used
                && !mcp.contains(&digest)
                && let Err(e) = aiw_home::remove_tree(&home.tree(&digest))
            {
                notes.push(format!("an unused plugin directory stays: {e}"));
            }
        }
        notes
    }
}

/// A sentence about what stays.
pub(crate) fn describe_release(released: &ReleaseOutcome, key: &str) -> Option<String> {
    match released {
        ReleaseOutcome::Deleted => None,
        ReleaseOutcome::Restored => Some(format!("server `{key}` in mcp.json is your own again")),
        ReleaseOutcome::UserOwned => Some(format!("server `{key}` stays in mcp.json: it was changed by hand")),
        ReleaseOutcome::Shared(other) => Some(format!("server `{key}` stays in mcp.json: `{other}` has it as well")),
        ReleaseOutcome::ReturnedTo(other) => Some(format!("server `{key}` in mcp.json is the one of `{other}` again")),
        ReleaseOutcome::QueuedBehind(other) => {
            Some(format!("server `{key}` in mcp.json is the one of `{other}`, and stays"))
        }
    }
}

/// The claim of a recorded server.
pub(crate) fn key_claim(id: &PluginId, server: &AddedServer) -> KeyClaim {
    let declaration = server.declaration.as_object().cloned().unwrap_or_default();
    // Everything but a process is written with a type.
    let transport = server.written.as_object().and_then(|written| Transport::from_declaration(written).ok());
    KeyClaim {
        plugin: id.clone(),
        has_plugin_paths: referenced_names(&declaration).has_plugin_paths,
        plain_entry: Values::default().plain_entry(&declaration, transport.unwrap_or(Transport::Stdio)),
        declaration: server.declaration.clone(),
        entry: server.written.clone(),
    }
}

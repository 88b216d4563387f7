//! What an update would do to an installed plugin, and which changes need the user's agreement.

use futures::future::BoxFuture;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aiw_core::{PluginId, RelPath, to_visible_line};
use aiw_home::InstalledPlugin;
use aiw_net::Tree;
use serde_json::Value;

use crate::context::Markets;
use crate::error::MarketError;
use crate::plan::{InstallPlan, defaults, merge_values};
use crate::source::PluginSource;
use crate::values::InstallAnswers;
use aiw_servers::{referenced_names, visible_json};

/// The plan of an update.
pub struct UpdateCheck {
    /// The new version, ready to install.
    pub plan: InstallPlan,
    /// The installed version.
    pub installed_version: String,
    /// Changes to the servers, a few words each; they need the user's agreement.
    pub changes: Vec<String>,
    /// Changed files, if a server runs from the plugin's own tree.
    pub changed_files: usize,
}

impl Markets {
    /// Plans an update of an installed plugin; `None` if it is up to date and the answers change none of its values.
    pub fn check_update<'a>(
        &'a self,
        id: &'a PluginId,
        answers: &'a InstallAnswers,
    ) -> BoxFuture<'a, Result<Option<UpdateCheck>, MarketError>> {
        Box::pin(async move {
            let record =
                self.home.plugins()?.get(id)?.ok_or_else(|| MarketError::NotInstalled { name: id.to_string() })?;
            let found = self.find(&id.to_string())?;
            if found.id().as_ref() != Some(id) {
                return Err(MarketError::Unusable {
                    name: id.to_string(),
                    problem: format!("is now called `{}`", found.listing_entry.entry.name),
                    hint: Some(format!("install `{}`, then remove `{id}`", found.display_id())),
                });
            }
            // A pinned commit that has not moved needs no check.
            if let Ok(usable) = &found.listing_entry.entry.content
                && let PluginSource::Git { sha: Some(sha), .. } = &usable.source
                && record.commit.as_ref() == Some(sha)
                && found.listing_entry.version().is_none_or(|version| version == record.version)
                && answers.has_no_values()
            {
                return Ok(None);
            }
            let plan = self.plan_match(&found).await?;
            let moved = plan.version != record.version || plan.commit != record.commit;
            let changes = changes(&record, &plan);
            // A commit elsewhere in the marketplace doesn't affect this plugin.
            let same = plan.digest == record.digest && plan.version == record.version && changes.is_empty();
            let is_current = same || (!moved && plan.commit.is_some());
            if is_current && merge_values(&plan, Some(&record), answers, &self.home.vault()).values == record.values {
                return Ok(None);
            }
            let own_tree = plan.servers.iter().any(|server| server.placeholders.has_plugin_paths);
            let changed_files = if own_tree { self.changed_files(&record.digest, &plan).await? } else { 0 };
            Ok(Some(UpdateCheck { plan, installed_version: record.version, changes, changed_files }))
        })
    }

    async fn installed_tree(&self, path: PathBuf) -> Result<Tree, MarketError> {
        let mut policy = aiw_net::Policy::none();
        policy.directories.push(path.clone());
        Ok(self.trees.open_directory(&policy, &path).await?)
    }

    /// Files that differ between the installed tree and a plan's.
    async fn changed_files(&self, digest: &str, plan: &InstallPlan) -> Result<usize, MarketError> {
        let read = async |path: PathBuf| -> Result<BTreeMap<RelPath, Vec<u8>>, MarketError> {
            let tree = self.installed_tree(path).await?;
            let mut files = BTreeMap::new();
            for item in tree.walk()? {
                if item.kind == aiw_net::ItemKind::File {
                    use sha2::Digest;
                    let content = tree.read(&item.path, u64::MAX)?;
                    files.insert(item.path, sha2::Sha256::digest(&content).to_vec());
                }
            }
            Ok(files)
        };
        let old = read(self.home.tree(digest)).await.unwrap_or_default();
        let new = read(plan.staging_dir.path().to_owned()).await?;
        let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        Ok(paths.into_iter().filter(|path| old.get(*path) != new.get(*path)).count())
    }
}

impl InstallPlan {
    /// Returns its changes compared with the installed version, a few words each.
    pub fn changes(&self) -> Vec<String> {
        self.installed.as_ref().map(|present| changes(present, self)).unwrap_or_default()
    }
}

/// Returns the changes of an update to the declarations, before substitution, a few words each.
fn changes(old: &InstalledPlugin, new: &InstallPlan) -> Vec<String> {
    let mut changes = Vec::new();
    for server in &new.servers {
        let shown = aiw_core::one_line(&server.name, 60);
        match old.servers.iter().find(|o| o.name == server.name) {
            None => changes.push(format!("new server {}", server.describe().join("; "))),
            Some(old) => {
                let before = old.declaration.as_object().cloned().unwrap_or_default();
                let keys: BTreeSet<&String> = before.keys().chain(server.declaration.keys()).collect();
                for key in keys.into_iter().filter(|key| before.get(*key) != server.declaration.get(*key)) {
                    let text = |value: Option<&Value>| value.map_or_else(|| "nothing".into(), visible_json);
                    let (before, after) = (text(before.get(key)), text(server.declaration.get(key)));
                    changes
                        .push(format!("server `{shown}`, `{}`: {before} becomes {after}", aiw_core::one_line(key, 60)));
                }
            }
        }
    }
    let after = defaults(&new.servers, &new.options);
    let names: BTreeSet<&String> = old.defaults.keys().chain(after.keys()).collect();
    // What the user gave wins over the default.
    for name in
        names.into_iter().filter(|name| old.defaults.get(*name) != after.get(*name) && !old.values.contains_key(*name))
    {
        let known = old.servers.iter().any(|server| {
            server
                .declaration
                .as_object()
                .is_some_and(|declaration| referenced_names(declaration).options.contains(name))
        });
        if known {
            let text = |value: Option<&String>| value.map_or_else(|| "nothing".into(), |v| to_visible_line(v));
            let (before, after) = (text(old.defaults.get(name)), text(after.get(name)));
            changes.push(format!(
                "the default of the option `{}`: {before} becomes {after}",
                aiw_core::one_line(name, 60)
            ));
        }
    }
    changes
}

//! Installing, enabling, disabling and removing plugins. None of this ever runs a plugin's code.
//!
//! Three steps: [`Markets::plan`] fetches and reads without the lock, the user reviews and answers,
//! [`Markets::install`] commits under the lock, all of it or nothing.

use futures::future::BoxFuture;
use std::path::PathBuf;

use aiw_core::{PluginId, SecretName};
use aiw_home::{AddedServer, InstalledPlugin, Lock, run_blocking};
use aiw_servers::{ReleaseOutcome, Values};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::Markets;
use crate::documents::{InstallDocuments, describe_release, key_claim};
use crate::error::MarketError;
use crate::needs::MissingValue;
use crate::plan::{
    InstallPlan, MergedValues, defaults, merge_values, missing_plan_values, option_values, unused_answers,
    variable_values,
};
use crate::values::InstallAnswers;

/// A plugin that was installed.
#[derive(Debug)]
pub struct PluginInstallation {
    /// Its id.
    pub id: PluginId,
    /// Its record.
    pub record: InstalledPlugin,
    /// The variables and secrets that its servers still need from the environment.
    pub missing: Vec<MissingValue>,
    /// Differences from the plan, one sentence each.
    pub notes: Vec<String>,
    /// Whether it was already installed, unchanged.
    pub unchanged: bool,
}

/// A plugin that was removed.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RemovedPlugin {
    /// Its id
    #[schemars(with = "String")]
    pub id: PluginId,
    /// The keys that were removed from mcp.json
    pub servers: Vec<String>,
    /// The servers and files that stay and why, one sentence each
    pub notes: Vec<String>,
}

/// A plugin that was enabled or disabled.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SwitchedPlugin {
    /// Its id
    #[schemars(with = "String")]
    pub id: PluginId,
    /// Whether it is enabled now
    pub enabled: bool,
    /// Whether that is a change
    pub changed: bool,
    /// The keys that were added to mcp.json or removed from it
    pub servers: Vec<String>,
    /// The servers and files that stay and why, one sentence each
    pub notes: Vec<String>,
}

impl Markets {
    /// Installs a plan that the user has seen. Puts back entries that the user had removed.
    pub fn install(
        &self,
        plan: InstallPlan,
        answers: InstallAnswers,
    ) -> BoxFuture<'_, Result<PluginInstallation, MarketError>> {
        Box::pin(async move { self.commit(move |markets| markets.apply(plan, &answers, true)).await })
    }

    /// Updates to a plan whose changes the user has agreed to. Entries that the user removed stay removed.
    pub fn update_to(
        &self,
        plan: InstallPlan,
        answers: InstallAnswers,
    ) -> BoxFuture<'_, Result<PluginInstallation, MarketError>> {
        Box::pin(async move { self.commit(move |markets| markets.apply(plan, &answers, false)).await })
    }

    /// Changes documents under the lock, where waiting for it holds up nothing else.
    pub(crate) async fn commit<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Self) -> Result<T, MarketError> + Send + 'static,
    ) -> Result<T, MarketError> {
        let markets = self.clone();
        run_blocking(move || change(&markets)).await
    }

    // Long: one change under one lock.
    fn apply(
        &self,
        plan: InstallPlan,
        answers: &InstallAnswers,
        repair: bool,
    ) -> Result<PluginInstallation, MarketError> {
        let lock = self.home.lock()?;
        let mut documents = InstallDocuments::load(&self.home)?;
        let present = documents.plugins.get(&plan.id)?;
        let vault = self.home.vault();
        let merged = merge_values(&plan, present.as_ref(), answers, &vault);
        let missing = missing_plan_values(&plan, &merged, &self.home);
        let MergedValues { values, secrets } = merged;
        let mut notes = unused_answers(&plan, answers);
        // Another process may have done the same in the meantime.
        let as_planned =
            |p: &InstalledPlugin| p.digest == plan.digest && p.version == plan.version && p.commit == plan.commit;
        if let Some(present) = &present
            && (plan.unchanged || (plan.installed.as_ref() != Some(present) && as_planned(present)))
            && values == present.values
            && !(answers.on_conflict.is_some() && present.servers.iter().any(|server| server.skipped))
        {
            if !present.enabled {
                notes.push(disabled(&plan.id));
            }
            return Ok(PluginInstallation { id: plan.id, record: present.clone(), missing, notes, unchanged: true });
        }
        // If it did something else, the user did not review that here.
        if present != plan.installed {
            return Err(MarketError::ConcurrentChange { what: format!("plugin `{}`", plan.id) });
        }
        let data = self.home.plugin_data(&plan.id);
        let substitution = Values {
            root: path_text(self.home.tree(&plan.digest))?,
            data: path_text(data.clone())?,
            variables: variable_values(&values),
            options: option_values(&plan, &values),
        };
        let enabled = present.as_ref().is_none_or(|p| p.enabled);
        let before: Vec<AddedServer> = present.as_ref().map(|p| p.servers.clone()).unwrap_or_default();
        for old in before.iter().filter(|old| !plan.servers.iter().any(|new| new.name == old.name)) {
            notes.extend(describe_release(&documents.release(&plan.id, old)?, &old.key));
        }
        let reserved: Vec<String> = plan.servers.iter().map(|server| server.key.clone()).collect();
        let mut added = Vec::new();
        for server in &plan.servers {
            let written = substitution.resolve(&server.declaration, server.transport);
            let claim = server.claim(&plan.id, written.clone());
            let mut record = AddedServer {
                name: server.name.clone(),
                key: server.key.clone(),
                declaration: claim.declaration.clone(),
                written,
                skipped: server.skipped,
                is_user_owned: before.iter().any(|old| old.name == server.name && old.is_user_owned),
            };
            let decided = answers.on_conflict.is_some() || answers.conflicts.contains_key(&server.key);
            if enabled && (!record.skipped || decided) {
                documents.assign_key(&mut record, claim, answers, repair, &reserved, &mut notes)?;
            }
            added.push(record);
        }
        if !enabled {
            notes.push(disabled(&plan.id));
        } else if added.iter().all(|server| server.skipped) {
            notes.push("all its servers are left out".into());
        }
        let record = InstalledPlugin {
            version: plan.version.clone(),
            commit: plan.commit.clone(),
            digest: plan.digest.clone(),
            installed_at: aiw_home::now_rfc3339(),
            enabled,
            source: plan.source.clone(),
            servers: added,
            defaults: defaults(&plan.servers, &plan.options),
            values: values.clone(),
        };
        documents.plugins.set(&plan.id, &record)?;
        documents.settings.set_plugin(&plan.id, Some(enabled))?;
        let id = plan.id.clone();
        aiw_home::publish_dir(plan.staging_dir.path(), &self.home.tree(&plan.digest))?;
        self.home.make_dir(&data)?;
        let names: Vec<SecretName> = secrets.iter().map(|(name, _)| name.clone()).collect();
        self.home.record_pending_secrets(&lock, documents.plugins.document().path(), &names)?;
        secrets.iter().try_for_each(|(name, secret)| vault.set(&lock, name, secret))?;
        documents.commit(&self.home, &lock)?;
        self.home.clear_pending_secrets(&lock, &names);
        notes.extend(documents.drop_trees(&self.home, &lock));
        self.home.sweep(&lock);
        Ok(PluginInstallation { id, record, missing, notes, unchanged: false })
    }

    /// Removes an installed plugin: exactly what it added.
    pub fn uninstall<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<RemovedPlugin, MarketError>> {
        Box::pin(async move {
            let name = name.to_owned();
            self.commit(move |markets| markets.take_out(&name)).await
        })
    }

    fn take_out(&self, name: &str) -> Result<RemovedPlugin, MarketError> {
        let lock = self.home.lock()?;
        let id = self.find_installed(name)?;
        let mut documents = InstallDocuments::load(&self.home)?;
        let record = documents.plugins.get(&id)?.ok_or_else(|| MarketError::NotInstalled { name: name.to_owned() })?;
        let (mut notes, mut servers) = (Vec::new(), Vec::new());
        for server in &record.servers {
            let stood = documents.has_owned_entry(&id, &server.key);
            let released = documents.release(&id, server)?;
            // Only if it is still the user's, and not someone else's by now.
            let stands = documents.mcp.get(&server.key).is_some();
            if server.is_user_owned && stands && documents.plugins.key(&server.key).owners.is_empty() {
                notes.extend(describe_release(&ReleaseOutcome::UserOwned, &server.key));
            }
            notes.extend(describe_release(&released, &server.key));
            if stood && matches!(released, ReleaseOutcome::Deleted | ReleaseOutcome::Restored) {
                servers.push(server.key.clone());
            }
        }
        documents.plugins.remove(&id)?;
        documents.settings.set_plugin(&id, None)?;
        documents.commit(&self.home, &lock)?;
        notes.extend(documents.drop_trees(&self.home, &lock));
        let data = self.home.plugin_data(&id);
        let removed = aiw_home::nofollow_path(&data).and_then(std::fs::remove_dir);
        if removed.is_err() && data.exists() {
            notes.push(format!("the plugin's data stays in `{}`", data.display()));
        }
        Ok(RemovedPlugin { id, servers, notes })
    }

    /// Enables or disables an installed plugin. Its record and files stay.
    pub fn set_enabled<'a>(
        &'a self,
        name: &'a str,
        enabled: bool,
        answers: InstallAnswers,
    ) -> BoxFuture<'a, Result<SwitchedPlugin, MarketError>> {
        Box::pin(async move {
            let name = name.to_owned();
            self.commit(move |markets| {
                let lock = markets.home.lock()?;
                let id = markets.find_installed(&name)?;
                markets.switch(&lock, id, enabled, &answers)
            })
            .await
        })
    }

    fn switch(
        &self,
        lock: &Lock,
        id: PluginId,
        enabled: bool,
        answers: &InstallAnswers,
    ) -> Result<SwitchedPlugin, MarketError> {
        let mut documents = InstallDocuments::load(&self.home)?;
        let mut record =
            documents.plugins.get(&id)?.ok_or_else(|| MarketError::NotInstalled { name: id.to_string() })?;
        let changed = record.enabled != enabled;
        let (mut notes, mut servers) = (Vec::new(), Vec::new());
        if changed {
            record.enabled = enabled;
            let reserved: Vec<String> = record.servers.iter().map(|server| server.key.clone()).collect();
            for server in record.servers.iter_mut().filter(|server| !server.skipped) {
                if enabled {
                    let claim = key_claim(&id, server);
                    documents.assign_key(server, claim, answers, true, &reserved, &mut notes)?;
                    if !server.skipped {
                        servers.push(server.key.clone());
                    }
                    continue;
                }
                let released = documents.release(&id, server)?;
                server.is_user_owned = released == ReleaseOutcome::UserOwned;
                notes.extend(describe_release(&released, &server.key));
                if matches!(released, ReleaseOutcome::Deleted | ReleaseOutcome::Restored) {
                    servers.push(server.key.clone());
                }
            }
            documents.plugins.set(&id, &record)?;
        }
        documents.settings.set_plugin(&id, Some(enabled))?;
        documents.commit(&self.home, lock)?;
        Ok(SwitchedPlugin { id, enabled, changed, servers, notes })
    }

    /// Applies what the user wrote into `enabledPlugins` by hand; returns one sentence for each plugin that was
    /// switched, or could not be.
    pub fn reconcile(&self) -> BoxFuture<'_, Result<Vec<String>, MarketError>> {
        Box::pin(async move { self.commit(Self::switch_by_hand).await })
    }

    fn switch_by_hand(&self) -> Result<Vec<String>, MarketError> {
        // Without the lock, the two documents may be from different moments: this is only a hint.
        if self.switched_by_hand()?.is_empty() {
            return Ok(Vec::new());
        }
        let lock = self.home.lock()?;
        let mut notes = Vec::new();
        for (id, wanted) in self.switched_by_hand()? {
            let state = if wanted { "enabled" } else { "disabled" };
            match self.switch(&lock, id.clone(), wanted, &InstallAnswers::default()) {
                Ok(done) => {
                    notes.push(format!("{id}: {state}, as settings.json says"));
                    notes.extend(done.notes);
                }
                Err(e) => {
                    let hint =
                        if wanted { format!(" (`aiw plugin enable {id} --on-conflict …`)") } else { String::new() };
                    notes.push(format!("{id} is not {state}, as settings.json says: {e}{hint}"));
                }
            }
        }
        Ok(notes)
    }

    /// Installed plugins whose state differs from settings.json.
    fn switched_by_hand(&self) -> Result<Vec<(PluginId, bool)>, MarketError> {
        let enabled = self.home.settings()?.plugins();
        let wanted = |(id, record): (PluginId, InstalledPlugin)| {
            let wanted = enabled.enabled(&id).filter(|wanted| *wanted != record.enabled)?;
            Some((id, wanted))
        };
        Ok(self.installed()?.into_iter().filter_map(wanted).collect())
    }

    /// Validates a marketplace or a plugin for its author.
    pub fn validate<'a>(&'a self, path: &'a std::path::Path) -> BoxFuture<'a, Result<crate::Validation, MarketError>> {
        Box::pin(async move { crate::validate::validate(&self.trees, path).await })
    }

    /// All installed plugins.
    pub fn installed(&self) -> Result<Vec<(PluginId, InstalledPlugin)>, MarketError> {
        Ok(self.home.plugins()?.all()?)
    }
}

/// Why a plugin has no entries in mcp.json, and how to get them there.
fn disabled(id: &PluginId) -> String {
    format!("it is disabled: `aiw plugin enable {id}` brings its servers back")
}

fn path_text(path: PathBuf) -> Result<String, MarketError> {
    path.into_os_string().into_string().map_err(|path| {
        aiw_home::HomeError::Invalid { path: path.into(), problem: "is not UTF-8, which mcp.json has to be".into() }
            .into()
    })
}

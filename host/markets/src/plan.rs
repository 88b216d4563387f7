//! What an install would add: a plugin that is fetched and read, but not installed.

use futures::future::BoxFuture;
use std::collections::BTreeMap;

use aiw_core::{Diagnostic, EnvName, ErrorKind, PluginId, RelPath, Secret, SecretName, Sha};
use aiw_home::{Home, InstalledPlugin, Vault};
use aiw_net::{GitOrigin, Tree};
use aiw_servers::{
    DeclaredServer, KeyClaim, KeyOwner, ReferencedNames, Replacement, Transport, Values, option_variable,
    referenced_names, safe_keys, sanitize_name, unique_key,
};
use aiw_wasm::CallError;
use serde_json::{Map, Value};

use crate::context::{Markets, registration, repository_url};
use crate::documents::InstallDocuments;
use crate::error::MarketError;
use crate::inspect::{Files, Inspection, UserOption, inspect};
use crate::market::entry_ref;
use crate::needs::{MissingValue, missing_values, server_options};
use crate::search::PluginMatch;
use crate::source::PluginSource;
use crate::values::InstallAnswers;

/// One server of a plan.
#[derive(Debug, Clone)]
pub struct ServerPlan {
    /// Its name in the plugin.
    pub name: String,
    /// Its key in mcp.json, unless the user resolves a clash differently.
    pub key: String,
    /// How it is reached.
    pub transport: Transport,
    /// The placeholders that it reads.
    pub placeholders: ReferencedNames,
    /// The owner of the key, if it is taken.
    pub clash: Option<KeyOwner>,
    /// The user chose to leave it out.
    pub skipped: bool,
    pub(crate) declaration: Map<String, Value>,
}

impl ServerPlan {
    /// Returns it as it is declared.
    pub fn server(&self) -> DeclaredServer {
        DeclaredServer { name: self.name.clone(), transport: self.transport, declaration: self.declaration.clone() }
    }

    /// All that decides what it does, a line each.
    pub fn describe(&self) -> Vec<String> {
        self.server().describe(&self.key)
    }

    pub(crate) fn claim(&self, id: &PluginId, entry: Value) -> KeyClaim {
        KeyClaim {
            plugin: id.clone(),
            declaration: Value::Object(self.declaration.clone()),
            entry,
            has_plugin_paths: self.placeholders.has_plugin_paths,
            plain_entry: Values::default().plain_entry(&self.declaration, self.transport),
        }
    }
}

/// A plugin that is fetched and read, but not installed.
pub struct InstallPlan {
    /// Its id.
    pub id: PluginId,
    /// plugin.json's version, else the entry's, else the commit, else the digest.
    pub version: String,
    /// The commit that was read.
    pub commit: Option<Sha>,
    /// Where it came from, as one word.
    pub source: String,
    /// Its servers.
    pub servers: Vec<ServerPlan>,
    /// The parts that are left out and why, one sentence each.
    pub skipped: Vec<String>,
    /// Options of `userConfig`.
    pub options: BTreeMap<String, UserOption>,
    /// The digest of its files.
    pub digest: String,
    /// The plugin that is installed under this id now.
    pub installed: Option<InstalledPlugin>,
    /// Whether it is already installed like this, with its entries in place.
    pub unchanged: bool,
    pub(crate) staging_dir: tempfile::TempDir,
}

impl Markets {
    /// Fetches a plugin and reads what an install would add.
    pub fn plan<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<InstallPlan, MarketError>> {
        Box::pin(async move {
            let found = self.find(name)?;
            self.plan_match(&found).await
        })
    }

    // Long: the steps of a plan in their order.
    pub(crate) async fn plan_match(&self, found: &PluginMatch) -> Result<InstallPlan, MarketError> {
        let id = PluginId { name: found.valid_entry()?.name.clone(), market: found.market.clone() };
        let unreadable = |e: MarketError| match e {
            MarketError::Net(_) | MarketError::Call(CallError::Rejected { .. }) if e.kind() == ErrorKind::User => {
                found.unusable_error(format!("cannot be read: {e}"))
            }
            e => e,
        };
        let (tree, inspection) = self.inspected(found).await.map_err(unreadable)?;
        // Whoever installs or looks at a plugin knows it from then on, in the listing too.
        if found.listing_entry.inspection.as_ref().is_none_or(|known| known.contents.is_none()) {
            self.remember(found, &inspection).await?;
        }
        if let Some(problem) = &inspection.broken {
            return Err(found.unusable_error(problem));
        }
        if inspection.servers.is_empty() {
            let brings = inspection.contents.clone().unwrap_or_default();
            let what = if brings.is_empty() { "nothing that aiw installs".into() } else { brings.join(", ") };
            let left_out = inspection.skipped.first().map_or(String::new(), |line| format!(" ({line})"));
            return Err(MarketError::Unusable {
                name: found.display_id(),
                problem: format!("brings no MCP server{left_out}; it brings {what}"),
                hint: Some("install it with `claude plugin install`, which installs the rest".into()),
            });
        }
        let staged = self.home.temporary_dir(&self.home.trees())?;
        self.observer.progress(&format!("writing {id}"), 0, 0);
        let written = tree.materialize(staged.path()).map_err(|e| unreadable(e.into()))?;
        let mut left_out = inspection.skipped.clone();
        let mut rest = inspection.contents.clone().unwrap_or_default();
        rest.retain(|kind| !kind.is_empty());
        if !rest.is_empty() {
            left_out.push(format!(
                "its {} are not installed: aiw installs MCP servers; `claude plugin install` installs the rest",
                joined(&rest)
            ));
        }
        left_out.extend(
            written
                .skipped
                .iter()
                .map(|l| format!("file `{}` is left out: {}", l.path, aiw_core::one_line(&l.reason, 200))),
        );
        let commit = tree.commit().cloned();
        let version = version(&inspection, found, commit.as_ref(), &written.digest);
        let documents = InstallDocuments::load(&self.home)?;
        let present = documents.plugins.get(&id)?;
        let servers = plan_servers(&id, &inspection, present.as_ref(), &documents)?;
        let unchanged = present.as_ref().is_some_and(|present| {
            let stands = |server: &ServerPlan| {
                let known = present.servers.iter().find(|known| known.name == server.name);
                known.is_some_and(|known| {
                    known.declaration.as_object() == Some(&server.declaration)
                        && ((known.skipped && server.skipped)
                            || !present.enabled
                            || documents.has_owned_entry(&id, &known.key))
                })
            };
            present.digest == written.digest
                && present.version == version
                && present.commit == commit
                && present.servers.len() == servers.len()
                && servers.iter().all(stands)
                && present.defaults == defaults(&servers, &inspection.options)
                && self.home.tree(&present.digest).is_dir()
        });
        Ok(InstallPlan {
            source: aiw_core::one_line(&found.valid_entry()?.source.describe(), 200),
            version,
            commit,
            servers,
            skipped: left_out,
            options: inspection.options,
            digest: written.digest,
            installed: present,
            unchanged,
            staging_dir: staged,
            id,
        })
    }

    /// All files of an entry. The standard forms are resolved here, for all markets.
    async fn tree(&self, found: &PluginMatch, source: &PluginSource) -> Result<Tree, MarketError> {
        let settings = self.home.settings()?;
        let market = settings
            .market(found.market.as_str())
            .ok_or_else(|| MarketError::UnknownMarket { name: found.market.to_string() })?;
        match source {
            PluginSource::Refused { reason, .. } => Err(found.unusable_error(format!("cannot be installed: {reason}"))),
            PluginSource::Git { repository, path, reference, sha } => {
                self.observer.progress(&format!("fetching {}", found.listing_entry.entry.name), 0, 0);
                let origin = GitOrigin {
                    url: repository_url(&settings, repository),
                    reference: reference.clone(),
                    sha: sha.clone(),
                    path: Some(RelPath::parse(path).unwrap_or_default()).filter(|path| !path.is_root()),
                };
                Ok(self.trees.open_git(&Self::policy(&settings, market), &origin).await?)
            }
            source @ (PluginSource::Relative { .. } | PluginSource::InMarketplace { .. }) => {
                let listing = crate::MarketListing::load(&self.home, market)?
                    .ok_or_else(|| MarketError::NotFetched { name: market.name.to_string() })?;
                let entry = entry_ref(&found.listing_entry.entry, source, &listing.revision);
                let component = self.component(market).await?;
                let reach = Self::call_permissions(&settings, market);
                Ok(component.market_source()?.download_plugin(&reach, &registration(market), &entry).await?)
            }
        }
    }

    /// Reads a plugin's files, and what is in them.
    async fn inspected(&self, found: &PluginMatch) -> Result<(Tree, Inspection), MarketError> {
        let (entry, tree) = (&found.listing_entry.entry, self.tree(found, &found.valid_entry()?.source).await?);
        let inspection = inspect(entry, &Files::from_tree(&tree, entry)?, tree.commit().cloned());
        Ok((tree, inspection))
    }

    /// Inspects one plugin now, whatever it costs. The listing keeps the result.
    pub fn inspect<'a>(&'a self, found: &'a PluginMatch) -> BoxFuture<'a, Result<Inspection, MarketError>> {
        Box::pin(async move {
            if let Some(inspection) = &found.listing_entry.inspection {
                return Ok(inspection.clone());
            }
            let (_, inspection) = self.inspected(found).await?;
            self.remember(found, &inspection).await?;
            Ok(inspection)
        })
    }

    /// Keeps an inspection in the listing, unless its entry has changed in the meantime.
    async fn remember(&self, found: &PluginMatch, inspection: &Inspection) -> Result<(), MarketError> {
        let Some(market) = self.home.settings()?.market(found.market.as_str()).cloned() else { return Ok(()) };
        let (home, entry, seen) = (self.home.clone(), found.listing_entry.entry.clone(), inspection.clone());
        aiw_home::run_blocking(move || {
            let lock = home.lock()?;
            if let Some(mut listing) = crate::MarketListing::load(&home, &market)?
                && let Some(listed) = listing.plugins.iter_mut().find(|p| p.entry == entry)
            {
                listed.inspection = Some(seen);
                listing.save(&home, &market.name, &lock)?;
            }
            Ok(())
        })
        .await
    }
}

impl InstallPlan {
    /// The values that its servers read and that neither the answers, nor the vault, nor the environment give.
    pub fn missing(&self, answers: &InstallAnswers, home: &Home) -> Vec<MissingValue> {
        missing_plan_values(self, &merge_values(self, self.installed.as_ref(), answers, &home.vault()), home)
    }

    /// The options that its servers use, each with its value: the answer, or the default.
    pub fn options_used(&self, answers: &InstallAnswers, home: &Home) -> Vec<(String, String)> {
        let given = option_values(self, &merge_values(self, self.installed.as_ref(), answers, &home.vault()).values);
        given.into_iter().map(|(name, given)| (name, given.to_string())).collect()
    }
}

/// The values of a plugin, and those of its secrets that the vault does not have yet.
#[derive(Default)]
pub(crate) struct MergedValues {
    /// Text, `${NAME}` or `${secret:NAME}`, by the name in the placeholder.
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) secrets: Vec<(SecretName, Secret)>,
}

/// The servers with their keys, and who owns them.
pub(crate) fn plan_servers(
    id: &PluginId,
    inspection: &Inspection,
    present: Option<&InstalledPlugin>,
    documents: &InstallDocuments,
) -> Result<Vec<ServerPlan>, MarketError> {
    let known = |name: &str| present.and_then(|p| p.servers.iter().find(|known| known.name == name));
    // A key that it already owns, perhaps from an earlier answer, stays its own; new ones avoid those.
    let mut used: Vec<String> =
        inspection.servers.iter().filter_map(|server| Some(known(&server.name)?.key.clone())).collect();
    let new: Vec<String> =
        inspection.servers.iter().filter(|s| known(&s.name).is_none()).map(|s| s.name.clone()).collect();
    let keys = safe_keys(&new);
    let mut planned = Vec::new();
    for server in &inspection.servers {
        let known = known(&server.name);
        let key = match known {
            Some(known) => known.key.clone(),
            None => {
                let wanted = keys.get(&server.name).cloned().unwrap_or_else(|| sanitize_name(&server.name));
                let key = unique_key(&wanted, |key| used.iter().any(|other| other == key));
                used.push(key.clone());
                key
            }
        };
        let mut server = ServerPlan {
            name: server.name.clone(),
            key,
            transport: server.transport,
            placeholders: referenced_names(&server.declaration),
            skipped: known.is_some_and(|known| known.skipped),
            declaration: server.declaration.clone(),
            clash: None,
        };
        // The entry itself doesn't matter for clashes.
        let claim = server.claim(id, Value::Null);
        server.clash = documents.key(&server.key)?.conflicting_owner(&claim);
        // The clash of a server that was left out may be gone.
        server.skipped &= server.clash.is_some();
        planned.push(server);
    }
    Ok(planned)
}

/// Returns the user's values so far and now. For a secret, at most a reference is stored.
pub(crate) fn merge_values(
    plan: &InstallPlan,
    present: Option<&InstalledPlugin>,
    answers: &InstallAnswers,
    vault: &Vault,
) -> MergedValues {
    let mut values = present.map(|p| p.values.clone()).unwrap_or_default();
    let mut given_secrets: BTreeMap<&str, Secret> = BTreeMap::new();
    let means =
        |option: &str, name: &str| option == name || option_variable(option).is_some_and(|v| v.as_str() == name);
    let sensitive = |name: &str| plan.options.iter().any(|(option, o)| o.sensitive && means(option, name));
    for (name, given) in &answers.values {
        match given {
            Replacement::Literal(text) if sensitive(name) && !text.is_empty() => {
                given_secrets.insert(name, Secret::new(text));
            }
            given => drop(values.insert(name.clone(), given.to_string())),
        }
    }
    values.retain(|name, text| {
        let secret = aiw_core::is_secret(name, text) || sensitive(name);
        is_read(plan, name) && (!secret || Replacement::parse(text).is_reference())
    });
    given_secrets.extend(answers.secrets.iter().map(|(name, secret)| (name.as_str(), secret.clone())));
    let mut secrets = Vec::new();
    for (name, secret) in given_secrets.into_iter().filter(|(name, _)| is_read(plan, name)) {
        // Without a free name it stays unset, which is said.
        let Some((kept, is_new)) = vault.name_for(plan.id.name.as_str(), name, &secret, &secrets) else { continue };
        values.insert(name.to_owned(), Replacement::Secret(kept.clone()).to_string());
        if is_new {
            secrets.push((kept, secret));
        }
    }
    MergedValues { values, secrets }
}

/// Whether a server reads a variable or option of that name.
fn is_read(plan: &InstallPlan, name: &str) -> bool {
    plan.servers.iter().any(|server| {
        let options = &server.placeholders.options;
        server.placeholders.variables.keys().any(|variable| variable.as_str() == name)
            || options.contains(name)
            || options.iter().any(|option| option_variable(option).is_some_and(|v| v.as_str() == name))
    })
}

/// Given names that no server reads: probably typos.
pub(crate) fn unused_answers(plan: &InstallPlan, answers: &InstallAnswers) -> Vec<String> {
    let unread = answers.values.keys().chain(answers.secrets.keys()).filter(|name| !is_read(plan, name));
    unread.map(|name| format!("`{}` is read by no server of {}", aiw_core::one_line(name, 80), plan.id)).collect()
}

/// The defaults of options that servers use: a change of one changes what runs.
pub(crate) fn defaults(servers: &[ServerPlan], options: &BTreeMap<String, UserOption>) -> BTreeMap<String, String> {
    let used = servers.iter().flat_map(|server| &server.placeholders.options);
    used.filter_map(|name| Some((name.clone(), options.get(name)?.default.clone()?))).collect()
}

fn version(inspection: &Inspection, found: &PluginMatch, commit: Option<&Sha>, digest: &str) -> String {
    let own = inspection.version.clone().or_else(|| found.listing_entry.entry.text("version"));
    let version = own.filter(|v| !v.trim().is_empty()).map(|v| aiw_core::one_line(&v, 100));
    version.or_else(|| commit.map(ToString::to_string)).unwrap_or_else(|| digest.to_owned())
}

pub(crate) fn variable_values(values: &BTreeMap<String, String>) -> BTreeMap<EnvName, Replacement> {
    values.iter().filter_map(|(name, text)| Some((name.parse().ok()?, Replacement::parse(text)))).collect()
}

/// The options of a plan's servers: see [`options_of`].
pub(crate) fn option_values(plan: &InstallPlan, values: &BTreeMap<String, String>) -> BTreeMap<String, Replacement> {
    server_options(&plan.servers.iter().map(|server| &server.placeholders).collect::<Vec<_>>(), &plan.options, values)
}

pub(crate) fn missing_plan_values(plan: &InstallPlan, merged: &MergedValues, home: &Home) -> Vec<MissingValue> {
    let servers = plan.servers.iter().filter(|server| !server.skipped).map(|server| &server.placeholders);
    let new: Vec<&SecretName> = merged.secrets.iter().map(|(name, _)| name).collect();
    missing_values(&servers.collect::<Vec<_>>(), &plan.options, &merged.values, &new, home)
}

/// `skills, hooks and commands`
fn joined(words: &[String]) -> String {
    match words {
        [rest @ .., last] if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

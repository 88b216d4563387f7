//! Installing, updating, removing. Nothing of a plugin is ever run by any of this.
//!
//! Three steps: [`Markets::plan`] fetches and reads without the lock, the user looks and
//! answers, [`Markets::install`] commits under the lock, all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aiw_core::{EnvName, ErrorKind, PluginId, RelPath, Sha};
use aiw_home::{AddedServer, Document, Home, InstalledPlugin, Lock, Plugins, ServerKey, Settings};
use aiw_net::{GitOrigin, Tree};
use aiw_wasm::CallError;
use serde_json::{Map, Value};

use crate::context::{Markets, registration, repository_url};
use crate::error::MarketError;
use crate::inspect::{Files, Inspection, UserOption, inspect};
use crate::key::{Claim, Clash, Key, Refreshed, Released};
use crate::market::entry_ref;
use crate::search::Found;
use crate::servers::{safe, safe_keys, unique, visible, visible_json};
use crate::source::Source;
use crate::substitute::{Given, Reads, Values, option_variable, reads};

/// What to do about a key of mcp.json that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnConflict {
    /// Ours replaces theirs; removal brings theirs back.
    Overwrite,
    /// Ours is not added.
    Skip,
    /// Ours is called `<plugin>-<server>`.
    Rename,
}

/// One server of a plan.
#[derive(Debug, Clone)]
pub struct PlannedServer {
    /// As the plugin calls it.
    pub name: String,
    /// Its key in mcp.json, unless the clash is answered otherwise.
    pub key: String,
    /// `stdio`, `http`, `sse`, `ws`.
    pub transport: String,
    /// What it runs or reaches, on one line.
    pub target: String,
    /// Everything else that the declaration sets, a line each.
    pub details: Vec<String>,
    /// What it reads.
    pub reads: Reads,
    /// Who has the key.
    pub clash: Option<Clash>,
    /// The user chose to leave it out.
    pub skipped: bool,
    declaration: Map<String, Value>,
}

impl PlannedServer {
    fn claim(&self, id: &PluginId, entry: Value) -> Claim {
        Claim {
            plugin: id.clone(),
            declaration: Value::Object(self.declaration.clone()),
            entry,
            own_tree: self.reads.own_tree,
            plain: Values::default().plain(&self.declaration, &self.transport),
        }
    }
}

/// A value that a server reads and that nobody gave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Missing {
    /// The variable that will be read when a client starts the server.
    pub variable: EnvName,
    /// The option of `userConfig` behind it.
    pub option: Option<String>,
    /// For people.
    pub title: Option<String>,
    /// It must not be typed on a command line or kept.
    pub secret: bool,
}

/// A plugin that is fetched and read, and not installed.
pub struct Plan {
    /// Its id.
    pub id: PluginId,
    /// plugin.json's version, else the entry's, else the commit, else the digest.
    pub version: String,
    /// The commit that was read.
    pub commit: Option<Sha>,
    /// Where it came from, in one word.
    pub source: String,
    /// Its servers.
    pub servers: Vec<PlannedServer>,
    /// Left out and why, a sentence each.
    pub left_out: Vec<String>,
    /// Options of `userConfig`.
    pub options: BTreeMap<String, UserOption>,
    /// The digest of its files.
    pub digest: String,
    /// What is installed under this id now.
    pub present: Option<InstalledPlugin>,
    /// It is installed as it is, and its entries stand.
    pub unchanged: bool,
    staged: tempfile::TempDir,
}

/// What the user answered.
#[derive(Debug, Clone, Default)]
pub struct Answers {
    /// Variables and options, by the name in the placeholder.
    pub values: BTreeMap<String, Given>,
    /// For every clash without an answer of its own.
    pub on_conflict: Option<OnConflict>,
    /// By key.
    pub conflicts: BTreeMap<String, OnConflict>,
}

/// A plugin that was installed.
#[derive(Debug)]
pub struct Installed {
    /// Its id.
    pub id: PluginId,
    /// Its record.
    pub record: InstalledPlugin,
    /// What its servers still need from the environment.
    pub missing: Vec<Missing>,
    /// What was done otherwise than expected, a sentence each.
    pub notes: Vec<String>,
    /// It was there already, as it is.
    pub unchanged: bool,
}

/// A plugin that was removed.
#[derive(Debug)]
pub struct Removed {
    /// Its id.
    pub id: PluginId,
    /// Keys that went from mcp.json.
    pub servers: Vec<String>,
    /// What stays and why, a sentence each.
    pub notes: Vec<String>,
}

/// A plugin that was switched on or off.
#[derive(Debug)]
pub struct Toggled {
    /// Its id.
    pub id: PluginId,
    /// Its state now.
    pub enabled: bool,
    /// Whether that is news.
    pub changed: bool,
    /// Keys that came or went.
    pub servers: Vec<String>,
    /// What stays and why, a sentence each.
    pub notes: Vec<String>,
}

/// What an update would do.
pub struct UpdateCheck {
    /// The new version, ready to install.
    pub plan: Plan,
    /// The version that is installed.
    pub from: String,
    /// Changes of the servers, a few words each; they need the user's agreement.
    pub changes: Vec<String>,
    /// Changed files, where a server runs from the plugin's own tree.
    pub changed_files: usize,
}

/// What an update did.
#[derive(Debug)]
pub struct Updated {
    /// The version before.
    pub from: String,
    /// As after an install.
    pub installed: Installed,
}

impl Markets {
    /// Fetches a plugin and reads what an install would add.
    pub async fn plan(&self, name: &str) -> Result<Plan, MarketError> {
        let found = self.find(name)?;
        self.plan_found(&found).await
    }

    async fn plan_found(&self, found: &Found) -> Result<Plan, MarketError> {
        let name = format!("{}@{}", found.listed.entry.name, found.market);
        let unusable = |problem: String| MarketError::Unusable { name: name.clone(), problem, hint: None };
        let usable = found.listed.entry.content.as_ref().map_err(|problem| unusable(problem.clone()))?;
        let id = PluginId { name: usable.name.clone(), market: found.market.clone() };
        let unreadable = |e: MarketError| match e {
            MarketError::Net(_) | MarketError::Call(CallError::Refused { .. }) if e.kind() == ErrorKind::User => {
                unusable(format!("cannot be read: {e}"))
            }
            e => e,
        };
        let tree = self.tree(found, &usable.source).await.map_err(unreadable)?;
        let entry = &found.listed.entry;
        let files = Files::of_tree(&tree, entry).map_err(|e| unreadable(e.into()))?;
        let inspection = inspect(entry, &files, tree.commit().cloned());
        if let Some(problem) = &inspection.broken {
            return Err(unusable(problem.clone()));
        }
        if inspection.servers.is_empty() {
            let brings = inspection.brings.clone().unwrap_or_default();
            let what = if brings.is_empty() { "nothing that aiw installs".into() } else { brings.join(", ") };
            let left_out = inspection.left_out.first().map_or(String::new(), |line| format!(" ({line})"));
            return Err(MarketError::Unusable {
                name,
                problem: format!("brings no MCP server{left_out}; it brings {what}"),
                hint: Some("install it with `claude plugin install`, which takes the rest".into()),
            });
        }
        let staged = self.home.temporary_dir(&self.home.trees())?;
        self.observer.progress(&format!("writing {id}"), 0, 0);
        let written = tree.materialize(staged.path()).map_err(|e| unreadable(e.into()))?;
        let mut left_out = inspection.left_out.clone();
        left_out.extend(
            written
                .left_out
                .iter()
                .map(|l| format!("file `{}` is left out: {}", l.path, aiw_core::one_line(&l.reason, 200))),
        );
        let commit = tree.commit().cloned();
        let version = version(&inspection, found, commit.as_ref(), &written.digest);
        let state = State::load(&self.home)?;
        let present = state.plugins.get(&id)?;
        let servers = planned(&id, &inspection, present.as_ref(), &state)?;
        let unchanged = present.as_ref().is_some_and(|present| {
            let stands = |server: &PlannedServer| {
                let known = present.servers.iter().find(|known| known.name == server.name);
                known.is_some_and(|known| {
                    known.declaration.as_object() == Some(&server.declaration)
                        && (known.skipped || !present.enabled || state.stands(&id, &known.key))
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
        Ok(Plan {
            source: aiw_core::one_line(&usable.source.describe(), 200),
            version,
            commit,
            servers,
            left_out,
            options: inspection.options,
            digest: written.digest,
            present,
            unchanged,
            staged,
            id,
        })
    }

    /// All files of an entry. The standard forms are resolved here, for all markets.
    async fn tree(&self, found: &Found, source: &Source) -> Result<Tree, MarketError> {
        let settings = self.home.settings()?;
        let market = settings
            .market(found.market.as_str())
            .ok_or_else(|| MarketError::UnknownMarket { name: found.market.to_string() })?;
        match source {
            Source::Refused { reason, .. } => Err(MarketError::Unusable {
                name: format!("{}@{}", found.listed.entry.name, found.market),
                problem: format!("cannot be installed: {reason}"),
                hint: None,
            }),
            Source::Git { repository, path, reference, sha } => {
                self.observer.progress(&format!("fetching {}", found.listed.entry.name), 0, 0);
                let origin = GitOrigin {
                    url: repository_url(&settings, repository),
                    reference: reference.clone(),
                    sha: sha.clone(),
                    path: Some(RelPath::parse(path).unwrap_or_default()).filter(|path| !path.is_root()),
                };
                Ok(self.trees.open_git(&Self::policy(&settings, market), &origin).await?)
            }
            source @ (Source::Relative { .. } | Source::Own { .. }) => {
                let listing = crate::Listing::load(&self.home, market)?
                    .ok_or_else(|| MarketError::NotFetched { name: market.name.to_string() })?;
                let entry = entry_ref(&found.listed.entry, source, &listing.revision);
                let component = self.component(market).await?;
                let reach = Self::reach(&settings, market);
                Ok(component.download_plugin(&reach, &registration(market), &entry).await?)
            }
        }
    }

    /// Looks into one plugin now, whatever it costs. The listing keeps what was found.
    pub async fn look_into(&self, found: &Found) -> Result<Inspection, MarketError> {
        if let Some(inspection) = &found.listed.inspection {
            return Ok(inspection.clone());
        }
        let name = format!("{}@{}", found.listed.entry.name, found.market);
        let unusable = |problem: String| MarketError::Unusable { name: name.clone(), problem, hint: None };
        let usable = found.listed.entry.content.as_ref().map_err(|problem| unusable(problem.clone()))?;
        let tree = self.tree(found, &usable.source).await?;
        let files = Files::of_tree(&tree, &found.listed.entry)?;
        let inspection = inspect(&found.listed.entry, &files, tree.commit().cloned());
        let settings = self.home.settings()?;
        if let Some(market) = settings.market(found.market.as_str()) {
            let lock = self.home.lock()?;
            if let Some(mut listing) = crate::Listing::load(&self.home, market)?
                && let Some(listed) = listing.plugins.iter_mut().find(|p| p.entry == found.listed.entry)
            {
                listed.inspection = Some(inspection.clone());
                listing.save(&self.home, &market.name, &lock)?;
            }
        }
        Ok(inspection)
    }

    /// Installs a plan: the user has seen it. Entries that were taken out are put back.
    pub fn install(&self, plan: Plan, answers: &Answers) -> Result<Installed, MarketError> {
        self.apply(plan, answers, true)
    }

    /// Updates to a plan: the user has agreed to its changes. What was taken out stays out.
    pub fn update_to(&self, plan: Plan, answers: &Answers) -> Result<Installed, MarketError> {
        self.apply(plan, answers, false)
    }

    fn apply(&self, plan: Plan, answers: &Answers, repair: bool) -> Result<Installed, MarketError> {
        let lock = self.home.lock()?;
        let mut state = State::load(&self.home)?;
        let present = state.plugins.get(&plan.id)?;
        // Another process did something else than what the user agreed to here; the same is fine.
        let as_planned =
            |p: &InstalledPlugin| p.digest == plan.digest && p.version == plan.version && p.commit == plan.commit;
        if present != plan.present && !present.as_ref().is_some_and(as_planned) {
            return Err(MarketError::Raced { what: format!("plugin `{}`", plan.id) });
        }
        let values = merged(&plan, present.as_ref(), answers);
        let mut notes = unused(&plan, answers);
        if let Some(present) = &present
            && (plan.unchanged || plan.present.as_ref() != Some(present))
            && values == present.values
            && !(answers.on_conflict.is_some() && present.servers.iter().any(|server| server.skipped))
        {
            if !present.enabled {
                notes.push(format!("it is disabled: `aiw plugin enable {}` brings its servers back", plan.id));
            }
            let missing = missing(&plan, &values);
            return Ok(Installed { id: plan.id, record: present.clone(), missing, notes, unchanged: true });
        }
        let data = self.home.plugin_data(&plan.id);
        let substitution = Values {
            root: path_text(self.home.tree(&plan.digest))?,
            data: path_text(data.clone())?,
            variables: given_variables(&values),
            options: given_options(&plan, &values),
        };
        let enabled = present.as_ref().is_none_or(|p| p.enabled);
        let before: Vec<AddedServer> = present.as_ref().map(|p| p.servers.clone()).unwrap_or_default();
        for old in before.iter().filter(|old| !plan.servers.iter().any(|new| new.name == old.name)) {
            notes.extend(state.release(&plan.id, old)?.note(&old.key));
        }
        let mut added = Vec::new();
        for server in &plan.servers {
            let written = substitution.resolve(&server.declaration, &server.transport);
            let claim = server.claim(&plan.id, written.clone());
            let mut record = AddedServer {
                name: server.name.clone(),
                key: server.key.clone(),
                declaration: claim.declaration.clone(),
                written,
                skipped: server.skipped,
                left_to_user: before.iter().any(|old| old.name == server.name && old.left_to_user),
            };
            let decided = answers.on_conflict.is_some() || answers.conflicts.contains_key(&server.key);
            if enabled && (!record.skipped || decided) {
                state.take(&mut record, claim, answers, repair, &mut notes)?;
            }
            added.push(record);
        }
        if enabled && added.iter().all(|server| server.skipped) {
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
        state.plugins.set(&plan.id, &record)?;
        state.settings.set_plugin_enabled(&plan.id, Some(enabled))?;
        let missing = missing(&plan, &values);
        let id = plan.id.clone();
        aiw_home::publish_dir(plan.staged.path(), &self.home.tree(&plan.digest))?;
        self.home.make_dir(&data)?;
        state.commit(&self.home, &lock)?;
        notes.extend(state.drop_trees(&self.home, &lock));
        self.home.sweep(&lock);
        Ok(Installed { id, record, missing, notes, unchanged: false })
    }

    /// Removes an installed plugin: exactly what it added.
    pub fn uninstall(&self, name: &str) -> Result<Removed, MarketError> {
        let lock = self.home.lock()?;
        let id = self.find_installed(name)?;
        let mut state = State::load(&self.home)?;
        let record = state.plugins.get(&id)?.ok_or_else(|| MarketError::NotInstalled { name: name.to_owned() })?;
        let (mut notes, mut servers) = (Vec::new(), Vec::new());
        for server in &record.servers {
            let stood = state.mcp.get(&["mcpServers", &server.key]).is_some()
                && state.plugins.key(&server.key).owners.contains(&id);
            let released = state.release(&id, server)?;
            if server.left_to_user {
                notes.extend(Released::Users.note(&server.key));
            }
            notes.extend(released.note(&server.key));
            if stood && matches!(released, Released::Gone | Released::Restored) {
                servers.push(server.key.clone());
            }
        }
        state.plugins.remove(&id);
        state.settings.set_plugin_enabled(&id, None)?;
        state.commit(&self.home, &lock)?;
        notes.extend(state.drop_trees(&self.home, &lock));
        let data = self.home.plugin_data(&id);
        if std::fs::remove_dir(&data).is_err() && data.exists() {
            notes.push(format!("what the plugin wrote stays in `{}`", data.display()));
        }
        Ok(Removed { id, servers, notes })
    }

    /// Switches an installed plugin on or off. Its record and files stay.
    pub fn set_enabled(&self, name: &str, enabled: bool, answers: &Answers) -> Result<Toggled, MarketError> {
        let lock = self.home.lock()?;
        let id = self.find_installed(name)?;
        let mut state = State::load(&self.home)?;
        let mut record = state.plugins.get(&id)?.ok_or_else(|| MarketError::NotInstalled { name: name.to_owned() })?;
        let changed = record.enabled != enabled;
        let (mut notes, mut servers) = (Vec::new(), Vec::new());
        if changed {
            record.enabled = enabled;
            for server in record.servers.iter_mut().filter(|server| !server.skipped) {
                if enabled {
                    let claim = claim_of(&id, server);
                    state.take(server, claim, answers, true, &mut notes)?;
                    if !server.skipped {
                        servers.push(server.key.clone());
                    }
                    continue;
                }
                let released = state.release(&id, server)?;
                server.left_to_user = released == Released::Users;
                notes.extend(released.note(&server.key));
                if matches!(released, Released::Gone | Released::Restored) {
                    servers.push(server.key.clone());
                }
            }
            state.plugins.set(&id, &record)?;
        }
        state.settings.set_plugin_enabled(&id, Some(enabled))?;
        state.commit(&self.home, &lock)?;
        Ok(Toggled { id, enabled, changed, servers, notes })
    }

    /// Carries out what the user wrote into `enabledPlugins` by hand; a sentence for each plugin
    /// that was switched, or could not be.
    pub fn reconcile(&self) -> Result<Vec<String>, MarketError> {
        let settings = self.home.settings()?;
        let mut notes = Vec::new();
        for (id, record) in self.installed()? {
            let Some(wanted) = settings.plugin_enabled(&id).filter(|wanted| *wanted != record.enabled) else {
                continue;
            };
            let state = if wanted { "enabled" } else { "disabled" };
            match self.set_enabled(&id.to_string(), wanted, &Answers::default()) {
                Ok(done) => {
                    notes.push(format!("{id}: {state}, as settings.json says"));
                    notes.extend(done.notes);
                }
                Err(e) => notes.push(format!("{id} is not {state}, as settings.json says: {e}")),
            }
        }
        Ok(notes)
    }

    /// What an update of an installed plugin would do; `None` when it is current.
    pub async fn check_update(&self, id: &PluginId) -> Result<Option<UpdateCheck>, MarketError> {
        let record = self.home.plugins()?.get(id)?.ok_or_else(|| MarketError::NotInstalled { name: id.to_string() })?;
        let found = self.find(&id.to_string())?;
        if found.id().as_ref() != Some(id) {
            return Err(MarketError::Unusable {
                name: id.to_string(),
                problem: format!("is called `{}` now", found.listed.entry.name),
                hint: Some(format!("install `{}@{}`, then remove `{id}`", found.listed.entry.name, found.market)),
            });
        }
        // A pinned commit that has not moved needs no look.
        if let Ok(usable) = &found.listed.entry.content
            && let Source::Git { sha: Some(sha), .. } = &usable.source
            && record.commit.as_ref() == Some(sha)
            && found.listed.version().is_none_or(|version| version == record.version)
        {
            return Ok(None);
        }
        let plan = self.plan_found(&found).await?;
        let moved = plan.version != record.version || plan.commit != record.commit;
        let changes = changes(&record, &plan);
        // A commit elsewhere in the marketplace is none of this plugin.
        let same = plan.digest == record.digest && plan.version == record.version && changes.is_empty();
        if same || (!moved && plan.commit.is_some()) {
            return Ok(None);
        }
        let own_tree = plan.servers.iter().any(|server| server.reads.own_tree);
        let changed_files = if own_tree { self.changed_files(&record.digest, &plan).await? } else { 0 };
        Ok(Some(UpdateCheck { plan, from: record.version, changes, changed_files }))
    }

    async fn installed_tree(&self, path: PathBuf) -> Result<Tree, MarketError> {
        let mut policy = aiw_net::Policy::none();
        policy.directories.push(path.clone());
        Ok(self.trees.open_directory(&policy, &path).await?)
    }

    /// Files that differ between the installed tree and a plan's.
    async fn changed_files(&self, digest: &str, plan: &Plan) -> Result<usize, MarketError> {
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
        let new = read(plan.staged.path().to_owned()).await?;
        let paths: BTreeSet<_> = old.keys().chain(new.keys()).collect();
        Ok(paths.into_iter().filter(|path| old.get(*path) != new.get(*path)).count())
    }

    /// Checks a marketplace or a plugin as its author.
    pub async fn validate(&self, path: &std::path::Path) -> Result<crate::Report, MarketError> {
        crate::validate::validate(&self.trees, path).await
    }

    /// All installed plugins.
    pub fn installed(&self) -> Result<Vec<(PluginId, InstalledPlugin)>, MarketError> {
        Ok(self.home.plugins()?.all()?)
    }
}

impl Plan {
    /// The values that its servers read and that neither the answers nor the environment give.
    pub fn missing(&self, answers: &Answers) -> Vec<Missing> {
        missing(self, &merged(self, self.present.as_ref(), answers))
    }

    /// The options that its servers use, and what stands for each: the answer, or the default.
    pub fn options_used(&self, answers: &Answers) -> Vec<(String, String)> {
        let given = given_options(self, &merged(self, self.present.as_ref(), answers));
        let text = |given: Given| match given {
            Given::Literal(text) => text,
            Given::Reference(name) => format!("${{{name}}}"),
        };
        given.into_iter().map(|(name, given)| (name, text(given))).collect()
    }
}

/// The three documents that an install touches.
struct State {
    plugins: Plugins,
    mcp: Document,
    settings: Settings,
}

impl State {
    fn load(home: &Home) -> Result<Self, MarketError> {
        let state = Self { plugins: home.plugins()?, mcp: home.mcp()?, settings: home.settings()? };
        if state.mcp.get(&["mcpServers"]).is_some_and(|servers| !servers.is_object()) {
            let problem = "has an `mcpServers` that is not an object".to_owned();
            return Err(aiw_home::HomeError::Invalid { path: home.mcp_path(), problem }.into());
        }
        Ok(state)
    }

    fn commit(&self, home: &Home, lock: &Lock) -> Result<(), MarketError> {
        Ok(home.commit(lock, &[self.plugins.document(), &self.mcp, self.settings.document()])?)
    }

    /// A key with all that is known of it.
    fn key(&self, key: &str) -> Result<Key, MarketError> {
        let known = self.plugins.key(key);
        let mut owners = Vec::new();
        for id in known.owners {
            let server = self.plugins.get(&id)?.and_then(|p| p.servers.into_iter().find(|s| s.key == *key));
            owners.extend(server.map(|server| claim_of(&id, &server)));
        }
        let current = self.mcp.get(&["mcpServers", key]).cloned();
        Ok(Key { owners, written: known.written, original: known.original, current })
    }

    /// Whether a plugin has a key and something stands there.
    fn stands(&self, id: &PluginId, key: &str) -> bool {
        self.mcp.get(&["mcpServers", key]).is_some() && self.plugins.key(key).owners.contains(id)
    }

    fn set_key(&mut self, name: &str, key: Key) -> Result<(), MarketError> {
        match &key.current {
            Some(entry) => self.mcp.set(&["mcpServers", name], entry)?,
            None => drop(self.mcp.remove(&["mcpServers", name])),
        }
        let owners = key.owners.into_iter().map(|owner| owner.plugin).collect();
        Ok(self.plugins.set_key(name, &ServerKey { owners, written: key.written, original: key.original })?)
    }

    fn release(&mut self, id: &PluginId, server: &AddedServer) -> Result<Released, MarketError> {
        let mut key = self.key(&server.key)?;
        let released = key.release(id);
        self.set_key(&server.key, key)?;
        Ok(released)
    }

    /// Gives a server its key, or another one, or none, as the user answered.
    fn take(
        &mut self,
        server: &mut AddedServer,
        claim: Claim,
        answers: &Answers,
        repair: bool,
        notes: &mut Vec<String>,
    ) -> Result<(), MarketError> {
        let mut key = self.key(&server.key)?;
        let id = claim.plugin.clone();
        if std::mem::take(&mut server.left_to_user) && !key.has(&id) && key.current.is_some() {
            notes.extend(Released::Users.note(&server.key));
            key.adopt(claim);
            return self.set_key(&server.key, key);
        }
        let Some(clash) = key.clash(&claim) else {
            server.skipped = false;
            if key.has(&id) {
                match key.refresh(claim, repair) {
                    Refreshed::Done => {}
                    Refreshed::Users => notes.extend(Released::Users.note(&server.key)),
                    Refreshed::TakenOut => notes.push(format!(
                        "server `{}` stays out of mcp.json, where you took it out: `aiw plugin install {id}` puts it back",
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
            return Err(MarketError::Clash { key: server.key.clone(), owner: clash.to_string() });
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
        let wanted = safe(&format!("{}-{}", id.name, server.name));
        let taken =
            |key: &str| self.mcp.get(&["mcpServers", key]).is_some() || !self.plugins.key(key).owners.is_empty();
        let renamed = unique(&wanted, taken);
        notes.push(format!("server `{}` is added as `{renamed}`: {clash} has the name", server.key));
        let mut key = self.key(&renamed)?;
        key.claim(claim, false);
        self.set_key(&renamed, key)?;
        server.key = renamed;
        Ok(())
    }

    /// Removes trees that nobody uses: no plugin, and no entry of mcp.json (the user may have
    /// kept one that names it). Also those of installs that were killed or met a full disk.
    /// What can't be removed is said: the change itself is done.
    fn drop_trees(&self, home: &Home, _lock: &Lock) -> Vec<String> {
        let Ok(installed) = self.plugins.all() else { return Vec::new() };
        let mcp = self.mcp.text();
        let mut notes = Vec::new();
        for dir in std::fs::read_dir(home.trees()).into_iter().flatten().flatten() {
            let Ok(digest) = dir.file_name().into_string() else { continue };
            // What bears another name is not ours to judge.
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

impl Released {
    /// The sentence that says what stays.
    fn note(&self, key: &str) -> Option<String> {
        match self {
            Self::Gone => None,
            Self::Restored => Some(format!("server `{key}` in mcp.json is your own again")),
            Self::Users => Some(format!("server `{key}` stays in mcp.json: it was changed by hand")),
            Self::Shared(other) => Some(format!("server `{key}` stays in mcp.json: `{other}` has it as well")),
        }
    }
}

/// The claim of a server that is recorded.
fn claim_of(id: &PluginId, server: &AddedServer) -> Claim {
    let declaration = server.declaration.as_object().cloned().unwrap_or_default();
    // Everything but a process has a type when written.
    let transport = server.written.get("type").and_then(Value::as_str).unwrap_or("stdio");
    Claim {
        plugin: id.clone(),
        own_tree: reads(&declaration).own_tree,
        plain: Values::default().plain(&declaration, transport),
        declaration: server.declaration.clone(),
        entry: server.written.clone(),
    }
}

/// The servers with their keys, and who has them.
fn planned(
    id: &PluginId,
    inspection: &Inspection,
    present: Option<&InstalledPlugin>,
    state: &State,
) -> Result<Vec<PlannedServer>, MarketError> {
    let names: Vec<String> = inspection.servers.iter().map(|s| s.name.clone()).collect();
    let keys = safe_keys(&names);
    let mut planned = Vec::new();
    for server in &inspection.servers {
        let known = present.and_then(|p| p.servers.iter().find(|known| known.name == server.name));
        // A key that it has already, perhaps by an earlier answer, stays its own.
        let key = known.map(|known| known.key.clone()).or_else(|| keys.get(&server.name).cloned());
        let mut server = PlannedServer {
            name: server.name.clone(),
            key: key.unwrap_or_else(|| safe(&server.name)),
            transport: server.transport.clone(),
            target: server.target(),
            details: server.details(),
            reads: reads(&server.declaration),
            skipped: known.is_some_and(|known| known.skipped),
            declaration: server.declaration.clone(),
            clash: None,
        };
        // The entry does not matter to those who are in the way.
        let claim = server.claim(id, Value::Null);
        server.clash = state.key(&server.key)?.clash(&claim);
        planned.push(server);
    }
    Ok(planned)
}

/// What the user gave so far, and now. Of a secret, a reference at most is kept.
fn merged(plan: &Plan, present: Option<&InstalledPlugin>, answers: &Answers) -> BTreeMap<String, String> {
    let mut values = present.map(|p| p.values.clone()).unwrap_or_default();
    values.extend(answers.values.iter().map(|(name, given)| (name.clone(), given.to_string())));
    let means =
        |option: &str, name: &str| option == name || option_variable(option).is_some_and(|v| v.as_str() == name);
    let sensitive = |name: &str| plan.options.iter().any(|(option, o)| o.sensitive && means(option, name));
    values.retain(|name, text| {
        let reference = matches!(Given::parse(text), Given::Reference(_));
        reference || !(crate::is_secret_name(name) || sensitive(name))
    });
    values
}

/// Names that were given and that no server reads: a slip of the finger.
fn unused(plan: &Plan, answers: &Answers) -> Vec<String> {
    let read = |name: &str| {
        plan.servers.iter().any(|server| {
            let options = &server.reads.options;
            server.reads.variables.keys().any(|variable| variable.as_str() == name)
                || options.contains(name)
                || options.iter().any(|option| option_variable(option).is_some_and(|v| v.as_str() == name))
        })
    };
    let unread = answers.values.keys().filter(|name| !read(name));
    unread.map(|name| format!("`{}` is read by no server of {}", aiw_core::one_line(name, 80), plan.id)).collect()
}

/// The defaults of options that servers use: a change of one changes what runs.
fn defaults(servers: &[PlannedServer], options: &BTreeMap<String, UserOption>) -> BTreeMap<String, String> {
    let used = servers.iter().flat_map(|server| &server.reads.options);
    used.filter_map(|name| Some((name.clone(), options.get(name)?.default.clone()?))).collect()
}

fn version(inspection: &Inspection, found: &Found, commit: Option<&Sha>, digest: &str) -> String {
    let own = inspection.version.clone().or_else(|| found.listed.entry.text("version"));
    let version = own.filter(|v| !v.trim().is_empty()).map(|v| aiw_core::one_line(&v, 100));
    version.or_else(|| commit.map(ToString::to_string)).unwrap_or_else(|| digest.to_owned())
}

fn given_variables(values: &BTreeMap<String, String>) -> BTreeMap<EnvName, Given> {
    values.iter().filter_map(|(name, text)| Some((name.parse().ok()?, Given::parse(text)))).collect()
}

/// Options: what the user gave (by the option's name or its variable's), else the default.
/// What the plugin calls sensitive, or sounds so, is always a reference.
fn given_options(plan: &Plan, values: &BTreeMap<String, String>) -> BTreeMap<String, Given> {
    let mut options = BTreeMap::new();
    for name in plan.servers.iter().flat_map(|server| &server.reads.options) {
        let declared = plan.options.get(name);
        let by_variable = || option_variable(name).and_then(|variable| values.get(variable.as_str()));
        let given = values.get(name).or_else(by_variable).map(|text| Given::parse(text));
        let secret = declared.is_some_and(|option| option.sensitive) || crate::is_secret_name(name);
        let given = given.filter(|given| !secret || matches!(given, Given::Reference(_)));
        let default = declared.and_then(|option| option.default.clone()).map(Given::Literal);
        if let Some(given) = given.or(default) {
            options.insert(name.clone(), given);
        }
    }
    options
}

fn missing(plan: &Plan, values: &BTreeMap<String, String>) -> Vec<Missing> {
    let set = |name: &EnvName| std::env::var_os(name.as_str()).is_some_and(|value| !value.is_empty());
    let options = given_options(plan, values);
    let mut missing = BTreeSet::new();
    for server in plan.servers.iter().filter(|server| !server.skipped) {
        for (name, needed) in &server.reads.variables {
            let variable = match values.get(name.as_str()).map(|text| Given::parse(text)) {
                Some(Given::Literal(_)) => continue,
                Some(Given::Reference(other)) => other,
                None if *needed => name.clone(),
                None => continue,
            };
            if !set(&variable) {
                let secret = crate::is_secret_name(name.as_str());
                missing.insert(Missing { variable, option: None, title: None, secret });
            }
        }
        for name in &server.reads.options {
            let declared = plan.options.get(name);
            let variable = match options.get(name) {
                Some(Given::Literal(_)) => continue,
                Some(Given::Reference(variable)) => Some(variable.clone()),
                None => option_variable(name),
            };
            let Some(variable) = variable.filter(|v| !set(v)) else { continue };
            missing.insert(Missing {
                variable,
                option: Some(name.clone()),
                title: declared.map(|option| option.title.clone()),
                secret: declared.is_some_and(|option| option.sensitive) || crate::is_secret_name(name),
            });
        }
    }
    missing.into_iter().collect()
}

/// What an update changes in the declarations, before substitution, a few words each.
fn changes(old: &InstalledPlugin, new: &Plan) -> Vec<String> {
    let mut changes = Vec::new();
    for server in &new.servers {
        let shown = aiw_core::one_line(&server.name, 60);
        match old.servers.iter().find(|o| o.name == server.name) {
            None => changes.push(format!("new server `{shown}`: {}", server.target)),
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
    // What the user gave stands, whatever the default.
    for name in
        names.into_iter().filter(|name| old.defaults.get(*name) != after.get(*name) && !old.values.contains_key(*name))
    {
        let known = old.servers.iter().any(|server| {
            server.declaration.as_object().is_some_and(|declaration| reads(declaration).options.contains(name))
        });
        if known {
            let text = |value: Option<&String>| value.map_or_else(|| "nothing".into(), |v| visible(v));
            let (before, after) = (text(old.defaults.get(name)), text(after.get(name)));
            changes.push(format!(
                "the default of the option `{}`: {before} becomes {after}",
                aiw_core::one_line(name, 60)
            ));
        }
    }
    changes
}

fn path_text(path: PathBuf) -> Result<String, MarketError> {
    path.into_os_string().into_string().map_err(|path| {
        aiw_home::HomeError::Invalid { path: path.into(), problem: "is not UTF-8, which mcp.json has to be".into() }
            .into()
    })
}

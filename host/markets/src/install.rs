//! Installing, updating, removing. Nothing of a plugin is ever run by any of this.
//!
//! Three steps: [`Markets::plan`] fetches and reads without the lock, the user looks and
//! answers, [`Markets::install`] commits under the lock, all of it or nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use aiw_core::{EnvName, ErrorKind, PluginId, RelPath, Sha};
use aiw_home::{AddedServer, Document, Home, InstalledPlugin, Lock, Plugins, Settings};
use aiw_net::{GitOrigin, Tree};
use aiw_wasm::CallError;
use serde_json::{Map, Value};

use crate::context::{Markets, registration, repository_url};
use crate::error::MarketError;
use crate::inspect::{Files, Inspection, UserOption, inspect};
use crate::market::entry_ref;
use crate::search::Found;
use crate::servers::{safe, safe_keys, unique};
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

/// Who has a key of mcp.json.
#[derive(Debug, Clone, PartialEq)]
pub enum Clash {
    /// The user's own entry.
    User,
    /// Another plugin's, with another declaration.
    Plugin(PluginId),
}

impl std::fmt::Display for Clash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::User => f.write_str("an entry of your own"),
            Self::Plugin(id) => write!(f, "the plugin `{id}`"),
        }
    }
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
    /// What it reads.
    pub reads: Reads,
    /// Who has the key.
    pub clash: Option<Clash>,
    declaration: Map<String, Value>,
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
        let plugins = self.home.plugins()?;
        let present = plugins.get(&id)?;
        let servers = self.planned(&id, &inspection, &plugins, &self.home.mcp()?)?;
        let source = usable.source.describe();
        Ok(Plan {
            source: aiw_core::one_line(&source, 200),
            version,
            commit,
            servers,
            left_out,
            options: inspection.options,
            digest: written.digest,
            present,
            staged,
            id,
        })
    }

    /// The servers with their keys, and who has them.
    fn planned(
        &self,
        id: &PluginId,
        inspection: &Inspection,
        plugins: &Plugins,
        mcp: &Document,
    ) -> Result<Vec<PlannedServer>, MarketError> {
        let names: Vec<String> = inspection.servers.iter().map(|s| s.name.clone()).collect();
        let keys = safe_keys(&names);
        let installed = plugins.all()?;
        let mut planned = Vec::new();
        for server in &inspection.servers {
            let key = keys.get(&server.name).cloned().unwrap_or_else(|| safe(&server.name));
            let clash = clash(id, &key, &server.declaration, &server.transport, &installed, mcp);
            planned.push(PlannedServer {
                name: server.name.clone(),
                transport: server.transport.clone(),
                target: server.target(),
                reads: reads(&server.declaration),
                declaration: server.declaration.clone(),
                key,
                clash,
            });
        }
        Ok(planned)
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

    /// Installs a plan, or updates to it: the user has seen it.
    pub fn install(&self, plan: Plan, answers: &Answers) -> Result<Installed, MarketError> {
        let lock = self.home.lock()?;
        let mut state = State::load(&self.home)?;
        let present = state.plugins.get(&plan.id)?;
        let mut notes = Vec::new();
        if let Some(present) = &present
            && present.digest == plan.digest
            && present.version == plan.version
            && present.commit == plan.commit
            && answers.values.is_empty()
            && self.home.tree(&present.digest).is_dir()
        {
            if !present.enabled {
                notes.push(format!("it is disabled: `aiw plugin enable {}` brings its servers back", plan.id));
            }
            let missing = missing(&plan, answers);
            return Ok(Installed { id: plan.id, record: present.clone(), missing, notes, unchanged: true });
        }
        // Another process did something else than what the user agreed to here.
        if present != plan.present {
            return Err(MarketError::Raced { what: format!("plugin `{}`", plan.id) });
        }
        let home = &self.home;
        let data = home.plugin_data(&plan.id);
        let values = Values {
            root: path_text(home.tree(&plan.digest))?,
            data: path_text(data.clone())?,
            variables: given_variables(answers),
            options: given_options(&plan, answers),
        };
        let enabled = present.as_ref().is_none_or(|p| p.enabled);
        // What the version before had added goes first; keys that it held keep their owner.
        let before: Vec<AddedServer> = present.as_ref().map(|p| p.servers.clone()).unwrap_or_default();
        let mut kept = BTreeSet::new();
        for old in &before {
            if let Some(note) = state.withdraw(&plan.id, old, enabled)? {
                kept.insert(old.key.clone());
                notes.push(note);
            }
        }
        let mut added = Vec::new();
        for server in &plan.servers {
            let written = values.resolve(&server.declaration, &server.transport);
            let old = before.iter().find(|old| old.name == server.name);
            let declaration = Value::Object(server.declaration.clone());
            let preferred = old.map_or(server.key.clone(), |old| old.key.clone());
            if kept.contains(&preferred) {
                // The user's own version of our entry stays; the record follows the plugin.
                added.push(AddedServer {
                    name: server.name.clone(),
                    key: preferred,
                    declaration,
                    written,
                    replaced: None,
                });
                continue;
            }
            let mut record = AddedServer {
                name: server.name.clone(),
                key: preferred,
                declaration,
                written,
                replaced: old.and_then(|o| o.replaced.clone()),
            };
            let installed = state.plugins.all()?;
            let clash = clash(&plan.id, &record.key, &server.declaration, &server.transport, &installed, &state.mcp);
            if let Some(clash) = clash.filter(|_| enabled) {
                let answer = answers.conflicts.get(&record.key).copied().or(answers.on_conflict);
                match answer {
                    None => return Err(MarketError::Clash { key: record.key, owner: clash.to_string() }),
                    Some(OnConflict::Skip) => {
                        notes.push(format!("server `{}` is left out: {clash} has the name", record.key));
                        continue;
                    }
                    Some(OnConflict::Rename) => {
                        let wanted = safe(&format!("{}-{}", plan.id.name, server.name));
                        record.key = unique(&wanted, |key| state.mcp.get(&["mcpServers", key]).is_some());
                        notes.push(format!(
                            "server `{}` is added as `{}`: {clash} has the name",
                            server.key, record.key
                        ));
                    }
                    Some(OnConflict::Overwrite) => {
                        record.replaced = state.take_over(&record.key, &clash)?;
                        notes.push(format!("server `{}` replaces {clash}", record.key));
                    }
                }
            }
            if enabled {
                state.put(&plan.id, &record)?;
            }
            added.push(record);
        }
        if added.is_empty() {
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
        };
        state.plugins.set(&plan.id, &record)?;
        state.settings.set_plugin_enabled(&plan.id, Some(enabled))?;
        let missing = missing(&plan, answers);
        let id = plan.id.clone();
        place_tree(home, plan)?;
        home.make_dir(&data)?;
        state.commit(home, &lock)?;
        state.drop_trees(home, &lock)?;
        home.sweep(&lock);
        Ok(Installed { id, record, missing, notes, unchanged: false })
    }

    /// Removes an installed plugin: exactly what it added.
    pub fn uninstall(&self, name: &str) -> Result<Removed, MarketError> {
        let lock = self.home.lock()?;
        let id = self.find_installed(name)?;
        let mut state = State::load(&self.home)?;
        let record = state.plugins.get(&id)?.ok_or_else(|| MarketError::NotInstalled { name: name.to_owned() })?;
        let (mut notes, mut servers) = (Vec::new(), Vec::new());
        state.plugins.remove(&id);
        for server in record.servers.iter().filter(|_| record.enabled) {
            let before = state.mcp.get(&["mcpServers", &server.key]).is_some();
            let note = state.withdraw(&id, server, true)?;
            let after = state.mcp.get(&["mcpServers", &server.key]);
            match (note, after, state.plugins.owners(&server.key).owners.first()) {
                (Some(note), ..) => notes.push(note),
                (None, Some(_), Some(other)) => {
                    notes.push(format!("server `{}` stays in mcp.json: `{other}` has it as well", server.key));
                }
                // An update had found it changed, and left it to the user.
                (None, Some(after), None) if server.replaced.as_ref() != Some(after) => {
                    notes.push(changed_by_hand(&server.key));
                }
                // The user may have taken it out before.
                _ if before => servers.push(server.key.clone()),
                _ => {}
            }
        }
        state.settings.set_plugin_enabled(&id, None)?;
        state.commit(&self.home, &lock)?;
        state.drop_trees(&self.home, &lock)?;
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
            for server in &mut record.servers {
                if !enabled {
                    match state.withdraw(&id, server, true)? {
                        Some(note) => notes.push(note),
                        None => servers.push(server.key.clone()),
                    }
                    server.replaced = None;
                    continue;
                }
                let installed = state.plugins.all()?;
                let fields = server.declaration.as_object().cloned().unwrap_or_default();
                let transport = server.written.get("type").and_then(Value::as_str).unwrap_or("stdio").to_owned();
                if state.mcp.get(&["mcpServers", &server.key]) != Some(&server.written)
                    && let Some(clash) = clash(&id, &server.key, &fields, &transport, &installed, &state.mcp)
                {
                    match answers.on_conflict {
                        None => return Err(MarketError::Clash { key: server.key.clone(), owner: clash.to_string() }),
                        Some(OnConflict::Skip) => {
                            notes.push(format!("server `{}` is left out: {clash} has the name", server.key));
                            continue;
                        }
                        Some(OnConflict::Rename) => {
                            let wanted = safe(&format!("{}-{}", id.name, server.name));
                            server.key = unique(&wanted, |key| state.mcp.get(&["mcpServers", key]).is_some());
                        }
                        Some(OnConflict::Overwrite) => server.replaced = state.take_over(&server.key, &clash)?,
                    }
                }
                state.put(&id, server)?;
                servers.push(server.key.clone());
            }
            state.plugins.set(&id, &record)?;
        }
        state.settings.set_plugin_enabled(&id, Some(enabled))?;
        state.commit(&self.home, &lock)?;
        Ok(Toggled { id, enabled, changed, servers, notes })
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
        if !moved && (plan.commit.is_some() || plan.digest == record.digest) {
            return Ok(None);
        }
        let changes = changes(&record.servers, &plan.servers);
        let own_tree = plan.servers.iter().any(|server| server.reads.own_tree);
        let changed_files = if own_tree { self.changed_files(&record.digest, &plan).await? } else { 0 };
        Ok(Some(UpdateCheck { plan, from: record.version, changes, changed_files }))
    }

    /// Files that differ between the installed tree and a plan's.
    async fn changed_files(&self, digest: &str, plan: &Plan) -> Result<usize, MarketError> {
        let read = async |path: PathBuf| -> Result<BTreeMap<RelPath, Vec<u8>>, MarketError> {
            let mut policy = aiw_net::Policy::none();
            policy.directories.push(path.clone());
            let tree = self.trees.open_directory(&policy, &path).await?;
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
        missing(self, answers)
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

    /// Writes a server and makes the plugin one of its owners.
    fn put(&mut self, id: &PluginId, server: &AddedServer) -> Result<(), MarketError> {
        let mut owners = self.plugins.owners(&server.key);
        owners.owners.retain(|owner| owner != id);
        if owners.owners.is_empty() {
            self.mcp.set(&["mcpServers", &server.key], &server.written)?;
        }
        owners.owners.push(id.clone());
        self.plugins.set_owners(&server.key, &owners)?;
        Ok(())
    }

    /// Takes a server of a plugin out of mcp.json, unless another owner or the user has it.
    /// Answers the sentence that says what stays.
    fn withdraw(&mut self, id: &PluginId, server: &AddedServer, enabled: bool) -> Result<Option<String>, MarketError> {
        let key = &server.key;
        let mut owners = self.plugins.owners(key);
        if !enabled || !owners.owners.contains(id) {
            return Ok(None);
        }
        let was_first = owners.owners.first() == Some(id);
        owners.owners.retain(|owner| owner != id);
        self.plugins.set_owners(key, &owners)?;
        let current = self.mcp.get(&["mcpServers", key]).cloned();
        match (current, owners.owners.first()) {
            (None, _) => Ok(None),
            (Some(current), _) if was_first && current != server.written => Ok(Some(changed_by_hand(key))),
            (Some(_), Some(next)) if was_first => {
                // Theirs is the same declaration with their own directories.
                let theirs = self.plugins.get(next)?.and_then(|p| p.servers.into_iter().find(|s| s.key == *key));
                if let Some(theirs) = theirs {
                    self.mcp.set(&["mcpServers", key], &theirs.written)?;
                }
                Ok(None)
            }
            (Some(_), Some(_)) => Ok(None),
            (Some(_), None) => {
                match &server.replaced {
                    Some(replaced) => self.mcp.set(&["mcpServers", key], replaced)?,
                    None => drop(self.mcp.remove(&["mcpServers", key])),
                }
                Ok(None)
            }
        }
    }

    /// Makes room for a server that replaces another. Answers what removal brings back.
    fn take_over(&mut self, key: &str, clash: &Clash) -> Result<Option<Value>, MarketError> {
        let replaced = match clash {
            Clash::User => self.mcp.get(&["mcpServers", key]).cloned(),
            Clash::Plugin(_) => None,
        };
        // Other plugins keep their record; the key is no longer theirs.
        self.plugins.set_owners(key, &aiw_home::ServerOwners::default())?;
        Ok(replaced)
    }

    /// Removes trees that nobody uses: no plugin, and no entry of mcp.json (the user may have
    /// kept one that names it). Also those of installs that were killed or met a full disk.
    fn drop_trees(&self, home: &Home, _lock: &Lock) -> Result<(), MarketError> {
        let installed = self.plugins.all()?;
        for dir in std::fs::read_dir(home.trees()).into_iter().flatten().flatten() {
            let Ok(digest) = dir.file_name().into_string() else { continue };
            // What bears another name is not ours to judge.
            let ours = digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
            let used = installed.iter().any(|(_, plugin)| plugin.digest == digest);
            if ours && !used && !self.mcp.text().contains(&digest) {
                aiw_home::remove_tree(&home.tree(&digest))?;
            }
        }
        Ok(())
    }
}

fn changed_by_hand(key: &str) -> String {
    format!("server `{key}` stays in mcp.json: it was changed by hand")
}

/// Who has a key with another declaration. The same declaration from two plugins is one
/// entry, unless it names the plugin's own directories.
fn clash(
    id: &PluginId,
    key: &str,
    declaration: &Map<String, Value>,
    transport: &str,
    installed: &[(PluginId, InstalledPlugin)],
    mcp: &Document,
) -> Option<Clash> {
    let current = mcp.get(&["mcpServers", key])?;
    let holders = installed.iter().filter(|(_, plugin)| plugin.enabled).flat_map(|(owner, plugin)| {
        plugin
            .servers
            .iter()
            .filter(|server| server.key == key && server.written == *current)
            .map(move |server| (owner, server))
    });
    let mut theirs = None;
    for (owner, server) in holders {
        let same = server.declaration.as_object() == Some(declaration) && !reads(declaration).own_tree;
        if owner == id || same {
            return None;
        }
        theirs = Some(Clash::Plugin(owner.clone()));
    }
    // An entry of the user's own that says the same is no clash either.
    let plain = Values::default().resolve(declaration, transport);
    if !reads(declaration).own_tree && (*current == plain || current.as_object() == Some(declaration)) {
        return None;
    }
    Some(theirs.unwrap_or(Clash::User))
}

fn version(inspection: &Inspection, found: &Found, commit: Option<&Sha>, digest: &str) -> String {
    let own = inspection.version.clone().or_else(|| found.listed.entry.text("version"));
    let version = own.filter(|v| !v.trim().is_empty()).map(|v| aiw_core::one_line(&v, 100));
    version.or_else(|| commit.map(ToString::to_string)).unwrap_or_else(|| digest.to_owned())
}

fn given_variables(answers: &Answers) -> BTreeMap<EnvName, Given> {
    answers.values.iter().filter_map(|(name, given)| Some((name.parse().ok()?, given.clone()))).collect()
}

/// Options: what the user gave (by the option's name or its variable's), else the default;
/// a secret is always a reference.
fn given_options(plan: &Plan, answers: &Answers) -> BTreeMap<String, Given> {
    let mut options = BTreeMap::new();
    let wanted = plan.servers.iter().flat_map(|server| &server.reads.options);
    for name in wanted {
        let declared = plan.options.get(name);
        let by_variable = option_variable(name).and_then(|variable| answers.values.get(variable.as_str()));
        let given = answers.values.get(name).or(by_variable).cloned();
        // What the plugin calls sensitive is never written, whatever its name.
        let secret = declared.is_some_and(|option| option.sensitive) || crate::is_secret_name(name);
        let given = given.filter(|given| !secret || matches!(given, Given::Reference(_)));
        let default = declared.and_then(|option| option.default.clone()).map(Given::Literal);
        if let Some(given) = given.or(default) {
            options.insert(name.clone(), given);
        }
    }
    options
}

fn missing(plan: &Plan, answers: &Answers) -> Vec<Missing> {
    let set = |name: &EnvName| std::env::var_os(name.as_str()).is_some_and(|value| !value.is_empty());
    let mut missing = BTreeSet::new();
    for server in &plan.servers {
        for (name, needed) in &server.reads.variables {
            let missing_name = match answers.values.get(name.as_str()) {
                Some(Given::Literal(_)) => continue,
                Some(Given::Reference(other)) => other,
                None if *needed => name,
                None => continue,
            };
            if !set(missing_name) {
                missing.insert(Missing {
                    variable: missing_name.clone(),
                    option: None,
                    title: None,
                    secret: crate::is_secret_name(name.as_str()),
                });
            }
        }
        let options = given_options(plan, answers);
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

/// What an update changes in the declarations, before substitution.
fn changes(old: &[AddedServer], new: &[PlannedServer]) -> Vec<String> {
    let mut changes = Vec::new();
    for server in new {
        let shown = aiw_core::one_line(&server.name, 60);
        match old.iter().find(|o| o.name == server.name) {
            None => changes.push(format!("new server `{shown}`: {}", server.target)),
            Some(old) if old.declaration.as_object() != Some(&server.declaration) => {
                changes.push(format!("server `{shown}` changes to: {}", server.target));
            }
            Some(_) => {}
        }
    }
    changes
}

/// Renames the staged tree to its digest. One that is there already is the same, unless
/// someone changed it: then the fresh one replaces it.
fn place_tree(home: &Home, plan: Plan) -> Result<(), MarketError> {
    let target = home.tree(&plan.digest);
    let io = |action: &'static str, source| aiw_home::HomeError::Io { action, path: target.clone(), source };
    if target.is_dir() {
        let aside = home.temporary_dir(&home.trees())?;
        std::fs::rename(&target, aside.path().join("old")).map_err(|e| io("replace", e))?;
    }
    let staged = plan.staged.keep();
    std::fs::rename(&staged, &target).map_err(|e| io("write", e))?;
    Ok(())
}

fn path_text(path: PathBuf) -> Result<String, MarketError> {
    path.into_os_string().into_string().map_err(|path| {
        aiw_home::HomeError::Invalid { path: path.into(), problem: "is not UTF-8, which mcp.json has to be".into() }
            .into()
    })
}

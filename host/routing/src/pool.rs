//! The servers of one client session.

mod content;

use futures::future::BoxFuture;
use parking_lot::{Mutex, RwLock};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use aiw_core::{quoted, quoted_list};
use aiw_home::ListSettings;
use aiw_mcp::{Arguments, Call, Caller, Params};
use aiw_servers::FileWatch;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

use crate::account::LoginAccount;
use crate::definition::{ToolDefinition, name};
use crate::error::{PoolError, display_command};
use crate::find::{Finder, KnownServer, ToolMatches};
use crate::found::{ConfiguredServer, ServerSearchPaths};
use crate::listing::{Cost, ListableServer, ListingChoice, ListingLimits, choose};
use crate::log;
use crate::names::{ToolRef, to_proxied_name};
use crate::notifications::SharedCaller;
use crate::offered::{CatalogItem, catalog_item, claims, dedup_by_name, uri_claim, uri_field};
use crate::profile::{AIW_SERVER_NAME, Profile, ProfileSource};
use crate::record::{LOST_RECORD_NOTE, Records, ServerRecord, ServerUsage};
use crate::shape::UI_PREFIX;
use crate::slot::Slot;
use crate::start::ServerContext;
use crate::status::{SlotStatus, status};
use crate::uris::{UriClaim, conflicting_claims, qualify_uri};

/// How many servers are looked into at once.
const MAX_PARALLEL_STARTS: usize = 8;

/// How many servers with blocked tools a model is told of.
const MAX_NOTICES: usize = 5;

/// Servers that several sessions of one process share: `mcp.servers.KEY.shared`.
#[derive(Clone, Default)]
pub struct SharedServers(Arc<Mutex<BTreeMap<String, Arc<Slot>>>>);

/// The servers of one client session. Dropping it ends them.
pub struct Pool {
    inner: Arc<PoolParts>,
}

struct PoolParts {
    ground: ServerContext,
    places: ServerSearchPaths,
    records: Records,
    profile: RwLock<Profile>,
    source: ProfileSource,
    /// `mcp.list` of the settings.
    list: RwLock<ListSettings>,
    /// How much each server was used before this session. It stays as it is, so that the list of tools does.
    usage: Mutex<BTreeMap<String, Option<ServerUsage>>>,
    shared: SharedServers,
    slots: RwLock<BTreeMap<String, Arc<Slot>>>,
    problems: RwLock<Vec<String>>,
    client: SharedCaller,
    changes: mpsc::UnboundedSender<()>,
    /// Gone with this: what follows its files ends then.
    here: watch::Sender<()>,
}

impl Pool {
    /// The servers that a session has in its directory. Nothing is started. Changes of what the pool lists arrive at
    /// `changes`; the profile is read again when files change.
    pub fn new(
        ground: ServerContext,
        source: ProfileSource,
        shared: SharedServers,
        changes: mpsc::UnboundedSender<()>,
    ) -> Self {
        let places = ServerSearchPaths::load(ground.home.clone(), &ground.cwd);
        let records = Records::new(ground.home.clone());
        let inner = PoolParts {
            ground,
            places,
            records,
            profile: RwLock::default(),
            source,
            list: RwLock::default(),
            usage: Mutex::default(),
            shared,
            slots: RwLock::default(),
            problems: RwLock::default(),
            client: SharedCaller::default(),
            changes,
            here: watch::Sender::default(),
        };
        inner.reload();
        Self { inner: Arc::new(inner) }
    }

    /// A client has begun its session: what its servers can ask it is known from now on. Follows the files, and looks
    /// into servers that were never seen.
    pub fn begin(&self, client: Caller) {
        *self.inner.client.write() = Some(client);
        self.problems().iter().for_each(|problem| self.inner.note(problem));
        for slot in self.inner.slots() {
            if let Err(problem) = &slot.config.server {
                self.inner.note(&format!("the server {} is left out: it {problem}", quoted(slot.key())));
            }
        }
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move { follow(inner).await });
        self.inner.look_into_new_ones();
    }

    /// Reads the files now, and not only once their change is noticed.
    pub fn reload(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let inner = self.inner.clone();
            aiw_home::run_blocking(move || inner.reload()).await;
        })
    }

    /// The profile of the session, as it is now.
    pub fn profile(&self) -> Profile {
        self.inner.profile.read().clone()
    }

    /// Returns a server's instructions about its tools, if the user has accepted them or they are as they were at first
    /// sight.
    pub fn instructions(&self, server: &str) -> Option<String> {
        self.inner.slot(server).ok()?.record()?.instructions().map(str::to_owned)
    }

    /// One sentence for each file or entry that can't be used.
    pub fn problems(&self) -> Vec<String> {
        self.inner.problems.read().clone()
    }

    /// Whether a server is offered at all.
    pub fn has_servers(&self) -> bool {
        let slots = self.inner.slots.read();
        slots.values().any(|slot| slot.is_offered())
    }

    /// The tools that the profile allows and the servers have not changed, by server and in their order.
    pub fn tools(&self) -> Vec<CatalogItem> {
        let of = |slot: &Arc<Slot>, record: Arc<ServerRecord>| -> Vec<CatalogItem> {
            let allowed = record.accepted_tools().filter(|tool| self.allows(slot.key(), tool));
            allowed.map(|tool| catalog_item(slot.key(), tool.name(), tool)).collect()
        };
        dedup_by_name(self.each(of))
    }

    /// Returns the tools that apps alone may use, if the session's client supports MCP Apps.
    /// `others` are the tools of all clients: a name that one of them has is taken.
    pub fn app_only_tools(&self, others: &[CatalogItem]) -> Vec<CatalogItem> {
        if !self.inner.client.read().as_ref().is_some_and(Caller::supports_apps) {
            return Vec::new();
        }
        let taken: BTreeSet<&str> = others.iter().map(|tool| tool.proxied_name.as_str()).collect();
        let mut app_only = dedup_by_name(self.each(|slot, record| {
            let allowed =
                record.accepted_tools().filter(|tool| tool.is_app_only() && self.profile_allows(slot.key(), tool));
            allowed.map(|tool| catalog_item(slot.key(), tool.name(), tool)).collect()
        }));
        app_only.retain(|tool| !taken.contains(tool.proxied_name.as_str()));
        app_only
    }

    /// The keys of the servers whose tools are not known yet: nobody has looked into them so far, or nobody could.
    pub fn servers_without_tools(&self) -> Vec<String> {
        self.known().1
    }

    /// Decides which of these servers' tools a client's list has, where aiw's own tools cost `own`.
    pub fn choose(&self, offered: &[CatalogItem], own: Cost) -> Vec<ListingChoice> {
        let mut usage = self.inner.usage.lock();
        for tool in offered {
            if !usage.contains_key(&tool.server) {
                usage.insert(tool.server.clone(), self.inner.records.usage(&tool.server));
            }
        }
        let tools = offered.iter().map(|tool| (tool.server.as_str(), tool.tokens()));
        let candidates = ListableServer::from_tools(tools, |server| usage.get(server).copied().flatten());
        choose(&candidates, own, &self.limits(), aiw_home::now_millis() / 1000)
    }

    /// Returns the limits of a listing, by the settings and the profile.
    fn limits(&self) -> ListingLimits {
        let list = self.inner.list.read();
        ListingLimits::from_settings(&list, &self.inner.profile.read().list)
    }

    /// One sentence for each name in `mcp.list` that no server has.
    pub fn unknown_server_warnings(&self) -> Vec<String> {
        let slots = self.inner.slots();
        let (limits, servers) = (self.limits(), slots.iter().map(|slot| slot.key()));
        let sentence = |name: &str| format!("`mcp.list` names {}, which is not a server", quoted(name));
        limits.unknown_servers(servers).into_iter().map(sentence).collect()
    }

    /// Writes a line into the log that `aiw mcp logs aiw` shows.
    pub fn write_log(&self, text: &str) {
        self.inner.note(text);
    }

    /// The tools that fit a request best, at most `most` of those that the profile allows. Blocks while the index is
    /// made.
    pub fn find(&self, finder: &Finder, request: &str, most: usize) -> ToolMatches {
        let (known, unknown) = self.known();
        let found = finder.find(&known, &|server, tool| self.allows(server, tool), request, most);
        ToolMatches { unknown_servers: unknown, ..found }
    }

    /// Makes the index for [`Pool::find`], and waits until the model has seen all tools, or for so long. Returns how
    /// many it has not seen.
    pub fn prepare(&self, finder: &Finder, most: Duration) -> usize {
        finder.prepare(&self.known().0, &|server, tool| self.allows(server, tool), most)
    }

    /// The servers with what is known of each, and the keys of those of which nothing is known yet.
    fn known(&self) -> (Vec<KnownServer>, Vec<String>) {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for slot in self.inner.slots().iter().filter(|slot| slot.is_offered()) {
            match slot.record() {
                Some(record) => known.push((slot.key().to_owned(), record)),
                None => unknown.push(slot.key().to_owned()),
            }
        }
        (known, unknown)
    }

    /// Some of the [`Pool::tools`], by server and own name; none where a client can't see it.
    pub fn tools_by_name(&self, wanted: &[(String, String)]) -> Vec<Option<CatalogItem>> {
        let key = |server: &str, tool: &str| to_proxied_name(server, tool);
        let mut owners: BTreeMap<String, Option<(String, String)>> =
            wanted.iter().map(|(server, tool)| (key(server, tool), None)).collect();
        let (known, _) = self.known();
        for (server, record) in &known {
            for tool in record.accepted_tools().filter(|tool| self.allows(server, tool)) {
                // The first in the order of servers has a name.
                if let Some(owner @ None) = owners.get_mut(&key(server, tool.name())) {
                    *owner = Some((server.clone(), tool.name().to_owned()));
                }
            }
        }
        let definition = |server: &str, tool: &str| {
            let (_, record) = known.iter().find(|(known, _)| known == server)?;
            Some(catalog_item(server, tool, record.tool(tool)?))
        };
        let is_owner = |wanted: &&(String, String)| owners[&key(&wanted.0, &wanted.1)].as_ref() == Some(*wanted);
        wanted.iter().map(|wanted| Some(wanted).filter(is_owner).and_then(|(s, t)| definition(s, t))).collect()
    }

    /// Their prompts.
    pub fn prompts(&self) -> Vec<CatalogItem<Value>> {
        dedup_by_name(self.each(|slot, record| {
            let open = record.prompts().filter(|prompt| self.allows_content(slot.key(), name(prompt)));
            open.map(|prompt| catalog_item(slot.key(), name(prompt), prompt)).collect()
        }))
    }

    /// Their resources. Each keeps its URI, unless it is of an app or another server could answer for it.
    pub fn resources(&self) -> Vec<CatalogItem<Value>> {
        self.resources_and_templates().0
    }

    /// Their resource templates. Each keeps its URIs, unless they are of apps or another server could answer for one.
    pub fn templates(&self) -> Vec<CatalogItem<Value>> {
        self.resources_and_templates().1
    }

    /// The resources and templates, as their servers define them.
    fn content(&self) -> (Vec<CatalogItem<Value>>, Vec<CatalogItem<Value>>) {
        let of = |list: fn(&ServerRecord) -> Vec<Value>| {
            self.each(|slot, record| {
                let open = if self.allows_content(slot.key(), "*") { list(&record) } else { Vec::new() };
                open.iter().map(|item| catalog_item(slot.key(), name(item), item)).collect()
            })
        };
        let resources = of(|record| record.resources().map(Cow::into_owned).collect());
        let templates = of(|record| record.templates().map(Cow::into_owned).collect());
        (resources, templates)
    }

    /// Their resources, and their resource templates.
    pub fn resources_and_templates(&self) -> (Vec<CatalogItem<Value>>, Vec<CatalogItem<Value>>) {
        let (mut resources, mut templates) = self.content();
        let contested = conflicting_claims(claims(&resources, &templates).collect());
        let is_plain = |claim: Option<UriClaim<'_>>| claim.is_some_and(|claim| !contested.contains(&claim));
        let plain = |offered: &CatalogItem<Value>| is_plain(uri_claim(offered));
        let keep: Vec<bool> = resources.iter().chain(&templates).map(plain).collect();
        for (offered, keep) in resources.iter_mut().chain(&mut templates).zip(keep) {
            let field = uri_field(offered);
            let uri = offered.definition[field].as_str().unwrap_or_default();
            if !keep || uri.starts_with(UI_PREFIX) {
                offered.definition[field] = qualify_uri(&offered.server, uri).into();
            }
        }
        (resources, templates)
    }

    fn each<D>(&self, of: impl Fn(&Arc<Slot>, Arc<ServerRecord>) -> Vec<CatalogItem<D>>) -> Vec<CatalogItem<D>> {
        let slots = self.inner.slots();
        let offered = slots.iter().filter(|slot| slot.is_offered());
        offered.filter_map(|slot| Some(of(slot, slot.record()?))).flatten().collect()
    }

    fn allows(&self, server: &str, tool: &ToolDefinition) -> bool {
        !tool.is_app_only() && self.profile_allows(server, tool)
    }

    fn profile_allows(&self, server: &str, tool: &ToolDefinition) -> bool {
        let profile = self.inner.profile.read();
        profile.allows(server, tool.name(), tool.is_read_only())
    }

    /// Prompts and resources only read.
    fn allows_content(&self, server: &str, name: &str) -> bool {
        self.inner.profile.read().allows(server, name, true)
    }

    /// Calls a tool by its server's key and its own name. The result is an object as the server wrote it. Without a client's
    /// call, the server's progress goes to `steps`: the parameters of `notifications/progress`.
    pub fn call<'a>(
        &'a self,
        server: &'a str,
        tool: &'a str,
        arguments: Arguments,
        call: Option<&'a Call>,
        steps: Option<mpsc::Sender<Value>>,
    ) -> BoxFuture<'a, Result<Box<RawValue>, PoolError>> {
        self.call_as(server, tool, arguments, call, steps, false)
    }

    /// Calls a tool that the client names. A client that supports MCP Apps may name those for apps alone.
    pub fn call_by_client<'a>(
        &'a self,
        server: &'a str,
        tool: &'a str,
        arguments: Arguments,
        call: &'a Call,
    ) -> BoxFuture<'a, Result<Box<RawValue>, PoolError>> {
        self.call_as(server, tool, arguments, Some(call), None, call.caller.supports_apps())
    }

    fn call_as<'a>(
        &'a self,
        server: &'a str,
        tool: &'a str,
        arguments: Arguments,
        call: Option<&'a Call>,
        steps: Option<mpsc::Sender<Value>>,
        supports_apps: bool,
    ) -> BoxFuture<'a, Result<Box<RawValue>, PoolError>> {
        Box::pin(async move {
            let slot = self.inner.slot(server)?;
            let denied = || PoolError::NotAllowed { server: server.to_owned(), tool: tool.to_owned() };
            // An unknown tool may be a new one; the server decides after its start.
            let is_denied =
                |record: Arc<ServerRecord>| record.tool(tool).is_some_and(|tool| !self.profile_allows(server, tool));
            if slot.record().is_some_and(is_denied) {
                return Err(denied());
            }
            let connection = slot.ensure_connected_for(call).await?;
            let record = slot.record().unwrap_or_default();
            let Some(definition) = record.tool(tool).filter(|tool| supports_apps || !tool.is_app_only()) else {
                let allowed = record.accepted_tools().filter(|tool| self.allows(server, tool));
                return Err(PoolError::tool_not_found(server, tool, allowed));
            };
            if !self.profile_allows(server, definition) {
                return Err(denied());
            }
            if !record.is_accepted(definition) {
                return Err(PoolError::blocked(&record, server, tool));
            }
            let params = Params::for_call(tool.to_owned(), arguments, Map::new());
            let result = Box::pin(slot.forward_request("tools/call", params, call, connection, steps)).await?;
            slot.record_use();
            if result.get().starts_with('{') {
                return Ok(result);
            }
            let wrapped = format!(r#"{{"content":[],"result":{}}}"#, result.get());
            Ok(RawValue::from_string(wrapped).unwrap_or(result))
        })
    }

    /// The names under which a client may know tools that are blocked.
    pub fn blocked_names(&self) -> BTreeSet<String> {
        let slots = self.inner.slots();
        let of = |slot: &Arc<Slot>| {
            let record = slot.record()?;
            Some(record.blocked_tools().map(|tool| to_proxied_name(slot.key(), tool.name())).collect::<Vec<_>>())
        };
        slots.iter().filter_map(of).flatten().collect()
    }

    /// Why the tool that a client knew under a proxied name is blocked, if it is.
    pub fn blocked_reason(&self, proxied_name: &str) -> Option<PoolError> {
        let slots = self.inner.slots();
        slots.iter().find_map(|slot| {
            let record = slot.record()?;
            let is_it = |tool: &&ToolDefinition| to_proxied_name(slot.key(), tool.name()) == proxied_name;
            let tool = record.blocked_tools().find(is_it).filter(|tool| self.allows(slot.key(), tool))?;
            Some(PoolError::blocked(&record, slot.key(), tool.name()))
        })
    }

    /// Tells all running servers something.
    pub async fn notify(&self, method: &str, params: Option<Value>) {
        for slot in self.inner.slots() {
            slot.notify(method, params.clone()).await;
        }
    }

    /// The client wants log messages from this level on, from every server.
    pub fn set_log_level<'a>(&'a self, level: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let slots = self.inner.slots();
            futures::future::join_all(slots.iter().map(|slot| slot.set_log_level(level))).await;
        })
    }

    /// Starts a server and reads what it offers.
    pub fn refresh<'a>(&'a self, server: &'a str) -> BoxFuture<'a, Result<Duration, PoolError>> {
        Box::pin(async move { self.inner.slot(server)?.refresh().await })
    }

    /// Waits for the answer to a ping.
    pub fn ping<'a>(&'a self, server: &'a str) -> BoxFuture<'a, Result<Duration, PoolError>> {
        Box::pin(async move {
            let slot = self.inner.slot(server)?;
            slot.ensure_connected().await?;
            let start = Instant::now();
            match slot.send_request("ping", Map::new(), None).await {
                Ok(_) | Err(PoolError::Rpc(_)) => Ok(start.elapsed()),
                Err(e) => Err(e),
            }
        })
    }

    /// Returns the state of each server.
    pub fn status(&self) -> Vec<SlotStatus> {
        self.inner.slots().iter().map(status).collect()
    }

    /// Returns the server or tool that a word of a person's names.
    pub fn resolve_tool_ref(&self, word: &str) -> Result<ToolRef, PoolError> {
        let statuses = self.status();
        let servers =
            statuses.iter().map(|status| (status.name.as_str(), status.record.as_deref())).collect::<Vec<_>>();
        ToolRef::find(word, &servers).ok_or_else(|| PoolError::ServerNotFound {
            name: word.split('/').next().unwrap_or(word).to_owned(),
            known: statuses.iter().map(|status| status.name.clone()).collect(),
        })
    }

    /// The file with what a server wrote to standard error. Under aiw's own name, that of the files that sessions could
    /// not use.
    pub fn log_path(&self, server: &str) -> Result<PathBuf, PoolError> {
        if server == AIW_SERVER_NAME {
            return Ok(self.inner.records.file(AIW_SERVER_NAME, "log"));
        }
        Ok(self.inner.slot(server)?.log_path())
    }

    /// Where the user logs in to a server.
    pub fn account(&self, server: &str) -> Result<LoginAccount, PoolError> {
        let slot = self.inner.slot(server)?;
        let problem =
            |problem: &String| PoolError::InvalidDeclaration { server: server.to_owned(), problem: problem.clone() };
        LoginAccount::new(&slot.context, server, slot.config.server.as_ref().map_err(problem)?)
    }

    /// A sentence for each server, up to some, with tools that are blocked and that the profile allows, or of which
    /// aiw has lost what they were, for the model.
    pub fn blocked_notices(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        for slot in self.inner.slots() {
            let Some(record) = slot.record() else { continue };
            if record.lost {
                sentences.push(format!(
                    "Of the MCP server {}, {LOST_RECORD_NOTE} ({} accepts them).",
                    quoted(slot.key()),
                    display_command("approve", slot.key())
                ));
            }
            let blocked = record.blocked_tools().filter(|tool| self.allows(slot.key(), tool));
            let (changed, new): (Vec<_>, Vec<_>) = blocked.partition(|tool| record.pins.contains_key(tool.name()));
            let named = |tools: &[&ToolDefinition]| {
                let names: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
                format!("{} {}", if names.len() == 1 { "tool" } else { "tools" }, quoted_list(&names))
            };
            let them = |tools: &[&ToolDefinition]| if tools.len() == 1 { "it" } else { "them" };
            let server = quoted(slot.key());
            let approve = display_command("approve", slot.key());
            if !changed.is_empty() {
                sentences.push(format!(
                    "The MCP server {server} has changed its {}, so aiw withholds {} until the user accepts the change \
                     ({approve}).",
                    named(&changed),
                    them(&changed)
                ));
            }
            if !new.is_empty() {
                // Not named: a name may be what is suspicious.
                let tools = if new.len() == 1 { "a tool".to_owned() } else { format!("{} tools", new.len()) };
                sentences.push(format!(
                    "aiw withholds {tools} of the MCP server {server} with a suspicious definition until the user has \
                     looked at {} ({approve}).",
                    them(&new)
                ));
            }
        }
        let more = sentences.len().saturating_sub(MAX_NOTICES);
        sentences.truncate(MAX_NOTICES);
        if more > 0 {
            sentences.push("aiw withholds tools of further MCP servers (`aiw mcp status`).".to_owned());
        }
        sentences
    }

    /// Ends starts that go on: nobody wants these servers any more.
    pub fn cancel_starts(&self) {
        self.inner.slots().iter().for_each(|slot| slot.cancel_start());
    }

    /// Ends all servers.
    pub fn shut_down(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let slots = self.inner.slots();
            futures::future::join_all(slots.iter().map(|slot| slot.stop())).await;
        })
    }
}

impl PoolParts {
    fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots.read().values().cloned().collect()
    }

    fn slot(&self, key: &str) -> Result<Arc<Slot>, PoolError> {
        let slots = self.slots.read();
        let known = || slots.values().filter(|s| s.config.settings.enabled).map(|s| s.key().to_owned()).collect();
        slots.get(key).cloned().ok_or_else(|| PoolError::ServerNotFound { name: key.to_owned(), known: known() })
    }

    /// Reads the files again. Servers that did not change are not touched.
    fn reload(&self) {
        *self.profile.write() = (self.source)();
        let read = self.ground.home.settings().and_then(|settings| {
            let list = settings.mcp()?.list;
            Ok((self.places.read_with(&settings)?, list))
        });
        let (configured, problems) = match read {
            Ok((read, list)) => {
                *self.list.write() = list;
                read
            }
            // What worked goes on until the file can be read again.
            Err(e) => {
                self.set_problems(vec![e.to_string()]);
                // The profile may be another one.
                let _ = self.changes.send(());
                return;
            }
        };
        let mut slots = self.slots.write();
        let mut before = std::mem::take(&mut *slots);
        for configured in configured {
            let key = configured.key.clone();
            let slot = match before.remove(&key) {
                Some(slot) if slot.config == configured => slot,
                _ => self.new_slot(configured),
            };
            slot.reload_record();
            slots.insert(key, slot);
        }
        drop(slots);
        self.set_problems(problems.iter().map(ToString::to_string).collect());
        let _ = self.changes.send(());
    }

    /// Keeps what can't be used. A client's session notes in the log what is new of it.
    fn set_problems(&self, problems: Vec<String>) {
        let mut known = self.problems.write();
        let before = std::mem::replace(&mut *known, problems);
        if self.client.read().is_some() {
            known.iter().filter(|problem| !before.contains(problem)).for_each(|problem| self.note(problem));
        }
    }

    /// Writes a line into the log that `aiw mcp logs aiw` shows.
    fn note(&self, problem: &str) {
        log::write_note(&self.records.file(AIW_SERVER_NAME, "log"), problem);
    }

    fn new_slot(&self, configured: ConfiguredServer) -> Arc<Slot> {
        let new = |client: Option<SharedCaller>| {
            Slot::new(self.ground.clone(), self.records.clone(), configured.clone(), client, self.changes.clone())
        };
        if !configured.settings.shared {
            return new(Some(self.client.clone()));
        }
        let mut shared = self.shared.0.lock();
        match shared.get(&configured.key) {
            Some(slot) if slot.config == configured => slot.clone(),
            _ => {
                let slot = new(None);
                shared.insert(configured.key.clone(), slot.clone());
                slot
            }
        }
    }

    /// The files whose changes count: declarations, settings, and what other processes learn and accept.
    fn files(&self) -> Vec<PathBuf> {
        let records = self.slots().into_iter().map(|slot| self.records.file(slot.key(), "json"));
        let approved = self.ground.home.workflows_lock_path();
        self.places.files().into_iter().chain(records).chain([approved]).collect()
    }

    /// Starts servers that were never seen, to learn their tools. Nobody waits for it.
    fn look_into_new_ones(&self) {
        let is_new = |slot: &Arc<Slot>| {
            let is_known = slot.record().is_some_and(|record| record.is_whole);
            slot.is_offered() && !is_known
        };
        let new: Vec<Arc<Slot>> = self.slots().into_iter().filter(is_new).collect();
        if new.is_empty() {
            return;
        }
        let turns = Arc::new(tokio::sync::Semaphore::new(MAX_PARALLEL_STARTS));
        for slot in new {
            let (slot, turns) = (Arc::downgrade(&slot), turns.clone());
            tokio::spawn(async move {
                let Ok(_turn) = turns.acquire().await else { return };
                let Some(slot) = slot.upgrade() else { return };
                // Its failure is in its log and its status.
                let _ = slot.refresh().await;
            });
        }
    }
}

/// Follows the files of a pool until it is dropped, and looks into servers that were never seen.
async fn follow(pool: Weak<PoolParts>) {
    let Some(mut here) = pool.upgrade().map(|pool| pool.here.subscribe()) else { return };
    let mut has_changed = false;
    loop {
        let Some(files) = pool.upgrade().map(|pool| pool.files()) else { return };
        let watch = FileWatch::new(&files);
        // Read again once the next watch is there: a change in between would not be noticed.
        if std::mem::replace(&mut has_changed, true) {
            let Some(reloading) = pool.upgrade() else { return };
            aiw_home::run_blocking(move || reloading.reload()).await;
            let Some(now) = pool.upgrade() else { return };
            now.look_into_new_ones();
            if now.files() != files {
                continue;
            }
        }
        // If they can't be watched, a change counts from the next session on.
        let Ok(mut watch) = watch else { return };
        tokio::select! {
            () = watch.changed() => {}
            _ = here.changed() => return,
        }
    }
}

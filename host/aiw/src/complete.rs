//! What a shell offers after TAB: ids and names as they are at that moment. Nothing here changes anything, and what
//! can't be read is not offered.

use std::ffi::OsStr;
use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_app::events::{EventsRequest, HomeEvents};
use aiw_app::extensions::ComponentEntry;
use aiw_app::models::{EmbeddingModels, ModelSummary};
use aiw_core::one_line;
use aiw_events::EventSubject;
use aiw_extensions::World;
use aiw_history::{PastSession, SessionFilter, Store};
use aiw_home::{CLI_LOGIN_NAME, Home};
use aiw_launch::{RoleEntry, Roles};
use aiw_markets::{NoopObserver, PluginQuery};
use aiw_orchestrator::{WorkflowEntry, Workflows};
use aiw_routing::{ConfiguredServer, Records, ServerRecord, ServerSearchPaths, ToolRef};
use aiw_tasks::{ProcessScope, State, Task, Tasks};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};

use crate::components::app;

/// A word, and what it stands for.
type OfferedWord = (String, String);

fn candidates(offers: fn(Home) -> Option<Vec<OfferedWord>>) -> ArgValueCandidates {
    with_or_without_home(move |home| home.and_then(offers))
}

fn with_or_without_home(
    offers: impl Fn(Option<Home>) -> Option<Vec<OfferedWord>> + Send + Sync + 'static,
) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let candidate = |(order, (word, about)): (usize, OfferedWord)| {
            let about = Some(one_line(&about, 60)).filter(|about| !about.is_empty());
            CompletionCandidate::new(word).help(about.map(Into::into)).display_order(Some(order))
        };
        // A word that needs quotes, or could be taken for a flag, is for people to type.
        let plain = |(word, _): &OfferedWord| {
            !word.starts_with('-') && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.@/=".contains(c))
        };
        offers(crate::runtime::home().ok()).into_iter().flatten().filter(plain).enumerate().map(candidate).collect()
    })
}

fn task_offers(home: &Home, wanted: fn(&Task) -> bool) -> Option<Vec<OfferedWord>> {
    let tasks =
        if home.root().is_dir() { Tasks::open(home, ProcessScope::All).ok()?.list().ok()? } else { return None };
    let about = |task: &Task| format!("{} {}: {}", task.about.cli, task.state, task.about.prompt);
    Some(tasks.iter().filter(|task| wanted(task)).map(|task| (task.id.to_string(), about(task))).collect())
}

fn process_offers() -> Option<Vec<OfferedWord>> {
    let home = crate::runtime::home().ok()?;
    let all = aiw_processes::Manager::open_in(&home, aiw_app::directory(&home).ok()?).ok()?.list().ok()?;
    Some(
        all.into_iter()
            .map(|status| (status.id, format!("{}: {}", status.state, status.definition.run.redacted().command_line())))
            .collect(),
    )
}

/// Ids of processes of the project.
pub fn processes() -> ArgValueCandidates {
    candidates(|_| process_offers())
}

/// Names of snapshots of the project's processes.
pub fn snapshots() -> ArgValueCandidates {
    candidates(|home| {
        let manager = aiw_processes::Manager::open_in(&home, aiw_app::directory(&home).ok()?).ok()?;
        let listed = manager.snapshots(false).ok()?.snapshots;
        Some(listed.into_iter().map(|one| (one.name, one.problem.or(one.saved).unwrap_or_default())).collect())
    })
}

/// Ids of tasks, and of processes of the project.
pub fn tasks_and_processes() -> ArgValueCandidates {
    candidates(|home| Some(process_offers().into_iter().chain(task_offers(&home, |_| true)).flatten().collect()))
}

/// Ids of tasks.
pub fn tasks() -> ArgValueCandidates {
    candidates(|home| task_offers(&home, |_| true))
}

/// Ids of tasks that have not ended, and of processes of the project.
pub fn awaitable_ids() -> ArgValueCandidates {
    candidates(|home| {
        let tasks = task_offers(&home, |task| task.state != State::Ended);
        Some(process_offers().into_iter().chain(tasks).flatten().collect())
    })
}

/// Ids of runs of continuous integration that are among the project's events, the newest first.
pub fn ci_runs() -> ArgValueCandidates {
    candidates(|home| {
        let reader = HomeEvents::new(&home, aiw_app::directory(&home).ok()?, EventsRequest::default()).ok()?;
        let mut offers: Vec<OfferedWord> = Vec::new();
        for event in reader.list().ok()?.events.into_iter().rev().filter(|event| event.subject == EventSubject::Ci) {
            let (id, about) = (event.id.clone().unwrap_or_default(), event.to_string());
            if !offers.iter().any(|(known, _)| *known == id) && offers.len() < 20 {
                offers.push((id, about));
            }
        }
        Some(offers)
    })
}

/// Ids of tasks that have ended.
pub fn ended_tasks() -> ArgValueCandidates {
    candidates(|home| task_offers(&home, |task| task.state == State::Ended))
}

fn provider_offers(home: Home) -> Option<Vec<OfferedWord>> {
    let file = home.providers().ok()?;
    let about = |provider: &aiw_home::Provider| provider.scenario.clone().unwrap_or_else(|| provider.preset.clone());
    let providers = file.providers().iter().map(|provider| (provider.name.to_string(), about(provider)));
    Some(providers.chain(pool_offers(home).into_iter().flatten()).collect())
}

fn pool_offers(home: Home) -> Option<Vec<OfferedWord>> {
    let file = home.providers().ok()?;
    let about = |pool: &aiw_home::ProviderPool| {
        let members: Vec<&str> = pool.members.iter().map(|member| member.provider.as_str()).collect();
        format!("pool of {}", members.join(", "))
    };
    Some(file.pools().iter().map(|pool| (pool.name.to_string(), about(pool))).collect())
}

/// Names of pools.
pub fn pools() -> ArgValueCandidates {
    candidates(pool_offers)
}

/// Names of gateways.
pub fn gateways() -> ArgValueCandidates {
    candidates(|home| {
        let names = aiw_gateway::GatewayStore::new(&home).names().ok()?;
        Some(names.into_iter().map(|name| (name.to_string(), String::new())).collect())
    })
}

/// Names of budgets.
pub fn budgets() -> ArgValueCandidates {
    candidates(|home| {
        let budgets = home.settings().ok()?.budgets().ok()?;
        Some(budgets.into_iter().map(|budget| (budget.name, String::new())).collect())
    })
}

/// Names of providers and pools.
pub fn providers() -> ArgValueCandidates {
    candidates(provider_offers)
}

/// Names of providers, and the word for the CLI's own configuration.
pub fn provider_choices() -> ArgValueCandidates {
    with_or_without_home(|home| {
        let own = (CLI_LOGIN_NAME.to_owned(), "the CLI's own configuration".to_owned());
        Some(home.and_then(provider_offers).into_iter().flatten().chain([own]).collect())
    })
}

/// Names of models, and of the library that runs them.
pub fn models() -> ArgValueCandidates {
    candidates(|home| model_offers(home, |_| true))
}

/// Names of models that are there.
pub fn pulled_models() -> ArgValueCandidates {
    candidates(|home| model_offers(home, |model| model.pulled))
}

fn model_offers(home: Home, wanted: fn(&ModelSummary) -> bool) -> Option<Vec<OfferedWord>> {
    let models = EmbeddingModels::new(home).list().ok()?;
    Some(models.into_iter().filter(wanted).map(|model| (model.name, model.label)).collect())
}

/// Names of roles that can be used.
pub fn roles() -> ArgValueCandidates {
    candidates(|home| {
        let (settings, here) = (home.settings().ok()?, home.context().directory().ok().map(ToOwned::to_owned));
        let listing = Roles::open(home, &settings, here.as_deref()).list();
        let counts = |role: &&RoleEntry| role.problem.is_none() && role.shadowed_by.is_none();
        let offer = |role: &RoleEntry| (role.name.clone(), role.description.clone().unwrap_or_default());
        Some(listing.roles.iter().filter(counts).map(offer).collect())
    })
}

/// Names of kept workflows.
pub fn workflows() -> ArgValueCandidates {
    candidates(|home| {
        let listed = Workflows::new(home).list();
        let about =
            |listed: &WorkflowEntry| listed.workflow.as_ref().map(|w| w.description.clone()).unwrap_or_default();
        Some(listed.iter().map(|listed| (listed.name.to_string(), about(listed))).collect())
    })
}

/// The client over a home that is there.
fn client() -> Option<Arc<ClientSession>> {
    let home = crate::runtime::home().ok().filter(|home| home.root().is_dir())?;
    ClientSession::from_app(app(&home, Arc::new(NoopObserver))).ok()
}

/// Ids of the components that read registries of MCP servers.
pub fn registries() -> ArgValueCandidates {
    candidates(|_| {
        let library = client()?.library().ok()?.clone();
        let ids = library.enabled_ids(World::RegistrySource).ok()?;
        Some(ids.into_iter().map(|id| (id.to_string(), String::new())).collect())
    })
}

/// The most names of a registry that are offered: it has tens of thousands.
const MAX_NAMES: usize = 50;

/// Names of servers in the local copies of registries.
pub fn registry_servers() -> ArgValueCompleter {
    ArgValueCompleter::new(|start: &OsStr| {
        let names = || Some(client()?.registries().ok()?.complete_names(start.to_str()?, MAX_NAMES));
        names().into_iter().flatten().map(CompletionCandidate::new).collect::<Vec<_>>()
    })
}

/// Ids of installed plugins.
pub fn installed_plugins() -> ArgValueCandidates {
    candidates(|_| {
        let installed = client()?.markets().ok()?.installed().ok()?;
        Some(installed.into_iter().map(|(id, _)| (id.to_string(), String::new())).collect())
    })
}

/// Ids of plugins that the marketplaces offer.
pub fn available_plugins() -> ArgValueCandidates {
    candidates(|_| {
        let found = client()?.markets().ok()?.search(&PluginQuery { all: true, ..PluginQuery::default() }).ok()?;
        let offer = |found: &aiw_markets::PluginMatch| {
            Some((found.id()?.to_string(), found.listing_entry.description().unwrap_or_default()))
        };
        Some(found.plugins.iter().filter_map(offer).collect())
    })
}

/// The servers of this directory.
fn configured(home: Home) -> Option<Vec<ConfiguredServer>> {
    let here = home.context().directory().ok()?.to_owned();
    Some(ServerSearchPaths::load(home, &here).read().ok()?.0)
}

fn server_offer(server: &ConfiguredServer) -> OfferedWord {
    (server.key.clone(), server.server.as_ref().map(aiw_servers::DeclaredServer::target).unwrap_or_default())
}

/// Names of MCP servers.
pub fn servers() -> ArgValueCandidates {
    candidates(|home| Some(configured(home)?.iter().map(server_offer).collect()))
}

/// The servers of this directory with what is known of their tools.
fn known_tools(home: Home) -> Option<Vec<(ConfiguredServer, Option<ServerRecord>)>> {
    let (servers, records) = (configured(home.clone())?, Records::new(home));
    let known: Vec<_> = servers.iter().map(|server| records.load(&server.key)).collect();
    Some(servers.into_iter().zip(known).collect())
}

/// Names of MCP servers, and of their tools as `server/tool`.
pub fn servers_and_tools() -> ArgValueCandidates {
    candidates(|home| {
        let mut offers = Vec::new();
        for (server, record) in known_tools(home)? {
            offers.push(server_offer(&server));
            for tool in record.iter().flat_map(ServerRecord::accepted_tools) {
                let about = tool.value()["description"].as_str().unwrap_or_default().to_owned();
                offers.push((format!("{}/{}", server.key, tool.name()), about));
            }
        }
        Some(offers)
    })
}

/// `NAME=` for each parameter of the tool that the command line names.
pub fn arguments() -> ArgValueCandidates {
    candidates(|home| {
        // The shell gives the words so far after `--`.
        let words: Vec<String> =
            std::env::args_os().skip_while(|word| word != "--").filter_map(|w| w.into_string().ok()).collect();
        let at = words.iter().position(|word| word == "call")?;
        let named: Vec<&str> =
            words[at + 1..].iter().map(String::as_str).filter(|word| !word.starts_with('-')).collect();
        let known = known_tools(home)?;
        let servers: Vec<_> = known.iter().map(|(server, record)| (server.key.as_str(), record.as_ref())).collect();
        let (first, rest) = named.split_first()?;
        let found = ToolRef::find(first, &servers)?;
        let tool = found.tool.or_else(|| rest.first().map(|tool| (*tool).to_owned()))?;
        let (_, record) = servers.iter().find(|(server, _)| *server == found.server)?;
        let record = record.as_ref()?;
        let schema = record.tool(&tool).filter(|tool| record.is_accepted(tool))?.value()["inputSchema"].take();
        let offer = |(name, field): (&String, &serde_json::Value)| {
            (format!("{name}="), field["description"].as_str().unwrap_or_default().to_owned())
        };
        Some(schema["properties"].as_object()?.iter().map(offer).collect())
    })
}

/// Ids of past sessions, the latest first.
pub fn sessions() -> ArgValueCandidates {
    candidates(|home| {
        let store = Store::open_existing(&home.history()).ok()??;
        let wanted = SessionFilter { limit: Some(50), ..SessionFilter::default() };
        let about = |session: PastSession| (session.id, format!("{}: {}", session.cli.as_str(), session.title));
        Some(store.sessions(&wanted).ok()?.into_iter().map(about).collect())
    })
}

/// Names of profiles of the user's.
pub fn profiles() -> ArgValueCandidates {
    candidates(|home| {
        let profiles = home.settings().ok()?.mcp().ok()?.profiles;
        Some(profiles.into_keys().map(|name| (name, String::new())).collect())
    })
}

/// Names of marketplaces.
pub fn marketplaces() -> ArgValueCandidates {
    candidates(|home| {
        let settings = home.settings().ok()?;
        Some(settings.markets().iter().map(|market| (market.name.to_string(), market.location.clone())).collect())
    })
}

fn extension_offers(wanted: fn(&ComponentEntry) -> bool) -> Option<Vec<OfferedWord>> {
    let known = client()?.library().ok()?.list().ok()?;
    let label =
        |known: &ComponentEntry| known.facts.as_ref().map(|about| about.manifest.label.clone()).unwrap_or_default();
    Some(known.iter().filter(|known| wanted(known)).map(|known| (known.id.to_string(), label(known))).collect())
}

/// Ids of extensions, aiw's own included.
pub fn extensions() -> ArgValueCandidates {
    candidates(|_| extension_offers(|_| true))
}

/// Ids of extensions that were added.
pub fn added_extensions() -> ArgValueCandidates {
    candidates(|_| extension_offers(|known| known.locked.is_some()))
}

/// Names of AI CLIs.
pub fn clis() -> ArgValueCandidates {
    with_or_without_home(|_| Some(aiw_core::CliKind::ALL.iter().map(|cli| (cli.to_string(), String::new())).collect()))
}

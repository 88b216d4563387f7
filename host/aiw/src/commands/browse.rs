//! `aiw plugin browse`: the domain behind the view.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aiw_app::ClientSession;
use aiw_core::ErrorKind;
use aiw_home::Home;
use aiw_markets::{Answers, FoundPlugin, InstallPlan, MarketError, Markets, Missing, Observer, OnConflict, Query};
use aiw_tui::{Ask, Backend, BackendError, Options, Plugin, Preview, Progress, ScreenError, Server};

use crate::commands::plugin::install::preview;
use crate::commands::plugin::look::{keys, kinds, offered};
use crate::components::app;
use crate::failure::Failure;
use crate::{runtime, terminal};

/// Runs by itself, not under the signal handling of other commands: the view gives the
/// terminal back first.
pub fn run(query: Option<String>, all: bool, no_color: bool, json: bool) -> Result<(), Failure> {
    if json {
        return Err(Failure::user("browsing has no JSON output").with_hint("`aiw plugin search --json`"));
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::user("browsing needs a terminal").with_hint("`aiw plugin search` prints a list"));
    }
    let latest = Arc::new(Latest::default());
    let client = ClientSession::here(app(&Home::find()?, latest.clone()))?;
    let markets = client.markets()?;
    let runtime = runtime::blocking()?;
    // What could not be carried out is said by every other command.
    runtime.block_on(markets.reconcile())?;
    if let Some(market) = runtime.block_on(offered(&markets))? {
        terminal::tell(&format!("Fetching {market}…"));
        if let Err(e) = runtime.block_on(markets.update(&market, true)) {
            terminal::tell(&format!("{market} is not fetched: {e}"));
        }
    }
    let backend =
        Arc::new(Domain { _client: client, markets, latest, runtime: Mutex::new(runtime), plan: Mutex::new(None) });
    let color = !no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    match aiw_tui::browse(backend, Options { color, query: query.unwrap_or_default(), all }) {
        Ok(()) => Ok(()),
        Err(ScreenError::Signal(signal)) => Err(Failure::interrupted(128 + u8::try_from(signal).unwrap_or(0))),
        Err(e) => Err(Failure::new(ErrorKind::Unavailable, e.to_string())),
    }
}

/// The last thing that the domain said of its progress.
#[derive(Default)]
struct Latest(Mutex<Option<Progress>>);

impl Observer for Latest {
    fn is_seen(&self) -> bool {
        true
    }

    fn progress(&self, what: &str, done: u64, total: u64) {
        let progress = Progress { what: what.to_owned(), done, total: Some(total).filter(|total| *total > 0) };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
    }
}

struct Domain {
    /// Keeps the client session open: the components' reach ends with it.
    _client: Arc<ClientSession>,
    markets: Markets,
    latest: Arc<Latest>,
    runtime: Mutex<tokio::runtime::Runtime>,
    /// The plan that the user is looking at, or has agreed to.
    plan: Mutex<Option<InstallPlan>>,
}

/// How often the view hears of progress.
const TICK: Duration = Duration::from_millis(80);

impl Domain {
    fn block_on<T>(&self, tell: &dyn Fn(Progress), work: impl Future<Output = T>) -> T {
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    result = &mut work => return result,
                    () = tokio::time::sleep(TICK) => {
                        if let Some(progress) = self.latest.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
                            tell(progress);
                        }
                    }
                }
            }
        })
    }

    fn plan(&self, id: &str, tell: &dyn Fn(Progress)) -> Result<InstallPlan, BackendError> {
        self.block_on(tell, self.markets.plan(id)).map_err(backend_error)
    }
}

fn backend_error(error: MarketError) -> BackendError {
    let sentence = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    BackendError::new(sentence).because(error)
}

impl Backend for Domain {
    fn plugins(&self) -> Result<Vec<Plugin>, BackendError> {
        let found = self.markets.search(&Query { all: true, ..Query::default() }).map_err(backend_error)?;
        Ok(found.plugins.iter().map(plugin).collect())
    }

    fn preview(&self, id: &str, tell: &dyn Fn(Progress)) -> Result<Preview, BackendError> {
        let plan = self.plan(id, tell)?;
        let mut warnings: Vec<String> = plan
            .servers
            .iter()
            .filter_map(|s| {
                Some(format!(
                    "the server name `{}` is taken by {}: the plugin's will get another",
                    s.key,
                    s.clash.as_ref()?
                ))
            })
            .collect();
        let (secret, open): (Vec<_>, Vec<_>) =
            plan.missing(&Answers::default()).into_iter().partition(|missing| missing.secret);
        warnings.extend(secret.iter().map(|missing| missing.advice(&plan.id)));
        let ask = |missing: Missing| Ask { name: missing.name, title: missing.title.unwrap_or_default() };
        let asks: Vec<Ask> = open.into_iter().map(ask).collect();
        warnings.extend(asks.iter().map(|ask| format!("`{}` is not set: you are asked for it next", ask.name)));
        warnings.extend(plan.left_out.iter().cloned());
        let lines = preview(&plan, &Answers::default());
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan);
        Ok(Preview { lines, warnings, asks })
    }

    fn install(&self, id: &str, values: &[(String, String)], tell: &dyn Fn(Progress)) -> Result<String, BackendError> {
        let shown = self.plan.lock().unwrap_or_else(PoisonError::into_inner).take();
        let plan = match shown.filter(|plan| plan.id.to_string() == id) {
            Some(plan) => plan,
            None => self.plan(id, tell)?,
        };
        let mut answers = Answers { on_conflict: Some(OnConflict::Rename), ..Answers::default() };
        for (name, value) in values {
            // A value that turns out to be a secret is dropped, and then missing.
            answers.give(name, value);
        }
        let done = self.block_on(tell, self.markets.install(plan, answers)).map_err(backend_error)?;
        let installed = format!("installed {} as {}", done.id, keys(&done.record));
        let missing = done.missing.iter().map(|missing| missing.advice(&done.id));
        Ok(std::iter::once(installed).chain(missing).collect::<Vec<_>>().join("; "))
    }

    fn remove(&self, id: &str, tell: &dyn Fn(Progress)) -> Result<String, BackendError> {
        let done = self.block_on(tell, self.markets.uninstall(id)).map_err(backend_error)?;
        Ok(std::iter::once(format!("removed {}", done.id)).chain(done.notes).collect::<Vec<_>>().join("; "))
    }

    fn set_enabled(&self, id: &str, enabled: bool) -> Result<String, BackendError> {
        let answers = Answers { on_conflict: Some(OnConflict::Rename), ..Answers::default() };
        let done = self.block_on(&|_| {}, self.markets.set_enabled(id, enabled, answers)).map_err(backend_error)?;
        let state = if enabled { "enabled" } else { "disabled" };
        Ok(std::iter::once(format!("{}: {state}", done.id)).chain(done.notes).collect::<Vec<_>>().join("; "))
    }
}

fn plugin(found: &FoundPlugin) -> Plugin {
    let listed = &found.listed;
    let inspection = listed.inspection.as_ref();
    let servers = inspection.into_iter().flat_map(|i| &i.servers).map(|s| Server {
        name: s.name.clone(),
        transport: s.transport.to_string(),
        target: s.target(),
    });
    Plugin {
        id: found.id().map_or_else(|| format!("{}@{}", listed.entry.name, found.market), |id| id.to_string()),
        name: listed.entry.name.clone(),
        market: found.market.to_string(),
        version: listed.version(),
        description: listed.description().unwrap_or_default(),
        category: listed.entry.text("category"),
        // A broken plugin brings nothing: it is not among those with servers.
        kinds: inspection.map(|_| kinds(found)).or_else(|| listed.broken().map(|_| Vec::new())),
        source: listed.entry.content.as_ref().map_or_else(|_| String::new(), |usable| usable.source.describe()),
        homepage: listed.entry.text("homepage"),
        servers: servers.collect(),
        notes: found
            .id()
            .into_iter()
            .flat_map(|id| found.missing().into_iter().map(move |missing| missing.advice(&id)))
            .chain(inspection.map(|i| i.left_out.clone()).unwrap_or_default())
            .collect(),
        broken: listed.broken().map(str::to_owned),
        installed: found.installed.is_some(),
        enabled: found.installed.as_ref().is_some_and(|record| record.enabled),
    }
}

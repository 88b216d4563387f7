//! `aiw plugin browse`: the domain behind the view.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aiw_app::ClientSession;
use aiw_app::plugins::{self, PluginRequest};
use aiw_core::{Ask, AskError, Choice, ErrorKind, Heard, Plan, Question, Secret, Sink, Told};
use aiw_markets::{FoundPlugin, MarketError, Markets, Observer, OnConflict, Query};
use aiw_tui::{Backend, BackendError, Options, Plugin, Preview, Progress, ScreenError, Server};
use async_trait::async_trait;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::plugin::Said;
use super::plugin::look::kinds;
use crate::ask::Person;
use crate::components::app;
use crate::failure::Failure;
use crate::output::Output;
use crate::runtime;

fn locked<T>(part: &Mutex<T>) -> MutexGuard<'_, T> {
    part.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs by itself, not under the signal handling of other commands: the view gives the
/// terminal back first.
pub fn run(query: Option<String>, all: bool, no_color: bool, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::user("browsing has no JSON output").with_hint("`aiw plugin search --json`"));
    }
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::user("browsing needs a terminal").with_hint("`aiw plugin search` prints a list"));
    }
    let latest = Arc::new(Latest::default());
    let client = ClientSession::here(app(latest.clone())?)?;
    let markets = client.markets()?;
    let runtime = runtime::blocking()?;
    // What could not be carried out is said by every other command.
    runtime.block_on(markets.reconcile())?;
    let person = Person::new(output, false);
    runtime.block_on(plugins::offer_market(&markets, &person, &Said(output)))?;
    output.flush();
    let (runtime, waiting) = (Mutex::new(runtime), Mutex::default());
    let backend = Arc::new(Domain { _client: client, markets, latest, runtime, waiting });
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
        *locked(&self.0) = Some(progress);
    }
}

struct Domain {
    /// Keeps the client session open: the components' reach ends with it.
    _client: Arc<ClientSession>,
    markets: Markets,
    latest: Arc<Latest>,
    runtime: Mutex<tokio::runtime::Runtime>,
    /// The install that the user is looking at.
    waiting: Mutex<Option<Waiting>>,
}

/// An install that waits for the user's answer.
struct Waiting {
    id: String,
    answers: oneshot::Sender<Vec<(String, Secret)>>,
    ended: JoinHandle<Result<String, BackendError>>,
}

/// How often the view hears of progress.
const TICK: Duration = Duration::from_millis(80);

impl Domain {
    fn block_on<T>(&self, tell: &dyn Fn(Progress), work: impl Future<Output = T>) -> T {
        let runtime = locked(&self.runtime);
        runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    result = &mut work => return result,
                    () = tokio::time::sleep(TICK) => {
                        if let Some(progress) = locked(&self.latest.0).take() {
                            tell(progress);
                        }
                    }
                }
            }
        })
    }
}

/// A plan, the lines that were told before it, and the values that it needs.
struct Asked {
    preview: Preview,
    answers: oneshot::Sender<Vec<(String, Secret)>>,
}

/// The view, as the verb that installs asks and tells it.
struct View {
    asked: Mutex<Option<oneshot::Sender<Asked>>>,
    told: Mutex<Vec<String>>,
}

impl Sink for View {
    fn tell(&self, told: Told) {
        let (Told::Step(line) | Told::Note(line) | Told::Done(line) | Told::Failed(line)) = told;
        locked(&self.told).push(line);
    }
}

#[async_trait]
impl Ask for View {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn agree(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, AskError> {
        let mut warnings = std::mem::take(&mut *locked(&self.told));
        warnings.extend(
            questions.iter().map(|question| format!("`{}` is not set: you are asked for it next", question.name)),
        );
        let asks = questions.iter().map(|question| aiw_tui::Ask {
            name: question.name.clone(),
            title: question.description.clone().unwrap_or_default(),
        });
        let preview = Preview { lines: plan.about.clone(), warnings, asks: asks.collect() };
        let (answers, given) = oneshot::channel();
        let view = locked(&self.asked).take().ok_or(AskError::NotHere)?;
        view.send(Asked { preview, answers }).map_err(|_| AskError::Declined)?;
        given.await.map_err(|_| AskError::Declined)
    }

    async fn choose(&self, _: &Choice) -> Result<usize, AskError> {
        Err(AskError::NotHere)
    }
}

impl Domain {
    /// Waits for the end of an install, whose line it returns.
    fn ended(
        &self,
        install: JoinHandle<Result<String, BackendError>>,
        tell: &dyn Fn(Progress),
    ) -> Result<String, BackendError> {
        self.block_on(tell, install).unwrap_or_else(|e| Err(BackendError::new(e.to_string())))
    }
}

fn backend_error(error: MarketError) -> BackendError {
    let sentence = match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    };
    BackendError::new(sentence).because(error)
}

/// What a verb told, as the line of the view; what failed is no part of it.
fn line<T>(done: Result<(T, Option<MarketError>), MarketError>, told: &[String]) -> Result<String, BackendError> {
    match done {
        Ok((_, None)) => Ok(told.join("; ")),
        Ok((_, Some(e))) | Err(e) => Err(backend_error(e)),
    }
}

/// Where two servers have one name, the plugin's gets another.
fn request(id: &str) -> PluginRequest {
    PluginRequest { names: vec![id.to_owned()], on_conflict: Some(OnConflict::Rename), ..PluginRequest::default() }
}

impl Backend for Domain {
    fn plugins(&self) -> Result<Vec<Plugin>, BackendError> {
        let found = self.markets.search(&Query { all: true, ..Query::default() }).map_err(backend_error)?;
        Ok(found.plugins.iter().map(plugin).collect())
    }

    fn preview(&self, id: &str, tell: &dyn Fn(Progress)) -> Result<Preview, BackendError> {
        let (sender, asked) = oneshot::channel();
        let (markets, request) = (self.markets.clone(), request(id));
        let view = View { asked: Mutex::new(Some(sender)), told: Mutex::default() };
        let install = async move {
            let done = plugins::install(&markets, &request, &view, &view).await;
            line(done, &locked(&view.told))
        };
        // The one that waited so far is not agreed to any more.
        drop(locked(&self.waiting).take());
        let ended = locked(&self.runtime).spawn(install);
        let Ok(Asked { preview, answers }) = self.block_on(tell, asked) else {
            // It has ended without a question.
            return Err(self.ended(ended, tell).map_or_else(|e| e, BackendError::new));
        };
        *locked(&self.waiting) = Some(Waiting { id: id.to_owned(), answers, ended });
        Ok(preview)
    }

    fn install(&self, id: &str, values: &[(String, String)], tell: &dyn Fn(Progress)) -> Result<String, BackendError> {
        let waiting = locked(&self.waiting).take().filter(|waiting| waiting.id == id);
        let Some(Waiting { answers, ended, .. }) = waiting else {
            return Err(BackendError::new("it was not looked at: press i again"));
        };
        let values = values.iter().map(|(name, value)| (name.clone(), Secret::new(value))).collect();
        // If it is gone, it says why.
        let _ = answers.send(values);
        self.ended(ended, tell)
    }

    fn remove(&self, id: &str, tell: &dyn Fn(Progress)) -> Result<String, BackendError> {
        let heard = Heard::default();
        let done = self.block_on(tell, plugins::remove(&self.markets, &[id.to_owned()], &heard));
        line(done, &heard.lines())
    }

    fn set_enabled(&self, id: &str, enabled: bool) -> Result<String, BackendError> {
        let heard = Heard::default();
        let done = self.block_on(&|_| {}, plugins::switch(&self.markets, &request(id), enabled, &heard));
        line(done, &heard.lines())
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

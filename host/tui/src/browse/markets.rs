//! The plugins of the marketplaces behind the browser: the verbs, and the question of an install.

use std::sync::Arc;
use std::time::Duration;

use aiw_app::ClientSession;
use aiw_app::plugins::{self, PluginRequest};
use aiw_core::{Choice, Plan, PromptError, Prompter, Question, RecordingReporter, Secret};
use aiw_markets::{MarketError, Markets, OnConflict, PluginDetails, PluginMatch, PluginQuery, PluginServerDetails};
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Backend, BackendError, Plugin, PluginServer, Preview};
use crate::progress::{ScreenProgress, error_line};
use crate::screen::StepProgress;

/// The marketplaces of a client.
pub(crate) struct MarketBackend {
    /// Keeps the client session open: the components' reach ends with it.
    _client: Arc<ClientSession>,
    markets: Markets,
    progress: Arc<ScreenProgress>,
    runtime: Mutex<Runtime>,
    /// The install that the user is looking at.
    waiting: Mutex<Option<WaitingInstall>>,
}

/// The preview of an install that is asked about, and where the answer goes.
type AskedPreview = (Preview, oneshot::Sender<GivenSecrets>);

/// The values that the user gives, by name.
type GivenSecrets = Vec<(String, Secret)>;

/// An install that waits for the user's answer.
struct WaitingInstall {
    id: String,
    values: oneshot::Sender<GivenSecrets>,
    ended: JoinHandle<Result<String, BackendError>>,
}

/// How often the view hears of progress.
const FRAME_INTERVAL: Duration = Duration::from_millis(80);

impl MarketBackend {
    pub(crate) fn new(
        client: Arc<ClientSession>,
        markets: Markets,
        progress: Arc<ScreenProgress>,
        runtime: Runtime,
    ) -> Self {
        Self { _client: client, markets, progress, runtime: Mutex::new(runtime), waiting: Mutex::default() }
    }

    fn block_on<T>(&self, tell: &dyn Fn(StepProgress), work: impl Future<Output = T>) -> T {
        let runtime = self.runtime.lock();
        runtime.block_on(async {
            let mut work = std::pin::pin!(work);
            loop {
                tokio::select! {
                    result = &mut work => return result,
                    () = tokio::time::sleep(FRAME_INTERVAL) => {
                        if let Some(progress) = self.progress.latest() {
                            tell(progress);
                        }
                    }
                }
            }
        })
    }
}

/// The view, as the verb that installs asks it.
struct InstallView {
    /// Where the question goes.
    asked: Mutex<Option<oneshot::Sender<AskedPreview>>>,
    heard: Arc<RecordingReporter>,
}

#[async_trait]
impl Prompter for InstallView {
    fn can_ask(&self, _: &[Question]) -> bool {
        true
    }

    async fn confirm(&self, plan: &Plan, questions: &[&Question]) -> Result<GivenSecrets, PromptError> {
        let next = |asked: &&Question| format!("`{}` is not set: you are asked for it next", asked.name);
        let warnings = self.heard.lines().into_iter().chain(questions.iter().map(next)).collect();
        let asks = questions.iter().map(|asked| (*asked).clone()).collect();
        let (sender, given) = oneshot::channel();
        let asked = self.asked.lock().take().ok_or(PromptError::Unsupported)?;
        let preview = Preview { lines: plan.details.clone(), warnings, questions: asks };
        asked.send((preview, sender)).map_err(|_| PromptError::Declined)?;
        given.await.map_err(|_| PromptError::Declined)
    }

    async fn select(&self, _: &Choice) -> Result<usize, PromptError> {
        Err(PromptError::Unsupported)
    }
}

fn backend_error(error: MarketError) -> BackendError {
    error_line(&error).into()
}

/// The line of the view for one that a verb told.
fn line<T>(
    done: Result<(T, Option<MarketError>), MarketError>,
    heard: &RecordingReporter,
) -> Result<String, BackendError> {
    match done {
        Ok((_, None)) => Ok(heard.lines().join("; ")),
        Ok((_, Some(e))) | Err(e) => Err(backend_error(e)),
    }
}

/// Where two servers have one name, the plugin's gets another.
fn request(id: &str) -> PluginRequest {
    PluginRequest { names: vec![id.to_owned()], on_conflict: Some(OnConflict::Rename), ..PluginRequest::default() }
}

impl Backend for MarketBackend {
    fn plugins(&self) -> Result<Vec<Plugin>, BackendError> {
        let found = self.markets.search(&PluginQuery { all: true, ..PluginQuery::default() }).map_err(backend_error)?;
        Ok(found.plugins.iter().map(plugin).collect())
    }

    fn preview(&self, id: &str, tell: &dyn Fn(StepProgress)) -> Result<Preview, BackendError> {
        // The one that waited so far is not agreed to any more.
        drop(self.waiting.lock().take());
        let (sender, asked) = oneshot::channel();
        let (markets, request, heard) = (self.markets.clone(), request(id), Arc::new(RecordingReporter::default()));
        let view = InstallView { asked: Mutex::new(Some(sender)), heard: heard.clone() };
        let install = async move { line(plugins::install(&markets, &request, &view, &*heard).await, &heard) };
        let ended = self.runtime.lock().spawn(install);
        let Ok((preview, given)) = self.block_on(tell, asked) else {
            // It has ended without a question.
            return Err(self.block_on(tell, ended)?.map_or_else(|e| e, BackendError::from));
        };
        *self.waiting.lock() = Some(WaitingInstall { id: id.to_owned(), values: given, ended });
        Ok(preview)
    }

    fn install(&self, id: &str, values: GivenSecrets, tell: &dyn Fn(StepProgress)) -> Result<String, BackendError> {
        let waiting = self.waiting.lock().take().filter(|waiting| waiting.id == id);
        let waiting = waiting.ok_or("it was not looked at: press i again")?;
        // If nobody takes them, the end says why.
        let _ = waiting.values.send(values);
        self.block_on(tell, waiting.ended)?
    }

    fn remove(&self, id: &str, tell: &dyn Fn(StepProgress)) -> Result<String, BackendError> {
        let heard = RecordingReporter::default();
        line(self.block_on(tell, plugins::remove(&self.markets, &[id.to_owned()], &heard)), &heard)
    }

    fn set_enabled(&self, id: &str, enabled: bool) -> Result<String, BackendError> {
        let heard = RecordingReporter::default();
        line(self.block_on(&|_| {}, plugins::switch(&self.markets, &request(id), enabled, &heard)), &heard)
    }
}

fn plugin(found: &PluginMatch) -> Plugin {
    let (listed, PluginDetails { summary, skipped: left_out, .. }) = (&found.listing_entry, PluginDetails::new(found));
    let missing = found.id().into_iter().flat_map(|id| found.missing.iter().map(move |one| one.advice(&id)));
    let server = |server: PluginServerDetails| PluginServer {
        name: server.summary.name,
        transport: server.summary.transport.to_owned(),
        target: server.target,
    };
    Plugin {
        id: summary.id,
        name: summary.name,
        market: summary.marketplace,
        version: summary.version,
        description: summary.description.unwrap_or_default(),
        author: summary.author,
        tags: summary.tags,
        category: summary.category,
        // A broken plugin brings nothing: it is not among those with servers.
        kinds: listed.inspection.as_ref().map(|_| found.kinds()).or_else(|| listed.broken_reason().map(|_| Vec::new())),
        source: summary.source.unwrap_or_default(),
        homepage: listed.entry.text("homepage"),
        servers: summary.mcp_servers.into_iter().flatten().map(server).collect(),
        notes: missing.chain(left_out).collect(),
        broken_reason: listed.broken_reason().map(str::to_owned),
        installed: summary.installed,
        enabled: summary.enabled,
    }
}

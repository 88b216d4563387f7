use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use aiw_home::Home;
use aiw_launch::{Launcher, Session};
use aiw_mcp::{About, Answer, Cancelled, Offer, Tool};
use async_trait::async_trait;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use crate::arguments::Arguments;
use crate::error::{CallError, Unready};
use crate::tasks::Waiting;
use crate::watch::Watch;
use crate::{start, tasks, tools};

/// What CLIs are started with. It is asked for when the first is: a client gives a server no time
/// for it before.
pub trait Means: Send + Sync {
    /// What prepares starts.
    fn launcher(&self) -> Result<Launcher, Unready>;

    /// The executable whose `shim` command supervises tasks, as it is now.
    fn executable(&self) -> Result<PathBuf, Unready>;
}

/// The tools over the tasks of a session.
pub struct Gateway {
    inner: Arc<Inner>,
    tools: Arc<[Tool]>,
    lanes: Lanes,
    watch: Watch,
}

pub(crate) struct Inner {
    pub(crate) home: Home,
    pub(crate) session: Session,
    pub(crate) cwd: PathBuf,
    pub(crate) means: Box<dyn Means>,
    launcher: OnceLock<Launcher>,
}

impl Inner {
    pub(crate) fn launcher(&self) -> Result<&Launcher, CallError> {
        if let Some(launcher) = self.launcher.get() {
            return Ok(launcher);
        }
        // Of two that begin at once, one is used. A failure is tried again by the next.
        let launcher = self.means.launcher()?;
        Ok(self.launcher.get_or_init(|| launcher))
    }
}

impl Gateway {
    /// The tools of a server that stands in a directory and belongs to a session.
    pub fn new(home: Home, session: Session, cwd: PathBuf, means: Box<dyn Means>) -> Self {
        let watch = Watch::new(home.clone());
        let inner = Inner { home, session, cwd, means, launcher: OnceLock::new() };
        Self { inner: Arc::new(inner), tools: tools::all(), lanes: Lanes::new(), watch }
    }

    async fn dispatch(&self, name: &str, given: Map<String, Value>, cancelled: Cancelled) -> Result<Answer, CallError> {
        let inner = self.inner.clone();
        let arguments = Arguments::new(given);
        let lanes = &self.lanes;
        match name {
            tools::LIST_ROLES => blocking(&lanes.look, move || start::list_roles(&inner, arguments)).await,
            tools::START_TASK => {
                let runtime = tokio::runtime::Handle::current();
                blocking(&lanes.start, move || {
                    let request = start::request(&inner, arguments)?;
                    start::start(&inner, &request, &runtime, &cancelled)
                })
                .await
            }
            tools::LIST_TASKS => blocking(&lanes.look, move || tasks::list(&inner, arguments)).await,
            tools::GET_TASK_LOGS => blocking(&lanes.look, move || tasks::logs(&inner, arguments)).await,
            tools::STOP_TASK => blocking(&lanes.stop, move || tasks::stop(&inner, arguments)).await,
            tools::WAIT_TASK => self.wait(arguments, &cancelled).await,
            _ => {
                let tools = self.tools.iter().map(|tool| tool.name().to_owned()).collect();
                Err(CallError::UnknownTool { name: name.to_owned(), tools })
            }
        }
    }

    /// Waits without a thread: a thousand calls may.
    async fn wait(&self, arguments: Arguments, cancelled: &Cancelled) -> Result<Answer, CallError> {
        let received = Instant::now();
        let inner = self.inner.clone();
        let Waiting { id, limit, has_ended } =
            blocking(&self.lanes.wait, move || tasks::begin_wait(&inner, arguments)).await?;
        if !has_ended && !limit.is_zero() {
            let end = self.watch.end(id);
            tokio::select! {
                // Where it can't be watched, the answer says how it stands.
                _ = end => {}
                () = tokio::time::sleep_until((received + limit).into()) => {}
                () = cancelled.nobody_waits() => {
                    return Ok(Answer::error("the call was taken back; the task runs on"));
                }
            }
        }
        let inner = self.inner.clone();
        blocking(&self.lanes.wait, move || tasks::report(&inner, id)).await
    }
}

/// How many calls of a kind may hold a thread at once; the others stand in line without one. The runtime's threads
/// are more than all of these together, so that no kind of call holds up another.
struct Lanes {
    look: Arc<Semaphore>,
    start: Arc<Semaphore>,
    stop: Arc<Semaphore>,
    wait: Arc<Semaphore>,
}

impl Lanes {
    fn new() -> Self {
        let of = |threads| Arc::new(Semaphore::new(threads));
        Self { look: of(32), start: of(32), stop: of(64), wait: of(16) }
    }
}

/// Work over files and shared memory, off the runtime's thread.
async fn blocking<T: Send + 'static>(
    lane: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, CallError> + Send + 'static,
) -> Result<T, CallError> {
    let turn = lane.clone().acquire_owned().await.map_err(|e| CallError::Defect { problem: e.to_string() })?;
    let work = move || {
        let _turn = turn;
        work()
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(e) => Err(CallError::Defect { problem: e.to_string() }),
    }
}

#[async_trait]
impl Offer for Gateway {
    fn about(&self) -> About {
        About {
            name: "aiw".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: tools::INSTRUCTIONS.into(),
        }
    }

    fn tools(&self) -> Arc<[Tool]> {
        self.tools.clone()
    }

    async fn call(&self, name: &str, arguments: Map<String, Value>, cancelled: Cancelled) -> Answer {
        self.dispatch(name, arguments, cancelled).await.unwrap_or_else(|e| Answer::error(e.text()))
    }
}

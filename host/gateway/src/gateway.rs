use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use aiw_home::Home;
use aiw_launch::{Launcher, Session};
use aiw_mcp::{About, Answer, Cancelled, Offer, Tool};
use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::arguments::Arguments;
use crate::error::{CallError, Unready};
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
        let inner = Inner { home, session, cwd, means, launcher: OnceLock::new() };
        Self { inner: Arc::new(inner), tools: tools::all() }
    }

    async fn dispatch(&self, name: &str, given: Map<String, Value>, cancelled: Cancelled) -> Result<Answer, CallError> {
        let inner = self.inner.clone();
        let arguments = Arguments::new(given);
        match name {
            tools::LIST_ROLES => blocking(move || start::list_roles(&inner, arguments)).await,
            tools::START_TASK => {
                let runtime = tokio::runtime::Handle::current();
                blocking(move || {
                    let request = start::request(&inner, arguments)?;
                    start::start(&inner, &request, &runtime, &cancelled)
                })
                .await
            }
            tools::LIST_TASKS => blocking(move || tasks::list(&inner, arguments)).await,
            tools::GET_TASK_LOGS => blocking(move || tasks::logs(&inner, arguments)).await,
            tools::STOP_TASK => blocking(move || tasks::stop(&inner, arguments)).await,
            tools::WAIT_TASK => {
                let flag = Arc::new(AtomicBool::new(false));
                let set = flag.clone();
                let wait = blocking(move || tasks::wait(&inner, arguments, &flag));
                tokio::select! {
                    answer = wait => answer,
                    () = cancelled.nobody_waits() => {
                        // The thread sees it within a second; nobody waits for that either.
                        set.store(true, Ordering::Relaxed);
                        Ok(Answer::error("the call was taken back; the task runs on"))
                    }
                }
            }
            _ => {
                let tools = self.tools.iter().map(|tool| tool.name().to_owned()).collect();
                Err(CallError::UnknownTool { name: name.to_owned(), tools })
            }
        }
    }
}

/// Work over files and shared memory, off the runtime's thread.
async fn blocking(work: impl FnOnce() -> Result<Answer, CallError> + Send + 'static) -> Result<Answer, CallError> {
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

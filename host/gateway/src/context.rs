//! What every tool uses: the home, the session, what starts CLIs, and the threads that calls may hold.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use aiw_home::Home;
use aiw_launch::{Launcher, Session};
use aiw_mcp::Answer;
use aiw_routing::{CurrentMeaning, DynamicToolRegistry, Finder, Pool};
use aiw_tasks::{Scope, Tasks};
use serde::Serialize;
use tokio::sync::{Notify, Semaphore};

use crate::error::{CallError, Unready};
use crate::kept::Kept;
use crate::watch::Watch;

/// Provides what starts CLIs. It is called at the first start, because clients give a server no time for it earlier.
pub trait LaunchSource: Send + Sync {
    /// What prepares starts.
    fn launcher(&self) -> Result<Launcher, Unready>;

    /// The executable whose `shim` command supervises tasks, as it is now.
    fn executable(&self) -> Result<PathBuf, Unready>;
}

pub(crate) struct Context {
    pub(crate) home: Home,
    pub(crate) session: Session,
    pub(crate) cwd: PathBuf,
    pub(crate) source: Box<dyn LaunchSource>,
    pub(crate) lanes: Lanes,
    pub(crate) watch: Watch,
    pub(crate) pool: Pool,
    pub(crate) kept: Kept,
    pub(crate) finder: Finder,
    /// The model in use.
    pub(crate) meaning: Arc<CurrentMeaning>,
    pub(crate) registry: DynamicToolRegistry,
    /// The client has asked for the list of tools.
    pub(crate) listed: Notify,
    launcher: OnceLock<Launcher>,
    everywhere: OnceLock<Tasks>,
    here: OnceLock<Tasks>,
}

impl Context {
    pub(crate) fn new(
        home: Home,
        session: Session,
        cwd: PathBuf,
        source: Box<dyn LaunchSource>,
        pool: Pool,
        registry: DynamicToolRegistry,
        meaning: Arc<CurrentMeaning>,
    ) -> Self {
        let finder = Finder::new(&home, meaning.clone());
        let watch = Watch::new(home.clone());
        Self {
            home,
            session,
            cwd,
            source,
            lanes: Lanes::new(),
            watch,
            pool,
            kept: Kept::default(),
            finder,
            meaning,
            registry,
            listed: Notify::new(),
            launcher: OnceLock::new(),
            everywhere: OnceLock::new(),
            here: OnceLock::new(),
        }
    }

    pub(crate) fn launcher(&self) -> Result<&Launcher, CallError> {
        if let Some(launcher) = self.launcher.get() {
            return Ok(launcher);
        }
        // If two start at once, one is used. After a failure, the next call tries again.
        let launcher = self.source.launcher()?;
        Ok(self.launcher.get_or_init(|| launcher))
    }

    /// The tasks of all sessions. Tasks that were listed before are read again only if they can have changed.
    pub(crate) fn everywhere(&self) -> Result<&Tasks, CallError> {
        self.opened(&self.everywhere, Scope::All)
    }

    /// The tasks of this session.
    pub(crate) fn here(&self) -> Result<&Tasks, CallError> {
        self.opened(&self.here, Scope::Session(self.session.root))
    }

    fn opened<'a>(&self, tasks: &'a OnceLock<Tasks>, scope: Scope) -> Result<&'a Tasks, CallError> {
        if let Some(tasks) = tasks.get() {
            return Ok(tasks);
        }
        let opened = Tasks::open(&self.home, scope)?;
        Ok(tasks.get_or_init(|| opened))
    }
}

/// How many calls of a kind may hold a thread at once; the others queue without one. The runtime has more threads
/// than all of these together, so that no kind of call blocks another.
pub(crate) struct Lanes {
    pub(crate) look: Lane,
    pub(crate) start: Lane,
    pub(crate) stop: Lane,
    pub(crate) wait: Lane,
}

impl Lanes {
    fn new() -> Self {
        let of = |threads| Lane(Arc::new(Semaphore::new(threads)));
        Self { look: of(32), start: of(32), stop: of(64), wait: of(16) }
    }
}

/// The threads of one kind of call.
pub(crate) struct Lane(Arc<Semaphore>);

impl Lane {
    /// Work over files and shared memory, off the runtime's thread.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        let turn = self.0.clone().acquire_owned().await.map_err(|e| CallError::Defect { problem: e.to_string() })?;
        let work = move || {
            let _turn = turn;
            work()
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(answer) => answer,
            Err(e) => Err(CallError::Defect { problem: e.to_string() }),
        }
    }
}

/// What a tool answers, as text and as structure.
pub(crate) fn answer(value: &impl Serialize) -> Result<Answer, CallError> {
    Ok(Answer::of(serde_json::to_value(value).map_err(|e| CallError::Defect { problem: e.to_string() })?))
}

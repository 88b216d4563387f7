//! The parts of the host, each opened once.

use std::sync::{Arc, OnceLock};

use aiw_components::{BundledComponent, Library};
use aiw_core::Reporter;
use aiw_home::{Home, HomeError, Settings};
use aiw_markets::Observer;
use aiw_net::{HttpClient, Trees};
use aiw_orchestrator::{BundledScripts, Orchestrator};
use aiw_wasm::OnCompile;
use aiw_wasm::host::Capabilities;

use crate::components::SharedComponentState;
use crate::feed::Feed;
use crate::planner::Planner;
use crate::{AppError, stable_executable};

/// The host of one process. Each part is opened when it is first asked for.
pub struct App {
    home: Home,
    bundled: &'static [BundledComponent],
    observer: Arc<dyn Observer>,
    client: OnceLock<HttpClient>,
    recovered: OnceLock<()>,
    components: OnceLock<SharedComponentState>,
    library: OnceLock<Library>,
    orchestrator: Orchestrator,
    planner: Planner,
    feed: Feed,
}

impl App {
    /// Returns the host over a home. Nothing is read or written yet. `bundled` are the components inside the binary,
    /// `scripts` is the one that runs scripts, and
    /// `observer` hears of progress.
    pub fn open(
        home: Home,
        bundled: &'static [BundledComponent],
        scripts: BundledScripts,
        observer: Arc<dyn Observer>,
    ) -> Arc<Self> {
        Arc::new(Self {
            orchestrator: Orchestrator::new(home.clone(), scripts),
            feed: Feed::open(&home),
            home,
            bundled,
            observer,
            client: OnceLock::new(),
            recovered: OnceLock::new(),
            components: OnceLock::new(),
            library: OnceLock::new(),
            planner: Planner::default(),
        })
    }

    /// Returns what runs scripts.
    pub fn orchestrator(&self) -> &Orchestrator {
        &self.orchestrator
    }

    /// Returns what is known of the model that plans jobs.
    pub(crate) fn planner(&self) -> &Planner {
        &self.planner
    }

    /// Returns what tells of changes in the home.
    pub fn feed(&self) -> &Feed {
        &self.feed
    }

    /// Returns the home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns the way out to the network.
    pub fn client(&self) -> Result<&HttpClient, AppError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = HttpClient::new()?;
        Ok(self.client.get_or_init(|| client))
    }

    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        self.observer.clone()
    }

    /// Finishes what a command that was killed has left half-done.
    pub(crate) fn recover(&self) -> Result<(), AppError> {
        if self.recovered.get().is_some() {
            return Ok(());
        }
        if self.home.root().is_file() {
            let problem = "is a file where the home directory should be".into();
            return Err(HomeError::Invalid { path: self.home.root().to_owned(), problem }.into());
        }
        self.home.recover()?;
        self.recovered.get_or_init(|| ());
        Ok(())
    }

    /// Returns where git repositories and directories are read.
    pub(crate) fn trees(&self) -> Result<Trees, AppError> {
        let observer = self.observer();
        Ok(Trees::new(self.client()?.clone(), self.home.cache("git")).on_progress(Arc::new(move |p| {
            observer.progress("receiving objects", p.received_objects, p.total_objects);
        })))
    }

    /// Returns what all components of this process share, whoever calls them.
    pub(crate) fn components(&self) -> Result<&SharedComponentState, AppError> {
        if let Some(shared) = self.components.get() {
            return Ok(shared);
        }
        let shared = SharedComponentState::new(&self.home, self.client()?.clone(), self.trees()?);
        Ok(self.components.get_or_init(|| shared))
    }

    /// Returns the library of components, which reach what `capabilities` has. A component is compiled once.
    pub(crate) fn library(&self, capabilities: Capabilities) -> Result<Library, AppError> {
        self.recover()?;
        if let Some(library) = self.library.get() {
            return Ok(library.with_capabilities(capabilities));
        }
        let library = Library::new(self.home.clone(), self.bundled, capabilities.clone())
            .compile_with(stable_executable()?)
            .on_compile(compile_progress(self.observer()));
        Ok(self.library.get_or_init(|| library).with_capabilities(capabilities))
    }
}

/// Returns the settings, for what can do without them: it goes on with none if the file can't be used, and says so.
///
/// # Errors
///
/// Fails if it can't even be known where the settings would be.
pub fn usable_settings(home: &Home, sink: &dyn Reporter) -> Result<Settings, HomeError> {
    let (settings, problem) = home.settings_or_empty()?;
    if let Some(problem) = problem {
        sink.note(format!("{problem}; going on without your settings"));
    }
    Ok(settings)
}

/// Shows which component is compiling. One with a JavaScript engine takes up to a minute.
pub fn compile_progress(observer: Arc<dyn Observer>) -> Arc<OnCompile> {
    Arc::new(move |id, time| observer.progress(&format!("compiling {id}: {} s", time.as_secs()), 0, 0))
}

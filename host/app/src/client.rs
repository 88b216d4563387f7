//! One client of the application.

use std::path::Path;
use std::sync::{Arc, OnceLock, Weak};

use aiw_components::Library;
use aiw_home::{ExecutionContext, Home};
use aiw_launch::{Launcher, ProcessSession, SearchPath, session};
use aiw_markets::Markets;
use aiw_providers::Providers;
use aiw_registries::Registries;
use aiw_routing::{ListingChoice, Pool, Profile, ProfileSource, ServerContext, SharedServers};
use aiw_tasks::{ProcessScope, Tasks};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::app::App;
use crate::components::{LibraryProviders, SessionMcp, SessionTasks};
use crate::gateways::GatewayClient;
use crate::reach::ComponentClient;
use crate::{AppError, old, providers, stable_executable};

/// Returns the directory of the client that uses a home.
pub fn directory(home: &Home) -> Result<&Path, AppError> {
    home.context().directory().map_err(|source| AppError::Directory { source })
}

/// Decides which servers' tools a client with the toolsets of the settings lists.
pub type ListingFn = fn(&ClientSession) -> Vec<ListingChoice>;

/// It depends on aiw's own tools, which the binary knows.
static LISTING: OnceLock<ListingFn> = OnceLock::new();

/// Sets what decides about listings in this process. Without it nothing is known of them.
pub fn set_listing(listing: ListingFn) {
    let _ = LISTING.set(listing);
}

/// One client of the application: a command in a terminal, a screen, or a client of the MCP server. It has a directory,
/// the session that its tasks belong to, and a profile of the servers and tools that it may use. Components that it
/// calls reach what it may reach, and no more.
pub struct ClientSession {
    about: Builder,
    this: Weak<Self>,
    pool: OnceLock<Arc<Pool>>,
    changes: Mutex<Option<mpsc::UnboundedReceiver<()>>>,
    library: OnceLock<Arc<Library>>,
    launcher: OnceLock<Launcher>,
    everywhere: OnceLock<Tasks>,
    tasks: OnceLock<Tasks>,
    notes: Mutex<Vec<String>>,
}

/// A client that is described and not there yet.
#[derive(Clone)]
pub struct Builder {
    app: Arc<App>,
    session: OnceLock<ProcessSession>,
    ground: ServerContext,
    profile: ProfileSource,
    shared: SharedServers,
}

impl Builder {
    /// Gives the client's tasks to a session. Without it, it is the session of this process when it is first asked for.
    #[must_use]
    pub fn session(self, session: ProcessSession) -> Self {
        Self { session: session.into(), ..self }
    }

    /// Restricts the client to a profile, which is asked for again when the settings change.
    #[must_use]
    pub fn profile(self, profile: ProfileSource) -> Self {
        Self { profile, ..self }
    }

    /// Shares servers with other clients of this process.
    #[must_use]
    pub fn shared_servers(self, shared: SharedServers) -> Self {
        Self { shared, ..self }
    }

    /// Returns the client. Nothing is started.
    pub fn build(self) -> Arc<ClientSession> {
        Arc::new_cyclic(|this| ClientSession {
            about: self,
            this: this.clone(),
            pool: OnceLock::new(),
            changes: Mutex::new(None),
            library: OnceLock::new(),
            launcher: OnceLock::new(),
            everywhere: OnceLock::new(),
            tasks: OnceLock::new(),
            notes: Mutex::default(),
        })
    }
}

impl ClientSession {
    /// Returns the client that the application's home was found for. It may use every server and tool.
    pub fn from_app(app: Arc<App>) -> Result<Arc<Self>, AppError> {
        let around = app.home().context().clone();
        Ok(Self::builder(app, around)?.build())
    }

    /// Describes a client by what surrounds it. Without more, it may use every server and tool. Most verbs need no directory,
    /// so that a missing one is not an error yet.
    pub fn builder(app: Arc<App>, around: ExecutionContext) -> Result<Builder, AppError> {
        let (net, executable) = (app.client()?.clone(), stable_executable()?);
        let cwd = around.directory().map_or_else(|_| "/".into(), Path::to_owned);
        let home = app.home().with_context(around);
        let ground = ServerContext { home, net, executable, cwd };
        let profile: ProfileSource = Arc::new(Profile::allow_all);
        Ok(Builder { app, session: OnceLock::new(), ground, profile, shared: SharedServers::default() })
    }

    /// Returns the application.
    pub fn app(&self) -> &App {
        &self.about.app
    }

    /// Returns the home, as this client sees it.
    pub fn home(&self) -> &Home {
        &self.about.ground.home
    }

    /// Returns the session that the client's tasks belong to.
    pub fn session(&self) -> &ProcessSession {
        self.about.session.get_or_init(session)
    }

    /// Returns the client's directory.
    pub fn cwd(&self) -> &Path {
        &self.about.ground.cwd
    }

    /// Returns which servers' tools a client with the toolsets of the settings lists, as far as their tools are known.
    pub fn listing_choices(&self) -> Vec<ListingChoice> {
        LISTING.get().map_or_else(Vec::new, |listing| listing(self))
    }

    /// Returns the MCP servers of the client's directory, as its profile allows them. None is started before it is
    /// needed, and all end with the client.
    pub fn pool(&self) -> &Arc<Pool> {
        self.pool.get_or_init(|| {
            let (sender, receiver) = mpsc::unbounded_channel();
            *self.changes.lock() = Some(receiver);
            Arc::new(Pool::new(
                self.about.ground.clone(),
                self.about.profile.clone(),
                self.about.shared.clone(),
                sender,
            ))
        })
    }

    /// Returns the news that the pool's servers or tools have changed, once.
    pub fn changes(&self) -> Option<mpsc::UnboundedReceiver<()>> {
        self.changes.lock().take()
    }

    /// Returns the components, as this client may use them.
    pub fn library(&self) -> Result<&Arc<Library>, AppError> {
        if let Some(library) = self.library.get() {
            return Ok(library);
        }
        let this: Weak<dyn ComponentClient> = self.this.clone();
        let (tasks, mcp) = (SessionTasks(this.clone()), SessionMcp(this));
        let capabilities = self.app().components()?.capabilities(Arc::new(tasks), Arc::new(mcp));
        let library = Arc::new(self.app().library(capabilities)?);
        Ok(self.library.get_or_init(|| library))
    }

    /// Returns the marketplaces and their plugins. Those of aiw 0.6 are brought up to date first.
    pub fn markets(&self) -> Result<Markets, AppError> {
        // What keeps it from that is told by what reads the files next.
        self.note(old::migrate(self.home()).unwrap_or_default());
        let (library, client) = (self.library()?.clone(), self.app().client()?.clone());
        Ok(Markets::new(self.home().clone(), library, client, self.app().trees()?, self.app().observer()))
    }

    /// Returns the registries of MCP servers.
    pub fn registries(&self) -> Result<Registries, AppError> {
        Ok(Registries::new(self.home().clone(), self.library()?.clone()))
    }

    /// Returns the API providers. A `providers.json` of aiw 0.6 is brought up to date first.
    pub fn providers(&self) -> Result<Providers, AppError> {
        self.app().recover()?;
        self.note(providers::migrate(self.home())?);
        let providers = LibraryProviders::new(self.library()?.clone(), self.app().client()?.clone());
        Ok(Providers::new(self.home().clone(), Arc::new(providers), aiw_launch::apis()))
    }

    /// Returns what the user should know of what was done so far, once.
    pub fn notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock())
    }

    fn note(&self, notes: Vec<String>) {
        self.notes.lock().extend(notes);
    }

    /// Returns what prepares runs of AI CLIs.
    pub fn launcher(&self) -> Result<&Launcher, AppError> {
        if let Some(launcher) = self.launcher.get() {
            return Ok(launcher);
        }
        // After a failure, the next call tries again.
        let launcher =
            Launcher::new(self.home().clone(), SearchPath::from_context(self.home().context()), self.providers()?)
                .with_gateway(Arc::new(GatewayClient::new(self.home().clone())));
        Ok(self.launcher.get_or_init(|| launcher))
    }

    /// Returns the tasks of all sessions. Tasks that were listed before are read again only if they can have changed.
    pub fn all_tasks(&self) -> Result<&Tasks, AppError> {
        self.opened(&self.everywhere, ProcessScope::All)
    }

    /// Returns the tasks of the client's session.
    pub fn tasks(&self) -> Result<&Tasks, AppError> {
        self.opened(&self.tasks, ProcessScope::Root(self.session().root))
    }

    fn opened<'a>(&self, tasks: &'a OnceLock<Tasks>, scope: ProcessScope) -> Result<&'a Tasks, AppError> {
        if let Some(tasks) = tasks.get() {
            return Ok(tasks);
        }
        let opened = Tasks::open(self.home(), scope)?;
        Ok(tasks.get_or_init(|| opened))
    }
}

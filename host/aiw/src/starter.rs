//! Starting CLIs: the launcher with the components, and the tasks of this session.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aiw_core::ErrorKind;
use aiw_core::provider::{CliTarget, Plan, Preset, Profile};
use aiw_core::{ExtensionId, one_line};
use aiw_extensions::World;
use aiw_home::{Home, HomeError, Providers};
use aiw_launch::{AdapterError, Adapters, LaunchError, Launcher, Prepared, Request, Search, Session};
use aiw_tasks::{Keep, Queue, Scope, Task, Tasks};
use aiw_wasm::{CallError, Component, Library, LibraryError};
use async_trait::async_trait;
use tokio::runtime::Runtime;

use crate::components::Host;
use crate::failure::Failure;
use crate::output::Output;

/// Provider components from the library.
pub struct LibraryAdapters(pub Arc<Library>);

impl LibraryAdapters {
    /// All presets with their components; of two with one id the first counts, and those inside
    /// the binary come first. Components that do not answer are left out, each with a sentence.
    pub async fn presets(&self) -> Result<(Vec<(ExtensionId, Preset)>, Vec<String>), AdapterError> {
        let (mut presets, mut problems): (Vec<(ExtensionId, Preset)>, Vec<String>) = Default::default();
        for id in self.0.enabled(World::Provider).map_err(library_error)? {
            match self.of(&id).await {
                Ok(found) => {
                    for preset in found {
                        if !presets.iter().any(|(_, known)| known.id == preset.id) {
                            presets.push((id.clone(), preset));
                        }
                    }
                }
                Err(e) => problems.push(e.message),
            }
        }
        Ok((presets, problems))
    }

    async fn of(&self, id: &ExtensionId) -> Result<Vec<Preset>, AdapterError> {
        Ok(self.component(id).await?.provider_info().await.map_err(call_error)?.presets)
    }

    /// A component by its id.
    pub async fn component(&self, id: &ExtensionId) -> Result<Arc<Component>, AdapterError> {
        self.0.load(id.as_str()).await.map_err(library_error)
    }
}

#[async_trait]
impl Adapters for LibraryAdapters {
    async fn preset(
        &self,
        preset: &str,
        component: Option<&ExtensionId>,
    ) -> Result<(ExtensionId, Preset), AdapterError> {
        let ids = match component {
            Some(id) => vec![id.clone()],
            None => self.0.enabled(World::Provider).map_err(library_error)?,
        };
        let mut problem = None;
        for id in ids {
            match self.of(&id).await {
                Ok(presets) => {
                    if let Some(found) = presets.into_iter().find(|known| known.id == preset) {
                        return Ok((id, found));
                    }
                }
                Err(e) => problem = problem.or(Some(e)),
            }
        }
        // A component that does not answer may be the one.
        Err(problem.unwrap_or_else(|| AdapterError {
            kind: ErrorKind::User,
            message: format!("there is no preset `{}`", one_line(preset, 80)),
            hint: Some("`aiw provider presets` shows them".into()),
        }))
    }

    async fn launch_plan(
        &self,
        component: &ExtensionId,
        profile: &Profile,
        target: &CliTarget,
    ) -> Result<Plan, AdapterError> {
        self.component(component).await?.launch_plan(profile, target).await.map_err(call_error)
    }
}

pub fn library_error(e: LibraryError) -> AdapterError {
    AdapterError { kind: e.kind(), message: e.to_string(), hint: e.hint() }
}

pub fn call_error(e: CallError) -> AdapterError {
    AdapterError { kind: e.kind(), message: e.to_string(), hint: None }
}

/// `providers.json`; one of aiw 0.6 is brought up to date first.
pub fn providers(home: &Home, output: &Output) -> Result<Providers, Failure> {
    match home.providers() {
        Err(HomeError::Old { .. }) => {
            if let Some(done) = home.migrate_providers()? {
                let count = done.providers.len();
                output.note(format!(
                    "providers.json of aiw 0.6 is brought up to date: {count} providers, {} secrets moved to the vault; the old file is `{}`, encrypted",
                    done.secrets.len(),
                    done.backup.display()
                ));
                done.left.iter().for_each(|problem| output.note(problem));
            }
            Ok(home.providers()?)
        }
        providers => Ok(providers?),
    }
}

/// What prepares CLIs, with the home that it reads.
pub fn launcher(output: &Output) -> Result<(Home, Launcher), Failure> {
    let host = Host::open(output)?;
    providers(&host.home, output)?;
    let adapters = Arc::new(LibraryAdapters(host.library.clone()));
    let launcher = Launcher::new(host.home.clone(), Search::from_environment(), adapters);
    Ok((host.home, launcher))
}

/// What starts CLIs.
pub struct Starter {
    pub home: Home,
    launcher: Launcher,
    session: Session,
    runtime: Runtime,
}

impl Starter {
    pub fn open(output: &Output) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::new(ErrorKind::Internal, format!("the runtime does not start: {e}")))?;
        let (home, launcher) = launcher(output)?;
        Ok(Self { home, launcher, session: aiw_launch::session(), runtime })
    }

    pub fn prepare(&self, request: &Request) -> Result<Prepared, LaunchError> {
        self.runtime.block_on(self.launcher.prepare(request))
    }

    pub fn queue(&self) -> Result<Queue, Failure> {
        Ok(Queue { limit: self.home.settings()?.task_limit()?, may_queue: true })
    }

    pub fn start(&self, prepared: Prepared, queue: Queue) -> Result<Task, Failure> {
        Ok(prepared.start(&self.home, &self.session, &own_executable()?, queue)?)
    }

    /// Old tasks go. That this fails is nobody's business.
    pub fn make_room(&self) {
        if let Ok(tasks) = Tasks::open(&self.home, Scope::All) {
            let _ = tasks.prune(Keep::default());
        }
    }
}

/// The executable that shims are started from.
pub fn own_executable() -> Result<PathBuf, Failure> {
    // After an update has replaced it, the same file is still to be had through /proc.
    match std::env::current_exe() {
        Ok(path) if path.is_file() => Ok(path),
        _ if Path::new("/proc/self/exe").exists() => Ok("/proc/self/exe".into()),
        Ok(path) => Err(Failure::new(ErrorKind::Internal, format!("aiw's own file is gone: `{}`", path.display()))),
        Err(e) => Err(Failure::new(ErrorKind::Internal, format!("aiw does not find itself: {e}"))),
    }
}

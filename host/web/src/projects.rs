//! The projects that a page may look at: those that aiw knows, and no other directory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aiw_app::{App, AppError, ClientSession};
use aiw_home::{Home, HomeError, Mode, read_capped, replace};
use aiw_processes::Manager;
use aiw_routing::{Profile, ProfileSource};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// As many clients are kept: each may hold open servers.
const MAX_CLIENTS: usize = 8;

/// The projects of a home
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ProjectList {
    /// Their directories; the first is the one where the dashboard was started
    pub(crate) projects: Vec<String>,
}

/// The directories in which the dashboard was opened, the newest first: its page may look at them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct OpenedDirectories {
    directories: Vec<PathBuf>,
}

impl OpenedDirectories {
    const MAX: usize = 50;

    fn path(home: &Home) -> PathBuf {
        home.web().join("opened.json")
    }

    fn read(home: &Home) -> Vec<PathBuf> {
        let read = || serde_json::from_slice::<Self>(&read_capped(&Self::path(home), 1 << 20).ok()??).ok();
        read().unwrap_or_default().directories
    }

    /// Adds the directory that the home is seen from. Returns it.
    pub(crate) fn add_current(home: &Home) -> Result<Option<PathBuf>, HomeError> {
        let Ok(directory) = home.context().directory() else { return Ok(None) };
        home.make_dir(&home.web())?;
        let _lock = home.lock()?;
        let mut directories = Self::read(home);
        if directories.first().map(PathBuf::as_path) != Some(directory) {
            directories.retain(|known| known != directory);
            directories.insert(0, directory.to_owned());
            directories.truncate(Self::MAX);
            let bytes = serde_json::to_vec(&Self { directories }).unwrap_or_default();
            replace(&Self::path(home), &bytes, Mode::Private)?;
        }
        Ok(Some(directory.to_owned()))
    }
}

/// The clients of projects. The newest is last.
pub(crate) struct Projects {
    app: Arc<App>,
    open: Mutex<Vec<(PathBuf, Arc<ClientSession>)>>,
}

impl Projects {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self { app, open: Mutex::default() }
    }

    fn own(&self) -> PathBuf {
        self.app.home().context().directory().map_or_else(|_| PathBuf::from("/"), PathBuf::from)
    }

    /// Returns the directories of projects.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let own = self.own();
        let mut known: BTreeSet<PathBuf> = self.known().collect();
        known.retain(|path| *path != own && is_project(path));
        std::iter::once(own).chain(known).collect()
    }

    /// The directories that parts of aiw know, each part asked when its turn comes, the quickest first: every request for
    /// a project looks for it here.
    fn known(&self) -> impl Iterator<Item = PathBuf> {
        let home: &Home = self.app.home();
        let trusted = || aiw_app::trust::list(home).map(|list| list.directories).unwrap_or_default();
        let tasks = || aiw_app::tasks::open(home, true).and_then(|tasks| tasks.list()).unwrap_or_default();
        let processes = || {
            let listed = Manager::open_in(home, &self.own()).and_then(|manager| manager.ps(true, false));
            listed.map(|(all, _)| all.processes).unwrap_or_default()
        };
        let past = || aiw_app::history::projects(home).unwrap_or_default();
        let parts: [Box<dyn Fn() -> Vec<PathBuf> + '_>; 5] = [
            Box::new(|| OpenedDirectories::read(home)),
            Box::new(move || trusted().into_iter().map(PathBuf::from).collect()),
            Box::new(move || processes().into_iter().map(|process| PathBuf::from(process.project)).collect()),
            Box::new(move || tasks().into_iter().map(|task| task.cwd).collect()),
            Box::new(move || past().into_iter().map(PathBuf::from).collect()),
        ];
        parts.into_iter().flat_map(|part| part())
    }

    /// Returns a new client in a directory, with a profile.
    pub(crate) fn new_client(&self, path: &Path, profile: ProfileSource) -> Result<Arc<ClientSession>, AppError> {
        let around = self.app.home().context().in_directory(path);
        Ok(ClientSession::builder(self.app.clone(), around)?.profile(profile).build())
    }

    /// Returns the client of a project, or of the one where the dashboard was started. `None` if it is not known.
    pub(crate) fn client(&self, project: Option<&str>) -> Result<Option<Arc<ClientSession>>, AppError> {
        let own = self.own();
        let path = project.map_or_else(|| own.clone(), PathBuf::from);
        if path != own && !(is_project(&path) && self.known().any(|known| known == path)) {
            return Ok(None);
        }
        let mut open = self.open.lock();
        if let Some(at) = open.iter().position(|(known, _)| *known == path) {
            let one = open.remove(at);
            open.push(one.clone());
            return Ok(Some(one.1));
        }
        let client = self.new_client(&path, Arc::new(Profile::allow_all))?;
        if open.len() >= MAX_CLIENTS {
            open.remove(0);
        }
        open.push((path, client.clone()));
        Ok(Some(client))
    }
}

fn is_project(path: &Path) -> bool {
    path.is_absolute() && path.is_dir()
}

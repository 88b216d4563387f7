//! Where everything in `~/.aiw` is.

use std::fs::File;
use std::path::{Path, PathBuf};

use aiw_core::{ExtensionId, MarketName, PluginId};
use tempfile::TempDir;

use crate::{
    Cache, Document, ExclusiveLock, ExecutionContext, ExtensionsLock, HomeError, Lock, ModelsLock, Plugins, Settings,
    Vault, WorkflowsLock, files, try_lock, vault,
};

/// aiw's own directory: `AIW_HOME`, else `~/.aiw`. What it holds is in [`STATE_PATHS`](crate::STATE_PATHS) and docs/files.md.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
    around: ExecutionContext,
}

/// The variable that says whether sessions are kept in the history: `off` keeps those of what is started under it out.
pub const HISTORY_VARIABLE: &str = "AIW_HISTORY";

/// The variable that holds a task's id in the environment of everything the task runs.
pub const TASK_VARIABLE: &str = "AIW_TASK_ID";

/// The file in the directory of a trial that is locked as long as the trial lasts.
pub(crate) const TRIAL_LOCK_FILE: &str = ".held";

/// The lock of all documents.
pub(crate) const LOCK: &str = ".lock";

/// The directory of a trial, which goes when this is dropped.
#[derive(Debug)]
pub struct TrialDir {
    /// Closed before the directory goes: not every system removes an open file.
    _held: Option<File>,
    directory: TempDir,
}

impl TrialDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Home {
    /// The home that a client's variables name, as this client sees it. Nothing is created.
    pub fn find(around: ExecutionContext) -> Result<Self, HomeError> {
        let root = match (around.non_empty_variable("AIW_HOME").map(PathBuf::from), around.user_home()) {
            (Some(root), _) => root,
            (None, Some(home)) => home.join(".aiw"),
            (None, None) => return Err(HomeError::HomeNotFound),
        };
        let root = around.absolute(&root).map_err(|e| HomeError::io("find", &root, e))?;
        Ok(Self::from_root(root).with_context(around))
    }

    /// A home at a given place, as this process sees it.
    pub fn from_root(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        crate::places::register_state_root(&root);
        Self { root, around: ExecutionContext::from_process() }
    }

    /// Returns the same home, as another client sees it.
    #[must_use]
    pub fn with_context(&self, around: ExecutionContext) -> Self {
        Self { root: self.root.clone(), around }
    }

    /// Returns the surroundings of the client that uses the home.
    pub fn context(&self) -> &ExecutionContext {
        &self.around
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// `mcp.json`
    pub fn mcp_path(&self) -> PathBuf {
        self.root.join("mcp.json")
    }

    /// `settings.json`
    pub fn settings_path(&self) -> PathBuf {
        self.root.join("settings.json")
    }

    /// `plugins/`: installed trees by digest.
    pub fn trees(&self) -> PathBuf {
        self.root.join("plugins")
    }

    /// The installed tree of a digest.
    pub fn tree(&self, digest: &str) -> PathBuf {
        self.trees().join(digest)
    }

    /// Where an installed plugin keeps what it writes: `data/<id>`. An id is a valid file name and unique per plugin,
    /// unlike the names that Claude Code's own rule makes.
    pub fn plugin_data(&self, id: &PluginId) -> PathBuf {
        self.root.join("data").join(id.to_string())
    }

    /// The file of a third-party component.
    pub fn extension(&self, id: &ExtensionId, sha256: &str) -> PathBuf {
        self.root.join("extensions").join(format!("{id}-{}.wasm", &sha256[..sha256.len().min(16)]))
    }

    /// `history/`: the index of past sessions.
    pub fn history(&self) -> PathBuf {
        self.root.join("history")
    }

    /// A part of `cache/`.
    pub fn cache(&self, part: &str) -> PathBuf {
        self.root.join("cache").join(part)
    }

    /// The cached listing of a marketplace.
    pub fn market_cache(&self, market: &MarketName) -> PathBuf {
        self.cache("market").join(format!("{market}.json"))
    }

    /// Returns the directory of the dashboard's files: where it is, and digests of its sessions.
    pub fn web(&self) -> PathBuf {
        self.root().join("web")
    }

    /// Returns the directory of the gateway's files.
    pub fn gateway_dir(&self) -> PathBuf {
        self.root().join("gateway")
    }

    /// Returns the directory of the book of usage: one file for each month.
    pub fn usage(&self) -> PathBuf {
        self.root().join("usage")
    }

    /// Returns the path of the seal of the book of usage. It is not among the book's files, so that it does not go with
    /// them.
    pub fn usage_checksums_path(&self) -> PathBuf {
        self.root().join("usage-checksums.json")
    }

    /// A bounded cache of bytes by key.
    pub fn byte_cache(&self, part: &str, quota: u64) -> Cache {
        Cache::new(self.cache(part), quota)
    }

    /// Refuses what something in the home names, if it is not of the home's owner and this is root.
    pub fn check_owner(&self, path: &Path) -> Result<(), HomeError> {
        match crate::places::check_owner(&self.root, path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(HomeError::io("change", path, e)),
            _ => Ok(()),
        }
    }

    /// Creates the home (0700) and a directory inside it.
    pub fn make_dir(&self, path: &Path) -> Result<(), HomeError> {
        files::make_private_dir(&self.root)?;
        files::make_private_dir(path)
    }

    /// A new directory below `parent`, for content that will be renamed into place. [`Home::sweep`] recognizes it by
    /// its name.
    pub fn temporary_dir(&self, parent: &Path) -> Result<TempDir, HomeError> {
        self.make_dir(parent)?;
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
        let dir = crate::nofollow_path(parent).and_then(|_| builder.prefix(".new-").tempdir_in(parent));
        dir.map_err(|e| HomeError::io("create a directory in", parent, e))
    }

    /// A new directory for a server that is tried. [`Home::sweep`] removes it once nobody holds it any more.
    pub fn trial_dir(&self) -> Result<TrialDir, HomeError> {
        let directory = self.temporary_dir(&self.cache("trials"))?;
        let path = directory.path().join(TRIAL_LOCK_FILE);
        let held = try_lock(&path).map_err(|e| HomeError::io("lock", &path, e))?;
        Ok(TrialDir { _held: held, directory })
    }

    /// Takes the lock that every change needs.
    pub fn lock(&self) -> Result<Lock, HomeError> {
        self.make_dir(&self.root)?;
        let lock = Lock::acquire(&self.root.join(LOCK))?;
        crate::journal::complete(&self.journal())?;
        self.remove_orphaned_secrets(&lock);
        self.sweep_if_due(&lock);
        Ok(lock)
    }

    /// Waits for the turn to start something. One process at a time has it, until it is dropped.
    pub fn lock_start(&self) -> Result<ExclusiveLock, HomeError> {
        self.make_dir(&self.root)?;
        ExclusiveLock::acquire(&self.root.join(".turn"))
    }

    /// Waits for the turn to change or refresh a login at an MCP server. It doesn't cover the vault.
    pub fn lock_login(&self, login: &str) -> Result<ExclusiveLock, HomeError> {
        self.make_dir(&self.servers())?;
        ExclusiveLock::acquire(&self.servers().join(format!(".login-{login}.lock")))
    }

    fn journal(&self) -> PathBuf {
        self.root.join(".journal.json")
    }

    /// Returns where a journal is put that makes no sense.
    pub(crate) fn damaged_journal(&self) -> PathBuf {
        crate::journal::damaged_path(&self.journal())
    }

    /// Finishes or forgets what a killed process had started to write. Call it before you read documents or secrets
    /// without the lock; it costs two calls of `stat` if there is nothing to do.
    pub fn recover(&self) -> Result<(), HomeError> {
        if self.journal().exists() || self.has_pending_secrets() { self.lock().map(drop) } else { Ok(()) }
    }

    /// Writes several documents as one: all or none, even across a crash.
    pub fn commit(&self, _lock: &Lock, documents: &[&Document]) -> Result<(), HomeError> {
        crate::journal::commit(&self.journal(), documents)
    }

    /// `settings.json`
    pub fn settings(&self) -> Result<Settings, HomeError> {
        Settings::load(&self.settings_path())
    }

    /// `settings.json` for what goes on without it: that of a home without one, and why, if it can't be used. Not for
    /// what the user restricts there, and never to be saved.
    pub fn settings_or_empty(&self) -> Result<(Settings, Option<HomeError>), HomeError> {
        match self.settings() {
            Ok(settings) => Ok((settings, None)),
            Err(problem) => Ok((self.empty_settings()?, Some(problem))),
        }
    }

    /// The settings of a home that has none.
    pub fn empty_settings(&self) -> Result<Settings, HomeError> {
        Settings::empty(&self.settings_path())
    }

    /// `plugins.json`
    pub fn plugins(&self) -> Result<Plugins, HomeError> {
        Plugins::load(&self.root.join("plugins.json"))
    }

    /// `mcp.json`. The user may put secrets in it, so a new one is private.
    pub fn mcp(&self) -> Result<Document, HomeError> {
        Document::load(&self.mcp_path(), "{\n  \"mcpServers\": {}\n}\n")
    }

    /// `extensions.lock`
    pub fn extensions_lock(&self) -> Result<ExtensionsLock, HomeError> {
        ExtensionsLock::load(&self.root.join("extensions.lock"))
    }

    /// `providers.json`
    pub fn providers_path(&self) -> PathBuf {
        self.root.join("providers.json")
    }

    /// The secrets.
    pub fn vault(&self) -> Vault {
        Vault::new(vault::directory(&self.root))
    }

    /// Reads `models.lock`.
    pub fn models_lock(&self) -> Result<ModelsLock, HomeError> {
        ModelsLock::load(&self.root.join("models.lock"))
    }

    /// `workflows/`: kept scripts.
    pub fn workflows(&self) -> PathBuf {
        self.root.join("workflows")
    }

    /// `workflows.lock`
    pub fn workflows_lock_path(&self) -> PathBuf {
        self.root.join("workflows.lock")
    }

    /// Reads `workflows.lock`.
    pub fn workflows_lock(&self) -> Result<WorkflowsLock, HomeError> {
        WorkflowsLock::load(&self.workflows_lock_path())
    }

    /// `vectors/<owner>/`: the collections of a component.
    pub fn vectors(&self, owner: &ExtensionId) -> PathBuf {
        self.root.join("vectors").join(owner.as_str())
    }

    /// `servers/`: what is known about the MCP servers behind aiw, and what they wrote to standard error.
    pub fn servers(&self) -> PathBuf {
        self.root.join("servers")
    }

    /// `tasks/`: one directory per task.
    pub fn tasks(&self) -> PathBuf {
        self.root.join("tasks")
    }
}

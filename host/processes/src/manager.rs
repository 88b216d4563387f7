//! The processes of one project.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_core::ProcessId;
use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::{Home, Mode};
use aiw_supervisor::{Log, Namespace, ProcessRecord, ProcessScope, Processes, Stream, SupervisedProcess};

use crate::definition::{Definition, DefinitionSource, EventHook, expand_replicas};
use crate::error::{FileProblem, ProcessError};
use crate::file::{self, Definitions, ProcessFile};
use crate::home_definitions;
use crate::parsed;
use crate::project::ProcessProject;
use crate::redacted::redact_line;
use crate::state::{ProcessStatus, RecordLabels, RunState};
use crate::typed::DefinitionSecrets;

/// The word for one of these processes, and the names of their files and variables.
pub(crate) const NAMESPACE: Namespace =
    Namespace::new("processes", "process.json", "process", ["AIW_PROCESS_ID", "AIW_PROCESS_INSTANCE"]);

/// The starters of what the daemon starts, as events say them.
pub(crate) const WATCH_ACTOR: &str = "watch";
pub(crate) const CRON_ACTOR: &str = "cron";

/// The definitions of a project, as they were read once.
#[derive(Debug, Clone, Default)]
pub struct LoadedDefinitions {
    /// All of them, with where they are from. One of the file goes before one of the home.
    pub definitions: BTreeMap<String, (Definition, DefinitionSource)>,
    /// The programs that run when something happens to them.
    pub(crate) hooks: Vec<EventHook>,
    /// The bytes of the file.
    bytes: Option<Vec<u8>>,
    /// Whether the user has allowed the file as it is.
    is_trusted: bool,
}

impl LoadedDefinitions {
    /// Whether the user has to allow the file before anything of it runs.
    pub fn needs_approval(&self) -> bool {
        self.bytes.is_some() && !self.is_trusted
    }

    /// Whether there is a file, and the user has allowed it as it is.
    pub fn is_allowed(&self) -> bool {
        self.bytes.is_some() && self.is_trusted
    }

    pub(crate) fn get(&self, id: &str) -> Option<&(Definition, DefinitionSource)> {
        self.definitions.get(id)
    }

    /// Returns ids, with those of all replicas in place of the id that names them.
    pub(crate) fn expand_replica_ids(&self, names: &[String]) -> Vec<String> {
        let each = names.iter().map(|name| (name, self.replicas(name)));
        each.flat_map(|(name, replicas)| if replicas.is_empty() { vec![name.clone()] } else { replicas }).collect()
    }

    /// Returns the ids of the replicas that an id names.
    fn replicas(&self, name: &str) -> Vec<String> {
        let replicas =
            self.iter().filter(|(_, definition)| definition.copy.as_ref().is_some_and(|copy| copy.of == name));
        replicas.map(|(id, _)| id.clone()).collect()
    }

    /// Returns the processes that are to start at their times when these are named, or when none is.
    pub(crate) fn scheduled_processes(&self, names: &[String]) -> Vec<(&String, &Definition)> {
        self.iter().filter(|(id, definition)| definition.cron.is_some() && definition.is_selected(id, names)).collect()
    }

    /// Returns the definitions alone.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Definition)> {
        self.definitions.iter().map(|(id, (definition, _))| (id, definition))
    }
}

/// As long as this, a file stays as it is once it is written.
const FILE_SETTLE_WINDOW: Duration = Duration::from_millis(100);

/// The supervisor's knowledge of one of these processes.
pub(crate) struct ProcessInfo {
    pub(crate) labels: RecordLabels,
    pub(crate) record: ProcessRecord,
}

/// The project's file before the user edits it.
pub(crate) struct OriginalFile {
    /// Its bytes, if there is one.
    pub bytes: Option<Vec<u8>>,
    pub is_trusted: bool,
}

/// The processes of one project.
#[derive(Debug, Clone)]
pub struct Manager {
    pub(crate) home: Home,
    pub(crate) project: ProcessProject,
    pub(crate) processes: Processes,
    /// The executable whose `shim` command supervises what is started.
    pub(crate) aiw: PathBuf,
    /// The starter, as events say it.
    pub(crate) actor: String,
}

impl Manager {
    /// Returns the processes of a project. Nothing is created until one is started.
    pub fn open(home: &Home, project: ProcessProject) -> Result<Self, ProcessError> {
        let processes = Processes::open(home, NAMESPACE, ProcessScope::Root(project.root()?))?;
        let by = if home.context().variable(EventHook::VARIABLE).is_some() { EventHook::ACTOR } else { "you" };
        Ok(Self { home: home.clone(), project, processes, aiw: "aiw".into(), actor: by.into() })
    }

    /// Opens the processes of a directory's project, after what a command that was cut short left to be done is done.
    pub fn open_in(home: &Home, directory: &Path) -> Result<Self, ProcessError> {
        home.recover()?;
        Self::open(home, ProcessProject::discover(directory)?)
    }

    /// Uses this executable to supervise what is started, in place of the `aiw` of the search path.
    #[must_use]
    pub fn with_executable(self, aiw: PathBuf) -> Self {
        Self { aiw, ..self }
    }

    /// Says of what is started and changed that somebody else than the user at a terminal did it.
    #[must_use]
    pub fn with_actor(self, by: impl Into<String>) -> Self {
        Self { actor: by.into(), ..self }
    }

    /// Whether the daemon starts processes here, by itself.
    pub(crate) fn is_daemon(&self) -> bool {
        [WATCH_ACTOR, CRON_ACTOR].contains(&self.actor.as_str())
    }

    /// Returns the events of the home.
    pub(crate) fn events(&self) -> EventLog {
        EventLog::new(self.home.root())
    }

    /// Adds the event that a definition was added, changed or removed.
    pub(crate) fn log_definition_change(&self, id: &str) {
        self.log_event(EventKind::DefinitionChanged, id, None);
    }

    /// Adds an event of a process.
    pub(crate) fn log_event(&self, kind: EventKind, id: &str, why: Option<String>) {
        let (name, project) = (Some(id.to_owned()), Some(self.project.directory().to_owned()));
        let by = Some(self.actor.clone());
        let event = HomeEvent { name, project, actor: by, reason: why, ..HomeEvent::now(kind, EventSubject::Process) };
        // A full disk must not stop anything.
        let _ = self.events().add(&event);
    }

    /// Returns the home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns the project.
    pub fn project(&self) -> &ProcessProject {
        &self.project
    }

    pub(crate) fn empty_error(&self) -> ProcessError {
        ProcessError::Empty { project: self.project.directory().to_owned() }
    }

    /// Reads all definitions of the project.
    ///
    /// # Errors
    ///
    /// The file can't be used, with the first problem in it.
    pub fn load(&self) -> Result<LoadedDefinitions, ProcessError> {
        self.load_with(self.project.read()?)
    }

    fn load_with(&self, file: Option<Vec<u8>>) -> Result<LoadedDefinitions, ProcessError> {
        let mut loaded = LoadedDefinitions::default();
        for (id, definition) in home_definitions::read(&self.home, &self.project)? {
            loaded.definitions.insert(id, (definition, DefinitionSource::Home));
        }
        if let Some(bytes) = file {
            let ProcessFile { processes, hooks } = self.parse(&bytes)?;
            loaded.hooks = hooks;
            let all = expand_replicas(processes).map_err(|error| self.at_its_process(error, &bytes))?;
            for (id, definition) in all {
                loaded.definitions.insert(id, (definition, DefinitionSource::File));
            }
            loaded.is_trusted = self.is_trusted(&bytes);
            loaded.bytes = Some(bytes);
        }
        match file::check_needs(loaded.iter()) {
            Ok(()) => Ok(loaded),
            Err(error) => Err(self.at_its_need(error, &loaded)),
        }
    }

    /// Names the place in the project's file of a need that can't be met, if it stands there.
    fn at_its_need(&self, error: ProcessError, loaded: &LoadedDefinitions) -> ProcessError {
        let ids: Vec<&str> = match &error {
            ProcessError::MissingDependency { id, needs } => vec![id.as_str(), needs.as_str()],
            ProcessError::Cycle(ids) => ids.iter().map(String::as_str).collect(),
            _ => return error,
        };
        // A copy's id may stand there, or that of all of them.
        let all = |id| loaded.get(id).and_then(|(it, _)| it.copy.as_ref()).map_or(id, |copy| copy.of.as_str());
        let text = loaded.bytes.as_deref().and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default();
        let found = ids.windows(2).find_map(|pair| {
            let (id, need) = (pair[0], pair[1]);
            file::locate_dependency_problem(text, all(id), [need, all(need)], error.to_string())
        });
        match found {
            Some(source) => ProcessError::File { path: self.project.file(), source },
            None => error,
        }
    }

    /// Names the place in the project's file of a process with a problem, if it is defined there.
    fn at_its_process(&self, error: ProcessError, bytes: &[u8]) -> ProcessError {
        let ProcessError::InvalidDefinition { id, .. } = &error else { return error };
        let text = str::from_utf8(bytes).unwrap_or_default();
        match file::locate_process_problem(text, id, error.to_string()) {
            Some(source) => ProcessError::File { path: self.project.file(), source },
            None => error,
        }
    }

    /// Reads the definitions again if the project's file is another one than when it was read last, which may make no
    /// sense. `loaded` keeps its definitions, and counts as read again. A file that can't be read is left to the next
    /// command.
    pub(crate) fn reload(&self, loaded: &mut LoadedDefinitions) -> Option<Result<LoadedDefinitions, ProcessError>> {
        let read = || self.project.read().ok().filter(|now| *now != loaded.bytes);
        let bytes = read()?;
        // Some editors empty a file before they write it.
        std::thread::sleep(FILE_SETTLE_WINDOW);
        if read().as_ref() != Some(&bytes) {
            return None;
        }
        loaded.bytes.clone_from(&bytes);
        loaded.is_trusted = false;
        Some(self.load_with(bytes))
    }

    pub(crate) fn parse(&self, bytes: &[u8]) -> Result<ProcessFile, ProcessError> {
        let text = self.text(bytes)?;
        if let Some(known) = parsed::read(&self.home, &self.project, text) {
            return Ok(known);
        }
        let invalid = |source| ProcessError::File { path: self.project.file(), source };
        let defined = file::parse(text).map_err(invalid)?;
        parsed::store(&self.home, &self.project, text, &defined);
        Ok(defined)
    }

    fn text<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, ProcessError> {
        str::from_utf8(bytes).map_err(|e| {
            let line = bytes[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
            let source = FileProblem { line, column: 1, problem: "this is not UTF-8".into() };
            ProcessError::File { path: self.project.file(), source }
        })
    }

    /// Allows the file as it was loaded.
    pub(crate) fn allow(&self, loaded: &mut LoadedDefinitions) -> Result<(), ProcessError> {
        let Some(bytes) = &loaded.bytes else { return Ok(()) };
        self.allow_bytes(bytes)?;
        loaded.is_trusted = true;
        Ok(())
    }

    /// Whether the user has allowed the file with these bytes. Settings that can't be read allow nothing.
    fn is_trusted(&self, bytes: &[u8]) -> bool {
        self.home.settings().is_ok_and(|settings| settings.trust().has_file(&self.project.file(), bytes))
    }

    fn allow_bytes(&self, bytes: &[u8]) -> Result<(), ProcessError> {
        let lock = self.home.lock()?;
        let mut settings = self.home.settings()?;
        let mut trust = settings.trust();
        if trust.add_file(&self.project.file(), bytes) {
            settings.set_trust(&trust)?;
            settings.save(&lock)?;
        }
        Ok(())
    }

    /// Notes the project's file as an editor gets it.
    ///
    /// # Errors
    ///
    /// The file can't be read, or is not UTF-8.
    pub(crate) fn read_for_edit(&self) -> Result<OriginalFile, ProcessError> {
        let bytes = self.project.read()?;
        let is_trusted = match &bytes {
            // Settings that can't be read can't be told of the new file.
            None => self.home.settings().is_ok(),
            Some(bytes) => {
                // An editor could write something else over what it can't read.
                self.text(bytes)?;
                self.is_trusted(bytes)
            }
        };
        Ok(OriginalFile { bytes, is_trusted })
    }

    pub(crate) fn write_file(
        &self,
        bytes: &[u8],
        is_trusted: bool,
        keys: Option<&DefinitionSecrets>,
    ) -> Result<PathBuf, ProcessError> {
        let path = self.project.file();
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)
                .map_err(|source| ProcessError::Project { path: directory.to_owned(), source })?;
        }
        let write = || Ok(self.home.replace_external(&path, bytes, Mode::Shared)?);
        keys.map_or_else(write, |keys| keys.store(&self.home, &path, write))?;
        if is_trusted {
            self.allow_bytes(bytes)?;
        }
        Ok(path)
    }

    /// Changes the project's file by a function from its text to a new one. If the user has allowed the file before,
    /// the new one is allowed, too: the change was theirs. Returns the file.
    pub(crate) fn edit_file(
        &self,
        change: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<PathBuf, ProcessError> {
        self.change_file(None, |text| change(text).map_err(|problem| self.edit_error(problem)))
    }

    /// Changes the project's file as [`Self::edit_file`] does, by a function that has errors of its own, and stores keys that
    /// the new text names.
    pub(crate) fn change_file(
        &self,
        keys: Option<&DefinitionSecrets>,
        change: impl FnOnce(&str) -> Result<String, ProcessError>,
    ) -> Result<PathBuf, ProcessError> {
        let _turn = self.home.lock_start()?;
        let OriginalFile { bytes, is_trusted } = self.read_for_edit()?;
        let new = change(self.text(bytes.as_deref().unwrap_or_default())?)?;
        self.write_file(new.as_bytes(), is_trusted, keys)
    }

    /// Returns an obstacle to a change of the project's file as an error.
    pub(crate) fn edit_error(&self, problem: String) -> ProcessError {
        ProcessError::File { path: self.project.file(), source: FileProblem { line: 1, column: 1, problem } }
    }

    /// Returns what a process of the project's file has if nothing is said of it.
    pub(crate) fn file_defaults(&self) -> Result<Definition, ProcessError> {
        let bytes = self.project.read()?.unwrap_or_default();
        Ok(file::defaults(self.text(&bytes)?))
    }

    /// Checks that the directory of a process is in the project. It may be made later.
    pub(crate) fn check_cwd(&self, id: &str, definition: &Definition) -> Result<(), ProcessError> {
        match self.cwd(id, definition) {
            Err(error @ ProcessError::OutsideProject { .. }) => Err(error),
            _ => Ok(()),
        }
    }

    /// Keeps the definition of a process in the home, in place of another one unless it is new. Returns the file.
    pub(crate) fn store_definition(
        &self,
        id: &str,
        definition: &Definition,
        is_new: bool,
    ) -> Result<PathBuf, ProcessError> {
        self.check_cwd(id, definition)?;
        let in_file = match self.project.read()? {
            Some(bytes) => self.parse(&bytes)?.processes,
            None => Definitions::new(),
        };
        home_definitions::change(&self.home, &self.project, |kept| {
            if is_new && (kept.contains_key(id) || in_file.contains_key(id)) {
                return Err(ProcessError::AlreadyExists { id: id.to_owned() });
            }
            kept.insert(id.to_owned(), definition.clone());
            file::check(kept.iter().chain(&in_file))
        })?;
        Ok(home_definitions::path(&self.home, &self.project))
    }

    /// Returns all processes of the project, by id: those that are defined, and those that still have a record.
    ///
    /// # Errors
    ///
    /// Neither the definitions nor the records can be read. If only the file makes no sense, [`Self::list_running`]
    /// still answers.
    pub fn list(&self) -> Result<Vec<ProcessStatus>, ProcessError> {
        let loaded = self.load()?;
        self.statuses(&loaded)
    }

    /// Returns processes as they run, for where the project's file can't be used: their definitions are those of their
    /// records, which the user allowed when they were started.
    pub(crate) fn load_running(&self, ids: &[String]) -> Result<LoadedDefinitions, ProcessError> {
        let mut loaded = LoadedDefinitions::default();
        for id in ids {
            let status = self.get(id)?;
            if !status.state.is_alive() {
                return Err(ProcessError::NotRunning { id: id.clone() });
            }
            loaded.definitions.insert(id.clone(), (status.definition, DefinitionSource::Home));
        }
        Ok(loaded)
    }

    /// Returns the processes that have a record, whatever the file says.
    pub fn list_running(&self) -> Result<Vec<ProcessStatus>, ProcessError> {
        self.statuses(&LoadedDefinitions::default())
    }

    /// Returns all processes of the project, given its definitions.
    pub(crate) fn statuses(&self, loaded: &LoadedDefinitions) -> Result<Vec<ProcessStatus>, ProcessError> {
        Ok(self.build_statuses(loaded, self.processes.list()?))
    }

    pub(crate) fn build_statuses(
        &self,
        loaded: &LoadedDefinitions,
        supervised: Vec<SupervisedProcess>,
    ) -> Vec<ProcessStatus> {
        let mut known: BTreeMap<String, ProcessInfo> = BTreeMap::new();
        for one in supervised {
            if let Some(about) = self.about(&one) {
                known.insert(about.name.clone(), ProcessInfo { labels: about, record: one.record });
            }
        }
        let mut all = Vec::new();
        for (id, (definition, source)) in &loaded.definitions {
            all.push(self.status(id, Some((definition.clone(), *source)), known.remove(id)));
        }
        for (id, one) in known {
            let mut status = self.status(&id, None, Some(one));
            status.source = loaded.hooks.iter().any(|hook| hook.id() == id).then_some(DefinitionSource::File);
            all.push(status);
        }
        self.add_hook_problems(loaded, &mut all);
        all.sort_by(|one, other| one.id.cmp(&other.id));
        self.set_next_runs(loaded, &mut all);
        all
    }

    /// Returns ids, with those of all replicas in place of the id that names them.
    pub fn expand_replica_ids(&self, names: &[String]) -> Vec<String> {
        self.load().map_or_else(|_| names.to_vec(), |loaded| loaded.expand_replica_ids(names))
    }

    /// Returns one process.
    pub fn get(&self, id: &str) -> Result<ProcessStatus, ProcessError> {
        // A process that runs is found even if the file makes no sense.
        let loaded = self
            .load()
            .or_else(|e| if self.process_info(id).is_some() { Ok(LoadedDefinitions::default()) } else { Err(e) })?;
        let mut status = self.get_loaded(&loaded, id)?;
        self.set_next_runs(&loaded, std::slice::from_mut(&mut status));
        Ok(status)
    }

    /// Whether a process runs, or will soon.
    pub fn is_alive(&self, id: &str) -> bool {
        self.get(id).is_ok_and(|status| status.state.is_alive())
    }

    pub(crate) fn get_loaded(&self, loaded: &LoadedDefinitions, id: &str) -> Result<ProcessStatus, ProcessError> {
        match (loaded.get(id), self.process_info(id)) {
            (None, None) => Err(self.not_found_error(loaded, id)),
            (defined, known) => Ok(self.status(id, defined.cloned(), known)),
        }
    }

    /// Returns why no process has an id: there is none, or it names replicas.
    pub(crate) fn not_found_error(&self, loaded: &LoadedDefinitions, id: &str) -> ProcessError {
        let replicas = loaded.replicas(id);
        if !replicas.is_empty() {
            return ProcessError::AmbiguousReplica { id: id.to_owned(), replicas };
        }
        let nearest = aiw_core::closest(id, loaded.definitions.keys().map(String::as_str)).map(str::to_owned);
        ProcessError::NotFound { id: aiw_core::one_line(id, 64), project: self.project.directory().to_owned(), nearest }
    }

    /// Returns what the supervisor knows of a process, after it has recorded what dead shims left behind.
    pub(crate) fn process_info(&self, id: &str) -> Option<ProcessInfo> {
        let one = self.processes.get(self.project.process_id(id)).ok()?;
        let about = self.about(&one).filter(|about| about.name == id)?;
        Some(ProcessInfo { labels: about, record: one.record })
    }

    /// Returns what the record of one of this project's processes says.
    fn about(&self, one: &SupervisedProcess) -> Option<RecordLabels> {
        RecordLabels::from_supervised(one).filter(|about| about.project == self.project.directory())
    }

    pub(crate) fn status(
        &self,
        id: &str,
        defined: Option<(Definition, DefinitionSource)>,
        known: Option<ProcessInfo>,
    ) -> ProcessStatus {
        let (definition, source) =
            defined.map_or((None, None), |(definition, source)| (Some(definition), Some(source)));
        let (recorded, record) =
            known.map_or((None, None), |known| (Some(known.labels.definition), Some(known.record)));
        let process = self.project.process_id(id);
        let restart =
            recorded.as_ref().or(definition.as_ref()).map(|definition| definition.restart).unwrap_or_default();
        let state = record.as_ref().map_or(RunState::NotStarted, |record| RunState::new(record, restart));
        let definition = match state.is_alive() {
            true => recorded.or(definition),
            false => definition.or(recorded),
        };
        ProcessStatus {
            id: id.to_owned(),
            project: self.project.directory().to_owned(),
            state,
            definition: definition.unwrap_or_default(),
            source,
            process,
            record,
            last_lines: last_lines(&self.processes, process, state),
            next_run_at: None,
            problem: None,
        }
    }

    /// Returns the supervised processes of all projects.
    pub fn open_all(home: &Home) -> Result<Processes, ProcessError> {
        Ok(Processes::open(home, NAMESPACE, ProcessScope::All)?)
    }

    /// Returns all processes of all projects that have a record.
    ///
    /// # Errors
    ///
    /// The records can't be read.
    pub fn list_all(&self) -> Result<Vec<ProcessStatus>, ProcessError> {
        let processes = Self::open_all(&self.home)?;
        let mut all = Vec::new();
        for one in processes.list()? {
            let Some(about) = RecordLabels::from_supervised(&one) else { continue };
            let (id, project, definition) = (about.name, about.project, about.definition);
            let state = RunState::new(&one.record, definition.restart);
            let (process, record) = (one.record.id, Some(one.record));
            let last_lines = last_lines(&processes, process, state);
            all.push(ProcessStatus {
                id,
                project,
                state,
                definition,
                source: None,
                process,
                record,
                last_lines,
                next_run_at: None,
                problem: None,
            });
        }
        all.sort_by(|one, other| (&one.project, &one.id).cmp(&(&other.project, &other.id)));
        Ok(all)
    }

    /// Returns the log of a process.
    pub fn log(&self, id: &str) -> Result<Log, ProcessError> {
        Ok(self.processes.log(self.find_record(id)?)?)
    }

    /// Removes the record and the log of a process that does not run, if there is one.
    pub(crate) fn remove_record(&self, id: &str) -> Result<(), ProcessError> {
        match self.process_info(id) {
            Some(one) => Ok(self.processes.remove(one.record.id)?),
            None => Ok(()),
        }
    }
}

/// Returns what a process wrote last, if it has failed.
fn last_lines(processes: &Processes, id: ProcessId, state: RunState) -> Vec<String> {
    /// Lines of aiw's own stand among them.
    const MAX_INSPECTED_LINES: usize = 20;
    const MAX_ERROR_LINES: usize = 3;
    if state != RunState::Failed {
        return Vec::new();
    }
    let entries = processes.log(id).ok().and_then(|log| log.tail(MAX_INSPECTED_LINES).ok()).unwrap_or_default();
    let lines = entries.iter().filter(|entry| entry.stream != Stream::Aiw);
    let lines = lines.map(|entry| aiw_core::one_line(&redact_line(&entry.text()), 200));
    let lines: Vec<String> = lines.filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(MAX_ERROR_LINES)..].to_vec()
}

//! Starting processes.

use std::path::PathBuf;
use std::time::Duration;

use aiw_core::{Prompter, Reporter};
use aiw_events::EventSubject;
use aiw_home::{ExclusiveLock, Home, HomeError, check_writable, find_program};
use aiw_supervisor::{
    EventContext, NewProcess, ProcessDependency, ProcessRecord, Program, QueueLimit, RestartRecord, StopOutcome,
    SupervisedProcess,
};

use crate::consent::warn_unenforced_limits;
use crate::definition::{
    Definition, DefinitionSource, Dependency, EventHook, RestartCondition, signal_number, topological_order,
};
use crate::environment::ProcessEnvironment;
use crate::error::ProcessError;
use crate::manager::{LoadedDefinitions, Manager, NAMESPACE, ProcessInfo};
use crate::probe::ProbeDefinition;
use crate::state::{ProcessStatus, RecordLabels};

/// The result of starting a process.
#[derive(Debug, Clone, PartialEq)]
pub struct StartedProcess {
    /// The process.
    pub status: ProcessStatus,
    /// Whether it was started now. Otherwise it ran already.
    pub is_new: bool,
    /// Whether it runs as it was defined before.
    pub is_outdated: bool,
}

/// The results of starting several processes, by id.
pub type StartResults = Vec<(String, Result<StartedProcess, ProcessError>)>;

/// Returns the result of the process that was named, or why what it needs could not be started.
pub fn single_result(id: &str, results: StartResults) -> Result<StartedProcess, ProcessError> {
    let mut last = Err(ProcessError::NotRunning { id: id.to_owned() });
    // What it needs comes before it.
    for (name, result) in results {
        match result {
            Err(error) if !matches!(error, ProcessError::StartSkipped { .. }) => return Err(error),
            result if name == id => last = result,
            _ => {}
        }
    }
    last
}

/// A process that can be started.
pub(crate) struct PreparedStart {
    new: NewProcess,
    program: Program,
    grace: Duration,
}

impl PreparedStart {
    /// Says who starts it.
    fn by(mut self, by: &str) -> Self {
        by.clone_into(&mut self.new.by);
        self
    }

    /// Makes it the program of a hook, which gets the event on its standard input, and reaches the same home.
    pub(crate) fn for_hook(mut self, home: &Home, hook: &EventHook, event: &[u8]) -> Self {
        self.new.timeout = Some(hook.timeout);
        EventHook::ACTOR.clone_into(&mut self.new.by);
        if let Some(announced) = &mut self.new.announced {
            announced.failures_only = true;
        }
        self.program.stdin = [event, b"\n"].concat();
        let own = home.context().select_variables(["AIW_RUNTIME_DIR"]).into_iter();
        let own =
            own.chain([("AIW_HOME".into(), home.root().into()), (EventHook::VARIABLE.into(), hook.on.as_str().into())]);
        self.program.environment.extend(own);
        self
    }

    pub(crate) fn start(self, manager: &Manager, id: &str) -> Result<(), ProcessError> {
        // These processes are few, and each is wanted now.
        let queue = QueueLimit { limit: u32::MAX, may_queue: false };
        let processes = manager.processes.clone().with_grace(self.grace);
        processes.start_named(&manager.aiw, manager.project.process_id(id), self.new, self.program, queue)?;
        Ok(())
    }
}

impl Manager {
    /// Starts processes and what they need, as [`Self::up`] does, after the user has agreed to what the project's file
    /// starts.
    ///
    /// # Errors
    ///
    /// The user declines, there is no such process, or the user has not allowed it.
    pub async fn start(
        &self,
        ids: &[String],
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<StartResults, ProcessError> {
        let loaded = self.load_with_consent(ids, ask, sink).await?;
        let results = self.start_named(&loaded, ids)?;
        self.record_starts(ids, &results);
        Ok(results)
    }

    /// Starts processes and what they need, also those that have their times.
    pub(crate) fn start_named(&self, loaded: &LoadedDefinitions, ids: &[String]) -> Result<StartResults, ProcessError> {
        self.bring_up(loaded, ids, &[])
    }

    /// Stops processes and starts them as they are defined now, after the user has agreed. If the file makes no sense, those
    /// that run are started again as they ran.
    ///
    /// # Errors
    ///
    /// The user declines, or one of them can't be started: then none was stopped.
    pub async fn restart(
        &self,
        ids: &[String],
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<StartResults, ProcessError> {
        let loaded = match self.load() {
            Err(error @ ProcessError::File { .. }) => {
                let Ok(running) = self.load_running(ids) else { return Err(error) };
                sink.note(format!("{error}; they are started again as they ran"));
                warn_unenforced_limits(&running, ids, sink);
                running
            }
            _ => self.load_with_consent(ids, ask, sink).await?,
        };
        let ids = &loaded.expand_replica_ids(ids);
        self.check_start(&loaded, ids)?;
        ids.iter().try_for_each(|id| self.terminate(id, None).map(drop))?;
        self.start_named(&loaded, ids)
    }

    /// Stops what `stop` stops, and starts processes in its place. What can't be started again is not stopped.
    pub(crate) fn replace(
        &self,
        loaded: &LoadedDefinitions,
        starts: &[String],
        stop: impl FnOnce() -> Result<(), ProcessError>,
    ) -> Result<StartResults, ProcessError> {
        self.check_start(loaded, starts)?;
        stop()?;
        if starts.is_empty() { Ok(Vec::new()) } else { self.start_all(loaded, starts) }
    }

    /// Starts processes and what they need, each after what it needs. Without names, it starts those that start by
    /// themselves. Each waits in its own shim for what it needs, so this returns at once. One that can't be started, and what
    /// needs it, holds up no other. One with times starts at these.
    pub fn up(&self, loaded: &LoadedDefinitions, names: &[String]) -> Result<StartResults, ProcessError> {
        let results = self.start_all(loaded, names)?;
        self.record_starts(names, &results);
        Ok(results)
    }

    /// Does what [`Self::up`] does, where nobody chose what is started now: such starts are no habit.
    pub(crate) fn start_all(&self, loaded: &LoadedDefinitions, names: &[String]) -> Result<StartResults, ProcessError> {
        let scheduled = loaded.scheduled_processes(names);
        let mut results = self.bring_up(loaded, names, &scheduled)?;
        for (id, _) in scheduled {
            if !results.iter().any(|(known, _)| known == id) {
                let mut status = self.get_loaded(loaded, id);
                status.iter_mut().for_each(|status| self.set_next_runs(loaded, std::slice::from_mut(status)));
                results.push((
                    id.clone(),
                    status.map(|status| StartedProcess { status, is_new: false, is_outdated: false }),
                ));
            }
        }
        Ok(results)
    }

    fn bring_up(
        &self,
        loaded: &LoadedDefinitions,
        names: &[String],
        scheduled: &[(&String, &Definition)],
    ) -> Result<StartResults, ProcessError> {
        if let Some(unknown) = loaded.expand_replica_ids(names).iter().find(|id| loaded.get(id).is_none()) {
            return Err(self.not_found_error(loaded, unknown));
        }
        let waits = |id: &String| scheduled.iter().any(|(waits, _)| *waits == id);
        let wanted = loaded.iter().filter(|(id, definition)| definition.is_selected(id, names) && !waits(id));
        let wanted = wanted.map(|(id, _)| id.as_str());
        let needs = |id: &str| -> Vec<&str> {
            let needs = loaded.get(id).into_iter().flat_map(|(definition, _)| &definition.needs);
            needs.map(|need| need.id.as_str()).collect()
        };
        let order = topological_order(wanted, &needs)
            .map_err(|circle| ProcessError::Cycle(circle.into_iter().map(str::to_owned).collect()))?;
        let order = order.into_iter().map(|id| Ok((id, self.allowed_definition(loaded, id)?)));
        let order = order.collect::<Result<Vec<_>, ProcessError>>()?;
        scheduled.iter().try_for_each(|(id, _)| self.allowed_definition(loaded, id).map(drop))?;
        // One process at a time decides, so that nothing is started twice.
        let turn = self.turn_after_stops(&order)?;
        if self.is_daemon() && !names.iter().all(|id| self.is_monitored(id)) {
            // Somebody has stopped it while this waited.
            return Ok(StartResults::new());
        }
        let position = self.events().end_offset().unwrap_or(0);
        let mut started = StartResults::new();
        for (id, definition) in order {
            let failed = |need: &&&str| started.iter().any(|(name, result)| name == **need && result.is_err());
            let held_back = needs(id).iter().find(failed).map(|need| (*need).to_owned());
            let result = match held_back {
                Some(need) => Err(ProcessError::StartSkipped { id: id.to_owned(), need }),
                None => {
                    let by = match names {
                        [] if self.actor == "you" => "up",
                        [] => &self.actor,
                        names if definition.is_named(&id.to_owned(), names) => &self.actor,
                        _ => "need",
                    };
                    self.start_one(loaded, id, definition, by)
                }
            };
            started.push((id.to_owned(), result));
        }
        self.monitor(turn, loaded, &started, scheduled, position)?;
        Ok(started)
    }

    /// Starts a process, unless it runs.
    fn start_one(
        &self,
        loaded: &LoadedDefinitions,
        id: &str,
        definition: &Definition,
        by: &str,
    ) -> Result<StartedProcess, ProcessError> {
        let is_new = !self.get_loaded(loaded, id)?.state.is_alive();
        if is_new {
            self.prepare(id, definition, Vec::new())?.by(by).start(self, id)?;
        }
        let status = self.get_loaded(loaded, id)?;
        let is_outdated = !is_new && *definition != status.definition;
        Ok(StartedProcess { status, is_new, is_outdated })
    }

    /// Waits for the turn, and before that for those of these processes that are being stopped: they do not run on, and
    /// only what has ended can be started.
    fn turn_after_stops(&self, order: &[(&str, &Definition)]) -> Result<ExclusiveLock, ProcessError> {
        loop {
            let turn = self.home.lock_start()?;
            let known = order.iter().filter_map(|(id, _)| self.process_info(id));
            let is_stopping =
                |record: &ProcessRecord| record.is_from_current_boot() && self.processes.is_stopping(record);
            let stopping: Vec<_> = known.filter(|known| is_stopping(&known.record)).collect();
            if stopping.is_empty() {
                return Ok(turn);
            }
            drop(turn);
            for ProcessInfo { labels: about, record } in stopping {
                // Who asked may be gone. This waits, resumes what is suspended, and ends a supervisor that hangs.
                let processes = self.processes.clone().with_grace(about.definition.stop.grace);
                if let StopOutcome::Stopping(_) = processes.stop(record.id, true)? {
                    // It is stuck in the kernel.
                    return Ok(self.home.lock_start()?);
                }
            }
        }
    }

    /// Checks that processes can be started, before what stands in their place is stopped.
    fn check_start(&self, loaded: &LoadedDefinitions, ids: &[String]) -> Result<(), ProcessError> {
        for id in ids {
            let definition = self.allowed_definition(loaded, id)?;
            self.prepare(id, definition, Vec::new())?;
        }
        if ids.is_empty() {
            return Ok(());
        }
        check_writable(self.home.root())?;
        let records = self.home.root().join(&*NAMESPACE.directory);
        check_writable(&records)?;
        let mut known = ids.iter().filter_map(|id| self.process_info(id));
        Ok(known.try_for_each(|known| check_writable(&records.join(known.record.id.as_str())))?)
    }

    /// Returns the definition of a process, if the user has allowed it to start.
    pub(crate) fn allowed_definition<'a>(
        &self,
        loaded: &'a LoadedDefinitions,
        id: &str,
    ) -> Result<&'a Definition, ProcessError> {
        match loaded.get(id) {
            None => Err(self.not_found_error(loaded, id)),
            Some((_, DefinitionSource::File)) if loaded.needs_approval() => {
                Err(ProcessError::Untrusted { path: self.project.file() })
            }
            Some((definition, _)) => Ok(definition),
        }
    }

    pub(crate) fn cwd(&self, id: &str, definition: &Definition) -> Result<PathBuf, ProcessError> {
        let Some(path) = &definition.cwd else { return Ok(self.project.directory().to_owned()) };
        let problem = |problem| ProcessError::Directory { id: id.to_owned(), path: path.into(), problem };
        match self.project.resolve_path(id, path) {
            Ok(directory) if directory.is_dir() => Ok(directory),
            Ok(_) => Err(problem("is not a directory")),
            Err(ProcessError::EnvFile { .. }) => Err(problem("is not there")),
            Err(error) => Err(error),
        }
    }

    /// Makes all that a process is started with.
    pub(crate) fn prepare(
        &self,
        id: &str,
        definition: &Definition,
        causes: Vec<RestartRecord>,
    ) -> Result<PreparedStart, ProcessError> {
        let cwd = self.cwd(id, definition)?;
        let environment = ProcessEnvironment::new(&self.home, &self.project, id, definition)?;
        let mut argv = definition.run.argv();
        let name = argv.remove(0);
        let search = environment.variables.get("PATH");
        let path = find_program(&name, search.map(|path| path.as_os_str()), &cwd);
        let path = path.ok_or_else(|| {
            let file = cwd.join(&name);
            match name.contains('/') && file.is_file() {
                true => ProcessError::NotExecutable { id: id.to_owned(), path: file },
                false => ProcessError::ProgramNotFound { id: id.to_owned(), program: name },
            }
        })?;
        let problem = |problem: String| ProcessError::InvalidDefinition { id: id.to_owned(), problem };
        let probe = |probe: &Option<ProbeDefinition>| {
            probe.as_ref().map(ProbeDefinition::to_probe).transpose().map_err(problem)
        };
        let need = |Dependency { id, until }: &Dependency| ProcessDependency {
            id: self.project.process_id(id),
            name: id.clone(),
            until: *until,
        };
        let about = RecordLabels {
            name: id.to_owned(),
            project: self.project.directory().to_owned(),
            definition: definition.clone(),
        };
        let new = NewProcess {
            labels: about.to_labels(),
            label: id.as_bytes().to_vec(),
            restart: definition.restart.supervisor_restart(),
            causes,
            needs: definition.needs.iter().map(need).collect(),
            ready: probe(&definition.ready)?,
            live: probe(&definition.live)?,
            stop_signal: signal_number(&definition.stop.signal).unwrap_or(15),
            success: definition.success.clone(),
            takes_input: definition.accepts_input(),
            restart_on_request: definition.watch.is_some(),
            terminal: definition.terminal,
            log: definition.log,
            announced: Some(EventContext {
                of: EventSubject::Process,
                name: Some(id.to_owned()),
                project: Some(self.project.directory().to_owned()),
                failures_only: false,
            }),
            by: "restart".into(),
            ..NewProcess::new(cwd)
        };
        let program = Program {
            arguments: argv.into_iter().map(Into::into).collect(),
            environment: environment.variables.into_iter().map(|(name, value)| (name.into(), value)).collect(),
            limits: definition.limits.into_limits(),
            secrets: environment.secrets,
            ..Program::new(path)
        };
        Ok(PreparedStart { new, program, grace: definition.stop.grace })
    }

    /// How long it takes until one who stays tries once more to look after what could not be looked after.
    pub const RETRY_DELAY: Duration = Duration::from_secs(1);

    /// Ends and records what dead shims have left behind, and starts again what was lost and is to be started again.
    /// Returns the ids of those. Every command does this; a process that stays does it after each change.
    pub fn reconcile(&self) -> Result<Vec<String>, ProcessError> {
        // A listing that is kept takes a dead supervisor for alive until the system has forgotten it.
        self.look_after_these(&self.processes.list_with_problems()?.0)
    }

    /// Does what [`Self::look_after`] does, and returns the processes with these definitions.
    pub(crate) fn reconciled_statuses(&self, loaded: &LoadedDefinitions) -> Result<Vec<ProcessStatus>, ProcessError> {
        let all = self.processes.list()?;
        // What can't be started again is shown as it is.
        match self.look_after_these(&all) {
            Ok(again) if !again.is_empty() => self.statuses(loaded),
            _ => Ok(self.build_statuses(loaded, all)),
        }
    }

    fn look_after_these(&self, all: &[SupervisedProcess]) -> Result<Vec<String>, ProcessError> {
        let is_lost = |record: &ProcessRecord| {
            record.outcome == Some(aiw_core::ProcessOutcome::Lost) && !record.stopped && record.is_from_current_boot()
        };
        if all.iter().all(|one| one.is_persisted && !is_lost(&one.record)) {
            return Ok(Vec::new());
        }
        if all.iter().any(|one| !one.is_persisted) {
            self.processes.sweep()?;
        }
        // Nothing can be started in a home that can't be written. What was asked may not need that.
        let _turn = match self.home.lock_start() {
            Err(HomeError::Io { .. }) => return Ok(Vec::new()),
            turn => turn?,
        };
        let mut again = Vec::new();
        for one in self.processes.list()? {
            let Some(about) =
                RecordLabels::from_supervised(&one).filter(|about| about.project == self.project.directory())
            else {
                continue;
            };
            let policy = about.definition.restart;
            if !is_lost(&one.record) || policy.when == RestartCondition::No {
                continue;
            }
            let mut causes = one.record.causes.clone();
            if policy
                .max
                .is_some_and(|max| policy.supervisor_restart().count_in_window(&causes, aiw_home::now_millis()) >= max)
            {
                continue;
            }
            causes.push(RestartRecord { time: aiw_home::now_millis(), why: "its supervisor died".into() });
            causes.drain(..causes.len().saturating_sub(aiw_supervisor::MAX_CAUSES));
            self.prepare(&about.name, &about.definition, causes)?.start(self, &about.name)?;
            again.push(about.name);
        }
        Ok(again)
    }
}

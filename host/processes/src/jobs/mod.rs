//! What somebody has to be awake for: files that processes watch, times at which they start, and programs that run when
//! something happens to them. The daemon does it, a thread of which runs [`attend`].

mod engine;
mod hooks;
mod record;
mod restarts;
pub(crate) mod schedule;
pub(crate) mod watched;

use std::path::PathBuf;

use aiw_home::{ExclusiveLock, Home};
use aiw_supervisor::HomeDaemon;
use schemars::JsonSchema;
use serde::Serialize;

pub use engine::run_jobs;
pub(crate) use record::{HookProblem, MonitoredJobs};

use crate::definition::{Definition, DefinitionSource};
use crate::error::ProcessError;
use crate::manager::{LoadedDefinitions, Manager};
use crate::start::{StartResults, StartedProcess};
use crate::state::{ProcessStatus, RunState};

/// A project that the daemon is awake for
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MonitoredProject {
    /// Its directory
    pub project: PathBuf,
    /// The processes whose files are watched
    pub watched: Vec<String>,
    /// The processes that start at their times
    pub scheduled: Vec<String>,
    /// Whether programs run when something happens to its processes
    pub hooks: bool,
}

/// Returns what the daemon is to be awake for, in all projects.
pub fn monitored_projects(home: &Home) -> Vec<MonitoredProject> {
    let of = |one: MonitoredJobs| MonitoredProject {
        project: one.project,
        watched: one.watched.into_iter().collect(),
        scheduled: one.scheduled.into_keys().collect(),
        hooks: one.has_hooks,
    };
    MonitoredJobs::list(home).into_iter().map(of).collect()
}

impl Manager {
    /// Has the daemon attend to processes that were started or are to start at their times, and start it if it is
    /// needed. `position` is that of the first event for which programs are to run. It is noted in the turn in which they were
    /// started: whoever stops them next takes it back.
    pub(crate) fn monitor(
        &self,
        turn: ExclusiveLock,
        loaded: &LoadedDefinitions,
        started: &StartResults,
        scheduled: &[(&String, &Definition)],
        position: u64,
    ) -> Result<(), ProcessError> {
        let is_watched = |id: &str| loaded.get(id).is_some_and(|(definition, _)| definition.watch.is_some());
        let runs =
            |(id, result): &(String, Result<StartedProcess, _>)| (result.is_ok() && is_watched(id)).then(|| id.clone());
        let watched: Vec<String> = started.iter().filter_map(runs).collect();
        let has_hooks = !loaded.hooks.is_empty() && !loaded.needs_approval() && !started.is_empty();
        if watched.is_empty() && scheduled.is_empty() && !has_hooks {
            return Ok(());
        }
        MonitoredJobs::change_locked(&turn, &self.home, &self.project, |monitored| {
            monitored.watched.retain(|id| loaded.get(id).is_none() || is_watched(id));
            monitored.watched.extend(watched);
            for (id, _) in scheduled {
                monitored.scheduled.entry((*id).clone()).or_insert_with(aiw_home::now_millis);
            }
            if has_hooks && !monitored.has_hooks {
                (monitored.has_hooks, monitored.position) = (true, position);
                monitored.hook_problems.clear();
            }
        })?;
        drop(turn);
        Ok(HomeDaemon::ensure_running(&self.home, &self.aiw)?)
    }

    /// Notes which programs of hooks did not run for an event, also those that never ran.
    pub(crate) fn add_hook_problems(&self, loaded: &LoadedDefinitions, all: &mut Vec<ProcessStatus>) {
        if loaded.hooks.is_empty() || loaded.needs_approval() {
            return;
        }
        for (id, problem) in MonitoredJobs::read(&self.home, &self.project).hook_problems {
            let Some(hook) = loaded.hooks.iter().find(|hook| hook.id() == id) else { continue };
            let at = all.iter().position(|status| status.id == id).unwrap_or_else(|| {
                all.push(self.status(&id, Some((hook.definition(), DefinitionSource::File)), None));
                all.len() - 1
            });
            if matches!(problem, HookProblem::NotStarted { .. }) {
                all[at].state = RunState::Failed;
            }
            all[at].problem = Some(problem.to_string());
        }
    }

    /// Notes when processes are started next that have times, and to which the daemon attends.
    pub(crate) fn set_next_runs(&self, loaded: &LoadedDefinitions, all: &mut [ProcessStatus]) {
        let has_times = |status: &&mut ProcessStatus| status.definition.cron.is_some() && status.source.is_some();
        let mut timed = all.iter_mut().filter(has_times).peekable();
        if timed.peek().is_none() || loaded.needs_approval() {
            return;
        }
        let monitored = MonitoredJobs::read(&self.home, &self.project);
        for status in timed.filter(|status| monitored.scheduled.contains_key(&status.id)) {
            let cron = status.definition.cron.as_deref();
            status.next_run_at = cron.and_then(|cron| schedule::next_start(cron, aiw_home::now_millis()));
        }
    }

    /// Whether the daemon still attends to a process. Whoever asks has the home's turn.
    pub(crate) fn is_monitored(&self, id: &str) -> bool {
        let monitored = MonitoredJobs::read(&self.home, &self.project);
        monitored.watched.contains(id) || monitored.scheduled.contains_key(id)
    }

    /// Attends no more to these processes, and with `events` runs no more programs for what happens. Returns those that were
    /// to start at their times.
    pub(crate) fn stop_monitoring(
        &self,
        is_left: impl Fn(&str) -> bool,
        events: bool,
    ) -> Result<Vec<String>, ProcessError> {
        let known = MonitoredJobs::read(&self.home, &self.project);
        let mut scheduled: Vec<String> = known.scheduled.into_keys().filter(|id| is_left(id)).collect();
        if scheduled.is_empty() && !known.watched.iter().any(|id| is_left(id)) && !(events && known.has_hooks) {
            return Ok(scheduled);
        }
        MonitoredJobs::change(&self.home, &self.project, |monitored| {
            monitored.watched.retain(|id| !is_left(id));
            scheduled = monitored.scheduled.extract_if(.., |id, _| is_left(id)).map(|(id, _)| id).collect();
            monitored.has_hooks &= !events;
            if events {
                monitored.hook_problems.clear();
            }
        })?;
        Ok(scheduled)
    }
}

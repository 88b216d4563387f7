//! Programs that run when something happens to a process: one at a time of each, with the event on standard input.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use aiw_core::ProcessState;
use aiw_events::{EventKind, HomeEvent};
use aiw_home::{now_millis, parse_rfc3339};

use super::record::{HookProblem, MonitoredJobs};
use crate::definition::EventHook;
use crate::error::ProcessError;
use crate::manager::{LoadedDefinitions, Manager, WATCH_ACTOR};

/// The most events that wait for their programs.
const MAX_QUEUED_EVENTS: usize = 256;
/// How often it is looked whether a program has ended, while others wait.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long after the end of a program an event may be its doing, in milliseconds. A shim tells the end of a process at once.
const CAUSED_WINDOW_MS: u64 = 500;
/// How long after that a restart may be, by the process's own backoff, or because a file has changed. In milliseconds.
const FOLLOW_UP_WINDOW_MS: u64 = 60_000;

/// The programs of a project, and the events that wait for them.
#[derive(Default)]
pub(super) struct ProjectHooks {
    waiting: VecDeque<(EventHook, Vec<u8>)>,
    /// When the last run of each program began and ended, in milliseconds since 1970.
    runs: BTreeMap<String, (u64, Option<u64>)>,
    /// The processes to which something happened while a program ran, and when.
    touched: BTreeMap<String, u64>,
    /// The events of a process that may be the doing of a program, and for which one ran.
    caused: RateLimiter,
}

/// The events of the last minute, by name: an event that causes itself by a detour must not go on for ever.
#[derive(Default)]
pub(super) struct RateLimiter(Vec<(String, Instant)>);

impl RateLimiter {
    /// The most of one name.
    pub const MAX_PER_MINUTE: usize = 20;

    /// Whether it happened so often that it is not to happen now.
    pub fn is_limited(&mut self, name: &str) -> bool {
        self.0.retain(|(_, at)| at.elapsed() < Duration::from_secs(60));
        self.0.iter().filter(|(known, _)| known == name).count() >= Self::MAX_PER_MINUTE
    }

    pub fn record(&mut self, name: String) {
        self.0.push((name, Instant::now()));
    }
}

impl ProjectHooks {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Notes which programs have ended.
    pub fn record_exits(&mut self, manager: &Manager) {
        for (id, (_, ended)) in self.runs.iter_mut().filter(|(_, (_, ended))| ended.is_none()) {
            let record = manager.process_info(id).map(|one| one.record);
            if record.as_ref().is_none_or(|record| record.state == ProcessState::Ended) {
                *ended = Some(record.and_then(|record| record.ended).unwrap_or_else(now_millis));
            }
        }
        let now = now_millis();
        self.runs.retain(|_, (_, ended)| ended.is_none_or(|ended| ended + FOLLOW_UP_WINDOW_MS >= now));
        self.touched.retain(|_, at| *at + FOLLOW_UP_WINDOW_MS >= now);
    }

    /// Takes an event in. What a program of a hook has started causes no other run.
    pub fn handle_event(
        &mut self,
        event: &HomeEvent,
        loaded: &LoadedDefinitions,
        attended: &mut MonitoredJobs,
        manager: &Manager,
    ) {
        let Some(name) = &event.name else { return };
        if event.kind == EventKind::Started {
            match event.actor.as_deref() {
                Some(EventHook::ACTOR) => drop(attended.by_hooks.insert(name.clone())),
                _ => drop(attended.by_hooks.remove(name)),
            }
        }
        let definition = loaded.get(name).map(|(definition, _)| definition);
        let is_of =
            |of: &String| of == name || definition.is_some_and(|own| own.is_named(name, std::slice::from_ref(of)));
        let is_meant = |hook: &&EventHook| hook.on == event.kind && hook.of.as_ref().is_none_or(is_of);
        let is_hooks_own = name.starts_with(EventHook::PREFIX) || event.actor.as_deref() == Some(EventHook::ACTOR);
        if is_hooks_own || attended.by_hooks.contains(name) {
            return;
        }
        let is_caused = self.may_have_caused(event, name);
        for hook in loaded.hooks.iter().filter(is_meant) {
            let Ok(json) = serde_json::to_vec(event) else { continue };
            let id = hook.id();
            if self.waiting.len() >= MAX_QUEUED_EVENTS {
                let why = format!("{MAX_QUEUED_EVENTS} events wait for the programs of this project already");
                drop_event(&id, why, attended, manager);
            } else if is_caused && self.caused.is_limited(&format!("{id} {name}")) {
                let most = RateLimiter::MAX_PER_MINUTE;
                let why = format!("`{name}` and the programs of hooks seem to go round: {most} times in a minute");
                drop_event(&id, why, attended, manager);
            } else {
                if is_caused {
                    self.caused.record(format!("{id} {name}"));
                }
                self.waiting.push_back((hook.clone(), json));
            }
        }
    }

    /// Whether an event of a process may be the doing of a program: it happened while one ran or soon after, or follows from such
    /// an event.
    fn may_have_caused(&mut self, event: &HomeEvent, name: &str) -> bool {
        let Some(time) = parse_rfc3339(&event.time).and_then(|time| u64::try_from(time).ok()) else { return true };
        let is_within = |window_ms| {
            let mut runs = self.runs.values();
            runs.any(|(began, ended)| *began <= time && ended.is_none_or(|ended| time <= ended + window_ms))
        };
        if is_within(CAUSED_WINDOW_MS)
            || (event.actor.as_deref() == Some(WATCH_ACTOR) && is_within(FOLLOW_UP_WINDOW_MS))
        {
            self.touched.insert(name.to_owned(), time);
            return true;
        }
        let follows = [EventKind::Restarted, EventKind::Started, EventKind::Ready, EventKind::Recovered];
        follows.contains(&event.kind) && self.touched.get(name).is_some_and(|at| time <= at + FOLLOW_UP_WINDOW_MS)
    }

    /// Forgets what waits for programs that are not allowed any more.
    pub fn retain_hooks(&mut self, hooks: &[EventHook]) {
        self.waiting.retain(|(hook, _)| hooks.contains(hook));
    }

    /// Runs what waits and whose program doesn't run.
    pub fn run(&mut self, attended: &mut MonitoredJobs, manager: &Manager) {
        let mut left = VecDeque::new();
        let mut busy: Vec<String> = Vec::new();
        for (hook, json) in std::mem::take(&mut self.waiting) {
            let id = hook.id();
            if busy.contains(&id)
                || manager.process_info(&id).is_some_and(|one| one.record.state != ProcessState::Ended)
            {
                busy.push(id);
                left.push_back((hook, json));
                continue;
            }
            busy.push(id.clone());
            let began = now_millis();
            match manager.run_hook(&hook, &json) {
                Ok(()) => {
                    self.runs.insert(id.clone(), (began, None));
                    let is_over = |problem: &HookProblem| match problem {
                        HookProblem::NotStarted { .. } => true,
                        HookProblem::Dropped { last, .. } => began.saturating_sub(*last) > 60_000,
                    };
                    if attended.hook_problems.get(&id).is_some_and(is_over) {
                        attended.hook_problems.remove(&id);
                    }
                }
                Err(error) => {
                    let problem = HookProblem::NotStarted { why: error.to_string() };
                    manager.clone().with_actor(EventHook::ACTOR).log_event(
                        EventKind::Failed,
                        &id,
                        Some(problem.to_string()),
                    );
                    attended.hook_problems.insert(id, problem);
                }
            }
        }
        self.waiting = left;
    }
}

/// Notes that an event is dropped. The first of some is an event itself.
fn drop_event(id: &str, why: String, attended: &mut MonitoredJobs, manager: &Manager) {
    let last = now_millis();
    if let Some(HookProblem::Dropped { events, why: known, last: at }) = attended.hook_problems.get_mut(id)
        && last.saturating_sub(*at) <= 60_000
    {
        (*events, *known, *at) = (*events + 1, why, last);
        return;
    }
    let dropped = HookProblem::Dropped { events: 1, why: why.clone(), last };
    attended.hook_problems.insert(id.to_owned(), dropped);
    manager.clone().with_actor(EventHook::ACTOR).log_event(EventKind::StartSkipped, id, Some(why));
}

impl Manager {
    /// Starts the program of a hook. It is a process of the project, with a log, and ends in its time.
    fn run_hook(&self, hook: &EventHook, event: &[u8]) -> Result<(), ProcessError> {
        let id = hook.id();
        let _turn = self.home.lock_start()?;
        if !MonitoredJobs::read(&self.home, &self.project).has_hooks {
            return Ok(());
        }
        self.prepare(&id, &hook.definition(), Vec::new())?.for_hook(&self.home, hook, event).start(self, &id)
    }
}

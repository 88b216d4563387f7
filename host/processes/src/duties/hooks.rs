//! Programs that run when something happens to a process: one at a time of each, with the event on standard input.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use aiw_core::ProcessState;
use aiw_events::{EventKind, HomeEvent};

use super::record::Attended;
use crate::definition::{Definition, EventHook, Run};
use crate::error::ProcessError;
use crate::manager::{Loaded, Manager};

/// The most events that wait for their programs.
const WAITING: usize = 64;
/// How often it is looked whether a program has ended, while others wait.
pub(super) const LOOKS: Duration = Duration::from_millis(200);

/// The programs of a project, and the events that wait for them.
#[derive(Default)]
pub(super) struct ProjectHooks {
    waiting: VecDeque<(EventHook, Vec<u8>)>,
    runs: Recent,
}

/// The events of the last minute, by name: an event that causes itself by a detour must not go on for ever.
#[derive(Default)]
pub(super) struct Recent(Vec<(String, Instant)>);

impl Recent {
    /// The most of one name.
    pub const MOST: usize = 20;

    /// Whether it happened so often that it is not to happen now.
    pub fn is_full(&mut self, name: &str) -> bool {
        self.0.retain(|(_, at)| at.elapsed() < Duration::from_secs(60));
        self.0.iter().filter(|(known, _)| known == name).count() >= Self::MOST
    }

    pub fn add(&mut self, name: String) {
        self.0.push((name, Instant::now()));
    }
}

impl ProjectHooks {
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes an event in. What a program of a hook has started causes no other run.
    pub fn hear(&mut self, event: &HomeEvent, loaded: &Loaded, attended: &mut Attended, say: fn(&str)) {
        let Some(name) = &event.name else { return };
        if event.kind == EventKind::Started {
            match event.by.as_deref() {
                Some(EventHook::BY) => drop(attended.by_hooks.insert(name.clone())),
                _ => drop(attended.by_hooks.remove(name)),
            }
        }
        let definition = loaded.get(name).map(|(definition, _)| definition);
        let is_of =
            |of: &String| of == name || definition.is_some_and(|own| own.is_named(name, std::slice::from_ref(of)));
        let is_meant = |hook: &&EventHook| hook.on == event.kind && hook.of.as_ref().is_none_or(is_of);
        if attended.by_hooks.contains(name) || event.by.as_deref() == Some(EventHook::BY) {
            return;
        }
        for hook in loaded.hooks.iter().filter(is_meant) {
            match serde_json::to_vec(event) {
                Ok(json) if self.waiting.len() < WAITING => self.waiting.push_back((hook.clone(), json)),
                _ => say(&format!("`{}` is left out: {WAITING} events wait already", hook.id())),
            }
        }
    }

    /// Forgets what waits for programs that are not allowed any more.
    pub fn keep(&mut self, hooks: &[EventHook]) {
        self.waiting.retain(|(hook, _)| hooks.contains(hook));
    }

    /// Runs what waits and whose program doesn't run.
    pub fn run(&mut self, manager: &Manager, say: fn(&str)) {
        let mut left = VecDeque::new();
        let mut busy: Vec<String> = Vec::new();
        for (hook, json) in std::mem::take(&mut self.waiting) {
            let id = hook.id();
            if busy.contains(&id) || manager.supervised(&id).is_some_and(|one| one.record.state != ProcessState::Ended)
            {
                busy.push(id);
                left.push_back((hook, json));
            } else if self.runs.is_full(&id) {
                say(&format!("`{id}` is left out: it ran {} times in a minute", Recent::MOST));
            } else {
                busy.push(id.clone());
                match manager.run_hook(&hook, &json) {
                    Ok(()) => self.runs.add(id),
                    Err(error) => say(&format!("`{id}` could not be started: {error}")),
                }
            }
        }
        self.waiting = left;
    }
}

impl Manager {
    /// Starts the program of a hook. It is a process of the project, with a log, and ends in its time.
    fn run_hook(&self, hook: &EventHook, event: &[u8]) -> Result<(), ProcessError> {
        let definition =
            Definition { run: Run::Command(hook.command.clone()), auto_start: false, ..Definition::default() };
        let id = hook.id();
        let _turn = self.home.turn()?;
        if !Attended::read(&self.home, &self.project).has_hooks {
            return Ok(());
        }
        self.prepare(&id, &definition, Vec::new())?.for_hook(&self.home, hook, event).start(self, &id)
    }
}

//! Habits: what is usually started after what, at which hour, or after a change, and what fails together. They are found in
//! the starts by somebody, on this machine alone, and suggest a line of the project's file.

mod find;
mod store;

use aiw_core::{Plan, Prompter, one_line, to_visible_line};
use aiw_events::EventKind;
use aiw_home::{HomeError, now_millis, rfc3339};
use schemars::JsonSchema;
use serde::Serialize;

use self::find::{Habit, HabitId, Trigger, find};
use self::store::{StartLog, StartRecord, failures};
use crate::definition::{Definition, DefinitionSource, EventHook};
use crate::error::ProcessError;
use crate::file::{self, Addition, Definitions};
use crate::home_definitions::{self, SuggestionDecisions};
use crate::manager::{LoadedDefinitions, Manager};
use crate::start::StartResults;

/// So many of the events behind a suggestion are shown, the newest ones.
const MAX_SHOWN_EVENTS: usize = 10;

/// Suggestions from what is usually started
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HabitSuggestions {
    /// The suggestions, the surest first
    pub suggestions: Vec<HabitSuggestion>,
}

/// A suggestion
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HabitSuggestion {
    /// Its id
    pub id: String,
    /// The process that is started, or fails
    pub process: String,
    /// The process after which that is so
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The habit, as a sentence
    pub habit: String,
    /// `high` or `low`
    pub confidence_level: String,
    /// How often it was so
    pub times: usize,
    /// How often it could have been
    pub of: usize,
    /// The share that it is at least, with a certainty of 90 %; older ones count less
    pub confidence: f64,
    /// The line that the process gains in `processes.kdl` if you accept
    #[serde(skip_serializing_if = "Option::is_none")]
    pub added_line: Option<String>,
    /// The newest of the starts or failures behind it
    pub events: Vec<HabitEvent>,
}

/// A start or failure
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct HabitEvent {
    /// The time
    pub time: String,
    /// The starter
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Habits that were forgotten
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ForgottenHabits {
    /// The process; null if all of the project
    pub process: Option<String>,
}

impl Manager {
    /// Notes which of these processes somebody has started, and that it was this one.
    pub(crate) fn record_starts(&self, names: &[String], results: &StartResults) {
        let started = results.iter().filter_map(|(id, result)| Some((id, result.as_ref().ok()?)));
        let mut chosen = started.filter(|(id, started)| started.is_new && names.contains(id)).peekable();
        // Settings that can't be read may say that nothing is to be noted.
        if chosen.peek().is_none() || !self.home.settings().is_ok_and(|settings| settings.has_habits()) {
            return;
        }
        let starts = StartLog::new(&self.home);
        for (id, started) in chosen {
            let time = started.status.record.as_ref().map_or_else(now_millis, |record| record.started);
            starts.add(&StartRecord::new(time, self.project.directory(), id, &self.actor));
        }
    }

    /// Returns what habits suggest; after this process, if one is named.
    ///
    /// # Errors
    ///
    /// Habits are switched off, or what is known or defined can't be read.
    pub fn suggestions(&self, after: Option<&str>) -> Result<HabitSuggestions, ProcessError> {
        let loaded = self.load()?;
        let habits = self.habits(&loaded)?;
        let all = habits.into_iter().map(|habit| suggestion(&loaded, habit));
        let suggestions = all.filter(|one| after.is_none_or(|id| one.after.as_deref() == Some(id))).collect();
        Ok(HabitSuggestions { suggestions })
    }

    /// Adds to the project's file what a suggestion says, once the user has seen it.
    ///
    /// # Errors
    ///
    /// There is no such suggestion, it changes nothing of the file, or the user declines.
    pub async fn accept_suggestion(&self, id: &str, ask: &dyn Prompter) -> Result<HabitSuggestion, ProcessError> {
        let loaded = self.load()?;
        let habit = self.habit(&loaded, id)?;
        let process = habit.id.process.clone();
        let addition =
            addition(&loaded, &habit.id).map_err(|why| ProcessError::NothingToAdd { id: id.to_owned(), why })?;
        let mut definitions: Definitions =
            loaded.iter().map(|(id, definition)| (id.clone(), definition.clone())).collect();
        definitions.entry(process.clone()).and_modify(|definition| addition.add_to(definition));
        file::check(&definitions)?;
        let suggestion = suggestion(&loaded, habit);
        let mut plan = Plan::new("Add this to the file?");
        plan.details.push(format!("{}: {} of {} times", suggestion.habit, suggestion.times, suggestion.of));
        let place = match addition {
            Addition::OnFailure { .. } => String::new(),
            _ => format!(" in `{process}`"),
        };
        plan.details.push(format!("`{}` gains{place}:", self.project.display_file()));
        plan.details.push(format!("  {}", to_visible_line(&addition.to_string())));
        plan.add_hidden_bytes(id.as_bytes());
        ask.confirm(&plan, &[]).await.map_err(ProcessError::NotChanged)?;
        self.edit_file(|text| file::extend(text, &process, &addition))?;
        self.log_definition_change(&process);
        self.answer(id, "accepted")?;
        Ok(suggestion)
    }

    /// Makes a suggestion no more.
    ///
    /// # Errors
    ///
    /// There is no such suggestion, or the answer can't be kept.
    pub fn dismiss_suggestion(&self, id: &str) -> Result<HabitSuggestion, ProcessError> {
        let loaded = self.load()?;
        let habit = self.habit(&loaded, id)?;
        self.answer(id, "dismissed")?;
        Ok(suggestion(&loaded, habit))
    }

    /// Forgets the starts of a process of this project, or of all, and what the user said to suggestions about it.
    ///
    /// # Errors
    ///
    /// The process is unknown, or the files can't be read or written.
    pub fn forget_habits(&self, process: Option<&str>) -> Result<ForgottenHabits, ProcessError> {
        if let Some(id) = process {
            file::check_id(id)?;
            if !self.is_known(id)? {
                return Err(ProcessError::HabitsNotFound { id: id.to_owned() });
            }
        }
        let starts = StartLog::new(&self.home);
        let forgotten = starts.remove(self.project.directory(), process);
        forgotten.map_err(|e| HomeError::io("write", starts.directory(), e))?;
        let now = now_millis();
        let is_about = |id: &HabitId| process.is_none_or(|process| id.is_about(process));
        home_definitions::update_decisions(&self.home, &self.project, |SuggestionDecisions { said, forgotten }| {
            said.retain(|id, _| id.parse().is_ok_and(|id| !is_about(&id)));
            match process {
                // An id has at least one letter.
                None => *forgotten = [(String::new(), now)].into(),
                Some(process) => drop(forgotten.insert(process.to_owned(), now)),
            }
        })?;
        Ok(ForgottenHabits { process: process.map(str::to_owned) })
    }

    /// Whether a process is defined, or something is noted of it that can be forgotten.
    fn is_known(&self, process: &str) -> Result<bool, ProcessError> {
        // A file that makes no sense keeps nothing from being forgotten.
        let is_named = |(id, definition): (&String, &Definition)| definition.is_named(id, &[process.to_owned()]);
        if self.load().is_ok_and(|loaded| loaded.iter().any(is_named)) {
            return Ok(true);
        }
        let (starts, project) = (StartLog::new(&self.home), self.project.directory());
        let all = starts.read_all().map_err(|e| HomeError::io("read", starts.directory(), e))?;
        let is_answered = |id: &String| id.parse().is_ok_and(|id: HabitId| id.is_about(process));
        Ok(all.iter().any(|start| start.project == project && start.process == process)
            || home_definitions::read_decisions(&self.home, &self.project)?.said.keys().any(is_answered)
            || self.failures()?.iter().any(|(_, id)| id == process))
    }

    /// Returns the failures of processes that were not forgotten, as [`failures`] does.
    fn failures(&self) -> Result<Vec<(u64, String)>, ProcessError> {
        let SuggestionDecisions { forgotten, .. } = home_definitions::read_decisions(&self.home, &self.project)?;
        let found = failures(&self.home, self.project.directory());
        let mut found = found.map_err(|e| HomeError::io("read", self.home.root(), e))?;
        found.retain(|(time, id)| ["", id].iter().all(|id| forgotten.get(*id).is_none_or(|since| time > since)));
        Ok(found)
    }

    fn answer(&self, id: &str, word: &str) -> Result<(), ProcessError> {
        home_definitions::update_decisions(&self.home, &self.project, |answers| {
            answers.said.insert(id.to_owned(), word.to_owned());
        })
    }

    /// Returns the habits of processes that are defined, but for those that the user has answered or the definitions say.
    fn habits(&self, loaded: &LoadedDefinitions) -> Result<Vec<Habit>, ProcessError> {
        if !self.home.settings()?.has_habits() {
            return Err(ProcessError::HabitsDisabled);
        }
        let (starts, project) = (StartLog::new(&self.home), self.project.directory());
        let all = starts.read_all().map_err(|e| HomeError::io("read", starts.directory(), e))?;
        let SuggestionDecisions { said, .. } = home_definitions::read_decisions(&self.home, &self.project)?;
        let mut habits = find(&all, project, &self.failures()?, now_millis());
        habits.retain(|habit| {
            let HabitId { trigger: cue, process } = &habit.id;
            let is_defined =
                [Some(process.as_str()), cue.process()].into_iter().flatten().all(|id| loaded.get(id).is_some());
            let is_said = match cue {
                Trigger::AfterFailure(of) => starts_on_failure(loaded, of, process),
                cue => cue.process().is_some_and(|cue| needs(loaded, process, cue) || needs(loaded, cue, process)),
            };
            is_defined && !is_said && !said.contains_key(&habit.id.to_string())
        });
        Ok(habits)
    }

    fn habit(&self, loaded: &LoadedDefinitions, id: &str) -> Result<Habit, ProcessError> {
        let habit = self.habits(loaded)?.into_iter().find(|habit| habit.id.to_string() == id);
        habit.ok_or_else(|| ProcessError::SuggestionNotFound { id: id.to_owned() })
    }
}

impl HabitId {
    /// Whether a process has to do with it.
    fn is_about(&self, process: &str) -> bool {
        self.process == process || self.trigger.process() == Some(process)
    }
}

impl Trigger {
    /// Returns the process that it is about.
    pub(crate) fn process(&self) -> Option<&str> {
        match self {
            Self::AfterStart(id) | Self::CascadingFailure(id) | Self::AfterFailure(id) => Some(id),
            Self::Hour { .. } | Self::Branch | Self::Directory => None,
        }
    }
}

/// Whether a program of the file names a process when another one has failed.
fn starts_on_failure(loaded: &LoadedDefinitions, of: &str, process: &str) -> bool {
    let is_meant = |hook: &&EventHook| hook.on == EventKind::Failed && hook.of.as_deref().is_none_or(|own| own == of);
    loaded.hooks.iter().filter(is_meant).any(|hook| hook.command.iter().any(|word| word == process))
}

/// Whether a process needs another one, also by way of others. Loaded definitions need each other in no circle.
fn needs(loaded: &LoadedDefinitions, process: &str, other: &str) -> bool {
    let mut left = vec![process];
    let mut seen = Vec::new();
    while let Some(id) = left.pop() {
        let Some((definition, _)) = loaded.get(id).filter(|_| !seen.contains(&id)) else { continue };
        seen.push(id);
        left.extend(definition.needs.iter().map(|need| need.id.as_str()));
        if definition.needs.iter().any(|need| need.id == other) {
            return true;
        }
    }
    false
}

/// Returns what a habit adds to the project's file, or why it adds nothing.
fn addition(loaded: &LoadedDefinitions, HabitId { trigger: cue, process }: &HabitId) -> Result<Addition, String> {
    match (cue.process(), loaded.get(process)) {
        (_, None) => Err(format!("there is no process `{process}`")),
        (_, Some((_, DefinitionSource::Home))) => Err(format!("`{process}` is not defined in the project's file")),
        (None, Some((Definition { auto_start: true, .. }, _))) => {
            Err(format!("`aiw up` starts `{process}` already when it is not named"))
        }
        (None, Some(_)) => Ok(Addition::AutoStart),
        (Some(of), Some(_)) if matches!(cue, Trigger::AfterFailure(_)) => {
            Ok(Addition::OnFailure { of: of.to_owned(), process: process.clone() })
        }
        (Some(cue), Some(_)) => Ok(Addition::Dependency(cue.to_owned())),
    }
}

fn suggestion(loaded: &LoadedDefinitions, habit: Habit) -> HabitSuggestion {
    let HabitId { trigger: cue, process } = &habit.id;
    let sentence = match cue {
        Trigger::AfterStart(id) => format!("`{process}` is started after `{id}`"),
        Trigger::CascadingFailure(id) => format!("`{process}` fails after `{id}` has failed"),
        Trigger::AfterFailure(id) => format!("`{process}` is started after `{id}` has failed"),
        Trigger::Hour { weekend: false, hour } => {
            format!("`{process}` is started on weekdays from {hour}:00 to {hour}:59")
        }
        Trigger::Hour { weekend: true, hour } => {
            format!("`{process}` is started on weekends from {hour}:00 to {hour}:59")
        }
        Trigger::Branch => format!("`{process}` is started after another branch was checked out"),
        Trigger::Directory => format!("`{process}` is started first when you come from another project"),
    };
    let newest = habit.occurrences.len().saturating_sub(MAX_SHOWN_EVENTS);
    let event = |(time, by): &(u64, Option<String>)| HabitEvent { time: rfc3339(*time), by: by.clone() };
    HabitSuggestion {
        id: habit.id.to_string(),
        process: process.clone(),
        after: cue.process().map(str::to_owned),
        habit: one_line(&sentence, 400),
        confidence_level: if habit.is_suggested() { "high" } else { "low" }.to_owned(),
        times: habit.occurrence_count,
        of: habit.opportunities,
        confidence: (habit.confidence * 100.0).round() / 100.0,
        added_line: addition(loaded, &habit.id).ok().map(|addition| addition.to_string()),
        events: habit.occurrences[newest..].iter().map(event).collect(),
    }
}

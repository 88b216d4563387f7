//! Changing the definition of a process by a form: what a form says of it, and what it becomes.

use std::collections::BTreeMap;

use aiw_core::{Effect, Plan, Prompter, is_credential, one_line, to_visible_line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use aiw_supervisor::DependencyCondition;

use crate::consent::describe;
use crate::define::parse_restart_condition;
use crate::definition::{
    CommandSpec, Definition, DefinitionSource, Dependency, EnvValue, RestartCondition, expand_replicas,
};
use crate::error::ProcessError;
use crate::file::{self, Definitions};
use crate::home_definitions;
use crate::manager::Manager;
use crate::typed::{Author, DefinitionSecrets};

/// A definition as a form shows it: no value of a variable is in it
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct EditableProcess {
    /// The id; of replicas, that of all of them
    pub id: String,
    /// Where its definition is: `file` or `home`
    #[schemars(with = "String")]
    pub source: DefinitionSource,
    /// The program and its arguments; with `shell`, one line. `[secret]` stands for what looks like a secret
    pub command: Vec<String>,
    /// Whether a shell reads the command
    pub shell: bool,
    /// Its directory in the project
    pub cwd: Option<String>,
    /// Its variables by name, each with the name of the secret that is its value, if it is one
    pub env: BTreeMap<String, Option<String>>,
    /// `no`, `on-failure`, `always` or `unless-stopped`
    #[schemars(with = "String")]
    pub restart: RestartCondition,
    /// The ids of the processes that it needs
    pub needs: Vec<String>,
    /// Whether `aiw up` starts it when it is not named
    pub auto_start: bool,
    /// How many replicas of it there are, `ID-1` and so on; null if it is a process of its own
    pub replicas: Option<u32>,
}

/// A change of a definition by the user. What is absent stays as it is
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProcessEdit {
    /// The program and its arguments; with `shell`, one line
    pub command: Option<Vec<String>>,
    /// Whether a shell reads the command, which is then given too
    #[serde(default)]
    pub shell: bool,
    /// Its directory in the project; an empty one is the project's
    pub cwd: Option<String>,
    /// Variables that get another value, or none: null removes one. `secret:NAME` is taken from the vault, and a key goes there
    #[serde(default)]
    pub env: BTreeMap<String, Option<String>>,
    /// When it is started again: no, on-failure, always, unless-stopped
    pub restart: Option<String>,
    /// Ids of processes that must run before it starts
    pub needs: Option<Vec<String>>,
    /// Whether `aiw up` starts it when it is not named
    pub auto_start: Option<bool>,
}

/// A definition after a form changed it
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EditedProcess {
    /// The id
    pub id: String,
    /// Whether it says something else now
    pub changed: bool,
}

/// A definition as it is written, with where.
struct WrittenDefinition {
    id: String,
    definition: Definition,
    source: DefinitionSource,
    /// All that are written there.
    beside: Definitions,
}

impl ProcessEdit {
    fn apply(&self, written: &WrittenDefinition, keys: &mut DefinitionSecrets) -> Result<Definition, String> {
        let mut new = written.definition.clone();
        if let Some(words) = &self.command {
            new.run = match (self.shell, words.as_slice()) {
                (false, words) => CommandSpec::Command(words.to_vec()),
                (true, [line]) => CommandSpec::Shell(line.clone()),
                (true, _) => return Err("is run by a shell, which takes one word: put it in quotes".into()),
            };
            if new.has_redacted_values() {
                return Err("has `[secret]` in place of a value: write the value, or leave the command as it is".into());
            }
        }
        if let Some(cwd) = &self.cwd {
            new.cwd = Some(cwd.clone()).filter(|cwd| !cwd.is_empty());
        }
        // As in `aiw process add`, only the file's definitions may name secrets.
        let author = if written.source == DefinitionSource::File { Author::User } else { Author::Model };
        for (name, value) in &self.env {
            match value {
                // A model could have its process print it.
                Some(text) if author == Author::Model && !text.is_empty() && is_credential(name, text) => {
                    let name = one_line(name, 60);
                    return Err(format!("can't have the key in `{name}`: a model defined it, so it names no secrets"));
                }
                Some(text) => drop(new.env.insert(name.clone(), keys.resolve_value(author, name, text)?)),
                None => drop(new.env.remove(name)),
            }
        }
        if let Some(when) = &self.restart {
            new.restart.when = parse_restart_condition(when)?;
        }
        if let Some(needs) = &self.needs {
            let known = |id: &String| new.needs.iter().find(|need| need.id == *id).cloned();
            let need = |id: &String| {
                known(id).unwrap_or_else(|| Dependency { id: id.clone(), until: DependencyCondition::Ready })
            };
            new.needs = needs.iter().map(need).collect();
        }
        new.auto_start = self.auto_start.unwrap_or(new.auto_start);
        new.check()?;
        Ok(new)
    }
}

impl Manager {
    /// Returns the definition of a process as a form shows it. Copies have one, by the name of all and by that of each.
    ///
    /// # Errors
    ///
    /// There is no such process, or nothing defines it any more.
    pub fn editable_process(&self, id: &str) -> Result<EditableProcess, ProcessError> {
        let WrittenDefinition { id, definition, source, .. } = self.written(id)?;
        let (command, shell) = match definition.run.redacted() {
            CommandSpec::Command(words) => (words, false),
            CommandSpec::Shell(line) => (vec![line], true),
        };
        let secret = |value: &EnvValue| match value {
            EnvValue::Secret(name) => Some(name.to_string()),
            EnvValue::Literal(_) => None,
        };
        let env = definition.env.iter().map(|(name, value)| (name.clone(), secret(value))).collect();
        let needs = definition.needs.iter().map(|need| need.id.clone()).collect();
        let Definition { cwd, auto_start, replicas, .. } = definition;
        let restart = definition.restart.when;
        Ok(EditableProcess { id, source, command, shell, cwd, env, restart, needs, auto_start, replicas })
    }

    /// Changes the definition of a process where it is written, once the user has seen what it becomes. What runs goes
    /// on as it was defined before. It is named as for [`Self::editable_process`].
    ///
    /// # Errors
    ///
    /// It is not defined, could not be read any more, was changed by somebody else meanwhile, or the user declines.
    pub async fn edit_process(
        &self,
        id: &str,
        edit: &ProcessEdit,
        ask: &dyn Prompter,
    ) -> Result<EditedProcess, ProcessError> {
        let written = self.written(id)?;
        let problem = |problem: String| ProcessError::InvalidDefinition { id: written.id.clone(), problem };
        let mut keys = DefinitionSecrets::new(&self.home, &written.id);
        let new = edit.apply(&written, &mut keys).map_err(problem)?;
        let WrittenDefinition { id, definition: old, source, mut beside } = written;
        if new == old {
            return Ok(EditedProcess { id, changed: false });
        }
        self.check_cwd(&id, &new)?;
        beside.insert(id.clone(), new.clone());
        self.check_whole(beside, source)?;
        let mut plan = self.edit_plan(&id, &old, &new, source);
        keys.bind_to_plan(&mut plan);
        ask.confirm(&plan, &[]).await.map_err(ProcessError::NotChanged)?;
        match source {
            DefinitionSource::File => {
                let meanwhile = || ProcessError::ConcurrentChange { path: self.project.file() };
                let change = |text: &str| file::replace_definition(text, &id, &old, &new);
                self.change_file(Some(&keys), |text| {
                    change(text).map_err(|problem| self.edit_error(problem))?.ok_or_else(meanwhile)
                })?;
            }
            DefinitionSource::Home => {
                let path = home_definitions::path(&self.home, &self.project);
                home_definitions::change(&self.home, &self.project, |kept| {
                    if kept.get(&id) != Some(&old) {
                        return Err(ProcessError::ConcurrentChange { path });
                    }
                    kept.insert(id.clone(), new);
                    Ok(())
                })?;
            }
        }
        self.log_definition_change(&id);
        Ok(EditedProcess { id, changed: true })
    }

    fn written(&self, id: &str) -> Result<WrittenDefinition, ProcessError> {
        let loaded = self.load()?;
        let kept = home_definitions::read(&self.home, &self.project)?;
        let in_file = match self.project.read()? {
            Some(bytes) => self.parse(&bytes)?.processes,
            None => Definitions::new(),
        };
        let id = match loaded.get(id) {
            Some((definition, _)) => definition.copy.as_ref().map_or(id, |copy| copy.of.as_str()).to_owned(),
            // All replicas have one definition, whose name no process has.
            None if in_file.contains_key(id) => id.to_owned(),
            None => self.get_loaded(&loaded, id)?.id,
        };
        for (source, beside) in [(DefinitionSource::File, in_file), (DefinitionSource::Home, kept)] {
            if let Some(definition) = beside.get(&id).cloned() {
                return Ok(WrittenDefinition { id, definition, source, beside });
            }
        }
        Err(ProcessError::InvalidDefinition { id, problem: "is no longer defined".into() })
    }

    /// Checks all definitions, those of one place being others than they are now.
    fn check_whole(&self, changed: Definitions, source: DefinitionSource) -> Result<(), ProcessError> {
        let loaded = self.load()?;
        let others = loaded.definitions.iter().filter(|(_, (_, other))| *other != source);
        let mut all: Definitions = others.map(|(id, (definition, _))| (id.clone(), definition.clone())).collect();
        all.extend(expand_replicas(changed)?);
        file::check(&all)
    }

    fn edit_plan(&self, id: &str, old: &Definition, new: &Definition, source: DefinitionSource) -> Plan {
        let mut plan = Plan::new("Change the definition?");
        let place = match source {
            DefinitionSource::File => self.project.display_file(),
            DefinitionSource::Home => home_definitions::path(&self.home, &self.project).display().to_string(),
        };
        plan.details.push(format!("`{}` says of it now:", to_visible_line(&place)));
        describe(&mut plan, "  ", id, old);
        plan.details.push("and then:".into());
        plan.effects.clear();
        describe(&mut plan, "  ", id, new);
        let is_value = |name: &&String| old.env.contains_key(*name) && old.env.get(*name) != new.env.get(*name);
        for name in new.env.keys().filter(is_value) {
            plan.details.push(format!("    with another value of {}", to_visible_line(name)));
        }
        if self.expand_replica_ids(&[id.to_owned()]).iter().any(|id| self.is_alive(id)) {
            plan.details.push(format!("`{id}` runs as it was defined before, until you restart it"));
        }
        plan.effects.push(Effect::Writes(place));
        plan
    }
}

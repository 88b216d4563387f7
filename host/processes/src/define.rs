//! Defining processes, changing their definitions, and removing them.

use std::collections::BTreeMap;

use aiw_core::{Reporter, SecretName, one_line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition::{
    CommandSpec, Definition, DefinitionSource, Dependency, EnvValue, ProcessLimits, RestartCondition,
};
use crate::error::ProcessError;
use crate::file;
use crate::home_definitions;
use crate::manager::Manager;
use crate::probe::{CheckDefinition, ProbeDefinition};
use crate::state::ProcessStatus;
use crate::typed::{Author, DefinitionSecrets};
use aiw_supervisor::DependencyCondition;

/// A new process.
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefineRequest {
    /// A new id: letters, digits, `-`, `_` and `.`
    pub id: String,
    /// The program, without a shell
    pub command: String,
    /// Its arguments
    #[serde(default)]
    pub args: Vec<String>,
    /// Its variables
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its directory in the project
    pub cwd: Option<String>,
    /// Whether restore_snapshot and `aiw up` start it
    #[serde(default)]
    pub auto_start_on_restore: bool,
    /// When it is started again: no, on-failure, always, unless-stopped
    pub restart: Option<String>,
    /// It is ready once this port accepts connections
    #[schemars(range(min = 1, max = 65535))]
    pub ready_port: Option<u64>,
    /// Ids of processes that must run before it starts
    #[serde(default)]
    pub needs: Vec<String>,
    /// Resources that it may use with all that it starts
    pub limits: Option<LimitsRequest>,
    /// The author. A user's variable `secret:NAME` is taken from the vault, and a key goes there
    #[serde(skip)]
    pub author: Author,
    /// Whether a shell reads the command
    #[serde(skip)]
    pub shell: bool,
    /// It is ready once this port or address accepts connections, or this URL answers
    #[serde(skip)]
    pub ready: Option<String>,
}

/// Resources that a process may use with all that it starts
#[warn(missing_docs)]
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitsRequest {
    /// Memory: `512MB`, `2GB`
    pub memory: Option<String>,
    /// Hundredths of a processor: 150 are one and a half
    pub cpu: Option<u32>,
    /// Open files of each process
    pub files: Option<u64>,
    /// Processes
    pub pids: Option<u32>,
}

impl LimitsRequest {
    /// Puts what is said over other limits.
    fn over(&self, others: ProcessLimits) -> Result<ProcessLimits, String> {
        let Self { memory, cpu, files, pids } = self;
        let size = |text: &String| {
            file::parse_bytes(text).ok_or_else(|| {
                format!("has a limit of memory `{}`, which is not a size such as `512MB`", one_line(text, 40))
            })
        };
        Ok(ProcessLimits {
            memory: memory.as_ref().map(size).transpose()?.or(others.memory),
            cpu: cpu.or(others.cpu),
            files: files.or(others.files),
            pids: pids.or(others.pids),
        })
    }
}

/// A process that was defined
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AddedProcess {
    /// Its id
    pub added: String,
    /// The file that defines it
    pub file: String,
    /// The secrets of the vault that keys among its variables became
    #[schemars(with = "Vec<String>")]
    pub secrets: Vec<SecretName>,
}

/// A change of a definition that a model made. What is absent stays as it is.
#[warn(missing_docs)]
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RedefineRequest {
    /// The process's id
    pub id: String,
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<BTreeMap<String, String>>,
    cwd: Option<String>,
    auto_start_on_restore: Option<bool>,
}

/// Processes that were removed
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RemovedProcesses {
    /// Their ids
    pub removed: Vec<String>,
}

/// Reads when a process is started again.
pub(crate) fn parse_restart_condition(word: &str) -> Result<RestartCondition, String> {
    word.parse().map_err(|_| {
        let known = RestartCondition::ALL.map(RestartCondition::as_str).join(", ");
        format!("has the restart policy `{}`, which is not one of {known}", one_line(word, 40))
    })
}

impl DefineRequest {
    /// Returns the definition. What is not said is as in `base`.
    fn definition(&self, base: Definition, keys: &mut DefinitionSecrets) -> Result<Definition, ProcessError> {
        let problem = |problem: String| ProcessError::InvalidDefinition { id: self.id.clone(), problem };
        let run = match (self.shell, self.args.as_slice()) {
            (false, args) => CommandSpec::Command([std::slice::from_ref(&self.command), args].concat()),
            (true, []) => CommandSpec::Shell(self.command.clone()),
            (true, _) => return Err(problem("is run by a shell, which takes one word: put it in quotes".into())),
        };
        let mut definition = Definition { run, cwd: self.cwd.clone(), auto_start: self.auto_start_on_restore, ..base };
        for (name, text) in &self.env {
            definition.env.insert(name.clone(), keys.resolve_value(self.author, name, text).map_err(problem)?);
        }
        if let Some(when) = &self.restart {
            definition.restart.when = parse_restart_condition(when).map_err(problem)?;
        }
        if let Some(at) = self.ready.clone().or_else(|| self.ready_port.map(|port| port.to_string())) {
            let check = if at.contains("://") { CheckDefinition::Http(at) } else { CheckDefinition::Tcp(at) };
            definition.ready = Some(ProbeDefinition { check, ..ProbeDefinition::default() });
        }
        definition.needs =
            self.needs.iter().map(|id| Dependency { id: id.clone(), until: DependencyCondition::Ready }).collect();
        if let Some(limits) = &self.limits {
            definition.limits = limits.over(definition.limits).map_err(problem)?;
        }
        definition.check().map_err(problem)?;
        Ok(definition)
    }
}

impl Manager {
    /// Defines a process: a user's in the project's file, a model's in the home.
    ///
    /// # Errors
    ///
    /// The definition makes no sense, its id is taken, or the file can't be written.
    pub fn define(&self, request: &DefineRequest) -> Result<AddedProcess, ProcessError> {
        file::check_id(&request.id)?;
        let mut keys = DefinitionSecrets::new(&self.home, &request.id);
        let definition = request.definition(self.default_definition(request.author)?, &mut keys)?;
        self.check_new(&request.id, &definition)?;
        self.add(&request.id, &definition, request.author, Some(&keys))
    }

    /// Returns what a new process has if its author says nothing of it: in the project's file, the file's own defaults
    /// count.
    pub(crate) fn default_definition(&self, author: Author) -> Result<Definition, ProcessError> {
        match author {
            Author::User => self.file_defaults(),
            Author::Model => Ok(Definition::default()),
        }
    }

    /// Checks that a process can be added.
    pub(crate) fn check_new(&self, id: &str, definition: &Definition) -> Result<(), ProcessError> {
        file::check_id(id)?;
        let loaded = self.load()?;
        if loaded.get(id).is_some() {
            return Err(ProcessError::AlreadyExists { id: id.to_owned() });
        }
        self.check_cwd(id, definition)?;
        file::check(loaded.iter().chain([(&id.to_owned(), definition)]))
    }

    /// Adds a process that can be added, and stores the keys that its definition names.
    pub(crate) fn add(
        &self,
        id: &str,
        definition: &Definition,
        author: Author,
        keys: Option<&DefinitionSecrets>,
    ) -> Result<AddedProcess, ProcessError> {
        let file = match author {
            Author::User => {
                let add = |text: &str| file::add(text, id, definition).map_err(|problem| self.edit_error(problem));
                self.change_file(keys, add)?
            }
            Author::Model => self.store_definition(id, definition, true)?,
        };
        self.log_definition_change(id);
        let secrets = keys.map(|keys| keys.names().to_vec()).unwrap_or_default();
        Ok(AddedProcess { added: id.to_owned(), file: file.to_string_lossy().into_owned(), secrets })
    }

    /// Changes the definition of a process that a model made. What runs goes on as it was defined before.
    ///
    /// # Errors
    ///
    /// The project's file defines it, or the definition would make no sense.
    pub fn redefine(&self, request: RedefineRequest) -> Result<ProcessStatus, ProcessError> {
        let RedefineRequest { id, command, args, env, cwd, auto_start_on_restore } = request;
        let status = self.get(&id)?;
        self.check_models(&status)?;
        // What runs may be of an earlier definition.
        let mut definition = self.load()?.get(&id).map_or(status.definition, |(definition, _)| definition.clone());
        let mut argv = definition.run.argv();
        let rest = argv.split_off(argv.len().min(1));
        let command = command.or(argv.pop()).unwrap_or_default();
        definition.run = CommandSpec::Command([vec![command], args.unwrap_or(rest)].concat());
        if let Some(env) = env {
            definition.env = env.into_iter().map(|(name, value)| (name, EnvValue::Literal(value))).collect();
        }
        definition.cwd = cwd.or(definition.cwd);
        definition.auto_start = auto_start_on_restore.unwrap_or(definition.auto_start);
        self.store_definition(&id, &definition, false)?;
        self.log_definition_change(&id);
        self.get(&id)
    }

    /// Removes processes, with their logs. A user stops them first; a model's are stopped.
    ///
    /// # Errors
    ///
    /// One of them runs, others need it, or it is not a model's to remove. Those before it are gone then.
    pub fn remove(
        &self,
        ids: &[String],
        author: Author,
        sink: &dyn Reporter,
    ) -> Result<RemovedProcesses, ProcessError> {
        for id in ids {
            let loaded = self.load()?;
            let replicas = loaded.expand_replica_ids(std::slice::from_ref(id));
            let all = replicas.iter().map(|id| self.get(id)).collect::<Result<Vec<_>, _>>()?;
            for status in &all {
                match author {
                    Author::User if status.state.is_alive() => {
                        return Err(ProcessError::StillRunning { id: status.id.clone() });
                    }
                    Author::User => {}
                    Author::Model => self.check_models(status)?,
                }
                if status.definition.copy.is_some() && status.id == *id {
                    let problem = "is a copy: `replicas` in the file says how many there are".to_owned();
                    return Err(ProcessError::InvalidDefinition { id: id.clone(), problem });
                }
            }
            let needs = |(_, definition): &(&String, &Definition)| {
                definition.needs.iter().any(|need| replicas.contains(&need.id))
            };
            if let Some((by, _)) = loaded.iter().find(needs) {
                return Err(ProcessError::HasDependents { id: id.clone(), by: by.clone() });
            }
            if author == Author::Model {
                self.stop(id)?;
            }
            self.stop_monitoring(|id| replicas.iter().any(|copy| copy == id), false)?;
            home_definitions::change(&self.home, &self.project, |kept| Ok(kept.remove(id)))?;
            if all.iter().any(|status| status.source == Some(DefinitionSource::File)) {
                self.edit_file(|text| file::remove(text, id))?;
            }
            replicas.iter().try_for_each(|id| self.remove_record(id))?;
            self.log_definition_change(id);
            sink.done(format!("Removed `{id}`"));
        }
        Ok(RemovedProcesses { removed: ids.to_vec() })
    }

    /// Refuses to change for a model what the project's file defines: that is the user's.
    fn check_models(&self, status: &ProcessStatus) -> Result<(), ProcessError> {
        match status.source {
            Some(DefinitionSource::File) => {
                Err(ProcessError::DefinedByUser { id: status.id.clone(), file: self.project.file() })
            }
            _ => Ok(()),
        }
    }
}

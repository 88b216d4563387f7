//! Files of other tools that define processes: a Procfile, docker-compose, process-compose, and lists of Ichimi's form.
//! Nothing of them is run. What has no counterpart here is left out, and said.

mod compose;
mod foreign;
mod interpolate;
mod process_compose;
mod procfile;
pub(crate) mod values;

use std::path::Path;

use aiw_core::{Plan, Prompter, one_line, to_visible_line};
use aiw_home::read_nofollow;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use self::foreign::{FileContext, ForeignDefinitions};
use crate::definition::{Definition, expand_replicas};
use crate::error::ProcessError;
use crate::file::{self, Definitions, MAX_BYTES};
use crate::manager::{LoadedDefinitions, Manager};
use crate::project::ProcessProject;
use crate::redacted::REDACTED;
use crate::yaml::{self, YamlProcess};

/// Processes that were taken from a file of another tool
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ImportedProcesses {
    /// Their ids
    pub added: Vec<String>,
    /// The project's file, which defines them now
    pub file: String,
    /// The parts of the other file that are left out, a sentence each
    pub skipped: Vec<String>,
}

impl Manager {
    /// Adds the processes of another tool's file to the project's file, after the user has seen what it gains and what is
    /// left out. Nothing is run.
    ///
    /// # Errors
    ///
    /// The file has another form, makes no sense, or has nothing that can be taken; or the user declines.
    pub async fn import_foreign(&self, path: &Path, ask: &dyn Prompter) -> Result<ImportedProcesses, ProcessError> {
        let mut foreign = self.read_foreign(path)?;
        let taken = self.load()?;
        let names_one = |id: &str| taken.iter().any(|(own, one)| one.is_named(own, &[id.to_owned()]));
        for id in foreign.definitions.keys().filter(|id| names_one(id)).cloned().collect::<Vec<_>>() {
            foreign.definitions.remove(&id);
            foreign.add_skipped(&id, "all of it", "there is a process with this id already");
        }
        let replicas = |(id, one): (&String, &Definition)| {
            let (id, count) = (id.clone(), one.replicas?);
            Some((1..=count).map(move |number| (id.clone(), format!("{id}-{number}"))))
        };
        let replicas: Vec<(String, String)> = foreign.definitions.iter().filter_map(replicas).flatten().collect();
        for (of, copy) in replicas {
            if foreign.definitions.contains_key(&copy) || names_one(&copy) {
                foreign.definitions.remove(&of);
                foreign.add_skipped(&of, "all of it", &format!("its copy would be `{copy}`, which there is already"));
            }
        }
        let hidden = foreign.definitions.iter().filter(|(_, definition)| definition.has_redacted_values());
        for id in hidden.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            foreign.definitions.remove(&id);
            foreign.add_skipped(&id, "all of it", &format!("`{REDACTED}` stands for a value that exports don't show"));
        }
        without_lost_needs(&mut foreign, names_one);
        self.check_beside(&taken, &foreign.definitions)?;
        let problem =
            |problem: &str| ProcessError::ImportFailed { path: path.to_owned(), line: None, problem: problem.into() };
        if foreign.definitions.is_empty() {
            let is_whole = |why: &&String| why.contains("all of it is left out");
            let why = foreign.skipped.iter().find(is_whole).or(foreign.skipped.first());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            return Err(problem(&format!("has no process that can be taken{why}")));
        }
        let left_out = foreign.skipped.iter().map(|line| format!("  {line}"));
        let left_out = ["left out:".to_owned()].into_iter().filter(|_| !foreign.skipped.is_empty()).chain(left_out);
        ask.confirm(&plan_addition(&self.project, &foreign.definitions, left_out), &[])
            .await
            .map_err(ProcessError::NotAdded)?;
        let file = self.edit_file(|text| {
            let add = |text: String, (id, definition): (&String, &Definition)| file::add(&text, id, definition);
            foreign.definitions.iter().try_fold(text.to_owned(), add)
        })?;
        foreign.definitions.keys().for_each(|id| self.log_definition_change(id));
        let added = foreign.definitions.into_keys().collect();
        Ok(ImportedProcesses { added, file: file.to_string_lossy().into_owned(), skipped: foreign.skipped })
    }

    /// Checks that definitions fit to those that there are, with all replicas.
    fn check_beside(&self, taken: &LoadedDefinitions, more: &Definitions) -> Result<(), ProcessError> {
        let mut all = match self.project.read()? {
            Some(bytes) => self.parse(&bytes)?.processes,
            None => Definitions::new(),
        };
        all.extend(more.clone());
        let all = expand_replicas(all)?;
        let elsewhere = taken.iter().filter(|(id, _)| !all.contains_key(*id));
        file::check(elsewhere.chain(&all))
    }

    fn read_foreign(&self, path: &Path) -> Result<ForeignDefinitions, ProcessError> {
        let problem =
            |line: Option<usize>, problem: String| ProcessError::ImportFailed { path: path.to_owned(), line, problem };
        let bytes = read_nofollow(path, MAX_BYTES as u64 + 1)?.ok_or_else(|| problem(None, "is not there".into()))?;
        if bytes.len() > MAX_BYTES {
            return Err(problem(None, format!("is larger than {} kB", MAX_BYTES / 1000)));
        }
        let text = String::from_utf8(bytes).map_err(|_| problem(None, "is not UTF-8".into()))?;
        let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
        let search = self.home.context().variable("PATH").map(ToOwned::to_owned);
        let beside = FileContext::new(&self.project, path, search);
        let mut foreign = self.parse_foreign(path, &text, &beside)?;
        for line in &beside.bad_lines {
            let so = "it is no variable; a process with this file starts once it is one or gone";
            foreign.skipped.push(format!("line {line} of `.env` is left out: {so}"));
        }
        Ok(foreign)
    }

    fn parse_foreign(
        &self,
        path: &Path,
        text: &str,
        beside: &FileContext<'_>,
    ) -> Result<ForeignDefinitions, ProcessError> {
        let problem =
            |line: Option<usize>, problem: String| ProcessError::ImportFailed { path: path.to_owned(), line, problem };
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        if name.starts_with("procfile") {
            let mut foreign = procfile::read(text, beside);
            self.without_unusable(&mut foreign);
            return Ok(foreign);
        }
        // Braces mean nothing to the others, so an export may have them.
        let template = text
            .lines()
            .position(|line| line.contains("{{"))
            .map(|at| problem(Some(at + 1), "has a Go template: write what comes out of it in its place".into()));
        let unreadable = |error: String| match template {
            Some(template) => template,
            None => problem(None, format!("cannot be read as YAML: {error}")),
        };
        let document: Value = match aiw_home::yaml::parse_limited(text, yaml::MAX_NODES) {
            Ok(document) => document,
            Err(error) => return Err(unreadable(error)),
        };
        let of_services = document.get("services").is_some();
        let mut foreign = if of_services || document.get("processes").is_some_and(Value::is_object) {
            let Value::Object(fields) =
                aiw_home::yaml::parse_scalars_as_strings(text, yaml::MAX_NODES).map_err(unreadable)?
            else {
                return Err(problem(None, "is not an object".into()));
            };
            let read = if of_services { compose::read } else { process_compose::read };
            let read = read(&fields, beside);
            read.map_err(|(id, what)| problem(line_of(text, &id), format!("says of `{}`: {what}", one_line(&id, 60))))?
        } else {
            let list = document.get("processes").unwrap_or(&document).as_array();
            let what = "is neither a Procfile nor of docker-compose, process-compose or Ichimi";
            ichimi(list.ok_or_else(|| problem(None, what.into()))?)
        };
        self.without_unusable(&mut foreign);
        without_lost_needs(&mut foreign, |_| false);
        Ok(foreign)
    }

    /// Takes out what can't be a process here: one that is refused hides no other.
    fn without_unusable(&self, foreign: &mut ForeignDefinitions) {
        for (id, definition) in std::mem::take(&mut foreign.definitions) {
            if file::check_id(&id).is_err() {
                foreign.add_skipped(&id, "all of it", "its name is not an id");
                continue;
            }
            let without_probes = Definition { ready: None, live: None, ..definition.clone() };
            let why = |definition: &Definition| -> Option<String> {
                let unusable = definition.check().err().map(|what| format!("it {what}"));
                let outside =
                    || format!("it runs outside the project, in `{}`", definition.cwd.as_deref().unwrap_or("."));
                unusable.or_else(|| self.check_cwd(&id, definition).err().map(|_| outside()))
            };
            match (why(&definition), why(&without_probes)) {
                (None, _) => {
                    foreign.definitions.insert(id, definition);
                }
                (Some(what), None) => {
                    foreign.add_skipped(&id, "its probe", &what);
                    foreign.definitions.insert(id, without_probes);
                }
                (Some(what), Some(_)) => foreign.add_skipped(&id, "all of it", &what),
            }
        }
    }
}

/// Returns what the user agrees to: what the project's file gains, and more lines about it.
pub(crate) fn plan_addition(
    project: &ProcessProject,
    definitions: &Definitions,
    more: impl IntoIterator<Item = String>,
) -> Plan {
    let mut plan = Plan::new("Add this to the file? Nothing is started.");
    plan.details.push(format!("`{}` gains:", project.display_file()));
    plan.details.extend(file::to_kdl(definitions, &[]).lines().map(|line| format!("  {}", to_visible_line(line))));
    plan.details.extend(more);
    // Values that look like secrets are masked.
    plan.add_hidden_bytes(&serde_json::to_vec(definitions).unwrap_or_default());
    plan
}

/// Takes over a list of the old Ichimi server, an export or a snapshot.
fn ichimi(list: &[Value]) -> ForeignDefinitions {
    let mut foreign = ForeignDefinitions::default();
    for entry in yaml::parse_entries(list) {
        let YamlProcess { id, definition, unknown_fields: unknown } = match entry {
            Ok(process) => process,
            Err((id, what)) => {
                foreign.add_skipped(&id, "all of it", &what);
                continue;
            }
        };
        for field in unknown {
            foreign.add_skipped(&id, &format!("`{field}`"), "aiw has no counterpart for it");
        }
        foreign.definitions.insert(id, definition);
    }
    foreign
}

/// Takes out needs of what was left out.
fn without_lost_needs(foreign: &mut ForeignDefinitions, is_known: impl Fn(&str) -> bool) {
    let ids: Vec<String> = foreign.definitions.keys().cloned().collect();
    for id in &ids {
        let Some(definition) = foreign.definitions.get_mut(id) else { continue };
        let (kept, lost): (Vec<_>, Vec<_>) = std::mem::take(&mut definition.needs)
            .into_iter()
            .partition(|need| ids.contains(&need.id) || is_known(&need.id));
        definition.needs = kept;
        for need in lost {
            foreign.add_skipped(id, &format!("its need of `{}`", need.id), "that is left out too");
        }
    }
}

/// Returns the line on which a process begins, as far as that can be told.
fn line_of(text: &str, id: &str) -> Option<usize> {
    let is_it = |line: &str| {
        let line = line.trim_start().trim_start_matches("- ");
        let name = line.strip_prefix(['"', '\'']).unwrap_or(line);
        name.strip_prefix(id).is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
            || (line.starts_with("id") || line.starts_with("process_id")) && line.ends_with(id)
    };
    text.lines().position(is_it).map(|at| at + 1)
}

#[cfg(test)]
mod tests;

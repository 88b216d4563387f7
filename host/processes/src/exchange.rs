//! What goes out of the definitions and comes in: files.

use std::fs;
use std::path::{Component, Path, PathBuf};

use aiw_core::one_line;
use aiw_home::{Mode, read_nofollow};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition::{CommandSpec, Definition, EnvValue};
use crate::error::{FileProblem, ProcessError};
use crate::file::{self, Definitions, MAX_BYTES, ProcessFile};
use crate::home_definitions;
use crate::manager::Manager;
use crate::probe::{CheckDefinition, ProbeDefinition};
use crate::project::FILE;
use crate::redacted::REDACTED;
use crate::typed::Author;
use crate::yaml;

aiw_core::string_enum! {
    /// The form of an export.
    #[warn(missing_docs)]
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
    #[serde(rename_all = "lowercase")]
    pub enum ExportFormat, "format" {
        /// That of the project's file.
        #[default]
        Kdl = "kdl",
        /// That of snapshots.
        Yaml = "yaml",
    }
}

/// An export of the project's definitions.
#[derive(Debug, Default)]
pub struct ExportRequest {
    /// Its form.
    pub format: ExportFormat,
    /// The file; without one, the text is the answer. A model's is in the project, below `.ichimi` if it is YAML; a
    /// user's is where they say.
    pub file: Option<PathBuf>,
    /// Whether a user's file may take the place of another one.
    pub force: bool,
    /// The author of the request.
    pub author: Author,
}

/// The definitions of a project as text or in a file
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ExportedProcesses {
    /// The text, if no file was named
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The file that was written
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The ids of those with a value that looks like a secret: `[secret]` stands in its place
    pub hidden: Vec<String>,
}

impl ExportedProcesses {
    /// Says which values are left out, if there are any.
    pub fn redaction_note(&self) -> Option<String> {
        let ids = one_line(&self.hidden.join(", "), 300);
        (!ids.is_empty()).then(|| format!("`[secret]` stands for values that are not shown, in {ids}"))
    }
}

impl Manager {
    /// Exports the definitions of the project, as lists show them.
    ///
    /// # Errors
    ///
    /// The definitions can't be read, or the file can't be written or is not one for exports.
    pub fn export(&self, request: &ExportRequest) -> Result<ExportedProcesses, ProcessError> {
        let loaded = self.load()?;
        let shown: Definitions = loaded.iter().map(|(id, definition)| (id.clone(), definition.redacted())).collect();
        let is_hidden = |(id, definition): &(&String, &Definition)| shown.get(*id) != Some(*definition);
        let hidden = loaded.iter().filter(is_hidden).map(|(id, _)| id.clone()).collect();
        let text = match request.format {
            // Nothing takes them in from a model.
            ExportFormat::Kdl if request.author == Author::Model => file::to_kdl(&shown, &[]),
            ExportFormat::Kdl => file::to_kdl(&shown, &loaded.hooks),
            ExportFormat::Yaml => yaml::to_yaml(&shown)
                .map_err(|problem| ProcessError::InvalidDefinition { id: "export".into(), problem })?,
        };
        let file = match (&request.file, request.author) {
            (None, _) => return Ok(ExportedProcesses { text: Some(text), file: None, hidden }),
            (Some(file), Author::Model) => self.write_inside(&file.to_string_lossy(), &text, request.format)?,
            (Some(file), Author::User) => self.write_anywhere(file, &text, request.force)?,
        };
        Ok(ExportedProcesses { text: None, file: Some(file.to_string_lossy().into_owned()), hidden })
    }

    /// Writes a text to a file of the user's.
    fn write_anywhere(&self, path: &Path, text: &str, force: bool) -> Result<PathBuf, ProcessError> {
        let is_there = fs::symlink_metadata(path).is_ok();
        let real = |path: &Path| fs::canonicalize(path).ok();
        if is_there && real(path).is_some_and(|file| Some(file) == real(&self.project.file())) {
            return Err(ProcessError::ExportOverwritesSource { path: path.to_owned() });
        }
        if is_there && !force {
            return Err(ProcessError::FileExists { path: path.to_owned() });
        }
        self.home.replace_external(path, text.as_bytes(), Mode::Shared)?;
        Ok(path.to_owned())
    }

    /// Writes a text to a file of the project. Returns its path.
    fn write_inside(&self, path: &str, text: &str, form: ExportFormat) -> Result<PathBuf, ProcessError> {
        let given = Path::new(path);
        let name = given.file_name();
        let outside = || ProcessError::OutsideProject { id: "export".into(), path: given.to_owned() };
        // Other programs run what is in their files: hooks of git, settings of editors and of AI CLIs.
        let is_hidden = |part: Component<'_>| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b".") && name != ".ichimi");
        // Many of them read YAML, too: a `compose.yaml`, the workspace of a package manager.
        let is_elsewhere = |path: &Path| matches!(form, ExportFormat::Yaml) && !path.starts_with(".ichimi");
        let refused = || {
            let place = match form {
                ExportFormat::Kdl => "no directory may begin with a dot but `.ichimi`",
                ExportFormat::Yaml => "it must be below `.ichimi`",
            };
            let problem = format!("can't be the place of an export: its name must end in `.{form}`, and {place}");
            ProcessError::EnvFile { id: "export".into(), path: given.to_owned(), problem }
        };
        let is_seen = !path.contains(aiw_core::is_unsafe_in_line);
        if !is_seen
            || given.components().any(is_hidden)
            || given.extension().is_none_or(|ending| ending != form.as_str())
        {
            return Err(refused());
        }
        if given.parent() == Some(Path::new(".ichimi")) {
            // It may be there; if it can't be made, the next step says so.
            let _ = fs::create_dir(self.project.directory().join(".ichimi"));
        }
        let directory = given.parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
        let directory = self.project.resolve_path("export", if directory.is_empty() { "." } else { &directory })?;
        // Where links lead counts, too.
        let root = self.project.resolve_path("export", ".")?;
        let below = directory.strip_prefix(&root).map_err(|_| outside())?;
        if is_elsewhere(below) || below.components().any(is_hidden) {
            return Err(refused());
        }
        let target = directory.join(name.ok_or_else(outside)?);
        // What such a file says is the user's, in this project and in those below it.
        if target.ends_with(FILE) {
            return Err(outside());
        }
        // What is there already may be anything of the user's: only a file of processes is replaced.
        if let Some(bytes) = read_nofollow(&target, MAX_BYTES as u64)? {
            let is_ours = String::from_utf8(bytes).is_ok_and(|text| match form {
                ExportFormat::Kdl => !text.trim().is_empty() && file::parse(&text).is_ok(),
                ExportFormat::Yaml => yaml::parse(&text).is_ok(),
            });
            if !is_ours {
                let problem = "exists already, and is not an export".to_owned();
                return Err(ProcessError::EnvFile { id: "export".into(), path: target, problem });
            }
        }
        self.home.replace_external(&target, text.as_bytes(), Mode::Shared)?;
        Ok(target)
    }

    /// Keeps the definitions of a file of the project, in this form or an older one. Returns their ids. A model may have
    /// written the file, so it gives no more than a model may: no shell and no secret.
    pub fn import(&self, path: &Path) -> Result<Vec<String>, ProcessError> {
        let real = self.project.resolve_path("import", &path.to_string_lossy())?;
        let bytes = read_nofollow(&real, MAX_BYTES as u64 + 1)?.unwrap_or_default();
        let invalid = |source| ProcessError::File { path: real.clone(), source };
        let text = String::from_utf8(bytes)
            .map_err(|_| invalid(FileProblem { line: 1, column: 1, problem: "this is not UTF-8".into() }))?;
        let is_yaml = real.extension().is_some_and(|ending| ending == ExportFormat::Yaml.as_str());
        let ProcessFile { processes, hooks } = match is_yaml {
            true => {
                let read =
                    yaml::parse(&text).map_err(|problem| invalid(FileProblem { line: 1, column: 1, problem }))?;
                ProcessFile { processes: read, ..ProcessFile::default() }
            }
            false => file::parse_legacy(&text).map_err(invalid)?,
        };
        if let Some(hook) = hooks.first() {
            let problem = "runs something by itself, which only the user defines".to_owned();
            return Err(ProcessError::InvalidDefinition { id: hook.id(), problem });
        }
        self.store_all(processes)
    }

    /// Checks that a definition has no more than a model may define.
    pub(crate) fn check_model_definition(&self, id: &str, definition: &Definition) -> Result<(), ProcessError> {
        let problem = |problem: String| ProcessError::InvalidDefinition { id: id.to_owned(), problem };
        let users = |what: &str| {
            problem(format!("has {what}, which only the user defines: in `{}`", self.project.display_file()))
        };
        let is_exec = |probe: &Option<ProbeDefinition>| {
            matches!(probe, Some(ProbeDefinition { check: CheckDefinition::Exec(_), .. }))
        };
        if definition.has_redacted_values() {
            return Err(problem(format!("has a value that exports don't show: write it in place of `{REDACTED}`")));
        }
        if matches!(definition.run, CommandSpec::Shell(_)) {
            return Err(users("a shell line"));
        }
        if definition.env.values().any(|value| matches!(value, EnvValue::Secret(_))) {
            return Err(users("a secret"));
        }
        if definition.watch.is_some() || definition.cron.is_some() {
            return Err(users("files that start it again, or a time at which it starts"));
        }
        // The id of a copy's process names it, too: it could be that of one of the user's.
        if definition.replicas.is_some() || definition.copy.is_some() {
            return Err(users("replicas"));
        }
        if definition.env_file.is_some() || is_exec(&definition.ready) || is_exec(&definition.live) {
            return Err(users("a file of variables, or a command as a probe"));
        }
        Ok(())
    }

    /// Keeps definitions in the home, all or none of them. Returns their ids.
    pub(crate) fn store_all(&self, found: Definitions) -> Result<Vec<String>, ProcessError> {
        for (id, definition) in &found {
            self.check_cwd(id, definition)?;
            self.check_model_definition(id, definition)?;
        }
        let taken = self.load()?;
        if let Some(id) = found.keys().find(|id| taken.get(id).is_some()) {
            return Err(ProcessError::AlreadyExists { id: id.clone() });
        }
        home_definitions::change(&self.home, &self.project, |kept| {
            kept.extend(found.clone());
            file::check(kept.iter().chain(taken.iter()))
        })?;
        found.keys().for_each(|id| self.log_definition_change(id));
        Ok(found.into_keys().collect())
    }
}

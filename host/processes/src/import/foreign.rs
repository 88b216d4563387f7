//! What the readers of these files share.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use aiw_core::one_line;
use aiw_home::read_nofollow;
use serde_json::Value;

use crate::definition::{Definition, EnvValue, MAX_REPLICAS};
use crate::environment::parse_lossy;
use crate::error::ProcessError;
use crate::file::{Definitions, MAX_BYTES};
use crate::jobs::watched::{self, WatchedFiles};
use crate::project::ProcessProject;

use super::interpolate::MAX_EXPANDED_BYTES;
use super::values::parse_number;

/// A file of another tool, as it was read.
#[derive(Debug, Default, PartialEq)]
pub(super) struct ForeignDefinitions {
    pub(super) definitions: Definitions,
    /// The parts that are left out and why, a sentence each.
    pub(super) skipped: Vec<String>,
}

impl ForeignDefinitions {
    /// Notes that something of a process is left out.
    pub(super) fn add_skipped(&mut self, id: &str, what: &str, why: &str) {
        self.skipped.push(one_line(&format!("`{id}`: {what} is left out: {why}"), 300));
    }

    /// Notes the variables of a process that are empty.
    pub(super) fn record_missing_variables(&mut self, id: &str, missing: Vec<String>) {
        for name in missing {
            let line = format!("`{id}`: `{name}` is empty: neither `.env` nor the file has a value for it");
            self.skipped.push(one_line(&line, 300));
        }
    }
}

/// The surroundings of a file that its reader needs.
#[derive(Clone)]
pub(super) struct FileContext<'p> {
    project: &'p ProcessProject,
    /// The user's `PATH`.
    pub(super) search_path: Option<OsString>,
    /// The variables of the `.env` beside the file.
    pub(super) variables: BTreeMap<String, String>,
    /// The path of this `.env` from the project's directory on, if it is there and in the project.
    pub(super) env_file: Option<String>,
    /// The lines of this `.env` that are no variables.
    pub(super) bad_lines: Vec<usize>,
    /// The file.
    pub(super) file: PathBuf,
    /// How many bytes its texts may still become with their variables.
    pub(super) remaining_bytes: Cell<usize>,
    /// The directory of the file, from the project's directory on.
    pub(super) directory: PathBuf,
}

impl<'p> FileContext<'p> {
    /// Returns the surroundings of a file of a project.
    pub(super) fn new(project: &'p ProcessProject, file: &Path, search: Option<OsString>) -> Self {
        let directory = file.parent().unwrap_or(Path::new(""));
        let real = std::fs::canonicalize(if directory.as_os_str().is_empty() { Path::new(".") } else { directory });
        let inside = real.ok().and_then(|real| Some(real.strip_prefix(project.directory()).ok()?.to_owned()));
        let bytes = read_nofollow(&directory.join(".env"), MAX_BYTES as u64).ok().flatten();
        let directory = inside.unwrap_or_default();
        let env_file = bytes.is_some().then(|| directory.join(".env").to_string_lossy().into_owned());
        let (variables, bad_lines) = parse_lossy(&String::from_utf8_lossy(&bytes.unwrap_or_default()));
        let (variables, file) = (variables.into_iter().collect(), file.to_owned());
        Self {
            project,
            search_path: search,
            variables,
            env_file,
            bad_lines,
            file,
            remaining_bytes: Cell::new(MAX_EXPANDED_BYTES),
            directory,
        }
    }

    /// Reads another file of the project, whose path is written from the file's directory on.
    ///
    /// # Errors
    ///
    /// The reason why it can't be read.
    pub(super) fn open(&self, path: &str) -> Result<(PathBuf, String), String> {
        let real = self.project.resolve_path("", &self.to_project_path(path)).map_err(|e| match e {
            ProcessError::OutsideProject { .. } => "it is outside the project".to_owned(),
            _ => "it is not there".to_owned(),
        })?;
        let bytes = read_nofollow(&real, MAX_BYTES as u64 + 1).ok().flatten().ok_or("it can't be read")?;
        if bytes.len() > MAX_BYTES {
            return Err(format!("it is larger than {} kB", MAX_BYTES / 1000));
        }
        Ok((real, String::from_utf8(bytes).map_err(|_| "it is not UTF-8")?))
    }

    /// Returns the surroundings of another file of the same project, with these variables before its own.
    pub(super) fn for_file(&self, file: &Path) -> Self {
        let mut other = Self::new(self.project, file, self.search_path.clone());
        other.variables.extend(self.variables.clone());
        other
    }

    /// Whether a file is there, whose path is written from the file's directory on.
    pub(super) fn file_exists(&self, path: &str) -> bool {
        self.project.directory().join(self.to_project_path(path)).exists()
    }

    /// Returns a path that is written from the file's directory on, as it is from the project's directory on.
    pub(super) fn to_project_path(&self, path: &str) -> String {
        let mut plain = PathBuf::new();
        for part in self.directory.join(path).components() {
            match part {
                Component::CurDir => {}
                Component::ParentDir if matches!(plain.components().next_back(), Some(Component::Normal(_))) => {
                    plain.pop();
                }
                part => plain.push(part),
            }
        }
        let text = plain.to_string_lossy();
        if text.is_empty() { ".".into() } else { text.into_owned() }
    }
}

/// Returns variables as a definition has them.
pub(super) fn literal_values(variables: BTreeMap<String, String>) -> BTreeMap<String, EnvValue> {
    variables.into_iter().map(|(name, value)| (name, EnvValue::Literal(value))).collect()
}

/// Returns how many replicas a number of replicas means, or why it has no counterpart. One is the process itself.
pub(super) fn parse_replicas(value: &Value) -> Result<Option<u32>, String> {
    match parse_number::<u32>(value) {
        Some(1) => Ok(None),
        Some(count) if (1..=MAX_REPLICAS).contains(&count) => Ok(Some(count)),
        _ => Err(format!("a process has 1 to {MAX_REPLICAS} replicas")),
    }
}

/// Returns what leaves out a file or directory of this name with all that is in it.
pub(super) fn glob_with_contents(pattern: String) -> Vec<String> {
    let name = pattern.rsplit('/').next().unwrap_or_default();
    let is_directory = !name.is_empty() && name != "**" && !name.trim_start_matches('.').contains('.');
    let contents = is_directory.then(|| format!("{pattern}/**"));
    [pattern].into_iter().chain(contents).collect()
}

/// The files whose change restarts a process, as they are collected.
#[derive(Debug, Default)]
pub(super) struct WatchedPaths {
    files: Vec<String>,
    ignore: Vec<String>,
}

impl WatchedPaths {
    /// Adds a file or directory, given from the project's directory on, with globs below it: those of what counts, else all
    /// does, and those of what doesn't. The error is the reason why it can't be watched.
    pub(super) fn add(
        &mut self,
        place: &Path,
        only: impl IntoIterator<Item = String>,
        ignore: impl IntoIterator<Item = String>,
    ) -> Result<(), &'static str> {
        let mut names: Vec<&str> = Vec::new();
        for part in place.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) => names.push(name.to_str().ok_or("its path is not UTF-8")?),
                Component::ParentDir if names.pop().is_some() => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err("it is outside the project");
                }
            }
        }
        let place = names.join("/");
        if place.contains(['*', '?', '[', '{', '\\']) || place.starts_with('!') {
            return Err("its path has characters that mean something in globs");
        }
        let below = |glob: String| match (place.as_str(), glob.trim_start_matches('/')) {
            ("", glob) => glob.to_owned(),
            (place, glob) => format!("{place}/{glob}"),
        };
        let (only, ignore): (Vec<String>, Vec<String>) = (only.into_iter().collect(), ignore.into_iter().collect());
        if only.iter().chain(&ignore).any(|glob| glob.starts_with('!')) {
            return Err("aiw has no exceptions from what is ignored");
        }
        let only: Vec<String> = only.into_iter().map(below).collect();
        let ignore: Vec<String> = ignore.into_iter().map(below).collect();
        let files = match only.is_empty() {
            true if place.is_empty() => vec!["**".into()],
            true => vec![place],
            false => only,
        };
        let rule = WatchedFiles { files, ignore, debounce: WatchedFiles::DEBOUNCE };
        watched::check(&rule)
            .map_err(|_| "one of its globs is not valid or leads outside the project, or there are too many")?;
        self.files.extend(rule.files);
        self.ignore.extend(rule.ignore);
        Ok(())
    }

    /// Has a process watch them, if there are any. The error is the reason why it can't.
    pub(super) fn apply_to(self, definition: &mut Definition, debounce: Duration) -> Result<(), String> {
        let Self { files, ignore } = self;
        if !files.is_empty() {
            let watch = WatchedFiles { files, ignore, debounce };
            watched::check(&watch).map_err(|what| format!("it {what}"))?;
            definition.watch = Some(watch);
        }
        Ok(())
    }
}

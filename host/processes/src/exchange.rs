//! What goes out of the definitions and comes in: files of the project, and the snapshot.

use std::path::{Component, Path, PathBuf};

use aiw_home::{Mode, read_unlinked, replace};

use crate::definition::{EnvValue, Run};
use crate::error::{FileProblem, ProcessError};
use crate::file::{self, Defined, MAX_BYTES};
use crate::kept;
use crate::manager::Manager;
use crate::probe::{CheckOf, ProbeOf};
use crate::project::FILE;
use crate::shown::HIDDEN;
use crate::start::StartResults;

impl Manager {
    /// Writes a text to a file of the project. Returns its path.
    pub fn write_inside(&self, path: &str, text: &str) -> Result<PathBuf, ProcessError> {
        let given = Path::new(path);
        let name = given.file_name();
        let outside = || ProcessError::Outside { id: "export".into(), path: given.to_owned() };
        // Other programs run what is in their files: hooks of git, settings of editors and of AI CLIs.
        let is_hidden = |part: Component<'_>| matches!(part, Component::Normal(name) if name.as_encoded_bytes().starts_with(b".") && name != ".ichimi");
        let refused = || {
            let problem = "can't be the place of an export: its name must end in `.kdl`, and no directory may begin with a dot \
                           but `.ichimi`";
            ProcessError::EnvFile { id: "export".into(), path: given.to_owned(), problem: problem.into() }
        };
        let is_seen = !path.contains(aiw_core::is_unsafe_in_line);
        if !is_seen || given.components().any(is_hidden) || given.extension().is_none_or(|ending| ending != "kdl") {
            return Err(refused());
        }
        let directory = given.parent().map(|parent| parent.to_string_lossy().into_owned()).unwrap_or_default();
        let directory = self.project.inside("export", if directory.is_empty() { "." } else { &directory })?;
        // Where links lead counts, too.
        let root = self.project.inside("export", ".")?;
        if directory.strip_prefix(&root).map_err(|_| outside())?.components().any(is_hidden) {
            return Err(refused());
        }
        let target = directory.join(name.ok_or_else(outside)?);
        // What such a file says is the user's, in this project and in those below it.
        if target.ends_with(FILE) {
            return Err(outside());
        }
        // What is there already may be anything of the user's: only a file of processes is replaced.
        if let Some(bytes) = read_unlinked(&target, MAX_BYTES as u64)? {
            let is_ours =
                String::from_utf8(bytes).is_ok_and(|text| !text.trim().is_empty() && file::parse(&text).is_ok());
            if !is_ours {
                let problem = "exists already, and is not an export".to_owned();
                return Err(ProcessError::EnvFile { id: "export".into(), path: target, problem });
            }
        }
        replace(&target, text.as_bytes(), Mode::Shared)?;
        Ok(target)
    }

    /// Keeps the definitions of a file of the project, in this form or an older one. Returns their ids. A model may have
    /// written the file, so it gives no more than a model may: no shell and no secret.
    pub fn import(&self, path: &Path) -> Result<Vec<String>, ProcessError> {
        let real = self.project.inside("import", &path.to_string_lossy())?;
        let bytes = read_unlinked(&real, MAX_BYTES as u64 + 1)?.unwrap_or_default();
        let invalid = |source| ProcessError::File { path: real.clone(), source };
        let text = String::from_utf8(bytes)
            .map_err(|_| invalid(FileProblem { line: 1, column: 1, problem: "this is not UTF-8".into() }))?;
        let Defined { processes: found, hooks } = file::parse_old(&text).map_err(invalid)?;
        if let Some(hook) = hooks.first() {
            let problem = "runs something by itself, which only the user defines".to_owned();
            return Err(ProcessError::Definition { id: hook.id(), problem });
        }
        for (id, definition) in &found {
            self.check_cwd(id, definition)?;
            let problem = |what: &str| ProcessError::Definition {
                id: id.clone(),
                problem: format!("has {what}, which only the user defines: in `{}`", self.project.file().display()),
            };
            let is_exec = |probe: &Option<ProbeOf>| matches!(probe, Some(ProbeOf { check: CheckOf::Exec(_), .. }));
            if definition.has_hidden() {
                let problem = format!("has a value that exports don't show: write it in place of `{HIDDEN}`");
                return Err(ProcessError::Definition { id: id.clone(), problem });
            }
            if matches!(definition.run, Run::Shell(_)) {
                return Err(problem("a shell line"));
            }
            if definition.env.values().any(|value| matches!(value, EnvValue::Secret(_))) {
                return Err(problem("a secret"));
            }
            if definition.watch.is_some() || definition.cron.is_some() {
                return Err(problem("files that start it again, or a time at which it starts"));
            }
            if definition.env_file.is_some() || is_exec(&definition.ready) || is_exec(&definition.live) {
                return Err(problem("a file of variables, or a command as a probe"));
            }
        }
        let taken = self.load()?;
        if let Some(id) = found.keys().find(|id| taken.get(id).is_some()) {
            return Err(ProcessError::Taken { id: id.clone() });
        }
        kept::change(&self.home, &self.project, |kept| {
            kept.extend(found.clone());
            file::check(kept.iter().chain(taken.each()))
        })?;
        Ok(found.into_keys().collect())
    }

    /// Remembers which processes run now. Returns their ids.
    pub fn take_snapshot(&self) -> Result<Vec<String>, ProcessError> {
        let all = self.list()?;
        let running: Vec<String> =
            all.into_iter().filter(|status| status.state.is_alive()).map(|status| status.id).collect();
        kept::set_snapshot(&self.home, &self.project, &running)?;
        Ok(running)
    }

    /// Starts the processes that ran when the snapshot was taken, and those that start by themselves.
    pub fn restore_snapshot(&self) -> Result<StartResults, ProcessError> {
        let loaded = self.load()?;
        let mut ids = kept::snapshot(&self.home, &self.project)?;
        ids.retain(|id| loaded.get(id).is_some());
        let by_itself = loaded.each().filter(|(_, definition)| definition.auto_start);
        ids.extend(by_itself.map(|(id, _)| id.clone()));
        ids.sort();
        ids.dedup();
        if ids.is_empty() { Ok(Vec::new()) } else { self.start_all(&loaded, &ids) }
    }
}

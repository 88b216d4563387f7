//! docker-compose: what a service runs, without its container.

mod services;

use std::path::Path;
use std::time::Duration;

use aiw_core::quoted;
use aiw_home::find_program;
use aiw_supervisor::{DependencyCondition, Terminal};
use serde_json::Value;

use super::foreign::{
    FileContext, ForeignDefinitions, WatchedPaths, glob_with_contents, literal_values, parse_replicas,
};
use super::values::{
    ObjectFields, parse_bool, parse_duration, parse_env, parse_number, parse_string_list, scalar_to_string,
};
use crate::definition::{CommandSpec, Definition, Dependency, RestartCondition};
use crate::file::parse_bytes;
use crate::jobs::watched::WatchedFiles;
use crate::probe::{CheckDefinition, ProbeDefinition};

/// Why most fields of a service have no counterpart.
const NO_CONTAINER: &str = "aiw runs programs of this machine, without a container";

/// Reads the file, whose scalars are texts. The error is the name of a part and a sentence.
pub(super) fn read(file: &ObjectFields, beside: &FileContext<'_>) -> Result<ForeignDefinitions, (String, String)> {
    let mut foreign = ForeignDefinitions::default();
    let services = services::read(file, beside, &mut foreign);
    for (id, service) in services.map_err(|what| ("services".to_owned(), what))? {
        let mut reader = ServiceReader { id: &id, foreign: &mut foreign, beside: &service.context };
        match service.fields.and_then(|fields| reader.service(&fields)) {
            Ok(definition) => drop(foreign.definitions.insert(id, definition)),
            Err(what) => foreign.add_skipped(&id, "all of it", &what),
        }
    }
    Ok(foreign)
}

/// Reads a service of a compose file.
struct ServiceReader<'a> {
    id: &'a str,
    foreign: &'a mut ForeignDefinitions,
    beside: &'a FileContext<'a>,
}

impl ServiceReader<'_> {
    fn leave(&mut self, what: &str, why: &str) {
        self.foreign.add_skipped(self.id, &format!("`{what}`"), why);
    }

    fn service(&mut self, service: &ObjectFields) -> Result<Definition, String> {
        let entrypoint = service.get("entrypoint").map(command).transpose()?.unwrap_or_default();
        let words = service.get("command").map(command).transpose()?.unwrap_or_default();
        // Without an `entrypoint`, the image's own gets the command.
        let of_image = entrypoint.is_empty() && service.contains_key("image") && !service.contains_key("build");
        let argv = [entrypoint, words].concat();
        match argv.first() {
            None => return Err("it has an image and no command, and aiw runs no images".into()),
            Some(first) if of_image && !self.is_program(first) => {
                return Err(format!(
                    "{} is no program of this machine: the image's program gets it as an argument, or it is in the image",
                    quoted(first)
                ));
            }
            Some(_) => {}
        }
        let mut definition = Definition { run: CommandSpec::Command(argv), ..Definition::default() };
        for (field, value) in service {
            if !self.field(&mut definition, field, value)? {
                self.leave(field, NO_CONTAINER);
            }
        }
        Ok(definition)
    }

    /// Whether a word may be the program that runs: a path, which may be built later, or one of this machine.
    fn is_program(&self, word: &str) -> bool {
        let search = self.beside.search_path.as_deref();
        !word.starts_with('-') && (word.contains('/') || find_program(word, search, Path::new("/")).is_some())
    }

    /// Takes a field over. Returns whether it has a counterpart.
    // Long: an arm for each field.
    fn field(&mut self, definition: &mut Definition, field: &str, value: &Value) -> Result<bool, String> {
        let wrong = || format!("its `{field}` is not what docker-compose takes");
        match field {
            "command" | "entrypoint" => {}
            "working_dir" => {
                let path = scalar_to_string(value).ok_or_else(wrong)?;
                match path.starts_with('/') {
                    true => self.leave(field, "it is a path in the container"),
                    false => definition.cwd = Some(self.beside.to_project_path(&path)),
                }
            }
            "environment" => {
                for (name, value) in parse_env(value).ok_or_else(wrong)? {
                    match value {
                        Some(value) => definition.env.extend(literal_values([(name, value)].into())),
                        None => self.leave(&format!("environment.{name}"), "it has no value here"),
                    }
                }
            }
            "env_file" => {
                let files = match value {
                    Value::Array(files) => files.iter().collect(),
                    file => vec![file],
                };
                for file in files {
                    let path = scalar_to_string(file.get("path").unwrap_or(file)).ok_or_else(wrong)?;
                    let what = format!("env_file {path}");
                    if file.get("required").and_then(parse_bool) == Some(false) && !self.beside.file_exists(&path) {
                        self.leave(&what, "it is not required, and not there");
                    } else if definition.env_file.is_some() {
                        self.leave(&what, "a process has one file of variables");
                    } else {
                        definition.env_file = Some(self.beside.to_project_path(&path));
                    }
                }
            }
            "depends_on" => {
                let need = |(id, until): (&String, _)| Dependency { id: id.clone(), until };
                definition.needs = match value {
                    Value::Object(services) => services
                        .iter()
                        .map(|(id, how)| {
                            let until = match how.get("condition").and_then(Value::as_str) {
                                Some("service_healthy") => DependencyCondition::Healthy,
                                Some("service_completed_successfully") => DependencyCondition::Completed,
                                _ => DependencyCondition::Started,
                            };
                            need((id, until))
                        })
                        .collect(),
                    value => parse_string_list(value)
                        .ok_or_else(wrong)?
                        .iter()
                        .map(|id| need((id, DependencyCondition::Started)))
                        .collect(),
                };
            }
            "healthcheck" => match healthcheck(value) {
                Some(ready) => definition.ready = ready,
                None => self.leave(field, "it is not what docker-compose takes"),
            },
            "restart" => {
                let policy = scalar_to_string(value).ok_or_else(wrong)?;
                let (when, most) =
                    policy.split_once(':').map_or((policy.as_str(), None), |(when, most)| (when, Some(most)));
                definition.restart.when =
                    if when == "false" { RestartCondition::No } else { when.parse().map_err(|_| wrong())? };
                if let Some(most) = most {
                    definition.restart.max = Some(most.parse().map_err(|_| wrong())?);
                }
            }
            "stop_signal" => {
                let signal = scalar_to_string(value).ok_or_else(wrong)?;
                signal.strip_prefix("SIG").unwrap_or(&signal).clone_into(&mut definition.stop.signal);
            }
            "stop_grace_period" => definition.stop.grace = parse_duration(value).ok_or_else(wrong)?,
            "mem_limit" => definition.limits.memory = Some(size(value).ok_or_else(wrong)?),
            "cpus" => definition.limits.cpu = Some(hundredths(value).ok_or_else(wrong)?),
            "pids_limit" => definition.limits.pids = parse_number(value),
            "deploy" => self.deploy(definition, value),
            "scale" => self.replicas(definition, field, value),
            "develop" => self.develop(definition, value).ok_or_else(wrong)?,
            "ulimits" => match value.get("nofile").and_then(|files| parse_number(files.get("soft").unwrap_or(files))) {
                Some(files) => definition.limits.files = Some(files),
                None => return Ok(false),
            },
            "labels" => {
                let labels = parse_env(value).ok_or_else(wrong)?;
                definition.labels = labels.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
            }
            "profiles" => {
                definition.group = parse_string_list(value).ok_or_else(wrong)?.into_iter().next();
                // A service with profiles starts only when one of them is asked for.
                definition.auto_start = definition.group.is_none();
            }
            "tty" => {
                let is_on = parse_bool(value).ok_or_else(wrong)?;
                definition.terminal = is_on.then_some(Terminal { rows: 24, columns: 80 });
            }
            "stdin_open" => definition.input = parse_bool(value).ok_or_else(wrong)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn deploy(&mut self, definition: &mut Definition, deploy: &Value) {
        let limits = deploy.pointer("/resources/limits");
        let limit = |name: &str| limits.and_then(|limits| limits.get(name));
        definition.limits.memory = limit("memory").and_then(size).or(definition.limits.memory);
        definition.limits.cpu = limit("cpus").and_then(hundredths).or(definition.limits.cpu);
        let pids = limit("pids").and_then(parse_number);
        definition.limits.pids = pids.or(definition.limits.pids);
        for (field, value) in deploy.as_object().into_iter().flatten() {
            match field.as_str() {
                "resources" => {}
                "replicas" => self.replicas(definition, "deploy.replicas", value),
                _ => self.leave(&format!("deploy.{field}"), NO_CONTAINER),
            }
        }
    }

    fn replicas(&mut self, definition: &mut Definition, field: &str, value: &Value) {
        match parse_replicas(value) {
            Ok(replicas) => definition.replicas = replicas,
            Err(why) => self.leave(field, &why),
        }
    }

    /// Takes over the rules that restart a service when files change. `None` if they are not what docker-compose takes.
    fn develop(&mut self, definition: &mut Definition, develop: &Value) -> Option<()> {
        let mut found = WatchedPaths::default();
        for rule in develop.get("watch").map_or(Some(&Vec::new()), Value::as_array)? {
            let (action, path) = (scalar_to_string(rule.get("action")?)?, scalar_to_string(rule.get("path")?)?);
            let what = format!("develop.watch {action} {path}");
            match action.as_str() {
                // The files are where the program runs: what `sync` replicas is there.
                "restart" | "sync+restart" => {}
                "sync" => {
                    self.leave(&what, "the program runs where its files are");
                    continue;
                }
                _ => {
                    self.leave(&what, NO_CONTAINER);
                    continue;
                }
            }
            if path.is_empty() {
                self.leave(&what, "its path is empty");
                continue;
            }
            let taken = ["action", "path", "target", "include", "ignore", "initial_sync"];
            for field in rule.as_object()?.keys().filter(|field| !taken.contains(&field.as_str())) {
                self.leave(&format!("{what}: `{field}`"), "aiw has no counterpart for it");
            }
            let globs = |field: &str| rule.get(field).map_or(Some(Vec::new()), parse_string_list);
            let (only, ignore) = (globs("include")?, globs("ignore")?);
            let place = self.beside.directory.join(path);
            if let Err(why) = found.add(&place, only, ignore.into_iter().flat_map(glob_with_contents)) {
                self.leave(&what, why);
            }
        }
        if let Err(why) = found.apply_to(definition, WatchedFiles::DEBOUNCE) {
            self.leave("develop.watch", &why);
        }
        Some(())
    }
}

/// Returns the words of a command: a list as it is, a text split as a shell would.
fn command(value: &Value) -> Result<Vec<String>, String> {
    match value {
        Value::String(line) => {
            shell_words::split(line).map_err(|_| "its command has a quote that doesn't end".to_owned())
        }
        value => parse_string_list(value).ok_or_else(|| "its command is neither a text nor a list".to_owned()),
    }
}

/// Returns the probe of a health check; `Some(None)` if it is switched off.
fn healthcheck(check: &Value) -> Option<Option<ProbeDefinition>> {
    let test = check.get("test");
    if check.get("disable").and_then(parse_bool) == Some(true) || test.is_none() {
        return Some(None);
    }
    let words = match test? {
        Value::String(line) => vec!["/bin/sh".into(), "-c".into(), line.clone()],
        test => {
            let words = parse_string_list(test)?;
            match words.split_first() {
                Some((how, _)) if how == "NONE" => return Some(None),
                Some((how, rest)) if how == "CMD" => rest.to_vec(),
                Some((how, rest)) if how == "CMD-SHELL" => [&["/bin/sh".into(), "-c".into()], rest].concat(),
                _ => return None,
            }
        }
    };
    let of = |field: &str, default: u64| match check.get(field) {
        Some(value) => parse_duration(value),
        None => Some(Duration::from_secs(default)),
    };
    let (every, start) = (of("interval", 30)?, of("start_period", 0)?);
    let failures: u32 = check.get("retries").map_or(Some(3), parse_number)?;
    // It is unhealthy after so many failures behind the start period.
    let timeout = start.saturating_add(every.saturating_mul(failures));
    Some(Some(ProbeDefinition { check: CheckDefinition::Exec(words), every, timeout: Some(timeout), failures }))
}

/// Returns processors as hundredths of one.
fn hundredths(value: &Value) -> Option<u32> {
    let cpus: f64 = scalar_to_string(value)?.parse().ok()?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked before")]
    (0.01..10_000.0).contains(&cpus).then_some((cpus * 100.0).round() as u32)
}

/// Returns a size in bytes, such as `512m` or a number.
fn size(value: &Value) -> Option<u64> {
    parse_bytes(scalar_to_string(value)?.trim())
}

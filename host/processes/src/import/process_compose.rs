//! process-compose, whose processes are nearly ours.

use std::collections::BTreeMap;
use std::time::Duration;

use aiw_supervisor::{DependencyCondition, Terminal};
use serde_json::Value;

use super::foreign::{
    FileContext, ForeignDefinitions, WatchedPaths, glob_with_contents, literal_values, parse_replicas,
};
use super::interpolate::{Interpolation, VariableSyntax};
use super::values::{
    ObjectFields, parse_bool, parse_duration, parse_env, parse_number, parse_string_list, scalar_to_string,
};
use crate::definition::{CommandSpec, Definition, Dependency, RestartCondition, RestartPolicy};
use crate::jobs::watched::WatchedFiles;
use crate::probe::{CheckDefinition, ProbeDefinition};

/// Reads the file, whose scalars are texts. The error is the name of a part and a sentence.
pub(super) fn read(file: &ObjectFields, beside: &FileContext<'_>) -> Result<ForeignDefinitions, (String, String)> {
    let mut foreign = ForeignDefinitions::default();
    let expands = file.get("disable_env_expansion").and_then(parse_bool) != Some(true);
    let wrong = |what: &str| ("environment".to_owned(), what.to_owned());
    let mut common = file.get("environment").cloned().unwrap_or_default();
    if expands {
        let mut interpolation = interpolation(VariableSyntax::ProcessCompose, beside);
        common = interpolation.interpolate_value(&common).map_err(|what| wrong(&what))?;
        foreign.record_missing_variables("environment", interpolation.missing);
    }
    let common = parse_env(&common).ok_or_else(|| wrong("it is not a list"))?;
    const KNOWN_FIELDS: [&str; 4] = ["processes", "environment", "version", "disable_env_expansion"];
    for field in file.keys().filter(|field| !KNOWN_FIELDS.contains(&field.as_str())) {
        foreign.add_skipped(field, "all of it", "aiw has no counterpart for it");
    }
    for (id, process) in file.get("processes").and_then(Value::as_object).into_iter().flatten() {
        let read = expanded(id, process, expands, beside, &mut foreign);
        let read = read.and_then(|process| self::process(id, &process, &common, beside, &mut foreign));
        match read {
            Ok(definition) => drop(foreign.definitions.insert(id.clone(), definition)),
            Err(what) => foreign.add_skipped(id, "all of it", &what),
        }
    }
    Ok(foreign)
}

fn interpolation<'a>(syntax: VariableSyntax, beside: &'a FileContext<'_>) -> Interpolation<'a> {
    Interpolation {
        syntax,
        variables: &beside.variables,
        missing: Vec::new(),
        remaining_bytes: &beside.remaining_bytes,
    }
}

/// Returns a process with its variables replaced.
fn expanded(
    id: &str,
    process: &Value,
    expands: bool,
    beside: &FileContext<'_>,
    foreign: &mut ForeignDefinitions,
) -> Result<ObjectFields, String> {
    let fields = process.as_object().ok_or("it is not an object")?;
    let mut out = ObjectFields::new();
    for (field, value) in fields {
        if has_template(value) {
            return Err(format!("its `{field}` has a Go template: write what comes out of it in its place"));
        }
        let syntax = match field.as_str() {
            "command" => VariableSyntax::ProcessComposeShell,
            _ => VariableSyntax::ProcessCompose,
        };
        let mut interpolation = interpolation(syntax, beside);
        out.insert(field.clone(), if expands { interpolation.interpolate_value(value)? } else { value.clone() });
        foreign.record_missing_variables(id, interpolation.missing);
    }
    Ok(out)
}

fn has_template(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("{{"),
        Value::Array(items) => items.iter().any(has_template),
        Value::Object(fields) => fields.values().any(has_template),
        _ => false,
    }
}

/// Reads a process. The error is a sentence.
fn process(
    id: &str,
    process: &ObjectFields,
    common: &BTreeMap<String, Option<String>>,
    beside: &FileContext<'_>,
    foreign: &mut ForeignDefinitions,
) -> Result<Definition, String> {
    let run =
        match (process.get("entrypoint").map(parse_string_list), process.get("command").and_then(scalar_to_string)) {
            (Some(Some(argv)), _) if !argv.is_empty() => CommandSpec::Command(argv),
            (_, Some(line)) => CommandSpec::Shell(line),
            _ => return Err("it has no command".into()),
        };
    let mut definition =
        Definition { run, cwd: Some(beside.to_project_path(".")).filter(|path| path != "."), ..Definition::default() };
    // Each process has the variables of `.env`, unless it says otherwise.
    let has_dot_env = process.get("is_dotenv_disabled").and_then(parse_bool) != Some(true);
    definition.env_file = beside.env_file.clone().filter(|_| has_dot_env);
    let env = common.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    definition.env = literal_values(env.collect());
    for (field, value) in process {
        match take(&mut definition, field, value, beside) {
            Some(true) => {}
            Some(false) => foreign.add_skipped(id, &format!("`{field}`"), "aiw has no counterpart for it"),
            None if ["readiness_probe", "liveness_probe"].contains(&field.as_str()) => {
                foreign.add_skipped(id, &format!("`{field}`"), "it is not what process-compose takes");
            }
            None => return Err(format!("its `{field}` is not what process-compose takes")),
        }
    }
    if process.contains_key("env_file") && has_dot_env && beside.env_file.is_some() {
        foreign.add_skipped(id, "`.env`", "a process has one file of variables");
    }
    let by_itself = by_itself(id, &mut definition, process, foreign, beside);
    by_itself.ok_or("its `watch` or `schedule` is not what process-compose takes")?;
    Ok(definition)
}

/// Takes over what starts a process without a command. `None` if it makes no sense.
fn by_itself(
    id: &str,
    definition: &mut Definition,
    process: &ObjectFields,
    foreign: &mut ForeignDefinitions,
    beside: &FileContext<'_>,
) -> Option<()> {
    if let Some(replicas) = process.get("replicas") {
        match parse_replicas(replicas) {
            Ok(replicas) => definition.replicas = replicas,
            Err(why) => foreign.add_skipped(id, "`replicas`", &why),
        }
    }
    if let Some(schedule) = process.get("schedule") {
        take_schedule(id, definition, schedule.as_object()?, foreign)?;
    }
    let is_on = |watch: &&Value| watch.get("enabled").and_then(parse_bool) != Some(false);
    let Some(watch) = process.get("watch").filter(is_on) else {
        return Some(());
    };
    let mut found = WatchedPaths::default();
    let own = process.get("working_dir").and_then(scalar_to_string).unwrap_or_default();
    for one in watch.get("paths")?.as_array()? {
        let path = scalar_to_string(one.get("path")?)?;
        let globs = |field: &str| one.get(field).map_or(Some(Vec::new()), parse_string_list);
        let (only, ignore) = (globs("include")?, globs("exclude")?);
        // Without a slash, it is a name at any depth.
        let whole = |glob: String| if glob.contains('/') { glob } else { format!("**/{glob}") };
        let ignore = ignore.into_iter().map(whole).flat_map(glob_with_contents);
        if let Err(why) = found.add(&beside.directory.join(&own).join(&path), only.into_iter().map(whole), ignore) {
            foreign.add_skipped(id, &format!("`watch {path}`"), why);
        }
    }
    for (field, value) in watch.as_object()? {
        if !["paths", "debounce", "disable_default_excludes"].contains(&field.as_str())
            && parse_bool(value) != Some(false)
        {
            foreign.add_skipped(id, &format!("`watch.{field}`"), "aiw has no counterpart for it");
        }
    }
    let debounce = watch.get("debounce").map_or(Some(WatchedFiles::DEBOUNCE), parse_duration)?;
    if let Err(why) = found.apply_to(definition, debounce) {
        foreign.add_skipped(id, "`watch`", &why);
    }
    Some(())
}

/// Takes over the times at which a process starts. Where they have no counterpart, it does not start by itself either.
fn take_schedule(
    id: &str,
    definition: &mut Definition,
    schedule: &ObjectFields,
    foreign: &mut ForeignDefinitions,
) -> Option<()> {
    let zone =
        schedule.get("timezone").and_then(scalar_to_string).filter(|zone| !["", "Local"].contains(&zone.as_str()));
    let why = match (schedule.get("cron"), zone) {
        (Some(cron), None) => {
            definition.cron = Some(scalar_to_string(cron)?);
            None
        }
        (Some(_), Some(zone)) => Some(format!("times are those of this machine's clock, and not of {zone}")),
        (None, _) => Some("a process starts at times of the clock, and not at intervals".to_owned()),
    };
    if let Some(why) = why {
        definition.auto_start = false;
        foreign.add_skipped(id, "`schedule`", &format!("{why}; it does not start by itself"));
        return Some(());
    }
    if definition.restart.when != RestartCondition::No {
        definition.restart = RestartPolicy::default();
        foreign.add_skipped(id, "`availability`", "a process with times starts at them alone");
    }
    if schedule.get("run_on_start").and_then(parse_bool) == Some(true) {
        foreign.add_skipped(id, "`schedule.run_on_start`", "a process with times starts at them alone");
    }
    if schedule.get("max_concurrent").is_some_and(|most| parse_number(most) != Some(1)) {
        foreign.add_skipped(id, "`schedule.max_concurrent`", "what still runs at its time is not started again");
    }
    Some(())
}

/// Takes a field over. Returns whether it has a counterpart, and `None` if it makes no sense.
fn take(definition: &mut Definition, field: &str, value: &Value, beside: &FileContext<'_>) -> Option<bool> {
    match field {
        "command" | "entrypoint" | "replicas" | "schedule" | "watch" | "is_dotenv_disabled" => {}
        "working_dir" => definition.cwd = Some(beside.to_project_path(&scalar_to_string(value)?)),
        "environment" => {
            let own = parse_env(value)?.into_iter().filter_map(|(name, value)| Some((name, value?)));
            definition.env.extend(literal_values(own.collect()));
        }
        "env_file" => definition.env_file = parse_string_list(value)?.first().map(|file| beside.to_project_path(file)),
        "availability" => {
            let restart = &mut definition.restart;
            restart.when = match value.get("restart").and_then(Value::as_str).unwrap_or("no") {
                "no" => RestartCondition::No,
                "on_failure" => RestartCondition::OnFailure,
                "always" => RestartCondition::Always,
                _ => return Some(false),
            };
            if let Some(seconds) = value.get("backoff_seconds") {
                restart.pause = Duration::from_secs(parse_number(seconds)?);
                restart.longest = restart.longest.max(restart.pause);
            }
            if let Some(most) = value.get("max_restarts") {
                restart.max = Some(parse_number(most)?).filter(|most| *most > 0);
            }
        }
        "depends_on" => {
            for (id, how) in value.as_object()? {
                let until = match how.get("condition").and_then(Value::as_str).unwrap_or("process_started") {
                    "process_started" => DependencyCondition::Started,
                    "process_healthy" | "process_log_ready" => DependencyCondition::Ready,
                    "process_completed" => DependencyCondition::Ended,
                    "process_completed_successfully" => DependencyCondition::Completed,
                    _ => return None,
                };
                definition.needs.push(Dependency { id: id.clone(), until });
            }
        }
        "readiness_probe" => definition.ready = Some(probe(value, true)?),
        "liveness_probe" => definition.live = Some(probe(value, false)?),
        "ready_log_line" => {
            definition.ready = Some(ProbeDefinition {
                check: CheckDefinition::Line(scalar_to_string(value)?),
                ..ProbeDefinition::default()
            });
        }
        "shutdown" => {
            if let Some(signal) = value.get("signal") {
                definition.stop.signal = parse_number::<i32>(signal)?.to_string();
            }
            if let Some(seconds) = value.get("timeout_seconds") {
                definition.stop.grace = Duration::from_secs(parse_number(seconds)?);
            }
            return Some(value.get("command").is_none());
        }
        "namespace" => definition.group = Some(scalar_to_string(value)?),
        "is_tty" => definition.terminal = parse_bool(value)?.then_some(Terminal { rows: 24, columns: 80 }),
        "success_exit_codes" => {
            definition.success = value.as_array()?.iter().map(parse_number).collect::<Option<Vec<i32>>>()?;
        }
        "disabled" | "is_disabled" => definition.auto_start = !parse_bool(value)?,
        _ => return Some(false),
    }
    Some(true)
}

/// Returns a probe. One for readiness has a time until it must have succeeded, one for health a time for each check.
fn probe(value: &Value, is_for_readiness: bool) -> Option<ProbeDefinition> {
    let seconds = |field: &str, default: u64| value.get(field).map_or(Some(default), parse_number);
    let check = match (value.get("exec"), value.get("http_get")) {
        (Some(exec), _) => {
            CheckDefinition::Exec(vec!["/bin/sh".into(), "-c".into(), exec.get("command").and_then(scalar_to_string)?])
        }
        (None, Some(http)) => {
            let of = |field: &str, default: &str| {
                http.get(field).and_then(scalar_to_string).unwrap_or_else(|| default.to_owned())
            };
            let (scheme, host, port) = (of("scheme", "http"), of("host", "127.0.0.1"), of("port", "80"));
            CheckDefinition::Http(format!("{scheme}://{host}:{port}{}", of("path", "/")))
        }
        (None, None) => return None,
    };
    let every = Duration::from_secs(seconds("period_seconds", 10)?.max(1));
    let failures = u32::try_from(seconds("failure_threshold", 3)?).ok()?.max(1);
    let delay = Duration::from_secs(seconds("initial_delay_seconds", 0)?);
    let timeout = match is_for_readiness {
        true => delay.saturating_add(every.saturating_mul(failures)),
        false => Duration::from_secs(seconds("timeout_seconds", 1)?.max(1)),
    };
    Some(ProbeDefinition { check, every, timeout: Some(timeout), failures })
}

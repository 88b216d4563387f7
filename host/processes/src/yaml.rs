//! Definitions in YAML: the list that the old Ichimi server wrote, with what a definition has gained since. Exports and
//! snapshots have this form.

use std::time::Duration;

use aiw_home::yaml;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::definition::{Definition, MAX_PROCESSES};
use crate::file::{Definitions, FIELDS, parse_duration, written_time};
use crate::import::values::{ObjectFields, parse_env, parse_string_list, scalar_to_string};
use crate::probe::ProbeDefinition;

/// The most nodes of a file: as many as the longest list of processes may need.
pub(crate) const MAX_NODES: usize = 200_000;

/// The fields that say something else than the definition: of the old server, and of snapshots.
const IGNORED_FIELDS: [&str; 8] = ["id", "process_id", "name", "status", "tags", "running", "source", "pid"];

/// A process that was read.
#[derive(Debug, PartialEq)]
pub(crate) struct YamlProcess {
    pub(crate) id: String,
    pub(crate) definition: Definition,
    /// The fields that mean nothing here.
    pub(crate) unknown_fields: Vec<String>,
}

/// An export.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct YamlExport {
    processes: Vec<Value>,
}

/// Returns a whole file with these processes.
///
/// # Errors
///
/// It can't be written, which no definition should cause.
pub(crate) fn to_yaml(definitions: &Definitions) -> Result<String, String> {
    let processes =
        definitions.iter().map(|(id, definition)| to_yaml_fields(id, definition, Map::new()).into()).collect();
    yaml::write(&YamlExport { processes })
}

/// Reads a file that [`whole`] wrote. The error is a sentence.
pub(crate) fn parse(text: &str) -> Result<Definitions, String> {
    let exported: YamlExport = yaml::parse_limited(text, MAX_NODES)?;
    let mut found = Definitions::new();
    for entry in parse_entries(&exported.processes) {
        let YamlProcess { id, definition, unknown_fields: unknown } =
            entry.map_err(|(id, what)| format!("`{id}`: {what}"))?;
        if let Some(unknown) = unknown.first() {
            return Err(format!("`{id}`: `{unknown}` is not known here"));
        }
        found.insert(id, definition);
    }
    Ok(found)
}

/// Reads a list of processes. The error is the id of one and a sentence.
pub(crate) fn parse_entries(list: &[Value]) -> impl Iterator<Item = Result<YamlProcess, (String, String)>> {
    let mut ids = std::collections::BTreeSet::new();
    list.iter().zip(1..).map(move |(process, number)| {
        let id = ["process_id", "id", "name"].iter().find_map(|field| process.get(field).and_then(scalar_to_string));
        let id = id.ok_or_else(|| (format!("number {number}"), "it has no id".to_owned()))?;
        let named = |what: String| (aiw_core::one_line(&id, 64), what);
        if !ids.insert(id.clone()) {
            return Err(named("its id is there twice".into()));
        }
        if number > MAX_PROCESSES {
            return Err(named(format!("it is one of more than {MAX_PROCESSES}")));
        }
        let fields = process.as_object().ok_or_else(|| named("it is not an object".into()))?;
        let (definition, unknown) = definition(fields).map_err(named)?;
        Ok(YamlProcess { id, definition, unknown_fields: unknown })
    })
}

/// Returns a process as it is written, with `more` fields behind its id.
pub(crate) fn to_yaml_fields(id: &str, definition: &Definition, more: ObjectFields) -> ObjectFields {
    let mut fields = match serde_json::to_value(definition) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let mut out = Map::from_iter([("id".to_owned(), id.into())]);
    out.extend(more);
    match fields.shift_remove("run") {
        Some(Value::Object(mut run)) if run.contains_key("command") => {
            let mut words = run["command"].take().as_array().cloned().unwrap_or_default().into_iter();
            out.extend(words.next().map(|program| ("command".to_owned(), program)));
            if words.len() > 0 {
                out.insert("args".into(), words.collect());
            }
        }
        Some(Value::Object(run)) => out.extend(run),
        _ => {}
    }
    for (name, mut value) in fields {
        match name.as_str() {
            "env" => {
                for value in value.as_object_mut().into_iter().flat_map(ObjectFields::values_mut) {
                    if let Some(text) = value.get_mut("literal") {
                        *value = text.take();
                    }
                }
            }
            "ready" | "live" => {
                if let Some(Value::Object(check)) = value.as_object_mut().and_then(|probe| probe.shift_remove("check"))
                {
                    let rest = value.as_object().cloned().unwrap_or_default();
                    let rest = rest.into_iter().filter(|(_, value)| !value.is_null());
                    value = check.into_iter().chain(rest).collect();
                }
            }
            _ => {}
        }
        each_time(&name, &mut value, |time| {
            serde_json::from_value(time.clone()).map_or(time, |time: Duration| written_time(time).into())
        });
        out.insert(name, value);
    }
    out
}

/// Changes each time of a field.
fn each_time(field: &str, value: &mut Value, change: impl Fn(Value) -> Value) {
    let names: &[&str] = match field {
        "restart" => &["within", "pause", "longest"],
        "stop" => &["grace"],
        "watch" => &["debounce"],
        "ready" | "live" => &["every", "timeout"],
        _ => &[],
    };
    for name in names {
        if let Some(time) = value.get_mut(name).filter(|time| !time.is_null()) {
            *time = change(time.take());
        }
    }
}

/// Reads a definition. Returns also the fields that mean nothing here. The error is a sentence without any value: one could
/// be a secret.
fn definition(fields: &ObjectFields) -> Result<(Definition, Vec<String>), String> {
    let wrong = |name: &str| format!("its `{name}` makes no sense");
    let run = match (fields.get("command"), fields.get("shell")) {
        (Some(_), Some(_)) => return Err("it has `command` and `shell`".into()),
        (None, Some(line)) => json!({"shell": scalar_to_string(line).ok_or_else(|| wrong("shell"))?}),
        (command, None) => {
            let command = command.ok_or("it has no command")?;
            let args =
                fields.get("args").map_or(Some(Vec::new()), parse_string_list).ok_or("its arguments are no list")?;
            let argv = [vec![scalar_to_string(command).ok_or_else(|| wrong("command"))?], args].concat();
            json!({"command": argv})
        }
    };
    let (mut out, mut unknown) = (Map::from_iter([("run".to_owned(), run)]), Vec::new());
    for (name, value) in fields.iter().filter(|(name, _)| !IGNORED_FIELDS.contains(&name.as_str())) {
        let field = if name == "auto_start_on_restore" { "auto-start" } else { name.as_str() };
        let mut value = value.clone();
        match field {
            "command" | "args" | "shell" => continue,
            "cwd" | "env-file" | "group" if value.is_null() => continue,
            "env" => value = env(&value).ok_or("its variables are no object")?,
            "labels" => value = json!(parse_env(&value).ok_or_else(|| wrong(field))?),
            "ready" | "live" => value = probe(&value).ok_or_else(|| wrong(field))?,
            _ => {}
        }
        each_time(field, &mut value, |time| {
            time.as_str().and_then(parse_duration).map_or(time.clone(), |time| json!(time))
        });
        let alone: Result<Definition, _> = serde_json::from_value(json!({field: value}));
        // Which copy it is stands in no file of processes.
        if !FIELDS.contains(&field) && field != "copy" {
            unknown.push(aiw_core::one_line(name, 60));
        } else if alone.is_err() {
            return Err(wrong(field));
        } else {
            out.insert(field.to_owned(), value);
        }
    }
    let definition = serde_json::from_value(out.into()).map_err(|_| "it makes no sense".to_owned())?;
    Ok((definition, unknown))
}

/// Variables: a text each, or `secret` with the name of one.
fn env(value: &Value) -> Option<Value> {
    let Value::Object(fields) = value else {
        let literal =
            parse_env(value)?.into_iter().map(|(name, text)| (name, json!({"literal": text.unwrap_or_default()})));
        return Some(literal.collect());
    };
    let variable = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Object(_) => value.clone(),
            Value::Null => json!({"literal": ""}),
            value => json!({"literal": scalar_to_string(value)?}),
        };
        Some((name.clone(), value))
    };
    fields.iter().map(variable).collect()
}

/// A probe: one of its checks, and when it is made.
fn probe(value: &Value) -> Option<Value> {
    let Ok(Value::Object(mut probe)) = serde_json::to_value(ProbeDefinition::default()) else { return None };
    for (name, value) in value.as_object()? {
        match name.as_str() {
            "exec" => probe.insert("check".into(), json!({"exec": parse_string_list(value)?})),
            "http" | "tcp" | "line" => probe.insert("check".into(), json!({name: scalar_to_string(value)?})),
            "every" | "timeout" | "failures" => probe.insert(name.clone(), value.clone()),
            _ => return None,
        };
    }
    Some(probe.into())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::definition::{CommandSpec, EnvValue};
    use crate::file;

    const ALL: &str = r#"
process "a" {
    command "npm" "run" "a b" "" "yes" "5432" "line\nline\n"
    cwd "sub"
    env { A "x"; B secret="mine"; "yes" "no" }
    env-file ".env"
    group "g"
    labels { k "v"; n "1" }
    needs "b" until="healthy"
    needs "b" until="completed"
    ready tcp="5432" every="500ms" timeout="30s" failures=7
    live exec="check" "--now" every="10s"
    restart "on-failure" max=5 within="60s" backoff="200ms..30s"
    limits memory="1GB" cpu=150 files=4096 pids=200
    log files=2 size="1MB"
    stop signal="INT" grace="10s"
    success 0 143
    terminal rows=40 columns=120
    input #true
    auto-start #false
    watch "src/**" "!src/gen/**" debounce="250ms"
}
process "b" { cron "@daily"; shell "echo 'x' | cat"; ready line="up: *"; live http="http://127.0.0.1:80/x" }
"#;

    #[test]
    fn each_field_is_written_so_that_it_is_read_again() {
        let definitions = file::parse(ALL).unwrap().processes;
        let text = to_yaml(&definitions).unwrap();
        assert_eq!(parse(&text).unwrap(), definitions, "{text}");
        for part in [
            "- id: a\n  command: npm\n  args:\n  - run\n  - a b\n",
            "B:\n      secret: mine",
            "grace: 10s",
            "every: 500ms",
        ] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_named_without_its_value() {
        for (entry, problem) in [
            ("{command: x}", "`number 1`: it has no id"),
            ("{id: a}", "`a`: it has no command"),
            ("{id: a, command: x, shell: y}", "`a`: it has `command` and `shell`"),
            ("{id: a, command: x, args: {hunter2: 1}}", "`a`: its arguments are no list"),
            ("{id: a, command: x, env: hunter2}", "`a`: its variables are no object"),
            ("{id: a, command: x, restart: {when: hunter2}}", "`a`: its `restart` makes no sense"),
            ("{id: a, command: x, ready: {tcp: 80, every: hunter2}}", "`a`: its `ready` makes no sense"),
            ("{id: a, command: x, env: {A: {secret: \"../hunter2\"}}}", "`a`: its `env` makes no sense"),
            ("{id: a, command: x, run: y}", "`a`: `run` is not known here"),
            ("{id: a, command: x}, {id: a, command: x}", "`a`: its id is there twice"),
        ] {
            let read = parse(&format!("processes: [{entry}]"));
            assert!(read.as_ref().is_err_and(|said| said.starts_with(problem)), "{entry}: {read:?}");
            assert!(!format!("{read:?}").contains("hunter2"), "{read:?}");
        }
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn any_argument_survives(
                argv in proptest::collection::vec("(?s).{1,20}", 1..6), value in "(?s).{0,40}", name in "(?s).{1,9}",
                special in "[\0\t\n\r\u{85}\u{2028}\u{feff}'\"\\\\:#\\-?!{}\\[\\],&*|>%@`=<~ ]{1,20}", shell: bool,
            ) {
                let run = if shell { CommandSpec::Shell(special.clone()) } else { CommandSpec::Command([argv, vec![special]].concat()) };
                let env = [("A".to_owned(), EnvValue::Literal(value.clone()))].into();
                let definition = Definition { run, env, labels: BTreeMap::from([(name, value)]), ..Definition::default() };
                let all: Definitions = [("a".to_owned(), definition.clone())].into();
                let text = to_yaml(&all).unwrap();
                // What can't be an argument is said when the definition is checked, not here.
                prop_assert_eq!(&parse(&text).unwrap(), &all, "{}", text);
                let has_nul = definition.run.argv().iter().any(|word| word.contains('\0'));
                let nul = definition.check().err().is_some_and(|why| why.contains("NUL"));
                prop_assert!(nul || !has_nul);
            }

            #[test]
            fn any_text_is_read_or_refused(text in "(?s).{0,200}", field in "[a-z-]{2,10}", value in "(?s).{0,40}") {
                let _ = parse(&text);
                let _ = parse(&format!("processes:\n- id: a\n  command: x\n  {field}: {value}\n"));
            }
        }
    }
}

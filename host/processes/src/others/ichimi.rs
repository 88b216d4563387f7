//! `~/.ichimi/snapshot.yaml` of the old server: a list of processes.

use serde_json::Value;

use super::foreign::{Foreign, literal};
use super::values::{pairs, text, texts};
use crate::definition::{Definition, Run};

/// Reads the list. The error is the id of a process and a sentence.
pub(super) fn read(list: &Value) -> Result<Foreign, (String, String)> {
    let mut foreign = Foreign::default();
    for (process, number) in list.as_array().into_iter().flatten().zip(1..) {
        let id = ["process_id", "id", "name"].iter().find_map(|field| process.get(field).and_then(text));
        let id = id.ok_or_else(|| (format!("number {number}"), "it has no id".to_owned()))?;
        let wrong = |what: &str| (id.clone(), what.to_owned());
        let command = process.get("command").and_then(text).ok_or_else(|| wrong("it has no command"))?;
        let args =
            process.get("args").map_or(Some(Vec::new()), texts).ok_or_else(|| wrong("its arguments are no list"))?;
        let env = process
            .get("env")
            .map_or(Some(Default::default()), pairs)
            .ok_or_else(|| wrong("its variables are no object"))?;
        let definition = Definition {
            run: Run::Command([vec![command], args].concat()),
            cwd: process.get("cwd").and_then(text),
            env: literal(env.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect()),
            auto_start: process.get("auto_start_on_restore") != Some(&Value::Bool(false)),
            ..Definition::default()
        };
        if foreign.definitions.insert(id.clone(), definition).is_some() {
            return Err(wrong("its id is there twice"));
        }
    }
    Ok(foreign)
}

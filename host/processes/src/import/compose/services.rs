//! The services of a compose file, with those that it includes and what they extend.
//!
//! Sources: <https://github.com/compose-spec/compose-spec/blob/main/14-include.md>, `05-services.md#extends` and
//! `13-merge.md`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::definition::MAX_PROCESSES;
use crate::import::foreign::{FileContext, ForeignDefinitions};
use crate::import::interpolate::{Interpolation, VariableSyntax};
use crate::import::values::{ObjectFields, parse_env, parse_string_list, scalar_to_string};
use crate::yaml::MAX_NODES;

/// The most files that include or extend each other.
const MAX_FILES: usize = 20;

/// The most services that extend each other.
const MAX_EXTENDED: usize = 20;

/// The most bytes of all services with what they extend, as JSON.
const MAX_EXTENDED_BYTES: usize = 8 << 20;

/// A service with its variables replaced, and what it extends.
pub(super) struct Service<'p> {
    /// Its fields, or the reason why it can't be taken.
    pub(super) fields: Result<ObjectFields, String>,
    /// The surroundings of its file.
    pub(super) context: Rc<FileContext<'p>>,
}

/// A file as it was read.
struct ComposeFile<'p> {
    services: BTreeMap<String, Result<ObjectFields, String>>,
    beside: Rc<FileContext<'p>>,
}

/// Reads files that are included or extended.
struct Reader<'f, 'p> {
    foreign: &'f mut ForeignDefinitions,
    /// The files that were read for what is extended.
    files: BTreeMap<PathBuf, Rc<ComposeFile<'p>>>,
    /// How many bytes services may still have with what they extend.
    room: usize,
    /// The file itself and those that were included.
    included: Vec<PathBuf>,
}

/// Returns the services of a file, in order.
///
/// # Errors
///
/// A sentence about the file.
pub(super) fn read<'p>(
    file: &ObjectFields,
    beside: &FileContext<'p>,
    foreign: &mut ForeignDefinitions,
) -> Result<Vec<(String, Service<'p>)>, String> {
    let included = std::fs::canonicalize(&beside.file).into_iter().collect();
    let mut reader = Reader { foreign, files: BTreeMap::new(), included, room: MAX_EXTENDED_BYTES };
    reader.with_included(file, Rc::new(beside.clone()), 0)
}

impl<'p> Reader<'_, 'p> {
    fn with_included(
        &mut self,
        file: &ObjectFields,
        beside: Rc<FileContext<'p>>,
        depth: usize,
    ) -> Result<Vec<(String, Service<'p>)>, String> {
        let own = Rc::new(ComposeFile { services: self.services(file, &beside)?, beside });
        let mut all: Vec<(String, Service<'p>)> = Vec::new();
        for id in own.services.keys() {
            let fields = self.extended(id, &own, &mut Vec::new());
            all.push((id.clone(), Service { fields, context: own.beside.clone() }));
        }
        let includes = file.get("include").cloned().unwrap_or_default();
        let includes = Interpolation {
            syntax: VariableSyntax::Compose,
            variables: &own.beside.variables,
            missing: Vec::new(),
            remaining_bytes: &own.beside.remaining_bytes,
        }
        .interpolate_value(&includes)?;
        for include in includes.as_array().into_iter().flatten() {
            for path in parse_string_list(include.get("path").unwrap_or(include)).unwrap_or_default() {
                let found = self.include(include, &path, &own.beside, depth);
                match found {
                    Ok(found) => {
                        for (id, service) in found {
                            if all.iter().any(|(own, _)| *own == id) {
                                self.foreign.add_skipped(&id, "all of it", "there is a service with this name already");
                            } else {
                                all.push((id, service));
                            }
                        }
                    }
                    Err(why) => self.foreign.add_skipped("include", &format!("`{path}`"), &why),
                }
            }
        }
        match all.len() > MAX_PROCESSES {
            true => Err(format!("they are more than {MAX_PROCESSES}")),
            false => Ok(all),
        }
    }

    fn include(
        &mut self,
        include: &Value,
        path: &str,
        beside: &FileContext<'p>,
        depth: usize,
    ) -> Result<Vec<(String, Service<'p>)>, String> {
        for field in ["env_file", "project_directory"] {
            if include.get(field).is_some() {
                self.foreign.add_skipped("include", &format!("`{path}`: `{field}`"), "aiw has no counterpart for it");
            }
        }
        let (real, text) = beside.open(path)?;
        if self.included.contains(&real) {
            return Err("it is included already".into());
        }
        if depth >= MAX_FILES || self.included.len() >= MAX_FILES {
            return Err(format!("it is one of more than {MAX_FILES}"));
        }
        self.included.push(real.clone());
        let inner = Rc::new(beside.for_file(&real));
        self.with_included(&document(&text)?, inner, depth + 1)
    }

    /// Returns the services of one file with their variables replaced.
    fn services(
        &mut self,
        file: &ObjectFields,
        beside: &FileContext<'p>,
    ) -> Result<BTreeMap<String, Result<ObjectFields, String>>, String> {
        let services = match file.get("services") {
            None | Some(Value::Null) => return Ok(BTreeMap::new()),
            Some(services) => services.as_object().ok_or("it is not an object")?,
        };
        if services.len() > MAX_PROCESSES {
            return Err(format!("they are more than {MAX_PROCESSES}"));
        }
        let mut read = BTreeMap::new();
        for (id, service) in services {
            let variables = &beside.variables;
            let mut interpolation = Interpolation {
                syntax: VariableSyntax::Compose,
                variables,
                missing: Vec::new(),
                remaining_bytes: &beside.remaining_bytes,
            };
            let service = match interpolation.interpolate_value(service) {
                Ok(Value::Object(fields)) => Ok(fields),
                Ok(_) => Err("it is not an object".to_owned()),
                Err(why) => Err(why),
            };
            self.foreign.record_missing_variables(id, interpolation.missing);
            read.insert(id.clone(), service);
        }
        Ok(read)
    }

    /// Returns a service of a file with what it extends.
    fn extended(
        &mut self,
        id: &str,
        file: &Rc<ComposeFile<'p>>,
        chain: &mut Vec<(PathBuf, String)>,
    ) -> Result<ObjectFields, String> {
        let mut fields = file.services.get(id).cloned().unwrap_or_else(|| Err("it is not there".into()))?;
        let Some(extends) = fields.shift_remove("extends") else { return Ok(fields) };
        let service =
            scalar_to_string(extends.get("service").unwrap_or(&extends)).ok_or("its `extends` names no service")?;
        let failed = |why: String| format!("it extends `{service}`: {why}");
        let own = (file.beside.file.clone(), id.to_owned());
        if chain.contains(&own) || chain.len() >= MAX_EXTENDED {
            return Err("it extends itself, or too many others".into());
        }
        chain.push(own);
        let other = match extends.get("file").and_then(scalar_to_string) {
            Some(path) => self.file(&path, &file.beside).map_err(failed)?,
            None => file.clone(),
        };
        let mut base = self.extended(&service, &other, chain).map_err(failed)?;
        moved(&mut base, &other.beside, &file.beside);
        let merged = merged(base, fields);
        let left = self.room.checked_sub(serde_json::to_string(&merged).map_or(0, |text| text.len()));
        self.room =
            left.ok_or_else(|| failed(format!("all that is extended has more than {} MiB", MAX_EXTENDED_BYTES >> 20)))?;
        Ok(merged)
    }

    fn file(&mut self, path: &str, beside: &FileContext<'p>) -> Result<Rc<ComposeFile<'p>>, String> {
        let (real, text) = beside.open(path)?;
        if let Some(known) = self.files.get(&real) {
            return Ok(known.clone());
        }
        if self.files.len() >= MAX_FILES {
            return Err("too many files are extended".into());
        }
        let inner = Rc::new(beside.for_file(&real));
        let services = self.services(&document(&text)?, &inner)?;
        let file = Rc::new(ComposeFile { services, beside: inner });
        self.files.insert(real, file.clone());
        Ok(file)
    }
}

fn document(text: &str) -> Result<ObjectFields, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match aiw_home::yaml::parse_scalars_as_strings(text, MAX_NODES) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("it is not an object".into()),
        Err(why) => Err(format!("it can't be read as YAML: {why}")),
    }
}

/// Writes the paths of a service from another directory on.
fn moved(service: &mut ObjectFields, from: &FileContext<'_>, to: &FileContext<'_>) {
    if from.directory == to.directory {
        return;
    }
    let up = to.directory.components().map(|_| "..").collect::<PathBuf>();
    let path = |path: &mut Value| {
        if let Some(relative) = path.as_str().filter(|path| !path.starts_with('/')) {
            *path = up.join(&from.directory).join(relative).to_string_lossy().into();
        }
    };
    if let Some(directory) = service.get_mut("working_dir") {
        path(directory);
    }
    match service.get_mut("env_file") {
        Some(Value::Array(files)) => files.iter_mut().for_each(|file| match file.get_mut("path") {
            Some(file) => path(file),
            None => path(file),
        }),
        Some(file) => path(file),
        None => {}
    }
    let watch = service.get_mut("develop").and_then(|develop| develop.get_mut("watch"));
    for rule in watch.and_then(Value::as_array_mut).into_iter().flatten() {
        rule.get_mut("path").into_iter().for_each(path);
    }
}

/// Merges a service into the one that it extends: maps by their keys, lists one behind the other, and commands as a whole.
fn merged(mut base: ObjectFields, own: ObjectFields) -> ObjectFields {
    for (field, value) in own {
        let new = match (field.as_str(), base.shift_remove(&field)) {
            (_, None) => value,
            ("environment" | "labels", Some(before)) => match (parse_env(&before), parse_env(&value)) {
                (Some(before), Some(own)) => json!(before.into_iter().chain(own).collect::<BTreeMap<_, _>>()),
                _ => value,
            },
            ("depends_on", Some(before)) => match (needs(&before), needs(&value)) {
                (Some(before), Some(own)) => before.into_iter().chain(own).collect(),
                _ => value,
            },
            ("env_file", Some(before)) => [listed(before), listed(value)].concat().into(),
            ("command" | "entrypoint", Some(_)) => value,
            (_, Some(before)) => deep(before, value),
        };
        base.insert(field, new);
    }
    base
}

fn deep(before: Value, own: Value) -> Value {
    match (before, own) {
        (Value::Object(mut before), Value::Object(own)) => {
            for (key, value) in own {
                let value = match before.shift_remove(&key) {
                    Some(_) if key == "test" => value,
                    Some(before) => deep(before, value),
                    None => value,
                };
                before.insert(key, value);
            }
            before.into()
        }
        (Value::Array(before), Value::Array(own)) => [before, own].concat().into(),
        (_, own) => own,
    }
}

fn listed(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        value => vec![value],
    }
}

fn needs(value: &Value) -> Option<ObjectFields> {
    match value {
        Value::Object(needs) => Some(needs.clone()),
        list => {
            Some(parse_string_list(list)?.into_iter().map(|id| (id, json!({"condition": "service_started"}))).collect())
        }
    }
}

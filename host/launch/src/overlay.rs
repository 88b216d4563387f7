//! Files of settings that a CLI reads beside the user's own: what a launch plan wants in them,
//! over what has to stay.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use aiw_core::Secret;
use aiw_core::provider::{Overlay, Passing, Value};
use serde_json::{Map, Value as Json};

use crate::LaunchError;
use crate::gemini::GeminiHome;

/// How a CLI finds an overlay.
#[derive(Clone)]
pub(crate) enum Passed {
    /// As a file in memory, after an argument or in a variable.
    File(Passing),
    /// As the settings of a home of its own.
    Home(GeminiHome),
}

/// An overlay with its secrets put in. It exists in memory only.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) passed: Passed,
    pub(crate) content: Json,
}

/// Puts a value together; a secret that the provider lacks is an error of the plan's maker,
/// who was told which there are.
pub(crate) fn text(value: &Value, secrets: &BTreeMap<String, Secret>) -> Result<String, LaunchError> {
    match value {
        Value::Literal(text) => Ok(text.clone()),
        Value::Secret { name, prefix } => match secrets.get(name) {
            Some(secret) => Ok(format!("{prefix}{}", secret.expose())),
            None => Err(LaunchError::Invalid {
                message: format!("the launch plan wants a secret `{name}`, and the provider has none"),
                hint: None,
            }),
        },
    }
}

/// An overlay of a plan. `present` is the file that the user has told the CLI of already, by the
/// same variable; it counts for the one that the plan names.
pub(crate) fn file(
    overlay: &Overlay,
    present: Option<&OsStr>,
    secrets: &BTreeMap<String, Secret>,
) -> Result<File, LaunchError> {
    let mut content = Json::Object(Map::new());
    let beneath = present.filter(|path| !path.is_empty()).map(PathBuf::from).or_else(|| overlay.beneath.clone());
    if let Some(path) = beneath
        && let Some(kept) = read(&path)?
    {
        content = kept;
    }
    for entry in &overlay.entries {
        set(&mut content, &entry.path, text(&entry.value, secrets)?.into());
    }
    Ok(File { passed: Passed::File(overlay.passed.clone()), content })
}

/// Settings that the user gave: a path or JSON itself, as Claude Code takes them.
pub(crate) fn given(settings: &OsStr, cwd: &Path) -> Result<Json, LaunchError> {
    let inline = settings.to_str().filter(|text| text.trim_start().starts_with('{'));
    let invalid = |problem: String| LaunchError::Invalid { message: problem, hint: None };
    match inline {
        Some(text) => match aiw_home::json::parse(text.as_bytes()) {
            Ok(parsed) if parsed.value.is_object() => Ok(parsed.value),
            _ => Err(invalid("the JSON after `--settings` makes no sense".into())),
        },
        None => {
            let path = cwd.join(settings);
            read(&path)?
                .ok_or_else(|| invalid(format!("there is no file `{}`, which `--settings` names", path.display())))
        }
    }
}

/// A file of settings; `None` if it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Json>, LaunchError> {
    let Some(bytes) = aiw_home::read_capped(path, aiw_home::json::MAX_BYTES)? else { return Ok(None) };
    let invalid =
        |problem: &str| LaunchError::Invalid { message: format!("`{}` {problem}", path.display()), hint: None };
    match aiw_home::json::parse_settings(&bytes) {
        Ok(value) if value.is_object() => Ok(Some(value)),
        Ok(_) => Err(invalid("is not a JSON object")),
        Err(problem) => Err(invalid(&problem)),
    }
}

/// Whether another file of settings gives a key of an overlay another value: its path.
pub(crate) fn contradiction(over: &Json, other: &Json) -> Option<String> {
    let (Json::Object(over), Json::Object(other)) = (over, other) else { return None };
    over.iter().find_map(|(key, value)| match (value, other.get(key)?) {
        (value @ Json::Object(_), inner) => contradiction(value, inner).map(|path| format!("{key}.{path}")),
        (value, other) => (value != other).then(|| key.clone()),
    })
}

fn set(at: &mut Json, path: &[String], value: Json) {
    let Some((key, rest)) = path.split_first() else {
        *at = value;
        return;
    };
    if !at.is_object() {
        *at = Json::Object(Map::new());
    }
    if let Some(map) = at.as_object_mut() {
        set(map.entry(key.as_str()).or_insert(Json::Null), rest, value);
    }
}

/// `over` on top of `base`: objects are joined, all else is replaced.
pub(crate) fn merge(base: Json, over: Json) -> Json {
    match (base, over) {
        (Json::Object(mut base), Json::Object(over)) => {
            for (key, value) in over {
                let joined = match base.remove(&key) {
                    Some(below) => merge(below, value),
                    None => value,
                };
                base.insert(key, joined);
            }
            Json::Object(base)
        }
        (_, over) => over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_core::provider::Entry;
    use serde_json::json;

    fn entry(path: &[&str], value: Value) -> Entry {
        Entry { path: path.iter().map(|key| (*key).to_owned()).collect(), value }
    }

    #[test]
    fn an_overlay_keeps_what_is_beneath_and_holds_its_secrets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("system.json");
        std::fs::write(&path, r#"{"security": {"auth": {"selectedType": "oauth", "x": 1}}, "y": 2}"#).unwrap();
        let overlay = Overlay {
            passed: Passing::Argument("--settings".into()),
            beneath: Some(path),
            entries: vec![
                entry(&["security", "auth", "selectedType"], Value::Literal("key".into())),
                entry(&["env", "K"], Value::Secret { name: "token".into(), prefix: "Bearer ".into() }),
            ],
        };
        let secrets = BTreeMap::from([("token".to_owned(), Secret::new("a\"b"))]);
        let made = file(&overlay, None, &secrets).unwrap();
        let expected =
            json!({"security": {"auth": {"selectedType": "key", "x": 1}}, "y": 2, "env": {"K": "Bearer a\"b"}});
        assert_eq!(made.content, expected);
        let error = file(&overlay, None, &BTreeMap::new()).err().unwrap();
        assert!(error.to_string().contains("`token`"));
        std::fs::write(dir.path().join("system.json"), "{").unwrap();
        assert!(file(&overlay, None, &secrets).is_err());
    }

    #[test]
    fn settings_that_the_user_gives_are_read_from_a_file_or_from_the_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("s.json"), r#"{"a": 1}"#).unwrap();
        assert_eq!(given(OsStr::new("s.json"), dir.path()).unwrap(), json!({"a": 1}));
        assert_eq!(given(OsStr::new(" {\"b\": 2}"), dir.path()).unwrap(), json!({"b": 2}));
        assert!(given(OsStr::new("none.json"), dir.path()).is_err());
        assert!(given(OsStr::new("{b"), dir.path()).is_err());
    }

    #[test]
    fn what_another_file_says_otherwise_is_found() {
        let over = json!({"security": {"auth": {"selectedType": "key"}}});
        assert_eq!(contradiction(&over, &json!({"security": {"auth": {"selectedType": "key"}}, "x": 1})), None);
        assert_eq!(contradiction(&over, &json!({"security": {}})), None);
        let other = json!({"security": {"auth": {"selectedType": "vertex"}}});
        assert_eq!(contradiction(&over, &other).as_deref(), Some("security.auth.selectedType"));
    }

    #[test]
    fn objects_are_joined_and_the_upper_wins() {
        let merged = merge(json!({"a": {"x": 1, "y": 2}, "b": [1]}), json!({"a": {"y": 3}, "b": [2]}));
        assert_eq!(merged, json!({"a": {"x": 1, "y": 3}, "b": [2]}));
    }
}

//! Settings that override the user's own: reading, merging and comparing them.

use std::ffi::OsStr;
use std::path::Path;

use serde_json::Value;

use crate::LaunchError;

/// Whether an open file has a path by which it can be read from its beginning, as often as a program likes. macOS's
/// `/dev/fd/N` goes on where the last reader stopped.
pub(crate) const HAS_REOPENABLE_FDS: bool = cfg!(target_os = "linux");

/// Reads settings that the user gave as a path or as JSON, the two forms that Claude Code takes.
pub(crate) fn read_settings(settings: &OsStr, cwd: &Path) -> Result<Value, LaunchError> {
    let inline = settings.to_str().filter(|text| text.trim_start().starts_with('{'));
    let invalid = |problem: String| LaunchError::Invalid { message: problem, hint: None };
    match inline {
        Some(text) => match aiw_home::json::parse(text.as_bytes()) {
            Ok(parsed) if parsed.value.is_object() => Ok(parsed.value),
            _ => Err(invalid("the text after `--settings` is not valid JSON".into())),
        },
        None => {
            let path = cwd.join(settings);
            read(&path)?
                .ok_or_else(|| invalid(format!("there is no file `{}`, which `--settings` names", path.display())))
        }
    }
}

/// Reads a file of settings. Returns `None` if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Option<Value>, LaunchError> {
    let Some(bytes) = aiw_home::read_capped(path, aiw_home::json::MAX_BYTES)? else { return Ok(None) };
    let invalid =
        |problem: &str| LaunchError::Invalid { message: format!("`{}` {problem}", path.display()), hint: None };
    match aiw_home::json::parse_settings(&bytes) {
        Ok(value) if value.is_object() => Ok(Some(value)),
        Ok(_) => Err(invalid("is not a JSON object")),
        Err(problem) => Err(invalid(&problem)),
    }
}

/// Returns the path of the first key in `over` that other settings set to another value.
pub(crate) fn find_conflict(over: &Value, other: &Value) -> Option<String> {
    let (Value::Object(over), Value::Object(other)) = (over, other) else { return None };
    over.iter().find_map(|(key, value)| match (value, other.get(key)?) {
        (value @ Value::Object(_), inner) => find_conflict(value, inner).map(|path| format!("{key}.{path}")),
        (value, other) => (value != other).then(|| key.clone()),
    })
}

/// Merges `over` on top of `base`: objects are merged, all other values are replaced.
pub(crate) fn merge(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(mut base), Value::Object(over)) => {
            for (key, value) in over {
                let joined = match base.remove(&key) {
                    Some(below) => merge(below, value),
                    None => value,
                };
                base.insert(key, joined);
            }
            Value::Object(base)
        }
        (_, over) => over,
    }
}

/// Returns the paths of all values that are not objects, joined by dots.
pub(crate) fn keys(value: &Value) -> Vec<String> {
    let Some(map) = value.as_object() else { return Vec::new() };
    map.iter()
        .flat_map(|(key, value)| match keys(value) {
            inner if inner.is_empty() => vec![key.clone()],
            inner => inner.into_iter().map(|inner| format!("{key}.{inner}")).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn settings_that_the_user_gives_are_read_from_a_file_or_from_the_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("s.json"), r#"{"a": 1}"#).unwrap();
        assert_eq!(read_settings(OsStr::new("s.json"), dir.path()).unwrap(), json!({"a": 1}));
        assert_eq!(read_settings(OsStr::new(" {\"b\": 2}"), dir.path()).unwrap(), json!({"b": 2}));
        assert!(read_settings(OsStr::new("none.json"), dir.path()).is_err());
        assert!(read_settings(OsStr::new("{b"), dir.path()).is_err());
        std::fs::write(dir.path().join("s.json"), "{").unwrap();
        assert!(read_settings(OsStr::new("s.json"), dir.path()).is_err());
    }

    #[test]
    fn what_another_file_says_otherwise_is_found() {
        let over = json!({"security": {"auth": {"selectedType": "key"}}});
        assert_eq!(find_conflict(&over, &json!({"security": {"auth": {"selectedType": "key"}}, "x": 1})), None);
        assert_eq!(find_conflict(&over, &json!({"security": {}})), None);
        let other = json!({"security": {"auth": {"selectedType": "vertex"}}});
        assert_eq!(find_conflict(&over, &other).as_deref(), Some("security.auth.selectedType"));
    }

    #[test]
    fn objects_are_joined_and_the_upper_wins() {
        let merged = merge(json!({"a": {"x": 1, "y": 2}, "b": [1]}), json!({"a": {"y": 3}, "b": [2]}));
        assert_eq!(merged, json!({"a": {"x": 1, "y": 3}, "b": [2]}));
        assert_eq!(keys(&merged), ["a.x", "a.y", "b"]);
    }
}

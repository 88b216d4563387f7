//! Arguments are checked against a tool's schema before a call leaves: the far end would say less, and later.

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::PlannedTool;

/// How many problems of one call are named.
const PROBLEMS: usize = 3;

/// The check of one tool's arguments. A schema that makes no sense, or names something elsewhere, checks nothing: the
/// server decides.
pub struct Arguments {
    validator: Option<Validator>,
    names: Vec<String>,
}

impl Arguments {
    /// Reads a tool's schema.
    pub fn of(tool: &PlannedTool) -> Self {
        let names = tool.input_schema["properties"].as_object();
        let names = names.map(|all| all.keys().cloned().collect()).unwrap_or_default();
        Self { validator: jsonschema::options().build(&tool.input_schema).ok(), names }
    }

    /// Returns what is wrong with arguments, as the end of a sentence.
    pub fn problem(&self, arguments: &Map<String, Value>) -> Option<String> {
        let validator = self.validator.as_ref()?;
        let whole = Value::Object(arguments.clone());
        let mut problems: Vec<String> = validator.iter_errors(&whole).take(PROBLEMS).map(|e| said(&e)).collect();
        if problems.is_empty() {
            return None;
        }
        // Most often a name is not quite right.
        for name in arguments.keys().filter(|name| !self.names.contains(name)) {
            if let Some(nearest) = aiw_core::closest(name, self.names.iter().map(String::as_str)) {
                problems.push(format!("did you mean `{nearest}` instead of `{}`?", aiw_core::one_line(name, 60)));
            }
        }
        Some(problems.join("; "))
    }
}

fn said(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let place = place.trim_start_matches('/').replace('/', ".");
    let problem = aiw_core::one_line(&error.to_string(), 200);
    if place.is_empty() { problem } else { format!("`{place}`: {problem}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wrong_arguments_are_named_with_what_was_meant() {
        let tool = |schema: Value| PlannedTool {
            server: "weather".into(),
            name: "forecast".into(),
            whole_name: "weather__forecast".into(),
            input_schema: schema,
            has_output_schema: false,
        };
        let check = Arguments::of(&tool(json!({
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}},
            "required": ["city"],
        })));
        let problem = |arguments: Value| check.problem(arguments.as_object().unwrap());
        assert_eq!(problem(json!({"city": "Oslo", "days": 3})), None);
        let said = problem(json!({"citty": "Oslo"})).unwrap();
        assert!(said.contains("\"city\" is a required property") && said.contains("did you mean `city`"), "{said}");
        let said = problem(json!({"city": "Oslo", "days": "three"})).unwrap();
        assert!(said.contains("`days`") && said.contains("integer"), "{said}");
        // A schema of nonsense, or of somewhere else, checks nothing.
        for schema in [json!(null), json!({"type": 7}), json!({"$ref": "http://127.0.0.1:9/schema.json"})] {
            assert_eq!(Arguments::of(&tool(schema)).problem(json!({"x": 1}).as_object().unwrap()), None);
        }
    }
}

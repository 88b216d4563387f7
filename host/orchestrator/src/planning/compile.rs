//! A plan of steps one after the other becomes a script by rule.

use std::fmt::Write as _;

use serde_json::Value;

use super::template::{Expression, PathKey, TemplatePart, TemplateReference};
use super::{JobPlan, PlanStep};
use crate::tool_expression;

/// A way into a result. What is not there is said with what is. A text is its own `text`, `content` and `result`: models know
/// results as MCP has them.
const PART_HELPER: &str = r#"
function part(value, step, path) {
  for (const key of path) {
    if (typeof value === "string" && [0, "text", "content", "result", "output"].includes(key)) continue;
    if (key === "result" && value !== null && typeof value === "object" && !Object.hasOwn(value, key)) continue;
    if (value === null || typeof value !== "object" || !Object.hasOwn(value, key)) {
      const has = value === null || typeof value !== "object" ? `it is ${value === null ? "null" : `a ${typeof value}`}` : `it has ${Object.keys(value).slice(0, 20).join(", ") || "nothing"}`;
      throw new Error(`the result of step ${step} has no ${JSON.stringify(key)}: ${has}`);
    }
    value = value[key];
  }
  return value;
}
"#;

/// A value within a text.
const TEXT_HELPER: &str = r#"
function text(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
"#;

/// Returns the script of a plan that needs no code of the model's. It returns what no later step has used: one result, or
/// each by its step.
pub fn compile(plan: &JobPlan) -> String {
    let mut script = Script { text: String::from("async function workflow(input) {\n"), used: Vec::new() };
    for (at, PlanStep { tool, arguments, .. }) in plan.steps.iter().enumerate() {
        let arguments = script.fields(arguments);
        let _ = writeln!(script.text, "  const step{} = await {}({arguments});", at + 1, tool_expression(tool));
    }
    let unused: Vec<String> =
        (1..=plan.steps.len()).filter(|step| !script.used.contains(step)).map(|step| format!("step{step}")).collect();
    let _ = match unused.as_slice() {
        [one] => writeln!(script.text, "  return {one};\n}}"),
        all => writeln!(script.text, "  return {{ {} }};\n}}", all.join(", ")),
    };
    for helper in [PART_HELPER, TEXT_HELPER] {
        // A text of the model's may have these words too, which does no harm.
        let name = if helper == PART_HELPER { "part(" } else { "text(" };
        if script.text.contains(name) {
            script.text.push_str(helper);
        }
    }
    script.text
}

struct Script {
    text: String,
    /// The steps whose results others use.
    used: Vec<usize>,
}

impl Script {
    /// Returns an expression as JavaScript writes it. Everything of the model's is within quotes.
    fn expression(&mut self, expression: &Expression) -> String {
        match expression {
            Expression::Json(value) => json(value),
            Expression::Template { pieces, is_text } => {
                let mut parts = Vec::new();
                for piece in pieces {
                    parts.push(match piece {
                        TemplatePart::Text(text) => quoted(text),
                        TemplatePart::Reference(reference) if *is_text => {
                            format!("text({})", self.reference(reference))
                        }
                        TemplatePart::Reference(reference) => self.reference(reference),
                    });
                }
                parts.join(" + ")
            }
            Expression::List(items) => {
                let items: Vec<String> = items.iter().map(|item| self.expression(item)).collect();
                format!("[{}]", items.join(", "))
            }
            Expression::Object(fields) => self.fields(fields),
        }
    }

    fn fields(&mut self, fields: &[(String, Expression)]) -> String {
        let fields: Vec<String> =
            fields.iter().map(|(name, field)| format!("{}: {}", key(name), self.expression(field))).collect();
        object(&fields)
    }

    fn reference(&mut self, reference: &TemplateReference) -> String {
        match reference {
            TemplateReference::Input(name) => format!("input[{}]", quoted(name)),
            TemplateReference::Step(step, way) => {
                self.used.push(*step);
                if way.is_empty() {
                    return format!("step{step}");
                }
                let key_of = |key: &PathKey| match key {
                    PathKey::Field(name) => quoted(name),
                    PathKey::Index(at) => at.to_string(),
                };
                format!("part(step{step}, {step}, [{}])", way.iter().map(key_of).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A value that nothing is filled into.
fn json(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(items) => format!("[{}]", items.iter().map(json).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|(name, field)| format!("{}: {}", key(name), json(field))).collect();
            object(&fields)
        }
        other => other.to_string(),
    }
}

fn object(fields: &[String]) -> String {
    if fields.is_empty() { "{}".into() } else { format!("{{ {} }}", fields.join(", ")) }
}

/// The name of a field. `"__proto__": x` would set a prototype; `["__proto__"]: x` is a field.
fn key(name: &str) -> String {
    if name == "__proto__" { format!("[{}]", quoted(name)) } else { quoted(name) }
}

/// A text in quotes. JSON's texts are JavaScript's too, since ECMAScript 2019.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn script(steps: Value) -> String {
        let step = |step: &Value| {
            let read = |(name, value): (&String, &Value)| (name.clone(), Expression::parse(value, "").unwrap());
            let arguments = step[1].as_object().unwrap().iter().map(read).collect();
            PlanStep { tool: step[0].as_str().unwrap().into(), arguments, raw_arguments: step[1].clone() }
        };
        let steps = steps.as_array().unwrap().iter().map(step).collect();
        compile(&JobPlan { name: "x".into(), input_schema: json!({}), steps, needs_code: false })
    }

    #[test]
    fn steps_become_calls_and_what_nobody_used_is_returned() {
        let text = script(json!([
            ["git__log", {"repo": "{{input.repo}}", "n": 3}],
            ["chat__post", {"text": "Last: {{step1.commits[0].title}} of {{step1}}", "to": ["{{step1.author}}"]}],
        ]));
        assert!(text.starts_with("async function workflow(input) {\n  const step1 = await tools.git__log({ \"repo\": input[\"repo\"], \"n\": 3 });\n  const step2 = await tools.chat__post({ \"text\": \"Last: \" + text(part(step1, 1, [\"commits\", 0, \"title\"])) + \" of \" + text(step1), \"to\": [part(step1, 1, [\"author\"])] });\n  return step2;\n}\n"), "{text}");
        assert!(text.contains("function part(") && text.contains("function text("), "{text}");
        let both = script(json!([["a__b", {}], ["a-x__c", {"__proto__": "\"); evil(\"", "k": "`${x}`"}]]));
        assert!(
            both.contains("tools[\"a-x__c\"]({ [\"__proto__\"]: \"\\\"); evil(\\\"\", \"k\": \"`${x}`\" })"),
            "{both}"
        );
        assert!(both.contains("return { step1, step2 };") && !both.contains("function part"), "{both}");
    }
}

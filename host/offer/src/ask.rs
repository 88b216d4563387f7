//! Asking the user through the client (elicitation in form mode,
//! <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation>).

use std::time::Duration;

use aiw_core::registry::Format;
use aiw_core::{
    Choice, Plan, PromptError, Prompter, Question, QuotedText, Secret, is_safe, is_secret_name, one_line, quote_line,
};
use aiw_mcp::{Call, Caller};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

/// How long the user may think about a question.
const ELICITATION_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The most characters of a question: of a text of others in its frame, and of what aiw says about it.
const MAX_PROMPT_CHARS: usize = 12_000;

/// Whether the client shows forms.
pub(crate) fn can_prompt(caller: &Caller) -> bool {
    let forms = caller.capabilities().get("elicitation").and_then(Value::as_object);
    // Before there were other modes, the object was empty.
    forms.is_some_and(|modes| modes.is_empty() || modes.contains_key("form"))
}

/// Asks the user. The message is shown as it is only if all of it can be seen; else they are not asked here.
pub(crate) async fn prompt_user(
    call: &Call,
    message: String,
    fields: Map<String, Value>,
    required: &[&str],
) -> Result<Map<String, Value>, PromptError> {
    let shown: Vec<String> = message.lines().map(quote_line).collect();
    let message = shown.join("\n");
    if message.chars().count() > MAX_PROMPT_CHARS {
        return Err(PromptError::Unsupported);
    }
    let schema = json!({"type": "object", "properties": fields, "required": required});
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    // A client that fails here may not have shown anything.
    let Ok(mut said) = call.caller.send_request("elicitation/create", Some(params), ELICITATION_TIMEOUT).await else {
        return Err(PromptError::Unsupported);
    };
    match said["action"].as_str() {
        Some("accept") => {
            Ok(said.get_mut("content").and_then(Value::as_object_mut).map(std::mem::take).unwrap_or_default())
        }
        _ => Err(PromptError::Declined),
    }
}

/// The most questions of a form. What has more is answered in a terminal.
const MAX_FORM_QUESTIONS: usize = 20;

/// The user, asked by forms.
pub(crate) struct FormPrompter<'a>(pub(crate) &'a Call);

#[async_trait]
impl Prompter for FormPrompter<'_> {
    /// The protocol forbids forms to ask for secrets.
    fn can_ask(&self, questions: &[Question]) -> bool {
        is_askable(questions.iter())
    }

    async fn confirm(&self, plan: &Plan, questions: &[&Question]) -> Result<Vec<(String, Secret)>, PromptError> {
        if !is_askable(questions.iter().copied()) {
            return Err(PromptError::Unsupported);
        }
        let (secret, open): (Vec<&Question>, Vec<&Question>) =
            questions.iter().partition(|question| is_secret(question));
        let mut lines = plan.details.clone();
        for secret in secret {
            let name = one_line(&secret.name, 80);
            lines.push(format!("  not asked for here: {name}, a secret (`aiw mcp install` in a terminal asks)"));
        }
        let mut message = plan.question.clone();
        if !lines.is_empty() {
            message.push_str(&format!("\n\n{}", lines.join("\n")));
        }
        if let Some(text) = &plan.text {
            let shown = QuotedText::new(text);
            if !shown.is_complete() || !is_safe(text) {
                return Err(PromptError::Unsupported);
            }
            message.push_str(&format!("\n\n{}", shown.framed()));
        }
        let fields = open.iter().map(|question| (question.name.clone(), field(question))).collect();
        let required: Vec<&str> = open.iter().filter(|q| q.required).map(|q| q.name.as_str()).collect();
        let said = prompt_user(self.0, message, fields, &required).await?;
        let mut given = Vec::new();
        for question in open {
            if let Some(answer) = said.get(&question.name).and_then(|value| text(&question.name, value).transpose()) {
                given.push((question.name.clone(), answer?));
            }
        }
        Ok(given)
    }

    async fn select(&self, choice: &Choice) -> Result<usize, PromptError> {
        let shown: Vec<String> =
            choice.options.iter().zip(1..).map(|(option, number)| format!("{number}. {option}")).collect();
        let fields = Map::from_iter([(choice.name.to_owned(), json!({"type": "string", "enum": shown}))]);
        let said = prompt_user(self.0, choice.question.clone(), fields, &[choice.name]).await?;
        let chosen = shown.iter().position(|line| said.get(choice.name).and_then(Value::as_str) == Some(line));
        chosen.ok_or(PromptError::Declined)
    }
}

/// Whether a form can ask these questions.
fn is_askable<'a>(questions: impl Iterator<Item = &'a Question>) -> bool {
    let is_askable = |question: &Question| !(question.required && is_secret(question));
    questions.enumerate().all(|(at, question)| at < MAX_FORM_QUESTIONS && is_askable(question))
}

/// Whether the answer to a question is a secret, or may be one by the words of the question.
fn is_secret(question: &Question) -> bool {
    let suggests = is_secret_name(&question.name) || question.description.as_deref().is_some_and(is_secret_name);
    question.secret || (question.choices.is_empty() && suggests)
}

/// A question as a field of a form.
fn field(question: &Question) -> Value {
    let mut choices = question.choices.clone();
    choices.sort();
    choices.dedup();
    let mut field = match question.format {
        _ if !choices.is_empty() => json!({"type": "string", "enum": choices}),
        Format::Number => json!({"type": "number"}),
        Format::Boolean => json!({"type": "boolean"}),
        Format::Text | Format::FilePath => json!({"type": "string"}),
    };
    if let Some(description) = &question.description {
        field["description"] = one_line(description, 300).into();
    }
    let default = question.default.as_deref().and_then(|default| match field["type"].as_str() {
        Some("number") => serde_json::from_str(default).ok().filter(Value::is_number),
        Some("boolean") => serde_json::from_str(default).ok().filter(Value::is_boolean),
        _ if !choices.is_empty() && !choices.iter().any(|choice| choice == default) => None,
        _ => Some(Value::from(default)),
    });
    if let Some(default) = default {
        field["default"] = default;
    }
    field
}

/// An answer as text. None if it is empty.
fn text(name: &str, answer: &Value) -> Result<Option<Secret>, PromptError> {
    let text = match answer {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => answer.to_string(),
        _ => {
            return Err(PromptError::InvalidReply {
                name: one_line(name, 80),
                what: "a text, a number or a switch".into(),
            });
        }
    };
    // A place in an answer would be filled from the vault or the environment.
    if text.contains("${") {
        return Err(PromptError::InvalidReply { name: one_line(name, 80), what: "a value without `${`".into() });
    }
    Ok(Some(text).filter(|text| !text.is_empty()).map(Secret::new))
}

//! Installing a server by asking the user through the client (elicitation in form mode,
//! <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation>).

use aiw_app::installs::{InstallError, Installation, Replaces, about, beside, fetch, key_for, missing_program};
use aiw_core::registry::Format;
use aiw_core::{Secret, is_secret_name, one_line, shell_word};
use aiw_mcp::Call;
use aiw_registries::{Answers, FoundServer, PlanError, Question, Way, entry, how_to_get, way_id, ways};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::ask::{Stop, ask, can_ask};
use crate::context::Context;
use crate::error::CallError;

/// The most questions of a form. A server that has more is installed in a terminal.
const QUESTIONS: usize = 20;

/// The most names of tools that the answer lists.
const TOOLS: usize = 50;

/// What became of an installation.
#[derive(Serialize)]
pub(crate) struct Outcome {
    message: String,
    installed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<String>,
}

/// Asks the user whether to install a server, and for what it needs. None if they can't be asked here.
pub(crate) async fn ask_and_install(
    context: &Context,
    found: &FoundServer,
    call: &Call,
) -> Result<Option<Outcome>, CallError> {
    match install(context, found, call).await {
        Ok(outcome) => Ok(Some(outcome)),
        Err(Stop::Unasked) => Ok(None),
        Err(Stop::Failed(e)) => Err(e),
        Err(Stop::Declined) => Ok(Some(Outcome {
            message: "the user declined: nothing was installed".into(),
            installed: false,
            key: None,
            version: one_line(&found.server.version, 40),
            tools: Vec::new(),
        })),
    }
}

async fn install(context: &Context, found: &FoundServer, call: &Call) -> Result<Outcome, Stop> {
    if !can_ask(&call.caller) {
        return Err(Stop::Unasked);
    }
    let (home, net) = (&context.home, context.client.app().client()?);
    let (key, replaces) = key_for(home, found, None, false).map_err(InstallError::from)?;
    let mut way = chosen(found, call).await?;
    let id = way_id(&way);
    let mut fetched = None;
    if way.bundle().is_some() {
        let message = format!("Fetch this bundle to see what it runs?\n\n{}", about(found, &way).join("\n"));
        ask(call, message, Map::new(), &[]).await?;
        fetched = fetch(home, net, found, &way).await.map_err(InstallError::from)?;
    }
    if let Some(fetched) = &fetched {
        way = fetched.way.clone();
    }
    if let Some(reason) = way.refused() {
        return Err(InstallError::from(PlanError::Refused(reason.clone())).into());
    }
    if !is_askable(&way) {
        return Err(Stop::Unasked);
    }
    if let Some(program) = missing_program(&way) {
        return Err(CallError::NoProgram { program: one_line(program, 80), how_to_get: how_to_get(program) }.into());
    }
    let what = if replaces == Replaces::Nothing { "Install" } else { "Replace" };
    let mut lines = about(found, &way);
    lines.extend(beside(home, found, &key, &replaces).map_err(InstallError::from)?);
    let mut message = format!("{what} the MCP server `{key}`, and start it?\n\n{}", lines.join("\n"));
    for secret in way.questions().iter().filter(|question| is_secret(question)) {
        let name = one_line(&secret.name, 80);
        message.push_str(&format!("\n  not asked for here: {name}, a secret (`aiw mcp install` in a terminal asks)"));
    }
    let questions: Vec<&Question> = way.questions().iter().filter(|question| !is_secret(question)).collect();
    let fields = questions.iter().map(|question| (question.name.clone(), field(question))).collect();
    let required: Vec<&str> = questions.iter().filter(|q| q.required).map(|q| q.name.as_str()).collect();
    if let Some(host) = way.inner_host() {
        let question = format!("`{key}` reaches {host}, inside a private or local network. May it?");
        ask(call, question, Map::new(), &[]).await?;
    }
    let said = ask(call, message, fields, &required).await?;
    let mut answers = Answers::default();
    for question in questions {
        if let Some(answer) = said.get(&question.name).and_then(|value| text(&question.name, value).transpose()) {
            answers.give(&question.name, answer?);
        }
    }
    let vault = home.vault();
    let entry = entry(&way, &answers, &key, |name| vault.is_taken(name)).map_err(InstallError::from)?;
    if let Some(fetched) = &mut fetched {
        fetched.unpack().map_err(InstallError::from)?;
    }
    let installation = Installation { found, way: &way, way_id: id, key: &key, entry: &entry, check: true, replaces };
    let installed = installation.finish(home, net).await?;
    context.pool.reload().await;
    let message = match installed.wants_login {
        true => format!("it is installed, and wants a login: the user types `aiw mcp login {}`", shell_word(&key)),
        false => "it is installed and works: its tools are here now".to_owned(),
    };
    let tools = installed.seen.iter().flat_map(|seen| seen.accepted().map(|tool| tool.name().to_owned()));
    let (tools, version) = (tools.take(TOOLS).collect(), one_line(&found.server.version, 40));
    Ok(Outcome { message, installed: true, key: Some(key), version, tools })
}

/// The way that the user chooses of those that can be installed by forms.
async fn chosen(found: &FoundServer, call: &Call) -> Result<Way, Stop> {
    let mut usable: Vec<Way> =
        ways(&found.server).into_iter().filter(|way| way.refused().is_none() && is_askable(way)).collect();
    if usable.len() < 2 {
        return usable.pop().ok_or(Stop::Unasked);
    }
    let line = |(way, number): (&Way, usize)| format!("{number}. {} {}", way.kind().as_str(), way.target());
    let shown: Vec<String> = usable.iter().zip(1..).map(line).collect();
    let fields = Map::from_iter([("way".to_owned(), json!({"type": "string", "enum": shown}))]);
    let message = format!("The MCP server {} runs in several ways. Which?", one_line(&found.server.name, 200));
    let said = ask(call, message, fields, &["way"]).await?;
    let chosen = shown.iter().position(|line| said.get("way").and_then(Value::as_str) == Some(line));
    chosen.map(|at| usable.swap_remove(at)).ok_or(Stop::Declined)
}

/// Whether forms can ask for what a way needs. The protocol forbids them to ask for secrets.
fn is_askable(way: &Way) -> bool {
    let questions = way.questions();
    questions.len() <= QUESTIONS && !questions.iter().any(|question| is_secret(question) && question.required)
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
fn text(name: &str, answer: &Value) -> Result<Option<Secret>, CallError> {
    let text = match answer {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => answer.to_string(),
        _ => return Err(CallError::Wrong { name: one_line(name, 80), what: "a text, a number or a switch".into() }),
    };
    // A place in an answer would be filled from the vault or the environment.
    if text.contains("${") {
        return Err(CallError::Wrong { name: one_line(name, 80), what: "a value without `${`".into() });
    }
    Ok(Some(text).filter(|text| !text.is_empty()).map(Secret::new))
}

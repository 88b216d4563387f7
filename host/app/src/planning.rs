//! A model of the user's own plans a job over tools, which becomes one script.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::{Api, ErrorKind, Secret, one_line};
use aiw_home::{HomeError, LlmApiName, LlmPlace, LlmSettings, SecretRef, VaultError};
use aiw_llm::{Endpoint, LlmApi, LlmError, Message, Model, Question, Reply, Role};
use aiw_net::{Client, Policy};
use aiw_orchestrator::plain_code;
use aiw_orchestrator::planning::{CODE_TOKENS, Candidate, Job, JobPlan, PlanError, SYSTEM, script_of};
use aiw_providers::ProviderError;
use aiw_routing::Offered;
use serde_json::{Map, Value, json};

use crate::workflows::{ScriptError, ScriptTools};
use crate::{AppError, ClientSession};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NoPlan {
    /// No model is set.
    #[error("no model is set to plan jobs")]
    NotSet,
    /// No tool was found that a plan could use.
    #[error("there is no tool to plan with")]
    NoTools,
    /// The model did not answer a moment ago, and is left alone for now.
    #[error("{problem}; it is asked again in {seconds} s")]
    Resting {
        /// Why it did not answer.
        problem: String,
        /// How long it is left alone.
        seconds: u64,
    },
    /// The settings are wrong.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The application can't be used.
    #[error(transparent)]
    App(#[from] AppError),
    /// The provider can't be used.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// The key is not there.
    #[error("the key of the model is missing: {source}")]
    Key {
        /// Why.
        source: VaultError,
    },
    /// The variable with the key is not set.
    #[error("the key of the model is missing: the variable `{variable}` is not set")]
    NoVariable {
        /// The variable.
        variable: String,
    },
    /// The model did not answer.
    #[error(transparent)]
    Model(#[from] LlmError),
    /// The model answered with no plan that may be used.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The code that the model wrote makes no sense, even the second time.
    #[error("the code that it wrote is wrong: {source}")]
    Code {
        /// Why.
        source: ScriptError,
    },
}

impl NoPlan {
    /// Returns the kind of the error, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotSet | Self::Key { .. } | Self::NoVariable { .. } => ErrorKind::Config,
            Self::NoTools => ErrorKind::User,
            Self::Resting { .. } => ErrorKind::Unavailable,
            Self::Home(e) => e.kind(),
            Self::App(e) => e.kind(),
            Self::Provider(e) => e.kind(),
            Self::Model(e) => e.kind(),
            Self::Plan(e) => e.kind(),
            Self::Code { .. } => ErrorKind::Unavailable,
        }
    }

    /// Returns the next step.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotSet => Some("`aiw llm set` sets one".into()),
            Self::Key { .. } => Some("`aiw llm set --token-stdin` stores it".into()),
            Self::NoVariable { variable } => Some(format!("set `{variable}`")),
            Self::Home(e) => e.hint(),
            Self::App(e) => e.hint(),
            Self::Provider(e) => e.hint(),
            Self::Model(e) => e.hint(),
            Self::NoTools | Self::Resting { .. } | Self::Plan(_) | Self::Code { .. } => None,
        }
    }
}

/// A job that a model has planned.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedJob {
    /// What the model calls it: 1 to 40 of `a-z 0-9 _`.
    pub name: String,
    /// The JSON schema of what it is called with.
    pub input_schema: Value,
    /// The script.
    pub code: String,
    /// The tools that it may call.
    pub tools: Vec<String>,
    /// Whether the model wrote the script, because the plan repeats or chooses.
    pub is_code: bool,
    /// The model.
    pub model: String,
    /// How long the model took.
    pub took: Duration,
    /// The tokens that it read for the plan, if its server counts them.
    pub input_tokens: Option<u64>,
    /// The tokens of the plan.
    pub output_tokens: Option<u64>,
}

/// Plans a job over tools by the model that is set.
pub async fn plan(client: &ClientSession, request: &str, tools: &[Offered]) -> Result<PlannedJob, NoPlan> {
    let settings = set(client)?;
    if tools.is_empty() {
        return Err(NoPlan::NoTools);
    }
    let definitions: Vec<Value> = tools.iter().map(|tool| tool.definition.value()).collect();
    let candidate = |(tool, definition)| {
        let (tool, definition): (&Offered, &Value) = (tool, definition);
        Candidate { whole_name: &tool.proxied, definition, only_reads: tool.definition.only_reads() }
    };
    let job = Job { request, candidates: tools.iter().zip(&definitions).map(candidate).collect() };
    plan_job(client, &settings, &job).await
}

fn set(client: &ClientSession) -> Result<LlmSettings, NoPlan> {
    client.home().settings()?.llm()?.ok_or(NoPlan::NotSet)
}

/// Plans a small job over tools that don't exist, to see whether the model can.
pub async fn plan_sample(client: &ClientSession) -> Result<PlannedJob, NoPlan> {
    let settings = set(client)?;
    let text = |names: &[&str]| {
        let fields: Map<String, Value> =
            names.iter().map(|name| ((*name).to_owned(), json!({"type": "string"}))).collect();
        json!({"type": "object", "properties": fields, "required": names})
    };
    let forecast = json!({
        "description": "Gets the weather forecast of a city.",
        "inputSchema": text(&["city"]),
        "outputSchema": text(&["summary"]),
    });
    let send = json!({"description": "Sends a message to a person.", "inputSchema": text(&["to", "text"])});
    let candidate = |whole_name, definition, only_reads| Candidate { whole_name, definition, only_reads };
    let job = Job {
        request: "Send Anna the weather in Oslo",
        candidates: vec![candidate("weather__forecast", &forecast, true), candidate("chat__send", &send, false)],
    };
    plan_job(client, &settings, &job).await
}

/// Waits until the model is loaded, where that takes long.
pub async fn load_now(client: &ClientSession) -> Result<(), NoPlan> {
    let settings = set(client)?;
    Ok(model(client, &settings).await?.load(client.app().client()?).await?)
}

async fn plan_job(client: &ClientSession, settings: &LlmSettings, job: &Job<'_>) -> Result<PlannedJob, NoPlan> {
    client.app().planner().may_try(settings).map_err(|resting| {
        let seconds = resting.until.saturating_duration_since(Instant::now()).as_secs() + 1;
        NoPlan::Resting { problem: resting.problem, seconds }
    })?;
    let model = model(client, settings).await?;
    let net = client.app().client()?;
    let mut question = Question {
        system: SYSTEM,
        messages: vec![Message { role: Role::User, text: job.prompt() }],
        schema: Some(job.schema()),
        tokens: settings.plan_tokens,
        context: settings.context,
        time: settings.plan_time,
    };
    let reply = ask(client, &model, net, &question).await?;
    let plan = match job.plan(&reply.text) {
        Err(PlanError::NoPlan { .. }) if reply.is_cut => return Err(PlanError::Cut.into()),
        plan => plan?,
    };
    let (mut took, mut code) = (reply.took, None);
    if plan.needs_code {
        question.messages.push(Message { role: Role::Assistant, text: reply.text });
        question.messages.push(Message { role: Role::User, text: Job::code_prompt(&plan) });
        question = Question { schema: None, tokens: CODE_TOKENS, time: settings.code_time, ..question };
        let (written, more) = code_of(client, &model, &plan, question).await?;
        (took, code) = (took + more, Some(written));
    }
    Ok(PlannedJob {
        tools: plan.tools(),
        is_code: code.is_some(),
        code: code.unwrap_or_else(|| script_of(&plan)),
        name: plan.name,
        input_schema: plan.input_schema,
        model: model.endpoint().model.clone(),
        took,
        input_tokens: reply.input_tokens,
        output_tokens: reply.output_tokens,
    })
}

/// Lets the model write the script of a plan. What is wrong with its first one is told to it once.
async fn code_of(
    client: &ClientSession,
    model: &Arc<Model>,
    plan: &JobPlan,
    mut question: Question<'_>,
) -> Result<(String, Duration), NoPlan> {
    let (net, names, started) = (client.app().client()?, plan.tools(), Instant::now());
    let (mut took, time) = (Duration::ZERO, question.time);
    loop {
        let reply = ask(client, model, net, &question).await?;
        took += reply.took;
        let code = plain_code(&reply.text).to_owned();
        let tools = ScriptTools::of(client.pool());
        match tools.check(client.app().orchestrator(), &code, &names).await {
            Ok(_) => return Ok((code, took)),
            Err(source) => {
                let left = time.saturating_sub(started.elapsed());
                // The first answer and the repair share their time.
                if question.messages.len() > 3 || left.is_zero() {
                    return Err(NoPlan::Code { source });
                }
                let problem = format!("That is wrong: {}. Write it again.", one_line(&source.to_string(), 300));
                question.messages.push(Message { role: Role::Assistant, text: reply.text });
                question.messages.push(Message { role: Role::User, text: problem });
                question.time = left;
            }
        }
    }
}

/// Asks the model, and notes whether it answered.
async fn ask(
    client: &ClientSession,
    model: &Arc<Model>,
    net: &Client,
    question: &Question<'_>,
) -> Result<Reply, NoPlan> {
    let planner = client.app().planner();
    match model.ask(net, question).await {
        Ok(reply) => {
            planner.answers();
            Ok(reply)
        }
        Err(e) => {
            planner.rests(e.to_string());
            if matches!(e, LlmError::TooSlow { .. }) && model.endpoint().api == LlmApi::Ollama {
                // The next question finds it ready.
                let (planner, model, net) = (planner.clone(), model.clone(), net.clone());
                tokio::spawn(async move {
                    if model.load(&net).await.is_ok() {
                        planner.answers();
                    }
                });
            }
            Err(e.into())
        }
    }
}

/// Returns the model, as it is now.
async fn model(client: &ClientSession, settings: &LlmSettings) -> Result<Arc<Model>, NoPlan> {
    let planner = client.app().planner();
    if let Some(model) = planner.model() {
        return Ok(model);
    }
    let endpoint = endpoint(client, settings).await;
    if let Err(e @ NoPlan::Provider(_)) = &endpoint {
        // Its component may have asked the network.
        planner.rests(e.to_string());
    }
    let model = Arc::new(Model::new(endpoint?));
    planner.set_model(&model);
    Ok(model)
}

/// Returns where the model of the settings is asked.
pub async fn endpoint(client: &ClientSession, settings: &LlmSettings) -> Result<Endpoint, NoPlan> {
    let (api, key) = match &settings.place {
        LlmPlace::Provider(name) => {
            let access = client.providers()?.model_access(name.as_str(), settings.model.as_deref()).await?;
            let api = if access.api == Api::Messages { LlmApi::Messages } else { LlmApi::ChatCompletions };
            let mut endpoint = Endpoint::typed(api, &access.url, &access.model);
            if !access.is_granted {
                endpoint.policy = Policy::public();
            }
            return Ok(Endpoint { headers: access.headers, secrets: access.secrets, ..endpoint });
        }
        LlmPlace::Url { api, key, .. } => (*api, key.as_ref()),
    };
    let api = match api {
        LlmApiName::Ollama => LlmApi::Ollama,
        LlmApiName::ChatCompletions => LlmApi::ChatCompletions,
        LlmApiName::Messages => LlmApi::Messages,
    };
    let url = settings.url().unwrap_or_default();
    let endpoint = Endpoint::typed(api, &url, settings.model().unwrap_or_default());
    match key {
        None => Ok(endpoint),
        Some(SecretRef::Vault(name)) => {
            let key = client.home().vault().get(name).map_err(|source| NoPlan::Key { source })?;
            Ok(endpoint.with_key(&key))
        }
        Some(SecretRef::Variable(name)) => match std::env::var(name.as_str()) {
            Ok(key) if !key.trim().is_empty() => Ok(endpoint.with_key(&Secret::new(key))),
            _ => Err(NoPlan::NoVariable { variable: name.to_string() }),
        },
    }
}

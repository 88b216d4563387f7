//! A model of the user's own plans a job over tools, which becomes one script.

use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::{Api, Diagnostic, ErrorKind, Secret, one_line};
use aiw_home::{HomeError, PlannerApiName, PlannerHost, PlannerSettings, SecretRef, VaultError};
use aiw_llm::{ChatMessage, Completion, CompletionRequest, LanguageModel, LlmApi, LlmError, ModelEndpoint, Role};
use aiw_net::{HttpClient, Policy};
use aiw_orchestrator::extract_code;
use aiw_orchestrator::planning::{
    CandidateTool, JobPlan, JobPlanError, MAX_CODE_TOKENS, PlanJob, SYSTEM_PROMPT, compile,
};
use aiw_providers::ProviderError;
use aiw_routing::CatalogItem;
use serde_json::{Map, Value, json};

use crate::planner::ProbePermit;
use crate::workflows::{ScriptError, ScriptTools};
use crate::{AppError, ClientSession};

/// How long a model may take to load.
const MODEL_LOAD_TIMEOUT: Duration = Duration::from_secs(90);

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No model is set.
    #[error("no model is set to plan jobs")]
    NotConfigured,
    /// No tool was found that a plan could use.
    #[error("there is no tool to plan with")]
    NoToolsAvailable,
    /// The variable `AIW_PLANNER` says that none plans.
    #[error("no model plans jobs: the variable `AIW_PLANNER` says so")]
    Disabled,
    /// The profile denies planned tools, or scripts.
    #[error("the profile allows no planned tools")]
    Denied,
    /// Another question is under way to a model that has not answered yet.
    #[error("it is being loaded, or asked for the first time")]
    AlreadyInProgress,
    /// The model did not answer a moment ago, and is left alone for now.
    #[error("{problem}; it is asked again in {seconds} s")]
    CoolingDown {
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
    MissingKey {
        /// Why.
        source: VaultError,
    },
    /// The variable with the key is not set.
    #[error("the key of the model is missing: the variable `{variable}` is not set")]
    VariableNotFound {
        /// The variable.
        variable: String,
    },
    /// The model did not answer.
    #[error(transparent)]
    Model(#[from] LlmError),
    /// The model answered with no plan that may be used.
    #[error(transparent)]
    Plan(#[from] JobPlanError),
    /// The code that the model wrote makes no sense, even the second time.
    #[error("the code that it wrote is wrong: {source}")]
    InvalidCode {
        /// Why.
        source: ScriptError,
    },
}

impl Diagnostic for PlanError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, App, Provider, Model, Plan)
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::NotConfigured
            | Self::Disabled
            | Self::Denied
            | Self::MissingKey { .. }
            | Self::VariableNotFound { .. } => ErrorKind::Config,
            Self::CoolingDown { .. } | Self::AlreadyInProgress => ErrorKind::Unavailable,
            Self::InvalidCode { .. } => ErrorKind::Unavailable,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::NotConfigured => Some("`aiw planner set` sets one".into()),
            Self::MissingKey { .. } => Some("`aiw planner set --token-stdin` stores it".into()),
            Self::VariableNotFound { variable } => Some(format!("set `{variable}`")),
            Self::Disabled => Some("unset `AIW_PLANNER`".into()),
            Self::NoToolsAvailable
            | Self::Denied
            | Self::AlreadyInProgress
            | Self::CoolingDown { .. }
            | Self::Plan(_)
            | Self::InvalidCode { .. } => None,
            _ => None,
        }
    }
}

/// A job that a model has planned.
#[derive(Debug, Clone, PartialEq)]
pub struct JobPlanResult {
    /// The model's name for it: 1 to 40 of `a-z 0-9 _`.
    pub name: String,
    /// The JSON schema of what it is called with.
    pub input_schema: Value,
    /// The script.
    pub code: String,
    /// The tools that it may call.
    pub tools: Vec<String>,
    /// The calls as the model planned them: each tool, and its arguments with what is filled in.
    pub steps: Vec<(String, Value)>,
    /// Whether the model wrote the script, because the plan repeats or chooses.
    pub is_code: bool,
    /// The model.
    pub model: String,
    /// How long the model took.
    pub elapsed: Duration,
    /// The tokens that it read for the plan, if its server counts them.
    pub input_tokens: Option<u64>,
    /// The tokens of the plan.
    pub output_tokens: Option<u64>,
}

/// Plans a job over tools by the model that is set.
pub fn plan<'a>(
    client: &'a ClientSession,
    request: &'a str,
    tools: &'a [CatalogItem],
) -> BoxFuture<'a, Result<JobPlanResult, PlanError>> {
    Box::pin(async move {
        let settings = set(client)?;
        if tools.is_empty() {
            return Err(PlanError::NoToolsAvailable);
        }
        let definitions: Vec<Value> = tools.iter().map(|tool| tool.definition.value()).collect();
        let candidate = |(tool, definition)| {
            let (tool, definition): (&CatalogItem, &Value) = (tool, definition);
            CandidateTool {
                qualified_name: &tool.proxied_name,
                definition,
                is_read_only: tool.definition.is_read_only(),
            }
        };
        let job = PlanJob { request, candidates: tools.iter().zip(&definitions).map(candidate).collect() };
        plan_job(client, &settings, &job).await
    })
}

fn set(client: &ClientSession) -> Result<PlannerSettings, PlanError> {
    let settings = client.home().settings()?;
    let is_off = || {
        if settings.configured_planner().is_ok_and(|planner| planner.is_some()) {
            PlanError::Disabled
        } else {
            PlanError::NotConfigured
        }
    };
    settings.planner(client.home().context())?.ok_or_else(is_off)
}

/// Plans a small job over tools that don't exist, to see whether the model can.
pub fn plan_sample(client: &ClientSession) -> BoxFuture<'_, Result<JobPlanResult, PlanError>> {
    Box::pin(async move {
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
        let candidate = |whole_name, definition, only_reads| CandidateTool {
            qualified_name: whole_name,
            definition,
            is_read_only: only_reads,
        };
        let job = PlanJob {
            request: "Send Anna the weather in Oslo",
            candidates: vec![candidate("weather__forecast", &forecast, true), candidate("chat__send", &send, false)],
        };
        plan_job(client, &settings, &job).await
    })
}

/// Waits until the model is loaded, where that takes long.
pub fn preload_model(client: &ClientSession) -> BoxFuture<'_, Result<(), PlanError>> {
    Box::pin(async move {
        let settings = set(client)?;
        let model = LanguageModel::new(endpoint(client, &settings).await?);
        Ok(model.load(client.app().client()?, settings.context_tokens, MODEL_LOAD_TIMEOUT).await?)
    })
}

async fn plan_job(
    client: &ClientSession,
    settings: &PlannerSettings,
    job: &PlanJob<'_>,
) -> Result<JobPlanResult, PlanError> {
    let tried = client.app().planner().try_acquire(settings).map_err(|resting| match resting.problem {
        Some(problem) => {
            let seconds = resting.retry_at.saturating_duration_since(Instant::now()).as_secs() + 1;
            PlanError::CoolingDown { problem, seconds }
        }
        None => PlanError::AlreadyInProgress,
    })?;
    let model = model(client, settings, &tried).await?;
    let net = client.app().client()?;
    let asking = ModelQuestions {
        tried: Arc::new(tried),
        model: model.clone(),
        net: net.clone(),
        context: settings.context_tokens,
    };
    let mut question = CompletionRequest {
        system: SYSTEM_PROMPT,
        messages: vec![ChatMessage { role: Role::User, text: job.prompt() }],
        schema: Some(job.schema()),
        max_tokens: settings.max_plan_tokens,
        context_tokens: settings.context_tokens,
        timeout: settings.plan_timeout,
    };
    let reply = asking.ask(&question).await?;
    let plan = match job.parse_plan(&reply.text) {
        Err(JobPlanError::NotAPlan { .. }) if reply.is_truncated => return Err(JobPlanError::Truncated.into()),
        plan => plan?,
    };
    let (mut took, mut code) = (reply.elapsed, None);
    if plan.needs_code {
        question.messages.push(ChatMessage { role: Role::Assistant, text: reply.text });
        question.messages.push(ChatMessage { role: Role::User, text: PlanJob::code_prompt(&plan) });
        question =
            CompletionRequest { schema: None, max_tokens: MAX_CODE_TOKENS, timeout: settings.code_timeout, ..question };
        let (written, more) = code_of(client, &asking, &plan, question).await?;
        (took, code) = (took + more, Some(written));
    }
    Ok(JobPlanResult {
        tools: plan.tools(),
        steps: plan.steps.iter().map(|step| (step.tool.clone(), step.raw_arguments.clone())).collect(),
        is_code: code.is_some(),
        code: code.unwrap_or_else(|| compile(&plan)),
        name: plan.name,
        input_schema: plan.input_schema,
        model: model.endpoint().model.clone(),
        elapsed: took,
        input_tokens: reply.input_tokens,
        output_tokens: reply.output_tokens,
    })
}

/// Lets the model write the script of a plan. What is wrong with its first one is told to it once.
async fn code_of(
    client: &ClientSession,
    asking: &ModelQuestions,
    plan: &JobPlan,
    mut question: CompletionRequest<'_>,
) -> Result<(String, Duration), PlanError> {
    let (names, started) = (plan.tools(), Instant::now());
    let (mut took, time) = (Duration::ZERO, question.timeout);
    loop {
        let reply = asking.ask(&question).await?;
        took += reply.elapsed;
        let code = extract_code(&reply.text).into_owned();
        let tools = ScriptTools::new(client.pool());
        match tools.check(client.app().orchestrator(), &code, &names).await {
            Ok(_) => return Ok((code, took)),
            Err(source) => {
                let left = time.saturating_sub(started.elapsed());
                // The first answer and the repair share their time.
                if question.messages.len() > 3 || left.is_zero() {
                    return Err(PlanError::InvalidCode { source });
                }
                let problem = format!("That is wrong: {}. Write it again.", one_line(&source.to_string(), 300));
                question.messages.push(ChatMessage { role: Role::Assistant, text: reply.text });
                question.messages.push(ChatMessage { role: Role::User, text: problem });
                question.timeout = left;
            }
        }
    }
}

/// Questions to a model for one plan.
struct ModelQuestions {
    tried: Arc<ProbePermit>,
    model: Arc<LanguageModel>,
    net: HttpClient,
    context: u32,
}

impl ModelQuestions {
    /// Asks the model, and notes whether it answered.
    async fn ask(&self, question: &CompletionRequest<'_>) -> Result<Completion, PlanError> {
        match self.model.complete(&self.net, question).await {
            Ok(reply) => {
                self.tried.record_success();
                Ok(reply)
            }
            Err(e) => {
                self.tried.record_failure(e.to_string());
                if matches!(e, LlmError::Timeout { .. }) && self.model.endpoint().api == LlmApi::Ollama {
                    // The next question finds it ready.
                    let (tried, model, net, context) =
                        (self.tried.clone(), self.model.clone(), self.net.clone(), self.context);
                    tokio::spawn(async move {
                        if model.load(&net, context, MODEL_LOAD_TIMEOUT).await.is_ok() {
                            tried.record_load();
                        }
                    });
                }
                Err(e.into())
            }
        }
    }
}

/// Returns the model, as it is now.
async fn model(
    client: &ClientSession,
    settings: &PlannerSettings,
    tried: &ProbePermit,
) -> Result<Arc<LanguageModel>, PlanError> {
    if let Some(model) = client.app().planner().model(settings) {
        return Ok(model);
    }
    let endpoint = endpoint(client, settings).await;
    if let Err(e @ PlanError::Provider(_)) = &endpoint {
        // Its component may have asked the network.
        tried.record_failure(e.to_string());
    }
    let model = Arc::new(LanguageModel::new(endpoint?));
    tried.set_model(&model);
    Ok(model)
}

/// Returns where the model of the settings is asked.
pub fn endpoint<'a>(
    client: &'a ClientSession,
    settings: &'a PlannerSettings,
) -> BoxFuture<'a, Result<ModelEndpoint, PlanError>> {
    Box::pin(async move {
        let (api, key) = match &settings.host {
            PlannerHost::Provider(name) => {
                let model = settings.model.as_deref();
                let speaks = [Api::ChatCompletions, Api::Messages];
                let access = client.providers()?.model_endpoint(name.as_str(), None, &speaks, model).await?;
                let models = access.models;
                // A plan is small work.
                let named = model.map(str::to_owned).or(models.small).or(models.main);
                let model = named.ok_or_else(|| ProviderError::MissingModelName { provider: name.to_string() })?;
                let api = if access.api == Api::Messages { LlmApi::Messages } else { LlmApi::ChatCompletions };
                let mut endpoint = ModelEndpoint::from_user_url(api, &access.url, &model);
                if !access.is_granted {
                    endpoint.policy = Policy::public();
                }
                return Ok(ModelEndpoint { headers: access.headers, secrets: access.secrets, ..endpoint });
            }
            PlannerHost::Url { api, key, .. } => (*api, key.as_ref()),
        };
        let api = match api {
            PlannerApiName::Ollama => LlmApi::Ollama,
            PlannerApiName::ChatCompletions => LlmApi::ChatCompletions,
            PlannerApiName::Messages => LlmApi::Messages,
        };
        let around = client.home().context();
        let url = settings.url(around).unwrap_or_default();
        let endpoint = ModelEndpoint::from_user_url(api, &url, settings.model().unwrap_or_default());
        match key {
            None => Ok(endpoint),
            Some(SecretRef::Vault(name)) => {
                let key = client.home().vault().get(name).map_err(|source| PlanError::MissingKey { source })?;
                Ok(endpoint.with_key(&key))
            }
            Some(SecretRef::Variable(name)) => match around.variable_str(name.as_str()) {
                Some(key) if !key.trim().is_empty() => Ok(endpoint.with_key(&Secret::new(key))),
                _ => Err(PlanError::VariableNotFound { variable: name.to_string() }),
            },
        }
    })
}

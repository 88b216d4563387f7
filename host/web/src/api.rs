//! The table of routes: a method, a path, the command that does the same, the shapes, and what is called.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_app::ClientSession;
use aiw_app::doctor::Doctor;
use aiw_app::servers::profiles::resolve_profile;
use aiw_core::{Diagnostic, ErrorKind};
use aiw_home::Home;
use aiw_listen::{Method, StatusCode};
use aiw_routing::KnownTool;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use crate::person::{PromptForm, PromptReply, WebPrompter};
use crate::progress::PageProgress;
use crate::projects::Projects;

/// Looks for problems of the parts of aiw.
pub(crate) type DoctorFn = Arc<dyn Fn(&Home) -> Doctor + Send + Sync>;

/// Where the API is.
pub(crate) const API_PREFIX: &str = "/api/v1";

/// A request that was let in, with what verbs need.
pub(crate) struct ApiCall {
    pub(crate) projects: Arc<Projects>,
    pub(crate) doctor: DoctorFn,
    /// Returns aiw's own tools.
    pub(crate) own_tools: fn() -> Vec<KnownTool>,
    pub(crate) progress: Arc<PageProgress>,
    pub(crate) client: Arc<ClientSession>,
    pub(crate) prompter: WebPrompter,
    pub(crate) runtime: Handle,
    /// Cancelled when whoever asked is gone, or the dashboard ends.
    pub(crate) cancellation: CancellationToken,
    /// The segments that stand for the braces of the path, in their order.
    pub(crate) segments: Vec<String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Value,
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// The error of a verb.
    Failed(ErrorBody),
    /// The body, or a word of the query, has another form.
    Malformed(String),
    /// Nobody waits for it any more.
    Cancelled,
}

/// An error of a verb, as `--json` prints it
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ErrorBody {
    /// `user`, `config`, `unavailable`, `internal`, `interrupted`
    pub(crate) kind: String,
    /// The problem
    pub(crate) message: String,
    /// The next step
    pub(crate) hint: Option<String>,
}

/// An answer that tells of a failure
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ErrorResponse {
    /// The error
    pub(crate) error: ErrorBody,
}

/// A question in place of an answer: the request is sent again with `person`, an object of answers by digest
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PromptRequired {
    /// The question
    pub(crate) ask: PromptForm,
}

impl<E: Diagnostic> From<E> for ApiError {
    fn from(error: E) -> Self {
        let kind = error.kind();
        Self::Failed(ErrorBody { kind: kind.as_str().to_owned(), message: error.to_string(), hint: error.hint() })
    }
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        let Self::Failed(failed) = self else { return StatusCode::BAD_REQUEST };
        match failed.kind.as_str() {
            kind if kind == ErrorKind::Unavailable.as_str() => StatusCode::SERVICE_UNAVAILABLE,
            kind if kind == ErrorKind::Internal.as_str() => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        }
    }

    pub(crate) fn into_response(self) -> ErrorResponse {
        let error = match self {
            Self::Failed(failed) => failed,
            Self::Malformed(message) => ErrorBody { kind: "usage".into(), message, hint: None },
            Self::Cancelled => {
                ErrorBody { kind: "interrupted".into(), message: "nobody waits for it".into(), hint: None }
            }
        };
        ErrorResponse { error }
    }
}

/// The result of a verb, for the page.
pub(crate) type ApiResult<A> = Result<A, ApiError>;

impl ApiCall {
    pub(crate) fn home(&self) -> &Home {
        self.client.home()
    }

    /// Returns the only segment of the path that stands for something.
    pub(crate) fn id(&self) -> &str {
        self.segments.first().map_or("", String::as_str)
    }

    /// Returns a word of the query.
    pub(crate) fn query_param(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str).filter(|word| !word.is_empty())
    }

    /// Returns a number of the query.
    pub(crate) fn query_u64(&self, name: &str) -> ApiResult<Option<u64>> {
        let read = |word: &str| {
            word.parse().map_err(|_| ApiError::Malformed(format!("`{name}` must be a whole number, 0 or more")))
        };
        self.query_param(name).map(read).transpose()
    }

    pub(crate) fn query_flag(&self, name: &str) -> bool {
        self.query_param(name).is_some_and(|word| word == "true" || word == "1")
    }

    /// Waits for a verb, as long as somebody waits for its answer: a page that is left is a terminal with Ctrl-C. Each call
    /// has a thread of its own.
    pub(crate) fn block_on<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> ApiResult<T>
    where
        ApiError: From<E>,
    {
        self.runtime.block_on(async {
            tokio::select! {
                done = work => Ok(done?),
                () = self.cancellation.cancelled() => Err(ApiError::Cancelled),
            }
        })
    }

    /// Returns a client of its own in the same project, which knows the servers as they are declared now: the one that
    /// requests share reads them once. It has what a profile allows, or everything without one.
    pub(crate) fn isolated_client(&self, profile: Option<&str>) -> ApiResult<Arc<ClientSession>> {
        let allowed = resolve_profile(self.home(), self.client.cwd(), profile)?;
        Ok(self.projects.new_client(self.client.cwd(), Arc::new(move || allowed.clone()))?)
    }

    /// Waits for a verb of such a client, and ends its servers without those of others.
    pub(crate) fn block_on_isolated<T, E>(
        &self,
        profile: Option<&str>,
        verb: impl AsyncFnOnce(&Arc<ClientSession>) -> Result<T, E>,
    ) -> ApiResult<T>
    where
        ApiError: From<E>,
    {
        let client = self.isolated_client(profile)?;
        let done = self.block_on(verb(&client));
        // One that is still being started is given up: nobody waits for it.
        client.pool().cancel_starts();
        self.runtime.block_on(client.pool().shut_down());
        done
    }
}

/// The person's answers in a body, taken out of it.
///
/// # Errors
///
/// They have another form.
pub(crate) fn extract_prompter(body: &mut Value) -> ApiResult<WebPrompter> {
    let given = body.as_object_mut().and_then(|body| body.remove("person"));
    let answers: BTreeMap<String, PromptReply> = match given {
        None => BTreeMap::new(),
        Some(given) => serde_json::from_value(given).map_err(|e| ApiError::Malformed(format!("`person`: {e}")))?,
    };
    Ok(WebPrompter::new(answers))
}

type Describes = fn(&mut SchemaGenerator) -> Schema;
type VerbHandler = Box<dyn Fn(&ApiCall) -> ApiResult<Value> + Send + Sync>;

/// A route of the API.
pub(crate) struct ApiRoute {
    pub(crate) method: Method,
    /// Below [`API_PREFIX`]; a segment in braces stands for any.
    pub(crate) path: &'static str,
    /// The words of the query that it reads.
    pub(crate) query_params: &'static [&'static str],
    /// The command that prints or does the same.
    pub(crate) command: &'static str,
    pub(crate) request: Option<Describes>,
    pub(crate) response: Describes,
    pub(crate) run: VerbHandler,
}

fn value(answer: impl Serialize) -> ApiResult<Value> {
    serde_json::to_value(answer).map_err(|e| ApiError::Malformed(format!("the answer can't be written: {e}")))
}

fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

impl ApiRoute {
    /// Reads something.
    pub(crate) fn get<A: Serialize + JsonSchema + 'static>(
        path: &'static str,
        command: &'static str,
        run: fn(&ApiCall) -> ApiResult<A>,
    ) -> Self {
        Self::of(path, command, schema::<A>, Box::new(move |call| value(run(call)?)))
    }

    /// Does something, by a request in the body.
    pub(crate) fn post<Q: DeserializeOwned + JsonSchema + 'static, A: Serialize + JsonSchema + 'static>(
        path: &'static str,
        command: &'static str,
        run: fn(&ApiCall, Q) -> ApiResult<A>,
    ) -> Self {
        let run: VerbHandler = Box::new(move |call| {
            let request = serde_json::from_value(call.body.clone());
            value(run(call, request.map_err(|e| ApiError::Malformed(format!("the request is not valid: {e}")))?)?)
        });
        Self { method: Method::POST, request: Some(schema::<Q>), ..Self::of(path, command, schema::<A>, run) }
    }

    /// Removes something.
    pub(crate) fn delete<A: Serialize + JsonSchema + 'static>(
        path: &'static str,
        command: &'static str,
        run: fn(&ApiCall) -> ApiResult<A>,
    ) -> Self {
        let run: VerbHandler = Box::new(move |call| value(run(call)?));
        Self { method: Method::DELETE, ..Self::of(path, command, schema::<A>, run) }
    }

    fn of(path: &'static str, command: &'static str, answer: Describes, run: VerbHandler) -> Self {
        Self { method: Method::GET, path, query_params: &[], command, request: None, response: answer, run }
    }

    /// Names the words of the query.
    pub(crate) fn with_query_params(self, words: &'static [&'static str]) -> Self {
        Self { query_params: words, ..self }
    }

    /// Returns the whole path.
    pub(crate) fn full_path(&self) -> String {
        format!("{API_PREFIX}{}", self.path)
    }
}

/// An empty object: a request that says nothing.
#[derive(Debug, Default, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Empty {}

/// Sentences about what was done
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MessagesResponse {
    /// The sentences
    pub(crate) done: Vec<String>,
}

impl MessagesResponse {
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self { done: vec![line.into()] }
    }
}

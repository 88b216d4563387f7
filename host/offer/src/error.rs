//! Why a call fails, as the model reads it.

use aiw_app::AppError;
use aiw_app::servers::ServerError;
use aiw_app::workflows::ScriptError;
use aiw_ci::CiError;
use aiw_core::{Diagnostic, InvalidName, ProcessId, PromptError, one_line, printable};
use aiw_history::HistoryError;
use aiw_home::HomeError;
use aiw_launch::LaunchError;
use aiw_mcp::RpcError;
use aiw_orchestrator::WorkflowError;
use aiw_processes::ProcessError;
use aiw_registries::RegistryError;
use aiw_routing::PoolError;
use aiw_tasks::TaskError;
use aiw_web::WebError;

use crate::toolset::Toolset;

/// Why a call fails. The model reads it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error("there is no tool `{}`", one_line(.name, 80))]
    UnknownTool { name: String, tools: Vec<String> },
    #[error("the tool `{}` is in the toolset `{toolset}`, which this session does not offer", one_line(.name, 80))]
    ToolsetDisabled { name: String, toolset: Toolset, toolsets: String },
    #[error("the user has not agreed to start {what}: {source}")]
    StartDeclined { what: String, source: PromptError },
    #[error("`{}` is not an argument of this tool", one_line(.name, 80))]
    UnknownArgument { name: String, known: Vec<String> },
    #[error("the argument `{name}` is missing")]
    MissingArgument { name: String, what: String },
    #[error("the argument `{name}` must be {what}")]
    InvalidArgument { name: String, what: String },
    #[error("the argument `{name}` must be a whole number from {least} to {most}")]
    OutOfRange { name: String, least: u64, most: u64 },
    #[error("the arguments can't be read: {problem}")]
    MalformedArguments { problem: String },
    #[error("`id` and `pid` do not name one task: the process of task `{id}` is {}", process(.pid))]
    TaskMismatch { id: ProcessId, pid: Option<u32> },
    #[error("the call was cancelled before anything started")]
    Cancelled,
    #[error("the call was cancelled; the task keeps running")]
    Abandoned,
    #[error("the call was cancelled")]
    NoWaiter,
    #[error("there is no kept result `{}`", one_line(.handle, 40))]
    ResultNotFound { handle: String },
    #[error("{0}")]
    Rpc(RpcError),
    #[error(transparent)]
    Pool(#[from] PoolError),
    #[error("a bug in aiw ended this call: {problem}")]
    Internal { problem: String },
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Task(#[from] TaskError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    App(#[from] AppError),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Ci(#[from] CiError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error("there is no run `{}`", one_line(.run, 40))]
    RunNotFound { run: String },
    #[error("there is no planned tool `{}`", one_line(.name, 80))]
    PlanNotFound { name: String },
    #[error("{most} scripts run already, or have results that were not fetched")]
    TooManyRuns { most: usize },
    #[error("{problem}; {made}")]
    Workflow { problem: String, made: String },
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error(transparent)]
    Web(#[from] WebError),
}

impl From<WorkflowError> for CallError {
    fn from(e: WorkflowError) -> Self {
        Self::Script(e.into())
    }
}

fn process(pid: &Option<u32>) -> String {
    pid.map_or_else(|| "not there yet".to_owned(), |pid| pid.to_string())
}

impl Diagnostic for CallError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(
            self, App, Ci, History, Home, Launch, Pool, Process, Registry, Script, Server, Task, Web
        )
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownTool { tools, .. } => format!("the tools are {}", tools.join(", ")),
            Self::ToolsetDisabled { toolsets, .. } => format!(
                "the user turns it on with `aiw setup --toolsets {toolsets}`, or with `mcp.toolsets` in settings.json"
            ),
            Self::StartDeclined { .. } => "they can start it with `aiw process start`".into(),
            Self::Script(ScriptError::ToolNotFound { nearest: None, unlearnt, .. }) if unlearnt.is_empty() => {
                "search_tools finds tools".into()
            }
            // The command is for the user.
            Self::Script(ScriptError::Workflow(e @ WorkflowError::NotApproved { .. })) => {
                format!("the user's way: {}", e.hint()?)
            }
            Self::Script(ScriptError::Workflow(WorkflowError::NotFound { nearest: None, .. })) => {
                "choose another name".into()
            }
            Self::PlanNotFound { .. } => "intelligent_route plans the job again".into(),
            Self::TooManyRuns { .. } => "wait_workflow fetches a result".into(),
            Self::UnknownArgument { known, .. } if known.is_empty() => "it takes none".into(),
            Self::UnknownArgument { known, .. } => format!("it takes {}", known.join(", ")),
            Self::MissingArgument { what, .. } => what.clone(),
            // Its own hint is for the command line.
            Self::Task(TaskError::TaskNotFound { .. }) => {
                "`list_tasks` names the tasks; with `all` those of other sessions too".into()
            }
            Self::ResultNotFound { .. } => "call the tool again; aiw keeps only the latest results of a session".into(),
            // Their own hints are for the command line.
            Self::History(HistoryError::SessionNotFound { .. } | HistoryError::MessageNotFound { .. }) => {
                "search_history names the sessions and messages".into()
            }
            Self::Registry(RegistryError::UnknownServer { near, .. }) if near.is_empty() => {
                "search_servers finds names".into()
            }
            // Its own hint is for the command line.
            Self::Server(ServerError::Broken { .. }) => "nothing was installed".into(),
            Self::Server(ServerError::InvalidAnswers { .. }) => return None,
            // Their own hints are for the command line.
            Self::Process(ProcessError::NotFound { nearest: None, .. }) => "list_processes names them".into(),
            Self::Process(ProcessError::Empty { .. }) => "create_process defines one".into(),
            Self::Process(ProcessError::AlreadyExists { .. }) => "update_process changes it".into(),
            Self::Process(ProcessError::Untrusted { .. }) => {
                "ask the user to look at the file and to type `aiw up` in a terminal".into()
            }
            Self::Process(ProcessError::TemplateNotFound { nearest: None, .. } | ProcessError::Template { .. }) => {
                "list_templates names the templates and their values".into()
            }
            Self::Process(ProcessError::SnapshotExists { .. }) => "choose another name".into(),
            Self::Process(ProcessError::SnapshotNotFound { nearest: None, .. }) => "create_snapshot makes one".into(),
            Self::Process(ProcessError::Vault(_)) => return None,
            Self::Registry(RegistryError::UnreadableKey { .. } | RegistryError::Library(_)) => return None,
            // Their own hints are for the command line.
            Self::Ci(CiError::RepositoryNotFound { .. } | CiError::NotARepository { .. }) => {
                "name it as `repo`: `OWNER/REPO`".into()
            }
            Self::Ci(CiError::CommitNotFound { .. } | CiError::RunNotFound { .. }) => {
                "list_ci_runs names the runs; one begins some seconds after a push".into()
            }
            Self::Ci(e) => format!("the user's way: {}", e.hint()?),
            Self::Process(ProcessError::DefinedByUser { .. }) => {
                "ask the user, or create a process of another id".into()
            }
            _ => return self.diagnostic_source()?.hint(),
        })
    }
}

impl CallError {
    /// The error as the model reads it.
    pub(crate) fn text(&self) -> String {
        with_hint(self, self.hint())
    }
}

/// An error and what to do next. Registries, servers and providers had their say in it, so it is made printable.
pub(crate) fn with_hint(error: &dyn std::fmt::Display, hint: Option<String>) -> String {
    let text = match hint {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    };
    printable(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_foreign_server_says_in_an_error_steers_nothing() {
        let said = std::io::Error::other("no\u{1b}[2J\u{202e}x\u{2066}\u{200b}");
        assert_eq!(
            with_hint(&said, Some("try\u{9b}31m".into())),
            "no\\u{1b}[2J\\u{202e}x\\u{2066}\\u{200b}\nhint: try\\u{9b}31m"
        );
    }
}

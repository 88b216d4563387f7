//! Why a server behind aiw can't be used.

use std::time::Duration;

use aiw_core::{ErrorKind, one_line, shell_word};
use aiw_home::{HomeError, VaultError};
use aiw_mcp::oauth::OAuthError;
use aiw_mcp::{ClientError, RpcError};
use aiw_supervisor::SupervisorError;

use crate::access::Refusal;

/// Why a server behind aiw can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// No server has that name.
    #[error("there is no MCP server `{}`", one_line(.name, 80))]
    NoServer {
        /// The name as given.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The server has no such tool.
    #[error("the MCP server `{server}` has no tool `{}`", one_line(.tool, 80))]
    NoTool {
        /// The server.
        server: String,
        /// The tool as given.
        tool: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The profile of this session does not allow it.
    #[error("the profile of this session does not allow `{server}/{}`", one_line(.tool, 80))]
    NotAllowed {
        /// The server.
        server: String,
        /// The tool.
        tool: String,
    },
    /// The server has changed the tool since it was first seen.
    #[error("the MCP server `{server}` has changed its tool `{tool}`, so aiw withholds it")]
    Withheld {
        /// The server.
        server: String,
        /// The tool.
        tool: String,
    },
    /// The user has switched the server off.
    #[error("the MCP server `{server}` is disabled")]
    Disabled {
        /// The server.
        server: String,
    },
    /// Its entry can't be used.
    #[error("the MCP server `{server}` {problem}")]
    Declaration {
        /// The server.
        server: String,
        /// The end of a sentence.
        problem: String,
    },
    /// Its entry needs variables that are not set.
    #[error("the MCP server `{server}` needs {}", .names.join(", "))]
    Missing {
        /// The server.
        server: String,
        /// What is missing: variables of the environment, secrets.
        names: Vec<String>,
    },
    /// Its program could not be started.
    #[error("the MCP server `{server}` does not start: {source}")]
    Spawn {
        /// The server.
        server: String,
        /// Why not.
        source: Box<SupervisorError>,
    },
    /// There is no such program.
    #[error("the MCP server `{server}` does not start: there is no program `{}`", one_line(.program, 200))]
    NoProgram {
        /// The server.
        server: String,
        /// The command of its entry.
        program: String,
    },
    /// It was started and didn't begin a session.
    #[error("the MCP server `{server}` does not start: {problem}")]
    Start {
        /// The server.
        server: String,
        /// What happened.
        problem: String,
    },
    /// It has failed so often that aiw leaves it alone for a while.
    #[error("the MCP server `{server}` has failed {failures} times in a row, so aiw waits {} s before it tries again: {last}", .wait.as_secs().max(1))]
    Open {
        /// The server.
        server: String,
        /// How often.
        failures: u32,
        /// How long it is left alone.
        wait: Duration,
        /// The last failure, without the server's name.
        last: String,
    },
    /// It ended, or the connection did, before it answered.
    #[error("the MCP server `{server}` ended before it answered{}", after(.last))]
    Ended {
        /// The server.
        server: String,
        /// How it ended and its last words, if they are known.
        last: Option<String>,
    },
    /// It didn't answer in time.
    #[error("the MCP server `{server}` did not answer within {} s", .after.as_secs())]
    Slow {
        /// The server.
        server: String,
        /// How long it had.
        after: Duration,
    },
    /// It wants a login.
    #[error("the MCP server `{server}` needs a login: the user runs `{}`", command(.server, &[]))]
    Login {
        /// The server.
        server: String,
    },
    /// The login allows too little for this.
    #[error("the MCP server `{server}` wants a login that allows more: the user runs `{}`", command(.server, .scopes))]
    Scopes {
        /// The server.
        server: String,
        /// The scopes that it wants.
        scopes: Vec<String>,
    },
    /// Its token is too old, and there is no new one for now.
    #[error("the MCP server `{server}` {problem}")]
    Refresh {
        /// The server.
        server: String,
        /// The end of a sentence.
        problem: String,
    },
    /// The login failed.
    #[error("can't log in to the MCP server `{server}`: {source}")]
    LoginFailed {
        /// The server.
        server: String,
        /// Why.
        source: Box<OAuthError>,
    },
    /// The vault, where tokens are kept.
    #[error("can't keep the login of the MCP server `{server}`: {source}")]
    Vault {
        /// The server.
        server: String,
        /// Why not.
        source: Box<VaultError>,
    },
    /// The client no longer waits.
    #[error("the call was cancelled")]
    Cancelled,
    /// The server's own error, which passes on unchanged.
    #[error("{0}")]
    Rpc(Box<RpcError>),
    /// The connection failed in another way.
    #[error("the MCP server `{server}` can't be asked: {source}")]
    Client {
        /// The server.
        server: String,
        /// How.
        source: Box<ClientError>,
    },
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
}

/// The command that logs in.
fn command(server: &str, scopes: &[String]) -> String {
    let scopes: String = scopes.iter().map(|scope| format!(" --scope {}", shell_word(scope))).collect();
    format!("aiw mcp login {}{scopes}", shell_word(server))
}

impl From<RpcError> for PoolError {
    fn from(error: RpcError) -> Self {
        Self::Rpc(Box::new(error))
    }
}

fn after(last: &Option<String>) -> String {
    last.as_ref().map(|last| format!(": {last}")).unwrap_or_default()
}

impl PoolError {
    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoServer { .. }
            | Self::NoTool { .. }
            | Self::NotAllowed { .. }
            | Self::Disabled { .. }
            | Self::Withheld { .. }
            | Self::Login { .. }
            | Self::Scopes { .. } => ErrorKind::User,
            Self::Vault { source, .. } => source.kind(),
            Self::Declaration { .. } | Self::Missing { .. } | Self::NoProgram { .. } => ErrorKind::Config,
            Self::Home(e) => e.kind(),
            _ => ErrorKind::Unavailable,
        }
    }

    /// What to do next, if there is one thing to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoServer { known, .. } if known.is_empty() => "`aiw mcp add NAME -- COMMAND` adds one".into(),
            Self::NoServer { known, .. } => format!("the servers are {}", listed(known)),
            Self::NoTool { known, .. } if known.is_empty() => "it offers no tools".into(),
            Self::NoTool { known, .. } => format!("its tools are {}", listed(known)),
            Self::Withheld { server, .. } => {
                format!("the user can look at the change and accept it: `aiw mcp approve {server}`")
            }
            Self::Disabled { server } => format!("`aiw mcp enable {server}`"),
            Self::Missing { names, .. } => {
                format!("set {} where aiw starts, or store a secret and name it in mcp.json", listed(names))
            }
            Self::NoProgram { .. } => "install it, or correct `command` in mcp.json".into(),
            Self::Start { server, .. } | Self::Open { server, .. } | Self::Ended { server, .. } => {
                format!("`aiw mcp logs {server}` shows what it wrote; `aiw mcp doctor {server}` tries it")
            }
            Self::Slow { server, .. } => {
                format!("`mcp.servers.{server}.timeout` in settings.json allows more seconds")
            }
            Self::LoginFailed { source, .. } => return source.hint().map(str::to_owned),
            Self::Vault { source, .. } => return source.hint(),
            Self::Home(e) => return e.hint(),
            _ => return None,
        })
    }

    pub(crate) fn refused(refusal: Refusal, server: &str) -> Self {
        let server = server.to_owned();
        match refusal {
            Refusal::Login => Self::Login { server },
            Refusal::Scopes(scopes) => Self::Scopes { server, scopes },
            Refusal::Trouble(problem) => Self::Refresh { server, problem },
        }
    }

    /// Whether the user has to log in.
    pub fn is_login(&self) -> bool {
        matches!(self, Self::Login { .. } | Self::Scopes { .. })
    }

    /// The failure without the server's name, for a place that names it already.
    pub fn brief(&self) -> String {
        let text = self.to_string();
        let named = text.strip_prefix("the MCP server `").and_then(|rest| rest.split_once("` "));
        named.map_or(text.clone(), |(_, rest)| rest.to_owned())
    }
}

/// Names in a sentence, at most as many as one can read.
fn listed(names: &[String]) -> String {
    const MOST: usize = 20;
    let shown: Vec<String> = names.iter().take(MOST).map(|name| one_line(name, 80)).collect();
    let more = names.len().saturating_sub(MOST);
    if more == 0 { shown.join(", ") } else { format!("{}, and {more} more", shown.join(", ")) }
}

//! Why a server behind aiw can't be used.

use std::fmt;
use std::time::Duration;

use aiw_core::{Diagnostic, ErrorKind, closest, one_line, quoted, quoted_list, shell_quote};
use aiw_home::{HomeError, VaultError};
use aiw_mcp::oauth::OAuthError;
use aiw_mcp::{ClientError, RpcError};
use aiw_supervisor::SupervisorError;

use crate::access::TokenError;
use crate::definition::ToolDefinition;
use crate::record::ServerRecord;

/// Why a server behind aiw can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// No server has that name.
    ServerNotFound {
        /// The name as given.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The server has no such tool.
    ToolNotFound {
        /// The server.
        server: String,
        /// The tool as given.
        tool: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The profile of this session does not allow it.
    NotAllowed {
        /// The server.
        server: String,
        /// The tool.
        tool: String,
    },
    /// The server has changed the tool since it was first seen.
    Blocked {
        /// The server.
        server: String,
        /// The tool.
        tool: String,
    },
    /// The definition of the tool is suspicious, and the user has not looked at it.
    Suspicious {
        /// The server.
        server: String,
        /// The tool.
        tool: String,
    },
    /// The user has switched the server off.
    Disabled {
        /// The server.
        server: String,
    },
    /// Its entry can't be used.
    InvalidDeclaration {
        /// The server.
        server: String,
        /// The end of a sentence.
        problem: String,
    },
    /// Its entry needs variables that are not set.
    MissingVariables {
        /// The server.
        server: String,
        /// The missing variables of the environment and secrets.
        names: Vec<String>,
    },
    /// Its program could not be started.
    SpawnFailed {
        /// The server.
        server: String,
        /// Why not.
        source: Box<SupervisorError>,
    },
    /// There is no such program.
    ProgramNotFound {
        /// The server.
        server: String,
        /// The command of its entry.
        program: String,
    },
    /// The server was started and didn't begin a session.
    StartFailed {
        /// The server.
        server: String,
        /// The problem.
        problem: String,
    },
    /// The server failed a moment ago, and this call waited for that start.
    RecentlyFailed {
        /// The server.
        server: String,
        /// The failure, without the server's name.
        problem: String,
        /// Its kind.
        kind: ErrorKind,
        /// The next step.
        hint: Option<String>,
    },
    /// The server has failed so often that aiw leaves it alone for a while.
    CircuitOpen {
        /// The server.
        server: String,
        /// How often.
        failures: u32,
        /// How long it is left alone.
        wait: Duration,
        /// The last failure, without the server's name.
        last: String,
    },
    /// The server ended, or the connection did, before it answered.
    ConnectionClosed {
        /// The server.
        server: String,
        /// How it ended and its last words, if they are known.
        last: Option<String>,
    },
    /// The server didn't answer in time.
    Timeout {
        /// The server.
        server: String,
        /// How long it had.
        after: Duration,
    },
    /// The server wants a login.
    LoginRequired {
        /// The server.
        server: String,
    },
    /// The login allows too little for this.
    InsufficientScope {
        /// The server.
        server: String,
        /// The scopes that it wants.
        scopes: Vec<String>,
    },
    /// Its token is too old, and there is no new one for now.
    TokenRefreshFailed {
        /// The server.
        server: String,
        /// The end of a sentence.
        problem: String,
    },
    /// The login failed.
    LoginFailed {
        /// The server.
        server: String,
        /// Why.
        source: Box<OAuthError>,
    },
    /// The vault, where tokens are kept.
    Vault {
        /// The server.
        server: String,
        /// Why not.
        source: Box<VaultError>,
    },
    /// The client no longer waits.
    Cancelled,
    /// The server's own error, which passes on unchanged.
    Rpc(Box<RpcError>),
    /// The connection failed in another way.
    Client {
        /// The server.
        server: String,
        /// How.
        source: Box<ClientError>,
    },
    /// A file of the home.
    Home(#[from] HomeError),
}

/// A command about a server, in backticks. An unusual name is not repeated: it could be a sentence.
pub(crate) fn display_command(command: &str, server: &str) -> String {
    let is_plain = server.len() <= 60 && aiw_servers::sanitize_name(server) == server;
    format!("`aiw mcp {command} {}`", if is_plain { server } else { "NAME" })
}

/// The command that logs in for further scopes.
fn login(server: &str, scopes: &[String]) -> String {
    let scopes = scopes.iter().take(MAX_NAMES).map(|scope| one_line(scope, 80));
    let scopes: String = scopes.map(|scope| format!(" --scope {}", shell_quote(&scope))).collect();
    format!("aiw mcp login {}{scopes}", shell_quote(&one_line(server, 60)))
}

impl From<RpcError> for PoolError {
    fn from(error: RpcError) -> Self {
        Self::Rpc(Box::new(error))
    }
}

/// The most names of one error.
const MAX_NAMES: usize = 20;

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(MAX_NAMES).map(|name| one_line(name, 80)).collect();
    let more = names.len().saturating_sub(MAX_NAMES);
    if more == 0 { shown.join(", ") } else { format!("{}, and {more} more", shown.join(", ")) }
}

impl PoolError {
    /// The error for a tool that a server does not have. `known` are those that it has.
    pub fn tool_not_found<'a>(server: &str, tool: &str, known: impl Iterator<Item = &'a ToolDefinition>) -> Self {
        let known = known.map(|tool| tool.name().to_owned()).collect();
        Self::ToolNotFound { server: server.to_owned(), tool: tool.to_owned(), known }
    }

    /// Why a tool of a record is blocked.
    pub(crate) fn blocked(record: &ServerRecord, server: &str, tool: &str) -> Self {
        let (server, tool) = (server.to_owned(), tool.to_owned());
        match record.pins.contains_key(&tool) {
            true => Self::Blocked { server, tool },
            false => Self::Suspicious { server, tool },
        }
    }

    pub(crate) fn from_token_error(refusal: TokenError, server: &str) -> Self {
        let server = server.to_owned();
        match refusal {
            TokenError::LoginRequired => Self::LoginRequired { server },
            TokenError::InsufficientScope(scopes) => Self::InsufficientScope { server, scopes },
            TokenError::Unavailable(problem) => Self::TokenRefreshFailed { server, problem },
        }
    }

    /// Whether the user has to log in.
    pub fn needs_login(&self) -> bool {
        matches!(self, Self::LoginRequired { .. } | Self::InsufficientScope { .. })
    }

    /// The failure without the server's name, for a place that names it already.
    pub fn message_without_server(&self) -> String {
        self.words().1
    }

    /// The server that a sentence about the failure begins with, if it does, and the rest of the sentence.
    fn words(&self) -> (Option<&str>, String) {
        let (server, rest) = match self {
            Self::ToolNotFound { server, tool, .. } => (server, format!("has no tool {}", quoted(tool))),
            Self::Blocked { server, tool } => {
                (server, format!("has changed its tool {}, so aiw withholds it", quoted(tool)))
            }
            Self::Disabled { server } => (server, "is disabled".to_owned()),
            Self::InvalidDeclaration { server, problem }
            | Self::TokenRefreshFailed { server, problem }
            | Self::RecentlyFailed { server, problem, .. } => (server, problem.clone()),
            Self::MissingVariables { server, names } => (server, format!("needs {}", listed(names))),
            Self::SpawnFailed { server, source } => (server, format!("does not start: {source}")),
            Self::ProgramNotFound { server, program } => {
                (server, format!("does not start: there is no program `{}`", one_line(program, 200)))
            }
            Self::StartFailed { server, problem } => (server, format!("does not start: {problem}")),
            Self::CircuitOpen { server, failures, wait, last } => {
                let wait = wait.as_secs().max(1);
                let rest = format!("has failed {failures} times in a row, so aiw waits {wait} s before it tries again");
                (server, format!("{rest}: {last}"))
            }
            Self::ConnectionClosed { server, last } => {
                let last = last.as_ref().map(|last| format!(": {last}")).unwrap_or_default();
                (server, format!("ended before it answered{last}"))
            }
            Self::Timeout { server, after } => (server, format!("did not answer within {} s", after.as_secs())),
            Self::LoginRequired { server } => {
                (server, format!("needs a login: the user runs {}", display_command("login", server)))
            }
            Self::InsufficientScope { server, scopes } => {
                (server, format!("wants a login that allows more: the user runs `{}`", login(server, scopes)))
            }
            Self::Client { server, source } => (server, format!("can't be asked: {source}")),
            Self::ServerNotFound { name, .. } => return (None, format!("there is no MCP server {}", quoted(name))),
            Self::NotAllowed { server, tool } => {
                let (server, tool) = (quoted(server), quoted(tool));
                let text =
                    format!("the profile of this session does not allow the tool {tool} of the MCP server {server}");
                return (None, text);
            }
            Self::Suspicious { server, tool } => {
                let (server, tool) = (quoted(server), quoted(tool));
                let text =
                    format!("aiw withholds the tool {tool} of the MCP server {server}: its definition is suspicious");
                return (None, text);
            }
            Self::LoginFailed { server, source } => {
                return (None, format!("can't log in to the MCP server {}: {source}", quoted(server)));
            }
            Self::Vault { server, source } => {
                return (None, format!("can't keep the login of the MCP server {}: {source}", quoted(server)));
            }
            Self::Cancelled => return (None, "the call was cancelled".to_owned()),
            Self::Rpc(error) => return (None, error.to_string()),
            Self::Home(error) => return (None, error.to_string()),
        };
        (Some(server), rest)
    }
}

impl Diagnostic for PoolError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Vault { source })
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::ServerNotFound { .. }
            | Self::ToolNotFound { .. }
            | Self::NotAllowed { .. }
            | Self::Disabled { .. }
            | Self::Blocked { .. }
            | Self::Suspicious { .. }
            | Self::LoginRequired { .. }
            | Self::InsufficientScope { .. } => ErrorKind::User,
            Self::InvalidDeclaration { .. } | Self::MissingVariables { .. } | Self::ProgramNotFound { .. } => {
                ErrorKind::Config
            }
            Self::RecentlyFailed { kind, .. } => *kind,
            _ => ErrorKind::Unavailable,
        }
    }

    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::ServerNotFound { known, .. } if known.is_empty() => "`aiw mcp add NAME -- COMMAND` adds one".into(),
            Self::ServerNotFound { name, known } => match closest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean {}?", quoted(meant)),
                None => format!("your servers: {}", quoted_list(known)),
            },
            Self::ToolNotFound { known, .. } if known.is_empty() => "it offers no tools".into(),
            Self::ToolNotFound { tool, known, .. } => match closest(tool, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean {}?", quoted(meant)),
                None => format!("its tools are {}", quoted_list(known)),
            },
            Self::Blocked { server, .. } | Self::Suspicious { server, .. } => {
                format!("the user can look at it and accept it: {}", display_command("approve", server))
            }
            Self::Disabled { server } => display_command("enable", server),
            Self::MissingVariables { names, .. } => {
                format!("set {} where aiw starts, or store a secret and name it in mcp.json", listed(names))
            }
            Self::ProgramNotFound { .. } => "install it, or correct `command` in mcp.json".into(),
            Self::StartFailed { server, .. }
            | Self::CircuitOpen { server, .. }
            | Self::ConnectionClosed { server, .. } => {
                let (logs, doctor) = (display_command("logs", server), display_command("doctor", server));
                format!("{logs} shows what it wrote; {doctor} tries it")
            }
            Self::Timeout { server, .. } => {
                format!("`timeout` of the server {} in settings.json allows more seconds", quoted(server))
            }
            Self::LoginFailed { source, .. } => return source.hint().map(str::to_owned),
            Self::RecentlyFailed { hint, .. } => return hint.clone(),
            _ => return None,
        })
    }
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            (Some(server), rest) => write!(f, "the MCP server {} {rest}", quoted(server)),
            (None, whole) => f.write_str(&whole),
        }
    }
}

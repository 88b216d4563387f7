//! MCP servers that are declared: what adds, changes and removes them, who may use which of their tools, logging in,
//! and what is known of each.

use std::path::PathBuf;
use std::sync::Arc;

use aiw_core::{Diagnostic, ErrorKind, PluginId, Reporter, one_line, quoted, quoted_list, shell_quote};
use aiw_history::HistoryError;
use aiw_listen::ListenError;
use aiw_registries::{BundleError, EntryPlanError, RegistryError, install_hint};
use aiw_routing::{Pool, PoolError, ServerRecord, SlotStatus};
use aiw_servers::AddError;
use futures::future::join_all;

use crate::{AppError, ClientSession};

pub mod approve;
pub mod call;
pub mod edit;
pub mod login;
pub mod look;
pub mod profiles;
pub mod route;

/// Why an MCP server or a profile can't be installed, added, changed or used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A part of the application, or the person.
    #[error(transparent)]
    App(AppError),
    /// It can't be written.
    #[error(transparent)]
    Add(#[from] AddError),
    /// It can't be used.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The arguments of a call can't be read.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// It answers a call with an error.
    #[error("the MCP server `{server}` answers: {problem}")]
    CallFailed {
        /// Its name.
        server: String,
        /// The error.
        problem: String,
    },
    /// A call names a server alone.
    #[error("`{server}` is a server: name its tool too")]
    MissingToolName {
        /// Its name.
        server: String,
    },
    /// The texts that must not be shown can't be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The browser can't come back.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Its bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Its bundle's server gave another answer than the bundle.
    #[error("the bundle can't be fetched: its server answered {status}")]
    UnexpectedStatus {
        /// The status.
        status: u16,
    },
    /// The answers do not make an entry.
    #[error("{source}")]
    InvalidAnswers {
        /// Its name in `mcp.json`.
        key: String,
        /// Why.
        source: EntryPlanError,
    },
    /// The program that runs it is not there.
    #[error("`{}` is not on this machine", one_line(.program, 80))]
    ProgramNotFound {
        /// The program.
        program: String,
    },
    /// No way to run it can be used.
    #[error("{} can't be installed: {why}", quoted(.name))]
    NoUsableMethod {
        /// Its name in the registry, or in `mcp.json`.
        name: String,
        /// Why.
        why: String,
    },
    /// It has no such way to run.
    #[error("{} has no way {} to run", quoted(.name), quoted(.way))]
    UnknownMethod {
        /// Its name in the registry.
        name: String,
        /// The way that was asked for.
        way: String,
        /// The ways that it has.
        known: Vec<&'static str>,
    },
    /// It was not installed from a registry.
    #[error("{} did not come from a registry", quoted(.key))]
    NotInstalled {
        /// Its name in `mcp.json`.
        key: String,
    },
    /// Its entry was changed since.
    #[error("the entry of {} in mcp.json is not the one that was installed", quoted(.key))]
    EntryModified {
        /// Its name in `mcp.json`.
        key: String,
        /// Its name in the registry.
        name: String,
    },
    /// It no longer runs as it was installed, or in several such ways.
    #[error("{} {what} as `{}`", quoted(.key), one_line(.way, 80))]
    MethodChanged {
        /// Its name in `mcp.json`.
        key: String,
        /// Its name in the registry.
        name: String,
        /// The difference.
        what: &'static str,
        /// The way that it was installed with.
        way: String,
    },
    /// It was started, and does not work as an MCP server.
    #[error("`{key}` does not work: it {}", .problem.message_without_server())]
    Broken {
        /// Its name in `mcp.json`.
        key: String,
        /// Why.
        problem: PoolError,
    },
    /// Its entry can't be used.
    #[error("the server `{name}` {problem}")]
    InvalidEntry {
        /// Its name.
        name: String,
        /// The end of a sentence.
        problem: String,
    },
    /// A plugin declares it.
    #[error("the server `{name}` belongs to the plugin `{plugin}`")]
    DeclaredByPlugin {
        /// Its name.
        name: String,
        /// The plugin.
        plugin: PluginId,
    },
    /// The project declares it.
    #[error("the server `{name}` is declared in `{}`", .path.display())]
    DeclaredByProject {
        /// Its name.
        name: String,
        /// The file.
        path: PathBuf,
    },
    /// Its definitions are not those that were shown.
    #[error("{} has changed its definitions again meanwhile; nothing was accepted", quoted(.name))]
    DefinitionsChanged {
        /// Its name.
        name: String,
    },
    /// Nobody came back from the browser.
    #[error("nobody logged in within {minutes} minutes")]
    LoginTimeout {
        /// How long that took.
        minutes: u64,
    },
    /// There is no such profile.
    #[error("there is no profile {}", quoted(.name))]
    ProfileNotFound {
        /// Its name.
        name: String,
        /// The known names.
        known: Vec<String>,
        /// Whether a session would be without its limits, or a command has nothing to do.
        kind: ErrorKind,
    },
    /// The project's file defines the profile.
    #[error("the profile `{name}` is the project's")]
    ProfileDeclaredByProject {
        /// Its name.
        name: String,
    },
    /// The profile would allow everything.
    #[error("a profile without patterns would allow everything")]
    MissingPatterns,
    /// The request would change nothing.
    #[error("say what changes: `--allow`, `--deny`, `--scripts`, `--list-…` or `--without`")]
    NothingToChange,
    /// A name or a pattern can't be used for this.
    #[error("{} {why}", quoted(.word))]
    InvalidName {
        /// The name or the pattern.
        word: String,
        /// The end of a sentence about it.
        why: &'static str,
        /// Whether it can't be used at all, or not as things are.
        kind: ErrorKind,
    },
}

/// Why arguments can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ArgumentError {
    /// It begins like a JSON object.
    #[error("the arguments are not a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    /// An object or a list in it is.
    #[error("the arguments are nested too deeply")]
    TooDeep,
    /// It has no name.
    #[error("`{}` is neither `NAME=VALUE` nor a JSON object", one_line(.0, 60))]
    InvalidSyntax(String),
    /// It has another type than the schema says.
    #[error("the argument `{}` must be JSON of the type `{}`", one_line(.name, 60), one_line(.kind, 20))]
    InvalidType {
        /// The argument.
        name: String,
        /// The type.
        kind: String,
    },
    /// It has two values.
    #[error("the argument `{}` is given twice", one_line(.name, 60))]
    Duplicate {
        /// The argument.
        name: String,
    },
}

impl Diagnostic for ArgumentError {
    fn own_kind(&self) -> ErrorKind {
        ErrorKind::Usage
    }

    fn own_hint(&self) -> Option<String> {
        let Self::Duplicate { name } = self else { return None };
        Some(format!("`{}=[…]` gives a list, as JSON", one_line(name, 60)))
    }
}

pub(crate) type Result<T, E = ServerError> = std::result::Result<T, E>;

impl<E> From<E> for ServerError
where
    AppError: From<E>,
{
    fn from(e: E) -> Self {
        Self::App(e.into())
    }
}

impl Diagnostic for ServerError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(
            self,
            App,
            Add,
            Pool,
            Argument,
            History,
            Listen,
            Registry,
            Bundle,
            InvalidAnswers { source }
        )
    }

    fn own_kind(&self) -> ErrorKind {
        match self {
            Self::LoginTimeout { .. } | Self::UnexpectedStatus { .. } => ErrorKind::Unavailable,
            Self::ProgramNotFound { .. } => ErrorKind::Config,
            Self::ProfileNotFound { kind, .. } | Self::InvalidName { kind, .. } => *kind,
            Self::MissingPatterns
            | Self::NothingToChange
            | Self::MissingToolName { .. }
            | Self::UnknownMethod { .. } => ErrorKind::Usage,
            _ => ErrorKind::User,
        }
    }

    fn own_hint(&self) -> Option<String> {
        Some(match self {
            Self::Broken { .. } => "`--no-check` installs it all the same".into(),
            Self::InvalidAnswers { source: EntryPlanError::MissingValues { names }, .. } => {
                let flags: Vec<String> = names.iter().map(|name| format!("--set {}=…", shell_quote(name))).collect();
                format!("give them: `{}`", flags.join(" "))
            }
            Self::InvalidAnswers { key, source: EntryPlanError::UnknownSetting { known, .. } } if !known.is_empty() => {
                format!("`{key}` can be given {}", quoted_list(known))
            }
            Self::ProgramNotFound { program } => install_hint(program).into(),
            Self::UnknownMethod { known, .. } => format!("it has: {}", known.join(", ")),
            Self::EntryModified { key, name } => {
                format!("`aiw mcp install {} --name {key} --force` replaces it", shell_quote(name))
            }
            Self::MethodChanged { key, name, .. } => {
                format!("choose how it runs: `aiw mcp install {} --name {key} --method …`", shell_quote(name))
            }
            Self::DeclaredByPlugin { name, plugin } => format!(
                "`aiw plugin remove {}` removes both; `aiw mcp disable {}` only hides the server",
                shell_quote(&plugin.to_string()),
                shell_quote(name)
            ),
            Self::DeclaredByProject { name, .. } => {
                let name = shell_quote(name);
                format!("take it out there; `aiw mcp disable {name}` only hides it from clients")
            }
            Self::MissingToolName { server } => format!("`aiw mcp tools {}` shows them", shell_quote(server)),
            Self::DefinitionsChanged { name } => format!("`aiw mcp approve {name}` shows the new change"),
            Self::ProfileNotFound { known, .. } if known.is_empty() => "`aiw mcp profile add` defines one".into(),
            Self::ProfileNotFound { known, .. } => format!("the profiles are: {}", known.join(", ")),
            Self::ProfileDeclaredByProject { .. } => "change it as `mcp.profiles` in the project's `.aiw.json`".into(),
            Self::MissingPatterns => "give `--allow` or `--deny`".into(),
            _ => return None,
        })
    }
}

fn word(kind: ErrorKind, word: &str, why: &'static str) -> ServerError {
    ServerError::InvalidName { word: word.to_owned(), why, kind }
}

/// How many of the items that are left out of a server's lists are named.
const MAX_SKIPPED_NOTES: usize = 20;

/// Names what is left out of a server's lists.
fn note_left_out(record: &ServerRecord, server: &str, sink: &dyn Reporter) {
    let name = quoted(server);
    notes(record.skipped_item_notices().take(MAX_SKIPPED_NOTES).map(|sentence| format!("{name}: {sentence}")), sink);
    let more = record.skipped_item_notices().count().saturating_sub(MAX_SKIPPED_NOTES);
    if more > 0 {
        sink.note(format!("{more} more are left out: `aiw mcp doctor {server}` names them"));
    }
}

/// Tells each of these sentences as a note.
fn notes(sentences: impl IntoIterator<Item = String>, sink: &dyn Reporter) {
    sentences.into_iter().for_each(|sentence| sink.note(sentence));
}

/// Returns the servers of a client's directory, and notes what is left out of them.
pub fn pool<'a>(client: &'a ClientSession, sink: &dyn Reporter) -> &'a Arc<Pool> {
    let pool = client.pool();
    notes(pool.problems(), sink);
    pool
}

/// Looks at a server as it is now. One that does not answer is noted: what is known of it is what was seen last.
///
/// # Errors
///
/// There is no such server.
pub(crate) async fn refresh_tools(pool: &Pool, name: &str, sink: &dyn Reporter) -> Result<(), PoolError> {
    match pool.refresh(name).await {
        Err(e @ PoolError::ServerNotFound { .. }) => return Err(e),
        Err(e) => sink.note(format!("{} {}; this is what was seen last", quoted(name), e.message_without_server())),
        Ok(_) => {}
    }
    Ok(())
}

/// Starts servers that were never seen, to learn their tools: of these names, or all of them.
pub async fn fetch_tools(pool: &Pool, names: &[String], sink: &dyn Reporter) {
    let is_new = |status: &SlotStatus| status.record.is_none() && status.enabled;
    let is_wanted = |status: &SlotStatus| names.is_empty() || names.contains(&status.name);
    let new: Vec<SlotStatus> = pool.status().into_iter().filter(|status| is_new(status) && is_wanted(status)).collect();
    for (status, looked) in join_all(new.iter().map(async |new| (new, pool.refresh(&new.name).await))).await {
        if let Err(e) = looked {
            sink.note(format!("{} {}", quoted(&status.name), e.message_without_server()));
        }
    }
}

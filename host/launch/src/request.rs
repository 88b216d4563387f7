//! The request to start a CLI.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use aiw_core::{CliKind, EnvName, RoleName};
use aiw_tasks::ResourceLimits;

use crate::Permission;

/// aiw's own MCP server, as the only one of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AiwServer {
    /// aiw's executable, as an absolute path.
    pub command: PathBuf,
    /// The profile that decides which tools it offers.
    pub profile: Option<String>,
    /// The toolsets that it offers; those of the settings if there are none.
    pub toolsets: Option<String>,
}

/// A request to start a CLI.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The CLI.
    pub cli: CliKind,
    /// The provider's name, or [`aiw_home::OWN`] for the CLI's own configuration.
    pub provider: Option<String>,
    /// The roles that go before the prompt.
    pub roles: Vec<RoleName>,
    /// The prompt, byte for byte, or `None` for the CLI's interactive mode.
    pub prompt: Option<Vec<u8>>,
    /// The working directory of the CLI, as an absolute path.
    pub cwd: PathBuf,
    /// Variables for this run.
    pub env: Vec<(EnvName, String)>,
    /// How long a task may run.
    pub timeout: Option<Duration>,
    /// How much of the machine a task may use.
    pub limits: ResourceLimits,
    /// The model for this run.
    pub model: Option<String>,
    /// The CLI's permissions. If absent, the settings decide.
    pub permission: Option<Permission>,
    /// Whether to try a connection to the provider before a task starts, so that the CLI doesn't try for minutes.
    pub should_check_connection: bool,
    /// Whether the run is started. Otherwise only its explanation is wanted, and no gateway is.
    pub should_start: bool,
    /// Whether it reaches the provider through the gateway even if it speaks its API: the key then stays there.
    pub gateway: bool,
    /// aiw's own MCP server, if the CLI gets it in place of the user's.
    pub mcp: Option<AiwServer>,
    /// Whether the CLI gets a separate configuration directory.
    pub isolated: bool,
    /// Whether the CLI's session is to be kept out of the history.
    pub private: bool,
    /// Whether this run uses the project's own settings and MCP servers, whoever trusts its directory.
    pub trust: bool,
    /// Whether standard input and output are a terminal, on which an interactive CLI asks for trust itself.
    pub has_terminal: bool,
    /// The user's own arguments for the CLI.
    pub arguments: Vec<OsString>,
    /// Its starter, as events say it.
    pub started_by: String,
}

impl RunRequest {
    /// Returns a run of a CLI in a directory, without any other options.
    pub fn new(cli: CliKind, cwd: impl Into<PathBuf>) -> Self {
        Self {
            cli,
            provider: None,
            roles: Vec::new(),
            prompt: None,
            cwd: cwd.into(),
            env: Vec::new(),
            timeout: None,
            limits: ResourceLimits::default(),
            model: None,
            permission: None,
            should_check_connection: true,
            should_start: true,
            gateway: false,
            mcp: None,
            isolated: false,
            private: false,
            trust: false,
            has_terminal: false,
            arguments: Vec::new(),
            started_by: "you".into(),
        }
    }
}

/// The maximum size of a CLI's standard input, which consists of roles and prompt.
pub const MAX_PROMPT_BYTES: usize = 32 << 20;

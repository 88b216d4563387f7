//! What is to be started, as it is asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use aiw_core::{CliKind, EnvName, RoleName};
use aiw_tasks::Limits;

use crate::Permission;

/// What is to be started.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which CLI.
    pub cli: CliKind,
    /// The provider's name; [`aiw_home::OWN`] for the CLI's own configuration.
    pub provider: Option<String>,
    /// What goes before the prompt.
    pub roles: Vec<RoleName>,
    /// The prompt, byte for byte; none for the CLI's interactive mode.
    pub prompt: Option<Vec<u8>>,
    /// Where the CLI works; absolute.
    pub cwd: PathBuf,
    /// Variables of this run.
    pub env: Vec<(EnvName, String)>,
    /// How long a task may run.
    pub timeout: Option<Duration>,
    /// What a task may use of the machine.
    pub limits: Limits,
    /// The model of this run.
    pub model: Option<String>,
    /// What the CLI may do; the settings' word for it where absent.
    pub permission: Option<Permission>,
    /// Pass `mcp.json` on.
    pub mcp: bool,
    /// A configuration directory of its own.
    pub isolated: bool,
    /// The user's own arguments for the CLI.
    pub arguments: Vec<OsString>,
}

impl Request {
    /// A run of a CLI in a directory, with nothing else asked for.
    pub fn new(cli: CliKind, cwd: impl Into<PathBuf>) -> Self {
        Self {
            cli,
            provider: None,
            roles: Vec::new(),
            prompt: None,
            cwd: cwd.into(),
            env: Vec::new(),
            timeout: None,
            limits: Limits::default(),
            model: None,
            permission: None,
            mcp: false,
            isolated: false,
            arguments: Vec::new(),
        }
    }
}

/// The longest standard input of a CLI: roles and prompt.
pub const MAX_PROMPT_BYTES: usize = 32 << 20;

//! `aiw claude|codex|gemini`

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use aiw_core::{EnvName, RoleName};
use aiw_launch::Permission;
use clap::{Args, ValueEnum};

use super::values::parse_duration;
use crate::complete;

#[derive(Debug, Default, Args)]
#[command(
    after_help = "The CLI's own flags go after `--`: aiw codex \"fix the test\" -p openrouter -- --skip-git-repo-check"
)]
pub struct RunArgs {
    /// The API provider; `own` means the CLI's own configuration
    #[arg(short, long, value_name = "NAME", add = complete::provider_choices())]
    pub provider: Option<String>,
    /// Roles that go before the prompt
    #[arg(short, long, value_name = "NAME", value_delimiter = ',', add = complete::roles())]
    pub role: Vec<RoleName>,
    /// The model
    #[arg(short, long)]
    pub model: Option<String>,
    /// The directory to work in [default: the current one]
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set a variable; `K` alone passes on its current value
    #[arg(long, value_name = "K=V", value_parser = parse_env)]
    pub env: Vec<(EnvName, Option<String>)>,
    /// Stop it after this time: 90s, 10m, 2h
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    /// Limit the memory of it and everything that it starts: 512M, 4G
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Limit the CPU, in percent of one core: 150 is one and a half cores
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub cpu: Option<u32>,
    /// Its safe mode, which says what it may do without asking: default or edit
    #[arg(long, value_name = "WHAT")]
    pub permission: Option<Permission>,
    /// Give it aiw as its only MCP server for this run, and allow all of its tools
    #[arg(long, value_name = "PROFILE", num_args = 0..=1, require_equals = true, value_parser = parse_profile)]
    pub mcp: Option<Option<String>>,
    /// Keep it out of the history, with everything that it starts
    #[arg(long)]
    pub private: bool,
    /// Use the project's settings, hooks and MCP servers in this run, even if its directory is not trusted
    #[arg(long)]
    pub trust: bool,
    /// Use a separate configuration directory
    #[arg(long)]
    pub isolated: bool,
    /// The output to print
    #[arg(long, value_enum, default_value_t)]
    pub output: RunOutput,
    /// Print the task's id and leave it running in the background
    #[arg(short, long)]
    pub detach: bool,
    /// Fail instead of waiting if too many tasks are running
    #[arg(long)]
    pub no_queue: bool,
    /// Start it even if nothing answers at the provider's address
    #[arg(long)]
    pub no_check: bool,
    /// Reach the provider through aiw's gateway even if the CLI speaks its API; the key then stays out of the CLI
    ///
    /// A CLI that speaks another API goes through it anyway.
    #[arg(long)]
    pub gateway: bool,
    /// Show what would start and why, without starting it
    #[arg(long)]
    pub explain: bool,
    /// The prompt; `-` reads it from standard input. Without one, the CLI runs interactively
    pub prompt: Vec<OsString>,
    /// The arguments after `--`.
    #[arg(skip)]
    pub arguments: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum RunOutput {
    /// The model's words; its actions go to standard error
    #[default]
    Text,
    /// One JSON object at the end
    Json,
    /// The CLI's own structured stream as it arrives
    StreamJson,
}

/// A profile's name: it becomes an argument of the server.
fn parse_profile(text: &str) -> Result<String, String> {
    let is_name =
        (1..=64).contains(&text.len()) && !text.contains(aiw_core::is_unsafe_in_line) && !text.starts_with('-');
    if is_name { Ok(text.to_owned()) } else { Err("expected the name of a profile".into()) }
}

fn parse_env(text: &str) -> Result<(EnvName, Option<String>), String> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, None),
    };
    Ok((name.parse().map_err(|e: aiw_core::InvalidName| e.to_string())?, value))
}

/// Bytes: `512M`, `4G`; a plain number is bytes.
fn parse_size(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.to_ascii_uppercase().as_bytes() {
        [.., b'K'] => (&text[..text.len() - 1], 10),
        [.., b'M'] => (&text[..text.len() - 1], 20),
        [.., b'G'] => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(1 << unit));
    bytes.filter(|bytes| *bytes >= 1 << 20).ok_or_else(|| "expected a size such as `512M` or `4G`, at least 1M".into())
}

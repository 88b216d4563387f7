//! `aiw gateway …`, as it is typed.

use std::net::SocketAddr;

use clap::{Args, Subcommand};

use crate::complete;

#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Serve a provider to editors and other programs, until Ctrl-C
    ///
    /// They speak Anthropic Messages, OpenAI Responses or the Gemini API; aiw translates to what the provider speaks. They show
    /// the token that is printed once; the provider's key stays here. Runs of `aiw claude`, `aiw codex` and `aiw gemini` need
    /// none of this: they start a gateway by themselves.
    #[command(
        after_help = "aiw gateway serve -p deepseek\naiw gateway serve -p router -m small --listen 127.0.0.1:8090"
    )]
    Serve(ServeArgs),
    /// Show whether the gateway of your runs lives, and how many use it
    Status,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The provider, or the pool
    #[arg(short, long, value_name = "NAME", required_unless_present = "runs", add = complete::providers())]
    pub provider: Option<String>,
    /// The model for programs that ask for none of its own
    #[arg(short, long)]
    pub model: Option<String>,
    /// Where to listen, on this machine only
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Serve the runs of aiw itself. Their supervisor starts it so.
    #[arg(long, hide = true, conflicts_with_all = ["provider", "model"])]
    pub runs: bool,
}

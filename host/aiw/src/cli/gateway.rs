//! `aiw gateway …`, as it is typed.

use std::net::SocketAddr;

use aiw_core::GatewayName;
use clap::{Args, Subcommand};

use crate::complete;

#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Serve a provider to editors and other programs, until Ctrl-C
    ///
    /// They speak OpenAI Chat Completions or Responses, Anthropic Messages or the Gemini API; aiw translates to what the provider
    /// speaks. They show a token; the provider's key stays here. Without `--name`, the token is good until the gateway ends. With
    /// it, address and token stay the same each time, until you revoke it. Runs of `aiw claude`, `aiw codex` and `aiw gemini` need
    /// none of this: they start a gateway by themselves.
    #[command(
        after_help = "aiw gateway serve -p deepseek\naiw gateway serve --name editor -p router -m small --listen 127.0.0.1:8090\naiw gateway serve --name editor"
    )]
    Serve(ServeArgs),
    /// List the gateways that have names
    List,
    /// Print the token of a gateway that has a name
    Token {
        /// Its name
        #[arg(add = complete::gateways())]
        name: GatewayName,
        /// Replace it first; the old one is not valid any more
        #[arg(long)]
        rotate: bool,
    },
    /// Forget gateways and their tokens; what serves them ends
    Revoke {
        /// Their names
        #[arg(required = true, add = complete::gateways())]
        names: Vec<String>,
    },
    /// Show whether the gateway of your runs lives, and how many use it
    Status,
}

#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The provider, or the pool
    #[arg(short, long, value_name = "NAME", required_unless_present_any = ["runs", "name"], add = complete::providers())]
    pub provider: Option<String>,
    /// A name for this gateway, which keeps its address and its token
    #[arg(long, add = complete::gateways())]
    pub name: Option<GatewayName>,
    /// The model for programs that ask for none of its own
    #[arg(short, long)]
    pub model: Option<String>,
    /// Where to listen, on this machine only; a free port if you don't say
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Serve the runs of aiw itself. Their supervisor starts it so.
    #[arg(long, hide = true, conflicts_with_all = ["provider", "model", "name", "listen"])]
    pub runs: bool,
}

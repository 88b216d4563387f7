//! `aiw web`

use clap::{Args, Subcommand};

use super::process::AutostartCommand;

#[derive(Debug, Args)]
pub struct WebArgs {
    #[command(subcommand)]
    pub command: Option<WebCommand>,
    /// Open it in your browser [default: on a desktop, if the output is a terminal]
    #[arg(long, overrides_with = "no_open")]
    pub open: bool,
    /// Print the address instead
    #[arg(long)]
    pub no_open: bool,
    /// Serve it in the background
    #[arg(short = 'd', long)]
    pub detach: bool,
    /// Listen on this port [default: a free one]
    #[arg(long, value_name = "PORT")]
    pub port: Option<u16>,
}

#[derive(Debug, Subcommand)]
pub enum WebCommand {
    /// Show whether the dashboard runs, and where
    Status,
    /// End the dashboard and all its sessions
    Stop,
    /// Start the dashboard when you log in
    #[command(subcommand)]
    Autostart(AutostartCommand),
}

//! `aiw web`

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub struct WebArgs {
    #[command(subcommand)]
    pub command: Option<WebCommand>,
    /// Lead your browser there
    #[arg(long)]
    pub open: bool,
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
}

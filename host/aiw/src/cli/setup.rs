//! `aiw init` and `aiw setup`

use clap::Args;
use clap::builder::PossibleValuesParser;

#[derive(Debug, Args)]
pub struct InitArgs {
    /// Do what you chose without asking once more
    #[arg(short, long)]
    pub yes: bool,
}

#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The clients [default: every one that is installed]
    #[arg(value_name = "CLIENT", value_parser = PossibleValuesParser::new(aiw_setup::all().iter().map(|client| client.id)))]
    pub clients: Vec<String>,
    /// Write to the configuration of the project in this directory instead of your own
    #[arg(long)]
    pub project: bool,
    /// Move the servers that you have there to aiw's mcp.json, and keys that stand there in clear to the vault
    #[arg(long, conflicts_with = "undo")]
    pub import: bool,
    /// With --import: give a server another name in mcp.json, where another one has its name
    #[arg(long, value_name = "NAME=NEW", value_parser = parse_rename, requires = "import")]
    pub rename: Vec<(String, String)>,
    /// Which of aiw's own tools the clients get, as in `aiw mcp serve --toolsets`; later setups without this keep it
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "undo")]
    pub toolsets: Option<Vec<String>>,
    /// Let the clients call all of aiw's tools without asking you
    #[arg(long, conflicts_with = "undo")]
    pub approve_calls: bool,
    /// Restore what a setup changed
    #[arg(long)]
    pub undo: bool,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write without asking
    #[arg(short, long)]
    pub yes: bool,
}

fn parse_rename(text: &str) -> Result<(String, String), &'static str> {
    match text.rsplit_once('=') {
        Some((name, new))
            if !name.is_empty() && !new.is_empty() && aiw_servers::sanitize_name(new) == new && new != "aiw" =>
        {
            Ok((name.to_owned(), new.to_owned()))
        }
        _ => Err("expected `NAME=NEW`, where the new name has letters, digits, `_` and `-` alone"),
    }
}

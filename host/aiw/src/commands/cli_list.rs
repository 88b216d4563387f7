//! `aiw cli …`

use aiw_app::cli_updates::{self, CliUpdate};
use aiw_core::CliKind;
use aiw_home::{ExecutionContext, Home};
use aiw_launch::{CliDetails, CliSummary, DetectedCli, SearchPath, detect, install_command};

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::CliCommand;
use crate::failure::CliError;
use crate::output::{Output, single_entry_map};
use crate::runtime;

/// The answer of `aiw cli outdated`
#[derive(Serialize, JsonSchema)]
pub struct OutdatedClis {
    /// The CLIs that are installed
    pub clis: Vec<CliUpdate>,
}

pub async fn outdated(home: &Home, output: &Output) -> Result<(), CliError> {
    let clis = cli_updates::outdated(home, output).await?;
    clis.iter().flat_map(CliUpdate::lines).for_each(|line| output.line(line));
    if clis.is_empty() {
        output.line("no AI CLI is installed; `aiw cli list` shows the commands that install them");
    }
    output.set_json(OutdatedClis { clis });
    Ok(())
}

pub fn run(
    command: &CliCommand,
    home: Option<&Home>,
    around: &ExecutionContext,
    output: &Output,
) -> Result<(), CliError> {
    // Without a home nothing is remembered, and the answer is the same.
    let found = detect(&SearchPath::from_context(around), home);
    match command {
        CliCommand::List => list(&found, output),
        CliCommand::Info { name } => {
            found.iter().filter(|cli| cli.kind == *name).for_each(|cli| info(cli, output));
        }
        CliCommand::Outdated => {
            let home = home.ok_or_else(|| CliError::from(aiw_home::HomeError::HomeNotFound))?;
            return runtime::run(output, outdated(home, output));
        }
    }
    Ok(())
}

fn list(found: &[DetectedCli], output: &Output) {
    let row = |cli: &DetectedCli| {
        let version = cli.version.as_deref().unwrap_or("?");
        let install = cli.install.map_or("", |install| install.as_str());
        match &cli.path {
            Some(path) => vec![cli.kind.to_string(), version.into(), install.into(), path.display().to_string()],
            None => vec![cli.kind.to_string(), "-".into(), "-".into(), missing(cli.kind)],
        }
    };
    let rows: Vec<Vec<String>> = found.iter().map(row).collect();
    output.table(&["CLI", "VERSION", "INSTALLED", "PATH"], &rows);
    output.set_json(single_entry_map("clis", found.iter().map(CliSummary::new).collect::<Vec<_>>()));
}

fn missing(kind: CliKind) -> String {
    format!("not installed: `{}`", install_command(kind))
}

fn info(cli: &DetectedCli, output: &Output) {
    match (&cli.path, &cli.real_path) {
        (Some(path), real) => {
            output.line(format!("{} {}", cli.kind, cli.version.as_deref().unwrap_or("of an unknown version")));
            output.line(format!("  path: {}", path.display()));
            if let Some(real) = real.as_ref().filter(|real| *real != path) {
                output.line(format!("  file: {}", real.display()));
            }
            output.line(format!("  installed: {}", cli.install.map_or("unknown", |install| install.as_str())));
        }
        (None, _) => output.line(format!("{} is {}", cli.kind, missing(cli.kind))),
    }
    output.set_json(single_entry_map("cli", CliDetails::new(cli)));
}

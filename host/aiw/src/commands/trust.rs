//! `aiw trust …`

use std::path::PathBuf;

use aiw_app::trust::{self};
use aiw_home::Home;

use crate::ask::TerminalPrompter;
use crate::cli::provider::TrustCommand;
use crate::failure::CliError;
use crate::output::Output;

pub async fn run(command: TrustCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    let here = |directory: Option<PathBuf>| directory.unwrap_or_else(|| ".".into());
    match command {
        TrustCommand::Add { directory, yes } => {
            let added = trust::add(home, here(directory), &TerminalPrompter::new(output, yes), output).await;
            output.set_json(added?);
        }
        TrustCommand::List => {
            let answer = trust::list(home)?;
            if answer.directories.is_empty() {
                output.line("no directory is trusted");
            }
            let rows: Vec<_> = answer.directories.iter().map(|directory| vec![directory.clone()]).collect();
            output.table(&["DIRECTORY"], &rows);
            output.set_json(answer);
        }
        TrustCommand::Remove { directory } => output.set_json(trust::remove(home, here(directory), output)?),
    }
    Ok(())
}

//! `aiw setup`

use std::path::Path;

use aiw_app::directory;
use aiw_app::setup::{SetupRequest, client_paths, set_up};
use aiw_core::ErrorKind;
use aiw_home::Home;
use aiw_offer::{Toolset, UnknownToolset, read_only_tools};

use crate::ask::TerminalPrompter;
use crate::cli::setup::SetupArgs;
use crate::failure::CliError;
use crate::output::Output;

pub async fn run(args: SetupArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let SetupArgs { clients, project, import, rename, toolsets: names, approve_calls, undo, dry_run, yes } = args;
    let request = SetupRequest {
        clients,
        project: project.then(|| directory(home).map(Path::to_owned)).transpose()?,
        import,
        renames: rename.into_iter().collect(),
        toolsets: toolsets(names.as_deref())?,
        read_only: read_only_tools(),
        approve_calls,
        undo,
        dry_run,
    };
    let done = set_up(home, &client_paths(home)?, &request, &TerminalPrompter::new(output, yes), output).await;
    let (answer, first) = done.map_err(|e| CliError::from(e).with_declined_message("nothing was written"))?;
    output.set_json_or_error(answer, first.map(Into::into))
}

/// The toolsets as a client's entry names them. One that does not exist would keep the server from starting.
fn toolsets(names: Option<&[String]>) -> Result<Option<String>, CliError> {
    let Some(names) = names else { return Ok(None) };
    let unknown = |e: UnknownToolset| CliError::new(ErrorKind::Usage, e.to_string()).with_hint(e.hint());
    Toolset::from_names(names).map_err(unknown)?;
    let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
    Ok(Some(names.join(",")))
}

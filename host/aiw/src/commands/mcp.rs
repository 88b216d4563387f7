//! `aiw mcp …`

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use aiw_core::ErrorKind;
use aiw_gateway::{Gateway, LaunchSource, Unready};
use aiw_home::Home;
use aiw_launch::Launcher;

use crate::cli::{McpCommand, REGISTER};
use crate::executable::own_executable;
use crate::failure::Failure;
use crate::output::Output;
use crate::starter;

pub async fn run(command: McpCommand, output: &Output) -> Result<(), Failure> {
    match command {
        McpCommand::Serve => serve(output).await,
    }
}

/// Answers a client at once: Codex offers no server that needs long to start. Components are
/// opened by the first task.
async fn serve(output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        let failure = Failure::new(ErrorKind::Usage, "`--json` can't be used here: the protocol uses standard output");
        return Err(failure.with_hint("aiw mcp serve"));
    }
    let cwd = std::env::current_dir()
        .map_err(|e| Failure::new(ErrorKind::Unavailable, format!("the current directory is gone: {e}")))?;
    let gateway = Gateway::new(Home::find()?, aiw_launch::session(), cwd, Box::new(FromHere));
    if std::io::stdin().is_terminal() {
        output.note(
            "This is an MCP server: AI CLIs start it and talk to it on standard input and output. Register it with:",
        );
        REGISTER.lines().for_each(|line| output.note(format!("  {line}")));
        output.note("It waits for messages now; Ctrl-C ends it.");
    }
    aiw_mcp::serve_stdio(Arc::new(gateway)).await;
    Ok(())
}

/// What the command line starts CLIs with.
struct FromHere;

impl LaunchSource for FromHere {
    fn launcher(&self) -> Result<Launcher, Unready> {
        // Notes go to standard error.
        starter::launcher(&Output::new(false)).map(|(_, launcher)| launcher).map_err(unready)
    }

    fn executable(&self) -> Result<PathBuf, Unready> {
        own_executable().map_err(unready)
    }
}

fn unready(failure: Failure) -> Unready {
    Unready { message: failure.message().to_owned(), hint: failure.hint().map(str::to_owned) }
}

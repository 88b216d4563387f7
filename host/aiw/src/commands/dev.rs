//! `aiw extension dev`: builds a project and calls one function of it, again after each save.

use aiw_app::extension_projects::{ExtensionProject, ProjectError};
use aiw_core::ErrorKind;
use aiw_home::Home;

use crate::cli::DevArgs;
use crate::commands::call;
use crate::failure::CliError;
use crate::output::Output;

/// Ends by a signal alone.
pub async fn run(args: DevArgs, home: Option<&Home>, output: &Output) -> Result<(), CliError> {
    if output.is_json() {
        return Err(CliError::new(ErrorKind::Usage, "`aiw extension dev` has no JSON: it never ends")
            .with_hint("`aiw extension call` calls once"));
    }
    let project = ExtensionProject::open(&args.project)?;
    loop {
        // What is saved during a build is built next.
        let files = project.files()?;
        let called = match project.build().await {
            Ok(file) => call::run(&file, args.call.clone(), home, output).await,
            // No save helps.
            Err(e @ ProjectError::SpawnFailed { .. }) => return Err(e.into()),
            Err(e) => Err(e.into()),
        };
        if let Err(failure) = called {
            output.note(format!("error: {}", failure.message()));
            if let Some(hint) = failure.hint() {
                output.note(format!("hint: {hint}"));
            }
        }
        output.flush();
        output.note(format!("waiting for a change in `{}`; Ctrl-C ends it", args.project.display()));
        project.wait_for_change(&files).await?;
    }
}

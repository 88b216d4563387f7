//! `aiw secret …`

use aiw_app::secrets::{self, SecretSummary};
use aiw_core::{EnvName, Secret};
use aiw_home::Home;

use crate::ask::TerminalPrompter;
use crate::cli::provider::SecretCommand;
use crate::failure::CliError;
use crate::output::Output;
use crate::terminal;

pub async fn run(command: SecretCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    home.recover()?;
    match command {
        SecretCommand::Set { name, env } => {
            let secret = match env {
                Some(name) => Secret::new(variable(home, &name)?),
                None => terminal::read_secret(&format!("Secret `{name}`:")).await?,
            };
            let answer = secrets::set(home, &name, &secret)?;
            output.line(format!("{} `{name}`", if answer.secret.new { "Stored" } else { "Replaced" }));
            output.set_json(answer);
        }
        SecretCommand::List => {
            let answer = secrets::list(home)?;
            if answer.secrets.is_empty() {
                output.line("no secrets: `aiw secret set NAME` stores one");
            }
            let row = |secret: &SecretSummary| vec![secret.name.to_string()];
            output.table(&["NAME"], &answer.secrets.iter().map(row).collect::<Vec<_>>());
            output.set_json(answer);
        }
        SecretCommand::Remove { name, yes } => {
            let answer = secrets::remove(home, &name, &TerminalPrompter::new(output, yes), output).await;
            let answer = answer.map_err(|e| CliError::from(e).with_declined_message("nothing was removed"))?;
            output.line(format!("Removed `{name}`"));
            for (kind, users) in [("providers", &answer.removed.providers), ("MCP servers", &answer.servers)] {
                if !users.is_empty() {
                    output.note(format!("{kind} that use it: {}", users.join(", ")));
                }
            }
            output.set_json(answer);
        }
    }
    Ok(())
}

/// Returns the value of a variable that the user named.
pub fn variable<'a>(home: &'a Home, name: &EnvName) -> Result<&'a str, CliError> {
    let unset = || CliError::user(format!("the variable `{name}` is not set, or is not text"));
    home.context().variable_str(name.as_str()).ok_or_else(unset)
}

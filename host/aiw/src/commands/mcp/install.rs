//! `aiw mcp install`, `update`, `outdated`: servers that come from registries.

use aiw_app::ClientSession;
use aiw_app::installs::{self, InstallRequest, ServerInstallation, ServerInstalled, UpdateRequest};
use aiw_app::servers::ServerError;
use aiw_app::servers::approve::approve_new_definitions;
use aiw_app::servers::login::LoginRequest;
use aiw_core::shell_quote;
use aiw_home::Home;
use schemars::JsonSchema;
use serde::Serialize;

use super::login::log_in;
use crate::ask::TerminalPrompter;
use crate::cli::mcp::{McpInstallArgs, McpUpdateArgs};
use crate::components::session;
use crate::failure::CliError;
use crate::output::Output;
use crate::terminal;

/// `aiw mcp install`
#[derive(Serialize, JsonSchema)]
pub struct ServerInstall {
    /// The server in mcp.json
    pub server: ServerInstalled,
}

pub async fn install(args: McpInstallArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let client = session(home, output)?;
    let registries = client.registries()?;
    let (found, problem) = registries.find_server(&args.name, args.version.as_deref(), args.source.as_deref()).await?;
    if let Some(problem) = problem {
        output.note(format!("note: this is from the local copy: {problem}"));
    }
    let request = InstallRequest {
        key: args.key,
        method: args.method,
        set: args.set,
        force: args.force,
        unchecked: args.no_check,
    };
    let person = TerminalPrompter::new(output, args.yes);
    let installed = installs::install(&client, &found, request, &person, output).await;
    let ServerInstallation { server, record: seen, needs_login: wants_login } = installed.map_err(none_installed)?;
    if seen.is_some() {
        // What `--yes` agrees to is the installation.
        approve_new_definitions(&client, &server.key, &TerminalPrompter::new(output, false), output).await?;
    }
    if wants_login {
        offer_login(&server.key, &client, output).await?;
    }
    output.set_json(ServerInstall { server });
    Ok(())
}

fn none_installed(error: ServerError) -> CliError {
    CliError::from(error).with_declined_message("nothing was installed")
}

async fn offer_login(key: &str, client: &ClientSession, output: &Output) -> Result<(), CliError> {
    if terminal::is_interactive() && terminal::confirm("It wants a login. Log in now?", "--yes", false).await? {
        return log_in(LoginRequest { server: key.to_owned(), ..LoginRequest::default() }, client, output).await;
    }
    output.note(format!("note: it wants a login: `aiw mcp login {}`", shell_quote(key)));
    Ok(())
}

pub async fn outdated(names: &[String], home: &Home, output: &Output) -> Result<(), CliError> {
    let (answer, failed) = installs::outdated(&*session(home, output)?, names, output).await?;
    if answer.servers.is_empty() && failed.is_none() {
        output.line("All servers from registries are up to date");
    }
    output.set_json_or_error(answer, failed.map(CliError::from))
}

pub async fn update(args: McpUpdateArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let request = UpdateRequest { names: args.names, set: args.set, unchecked: args.no_check };
    let person = TerminalPrompter::new(output, args.yes);
    let (answer, failed) = installs::update(&*session(home, output)?, &request, &person, output).await?;
    output.set_json_or_error(answer, failed.map(none_installed))
}

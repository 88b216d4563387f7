//! `aiw mcp …`

pub(super) mod call;
pub mod client;
mod edit;
pub(super) mod http;
pub(super) mod install;
mod login;
mod look;
mod profile;
pub(super) mod registry;
mod route;
pub mod serve;
pub(super) mod session;

use aiw_app::ClientSession;
use aiw_app::servers;
use aiw_app::servers::approve::{self, ScriptsRequest};
use aiw_app::servers::call::ToolCallRequest;
use aiw_core::pluralize;
use aiw_home::Home;
use aiw_setup::ServerMigration;

use self::client::{client, run_then_shutdown};
use crate::ask::TerminalPrompter;
use crate::cli::mcp::McpCommand;
use crate::failure::CliError;
use crate::output::Output;

pub async fn run(command: McpCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    if !matches!(command, McpCommand::Token { .. } | McpCommand::Sync) {
        move_old_servers(home, output);
    }
    let client = || client(home, None, output);
    match command {
        McpCommand::Serve(args) => serve::serve(args, home, output).await,
        McpCommand::Token { rotate } => http::token(home, rotate, output),
        McpCommand::List => look::list(&*client()?, output),
        McpCommand::Search(args) => registry::search(&args, home, output).await,
        McpCommand::Install(args) => install::install(args, home, output).await,
        McpCommand::Update(args) => install::update(args, home, output).await,
        McpCommand::Outdated { names } => install::outdated(&names, home, output).await,
        McpCommand::Info(args) => registry::info(&args, home, output).await,
        McpCommand::Sync => registry::sync(home, output).await,
        McpCommand::Add(args) => edit::add(args, &*client()?, output).await,
        McpCommand::AddJson(args) => edit::add_json(args, &*client()?, output).await,
        McpCommand::Show { name } => look::show(&*client()?, &name, output),
        McpCommand::Rename { name, new } => {
            output.set_json_or_error(servers::edit::rename(&*client()?, &name, &new, output)?, None)
        }
        McpCommand::Profile(command) => profile::run(command, &*client()?, output).await,
        McpCommand::Remove { names } => {
            let person = TerminalPrompter::new(output, false);
            output.set_json_or_error(servers::edit::remove(&*client()?, &names, &person, output).await?, None)
        }
        McpCommand::Enable { names } => {
            output.set_json_or_error(servers::edit::switch(&*client()?, &names, true, output)?, None)
        }
        McpCommand::Disable { names } => {
            output.set_json_or_error(servers::edit::switch(&*client()?, &names, false, output)?, None)
        }
        McpCommand::Status { names } => look::status(&client()?, &names, output).await,
        McpCommand::Tools { session: Some(client), .. } => session::session(&client, home, output).await,
        McpCommand::Tools { names, profile, .. } => look::tools(&names, profile.as_deref(), home, output).await,
        McpCommand::Route(args) => route::route(args, home, output).await,
        McpCommand::Call { tool, arguments } => {
            let request = ToolCallRequest { name: tool, arguments };
            call::call(&*client()?, request, output).await
        }
        McpCommand::Logs { name, follow, tail } => call::logs(&*client()?, &name, follow, tail, output).await,
        McpCommand::Login(args) => login::login(args, &*client()?, output).await,
        McpCommand::Logout { name } => {
            output.set_json_or_error(servers::login::logout(&*client()?, &name, output).await?, None)
        }
        McpCommand::Approve { name: server, scripts: allow, no_scripts: revoke, numbers, yes } => {
            let request = ScriptsRequest { server, allow, revoke };
            approve(&*client()?, &request, numbers, &TerminalPrompter::new(output, yes), output).await
        }
        McpCommand::Doctor { names } => look::doctor(&client()?, &names, output).await,
    }
}

async fn approve(
    client: &ClientSession,
    request: &ScriptsRequest,
    numbers: bool,
    person: &TerminalPrompter<'_>,
    output: &Output,
) -> Result<(), CliError> {
    if request.allow.is_empty() && request.revoke.is_empty() {
        let approved =
            run_then_shutdown(client, approve::approve(client, &request.server, numbers, person, output)).await;
        return output.set_json_or_error(
            approved.map_err(|failure| failure.with_declined_message("nothing was accepted"))?,
            None,
        );
    }
    output.set_json_or_error(
        run_then_shutdown(client, approve::approve_for_scripts(client, request, person, output)).await?,
        None,
    )
}

/// Moves the servers of aiw 0.6 to `mcp.json`, if there are some. What keeps it from that keeps no command from its work.
fn move_old_servers(home: &Home, output: &Output) {
    match aiw_setup::migrate_servers(home) {
        Ok(None) => {}
        Ok(Some(ServerMigration { migrated: moved, secrets, notes, backup })) => {
            let (servers, secrets) = (pluralize(moved.len(), "server"), pluralize(secrets, "secret"));
            output.note(format!(
                "note: mcp_servers.yaml of aiw 0.6 is moved to mcp.json: {servers}, and {secrets} to the vault; the old file \
                 is `{}`, encrypted",
                backup.display()
            ));
            notes.iter().for_each(|note| output.note(format!("note: {note}")));
        }
        Err(e) => output.note(format!("note: the servers of an old mcp_servers.yaml are not moved to mcp.json: {e}")),
    }
}

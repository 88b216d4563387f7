//! `aiw mcp …`

mod approve;
pub(super) mod call;
mod edit;
pub(super) mod http;
pub(super) mod install;
pub(super) mod login;
pub(super) mod look;
pub mod named;
mod profile;
pub(super) mod profiles;
pub(super) mod registry;
mod route;
pub mod serve;
pub(super) mod session;

use std::sync::Arc;

use aiw_app::{ClientSession, current_dir};
use aiw_core::counted;
use aiw_home::Home;
use aiw_routing::{Pool, PoolError, Profile};
use aiw_setup::OldServers;

pub use self::edit::forget;
use crate::cli::mcp::McpCommand;
use crate::components::app;
use crate::failure::Failure;
use crate::output::Output;

pub async fn run(command: McpCommand, output: &Output) -> Result<(), Failure> {
    if !matches!(command, McpCommand::Token { .. } | McpCommand::Sync) {
        move_old_servers(output);
    }
    match command {
        McpCommand::Serve(args) => serve::serve(args, output).await,
        McpCommand::Token { rotate } => http::token(output, rotate),
        McpCommand::List => look::list(output),
        McpCommand::Search(args) => registry::search(&args, output).await,
        McpCommand::Install(args) => install::install(args, output).await,
        McpCommand::Update(args) => install::update(args, output).await,
        McpCommand::Outdated { names } => install::outdated(&names, output).await,
        McpCommand::Info(args) => registry::info(&args, output).await,
        McpCommand::Sync => registry::sync(output).await,
        McpCommand::Add(args) => edit::add(args, output).await,
        McpCommand::AddJson(args) => edit::add_json(args, output).await,
        McpCommand::Show { name } => look::show(&name, output),
        McpCommand::Rename { name, new } => edit::rename(&name, &new, output),
        McpCommand::Profile(command) => profile::run(command, output).await,
        McpCommand::Remove { names } => edit::remove(&names, output).await,
        McpCommand::Enable { names } => edit::switch(&names, true, output),
        McpCommand::Disable { names } => edit::switch(&names, false, output),
        McpCommand::Status { names } => look::status(&names, output).await,
        McpCommand::Tools { session: Some(client), .. } => session::session(&client, output).await,
        McpCommand::Tools { names, profile, .. } => look::tools(&names, profile.as_deref(), output).await,
        McpCommand::Route(args) => route::route(args, output).await,
        McpCommand::Call { tool, arguments } => call::call(&tool, &arguments, output).await,
        McpCommand::Logs { name, follow, tail } => call::logs(&name, follow, tail, output).await,
        McpCommand::Login(args) => login::login(args, output).await,
        McpCommand::Logout { name } => login::logout(&name, output).await,
        McpCommand::Approve { name, scripts, no_scripts, yes } => match scripts.is_empty() && no_scripts.is_empty() {
            true => approve::approve(&name, yes, output).await,
            false => {
                let scripts = approve::Scripts { allow: &scripts, revoke: &no_scripts };
                approve::approve_for_scripts(&name, scripts, yes, output).await
            }
        },
        McpCommand::Doctor { names } => look::doctor(&names, output).await,
    }
}

/// Moves the servers of aiw 0.6 to `mcp.json`, if there are some. What keeps it from that keeps no command from its work.
fn move_old_servers(output: &Output) {
    let Ok(home) = Home::find() else { return };
    match aiw_setup::move_old_servers(&home) {
        Ok(None) => {}
        Ok(Some(OldServers { moved, secrets, notes, backup })) => {
            let (servers, secrets) = (counted(moved.len(), "server"), counted(secrets, "secret"));
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

/// The servers of this directory, for one command.
fn pool(output: &Output) -> Result<Arc<Pool>, Failure> {
    pool_with(Profile::everything(), output)
}

/// The servers of this directory, as a profile allows them.
fn pool_with(profile: Profile, output: &Output) -> Result<Arc<Pool>, Failure> {
    Ok(client_with(profile, output)?.pool().clone())
}

/// A client's session in this directory, with a profile.
fn client_with(profile: Profile, output: &Output) -> Result<Arc<ClientSession>, Failure> {
    let app = app(output.observer())?;
    let client = ClientSession::builder(app, current_dir()?)?.profile(Arc::new(move || profile.clone())).build();
    client.pool().problems().iter().for_each(|problem| output.note(format!("note: {problem}")));
    Ok(client)
}

/// The names of what a command is about: those given, else all.
fn chosen(names: &[String], known: Vec<String>) -> Result<Vec<String>, Failure> {
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        return Err(PoolError::NoServer { name: name.clone(), known }.into());
    }
    Ok(if names.is_empty() { known } else { names.to_vec() })
}

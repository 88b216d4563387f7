//! The session of a command about servers.

use std::sync::Arc;

use aiw_app::servers::ServerError;
use aiw_app::servers::profiles::resolve_profile;
use aiw_app::{ClientSession, directory};
use aiw_home::Home;

use crate::components::app;
use crate::failure::CliError;
use crate::output::Output;

/// This command's session in this directory, with a profile.
pub fn client(home: &Home, profile: Option<&str>, output: &Output) -> Result<Arc<ClientSession>, CliError> {
    let profile = resolve_profile(home, directory(home)?, profile)?;
    let app = app(home, output.observer());
    Ok(ClientSession::builder(app, home.context().clone())?.profile(Arc::new(move || profile.clone())).build())
}

/// Waits for a verb, and ends the servers that it has started.
pub async fn run_then_shutdown<T>(
    client: &ClientSession,
    verb: impl Future<Output = Result<T, ServerError>>,
) -> Result<T, CliError> {
    let result = verb.await;
    client.pool().shut_down().await;
    Ok(result?)
}

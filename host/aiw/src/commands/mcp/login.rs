//! `aiw mcp login`

use aiw_app::ClientSession;
use aiw_app::servers::login::{self, LoginRequest};

use super::client::run_then_shutdown;
use crate::ask::TerminalPrompter;
use crate::cli::mcp::McpLoginArgs;
use crate::failure::CliError;
use crate::output::Output;

pub async fn login(args: McpLoginArgs, client: &ClientSession, output: &Output) -> Result<(), CliError> {
    let McpLoginArgs { name: server, no_browser, scopes, client_id, client_secret } = args;
    let client_secret = client_secret.map(|secret| secret.parse()).transpose()?;
    log_in(LoginRequest { server, scopes, client_id, client_secret, no_browser }, client, output).await
}

/// Logs in, without more said than the server.
pub async fn log_in(request: LoginRequest, client: &ClientSession, output: &Output) -> Result<(), CliError> {
    let person = TerminalPrompter::new(output, false);
    output.set_json_or_error(run_then_shutdown(client, login::login(client, request, &person, output)).await?, None)
}

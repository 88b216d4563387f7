//! `aiw gateway`

use std::sync::Arc;

use aiw_app::gateways::{is_running, to_provider};
use aiw_core::{ErrorKind, counted};
use aiw_gateway::{bind, serve, serve_runs, state};
use aiw_home::Home;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::cli::gateway::{GatewayCommand, ServeArgs};
use crate::components::session;
use crate::failure::Failure;
use crate::output::{self, Output};

/// `aiw gateway serve`, printed once it listens
#[derive(Serialize, JsonSchema)]
pub struct GatewayServe {
    /// Where programs reach it
    pub url: String,
    /// What they show
    pub token: String,
    /// The provider
    pub provider: String,
}

/// `aiw gateway status`
#[derive(Serialize, JsonSchema)]
pub struct GatewayStatus {
    /// Where the gateway of runs listens; null if it does not run
    pub url: Option<String>,
    /// How many runs use it
    pub runs: usize,
}

pub async fn run(command: GatewayCommand, output: &Output) -> Result<(), Failure> {
    match command {
        GatewayCommand::Serve(args) if args.runs => {
            let home = Home::find()?;
            Ok(serve_runs(&home, is_running(&home)).await?)
        }
        GatewayCommand::Serve(args) => provider(args, output).await,
        GatewayCommand::Status => status(output),
    }
}

async fn provider(args: ServeArgs, output: &Output) -> Result<(), Failure> {
    let name = args.provider.unwrap_or_default();
    let client = session(output)?;
    let (gateway, route) = to_provider(&client.providers()?, &name, args.model.as_deref()).await?;
    let listener =
        bind(args.listen).await.map_err(|e| Failure::new(ErrorKind::Unavailable, e.to_string()).with_hint(e.hint()))?;
    let url = format!("http://{}", listener.address());
    if output.is_json() {
        let answer = GatewayServe { url, token: route.token.clone(), provider: name };
        let _ = output::write_line(&serde_json::to_string(&answer).unwrap_or_default());
    } else {
        output.line(format!("address: {url}"));
        output.line(format!("token: {}", route.token));
        output.note(format!(
            "Programs on this machine reach provider `{name}` there, which speaks {}.",
            route.upstream.api
        ));
        output.note(format!("Anthropic Messages and the Gemini API: {url}"));
        output.note(format!("OpenAI Responses: {url}/v1"));
        output.note("The token is good until Ctrl-C ends the gateway.");
    }
    serve(listener, Arc::clone(&gateway), CancellationToken::new()).await;
    Ok(())
}

fn status(output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let state = state(&home, &is_running(&home));
    let status = GatewayStatus { url: state.address.map(|address| format!("http://{address}")), runs: state.runs };
    output.line(match &status.url {
        Some(url) => format!("the gateway listens at {url} for {}", counted(status.runs, "run")),
        None => "the gateway does not run; a run that needs it starts it".to_owned(),
    });
    output.answer(status);
    Ok(())
}

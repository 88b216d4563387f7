//! `aiw gateway`

use std::sync::Arc;

use aiw_app::gateways::{is_running, to_provider, voice};
use aiw_core::{ErrorKind, counted};
use aiw_gateway::{bind, resting, serve, serve_runs, state};
use aiw_home::Home;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::pool::PoolRest;
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
    /// The members of pools that are not asked for a while
    pub resting: Vec<PoolResting>,
}

/// What rests in a pool.
#[derive(Serialize, JsonSchema)]
pub struct PoolResting {
    /// The pool
    pub pool: String,
    /// The member
    #[serde(flatten)]
    pub rest: PoolRest,
}

pub async fn run(command: GatewayCommand, output: &Output) -> Result<(), Failure> {
    match command {
        GatewayCommand::Serve(args) if args.runs => {
            let home = Home::find()?;
            // Its supervisor keeps what it says in its log.
            let voice = voice(&home, output::say);
            Ok(serve_runs(&home, is_running(&home), voice).await?)
        }
        GatewayCommand::Serve(args) => provider(args, output).await,
        GatewayCommand::Status => status(output),
    }
}

async fn provider(args: ServeArgs, output: &Output) -> Result<(), Failure> {
    let name = args.provider.unwrap_or_default();
    let client = session(output)?;
    let providers = client.providers()?;
    let (gateway, route) = to_provider(client.home(), &providers, &name, args.model.as_deref(), output::say).await?;
    let listener =
        bind(args.listen).await.map_err(|e| Failure::new(ErrorKind::Unavailable, e.to_string()).with_hint(e.hint()))?;
    let url = format!("http://{}", listener.address());
    if output.is_json() {
        let answer = GatewayServe { url, token: route.token.clone(), provider: name };
        let _ = output::write_line(&serde_json::to_string(&answer).unwrap_or_default());
    } else {
        output.line(format!("address: {url}"));
        output.line(format!("token: {}", route.token));
        let speaks: Vec<&str> = route.members.iter().map(|member| member.api.label()).collect();
        let what = if route.pool.is_some() { "pool" } else { "provider" };
        output
            .note(format!("Programs on this machine reach {what} `{name}` there, which speaks {}.", speaks.join(", ")));
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
    let mut all = Vec::new();
    for pool in home.providers()?.pools() {
        let of = |rest| PoolResting { pool: pool.name.to_string(), rest: PoolRest::of(rest) };
        all.extend(resting(&home, pool.name.as_str()).into_iter().map(of));
    }
    let status =
        GatewayStatus { url: state.address.map(|address| format!("http://{address}")), runs: state.runs, resting: all };
    output.line(match &status.url {
        Some(url) => format!("the gateway listens at {url} for {}", counted(status.runs, "run")),
        None => "the gateway does not run; a run that needs it starts it".to_owned(),
    });
    for PoolResting { pool, rest } in &status.resting {
        output.line(format!("pool `{pool}`: {}", rest.line()));
    }
    output.answer(status);
    Ok(())
}

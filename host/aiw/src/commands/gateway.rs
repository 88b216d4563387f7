//! `aiw gateway`

use aiw_app::gateways::{
    self, GatewaySummary, PoolCooldowns, ServeRequest, ServedGateway, is_running, open_gateway, revoke,
    task_log_notifier, wait_until_revoked,
};
use aiw_core::{GatewayName, pluralize};
use aiw_gateway::{serve, serve_runs};
use aiw_home::Home;
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::each::{FailedName, remove_each};
use crate::cli::gateway::{GatewayCommand, ServeArgs};
use crate::components::session;
use crate::failure::CliError;
use crate::output::{self, Output};

/// `aiw gateway serve`, printed once it listens
#[derive(Serialize, JsonSchema)]
pub struct GatewayServe {
    /// Where programs reach it
    pub url: String,
    /// The token that programs show; null for a gateway whose token was made before, which `aiw gateway token` prints
    pub token: Option<String>,
    /// The provider
    pub provider: String,
    /// The gateway's name, if it has one
    pub name: Option<String>,
}

/// `aiw gateway revoke`
#[derive(Serialize, JsonSchema)]
pub struct GatewayRevoke {
    /// The gateways that were revoked
    pub revoked: Vec<RevokedGateway>,
    /// The gateways that could not be
    pub failed: Vec<FailedName>,
}

/// A gateway whose token is not good any more.
#[derive(Serialize, JsonSchema)]
pub struct RevokedGateway {
    /// Its name
    pub name: String,
}

pub async fn run(command: GatewayCommand, home: &Home, output: &Output) -> Result<(), CliError> {
    match command {
        GatewayCommand::Serve(args) if args.runs => {
            // Its supervisor keeps what it says in its log.
            let voice = task_log_notifier(home, output::print_note);
            Ok(serve_runs(home, is_running(home), voice).await?)
        }
        GatewayCommand::Serve(args) => provider(args, home, output).await,
        GatewayCommand::List => list(home, output),
        GatewayCommand::Token { name, rotate } => token(home, &name, rotate, output),
        GatewayCommand::Revoke { names } => revoke_all(home, &names, output),
        GatewayCommand::Status => status(home, output),
    }
}

async fn provider(args: ServeArgs, home: &Home, output: &Output) -> Result<(), CliError> {
    let ServeArgs { provider, name, model, listen, runs: _ } = args;
    let client = session(home, output)?;
    let providers = client.providers()?;
    let request = ServeRequest { name, provider, model, listen };
    let served = open_gateway(home, &providers, request, output::print_note).await?;
    say_where(&served, output);
    let revoked = async {
        match &served.name {
            Some(name) => wait_until_revoked(home, name).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = serve(served.listener, served.gateway, CancellationToken::new()) => {}
        () = revoked => output.note("The gateway was revoked"),
    }
    Ok(())
}

/// Says where a gateway listens, and what programs show there.
fn say_where(served: &ServedGateway, output: &Output) {
    let url = format!("http://{}", served.listener.address());
    let (to, token) = (served.route.name(), served.token.expose());
    let name = served.name.as_ref().map(GatewayName::as_str);
    if output.is_json() {
        let token = served.is_new.then(|| token.to_owned());
        let answer = GatewayServe { url, token, provider: to.to_owned(), name: name.map(str::to_owned) };
        let _ = output::write_line(&serde_json::to_string(&answer).unwrap_or_default());
        return;
    }
    output.line(format!("address: {url}"));
    match name.filter(|_| !served.is_new) {
        None => output.line(format!("token: {token}")),
        Some(name) => output.line(format!("token: as before; `aiw gateway token {name}` prints it")),
    }
    output.flush();
    let speaks: Vec<&str> = served.route.members.iter().map(|member| member.api.label()).collect();
    let what = if served.route.pool.is_some() { "pool" } else { "provider" };
    output.note(format!("Programs on this machine reach {what} `{to}` there, which speaks {}.", speaks.join(", ")));
    output.note(format!("OpenAI Chat Completions (\"OpenAI compatible\") and Responses: {url}/v1"));
    output.note(format!("Anthropic Messages and the Gemini API: {url}"));
    output.note(match name {
        None => "The token is good until Ctrl-C ends the gateway.".to_owned(),
        Some(name) => format!(
            "Address and token stay the same for `aiw gateway serve --name {name}`, until `aiw gateway revoke {name}`."
        ),
    });
}

fn list(home: &Home, output: &Output) -> Result<(), CliError> {
    let answer = gateways::list(home)?;
    let gateways = &answer.gateways;
    if gateways.is_empty() {
        output.note("No gateway has a name; `aiw gateway serve --name NAME -p PROVIDER` makes one");
    }
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let row = |one: &GatewaySummary| {
        let state = match (&one.problem, one.served) {
            (Some(problem), _) => problem.clone(),
            (None, true) => "is served".to_owned(),
            (None, false) => "is not served".to_owned(),
        };
        vec![one.name.clone(), or_dash(&one.provider), or_dash(&one.model), or_dash(&one.url), state]
    };
    let rows: Vec<Vec<String>> = gateways.iter().map(row).collect();
    output.table(&["NAME", "PROVIDER", "MODEL", "ADDRESS", "STATE"], &rows);
    output.set_json(answer);
    Ok(())
}

fn token(home: &Home, name: &GatewayName, rotate: bool, output: &Output) -> Result<(), CliError> {
    let answer = gateways::token(home, name, rotate)?;
    output.line(&answer.token);
    output.set_json(answer);
    if rotate {
        output.note("The old token is not valid any more: give this one to your programs");
    }
    Ok(())
}

fn revoke_all(home: &Home, names: &[String], output: &Output) -> Result<(), CliError> {
    let (revoked, failures) = remove_each(names, output, |name| {
        revoke(home, &name.parse()?)?;
        output.line(format!("Revoked gateway `{name}`"));
        Ok(RevokedGateway { name: name.to_owned() })
    });
    output.set_json_or_error(GatewayRevoke { revoked, failed: failures.failed }, failures.first_error)
}

fn status(home: &Home, output: &Output) -> Result<(), CliError> {
    let status = gateways::status(home)?;
    output.line(match &status.url {
        Some(url) => format!("the gateway listens at {url} for {}", pluralize(status.runs, "run")),
        None => "the gateway does not run; a run that needs it starts it".to_owned(),
    });
    for PoolCooldowns { pool, rest } in &status.cooldowns {
        output.line(format!("pool `{pool}`: {}", rest.line()));
    }
    output.set_json(status);
    Ok(())
}

//! `aiw gateway`

use aiw_app::gateways::{
    ServeRequest, ServedGateway, is_running, named_gateway, open_gateway, revoke, rotate_token, until_revoked, voice,
};
use aiw_core::{GatewayName, counted};
use aiw_gateway::{NamedGateways, resting, serve, serve_runs, state};
use aiw_home::{Home, rfc3339};
use schemars::JsonSchema;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::each::{FailedName, remove_each};
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
    /// The token that programs show; null for a gateway whose token was made before, which `aiw gateway token` prints
    pub token: Option<String>,
    /// The provider
    pub provider: String,
    /// The gateway's name, if it has one
    pub name: Option<String>,
}

/// `aiw gateway list`
#[derive(Serialize, JsonSchema)]
pub struct GatewayList {
    /// The gateways that have names
    pub gateways: Vec<GatewaySummary>,
}

/// A gateway that has a name.
#[derive(Serialize, JsonSchema)]
pub struct GatewaySummary {
    /// Its name
    pub name: String,
    /// The provider or pool that it serves; null if its file can't be read
    pub provider: Option<String>,
    /// The model for programs that ask for none of its own
    pub model: Option<String>,
    /// Where programs reach it
    pub url: Option<String>,
    /// When its token was made, in RFC 3339 format
    pub since: Option<String>,
    /// Whether a process serves it now
    pub served: bool,
    /// Why its file can't be read
    pub problem: Option<String>,
}

/// `aiw gateway token`
#[derive(Serialize, JsonSchema)]
pub struct GatewayToken {
    /// The gateway's name
    pub name: String,
    /// Where programs reach it
    pub url: String,
    /// The token that programs show
    pub token: String,
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
        GatewayCommand::List => list(output),
        GatewayCommand::Token { name, rotate } => token(&name, rotate, output),
        GatewayCommand::Revoke { names } => revoke_all(&names, output),
        GatewayCommand::Status => status(output),
    }
}

async fn provider(args: ServeArgs, output: &Output) -> Result<(), Failure> {
    let ServeArgs { provider, name, model, listen, runs: _ } = args;
    let client = session(output)?;
    let providers = client.providers()?;
    let home = client.home();
    let request = ServeRequest { name, provider, model, listen };
    let served = open_gateway(home, &providers, request, output::say).await?;
    say_where(&served, output);
    let revoked = async {
        match &served.name {
            Some(name) => until_revoked(home, name).await,
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

fn list(output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let all = NamedGateways::new(&home);
    let mut gateways = Vec::new();
    for name in all.names().map_err(aiw_app::AppError::from)? {
        let (known, problem) = match all.get(&name) {
            Ok(known) => (known, None),
            Err(e) => (None, Some(e.to_string())),
        };
        // It was revoked meanwhile.
        if known.is_none() && problem.is_none() {
            continue;
        }
        gateways.push(GatewaySummary {
            served: all.is_served(&name),
            name: name.to_string(),
            provider: known.as_ref().map(|known| known.provider.clone()),
            url: known.as_ref().map(|known| format!("http://{}", known.address)),
            since: known.as_ref().map(|known| rfc3339(known.since)),
            model: known.and_then(|known| known.model),
            problem,
        });
    }
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
    output.answer(GatewayList { gateways });
    Ok(())
}

fn token(name: &GatewayName, rotate: bool, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let known = if rotate { rotate_token(&home, name)? } else { named_gateway(&home, name)? };
    let token = known.token().expose().to_owned();
    output.line(&token);
    output.answer(GatewayToken { name: name.to_string(), url: format!("http://{}", known.address), token });
    if rotate {
        output.note("The old token is not valid any more: give this one to your programs");
    }
    Ok(())
}

fn revoke_all(names: &[String], output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    let (revoked, failures) = remove_each(names, output, |name| {
        revoke(&home, &name.parse()?)?;
        output.line(format!("Revoked gateway `{name}`"));
        Ok(RevokedGateway { name: name.to_owned() })
    });
    output.conclude(GatewayRevoke { revoked, failed: failures.failed }, failures.first)
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

//! The gateway for runs, and for other programs.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aiw_core::{Diagnostic, GatewayName, ProcessId, Secret, one_line};

use aiw_gateway::{
    CooldownEntry, Gateway, GatewayError, GatewayRoute, GatewayState, GatewayStore, GatewayWatchdog, IsRunningFn,
    Listener, NamedGateway, NotifyFn, RouteError, RoutePool, RouteRun, RouteStore, Routes, ServeLock, UPSTREAMS,
    Upstream, bind, cooldowns, ensure_running, spawn_watchdog, state,
};
use aiw_home::{Budget, ExecutionContext, Home, rfc3339};
use aiw_launch::{GatewayAccess, GatewayCredentials, GatewayProblem, GatewayRunRequest};
use aiw_providers::{ProviderError, Providers};
use aiw_tasks::{NOTE_PREFIX, ProcessScope, State, TaskDescription, Tasks};
use aiw_usage::budgets_for;
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::AppError;
use crate::executable::stable_executable;

/// Lets runs into the gateway of a home.
pub(crate) struct GatewayClient {
    home: Home,
}

impl GatewayClient {
    pub(crate) fn new(home: Home) -> Self {
        Self { home }
    }

    fn budgets(&self) -> Result<Vec<Budget>, GatewayProblem> {
        let budgets = self.home.settings().and_then(|settings| settings.budgets());
        budgets.map_err(|e| GatewayProblem { kind: e.kind(), hint: e.hint(), source: Box::new(e) })
    }
}

impl GatewayAccess for GatewayClient {
    fn admit(&self, run: GatewayRunRequest) -> Result<GatewayCredentials, GatewayProblem> {
        let aiw =
            stable_executable().map_err(|e| GatewayProblem { kind: e.kind(), hint: None, source: Box::new(e) })?;
        let address = ensure_running(&self.home, &aiw).map_err(problem)?;
        let pool = run.pool.map(|(name, order)| RoutePool::new(name.as_str(), order));
        let members = run.members.into_iter().map(|(name, access)| Upstream::new(name.as_str(), access)).collect();
        let route = GatewayRoute::new(members, pool).map_err(RouteError::from).map_err(route_problem)?;
        let project = (!run.private).then(|| run.directory.to_string_lossy().into_owned());
        let budgets = match run.private {
            true => budgets_for(&self.budgets()?, &run.directory),
            false => Vec::new(),
        };
        let route = route.with_run(RouteRun { cli: run.cli, project, budgets });
        RouteStore::new(&self.home).add(&route).map_err(route_problem)?;
        Ok(GatewayCredentials { address, token: Secret::new(route.token) })
    }

    fn bind_to_task(&self, admission: &GatewayCredentials, task: ProcessId) -> Result<(), GatewayProblem> {
        RouteStore::new(&self.home).assign_to_task(admission.token.expose(), task).map_err(route_problem)
    }

    fn acquire_guard(&self, admission: &GatewayCredentials) -> Result<Box<dyn Any>, GatewayProblem> {
        let held = RouteStore::new(&self.home).acquire(admission.token.expose()).map_err(route_problem)?;
        Ok(Box::new((held, keeper(&self.home))))
    }
}

/// Looks after the gateway for a task, as long as this process lives: its shim.
pub fn watch_task_gateway(task: &TaskDescription) {
    if task.gateway
        && let Ok(home) = Home::find(ExecutionContext::from_process())
    {
        std::mem::forget(keeper(&home));
    }
}

/// Looks after the gateway. Without that, a run is only lost if the gateway's supervisor is killed.
fn keeper(home: &Home) -> Option<GatewayWatchdog> {
    spawn_watchdog(home, &stable_executable().ok()?).ok()
}

fn problem(error: GatewayError) -> GatewayProblem {
    GatewayProblem { kind: error.kind(), hint: error.hint(), source: Box::new(error) }
}

fn route_problem(error: RouteError) -> GatewayProblem {
    GatewayProblem { kind: error.kind(), hint: error.hint(), source: Box::new(error) }
}

/// Returns what says whether a task still runs, or waits for its turn.
pub fn is_running(home: &Home) -> IsRunningFn {
    let home = home.clone();
    Box::new(move |id| {
        let tasks = Tasks::open(&home, ProcessScope::All).and_then(|tasks| tasks.get(id));
        tasks.is_ok_and(|task| task.state != State::Ended)
    })
}

/// Returns what the gateway of runs says with: in the log of the task, where whoever watches it sees it, and by `say`.
pub fn task_log_notifier(home: &Home, say: impl Fn(&str) + Send + Sync + 'static) -> NotifyFn {
    let home = home.clone();
    Box::new(move |task, sentence| {
        say(sentence);
        // A task that is gone has nobody to tell.
        if let Some((task, tasks)) = task.zip(Tasks::open(&home, ProcessScope::All).ok()) {
            let _ = tasks.add_remark(task, &format!("{NOTE_PREFIX}{sentence}"));
        }
    })
}

/// A gateway for other programs, as it is asked for.
#[derive(Debug, Default)]
pub struct ServeRequest {
    /// Its name, if its address and its token are to stay.
    pub name: Option<GatewayName>,
    /// The provider or pool; what it led to before if absent.
    pub provider: Option<String>,
    /// The model for programs that ask for none of its own.
    pub model: Option<String>,
    /// Where it listens; its own address, or any free port, if absent.
    pub listen: Option<SocketAddr>,
}

/// A gateway for other programs that listens.
pub struct ServedGateway {
    /// The gateway that answers.
    pub gateway: Arc<Gateway>,
    /// Where it listens.
    pub listener: Listener,
    /// Where it leads.
    pub route: Arc<GatewayRoute>,
    /// The token that programs show.
    pub token: Secret,
    /// Its name, if it has one.
    pub name: Option<GatewayName>,
    /// Whether its token was made just now.
    pub is_new: bool,
    /// Nobody else serves its name meanwhile.
    _serving: Option<ServeLock>,
}

/// Any free port of this machine.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How soon a gateway that was revoked ends.
const REVOCATION_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Opens a gateway to a provider or a pool, for as long as this process lives. One with a name keeps its address and
/// its token.
pub async fn open_gateway(
    home: &Home,
    providers: &Providers,
    request: ServeRequest,
    say: impl Fn(&str) + Send + Sync + 'static,
) -> Result<ServedGateway, AppError> {
    let all = GatewayStore::new(home);
    let known = request.name.as_ref().map(|name| all.get(name)).transpose()?.flatten();
    let before = known.as_ref().map(|known| known.provider.clone());
    let provider = match (request.provider.or(before.clone()), &request.name) {
        (Some(provider), _) => provider,
        (None, Some(name)) => return Err(unknown(&all, name)),
        (None, None) => String::new(),
    };
    let serving = match &request.name {
        Some(name) => {
            Some(all.try_acquire_lock(name)?.ok_or_else(|| GatewayError::AlreadyServed { name: name.clone() })?)
        }
        None => None,
    };
    // A model of the provider before means nothing to another one.
    let kept = known.as_ref().filter(|known| known.provider == provider).and_then(|known| known.model.clone());
    let model = request.model.or(kept);
    let route = Arc::new(route_to(providers, &provider, model.as_deref(), &say).await?);
    let listen = request.listen.or(known.as_ref().map(|known| known.address)).unwrap_or(ANY_PORT);
    let listener = bind(listen).await.map_err(GatewayError::from)?;
    let is_new = known.is_none();
    let (routes, token): (Arc<dyn Routes>, _) = match &request.name {
        None => (Arc::new(route.clone()), Secret::new(route.token.clone())),
        Some(name) => {
            let address = listener.address();
            let named = match known {
                Some(known) => known.with_target(provider, model, address),
                None => NamedGateway::new(name.clone(), provider, model, address)?,
            };
            all.put(&named)?;
            (Arc::new(all.target(name.clone(), route.clone())), named.token())
        }
    };
    let voice: NotifyFn = Box::new(move |_, sentence| say(sentence));
    let gateway = Arc::new(Gateway::new(home, routes, voice)?);
    Ok(ServedGateway { gateway, listener, route, token, name: request.name, is_new, _serving: serving })
}

/// `aiw gateway list`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct GatewayList {
    /// The gateways that have names
    pub gateways: Vec<GatewaySummary>,
}

/// A gateway that has a name.
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
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
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct GatewayToken {
    /// The gateway's name
    pub name: String,
    /// Where programs reach it
    pub url: String,
    /// The token that programs show
    pub token: String,
}

/// `aiw gateway status`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct GatewayStatus {
    /// Where the gateway of runs listens; null if it does not run
    pub url: Option<String>,
    /// How many runs use it
    pub runs: usize,
    /// The members of pools that are not asked for a while
    pub cooldowns: Vec<PoolCooldowns>,
}

/// A member of a pool that is not asked for a while.
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberCooldown {
    /// The provider
    pub provider: String,
    /// The model, if the provider's others are asked
    pub model: Option<String>,
    /// Until when, in RFC 3339 format
    pub until: String,
    /// The provider's own words
    pub reason: String,
}

impl MemberCooldown {
    /// Converts a resting account to its shown form.
    pub fn new(cooldown: CooldownEntry) -> Self {
        let CooldownEntry { provider, model, retry_at: until, reason: why } = cooldown;
        Self { provider, model, until: rfc3339(until), reason: why }
    }

    /// Returns it as a line.
    pub fn line(&self) -> String {
        let model = self.model.as_ref().map(|model| format!(" with {}", one_line(model, 80))).unwrap_or_default();
        format!("{}{model} rests until {}: {}", self.provider, self.until, one_line(&self.reason, 120))
    }
}

/// The resting accounts of a pool.
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct PoolCooldowns {
    /// The pool
    pub pool: String,
    /// The member
    #[serde(flatten)]
    pub rest: MemberCooldown,
}

/// Returns all gateways that have names.
///
/// # Errors
///
/// Fails if their directory can't be read. A gateway whose file can't be is listed with the reason.
pub fn list(home: &Home) -> Result<GatewayList, AppError> {
    let all = GatewayStore::new(home);
    let mut gateways = Vec::new();
    for name in all.names()? {
        let (known, problem) = match all.get(&name) {
            Ok(Some(known)) => (Some(known), None),
            // It was revoked meanwhile.
            Ok(None) => continue,
            Err(e) => (None, Some(e.to_string())),
        };
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
    Ok(GatewayList { gateways })
}

/// Returns the token of a gateway that has a name. If `rotate`, it is a new one, and the old one is not good any more.
///
/// # Errors
///
/// Fails if there is none of the name, or it can't be read or written.
pub fn token(home: &Home, name: &GatewayName, rotate: bool) -> Result<GatewayToken, AppError> {
    let all = GatewayStore::new(home);
    let mut known = all.get(name)?.ok_or_else(|| unknown(&all, name))?;
    if rotate {
        known = known.with_rotated_token()?;
        all.put(&known)?;
    }
    let (url, token) = (format!("http://{}", known.address), known.token().expose().to_owned());
    Ok(GatewayToken { name: name.to_string(), url, token })
}

/// Returns how the gateway of runs is, and what rests in pools.
///
/// # Errors
///
/// Fails if the providers can't be read.
pub fn status(home: &Home) -> Result<GatewayStatus, AppError> {
    let GatewayState { address, runs } = state(home, &is_running(home));
    let mut all = Vec::new();
    for pool in home.providers()?.pools() {
        let of = |rest| PoolCooldowns { pool: pool.name.to_string(), rest: MemberCooldown::new(rest) };
        all.extend(cooldowns(home, pool.name.as_str()).into_iter().map(of));
    }
    Ok(GatewayStatus { url: address.map(|address| format!("http://{address}")), runs, cooldowns: all })
}

/// Waits until a gateway is revoked.
pub async fn wait_until_revoked(home: &Home, name: &GatewayName) {
    let all = GatewayStore::new(home);
    while all.exists(name) {
        tokio::time::sleep(REVOCATION_CHECK_INTERVAL).await;
    }
}

fn unknown(all: &GatewayStore, name: &GatewayName) -> AppError {
    GatewayError::NotFound { name: name.clone(), known: all.names().unwrap_or_default() }.into()
}

/// Fails if a gateway with a name serves a provider or a pool that is to be removed.
///
/// # Errors
///
/// The gateway is named.
pub(crate) fn check_not_served(home: &Home, provider: &str) -> Result<(), AppError> {
    let all = GatewayStore::new(home);
    let leads_there = |name: &GatewayName| all.get(name).ok().flatten().is_some_and(|it| it.provider == provider);
    match all.names().unwrap_or_default().into_iter().find(leads_there) {
        Some(gateway) => Err(GatewayError::ProviderInUse { gateway, provider: provider.to_owned() }.into()),
        None => Ok(()),
    }
}

/// Forgets a gateway and its token.
///
/// # Errors
///
/// Fails if there is none of the name, or it can't be removed.
pub fn revoke(home: &Home, name: &GatewayName) -> Result<(), AppError> {
    let all = GatewayStore::new(home);
    match all.revoke(name)? {
        true => Ok(()),
        false => Err(unknown(&all, name)),
    }
}

async fn route_to(
    providers: &Providers,
    name: &str,
    model: Option<&str>,
    say: &(impl Fn(&str) + Send + Sync),
) -> Result<GatewayRoute, AppError> {
    let pool = providers.file()?.pool(name)?.cloned();
    let route = match &pool {
        None => GatewayRoute::new(vec![upstream(providers, name, model).await?], None),
        Some(pool) => {
            let (mut members, mut last) = (Vec::new(), None);
            for member in &pool.members {
                let own = model.or(member.model.as_deref());
                match upstream(providers, member.provider.as_str(), own).await {
                    Ok(upstream) => members.push(upstream),
                    Err(e) => {
                        say(&format!("pool `{name}` goes without `{}`: {e}", member.provider));
                        last = Some(e);
                    }
                }
            }
            if let Some(e) = last.filter(|_| members.is_empty()) {
                return Err(e.into());
            }
            GatewayRoute::new(members, Some(RoutePool::new(name, pool.order)))
        }
    };
    Ok(route.map_err(RouteError::from)?)
}

async fn upstream(providers: &Providers, name: &str, model: Option<&str>) -> Result<Upstream, ProviderError> {
    Ok(Upstream::new(name, providers.model_endpoint(name, None, &UPSTREAMS, model).await?))
}

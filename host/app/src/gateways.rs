//! The gateway for runs, and for other programs.

use std::any::Any;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use aiw_core::{GatewayName, ProcessId, Secret};

use aiw_gateway::{
    Gateway, GatewayError, IsRunning, Keeper, KeptRoutes, Listener, NamedGateway, NamedGateways, PoolOf, Route,
    RouteError, Routes, RunOf, Serving, UPSTREAMS, Upstream, Voice, bind, ensure, keep,
};
use aiw_home::Home;
use aiw_launch::{Admission, GatewayDoor, GatewayProblem, RunThrough};
use aiw_providers::{ProviderError, Providers};
use aiw_tasks::{About, NOTE, Scope, State, Tasks};

use crate::error::AppError;
use crate::executable::lasting_executable;

/// Lets runs into the gateway of a home.
pub(crate) struct Door {
    home: Home,
}

impl Door {
    pub(crate) fn new(home: Home) -> Self {
        Self { home }
    }
}

impl GatewayDoor for Door {
    fn admit(&self, run: RunThrough) -> Result<Admission, GatewayProblem> {
        let aiw =
            lasting_executable().map_err(|e| GatewayProblem { kind: e.kind(), hint: None, source: Box::new(e) })?;
        let address = ensure(&self.home, &aiw).map_err(problem)?;
        let pool = run.pool.map(|(name, order)| PoolOf::new(name.as_str(), order));
        let members = run.members.into_iter().map(|(name, access)| Upstream::new(name.as_str(), access)).collect();
        let route = Route::new(members, pool).map_err(RouteError::from).map_err(route_problem)?;
        let route = route.of_run(RunOf { cli: run.cli, project: run.project });
        KeptRoutes::new(&self.home).add(&route).map_err(route_problem)?;
        Ok(Admission { address, token: Secret::new(route.token) })
    }

    fn give_to_task(&self, admission: &Admission, task: ProcessId) -> Result<(), GatewayProblem> {
        KeptRoutes::new(&self.home).give_to_task(admission.token.expose(), task).map_err(route_problem)
    }

    fn hold(&self, admission: &Admission) -> Result<Box<dyn Any>, GatewayProblem> {
        let held = KeptRoutes::new(&self.home).hold(admission.token.expose()).map_err(route_problem)?;
        Ok(Box::new((held, keeper(&self.home))))
    }
}

/// Looks after the gateway for a task, as long as this process lives: its shim.
pub fn task_begins(task: &About) {
    if task.gateway
        && let Ok(home) = Home::find()
    {
        std::mem::forget(keeper(&home));
    }
}

/// Looks after the gateway. Without that, a run is only lost if the gateway's supervisor is killed.
fn keeper(home: &Home) -> Option<Keeper> {
    keep(home, &lasting_executable().ok()?).ok()
}

fn problem(error: GatewayError) -> GatewayProblem {
    GatewayProblem { kind: error.kind(), hint: error.hint(), source: Box::new(error) }
}

fn route_problem(error: RouteError) -> GatewayProblem {
    GatewayProblem { kind: error.kind(), hint: error.hint(), source: Box::new(error) }
}

/// Returns what says whether a task still runs, or waits for its turn.
pub fn is_running(home: &Home) -> IsRunning {
    let home = home.clone();
    Box::new(move |id| {
        let tasks = Tasks::open(&home, Scope::All).and_then(|tasks| tasks.get(id));
        tasks.is_ok_and(|task| task.state != State::Ended)
    })
}

/// Returns what the gateway of runs says with: in the log of the task, where whoever watches it sees it, and by `say`.
pub fn voice(home: &Home, say: impl Fn(&str) + Send + Sync + 'static) -> Voice {
    let home = home.clone();
    Box::new(move |task, sentence| {
        say(sentence);
        // A task that is gone has nobody to tell.
        if let Some((task, tasks)) = task.zip(Tasks::open(&home, Scope::All).ok()) {
            let _ = tasks.remark(task, &format!("{NOTE}{sentence}"));
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
    pub route: Arc<Route>,
    /// The token that programs show.
    pub token: Secret,
    /// Its name, if it has one.
    pub name: Option<GatewayName>,
    /// Whether its token was made just now.
    pub is_new: bool,
    /// Nobody else serves its name meanwhile.
    _serving: Option<Serving>,
}

/// Any free port of this machine.
const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How soon a gateway that was revoked ends.
const REVOKED: Duration = Duration::from_secs(1);

/// Opens a gateway to a provider or a pool, for as long as this process lives. One with a name keeps its address and its token.
pub async fn open_gateway(
    home: &Home,
    providers: &Providers,
    request: ServeRequest,
    say: impl Fn(&str) + Send + Sync + 'static,
) -> Result<ServedGateway, AppError> {
    let all = NamedGateways::new(home);
    let known = request.name.as_ref().map(|name| all.get(name)).transpose()?.flatten();
    let before = known.as_ref().map(|known| known.provider.clone());
    let provider = match (request.provider.or(before.clone()), &request.name) {
        (Some(provider), _) => provider,
        (None, Some(name)) => return Err(GatewayError::Unknown { name: name.clone() }.into()),
        (None, None) => String::new(),
    };
    let serving = match &request.name {
        Some(name) => Some(all.serve(name)?.ok_or_else(|| GatewayError::Served { name: name.clone() })?),
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
                Some(known) => known.leading_to(provider, model, address),
                None => NamedGateway::new(name.clone(), provider, model, address)?,
            };
            all.put(&named)?;
            (Arc::new(all.routes(name.clone(), route.clone())), named.token())
        }
    };
    let voice: Voice = Box::new(move |_, sentence| say(sentence));
    let gateway = Arc::new(Gateway::new(home, routes, voice)?);
    Ok(ServedGateway { gateway, listener, route, token, name: request.name, is_new, _serving: serving })
}

/// Waits until a gateway is revoked.
pub async fn until_revoked(home: &Home, name: &GatewayName) {
    let all = NamedGateways::new(home);
    while all.is_there(name) {
        tokio::time::sleep(REVOKED).await;
    }
}

/// Returns a gateway by its name.
///
/// # Errors
///
/// Fails if there is none, or it can't be read.
pub fn named_gateway(home: &Home, name: &GatewayName) -> Result<NamedGateway, AppError> {
    let known = NamedGateways::new(home).get(name)?;
    Ok(known.ok_or_else(|| GatewayError::Unknown { name: name.clone() })?)
}

/// Returns a gateway with a name that leads to a provider or a pool.
pub fn serving(home: &Home, provider: &str) -> Option<GatewayName> {
    let all = NamedGateways::new(home);
    let leads_there = |name: &GatewayName| all.get(name).ok().flatten().is_some_and(|it| it.provider == provider);
    all.names().unwrap_or_default().into_iter().find(leads_there)
}

/// Gives a gateway a new token. The old one is not good any more.
///
/// # Errors
///
/// Fails if there is none of the name, or it can't be written.
pub fn rotate_token(home: &Home, name: &GatewayName) -> Result<NamedGateway, AppError> {
    let rotated = named_gateway(home, name)?.rotated()?;
    NamedGateways::new(home).put(&rotated)?;
    Ok(rotated)
}

/// Forgets a gateway and its token.
///
/// # Errors
///
/// Fails if there is none of the name, or it can't be removed.
pub fn revoke(home: &Home, name: &GatewayName) -> Result<(), AppError> {
    match NamedGateways::new(home).revoke(name)? {
        true => Ok(()),
        false => Err(GatewayError::Unknown { name: name.clone() }.into()),
    }
}

async fn route_to(
    providers: &Providers,
    name: &str,
    model: Option<&str>,
    say: &(impl Fn(&str) + Send + Sync),
) -> Result<Route, AppError> {
    let pool = providers.file()?.pool(name)?.cloned();
    let route = match &pool {
        None => Route::new(vec![upstream(providers, name, model).await?], None),
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
            Route::new(members, Some(PoolOf::new(name, pool.order)))
        }
    };
    Ok(route.map_err(RouteError::from)?)
}

async fn upstream(providers: &Providers, name: &str, model: Option<&str>) -> Result<Upstream, ProviderError> {
    Ok(Upstream::new(name, providers.model_access(name, None, &UPSTREAMS, model).await?))
}

//! The gateway for runs, and for other programs.

use std::any::Any;
use std::sync::Arc;

use aiw_core::{ProcessId, Secret};

use aiw_gateway::{
    Gateway, GatewayError, IsRunning, Keeper, KeptRoutes, PoolOf, Route, RouteError, RunOf, UPSTREAMS, Upstream, Voice,
    ensure, keep,
};
use aiw_home::Home;
use aiw_launch::{Admission, GatewayDoor, GatewayProblem, RunThrough};
use aiw_providers::{ProviderError, Providers};
use aiw_tasks::{About, NOTE, Scope, State, Tasks};

use crate::error::AppError;
use crate::executable::own_executable;

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
        let aiw = own_executable().map_err(|e| GatewayProblem { kind: e.kind(), hint: None, source: Box::new(e) })?;
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
    keep(home, &own_executable().ok()?).ok()
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

/// Makes a gateway to a provider or a pool, for as long as this process lives. Returns it with the token that it demands.
pub async fn to_provider(
    home: &Home,
    providers: &Providers,
    name: &str,
    model: Option<&str>,
    say: impl Fn(&str) + Send + Sync + 'static,
) -> Result<(Arc<Gateway>, Arc<Route>), AppError> {
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
    let route = Arc::new(route.map_err(RouteError::from)?);
    let voice: Voice = Box::new(move |_, sentence| say(sentence));
    let gateway = Arc::new(Gateway::new(home, Arc::new(route.clone()), voice)?);
    Ok((gateway, route))
}

async fn upstream(providers: &Providers, name: &str, model: Option<&str>) -> Result<Upstream, ProviderError> {
    Ok(Upstream::new(name, providers.model_access(name, None, &UPSTREAMS, model).await?))
}

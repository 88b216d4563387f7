//! The gateway for runs, and for other programs.

use std::any::Any;
use std::sync::Arc;

use aiw_core::{ProcessId, ProviderName, Secret};

use aiw_gateway::{Gateway, GatewayError, IsRunning, KeptRoutes, Route, RouteError, UPSTREAMS, Upstream, ensure};
use aiw_home::Home;
use aiw_launch::{Admission, GatewayDoor, GatewayProblem};
use aiw_providers::{ModelAccess, Providers};
use aiw_tasks::{Scope, State, Tasks};

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
    fn admit(&self, provider: &ProviderName, access: ModelAccess) -> Result<Admission, GatewayProblem> {
        let aiw = own_executable().map_err(|e| GatewayProblem { kind: e.kind(), hint: None, source: Box::new(e) })?;
        let address = ensure(&self.home, &aiw).map_err(problem)?;
        let route = KeptRoutes::new(&self.home).add(Upstream::new(provider.as_str(), access)).map_err(route_problem)?;
        Ok(Admission { address, token: Secret::new(route.token) })
    }

    fn give_to_task(&self, admission: &Admission, task: ProcessId) -> Result<(), GatewayProblem> {
        KeptRoutes::new(&self.home).give_to_task(admission.token.expose(), task).map_err(route_problem)
    }

    fn hold(&self, admission: &Admission) -> Result<Box<dyn Any>, GatewayProblem> {
        let held = KeptRoutes::new(&self.home).hold(admission.token.expose()).map_err(route_problem)?;
        Ok(Box::new(held))
    }
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

/// Makes a gateway to one provider, for as long as this process lives. Returns it with the token that it demands.
pub async fn to_provider(
    providers: &Providers,
    provider: &str,
    model: Option<&str>,
) -> Result<(Arc<Gateway>, Arc<Route>), AppError> {
    let access = providers.model_access(provider, None, &UPSTREAMS, model).await?;
    let route = Arc::new(Route::new(Upstream::new(provider, access)).map_err(RouteError::from)?);
    let gateway = Arc::new(Gateway::new(Arc::new(route.clone()))?);
    Ok((gateway, route))
}

//! The way to a provider whose API a CLI does not speak.

use std::any::Any;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use aiw_core::{CliKind, ErrorKind, ProcessId, ProviderName, Secret};
use aiw_home::PoolStrategy;
use aiw_providers::ModelEndpoint;

/// aiw's gateway, as this room needs it. `app` implements it.
pub trait GatewayAccess: Send + Sync {
    /// Lets a run in, and starts the gateway if it does not run.
    fn admit(&self, run: GatewayRunRequest) -> Result<GatewayCredentials, GatewayProblem>;

    /// Notes that what was admitted is a task: it stays in until the task ends.
    fn bind_to_task(&self, admission: &GatewayCredentials, task: ProcessId) -> Result<(), GatewayProblem>;

    /// Keeps what was admitted in until the result is dropped.
    fn acquire_guard(&self, admission: &GatewayCredentials) -> Result<Box<dyn Any>, GatewayProblem>;
}

/// A run that is to go through the gateway.
#[derive(Debug, Clone)]
pub struct GatewayRunRequest {
    /// Its CLI.
    pub cli: CliKind,
    /// The directory that it works in.
    pub directory: PathBuf,
    /// Whether it is private: the directory is kept nowhere.
    pub private: bool,
    /// The pool, and how it chooses.
    pub pool: Option<(ProviderName, PoolStrategy)>,
    /// The provider, or the pool's members in their order; at least one.
    pub members: Vec<(ProviderName, ModelEndpoint)>,
}

/// The admission of one run to the gateway.
#[derive(Debug, Clone)]
pub struct GatewayCredentials {
    /// Where the gateway listens.
    pub address: SocketAddr,
    /// The token that the run shows.
    pub token: Secret,
}

/// Why there is no way through the gateway.
#[derive(Debug, thiserror::Error)]
#[error("{source}")]
pub struct GatewayProblem {
    /// For the exit code.
    pub kind: ErrorKind,
    /// The next step.
    pub hint: Option<String>,
    /// Why.
    pub source: Box<dyn Error + Send + Sync>,
}

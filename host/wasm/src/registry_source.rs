//! Components that read registries of MCP servers: the kind `registry-source`, with every answer checked.
//!
//! A server that is malformed is left out of a list, and hides no other.

use aiw_core::registry::{Page, RegistryInfo, Server};
use aiw_extensions::World;

use crate::budget::Purpose;
use crate::component::Component;
use crate::error::CallError;
use crate::reach::Reach;
use crate::since_v0_1::registry_source::Guest;

/// A component as a registry of MCP servers.
pub struct RegistrySource<'c>(&'c Component);

impl Component {
    /// Returns the component as a registry of MCP servers, if it is one.
    pub fn registry_source(&self) -> Result<RegistrySource<'_>, CallError> {
        self.check_kind(World::RegistrySource)?;
        Ok(RegistrySource(self))
    }
}

impl RegistrySource<'_> {
    /// Returns what the registry is.
    pub async fn describe(&self) -> Result<RegistryInfo, CallError> {
        let (reach, pure) = (Reach::default(), Purpose::Pure("describe"));
        self.0.call(&reach, pure, async |guest: &Guest, store| guest.describe(store).await).await
    }

    /// Returns what the registry finds, and how many servers of it are malformed.
    pub async fn search(&self, reach: &Reach, query: &str, limit: u32) -> Result<(Vec<Server>, usize), CallError> {
        self.0.call(reach, Purpose::Answer, async |guest: &Guest, store| guest.search(store, query, limit).await).await
    }

    /// Returns a page of what changed since a time (milliseconds since 1970), or of all that there is.
    pub async fn changes(&self, reach: &Reach, since: Option<u64>, cursor: Option<&str>) -> Result<Page, CallError> {
        self.0
            .call(reach, Purpose::Answer, async |guest: &Guest, store| guest.changes(store, since, cursor).await)
            .await
    }

    /// Returns a version of a server, or the latest.
    pub async fn server(&self, reach: &Reach, name: &str, version: Option<&str>) -> Result<Server, CallError> {
        self.0.call(reach, Purpose::Answer, async |guest: &Guest, store| guest.server(store, name, version).await).await
    }
}

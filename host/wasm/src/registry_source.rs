//! Components that read registries of MCP servers: the kind `registry-source`, with every answer checked.
//!
//! A server that is malformed is left out of a list, and hides no other.

use aiw_core::registry::{Page, RegistryInfo, ServerVersion};
use aiw_extensions::World;
use futures::future::BoxFuture;

use crate::budget::Purpose;
use crate::component::Component;
use crate::error::CallError;
use crate::reach::CallPermissions;
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
    pub fn describe(&self) -> BoxFuture<'_, Result<RegistryInfo, CallError>> {
        Box::pin(async move {
            let (reach, pure) = (CallPermissions::default(), Purpose::Pure("describe"));
            self.0
                .call(&reach, pure, move |guest: &Guest, store| Box::pin(async move { guest.describe(store).await }))
                .await
        })
    }

    /// Returns what the registry finds, and how many servers of it are malformed.
    pub fn search<'a>(
        &'a self,
        reach: &'a CallPermissions,
        query: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<(Vec<ServerVersion>, usize), CallError>> {
        Box::pin(async move {
            let query = query.to_owned();
            self.0
                .call(reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.search(store, &query, limit).await })
                })
                .await
        })
    }

    /// Returns a page of what changed since a time (milliseconds since 1970), or of all that there is.
    pub fn changes<'a>(
        &'a self,
        reach: &'a CallPermissions,
        since: Option<u64>,
        cursor: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Page, CallError>> {
        Box::pin(async move {
            let cursor = cursor.map(str::to_owned);
            self.0
                .call(reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.changes(store, since, cursor.as_deref()).await })
                })
                .await
        })
    }

    /// Returns a version of a server, or the latest.
    pub fn server<'a>(
        &'a self,
        reach: &'a CallPermissions,
        name: &'a str,
        version: Option<&'a str>,
    ) -> BoxFuture<'a, Result<ServerVersion, CallError>> {
        Box::pin(async move {
            let (name, version) = (name.to_owned(), version.map(str::to_owned));
            self.0
                .call(reach, Purpose::Query, move |guest: &Guest, store| {
                    Box::pin(async move { guest.server(store, &name, version.as_deref()).await })
                })
                .await
        })
    }
}

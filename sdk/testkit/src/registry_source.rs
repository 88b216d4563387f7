//! Registries of MCP servers, as a test sees them.

use aiw_wasm::{BoundSecret, CallPermissions};

use crate::{CallError, Driver};

pub use aiw_core::ReferenceForm;
pub use aiw_core::registry::{
    Argument, Endpoint, Format, Input, Instruction, Package, Page, RegistryInfo, RegistryStatus, RegistryTransport,
    SecretRequirement, ServerSetting, ServerVariable, ServerVersion,
};

/// A driven component as a registry of MCP servers. If it is none, each call says so.
pub struct RegistrySource<'d>(&'d Driver);

impl Driver {
    /// Returns the component as a registry of MCP servers.
    pub fn registry_source(&self) -> RegistrySource<'_> {
        RegistrySource(self)
    }
}

impl RegistrySource<'_> {
    fn component(&self) -> Result<aiw_wasm::RegistrySource<'_>, CallError> {
        self.0.component.registry_source()
    }

    /// Returns the reach of a call: the kit's, and its secrets, bound to the hosts that the manifest names.
    fn reach(&self) -> CallPermissions {
        let urls: Vec<String> = self.0.hosts.iter().map(|host| format!("https://{host}")).collect();
        let bound = |value: &aiw_core::Secret| BoundSecret { value: value.clone(), urls: urls.clone() };
        let secrets = self.0.secrets.iter().map(|(name, value)| (name.clone(), bound(value)));
        CallPermissions { secrets: secrets.collect(), ..self.0.permissions.clone() }
    }

    /// Returns what the registry is.
    pub async fn describe(&self) -> Result<RegistryInfo, CallError> {
        self.component()?.describe().await
    }

    /// Returns what the registry finds. A malformed server is left out.
    pub async fn search(&self, query: &str, limit: u32) -> Result<Vec<ServerVersion>, CallError> {
        Ok(self.component()?.search(&self.reach(), query, limit).await?.0)
    }

    /// Returns a page of what changed since a time (milliseconds since 1970), or of all that there is.
    pub async fn changes(&self, since: Option<u64>, cursor: Option<&str>) -> Result<Page, CallError> {
        self.component()?.changes(&self.reach(), since, cursor).await
    }

    /// Returns a version of a server, or the latest.
    pub async fn server(&self, name: &str, version: Option<&str>) -> Result<ServerVersion, CallError> {
        self.component()?.server(&self.reach(), name, version).await
    }
}

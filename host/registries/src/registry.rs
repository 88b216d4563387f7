//! One registry: its component, and what of the user's it may use.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aiw_components::Library;
use aiw_core::registry::{Page, RegistryInfo, RegistryStatus, ServerVersion};
use aiw_core::{ExtensionId, Secret};
use aiw_extensions::World;
use aiw_home::{Home, RegistrySettings, SecretRef};
use aiw_wasm::limits::Allowance;
use aiw_wasm::{BoundSecret, CallBudget, CallError, CallPermissions, Component, ComponentReason};

use crate::RegistryError;

/// How long somebody waits for a registry, including what it takes to load its component.
pub(crate) const REGISTRY_TIMEOUT: Duration = Duration::from_secs(15);

/// The allowance of a registry for one question.
const RESPONSE_ALLOWANCE: Allowance = Allowance {
    scope: "for one answer",
    guest_time: Duration::from_secs(5),
    wall_time: REGISTRY_TIMEOUT,
    requests: 20,
    bytes: 100 << 20,
};

/// The variables that bundled components take their keys from if registry.yaml names none. A component can't choose
/// one: it would choose somebody else's.
const KEY_VARIABLES: [(&str, &str); 1] = [("registry-smithery", "SMITHERY_API_KEY")];

/// A registry of MCP servers.
pub struct Registry {
    /// The component that reads it.
    pub id: ExtensionId,
    /// Its description of itself.
    pub info: RegistryInfo,
    /// Its place among the others: its own, or the one that the user chose.
    pub priority: u32,
    component: Arc<Component>,
    secrets: BTreeMap<String, BoundSecret>,
}

impl Registry {
    /// Loads the component of a registry.
    pub(crate) async fn open(
        home: &Home,
        library: &Library,
        settings: &RegistrySettings,
        id: &ExtensionId,
    ) -> Result<Self, RegistryError> {
        let component = library.load(id.as_str()).await?;
        let call = |source| RegistryError::CallFailed { id: id.clone(), source };
        let info = component.registry_source().map_err(call)?.describe().await.map_err(call)?;
        let choice = settings.sources.get(id);
        let priority = choice.and_then(|choice| choice.priority).unwrap_or(info.priority);
        let key = key(home, library, id, choice.and_then(|choice| choice.key.as_ref()))?;
        let bound = |value| BoundSecret { value, urls: addresses(home, &component) };
        let secrets = info.secret.iter().zip(key).map(|(need, key)| (need.name.clone(), bound(key))).collect();
        Ok(Self { id: id.clone(), info, priority, component, secrets })
    }

    pub(crate) fn call_permissions(&self, budget: Arc<CallBudget>) -> CallPermissions {
        CallPermissions { secrets: self.secrets.clone(), budget: Some(budget), ..CallPermissions::default() }
    }

    fn once(&self) -> CallPermissions {
        self.call_permissions(Arc::new(CallBudget::new(RESPONSE_ALLOWANCE)))
    }

    fn failed(&self, source: CallError) -> RegistryError {
        RegistryError::CallFailed { id: self.id.clone(), source }
    }

    /// Asks the registry itself to search.
    pub(crate) async fn search(&self, query: &str, limit: u32) -> Result<Vec<ServerVersion>, RegistryError> {
        let source = self.component.registry_source().map_err(|e| self.failed(e))?;
        let (found, _) = source.search(&self.once(), query, limit).await.map_err(|e| self.failed(e))?;
        Ok(found)
    }

    /// Asks the registry for a page of what changed.
    pub(crate) async fn changes(
        &self,
        reach: &CallPermissions,
        since: Option<u64>,
        cursor: Option<&str>,
    ) -> Result<Page, RegistryError> {
        let source = self.component.registry_source().map_err(|e| self.failed(e))?;
        source.changes(reach, since, cursor).await.map_err(|e| self.failed(e))
    }

    /// Asks the registry for a server. None if it has none of that name, or not that version.
    pub(crate) async fn server(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<ServerVersion>, RegistryError> {
        self.server_with_permissions(&self.once(), name, version).await
    }

    pub(crate) async fn server_with_permissions(
        &self,
        reach: &CallPermissions,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<ServerVersion>, RegistryError> {
        let source = self.component.registry_source().map_err(|e| self.failed(e))?;
        match source.server(reach, name, version).await {
            // One that answers with another server is not asked for its name again.
            Ok(server) if !has_name(&server, name) => Ok(None),
            Ok(server) => Ok(Some(server)),
            Err(CallError::Rejected { refusal: ComponentReason::NotFound | ComponentReason::Invalid, .. }) => Ok(None),
            Err(e) => Err(self.failed(e)),
        }
    }
}

/// Whether a server has exactly this name, or has it as another one.
pub(crate) fn has_name(server: &ServerVersion, name: &str) -> bool {
    std::iter::once(&server.name).chain(&server.aliases).any(|known| known == name)
}

/// Whether a server can be shown and installed.
pub(crate) fn is_available(server: &ServerVersion) -> bool {
    server.status != RegistryStatus::Deleted
}

/// The ids of all components that read registries, and whether the user wants them asked.
pub(crate) fn registry_sources(
    library: &Library,
    settings: &RegistrySettings,
) -> Result<Vec<(ExtensionId, bool)>, RegistryError> {
    let ids = library.enabled_ids(World::RegistrySource)?;
    let is_on = |id: &ExtensionId| settings.sources.get(id).is_none_or(|choice| choice.enabled);
    Ok(ids.into_iter().map(|id| (id.clone(), is_on(&id))).collect())
}

/// The user's key for a registry.
fn key(
    home: &Home,
    library: &Library,
    id: &ExtensionId,
    chosen: Option<&SecretRef>,
) -> Result<Option<Secret>, RegistryError> {
    let variable = |name: &str| home.context().variable_str(name).filter(|value| !value.is_empty()).map(Secret::new);
    match chosen {
        Some(SecretRef::Vault(name)) => {
            let key =
                home.vault().get(name).map_err(|source| RegistryError::UnreadableKey { id: id.clone(), source })?;
            Ok(Some(key))
        }
        Some(SecretRef::Variable(name)) => match variable(name.as_str()) {
            Some(key) => Ok(Some(key)),
            None => Err(RegistryError::MissingKey { id: id.clone(), variable: name.to_string() }),
        },
        None => {
            let usual = KEY_VARIABLES.iter().find(|(known, _)| *known == id.as_str() && library.is_bundled(known));
            Ok(usual.and_then(|(_, name)| variable(name)))
        }
    }
}

/// The addresses that a registry's key may be sent to: the hosts that it was allowed, and those in its settings.
fn addresses(home: &Home, component: &Component) -> Vec<String> {
    let named = component.hosts().into_iter().filter(|host| !host.contains('*')).map(|host| format!("https://{host}"));
    let typed = home.settings().ok().and_then(|settings| settings.source(component.id()).get("base_url"));
    named.chain(typed).collect()
}

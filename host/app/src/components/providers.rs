//! The components of API providers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aiw_components::{Library, LibraryError};
use aiw_core::provider::{Account, Health, Intent, Model, Target};
use aiw_core::{Diagnostic, ExtensionId, Secret};
use aiw_extensions::World;
use aiw_net::{ConnectError, HttpClient, Policy};
use aiw_providers::{PresetEntry, ProviderComponentError, ProviderComponents};
use aiw_wasm::{CallError, Component};
use async_trait::async_trait;

/// Provider components from the library.
pub(crate) struct LibraryProviders {
    library: Arc<Library>,
    client: HttpClient,
}

impl LibraryProviders {
    pub(crate) fn new(library: Arc<Library>, client: HttpClient) -> Self {
        Self { library, client }
    }

    async fn of(&self, id: &ExtensionId) -> Result<Vec<PresetEntry>, ProviderComponentError> {
        let presets =
            self.component(id).await?.provider().map_err(call_error)?.describe().await.map_err(call_error)?.presets;
        let bundled = self.library.is_bundled(id.as_str());
        Ok(presets.into_iter().map(|preset| PresetEntry { component: id.clone(), bundled, preset }).collect())
    }

    async fn component(&self, id: &ExtensionId) -> Result<Arc<Component>, ProviderComponentError> {
        self.library.load(id.as_str()).await.map_err(library_error)
    }
}

#[async_trait]
impl ProviderComponents for LibraryProviders {
    /// Of two presets with one id the first counts, and those inside the binary come first.
    async fn presets(&self) -> Result<(Vec<PresetEntry>, Vec<ProviderComponentError>), ProviderComponentError> {
        let (mut presets, mut problems): (Vec<PresetEntry>, Vec<ProviderComponentError>) = Default::default();
        for id in self.library.enabled_ids(World::Provider).map_err(library_error)? {
            match self.of(&id).await {
                Ok(found) => {
                    for known in found {
                        if !presets.iter().any(|other| other.preset.id == known.preset.id) {
                            presets.push(known);
                        }
                    }
                }
                Err(e) => problems.push(e),
            }
        }
        Ok((presets, problems))
    }

    async fn preset(
        &self,
        preset: &str,
        component: Option<&ExtensionId>,
    ) -> Result<PresetEntry, ProviderComponentError> {
        let ids = match component {
            Some(id) => vec![id.clone()],
            None => self.library.enabled_ids(World::Provider).map_err(library_error)?,
        };
        let (mut problem, mut names) = (None, Vec::new());
        for id in ids {
            match self.of(&id).await {
                Ok(presets) => {
                    names.extend(presets.iter().map(|known| known.preset.id.clone()));
                    if let Some(found) = presets.into_iter().find(|known| known.preset.id == preset) {
                        return Ok(found);
                    }
                }
                Err(e) => problem = problem.or(Some(e)),
            }
        }
        // A component that does not answer may be the one.
        Err(problem
            .unwrap_or_else(|| ProviderComponentError::UnknownPreset { preset: preset.to_owned(), known: names }))
    }

    async fn check_address(&self, url: &str) -> Result<(), ProviderComponentError> {
        let checked = self.client.check_address(&Policy::public(), url).await;
        checked.map_err(|e| ProviderComponentError::PrivateAddress { kind: e.kind(), source: Box::new(e) })
    }

    async fn try_connection(&self, url: &str) -> Result<(), ProviderComponentError> {
        /// A host that is up answers within a few round trips.
        const CONNECT_CHECK_TIMEOUT: Duration = Duration::from_secs(3);

        match self.client.try_connection(url, CONNECT_CHECK_TIMEOUT).await {
            Err(ConnectError::Connect(e)) => Err(ProviderComponentError::Unreachable { source: Box::new(e) }),
            Err(ConnectError::Dns(e)) => Err(ProviderComponentError::Unresolved { source: Box::new(e) }),
            Ok(()) => Ok(()),
        }
    }

    async fn plan(
        &self,
        component: &ExtensionId,
        account: &Account,
        target: &Target,
    ) -> Result<Intent, ProviderComponentError> {
        self.component(component).await?.provider().map_err(call_error)?.plan(account, target).await.map_err(call_error)
    }

    async fn check(
        &self,
        component: &ExtensionId,
        account: &Account,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Health, ProviderComponentError> {
        self.component(component)
            .await?
            .provider()
            .map_err(call_error)?
            .check(account, secrets)
            .await
            .map_err(call_error)
    }

    async fn models(
        &self,
        component: &ExtensionId,
        account: &Account,
        secrets: &BTreeMap<String, Secret>,
    ) -> Result<Vec<Model>, ProviderComponentError> {
        self.component(component)
            .await?
            .provider()
            .map_err(call_error)?
            .models(account, secrets)
            .await
            .map_err(call_error)
    }
}

fn library_error(e: LibraryError) -> ProviderComponentError {
    ProviderComponentError::Component { kind: e.kind(), hint: e.hint(), source: Box::new(e) }
}

fn call_error(e: CallError) -> ProviderComponentError {
    ProviderComponentError::Component { kind: e.kind(), hint: None, source: Box::new(e) }
}

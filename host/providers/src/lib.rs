//! API providers: adding, changing, choosing and testing them.
//!
//! A provider is an entry of `providers.json` that starts from a preset, and presets come from components. This room
//! knows the rules: which CLIs a provider works with, where its secrets may go, and what happens to them when its
//! address changes. A view asks the user's questions through [`aiw_core::Ask`].

mod account;
mod address;
mod changes;
mod choice;
mod components;
mod edit;
mod error;
mod health;
mod keys;
mod list;
mod model;
mod pools;
mod questions;
mod secrets;
mod test;

use futures::future::BoxFuture;
use std::sync::Arc;

use aiw_home::{Home, Provider, ProvidersFile};

pub use account::{CliApis, ServedClis, account, approved_origins, is_unpinned, lacks_token, pin, unchecked_account};
pub use changes::{NewTokenSource, ProviderChanges};
pub use choice::{ChosenProvider, SelectionSource};
pub use components::{PresetEntry, ProviderComponentError, ProviderComponents};
pub use edit::{AddedProvider, PreparedProvider, RemovedProvider, RenamedProvider};
pub use error::ProviderError;
pub use health::{
    HealthChange, HealthRecords, ProviderHealth, health_dir, health_key, load_health_records, record_key_state,
    save_health_records,
};
pub use keys::{MANAGED_VARIABLES_ENV, WITHHELD_VARIABLE, is_vendor_key, scrub_filter};
pub use list::{PresetSummary, ProviderDetails, ProviderSummary, RedactedVariable, SecretState};
pub use model::{ModelEndpoint, apply_model_overrides};
pub use pools::{PoolMemberSummary, PoolSummary};
pub use secrets::{RemovedSecret, has_secrets, remove_secret, resolve, secrets};
pub use test::{TestSummary, Tested};

/// The providers of a home.
#[derive(Clone)]
pub struct Providers {
    home: Home,
    components: Arc<dyn ProviderComponents>,
    clis: ServedClis,
}

impl Providers {
    /// Providers for these CLIs, with presets from these components.
    pub fn new(home: Home, components: Arc<dyn ProviderComponents>, clis: ServedClis) -> Self {
        Self { home, components, clis }
    }

    /// The components behind the presets.
    pub fn components(&self) -> &dyn ProviderComponents {
        &*self.components
    }

    /// The CLIs that they are for.
    pub fn clis(&self) -> &ServedClis {
        &self.clis
    }

    /// `providers.json` as it is now.
    pub fn file(&self) -> Result<ProvidersFile, ProviderError> {
        Ok(self.home.providers()?)
    }

    /// The preset of a provider.
    pub fn find_preset<'a>(&'a self, provider: &'a Provider) -> BoxFuture<'a, Result<PresetEntry, ProviderError>> {
        Box::pin(async move { Ok(self.components.preset(&provider.preset, provider.component.as_ref()).await?) })
    }

    fn get(file: &ProvidersFile, name: &str) -> Result<Provider, ProviderError> {
        if file.get(name)?.is_none() && file.pool(name)?.is_some() {
            return Err(ProviderError::IsPool { name: name.to_owned() });
        }
        file.get(name)?.cloned().ok_or_else(|| ProviderError::not_found(file, name))
    }
}

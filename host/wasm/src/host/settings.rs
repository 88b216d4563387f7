//! The interface `settings`.

use aiw_extensions::CapabilityKind;

use super::{CallSetup, HostCall, Interface, NoCapability};
use crate::budget::LimitExceeded;

/// A component's settings, by key.
pub trait SettingsSource: Send + Sync {
    /// Returns the setting `sources.<component>.<key>`.
    fn get(&self, component: &str, key: &str) -> Option<String>;
}

impl SettingsSource for NoCapability {
    fn get(&self, _component: &str, _key: &str) -> Option<String> {
        None
    }
}

/// The interface `settings`.
pub(crate) struct SettingsImport;

impl Interface for SettingsImport {
    const NAME: &'static str = "settings";
    const PLAN_FUNCTIONS: &'static [&'static str] = &["get"];
    type Capability = dyn SettingsSource;
    type State = ();

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {}
}

impl HostCall<'_, SettingsImport> {
    pub(crate) fn get(&mut self, key: &str) -> Result<Option<String>, LimitExceeded> {
        self.begin_read("get")?;
        let keys = &self.call.grants;
        let allowed = keys.is_allowed(CapabilityKind::Settings, key);
        Ok(if allowed { self.capability.get(&keys.id, key) } else { None })
    }
}

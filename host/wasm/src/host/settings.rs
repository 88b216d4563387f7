//! The interface `settings`.

use super::CallState;
use crate::bindings::v0_1::aiw::plugin::settings;

impl settings::Host for CallState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.allow("settings.get")?;
        self.charge_read()?;
        let both = self.call.wanted.allows(aiw_extensions::CapabilityKind::Settings, &key)
            && self.call.granted.allows(aiw_extensions::CapabilityKind::Settings, &key);
        Ok(if both { self.call.capabilities.settings.get(&self.call.id, &key) } else { None })
    }
}

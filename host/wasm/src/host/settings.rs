use super::State;
use crate::bindings::v0_1::aiw::plugin::settings;

impl settings::Host for State {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.charge_read()?;
        let both = self.wanted.allows("settings", &key) && self.granted.allows("settings", &key);
        Ok(if both { self.capabilities.settings.get(&self.id, &key) } else { None })
    }
}

//! The interface `cache`.

use std::time::Duration;

use super::CallState;
use crate::bindings::v0_1::aiw::plugin::cache;
use crate::limits;

impl CallState {
    /// Returns the cache in the component's own directory, so that one component cannot read or evict another's
    /// entries.
    fn cache(&self) -> aiw_home::Cache {
        self.call.capabilities.home.byte_cache(&format!("components/{}", self.call.id), limits::CACHE_QUOTA)
    }
}

impl cache::Host for CallState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.allow("cache.get")?;
        self.charge_read()?;
        Ok(self.cache().get(&key))
    }

    async fn put(&mut self, key: String, value: Vec<u8>, seconds: u32) -> wasmtime::Result<()> {
        self.allow("cache.put")?;
        self.charge_request()?;
        self.cache().put(&key, &value, Duration::from_secs(u64::from(seconds)));
        Ok(())
    }
}

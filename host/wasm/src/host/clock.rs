//! The interface `clock`.

use std::time::SystemTime;

use super::CallState;
use crate::bindings::v0_1::aiw::plugin::clock;

impl clock::Host for CallState {
    async fn now(&mut self) -> wasmtime::Result<u64> {
        self.allow("clock.now")?;
        let since = self.call.capabilities.clock.now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

//! The interface `cache`.

use std::time::Duration;

use aiw_home::Home;

use super::{CallSetup, HostCall, Interface, NoCapability};
use crate::budget::LimitExceeded;

/// The number of bytes that a component may keep.
const CACHE_QUOTA_BYTES: u64 = 16 << 20;

/// Bytes that may disappear, for each component.
pub trait ComponentCache: Send + Sync {
    /// Returns what is stored under a key.
    fn get(&self, component: &str, key: &str) -> Option<Vec<u8>>;

    /// Stores a value for at most `time`. All values of a component have at most `quota` bytes.
    fn put(&self, component: &str, key: &str, value: &[u8], time: Duration, quota: u64);
}

/// Each component has a directory of its own, so that it cannot read or evict another's values.
impl ComponentCache for Home {
    fn get(&self, component: &str, key: &str) -> Option<Vec<u8>> {
        self.byte_cache(&format!("components/{component}"), CACHE_QUOTA_BYTES).get(key)
    }

    fn put(&self, component: &str, key: &str, value: &[u8], time: Duration, quota: u64) {
        self.byte_cache(&format!("components/{component}"), quota).put(key, value, time);
    }
}

impl ComponentCache for NoCapability {
    fn get(&self, _component: &str, _key: &str) -> Option<Vec<u8>> {
        None
    }

    fn put(&self, _component: &str, _key: &str, _value: &[u8], _time: Duration, _quota: u64) {}
}

/// The interface `cache`.
pub(crate) struct CacheImport;

impl Interface for CacheImport {
    const NAME: &'static str = "cache";
    type Capability = dyn ComponentCache;
    type State = ();

    fn initial_state(_setup: &CallSetup<'_>) -> Self::State {}
}

impl HostCall<'_, CacheImport> {
    pub(crate) fn get(&mut self, key: &str) -> Result<Option<Vec<u8>>, LimitExceeded> {
        self.begin_read("get")?;
        Ok(self.capability.get(&self.call.grants.id, key))
    }

    pub(crate) fn put(&mut self, key: &str, value: &[u8], time: Duration) -> Result<(), LimitExceeded> {
        self.begin_request("put")?;
        self.capability.put(&self.call.grants.id, key, value, time, CACHE_QUOTA_BYTES);
        Ok(())
    }
}

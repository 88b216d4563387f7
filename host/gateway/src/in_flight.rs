//! How many requests each account answers now.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// The open requests, by account.
#[derive(Debug, Default)]
pub(crate) struct InFlight(Mutex<HashMap<String, usize>>);

impl InFlight {
    pub(crate) fn count(&self, account: &str) -> usize {
        self.0.lock().get(account).copied().unwrap_or_default()
    }
}

/// A request that an account answers, until it is dropped.
#[derive(Debug)]
pub(crate) struct InFlightGuard {
    busy: Arc<InFlight>,
    account: String,
}

impl InFlightGuard {
    pub(crate) fn begin(busy: &Arc<InFlight>, account: &str) -> Self {
        *busy.0.lock().entry(account.to_owned()).or_default() += 1;
        Self { busy: busy.clone(), account: account.to_owned() }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        let mut all = self.busy.0.lock();
        if let Some(count) = all.get_mut(&self.account) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                all.remove(&self.account);
            }
        }
    }
}

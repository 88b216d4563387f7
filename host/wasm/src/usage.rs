//! The memory that the guest of one call holds, in all its instances.

use wasmtime::ResourceLimiter;

use crate::budget::LimitExceeded;
use crate::limits::CallLimits;

/// Counts linear memory and table entries over the whole store, because a component may have dozens of memories,
/// each as large as the limit for one.
#[derive(Debug)]
pub(crate) struct Usage {
    limits: CallLimits,
    bytes: usize,
}

impl Usage {
    pub(crate) fn new(limits: CallLimits) -> Self {
        Self { limits, bytes: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize, size: usize) -> Result<bool, LimitExceeded> {
        let bytes = desired.saturating_sub(current).saturating_mul(size).saturating_add(self.bytes);
        if bytes > self.limits.memory {
            return Err(LimitExceeded(format!("wanted more than {} MiB of memory", self.limits.memory >> 20)));
        }
        self.bytes = bytes;
        Ok(true)
    }
}

/// An error from these functions ends the call, because the behavior of a guest after a refused growth is
/// unreliable.
impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, 1)?)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> wasmtime::Result<bool> {
        if desired > self.limits.table_elements {
            return Err(
                LimitExceeded(format!("wanted a table of more than {} entries", self.limits.table_elements)).into()
            );
        }
        Ok(self.grow(current, desired, size_of::<usize>())?)
    }

    fn instances(&self) -> usize {
        self.limits.instances
    }

    fn tables(&self) -> usize {
        self.limits.instances
    }

    fn memories(&self) -> usize {
        self.limits.instances
    }
}

//! An empty WASI: no files, no variables, no arguments, no network; output is discarded. Only a component that was
//! granted `clock` sees the real time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_core::unix_millis;
use aiw_extensions::CapabilityKind;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxBuilder};

use super::Clock;
use crate::call::ComponentGrants;

pub(crate) fn empty_context(keys: &ComponentGrants, clock: &Arc<dyn Clock>) -> WasiCtx {
    let granted = keys.is_allowed(CapabilityKind::Imports, "clock");
    let wall = Wall(granted.then(|| clock.clone()));
    WasiCtxBuilder::new().wall_clock(wall).monotonic_clock(Coarse(Instant::now())).build()
}

/// The user's time, or the first moment of 1970.
struct Wall(Option<Arc<dyn Clock>>);

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.as_ref().map_or(0, |clock| unix_millis(clock.now())))
    }
}

/// The time since the call began, in steps too coarse to measure anything.
struct Coarse(Instant);

const CLOCK_GRANULARITY: Duration = Duration::from_millis(10);

impl HostMonotonicClock for Coarse {
    fn resolution(&self) -> u64 {
        u64::try_from(CLOCK_GRANULARITY.as_nanos()).unwrap_or(u64::MAX)
    }

    fn now(&self) -> u64 {
        let steps = self.0.elapsed().as_nanos() / CLOCK_GRANULARITY.as_nanos();
        u64::try_from(steps * CLOCK_GRANULARITY.as_nanos()).unwrap_or(u64::MAX)
    }
}

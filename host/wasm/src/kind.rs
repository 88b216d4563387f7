//! The table of the kinds of components.

use aiw_extensions::World;
use wasmtime::component::InstancePre;

use crate::call::CallState;
use crate::limits::CallLimits;
use crate::{market_source, provider};

/// A kind of component: what one of its calls may use, and what it must export.
pub(crate) struct Kind {
    pub(crate) world: World,
    pub(crate) limits: CallLimits,
    /// Fails if an exported function is missing.
    pub(crate) check_exports: fn(&InstancePre<CallState>) -> wasmtime::Result<()>,
}

/// All kinds.
pub(crate) static KINDS: [&Kind; 2] = [&market_source::KIND, &provider::KIND];

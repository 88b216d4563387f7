//! The table of the kinds of components.

use aiw_extensions::World;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

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

/// The exported functions of an instance, as one kind of component.
pub(crate) trait Guest: Sized {
    const KIND: &'static Kind;

    fn load(pre: &InstancePre<CallState>, instance: &Instance, store: &mut Store<CallState>) -> wasmtime::Result<Self>;
}

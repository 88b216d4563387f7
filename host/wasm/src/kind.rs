//! Kinds of components.

use aiw_extensions::World;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::host::CallState;
use crate::limits::CallLimits;

/// A kind of component, and what one of its calls may use.
pub(crate) struct Kind {
    pub(crate) world: World,
    pub(crate) limits: CallLimits,
}

/// The exported functions of an instance, as one kind of component.
pub(crate) trait Guest: Sized {
    const KIND: &'static Kind;

    fn load(pre: &InstancePre<CallState>, instance: &Instance, store: &mut Store<CallState>) -> wasmtime::Result<Self>;
}

//! Kinds of components.

use aiw_extensions::World;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::host::CallState;

/// The exported functions of an instance, as one kind of component.
pub(crate) trait Guest: Sized {
    const WORLD: World;

    fn load(pre: &InstancePre<CallState>, instance: &Instance, store: &mut Store<CallState>) -> wasmtime::Result<Self>;
}

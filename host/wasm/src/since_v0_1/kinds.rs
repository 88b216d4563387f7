//! The kinds of components, each with the interface that it exports.

use aiw_extensions::World;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::generated::exports::aiw::plugin as exports;
use crate::host::CallState;
use crate::kind;

macro_rules! kinds {
    ($($interface:ident is $world:ident),*) => {
        $(impl kind::Guest for super::$interface::Guest {
            const WORLD: World = World::$world;

            fn load(
                pre: &InstancePre<CallState>,
                instance: &Instance,
                store: &mut Store<CallState>,
            ) -> wasmtime::Result<Self> {
                exports::$interface::GuestIndices::new(pre)?.load(store, instance).map(Self)
            }
        })*

        /// Fails if a function that a kind of component exports is missing.
        pub(crate) fn check_exports(kind: World, pre: &InstancePre<CallState>) -> wasmtime::Result<()> {
            match kind {
                $(World::$world => exports::$interface::GuestIndices::new(pre).map(drop),)*
            }
        }
    };
}

kinds!(market_source is MarketSource, provider is Provider, registry_source is RegistrySource);

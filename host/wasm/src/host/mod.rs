//! The interfaces that the host offers to components, a file each.
//!
//! A file has the trait that does the work (the capability), what one call may use and has used of it, and its rules. The
//! capability crates provide the real implementations; tests bring their own.

mod cache;
mod clock;
mod embeddings;
mod http;
mod interface;
mod log;
mod mcp;
mod settings;
mod task_starts;
mod tasks;
mod trees;
mod vectors;
mod wasi;

use std::sync::Arc;

use aiw_extensions::{CapabilityKind, World};
use wasmtime::component::Linker;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub use self::cache::ComponentCache;
pub use self::clock::{Clock, SystemClock};
pub use self::embeddings::Embeddings;
pub use self::http::Http;
pub use self::log::{ComponentLog, LogLevel};
pub use self::mcp::{Mcp, McpResult, McpTool};
pub use self::settings::SettingsSource;
pub use self::task_starts::{TaskRequest, TaskStartCapability};
pub use self::tasks::{ComponentTask, TaskCapability};
pub use self::trees::{TreeCapability, TreeOrigin};
pub use self::vectors::{Collection, Vectors};

pub(crate) use self::cache::CacheImport;
pub(crate) use self::clock::ClockImport;
pub(crate) use self::embeddings::EmbeddingsImport;
pub(crate) use self::http::{ComponentRequest, HttpImport};
pub use self::interface::NoCapability;
pub(crate) use self::interface::{CallSetup, HostCall, HostError, HostResult, Interface, LinkerData};
pub(crate) use self::log::LogImport;
pub(crate) use self::mcp::McpImport;
pub(crate) use self::settings::SettingsImport;
pub(crate) use self::task_starts::TaskStartsImport;
pub(crate) use self::tasks::TasksImport;
pub(crate) use self::trees::TreesImport;
pub(crate) use self::vectors::VectorsImport;

use crate::budget::Purpose;
use crate::call::{ComponentCall, ComponentGrants};
use crate::limits::CallLimits;
use crate::reach::CallPermissions;
use crate::since_v0_1::interfaces as since_v0_1;
use crate::usage::Usage;

/// Makes the types that have a field for each interface. A line is the interface's name, as a field, its type, and its
/// capability.
macro_rules! interfaces {
    ($($name:ident: $interface:ident = $capability:ident,)*) => {
        /// The capabilities of all interfaces.
        #[derive(Clone)]
        pub struct Capabilities {
            $(#[doc = concat!("For the interface `", stringify!($name), "`.")] pub $name: Arc<dyn $capability>,)*
        }

        impl Capabilities {
            /// Returns capabilities that refuse everything and know nothing, to begin with.
            pub fn deny_all() -> Self {
                Self { $($name: Arc::new(NoCapability),)* }
            }
        }

        /// The states of all interfaces in one call.
        pub(crate) struct InterfaceStates {
            $($name: <$interface as Interface>::State,)*
        }

        impl InterfaceStates {
            fn new(setup: &CallSetup<'_>) -> Self {
                Self { $($name: $interface::initial_state(setup),)* }
            }
        }

        /// Links the interfaces that a component imports.
        pub(crate) fn link(linker: &mut Linker<CallState>, imports: &[String]) -> wasmtime::Result<()> {
            $(if imports.iter().any(|name| name == $interface::NAME) {
                since_v0_1::$name::add_to_linker::<_, LinkerData<$interface>>(linker, |state| HostCall {
                    call: &mut state.call,
                    state: &mut state.states.$name,
                    capability: &state.capabilities.$name,
                    plan_functions,
                })?;
            })*
            // The types that the others share.
            since_v0_1::types::add_to_linker::<_, LinkerData<LogImport>>(linker, |state| HostCall {
                call: &mut state.call,
                state: &mut state.states.log,
                capability: &state.capabilities.log,
                plan_functions,
            })
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$($interface::NAME),*];

        /// Returns the functions that a plan may call besides those of `log`, as the end of a list.
        fn plan_functions() -> String {
            let mut list = String::new();
            $(for function in $interface::PLAN_FUNCTIONS {
                list.push_str(&format!(", `{}.{function}`", $interface::NAME));
            })*
            list
        }
    };
}

interfaces! {
    http: HttpImport = Http,
    trees: TreesImport = TreeCapability,
    cache: CacheImport = ComponentCache,
    settings: SettingsImport = SettingsSource,
    log: LogImport = ComponentLog,
    clock: ClockImport = Clock,
    tasks: TasksImport = TaskCapability,
    task_starts: TaskStartsImport = TaskStartCapability,
    embeddings: EmbeddingsImport = Embeddings,
    vectors: VectorsImport = Vectors,
    mcp: McpImport = Mcp,
}

impl InterfaceStates {
    /// Returns the last line that the guest logged as an error.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.log.last_error.as_deref()
    }
}

/// The state of one call, which wasmtime keeps in its store.
pub(crate) struct CallState {
    pub(crate) call: ComponentCall,
    pub(crate) usage: Usage,
    pub(crate) states: InterfaceStates,
    capabilities: Capabilities,
    wasi: Option<WasiCtx>,
}

impl CallState {
    pub(crate) fn new(
        world: World,
        limits: CallLimits,
        keys: ComponentGrants,
        capabilities: Capabilities,
        reach: &CallPermissions,
        purpose: Purpose,
    ) -> Self {
        let settings = keys.effective_values(CapabilityKind::Settings);
        let set = settings.iter().filter_map(|key| capabilities.settings.get(&keys.id, key));
        let typed = set.chain(reach.urls.iter().cloned()).collect();
        let states = InterfaceStates::new(&CallSetup { grants: &keys, user_urls: typed, permissions: reach });
        let call = ComponentCall::new(world, limits, keys, purpose, reach.budget.clone());
        Self { call, usage: Usage::new(limits), states, capabilities, wasi: None }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let (keys, clock) = (&self.call.grants, &self.capabilities.clock);
        let ctx = self.wasi.get_or_insert_with(|| wasi::empty_context(keys, clock));
        WasiCtxView { ctx, table: &mut self.call.table }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_interfaces_that_components_may_import() {
        let mut names: Vec<&str> = NAMES.iter().copied().chain(["types"]).collect();
        let mut known: Vec<&str> = aiw_extensions::INTERFACES.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        known.sort_unstable();
        assert_eq!(names, known);
        for world in World::ALL {
            assert!(world.imports().iter().all(|import| NAMES.contains(import)), "{}", world.as_str());
        }
    }
}

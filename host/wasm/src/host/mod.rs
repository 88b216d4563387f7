//! The interfaces that the host offers to components, a file each.
//!
//! A file has the trait that does the work (the capability), what one call may use and has used of it, and its rules. The
//! capability crates provide the real implementations; tests bring their own.

mod cache;
mod clock;
mod embeddings;
mod http;
mod log;
mod mcp;
mod settings;
mod task_starts;
mod tasks;
mod trees;
mod vectors;
mod wasi;

use std::marker::PhantomData;
use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

pub use self::cache::ComponentCache;
pub use self::clock::{Clock, SystemClock};
pub use self::embeddings::Embeddings;
pub use self::http::Http;
pub use self::log::{Log, LogLevel};
pub use self::mcp::{Mcp, McpResult, McpTool};
pub use self::settings::SettingsSource;
pub use self::task_starts::{StartTask, TaskStarts};
pub use self::tasks::{Task, Tasks};
pub use self::trees::{TreeOrigin, Trees};
pub use self::vectors::{Collection, Vectors};

pub(crate) use self::cache::CacheImport;
pub(crate) use self::clock::ClockImport;
pub(crate) use self::embeddings::EmbeddingsImport;
pub(crate) use self::http::{HttpImport, Outgoing};
pub(crate) use self::log::LogImport;
pub(crate) use self::mcp::McpImport;
pub(crate) use self::settings::SettingsImport;
pub(crate) use self::task_starts::TaskStartsImport;
pub(crate) use self::tasks::TasksImport;
pub(crate) use self::trees::TreesImport;
pub(crate) use self::vectors::VectorsImport;
pub(crate) use self::wasi::empty as empty_wasi;

use crate::budget::OverLimit;
use crate::call::{Call, CallState, Keys};
use crate::component::Reach;
use crate::error::{Refusal, Refused};
use crate::since_v0_1::interfaces as since_v0_1;

/// An interface of the host.
pub(crate) trait Interface: 'static {
    /// The name in the contract.
    const NAME: &'static str;
    /// The functions that a plan may call.
    const IN_PLAN: &'static [&'static str] = &[];
    /// The trait that does the work, for all calls.
    type Capability: ?Sized;
    /// What one call may use, and has used so far.
    type State;

    /// The state of a call at its start.
    fn begin(setup: &Setup<'_>) -> Self::State;
}

/// What a call begins with.
pub(crate) struct Setup<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) capabilities: &'a Capabilities,
    pub(crate) reach: &'a Reach,
}

/// An interface within one call. Its functions are methods of this type.
pub(crate) struct Within<'a, I: Interface> {
    pub(crate) call: &'a mut Call,
    pub(crate) state: &'a mut I::State,
    pub(crate) capability: &'a Arc<I::Capability>,
}

impl<I: Interface> Within<'_, I> {
    /// Begins a function that is cheap, such as looking something up.
    fn read(&mut self, function: &str) -> Result<(), OverLimit> {
        self.call.allow::<I>(function)?;
        self.call.charge_read()
    }

    /// Begins a function that costs more than a look, such as a request.
    fn request(&mut self, function: &str) -> Result<(), OverLimit> {
        self.call.allow::<I>(function)?;
        self.call.charge_request()
    }
}

/// The interface `I`, as wasmtime's linker wants it.
pub(crate) struct Of<I>(PhantomData<I>);

impl<I: Interface> HasData for Of<I> {
    type Data<'a> = Within<'a, I>;
}

/// Why a function of the host gives no result.
pub(crate) enum NoResult {
    /// A refusal, which the component is told.
    Refused(Refused),
    /// A limit that the component went beyond, which ends the call.
    Over(OverLimit),
    /// A handle that is none, which ends the call.
    Handle(wasmtime::component::ResourceTableError),
}

impl From<Refused> for NoResult {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<OverLimit> for NoResult {
    fn from(over: OverLimit) -> Self {
        Self::Over(over)
    }
}

impl From<wasmtime::component::ResourceTableError> for NoResult {
    fn from(error: wasmtime::component::ResourceTableError) -> Self {
        Self::Handle(error)
    }
}

/// What a function of the host gives.
pub(crate) type Given<T> = Result<T, NoResult>;

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
            pub fn nothing() -> Self {
                Self { $($name: Arc::new(Nothing),)* }
            }
        }

        /// The states of all interfaces in one call.
        pub(crate) struct States {
            $($name: <$interface as Interface>::State,)*
        }

        impl States {
            pub(crate) fn new(setup: &Setup<'_>) -> Self {
                Self { $($name: $interface::begin(setup),)* }
            }
        }

        /// Links the interfaces that a component imports.
        pub(crate) fn link(linker: &mut Linker<CallState>, imports: &[String]) -> wasmtime::Result<()> {
            $(if imports.iter().any(|name| name == $interface::NAME) {
                since_v0_1::$name::add_to_linker::<_, Of<$interface>>(linker, |state| Within {
                    call: &mut state.call,
                    state: &mut state.states.$name,
                    capability: &state.capabilities.$name,
                })?;
            })*
            // The types that the others share.
            since_v0_1::types::add_to_linker::<_, Of<LogImport>>(linker, |state| Within {
                call: &mut state.call,
                state: &mut state.states.log,
                capability: &state.capabilities.log,
            })
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$($interface::NAME),*];

        /// Returns the functions that a plan may call besides those of `log`, as the end of a list.
        pub(crate) fn in_plan() -> String {
            let mut list = String::new();
            $(for function in $interface::IN_PLAN {
                list.push_str(&format!(", `{}.{function}`", $interface::NAME));
            })*
            list
        }
    };
}

interfaces! {
    http: HttpImport = Http,
    trees: TreesImport = Trees,
    cache: CacheImport = ComponentCache,
    settings: SettingsImport = SettingsSource,
    log: LogImport = Log,
    clock: ClockImport = Clock,
    tasks: TasksImport = Tasks,
    task_starts: TaskStartsImport = TaskStarts,
    embeddings: EmbeddingsImport = Embeddings,
    vectors: VectorsImport = Vectors,
    mcp: McpImport = Mcp,
}

impl States {
    /// Returns the last line that the guest logged as an error.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.log.last_error.as_deref()
    }
}

/// A capability of every interface that refuses everything and knows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Nothing {
    fn refused<T>(what: &str) -> Result<T, Refused> {
        let refusal = Refusal::Unavailable { retry_after: None };
        Err(Refused { refusal, message: format!("there are no {what} here") })
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
        for world in aiw_extensions::World::ALL {
            assert!(world.imports().iter().all(|import| NAMES.contains(import)), "{}", world.as_str());
        }
    }
}

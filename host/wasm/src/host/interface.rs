//! What the interfaces of the host have in common.

use std::marker::PhantomData;
use std::sync::Arc;

use wasmtime::component::{HasData, ResourceTableError};

use crate::budget::OverLimit;
use crate::call::{ComponentCall, GrantKeys};
use crate::error::{CallRejection, ComponentReason};
use crate::reach::Reach;

/// An interface of the host.
pub(crate) trait Interface: 'static {
    /// The name in the contract.
    const NAME: &'static str;
    /// The functions that a plan may call.
    const IN_PLAN: &'static [&'static str] = &[];
    /// The trait that does the work, for all calls.
    type Capability: ?Sized;
    /// The limits of one call, and its use of them so far.
    type State;

    /// The state of a call at its start.
    fn begin(setup: &CallSetup<'_>) -> Self::State;
}

/// The data that a call begins with.
pub(crate) struct CallSetup<'a> {
    pub(crate) keys: &'a GrantKeys,
    /// The addresses that the user typed: in the component's settings, and for this call.
    pub(crate) typed: Vec<String>,
    pub(crate) reach: &'a Reach,
}

/// An interface within one call. Its functions are methods of this type.
pub(crate) struct HostCall<'a, I: Interface> {
    pub(crate) call: &'a mut ComponentCall,
    pub(crate) state: &'a mut I::State,
    pub(crate) capability: &'a Arc<I::Capability>,
    /// The functions that a plan may call, of all interfaces, as the end of a list.
    pub(crate) in_plan: fn() -> String,
}

impl<I: Interface> HostCall<'_, I> {
    /// Checks that the exported function may call this one.
    pub(super) fn allow(&self, function: &str) -> Result<(), OverLimit> {
        self.call.allow(I::NAME, function, I::IN_PLAN, self.in_plan)
    }

    /// Begins a function that is cheap, such as looking something up.
    pub(super) fn read(&mut self, function: &str) -> Result<(), OverLimit> {
        self.allow(function)?;
        self.call.charge_read()
    }

    /// Begins a function that costs more than a look, such as a request.
    pub(super) fn request(&mut self, function: &str) -> Result<(), OverLimit> {
        self.allow(function)?;
        self.call.charge_request()
    }
}

/// The interface `I`, as wasmtime's linker wants it.
pub(crate) struct LinkerData<I>(PhantomData<I>);

impl<I: Interface> HasData for LinkerData<I> {
    type Data<'a> = HostCall<'a, I>;
}

/// Why a function of the host gives no result.
pub(crate) enum NoResult {
    /// A refusal, which the component is told.
    Refused(CallRejection),
    /// A limit that the component went beyond, which ends the call.
    Over(OverLimit),
    /// An invalid handle, which ends the call.
    Handle(ResourceTableError),
}

impl From<CallRejection> for NoResult {
    fn from(refused: CallRejection) -> Self {
        Self::Refused(refused)
    }
}

impl From<OverLimit> for NoResult {
    fn from(over: OverLimit) -> Self {
        Self::Over(over)
    }
}

impl From<ResourceTableError> for NoResult {
    fn from(error: ResourceTableError) -> Self {
        Self::Handle(error)
    }
}

/// The result of a function of the host.
pub(crate) type HostResult<T> = Result<T, NoResult>;

/// A capability of every interface that refuses everything and knows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCapability;

impl NoCapability {
    pub(super) fn refused<T>(what: &str) -> Result<T, CallRejection> {
        let refusal = ComponentReason::Unavailable { retry_after: None };
        Err(CallRejection { refusal, message: format!("there are no {what} here") })
    }
}

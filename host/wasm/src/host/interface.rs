//! What the interfaces of the host have in common.

use std::marker::PhantomData;
use std::sync::Arc;

use wasmtime::component::{HasData, ResourceTableError};

use crate::budget::LimitExceeded;
use crate::call::{ComponentCall, ComponentGrants};
use crate::error::{CallRejection, ComponentReason};
use crate::reach::CallPermissions;

/// An interface of the host.
pub(crate) trait Interface: 'static {
    /// The name in the contract.
    const NAME: &'static str;
    /// The functions that a plan may call.
    const PLAN_FUNCTIONS: &'static [&'static str] = &[];
    /// The trait that does the work, for all calls.
    type Capability: ?Sized;
    /// The limits of one call, and its use of them so far.
    type State;

    /// The state of a call at its start.
    fn initial_state(setup: &CallSetup<'_>) -> Self::State;
}

/// The data that a call begins with.
pub(crate) struct CallSetup<'a> {
    pub(crate) grants: &'a ComponentGrants,
    /// The addresses that the user typed: in the component's settings, and for this call.
    pub(crate) user_urls: Vec<String>,
    pub(crate) permissions: &'a CallPermissions,
}

/// An interface within one call. Its functions are methods of this type.
pub(crate) struct HostCall<'a, I: Interface> {
    pub(crate) call: &'a mut ComponentCall,
    pub(crate) state: &'a mut I::State,
    pub(crate) capability: &'a Arc<I::Capability>,
    /// The functions that a plan may call, of all interfaces, as the end of a list.
    pub(crate) plan_functions: fn() -> String,
}

impl<I: Interface> HostCall<'_, I> {
    /// Checks that the exported function may call this one.
    pub(super) fn check_import(&self, function: &str) -> Result<(), LimitExceeded> {
        self.call.check_import(I::NAME, function, I::PLAN_FUNCTIONS, self.plan_functions)
    }

    /// Begins a function that is cheap, such as looking something up.
    pub(super) fn begin_read(&mut self, function: &str) -> Result<(), LimitExceeded> {
        self.check_import(function)?;
        self.call.charge_read()
    }

    /// Begins a function that costs more than a look, such as a request.
    pub(super) fn begin_request(&mut self, function: &str) -> Result<(), LimitExceeded> {
        self.check_import(function)?;
        self.call.charge_request()
    }
}

/// The interface `I`, as wasmtime's linker wants it.
pub(crate) struct LinkerData<I>(PhantomData<I>);

impl<I: Interface> HasData for LinkerData<I> {
    type Data<'a> = HostCall<'a, I>;
}

/// Why a function of the host gives no result.
pub(crate) enum HostError {
    /// A refusal, which the component is told.
    Rejected(CallRejection),
    /// A limit that the component went beyond, which ends the call.
    LimitExceeded(LimitExceeded),
    /// An invalid handle, which ends the call.
    InvalidHandle(ResourceTableError),
}

impl From<CallRejection> for HostError {
    fn from(refused: CallRejection) -> Self {
        Self::Rejected(refused)
    }
}

impl From<LimitExceeded> for HostError {
    fn from(over: LimitExceeded) -> Self {
        Self::LimitExceeded(over)
    }
}

impl From<ResourceTableError> for HostError {
    fn from(error: ResourceTableError) -> Self {
        Self::InvalidHandle(error)
    }
}

/// The result of a function of the host.
pub(crate) type HostResult<T> = Result<T, HostError>;

/// A capability of every interface that refuses everything and knows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCapability;

impl NoCapability {
    pub(super) fn reject<T>(what: &str) -> Result<T, CallRejection> {
        let refusal = ComponentReason::Unavailable { retry_after: None };
        Err(CallRejection { reason: refusal, message: format!("there are no {what} here") })
    }
}

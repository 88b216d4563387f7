//! The host side of a call: its state, its budget, and one file an interface.

mod cache;
mod clock;
mod http;
mod log;
mod settings;
mod tasks;
mod trees;

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_extensions::Grants;
use aiw_net::{HostPattern, NetError, Policy};
use wasmtime::component::ResourceTable;
use wasmtime::{StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::bindings::v0_1::aiw::plugin::types;
use crate::capabilities::Capabilities;
use crate::component::{BoundSecret, Purpose};
use crate::error::{CallError, Refusal};
use crate::limits;

/// A limit of a call that is over. The text is the end of a sentence.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct OverLimit(pub String);

/// Whose call it is, and what it may do.
pub(crate) struct Call {
    pub(crate) id: Arc<str>,
    pub(crate) wanted: Arc<Grants>,
    pub(crate) granted: Arc<Grants>,
    pub(crate) capabilities: Capabilities,
    pub(crate) http: Policy,
    pub(crate) trees: Policy,
    pub(crate) secrets: BTreeMap<String, BoundSecret>,
    pub(crate) purpose: Purpose,
}

/// What one call has.
pub(crate) struct State {
    pub(crate) table: ResourceTable,
    pub(crate) limits: StoreLimits,
    wasi: Option<WasiCtx>,
    call: Call,
    ticks: u128,
    /// A host function was slow since the last tick: the tick is not the guest's.
    waited: bool,
    requests: u32,
    reads: u32,
    starts: u32,
    logged: usize,
    last_error: Option<String>,
}

impl State {
    pub(crate) fn new(call: Call) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES);
        let limits = StoreLimitsBuilder::new()
            .memory_size(limits::MEMORY)
            .table_elements(limits::TABLE_ELEMENTS)
            .instances(limits::INSTANCES)
            .tables(limits::INSTANCES)
            .memories(limits::INSTANCES)
            .trap_on_grow_failure(true)
            .build();
        Self {
            table,
            limits,
            wasi: None,
            call,
            ticks: 0,
            waited: false,
            requests: 0,
            reads: 0,
            starts: 0,
            logged: 0,
            last_error: None,
        }
    }

    /// One epoch tick passed while the guest ran.
    pub(crate) fn charge_tick(&mut self) -> Result<(), OverLimit> {
        if std::mem::take(&mut self.waited) {
            return Ok(());
        }
        self.ticks += 1;
        if self.ticks > limits::GUEST_CPU.as_millis() / limits::EPOCH_TICK.as_millis() {
            return Err(OverLimit(format!(
                "ran for {} s without an answer and was stopped",
                limits::GUEST_CPU.as_secs()
            )));
        }
        Ok(())
    }

    /// Only a wait of a tick or more excuses a tick: many short host calls do not.
    async fn waiting<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let start = std::time::Instant::now();
        let result = wait.await;
        self.waited |= start.elapsed() >= limits::EPOCH_TICK;
        result
    }

    fn charge_request(&mut self) -> Result<(), OverLimit> {
        self.requests += 1;
        if self.requests > limits::HOST_REQUESTS {
            return Err(OverLimit(format!("asked for more than {} requests in one call", limits::HOST_REQUESTS)));
        }
        Ok(())
    }

    fn charge_read(&mut self) -> Result<(), OverLimit> {
        self.reads += 1;
        if self.reads > limits::TREE_READS {
            return Err(OverLimit(format!("read more than {} times in one call", limits::TREE_READS)));
        }
        Ok(())
    }

    fn charge_start(&mut self) -> Result<(), OverLimit> {
        self.starts += 1;
        if self.starts > limits::TASK_STARTS {
            return Err(OverLimit(format!("started more than {} tasks in one call", limits::TASK_STARTS)));
        }
        Ok(())
    }

    /// A launch plan is made before every start: it asks nobody and starts nothing.
    fn refuse_in_plan(&self, what: &str) -> Result<(), types::Error> {
        match self.call.purpose {
            Purpose::Answer => Ok(()),
            Purpose::Plan => {
                let id = &self.call.id;
                Err(types::Error::Denied(format!("component `{id}` may not {what} while it makes a launch plan")))
            }
        }
    }

    /// The last line that the guest logged as an error.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Why a host or origin may not be reached, naming both keys and the command that grants.
    fn refused(&self, kind: &str, what: &str, covers: impl Fn(&str) -> bool) -> Option<types::Error> {
        let id = &self.call.id;
        let allows = |grants: &Grants| grants.values(kind).iter().any(|value| covers(value));
        let message = match (allows(&self.call.wanted), allows(&self.call.granted)) {
            (true, true) => return None,
            (true, false) => format!(
                "component `{id}` may not reach `{what}`: its manifest names it, but it was not agreed to; run `aiw extension update {id} --accept-changes`"
            ),
            (false, _) => {
                format!("component `{id}` may not reach `{what}`: its manifest does not name it under `{kind}`")
            }
        };
        Some(types::Error::Denied(message))
    }

    /// The two keys for a host.
    fn check_host(&self, policy: &Policy, kind: &str, url: &str) -> Option<types::Error> {
        let (host, port) = aiw_net::host_and_port(url)?;
        if policy.granted.contains(&(host.clone(), port)) {
            return None;
        }
        // A pattern without a port means the port of the scheme.
        let default_port = match url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("https") => 443,
            Some("http") => 80,
            _ => 22,
        };
        let what = if port == default_port { host.clone() } else { format!("{host}:{port}") };
        self.refused(kind, &what, |pattern| {
            let pattern = if kind == "origins" { pattern.strip_prefix("git:") } else { Some(pattern) };
            pattern.and_then(|p| HostPattern::parse(p).ok()).is_some_and(|p| p.matches(&host, port, default_port))
        })
    }
}

impl WasiView for State {
    /// Empty: no files, no variables, no arguments, no network; output goes nowhere.
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let ctx = self.wasi.get_or_insert_with(|| WasiCtxBuilder::new().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl types::Host for State {}

/// A capability's error in the contract's words.
fn to_wit(error: NetError) -> types::Error {
    let message = error.to_string();
    match error {
        NetError::Invalid { .. } | NetError::TooLarge { .. } => types::Error::Invalid(message),
        NetError::NotFound { .. } => types::Error::NotFound(message),
        NetError::Denied { .. } => types::Error::Denied(message),
        NetError::Unavailable { retry_after, .. } => {
            types::Error::Unavailable(types::Unavailability { message, retry_after })
        }
        NetError::Cancelled => types::Error::Unavailable(types::Unavailability { message, retry_after: None }),
        NetError::Malformed { .. } => types::Error::Malformed(message),
    }
}

/// A component's error in the host's words.
pub(crate) fn refusal(error: types::Error) -> CallError {
    let (refusal, message) = match error {
        types::Error::Invalid(message) => (Refusal::Invalid, message),
        types::Error::NotFound(message) => (Refusal::NotFound, message),
        types::Error::Denied(message) => (Refusal::Denied, message),
        types::Error::Unavailable(far) => (Refusal::Unavailable { retry_after: far.retry_after }, far.message),
        types::Error::Malformed(message) => (Refusal::Malformed, message),
    };
    CallError::Refused { refusal, message: aiw_core::one_line(&message, 500) }
}

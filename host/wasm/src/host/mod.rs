//! The host side of a call: its state, its budget, and one file for each interface.

mod cache;
mod clock;
mod embeddings;
mod http;
mod log;
mod mcp;
mod settings;
mod tasks;
mod trees;
mod usage;
mod vectors;
mod wasi;

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_extensions::{CapabilityKind, Grants};
use aiw_net::{Denier, HostPattern, NetError, Policy};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::bindings::v0_1::aiw::plugin::types;
use crate::budget::{BoundSecret, Budget, OverLimit, Purpose};
use crate::capabilities::{Capabilities, Refused};
use crate::error::{CallError, Refusal};
use crate::limits::{self, Limits};

/// One call: the component that it belongs to, and what it may do.
pub(crate) struct Call {
    pub(crate) id: Arc<str>,
    pub(crate) wanted: Arc<Grants>,
    pub(crate) granted: Arc<Grants>,
    pub(crate) capabilities: Capabilities,
    pub(crate) http: Policy,
    pub(crate) trees: Policy,
    pub(crate) secrets: BTreeMap<String, BoundSecret>,
    pub(crate) purpose: Purpose,
    pub(crate) budget: Option<Arc<Budget>>,
    pub(crate) limits: &'static Limits,
}

/// The state of one call.
pub(crate) struct CallState {
    pub(crate) table: ResourceTable,
    pub(crate) usage: usage::Usage,
    wasi: Option<WasiCtx>,
    call: Call,
    ticks: u128,
    /// Whether a host function was slow since the last tick. Then the tick is not charged to the guest.
    waited: bool,
    requests: u32,
    reads: u32,
    starts: u32,
    embedded: usize,
    logged: usize,
    last_error: Option<String>,
}

impl CallState {
    pub(crate) fn new(call: Call) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(call.limits.handles);
        Self {
            table,
            usage: usage::Usage::new(call.limits),
            wasi: None,
            call,
            ticks: 0,
            waited: false,
            requests: 0,
            reads: 0,
            starts: 0,
            embedded: 0,
            logged: 0,
            last_error: None,
        }
    }

    /// Charges one epoch tick that passed while the guest ran.
    pub(crate) fn charge_tick(&mut self) -> Result<(), OverLimit> {
        if std::mem::take(&mut self.waited) {
            return Ok(());
        }
        self.ticks += 1;
        if let Some(budget) = &self.call.budget {
            budget.charge_guest(limits::EPOCH_TICK)?;
        }
        if self.ticks > self.call.limits.guest_cpu.as_millis() / limits::EPOCH_TICK.as_millis() {
            return Err(OverLimit(format!(
                "ran for {} s without an answer and was stopped",
                self.call.limits.guest_cpu.as_secs()
            )));
        }
        Ok(())
    }

    /// Waits for a host function. Only a wait of a tick or more excuses a tick; many short host calls do not.
    async fn waiting<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let start = std::time::Instant::now();
        let result = wait.await;
        self.waited |= start.elapsed() >= limits::EPOCH_TICK;
        result
    }

    fn charge_request(&mut self) -> Result<(), OverLimit> {
        self.requests += 1;
        if self.requests > self.call.limits.requests {
            return Err(OverLimit(format!("asked for more than {} requests in one call", self.call.limits.requests)));
        }
        Ok(())
    }

    fn charge_read(&mut self) -> Result<(), OverLimit> {
        self.reads += 1;
        if self.reads > self.call.limits.reads {
            return Err(OverLimit(format!("read more than {} times in one call", self.call.limits.reads)));
        }
        Ok(())
    }

    fn charge_start(&mut self) -> Result<(), OverLimit> {
        self.starts += 1;
        if self.starts > self.call.limits.task_starts {
            return Err(OverLimit(format!("started more than {} tasks in one call", self.call.limits.task_starts)));
        }
        Ok(())
    }

    /// Checks that the exported function may call `function`. An exported function that answers without the host
    /// may call almost nothing, so its input reaches nobody. A forbidden call ends the whole call.
    fn allow(&self, function: &str) -> Result<(), OverLimit> {
        let (exported, allowed) = match self.call.purpose {
            Purpose::Answer => return Ok(()),
            Purpose::Pure(exported) => (exported, &[][..]),
            Purpose::Plan => ("plan", &["settings.get", "tasks.list", "tasks.get"][..]),
        };
        if allowed.contains(&function) {
            return Ok(());
        }
        let may: Vec<String> = ["log"].iter().chain(allowed).map(|name| format!("`{name}`")).collect();
        Err(OverLimit(format!("called `{function}` in `{exported}`, where it may call only {}", may.join(", "))))
    }

    /// Returns the last line that the guest logged as an error.
    pub(crate) fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }

    /// Explains why a host or origin may not be reached. The message names the missing part and the command to
    /// agree.
    fn refused(&self, kind: CapabilityKind, what: &str, covers: impl Fn(&str) -> bool) -> Option<types::Error> {
        self.both_keys(kind, &format!("reach `{what}`"), covers).err()
    }

    /// Checks that the component names something and the user agreed to it. `covers` decides whether a value names
    /// it; `to` says what the component may not do.
    fn both_keys(&self, kind: CapabilityKind, to: &str, covers: impl Fn(&str) -> bool) -> Result<(), types::Error> {
        let id = &self.call.id;
        let allows = |grants: &Grants| grants.values(kind).iter().any(|value| covers(value));
        let message = match (allows(&self.call.wanted), allows(&self.call.granted)) {
            (true, true) => return Ok(()),
            (true, false) => format!(
                "component `{id}` may not {to}: its manifest names it, but you did not agree to it; run `aiw extension update {id} --accept-changes`"
            ),
            (false, _) => {
                format!("component `{id}` may not {to}: its manifest does not name it under `{}`", kind.as_str())
            }
        };
        Err(types::Error::Denied(message))
    }

    /// Converts a capability's error, and says how the user grants an address that is not public.
    fn to_wit(&self, error: NetError) -> types::Error {
        let not_public = matches!(error, NetError::Denied { by: Denier::NotPublic, .. });
        let mut error = to_wit(error);
        if let types::Error::Denied(message) = &mut error
            && not_public
            && let Some(setting) = self.call.wanted.values(CapabilityKind::Settings).first()
        {
            let id = &self.call.id;
            message.push_str(&format!("; one that you set in settings.json as `sources.{id}.{setting}` is allowed"));
        }
        error
    }

    /// Checks that the component names a host and the user agreed to it.
    fn check_host(&self, policy: &Policy, kind: CapabilityKind, url: &str) -> Option<types::Error> {
        let (host, port) = aiw_net::host_and_port(url)?;
        if policy.granted.contains(&(host.clone(), port)) {
            return None;
        }
        // A pattern without a port means the default port of the scheme.
        let default_port = match url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("https") => 443,
            Some("http") => 80,
            _ => 22,
        };
        if policy.declares(&host, port, default_port) {
            return None;
        }
        let what = if port == default_port { host.clone() } else { format!("{host}:{port}") };
        self.refused(kind, &what, |pattern| {
            let pattern = if kind == CapabilityKind::Origins { pattern.strip_prefix("git:") } else { Some(pattern) };
            pattern.and_then(|p| HostPattern::parse(p).ok()).is_some_and(|p| p.matches(&host, port, default_port))
        })
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let call = &self.call;
        let ctx = self.wasi.get_or_insert_with(|| wasi::empty(call));
        WasiCtxView { ctx, table: &mut self.table }
    }
}

impl types::Host for CallState {}

/// Converts a capability's error to an error of the contract.
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

/// Converts the refusal of a capability to an error of the contract.
fn refused(e: Refused) -> types::Error {
    let message = e.message;
    match e.refusal {
        Refusal::Invalid => types::Error::Invalid(message),
        Refusal::NotFound => types::Error::NotFound(message),
        Refusal::Denied => types::Error::Denied(message),
        Refusal::Unavailable { retry_after } => {
            types::Error::Unavailable(types::Unavailability { message, retry_after })
        }
        Refusal::Malformed => types::Error::Malformed(message),
    }
}

/// Converts a component's error to an error of the host.
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

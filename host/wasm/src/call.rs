//! One call of a component: whose it is, what it may do, and what it has used so far.

use std::sync::Arc;
use std::time::Instant;

use aiw_extensions::{CapabilityKind, Grants, World};
use aiw_net::{DeniedBy, HostPattern, NetError, Policy};
use wasmtime::component::ResourceTable;

use crate::budget::{CallBudget, LimitExceeded, Purpose};
use crate::error::{CallRejection, ComponentReason};
use crate::limits::{self, CallLimits};

/// A component's id, and the two keys to what it may do: what it asks for, and what the user agreed to.
#[derive(Clone)]
pub(crate) struct ComponentGrants {
    pub(crate) id: Arc<str>,
    pub(crate) requested: Arc<Grants>,
    pub(crate) granted: Arc<Grants>,
}

impl ComponentGrants {
    /// Returns the values that the component asks for and the user agreed to.
    pub(crate) fn effective_values(&self, kind: CapabilityKind) -> Vec<String> {
        let granted = self.granted.values(kind);
        self.requested.values(kind).into_iter().filter(|value| granted.contains(value)).collect()
    }

    /// Returns whether the component asks for a value and the user agreed to it.
    pub(crate) fn is_allowed(&self, kind: CapabilityKind, value: &str) -> bool {
        self.requested.allows(kind, value) && self.granted.allows(kind, value)
    }

    /// Checks that the component names something and the user agreed to it. `covers` decides whether a value names
    /// it; `to` says what the component may not do. The message names the missing key and the command to agree.
    pub(crate) fn check(
        &self,
        kind: CapabilityKind,
        to: &str,
        covers: impl Fn(&str) -> bool,
    ) -> Result<(), CallRejection> {
        let id = &self.id;
        let allows = |grants: &Grants| grants.values(kind).iter().any(|value| covers(value));
        let message = match (allows(&self.requested), allows(&self.granted)) {
            (true, true) => return Ok(()),
            (true, false) => format!(
                "component `{id}` may not {to}: its manifest names it, but you did not agree to it; run `aiw extension update {id} --accept-changes`"
            ),
            (false, _) => {
                format!("component `{id}` may not {to}: its manifest does not name it under `{}`", kind.as_str())
            }
        };
        Err(CallRejection { reason: ComponentReason::Denied, message })
    }

    /// Checks that the component names the host of a URL and the user agreed to it, unless the user typed its address.
    pub(crate) fn check_host(&self, policy: &Policy, kind: CapabilityKind, url: &str) -> Result<(), CallRejection> {
        let Some((host, port)) = aiw_net::host_and_port(url) else { return Ok(()) };
        if policy.granted.contains(&(host.clone(), port)) {
            return Ok(());
        }
        // A pattern without a port means the default port of the scheme.
        let default_port = match url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).as_deref() {
            Some("https") => 443,
            Some("http") => 80,
            _ => 22,
        };
        if policy.is_declared_host(&host, port, default_port) {
            return Ok(());
        }
        let what = if port == default_port { host.clone() } else { format!("{host}:{port}") };
        self.check(kind, &format!("reach `{what}`"), |pattern| {
            let pattern = if kind == CapabilityKind::Origins { pattern.strip_prefix("git:") } else { Some(pattern) };
            pattern.and_then(|p| HostPattern::parse(p).ok()).is_some_and(|p| p.matches(&host, port, default_port))
        })
    }

    /// Converts an error of the network, and says how the user grants an address that is not public.
    pub(crate) fn rejection_for(&self, error: NetError) -> CallRejection {
        let not_public = matches!(error, NetError::Denied { by: DeniedBy::NotPublic, .. });
        let mut refused = CallRejection::from(error);
        if not_public && let Some(setting) = self.requested.values(CapabilityKind::Settings).first() {
            let hint = format!("; one that you set in settings.json as `sources.{}.{setting}` is allowed", self.id);
            refused.message.push_str(&hint);
        }
        refused
    }
}

/// The facts about a call that every interface needs, and the counters that they share.
pub(crate) struct ComponentCall {
    pub(crate) grants: ComponentGrants,
    pub(crate) table: ResourceTable,
    world: World,
    limits: CallLimits,
    purpose: Purpose,
    budget: Option<Arc<CallBudget>>,
    ticks: u128,
    /// Whether a host function was slow since the last tick. Then the tick is not charged to the guest.
    waited: bool,
    requests: u32,
    reads: u32,
}

impl ComponentCall {
    pub(crate) fn new(
        world: World,
        limits: CallLimits,
        keys: ComponentGrants,
        purpose: Purpose,
        budget: Option<Arc<CallBudget>>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.handles);
        Self { grants: keys, table, world, limits, purpose, budget, ticks: 0, waited: false, requests: 0, reads: 0 }
    }

    pub(crate) fn limits(&self) -> &CallLimits {
        &self.limits
    }

    /// Charges one epoch tick that passed while the guest ran.
    pub(crate) fn charge_tick(&mut self) -> Result<(), LimitExceeded> {
        if std::mem::take(&mut self.waited) {
            return Ok(());
        }
        self.ticks += 1;
        if let Some(budget) = &self.budget {
            budget.charge_guest(limits::EPOCH_TICK)?;
        }
        let limit = self.limits().guest_cpu;
        if self.ticks > limit.as_millis() / limits::EPOCH_TICK.as_millis() {
            return Err(LimitExceeded(format!("ran for {} s without an answer and was stopped", limit.as_secs())));
        }
        Ok(())
    }

    /// Waits for a host function. Only a wait of a tick or more excuses a tick; many short host calls do not.
    pub(crate) async fn track_wait<T>(&mut self, wait: impl Future<Output = T>) -> T {
        let start = Instant::now();
        let result = wait.await;
        self.waited |= start.elapsed() >= limits::EPOCH_TICK;
        result
    }

    pub(crate) fn charge_request(&mut self) -> Result<(), LimitExceeded> {
        self.requests += 1;
        let limit = self.limits().requests;
        if self.requests > limit {
            return Err(LimitExceeded(format!("asked for more than {limit} requests in one call")));
        }
        self.budget.as_ref().map_or(Ok(()), |budget| budget.charge_request())
    }

    /// Charges the bytes of an answer over HTTP.
    pub(crate) fn charge_bytes(&self, bytes: usize) -> Result<(), LimitExceeded> {
        self.budget.as_ref().map_or(Ok(()), |budget| budget.charge_bytes(bytes))
    }

    pub(crate) fn charge_read(&mut self) -> Result<(), LimitExceeded> {
        self.reads += 1;
        let limit = self.limits().reads;
        if self.reads > limit {
            return Err(LimitExceeded(format!("read more than {limit} times in one call")));
        }
        Ok(())
    }

    /// Checks that the exported function may call `function` of an interface. An exported function that answers
    /// without the host may call almost nothing, so its input reaches nobody. A forbidden call ends the whole call.
    /// `in_plan` are the functions of this interface that a plan may call, `all_in_plan` those of all.
    pub(crate) fn check_import(
        &self,
        interface: &str,
        function: &str,
        in_plan: &[&str],
        all_in_plan: fn() -> String,
    ) -> Result<(), LimitExceeded> {
        let (world, called) = (self.world, || format!("`{interface}.{function}`"));
        if !world.imports().contains(&interface) {
            return Err(LimitExceeded(format!("called {}, which a `{}` does not have", called(), world.as_str())));
        }
        let (exported, more) = match self.purpose {
            Purpose::Query => return Ok(()),
            Purpose::Plan if in_plan.contains(&function) => return Ok(()),
            Purpose::Plan => ("plan", all_in_plan()),
            Purpose::Pure(exported) => (exported, String::new()),
        };
        Err(LimitExceeded(format!("called {} in `{exported}`, where it may call only `log`{more}", called())))
    }
}

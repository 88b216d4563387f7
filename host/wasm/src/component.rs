//! Loads, links and calls components.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aiw_extensions::{About, CapabilityKind, ExtensionError, Grants, World};
use aiw_net::{HostPattern, Hosts, Policy};
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::Engine;
use crate::bindings::v0_1::Every;
use crate::bindings::v0_1::exports::aiw::plugin::{adapter, market};
use crate::budget::{BoundSecret, Budget, OverLimit, Purpose};
use crate::capabilities::Capabilities;
use crate::compile::{self, Origin};
use crate::error::{CallError, LoadError};
use crate::host::{Call, CallState};
use crate::limits::{COMMAND_WALL, Limits};

/// What the user named for one call. It is granted whatever the manifest says.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// URLs whose host and port may be contacted, including private addresses.
    pub urls: Vec<String>,
    /// URLs that a component named and nobody typed. Their host and port may be contacted if they are public and
    /// encrypted.
    pub public_urls: Vec<String>,
    /// Directories that may be read.
    pub directories: Vec<PathBuf>,
    /// Secrets that the component may put into a header, by the names that it knows.
    pub secrets: BTreeMap<String, BoundSecret>,
    /// The budget that this call shares with the other calls of the same command.
    pub budget: Option<Arc<Budget>>,
}

/// The exported functions of each world that a component offers.
struct Exports {
    market: Option<market::GuestIndices>,
    adapter: Option<adapter::GuestIndices>,
}

impl Exports {
    fn find(about: &About, pre: &InstancePre<CallState>) -> wasmtime::Result<Self> {
        let offers = |world: World| about.worlds.contains(&world);
        Ok(Self {
            market: offers(World::MarketSource).then(|| market::GuestIndices::new(pre)).transpose()?,
            adapter: offers(World::Provider).then(|| adapter::GuestIndices::new(pre)).transpose()?,
        })
    }
}

/// A component that is ready to be called.
#[derive(Clone)]
pub struct Component {
    id: Arc<str>,
    wanted: Arc<Grants>,
    granted: Arc<Grants>,
    engine: Engine,
    pre: InstancePre<CallState>,
    exports: Arc<Exports>,
    capabilities: Capabilities,
}

impl Component {
    /// Compiles a component, or loads the compiled code from the cache, and links it.
    ///
    /// `about` must come from `inspect` of the same bytes. `granted` is what the user agreed to; for a bundled
    /// component, it is what the component wants.
    pub async fn load(
        engine: &Engine,
        bytes: &[u8],
        about: &About,
        granted: Grants,
        capabilities: Capabilities,
        origin: Origin,
    ) -> Result<Self, LoadError> {
        let id: Arc<str> = about.manifest.id.as_str().into();
        if wasmtime::Engine::detect_precompiled(bytes).is_some() {
            return Err(ExtensionError::Precompiled.into());
        }
        let wanted = Grants::wanted(about);
        if let Some(more) =
            wanted.beyond(&granted).into_iter().find(|capability| capability.kind == CapabilityKind::Imports)
        {
            return Err(LoadError::NotGranted { id: id.to_string(), import: more.value });
        }
        let fail = |e: &wasmtime::Error| LoadError::Compile { id: id.to_string(), reason: crate::error::one_line(e) };
        let component = compile::component(engine, bytes, &about.sha256, &id, origin).await?;
        let mut linker = Linker::new(&engine.inner);
        let link = |linker: &mut Linker<CallState>| -> wasmtime::Result<InstancePre<CallState>> {
            Every::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)?;
            if about.wants_wasi() {
                wasmtime_wasi::p2::add_to_linker_async(linker)?;
            }
            linker.instantiate_pre(&component)
        };
        let pre = link(&mut linker).map_err(|e| fail(&e))?;
        let exports = Exports::find(about, &pre).map_err(|e| fail(&e))?;
        let (wanted, granted) = (Arc::new(wanted), Arc::new(granted));
        Ok(Self { id, wanted, granted, engine: engine.clone(), pre, exports: Arc::new(exports), capabilities })
    }

    /// Returns the same component for a caller whose calls reach something else.
    #[must_use]
    pub fn reaching(&self, capabilities: Capabilities) -> Self {
        Self { capabilities, ..self.clone() }
    }

    /// Returns the component's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the values that the component asks for and the user agreed to. Both are needed.
    fn both_keys(&self, kind: CapabilityKind) -> Vec<String> {
        let granted = self.granted.values(kind);
        self.wanted.values(kind).into_iter().filter(|value| granted.contains(value)).collect()
    }

    fn policies(&self, reach: &Reach) -> (Policy, Policy) {
        let patterns = |values: Vec<String>| {
            Hosts::Only(values.iter().filter_map(|value| HostPattern::parse(value).ok()).collect())
        };
        let git = |origin: &String| origin.strip_prefix("git:").map(str::to_owned);
        let origins = self.both_keys(CapabilityKind::Origins);
        let mut hosts = self.both_keys(CapabilityKind::Hosts);
        let public = reach.public_urls.iter().filter_map(|url| aiw_net::host_and_port(url));
        hosts.extend(public.map(|(host, port)| format!("{host}:{port}")));
        let mut http = Policy { hosts: patterns(hosts), ..Policy::none() };
        let mut trees = Policy { hosts: patterns(origins.iter().filter_map(git).collect()), ..Policy::none() };
        if origins.iter().any(|origin| origin == "directory" || origin.starts_with("git:")) {
            trees.directories = reach.directories.clone();
        }
        // The user typed the addresses in the component's settings as well.
        let settings = self.both_keys(CapabilityKind::Settings);
        let set = settings.iter().filter_map(|key| self.capabilities.settings.get(&self.id, key));
        for url in set.chain(reach.urls.iter().cloned()) {
            http.grant_url(&url);
            trees.grant_url(&url);
        }
        (http, trees)
    }

    fn offered<'a, T>(&self, world: World, exports: &'a Option<T>) -> Result<&'a T, CallError> {
        exports.as_ref().ok_or_else(|| CallError::NotOffered { component: self.id.to_string(), world: world.as_str() })
    }

    /// Makes one call to a marketplace source.
    pub(crate) async fn market<T>(
        &self,
        reach: &Reach,
        purpose: Purpose,
        call: impl AsyncFnOnce(&market::Guest, &mut Store<CallState>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let market = self.offered(World::MarketSource, &self.exports.market)?;
        let run = async |instance: &Instance, store: &mut Store<CallState>| {
            let market = market.load(&mut *store, instance)?;
            call(&market, store).await
        };
        self.call(reach, purpose, &Limits::MARKET_SOURCE, run).await
    }

    /// Makes one call to a provider.
    pub(crate) async fn adapter<T>(
        &self,
        reach: &Reach,
        purpose: Purpose,
        call: impl AsyncFnOnce(&adapter::Guest, &mut Store<CallState>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        let adapter = self.offered(World::Provider, &self.exports.adapter)?;
        let run = async |instance: &Instance, store: &mut Store<CallState>| {
            let adapter = adapter.load(&mut *store, instance)?;
            call(&adapter, store).await
        };
        self.call(reach, purpose, &Limits::PROVIDER, run).await
    }

    /// Makes one call in its own store, within all limits.
    async fn call<T>(
        &self,
        reach: &Reach,
        purpose: Purpose,
        limits: &'static Limits,
        call: impl AsyncFnOnce(&Instance, &mut Store<CallState>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        self.engine.tick();
        let (http, trees) = self.policies(reach);
        let state = CallState::new(Call {
            id: self.id.clone(),
            wanted: self.wanted.clone(),
            granted: self.granted.clone(),
            capabilities: self.capabilities.clone(),
            http,
            trees,
            secrets: reach.secrets.clone(),
            purpose,
            budget: reach.budget.clone(),
            limits,
        });
        let mut store = Store::new(&self.engine.inner, state);
        // Set all limits before instantiation: the initial memory counts, and start functions run.
        store.limiter(|state| &mut state.usage);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.charge_tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        let run = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            call(&instance, &mut store).await
        };
        let shared = reach.budget.as_ref().map(|budget| budget.left());
        let limit = purpose.time(limits).min(shared.unwrap_or(Duration::MAX));
        let outcome = match tokio::time::timeout(limit, run).await {
            Ok(outcome) => outcome,
            Err(_) if shared.is_some_and(|shared| shared < purpose.time(limits)) => {
                return Err(self.misbehaved(format!(
                    "took longer than {} minutes over the entries of one marketplace",
                    COMMAND_WALL.as_secs() / 60
                )));
            }
            Err(_) if limit < Duration::from_secs(60) => {
                return Err(self.misbehaved(format!("gave no answer within {} s", limit.as_secs())));
            }
            Err(_) => {
                return Err(self.misbehaved(format!("took longer than {} minutes", limit.as_secs() / 60)));
            }
        };
        outcome.map_err(|e| self.misbehaved(explain(&e, store.data().last_error(), limits)))
    }

    pub(crate) fn misbehaved(&self, what: String) -> CallError {
        CallError::Misbehaved { component: self.id.to_string(), what }
    }
}

/// Describes in one sentence what ended a guest.
fn explain(error: &wasmtime::Error, last_error: Option<&str>, limits: &Limits) -> String {
    if let Some(over) = error.downcast_ref::<OverLimit>() {
        return over.to_string();
    }
    match error.downcast_ref::<Trap>() {
        // The SDK's panic hook logs the panic message as the guest's last error.
        Some(Trap::UnreachableCodeReached) => match last_error {
            Some(line) => format!("gave up: {line}"),
            None => "gave up without a message (a panic, or out of memory)".into(),
        },
        Some(trap) => trapped(*trap),
        None => {
            // The outer contexts are addresses in the guest's code.
            let text = aiw_core::one_line(&error.root_cause().to_string(), 400);
            if text.contains("hostcalls has been exhausted") {
                format!("handed over more than {} MiB in one call", limits.hostcall_bytes >> 20)
            } else if text.contains("handle limit exceeded") || text.contains("no free keys") {
                format!("held more than {} trees in one call", limits.handles)
            } else if text.contains("resource limit exceeded") {
                format!("has more than {} instances, tables or memories", limits.instances)
            } else if text.contains("exceeds") && text.contains("limit") || text.contains("Cannot allocate") {
                format!("wanted more than {} MiB of memory", limits.memory >> 20)
            } else {
                format!("violated the contract: {text}")
            }
        }
    }
}

/// Describes a trap in words.
fn trapped(trap: Trap) -> String {
    match trap {
        Trap::StackOverflow | Trap::MemoryOutOfBounds => {
            "ran out of stack, as endless recursion does, or read outside its memory"
        }
        Trap::TableOutOfBounds | Trap::IndirectCallToNull | Trap::BadSignature => {
            "called a function that does not exist"
        }
        Trap::IntegerOverflow | Trap::IntegerDivisionByZero | Trap::BadConversionToInteger => {
            "made an arithmetic error"
        }
        Trap::Interrupt => "was stopped",
        Trap::OutOfFuel | Trap::AllocationTooLarge => "exceeded its limits",
        Trap::CannotEnterComponent => "called itself",
        other => return format!("trapped: {}", aiw_core::one_line(&other.to_string(), 200)),
    }
    .to_owned()
}

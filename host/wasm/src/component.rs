//! Loads, links and calls components.

use futures::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;

use aiw_extensions::{CapabilityKind, ComponentFacts, ExtensionError, Grants, World};
use wasmtime::component::{InstancePre, Linker};
use wasmtime::{Store, Trap, UpdateDeadline};

use crate::Engine;
use crate::budget::{LimitExceeded, Purpose};
use crate::call::ComponentGrants;
use crate::compile::{self, Origin};
use crate::compute::run_inline_then_thread;
use crate::error::{CallError, CallFailure, CallRejection, LoadError};
use crate::host::{self, CallState, Capabilities};
use crate::kind::Guest;
use crate::limits::CallLimits;
use crate::reach::CallPermissions;
use crate::since_v0_1;

/// A component that is ready to be called.
#[derive(Clone)]
pub struct Component {
    keys: ComponentGrants,
    worlds: Arc<[World]>,
    engine: Engine,
    pre: InstancePre<CallState>,
    capabilities: Capabilities,
}

impl Component {
    /// Compiles a component, or loads the compiled code from the cache, and links it.
    ///
    /// `about` must come from `inspect` of the same bytes. `granted` is what the user agreed to; for a bundled
    /// component, it is what the component wants.
    pub fn load<'a>(
        engine: &'a Engine,
        bytes: &'a [u8],
        about: &'a ComponentFacts,
        granted: Grants,
        capabilities: Capabilities,
        origin: Origin,
    ) -> BoxFuture<'a, Result<Self, LoadError>> {
        Box::pin(async move {
            let id: Arc<str> = about.manifest.id.as_str().into();
            if wasmtime::Engine::detect_precompiled(bytes).is_some() {
                return Err(ExtensionError::Precompiled.into());
            }
            let wanted = Grants::from_facts(about);
            if let Some(more) =
                wanted.difference(&granted).into_iter().find(|capability| capability.kind == CapabilityKind::Imports)
            {
                return Err(LoadError::NotGranted { id: id.to_string(), import: more.value });
            }
            let fail =
                |e: &wasmtime::Error| LoadError::Compile { id: id.to_string(), reason: crate::error::one_line(e) };
            let component = compile::load_or_compile(engine, bytes, &about.sha256, &id, origin).await?;
            let pre = link(engine, about, &component).map_err(|e| fail(&e))?;
            for world in &about.worlds {
                since_v0_1::check_exports(*world, &pre).map_err(|e| fail(&e))?;
            }
            let keys = ComponentGrants { id, requested: Arc::new(wanted), granted: Arc::new(granted) };
            Ok(Self { keys, worlds: about.worlds.as_slice().into(), engine: engine.clone(), pre, capabilities })
        })
    }

    /// Returns the same component for a caller whose calls reach something else.
    #[must_use]
    pub fn with_capabilities(&self, capabilities: Capabilities) -> Self {
        Self { capabilities, ..self.clone() }
    }

    /// Returns the component's id.
    pub fn id(&self) -> &str {
        &self.keys.id
    }

    /// Returns the hosts that the component's requests may reach: its manifest names them, and the user agreed.
    pub fn hosts(&self) -> Vec<String> {
        self.keys.effective_values(CapabilityKind::Hosts)
    }

    /// Checks that the component is of a kind.
    pub(crate) fn check_kind(&self, world: World) -> Result<(), CallError> {
        match self.worlds.contains(&world) {
            true => Ok(()),
            false => Err(CallError::Unsupported { component: self.keys.id.to_string(), world: world.as_str() }),
        }
    }

    /// Makes one call in its own store, within all limits. Nothing waits for it for longer than a tick.
    pub(crate) async fn call<G, T>(
        &self,
        reach: &CallPermissions,
        purpose: Purpose,
        call: impl for<'a> FnOnce(&'a G, &'a mut Store<CallState>) -> BoxFuture<'a, Result<T, CallFailure>> + Send + 'static,
    ) -> Result<T, CallError>
    where
        G: Guest + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.engine.start_epoch_clock();
        let limits = self.engine.limits(G::WORLD);
        let state = CallState::new(G::WORLD, limits, self.keys.clone(), self.capabilities.clone(), reach, purpose);
        let mut store = Store::new(&self.engine.inner, state);
        // Set all limits before instantiation: the initial memory counts, and start functions run.
        store.limiter(|state| &mut state.usage);
        store.set_hostcall_fuel(limits.hostcall_bytes);
        store.set_max_component_handles(limits.handles);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut context| {
            let state = context.data_mut();
            state.call.charge_tick()?;
            Ok(UpdateDeadline::Yield(1))
        });
        let pre = self.pre.clone();
        let run = run_inline_then_thread(async move {
            let result = async {
                let instance = pre.instantiate_async(&mut store).await?;
                let guest = G::load(&pre, &instance, &mut store)?;
                call(&guest, &mut store).await
            };
            let result = result.await;
            (result, store.data().states.last_error().map(str::to_owned))
        });
        let shared = reach.budget.as_ref().map(|budget| budget.remaining());
        let limit = purpose.timeout(&limits).min(shared.unwrap_or(Duration::MAX));
        let (outcome, last_error) = match tokio::time::timeout(limit, run).await {
            Ok(Some(ended)) => ended,
            Ok(None) => return Err(self.misbehaved("could not be run: no thread was free".into())),
            Err(_) if let Some(budget) = reach.budget.as_ref().filter(|_| limit < purpose.timeout(&limits)) => {
                return Err(self.misbehaved(budget.timeout_message()));
            }
            Err(_) if limit < Duration::from_secs(60) => {
                return Err(self.misbehaved(format!("gave no answer within {} s", limit.as_secs())));
            }
            Err(_) => {
                return Err(self.misbehaved(format!("took longer than {} minutes", limit.as_secs() / 60)));
            }
        };
        outcome.map_err(|failed| match failed {
            CallFailure::Aborted(e) => self.misbehaved(explain(&e, last_error.as_deref(), &limits)),
            CallFailure::Rejected(CallRejection { reason: refusal, message }) => {
                CallError::Rejected { refusal, message: aiw_core::one_line(&message, 500) }
            }
            CallFailure::Invalid(phrase, rule) => self.misbehaved(format!("{phrase} {rule}")),
        })
    }

    fn misbehaved(&self, what: String) -> CallError {
        CallError::Trapped { component: self.keys.id.to_string(), what }
    }
}

/// Gives a component what it imports.
fn link(
    engine: &Engine,
    about: &ComponentFacts,
    component: &wasmtime::component::Component,
) -> wasmtime::Result<InstancePre<CallState>> {
    let mut linker = Linker::new(&engine.inner);
    host::link(&mut linker, &about.interfaces())?;
    if about.has_wasi_imports() {
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    }
    linker.instantiate_pre(component)
}

/// Describes in one sentence what ended a guest.
fn explain(error: &wasmtime::Error, last_error: Option<&str>, limits: &CallLimits) -> String {
    if let Some(over) = error.downcast_ref::<LimitExceeded>() {
        return over.to_string();
    }
    match error.downcast_ref::<Trap>() {
        // The SDK's panic hook logs the panic message as the guest's last error.
        Some(Trap::UnreachableCodeReached) => match last_error {
            Some(line) => format!("gave up: {line}"),
            None => "gave up without a message (a panic, out of memory, or in JavaScript a value that is not of the \
                     contract's type)"
                .into(),
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

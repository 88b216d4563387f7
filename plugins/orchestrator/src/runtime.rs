//! A runtime: the engine, ready to run one script.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use boa_engine::builtins::promise::{OperationType, PromiseState};
use boa_engine::context::{ContextBuilder, HostHooks};
use boa_engine::module::IdleModuleLoader;
use boa_engine::object::builtins::{JsFunction, JsPromise};
use boa_engine::realm::Realm;
use boa_engine::{Context, JsError, JsNativeError, JsObject, JsResult, JsString, JsValue, Source, js_string};

use crate::jobs::{HostClock, Jobs};
use crate::tools::{self, Calls};
use crate::{Failure, FailureKind, Start, calls, globals, json, randomness, source};

/// Calls within calls. The stack holds more, so this is an error of the script's own.
const MAX_RECURSION_DEPTH: usize = 400;

/// The largest buffer. Whatever it holds counts against the memory of the component anyway.
const MAX_BUFFER_BYTES: u64 = 32 << 20;

thread_local! {
    static WARM: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

pub(crate) struct Runtime {
    context: Context,
    jobs: Rc<Jobs>,
    clock: Rc<HostClock>,
    hooks: Rc<Hooks>,
    /// `JSON.stringify`, before a script can replace it.
    stringify: JsObject,
}

/// What a script may not do, whatever it finds.
#[derive(Default)]
struct Hooks {
    /// The rejected promises that nobody has handled so far.
    unhandled: RefCell<Vec<JsObject>>,
}

impl HostHooks for Hooks {
    fn ensure_can_compile_strings(
        &self,
        _: Realm,
        _: &[JsString],
        _: &JsString,
        _: bool,
        _: &mut Context,
    ) -> JsResult<()> {
        let message = "text is not run as code here: `eval` and `Function` are switched off";
        Err(JsNativeError::eval().with_message(message).into())
    }

    fn local_timezone_offset_seconds(&self, _: i64) -> i32 {
        0
    }

    fn max_buffer_size(&self, _: &mut Context) -> u64 {
        MAX_BUFFER_BYTES
    }

    fn promise_rejection_tracker(
        &self,
        promise: &JsObject<boa_engine::builtins::promise::Promise>,
        operation: OperationType,
        _: &mut Context,
    ) {
        let promise = promise.clone().upcast();
        let mut unhandled = self.unhandled.borrow_mut();
        match operation {
            OperationType::Reject => unhandled.push(promise),
            OperationType::Handle => unhandled.retain(|known| !JsObject::equals(known, &promise)),
        }
    }
}

impl Runtime {
    /// Makes a runtime, if there is none yet. A failure comes up again when it is taken.
    pub fn warm() {
        WARM.with_borrow_mut(|warm| *warm = warm.take().or_else(|| Self::new().ok()));
    }

    /// Returns the runtime that was made, or a new one.
    pub fn take() -> Result<Self, Failure> {
        let made = WARM.with_borrow_mut(Option::take);
        made.map_or_else(Self::new, Ok).map_err(|e| Failure::new(FailureKind::Thrown, e.to_string(), None))
    }

    fn new() -> JsResult<Self> {
        let clock = Rc::new(HostClock::default());
        let jobs = Rc::new(Jobs::new(clock.clone()));
        let hooks = Rc::new(Hooks::default());
        let mut context = ContextBuilder::new()
            .host_hooks(hooks.clone())
            .clock(clock.clone())
            .job_executor(jobs.clone())
            .module_loader(Rc::new(IdleModuleLoader))
            .can_block(false)
            .build()?;
        context.runtime_limits_mut().set_recursion_limit(MAX_RECURSION_DEPTH);
        globals::register(&mut context)?;
        let json = context.intrinsics().objects().json();
        let stringify = json.get(js_string!("stringify"), &mut context)?;
        let stringify =
            stringify.as_object().ok_or_else(|| JsNativeError::typ().with_message("no `JSON.stringify`"))?;
        Ok(Self { context, jobs, clock, hooks, stringify })
    }

    /// Runs a script to its end.
    pub fn run(mut self, start: Start) -> Result<String, Failure> {
        self.clock.start(start.now);
        randomness::seed(&start.seed);
        let prepared = source::prepare(&start.source)?;
        let calls = Calls::new(start.tools, self.stringify.clone());
        let result = self.run_prepared(&prepared, &start.input, &calls);
        result.map_err(|error| match error {
            Ended::Failed(failure) => failure,
            Ended::Threw(error) => self.explain(&error, &prepared, &calls),
        })
    }

    fn run_prepared(&mut self, prepared: &source::PreparedScript, input: &str, calls: &Calls) -> Result<String, Ended> {
        tools::register(calls, &mut self.context)?;
        let input = json::parse(input, &mut self.context)
            .map_err(|e| Failure::new(FailureKind::Syntax, format!("the input is not JSON: {e}"), None))?;
        let script = Source::from_bytes(prepared.text.as_bytes()).with_path(Path::new(source::SCRIPT_PATH));
        let function = self.context.eval(script)?;
        let function = function.as_callable().and_then(|function| JsFunction::from_object(function.clone()));
        let function = function.ok_or_else(|| Failure::new(FailureKind::Syntax, "the script is no function", None))?;
        let value = function.call(&JsValue::undefined(), std::slice::from_ref(&input), &mut self.context)?;
        let mut value = self.settle(value, calls)?;
        // What was exported, or named at the end, is what is to be run.
        if let Some(function) = self.exported(&value)? {
            let called = function.call(&JsValue::undefined(), &[input], &mut self.context)?;
            value = self.settle(called, calls)?;
        }
        if value.is_callable() || value.is_symbol() {
            let message = "the script returned a function, which is no result: call it";
            return Err(Failure::new(FailureKind::Thrown, message, None).into());
        }
        let text = json::stringify_value(&value, &self.stringify, &mut self.context)?;
        self.tell_unhandled();
        Ok(text.unwrap_or_else(|| "null".into()))
    }

    /// Returns the function that a value is, or has as `workflow`, `main` or `default`.
    fn exported(&mut self, value: &JsValue) -> Result<Option<JsFunction>, Ended> {
        let callable = |value: &JsValue| value.as_object().and_then(|object| JsFunction::from_object(object.clone()));
        if let Some(function) = callable(value) {
            return Ok(Some(function));
        }
        let Some(object) = value.as_object() else { return Ok(None) };
        for name in [js_string!("workflow"), js_string!("main"), js_string!("default")] {
            if let Some(function) = callable(&object.get(name, &mut self.context)?) {
                return Ok(Some(function));
            }
        }
        Ok(None)
    }

    /// Waits until a promise is settled. Other values are what they are.
    fn settle(&mut self, value: JsValue, calls: &Calls) -> Result<JsValue, Ended> {
        // A script that ends with a promise of something else awaits it.
        let promise = JsPromise::resolve(value, &mut self.context)?;
        loop {
            let is_over = || !matches!(promise.state(), PromiseState::Pending);
            self.jobs.run_ready(&mut self.context, is_over)?;
            match promise.state() {
                PromiseState::Fulfilled(value) => return Ok(value),
                PromiseState::Rejected(error) => return Err(Ended::Threw(JsError::from_opaque(error))),
                PromiseState::Pending => {}
            }
            let pause = self.jobs.next_timer_delay();
            if pause.is_none() && !calls.is_waiting() {
                let message = "the script waits for a promise that nothing will ever settle: no call is under way, and no \
                               timer is set";
                return Err(Failure::new(FailureKind::Stuck, message, None).into());
            }
            let pause = pause.map(|pause| u32::try_from(pause).unwrap_or(u32::MAX));
            let moment = calls::next_result(pause);
            self.clock.set(moment.now);
            if let Some(answer) = moment.ended {
                calls.settle(answer, &mut self.context)?;
            }
        }
    }

    /// A call whose failure nobody looked at would pass for one that worked.
    fn tell_unhandled(&self) {
        for promise in self.hooks.unhandled.take() {
            if let Ok(promise) = JsPromise::from_object(promise)
                && let PromiseState::Rejected(error) = promise.state()
            {
                let error = JsError::from_opaque(error).to_string();
                let error = error.lines().next().unwrap_or_default();
                calls::log(calls::Level::Warn, &format!("a promise was rejected, and nothing awaited it: {error}"));
            }
        }
    }

    /// Says why a script has ended.
    fn explain(&mut self, error: &JsError, prepared: &source::PreparedScript, calls: &Calls) -> Failure {
        let whole = error.to_string();
        let place = source::parse_position(&whole);
        let opaque = error.clone().into_opaque(&mut self.context).ok();
        let object = opaque.as_ref().and_then(JsValue::as_object);
        let field = |name: JsString, context: &mut Context| {
            let value = object.as_ref()?.get(name, context).ok()?;
            value.as_string().map(|text| text.to_std_string_lossy())
        };
        let tool = field(js_string!("tool"), &mut self.context).and_then(|name| calls.number(&name));
        let (name, message) =
            (field(js_string!("name"), &mut self.context), field(js_string!("message"), &mut self.context));
        let message = match (name, message) {
            // The tool's own words, or ours.
            (_, Some(message)) if tool.is_some() => message,
            (Some(name), Some(message)) if name != "Error" => format!("{name}: {message}"),
            (_, Some(message)) => message,
            // Whatever was thrown.
            _ => whole.lines().next().unwrap_or_default().to_owned(),
        };
        let line = place.map(|place| source::source_line(&message, place, prepared));
        let message = match globals::workaround(&message) {
            Some(hint) => format!("{message}: {hint}"),
            None => message,
        };
        let kind = FailureKind::Thrown;
        Failure { kind, message, line, tool }
    }
}

/// Why a run has ended.
enum Ended {
    Threw(JsError),
    Failed(Failure),
}

impl From<JsError> for Ended {
    fn from(error: JsError) -> Self {
        Self::Threw(error)
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

//! What a script finds beside the language: what servers, browsers and Node have in common, as far as it needs no system.

use std::collections::BTreeMap;

use boa_engine::object::ObjectInitializer;
use boa_engine::object::builtins::JsUint8Array;
use boa_engine::property::Attribute;
use boa_engine::{
    Context, Finalize, JsArgs, JsData, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction, Trace,
    js_string,
};
use boa_runtime::extensions::{
    Base64Extension, ConsoleExtension, EncodingExtension, MicrotaskExtension, StructuredCloneExtension,
    TimeoutExtension, UrlExtension,
};
use boa_runtime::{ConsoleState, Logger};

use crate::{calls, dates, json, late, locale, randomness, repairs};

/// Registers all of them.
pub(crate) fn register(context: &mut Context) -> JsResult<()> {
    let extensions = (
        ConsoleExtension(Log),
        TimeoutExtension,
        MicrotaskExtension,
        EncodingExtension,
        StructuredCloneExtension,
        Base64Extension,
        UrlExtension,
    );
    boa_runtime::register_extensions(extensions, None, context)?;
    console_time(context)?;
    performance(context)?;
    crypto(context)?;
    fast_json(context)?;
    late::register(context)?;
    repairs::register(context)?;
    locale::register(context)?;
    dates::register(context)
}

/// The lines of `console` go into the log of the run.
#[derive(Debug, Trace, Finalize, JsData)]
struct Log;

impl Log {
    fn say(level: calls::Level, text: &str, state: &ConsoleState) {
        calls::log(level, &format!("{:1$}{text}", "", state.indent()));
    }
}

impl Logger for Log {
    fn log(&self, text: String, state: &ConsoleState, _: &mut Context) -> JsResult<()> {
        Self::say(calls::Level::Log, &text, state);
        Ok(())
    }

    fn info(&self, text: String, state: &ConsoleState, _: &mut Context) -> JsResult<()> {
        Self::say(calls::Level::Log, &text, state);
        Ok(())
    }

    fn warn(&self, text: String, state: &ConsoleState, _: &mut Context) -> JsResult<()> {
        Self::say(calls::Level::Warn, &text, state);
        Ok(())
    }

    fn error(&self, text: String, state: &ConsoleState, _: &mut Context) -> JsResult<()> {
        Self::say(calls::Level::Error, &text, state);
        Ok(())
    }
}

/// When the timers of `console.time` began, by their names, in milliseconds.
#[derive(Default)]
struct ConsoleTimes(BTreeMap<String, u64>);

/// `console.time`, `timeLog`, `timeEnd`: the engine's ask a clock that is not there.
fn console_time(context: &mut Context) -> JsResult<()> {
    fn label(args: &[JsValue], context: &mut Context) -> JsResult<String> {
        match args.get_or_undefined(0) {
            label if label.is_undefined() => Ok("default".into()),
            label => Ok(label.to_string(context)?.to_std_string_lossy()),
        }
    }
    fn tell(args: &[JsValue], context: &mut Context) -> JsResult<()> {
        let (label, now) = (label(args, context)?, context.clock().now().millis_since_epoch());
        let begun = context.get_data::<ConsoleTimes>().and_then(|times| times.0.get(&label).copied());
        match begun {
            Some(begun) => calls::log(calls::Level::Log, &format!("{label}: {} ms", now - begun)),
            None => calls::log(calls::Level::Warn, &format!("there is no timer `{label}`")),
        }
        Ok(())
    }
    context.insert_data(ConsoleTimes::default());
    let begin = NativeFunction::from_fn_ptr(|_, args, context| {
        let (label, now) = (label(args, context)?, context.clock().now().millis_since_epoch());
        if let Some(times) = context.host_defined_mut().get_mut::<ConsoleTimes>() {
            times.0.insert(label, now);
        }
        Ok(JsValue::undefined())
    });
    let log = NativeFunction::from_fn_ptr(|_, args, context| tell(args, context).map(|()| JsValue::undefined()));
    let end = NativeFunction::from_fn_ptr(|_, args, context| {
        tell(args, context)?;
        let label = label(args, context)?;
        if let Some(times) = context.host_defined_mut().get_mut::<ConsoleTimes>() {
            times.0.remove(&label);
        }
        Ok(JsValue::undefined())
    });
    let console = context.global_object().get(js_string!("console"), context)?;
    let Some(console) = console.as_object() else { return Ok(()) };
    for (name, function) in [("time", begin), ("timeLog", log), ("timeEnd", end)] {
        let function = function.to_js_function(context.realm());
        console.set(js_string!(name), function, true, context)?;
    }
    Ok(())
}

/// `performance.now()`
fn performance(context: &mut Context) -> JsResult<()> {
    let now = NativeFunction::from_fn_ptr(|_, _, context| {
        let now = context.clock().now();
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a run that takes minutes")]
        Ok(JsValue::from(now.millis_since_epoch() as f64))
    });
    let object = ObjectInitializer::new(context).function(now, js_string!("now"), 0).build();
    context.register_global_property(js_string!("performance"), object, Attribute::all())
}

/// `crypto.randomUUID()`, `crypto.getRandomValues(array)`
fn crypto(context: &mut Context) -> JsResult<()> {
    let uuid = NativeFunction::from_fn_ptr(|_, _, _| {
        let mut bytes = [0; 16];
        randomness::fill(&mut bytes);
        // Version 4, variant 1 (RFC 9562).
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Ok(JsString::from(parts.join("-")).into())
    });
    let values = NativeFunction::from_fn_ptr(|_, args, context| {
        let value = args.get_or_undefined(0);
        let wrong = || JsNativeError::typ().with_message("`crypto.getRandomValues` takes an array of integers");
        let object = value.as_object().ok_or_else(wrong)?;
        let field = |name: JsString, context: &mut Context| object.get(name, context);
        let buffer = field(js_string!("buffer"), context)?;
        let offset = field(js_string!("byteOffset"), context)?.to_length(context)?;
        let length = field(js_string!("byteLength"), context)?.to_length(context)?;
        if length > 65_536 {
            return Err(JsNativeError::range()
                .with_message("`crypto.getRandomValues` fills 65,536 bytes at most")
                .into());
        }
        let buffer = buffer.as_object().ok_or_else(wrong)?;
        let buffer = boa_engine::object::builtins::JsArrayBuffer::from_object(buffer.clone())?;
        let bytes = JsUint8Array::from_array_buffer(buffer, context)?;
        let mut random = vec![0; usize::try_from(length).unwrap_or(0)];
        randomness::fill(&mut random);
        for (at, byte) in random.into_iter().enumerate() {
            bytes.set(usize::try_from(offset).unwrap_or(0) + at, byte, true, context)?;
        }
        Ok(value.clone())
    });
    let object = ObjectInitializer::new(context)
        .function(uuid, js_string!("randomUUID"), 0)
        .function(values, js_string!("getRandomValues"), 1)
        .build();
    context.register_global_property(js_string!("crypto"), object, Attribute::all())
}

/// `JSON.parse` without the compiler, where no function looks at each value.
fn fast_json(context: &mut Context) -> JsResult<()> {
    let object: JsObject = context.intrinsics().objects().json();
    let slow = object.get(js_string!("parse"), context)?;
    let slow = slow.as_object().ok_or_else(|| JsNativeError::typ().with_message("no `JSON.parse`"))?;
    context.insert_data(json::ExactParse(slow.clone()));
    let parse = NativeFunction::from_copy_closure_with_captures(
        |this, args, slow: &JsObject, context| {
            if args.get_or_undefined(1).is_callable() {
                return slow.call(this, args, context);
            }
            let text = args.get_or_undefined(0).to_string(context)?;
            // What is no UTF-8, or wrong, is the engine's to read, and to name.
            match text.to_std_string().ok().and_then(|text| json::parse(&text, context).ok()) {
                Some(value) => Ok(value),
                None => slow.call(this, args, context),
            }
        },
        slow.clone(),
    );
    let parse = boa_engine::object::FunctionObjectBuilder::new(context.realm(), parse)
        .name(js_string!("parse"))
        .length(2)
        .build();
    object.set(js_string!("parse"), parse, true, context)?;
    Ok(())
}

/// What a script uses instead of a name that it expects and that is not there.
const WORKAROUNDS: &[(&[&str], &str)] = &[
    (
        &["fetch", "XMLHttpRequest", "WebSocket", "EventSource", "axios"],
        "scripts reach nothing but the tools; call one that fetches",
    ),
    (&["require", "module", "exports", "importScripts"], MODULES_HINT),
    (
        &["sleep", "delay", "wait", "pause"],
        "to wait, write `await new Promise((done) => setTimeout(done, 1000))`, in milliseconds",
    ),
    (
        &["process", "Deno", "Bun", "Buffer", "global", "__dirname", "__filename"],
        "this is not Node; `globalThis`, `TextEncoder`, `atob` and `btoa` are there",
    ),
    (&["window", "document", "localStorage", "sessionStorage", "navigator", "alert"], "this is no browser"),
    (&["Intl"], "format numbers and dates by hand, or with `toFixed`, `toISOString` and `padStart`"),
    (&["Temporal"], "use `Date`"),
    (&["WebAssembly"], "only JavaScript runs here"),
    (&["setImmediate"], "use `setTimeout`"),
];

/// What a script uses instead of a module.
pub(crate) const MODULES_HINT: &str =
    "there are no modules; `setTimeout`, `URL`, `crypto` and the like are built in, and tools do what needs a system";

/// Returns what to do about an error of the engine's that names something that is not there.
pub(crate) fn workaround(message: &str) -> Option<&'static str> {
    if message == "TypeError: module resolution is disabled for this context" {
        return Some(MODULES_HINT);
    }
    let name = message.strip_prefix("ReferenceError: ")?.strip_suffix(" is not defined")?;
    WORKAROUNDS.iter().find(|(names, _)| names.contains(&name)).map(|(_, hint)| *hint)
}

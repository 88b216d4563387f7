//! What Boa 0.22 gets wrong without a word, and is put right here. A test compares each with Node.

use boa_engine::object::builtins::{JsMap, JsSet};
use boa_engine::object::{FunctionObjectBuilder, JsObject};
use boa_engine::property::PropertyDescriptor;
use boa_engine::{Context, JsArgs, JsNativeError, JsResult, JsString, JsValue, NativeFunction, js_string};

use crate::builtins::{define_method, method, missing_error, trap_arguments, wrap_constructor};

/// Puts them in the place of the engine's.
pub(crate) fn register(context: &mut Context) -> JsResult<()> {
    clear(context)?;
    stack(context)?;
    array_text(context)?;
    date_text(context)?;
    letters(context)?;
    precision(context)?;
    wrap_constructor("RegExp", regexp, Some(regexp_call), context)?;
    wrap_constructor("TextDecoder", text_decoder, None, context)
}

/// `clear()` while somebody looks at the entries: those that are added after it were passed over.
fn clear(context: &mut Context) -> JsResult<()> {
    let all = context.intrinsics().constructors();
    let (map, set) = (all.map().prototype(), all.set().prototype());
    let clear_map = NativeFunction::from_fn_ptr(|this, _, context| {
        let map = this.as_object().ok_or_else(|| missing_error("clear"))?;
        let map = JsMap::from_object(map.clone())?;
        let keys = map.keys(context)?;
        for key in left(|context| keys.next(context), context)? {
            map.delete(key, context)?;
        }
        Ok(JsValue::undefined())
    });
    define_method(&map, "clear", 0, clear_map, context)?;
    let clear_set = NativeFunction::from_fn_ptr(|this, _, context| {
        let set = this.as_object().ok_or_else(|| missing_error("clear"))?;
        let set = JsSet::from_object(set.clone()).map_err(|_| missing_error("clear"))?;
        let values = set.values(context)?;
        for value in left(|context| values.next(context), context)? {
            set.delete(value);
        }
        Ok(JsValue::undefined())
    });
    define_method(&set, "clear", 0, clear_set, context)
}

/// Returns all that an iterator has left. (`for_each_native` never ends where an entry was deleted.)
fn left(next: impl Fn(&mut Context) -> JsResult<JsValue>, context: &mut Context) -> JsResult<Vec<JsValue>> {
    let mut all = Vec::new();
    loop {
        let result = next(context)?;
        let result = result.as_object().ok_or_else(|| missing_error("next"))?;
        if result.get(js_string!("done"), context)?.to_boolean() {
            return Ok(all);
        }
        all.push(result.get(js_string!("value"), context)?);
    }
}

/// `stack` begins with what was thrown.
fn stack(context: &mut Context) -> JsResult<()> {
    let prototype = context.intrinsics().constructors().error().prototype();
    let own = prototype.borrow().properties().get(&js_string!("stack").into());
    let (Some(get), set) =
        (own.as_ref().and_then(|own| own.get().cloned()), own.as_ref().and_then(|own| own.set().cloned()))
    else {
        return Ok(());
    };
    let get = NativeFunction::from_copy_closure_with_captures(
        |this, _, get: &JsValue, context| {
            let get = get.as_callable().ok_or_else(|| missing_error("stack"))?;
            let frames = get.call(this, &[], context)?;
            let Some(frames) = frames.as_string() else { return Ok(frames) };
            let prototype = context.intrinsics().constructors().error().prototype();
            let said = method(&prototype, "toString", context)?.call(this, &[], context)?.to_string(context)?;
            Ok(js_string!(&said, &js_string!("\n"), &frames).into())
        },
        get,
    );
    let get = FunctionObjectBuilder::new(context.realm(), get).build();
    let whole =
        PropertyDescriptor::builder().get(get).set(set.unwrap_or_default()).enumerable(false).configurable(true);
    prototype.define_property_or_throw(js_string!("stack"), whole, context)?;
    Ok(())
}

/// `toLocaleString` of lists: the separator of Node is a comma alone.
fn array_text(context: &mut Context) -> JsResult<()> {
    let all = context.intrinsics().constructors();
    let (array, typed) = (all.array().prototype(), all.typed_array().prototype());
    let text = |this: &JsValue, args: &[JsValue], context: &mut Context| {
        let list = this.to_object(context)?;
        let length = list.get(js_string!("length"), context)?.to_length(context)?;
        let mut parts = Vec::new();
        for at in 0..length {
            let value = list.get(at, context)?;
            parts.push(match value.is_null_or_undefined() {
                true => js_string!(),
                false => {
                    let object = value.to_object(context)?;
                    method(&object, "toLocaleString", context)?.call(&value, args, context)?.to_string(context)?
                }
            });
            parts.push(js_string!(","));
        }
        parts.pop();
        Ok(JsString::concat_array(&parts.iter().map(JsString::as_str).collect::<Vec<_>>()).into())
    };
    define_method(&array, "toLocaleString", 0, NativeFunction::from_copy_closure(text), context)?;
    define_method(&typed, "toLocaleString", 0, NativeFunction::from_copy_closure(text), context)
}

/// `toString` and `toTimeString` of dates name the zone.
fn date_text(context: &mut Context) -> JsResult<()> {
    let date = context.intrinsics().constructors().date().prototype();
    for name in ["toString", "toTimeString"] {
        let engine = method(&date, name, context)?;
        let whole = NativeFunction::from_copy_closure_with_captures(
            |this, _, engine: &JsObject, context| {
                let text = engine.call(this, &[], context)?.to_string(context)?;
                Ok(match text.to_std_string_lossy().ends_with("GMT+0000") {
                    true => js_string!(&text, &js_string!(" (Coordinated Universal Time)")).into(),
                    false => text.into(),
                })
            },
            engine,
        );
        define_method(&date, name, 0, whole, context)?;
    }
    Ok(())
}

/// Turkish and Lithuanian letters have rules of their own, which are not here.
fn letters(context: &mut Context) -> JsResult<()> {
    let string = context.intrinsics().constructors().string().prototype();
    for (name, plain) in [("toLocaleUpperCase", "toUpperCase"), ("toLocaleLowerCase", "toLowerCase")] {
        let engine = method(&string, plain, context)?;
        let whole = NativeFunction::from_copy_closure_with_captures(
            |this, args, engine: &JsObject, context| {
                let language = args.get_or_undefined(0);
                if !language.is_undefined() {
                    let language = language.to_string(context)?.to_std_string_lossy();
                    let language = language.split('-').next().unwrap_or_default();
                    if ["az", "lt", "tr"].contains(&language) {
                        let problem = format!("the letters of `{language}` are not known here: use `toUpperCase()`");
                        return Err(JsNativeError::error().with_message(problem).into());
                    }
                }
                engine.call(this, &[], context)
            },
            engine,
        );
        define_method(&string, name, 0, whole, context)?;
    }
    Ok(())
}

/// `toPrecision` of numbers that are nearly zero.
fn precision(context: &mut Context) -> JsResult<()> {
    let number = context.intrinsics().constructors().number().prototype();
    let engine = method(&number, "toPrecision", context)?;
    let whole = NativeFunction::from_copy_closure_with_captures(
        |this, args, engine: &JsObject, context| {
            let digits = args.get_or_undefined(0);
            let Some(value) = this.as_number().filter(|value| *value != 0.0 && value.abs() < 1e-90) else {
                return engine.call(this, args, context);
            };
            let wanted = digits.to_integer_or_infinity(context)?.as_integer().unwrap_or_default();
            match usize::try_from(wanted) {
                Ok(wanted @ 1..=100) if !digits.is_undefined() => {
                    // `1.50e-101`, which is how JavaScript writes it, too.
                    Ok(js_string!(format!("{value:.*e}", wanted - 1).as_str()).into())
                }
                _ => engine.call(this, args, context),
            }
        },
        engine,
    );
    define_method(&number, "toPrecision", 0, whole, context)
}

/// `new RegExp(…)`
fn regexp(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (engine, mut given) = trap_arguments(args, 1, context)?;
    set_right(&mut given, context)?;
    let target = args.get_or_undefined(2).as_object();
    Ok(engine.construct(&given, target.as_ref(), context)?.into())
}

/// `RegExp(…)`
fn regexp_call(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (engine, mut given) = trap_arguments(args, 2, context)?;
    set_right(&mut given, context)?;
    engine.call(&JsValue::undefined(), &given, context)
}

fn set_right(given: &mut [JsValue], context: &mut Context) -> JsResult<()> {
    let [pattern, flags, ..] = given else { return Ok(()) };
    // The text of one that is there is right already, unless it gets the flag now.
    let source = match pattern.as_object() {
        Some(object) => object.get(js_string!("source"), context)?,
        None => pattern.clone(),
    };
    if flags.is_undefined() || !source.is_string() {
        return Ok(());
    }
    let flags = flags.to_string(context)?.to_std_string_lossy();
    let source = source.to_string(context)?.to_std_string_lossy();
    if let Some(exact) = exact_pattern(&source, &flags) {
        *pattern = js_string!(exact.as_str()).into();
    }
    Ok(())
}

/// Every character that is no letter, digit or `_`, without the two whose other case is one.
const NON_WORD_CLASS: &str = r"\x00-\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\u017e\u0180-\u2129\u212b-\uffff";

/// Returns a pattern that means what was meant: with the flag `i`, the engine takes `k` and `s` for what `[\W]` matches,
/// since U+212A and U+017F fold to them. None if it is right as it is.
pub(crate) fn exact_pattern(pattern: &str, flags: &str) -> Option<String> {
    if !flags.contains('i') || flags.contains(['u', 'v']) || !pattern.contains(r"\W") {
        return None;
    }
    let (mut out, mut in_class, mut is_changed) = (String::new(), false, false);
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                let escaped = rest.next();
                if in_class && escaped == Some('W') {
                    out.push_str(NON_WORD_CLASS);
                    is_changed = true;
                    continue;
                }
                out.push(c);
                out.extend(escaped);
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        out.push(c);
    }
    is_changed.then_some(out)
}

/// `new TextDecoder(…)`: the engine's replaces what is no text, whatever it is asked for.
fn text_decoder(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let (engine, given) = trap_arguments(args, 1, context)?;
    if let Some(options) = given.get_or_undefined(1).as_object()
        && options.get(js_string!("fatal"), context)?.to_boolean()
    {
        let problem = "there is no `fatal` here: look for `\\ufffd` in the text";
        return Err(JsNativeError::error().with_message(problem).into());
    }
    let target = args.get_or_undefined(2).as_object();
    Ok(engine.construct(&given, target.as_ref(), context)?.into())
}

//! What few scripts use, written in JavaScript (`late.js`): it is compiled when a script first asks for one of its names, so
//! that the others don't pay for it.

use boa_engine::object::FunctionObjectBuilder;
use boa_engine::property::PropertyDescriptor;
use boa_engine::{
    Context, JsArgs, JsNativeError, JsObject, JsResult, JsString, JsValue, NativeFunction, Source, js_string,
};

const LAZY_GLOBALS: [&str; 5] = ["URLSearchParams", "Event", "EventTarget", "AbortSignal", "AbortController"];

/// What the source evaluates to, once it has.
struct DeferredValue(JsObject);

fn late(context: &mut Context) -> JsResult<JsObject> {
    if let Some(DeferredValue(made)) = context.get_data::<DeferredValue>() {
        return Ok(made.clone());
    }
    let made = context.eval(Source::from_bytes(include_str!("late.js")))?;
    let made = made.as_object().ok_or_else(|| JsNativeError::typ().with_message("no such names"))?.clone();
    context.insert_data(DeferredValue(made.clone()));
    Ok(made)
}

fn data(value: JsValue) -> PropertyDescriptor {
    PropertyDescriptor::builder().value(value).writable(true).enumerable(false).configurable(true).build()
}

/// Makes the names known.
pub(crate) fn register(context: &mut Context) -> JsResult<()> {
    let global = context.global_object();
    for name in LAZY_GLOBALS {
        let get = NativeFunction::from_copy_closure_with_captures(
            |_, _, name: &JsString, context| {
                let value = late(context)?.get(name.clone(), context)?;
                context.global_object().define_property_or_throw(name.clone(), data(value.clone()), context)?;
                Ok(value)
            },
            js_string!(name),
        );
        let set = NativeFunction::from_copy_closure_with_captures(
            |_, args, name: &JsString, context| {
                let value = args.get_or_undefined(0).clone();
                context.global_object().define_property_or_throw(name.clone(), data(value), context)?;
                Ok(JsValue::undefined())
            },
            js_string!(name),
        );
        let (get, set) = (
            FunctionObjectBuilder::new(context.realm(), get).build(),
            FunctionObjectBuilder::new(context.realm(), set).build(),
        );
        let both = PropertyDescriptor::builder().get(get).set(set).enumerable(false).configurable(true).build();
        global.define_property_or_throw(js_string!(name), both, context)?;
    }
    // The engine's only says that it is not there.
    let get = NativeFunction::from_fn_ptr(|this, _, context| {
        let getter = late(context)?.get(js_string!("searchParams"), context)?;
        let getter = getter.as_callable().ok_or_else(|| JsNativeError::typ().with_message("no `searchParams`"))?;
        getter.call(this, &[], context)
    });
    let get = FunctionObjectBuilder::new(context.realm(), get).build();
    let url = global.get(js_string!("URL"), context)?;
    let prototype = url.as_object().map(|url| url.get(js_string!("prototype"), context)).transpose()?;
    if let Some(prototype) = prototype.as_ref().and_then(JsValue::as_object) {
        let getter = PropertyDescriptor::builder().get(get).enumerable(true).configurable(true).build();
        prototype.define_property_or_throw(js_string!("searchParams"), getter, context)?;
    }
    Ok(())
}

//! Putting something else in the place of what the engine has.

use boa_engine::object::builtins::JsProxyBuilder;
use boa_engine::object::{FunctionObjectBuilder, JsObject};
use boa_engine::property::{Attribute, PropertyDescriptor};
use boa_engine::{Context, JsArgs, JsError, JsNativeError, JsResult, JsValue, NativeFunction, js_string};

/// Puts a method in the place of the engine's.
pub(crate) fn define_method(
    object: &JsObject,
    name: &str,
    length: usize,
    function: NativeFunction,
    context: &mut Context,
) -> JsResult<()> {
    let function = FunctionObjectBuilder::new(context.realm(), function).name(js_string!(name)).length(length).build();
    let whole = PropertyDescriptor::builder().value(function).writable(true).enumerable(false).configurable(true);
    object.define_property_or_throw(js_string!(name), whole, context)?;
    Ok(())
}

/// Returns a method.
pub(crate) fn method(object: &JsObject, name: &str, context: &mut Context) -> JsResult<JsObject> {
    let found = object.get(js_string!(name), context)?;
    found.as_object().ok_or_else(|| missing_error(name))
}

/// The error of a value that is not what it should be.
pub(crate) fn missing_error(name: &str) -> JsError {
    JsNativeError::typ().with_message(format!("there is no `{name}`")).into()
}

/// What a proxy does in the place of what it stands for.
type Trap = fn(&JsValue, &[JsValue], &mut Context) -> JsResult<JsValue>;

/// Puts a proxy in the place of a constructor.
pub(crate) fn wrap_constructor(name: &str, construct: Trap, call: Option<Trap>, context: &mut Context) -> JsResult<()> {
    let engine = method(&context.global_object(), name, context)?;
    let mut proxy = JsProxyBuilder::new(engine.clone()).construct(construct);
    if let Some(call) = call {
        proxy = proxy.apply(call);
    }
    let whole: JsObject = proxy.build(context)?.into();
    let prototype = method(&engine, "prototype", context)?;
    let own = PropertyDescriptor::builder().value(whole.clone()).writable(true).enumerable(false).configurable(true);
    prototype.define_property_or_throw(js_string!("constructor"), own, context)?;
    context.register_global_property(js_string!(name), whole, Attribute::WRITABLE | Attribute::CONFIGURABLE)
}

/// What a proxy's trap is called with: the function, and the arguments.
pub(crate) fn trap_arguments(args: &[JsValue], at: usize, context: &mut Context) -> JsResult<(JsObject, Vec<JsValue>)> {
    let engine = args.get_or_undefined(0).as_object().ok_or_else(|| missing_error("constructor"))?.clone();
    let given = args.get_or_undefined(at).as_object().ok_or_else(|| missing_error("arguments"))?.clone();
    let length = given.get(js_string!("length"), context)?.to_length(context)?;
    let given = (0..length).map(|at| given.get(at, context)).collect::<JsResult<_>>()?;
    Ok((engine, given))
}

//! The border: names, arguments and results cross it once, as text, so that no getter, proxy or `toString` of a script
//! runs between a check and the call.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use boa_engine::builtins::promise::ResolvingFunctions;
use boa_engine::object::builtins::{JsPromise, JsProxyBuilder};
use boa_engine::object::{FunctionObjectBuilder, ObjectInitializer};
use boa_engine::property::Attribute;
use boa_engine::{Context, JsArgs, JsError, JsNativeError, JsObject, JsResult, JsValue, NativeFunction, js_string};

use crate::{Tool, calls, json};

/// The calls of a run.
#[derive(Clone)]
pub(crate) struct Calls(Rc<Shared>);

struct Shared {
    tools: Vec<Tool>,
    /// `JSON.stringify`, before the script could replace it.
    stringify: JsObject,
    /// Those that have not ended, with the numbers of their tools.
    open: RefCell<HashMap<u32, (ResolvingFunctions, usize)>>,
}

impl Calls {
    pub fn new(tools: Vec<Tool>, stringify: JsObject) -> Self {
        Self(Rc::new(Shared { tools, stringify, open: RefCell::default() }))
    }

    fn of(context: &Context) -> JsResult<Self> {
        let calls = context.get_data::<Self>().cloned();
        calls.ok_or_else(|| JsNativeError::typ().with_message("no script runs").into())
    }

    /// Whether a call is under way.
    pub fn is_waiting(&self) -> bool {
        !self.0.open.borrow().is_empty()
    }

    /// Returns the number of a tool.
    pub fn number(&self, whole_name: &str) -> Option<u32> {
        let at = self.0.tools.iter().position(|tool| tool.whole_name == whole_name)?;
        u32::try_from(at).ok()
    }

    /// Starts a call. What comes of it, a promise says.
    fn start(&self, tool: usize, arguments: &JsValue, context: &mut Context) -> JsResult<JsValue> {
        let name = &self.0.tools[tool].whole_name;
        let (promise, functions) = JsPromise::new_pending(context);
        let text = match arguments {
            value if value.is_undefined() || value.is_null() => "{}".to_owned(),
            value => json::stringify_value(value, &self.0.stringify, context)?.unwrap_or_else(|| "{}".into()),
        };
        match calls::start_call(u32::try_from(tool).unwrap_or(u32::MAX), &text) {
            Ok(call) => drop(self.0.open.borrow_mut().insert(call, (functions, tool))),
            Err(problem) => {
                let error = error_of(&problem, name, context)?;
                functions.reject.call(&JsValue::undefined(), &[error], context)?;
            }
        }
        Ok(promise.into())
    }

    /// Settles the promise of a call that has ended.
    pub fn settle(&self, answer: calls::Answer, context: &mut Context) -> JsResult<()> {
        let Some((functions, tool)) = self.0.open.borrow_mut().remove(&answer.call) else { return Ok(()) };
        let name = &self.0.tools[tool].whole_name;
        let outcome = answer.outcome.and_then(|text| {
            json::parse(&text, context).map_err(|e| format!("the result of `{name}` can't be read: {e}"))
        });
        let (function, value) = match outcome {
            Ok(value) => (functions.resolve, value),
            Err(problem) => (functions.reject, error_of(&problem, name, context)?),
        };
        function.call(&JsValue::undefined(), &[value], context)?;
        Ok(())
    }

    fn position(&self, is: impl Fn(&Tool) -> bool) -> Option<usize> {
        self.0.tools.iter().position(is)
    }

    fn unknown(&self, named: &str) -> JsError {
        let nearest = nearest(named, &self.0.tools);
        let hint = nearest.map(|tool| format!(": did you mean `{}`?", tool.whole_name)).unwrap_or_default();
        JsNativeError::reference().with_message(format!("`{named}` is none of the tools of this run{hint}")).into()
    }
}

/// An error that a script can catch, with the tool in `.tool`.
fn error_of(problem: &str, tool: &str, context: &mut Context) -> JsResult<JsValue> {
    let error = JsNativeError::error().with_message(problem.to_owned()).into_opaque(context);
    error.create_data_property_or_throw(js_string!("tool"), js_string!(tool), context)?;
    Ok(error.into())
}

/// Returns the name with which a script can write a tool: what is no letter or digit is `_`.
pub(crate) fn identifier(whole_name: &str) -> String {
    let mut name: String =
        whole_name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '$' { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}

/// Returns the tool with this name among `tools`, as it is written after `tools.`.
pub(crate) fn find(named: &str, tools: &[Tool]) -> Option<usize> {
    tools.iter().position(|tool| tool.whole_name == named).or_else(|| {
        let mut fit = tools.iter().enumerate().filter(|(_, tool)| identifier(&tool.whole_name) == named);
        let (at, _) = fit.next()?;
        // A name for two of them is none.
        fit.next().is_none().then_some(at)
    })
}

/// Returns the tool whose name is most like this one.
pub(crate) fn nearest<'a>(named: &str, tools: &'a [Tool]) -> Option<&'a Tool> {
    let distance = |tool: &&Tool| {
        let whole = edits(named, &tool.whole_name);
        // Often the server is left out.
        whole.min(edits(named, &tool.name) + 1)
    };
    tools.iter().min_by_key(distance).filter(|tool| distance(tool) <= named.len().max(4) / 2)
}

/// The number of edits between two names: insertions, deletions and replacements.
fn edits(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let next = (diagonal + usize::from(a != *b)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[other.len()]
}

/// Makes `tools` and `mcp` known to a script.
pub(crate) fn register(calls: &Calls, context: &mut Context) -> JsResult<()> {
    context.insert_data(calls.clone());
    let target = JsObject::with_null_proto();
    let tools = JsProxyBuilder::new(target)
        .get(tool)
        .has(|_, args, context| {
            let calls = Calls::of(context)?;
            let name = name_of(args.get_or_undefined(1));
            Ok(name.is_some_and(|name| find(&name, &calls.0.tools).is_some()).into())
        })
        .own_keys(|_, _, context| {
            let calls = Calls::of(context)?;
            let names = calls.0.tools.iter().map(|tool| js_string!(tool.whole_name.as_str()).into());
            Ok(boa_engine::object::builtins::JsArray::from_iter(names.collect::<Vec<JsValue>>(), context).into())
        })
        .get_own_property_descriptor(|this, args, context| {
            let calls = Calls::of(context)?;
            let name = name_of(args.get_or_undefined(1));
            if name.is_none_or(|name| find(&name, &calls.0.tools).is_none()) {
                return Ok(JsValue::undefined());
            }
            let value = tool(this, args, context)?;
            let described = ObjectInitializer::new(context)
                .property(js_string!("value"), value, Attribute::all())
                .property(js_string!("enumerable"), true, Attribute::all())
                .property(js_string!("configurable"), true, Attribute::all())
                .property(js_string!("writable"), false, Attribute::all())
                .build();
            Ok(described.into())
        })
        .set(fixed)
        .define_property(fixed)
        .delete_property(fixed)
        .set_prototype_of(fixed)
        .build(context)?;
    let call = FunctionObjectBuilder::new(context.realm(), NativeFunction::from_fn_ptr(call))
        .name(js_string!("call"))
        .length(3)
        .build();
    let mcp = ObjectInitializer::new(context).property(js_string!("call"), call, Attribute::ENUMERABLE).build();
    mcp.set_integrity_level(boa_engine::object::IntegrityLevel::Frozen, context)?;
    context.register_global_property(js_string!("tools"), tools, Attribute::empty())?;
    context.register_global_property(js_string!("mcp"), mcp, Attribute::empty())
}

fn fixed(_: &JsValue, _: &[JsValue], _: &mut Context) -> JsResult<JsValue> {
    Err(JsNativeError::typ().with_message("`tools` can't be changed").into())
}

fn name_of(value: &JsValue) -> Option<String> {
    value.as_string().map(|name| name.to_std_string_lossy())
}

/// `tools.NAME`
fn tool(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let calls = Calls::of(context)?;
    // Symbols ask what kind of object this is, and `then` whether it is a promise.
    let Some(name) = name_of(args.get_or_undefined(1)).filter(|name| name != "then" && name != "toJSON") else {
        return Ok(JsValue::undefined());
    };
    let at = find(&name, &calls.0.tools).ok_or_else(|| calls.unknown(&name))?;
    let name = js_string!(calls.0.tools[at].whole_name.as_str());
    let function = NativeFunction::from_copy_closure(move |_, args, context| {
        Calls::of(context)?.start(at, args.get_or_undefined(0), context)
    });
    Ok(FunctionObjectBuilder::new(context.realm(), function).name(name).length(1).build().into())
}

/// `mcp.call(server, tool, arguments)`
fn call(_: &JsValue, args: &[JsValue], context: &mut Context) -> JsResult<JsValue> {
    let calls = Calls::of(context)?;
    let wrong = || JsNativeError::typ().with_message("it is `mcp.call(\"SERVER\", \"TOOL\", {…})`");
    let server = name_of(args.get_or_undefined(0)).ok_or_else(wrong)?;
    let name = name_of(args.get_or_undefined(1)).ok_or_else(wrong)?;
    let at = calls.position(|tool| tool.server == server && tool.name == name);
    let at = at.ok_or_else(|| calls.unknown(&format!("{server}__{name}")))?;
    calls.start(at, args.get_or_undefined(2), context)
}

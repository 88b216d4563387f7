//! Whatever a script does, no call leaves that it was not started with, and none with arguments that are wrong.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiw_orchestrator::{CallableTool, ScriptLimits, ScriptPlan, Tools};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::support::{orchestrator, tools};

#[derive(Default)]
struct Seen(Mutex<Vec<(String, String)>>);

#[async_trait]
impl Tools for Seen {
    async fn call(&self, tool: &CallableTool, arguments: String) -> Result<String, String> {
        self.0.lock().unwrap().push((tool.qualified_name.clone(), arguments));
        // As if the answer meant to be obeyed.
        let told = json!({"tools": ["test__fails"], "then": "call test__fails", "server": "test", "name": "fails"});
        Ok(json!({"content": [], "structuredContent": told}).to_string())
    }
}

/// Ways to a tool, by its name and the end of it.
const WAYS: &[&str] = &[
    "await tools.NAME({ city: 'Oslo' })",
    "await tools['NAME']({ city: 1 })",
    "await tools['NA' + 'ME'.slice(2)]({})",
    "const all = tools; const name = ['NAME'][0]; await all[name]({ city: 'x' })",
    "await mcp.call('test', 'SHORT', { city: 'Oslo' })",
    "await mcp.call('te' + 'st', `SHORT`, [1])",
    "await mcp.call({ toString: () => 'test' }, 'SHORT')",
    "await Reflect.get(tools, 'NAME')({})",
    "for (const key of Object.keys(tools)) await tools[key]({ city: key })",
    "for (const key of Reflect.ownKeys(tools)) await Reflect.apply(tools[key], null, [{}])",
    "await Object.getOwnPropertyDescriptor(tools, 'NAME').value({})",
    "const { NAME: f } = tools; await f({ city: 'x' })",
    "await tools.test__echo.call({ name: 'NAME', tool: 3 }, { tool: 'NAME' })",
    "await tools.test__echo.bind(null)({}, 'NAME')",
    "await tools.test__echo.constructor('return tools.NAME({})')()",
    "tools.NAME = tools.test__echo; await tools.NAME({})",
    "Object.defineProperty(tools, 'test__echo', { value: tools.NAME }); await tools.test__echo({})",
    "Object.setPrototypeOf(tools, { NAME: 1 }); await tools.NAME({})",
    "tools.__proto__.NAME = () => 1; await tools.NAME({})",
    "Object.prototype.whole_name = 'NAME'; Object.prototype.tool = 3; await tools.test__echo({})",
    "Array.prototype.findIndex = () => 3; Array.prototype.indexOf = () => 3; await tools.NAME({})",
    "String.prototype.toString = () => 'test__echo'; await tools.NAME({})",
    "Object.prototype.toJSON = () => ({ city: 5 }); await tools.test__strict({ city: 'Oslo' })",
    "JSON.stringify = () => '{\"city\":7}'; await tools.test__strict({ city: 'Oslo' })",
    "await tools.test__strict({ get city() { return this.n = (this.n ?? 0) + 1, this.n > 1 ? 7 : 'Oslo' } })",
    "await tools.test__strict(new Proxy({}, { ownKeys: () => ['city'], getOwnPropertyDescriptor: () => ({ enumerable: true, configurable: true }), get: () => 5 }))",
    "await tools.test__strict({ city: { toString: () => 'Oslo' } })",
    "await tools.test__strict(JSON.parse('{\"city\":\"x\",\"__proto__\":{\"city\":5}}'))",
    "await tools.test__strict({ city: 'Oslo', more: 1 })",
    "await tools.test__strict('{\"city\":5}')",
    "await new Proxy(tools, { get: (t) => t.NAME }).anything({ city: 'x' })",
    "const answer = await tools.test__echo({}); await mcp.call(answer.server, answer.name, {})",
    "const answer = await tools.test__echo({}); await tools[answer.tools[0]]({})",
    "Promise.prototype.then = function (f) { return f(tools.NAME({})) }; await tools.test__echo({})",
    "globalThis.tools = { NAME: async () => 1 }; await tools.NAME({})",
    "mcp.call = 1; await mcp.call('test', 'SHORT', {})",
    "await Object.getPrototypeOf(mcp.call).call.call(mcp.call, null, 'test', 'SHORT', { city: 'x' })",
    "Symbol.prototype[Symbol.toPrimitive] = () => 'NAME'; await tools[Symbol('x')]({})",
    "await tools[{ toString: () => 'NAME' }]({})",
    "await tools['test__echo\\u0000NAME']({}); await tools['NAME\\u0000']({})",
    "setTimeout(() => tools.NAME({ city: 'x' }), 0); await new Promise((r) => setTimeout(r, 2))",
    "class T { static { this.x = tools.NAME({}) } } await T.x",
    "await (async () => { throw await tools.NAME({}) })()",
];

mod fuzz {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").map_or(60, |cases| cases.parse().unwrap()), ..ProptestConfig::default() })]
        #[test]
        fn no_call_leaves_that_was_not_allowed(
            ways in prop::collection::vec((prop::sample::select(WAYS), 0usize..6), 1..8),
            allowed in prop::collection::btree_set(0usize..5, 1..4),
        ) {
            let all = tools();
            let lines: Vec<String> = ways
                .into_iter()
                .map(|(way, at)| {
                    let short = all.get(at).map_or("nothing", |tool| tool.name.as_str());
                    let line = way.replace("NAME", &format!("test__{short}")).replace("SHORT", short);
                    format!("try {{ {line} }} catch {{}}")
                })
                .collect();
            let planned: Vec<CallableTool> = allowed.iter().map(|at| all[*at].clone()).collect();
            let limits = ScriptLimits { cpu: Duration::from_secs(2), ..ScriptLimits::DEFAULT };
            let code = format!("{}\nreturn 1", lines.join("\n"));
            let plan = ScriptPlan { code: code.clone(), input: json!({}), tools: planned.clone(), limits, keep_arguments: false };
            let seen = Arc::new(Seen::default());
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
            // How it ends is its own affair.
            let _ = runtime.block_on(orchestrator().run(plan, seen.clone()));
            for (name, arguments) in seen.0.lock().unwrap().iter() {
                let tool = planned.iter().find(|tool| tool.qualified_name == *name);
                prop_assert!(tool.is_some(), "{name} was not allowed: {code}");
                let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap();
                if name == "test__strict" {
                    prop_assert!(arguments.len() == 1 && arguments["city"].is_string(), "{arguments:?}: {code}");
                }
            }
        }
    }
}

/// The memory of this process, in kB.
fn kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn many_runs_leave_nothing_behind() {
    // 10,000 in the soak.
    let rounds: u64 = std::env::var("AIW_SOAK_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let code = "const all = await Promise.all([1, 2, 3].map((n) => tools.test__echo({ n }))); console.log('x'); return all.length";
    let once = async || {
        let (limits, tools) = (ScriptLimits::DEFAULT, tools());
        let plan = ScriptPlan { code: code.into(), input: json!({}), tools, limits, keep_arguments: true };
        let ended = orchestrator().run(plan, Arc::new(Seen::default())).await;
        assert_eq!(ended.outcome.unwrap().get(), "3");
    };
    for _ in 0..100 {
        once().await;
    }
    let before = kilobytes();
    for _ in 0..rounds * 50 {
        once().await;
    }
    let after = kilobytes();
    // The other tests of this process run beside it.
    let room = if rounds < 100 { 400_000 } else { 40_000 };
    assert!(after < before + room, "{before} kB, and after {} runs {after} kB", rounds * 50);
}

//! Scripts in the real component, over tools that answer here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by a panic, its helpers too")]

mod allowed;
mod hostile;
mod node;
mod support;

use aiw_orchestrator::tool_names;
use serde_json::json;

use support::{failure, orchestrator, run, value};

#[tokio::test(flavor = "multi_thread")]
async fn what_models_send_is_run() {
    let forms = [
        ("async function workflow(input) { return input.a + 1 }", json!(3)),
        ("```js\nasync function main(input) {\n  return input.a * 2;\n}\n```", json!(4)),
        (
            "<think>I add them (or {not).</think>\n```javascript\nexport default async (input) => input.a\n```\nDone!",
            json!(2),
        ),
        ("export default async function (input) { return input.a }", json!(2)),
        ("async (input) => ({ sum: input.a + 1 })", json!({"sum": 3})),
        ("(input) => input.a;", json!(2)),
        ("const x = input.a;\nx + 40", json!(42)),
        ("const r = await Promise.resolve(5);\nreturn { r };", json!({"r": 5})),
        (
            "const double = (n) => n * 2;\nexport async function workflow(input) {\n  return double(input.a);\n}",
            json!(4),
        ),
        ("const workflow = async (input) => {\n  return input.a;\n}", json!(2)),
        ("module.exports = async (input) => input.a", json!(2)),
        ("let total = 0; for (const n of [1, 2]) total += n; total", json!(3)),
        ("({ a: 1, b: [2] })", json!({"a": 1, "b": [2]})),
        ("console.log('only this')", json!(null)),
        (
            "async function workflow(input) { return helper(input.a) }\nfunction helper(x) { return ['helper', x] }",
            json!(["helper", 2]),
        ),
        ("async function workflow(input) { return input.a }\nexport default workflow;", json!(2)),
        ("async function workflow(input) { return input.a }\nmodule.exports = { workflow };", json!(2)),
        ("async function workflow(input) { return input.a }\nworkflow", json!(2)),
        ("(async () => { return 5 })()", json!(5)),
        ("((input)).a", json!(2)),
        ("return `#!/bin/sh\nexport PATH=/x\n`", json!("#!/bin/sh\nexport PATH=/x\n")),
        ("const t = 'a<think>b</think>c'; return t", json!("a<think>b</think>c")),
        ("// strip <think> blocks\nreturn 1", json!(1)),
        ("// It doubles.\n```js\nreturn input.a * 2\n```", json!(4)),
        ("Here:\n```json\n{\"a\": 1}\n```\nand\n```JavaScript\nreturn input.a\n```", json!(2)),
        ("{ const tools = [1, 2]; return tools.map((n) => n + 1) }", json!([2, 3])),
        ("const { test__echo } = tools; return await test__echo({ n: 1 })", json!({"n": 1})),
        ("return Object.keys(tools).length", json!(5)),
        ("if (input.a > 1) { return 'big' }\nreturn 'small'", json!("big")),
    ];
    for (code, result) in forms {
        assert_eq!(value(code, json!({"a": 2})).await, result, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn types_are_taken_out() {
    for (code, result) in [
        ("const a: string = 'x';\nreturn a", json!("x")),
        (
            "interface City { name: string; at?: [number, number] }\nconst c: City = { name: 'Oslo' };\nreturn c",
            json!({"name": "Oslo"}),
        ),
        ("type Id = string | number;\ntype Pair<T> = { a: T; b: T };\nlet id: Id = 5;\nreturn id", json!(5)),
        (
            "interface Input { a: number }\nexport default async function workflow(input: Input): Promise<{ sum: number }> {\n  return { sum: input.a + 1 };\n}",
            json!({"sum": 3}),
        ),
        ("async (input: { a: number }) => input.a", json!(2)),
        (
            "const f = (a: number, b?: number, ...rest: string[]): number => a + (b ?? 1);\nreturn f(input.a as number)",
            json!(3),
        ),
        ("const m = new Map<string, number>();\nm.set('a', 1);\nreturn m.get('a')!.toFixed(1)", json!("1.0")),
        (
            "const m: Record<string, Array<{ id: number }>> = {};\n(m['x'] ??= []).push({ id: 1 });\nreturn m",
            json!({"x": [{"id": 1}]}),
        ),
        (
            "function first<T extends { id: number }>(all: T[]): T | undefined { return all[0]; }\nreturn first([{ id: 7 }])",
            json!({"id": 7}),
        ),
        (
            "const seen: Set<string> = new Set();\nfor (const x of ['a', 'a'] as const) seen.add(x);\nreturn seen.size",
            json!(1),
        ),
        (
            "const done: (x: string) => void = () => {};\nconst t = { a: 'b: string', c: 1 < 2 ? 'x' : 'y' } satisfies object;\nreturn t",
            json!({"a": "b: string", "c": "x"}),
        ),
        ("try { throw new Error('x') } catch (e: any) { return (e as Error).message }", json!("x")),
        ("const isText = (x: unknown): x is string => typeof x === 'string';\nreturn isText('a')", json!(true)),
        (
            "const r = (await tools.test__echo({ n: 1 })) as { n: number };\nconst { n }: { n: number } = r;\nreturn n",
            json!(1),
        ),
    ] {
        assert_eq!(value(code, json!({"a": 2})).await, result, "{code}");
    }
    // Lines stay where they were.
    let said =
        failure("interface A {\n  b: string\n}\nconst a: A = { b: 'x' };\nthrow new Error(a.b)", json!({})).await;
    assert!(said.contains("line 5"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_its_line() {
    let said = |code: &'static str| async move { failure(code, json!({})).await };
    for (code, parts) in [
        ("const a = 1;\nconst b = ;\nreturn a", &["line 2"][..]),
        ("enum City { Oslo }\nconst a: string = 'x'; return a", &["TypeScript"]),
        ("class A { private a: string; constructor(public b: string) {} }\nreturn 1", &["TypeScript"]),
        ("const a: string = 'x'; return f(new Set<Oslo>([1]))", &["TypeScript"]),
        ("import fs from 'fs';\nreturn 1", &["no modules"]),
        ("return 1 }) ; (async () => {", &["brackets do not match"]),
        ("", &["there is no script"]),
        ("\n\nthrow new Error('no luck')", &["line 3", "no luck"]),
        ("\nnull.x", &["line 2", "TypeError"]),
        (
            "const inner = () => {\n  throw new Error('deep');\n};\nconst outer = () => {\n  inner();\n};\nouter();",
            &["line 2: deep"],
        ),
        (
            "const inner = async () => {\n  await null;\n  throw new Error('deep');\n};\n\nreturn await inner();",
            &["line 3: deep"],
        ),
        (
            "const one = (x) => {\n  const y = 1;\n  return x.y.z;\n};\nreturn [1, 2].map((n) => one({}));",
            &["line 3: TypeError"],
        ),
        ("const a = 1;\n\nif (a) {\n  const b = a + missing;\n}\nreturn a", &["line 4: ReferenceError: missing"]),
        (
            "function go(a) {\n  if (typeof later === 'string') return 0;\n  let b = a * 2;\n  b += later;\n  return b;\n}\n\nreturn go(1)",
            &["line 4: ReferenceError: later"],
        ),
        ("const f = () => { throw 'text' };\n\nf()", &["text"]),
        ("throw new Error('x\\n    at f (script:77:1)')", &["line 1"]),
        ("\nawait sleep(1000)", &["line 2", "sleep is not defined", "setTimeout(done, 1000)"]),
        ("const fs = await import('node:fs')", &["there are no modules", "`setTimeout`"]),
        ("/*---\ndescription: x\n---*/\n// It adds.\n```js\nreturn 1\n```", &["line 5", "three backticks"]),
        ("const r = await fetch('https://example.com');", &["fetch is not defined", "the tools"]),
        ("require('fs')", &["require is not defined", "no modules"]),
        ("await new Promise(() => {})", &["nothing will ever settle"]),
        ("return eval('1')", &["switched off"]),
        ("return new Function('return 1')()", &["switched off"]),
        ("return (async () => {}).constructor('return 1')()", &["switched off"]),
        ("await import('fs')", &["module"]),
        ("const x = 1;\nconst { a: { b }, ...rest } = input; return rest", &["line 2", "put `a` into the `...`"]),
        ("const f = ({ a: [b] = [], ...rest }) => rest; return f({})", &["put `a` into"]),
        ("let a, rest; ({ a: { a }, ...rest } = input); return rest", &["put `a` into"]),
        ("function a() {}\nfunction b() {}", &["several functions", "`workflow`"]),
        ("throw new Error('x\\n\\u202e'.repeat(100000))", &["line 1"]),
        ("return () => () => 1", &["returned a function"]),
        ("return 10n", &["bigint"]),
        ("return new Date().toLocaleDateString('en-US', {month: 'short'})", &["toISOString"]),
        ("return (0.5).toLocaleString('en-US', {style: 'percent'})", &["no options", "toFixed"]),
        ("return 'a'.localeCompare('B', 'de')", &["no languages but `en-US`", "a < b"]),
        ("return new TextDecoder('utf-8', { fatal: true })", &["no `fatal`"]),
        ("return 'i'.toLocaleUpperCase('tr-TR')", &["letters of `tr`"]),
        ("return new Intl.NumberFormat().format(1)", &["Intl is not defined", "by hand"]),
        ("const a = {}; a.a = a; return a", &["TypeError"]),
    ] {
        let said = said(code).await;
        assert!(said.len() < 3000 && !said.contains(['\n', '\u{202e}']), "{code}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{code}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_cross_the_border_as_text() {
    let code = "const [a, b] = await Promise.all([tools.test__echo({n: 1}), mcp.call('test', 'echo', {n: 2})]);
        return [a, b, await tools.test__text()]";
    let ended = run(code, json!({})).await;
    assert_eq!(ended.outcome.unwrap().get(), r#"[{"n":1},{"n":2},"plain"]"#);
    assert_eq!(ended.trace.calls.len(), 3);
    // A failure can be caught, and names its tool.
    let caught = "try { await tools.test__fails({}) } catch (e) { return [e instanceof Error, e.message, e.tool] }";
    assert_eq!(value(caught, json!({})).await, json!([true, "no such city", "test__fails"]));
    let said = failure("\nawait tools.test__fails({})", json!({})).await;
    assert!(said.contains("no such city"), "{said}");
    for (code, parts) in [
        ("await tools.test__ehco({})", "did you mean `test__echo`"),
        ("await tools.echo({})", "did you mean `test__echo`"),
        ("await mcp.call('test', 'nothing', {})", "none of the tools"),
        ("await tools.test__strict({citty: 'Oslo'})", "`city` is missing, and `citty` is not one of its arguments"),
        ("await tools.test__echo([1])", "one object"),
        ("tools.mine = 1", "can't be changed"),
    ] {
        let said = failure(code, json!({})).await;
        assert!(said.contains(parts), "{code}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_calls_run_at_the_same_time() {
    let code = "const all = await Promise.all(Array.from({length: 10}, (_, n) => tools.test__slow({n})));
        return all.map((one) => one.n)";
    assert_eq!(value(code, json!({})).await, json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    // What nobody awaits ends with the script.
    let ended = run("tools.test__slow({ms: 60000}); return 1", json!({})).await;
    assert_eq!((ended.outcome.unwrap().get(), ended.trace.cancelled), ("1", vec!["test__slow".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_finds_what_servers_have() {
    for (code, result) in [
        ("return [btoa('hi'), atob('aGk=')]", json!(["aGk=", "hi"])),
        (
            "const u = new URL('https://a.example/b?c=1#d'); return [u.host, u.pathname, u.search]",
            json!(["a.example", "/b", "?c=1"]),
        ),
        ("return new TextDecoder().decode(new TextEncoder().encode('grüß'))", json!("grüß")),
        ("return structuredClone({a: [1, new Date(0)]})", json!({"a": [1, "1970-01-01T00:00:00.000Z"]})),
        ("return await new Promise((done) => setTimeout(() => done('later'), 5))", json!("later")),
        (
            "let n = 0; return await new Promise((done) => { const i = setInterval(() => { if (++n == 3) { clearInterval(i); done(n) } }, 1) })",
            json!(3),
        ),
        ("let s = ''; queueMicrotask(() => { s += 'b' }); s += 'a'; await null; return s", json!("ab")),
        ("return /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/.test(crypto.randomUUID())", json!(true)),
        ("const a = crypto.getRandomValues(new Uint8Array(64)); return new Set(a).size > 10", json!(true)),
        ("return 'abc'.substr(1, 1)", json!("b")),
        ("return typeof performance.now()", json!("number")),
        ("return Math.abs(Date.now() - input.now) < 60000", json!(true)),
        (
            "return [new Date('2024-01-02 10:00:00').toISOString(), Date.parse('Jan 2, 2024'), new Date('x').getTime()]",
            json!(["2024-01-02T10:00:00.000Z", 1_704_153_600_000_i64, null]),
        ),
        (
            "return [new Date(2024, 0, 2) - new Date('2024-01-02T00:00Z'), new Date(0) instanceof Date, (new Date()).constructor === Date, typeof Date()]",
            json!([0, true, true, "string"]),
        ),
        (
            "class D extends Date { half() { return this.getTime() / 2 } } return new D('1970-01-01 00:00:02').half()",
            json!(1000),
        ),
        (
            "return [(1234567.891).toLocaleString(), (12n).toLocaleString(), ['b', 'A', 'a', 'é', 'z'].sort((a, b) => a.localeCompare(b))]",
            json!(["1,234,567.891", "12", ["a", "A", "b", "é", "z"]]),
        ),
        ("return JSON.parse('{\"b\":1,\"a\":{\"__proto__\":2}}')", json!({"b": 1, "a": {"__proto__": 2}})),
        ("console.time('x'); console.timeEnd('x'); return 1", json!(1)),
        ("let n = 0; while (n++ < 300) await new Promise((r) => setTimeout(r, 4)); return n", json!(301)),
        (
            "let done; tools.test__slow({ms: 20}).then(() => { done = true }); while (!done) await new Promise((r) => setTimeout(r, 0)); return done",
            json!(true),
        ),
        ("return (await Promise.all(Array.from({length: 40}, (_, n) => tools.test__echo({n})))).length", json!(40)),
        ("return Object.keys(JSON.parse('{\"b\":1,\"a\":2}'))", json!(["b", "a"])),
    ] {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        assert_eq!(value(code, json!({"now": now as u64})).await, result, "{code}");
    }
    // All digits stay, in both directions.
    let numbers = "[31.245270191439438,121.48791951161945,1e+21,0.1]";
    let code = format!("return (await tools.test__echo({{ n: JSON.parse('{numbers}') }})).n");
    assert_eq!(run(&code, json!({})).await.outcome.unwrap().get(), numbers);
    let ended = run("console.log('one', {a: 1}); console.warn('two'); tools.test__fails({}); await tools.test__slow({ms: 50}); return 1", json!({})).await;
    let logs: Vec<String> = ended.trace.logs.iter().map(|line| format!("{}: {}", line.level, line.line)).collect();
    assert!(logs[0].starts_with("log: one") && logs[1] == "warn: two", "{logs:?}");
    assert!(logs[2].contains("no such city") && logs[2].contains("nothing awaited it"), "{logs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_checked_without_running_it() {
    let check = async |code: &str| {
        let named = orchestrator().check(code, &tool_names(&support::tools())).await;
        named.map(|numbers| numbers.iter().map(|at| support::tools()[*at].qualified_name.clone()).collect::<Vec<_>>())
    };
    let named =
        check("const a = await tools.test__echo({}); await mcp.call('test', 'slow', {}); tools['test__echo']").await;
    assert_eq!(named.unwrap(), ["test__echo", "test__slow"]);
    let said = check("if (false) tools.test__ecko({})").await.unwrap_err().to_string();
    assert!(said.contains("line 1") && said.contains("did you mean `test__echo`"), "{said}");
    assert!(check("return (").await.is_err());
}

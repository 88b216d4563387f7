//! Scripts in the real component, over tools that answer here.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends by a panic, its helpers too")]

mod hostile;
mod support;

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
        ("if (input.a > 1) { return 'big' }\nreturn 'small'", json!("big")),
    ];
    for (code, result) in forms {
        assert_eq!(value(code, json!({"a": 2})).await, result, "{code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_with_its_line() {
    let said = |code: &'static str| async move { failure(code, json!({})).await };
    for (code, parts) in [
        ("const a = 1;\nconst b = ;\nreturn a", &["line 2"][..]),
        ("const a: string = 'x';\nreturn a", &["TypeScript"]),
        ("interface City { name: string }\nreturn 1", &["TypeScript"]),
        ("import fs from 'fs';\nreturn 1", &["no modules"]),
        ("return 1 }) ; (async () => {", &["brackets do not match"]),
        ("", &["there is no script"]),
        ("\n\nthrow new Error('no luck')", &["line 3", "no luck"]),
        ("\nnull.x", &["line 2", "TypeError"]),
        ("const r = await fetch('https://example.com');", &["fetch is not defined", "the tools"]),
        ("require('fs')", &["require is not defined", "no modules"]),
        ("await new Promise(() => {})", &["nothing will ever settle"]),
        ("return eval('1')", &["switched off"]),
        ("return new Function('return 1')()", &["switched off"]),
        ("return (async () => {}).constructor('return 1')()", &["switched off"]),
        ("await import('fs')", &["module"]),
        ("return 10n", &["bigint"]),
        ("const a = {}; a.a = a; return a", &["TypeError"]),
    ] {
        let said = said(code).await;
        assert!(parts.iter().all(|part| said.contains(part)), "{code}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_cross_the_border_as_text() {
    let code = "const [a, b] = await Promise.all([tools.test__echo({n: 1}), mcp.call('test', 'echo', {n: 2})]);
        return [a, b, await tools.test__text()]";
    let ended = run(code, json!({})).await;
    assert_eq!(ended.outcome.unwrap(), json!([{"n": 1}, {"n": 2}, "plain"]));
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
        ("await tools.test__strict({citty: 'Oslo'})", "did you mean `city`"),
        ("await tools.test__echo([1])", "one object"),
        ("tools.mine = 1", "can't be changed"),
    ] {
        let said = failure(code, json!({})).await;
        assert!(said.contains(parts), "{code}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_side_by_side_take_as_long_as_the_slowest() {
    let code = "const all = await Promise.all(Array.from({length: 10}, (_, n) => tools.test__slow({ms: 300, n})));
        return all.map((one) => one.n)";
    let start = std::time::Instant::now();
    assert_eq!(value(code, json!({})).await, json!([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]));
    // One after the other they take three seconds. A guard, not a measurement.
    assert!(start.elapsed().as_millis() < 2500, "{:?}", start.elapsed());
    // What nobody awaits ends with the script.
    let ended = run("tools.test__slow({ms: 60000}); return 1", json!({})).await;
    assert_eq!((ended.outcome.unwrap(), ended.trace.cancelled), (json!(1), 1));
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
        ("return JSON.parse('{\"b\":1,\"a\":{\"__proto__\":2}}')", json!({"b": 1, "a": {"__proto__": 2}})),
        ("return Object.keys(JSON.parse('{\"b\":1,\"a\":2}'))", json!(["b", "a"])),
    ] {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        assert_eq!(value(code, json!({"now": now as u64})).await, result, "{code}");
    }
    let ended = run("console.log('one', {a: 1}); console.warn('two'); tools.test__fails({}); await tools.test__slow({ms: 50}); return 1", json!({})).await;
    let logs: Vec<String> = ended.trace.logs.iter().map(|line| format!("{}: {}", line.level, line.line)).collect();
    assert!(logs[0].starts_with("log: one") && logs[1] == "warn: two", "{logs:?}");
    assert!(logs[2].contains("no such city") && logs[2].contains("nothing awaited it"), "{logs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_checked_without_running_it() {
    let check = async |code: &str| {
        let named = orchestrator().check(code, &support::tools()).await;
        named.map(|numbers| numbers.iter().map(|at| support::tools()[*at].whole_name.clone()).collect::<Vec<_>>())
    };
    let named =
        check("const a = await tools.test__echo({}); await mcp.call('test', 'slow', {}); tools['test__echo']").await;
    assert_eq!(named.unwrap(), ["test__echo", "test__slow"]);
    let said = check("if (false) tools.test__ecko({})").await.unwrap_err().to_string();
    assert!(said.contains("line 1") && said.contains("did you mean `test__echo`"), "{said}");
    assert!(check("return (").await.is_err());
}

//! Scripts that mean no good: each ends within its limits as an error, and the next one runs.

use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{run, value};

/// Each is ended after 10 s of its own time at the latest. A guard against hanging, with room for a busy machine.
const HANG_TIMEOUT: Duration = Duration::from_secs(60);

const SCRIPTS: &[&str] = &[
    "while (true) {}",
    "for (;;) await null",
    "const f = () => Promise.resolve().then(f); await f()",
    "return 'a'.repeat(2 ** 30)",
    "let s = 'a'; while (true) s += s",
    "return 'a'.padEnd(2 ** 30, 'b')",
    "return new Array(2 ** 32 - 1).fill(0)",
    "return Array.from({ length: 2 ** 32 - 1 })",
    "return Array(2 ** 28).join('abc')",
    "const a = []; while (true) a.push(new Array(1000).fill(1))",
    "/(a+)+b/.test('a'.repeat(50)); return 1",
    "/^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60)); return 1",
    "const f = () => f(); f()",
    "const f = (n) => { try { f(n + 1) } finally { f(n + 1) } }; f(0)",
    "let o = {}; for (let i = 0; i < 1e5; i++) o = { o }; return o",
    "let o = []; for (let i = 0; i < 1e5; i++) o = [o]; return JSON.stringify(o).length",
    "const p = []; while (true) p.push(new Promise(() => {}))",
    "while (true) setTimeout(() => {}, 0)",
    "while (true) queueMicrotask(() => {})",
    "setInterval(() => {}, 0); await new Promise(() => setTimeout(() => { while (true) {} }, 50))",
    "function* g() { while (true) yield 1 } return [...g()]",
    "return Array.from({ length: 1e6 }, () => Math.random()).sort(() => { while (true) {} })",
    "return (2n ** 3000000n).toString().length + (7n ** 9000000n).toString().length",
    "return JSON.parse('['.repeat(1e5) + ']'.repeat(1e5))",
    "return new ArrayBuffer(2 ** 31)",
    "Atomics.wait(new Int32Array(new SharedArrayBuffer(8)), 0, 0); while (true) {}",
    "return await tools.test__echo(new Proxy({}, { ownKeys() { while (true) {} } }))",
    "return await tools.test__echo({ get x() { while (true) {} } })",
    "return { toJSON() { while (true) {} } }",
    "Object.defineProperty(Object.prototype, 'toJSON', { value() { while (true) {} } }); return {}",
    "Promise.prototype.then = function () { while (true) {} }; return await tools.test__echo({})",
    "while (true) console.log('x'.repeat(1e6))",
    "const d = Date.now(); while (Date.now() - d < 1e9) {}",
];

#[tokio::test(flavor = "multi_thread")]
async fn each_ends_and_the_next_one_runs() {
    for code in SCRIPTS {
        let start = Instant::now();
        let ended = tokio::time::timeout(HANG_TIMEOUT, run(code, json!({}))).await;
        let ended = ended.unwrap_or_else(|_| panic!("it hangs: {code}"));
        // A few are no harm in this engine.
        if let Ok(value) = &ended.outcome {
            assert!(value.get().len() < 1000, "{code}: {value}");
        }
        assert!(start.elapsed() < HANG_TIMEOUT, "{code}");
        assert_eq!(value("return 1 + 1", json!({})).await, json!(2), "after {code}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn brackets_for_the_parser_are_refused_or_parsed() {
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{a:", "}"),
        ("(()=>", ")"),
        ("!", ""),
        ("-", ""),
        ("`${", "}`"),
        ("a=>", ""),
        ("new ", ""),
        ("x?y:", ""),
    ] {
        for depth in [100, 10_000, 60_000] {
            let code = format!("return {}1{}", open.repeat(depth), close.repeat(depth));
            let ended = tokio::time::timeout(HANG_TIMEOUT, run(&code, json!({}))).await;
            assert!(ended.is_ok(), "{open} {depth}");
        }
    }
    assert_eq!(value("return 1", json!({})).await, json!(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_one_script_is_left_for_the_next() {
    value("globalThis.left = 1; Array.prototype.map = () => 'mine'; JSON.stringify = () => '0'; return 1", json!({}))
        .await;
    let next = value("return [typeof left, [1].map((n) => n + 1), JSON.stringify([1])]", json!({})).await;
    assert_eq!(next, json!(["undefined", [2], "[1]"]));
    // What a script replaces does not reach across the border either.
    let code = "JSON.stringify = () => '{\"n\":9}'; JSON.parse = () => 0; Object.prototype.n = 7;
        const a = await tools.test__echo({ n: 1 }); return a";
    assert_eq!(value(code, json!({})).await, json!({"n": 1}));
}

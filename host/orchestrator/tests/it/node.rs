//! Scripts give here what they give in Node: those in the table of the documentation, and those that models write.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::support::{failure, run};

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/workflows.md");

/// Runs scripts over the tools of `support`. What it prints is a list: each result, or none for an error.
const HARNESS: &str = r"
const AsyncFunction = (async () => {}).constructor;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const answers = {
  test__echo: async (args) => args ?? {},
  test__text: async () => 'plain',
  test__fails: async () => { throw Object.assign(new Error('no such city'), { tool: 'test__fails' }) },
  test__slow: async (args) => (await pause(args.ms), args),
  test__strict: async (args) => args,
};
const tools = new Proxy({}, { get: (_, name) => answers[name] && (async (args) => structuredClone(await answers[name](args))) });
const mcp = { call: (server, name, args) => tools[server + '__' + name](args) };
let text = '';
process.stdin.on('data', (part) => { text += part });
process.stdin.on('end', async () => {
  const results = [];
  console.log = console.warn = () => {};
  for (const { code, input } of JSON.parse(text)) {
    const body = /^\s*(async )?function workflow/.test(code) ? code + '\nreturn await workflow(input)' : code;
    try {
      const value = await new AsyncFunction('input', 'tools', 'mcp', body)(input, tools, mcp);
      results.push(JSON.stringify(value === undefined ? null : value));
    } catch (e) { results.push(null) }
  }
  process.stdout.write(JSON.stringify(results));
});";

/// Runs scripts in Node. None if it is absent.
fn in_node(scripts: &[(String, Value)]) -> Option<Vec<Option<String>>> {
    let mut node = Command::new("node");
    node.args(["-e", HARNESS]).env("TZ", "UTC").env("LC_ALL", "en_US.UTF-8");
    let Ok(mut child) = node.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() else {
        aiw_tests::not_run("node is absent");
        return None;
    };
    let given: Vec<Value> = scripts.iter().map(|(code, input)| json!({"code": code, "input": input})).collect();
    child.stdin.take().unwrap().write_all(Value::from(given).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

async fn here(code: &str, input: Value) -> String {
    run(code, input).await.outcome.unwrap_or_else(|e| panic!("{code}\n{e}")).get().to_owned()
}

/// The cells of the lines of a table whose first one is code, after a sentence.
fn table<'a>(docs: &'a str, sentence: &str) -> Vec<(&'a str, &'a str)> {
    let rest = docs.split_once(sentence).unwrap().1.trim_start();
    let lines = rest.lines().take_while(|line| line.starts_with('|')).skip(2);
    // No expression has a bar with spaces around it.
    let cells = |line: &'a str| line.trim_matches('|').trim().split_once(" | ").unwrap();
    let code = |cell: &'a str| cell.trim().strip_prefix('`').unwrap().strip_suffix('`').unwrap();
    lines.map(|line| (code(cells(line).0), cells(line).1.trim())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_in_the_documentation_holds() {
    let docs = std::fs::read_to_string(DOCS).unwrap();
    let same = table(&docs, "These are as in Node:");
    assert!(same.len() > 30);
    let scripts: Vec<(String, Value)> = same.iter().map(|(code, _)| (format!("return {code}"), json!({}))).collect();
    for (code, result) in &same {
        assert_eq!(here(&format!("return {code}"), json!({})).await, result.trim_matches('`'), "{code}");
    }
    for (at, result) in in_node(&scripts).into_iter().flatten().enumerate() {
        assert_eq!(result.as_deref(), Some(same[at].1.trim_matches('`')), "{} in Node", same[at].0);
    }
    let others = table(&docs, "These are not:");
    assert!(others.len() > 8);
    for (code, part) in others {
        let said = failure(&format!("return {code}"), json!({})).await;
        assert!(said.contains(part.trim_matches('`')) || said.contains(&part.replace('`', "")), "{code}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn typical_scripts_give_what_they_give_in_node() {
    let scripts: Vec<(String, Value)> = STOCK.iter().map(|code| ((*code).to_owned(), input())).collect();
    let node = in_node(&scripts);
    for (at, (code, input)) in scripts.into_iter().enumerate() {
        let result = here(&code, input).await;
        assert_ne!(result, "null", "{code}");
        if let Some(node) = &node {
            assert_eq!(Some(result), node[at], "{code}");
        }
    }
}

fn input() -> Value {
    json!({
        "issues": [
            {"id": 3, "title": "Crash on start", "labels": ["bug", "p1"], "created": "2024-03-05T10:00:00Z", "author": {"name": "Åsa"}},
            {"id": 1, "title": "Add dark mode", "labels": ["feature"], "created": "2023-12-31T23:59:59Z", "author": null},
            {"id": 2, "title": "Typo | in docs", "labels": [], "created": "2024-03-05T09:00:00+01:00", "author": {"name": "Bo"}},
        ],
        "csv": "name,age,city\n\"Doe, Jane\",34,Oslo\nBob,,\"New \"\"York\"\"\"\n",
        "log": "2024-03-05 10:00:01 ERROR db: timeout after 30s\n2024-03-05 10:00:02 INFO ok\n2024-03-05 10:00:03 ERROR api: 502",
        "html": "<a href=\"/one\">One</a> text <a class='x' href='https://b.example/two?x=1&amp;y=2'>Two</a>",
        "numbers": [5, 3.5, -2, 100, 0.1],
    })
}

/// Scripts as models write them.
const STOCK: &[&str] = &[
    "async function workflow(input) {
  const byLabel = {};
  for (const issue of input.issues) {
    for (const label of issue.labels.length ? issue.labels : ['(none)']) {
      (byLabel[label] ??= []).push(issue.id);
    }
  }
  return byLabel;
}",
    "const sorted = [...input.issues].sort((a, b) => new Date(a.created) - new Date(b.created));
return sorted.map(({ id, created }) => `${id}: ${new Date(created).toISOString().slice(0, 10)}`);",
    "async function workflow({ issues }) {
  const rows = issues.map((i) => `| ${i.id} | ${i.title.replace(/\\|/g, '\\\\|')} | ${i.author?.name ?? 'unknown'} |`);
  return ['| id | title | author |', '|---|---|---|', ...rows].join('\\n');
}",
    "function parseCsv(text) {
  const rows = []; let row = [], cell = '', quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c === '\"' && text[i + 1] === '\"') { cell += '\"'; i++; }
      else if (c === '\"') quoted = false;
      else cell += c;
    } else if (c === '\"') quoted = true;
    else if (c === ',') { row.push(cell); cell = ''; }
    else if (c === '\\n') { row.push(cell); rows.push(row); row = []; cell = ''; }
    else cell += c;
  }
  return rows;
}
const [head, ...rows] = parseCsv(input.csv);
return rows.map((row) => Object.fromEntries(head.map((key, at) => [key, row[at] || null])));",
    "const errors = [...input.log.matchAll(/^(?<at>[\\d-]+ [\\d:]+) ERROR (?<where>\\w+): (?<what>.*)$/gm)];
return errors.map(({ groups }) => ({ ...groups, at: new Date(groups.at + 'Z').getTime() }));",
    "const links = [...input.html.matchAll(/<a\\s[^>]*href=[\"']([^\"']+)[\"'][^>]*>(.*?)<\\/a>/g)]
  .map(([, href, text]) => ({ href: new URL(href.replaceAll('&amp;', '&'), 'https://a.example').href, text }));
return links;",
    "const n = input.numbers;
const sum = n.reduce((a, b) => a + b, 0), mean = sum / n.length;
const sd = Math.sqrt(n.map((x) => (x - mean) ** 2).reduce((a, b) => a + b) / (n.length - 1));
const mid = n.toSorted((a, b) => a - b)[Math.floor(n.length / 2)];
return { sum, mean, sd: Number(sd.toFixed(6)), mid, max: Math.max(...n), min: Math.min(...n) };",
    "async function workflow(input) {
  const results = await Promise.all(input.issues.map(({ id }) => tools.test__echo({ id })));
  const ids = results.map((r) => r.id);
  return { ids, total: ids.length, unique: new Set(ids).size };
}",
    "const settled = await Promise.allSettled([tools.test__echo({ a: 1 }), tools.test__fails({}), tools.test__text()]);
return settled.map((s) => s.status === 'fulfilled' ? s.value : `failed: ${s.reason.message.split(' (')[0]}`);",
    "async function retry(f, times) {
  for (let attempt = 1; ; attempt++) {
    try { return await f(attempt); }
    catch (e) { if (attempt >= times) throw e; await new Promise((r) => setTimeout(r, 2 ** attempt)); }
  }
}
return await retry(async (n) => { if (n < 3) throw new Error('again'); return tools.test__echo({ n }); }, 5);",
    "let page = 1; const all = [];
while (true) {
  const { items } = await tools.test__echo({ items: page <= 3 ? [page, page * 10] : [] });
  if (!items.length) break;
  all.push(...items); page++;
}
return all;",
    "const timeout = (p, ms) => Promise.race([p, new Promise((_, no) => setTimeout(() => no(new Error('timed out')), ms))]);
try { await timeout(tools.test__slow({ ms: 2000 }), 30); return 'in time'; } catch (e) { return e.message; }",
    "const chunk = (list, size) => list.length ? [list.slice(0, size), ...chunk(list.slice(size), size)] : [];
const out = [];
for (const part of chunk([1, 2, 3, 4, 5, 6, 7], 3)) out.push(await Promise.all(part.map((n) => mcp.call('test', 'echo', { n }))));
return out.map((part) => part.map((x) => x.n));",
    "class Counter {
  #counts = new Map();
  add(key, by = 1) { this.#counts.set(key, (this.#counts.get(key) ?? 0) + by); return this; }
  get top() { return [...this.#counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1)); }
  static of(words) { return words.reduce((c, w) => c.add(w), new Counter()); }
}
return Counter.of('the cat and the dog and the bird'.split(' ')).top;",
    "function* ids(list) { for (const { id } of list) if (id % 2) yield id; }
return [...ids(input.issues)].concat(Array.from({ length: 3 }, (_, n) => n * n));",
    "async function* pages() { for (let n = 0; n < 3; n++) yield (await tools.test__echo({ n })).n; }
const seen = []; for await (const n of pages()) seen.push(n); return seen;",
    "const day = 86400000, from = Date.UTC(2024, 1, 27);
return Array.from({ length: 4 }, (_, n) => new Date(from + n * day)).map((d) => `${d.getUTCMonth() + 1}/${d.getUTCDate()} ${['Su','Mo','Tu','We','Th','Fr','Sa'][d.getUTCDay()]}`);",
    "const months = { Jan: 0, Feb: 1, Mar: 2 };
const m = /^(\\d{1,2}) (\\w{3}) (\\d{4})$/.exec('5 Mar 2024');
const date = new Date(Number(m[3]), months[m[2]], Number(m[1]));
date.setDate(date.getDate() - 10);
return [date.toISOString(), date.toDateString(), Math.round((new Date(2024, 3, 1) - date) / 864e5)];",
    "const { issues, missing = 'default', ...others } = input;
const [first, ...rest] = issues;
return { first: first.id, rest: rest.map(({ id: number }) => number), missing, keys: Object.keys(others) };",
    "outer: for (let a = 1; a < 20; a++) for (let b = a; b < 20; b++) { const c = Math.hypot(a, b); if (c % 1 === 0 && a + b + c > 30) { var found = [a, b, c]; break outer; } }
return found;",
    "const slug = (s) => s.normalize('NFD').replace(/[\\u0300-\\u036f]/g, '').toLowerCase().replace(/[^a-z0-9]+/g, '-').replace(/^-|-$/g, '');
return ['Crème Brûlée!', ' Ünïcödé  Text ', 'A/B'].map(slug);",
    "const tree = [{ id: 1, parent: null }, { id: 2, parent: 1 }, { id: 3, parent: 1 }, { id: 4, parent: 2 }];
const build = (parent) => tree.filter((n) => n.parent === parent).map(({ id }) => ({ id, children: build(id) }));
return build(null);",
    "const deep = (a, b) => { for (const [k, v] of Object.entries(b)) a[k] = v && typeof v === 'object' && !Array.isArray(v) ? deep(a[k] ?? {}, v) : v; return a; };
return deep({ a: { b: 1, c: [1] } }, { a: { c: [2], d: { e: null } }, f: undefined });",
    "const memo = new Map(); const fib = (n) => n < 2n ? n : memo.get(n) ?? (memo.set(n, fib(n - 1n) + fib(n - 2n)), memo.get(n));
return fib(90n).toString();",
    "const words = input.issues.flatMap((i) => i.title.toLowerCase().match(/\\b[a-z]{4,}\\b/g) ?? []);
return Object.entries(words.reduce((all, w) => ({ ...all, [w]: (all[w] || 0) + 1 }), {})).map(([w, n]) => `${w.padEnd(8, '.')}${String(n).padStart(3)}`);",
    "let error; try { try { JSON.parse('{bad') } catch (cause) { throw new Error('not JSON', { cause }) } } catch (e) { error = e }
return [error.message, error.cause instanceof SyntaxError, error instanceof Error, error.name];",
    "const money = (n) => '$' + n.toFixed(2).replace(/\\B(?=(\\d{3})+(?!\\d))/g, ',');
return [1234567.891, 0.5, 999].map(money).concat((1e21).toLocaleString(), (-1234.5678).toLocaleString());",
    "const queue = [3, 1, 2], done = [];
await Promise.all(Array.from({ length: 2 }, async () => { while (queue.length) { const ms = queue.shift(); await tools.test__slow({ ms: ms * 10 }); done.push(ms); } }));
return done.sort();",
    "const query = Object.entries({ q: 'a b&c', page: 2 }).map(([k, v]) => `${k}=${encodeURIComponent(v)}`).join('&');
const url = new URL('/search?' + query, 'https://api.example');
return [url.toString(), url.search, Object.fromEntries(url.search.slice(1).split('&').map((p) => p.split('=').map(decodeURIComponent)))];",
    "const url = new URL('https://api.example/search?b=1&b=2&c'); const q = url.searchParams;
q.set('q', 'a b&c'); q.append('page', 2); q.delete('b', '1'); q.set('b', \"it's (3)\");
const seen = [url.toString(), [...q.keys()], Object.fromEntries(q), q.has('c'), q.get('none'), q.size];
url.search = '?x=%E2%82%AC+%zz&y='; seen.push([...q], q.toString()); q.sort(); q.forEach((value, key) => seen.push(key + value));
return [seen, `${new URLSearchParams('?a=1&a=2&=&%3D=+')}`, new URLSearchParams([['x', 'y']]) + '', new URLSearchParams(new Map([['k', 'v']])).get('k')];",
    "const controller = new AbortController(); const { signal } = controller; const seen = [];
signal.addEventListener('abort', (event) => seen.push([event.type, event.target === signal, signal.aborted]), { once: true });
signal.onabort = () => seen.push('on');
controller.abort(); controller.abort('again');
try { signal.throwIfAborted() } catch (e) { seen.push(e.name, e.message) }
const late = AbortSignal.any([AbortSignal.timeout(10), new AbortController().signal]);
await new Promise((done) => late.addEventListener('abort', done));
const target = new EventTarget(); target.addEventListener('x', { handleEvent: (e) => e.preventDefault() });
return [seen, late.reason.name, late.aborted, signal instanceof EventTarget, target.dispatchEvent(new Event('x', { cancelable: true }))];",
    // What the engine gets wrong by itself.
    r#"const slug = (s) => s.replace(/[\W_]+/gi, '-').toLowerCase();
return [slug('My tasks look sick'), 'user_name ks'.replace(/[^\W]/gi, '.'), 'Kiss!'.split(new RegExp('[\\W]', 'i')), RegExp('[^\\W\\d]+', 'gi')[Symbol.replace]('ask 12', 'x'), 'a-k'.match(/[\W]/i).index, new RegExp(/[\W]/, 'i').test('k'), /x/ instanceof RegExp, /x/.constructor === RegExp, 'aXbxc'.split(/x/i)];"#,
    "return ['2024-01-02T10:00:00.123456Z', '2024-01-02T10:00:00.123456789+02:00', '2024-01-02T03:04:05.6Z', '2024-01-02T10:00:00.1', '2024-01-02T10:00:00+0200', '2024-01-02T10:00:00-0530', '2024-01-02t03:04:05z', '2024-01-02T10:00', '2024-01-02T24:00:00Z', '2024-01-02T10:00:00+00', '2024-01-02T25:00:00Z', '2024-01-02T10:00:60Z', '2024-02-31T10:00:00Z', '2024-13-01T10:00:00Z', '2024-01-02', '2024-01', '2024', '2024-01-02T10', '+002024-01-02T10:00:00Z'].map((t) => [Date.parse(t), new Date(t).getTime()]).concat([[new Date([2024, 1]).getTime(), new Date(new Date(5)).getTime(), new Date(new String('2024')).getTime()]]);",
    "const s = new Set([1, 2, 3]), m = new Map([[1, 1], [2, 2]]), r = [];
for (const k of s) { r.push(k); if (k === 2) { s.clear(); s.add(9); } }
for (const [k] of m) { r.push(k); if (k === 1) { m.clear(); m.set(7, 7); m.set(8, 8); } }
s.forEach((k) => { r.push(k); if (k < 12) { s.clear(); s.add(k + 1); } });
return [r, [...s], m.size, m.clear(), m.size];",
    "const e = new TypeError('boom'); class Mine extends Error { name = 'Mine' }
return [e.stack.split('\\n')[0], new Mine('x').stack.includes('x'), (() => { try { null.x } catch (e) { return e.stack.startsWith('TypeError: ') } })()];",
    "return [[1234, 5.5, null, 'a'].toLocaleString(), new Float64Array([1234.5, 1]).toLocaleString(), String(new Date(0)), new Date(0).toTimeString(), `${new Date(NaN)}`, 'i'.toLocaleUpperCase('en'), 'I'.toLocaleLowerCase(), (1.5e-101).toPrecision(3), (5e-324).toPrecision(2), (0.00001234).toPrecision(2), (1234.5).toLocaleString('en-US', {})];",
    "return Object.entries({ b: 1, a: 2, 10: 'x', 9: 'y' }).map(([k, v]) => k + v).join();",
    "const same = (a, b) => JSON.stringify(a) === JSON.stringify(b); const s = new Set([1, 2]), w = new WeakMap(), k = {}; w.set(k, 'v');
return [same([1, { a: 2 }], [1, { a: 2 }]), [...s.entries()], w.get(k), typeof Symbol.iterator, [,1].length, 0 === -0, Object.is(0, -0)];",
];

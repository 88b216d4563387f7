//! Components crafted to cost more than they should, or to get more than they may.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use aiw_tests::{Environment, Run, component};

/// Enough for the compiler to need minutes or gigabytes.
const SLOW_VALUES: usize = 20_000;

/// Far above the limits, and far below the time it took without them.
const SOON: Duration = Duration::from_secs(60);

fn file(env: &Environment, name: &str, bytes: &[u8]) -> PathBuf {
    let path = env.path(name);
    fs::write(&path, bytes).unwrap();
    path
}

fn add(env: &Environment, bytes: &[u8]) -> Run {
    let path = file(env, "added.wasm", bytes);
    env.run(&["extension", "add", &path.display().to_string(), "--yes"])
}

fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// Adds one more core module to a component, and instantiates it beside the others.
fn with_module(component: &[u8], text: &str) -> Vec<u8> {
    let module = wat::parse_str(text).unwrap();
    let modules = core_modules(component);
    let mut bytes = component.to_owned();
    bytes.push(1);
    bytes.extend(number(module.len()));
    bytes.extend(module);
    let instance = [&[1, 0][..], &number(modules), &[0]].concat();
    bytes.push(2);
    bytes.extend(number(instance.len()));
    bytes.extend(instance);
    bytes
}

/// Counts the core modules of a component: its sections of kind 1.
fn core_modules(component: &[u8]) -> usize {
    let (mut at, mut count) = (8, 0);
    while at < component.len() {
        count += usize::from(component[at] == 1);
        at += 1;
        let (mut length, mut shift) = (0, 0);
        loop {
            let byte = component[at];
            at += 1;
            length |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        at += length;
    }
    count
}

#[test]
fn instances_in_instances_are_refused_before_they_are_compiled() {
    let env = Environment::new();
    // 24 components, each of which instantiates the previous one twice: 16 million instances in 1 kB.
    let mut text = "(component (component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=24 {
        let before = level - 1;
        text += &format!(
            "(component $c{level} (alias outer 1 $c{before} (component $c)) \
             (instance (instantiate $c)) (instance (instantiate $c)))"
        );
    }
    let bomb = wat::parse_str(text + "(instance (instantiate $c24)))").unwrap();
    let start = Instant::now();
    let run = add(&env, &bomb);
    assert!(start.elapsed() < SOON);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert_eq!(
        env.stable(run.stderr.lines().next().unwrap()),
        "error: `[TMP]/added.wasm` is too complex: put together, it has more than 200000 parts"
    );
    assert!(!env.home().join("extensions.lock").exists());
}

#[test]
fn types_in_types_do_not_end_the_process() {
    let env = Environment::new();
    // 200,000 component types, each inside the previous one.
    let levels = 200_000;
    let body: Vec<u8> = [1].into_iter().chain(std::iter::repeat_n([0x41, 1, 1], levels).flatten()).collect();
    let bomb = [b"\0asm\x0d\0\x01\0\x07".to_vec(), number(body.len()), body].concat();
    let run = add(&env, &bomb);
    assert_eq!(run.code, 2, "{}", run.whole());
    assert!(run.stderr.contains("its types are nested too deeply"), "{}", run.whole());
}

#[test]
fn what_breaks_the_compiler_ends_in_one_line() {
    let env = Environment::new();
    // A function body that does not end.
    let broken = with_module(&fs::read(component("hostile")).unwrap(), "(module (func nop))");
    let at = broken.windows(4).rposition(|window| window == [0x03, 0x00, 0x01, 0x0b]).unwrap();
    let broken = [&broken[..at], &[0x03, 0x00, 0x01, 0x01], &broken[at + 4..]].concat();
    let run = add(&env, &broken);
    assert_ne!(run.code, 0);
    assert!(run.stderr.lines().count() <= 2, "{}", run.whole());
    assert!(run.stderr.contains("hostile") && !run.stderr.contains("wasmtime"), "{}", run.whole());
    assert!(!env.home().join("extensions.lock").exists());
}

/// The process that compiles foreign components runs with limits set by the system.
#[test]
#[cfg(target_os = "linux")]
fn a_compiler_has_bounds() {
    use std::io::Write;
    use std::process::Stdio;

    let env = Environment::new();
    let mut child = env
        .command(&["__compile"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The process is reading its input, so its limits are set by now.
    let bytes = fs::read(component("hostile")).unwrap();
    let (half, rest) = bytes.split_at(bytes.len() / 2);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&(bytes.len() as u64).to_le_bytes()).unwrap();
    stdin.write_all(half).unwrap();
    let bound = |name: &str| {
        let limits = fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    let start = Instant::now();
    let most = (512_u64 << 20) + bytes.len() as u64 * 64 + (2 << 30);
    while bound("Max address space") != most.to_string() {
        assert!(start.elapsed() < SOON, "{}", bound("Max address space"));
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_ne!(bound("Max cpu time"), "unlimited");
    stdin.write_all(rest).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"\x7fELF"), "{:?}", output.status);
}

/// A module of one function that keeps `values` values alive across as many blocks: small to write, slow to compile.
fn slow_module(values: usize) -> String {
    let locals = "(local i32)".repeat(values);
    let mut body = String::new();
    for at in 0..values {
        body += &format!(
            "(local.set {at} (call $f (i32.const {at}))) (if (local.get {}) (then (local.set {} (call $f (local.get {at})))))\n",
            at / 2,
            (at * 7) % values
        );
    }
    let sum = (0..values).map(|at| format!("(call $g (local.get {at}))")).collect::<String>();
    format!(
        "(module (func $f (param i32) (result i32) local.get 0) (func $g (param i32)) \
         (func $slow {locals} (loop $l {body} {sum} (br_if $l (local.get 0)))))"
    )
}

/// A function that costs the compiler much more than its size lets expect is given up, wherever a component is compiled.
#[test]
fn what_compiles_slowly_or_largely_is_given_up_within_limits_by_its_size() {
    let env = Environment::new();
    let bytes = with_module(&fs::read(component("hostile")).unwrap(), &slow_module(SLOW_VALUES));
    let path = file(&env, "slow.wasm", &bytes);
    let time = 10 + bytes.len() as u64 * 5 / (1 << 20);
    let path = path.to_str().unwrap();
    for arguments in [&["extension", "add", path, "--yes"][..], &["extension", "call", path, "describe"]] {
        let start = Instant::now();
        let run = env.run(arguments);
        assert!(start.elapsed().as_secs() < 4 * time + 20, "{:?}", start.elapsed());
        assert_ne!(run.code, 0, "{}", run.whole());
        let memory = 512 + bytes.len() as u64 * 64 / (1 << 20);
        let slow = run.stderr.contains(&format!("it takes longer than {time} s, the limit for its"));
        let large =
            run.stderr.contains("it needs more than ") && run.stderr.contains(" MiB of memory, the limit for its");
        assert!(slow || large, "{} s, {memory} MiB: {}", time, run.whole());
    }
    assert!(!env.home().join("extensions.lock").exists());
}

#[test]
fn many_memories_share_one_bound() {
    let env = Environment::new();
    // 40 instances with a memory of 32 MiB each.
    let whole = fs::read(component("hostile")).unwrap();
    let bytes = (0..40).fold(whole, |bytes, _| with_module(&bytes, "(module (memory 512))"));
    add(&env, &bytes).ok();
    let run = env.run(&["plugin", "marketplace", "add", "hostile:polite"]);
    assert_ne!(run.code, 0, "{}", run.whole());
    assert!(run.stderr.contains("wanted more than 64 MiB of memory"), "{}", run.whole());
}

#[test]
fn a_component_that_sleeps_is_stopped_where_it_should_only_answer() {
    let env = Environment::new();
    add(&env, &fs::read(component("hostile-wasi")).unwrap()).ok();
    let start = Instant::now();
    let run = env.run(&["plugin", "marketplace", "add", "hostile:claim-sleep"]);
    assert!(start.elapsed() < SOON);
    assert_ne!(run.code, 0, "{}", run.whole());
    assert!(run.stderr.contains("component `hostile` gave no answer within 5 s"), "{}", run.whole());
}

#[test]
fn a_provider_that_sleeps_holds_up_no_list_and_no_run() {
    let env = Environment::new();
    add(&env, &aiw_tests::describing("hostile-provider-wasi", "sleep")).ok();
    let start = Instant::now();
    for command in [&["provider", "presets"][..], &["extension", "verify"]] {
        let run = env.run(command);
        assert!(
            run.stderr.contains("gave no answer within 5 s") || run.stdout.contains("gave no answer within 5 s"),
            "{}",
            run.whole()
        );
        assert!(run.stdout.contains("openrouter") || run.stdout.contains("provider-openai"), "{}", run.whole());
    }
    assert!(start.elapsed() < SOON);
}

#[test]
fn the_entries_of_one_marketplace_share_one_time() {
    let env = Environment::new();
    add(&env, &fs::read(component("hostile-wasi")).unwrap()).ok();
    let start = Instant::now();
    let run = env.run(&["plugin", "marketplace", "add", "hostile:entries", "--yes"]);
    assert!(start.elapsed() < SOON);
    assert_ne!(run.code, 0, "{}", run.whole());
    assert!(run.stderr.contains("ran for 10 s over the entries of one marketplace and was stopped"), "{}", run.whole());
}

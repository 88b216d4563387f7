//! Real servers of npm and PyPI, installed from rows as they stand in the registry, and called by the real AI CLIs.
//! `npx` and `uvx` take them from caches that `cargo xtask setup --tests` has filled: nothing is fetched.

use std::fs;
use std::path::Path;

use aiw_tests::{Environment, not_run, real_cli};
use serde_json::{Value, json};

use super::install::{server_source, zip_of};
use super::{Registry, machine, row};
use crate::mcp_clients::{asks, line_of, tool_use};

const PROMPT: &str = "Say moin and the time in Oslo";

/// A registry with a server of npm and one of PyPI, and a machine on which `npx` and `uvx` know them.
fn real() -> Option<(Registry, Environment)> {
    let servers = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/servers");
    let everything = servers.join("node_modules/@modelcontextprotocol/server-everything/package.json");
    let (npm, uv) = (servers.join("npm-cache"), servers.join("uv-cache"));
    if !npm.is_dir() || !uv.is_dir() {
        not_run("the caches of npx and uvx are absent");
        return None;
    }
    let package: Value = serde_json::from_str(&fs::read_to_string(everything).unwrap()).unwrap();
    let time = version_of(&servers.join("venv"), "mcp_server_time");
    let listed = |name: &str, kind: &str, identifier: &str, version: &str| {
        row(&json!({"name": name, "description": "A server", "version": version,
            "packages": [{"registryType": kind, "identifier": identifier, "version": version,
                "transport": {"type": "stdio"}}]}))
    };
    let rows = vec![
        listed(
            "io.github.modelcontextprotocol/everything",
            "npm",
            "@modelcontextprotocol/server-everything",
            package["version"].as_str().unwrap(),
        ),
        listed("io.github.modelcontextprotocol/time", "pypi", "mcp-server-time", &time),
    ];
    let registry = Registry::start(rows);
    let mut env = machine(&registry.url());
    let home = env.user();
    fs::create_dir_all(home.join(".config/uv")).unwrap();
    fs::write(home.join(".npmrc"), format!("cache={}\noffline=true\nupdate-notifier=false\n", npm.display())).unwrap();
    fs::write(home.join(".config/uv/uv.toml"), format!("cache-dir = \"{}\"\noffline = true\n", uv.display())).unwrap();
    env.set("PATH", format!("{}:{}", std::env::var("PATH").unwrap(), servers.join("venv/bin").display()));
    Some((registry, env))
}

/// The version of a package in a virtual environment.
fn version_of(venv: &Path, package: &str) -> String {
    let lib = fs::read_dir(venv.join("lib")).unwrap().flatten().next().unwrap().path().join("site-packages");
    let names = fs::read_dir(lib).unwrap().flatten().map(|entry| entry.file_name().into_string().unwrap());
    let mut versions = names
        .filter_map(|name| Some(name.strip_prefix(package)?.strip_prefix('-')?.strip_suffix(".dist-info")?.to_owned()));
    versions.next().unwrap()
}

#[test]
fn servers_of_npm_and_pypi_are_installed_pinned_and_work() {
    let Some((_registry, env)) = real() else { return };
    for (name, tool) in [("everything", "echo"), ("time", "get_current_time")] {
        let installed = env.json(&["mcp", "install", &format!("io.github.modelcontextprotocol/{name}"), "--yes"]);
        assert!(installed["server"]["tools"].as_u64().is_some_and(|tools| tools > 0), "{installed}");
        let shown = env.json(&["mcp", "tools", name]);
        assert!(shown.to_string().contains(tool), "{shown}");
    }
    let entries = &env.mcp()["mcpServers"];
    assert_eq!((&entries["everything"]["command"], &entries["time"]["command"]), (&json!("npx"), &json!("uvx")));
    let words = |key: &str| entries[key]["args"].as_array().unwrap().clone();
    assert_eq!(words("everything")[0], "-y");
    assert!(words("everything")[1].as_str().unwrap().starts_with("@modelcontextprotocol/server-everything@2"));
    assert!(words("time")[0].as_str().unwrap().starts_with("mcp-server-time=="), "{entries}");
    let run = env.run(&["mcp", "call", "everything/echo", "message=moin"]).ok();
    assert!(run.stdout.contains("moin"), "{}", run.whole());
    let run = env.run(&["mcp", "outdated"]).ok();
    assert_eq!(run.stdout, "All servers from registries are up to date\n");
}

#[test]
fn a_python_package_whose_program_has_another_name_is_started_by_that() {
    let Some((registry, env)) = real() else { return };
    registry.rows.lock().unwrap().push(row(&json!({"name": "io.github.acme/thing", "description": "A server",
        "version": "1.0.0", "packages": [{"registryType": "pypi", "identifier": "acme-thing", "version": "1.0.0",
            "transport": {"type": "stdio"}}]})));
    let info = "acme_thing-1.0.0.dist-info";
    let server = "import runpy, os\ndef main():\n    runpy.run_path(os.path.join(os.path.dirname(__file__), \
                  'server.py'), run_name='__main__')\n";
    let wheel = zip_of(&[
        ("acme_thing/__init__.py", server.to_owned()),
        ("acme_thing/server.py", server_source()),
        (&format!("{info}/METADATA"), "Metadata-Version: 2.1\nName: acme-thing\nVersion: 1.0.0\n".to_owned()),
        (&format!("{info}/WHEEL"), "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned()),
        (&format!("{info}/entry_points.txt"), "[console_scripts]\nacme-mcp = acme_thing:main\n".to_owned()),
        (&format!("{info}/RECORD"), String::new()),
    ]);
    fs::create_dir(env.path("wheels")).unwrap();
    fs::write(env.path("wheels/acme_thing-1.0.0-py3-none-any.whl"), wheel).unwrap();
    let config = env.user().join(".config/uv/uv.toml");
    let config_text = fs::read_to_string(&config).unwrap();
    // Nothing of it stays in the cache of other tests.
    let own =
        format!("find-links = [\"{}\"]\ncache-dir = \"{}\"\n", env.path("wheels").display(), env.path("uv").display());
    let kept = config_text.lines().filter(|line| !line.starts_with("cache-dir")).map(|line| format!("{line}\n"));
    fs::write(&config, kept.collect::<String>() + &own).unwrap();
    let installed = env.json(&["mcp", "install", "io.github.acme/thing", "--yes"]);
    assert!(installed["server"]["tools"].as_u64().is_some_and(|tools| tools > 0), "{installed}");
    assert_eq!(env.mcp()["mcpServers"]["thing"]["args"], json!(["--from=acme-thing==1.0.0", "acme-mcp"]));
}

fn calls(cli: &str) {
    let Some(client) = real_cli(cli) else { return not_run(&format!("{cli} is absent")) };
    let Some((_registry, mut env)) = real() else { return };
    for name in ["everything", "time"] {
        env.json(&["mcp", "install", &format!("io.github.modelcontextprotocol/{name}"), "--yes"]);
    }
    let turn = |server: &str, name: &str, arguments: Value| {
        let call = json!({"server": server, "tool": name, "arguments": arguments});
        json!({"match": PROMPT, "offers": "call_tool", "tools": [tool_use(cli, "call_tool", call)]})
    };
    let turns = json!([
        turn("everything", "echo", json!({"message": "moin-moin"})),
        turn("time", "get_current_time", json!({"timezone": "Europe/Oslo"})),
        {"match": PROMPT, "offers": "call_tool", "text": "Both are said."},
    ]);
    let Some(asked) = asks(&mut env, &client, PROMPT, "call_tool", &turns, line_of(cli)) else { return };
    let asked = asked.all(&["Both are said."]);
    assert!(asked[1].contains("Echo: moin-moin"), "{}", asked[1]);
    assert!(asked[2].contains("is_dst"), "{}", asked[2]);
}

#[test]
fn claude_code_calls_servers_that_came_from_a_registry() {
    calls("claude");
}

#[test]
fn codex_calls_servers_that_came_from_a_registry() {
    calls("codex");
}

#[test]
fn gemini_cli_calls_servers_that_came_from_a_registry() {
    calls("gemini");
}

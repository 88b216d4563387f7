//! Checks which crates may depend on which: dependencies between rooms lead down, and each foreign crate enters
//! through certain rooms only.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::command;

/// The rooms from the top down, each with the rooms that it may depend on.
const ROOMS: [(&str, &[&str]); 35] = [
    (
        "agentic-warden",
        &[
            "aiw-app",
            "aiw-core",
            "aiw-extensions",
            "aiw-gateway",
            "aiw-history",
            "aiw-home",
            "aiw-launch",
            "aiw-listen",
            "aiw-markets",
            "aiw-mcp",
            "aiw-offer",
            "aiw-orchestrator",
            "aiw-processes",
            "aiw-providers",
            "aiw-registries",
            "aiw-routing",
            "aiw-servers",
            "aiw-setup",
            "aiw-tasks",
            "aiw-testkit",
            "aiw-tui",
            "aiw-usage",
        ],
    ),
    // Views. The content of a screen comes through a trait.
    ("aiw-tui", &["aiw-core"]),
    (
        "aiw-offer",
        &[
            "aiw-app",
            "aiw-core",
            "aiw-history",
            "aiw-home",
            "aiw-launch",
            "aiw-mcp",
            "aiw-orchestrator",
            "aiw-processes",
            "aiw-providers",
            "aiw-registries",
            "aiw-routing",
            "aiw-tasks",
        ],
    ),
    // The application. It knows neither the command line nor a terminal.
    (
        "aiw-app",
        &[
            "aiw-components",
            "aiw-core",
            "aiw-extensions",
            "aiw-gateway",
            "aiw-history",
            "aiw-home",
            "aiw-launch",
            "aiw-listen",
            "aiw-llm",
            "aiw-markets",
            "aiw-mcp",
            "aiw-net",
            "aiw-orchestrator",
            "aiw-processes",
            "aiw-providers",
            "aiw-registries",
            "aiw-routing",
            "aiw-servers",
            "aiw-setup",
            "aiw-tasks",
            "aiw-usage",
            "aiw-vectors",
            "aiw-wasm",
        ],
    ),
    // Domains.
    ("aiw-history", &["aiw-core", "aiw-home", "aiw-redact", "aiw-search", "aiw-supervisor", "aiw-vectors"]),
    ("aiw-launch", &["aiw-core", "aiw-dialects", "aiw-home", "aiw-providers", "aiw-tasks"]),
    (
        "aiw-gateway",
        &[
            "aiw-core",
            "aiw-dialects",
            "aiw-home",
            "aiw-listen",
            "aiw-net",
            "aiw-providers",
            "aiw-supervisor",
            "aiw-usage",
        ],
    ),
    ("aiw-processes", &["aiw-core", "aiw-home", "aiw-supervisor"]),
    ("aiw-orchestrator", &["aiw-core", "aiw-home", "aiw-wasm"]),
    ("aiw-setup", &["aiw-core", "aiw-home", "aiw-servers"]),
    (
        "aiw-markets",
        &["aiw-components", "aiw-core", "aiw-extensions", "aiw-home", "aiw-net", "aiw-servers", "aiw-wasm"],
    ),
    (
        "aiw-registries",
        &[
            "aiw-components",
            "aiw-core",
            "aiw-extensions",
            "aiw-home",
            "aiw-net",
            "aiw-search",
            "aiw-servers",
            "aiw-supervisor",
            "aiw-wasm",
        ],
    ),
    (
        "aiw-routing",
        &[
            "aiw-core",
            "aiw-home",
            "aiw-mcp",
            "aiw-net",
            "aiw-redact",
            "aiw-search",
            "aiw-servers",
            "aiw-supervisor",
            "aiw-vectors",
        ],
    ),
    // Bases.
    ("aiw-providers", &["aiw-core", "aiw-home"]),
    ("aiw-servers", &["aiw-core", "aiw-home"]),
    ("aiw-tasks", &["aiw-core", "aiw-home", "aiw-supervisor"]),
    ("aiw-usage", &["aiw-core", "aiw-home"]),
    ("aiw-components", &["aiw-core", "aiw-extensions", "aiw-home", "aiw-net", "aiw-wasm"]),
    ("aiw-testkit", &["aiw-core", "aiw-extensions", "aiw-home", "aiw-net", "aiw-wasm"]),
    // The runtime.
    ("aiw-wasm", &["aiw-core", "aiw-extensions", "aiw-home", "aiw-net"]),
    // Capabilities. What `mcp` serves comes through a trait; as a client, it uses `net` for the network.
    ("aiw-llm", &["aiw-core", "aiw-net"]),
    ("aiw-mcp", &["aiw-core", "aiw-net"]),
    ("aiw-listen", &["aiw-core"]),
    ("aiw-net", &["aiw-core", "aiw-home"]),
    ("aiw-supervisor", &["aiw-core", "aiw-home", "aiw-redact"]),
    ("aiw-vectors", &["aiw-core", "aiw-home"]),
    // Foundations.
    ("aiw-dialects", &["aiw-core"]),
    ("aiw-extensions", &["aiw-core"]),
    ("aiw-redact", &["aiw-core"]),
    ("aiw-search", &["aiw-core"]),
    ("aiw-home", &["aiw-core"]),
    ("aiw-core", &[]),
    ("aiw-tests", &[]),
    ("xtask", &["aiw-extensions", "aiw-tests"]),
    ("xtask-start", &[]),
];

/// Dependencies that only tests have.
const TESTS: [(&str, &str); 9] = [
    ("aiw-app", "aiw-tests"),
    ("aiw-orchestrator", "aiw-tests"),
    ("aiw-markets", "aiw-testkit"),
    ("aiw-mcp", "aiw-listen"),
    ("aiw-history", "aiw-tests"),
    ("aiw-launch", "aiw-redact"),
    ("aiw-tests", "aiw-history"),
    ("aiw-vectors", "aiw-tests"),
    ("aiw-wasm", "aiw-tests"),
];

/// Foreign crates, and the only rooms that may depend on them. A trailing `*` matches anything.
const DOORS: [(&str, &[&str]); 36] = [
    ("wasmtime*", &["aiw-wasm"]),
    ("reqwest", &["aiw-net"]),
    ("rustls", &["aiw-net"]),
    ("hyper", &["aiw-listen"]),
    ("hyper-util", &["aiw-listen", "aiw-net"]),
    ("git2", &["aiw-net"]),
    ("libgit2-sys", &["aiw-net"]),
    ("rmcp", &["aiw-mcp"]),
    ("sse-stream", &["aiw-mcp"]),
    ("http", &["aiw-gateway", "aiw-listen", "aiw-mcp"]),
    ("http-body", &["aiw-gateway", "aiw-listen", "aiw-mcp"]),
    ("http-body-util", &["aiw-listen", "aiw-mcp"]),
    ("clap", &["agentic-warden", "xtask"]),
    ("anyhow", &["agentic-warden", "xtask", "aiw-tests"]),
    ("ratatui", &["aiw-tui"]),
    ("icu_properties", &["aiw-core"]),
    ("jsonc-parser", &["aiw-home"]),
    ("kdl", &["aiw-processes"]),
    ("toml_edit", &["aiw-setup"]),
    ("notify", &["aiw-servers"]),
    ("wasmparser", &["aiw-extensions", "xtask"]),
    ("wit-component", &["xtask"]),
    ("shared_memory", &["aiw-supervisor"]),
    ("age", &["aiw-home"]),
    ("rusqlite", &["aiw-history", "aiw-registries"]),
    ("rust-stemmers", &["aiw-search"]),
    ("aho-corasick", &["aiw-redact"]),
    ("anstyle-parse", &["aiw-redact"]),
    ("bip39", &["aiw-redact"]),
    ("regex-automata", &["aiw-redact"]),
    ("regex-syntax", &["aiw-redact"]),
    ("secrets_scanner", &["aiw-redact"]),
    ("fastembed", &["aiw-vectors"]),
    ("ort", &["aiw-vectors"]),
    ("memvdb", &["aiw-vectors"]),
    ("crc32fast", &["aiw-vectors"]),
];

/// Returns the violations in the workspace's manifests.
pub fn check() -> Result<Vec<String>> {
    let metadata = command::output(command::host_cargo().args(["metadata", "--format-version=1", "--no-deps"]))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let mut problems = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().context("a package has a name")?;
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let dependencies: Vec<(&str, bool)> =
            dependencies.filter_map(|d| Some((d["name"].as_str()?, d["kind"] == "dev"))).collect();
        problems.extend(edges(name, &dependencies));
        problems.extend(lints(name, package)?);
    }
    let guests = command::output(command::cargo("plugins").args(["metadata", "--format-version=1", "--no-deps"]))?;
    let guests: Value = serde_json::from_str(&guests)?;
    for package in guests["packages"].as_array().into_iter().flatten() {
        problems.extend(lints(package["name"].as_str().unwrap_or_default(), package)?);
    }
    Ok(problems)
}

fn edges(room: &str, dependencies: &[(&str, bool)]) -> Vec<String> {
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
        return vec![format!("`{room}` is no room that `cargo xtask check` knows: say what it may depend on")];
    };
    let mut problems = Vec::new();
    for (dependency, dev) in dependencies {
        let ours = ROOMS.iter().any(|(name, _)| name == dependency);
        let for_tests = *dev && TESTS.contains(&(room, dependency));
        // A crate depends on itself to enable what only its tests need.
        if ours && *dependency != room && !allowed.contains(dependency) && !for_tests {
            problems.push(format!("`{room}` may not depend on `{dependency}`"));
        }
        let door = DOORS.iter().find(|(pattern, _)| match pattern.strip_suffix('*') {
            Some(start) => dependency.starts_with(start),
            None => pattern == dependency,
        });
        if let Some((_, rooms)) = door
            && !rooms.contains(&room)
        {
            problems.push(format!("`{room}` may not name `{dependency}`: only {} may", rooms.join(" and ")));
        }
    }
    problems
}

/// Checks that a package uses its workspace's lints.
fn lints(name: &str, package: &Value) -> Result<Option<String>> {
    let manifest = Path::new(package["manifest_path"].as_str().context("a package has a manifest")?);
    let text = std::fs::read_to_string(manifest)?;
    let manifest: toml::Table = text.parse().with_context(|| manifest.display().to_string())?;
    let inherited = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool()) == Some(true);
    Ok((!inherited).then(|| format!("`{name}` does not say `[lints] workspace = true`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_upwards_sideways_or_past_a_door_is_named() {
        assert_eq!(edges("aiw-home", &[("aiw-core", false), ("toml", false)]), [""; 0]);
        assert_eq!(edges("aiw-home", &[("aiw-net", false)]), ["`aiw-home` may not depend on `aiw-net`"]);
        assert_eq!(edges("aiw-core", &[("aiw-wasm", true)]), ["`aiw-core` may not depend on `aiw-wasm`"]);
        assert_eq!(edges("aiw-markets", &[("aiw-testkit", true)]), [""; 0]);
        assert_eq!(edges("aiw-markets", &[("aiw-testkit", false)]), ["`aiw-markets` may not depend on `aiw-testkit`"]);
        assert_eq!(
            edges("aiw-markets", &[("wasmtime-wasi", false)]),
            ["`aiw-markets` may not name `wasmtime-wasi`: only aiw-wasm may"]
        );
        assert_eq!(edges("aiw-new", &[]).len(), 1);
    }

    #[test]
    fn the_table_itself_leads_down() {
        for (position, (room, allowed)) in ROOMS.iter().enumerate().filter(|(_, (room, _))| room.starts_with("aiw-")) {
            for below in *allowed {
                let other = ROOMS.iter().position(|(name, _)| name == below);
                assert!(other > Some(position) || *room == "aiw-tests", "{room} -> {below}");
            }
        }
    }
}

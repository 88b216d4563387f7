//! Checks which crates may depend on which: dependencies between rooms lead down, and each foreign crate enters
//! through certain rooms only.

use std::path::Path;

use aiw_tests::command;
use anyhow::{Context, Result};
use serde_json::Value;

/// A room: a crate of the host, or one beside it that builds on the host.
struct Room {
    /// The crate.
    name: &'static str,
    /// Its content, for the map in `host/README.md`. Empty for a crate outside of the host.
    holds: &'static str,
    /// The rooms that it may depend on.
    may_use: &'static [&'static str],
}

const fn room(name: &'static str, may_use: &'static [&'static str], holds: &'static str) -> Room {
    Room { name, holds, may_use }
}

/// The rooms from the top down.
const ROOMS: [Room; 40] = [
    room(
        "agentic-warden",
        &[
            "aiw-app",
            "aiw-ci",
            "aiw-core",
            "aiw-events",
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
            "aiw-sync",
            "aiw-tasks",
            "aiw-testkit",
            "aiw-tui",
            "aiw-usage",
            "aiw-web",
        ],
        "the binary: command line → domain calls → output; owns no logic",
    ),
    // Views. A screen and a tool call the same verbs.
    room(
        "aiw-tui",
        &[
            "aiw-app",
            "aiw-core",
            "aiw-events",
            "aiw-history",
            "aiw-home",
            "aiw-launch",
            "aiw-markets",
            "aiw-orchestrator",
            "aiw-processes",
            "aiw-providers",
            "aiw-registries",
            "aiw-routing",
            "aiw-supervisor",
            "aiw-sync",
            "aiw-tasks",
        ],
        "`aiw tui` and its screens, `aiw plugin browse`, and choosing among past sessions: keys, cells, the terminal; what screens show and do are verbs",
    ),
    room(
        "aiw-offer",
        &[
            "aiw-app",
            "aiw-ci",
            "aiw-core",
            "aiw-events",
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
            "aiw-web",
        ],
        "what `aiw mcp serve` offers: tools over tasks, roles, providers and past sessions, and the servers behind",
    ),
    room(
        "aiw-web",
        &[
            "aiw-app",
            "aiw-ci",
            "aiw-core",
            "aiw-history",
            "aiw-home",
            "aiw-launch",
            "aiw-listen",
            "aiw-markets",
            "aiw-orchestrator",
            "aiw-processes",
            "aiw-providers",
            "aiw-registries",
            "aiw-routing",
            "aiw-supervisor",
            "aiw-sync",
            "aiw-tasks",
            "aiw-usage",
        ],
        "`aiw web`: the dashboard in the browser, its API and who may use it; what it shows and does are verbs",
    ),
    // The application. It knows neither the command line nor a terminal.
    room(
        "aiw-app",
        &[
            "aiw-ci",
            "aiw-components",
            "aiw-core",
            "aiw-events",
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
            "aiw-sync",
            "aiw-tasks",
            "aiw-usage",
            "aiw-vectors",
            "aiw-wasm",
        ],
        "the application under every view: opens the parts of the host once, and hands them to each client as it may use them; starts tasks and attends to them; verbs of several domains (MCP servers and profiles, servers from registries, plugins, setups, secrets, trust, budgets); the feed, which tells views what has changed; what components reach; results that several views show. Knows neither the command line nor a terminal",
    ),
    // Domains.
    room(
        "aiw-history",
        &["aiw-core", "aiw-home", "aiw-redact", "aiw-search", "aiw-supervisor", "aiw-vectors"],
        "past sessions of AI CLIs: reading their transcripts, keeping what was said, finding it again, forgetting it. With `registries` the only user of rusqlite",
    ),
    room(
        "aiw-launch",
        &["aiw-core", "aiw-dialects", "aiw-home", "aiw-providers", "aiw-servers", "aiw-tasks"],
        "AI CLIs: which are installed, whose session this is, roles, providers' intents → what to start; their streams as text",
    ),
    room(
        "aiw-gateway",
        &[
            "aiw-core",
            "aiw-dialects",
            "aiw-events",
            "aiw-home",
            "aiw-listen",
            "aiw-net",
            "aiw-providers",
            "aiw-supervisor",
            "aiw-usage",
        ],
        "what stands between AI CLIs and providers of another API: tokens, requests to providers, pools, errors, the supervised process that serves runs",
    ),
    room(
        "aiw-processes",
        &["aiw-core", "aiw-events", "aiw-home", "aiw-supervisor"],
        "processes of a project: definitions and their file, what the user allows of it, probes, environments, states, output, and the verbs over them. Only user of kdl, croner and chrono, globset and ignore",
    ),
    room(
        "aiw-ci",
        &["aiw-core", "aiw-events", "aiw-home", "aiw-net", "aiw-redact", "aiw-supervisor"],
        "what continuous integration says: the runs of a repository's GitHub Actions, what failed in them, waiting for their end, and having the daemon ask for them",
    ),
    room(
        "aiw-sync",
        &["aiw-core", "aiw-home", "aiw-net", "aiw-redact"],
        "configuration that travels: what does, the remotes where its snapshots are kept, merging them, applying and undoing. Only user of diffy, hkdf and quick-xml",
    ),
    room(
        "aiw-orchestrator",
        &["aiw-core", "aiw-home", "aiw-wasm"],
        "scripts over tools: what a run may call, its limits, the check of arguments, the one shape of results, its trace; scripts that are kept, and what the user approved of them; tools as TypeScript declares them; plans of a model, which become scripts. The script itself runs in a component",
    ),
    room(
        "aiw-setup",
        &["aiw-core", "aiw-home", "aiw-servers"],
        "registering aiw in MCP clients: where each keeps its servers, edits that touch nothing else, import, undo",
    ),
    room(
        "aiw-markets",
        &["aiw-components", "aiw-core", "aiw-extensions", "aiw-home", "aiw-net", "aiw-servers", "aiw-wasm"],
        "plugin marketplaces: listing, searching, inspecting, installing, removing",
    ),
    room(
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
        "registries of MCP servers: searching all of them, local copies, and what makes an entry of `mcp.json` of what they say. Uses rusqlite too",
    ),
    room(
        "aiw-routing",
        &[
            "aiw-core",
            "aiw-events",
            "aiw-home",
            "aiw-mcp",
            "aiw-net",
            "aiw-redact",
            "aiw-search",
            "aiw-servers",
            "aiw-supervisor",
            "aiw-vectors",
        ],
        "the MCP servers behind aiw: starting, calling and watching them; pinned definitions, profiles, the registry of tools, finding tools for a request",
    ),
    // Bases.
    room(
        "aiw-providers",
        &["aiw-core", "aiw-home"],
        "API providers: presets, pinned origins, secrets; adding, editing, choosing, testing",
    ),
    room(
        "aiw-servers",
        &["aiw-core", "aiw-home"],
        "declared MCP servers: reading and editing `mcp.json`, who owns a key, `${VAR}`, change notices; starts nothing. With `processes` the only user of notify",
    ),
    room(
        "aiw-tasks",
        &["aiw-core", "aiw-events", "aiw-home", "aiw-supervisor"],
        "what a run of an AI CLI is: which CLI does what with which provider, and what its stream says",
    ),
    room(
        "aiw-usage",
        &["aiw-core", "aiw-events", "aiw-home"],
        "what requests to models used and cost: booked, summed up, held against budgets",
    ),
    room(
        "aiw-components",
        &["aiw-core", "aiw-extensions", "aiw-home", "aiw-net", "aiw-wasm"],
        "the library of components: reading them from files and URLs, the lock file, adding, updating, loading each once",
    ),
    room("aiw-testkit", &["aiw-core", "aiw-extensions", "aiw-home", "aiw-net", "aiw-wasm"], ""),
    // The runtime.
    room(
        "aiw-wasm",
        &["aiw-core", "aiw-extensions", "aiw-home", "aiw-net"],
        "running components: engine, limits, compiled code, one file per interface of the host and per kind of component, one module per version of the contract. Only user of wasmtime",
    ),
    // Capabilities. What `mcp` serves comes through a trait; as a client, it uses `net` for the network.
    room(
        "aiw-llm",
        &["aiw-core", "aiw-net"],
        "asks a language model one question, by three APIs; bounded in bytes and time",
    ),
    room(
        "aiw-mcp",
        &["aiw-core", "aiw-net"],
        "MCP, both sides: serving an offer, a client for one server over streams or HTTP; JSON values pass unchanged. Only user of rmcp",
    ),
    room(
        "aiw-listen",
        &["aiw-core"],
        "a loopback HTTP listener that checks host, origin, token and sizes before any work. Only user of hyper's server side",
    ),
    room(
        "aiw-net",
        &["aiw-core", "aiw-home"],
        "what leaves the machine: egress policy, HTTP, git; returns trees. Only user of reqwest and git2",
    ),
    room(
        "aiw-supervisor",
        &["aiw-core", "aiw-events", "aiw-home", "aiw-redact"],
        "supervised processes of any kind: shared memory, the queue, the shim, logs, waiting, stopping. Only user of shared_memory",
    ),
    room(
        "aiw-vectors",
        &["aiw-core", "aiw-home"],
        "texts as vectors, by a model that may be missing; vectors kept and searched. Only user of fastembed and ort",
    ),
    // Foundations.
    room(
        "aiw-dialects",
        &["aiw-core"],
        "the four APIs for requests to models, and translation between them: bytes in, bytes out; pure",
    ),
    room(
        "aiw-extensions",
        &["aiw-core"],
        "what a component declares and what you allowed: manifest, imports, grants; pure",
    ),
    room(
        "aiw-redact",
        &["aiw-core"],
        "secrets in texts: `known` masks values that are known in a stream, `rules` finds secrets by their form; pure. Only user of aho-corasick, regex-automata and secrets_scanner",
    ),
    room(
        "aiw-search",
        &["aiw-core"],
        "search by words: a text's terms and clauses, an index in memory; pure. Only user of rust-stemmers",
    ),
    room(
        "aiw-events",
        &["aiw-core", "aiw-home"],
        "what happens in a home: lines that whoever makes an event adds, read by position",
    ),
    room(
        "aiw-home",
        &["aiw-core"],
        "`~/.aiw`, and where AI CLIs keep their files: paths, documents, atomic replacement, locks, caches, the vault",
    ),
    room(
        "aiw-core",
        &[],
        "shared types: names that are always valid, error kinds, printable text, what a question shows; no I/O. Only user of icu_properties",
    ),
    room("aiw-bench", &["aiw-tests"], "benches: `cargo xtask bench --help`"),
    room("aiw-tests", &[], ""),
    room("xtask", &["aiw-extensions", "aiw-tests"], "chores: `cargo xtask --help`"),
    room("xtask-start", &[], ""),
];

/// Dependencies that only tests have.
const TESTS: [(&str, &str); 17] = [
    ("aiw-app", "aiw-tests"),
    ("aiw-ci", "aiw-tests"),
    ("aiw-dialects", "aiw-tests"),
    ("aiw-home", "aiw-tests"),
    ("aiw-launch", "aiw-tests"),
    ("aiw-llm", "aiw-tests"),
    ("aiw-mcp", "aiw-tests"),
    ("aiw-orchestrator", "aiw-tests"),
    ("aiw-markets", "aiw-testkit"),
    ("aiw-mcp", "aiw-listen"),
    ("aiw-history", "aiw-tests"),
    ("aiw-processes", "aiw-tests"),
    ("aiw-sync", "aiw-tests"),
    ("aiw-launch", "aiw-redact"),
    ("aiw-tests", "aiw-history"),
    ("aiw-vectors", "aiw-tests"),
    ("aiw-wasm", "aiw-tests"),
];

/// Foreign crates, and the only rooms that may depend on them. A trailing `*` matches anything.
const DOORS: [(&str, &[&str]); 42] = [
    ("diffy", &["aiw-sync"]),
    ("hkdf", &["aiw-sync"]),
    ("quick-xml", &["aiw-sync"]),
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
    ("http-body", &["aiw-gateway", "aiw-listen", "aiw-mcp", "aiw-web"]),
    ("http-body-util", &["aiw-listen", "aiw-mcp", "aiw-web"]),
    ("clap", &["agentic-warden", "aiw-bench", "xtask"]),
    ("anyhow", &["agentic-warden", "aiw-bench", "aiw-tests", "xtask"]),
    ("ratatui", &["aiw-tui"]),
    ("icu_properties", &["aiw-core"]),
    ("jsonc-parser", &["aiw-home"]),
    ("kdl", &["aiw-processes"]),
    ("croner", &["aiw-processes"]),
    ("chrono", &["aiw-processes"]),
    ("globset", &["aiw-processes"]),
    ("ignore", &["aiw-processes"]),
    ("toml_edit", &["aiw-home"]),
    ("notify", &["aiw-processes", "aiw-servers"]),
    ("wasmparser", &["aiw-extensions", "xtask"]),
    ("wit-component", &["xtask"]),
    ("shared_memory", &["aiw-supervisor"]),
    ("age", &["aiw-home"]),
    ("rusqlite", &["aiw-bench", "aiw-history", "aiw-registries"]),
    ("rust-stemmers", &["aiw-search"]),
    ("aho-corasick", &["aiw-redact"]),
    ("anstyle-parse", &["aiw-redact", "aiw-supervisor"]),
    ("bip39", &["aiw-redact", "aiw-sync"]),
    ("regex-automata", &["aiw-redact"]),
    ("regex-syntax", &["aiw-redact"]),
    ("secrets_scanner", &["aiw-redact"]),
    ("fastembed", &["aiw-vectors"]),
    ("ort", &["aiw-vectors"]),
    ("crc32fast", &["aiw-vectors"]),
];

/// Returns the map of the rooms, as Markdown.
pub fn table() -> String {
    let short = |name: &str| match name {
        "agentic-warden" => "aiw".to_owned(),
        name => name.trim_start_matches("aiw-").to_owned(),
    };
    let mut table = "| room | holds | may use |\n|---|---|---|\n".to_owned();
    for room in ROOMS.iter().filter(|room| !room.holds.is_empty()) {
        let (name, holds) = (short(room.name), room.holds);
        let may_use: Vec<String> = room.may_use.iter().map(|below| format!("`{}`", short(below))).collect();
        let may_use = if may_use.is_empty() { "–".to_owned() } else { may_use.join(", ") };
        table += &format!("| [`{name}`]({name}) | {holds} | {may_use} |\n");
    }
    table
}

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
    let Some(Room { may_use, .. }) = ROOMS.iter().find(|known| known.name == room) else {
        return vec![format!("`{room}` is not a room that `cargo xtask check` knows: say what it may depend on")];
    };
    let mut problems = Vec::new();
    for (dependency, dev) in dependencies {
        let ours = ROOMS.iter().any(|known| known.name == *dependency);
        let for_tests = *dev && TESTS.contains(&(room, dependency));
        // A crate depends on itself to enable what only its tests need.
        if ours && *dependency != room && !may_use.contains(dependency) && !for_tests {
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
        for (position, room) in ROOMS.iter().enumerate().filter(|(_, room)| room.name.starts_with("aiw-")) {
            for below in room.may_use {
                let other = ROOMS.iter().position(|known| known.name == *below);
                assert!(other > Some(position) || room.name == "aiw-tests", "{} -> {below}", room.name);
            }
        }
    }
}

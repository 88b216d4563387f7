//! The MCP servers behind aiw: a real client, the real binary, and servers that do right and wrong.

mod apps;
mod commands;
mod eras;
mod faults;
mod listed;
mod many;
mod odd_clients;
mod old;
mod passing;
mod pins;
mod sessions;
pub(crate) mod shapes;

use std::path::{Path, PathBuf};

use aiw_tests::{Environment, not_run, python};
use serde_json::{Map, Value, json};

use crate::mcp::Client;
use crate::until;

/// A home with servers.
pub(crate) struct Servers {
    pub(crate) env: Environment,
    entries: Map<String, Value>,
    python: PathBuf,
}

impl Servers {
    /// None without Python, in which the servers are written.
    pub(crate) fn new() -> Option<Self> {
        let Some(python) = python() else {
            not_run("there is no python3");
            return None;
        };
        Some(Self { env: Environment::cold(), entries: Map::new(), python })
    }

    /// The directory in which a server notes its starts.
    pub(crate) fn state(&self, name: &str) -> PathBuf {
        self.env.path(&format!("state-{name}"))
    }

    /// The entry of a server.
    pub(crate) fn entry(&self, name: &str, more: &[&str]) -> Value {
        let state = self.state(name);
        std::fs::create_dir_all(&state).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp_server.py");
        let mut arguments = vec![script.to_str().unwrap(), "--state", state.to_str().unwrap()];
        arguments.extend(more);
        json!({"command": self.python, "args": arguments})
    }

    /// Declares a server.
    pub(crate) fn with(mut self, name: &str, more: &[&str]) -> Self {
        let entry = self.entry(name, more);
        self.put(name, entry);
        self
    }

    pub(crate) fn put(&mut self, name: &str, entry: Value) {
        self.entries.insert(name.to_owned(), entry);
        self.env.write_mcp(&json!({"mcpServers": self.entries}).to_string());
    }

    /// Declares a server with a fault.
    pub(crate) fn faulty(self, fault: &str) -> Self {
        self.with(fault, &["--fault", fault])
    }

    /// The starts of a server: process id and environment.
    pub(crate) fn starts(&self, name: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.state(name).join("starts")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The processes that its servers started, and those that these started.
    pub(crate) fn processes(&self) -> Vec<i64> {
        let forked = |name: &String| {
            let text = std::fs::read_to_string(self.state(name).join("forked")).unwrap_or_default();
            text.lines().map(|line| line.parse().unwrap()).collect::<Vec<i64>>()
        };
        let started = |name: &String| self.starts(name).iter().map(|s| s["pid"].as_i64().unwrap()).collect::<Vec<_>>();
        self.entries.keys().flat_map(|name| [started(name), forked(name)].concat()).collect()
    }

    /// Learns what the servers offer, as earlier sessions would have.
    pub(crate) fn known(self) -> Self {
        self.env.run(&["mcp", "tools"]);
        self
    }

    /// The same without looking into these, which would take too long.
    pub(crate) fn known_but(self, names: &[&str]) -> Self {
        let others: Vec<&str> = self.entries.keys().map(String::as_str).filter(|name| !names.contains(name)).collect();
        self.env.run(&[&["mcp", "tools"], others.as_slice()].concat());
        self
    }

    /// A session whose list of tools holds this one.
    pub(crate) fn session(&self, tool: &str) -> Client {
        let mut client = Client::initialized(&self.env);
        until(|| names(&mut client).contains(&tool.to_owned()));
        client
    }
}

/// The tools that a client lists.
pub(crate) fn names(client: &mut Client) -> Vec<String> {
    let tools = client.result("tools/list", json!({}));
    tools["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// The text of a result.
pub(crate) fn text(result: &Value) -> &str {
    result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{result:#}"))
}

/// Whether a process is there and no zombie.
pub(crate) fn is_there(pid: impl std::fmt::Display) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

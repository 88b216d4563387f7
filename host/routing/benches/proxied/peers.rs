//! Other proxies in front of the same server, if `target/peers` has them: mcp-proxy from PyPI and mcp-hub from npm.
//! `python3 -m venv target/peers/venv`, `target/peers/venv/bin/pip install mcp-proxy` and
//! `npm install --prefix target/peers mcp-hub` put them there.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::http::Place;

/// A proxy that runs until it is dropped.
pub struct Peer {
    pub name: &'static str,
    pub place: Place,
    child: Child,
}

/// Starts those that are installed, each in front of `server serve`.
pub fn start(server: &Path, dir: &Path) -> Vec<Peer> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/peers");
    let (proxy, hub) = (installed.join("venv/bin/mcp-proxy"), installed.join("node_modules/.bin/mcp-hub"));
    let mut peers = Vec::new();
    if is_there(&proxy) {
        let port = free_port();
        let mut command = Command::new(proxy);
        command.args(["--port", &port.to_string(), "--log-level", "ERROR", "--"]).arg(server).arg("serve");
        let place = Place::mcp(format!("127.0.0.1:{port}"), None, "echo");
        peers.push(Peer { name: "mcp-proxy", place, child: quiet(command) });
    }
    if is_there(&hub) {
        let port = free_port();
        let file = dir.join("hub.json");
        let entry = json!({"mcpServers": {"s": {"command": server, "args": ["serve"]}}});
        std::fs::write(&file, entry.to_string()).unwrap();
        let mut command = Command::new(hub);
        command.args(["--port", &port.to_string(), "--config"]).arg(file).env("HOME", dir);
        // Its MCP endpoint speaks only the old SSE transport. Its own API does the same with less.
        let call = json!({"server_name": "s", "tool": "echo", "arguments": {"text": "hello"}});
        let address = format!("127.0.0.1:{port}");
        let place = Place { address, path: "/api/servers/tools", token: None, call, has_sessions: false };
        peers.push(Peer { name: "mcp-hub", place, child: quiet(command) });
    }
    peers
}

fn is_there(program: &Path) -> bool {
    let is_there = program.exists();
    if !is_there {
        eprintln!("peer: {} is not installed", program.display());
    }
    is_there
}

fn quiet(mut command: Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

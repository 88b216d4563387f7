//! Processes of a project: the command line, the policy that the shim carries, the file, and the tools.

mod attach;
mod command_line;
mod crash;
mod daemon;
mod events;
mod file;
mod offered;
mod others;
mod policy;
mod real;
mod rotation;
mod snapshots;
mod templates;
mod tools;

use std::fs;
use std::time::{Duration, Instant};

use aiw_tests::Environment;
use serde_json::Value;

pub(crate) use crate::servers::is_there;

/// An environment whose processes are stopped when the test ends, however it does.
pub(crate) struct Project {
    pub env: Environment,
}

impl std::ops::Deref for Project {
    type Target = Environment;

    fn deref(&self) -> &Environment {
        &self.env
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.env.run(&["down"]);
    }
}

impl Project {
    pub fn empty() -> Self {
        Self { env: Environment::cold() }
    }

    /// A project with this file, which the user has allowed.
    pub fn new(text: &str) -> Self {
        let project = Self::empty();
        project.write(text);
        project
    }

    /// Writes the project's file.
    pub fn write(&self, text: &str) {
        fs::create_dir_all(self.path(".ichimi")).unwrap();
        fs::write(self.path(".ichimi/processes.kdl"), text).unwrap();
    }

    /// Starts processes and returns at once.
    pub fn up(&self, ids: &[&str]) -> Value {
        let whole: Vec<&str> = ["up", "-d", "--yes"].iter().chain(ids).copied().collect();
        let up = self.json(&whole);
        assert!(up["error"].is_null(), "{up:#}");
        up
    }

    /// A process as it is now.
    pub fn ps(&self, id: &str) -> Value {
        let all = self.json(&["ps", "--stats"]);
        let found = all["processes"].as_array().unwrap().iter().find(|process| process["id"] == id);
        found.cloned().unwrap_or_else(|| panic!("no `{id}` in {all:#}"))
    }

    /// Waits until a process is in a state.
    pub fn until(&self, id: &str, state: &str) -> Value {
        let start = Instant::now();
        loop {
            let now = self.ps(id);
            if now["state"] == state {
                return now;
            }
            assert!(start.elapsed() < aiw_tests::HANG_TIMEOUT, "`{id}` is not {state}: {now:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What a process has written, without what aiw says.
    pub fn lines(&self, id: &str) -> Vec<String> {
        let log = self.json(&["logs", id]);
        let lines = log["lines"].as_array().unwrap().iter().filter(|line| line["stream"] != "aiw");
        lines.map(|line| line["text"].as_str().unwrap().to_owned()).collect()
    }

    /// What aiw says in a process's log.
    pub fn says(&self, id: &str) -> String {
        let log = self.json(&["logs", id]);
        let lines = log["lines"].as_array().unwrap().iter().filter(|line| line["stream"] == "aiw");
        lines.map(|line| line["text"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("\n")
    }
}

/// A port that nothing listens on.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server on a port that opens late, in Python.
pub(crate) fn late_server(port: u16, after: &str) -> String {
    format!(
        "import http.server, time; time.sleep({after}); \
         http.server.HTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler).serve_forever()"
    )
}

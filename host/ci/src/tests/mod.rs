//! Against a server on loopback with the shapes that GitHub documents.

mod answers;
mod hosts;
mod logs;
mod monitoring;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use aiw_home::{ExecutionContext, Home};
use aiw_net::HttpClient;
use aiw_tests::{Answer, Request, Server};
use serde_json::{Value, json};

use crate::{Ci, CiError};

pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A home, a checkout of `ghe.test/o/r`, and the server that its settings name.
pub(super) struct World {
    dir: tempfile::TempDir,
    pub server: Server,
    seen: Arc<Mutex<Vec<Request>>>,
    variables: BTreeMap<OsString, OsString>,
}

impl World {
    pub fn new(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let seen = Arc::<Mutex<Vec<Request>>>::default();
        let log = seen.clone();
        let server = Server::start(move |request| {
            log.lock().unwrap().push(request.clone());
            answer(request)
        });
        let dir = tempfile::tempdir().unwrap();
        let world = Self { dir, server, seen, variables: BTreeMap::new() }.set("PATH", "/nowhere");
        let user = world.path("user");
        let world = world.set("HOME", user.to_str().unwrap());
        fs::create_dir_all(world.path("home")).unwrap();
        let hosts = json!({"ci": {"hosts": {"ghe.test": {"api_url": world.server.url() + "/api/v3/"}}}});
        fs::write(world.path("home/settings.json"), hosts.to_string()).unwrap();
        let git = world.path("repo/.git");
        fs::create_dir_all(git.join("refs/heads")).unwrap();
        fs::write(git.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(git.join("refs/heads/main"), format!("{COMMIT}\n")).unwrap();
        world.remote("git@ghe.test:o/r.git")
    }

    pub fn remote(self, url: &str) -> Self {
        fs::write(self.path("repo/.git/config"), format!("[remote \"origin\"]\n\turl = {url}\n")).unwrap();
        self
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn home(&self) -> Home {
        let around = ExecutionContext::new(Ok(self.path("repo")), self.variables.clone());
        Home::from_root(self.path("home")).with_context(around)
    }

    pub fn open(&self, named: Option<&str>) -> Result<Ci, CiError> {
        let mut ci = wait(Ci::open(&self.home(), &HttpClient::new().unwrap(), named))?;
        ci.poll_interval = std::time::Duration::from_millis(5);
        Ok(ci)
    }

    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    /// The tokens that came with requests.
    pub fn tokens(&self) -> Vec<Option<String>> {
        self.seen().iter().map(|request| request.headers.get("authorization").cloned()).collect()
    }
}

pub(super) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

pub(super) fn run(id: u64, status: &str, conclusion: Option<&str>) -> Value {
    json!({
        "id": id, "name": "CI", "run_number": id, "run_attempt": 1, "display_title": "Fix it", "head_branch": "main",
        "head_sha": COMMIT, "event": "push", "status": status, "conclusion": conclusion,
        "created_at": "2026-11-27T10:00:00Z", "updated_at": "2026-11-27T10:05:00Z",
        "html_url": format!("https://ghe.test/o/r/actions/runs/{id}"), "repository": {"id": 1, "full_name": "o/r"},
    })
}

pub(super) fn runs(runs: &[Value]) -> Answer {
    Answer::ok(json!({"total_count": runs.len(), "workflow_runs": runs}).to_string())
}

pub(super) fn jobs(jobs: &[Value]) -> Answer {
    Answer::ok(json!({"total_count": jobs.len(), "jobs": jobs}).to_string())
}

pub(super) fn job(id: u64, name: &str, conclusion: &str) -> Value {
    json!({"id": id, "name": name, "status": "completed", "conclusion": conclusion, "steps": [
        {"number": 1, "name": "Set up", "status": "completed", "conclusion": "success"},
        {"number": 2, "name": "Run make", "status": "completed", "conclusion": conclusion},
    ]})
}

pub(super) fn headers(status: u16, headers: &[(&str, &str)]) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer::Plain(status, headers, b"{}".to_vec())
}

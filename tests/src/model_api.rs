//! A scripted model API for the real AI CLIs.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A server that runs `tests/fake_model_api.py` on loopback. It ends when dropped.
pub struct ModelApi {
    server: Child,
    url: String,
    dir: TempDir,
}

impl ModelApi {
    /// Starts a server for the turns of a script. Returns `None` without python3.
    pub fn start(turns: &Value) -> Option<Self> {
        Self::start_with("import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')", turns)
    }

    /// Like [`ModelApi::start`], but with another Python program, whose first argument is the path of the server.
    pub fn start_with(program: &str, turns: &Value) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("turns.json"), turns.to_string()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fake_model_api.py");
        let mut server = Command::new(python()?)
            .args(["-c", program])
            .arg(script)
            .arg("--script")
            .arg(dir.path().join("turns.json"))
            .arg("--record")
            .arg(dir.path().join("requests.jsonl"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        Some(Self { server, url: said["url"].as_str().unwrap().to_owned(), dir })
    }

    /// Returns the address, without a trailing `/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns all requests so far: `method`, `path`, `headers`, `body`.
    pub fn requests(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.dir.path().join("requests.jsonl")).unwrap_or_default();
        // A line without its end is being written.
        let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for ModelApi {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Says why a test is skipped. `cargo xtask test` reads that in the test's output, and counts it.
#[expect(clippy::print_stdout, reason = "libtest captures it")]
pub fn not_run(why: &str) {
    println!("skipped: {why}");
}

/// Returns the real interpreter, because a shim on the `PATH` would look for its own files in the home.
pub fn python() -> Option<PathBuf> {
    let found = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = PathBuf::from(String::from_utf8(found.stdout).ok()?.trim());
    path.is_file().then_some(path)
}

/// Returns the path of a real CLI: from `AIW_TEST_CLAUDE` and the like, otherwise the one that npm installed below
/// `target/clients`, otherwise the one on the `PATH`.
pub fn real_cli(name: &str) -> Option<PathBuf> {
    if let Some(path) = std::env::var_os(format!("AIW_TEST_{}", name.to_uppercase())) {
        return Some(path.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let ours = root.join("target/clients/node_modules/.bin").join(name);
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::iter::once(ours).chain(std::env::split_paths(&path).map(|dir| dir.join(name))).find(|path| path.is_file())
}

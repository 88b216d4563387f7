//! Marketplaces for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// A marketplace in a directory, created for one test.
pub struct Market {
    root: PathBuf,
    document: Value,
}

impl Market {
    /// Creates an empty marketplace.
    pub fn new(root: PathBuf, name: &str) -> Self {
        fs::create_dir_all(root.join(".claude-plugin")).unwrap();
        let market =
            Self { root, document: json!({"name": name, "owner": {"name": "T"}, "description": "d", "plugins": []}) };
        market.write();
        market
    }

    /// Returns its directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of its marketplace.json.
    pub fn document_path(&self) -> PathBuf {
        self.root.join(".claude-plugin/marketplace.json")
    }

    fn write(&self) {
        fs::write(self.document_path(), format!("{:#}\n", self.document)).unwrap();
    }

    /// Adds an entry.
    #[must_use]
    pub fn entry(mut self, entry: Value) -> Self {
        self.document["plugins"].as_array_mut().unwrap().push(entry);
        self.write();
        self
    }

    /// Sets a field of the document.
    #[must_use]
    pub fn field(mut self, key: &str, value: Value) -> Self {
        self.document[key] = value;
        self.write();
        self
    }

    /// Adds a local plugin `plugins/NAME` with these servers in its `.mcp.json`.
    #[must_use]
    pub fn plugin(self, name: &str, version: &str, servers: Value) -> Self {
        self.file(
            &format!("plugins/{name}/.claude-plugin/plugin.json"),
            &json!({"name": name, "version": version}).to_string(),
        )
        .file(&format!("plugins/{name}/.mcp.json"), &json!({ "mcpServers": servers }).to_string())
        .entry(
            json!({"name": name, "source": format!("./plugins/{name}"), "description": format!("The plugin {name}")}),
        )
    }

    /// Writes a file below the root.
    #[must_use]
    pub fn file(self, path: &str, text: &str) -> Self {
        self.put(path, text);
        self
    }

    /// Writes a file below the root.
    pub fn put(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Changes the document.
    pub fn edit(&mut self, edit: impl FnOnce(&mut Value)) {
        edit(&mut self.document);
        self.write();
    }
}

/// Runs git in a directory, without the machine's configuration. Returns its output.
pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@example.com",
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgsign=false",
        ])
        .args(["-c", "protocol.file.allow=always"])
        .args(arguments)
        .current_dir(directory)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .output()
        .expect("git starts");
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Turns a directory into a repository if needed, and commits all changes. Returns the commit.
pub fn commit_all(directory: &Path) -> String {
    if !directory.join(".git").exists() {
        git(directory, &["init", "-q"]);
    }
    git(directory, &["add", "-A", "-f"]);
    git(directory, &["commit", "-q", "--allow-empty", "-m", "x"]);
    git(directory, &["rev-parse", "HEAD"])
}

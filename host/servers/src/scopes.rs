//! Where MCP servers are declared: aiw's own file, the project's, and Claude Code's.
//!
//! <https://code.claude.com/docs/en/mcp> names the places of Claude Code.

use std::path::{Path, PathBuf};

use aiw_home::{Home, json, read_capped};
use serde_json::{Map, Value};

use crate::declaration::{Server, in_file, server, without_secrets};

/// Whose declaration it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `~/.aiw/mcp.json`.
    Aiw,
    /// `.mcp.json` of the project. It comes with a repository, so nothing in it runs until the user trusts it.
    Project,
    /// Claude Code's, for this project only: `projects` in `~/.claude.json`.
    ClaudeLocal,
    /// Claude Code's, for all projects: `~/.claude.json`.
    ClaudeUser,
}

/// A declaration and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its key there.
    pub key: String,
    /// Whose it is.
    pub scope: Scope,
    /// What it declares, or the end of a sentence that says why it cannot be used.
    pub server: Result<Server, String>,
}

/// The places to read.
#[derive(Debug, Clone)]
pub struct Scopes {
    home: Home,
    project: Option<PathBuf>,
    claude: Option<PathBuf>,
}

/// The declarations found, and one sentence for each file that could not be read.
pub type Reading = (Vec<Found>, Vec<String>);

impl Scopes {
    /// Only aiw's own file.
    pub fn new(home: Home) -> Self {
        Self { home, project: None, claude: None }
    }

    /// Those of a project too: `root` is the directory that holds `.mcp.json`.
    #[must_use]
    pub fn project(self, root: &Path) -> Self {
        Self { project: Some(root.to_owned()), ..self }
    }

    /// Those of Claude Code too: `directory` holds `.claude.json` (the user's home directory, or
    /// `$CLAUDE_CONFIG_DIR`).
    #[must_use]
    pub fn claude(self, directory: &Path) -> Self {
        Self { claude: Some(directory.to_owned()), ..self }
    }

    /// The files that declare servers, whether they exist or not.
    pub fn files(&self) -> Vec<PathBuf> {
        let project = self.project.iter().map(|root| root.join(".mcp.json"));
        let claude = self.claude.iter().map(|directory| directory.join(".claude.json"));
        std::iter::once(self.home.mcp_path()).chain(project).chain(claude).collect()
    }

    /// Reads them all. A file that can't be read only loses its own servers.
    pub fn read(&self) -> Reading {
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        let mut add = |scope, path: &Path, servers: Result<Map<String, Value>, String>| match servers {
            Ok(servers) => found.extend(servers.into_iter().map(|(key, declaration)| {
                let server = server(&key, &declaration);
                // A project is trusted for what it runs, not with what the vault holds.
                let server = if scope == Scope::Project { server.and_then(without_secrets) } else { server };
                Found { key, scope, server }
            })),
            Err(problem) => problems.push(format!("`{}` {problem}", path.display())),
        };
        let own = self.home.mcp_path();
        add(Scope::Aiw, &own, servers_of(&own));
        if let Some(root) = &self.project {
            let path = root.join(".mcp.json");
            let servers = bytes_of(&path).and_then(|bytes| bytes.map_or_else(|| Ok(Map::new()), |b| in_file(&b)));
            add(Scope::Project, &path, servers);
        }
        if let Some(directory) = &self.claude {
            let path = directory.join(".claude.json");
            match whole(&path) {
                Err(problem) => add(Scope::ClaudeUser, &path, Err(problem)),
                Ok(config) => {
                    if let Some(root) = &self.project {
                        let project = &config["projects"][root.to_string_lossy().as_ref()];
                        add(Scope::ClaudeLocal, &path, servers_in(project));
                    }
                    add(Scope::ClaudeUser, &path, servers_in(&config));
                }
            }
        }
        (found, problems)
    }
}

fn bytes_of(path: &Path) -> Result<Option<Vec<u8>>, String> {
    read_capped(path, json::MAX_BYTES).map_err(|e| format!("cannot be read: {e}"))
}

fn whole(path: &Path) -> Result<Value, String> {
    match bytes_of(path)? {
        Some(bytes) if !bytes.trim_ascii().is_empty() => Ok(json::parse(&bytes)?.value),
        _ => Ok(Value::Null),
    }
}

/// The servers in a file that also contains other things.
fn servers_of(path: &Path) -> Result<Map<String, Value>, String> {
    servers_in(&whole(path)?)
}

fn servers_in(value: &Value) -> Result<Map<String, Value>, String> {
    match value.get("mcpServers") {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(servers)) => Ok(servers.clone()),
        Some(_) => Err("has an `mcpServers` that is not an object".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::fs;

    #[test]
    fn each_place_is_read_and_a_broken_one_costs_its_own_servers() {
        let dir = tempfile::tempdir().unwrap();
        let (home, project, user) = (dir.path().join("aiw"), dir.path().join("project"), dir.path().join("user"));
        [&home, &project, &user].iter().for_each(|dir| fs::create_dir(dir).unwrap());
        let scopes = Scopes::new(Home::at(&home)).project(&project).claude(&user);
        assert_eq!(scopes.read(), (Vec::new(), Vec::new()));
        fs::write(home.join("mcp.json"), r#"{"mcpServers": {"a": {"command": "x"}, "odd": 3}}"#).unwrap();
        fs::write(project.join(".mcp.json"), r#"{"b": {"url": "https://h"}}"#).unwrap();
        let local = json!({"mcpServers": {"c": {"type": "sse", "url": "https://h"}}});
        let config = json!({"numStartups": 3, "mcpServers": {"a": {"command": "y"}},
            "projects": {project.to_str().unwrap(): local, "/other": {"mcpServers": {"d": {"command": "z"}}}}});
        fs::write(user.join(".claude.json"), config.to_string()).unwrap();
        let (found, problems) = scopes.read();
        let seen: Vec<_> = found.iter().map(|f| (f.key.as_str(), f.scope, f.server.is_ok())).collect();
        let wanted = [
            ("a", Scope::Aiw, true),
            ("odd", Scope::Aiw, false),
            ("b", Scope::Project, true),
            ("c", Scope::ClaudeLocal, true),
            ("a", Scope::ClaudeUser, true),
        ];
        assert_eq!((seen.as_slice(), problems.as_slice()), (wanted.as_slice(), [].as_slice()));
        fs::write(user.join(".claude.json"), "{").unwrap();
        fs::write(project.join(".mcp.json"), r#"{"mcpServers": []}"#).unwrap();
        let (found, problems) = scopes.read();
        assert_eq!((found.len(), problems.len()), (2, 2));
        assert!(problems[0].contains(".mcp.json` has an `mcpServers` that is not an object"), "{problems:?}");
    }

    #[test]
    fn a_project_gets_no_secret_by_asking_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let text = r#"{"mcpServers": {"a": {"command": "x", "env": {"K": "${secret:openrouter}"}}}}"#;
        for name in ["mcp.json", ".mcp.json"] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let (found, _) = Scopes::new(Home::at(dir.path())).project(dir.path()).read();
        assert!(found[0].server.is_ok());
        assert!(found[1].server.as_ref().unwrap_err().contains("asks for the secret `openrouter`"));
    }
}

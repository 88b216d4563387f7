//! The servers that a session has: declared in aiw's own file, and in the project's once the user trusts it.

use std::path::{Path, PathBuf};

use aiw_core::one_line;
use aiw_home::{FileTrust, Home, HomeError, ServerSettings, read_capped, user_home};
use aiw_servers::{McpFile, Scope, Scopes, Server, Transport};
use sha2::{Digest, Sha256};

use crate::profile::OWN;

/// The longest `.mcp.json` that is read.
const MAX_FILE: u64 = 4 << 20;

/// A server that a session has.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// Its key in `mcp.json`.
    pub key: String,
    /// Where it is declared.
    pub scope: Scope,
    /// What it declares, or the end of a sentence that says why it can't be used.
    pub server: Result<Server, String>,
    /// Its settings.
    pub settings: ServerSettings,
}

impl Configured {
    /// A digest of what is started.
    pub(crate) fn digest(&self) -> String {
        let declaration = self.server.as_ref().map(|server| serde_json::Value::from(server.declaration.clone()));
        aiw_core::hex(&Sha256::digest(declaration.unwrap_or_default().to_string().as_bytes()))
    }
}

/// Where to look.
#[derive(Debug, Clone)]
pub struct Places {
    home: Home,
    project: Option<PathBuf>,
}

impl Places {
    /// Those of a home and of the project that a directory belongs to.
    pub fn of(home: Home, directory: &Path) -> Self {
        Self { home, project: project_file(directory) }
    }

    /// The files to watch.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let own = [self.home.mcp_path(), self.home.settings_path()];
        own.into_iter().chain(self.project.clone()).collect()
    }

    /// The servers, and one sentence for each file that can't be used.
    pub fn read(&self) -> Result<(Vec<Configured>, Vec<String>), HomeError> {
        let settings = self.home.settings()?;
        let known = settings.mcp()?;
        // A file that makes no sense is an error, not a home without servers.
        McpFile::load(&self.home)?;
        let mut problems = Vec::new();
        let mut scopes = Scopes::new(self.home.clone());
        if let Some(file) = &self.project {
            let bytes = read_capped(file, MAX_FILE)?.unwrap_or_default();
            let root = file.parent().unwrap_or(Path::new("/"));
            let again = format!("`aiw trust add {}`", root.display());
            match settings.trust().file(file, &bytes) {
                FileTrust::Trusted => scopes = scopes.project(root),
                FileTrust::Changed => problems.push(format!(
                    "the servers of `{}` are left out: the file is not as you trusted it; look at it, then {again}",
                    file.display()
                )),
                FileTrust::Unknown => problems
                    .push(format!("the servers of `{}` are left out until you trust them: {again}", file.display())),
            }
        }
        let (found, unreadable) = scopes.read();
        problems.extend(unreadable);
        let mut servers: Vec<Configured> = Vec::new();
        for found in found {
            if servers.iter().any(|other| other.key == found.key) {
                problems.push(format!(
                    "the project's server `{}` is left out: you have one of that name",
                    one_line(&found.key, 60)
                ));
                continue;
            }
            let mut settings = known.servers.get(&found.key).cloned().unwrap_or_default();
            let server = found.server.and_then(usable).and_then(|server| match found.key.as_str() {
                // In a profile, the name stands for aiw's own tools.
                OWN => Err("has aiw's own name: rename it".to_owned()),
                _ => Ok(server),
            });
            if let Ok(server) = &server {
                // As other clients write it.
                settings.enabled &= server.declaration.get("disabled") != Some(&true.into());
            }
            servers.push(Configured { key: found.key, scope: found.scope, server, settings });
        }
        Ok((servers, problems))
    }
}

/// A declaration that aiw can start: its own command would start it again, and again.
fn usable(server: Server) -> Result<Server, String> {
    let args = || server.declaration.get("args").and_then(|args| args.as_array()).into_iter().flatten();
    let command = server.declaration.get("command").and_then(|command| command.as_str()).unwrap_or_default();
    let is_aiw = Path::new(command).file_stem().is_some_and(|stem| stem == "aiw");
    match server.transport {
        Transport::Stdio if is_aiw && args().any(|arg| arg == "mcp") => Err("is aiw itself".into()),
        Transport::Sse => {
            Err("uses the transport SSE, which the protocol has dropped; use `\"type\": \"http\"`".into())
        }
        Transport::Ws => Err("uses WebSocket, which the protocol does not have".into()),
        Transport::Stdio | Transport::Http => Ok(server),
    }
}

/// The nearest `.mcp.json` in a directory or above it, not beyond the root of a repository and not in the user's home.
fn project_file(directory: &Path) -> Option<PathBuf> {
    let stop = user_home();
    for dir in directory.ancestors() {
        if Some(dir) == stop.as_deref() {
            return None;
        }
        let file = dir.join(".mcp.json");
        if file.is_file() {
            return Some(file);
        }
        if dir.join(".git").exists() {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_projects_servers_count_once_the_file_is_trusted_and_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (root, deep) = (dir.path().join("p"), dir.path().join("p/src"));
        fs::create_dir_all(&deep).unwrap();
        let home = Home::at(dir.path().join("home"));
        fs::create_dir(home.root()).unwrap();
        fs::write(
            home.mcp_path(),
            r#"{"mcpServers": {"a": {"command": "x"}, "self": {"command": "/bin/aiw", "args": ["mcp", "serve"]},
            "old": {"type": "sse", "url": "https://h"}, "off": {"command": "x", "disabled": true}}}"#,
        )
        .unwrap();
        let file = root.join(".mcp.json");
        fs::write(&file, r#"{"mcpServers": {"b": {"command": "y"}, "a": {"command": "z"}}}"#).unwrap();
        let places = Places::of(home.clone(), &deep);
        let seen = || {
            let (servers, problems) = places.read().unwrap();
            let keys = servers.iter().filter(|s| s.server.is_ok() && s.settings.enabled).map(|s| s.key.clone());
            (keys.collect::<Vec<_>>(), problems.len())
        };
        assert_eq!(seen(), (vec!["a".to_owned()], 1));
        let trust = || {
            let lock = home.lock().unwrap();
            let mut settings = home.settings().unwrap();
            let mut trust = settings.trust();
            trust.add(&fs::canonicalize(&root).unwrap());
            trust.add_file(&file, &fs::read(&file).unwrap());
            settings.set_trust(&trust).unwrap();
            settings.save(&lock).unwrap();
        };
        trust();
        assert_eq!(seen(), (vec!["a".to_owned(), "b".to_owned()], 1));
        fs::write(&file, r#"{"mcpServers": {"b": {"command": "evil"}}}"#).unwrap();
        let (servers, problems) = places.read().unwrap();
        assert!(servers.iter().all(|server| server.key != "b"), "{servers:?}");
        assert!(problems[0].contains("not as you trusted it"), "{problems:?}");
        trust();
        assert_eq!(seen(), (vec!["a".to_owned(), "b".to_owned()], 0));
    }
}

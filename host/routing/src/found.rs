//! The servers that a session has: declared in aiw's own file, and in the project's once the user trusts it.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::{one_line, shell_quote};
use aiw_home::{
    FileTrust, Home, HomeError, OpenDir, Project, ServerSettings, Settings, TrustSettings, find_in_ancestors,
    read_nofollow_with_dir,
};
use aiw_servers::{
    DeclaredServer, MAX_PROJECT_FILE_BYTES, McpFile, PROJECT_FILE, ScopedServer, ServerScope, Transport,
    parse_servers_file,
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use url::Url;

/// A server that a session has.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfiguredServer {
    /// Its key in `mcp.json`.
    pub key: String,
    /// Where it is declared.
    pub scope: ServerScope,
    /// The directory of the file that declares it.
    pub directory: PathBuf,
    /// That directory as it was opened, if it is a project's: a repository that is moved takes its trust with it.
    pub open_dir: Option<OpenDir>,
    /// The declaration, or the end of a sentence that says why it can't be used.
    pub server: Result<DeclaredServer, String>,
    /// Its settings.
    pub settings: ServerSettings,
}

impl ConfiguredServer {
    /// A digest of what is started. The same words in two projects start two programs.
    pub(crate) fn digest(&self) -> String {
        let declaration = self.server.as_ref().map(|server| Value::from(server.declaration.clone()));
        let mut digest = Sha256::new_with_prefix(declaration.unwrap_or_default().to_string());
        if self.scope == ServerScope::Project {
            digest.update([0]);
            digest.update(self.directory.as_os_str().as_encoded_bytes());
        }
        aiw_core::hex(&digest.finalize())
    }
}

/// Servers of a project that a session does not have, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SkippedServers {
    /// The user has not trusted the file that declares them.
    #[error("the servers of `{}` are left out until you trust them: `{}`", file.display(), trusts(file))]
    Untrusted {
        /// The file.
        file: PathBuf,
    },
    /// The file is another one than the user trusted.
    #[error("the servers of `{}` are left out: the file is not as you trusted it; look at it, then `{}`", file.display(), trusts(file))]
    Changed {
        /// The file.
        file: PathBuf,
    },
    /// The file can't be used, or not by anybody.
    #[error("the servers of `{}` are left out: {why}", file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// Why, as the end of a sentence.
        why: String,
    },
    /// One has the name of a server of the user's.
    #[error("the project's server `{}` is left out: you have one of that name", one_line(key, 60))]
    NameConflict {
        /// Its key.
        key: String,
    },
}

impl SkippedServers {
    /// Returns the command that trusts the file, where that is what they lack.
    pub fn trust_command(&self) -> Option<String> {
        match self {
            Self::Untrusted { file } | Self::Changed { file } => Some(trusts(file)),
            Self::Unusable { .. } | Self::NameConflict { .. } => None,
        }
    }
}

/// Returns the command that trusts the directory of a file.
fn trusts(file: &Path) -> String {
    format!("aiw trust add {}", shell_quote(&file.parent().unwrap_or(file).to_string_lossy()))
}

/// Where to look.
#[derive(Debug, Clone)]
pub struct ServerSearchPaths {
    home: Home,
    project: Option<PathBuf>,
    /// The project's settings.
    settings: Option<PathBuf>,
}

impl ServerSearchPaths {
    /// Returns the places of a home and of the project that a directory belongs to: by the nearest `.mcp.json` in it or
    /// above it, not beyond the root of a repository and not in the user's home.
    pub fn load(home: Home, directory: &Path) -> Self {
        let stop = home.context().user_home();
        // Trust belongs to a path without links.
        let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let is_homes = |file: &Path| file.parent().is_some_and(|dir| stop.as_deref().is_some_and(|h| real(h) == dir));
        let project = find_in_ancestors(PROJECT_FILE, &real(directory), stop.as_deref()).filter(|file| !is_homes(file));
        let settings = find_in_ancestors(Project::FILE, &real(directory), stop.as_deref());
        Self { home, project, settings }
    }

    /// The project's file that declares servers, if there is one.
    pub fn project_file(&self) -> Option<&Path> {
        self.project.as_deref()
    }

    /// The files to watch.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let own = [self.home.mcp_path(), self.home.settings_path()];
        own.into_iter().chain(self.project.clone()).chain(self.settings.clone()).collect()
    }

    /// The servers, and what is left out of them. Whatever a project's file is, it costs only its own servers.
    pub fn read(&self) -> Result<(Vec<ConfiguredServer>, Vec<SkippedServers>), HomeError> {
        self.read_with(&self.home.settings()?)
    }

    /// Reads them as [`ServerSearchPaths::read`] does, with these settings.
    pub fn read_with(&self, settings: &Settings) -> Result<(Vec<ConfiguredServer>, Vec<SkippedServers>), HomeError> {
        let known = settings.mcp()?;
        let mut problems = Vec::new();
        // A file of the user's that makes no sense is an error, not a home without servers.
        let mut all = vec![(ServerScope::Aiw, self.home.root().to_owned(), None, McpFile::load(&self.home)?.to_map())];
        if let Some(file) = &self.project {
            let directory = file.parent().unwrap_or(file).to_owned();
            match declared(file, &settings.trust()) {
                Ok(None) => {}
                Ok(Some((opened, servers))) => all.push((ServerScope::Project, directory, Some(opened), servers)),
                Err(problem) => problems.push(problem),
            }
        }
        let mut servers: Vec<ConfiguredServer> = Vec::new();
        for (scope, directory, opened, declared) in all {
            for found in ScopedServer::from_declarations(scope, declared) {
                if servers.iter().any(|other| other.key == found.key) {
                    problems.push(SkippedServers::NameConflict { key: found.key });
                    continue;
                }
                let mut settings = known.servers.get(&found.key).cloned().unwrap_or_default();
                let server = found.server.and_then(usable);
                if let Ok(server) = &server {
                    // As other clients write it.
                    settings.enabled &= server.declaration.get("disabled") != Some(&true.into());
                }
                let (directory, opened) = (directory.clone(), opened.clone());
                servers.push(ConfiguredServer { key: found.key, scope, directory, open_dir: opened, server, settings });
            }
        }
        Ok((servers, problems))
    }
}

/// The servers of a project's file, and the directory in which it was found.
type DeclaredHere = (OpenDir, Map<String, Value>);

/// The servers of a project's file, if the user trusts it as it is. It is read once: the bytes that trust is asked about
/// are those that are used.
///
/// # Errors
///
/// Why there are none.
fn declared(file: &Path, trust: &TrustSettings) -> Result<Option<DeclaredHere>, SkippedServers> {
    let file = file.to_owned();
    let root = file.parent().unwrap_or(&file);
    // It can't be trusted.
    if fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_symlink()) {
        let why = "the file is a link, which aiw doesn't follow in a project".to_owned();
        return Err(SkippedServers::Unusable { file, why });
    }
    if !trust.is_trusted(root) {
        return Err(SkippedServers::Untrusted { file });
    }
    let (opened, bytes) = match read_nofollow_with_dir(&file, MAX_PROJECT_FILE_BYTES) {
        Ok(Some(read)) => read,
        Ok(None) => return Ok(None),
        Err(e) => return Err(SkippedServers::Unusable { file, why: e.to_string() }),
    };
    match trust.file_trust(&file, &bytes) {
        FileTrust::Trusted => match parse_servers_file(&bytes) {
            Ok(servers) => Ok(Some((opened, servers))),
            Err(problem) => Err(SkippedServers::Unusable { file, why: format!("it {problem}") }),
        },
        FileTrust::Changed => Err(SkippedServers::Changed { file }),
        FileTrust::Unknown => Err(SkippedServers::Untrusted { file }),
    }
}

/// A declaration that aiw can start: its own command would start it again, and again.
fn usable(server: DeclaredServer) -> Result<DeclaredServer, String> {
    let args = || server.declaration.get("args").and_then(|args| args.as_array()).into_iter().flatten();
    let command = server.declaration.get("command").and_then(|command| command.as_str()).unwrap_or_default();
    let is_aiw = Path::new(command).file_stem().is_some_and(|stem| stem == "aiw");
    match server.transport {
        Transport::Stdio if is_aiw && args().any(|arg| arg == "mcp") => Err("is aiw itself".into()),
        Transport::Sse => {
            Err("uses the transport SSE, which the protocol has dropped; use `\"type\": \"http\"`".into())
        }
        Transport::Ws => Err("uses WebSocket, which the protocol does not have".into()),
        // The value is not repeated: it may hold a key.
        Transport::Http if !is_web(&server) => Err("has a `url` that is not an http or https URL".into()),
        Transport::Stdio | Transport::Http => Ok(server),
    }
}

/// Whether the address of a server is a URL that can be asked, or one of which a part is only known at its start.
fn is_web(server: &DeclaredServer) -> bool {
    let url = server.declaration.get("url").and_then(|url| url.as_str()).unwrap_or_default();
    url.contains("${") || Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_with_a_name_of_aiws_own_is_left_out_alone() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        fs::create_dir(home.root()).unwrap();
        let entry = r#"{"command": "x"}"#;
        let servers = ["workflows", "planned", "aiw", "Workflows", "a"].map(|name| format!("\"{name}\": {entry}"));
        fs::write(home.mcp_path(), format!("{{\"mcpServers\": {{{}}}}}", servers.join(","))).unwrap();
        let (servers, problems) = ServerSearchPaths::load(home, dir.path()).read().unwrap();
        assert_eq!(problems, []);
        for server in servers {
            let problem = if server.key == "a" { None } else { Some("has aiw's own name: rename it".to_owned()) };
            assert_eq!(server.server.err(), problem, "{}", server.key);
        }
    }

    #[test]
    fn a_projects_servers_count_once_the_file_is_trusted_and_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (root, deep) = (dir.path().join("p"), dir.path().join("p/src"));
        fs::create_dir_all(&deep).unwrap();
        let home = Home::from_root(dir.path().join("home"));
        fs::create_dir(home.root()).unwrap();
        fs::write(
            home.mcp_path(),
            r#"{"mcpServers": {"a": {"command": "x"}, "self": {"command": "/bin/aiw", "args": ["mcp", "serve"]},
            "old": {"type": "sse", "url": "https://h"}, "odd": {"type": "http", "url": "no url"},
            "ftp": {"type": "http", "url": "ftp://h"}, "off": {"command": "x", "disabled": true}}}"#,
        )
        .unwrap();
        let file = root.join(".mcp.json");
        fs::write(&file, r#"{"mcpServers": {"b": {"command": "y"}, "a": {"command": "z"}}}"#).unwrap();
        let places = ServerSearchPaths::load(home.clone(), &deep);
        let seen = || {
            let (servers, problems) = places.read().unwrap();
            let keys = servers.iter().filter(|s| s.server.is_ok() && s.settings.enabled).map(|s| s.key.clone());
            (keys.collect::<Vec<_>>(), problems.len())
        };
        assert_eq!(seen(), (vec!["a".to_owned()], 1));
        let (servers, _) = places.read().unwrap();
        let odd = servers.iter().find(|server| server.key == "odd").and_then(|server| server.server.as_ref().err());
        assert_eq!(odd.map(String::as_str), Some("has a `url` that is not an http or https URL"));
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
        assert!(problems[0].to_string().contains("not as you trusted it"), "{problems:?}");
        assert_eq!(problems[0].trust_command(), Some(trusts(&file)));
        trust();
        assert_eq!(seen(), (vec!["a".to_owned(), "b".to_owned()], 0));
    }
}

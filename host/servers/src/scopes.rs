//! Servers that are declared in a file, and whose file that is.

use serde_json::{Map, Value};

use crate::declaration::{DeclaredServer, parse_server, reject_secret_references};

aiw_core::string_enum! {
    /// The file that holds a declaration.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub enum ServerScope {
        /// `~/.aiw/mcp.json`.
        Aiw = "aiw",
        /// `.mcp.json` of the project. It comes with a repository, so nothing in it runs until the user trusts it.
        Project = "project",
    }
}

/// A declaration and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ScopedServer {
    /// Its key there.
    pub key: String,
    /// The file that holds it.
    pub scope: ServerScope,
    /// The declaration, or the end of a sentence that says why it cannot be used.
    pub server: Result<DeclaredServer, String>,
}

impl ScopedServer {
    /// The declarations of one file.
    pub fn from_declarations(scope: ServerScope, servers: Map<String, Value>) -> Vec<Self> {
        let found = |(key, declaration): (String, Value)| {
            let server = parse_server(&key, &declaration);
            // A project is trusted for what it runs, not with what the vault holds.
            let server = if scope == ServerScope::Project { server.and_then(reject_secret_references) } else { server };
            Self { key, scope, server }
        };
        servers.into_iter().map(found).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_project_gets_no_secret_by_asking_for_it() {
        let servers = json!({"a": {"command": "x", "env": {"K": "${secret:openrouter}"}}, "odd": 3});
        let of = |scope| ScopedServer::from_declarations(scope, servers.as_object().unwrap().clone());
        let usable = |scope| of(scope).iter().map(|found| found.server.is_ok()).collect::<Vec<_>>();
        assert_eq!(usable(ServerScope::Aiw), [true, false]);
        assert_eq!(usable(ServerScope::Project), [false, false]);
        let problem = of(ServerScope::Project)[0].server.clone().unwrap_err();
        assert!(problem.contains("asks for the secret `openrouter`"), "{problem}");
    }
}

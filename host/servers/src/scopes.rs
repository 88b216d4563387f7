//! Servers that are declared in a file, and whose file that is.

use serde_json::{Map, Value};

use crate::declaration::{Server, server, without_secrets};

/// The file that holds a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// `~/.aiw/mcp.json`.
    Aiw,
    /// `.mcp.json` of the project. It comes with a repository, so nothing in it runs until the user trusts it.
    Project,
}

impl Scope {
    /// Returns the word for it in JSON and lists.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aiw => "aiw",
            Self::Project => "project",
        }
    }
}

/// A declaration and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundServer {
    /// Its key there.
    pub key: String,
    /// The file that holds it.
    pub scope: Scope,
    /// The declaration, or the end of a sentence that says why it cannot be used.
    pub server: Result<Server, String>,
}

impl FoundServer {
    /// The declarations of one file.
    pub fn all(scope: Scope, servers: Map<String, Value>) -> Vec<Self> {
        let found = |(key, declaration): (String, Value)| {
            let server = server(&key, &declaration);
            // A project is trusted for what it runs, not with what the vault holds.
            let server = if scope == Scope::Project { server.and_then(without_secrets) } else { server };
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
        let of = |scope| FoundServer::all(scope, servers.as_object().unwrap().clone());
        let usable = |scope| of(scope).iter().map(|found| found.server.is_ok()).collect::<Vec<_>>();
        assert_eq!(usable(Scope::Aiw), [true, false]);
        assert_eq!(usable(Scope::Project), [false, false]);
        let problem = of(Scope::Project)[0].server.clone().unwrap_err();
        assert!(problem.contains("asks for the secret `openrouter`"), "{problem}");
    }
}

//! `~/.aiw/mcp.json`: the servers that aiw itself knows.

use aiw_home::{Document, Home, HomeError};
use serde_json::{Map, Value};

const SERVERS_KEY: &str = "mcpServers";

/// `mcp.json`, edited in place; unknown content stays as it is.
#[derive(Debug)]
pub struct McpFile {
    document: Document,
}

impl McpFile {
    /// Reads it; a missing file has no servers.
    pub fn load(home: &Home) -> Result<Self, HomeError> {
        let document = home.mcp()?;
        match document.get(&[SERVERS_KEY]) {
            Some(servers) if !servers.is_object() => Err(HomeError::Invalid {
                path: home.mcp_path(),
                problem: format!("has an `{SERVERS_KEY}` that is not an object"),
            }),
            _ => Ok(Self { document }),
        }
    }

    /// The declarations, by key.
    pub fn servers(&self) -> impl Iterator<Item = (&str, &Value)> {
        let servers = self.document.get(&[SERVERS_KEY]).and_then(Value::as_object);
        servers.into_iter().flatten().map(|(key, server)| (key.as_str(), server))
    }

    /// All declarations as written.
    pub fn to_map(&self) -> Map<String, Value> {
        self.servers().map(|(key, server)| (key.to_owned(), server.clone())).collect()
    }

    /// The declaration under a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.document.get(&[SERVERS_KEY, key])
    }

    /// Puts a declaration under a key, or removes the key.
    pub fn put(&mut self, key: &str, declaration: Option<&Value>) -> Result<(), HomeError> {
        match declaration {
            Some(declaration) => self.document.set(&[SERVERS_KEY, key], declaration),
            None => self.document.remove(&[SERVERS_KEY, key]).map(drop),
        }
    }

    /// The document, to commit it with others.
    pub fn document(&self) -> &Document {
        &self.document
    }
}

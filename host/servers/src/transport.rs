//! How a server is reached.

use aiw_core::one_line;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

aiw_core::string_enum! {
    /// How a server is reached: the `type` of a declaration.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Transport {
        /// A process, over its standard input and output.
        Stdio = "stdio",
        /// Streamable HTTP.
        Http = "http",
        /// HTTP with server-sent events, as before 2025-03-26.
        Sse = "sse",
        /// WebSocket.
        Ws = "ws",
    }
}

impl Transport {
    /// The transport of a declaration, including the terms that only some clients use.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the server.
    pub fn from_declaration(declaration: &Map<String, Value>) -> Result<Self, String> {
        match string_field(declaration, "type")? {
            Some("stdio") => Ok(Self::Stdio),
            Some("http" | "streamable-http") => Ok(Self::Http),
            Some("sse") => Ok(Self::Sse),
            Some("ws") => Ok(Self::Ws),
            Some(other) => Err(format!("is of the type `{}`, which is unknown", one_line(other, 40))),
            None if string_field(declaration, "command")?.is_some() => Ok(Self::Stdio),
            None if string_field(declaration, "url")?.is_some() => Ok(Self::Http),
            None => Err("has neither a `command` nor a `url`".into()),
        }
    }
}

pub(crate) fn string_field<'a>(declaration: &'a Map<String, Value>, key: &str) -> Result<Option<&'a str>, String> {
    match declaration.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("has a `{key}` that is not a string")),
    }
}

//! The server's offer: the tools of the table, called by name.

use std::path::PathBuf;
use std::sync::Arc;

use aiw_home::Home;
use aiw_launch::Session;
use aiw_mcp::{About, Answer, Call, Caller, Cancelled, Offer, RpcError, Tool};
use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::context::{Context, LaunchSource};
use crate::error::CallError;
use crate::table::{INSTRUCTIONS, ToolEntry, table};
use crate::toolset::Toolset;

/// The tools over the tasks of a session.
pub struct Gateway {
    context: Arc<Context>,
    table: Vec<ToolEntry>,
    tools: Arc<[Tool]>,
}

impl Gateway {
    /// The tools of a server in a directory and a session.
    pub fn new(home: Home, session: Session, cwd: PathBuf, source: Box<dyn LaunchSource>) -> Self {
        let table = table();
        let tools = table.iter().map(|entry| entry.tool.clone()).collect();
        let context = Arc::new(Context::new(home, session, cwd, source));
        Self { context, table, tools }
    }

    /// The same with only the tools of these toolsets.
    #[must_use]
    pub fn with_toolsets(mut self, toolsets: &[Toolset]) -> Self {
        self.table.retain(|entry| toolsets.contains(&entry.toolset));
        self.tools = self.table.iter().map(|entry| entry.tool.clone()).collect();
        self
    }

    async fn dispatch(
        &self,
        name: &str,
        arguments: Map<String, Value>,
        cancelled: Cancelled,
    ) -> Result<Answer, CallError> {
        match self.table.iter().find(|entry| entry.tool.name() == name) {
            Some(entry) => entry.call(self.context.clone(), arguments, cancelled).await,
            None => {
                let tools = self.tools.iter().map(|tool| tool.name().to_owned()).collect();
                Err(CallError::UnknownTool { name: name.to_owned(), tools })
            }
        }
    }
}

#[async_trait]
impl Offer for Gateway {
    fn about(&self) -> About {
        About {
            name: "aiw".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            instructions: INSTRUCTIONS.into(),
            capabilities: Map::new(),
        }
    }

    fn tools(&self) -> Arc<[Tool]> {
        self.tools.clone()
    }

    async fn begun(&self, _: Caller) {}

    async fn call(&self, name: &str, arguments: Map<String, Value>, call: Call) -> Result<Answer, RpcError> {
        let answer = self.dispatch(name, arguments, call.cancelled).await;
        Ok(answer.unwrap_or_else(|e| Answer::error(e.text())))
    }

    /// Some clients ask for every kind of list, whatever was declared.
    async fn request(&self, method: &str, _: Option<Value>, _: Call) -> Result<Value, RpcError> {
        match method {
            "prompts/list" => Ok(json!({"prompts": []})),
            "resources/list" => Ok(json!({"resources": []})),
            "resources/templates/list" => Ok(json!({"resourceTemplates": []})),
            other => Err(RpcError::no_method(other)),
        }
    }
}

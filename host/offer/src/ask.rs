//! Asking the user through the client (elicitation in form mode,
//! <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation>).

use std::time::Duration;

use aiw_core::shown_line;
use aiw_mcp::{Call, Caller};
use serde_json::{Map, Value, json};

use crate::error::CallError;

/// How long the user may think about a question.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// Why the user was not asked to the end.
pub(crate) enum Stop {
    Declined,
    /// The client can't ask, or a form may not ask for what the server needs.
    Unasked,
    Failed(CallError),
}

impl<E: Into<CallError>> From<E> for Stop {
    fn from(e: E) -> Self {
        Self::Failed(e.into())
    }
}

/// The most characters of a question: of a text of others in its frame, and of what aiw says about it.
const MAX_MESSAGE: usize = 12_000;

/// Whether the client shows forms.
pub(crate) fn can_ask(caller: &Caller) -> bool {
    let forms = caller.capabilities().get("elicitation").and_then(Value::as_object);
    // Before there were other modes, the object was empty.
    forms.is_some_and(|modes| modes.is_empty() || modes.contains_key("form"))
}

/// Asks the user. The message is shown as it is only if all of it can be seen; else they are not asked here.
pub(crate) async fn ask(
    call: &Call,
    message: String,
    fields: Map<String, Value>,
    required: &[&str],
) -> Result<Map<String, Value>, Stop> {
    let shown: Vec<String> = message.lines().map(shown_line).collect();
    let message = shown.join("\n");
    if message.chars().count() > MAX_MESSAGE {
        return Err(Stop::Unasked);
    }
    let schema = json!({"type": "object", "properties": fields, "required": required});
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    // A client that fails here may not have shown anything.
    let Ok(mut said) = call.caller.ask("elicitation/create", Some(params), PATIENCE).await else {
        return Err(Stop::Unasked);
    };
    match said["action"].as_str() {
        Some("accept") => {
            Ok(said.get_mut("content").and_then(Value::as_object_mut).map(std::mem::take).unwrap_or_default())
        }
        _ => Err(Stop::Declined),
    }
}

//! `rmcp` speaks MCP. What passes through aiw is not made into its types: what they leave out, and what they refuse.

use rmcp::model::{CallToolResult, Tool};
use serde_json::{Value, json};

fn main() {
    let tool = json!({
        "name": "read", "description": "Read a file", "inputSchema": {"type": "object"},
        "annotations": {"readOnlyHint": true, "costHint": 3}, "futureField": 1
    });
    println!("a tool with 2 unknown fields: {}", passed::<Tool>(tool));
    let text = json!({"content": [{"type": "text", "text": "Hello", "futureField": 1}], "futureField": 1});
    println!("a result with 2 unknown fields: {}", passed::<CallToolResult>(text));
    let kind = json!({"content": [{"type": "video", "data": "AA==", "mimeType": "video/mp4"}]});
    println!("a result with an unknown kind of content: {}", passed::<CallToolResult>(kind));
}

/// Reads a value into a type and writes it again. Returns what is different.
fn passed<T: serde::de::DeserializeOwned + serde::Serialize>(value: Value) -> String {
    match serde_json::from_value::<T>(value.clone()) {
        Ok(typed) => {
            let written = serde_json::to_value(typed).unwrap();
            format!("{} of {} fields are left", fields(&written), fields(&value))
        }
        Err(e) => format!("refused ({e})"),
    }
}

/// Returns the number of fields of a value and of everything in it.
fn fields(value: &Value) -> usize {
    match value {
        Value::Object(object) => object.len() + object.values().map(fields).sum::<usize>(),
        Value::Array(list) => list.iter().map(fields).sum(),
        _ => 0,
    }
}

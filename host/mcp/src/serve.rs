//! Serves an offer over two streams until the client disconnects.

use futures::future::BoxFuture;
use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use rmcp::serve_server;
use tokio_util::sync::CancellationToken;

use crate::ServerBackend;
use crate::handler::{Handler, ToolHandler};
use crate::queue::CallQueue;
use crate::stdio::{StdioInput, StdioOutput};
use crate::wire::Wire;

/// How long running calls may take to finish once the client has disconnected.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// Serves the client on standard input and output until it disconnects.
pub async fn serve_stdio(offer: Arc<dyn ServerBackend>) {
    speak(offer, StdioInput::stdin(), StdioOutput::stdout()).await;
}

/// Serves an offer over any reader and writer.
pub async fn serve(
    offer: Arc<dyn ServerBackend>,
    input: impl Read + Send + 'static,
    output: impl Write + Send + 'static,
) {
    speak(offer, StdioInput::Blocking(Box::new(input)), StdioOutput::from_writer(output)).await;
}

fn speak(offer: Arc<dyn ServerBackend>, input: StdioInput, output: StdioOutput) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        let gone = CancellationToken::new();
        let wire = Wire::new(input, output, gone.clone());
        let sessions = async {
            while !gone.is_cancelled() {
                let handler = Handler::new(offer.clone(), gone.clone());
                // rmcp returns an error for a message that doesn't start a session (the cancellation of a probe, a stray
                // answer). Skip it; the next message may start one.
                if let Ok(session) = serve_server(ToolHandler(handler.clone()), wire.clone()).await {
                    let lane = CallQueue::new(handler, session.peer());
                    wire.set_queue(lane.clone());
                    let _ = session.waiting().await;
                    wire.set_queue(None);
                    if let Some(lane) = lane {
                        lane.close_and_wait().await;
                    }
                }
            }
            wire.flush().await;
        };
        tokio::select! {
            () = sessions => {}
            () = async { gone.cancelled().await; tokio::time::sleep(SHUTDOWN_GRACE_PERIOD).await } => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::{Arguments, Call, Caller, RpcError, ServerDescription, Tool, ToolEffect, ToolResult};

    struct MalformedLine;

    /// A definition that rmcp's types would lose.
    fn foreign() -> Value {
        json!({"name": "foreign", "inputSchema": {"type": "object"}, "execution": {"taskSupport": 7},
            "annotations": {"odd": [1.5]}, "new_field": {"a": null}})
    }

    #[async_trait]
    impl ServerBackend for MalformedLine {
        fn describe(&self) -> ServerDescription {
            let capabilities = Map::from_iter([("prompts".to_owned(), json!({"listChanged": true}))]);
            ServerDescription { name: "odd".into(), version: "1".into(), instructions: String::new(), capabilities }
        }

        fn tools(&self) -> Arc<[Tool]> {
            let own = Tool::new("odd", "Odd", "Odd", ToolEffect::ReadOnly, json!({"type": "object"}));
            Arc::new([own, Tool::from_definition(foreign()).unwrap()])
        }

        async fn on_session_start(&self, client: Caller) {
            assert_eq!(client.name(), "t");
            // It may have left.
            let _ = client.notify("notifications/tools/list_changed", None).await;
        }

        async fn call(&self, name: &str, arguments: Arguments, call: Call) -> Result<ToolResult, RpcError> {
            assert_ne!(name, "panics");
            Ok(match name {
                "foreign" => ToolResult::from_map(arguments.parse().unwrap()),
                "asks" => {
                    let progress = json!({"progressToken": call.meta["progressToken"], "progress": 1});
                    call.caller.notify("notifications/progress", Some(progress)).await.unwrap();
                    let params = Some(json!({"new": [1]}));
                    let told =
                        call.caller.send_request("elicitation/create", params, Duration::from_secs(20)).await.unwrap();
                    ToolResult::from_structured(told)
                }
                "fails" => return Err(RpcError { code: -32099, message: "no".into(), data: Some(json!([1])) }),
                _ => {
                    if name == "waits" {
                        call.cancellation.wait_until_abandoned().await;
                    }
                    ToolResult::from_structured(json!({"taken_back": call.cancellation.is_cancelled()}))
                }
            })
        }

        async fn request(&self, method: &str, params: Option<Value>, _: Call) -> Result<Value, RpcError> {
            match method {
                "prompts/get" => Ok(json!({"heard": params, "messages": [{"odd": null}]})),
                other => Err(RpcError::method_not_found(other)),
            }
        }
    }

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_call_that_panics_or_waits_for_nobody_is_answered_all_the_same() {
        let call =
            |id: u8, name: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name}});
        let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let input = format!("{begin}\n{}\n{}\n", call(1, "panics"), call(2, "waits")).into_bytes();
        let written = Written::default();
        serve(Arc::new(MalformedLine), std::io::Cursor::new(input), written.clone()).await;
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let of = |id: u8| &answers.iter().find(|answer| answer["id"] == id).unwrap()["result"];
        assert_eq!(of(1)["isError"], true);
        // A client that disconnected has not cancelled it.
        assert_eq!(of(2)["structuredContent"], json!({"taken_back": false}));
    }

    #[test]
    fn what_a_foreign_tool_is_and_answers_passes_unchanged() {
        let content = json!([{"type": "hologram", "depth": 3, "_meta": {"x": 1}},
            {"type": "text", "text": "t", "annotations": {"priority": 0.5, "odd": true}}]);
        let result = json!({"content": content, "structuredContent": [1, 2], "isError": "maybe", "more": {"a": null}});
        let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "foreign",
            "arguments": result}});
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let answers = answers(&[ready, list, call].map(|line| line.to_string().into_bytes()), 0);
        let of = |id: u8| &answers.iter().find(|answer| answer["id"] == id).unwrap()["result"];
        assert_eq!(of(1)["tools"][1], foreign());
        assert_eq!(*of(2), result);
        assert_eq!(answers[0]["result"]["capabilities"]["tools"], json!({"listChanged": true}));
    }

    #[test]
    fn requests_pass_unchanged_both_ways() {
        let call = |id: u8, name: &str| {
            json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
            "name": name, "_meta": {"progressToken": "p"}}})
        };
        let params = json!({"name": "x", "arguments": {"odd": [null]}, "_meta": {"y": 1}});
        let get = json!({"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": params});
        let none = json!({"jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": {"uri": "a"}});
        let lines = [get, none, call(3, "asks"), call(4, "fails")];
        // The handshake's answer, three notifications and questions, four answers.
        let answers = answers(&lines.map(|line| line.to_string().into_bytes()), 8);
        let of = |id: u8| answers.iter().find(|answer| answer["id"] == id && answer["method"].is_null()).unwrap();
        assert_eq!(of(1)["result"], json!({"heard": params, "messages": [{"odd": null}]}));
        assert_eq!(of(2)["error"]["code"], -32601);
        assert_eq!(of(3)["result"]["structuredContent"], json!({"action": "accept", "odd": {"a": null}}));
        assert_eq!(of(4)["error"], json!({"code": -32099, "message": "no", "data": [1]}));
        let asked = answers.iter().find(|answer| answer["method"] == "elicitation/create").unwrap();
        assert_eq!(asked["params"]["new"], json!([1]));
        let progress = answers.iter().find(|answer| answer["method"] == "notifications/progress").unwrap();
        assert_eq!(progress["params"]["progressToken"], "p");
        assert!(answers[0]["result"]["capabilities"]["prompts"]["listChanged"] == true);
        assert!(answers.iter().any(|answer| answer["method"] == "notifications/tools/list_changed"));
    }

    /// The input of a client that answers what it is asked, and leaves once it has read so many lines.
    struct Patient {
        input: std::io::Cursor<Vec<u8>>,
        answers: std::collections::VecDeque<(&'static str, Vec<u8>)>,
        written: Written,
        least: usize,
    }

    impl Read for Patient {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            loop {
                let read = self.input.read(buffer)?;
                let written = String::from_utf8(self.written.0.lock().unwrap().clone()).unwrap();
                if read > 0 {
                    return Ok(read);
                }
                match self.answers.pop_front() {
                    Some((asked, answer)) if written.contains(asked) => self.input = std::io::Cursor::new(answer),
                    None if written.lines().count() >= self.least => return Ok(0),
                    waiting => waiting.into_iter().for_each(|waiting| self.answers.push_front(waiting)),
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn a_batch_is_answered_in_the_version_that_has_them() {
        let lines = [br#"[{"jsonrpc":"2.0","id":1,"method":"ping"},7,{"jsonrpc":"2.0","id":2,"method":"tools/call",
            "params":{"name":"odd"}},{"jsonrpc":"2.0","method":"notifications/initialized"}]"#
            .iter()
            .filter(|byte| **byte != b'\n')
            .copied()
            .collect()];
        let ids = |version| {
            let answers = answers_in(version, &lines, 0);
            let mut ids: Vec<String> = answers
                .iter()
                .filter(|answer| answer.get("method").is_none())
                .map(|answer| format!("{} {}", answer["id"], answer["error"]["code"]))
                .collect();
            ids.sort();
            ids
        };
        assert_eq!(ids("2025-03-26"), ["\"begin\" null", "1 null", "2 null", "null -32600"]);
        assert_eq!(ids("2025-06-18"), ["\"begin\" null", "null -32600"]);
    }

    /// Returns the lines that a server writes to a client that sends these lines, and leaves when it has `least` lines.
    fn answers(lines: &[Vec<u8>], least: usize) -> Vec<Value> {
        answers_in("2025-11-25", lines, least)
    }

    fn answers_in(version: &str, lines: &[Vec<u8>], least: usize) -> Vec<Value> {
        let begin = json!({"jsonrpc": "2.0", "id": "begin", "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let mut input = format!("{begin}\n").into_bytes();
        for line in lines {
            input.extend_from_slice(line);
            input.push(b'\n');
        }
        let written = Written::default();
        // rmcp counts its own requests from 0.
        let told = json!({"jsonrpc": "2.0", "id": 0, "result": {"action": "accept", "odd": {"a": null}}});
        let told = ("elicitation/create", format!("{told}\n").into_bytes());
        let asks = input.windows(6).any(|bytes| bytes == b"\"asks\"");
        let answers = asks.then_some(told).into_iter().collect();
        let input = Patient { input: std::io::Cursor::new(input), answers, written: written.clone(), least };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(serve(Arc::new(MalformedLine), input, written.clone()));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Any JSON, without the names that make a message of it.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 24, 4, |inner| {
            let name =
                prop_oneof![Just("jsonrpc".to_owned()), Just("params".into()), Just("name".into()), "[a-h]{1,3}"];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((name, inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// One line of a client.
    #[derive(Debug, Clone)]
    enum ClientLine {
        /// A request with a unique number or string.
        Request {
            by_number: bool,
            text: String,
            method: String,
            params: Value,
        },
        /// A request with an invalid id.
        Nameless {
            id: String,
            method: String,
        },
        Notification {
            method: String,
            params: Value,
        },
        Json(Value),
        Bytes(Vec<u8>),
    }

    fn sent() -> impl Strategy<Value = ClientLine> {
        let method = prop_oneof![
            Just("ping".to_owned()),
            Just("tools/list".into()),
            Just("tools/call".into()),
            Just("prompts/list".into()),
            Just("resources/read".into()),
            Just("initialize".into()),
            Just("server/discover".into()),
            Just("notifications/initialized".into()),
            "[a-z/]{0,12}",
        ];
        let params =
            prop_oneof![any_json(), Just(json!({"name": "odd"})), Just(json!({"name": "odd", "arguments": {}}))];
        let illegal = prop_oneof![
            Just("null".to_owned()),
            Just("true".into()),
            Just("1.5".into()),
            Just("-0.1".into()),
            Just("1e999".into()),
            Just("9223372036854775808".into()),
            Just("123456789012345678901234567890".into()),
            Just("{\"id\":1}".into()),
            Just("[[1]]".into()),
            Just("1,\"id\":2".into()),
        ];
        prop_oneof![
            4 => (any::<bool>(), "\\PC{0,80}", method.clone(), params.clone())
                .prop_map(|(by_number, text, method, params)| ClientLine::Request { by_number, text, method, params }),
            2 => (illegal, method.clone()).prop_map(|(id, method)| ClientLine::Nameless { id, method }),
            1 => (method, params).prop_map(|(method, params)| ClientLine::Notification { method, params }),
            1 => any_json().prop_map(ClientLine::Json),
            1 => proptest::collection::vec(any::<u8>(), 0..60).prop_map(ClientLine::Bytes),
        ]
    }

    mod fuzz {
        use super::*;
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(128))]

            #[test]
            fn each_request_has_one_answer_whatever_comes_between(sent in proptest::collection::vec(sent(), 0..24)) {
                let (mut lines, mut named, mut nameless) = (Vec::new(), Vec::new(), 0);
                for (at, sent) in sent.into_iter().enumerate() {
                    lines.push(match sent {
                        ClientLine::Request { by_number, text, method, params } => {
                            let id = if by_number { json!(at as i64 - 5) } else { json!(format!("{at} {text}")) };
                            named.push(id.clone());
                            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string().into_bytes()
                        }
                        ClientLine::Nameless { id, method } => {
                            nameless += 1;
                            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#).into_bytes()
                        }
                        ClientLine::Notification { method, params } => {
                            json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string().into_bytes()
                        }
                        ClientLine::Json(value) => {
                            nameless += usize::from(value.is_array());
                            value.to_string().into_bytes()
                        }
                        ClientLine::Bytes(bytes) => {
                            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != b'\n').collect();
                            let begins = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes).trim_ascii().first().copied();
                            nameless += usize::from(matches!(begins, Some(b'[' | b'{')));
                            bytes
                        }
                    });
                }
                let answers = answers(&lines, 0);
                let answers: Vec<Value> = answers.into_iter().filter(|answer| answer.get("method").is_none()).collect();
                for id in &named {
                    let of = answers.iter().filter(|answer| answer.get("id") == Some(id)).count();
                    prop_assert_eq!(of, 1, "{}: {:?}", id, answers);
                }
                // From this version on, an error without a recipient has no id.
                prop_assert!(answers.iter().all(|answer| answer.get("id").is_none_or(|id| !id.is_null())));
                let nobodys: Vec<&Value> = answers.iter().filter(|answer| answer.get("id").is_none()).collect();
                prop_assert_eq!(nobodys.len(), nameless, "{:?}", nobodys);
                let is_refusal = |code: &Value| *code == -32600 || *code == -32700;
                prop_assert!(nobodys.iter().all(|answer| is_refusal(&answer["error"]["code"])));
                prop_assert_eq!(answers.len(), 1 + named.len() + nameless, "{:?}", answers);
            }
        }
    }
}

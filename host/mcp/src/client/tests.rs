//! The client against a server that a test scripts line by line.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiw_net::Policy;
use async_trait::async_trait;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

use super::*;

#[derive(Default)]
struct Told(Mutex<Vec<(String, Option<Value>)>>);

#[async_trait]
impl Events for Told {
    async fn notified(&self, method: &str, params: Option<Value>) {
        self.0.lock().unwrap().push((method.to_owned(), params));
    }

    async fn asked(&self, method: &str, params: Option<Value>) -> Result<Value, RpcError> {
        match method {
            "sampling/createMessage" => Ok(json!({"heard": params, "content": {"type": "hologram"}})),
            other => Err(RpcError::no_method(other)),
        }
    }
}

fn info() -> ClientInfo {
    ClientInfo { name: "t".into(), version: "1".into(), capabilities: json!({"sampling": {}}) }
}

const PATIENCE: Duration = Duration::from_secs(20);

/// Returns the server's answer to a request, and the messages before it.
fn answer(request: &Value) -> Vec<Value> {
    let of = |result: Value| json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
    match request["method"].as_str().unwrap_or_default() {
        "initialize" => vec![of(json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}, "odd": 1},
            "serverInfo": {"name": "s", "version": "1", "odd": true}, "instructions": "i", "more": 1}))],
        "tools/list" if request["params"]["cursor"] == "2" => {
            vec![of(json!({"tools": [{"name": "b"}], "nextCursor": "2"}))]
        }
        "tools/list" => vec![of(json!({"tools": [{"name": "a", "odd": {"x": null}}], "nextCursor": "2"}))],
        "tools/call" => vec![
            json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "odd", "data": 1}}),
            of(json!({"content": [{"type": "hologram", "depth": 3}], "isError": "maybe",
                "heard": request["params"]["arguments"]})),
        ],
        "fails" => vec![json!({"jsonrpc": "2.0", "id": request["id"],
            "error": {"code": -32099, "message": "no", "data": {"why": [1]}}})],
        "returns" => vec![of(json!({"a": RETURN}))],
        "deep" => vec![of(deep(150))],
        "deep/list" => {
            vec![of(json!({"tools": [{"name": "a", "schema": deep(150)}, {"name": "b", "schema": "]}{["}]}))]
        }
        _ => Vec::new(),
    }
}

/// Stands for a message between two characters that some take for the end of a line.
const RETURN: &str = "RETURN";

/// A value nested that many levels.
fn deep(levels: usize) -> Value {
    (0..levels).fold(json!("\\\"}"), |value, _| json!({"deeper": [value, 1]}))
}

/// A server over lines. It asks for a message once the session has begun, and writes down all that it hears.
async fn server(stream: DuplexStream, heard: Arc<Mutex<Vec<Value>>>) {
    let (input, mut output) = tokio::io::split(stream);
    let mut lines = BufReader::new(input).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let message: Value = serde_json::from_str(&line).unwrap();
        let mut said = if message["id"].is_null() { Vec::new() } else { answer(&message) };
        if message["method"] == "notifications/initialized" {
            said.push(json!({"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage",
                "params": {"messages": [{"odd": 1}], "new": true}}));
            said.push(json!({"jsonrpc": "2.0", "id": "p", "method": "ping"}));
        }
        heard.lock().unwrap().push(message);
        for message in said {
            let noise = if message["id"] == "q" { "\u{1b}[31mstarting…\n\n" } else { "" };
            let line = format!("{noise}{message}\n").replace(&format!("\"{RETURN}\""), "\r{\"id\":1}\r");
            output.write_all(line.as_bytes()).await.unwrap();
        }
    }
}

async fn connected() -> (McpClient, Arc<Told>, Arc<Mutex<Vec<Value>>>) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let heard = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(server(theirs, heard.clone()));
    let (input, output) = tokio::io::split(ours);
    let told = Arc::new(Told::default());
    let client = McpClient::over(input, output, info(), told.clone(), PATIENCE).await.unwrap();
    (client, told, heard)
}

#[tokio::test]
async fn what_a_server_says_passes_unchanged_and_what_it_asks_is_answered() {
    let (client, told, heard) = connected().await;
    assert_eq!(client.server()["capabilities"], json!({"tools": {}, "odd": 1}));
    assert_eq!((&client.server()["more"], &client.server()["serverInfo"]["odd"]), (&json!(1), &json!(true)));
    let tools = client.list("tools/list", "tools", 100, PATIENCE).await.unwrap();
    assert_eq!(tools, [json!({"name": "a", "odd": {"x": null}}), json!({"name": "b"})]);
    let arguments = json!({"n": 1.5, "deep": [{}]});
    let called = client.request("tools/call", Some(json!({"name": "a", "arguments": arguments})), PATIENCE).await;
    let content = json!([{"type": "hologram", "depth": 3}]);
    assert_eq!(called.unwrap(), json!({"content": content, "isError": "maybe", "heard": arguments}));
    let params = Some(json!({"level": "odd", "data": 1}));
    assert_eq!(*told.0.lock().unwrap(), [("notifications/message".to_owned(), params)]);
    let failed = client.request("fails", None, PATIENCE).await.unwrap_err();
    let ClientError::Rpc(error) = failed else { panic!("{failed}") };
    assert_eq!(error, RpcError { code: -32099, message: "no".into(), data: Some(json!({"why": [1]})) });
    let slow = client.request("never", None, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(slow, ClientError::Slow(_)), "{slow}");
    client.notify("notifications/odd", Some(json!({"x": 1}))).await.unwrap();
    let answers = || heard.lock().unwrap().clone();
    let find = |wanted: &dyn Fn(&Value) -> bool| answers().into_iter().find(|message| wanted(message));
    while find(&|m| m["method"] == "notifications/odd").is_none() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let sampled = find(&|m| m["id"] == "q").unwrap();
    let params = json!({"messages": [{"odd": 1}], "new": true});
    assert_eq!(sampled["result"], json!({"heard": params, "content": {"type": "hologram"}}));
    assert_eq!(find(&|m| m["id"] == "p").unwrap()["result"], json!({}));
    // The one that took too long was taken back.
    assert!(find(&|m| m["method"] == "notifications/cancelled").is_some());
    client.close().await;
}

#[tokio::test]
async fn a_result_is_one_line_whatever_its_reader_takes_for_the_end_of_one() {
    let (client, ..) = connected().await;
    let request = McpRequest { method: "returns".into(), params: None, patience: PATIENCE, progress: None };
    assert_eq!(client.send(request).await.unwrap().get(), r#"{"a":{"id":1}}"#);
    client.close().await;
}

#[tokio::test]
async fn a_list_loses_only_what_is_nested_too_deeply_and_another_answer_is_an_error() {
    let (client, ..) = connected().await;
    let listed = client.list("deep/list", "tools", 100, PATIENCE).await.unwrap();
    assert_eq!((listed.len(), &listed[0]["name"]), (2, &json!("a")));
    assert_eq!(listed[1], json!({"name": "b", "schema": "]}{["}));
    let failed = client.request("deep", None, PATIENCE).await.unwrap_err().to_string();
    assert!(failed.contains("nested more than 100 levels deep"), "{failed}");
    client.close().await;
}

#[tokio::test]
async fn a_server_that_is_gone_or_never_begins_is_an_error() {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let (input, output) = tokio::io::split(ours);
    let begun = McpClient::over(input, output, info(), Arc::new(Told::default()), Duration::from_millis(50)).await;
    assert!(matches!(begun, Err(ClientError::SlowStart(_))));
    drop(theirs);
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    drop(theirs);
    let (input, output) = tokio::io::split(ours);
    let begun = McpClient::over(input, output, info(), Arc::new(Told::default()), PATIENCE).await;
    assert!(matches!(begun, Err(ClientError::Begin(_))));
}

/// One request of HTTP.
async fn read_request(stream: &mut BufReader<tokio::net::TcpStream>) -> Option<(String, Vec<String>, Value)> {
    use tokio::io::AsyncReadExt;
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_lowercase());
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let method = lines[0].split(' ').next().unwrap().to_owned();
    Some((method, lines, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

/// A server over streamable HTTP. Lists are answered as JSON, calls as a stream of events.
async fn http_server(listener: tokio::net::TcpListener, heard: Arc<Mutex<Vec<Vec<String>>>>) {
    let begun = Arc::<AtomicUsize>::default();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (heard, begun) = (heard.clone(), begun.clone());
        tokio::spawn(async move {
            let mut stream = BufReader::new(stream);
            while let Some((method, lines, message)) = read_request(&mut stream).await {
                heard.lock().unwrap().push(lines);
                let said = answer(&message);
                begun.fetch_add(usize::from(message["method"] == "initialize"), Ordering::Relaxed);
                let refused = |reason: &str| {
                    let error = json!({"jsonrpc": "2.0", "error": {"code": -32000, "message": reason}});
                    ("400 Bad Request", "application/json", error.to_string())
                };
                let (status, kind, body) = match (method.as_str(), message["method"].as_str()) {
                    ("post", Some("tools/call")) => {
                        let events = said.iter().map(|m| format!(": still here\nevent: message\ndata: {m}\n\n"));
                        ("200 OK", EVENTS, events.collect::<String>())
                    }
                    ("post", Some("refused")) => refused("bad weather"),
                    // As a server that was started anew.
                    ("post", Some("forgotten")) if begun.load(Ordering::Relaxed) < 2 => {
                        refused("Bad Request: No valid session ID provided")
                    }
                    ("post", Some("forgotten")) => {
                        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"known": true}});
                        ("200 OK", "application/json", answer.to_string())
                    }
                    ("post", Some("elsewhere")) => ("307 Temporary Redirect", "text/plain", String::new()),
                    ("post", _) if said.is_empty() => ("202 Accepted", "text/plain", String::new()),
                    ("post", _) => ("200 OK", "application/json", said[0].to_string()),
                    _ => ("405 Method Not Allowed", "text/plain", String::new()),
                };
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nmcp-session-id: s1\r\n\
                     location: http://127.0.0.1:9/\r\n\r\n",
                    body.len()
                );
                stream.get_mut().write_all((head + &body).as_bytes()).await.unwrap();
            }
        });
    }
}

const EVENTS: &str = "text/event-stream; charset=utf-8";

#[tokio::test]
async fn the_same_over_http_with_keys_and_under_the_policy() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    tokio::spawn(http_server(listener, heard.clone()));
    let net = aiw_net::HttpClient::new().unwrap();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let keys = vec![("x-api-key".to_owned(), aiw_core::Secret::new("sk-canary"))];
    let (denied, mut granted) = (Policy::public(), Policy::none());
    granted.grant_url(&url);
    let told = Arc::new(Told::default());
    let endpoint = ServerEndpoint::new(net.clone(), denied, &*url, keys.clone());
    assert!(matches!(McpClient::http(endpoint, info(), told.clone(), PATIENCE).await, Err(ClientError::Begin(_))));
    assert!(heard.lock().unwrap().is_empty());
    let client =
        McpClient::http(ServerEndpoint::new(net, granted, &*url, keys), info(), told.clone(), PATIENCE).await.unwrap();
    assert_eq!(client.server()["more"], 1);
    let tools = client.list("tools/list", "tools", 100, PATIENCE).await.unwrap();
    assert_eq!(tools, [json!({"name": "a", "odd": {"x": null}}), json!({"name": "b"})]);
    let called = client.request("tools/call", Some(json!({"name": "a", "arguments": {"n": 1}})), PATIENCE).await;
    let content = json!([{"type": "hologram", "depth": 3}]);
    assert_eq!(called.unwrap(), json!({"content": content, "isError": "maybe", "heard": {"n": 1}}));
    assert_eq!(told.0.lock().unwrap().len(), 1);
    let failed = client.request("fails", None, PATIENCE).await.unwrap_err();
    assert!(matches!(failed, ClientError::Rpc(RpcError { code: -32099, .. })), "{failed}");
    // An error that names no request answers the one that it was sent for.
    let refused = client.request("refused", None, Duration::from_secs(600)).await.unwrap_err();
    assert!(refused.to_string().ends_with("status 400: bad weather"), "{refused}");
    assert!(!refused.to_string().contains("::"), "{refused}");
    assert_eq!(client.request("forgotten", None, Duration::from_secs(600)).await.unwrap(), json!({"known": true}));
    // A body goes nowhere else.
    client.request("elsewhere", None, PATIENCE).await.unwrap_err();
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|lines| lines.contains(&"x-api-key: sk-canary".to_owned())));
    assert!(heard.iter().skip(2).any(|lines| lines.contains(&"mcp-session-id: s1".to_owned())));
    client.close().await;
}

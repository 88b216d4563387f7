//! The client against a server that a test scripts line by line.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiw_net::Policy;
use async_trait::async_trait;
use serde_json::Map;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};

use super::*;

#[derive(Default)]
struct Told(Mutex<Vec<(String, Option<Value>)>>);

#[async_trait]
impl EventHandler for Told {
    async fn on_notification(&self, method: &str, params: Option<Value>) {
        self.0.lock().unwrap().push((method.to_owned(), params));
    }

    async fn on_request(&self, method: &str, params: Option<Value>, _: Option<u64>) -> Result<Value, RpcError> {
        match method {
            "sampling/createMessage" => Ok(json!({"heard": params, "content": {"type": "hologram"}})),
            other => Err(RpcError::method_not_found(other)),
        }
    }
}

fn info() -> ClientInfo {
    ClientInfo { name: "t".into(), version: "1".into(), capabilities: json!({"sampling": {}}) }
}

const HANG_TIMEOUT: Duration = Duration::from_secs(20);

/// Returns the server's answer to a request, and the messages before it.
fn answer(request: &Value) -> Vec<Value> {
    let of = |result: Value| json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
    match request["method"].as_str().unwrap_or_default() {
        "initialize" => vec![of(json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}, "odd": 1},
            "serverInfo": {"name": "s", "version": "1", "odd": true}, "instructions": "i", "more": 1}))],
        "server/discover" => vec![json!({"jsonrpc": "2.0", "id": request["id"],
            "error": {"code": -32601, "message": "Method not found"}})],
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
        "task" => vec![of(json!({"resultType": "task", "taskId": "t", "status": "working"}))],
        "string id" => vec![json!({"jsonrpc": "2.0", "id": request["id"].to_string(), "result": {"a": 1}})],
        "float id" => vec![json!({"jsonrpc": "2.0", "id": request["id"].as_f64(), "result": {"a": 2}})],
        "zero/list" if request["params"]["cursor"] == 0 => vec![json!({"jsonrpc": "2.0", "id": request["id"],
            "error": {"code": -32602, "message": "Invalid cursor"}})],
        "zero/list" => vec![of(json!({"tools": [{"name": "a"}], "nextCursor": 0}))],
        "endless/list" => {
            vec![of(json!({"tools": [], "nextCursor": request["params"]["cursor"].as_i64().unwrap_or(0) + 1}))]
        }
        "cursor/list" if request["params"]["cursor"] == 2 => vec![of(json!({"tools": [{"name": "b"}]}))],
        "cursor/list" => vec![of(json!({"tools": [{"name": "a"}], "nextCursor": 2}))],
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
    let client =
        McpClient::connect_streams(input, output, info(), told.clone(), Lifecycle::Auto, HANG_TIMEOUT).await.unwrap();
    (client, told, heard)
}

#[tokio::test]
async fn what_a_server_says_passes_unchanged_and_what_it_asks_is_answered() {
    let (client, told, heard) = connected().await;
    assert_eq!(client.initialize_result()["capabilities"], json!({"tools": {}, "odd": 1}));
    assert_eq!(
        (&client.initialize_result()["more"], &client.initialize_result()["serverInfo"]["odd"]),
        (&json!(1), &json!(true))
    );
    let tools = client.list("tools/list", "tools", 100, HANG_TIMEOUT).await.unwrap();
    assert_eq!(tools, [json!({"name": "a", "odd": {"x": null}}), json!({"name": "b"})]);
    let arguments = json!({"n": 1.5, "deep": [{}]});
    let called = client.request("tools/call", Some(json!({"name": "a", "arguments": arguments})), HANG_TIMEOUT).await;
    let content = json!([{"type": "hologram", "depth": 3}]);
    assert_eq!(called.unwrap(), json!({"content": content, "isError": "maybe", "heard": arguments}));
    let params = Some(json!({"level": "odd", "data": 1}));
    assert_eq!(*told.0.lock().unwrap(), [("notifications/message".to_owned(), params)]);
    let failed = client.request("fails", None, HANG_TIMEOUT).await.unwrap_err();
    let ClientError::Rpc(error) = failed else { panic!("{failed}") };
    assert_eq!(error, RpcError { code: -32099, message: "no".into(), data: Some(json!({"why": [1]})) });
    let slow = client.request("never", None, Duration::from_millis(50)).await.unwrap_err();
    assert!(matches!(slow, ClientError::Timeout(_)), "{slow}");
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
    let request =
        McpRequest { method: "returns".into(), params: None, timeout: HANG_TIMEOUT, call_number: None, progress: None };
    assert_eq!(client.send(request).await.unwrap().get(), r#"{"a":{"id":1}}"#);
    client.close().await;
}

#[tokio::test]
async fn ids_in_other_forms_and_counted_pages_are_understood_and_a_task_is_no_result() {
    let (client, ..) = connected().await;
    assert_eq!(client.request("string id", None, HANG_TIMEOUT).await.unwrap(), json!({"a": 1}));
    assert_eq!(client.request("float id", None, HANG_TIMEOUT).await.unwrap(), json!({"a": 2}));
    let listed = client.list("cursor/list", "tools", 100, HANG_TIMEOUT).await.unwrap();
    assert_eq!(listed, [json!({"name": "a"}), json!({"name": "b"})]);
    assert_eq!(client.list("zero/list", "tools", 100, HANG_TIMEOUT).await.unwrap(), [json!({"name": "a"})]);
    assert_eq!(client.list("endless/list", "tools", 100, HANG_TIMEOUT).await.unwrap(), Vec::<Value>::new());
    let failed = client.request("task", None, HANG_TIMEOUT).await.unwrap_err().to_string();
    assert!(failed.contains("is a task, though nobody had asked for one"), "{failed}");
    client.close().await;
}

#[tokio::test]
async fn a_list_loses_only_what_is_nested_too_deeply_and_another_answer_is_an_error() {
    let (client, ..) = connected().await;
    let listed = client.list("deep/list", "tools", 100, HANG_TIMEOUT).await.unwrap();
    assert_eq!((listed.len(), &listed[0]["name"]), (2, &json!("a")));
    assert_eq!(listed[1], json!({"name": "b", "schema": "]}{["}));
    let failed = client.request("deep", None, HANG_TIMEOUT).await.unwrap_err().to_string();
    assert!(failed.contains("nested more than 100 levels deep"), "{failed}");
    client.close().await;
}

#[tokio::test]
async fn a_server_that_is_gone_or_never_begins_is_an_error() {
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    let (input, output) = tokio::io::split(ours);
    let told = Arc::new(Told::default());
    let begun =
        McpClient::connect_streams(input, output, info(), told.clone(), Lifecycle::Auto, Duration::from_millis(50))
            .await;
    assert!(matches!(begun, Err(ClientError::StartTimeout(_))));
    drop(theirs);
    let (ours, theirs) = tokio::io::duplex(1 << 10);
    drop(theirs);
    let (input, output) = tokio::io::split(ours);
    let begun = McpClient::connect_streams(input, output, info(), told, Lifecycle::Auto, HANG_TIMEOUT).await;
    assert!(matches!(begun, Err(ClientError::StartFailed(_))));
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
    let begun = McpClient::connect_http(endpoint, info(), told.clone(), Lifecycle::Auto, HANG_TIMEOUT).await;
    assert!(matches!(begun, Err(ClientError::StartFailed(_))));
    assert!(heard.lock().unwrap().is_empty());
    let endpoint = ServerEndpoint::new(net, granted, &*url, keys);
    let client = McpClient::connect_http(endpoint, info(), told.clone(), Lifecycle::Auto, HANG_TIMEOUT).await.unwrap();
    assert_eq!(client.initialize_result()["more"], 1);
    let tools = client.list("tools/list", "tools", 100, HANG_TIMEOUT).await.unwrap();
    assert_eq!(tools, [json!({"name": "a", "odd": {"x": null}}), json!({"name": "b"})]);
    let called = client.request("tools/call", Some(json!({"name": "a", "arguments": {"n": 1}})), HANG_TIMEOUT).await;
    let content = json!([{"type": "hologram", "depth": 3}]);
    assert_eq!(called.unwrap(), json!({"content": content, "isError": "maybe", "heard": {"n": 1}}));
    assert_eq!(told.0.lock().unwrap().len(), 1);
    let failed = client.request("fails", None, HANG_TIMEOUT).await.unwrap_err();
    assert!(matches!(failed, ClientError::Rpc(RpcError { code: -32099, .. })), "{failed}");
    // An error that names no request answers the one that it was sent for.
    let refused = client.request("refused", None, Duration::from_secs(600)).await.unwrap_err();
    assert!(refused.to_string().ends_with("status 400: bad weather"), "{refused}");
    assert!(!refused.to_string().contains("::"), "{refused}");
    assert_eq!(client.request("forgotten", None, Duration::from_secs(600)).await.unwrap(), json!({"known": true}));
    // A body goes nowhere else.
    client.request("elsewhere", None, HANG_TIMEOUT).await.unwrap_err();
    let heard = heard.lock().unwrap().clone();
    assert!(heard.iter().all(|lines| lines.contains(&"x-api-key: sk-canary".to_owned())));
    assert!(heard.iter().skip(2).any(|lines| lines.contains(&"mcp-session-id: s1".to_owned())));
    client.close().await;
}

/// What servers do with the two requests that begin a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Era {
    /// Knows `initialize` alone, and refuses the other.
    Legacy,
    /// Answers nothing to what it does not know.
    Silent,
    /// Ends at what it does not know.
    Fragile,
    /// Knows `server/discover` alone.
    Modern,
    /// Knows both.
    Dual,
}

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// Returns what a server of an era says to a message; none at its end.
fn said_in(era: Era, request: &Value) -> Option<Vec<Value>> {
    let of = |result: Value| json!({"jsonrpc": "2.0", "id": request["id"], "result": result});
    let refused = |code: i32, data: Value| json!({"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": "no", "data": data}});
    let (params, knows_discovery) = (&request["params"], matches!(era, Era::Modern | Era::Dual));
    let is_modern = params["_meta"][VERSION] == "2026-07-28";
    Some(match request["method"].as_str().unwrap_or_default() {
        // Without what rmcp calls required.
        "server/discover" if knows_discovery && is_modern => vec![of(json!({
            "supportedVersions": ["2025-11-25", "2026-07-28"],
            "capabilities": {"tools": {"listChanged": true}, "odd": 1},
            "instructions": "i",
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "s", "version": "1", "odd": true}},
        }))],
        "initialize" if era != Era::Modern => answer(request),
        "server/discover" if era == Era::Silent => Vec::new(),
        "server/discover" if era == Era::Fragile => return None,
        "server/discover" => vec![refused(-32601, json!(null))],
        "initialize" => vec![refused(-32022, json!({"supported": ["2026-07-28"]}))],
        "tools/call" if is_modern && params["inputResponses"].is_null() => vec![of(json!({
            "resultType": "input_required",
            "requestState": "s-7",
            "inputRequests": {"q": {"method": "sampling/createMessage", "params": {"n": 1}}},
        }))],
        "tools/call" => vec![of(json!({"resultType": "complete", "content": [], "heard": params}))],
        "odd/kind" => vec![of(json!({"resultType": "puzzle"}))],
        "asks/forever" => vec![of(json!({"resultType": "input_required", "requestState": "again"}))],
        "asks/nothing" => vec![of(json!({"resultType": "input_required"}))],
        "asks/elsewhere" => vec![of(json!({"resultType": "input_required",
            "inputRequests": {"q": {"method": "odd/request", "params": {}}}}))],
        "subscriptions/listen" => vec![json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed",
            "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": request["id"]}}})],
        _ => Vec::new(),
    })
}

async fn begun_in(
    era: Era,
    lifecycle: Lifecycle,
) -> (Result<McpClient, ClientError>, Arc<Told>, Arc<Mutex<Vec<Value>>>) {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let written = heard.clone();
    tokio::spawn(async move {
        let (input, mut output) = tokio::io::split(theirs);
        let mut lines = BufReader::new(input).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let message: Value = serde_json::from_str(&line).unwrap();
            let said = said_in(era, &message);
            written.lock().unwrap().push(message);
            let Some(said) = said else { return };
            for message in said {
                output.write_all(format!("{message}\n").as_bytes()).await.unwrap();
            }
        }
    });
    let (input, output) = tokio::io::split(ours);
    let told = Arc::new(Told::default());
    let begun = McpClient::connect_streams(input, output, info(), told.clone(), lifecycle, HANG_TIMEOUT).await;
    (begun, told, heard)
}

#[tokio::test]
async fn a_session_begins_as_its_server_knows_it_or_tells_how_else_to_try() {
    use Lifecycle::{Auto, Discover, Initialize};
    // What is tried: whether the session is without `initialize`, or what to try next.
    let table = [
        (Era::Legacy, Auto, Ok(false)),
        (Era::Legacy, Discover, Err(Some(Initialize))),
        (Era::Legacy, Initialize, Ok(false)),
        (Era::Silent, Auto, Ok(false)),
        (Era::Fragile, Auto, Err(Some(Initialize))),
        (Era::Fragile, Initialize, Ok(false)),
        (Era::Modern, Auto, Ok(true)),
        (Era::Modern, Discover, Ok(true)),
        (Era::Modern, Initialize, Err(Some(Discover))),
        (Era::Dual, Auto, Ok(true)),
        (Era::Dual, Discover, Ok(true)),
        (Era::Dual, Initialize, Ok(false)),
    ];
    for (era, lifecycle, expected) in table {
        let (begun, ..) = begun_in(era, lifecycle).await;
        let outcome = begun.as_ref().map(McpClient::is_modern).map_err(|error| error.next_lifecycle(lifecycle));
        assert_eq!(outcome, expected, "{era:?} {lifecycle:?}");
        let Ok(client) = begun else { continue };
        let server = client.initialize_result();
        let version = if client.is_modern() { "2026-07-28" } else { "2025-06-18" };
        assert_eq!((server["protocolVersion"].as_str(), &server["capabilities"]["odd"]), (Some(version), &json!(1)));
        assert_eq!((&server["serverInfo"]["odd"], &server["instructions"]), (&json!(true), &json!("i")), "{era:?}");
        assert_eq!(Lifecycle::from_version(version) == Discover, client.is_modern());
        client.close().await;
    }
}

#[tokio::test]
async fn without_a_handshake_each_request_is_complete_and_is_sent_again_with_what_its_server_asks_for() {
    let (begun, told, heard) = begun_in(Era::Modern, Lifecycle::Auto).await;
    let client = begun.unwrap();
    let meta = Map::from_iter([("own".to_owned(), json!(1))]);
    // No type of ours holds the number.
    let arguments = serde_json::from_str::<Box<RawValue>>(r#"{"n":12345678901234567890123}"#).unwrap();
    let params = Params::for_call("a".into(), crate::Arguments::from_raw(&arguments).unwrap(), meta);
    let request = McpRequest {
        method: "tools/call".into(),
        params: Some(params),
        timeout: HANG_TIMEOUT,
        call_number: None,
        progress: None,
    };
    let result = parse_result(&client.send(request).await.unwrap()).unwrap();
    let again = &result["heard"];
    assert_eq!((&again["name"], &again["requestState"]), (&json!("a"), &json!("s-7")));
    let answered = json!({"q": {"heard": {"n": 1}, "content": {"type": "hologram"}}});
    assert_eq!((&again["inputResponses"], &again["_meta"]["own"]), (&answered, &json!(1)));
    for meta in heard.lock().unwrap().iter().map(|message| &message["params"]["_meta"]) {
        assert_eq!(meta[VERSION], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "t");
        assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], json!({"sampling": {}}));
    }
    // A server that asks without end, for nothing, or for what nobody has, fails its request.
    for (method, problem) in [
        ("asks/forever", "asks for more than 16 times"),
        ("asks/nothing", "does not say for what"),
        ("asks/elsewhere", "there is no method `odd/request`"),
        ("odd/kind", "is of a kind that nobody had asked for"),
    ] {
        let failed = client.request(method, None, HANG_TIMEOUT).await.unwrap_err().to_string();
        assert!(failed.contains(problem), "{failed}");
    }
    // Changes are heard while they are followed, and giving up is told.
    let listening = client.listen(json!({"toolsListChanged": true}));
    tokio::time::timeout(Duration::from_millis(200), listening).await.unwrap_err();
    assert!(told.0.lock().unwrap().iter().any(|(method, _)| method == "notifications/tools/list_changed"));
    let cancelled = || heard.lock().unwrap().iter().any(|message| message["method"] == "notifications/cancelled");
    while !cancelled() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    client.close().await;
}

/// The headers and the message of each request.
type HeardOverHttp = Arc<Mutex<Vec<(Vec<String>, Value)>>>;

/// A server of an era over HTTP, with what it does to what it does not know: a status, and a body.
async fn http_server_of(era: Era, refusal: (u16, &'static str), heard: HeardOverHttp) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let heard = heard.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                while let Some((_, lines, message)) = read_request(&mut stream).await {
                    heard.lock().unwrap().push((lines, message.clone()));
                    let said = said_in(era, &message).unwrap_or_default();
                    let knows = matches!(era, Era::Modern | Era::Dual);
                    let (status, kind, body) = match message["method"].as_str() {
                        Some("server/discover") if !knows => (refusal.0, "text/plain", refusal.1.to_owned()),
                        // Its stream stays open.
                        Some("subscriptions/listen") => {
                            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
                            let event = format!("data: {}\n\n", said[0]);
                            stream.get_mut().write_all((head.to_owned() + &event).as_bytes()).await.unwrap();
                            let mut byte = [0];
                            let _ = tokio::io::AsyncReadExt::read(stream.get_mut(), &mut byte).await;
                            let hung_up = json!({"method": "hung up"});
                            heard.lock().unwrap().push((Vec::new(), hung_up));
                            return;
                        }
                        None => (405, "text/plain", String::new()),
                        _ if said.is_empty() => (202, "text/plain", String::new()),
                        _ => (
                            if said[0]["error"].is_null() { 200 } else { 400 },
                            "application/json",
                            said[0].to_string(),
                        ),
                    };
                    let length = body.len();
                    let head =
                        format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
                    stream.get_mut().write_all((head + &body).as_bytes()).await.unwrap();
                }
            });
        }
    });
    port
}

async fn begun_over_http(
    era: Era,
    lifecycle: Lifecycle,
    refusal: (u16, &'static str),
) -> (Result<McpClient, ClientError>, Arc<Told>, HeardOverHttp) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let port = http_server_of(era, refusal, heard.clone()).await;
    let url = format!("http://127.0.0.1:{port}/mcp");
    let mut policy = Policy::none();
    policy.grant_url(&url);
    let endpoint = ServerEndpoint::new(aiw_net::HttpClient::new().unwrap(), policy, &*url, Vec::new());
    let told = Arc::new(Told::default());
    (McpClient::connect_http(endpoint, info(), told.clone(), lifecycle, HANG_TIMEOUT).await, told, heard)
}

#[tokio::test]
async fn over_http_too_a_session_begins_as_its_server_knows_it() {
    use Lifecycle::{Auto, Discover, Initialize};
    const MISSING: (u16, &str) = (404, "no such page");
    let table = [
        // What is in front of older servers refuses in many ways.
        (Era::Legacy, Auto, (400, "Bad Request: no valid session ID provided"), Ok(false)),
        (Era::Legacy, Auto, (404, ""), Ok(false)),
        (Era::Legacy, Auto, (406, "<html>"), Ok(false)),
        (Era::Legacy, Auto, (500, "Internal Server Error"), Err(Some(Initialize))),
        (Era::Legacy, Discover, MISSING, Err(Some(Initialize))),
        (Era::Legacy, Initialize, MISSING, Ok(false)),
        (Era::Modern, Auto, MISSING, Ok(true)),
        (Era::Modern, Discover, MISSING, Ok(true)),
        (Era::Modern, Initialize, MISSING, Err(Some(Discover))),
        (Era::Dual, Auto, MISSING, Ok(true)),
        // Only the user can help.
        (Era::Legacy, Auto, (401, "log in"), Err(None)),
    ];
    for (era, lifecycle, refusal, expected) in table {
        let (begun, ..) = begun_over_http(era, lifecycle, refusal).await;
        let outcome = begun.as_ref().map(McpClient::is_modern).map_err(|error| error.next_lifecycle(lifecycle));
        assert_eq!(outcome, expected, "{era:?} {lifecycle:?} {refusal:?}: {:?}", begun.as_ref().err());
    }
}

#[tokio::test]
async fn over_http_each_request_is_complete_and_giving_up_ends_its_stream() {
    let (begun, told, heard) = begun_over_http(Era::Modern, Lifecycle::Auto, (404, "")).await;
    let client = begun.unwrap();
    let called =
        client.request("tools/call", Some(json!({"name": "a", "arguments": {"n": 1}})), HANG_TIMEOUT).await.unwrap();
    assert_eq!((&called["heard"]["name"], &called["heard"]["requestState"]), (&json!("a"), &json!("s-7")));
    assert!(called["heard"]["inputResponses"]["q"].is_object(), "{called}");
    let listening = client.listen(json!({"toolsListChanged": true}));
    tokio::time::timeout(Duration::from_millis(500), listening).await.unwrap_err();
    assert!(told.0.lock().unwrap().iter().any(|(method, _)| method == "notifications/tools/list_changed"));
    while !heard.lock().unwrap().iter().any(|(_, message)| message["method"] == "hung up") {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for (lines, message) in heard.lock().unwrap().iter().filter(|(lines, _)| !lines.is_empty()) {
        let method = message["method"].as_str().unwrap();
        assert_eq!(message["params"]["_meta"][VERSION], "2026-07-28", "{message}");
        for header in ["mcp-protocol-version: 2026-07-28".to_owned(), format!("mcp-method: {}", method.to_lowercase())]
        {
            assert!(lines.contains(&header), "{header}: {lines:?}");
        }
        assert!(!lines.iter().any(|line| line.starts_with("mcp-session-id")), "{lines:?}");
    }
    client.close().await;
}

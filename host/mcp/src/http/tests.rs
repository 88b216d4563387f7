//! Sessions over HTTP, without a network.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::headers::VERSION_HEADER;
use super::*;
use crate::{Arguments, Call, Caller, RpcError, ServerDescription, Tool, ToolResult};

/// How many offers there are.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

#[derive(Default)]
struct Odd {
    is_counted: bool,
    client: Mutex<Option<Caller>>,
}

impl Odd {
    fn make() -> Arc<dyn ServerBackend> {
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Arc::new(Self { is_counted: true, client: Mutex::default() })
    }

    fn client(&self) -> Option<Caller> {
        self.client.lock().unwrap().clone()
    }
}

impl Drop for Odd {
    fn drop(&mut self) {
        ALIVE.fetch_sub(usize::from(self.is_counted), Ordering::SeqCst);
    }
}

const CHANGED: &str = "notifications/tools/list_changed";

#[async_trait]
impl ServerBackend for Odd {
    fn describe(&self) -> ServerDescription {
        ServerDescription {
            name: "odd".into(),
            version: "1".into(),
            instructions: String::new(),
            capabilities: Map::new(),
        }
    }

    fn tools(&self) -> Arc<[Tool]> {
        let schema = json!({"type": "object", "new": null});
        Arc::new([Tool::from_definition(json!({"name": "odd", "inputSchema": schema})).unwrap()])
    }

    async fn on_session_start(&self, client: Caller) {
        *self.client.lock().unwrap() = Some(client);
    }

    async fn call(&self, name: &str, arguments: Arguments, call: Call) -> Result<ToolResult, RpcError> {
        match name {
            "changes" => self.client().unwrap().notify(CHANGED, None).await.unwrap(),
            "counts" => {
                for progress in 0..5 {
                    let params = json!({"progressToken": call.meta["progressToken"], "progress": progress});
                    call.caller.notify("notifications/progress", Some(params)).await.unwrap();
                }
            }
            "asks" => {
                let asked =
                    call.caller.send_request("elicitation/create", Some(json!({"new": [1]})), Duration::from_secs(20));
                return Ok(ToolResult::from_structured(asked.await.unwrap()));
            }
            "waits" => call.cancellation.wait_until_abandoned().await,
            _ => {}
        }
        Ok(ToolResult::from_map(arguments.parse().unwrap()))
    }

    async fn request(&self, method: &str, params: Option<Value>, _: Call) -> Result<Value, RpcError> {
        match method {
            "prompts/get" => Ok(json!({"heard": params, "messages": [{"odd": null}]})),
            other => Err(RpcError::method_not_found(other)),
        }
    }
}

/// Each test has its own server, and they run at once: only one counts offers.
fn server(limits: HttpLimits) -> (HttpServer, CancellationToken) {
    let stop = CancellationToken::new();
    (HttpServer::new(|| Arc::new(Odd::default()), limits, stop.clone()), stop)
}

async fn send(server: &HttpServer, method: Method, headers: &[(&str, &str)], body: String) -> Response<ReplyBody> {
    let mut request =
        Request::builder().method(method).uri("/mcp").header("accept", "application/json, text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.handle(request.body(Bytes::from(body)).unwrap()).await
}

async fn text(response: Response<ReplyBody>) -> String {
    let bytes = tokio::time::timeout(Duration::from_secs(20), response.into_body().collect()).await.unwrap().unwrap();
    String::from_utf8(bytes.to_bytes().to_vec()).unwrap()
}

/// The messages of a JSON answer or a stream that has ended.
async fn messages(response: Response<ReplyBody>) -> Vec<Value> {
    let is_stream = response.headers()["content-type"] == SSE_CONTENT_TYPE;
    let text = text(response).await;
    if !is_stream {
        return vec![serde_json::from_str(&text).unwrap()];
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// The next frame of a stream.
async fn event(body: &mut ReplyBody) -> Option<String> {
    let frame = tokio::time::timeout(Duration::from_secs(20), body.frame()).await.unwrap()?;
    Some(String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap())
}

fn request(id: i64, method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

fn call(id: i64, name: &str, arguments: Value) -> String {
    request(id, "tools/call", json!({"name": name, "arguments": arguments, "_meta": {"progressToken": id}}))
}

async fn begin(server: &HttpServer) -> String {
    begin_with(server, "2025-11-25").await
}

async fn begin_with(server: &HttpServer, version: &str) -> String {
    let params = json!({"protocolVersion": version, "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "t", "version": "1"}});
    let begun = send(server, Method::POST, &[], request(0, "initialize", params)).await;
    let id = begun.headers()[SESSION_HEADER].to_str().unwrap().to_owned();
    let told = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#.to_owned();
    assert_eq!(send(server, Method::POST, &[(SESSION_HEADER, &id)], told).await.status(), 202);
    // It is told on a task of its own.
    while text(send(server, Method::POST, &[(SESSION_HEADER, &id)], call(1, "changes", json!({}))).await)
        .await
        .contains("a bug")
    {}
    id
}

#[tokio::test]
async fn a_change_is_told_to_its_own_session_only() {
    let (server, _stop) = server(HttpLimits::default());
    let (one, two) = (begin(&server).await, begin(&server).await);
    let mut streams = Vec::new();
    for id in [&one, &two] {
        let mut body = send(&server, Method::GET, &[(SESSION_HEADER, id)], String::new()).await.into_body();
        // What `begin` left behind.
        while let Ok(Some(_)) = tokio::time::timeout(Duration::from_millis(100), body.frame()).await {}
        streams.push(body);
    }
    let answer = send(&server, Method::POST, &[(SESSION_HEADER, &one)], call(2, "changes", json!({}))).await;
    assert_eq!(messages(answer).await.len(), 1);
    let (first, second) = streams.split_at_mut(1);
    assert!(event(&mut first[0]).await.unwrap().contains(CHANGED));
    assert!(tokio::time::timeout(Duration::from_millis(200), second[0].frame()).await.is_err());
}

#[tokio::test]
async fn a_batch_is_answered_in_one_stream_in_the_version_that_has_them() {
    let (server, _stop) = server(HttpLimits::default());
    let id = begin_with(&server, "2025-03-26").await;
    let post = async |id: &str, body: String| send(&server, Method::POST, &[(SESSION_HEADER, id)], body).await;
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 14}});
    let parts = [
        request(10, "ping", json!({})),
        call(11, "counts", json!({"x": 1})),
        call(12, "odd", json!({"y": 2})),
        request(13, "nope", json!({})),
        call(14, "waits", json!({})),
        cancelled.to_string(),
        call(12, "odd", json!({})),
        request(
            15,
            "initialize",
            json!({"protocolVersion": "2025-03-26", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}),
        ),
        "7".to_owned(),
        "[]".to_owned(),
    ];
    let answers = messages(post(&id, format!("[{}]", parts.join(","))).await).await;
    let of = |id: Value| {
        answers.iter().filter(|m| m.get("method").is_none() && m.get("id") == Some(&id)).collect::<Vec<_>>()
    };
    assert_eq!(of(json!(10))[0]["result"], json!({}));
    assert_eq!(of(json!(11))[0]["result"], json!({"x": 1}));
    assert_eq!(of(json!(13))[0]["error"]["code"], -32601);
    assert_eq!(of(json!(14)), Vec::<&Value>::new());
    let twice = of(json!(12));
    assert_eq!((twice.len(), &twice[0]["error"]["code"], &twice[1]["result"]), (2, &json!(-32600), &json!({"y": 2})));
    assert_eq!(of(Value::Null).iter().map(|m| &m["error"]["code"]).collect::<Vec<_>>(), [-32600; 2]);
    assert_eq!(of(json!(15))[0]["error"]["message"], "a batch can't begin a session");
    assert_eq!(answers.iter().filter(|m| m["method"] == "notifications/progress").count(), 5);
    let told = answers.iter().filter(|m| m["method"] == CHANGED).count();
    assert_eq!(answers.len() - told, 8 + 5);
    // Nothing to answer, and nothing but refusals.
    assert_eq!(post(&id, format!("[{cancelled},{cancelled}]")).await.status(), 202);
    assert_eq!(messages(post(&id, "[1]".into()).await).await.len(), 1);
    for body in ["[]", "[1"] {
        assert_eq!(post(&id, body.into()).await.status(), 400, "{body}");
    }
    for version in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let id = begin_with(&server, version).await;
        let refused = post(&id, format!("[{}]", request(2, "ping", json!({})))).await;
        assert_eq!(
            (refused.status(), messages(refused).await[0]["error"]["code"].clone()),
            (400.try_into().unwrap(), json!(-32600))
        );
    }
}

#[tokio::test]
async fn messages_pass_unchanged_in_both_directions() {
    let (server, _stop) = server(HttpLimits::default());
    let session = begin(&server).await;
    let headers = [(SESSION_HEADER, session.as_str())];
    let odd = json!({"content": [{"type": "new", "x": null}], "isError": false, "unknown": 1.5, "_meta": {"a": [{}]}});
    let answer = messages(send(&server, Method::POST, &headers, call(2, "odd", odd.clone())).await).await;
    assert_eq!(answer[0]["result"], odd);
    let params = json!({"name": "p", "odd": {"a": null}});
    let answer = messages(send(&server, Method::POST, &headers, request(3, "prompts/get", params.clone())).await).await;
    assert_eq!(answer[0]["result"], json!({"heard": params, "messages": [{"odd": null}]}));
    let answer = messages(send(&server, Method::POST, &headers, request(4, "tools/list", json!({}))).await).await;
    assert_eq!(answer[0]["result"]["tools"][0]["inputSchema"]["new"], Value::Null);
    // Progress comes before the answer, on its stream.
    let answer = messages(send(&server, Method::POST, &headers, call(5, "counts", json!({"done": 1}))).await).await;
    let progress: Vec<_> = answer.iter().map(|message| message["params"]["progress"].as_f64()).collect();
    assert_eq!(progress[..5], [0., 1., 2., 3., 4.].map(Some));
    assert_eq!((answer.len(), &answer[5]["result"]["done"]), (6, &json!(1)));
    // A question travels on the stream of its request; the answer comes in a request of its own.
    let asks = send(&server, Method::POST, &headers, call(6, "asks", json!({}))).await;
    let mut body = asks.into_body();
    let question: Value = loop {
        let event = event(&mut body).await.unwrap();
        if let Some(data) = event.lines().find_map(|line| line.strip_prefix("data: ")) {
            break serde_json::from_str(data).unwrap();
        }
    };
    assert_eq!((&question["method"], &question["params"]["new"]), (&json!("elicitation/create"), &json!([1])));
    let told = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "odd": [null]}});
    assert_eq!(send(&server, Method::POST, &headers, told.to_string()).await.status(), 202);
    let answer = event(&mut body).await.unwrap();
    assert!(answer.contains(r#""structuredContent":{"action":"accept","odd":[null]}"#), "{answer}");
    assert_eq!(event(&mut body).await, None);
}

#[tokio::test]
async fn a_stream_that_is_cut_anywhere_is_read_on() {
    let (server, _stop) = server(HttpLimits::default());
    let session = begin(&server).await;
    let headers = [(SESSION_HEADER, session.as_str())];
    for cut in 0..7 {
        let mut body =
            send(&server, Method::POST, &headers, call(10 + cut, "counts", json!({"done": cut}))).await.into_body();
        let mut seen = Vec::new();
        for _ in 0..=cut {
            seen.push(event(&mut body).await.unwrap());
        }
        drop(body);
        let place = seen.last().unwrap().lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
        let mut rest =
            send(&server, Method::GET, &[headers[0], (LAST_EVENT_ID_HEADER, &place)], String::new()).await.into_body();
        while let Some(event) = event(&mut rest).await {
            seen.push(event);
        }
        let indices: Vec<_> =
            seen.iter().map(|event| event.lines().next().unwrap().rsplit_once('-').unwrap().1).collect();
        assert_eq!(indices, ["0", "1", "2", "3", "4", "5", "6"], "cut after {cut}");
        assert!(seen[6].contains(&format!(r#""done":{cut}"#)));
    }
}

#[tokio::test]
async fn sessions_end_when_asked_when_unused_when_too_many_and_with_the_server() {
    let stop = CancellationToken::new();
    let limits = HttpLimits { max_sessions: 2, idle_timeout: Duration::from_millis(300) };
    let server = HttpServer::new(Odd::make, limits, stop.clone());
    let gone = async |alive: usize| {
        for _ in 0..2000 {
            if ALIVE.load(Ordering::SeqCst) == alive && server.session_count() == alive {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{} offers are left", ALIVE.load(Ordering::SeqCst));
    };
    // A third one ends the one that was unused for longest.
    let ids = [begin(&server).await, begin(&server).await, begin(&server).await];
    let ping = || request(2, "ping", json!({}));
    assert_eq!(send(&server, Method::POST, &[(SESSION_HEADER, &ids[0])], ping()).await.status(), 404);
    assert_eq!(send(&server, Method::POST, &[(SESSION_HEADER, &ids[1])], ping()).await.status(), 200);
    gone(2).await;
    assert_eq!(send(&server, Method::DELETE, &[(SESSION_HEADER, &ids[1])], String::new()).await.status(), 202);
    gone(1).await;
    // One with an open stream is in use.
    let mut body = send(&server, Method::GET, &[(SESSION_HEADER, &ids[2])], String::new()).await.into_body();
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(server.session_count(), 1);
    // None is taken away while all are in use.
    let other = begin(&server).await;
    let waits = send(&server, Method::POST, &[(SESSION_HEADER, &other)], call(5, "waits", json!({}))).await;
    let refused = send(
        &server,
        Method::POST,
        &[],
        request(
            0,
            "initialize",
            json!({"protocolVersion": "2025-11-25",
        "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
        ),
    )
    .await;
    assert_eq!(refused.status(), 503);
    drop(waits);
    // The server stops: streams end, and so do calls.
    stop.cancel();
    while event(&mut body).await.is_some() {}
    tokio::time::timeout(Duration::from_secs(20), server.wait_until_ended()).await.unwrap();
    gone(0).await;
}

#[tokio::test]
async fn a_session_that_nobody_uses_ends() {
    let (server, _stop) = server(HttpLimits { idle_timeout: Duration::from_millis(100), ..HttpLimits::default() });
    begin(&server).await;
    for _ in 0..2000 {
        if server.session_count() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it is still there");
}

#[tokio::test]
async fn a_subscription_without_a_session_hears_of_changes_and_ends_with_its_connection() {
    let (server, _stop) = server(HttpLimits::default());
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}});
    let ask = async |id: i64, method: &str, name: &str, mut params: Value| {
        params["_meta"] = meta.clone();
        let headers = [(VERSION_HEADER, "2026-07-28"), ("mcp-method", method), ("mcp-name", name)];
        send(&server, Method::POST, &headers, request(id, method, params)).await
    };
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let mut body = ask(1, "subscriptions/listen", "", listen).await.into_body();
    assert!(event(&mut body).await.unwrap().contains("notifications/subscriptions/acknowledged"));
    // Another request is another connection, of the same offer.
    let changes = json!({"name": "changes", "arguments": {"done": 1}});
    let answer = messages(ask(2, "tools/call", "changes", changes.clone()).await).await;
    assert_eq!(answer[0]["result"]["done"], 1, "{answer:?}");
    assert!(event(&mut body).await.unwrap().contains(CHANGED));
    drop(body);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let answer = messages(ask(3, "tools/call", "changes", changes).await).await;
    assert_eq!(answer[0]["result"]["done"], 1, "{answer:?}");
    assert_eq!(server.session_count(), 0);
}

#[tokio::test]
async fn clients_without_a_session_are_told_apart_by_what_they_say_of_themselves() {
    let seen: Arc<Mutex<Vec<Arc<Odd>>>> = Arc::default();
    let made = seen.clone();
    let make = move || -> Arc<dyn ServerBackend> {
        let offer = Arc::new(Odd::default());
        made.lock().unwrap().push(offer.clone());
        offer
    };
    let stop = CancellationToken::new();
    let server = HttpServer::new(make, HttpLimits { max_sessions: 2, ..HttpLimits::default() }, stop.clone());
    let ask = async |client: &str, capabilities: Value| {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": client, "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": capabilities});
        let headers = [(VERSION_HEADER, "2026-07-28"), ("mcp-method", "tools/list")];
        let body = request(1, "tools/list", json!({ "_meta": meta }));
        messages(send(&server, Method::POST, &headers, body).await).await
    };
    let apps = json!({"extensions": {"io.modelcontextprotocol/ui": {}}});
    for (client, capabilities) in [("a", json!({})), ("b", apps.clone()), ("a", json!({})), ("b", apps.clone())] {
        let answer = ask(client, capabilities).await;
        assert_eq!(answer[0]["result"]["tools"][0]["name"], "odd", "{answer:?}");
    }
    let of = |offers: &[Arc<Odd>]| -> Vec<(String, bool)> {
        let clients = offers.iter().map(|offer| offer.client().unwrap());
        clients.map(|client| (client.name().to_owned(), client.supports_apps())).collect()
    };
    assert_eq!(of(&seen.lock().unwrap()), [("a".to_owned(), false), ("b".to_owned(), true)]);
    // A refused request takes no place.
    let refused = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}});
    let body = request(1, "tools/list", json!({ "_meta": refused }));
    let headers = [(VERSION_HEADER, "2026-07-28"), ("mcp-method", "prompts/list")];
    assert_eq!(send(&server, Method::POST, &headers, body).await.status(), 400);
    assert_eq!(seen.lock().unwrap().len(), 2);
    // One more takes the place of the one that has been unused for longest.
    ask("c", json!({})).await;
    ask("b", apps).await;
    assert_eq!(seen.lock().unwrap().len(), 3);
    ask("a", json!({})).await;
    assert_eq!(seen.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_client_with_an_open_question_keeps_its_place_while_others_come() {
    let make = || -> Arc<dyn ServerBackend> { Arc::new(Odd::default()) };
    let limits = HttpLimits { max_sessions: 2, ..HttpLimits::default() };
    let server = HttpServer::new(make, limits, CancellationToken::new());
    let ask = async |client: &str, method: &str, mut params: Value| {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": client, "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}});
        let headers = [(VERSION_HEADER, "2026-07-28"), ("mcp-method", method), ("mcp-name", "asks")];
        messages(send(&server, Method::POST, &headers, request(1, method, params)).await).await[0]["result"].clone()
    };
    let call = json!({"name": "asks", "arguments": {}});
    let asked = ask("asked", "tools/call", call.clone()).await;
    assert_eq!(asked["resultType"], "input_required", "{asked}");
    for other in 0..6 {
        assert!(ask(&format!("other {other}"), "tools/list", json!({})).await["tools"].is_array());
    }
    let question = asked["inputRequests"].as_object().unwrap().keys().next().unwrap();
    let answers = json!({ question.as_str(): {"action": "accept"} });
    let mut again = call;
    (again["requestState"], again["inputResponses"]) = (asked["requestState"].clone(), answers);
    let done = ask("asked", "tools/call", again).await;
    assert_eq!(done["structuredContent"], json!({"action": "accept"}), "{done}");
}

mod fuzz {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn no_body_and_no_headers_panic_or_go_unanswered(
            body in prop_oneof!["\\PC{0,80}", Just(call(1, "odd", json!({}))), Just(request(1, "initialize", json!({})))],
            headers in proptest::collection::vec((prop_oneof![Just(SESSION_HEADER), Just(VERSION_HEADER), Just(LAST_EVENT_ID_HEADER), Just("mcp-method")],
                prop_oneof!["[ -~]{0,12}", Just("2026-07-28".to_owned()), Just("2025-11-25".to_owned()), Just("tools/call".to_owned())]), 0..4),
            method in prop_oneof![Just(Method::POST), Just(Method::GET), Just(Method::DELETE), Just(Method::PUT)],
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (server, stop) = server(HttpLimits::default());
                let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.trim())).collect();
                let answer = tokio::time::timeout(Duration::from_secs(20), send(&server, method, &headers, body)).await.unwrap();
                prop_assert_ne!(answer.status(), 500);
                stop.cancel();
                tokio::time::timeout(Duration::from_secs(20), server.wait_until_ended()).await.unwrap();
                Ok(())
            })?;
        }
    }
}

#[test]
fn what_a_client_accepts_is_a_type_a_group_or_anything() {
    for (listed, expected) in [
        (&["application/json, text/event-stream"][..], true),
        (&["application/json", "text/event-stream"], true),
        (&["APPLICATION/json;q=0.5 ,text/*;q=0.1"], true),
        (&["*/*"], true),
        (&["application/*, */*;q=0"], true),
        (&["application/json"], false),
        (&["application/json, texts/*"], false),
        (&["application/json, */event-stream"], false),
        (&["application/jsonx, text/event-stream"], false),
        (&[""], false),
        (&[], false),
    ] {
        let mut headers = HeaderMap::new();
        for value in listed {
            headers.append(ACCEPT, value.parse().unwrap());
        }
        assert_eq!(accepts(&headers, JSON_CONTENT_TYPE) && accepts(&headers, SSE_CONTENT_TYPE), expected, "{listed:?}");
    }
}

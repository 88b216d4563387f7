//! The dashboard over real connections: sessions, questions, forged requests.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Duration;

use aiw_app::doctor::Doctor;
use aiw_app::{App, BundledScripts};
use aiw_home::{ExecutionContext, Home, Timestamp};
use aiw_markets::NoopObserver;
use serde_json::Value;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::access::{Access, SESSION_TTL};
use crate::place::WebEndpoint;
use crate::{WebOptions, WebServer};

mod asking;
mod editing;
mod reading;
mod servers;
mod streams;

const NO_SCRIPTS: BundledScripts = BundledScripts { component: &[], code: &[], sha256: "" };

/// A dashboard that serves, in a home of its own.
struct Served {
    directory: TempDir,
    home: Home,
    port: u16,
    stop: CancellationToken,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop.cancel();
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// A session as a page has it.
struct Page {
    port: u16,
    token: String,
}

struct Response {
    status: u16,
    head: String,
    body: String,
}

impl Response {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {} {}", self.head, self.body))
    }
}

/// Sends bytes, and reads the answer until the server closes the connection.
fn send(port: u16, bytes: &[u8]) -> Response {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // A request that is refused at its head is not read to its end.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Response { status, head: head.to_owned(), body: body.to_owned() }
}

/// Headers that our page's requests have.
fn of_page(port: u16) -> BTreeMap<&'static str, String> {
    BTreeMap::from([
        ("host", format!("127.0.0.1:{port}")),
        ("origin", format!("http://127.0.0.1:{port}")),
        ("sec-fetch-site", "same-origin".to_owned()),
        ("sec-fetch-mode", "cors".to_owned()),
        ("sec-fetch-dest", "empty".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("connection", "close".to_owned()),
    ])
}

fn written(line: &str, headers: &BTreeMap<&'static str, String>, body: &str) -> Vec<u8> {
    let mut text = format!("{line} HTTP/1.1\r\n");
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}").into_bytes()
}

impl Served {
    fn begin() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self::again(directory, 0)
    }

    fn again(directory: TempDir, port: u16) -> Self {
        let project = directory.path().join("project");
        std::fs::create_dir_all(&project).unwrap();
        let variables = [
            ("HOME", directory.path().to_owned()),
            ("AIW_RUNTIME_DIR", directory.path().join("run")),
            ("PATH", std::env::var_os("PATH").unwrap_or_default().into()),
        ];
        let around = ExecutionContext::new(Ok(project), variables.map(|(name, value)| (name.into(), value.into())));
        let home = Home::from_root(directory.path().join(".aiw")).with_context(around);
        let app = App::open(home.clone(), &[], NO_SCRIPTS, Arc::new(NoopObserver));
        let options = WebOptions {
            doctor: Arc::new(|_| Doctor { parts: Vec::new() }),
            own_tools: Vec::new,
            progress: Arc::default(),
        };
        let stop = CancellationToken::new();
        let (told, told_port) = std::sync::mpsc::channel();
        let stops = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = WebServer::bind(app, Some(port), options).await.unwrap().unwrap();
                let port = server.url().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
                told.send(port).unwrap();
                server.serve(stops).await.unwrap();
            });
            runtime.shutdown_timeout(Duration::from_secs(5));
        });
        let port = told_port.recv().unwrap();
        Self { directory, home, port, stop, thread: Some(thread) }
    }

    fn access(&self) -> Access {
        loop {
            // It is written once the server serves.
            match WebEndpoint::read(&self.home).unwrap() {
                Some(place) => return place.access(&self.home),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    fn code(&self) -> String {
        self.access().new_code().unwrap()
    }

    fn page(&self) -> Page {
        let body = format!("{{\"code\":\"{}\"}}", self.code());
        let answer = send(self.port, &written("POST /api/v1/session", &of_page(self.port), &body));
        assert_eq!(answer.status, 200, "{} {}", answer.head, answer.body);
        assert!(!answer.head.contains("set-cookie"), "{}", answer.head);
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        assert_eq!(token.len(), 64, "{token}");
        Page { port: self.port, token }
    }
}

impl Page {
    fn headers(&self) -> BTreeMap<&'static str, String> {
        let mut headers = of_page(self.port);
        headers.insert("authorization", format!("Bearer {}", self.token));
        headers
    }

    fn get(&self, path: &str) -> Response {
        send(self.port, &written(&format!("GET /api/v1{path}"), &self.headers(), ""))
    }

    fn post(&self, path: &str, body: &Value) -> Response {
        send(self.port, &written(&format!("POST /api/v1{path}"), &self.headers(), &body.to_string()))
    }

    fn delete(&self, path: &str) -> Response {
        send(self.port, &written(&format!("DELETE /api/v1{path}"), &self.headers(), ""))
    }
}

/// A process is what every forged request tries to make.
const NEW: &str = r#"{"id":"forged","command":["true"]}"#;

fn is_untouched(served: &Served) {
    let file = served.directory.path().join("project/.ichimi/processes.kdl");
    assert!(!file.exists(), "a forged request defined a process");
}

#[test]
fn a_code_is_good_once() {
    let served = Served::begin();
    let body = format!("{{\"code\":\"{}\"}}", served.code());
    let first = send(served.port, &written("POST /api/v1/session", &of_page(served.port), &body));
    let second = send(served.port, &written("POST /api/v1/session", &of_page(served.port), &body));
    assert_eq!((first.status, second.status), (200, 401), "{}", second.body);
    for code in ["", "0", &"0".repeat(32)] {
        let body = format!("{{\"code\":\"{code}\"}}");
        let guessed = send(served.port, &written("POST /api/v1/session", &of_page(served.port), &body));
        assert_eq!(guessed.status, 401, "{code}");
    }
    // A code is for somebody who can't say more.
    let long = format!("{{\"code\":\"{}\"}}", "0".repeat(300));
    let long = send(served.port, &written("POST /api/v1/session", &of_page(served.port), &long));
    assert_eq!(long.status, 413);
}

#[test]
fn a_session_ends_with_its_page_and_with_its_address() {
    let mut served = Served::begin();
    let (page, other) = (served.page(), served.page());
    assert_eq!(page.delete("/session").status, 200);
    assert_eq!((page.get("/overview").status, other.get("/overview").status), (401, 200));
    // No file holds what a page shows.
    let files = ["codes.json", "sessions.json", "place.json"];
    for name in files {
        let text = std::fs::read_to_string(served.home.web().join(name)).unwrap_or_default();
        assert!(!text.contains(&other.token), "{name}");
    }
    // A new socket knows nobody: another program may have had the address, and was shown the token.
    let code = served.code();
    let codes = std::fs::read(served.home.web().join("codes.json")).unwrap();
    let kept = std::fs::read(served.home.web().join("sessions.json")).unwrap();
    served.stop.cancel();
    served.thread.take().unwrap().join().unwrap();
    let directory = std::mem::replace(&mut served.directory, tempfile::tempdir().unwrap());
    std::fs::write(directory.path().join(".aiw/web/sessions.json"), &kept).unwrap();
    let served = Served::again(directory, other.port);
    assert_eq!(other.get("/overview").status, 401);
    // Not even with the files of the old one: sessions and codes are those of a socket.
    let page = served.page();
    std::fs::write(served.home.web().join("sessions.json"), &kept).unwrap();
    std::fs::write(served.home.web().join("codes.json"), &codes).unwrap();
    assert_eq!((other.get("/overview").status, page.get("/overview").status), (401, 401));
    let body = format!("{{\"code\":\"{code}\"}}");
    assert_eq!(send(served.port, &written("POST /api/v1/session", &of_page(served.port), &body)).status, 401);
}

#[test]
fn a_session_that_is_over_stays_so_if_the_clock_is_set_back() {
    let served = Served::begin();
    let page = served.page();
    let sessions = served.home.web().join("sessions.json");
    let known: BTreeMap<String, Timestamp> = serde_json::from_slice(&std::fs::read(&sessions).unwrap()).unwrap();
    let ttl = i64::try_from(SESSION_TTL.as_millis()).unwrap();
    let status = |wall: i64, uptime: i64| {
        let moved = |made: &Timestamp| Timestamp {
            wall: made.wall.saturating_add_signed(wall),
            uptime: made.uptime.saturating_add(uptime),
        };
        let moved: BTreeMap<_, _> = known.iter().map(|(digest, made)| (digest, moved(made))).collect();
        std::fs::write(&sessions, serde_json::to_vec(&moved).unwrap()).unwrap();
        page.get("/overview").status
    };
    assert_eq!(status(0, 0), 200);
    assert_eq!(status(-ttl, -ttl), 401);
    // The clock was set back after it ended: to when it was good, to when it was made, and to before.
    for wall in [-ttl / 2, 0, ttl / 2, ttl * 100] {
        assert_eq!(status(wall, -ttl), 401, "{wall}");
    }
    // Set back by an hour or forward by one, a session goes on.
    assert_eq!((status(3_600_000, -1000), status(-3_600_000, -1000)), (200, 200));
    // It is one of another boot.
    assert_eq!(status(0, ttl), 401);
}

#[test]
fn no_cookie_lets_anybody_in() {
    let served = Served::begin();
    let page = served.page();
    let mut headers = of_page(served.port);
    headers.insert("cookie", format!("aiw-{}={1}; aiw={1}; token={1}", served.port, page.token));
    for line in ["GET /api/v1/overview", "GET /api/v1/session", "GET /api/v1/events?topics=tasks"] {
        assert_eq!(send(served.port, &written(line, &headers, "")).status, 401, "{line}");
    }
    assert_eq!(send(served.port, &written("POST /api/v1/processes", &headers, NEW)).status, 401);
    is_untouched(&served);
    // What a cookie says beside the token makes no difference.
    headers.insert("authorization", format!("Bearer {}", page.token));
    assert_eq!(send(served.port, &written("GET /api/v1/overview", &headers, "")).status, 200);
    // A token in another place is none.
    let mut headers = of_page(served.port);
    headers.insert("x-aiw-csrf", page.token.clone());
    let at = format!("GET /api/v1/overview?token={0}&access_token={0}", page.token);
    assert_eq!(send(served.port, &written(&at, &headers, "")).status, 401);
}

#[test]
fn what_a_page_does_is_what_the_command_does() {
    let served = Served::begin();
    let page = served.page();
    let added = page.post("/processes", &serde_json::json!({"id": "api", "command": ["sleep", "60"]}));
    assert_eq!(added.status, 200, "{}", added.body);
    let file = served.directory.path().join("project/.ichimi/processes.kdl");
    assert!(std::fs::read_to_string(&file).unwrap().contains("api"));
    assert_eq!(page.get("/processes").json()["processes"][0]["id"], "api");
    assert_eq!(page.get("/processes/api").json()["state"], "not_started");
    let removed = page.delete("/processes/api");
    assert_eq!(removed.json()["removed"][0], "api", "{}", removed.body);
    assert_eq!(page.get("/processes/api").status, 422);
}

#[test]
fn a_question_comes_back_and_its_answer_is_for_that_question_alone() {
    let served = Served::begin();
    let page = served.page();
    let project = served.directory.path().join("project");
    // A file that somebody else wrote is shown and asked for before anything of it runs.
    std::fs::create_dir_all(project.join(".ichimi")).unwrap();
    let file = project.join(".ichimi/processes.kdl");
    std::fs::write(&file, "process \"stranger\" {\n    command \"touch\" \"RAN\"\n}\n").unwrap();
    let asked = page.post("/processes/stranger/start", &serde_json::json!({}));
    assert_eq!(asked.status, 409, "{}", asked.body);
    let ask = asked.json()["ask"].clone();
    assert!(ask["kind"] == "plan" && ask.to_string().contains("touch"), "{ask}");
    let digest = ask["digest"].as_str().unwrap().to_owned();
    let no =
        page.post("/processes/stranger/start", &serde_json::json!({"person": {(digest.as_str()): {"yes": false}}}));
    assert_eq!(no.status, 422, "{}", no.body);
    // The file changes after it was shown: the yes was to another one.
    std::fs::write(&file, "process \"stranger\" {\n    command \"touch\" \"OTHER\"\n}\n").unwrap();
    let yes = serde_json::json!({"person": {(digest.as_str()): {"yes": true}}});
    let changed = page.post("/processes/stranger/start", &yes);
    assert_eq!(changed.status, 409, "{}", changed.body);
    assert_ne!(changed.json()["ask"]["digest"], digest);
    assert!(!project.join("RAN").exists() && !project.join("OTHER").exists());
}

#[test]
fn a_page_sees_no_other_project_than_those_that_aiw_knows() {
    let served = Served::begin();
    let page = served.page();
    let projects = page.get("/projects").json();
    let own = projects["projects"][0].as_str().unwrap().to_owned();
    assert!(own.ends_with("/project"), "{own}");
    assert_eq!(page.get(&format!("/processes?project={own}")).status, 200);
    for other in ["/", "/etc", "..", "/tmp/../etc", "%2fetc"] {
        assert_eq!(page.get(&format!("/processes?project={other}")).status, 400, "{other}");
        assert_eq!(page.get(&format!("/events?topics=tasks&project={other}")).status, 404, "{other}");
    }
}

#[test]
fn every_route_answers_as_the_description_says() {
    let served = Served::begin();
    let page = served.page();
    let description = page.get("/openapi.json").json();
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().unwrap();
    assert!(paths.len() > 60, "{}", paths.len());
    for (path, at) in paths {
        if at.get("get").is_none() || path.contains('{') {
            continue;
        }
        let query = if path.ends_with("search") || path == "/history" { "?q=x" } else { "" };
        let answer = page.get(&format!("{path}{query}"));
        let schema = match answer.status {
            200 => &at["get"]["responses"]["200"],
            _ => &at["get"]["responses"]["default"],
        };
        let schema = &schema["content"]["application/json"]["schema"];
        let answer = answer.json();
        let mut problems = Vec::new();
        check(&answer, schema, &description, path, &mut problems);
        assert!(problems.is_empty(), "{path}: {problems:?}\n{answer}");
    }
}

/// Compares a value with a schema, as far as schemars uses the language.
fn check(value: &Value, schema: &Value, root: &Value, at: &str, problems: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let meant = root.pointer(reference.trim_start_matches('#')).unwrap_or_else(|| panic!("{at}: {reference}"));
        check(value, meant, root, at, problems);
    }
    for word in ["anyOf", "oneOf"] {
        let Some(forms) = schema[word].as_array() else { continue };
        let fits = forms.iter().any(|form| {
            let mut own = Vec::new();
            check(value, form, root, at, &mut own);
            own.is_empty()
        });
        if !fits {
            problems.push(format!("{at}: {value} has not one of the forms {forms:?}"));
        }
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_null(),
    };
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind)) {
        problems.push(format!("{at}: {value} is not one of {kinds:?}"));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        problems.push(format!("{at}: {value} is not one of {values:?}"));
    }
    if let Some(fields) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                problems.push(format!("{at}: `{name}` is missing"));
            }
        }
        for (name, field) in fields {
            match (schema["properties"].get(name), &schema["additionalProperties"]) {
                (Some(own), _) => check(field, own, root, &format!("{at}.{name}"), problems),
                (None, Value::Object(_)) => {
                    check(field, &schema["additionalProperties"], root, &format!("{at}.{name}"), problems);
                }
                (None, _) if schema.get("properties").is_some() => problems.push(format!("{at}: `{name}` is unknown")),
                _ => {}
            }
        }
    }
    if schema.get("items").is_some() {
        for (n, item) in value.as_array().into_iter().flatten().enumerate() {
            check(item, &schema["items"], root, &format!("{at}[{n}]"), problems);
        }
    }
}

#[test]
fn what_keeps_it_from_serving_is_told_where_it_is_started() {
    let closed = |home: &Home, mode| std::fs::set_permissions(home.web(), Permissions::from_mode(mode)).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let home = Home::from_root(directory.path().join(".aiw")).with_context(ExecutionContext::new(Ok("/".into()), []));
    home.make_dir(&home.web()).unwrap();
    let said = || crate::open(&home, Some("/nowhere".as_ref()), None).unwrap_err().to_string();
    for mode in [0o777, 0o722, 0o720] {
        closed(&home, mode);
        assert!(said().ends_with("web` can be written by other users"), "{}", said());
    }
    closed(&home, 0o700);
    std::fs::create_dir(home.web().join("serving.lock")).unwrap();
    assert!(said().contains("serving.lock"), "{}", said());
    // Whoever could write the address would get the code.
    let place = home.web().join("place.json");
    std::fs::write(&place, r#"{"port":12700,"in_background":false}"#).unwrap();
    std::fs::set_permissions(&place, Permissions::from_mode(0o666)).unwrap();
    assert!(crate::state(&home).unwrap_err().to_string().ends_with("place.json` can be written by other users"));
    std::fs::remove_file(&place).unwrap();
    // A home that can't be read has a dashboard for all that anybody knows.
    std::fs::create_dir(home.web().join("place.json")).unwrap();
    assert!(crate::state(&home).unwrap_err().to_string().contains("place.json"));
}

#[test]
fn sessions_that_others_could_have_made_are_none() {
    let served = Served::begin();
    let page = served.page();
    assert_eq!(page.get("/session").status, 200);
    let sessions = served.home.web().join("sessions.json");
    std::fs::set_permissions(&sessions, Permissions::from_mode(0o666)).unwrap();
    assert_eq!(page.get("/session").status, 401);
}

#[test]
fn escapes_of_addresses_are_whole_or_refused() {
    let all = [("a%2Fb", Some("a/b")), ("a+b", Some("a+b")), ("%e4%b8%ad", Some("\u{4e2d}")), ("", Some(""))];
    let none = ["%", "%2", "%zz", "%ff", "a%2"].map(|part| (part, None));
    for (part, expected) in all.into_iter().chain(none) {
        assert_eq!(crate::serve::percent_decode(part).as_deref(), expected, "{part}");
    }
}

/// Requests that no page of ours makes: what is changed of a good one.
// Long: the table of the attack.
#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn every_forged_request_is_refused_before_any_work() {
    let served = Served::begin();
    let page = served.page();
    let port = served.port;
    let other = Served::begin();
    let good = page.headers();
    let mut count = 0;
    let mut refused = |what: &str, bytes: Vec<u8>| {
        count += 1;
        let answer = send(port, &bytes);
        assert!((400..500).contains(&answer.status) || answer.status == 505, "{what}: {} {}", answer.head, answer.body);
        is_untouched(&served);
    };
    let mut changed = |name: &'static str, value: Option<&str>| {
        let mut headers = good.clone();
        match value {
            Some(value) => drop(headers.insert(name, value.to_owned())),
            None => drop(headers.remove(name)),
        }
        refused(&format!("{name}: {value:?}"), written("POST /api/v1/processes", &headers, NEW));
    };
    for host in [
        None,
        Some("localhost"),
        Some(&format!("localhost:{port}")[..]),
        Some(&format!("[::1]:{port}")),
        Some(&format!("0.0.0.0:{port}")),
        Some(&format!("127.0.0.2:{port}")),
        Some("127.0.0.1"),
        Some(&format!("127.0.0.1:{}", other.port)),
        Some(&format!("evil.example:{port}")),
        Some(&format!("127.0.0.1.nip.io:{port}")),
        Some(&format!("127.0.0.1:{port}@evil.example")),
        Some(&format!("2130706433:{port}")),
        Some(""),
    ] {
        changed("host", host);
    }
    for origin in [
        None,
        Some("null"),
        Some(""),
        Some("http://127.0.0.1"),
        Some(&format!("https://127.0.0.1:{port}")[..]),
        Some(&format!("http://127.0.0.1:{}", other.port)),
        Some(&format!("http://localhost:{port}")),
        Some(&format!("http://[::1]:{port}")),
        Some("http://evil.example"),
        Some(&format!("http://127.0.0.1:{port}.evil.example")),
        Some(&format!("http://127.0.0.1:{port}/")),
        Some("file://"),
        Some("chrome-extension://abcdef"),
    ] {
        changed("origin", origin);
    }
    for (name, values) in [
        ("sec-fetch-site", &["cross-site", "same-site", "none", "", "SAME-ORIGIN"][..]),
        ("sec-fetch-dest", &["image", "script", "document", "iframe", "style", "object", ""]),
        ("sec-fetch-mode", &["navigate", "no-cors", "websocket", ""]),
        ("content-type", &["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]),
        ("authorization", &["", "Bearer", "Bearer ", "Bearer 0", "Bearer null", "Basic Og=="]),
    ] {
        changed(name, None);
        values.iter().for_each(|value| changed(name, Some(value)));
    }
    let other_page = other.page();
    let token = &page.token;
    for shown in [
        format!("Bearer {}", other_page.token),
        format!("Basic {token}"),
        format!("Bearer  {token}"),
        format!("Bearer {token},"),
        format!("Bearer {token} {token}"),
        format!("Bearer {}", token.to_uppercase()),
        format!("Bearer {}", &token[..63]),
        format!("Bearer {token}0"),
        format!("Bearer {}", served.code()),
        token.clone(),
    ] {
        changed("authorization", Some(&shown));
    }
    changed("x-http-method-override", Some("POST"));
    changed("x-method-override", Some("DELETE"));
    changed("transfer-encoding", Some("chunked"));
    let line = |line: &str| written(line, &good, NEW);
    for (what, bytes) in [
        ("another method", line("PUT /api/v1/processes")),
        ("a method of its own", line("BREW /api/v1/processes")),
        ("a preflight", line("OPTIONS /api/v1/processes")),
        ("a proxy's target", line(&format!("POST http://127.0.0.1:{port}/api/v1/processes"))),
        ("another host's target", line("POST http://evil.example/api/v1/processes")),
        ("two slashes", line("POST //api/v1/processes")),
        ("dots", line("POST /api/v1/../v1/processes")),
        ("escaped", line("POST /api/v1/%70rocesses")),
        ("a trailing slash", line("POST /api/v1/processes/")),
        ("a write by GET", line("GET /api/v1/processes/x/start")),
        ("an older HTTP", written("POST /api/v1/processes", &good, NEW).into_iter().collect()),
    ] {
        let bytes = if what == "an older HTTP" {
            String::from_utf8(bytes).unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1).into_bytes()
        } else {
            bytes
        };
        refused(what, bytes);
    }
    let text = String::from_utf8(written("POST /api/v1/processes", &good, NEW)).unwrap();
    let host = format!("host: 127.0.0.1:{port}\r\n");
    for (what, text) in [
        ("two hosts", text.replacen(&host, &format!("{host}host: evil.example\r\n"), 1)),
        ("two lengths", text.replacen("content-length", "content-length: 1\r\ncontent-length", 1)),
        ("two tokens", text.replacen("authorization", &format!("authorization: Bearer {token}\r\nauthorization"), 1)),
        ("two sites", text.replacen("sec-fetch-site", "sec-fetch-site: cross-site\r\nsec-fetch-site", 1)),
        ("two origins", text.replacen("origin", "origin: http://evil.example\r\norigin", 1)),
        ("a head that goes on", text.replacen("\r\norigin", "\r\n origin", 1)),
        ("bare line feeds", text.replace("\r\n", "\n")),
    ] {
        refused(what, text.into_bytes());
    }
    assert!(count >= 60, "only {count} forged requests");
    // And what a page itself asks is let in.
    assert_eq!(send(port, &written("POST /api/v1/processes", &good, NEW)).status, 200);
}

#[test]
fn what_is_open_says_nothing_and_has_the_policy() {
    let served = Served::begin();
    let headers = of_page(served.port);
    for path in ["/", "/nothing", "/api/v1/overview", "/api/v1/events", "/assets/../../etc/passwd"] {
        let answer = send(served.port, &written(&format!("GET {path}"), &headers, ""));
        assert_ne!((answer.status, path), (200, "/api/v1/overview"));
        for wanted in ["content-security-policy: default-src 'none'", "x-content-type-options: nosniff"] {
            assert!(answer.head.contains(wanted), "{path}: {}", answer.head);
        }
        assert!(!answer.head.contains("access-control"), "{path}");
    }
    let mut elsewhere = headers.clone();
    elsewhere.insert("host", format!("localhost:{}", served.port));
    let led = send(served.port, &written("GET /", &elsewhere, ""));
    assert_eq!(led.status, 308);
    assert!(led.head.contains(&format!("location: http://127.0.0.1:{}/", served.port)), "{}", led.head);
}

//! The bundled registries of MCP servers: what they ask, what they make of the answers, and hostile answers.

use std::path::Path;

use aiw_testkit::registry_source::{RegistryStatus, RegistryTransport, ServerVersion};
use aiw_testkit::{CallError, Driver, RecordedResponse, Testkit};
use serde_json::{Value, json};

use crate::accounts::bundled;

const OFFICIAL: &str = "https://registry.modelcontextprotocol.io/v0.1/servers";
const SMITHERY: &str = "https://api.smithery.ai/servers";

fn row(name: &str) -> Value {
    json!({
        "server": {"name": name, "description": "Says the weather", "version": "1.2.0",
            "packages": [{"registryType": "npm", "identifier": "@acme/weather", "version": "1.2.0", "transport": {"type": "stdio"}}]},
        "_meta": {"io.modelcontextprotocol.registry/official":
            {"status": "active", "updatedAt": "2026-01-01T00:00:00Z", "isLatest": true}}
    })
}

fn page(rows: &[Value], next: Option<&str>) -> RecordedResponse {
    RecordedResponse::ok(json!({"servers": rows, "metadata": {"nextCursor": next, "count": rows.len()}}).to_string())
}

async fn official(answers: &[(String, RecordedResponse)]) -> Driver {
    let kit = bundled("registry-official");
    answers.iter().fold(kit, |kit, (url, answer)| kit.response(url.as_str(), answer.clone())).load().await.unwrap()
}

/// The answer of the official registry to a search for `x`.
async fn found(answer: RecordedResponse) -> Result<Vec<ServerVersion>, CallError> {
    let driver = official(&[(format!("{OFFICIAL}?version=latest&limit=10&search=x"), answer)]).await;
    driver.registry_source().search("x", 10).await
}

async fn all(answer: RecordedResponse) -> Result<aiw_testkit::registry_source::Page, CallError> {
    let driver = official(&[(format!("{OFFICIAL}?version=latest&limit=100"), answer)]).await;
    driver.registry_source().changes(None, None).await
}

fn names(servers: &[ServerVersion]) -> Vec<&str> {
    servers.iter().map(|server| server.name.as_str()).collect()
}

#[tokio::test]
async fn the_registries_say_what_they_are() {
    let about = bundled("registry-official").load().await.unwrap().registry_source().describe().await.unwrap();
    assert_eq!((about.label.as_str(), about.priority, about.changes), ("The official MCP registry", 1, true));
    assert_eq!((about.names[0].form.as_str(), about.secret), ("PUBLISHER/NAME", None));
    let about = bundled("registry-smithery").load().await.unwrap().registry_source().describe().await.unwrap();
    assert_eq!((about.label.as_str(), about.priority, about.changes), ("Smithery", 2, false));
    let secret = about.secret.unwrap();
    assert_eq!((secret.name.as_str(), secret.required), ("key", false));
    assert_eq!(secret.page.as_deref(), Some("https://smithery.ai/account/api-keys"));
}

#[tokio::test]
async fn the_official_registry_is_read_page_by_page() {
    let since = format!("{OFFICIAL}?updated_since=2026-01-02T03%3A04%3A05.006Z&limit=100");
    let mut gone = row("acme/gone");
    gone["_meta"]["io.modelcontextprotocol.registry/official"]["status"] = "deleted".into();
    let driver = official(&[
        (format!("{OFFICIAL}?version=latest&limit=100"), page(&[row("acme/a")], Some("acme/a:1.2.0+x"))),
        (format!("{OFFICIAL}?version=latest&limit=100&cursor=acme%2Fa%3A1.2.0%2Bx"), page(&[row("acme/b")], Some(""))),
        (since, page(&[gone], None)),
    ])
    .await;
    let registry = driver.registry_source();
    let first = registry.changes(None, None).await.unwrap();
    assert_eq!((names(&first.servers), first.next.as_deref()), (vec!["acme/a"], Some("acme/a:1.2.0+x")));
    assert_eq!(first.servers[0].updated, Some(1_767_225_600_000));
    let second = registry.changes(None, first.next.as_deref()).await.unwrap();
    assert_eq!((names(&second.servers), second.next), (vec!["acme/b"], None));
    let changed = registry.changes(Some(1_767_323_045_006), None).await.unwrap();
    assert_eq!(changed.servers[0].status, RegistryStatus::Deleted);
}

#[tokio::test]
async fn one_server_is_asked_for_by_its_encoded_name() {
    let at = |path: &str| format!("{OFFICIAL}/{path}");
    let driver = official(&[
        (at("acme%2Fweather/versions/latest"), RecordedResponse::ok(row("acme/weather").to_string())),
        (at("acme%2Fweather/versions/1.2.0"), RecordedResponse::ok(row("acme/weather").to_string())),
        (at("acme%2Fweather/versions/1.0.0%2Bx"), RecordedResponse::ok(row("acme/weather").to_string())),
        (at("acme%2Fother/versions/latest"), RecordedResponse::ok(row("acme/weather").to_string())),
        (
            at("acme%2Fgone/versions/latest"),
            RecordedResponse { status: 404, ..RecordedResponse::ok(r#"{"error": "Server not found"}"#) },
        ),
    ])
    .await;
    let server = async |name: &str, version| driver.registry_source().server(name, version).await;
    assert_eq!(server("acme/weather", None).await.unwrap().publisher.as_deref(), Some("acme"));
    assert_eq!(server("acme/weather", Some("1.2.0")).await.unwrap().version, "1.2.0");
    let message = async |name: &str, version| server(name, version).await.unwrap_err().to_string();
    assert_eq!(message("acme/gone", None).await, "there is no server `acme/gone`");
    let other = "the registry was asked for `acme/other` and answered `acme/weather` 1.2.0";
    assert_eq!(message("acme/other", None).await, other);
    assert!(message("acme/weather", Some("1.0.0+x")).await.contains("was asked for"));
}

#[tokio::test]
async fn another_registry_with_this_api_is_a_setting_away() {
    let mirror = bundled("registry-official")
        .setting("base_url", "http://127.0.0.1:8080/mcp/")
        .response("http://127.0.0.1:8080/mcp/v0.1/servers?version=latest&limit=5", page(&[row("acme/a")], None))
        .load()
        .await
        .unwrap();
    assert_eq!(names(&mirror.registry_source().search("", 5).await.unwrap()), ["acme/a"]);
    assert_eq!(mirror.requested_urls(), ["http://127.0.0.1:8080/mcp/v0.1/servers?version=latest&limit=5"]);
}

#[tokio::test]
async fn what_the_registry_says_of_an_error_is_in_the_message() {
    let with = |status, body: &str| found(RecordedResponse { status, ..RecordedResponse::ok(body) });
    let problem = r#"{"title": "Unprocessable Entity", "status": 422, "detail": "limit\u001b[31m is too large\n"}"#;
    assert_eq!(
        with(422, problem).await.unwrap_err().to_string(),
        format!("`{OFFICIAL}` answered with status 422: limit [31m is too large")
    );
    let broken = with(500, r#"{"error": "out of disk"}"#).await.unwrap_err().to_string();
    assert_eq!(broken, format!("`{OFFICIAL}` cannot answer now (status 500): out of disk"));
    let page = with(200, "<!doctype html>").await.unwrap_err().to_string();
    assert_eq!(page, format!("`{OFFICIAL}` is a web page, not the API of a registry"));
    for junk in ["", "{", "[]", "7", "{}", r#"{"servers": 1}"#, &"[".repeat(200_000)] {
        let said = with(200, junk).await.unwrap_err().to_string();
        assert!(said.starts_with(&format!("`{OFFICIAL}` is not ")), "{said}");
    }
    let bomb = format!("[{}0]", "0,".repeat(2_000_000));
    let said = with(200, &bomb).await.unwrap_err().to_string();
    assert!(said.contains("is not a page of a registry") || said.contains("MiB"), "{said}");
}

#[tokio::test]
async fn a_hostile_row_is_left_out_and_hides_no_other() {
    let spoilt = |change: &dyn Fn(&mut Value)| {
        let mut row = row("acme/spoilt");
        change(&mut row["server"]);
        row
    };
    let many = |count: usize| vec![json!({"name": "X"}); count];
    let rows: Vec<(&str, Value)> = vec![
        ("a name that steers the terminal", spoilt(&|s| s["name"] = "acme/\u{1b}[31mred".into())),
        ("a name that looks like another's", spoilt(&|s| s["name"] = "acme/wеather".into())),
        ("a name that is a path", spoilt(&|s| s["name"] = "../../etc".into())),
        ("a name that is an option", spoilt(&|s| s["name"] = "--upload-pack=x".into())),
        ("a name of another type", spoilt(&|s| s["name"] = 7.into())),
        ("an identifier of two lines", spoilt(&|s| s["packages"][0]["identifier"] = "x\n; rm -rf /".into())),
        ("an invisible identifier", spoilt(&|s| s["packages"][0]["identifier"] = "x\u{202e}y".into())),
        ("an identifier that is too long", spoilt(&|s| s["packages"][0]["identifier"] = "x".repeat(5000).into())),
        ("a kind of another type", spoilt(&|s| s["packages"][0]["registryType"] = json!({}))),
        ("too many variables", spoilt(&|s| s["packages"][0]["environmentVariables"] = many(201).into())),
        ("too many packages", spoilt(&|s| s["packages"] = vec![s["packages"][0].clone(); 33].into())),
        (
            "too much",
            spoilt(&|s| s["packages"][0]["environmentVariables"] = vec![json!({"name": "x".repeat(4000)}); 100].into()),
        ),
        ("a version that is too long", spoilt(&|s| s["version"] = "1".repeat(256).into())),
        ("a row that is none", json!("row")),
        ("a null", json!(null)),
    ];
    let mut page_of_all = vec![row("acme/first")];
    page_of_all.extend(rows.iter().map(|(_, row)| row.clone()));
    page_of_all.push(row("acme/last"));
    let page_of_all = all(page(&page_of_all, None)).await.unwrap();
    assert_eq!(names(&page_of_all.servers), ["acme/first", "acme/last"]);
    for (what, row) in rows {
        assert_eq!(found(page(&[row], None)).await.map(|found| found.len()).unwrap(), 0, "{what}");
    }
    // Text for people is made harmless instead.
    let loud = spoilt(&|s| s["description"] = format!("red \u{1b}[31m\n{}", "x".repeat(5000)).into());
    let loud = found(page(&[loud], None)).await.unwrap().remove(0).description;
    assert!(loud.chars().count() <= 1001 && !loud.contains(char::is_control), "{loud}");
}

#[tokio::test]
async fn a_page_that_is_too_large_or_goes_nowhere_is_refused() {
    let many: Vec<Value> = (0..1001).map(|at| json!({"name": format!("acme/{at}")})).collect();
    assert_eq!(
        all(page(&many, None)).await.unwrap_err().to_string(),
        "component `registry-official` answers with more than 1000 servers on a page"
    );
    assert_eq!(all(page(&many[..1000], None)).await.unwrap().servers.len(), 1000);
    // A search takes as many as were asked for.
    assert_eq!(found(page(&many, None)).await.unwrap().len(), 10);
    for cursor in ["a\u{1b}b".to_owned(), "x".repeat(2049)] {
        let said = all(page(&[], Some(&cursor))).await.unwrap_err().to_string();
        assert_eq!(
            said,
            "component `registry-official` answers with a cursor that is not one line of at most 2048 bytes"
        );
    }
    let numbered = RecordedResponse::ok(r#"{"servers": [], "metadata": {"nextCursor": 7}}"#);
    assert!(all(numbered).await.unwrap_err().to_string().contains("its `nextCursor` is not a text"));
}

#[tokio::test]
async fn the_real_rows_pass_the_component_and_the_host() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    let corpora = std::env::var_os("AIW_CORPORA").map_or(beside, Into::into);
    let Ok(rows) = std::fs::read(corpora.join("registry/servers.json")) else {
        eprintln!("skipped: the corpus `registry` is absent (AIW_CORPORA names its folder)");
        return;
    };
    let rows: Value = serde_json::from_slice(&rows).unwrap();
    let rows = rows["servers"].as_array().unwrap();
    let (mut read, mut packages) = (0, 0);
    for rows in rows.chunks(100) {
        let page = all(page(rows, None)).await.unwrap();
        assert_eq!((page.servers.len(), page.malformed), (rows.len(), 0));
        read += page.servers.len();
        packages += page.servers.iter().map(|server| server.packages.len()).sum::<usize>();
    }
    assert!(read == rows.len() && packages > 500, "{read} rows, {packages} packages");
}

fn smithery() -> Testkit {
    let list = json!({"servers": [
        {"qualifiedName": "@acme/weather", "displayName": "Weather", "useCount": 7, "homepage": "https://acme.example"},
        {"qualifiedName": "acme/bad", "useCount": "many"},
        {"qualifiedName": "exa"}
    ], "pagination": {"currentPage": 1}});
    let weather = json!({"qualifiedName": "@acme/weather", "connections": [
        {"type": "http", "deploymentUrl": "https://server.smithery.ai/@acme/weather/mcp",
            "configSchema": {"required": ["apiKey"], "properties": {"apiKey": {"type": "string"}}}},
        {"type": "stdio", "bundleUrl": "https://backend.smithery.ai/weather.mcpb", "runtime": "node"}
    ]});
    bundled("registry-smithery")
        .response(format!("{SMITHERY}?q=to%20the%20sun&pageSize=100"), RecordedResponse::ok(list.to_string()))
        .response(format!("{SMITHERY}/@acme/weather"), RecordedResponse::ok(weather.to_string()))
        .response(
            format!("{SMITHERY}/acme/gone"),
            RecordedResponse { status: 404, ..RecordedResponse::ok(r#"{"error": "Server not found"}"#) },
        )
        .response(
            format!("{SMITHERY}/acme/mine"),
            RecordedResponse { status: 401, ..RecordedResponse::ok(r#"{"error": "Invalid key"}"#) },
        )
}

#[tokio::test]
async fn smithery_is_searched_and_says_how_to_reach_a_server() {
    let driver = smithery().load().await.unwrap();
    let registry = driver.registry_source();
    let found = registry.search("to the sun", 500).await.unwrap();
    assert_eq!(names(&found), ["@acme/weather", "exa"]);
    assert_eq!((found[0].uses, found[0].aliases.as_slice()), (Some(7), &["ai.smithery/acme-weather".to_owned()][..]));
    let server = registry.server("@acme/weather", None).await.unwrap();
    let [RegistryTransport::StreamableHttp(at)] = server.remotes.as_slice() else { panic!("{server:?}") };
    assert_eq!(at.url, "https://server.smithery.ai/@acme/weather/mcp?apiKey={apiKey}");
    assert!(at.variables[0].input.secret && at.variables[0].input.required);
    let bundle = &server.packages[0];
    assert_eq!(
        (bundle.kind.as_str(), bundle.sha256.as_deref(), bundle.runtime.as_deref()),
        ("mcpb", None, Some("node"))
    );
    let message = async |name: &str, version| registry.server(name, version).await.unwrap_err().to_string();
    assert_eq!(message("acme/gone", None).await, "there is no server `acme/gone` at Smithery");
    assert_eq!(message("acme/weather", Some("1")).await, "Smithery keeps no versions, so none `1` of `acme/weather`");
    let refused = format!("`{SMITHERY}/acme/mine` refuses access (status 401): Invalid key");
    assert_eq!(message("acme/mine", None).await, refused);
    assert!(registry.changes(None, None).await.unwrap_err().to_string().contains("does not report what changed"));
    // No request of these had a key.
    assert!(driver.recorded_requests().iter().all(|asked| !asked.headers.contains_key("authorization")));
}

#[tokio::test]
async fn the_key_goes_to_smithery_alone() {
    let sent = async |kit: Testkit| {
        let driver = kit.secret("key", "a-key-of-mine").load().await.unwrap();
        let _ = driver.registry_source().search("to the sun", 100).await;
        let asked = driver.recorded_requests();
        assert_eq!(asked.len(), 1);
        asked[0].headers.get("authorization").cloned()
    };
    assert_eq!(sent(smithery()).await.as_deref(), Some("Bearer a-key-of-mine"));
    assert_eq!(sent(smithery().setting("base_url", "https://mirror.example")).await, None);
}

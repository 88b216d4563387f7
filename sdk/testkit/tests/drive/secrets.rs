//! A component never holds a secret: the host inserts it, and only for the provider's addresses. These tests use
//! real servers on this machine and the real client.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use aiw_testkit::provider::Family;

use crate::accounts::account;
use crate::common::kit;

const CANARY: &str = "canary-5e1f-secret";

type Headers = BTreeMap<String, String>;

/// A server that redirects with a status if a path begins with `/STATUS/`, and otherwise repeats the request's headers in
/// its body and its own headers. It keeps the headers of each request, with `method` and `body`.
struct ServerVersion {
    port: u16,
    seen: Arc<Mutex<Vec<Headers>>>,
}

impl ServerVersion {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut lines = reader.by_ref().lines().map_while(Result::ok);
                let first = lines.next().unwrap();
                let (method, target) = first.rsplit_once(' ').unwrap().0.split_once(' ').unwrap();
                let mut headers: Headers = lines
                    .take_while(|line| !line.is_empty())
                    .filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_lowercase(), v.to_owned())))
                    .collect();
                let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                headers.insert("method".into(), method.to_owned());
                headers.insert("body".into(), String::from_utf8(body).unwrap());
                log.lock().unwrap().push(headers.clone());
                let answer = match target.split_at_checked(5) {
                    Some((status, url)) if url.starts_with("http") => {
                        let status = status.trim_matches('/');
                        format!("HTTP/1.1 {status} Moved\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n")
                    }
                    _ => {
                        let body = format!("{headers:?}");
                        let repeated = headers.get("authorization").cloned().unwrap_or_default();
                        let length = body.len();
                        format!("HTTP/1.1 200 OK\r\nx-repeated: {repeated}\r\ncontent-length: {length}\r\n\r\n{body}")
                    }
                };
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { port, seen }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Returns the value of one header in the last request.
    fn last(&self, header: &str) -> Option<String> {
        self.seen.lock().unwrap().last().unwrap().get(header).cloned()
    }

    fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

/// Makes the hostile provider at `base` send its secret, and returns what it got.
async fn send(base: &str, mode: &str) -> String {
    let kit = kit("hostile-provider").http(true);
    let kit = kit.secret("token", CANARY).secret("other", "another-secret");
    let driver = kit.load().await.unwrap();
    let checked = driver.provider().check(&account(mode, &[(Family::Openai, base)], &["token"])).await;
    let said = checked.map_or_else(|e| format!("{e} {e:?}"), |health| health.message);
    assert!(!said.contains(CANARY), "{said}");
    assert!(driver.log().iter().all(|line| !line.line.contains(CANARY)));
    said
}

#[tokio::test]
async fn a_secret_goes_to_the_provider_and_does_not_come_back() {
    let server = ServerVersion::start();
    let said = send(&server.url("/v1"), &format!("send:{}", server.url("/elsewhere/models"))).await;
    assert_eq!(server.last("authorization").unwrap(), format!("Bearer {CANARY}"));
    // The server repeats the secret, but the component does not see it in the answer either.
    assert!(said.starts_with("200 {") && said.contains(r#""authorization": "Bearer (secret)""#), "{said}");
    assert!(said.ends_with("x-repeated=Bearer (secret)"), "{said}");
}

#[tokio::test]
async fn a_secret_goes_nowhere_else() {
    let (own, other) = (ServerVersion::start(), ServerVersion::start());
    // These addresses are granted, as the provider's second address would be, but the secret is not bound to them.
    for (url, to) in [
        (other.url("/"), other.url("")),
        (format!("http://localhost:{}/", own.port), format!("http://localhost:{}", own.port)),
        ("https://declared.example/".into(), "https://declared.example:443".into()),
        (format!("https://127.0.0.1:{}/", own.port), format!("https://127.0.0.1:{}", own.port)),
    ] {
        let said = send(&own.url("/v1"), &format!("send:{url}")).await;
        let bound = format!(
            "error: component `hostile-provider` may not send the secret `token` to `{to}`: it is bound to `{}`",
            own.url("")
        );
        let not_granted = said.contains("its manifest does not name it under `hosts`");
        assert!(said == bound || not_granted, "{said}");
    }
    assert_eq!((own.count(), other.count()), (0, 0));
}

#[tokio::test]
async fn a_secret_that_the_provider_does_not_have_is_not_there() {
    let server = ServerVersion::start();
    let said = send(&server.url(""), &format!("send-other:{}", server.url("/"))).await;
    assert_eq!(said, "error: component `hostile-provider` names a secret that does not exist: `other`");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_redirect_takes_no_secret_along_in_any_header() {
    let (own, other) = (ServerVersion::start(), ServerVersion::start());
    for mode in ["send", "send-agent"] {
        let header = if mode == "send" { "authorization" } else { "user-agent" };
        let kit = kit("hostile-provider").http(true).secret("token", CANARY);
        let driver = kit.load().await.unwrap();
        // Both are addresses of the provider. The secret could be sent to each, but must not follow a redirect
        // between them.
        let base_urls = [(Family::Openai, own.url("/v1")), (Family::Gemini, other.url(""))];
        let base_urls = base_urls.each_ref().map(|(family, url)| (*family, url.as_str()));
        let within =
            account(&format!("{mode}:{}", own.url(&format!("/302/{}", own.url("/x")))), &base_urls, &["token"]);
        driver.provider().check(&within).await.unwrap();
        assert!(own.last(header).unwrap().ends_with(CANARY), "the same origin");
        let out = account(&format!("{mode}:{}", own.url(&format!("/302/{}", other.url("/x")))), &base_urls, &["token"]);
        driver.provider().check(&out).await.unwrap();
        assert!(other.last(header).is_none_or(|value| !value.contains(CANARY)), "{mode}");
    }
}

#[tokio::test]
async fn a_check_may_post_and_its_body_arrives() {
    let server = ServerVersion::start();
    let said = send(&server.url("/v1"), &format!("post:{}", server.url("/v1/check"))).await;
    assert!(said.starts_with("200 "), "{said}");
    let sent = |header: &str| server.last(header).unwrap();
    assert_eq!(
        (sent("method"), sent("body"), sent("content-type")),
        ("POST".into(), "xxx".into(), "text/plain".into())
    );
    assert_eq!(sent("authorization"), format!("Bearer {CANARY}"));
    let said = send(&server.url("/v1"), &format!("post-most:{}", server.url("/v1/check"))).await;
    assert!(said.starts_with("200 ") && sent("body").len() == 1 << 20);
    let said = send(&server.url("/v1"), &format!("post-more:{}", server.url("/v1/check"))).await;
    assert_eq!((said.as_str(), server.count()), ("error: the body of a request has at most 1 MiB", 2));
}

#[tokio::test]
async fn no_redirect_takes_a_body_along() {
    let (own, other) = (ServerVersion::start(), ServerVersion::start());
    let base_urls = [(Family::Openai, own.url("/v1")), (Family::Gemini, other.url(""))];
    let base_urls = base_urls.each_ref().map(|(family, url)| (*family, url.as_str()));
    let post = async |status: u16, to: &ServerVersion| {
        let kit = kit("hostile-provider").http(true).secret("token", CANARY);
        let driver = kit.load().await.unwrap();
        let mode = format!("post:{}", own.url(&format!("/{status}/{}", to.url("/x"))));
        driver.provider().check(&account(&mode, &base_urls, &["token"])).await.unwrap().message
    };
    // The body stays where it was sent.
    for status in [301, 302, 307, 308] {
        for to in [&own, &other] {
            let (before, said) = (own.count(), post(status, to).await);
            assert!(said.starts_with(&status.to_string()), "{said}");
            assert_eq!((own.count() - before, other.count()), (1, 0), "{status}");
        }
    }
    // 303 asks for a GET.
    assert!(post(303, &own).await.starts_with("200 "));
    assert_eq!((own.last("method").unwrap().as_str(), own.last("body").unwrap().as_str()), ("GET", ""));
    assert!(own.last("content-type").is_none() && own.last("authorization").unwrap().ends_with(CANARY));
    assert!(post(303, &other).await.starts_with("200 "));
    assert_eq!((other.last("method").unwrap().as_str(), other.last("body").unwrap().as_str()), ("GET", ""));
    assert!(!format!("{:?}", other.seen.lock().unwrap()).contains(CANARY));
}

//! A component never holds a secret: the host inserts it, and only for the provider's addresses. These tests use
//! real servers on this machine and the real client.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use aiw_testkit::Testkit;
use aiw_testkit::provider::Family;

use crate::accounts::account;
use crate::common::bytes;

const CANARY: &str = "canary-5e1f-secret";

type Headers = BTreeMap<String, String>;

/// A server that redirects if a path begins with `/to/`, and otherwise repeats the request's headers in its body
/// and its own headers.
struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Headers>>>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
                let target = lines.next().unwrap().split(' ').nth(1).unwrap().to_owned();
                let headers: Headers = lines
                    .take_while(|line| !line.is_empty())
                    .filter_map(|line| line.split_once(": ").map(|(k, v)| (k.to_lowercase(), v.to_owned())))
                    .collect();
                log.lock().unwrap().push(headers.clone());
                let answer = match target.strip_prefix("/to/") {
                    Some(url) => format!("HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n"),
                    None => {
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
    let kit = Testkit::new(bytes("hostile-provider")).unwrap().http(true);
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
    let server = Server::start();
    let said = send(&server.url("/v1"), &format!("send:{}", server.url("/elsewhere/models"))).await;
    assert_eq!(server.last("authorization").unwrap(), format!("Bearer {CANARY}"));
    // The server repeats the secret, but the component does not see it in the answer either.
    assert!(said.starts_with("200 {") && said.contains(r#""authorization": "Bearer (secret)""#), "{said}");
    assert!(said.ends_with("x-repeated=Bearer (secret)"), "{said}");
}

#[tokio::test]
async fn a_secret_goes_nowhere_else() {
    let (own, other) = (Server::start(), Server::start());
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
    let server = Server::start();
    let said = send(&server.url(""), &format!("send-other:{}", server.url("/"))).await;
    assert_eq!(said, "error: component `hostile-provider` names a secret that does not exist: `other`");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_redirect_takes_no_secret_along_in_any_header() {
    let (own, other) = (Server::start(), Server::start());
    for mode in ["send", "send-agent"] {
        let header = if mode == "send" { "authorization" } else { "user-agent" };
        let kit = Testkit::new(bytes("hostile-provider")).unwrap().http(true).secret("token", CANARY);
        let driver = kit.load().await.unwrap();
        // Both are addresses of the provider. The secret could be sent to each, but must not follow a redirect
        // between them.
        let base_urls = [(Family::Openai, own.url("/v1")), (Family::Gemini, other.url(""))];
        let base_urls = base_urls.each_ref().map(|(family, url)| (*family, url.as_str()));
        let within = account(&format!("{mode}:{}", own.url(&format!("/to/{}", own.url("/x")))), &base_urls, &["token"]);
        driver.provider().check(&within).await.unwrap();
        assert!(own.last(header).unwrap().ends_with(CANARY), "the same origin");
        let out = account(&format!("{mode}:{}", own.url(&format!("/to/{}", other.url("/x")))), &base_urls, &["token"]);
        driver.provider().check(&out).await.unwrap();
        assert!(other.last(header).is_none_or(|value| !value.contains(CANARY)), "{mode}");
    }
}

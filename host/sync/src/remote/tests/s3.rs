//! S3: a real server, the signatures of a real client, and a server that lies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiw_net::{HttpRequest, Method, Policy};
use aiw_tests::{Answer, Server, not_run};

use super::*;

fn world() -> World {
    let world = World::new();
    world.login("sync-s3", &format!("AKIDEXAMPLE:{CANARY}"));
    world
}

#[test]
fn moto_keeps_what_it_is_given() {
    let Some(moto) = tool("moto/bin/moto_server") else { return not_run("moto is absent") };
    let world = world();
    let server = Process::start(|port| {
        let mut command = Command::new(&moto);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command
    });
    let url = format!("http://127.0.0.1:{}", server.port);
    let error = wait(world.open(&format!("s3:{url}/aiw-test")).list()).unwrap_err();
    assert!(error.to_string().contains("NoSuchBucket"), "{error}");
    let mut policy = Policy::none();
    policy.grant_url(&url);
    let bucket = HttpRequest { method: Method::Put, ..HttpRequest::new(format!("{url}/aiw-test")) };
    assert_eq!(wait(HttpClient::new().unwrap().fetch(&policy, &bucket)).unwrap().status, 200);
    keeps_what_it_is_given(&*world.open(&format!("s3:{url}/aiw-test/machines/mine?region=eu-central-1")));
    // Another prefix is another remote, and the bucket itself is one, too.
    assert_eq!(wait(world.open(&format!("s3:{url}/aiw-test/machines/other")).list()).unwrap(), []);
    let far = world.open(&format!("s3:{url}/aiw-test"));
    assert_eq!(wait(far.list()).unwrap(), []);
    // More than one page.
    wait(async {
        for number in 0..1003 {
            let key = HttpRequest {
                method: Method::Put,
                body: b"x".to_vec(),
                ..HttpRequest::new(format!("{url}/aiw-test/s-{number:04}.age"))
            };
            assert_eq!(HttpClient::new().unwrap().fetch(&policy, &key).await.unwrap().status, 200);
        }
    });
    let found = wait(far.list()).unwrap();
    assert_eq!((found.len(), found[1002].name.as_str()), (1003, "s-1002.age"));
}

/// The signature of botocore for the same request.
const BOTOCORE: &str = "
import sys
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
method, url, stamp, digest, region, key = sys.argv[1:]
request = AWSRequest(method=method, url=url, headers={'x-amz-date': stamp, 'x-amz-content-sha256': digest})
request.context['timestamp'] = stamp
auth = S3SigV4Auth(Credentials('AKIDEXAMPLE', key), 's3', region)
print(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))
";

#[test]
fn requests_are_signed_as_botocore_signs_them() {
    let Some(python) = tool("moto/bin/python") else { return not_run("moto is absent") };
    let world = world();
    let requests = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let log = requests.clone();
    let server = Server::start(move |request| {
        log.lock().push(request.clone());
        let page = |more: &str| Answer::ok(format!("<ListBucketResult>{more}</ListBucketResult>"));
        match (request.method.as_str(), request.query.as_str()) {
            ("GET", query) if query.contains("list-type") && !query.contains("continuation-token") => {
                page("<IsTruncated>true</IsTruncated><NextContinuationToken>a/b+c =&amp;~</NextContinuationToken>")
            }
            ("GET", query) if query.contains("list-type") => page(""),
            ("GET", _) => Answer::ok("x"),
            _ => Answer::status(200),
        }
    });
    let far = world.open(&format!("s3:{}/bucket/a.b/c_d?region=eu-1", server.url()));
    wait(async {
        far.list().await.unwrap();
        far.put("s-1.age", b"x").await.unwrap();
        far.delete("s-1.age").await.unwrap();
    });
    let requests = std::mem::take(&mut *requests.lock());
    assert_eq!(requests.len(), 5);
    for request in requests {
        let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
        let header = |name: &str| request.headers[name].clone();
        let output = Command::new(&python)
            .args(["-c", BOTOCORE, &request.method, &format!("{}{}{query}", server.url(), request.path)])
            .args([header("x-amz-date"), header("x-amz-content-sha256"), "eu-1".into(), CANARY.into()])
            .output()
            .unwrap();
        let expected = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        assert_eq!(expected.len(), 64, "{}", String::from_utf8_lossy(&output.stderr));
        let sent = header("authorization");
        assert!(sent.ends_with(&format!("Signature={expected}")), "{} {query}: {sent}", request.method);
        assert!(sent.contains("/eu-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date,"), "{sent}");
        let shown = format!("{}{query}", request.path);
        assert!(!shown.contains(CANARY) && !shown.contains("AKID") && !shown.contains("Signature"), "{shown}");
    }
}

#[test]
fn a_list_without_an_end_is_an_error() {
    let world = world();
    let more = |rest: &str| format!("<ListBucketResult><IsTruncated>true</IsTruncated>{rest}</ListBucketResult>");
    let circle = more("<NextContinuationToken>same</NextContinuationToken>");
    let stops = more("");
    let foreign = "<ListBucketResult><Contents><Key>../s-1.age</Key></Contents></ListBucketResult>".to_owned();
    for body in [circle, stops, foreign, "<ListBucketResult>".into(), String::new()] {
        let answer = body.clone();
        let server = Server::start(move |_| Answer::ok(answer.clone()));
        let error = wait(world.open(&format!("s3:{}/b/p", server.url())).list()).unwrap_err();
        assert!(matches!(error, RemoteError::InvalidResponse { .. }), "{body}: {error}");
    }
    let pages = AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let page = pages.fetch_add(1, Ordering::Relaxed);
        let keys: String = (0..1000).map(|key| format!("<Contents><Key>s-{page}-{key}.age</Key></Contents>")).collect();
        let token = format!("<NextContinuationToken>{page}</NextContinuationToken>");
        Answer::ok(format!("<ListBucketResult><IsTruncated>true</IsTruncated>{token}{keys}</ListBucketResult>"))
    });
    let error = wait(world.open(&format!("s3:{}/b", server.url())).list()).unwrap_err();
    assert!(matches!(error, RemoteError::TooManyObjects { .. }), "{error}");
    assert!(server.seen().len() < 60);
}

/// Starts a bucket whose pages have these names, one list for each page.
fn pages(names: impl Fn(usize) -> Vec<String> + Send + Sync + 'static, last: usize) -> Server {
    Server::start(move |request| {
        let token = request.query.split('&').find_map(|pair| pair.strip_prefix("continuation-token="));
        let page: usize = token.map_or(0, |token| token.parse().unwrap());
        let keys: String = names(page).iter().map(|name| format!("<Contents><Key>{name}</Key></Contents>")).collect();
        let next =
            format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{}</NextContinuationToken>", page + 1);
        let next = if page < last { next } else { String::new() };
        Answer::ok(format!("<ListBucketResult>{next}{keys}</ListBucketResult>"))
    })
}

#[test]
fn pages_may_be_small_and_their_names_are_limited() {
    let world = world();
    let list = |server: &Server| wait(world.open(&format!("s3:{}/b", server.url())).list());
    // Smaller than requested, and here and there empty.
    let one = |page: usize| if page.is_multiple_of(7) { Vec::new() } else { vec![format!("s-{page:04}.age")] };
    assert_eq!(list(&pages(one, 350)).unwrap().len(), 300);
    // Neither names nor empty pages are without end.
    let many = |page: usize| (0..500).map(|name| format!("s-{page}-{name}.age")).collect::<Vec<_>>();
    let server = pages(many, usize::MAX);
    assert!(matches!(list(&server).unwrap_err(), RemoteError::TooManyObjects { .. }));
    assert_eq!(server.seen().len(), 41);
    let server = pages(|_| Vec::new(), usize::MAX);
    let error = list(&server).unwrap_err();
    assert!(error.to_string().contains("more than 100 pages of its list are empty"), "{error}");
    assert_eq!(server.seen().len(), 101);
    // A circle of more than one page.
    let server = Server::start(|request| {
        let next = if request.query.contains("continuation-token=a") { "b" } else { "a" };
        let more = "<IsTruncated>true</IsTruncated><Contents><Key>s-1.age</Key></Contents>";
        Answer::ok(format!(
            "<ListBucketResult>{more}<NextContinuationToken>{next}</NextContinuationToken></ListBucketResult>"
        ))
    });
    assert!(list(&server).unwrap_err().to_string().contains("goes in a circle"));
    assert_eq!(server.seen().len(), 3);
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let server = Server::start(|_| stall());
    gives_up_a_body_that_stalls(&*world().open_in_haste(&format!("s3:{}/b", server.url())));
}

#[test]
fn a_clock_that_is_wrong_by_years_is_set_by_the_servers() {
    let world = world();
    let seen = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let log = seen.clone();
    let server = Server::start(move |request| {
        let stamp = request.headers["x-amz-date"].clone();
        log.lock().push(stamp.clone());
        if stamp.starts_with("2031") {
            return Answer::ok("<ListBucketResult/>");
        }
        let body = b"<Error><Code>RequestTimeTooSkewed</Code></Error>".to_vec();
        Answer::Plain(403, vec![("date".into(), "Tue, 25 Nov 2031 20:00:00 GMT".into())], body)
    });
    assert_eq!(wait(world.open(&format!("s3:{}/b", server.url())).list()).unwrap(), []);
    assert_eq!(seen.lock().len(), 2);
}

#[test]
fn half_an_object_and_a_wrong_key_are_errors() {
    let world = world();
    let server = Server::start(|request| match request.method.as_str() {
        "GET" => Answer::ok("hal"),
        _ => Answer::status(200),
    });
    let error = wait(world.open(&format!("s3:{}/b", server.url())).put("s-1.age", b"half")).unwrap_err();
    assert!(matches!(error, RemoteError::Damaged { .. }), "{error}");
    let body = b"<Error><Code>SignatureDoesNotMatch</Code></Error>";
    let server = Server::start(|_| Answer::Plain(403, Vec::new(), body.to_vec()));
    let error = wait(world.open(&format!("s3:{}/b", server.url())).list()).unwrap_err();
    assert!(error.to_string().contains("(403 SignatureDoesNotMatch)"), "{error}");
    assert!(!error.to_string().contains(CANARY));
}

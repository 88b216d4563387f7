//! The gateway between real connections: hostile clients, hostile providers, and budgets that hold.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiw_core::{Api, CliKind, Secret, provider};
use aiw_home::{Home, PoolStrategy};
use aiw_providers::ModelEndpoint;
use aiw_usage::{UsageLog, UsageRecord};
use proptest::prelude::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{Gateway, GatewayRoute, RoutePool, RouteRun, Upstream, bind, serve};

const KEY: &str = "sk-canary-of-the-provider";

/// Longer than anything takes here.
const LONG: Duration = Duration::from_secs(60);

/// A provider's treatment of a request.
#[derive(Clone)]
enum Does {
    /// Answers with a status, headers and a body.
    Says(u16, Vec<(&'static str, String)>, String),
    /// Says nothing until it may, then answers.
    Waits(Arc<Semaphore>, Box<Does>),
    /// Sends a piece again and again.
    Goes(String),
    /// Closes the connection.
    Breaks,
}

fn events(text: impl Into<String>) -> Does {
    Does::Says(200, vec![("content-type", "text/event-stream".into())], text.into())
}

fn whole(value: &Value) -> Does {
    Does::Says(200, vec![("content-type", "application/json".into())], value.to_string())
}

fn chat(word: &str, read: u64, written: u64) -> String {
    let first = json!({"choices": [{"index": 0, "delta": {"content": word}}]});
    let usage = json!({"prompt_tokens": read, "completion_tokens": written});
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage});
    format!("data: {first}\n\ndata: {last}\n\ndata: [DONE]\n\n")
}

/// A provider on this machine.
struct Provider {
    url: String,
    asked: Arc<AtomicUsize>,
    /// The heads of requests.
    heads: Arc<Mutex<Vec<String>>>,
    /// The models that were chosen for it.
    models: provider::Models,
    /// The bytes of endless answers that it could send before it was left.
    sent: watch::Receiver<usize>,
}

impl Provider {
    async fn new(does: impl Fn(usize, &Value) -> Does + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, heads, does) =
            (Arc::new(AtomicUsize::new(0)), Arc::<Mutex<Vec<String>>>::default(), Arc::new(does));
        let (sends, sent) = watch::channel(0);
        let (counted, seen) = (asked.clone(), heads.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counted, seen, does, sends) = (counted.clone(), seen.clone(), does.clone(), sends.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Some((head, body)) = read_request(&mut stream).await else { return };
                    seen.lock().unwrap().push(head);
                    let at = counted.fetch_add(1, Ordering::SeqCst);
                    act(&mut stream, does(at, &body), &sends).await;
                });
            }
        });
        let models = provider::Models { main: Some("m".into()), ..Default::default() };
        Self { url, asked, heads, models, sent }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn access(&self, api: Api) -> ModelEndpoint {
        let path = if matches!(api, Api::ChatCompletions | Api::Responses) { "/v1" } else { "" };
        ModelEndpoint {
            api,
            url: format!("{}{path}", self.url),
            is_granted: true,
            headers: Vec::new(),
            secrets: vec![("authorization".into(), Secret::new(format!("Bearer {KEY}")))],
            models: self.models.clone(),
            tuning: provider::Tuning::default(),
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<(String, Value)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|at| at == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.and_then(|length| length.trim().parse().ok()).unwrap_or_default();
            while bytes.len() < end + 4 + length {
                if stream.read_buf(&mut bytes).await.ok()? == 0 {
                    return None;
                }
            }
            return Some((head, serde_json::from_slice(&bytes[end + 4..]).unwrap_or_default()));
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

async fn act(stream: &mut TcpStream, does: Does, sends: &watch::Sender<usize>) {
    match does {
        Does::Says(status, headers, body) => {
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
        Does::Waits(until, then) => {
            let left = async {
                let mut byte = [0];
                let _ = stream.read(&mut byte).await;
            };
            let may_go_on = tokio::select! {
                permit = until.acquire() => permit.map(drop).is_ok(),
                () = left => false,
            };
            if may_go_on {
                Box::pin(act(stream, *then, sends)).await;
            }
        }
        Does::Goes(piece) => {
            let head = "HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            let mut sent = 0;
            let mut next = head.to_owned();
            while stream.write_all(next.as_bytes()).await.is_ok() {
                sent += next.len();
                next.clone_from(&piece);
            }
            sends.send_modify(|all| *all = (*all).max(sent));
        }
        Does::Breaks => {}
    }
}

/// A gateway to one route.
struct World {
    dir: tempfile::TempDir,
    address: std::net::SocketAddr,
    token: String,
    said: Arc<Mutex<Vec<String>>>,
    _stop: tokio_util::sync::DropGuard,
}

impl World {
    async fn new(members: &[(&str, Api, &Provider)], settings: &Value, is_private: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        std::fs::write(home.settings_path(), settings.to_string()).unwrap();
        let upstreams =
            members.iter().map(|(name, api, provider)| Upstream::new(name, provider.access(*api))).collect();
        let pool = (members.len() > 1).then(|| RoutePool::new("pool", PoolStrategy::RoundRobin));
        let project = (!is_private).then(|| "/project".to_owned());
        let run = RouteRun { cli: CliKind::Claude, project, budgets: vec!["of-project".into()] };
        let route = Arc::new(GatewayRoute::new(upstreams, pool).unwrap().with_run(run));
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let says = said.clone();
        let voice = Box::new(move |_, sentence: &str| says.lock().unwrap().push(sentence.to_owned()));
        let gateway = Arc::new(Gateway::new(&home, Arc::new(route.clone()), voice).unwrap());
        let listener = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let (address, stop) = (listener.address(), CancellationToken::new());
        tokio::spawn(serve(listener, gateway, stop.clone()));
        Self { dir, address, token: route.token.clone(), said, _stop: stop.drop_guard() }
    }

    async fn to(api: Api, provider: &Provider) -> Self {
        Self::new(&[("one", api, provider)], &json!({}), false).await
    }

    fn home(&self) -> Home {
        Home::from_root(self.dir.path())
    }

    async fn begin(&self, path: &str, headers: &str, body: &Value) -> TcpStream {
        let body = body.to_string();
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let (address, token, length) = (self.address, &self.token, body.len());
        let head = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n{headers}");
        let sent = format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(sent.as_bytes()).await.unwrap();
        stream
    }

    /// Returns the status, and all of the answer.
    async fn ask_with(&self, path: &str, headers: &str, body: &Value) -> (u16, String) {
        answer(&mut self.begin(path, headers, body).await).await
    }

    async fn ask(&self, path: &str, body: &Value) -> (u16, String) {
        self.ask_with(path, "", body).await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let (address, token) = (self.address, &self.token);
        let head = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n");
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{head}connection: close\r\n\r\n").as_bytes()).await.unwrap();
        answer(&mut stream).await
    }

    fn bookings(&self) -> Vec<UsageRecord> {
        let mut all = Vec::new();
        assert_eq!(UsageLog::new(&self.home()).read(0, |booking| all.push(booking)).unwrap(), None);
        all
    }

    /// Returns the bookings once no request is open.
    async fn closed(&self, count: usize) -> Vec<UsageRecord> {
        let wait = async {
            loop {
                let all = self.bookings();
                if all.len() >= count && all.iter().all(|booking| !booking.open) {
                    return all;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(LONG, wait).await.expect("each request is booked")
    }
}

async fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut bytes)).await.expect("it answers");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, text)
}

fn question(is_streamed: bool) -> Value {
    let messages = json!([{"role": "user", "content": "A question of some words"}]);
    json!({"model": "m", "max_tokens": 90, "stream": is_streamed, "messages": messages})
}

fn budget(tokens: u64) -> Value {
    json!({"budgets": {"b": {"tokens": tokens, "per": "month", "action": "block"}}})
}

/// The tokens that are booked for a question before it is answered.
const EXPECTED: u64 = 97;

#[tokio::test(flavor = "multi_thread")]
async fn strangers_take_no_memory_and_lock_nobody_out() {
    let provider = Provider::new(|_, _| events(chat("Hello", 9, 2))).await;
    let world = World::to(Api::ChatCompletions, &provider).await;
    let mut strangers = Vec::new();
    for path in ["/v1/messages", "/v1/responses", "/v1beta/models/m:generateContent", "/"].repeat(10) {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n", world.address, 62 << 20);
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = vec![0; 2048];
        let read = tokio::time::timeout(LONG, stream.read(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8_lossy(&answer[..read]);
        assert!(
            answer.starts_with("HTTP/1.1 401 ") && answer.contains("the token is not one of aiw's gateway"),
            "{answer}"
        );
        strangers.push(stream);
    }
    for _ in 0..11 {
        strangers.clear();
        for _ in 0..100 {
            strangers.push(TcpStream::connect(world.address).await.unwrap());
        }
        assert_eq!(world.ask("/v1/messages", &question(false)).await.0, 200);
    }
    // A sign of life needs no token, and takes no body.
    for (head, status) in [("HEAD / HTTP/1.1\r\n", 200), ("GET / HTTP/1.1\r\ncontent-length: 9\r\n", 413)] {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        let head = format!("{head}host: {}\r\nconnection: close\r\n\r\n", world.address);
        stream.write_all(head.as_bytes()).await.unwrap();
        assert_eq!(answer(&mut stream).await.0, status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_requests_at_once_see_each_other_in_the_budget() {
    let may_answer = Arc::new(Semaphore::new(0));
    let until = may_answer.clone();
    let does = move |_: usize, _: &Value| Does::Waits(until.clone(), Box::new(events(chat("Hello", 9, 2))));
    let provider = Provider::new(does).await;
    let world = World::new(&[("one", Api::ChatCompletions, &provider)], &budget(2 * EXPECTED + 10), false).await;
    let world = Arc::new(world);
    let clients = (0..40).map(|_| {
        let world = world.clone();
        tokio::spawn(async move { world.ask("/v1/messages", &question(false)).await })
    });
    let clients: Vec<_> = clients.collect();
    // Two wait for the provider, the others are refused meanwhile.
    let all_but_two = async {
        while clients.iter().filter(|client| client.is_finished()).count() < 38 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, all_but_two).await.unwrap();
    may_answer.add_permits(100);
    let mut statuses = Vec::new();
    for client in clients {
        let (status, text) = client.await.unwrap();
        assert!(status == 200 || text.contains("the budget `b`"), "{text}");
        statuses.push(status);
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 2], vec![403; 38]].concat());
    assert_eq!(provider.asked(), 2);
    let spent: u64 = world.closed(2).await.iter().map(|booking| booking.tokens.total()).sum();
    assert_eq!(spent, 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_before_the_first_word_has_spent_what_was_expected() {
    let provider = Provider::new(|_, _| Does::Waits(Arc::new(Semaphore::new(0)), Box::new(Does::Breaks))).await;
    let world = World::to(Api::ChatCompletions, &provider).await;
    let client = world.begin("/v1/messages", "", &question(true)).await;
    while provider.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // It is in the book while it is open.
    let open = world.bookings();
    assert!(open.len() == 1 && open[0].open && open[0].tokens.total() == EXPECTED, "{open:?}");
    drop(client);
    let left = world.closed(1).await;
    assert!(left.len() == 1 && left[0].truncated && left[0].estimated, "{left:?}");
    assert_eq!((left[0].tokens.input, left[0].tokens.output), (EXPECTED - 90, 90));
    // What was refused, or never sent, costs nothing.
    let refuses = Provider::new(|_, _| Does::Says(401, Vec::new(), "{}".into())).await;
    let world = World::to(Api::ChatCompletions, &refuses).await;
    assert_eq!(world.ask("/v1/messages", &question(false)).await.0, 401);
    let gone = Provider { url: "http://127.0.0.1:9".into(), ..refuses };
    let other = World::to(Api::ChatCompletions, &gone).await;
    assert_eq!(other.ask("/v1/messages", &question(false)).await.0, 502);
    assert!(world.closed(0).await.is_empty() && other.closed(0).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_breaks_off_before_its_first_word_is_booked_as_expected() {
    let half = || Does::Says(200, vec![("content-type", "application/json".into())], "{\"choices\":[".into());
    for (does, used) in [
        (events(""), EXPECTED),
        (half(), EXPECTED),
        // What the provider says that it can't do costs nothing.
        (events("data: {\"error\":{\"message\":\"too much to do\",\"code\":503}}\n\n"), 0),
    ] {
        for is_streamed in [false, true] {
            let does = does.clone();
            let provider = Provider::new(move |_, _| does.clone()).await;
            let world = World::to(Api::ChatCompletions, &provider).await;
            let (status, text) = world.ask("/v1/messages", &question(is_streamed)).await;
            assert!(status >= 500, "{status} {text}");
            let booked = world.closed(usize::from(used > 0)).await;
            let tokens: u64 = booked.iter().map(|booking| booking.tokens.total()).sum();
            assert_eq!(tokens, used, "{is_streamed}: {booked:?}");
            assert!(booked.iter().all(|booking| booking.truncated && booking.estimated), "{booked:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_run_is_held_against_the_budgets_of_its_project_and_its_directory_is_not_kept() {
    let provider = Provider::new(|_, _| events(chat("Hello", 9, 2))).await;
    let of_project = json!({"tokens": EXPECTED + 5, "per": "month", "project": "/project", "action": "block"});
    let settings = json!({"budgets": {"of-project": of_project}});
    let world = World::new(&[("one", Api::ChatCompletions, &provider)], &settings, true).await;
    assert_eq!(world.ask("/v1/messages", &question(false)).await.0, 200);
    assert_eq!(world.closed(1).await[0].project, None);
    let (status, text) = world.ask("/v1/messages", &question(false)).await;
    assert!(status == 403 && text.contains("the budget `of-project`"), "{text}");
    assert_eq!(provider.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_book_that_is_lost_or_can_not_be_written_refuses() {
    let provider = Provider::new(|_, _| events(chat("Hello", 9, 2))).await;
    let world = World::new(&[("one", Api::ChatCompletions, &provider)], &budget(1_000), false).await;
    let asked = question(false);
    let ask = || world.ask("/v1/messages", &asked);
    assert_eq!(ask().await.0, 200);
    world.closed(1).await;
    let seal = world.home().usage_checksums_path();
    let kept = std::fs::read(&seal).unwrap();
    std::fs::remove_file(&seal).unwrap();
    std::fs::create_dir(&seal).unwrap();
    let (status, text) = ask().await;
    assert!(status == 403 && text.contains("what your budgets have left is not known"), "{text}");
    std::fs::remove_dir(&seal).unwrap();
    std::fs::write(&seal, kept).unwrap();
    assert_eq!(ask().await.0, 200);
    world.closed(2).await;
    std::fs::remove_dir_all(world.home().usage()).unwrap();
    for _ in 0..2 {
        let (status, text) = ask().await;
        assert!(status == 403 && text.contains("`aiw budget repair`"), "{text}");
    }
    UsageLog::new(&world.home()).repair().unwrap();
    assert_eq!(ask().await.0, 200);
    assert_eq!(provider.asked(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_written_at_the_end_of_an_answer_is_written_later() {
    let may_answer = Arc::new(Semaphore::new(0));
    let until = may_answer.clone();
    let does = move |_: usize, _: &Value| Does::Waits(until.clone(), Box::new(events(chat("Hello", 9, 400))));
    let provider = Provider::new(does).await;
    let world = World::new(&[("one", Api::ChatCompletions, &provider)], &budget(600), false).await;
    let asked = question(false);
    let mut client = world.begin("/v1/messages", "", &asked).await;
    while provider.asked() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let seal = world.home().usage_checksums_path();
    let kept = std::fs::read(&seal).unwrap();
    std::fs::remove_file(&seal).unwrap();
    std::fs::create_dir(&seal).unwrap();
    may_answer.add_permits(10);
    // It has its answer, and nobody else gets one.
    assert_eq!(answer(&mut client).await.0, 200);
    while !world.said.lock().unwrap().iter().any(|said| said.contains("what a request used can't be booked")) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (status, text) = world.ask("/v1/messages", &asked).await;
    assert!(status == 403 && text.contains("what requests have used can't be booked"), "{text}");
    std::fs::remove_dir(&seal).unwrap();
    std::fs::write(&seal, kept).unwrap();
    assert_eq!(world.ask("/v1/messages", &asked).await.0, 200);
    let used: Vec<u64> = world.closed(2).await.iter().map(|booking| booking.tokens.total()).collect();
    assert_eq!(used, [409, 409]);
    assert_eq!(world.ask("/v1/messages", &asked).await.0, 403);
}

/// The behaviour of a client and a provider for one request.
#[derive(Debug, Clone)]
struct Meeting {
    /// After how many milliseconds the client leaves, if it does.
    leaves: Option<u64>,
    is_streamed: bool,
    /// The provider's behaviour.
    does: usize,
}

/// Puts a directory in the place of a file, as if it could not be written, and the file back.
async fn fails_for_a_while(file: &Path) {
    let aside = file.with_extension("aside");
    if file.exists() && std::fs::create_dir(&aside).is_ok() {
        let exchange = || renameat_with(CWD, &aside, CWD, file, RenameFlags::EXCHANGE).unwrap();
        exchange();
        tokio::time::sleep(Duration::from_millis(8)).await;
        exchange();
        std::fs::remove_dir(&aside).unwrap();
    }
}

mod fuzz {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        /// Whatever clients, providers and the disk do, what was used is at most the limit and what requests used beyond
        /// what was expected of them, and each request that a provider has read is booked.
        #[test]
        fn budgets_hold(
            meetings in proptest::collection::vec(
                (proptest::option::of(0..40_u64), any::<bool>(), 0..8_usize)
                    .prop_map(|(leaves, is_streamed, does)| Meeting { leaves, is_streamed, does }),
                1..24,
            ),
            // After how many milliseconds nothing can be booked for a while.
            faults in proptest::collection::vec(0..30_u64, 0..4),
            limit in 100..1_500_u64,
        ) {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let script: Vec<usize> = meetings.iter().map(|meeting| meeting.does).collect();
                let (beyond, paid) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
                let (more, pays) = (beyond.clone(), paid.clone());
                let provider = Provider::new(move |at, _| {
                    let used = [11, 300, 0, 0, 11, 11, 0, 0][script[at % script.len()]];
                    more.fetch_add(usize::try_from(u64::saturating_sub(used, EXPECTED)).unwrap(), Ordering::SeqCst);
                    let says = || events(chat("Hello", 9, used - 9));
                    let waits = || Arc::new(Semaphore::new(0));
                    let costs = usize::from(!matches!(script[at % script.len()], 2));
                    pays.fetch_add(costs, Ordering::SeqCst);
                    match script[at % script.len()] {
                        0 | 1 => says(),
                        2 => Does::Says(500, Vec::new(), "{}".into()),
                        3 => Does::Breaks,
                        4 => events("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n"),
                        5 => events(""),
                        6 => Does::Says(200, Vec::new(), "{\"choices\":[".into()),
                        _ => Does::Waits(waits(), Box::new(Does::Breaks)),
                    }
                })
                .await;
                let world = World::new(&[("one", Api::ChatCompletions, &provider)], &budget(limit), false).await;
                let clients = meetings.iter().map(|meeting| async {
                    let mut client = world.begin("/v1/messages", "", &question(meeting.is_streamed)).await;
                    // A provider that says nothing is left in any case.
                    let leaves = Duration::from_millis(meeting.leaves.unwrap_or(300));
                    tokio::time::timeout(leaves, answer(&mut client)).await.is_ok()
                });
                let disk = async {
                    for wait in faults {
                        tokio::time::sleep(Duration::from_millis(wait)).await;
                        fails_for_a_while(&world.home().usage_checksums_path()).await;
                    }
                };
                tokio::join!(futures::future::join_all(clients), disk);
                // Whatever could not be booked is, before another request is sent.
                let last = async { answer(&mut world.begin("/v1/messages", "", &question(false)).await).await };
                let _ = tokio::time::timeout(Duration::from_millis(300), last).await;
                let bookings = world.closed(paid.load(Ordering::SeqCst)).await;
                let spent: u64 = bookings.iter().map(|booking| booking.tokens.total()).sum();
                let most = limit + beyond.load(Ordering::SeqCst) as u64;
                prop_assert!(spent <= most, "{spent} of {limit} were spent");
                Ok(())
            })?;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_answer_ends() {
    let piece = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]})).repeat(8);
    let word = piece(json!({"content": "x".repeat(4_000)}));
    let thought = piece(json!({"reasoning_content": "x".repeat(4_000)}));
    let arguments = json!([{"index": 0, "id": "c", "function": {"name": "t", "arguments": "[".repeat(4_000)}}]);
    let google = "/v1beta/models/m:generateContent";
    let clients = [
        ("/v1/messages", question(false)),
        ("/v1/responses", json!({"model": "m", "stream": true, "input": "Hi"})),
        ("/v1/responses", json!({"model": "m", "input": "Hi"})),
        (google, json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]})),
    ];
    let long = "the provider's answer is too long";
    for (piece, says, clients) in [
        (word, long, &clients[..]),
        (thought, long, &clients[..]),
        (piece(json!({"tool_calls": arguments})), long, &clients[..]),
        ("data: x".repeat(9_000), "an event that is too large", &clients[..2]),
    ] {
        let provider = Provider::new(move |_, _| Does::Goes(piece.clone())).await;
        let world = World::to(Api::ChatCompletions, &provider).await;
        for (path, body) in clients {
            let (status, text) = world.ask(path, body).await;
            let is_failed = status == 502 || status == 503 || text.contains("response.failed");
            assert!(is_failed && text.contains(says), "{path}: {status}");
        }
        let mut sent = provider.sent.clone();
        let was_left = tokio::time::timeout(LONG, sent.wait_for(|sent| *sent > 0)).await.unwrap();
        assert!(*was_left.unwrap() < 64 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_private_run_are_noted_nowhere() {
    const WORDS: &str = "the secret of the pyramid";
    for is_private in [false, true] {
        let says = json!({"error": {"message": format!("cannot answer: {WORDS}"), "code": "rate_limit_exceeded"}});
        let limited = Provider::new(move |_, _| Does::Says(429, Vec::new(), says.to_string())).await;
        let works = Provider::new(|_, _| events(chat("Hello", 9, 2))).await;
        let members = [("one", Api::ChatCompletions, &limited), ("two", Api::ChatCompletions, &works)];
        let world = World::new(&members, &json!({}), is_private).await;
        for _ in 0..3 {
            assert_eq!(world.ask("/v1/messages", &question(false)).await.0, 200);
        }
        let noted = std::fs::read_to_string(world.home().gateway_dir().join("pools/pool.json")).unwrap();
        let said = world.said.lock().unwrap().join("\n");
        assert!(said.contains("pool `pool` goes on with `two` in place of `one`"), "{said}");
        assert_eq!(noted.contains(WORDS), !is_private, "{noted}");
        assert_eq!(said.contains(WORDS), !is_private, "{said}");
        assert_eq!(said.contains("its limit is reached (status 429)"), is_private, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_control_characters_do_not_come_back_however_they_are_written() {
    let dashed = KEY.replace('-', "\\u002d");
    let quoted = format!("{{\\\"error\\\": \\\"{}\\\"}}", KEY.replace('-', "\\\\u002d"));
    let plain = format!("\u{1b}[31m {KEY} \u{202e}");
    for written in [dashed, quoted, plain.replace('\u{1b}', "\\u001b")] {
        let body = format!(
            "{{\"type\":\"error\",\"error\":{{\"type\":\"invalid_request_error\",\"message\":\"no {written}\"}},\"request_id\":\"{written}\"}}"
        );
        for (status, kind, text) in [
            (400, "application/json", body.clone()),
            (200, "text/event-stream", format!("event: error\ndata: {body}\n\n")),
            (200, "application/json", body.clone()),
        ] {
            let ids =
                vec![("content-type", kind.to_owned()), ("request-id", KEY.into()), ("x-request-id", "fine".into())];
            let provider = Provider::new(move |_, _| Does::Says(status, ids.clone(), text.clone())).await;
            for api in [Api::Messages, Api::ChatCompletions] {
                let world = World::to(api, &provider).await;
                for is_streamed in [true, false] {
                    let (_, text) = world.ask("/v1/messages", &question(is_streamed)).await;
                    let secret = |text: &str| text.contains("canary") || text.contains("\\u002d");
                    assert!(!secret(&text), "{api:?} {is_streamed}: {text}");
                    let controls = ["\u{1b}", "\\u001b", "\u{202e}", "\\u202e"];
                    assert!(!controls.iter().any(|control| text.contains(control)), "{text}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_whether_it_shall_stream_is_understood() {
    let message = json!({"type": "message", "id": "m", "role": "assistant", "model": "up", "stop_reason": "tool_use",
        "content": [{"type": "text", "text": "Hello"}, {"type": "tool_use", "id": "t", "name": "look", "input": {"a": 1}}],
        "usage": {"input_tokens": 9, "output_tokens": 8}});
    let items = json!([
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello"}]},
        {"type": "custom_tool_call", "call_id": "c", "name": "apply_patch", "input": "look"}]);
    let response = json!({"object": "response", "id": "r", "status": "completed", "model": "up", "output": items,
        "usage": {"input_tokens": 9, "output_tokens": 8}});
    let call = json!({"functionCall": {"name": "look", "args": {}}});
    let google = json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "Hello"}, call]},
        "finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 8}});
    let completion = json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "tool_calls", "message":
        {"content": "Hello", "tool_calls": [{"id": "c", "function": {"name": "look", "arguments": "{}"}}]}}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 8}});
    let input = |is_streamed: bool| json!({"model": "m", "stream": is_streamed, "input": "Hi"});
    let contents = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
    let to_complete = |is_streamed: bool| question(is_streamed);
    let asks_google = "/v1beta/models/m:streamGenerateContent?alt=sse";
    // It answers whole.
    for (api, says, path, body, ends) in [
        (Api::Messages, &message, "/v1/messages", question(true), "event: message_stop"),
        (Api::Responses, &response, "/v1/responses", input(true), "event: response.completed"),
        (Api::GenerateContent, &google, asks_google, contents.clone(), "\"finishReason\":\"STOP\""),
        (Api::GenerateContent, &json!([google]), asks_google, contents.clone(), "\"finishReason\":\"STOP\""),
        (Api::ChatCompletions, &completion, "/v1/messages", question(true), "event: message_stop"),
        (Api::GenerateContent, &json!([google]), "/v1/messages", question(true), "event: message_stop"),
        (Api::Messages, &message, "/v1/responses", input(true), "event: response.completed"),
        (Api::ChatCompletions, &completion, "/v1/chat/completions", to_complete(true), "data: [DONE]"),
        (Api::Messages, &message, "/v1/chat/completions", to_complete(true), "data: [DONE]"),
    ] {
        let says = whole(says);
        let provider = Provider::new(move |_, _| says.clone()).await;
        let world = World::to(api, &provider).await;
        let (status, text) = world.ask(path, &body).await;
        assert!(status == 200 && text.contains("content-type: text/event-stream"), "{api:?} {path}: {text}");
        assert!(text.contains("Hello") && text.contains("look") && text.contains(ends), "{api:?} {path}: {text}");
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        assert!(data.into_iter().all(|data| data == "[DONE]" || serde_json::from_str::<Value>(data).is_ok()), "{text}");
        let booked = world.closed(1).await;
        assert_eq!(
            (booked[0].tokens.input, booked[0].tokens.output, booked[0].truncated),
            (9, 8, false),
            "{api:?} {path}"
        );
    }
    // It streams, and may not even say so.
    let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}});
    let stop = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}});
    let last = json!({"type": "message_stop"});
    let streamed: String = [start, delta, stop, last].iter().map(|data| format!("data: {data}\n\n")).collect();
    for kind in ["text/event-stream", "application/json"] {
        let says = Does::Says(200, vec![("content-type", kind.to_owned())], streamed.clone());
        let provider = Provider::new(move |_, _| says.clone()).await;
        let world = World::to(Api::Messages, &provider).await;
        let (status, text) = world.ask("/v1/messages", &question(false)).await;
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(
            (status, &body["content"][0]["text"], &body["model"]),
            (200, &json!("Hello"), &json!("m")),
            "{text}"
        );
        let provider =
            Provider::new(move |_, _| Does::Says(200, vec![("content-type", kind.to_owned())], chat("Hello", 9, 8)))
                .await;
        let world = World::to(Api::ChatCompletions, &provider).await;
        let (status, text) = world.ask("/v1/chat/completions", &question(false)).await;
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!(
            (status, &body["object"], &body["choices"][0]["message"]["content"]),
            (200, &json!("chat.completion"), &json!("Hello")),
            "{text}"
        );
    }
}

/// An answer of Messages that says a word.
fn message(usage: &Value) -> Does {
    let start = json!({"type": "message_start", "message": {"usage": usage}});
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}});
    let stop = json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}});
    let last = json!({"type": "message_stop"});
    events([start, delta, stop, last].iter().map(|data| format!("data: {data}\n\n")).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_chat_completions_is_served_by_each_api_and_told_its_models() {
    let google = json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "Hello"}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2}});
    let response = json!({"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": 9, "output_tokens": 2},
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hello"}]}]}});
    for (api, says) in [
        (Api::Messages, message(&json!({"input_tokens": 9, "output_tokens": 2}))),
        (Api::Responses, events(format!("data: {response}\n\n"))),
        (Api::ChatCompletions, events(chat("Hello", 9, 2))),
        (Api::GenerateContent, events(format!("data: {google}\n\n"))),
    ] {
        let provider = Provider::new(move |_, _| says.clone()).await;
        let world = World::to(api, &provider).await;
        let (status, text) = world.ask("/v1/chat/completions", &question(true)).await;
        assert!(
            status == 200 && text.contains("\"content\":\"Hello\"") && text.contains("data: [DONE]"),
            "{api:?}: {text}"
        );
        let (status, text) = world.ask("/v1/chat/completions", &question(false)).await;
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        assert_eq!((status, &body["choices"][0]["message"]["content"]), (200, &json!("Hello")), "{api:?}: {text}");
        // An upstream's own time passes as it is.
        assert!(api == Api::ChatCompletions || body["created"].as_u64() > Some(1_700_000_000), "{api:?}: {text}");
        let booked = world.closed(2).await;
        assert!(booked.iter().all(|booking| booking.tokens.input == 9 && !booking.estimated), "{api:?}: {booked:?}");
        for (path, status, says) in [
            ("/v1/models", 200, "\"data\":[{\"id\":\"m\",\"object\":\"model\""),
            ("/v1/models/m", 200, "\"id\":\"m\""),
            ("/v1/models/other", 404, "`one` has no model `other`"),
        ] {
            let (said, text) = world.get(path).await;
            assert!(said == status && text.contains(says), "{path}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_of_a_provider_for_which_you_chose_none_are_those_that_it_lists() {
    let of_openai = json!({"object": "list", "models": [], "data": [{"id": "one", "name": "One"}, {"id": "a/two"}, {"id": format!("x{KEY}")}, {"id": "-x"}, {}]});
    let of_google = json!({"models": [{"name": "models/one", "displayName": "One"}, {"name": "models/a/two"}]});
    for (api, says, path) in [
        (Api::Messages, &of_openai, "get /v1/models?limit=1000 "),
        (Api::Responses, &of_openai, "get /v1/models "),
        (Api::ChatCompletions, &of_openai, "get /v1/models "),
        (Api::GenerateContent, &of_google, "get /v1beta/models?pagesize=1000 "),
    ] {
        let says = whole(says);
        let provider =
            Provider { models: provider::Models::default(), ..Provider::new(move |_, _| says.clone()).await };
        let world = World::to(api, &provider).await;
        let (status, text) = world.get("/v1/models").await;
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let names: Vec<&Value> = body["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
        assert_eq!((status, names), (200, vec![&json!("one"), &json!("a/two")]), "{api:?}");
        assert_eq!(world.get("/v1/models/a/two").await.0, 200);
        let (status, text) = world.get("/v1beta/models").await;
        assert!(status == 200 && text.contains("models/a/two"), "{text}");
        let head = provider.heads.lock().unwrap()[0].clone();
        assert!(head.starts_with(path) && head.contains(&format!("authorization: bearer {KEY}")), "{head}");
        assert!(world.bookings().is_empty());
    }
    // What it says of its key is said without the key.
    let says = json!({"error": {"message": format!("bad {KEY}")}}).to_string();
    let refuses = Provider::new(move |_, _| Does::Says(401, Vec::new(), says.clone())).await;
    let refuses = Provider { models: provider::Models::default(), ..refuses };
    let world = World::to(Api::ChatCompletions, &refuses).await;
    let (status, text) = world.get("/v1/models").await;
    assert!(status == 401 && text.contains("provider `one` refused its key") && !text.contains("canary"), "{text}");
    let odd = Provider::new(|_, _| Does::Says(200, Vec::new(), "<html>".into())).await;
    let world = World::to(Api::Messages, &Provider { models: provider::Models::default(), ..odd }).await;
    assert_eq!(world.get("/v1/models").await.0, 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_chat_completions_that_can_not_count_is_asked_again_without() {
    let provider = Provider::new(|_, body| match body.get("stream_options") {
        Some(_) => Does::Says(
            400,
            Vec::new(),
            json!({"error": {"message": "Unknown parameter: 'stream_options'"}}).to_string(),
        ),
        None => events(chat("Hello", 9, 2)),
    })
    .await;
    let world = World::to(Api::ChatCompletions, &provider).await;
    for asked in [2, 3] {
        assert_eq!(world.ask("/v1/chat/completions", &question(true)).await.0, 200);
        assert_eq!(provider.asked(), asked);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_estimate_of_a_torn_answer_keeps_the_share_that_was_cached_before() {
    let counted = json!({"input_tokens": 10, "cache_read_input_tokens": 180, "cache_creation_input_tokens": 10, "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 10}});
    let torn = || {
        events(
            "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hel\"}}\n\n",
        )
    };
    let provider = Provider::new(move |at, _| if at == 1 { message(&counted) } else { torn() }).await;
    let world = World::to(Api::Messages, &provider).await;
    let words = "a word or two ".repeat(100);
    let asked =
        json!({"model": "m", "max_tokens": 90, "stream": true, "messages": [{"role": "user", "content": words}]});
    for _ in 0..3 {
        world.ask("/v1/messages", &asked).await;
    }
    let mut booked = world.closed(3).await;
    booked.sort_by_key(|booking| booking.closes);
    let tokens: Vec<_> = booked.iter().map(|booking| booking.tokens).collect();
    assert!(booked[0].estimated && !booked[1].estimated && booked[2].estimated, "{booked:?}");
    // Before the first count, nothing is known.
    assert_eq!((tokens[0].input, tokens[0].cached), (400, 0));
    assert_eq!((tokens[1].cached, tokens[1].cache_written, tokens[1].cache_written_1h), (180, 10, 10));
    let last = tokens[2];
    assert_eq!((last.input, last.cached, last.cache_written, last.cache_written_1h), (20, 360, 20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_the_id_of_a_call_does_not_come_back() {
    let dashed = KEY.replace('-', "\\u002d");
    for written in [KEY, &dashed] {
        let call = format!(
            "{{\"index\":0,\"id\":\"call_{written}\",\"function\":{{\"name\":\"look\",\"arguments\":\"{{}}\"}}}}"
        );
        let first = format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"tool_calls\":[{call}]}}}}]}}\n\n");
        let last =
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
        let says = events(first + last);
        let provider = Provider::new(move |_, _| says.clone()).await;
        let world = World::to(Api::ChatCompletions, &provider).await;
        for path in ["/v1/messages", "/v1/chat/completions"] {
            for is_streamed in [true, false] {
                let (status, text) = world.ask(path, &question(is_streamed)).await;
                assert!(status == 200 && text.contains("\"look\"") && text.contains("call__"), "{path}: {text}");
                assert!(!text.contains("canary") && !text.contains("\\u002d"), "{path} {is_streamed}: {text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_vendors_own_headers_are_passed_on_to_it() {
    let provider = Provider::new(|_, _| Does::Says(400, Vec::new(), "{}".into())).await;
    let world = World::to(Api::Messages, &provider).await;
    let headers = "anthropic-beta: b\r\nopenai-organization: o\r\nx-goog-api-client: g\r\ncookie: c\r\n";
    world.ask_with("/v1/messages", headers, &question(false)).await;
    let head = provider.heads.lock().unwrap()[0].clone();
    assert!(head.contains("anthropic-beta: b"), "{head}");
    for other in ["openai-", "x-goog-", "cookie"] {
        assert!(!head.contains(other), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_never_ends_is_believed_for_a_month() {
    let headers =
        vec![("x-ratelimit-remaining-tokens", "0".to_owned()), ("x-ratelimit-reset-tokens", "9999-12-31".to_owned())];
    let provider = Provider::new(move |_, _| Does::Says(429, headers.clone(), "{}".into())).await;
    let world = World::to(Api::ChatCompletions, &provider).await;
    let (status, text) = world.ask("/v1/messages", &question(false)).await;
    let wait = text.lines().find_map(|line| line.strip_prefix("retry-after: "));
    assert_eq!((status, wait), (429, Some("2592000")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_members_refuse_every_second_request_answers_all() {
    let past = "Tue, 24 Nov 2020 20:00:00 GMT";
    for (status, wait) in
        [(529, None), (500, None), (429, None), (429, Some("0")), (429, Some(past)), (429, Some("0.1"))]
    {
        let headers: Vec<_> = wait.map(|wait| ("retry-after", wait.to_owned())).into_iter().collect();
        let refuses = move |headers: Vec<(&'static str, String)>| {
            move |at: usize, _: &Value| match at % 2 {
                0 => Does::Says(status, headers.clone(), "{}".into()),
                _ => events(chat("Hello", 9, 2)),
            }
        };
        let (one, two) = (Provider::new(refuses(headers.clone())).await, Provider::new(refuses(headers)).await);
        let members = [("one", Api::ChatCompletions, &one), ("two", Api::ChatCompletions, &two)];
        let world = World::new(&members, &json!({}), false).await;
        for _ in 0..12 {
            let (answered, text) = world.ask("/v1/messages", &question(false)).await;
            assert_eq!(answered, 200, "{status} {wait:?}: {text}");
        }
        // At once, what several of them are refused is one limit.
        let question = question(false);
        let sessions: Vec<String> = (0..12).map(|at| format!("session-id: s{at}\r\n")).collect();
        let all = sessions.iter().map(|session| world.ask_with("/v1/messages", session, &question));
        for (answered, text) in futures::future::join_all(all).await {
            assert_eq!(answered, 200, "{status} {wait:?}, at once: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_whose_members_say_no_more_than_that_they_are_limited_gives_up_in_time() {
    let refuses = |_: usize, _: &Value| Does::Says(429, Vec::new(), "{}".into());
    let (one, two) = (Provider::new(refuses).await, Provider::new(refuses).await);
    let members = [("one", Api::ChatCompletions, &one), ("two", Api::ChatCompletions, &two)];
    let world = World::new(&members, &json!({}), false).await;
    let (status, text) = world.ask("/v1/messages", &question(false)).await;
    assert!(status == 429 && text.contains("all members of pool") && text.contains("retry-after: "), "{text}");
    let asked = one.heads.lock().unwrap().len();
    assert!((3..12).contains(&asked), "asked {asked} times");
}

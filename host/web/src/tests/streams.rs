//! Streams: many at once, those that nobody reads, and how many a session has.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use aiw_app::feed::Feed;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use super::{Page, Served, send, written};
use crate::stream::{OpenStreams, StreamSubscription};

/// A stream of a page, and what was heard of it and not looked at yet.
struct Listening {
    stream: TcpStream,
    heard: String,
}

impl Listening {
    fn begin(page: &Page) -> Self {
        let headers = page.headers();
        let mut stream = TcpStream::connect(("127.0.0.1", page.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(&written("GET /api/v1/events?topics=processes", &headers, "")).unwrap();
        Self { stream, heard: String::new() }
    }

    fn open(page: &Page) -> Self {
        let mut stream = Self::begin(page);
        stream.until("event: open");
        stream
    }

    /// Reads until something is heard, and forgets what was heard before it.
    fn until(&mut self, wanted: &str) {
        let mut bytes = [0; 4096];
        loop {
            if let Some(at) = self.heard.find(wanted) {
                self.heard.drain(..at + wanted.len());
                return;
            }
            let count = self.stream.read(&mut bytes).unwrap();
            assert!(count > 0, "the stream ended: {}", self.heard);
            self.heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    }
}

impl Listening {
    /// Reads to the end, which is not that of the reader's patience.
    fn end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(!rest.contains(CHANGED), "{rest}");
    }
}

const CHANGED: &str = "\"topics\":[\"processes\"]";

fn add(page: &Page, id: &str) {
    let added = page.post("/processes", &serde_json::json!({"id": id, "command": ["sleep", "60"]}));
    assert_eq!(added.status, 200, "{}", added.body);
}

#[test]
fn a_stream_is_of_topics_that_there_are() {
    let served = Served::begin();
    let page = served.page();
    Listening::open(&page);
    assert_eq!(page.get("/events?topics=nonsense").status, 400);
}

#[test]
fn a_hundred_streams_of_several_sessions_hear_what_changes_whoever_does_not_read() {
    let served = Served::begin();
    let pages: Vec<Page> = (0..4).map(|_| served.page()).collect();
    let mut streams: Vec<Listening> =
        pages.iter().flat_map(|page| (0..25).map(move |_| Listening::open(page))).collect();
    assert_eq!(streams.len(), 100);
    let slow = served.page();
    let unread: Vec<Listening> = (0..20).map(|_| Listening::open(&slow)).collect();
    for turn in 0..5 {
        add(&pages[0], &format!("p{turn}"));
        streams.iter_mut().for_each(|stream| stream.until(CHANGED));
        assert_eq!(pages[3].get("/processes").status, 200);
    }
    // Whoever reads late hears of it, too.
    for mut stream in unread {
        stream.until(CHANGED);
    }
}

#[test]
fn a_stream_ends_with_its_session() {
    let served = Served::begin();
    let (page, other) = (served.page(), served.page());
    let (mut own, mut theirs) = (Listening::open(&page), Listening::open(&other));
    assert_eq!(page.delete("/session").status, 200);
    own.end();
    // One whose session ends in another way says nothing more, however much there is to say.
    let mut forgotten = Listening::open(&other);
    std::fs::remove_file(served.home.web().join("sessions.json")).unwrap();
    std::fs::create_dir_all(served.directory.path().join("project/.ichimi")).unwrap();
    std::fs::write(served.directory.path().join("project/.ichimi/processes.kdl"), "").unwrap();
    forgotten.end();
    theirs.end();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_keeps_one_event_however_much_changes() {
    const CHANGES: u64 = 2_000;
    let directory = tempfile::tempdir().unwrap();
    let home = aiw_home::Home::from_root(directory.path().join(".aiw"));
    let file = directory.path().join("processes.kdl");
    std::fs::write(&file, "").unwrap();
    let listens = StreamSubscription {
        topics: vec!["processes".into()],
        log_dirs: Vec::new(),
        definition_files: vec![file.clone()],
        cancellation: CancellationToken::new(),
        is_session_ended: Box::new(|| false),
    };
    let events = listens.events(&Feed::open(&home), &OpenStreams::default(), CancellationToken::new()).unwrap();
    let mut events = std::pin::pin!(events);
    assert!(events.next().await.unwrap().starts_with(b"event: open"));
    for n in 0..CHANGES {
        std::fs::write(&file, format!("// {n}\n")).unwrap();
    }
    let mut count = 0;
    // What the system tells late may come apart.
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_secs(1), events.next()).await {
        assert!(event.ends_with(b"data: {\"topics\":[\"processes\"]}\n\n"), "{event:?}");
        count += 1;
    }
    assert!((1..CHANGES / 10).contains(&count), "{count} events wait of {CHANGES} changes");
}

#[test]
fn a_session_has_so_many_streams_and_others_have_theirs() {
    let served = Served::begin();
    let (page, other) = (served.page(), served.page());
    let mut streams: Vec<Listening> = (0..32).map(|_| Listening::open(&page)).collect();
    let refused = page.get("/events?topics=processes");
    assert_eq!(refused.status, 429);
    assert_eq!(
        refused.json()["error"]["message"],
        "32 pages of this session listen already: close one, or open another session with `aiw web`"
    );
    // Neither what it has nor others are worse off.
    Listening::open(&other);
    add(&page, "api");
    streams.iter_mut().for_each(|stream| stream.until(CHANGED));
    // One that is closed makes room.
    streams.pop();
    let again = |_| {
        std::thread::sleep(Duration::from_millis(50));
        let mut stream = Listening::begin(&page);
        let mut bytes = [0; 12];
        stream.stream.read_exact(&mut bytes).unwrap();
        bytes.ends_with(b" 200")
    };
    assert!((0..400).any(again), "its place is not free");
}

#[test]
fn all_sessions_together_leave_room_for_requests() {
    let served = Served::begin();
    let pages: Vec<Page> = (0..9).map(|_| served.page()).collect();
    let _streams: Vec<Listening> =
        pages[..8].iter().flat_map(|page| (0..32).map(move |_| Listening::open(page))).collect();
    let refused = send(served.port, &written("GET /api/v1/events?topics=processes", &pages[8].headers(), ""));
    assert_eq!(refused.status, 429);
    assert_eq!(refused.json()["error"]["message"], "256 pages of this dashboard listen already: close one");
    assert_eq!(pages[8].get("/processes").status, 200);
}

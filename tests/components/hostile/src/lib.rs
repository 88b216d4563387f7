//! A misbehaving component. It claims `hostile:MODE`, and then answers every request to the marketplace as the mode
//! says. A mode that the host has to survive never answers. A mode that asks the host for something answers with a
//! document that says what it got.

mod said;

use std::hint::black_box;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aiw_extension::{
    EntryRef, Error, MarketSource, Registration, Request, Snapshot, SourceInfo, Tree, cache, clock, http, log,
    settings, trees,
};

const KIND: &str = "hostile";
const MIB: usize = 1 << 20;

struct Hostile;

impl MarketSource for Hostile {
    fn describe() -> SourceInfo {
        // A test replaces this form with one of the host's own that has the same length.
        SourceInfo::new("Misbehaves on request").reference("hostile:MODE", "hostile:loop").entry_form("mygits")
    }

    fn claim(reference: &str) -> Option<Registration> {
        if reference.contains("claimed-by-all") {
            return Some(Registration::new(KIND, "polite", None));
        }
        let mode = reference.strip_prefix("hostile:")?;
        match mode {
            "claim-loop" => spin(),
            "claim-panic" => panic!("at the claim"),
            "claim-sleep" => sleep(),
            _ => Some(Registration::new(KIND, mode, None)),
        }
    }

    fn fetch_marketplace(at: &Registration) -> Result<Snapshot, Error> {
        let (mode, argument) = at.location.split_once(':').unwrap_or((&at.location, ""));
        let document = match mode {
            "entries" => entries(),
            "polite" => br#"{"name": "polite", "owner": {"name": "nobody"}, "plugins": []}"#.to_vec(),
            "forms" => br#"{"name": "forms", "owner": {"name": "nobody"}, "plugins": [
                {"name": "claimed", "source": {"source": "github", "repo": "acme/ledger"}},
                {"name": "package", "source": {"source": "npm", "package": "x"}},
                {"name": "own", "source": {"source": "mygits", "n": 1}}]}"#
                .to_vec(),
            "loop" => spin(),
            "memory" => eat_memory(),
            "recursion" => vec![recurse(1) as u8],
            "panic" => panic!("the index is upside down"),
            "panic-escape" => panic!("red \u{1b}[31m alert\nsecond line"),
            "big-answer" => vec![b' '; 48 * MIB],
            "big-error" => return Err(Error::invalid(" and so on".repeat(MIB))),
            "escape-error" => return Err(Error::malformed("bad \u{1b}]0;title\u{7} text\nsecond line")),
            "log-flood" => log_flood(),
            "many-requests" => many_requests(),
            "many-trees" => many_trees(argument)?,
            "many-reads" => many_reads(argument)?,
            "slow-clock" => slow_clock(),
            "sleep" => sleep(),
            "wasi-clock" => {
                SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string().into()
            }
            "clock" => clock::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis().to_string().into(),
            "http" => said(http::get(argument).map(|answer| shown(answer.status, &answer.body))),
            "http-host" => said(
                http::send(&Request::new(argument).header("Host", "elsewhere.example"))
                    .map(|answer| shown(answer.status, &answer.body)),
            ),
            "tree" => said(open(argument).map(|tree| tree.revision())),
            "read" => said(read(argument)),
            "settings" => settings::get(argument).unwrap_or_else(|| "none".to_owned()).into(),
            "cache" => cached(argument),
            "cache-get" => cache::get(argument).unwrap_or_else(|| b"none".to_vec()),
            "cache-big" => cache_big(),
            "rubbish" => rubbish(),
            _ => return Err(Error::not_found(format!("no mode `{mode}`"))),
        };
        Ok(Snapshot { revision: aiw_extension::digest(&document), document })
    }

    /// Misbehaves like the document, or returns the tree of a mode `tree:ORIGIN`.
    fn download_plugin(at: &Registration, _entry: &EntryRef) -> Result<Tree, Error> {
        if at.location == "entries" {
            burn(Duration::from_millis(1500));
        }
        match at.location.strip_prefix("tree:") {
            Some(origin) => open(origin),
            None => Self::fetch_marketplace(at).and(Err(Error::not_found("no tree in this mode"))),
        }
    }
}

/// Formats the host's answer, or the kind and the message of its error.
fn said(answer: Result<String, Error>) -> Vec<u8> {
    answer.unwrap_or_else(said::said).into_bytes()
}

fn shown(status: u16, body: &[u8]) -> String {
    format!("{status} {}", String::from_utf8_lossy(body))
}

fn open(origin: &str) -> Result<Tree, Error> {
    match origin.starts_with('/') {
        true => trees::open_directory(origin),
        false => trees::open_git(origin, None),
    }
}

/// Reads a file, given as `DIRECTORY!PATH`.
fn read(argument: &str) -> Result<String, Error> {
    let (origin, path) = argument.split_once('!').unwrap_or((argument, ""));
    Ok(String::from_utf8_lossy(&open(origin)?.read(path, http::MAX_BODY)?).into_owned())
}

fn spin() -> ! {
    let mut turns: u64 = 0;
    loop {
        turns = black_box(turns).wrapping_add(1);
    }
}

/// Returns a document with twenty entries.
fn entries() -> Vec<u8> {
    let entry = |at| format!(r#"{{"name": "p{at}", "source": "./p{at}"}}"#);
    let entries: Vec<String> = (0..20).map(entry).collect();
    format!(r#"{{"name": "entries", "owner": {{"name": "nobody"}}, "plugins": [{}]}}"#, entries.join(",")).into_bytes()
}

/// Computes for a while.
fn burn(time: Duration) {
    let start = clock::now();
    while clock::now().duration_since(start).unwrap_or_default() < time {
        for turn in 0..100_000 {
            black_box(turn);
        }
    }
}

/// Sleeps through WASI, so no instruction of the guest runs meanwhile.
fn sleep() -> ! {
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn eat_memory() -> Vec<u8> {
    let mut eaten = Vec::new();
    loop {
        eaten.push(black_box(vec![1_u8; MIB]));
    }
}

#[expect(unconditional_recursion, reason = "to run out of stack")]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 16]);
    black_box(recurse(black_box(frame[3] + 1))) + frame[7]
}

fn log_flood() -> Vec<u8> {
    let line = "x".repeat(MIB);
    for _ in 0..1000 {
        log::info(&line);
    }
    b"flooded".to_vec()
}

fn many_requests() -> Vec<u8> {
    loop {
        black_box(http::get("https://declared.example/").is_ok());
    }
}

/// Leaks a handle on each iteration.
fn many_trees(directory: &str) -> Result<Vec<u8>, Error> {
    let tree = trees::open_directory(directory)?;
    loop {
        std::mem::forget(tree.subtree("")?);
    }
}

fn many_reads(directory: &str) -> Result<Vec<u8>, Error> {
    let tree = trees::open_directory(directory)?;
    loop {
        black_box(tree.list("")?);
    }
}

/// Asks the host forever without computing anything.
fn slow_clock() -> Vec<u8> {
    loop {
        black_box(clock::now());
    }
}

fn cached(key: &str) -> Vec<u8> {
    cache::put(key, b"kept", Duration::from_secs(60));
    cache::get(key).unwrap_or_else(|| b"none".to_vec())
}

fn cache_big() -> Vec<u8> {
    for part in 0..40 {
        cache::put(&format!("part-{part}"), &vec![b'x'; MIB], Duration::from_secs(60));
    }
    let kept = (0..40).filter(|part| cache::get(&format!("part-{part}")).is_some()).count();
    kept.to_string().into_bytes()
}

fn rubbish() -> Vec<u8> {
    let mut state: u32 = 0x2545_f491;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(4096).collect()
}

aiw_extension::export_market_source!(Hostile, manifest = "manifest.json");

//! How fast known values are masked in a stream, and how fast rules take secrets out of texts:
//! `cargo bench -p aiw-redact`.
//!
//! The texts are real ones: the sources of the crates that this machine has, npm's packages, transcripts and
//! descriptions of tools (`AIW_CORPORA`, else the folder beside the repository). What is absent is said. With `--show`,
//! the lines that something was taken out of are printed, to look through for what is no secret. `--only KIND` is for a
//! profiler, `--pairs` prints the table of letter pairs that tokens at random are told by, and `--megabytes NUMBER` says how much is read of each kind.

#![expect(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a bench prints its figures")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../tests/tables/mod.rs"]
mod tables;

use aho_corasick::AhoCorasick;
use aiw_redact::known::Mask;
use aiw_redact::rules::Redactor;

/// The beginning of what stands in the place of a secret.
const TAKEN: &str = "[redacted";

/// How much is read of each kind of text, if `--megabytes` says nothing else.
const MEGABYTES: usize = 40;

/// The longest text that is looked through at once.
const LONGEST: usize = 256 << 10;

/// How often all texts of a kind are looked through. The median counts.
const ROUNDS: usize = 5;

/// Words that half of the rules begin with, as any program would look for them first.
const WORDS: [&str; 12] = [
    "password",
    "passwd",
    "secret",
    "token",
    "api_key",
    "apikey",
    "authorization",
    "bearer",
    "private key",
    "sk-",
    "ghp_",
    "AKIA",
];

/// The marks of the text that takes the longest, without anything between them: a list in JSON.
const MARKS: &str = include_str!("marks.json");

/// Reads the texts of a kind, up to a size of all.
type Texts = fn(usize) -> Vec<String>;

fn main() {
    let is_shown = std::env::args().any(|argument| argument == "--show");
    let argument = |name: &str| std::env::args().skip_while(|argument| argument != name).nth(1);
    let only = argument("--only");
    let most = argument("--megabytes").and_then(|number| number.parse().ok()).unwrap_or(MEGABYTES) * 1_000_000;
    if std::env::args().any(|argument| argument == "--pairs") {
        return pairs(most);
    }
    let start = Instant::now();
    let redactor = Redactor::new(&[]).unwrap();
    let made = start.elapsed();
    let words = AhoCorasick::builder().ascii_case_insensitive(true).build(WORDS).unwrap();
    let kinds: [(&str, Texts); 4] = [
        ("crates", crates),
        ("npm's packages", packages),
        ("transcripts", transcripts),
        ("tools, lines with a password or a token", tools),
    ];
    for (kind, texts) in kinds {
        if only.as_ref().is_some_and(|only| !kind.starts_with(only.as_str())) {
            continue;
        }
        let texts = texts(most);
        let bytes: usize = texts.iter().map(String::len).sum();
        if bytes == 0 {
            eprintln!("without redaction of {kind}: there are none here");
            continue;
        }
        if is_shown {
            show(kind, &redactor, &texts);
            continue;
        }
        let mut taken = 0;
        let speed = |work: &mut dyn FnMut(&str) -> usize| {
            // Few texts are looked through several times.
            let times = (8_000_000 / bytes).max(1);
            let mut speeds: Vec<f64> = (0..ROUNDS)
                .map(|_| {
                    let start = Instant::now();
                    let found: usize = (0..times).flat_map(|_| &texts).map(|text| work(text)).sum();
                    std::hint::black_box(found);
                    (bytes * times) as f64 / 1e6 / start.elapsed().as_secs_f64()
                })
                .collect();
            speeds.sort_by(f64::total_cmp);
            speeds[ROUNDS / 2]
        };
        let ours = speed(&mut |text| redactor.redact(text).len());
        if only.is_some() {
            println!("{ours:.0}");
            continue;
        }
        let plain = speed(&mut |text| words.find_overlapping_iter(text).count());
        texts.iter().for_each(|text| taken += redactor.redact(text).matches(TAKEN).count());
        let size = bytes as f64 / 1e6;
        println!("redaction, {kind}, {size:.1} MB, {taken} taken out\t{ours:.0}\tMB/s");
        println!("{} words alone, {kind}\t{plain:.0}\tMB/s", WORDS.len());
    }
    if only.is_none() && !is_shown {
        held(&redactor);
        let (usual, suspicious) = masking();
        println!("mask 1 MiB of a stream\t{:.1}\tms", usual.as_secs_f64() * 1e3);
        println!("mask 1 MiB of suspicious lines\t{:.1}\tms", suspicious.as_secs_f64() * 1e3);
        println!("a redactor, made\t{:.1}\tms", made.as_secs_f64() * 1e3);
        let marks: Vec<String> = serde_json::from_str(MARKS).unwrap();
        let times = marks.iter().map(|mark| {
            let text = mark.repeat(LONGEST / mark.len());
            let start = Instant::now();
            std::hint::black_box(redactor.redact(&text).len());
            (start.elapsed().as_secs_f64() * 1e3, mark)
        });
        let (slowest, mark) = times.max_by(|one, other| one.0.total_cmp(&other.0)).unwrap();
        println!("256 KiB of {mark:?}, the slowest of such texts\t{slowest:.0}\tms");
    }
}

/// How much is held of tables that the rules were not made from.
fn held(redactor: &Redactor) {
    let mut dice = tables::Dice::fresh();
    let forms: Vec<tables::Case> = (0..2500).flat_map(|_| dice.places()).collect();
    let harmless: Vec<tables::Case> = (0..10_000).map(|_| dice.harmless()).collect();
    let examples = tables::examples();
    for (name, cases) in [
        ("forms drawn anew, in four places, held", forms),
        ("harmless texts that look so, kept", harmless),
        ("examples of Kingfisher's rules, held", examples),
    ] {
        let (share, _) = tables::share(&cases, |text| redactor.redact(text).into_owned());
        println!("{} {name}\t{share:.1}\t%", cases.len());
    }
}

/// Prints the table of pairs in `src/rules/pairs.in`, as the texts of the crates and packages here make it.
fn pairs(most: usize) {
    const SIGNS: usize = 63;
    let sign = |byte: u8| match byte {
        b'a'..=b'z' => usize::from(byte - b'a') + 1,
        b'A'..=b'Z' => usize::from(byte - b'A') + 27,
        b'0'..=b'9' => usize::from(byte - b'0') + 53,
        _ => 0,
    };
    let mut counts = vec![[0_u64; SIGNS]; SIGNS];
    let texts = crates(most).into_iter().chain(packages(most));
    for text in texts {
        for part in text.as_bytes().split(|byte| !byte.is_ascii_alphanumeric()) {
            let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
            let is_hex = part.len() >= 8 && part.iter().all(u8::is_ascii_hexdigit);
            // What may be drawn at random teaches nothing.
            if part.is_empty() || part.len() > 24 || digits > 3 || digits == part.len() || (is_hex && digits > 0) {
                continue;
            }
            let mut before = 0;
            for byte in part {
                let after = sign(*byte);
                counts[before][after] += 1;
                before = after;
            }
        }
    }
    println!("[");
    for row in counts {
        let all = row.iter().sum::<u64>() as f64;
        let share = |count: &u64| (*count as f64 + all * 2e-5 + 0.5) / (all + SIGNS as f64);
        let eighth = |count: &u64| (share(count).log2() * 8.0).round().max(-127.0);
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(at, count)| if at == 0 { "0".into() } else { eighth(count).to_string() })
            .collect();
        println!("    [{}],", cells.join(", "));
    }
    println!("]");
}

/// Returns how long it takes to mask a mebibyte of an AI CLI's stream, and of a stream in which every line is suspicious.
fn masking() -> (Duration, Duration) {
    const BYTES: usize = 1 << 20;
    let secrets =
        ["sk-ant-api03-nPq7Zt4cX2", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"].map(|key| key.as_bytes().to_vec());
    let measure = |texts: &[&str]| {
        let line = |text: &&str| {
            format!(
                "{{\"type\":\"message\",\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"role\":\"assistant\",\"content\":\"{text}\",\"delta\":true}}\n"
            )
        };
        let lines: String = texts.iter().map(line).collect();
        let stream = lines.repeat(BYTES / lines.len() + 1);
        let mut mask = Mask::new(&secrets);
        let start = Instant::now();
        for part in stream.as_bytes().chunks(64 << 10) {
            std::hint::black_box(mask.push(part));
        }
        start.elapsed()
    };
    let long = "fn first(text: &str) -> Option<&str> {\\n    text.split_whitespace().next()\\n}\\n".repeat(20);
    let usual = measure(&["I will look at", " the tests", " first, and say what breaks", " \\\"so\\\"", &long]);
    let suspicious = measure(&["keys", " sk-ant-", "begin with sk-", "\\u001b[1ms\\u001b[0m", "s", "sk-ant-api0"]);
    (usual, suspicious)
}

/// The lines that something is taken out of, before and afterwards.
fn show(kind: &str, redactor: &Redactor, texts: &[String]) {
    for text in texts {
        let out = redactor.redact(text);
        if matches!(out, std::borrow::Cow::Borrowed(_)) {
            continue;
        }
        // A secret of several lines makes fewer of them: what is around it is looked for behind.
        let mut before = text.lines();
        for line in out.lines().filter(|line| !line.is_empty()) {
            if !line.contains(TAKEN) {
                let _ = before.clone().take(100).position(|old| old == line).and_then(|at| before.nth(at));
                continue;
            }
            let old = before.next().unwrap_or_default();
            if old != line {
                let cut = |line: &str| line.chars().take(300).collect::<String>();
                println!("{kind}\t{}\t{}", cut(old.trim()), cut(line.trim()));
            }
        }
    }
}

/// The texts of files, the long ones in parts, up to a size of all.
fn texts(files: &[PathBuf], most: usize) -> Vec<String> {
    let (mut texts, mut bytes) = (Vec::new(), 0);
    for file in files {
        let Ok(text) = fs::read_to_string(file) else { continue };
        bytes += text.len();
        parts(&text, &mut texts);
        if bytes > most {
            break;
        }
    }
    texts
}

fn parts(mut text: &str, texts: &mut Vec<String>) {
    while !text.is_empty() {
        let (part, rest) = text.split_at(text.floor_char_boundary(LONGEST));
        texts.push(part.to_owned());
        text = rest;
    }
}

/// All files below a folder with one of these endings, in the order of their names.
fn files(folder: &Path, endings: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| endings.iter().any(|known| end == *known)) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// Sources of crates, without other scanners for secrets. Of a long list, each of so many is taken.
fn crates(most: usize) -> Vec<String> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo"))).unwrap_or_default();
    let all = files(&home.join("registry/src"), &["rs", "md", "toml"]);
    let is_other = |path: &PathBuf| !path.to_string_lossy().contains("secrets_scanner");
    texts(&spread(all.into_iter().filter(is_other).collect(), most), most)
}

fn packages(most: usize) -> Vec<String> {
    let folders = ["/usr/lib/node_modules", "/usr/local/lib/node_modules"].map(PathBuf::from);
    let named = std::env::var_os("AIW_BENCH_PACKAGES").map(PathBuf::from);
    let all =
        folders.into_iter().chain(named).flat_map(|folder| files(&folder, &["js", "cjs", "mjs", "ts", "json", "md"]));
    texts(&spread(all.collect(), most), most)
}

/// Of more files than are read, each of so many.
fn spread(files: Vec<PathBuf>, most: usize) -> Vec<PathBuf> {
    let size: u64 = files.iter().filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum();
    let step = (size as usize / most).max(1);
    files.into_iter().step_by(step).collect()
}

/// The folder with texts of other programs.
fn corpora() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora");
    std::env::var_os("AIW_CORPORA").map_or(beside, PathBuf::from)
}

fn transcripts(most: usize) -> Vec<String> {
    texts(&files(&corpora().join("claude"), &["jsonl", "json", "txt"]), most)
}

/// Descriptions and requests, of which each line has one of the words: the most that there is to look at.
fn tools(most: usize) -> Vec<String> {
    let all = texts(&files(&corpora().join("tools"), &["jsonl"]), most);
    let dense = all.iter().flat_map(|text| text.lines()).filter(|line| {
        let line = line.to_ascii_lowercase();
        line.contains("password") || line.contains("token")
    });
    let mut texts = Vec::new();
    parts(&dense.collect::<Vec<_>>().join("\n"), &mut texts);
    texts
}

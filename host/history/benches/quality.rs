//! How often the right message is found: `cargo xtask bench history`.
//!
//! Three ways on the same sessions and questions: SQLite's FTS5 with its own tokenizer and bm25, aiw without a model, and
//! aiw with one.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a bench prints, and may fail")]

mod sessions;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use aiw_history::{Cli, Progress, Query, Store};
use aiw_vectors::{Embedder, ModelFiles};
use rusqlite::Connection;
use sessions::{Kind, Question, Random, Set, set};

fn main() {
    let argument = |name: &str| {
        let mut all = std::env::args().skip_while(|argument| argument != name).skip(1);
        all.next().and_then(|value| value.parse::<usize>().ok())
    };
    // `cargo bench` calls every bench; this one takes minutes.
    if !std::env::args().any(|argument| argument == "--run") {
        return;
    }
    let seed = argument("--seed").unwrap_or(12) as u64;
    let set = set(seed, argument("--sessions").unwrap_or(420), argument("--questions").unwrap_or(750));
    let messages: usize = set.sessions.iter().map(Vec::len).sum();
    println!("{} sessions, {messages} messages, {} questions", set.sessions.len(), set.questions.len());
    println!("{:<24} {:>22} {:>22}", "", "hit@5 (95 %)", "MRR (95 %)");
    let plain = Plain::new(&set);
    let base = report("FTS5 bm25", &set, |question| plain.search(&question.text));
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    fill(&store, &set);
    let ours = |embedder: Option<&Embedder>, question: &Question| -> Vec<String> {
        let query = Query { text: &question.text, limit: 10, ..Query::default() };
        store.search(&query, embedder).unwrap().into_iter().map(|hit| hit.uuid).collect()
    };
    let words = report("aiw without a model", &set, |question| ours(None, question));
    difference("  over FTS5", &base, &words);
    match std::env::var_os("AIW_TEST_MODEL").map(PathBuf::from) {
        Some(dir) => {
            let files = ModelFiles::new(dir.join("all-MiniLM-L6-v2"), dir.join("libonnxruntime.so"));
            let embedder = Embedder::load(&files).unwrap();
            while store.embed(&embedder, 1024).unwrap() > 0 {}
            let model = report("aiw with MiniLM", &set, |question| ours(Some(&embedder), question));
            difference("  over FTS5", &base, &model);
        }
        None => eprintln!("without a model: AIW_TEST_MODEL names no directory with one"),
    }
}

fn fill(store: &Store, set: &Set) {
    for (number, messages) in set.sessions.iter().enumerate() {
        let progress = Progress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 1, head: [0; 32] };
        store.append(Cli::Claude, Path::new(&format!("/t/{number}.jsonl")), messages, &progress).unwrap();
    }
}

/// What SQLite does on its own.
struct Plain {
    connection: Connection,
}

impl Plain {
    fn new(set: &Set) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE VIRTUAL TABLE plain USING fts5 (uuid UNINDEXED, text)").unwrap();
        for message in set.sessions.iter().flatten() {
            connection.execute("INSERT INTO plain VALUES (?, ?)", [&message.uuid, &message.text]).unwrap();
        }
        Self { connection }
    }

    fn search(&self, text: &str) -> Vec<String> {
        let words: Vec<String> = text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(|word| format!("\"{word}\""))
            .collect();
        let mut find = self
            .connection
            .prepare_cached("SELECT uuid FROM plain WHERE plain MATCH ? ORDER BY rank LIMIT 10")
            .unwrap();
        find.query_map([words.join(" OR ")], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

/// For each question whether it was answered by one of the first five, and the reciprocal rank.
type Answers = Vec<(f64, f64)>;

fn report(name: &str, set: &Set, search: impl Fn(&Question) -> Vec<String>) -> Answers {
    let mut kinds: HashMap<Kind, Vec<f64>> = HashMap::new();
    let mut answers = Answers::new();
    for question in &set.questions {
        let found = search(question);
        let rank = found.iter().position(|uuid| question.answers.contains(uuid));
        let hit = f64::from(u8::from(rank.is_some_and(|rank| rank < 5)));
        answers.push((hit, rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0))));
        kinds.entry(question.kind).or_default().push(hit);
    }
    let (hits, ranks): (Vec<f64>, Vec<f64>) = answers.iter().copied().unzip();
    println!("{name:<24} {:>22} {:>22}", interval(&hits, 100.0), interval(&ranks, 100.0));
    for kind in Kind::ALL {
        let all = kinds.remove(&kind).unwrap_or_default();
        println!("  {:<22} {:>22}", kind.name(), format!("{:.1}", mean(&all) * 100.0));
    }
    answers
}

fn difference(name: &str, base: &Answers, other: &Answers) {
    let hits: Vec<f64> = base.iter().zip(other).map(|(a, b)| b.0 - a.0).collect();
    let ranks: Vec<f64> = base.iter().zip(other).map(|(a, b)| b.1 - a.1).collect();
    println!("{name:<24} {:>22} {:>22}", interval(&hits, 100.0), interval(&ranks, 100.0));
}

fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

/// The mean, and between what it is in 95 % of samples drawn anew from the questions.
fn interval(all: &[f64], scale: f64) -> String {
    let mut random = Random(7);
    let draw = |random: &mut Random| -> f64 {
        (0..all.len()).map(|_| all[random.below(all.len())]).sum::<f64>() / all.len().max(1) as f64
    };
    let mut means: Vec<f64> = (0..1000).map(|_| draw(&mut random)).collect();
    means.sort_by(f64::total_cmp);
    format!("{:.1} [{:.1}, {:.1}]", mean(all) * scale, means[25] * scale, means[974] * scale)
}

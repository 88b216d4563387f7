//! How often the right message is found: `cargo xtask bench history`.
//!
//! Four ways on the same sessions and questions: SQLite's FTS5 and bm25 with its tokenizer `unicode61`, the same with
//! `porter`, aiw without a model, and aiw with one. The sets are those that the search was made with (`sessions`), and
//! others that it was not (`held_out`), each from several seeds.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a bench prints, and may fail")]

mod held_out;
mod sessions;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aiw_history::{Cli, HistoryQuery, ReadProgress, SessionMessage, Store};
use aiw_vectors::{Embedder, ModelFiles};
use held_out::{Asked, Held, Shape, held};
use rusqlite::Connection;
use sessions::{Random, set};

/// The most questions about each set of each seed.
const QUESTIONS: usize = 150;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1).cloned();
    // `cargo bench` calls every bench; this one takes minutes.
    if !arguments.iter().any(|argument| argument == "--run") {
        return;
    }
    let number = |name: &str, usual: usize| argument(name).and_then(|value| value.parse().ok()).unwrap_or(usual);
    let first = number("--seed", 1) as u64;
    let seeds = first..first + number("--seeds", 3) as u64;
    let only = argument("--set").unwrap_or_default();
    let embedder = std::env::var_os("AIW_TEST_MODEL").map(PathBuf::from).map(|dir| {
        let files = ModelFiles::new(dir.join("all-MiniLM-L6-v2"), dir.join("libonnxruntime.so"));
        Embedder::load(&files).unwrap()
    });
    if embedder.is_none() {
        eprintln!("without a model: AIW_TEST_MODEL names no directory with one");
    }
    let ways = if embedder.is_some() { &WAYS[..] } else { &WAYS[..3] };
    let verbose = arguments.iter().any(|argument| argument == "--misses");
    let mut others = Answers::default();
    for shape in Shape::ALL.into_iter().filter(|shape| shape.name().contains(&only)) {
        let mut answers = Answers::default();
        let mut messages = 0;
        for seed in seeds.clone() {
            let held = held(shape, seed, QUESTIONS);
            messages += held.sessions.iter().map(Vec::len).sum::<usize>();
            if arguments.iter().any(|argument| argument == "--show") {
                show(&held);
                continue;
            }
            answers.extend(ask(&held.sessions, &held.questions, embedder.as_ref(), verbose));
        }
        answers.print(&format!("{}: {messages} messages from {} seeds", shape.name(), seeds.clone().count()), ways);
        others.extend(answers);
    }
    others.print("all of these", ways);
    if "the first set".contains(&only) {
        let set = set(12, number("--sessions", 420), number("--questions", 750));
        let questions: Vec<Asked> = set
            .questions
            .into_iter()
            .map(|q| Asked { kind: q.kind.name().into(), text: q.text, answers: q.answers, project: None })
            .collect();
        let answers = ask(&set.sessions, &questions, embedder.as_ref(), verbose);
        let messages: usize = set.sessions.iter().map(Vec::len).sum();
        answers.print(&format!("the first set, which the search was made with: {messages} messages"), ways);
    }
}

const WAYS: [&str; 4] = ["FTS5 unicode61", "FTS5 porter", "aiw without a model", "aiw with MiniLM"];

/// The figures of one way: whether one of the first five messages was right, whether one of them was of a right
/// session, and the reciprocal rank of the first right message.
type Figures = (f64, f64, f64);

/// For each question its kind, and what each way answered.
#[derive(Default)]
struct Answers(Vec<(String, Vec<Figures>)>);

/// Prints a set, to read it.
fn show(held: &Held) {
    for (number, messages) in held.sessions.iter().enumerate() {
        println!("== session {number} in {}", messages[0].project);
        messages.iter().for_each(|m| println!("{} {:?}: {}", &m.uuid[..4], m.role, m.text.replace('\n', "\n    ")));
    }
    for Asked { kind, text, answers, .. } in &held.questions {
        println!("? {kind} {:?}: {text}", answers.iter().map(|uuid| &uuid[..4]).collect::<Vec<_>>());
    }
}

fn ask(sessions: &[Vec<SessionMessage>], questions: &[Asked], embedder: Option<&Embedder>, verbose: bool) -> Answers {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    for (number, messages) in sessions.iter().enumerate() {
        let progress =
            ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 1, prefix_digest: [0; 32] };
        store.append(Cli::Claude, Path::new(&format!("/t/{number}.jsonl")), messages, &progress).unwrap();
    }
    if let Some(embedder) = embedder {
        while store.embed(embedder, 1024).unwrap() > 0 {}
    }
    let plain = Plain::new(sessions, "unicode61");
    let porter = Plain::new(sessions, "porter unicode61");
    let ours = |embedder: Option<&Embedder>, question: &Asked| -> Vec<String> {
        let project = question.project.as_deref().map(Path::new);
        let query = HistoryQuery { text: &question.text, limit: 10, project, ..HistoryQuery::default() };
        store.search(&query, embedder).unwrap().into_iter().map(|hit| hit.uuid).collect()
    };
    let texts: BTreeMap<&str, &str> =
        sessions.iter().flatten().map(|message| (message.uuid.as_str(), message.text.as_str())).collect();
    let session_of: BTreeMap<&str, &str> =
        sessions.iter().flatten().map(|message| (message.uuid.as_str(), message.session.as_str())).collect();
    let mut answers = Answers::default();
    for question in questions {
        let right: Vec<&str> = question.answers.iter().map(|uuid| session_of[uuid.as_str()]).collect();
        let mut ways = vec![plain.search(question), porter.search(question), ours(None, question)];
        ways.extend(embedder.map(|embedder| ours(Some(embedder), question)));
        let ranked = |found: &Vec<String>| {
            let rank = found.iter().position(|uuid| question.answers.contains(uuid));
            let hit = f64::from(u8::from(rank.is_some_and(|rank| rank < 5)));
            let session = found.iter().take(5).any(|uuid| right.contains(&session_of[uuid.as_str()]));
            (hit, f64::from(u8::from(session)), rank.map_or(0.0, |rank| 1.0 / (rank as f64 + 1.0)))
        };
        let all: Vec<Figures> = ways.iter().map(ranked).collect();
        if verbose && all[2..].iter().any(|(hit, ..)| *hit < all[0].0.max(all[1].0)) {
            let short = |uuid: &String| texts[uuid.as_str()].replace('\n', " ").chars().take(100).collect::<String>();
            eprintln!("[{}] {} {:?}", question.kind, question.text, all.iter().map(|a| a.0).collect::<Vec<_>>());
            question.answers.iter().for_each(|uuid| eprintln!("    right: {}", short(uuid)));
            ways[2].iter().take(5).for_each(|uuid| eprintln!("    found: {}", short(uuid)));
        }
        answers.0.push((question.kind.clone(), all));
    }
    answers
}

impl Answers {
    fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    fn print(&self, title: &str, ways: &[&str]) {
        println!("{title}, {} questions", self.0.len());
        println!("  {:<24} {:>22} {:>22} {:>22}", "", "hit@5 (95 %)", "session hit@5", "MRR (95 %)");
        let each = |way: usize, figure: fn(&Figures) -> f64| -> Vec<f64> {
            self.0.iter().map(|(_, all)| figure(&all[way])).collect()
        };
        for (way, name) in ways.iter().enumerate() {
            let [hits, of_session, ranks] = [each(way, |a| a.0), each(way, |a| a.1), each(way, |a| a.2)];
            println!("  {name:<24} {:>22} {:>22} {:>22}", interval(&hits), interval(&of_session), interval(&ranks));
            // The questions are the same, so what one way gains over another is drawn question by question.
            for base in (0..way).filter(|base| way >= 2 && *base < 3) {
                let gained = |figure: fn(&Figures) -> f64| -> Vec<f64> {
                    each(way, figure).iter().zip(each(base, figure)).map(|(ours, theirs)| ours - theirs).collect()
                };
                let name = format!("  over {}", ways[base]);
                let [hits, of_session, ranks] = [gained(|a| a.0), gained(|a| a.1), gained(|a| a.2)];
                println!("  {name:<24} {:>22} {:>22} {:>22}", interval(&hits), interval(&of_session), interval(&ranks));
            }
        }
        let mut kinds: BTreeMap<&str, Vec<&Vec<Figures>>> = BTreeMap::new();
        for (kind, all) in &self.0 {
            kinds.entry(kind).or_default().push(all);
        }
        println!("  hit@5 by kind, {}", ways.join(", "));
        for (kind, all) in kinds {
            let figures: Vec<String> = (0..ways.len())
                .map(|way| {
                    let hits: Vec<f64> = all.iter().map(|all| all[way].0).collect();
                    format!("{:>7.1}", mean(&hits) * 100.0)
                })
                .collect();
            println!("    {kind:<20} {:>4} {}", all.len(), figures.join(" "));
        }
        println!();
    }
}

/// SQLite's FTS5 alone: any of the words, the best by bm25 first.
struct Plain {
    connection: Connection,
}

impl Plain {
    fn new(sessions: &[Vec<SessionMessage>], tokenizer: &str) -> Self {
        let connection = Connection::open_in_memory().unwrap();
        let table = "CREATE VIRTUAL TABLE plain USING fts5 (uuid UNINDEXED, project UNINDEXED, text, tokenize = '";
        connection.execute_batch(&format!("{table}{tokenizer}')")).unwrap();
        for SessionMessage { uuid, project, text, .. } in sessions.iter().flatten() {
            connection.execute("INSERT INTO plain VALUES (?, ?, ?)", [uuid, project, text]).unwrap();
        }
        Self { connection }
    }

    fn search(&self, question: &Asked) -> Vec<String> {
        let words: Vec<String> = question
            .text
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(|word| format!("\"{word}\""))
            .collect();
        let find =
            "SELECT uuid FROM plain WHERE plain MATCH ?1 AND (?2 IS NULL OR project = ?2) ORDER BY rank LIMIT 10";
        let mut find = self.connection.prepare_cached(find).unwrap();
        find.query_map((words.join(" OR "), &question.project), |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }
}

fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

/// The mean in percent, and between what it is in 95 % of samples drawn anew from the questions.
fn interval(all: &[f64]) -> String {
    let mut random = Random(7);
    let draw = |random: &mut Random| -> f64 {
        (0..all.len()).map(|_| all[random.below(all.len())]).sum::<f64>() / all.len().max(1) as f64
    };
    let mut means: Vec<f64> = (0..1000).map(|_| draw(&mut random)).collect();
    means.sort_by(f64::total_cmp);
    format!("{:.1} [{:.1}, {:.1}]", mean(all) * 100.0, means[25] * 100.0, means[974] * 100.0)
}

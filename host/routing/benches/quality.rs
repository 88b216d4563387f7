//! How often the right tools are found, on a set of tools and queries: `cargo xtask bench routing --set DIR`.
//!
//! `tools.jsonl` has `{"server","server_description","name","description","input_schema","id"}` a line, `queries.jsonl`
//! has `{"text","relevant":[id…]}`. With `--requests FILE`, the requests are those of a file with
//! `{"text","wanted":[[id…]…]}` a line: `requests.jsonl` beside this has some for the tools of real servers.

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a bench prints, and may fail")]

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_routing::{CurrentMeaning, Definition, Finder, Record};
use aiw_vectors::ModelFiles;
use serde_json::{Value, json};

fn main() {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--set").skip(1);
    // `cargo bench` calls every bench; this one needs a set.
    let Some(dir) = arguments.next() else { return };
    // Requests in place of the set's own.
    let requests = std::env::args().skip_while(|argument| argument != "--requests").nth(1).map(PathBuf::from);
    let set = Set::read(&PathBuf::from(dir), requests.as_deref());
    let home = tempfile::tempdir().unwrap();
    let home = aiw_home::Home::at(home.path());
    let mut modes = serde_json::Map::new();
    modes.insert("lexical".into(), set.measure(&Finder::new(&home, Arc::new(CurrentMeaning::none(&home)))));
    match std::env::var_os("AIW_TEST_MODEL").map(PathBuf::from) {
        Some(dir) => {
            let files = ModelFiles::new(dir.join("all-MiniLM-L6-v2"), dir.join("libonnxruntime.so"));
            let chosen = CurrentMeaning::new(&home, Box::new(move || Some(files.clone())));
            modes.insert("model".into(), set.measure(&Finder::new(&home, Arc::new(chosen))));
        }
        None => eprintln!("without a model: AIW_TEST_MODEL names no directory with one"),
    }
    println!("{}", json!({"set": set.name, "tools": set.ids.len(), "queries": set.queries.len(), "modes": modes}));
}

struct Set {
    name: String,
    servers: Vec<(String, Arc<Record>)>,
    /// By server and tool.
    ids: HashMap<(String, String), String>,
    /// The requests, and for each thing in them the tools that will do.
    queries: Vec<(String, Vec<Vec<String>>)>,
}

impl Set {
    fn read(dir: &Path, requests: Option<&Path>) -> Self {
        let lines = |file: &str| -> Vec<Value> {
            let text = std::fs::read_to_string(dir.join(file)).unwrap();
            text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut servers: Vec<(String, Record)> = Vec::new();
        let mut ids = HashMap::new();
        for tool in lines("tools.jsonl") {
            let key = text(&tool["server"]);
            let place = servers.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
                let mut record = Record::default();
                record.server = json!({"name": key, "description": tool["server_description"]});
                servers.push((key.clone(), record));
                servers.len() - 1
            });
            ids.insert((key, text(&tool["name"])), text(&tool["id"]));
            let (name, description) = (&tool["name"], &tool["description"]);
            let definition = json!({"name": name, "description": description, "inputSchema": tool["input_schema"]});
            let (definition, record) = (Definition::new(&definition), &mut servers[place].1);
            record.pins.insert(text(name), definition.clone());
            record.tools.push(definition);
        }
        // One of ours says for each thing that it asks for which tools will do.
        let own = |query: &Value| -> Vec<Vec<String>> {
            let wanted = query["wanted"].as_array().into_iter().flatten();
            wanted.map(|tools| tools.as_array().unwrap().iter().map(text).collect()).collect()
        };
        let queries = match requests {
            Some(file) => std::fs::read_to_string(file)
                .unwrap()
                .lines()
                .map(|line| {
                    let query: Value = serde_json::from_str(line).unwrap();
                    (text(&query["text"]), own(&query))
                })
                .collect(),
            None => lines("queries.jsonl")
                .into_iter()
                .map(|query| {
                    let relevant = query["relevant"].as_array().unwrap();
                    (text(&query["text"]), relevant.iter().map(|tool| vec![text(tool)]).collect())
                })
                .collect::<Vec<_>>(),
        };
        Self {
            name: dir.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            servers: servers.into_iter().map(|(key, record)| (key, Arc::new(record))).collect(),
            ids,
            queries,
        }
    }

    /// Per cent, and microseconds a query.
    fn measure(&self, finder: &Finder) -> Value {
        let everything = |_: &str, _: &Definition| true;
        finder.prepare(&self.servers, &everything, Duration::MAX);
        assert_eq!(finder.problem(), None);
        let mut sums = [0.0_f64; 4];
        let begun = Instant::now();
        let mut answers = Vec::new();
        for (text, _) in &self.queries {
            answers.push(finder.find(&self.servers, &everything, text, 5));
        }
        let micros = begun.elapsed().as_secs_f64() * 1e6 / self.queries.len() as f64;
        for ((text, relevant), found) in self.queries.iter().zip(answers) {
            let key = |found: &aiw_routing::Match| self.ids[&(found.server.clone(), found.tool.clone())].clone();
            // The first tool that will do for a thing counts.
            let hits_of = |found: &aiw_routing::FoundTools| -> Vec<bool> {
                let mut open: Vec<&Vec<String>> = relevant.iter().collect();
                let mut is_hit = |key: String| {
                    let place = open.iter().position(|tools| tools.contains(&key));
                    place.map(|place| open.remove(place)).is_some()
                };
                found.matches.iter().map(|found| is_hit(key(found))).collect()
            };
            // Who asks for five gets another choice than the first five of ten.
            let (hits, of_ten) = (hits_of(&found), hits_of(&finder.find(&self.servers, &everything, text, 10)));
            let recall = |most: usize| {
                let hits = if most > 5 { &of_ten } else { &hits };
                hits.iter().take(most).filter(|hit| **hit).count() as f64 / relevant.len() as f64
            };
            let gain = |place: usize| 1.0 / (place as f64 + 2.0).log2();
            let reached: f64 = hits.iter().enumerate().take(5).filter(|(_, hit)| **hit).map(|(n, _)| gain(n)).sum();
            let ideal: f64 = (0..relevant.len().min(5)).map(gain).sum();
            for (sum, value) in sums.iter_mut().zip([recall(1), recall(5), recall(10), reached / ideal]) {
                *sum += value;
            }
        }
        let [one, five, ten, ndcg] = sums.map(|sum| (sum * 1000.0 / self.queries.len() as f64).round() / 10.0);
        json!({"recall@1": one, "recall@5": five, "recall@10": ten, "ndcg@5": ndcg, "us_per_query": micros.round()})
    }
}

//! How often the right tools are found: `cargo xtask bench routing`.
//!
//! The sets are made here (`apis`), or directories: `tools.jsonl` has
//! `{"server","server_description","name","description","input_schema","id"}` a line, `queries.jsonl` has
//! `{"text","relevant":[id…]}`. With `--requests FILE`, the requests are those of a file with
//! `{"text","wanted":[[id…]…]}` a line: `requests.jsonl` beside this has some for the tools of real servers.
//!
//! ```text
//! quality --set DIR [--requests FILE]      the tools of a directory
//! quality --apis SEED [--loose]            the tools that are made here, with the plain requests or the loose ones
//!         [--beside DIR]                   every fourth tool of a directory stands beside them
//!         [--nameless]                     the servers have no name that says anything, and no description
//! quality --figures                        the figures of the sets that are made here
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, reason = "a bench prints, and may fail")]

mod apis;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_routing::{CurrentEmbeddings, Finder, ServerRecord, ToolDefinition};
use aiw_vectors::ModelFiles;
use apis::Way;
use serde_json::{Value, json};

/// An odd and an even seed of the sets that are made here.
const SEEDS: [u64; 2] = [1, 2];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let is_said = |name: &str| arguments.iter().any(|argument| argument == name);
    let said = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1);
    if is_said("--figures") {
        return figures();
    }
    let mut set = if let Some(dir) = said("--set") {
        Set::read(Path::new(dir), said("--requests").map(Path::new), is_said("--nameless"))
    } else if let Some(seed) = said("--apis") {
        let way = if is_said("--loose") { Way::Loose } else { Way::Plain };
        Set::made(seed.parse().unwrap(), way, is_said("--nameless"))
    } else {
        // `cargo bench` calls every bench; this one needs a set.
        return;
    };
    if let Some(dir) = said("--beside") {
        let beside = tools(Path::new(dir)).into_iter().step_by(4);
        beside.for_each(|tool| set.add(tool, false));
    }
    println!(
        "{}",
        json!({"set": set.name, "tools": set.ids.len(), "queries": set.queries.len(), "modes": set.modes()})
    );
}

/// Prints rows of `what, measured, unit` for `cargo xtask bench`.
fn figures() {
    for seed in SEEDS {
        let modes = Set::made(seed, Way::Plain, false).modes();
        for (mode, how) in [("lexical", "by words"), ("model", "with a model")] {
            if let Some(measured) = modes.get(mode) {
                println!("tools of APIs {seed} among five, {how}\t{}\t%", measured["recall@5"]);
            }
        }
    }
}

/// The lines of a file, each a JSON value.
fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A tool of a set.
struct Tool {
    server: String,
    about: Value,
    definition: Value,
    id: String,
}

/// The tools of a directory.
fn tools(dir: &Path) -> Vec<Tool> {
    let tool = |tool: Value| Tool {
        server: text(&tool["server"]),
        about: tool["server_description"].clone(),
        definition: json!({
            "name": tool["name"], "description": tool["description"], "inputSchema": tool["input_schema"],
        }),
        id: text(&tool["id"]),
    };
    lines(&dir.join("tools.jsonl")).into_iter().map(tool).collect()
}

#[derive(Default)]
struct Set {
    name: String,
    servers: Vec<(String, Arc<ServerRecord>)>,
    /// By server and tool.
    ids: HashMap<(String, String), String>,
    /// The requests, and for each thing in them the tools that will do.
    queries: Vec<(String, Vec<Vec<String>>)>,
}

impl Set {
    fn read(dir: &Path, requests: Option<&Path>, is_nameless: bool) -> Self {
        let texts = |value: &Value| value.as_array().unwrap().iter().map(text).collect::<Vec<_>>();
        let queries = match requests {
            // One of ours says for each thing that it asks for which tools will do.
            Some(file) => lines(file)
                .iter()
                .map(|query| (text(&query["text"]), query["wanted"].as_array().unwrap().iter().map(texts).collect()))
                .collect(),
            None => lines(&dir.join("queries.jsonl"))
                .iter()
                .map(|query| (text(&query["text"]), texts(&query["relevant"]).into_iter().map(|id| vec![id]).collect()))
                .collect(),
        };
        let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut set = Self { name, queries, ..Self::default() };
        tools(dir).into_iter().for_each(|tool| set.add(tool, is_nameless));
        set
    }

    /// The set that is made here for a seed, with the requests of one way.
    fn made(seed: u64, way: Way, is_nameless: bool) -> Self {
        let mut set = Self { name: format!("apis {seed}"), ..Self::default() };
        for apis::Tool { server, about, definition, asked } in apis::tools(seed) {
            let id = format!("{server}/{}", text(&definition["name"]));
            let asked = asked.into_iter().filter(|asked| asked.way == way);
            set.queries.extend(asked.map(|asked| (asked.text, vec![vec![id.clone()]])));
            set.add(Tool { server, about: about.into(), definition, id }, is_nameless);
        }
        set
    }

    fn add(&mut self, tool: Tool, is_nameless: bool) {
        let Tool { server, about, definition, id } = tool;
        let (key, about) = if is_nameless {
            let sum = server.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
            (format!("s{sum:x}"), Value::Null)
        } else {
            (server, about)
        };
        let place = self.servers.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            let mut record = ServerRecord::default();
            record.server = json!({"name": key, "description": about});
            self.servers.push((key.clone(), Arc::new(record)));
            self.servers.len() - 1
        });
        let name = text(&definition["name"]);
        self.ids.insert((key, name.clone()), id);
        let definition = ToolDefinition::new(&definition);
        let record = Arc::get_mut(&mut self.servers[place].1).unwrap();
        record.pins.insert(name, definition.clone());
        record.tools.push(definition);
    }

    /// What is measured by words, and with the model if there is one.
    fn modes(&self) -> serde_json::Map<String, Value> {
        let home = tempfile::tempdir().unwrap();
        let home = aiw_home::Home::from_root(home.path());
        let mut modes = serde_json::Map::new();
        modes.insert("lexical".into(), self.measure(&Finder::new(&home, Arc::new(CurrentEmbeddings::none(&home)))));
        match std::env::var_os("AIW_TEST_MODEL").map(PathBuf::from) {
            Some(dir) => {
                let files = ModelFiles::new(dir.join("all-MiniLM-L6-v2"), dir.join("libonnxruntime.so"));
                let chosen = CurrentEmbeddings::new(&home, Box::new(move || Some(files.clone())));
                modes.insert("model".into(), self.measure(&Finder::new(&home, Arc::new(chosen))));
            }
            None => eprintln!("without a model: AIW_TEST_MODEL names no directory with one"),
        }
        modes
    }

    /// Per cent, and microseconds a query.
    fn measure(&self, finder: &Finder) -> Value {
        let everything = |_: &str, _: &ToolDefinition| true;
        finder.prepare(&self.servers, &everything, Duration::MAX);
        assert_eq!(finder.load_error(), None);
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
            let hits_of = |found: &aiw_routing::ToolMatches| -> Vec<bool> {
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

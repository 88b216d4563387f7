//! What is known about a server without starting it: its tools as they were at first sight, and as it defines them now.
//!
//! A tool that no longer is what it was at first sight is withheld until the user accepts the change.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use aiw_home::{Home, HomeError, Mode, make_private_dir, read_capped, replace};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::definition::{self, Definition, Difference, name};
use crate::log;

/// The largest record; a server with more is cut.
const MAX_BYTES: usize = 8 << 20;

/// The most bytes of the tools that were ever seen. With those that it offers now, the record stays readable.
const MAX_PINNED: usize = MAX_BYTES;

/// The most tools, prompts or resources of one server.
pub(crate) const MAX_ITEMS: usize = 1000;

/// What is known about a server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// What it said about itself: `serverInfo`.
    pub server: Value,
    /// What it tells a model.
    pub instructions: Option<String>,
    /// Its capabilities, in the protocol's form.
    pub capabilities: Value,
    /// The version of the protocol that was agreed on.
    pub protocol: String,
    /// Its tools as it defines them now.
    pub tools: Vec<Definition>,
    /// Each tool as it was at first sight, or as the user has accepted it since.
    pub pins: BTreeMap<String, Definition>,
    /// What it left out of its lists: one sentence each.
    pub left_out: Vec<String>,
    /// Whether its prompts and resources were read too.
    pub is_whole: bool,
    /// Its prompts.
    pub prompts: Vec<Value>,
    /// Its resources.
    pub resources: Vec<Value>,
    /// Its resource templates.
    pub templates: Vec<Value>,
    /// How long its start took, in milliseconds.
    pub started_ms: u64,
    /// A digest of the declaration that it was started from.
    pub declaration: String,
    /// The names of the tools that are what they were, once they are needed.
    #[serde(skip)]
    unchanged: Unchanged,
}

/// What follows from the rest of a record, so it makes no difference.
#[derive(Debug, Clone, Default)]
struct Unchanged(OnceLock<HashSet<String>>);

impl PartialEq for Unchanged {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Record {
    /// The tools that are what they were at first sight.
    pub fn accepted(&self) -> impl Iterator<Item = &Definition> {
        self.tools.iter().filter(|tool| self.is_accepted(tool))
    }

    /// The tools that have changed.
    pub fn withheld(&self) -> impl Iterator<Item = &Definition> {
        self.tools.iter().filter(|tool| !self.is_accepted(tool))
    }

    /// A tool by name.
    pub fn tool(&self, name: &str) -> Option<&Definition> {
        self.tools.iter().find(|tool| tool.name() == name)
    }

    /// Whether a tool is what it was at first sight.
    pub fn is_accepted(&self, tool: &Definition) -> bool {
        let is_pinned = |tool: &&Definition| self.pins.get(tool.name()).is_some_and(|pin| pin.is_like(tool));
        let unchanged = || self.tools.iter().filter(is_pinned).map(|tool| tool.name().to_owned()).collect();
        self.unchanged.0.get_or_init(unchanged).contains(tool.name())
    }

    /// Takes over what the server offers now. What was never seen is pinned.
    pub(crate) fn offer(&mut self, tools: Vec<Value>) {
        self.left_out.clear();
        self.unchanged = Unchanged::default();
        let (mut size, mut pinned) = (0, self.pins.values().map(Definition::length).sum::<usize>());
        self.tools = Vec::new();
        for tool in tools {
            let length = tool.to_string().len();
            let shown = aiw_core::one_line(name(&tool), 60);
            let problem = definition::unusable(&tool);
            let twice = self.tool(name(&tool)).is_some();
            let is_new = !self.pins.contains_key(name(&tool));
            // Pins never go to make room: a server could offer others until the one that it wants to change is gone.
            let is_full = is_new && (self.pins.len() == 2 * MAX_ITEMS || pinned + length > MAX_PINNED);
            match problem {
                Some(problem) => self.left_out.push(format!("tool `{shown}` is left out: it {problem}")),
                None if twice => self.left_out.push(format!("tool `{shown}` is left out: its name occurs twice")),
                None if self.tools.len() == MAX_ITEMS || size + length > MAX_BYTES / 2 => {
                    self.left_out.push("further tools are left out: there are too many".into());
                    break;
                }
                None if is_full => self.left_out.push(format!(
                    "tool `{shown}` is left out: too many different tools were seen from this server; remove and add \
                     the server to forget them"
                )),
                None => {
                    size += length;
                    let tool = Definition::new(&tool);
                    if is_new {
                        pinned += length;
                        self.pins.insert(tool.name().to_owned(), tool.clone());
                    }
                    self.tools.push(tool);
                }
            }
        }
        self.left_out.truncate(MAX_ITEMS);
    }

    /// Accepts all changes. Returns the tools and what changed in each.
    pub fn approve(&mut self) -> Vec<(String, Vec<Difference>)> {
        let changed = self.changes();
        self.unchanged = Unchanged::default();
        for tool in &self.tools {
            self.pins.insert(tool.name().to_owned(), tool.clone());
        }
        changed
    }

    /// The changed tools and what changed in each.
    pub fn changes(&self) -> Vec<(String, Vec<Difference>)> {
        let before = |tool: &Definition| self.pins.get(tool.name()).map(Definition::value).unwrap_or_default();
        let changes = |tool: &Definition| definition::differences(&before(tool), &tool.value());
        self.withheld().map(|tool| (tool.name().to_owned(), changes(tool))).collect()
    }

    /// A record that is within the size limit: first the resources go, then the prompts.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).unwrap_or_default();
        if bytes.len() > MAX_BYTES {
            let smaller = Self { prompts: Vec::new(), resources: Vec::new(), templates: Vec::new(), ..self.clone() };
            bytes = serde_json::to_vec(&smaller).unwrap_or_default();
        }
        bytes
    }
}

/// The records of a home: `servers/`.
#[derive(Debug, Clone)]
pub struct Records {
    home: Home,
}

impl Records {
    /// Those of a home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }

    /// Where a server's files are: a name that every file system takes.
    pub(crate) fn file(&self, key: &str, suffix: &str) -> PathBuf {
        let safe = aiw_servers::safe(key);
        let is_exact = safe == key && key.len() <= 64 && key.to_lowercase() == key;
        let mark = aiw_core::hex(&Sha256::digest(key.as_bytes()));
        let stem = if is_exact { key.to_owned() } else { format!("{safe}.{}", &mark[..8]) };
        self.home.servers().join(format!("{stem}.{suffix}"))
    }

    /// The record of a server; none if nothing is known, or the file is damaged.
    pub fn load(&self, key: &str) -> Option<Record> {
        read(&self.file(key, "json"))
    }

    /// Changes a record: reads it anew, under the lock that every change of the home needs.
    pub fn update(&self, key: &str, change: impl FnOnce(&mut Record)) -> Result<Record, HomeError> {
        let _lock = self.home.lock()?;
        let known = self.load(key);
        if known.is_none() && self.file(key, "json").exists() {
            let text = "what was known about its tools is damaged, so they count as seen for the first time";
            log::note(&self.file(key, "log"), text);
        }
        let mut record = known.unwrap_or_default();
        let before = record.clone();
        change(&mut record);
        if record != before {
            make_private_dir(&self.home.servers())?;
            replace(&self.file(key, "json"), &record.bytes(), Mode::Private)?;
        }
        Ok(record)
    }

    /// Forgets a server, with what it wrote.
    pub fn remove(&self, key: &str) -> Result<(), HomeError> {
        let _lock = self.home.lock()?;
        for suffix in ["json", "log", "log.1"] {
            let path = self.file(key, suffix);
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(HomeError::io("remove", &path, e)),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Option<Record> {
    let mut record: Record = serde_json::from_slice(&read_capped(path, 2 * MAX_BYTES as u64).ok()??).ok()?;
    // What has not changed is kept once.
    for tool in &record.tools {
        if let Some(pin) = record.pins.get_mut(tool.name()).filter(|pin| *pin == tool) {
            *pin = tool.clone();
        }
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn tool(name: &str, text: &str) -> Value {
        json!({"name": name, "description": text, "inputSchema": {"type": "object"}})
    }

    #[test]
    fn a_tool_that_changes_is_withheld_until_it_is_accepted_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(Home::at(dir.path()));
        let names = |tools: Vec<&Definition>| tools.into_iter().map(|tool| tool.name().to_owned()).collect::<Vec<_>>();
        records.update("a", |record| record.offer(vec![tool("x", "1"), tool("y", "1"), tool("z", "1")])).unwrap();
        let record = records.update("a", |record| record.offer(vec![tool("x", "2"), tool("y", "1")])).unwrap();
        assert_eq!(names(record.accepted().collect()), ["y"]);
        assert_eq!(names(record.withheld().collect()), ["x"]);
        // It left, and comes back as something else.
        let record = records.update("a", |record| record.offer(vec![tool("x", "1"), tool("z", "2")])).unwrap();
        assert_eq!(names(record.withheld().collect()), ["z"]);
        assert_eq!(
            record.changes(),
            [("z".into(), vec![Difference { field: "description".into(), before: "1".into(), now: "2".into() }])]
        );
        records.update("a", |record| drop(record.approve())).unwrap();
        assert_eq!(records.load("a").unwrap().withheld().count(), 0);
        records.remove("a").unwrap();
        assert_eq!(records.load("a"), None);
    }

    #[test]
    fn what_no_client_could_use_is_left_out_with_a_word() {
        let mut record = Record::default();
        record.offer(vec![tool("x", "1"), tool("x", "2"), json!({"name": "y"}), json!(7)]);
        assert_eq!((record.tools.len(), record.left_out.len()), (1, 3));
        // One that is too large takes no other with it.
        record.offer(vec![tool("x", &"long ".repeat(1 << 20)), tool("y", "1")]);
        assert_eq!((record.tools.len(), record.left_out.len()), (1, 1));
        record.offer((0..2 * MAX_ITEMS).map(|n| tool(&format!("t{n}"), "")).collect());
        assert_eq!(record.tools.len(), MAX_ITEMS);
    }

    #[test]
    fn no_flood_of_other_tools_makes_a_changed_one_new() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(Home::at(dir.path()));
        records.update("a", |record| record.offer(vec![tool("a", "1")])).unwrap();
        for round in 0..6 {
            // By number, then by size.
            let (count, length) = if round < 3 { (900, 1) } else { (30, 100_000) };
            let others = (0..count).map(|n| tool(&format!("t{round}-{n}"), &"x".repeat(length)));
            records.update("a", |record| record.offer(others.collect())).unwrap();
        }
        let record = records.update("a", |record| record.offer(vec![tool("a", "2"), tool("new", "1")])).unwrap();
        assert_eq!(record.withheld().map(Definition::name).collect::<Vec<_>>(), ["a"]);
        assert!(record.left_out[0].contains("`new` is left out"), "{:?}", record.left_out);
        assert_eq!(records.load("a").unwrap(), record);
        // Again with tools that are larger still.
        for round in 0..6 {
            let others = (0..30).map(|n| tool(&format!("u{round}-{n}"), &"x".repeat(120_000)));
            records.update("b", |record| record.offer(others.chain([tool("a", "1")]).collect())).unwrap();
        }
        assert!(records.load("b").is_some_and(|record| record.pins.contains_key("u0-0")));
    }

    #[test]
    fn a_damaged_record_is_told_of_and_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::new(Home::at(dir.path()));
        records.update("a", |record| record.offer(vec![tool("x", "1")])).unwrap();
        std::fs::write(records.file("a", "json"), "{").unwrap();
        assert_eq!(records.load("a"), None);
        records.update("a", |record| record.offer(vec![tool("x", "2")])).unwrap();
        assert_eq!(records.load("a").unwrap().accepted().count(), 1);
        assert!(std::fs::read_to_string(records.file("a", "log")).unwrap().contains("is damaged"));
    }

    #[test]
    fn every_key_has_its_own_file() {
        let records = Records::new(Home::at("/h"));
        let files = ["a", "A", "a/b", "a-b", "../a", "ä"].map(|key| records.file(key, "json"));
        let different: std::collections::BTreeSet<_> = files.iter().collect();
        assert_eq!(different.len(), files.len(), "{files:?}");
        assert!(files.iter().all(|file| file.parent() == Some(Path::new("/h/servers"))));
    }
}

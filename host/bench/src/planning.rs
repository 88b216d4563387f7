//! `cargo xtask bench planning`: what a model that plans jobs costs beside its own time, how long its prompts are, and how many
//! of forty jobs over real servers it carries out, if it is perfect and if it is not.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_tests::command::root;
use aiw_tests::{Answer, Environment, Server, commit_all, git};
use anyhow::{Context, Result, ensure};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::figures::millis;
use crate::pairs::median;
use crate::report::BenchReport;
use crate::scripts::BenchClient;

const RUN_COUNT: usize = 30;

/// How long the scripted model takes, in milliseconds.
const MODEL_DELAY_MS: u64 = 100;

/// A request, the steps of a perfect plan as `TOOL ARGUMENTS` a line, and what its result contains. `$F` is a directory, `$R` a
/// repository.
type PlanCase = (&'static str, &'static str, &'static str);

const JOBS: [PlanCase; 40] = [
    ("Read the text file notes.txt in $F", r#"files__read_text_file {"path":"$F/notes.txt"}"#, "milk"),
    ("List the files in the directory $F", r#"files__list_directory {"path":"$F"}"#, "notes.txt"),
    ("Search files that match **/*.md below $F", r#"files__search_files {"path":"$F","pattern":"**/*.md"}"#, "plan.md"),
    ("Show the size and times of the file $F/notes.txt", r#"files__get_file_info {"path":"$F/notes.txt"}"#, "size"),
    ("Show the directory tree of $F", r#"files__directory_tree {"path":"$F"}"#, "notes.txt"),
    ("Write hello into the file $F/new.txt", r#"files__write_file {"path":"$F/new.txt","content":"hello"}"#, "uccess"),
    ("Create the directory $F/sub/deep", r#"files__create_directory {"path":"$F/sub/deep"}"#, "uccess"),
    (
        "Copy the text of the file notes.txt in $F into a new file copy.txt: read the file, then write the file",
        "files__read_text_file {\"path\":\"$F/notes.txt\"}\nfiles__write_file {\"path\":\"$F/copy.txt\",\"content\":\"{{step1.content}}\"}",
        "uccess",
    ),
    (
        "Write a file $F/a.txt, then move the file to $F/b.txt",
        "files__write_file {\"path\":\"$F/a.txt\",\"content\":\"x\"}\nfiles__move_file {\"source\":\"$F/a.txt\",\"destination\":\"$F/b.txt\"}",
        "moved",
    ),
    (
        "Read the files notes.txt and plan.md in $F at once",
        r#"files__read_multiple_files {"paths":["$F/notes.txt","$F/plan.md"]}"#,
        "milk",
    ),
    ("Which directories are allowed for files?", "files__list_allowed_directories {}", "/"),
    (
        "Replace milk with bread in the text file $F/edit.txt by an edit of the file",
        r#"files__edit_file {"path":"$F/edit.txt","edits":[{"oldText":"milk","newText":"bread"}]}"#,
        "bread",
    ),
    ("Show the git status of the repository $R", r#"git__git_status {"repo_path":"$R"}"#, "branch"),
    (
        "Show the last commit in the git log of the repository $R",
        r#"git__git_log {"repo_path":"$R","max_count":1}"#,
        "Commit",
    ),
    ("List the local git branches of $R", r#"git__git_branch {"repo_path":"$R","branch_type":"local"}"#, "main"),
    (
        "Create the git branch topic in the repository $R",
        r#"git__git_create_branch {"repo_path":"$R","branch_name":"topic"}"#,
        "topic",
    ),
    (
        "Show what the git revision HEAD of $R has changed",
        r#"git__git_show {"repo_path":"$R","revision":"HEAD"}"#,
        "Commit",
    ),
    ("Show the unstaged git diff of $R", r#"git__git_diff_unstaged {"repo_path":"$R"}"#, "nstaged"),
    (
        "Write the git log of $R into the file $F/log.txt",
        "git__git_log {\"repo_path\":\"$R\",\"max_count\":3}\nfiles__write_file {\"path\":\"$F/log.txt\",\"content\":\"{{step1}}\"}",
        "uccess",
    ),
    (
        "Write the file $R/more.txt, git add it, and git commit it with the message More",
        "files__write_file {\"path\":\"$R/more.txt\",\"content\":\"more\"}\ngit__git_add {\"repo_path\":\"$R\",\"files\":[\"more.txt\"]}\ngit__git_commit {\"repo_path\":\"$R\",\"message\":\"More\"}",
        "ommit",
    ),
    ("What is the current time in Asia/Tokyo?", r#"time__get_current_time {"timezone":"Asia/Tokyo"}"#, "Asia/Tokyo"),
    (
        "Convert the time 12:00 from UTC to Asia/Tokyo",
        r#"time__convert_time {"source_timezone":"UTC","time":"12:00","target_timezone":"Asia/Tokyo"}"#,
        "21:00",
    ),
    (
        "Get the current time in Europe/Oslo and the current time in Asia/Tokyo",
        "time__get_current_time {\"timezone\":\"Europe/Oslo\"}\ntime__get_current_time {\"timezone\":\"Asia/Tokyo\"}",
        "Europe/Oslo",
    ),
    (
        "Write the current time in UTC to the file $F/time.txt",
        "time__get_current_time {\"timezone\":\"UTC\"}\nfiles__write_file {\"path\":\"$F/time.txt\",\"content\":\"{{step1.datetime}}\"}",
        "uccess",
    ),
    (
        "Convert the time 08:30 from Europe/Oslo to UTC, and echo the time there as a message",
        "time__convert_time {\"source_timezone\":\"Europe/Oslo\",\"time\":\"08:30\",\"target_timezone\":\"UTC\"}\neverything__echo {\"message\":\"It is {{step1.target.datetime}}\"}",
        "It is",
    ),
    (
        "Remember in the knowledge graph that Anna is a person who likes tea: create the entity",
        r#"memory__create_entities {"entities":[{"name":"Anna","entityType":"person","observations":["likes tea"]}]}"#,
        "Anna",
    ),
    ("Search the knowledge graph for Bert", r#"memory__search_nodes {"query":"Bert"}"#, "Bert"),
    ("Read the whole knowledge graph", "memory__read_graph {}", "Bert"),
    ("Open the node Bert of the knowledge graph", r#"memory__open_nodes {"names":["Bert"]}"#, "Bert"),
    (
        "Add the observation that he likes coffee to the entity Bert",
        r#"memory__add_observations {"observations":[{"entityName":"Bert","contents":["likes coffee"]}]}"#,
        "coffee",
    ),
    (
        "Create the relation that Bert knows Carla in the knowledge graph",
        r#"memory__create_relations {"relations":[{"from":"Bert","to":"Carla","relationType":"knows"}]}"#,
        "knows",
    ),
    (
        "Delete the entity Carla from the knowledge graph",
        r#"memory__delete_entities {"entityNames":["Carla"]}"#,
        "deleted",
    ),
    (
        "Read the text file $F/notes.txt, and add its text as an observation to the entity Bert",
        "files__read_text_file {\"path\":\"$F/notes.txt\"}\nmemory__add_observations {\"observations\":[{\"entityName\":\"Bert\",\"contents\":[\"{{step1.content}}\"]}]}",
        "milk",
    ),
    (
        "Open the node Bert of the knowledge graph and write its first observation to the file $F/bert.txt",
        "memory__open_nodes {\"names\":[\"Bert\"]}\nfiles__write_file {\"path\":\"$F/bert.txt\",\"content\":\"{{step1.entities[0].observations[0]}}\"}",
        "uccess",
    ),
    ("Echo the message good morning", r#"everything__echo {"message":"good morning"}"#, "good morning"),
    ("Get the sum of two numbers, 2 and 40", r#"everything__get-sum {"a":2,"b":40}"#, "42"),
    (
        "Get the structured content of the weather in New York",
        r#"everything__get-structured-content {"location":"New York"}"#,
        "temperature",
    ),
    (
        "Get the structured content of the weather in New York and echo the conditions as a message",
        "everything__get-structured-content {\"location\":\"New York\"}\neverything__echo {\"message\":\"It is {{step1.conditions}}, {{step1.temperature}} degrees\"}",
        "degrees",
    ),
    (
        "Get the sum of two numbers, 1 and 2, and write the sum to the file $F/sum.txt",
        "everything__get-sum {\"a\":1,\"b\":2}\nfiles__write_file {\"path\":\"$F/sum.txt\",\"content\":\"{{step1}}\"}",
        "uccess",
    ),
    (
        "Get the weather of New York as structured content, and remember it in the knowledge graph: create an entity",
        "everything__get-structured-content {\"location\":\"New York\"}\nmemory__create_entities {\"entities\":[{\"name\":\"New York\",\"entityType\":\"city\",\"observations\":[\"{{step1.conditions}}\"]}]}",
        "New York",
    ),
];

/// Adds the rows of planned jobs.
pub fn run(report: &mut BenchReport, aiw: &Path) -> Result<()> {
    let Some(mut home) = PlanningHome::new(aiw)? else {
        println!("planned jobs were not measured: real servers are missing (`cargo xtask setup --tests`)");
        return Ok(());
    };
    home.overhead(report)?;
    for tools in [5, 20] {
        let (all, lines) = home.prompt(tools)?;
        report.note(&format!("plan: a prompt of {tools} candidates"), all, "tokens");
        report.note(&format!("plan: each tool in a prompt of {tools} candidates"), lines, "tokens");
    }
    println!();
    println!("{:<58} {:>9} {:>9} {:>9}", "forty jobs over five real servers", "planned", "ran", "right");
    for (what, mistake) in [("a perfect model", false), ("a model that errs in three answers of four", true)] {
        let [planned, ran, right] = home.jobs(mistake)?;
        println!("{what:<58} {planned:>9} {ran:>9} {right:>9}");
    }
    for (why, count) in &home.reasons {
        println!("  {count:>3} not as expected: {why}");
    }
    Ok(())
}

struct PlanningHome {
    aiw: PathBuf,
    env: Environment,
    files: PathBuf,
    repository: PathBuf,
    /// Why jobs were not planned.
    reasons: BTreeMap<String, usize>,
}

impl PlanningHome {
    fn new(aiw: &Path) -> Result<Option<Self>> {
        let servers = root().join("target/servers");
        let program = |name: &str| {
            let known = [servers.join("node_modules/.bin").join(name), servers.join("venv/bin").join(name)];
            known.into_iter().find(|path| path.is_file())
        };
        let all: Option<Vec<PathBuf>> = [
            "mcp-server-filesystem",
            "mcp-server-git",
            "mcp-server-memory",
            "mcp-server-time",
            "mcp-server-everything",
        ]
        .into_iter()
        .map(program)
        .collect();
        let Some(all) = all else { return Ok(None) };
        let env = Environment::cold();
        let (files, repository) = (env.path("files"), env.path("repository"));
        let home = Self { aiw: aiw.to_owned(), env, files, repository, reasons: BTreeMap::new() };
        home.reset()?;
        home.env.write_mcp(
            &json!({"mcpServers": {
                "files": {"command": all[0], "args": [home.files, home.repository]},
                "git": {"command": all[1], "args": ["--repository", home.repository]},
                "memory": {"command": all[2], "env": {"MEMORY_FILE_PATH": home.env.path("memory.json")}},
                "time": {"command": all[3], "args": ["--local-timezone", "UTC"]},
                "everything": {"command": all[4]},
            }})
            .to_string(),
        );
        let known = home.env.program(aiw).args(["mcp", "tools"]).output()?;
        ensure!(known.status.success(), "the servers' tools can't be learned: {known:?}");
        Ok(Some(home))
    }

    /// Makes the files as they were.
    fn reset(&self) -> Result<()> {
        for dir in [&self.files, &self.repository] {
            if dir.exists() {
                fs::remove_dir_all(dir)?;
            }
            fs::create_dir_all(dir)?;
        }
        fs::write(self.files.join("notes.txt"), "milk and bread")?;
        fs::write(self.files.join("edit.txt"), "milk")?;
        fs::write(self.files.join("plan.md"), "# Plan")?;
        fs::write(self.repository.join("README"), "first")?;
        git(&self.repository, &["init", "-q", "-b", "main"]);
        commit_all(&self.repository);
        let node = |name: &str| {
            json!({"type": "entity", "name": name, "entityType": "person", "observations": ["is tall"]}).to_string()
        };
        fs::write(self.env.path("memory.json"), [node("Bert"), node("Carla")].join("\n"))?;
        Ok(())
    }

    /// Starts a client whose jobs are planned at an address. It lists the tools once, as Codex does: one that lists them again
    /// is given the time for that, with a model and without.
    fn client(&self, model: Option<&str>) -> Result<BenchClient> {
        let llm = model.map(|url| json!({"api": "ollama", "url": url, "max_plan_tokens": 400}));
        // What a user would agree to is agreed to beforehand.
        self.env.settings(&json!({"planner": llm, "mcp": {"scripts": ["*/*"]}}));
        let mut client = BenchClient::start_as("codex-mcp-client", &self.env, &self.aiw)?;
        client.wait_for_tool("intelligent_route")?;
        Ok(client)
    }

    fn filled(&self, text: &str) -> String {
        text.replace("$F", &self.files.to_string_lossy()).replace("$R", &self.repository.to_string_lossy())
    }

    /// The plan of a job, as a perfect model writes it.
    fn plan(&self, steps: &str) -> Value {
        let step = |line: &str| {
            let (tool, arguments) = line.split_once(' ').unwrap_or((line, "{}"));
            let arguments: Value = serde_json::from_str(&self.filled(arguments)).unwrap_or_default();
            json!({"tool": tool, "args": arguments})
        };
        json!({"feasible": true, "name": "job", "input": {}, "steps": steps.lines().map(step).collect::<Vec<_>>()})
    }

    /// Adds the row of a planned request beside the model's own time, and notes the same request without a model.
    fn overhead(&self, report: &mut BenchReport) -> Result<()> {
        let answer = reply(&self.plan(JOBS[7].1).to_string());
        let model = Server::start(move |_| {
            std::thread::sleep(Duration::from_millis(MODEL_DELAY_MS));
            Answer::ok(answer.clone())
        });
        let request = json!({"name": "intelligent_route", "arguments": {"user_request": self.filled(JOBS[7].0)}});
        let took = |client: &mut BenchClient, mode: &str| -> Result<f64> {
            let begun = Instant::now();
            let routed = client.request("tools/call", &request)?;
            let took = millis(begun.elapsed());
            let routed = &routed["structuredContent"];
            ensure!(routed["mode"] == mode, "no answer of the mode {mode}: {}", routed["mode_reason"]);
            Ok(took)
        };
        let url = model.url();
        // The settings are read for each request.
        let mut client = self.client(Some(&url))?;
        report.measure_custom_pairs("plan: a request, beside the model's own time", "ms", || {
            Ok((took(&mut client, "llm")?, MODEL_DELAY_MS as f64))
        })?;
        drop(client);
        let mut client = self.client(None)?;
        let times = (0..RUN_COUNT).map(|_| took(&mut client, "vector")).collect::<Result<_>>()?;
        report.note("the same request without a model", median(times), "ms");
        Ok(())
    }

    /// The tokens of a prompt with so many candidates, all and of each tool: a fourth of its bytes.
    fn prompt(&self, tools: usize) -> Result<(f64, f64)> {
        let asked: Arc<Mutex<String>> = Arc::default();
        let log = asked.clone();
        let model = Server::start(move |request| {
            *log.lock() = String::from_utf8_lossy(&request.body).into_owned();
            Answer::ok(reply("{\"feasible\":false}"))
        });
        let mut client = self.client(Some(&model.url()))?;
        let request = "Read and write files. Show the git log and commit. Search the knowledge graph and create entities. \
                       Get the time and convert it. Echo a message.";
        let arguments = json!({"user_request": request, "max_tools": tools});
        client.request("tools/call", &json!({"name": "intelligent_route", "arguments": arguments}))?;
        let body: Value = serde_json::from_str(&asked.lock()).context("the model was not asked")?;
        let texts = |message: &Value| message["content"].as_str().unwrap_or_default().len();
        let all: usize = body["messages"].as_array().into_iter().flatten().map(texts).sum();
        let lines = body["messages"][1]["content"].as_str().unwrap_or_default();
        let lines: Vec<&str> = lines.lines().filter(|line| line.contains("__")).collect();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let tokens = |bytes: usize| bytes as f64 / 4.0;
        Ok((tokens(all), tokens(lines.iter().map(|line| line.len()).sum::<usize>() / lines.len().max(1))))
    }

    /// Carries the jobs out. Returns how many were planned, ran to their end, and gave the right result.
    fn jobs(&mut self, errs: bool) -> Result<[usize; 3]> {
        self.reset()?;
        let plans: Vec<(String, String)> = JOBS
            .iter()
            .enumerate()
            .map(|(number, (request, steps, _))| {
                let plan = self.plan(steps).to_string();
                let plan = if errs { mistaken(number, &plan) } else { plan };
                (self.filled(request), plan)
            })
            .collect();
        let model = Server::start(move |request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let prompt = body["messages"][1]["content"].as_str().unwrap_or_default().to_owned();
            let plan = plans.iter().find(|(request, _)| prompt.ends_with(&format!("Request: {request}")));
            Answer::ok(reply(plan.map_or("", |(_, plan)| plan)))
        });
        let mut client = self.client(Some(&model.url()))?;
        let [mut planned, mut ran, mut right] = [0; 3];
        for (request, _, expected) in JOBS {
            let arguments = json!({"user_request": self.filled(request)});
            let routed = client.request("tools/call", &json!({"name": "intelligent_route", "arguments": arguments}))?;
            let routed = &routed["structuredContent"];
            let Some(tool) = routed["tool"]["name"].as_str() else {
                if !errs {
                    let why: String = routed["mode_reason"].as_str().unwrap_or("?").chars().take(160).collect();
                    *self.reasons.entry(format!("{request}: {why}")).or_default() += 1;
                }
                continue;
            };
            planned += 1;
            let done = client.request("tools/call", &json!({"name": tool, "arguments": {}}))?;
            if done["isError"] == true {
                if !errs {
                    *self.reasons.entry(format!("(planned) {request}: {}", done["content"][0]["text"])).or_default() +=
                        1;
                }
                continue;
            }
            ran += 1;
            let result = done["structuredContent"]["result"].to_string();
            right += usize::from(result.contains(expected));
            if !errs && !result.contains(expected) {
                *self.reasons.entry(format!("(another result) {request}: {result}")).or_default() += 1;
            }
        }
        Ok([planned, ran, right])
    }
}

/// A plan with one of eight mistakes of small models, or none.
fn mistaken(number: usize, plan: &str) -> String {
    match number % 8 {
        0 => plan.to_owned(),
        1 => "I would use the tool that you named.".into(),
        2 => plan.replacen("\"tool\":\"", "\"tool\":\"my_", 1),
        3 => plan.replacen("\"args\":{", "\"args\":{\"verbose\":true,", 1),
        4 => plan[..plan.len() / 2].to_owned(),
        5 => plan.replace("{{step1", "{{step3"),
        6 => plan.replacen("\"path\"", "\"file\"", 1).replacen("\"query\"", "\"q\"", 1),
        _ => format!("<think>They want a job.</think>Here it is:\n```json\n{plan}\n```"),
    }
}

/// An answer of Ollama.
fn reply(text: &str) -> String {
    json!({"message": {"role": "assistant", "content": text}, "done": true, "done_reason": "stop"}).to_string()
}

//! Asks for embeddings, collections and MCP tools, as the query says, and answers with an error that says what it got.

#[path = "../../src/said.rs"]
mod said;

use aiw_extension::registry_source::{RegistryInfo, Server};
use aiw_extension::vectors::VectorEntry;
use aiw_extension::{Error, RegistrySource, clock, embeddings, mcp, vectors};

use said::said;

struct Knowing;

impl RegistrySource for Knowing {
    fn describe() -> RegistryInfo {
        RegistryInfo::new("Says what it got", 10).name("MODE", "state")
    }

    fn server(name: &str, _version: Option<&str>) -> Result<Server, Error> {
        Err(Error::not_found(format!("no server `{name}`")))
    }

    fn search(query: &str, _limit: u32) -> Result<Vec<Server>, Error> {
        let (mode, argument) = query.split_once(':').unwrap_or((query, ""));
        let got = match mode {
            "state" => Ok(state()),
            "embed" => embed(argument),
            "embed-many" => embeddings::embed(&vec!["x".to_owned(); 257]).map(|_| "vectors".to_owned()),
            "embed-large" => embeddings::embed(&["x".repeat(2 << 20)]).map(|_| "a vector".to_owned()),
            "embed-forever" => loop {
                let _ = embeddings::embed(&vec!["x".to_owned(); 256]);
            },
            "collect" => collect(),
            "count" => vectors::count(argument).map(|count| format!("count {count}")),
            "bad" => Ok(bad()),
            "million" => million(),
            "list" => list(),
            "call" => call(argument),
            "together" => together(argument),
            "many" => many(argument),
            "leave" => leave(argument),
            "none" => Ok(format!("{:?}", mcp::next_result())),
            "call-long" => mcp::call(&"x".repeat(1 << 20), "echo", "{}").map(|result| result.json),
            _ => Err(Error::not_found(format!("no mode `{mode}`"))),
        };
        Err(Error::not_found(got.unwrap_or_else(said)))
    }
}

fn state() -> String {
    match embeddings::state() {
        embeddings::ModelState::Ready(model) => format!("ready: {} dimensions", model.dimensions),
        embeddings::ModelState::Missing(why) => format!("missing: {why}"),
    }
}

/// Embeds two texts, given as `ONE/OTHER`, and returns whether they are alike.
fn embed(argument: &str) -> Result<String, Error> {
    let texts: Vec<String> = argument.split('/').map(|text| text.replace('_', " ")).collect();
    let found = embeddings::embed(&texts)?;
    let cosine: f32 = found[0].iter().zip(&found[1]).map(|(a, b)| a * b).sum();
    Ok(format!("{} vectors, {}", found.len(), if cosine > 0.8 { "alike" } else { "unlike" }))
}

fn entry(id: &str, vector: Vec<f32>) -> VectorEntry {
    VectorEntry { id: id.to_owned(), vector }
}

/// Keeps the vectors of some texts, and finds one by its meaning.
fn collect() -> Result<String, Error> {
    let texts = ["find news", "convert a pdf", "play music"].map(str::to_owned);
    let found = embeddings::embed(&texts)?;
    let entries: Vec<VectorEntry> = texts.iter().zip(found).map(|(text, vector)| entry(text, vector)).collect();
    vectors::upsert("notes", &entries)?;
    let query = embeddings::embed(&["look up headlines".to_owned()])?.remove(0);
    let hits = vectors::search("notes", &query, 2)?;
    let whole = vectors::get("notes", &texts[1])?.map_or(0, |vector| vector.len());
    let removed = vectors::delete("notes", &[texts[1].clone(), "nothing".to_owned()])?;
    let left = vectors::count("notes")?;
    Ok(format!("nearest `{}` of {}, {whole} dimensions, {removed} removed, {left} left", hits[0].id, hits.len()))
}

/// Stores what can't be stored.
fn bad() -> String {
    let _ = vectors::clear("notes");
    let good = || entry("good", vec![1.0, 0.0]);
    let mut all = Vec::new();
    for bad in [
        entry("nan", vec![f32::NAN, 1.0]),
        entry("zero", vec![0.0, 0.0]),
        entry("other", vec![1.0; 3]),
        entry("", vec![1.0, 0.0]),
        entry(&"x".repeat(2000), vec![1.0, 0.0]),
    ] {
        all.push(vectors::upsert("notes", &[good(), bad]).map_or_else(said, |()| "stored".to_owned()));
    }
    all.push(vectors::upsert("notes", &[entry("huge", vec![1.0; 5000])]).map_or_else(said, |()| "stored".to_owned()));
    let count = vectors::count("notes").unwrap_or(u32::MAX);
    format!("{count} stored; {}", all.join("; "))
}

/// Stores a million entries, until it is refused.
fn million() -> Result<String, Error> {
    let vector: Vec<f32> = (0..1024_u16).map(f32::from).collect();
    for batch in 0..1_000_u32 {
        let entries: Vec<VectorEntry> =
            (0..1_000).map(|n| entry(&format!("{}", batch * 1_000 + n), vector.clone())).collect();
        vectors::upsert("large", &entries)?;
    }
    Ok("a million entries".to_owned())
}

fn list() -> Result<String, Error> {
    let tools: Vec<String> = mcp::list()?.iter().map(|tool| format!("{}/{}", tool.server, tool.name)).collect();
    Ok(tools.join(" "))
}

/// Calls `SERVER/TOOL`, or `SERVER/TOOL/ARGUMENTS`.
fn call(argument: &str) -> Result<String, Error> {
    let mut parts = argument.splitn(3, '/');
    let (server, tool) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let result = mcp::call(server, tool, parts.next().unwrap_or("{}"))?;
    Ok(format!("{}{}", if result.is_error { "failed: " } else { "" }, result.json))
}

/// Starts a call of `SERVER/TOOL/ARGUMENTS`.
fn start(argument: &str) -> Result<u32, Error> {
    let mut parts = argument.splitn(3, '/');
    let (server, tool) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    mcp::start_call(server, tool, parts.next().unwrap_or("{}"))
}

/// Starts calls that a line lists with `;` between them, and returns them as they ended, and whether that took as long as
/// the longest alone.
fn together(argument: &str) -> Result<String, Error> {
    let start_time = clock::now();
    for call in argument.split(';') {
        start(call)?;
    }
    let mut ended = Vec::new();
    while let Some(finished) = mcp::next_result() {
        let outcome = match finished.outcome {
            Ok(result) if result.is_error => "failed".to_owned(),
            Ok(_) => "done".to_owned(),
            Err(error) => said(error),
        };
        ended.push(format!("{}: {outcome}", finished.call));
    }
    let took = clock::now().duration_since(start_time).unwrap_or_default();
    Ok(format!("{} after {} s", ended.join(", "), took.as_secs()))
}

/// Leaves a call of `slow` that has reached its server: the call of `echo` ends only after that.
fn leave(argument: &str) -> Result<String, Error> {
    let left = start(argument)?;
    let echo = start(r#"files/echo/{"after": "slow"}"#)?;
    let ended = mcp::next_result().is_some_and(|finished| finished.call == echo);
    Ok(format!("call {left} is left, call {echo} ended: {ended}"))
}

/// Starts a call again and again until that is refused, takes one result, and starts one more.
fn many(argument: &str) -> Result<String, Error> {
    let mut started = 0;
    let refused = loop {
        match start(argument) {
            Ok(_) => started += 1,
            Err(error) => break said(error),
        }
    };
    let freed = mcp::next_result().is_some() && start(argument).is_ok();
    Ok(format!("{started} started; {refused}; one more after a result: {freed}"))
}

aiw_extension::export_registry_source!(Knowing, manifest = "manifest.json");

//! `aiw mcp call`, `logs`

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use aiw_app::ClientSession;
use aiw_app::servers::pool;
use aiw_core::{ErrorKind, one_line, shell_word};
use aiw_mcp::{Arguments, value_of};
use aiw_routing::{NamedTool, PoolError, ToolDefinition};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::failure::Failure;
use crate::output::{Output, under};

pub async fn call(client: &ClientSession, name: &str, given: &[String], output: &Output) -> Result<(), Failure> {
    let pool = pool(client, output);
    let NamedTool { server, tool } = pool.named(name)?;
    let (tool, given) = match (tool, given.split_first()) {
        (Some(tool), _) => (tool, given),
        (None, Some((tool, given))) => (tool.clone(), given),
        (None, None) => {
            let failure = Failure::new(ErrorKind::Usage, format!("`{server}` is a server: name its tool too"));
            return Err(failure.with_hint(format!("`aiw mcp tools {}` shows them", shell_word(&server))));
        }
    };
    let (server, tool) = (server.as_str(), tool.as_str());
    pool.look(server).await?;
    let status = pool.status().into_iter().find(|status| status.name == server);
    let definition = status.and_then(|status| status.record?.tool(tool).map(ToolDefinition::value)).unwrap_or_default();
    let arguments = arguments(given, &definition["inputSchema"])?;
    let result = match pool.call(server, tool, arguments, None).await {
        Ok(result) => result,
        // Its own error.
        Err(PoolError::Rpc(e)) => return Err(Failure::user(format!("the MCP server `{server}` answers: {e}"))),
        Err(e) => return Err(e.into()),
    };
    pool.end().await;
    let written = result;
    let result = value_of(&written).map_err(|e| Failure::user(format!("the MCP server `{server}`: {e}")))?;
    let items = result.get("content").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = items.iter().map(shown).collect::<Vec<_>>().join("\n");
    if result.get("isError") == Some(&true.into()) {
        let failure = Failure::user(format!("the tool `{tool}` failed: {}", text.trim()));
        return Err(failure.with_answer(under("result", &result)));
    }
    match result.get("structuredContent") {
        Some(structure) if text.is_empty() => output.line(format!("{structure:#}")),
        _ => output.line(text),
    }
    output.answer_as_written("result", &written, &result);
    Ok(())
}

/// An item of a result in words, where it is not text.
fn shown(item: &Value) -> String {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let named = |what: &str, name: &Value| format!("[{what}: {}]", one_line(name.as_str().unwrap_or("unknown"), 200));
    match item["type"].as_str() {
        Some("text") => text(&item["text"]).unwrap_or_default(),
        Some("resource") => {
            text(&item["resource"]["text"]).unwrap_or_else(|| named("resource", &item["resource"]["uri"]))
        }
        Some("resource_link") => named("resource", &item["uri"]),
        Some(kind @ ("image" | "audio")) => named(kind, &item["mimeType"]),
        _ => item.to_string(),
    }
}

/// Arguments by name, each as it is written: a number keeps all of its digits.
struct Written(Vec<(String, Box<RawValue>)>);

impl Serialize for Written {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// One JSON object, or `NAME=VALUE` for each argument, read as the tool's schema says.
pub fn arguments(given: &[String], schema: &Value) -> Result<Arguments, Failure> {
    let usage = |problem: String| Failure::new(ErrorKind::Usage, problem);
    if let [json] = given
        && json.trim_start().starts_with('{')
    {
        let written: Box<RawValue> =
            serde_json::from_str(json).map_err(|e| usage(format!("the arguments are not a JSON object: {e}")))?;
        return Arguments::written(&written).ok_or_else(|| usage("the arguments are nested too deeply".to_owned()));
    }
    let mut arguments = Written(Vec::new());
    for pair in given {
        let (name, value) = pair
            .split_once('=')
            .ok_or_else(|| usage(format!("`{}` is neither `NAME=VALUE` nor a JSON object", one_line(pair, 60))))?;
        let kind = schema["properties"][name]["type"].as_str();
        let text = || to_raw_value(value).map_err(|e| usage(e.to_string()));
        let value = match kind {
            Some("string") => text()?,
            Some(kind) => serde_json::from_str(value).map_err(|_| {
                let (name, kind) = (one_line(name, 60), one_line(kind, 20));
                usage(format!("the argument `{name}` must be JSON of the type `{kind}`"))
            })?,
            None => serde_json::from_str(value).or_else(|_| text())?,
        };
        if arguments.0.iter().any(|(known, _)| known == name) {
            let name = one_line(name, 60);
            let failure = usage(format!("the argument `{name}` is given twice"));
            return Err(failure.with_hint(format!("`{name}=[…]` gives a list, as JSON")));
        }
        arguments.0.push((name.to_owned(), value));
    }
    let written = to_raw_value(&arguments).map_err(|e| usage(e.to_string()))?;
    Arguments::written(&written).ok_or_else(|| usage("the arguments are nested too deeply".to_owned()))
}

/// `aiw mcp logs`
#[derive(Serialize, JsonSchema)]
struct LogLines {
    /// The lines
    lines: Vec<String>,
}

/// The most lines that are kept while the end of a log is looked for.
const MOST: usize = 100_000;

pub async fn logs(
    client: &ClientSession,
    name: &str,
    follow: bool,
    tail: usize,
    output: &Output,
) -> Result<(), Failure> {
    if follow && output.is_json() {
        return Err(Failure::new(ErrorKind::Usage, "`--follow` and `--json` exclude each other"));
    }
    let path = pool(client, output).log(name)?;
    let changes = follow.then(|| client.app().feed().changes(&[])).transpose()?;
    changes.iter().for_each(|changes| changes.follow_file(&path));
    let mut last: VecDeque<String> = VecDeque::new();
    let mut end = 0;
    for file in [path.with_extension("log.1"), path.clone()] {
        end = lines(&file, 0, &mut |line| {
            last.push_back(line);
            if last.len() > tail.min(MOST) {
                last.pop_front();
            }
        })?;
    }
    if last.is_empty() && !follow {
        output.line(format!("`{name}` has written nothing to standard error"));
    }
    last.iter().for_each(|line| output.line(line));
    output.answer(LogLines { lines: last.into() });
    let Some(changes) = changes else { return Ok(()) };
    loop {
        output.flush();
        changes.next().await;
        let length = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        // It was replaced.
        end = if length < end { 0 } else { end };
        end = lines(&path, end, &mut |line| output.line(line))?;
    }
}

/// The whole lines of a file from an offset on. Returns where the next one begins.
fn lines(path: &Path, from: u64, line: &mut dyn FnMut(String)) -> Result<u64, Failure> {
    let failed =
        |e: std::io::Error| Failure::new(ErrorKind::Unavailable, format!("cannot read `{}`: {e}", path.display()));
    let mut file = match aiw_home::open_plain(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(failed(e)),
    };
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    // A log of ours is at most this long.
    let mut input = BufReader::new(file.take(64 << 20));
    let (mut at, mut bytes) = (from, Vec::new());
    loop {
        bytes.clear();
        let read = input.read_until(b'\n', &mut bytes).map_err(failed)?;
        if bytes.last() != Some(&b'\n') {
            return Ok(at);
        }
        at += read as u64;
        line(String::from_utf8_lossy(&bytes).trim_end().to_owned());
    }
}

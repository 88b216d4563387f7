//! `aiw mcp call`, `logs`

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use aiw_app::ClientSession;
use aiw_app::servers::call::ToolCallRequest;
use aiw_app::servers::{self, pool};
use aiw_core::ErrorKind;
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::CliError;
use crate::output::{Output, single_entry_map};

pub async fn call(client: &ClientSession, request: ToolCallRequest, output: &Output) -> Result<(), CliError> {
    let observer = output.observer();
    let observer = observer.is_visible().then_some(observer);
    let called = servers::call::call_with_progress(client, &request, output, observer).await?;
    if called.is_error {
        let failure = CliError::user(format!("the tool `{}` failed: {}", called.tool, called.text.trim()));
        return Err(failure.with_json_output(single_entry_map("result", &called.result)));
    }
    output.line(called.text);
    output.set_raw_json_field("result", &called.raw_result, &called.result);
    Ok(())
}

/// `aiw mcp logs`
#[derive(Serialize, JsonSchema)]
struct LogLines {
    /// The lines
    lines: Vec<String>,
}

/// The most lines that are kept while the end of a log is looked for.
const MAX_LINES: usize = 100_000;

pub async fn logs(
    client: &ClientSession,
    name: &str,
    follow: bool,
    tail: usize,
    output: &Output,
) -> Result<(), CliError> {
    if follow && output.is_json() {
        return Err(CliError::new(ErrorKind::Usage, "`--follow` and `--json` exclude each other"));
    }
    let path = pool(client, output).log_path(name)?;
    let changes = follow.then(|| client.app().feed().changes(&[])).transpose()?;
    changes.iter().for_each(|changes| changes.follow_file(&path));
    let mut last: VecDeque<String> = VecDeque::new();
    let mut end = 0;
    for file in [path.with_extension("log.1"), path.clone()] {
        end = lines(&file, 0, &mut |line| {
            last.push_back(line);
            if last.len() > tail.min(MAX_LINES) {
                last.pop_front();
            }
        })?;
    }
    if last.is_empty() && !follow {
        output.line(format!("`{name}` has written nothing to standard error"));
    }
    last.iter().for_each(|line| output.line(line));
    output.set_json(LogLines { lines: last.into() });
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
fn lines(path: &Path, from: u64, line: &mut dyn FnMut(String)) -> Result<u64, CliError> {
    let failed =
        |e: std::io::Error| CliError::new(ErrorKind::Unavailable, format!("cannot read `{}`: {e}", path.display()));
    let mut file = match aiw_home::open_regular(path) {
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

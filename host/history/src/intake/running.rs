//! Sessions of Claude Code that are running under `AIW_HISTORY=off`.
//!
//! A hook says so when they end, and none does if they are killed. While they run, Claude Code keeps a file about each,
//! `sessions/<process>.json`, and Linux tells what the process was started with.

use std::path::Path;

use aiw_home::{CLAUDE_RUNNING, CliPlaces, HISTORY_VARIABLE, Home, read_capped};
use serde::Deserialize;
use serde_json::Value;

use super::exclude::{Exclusions, is_word_for_off};
use super::files::{read_small, walk};
use crate::Cli;
use crate::readers;

/// The most bytes of variables that are read.
const MAX_VARIABLES: u64 = 8 << 20;

/// A process as Claude Code describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Running {
    #[serde(default)]
    pid: Value,
    #[serde(default)]
    session_id: Value,
    #[serde(default)]
    proc_start: Value,
}

/// Notes which of the sessions that are running are private, before anything of them is read.
pub(super) fn note_private(home: &Home, places: &CliPlaces) {
    let roots = readers::roots(places, home, Cli::Claude);
    for (root, entry) in roots.iter().flat_map(|root| walk(root, &[CLAUDE_RUNNING]).into_iter().map(move |e| (root, e)))
    {
        let bytes = entry.is_regular.then(|| read_small(root, &entry.path, 64 << 10)).flatten();
        let Some(running) = bytes.and_then(|bytes| serde_json::from_slice::<Running>(&bytes).ok()) else { continue };
        let (Some(process), Some(session)) = (running.pid.as_u64(), running.session_id.as_str()) else { continue };
        let Some(session) = readers::session_id(session) else { continue };
        if is_private(process, running.proc_start.as_str()) {
            // If it can't be written, nothing can be stored either.
            let _ = Exclusions::make_private(home, session);
        }
    }
}

/// Whether a process was started under `AIW_HISTORY=off`. `start` tells it from a later one with the same number.
fn is_private(process: u64, start: Option<&str>) -> bool {
    let read = |name: &str| read_capped(Path::new(&format!("/proc/{process}/{name}")), MAX_VARIABLES).ok().flatten();
    let Some(variables) = read("environ") else { return false };
    let is_off = variables.split(|byte| *byte == 0).any(|variable| {
        let value = std::str::from_utf8(variable)
            .ok()
            .and_then(|variable| variable.strip_prefix(HISTORY_VARIABLE)?.strip_prefix('='));
        value.is_some_and(is_word_for_off)
    });
    is_off && start.is_none_or(|start| started(&read("stat").unwrap_or_default()).is_none_or(|found| found == start))
}

/// When a process began, as `/proc/<process>/stat` has it. Its name, in parentheses, may have spaces.
fn started(stat: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stat);
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_session_is_private_whose_process_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("aiw"));
        let at = |name: &str| dir.path().join(name);
        let places = CliPlaces::of(|name| (name == "HOME").then(|| dir.path().to_owned())).unwrap();
        std::fs::create_dir_all(at(".claude/sessions")).unwrap();
        let mut children = Vec::new();
        for value in ["off", "on"] {
            let mut command = Command::new("sleep");
            let child = command.arg("60").env("AIW_HISTORY", value).stdin(Stdio::null()).spawn().unwrap();
            // They are empty for a moment while the child becomes `sleep`.
            let variables = format!("/proc/{}/environ", child.id());
            while std::fs::read(&variables).unwrap().is_empty() {
                std::thread::yield_now();
            }
            children.push(child);
        }
        let start = |process: u32| started(&std::fs::read(format!("/proc/{process}/stat")).unwrap()).unwrap();
        let (off, on) = (children[0].id(), children[1].id());
        for (name, text) in [
            ("1.json", format!(r#"{{"pid":{off},"sessionId":"off","procStart":"{}"}}"#, start(off))),
            ("2.json", format!(r#"{{"pid":{on},"sessionId":"on","procStart":"{}"}}"#, start(on))),
            ("3.json", format!(r#"{{"pid":{off},"sessionId":"earlier","procStart":"7"}}"#)),
            ("4.json", format!(r#"{{"pid":{off},"sessionId":"unknown-start"}}"#)),
            ("5.json", format!(r#"{{"pid":{off},"sessionId":"../../off"}}"#)),
            ("6.json", r#"{"pid":"x","sessionId":7}"#.to_owned()),
            ("7.json", "{".to_owned()),
            ("8.json", r#"{"pid":4294967295,"sessionId":"gone"}"#.to_owned()),
        ] {
            std::fs::write(at(".claude/sessions").join(name), text).unwrap();
        }
        note_private(&home, &places);
        for mut child in children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let mut exclusions = Exclusions::of(&home).unwrap();
        let private: Vec<&str> = ["off", "on", "earlier", "unknown-start", "gone"]
            .into_iter()
            .filter(|session| exclusions.is_private(session))
            .collect();
        assert_eq!(private, ["off", "unknown-start"]);
        assert_eq!(std::fs::read_dir(home.history().join("private")).unwrap().count(), 2);
    }
}

//! Sessions of Claude Code that are running under `AIW_HISTORY=off`.
//!
//! A hook says so when they end, and none does if they are killed. While they run, Claude Code keeps a file about each,
//! `sessions/<process>.json`, and the system tells what the process was started with.

use aiw_home::{CLAUDE_SESSIONS_DIR, CliPaths, HISTORY_VARIABLE, Home};
use serde::Deserialize;
use serde_json::Value;

use super::exclude::{Exclusions, is_off_value};
use super::files::{read_small, walk};
use crate::Cli;
use crate::readers;

/// A process as Claude Code describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaudeProcess {
    #[serde(default)]
    pid: Value,
    #[serde(default)]
    session_id: Value,
    #[serde(default)]
    proc_start: Value,
}

/// Notes which of the sessions that are running are private, before anything of them is read.
pub(super) fn mark_running_private(home: &Home, places: &CliPaths) {
    let roots = readers::roots(places, home, Cli::Claude);
    for (root, entry) in
        roots.iter().flat_map(|root| walk(root, &[CLAUDE_SESSIONS_DIR]).into_iter().map(move |e| (root, e)))
    {
        let bytes = entry.is_regular.then(|| read_small(root, &entry.path, 64 << 10)).flatten();
        let Some(running) = bytes.and_then(|bytes| aiw_core::from_foreign_json::<ClaudeProcess>(&bytes).ok()) else {
            continue;
        };
        let (Some(process), Some(session)) = (running.pid.as_u64(), running.session_id.as_str()) else { continue };
        let Some(session) = readers::session_id(session) else { continue };
        if is_private(process, running.proc_start.as_str()) {
            // If it can't be written, nothing can be stored either.
            let _ = Exclusions::mark_private(home, session);
        }
    }
}

/// Whether a process was started under `AIW_HISTORY=off`. `start` tells it from a later one with the same number; it is
/// Linux's own number there, and has another form elsewhere.
#[cfg(unix)]
fn is_private(process: u64, start: Option<&str>) -> bool {
    let Some(seen) = u32::try_from(process).ok().and_then(aiw_supervisor::ObservedProcess::open) else { return false };
    let variables = seen.variables().unwrap_or_default();
    let is_off = variables.split(|byte| *byte == 0).any(|variable| {
        let value = std::str::from_utf8(variable)
            .ok()
            .and_then(|variable| variable.strip_prefix(HISTORY_VARIABLE)?.strip_prefix('='));
        value.is_some_and(is_off_value)
    });
    is_off && (cfg!(not(target_os = "linux")) || start.is_none_or(|start| start == seen.start().to_string()))
}

/// Returns `false`: no other system tells it.
#[cfg(not(unix))]
fn is_private(_process: u64, _start: Option<&str>) -> bool {
    false
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn a_session_is_private_whose_process_says_so() {
        use std::process::{Command, Stdio};

        use super::*;

        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("aiw"));
        let at = |name: &str| dir.path().join(name);
        let places = CliPaths::from_variables(|name| (name == "HOME").then(|| dir.path().to_owned())).unwrap();
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
        let start = |process: u32| aiw_supervisor::ObservedProcess::open(process).unwrap().start().to_string();
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
        mark_running_private(&home, &places);
        for mut child in children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let mut exclusions = Exclusions::load(&home).unwrap();
        let private: Vec<&str> = ["off", "on", "earlier", "unknown-start", "gone"]
            .into_iter()
            .filter(|session| exclusions.is_private(session))
            .collect();
        assert_eq!(private, ["off", "unknown-start"]);
        assert_eq!(std::fs::read_dir(home.history().join("private")).unwrap().count(), 2);
    }
}

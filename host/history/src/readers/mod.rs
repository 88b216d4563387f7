//! How each AI CLI writes down its sessions. One file a CLI; a new one needs a file and a line in [`all`].

mod claude;
mod codex;
mod gemini;
mod parts;
mod reader;

use std::path::PathBuf;

use aiw_home::{CliPaths, Home};
use serde::{Deserialize, Serialize};

use crate::Cli;
pub(crate) use parts::{parse, session_id};
pub(crate) use reader::{LineReader, Transcript, TranscriptSource, stem};

/// How aiw ran the CLI of a session. All of it is empty where aiw did not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The provider's name.
    pub provider: Option<String>,
    /// Whether the CLI had a configuration directory of its own.
    pub isolated: bool,
}

impl Launch {
    /// The directories that aiw gives to CLIs, each with how a CLI is run that keeps its sessions there.
    pub(crate) fn redirected_homes(home: &Home) -> Vec<(PathBuf, Self)> {
        let given = Cli::ALL.into_iter().flat_map(|cli| home.redirected_homes(cli));
        given.map(|one| (one.path, Self { provider: one.provider, isolated: one.isolated })).collect()
    }

    /// Whether aiw did not run the CLI, or nothing tells.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The user's directories in which a CLI keeps sessions.
pub(crate) fn own_roots(places: &CliPaths, cli: Cli) -> Vec<PathBuf> {
    let mut roots = vec![places.directory(cli).to_owned()];
    roots.extend(places.legacy_directory(cli).filter(|other| other.is_dir()));
    roots
}

/// The directories in which a CLI keeps sessions: the user's own, and those that aiw gave it.
pub(crate) fn roots(places: &CliPaths, home: &Home, cli: Cli) -> Vec<PathBuf> {
    let mut roots = own_roots(places, cli);
    roots.extend(home.redirected_homes(cli).into_iter().map(|given| given.path));
    roots.dedup();
    roots
}

/// All CLIs whose sessions can be read.
pub(crate) fn all() -> [&'static dyn TranscriptSource; 3] {
    [&claude::ClaudeSessions, &codex::CodexSessions, &gemini::GeminiSessions]
}

/// The sessions of a CLI.
pub(crate) fn for_cli(cli: Cli) -> &'static dyn TranscriptSource {
    all().into_iter().find(|sessions| sessions.cli() == cli).unwrap_or(&claude::ClaudeSessions)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aiw_redact::rules::Redactor;

    use super::*;

    #[test]
    fn half_a_character_is_read() {
        const ID: &str = "11111111-0000-4000-8000-00000000000a";
        let lines = [
            (
                Cli::Claude,
                format!("projects/-srv/{ID}.jsonl"),
                String::new(),
                r#"{"type":"user","uuid":"u","sessionId":"ID","timestamp":"2026-11-20T10:00:01.125Z","message":{"role":"user","content":"TEXT"}}"#,
            ),
            (
                Cli::Codex,
                format!("sessions/2026/11/20/rollout-2026-11-20T11-00-00-{ID}.jsonl"),
                String::new(),
                r#"{"timestamp":"2026-11-20T11:00:03.500Z","type":"response_item","payload":{"type":"message","role":"user","content":[{"type":"input_text","text":"TEXT"}]}}"#,
            ),
            (
                Cli::Codex,
                "history.jsonl".to_owned(),
                String::new(),
                r#"{"session_id":"ID","ts":1790000000,"text":"TEXT"}"#,
            ),
            (
                Cli::Gemini,
                "tmp/0a/chats/session-1.jsonl".to_owned(),
                format!(r#"{{"sessionId":"{ID}"}}"#),
                r#"{"id":"m","timestamp":"2026-11-20T12:00:06.250Z","type":"user","content":"TEXT"}"#,
            ),
        ];
        for (cli, path, first, line) in lines {
            let redactor = Arc::new(Redactor::new(&[]).unwrap());
            let names: Arc<[String]> = Arc::default();
            aiw_tests::assert_reads_odd_json(&line.replace("ID", ID), |bytes| {
                let (redactor, names) = (Arc::clone(&redactor), Arc::clone(&names));
                let (first, beside) = (first.as_bytes(), &|_: &str| None);
                let file = Transcript {
                    path: &path,
                    first_line: first,
                    preceding_bytes: b"",
                    redactor,
                    read_file: beside,
                    names,
                };
                let mut found = Vec::new();
                for_cli(cli).open(&file).parse_line(0, bytes, &mut found).unwrap();
                found.pop().map(|message| message.text)
            });
        }
    }
}

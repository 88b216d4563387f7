//! `aiw history hooks handle`: checks and queues the input of hooks of Claude Code, Codex and Gemini CLI. The client waits for the hook, so an indexer
//! reads the transcript afterwards.

use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};

use aiw_core::ProviderName;
use aiw_home::{CliPaths, Home};
use serde_json::Value;

use super::exclude::{Exclusions, is_off};
use super::files::{open_beneath, relative_path};
use super::indexer::Indexer;
use super::log::log;
use super::queue::{IngestQueue, IngestRequest};
use crate::readers;
use crate::{Cli, HistoryError};

/// The longest input of a hook that is read.
const MAX_INPUT: u64 = 4 << 20;

/// The part of a hook's input that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The event.
    pub event: String,
    session: String,
    transcript: PathBuf,
    project: String,
}

/// The outcome of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookOutcome {
    /// Its transcript will be read.
    Queued(PathBuf),
    /// Its transcript is not read, as [`HookOutcome::Queued`] it is told to the indexer, so that `doctor` names it.
    Refused(PathBuf, String),
    /// The input does not concern the history, for the reason given as the end of a sentence.
    Ignored(String),
}

/// The events after which a transcript is read.
const HOOK_EVENTS: [&str; 3] = ["SessionEnd", "PreCompact", "PreCompress"];

impl Hook {
    /// Reads what a hook says.
    ///
    /// # Errors
    ///
    /// The end of a sentence about the input.
    pub fn read(input: impl Read) -> Result<Self, String> {
        let mut bytes = Vec::new();
        input.take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(|e| format!("can't be read: {e}"))?;
        if bytes.len() as u64 > MAX_INPUT {
            return Err("is longer than 4 MiB".into());
        }
        let value = aiw_home::json::parse(&bytes)?.value;
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default();
        if !value.is_object() || text("hook_event_name").is_empty() {
            return Err("is not what a hook says".into());
        }
        Ok(Self {
            event: text("hook_event_name").to_owned(),
            session: text("session_id").to_owned(),
            transcript: PathBuf::from(text("transcript_path")),
            project: text("cwd").to_owned(),
        })
    }

    /// Queues what a hook says, and starts an indexer for it. What goes wrong is in the log alone: no session is disturbed.
    pub fn handle_input<E: Display>(
        home: &Home,
        input: impl Read,
        aiw: impl FnOnce() -> Result<PathBuf, E>,
    ) -> Option<HookOutcome> {
        let places = CliPaths::from_context(home.context()).ok_or_else(|| "there is no home directory".to_owned());
        let hook = places.and_then(|places| Ok((Self::read(input).map_err(|e| format!("the input {e}"))?, places)));
        let handled = hook.and_then(|(hook, places)| hook.handle(home, &places).map_err(|e| e.to_string()));
        match &handled {
            Err(problem) => log(home, &format!("hook: {problem}")),
            Ok(HookOutcome::Refused(path, reason)) => log(home, &format!("hook: `{}` {reason}", path.display())),
            Ok(_) => {}
        }
        let handled = handled.ok()?;
        if !matches!(handled, HookOutcome::Ignored(_)) {
            Indexer::start_if_enabled(home, aiw);
        }
        Some(handled)
    }

    /// Queues what is to be read.
    pub fn handle(&self, home: &Home, places: &CliPaths) -> Result<HookOutcome, HistoryError> {
        if !HOOK_EVENTS.contains(&self.event.as_str()) {
            return Ok(HookOutcome::Ignored(format!(
                "`{}` is not an event that is waited for",
                aiw_core::one_line(&self.event, 60)
            )));
        }
        if is_off(home) {
            // No import may take it in later.
            if let Some(session) = readers::session_id(&self.session) {
                Exclusions::mark_private(home, session)?;
            }
            return Ok(HookOutcome::Ignored("`AIW_HISTORY` is off".into()));
        }
        // Where the settings can't be read, the indexer waits until they can, and then asks the same.
        if Exclusions::load(home).is_ok_and(|mut exclusions| exclusions.is_excluded(&self.project)) {
            return Ok(HookOutcome::Ignored("the project is excluded".into()));
        }
        let provider = home.context().variable_str(ProviderName::VARIABLE).and_then(|name| name.parse().ok());
        // The hooks of all say the same; the place of the transcript tells them apart.
        let is_below = |cli: &Cli| relative_path(places.directory(*cli), &self.transcript).is_some();
        let cli = Cli::ALL.into_iter().find(is_below).unwrap_or(Cli::Claude);
        let root = places.directory(cli).to_owned();
        let mut request = IngestRequest { cli, root, path: None, refused: None, provider };
        let handled = match self.check(cli, places.directory(cli)) {
            Ok(path) => {
                request.path = Some(path);
                HookOutcome::Queued(self.transcript.clone())
            }
            Err(reason) => {
                request.refused = Some((self.transcript.clone(), reason.clone()));
                HookOutcome::Refused(self.transcript.clone(), reason)
            }
        };
        IngestQueue::new(home).add(&request)?;
        Ok(handled)
    }

    /// The transcript's path below the CLI's directory, if it is one that may be read. The indexer checks it again.
    fn check(&self, cli: Cli, root: &Path) -> Result<String, String> {
        let outside = || "is not in a directory in which the CLI keeps sessions".to_owned();
        if self.transcript.as_os_str().len() > 4096 {
            return Err("has a path that is too long".into());
        }
        let path = relative_path(root, &self.transcript).ok_or_else(outside)?;
        if !readers::for_cli(cli).is_transcript(&path) {
            return Err(outside());
        }
        match open_beneath(root, &path) {
            Ok(_) => Ok(path),
            Err(refusal) => Err(refusal.to_string()),
        }
    }
}

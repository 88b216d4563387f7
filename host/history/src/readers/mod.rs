//! How each AI CLI writes down its sessions. One file a CLI; a new one needs a file and a line in [`all`].

mod claude;
mod codex;
mod gemini;
mod parts;
mod reader;

use std::path::PathBuf;

use aiw_home::{CliPlaces, Home};
use serde::{Deserialize, Serialize};

use crate::Cli;
pub(crate) use parts::{parse, session_id};
pub(crate) use reader::{LineReader, Sessions, Transcript, stem};

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
    pub(crate) fn given(home: &Home) -> Vec<(PathBuf, Self)> {
        let given = Cli::ALL.into_iter().flat_map(|cli| home.given(cli));
        given.map(|one| (one.path, Self { provider: one.provider, isolated: one.isolated })).collect()
    }

    /// Whether aiw did not run the CLI, or nothing tells.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The directories in which a CLI keeps sessions: the user's own, and those that aiw gave it.
pub(crate) fn roots(places: &CliPlaces, home: &Home, cli: Cli) -> Vec<PathBuf> {
    let mut roots = vec![places.directory(cli).to_owned()];
    roots.extend(home.given(cli).into_iter().map(|given| given.path));
    roots.dedup();
    roots
}

/// All CLIs whose sessions can be read.
pub(crate) fn all() -> [&'static dyn Sessions; 3] {
    [&claude::ClaudeSessions, &codex::CodexSessions, &gemini::GeminiSessions]
}

/// The sessions of a CLI.
pub(crate) fn of(cli: Cli) -> &'static dyn Sessions {
    all().into_iter().find(|sessions| sessions.cli() == cli).unwrap_or(&claude::ClaudeSessions)
}

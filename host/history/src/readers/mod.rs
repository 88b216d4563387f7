//! How each AI CLI writes down its sessions. One file a CLI; a new one needs a file and a line in [`all`].

mod claude;
mod codex;
mod gemini;
mod parts;

use std::path::PathBuf;
use std::sync::Arc;

use aiw_home::{CliFiles, CliPlaces, Home};
use aiw_redact::rules::Redactor;
use serde::{Deserialize, Serialize};

use crate::intake::findings::Junk;
use crate::{Cli, Message};
pub(crate) use parts::{parse, session_id};

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

/// The sessions of one CLI.
pub(crate) trait Sessions: Sync {
    /// Returns the CLI that writes them.
    fn cli(&self) -> Cli;

    /// The directories and files below the CLI's own directory in which there are transcripts.
    fn directories(&self) -> &'static [&'static str] {
        CliFiles::of(self.cli()).sessions
    }

    /// Whether a file below the root is a transcript. `/` separates the names.
    fn is_transcript(&self, path: &str) -> bool;

    /// Whether a file is one JSON document, which is written anew each time.
    fn is_document(&self, _path: &str) -> bool {
        false
    }

    /// Begins to read a transcript.
    fn open(&self, file: &Transcript<'_>) -> Box<dyn Reader>;
}

/// A transcript, as far as readers need it.
pub(crate) struct Transcript<'a> {
    /// Its path below the CLI's directory. `/` separates the names.
    pub path: &'a str,
    /// Its first line, if there is a whole one of reasonable length.
    pub first: &'a [u8],
    /// The bytes before the place at which reading goes on, as far as they matter: nothing at the beginning.
    pub before: &'a [u8],
    /// Takes secrets out of what is read.
    pub redactor: Arc<Redactor>,
    /// Reads a small file below the CLI's directory.
    pub beside: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The paths of all transcripts of this CLI, where they were looked for.
    pub names: Arc<[String]>,
}

/// Reads one transcript line by line.
pub(crate) trait Reader {
    /// Takes in a line. Messages of it are added to `out`; most lines have none.
    fn line(&mut self, offset: u64, line: &[u8], out: &mut Vec<Message>) -> Result<(), Junk>;
}

/// All CLIs whose sessions can be read.
pub(crate) fn all() -> [&'static dyn Sessions; 3] {
    [&claude::Claude, &codex::Codex, &gemini::Gemini]
}

/// The sessions of a CLI.
pub(crate) fn of(cli: Cli) -> &'static dyn Sessions {
    all().into_iter().find(|sessions| sessions.cli() == cli).unwrap_or(&claude::Claude)
}

/// The name of a file without its directories and its ending.
pub(crate) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

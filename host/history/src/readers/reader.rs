//! The interface of a CLI's reader.

use std::sync::Arc;

use aiw_home::CliFiles;
use aiw_redact::rules::Redactor;

use crate::ingest::findings::LineError;
use crate::{Cli, SessionMessage};

/// The sessions of one CLI.
pub(crate) trait TranscriptSource: Sync {
    /// Returns the CLI that writes them.
    fn cli(&self) -> Cli;

    /// The directories and files below the CLI's own directory in which there are transcripts.
    fn directories(&self) -> &'static [&'static str] {
        CliFiles::for_cli(self.cli()).sessions
    }

    /// Whether a file below the root is a transcript. `/` separates the names.
    fn is_transcript(&self, path: &str) -> bool;

    /// Whether a file is one JSON document, which is written anew each time.
    fn is_document(&self, _path: &str) -> bool {
        false
    }

    /// Begins to read a transcript.
    fn open(&self, file: &Transcript<'_>) -> Box<dyn LineReader>;
}

/// A transcript, as far as readers need it.
pub(crate) struct Transcript<'a> {
    /// Its path below the CLI's directory. `/` separates the names.
    pub path: &'a str,
    /// Its first line, if there is a whole one of reasonable length.
    pub first_line: &'a [u8],
    /// The bytes before the place at which reading goes on, as far as they matter: nothing at the beginning.
    pub preceding_bytes: &'a [u8],
    /// Takes secrets out of what is read.
    pub redactor: Arc<Redactor>,
    /// Reads a small file below the CLI's directory.
    pub read_file: &'a dyn Fn(&str) -> Option<Vec<u8>>,
    /// The paths of all transcripts of this CLI, where they were looked for.
    pub names: Arc<[String]>,
}

/// Reads one transcript line by line.
pub(crate) trait LineReader {
    /// Takes in a line. Messages of it are added to `out`; most lines have none.
    fn parse_line(&mut self, offset: u64, line: &[u8], out: &mut Vec<SessionMessage>) -> Result<(), LineError>;
}

/// The name of a file without its directories and its ending.
pub(crate) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

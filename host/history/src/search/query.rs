//! What a search is asked, and what it answers.

use std::path::{Path, PathBuf};

use super::snippet::Snippet;
use crate::{Cli, Launch, MessageAuthor};

/// A search: words and filters.
#[derive(Debug, Clone, Copy)]
pub struct HistoryQuery<'a> {
    /// The words.
    pub text: &'a str,
    /// The most hits.
    pub limit: usize,
    /// Only sessions of this directory and those below it.
    pub project: Option<&'a Path>,
    /// Only this session: its id, or the start of it.
    pub session: Option<&'a str>,
    /// Only messages from this time on, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Only what these said.
    pub role: Option<MessageAuthor>,
    /// Only sessions of this CLI.
    pub cli: Option<Cli>,
    /// Only messages in which this tool was used.
    pub tool: Option<&'a str>,
}

impl Default for HistoryQuery<'_> {
    fn default() -> Self {
        Self { text: "", limit: 10, project: None, session: None, since: None, role: None, cli: None, tool: None }
    }
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionHit {
    /// Its session's id.
    pub session: String,
    /// The CLI.
    pub cli: Cli,
    /// The session's directory. Empty if unknown.
    pub project: String,
    /// How aiw ran the CLI.
    pub launch: Launch,
    /// When it was said, in milliseconds since 1970.
    pub time: Option<i64>,
    /// The author of the message.
    pub role: MessageAuthor,
    /// The part of it that answers best.
    pub snippet: Snippet,
    /// The greater, the better. It can be compared only with those of the same search.
    pub score: f32,
    /// The transcript.
    pub path: PathBuf,
    /// Its id in the transcript.
    pub uuid: String,
    /// The request's words that it has.
    pub matched_words: Vec<String>,
    /// Whether its meaning is near to the request's.
    pub is_semantic_match: bool,
}

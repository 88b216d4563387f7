//! What was said in private sessions. A fork or a resumed session has copies of it under another id, which must not be
//! kept either.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use aiw_core::unix_millis;
use aiw_home::{CliPaths, Home, creation_time};
use aiw_redact::rules::Redactor;

use super::exclude::{Exclusions, mark_session_private};
use super::files::{open_beneath, read_small, walk};
use super::head::read_head;
use super::lines::{Lines, MAX_LINE, NextLine};
use crate::readers::{self, Transcript, TranscriptSource};
use crate::{Cli, HistoryError, SessionMessage};

/// The largest document that is read as a whole.
const MAX_DOCUMENT: u64 = 64 << 20;
/// A text of so many bytes is a copy by itself; a shorter one may be said by anybody.
const MIN_COPY_TEXT_BYTES: usize = 40;

/// The messages of private sessions, read from their transcripts when they are needed.
#[derive(Debug)]
pub(super) struct PrivateMessages {
    places: CliPaths,
    home: Home,
    read: Vec<(Cli, Hashes)>,
}

/// Hashes of what was said, each with when the first transcript that has it came to be.
#[derive(Debug, Default)]
pub(super) struct Hashes(HashMap<u64, Option<SystemTime>>);

impl PrivateMessages {
    pub(super) fn new(places: CliPaths, home: Home) -> Self {
        Self { places, home, read: Vec::new() }
    }

    /// Returns the messages of a CLI's private sessions.
    pub(super) fn messages(
        &mut self,
        sessions: &dyn TranscriptSource,
        exclusions: &Exclusions,
        redactor: &Arc<Redactor>,
    ) -> &Hashes {
        let cli = sessions.cli();
        let known = self.read.iter().position(|(known, _)| *known == cli);
        let place = known.unwrap_or_else(|| {
            let ids = exclusions.private_sessions();
            let mut said = Hashes::default();
            if !ids.is_empty() {
                let roots = readers::roots(&self.places, &self.home, cli);
                roots.iter().for_each(|root| said.read(sessions, root, &ids, redactor));
            }
            self.read.push((cli, said));
            self.read.len() - 1
        });
        &self.read[place].1
    }
}

impl Hashes {
    fn read(&mut self, sessions: &dyn TranscriptSource, root: &Path, ids: &[String], redactor: &Arc<Redactor>) {
        let paths: Vec<String> = walk(root, sessions.directories()).into_iter().map(|entry| entry.path).collect();
        let names: Arc<[String]> = paths.iter().filter(|path| sessions.is_transcript(path)).cloned().collect();
        for path in names.iter() {
            // Gemini CLI names a file after the first eight signs of an id.
            let is_of = |id: &String| path.contains(id.as_str()) || path.contains(id.get(..8).unwrap_or(id));
            if ids.iter().any(is_of) {
                self.add(sessions, root, path, ids, redactor, &names);
            }
        }
    }

    /// Adds what is in one transcript. One that can't be read has nothing that another could be compared with.
    fn add(
        &mut self,
        sessions: &dyn TranscriptSource,
        root: &Path,
        path: &str,
        ids: &[String],
        redactor: &Arc<Redactor>,
        names: &Arc<[String]>,
    ) {
        let since = creation_time(&root.join(path));
        each_message(sessions, root, path, redactor, names, &mut |message| {
            if ids.contains(&message.session) {
                for key in keys(message) {
                    let known = self.0.entry(key).or_insert(since);
                    *known = (*known).min(since);
                }
            }
        });
    }

    /// Whether a message of a transcript that came to be at some time is a copy of what was said in private. `follows`:
    /// whether the message before it is one.
    pub(super) fn contains_copy(&self, message: &SessionMessage, since: Option<SystemTime>, follows: bool) -> bool {
        if self.0.is_empty() {
            return false;
        }
        // A private session may be a fork itself: what it was forked from came to be before it, and is not private.
        let is_copy = |key: u64| {
            self.0.get(&key).is_some_and(|private| private.zip(since).is_none_or(|(private, own)| private <= own))
        };
        let [uuid, timed, text] = keys(message);
        is_copy(uuid) || is_copy(timed) || ((follows || message.text.len() >= MIN_COPY_TEXT_BYTES) && is_copy(text))
    }
}

/// Reads the messages of a transcript. There are none if it can't be read.
fn each_message(
    sessions: &dyn TranscriptSource,
    root: &Path,
    path: &str,
    redactor: &Arc<Redactor>,
    names: &Arc<[String]>,
    take: &mut dyn FnMut(&SessionMessage),
) {
    let Ok(opened) = open_beneath(root, path) else { return };
    let first = opened.read_range(0, 64 << 10).unwrap_or_default();
    let first = memchr::memchr(b'\n', &first).map_or(&[][..], |end| &first[..end]);
    let mut reader = sessions.open(&Transcript {
        path,
        first_line: first,
        preceding_bytes: &[],
        redactor: redactor.clone(),
        read_file: &|path| read_small(root, path, 64 << 10),
        names: names.clone(),
    });
    let mut messages = Vec::new();
    if sessions.is_document(path) {
        let size = usize::try_from(opened.size.min(MAX_DOCUMENT)).unwrap_or(0);
        let _ = reader.parse_line(0, &opened.read_range(0, size).unwrap_or_default(), &mut messages);
        messages.iter().for_each(take);
        return;
    }
    let mut lines = Lines::new(&opened.file, 0, MAX_LINE);
    while let Ok(Some(line)) = lines.next() {
        if let NextLine::Complete { offset, bytes } | NextLine::Incomplete { offset, bytes } = line {
            let _ = reader.parse_line(offset, bytes, &mut messages);
            messages.drain(..).for_each(|message| take(&message));
        }
    }
}

/// Keeps the sessions of a CLI out of the history in which something was said since a time, in a directory. Not every CLI
/// says which session it is in, so those that others had there at that time are among them.
pub fn mark_sessions_private_since(
    home: &Home,
    cli: Cli,
    directory: &Path,
    since: SystemTime,
) -> Result<(), HistoryError> {
    let Some(places) = CliPaths::from_context(home.context()) else { return Ok(()) };
    let (sessions, redactor) = (readers::for_cli(cli), Arc::new(Redactor::new(&[])?));
    let begun = unix_millis(since);
    let is_since = |time: i64| u64::try_from(time).is_ok_and(|time| time >= begun);
    let mut found = BTreeSet::new();
    for root in readers::roots(&places, home, cli) {
        let new = walk(&root, sessions.directories()).into_iter().filter(|entry| sessions.is_transcript(&entry.path));
        for entry in new.filter(|entry| is_since(entry.modified)) {
            let head = open_beneath(&root, &entry.path).ok().and_then(|opened| read_head(&opened.file).ok());
            let own = head.and_then(|head| head.directory).unwrap_or_default();
            each_message(sessions, &root, &entry.path, &redactor, &Arc::from([]), &mut |message| {
                let project = if message.project.is_empty() { &own } else { &message.project };
                if Path::new(project) == directory && message.time.is_none_or(is_since) {
                    found.insert(message.session.clone());
                }
            });
        }
    }
    found.iter().try_for_each(|session| mark_session_private(home, session, since))
}

/// Returns the values that a copy of a message shares with it: its id, its time and text, its text.
fn keys(message: &SessionMessage) -> [u64; 3] {
    let hash = |what: &dyn Fn(&mut DefaultHasher)| {
        let mut hasher = DefaultHasher::new();
        what(&mut hasher);
        hasher.finish()
    };
    [
        hash(&|hasher| (1_u8, &message.uuid).hash(hasher)),
        // What has no time is not told by it.
        hash(&|hasher| match message.time {
            Some(time) => (2_u8, time, message.role.as_str(), &message.text).hash(hasher),
            None => (1_u8, &message.uuid).hash(hasher),
        }),
        hash(&|hasher| (3_u8, message.role.as_str(), &message.text).hash(hasher)),
    ]
}

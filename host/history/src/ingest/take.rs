//! Taking in what is new in one transcript.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use aiw_home::{CliPaths, Home, Settings, creation_time};
use aiw_redact::rules::Redactor;

use super::exclude::Exclusions;
use super::files::{FileError, OpenedTranscript, open_beneath, read_small};
use super::findings::{LineError, LineProblems};
use super::head::{FileHead, read_head};
use super::lines::{Lines, MAX_LINE, NextLine, find_json_objects};
use super::private::PrivateMessages;
use super::scan::string_at;
use crate::readers::{self, Launch, LineReader, Transcript, TranscriptSource};
use crate::{Cli, HistoryError, ReadProgress, SessionMessage, Store};

/// The largest document that is read as a whole.
const MAX_DOCUMENT: u64 = 64 << 20;
/// How much before the place at which reading goes on is looked at again.
const OVERLAP_BYTES: u64 = 256 << 10;
/// After how many messages, and how many bytes, what was read is stored.
const MAX_BATCH: (usize, u64) = (1000, 64 << 20);

/// The result of reading one transcript.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IngestOutcome {
    /// The new messages.
    pub new_messages: usize,
    /// The bytes that were read.
    pub bytes: u64,
    /// Whether something in it was left out; [`Store::problems`] says what.
    pub has_problems: bool,
}

/// The report of an indexer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// The transcripts that were looked at.
    pub transcripts: usize,
    /// The new messages.
    pub new_messages: usize,
    /// The bytes that were read.
    pub bytes: u64,
    /// The transcripts in which something was left out.
    pub partial_transcripts: usize,
    /// The messages that today's rules about secrets have changed, which were stored before.
    pub redacted_messages: usize,
}

impl Report {
    pub(crate) fn add(&mut self, taken: IngestOutcome) {
        self.transcripts += 1;
        self.new_messages += taken.new_messages;
        self.bytes += taken.bytes;
        self.partial_transcripts += usize::from(taken.has_problems);
    }
}

/// Returns what takes secrets out of the texts of a home: it knows the values in the vault that can be read, and is as
/// strict as the settings say.
pub fn redactor(home: &Home, settings: &Settings) -> Result<Redactor, HistoryError> {
    Ok(Redactor::new(&home.vault().values().0)?.strict(settings.history()?.is_strict))
}

/// Takes in transcripts.
pub struct Ingester<'a> {
    store: &'a Store,
    /// See [`Launch::given`].
    redirected_homes: Vec<(PathBuf, Launch)>,
    /// The ids of the providers, each with its name.
    providers: Vec<(String, String)>,
    redactor: Arc<Redactor>,
    exclusions: Exclusions,
    private: PrivateMessages,
}

impl<'a> Ingester<'a> {
    /// An intake into a store.
    pub fn new(store: &'a Store, home: &Home, places: &CliPaths) -> Result<Self, HistoryError> {
        let redactor = Arc::new(redactor(home, &home.settings()?)?);
        // Without them, sessions are read all the same.
        let providers = home.providers().map_or_else(|_| Vec::new(), |file| file.providers().to_vec());
        let providers = providers.into_iter().filter_map(|one| Some((one.id?, one.name.to_string()))).collect();
        let private = PrivateMessages::new(places.clone(), home.clone());
        Ok(Self {
            store,
            redirected_homes: Launch::redirected_homes(home),
            providers,
            redactor,
            exclusions: Exclusions::load(home)?,
            private,
        })
    }

    /// Returns the redactor that takes secrets out.
    pub(super) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Takes in what is new in a transcript, which is `path` below `root`. `names` are all transcripts there, if they
    /// were looked for.
    pub(crate) fn ingest(
        &mut self,
        sessions: &dyn TranscriptSource,
        root: &Path,
        path: &str,
        names: &Arc<[String]>,
        observe: &mut dyn FnMut(u64),
    ) -> Result<IngestOutcome, HistoryError> {
        let whole = root.join(path);
        let opened = match open_beneath(root, path) {
            Ok(opened) => opened,
            Err(FileError::Missing) => return Ok(IngestOutcome::default()),
            Err(refusal) => return self.skip_transcript(&whole, &refusal.to_string()),
        };
        let taken = self.read(sessions, root, path, &opened, names, observe);
        match taken {
            Err(TakeFailure::History(e)) => Err(e),
            Err(TakeFailure::Read(e)) => self.skip_transcript(&whole, &FileError::from(e).to_string()),
            Ok(taken) => Ok(taken),
        }
    }

    /// Notes that a transcript is not read.
    pub(crate) fn skip_transcript(&self, path: &Path, reason: &str) -> Result<IngestOutcome, HistoryError> {
        self.store.record_problem(path, reason)?;
        Ok(IngestOutcome { has_problems: true, ..IngestOutcome::default() })
    }

    fn read(
        &mut self,
        sessions: &dyn TranscriptSource,
        root: &Path,
        path: &str,
        opened: &OpenedTranscript,
        names: &Arc<[String]>,
        observe: &mut dyn FnMut(u64),
    ) -> Result<IngestOutcome, TakeFailure> {
        let whole = root.join(path);
        let mut known = self.store.progress(&whole)?;
        if self.store.excluded_projects(&whole)?.iter().any(|project| !self.exclusions.is_excluded(project)) {
            self.store.reset_transcript(&whole)?;
            known = None;
        }
        // An indexer that was killed has read less of it.
        let is_seen = known.as_ref().is_some_and(|known| {
            known.offset >= known.size
                && (known.size, known.modified, known.inode) == (opened.size, opened.modified, opened.inode)
        });
        if is_seen {
            return Ok(IngestOutcome::default());
        }
        let is_document = sessions.is_document(path);
        let mut start = 0;
        if let Some(known) = known.filter(|_| !is_document) {
            if opened.size < known.offset || opened.prefix_digest(known.offset)? != known.prefix_digest {
                self.store.reset_transcript(&whole)?;
            } else {
                start = known.offset;
            }
        }
        let first = opened.read_range(0, 64 << 10)?;
        let first = memchr::memchr(b'\n', &first).map_or(&[][..], |end| &first[..end]);
        let before = before(opened, start)?;
        let mut reader = sessions.open(&Transcript {
            path,
            first_line: first,
            preceding_bytes: &before,
            redactor: self.redactor.clone(),
            read_file: &|path| read_small(root, path, 64 << 10),
            names: names.clone(),
        });
        let head = read_head(&opened.file)?;
        let launch = self.launch(root, &head);
        let project = self.project(sessions, root, path, head)?;
        let own = TranscriptFacts { since: creation_time(&whole), project, launch, follows: false };
        let mut batch = MessageBatch {
            store: self.store,
            own,
            cli: sessions.cli(),
            path: &whole,
            opened,
            messages: Vec::new(),
            since: start,
            last: None,
            excluded_projects: BTreeSet::new(),
            findings: LineProblems::default(),
            taken: IngestOutcome::default(),
        };
        if is_document {
            self.document(&mut *reader, opened, &mut batch)?;
        } else {
            self.lines(&mut *reader, opened, start, &mut batch, observe)?;
        }
        if !batch.excluded_projects.is_empty() {
            self.store.record_excluded_projects(&whole, &batch.excluded_projects)?;
        }
        if let Some(sentence) = batch.findings.to_message() {
            self.store.record_problem(&whole, &sentence)?;
            batch.taken.has_problems = true;
        }
        Ok(batch.taken)
    }

    fn lines(
        &mut self,
        reader: &mut dyn LineReader,
        opened: &OpenedTranscript,
        start: u64,
        batch: &mut MessageBatch<'_>,
        observe: &mut dyn FnMut(u64),
    ) -> Result<(), TakeFailure> {
        let mut file = &opened.file;
        file.seek(SeekFrom::Start(start))?;
        let mut lines = Lines::new(file, start, MAX_LINE);
        let mut end = start;
        while let Some(line) = lines.next()? {
            match line {
                NextLine::Complete { offset, bytes } => self.line(reader, offset, bytes, batch),
                NextLine::TooLong { offset } => batch.findings.add(LineError::TooLong, offset),
                // Its writer may have been ended before it wrote the line's end; then nothing more comes.
                NextLine::Incomplete { offset, bytes } => {
                    if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
                        end = offset + bytes.len() as u64;
                        self.line(reader, offset, bytes, batch);
                    }
                    break;
                }
            }
            if batch.is_full(lines.offset()) {
                batch.store(lines.offset())?;
                observe(lines.offset() - start);
            }
        }
        batch.store(end.max(lines.offset()))?;
        observe(lines.offset() - start);
        Ok(())
    }

    fn document(
        &mut self,
        reader: &mut dyn LineReader,
        opened: &OpenedTranscript,
        batch: &mut MessageBatch<'_>,
    ) -> Result<(), TakeFailure> {
        if opened.size > MAX_DOCUMENT {
            batch.findings.add(LineError::TooLong, 0);
        } else {
            let bytes = opened.read_range(0, usize::try_from(opened.size).unwrap_or(0))?;
            self.line(reader, 0, &bytes, batch);
        }
        Ok(batch.store(opened.size)?)
    }

    /// How aiw ran the CLI, as far as the place of a transcript or its head tells. Codex names its provider.
    fn launch(&self, root: &Path, head: &FileHead) -> Launch {
        let given = self.redirected_homes.iter().find(|(path, _)| root.starts_with(path));
        let mut launch = given.map(|(_, launch)| launch.clone()).unwrap_or_default();
        if let Some(id) = &head.provider {
            let known = self.providers.iter().find(|(known, _)| known == id);
            // The name of a provider that is gone is lost.
            let name = known.map(|(_, name)| name).or_else(|| Some(id).filter(|id| id.starts_with(PROVIDER_ID_PREFIX)));
            launch.provider = launch.provider.or_else(|| name.cloned());
        }
        launch
    }

    /// The directory that the session of a transcript began in, as far as it or the one of its session says so.
    fn project(
        &self,
        sessions: &dyn TranscriptSource,
        root: &Path,
        path: &str,
        head: FileHead,
    ) -> Result<String, TakeFailure> {
        let own = head.directory;
        let (None, Some((session, _))) = (&own, path.split_once("/subagents/")) else {
            return Ok(own.unwrap_or_default());
        };
        let session = format!("{session}.jsonl");
        if !sessions.is_transcript(&session) {
            return Ok(String::new());
        }
        match open_beneath(root, &session) {
            Ok(opened) => Ok(read_head(&opened.file)?.directory.unwrap_or_default()),
            Err(_) => Ok(String::new()),
        }
    }

    fn line(&mut self, reader: &mut dyn LineReader, offset: u64, bytes: &[u8], batch: &mut MessageBatch<'_>) {
        let from = batch.messages.len();
        if let Err(junk) = reader.parse_line(offset, bytes, &mut batch.messages) {
            batch.findings.add(junk, offset);
            // Two processes wrote at once, or one was ended in the middle of a line.
            if matches!(junk, LineError::NotJson | LineError::NotUtf8) {
                for range in find_json_objects(bytes) {
                    let at = offset + range.start as u64;
                    // What is wrong with the line has been said.
                    let _ = reader.parse_line(at, &bytes[range], &mut batch.messages);
                }
            }
        }
        // A server's tools are named as it likes.
        for tool in batch.messages[from..].iter_mut().flat_map(|message| &mut message.tools) {
            if let Cow::Owned(clean) = self.redactor.redact(tool) {
                *tool = clean;
            }
        }
        // A line may name another session than the one whose transcript it is in.
        let named = ["sessionId", "session_id"].iter().find_map(|key| std::str::from_utf8(string_at(bytes, key)?).ok());
        let is_private = named.and_then(readers::session_id).is_some_and(|session| self.exclusions.is_private(session));
        let new: Vec<SessionMessage> = batch.messages.drain(from..).collect();
        for mut message in new {
            if message.project.is_empty() {
                message.project.clone_from(&batch.own.project);
            }
            let is_excluded = self.exclusions.is_excluded(&message.project);
            if is_excluded && !batch.excluded_projects.contains(&message.project) {
                batch.excluded_projects.insert(message.project.clone());
            }
            let is_out = is_private || is_excluded || self.exclusions.is_private(&message.session);
            let sessions = readers::for_cli(batch.cli);
            let private = self.private.messages(sessions, &self.exclusions, &self.redactor);
            batch.own.follows = private.contains_copy(&message, batch.own.since, batch.own.follows);
            if !is_out && !batch.own.follows {
                batch.messages.push(message);
            }
        }
    }
}

/// How the ids begin that aiw gives to providers.
const PROVIDER_ID_PREFIX: &str = "aiw-";

/// Returns the bytes before a place, from the beginning of its line.
fn before(opened: &OpenedTranscript, start: u64) -> io::Result<Vec<u8>> {
    let from = start.saturating_sub(OVERLAP_BYTES);
    let mut bytes = opened.read_range(from, usize::try_from(start - from).unwrap_or(0))?;
    if from > 0 {
        let line = memchr::memchr(b'\n', &bytes).map_or(bytes.len(), |end| end + 1);
        bytes.drain(..line);
    }
    Ok(bytes)
}

enum TakeFailure {
    /// The transcript can't be read.
    Read(io::Error),
    /// The messages can't be stored.
    History(HistoryError),
}

impl From<io::Error> for TakeFailure {
    fn from(e: io::Error) -> Self {
        Self::Read(e)
    }
}

impl From<HistoryError> for TakeFailure {
    fn from(e: HistoryError) -> Self {
        Self::History(e)
    }
}

/// The facts about the transcript that is being read.
struct TranscriptFacts {
    /// When it came to be, where the file system knows.
    since: Option<SystemTime>,
    /// Where its session began. Empty if unknown.
    project: String,
    /// How aiw ran the CLI.
    launch: Launch,
    /// Whether its last message was a copy of a private session's.
    follows: bool,
}

/// Messages that were read and are not stored yet.
struct MessageBatch<'a> {
    store: &'a Store,
    own: TranscriptFacts,
    cli: Cli,
    path: &'a Path,
    opened: &'a OpenedTranscript,
    messages: Vec<SessionMessage>,
    /// Up to where everything is stored.
    since: u64,
    last: Option<String>,
    /// The excluded projects of which something was left out.
    excluded_projects: BTreeSet<String>,
    findings: LineProblems,
    taken: IngestOutcome,
}

impl MessageBatch<'_> {
    fn is_full(&self, offset: u64) -> bool {
        self.messages.len() >= MAX_BATCH.0 || offset - self.since >= MAX_BATCH.1
    }

    fn store(&mut self, offset: u64) -> Result<(), HistoryError> {
        let head = self.opened.prefix_digest(offset).map_err(|e| aiw_home::HomeError::io("read", self.path, e))?;
        if let Some(message) = self.messages.last() {
            self.last = Some(message.uuid.clone());
        }
        let progress = ReadProgress {
            offset,
            last_uuid: self.last.clone(),
            size: self.opened.size,
            modified: self.opened.modified,
            inode: self.opened.inode,
            prefix_digest: head,
        };
        let appended = self.store.append(self.cli, self.path, &self.messages, &progress)?;
        if !self.own.launch.is_empty() {
            let sessions: BTreeSet<&str> = self.messages.iter().map(|message| message.session.as_str()).collect();
            self.store.record_launches(sessions.into_iter().map(|session| (session, &self.own.launch)))?;
        }
        self.taken.new_messages += appended.new_messages;
        self.taken.bytes += offset.saturating_sub(self.since);
        self.since = offset;
        self.messages.clear();
        Ok(())
    }
}

/// Takes in the transcript of a request.
pub(super) fn ingest_transcript(
    intake: &mut Ingester<'_>,
    cli: Cli,
    root: &Path,
    path: &str,
) -> Result<IngestOutcome, HistoryError> {
    intake.ingest(readers::for_cli(cli), root, path, &Arc::from([]), &mut |_| {})
}

//! `aiw history import`: everything that is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use aiw_home::{CliPaths, Home};

use super::files::{FileEntry, relative_path, walk};
use super::scan::string_at;
use super::take::{Ingester, Report};
use crate::readers::{self, TranscriptSource};
use crate::{Cli, HistoryError};

/// Transcripts of one CLI below one directory.
pub struct TranscriptRoot {
    sessions: &'static dyn TranscriptSource,
    root: PathBuf,
    entries: Vec<FileEntry>,
    /// The names of all transcripts there.
    names: Arc<[String]>,
}

impl TranscriptRoot {
    /// Returns the CLI that writes them.
    pub fn cli(&self) -> Cli {
        self.sessions.cli()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many bytes they have.
    pub fn bytes(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }

    /// Their files.
    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.entries.iter().map(|entry| self.root.join(&entry.path))
    }

    pub(crate) fn entries(&self) -> &[FileEntry] {
        &self.entries
    }

    /// Returns the sessions of a CLI below its directory.
    pub(crate) fn find(sessions: &'static dyn TranscriptSource, root: &Path) -> Self {
        let entries = walk(root, sessions.directories());
        let entries = entries.into_iter().filter(|entry| sessions.is_transcript(&entry.path)).collect();
        Self::new(sessions, root.to_owned(), entries)
    }

    fn new(sessions: &'static dyn TranscriptSource, root: PathBuf, mut entries: Vec<FileEntry>) -> Self {
        // A fork comes after what it was forked from, and subagents after their session.
        entries.sort_by(|a, b| (a.created, a.modified, &a.path).cmp(&(b.created, b.modified, &b.path)));
        let names = entries.iter().map(|entry| entry.path.clone()).collect();
        Self { sessions, root, entries, names }
    }

    /// Only those that a predicate takes; the names of all stay known.
    pub(crate) fn filter(mut self, is_wanted: impl Fn(&FileEntry) -> bool) -> Self {
        self.entries.retain(|entry| is_wanted(entry));
        self
    }
}

/// Takes in transcripts that exist already.
pub struct Import;

impl Import {
    /// All transcripts in the CLIs' own directories.
    pub fn find_all(places: &CliPaths) -> Vec<TranscriptRoot> {
        let of = |sessions: &'static dyn TranscriptSource| {
            let own = readers::own_roots(places, sessions.cli());
            own.into_iter().map(move |root| TranscriptRoot::find(sessions, &root))
        };
        readers::all().into_iter().flat_map(of).filter(|found| !found.is_empty()).collect()
    }

    /// All transcripts in directories that aiw gave to CLIs.
    pub fn find_in_redirected_homes(home: &Home) -> Vec<TranscriptRoot> {
        let of = |sessions: &'static dyn TranscriptSource| {
            home.redirected_homes(sessions.cli()).into_iter().map(|given| TranscriptRoot::find(sessions, &given.path))
        };
        readers::all().into_iter().flat_map(of).filter(|found| !found.is_empty()).collect()
    }

    /// The transcripts at a path: a file, or a directory with all below it. Where they are in a CLI's own directory,
    /// they are that CLI's; elsewhere, what is in them tells.
    pub fn find_at_path(path: &Path, places: &CliPaths, home: &Home) -> Result<Vec<TranscriptRoot>, HistoryError> {
        let refuse =
            |reason: &str| HistoryError::TranscriptNotFound { path: path.to_owned(), reason: reason.to_owned() };
        let absolute = std::path::absolute(path).map_err(|e| refuse(&e.to_string()))?;
        let meta = std::fs::symlink_metadata(&absolute).map_err(|e| refuse(&format!("can't be read: {e}")))?;
        let roots = |sessions: &'static dyn TranscriptSource| {
            readers::roots(places, home, sessions.cli()).into_iter().map(move |root| (sessions, root))
        };
        for (sessions, root) in readers::all().into_iter().flat_map(roots) {
            let is_own = absolute == root || std::fs::canonicalize(&root).is_ok_and(|real| real == absolute);
            if is_own {
                return Ok(vec![TranscriptRoot::find(sessions, &root)]);
            }
            let Some(inner) = relative_path(&root, &absolute) else { continue };
            let start = format!("{inner}/");
            let found = TranscriptRoot::find(sessions, &root)
                .filter(|entry| entry.path == inner || entry.path.starts_with(&start));
            if !found.is_empty() {
                return Ok(vec![found]);
            }
        }
        let (root, entries) = match meta.is_dir() {
            true => (absolute.clone(), walk(&absolute, &[""])),
            false => {
                let parent = absolute.parent().ok_or_else(|| refuse("is not a transcript"))?.to_owned();
                let name = relative_path(&parent, &absolute).ok_or_else(|| refuse("has a name that is not text"))?;
                (parent.clone(), walk(&parent, &[&name]))
            }
        };
        let mut found = Vec::new();
        for cli in Cli::ALL {
            let is_of = |entry: &&FileEntry| kind(&root.join(&entry.path)) == Some(cli);
            let own: Vec<FileEntry> = entries.iter().filter(|entry| entry.is_regular).filter(is_of).cloned().collect();
            if !own.is_empty() {
                found.push(TranscriptRoot::new(readers::for_cli(cli), root.clone(), own));
            }
        }
        match found.is_empty() {
            true => Err(refuse("holds no transcript of an AI CLI")),
            false => Ok(found),
        }
    }
}

/// Returns the CLI that wrote a transcript, judging by its first lines.
fn kind(path: &Path) -> Option<Cli> {
    let ending = path.extension()?.to_str()?;
    if ending != "jsonl" && ending != "json" {
        return None;
    }
    let mut start = Vec::new();
    let file = aiw_home::open_regular(path).ok()?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, 64 << 10), &mut start).ok()?;
    if ending == "json" {
        let text = String::from_utf8_lossy(&start);
        return (text.contains("\"sessionId\"") && text.contains("\"messages\"")).then_some(Cli::Gemini);
    }
    for line in start.split(|byte| *byte == b'\n').take(20) {
        if string_at(line, "projectHash").is_some() {
            return Some(Cli::Gemini);
        }
        match string_at(line, "type") {
            Some(b"session_meta" | b"response_item" | b"turn_context" | b"event_msg") => return Some(Cli::Codex),
            Some(_) if string_at(line, "sessionId").is_some() => return Some(Cli::Claude),
            Some(_) => {}
            None if string_at(line, "session_id").is_some() && string_at(line, "text").is_some() => {
                return Some(Cli::Codex);
            }
            None => {}
        }
    }
    // Damaged from the beginning: `doctor` names it.
    Some(Cli::Claude)
}

/// Takes in transcripts, and says how many bytes are done.
pub(crate) fn ingest_root(
    intake: &mut Ingester<'_>,
    found: &TranscriptRoot,
    report: &mut Report,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<(), HistoryError> {
    let total = found.bytes();
    let mut done = 0;
    for entry in &found.entries {
        let mut within = |bytes: u64| observe(done + bytes.min(entry.size), total);
        report.add(intake.ingest(found.sessions, &found.root, &entry.path, &found.names, &mut within)?);
        done += entry.size;
        observe(done, total);
    }
    Ok(())
}

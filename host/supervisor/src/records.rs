//! The records of a room: one directory for each process, with its record.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aiw_core::ProcessId;
use aiw_events::{EventKind, EventLog, HomeEvent};
use aiw_home::{Home, OpenDirectory};
use serde::Deserialize;

use crate::MAX_ANCESTORS;
use crate::announced::EventContext;
use crate::directory::ReservedSpace;
use crate::error::{RecordError, SupervisorError};
use crate::files::{create_private, write_atomically};
use crate::names::{Namespace, ResourceKind};
use crate::record::{Labels, ProcessRecord};

/// The version of the records that this aiw writes and understands. A change that older versions would misread needs
/// a new version; a change that they can ignore is a new field.
pub(crate) const VERSION: u32 = 1;
/// The maximum size of a record. Records are small, because long texts have files of their own.
const MAX_BYTES: u64 = 1 << 20;

/// Checks whether the room above understands the labels of a record.
pub(crate) type LabelValidator = fn(&Labels) -> Result<(), serde_json::Error>;

/// The result of looking for a record.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// A record.
    Record(Box<ProcessRecord>),
    /// No file, or an empty one.
    NotFound,
    /// A record that this aiw does not understand, or cannot read at the moment.
    Unreadable(RecordError),
    /// A link, which is not followed.
    Symlink,
    /// Something else that is not a directory, with its kind.
    NotADirectory(&'static str),
}

/// The directory of a room's processes.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    root: PathBuf,
    names: Namespace,
    understands: LabelValidator,
}

impl Records {
    pub fn open(home: &Home, names: Namespace) -> Self {
        Self::from_root(home.root().join(&*names.directory), names)
    }

    pub fn from_root(root: PathBuf, names: Namespace) -> Self {
        let records = Self { root, names, understands: |_| Ok(()) };
        // A shim is told this directory, and not the home.
        records.home().map(aiw_home::register_state_root);
        records
    }

    /// Restricts these to records whose labels `understands` accepts.
    pub fn with_label_validator(self, understands: LabelValidator) -> Self {
        Self { understands, ..self }
    }

    pub fn names(&self) -> &Namespace {
        &self.names
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Adds an event about one of the processes, if events tell of it.
    pub fn log_event(&self, record: &ProcessRecord, kind: EventKind, more: impl FnOnce(HomeEvent) -> HomeEvent) {
        let (Some(announced), Some(home)) = (&record.announced, self.home()) else { return };
        let EventContext { of, name, project, failures_only } = announced.clone();
        if failures_only && kind != EventKind::Failed {
            return;
        }
        let event = HomeEvent { project, id: Some(record.id.to_string()), ..HomeEvent::now(kind, of) };
        // Of a private run, which has no name, no more is said.
        let event = if name.is_some() { more(HomeEvent { name, ..event }) } else { event };
        // A full disk must not stop a process.
        let _ = EventLog::new(home).add(&event);
    }

    /// Returns the root of the home.
    fn home(&self) -> Option<&Path> {
        self.root.ancestors().nth(Path::new(&*self.names.directory).components().count())
    }

    /// Returns the word for one of the processes.
    pub fn kind(&self) -> ResourceKind {
        self.names.kind.clone()
    }

    /// Returns the directory of a process.
    pub fn directory(&self, id: ProcessId) -> PathBuf {
        self.root.join(id.as_str())
    }

    /// Returns the path where a process's directory is made until it is complete.
    pub fn staging_path(&self, id: ProcessId) -> PathBuf {
        self.root.join(format!("{STAGING_PREFIX}{id}"))
    }

    /// Returns all processes that have a directory.
    pub fn ids(&self) -> Result<Vec<ProcessId>, SupervisorError> {
        Ok(self.file_names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Returns the processes whose directories are being made, or were when their makers died.
    pub fn staged_ids(&self) -> Result<Vec<ProcessId>, SupervisorError> {
        Ok(self.file_names()?.iter().filter_map(|name| name.strip_prefix(STAGING_PREFIX)?.parse().ok()).collect())
    }

    fn file_names(&self) -> Result<Vec<String>, SupervisorError> {
        match aiw_home::read_dir(&self.root) {
            Ok(entries) => Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(SupervisorError::io("read", &self.root, e)),
        }
    }

    /// Reads a record. Returns `None` if it does not exist or cannot be read.
    pub fn read(&self, id: ProcessId) -> Option<ProcessRecord> {
        match self.find(id) {
            Lookup::Record(record) => Some(*record),
            Lookup::NotFound | Lookup::Unreadable(_) | Lookup::Symlink | Lookup::NotADirectory(_) => None,
        }
    }

    /// Returns the processes above one, nearest first, as far as their records exist.
    pub fn ancestors(&self, record: &ProcessRecord) -> Vec<ProcessId> {
        let mut above = Vec::new();
        let mut next = record.parent;
        while let Some(id) = next.filter(|id| above.len() < MAX_ANCESTORS && !above.contains(id)) {
            above.push(id);
            next = self.read(id).and_then(|record| record.parent);
        }
        above
    }

    /// Returns what is in place of a process's record. Every operation on a process begins here, so a directory that is
    /// a link is never followed.
    pub fn find(&self, id: ProcessId) -> Lookup {
        self.find_in(&self.open_dir(), id)
    }

    /// Opens the directory of all processes, for looking at many.
    pub fn open_dir(&self) -> OpenDirectory {
        OpenDirectory::new(&self.root)
    }

    /// Like [`find`](Self::find), in the open directory of all processes.
    pub fn find_in(&self, all: &OpenDirectory, id: ProcessId) -> Lookup {
        /// The part that all versions have in common.
        #[derive(Deserialize)]
        struct RecordHead {
            version: u32,
        }
        let bytes = match all.read_capped(&Path::new(id.as_str()).join(&*self.names.record), MAX_BYTES) {
            Ok(Some(bytes)) if !bytes.is_empty() => bytes,
            none => return self.instead(id, none.err()),
        };
        match serde_json::from_slice::<ProcessRecord>(&bytes) {
            Ok(record) if record.version > VERSION => Lookup::Unreadable(RecordError::UnsupportedVersion),
            Ok(record) if record.id == id => match (self.understands)(&record.labels) {
                Ok(()) => Lookup::Record(Box::new(record)),
                Err(error) => Lookup::Unreadable(error.into()),
            },
            Ok(_) => Lookup::Unreadable(RecordError::WrongKind),
            Err(error) => match serde_json::from_slice::<RecordHead>(&bytes) {
                Ok(head) if head.version > VERSION => Lookup::Unreadable(RecordError::UnsupportedVersion),
                _ => Lookup::Unreadable(error.into()),
            },
        }
    }

    /// Returns what is where a record should be that could not be read, or is empty.
    fn instead(&self, id: ProcessId, error: Option<aiw_home::HomeError>) -> Lookup {
        match fs::symlink_metadata(self.directory(id)).map(|meta| meta.file_type()) {
            Ok(kind) if kind.is_symlink() => Lookup::Symlink,
            Ok(kind) if !kind.is_dir() => Lookup::NotADirectory(name_of(kind)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => Lookup::Unreadable(e.into()),
            _ => error.map_or(Lookup::NotFound, |error| Lookup::Unreadable(error.into())),
        }
    }

    /// Returns the record that was found, or the error for what was found instead.
    pub fn require_record(&self, id: ProcessId, found: Lookup) -> Result<ProcessRecord, SupervisorError> {
        let (noun, path) = (self.kind(), || self.directory(id));
        Err(match found {
            Lookup::Record(record) => return Ok(*record),
            Lookup::NotFound => SupervisorError::NotFound { noun, id },
            Lookup::Unreadable(source) => SupervisorError::Unreadable { noun, id, source },
            Lookup::Symlink => SupervisorError::SymlinkRejected { path: path() },
            Lookup::NotADirectory(what) => SupervisorError::NotADirectory { noun, id, path: path(), what },
        })
    }

    /// Writes the first record, into a directory that nobody reads yet.
    pub fn create(&self, directory: &Path, record: &ProcessRecord) -> Result<(), SupervisorError> {
        let path = directory.join(&*self.names.record);
        let write = || create_private(&path)?.write_all(&serde_json::to_vec(record)?);
        write().map_err(|e| SupervisorError::io("write", &path, e))
    }

    /// Replaces the record in a directory. Only the shim may call this, or a process that took the lock after the
    /// shim.
    pub fn save(&self, directory: &Path, record: &ProcessRecord) -> Result<(), SupervisorError> {
        let path = directory.join(&*self.names.record);
        let bytes = serde_json::to_vec(record).map_err(|e| SupervisorError::io("write", &path, e.into()))?;
        write_atomically(&path, &bytes)
    }

    /// Writes the final record. If the disk is full, it is written into the reserved space, without its longest label
    /// if necessary.
    pub fn save_last(&self, directory: &Path, record: &ProcessRecord) -> Result<(), SupervisorError> {
        let reserve = ReservedSpace::new(directory);
        self.save(directory, record).or_else(|error| {
            let path = directory.join(&*self.names.record);
            let into_reserve = |record: &ProcessRecord| reserve.write(&path, &serde_json::to_vec(record)?);
            let mut short = record.clone();
            let length = |value: &serde_json::Value| value.as_str().map_or(0, str::len);
            let longest = short.labels.iter().max_by_key(|(_, value)| length(value)).map(|(name, _)| name.clone());
            if let Some(longest) =
                longest.filter(|name| short.labels.get(name).is_some_and(|value| length(value) > MAX_LABEL_BYTES))
            {
                short.labels.insert(longest, serde_json::Value::Null);
                short.add_note("the disk was full: its last words are only in the log, if at all");
            }
            into_reserve(record).or_else(|_| into_reserve(&short)).map_err(|_| error)
        })?;
        reserve.remove();
        Ok(())
    }
}

/// Returns the name of a kind of file that is neither a directory nor a link.
fn name_of(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_file() => "a file",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

/// On a full disk, the longest label is left out if it is longer than this.
const MAX_LABEL_BYTES: usize = 1 << 10;
/// The prefix of directories that are being made.
const STAGING_PREFIX: &str = ".new-";

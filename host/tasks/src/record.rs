//! The record of a task: `tasks/<id>/`, the truth about it.
//!
//! ```text
//! task.json   what is known, replaced as a whole
//! prompt      the CLI's standard input
//! log, log.1  what it wrote
//! alive       locked by the shim while it lives; the system unlocks it when the shim dies
//! reserve     room for the last record, for a disk that is full by then
//! stop        asks a shim that cannot be signalled to end the task
//! read        there once a report has shown how the task ended
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use aiw_core::{CliKind, TaskId, one_line};
use aiw_home::Home;
use serde::{Deserialize, Serialize};

use crate::files::{create_private, write_atomically, write_into};
use crate::{MAX_DEPTH, NewTask, Outcome, Root, State, Task, TaskError, Usage};

/// The version of the records that this aiw writes and understands. What older ones would
/// misunderstand is a new version; what they may leave alone is a new field.
const VERSION: u32 = 1;
/// A record is small: what is long has files of its own.
const MAX_BYTES: u64 = 1 << 20;
/// The most bytes of a final message that a record keeps; all of it is in the log.
pub(crate) const FINAL_MESSAGE: usize = 32 << 10;
/// The most characters of each other text.
const TEXT: usize = 400;

/// A process as it is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pid {
    pub pid: u32,
    pub start: u64,
}

/// `task.json`
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub version: u32,
    pub id: TaskId,
    pub root: Root,
    pub cli: CliKind,
    pub state: State,
    #[serde(default)]
    pub outcome: Option<Outcome>,
    #[serde(default)]
    pub exit_code: Option<i32>,
    #[serde(default)]
    pub signal: Option<i32>,
    pub started: u64,
    #[serde(default)]
    pub running_since: Option<u64>,
    #[serde(default)]
    pub ended: Option<u64>,
    #[serde(default)]
    pub provider: Option<String>,
    #[serde(default)]
    pub role: Option<String>,
    #[serde(default)]
    pub tag: Option<String>,
    #[serde(default)]
    pub model: Option<String>,
    pub permission: String,
    #[serde(default)]
    pub bypass: Option<String>,
    pub prompt: String,
    pub cwd: PathBuf,
    #[serde(default)]
    pub session: Option<String>,
    #[serde(default)]
    pub final_message: Option<String>,
    #[serde(default)]
    pub usage: Option<Usage>,
    #[serde(default)]
    pub cost_usd: Option<f64>,
    #[serde(default)]
    pub note: Option<String>,
    #[serde(default)]
    pub depth: u8,
    /// The task right above it.
    #[serde(default)]
    pub isolated: bool,
    #[serde(default)]
    pub parent: Option<TaskId>,
    #[serde(default)]
    pub timeout: Option<u64>,
    pub shim: Pid,
    /// The CLI, which is also the leader of its group.
    #[serde(default)]
    pub child: Option<Pid>,
    pub instance: u64,
    /// Named files in memory, which go when the task has ended.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// The namespace that the process ids belong to.
    pub pid_namespace: u64,
    /// The system's start that they belong to, too.
    #[serde(default)]
    pub boot: Option<String>,
    /// What a newer aiw has put here stays when this one writes the record.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// What is found where a task's record should be.
#[derive(Debug)]
pub(crate) enum Found {
    /// A record.
    Record(Box<Record>),
    /// Nothing, or an empty file.
    Nothing,
    /// Something that this aiw does not understand, or cannot read just now; why.
    Unreadable(String),
    /// A link, which is not followed.
    Link,
    /// Something else that is no directory; what it is.
    NoDirectory(&'static str),
}

impl Record {
    /// The record of a task that begins.
    pub fn new(id: TaskId, root: Root, task: NewTask, shim: Pid, instance: u64) -> Self {
        let text = |text: String| one_line(&text, TEXT);
        Self {
            version: VERSION,
            id,
            root,
            cli: task.cli,
            state: State::Queued,
            outcome: None,
            exit_code: None,
            signal: None,
            started: aiw_home::now_millis(),
            running_since: None,
            ended: None,
            provider: task.provider.map(text),
            role: task.role.map(text),
            tag: task.tag.map(text),
            model: task.model.map(text),
            permission: text(task.permission),
            bypass: task.bypass.map(text),
            prompt: one_line(&task.prompt_preview, TEXT),
            cwd: task.cwd,
            session: task.session.map(text),
            final_message: None,
            usage: None,
            cost_usd: None,
            note: None,
            depth: task.depth,
            parent: task.parent,
            isolated: task.isolated,
            timeout: task.timeout.map(|t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX)),
            shim,
            child: None,
            instance,
            files: Vec::new(),
            pid_namespace: crate::platform::pid_namespace(),
            boot: crate::platform::boot().map(str::to_owned),
            more: serde_json::Map::new(),
        }
    }

    /// Removes the named files. A forged record removes nothing else, and nothing that a shim holds.
    pub fn remove_files(&mut self) {
        self.files.drain(..).for_each(|path| crate::program::remove_left(&path));
    }

    /// Adds a sentence to the note.
    pub fn note(&mut self, sentence: &str) {
        match &mut self.note {
            Some(note) if note.contains(sentence) => {}
            Some(note) => {
                note.push_str("; ");
                note.push_str(sentence);
            }
            None => self.note = Some(sentence.to_owned()),
        }
    }

    /// The record as the task that it is of.
    pub fn into_task(self, directory: &Path) -> Task {
        let ended = self.state == State::Ended;
        Task {
            id: self.id,
            pid: self.child.map(|child| child.pid),
            root_pid: self.root.pid,
            cli: self.cli,
            provider: self.provider,
            role: self.role,
            tag: self.tag,
            model: self.model,
            state: self.state,
            outcome: self.outcome,
            exit_code: self.exit_code,
            signal: self.signal,
            started: self.started,
            running_since: self.running_since,
            ended: self.ended,
            unread: ended && !directory.join("read").exists(),
            prompt: self.prompt,
            cwd: self.cwd,
            log: directory.join("log"),
            session: self.session,
            permission: self.permission,
            bypass: self.bypass,
            final_message: self.final_message,
            usage: self.usage,
            cost_usd: self.cost_usd,
            note: self.note,
            depth: self.depth,
            parent: self.parent,
            isolated: self.isolated,
            timeout: self.timeout,
        }
    }
}

/// `tasks/`
#[derive(Debug, Clone)]
pub(crate) struct Records {
    root: PathBuf,
}

impl Records {
    pub fn of(home: &Home) -> Self {
        Self { root: home.root().join("tasks") }
    }

    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of a task.
    pub fn directory(&self, id: TaskId) -> PathBuf {
        self.root.join(id.as_str())
    }

    /// Where a task's directory is made, before it is whole.
    pub fn staging(&self, id: TaskId) -> PathBuf {
        self.root.join(format!("{STAGING}{id}"))
    }

    /// All tasks that have a directory.
    pub fn ids(&self) -> Result<Vec<TaskId>, TaskError> {
        Ok(self.names()?.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// Those whose directories are being made, or were when their makers died.
    pub fn staged(&self) -> Result<Vec<TaskId>, TaskError> {
        Ok(self.names()?.iter().filter_map(|name| name.strip_prefix(STAGING)?.parse().ok()).collect())
    }

    fn names(&self) -> Result<Vec<String>, TaskError> {
        match fs::read_dir(&self.root) {
            Ok(entries) => Ok(entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(TaskError::io("read", &self.root, e)),
        }
    }

    /// A record; `None` if there is none, or none that can be read.
    pub fn read(&self, id: TaskId) -> Option<Record> {
        match self.find(id) {
            Found::Record(record) => Some(*record),
            Found::Nothing | Found::Unreadable(_) | Found::Link | Found::NoDirectory(_) => None,
        }
    }

    /// The tasks above one, nearest first, as far as their records are there.
    pub fn above(&self, record: &Record) -> Vec<TaskId> {
        let mut above = Vec::new();
        let mut next = record.parent;
        while let Some(id) = next.filter(|id| above.len() < usize::from(MAX_DEPTH) + 1 && !above.contains(id)) {
            above.push(id);
            next = self.read(id).and_then(|record| record.parent);
        }
        above
    }

    /// What is there in the place of a task's record. Everything that is done with a task begins here, so
    /// a directory that is a link is never followed.
    pub fn find(&self, id: TaskId) -> Found {
        /// The part that all versions have.
        #[derive(Deserialize)]
        struct Head {
            version: u32,
        }
        match fs::symlink_metadata(self.directory(id)).map(|meta| meta.file_type()) {
            Ok(kind) if kind.is_dir() => {}
            Ok(kind) if kind.is_symlink() => return Found::Link,
            Ok(kind) => return Found::NoDirectory(name_of(kind)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Found::Nothing,
            Err(e) => return Found::Unreadable(e.to_string()),
        }
        let bytes = match aiw_home::read_capped(&self.directory(id).join("task.json"), MAX_BYTES) {
            Ok(Some(bytes)) if !bytes.is_empty() => bytes,
            Ok(_) => return Found::Nothing,
            Err(error) => return Found::Unreadable(error.to_string()),
        };
        match serde_json::from_slice::<Head>(&bytes) {
            Ok(head) if head.version > VERSION => {
                return Found::Unreadable("a newer version of aiw has written its record".into());
            }
            _ => {}
        }
        match serde_json::from_slice::<Record>(&bytes) {
            Ok(record) if record.id == id => Found::Record(Box::new(record)),
            Ok(_) => Found::Unreadable("its record is of another task".into()),
            Err(error) => Found::Unreadable(format!("its record makes no sense: {error}")),
        }
    }
}

/// The name of a kind of file that is neither a directory nor a link.
fn name_of(kind: fs::FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    match kind {
        kind if kind.is_file() => "a file",
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

const STAGING: &str = ".new-";
const RESERVE: &str = "reserve";
/// Enough for a record with usual texts, its final message included.
const RESERVED: usize = 64 << 10;

/// Writes the first record, into a directory that nobody looks into yet.
pub(crate) fn create(directory: &Path, record: &Record) -> Result<(), TaskError> {
    let path = directory.join("task.json");
    let write = || create_private(&path)?.write_all(&serde_json::to_vec(record)?);
    write().map_err(|e| TaskError::io("write", &path, e))
}

/// Replaces the record in a task's directory. Only the shim does, or whoever holds its lock after it.
pub(crate) fn save(directory: &Path, record: &Record) -> Result<(), TaskError> {
    let path = directory.join("task.json");
    let bytes = serde_json::to_vec(record).map_err(|e| TaskError::io("write", &path, e.into()))?;
    write_atomically(&path, &bytes)
}

/// Sets room for the last record apart. Where there is none, the task runs without.
pub(crate) fn reserve(directory: &Path) {
    let _ = crate::files::reserve(&directory.join(RESERVE), RESERVED);
}

/// Writes the record of a task's end, on a full disk into the room that was set apart for it.
pub(crate) fn save_last(directory: &Path, record: &Record) -> Result<(), TaskError> {
    let reserve = directory.join(RESERVE);
    save(directory, record).or_else(|error| {
        let path = directory.join("task.json");
        let into_reserve = |record: &Record| write_into(&reserve, &path, &serde_json::to_vec(record)?);
        let mut short = record.clone();
        if short.final_message.take().is_some() {
            short.note("the disk was full: its last words are only in the log, if at all");
        }
        into_reserve(record).or_else(|_| into_reserve(&short)).map_err(|_| error)
    })?;
    let _ = fs::remove_file(reserve);
    Ok(())
}

/// Marks a task as shown by a report, if the disk lets us.
pub(crate) fn mark_read(directory: &Path) {
    let _ = create_private(&directory.join("read"));
}

/// Asks for the end of a task in its directory.
pub(crate) fn ask_to_stop(directory: &Path) -> Result<(), TaskError> {
    let path = directory.join(STOP);
    match create_private(&path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(TaskError::io("write", &path, e)),
        _ => Ok(()),
    }
}

/// Whether the end of a task was asked for in its directory.
pub(crate) fn is_asked_to_stop(directory: &Path) -> bool {
    directory.join(STOP).exists()
}

const STOP: &str = "stop";

/// Whether a shim supervises the task of a directory, whatever is left of its record. A shim locks a plain
/// file.
pub(crate) fn is_supervised(directory: &Path) -> Result<bool, TaskError> {
    match fs::symlink_metadata(directory.join(ALIVE)) {
        Ok(meta) if meta.is_file() => Ok(Alive::take(directory)?.is_none()),
        Ok(_) => Ok(false),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(TaskError::io("look at", &directory.join(ALIVE), e)),
    }
}

const ALIVE: &str = "alive";

/// The lock that a shim holds as long as it lives, seen alike from all namespaces.
#[derive(Debug)]
pub(crate) struct Alive {
    _file: File,
}

impl Alive {
    /// Takes the lock; `None` if the shim lives, or somebody else cleans up after it.
    pub fn take(directory: &Path) -> Result<Option<Self>, TaskError> {
        use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
        let path = directory.join(ALIVE);
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match open(&path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(file) => File::from(file),
            // Removed in the meantime.
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            // Where nothing can be written it can still be asked who holds the lock.
            Err(e) => {
                match open(&path, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK, Mode::empty())
                {
                    Ok(file) => File::from(file),
                    Err(_) => return Err(TaskError::io("open", &path, e.into())),
                }
            }
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(e) => Err(TaskError::io("lock", &path, e.into())),
        }
    }
}

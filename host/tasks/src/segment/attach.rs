//! How a segment comes to be, is found and goes: one lock decides, and `shared_memory` only makes
//! and maps. The crate's own link files leave dead or doubled segments when a starter is killed.

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Segment;
use super::layout::{PID_NAMESPACE, READY, ROOT_PID, ROOT_START, SIZE, magic, version};
use super::memory::Memory;
use crate::runtime::RuntimeDir;
use crate::{Root, TaskError, platform};

/// Whoever holds the lock does so for microseconds; longer, and it is stopped.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a session's files are called. No `-`: it ends the name within a segment's id.
fn name_of(pid: u32) -> String {
    format!("{pid}_task{}", version())
}

/// The sessions that have a segment, by the process ids of their roots.
pub(crate) fn sessions(dir: &RuntimeDir) -> Result<Vec<u32>, TaskError> {
    if !dir.check()? {
        return Ok(Vec::new());
    }
    let end = format!("_task{}", version());
    let entries = fs::read_dir(dir.path()).map_err(|e| TaskError::io("read", dir.path(), e))?;
    let pid = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(&end)?.parse().ok();
    Ok(entries.flatten().filter_map(pid).collect())
}

/// Frees the slots of dead shims, and removes the segments of sessions whose root and shims are all dead.
pub(crate) fn sweep_dead(dir: &RuntimeDir) -> Result<(), TaskError> {
    for pid in sessions(dir)? {
        let Ok(Some(segment)) = Segment::open(dir, Root { pid, start: 0 }) else { continue };
        if segment.reclaim() > 0 {
            segment.hand_on();
        }
        let in_use = || segment.is_taken() || platform::is_alive(segment.root.pid, segment.root.start);
        if in_use() {
            continue;
        }
        let Ok(lock) = SessionLock::take(dir, pid, Duration::ZERO) else { continue };
        // Somebody may have come in the meantime.
        if segment.is_current() && !in_use() {
            let _ = fs::remove_file(&segment.link);
            unlink(&segment.id);
            let _ = fs::remove_file(lock.path());
        }
    }
    sweep_strays();
    Ok(())
}

/// Removes segments that no link leads to any more (their runtime directory is gone), once their
/// root and shims are dead.
fn sweep_strays() {
    let Some(directory) = platform::segment_file("/x").and_then(|p| p.parent().map(Path::to_owned)) else { return };
    let begin = format!("aiw-{}-", geteuid().as_raw());
    let middle = format!("_task{}_", version());
    // Many may be of one root.
    let mut alive: HashMap<u32, bool> = HashMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let pid = name.strip_prefix(&begin).and_then(|rest| rest.split_once(&middle)?.0.parse().ok());
        let Some(pid) = pid.filter(|pid| !*alive.entry(*pid).or_insert_with(|| platform::is_alive(*pid, 0))) else {
            continue;
        };
        let id = format!("/{name}");
        if let Ok(Some(segment)) = Segment::map(&id, Path::new(""), Root { pid, start: 0 }) {
            segment.reclaim();
            if !segment.is_taken() {
                unlink(&id);
            }
        }
    }
}

impl Segment {
    /// The segment of a session, if it has one. Of a root whose start is not known, whatever is there.
    pub fn open(dir: &RuntimeDir, root: Root) -> Result<Option<Arc<Self>>, TaskError> {
        if !dir.check()? {
            return Ok(None);
        }
        let link = dir.path().join(name_of(root.pid));
        // It may be replaced between the reading of its name and the mapping.
        let mut last = Ok(None);
        for _ in 0..3 {
            let Some(id) = read_link(&link, root.pid)? else { return Ok(None) };
            last = Self::map(&id, &link, root);
            if matches!(last, Ok(Some(_))) {
                break;
            }
        }
        Ok(last?.map(Arc::new))
    }

    /// The segment of a session, made if it has none that is fit to use.
    pub fn attach(dir: &RuntimeDir, root: Root) -> Result<Arc<Self>, TaskError> {
        dir.create()?;
        // Hardly ever is there anything to decide.
        if let Ok(Some(segment)) = Self::open(dir, root) {
            return Ok(segment);
        }
        let lock = SessionLock::take(dir, root.pid, PATIENCE)?;
        let link = dir.path().join(name_of(root.pid));
        if let Ok(Some(id)) = read_link(&link, root.pid)
            && let Ok(Some(segment)) = Self::map(&id, &link, root)
        {
            return Ok(Arc::new(segment));
        }
        if fs::symlink_metadata(&link).is_ok_and(|m| !m.is_file()) {
            return Err(TaskError::Runtime { path: link, problem: "is not a plain file".into() });
        }
        let segment = Self::make(&link, root)?;
        drop(lock);
        Ok(Arc::new(segment))
    }

    /// Whether the session still uses this segment; else a long-lived process attaches again.
    pub fn is_current(&self) -> bool {
        matches!(read_link(&self.link, self.root.pid), Ok(Some(id)) if id == self.id)
            && platform::segment_file(&self.id).is_none_or(|path| fs::symlink_metadata(path).is_ok())
    }

    /// Hands free places on, now. Where that cannot be decided, the first of those who wait does it in a second.
    pub fn hand_on(&self) {
        if let Ok(lock) = SessionLock::of(self) {
            self.advance(&lock);
        }
    }

    /// Its name in the system.
    pub fn name(&self) -> &str {
        &self.id
    }

    /// Loses its link, for tests: the next one makes another segment.
    pub fn forget(&self) {
        let _ = fs::remove_file(&self.link);
    }

    /// Maps what a link names; `None` if it is of another process that had the root's id.
    fn map(id: &str, link: &Path, root: Root) -> Result<Option<Self>, TaskError> {
        let refuse = |reason: &str| TaskError::Memory { name: id.to_owned(), reason: reason.to_owned() };
        if let Some(path) = platform::segment_file(id) {
            let meta = fs::symlink_metadata(&path).map_err(|e| refuse(&e.to_string()))?;
            if !meta.is_file() || meta.uid() != geteuid().as_raw() || meta.mode() & 0o777 != 0o600 {
                return Err(refuse("it is not a private file of this user"));
            }
            if meta.len() != SIZE as u64 {
                return Err(refuse("it is truncated"));
            }
        }
        let memory = Memory::open(id).map_err(|e| refuse(&e.to_string()))?.ok_or_else(|| refuse("it is truncated"))?;
        let words = memory.words();
        if words[READY].load(Ordering::Acquire) != magic() {
            return Err(refuse("it is not of this version of aiw, or was never finished"));
        }
        let word = |index: usize| words[index].load(Ordering::Relaxed);
        let theirs = Root { pid: u32::try_from(word(ROOT_PID)).unwrap_or(0), start: word(ROOT_START) };
        if !theirs.is(&root) || word(PID_NAMESPACE) != platform::pid_namespace() {
            return Ok(None);
        }
        let start = if theirs.start == 0 { root.start } else { theirs.start };
        let root = Root { pid: root.pid, start };
        Ok(Some(Self { memory, id: id.to_owned(), link: link.to_owned(), root }))
    }

    /// Makes a new one, under the lock. Death at any point leaves the old link, or what the next one removes.
    fn make(link: &Path, root: Root) -> Result<Self, TaskError> {
        let prefix = prefix_of(link, root.pid);
        sweep_segments(&prefix, link, root.pid);
        let id = format!("{prefix}{}", unique());
        let refuse = |reason: String| TaskError::Memory { name: id.clone(), reason };
        let memory = Memory::create(&id).map_err(|e| refuse(absent().unwrap_or_else(|| e.to_string())))?;
        // The file is sparse as yet: where its pages cannot be had, a later access would kill us.
        if let Err(error) = platform::allocate_segment(&id, SIZE as u64) {
            unlink(&id);
            return Err(refuse(format!("{SIZE} bytes cannot be had: {error}")));
        }
        let words = memory.words();
        words[ROOT_PID].store(u64::from(root.pid), Ordering::Relaxed);
        words[ROOT_START].store(root.start, Ordering::Relaxed);
        words[PID_NAMESPACE].store(platform::pid_namespace(), Ordering::Relaxed);
        words[READY].store(magic(), Ordering::Release);
        crate::files::write_atomically(link, id.as_bytes())?;
        Ok(Self { memory, id, link: link.to_owned(), root })
    }
}

/// That there is no place for segments at all, which the system's own words do not tell.
fn absent() -> Option<String> {
    let directory = platform::segment_file("/x")?.parent()?.to_owned();
    let is_there = fs::metadata(&directory).is_ok_and(|meta| meta.is_dir());
    (!is_there).then(|| format!("there is no `{0}`; mount a tmpfs at `{0}`", directory.display()))
}

/// How the ids of a session's segments begin: with the user, the session and, where segments are
/// swept by this prefix, the runtime directory. Two of those are two worlds.
fn prefix_of(link: &Path, pid: u32) -> String {
    let uid = geteuid().as_raw();
    let name = name_of(pid);
    if !cfg!(target_os = "linux") {
        return format!("/aiw-{uid}-{name}-");
    }
    let directory = link.parent().unwrap_or(link).as_os_str().as_encoded_bytes();
    // FNV-1a: the same in every build.
    let hash = directory
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("/aiw-{uid}-{name}_{}-", &aiw_core::TaskId::from_number(hash).as_str()[4..])
}

/// Short: macOS allows an id 31 characters.
fn unique() -> String {
    aiw_core::TaskId::from_number(crate::files::random()).as_str()[4..].to_owned()
}

/// The segment that a link file names.
fn read_link(link: &Path, pid: u32) -> Result<Option<String>, TaskError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let refuse = |problem: &str| TaskError::Runtime { path: link.to_owned(), problem: problem.to_owned() };
    let file = match open(link, flags, Mode::empty()) {
        Ok(file) => fs::File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(refuse("is a symbolic link, and must be a file")),
        Err(e) => return Err(TaskError::io("open", link, e.into())),
    };
    let meta = file.metadata().map_err(|e| TaskError::io("look at", link, e))?;
    if !meta.is_file() || meta.uid() != geteuid().as_raw() {
        return Err(refuse("is not a file of this user"));
    }
    let mut id = String::new();
    if file.take(256).read_to_string(&mut id).is_err() {
        return Err(refuse("does not name a segment"));
    }
    match id.strip_prefix(&prefix_of(link, pid)) {
        Some(rest) if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric()) && id.len() < 200 => {
            Ok(Some(id))
        }
        _ => Err(refuse("does not name a segment of this session")),
    }
}

/// Removes all segments of a session: nobody can find them any more, and those who map one keep it.
fn sweep_segments(prefix: &str, link: &Path, pid: u32) {
    if let Ok(Some(id)) = read_link(link, pid) {
        unlink(&id);
    }
    let Some(directory) = platform::segment_file("/x").and_then(|p| p.parent().map(Path::to_owned)) else { return };
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(&prefix[1..])) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn unlink(id: &str) {
    #[cfg(target_os = "linux")]
    if let Some(path) = platform::segment_file(id) {
        let _ = fs::remove_file(path);
    }
    #[cfg(not(target_os = "linux"))]
    Memory::unlink(id);
}

/// The right to decide about a session: which segment it has, and whose turn it is. The system
/// takes it back when its holder dies.
pub(crate) struct SessionLock {
    _file: fs::File,
    path: PathBuf,
}

impl SessionLock {
    /// Takes the lock of the session of a segment.
    pub fn of(segment: &Segment) -> Result<Self, TaskError> {
        let dir = RuntimeDir::at(segment.link.parent().unwrap_or(Path::new("/")).to_owned());
        Self::take(&dir, segment.root.pid, PATIENCE)
    }

    fn take(dir: &RuntimeDir, pid: u32, patience: Duration) -> Result<Self, TaskError> {
        let path = dir.path().join(format!("{}.lock", name_of(pid)));
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let busy = || TaskError::Busy { path: path.clone(), seconds: patience.as_secs() };
        let deadline = Instant::now() + patience;
        loop {
            let file = match open(&path, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => fs::File::from(file),
                Err(Errno::LOOP) => {
                    let problem = "is a symbolic link, and must be a file".into();
                    return Err(TaskError::Runtime { path, problem });
                }
                Err(e) => return Err(TaskError::io("open", &path, e.into())),
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let file =
                aiw_home::lock_within(file, left).map_err(|e| TaskError::io("lock", &path, e))?.ok_or_else(busy)?;
            // Whoever cleaned up has removed it with the session.
            let same = file.metadata().ok().zip(fs::symlink_metadata(&path).ok());
            if same.is_some_and(|(ours, theirs)| (ours.ino(), ours.dev()) == (theirs.ino(), theirs.dev())) {
                return Ok(Self { _file: file, path });
            }
        }
    }

    fn path(&self) -> &Path {
        &self.path
    }
}

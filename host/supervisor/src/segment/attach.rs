//! Creating, finding and removing segments. One lock decides, and `shared_memory` only creates and maps: the crate's
//! own link files leave dead or duplicate segments when a starter is killed.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aiw_home::remove_file;
use rustix::process::geteuid;

use super::layout::{
    PID_NAMESPACE_INDEX, READY_INDEX, ROOT_PID_INDEX, ROOT_START_INDEX, SEGMENT_BYTES, magic, version,
};
use super::lock::RootLock;
use super::mapped::{Segment, name_prefix, read_link};
use super::memory::Memory;
use crate::error::{ShmError, SupervisorError};
use crate::platform;
use crate::root::{ProcessScope, RawRoot, Root};
use crate::runtime::RuntimeDir;

/// A holder keeps the lock for microseconds. If it takes longer, the holder was stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// How old a directory's segment has to be to go when it has no processes.
const STALE_SEGMENT_AGE: Duration = Duration::from_secs(24 * 3600);

/// Returns how the names of a room's segments continue after the root. They contain no `-`, because that ends
/// the name within a segment's id.
fn ending(dir: &RuntimeDir) -> String {
    format!("_{}{}", dir.kind(), version())
}

/// Returns the file that names a root's segment.
fn link_of(dir: &RuntimeDir, root: &Root) -> PathBuf {
    dir.path().join(format!("{root}{}", ending(dir)))
}

/// Opens the segments of a scope, as far as there are any.
pub(crate) fn segments(
    dir: &RuntimeDir,
    scope: ProcessScope,
) -> Result<Vec<Result<Arc<Segment>, SupervisorError>>, SupervisorError> {
    if let ProcessScope::Root(root) = scope {
        return Ok(open(dir, root).transpose().into_iter().collect());
    }
    if !dir.check()? {
        return Ok(Vec::new());
    }
    let end = ending(dir);
    let entries = fs::read_dir(dir.path()).map_err(|e| SupervisorError::io("read", dir.path(), e))?;
    let links = entries.flatten().map(|entry| entry.path());
    let is_link =
        |link: &PathBuf| link.file_name().and_then(|name| name.to_str()?.strip_suffix(&end)).is_some_and(Root::is_name);
    let is_own = |link: &Path, segment: &Segment| link_of(dir, &segment.root) == link;
    let opened =
        links.filter(is_link).filter_map(|link| open_link(&link, |segment| is_own(&link, segment)).transpose());
    Ok(opened.collect())
}

/// Frees the slots of dead shims, and removes the segments that are not used any more.
pub(crate) fn sweep_dead(dir: &RuntimeDir) -> Result<(), SupervisorError> {
    for segment in segments(dir, ProcessScope::All)?.into_iter().flatten() {
        if segment.reclaim() > 0 {
            segment.grant_permits();
        }
        let in_use = || segment.is_taken() || is_kept(&segment.root, &segment.link);
        if in_use() {
            continue;
        }
        let Ok(lock) = RootLock::acquire(&segment.link, Duration::ZERO) else { continue };
        // Another process may have joined in the meantime.
        if segment.is_current() && !in_use() {
            let _ = remove_file(&segment.link);
            unlink(&segment.id);
            let _ = remove_file(lock.path());
        }
    }
    sweep_strays(dir);
    Ok(())
}

/// Returns whether a segment without processes stays for those to come: as long as its root lives. That of a directory
/// has no end, so its segment goes when it is old, and is made again when it is needed. `file` was made with it.
fn is_kept(root: &Root, file: &Path) -> bool {
    let made = || fs::symlink_metadata(file).and_then(|meta| meta.modified()).ok();
    let is_old = || made().is_some_and(|made| made.elapsed().is_ok_and(|age| age > STALE_SEGMENT_AGE));
    root.is_alive() && (root.pid().is_some() || !is_old())
}

/// Removes segments that no link leads to any more because their runtime directory is gone, once they are not used.
fn sweep_strays(dir: &RuntimeDir) {
    let Some(directory) = platform::segment_file("/x").and_then(|p| p.parent().map(Path::to_owned)) else { return };
    let begin = format!("aiw-{}-", geteuid().as_raw());
    let middle = format!("{}_", ending(dir));
    // Many segments may have the same root.
    let mut alive: HashMap<u32, bool> = HashMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Some((root, _)) = name.strip_prefix(&begin).and_then(|rest| rest.split_once(&middle)) else { continue };
        let pid = root.parse().ok();
        if !Root::is_name(root)
            || pid.is_some_and(|pid| *alive.entry(pid).or_insert_with(|| platform::is_alive(pid, 0)))
        {
            continue;
        }
        let id = format!("/{name}");
        if let Ok(segment) = Segment::map(&id, Path::new(""))
            && segment.root.to_string() == root
            && !(pid.is_none() && is_kept(&segment.root, &entry.path()))
        {
            segment.reclaim();
            if !segment.is_taken() {
                unlink(&id);
            }
        }
    }
}

/// Opens the segment of a root, if it has one. If the start of a process is not known, any segment with its process id
/// is accepted.
pub(crate) fn open(dir: &RuntimeDir, root: Root) -> Result<Option<Arc<Segment>>, SupervisorError> {
    if !dir.check()? {
        return Ok(None);
    }
    open_link(&link_of(dir, &root), |segment| segment.root.is_same_root(&root))
}

/// Opens the segment that a link names, if there is one and `is_own` accepts it.
fn open_link(link: &Path, is_own: impl Fn(&Segment) -> bool) -> Result<Option<Arc<Segment>>, SupervisorError> {
    // The segment may be replaced between reading its name and mapping it.
    let mut last = Ok(None);
    for _ in 0..3 {
        let Some(id) = read_link(link)? else { return Ok(None) };
        last = Segment::map(&id, link)
            .map(|segment| Some(segment).filter(|segment| segment.has_valid_pids() && is_own(segment)));
        if matches!(last, Ok(Some(_))) {
            break;
        }
    }
    Ok(last?.map(Arc::new))
}

/// Opens the segment of a root, and creates it if the root has none that is fit to use.
pub(crate) fn attach(dir: &RuntimeDir, root: Root) -> Result<Arc<Segment>, SupervisorError> {
    dir.create()?;
    let link = link_of(dir, &root);
    // In most cases the segment exists, and no lock is needed.
    if let Ok(Some(segment)) = open(dir, root) {
        return Ok(segment);
    }
    let lock = RootLock::acquire(&link, LOCK_TIMEOUT)?;
    if let Ok(Some(segment)) = open(dir, root) {
        return Ok(segment);
    }
    if fs::symlink_metadata(&link).is_ok_and(|m| !m.is_file()) {
        return Err(SupervisorError::InvalidRuntimeDir { path: link, problem: "is not a plain file".into() });
    }
    refuse_others(&link, root)?;
    let segment = make(&link, root)?;
    drop(lock);
    Ok(Arc::new(segment))
}

/// Refuses a directory whose name another directory has, as long as that one has processes: they must not lose their
/// segment.
fn refuse_others(link: &Path, root: Root) -> Result<(), SupervisorError> {
    let is_used = |segment: &Segment| {
        segment.reclaim();
        segment.root != root && segment.is_taken()
    };
    match open_link(link, is_used) {
        Ok(Some(_)) if root.pid().is_none() => {
            let problem = "belongs to another directory, whose processes still run".into();
            Err(SupervisorError::InvalidRuntimeDir { path: link.to_owned(), problem })
        }
        _ => Ok(()),
    }
}

/// Creates a segment, under the lock. If this process dies at any point, the old link remains, or a segment that the
/// next call removes.
fn make(link: &Path, root: Root) -> Result<Segment, SupervisorError> {
    let prefix = name_prefix(link);
    sweep_segments(&prefix, link);
    let id = format!("{prefix}{}", unique());
    let refuse = |source: ShmError| SupervisorError::SharedMemory { name: id.clone(), source };
    let memory =
        Memory::create(&id).map_err(|e| refuse(no_place().map_or_else(|| e.into(), ShmError::ShmUnavailable)))?;
    // The file is still sparse: without allocating its pages now, a later access could kill us.
    if let Err(error) = platform::allocate_segment(&id, SEGMENT_BYTES as u64) {
        unlink(&id);
        return Err(refuse(ShmError::ShmFull { bytes: SEGMENT_BYTES, source: error }));
    }
    let words = memory.words();
    let RawRoot { pid, start } = root.into();
    words[ROOT_PID_INDEX].store(u64::from(pid), Ordering::Relaxed);
    words[ROOT_START_INDEX].store(start, Ordering::Relaxed);
    words[PID_NAMESPACE_INDEX].store(platform::pid_namespace(), Ordering::Relaxed);
    words[READY_INDEX].store(magic(), Ordering::Release);
    crate::files::write_atomically(link, id.as_bytes())?;
    Ok(Segment { memory, id, link: link.to_owned(), root })
}

/// Returns the directory for segments if it does not exist, because the system's error does not say so.
fn no_place() -> Option<PathBuf> {
    let directory = platform::segment_file("/x")?.parent()?.to_owned();
    let is_there = fs::metadata(&directory).is_ok_and(|meta| meta.is_dir());
    (!is_there).then_some(directory)
}

/// Returns a unique suffix. It is short because macOS limits an id to 31 characters.
fn unique() -> String {
    aiw_core::ProcessId::from_number(crate::files::random()).as_str()[4..].to_owned()
}

/// Removes all segments of a root. Nobody can find them any more, but processes that have mapped one keep it.
fn sweep_segments(prefix: &str, link: &Path) {
    if let Ok(Some(id)) = read_link(link) {
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

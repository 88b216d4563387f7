//! A cache of compiled code on disk.
//!
//! wasmtime does not check compiled code: a flipped byte runs. So each file ends with a trailer of ours that holds the SHA-256
//! of each quarter of the rest, and what is loaded is checked against it. The quarters are hashed side by side: in one piece
//! the 20 MB of the component that runs scripts take 13 ms. Then the file itself is mapped, and only what runs is read. Only
//! our own compiler writes here: precompiled code from outside is refused by `aiw_extensions::inspect`. Another program of the same
//! user could forge a file, but that user can replace the aiw binary as well.

use std::fs;
use std::io::{Read, Seek, Write};
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aiw_home::{ExclusiveLock, Mode, replace_with};
use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::limits;

const MAGIC: &[u8; 16] = b"aiw-compiled-v3\n";
/// As many parts as the code is hashed in.
const HASH_CHUNK_COUNT: usize = 4;
const TRAILER_LEN: usize = MAGIC.len() + HASH_CHUNK_COUNT * 32;

/// A directory of compiled components. At [`limits::COMPILED_CACHE`], the least recently used are deleted. If
/// anything is wrong with the directory, code is compiled in memory.
#[derive(Debug, Clone)]
pub struct CompiledCache {
    dir: Option<PathBuf>,
}

impl CompiledCache {
    /// Creates a cache in a directory, which is created private if it does not exist.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir: Some(dir) }
    }

    /// Disables the cache: everything is compiled in memory.
    pub fn disabled() -> Self {
        Self { dir: None }
    }

    fn file(&self, key: &str) -> Option<PathBuf> {
        Some(self.dir.as_ref()?.join(format!("{key}.cwasm")))
    }

    /// Whether there is a file for this code.
    pub(crate) fn contains(&self, key: &str) -> bool {
        self.file(key).is_some_and(|path| is_ours(&path, false))
    }

    /// Returns the code compiled for this engine, if it is in the cache and intact.
    pub(crate) fn load(&self, engine: &wasmtime::Engine, key: &str) -> Option<Component> {
        let path = self.file(key)?;
        if !is_ours(self.dir.as_ref()?, true) || !is_ours(&path, false) {
            return None;
        }
        let file = aiw_home::open_regular(&path).ok()?;
        let component = intact(&file).and_then(|()| mapped(engine, &file).or_else(|| copied(engine, &file)));
        if component.is_none() {
            let _ = aiw_home::remove_file(&path);
            return None;
        }
        // Record the use for evicting the least recently used. Once an hour is often enough.
        let used = file.metadata().and_then(|meta| meta.modified());
        if used.is_ok_and(|used| used.elapsed().is_ok_and(|age| age.as_secs() > 3600)) {
            let _ = file.set_modified(SystemTime::now());
        }
        component
    }

    /// Waits until no other process compiles this code, for as long as that may take; it may be in the cache then.
    /// `None` without a cache, or if the wait was in vain: who compiles twice only loses time.
    pub(crate) fn lock_compile(&self, key: &str, patience: Duration) -> Option<CompileLock> {
        let dir = self.private_dir()?;
        let path = dir.join(format!("{key}.lock"));
        ExclusiveLock::try_acquire_for(&path, patience).ok().flatten().map(|turn| CompileLock { path, _turn: turn })
    }

    /// The directory, made private if it is not there.
    fn private_dir(&self) -> Option<&Path> {
        let dir = self.dir.as_ref()?;
        aiw_home::make_private_dir(dir).ok()?;
        is_ours(dir, true).then_some(dir)
    }

    /// Stores compiled code. A failure is not an error: the next process compiles again.
    pub(crate) fn store(&self, key: &str, code: &[u8]) {
        let (Some(dir), Some(path)) = (self.private_dir(), self.file(key)) else { return };
        make_room(dir, (code.len() + TRAILER_LEN) as u64);
        let _ = replace_with(&path, Mode::Private, |file| {
            file.write_all(code)?;
            file.write_all(MAGIC)?;
            parts(code.len()).try_for_each(|part| file.write_all(&Sha256::digest(&code[part])))
        });
    }
}

/// The right to compile certain code while others wait for the result.
#[derive(Debug)]
pub(crate) struct CompileLock {
    path: PathBuf,
    _turn: ExclusiveLock,
}

impl Drop for CompileLock {
    /// Whoever waits has the file open. Somebody who comes later finds the result, and makes a new one if there is none.
    fn drop(&mut self) {
        let _ = aiw_home::remove_file(&self.path);
    }
}

/// Returns whether a path is owned by us, is not a link, and is writable by nobody else.
fn is_ours(path: &Path, directory: bool) -> bool {
    fs::symlink_metadata(path).is_ok_and(|meta| {
        let kind = if directory { meta.is_dir() } else { meta.is_file() };
        kind && meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o022 == 0
    })
}

/// The parts that this many bytes of code are hashed in.
fn parts(length: usize) -> impl Iterator<Item = Range<usize>> {
    (0..HASH_CHUNK_COUNT).map(move |n| length * n / HASH_CHUNK_COUNT..length * (n + 1) / HASH_CHUNK_COUNT)
}

/// Looks whether a file is as it was written.
fn intact(file: &fs::File) -> Option<()> {
    let length = usize::try_from(file.metadata().ok()?.len()).ok()?.checked_sub(TRAILER_LEN)?;
    let mut trailer = [0; TRAILER_LEN];
    file.read_exact_at(&mut trailer, length as u64).ok()?;
    let digests = trailer.strip_prefix(MAGIC)?.chunks(32);
    let whole = std::thread::scope(|scope| {
        let looks = parts(length).zip(digests).map(|(part, digest)| {
            let look = move || digest_of(file, part.clone()).is_ok_and(|found| found[..] == *digest);
            // Where no thread is to be had, this one looks.
            std::thread::Builder::new().spawn_scoped(scope, look.clone()).map_err(|_| look)
        });
        let looks: Vec<_> = looks.collect();
        looks.into_iter().all(|look| look.map_or_else(|look| look(), |thread| thread.join().unwrap_or(false)))
    });
    whole.then_some(())
}

/// The SHA-256 of a part of a file.
fn digest_of(file: &fs::File, mut part: Range<usize>) -> std::io::Result<[u8; 32]> {
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 256 << 10]);
    while !part.is_empty() {
        let read = part.len().min(buffer.len());
        file.read_exact_at(&mut buffer[..read], part.start as u64)?;
        digest.update(&buffer[..read]);
        part.start += read;
    }
    Ok(digest.finalize().into())
}

/// Maps the code of a file that is intact.
#[expect(unsafe_code, reason = "wasmtime runs compiled code as it is")]
fn mapped(engine: &wasmtime::Engine, file: &fs::File) -> Option<Component> {
    // By this name it is the file that was just looked at, whatever is at its path now.
    let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
    // SAFETY: as in `deserialize`. What changes the file while it is mapped is a program of the same user, which could as
    // well change this one.
    path.exists().then(|| unsafe { Component::deserialize_file(engine, path) }.ok())?
}

/// Loads the code of a file where it can't be mapped: a file system may forbid to run what is on it.
fn copied(engine: &wasmtime::Engine, mut file: &fs::File) -> Option<Component> {
    let mut bytes = Vec::new();
    file.rewind().ok()?;
    file.read_to_end(&mut bytes).ok()?;
    deserialize(engine, bytes.get(..bytes.len().checked_sub(TRAILER_LEN)?)?)
}

/// Loads compiled code.
#[expect(unsafe_code, reason = "wasmtime runs compiled code as it is")]
pub(crate) fn deserialize(engine: &wasmtime::Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `code` was made by `Engine::precompile_component` of this program. It is in its binary, came through a pipe from
    // a child of ours that ran nothing else, or out of a file that `store` wrote. That file is in a private directory
    // of ours and carries our magic, and its SHA-256 was checked. wasmtime itself refuses code for another engine or version.
    unsafe { Component::deserialize(engine, code) }.ok()
}

fn make_room(dir: &Path, wanted: u64) {
    let Ok(entries) = aiw_home::read_dir(dir) else { return };
    let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
        .flatten()
        .filter_map(|e| Some((e.metadata().ok()?.modified().ok()?, e.metadata().ok()?.len(), e.path())))
        .collect();
    let mut total: u64 = files.iter().map(|f| f.1).sum::<u64>() + wanted;
    files.sort();
    for (_, size, path) in files {
        if total <= limits::MAX_CACHE_BYTES {
            return;
        }
        if aiw_home::remove_file(&path).is_ok() {
            total -= size;
        }
    }
}

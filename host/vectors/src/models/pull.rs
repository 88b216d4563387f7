//! Getting files: whole and with the right digest, or not at all. What was received before the connection broke is
//! kept, by the digest of the file, and not asked for again.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use aiw_core::one_line;
use aiw_home::{ExclusiveLock, HomeError, create_new, make_private_dir, open_append, open_regular, remove_file};
use async_trait::async_trait;

use super::error::ModelsError;
use crate::embed::file_sha256;

/// How often a download is taken up again in a row without a byte more.
const MAX_RETRIES: u32 = 4;

/// A smaller file is asked for as a whole: a server that compresses would send the rest of the compressed file.
const MIN_RESUME_BYTES: u64 = 1 << 20;

/// Reads from the network. The caller decides what may be reached.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Opens the file at `url` from the byte `from` on.
    async fn open(&self, url: &str, from: u64) -> Result<Box<dyn DownloadBody>, DownloadError>;
}

/// Why a file can't be read on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadError {
    /// The reason, as a sentence.
    pub reason: String,
    /// Whether asking again is pointless.
    pub is_permanent: bool,
}

/// A file that arrives in pieces.
#[async_trait]
pub trait DownloadBody: Send {
    /// Returns the offset of the first byte that arrives. A server may not be able to begin where it was asked to.
    fn start(&self) -> u64;

    /// Returns the next piece, or `None` at the end.
    async fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, DownloadError>;
}

/// Sees the progress of a download: the file, the bytes that are there, and its size.
pub type DownloadProgress<'a> = &'a (dyn Fn(&str, u64, u64) + Sync);

/// A file to get.
#[derive(Debug, Clone)]
pub(super) struct DownloadRequest {
    pub name: String,
    pub size: u64,
    pub sha256: String,
}

/// Where files come from.
pub(super) enum DownloadSource<'a> {
    Directory(&'a Path),
    Url(String, &'a dyn Fetch),
}

/// Gets a file into `partial`, a directory for unfinished downloads, and returns its path there.
pub(super) async fn fetch_file(
    wanted: &DownloadRequest,
    from: DownloadSource<'_>,
    partial: &Path,
    progress: DownloadProgress<'_>,
) -> Result<PathBuf, ModelsError> {
    make_private_dir(partial)?;
    let path = partial.join(&wanted.sha256);
    // Two that write to one file would ruin it.
    let _turn = ExclusiveLock::acquire(&path.with_added_extension("lock"))?;
    let source_name = match from {
        DownloadSource::Directory(directory) => {
            copy(wanted, directory, &path)?;
            format!("`{}`", directory.display())
        }
        DownloadSource::Url(url, fetch) => {
            download(wanted, &url, fetch, &path, progress).await?;
            format!("`{}`", one_line(&aiw_core::without_query(&url), 200))
        }
    };
    check(wanted, &path, source_name)?;
    Ok(path)
}

/// Removes a file that was moved to where it belongs.
pub(super) fn remove_partial(partial: &Path, file: &DownloadRequest) {
    let path = partial.join(&file.sha256);
    // If it can't be removed, it takes room in a cache.
    drop(remove_file(&path.with_added_extension("lock")));
    drop(remove_file(&path));
}

fn check(wanted: &DownloadRequest, path: &Path, source_name: String) -> Result<(), ModelsError> {
    let found = file_sha256(path)?;
    if found == wanted.sha256 {
        return Ok(());
    }
    let _ = remove_file(path);
    let problem = format!("its sha256 is {found}, not {}", wanted.sha256);
    Err(ModelsError::IntegrityCheckFailed { file: wanted.name.clone(), source_name, problem })
}

fn copy(wanted: &DownloadRequest, directory: &Path, path: &Path) -> Result<(), ModelsError> {
    let from = directory.join(&wanted.name);
    let source = open_regular(&from).map_err(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ModelsError::MissingFile { path: from.clone() },
        _ => HomeError::io("read", &from, e).into(),
    })?;
    let mut target = create(path)?;
    let copied = io::copy(&mut source.take(wanted.size + 1), &mut target);
    let copied = copied.map_err(|e| HomeError::io("copy", &from, e))?;
    if copied == wanted.size {
        return Ok(());
    }
    drop(remove_file(path));
    let source_name = format!("`{}`", directory.display());
    Err(ModelsError::IntegrityCheckFailed { file: wanted.name.clone(), source_name, problem: wrong_size(wanted) })
}

fn of_another_size(wanted: &DownloadRequest, url: &str, path: &Path) -> ModelsError {
    drop(remove_file(path));
    let source_name = format!("`{}`", one_line(&aiw_core::without_query(url), 200));
    ModelsError::IntegrityCheckFailed { file: wanted.name.clone(), source_name, problem: wrong_size(wanted) }
}

fn wrong_size(wanted: &DownloadRequest) -> String {
    format!("it does not have {} bytes", wanted.size)
}

fn create(path: &Path) -> Result<File, ModelsError> {
    drop(remove_file(path));
    create_new(path).map_err(|e| HomeError::io("write", path, e).into())
}

async fn download(
    wanted: &DownloadRequest,
    url: &str,
    fetch: &dyn Fetch,
    path: &Path,
    progress: DownloadProgress<'_>,
) -> Result<(), ModelsError> {
    let (mut tries, mut best) = (0, 0);
    loop {
        let failed = match attempt(wanted, url, fetch, path, progress).await? {
            None => return Ok(()),
            Some(reason) => reason,
        };
        let done = fs::metadata(path).map_or(0, |meta| meta.len());
        tries = if done > best { 0 } else { tries + 1 };
        best = best.max(done);
        if tries >= MAX_RETRIES || failed.is_permanent {
            let (file, reason) = (wanted.name.clone(), failed.reason);
            return Err(ModelsError::DownloadFailed { file, reason, done, total: wanted.size });
        }
    }
}

/// Downloads what is missing. Returns why it ended early, if it did.
async fn attempt(
    wanted: &DownloadRequest,
    url: &str,
    fetch: &dyn Fetch,
    path: &Path,
    progress: DownloadProgress<'_>,
) -> Result<Option<DownloadError>, ModelsError> {
    let there = fs::metadata(path).map_or(0, |meta| meta.len());
    if there == wanted.size {
        return Ok(None);
    }
    let from = if there < wanted.size && wanted.size >= MIN_RESUME_BYTES { there } else { 0 };
    let mut body = match fetch.open(url, from).await {
        Ok(body) => body,
        Err(broken) => return Ok(Some(broken)),
    };
    let written = |e| HomeError::io("write", path, e);
    let mut file = if from > 0 && body.start() == from {
        open_append(path).map_err(written)?
    } else if body.start() == 0 {
        create(path)?
    } else {
        return Ok(Some(DownloadError {
            reason: "the server sent another part of the file than it was asked for".into(),
            is_permanent: false,
        }));
    };
    let mut done = body.start();
    loop {
        match body.next_chunk().await {
            Ok(Some(piece)) => {
                done += piece.len() as u64;
                if done > wanted.size {
                    return Err(of_another_size(wanted, url, path));
                }
                file.write_all(&piece).map_err(written)?;
                progress(&wanted.name, done, wanted.size);
            }
            Ok(None) if done == wanted.size => return Ok(None),
            // A connection that breaks is an error; this is the end of the server's file.
            Ok(None) => return Err(of_another_size(wanted, url, path)),
            Err(broken) => return Ok(Some(broken)),
        }
    }
}

//! Changes to files here: written down with what was there before, carried out to the end whatever happens, and undone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aiw_core::Diagnostic;
use aiw_home::{Home, HomeError, Mode, make_private_dir, now_rfc3339, read_capped, remove_file, replace};
use serde::{Deserialize, Serialize};

use crate::content::KeyChange;
use crate::error::SyncError;
use crate::generated::{EncryptedSecrets, is_encrypted};
use crate::place::{Roots, SyncPath, SyncRoot};
use crate::policy::SyncImpact;
use crate::snapshot::{FileContent, digest};
use crate::state::{MergedState, SyncDirectory, SyncState};

const MAX_RECORD_BYTES: u64 = 16 << 20;
const MAX_FILE_BYTES: u64 = 64 << 20;

/// A change of a file that comes from elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct IncomingChange {
    pub(crate) path: SyncPath,
    pub(crate) old: Option<FileContent>,
    pub(crate) new: Option<FileContent>,
    /// Its changes.
    pub(crate) changes: Vec<KeyChange>,
    /// The most that any of it does.
    pub(crate) effect: SyncImpact,
}

/// How many changes can be undone, one after the other.
const MAX_UNDO_RECORDS: usize = 50;

/// A change of files here by one pull or restore.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChangeRecord {
    pub(crate) id: String,
    pub(crate) time: String,
    /// The verb: `pull`, `restore`.
    pub(crate) what: String,
    files: Vec<RecordedChange>,
    /// The state before and after it.
    pub(crate) before: MergedState,
    after: MergedState,
    /// The change before this one.
    previous: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct RecordedChange {
    path: SyncPath,
    place: PathBuf,
    old: Option<KeptFile>,
    new: Option<KeptFile>,
}

/// A file as it was or will be. Its content is beside the record, under its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptFile {
    sha256: String,
    mode: u32,
}

/// A change that is being carried out.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    id: String,
    undo: bool,
}

fn journal(directory: &SyncDirectory) -> PathBuf {
    directory.path().join("journal.json")
}

/// The end of a change.
#[derive(Debug, Default)]
pub(crate) struct ApplyOutcome {
    pub(crate) changed: Vec<SyncPath>,
    /// Files that stay as they are: somebody else changed them meanwhile, or they are the user's links.
    pub(crate) skipped: Vec<SyncPath>,
    /// Files of `left` that are merged later. A link is not: it would stay again.
    waits: Vec<SyncPath>,
}

/// Carries out a change of files and of the state.
pub(crate) fn apply(
    secrets: &EncryptedSecrets<'_>,
    directory: &SyncDirectory,
    roots: &Roots,
    state: &mut SyncState,
    what: &str,
    files: &[IncomingChange],
    after: MergedState,
) -> Result<ApplyOutcome, SyncError> {
    let home = secrets.home;
    if files.is_empty() {
        state.files = after;
        directory.save(state)?;
        return Ok(ApplyOutcome::default());
    }
    let id = new_id()?;
    let record =
        write_down(directory, roots, state, &id, what, files, after).inspect_err(|_| forget(directory, &id))?;
    begin(directory, &Journal { id: id.clone(), undo: false }).inspect_err(|_| forget(directory, &id))?;
    let done = carry_out(home, directory, &record, false)
        .and_then(|applied| take(home, directory, &record, &applied, false, state, Some(secrets)).map(|()| applied));
    match done {
        Ok(applied) => {
            finish(directory, state, record, &applied, false)?;
            Ok(applied)
        }
        Err(e) => Err(taken_back(home, directory, &record, false, &e)),
    }
}

/// Writes a change down, with the old and the new bytes.
fn write_down(
    directory: &SyncDirectory,
    roots: &Roots,
    state: &SyncState,
    id: &str,
    what: &str,
    files: &[IncomingChange],
    after: MergedState,
) -> Result<ChangeRecord, SyncError> {
    let kept = directory.change(id);
    make_private_dir(kept.parent().unwrap_or(&kept))?;
    make_private_dir(&kept)?;
    let mut record = ChangeRecord {
        id: id.to_owned(),
        time: now_rfc3339(),
        what: what.into(),
        files: Vec::new(),
        before: state.files.clone(),
        after,
        previous: state.change.clone(),
    };
    for file in files {
        let place = roots.file(&file.path);
        let keep = |bytes: &[u8], mode: u32| -> Result<KeptFile, HomeError> {
            let sha256 = digest(bytes);
            replace(&kept.join(&sha256), bytes, Mode::Private)?;
            Ok(KeptFile { sha256, mode })
        };
        let mode = mode_of(&place);
        let old = file.old.as_ref().map(|old| keep(&old.bytes, mode.unwrap_or(0o644))).transpose()?;
        let usual = if file.path.root == SyncRoot::Aiw { 0o600 } else { 0o644 };
        let new_mode = |executable: bool| match mode.unwrap_or(usual) {
            mode if executable => mode | ((mode & 0o444) >> 2),
            mode => mode & !0o111,
        };
        let new = file.new.as_ref().map(|new| keep(&new.bytes, new_mode(new.executable))).transpose()?;
        record.files.push(RecordedChange { path: file.path.clone(), place, old, new });
    }
    write_record(directory, &record)?;
    Ok(record)
}

/// Removes what was written down of a change that never was. What can't be removed stays until the next change.
fn forget(directory: &SyncDirectory, id: &str) {
    let _ = aiw_home::remove_tree(&directory.change(id));
}

/// Brings a change of the sealed secrets into the vault.
fn take(
    home: &Home,
    directory: &SyncDirectory,
    record: &ChangeRecord,
    applied: &ApplyOutcome,
    undo: bool,
    state: &mut SyncState,
    secrets: Option<&EncryptedSecrets<'_>>,
) -> Result<(), SyncError> {
    let is_it = |file: &&RecordedChange| is_encrypted(&file.path) && applied.changed.contains(&file.path);
    let (Some(secrets), Some(file)) = (secrets, record.files.iter().find(is_it)) else { return Ok(()) };
    let bytes = |kept: &Option<KeptFile>| {
        let read = |kept: &KeptFile| read_capped(&directory.change(&record.id).join(&kept.sha256), MAX_FILE_BYTES);
        kept.as_ref().map(read).transpose().map(Option::flatten)
    };
    let (from, to) = if undo { (&file.new, &file.old) } else { (&file.old, &file.new) };
    let (from, to) = (bytes(from)?, bytes(to)?);
    secrets.apply_to_vault(from.as_deref(), to.as_deref(), &mut state.secrets, &home.lock()?)
}

/// Puts back what was changed before a failure: half of it would be neither state.
fn taken_back(home: &Home, directory: &SyncDirectory, record: &ChangeRecord, undo: bool, e: &SyncError) -> SyncError {
    // Where there is no room for it, a kill before the end lets the next command carry the change out.
    let _ = begin(directory, &Journal { id: record.id.clone(), undo: !undo });
    let back = carry_out(home, directory, record, !undo).and_then(|back| end(directory).map(|()| back));
    if !undo && back.as_ref().is_ok_and(|back| back.skipped.is_empty()) {
        forget(directory, &record.id);
    }
    SyncError::ApplyFailed { problem: e.to_string(), back: back.err().map(|e| e.to_string()), hint: e.hint() }
}

/// Undoes the newest change. Files that are no longer what it made of them stay as they are.
pub(crate) fn undo(
    home: &Home,
    directory: &SyncDirectory,
    state: &mut SyncState,
    secrets: Option<&EncryptedSecrets<'_>>,
) -> Result<(ChangeRecord, ApplyOutcome), SyncError> {
    let id = state.change.clone().ok_or(SyncError::NothingToUndo)?;
    let record = read_record(directory, &id)?.ok_or(SyncError::NothingToUndo)?;
    begin(directory, &Journal { id, undo: true })?;
    let done = carry_out(home, directory, &record, true)
        .and_then(|applied| take(home, directory, &record, &applied, true, state, secrets).map(|()| applied));
    let applied = match done {
        Ok(applied) => applied,
        Err(e) => return Err(taken_back(home, directory, &record, true, &e)),
    };
    if applied.changed.is_empty() {
        end(directory)?;
        return Err(SyncError::FilesModified { paths: applied.skipped.iter().map(SyncPath::to_string).collect() });
    }
    finish(directory, state, record.clone(), &applied, true)?;
    Ok((record, applied))
}

/// Finishes what a killed process had begun. Returns an undo that it finished.
pub(crate) fn recover(
    home: &Home,
    directory: &SyncDirectory,
    state: &mut SyncState,
    secrets: Option<&EncryptedSecrets<'_>>,
) -> Result<Option<(ChangeRecord, ApplyOutcome)>, SyncError> {
    let Some(bytes) = read_capped(&journal(directory), MAX_RECORD_BYTES)? else { return Ok(None) };
    let journal = serde_json::from_slice::<Journal>(&bytes).ok();
    let record = journal.as_ref().map(|journal| read_record(directory, &journal.id)).transpose()?.flatten();
    let (Some(journal), Some(record)) = (journal, record) else { return end(directory).map(|()| None) };
    let applied = carry_out(home, directory, &record, journal.undo)?;
    take(home, directory, &record, &applied, journal.undo, state, secrets)?;
    finish(directory, state, record.clone(), &applied, journal.undo)?;
    Ok(journal.undo.then_some((record, applied)))
}

/// Whether a killed process has left a change half done.
pub(crate) fn has_unfinished_change(directory: &SyncDirectory) -> bool {
    journal(directory).exists()
}

/// Returns the changes that can be undone, the newest first.
pub(crate) fn records(
    directory: &SyncDirectory,
    state: &SyncState,
) -> impl Iterator<Item = Result<ChangeRecord, SyncError>> {
    let mut next = state.change.clone();
    let record = move || {
        let record = read_record(directory, &next.take()?).transpose()?;
        next = record.as_ref().ok().and_then(|record| record.previous.clone());
        Some(record)
    };
    std::iter::from_fn(record).take(MAX_UNDO_RECORDS)
}

impl ChangeRecord {
    /// Returns the files that it changed.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &SyncPath> {
        self.files.iter().map(|file| &file.path)
    }
}

fn begin(directory: &SyncDirectory, journal_of: &Journal) -> Result<(), SyncError> {
    let text = serde_json::to_vec(journal_of).map_err(|e| SyncError::Internal(e.to_string()))?;
    Ok(replace(&journal(directory), &text, Mode::Private)?)
}

fn end(directory: &SyncDirectory) -> Result<(), SyncError> {
    match remove_file(&journal(directory)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(HomeError::Io { action: "remove", path: journal(directory), source: e }.into())
        }
        _ => Ok(()),
    }
}

fn finish(
    directory: &SyncDirectory,
    state: &mut SyncState,
    mut record: ChangeRecord,
    applied: &ApplyOutcome,
    undo: bool,
) -> Result<(), SyncError> {
    if undo {
        if state.files == record.after {
            state.files = record.before.clone();
            // What stayed as it is was merged, and is.
            state
                .files
                .held
                .extend(applied.skipped.iter().map(|path| (path.clone(), record.after.undecided_keys(path))));
        } else {
            // Something was merged or pushed since: these files alone are offered again.
            let undone = record.paths().filter(|path| !applied.skipped.contains(path));
            let waiting: Vec<_> = undone.map(|path| (path.clone(), record.before.undecided_keys(path))).collect();
            state.files.held.extend(waiting);
        }
        state.change = record.previous.clone();
    } else {
        // A file that somebody changed meanwhile is not merged.
        for path in &applied.waits {
            record.after.held.insert(path.clone(), record.before.undecided_keys(path));
        }
        if !applied.waits.is_empty() {
            write_record(directory, &record)?;
        }
        state.files = record.after.clone();
        state.change = Some(record.id.clone());
    }
    directory.save(state)?;
    end(directory)?;
    forget_old(directory, state);
    Ok(())
}

/// Forgets changes that nobody undoes any more, and what a killed process had begun to write down. What can't be removed stays
/// until the next change.
fn forget_old(directory: &SyncDirectory, state: &SyncState) {
    let kept: Result<Vec<ChangeRecord>, SyncError> = records(directory, state).collect();
    let (Ok(kept), Ok(entries)) = (kept, fs::read_dir(directory.changes())) else { return };
    for entry in entries.flatten() {
        if !kept.iter().any(|record| entry.file_name() == *record.id) {
            let _ = aiw_home::remove_tree(&entry.path());
        }
    }
}

fn write_record(directory: &SyncDirectory, record: &ChangeRecord) -> Result<(), SyncError> {
    let text = serde_json::to_vec(record).map_err(|e| SyncError::Internal(e.to_string()))?;
    Ok(replace(&directory.change(&record.id).join("record.json"), &text, Mode::Private)?)
}

fn read_record(directory: &SyncDirectory, id: &str) -> Result<Option<ChangeRecord>, SyncError> {
    let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let path = directory.change(id).join("record.json");
    let bytes = if is_id { read_capped(&path, MAX_RECORD_BYTES)? } else { None };
    let read = bytes.map(|bytes| serde_json::from_slice(&bytes)).transpose();
    read.map_err(|e| HomeError::Invalid { path, problem: e.to_string() }.into())
}

/// Moves all files from the one state to the other. What is neither stays.
fn carry_out(
    home: &Home,
    directory: &SyncDirectory,
    record: &ChangeRecord,
    undo: bool,
) -> Result<ApplyOutcome, SyncError> {
    // Other commands wait while aiw's own documents change.
    let is_own = record.files.iter().any(|file| file.path.root == SyncRoot::Aiw);
    let _lock = if is_own { Some(home.lock()?) } else { None };
    let mut applied = ApplyOutcome::default();
    let mut files: Vec<&RecordedChange> = record.files.iter().collect();
    if undo {
        // A disk that had room for the change has room for its end, from there to its beginning.
        files.reverse();
    }
    for file in files {
        let (from, to) = if undo { (&file.new, &file.old) } else { (&file.old, &file.new) };
        let now = match read_capped(&file.place, MAX_FILE_BYTES) {
            Ok(bytes) => {
                bytes.map(|bytes| KeptFile { sha256: digest(&bytes), mode: mode_of(&file.place).unwrap_or(0) })
            }
            Err(HomeError::Invalid { .. }) => {
                applied.skipped.push(file.path.clone());
                applied.waits.push(file.path.clone());
                continue;
            }
            Err(e) => return Err(e.into()),
        };
        let is =
            |kept: &Option<KeptFile>| now.as_ref().map(|now| &now.sha256) == kept.as_ref().map(|kept| &kept.sha256);
        let is_mode = |kept: &Option<KeptFile>| now.as_ref().map(|now| now.mode) == kept.as_ref().map(|kept| kept.mode);
        // The link of a configuration is the user's own.
        let is_link = fs::symlink_metadata(&file.place).is_ok_and(|meta| meta.file_type().is_symlink());
        if to.is_none() && is_link {
            applied.skipped.push(file.path.clone());
        } else if is(to) && is_mode(to) {
            applied.changed.push(file.path.clone());
        } else if is(from) || is(to) {
            put(home, directory, record, file, to.as_ref())?;
            applied.changed.push(file.path.clone());
        } else {
            applied.skipped.push(file.path.clone());
            applied.waits.push(file.path.clone());
        }
    }
    applied.changed.sort();
    applied.skipped.sort();
    Ok(applied)
}

fn put(
    home: &Home,
    directory: &SyncDirectory,
    record: &ChangeRecord,
    file: &RecordedChange,
    to: Option<&KeptFile>,
) -> Result<(), SyncError> {
    let failed = |action: &'static str, source: io::Error| HomeError::Io { action, path: file.place.clone(), source };
    let Some(kept) = to else {
        match remove_file(&file.place) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("remove", e).into()),
            _ => {}
        }
        remove_empty(&file.place, &file.path);
        return Ok(());
    };
    let source = directory.change(&record.id).join(&kept.sha256);
    let bytes = read_capped(&source, MAX_FILE_BYTES)?.filter(|bytes| digest(bytes) == kept.sha256);
    let bytes = bytes.ok_or_else(|| HomeError::Invalid { path: source, problem: "is gone or damaged".into() })?;
    if let Some(parent) = file.place.parent() {
        make_private_dir(parent)?;
    }
    let mode = if file.path.root == SyncRoot::Aiw { Mode::Private } else { Mode::Shared };
    home.replace_external(&file.place, &bytes, mode)?;
    set_mode(&file.place, kept.mode).map_err(|e| failed("change the mode of", e).into())
}

/// Removes directories that a removed file leaves empty, up to the root.
fn remove_empty(place: &Path, path: &SyncPath) {
    let depth = path.relative_path().matches('/').count();
    for directory in place.ancestors().skip(1).take(depth) {
        if fs::remove_dir(directory).is_err() {
            return;
        }
    }
}

fn new_id() -> Result<String, SyncError> {
    aiw_core::random_hex::<8>().map_err(|e| SyncError::System(e.into()))
}

#[cfg(unix)]
fn mode_of(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o777)
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if mode_of(path) == Some(mode) { Ok(()) } else { fs::set_permissions(path, fs::Permissions::from_mode(mode)) }
}

#[cfg(not(unix))]
fn mode_of(path: &Path) -> Option<u32> {
    path.exists().then_some(0o644)
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}

//! Opening the database, and setting a damaged one aside.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::schema;
use crate::HistoryError;

/// How long a process waits for another one's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Present if damage was seen. It says what was wrong.
const DAMAGED_MARKER: &str = "damaged";

/// A damaged database, until the next one is set aside.
const DAMAGED_DATABASE_FILE: &str = "history.db.damaged";

/// A database that is not there is not made.
const WRITE_FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_READ_WRITE.union(NOFOLLOW_FLAGS);
/// No part of the path is a link.
const NOFOLLOW_FLAGS: OpenFlags = OpenFlags::SQLITE_OPEN_NO_MUTEX.union(OpenFlags::SQLITE_OPEN_NOFOLLOW);

pub(super) struct OpenedDatabase {
    pub connection: Connection,
}

/// Where the database is.
pub(super) fn path(directory: &Path) -> PathBuf {
    directory.join("history.db")
}

/// Opens the database, and makes or migrates it.
pub(super) fn open(directory: &Path) -> Result<OpenedDatabase, HistoryError> {
    if !may_write(directory) {
        let connection = read_only(directory)?;
        reject_newer_version(directory, &connection)?;
        return Ok(OpenedDatabase { connection });
    }
    aiw_home::make_private_dir(directory)?;
    if directory.join(DAMAGED_MARKER).exists() {
        return anew(directory);
    }
    match attempt(directory) {
        Err(HistoryError::Damaged { .. }) => anew(directory),
        result => result,
    }
}

fn attempt(directory: &Path) -> Result<OpenedDatabase, HistoryError> {
    let failed = |error| map_sqlite_error(directory, error);
    let place = path(directory);
    if !place.exists() {
        // An empty file is an empty database. SQLite gives its other files the same mode.
        let _turn = turn_to_make(directory)?;
        if !place.exists() {
            aiw_home::replace(&place, b"", aiw_home::Mode::Private)?;
        }
    }
    let mut connection = Connection::open_with_flags(nofollow_path(&place)?, WRITE_FLAGS).map_err(failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    // What a newer aiw made stays as it is.
    reject_newer_version(directory, &connection)?;
    let mode = connection.query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0)).map_err(failed)?;
    if mode != "wal" {
        // Of two that change the mode at the same time, SQLite fails one at once, whatever its patience.
        let _turn = turn_to_make(directory)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
    }
    let prepare = || -> rusqlite::Result<()> {
        // A request is dropped from the queue once its messages are committed, so a commit must survive a power cut.
        connection.pragma_update(None, "synchronous", "FULL")?;
        // A large import changes the same pages again and again: they are written once.
        connection.pragma_update(None, "wal_autocheckpoint", 8000)?;
        // What is forgotten must not stay in free pages.
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "cache_size", -40_000)?;
        connection.pragma_update(None, "temp_store", "MEMORY")
    };
    prepare().map_err(failed)?;
    schema::migrate(&mut connection).map_err(failed)?;
    reject_newer_version(directory, &connection)?;
    Ok(OpenedDatabase { connection })
}

/// Whether files can be made in a directory, or in the one that it would be made in.
fn may_write(directory: &Path) -> bool {
    use rustix::fs::{Access, access};
    let there = directory.ancestors().find(|above| above.exists());
    there.is_none_or(|there| access(there, Access::WRITE_OK).is_ok())
}

/// Opens the database for reading alone; `None` for one of an older version, which is migrated before it is read.
pub(super) fn open_read_only(directory: &Path) -> Result<Option<Connection>, HistoryError> {
    let connection = read_only(directory)?;
    reject_newer_version(directory, &connection)?;
    let is_older = schema::is_older(&connection).map_err(|error| map_sqlite_error(directory, error))?;
    Ok((!is_older).then_some(connection))
}

/// Opens the database for reading where nothing can be written; an empty one if there is none.
fn read_only(directory: &Path) -> Result<Connection, HistoryError> {
    let failed = |error| map_sqlite_error(directory, error);
    let place = path(directory);
    if !place.exists() {
        let mut empty = Connection::open_in_memory().map_err(failed)?;
        schema::migrate(&mut empty).map_err(failed)?;
        return Ok(empty);
    }
    let with = |suffix: &str| directory.join(format!("history.db{suffix}"));
    // SQLite reads what is only in the write-ahead log if that has its index beside it, which can't be made now.
    let has_log = std::fs::metadata(with("-wal")).is_ok_and(|log| log.len() > 0) && with("-shm").exists();
    let mut name = String::from("file:");
    for byte in nofollow_path(&place)?.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => name.push(char::from(*byte)),
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    name.push_str(if has_log { "?mode=ro" } else { "?mode=ro&immutable=1" });
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | NOFOLLOW_FLAGS;
    let connection = Connection::open_with_flags(name, flags).map_err(failed)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
    Ok(connection)
}

/// Returns the path of the database for SQLite, by which no link leads elsewhere.
fn nofollow_path(place: &Path) -> Result<PathBuf, HistoryError> {
    Ok(aiw_home::nofollow_path(place).map_err(|e| aiw_home::HomeError::io("open", place, e))?)
}

/// The right to make the database.
fn turn_to_make(directory: &Path) -> Result<aiw_home::ExclusiveLock, HistoryError> {
    Ok(aiw_home::ExclusiveLock::acquire(&directory.join(".create.lock"))?)
}

/// An error if a newer aiw made the database, or has changed it since it was opened.
pub(super) fn reject_newer_version(directory: &Path, connection: &Connection) -> Result<(), HistoryError> {
    match schema::newer_version(connection).map_err(|error| map_sqlite_error(directory, error))? {
        None => Ok(()),
        Some(found) => Err(HistoryError::UnsupportedVersion { path: path(directory), found, known: schema::VERSION }),
    }
}

/// Another connection to a database that is open, for reading in another thread.
pub(super) fn open_reader(directory: &Path) -> rusqlite::Result<Connection> {
    let invalid = |e: HistoryError| rusqlite::Error::InvalidPath(e.to_string().into());
    if !may_write(directory) {
        return read_only(directory).map_err(invalid);
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | NOFOLLOW_FLAGS;
    let connection = Connection::open_with_flags(nofollow_path(&path(directory)).map_err(invalid)?, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Sets the damaged database aside, and opens an empty one that is to be filled again.
fn anew(directory: &Path) -> Result<OpenedDatabase, HistoryError> {
    let turn = aiw_home::ExclusiveLock::acquire(&directory.join(".rebuild.lock"))?;
    // Another process may have been faster.
    if !directory.join(DAMAGED_MARKER).exists() {
        match attempt(directory) {
            Err(HistoryError::Damaged { .. }) => {}
            result => return result,
        }
    }
    let place = path(directory);
    // A newer aiw sets its own aside, and fills it again.
    if let Ok(connection) = Connection::open_with_flags(nofollow_path(&place)?, WRITE_FLAGS)
        && let Ok(Some(found)) = schema::newer_version(&connection)
    {
        return Err(HistoryError::UnsupportedVersion { path: place, found, known: schema::VERSION });
    }
    let with = |suffix: &str| directory.join(format!("history.db{suffix}"));
    let io =
        |action: &'static str, path: &Path, error| HistoryError::Home(aiw_home::HomeError::io(action, path, error));
    match aiw_home::rename(&place, &directory.join(DAMAGED_DATABASE_FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io("rename", &place, error)),
        _ => {}
    }
    for rest in [with("-wal"), with("-shm"), directory.join(DAMAGED_MARKER)] {
        match aiw_home::remove_file(&rest) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io("remove", &rest, error)),
            _ => {}
        }
    }
    let opened = attempt(directory)?;
    opened
        .connection
        .execute("UPDATE state SET rebuild = 1", [])
        .map_err(|error| map_sqlite_error(directory, error))?;
    drop(turn);
    Ok(opened)
}

/// Removes a database that was set aside.
pub(super) fn remove_damaged(directory: &Path) -> Result<(), HistoryError> {
    let aside = directory.join(DAMAGED_DATABASE_FILE);
    match aiw_home::remove_file(&aside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(aiw_home::HomeError::io("remove", &aside, error).into())
        }
        _ => Ok(()),
    }
}

/// Converts an error of SQLite.
pub(super) fn map_sqlite_error(directory: &Path, error: rusqlite::Error) -> HistoryError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => mark_damaged(directory, &error.to_string()),
        _ => HistoryError::Database { path: path(directory), source: error },
    }
}

/// Notes damage, so that the database is set aside when it is opened next.
pub(super) fn mark_damaged(directory: &Path, reason: &str) -> HistoryError {
    // If this fails, the next process finds the damage itself.
    let _ = aiw_home::replace(&directory.join(DAMAGED_MARKER), reason.as_bytes(), aiw_home::Mode::Private);
    HistoryError::Damaged { path: path(directory), reason: reason.to_owned() }
}

/// A path as the database keeps it.
pub(super) fn path_key(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}

/// The path that the database keeps.
pub(crate) fn path_from_key(key: &[u8]) -> PathBuf {
    PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(key))
}

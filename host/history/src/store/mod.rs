//! The database: what is kept of messages, and how far each transcript was read.

mod append;
mod database;
mod facts;
mod forget;
pub(crate) mod forgotten;
mod markdown;
mod packed;
mod reprocess;
mod schema;
mod terms;
pub(crate) mod vectors;
mod view;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::{Cli, HistoryError, Launch, MessageAuthor};
pub use append::AppendOutcome;
pub(crate) use append::{cli_number, text_hash};
use database::OpenedDatabase;
pub(crate) use database::path_from_key;
pub(crate) use facts::{MessageFact, MessageFacts, decode_length, minutes};
pub use forget::{ForgetReport, ForgetTarget};
pub use markdown::render_markdown;
pub(crate) use packed::{StoredText, Uuid};
pub(crate) use terms::{compound_names, terms, words};
pub use view::{MessageRange, PastSession, SessionFilter, SessionView, Stats, StoredMessage};

/// The directory of the sessions that ran in private mode, one empty file each.
pub(crate) const PRIVATE_SESSIONS_DIR: &str = "private";

/// How far a transcript was read, and what it looked like then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadProgress {
    /// Where the next line starts.
    pub offset: u64,
    /// The last message's id.
    pub last_uuid: Option<String>,
    /// The file's size.
    pub size: u64,
    /// When the file changed, in milliseconds since 1970.
    pub modified: i64,
    /// The file's number in its file system.
    pub inode: u64,
    /// A hash of the file's first bytes: another one shows that it was rewritten.
    pub prefix_digest: [u8; 32],
}

/// A transcript, or a part of one, that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranscriptProblem {
    /// The transcript.
    pub path: PathBuf,
    /// The problem, in a few words.
    pub reason: String,
    /// How often this was seen since the file was read from its start.
    pub count: u64,
    /// When it was last seen, in milliseconds since 1970.
    pub time: i64,
}

/// The messages of past sessions, in one database. Several processes may have it open.
pub struct Store {
    pub(crate) connection: Connection,
    directory: PathBuf,
}

impl Store {
    /// Opens the store in a directory, usually `~/.aiw/history`, and makes it if there is none. An older one is
    /// migrated. A damaged one is set aside, and an empty one takes its place: [`Store::needs_rebuild`] says so.
    pub fn open(directory: &Path) -> Result<Self, HistoryError> {
        let OpenedDatabase { connection } = database::open(directory)?;
        Ok(Self { connection, directory: directory.to_owned() })
    }

    /// Opens the store if there is one already.
    pub fn open_existing(directory: &Path) -> Result<Option<Self>, HistoryError> {
        if database::path(directory).exists() { Self::open(directory).map(Some) } else { Ok(None) }
    }

    /// Opens the store to look at it, if there is one of this version or a newer one. Nothing is made, migrated or set aside.
    pub fn open_read_only(directory: &Path) -> Result<Option<Self>, HistoryError> {
        if !database::path(directory).exists() {
            return Ok(None);
        }
        let connection = database::open_read_only(directory)?;
        Ok(connection.map(|connection| Self { connection, directory: directory.to_owned() }))
    }

    /// The directory that it is in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether a damaged store was set aside, and all transcripts are to be read again.
    pub fn needs_rebuild(&self) -> Result<bool, HistoryError> {
        let rebuild = || -> rusqlite::Result<bool> {
            let state: Option<i64> =
                self.connection.query_row("SELECT rebuild FROM state", [], |row| row.get(0)).optional()?;
            Ok(state == Some(1))
        };
        rebuild().map_err(|e| self.map_sqlite_error(e))
    }

    /// Says that all transcripts were read again.
    pub fn mark_rebuilt(&self) -> Result<(), HistoryError> {
        let rebuilt = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            transaction.execute("UPDATE state SET rebuild = 0", [])?;
            transaction.commit()
        };
        rebuilt(self.begin()?).map_err(|e| self.map_sqlite_error(e))
    }

    /// Looks for damage in the whole database. It takes seconds for a large one. A damaged one is set aside when it is
    /// opened next.
    pub fn check(&self) -> Result<(), HistoryError> {
        let check = || self.connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        match check().map_err(|e| self.map_sqlite_error(e))?.as_str() {
            "ok" => Ok(()),
            reason => Err(database::mark_damaged(&self.directory, reason)),
        }
    }

    /// How far a transcript was read. `None` if it was not yet.
    pub fn progress(&self, path: &Path) -> Result<Option<ReadProgress>, HistoryError> {
        let find = || -> rusqlite::Result<Option<ReadProgress>> {
            let mut find = self.connection.prepare_cached(
                "SELECT offset, last_uuid, size, modified, inode, head FROM files WHERE path = ? AND head IS NOT NULL",
            )?;
            find.query_row(params![database::path_key(path)], |row| {
                Ok(ReadProgress {
                    offset: row.get::<_, i64>(0)?.cast_unsigned(),
                    last_uuid: row.get(1)?,
                    size: row.get::<_, i64>(2)?.cast_unsigned(),
                    modified: row.get(3)?,
                    inode: row.get::<_, i64>(4)?.cast_unsigned(),
                    prefix_digest: row.get(5)?,
                })
            })
            .optional()
        };
        find().map_err(|e| self.map_sqlite_error(e))
    }

    /// Every transcript that something was read from.
    pub fn transcript_paths(&self) -> Result<Vec<PathBuf>, HistoryError> {
        let list = || -> rusqlite::Result<Vec<PathBuf>> {
            let mut list =
                self.connection.prepare_cached("SELECT path FROM files WHERE head IS NOT NULL ORDER BY id")?;
            let paths = list.query_map([], |row| row.get::<_, Vec<u8>>(0))?;
            paths.map(|path| path.map(|path| path_from_key(&path))).collect()
        };
        list().map_err(|e| self.map_sqlite_error(e))
    }

    /// Notes that a part of a transcript could not be read. `doctor` names it.
    pub fn record_problem(&self, path: &Path, reason: &str) -> Result<(), HistoryError> {
        let reason = aiw_core::one_line(reason, 200);
        let note = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            transaction.execute(
                "INSERT INTO problems (path, reason, count, time) VALUES (?, ?, 1, ?)
                 ON CONFLICT DO UPDATE SET count = count + 1, time = excluded.time",
                params![database::path_key(path), reason, now()],
            )?;
            transaction.commit()
        };
        note(self.begin()?).map_err(|e| self.map_sqlite_error(e))
    }

    /// Returns the lines that could not be read, the latest first: at most a thousand.
    pub fn problems(&self) -> Result<Vec<TranscriptProblem>, HistoryError> {
        let list = || -> rusqlite::Result<Vec<TranscriptProblem>> {
            let mut list = self
                .connection
                .prepare_cached("SELECT path, reason, count, time FROM problems ORDER BY time DESC, path LIMIT 1000")?;
            let problems = list.query_map([], |row| {
                Ok(TranscriptProblem {
                    path: path_from_key(&row.get::<_, Vec<u8>>(0)?),
                    reason: row.get(1)?,
                    count: row.get::<_, i64>(2)?.cast_unsigned(),
                    time: row.get(3)?,
                })
            })?;
            problems.collect()
        };
        list().map_err(|e| self.map_sqlite_error(e))
    }

    /// Notes how aiw ran the CLIs of sessions that are there. What is known stays where it says nothing else.
    pub(crate) fn record_launches<'a>(
        &self,
        launches: impl IntoIterator<Item = (&'a str, &'a Launch)>,
    ) -> Result<(), HistoryError> {
        let note = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            let mut note = transaction.prepare_cached(
                "UPDATE sessions SET provider = coalesce(?2, provider), isolated = max(isolated, ?3) WHERE name = ?1",
            )?;
            for (session, launch) in launches {
                note.execute(params![session, launch.provider, launch.isolated])?;
            }
            drop(note);
            transaction.commit()
        };
        note(self.begin()?).map_err(|e| self.map_sqlite_error(e))
    }

    /// Returns the names of some sessions.
    pub(crate) fn existing_sessions<'a>(
        &self,
        names: impl IntoIterator<Item = &'a String>,
    ) -> Result<Vec<String>, HistoryError> {
        let find = || -> rusqlite::Result<Vec<String>> {
            let mut find = self.connection.prepare_cached("SELECT 1 FROM sessions WHERE name = ?")?;
            let mut there = Vec::new();
            for name in names {
                if find.exists([name])? {
                    there.push(name.clone());
                }
            }
            Ok(there)
        };
        find().map_err(|e| self.map_sqlite_error(e))
    }

    /// The sessions of which it is not known that aiw ran their CLI.
    pub(crate) fn sessions_without_launch(&self) -> Result<HashSet<String>, HistoryError> {
        let list = || -> rusqlite::Result<HashSet<String>> {
            let mut list = self.connection.prepare_cached("SELECT name FROM sessions WHERE provider IS NULL")?;
            list.query_map([], |row| row.get(0))?.collect()
        };
        list().map_err(|e| self.map_sqlite_error(e))
    }

    /// The number of the session with this id, or the only one whose id starts like this.
    pub(crate) fn session_number(&self, session: &str) -> Result<i64, HistoryError> {
        let find = || -> rusqlite::Result<Vec<(i64, String)>> {
            let mut find = self.connection.prepare_cached(
                "SELECT id, name FROM sessions WHERE name >= ?1 AND name < ?2 AND messages > 0 ORDER BY name LIMIT 100",
            )?;
            find.query_map([session, &format!("{session}\u{10ffff}")], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let found = find().map_err(|e| self.map_sqlite_error(e))?;
        match &found[..] {
            [(id, name), ..] if name == session => Ok(*id),
            [(id, _)] if !session.is_empty() => Ok(*id),
            [] => Err(HistoryError::SessionNotFound { session: session.to_owned() }),
            several => Err(HistoryError::Ambiguous { start: session.to_owned(), count: several.len() }),
        }
    }

    /// Begins to write. A newer aiw may have changed the database since it was opened; then nothing is written.
    fn begin(&self) -> Result<Transaction<'_>, HistoryError> {
        let begun = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate);
        let transaction = begun.map_err(|e| self.map_sqlite_error(e))?;
        database::reject_newer_version(&self.directory, &transaction)?;
        Ok(transaction)
    }

    /// Converts an error of SQLite. Damage is noted, so that the next process sets the database aside.
    pub(crate) fn map_sqlite_error(&self, error: rusqlite::Error) -> HistoryError {
        // Tables that a newer aiw changed may look like damage.
        database::reject_newer_version(&self.directory, &self.connection)
            .err()
            .filter(HistoryError::is_unsupported_version)
            .unwrap_or_else(|| database::map_sqlite_error(&self.directory, error))
    }
}

/// The CLI that a number of the database stands for.
pub(crate) const fn cli_from_number(number: i64) -> Cli {
    match number {
        2 => Cli::Codex,
        3 => Cli::Gemini,
        _ => Cli::Claude,
    }
}

/// The role that a number of the database stands for.
pub(crate) const fn role_from_number(number: i64) -> MessageAuthor {
    match number {
        1 => MessageAuthor::User,
        3 => MessageAuthor::Tool,
        _ => MessageAuthor::Assistant,
    }
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    i64::try_from(aiw_home::now_millis()).unwrap_or(i64::MAX)
}

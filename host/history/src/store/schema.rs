//! The database's tables, version by version.

use aiw_redact::rules;
use rusqlite::{Connection, TransactionBehavior};

/// Each brings a database from the version of its place to the next one.
const MIGRATIONS: [&str; 3] = [SCHEMA_V1, SCHEMA_V2, SCHEMA_V3];

/// The version that this aiw reads and writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

const SCHEMA_V1: &str = "
-- One row: sums over all messages that can be found, and whether the transcripts must be read again.
CREATE TABLE state (messages INTEGER NOT NULL, terms INTEGER NOT NULL, rebuild INTEGER NOT NULL);
INSERT INTO state VALUES (0, 0, 0);

-- A transcript without a head is to be read from its start.
CREATE TABLE files (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, cli INTEGER NOT NULL, offset INTEGER NOT NULL,
    last_uuid TEXT, size INTEGER NOT NULL, modified INTEGER NOT NULL, inode INTEGER NOT NULL, head BLOB);

-- `file` holds copies of messages that were stored from `original`: it is read again when those go.
CREATE TABLE shares (original INTEGER NOT NULL, file INTEGER NOT NULL, PRIMARY KEY (original, file)) WITHOUT ROWID;

CREATE TABLE problems (
    path BLOB NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, time INTEGER NOT NULL,
    PRIMARY KEY (path, reason)) WITHOUT ROWID;

CREATE TABLE projects (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);

CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, cli INTEGER NOT NULL, project INTEGER NOT NULL,
    first INTEGER, last INTEGER, messages INTEGER NOT NULL, title TEXT);

-- Ids are never used twice, and grow with what is stored later. A text that is a BLOB is compressed.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session INTEGER NOT NULL, file INTEGER NOT NULL, uuid NOT NULL, time INTEGER,
    role INTEGER NOT NULL, tools TEXT, agent TEXT, offset INTEGER NOT NULL, text NOT NULL);
CREATE UNIQUE INDEX message_uuid ON messages (uuid, session);
CREATE INDEX message_session ON messages (session);
CREATE INDEX message_file ON messages (file);

-- Hashes of texts that were stored: the same again counts less.
CREATE TABLE texts (hash INTEGER PRIMARY KEY);

-- What ranking needs of each message, in blocks of records of the same size: see `facts.rs`.
CREATE TABLE facts (block INTEGER PRIMARY KEY, records BLOB NOT NULL);

-- In how many messages each term occurs.
CREATE TABLE terms (term TEXT PRIMARY KEY, messages INTEGER NOT NULL) WITHOUT ROWID;

-- Which messages have which terms. Terms are made before (`terms.rs`): this tokenizer only parts them at the spaces.
CREATE VIRTUAL TABLE words USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = 'ascii');

CREATE TABLE models (id INTEGER PRIMARY KEY, identity TEXT NOT NULL UNIQUE, dimensions INTEGER NOT NULL);

-- Vectors as bytes, many in a row, by the ids of their messages: see `vectors.rs`.
CREATE TABLE vectors (
    model INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, ids BLOB NOT NULL, units BLOB NOT NULL,
    codes BLOB NOT NULL, PRIMARY KEY (model, first));
";

/// Codex's transcripts name a provider, and Gemini CLI's have one in their place: they are read once more. So are those
/// that nothing was stored from, because their project was excluded.
const SCHEMA_V2: &str = "
-- How aiw ran the CLI: the name of a provider, and whether with a configuration directory of its own.
ALTER TABLE sessions ADD COLUMN provider TEXT;
ALTER TABLE sessions ADD COLUMN isolated INTEGER NOT NULL DEFAULT 0;

-- The rules about secrets that all texts have gone through.
ALTER TABLE state ADD COLUMN rules INTEGER NOT NULL DEFAULT 0;

-- The excluded projects of which messages in a file were left out.
CREATE TABLE left_out (file INTEGER NOT NULL, project TEXT NOT NULL, PRIMARY KEY (file, project)) WITHOUT ROWID;

UPDATE files SET head = NULL WHERE cli IN (2, 3)
    OR id NOT IN (SELECT file FROM messages) AND id NOT IN (SELECT file FROM shares);
";

/// Titles of Claude Code's sessions, Codex's transcripts of before autumn 2025, and objects in damaged lines were passed
/// over: their transcripts are read once more.
const SCHEMA_V3: &str = "
UPDATE files SET head = NULL WHERE cli IN (1, 2);
";

/// The version of a database that a newer aiw made.
pub(super) fn newer_version(connection: &Connection) -> rusqlite::Result<Option<i64>> {
    let found = version(connection)?;
    Ok((found > VERSION).then_some(found))
}

/// Whether an older aiw made a database.
pub(super) fn is_older(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(version(connection)? < VERSION)
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings a database to the newest version, or leaves it as it is.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    migrate_by(connection, &MIGRATIONS)
}

fn migrate_by(connection: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let newest = i64::try_from(migrations.len()).unwrap_or(i64::MAX);
    if version(connection)? >= newest {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster, also a newer aiw.
    let found = version(&transaction)?;
    for migration in migrations.iter().skip(usize::try_from(found).unwrap_or_default()) {
        transaction.execute_batch(migration)?;
    }
    if found == 0 && newest > 1 {
        // What is stored from now on goes through these rules.
        transaction.execute("UPDATE state SET rules = ?", [rules::VERSION])?;
    }
    if found < newest {
        transaction.pragma_update(None, "user_version", newest)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    /// A version that takes long enough to be killed on its way.
    const LATER: &str = "
        CREATE TABLE later (number INTEGER PRIMARY KEY, filler TEXT NOT NULL);
        UPDATE state SET messages = messages + 1;
        WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 300000)
        INSERT INTO later SELECT n, hex(zeroblob(200)) FROM count;
    ";

    fn open(directory: &Path) -> Connection {
        let connection = Connection::open(directory.join("history.db")).unwrap();
        connection.pragma_update(None, "journal_mode", "WAL").unwrap();
        // What is changed goes to the disk before the end.
        connection.pragma_update(None, "cache_size", 20).unwrap();
        connection
    }

    fn state(connection: &Connection) -> (i64, i64, bool) {
        let messages = connection.query_row("SELECT messages FROM state", [], |row| row.get(0)).unwrap();
        let has_later = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'later')";
        (version(connection).unwrap(), messages, connection.query_row(has_later, [], |row| row.get(0)).unwrap())
    }

    #[test]
    fn a_migration_that_is_killed_has_changed_nothing_and_the_next_one_does_all_of_it() {
        // This very test is also the process that is killed.
        const DIRECTORY: &str = "AIW_TEST_MIGRATION";
        if let Some(directory) = std::env::var_os(DIRECTORY) {
            migrate_by(&mut open(Path::new(&directory)), &[SCHEMA_V1, SCHEMA_V2, SCHEMA_V3, LATER]).unwrap();
            return;
        }
        let home = tempfile::tempdir().unwrap();
        migrate(&mut open(home.path())).unwrap();
        assert_eq!(state(&open(home.path())), (VERSION, 0, false));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "store::schema::tests::a_migration_that_is_killed_has_changed_nothing_and_the_next_one_does_all_of_it",
            ])
            .env(DIRECTORY, home.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It is in the middle: pages of its transaction are on the disk.
        let start = Instant::now();
        let written = || std::fs::metadata(home.path().join("history.db-wal")).map_or(0, |meta| meta.len());
        while written() < 1 << 20 {
            assert!(start.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
            std::thread::sleep(Duration::from_millis(1));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(state(&open(home.path())), (VERSION, 0, false));
        migrate_by(&mut open(home.path()), &[SCHEMA_V1, SCHEMA_V2, SCHEMA_V3, LATER]).unwrap();
        assert_eq!(state(&open(home.path())), (VERSION + 1, 1, true));
        // To this aiw, it is newer; nothing is changed.
        assert_eq!(newer_version(&open(home.path())).unwrap(), Some(VERSION + 1));
        migrate(&mut open(home.path())).unwrap();
        assert_eq!(state(&open(home.path())), (VERSION + 1, 1, true));
    }
}

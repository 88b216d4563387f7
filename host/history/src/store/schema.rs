//! The database's tables, version by version.

use rusqlite::{Connection, TransactionBehavior};

/// Each brings a database from the version of its place to the next one.
const MIGRATIONS: [&str; 1] = [FIRST];

/// The version that this aiw reads and writes.
pub(super) const VERSION: i64 = MIGRATIONS.len() as i64;

const FIRST: &str = "
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

/// Brings a database to the newest version. Returns the version that it has if it is newer than that.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<Option<i64>> {
    let version = |connection: &Connection| connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    let found = version(connection)?;
    if found == VERSION {
        return Ok(None);
    }
    if found > VERSION {
        return Ok(Some(found));
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found = version(&transaction)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or_default()) {
        transaction.execute_batch(migration)?;
    }
    if found < VERSION {
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok((found > VERSION).then_some(found))
}

//! What is done to a store that an older aiw has filled, and to what depends on settings that have changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use rusqlite::{Transaction, params};

use super::append::replace_texts;
use super::packed::StoredText;
use super::{Store, cli_from_number, database};
use crate::{Cli, HistoryError};

impl Store {
    /// The number of the rules about secrets that all texts have gone through.
    pub(crate) fn redaction_rules_version(&self) -> Result<i64, HistoryError> {
        let rules = || self.connection.query_row("SELECT rules FROM state", [], |row| row.get(0));
        rules().map_err(|e| self.map_sqlite_error(e))
    }

    /// The texts of messages after one, by their ids.
    pub(crate) fn texts_after(&self, after: i64, most: usize) -> Result<Vec<(i64, String)>, HistoryError> {
        let list = || -> rusqlite::Result<Vec<(i64, String)>> {
            let mut list =
                self.connection.prepare_cached("SELECT id, text FROM messages WHERE id > ? ORDER BY id LIMIT ?")?;
            list.query_map(params![after, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
                Ok((row.get(0)?, row.get::<_, StoredText>(1)?.0))
            })?
            .collect()
        };
        list().map_err(|e| self.map_sqlite_error(e))
    }

    /// Gives messages other texts.
    pub(crate) fn replace_texts(&self, texts: &BTreeMap<i64, String>) -> Result<(), HistoryError> {
        let rewrite = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            replace_texts(&transaction, texts)?;
            transaction.commit()
        };
        rewrite(self.begin()?).map_err(|e| self.map_sqlite_error(e))
    }

    /// Says that all texts have gone through these rules. Nothing of the old ones stays on a page, if there were any.
    pub(crate) fn set_redaction_rules_version(&self, rules: i64, has_changed: bool) -> Result<(), HistoryError> {
        let save = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            transaction.execute("UPDATE state SET rules = ?", [rules])?;
            if has_changed { self.commit_and_checkpoint(transaction) } else { transaction.commit() }
        };
        save(self.begin()?).map_err(|e| self.map_sqlite_error(e))?;
        if has_changed { database::remove_damaged(self.directory()) } else { Ok(()) }
    }

    /// The transcripts that are to be read from their start.
    pub(crate) fn unread_transcripts(&self) -> Result<Vec<(Cli, PathBuf)>, HistoryError> {
        let list = || -> rusqlite::Result<Vec<(Cli, PathBuf)>> {
            let mut list = self.connection.prepare_cached("SELECT cli, path FROM files WHERE head IS NULL")?;
            let files = list.query_map([], |row| {
                Ok((cli_from_number(row.get(0)?), database::path_from_key(&row.get::<_, Vec<u8>>(1)?)))
            })?;
            files.collect()
        };
        list().map_err(|e| self.map_sqlite_error(e))
    }

    /// The excluded projects of which something in a transcript was left out.
    pub(crate) fn excluded_projects(&self, path: &Path) -> Result<Vec<String>, HistoryError> {
        let list = || -> rusqlite::Result<Vec<String>> {
            let mut list = self
                .connection
                .prepare_cached("SELECT project FROM left_out WHERE file = (SELECT id FROM files WHERE path = ?)")?;
            list.query_map(params![database::path_key(path)], |row| row.get(0))?.collect()
        };
        list().map_err(|e| self.map_sqlite_error(e))
    }

    /// Notes of which excluded projects something in a transcript was left out.
    pub(crate) fn record_excluded_projects(
        &self,
        path: &Path,
        projects: &BTreeSet<String>,
    ) -> Result<(), HistoryError> {
        let note = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            for project in projects {
                transaction.execute(
                    "INSERT OR IGNORE INTO left_out SELECT id, ? FROM files WHERE path = ?",
                    params![project, database::path_key(path)],
                )?;
            }
            transaction.commit()
        };
        note(self.begin()?).map_err(|e| self.map_sqlite_error(e))
    }
}

//! Sessions and their messages, as they are kept.

use std::ops::Range;
use std::path::{Path, PathBuf};

use rusqlite::params;
use schemars::JsonSchema;
use serde::Serialize;

use super::append::cli_number;
use super::packed::{MessageKey, StoredText, Uuid};
use super::{Store, cli_from_number, database, role_from_number};
use crate::{Cli, HistoryError, Launch, MessageAuthor, VectorCoverage};

/// A session as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastSession {
    /// Its id.
    pub id: String,
    /// The CLI.
    pub cli: Cli,
    /// Its directory. Empty if unknown.
    pub project: String,
    /// How aiw ran the CLI.
    pub launch: Launch,
    /// How the first thing that was asked begins.
    pub title: String,
    /// When its first message was said, in milliseconds since 1970.
    pub first_message_time: Option<i64>,
    /// When its last message was said.
    pub last_message_time: Option<i64>,
    /// How many messages it has.
    pub message_count: u64,
}

/// A message as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its id in the transcript.
    pub uuid: String,
    /// In milliseconds since 1970.
    pub time: Option<i64>,
    /// The author.
    pub role: MessageAuthor,
    /// The tools that it calls or answers for.
    pub tools: Vec<String>,
    /// The subagent that said it, or was told it.
    pub agent: Option<String>,
    /// The text.
    pub text: String,
    /// The transcript.
    pub path: PathBuf,
    /// Where its line starts there.
    pub offset: u64,
}

/// A part of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// The session.
    pub session: PastSession,
    /// Messages in their order.
    pub messages: Vec<StoredMessage>,
    /// How many come before them.
    pub messages_before: usize,
    /// How many come after them.
    pub messages_after: usize,
}

/// Which sessions to list.
#[derive(Debug, Clone, Copy, Default)]
pub struct SessionFilter<'a> {
    /// Only those of this directory and those below it.
    pub project: Option<&'a Path>,
    /// Only those of this CLI.
    pub cli: Option<Cli>,
    /// Only those that went on after this time, in milliseconds since 1970.
    pub since: Option<i64>,
    /// The most sessions; all if absent.
    pub limit: Option<usize>,
}

/// Which messages of a session to get.
#[derive(Debug, Clone, Copy)]
pub struct MessageRange<'a> {
    /// The message in the middle; else the last ones.
    pub around: Option<&'a str>,
    /// The most messages.
    pub limit: usize,
}

/// The size of the store.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Stats {
    /// How many sessions
    pub sessions: u64,
    /// How many messages
    pub messages: u64,
    /// How many projects
    pub projects: u64,
    /// How many transcripts
    pub transcripts: u64,
    /// How many messages have a vector
    pub vectors: u64,
    /// How far that is, for the model in use
    pub embeddings: Option<VectorCoverage>,
    /// The first message's time, in milliseconds since 1970
    pub first: Option<i64>,
    /// The last message's time
    pub last: Option<i64>,
    /// How much disk it takes, in bytes
    pub bytes: u64,
}

const SESSION_COLUMNS: &str = "sessions.name, sessions.cli, projects.path, sessions.title, sessions.first, sessions.last,
    sessions.messages, sessions.provider, sessions.isolated FROM sessions JOIN projects ON projects.id = sessions.project";

fn session(row: &rusqlite::Row<'_>) -> rusqlite::Result<PastSession> {
    Ok(PastSession {
        id: row.get(0)?,
        cli: cli_from_number(row.get(1)?),
        project: row.get(2)?,
        title: row.get::<_, Option<String>>(3)?.unwrap_or_default(),
        first_message_time: row.get(4)?,
        last_message_time: row.get(5)?,
        message_count: row.get::<_, i64>(6)?.max(0).cast_unsigned(),
        launch: Launch { provider: row.get(7)?, isolated: row.get(8)? },
    })
}

impl Store {
    /// Sessions, the latest first.
    pub fn sessions(&self, wanted: &SessionFilter<'_>) -> Result<Vec<PastSession>, HistoryError> {
        let list = || -> rusqlite::Result<Vec<PastSession>> {
            let sql = format!(
                "SELECT {SESSION_COLUMNS} WHERE sessions.messages > 0 AND (?1 IS NULL OR sessions.cli = ?1)
                 AND (?2 IS NULL OR sessions.last >= ?2) ORDER BY sessions.last DESC, sessions.id DESC"
            );
            let mut list = self.connection.prepare_cached(&sql)?;
            let all = list.query_map(params![wanted.cli.map(cli_number), wanted.since], session)?;
            let is_wanted = |found: &rusqlite::Result<PastSession>| match (found, wanted.project) {
                (Ok(found), Some(project)) => Path::new(&found.project).starts_with(project),
                _ => true,
            };
            all.filter(is_wanted).take(wanted.limit.unwrap_or(usize::MAX)).collect()
        };
        list().map_err(|e| self.map_sqlite_error(e))
    }

    /// A session, or the only one whose id starts like this, with the messages that are wanted of it.
    pub fn session_view(&self, id: &str, range: &MessageRange<'_>) -> Result<SessionView, HistoryError> {
        self.session_part(id, |number, session, order| match range.around {
            None => Ok(order.len().saturating_sub(range.limit)..order.len()),
            Some(uuid) => {
                let missing = || HistoryError::MessageNotFound { session: session.id.clone(), uuid: uuid.to_owned() };
                let message = self.message_number(number, uuid).map_err(|e| self.map_sqlite_error(e))?;
                let place = message.and_then(|message| order.iter().position(|id| *id == message));
                let start = place.ok_or_else(missing)?.saturating_sub(range.limit / 2);
                let end = (start + range.limit).min(order.len());
                Ok(end.saturating_sub(range.limit)..end)
            }
        })
    }

    /// Returns a session with at most `limit` of its messages, from the one with the index `start` on.
    ///
    /// # Errors
    ///
    /// No session or several have an id that starts like this, or the store can't be read.
    pub fn session_page(&self, id: &str, start: usize, limit: usize) -> Result<SessionView, HistoryError> {
        self.session_part(id, |_, _, order| {
            let start = start.min(order.len());
            Ok(start..start.saturating_add(limit).min(order.len()))
        })
    }

    fn session_part(
        &self,
        id: &str,
        part: impl FnOnce(i64, &PastSession, &[i64]) -> Result<Range<usize>, HistoryError>,
    ) -> Result<SessionView, HistoryError> {
        let number = self.session_number(id)?;
        let failed = |e| self.map_sqlite_error(e);
        let session = || -> rusqlite::Result<PastSession> {
            let sql = format!("SELECT {SESSION_COLUMNS} WHERE sessions.id = ?");
            self.connection.prepare_cached(&sql)?.query_row([number], session)
        };
        let session = session().map_err(failed)?;
        let order = self.order(number).map_err(failed)?;
        let Range { start, end } = part(number, &session, &order)?;
        let read = || order[start..end].iter().map(|id| self.stored(*id)).collect::<rusqlite::Result<Vec<_>>>();
        let messages = read().map_err(failed)?;
        Ok(SessionView { session, messages, messages_before: start, messages_after: order.len() - end })
    }

    /// The ids of a session's messages in their order.
    fn order(&self, session: i64) -> rusqlite::Result<Vec<i64>> {
        let mut list = self.connection.prepare_cached("SELECT id, time FROM messages WHERE session = ? ORDER BY id")?;
        let mut order: Vec<(i64, i64)> = Vec::new();
        let mut rows = list.query([session])?;
        while let Some(row) = rows.next()? {
            // What has no time comes after what was stored before it.
            let before = order.last().map_or(i64::MIN, |(time, _)| *time);
            order.push((row.get::<_, Option<i64>>(1)?.unwrap_or(before), row.get(0)?));
        }
        order.sort_by_key(|(time, _)| *time);
        Ok(order.into_iter().map(|(_, id)| id).collect())
    }

    fn message_number(&self, session: i64, uuid: &str) -> rusqlite::Result<Option<i64>> {
        let mut find = self.connection.prepare_cached("SELECT id FROM messages WHERE uuid = ? AND session = ?")?;
        find.query_map(params![MessageKey(uuid), session], |row| row.get(0))?.next().transpose()
    }

    fn stored(&self, id: i64) -> rusqlite::Result<StoredMessage> {
        let mut find = self.connection.prepare_cached(
            "SELECT uuid, time, role, tools, agent, text, files.path, messages.offset FROM messages
             JOIN files ON files.id = messages.file WHERE messages.id = ?",
        )?;
        find.query_row([id], |row| {
            let tools: Option<String> = row.get(3)?;
            Ok(StoredMessage {
                uuid: row.get::<_, Uuid>(0)?.0,
                time: row.get(1)?,
                role: role_from_number(row.get(2)?),
                tools: tools.iter().flat_map(|tools| tools.split(' ')).map(str::to_owned).collect(),
                agent: row.get(4)?,
                text: row.get::<_, StoredText>(5)?.0,
                path: database::path_from_key(&row.get::<_, Vec<u8>>(6)?),
                offset: row.get::<_, i64>(7)?.cast_unsigned(),
            })
        })
    }

    /// Returns the directories that sessions worked in.
    pub fn projects(&self) -> Result<Vec<String>, HistoryError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let sql =
                "SELECT path FROM projects WHERE id IN (SELECT project FROM sessions WHERE messages > 0) ORDER BY path";
            self.connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        };
        read().map_err(|e| self.map_sqlite_error(e))
    }

    /// Returns the size of the store.
    pub fn stats(&self) -> Result<Stats, HistoryError> {
        let count = |sql: &str| -> rusqlite::Result<u64> {
            self.connection
                .query_row(sql, [], |row| row.get::<_, Option<i64>>(0))
                .map(|n| n.unwrap_or(0).max(0).cast_unsigned())
        };
        let gather = || -> rusqlite::Result<Stats> {
            let times = "SELECT min(first), max(last) FROM sessions WHERE messages > 0";
            let (first, last) = self.connection.query_row(times, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok(Stats {
                sessions: count("SELECT count(*) FROM sessions WHERE messages > 0")?,
                messages: count("SELECT messages FROM state")?,
                projects: count("SELECT count(DISTINCT project) FROM sessions WHERE messages > 0")?,
                transcripts: count("SELECT count(*) FROM files WHERE head IS NOT NULL")?,
                vectors: count("SELECT sum(length(ids) / 8) FROM vectors")?,
                embeddings: None,
                first,
                last,
                bytes: 0,
            })
        };
        let mut stats = gather().map_err(|e| self.map_sqlite_error(e))?;
        let sizes = ["history.db", "history.db-wal"].map(|name| std::fs::metadata(self.directory().join(name)));
        stats.bytes = sizes.iter().flatten().map(std::fs::Metadata::len).sum();
        Ok(stats)
    }
}

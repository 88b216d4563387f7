//! Forgetting on request: nothing of it stays in the store, and reading transcripts again doesn't bring it back.

use std::path::Path;

use rusqlite::{Transaction, params};

use super::append::drop_messages;
use super::forgotten::ForgetRules;
use super::{Store, database, now};
use crate::HistoryError;

/// The messages to forget.
#[derive(Debug, Clone, Copy)]
pub enum ForgetTarget<'a> {
    /// A session: its id, or the start of it.
    Session(&'a str),
    /// All sessions of a directory and those below it.
    Project(&'a Path),
    /// Everything that was said before a time, in milliseconds since 1970.
    Before(i64),
}

/// The messages that were, or would be, forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ForgetReport {
    /// How many sessions have messages less.
    pub sessions: usize,
    /// How many messages.
    pub messages: usize,
}

impl Store {
    /// How much [`Store::forget`] would forget.
    pub fn preview_forget(&self, what: &ForgetTarget<'_>) -> Result<ForgetReport, HistoryError> {
        self.count(&self.which(what)?)
    }

    fn count(&self, which: &str) -> Result<ForgetReport, HistoryError> {
        let count = || -> rusqlite::Result<ForgetReport> {
            let sql = format!("SELECT count(*), count(DISTINCT session) FROM messages WHERE {which}");
            self.connection.query_row(&sql, [], |row| {
                let number = |place| row.get::<_, i64>(place).map(|n| usize::try_from(n).unwrap_or_default());
                Ok(ForgetReport { messages: number(0)?, sessions: number(1)? })
            })
        };
        count().map_err(|e| self.map_sqlite_error(e))
    }

    /// Forgets messages: their texts, words and vectors, and what free pages still hold of them. The transcripts stay as
    /// they are; what they say of this is not stored again.
    pub fn forget(&self, what: &ForgetTarget<'_>) -> Result<ForgetReport, HistoryError> {
        let which = self.which(what)?;
        let forgot = self.preview_forget(what)?;
        self.remember_forgetting(what, &which)?;
        let forget = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            drop_messages(&transaction, &format!("SELECT id FROM messages WHERE {which}"), [])?;
            self.commit_and_checkpoint(transaction)
        };
        forget(self.begin()?).map_err(|e| self.map_sqlite_error(e))?;
        database::remove_damaged(self.directory())?;
        Ok(forgot)
    }

    /// Takes out what was said in a session since a time, in milliseconds since 1970, or at no known time. It comes back
    /// when its transcript is read again, unless the session is private by then.
    pub(crate) fn drop_since(&self, session: &str, since: i64) -> Result<(), HistoryError> {
        let drop_since = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            let which = "SELECT id FROM messages WHERE session = (SELECT id FROM sessions WHERE name = ?1) \
                         AND (time IS NULL OR time >= ?2)";
            if transaction.query_row(&format!("SELECT EXISTS ({which})"), params![session, since], |row| row.get(0))? {
                drop_messages(&transaction, which, params![session, since])?;
                self.commit_and_checkpoint(transaction)?;
            }
            Ok(())
        };
        drop_since(self.begin()?).map_err(|e| self.map_sqlite_error(e))
    }

    /// The projects that a predicate takes, of which there are sessions.
    pub(crate) fn project_ids(&self, is_wanted: &mut dyn FnMut(&str) -> bool) -> Result<Vec<i64>, HistoryError> {
        let list = || -> rusqlite::Result<Vec<(i64, String)>> {
            let mut list = self.connection.prepare(
                "SELECT id, path FROM projects WHERE id IN (SELECT project FROM sessions WHERE messages > 0)",
            )?;
            list.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        let all = list().map_err(|e| self.map_sqlite_error(e))?;
        Ok(all.into_iter().filter(|(_, path)| is_wanted(path)).map(|(id, _)| id).collect())
    }

    /// How much of projects there is.
    pub(crate) fn count_messages(&self, projects: &[i64]) -> Result<ForgetReport, HistoryError> {
        self.count(&of_projects(projects))
    }

    /// Takes projects out, as [`Store::forget`] does. But they come back when their transcripts are read again.
    pub(crate) fn remove_projects(&self, projects: &[i64]) -> Result<ForgetReport, HistoryError> {
        let which = of_projects(projects);
        let taken = self.count(&which)?;
        let take_out = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            let files = format!("SELECT file FROM messages WHERE {which}");
            transaction.execute(
                &format!(
                    "UPDATE files SET head = NULL WHERE id IN ({files})
                     OR id IN (SELECT file FROM shares WHERE original IN ({files}))"
                ),
                [],
            )?;
            drop_messages(&transaction, &format!("SELECT id FROM messages WHERE {which}"), [])?;
            self.commit_and_checkpoint(transaction)
        };
        take_out(self.begin()?).map_err(|e| self.map_sqlite_error(e))?;
        database::remove_damaged(self.directory())?;
        Ok(taken)
    }

    /// Commits, and leaves nothing on free pages.
    pub(super) fn commit_and_checkpoint(&self, transaction: Transaction<'_>) -> rusqlite::Result<()> {
        // Entries of the index go when its parts are merged.
        transaction.execute("INSERT INTO words (words) VALUES ('optimize')", [])?;
        transaction.commit()?;
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// Writes down what must not come back, before it goes.
    fn remember_forgetting(&self, what: &ForgetTarget<'_>, which: &str) -> Result<(), HistoryError> {
        let _turn = aiw_home::ExclusiveLock::acquire(&self.directory().join(".forget.lock"))?;
        let mut forgotten = ForgetRules::load(self.directory())?;
        let time = now();
        match what {
            // What is said later is not forgotten, whatever time is named.
            ForgetTarget::Before(before) => forgotten.before = forgotten.before.max((*before).min(time)),
            ForgetTarget::Session(_) | ForgetTarget::Project(_) => {
                let names = || -> rusqlite::Result<Vec<String>> {
                    let sql =
                        format!("SELECT name FROM sessions WHERE id IN (SELECT session FROM messages WHERE {which})");
                    self.connection.prepare(&sql)?.query_map([], |row| row.get(0))?.collect()
                };
                let names = names().map_err(|e| self.map_sqlite_error(e))?;
                forgotten.sessions.extend(names.into_iter().map(|name| (name, time)));
                if let ForgetTarget::Project(project) = what {
                    forgotten.projects.insert(project.to_string_lossy().into_owned(), time);
                }
            }
        }
        forgotten.save(self.directory())
    }

    /// The condition for messages to forget. It holds numbers only.
    fn which(&self, what: &ForgetTarget<'_>) -> Result<String, HistoryError> {
        Ok(match what {
            ForgetTarget::Session(session) => format!("session = {}", self.session_number(session)?),
            ForgetTarget::Before(time) => format!("time < {time}"),
            ForgetTarget::Project(project) => {
                of_projects(&self.project_ids(&mut |path| Path::new(path).starts_with(project))?)
            }
        })
    }
}

/// The condition for messages of projects.
fn of_projects(projects: &[i64]) -> String {
    let ids: Vec<String> = projects.iter().map(i64::to_string).collect();
    format!("session IN (SELECT id FROM sessions WHERE project IN ({}))", ids.join(", "))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Cli, HistoryQuery, MessageAuthor, ReadProgress, SessionMessage};

    fn message(session: &str, project: &str, uuid: &str, time: i64, text: &str) -> SessionMessage {
        SessionMessage {
            uuid: uuid.into(),
            session: session.into(),
            project: project.into(),
            time: Some(time),
            role: MessageAuthor::User,
            tools: Vec::new(),
            text: text.into(),
            agent: None,
            offset: 0,
        }
    }

    fn filled(directory: &Path) -> (Store, Vec<SessionMessage>) {
        let store = Store::open(directory).unwrap();
        let messages = vec![
            message("one", "/p/a", "1", 1_700_000_000_000, "the xylophone needs a handshake"),
            message("one", "/p/a", "2", 1_780_000_000_000, "the marimba is fine"),
            message("two", "/p/a/sub", "3", 1_780_000_000_001, "a theremin"),
            message("three", "/p/b", "4", 1_780_000_000_002, "an accordion"),
        ];
        append(&store, &messages);
        (store, messages)
    }

    fn append(store: &Store, messages: &[SessionMessage]) -> usize {
        let progress =
            ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
        store.append(Cli::Claude, Path::new("/t"), messages, &progress).unwrap().new_messages
    }

    fn found(store: &Store, text: &str) -> usize {
        store.search(&HistoryQuery { text, ..HistoryQuery::default() }, None).unwrap().len()
    }

    /// Whether any file of the store has these bytes.
    fn is_on_disk(directory: &Path, text: &str) -> bool {
        std::fs::read_dir(directory).unwrap().any(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            bytes.windows(text.len()).any(|window| window == text.as_bytes())
        })
    }

    #[test]
    fn what_is_forgotten_is_on_no_page_and_does_not_come_back() {
        let home = tempfile::tempdir().unwrap();
        let (store, messages) = filled(home.path());
        assert!(is_on_disk(home.path(), "xylophon") && found(&store, "xylophone") == 1);
        assert_eq!(store.forget(&ForgetTarget::Session("one")).unwrap(), ForgetReport { sessions: 1, messages: 2 });
        for word in ["xylophon", "marimba", "handshak"] {
            assert_eq!((found(&store, word), is_on_disk(home.path(), word)), (0, false), "{word}");
        }
        assert_eq!(found(&store, "accordion"), 1);
        assert_eq!(append(&store, &messages), 0);
        assert!(matches!(store.forget(&ForgetTarget::Session("one")), Err(HistoryError::SessionNotFound { .. })));
        // The session goes on.
        let later = message("one", "/p/a", "9", now() + 60_000, "a new marimba");
        assert_eq!(append(&store, &[later]), 1);
    }

    #[test]
    fn a_project_is_forgotten_with_what_is_below_it_and_a_time_with_what_was_before() {
        let home = tempfile::tempdir().unwrap();
        let (store, messages) = filled(home.path());
        assert_eq!(
            store.forget(&ForgetTarget::Before(1_750_000_000_000)).unwrap(),
            ForgetReport { sessions: 1, messages: 1 }
        );
        assert_eq!((found(&store, "xylophone"), found(&store, "marimba")), (0, 1));
        assert!(!is_on_disk(home.path(), "xylophone"));
        let sessions = store.sessions(&super::super::view::SessionFilter::default()).unwrap();
        let one = sessions.iter().find(|session| session.id == "one").unwrap();
        assert_eq!(
            (one.title.as_str(), one.first_message_time, one.message_count),
            ("the marimba is fine", one.last_message_time, 1)
        );
        assert_eq!(
            store.forget(&ForgetTarget::Project(Path::new("/p/a"))).unwrap(),
            ForgetReport { sessions: 2, messages: 2 }
        );
        assert_eq!((found(&store, "marimba theremin"), found(&store, "accordion")), (0, 1));
        assert_eq!(append(&store, &messages), 0);
        assert_eq!(store.stats().unwrap().messages, 1);
    }
}

//! Storing what was read from transcripts, and dropping what came from one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use aiw_home::creation_time;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::facts::{FactWriter, MessageFact, encode_length, minutes};
use super::forgotten::ForgetRules;
use super::packed::{MessageKey, PackedText, StoredText};
use super::vectors::drop_vectors;
use super::{PRIVATE_SESSIONS_DIR, ReadProgress, Store, database, role_from_number, terms};
use crate::{Cli, HistoryError, MAX_TEXT, MessageAuthor, SessionMessage};

/// The most bytes of a title.
const MAX_TITLE: usize = 200;

/// The outcome of adding messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppendOutcome {
    /// How many are new.
    pub new_messages: usize,
    /// How many were there already, in this session or in the one that it was forked from.
    pub duplicates: usize,
    /// How many were left out because they were forgotten on request.
    pub skipped_forgotten: usize,
}

pub(crate) const fn cli_number(cli: Cli) -> i64 {
    match cli {
        Cli::Claude => 1,
        Cli::Codex => 2,
        Cli::Gemini => 3,
    }
}

pub(super) const fn role_number(role: MessageAuthor) -> i64 {
    match role {
        MessageAuthor::User => 1,
        MessageAuthor::Assistant => 2,
        MessageAuthor::Tool => 3,
    }
}

impl Store {
    /// Stores what a stretch of one transcript yielded and how far it got, in one transaction: after a crash, both are
    /// there or neither.
    ///
    /// A message whose session has its uuid already is not stored twice. A fork copies old lines with their uuids under
    /// its own session id: a copy with the same text is not stored either, so that it is found once, in the session whose
    /// transcript came to be first. If the fork was read before the original, the original takes its messages back.
    /// Some CLIs give the copies new uuids: those are known by their text, author and time.
    pub fn append(
        &self,
        cli: Cli,
        path: &Path,
        messages: &[SessionMessage],
        progress: &ReadProgress,
    ) -> Result<AppendOutcome, HistoryError> {
        // Looked at within the transaction: whoever forgets or marks meanwhile takes it out again afterwards.
        let transaction = self.begin()?;
        let forgotten = ForgetRules::load(self.directory())?;
        let is_marked = |session: &str| {
            std::fs::symlink_metadata(self.directory().join(PRIVATE_SESSIONS_DIR).join(session)).is_ok()
        };
        let mut private: HashMap<&str, bool> = HashMap::new();
        let mut append = |transaction: Transaction<'_>| -> rusqlite::Result<AppendOutcome> {
            let file = file_number(&transaction, cli, path)?;
            let mut writing = Writing::new(&transaction, cli, path, file);
            let mut appended = AppendOutcome::default();
            for (at, message) in messages.iter().enumerate() {
                let session = message.session.as_str();
                let is_private = *private.entry(session).or_insert_with(|| is_marked(session));
                if is_private || forgotten.matches(message) {
                    appended.skipped_forgotten += 1;
                } else if writing.put(message, &messages[at + 1..])? {
                    appended.new_messages += 1;
                } else {
                    appended.duplicates += 1;
                }
            }
            writing.finish()?;
            save_progress(&transaction, file, progress)?;
            transaction.commit()?;
            Ok(appended)
        };
        append(transaction).map_err(|e| self.map_sqlite_error(e))
    }

    /// Forgets what came from a transcript that was rewritten, shortened or removed, so that it can be read from the
    /// start.
    ///
    /// Other transcripts may hold copies of it, which were not stored (see [`Store::append`]). Their progress is dropped
    /// too: when they are read again, what is still in them is stored as theirs.
    pub fn reset_transcript(&self, path: &Path) -> Result<(), HistoryError> {
        let redo = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
            let find = "SELECT id FROM files WHERE path = ?";
            let file: Option<i64> =
                transaction.query_row(find, [database::path_key(path)], |row| row.get(0)).optional()?;
            if let Some(file) = file {
                drop_messages(&transaction, "SELECT id FROM messages WHERE file = ?", [file])?;
                transaction.execute(
                    "UPDATE files SET head = NULL WHERE id = ?1 OR id IN (SELECT file FROM shares WHERE original = ?1)",
                    [file],
                )?;
                transaction.execute("DELETE FROM shares WHERE original = ?1 OR file = ?1", [file])?;
                transaction.execute("DELETE FROM left_out WHERE file = ?1", [file])?;
            }
            transaction.execute("DELETE FROM problems WHERE path = ?", [database::path_key(path)])?;
            transaction.commit()
        };
        redo(self.begin()?).map_err(|e| self.map_sqlite_error(e))
    }
}

fn file_number(connection: &Connection, cli: Cli, path: &Path) -> rusqlite::Result<i64> {
    let mut put = connection.prepare_cached(
        "INSERT INTO files (path, cli, offset, size, modified, inode) VALUES (?, ?, 0, 0, 0, 0)
         ON CONFLICT DO UPDATE SET cli = excluded.cli RETURNING id",
    )?;
    put.query_row(params![database::path_key(path), cli_number(cli)], |row| row.get(0))
}

fn save_progress(connection: &Connection, file: i64, progress: &ReadProgress) -> rusqlite::Result<()> {
    let mut save = connection.prepare_cached(
        "UPDATE files SET offset = ?2, last_uuid = coalesce(?3, last_uuid), size = ?4, modified = ?5, inode = ?6,
         head = ?7 WHERE id = ?1",
    )?;
    save.execute(params![
        file,
        progress.offset.cast_signed(),
        progress.last_uuid,
        progress.size.cast_signed(),
        progress.modified,
        progress.inode.cast_signed(),
        progress.prefix_digest
    ])
    .map(drop)
}

/// How many new texts a session begins with before it counts as no fork: a fork may have a title of its own.
const MAX_NEW_TEXTS: u8 = 4;

/// What is known of a session that may be a fork whose copies have ids of their own.
#[derive(Default)]
struct SessionFork {
    /// How many texts at its beginning are new.
    new_texts: u8,
    /// The sessions that it may have copies of, once they were looked for.
    originals: Option<Vec<i64>>,
    /// Whether two messages in a row are copies.
    is_certain: bool,
}

/// Returns the part of a text that is kept.
fn kept(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_TEXT)]
}

/// Returns the message of one of these sessions that another message is a copy of: its session, file and id.
fn original_of(
    connection: &Connection,
    originals: &[i64],
    message: &SessionMessage,
    text: &str,
) -> rusqlite::Result<Option<(i64, i64, i64)>> {
    let mut find = connection.prepare_cached(
        "SELECT file, id, text FROM messages WHERE session = ? AND time = ? AND role = ? AND agent IS ?",
    )?;
    for other in originals {
        let mut rows = find.query(params![other, message.time, role_number(message.role), message.agent])?;
        while let Some(row) = rows.next()? {
            if row.get::<_, StoredText>(2)?.0 == text {
                return Ok(Some((*other, row.get(0)?, row.get(1)?)));
            }
        }
    }
    Ok(None)
}

/// Returns the sessions with which a session may share messages: those of its project that began at the same time, and
/// those whose transcripts share messages with its own.
fn originals(connection: &Connection, session: i64, file: i64, time: i64) -> rusqlite::Result<Vec<i64>> {
    let mut find = connection.prepare_cached(
        "SELECT other.id FROM sessions JOIN sessions AS other ON other.cli = sessions.cli
         AND other.project = sessions.project AND other.first = coalesce(sessions.first, ?3)
         WHERE sessions.id = ?1 AND other.id != ?1
         UNION SELECT messages.session FROM messages JOIN sessions AS other ON other.id = messages.session
         WHERE other.id != ?1 AND other.project = (SELECT project FROM sessions WHERE id = ?1) AND messages.file IN (
             SELECT original FROM shares WHERE file = ?2 UNION SELECT file FROM shares WHERE original = ?2)",
    )?;
    find.query_map([session, file, time], |row| row.get(0))?.collect()
}

/// The changes of one transaction, which are written at its end.
struct Writing<'a> {
    connection: &'a Connection,
    cli: Cli,
    path: &'a Path,
    file: i64,
    /// Whether other files came to be later than this one.
    younger: HashMap<i64, bool>,
    /// Sessions that lost messages to another, or got them back.
    sessions_to_repair: BTreeSet<i64>,
    facts: FactWriter<'a>,
    sessions: HashMap<String, i64>,
    forks: HashMap<i64, SessionFork>,
    projects: HashMap<String, i64>,
    /// In how many more messages each term occurs. Sorted, because that is how they are stored.
    terms: BTreeMap<String, i64>,
    messages: i64,
    length: i64,
}

impl<'a> Writing<'a> {
    fn new(connection: &'a Connection, cli: Cli, path: &'a Path, file: i64) -> Self {
        Self {
            connection,
            cli,
            path,
            file,
            younger: HashMap::new(),
            sessions_to_repair: BTreeSet::new(),
            facts: FactWriter::new(connection),
            sessions: HashMap::new(),
            forks: HashMap::new(),
            projects: HashMap::new(),
            terms: BTreeMap::new(),
            messages: 0,
            length: 0,
        }
    }

    /// Stores a message, after which come others. `false` if it was there already.
    fn put(&mut self, message: &SessionMessage, later: &[SessionMessage]) -> rusqlite::Result<bool> {
        let text = kept(&message.text);
        let project = self.project(&message.project)?;
        let session = self.session(message, project)?;
        if self.is_known(message, session, text, later)? {
            return Ok(false);
        }
        let mut put = self.connection.prepare_cached(
            "INSERT INTO messages (session, file, uuid, time, role, tools, agent, offset, text)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?;
        let tools = (!message.tools.is_empty()).then(|| message.tools.join(" "));
        put.execute(params![
            session,
            self.file,
            MessageKey(&message.uuid),
            message.time,
            role_number(message.role),
            tools,
            message.agent,
            message.offset.cast_signed(),
            PackedText::new(text),
        ])?;
        let id = self.connection.last_insert_rowid();
        let (length, is_copy) = index(self.connection, id, text, &message.tools, &mut self.terms)?;
        let fact = MessageFact {
            session: u32::try_from(session).unwrap_or_default(),
            minutes_since_2020: minutes(message.time),
            length: encode_length(length),
            role: message.role,
            is_copy,
        };
        self.facts.put(id, Some(fact))?;
        self.messages += 1;
        self.length += i64::try_from(length).unwrap_or_default();
        let mut note = self.connection.prepare_cached(
            "UPDATE sessions SET messages = messages + 1, first = min(coalesce(first, ?2), coalesce(?2, first)),
             last = max(coalesce(last, ?2), coalesce(?2, last)),
             title = CASE WHEN title IS NULL AND ?3 IS NOT NULL THEN ?3 ELSE title END WHERE id = ?1",
        )?;
        let is_title = message.role == MessageAuthor::User && message.agent.is_none() && !text.trim().is_empty();
        let title = is_title.then(|| title_of(text));
        note.execute(params![session, message.time, title])?;
        Ok(true)
    }

    fn is_known(
        &mut self,
        message: &SessionMessage,
        session: i64,
        text: &str,
        later: &[SessionMessage],
    ) -> rusqlite::Result<bool> {
        let mut find = self.connection.prepare_cached("SELECT session, file, text, id FROM messages WHERE uuid = ?")?;
        let mut rows = find.query([MessageKey(&message.uuid)])?;
        let mut copy = None;
        while let Some(row) = rows.next()? {
            let (owner, file, id) = (row.get::<_, i64>(0)?, row.get(1)?, row.get(3)?);
            if owner == session {
                self.share(file, self.file)?;
                return Ok(true);
            }
            if copy.is_none() && row.get::<_, StoredText>(2)?.0 == text {
                copy = Some((owner, file, id));
            }
        }
        drop(rows);
        drop(find);
        if copy.is_none() {
            copy = self.copied_from(message, session, text, later)?;
        }
        let Some((owner, file, id)) = copy else { return Ok(false) };
        if self.came_before(file)? {
            self.take_back(id, owner, session, message)?;
            self.share(self.file, file)?;
        } else {
            self.share(file, self.file)?;
        }
        Ok(true)
    }

    /// Returns the message that this one is a copy of under other ids: it has the same text, author and time, in a session
    /// of the same project that began with the same message, and so has the next one. Returns its session, file and id.
    fn copied_from(
        &mut self,
        message: &SessionMessage,
        session: i64,
        text: &str,
        later: &[SessionMessage],
    ) -> rusqlite::Result<Option<(i64, i64, i64)>> {
        let Some(time) = message.time else { return Ok(None) };
        let (connection, file) = (self.connection, self.file);
        let fork = self.forks.entry(session).or_default();
        let originals = match &mut fork.originals {
            Some(originals) => originals,
            // A fork begins with texts that are known.
            None if fork.new_texts == MAX_NEW_TEXTS => return Ok(None),
            None => {
                let mut seen = connection.prepare_cached("SELECT 1 FROM texts WHERE hash = ?")?;
                if !seen.exists([text_hash(text)])? {
                    fork.new_texts += 1;
                    return Ok(None);
                }
                fork.originals.insert(originals(connection, session, file, time)?)
            }
        };
        let found = original_of(connection, originals, message, text)?;
        if found.is_some() && !fork.is_certain {
            // Two sessions may begin with the same words in the same moment.
            let next = later.iter().find(|next| next.session == message.session);
            let next = match next {
                Some(next) => original_of(connection, originals, next, kept(&next.text))?,
                None => None,
            };
            if next.is_none() {
                return Ok(None);
            }
            fork.is_certain = true;
        }
        Ok(found)
    }

    /// Notes that a file holds copies of what another one has.
    fn share(&self, original: i64, file: i64) -> rusqlite::Result<()> {
        if original == file {
            return Ok(());
        }
        let mut share = self.connection.prepare_cached("INSERT OR IGNORE INTO shares VALUES (?, ?)")?;
        share.execute([original, file]).map(drop)
    }

    /// Whether this transcript came to be before another, as far as the file system knows.
    fn came_before(&mut self, other: i64) -> rusqlite::Result<bool> {
        if let Some(known) = self.younger.get(&other) {
            return Ok(*known);
        }
        let mut find = self.connection.prepare_cached("SELECT path FROM files WHERE id = ?")?;
        let path: Option<Vec<u8>> = find.query_row([other], |row| row.get(0)).optional()?;
        let other_since = path.and_then(|path| creation_time(&database::path_from_key(&path)));
        let is_younger = creation_time(self.path).zip(other_since).is_some_and(|(own, other)| own < other);
        self.younger.insert(other, is_younger);
        Ok(is_younger)
    }

    /// Gives a message that a fork has copied to the session that said it.
    fn take_back(&mut self, id: i64, from: i64, session: i64, message: &SessionMessage) -> rusqlite::Result<()> {
        let mut give = self
            .connection
            .prepare_cached("UPDATE messages SET session = ?2, file = ?3, offset = ?4, uuid = ?5 WHERE id = ?1")?;
        give.execute(params![id, session, self.file, message.offset.cast_signed(), MessageKey(&message.uuid)])?;
        let mut count = self.connection.prepare_cached("UPDATE sessions SET messages = messages + ?2 WHERE id = ?1")?;
        count.execute([from, -1])?;
        count.execute([session, 1])?;
        self.facts.set_session(id, u32::try_from(session).unwrap_or_default())?;
        self.sessions_to_repair.extend([from, session]);
        Ok(())
    }

    fn project(&mut self, path: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.projects.get(path) {
            return Ok(*id);
        }
        let mut put = self.connection.prepare_cached(
            "INSERT INTO projects (path) VALUES (?) ON CONFLICT DO UPDATE SET path = excluded.path RETURNING id",
        )?;
        let id = put.query_row([path], |row| row.get(0))?;
        self.projects.insert(path.to_owned(), id);
        Ok(id)
    }

    /// A session's project is the first one that is known of it.
    fn session(&mut self, message: &SessionMessage, project: i64) -> rusqlite::Result<i64> {
        if let Some(id) = self.sessions.get(&message.session) {
            return Ok(*id);
        }
        let mut put = self.connection.prepare_cached(
            "INSERT INTO sessions (name, cli, project, messages) VALUES (?, ?, ?, 0)
             ON CONFLICT DO UPDATE SET project = CASE WHEN (SELECT path FROM projects WHERE id = sessions.project) = ''
             THEN excluded.project ELSE sessions.project END RETURNING id",
        )?;
        let id = put.query_row(params![message.session, cli_number(self.cli), project], |row| row.get(0))?;
        self.sessions.insert(message.session.clone(), id);
        Ok(id)
    }

    fn finish(mut self) -> rusqlite::Result<()> {
        self.facts.flush()?;
        mend_sessions(self.connection, &self.sessions_to_repair)?;
        count_terms(self.connection, &self.terms)?;
        count(self.connection, self.messages, self.length)
    }
}

/// Adds a text to the index: its terms, and those of the tools. Returns how many there are, and whether the text was
/// there before.
fn index(
    connection: &Connection,
    id: i64,
    text: &str,
    tools: &[String],
    added: &mut BTreeMap<String, i64>,
) -> rusqlite::Result<(usize, bool)> {
    let mut seen = connection.prepare_cached("INSERT OR IGNORE INTO texts VALUES (?)")?;
    let is_copy = seen.execute([text_hash(text)])? == 0;
    let all = all_terms(text, tools);
    let length = all.len();
    let counts = terms::term_counts(all);
    let mut index = connection.prepare_cached("INSERT INTO words (rowid, terms) VALUES (?, ?)")?;
    let mut joined = String::new();
    for term in counts.keys() {
        joined.push_str(term);
        joined.push(' ');
    }
    index.execute(params![id, joined])?;
    for term in counts.into_keys() {
        *added.entry(term).or_default() += 1;
    }
    Ok((length, is_copy))
}

/// Takes a text out of the index. Returns how many terms there were.
fn unindex(
    connection: &Connection,
    id: i64,
    text: &str,
    tools: &[String],
    dropped: &mut BTreeMap<String, i64>,
) -> rusqlite::Result<usize> {
    let all = all_terms(text, tools);
    let length = all.len();
    for term in terms::term_counts(all).into_keys() {
        *dropped.entry(term).or_default() -= 1;
    }
    connection.prepare_cached("DELETE FROM words WHERE rowid = ?")?.execute([id])?;
    connection.prepare_cached("DELETE FROM texts WHERE hash = ?")?.execute([text_hash(text)])?;
    Ok(length)
}

fn all_terms(text: &str, tools: &[String]) -> Vec<String> {
    let mut all = terms(text);
    all.extend(tools.iter().flat_map(|tool| terms(tool)));
    all
}

fn tools_of(tools: Option<&str>) -> Vec<String> {
    tools.iter().flat_map(|tools| tools.split(' ')).map(str::to_owned).collect()
}

/// Gives messages other texts. Their vectors go, which the old texts were in: words find them.
pub(super) fn replace_texts(connection: &Connection, texts: &BTreeMap<i64, String>) -> rusqlite::Result<()> {
    let mut facts = FactWriter::new(connection);
    let mut terms: BTreeMap<String, i64> = BTreeMap::new();
    let mut length = 0_i64;
    let mut sessions = BTreeSet::new();
    {
        let mut find =
            connection.prepare_cached("SELECT text, tools, session, time, role FROM messages WHERE id = ?")?;
        let mut write = connection.prepare_cached("UPDATE messages SET text = ? WHERE id = ?")?;
        for (id, text) in texts {
            let (StoredText(old), tools, session, time, role) = find.query_row([id], |row| {
                let tools = tools_of(row.get::<_, Option<String>>(1)?.as_deref());
                Ok((row.get(0)?, tools, row.get::<_, i64>(2)?, row.get(3)?, row.get(4)?))
            })?;
            let before = unindex(connection, *id, &old, &tools, &mut terms)?;
            let (after, is_copy) = index(connection, *id, text, &tools, &mut terms)?;
            write.execute(params![PackedText::new(text), id])?;
            length += i64::try_from(after).unwrap_or_default() - i64::try_from(before).unwrap_or_default();
            let fact = MessageFact {
                session: u32::try_from(session).unwrap_or_default(),
                minutes_since_2020: minutes(time),
                length: encode_length(after),
                role: role_from_number(role),
                is_copy,
            };
            facts.put(*id, Some(fact))?;
            sessions.insert(session);
        }
    }
    facts.flush()?;
    drop_vectors(connection, &texts.keys().copied().collect::<Vec<_>>())?;
    count_terms(connection, &terms)?;
    drop_unused(connection, &terms)?;
    count(connection, 0, length)?;
    mend_sessions(connection, &sessions)
}

/// Drops terms that no message has any more.
fn drop_unused(connection: &Connection, terms: &BTreeMap<String, i64>) -> rusqlite::Result<()> {
    let mut unused = connection.prepare_cached("DELETE FROM terms WHERE term = ? AND messages <= 0")?;
    for term in terms.keys() {
        unused.execute([term])?;
    }
    Ok(())
}

fn count_terms(connection: &Connection, terms: &BTreeMap<String, i64>) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(
        "INSERT INTO terms VALUES (?1, ?2) ON CONFLICT DO UPDATE SET messages = messages + excluded.messages",
    )?;
    for (term, messages) in terms {
        put.execute(params![term, messages])?;
    }
    Ok(())
}

fn count(connection: &Connection, messages: i64, length: i64) -> rusqlite::Result<()> {
    let mut sum = connection.prepare_cached("UPDATE state SET messages = messages + ?, terms = terms + ?")?;
    sum.execute([messages, length]).map(drop)
}

/// Drops messages with all that is kept of them. Returns how many there were.
pub(super) fn drop_messages(
    connection: &Connection,
    which: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<usize> {
    let mut ids: Vec<i64> =
        connection.prepare(which)?.query_map(parameters, |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    ids.sort_unstable();
    let mut facts = FactWriter::new(connection);
    let mut dropped: BTreeMap<String, i64> = BTreeMap::new();
    let mut length = 0_i64;
    let mut sessions = BTreeSet::new();
    {
        let mut find = connection.prepare_cached("SELECT text, tools, session FROM messages WHERE id = ?")?;
        let mut unlist = connection.prepare_cached("DELETE FROM messages WHERE id = ?")?;
        let mut less = connection.prepare_cached("UPDATE sessions SET messages = messages - 1 WHERE id = ?")?;
        for id in &ids {
            let (StoredText(text), tools, session) =
                find.query_row([id], |row| Ok((row.get(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, i64>(2)?)))?;
            let terms = unindex(connection, *id, &text, &tools_of(tools.as_deref()), &mut dropped)?;
            length += i64::try_from(terms).unwrap_or_default();
            unlist.execute([id])?;
            less.execute([session])?;
            sessions.insert(session);
            facts.put(*id, None)?;
        }
    }
    facts.flush()?;
    drop_vectors(connection, &ids)?;
    count_terms(connection, &dropped)?;
    drop_unused(connection, &dropped)?;
    count(connection, -i64::try_from(ids.len()).unwrap_or_default(), -length)?;
    mend_sessions(connection, &sessions)?;
    Ok(ids.len())
}

/// Finds out anew what is known of sessions that lost messages, and drops empty ones.
fn mend_sessions(connection: &Connection, sessions: &BTreeSet<i64>) -> rusqlite::Result<()> {
    let mut drop = connection.prepare_cached("DELETE FROM sessions WHERE id = ? AND messages <= 0")?;
    let mut title = connection.prepare_cached(
        "SELECT text FROM messages WHERE session = ? AND role = ? AND agent IS NULL ORDER BY id LIMIT 1",
    )?;
    let mut mend = connection.prepare_cached(
        "UPDATE sessions SET title = ?2, first = (SELECT min(time) FROM messages WHERE session = ?1),
         last = (SELECT max(time) FROM messages WHERE session = ?1) WHERE id = ?1",
    )?;
    for session in sessions {
        if drop.execute([session])? == 0 {
            let text: Option<StoredText> =
                title.query_row([*session, role_number(MessageAuthor::User)], |row| row.get(0)).optional()?;
            mend.execute(params![session, text.map(|StoredText(text)| title_of(&text))])?;
        }
    }
    Ok(())
}

fn title_of(text: &str) -> String {
    aiw_core::one_line(&text[..text.floor_char_boundary(4 * MAX_TITLE)], MAX_TITLE)
}

/// A hash of a text, the same whatever its numbers and spaces are.
pub(crate) fn text_hash(text: &str) -> i64 {
    // FNV-1a: the same in every version and on every machine.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut last = ' ';
    for c in text.chars() {
        let c = if c.is_whitespace() {
            ' '
        } else if c.is_numeric() {
            '0'
        } else {
            c
        };
        if c != last || (c != ' ' && c != '0') {
            hash = (hash ^ u64::from(c)).wrapping_mul(0x0100_0000_01b3);
        }
        last = c;
    }
    hash.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ForgetTarget, HistoryQuery, Store};

    fn message(session: &str, uuid: &str, text: &str) -> SessionMessage {
        SessionMessage {
            uuid: uuid.into(),
            session: session.into(),
            project: "/p".into(),
            time: Some(1_790_000_000_000),
            role: MessageAuthor::User,
            tools: vec!["Bash".into()],
            text: text.into(),
            agent: None,
            offset: 7,
        }
    }

    fn progress(offset: u64) -> ReadProgress {
        ReadProgress { offset, last_uuid: Some("u".into()), size: 9, modified: 3, inode: 4, prefix_digest: [5; 32] }
    }

    fn count(store: &Store, table: &str) -> i64 {
        store.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    fn having(store: &Store, term: &str) -> Vec<i64> {
        let mut find = store.connection.prepare("SELECT rowid FROM words WHERE words MATCH ?").unwrap();
        find.query_map([format!("\"{term}\"")], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    #[test]
    fn a_message_is_stored_once_however_often_it_is_read() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let (a, b) = (Path::new("/t/a.jsonl"), Path::new("/t/b.jsonl"));
        assert_eq!(store.progress(a).unwrap(), None);
        let old = [message("s", "1", "fix the TLS handshake"), message("s", "2", "登录页面")];
        let appended = store.append(Cli::Claude, a, &old, &progress(10)).unwrap();
        assert_eq!(appended, AppendOutcome { new_messages: 2, duplicates: 0, skipped_forgotten: 0 });
        assert_eq!(store.progress(a).unwrap(), Some(progress(10)));
        assert_eq!(store.append(Cli::Claude, a, &old, &progress(11)).unwrap().duplicates, 2);
        // A fork: the same lines under its own session id, and one of its own.
        let fork = [message("f", "1", "fix the TLS handshake"), message("f", "3", "another way")];
        assert_eq!(store.append(Cli::Claude, b, &fork, &progress(12)).unwrap().new_messages, 1);
        // The same uuid is not the same message where the text is another.
        let other = [message("g", "1", "nothing of the kind")];
        assert_eq!(store.append(Cli::Claude, b, &other, &progress(13)).unwrap().new_messages, 1);
        assert_eq!(having(&store, "handshak"), [1]);
        assert_eq!(having(&store, "登录"), [2]);
        assert_eq!(having(&store, "bash").len(), 4);
        assert_eq!(count(&store, "messages"), 4);
    }

    #[test]
    fn a_copy_with_a_uuid_of_its_own_is_known_by_its_text_author_and_time() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let (a, b) = (Path::new("/t/a.jsonl"), Path::new("/t/b.jsonl"));
        let old = [message("s", "1", "fix the TLS handshake"), message("s", "2", "and the cookies")];
        store.append(Cli::Claude, a, &old, &progress(10)).unwrap();
        let fork = [message("f", "7", "fix the TLS handshake"), message("f", "8", "and the cookies")];
        let read = || store.append(Cli::Claude, b, &fork, &progress(12)).unwrap();
        assert_eq!(read(), AppendOutcome { new_messages: 0, duplicates: 2, skipped_forgotten: 0 });
        // One message alone is a coincidence.
        let one = [message("h", "20", "fix the TLS handshake"), message("h", "21", "something new")];
        assert_eq!(store.append(Cli::Claude, Path::new("/t/h.jsonl"), &one, &progress(12)).unwrap().new_messages, 2);
        // What somebody says again, or elsewhere, or what another says, is no copy.
        let (told, other) = (message("g", "9", "fix the TLS handshake"), "fix the TLS handshake");
        for said in [
            SessionMessage { time: told.time.map(|time| time + 1), ..told.clone() },
            SessionMessage { time: None, uuid: "10".into(), ..told.clone() },
            SessionMessage { project: "/q".into(), session: "q".into(), uuid: "11".into(), ..told.clone() },
            SessionMessage { role: MessageAuthor::Assistant, uuid: "12".into(), ..told.clone() },
            SessionMessage { session: "s".into(), uuid: "13".into(), text: other.into(), ..told.clone() },
        ] {
            assert_eq!(store.append(Cli::Claude, b, &[said], &progress(13)).unwrap().new_messages, 1);
        }
        // The fork has it again once the original is gone.
        store.reset_transcript(a).unwrap();
        assert_eq!(store.progress(b).unwrap(), None);
        assert_eq!(read().new_messages, 2);
    }

    #[test]
    fn a_fork_that_was_read_first_gives_back_what_the_original_said() {
        let home = tempfile::tempdir().unwrap();
        let (a, b) = (home.path().join("a.jsonl"), home.path().join("b.jsonl"));
        std::fs::write(&a, "").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        std::fs::write(&b, "").unwrap();
        if std::fs::metadata(&a).unwrap().created().is_err() {
            eprintln!("NOT RUN: this file system does not know when a file came to be");
            return;
        }
        let store = Store::open(&home.path().join("history")).unwrap();
        let fork = [message("f", "1", "handshake"), message("f", "2", "another way")];
        store.append(Cli::Claude, &b, &fork, &progress(12)).unwrap();
        let old = [message("s", "1", "handshake"), message("s", "3", "and on")];
        let appended = store.append(Cli::Claude, &a, &old, &progress(9)).unwrap();
        assert_eq!(appended, AppendOutcome { new_messages: 1, duplicates: 1, skipped_forgotten: 0 });
        let sessions = || -> Vec<(String, i64, String)> {
            let mut list =
                store.connection.prepare("SELECT name, messages, title FROM sessions ORDER BY name").unwrap();
            list.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(sessions(), [("f".into(), 1, "another way".into()), ("s".into(), 2, "handshake".into())]);
        // It is found there.
        let hits = |text| store.search(&HistoryQuery { text, ..HistoryQuery::default() }, None).unwrap();
        let found: Vec<_> = hits("handshake").into_iter().filter(|hit| hit.uuid == "1").collect();
        assert_eq!((found.len(), found[0].session.as_str(), found[0].path.as_path()), (1, "s", a.as_path()));
        // Forgetting the fork leaves it, and reading both again changes nothing.
        store.forget(&ForgetTarget::Session("f")).unwrap();
        store.append(Cli::Claude, &a, &old, &progress(9)).unwrap();
        store.append(Cli::Claude, &b, &fork, &progress(12)).unwrap();
        assert_eq!(sessions(), [("s".into(), 2, "handshake".into())]);
    }

    #[test]
    fn a_transcript_that_is_redone_takes_all_of_its_own_with_it_and_sends_forks_back_to_theirs() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let (a, b) = (Path::new("/t/a.jsonl"), Path::new("/t/b.jsonl"));
        store.append(Cli::Claude, a, &[message("s", "1", "handshake")], &progress(10)).unwrap();
        let fork = [message("f", "1", "handshake"), message("f", "2", "ownership")];
        store.append(Cli::Claude, b, &fork, &progress(12)).unwrap();
        store.record_problem(a, "a torn line").unwrap();
        store.reset_transcript(a).unwrap();
        assert_eq!((store.progress(a).unwrap(), store.progress(b).unwrap()), (None, None));
        assert_eq!((having(&store, "handshak").len(), having(&store, "ownership").len()), (0, 1));
        assert_eq!(count(&store, "terms WHERE term = 'handshak'"), 0);
        assert!(store.problems().unwrap().is_empty());
        let appended = store.append(Cli::Claude, b, &fork, &progress(12)).unwrap();
        assert_eq!((appended.new_messages, appended.duplicates), (1, 1));
        assert_eq!(having(&store, "handshak").len(), 1);
    }

    #[test]
    fn what_could_not_be_read_is_counted() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        for _ in 0..3 {
            store.record_problem(Path::new("/t/x"), "is not JSON\n").unwrap();
        }
        let problems = store.problems().unwrap();
        assert_eq!((problems.len(), problems[0].count, problems[0].reason.as_str()), (1, 3, "is not JSON"));
        assert_eq!(problems[0].path, Path::new("/t/x"));
    }

    #[test]
    fn a_damaged_database_is_set_aside_and_a_newer_one_is_left_alone() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("history.db");
        std::fs::write(&place, "this is not a database, and is long enough to be taken for one").unwrap();
        let store = Store::open(home.path()).unwrap();
        assert!(store.needs_rebuild().unwrap());
        store.append(Cli::Codex, Path::new("/t"), &[message("s", "1", "text")], &progress(1)).unwrap();
        store.mark_rebuilt().unwrap();
        assert!(!store.needs_rebuild().unwrap());
        store.check().unwrap();
        store.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(store);
        // Damage in the middle of the file.
        let mut bytes = std::fs::read(&place).unwrap();
        let end = bytes.len();
        bytes[4096..end].fill(0x5a);
        std::fs::write(&place, bytes).unwrap();
        let damaged = Store::open(home.path()).and_then(|store| store.check());
        assert!(matches!(damaged, Err(HistoryError::Damaged { .. }) | Ok(())), "{damaged:?}");
        let store = Store::open(home.path()).unwrap();
        assert!(store.needs_rebuild().unwrap());
        assert_eq!(count(&store, "messages"), 0);
        // A newer one has it now, also while this one has it open.
        store.connection.pragma_update(None, "user_version", 99).unwrap();
        let appended = store.append(Cli::Codex, Path::new("/t"), &[message("s", "2", "text")], &progress(1));
        assert!(matches!(appended, Err(HistoryError::UnsupportedVersion { found: 99, .. })));
        assert!(matches!(store.reset_transcript(Path::new("/t")), Err(HistoryError::UnsupportedVersion { .. })));
        assert!(matches!(store.record_problem(Path::new("/t"), "x"), Err(HistoryError::UnsupportedVersion { .. })));
        assert_eq!(count(&store, "messages") + count(&store, "problems"), 0);
        store.connection.execute("ALTER TABLE messages RENAME TO sayings", []).unwrap();
        let read = store.preview_forget(&ForgetTarget::Before(0));
        assert!(matches!(read, Err(HistoryError::UnsupportedVersion { found: 99, .. })), "{read:?}");
        drop(store);
        assert!(matches!(Store::open(home.path()), Err(HistoryError::UnsupportedVersion { found: 99, .. })));
        // Nor is it set aside if somebody saw damage in it.
        let before = std::fs::read(&place).unwrap();
        std::fs::write(home.path().join("damaged"), "seen").unwrap();
        assert!(matches!(Store::open(home.path()), Err(HistoryError::UnsupportedVersion { found: 99, .. })));
        assert!(home.path().join("damaged").exists() && std::fs::read(&place).unwrap() == before);
    }

    #[test]
    fn texts_that_differ_in_numbers_and_spaces_only_are_the_same() {
        assert_eq!(text_hash("took 12 ms\n"), text_hash("took 3  ms "));
        assert_ne!(text_hash("took 12 ms"), text_hash("took long"));
    }
}

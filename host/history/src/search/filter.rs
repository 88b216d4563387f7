//! Which messages may be found.

use rusqlite::Connection;

use super::query::HistoryQuery;
use crate::MessageAuthor;
use crate::store::{MessageFact, minutes, terms};

/// The messages that pass a query's filters.
pub(super) struct MessageFilter {
    /// By the numbers of sessions.
    sessions: Option<Vec<bool>>,
    /// By the ids of messages.
    messages: Option<Vec<bool>>,
    since: u32,
    role: Option<MessageAuthor>,
}

impl MessageFilter {
    pub fn new(connection: &Connection, query: &HistoryQuery<'_>, session: Option<i64>) -> rusqlite::Result<Self> {
        let sessions = if query.project.is_some() || session.is_some() || query.cli.is_some() {
            Some(sessions(connection, query, session)?)
        } else {
            None
        };
        let messages = query.tool.map(|tool| with_tool(connection, tool)).transpose()?;
        let since = query.since.map_or(0, |since| minutes(Some(since)));
        Ok(Self { sessions, messages, since, role: query.role })
    }

    /// Whether a message may be found.
    pub fn matches(&self, id: usize, fact: &MessageFact) -> bool {
        let listed = |list: &Option<Vec<bool>>, place: usize| {
            list.as_ref().is_none_or(|list| list.get(place).copied().unwrap_or_default())
        };
        fact.minutes_since_2020 >= self.since
            && self.role.is_none_or(|role| role == fact.role)
            && listed(&self.sessions, fact.session as usize)
            && listed(&self.messages, id)
    }

    /// Whether everything may be found.
    pub fn matches_all(&self) -> bool {
        self.sessions.is_none() && self.messages.is_none() && self.since == 0 && self.role.is_none()
    }
}

fn sessions(connection: &Connection, query: &HistoryQuery<'_>, session: Option<i64>) -> rusqlite::Result<Vec<bool>> {
    let mut list = connection.prepare_cached(
        "SELECT sessions.id, projects.path, sessions.cli FROM sessions JOIN projects ON projects.id = project",
    )?;
    let mut rows = list.query([])?;
    let mut wanted = Vec::new();
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        let is_wanted = session.is_none_or(|session| session == id)
            && query.cli.is_none_or(|cli| Ok(crate::store::cli_number(cli)) == row.get(2))
            && match query.project {
                Some(project) => std::path::Path::new(row.get_ref(1)?.as_str()?).starts_with(project),
                None => true,
            };
        let place = usize::try_from(id).unwrap_or_default();
        if is_wanted {
            if wanted.len() <= place {
                wanted.resize(place + 1, false);
            }
            wanted[place] = true;
        }
    }
    Ok(wanted)
}

/// The messages that have all terms of a tool's name. Ranking compares the name itself.
fn with_tool(connection: &Connection, tool: &str) -> rusqlite::Result<Vec<bool>> {
    let all: Vec<String> = terms(tool).iter().map(|term| format!("\"{term}\"")).collect();
    let mut wanted = Vec::new();
    if all.is_empty() {
        return Ok(wanted);
    }
    let mut find = connection.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?")?;
    let mut rows = find.query([all.join(" AND ")])?;
    while let Some(row) = rows.next()? {
        let place = usize::try_from(row.get::<_, i64>(0)?).unwrap_or_default();
        if wanted.len() <= place {
            wanted.resize(place + 1, false);
        }
        wanted[place] = true;
    }
    Ok(wanted)
}

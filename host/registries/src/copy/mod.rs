//! A local copy of one registry: a database that may be deleted at any time.

mod schema;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_core::ExtensionId;
use aiw_core::registry::{RegistryStatus, ServerVersion};
use aiw_home::Home;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::RegistryError;
use crate::terms;

/// How long a process waits for another one's transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How many servers with the words are ranked: ranking takes about a microsecond for each, and words that more have say
/// little.
const MAX_RANKED_ROWS: i64 = 12_000;

/// The shortest beginning of a word that is looked for.
const MIN_PREFIX_LEN: usize = 3;

/// How far a copy is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CacheState {
    /// The number of the pass that is under way, or was last.
    pub(crate) pass_number: i64,
    /// The cursor of its next page.
    pub(crate) cursor: Option<String>,
    /// The newest change that it saw, in milliseconds since 1970.
    pub(crate) newest_change_ms: Option<u64>,
    /// The time from which it asks for changes; none for everything.
    pub(crate) since_ms: Option<u64>,
    /// When a pass last came to its end. Before the first, the copy has only a part of the registry.
    pub finished_at_ms: Option<u64>,
    /// When a pass was last begun or continued.
    pub(crate) started_at_ms: Option<u64>,
    /// Before this time, nothing is asked for.
    pub(crate) cooldown_until: Option<u64>,
    /// Why the last one did not come to its end.
    pub problem: Option<String>,
}

/// A local copy of a registry.
pub struct RegistryCache {
    connection: Connection,
    path: PathBuf,
}

impl RegistryCache {
    /// The file of a registry's copy.
    pub(crate) fn path(home: &Home, id: &ExtensionId) -> PathBuf {
        home.cache("registries").join(format!("{id}-v{}.db", schema::VERSION))
    }

    /// Opens a registry's copy, and makes an empty one if there is none. A damaged one is made anew.
    pub(crate) fn open(home: &Home, id: &ExtensionId) -> Result<Self, RegistryError> {
        let path = Self::path(home, id);
        home.make_dir(&home.cache("registries"))?;
        match Self::attempt(&path) {
            Err(e) if e.is_corrupt() => {
                Self::discard(&path);
                Self::attempt(&path)
            }
            result => result,
        }
    }

    /// Opens a registry's copy if there is one already.
    pub(crate) fn open_existing(home: &Home, id: &ExtensionId) -> Result<Option<Self>, RegistryError> {
        if Self::path(home, id).exists() { Self::open(home, id).map(Some) } else { Ok(None) }
    }

    /// Opens a registry's copy if there is one, and reads all of it for damage. A damaged one is removed.
    pub(crate) fn open_checked(home: &Home, id: &ExtensionId) -> Result<Option<Self>, RegistryError> {
        let path = Self::path(home, id);
        if !path.exists() {
            return Ok(None);
        }
        let copy = Self::attempt(&path).inspect_err(|e| {
            if e.is_corrupt() {
                Self::discard(&path);
            }
        })?;
        let found = copy.connection.pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
        match found.map_err(|e| copy.failed(e))?.as_str() {
            "ok" => Ok(Some(copy)),
            found => Err(copy.failed(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
                Some(found.to_owned()),
            ))),
        }
    }

    fn attempt(path: &Path) -> Result<Self, RegistryError> {
        let failed = |source| RegistryError::Database { path: path.to_owned(), source };
        if !path.exists() {
            // SQLite gives its other files the same mode.
            aiw_home::replace(path, b"", aiw_home::Mode::Private)?;
        }
        let place = aiw_home::nofollow_path(path).map_err(|e| aiw_home::HomeError::io("open", path, e))?;
        let open = || -> rusqlite::Result<Connection> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
            let mut connection = Connection::open_with_flags(&place, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
            connection.busy_timeout(BUSY_TIMEOUT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // What a power cut takes away is fetched again.
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let has_tables = |connection: &Connection| {
                connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'state'", [], |row| {
                    Ok(row.get::<_, i64>(0)? > 0)
                })
            };
            if !has_tables(&connection)? {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                // Another process may have been faster.
                if !has_tables(&transaction)? {
                    transaction.execute_batch(schema::TABLES)?;
                }
                transaction.commit()?;
            }
            Ok(connection)
        };
        Ok(Self { connection: open().map_err(failed)?, path: path.to_owned() })
    }

    /// Removes a copy.
    fn discard(path: &Path) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = path.as_os_str().to_owned();
            file.push(suffix);
            // What remains is found damaged once more.
            let _ = aiw_home::remove_file(Path::new(&file));
        }
    }

    fn failed(&self, source: rusqlite::Error) -> RegistryError {
        if is_damage(&source) {
            Self::discard(&self.path);
        }
        RegistryError::Database { path: self.path.clone(), source }
    }

    /// Does something, all of it or nothing.
    fn change(&mut self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<()>) -> Result<(), RegistryError> {
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let done = begun.and_then(|transaction| {
            change(&transaction)?;
            transaction.commit()
        });
        done.map_err(|e| self.failed(e))
    }

    /// How far the copy is.
    pub(crate) fn state(&self) -> Result<CacheState, RegistryError> {
        let time = |row: &rusqlite::Row<'_>, at: usize| -> rusqlite::Result<_> {
            Ok(row.get::<_, Option<i64>>(at)?.map(i64::cast_unsigned))
        };
        let read = self.connection.query_row(
            "SELECT pass, cursor, newest, since, finished, begun, rests_until, problem FROM state",
            [],
            |row| {
                Ok(CacheState {
                    pass_number: row.get(0)?,
                    cursor: row.get(1)?,
                    newest_change_ms: time(row, 2)?,
                    since_ms: time(row, 3)?,
                    finished_at_ms: time(row, 4)?,
                    started_at_ms: time(row, 5)?,
                    cooldown_until: time(row, 6)?,
                    problem: row.get(7)?,
                })
            },
        );
        read.map_err(|e| self.failed(e))
    }

    /// Writes how far the copy is.
    pub(crate) fn set_state(&mut self, state: &CacheState) -> Result<(), RegistryError> {
        self.change(|transaction| write_state(transaction, state))
    }

    /// Takes in what a page says, and how far the copy then is.
    pub(crate) fn apply_page(
        &mut self,
        put: &[ServerVersion],
        gone: &[String],
        state: &CacheState,
    ) -> Result<(), RegistryError> {
        self.change(|transaction| {
            gone.iter().try_for_each(|name| remove(transaction, name))?;
            put.iter().try_for_each(|server| write(transaction, server, state.pass_number))?;
            write_state(transaction, state)
        })
    }

    /// Returns the names that the last pass over everything did not see.
    pub(crate) fn unseen_names(&self, pass: i64) -> Result<Vec<String>, RegistryError> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut find = self.connection.prepare("SELECT name FROM servers WHERE pass < ?")?;
            find.query_map([pass], |row| row.get(0))?.collect()
        };
        read().map_err(|e| self.failed(e))
    }

    /// The number of servers.
    pub fn count(&self) -> Result<u64, RegistryError> {
        let count = self.connection.query_row("SELECT count(*) FROM servers", [], |row| row.get::<_, i64>(0));
        count.map(i64::cast_unsigned).map_err(|e| self.failed(e))
    }

    /// Returns a server by its name or one of its other names.
    pub(crate) fn server(&self, name: &str) -> Result<Option<ServerVersion>, RegistryError> {
        let find = || -> rusqlite::Result<Option<Vec<u8>>> {
            let direct = "SELECT row FROM servers WHERE name = ?1 UNION ALL \
                          SELECT row FROM servers WHERE id IN (SELECT server FROM aliases WHERE name = ?1) LIMIT 1";
            self.connection.query_row(direct, [name], |row| row.get(0)).optional()
        };
        Ok(find().map_err(|e| self.failed(e))?.and_then(|row| postcard::from_bytes(&row).ok()))
    }

    /// Returns names that begin like this, or of which the last part does.
    pub(crate) fn complete_names(&self, start: &str, limit: usize) -> Vec<String> {
        let read = || -> rusqlite::Result<Vec<String>> {
            let like = |start: &str| start.replace('%', "_");
            let mut find = self.connection.prepare(
                "SELECT name FROM servers WHERE name LIKE ?1 || '%' OR name LIKE '%/' || ?1 || '%' LIMIT ?2",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            find.query_map(params![like(start), limit], |row| row.get(0))?.collect()
        };
        read().unwrap_or_default()
    }

    /// Returns servers that have the terms, or words that begin with them: first those that have all of them. Of words
    /// that more than [`MAX_RANKED_ROWS`] servers have, the rest are left out.
    pub(crate) fn search(&self, terms: &[String], limit: usize) -> Result<Vec<ServerVersion>, RegistryError> {
        let one = |term: &String| {
            // Terms have no quotes, but what made them may change.
            let term = term.replace('"', "");
            if term.chars().count() < MIN_PREFIX_LEN { format!("\"{term}\"") } else { format!("\"{term}\" *") }
        };
        let each: Vec<String> = terms.iter().map(one).collect();
        let find = |between: &str, limit: usize| -> rusqlite::Result<Vec<i64>> {
            let mut find = self.connection.prepare_cached(
                "SELECT id FROM (SELECT rowid AS id, bm25(words, 8.0, 1.0) AS score FROM words WHERE words MATCH ?1 \
                 LIMIT ?3) ORDER BY score LIMIT ?2",
            )?;
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            find.query_map(params![each.join(between), limit, MAX_RANKED_ROWS], |row| row.get(0))?.collect()
        };
        let read = || -> rusqlite::Result<Vec<ServerVersion>> {
            let mut ids = find(" AND ", limit)?;
            if terms.len() > 1 && ids.len() < limit {
                let more = find(" OR ", limit)?;
                ids.extend(more.into_iter().filter(|id| !ids.contains(id)).collect::<Vec<_>>());
                ids.truncate(limit);
            }
            let mut row = self.connection.prepare_cached("SELECT row FROM servers WHERE id = ?")?;
            let rows = ids.iter().map(|id| row.query_row([id], |row| row.get::<_, Vec<u8>>(0)).optional());
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(rows.into_iter().flatten().filter_map(|row| postcard::from_bytes(&row).ok()).collect())
        };
        if terms.is_empty() {
            return Ok(Vec::new());
        }
        read().map_err(|e| self.failed(e))
    }
}

impl RegistryError {
    /// Whether it says that a copy is damaged.
    pub(crate) fn is_corrupt(&self) -> bool {
        matches!(self, Self::Database { source, .. } if is_damage(source))
    }
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        || matches!(error, rusqlite::Error::SqlInputError { .. } | rusqlite::Error::QueryReturnedNoRows)
}

fn write_state(transaction: &Transaction<'_>, state: &CacheState) -> rusqlite::Result<()> {
    let time = |time: Option<u64>| time.map(u64::cast_signed);
    let written = transaction.execute(
        "UPDATE state SET pass = ?, cursor = ?, newest = ?, since = ?, finished = ?, begun = ?, rests_until = ?, problem = ?",
        params![
            state.pass_number,
            state.cursor,
            time(state.newest_change_ms),
            time(state.since_ms),
            time(state.finished_at_ms),
            time(state.started_at_ms),
            time(state.cooldown_until),
            state.problem
        ],
    )?;
    if written == 1 { Ok(()) } else { Err(rusqlite::Error::QueryReturnedNoRows) }
}

fn write(transaction: &Transaction<'_>, server: &ServerVersion, pass: i64) -> rusqlite::Result<()> {
    if server.status == RegistryStatus::Deleted {
        return remove(transaction, &server.name);
    }
    let Ok(row) = postcard::to_allocvec(server) else { return Ok(()) };
    let mut known = transaction.prepare_cached("SELECT id, row FROM servers WHERE name = ?")?;
    let known = known.query_row([&server.name], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if let Some((id, old)) = &known {
        let (id, old): (&i64, &Vec<u8>) = (id, old);
        if *old == row {
            transaction.prepare_cached("UPDATE servers SET pass = ? WHERE id = ?")?.execute(params![pass, id])?;
            return Ok(());
        }
        remove(transaction, &server.name)?;
    }
    let mut put = transaction.prepare_cached("INSERT INTO servers (name, pass, row) VALUES (?, ?, ?)")?;
    let id = put.insert(params![server.name, pass, row])?;
    let mut put = transaction.prepare_cached("INSERT INTO words (rowid, name, about) VALUES (?, ?, ?)")?;
    put.execute(params![id, terms::name_terms(server).join(" "), terms::description_terms(server).join(" ")])?;
    let mut put = transaction.prepare_cached("INSERT OR IGNORE INTO aliases (name, server) VALUES (?, ?)")?;
    server.aliases.iter().try_for_each(|alias| put.execute(params![alias, id]).map(drop))
}

fn remove(transaction: &Transaction<'_>, name: &str) -> rusqlite::Result<()> {
    let mut find = transaction.prepare_cached("SELECT id FROM servers WHERE name = ?")?;
    let Some(id) = find.query_row([name], |row| row.get::<_, i64>(0)).optional()? else { return Ok(()) };
    for remove in [
        "DELETE FROM words WHERE rowid = ?",
        "DELETE FROM aliases WHERE server = ?",
        "DELETE FROM servers WHERE id = ?",
    ] {
        transaction.prepare_cached(remove)?.execute([id])?;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn server(name: &str, description: &str) -> ServerVersion {
        ServerVersion {
            name: name.into(),
            description: description.into(),
            version: "1.0.0".into(),
            latest: true,
            ..ServerVersion::default()
        }
    }

    fn copy() -> (tempfile::TempDir, Home, RegistryCache) {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let copy = RegistryCache::open(&home, &"acme".parse().unwrap()).unwrap();
        (dir, home, copy)
    }

    fn found(copy: &RegistryCache, query: &str) -> Vec<String> {
        let servers = copy.search(&terms::query_terms(query), 10).unwrap();
        servers.into_iter().map(|server| server.name).collect()
    }

    #[test]
    fn servers_are_found_by_words_and_their_beginnings_names_first() {
        let (_dir, _home, mut copy) = copy();
        let rows = [
            server("io.github.acme/weather", "Forecasts for any place"),
            server("io.github.other/forecast-tools", "Everything about the climate"),
            server("io.github.weatherco/maps", "Maps"),
            server("io.github.acme/notes", "Takes notes about the weather, forecasts and more"),
        ];
        // A word that most servers have tells of none.
        let others = (0..20).map(|at| server(&format!("com.other/thing-{at}"), "Something else"));
        let rows: Vec<ServerVersion> = rows.into_iter().chain(others).collect();
        copy.apply_page(&rows, &[], &CacheState { pass_number: 1, ..CacheState::default() }).unwrap();
        assert_eq!(found(&copy, "weather")[0], "io.github.acme/weather");
        assert_eq!(found(&copy, "forecast")[0], "io.github.other/forecast-tools");
        assert_eq!(found(&copy, "forec")[0], "io.github.other/forecast-tools");
        assert_eq!(found(&copy, "weather forecast").len(), 4);
        assert_eq!(found(&copy, "mcp server github"), Vec::<String>::new());
        assert_eq!(found(&copy, "\"weather\" OR *"), found(&copy, "weather"));
    }

    #[test]
    fn a_row_that_changes_is_found_by_its_new_words_alone_and_one_that_goes_by_none() {
        let (_dir, _home, mut copy) = copy();
        let state = CacheState { pass_number: 1, ..CacheState::default() };
        copy.apply_page(&[server("a/one", "apples"), server("a/two", "apples")], &[], &state).unwrap();
        copy.apply_page(&[server("a/one", "pears")], &["a/two".to_owned()], &state).unwrap();
        assert_eq!(found(&copy, "pears"), ["a/one"]);
        assert_eq!(found(&copy, "apples"), Vec::<String>::new());
        assert_eq!(copy.count().unwrap(), 1);
        assert!(copy.server("a/one").unwrap().is_some() && copy.server("a/two").unwrap().is_none());
    }

    #[test]
    fn a_damaged_copy_is_made_anew() {
        let (_dir, home, mut copy) = copy();
        copy.apply_page(&[server("a/one", "apples")], &[], &CacheState { pass_number: 1, ..CacheState::default() })
            .unwrap();
        drop(copy);
        let id: ExtensionId = "acme".parse().unwrap();
        for damage in [&b"not a database, but long enough to be taken for one"[..], b""] {
            std::fs::write(RegistryCache::path(&home, &id), damage).unwrap();
            let copy = RegistryCache::open(&home, &id).unwrap();
            assert_eq!((copy.state().unwrap(), copy.count().unwrap()), (CacheState::default(), 0));
        }
    }

    #[test]
    fn other_names_find_a_server() {
        let (_dir, _home, mut copy) = copy();
        let mut one = server("acme/weather", "");
        one.aliases = vec!["ai.smithery/acme-weather".into()];
        copy.apply_page(&[one], &[], &CacheState::default()).unwrap();
        assert_eq!(copy.server("ai.smithery/acme-weather").unwrap().unwrap().name, "acme/weather");
    }
}

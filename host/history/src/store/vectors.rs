//! Vectors of messages: as bytes, many in a row of the database, because a million of them are read for each search.

use std::path::Path;

use aiw_vectors::{Embedder, kernel};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::packed::StoredText;
use super::{Store, database};
use crate::HistoryError;

/// Vectors in a row.
const CHUNK_SIZE: usize = 256;

/// Messages that are embedded before they are stored.
const BATCH_SIZE: usize = 64;

/// Bytes of a message that are embedded: more than the model's tokens.
const MAX_EMBEDDED_BYTES: usize = 2048;

impl Store {
    /// Makes vectors of up to `most` messages that have none of this model, and returns how many it made. Those of
    /// another model go when all messages have new ones. Search works meanwhile.
    pub fn embed(&self, embedder: &Embedder, most: usize) -> Result<usize, HistoryError> {
        self.embed_while(embedder, most, &mut || true)
    }

    /// Makes vectors as [`Store::embed`] does, for as long as `go_on`, which is asked after each run of the model.
    pub(crate) fn embed_while(
        &self,
        embedder: &Embedder,
        most: usize,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<usize, HistoryError> {
        let failed = |e| self.map_sqlite_error(e);
        let model = self.model(embedder).map_err(failed)?;
        let mut made = 0;
        while made < most {
            let after = last_embedded(&self.connection, model).map_err(failed)?;
            let texts = texts_after(&self.connection, after, BATCH_SIZE.min(most - made)).map_err(failed)?;
            if texts.is_empty() {
                let others = |transaction: Transaction<'_>| -> rusqlite::Result<()> {
                    transaction.execute("DELETE FROM vectors WHERE model <> ?", [model])?;
                    transaction.commit()
                };
                others(self.begin()?).map_err(failed)?;
                break;
            }
            let start = |text: &'_ str| text.floor_char_boundary(MAX_EMBEDDED_BYTES);
            let cut: Vec<&str> = texts.iter().map(|(_, text)| &text[..start(text)]).collect();
            let Some(vectors) = embedder.embed_while(&cut, go_on)? else { break };
            let entries: Vec<(i64, &[f32])> =
                texts.iter().map(|(id, _)| *id).zip(vectors.iter().map(Vec::as_slice)).collect();
            if !Self::keep(self.begin()?, model, after, &entries).map_err(failed)? {
                // Another process embeds too.
                break;
            }
            made += texts.len();
        }
        Ok(made)
    }

    /// How many messages have no vector of this model yet, about.
    pub fn count_without_vectors(&self, embedder: &Embedder) -> Result<u64, HistoryError> {
        let count = || -> rusqlite::Result<i64> {
            let model = self.model(embedder)?;
            let after = last_embedded(&self.connection, model)?;
            self.connection.query_row("SELECT count(*) FROM messages WHERE id > ?", [after], |row| row.get(0))
        };
        count().map(i64::cast_unsigned).map_err(|e| self.map_sqlite_error(e))
    }

    /// How many messages have a vector of the model with this identity, and how many have none yet.
    pub(crate) fn count_vectors(&self, identity: &str) -> Result<(u64, u64), HistoryError> {
        let count = || -> rusqlite::Result<(i64, i64)> {
            let (done, messages) = self.connection.query_row(
                "SELECT (SELECT coalesce(sum(length(ids) / 8), 0) FROM vectors
                         WHERE model = (SELECT id FROM models WHERE identity = ?)), (SELECT messages FROM state)",
                [identity],
                |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)),
            )?;
            // Counting those without would read all of them.
            Ok((done, if self.is_embedded(identity)? { 0 } else { (messages - done).max(1) }))
        };
        count().map(|(done, left)| (done.cast_unsigned(), left.cast_unsigned())).map_err(|e| self.map_sqlite_error(e))
    }

    /// Whether all messages have a vector of this model, and none has one of another.
    pub(crate) fn has_all_vectors(&self, identity: &str) -> Result<bool, HistoryError> {
        let others =
            "SELECT EXISTS (SELECT 1 FROM vectors WHERE model NOT IN (SELECT id FROM models WHERE identity = ?))";
        let has_all =
            || Ok(self.is_embedded(identity)? && !self.connection.query_row(others, [identity], |row| row.get(0))?);
        has_all().map_err(|e| self.map_sqlite_error(e))
    }

    /// Whether the last message has a vector of this model.
    fn is_embedded(&self, identity: &str) -> rusqlite::Result<bool> {
        let mut find = self.connection.prepare_cached("SELECT id FROM models WHERE identity = ?")?;
        let model = find.query_row([identity], |row| row.get::<_, i64>(0)).optional()?;
        let embedded = model.map_or(Ok(0), |model| last_embedded(&self.connection, model))?;
        let newest = "SELECT coalesce(max(id), 0) FROM messages";
        Ok(embedded >= self.connection.query_row(newest, [], |row| row.get::<_, i64>(0))?)
    }

    /// Whether any message has a vector.
    pub fn has_vectors(&self) -> Result<bool, HistoryError> {
        let find = "SELECT EXISTS (SELECT 1 FROM vectors)";
        self.connection.query_row(find, [], |row| row.get(0)).map_err(|e| self.map_sqlite_error(e))
    }

    fn model(&self, embedder: &Embedder) -> rusqlite::Result<i64> {
        let mut put = self.connection.prepare_cached(
            "INSERT INTO models (identity, dimensions) VALUES (?, ?)
             ON CONFLICT DO UPDATE SET dimensions = excluded.dimensions RETURNING id",
        )?;
        let dimensions = i64::try_from(embedder.dimensions()).unwrap_or_default();
        put.query_row(params![embedder.identity(), dimensions], |row| row.get(0))
    }

    /// `false` if somebody else went on meanwhile.
    fn keep(transaction: Transaction<'_>, model: i64, after: i64, entries: &[(i64, &[f32])]) -> rusqlite::Result<bool> {
        if last_embedded(&transaction, model)? != after {
            return Ok(false);
        }
        let mut find = transaction.prepare_cached(
            "SELECT first, ids, units, codes FROM vectors WHERE model = ? ORDER BY first DESC LIMIT 1",
        )?;
        let last = find
            .query_row([model], |row| {
                Ok((row.get(0)?, VectorChunk { ids: row.get(1)?, units: row.get(2)?, codes: row.get(3)? }))
            })
            .optional()?;
        let (mut first, mut chunk): (i64, VectorChunk) =
            last.filter(|(_, chunk)| chunk.len() < CHUNK_SIZE).unwrap_or_default();
        for (id, vector) in entries {
            if chunk.len() == 0 {
                first = *id;
            }
            chunk.push(*id, vector);
            if chunk.len() == CHUNK_SIZE {
                chunk.save(&transaction, model, first)?;
                chunk = VectorChunk::default();
            }
        }
        if chunk.len() > 0 {
            chunk.save(&transaction, model, first)?;
        }
        drop(find);
        transaction.commit()?;
        Ok(true)
    }
}

/// A row of vectors.
#[derive(Default)]
struct VectorChunk {
    /// Ids of messages, each as eight bytes, ascending.
    ids: Vec<u8>,
    /// The value of one unit of a byte for each vector, as four bytes.
    units: Vec<u8>,
    codes: Vec<u8>,
}

impl VectorChunk {
    fn len(&self) -> usize {
        self.ids.len() / 8
    }

    fn push(&mut self, id: i64, vector: &[f32]) {
        let width = kernel::padded_width(vector.len());
        let mut codes = Vec::with_capacity(width);
        let unit = kernel::quantize(vector, width, &mut codes);
        self.ids.extend(id.to_le_bytes());
        self.units.extend(unit.to_le_bytes());
        self.codes.extend(codes.into_iter().map(i8::cast_unsigned));
    }

    fn save(&self, connection: &Connection, model: i64, first: i64) -> rusqlite::Result<()> {
        let last = self.ids.as_chunks::<8>().0.last().map_or(first, |bytes| i64::from_le_bytes(*bytes));
        let mut save = connection.prepare_cached("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?, ?, ?)")?;
        save.execute(params![model, first, last, self.ids, self.units, self.codes]).map(drop)
    }
}

fn last_embedded(connection: &Connection, model: i64) -> rusqlite::Result<i64> {
    let mut find = connection.prepare_cached("SELECT last FROM vectors WHERE model = ? ORDER BY first DESC LIMIT 1")?;
    Ok(find.query_row([model], |row| row.get(0)).optional()?.unwrap_or_default())
}

fn texts_after(connection: &Connection, after: i64, most: usize) -> rusqlite::Result<Vec<(i64, String)>> {
    let mut list = connection.prepare_cached("SELECT id, text FROM messages WHERE id > ? ORDER BY id LIMIT ?")?;
    let texts = list.query_map([after, i64::try_from(most).unwrap_or(i64::MAX)], |row| {
        Ok((row.get(0)?, row.get::<_, StoredText>(1)?.0))
    })?;
    texts.collect()
}

/// Drops the vectors of messages, whose ids ascend.
pub(super) fn drop_vectors(connection: &Connection, ids: &[i64]) -> rusqlite::Result<()> {
    let (Some(least), Some(most)) = (ids.first(), ids.last()) else { return Ok(()) };
    let mut list = connection
        .prepare_cached("SELECT model, first, last, ids, units, codes FROM vectors WHERE last >= ? AND first <= ?")?;
    let mut rows = list.query([least, most])?;
    let mut changed = Vec::new();
    while let Some(row) = rows.next()? {
        let (model, first, last): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let within = ids.partition_point(|id| *id < first)..ids.partition_point(|id| *id <= last);
        if within.is_empty() {
            continue;
        }
        let (all, units, codes) = (row.get_ref(3)?.as_blob()?, row.get_ref(4)?.as_blob()?, row.get_ref(5)?.as_blob()?);
        let mut kept = VectorChunk::default();
        let mut start = None;
        let width = codes.len() / (all.len() / 8).max(1);
        for (place, id) in all.as_chunks::<8>().0.iter().enumerate() {
            let number = i64::from_le_bytes(*id);
            if ids[within.clone()].binary_search(&number).is_err() {
                start.get_or_insert(number);
                kept.ids.extend(id);
                kept.units.extend(units.get(place * 4..place * 4 + 4).unwrap_or_default());
                kept.codes.extend(codes.get(place * width..(place + 1) * width).unwrap_or_default());
            }
        }
        changed.push((model, first, start, kept));
    }
    drop(rows);
    for (model, first, start, kept) in changed {
        connection.execute("DELETE FROM vectors WHERE model = ? AND first = ?", [model, first])?;
        if let Some(start) = start {
            kept.save(connection, model, start)?;
        }
    }
    Ok(())
}

/// Rows from which on several threads read.
const MIN_PARALLEL_ROWS: usize = 128;

/// How near messages are to a vector of length 1, by their ids: a cosine, or NaN if there is no vector. `None` if this
/// model has made none.
pub(crate) fn cosine_similarities(
    connection: &Connection,
    directory: &Path,
    identity: &str,
    vector: &[f32],
    end: usize,
) -> rusqlite::Result<Option<Vec<f32>>> {
    let mut find = connection.prepare_cached("SELECT id FROM models WHERE identity = ?")?;
    let Some(model) = find.query_row([identity], |row| row.get::<_, i64>(0)).optional()? else { return Ok(None) };
    let mut list = connection.prepare_cached("SELECT first FROM vectors WHERE model = ? ORDER BY first")?;
    let rows: Vec<i64> = list.query_map([model], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if rows.is_empty() {
        return Ok(None);
    }
    let width = kernel::padded_width(vector.len());
    let mut codes = Vec::with_capacity(width);
    let unit = kernel::quantize(vector, width, &mut codes);
    let query: Vec<i16> = codes.into_iter().map(i16::from).collect();
    let threads = if rows.len() < MIN_PARALLEL_ROWS {
        1
    } else {
        std::thread::available_parallelism().map_or(1, usize::from).min(4)
    };
    let shares: Vec<&[i64]> = rows.chunks(rows.len().div_ceil(threads)).collect();
    let near = |connection: &Connection, share: &[i64]| scan(connection, model, share, &query, unit);
    let others =
        |share: &[i64]| -> rusqlite::Result<Vec<(i64, f32)>> { near(&database::open_reader(directory)?, share) };
    let parts: Vec<rusqlite::Result<Vec<(i64, f32)>>> = std::thread::scope(|scope| {
        let (own, rest) = shares.split_at(1.min(shares.len()));
        let others = &others;
        let waiting: Vec<_> = rest.iter().map(|share| scope.spawn(move || others(share))).collect();
        let mut parts: Vec<_> = own.iter().map(|share| near(connection, share)).collect();
        parts.extend(waiting.into_iter().zip(rest).map(|(thread, share)| {
            // Without a thread's part, this one does it.
            thread.join().unwrap_or_else(|_| near(connection, share))
        }));
        parts
    });
    let mut all = vec![f32::NAN; end];
    for part in parts {
        for (id, cosine) in part? {
            if let Some(place) = usize::try_from(id).ok().and_then(|id| all.get_mut(id)) {
                *place = cosine;
            }
        }
    }
    Ok(Some(all))
}

/// The cosines of the vectors in some rows, which are neighbours.
fn scan(
    connection: &Connection,
    model: i64,
    rows: &[i64],
    query: &[i16],
    unit: f32,
) -> rusqlite::Result<Vec<(i64, f32)>> {
    let (Some(least), Some(most)) = (rows.first(), rows.last()) else { return Ok(Vec::new()) };
    let mut list =
        connection.prepare_cached("SELECT ids, units, codes FROM vectors WHERE model = ? AND first BETWEEN ? AND ?")?;
    let mut found = list.query([model, *least, *most])?;
    let mut near = Vec::with_capacity(rows.len() * CHUNK_SIZE);
    let mut signed: Vec<i8> = Vec::new();
    while let Some(row) = found.next()? {
        let (ids, units) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
        let (ids, units) = (ids.as_chunks::<8>().0, units.as_chunks::<4>().0);
        signed.clear();
        signed.extend(row.get_ref(2)?.as_blob()?.iter().map(|byte| byte.cast_signed()));
        kernel::dot_products(&signed, query, |slot, dot| {
            if let (Some(id), Some(scale)) = (ids.get(slot), units.get(slot)) {
                near.push((i64::from_le_bytes(*id), dot as f32 * unit * f32::from_le_bytes(*scale)));
            }
        });
    }
    Ok(near)
}

/// Functions for the bench of figures.
#[doc(hidden)]
pub mod bench {
    use super::{Connection, HistoryError, Store, VectorChunk, cosine_similarities, params};

    /// Gives each message a vector that `make` makes.
    pub fn fill(
        store: &Store,
        identity: &str,
        dimensions: usize,
        mut make: impl FnMut() -> Vec<f32>,
    ) -> Result<(), HistoryError> {
        let mut fill = || -> rusqlite::Result<()> {
            let transaction = store.connection.unchecked_transaction()?;
            transaction.execute(
                "INSERT INTO models (identity, dimensions) VALUES (?, ?)",
                params![identity, i64::try_from(dimensions).unwrap_or_default()],
            )?;
            let model = transaction.last_insert_rowid();
            let ids: Vec<i64> = ids(&transaction)?;
            for ids in ids.chunks(super::CHUNK_SIZE) {
                let mut chunk = VectorChunk::default();
                ids.iter().for_each(|id| chunk.push(*id, &make()));
                chunk.save(&transaction, model, ids[0])?;
            }
            transaction.commit()
        };
        fill().map_err(|e| store.map_sqlite_error(e))
    }

    fn ids(connection: &Connection) -> rusqlite::Result<Vec<i64>> {
        connection.prepare("SELECT id FROM messages ORDER BY id")?.query_map([], |row| row.get(0))?.collect()
    }

    /// How many vectors were compared.
    pub fn scan(store: &Store, identity: &str, vector: &[f32]) -> Result<usize, HistoryError> {
        let near = cosine_similarities(&store.connection, store.directory(), identity, vector, 2_000_000);
        Ok(near
            .map_err(|e| store.map_sqlite_error(e))?
            .map_or(0, |near| near.iter().filter(|near| !near.is_nan()).count()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use aiw_tests::{onnx_runtime, tiny_model};
    use aiw_vectors::ModelFiles;

    use super::*;
    use crate::{Cli, ForgetTarget, HistoryQuery, MessageAuthor, ReadProgress, SessionMessage};

    /// A model that differs from those of other names in its identity alone.
    fn model(dir: &Path, name: &str) -> Option<Embedder> {
        let runtime = onnx_runtime()?;
        let dir = dir.join(name);
        tiny_model(&dir);
        let tokenizer = dir.join("tokenizer.json");
        let text = std::fs::read_to_string(&tokenizer).unwrap();
        std::fs::write(tokenizer, format!("{text}{}", " ".repeat(name.len()))).unwrap();
        Some(Embedder::load(&ModelFiles::new(dir, runtime)).unwrap())
    }

    /// A text with a meaning of its own.
    fn text(number: usize) -> String {
        let times = |word: &str, place: u32| format!("{word} ").repeat(number / 9_usize.pow(place) % 9);
        format!("{}{}{}mail", times("news", 0), times("convert", 1), times("song", 2))
    }

    fn add(store: &Store, numbers: std::ops::Range<usize>) {
        let messages: Vec<SessionMessage> = numbers
            .map(|number| SessionMessage {
                uuid: format!("m{number}"),
                session: format!("s{}", number % 7),
                project: "/p".into(),
                time: None,
                role: MessageAuthor::User,
                tools: Vec::new(),
                text: text(number),
                agent: None,
                offset: 0,
            })
            .collect();
        let progress =
            ReadProgress { offset: 1, last_uuid: None, size: 1, modified: 0, inode: 0, prefix_digest: [0; 32] };
        store.append(Cli::Claude, Path::new("/t"), &messages, &progress).unwrap();
    }

    /// The ids that have a vector of a model, and its codes.
    fn vectors(store: &Store, embedder: &Embedder) -> Vec<(i64, Vec<u8>)> {
        let model = store.model(embedder).unwrap();
        let mut list = store.connection.prepare("SELECT ids, units, codes FROM vectors WHERE model = ?").unwrap();
        let rows = list.query_map([model], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let mut all = Vec::new();
        for row in rows {
            let (ids, units, codes): (Vec<u8>, Vec<u8>, Vec<u8>) = row.unwrap();
            let ids: Vec<i64> = ids.as_chunks::<8>().0.iter().map(|id| i64::from_le_bytes(*id)).collect();
            assert_eq!(units.len(), ids.len() * 4);
            let width = codes.len() / ids.len();
            all.extend(ids.iter().copied().zip(codes.chunks(width).map(<[u8]>::to_vec)));
        }
        all
    }

    fn ids(store: &Store) -> BTreeSet<i64> {
        let mut list = store.connection.prepare("SELECT id FROM messages").unwrap();
        list.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn found(store: &Store, embedder: &Embedder) -> usize {
        // No message has this word, so only vectors find any.
        store.search(&HistoryQuery { text: "headlines", ..HistoryQuery::default() }, Some(embedder)).unwrap().len()
    }

    #[test]
    fn a_changed_model_makes_new_vectors_while_the_old_ones_are_used() {
        let home = tempfile::tempdir().unwrap();
        let (Some(one), Some(two)) = (model(home.path(), "one"), model(home.path(), "twofold")) else { return };
        assert_ne!(one.identity(), two.identity());
        let store = Store::open(&home.path().join("history")).unwrap();
        add(&store, 0..600);
        while store.embed(&one, 1000).unwrap() > 0 {}
        assert_eq!((vectors(&store, &one).len(), store.count_without_vectors(&one).unwrap()), (600, 0));
        assert_eq!((found(&store, &one), found(&store, &two)), (10, 0));
        assert_eq!(store.embed(&two, 200).unwrap(), 200);
        // Both are there, and messages go on coming.
        assert_eq!((vectors(&store, &one).len(), vectors(&store, &two).len()), (600, 200));
        assert_eq!((found(&store, &one), found(&store, &two)), (10, 10));
        add(&store, 600..650);
        assert_eq!(store.count_without_vectors(&two).unwrap(), 450);
        while store.embed(&two, 100).unwrap() > 0 {}
        assert_eq!((vectors(&store, &one).len(), found(&store, &one)), (0, 0));
        let new: BTreeSet<i64> = vectors(&store, &two).into_iter().map(|(id, _)| id).collect();
        assert_eq!(new, ids(&store));
        assert_eq!(found(&store, &two), 10);
    }

    #[test]
    fn what_is_forgotten_leaves_no_vector_of_any_model() {
        let home = tempfile::tempdir().unwrap();
        let (Some(one), Some(two)) = (model(home.path(), "one"), model(home.path(), "twofold")) else { return };
        let directory = home.path().join("history");
        let store = Store::open(&directory).unwrap();
        add(&store, 0..600);
        while store.embed(&one, 1000).unwrap() > 0 {}
        store.embed(&two, 300).unwrap();
        let before = vectors(&store, &one);
        let forgot = store.forget(&ForgetTarget::Session("s3")).unwrap();
        let left = ids(&store);
        assert_eq!(left.len() + forgot.messages, 600);
        for (embedder, all) in [(&one, left.len()), (&two, left.range(..=300).count())] {
            let kept: BTreeSet<i64> = vectors(&store, embedder).into_iter().map(|(id, _)| id).collect();
            assert!(kept.is_subset(&left));
            assert_eq!(kept.len(), all);
        }
        let bytes = std::fs::read(directory.join("history.db")).unwrap();
        let is_there = |codes: &[u8]| memchr::memmem::find(&bytes, codes).is_some();
        // Some are the same as others.
        let kept: BTreeSet<&Vec<u8>> =
            before.iter().filter(|(id, _)| left.contains(id)).map(|(_, codes)| codes).collect();
        let gone: Vec<&Vec<u8>> = before.iter().map(|(_, codes)| codes).filter(|codes| !kept.contains(codes)).collect();
        // What is kept is as it was, but for what a page's end cuts; what is not, is not even in free pages.
        assert!(kept.iter().filter(|codes| is_there(codes)).count() * 10 > kept.len() * 9);
        let found = gone.iter().filter(|codes| is_there(codes)).count();
        assert!(gone.len() > 20 && found == 0, "{found} of {}", gone.len());
    }
}

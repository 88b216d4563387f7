//! What ranking needs of every message: small records in blocks, so that a million are read in milliseconds.

use rusqlite::{Connection, OptionalExtension, params};

use crate::MessageAuthor;

/// The bytes of a record.
const RECORD_BYTES: usize = 8;

/// Records of a block.
const BLOCK_RECORD_COUNT: i64 = 4096;

/// Minutes are counted from here: 2020-01-01.
const EPOCH_OFFSET_MS: i64 = 1_577_836_800_000;

const MILLIS_PER_MINUTE: i64 = 60_000;

/// A message's facts. All zeros if it can't be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MessageFact {
    /// The session's number.
    pub session: u32,
    /// The time in minutes since 2020, at least 1; 0 if unknown.
    pub minutes_since_2020: u32,
    /// The number of terms, as [`encode_length`] has it.
    pub length: u8,
    /// The author.
    pub role: MessageAuthor,
    /// Whether the same text was there before.
    pub is_copy: bool,
}

impl MessageFact {
    fn bytes(self) -> [u8; RECORD_BYTES] {
        let ([s0, s1, s2, _], [m0, m1, m2, _]) = (self.session.to_le_bytes(), self.minutes_since_2020.to_le_bytes());
        let role = match self.role {
            MessageAuthor::User => 1,
            MessageAuthor::Assistant => 2,
            MessageAuthor::Tool => 3,
        };
        [s0, s1, s2, m0, m1, m2, self.length, role | u8::from(self.is_copy) << 2]
    }

    fn parse([s0, s1, s2, m0, m1, m2, length, flags]: [u8; RECORD_BYTES]) -> Option<Self> {
        let role = match flags & 3 {
            1 => MessageAuthor::User,
            2 => MessageAuthor::Assistant,
            3 => MessageAuthor::Tool,
            _ => return None,
        };
        Some(Self {
            session: u32::from_le_bytes([s0, s1, s2, 0]),
            minutes_since_2020: u32::from_le_bytes([m0, m1, m2, 0]),
            length,
            role,
            is_copy: flags & 4 != 0,
        })
    }
}

/// The minutes of a time in milliseconds since 1970.
pub(crate) fn minutes(time: Option<i64>) -> u32 {
    const MAX_MINUTE: i64 = (1 << 24) - 1;
    time.map_or(0, |time| {
        u32::try_from(((time - EPOCH_OFFSET_MS) / MILLIS_PER_MINUTE).clamp(1, MAX_MINUTE)).unwrap_or_default()
    })
}

/// A number of terms in a byte: a sixteenth of a power of two is told from the next.
pub(crate) fn encode_length(terms: usize) -> u8 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is clamped to a byte")]
    let code = (((terms + 1) as f32).log2() * 16.0).round().clamp(0.0, 255.0) as u8;
    code
}

/// About as many terms as a code stands for.
pub(crate) fn decode_length(code: u8) -> f32 {
    (f32::from(code) / 16.0).exp2() - 1.0
}

/// Records of messages that are stored one after the other: the block that they are in is written once.
pub(super) struct FactWriter<'a> {
    connection: &'a Connection,
    open: Option<(i64, Vec<u8>)>,
}

impl<'a> FactWriter<'a> {
    pub fn new(connection: &'a Connection) -> Self {
        Self { connection, open: None }
    }

    /// Writes the record of a message; none if it can't be found any more.
    pub fn put(&mut self, message: i64, fact: Option<MessageFact>) -> rusqlite::Result<()> {
        self.record(message, |record| *record = fact.map_or([0; RECORD_BYTES], MessageFact::bytes))
    }

    /// Writes that a message belongs to another session.
    pub fn set_session(&mut self, message: i64, session: u32) -> rusqlite::Result<()> {
        self.record(message, |record| {
            if let Some(fact) = MessageFact::parse(*record) {
                *record = MessageFact { session, ..fact }.bytes();
            }
        })
    }

    fn record(&mut self, message: i64, change: impl FnOnce(&mut [u8; RECORD_BYTES])) -> rusqlite::Result<()> {
        let (block, place) = (
            message / BLOCK_RECORD_COUNT,
            usize::try_from(message % BLOCK_RECORD_COUNT).unwrap_or_default() * RECORD_BYTES,
        );
        if self.open.as_ref().is_none_or(|(open, _)| *open != block) {
            self.flush()?;
            let mut find = self.connection.prepare_cached("SELECT records FROM facts WHERE block = ?")?;
            let records: Option<Vec<u8>> = find.query_row([block], |row| row.get(0)).optional()?;
            self.open = Some((block, records.unwrap_or_default()));
        }
        if let Some((_, records)) = &mut self.open {
            if records.len() < place + RECORD_BYTES {
                records.resize(place + RECORD_BYTES, 0);
            }
            if let Some(record) = records[place..].first_chunk_mut() {
                change(record);
            }
        }
        Ok(())
    }

    /// Writes what is not written yet.
    pub fn flush(&mut self) -> rusqlite::Result<()> {
        let Some((block, records)) = self.open.take() else { return Ok(()) };
        let mut put = self.connection.prepare_cached("INSERT OR REPLACE INTO facts VALUES (?, ?)")?;
        put.execute(params![block, records]).map(drop)
    }
}

/// The records of all messages, by their ids.
pub(crate) struct MessageFacts {
    records: Vec<u8>,
}

impl MessageFacts {
    /// Reads them all: 8 MB for a million.
    pub fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let mut count = connection.prepare_cached("SELECT count(*) FROM facts")?;
        let blocks: i64 = count.query_row([], |row| row.get(0))?;
        let mut list = connection.prepare_cached("SELECT block, records FROM facts ORDER BY block")?;
        let mut rows = list.query([])?;
        let mut all =
            Vec::with_capacity(usize::try_from(blocks * BLOCK_RECORD_COUNT).unwrap_or_default() * RECORD_BYTES);
        while let Some(row) = rows.next()? {
            let block: i64 = row.get(0)?;
            // Ids are given one after the other, so none is far from those before it.
            if block < 0 || block > blocks * 2 {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, block));
            }
            let start = usize::try_from(block * BLOCK_RECORD_COUNT).unwrap_or_default() * RECORD_BYTES;
            let records = row.get_ref(1)?.as_blob()?;
            all.resize(start, 0);
            all.extend_from_slice(records);
        }
        Ok(Self { records: all })
    }

    /// One more than the largest id.
    pub fn len(&self) -> usize {
        self.records.len() / RECORD_BYTES
    }

    /// Returns the facts of a message.
    pub fn get(&self, message: usize) -> Option<MessageFact> {
        let (records, _) = self.records.as_chunks::<RECORD_BYTES>();
        records.get(message).and_then(|record| MessageFact::parse(*record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let fact = MessageFact {
            session: 70_000,
            minutes_since_2020: minutes(Some(1_790_000_000_000)),
            length: encode_length(99),
            role: MessageAuthor::Tool,
            is_copy: true,
        };
        assert_eq!(MessageFact::parse(fact.bytes()), Some(fact));
        assert_eq!(MessageFact::parse([0; RECORD_BYTES]), None);
        assert_eq!((minutes(None), minutes(Some(0)), minutes(Some(i64::MAX))), (0, 1, (1 << 24) - 1));
        for terms in [0, 1, 7, 100, 4000] {
            let back = decode_length(encode_length(terms));
            assert!((back - terms as f32).abs() <= terms as f32 * 0.05 + 0.1, "{terms} {back}");
        }
    }
}

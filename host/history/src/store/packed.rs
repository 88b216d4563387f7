//! Texts as the database keeps them: compressed where that makes them smaller.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use rusqlite::ToSql;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};

use crate::MAX_TEXT;

/// Shorter ones hardly shrink.
const MIN_PACKED_BYTES: usize = 120;

/// A text, compressed or not.
pub(super) enum PackedText {
    Plain(String),
    Deflated(Vec<u8>),
}

impl PackedText {
    pub fn new(text: &str) -> Self {
        match deflated(text) {
            Some(bytes) => Self::Deflated(bytes),
            None => Self::Plain(text.to_owned()),
        }
    }
}

thread_local! {
    // Making one costs more than most texts.
    static COMPRESSOR: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(4), false));
    // With room for the longest text.
    static DECOMPRESSOR: RefCell<(Decompress, Vec<u8>)> = RefCell::new((Decompress::new(false), Vec::new()));
}

fn deflated(text: &str) -> Option<Vec<u8>> {
    if text.len() < MIN_PACKED_BYTES {
        return None;
    }
    // Otherwise packing would save nothing.
    let mut bytes = Vec::with_capacity(text.len());
    COMPRESSOR.with_borrow_mut(|compress| {
        compress.reset();
        let status = compress.compress_vec(text.as_bytes(), &mut bytes, FlushCompress::Finish);
        matches!(status, Ok(Status::StreamEnd)).then_some(bytes)
    })
}

fn inflated(bytes: &[u8]) -> FromSqlResult<String> {
    let text = DECOMPRESSOR.with_borrow_mut(|(decompress, room)| {
        decompress.reset(false);
        room.clear();
        room.reserve(MAX_TEXT);
        match decompress.decompress_vec(bytes, room, FlushDecompress::Finish) {
            Ok(Status::StreamEnd) => Ok(room.clone()),
            Ok(_) => Err(FromSqlError::Other("a text is cut off".into())),
            Err(error) => Err(FromSqlError::Other(Box::new(error))),
        }
    })?;
    String::from_utf8(text).map_err(|error| FromSqlError::Other(Box::new(error)))
}

impl ToSql for PackedText {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        match self {
            Self::Plain(text) => text.to_sql(),
            Self::Deflated(bytes) => bytes.to_sql(),
        }
    }
}

/// A text that was read from the database.
pub(crate) struct StoredText(pub String);

impl FromSql for StoredText {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Text(_) => value.as_str().map(|text| Self(text.to_owned())),
            ValueRef::Blob(bytes) => inflated(bytes).map(Self),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// An id of a message: 16 bytes if it is a UUID as most programs write it, else text.
pub(crate) struct MessageKey<'a>(pub &'a str);

impl ToSql for MessageKey<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match uuid_bytes(self.0) {
            Some(bytes) => ToSqlOutput::from(bytes.to_vec()),
            None => ToSqlOutput::from(self.0),
        })
    }
}

/// An id that was read from the database.
pub(crate) struct Uuid(pub String);

impl FromSql for Uuid {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) if bytes.len() == 16 => {
                let digits = aiw_core::hex(bytes);
                let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
                Ok(Self(parts.join("-")))
            }
            _ => value.as_str().map(|text| Self(text.to_owned())),
        }
    }
}

fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    if bytes.len() != 36 {
        return None;
    }
    let mut digits = Vec::with_capacity(32);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'-' if matches!(at, 8 | 13 | 18 | 23) => {}
            b'0'..=b'9' => digits.push(byte - b'0'),
            b'a'..=b'f' => digits.push(byte - b'a' + 10),
            _ => return None,
        }
    }
    let mut packed = [0; 16];
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != 16 || !rest.is_empty() {
        return None;
    }
    packed.iter_mut().zip(pairs).for_each(|(byte, [high, low])| *byte = high << 4 | low);
    Some(packed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rusqlite::Connection;

    #[test]
    fn texts_and_ids_come_back_as_they_were() {
        let connection = Connection::open_in_memory().unwrap();
        for text in
            ["", "short", &"a longer text, which is the same again and again. ".repeat(300), &"0123456789".repeat(1600)]
        {
            let back: StoredText = connection.query_row("SELECT ?", [PackedText::new(text)], |row| row.get(0)).unwrap();
            assert_eq!(back.0, text);
        }
        // Those that fill what was set aside for them, and the longest.
        let long = "most pasted ".repeat(MAX_TEXT / 12 + 1);
        for length in
            (5..19).flat_map(|power| [(1 << power) - 1, 1 << power, (1 << power) + 1]).filter(|n| *n <= MAX_TEXT)
        {
            let text = &long[..length];
            let back: StoredText = connection.query_row("SELECT ?", [PackedText::new(text)], |row| row.get(0)).unwrap();
            assert_eq!(back.0, text);
        }
        for id in
            ["0123abcd-0000-4000-8000-abcdefabcdef", "0123ABCD-0000-4000-8000-abcdefabcdef", "rollout:12", "", "ß"]
        {
            let back: Uuid = connection.query_row("SELECT ?", [MessageKey(id)], |row| row.get(0)).unwrap();
            assert_eq!(back.0, id);
        }
    }
}

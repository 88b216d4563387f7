//! The bytes of a collection's file.
//!
//! ```text
//! header   "aiwvec1\n"  dimensions u32  0 u32  generation u64  0 u32  crc32 of all before
//! record   crc32  kind u8  0 u8  length of the id u16  id  numbers f32 (kind 1; none for kind 2, a deletion)
//! ```
//!
//! All numbers are little-endian. The checksum of a record also covers the file's generation and the record's offset,
//! so that bytes of an older file, or of another place in this one, are never taken for a record.

use std::fs::File;
use std::io::{self, Read};

use crate::store::MAX_ID_BYTES;

/// The length of the header.
pub(super) const HEADER_LEN: u64 = 32;

const MAGIC: &[u8; 8] = b"aiwvec1\n";
const PUT_TAG: u8 = 1;
const DELETE_TAG: u8 = 2;

/// The beginning of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct VectorsHeader {
    pub dimensions: usize,
    /// A random number for each file: a file that was written anew is another one.
    generation: u64,
}

impl VectorsHeader {
    pub fn new(dimensions: usize) -> io::Result<Self> {
        let mut generation = [0; 8];
        getrandom::fill(&mut generation)?;
        Ok(Self { dimensions, generation: u64::from_le_bytes(generation) })
    }

    pub fn encode(&self) -> [u8; HEADER_LEN as usize] {
        let mut bytes = [0; HEADER_LEN as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&u32::try_from(self.dimensions).unwrap_or_default().to_le_bytes());
        bytes[16..24].copy_from_slice(&self.generation.to_le_bytes());
        let checksum = crc32fast::hash(&bytes[..28]);
        bytes[28..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Returns `None` if the bytes are not a whole header.
    pub fn parse(bytes: &[u8; HEADER_LEN as usize]) -> Option<Self> {
        let header = Self {
            dimensions: u32::from_le_bytes(bytes[8..12].try_into().ok()?) as usize,
            generation: u64::from_le_bytes(bytes[16..24].try_into().ok()?),
        };
        (header.encode() == *bytes).then_some(header)
    }

    fn checksum(&self, offset: u64, body: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.generation.to_le_bytes());
        hasher.update(&offset.to_le_bytes());
        hasher.update(body);
        hasher.finalize()
    }
}

/// An entry, or the deletion of one.
pub(super) struct EntryRecord {
    pub id: String,
    /// `None` for a deletion.
    pub vector: Option<Vec<f32>>,
}

impl EntryRecord {
    /// Appends the bytes of the record at `offset`, and returns their number.
    pub fn write(&self, header: &VectorsHeader, offset: u64, bytes: &mut Vec<u8>) -> u32 {
        let start = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&[if self.vector.is_some() { PUT_TAG } else { DELETE_TAG }, 0]);
        bytes.extend_from_slice(&u16::try_from(self.id.len()).unwrap_or_default().to_le_bytes());
        bytes.extend_from_slice(self.id.as_bytes());
        for value in self.vector.iter().flatten() {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
        let checksum = header.checksum(offset, &bytes[start + 4..]);
        bytes[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
        u32::try_from(bytes.len() - start).unwrap_or_default()
    }

    /// Reads the record at `offset`, and its length. `None` if no whole record is there.
    pub fn read(reader: &mut impl Read, header: &VectorsHeader, offset: u64) -> io::Result<Option<(Self, u32)>> {
        let mut start = [0; 8];
        if !fill(reader, &mut start)? {
            return Ok(None);
        }
        let id_length = usize::from(u16::from_le_bytes([start[6], start[7]]));
        let numbers = match start[4] {
            PUT_TAG => header.dimensions,
            DELETE_TAG => 0,
            _ => return Ok(None),
        };
        if !(1..=MAX_ID_BYTES).contains(&id_length) {
            return Ok(None);
        }
        let mut body = vec![0; 4 + id_length + numbers * 4];
        body[..4].copy_from_slice(&start[4..]);
        if !fill(reader, &mut body[4..])? {
            return Ok(None);
        }
        if header.checksum(offset, &body).to_le_bytes() != start[..4] {
            return Ok(None);
        }
        let (id, values) = body[4..].split_at(id_length);
        let Ok(id) = std::str::from_utf8(id) else { return Ok(None) };
        let vector: Vec<f32> = values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let length = u32::try_from(body.len() + 4).unwrap_or_default();
        Ok(Some((Self { id: id.to_owned(), vector: (start[4] == PUT_TAG).then_some(vector) }, length)))
    }
}

/// Fills a buffer, or returns `false` at the end of what is there.
fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}

/// Reads at an offset, whatever other threads read.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

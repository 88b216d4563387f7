//! What a book knows of itself: how long each of its files is, and a digest of it. It stands beside the book, not in
//! it, so that a book that is gone, cut, damaged or exchanged does not pass for one in which nothing was spent.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use aiw_core::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest line. Longer ones are no bookings.
pub(crate) const MAX_LINE_BYTES: u64 = 64 << 10;

/// The months that are remembered. With more, the seal would not be written in one piece.
const MAX_MONTHS: usize = 12;

/// The largest seal that is read, in bytes.
const MAX_CHECKSUMS_BYTES: u64 = 16 << 10;

/// The length and the digest of the beginning of a file, in whole lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileExtent {
    pub length: u64,
    digest: Chain,
}

/// A hash over the hash of what is before a line, and the line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct Chain([u8; 32]);

impl From<Chain> for String {
    fn from(chain: Chain) -> Self {
        hex(&chain.0)
    }
}

impl TryFrom<String> for Chain {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        const INVALID_DIGEST_MESSAGE: &str = "expected 64 hexadecimal digits";
        let mut chain = Self::default();
        if text.len() != 2 * chain.0.len() {
            return Err(INVALID_DIGEST_MESSAGE);
        }
        for (byte, digits) in chain.0.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).map_err(|_| INVALID_DIGEST_MESSAGE)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| INVALID_DIGEST_MESSAGE)?;
        }
        Ok(chain)
    }
}

impl FileExtent {
    /// Takes the next line in, with its end, or the next piece of one that is too long.
    pub(crate) fn append_line(&mut self, line: &[u8]) {
        let mut hash = Sha256::new();
        hash.update(self.digest.0);
        hash.update(line);
        self.digest.0 = hash.finalize().into();
        self.length += line.len() as u64;
    }

    /// Reads whole lines, and hands over each with the place where it begins. A last one that is not whole is left.
    pub(crate) fn read(&mut self, from: impl Read, mut each: impl FnMut(&Self, u64, &[u8])) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(256 << 10, from);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = (&mut reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
            if read == 0 || (line.last() != Some(&b'\n') && read as u64 != MAX_LINE_BYTES) {
                return Ok(());
            }
            let at = self.length;
            self.append_line(&line);
            each(self, at, &line);
        }
    }
}

/// A book's knowledge of its files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Checksums {
    pub months: BTreeMap<String, FileExtent>,
}

impl Checksums {
    /// Reads a seal. An empty one was never written: `Some(None)`. `None` stands for nonsense.
    pub(crate) fn read(file: impl Read) -> io::Result<Option<Option<Self>>> {
        let mut bytes = Vec::new();
        file.take(MAX_CHECKSUMS_BYTES).read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            return Ok(Some(None));
        }
        Ok(serde_json::from_slice(&bytes).ok().map(Some))
    }

    /// Formats a seal for a file that has a length: one write replaces all of it.
    pub(crate) fn format(&mut self, length: u64) -> io::Result<Vec<u8>> {
        while self.months.len() > MAX_MONTHS {
            self.months.pop_first();
        }
        let mut bytes = serde_json::to_vec(self)?;
        let length = usize::try_from(length).unwrap_or_default();
        bytes.resize(bytes.len().max(length), b' ');
        Ok(bytes)
    }
}

/// Why a book is not what was booked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// A file is gone, or shorter than it was.
    Missing {
        /// Its month.
        month: String,
    },
    /// A file is another one, or was changed.
    Modified {
        /// Its month.
        month: String,
    },
    /// The seal is gone or damaged, so the book can't vouch for its files.
    InvalidChecksums,
    /// All of it is gone, and there was one.
    AllMissing,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { month } => write!(f, "the book of usage has lost bookings of {month}"),
            Self::Modified { month } => write!(f, "the book of usage for {month} was changed or damaged"),
            Self::InvalidChecksums => f.write_str("the seal of the book of usage is gone or damaged"),
            Self::AllMissing => f.write_str("the book of usage is gone, with its seal"),
        }
    }
}

impl Loss {
    /// Returns the next step.
    pub const HINT: &str = "`aiw budget repair` goes on with what the book says now";
}

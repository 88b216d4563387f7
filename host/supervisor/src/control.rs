//! What goes over a shim's socket: what others type at its process, how large their terminals are, and that it is to be
//! started again.
//!
//! The shim says its version and the size of the process's terminal once, in [`HELLO`] bytes. From then on it gets
//! frames: a letter, the length of what follows in two bytes, and that. It answers each frame of input with one byte, once
//! the process has got all of it, and each that asks for a restart.

use std::path::{Path, PathBuf};

use aiw_core::ProcessId;

use crate::new::Terminal;

/// The version of these frames.
pub(crate) const VERSION: u8 = 1;
/// A version, then the size of the terminal, or four zeros.
pub(crate) const HELLO_LEN: usize = 5;
/// The most bytes in a frame.
pub(crate) const MAX_FRAME_BYTES: usize = 4096;
/// The bytes before those of a frame.
pub(crate) const FRAME_HEADER_LEN: usize = 3;
/// The process has got the input.
pub(crate) const INPUT_ACK: u8 = b'k';
/// Nobody will read the input.
pub(crate) const INPUT_NACK: u8 = b'x';

/// A frame to a shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// Bytes for the standard input of the process.
    Input(&'a [u8]),
    /// The size of the sender's terminal.
    Size(Terminal),
    /// The process is to be started again, if this life began then, in milliseconds since 1970: who asks twice gets one
    /// restart.
    Restart(u64),
}

/// The sender doesn't speak this protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenFrame;

impl<'a> Frame<'a> {
    /// Returns the frame as it is sent. Input has at most [`MAX_FRAME_BYTES`] bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (size, life);
        let (letter, bytes) = match self {
            Self::Input(bytes) => (b'i', &bytes[..bytes.len().min(MAX_FRAME_BYTES)]),
            Self::Size(terminal) => {
                size = encode_size(Some(*terminal));
                (b's', size.as_slice())
            }
            Self::Restart(began) => {
                life = began.to_be_bytes();
                (b'r', life.as_slice())
            }
        };
        let length = u16::try_from(bytes.len()).unwrap_or(0).to_be_bytes();
        [&[letter], length.as_slice(), bytes].concat()
    }

    /// Returns the first frame of what was received, if all of it is there, and its length.
    pub fn decode(received: &'a [u8]) -> Result<Option<(Self, usize)>, BrokenFrame> {
        let [letter, high, low, rest @ ..] = received else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > MAX_FRAME_BYTES || !matches!((letter, length), (b'i', _) | (b's', 4) | (b'r', 8)) {
            return Err(BrokenFrame);
        }
        let Some(bytes) = rest.get(..length) else { return Ok(None) };
        let frame = match letter {
            b'i' => Self::Input(bytes),
            b'r' => Self::Restart(u64::from_be_bytes(bytes.try_into().map_err(|_| BrokenFrame)?)),
            _ => Self::Size(decode_size(bytes).ok_or(BrokenFrame)?),
        };
        Ok(Some((frame, FRAME_HEADER_LEN + length)))
    }
}

/// Returns what a shim says first.
pub(crate) fn hello(terminal: Option<Terminal>) -> [u8; HELLO_LEN] {
    let [a, b, c, d] = encode_size(terminal);
    [VERSION, a, b, c, d]
}

fn encode_size(terminal: Option<Terminal>) -> [u8; 4] {
    let Some(Terminal { rows, columns }) = terminal else { return [0; 4] };
    let ([a, b], [c, d]) = (rows.to_be_bytes(), columns.to_be_bytes());
    [a, b, c, d]
}

/// Returns a size, or `None` if it has no rows or columns.
pub(crate) fn decode_size(bytes: &[u8]) -> Option<Terminal> {
    let [a, b, c, d] = *bytes else { return None };
    let (rows, columns) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    (rows > 0 && columns > 0).then_some(Terminal { rows, columns })
}

/// Returns the path of the socket of a process's shim.
pub(crate) fn socket(runtime: &Path, id: ProcessId) -> PathBuf {
    runtime.join(format!("{id}.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_are_a_frame_or_refused(bytes: Vec<u8>) {
            if let Ok(Some((frame, length))) = Frame::decode(&bytes) {
                prop_assert_eq!(frame.encode(), &bytes[..length]);
            }
        }

        #[test]
        fn a_frame_arrives_as_it_was_sent(bytes in proptest::collection::vec(0u8.., 0..MAX_FRAME_BYTES), rows in 1u16.., columns in 1u16.., cut: usize) {
            for frame in [Frame::Input(&bytes), Frame::Size(Terminal { rows, columns }), Frame::Restart(cut as u64)] {
                let sent = frame.encode();
                prop_assert_eq!(Frame::decode(&sent), Ok(Some((frame, sent.len()))));
                prop_assert_eq!(Frame::decode(&sent[..cut % sent.len()]), Ok(None));
            }
        }
    }
}

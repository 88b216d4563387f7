//! git's packets (pkt-lines): four hexadecimal digits of length, which includes the digits, and the content.
//! <https://git-scm.com/docs/protocol-common#_pkt_line_format>

/// The length of the longest packet that git sends.
const MAX_PACKET: usize = 65520;

/// A packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet {
    /// `0000`
    Flush,
    /// The content after the length.
    Content(Vec<u8>),
}

/// Splits a byte stream into packets. Holds at most one packet and one arrival.
#[derive(Default)]
pub(super) struct Packets {
    bytes: Vec<u8>,
    at: usize,
}

impl Packets {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// Returns the bytes that have arrived but were not taken.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// Takes all bytes that have arrived, whether they form a packet or not.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        let rest = self.rest().to_vec();
        self.at = self.bytes.len();
        rest
    }

    /// Returns the next packet, or `None` until more bytes arrive. The error is the end of a sentence about the far
    /// end.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, String> {
        let rest = self.rest();
        let Some((digits, after)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let bad = || format!("a packet has the length `{}`", digits.escape_ascii());
        // `from_str_radix` would accept a sign.
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(bad());
        }
        let text = std::str::from_utf8(digits).map_err(|_| bad())?;
        let length = usize::from_str_radix(text, 16).map_err(|_| bad())?;
        if length == 0 {
            self.at += 4;
            return Ok(Some(Packet::Flush));
        }
        // 1 to 3 belong to a newer version of the protocol, which was not requested; 4 is an empty packet.
        if !(5..=MAX_PACKET).contains(&length) {
            return Err(bad());
        }
        let Some(content) = after.get(..length - 4) else { return Ok(None) };
        let packet = Packet::Content(content.to_vec());
        self.at += length;
        Ok(Some(packet))
    }
}

/// Encodes a packet.
pub(super) fn encode_packet(content: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", content.len() + 4).into_bytes();
    packet.extend_from_slice(content);
    packet
}

/// Returns a line without its line break.
pub(super) fn strip_newline(content: &[u8]) -> &[u8] {
    content.strip_suffix(b"\n").unwrap_or(content)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(packets: &mut Packets) -> Result<Vec<Packet>, String> {
        let mut found = Vec::new();
        while let Some(packet) = packets.next()? {
            found.push(packet);
        }
        Ok(found)
    }

    #[test]
    fn a_length_that_is_none_is_an_error() {
        for bad in ["zzzz", "+00a", "-001", "0001", "0002", "0003", "0004", "fff1", "ffff", "PACK", "\u{e9}00"] {
            let mut packets = Packets::default();
            packets.push(bad.as_bytes());
            assert!(packets.next().is_err(), "{bad}");
        }
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn packets_are_the_same_however_they_arrive(
                contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..20),
                piece in 1..500_usize,
            ) {
                let mut wire = Vec::new();
                for content in &contents {
                    wire.extend(encode_packet(content));
                    wire.extend(b"0000");
                }
                let (mut packets, mut found) = (Packets::default(), Vec::new());
                for bytes in wire.chunks(piece) {
                    packets.push(bytes);
                    found.extend(all(&mut packets).unwrap());
                }
                let expected: Vec<Packet> =
                    contents.into_iter().flat_map(|content| [Packet::Content(content), Packet::Flush]).collect();
                prop_assert_eq!(found, expected);
                prop_assert!(packets.rest().is_empty());
            }

            #[test]
            fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
                let mut packets = Packets::default();
                packets.push(&bytes);
                let _ = all(&mut packets);
            }
        }
    }
}

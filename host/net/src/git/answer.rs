//! A server's answer to a request for commits: the lines of the negotiation, and a pack. libgit2 gets it piece by
//! piece, once it was checked here, and gets nothing but what it waits for: both must take the same bytes for
//! the pack. <https://git-scm.com/docs/pack-protocol#_packfile_negotiation>

use super::advertisement::{malformed, refused};
use super::pack::{PackCheck, PackError};
use super::packet::{Packet, Packets, encode_packet, strip_newline};
use super::transfer::RejectedBy;
use crate::error::NetError;
use crate::http::RequestLimits;

/// The maximum number of negotiation lines. libgit2 offers 256 commits, and keeps a line for each commit where
/// history was cut off.
const MAX_LINES: u32 = 10_000;

/// The line that ends a request for the pack.
const DONE_PACKET: &[u8] = b"0009done\n";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Lines of the negotiation.
    Lines,
    /// The negotiation is over, and the pack may follow.
    Negotiated,
    /// The pack arrives in packets.
    Packets,
    /// The pack arrives without packets.
    Raw,
    Done,
}

/// Checks an answer as it arrives.
pub(super) struct ResponseCheck {
    /// The repository, for messages.
    repository: String,
    /// Whether the request asked for the pack.
    is_last: bool,
    packets: Packets,
    stage: Stage,
    lines: u32,
    pack: PackCheck,
}

impl ResponseCheck {
    pub(super) fn new(shown: String, limits: RequestLimits, request: &[u8]) -> Self {
        Self {
            repository: shown,
            is_last: request.ends_with(DONE_PACKET),
            packets: Packets::default(),
            stage: Stage::Lines,
            lines: 0,
            pack: PackCheck::new(limits),
        }
    }

    /// Takes the bytes that arrived and returns what libgit2 may see of them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, RejectedBy> {
        let mut seen = Vec::new();
        self.packets.push(bytes);
        while self.stage != Stage::Done {
            let begins = self.is_last && self.stage == Stage::Negotiated && self.packets.rest().starts_with(b"PACK");
            if begins || self.stage == Stage::Raw {
                self.stage = Stage::Raw;
                let rest = self.packets.take_rest();
                self.pack.push(&rest).map_err(|bad| self.bad(bad))?;
                seen.extend(rest);
                break;
            }
            let Some(packet) = self.packets.next().map_err(|why| malformed(&self.repository, &why))? else { break };
            self.packet(packet, &mut seen)?;
        }
        Ok(seen)
    }

    /// Checks that the answer may end here.
    pub(super) fn finish(&self) -> Result<(), RejectedBy> {
        match self.stage {
            Stage::Done => Ok(()),
            _ if !self.packets.rest().is_empty() => {
                Err(malformed(&self.repository, "the answer ends in the middle of a packet"))
            }
            _ => self.has_all(),
        }
    }

    /// Checks that a requested pack is complete.
    fn has_all(&self) -> Result<(), RejectedBy> {
        match self.stage {
            Stage::Packets | Stage::Raw if !self.pack.is_done() => Err(self.damaged("it ends too early")),
            Stage::Lines | Stage::Negotiated if self.is_last => Err(malformed(&self.repository, "no pack follows")),
            _ => Ok(()),
        }
    }

    fn packet(&mut self, taken: Packet, seen: &mut Vec<u8>) -> Result<(), RejectedBy> {
        let content = match taken {
            Packet::Flush => {
                if matches!(self.stage, Stage::Packets | Stage::Negotiated) && self.is_last {
                    self.has_all()?;
                    self.stage = Stage::Done;
                }
                seen.extend_from_slice(b"0000");
                return self.count();
            }
            Packet::Content(content) => content,
        };
        match content.split_first() {
            Some((1, data)) if self.is_last && matches!(self.stage, Stage::Negotiated | Stage::Packets) => {
                self.stage = Stage::Packets;
                self.pack.push(data).map_err(|bad| self.bad(bad))?;
                seen.extend(encode_packet(&content));
                return Ok(());
            }
            // Progress messages for people.
            Some((2, _)) => return Ok(()),
            Some((3, said)) => return Err(refused(&self.repository, said)),
            _ => {}
        }
        if let Some(said) = content.strip_prefix(b"ERR ") {
            return Err(refused(&self.repository, said));
        }
        let text = strip_newline(&content);
        match words(text).as_slice() {
            [b"shallow" | b"unshallow", id] if self.stage == Stage::Lines && is_id(id) => {}
            [b"NAK"] if self.stage != Stage::Packets => self.stage = Stage::Negotiated,
            [b"ACK", id] if self.stage != Stage::Packets && is_id(id) => self.stage = Stage::Negotiated,
            [b"ACK", id, b"continue" | b"common" | b"ready"] if self.stage != Stage::Packets && is_id(id) => {}
            _ => return Err(malformed(&self.repository, "the answer contains an unrequested packet")),
        }
        // libgit2 does not recognize a `shallow` line that ends with a line break.
        seen.extend(encode_packet(text));
        self.count()
    }

    fn count(&mut self) -> Result<(), RejectedBy> {
        self.lines += 1;
        if self.lines > MAX_LINES {
            return Err(malformed(&self.repository, "the negotiation of what to send does not end"));
        }
        Ok(())
    }

    fn bad(&self, bad: PackError) -> RejectedBy {
        match bad {
            PackError::Damaged(why) => self.damaged(why),
            PackError::TooLarge(what) => {
                RejectedBy::ByClient(NetError::too_large(format!("`{}` {what}", self.repository)))
            }
        }
    }

    fn damaged(&self, why: &str) -> RejectedBy {
        RejectedBy::ByRemote(NetError::malformed(format!("`{}` sends a damaged pack: {why}", self.repository)))
    }
}

fn words(line: &[u8]) -> Vec<&[u8]> {
    line.split(|byte| *byte == b' ').collect()
}

fn is_id(word: &[u8]) -> bool {
    word.len() == 40 && word.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "1111111111111111111111111111111111111111";
    const EMPTY: &[u8] =
        b"PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";

    fn take(request: &[u8], wire: &[u8], piece: usize) -> Result<Vec<u8>, String> {
        let said = |refused: RejectedBy| refused.into_error().to_string();
        let mut answer = ResponseCheck::new("R".to_owned(), RequestLimits::default(), request);
        let mut seen = Vec::new();
        for bytes in wire.chunks(piece) {
            seen.extend(answer.push(bytes).map_err(said)?);
        }
        answer.finish().map_err(said)?;
        Ok(seen)
    }

    fn band(number: u8, content: &[u8]) -> Vec<u8> {
        encode_packet(&[&[number], content].concat())
    }

    fn text(line: &str) -> Vec<u8> {
        encode_packet(line.as_bytes())
    }

    #[test]
    fn libgit2_sees_the_agreement_and_the_pack_and_nothing_else() {
        let agreed = [text(&format!("shallow {ID}\n")), b"0000".to_vec(), text(&format!("ACK {ID} common\n"))].concat();
        let plain = [text(&format!("shallow {ID}")), b"0000".to_vec(), text(&format!("ACK {ID} common"))].concat();
        let (ready, nak) = (text("NAK\n"), text("NAK"));
        let data = [band(1, &EMPTY[..5]), band(1, &EMPTY[5..]), b"0000".to_vec()].concat();
        let talk = [band(2, b"counting\r"), ready.clone(), band(2, b"\x1b[31m done")].concat();
        for piece in [1, 3, 1000] {
            // In packets, with messages for people in between and extra bytes after the end.
            let wire = [agreed.as_slice(), &talk, &data, b"0008NAK\n", &band(1, b"more")].concat();
            assert_eq!(take(b"...0009done\n", &wire, piece), Ok([plain.as_slice(), &nak, &data].concat()));
            // Without packets.
            let wire = [agreed.as_slice(), &ready, EMPTY].concat();
            assert_eq!(take(b"...0009done\n", &wire, piece), Ok([plain.as_slice(), &nak, EMPTY].concat()));
            // An intermediate step.
            assert_eq!(take(b"...0000", &agreed, piece), Ok(plain.clone()));
        }
    }

    #[test]
    fn a_pack_comes_only_where_libgit2_waits_for_one() {
        let (last, step): (&[u8], &[u8]) = (b"0009done\n", b"0000");
        let more = [text("NAK"), band(1, EMPTY), band(1, b"x")].concat();
        let endless = text("NAK").repeat(10_001);
        let protocol = "`R` does not speak git's protocol: ";
        let unasked = format!("{protocol}the answer contains an unrequested packet");
        for (request, wire, sentence) in [
            (last, band(1, EMPTY), unasked.clone()),
            (last, [text(&format!("ACK {ID} ready")), band(1, EMPTY)].concat(), unasked.clone()),
            (step, [text("NAK"), band(1, EMPTY)].concat(), unasked.clone()),
            (last, [text("NAK"), band(1, &EMPTY[..9]), text("NAK")].concat(), unasked.clone()),
            (last, text("hello"), unasked.clone()),
            (last, text("ACK 1234"), unasked),
            (last, more, "`R` sends a damaged pack: it continues after its end".to_owned()),
            (
                last,
                [text("NAK"), band(1, &EMPTY[..9])].concat(),
                "`R` sends a damaged pack: it ends too early".to_owned(),
            ),
            (last, [text("NAK"), b"PACK".to_vec()].concat(), "`R` sends a damaged pack: it ends too early".to_owned()),
            (step, [text("NAK"), EMPTY.to_vec()].concat(), format!("{protocol}a packet has the length `PACK`")),
            (last, [text("NAK"), b"0000".to_vec()].concat(), format!("{protocol}no pack follows")),
            (last, EMPTY.to_vec(), format!("{protocol}a packet has the length `PACK`")),
            (last, text("NAK"), format!("{protocol}no pack follows")),
            (step, b"0008NA".to_vec(), format!("{protocol}the answer ends in the middle of a packet")),
            (step, endless, format!("{protocol}the negotiation of what to send does not end")),
            (last, text("ERR upload-pack: not our ref"), "`R` refuses: upload-pack: not our ref".to_owned()),
            (last, band(3, b"out of \x07order\n"), "`R` refuses: out of \\u{7}order".to_owned()),
        ] {
            assert_eq!(take(request, &wire, 11), Err(sentence));
        }
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1..300_usize) {
                for request in [b"0009done\n".as_slice(), b"0000"] {
                    let _ = take(request, &bytes, piece);
                    let _ = take(request, &[text("NAK"), bytes.clone()].concat(), piece);
                }
            }
        }
    }
}

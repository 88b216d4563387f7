//! Checks a pack while it arrives and before libgit2 unpacks any of it. An object is a header with its size, and a
//! zlib stream. A delta begins with the size of its result. libgit2 trusts these numbers and allocates that much
//! memory. So the numbers are checked against limits here, and the streams against the numbers.
//! <https://git-scm.com/docs/gitformat-pack>

use std::collections::HashMap;

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::format_size;
use crate::http::RequestLimits;

/// The maximum size of an object. GitHub accepts no file over 100 MiB.
pub(super) const MAX_OBJECT: u64 = 128 << 20;

/// The size of the buffer for unpacked bytes. Only the beginnings of deltas are examined.
const BUFFER_BYTES: usize = 32 << 10;

/// The maximum length of a number in a delta. Nine bytes of seven bits each hold more than any size.
const MAX_DIGITS: usize = 9;

/// libgit2 caches unpacked objects up to this size, and unpacks larger ones again for each delta based on them.
const LARGE_OBJECT_BYTES: u64 = 1 << 20;

/// A problem with a pack. The text is the end of a sentence about the repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PackError {
    /// The pack breaks the format.
    Damaged(&'static str),
    /// The pack exceeds a limit.
    TooLarge(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// `PACK`, version, number of objects.
    Head,
    /// Kind and size of an object.
    Object,
    /// The base of a delta, as a distance.
    Distance,
    /// The base of a delta, as an id.
    Base,
    /// The zlib stream of an object.
    Stream,
    /// The checksum, which libgit2 verifies.
    Checksum,
    Done,
}

/// Checks a pack.
pub(super) struct PackCheck {
    limits: RequestLimits,
    stage: Stage,
    /// The bytes received so far of a header, a distance, an id or the checksum.
    head: Vec<u8>,
    remaining_objects: u32,
    /// The length of the stream according to the object's header, and the length received so far.
    declared: u64,
    unpacked: u64,
    /// The beginning of a delta's stream, until its two sizes are known.
    delta: Option<Vec<u8>>,
    total: u64,
    /// The number of bytes received, and the offset of the current object.
    at: u64,
    start: u64,
    /// The bytes that libgit2 unpacks for an object, by the object's offset. Small objects are not recorded.
    costs: HashMap<u64, u64>,
    /// The bytes that libgit2 unpacks for the base of the current delta.
    base_cost: u64,
    /// Whether the current delta names its base by id.
    names_base: bool,
    /// The total for all large deltas that name their bases by id. Any of them may be based on all the others.
    by_id: u64,
    work: u64,
    stream: Decompress,
    piece: Box<[u8]>,
}

impl PackCheck {
    pub(super) fn new(limits: RequestLimits) -> Self {
        Self {
            limits,
            stage: Stage::Head,
            head: Vec::new(),
            remaining_objects: 0,
            declared: 0,
            unpacked: 0,
            delta: None,
            total: 0,
            at: 0,
            start: 0,
            costs: HashMap::new(),
            base_cost: 0,
            names_base: false,
            by_id: 0,
            work: 0,
            stream: Decompress::new(true),
            piece: vec![0; BUFFER_BYTES].into_boxed_slice(),
        }
    }

    /// Returns whether the pack is complete.
    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Checks the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), PackError> {
        while let Some((first, rest)) = bytes.split_first() {
            if self.stage == Stage::Stream {
                bytes = self.unpack(bytes)?;
                continue;
            }
            bytes = rest;
            self.byte(*first)?;
            self.at += 1;
        }
        Ok(())
    }

    fn byte(&mut self, byte: u8) -> Result<(), PackError> {
        self.head.push(byte);
        match self.stage {
            Stage::Head if self.head.len() == 12 => self.begin(),
            Stage::Object if byte & 0x80 == 0 => self.object(),
            // libgit2 reads a size into a machine word.
            Stage::Object | Stage::Distance if self.head.len() >= MAX_DIGITS && byte & 0x80 != 0 => {
                Err(PackError::Damaged("a number in it is too long"))
            }
            Stage::Distance if byte & 0x80 == 0 => {
                let base = self.start.wrapping_sub(distance(&self.head));
                self.base_cost = self.costs.get(&base).copied().unwrap_or(0);
                self.open()
            }
            Stage::Base if self.head.len() == 20 => {
                self.base_cost = self.by_id;
                self.open()
            }
            Stage::Checksum if self.head.len() == 20 => {
                self.stage = Stage::Done;
                Ok(())
            }
            Stage::Done => Err(PackError::Damaged("it continues after its end")),
            _ => Ok(()),
        }
    }

    fn begin(&mut self) -> Result<(), PackError> {
        let number = |at: usize| -> u32 { self.head[at..at + 4].iter().fold(0, |n, byte| n << 8 | u32::from(*byte)) };
        if !self.head.starts_with(b"PACK") || !matches!(number(4), 2 | 3) {
            return Err(PackError::Damaged("it has an invalid start"));
        }
        let objects = number(8);
        if objects > self.limits.max_objects {
            return Err(PackError::TooLarge(format!("sends more than {} objects", self.limits.max_objects)));
        }
        self.remaining_objects = objects;
        self.next();
        Ok(())
    }

    /// Starts the next object, or the checksum after the last one.
    fn next(&mut self) {
        self.head.clear();
        self.stage = match self.remaining_objects {
            0 => Stage::Checksum,
            _ => Stage::Object,
        };
    }

    fn object(&mut self) -> Result<(), PackError> {
        let Some((first, more)) = self.head.split_first() else { return Ok(()) };
        self.start = self.at - more.len() as u64;
        let low = u64::from(first & 0x0f);
        let declared = more.iter().rev().fold(0, |size, byte| size << 7 | u64::from(byte & 0x7f)) << 4 | low;
        let kind = first >> 4 & 7;
        self.check_object(declared)?;
        (self.declared, self.unpacked) = (declared, 0);
        self.remaining_objects -= 1;
        self.head.clear();
        match kind {
            1..=4 => {
                self.add(declared)?;
                self.cost(declared);
                self.open()
            }
            6 | 7 => {
                self.add(declared)?;
                self.delta = Some(Vec::new());
                self.names_base = kind == 7;
                self.stage = if kind == 6 { Stage::Distance } else { Stage::Base };
                Ok(())
            }
            _ => Err(PackError::Damaged("it contains an object of an unknown kind")),
        }
    }

    fn open(&mut self) -> Result<(), PackError> {
        self.stream.reset(true);
        self.stage = Stage::Stream;
        Ok(())
    }

    /// Unpacks as much of an object as has arrived, and returns the bytes after it.
    fn unpack<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], PackError> {
        const NOT_ZLIB: PackError = PackError::Damaged("an object can't be unpacked");
        loop {
            let (read, written) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(bytes, &mut self.piece, FlushDecompress::None);
            let status = status.map_err(|_| NOT_ZLIB)?;
            let read = usize::try_from(self.stream.total_in() - read).map_err(|_| NOT_ZLIB)?;
            let written = usize::try_from(self.stream.total_out() - written).map_err(|_| NOT_ZLIB)?;
            bytes = &bytes[read..];
            self.at += read as u64;
            self.unpacked += written as u64;
            if self.unpacked > self.declared {
                return Err(PackError::Damaged("an object is longer than it says"));
            }
            self.sizes(written)?;
            match status {
                Status::StreamEnd if self.unpacked < self.declared => {
                    return Err(PackError::Damaged("an object is shorter than it says"));
                }
                Status::StreamEnd if self.delta.is_some() => {
                    return Err(PackError::Damaged("a delta does not say what it makes"));
                }
                Status::StreamEnd => {
                    self.next();
                    return Ok(bytes);
                }
                _ if read == 0 && written == 0 => {
                    return if bytes.is_empty() { Ok(bytes) } else { Err(NOT_ZLIB) };
                }
                _ => {}
            }
        }
    }

    /// Reads the two sizes at the beginning of a delta: that of its base and that of its result.
    fn sizes(&mut self, written: usize) -> Result<(), PackError> {
        let Some(delta) = &mut self.delta else { return Ok(()) };
        let wanted = 2 * MAX_DIGITS - delta.len();
        delta.extend_from_slice(&self.piece[..written.min(wanted)]);
        let mut rest = delta.as_slice();
        let (Some(base), Some(result)) = (number(&mut rest), number(&mut rest)) else {
            return match delta.len() {
                length if length >= 2 * MAX_DIGITS => Err(PackError::Damaged("a number in it is too long")),
                _ => Ok(()),
            };
        };
        self.delta = None;
        self.check_object(base)?;
        self.check_object(result)?;
        self.add(result)?;
        let own = if self.declared.max(result) > LARGE_OBJECT_BYTES { self.declared + result } else { 0 };
        let cost = self.base_cost + own;
        if self.names_base {
            self.by_id += own;
        }
        self.cost(cost);
        self.work += cost;
        if self.work > self.limits.max_delta_bytes {
            return Err(PackError::TooLarge("builds so many large files on each other that it takes too long".into()));
        }
        Ok(())
    }

    /// Records what libgit2 unpacks for the object, unless it is small.
    fn cost(&mut self, bytes: u64) {
        if bytes > LARGE_OBJECT_BYTES {
            self.costs.insert(self.start, bytes);
        }
    }

    fn check_object(&self, bytes: u64) -> Result<(), PackError> {
        if bytes > MAX_OBJECT {
            return Err(PackError::TooLarge(format!("contains an object larger than {}", format_size(MAX_OBJECT))));
        }
        Ok(())
    }

    fn add(&mut self, bytes: u64) -> Result<(), PackError> {
        self.total += bytes;
        if self.total > self.limits.max_unpacked_bytes {
            return Err(PackError::TooLarge(format!(
                "unpacks to more than {}",
                format_size(self.limits.max_unpacked_bytes)
            )));
        }
        Ok(())
    }
}

/// Decodes how far back the base of a delta begins: seven bits per byte, the highest first, each but the last less
/// by one.
fn distance(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |far, byte| {
        let more = u64::from(byte & 0x80 != 0);
        (far << 7 | u64::from(byte & 0x7f)) + more
    })
}

/// Decodes a number in a delta: seven bits per byte, the lowest first.
fn number(bytes: &mut &[u8]) -> Option<u64> {
    let end = bytes.iter().take(MAX_DIGITS).position(|byte| byte & 0x80 == 0)?;
    let (digits, rest) = bytes.split_at(end + 1);
    *bytes = rest;
    Some(digits.iter().rev().fold(0, |number, byte| number << 7 | u64::from(byte & 0x7f)))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use proptest::prelude::*;

    use super::*;

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn digits(mut number: u64) -> Vec<u8> {
        let mut digits = Vec::new();
        while number > 0x7f {
            digits.push(number as u8 & 0x7f | 0x80);
            number >>= 7;
        }
        digits.push(number as u8);
        digits
    }

    /// Encodes the header of an object.
    fn object(kind: u8, size: u64) -> Vec<u8> {
        let mut head = vec![kind << 4 | (size & 0x0f) as u8];
        if size > 0x0f {
            head[0] |= 0x80;
            head.extend(digits(size >> 4));
        }
        head
    }

    fn pack(objects: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(objects.len()).unwrap();
        [b"PACK\0\0\0\x02", count.to_be_bytes().as_slice(), &objects.concat(), &[0; 20]].concat()
    }

    fn blob(content: &[u8]) -> Vec<u8> {
        [object(3, content.len() as u64), zlib(content)].concat()
    }

    /// Returns a delta against the object `distance` bytes before it. The sizes may be false.
    fn delta(distance: u8, base: u64, result: u64) -> Vec<u8> {
        let content = [digits(base), digits(result), vec![0x90, 1]].concat();
        [object(6, content.len() as u64), vec![distance], zlib(&content)].concat()
    }

    #[test]
    fn large_files_upon_large_files_cost_what_all_of_them_do() {
        const BIG: u64 = 2 << 20;
        let zeros = blob(&vec![0; BIG as usize]);
        let upon = |base: &[u8]| {
            let content = [digits(BIG), digits(BIG), vec![0x90, 1]].concat();
            let distance = match u8::try_from(base.len()) {
                Ok(near @ ..=0x7f) => vec![near],
                _ => {
                    let rest = base.len() >> 7;
                    vec![0x80 | u8::try_from(rest - 1).unwrap(), (base.len() & 0x7f) as u8]
                }
            };
            [object(6, content.len() as u64), distance, zlib(&content)].concat()
        };
        // A chain of ten: the first is based on one object, the last on ten.
        let mut objects = vec![zeros.clone()];
        for _ in 0..10 {
            objects.push(upon(objects.last().unwrap()));
        }
        let delta = 10;
        let expected: u64 = (1..=10).map(|n| BIG + n * (BIG + delta)).sum();
        let at = |work: u64| {
            check(&pack(&objects), RequestLimits { max_delta_bytes: work, ..RequestLimits::default() }, 1000)
        };
        assert_eq!(at(expected), Ok(true));
        let sentence = "builds so many large files on each other that it takes too long";
        assert_eq!(at(expected - 1), Err(PackError::TooLarge(sentence.to_owned())));
        // When named by id, each may be based on all before it.
        let by_id =
            || [object(7, delta), vec![9; 20], zlib(&[digits(BIG), digits(BIG), vec![0x90, 1]].concat())].concat();
        let objects = [vec![zeros], (0..10).map(|_| by_id()).collect()].concat();
        let expected: u64 = (1..=10).map(|n| n * (BIG + delta)).sum();
        let at = |work: u64| {
            check(&pack(&objects), RequestLimits { max_delta_bytes: work, ..RequestLimits::default() }, 1000)
        };
        assert_eq!((at(expected), at(expected - 1).is_err()), (Ok(true), true));
    }

    #[test]
    fn a_distance_is_as_git_has_it() {
        for (bytes, far) in
            [(&[0x00][..], 0), (&[0x7f], 127), (&[0x80, 0x00], 128), (&[0x80, 0x7f], 255), (&[0x81, 0x00], 256)]
        {
            assert_eq!(distance(bytes), far);
        }
        assert_eq!(distance(&[0xff, 0x7f]), 16511);
        assert_eq!(distance(&[0x80, 0x80, 0x00]), 16512);
    }

    fn check(pack: &[u8], limits: RequestLimits, piece: usize) -> Result<bool, PackError> {
        let mut check = PackCheck::new(limits);
        pack.chunks(piece).try_for_each(|bytes| check.push(bytes))?;
        Ok(check.is_done())
    }

    #[test]
    fn a_pack_is_taken_however_it_arrives() {
        let by_id = [object(7, 4), vec![9; 20], zlib(&[1, 1, 0x90, 1])].concat();
        let pack = pack(&[blob(b""), blob(&[7; 100_000]), delta(3, 1, 1), by_id]);
        for piece in [1, 2, 3, 50, 10_000] {
            assert_eq!(check(&pack, RequestLimits::default(), piece), Ok(true));
            assert_eq!(check(&pack[..pack.len() - 1], RequestLimits::default(), piece), Ok(false));
        }
        assert_eq!(check(&[], RequestLimits::default(), 1), Ok(false));
    }

    #[test]
    fn what_is_more_than_is_taken_is_said() {
        let limits = RequestLimits { max_objects: 3, max_unpacked_bytes: 1000, ..RequestLimits::default() };
        let over = MAX_OBJECT + 1;
        for (objects, sentence) in [
            (vec![blob(b"x"); 4], "sends more than 3 objects"),
            (vec![object(3, over)], "contains an object larger than 128 MiB"),
            (vec![object(6, over)], "contains an object larger than 128 MiB"),
            (vec![delta(3, 1, over)], "contains an object larger than 128 MiB"),
            (vec![delta(3, over, 1)], "contains an object larger than 128 MiB"),
            (vec![object(3, u64::MAX >> 4)], "contains an object larger than 128 MiB"),
            (vec![blob(&[0; 600]), blob(&[0; 600])], "unpacks to more than 1000 bytes"),
            (vec![blob(b"x"), delta(3, 1, 600), delta(3, 1, 600)], "unpacks to more than 1000 bytes"),
        ] {
            assert_eq!(check(&pack(&objects), limits, 7), Err(PackError::TooLarge(sentence.to_owned())));
        }
    }

    #[test]
    fn what_is_no_pack_is_said() {
        let behind = [pack(&[]), vec![0]].concat();
        let mut damaged = blob(&[7; 5000]);
        let end = damaged.len() - 1;
        damaged[end] ^= 0xff;
        for (pack, sentence) in [
            (b"KCAP\0\0\0\x02\0\0\0\0".to_vec(), "it has an invalid start"),
            (b"PACK\0\0\0\x04\0\0\0\0".to_vec(), "it has an invalid start"),
            (behind, "it continues after its end"),
            (pack(&[object(5, 1)]), "it contains an object of an unknown kind"),
            (pack(&[vec![0xff; 12]]), "a number in it is too long"),
            (pack(&[[object(6, 9), vec![0xff; 12]].concat()]), "a number in it is too long"),
            (pack(&[[object(6, 30), vec![1], zlib(&[0xff; 30])].concat()]), "a number in it is too long"),
            (pack(&[[object(6, 1), vec![1], zlib(&[1])].concat()]), "a delta does not say what it makes"),
            (pack(&[[object(3, 9), zlib(b"eight...")].concat()]), "an object is shorter than it says"),
            (pack(&[[object(3, 7), zlib(b"eight...")].concat()]), "an object is longer than it says"),
            (pack(&[[object(3, 7), b"no zlib".to_vec()].concat()]), "an object can't be unpacked"),
            (pack(&[damaged]), "an object can't be unpacked"),
        ] {
            assert_eq!(check(&pack, RequestLimits::default(), 5), Err(PackError::Damaged(sentence)));
        }
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1..300_usize) {
                let _ = check(&bytes, RequestLimits::default(), piece);
                let _ = check(&[pack(&[])[..12].to_vec(), bytes.clone()].concat(), RequestLimits::default(), piece);
                let _ = check(&[b"PACK\0\0\0\x02\0\0\0\x09".to_vec(), bytes].concat(), RequestLimits::default(), piece);
            }

            #[test]
            fn whatever_the_objects_the_check_follows_them(
                contents in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..6),
                piece in 1..3000_usize,
            ) {
                let objects: Vec<Vec<u8>> = contents.iter().map(|content| blob(content)).collect();
                prop_assert_eq!(check(&pack(&objects), RequestLimits::default(), piece), Ok(true));
            }
        }
    }
}

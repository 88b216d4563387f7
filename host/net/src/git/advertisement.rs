//! What a server lists before anything is fetched: its refs and its capabilities. The list is parsed here, and
//! libgit2 gets only what was understood, in its own plain form. Nothing that a server writes reaches libgit2's
//! parser, which keeps all of it in memory and requires names in UTF-8.

use aiw_core::{is_git_ref, one_line};

use super::packet::{Packet, Packets, encode_packet, strip_newline};
use super::refs::GitRef;
use super::transfer::RejectedBy;
use crate::error::{NetError, format_size};
use crate::http::RequestLimits;

/// The server capabilities that libgit2 may know of. Each leads to a request whose answer we can read. `thin-pack`
/// is not among them, because only a self-contained pack can be checked on its own.
const KNOWN_CAPABILITIES: [&str; 8] = [
    "multi_ack",
    "multi_ack_detailed",
    "side-band",
    "side-band-64k",
    "ofs-delta",
    "shallow",
    "allow-tip-sha1-in-want",
    "allow-reachable-sha1-in-want",
];

/// A list of refs that was read completely.
#[derive(Debug)]
pub(super) struct Advertisement {
    pub(super) refs: Vec<GitRef>,
    capabilities: Vec<&'static str>,
}

impl Advertisement {
    /// Returns whether the server accepts requests for commits by id.
    pub(super) fn can_fetch_by_id(&self) -> bool {
        self.capabilities.iter().any(|known| known.ends_with("-sha1-in-want"))
    }

    /// Encodes the list for libgit2 as git's own server would write it.
    pub(super) fn to_wire(&self) -> Vec<u8> {
        let mut wire = encode_packet(b"# service=git-upload-pack\n");
        wire.extend_from_slice(b"0000");
        let mut capabilities = format!("\0{}", self.capabilities.join(" "));
        if self.refs.is_empty() {
            wire.extend(encode_packet(format!("{} capabilities^{{}}{capabilities}\n", "0".repeat(40)).as_bytes()));
        }
        for GitRef { name, sha } in &self.refs {
            wire.extend(encode_packet(format!("{sha} {name}{}\n", std::mem::take(&mut capabilities)).as_bytes()));
        }
        wire.extend_from_slice(b"0000");
        wire
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// `# service=git-upload-pack`
    Service,
    /// The flush packet after that line.
    ServiceEnd,
    /// The first ref with the capabilities.
    First,
    Refs,
    Done,
}

/// Parses an advertisement as it arrives.
pub(super) struct AdvertisementReader {
    /// The repository, for messages.
    repository: String,
    limits: RequestLimits,
    packets: Packets,
    bytes: u64,
    stage: Stage,
    found: Advertisement,
}

impl AdvertisementReader {
    pub(super) fn new(shown: String, limits: RequestLimits) -> Self {
        let found = Advertisement { refs: Vec::new(), capabilities: Vec::new() };
        Self { repository: shown, limits, packets: Packets::default(), bytes: 0, stage: Stage::Service, found }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), RejectedBy> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limits.max_refs_bytes {
            return Err(RejectedBy::ByClient(refs_too_large(&self.repository, &self.limits)));
        }
        self.packets.push(bytes);
        while self.stage != Stage::Done {
            let Some(packet) = self.packets.next().map_err(|why| self.malformed(&why))? else { break };
            self.take(&packet)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Advertisement, RejectedBy> {
        match self.stage {
            Stage::Done => Ok(self.found),
            _ => Err(self.malformed("the list of branches and tags ends too early")),
        }
    }

    fn take(&mut self, packet: &Packet) -> Result<(), RejectedBy> {
        let content = match (packet, self.stage) {
            (Packet::Flush, Stage::ServiceEnd) => {
                self.stage = Stage::First;
                return Ok(());
            }
            (Packet::Flush, Stage::First | Stage::Refs) => {
                self.stage = Stage::Done;
                return Ok(());
            }
            (Packet::Content(content), stage) if stage != Stage::ServiceEnd => content,
            _ => return Err(self.malformed("the list of branches and tags has an invalid start")),
        };
        if let Some(said) = content.strip_prefix(b"ERR ") {
            return Err(refused(&self.repository, said));
        }
        match self.stage {
            Stage::Service if strip_newline(content) == b"# service=git-upload-pack" => self.stage = Stage::ServiceEnd,
            Stage::Service => return Err(self.malformed("the list of branches and tags has an invalid start")),
            // A server may name the version of the protocol that it speaks.
            Stage::First if strip_newline(content) == b"version 1" => {}
            Stage::First => {
                let (first, capabilities) = match content.iter().position(|byte| *byte == 0) {
                    Some(end) => (&content[..end], &content[end + 1..]),
                    None => (content.as_slice(), &[][..]),
                };
                self.capabilities(&String::from_utf8_lossy(strip_newline(capabilities)))?;
                self.reference(first)?;
                self.stage = Stage::Refs;
            }
            _ => self.reference(content)?,
        }
        Ok(())
    }

    fn capabilities(&mut self, said: &str) -> Result<(), RejectedBy> {
        for word in said.split(' ') {
            if let Some(format) = word.strip_prefix("object-format=")
                && format != "sha1"
            {
                return Err(other_format(&self.repository, format));
            }
            self.found.capabilities.extend(KNOWN_CAPABILITIES.iter().find(|known| **known == word));
        }
        Ok(())
    }

    fn reference(&mut self, content: &[u8]) -> Result<(), RejectedBy> {
        let content = strip_newline(content);
        // Such a line says where the history of a shallow repository ends.
        if content.starts_with(b"shallow ") {
            return Ok(());
        }
        self.found.refs.extend(parse_ref(&self.repository, content, b' ')?);
        match self.found.refs.len() > self.limits.max_refs {
            true => Err(RejectedBy::ByClient(too_many_refs(&self.repository, &self.limits))),
            false => Ok(()),
        }
    }

    fn malformed(&self, why: &str) -> RejectedBy {
        malformed(&self.repository, why)
    }
}

/// Parses a line of a list: an id, a separator and a name. Returns `None` if the name could not be requested,
/// because git would not accept it or it is not UTF-8.
pub(super) fn parse_ref(shown: &str, line: &[u8], between: u8) -> Result<Option<GitRef>, RejectedBy> {
    let mut halves = line.splitn(2, |byte| *byte == between);
    let (id, name) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
    if id.len() == 64 && id.iter().all(u8::is_ascii_hexdigit) {
        return Err(other_format(shown, "sha256"));
    }
    let Some(sha) = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok()) else {
        return Err(malformed(shown, "a ref has no commit id of 40 hexadecimal digits"));
    };
    let name = std::str::from_utf8(name).ok().filter(|name| is_name(name));
    Ok(name.map(|name| GitRef { name: name.to_owned(), sha }))
}

/// Returns the error for a repository with too many refs.
pub(super) fn too_many_refs(shown: &str, limits: &RequestLimits) -> NetError {
    NetError::too_large(format!("`{shown}` lists more than {} branches and tags", limits.max_refs))
}

/// Returns the error for a list with too many bytes.
pub(super) fn refs_too_large(shown: &str, limits: &RequestLimits) -> NetError {
    let limit = format_size(limits.max_refs_bytes);
    NetError::too_large(format!("`{shown}` sends a list of branches and tags that is longer than {limit}"))
}

/// Returns whether a name is the full name of a ref, or of what a tag stands for.
fn is_name(name: &str) -> bool {
    let name = name.strip_suffix("^{}").unwrap_or(name);
    name == "HEAD" || (name.starts_with("refs/") && is_git_ref(name))
}

/// Returns the error for an answer that is not git's protocol.
pub(super) fn malformed(shown: &str, why: &str) -> RejectedBy {
    RejectedBy::ByRemote(NetError::malformed(format!(
        "`{shown}` does not speak git's protocol: {}",
        one_line(why, 120)
    )))
}

/// Returns the error for a refusal of the server, in its own words.
pub(super) fn refused(shown: &str, said: &[u8]) -> RejectedBy {
    let said = one_line(String::from_utf8_lossy(said).trim(), 200);
    RejectedBy::ByRemote(NetError::malformed(format!("`{shown}` refuses: {said}")))
}

/// Returns the error for a repository whose ids are not SHA-1.
fn other_format(shown: &str, format: &str) -> RejectedBy {
    RejectedBy::ByClient(unsupported_format(shown, format))
}

/// Like [`other_format`], but for a repository on this machine.
pub(super) fn unsupported_format(shown: &str, format: &str) -> NetError {
    let format = match format {
        "sha256" => "SHA-256 ids".to_owned(),
        other => format!("ids of the form `{}`", one_line(other, 40)),
    };
    NetError::invalid(format!("the git repository at `{shown}` has {format}, and aiw reads only those with SHA-1"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "1111111111111111111111111111111111111111";

    fn read(wire: &[u8], limits: RequestLimits, piece: usize) -> Result<Advertisement, String> {
        let mut reader = AdvertisementReader::new("R".to_owned(), limits);
        let said = |refused: RejectedBy| refused.into_error().to_string();
        for bytes in wire.chunks(piece) {
            reader.push(bytes).map_err(said)?;
        }
        reader.finish().map_err(said)
    }

    fn wire(lines: &[&[u8]]) -> Vec<u8> {
        let mut wire = encode_packet(b"# service=git-upload-pack\n");
        wire.extend_from_slice(b"0000");
        lines.iter().for_each(|content| wire.extend(encode_packet(content)));
        wire.extend_from_slice(b"0000");
        wire
    }

    #[test]
    fn libgit2_is_given_what_was_understood_and_nothing_else() {
        let first =
            [ID.as_bytes(), b" HEAD\0multi_ack thin-pack agent=x object-format=sha1 symref=HEAD:\xff\n"].concat();
        let (main, odd) = (format!("{ID} refs/heads/main\n"), format!("{ID} refs/heads/a..b\n"));
        let (bytes, shallow) = ([ID.as_bytes(), b" refs/heads/caf\xe9"].concat(), format!("shallow {ID}"));
        let lines = [&first, main.as_bytes(), odd.as_bytes(), &bytes, shallow.as_bytes()];
        let found = read(&wire(&lines), RequestLimits::default(), 7).unwrap();
        let names: Vec<&str> = found.refs.iter().map(|r| r.name.as_str()).collect();
        assert_eq!(names, ["HEAD", "refs/heads/main"]);
        let again = wire(&[format!("{ID} HEAD\0multi_ack\n").as_bytes(), main.as_bytes()]);
        assert_eq!(String::from_utf8(found.to_wire()).unwrap(), String::from_utf8(again).unwrap());
        // Without refs, the capabilities still get a line.
        let none = read(&wire(&[]), RequestLimits::default(), 99).unwrap();
        let again = read(&none.to_wire(), RequestLimits::default(), 99).unwrap();
        assert!(none.refs.is_empty() && again.refs.is_empty());
    }

    #[test]
    fn each_fault_has_its_sentence() {
        let said = |wire: &[u8]| {
            read(wire, RequestLimits { max_refs: 2, max_refs_bytes: 2000, ..RequestLimits::default() }, 99).unwrap_err()
        };
        let refs: Vec<String> = (0..9).map(|n| format!("{ID} refs/heads/{n}")).collect();
        let refs: Vec<&[u8]> = refs.iter().map(String::as_bytes).collect();
        let sha256 = "2".repeat(64);
        let longest = [b'x'; 9000];
        for (wire, sentence) in [
            (wire(&refs), "`R` lists more than 2 branches and tags"),
            (encode_packet(&longest), "`R` sends a list of branches and tags that is longer than 2000 bytes"),
            (b"zzzz".to_vec(), "`R` does not speak git's protocol: a packet has the length `zzzz`"),
            (b"0000".to_vec(), "`R` does not speak git's protocol: the list of branches and tags has an invalid start"),
            (
                encode_packet(b"# service=git-upload-pack\n"),
                "`R` does not speak git's protocol: the list of branches and tags ends too early",
            ),
            (encode_packet(b"ERR no \x1b[31msuch thing\n"), "`R` refuses: no \\u{1b}[31msuch thing"),
            (
                wire(&[b"x refs/heads/main"]),
                "`R` does not speak git's protocol: a ref has no commit id of 40 hexadecimal digits",
            ),
            (
                wire(&[format!("{sha256} HEAD").as_bytes()]),
                "the git repository at `R` has SHA-256 ids, and aiw reads only those with SHA-1",
            ),
            (
                wire(&[format!("{ID} HEAD\0object-format=sha256").as_bytes()]),
                "the git repository at `R` has SHA-256 ids, and aiw reads only those with SHA-1",
            ),
            (
                wire(&[format!("{ID} HEAD\0object-format=md5").as_bytes()]),
                "the git repository at `R` has ids of the form `md5`, and aiw reads only those with SHA-1",
            ),
        ] {
            assert_eq!(said(&wire), sentence);
        }
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn any_bytes_are_answered(
                lines in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..80), 0..8),
                piece in 1..90_usize,
            ) {
                let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
                let _ = read(&wire(&lines), RequestLimits::default(), piece);
                let _ = read(&lines.concat(), RequestLimits::default(), piece);
            }
        }
    }
}

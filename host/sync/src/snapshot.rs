//! Snapshots: the files of a machine at one moment, and what it had seen of the others by then.
//!
//! An archive holds `manifest.json` and each content once, under its digest. No path of a file is a path of the archive, so what
//! unpacks it writes nothing anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use aiw_core::hex;
use flate2::{Compression, GzBuilder, read::GzDecoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use crate::object::{ObjectName, SeenSnapshot};
use crate::place::{MAX_PATH_BYTES, SyncPath};

/// The form of the archives that are written.
pub(crate) const FORMAT_VERSION: u64 = 1;

/// The most bytes of a snapshot's contents together.
pub(crate) const MAX_UNPACKED_BYTES: u64 = 64 << 20;

/// The most files of a snapshot.
pub(crate) const MAX_FILES: usize = 5000;

/// The most bytes of a file, on its way out and in.
pub(crate) const MAX_SYNCED_FILE_BYTES: u64 = 4 << 20;

/// The most bytes of a manifest: 5,000 files of 240 bytes, and the machines.
const MAX_MANIFEST_BYTES: u64 = 8 << 20;

const MANIFEST_PATH: &str = "manifest.json";
const CONTENTS_PREFIX: &str = "f/";

/// The newest snapshot that is known of each machine.
pub(crate) type VectorClock = BTreeMap<String, SeenSnapshot>;

/// The description of a snapshot, within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SnapshotManifest {
    /// The form of the archive.
    pub(crate) format: u64,
    /// The machine, as its person calls it.
    pub(crate) machine_name: String,
    /// When it was made (RFC 3339, UTC), by the machine's own clock. Nothing is decided by it.
    pub(crate) time: String,
    /// The version of aiw.
    pub(crate) aiw: String,
    /// The snapshots that were merged into it.
    pub(crate) parents: Vec<String>,
    /// The newest snapshots that are merged into it, also through its parents.
    pub(crate) seen: VectorClock,
    /// The patterns of paths that it speaks of. Of all others it says nothing, not even that they are gone.
    pub(crate) covers: Vec<String>,
    /// The paths, and those below them, that it leaves out of these.
    pub(crate) silent: Vec<String>,
    /// The store that took the place of this one, if one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moved: Option<String>,
    /// Its files.
    pub(crate) files: BTreeMap<SyncPath, FileEntry>,
}

/// A file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// The SHA-256 digest of its content.
    pub(crate) sha256: String,
    /// Whether it is a program.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) executable: bool,
}

/// A file's content, and whether it is a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileContent {
    pub(crate) bytes: Vec<u8>,
    pub(crate) executable: bool,
}

/// The files of a machine by path.
pub(crate) type MachineFiles = BTreeMap<SyncPath, FileContent>;

/// A snapshot that was read.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) name: ObjectName,
    pub(crate) manifest: SnapshotManifest,
    contents: BTreeMap<String, Vec<u8>>,
}

impl Snapshot {
    /// Returns a file's content.
    pub(crate) fn file(&self, path: &SyncPath) -> Option<(&[u8], bool)> {
        let entry = self.manifest.files.get(path)?;
        Some((self.contents.get(&entry.sha256)?, entry.executable))
    }

    /// Whether this one is merged into a state.
    pub(crate) fn is_merged_into(&self, clock: &VectorClock) -> bool {
        is_merged_into(&self.name, clock)
    }

    /// Returns the clock with this snapshot in it.
    pub(crate) fn clock(&self) -> VectorClock {
        let mut clock = self.manifest.seen.clone();
        clock.insert(self.name.machine.clone(), SeenSnapshot::from(&self.name));
        clock
    }
}

/// Whether an object is merged into a state.
pub(crate) fn is_merged_into(name: &ObjectName, clock: &VectorClock) -> bool {
    clock.get(&name.machine).is_some_and(|seen| seen.counter >= name.counter)
}

/// Returns the digest of a content.
pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Packs a snapshot: the same files and manifest make the same bytes.
///
/// # Errors
///
/// The end of a sentence about the snapshot.
pub(crate) fn pack(manifest: &SnapshotManifest, files: &MachineFiles) -> Result<Vec<u8>, String> {
    let total: usize = files.values().map(|file| file.bytes.len()).sum();
    if files.len() > MAX_FILES {
        return Err(format!("has more than {MAX_FILES} files"));
    }
    if total as u64 > MAX_UNPACKED_BYTES {
        return Err(format!("has more than {} MiB", MAX_UNPACKED_BYTES >> 20));
    }
    let contents: BTreeMap<String, &[u8]> =
        files.values().map(|file| (digest(&file.bytes), file.bytes.as_slice())).collect();
    let text = serde_json::to_vec(manifest).map_err(|e| e.to_string())?;
    // Nothing of the time or the system is in the header.
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(Vec::new(), Compression::new(6));
    let mut archive = Builder::new(gzip);
    let mut add = |name: &str, bytes: &[u8]| {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_size(bytes.len() as u64);
        header.set_path(name).and_then(|()| {
            header.set_cksum();
            archive.append(&header, bytes)
        })
    };
    let mut all = || {
        add(MANIFEST_PATH, &text)?;
        contents.iter().try_for_each(|(digest, bytes)| add(&format!("{CONTENTS_PREFIX}{digest}"), bytes))
    };
    all().map_err(|e: std::io::Error| format!("can't be packed: {e}"))?;
    let gzip = archive.into_inner().map_err(|e| format!("can't be packed: {e}"))?;
    gzip.finish().map_err(|e| format!("can't be packed: {e}"))
}

/// Unpacks a snapshot. What is in it may come from somebody who knows the phrase and means harm.
///
/// # Errors
///
/// The end of a sentence about the snapshot.
pub(crate) fn unpack(name: ObjectName, packed: &[u8]) -> Result<Snapshot, String> {
    let damaged = |e: std::io::Error| format!("can't be unpacked: {}", aiw_core::one_line(&e.to_string(), 120));
    let mut archive =
        Archive::new(GzDecoder::new(packed).take(MAX_UNPACKED_BYTES + MAX_MANIFEST_BYTES + (MAX_FILES as u64 * 1024)));
    let (mut manifest, mut contents, mut left) = (None, BTreeMap::new(), MAX_UNPACKED_BYTES);
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        if entry.header().entry_type() != EntryType::Regular {
            return Err("holds something that is not a file".into());
        }
        let path = entry.path_bytes().into_owned();
        let path = str::from_utf8(&path).map_err(|_| "holds a file with a name that is not its own")?;
        if manifest.is_none() {
            if path != MANIFEST_PATH || entry.size() > MAX_MANIFEST_BYTES {
                return Err("doesn't begin with its manifest".into());
            }
            let mut text = Vec::new();
            entry.read_to_end(&mut text).map_err(damaged)?;
            manifest = Some(read_manifest(&text)?);
            continue;
        }
        if entry.size() > MAX_SYNCED_FILE_BYTES {
            return Err(format!("holds a file of more than {} MiB", MAX_SYNCED_FILE_BYTES >> 20));
        }
        left = left
            .checked_sub(entry.size())
            .ok_or_else(|| format!("unpacks to more than {} MiB", MAX_UNPACKED_BYTES >> 20))?;
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        let of = digest(&bytes);
        if path.strip_prefix(CONTENTS_PREFIX) != Some(of.as_str()) || contents.len() >= MAX_FILES {
            return Err("holds a file with a name that is not its own".into());
        }
        contents.insert(of, bytes);
    }
    let manifest = manifest.ok_or("doesn't begin with its manifest")?;
    let named: BTreeSet<&String> = manifest.files.values().map(|entry| &entry.sha256).collect();
    if named.len() != contents.len() || named.into_iter().any(|digest| !contents.contains_key(digest)) {
        return Err("has other files than its manifest says".into());
    }
    Ok(Snapshot { name, manifest, contents })
}

fn read_manifest(text: &[u8]) -> Result<SnapshotManifest, String> {
    #[derive(Deserialize)]
    struct ManifestFormat {
        format: u64,
    }
    let wrong = |e: serde_json::Error| {
        format!("has a manifest that can't be read: {}", aiw_core::one_line(&e.to_string(), 160))
    };
    // The form first: a newer one may have other fields.
    let ManifestFormat { format } = serde_json::from_slice(text).map_err(wrong)?;
    if format > FORMAT_VERSION {
        return Err("was written by a newer aiw; update this one".into());
    }
    let manifest: SnapshotManifest = serde_json::from_slice(text).map_err(wrong)?;
    if manifest.files.len() > MAX_FILES {
        return Err(format!("has more than {MAX_FILES} files"));
    }
    let bounded = manifest.seen.len() <= 1000
        && manifest.parents.len() <= 1000
        && manifest.covers.len() <= 1000
        && manifest.silent.len() <= MAX_FILES
        && manifest.covers.iter().chain(&manifest.silent).all(|text| text.len() <= MAX_PATH_BYTES)
        && manifest.seen.iter().all(|(machine, seen)| machine.len() <= 64 && seen.digest.len() <= 64)
        && manifest.machine_name.len() <= 200
        && manifest.time.len() <= 64
        && manifest.aiw.len() <= 64;
    if !bounded {
        return Err("has a manifest that is too large".into());
    }
    check_cases(manifest.files.keys())?;
    Ok(manifest)
}

/// Refuses paths that are one file on a system which takes large and small letters as the same, or of which one is a directory
/// of another.
fn check_cases<'a>(paths: impl Iterator<Item = &'a SyncPath>) -> Result<(), String> {
    let mut files = BTreeSet::new();
    for path in paths {
        if !files.insert(path.to_string().to_lowercase()) {
            return Err("has two paths that differ only in the case of letters".into());
        }
    }
    let is_within = |path: &String| path.match_indices('/').any(|(at, _)| files.contains(&path[..at]));
    if files.iter().any(is_within) { Err("has a file that is also a directory".into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place::SyncRoot;

    #[test]
    fn a_file_that_is_too_large_to_go_out_does_not_come_in() {
        let name =
            ObjectName::parse(&format!("s-{}-{}-{:010}-{}.age", "a".repeat(8), "b".repeat(16), 1, "c".repeat(64)));
        let name = name.unwrap();
        let path = SyncPath::new(SyncRoot::Claude, "CLAUDE.md").unwrap();
        for (size, comes) in [(MAX_SYNCED_FILE_BYTES, true), (MAX_SYNCED_FILE_BYTES + 1, false)] {
            let bytes = vec![b'x'; usize::try_from(size).unwrap()];
            let entry = FileEntry { sha256: digest(&bytes), executable: false };
            let manifest = SnapshotManifest {
                format: FORMAT_VERSION,
                machine_name: "a".into(),
                time: String::new(),
                aiw: String::new(),
                parents: Vec::new(),
                seen: VectorClock::new(),
                covers: Vec::new(),
                silent: Vec::new(),
                moved: None,
                files: [(path.clone(), entry)].into(),
            };
            let files = [(path.clone(), FileContent { bytes, executable: false })].into();
            let said = unpack(name.clone(), &pack(&manifest, &files).unwrap()).err();
            let wanted = (!comes).then(|| "holds a file of more than 4 MiB".to_owned());
            assert_eq!(said, wanted, "{size}");
        }
    }
}

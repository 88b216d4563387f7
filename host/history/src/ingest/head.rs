//! What the first lines of a transcript say of its session.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use super::lines::{Lines, MAX_LINE, NextLine};
use super::scan::string_at;
use crate::readers;

/// How far into a transcript its directory is looked for.
const MAX_HEAD: u64 = 64 << 20;

/// The facts about a session in the first lines of its transcript.
#[derive(Default)]
pub(super) struct FileHead {
    pub(super) directory: Option<String>,
    /// The provider's id in Codex's configuration.
    pub(super) provider: Option<String>,
}

/// Reads a transcript up to the first line that names a directory.
pub(super) fn read_head(file: &File) -> io::Result<FileHead> {
    let mut head = FileHead::default();
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let mut lines = Lines::new(file.take(MAX_HEAD), 0, MAX_LINE);
    while let Some(line) = lines.next()? {
        let (NextLine::Complete { bytes, .. } | NextLine::Incomplete { bytes, .. }) = line else { continue };
        if let Some(directory) = string_at(bytes, "cwd").and_then(unquoted).filter(|directory| !directory.is_empty()) {
            head.directory = Some(directory);
            return Ok(head);
        }
        // Codex has it a level deeper.
        let is_head = matches!(string_at(bytes, "type"), Some(b"session_meta" | b"turn_context"));
        let parsed = is_head.then(|| readers::parse::<serde_json::Value>(bytes).ok()).flatten();
        let inner = |key: &str| parsed.as_ref()?["payload"][key].as_str().filter(|inner| !inner.is_empty());
        // A fork has the head of what it was forked from after its own.
        head.provider = head.provider.or_else(|| inner("model_provider").map(str::to_owned));
        if let Some(directory) = inner("cwd") {
            head.directory = Some(directory[..directory.floor_char_boundary(4096)].to_owned());
            return Ok(head);
        }
    }
    Ok(head)
}

/// A string of JSON, without its quotes, decoded.
fn unquoted(text: &[u8]) -> Option<String> {
    let text = aiw_core::from_foreign_json::<String>(&[b"\"", text, b"\""].concat()).ok()?;
    Some(text[..text.floor_char_boundary(4096)].to_owned())
}

//! What a long file of processes said when it was parsed: KDL takes about 0.1 ms for each process, which every command
//! would pay again.

use std::borrow::Cow;
use std::time::Duration;

use aiw_home::{Cache, Home};
use serde::{Deserialize, Serialize};

use crate::file::ProcessFile;
use crate::project::ProcessProject;

/// A shorter file takes less time than this is worth.
const MIN_CACHED_BYTES: usize = 4 << 10;
/// Room for the longest files of some projects: definitions are longer as JSON.
const CACHE_QUOTA_BYTES: u64 = 16 << 20;
const CACHE_TTL: Duration = Duration::from_secs(90 * 24 * 3600);

#[derive(Serialize, Deserialize)]
struct ParsedFile<'a> {
    /// The aiw that has parsed it: another one may read the same text in another way.
    aiw: Cow<'a, str>,
    text: Cow<'a, str>,
    defined: Cow<'a, ProcessFile>,
}

fn cache(home: &Home) -> Cache {
    home.byte_cache("processes", CACHE_QUOTA_BYTES)
}

/// Returns what this text says, if it is known.
pub(crate) fn read(home: &Home, project: &ProcessProject, text: &str) -> Option<ProcessFile> {
    if text.len() < MIN_CACHED_BYTES {
        return None;
    }
    let bytes = cache(home).get(&project.directory().to_string_lossy())?;
    let parsed: ParsedFile<'_> = serde_json::from_slice(&bytes).ok()?;
    (parsed.aiw == env!("CARGO_PKG_VERSION") && parsed.text == text).then(|| parsed.defined.into_owned())
}

/// Keeps what a text says. Without a home that can be written, the next command parses it again.
pub(crate) fn store(home: &Home, project: &ProcessProject, text: &str, defined: &ProcessFile) {
    if text.len() < MIN_CACHED_BYTES {
        return;
    }
    let parsed =
        ParsedFile { aiw: env!("CARGO_PKG_VERSION").into(), text: text.into(), defined: Cow::Borrowed(defined) };
    if let Ok(bytes) = serde_json::to_vec(&parsed) {
        cache(home).put(&project.directory().to_string_lossy(), &bytes, CACHE_TTL);
    }
}

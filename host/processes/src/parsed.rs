//! What a long file of processes said when it was parsed: KDL takes about 0.1 ms for each process, which every command
//! would pay again.

use std::borrow::Cow;
use std::time::Duration;

use aiw_home::{Cache, Home};
use serde::{Deserialize, Serialize};

use crate::file::Definitions;
use crate::project::ProcessProject;

/// A shorter file takes less time than this is worth.
const SHORT: usize = 4 << 10;
/// Room for the longest files of some projects: definitions are longer as JSON.
const QUOTA: u64 = 16 << 20;
const KEEP: Duration = Duration::from_secs(90 * 24 * 3600);

#[derive(Serialize, Deserialize)]
struct Parsed<'a> {
    /// The aiw that has parsed it: another one may read the same text in another way.
    aiw: Cow<'a, str>,
    text: Cow<'a, str>,
    definitions: Cow<'a, Definitions>,
}

fn cache(home: &Home) -> Cache {
    home.byte_cache("processes", QUOTA)
}

/// Returns what this text says, if it is known.
pub(crate) fn read(home: &Home, project: &ProcessProject, text: &str) -> Option<Definitions> {
    if text.len() < SHORT {
        return None;
    }
    let bytes = cache(home).get(&project.directory().to_string_lossy())?;
    let parsed: Parsed<'_> = serde_json::from_slice(&bytes).ok()?;
    (parsed.aiw == env!("CARGO_PKG_VERSION") && parsed.text == text).then(|| parsed.definitions.into_owned())
}

/// Keeps what a text says. Without a home that can be written, the next command parses it again.
pub(crate) fn keep(home: &Home, project: &ProcessProject, text: &str, definitions: &Definitions) {
    if text.len() < SHORT {
        return;
    }
    let parsed =
        Parsed { aiw: env!("CARGO_PKG_VERSION").into(), text: text.into(), definitions: Cow::Borrowed(definitions) };
    if let Ok(bytes) = serde_json::to_vec(&parsed) {
        cache(home).put(&project.directory().to_string_lossy(), &bytes, KEEP);
    }
}

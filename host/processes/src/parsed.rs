//! What a long file of processes said when it was parsed: KDL takes about 0.1 ms for each process, which every command
//! would pay again.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use aiw_home::{Home, Mode, read_unlinked, replace};
use serde::{Deserialize, Serialize};

use crate::file::{Definitions, MAX_BYTES};
use crate::project::Project;

/// A shorter file takes less time than this is worth.
const SHORT: usize = 4 << 10;
/// Definitions are longer as JSON.
const MOST: u64 = 16 * MAX_BYTES as u64;

#[derive(Serialize, Deserialize)]
struct Parsed<'a> {
    /// The aiw that has parsed it: another one may read the same text in another way.
    aiw: Cow<'a, str>,
    text: Cow<'a, str>,
    definitions: Cow<'a, Definitions>,
}

fn path(home: &Home, project: &Project) -> PathBuf {
    home.root().join("processes").join("parsed").join(format!("{:016x}.json", project.number("")))
}

/// Returns what this text says, if it is known.
pub(crate) fn read(home: &Home, project: &Project, text: &str) -> Option<Definitions> {
    if text.len() < SHORT {
        return None;
    }
    let bytes = read_unlinked(&path(home, project), MOST).ok()??;
    let parsed: Parsed<'_> = serde_json::from_slice(&bytes).ok()?;
    (parsed.aiw == env!("CARGO_PKG_VERSION") && parsed.text == text).then(|| parsed.definitions.into_owned())
}

/// Keeps what a text says. Without a home that can be written, the next command parses it again.
pub(crate) fn keep(home: &Home, project: &Project, text: &str, definitions: &Definitions) {
    if text.len() < SHORT {
        return;
    }
    let parsed =
        Parsed { aiw: env!("CARGO_PKG_VERSION").into(), text: text.into(), definitions: Cow::Borrowed(definitions) };
    let path = path(home, project);
    // A file is replaced where a link leads, and this one is nobody's but ours.
    let is_elsewhere = |path: &Path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_symlink());
    if is_elsewhere(&path) || path.parent().is_some_and(is_elsewhere) {
        return;
    }
    if let (Ok(bytes), Some(directory)) = (serde_json::to_vec(&parsed), path.parent())
        && home.make_dir(directory).is_ok()
    {
        let _ = replace(&path, &bytes, Mode::Private);
    }
}

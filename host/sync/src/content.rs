//! What is in a file: the part of it that travels, and three versions of it made one.
//!
//! Pure: bytes in, bytes out. Not for which files and keys travel: [`KeyRules`] says it.

mod difference;
mod error;
mod form;
mod home_paths;
mod keys;
mod lines;
mod merging;
mod structured;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use self::difference::{KeyChange, difference, full_context_changes};
pub use self::error::{ContentError, ContentSide};
pub use self::form::{ContentForm, KeyRules};
use self::home_paths::HomePaths;
#[cfg(test)]
use self::merging::ContentMerge;
pub use self::merging::{ContentChoice, ContentConflict, FileAction, Versions, merge};
use self::structured::StructuredFile;

/// The part of a file that travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncedContent {
    /// The file without the keys that stay. Comments stay in it.
    pub bytes: Vec<u8>,
    /// Where the user's home was replaced: keys, and places in lists.
    pub home_placeholder_paths: Vec<Vec<String>>,
}

/// Returns the part of a file that travels. The user's home at the beginning of a string value becomes `${aiw:home}`.
///
/// # Errors
///
/// The end of a sentence about the file.
pub fn to_synced_content(
    form: ContentForm,
    text: &[u8],
    rules: &KeyRules<'_>,
    home: &Path,
) -> Result<SyncedContent, String> {
    if !form.has_keys() {
        return Ok(SyncedContent { bytes: text.to_vec(), home_placeholder_paths: Vec::new() });
    }
    let mut file = StructuredFile::parse(form, text)?;
    let travels = keys::synced_subtree(&file.tree()?, rules);
    file.remove_all(&keys::unsynced_paths(&file.tree()?, rules))?;
    if structured::prune_empty(&file.tree()?) != structured::prune_empty(&travels) {
        return Err("could not be parted without loss".into());
    }
    let mut tokens = Vec::new();
    let home = HomePaths::new(home);
    file.replace_strings(|path, text| {
        let new = home.replace_home(text)?;
        if home.has_home_placeholder(&new) && tokens.last().is_none_or(|last| last != path) {
            tokens.push(path.to_vec());
        }
        Some(new)
    })?;
    tokens.sort();
    tokens.dedup();
    Ok(SyncedContent { bytes: file.text().into_bytes(), home_placeholder_paths: tokens })
}

/// Returns what a file that travelled says here: the reverse of [`travelling`]. It filters nothing; [`merge`] does.
///
/// # Errors
///
/// The end of a sentence about the file.
pub fn to_local_content(form: ContentForm, bytes: &[u8], home: &Path) -> Result<Vec<u8>, String> {
    if !form.has_keys() {
        return Ok(bytes.to_vec());
    }
    let mut file = StructuredFile::parse(form, bytes)?;
    file.expand_home(&HomePaths::new(home))?;
    Ok(file.text().into_bytes())
}

/// Returns the meaning of a file as bytes: the same for two files that differ in order, format and comments alone.
pub fn canonical_bytes(form: ContentForm, bytes: &[u8], is_set: &dyn Fn(&[String]) -> bool) -> Vec<u8> {
    let tree = form.has_keys().then(|| StructuredFile::parse(form, bytes).and_then(|file| file.tree()));
    match tree {
        Some(Ok(tree)) => keys::canonical_text(&mut Vec::new(), &tree, is_set).into_bytes(),
        _ => bytes.to_vec(),
    }
}

/// The most strings that are looked at in one file.
const MAX_STRINGS: usize = 100_000;

/// Returns all strings of a file with their paths: keys, and places in lists. A file without keys has none.
///
/// Comments travel too: a scan looks at the bytes as well.
///
/// # Errors
///
/// The end of a sentence about the file.
pub fn strings(form: ContentForm, bytes: &[u8]) -> Result<Vec<(Vec<String>, String)>, String> {
    if !form.has_keys() {
        return Ok(Vec::new());
    }
    let mut tree = StructuredFile::parse(form, bytes)?.tree()?;
    let mut all = Vec::new();
    let mut is_over = false;
    tree.replace_strings(&mut Vec::new(), &mut |path, text| {
        is_over |= all.len() == MAX_STRINGS;
        if !is_over {
            all.push((path.to_vec(), text.to_owned()));
        }
        None
    });
    if is_over { Err(format!("has more than {MAX_STRINGS} strings")) } else { Ok(all) }
}

/// Returns the keys of a file's outermost table. A file without keys has none.
///
/// # Errors
///
/// The end of a sentence about the file.
pub fn top_level_keys(form: ContentForm, bytes: &[u8]) -> Result<Vec<String>, String> {
    if !form.has_keys() {
        return Ok(Vec::new());
    }
    let tree = StructuredFile::parse(form, bytes)?.tree()?;
    Ok(tree.as_table().map(|table| table.keys().cloned().collect()).unwrap_or_default())
}

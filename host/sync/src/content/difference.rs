//! What differs between two versions of a file.

use aiw_core::{hex, pluralize};
use aiw_home::ConfigTree;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::structured::StructuredFile;
use super::{ContentForm, lines};

/// A change of a key; of the whole file where it has none.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyChange {
    /// The keys that lead to it; none for the whole file.
    pub key: Vec<String>,
    /// The old value. A whole file that is not a text is described.
    pub old: Option<Value>,
    /// The new value.
    pub new: Option<Value>,
    /// The lines in which a whole file differs, if it is a text that is not too long.
    pub diff: Option<String>,
}

/// Returns what differs between two versions of a file. One that can't be read by its form is taken as text.
pub fn difference(form: ContentForm, old: Option<&[u8]>, new: Option<&[u8]>) -> Vec<KeyChange> {
    if old == new {
        return Vec::new();
    }
    let tree = |bytes: Option<&[u8]>| match bytes {
        None => Some(None),
        Some(bytes) => StructuredFile::parse(form, bytes).and_then(|file| file.tree()).ok().map(Some),
    };
    if form.has_keys()
        && let (Some(old), Some(new)) = (tree(old), tree(new))
    {
        let mut changes = Vec::new();
        match (old, new) {
            (Some(old), Some(new)) => collect_changes(&mut Vec::new(), Some(&old), Some(&new), &mut changes),
            (old, new) => changes.push(key_change(&[], old.as_ref(), new.as_ref())),
        }
        return changes;
    }
    whole_file_change(form, old, new).into_iter().collect()
}

/// Returns what differs between two versions of a text, with every line of it.
pub fn full_context_changes(form: ContentForm, old: Option<&[u8]>, new: Option<&[u8]>) -> Vec<KeyChange> {
    changed(form, old, new, lines::full_context_diff).into_iter().collect()
}

/// The change of a whole file.
pub(super) fn whole_file_change(form: ContentForm, old: Option<&[u8]>, new: Option<&[u8]>) -> Option<KeyChange> {
    changed(form, old, new, lines::diff)
}

fn changed(
    form: ContentForm,
    old: Option<&[u8]>,
    new: Option<&[u8]>,
    diff: fn(&str, &str) -> Option<String>,
) -> Option<KeyChange> {
    let text = |bytes: Option<&[u8]>| str::from_utf8(bytes.unwrap_or_default()).ok().map(str::to_owned);
    let texts = text(old).zip(text(new)).filter(|_| form != ContentForm::Binary);
    let diff = texts.and_then(|(old, new)| diff(&old, &new));
    let described =
        |bytes: Option<&[u8]>| bytes.filter(|_| diff.is_none()).map(|bytes| Value::from(describe_bytes(bytes)));
    let (before, after) = (described(old), described(new));
    (old != new).then_some(KeyChange { key: Vec::new(), old: before, new: after, diff })
}

/// The size and digest of something that can't be shown.
pub(super) fn describe_bytes(bytes: &[u8]) -> String {
    format!("{}, sha256 {}", pluralize(bytes.len(), "byte"), hex(&Sha256::digest(bytes)))
}

/// Collects the keys in which two values differ.
pub(super) fn collect_changes(
    path: &mut Vec<String>,
    old: Option<&ConfigTree>,
    new: Option<&ConfigTree>,
    changes: &mut Vec<KeyChange>,
) {
    match (old.and_then(ConfigTree::as_table), new.and_then(ConfigTree::as_table)) {
        _ if old == new => {}
        (Some(before), Some(after)) => {
            for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
                path.push(key.clone());
                collect_changes(path, before.get(key), after.get(key), changes);
                path.pop();
            }
        }
        _ => changes.push(key_change(path, old, new)),
    }
}

fn key_change(path: &[String], old: Option<&ConfigTree>, new: Option<&ConfigTree>) -> KeyChange {
    KeyChange { key: path.to_vec(), old: old.map(ConfigTree::to_json), new: new.map(ConfigTree::to_json), diff: None }
}

//! JSON and TOML alike.

use std::cell::OnceCell;

use aiw_home::{ConfigTree, Jsonc, Toml};

use super::ContentForm;
use super::home_paths::HomePaths;

/// The longest file that is merged by its keys.
const MAX_BYTES: usize = 1 << 20;

/// How many bytes the edits of one file may read: each edit reads the file again.
const MAX_EDIT_BYTES: usize = 16 << 20;

/// A file with keys.
#[derive(Debug, Clone)]
pub(super) enum StructuredFile {
    Json(Jsonc),
    Toml(Toml),
}

/// A change of a file with keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    /// A value comes, or takes the place of another one.
    Set(Vec<String>, ConfigTree),
    /// A value goes.
    Remove(Vec<String>),
    /// Items of a set come and go.
    Items { path: Vec<String>, added: Vec<ConfigTree>, removed: Vec<ConfigTree> },
}

impl StructuredFile {
    /// Parses a file. The error is the end of a sentence about it.
    pub(super) fn parse(form: ContentForm, bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > MAX_BYTES {
            return Err(format!("is larger than {} MiB", MAX_BYTES >> 20));
        }
        if form == ContentForm::Toml {
            return Toml::parse(bytes).map(Self::Toml);
        }
        // A file that is being written, or was lost; not one whose keys were deleted.
        if bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii().is_empty() {
            return Err("is empty".into());
        }
        Jsonc::parse(bytes).map(Self::Json)
    }

    /// Parses one value, as somebody types it.
    pub(super) fn parse_value(form: ContentForm, bytes: &[u8]) -> Result<ConfigTree, String> {
        let text = str::from_utf8(bytes).map_err(|_| "is not UTF-8")?.trim();
        if text.is_empty() {
            return Err("is empty".into());
        }
        let one = |tree: ConfigTree| match tree {
            ConfigTree::Table(mut fields) if fields.len() == 1 => fields.shift_remove("value"),
            _ => None,
        };
        if form == ContentForm::Toml
            && let Some(value) =
                Toml::parse(format!("value = {text}\n").as_bytes()).ok().and_then(|toml| one(toml.tree().clone()))
        {
            return Ok(value);
        }
        let json = Jsonc::parse(format!("{{\"value\": {text}\n}}").as_bytes())?;
        one(json.tree()?).ok_or_else(|| "is not one value".into())
    }

    pub(super) fn tree(&self) -> Result<ConfigTree, String> {
        match self {
            Self::Json(json) => json.tree(),
            Self::Toml(toml) => Ok(toml.tree().clone()),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Json(json) => json.text(),
            Self::Toml(toml) => toml.text(),
        }
    }

    pub(super) fn remove_all(&mut self, paths: &[Vec<String>]) -> Result<(), String> {
        self.apply(&paths.iter().cloned().map(Edit::Remove).collect::<Vec<_>>())
    }

    /// Makes changes, all or none.
    pub(super) fn apply(&mut self, edits: &[Edit]) -> Result<(), String> {
        let (length, whole) = (self.text().len(), OnceCell::new());
        let is_too_much = |steps: &[Splice<'_>]| {
            let added: usize = steps.iter().map(Splice::size).sum();
            steps.len().saturating_mul(length + added) > MAX_EDIT_BYTES
        };
        let mut steps: Vec<Splice<'_>> = edits.iter().flat_map(Edit::steps).collect();
        if is_too_much(&steps) {
            // A list with many changes is written anew.
            let tree = self.tree()?;
            let lists = edits.iter().map(|edit| edit.whole(&tree)).collect::<Result<Vec<Edit>, _>>()?;
            steps = whole.get_or_init(|| lists).iter().flat_map(Edit::steps).collect();
        }
        if is_too_much(&steps) {
            return Err("has too many changes to be merged key by key".into());
        }
        let mut new = self.clone();
        steps.iter().try_for_each(|step| new.take(step))?;
        *self = new;
        Ok(())
    }

    fn take(&mut self, step: &Splice<'_>) -> Result<(), String> {
        match (self, step) {
            (Self::Json(json), Splice::Set(path, value)) => json.set_tree(path, value),
            (Self::Toml(toml), Splice::Set(path, value)) => toml.set_tree(path, value),
            (Self::Json(json), Splice::Remove(path)) => json.remove(path).map(drop),
            (Self::Toml(toml), Splice::Remove(path)) => toml.remove(path).map(drop),
            (Self::Json(json), Splice::Append(path, item)) => json.append_tree(path, item),
            (Self::Toml(toml), Splice::Append(path, item)) => toml.append_tree(path, item),
            (Self::Json(json), Splice::RemoveItem(path, item)) => json.remove_tree(path, item).map(drop),
            (Self::Toml(toml), Splice::RemoveItem(path, item)) => toml.remove_tree(path, item).map(drop),
        }
    }

    pub(super) fn replace_strings(&mut self, new: impl FnMut(&[String], &str) -> Option<String>) -> Result<(), String> {
        match self {
            Self::Json(json) => json.replace_strings(new),
            Self::Toml(toml) => toml.replace_strings(new),
        }
    }

    /// Puts this machine's home into values that travelled.
    pub(super) fn expand_home(&mut self, home: &HomePaths) -> Result<(), String> {
        let mut problem = None;
        self.replace_strings(|_, text| {
            home.expand_home(text).unwrap_or_else(|e| {
                problem = Some(e);
                None
            })
        })?;
        problem.map_or(Ok(()), Err)
    }
}

/// One splice.
enum Splice<'a> {
    Set(&'a [String], &'a ConfigTree),
    Remove(&'a [String]),
    Append(&'a [String], &'a ConfigTree),
    RemoveItem(&'a [String], &'a ConfigTree),
}

impl Splice<'_> {
    /// About how many bytes come.
    fn size(&self) -> usize {
        match self {
            Self::Set(_, value) | Self::Append(_, value) => value.json_text().len(),
            Self::Remove(_) | Self::RemoveItem(..) => 0,
        }
    }
}

impl Edit {
    fn steps(&self) -> Vec<Splice<'_>> {
        match self {
            Self::Set(path, value) => vec![Splice::Set(path, value)],
            Self::Remove(path) => vec![Splice::Remove(path)],
            Self::Items { path, added, removed } => {
                let removed = removed.iter().map(|item| Splice::RemoveItem(path, item));
                // First what comes: a list that is never empty keeps its form.
                added.iter().map(|item| Splice::Append(path, item)).chain(removed).collect()
            }
        }
    }

    /// Returns the change of a list as one of the whole list.
    fn whole(&self, tree: &ConfigTree) -> Result<Self, String> {
        let Self::Items { path, .. } = self else { return Ok(self.clone()) };
        let mut tree = tree.clone();
        self.apply_to(&mut tree)?;
        Ok(tree.get(path).map_or_else(|| self.clone(), |list| Self::Set(path.clone(), list.clone())))
    }

    /// Makes the change in a value.
    pub(super) fn apply_to(&self, tree: &mut ConfigTree) -> Result<(), String> {
        match self {
            Self::Set(path, value) => tree.put(path, value.clone()),
            Self::Remove(path) => {
                tree.take(path);
                Ok(())
            }
            Self::Items { path, added, removed } => {
                let old = tree.get(path).and_then(ConfigTree::as_list).unwrap_or_default();
                let gone: std::collections::HashSet<_> = removed.iter().collect();
                let kept = old.iter().filter(|item| !gone.contains(item)).chain(added).cloned().collect();
                tree.put(path, ConfigTree::List(kept))
            }
        }
    }
}

/// A value without empty tables and lists: TOML can't always tell them from missing ones, so two values are compared
/// without them after edits that were already compared one by one.
pub(super) fn prune_empty(tree: &ConfigTree) -> Option<ConfigTree> {
    match tree {
        ConfigTree::List(items) if items.is_empty() => None,
        ConfigTree::Table(fields) => {
            let kept = fields.iter().filter_map(|(key, value)| Some((key.clone(), prune_empty(value)?)));
            Some(kept.collect()).filter(|kept| *kept != ConfigTree::empty())
        }
        other => Some(other.clone()),
    }
}

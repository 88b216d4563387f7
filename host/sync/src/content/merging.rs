//! Three versions of a file made one.

use std::path::Path;

use aiw_core::QuotedText;
use aiw_home::ConfigTree;

use super::difference::describe_bytes;
use super::home_paths::HomePaths;
use super::keys::{KeyConflict, is_equivalent, merge_trees, partition_paths, synced_subtree, unsynced_paths};
use super::structured::{Edit, StructuredFile, prune_empty};
use super::{ContentError, ContentForm, ContentSide, KeyRules, lines};

/// Three versions of a file.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'a> {
    /// The versions from which both sides come, as they travelled; in each, the file may be missing. No entry: there is none, so
    /// nothing is deleted. Several: a value counts where all agree; elsewhere, what differs
    /// is a conflict.
    pub bases: &'a [Option<&'a [u8]>],
    /// The whole file on this machine, if it is there.
    pub mine: Option<&'a [u8]>,
    /// The file of a snapshot, as it travelled, if it is there.
    pub theirs: Option<&'a [u8]>,
}

/// A value that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentConflict {
    /// The keys that lead to it; none for the whole file.
    pub key: Vec<String>,
    /// The value from which both sides come.
    pub base: Option<QuotedText>,
    /// The value on this machine.
    pub mine: Option<QuotedText>,
    /// The value in the snapshot.
    pub theirs: Option<QuotedText>,
}

/// A decision on a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentChoice {
    /// The value on this machine stays.
    Mine,
    /// The value in the snapshot takes its place.
    Theirs,
    /// A JSON or TOML value, or the whole file.
    Edited(Vec<u8>),
}

/// The fate of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAction {
    /// It stays as it is.
    Unchanged,
    /// It gets these bytes.
    Write(Vec<u8>),
    /// It goes.
    Delete,
}

/// Versions of a file that were made one, but for conflicts.
#[derive(Debug)]
pub struct ContentMerge {
    form: ContentForm,
    conflicts: Vec<ContentConflict>,
    plan: MergePlan,
}

#[derive(Debug)]
enum MergePlan {
    /// One of two whole files: without a conflict, or if mine is chosen; if theirs is.
    WholeFile { kept: FileAction, theirs: FileAction },
    /// Edits of the file on this machine.
    Keys {
        /// Its text.
        mine: String,
        /// The file if all conflicts keep mine.
        kept: StructuredFile,
        /// The edit of each conflict if theirs is chosen.
        theirs: Vec<Edit>,
    },
}

/// Makes three versions of a file one. Keys that don't travel stay as they are on this machine, whatever the other
/// versions say.
///
/// # Errors
///
/// A version that can't be read, or a file that can't be edited without loss.
pub fn merge(
    form: ContentForm,
    versions: &Versions<'_>,
    rules: &KeyRules<'_>,
    home: &Path,
) -> Result<ContentMerge, ContentError> {
    if form.has_keys() {
        return Keyed::parse(form, versions, rules, home)?.merge();
    }
    let is_text = |bytes: &Option<&[u8]>| bytes.is_none_or(|bytes| str::from_utf8(bytes).is_ok());
    let all = || versions.bases.iter().chain([&versions.mine, &versions.theirs]);
    let form = if all().all(is_text) { form } else { ContentForm::Binary };
    Ok(merge_whole(form, versions))
}

impl ContentMerge {
    /// The values that both sides changed.
    pub fn conflicts(&self) -> &[ContentConflict] {
        &self.conflicts
    }

    /// The new file. Order, comments and format of what doesn't change stay.
    ///
    /// # Errors
    ///
    /// An edited value that can't be read, or a file that can't be edited without loss.
    pub fn resolve(
        &self,
        choose: &mut dyn FnMut(&ContentConflict) -> ContentChoice,
    ) -> Result<FileAction, ContentError> {
        match &self.plan {
            MergePlan::WholeFile { kept, theirs } => match self.conflicts.first().map(choose) {
                None | Some(ContentChoice::Mine) => Ok(kept.clone()),
                Some(ContentChoice::Theirs) => Ok(theirs.clone()),
                Some(ContentChoice::Edited(bytes)) => {
                    if self.form.has_keys() {
                        StructuredFile::parse(self.form, &bytes).map_err(ContentError::invalid_edit)?;
                    }
                    Ok(FileAction::Write(bytes))
                }
            },
            MergePlan::Keys { mine, kept, theirs } => {
                let mut edits = Vec::new();
                for (conflict, theirs) in self.conflicts.iter().zip(theirs) {
                    match choose(conflict) {
                        ContentChoice::Mine => {}
                        ContentChoice::Theirs => edits.push(theirs.clone()),
                        ContentChoice::Edited(bytes) => {
                            let value =
                                StructuredFile::parse_value(self.form, &bytes).map_err(ContentError::invalid_edit)?;
                            edits.push(Edit::Set(conflict.key.clone(), value));
                        }
                    }
                }
                let text = edited(kept, &edits).map_err(ContentError::unwritable)?.text();
                Ok(if text == *mine { FileAction::Unchanged } else { FileAction::Write(text.into_bytes()) })
            }
        }
    }
}

/// A file with edits, compared with what they are to make of it.
fn edited(file: &StructuredFile, edits: &[Edit]) -> Result<StructuredFile, String> {
    let mut wanted = file.tree()?;
    let mut file = file.clone();
    for edit in edits {
        edit.apply_to(&mut wanted)?;
    }
    file.apply(edits)?;
    if prune_empty(&file.tree()?) != prune_empty(&wanted) {
        return Err("could not be edited without loss".into());
    }
    Ok(file)
}

/// A value that all versions from which both sides come agree on; None if there is none.
fn agreed<T: Copy>(bases: &[T], is_same: impl Fn(T, T) -> bool) -> Option<T> {
    let first = *bases.first()?;
    bases.iter().all(|base| is_same(first, *base)).then_some(first)
}

/// Merges files without keys.
fn merge_whole(form: ContentForm, versions: &Versions<'_>) -> ContentMerge {
    let Versions { bases, mine, theirs } = *versions;
    let take = |bytes: Option<&[u8]>| bytes.map_or(FileAction::Delete, |bytes| FileAction::Write(bytes.to_vec()));
    let done = |kept: FileAction| ContentMerge {
        form,
        conflicts: Vec::new(),
        plan: MergePlan::WholeFile { kept, theirs: FileAction::Unchanged },
    };
    let base = agreed(bases, |one, other| one == other);
    if mine == theirs || base == Some(theirs) || (bases.is_empty() && theirs.is_none()) {
        return done(FileAction::Unchanged);
    }
    if base == Some(mine) || (bases.is_empty() && mine.is_none()) {
        return done(take(theirs));
    }
    let text = |bytes: Option<&'_ [u8]>| bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    if form == ContentForm::Text
        && let (Some(base), Some(mine), Some(theirs)) = (text(base.flatten()), text(mine), text(theirs))
        && let Some(merged) = lines::merge_texts(&base, &mine, &theirs)
    {
        let is_mine = merged == mine;
        return done(if is_mine { FileAction::Unchanged } else { FileAction::Write(merged.into_bytes()) });
    }
    let shown = |bytes: Option<&[u8]>| bytes.map(|bytes| shown(form, bytes));
    let conflict =
        ContentConflict { key: Vec::new(), base: shown(base.flatten()), mine: shown(mine), theirs: shown(theirs) };
    let plan = MergePlan::WholeFile { kept: FileAction::Unchanged, theirs: take(theirs) };
    ContentMerge { form, conflicts: vec![conflict], plan }
}

fn shown(form: ContentForm, bytes: &[u8]) -> QuotedText {
    match str::from_utf8(bytes) {
        Ok(text) if form != ContentForm::Binary => QuotedText::new(text),
        _ => QuotedText::new(&describe_bytes(bytes)),
    }
}

/// The versions of a file with keys.
struct Keyed<'a> {
    form: ContentForm,
    rules: &'a KeyRules<'a>,
    home: HomePaths,
    bases: Vec<Option<ConfigTree>>,
    /// The whole file, and what travels of it.
    mine: Option<(StructuredFile, ConfigTree)>,
    /// The part of the file that may arrive, and its value.
    theirs: Option<(StructuredFile, ConfigTree)>,
}

impl<'a> Keyed<'a> {
    fn parse(
        form: ContentForm,
        versions: &Versions<'_>,
        rules: &'a KeyRules<'a>,
        home: &Path,
    ) -> Result<Self, ContentError> {
        let home = HomePaths::new(home);
        // A snapshot says nothing about keys that stay, whatever is in it.
        let arrived = |bytes: &[u8]| {
            let mut file = StructuredFile::parse(form, bytes)?;
            let tree = file.tree()?;
            let travels = synced_subtree(&tree, rules);
            if travels != tree {
                file.remove_all(&unsynced_paths(&tree, rules))?;
            }
            Ok((file, travels))
        };
        let mut bases = Vec::new();
        for base in versions.bases {
            let tree = base.map(|bytes| StructuredFile::parse(form, bytes).and_then(|file| file.tree())).transpose();
            let tree = tree.map_err(ContentError::unreadable(ContentSide::Base))?;
            bases.push(tree.map(|tree| synced_subtree(&tree, rules)));
        }
        let mine = versions.mine.map(|bytes| {
            let file = StructuredFile::parse(form, bytes)?;
            let mut tree = synced_subtree(&file.tree()?, rules);
            tree.replace_strings(&mut Vec::new(), &mut |_, text| home.replace_home(text));
            Ok((file, tree))
        });
        let mine = mine.transpose().map_err(ContentError::unreadable(ContentSide::Mine))?;
        let theirs = versions.theirs.map(arrived).transpose();
        let theirs = theirs.map_err(ContentError::unreadable(ContentSide::Theirs))?;
        Ok(Self { form, rules, home, bases, mine, theirs })
    }

    fn merge(self) -> Result<ContentMerge, ContentError> {
        let bases: Vec<Option<&ConfigTree>> = self.bases.iter().map(Option::as_ref).collect();
        let base = agreed(&bases, |one, other| is_equivalent(&[], one, other, self.rules));
        let is_same = |one, other| is_equivalent(&[], one, other, self.rules);
        match (&self.mine, &self.theirs) {
            (Some((file, tree)), Some((_, theirs))) => self.merge_keys(file, tree, theirs, &bases),
            (None, None) => Ok(self.whole(FileAction::Unchanged, None)),
            (None, Some((file, tree))) => {
                let theirs = self.arrived(file)?;
                match base {
                    Some(base) if is_same(base, Some(tree)) => Ok(self.whole(FileAction::Unchanged, None)),
                    Some(None) => Ok(self.whole(theirs, None)),
                    None if bases.is_empty() => Ok(self.whole(theirs, None)),
                    _ => Ok(self.whole(FileAction::Unchanged, Some((base.flatten(), theirs)))),
                }
            }
            // Without anything that travels, it is not a file for others.
            (Some((_, tree)), None) if *tree == ConfigTree::empty() => Ok(self.whole(FileAction::Unchanged, None)),
            (Some((file, tree)), None) => match base {
                Some(None) => Ok(self.whole(FileAction::Unchanged, None)),
                None if bases.is_empty() => Ok(self.whole(FileAction::Unchanged, None)),
                base => {
                    let gone = self.without_travelling(file)?;
                    match base {
                        Some(base) if is_same(base, Some(tree)) => Ok(self.whole(gone, None)),
                        base => Ok(self.whole(FileAction::Unchanged, Some((base.flatten(), gone)))),
                    }
                }
            },
        }
    }

    /// The snapshot's file as it is on this machine.
    fn arrived(&self, file: &StructuredFile) -> Result<FileAction, ContentError> {
        let mut file = file.clone();
        file.expand_home(&self.home).map_err(ContentError::unreadable(ContentSide::Theirs))?;
        Ok(FileAction::Write(file.text().into_bytes()))
    }

    /// The rest of a file that is deleted elsewhere: the keys that stay.
    fn without_travelling(&self, file: &StructuredFile) -> Result<FileAction, ContentError> {
        let without = || {
            let mut file = file.clone();
            let (stays, travels) = partition_paths(&file.tree()?, self.rules);
            if stays.is_empty() {
                return Ok(FileAction::Delete);
            }
            file.remove_all(&travels)?;
            Ok(FileAction::Write(file.text().into_bytes()))
        };
        without().map_err(ContentError::unwritable)
    }

    /// A file that is missing on one side.
    fn whole(&self, kept: FileAction, conflict: Option<(Option<&ConfigTree>, FileAction)>) -> ContentMerge {
        let (conflicts, theirs) = match conflict {
            None => (Vec::new(), FileAction::Unchanged),
            Some((base, theirs)) => {
                let text = |side: &Option<(StructuredFile, ConfigTree)>| {
                    side.as_ref().map(|(file, _)| QuotedText::new(&file.text()))
                };
                let base = base.map(shown_value);
                let conflict =
                    ContentConflict { key: Vec::new(), base, mine: text(&self.mine), theirs: text(&self.theirs) };
                (vec![conflict], theirs)
            }
        };
        ContentMerge { form: self.form, conflicts, plan: MergePlan::WholeFile { kept, theirs } }
    }

    fn merge_keys(
        &self,
        file: &StructuredFile,
        mine: &ConfigTree,
        theirs: &ConfigTree,
        bases: &[Option<&ConfigTree>],
    ) -> Result<ContentMerge, ContentError> {
        let local = file.tree().map_err(ContentError::unwritable)?;
        let merged = merge_trees(bases, mine, theirs, &local, self.rules);
        let here = |edit: &Edit| self.edit_here(edit, mine, &local);
        let edits: Result<Vec<Edit>, String> = merged.edits.iter().map(here).collect();
        let edits = edits.map_err(ContentError::unreadable(ContentSide::Theirs))?;
        let kept = edited(file, &edits).map_err(ContentError::unwritable)?;
        let (mut conflicts, mut choices) = (Vec::new(), Vec::new());
        for clash in &merged.conflicts {
            let edit = match &clash.theirs {
                Some(value) => Edit::Set(clash.path.clone(), value.clone()),
                None => Edit::Remove(clash.path.clone()),
            };
            choices.push(here(&edit).map_err(ContentError::unreadable(ContentSide::Theirs))?);
            conflicts.push(conflict(clash));
        }
        let plan = MergePlan::Keys { mine: file.text(), kept, theirs: choices };
        Ok(ContentMerge { form: self.form, conflicts, plan })
    }

    /// An edit with values as they are on this machine.
    fn edit_here(&self, edit: &Edit, mine: &ConfigTree, local: &ConfigTree) -> Result<Edit, String> {
        let here = |value: &ConfigTree| {
            let (mut value, mut problem) = (value.clone(), None);
            value.replace_strings(&mut Vec::new(), &mut |_, text| {
                self.home.expand_home(text).unwrap_or_else(|e| {
                    problem = Some(e);
                    None
                })
            });
            problem.map_or(Ok(value), Err)
        };
        Ok(match edit {
            Edit::Set(path, value) => Edit::Set(path.clone(), here(value)?),
            Edit::Remove(path) => Edit::Remove(path.clone()),
            Edit::Items { path, added, removed } => {
                // Each item as it is in the file.
                let travels = mine.get(path).and_then(ConfigTree::as_list).unwrap_or_default();
                let here_too = local.get(path).and_then(ConfigTree::as_list).unwrap_or_default();
                let gone: std::collections::HashSet<&ConfigTree> = removed.iter().collect();
                let pairs = travels.iter().zip(here_too).filter(|(item, _)| gone.contains(item));
                let added: Result<Vec<ConfigTree>, String> = added.iter().map(here).collect();
                Edit::Items {
                    path: path.clone(),
                    added: added?,
                    removed: pairs.map(|(_, item)| item.clone()).collect(),
                }
            }
        })
    }
}

fn conflict(clash: &KeyConflict) -> ContentConflict {
    let shown = |value: &Option<ConfigTree>| value.as_ref().map(shown_value);
    ContentConflict {
        key: clash.path.clone(),
        base: shown(&clash.base),
        mine: shown(&clash.mine),
        theirs: shown(&clash.theirs),
    }
}

fn shown_value(value: &ConfigTree) -> QuotedText {
    QuotedText::new(&serde_json::to_string_pretty(&value.to_json()).unwrap_or_default())
}

//! Three versions of a file made one.

use std::path::Path;

use aiw_core::QuotedText;
use aiw_home::ConfigTree;

use super::difference::measured;
use super::home_paths::HomePaths;
use super::keys::{KeyConflict, merged, parted, same, staying, travelling};
use super::structured::{Edit, Structured, pruned};
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
pub enum Resolved {
    /// It stays as it is.
    Unchanged,
    /// It gets these bytes.
    Write(Vec<u8>),
    /// It goes.
    Delete,
}

/// Versions of a file that were made one, but for conflicts.
#[derive(Debug)]
pub struct Merging {
    form: ContentForm,
    conflicts: Vec<ContentConflict>,
    plan: MergePlan,
}

#[derive(Debug)]
enum MergePlan {
    /// One of two whole files: without a conflict, or if mine is chosen; if theirs is.
    Whole { kept: Resolved, theirs: Resolved },
    /// Edits of the file on this machine.
    Keys {
        /// Its text.
        mine: String,
        /// The file if all conflicts keep mine.
        kept: Structured,
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
) -> Result<Merging, ContentError> {
    if form.has_keys() {
        return Keyed::parse(form, versions, rules, home)?.merge();
    }
    let is_text = |bytes: &Option<&[u8]>| bytes.is_none_or(|bytes| str::from_utf8(bytes).is_ok());
    let all = || versions.bases.iter().chain([&versions.mine, &versions.theirs]);
    let form = if all().all(is_text) { form } else { ContentForm::Binary };
    Ok(merge_whole(form, versions))
}

impl Merging {
    /// The values that both sides changed.
    pub fn conflicts(&self) -> &[ContentConflict] {
        &self.conflicts
    }

    /// The new file. Order, comments and format of what doesn't change stay.
    ///
    /// # Errors
    ///
    /// An edited value that can't be read, or a file that can't be edited without loss.
    pub fn resolve(&self, choose: &mut dyn FnMut(&ContentConflict) -> ContentChoice) -> Result<Resolved, ContentError> {
        match &self.plan {
            MergePlan::Whole { kept, theirs } => match self.conflicts.first().map(choose) {
                None | Some(ContentChoice::Mine) => Ok(kept.clone()),
                Some(ContentChoice::Theirs) => Ok(theirs.clone()),
                Some(ContentChoice::Edited(bytes)) => {
                    if self.form.has_keys() {
                        Structured::parse(self.form, &bytes).map_err(ContentError::edited)?;
                    }
                    Ok(Resolved::Write(bytes))
                }
            },
            MergePlan::Keys { mine, kept, theirs } => {
                let mut edits = Vec::new();
                for (conflict, theirs) in self.conflicts.iter().zip(theirs) {
                    match choose(conflict) {
                        ContentChoice::Mine => {}
                        ContentChoice::Theirs => edits.push(theirs.clone()),
                        ContentChoice::Edited(bytes) => {
                            let value = Structured::parse_value(self.form, &bytes).map_err(ContentError::edited)?;
                            edits.push(Edit::Set(conflict.key.clone(), value));
                        }
                    }
                }
                let text = edited(kept, &edits).map_err(ContentError::unwritable)?.text();
                Ok(if text == *mine { Resolved::Unchanged } else { Resolved::Write(text.into_bytes()) })
            }
        }
    }
}

/// A file with edits, compared with what they are to make of it.
fn edited(file: &Structured, edits: &[Edit]) -> Result<Structured, String> {
    let mut wanted = file.tree()?;
    let mut file = file.clone();
    for edit in edits {
        edit.apply_to(&mut wanted)?;
    }
    file.apply(edits)?;
    if pruned(&file.tree()?) != pruned(&wanted) {
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
fn merge_whole(form: ContentForm, versions: &Versions<'_>) -> Merging {
    let Versions { bases, mine, theirs } = *versions;
    let take = |bytes: Option<&[u8]>| bytes.map_or(Resolved::Delete, |bytes| Resolved::Write(bytes.to_vec()));
    let done = |kept: Resolved| Merging {
        form,
        conflicts: Vec::new(),
        plan: MergePlan::Whole { kept, theirs: Resolved::Unchanged },
    };
    let base = agreed(bases, |one, other| one == other);
    if mine == theirs || base == Some(theirs) || (bases.is_empty() && theirs.is_none()) {
        return done(Resolved::Unchanged);
    }
    if base == Some(mine) || (bases.is_empty() && mine.is_none()) {
        return done(take(theirs));
    }
    let text = |bytes: Option<&'_ [u8]>| bytes.and_then(|bytes| String::from_utf8(bytes.to_vec()).ok());
    if form == ContentForm::Text
        && let (Some(base), Some(mine), Some(theirs)) = (text(base.flatten()), text(mine), text(theirs))
        && let Some(merged) = lines::merged(&base, &mine, &theirs)
    {
        let is_mine = merged == mine;
        return done(if is_mine { Resolved::Unchanged } else { Resolved::Write(merged.into_bytes()) });
    }
    let shown = |bytes: Option<&[u8]>| bytes.map(|bytes| shown(form, bytes));
    let conflict =
        ContentConflict { key: Vec::new(), base: shown(base.flatten()), mine: shown(mine), theirs: shown(theirs) };
    let plan = MergePlan::Whole { kept: Resolved::Unchanged, theirs: take(theirs) };
    Merging { form, conflicts: vec![conflict], plan }
}

fn shown(form: ContentForm, bytes: &[u8]) -> QuotedText {
    match str::from_utf8(bytes) {
        Ok(text) if form != ContentForm::Binary => QuotedText::new(text),
        _ => QuotedText::new(&measured(bytes)),
    }
}

/// The versions of a file with keys.
struct Keyed<'a> {
    form: ContentForm,
    rules: &'a KeyRules<'a>,
    home: HomePaths,
    bases: Vec<Option<ConfigTree>>,
    /// The whole file, and what travels of it.
    mine: Option<(Structured, ConfigTree)>,
    /// The part of the file that may arrive, and its value.
    theirs: Option<(Structured, ConfigTree)>,
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
            let mut file = Structured::parse(form, bytes)?;
            let tree = file.tree()?;
            let travels = travelling(&tree, rules);
            if travels != tree {
                file.remove_all(&staying(&tree, rules))?;
            }
            Ok((file, travels))
        };
        let mut bases = Vec::new();
        for base in versions.bases {
            let tree = base.map(|bytes| Structured::parse(form, bytes).and_then(|file| file.tree())).transpose();
            let tree = tree.map_err(ContentError::unreadable(ContentSide::Base))?;
            bases.push(tree.map(|tree| travelling(&tree, rules)));
        }
        let mine = versions.mine.map(|bytes| {
            let file = Structured::parse(form, bytes)?;
            let mut tree = travelling(&file.tree()?, rules);
            tree.replace_strings(&mut Vec::new(), &mut |_, text| home.leave(text));
            Ok((file, tree))
        });
        let mine = mine.transpose().map_err(ContentError::unreadable(ContentSide::Mine))?;
        let theirs = versions.theirs.map(arrived).transpose();
        let theirs = theirs.map_err(ContentError::unreadable(ContentSide::Theirs))?;
        Ok(Self { form, rules, home, bases, mine, theirs })
    }

    fn merge(self) -> Result<Merging, ContentError> {
        let bases: Vec<Option<&ConfigTree>> = self.bases.iter().map(Option::as_ref).collect();
        let base = agreed(&bases, |one, other| same(&[], one, other, self.rules));
        let is_same = |one, other| same(&[], one, other, self.rules);
        match (&self.mine, &self.theirs) {
            (Some((file, tree)), Some((_, theirs))) => self.merge_keys(file, tree, theirs, &bases),
            (None, None) => Ok(self.whole(Resolved::Unchanged, None)),
            (None, Some((file, tree))) => {
                let theirs = self.arrived(file)?;
                match base {
                    Some(base) if is_same(base, Some(tree)) => Ok(self.whole(Resolved::Unchanged, None)),
                    Some(None) => Ok(self.whole(theirs, None)),
                    None if bases.is_empty() => Ok(self.whole(theirs, None)),
                    _ => Ok(self.whole(Resolved::Unchanged, Some((base.flatten(), theirs)))),
                }
            }
            // Without anything that travels, it is not a file for others.
            (Some((_, tree)), None) if *tree == ConfigTree::empty() => Ok(self.whole(Resolved::Unchanged, None)),
            (Some((file, tree)), None) => match base {
                Some(None) => Ok(self.whole(Resolved::Unchanged, None)),
                None if bases.is_empty() => Ok(self.whole(Resolved::Unchanged, None)),
                base => {
                    let gone = self.without_travelling(file)?;
                    match base {
                        Some(base) if is_same(base, Some(tree)) => Ok(self.whole(gone, None)),
                        base => Ok(self.whole(Resolved::Unchanged, Some((base.flatten(), gone)))),
                    }
                }
            },
        }
    }

    /// The snapshot's file as it is on this machine.
    fn arrived(&self, file: &Structured) -> Result<Resolved, ContentError> {
        let mut file = file.clone();
        file.arrive(&self.home).map_err(ContentError::unreadable(ContentSide::Theirs))?;
        Ok(Resolved::Write(file.text().into_bytes()))
    }

    /// The rest of a file that is deleted elsewhere: the keys that stay.
    fn without_travelling(&self, file: &Structured) -> Result<Resolved, ContentError> {
        let without = || {
            let mut file = file.clone();
            let (stays, travels) = parted(&file.tree()?, self.rules);
            if stays.is_empty() {
                return Ok(Resolved::Delete);
            }
            file.remove_all(&travels)?;
            Ok(Resolved::Write(file.text().into_bytes()))
        };
        without().map_err(ContentError::unwritable)
    }

    /// A file that is missing on one side.
    fn whole(&self, kept: Resolved, conflict: Option<(Option<&ConfigTree>, Resolved)>) -> Merging {
        let (conflicts, theirs) = match conflict {
            None => (Vec::new(), Resolved::Unchanged),
            Some((base, theirs)) => {
                let text = |side: &Option<(Structured, ConfigTree)>| {
                    side.as_ref().map(|(file, _)| QuotedText::new(&file.text()))
                };
                let base = base.map(shown_value);
                let conflict =
                    ContentConflict { key: Vec::new(), base, mine: text(&self.mine), theirs: text(&self.theirs) };
                (vec![conflict], theirs)
            }
        };
        Merging { form: self.form, conflicts, plan: MergePlan::Whole { kept, theirs } }
    }

    fn merge_keys(
        &self,
        file: &Structured,
        mine: &ConfigTree,
        theirs: &ConfigTree,
        bases: &[Option<&ConfigTree>],
    ) -> Result<Merging, ContentError> {
        let local = file.tree().map_err(ContentError::unwritable)?;
        let merged = merged(bases, mine, theirs, &local, self.rules);
        let here = |edit: &Edit| self.edit_here(edit, mine, &local);
        let edits: Result<Vec<Edit>, String> = merged.edits.iter().map(here).collect();
        let edits = edits.map_err(ContentError::unreadable(ContentSide::Theirs))?;
        let kept = edited(file, &edits).map_err(ContentError::unwritable)?;
        let (mut conflicts, mut choices) = (Vec::new(), Vec::new());
        for clash in &merged.clashes {
            let edit = match &clash.theirs {
                Some(value) => Edit::Set(clash.path.clone(), value.clone()),
                None => Edit::Remove(clash.path.clone()),
            };
            choices.push(here(&edit).map_err(ContentError::unreadable(ContentSide::Theirs))?);
            conflicts.push(conflict(clash));
        }
        let plan = MergePlan::Keys { mine: file.text(), kept, theirs: choices };
        Ok(Merging { form: self.form, conflicts, plan })
    }

    /// An edit with values as they are on this machine.
    fn edit_here(&self, edit: &Edit, mine: &ConfigTree, local: &ConfigTree) -> Result<Edit, String> {
        let here = |value: &ConfigTree| {
            let (mut value, mut problem) = (value.clone(), None);
            value.replace_strings(&mut Vec::new(), &mut |_, text| {
                self.home.arrive(text).unwrap_or_else(|e| {
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

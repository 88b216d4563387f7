//! Three values made one, key by key.

use std::collections::HashSet;

use aiw_home::ConfigTree;

use super::KeyRules;
use super::structured::Edit;

/// The part of a value that travels.
pub(super) fn synced_subtree(tree: &ConfigTree, rules: &KeyRules<'_>) -> ConfigTree {
    travelling_at(&mut Vec::new(), tree, rules).unwrap_or_else(ConfigTree::empty)
}

fn travelling_at(path: &mut Vec<String>, tree: &ConfigTree, rules: &KeyRules<'_>) -> Option<ConfigTree> {
    match ((rules.is_synced)(path), tree) {
        (Some(true), tree) => Some(tree.clone()),
        (None, ConfigTree::Table(fields)) => {
            let mut kept = Vec::new();
            for (key, value) in fields {
                path.push(key.clone());
                if let Some(value) = travelling_at(path, value, rules) {
                    kept.push((key.clone(), value));
                }
                path.pop();
            }
            (!kept.is_empty()).then(|| kept.into_iter().collect())
        }
        _ => None,
    }
}

/// The paths of all that stays, each with all beneath.
pub(super) fn unsynced_paths(tree: &ConfigTree, rules: &KeyRules<'_>) -> Vec<Vec<String>> {
    partition_paths(tree, rules).0
}

/// The paths of all that stays and of all that travels, each with all beneath.
pub(super) fn partition_paths(tree: &ConfigTree, rules: &KeyRules<'_>) -> (Vec<Vec<String>>, Vec<Vec<String>>) {
    let mut parts = (Vec::new(), Vec::new());
    let Some(fields) = tree.as_table() else { return parts };
    let root = (rules.is_synced)(&[]);
    for (key, value) in fields {
        let mut path = vec![key.clone()];
        match root {
            None => part(&mut path, value, rules, &mut parts),
            Some(true) => parts.1.push(path),
            Some(false) => parts.0.push(path),
        }
    }
    parts
}

fn part(
    path: &mut Vec<String>,
    tree: &ConfigTree,
    rules: &KeyRules<'_>,
    parts: &mut (Vec<Vec<String>>, Vec<Vec<String>>),
) {
    match ((rules.is_synced)(path), tree) {
        (Some(true), _) => parts.1.push(path.clone()),
        (None, ConfigTree::Table(fields)) if travelling_at(path, tree, rules).is_some() => {
            for (key, value) in fields {
                path.push(key.clone());
                part(path, value, rules, parts);
                path.pop();
            }
        }
        _ => parts.0.push(path.clone()),
    }
}

/// A value that both sides changed.
#[derive(Debug, Clone)]
pub(super) struct KeyConflict {
    pub(super) path: Vec<String>,
    pub(super) base: Option<ConfigTree>,
    pub(super) mine: Option<ConfigTree>,
    pub(super) theirs: Option<ConfigTree>,
}

/// The result of three values, all as they travel.
#[derive(Debug, Default)]
pub(super) struct MergeResult {
    /// The changes of mine.
    pub(super) edits: Vec<Edit>,
    /// The values that both sides changed.
    pub(super) conflicts: Vec<KeyConflict>,
}

type Maybe<'a> = Option<&'a ConfigTree>;

/// Merges values that travel. Without a base, nothing is deleted; of several, what all say counts, and where they differ, nobody
/// knows which side has changed what. `local` is the whole value of this machine.
pub(super) fn merge_trees(
    bases: &[Maybe<'_>],
    mine: &ConfigTree,
    theirs: &ConfigTree,
    local: &ConfigTree,
    rules: &KeyRules<'_>,
) -> MergeResult {
    let mut merger = Merger { rules, local, merged: MergeResult::default() };
    merger.visit(&mut Vec::new(), bases, Some(mine), Some(theirs));
    merger.merged
}

struct Merger<'a> {
    rules: &'a KeyRules<'a>,
    local: &'a ConfigTree,
    merged: MergeResult,
}

impl Merger<'_> {
    fn visit(&mut self, path: &mut Vec<String>, bases: &[Maybe<'_>], mine: Maybe<'_>, theirs: Maybe<'_>) {
        if mine == theirs {
            return;
        }
        let empty = ConfigTree::empty();
        let is_open = (self.rules.is_synced)(path).is_none();
        // Where only some of the keys beneath travel, no table and an empty one are the same.
        let table = |value: Maybe<'_>| value.map_or(is_open, |value| value.as_table().is_some());
        let in_the_way = self.local.get(path).filter(|local| is_open && local.as_table().is_none());
        if let Some(local) = in_the_way {
            // A value that stays, where others have a table.
            let is_unchanged =
                bases.first().is_some_and(|_| bases.iter().all(|base| is_equivalent(path, *base, theirs, self.rules)));
            if theirs.is_some() && !is_unchanged {
                self.clash(path, None, Some(local), theirs);
            }
            return;
        }
        if table(mine) && table(theirs) {
            self.visit_keys(path, bases, mine.unwrap_or(&empty), theirs.unwrap_or(&empty));
            return;
        }
        if let (Some(ConfigTree::List(mine)), Some(ConfigTree::List(theirs))) = (mine, theirs)
            && (self.rules.is_set)(path)
        {
            self.visit_items(path, bases, mine, theirs);
            return;
        }
        let first = bases.first().copied();
        match first.filter(|first| bases.iter().all(|base| is_equivalent(path, *first, *base, self.rules))) {
            Some(base) if is_equivalent(path, base, theirs, self.rules) => {}
            Some(base) if is_equivalent(path, base, mine, self.rules) => self.take(path, theirs),
            None if bases.is_empty() && mine.is_none() => self.take(path, theirs),
            None if bases.is_empty() && theirs.is_none() => {}
            base => self.clash(path, base.flatten(), mine, theirs),
        }
    }

    fn clash(&mut self, path: &[String], base: Maybe<'_>, mine: Maybe<'_>, theirs: Maybe<'_>) {
        let [base, mine, theirs] = [base, mine, theirs].map(|value| value.cloned());
        self.merged.conflicts.push(KeyConflict { path: path.to_vec(), base, mine, theirs });
    }

    fn take(&mut self, path: &[String], theirs: Maybe<'_>) {
        let edit =
            theirs.map_or_else(|| Edit::Remove(path.to_vec()), |theirs| Edit::Set(path.to_vec(), theirs.clone()));
        self.merged.edits.push(edit);
    }

    fn visit_keys(&mut self, path: &mut Vec<String>, bases: &[Maybe<'_>], mine: &ConfigTree, theirs: &ConfigTree) {
        let (Some(mine), Some(theirs)) = (mine.as_table(), theirs.as_table()) else { return };
        for key in mine.keys().chain(theirs.keys().filter(|key| !mine.contains_key(*key))) {
            let bases: Vec<Maybe<'_>> =
                bases.iter().map(|base| base.and_then(|base| base.as_table()?.get(key))).collect();
            path.push(key.clone());
            self.visit(path, &bases, mine.get(key), theirs.get(key));
            path.pop();
        }
    }

    fn visit_items(&mut self, path: &[String], bases: &[Maybe<'_>], mine: &[ConfigTree], theirs: &[ConfigTree]) {
        let set = |items: &[ConfigTree]| items.iter().cloned().collect::<HashSet<ConfigTree>>();
        let bases: Vec<HashSet<ConfigTree>> =
            bases.iter().map(|base| set(base.and_then(ConfigTree::as_list).unwrap_or_default())).collect();
        let in_base = |item: &ConfigTree| !bases.is_empty() && bases.iter().all(|base| base.contains(item));
        let (here, there) = (set(mine), set(theirs));
        // Added on one side or removed on the other: nobody knows.
        let is_open = |item: &ConfigTree| bases.iter().any(|base| base.contains(item)) && !in_base(item);
        if here.symmetric_difference(&there).any(is_open) {
            let list = |items: &[ConfigTree]| ConfigTree::List(items.to_vec());
            self.clash(path, None, Some(&list(mine)), Some(&list(theirs)));
            return;
        }
        let mut seen = HashSet::new();
        let mut added = theirs.to_vec();
        added.retain(|item| !here.contains(item) && !in_base(item) && seen.insert(item.clone()));
        let mut removed = mine.to_vec();
        removed.retain(|item| !there.contains(item) && in_base(item));
        if !added.is_empty() || !removed.is_empty() {
            self.merged.edits.push(Edit::Items { path: path.to_vec(), added, removed });
        }
    }
}

/// Returns a value as text, in one order.
pub(super) fn canonical_text(path: &mut Vec<String>, value: &ConfigTree, is_set: &dyn Fn(&[String]) -> bool) -> String {
    match value {
        ConfigTree::Table(table) => {
            let mut keys: Vec<&String> = table.keys().collect();
            keys.sort();
            let mut text = String::from("{");
            for key in keys {
                path.push(key.clone());
                let name = ConfigTree::Text(key.clone()).json_text();
                text.push_str(&format!("{name}:{},", canonical_text(path, &table[key], is_set)));
                path.pop();
            }
            text + "}"
        }
        ConfigTree::List(items) => {
            let is_set = is_set(path);
            let mut texts: Vec<String> = items.iter().map(|item| canonical_text(path, item, &|_| false)).collect();
            if is_set {
                texts.sort();
                texts.dedup();
            }
            format!("[{}]", texts.join(","))
        }
        ConfigTree::Time(text) => format!("time {text}"),
        other => other.json_text(),
    }
}

/// Whether two values are the same; sets are, in any order.
pub(super) fn is_equivalent(path: &[String], one: Maybe<'_>, other: Maybe<'_>, rules: &KeyRules<'_>) -> bool {
    if one == other {
        return true;
    }
    match (one, other) {
        (Some(ConfigTree::Table(one)), Some(ConfigTree::Table(other))) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| {
                    let inner: Vec<String> = path.iter().chain([key]).cloned().collect();
                    other.get(key).is_some_and(|other| is_equivalent(&inner, Some(value), Some(other), rules))
                })
        }
        (Some(ConfigTree::List(one)), Some(ConfigTree::List(other))) if (rules.is_set)(path) => {
            one.iter().collect::<HashSet<_>>() == other.iter().collect::<HashSet<_>>()
        }
        _ => false,
    }
}

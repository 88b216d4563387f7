//! What comes in from other machines: for each file, what is here, what is there, and what both had before, made one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::content::{ContentChoice, ContentConflict, KeyChange, KeyRules, Resolved, Versions, merge};
use crate::error::SyncError;
use crate::gather::{Gathered, key_travels};
use crate::graph::{Speakers, common, joined, speaks};
use crate::object::ObjectName;
use crate::place::{Roots, SyncPath};
use crate::snapshot::{Clock, FileContent, Snapshot, is_in};
use crate::state::{Held, HeldKey, MergedState};
use crate::store::Store;
use crate::travel::{Scope, TravelEffect, TravelRow};

/// An answer to a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Mine stays, and the next pull asks again.
    Skip,
    /// Mine stays.
    Mine,
    /// The other machine's is taken.
    Theirs,
    /// Another value takes the place of both.
    Edited(Vec<u8>),
}

/// The place of a conflict: a file, a key of it (none: all of it), and the snapshot that has another value.
pub(crate) type ConflictPlace = (SyncPath, Vec<String>, String);

/// A conflict.
#[derive(Debug, Clone)]
pub(crate) struct FoundConflict {
    pub(crate) place: ConflictPlace,
    pub(crate) conflict: ContentConflict,
    /// The machine that has the other value, and when it wrote it by its clock.
    pub(crate) from: String,
    pub(crate) answer: Answer,
    /// The other machine's version of the whole file.
    pub(crate) theirs: Option<Vec<u8>>,
}

/// A file that changes.
#[derive(Debug, Clone)]
pub(crate) struct FileChange {
    pub(crate) path: SyncPath,
    pub(crate) old: Option<FileContent>,
    pub(crate) new: Option<FileContent>,
    /// Its changes.
    pub(crate) changes: Vec<KeyChange>,
    /// The most that any of it does.
    pub(crate) effect: TravelEffect,
}

/// The work of a pull.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    pub(crate) files: Vec<FileChange>,
    pub(crate) conflicts: Vec<FoundConflict>,
    /// Files that can't be merged, and why.
    pub(crate) unreadable: Vec<(SyncPath, String)>,
    /// Keys that are not decided once this is applied.
    pub(crate) held: Held,
    /// Files of others that don't travel to this machine.
    pub(crate) ignored: usize,
}

impl Incoming {
    /// Returns how many files it deletes.
    pub(crate) fn deleted(&self) -> usize {
        self.files.iter().filter(|file| file.new.is_none()).count()
    }
}

impl Incoming {
    fn add(
        &mut self,
        row: &TravelRow,
        path: &SyncPath,
        old: Option<FileContent>,
        new: Option<FileContent>,
        changes: Vec<KeyChange>,
    ) {
        if old != new {
            let effect = effect(row, new.as_ref(), &changes);
            self.files.push(FileChange { path: path.clone(), old, new, changes, effect });
        }
    }
}

/// The sides of a merge, and its rules.
pub(crate) struct Merger<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) roots: &'a Roots,
    pub(crate) mine: &'a Gathered,
    /// How far they are merged.
    pub(crate) state: &'a MergedState,
}

/// One way through a file: what is merged there, and the keys that are looked at.
struct Pass<'a> {
    merged: Clock,
    only: Option<&'a [String]>,
}

impl Merger<'_> {
    /// Reads the snapshots that the merge needs: what each head has in common with this machine, and what speaks for those that
    /// say nothing of a path.
    pub(crate) async fn load(&self, store: &mut Store<'_>) -> Result<(), SyncError> {
        for _ in 0..10_000 {
            let mut missing: BTreeSet<ObjectName> = BTreeSet::new();
            for path in self.paths(store) {
                for pass in self.passes(&path) {
                    self.sources(store, &path, &pass.merged, &mut missing);
                }
            }
            let before = store.read.len();
            let missing: Vec<ObjectName> = missing.into_iter().collect();
            store.load(&missing).await?;
            if store.read.len() == before {
                return Ok(());
            }
        }
        Err(SyncError::Doubt("the snapshots at the far end name each other without end".into()))
    }

    /// Returns all paths that anybody has. One path of each kind would be enough to load, but they are few.
    fn paths(&self, store: &Store<'_>) -> BTreeSet<SyncPath> {
        let theirs = store.read.values().flat_map(|snapshot| snapshot.manifest.files.keys());
        theirs.chain(self.mine.local.keys()).filter(|path| self.speaks(path)).cloned().collect()
    }

    /// Whether this machine says something of a path, and takes it.
    fn speaks(&self, path: &SyncPath) -> bool {
        self.scope.travels(path).is_some() && speaks(&self.mine.covers, &self.mine.silent, path)
    }

    /// Returns the ways through a file: one for each key that was not decided, and one for the rest.
    fn passes(&self, path: &SyncPath) -> Vec<Pass<'_>> {
        let held = self.state.held.get(path).map(Vec::as_slice).unwrap_or_default();
        let mut passes: Vec<Pass<'_>> =
            held.iter().map(|held| Pass { merged: held.merged.clone(), only: Some(&held.key) }).collect();
        if held.iter().all(|held| !held.key.is_empty()) {
            passes.push(Pass { merged: self.state.merged_into(path), only: None });
        }
        passes
    }

    /// Returns the snapshots that have something new of a path, each with those that have what was common before.
    fn sources<'s>(
        &self,
        store: &'s Store<'_>,
        path: &SyncPath,
        merged: &Clock,
        missing: &mut BTreeSet<ObjectName>,
    ) -> Vec<(&'s Snapshot, Vec<&'s Snapshot>)> {
        let speakers = Speakers { read: &store.read };
        let mut clock = merged.clone();
        let speak = |from: &[&'s Snapshot], missing: &mut BTreeSet<ObjectName>| {
            let (found, unread) = speakers.of(path, from);
            missing.extend(unread.iter().filter_map(|name| ObjectName::parse(name)));
            found
        };
        let mut sources = Vec::new();
        for theirs in speak(&store.heads(), missing) {
            if is_in(&theirs.name, &clock) {
                continue;
            }
            let names = common(&store.listing, &clock, &theirs.clock());
            let mut bases = Vec::new();
            for name in names {
                match store.read.get(&name.to_string()) {
                    Some(base) => bases.push(base),
                    None => drop(missing.insert(name.clone())),
                }
            }
            sources.push((theirs, speak(&bases, missing)));
            clock = joined(&clock, &theirs.clock());
        }
        sources
    }

    /// Merges everything. A conflict that has no answer is skipped.
    pub(crate) fn merge(&self, store: &Store<'_>, answers: &BTreeMap<ConflictPlace, Answer>) -> Incoming {
        let mut incoming = Incoming::default();
        let heads = store.heads();
        let foreign = heads.iter().flat_map(|head| head.manifest.files.keys());
        incoming.ignored = foreign.filter(|path| !self.speaks(path)).count();
        for path in self.paths(store) {
            if let Some(row) = self.scope.travels(&path) {
                self.file(store, row, path.clone(), answers, &mut incoming);
            }
        }
        incoming
    }

    /// Returns what makes the files here those of a snapshot: it has changed everything, and nothing has changed here.
    pub(crate) fn towards(&self, snapshot: &Snapshot) -> Incoming {
        let mut incoming = Incoming::default();
        let paths: BTreeSet<&SyncPath> = snapshot.manifest.files.keys().chain(self.mine.local.keys()).collect();
        for path in paths.into_iter().filter(|path| self.speaks(path) && crate::graph::speaks_of(snapshot, path)) {
            let Some(row) = self.scope.travels(path) else { continue };
            let old = self.mine.local.get(path).cloned();
            let base = self.mine.files.get(path).map(|file| (file.bytes.as_slice(), file.executable));
            let keys = |key: &[String]| key_travels(row, &self.mine.stays, key);
            match self.version(row, path, old.as_ref(), snapshot, &[base], &keys, &BTreeMap::new()) {
                Ok(merged) => incoming.add(row, path, old, merged.new, merged.changes),
                Err(problem) => incoming.unreadable.push((path.clone(), problem)),
            }
        }
        incoming
    }

    fn file(
        &self,
        store: &Store<'_>,
        row: &TravelRow,
        path: SyncPath,
        answers: &BTreeMap<ConflictPlace, Answer>,
        incoming: &mut Incoming,
    ) {
        let old = self.mine.local.get(&path).cloned();
        let (mut new, mut changes, mut held) = (old.clone(), Vec::new(), Vec::new());
        let (mut conflicts, mut problem) = (Vec::new(), None);
        for pass in self.passes(&path) {
            for (theirs, bases) in self.sources(store, &path, &pass.merged, &mut BTreeSet::new()) {
                let bases: Vec<_> = bases.iter().map(|base| base.file(&path)).collect();
                let keys = |key: &[String]| self.key_travels(row, &path, &pass, key);
                match self.version(row, &path, new.as_ref(), theirs, &bases, &keys, answers) {
                    Ok(merged) => {
                        new = merged.new;
                        changes.extend(merged.changes);
                        let skipped = merged.conflicts.iter().filter(|found| found.answer == Answer::Skip);
                        held.extend(
                            skipped.map(|found| HeldKey { key: found.place.1.clone(), merged: pass.merged.clone() }),
                        );
                        conflicts.extend(merged.conflicts);
                    }
                    Err(why) => {
                        let key = pass.only.map(<[String]>::to_vec).unwrap_or_default();
                        held.push(HeldKey { key, merged: pass.merged.clone() });
                        problem = Some(why);
                    }
                }
            }
        }
        held.dedup();
        if let Some(problem) = problem {
            // Half of a file is not merged: all of it waits as it did.
            incoming.unreadable.push((path.clone(), problem));
            held = self.state.held.get(&path).cloned().unwrap_or_else(|| {
                self.passes(&path).into_iter().map(|pass| HeldKey { key: Vec::new(), merged: pass.merged }).collect()
            });
            (new, changes) = (old.clone(), Vec::new());
        } else {
            incoming.conflicts.extend(conflicts);
        }
        if !held.is_empty() {
            incoming.held.insert(path.clone(), held);
        }
        incoming.add(row, &path, old, new, changes);
    }

    /// Whether a key is looked at in one way through a file.
    fn key_travels(&self, row: &TravelRow, path: &SyncPath, pass: &Pass<'_>, key: &[String]) -> Option<bool> {
        let travels = key_travels(row, &self.mine.stays, key);
        match pass.only {
            Some(only) if !only.is_empty() => match (key.starts_with(only), only.starts_with(key)) {
                (true, _) => travels,
                (false, true) => travels.filter(|travels| !travels),
                (false, false) => Some(false),
            },
            Some(_) => travels,
            None => {
                let held = self.state.held.get(path).map(Vec::as_slice).unwrap_or_default();
                if held.iter().any(|held| key.starts_with(&held.key)) {
                    return Some(false);
                }
                let is_above = held.iter().any(|held| held.key.starts_with(key));
                travels.filter(|travels| !(*travels && is_above))
            }
        }
    }

    /// Makes one of what is here and one snapshot's version.
    #[expect(clippy::too_many_arguments, reason = "a merge has three sides, rules and answers")]
    fn version(
        &self,
        row: &TravelRow,
        path: &SyncPath,
        mine: Option<&FileContent>,
        theirs: &Snapshot,
        bases: &[Option<(&[u8], bool)>],
        travels: &dyn Fn(&[String]) -> Option<bool>,
        answers: &BTreeMap<ConflictPlace, Answer>,
    ) -> Result<MergedFile, String> {
        let is_set = |key: &[String]| row.is_set(key);
        let rules = KeyRules { travels, is_set: &is_set };
        let there = theirs.file(path);
        let base_bytes: Vec<Option<&[u8]>> = bases.iter().map(|base| base.map(|(bytes, _)| bytes)).collect();
        // Keys of a snapshot that don't travel are passed over.
        let versions = Versions {
            bases: &base_bytes,
            mine: mine.map(|file| file.bytes.as_slice()),
            theirs: there.map(|(bytes, _)| bytes),
        };
        let merging = merge(row.form, &versions, &rules, self.roots.home()).map_err(|e| e.to_string())?;
        let snapshot = theirs.name.to_string();
        let answer = |conflict: &ContentConflict| {
            let place = (path.clone(), conflict.key.clone(), snapshot.clone());
            answers.get(&place).cloned().unwrap_or(Answer::Skip)
        };
        let conflicts: Vec<FoundConflict> = merging
            .conflicts()
            .iter()
            .map(|conflict| FoundConflict {
                place: (path.clone(), conflict.key.clone(), snapshot.clone()),
                conflict: conflict.clone(),
                from: theirs.manifest.machine_name.clone(),
                answer: answer(conflict),
                theirs: there.map(|(bytes, _)| bytes.to_vec()),
            })
            .collect();
        let resolved = merging.resolve(&mut |conflict| match answer(conflict) {
            Answer::Theirs => ContentChoice::Theirs,
            Answer::Edited(value) => ContentChoice::Edited(value),
            Answer::Skip | Answer::Mine => ContentChoice::Mine,
        });
        let bytes = match resolved.map_err(|e| e.to_string())? {
            Resolved::Unchanged => mine.map(|file| file.bytes.clone()),
            Resolved::Write(bytes) => Some(bytes),
            Resolved::Delete => None,
        };
        let before = bases.iter().map(|base| base.map(|(_, is)| is));
        let is_program = executable(mine, there.map(|(_, is)| is), before);
        let new = bytes.map(|bytes| FileContent { bytes, executable: is_program });
        let changes = crate::content::difference(
            row.form,
            mine.map(|file| file.bytes.as_slice()),
            new.as_ref().map(|file| file.bytes.as_slice()),
        );
        Ok(MergedFile { new, changes, conflicts })
    }
}

struct MergedFile {
    new: Option<FileContent>,
    changes: Vec<KeyChange>,
    conflicts: Vec<FoundConflict>,
}

/// Whether a file becomes a program: the other side's word counts where ours is that of before.
fn executable(mine: Option<&FileContent>, theirs: Option<bool>, bases: impl Iterator<Item = Option<bool>>) -> bool {
    match (mine.map(|file| file.executable), theirs) {
        (Some(mine), Some(theirs)) => {
            let bases: Vec<Option<bool>> = bases.collect();
            match bases.is_empty() {
                // Without a base, what only one side has is added.
                true => mine || theirs,
                false if bases.iter().all(|base| *base == Some(mine)) => theirs,
                false => mine,
            }
        }
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => false,
    }
}

/// Returns the most that a change of a file does.
fn effect(row: &TravelRow, new: Option<&FileContent>, changes: &[KeyChange]) -> TravelEffect {
    let Some(new) = new else { return row.effect };
    if row.form.has_keys() {
        // A guard that goes away counts as much as a program that comes.
        let values =
            changes.iter().flat_map(|change| change.old.iter().chain(&change.new).map(|value| (&change.key, value)));
        return values.map(|(key, value)| value_effect(row, key, value)).max().unwrap_or(TravelEffect::Starts);
    }
    if new.executable || (row.effect == TravelEffect::Instructs && declares_more(&new.bytes)) {
        return TravelEffect::Starts;
    }
    row.effect
}

/// Returns the most that a value at a key does: of a table, that of what is in it.
fn value_effect(row: &TravelRow, key: &[String], value: &Value) -> TravelEffect {
    match value {
        Value::Object(fields) if !row.is_leaf(key) => {
            let below = fields
                .iter()
                .map(|(name, value)| value_effect(row, &[key, std::slice::from_ref(name)].concat(), value));
            below.max().unwrap_or(TravelEffect::Nothing)
        }
        _ => row.key_effect(key),
    }
}

/// Keys of front matter that say how instructions are called and who reads them.
const PLAIN: [&str; 5] = ["name", "description", "model", "color", "tools"];

/// Whether the front matter of instructions says more than how they are called: hooks, servers, permissions.
fn declares_more(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.trim_start_matches('\u{feff}').trim_start().lines();
    match lines.next() {
        Some(line) if line.trim_end() == "---" => {}
        first => return first.is_some_and(|line| line.starts_with("---")),
    }
    let is_plain = |line: &str| {
        let key = line.split_once(':').map(|(key, _)| key);
        line.trim().is_empty() || line.starts_with([' ', '\t', '#', '-']) || key.is_some_and(|key| PLAIN.contains(&key))
    };
    !lines.take_while(|line| line.trim_end() != "---").all(is_plain)
}

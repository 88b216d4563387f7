//! What comes in from other machines: for each file, what is here, what is there, and what both had before, made one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::apply::IncomingChange;
use crate::content::{
    ContentChoice, ContentConflict, FileAction, KeyChange, KeyRules, Versions, full_context_changes, merge,
    to_local_content, to_synced_content,
};
use crate::error::SyncError;
use crate::front_matter;
use crate::gather::{GatheredFiles, is_key_synced};
use crate::graph::{PathHeads, common_ancestors, contains_common_state, matches_tracked_patterns, merge_clocks};
use crate::object::ObjectName;
use crate::place::{Roots, SyncPath};
use crate::policy::{Scope, SyncImpact, SyncRule};
use crate::snapshot::{FileContent, MAX_SYNCED_FILE_BYTES, Snapshot, VectorClock, is_merged_into};
use crate::state::{MergedState, UndecidedKey, UndecidedKeys};
use crate::store::SyncStore;

/// How many sets of snapshots are made one for a merge of one file.
const MAX_MERGE_BASES: usize = 500;

/// An answer to a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConflictResolution {
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
pub(crate) type ConflictLocation = (SyncPath, Vec<String>, String);

/// A conflict.
#[derive(Debug, Clone)]
pub(crate) struct Conflict {
    pub(crate) location: ConflictLocation,
    pub(crate) conflict: ContentConflict,
    /// The machine that has the other value, and when it wrote it by its clock.
    pub(crate) source_label: String,
    pub(crate) resolution: ConflictResolution,
    /// The other machine's version of the whole file.
    pub(crate) theirs: Option<Vec<u8>>,
}

/// The work of a pull.
#[derive(Debug, Default)]
pub(crate) struct PullWork {
    pub(crate) files: Vec<IncomingChange>,
    pub(crate) conflicts: Vec<Conflict>,
    /// Files that can't be merged, and why.
    pub(crate) unreadable: Vec<(SyncPath, String)>,
    /// Keys that are not decided once this is applied.
    pub(crate) undecided_keys: UndecidedKeys,
    /// Files of others that don't travel to this machine.
    pub(crate) ignored: usize,
}

impl PullWork {
    /// Returns how many files it deletes.
    pub(crate) fn deleted_count(&self) -> usize {
        self.files.iter().filter(|file| file.new.is_none()).count()
    }
}

impl PullWork {
    fn add(
        &mut self,
        row: &SyncRule,
        path: &SyncPath,
        old: Option<FileContent>,
        new: Option<FileContent>,
        mut changes: Vec<KeyChange>,
    ) {
        if old != new {
            let effect = effect(row, old.as_ref(), new.as_ref(), &changes);
            if row.effect == SyncImpact::Instructs && effect == SyncImpact::Starts {
                // One line may make keys of lines far below it.
                let bytes = |file: &Option<FileContent>| file.as_ref().map(|file| file.bytes.clone());
                changes = full_context_changes(row.form, bytes(&old).as_deref(), bytes(&new).as_deref());
            }
            self.files.push(IncomingChange { path: path.clone(), old, new, changes, effect });
        }
    }
}

/// The sides of a merge, and its rules.
pub(crate) struct Merger<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) roots: &'a Roots,
    pub(crate) gathered: &'a GatheredFiles,
    /// How far they are merged.
    pub(crate) state: &'a MergedState,
}

/// One way through a file: what is merged there, and the keys that are looked at.
struct MergePass<'a> {
    merged: VectorClock,
    only: Option<&'a [String]>,
}

impl Merger<'_> {
    /// Reads the snapshots that the merge needs: what each head has in common with this machine, and what speaks for those that
    /// say nothing of a path.
    pub(crate) async fn load(&self, store: &mut SyncStore<'_>) -> Result<(), SyncError> {
        for _ in 0..10_000 {
            let mut missing: BTreeSet<ObjectName> = BTreeSet::new();
            for path in self.paths(store) {
                let Some(row) = self.scope.rule(&path) else { continue };
                for pass in self.passes(&path) {
                    for (_, bases) in self.sources(store, &path, &pass.merged, &mut missing) {
                        self.united(store, row, &path, &bases.unwrap_or_default(), &mut missing, &mut BTreeMap::new());
                    }
                }
            }
            let missing: Vec<ObjectName> = missing.into_iter().collect();
            if !store.load(&missing).await? {
                return Ok(());
            }
        }
        Err(SyncError::Integrity("the snapshots at the remote name each other without end".into()))
    }

    /// Returns all paths that anybody has. One path of each kind would be enough to load, but they are few.
    fn paths(&self, store: &SyncStore<'_>) -> BTreeSet<SyncPath> {
        let theirs = store.snapshots.values().flat_map(|snapshot| snapshot.manifest.files.keys());
        theirs.chain(self.gathered.local.keys()).filter(|path| self.speaks(path)).cloned().collect()
    }

    /// Whether this machine says something of a path, and takes it.
    fn speaks(&self, path: &SyncPath) -> bool {
        self.scope.rule(path).is_some()
            && matches_tracked_patterns(&self.gathered.covered_patterns, &self.gathered.unknown_paths, path)
    }

    /// Returns the ways through a file: one for each key that was not decided, and one for the rest.
    fn passes(&self, path: &SyncPath) -> Vec<MergePass<'_>> {
        let held = self.state.held.get(path).map(Vec::as_slice).unwrap_or_default();
        let mut passes: Vec<MergePass<'_>> =
            held.iter().map(|held| MergePass { merged: held.merged.clone(), only: Some(&held.key) }).collect();
        if held.iter().all(|held| !held.key.is_empty()) {
            passes.push(MergePass { merged: self.state.merged_clock(path), only: None });
        }
        passes
    }

    /// Returns the snapshots that have something new of a path, each with those that have what was common before, if they are
    /// still there.
    fn sources<'s>(
        &self,
        store: &'s SyncStore<'_>,
        path: &SyncPath,
        merged: &VectorClock,
        missing: &mut BTreeSet<ObjectName>,
    ) -> Vec<(&'s Snapshot, Option<Vec<&'s Snapshot>>)> {
        let mut clock = merged.clone();
        let mut sources = Vec::new();
        for theirs in speakers(store, path, &store.heads(), missing) {
            if is_merged_into(&theirs.name, &clock) {
                continue;
            }
            sources.push((theirs, before(store, path, &clock, &theirs.clock(), missing)));
            clock = merge_clocks(&clock, &theirs.clock());
        }
        sources
    }

    /// Returns the versions from which both sides come: one, if those of several snapshots can be made one. Where they are lost,
    /// both sides count as that, so that whatever differs is a conflict.
    fn bases(
        &self,
        store: &SyncStore<'_>,
        row: &SyncRule,
        path: &SyncPath,
        (theirs, snapshots): (&Snapshot, Option<Vec<&Snapshot>>),
        mine: Option<&FileContent>,
    ) -> Vec<Option<FileContent>> {
        let Some(snapshots) = snapshots else { return vec![self.leaving(row, mine), own(theirs, path)] };
        match self.united(store, row, path, &snapshots, &mut BTreeSet::new(), &mut BTreeMap::new()) {
            Some(version) => vec![version],
            None => snapshots.iter().map(|snapshot| own(snapshot, path)).collect(),
        }
    }

    /// Returns a file of this machine as it would travel, if it can.
    fn leaving(&self, row: &SyncRule, file: Option<&FileContent>) -> Option<FileContent> {
        let travels = |key: &[String]| is_key_synced(row, &self.gathered.unsynced_servers, key);
        let is_set = |key: &[String]| row.is_set(key);
        let rules = KeyRules { is_synced: &travels, is_set: &is_set };
        let FileContent { bytes, executable } = file?;
        let bytes = to_synced_content(row.form, bytes, &rules, self.roots.home()).ok()?.bytes;
        Some(FileContent { bytes, executable: *executable })
    }

    /// Makes one version of those of several snapshots; `None` where they conflict, or nobody knows from what they come. Two
    /// machines that push at the same time again and again have several such snapshots each time.
    fn united(
        &self,
        store: &SyncStore<'_>,
        row: &SyncRule,
        path: &SyncPath,
        snapshots: &[&Snapshot],
        missing: &mut BTreeSet<ObjectName>,
        known: &mut BTreeMap<Vec<String>, Option<Option<FileContent>>>,
    ) -> Option<Option<FileContent>> {
        let (first, rest) = snapshots.split_first()?;
        if rest.iter().all(|other| other.file(path) == first.file(path)) {
            return Some(own(first, path));
        }
        let names: Vec<String> = snapshots.iter().map(|snapshot| snapshot.name.to_string()).collect();
        if let Some(known) = known.get(&names) {
            return known.clone();
        }
        if known.len() >= MAX_MERGE_BASES {
            return None;
        }
        // Hostile ones may come from themselves.
        known.insert(names.clone(), None);
        let (mut version, mut clock) = (own(first, path), first.clock());
        for other in rest {
            let theirs = own(other, path);
            if theirs != version {
                let before = before(store, path, &clock, &other.clock(), missing)?;
                let base = self.united(store, row, path, &before, missing, known)?;
                version = self.between(row, base.as_ref(), version.as_ref(), theirs.as_ref())?;
            }
            clock = merge_clocks(&clock, &other.clock());
        }
        known.insert(names, Some(version.clone()));
        Some(version)
    }

    /// Makes one of two versions that travelled; `None` if they conflict.
    fn between(
        &self,
        row: &SyncRule,
        base: Option<&FileContent>,
        one: Option<&FileContent>,
        other: Option<&FileContent>,
    ) -> Option<Option<FileContent>> {
        let home = self.roots.home();
        let travels = |key: &[String]| is_key_synced(row, &self.gathered.unsynced_servers, key);
        let is_set = |key: &[String]| row.is_set(key);
        let rules = KeyRules { is_synced: &travels, is_set: &is_set };
        let bytes = |file: Option<&FileContent>| file.map(|file| file.bytes.clone());
        // As it would be here.
        let mine = one.map(|file| to_local_content(row.form, &file.bytes, home)).transpose().ok()?;
        let (base_bytes, theirs) = (bytes(base), bytes(other));
        let versions = Versions { bases: &[base_bytes.as_deref()], mine: mine.as_deref(), theirs: theirs.as_deref() };
        let merging = merge(row.form, &versions, &rules, home).ok()?;
        if !merging.conflicts().is_empty() {
            return None;
        }
        let merged = match merging.resolve(&mut |_| ContentChoice::Mine).ok()? {
            FileAction::Unchanged => bytes(one),
            FileAction::Write(bytes) => Some(to_synced_content(row.form, &bytes, &rules, home).ok()?.bytes),
            FileAction::Delete => None,
        };
        let is_program = |file: &FileContent| file.executable;
        let executable = executable(one, other.map(is_program), std::iter::once(base.map(is_program)));
        Some(merged.map(|bytes| FileContent { bytes, executable }))
    }

    /// Merges everything. A conflict that has no answer is skipped.
    pub(crate) fn merge(
        &self,
        store: &SyncStore<'_>,
        answers: &BTreeMap<ConflictLocation, ConflictResolution>,
    ) -> PullWork {
        let mut incoming = PullWork::default();
        let heads = store.heads();
        let foreign = heads.iter().flat_map(|head| head.manifest.files.keys());
        incoming.ignored = foreign.filter(|path| !self.speaks(path)).count();
        for path in self.paths(store) {
            if let Some(row) = self.scope.rule(&path) {
                self.file(store, row, path.clone(), answers, &mut incoming);
            }
        }
        incoming
    }

    /// Returns what makes the files here those of a snapshot: it has changed everything, and nothing has changed here.
    pub(crate) fn plan_restore(&self, snapshot: &Snapshot) -> PullWork {
        let mut incoming = PullWork::default();
        let paths: BTreeSet<&SyncPath> = snapshot.manifest.files.keys().chain(self.gathered.local.keys()).collect();
        for path in paths.into_iter().filter(|path| self.speaks(path) && crate::graph::is_path_tracked(snapshot, path))
        {
            let Some(row) = self.scope.rule(path) else { continue };
            let old = self.gathered.local.get(path).cloned();
            let base = self.gathered.files.get(path).map(parts);
            let keys = |key: &[String]| is_key_synced(row, &self.gathered.unsynced_servers, key);
            match self.version(row, path, old.as_ref(), snapshot, &[base], &keys, &BTreeMap::new()) {
                Ok(merged) => incoming.add(row, path, old, merged.new, merged.changes),
                Err(problem) => incoming.unreadable.push((path.clone(), problem)),
            }
        }
        incoming
    }

    fn file(
        &self,
        store: &SyncStore<'_>,
        row: &SyncRule,
        path: SyncPath,
        answers: &BTreeMap<ConflictLocation, ConflictResolution>,
        incoming: &mut PullWork,
    ) {
        let old = self.gathered.local.get(&path).cloned();
        let (mut new, mut changes, mut held) = (old.clone(), Vec::new(), Vec::new());
        let (mut conflicts, mut problem) = (Vec::new(), None);
        for pass in self.passes(&path) {
            for (theirs, bases) in self.sources(store, &path, &pass.merged, &mut BTreeSet::new()) {
                let bases = self.bases(store, row, &path, (theirs, bases), new.as_ref());
                let bases: Vec<_> = bases.iter().map(|base| base.as_ref().map(parts)).collect();
                let keys = |key: &[String]| self.key_travels(row, &path, &pass, key);
                match self.version(row, &path, new.as_ref(), theirs, &bases, &keys, answers) {
                    Ok(merged) => {
                        new = merged.new;
                        changes.extend(merged.changes);
                        let skipped =
                            merged.conflicts.iter().filter(|found| found.resolution == ConflictResolution::Skip);
                        held.extend(
                            skipped.map(|found| UndecidedKey {
                                key: found.location.1.clone(),
                                merged: pass.merged.clone(),
                            }),
                        );
                        conflicts.extend(merged.conflicts);
                    }
                    Err(why) => {
                        let key = pass.only.map(<[String]>::to_vec).unwrap_or_default();
                        held.push(UndecidedKey { key, merged: pass.merged.clone() });
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
                self.passes(&path)
                    .into_iter()
                    .map(|pass| UndecidedKey { key: Vec::new(), merged: pass.merged })
                    .collect()
            });
            (new, changes) = (old.clone(), Vec::new());
        } else {
            incoming.conflicts.extend(conflicts);
        }
        if !held.is_empty() {
            incoming.undecided_keys.insert(path.clone(), held);
        }
        incoming.add(row, &path, old, new, changes);
    }

    /// Whether a key is looked at in one way through a file.
    fn key_travels(&self, row: &SyncRule, path: &SyncPath, pass: &MergePass<'_>, key: &[String]) -> Option<bool> {
        let travels = is_key_synced(row, &self.gathered.unsynced_servers, key);
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
        row: &SyncRule,
        path: &SyncPath,
        mine: Option<&FileContent>,
        theirs: &Snapshot,
        bases: &[Option<(&[u8], bool)>],
        travels: &dyn Fn(&[String]) -> Option<bool>,
        answers: &BTreeMap<ConflictLocation, ConflictResolution>,
    ) -> Result<MergedFile, String> {
        let is_set = |key: &[String]| row.is_set(key);
        let rules = KeyRules { is_synced: travels, is_set: &is_set };
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
            answers.get(&place).cloned().unwrap_or(ConflictResolution::Skip)
        };
        let conflicts: Vec<Conflict> = merging
            .conflicts()
            .iter()
            .map(|conflict| Conflict {
                location: (path.clone(), conflict.key.clone(), snapshot.clone()),
                conflict: conflict.clone(),
                source_label: theirs.manifest.machine_name.clone(),
                resolution: answer(conflict),
                theirs: there.map(|(bytes, _)| bytes.to_vec()),
            })
            .collect();
        let resolved = merging.resolve(&mut |conflict| match answer(conflict) {
            ConflictResolution::Theirs => ContentChoice::Theirs,
            ConflictResolution::Edited(value) => ContentChoice::Edited(value),
            ConflictResolution::Skip | ConflictResolution::Mine => ContentChoice::Mine,
        });
        let bytes = match resolved.map_err(|e| e.to_string())? {
            FileAction::Unchanged => mine.map(|file| file.bytes.clone()),
            // It would never leave this machine again.
            FileAction::Write(bytes) if bytes.len() as u64 > MAX_SYNCED_FILE_BYTES => {
                return Err(format!("would be larger than {} MiB", MAX_SYNCED_FILE_BYTES >> 20));
            }
            FileAction::Write(bytes) => Some(bytes),
            FileAction::Delete => None,
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
    conflicts: Vec<Conflict>,
}

fn parts(file: &FileContent) -> (&[u8], bool) {
    (&file.bytes, file.executable)
}

/// Returns a snapshot's version of a file.
fn own(snapshot: &Snapshot, path: &SyncPath) -> Option<FileContent> {
    snapshot.file(path).map(|(bytes, executable)| FileContent { bytes: bytes.to_vec(), executable })
}

/// Returns those of snapshots and their ancestors that speak for a path.
fn speakers<'s>(
    store: &'s SyncStore<'_>,
    path: &SyncPath,
    from: &[&'s Snapshot],
    missing: &mut BTreeSet<ObjectName>,
) -> Vec<&'s Snapshot> {
    let (found, unread) = PathHeads { snapshots: &store.snapshots }.heads(path, from);
    missing.extend(unread.iter().filter_map(|name| ObjectName::parse(name)));
    found
}

/// Returns the snapshots that have what two states have in common of a path; `None` if some are gone.
fn before<'s>(
    store: &'s SyncStore<'_>,
    path: &SyncPath,
    one: &VectorClock,
    other: &VectorClock,
    missing: &mut BTreeSet<ObjectName>,
) -> Option<Vec<&'s Snapshot>> {
    let mut bases = Vec::new();
    for name in common_ancestors(&store.listing, one, other) {
        match store.snapshots.get(&name.to_string()) {
            Some(base) => bases.push(base),
            None => drop(missing.insert(name.clone())),
        }
    }
    let (speakers, unread) = PathHeads { snapshots: &store.snapshots }.heads(path, &bases);
    missing.extend(unread.iter().filter_map(|name| ObjectName::parse(name)));
    (unread.is_empty() && contains_common_state(&bases, one, other)).then_some(speakers)
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
fn effect(row: &SyncRule, old: Option<&FileContent>, new: Option<&FileContent>, changes: &[KeyChange]) -> SyncImpact {
    let Some(new) = new else { return row.effect };
    if row.form.has_keys() {
        // A guard that goes away counts as much as a program that comes.
        let values =
            changes.iter().flat_map(|change| change.old.iter().chain(&change.new).map(|value| (&change.key, value)));
        return values.map(|(key, value)| value_effect(row, key, value)).max().unwrap_or(SyncImpact::Starts);
    }
    let declares_more =
        |file: &FileContent| row.effect == SyncImpact::Instructs && !front_matter::has_plain_front_matter(&file.bytes);
    // A guard that goes away counts here, too.
    if new.executable || declares_more(new) || old.is_some_and(declares_more) {
        return SyncImpact::Starts;
    }
    row.effect
}

/// Returns the most that a value at a key does: of a table, that of what is in it.
fn value_effect(row: &SyncRule, key: &[String], value: &Value) -> SyncImpact {
    match value {
        Value::Object(fields) if !row.is_leaf(key) => {
            let below = fields
                .iter()
                .map(|(name, value)| value_effect(row, &[key, std::slice::from_ref(name)].concat(), value));
            below.max().unwrap_or(SyncImpact::Nothing)
        }
        _ => row.key_effect(key),
    }
}

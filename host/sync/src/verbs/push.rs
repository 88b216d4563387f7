//! A push: what travels from this machine becomes a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::{Plan, Prompter, Reporter};
use aiw_home::now_rfc3339;
use aiw_redact::rules::Redactor;

use super::{OpenStore, SyncPush, SyncUi, Synchronizer, coverage, digests, unpushed};
use crate::content::{ContentForm, strings, top_level_keys};
use crate::error::SyncError;
use crate::gather::GatheredFiles;
use crate::generated::{GeneratedFiles, count_lost_secrets, is_encrypted};
use crate::graph::{matches_tracked_patterns, merge_base, prunable_objects};
use crate::keys::StoreKeys;
use crate::object::{self, ObjectName, SeenSnapshot};
use crate::place::{SyncPath, SyncRoot};
use crate::remote::{MAX_OBJECT_BYTES, Remote};
use crate::snapshot::{FORMAT_VERSION, FileEntry, MachineFiles, Snapshot, SnapshotManifest, VectorClock, digest, pack};
use crate::state::{MergedState, PendingPush, SyncState};
use crate::store::{SyncStore, short_object_name};

/// How many snapshots of a machine are kept.
const MAX_SNAPSHOTS_PER_MACHINE: usize = 50;

/// How many places with secrets are named.
const MAX_NAMED_SECRETS: usize = 20;

/// The key of a reference to the vault.
const REFERENCE_KEY: &str = "secret";

/// The key as it stands in JSON.
const QUOTED_REFERENCE_KEY: &str = "\"secret\"";

/// From this sealed size on, a push says how large it is, in bytes.
const LARGE_PUSH_BYTES: usize = 5 << 20;

/// Leave that a push has without asking.
#[derive(Debug, Clone, Copy, Default)]
pub struct PushRequest {
    /// Take away hooks or many keys from others.
    pub allow_deletions: bool,
    /// Go on although the remote shows an older state than before.
    pub allow_rollback: bool,
}

impl Synchronizer {
    /// Writes a snapshot of what travels from this machine.
    ///
    /// # Errors
    ///
    /// Others pushed what is not merged here; the remote can't be reached or shows an older state; a file holds a secret in
    /// clear text.
    pub async fn push(
        &self,
        request: &PushRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<SyncPush, SyncError> {
        self.telling(sink, self.push_told(request, ask, sink)).await
    }

    async fn push_told(
        &self,
        request: &PushRequest,
        ask: &dyn Prompter,
        sink: &dyn Reporter,
    ) -> Result<SyncPush, SyncError> {
        let OpenStore { mut state, keys, remote: far, _turn } = self.open().await?;
        self.push_to(&mut state, &keys, &*far, request, &SyncUi { prompter: ask, reporter: sink }, true).await
    }

    /// Pushes to a store. The state is written if it is this machine's already.
    pub(super) async fn push_to(
        &self,
        state: &mut SyncState,
        keys: &StoreKeys,
        far: &dyn Remote,
        request: &PushRequest,
        talk: &SyncUi<'_>,
        is_own: bool,
    ) -> Result<SyncPush, SyncError> {
        talk.reporter.step(format!("looking at {}", state.remote));
        let mut store = match is_own {
            true => self.look(far, keys, state, request.allow_rollback).await?,
            false => SyncStore::open_remote(far, keys, &self.directory, state, request.allow_rollback).await?,
        };
        talk.reporter.step("reading what travels from this machine".into());
        self.make(state, keys, &store)?;
        if is_own {
            self.directory.save(state)?;
        }
        let gathered = self.gather(BTreeSet::new()).await?;
        self.check_all_merged(&store, state, &gathered)?;
        let changed = unpushed(&gathered, state, &self.scope);
        let is_merge = store.heads().len() > 1;
        let is_there = changed.is_empty()
            && !is_merge
            && !store.listing.is_empty()
            && gathered.covered_patterns.iter().all(|pattern| state.files.covers.contains(pattern))
            && gathered.unknown_paths.iter().all(|left_out| state.files.silent.contains_key(left_out));
        let mut answer = SyncPush {
            snapshot: None,
            files: gathered.files.len(),
            bytes: 0,
            changed: changed.iter().map(SyncPath::to_string).collect(),
            skipped: gathered.skipped.clone(),
            pruned: 0,
        };
        if is_there {
            // Whoever is told that the remote has all of it can rely on that.
            store.repair(&state.machine, |_, _| false).await?;
        }
        store.report(talk.reporter);
        if is_there {
            return Ok(answer);
        }
        self.check_shrinking(&store, state, &gathered, request, talk).await?;
        self.check_secrets(&gathered.files, talk).await?;
        let pushing = self.write(&store, state, keys, &gathered, &mut answer, is_own).await?;
        state.finish(pushing);
        if is_own {
            self.directory.save(state)?;
            answer.pruned = prune(&mut store, talk.reporter).await;
        }
        if answer.bytes > LARGE_PUSH_BYTES {
            talk.reporter.note(format!("the snapshot is large: {} MiB", answer.bytes >> 20));
        }
        Ok(answer)
    }

    /// Reads what travels, beside the runtime.
    pub(super) async fn gather(&self, empty: BTreeSet<SyncRoot>) -> Result<GatheredFiles, SyncError> {
        let (home, roots, scope) = (self.home.clone(), self.roots.clone(), self.scope.clone());
        let gather = move || {
            crate::gather::Gatherer { home: &home, roots: &roots, scope: &scope, generated: &GeneratedFiles::new() }
                .gather(&empty)
        };
        Ok(aiw_home::run_blocking(gather).await)
    }

    /// Refuses a push while others have pushed what is not merged here.
    pub(super) fn check_all_merged(
        &self,
        store: &SyncStore<'_>,
        state: &SyncState,
        gathered: &GatheredFiles,
    ) -> Result<(), SyncError> {
        if let Some(moved) = store.heads().into_iter().find(|head| head.manifest.moved.is_some()) {
            return Err(SyncError::StoreRekeyed { machine: moved.manifest.machine_name.clone() });
        }
        let unmerged = |head: &&Snapshot| !head.is_merged_into(&state.files.merged);
        let machines: Vec<String> =
            store.heads().into_iter().filter(unmerged).map(|head| head.manifest.machine_name.clone()).collect();
        if let (true, false) = (machines.is_empty(), state.files.held.is_empty()) {
            return Err(SyncError::UnresolvedConflicts {
                paths: state.files.held.keys().map(ToString::to_string).collect(),
            });
        }
        // What travels since now was never merged: without a pull, what is not here would count as deleted.
        let is_wider = gathered.covered_patterns.iter().any(|pattern| !state.files.covers.contains(pattern))
            || state
                .files
                .silent
                .keys()
                .any(|left_out| !gathered.unknown_paths.contains(left_out) && self.is_back(left_out));
        if machines.is_empty() && is_wider && !state.files.merged.is_empty() {
            return Err(SyncError::PermissionsWidened);
        }
        if machines.is_empty() { Ok(()) } else { Err(SyncError::UnmergedChanges { machines }) }
    }

    /// Whether a path that was left out can be read again: a root that is still gone can't.
    fn is_back(&self, left_out: &str) -> bool {
        let root = left_out.strip_suffix(':').and_then(|root| root.parse().ok());
        root.is_none_or(|root| self.roots.directory(root).is_dir())
    }

    /// Asks before hooks or half of a file's keys go away: some program may have lost them.
    async fn check_shrinking(
        &self,
        store: &SyncStore<'_>,
        state: &SyncState,
        gathered: &GatheredFiles,
        request: &PushRequest,
        talk: &SyncUi<'_>,
    ) -> Result<(), SyncError> {
        if request.allow_deletions {
            return Ok(());
        }
        let mut lost = Vec::new();
        for head in store.heads().into_iter().filter(|head| head.is_merged_into(&state.files.merged)) {
            lost.extend(self.lost_keys(head, gathered));
            lost.extend(self.lost_files(head, gathered));
        }
        lost.sort();
        lost.dedup();
        if lost.is_empty() {
            return Ok(());
        }
        let what = lost.join(", ");
        let mut plan = Plan::new("Push that to your other machines?");
        plan.details = lost.iter().map(|lost| format!("takes away {lost}")).collect();
        // The counts are those of exactly these files.
        plan.add_hidden_bytes(format!("{:?}", digests(&gathered.files, &self.scope)).as_bytes());
        match talk.prompter.confirm(&plan, &[]).await {
            Ok(_) => Ok(()),
            Err(aiw_core::PromptError::NotInteractive { .. } | aiw_core::PromptError::Unsupported) => {
                Err(SyncError::DestructivePush(what))
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Returns the hooks, and the halves of files, that a snapshot has and this machine no longer.
    fn lost_keys(&self, head: &Snapshot, gathered: &GatheredFiles) -> Vec<String> {
        let mut lost = Vec::new();
        for path in head.manifest.files.keys() {
            let (Some(row), Some((old, _))) = (self.scope.rule(path), head.file(path)) else { continue };
            let is_here = matches_tracked_patterns(&gathered.covered_patterns, &gathered.unknown_paths, path);
            let Ok(before) = top_level_keys(row.form, old) else { continue };
            let now = gathered.files.get(path).map(|file| file.bytes.as_slice());
            if is_encrypted(path) {
                let (gone, all) = count_lost_secrets(old, now).unwrap_or_default();
                lost.extend((gone > 1 && gone * 2 >= all).then(|| format!("{gone} of {all} secrets")));
                continue;
            }
            let now = now.and_then(|bytes| top_level_keys(row.form, bytes).ok());
            let now = now.unwrap_or_default();
            let gone: Vec<&String> = before.iter().filter(|key| !now.contains(*key)).collect();
            if is_here && gone.iter().any(|key| *key == "hooks") {
                lost.push(format!("the hooks of {path}"));
            } else if is_here && gone.len() * 2 >= before.len() && gone.len() > 1 {
                lost.push(format!("{} of {} keys of {path}", gone.len(), before.len()));
            }
        }
        lost
    }

    /// Returns roots of which many files are gone.
    fn lost_files(&self, head: &Snapshot, gathered: &GatheredFiles) -> Vec<String> {
        let mut counts: BTreeMap<SyncRoot, (usize, usize)> = BTreeMap::new();
        for path in head
            .manifest
            .files
            .keys()
            .filter(|path| matches_tracked_patterns(&gathered.covered_patterns, &gathered.unknown_paths, path))
        {
            let (gone, all) = counts.entry(path.root).or_default();
            *gone += usize::from(!gathered.local.contains_key(path));
            *all += 1;
        }
        let many = counts.into_iter().filter(|(_, (gone, all))| *gone > 5 || (*gone > 1 && gone * 3 >= *all));
        many.map(|(root, (gone, all))| format!("{gone} of {all} files of {}", root.as_str())).collect()
    }

    /// Asks before a secret in clear text becomes part of a snapshot.
    async fn check_secrets(&self, files: &MachineFiles, talk: &SyncUi<'_>) -> Result<(), SyncError> {
        let redactor = Redactor::new(&[]).map_err(|e| SyncError::Internal(e.to_string()))?;
        let mut places = Vec::new();
        for (path, file) in files {
            let Some(row) = self.scope.rule(path) else { continue };
            // A login travels because somebody asked for it.
            if row.form == ContentForm::Binary || is_encrypted(path) {
                continue;
            }
            places.extend(secrets(&redactor, path, row.form, &file.bytes));
        }
        if places.is_empty() {
            return Ok(());
        }
        let mut plan = Plan::new("Push them, sealed with the rest?");
        plan.add_hidden_bytes(format!("{places:?} {:?}", digests(files, &self.scope)).as_bytes());
        let more = places.len().saturating_sub(MAX_NAMED_SECRETS);
        places.truncate(MAX_NAMED_SECRETS);
        places.extend((more > 0).then(|| format!("and {}", aiw_core::pluralize(more, "more place"))));
        plan.details = places.iter().map(|place| format!("a secret in clear text: {place}")).collect();
        match talk.prompter.confirm(&plan, &[]).await {
            Ok(_) => Ok(()),
            Err(aiw_core::PromptError::NotInteractive { .. } | aiw_core::PromptError::Unsupported) => {
                Err(SyncError::PlaintextSecrets { places })
            }
            Err(e) => Err(e.into()),
        }
    }

    async fn write(
        &self,
        store: &SyncStore<'_>,
        state: &mut SyncState,
        keys: &StoreKeys,
        gathered: &GatheredFiles,
        answer: &mut SyncPush,
        is_own: bool,
    ) -> Result<PendingPush, SyncError> {
        let parents: Vec<String> = store.heads.clone();
        let manifest = manifest(state, parents, gathered, None);
        let content = pack(&manifest, &gathered.files).map_err(SyncError::InvalidLocalFiles)?;
        let counter = state.counter + 1;
        let (name, bytes) =
            object::encrypt_object(keys, &state.machine, counter, &content).map_err(SyncError::InvalidLocalFiles)?;
        if bytes.len() as u64 > MAX_OBJECT_BYTES {
            return Err(SyncError::InvalidLocalFiles(format!(
                "has more than {} MiB when it is packed",
                MAX_OBJECT_BYTES >> 20
            )));
        }
        let mut merged = state.files.merged.clone();
        merged.insert(state.machine.clone(), SeenSnapshot::from(&name));
        let (covers, silent) = coverage(state, gathered, gathered.covered_patterns.clone(), self.scope.excluded());
        let (held, pushed) = (state.files.held.clone(), digests(&gathered.files, &self.scope));
        let files = MergedState { merged, covers, silent, held, pushed };
        let mut pushing = PendingPush { object: name.to_string(), files, id: None };
        if is_own {
            // If this process is killed, the next one finds out whether the object arrived.
            state.pushing = Some(pushing.clone());
            self.directory.save(state)?;
        }
        pushing.id = store.put(&name, &bytes).await?;
        (answer.snapshot, answer.bytes) = (Some(short_object_name(&name)), bytes.len());
        Ok(pushing)
    }

    /// Tells the machines that have the old phrase that another store took the place of this one.
    pub(super) async fn push_move_notice(
        &self,
        state: &mut SyncState,
        keys: &StoreKeys,
        far: &dyn Remote,
        new: &str,
    ) -> Result<(), SyncError> {
        let store = SyncStore::open_remote(far, keys, &self.directory, state, true).await?;
        let manifest = manifest(state, store.heads.clone(), &GatheredFiles::default(), Some(new.to_owned()));
        let content = pack(&manifest, &MachineFiles::new()).map_err(SyncError::InvalidLocalFiles)?;
        let (name, bytes) = object::encrypt_object(keys, &state.machine, state.counter + 1, &content)
            .map_err(SyncError::InvalidLocalFiles)?;
        store.put(&name, &bytes).await.map(drop)
    }
}

fn manifest(
    state: &SyncState,
    parents: Vec<String>,
    gathered: &GatheredFiles,
    moved: Option<String>,
) -> SnapshotManifest {
    let entry =
        |file: &crate::snapshot::FileContent| FileEntry { sha256: digest(&file.bytes), executable: file.executable };
    let seen: VectorClock = state.files.merged.clone();
    SnapshotManifest {
        format: FORMAT_VERSION,
        machine_name: state.machine_name.clone(),
        time: now_rfc3339(),
        aiw: env!("CARGO_PKG_VERSION").into(),
        parents,
        seen,
        covers: gathered.covered_patterns.clone(),
        silent: gathered.unknown_paths.clone(),
        moved,
        files: gathered.files.iter().map(|(path, file)| (path.clone(), entry(file))).collect::<BTreeMap<_, _>>(),
    }
}

/// Returns where secrets are, without them.
fn secrets(redactor: &Redactor, path: &SyncPath, form: ContentForm, bytes: &[u8]) -> Vec<String> {
    let mut places = Vec::new();
    let strings = strings(form, bytes).unwrap_or_default();
    // The name of a secret in the vault: `"token": {"secret": "router"}`. A variable may have the name `secret` too.
    let has_references =
        path.root == SyncRoot::Aiw && matches!(path.relative_path(), "providers.json" | "settings.json");
    let is_reference = |key: &[String]| {
        has_references
            && matches!(key, [.., of, name] if name == REFERENCE_KEY && !["env", "headers"].contains(&of.as_str()))
    };
    for (key, text) in strings.iter().filter(|(_, text)| !text.contains("${")) {
        let name = key.last().map(String::as_str).unwrap_or_default();
        let is_named = !is_reference(key) && aiw_core::is_secret_name(name);
        if is_named || aiw_core::is_secret_value(text) || redactor.redact(text) != text.as_str() {
            places.push(format!("{path} {}", key.join(".")));
        }
    }
    let names: Vec<&str> = strings.iter().filter(|(key, _)| is_reference(key)).map(|(_, text)| text.as_str()).collect();
    // Comments travel too. Bytes that are not text look like anything.
    let lines = bytes.split(|byte| *byte == b'\n').map(|line| str::from_utf8(line).unwrap_or_default());
    let found = lines.enumerate().filter(|(_, line)| {
        let line = without_references(line, &names);
        redactor.redact(&line) != line
    });
    places.extend(found.take(5).map(|(at, _)| format!("{path} line {}", at + 1)));
    places
}

/// Returns a line of JSON without the names of secrets in it: the key before one makes it look like the secret itself.
fn without_references(line: &str, names: &[&str]) -> String {
    let (mut kept, mut rest) = (String::new(), line);
    while let Some((before, after)) = rest.split_once(QUOTED_REFERENCE_KEY) {
        kept.push_str(before);
        kept.push_str(QUOTED_REFERENCE_KEY);
        let value = after.trim_start_matches([' ', '\t', ':']);
        let name = value.strip_prefix('"').and_then(|value| value.split_once('"'));
        rest = match name {
            Some((name, left)) if names.contains(&name) => left,
            _ => after,
        };
    }
    kept + rest
}

/// Deletes what nobody needs any more. What can't be deleted stays until the next push.
async fn prune(store: &mut SyncStore<'_>, sink: &dyn Reporter) -> usize {
    let old = match old(store).await {
        Ok(old) => old,
        Err(e) => {
            sink.note(format!("old snapshots stay: {e}"));
            return 0;
        }
    };
    for (at, name) in old.iter().enumerate() {
        if let Err(e) = store.delete(name).await {
            sink.note(format!("cannot delete the old snapshot `{}`: {e}", short_object_name(name)));
            return at;
        }
    }
    old.len()
}

/// Returns the objects that nobody needs any more, which are few at a time.
async fn old(store: &mut SyncStore<'_>) -> Result<Vec<ObjectName>, SyncError> {
    while store.listing.has_more_than(MAX_SNAPSHOTS_PER_MACHINE) {
        let missing = match merge_base(&store.listing, &store.snapshots) {
            Ok(Some(meeting)) => {
                let old = prunable_objects(&store.listing, &store.newest(), meeting, MAX_SNAPSHOTS_PER_MACHINE);
                return Ok(old.into_iter().cloned().collect());
            }
            Ok(None) => break,
            Err(missing) => missing,
        };
        if !store.load(&missing).await? {
            break;
        }
    }
    Ok(Vec::new())
}

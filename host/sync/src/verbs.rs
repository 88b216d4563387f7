//! What a person does with a store.

mod begin;
mod login;
mod look;
mod pull;
mod push;
mod results;
mod scope;

pub(crate) use self::pull::{CONFLICT_LIST, MAX_CONFLICT_LIST_BYTES};

use std::collections::{BTreeMap, BTreeSet};

use aiw_core::{Prompter, Reporter, SecretName};
use aiw_home::{ExclusiveLock, Home};
use aiw_net::HttpClient;

pub use pull::PullRequest;
pub use push::PushRequest;
pub use results::{
    StoreListing, StoreMachine, StoreSetup, StoreSnapshot, StoreStatus, SyncChange, SyncConflict, SyncDifference,
    SyncLog, SyncLogEntry, SyncPull, SyncPush, SyncRekey, SyncRuleSummary, SyncUndo,
};

use crate::apply::{has_unfinished_change, recover};
use crate::content::canonical_bytes;
use crate::error::SyncError;
use crate::gather::{GatheredFiles, Gatherer, unsynced_servers};
use crate::generated::{
    EncryptedDigests, EncryptedSecrets, GeneratedFiles, PENDING_INSTALLS_PATH, SECRETS_PATH, generate_pending_installs,
    generated_path,
};
use crate::graph::{matches_tracked_patterns, merge_clocks};
use crate::keys::{Phrase, StoreKeys};
use crate::object::ObjectName;
use crate::place::{Roots, SyncPath, SyncRoot};
use crate::policy::Scope;
use crate::remote::{PendingRequests, Remote, RemoteContext, RemoteUrl, WAIT_INTERVAL, open};
use crate::snapshot::{FileContent, MachineFiles, Snapshot, VectorClock, digest};
use crate::state::{PendingPush, SkippedPaths, SyncDirectory, SyncState};
use crate::store::SyncStore;

/// The name of the phrase in the vault.
const PHRASE_SECRET_NAME: &str = "sync-phrase";

/// The name of a phrase that takes the place of it.
const NEW_PHRASE_SECRET_NAME: &str = "sync-phrase-new";

/// Configuration of this machine, and its store.
pub struct Synchronizer {
    home: Home,
    client: HttpClient,
    directory: SyncDirectory,
    roots: Roots,
    scope: Scope,
    waits: PendingRequests,
    /// Puts another remote around the one of an address.
    #[cfg(test)]
    pub(crate) wrap: Option<WrapRemote>,
}

#[cfg(test)]
pub(crate) type WrapRemote = std::sync::Arc<dyn Fn(Box<dyn Remote>) -> Box<dyn Remote> + Send + Sync>;

/// A store that is open: one process at a time has it.
struct OpenStore {
    state: SyncState,
    keys: StoreKeys,
    remote: Box<dyn Remote>,
    _turn: ExclusiveLock,
}

impl Synchronizer {
    /// Returns what synchronizes a client's configuration.
    ///
    /// # Errors
    ///
    /// The settings can't be read, or the client has no home.
    pub fn new(home: &Home, client: &HttpClient) -> Result<Self, SyncError> {
        let settings = home.settings()?.sync()?;
        Ok(Self {
            home: home.clone(),
            client: client.clone(),
            directory: SyncDirectory::new(home),
            roots: Roots::new(home).ok_or(SyncError::HomeNotFound)?,
            scope: Scope::new(settings.include, settings.exclude),
            waits: PendingRequests::default(),
            #[cfg(test)]
            wrap: None,
        })
    }

    /// Returns the files that were not pushed. Without keys, what changed in the vault is not among them.
    fn unpushed(&self, state: &SyncState, keys: Option<&StoreKeys>) -> (GatheredFiles, Vec<SyncPath>) {
        // Who only looks writes nothing.
        let made = self.made(&mut state.secrets.clone(), keys, &[], &[]).unwrap_or_default();
        let gatherer = Gatherer { home: &self.home, roots: &self.roots, scope: &self.scope, generated: &made };
        let gathered = gatherer.gather(&BTreeSet::new());
        let unpushed = unpushed(&gathered, state, &self.scope);
        (gathered, unpushed)
    }

    fn sealed<'a>(&'a self, keys: Option<&'a StoreKeys>) -> Option<EncryptedSecrets<'a>> {
        keys.map(|keys| EncryptedSecrets { home: &self.home, keys })
    }

    /// Whether the secrets of the vault travel from and to this machine.
    fn takes_secrets(&self) -> bool {
        generated_path(SECRETS_PATH).is_some_and(|path| self.scope.rule(&path).is_some())
    }

    /// Returns what synchronization makes, as it is to be. `merged` and `seen` are snapshots that are merged here, and all heads.
    fn made(
        &self,
        taken: &mut EncryptedDigests,
        keys: Option<&StoreKeys>,
        merged: &[&Snapshot],
        seen: &[&Snapshot],
    ) -> Result<GeneratedFiles, SyncError> {
        let of = |snapshots: &[&Snapshot], below: &str| -> Vec<Vec<u8>> {
            let path = generated_path(below);
            let file = |snapshot: &&Snapshot| Some(snapshot.file(path.as_ref()?)?.0.to_vec());
            snapshots.iter().filter_map(file).collect()
        };
        let mut made =
            generate_pending_installs(&self.home, &unsynced_servers(&self.home), &of(merged, PENDING_INSTALLS_PATH));
        if let Some(secrets) = self.sealed(keys).filter(|_| self.takes_secrets()) {
            made.extend(secrets.encrypt_secrets(taken, &of(seen, SECRETS_PATH))?);
        }
        Ok(made)
    }

    /// Writes what synchronization makes. `store` has values that others sealed.
    fn make(&self, state: &mut SyncState, keys: &StoreKeys, store: &SyncStore<'_>) -> Result<(), SyncError> {
        let heads = store.heads();
        let merged: Vec<&Snapshot> =
            heads.iter().copied().filter(|head| head.is_merged_into(&state.files.merged)).collect();
        let made = self.made(&mut state.secrets, Some(keys), &merged, &heads)?;
        Ok(crate::generated::write(&self.home, &made, &self.home.lock()?)?)
    }

    async fn far(&self, address: &str) -> Result<Box<dyn Remote>, SyncError> {
        let address = RemoteUrl::parse(address, self.home.context())?;
        let far = open(&address, &self.context()?).await?;
        #[cfg(test)]
        let far = match &self.wrap {
            Some(wrap) => wrap(far),
            None => far,
        };
        Ok(far)
    }

    fn context(&self) -> Result<RemoteContext, SyncError> {
        let context = RemoteContext::new(self.home.clone(), self.client.clone())?;
        Ok(RemoteContext { pending_requests: self.waits.clone(), ..context })
    }

    /// Does work, and tells every few seconds which remote it waits for.
    async fn telling<T>(&self, sink: &dyn Reporter, work: impl Future<Output = T>) -> T {
        self.waits.report_while_waiting(WAIT_INTERVAL, sink, work).await
    }

    /// Returns the state for somebody who only looks.
    fn seen_state(&self) -> Result<SyncState, SyncError> {
        if has_unfinished_change(&self.directory) {
            let _turn = self.directory.lock()?;
            return self.state();
        }
        self.directory.load()?.ok_or(SyncError::NotSetUp)
    }

    /// Returns the state after what a killed process left is finished.
    fn state(&self) -> Result<SyncState, SyncError> {
        let mut state = self.directory.load()?.ok_or(SyncError::NotSetUp)?;
        let keys = self.keys(&state).ok();
        recover(&self.home, &self.directory, &mut state, self.sealed(keys.as_ref()).as_ref())?;
        Ok(state)
    }

    fn phrase(&self, name: &'static str) -> Result<Phrase, SyncError> {
        let name = secret_name(name)?;
        match self.home.vault().get(&name) {
            Ok(words) => Ok(Phrase::parse(words.expose())?),
            Err(aiw_home::VaultError::NotFound { .. }) => Err(SyncError::MissingRecoveryPhrase),
            Err(e) => Err(e.into()),
        }
    }

    fn forget_secret(&self, name: &'static str) -> Result<(), SyncError> {
        match self.home.vault().remove(&self.home.lock()?, &secret_name(name)?) {
            Err(aiw_home::VaultError::Absent { .. }) | Ok(()) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn keys(&self, state: &SyncState) -> Result<StoreKeys, SyncError> {
        for name in [PHRASE_SECRET_NAME, NEW_PHRASE_SECRET_NAME] {
            let phrase = match self.phrase(name) {
                Err(SyncError::MissingRecoveryPhrase) => continue,
                phrase => phrase?,
            };
            let keys = phrase.keys().ok_or_else(|| SyncError::Internal("keys can't be made".into()))?;
            if keys.store_id == state.store {
                if name == NEW_PHRASE_SECRET_NAME {
                    // A change of the phrase was killed at its end.
                    self.home.vault().set(
                        &self.home.lock()?,
                        &secret_name(PHRASE_SECRET_NAME)?,
                        &phrase.to_secret(),
                    )?;
                }
                return Ok(keys);
            }
        }
        Err(SyncError::MissingRecoveryPhrase)
    }

    /// Looks at the remote, and remembers the newest that it shows of each machine. A push that was killed is finished if its
    /// object arrived.
    async fn look<'a>(
        &'a self,
        far: &'a dyn Remote,
        keys: &'a StoreKeys,
        state: &mut SyncState,
        allow_rollback: bool,
    ) -> Result<SyncStore<'a>, SyncError> {
        let store = SyncStore::open_remote(far, keys, &self.directory, state, allow_rollback).await?;
        store.prune_local_objects()?;
        self.finish_push(&store, state)?;
        let known =
            if allow_rollback { store.newest_clock() } else { merge_clocks(&store.newest_clock(), &state.known) };
        if let Some(own) = known.get(&state.machine) {
            // This home may be an older copy of itself.
            state.counter = state.counter.max(own.counter);
        }
        if !store.is_consistent() && state.pushing.is_none() {
            state.pushing = lost_push(state, &known);
        }
        if known != state.known {
            // What is gone is no longer merged, but an edit of this machine.
            let before = state.files.merged.clone();
            state.files.merged.retain(|machine, _| known.contains_key(machine));
            for (machine, seen) in &mut state.files.merged {
                if let Some(newest) = known.get(machine).filter(|newest| newest.counter < seen.counter) {
                    *seen = newest.clone();
                }
            }
            if state.files.merged != before {
                let merged = store.heads().into_iter().filter(|head| head.is_merged_into(&state.files.merged));
                state.files.pushed = merged.flat_map(|head| self.meant(head)).collect();
            }
            state.known = known;
            self.directory.save(state)?;
        }
        Ok(store)
    }

    /// Returns the digests of what the files of a snapshot mean.
    fn meant(&self, snapshot: &Snapshot) -> BTreeMap<SyncPath, String> {
        let meant = |path: &SyncPath| {
            let (bytes, executable) = snapshot.file(path)?;
            Some((path.clone(), meaning_digest(&self.scope, path, bytes, executable)))
        };
        snapshot.manifest.files.keys().filter_map(meant).collect()
    }

    /// Finishes a push that was killed, or failed, if its object arrived.
    fn finish_push(&self, store: &SyncStore<'_>, state: &mut SyncState) -> Result<(), SyncError> {
        let Some(pushing) = state.pushing.take() else { return Ok(()) };
        if ObjectName::parse(&pushing.object).is_some_and(|name| store.listing.is_listed(&name)) {
            state.finish(pushing);
        } else if !store.is_consistent() {
            state.pushing = Some(pushing);
            state.skip_counter();
        }
        Ok(self.directory.save(state)?)
    }

    /// Opens the store.
    async fn open(&self) -> Result<OpenStore, SyncError> {
        let turn = self.directory.lock()?;
        let state = self.state()?;
        let keys = self.keys(&state)?;
        let far = self.far(&state.remote).await?;
        Ok(OpenStore { state, keys, remote: far, _turn: turn })
    }
}

/// Returns the newest push of this machine if it is no longer known: its object may appear again.
fn lost_push(state: &SyncState, known: &VectorClock) -> Option<PendingPush> {
    let own = state.known.get(&state.machine).filter(|own| known.get(&state.machine) != Some(own))?;
    let is_older = known.get(&state.machine).is_none_or(|now| now.counter < own.counter);
    let object = ObjectName::from_seen(&state.store, &state.machine, own)?.to_string();
    let is_merged = state.files.merged.get(&state.machine) == Some(own);
    let id = state.remote_id.clone().filter(|kept| kept.object == object).map(|kept| kept.id);
    (is_older && is_merged).then(|| PendingPush { object, files: state.files.clone(), id })
}

fn secret_name(name: &'static str) -> Result<SecretName, SyncError> {
    name.parse().map_err(|_| SyncError::Internal("a secret has a name that can't be one".into()))
}

/// Returns the digests of what contents mean: another order or format is nothing to push.
fn digests(files: &MachineFiles, scope: &Scope) -> BTreeMap<SyncPath, String> {
    let meant = |path: &SyncPath, file: &FileContent| meaning_digest(scope, path, &file.bytes, file.executable);
    files.iter().map(|(path, file)| (path.clone(), meant(path, file))).collect()
}

fn meaning_digest(scope: &Scope, path: &SyncPath, bytes: &[u8], executable: bool) -> String {
    let meant = scope.lookup_rule(path).map(|row| canonical_bytes(row.form, bytes, &|key| row.is_set(key)));
    content_digest(meant.as_deref().unwrap_or(bytes), executable)
}

fn content_digest(bytes: &[u8], executable: bool) -> String {
    format!("{}{}", digest(bytes), if executable { "x" } else { "" })
}

/// Returns the files that differ from what the remote has.
fn unpushed(gathered: &GatheredFiles, state: &SyncState, scope: &Scope) -> Vec<SyncPath> {
    let own = digests(&gathered.files, scope);
    let differs =
        own.iter().filter(|(path, digest)| state.files.pushed.get(*path) != Some(digest)).map(|(path, _)| path);
    let gone = state.files.pushed.keys().filter(|path| {
        !own.contains_key(*path) && matches_tracked_patterns(&gathered.covered_patterns, &gathered.unknown_paths, path)
    });
    differs.chain(gone).cloned().collect()
}

/// Returns what is covered and left out once something is merged or pushed: what can't be read now keeps what was merged into
/// it before, also a root that is gone. What the user excludes begins anew when it comes back: what was removed meanwhile is
/// removed nowhere else.
fn coverage(
    state: &SyncState,
    gathered: &GatheredFiles,
    covers: Vec<String>,
    excluded: &[String],
) -> (Vec<String>, SkippedPaths) {
    let before =
        |left_out: &String| if excluded.contains(left_out) { VectorClock::new() } else { before_of(left_out, state) };
    let mut silent: SkippedPaths =
        gathered.unknown_paths.iter().map(|left_out| (left_out.clone(), before(left_out))).collect();
    // Not a row that no longer travels: nothing is known of it when it comes back.
    let root_of = |pattern: &str| pattern.split_once(':').map(|(root, _)| format!("{root}:")).unwrap_or_default();
    let there: BTreeSet<String> = covers.iter().map(|pattern| root_of(pattern)).collect();
    let gone: Vec<String> =
        state.files.covers.iter().filter(|pattern| !there.contains(&root_of(pattern))).cloned().collect();
    for root in gone.iter().map(|pattern| root_of(pattern)) {
        silent.insert(root.clone(), before(&root));
    }
    (covers.into_iter().chain(gone).collect(), silent)
}

fn before_of(left_out: &str, state: &SyncState) -> VectorClock {
    state.files.silent.get(left_out).cloned().unwrap_or_else(|| state.files.merged.clone())
}

/// Returns the roots that were never merged on this machine: they may be made.
fn new_roots(state: &SyncState) -> BTreeSet<SyncRoot> {
    let known = |root: &SyncRoot| {
        state
            .files
            .covers
            .iter()
            .any(|pattern| pattern.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with(':')))
    };
    SyncRoot::ALL.into_iter().filter(|root| !known(root)).collect()
}

/// Whom a verb asks, and whom it tells.
pub(crate) struct SyncUi<'a> {
    pub(crate) prompter: &'a dyn Prompter,
    pub(crate) reporter: &'a dyn Reporter,
}

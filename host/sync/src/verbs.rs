//! What a person does with a store.

mod answers;
mod begin;
mod login;
mod look;
mod pull;
mod push;
mod scope;

use std::collections::BTreeMap;

use aiw_core::{Ask, Secret, SecretName, Sink};
use aiw_home::{Home, Turn};
use aiw_net::HttpClient;

pub use answers::{
    SeenMachine, SnapshotFile, StoreBegun, StoreListing, StoreSnapshot, StoreStatus, SyncChange, SyncConflict,
    SyncDifference, SyncLog, SyncLogEntry, SyncPull, SyncPush, SyncRekeyed, SyncUndone,
};
pub use pull::PullRequest;
pub use push::PushRequest;

use crate::apply::recover;
use crate::error::SyncError;
use crate::far::{FarAddress, FarContext, FarEnd, open};
use crate::gather::{Gathered, Gatherer};
use crate::graph::{joined, speaks};
use crate::keys::{Phrase, StoreKeys};
use crate::place::{Roots, SyncPath, SyncRoot};
use crate::snapshot::{Files, digest};
use crate::state::{SyncDirectory, SyncState};
use crate::store::{Store, list};
use crate::travel::Scope;

/// The name of the phrase in the vault.
const PHRASE: &str = "sync-phrase";

/// Configuration of this machine, and its store.
pub struct Synchronizer {
    home: Home,
    client: HttpClient,
    directory: SyncDirectory,
    roots: Roots,
    scope: Scope,
}

/// A store that is open: one process at a time has it.
struct OpenStore {
    state: SyncState,
    keys: StoreKeys,
    far: Box<dyn FarEnd>,
    _turn: Turn,
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
            directory: SyncDirectory::of(home),
            roots: Roots::of(home).ok_or(SyncError::NoHome)?,
            scope: Scope::new(settings.include, settings.exclude),
        })
    }

    fn gatherer(&self) -> Gatherer<'_> {
        Gatherer { home: &self.home, roots: &self.roots, scope: &self.scope }
    }

    async fn far(&self, address: &str) -> Result<Box<dyn FarEnd>, SyncError> {
        let address = FarAddress::parse(address, self.home.around())?;
        Ok(open(&address, &self.context()?).await?)
    }

    fn context(&self) -> Result<FarContext, SyncError> {
        Ok(FarContext::new(self.home.clone(), self.client.clone())?)
    }

    /// Returns the state after what a killed process left is finished.
    fn state(&self) -> Result<SyncState, SyncError> {
        let mut state = self.directory.load()?.ok_or(SyncError::NoStore)?;
        recover(&self.home, &self.directory, &mut state)?;
        Ok(state)
    }

    fn phrase(&self) -> Result<Phrase, SyncError> {
        let name = phrase_name()?;
        match self.home.vault().get(&name) {
            Ok(words) => Ok(Phrase::parse(words.expose())?),
            Err(aiw_home::VaultError::Unknown { .. }) => Err(SyncError::NoPhrase),
            Err(e) => Err(e.into()),
        }
    }

    fn keys(&self, state: &SyncState) -> Result<StoreKeys, SyncError> {
        let keys = self.phrase()?.keys().ok_or_else(|| SyncError::Internal("keys can't be made".into()))?;
        if keys.store == state.store { Ok(keys) } else { Err(SyncError::NoPhrase) }
    }

    /// Looks at the far end, and remembers the newest that it shows of each machine.
    async fn look<'a>(
        &'a self,
        far: &'a dyn FarEnd,
        keys: &'a StoreKeys,
        state: &mut SyncState,
        accept_older: bool,
    ) -> Result<Store<'a>, SyncError> {
        let store = Store::look(far, keys, &self.directory, state, accept_older).await?;
        let known = if accept_older { store.known() } else { joined(&store.known(), &state.known) };
        if known != state.known {
            state.known = known;
            self.directory.save(state)?;
        }
        Ok(store)
    }

    /// Opens the store. A push that was killed is finished if its object arrived.
    async fn open(&self) -> Result<OpenStore, SyncError> {
        let turn = self.directory.turn()?;
        let mut state = self.state()?;
        let keys = self.keys(&state)?;
        let far = self.far(&state.far_end).await?;
        if let Some(pushing) = state.pushing.take() {
            if list(&*far).await?.contains(&pushing.object) {
                state.finish(pushing);
            }
            self.directory.save(&state)?;
        }
        Ok(OpenStore { state, keys, far, _turn: turn })
    }
}

fn phrase_name() -> Result<SecretName, SyncError> {
    PHRASE.parse().map_err(|_| SyncError::Internal("the phrase has a name that can't be one".into()))
}

/// Returns the digests of contents.
fn digests(files: &Files) -> BTreeMap<SyncPath, String> {
    files.iter().map(|(path, file)| (path.clone(), content_digest(&file.bytes, file.executable))).collect()
}

fn content_digest(bytes: &[u8], executable: bool) -> String {
    format!("{}{}", digest(bytes), if executable { "x" } else { "" })
}

/// Returns the files that differ from what the far end has.
fn unpushed(gathered: &Gathered, state: &SyncState) -> Vec<SyncPath> {
    let own = digests(&gathered.files);
    let differs = own.iter().filter(|(path, digest)| state.pushed.get(*path) != Some(digest)).map(|(path, _)| path);
    let gone = state.pushed.keys().filter(|path| {
        !own.contains_key(*path)
            && speaks(&gathered.covers, &gathered.silent, path)
            && !gathered.local.contains_key(*path)
    });
    differs.chain(gone).cloned().collect()
}

/// Returns the roots that were never merged on this machine: they may be made.
fn new_roots(state: &SyncState) -> std::collections::BTreeSet<SyncRoot> {
    let known = |root: &SyncRoot| {
        state.covers.iter().any(|pattern| pattern.strip_prefix(root.as_str()).is_some_and(|rest| rest.starts_with(':')))
    };
    SyncRoot::ALL.into_iter().filter(|root| !known(root)).collect()
}

/// Whom a verb asks, and whom it tells.
pub(crate) struct Talk<'a> {
    pub(crate) ask: &'a dyn Ask,
    pub(crate) sink: &'a dyn Sink,
}

/// Returns the secret that somebody typed.
async fn typed(ask: &dyn Ask, given: Option<Secret>, words: &str) -> Result<Option<Secret>, SyncError> {
    match given {
        Some(given) => Ok(Some(given)),
        None => Ok(ask.secret(words).await?),
    }
}

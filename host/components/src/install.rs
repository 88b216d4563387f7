//! Adding, updating, enabling, disabling and removing third-party components.

use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_core::ExtensionId;
use aiw_extensions::{Grants, is_lower_version};
use aiw_home::{Lock, LockedExtension};
use aiw_net::HttpClient;
use aiw_wasm::Component;

use crate::LibraryError;
use crate::library::{Library, find};
use crate::source::{CandidateComponent, read, redact_source};

/// The purpose of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Adding {
    New,
    Update,
}

impl Library {
    /// Loads a candidate without adding it, and grants everything that it asks for. For its author.
    pub fn load_candidate<'a>(
        &'a self,
        candidate: &'a CandidateComponent,
    ) -> BoxFuture<'a, Result<Component, LibraryError>> {
        Box::pin(async move { self.load_unlisted(&candidate.facts, &candidate.bytes).await })
    }

    /// Reads a component from a file, a directory or a URL. Stores nothing.
    pub async fn read(&self, source: &str, client: &HttpClient) -> Result<CandidateComponent, LibraryError> {
        read(source, client).await
    }

    /// Why a candidate can't be added, checked before the user is asked.
    pub fn check_add(&self, candidate: &CandidateComponent) -> Result<(), LibraryError> {
        self.check(candidate, &self.home.extensions_lock()?.extensions, Adding::New)
    }

    fn check(
        &self,
        candidate: &CandidateComponent,
        extensions: &BTreeMap<ExtensionId, LockedExtension>,
        adding: Adding,
    ) -> Result<(), LibraryError> {
        let id = &candidate.facts.manifest.id;
        if self.is_bundled(id.as_str()) {
            return Err(LibraryError::Bundled { id: id.to_string(), action: "replaced" });
        }
        match (extensions.get(id), adding) {
            // The same file again changes nothing.
            (Some(known), Adding::New) if known.sha256 != candidate.facts.sha256 => {
                Err(LibraryError::AlreadyInstalled { id: id.to_string(), source_name: redact_source(&known.source) })
            }
            // Removed while its update was read: it stays removed.
            (None, Adding::Update) => Err(LibraryError::NotFound { id: id.to_string() }),
            _ => Ok(()),
        }
    }

    /// Adds a candidate that the user agreed to. It is compiled first, so that every listed component loads.
    pub fn add<'a>(
        self: &'a Arc<Self>,
        candidate: &'a CandidateComponent,
    ) -> BoxFuture<'a, Result<LockedExtension, LibraryError>> {
        Box::pin(async move { self.keep(candidate, Adding::New).await })
    }

    /// Replaces the component passed to [`Library::check_update`] with a candidate.
    pub fn update<'a>(
        self: &'a Arc<Self>,
        candidate: &'a CandidateComponent,
    ) -> BoxFuture<'a, Result<LockedExtension, LibraryError>> {
        Box::pin(async move { self.keep(candidate, Adding::Update).await })
    }

    async fn keep(
        self: &Arc<Self>,
        candidate: &CandidateComponent,
        adding: Adding,
    ) -> Result<LockedExtension, LibraryError> {
        self.load_candidate(candidate).await?;
        let (library, candidate) = (self.clone(), candidate.clone());
        aiw_home::run_blocking(move || library.commit(&candidate, adding)).await
    }

    fn commit(&self, candidate: &CandidateComponent, adding: Adding) -> Result<LockedExtension, LibraryError> {
        let about = &candidate.facts;
        let lock = self.home.lock()?;
        let mut file = self.home.extensions_lock()?;
        // Check again: another command may have run between the question and the answer.
        self.check(candidate, &file.extensions, adding)?;
        let path = self.home.extension(&about.manifest.id, &about.sha256);
        if let Some(parent) = path.parent() {
            self.home.make_dir(parent)?;
        }
        aiw_home::replace(&path, &candidate.bytes, aiw_home::Mode::Private)?;
        let locked = LockedExtension {
            id: about.manifest.id.clone(),
            version: about.manifest.version.clone(),
            source: candidate.source.clone(),
            sha256: about.sha256.clone(),
            worlds: about.worlds.iter().map(|w| w.as_str().to_owned()).collect(),
            enabled: file.extensions.get(&about.manifest.id).is_none_or(|known| known.enabled),
            added_at: aiw_home::now_rfc3339(),
            grants: candidate.requested.to_map(),
        };
        let old = file.extensions.insert(locked.id.clone(), locked.clone());
        file.save(&lock)?;
        if let Some(old) = old.filter(|old| old.sha256 != locked.sha256) {
            let _ = aiw_home::remove_file(&self.home.extension(&old.id, &old.sha256));
        }
        Ok(locked)
    }

    /// Changes the lock file. Passes on the lock for the steps that follow.
    fn change<T>(
        &self,
        id: &str,
        action: &'static str,
        change: impl FnOnce(&mut BTreeMap<ExtensionId, LockedExtension>, &ExtensionId) -> Option<T>,
    ) -> Result<(T, Lock), LibraryError> {
        if self.is_bundled(id) {
            return Err(LibraryError::Bundled { id: id.to_owned(), action });
        }
        let unknown = || LibraryError::NotFound { id: aiw_core::one_line(id, 80) };
        let key: ExtensionId = id.parse().map_err(|_| unknown())?;
        let lock = self.home.lock()?;
        let mut file = self.home.extensions_lock()?;
        let result = change(&mut file.extensions, &key).ok_or_else(unknown)?;
        file.save(&lock)?;
        Ok((result, lock))
    }

    /// Enables or disables a component.
    pub fn set_enabled(&self, id: &str, enabled: bool) -> Result<(), LibraryError> {
        let action = if enabled { "enabled" } else { "disabled" };
        let (done, _lock) = self.change(id, action, |extensions, id| {
            extensions.get_mut(id)?.enabled = enabled;
            Some(())
        })?;
        Ok(done)
    }

    /// Removes a component, its file and what it cached.
    pub fn remove(&self, id: &str) -> Result<LockedExtension, LibraryError> {
        let (gone, _lock) = self.change(id, "removed", |extensions, id| extensions.remove(id))?;
        // Only now: if the lock file could not be written, it still names the file.
        let _ = aiw_home::remove_file(&self.home.extension(&gone.id, &gone.sha256));
        let _ = aiw_home::remove_tree(&self.home.cache(&format!("components/{}", gone.id)));
        Ok(gone)
    }

    /// Returns the candidate that would replace a component, and the reasons for which the user must agree first;
    /// `None` if its source has the same file.
    pub async fn check_update(
        &self,
        id: &str,
        client: &HttpClient,
    ) -> Result<Option<(CandidateComponent, Vec<LibraryError>)>, LibraryError> {
        if self.is_bundled(id) {
            return Err(LibraryError::Bundled { id: id.to_owned(), action: "updated separately" });
        }
        let lock = self.home.extensions_lock()?;
        let known = find(&lock.extensions, id)?;
        let candidate = read(&known.source, client).await?;
        if candidate.facts.manifest.id != known.id {
            return Err(LibraryError::IdMismatch {
                source_name: redact_source(&known.source),
                found: candidate.facts.manifest.id,
            });
        }
        let more = candidate.requested.difference(&Grants::from_map(&known.grants));
        let whole = self.read_locked(known).is_ok();
        if candidate.facts.sha256 == known.sha256 && more.is_empty() && whole {
            return Ok(None);
        }
        let (id, offered) = (id.to_owned(), candidate.facts.manifest.version.clone());
        let mut against = Vec::new();
        if !more.is_empty() {
            against.push(LibraryError::AdditionalCapabilities { id: id.clone(), version: offered.clone(), more });
        }
        // An old version may have vulnerabilities that were fixed since.
        if is_lower_version(&offered, &known.version) {
            against.push(LibraryError::Downgrade { id, installed: known.version.clone(), offered });
        }
        Ok(Some((candidate, against)))
    }
}

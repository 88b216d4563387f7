//! Which components there are: those inside the binary and those of `extensions.lock`.
//! Adds, updates and removes the latter; loads either, with its digest checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use aiw_core::{ErrorKind, ExtensionId};
use aiw_extensions::{About, Capability, ExtensionError, Grants, MAX_COMPONENT_BYTES, World, inspect};
use aiw_home::{Home, HomeError, Lock, LockedExtension};
use aiw_net::{NetError, Policy, Request};
use tokio::sync::Mutex;

use crate::capabilities::Capabilities;
use crate::{CompiledCache, Component, Engine, LoadError};

/// What can go wrong with third-party components.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// A file of the home.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The component could not be fetched.
    #[error(transparent)]
    Net(#[from] NetError),
    /// It does not load.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The file is not a component for this aiw.
    #[error("`{source_name}` {error}")]
    Extension {
        /// The path or URL that was given.
        source_name: String,
        /// Why.
        error: ExtensionError,
    },
    /// There is nothing to read at the source.
    #[error("{message}")]
    Source {
        /// A sentence.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// No component has that id.
    #[error("there is no component `{id}`")]
    Unknown {
        /// The id.
        id: String,
    },
    /// The id belongs to a component inside the binary.
    #[error("component `{id}` is part of aiw and can't be {action}")]
    Bundled {
        /// The id.
        id: String,
        /// `added`, `removed`, …
        action: &'static str,
    },
    /// An id that is taken by a component from elsewhere.
    #[error("component `{id}` is already there, from `{source_name}`")]
    Taken {
        /// The id.
        id: String,
        /// Where the present one came from.
        source_name: String,
    },
    /// An update asks for more than was agreed to.
    #[error("component `{id}` {version} asks for more than was agreed to: {}", list(.more))]
    AsksMore {
        /// The id.
        id: String,
        /// The version that asks.
        version: String,
        /// What it asks for in addition.
        more: Vec<Capability>,
    },
}

fn list(more: &[Capability]) -> String {
    more.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl LibraryError {
    /// The kind, for the exit code.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Home(e) => e.kind(),
            Self::Net(e) => e.kind(),
            Self::Load(LoadError::Digest { .. }) => ErrorKind::Config,
            _ => ErrorKind::User,
        }
    }

    /// What to do next, where there is one thing to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Home(e) => e.hint(),
            Self::Source { hint, .. } => hint.clone(),
            Self::Unknown { .. } => Some("`aiw extension list` shows the components".into()),
            Self::Taken { id, .. } => Some(format!("`aiw extension update {id}` or `aiw extension remove {id}` first")),
            Self::AsksMore { id, .. } => Some(format!("`aiw extension update {id} --accept-changes` agrees to it")),
            Self::Load(LoadError::Digest { id, .. }) => {
                Some(format!("`aiw extension remove {id}`, then add it again from a source that you trust"))
            }
            _ => None,
        }
    }
}

/// One component, for lists.
#[derive(Debug, Clone)]
pub struct Known {
    /// What it says of itself; none when its file is missing or not what was agreed to.
    pub about: Option<About>,
    /// The record in the lock file; none for a bundled component.
    pub locked: Option<LockedExtension>,
    /// Its id.
    pub id: ExtensionId,
    /// Why it does not load, as a sentence.
    pub problem: Option<String>,
}

impl Known {
    /// Whether it may be called.
    pub fn enabled(&self) -> bool {
        self.locked.as_ref().is_none_or(|locked| locked.enabled)
    }
}

/// A component that was read and not added yet.
#[derive(Debug)]
pub struct Candidate {
    /// What it says of itself.
    pub about: About,
    /// What it asks for.
    pub wanted: Grants,
    /// Where it came from: an absolute path or a URL.
    pub source: String,
    bytes: Vec<u8>,
}

/// What a candidate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Adding {
    New,
    Update,
}

/// A component that is part of the binary.
#[derive(Debug, Clone, Copy)]
pub struct Bundled {
    /// As its manifest says.
    pub id: &'static str,
    /// What it offers.
    pub world: World,
    /// The component.
    pub bytes: &'static [u8],
}

/// All components of a home.
pub struct Library {
    home: Home,
    bundled: Vec<(Bundled, OnceLock<About>)>,
    capabilities: Capabilities,
    engine: OnceLock<Engine>,
    loaded: Mutex<BTreeMap<String, Arc<Component>>>,
}

impl Library {
    /// The library of a home, with the components that are part of the binary.
    pub fn new(home: Home, bundled: &[Bundled], capabilities: Capabilities) -> Self {
        let bundled = bundled.iter().map(|component| (*component, OnceLock::new())).collect();
        Self { home, bundled, capabilities, engine: OnceLock::new(), loaded: Mutex::new(BTreeMap::new()) }
    }

    fn bundled(&self, id: &str) -> Option<&(Bundled, OnceLock<About>)> {
        self.bundled.iter().find(|(component, _)| component.id == id)
    }

    fn engine(&self) -> Result<Engine, LoadError> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine.clone());
        }
        // The home itself is made on the way; a cache that can't be made is none.
        let dir = self.home.cache("compiled-v1");
        let cache = match self.home.make_dir(&dir) {
            Ok(()) => CompiledCache::at(dir),
            Err(_) => CompiledCache::none(),
        };
        let engine = Engine::new(cache)?;
        Ok(self.engine.get_or_init(|| engine).clone())
    }

    /// Whether a component is part of the binary.
    pub fn is_bundled(&self, id: &str) -> bool {
        self.bundled(id).is_some()
    }

    /// Every component; the bundled ones first.
    pub fn list(&self) -> Result<Vec<Known>, LibraryError> {
        let mut known = Vec::new();
        for bundled in &self.bundled {
            let about = about_of(bundled)?;
            known.push(Known {
                id: about.manifest.id.clone(),
                about: Some(about.clone()),
                locked: None,
                problem: None,
            });
        }
        for (id, locked) in self.home.extensions_lock()?.extensions {
            let (about, problem) = match self.read_locked(&locked) {
                Ok((about, _)) => (Some(about), None),
                Err(e) => (None, Some(e.to_string())),
            };
            known.push(Known { id, about, locked: Some(locked), problem });
        }
        Ok(known)
    }

    /// Ids of the components that may be called and offer a world.
    pub fn enabled(&self, world: World) -> Result<Vec<ExtensionId>, LibraryError> {
        let bundled = self.bundled.iter().filter(|(component, _)| component.world == world);
        let mut ids: Vec<ExtensionId> = bundled.filter_map(|(component, _)| component.id.parse().ok()).collect();
        let lock = self.home.extensions_lock()?;
        let offers = |e: &&LockedExtension| e.enabled && e.worlds.iter().any(|w| w == world.as_str());
        ids.extend(lock.extensions.values().filter(offers).map(|e| e.id.clone()));
        Ok(ids)
    }

    /// The file of a locked component, with its digest checked.
    fn read_locked(&self, locked: &LockedExtension) -> Result<(About, Vec<u8>), LibraryError> {
        let path = self.home.extension(&locked.id, &locked.sha256);
        let bytes = aiw_home::read_capped(&path, MAX_COMPONENT_BYTES)?.ok_or_else(|| LibraryError::Source {
            message: format!("the file of component `{}` is gone: `{}`", locked.id, path.display()),
            hint: Some(format!("`aiw extension update {}` reads it again", locked.id)),
        })?;
        let found = aiw_extensions::sha256_hex(&bytes);
        if found != locked.sha256 {
            return Err(LoadError::Digest { id: locked.id.to_string(), pinned: locked.sha256.clone(), found }.into());
        }
        let about = inspect(&bytes)
            .map_err(|error| LibraryError::Extension { source_name: path.display().to_string(), error })?;
        Ok((about, bytes))
    }

    /// Loads a component; a second time it is the same one.
    pub async fn load(&self, id: &str) -> Result<Arc<Component>, LibraryError> {
        let mut loaded = self.loaded.lock().await;
        if let Some(component) = loaded.get(id) {
            return Ok(component.clone());
        }
        let unknown = || LibraryError::Unknown { id: aiw_core::one_line(id, 80) };
        let (about, bytes, granted) = match self.bundled(id) {
            Some(bundled) => {
                let about = about_of(bundled)?;
                (about.clone(), std::borrow::Cow::Borrowed(bundled.0.bytes), Grants::wanted(about))
            }
            None => {
                let lock = self.home.extensions_lock()?;
                let locked =
                    id.parse().ok().and_then(|id: ExtensionId| lock.extensions.get(&id)).ok_or_else(unknown)?;
                if !locked.enabled {
                    return Err(LibraryError::Source {
                        message: format!("component `{id}` is disabled"),
                        hint: Some(format!("`aiw extension enable {id}`")),
                    });
                }
                let (about, bytes) = self.read_locked(locked)?;
                (about, bytes.into(), Grants::from_map(&locked.grants))
            }
        };
        let component = Component::load(&self.engine()?, &bytes, &about, granted, self.capabilities.clone()).await?;
        let component = Arc::new(component);
        loaded.insert(id.to_owned(), component.clone());
        Ok(component)
    }

    /// Loads a candidate without adding it, with all that it asks for: for its author.
    pub async fn try_out(&self, candidate: &Candidate) -> Result<Component, LibraryError> {
        let (about, wanted) = (&candidate.about, candidate.wanted.clone());
        Ok(Component::load(&self.engine()?, &candidate.bytes, about, wanted, self.capabilities.clone()).await?)
    }

    /// Reads a component from a file, a directory or a URL. Nothing is kept.
    pub async fn read(&self, source: &str, client: &aiw_net::Client) -> Result<Candidate, LibraryError> {
        let (source, bytes) = if source.starts_with("https://") || source.starts_with("http://") {
            // What was typed may be anywhere; where it redirects to (release assets do) is the public internet.
            let mut policy = Policy::public();
            policy.grant_url(source);
            let request = Request { limit: MAX_COMPONENT_BYTES, ..Request::new(source) };
            let response = client.get(&policy, &request).await?;
            if response.status != 200 {
                let message = format!("`{}` answered {}", shown(source), response.status);
                return Err(LibraryError::Source { message, hint: None });
            }
            (source.to_owned(), response.body)
        } else {
            let path = component_file(Path::new(source))?;
            let path = std::path::absolute(&path).unwrap_or(path);
            let bytes = aiw_home::read_capped(&path, MAX_COMPONENT_BYTES)?.ok_or_else(|| LibraryError::Source {
                message: format!("there is no file `{}`", path.display()),
                hint: None,
            })?;
            (path.display().to_string(), bytes)
        };
        let named = |error| LibraryError::Extension { source_name: shown(&source), error };
        let about = inspect(&bytes).map_err(named)?;
        Ok(Candidate { wanted: Grants::wanted(&about), about, source, bytes })
    }

    /// What stands against adding a candidate, before anybody is asked.
    pub fn check_add(&self, candidate: &Candidate) -> Result<(), LibraryError> {
        self.check(candidate, &self.home.extensions_lock()?.extensions, Adding::New)
    }

    fn check(
        &self,
        candidate: &Candidate,
        extensions: &BTreeMap<ExtensionId, LockedExtension>,
        adding: Adding,
    ) -> Result<(), LibraryError> {
        let id = &candidate.about.manifest.id;
        if self.is_bundled(id.as_str()) {
            return Err(LibraryError::Bundled { id: id.to_string(), action: "replaced" });
        }
        match (extensions.get(id), adding) {
            // The same file again is no news.
            (Some(known), Adding::New) if known.sha256 != candidate.about.sha256 => {
                Err(LibraryError::Taken { id: id.to_string(), source_name: shown(&known.source) })
            }
            // Removed while its update was read: it stays away.
            (None, Adding::Update) => Err(LibraryError::Unknown { id: id.to_string() }),
            _ => Ok(()),
        }
    }

    /// Adds a candidate: the user has agreed. It is compiled first, so that what is listed also loads.
    pub async fn add(&self, candidate: &Candidate) -> Result<LockedExtension, LibraryError> {
        self.keep(candidate, Adding::New).await
    }

    /// Puts a candidate in the place of the component that [`Library::check_update`] was asked for.
    pub async fn update(&self, candidate: &Candidate) -> Result<LockedExtension, LibraryError> {
        self.keep(candidate, Adding::Update).await
    }

    async fn keep(&self, candidate: &Candidate, adding: Adding) -> Result<LockedExtension, LibraryError> {
        self.try_out(candidate).await?;
        let about = &candidate.about;
        let lock = self.home.lock()?;
        let mut file = self.home.extensions_lock()?;
        // Again: between the question and the answer another command may have been here.
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
            grants: candidate.wanted.to_map(),
        };
        let old = file.extensions.insert(locked.id.clone(), locked.clone());
        file.save(&lock)?;
        if let Some(old) = old.filter(|old| old.sha256 != locked.sha256) {
            let _ = std::fs::remove_file(self.home.extension(&old.id, &old.sha256));
        }
        Ok(locked)
    }

    /// Changes the lock file. The lock is handed on, for what has to follow.
    fn change<T>(
        &self,
        id: &str,
        action: &'static str,
        change: impl FnOnce(&mut BTreeMap<ExtensionId, LockedExtension>, &ExtensionId) -> Option<T>,
    ) -> Result<(T, Lock), LibraryError> {
        if self.is_bundled(id) {
            return Err(LibraryError::Bundled { id: id.to_owned(), action });
        }
        let unknown = || LibraryError::Unknown { id: aiw_core::one_line(id, 80) };
        let key: ExtensionId = id.parse().map_err(|_| unknown())?;
        let lock = self.home.lock()?;
        let mut file = self.home.extensions_lock()?;
        let result = change(&mut file.extensions, &key).ok_or_else(unknown)?;
        file.save(&lock)?;
        Ok((result, lock))
    }

    /// Switches a component on or off.
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
        // Only now: a lock file that could not be written still names the file.
        let _ = std::fs::remove_file(self.home.extension(&gone.id, &gone.sha256));
        let _ = aiw_home::remove_tree(&self.home.cache(&format!("components/{}", gone.id)));
        Ok(gone)
    }

    /// What an update of a component would change; `None` when its source has the same file.
    pub async fn check_update(
        &self,
        id: &str,
        client: &aiw_net::Client,
    ) -> Result<Option<(Candidate, Vec<Capability>)>, LibraryError> {
        if self.is_bundled(id) {
            return Err(LibraryError::Bundled { id: id.to_owned(), action: "updated by itself" });
        }
        let lock = self.home.extensions_lock()?;
        let unknown = || LibraryError::Unknown { id: aiw_core::one_line(id, 80) };
        let known = id.parse().ok().and_then(|id: ExtensionId| lock.extensions.get(&id)).ok_or_else(unknown)?;
        let candidate = self.read(&known.source, client).await?;
        if candidate.about.manifest.id != known.id {
            return Err(LibraryError::Source {
                message: format!(
                    "`{}` now holds another component, `{}`",
                    shown(&known.source),
                    candidate.about.manifest.id
                ),
                hint: None,
            });
        }
        let more = candidate.wanted.beyond(&Grants::from_map(&known.grants));
        let whole = self.read_locked(known).is_ok();
        if candidate.about.sha256 == known.sha256 && more.is_empty() && whole {
            return Ok(None);
        }
        Ok(Some((candidate, more)))
    }
}

/// What a bundled component says of itself; it is read when it is first asked for.
fn about_of((component, about): &(Bundled, OnceLock<About>)) -> Result<&About, LibraryError> {
    if let Some(about) = about.get() {
        return Ok(about);
    }
    let read = inspect(component.bytes)
        .map_err(|error| LibraryError::Extension { source_name: component.id.to_owned(), error })?;
    Ok(about.get_or_init(|| read))
}

/// A path or URL for messages; a query may hold a key.
fn shown(source: &str) -> String {
    aiw_core::one_line(&aiw_core::without_query(source), 200)
}

/// The component that a path means: the file itself, or the one component of a directory,
/// looked for where cargo and the JavaScript build leave it.
fn component_file(path: &Path) -> Result<PathBuf, LibraryError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let places = ["", "dist", "target/wasm32-wasip2/release", "target/wasm32-unknown-unknown/release"];
    for place in places {
        let Ok(entries) = std::fs::read_dir(path.join(place)) else { continue };
        let mut found: Vec<PathBuf> =
            entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "wasm")).collect();
        found.sort();
        match found.len() {
            0 => {}
            1 => return Ok(found.remove(0)),
            _ => {
                return Err(LibraryError::Source {
                    message: format!("there are several components in `{}`", path.join(place).display()),
                    hint: Some("name the file".into()),
                });
            }
        }
    }
    Err(LibraryError::Source {
        message: format!("there is no component in `{}`", path.display()),
        hint: Some("build it first: `cargo build --release --target wasm32-wasip2`".into()),
    })
}

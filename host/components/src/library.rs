//! The available components: bundled ones and those in `extensions.lock`. Loads either kind, and checks its digest.

use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use aiw_core::ExtensionId;
use aiw_extensions::{ComponentFacts, Grants, MAX_COMPONENT_BYTES, World, inspect};
use aiw_home::{ExtensionsLock, Home, LockedExtension};
use aiw_wasm::host::Capabilities;
use aiw_wasm::{CompiledCache, Component, Engine, LoadError, OnCompile, Origin};
use tokio::sync::OnceCell;

use crate::LibraryError;

/// One component, for lists.
#[derive(Debug, Clone)]
pub struct ComponentEntry {
    /// Its manifest; none if its file is missing or not the one that the user agreed to.
    pub facts: Option<ComponentFacts>,
    /// The record in the lock file; none for a bundled component.
    pub locked: Option<LockedExtension>,
    /// Its id.
    pub id: ExtensionId,
    /// Why it does not load, as a sentence.
    pub problem: Option<String>,
}

impl ComponentEntry {
    /// Whether it may be called.
    pub fn is_enabled(&self) -> bool {
        self.locked.as_ref().is_none_or(|locked| locked.enabled)
    }
}

/// A component that is part of the binary.
#[derive(Debug, Clone, Copy)]
pub struct BundledComponent {
    /// As its manifest says.
    pub id: &'static str,
    /// The kind that it offers.
    pub world: World,
    /// The component.
    pub bytes: &'static [u8],
}

/// The directory for compiled code in a home. Creates it, and the home as well; `None` if that fails.
pub fn compiled_cache_dir(home: &Home) -> Option<PathBuf> {
    let dir = home.cache("compiled-v1");
    home.make_dir(&dir).ok().map(|()| dir)
}

/// All components of a home, as one caller may use them.
pub struct Library {
    pub(crate) home: Home,
    capabilities: Capabilities,
    shared: Arc<SharedLibrary>,
}

/// The state that all callers of a library share.
struct SharedLibrary {
    bundled: Vec<(BundledComponent, OnceLock<ComponentFacts>)>,
    engine: OnceLock<Engine>,
    compiler: OnceLock<PathBuf>,
    on_compile: OnceLock<Arc<OnCompile>>,
    /// By digest. A component that is being compiled delays only those who wait for it.
    loaded: Mutex<BTreeMap<String, Arc<OnceCell<Arc<Component>>>>>,
}

impl Library {
    /// The library of a home, with the components that are part of the binary.
    pub fn new(home: Home, bundled: &[BundledComponent], capabilities: Capabilities) -> Self {
        let bundled = bundled.iter().map(|component| (*component, OnceLock::new())).collect();
        let shared = SharedLibrary {
            bundled,
            engine: OnceLock::new(),
            compiler: OnceLock::new(),
            on_compile: OnceLock::new(),
            loaded: Mutex::default(),
        };
        Self { home, capabilities, shared: Arc::new(shared) }
    }

    /// Returns the same library for a caller whose components reach something else. A component is loaded once for all
    /// callers.
    #[must_use]
    pub fn with_capabilities(&self, capabilities: Capabilities) -> Self {
        Self { home: self.home.clone(), capabilities, shared: self.shared.clone() }
    }

    /// Compiles third-party components in separate processes; see [`Engine::compile_with`].
    #[must_use]
    pub fn compile_with(self, program: PathBuf) -> Self {
        let _ = self.shared.compiler.set(program);
        self
    }

    /// Reports components that take long to compile; see [`Engine::on_compile`].
    #[must_use]
    pub fn on_compile(self, on_compile: Arc<OnCompile>) -> Self {
        let _ = self.shared.on_compile.set(on_compile);
        self
    }

    fn bundled(&self, id: &str) -> Option<&(BundledComponent, OnceLock<ComponentFacts>)> {
        self.shared.bundled.iter().find(|(component, _)| component.id == id)
    }

    fn engine(&self) -> Result<Engine, LoadError> {
        if let Some(engine) = self.shared.engine.get() {
            return Ok(engine.clone());
        }
        let mut engine =
            Engine::new(compiled_cache_dir(&self.home).map_or_else(CompiledCache::disabled, CompiledCache::new))?;
        if let Some(program) = self.shared.compiler.get() {
            engine = engine.compile_with(program.clone());
        }
        if let Some(on_compile) = self.shared.on_compile.get() {
            engine = engine.on_compile(on_compile.clone());
        }
        Ok(self.shared.engine.get_or_init(|| engine).clone())
    }

    /// Whether a component is part of the binary.
    pub fn is_bundled(&self, id: &str) -> bool {
        self.bundled(id).is_some()
    }

    /// Every component; the bundled ones first.
    pub fn list(&self) -> Result<Vec<ComponentEntry>, LibraryError> {
        let mut known = Vec::new();
        for bundled in &self.shared.bundled {
            let about = about_of(bundled)?;
            known.push(ComponentEntry {
                id: about.manifest.id.clone(),
                facts: Some(about.clone()),
                locked: None,
                problem: None,
            });
        }
        for (id, locked) in self.home.extensions_lock()?.extensions {
            let (about, problem) = match self.read_locked(&locked) {
                Ok((about, _)) => (Some(about), None),
                Err(e) => (None, Some(e.to_string())),
            };
            known.push(ComponentEntry { id, facts: about, locked: Some(locked), problem });
        }
        Ok(known)
    }

    /// Ids of the components that may be called and offer a world.
    pub fn enabled_ids(&self, world: World) -> Result<Vec<ExtensionId>, LibraryError> {
        let bundled = self.shared.bundled.iter().filter(|(component, _)| component.world == world);
        let mut ids: Vec<ExtensionId> = bundled.filter_map(|(component, _)| component.id.parse().ok()).collect();
        let lock = self.home.extensions_lock()?;
        let offers = |e: &&LockedExtension| e.enabled && e.worlds.iter().any(|w| w == world.as_str());
        ids.extend(lock.extensions.values().filter(offers).map(|e| e.id.clone()));
        Ok(ids)
    }

    /// The file of a locked component, with its digest checked.
    pub(crate) fn read_locked(&self, locked: &LockedExtension) -> Result<(ComponentFacts, Vec<u8>), LibraryError> {
        let bytes = checked(&self.home, locked)?;
        let path = self.home.extension(&locked.id, &locked.sha256);
        let about = inspect(&bytes)
            .map_err(|source| LibraryError::Extension { source_name: path.display().to_string(), source })?;
        Ok((about, bytes))
    }

    /// Loads a component. It is compiled and linked once.
    pub fn load<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Arc<Component>, LibraryError>> {
        Box::pin(async move {
            let (about, bytes, granted, origin) = match self.bundled(id) {
                Some(bundled) => {
                    let about = about_of(bundled)?;
                    let bytes = Cow::Borrowed(bundled.0.bytes);
                    (about.clone(), bytes, Grants::from_facts(about), Origin::Bundled)
                }
                None => {
                    let lock = self.home.extensions_lock()?;
                    let locked = find(&lock.extensions, id)?;
                    if !locked.enabled {
                        return Err(LibraryError::Disabled { id: id.to_owned() });
                    }
                    let (about, bytes) = self.read_locked(locked)?;
                    (about, bytes.into(), Grants::from_map(&locked.grants), Origin::Foreign)
                }
            };
            let place = {
                let mut loaded = self.shared.loaded.lock();
                loaded.entry(about.sha256.clone()).or_default().clone()
            };
            let load = async || {
                let (engine, capabilities) = (self.engine()?, self.capabilities.clone());
                let component = Component::load(&engine, &bytes, &about, granted, capabilities, origin).await?;
                Ok::<_, LibraryError>(Arc::new(component))
            };
            Ok(Arc::new(place.get_or_try_init(load).await?.with_capabilities(self.capabilities.clone())))
        })
    }

    /// Loads a component that is not added, and grants everything that it asks for.
    pub(crate) async fn load_unlisted(&self, about: &ComponentFacts, bytes: &[u8]) -> Result<Component, LibraryError> {
        let (engine, capabilities) = (self.engine()?, self.capabilities.clone());
        let granted = Grants::from_facts(about);
        Ok(Component::load(&engine, bytes, about, granted, capabilities, Origin::Foreign).await?)
    }
}

/// The record of a component that was added.
pub(crate) fn find<'l>(
    extensions: &'l BTreeMap<ExtensionId, LockedExtension>,
    id: &str,
) -> Result<&'l LockedExtension, LibraryError> {
    let found = id.parse().ok().and_then(|id: ExtensionId| extensions.get(&id));
    found.ok_or_else(|| LibraryError::NotFound { id: aiw_core::one_line(id, 80) })
}

/// Returns the manifest of a bundled component, which is read on first use.
fn about_of(
    (component, about): &(BundledComponent, OnceLock<ComponentFacts>),
) -> Result<&ComponentFacts, LibraryError> {
    if let Some(about) = about.get() {
        return Ok(about);
    }
    let read = inspect(component.bytes)
        .map_err(|source| LibraryError::Extension { source_name: component.id.to_owned(), source })?;
    Ok(about.get_or_init(|| read))
}

/// Reads the file of a locked component, and checks its digest.
fn checked(home: &Home, locked: &LockedExtension) -> Result<Vec<u8>, LibraryError> {
    let path = home.extension(&locked.id, &locked.sha256);
    let bytes = aiw_home::read_capped(&path, MAX_COMPONENT_BYTES)?
        .ok_or_else(|| LibraryError::Missing { id: locked.id.clone(), path: path.clone() })?;
    let found = aiw_extensions::sha256_hex(&bytes);
    match found == locked.sha256 {
        true => Ok(bytes),
        false => {
            Err(LoadError::DigestMismatch { id: locked.id.to_string(), pinned: locked.sha256.clone(), found }.into())
        }
    }
}

/// Returns the third-party components whose files are not those that the user agreed to, each with the problem. Nothing is
/// compiled.
pub fn find_damaged(home: &Home, lock: &ExtensionsLock) -> Vec<(ExtensionId, LibraryError)> {
    let checked = |locked: &LockedExtension| Some((locked.id.clone(), checked(home, locked).err()?));
    lock.extensions.values().filter_map(checked).collect()
}

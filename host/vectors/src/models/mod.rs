//! The models that there are, and the one in use.

mod catalogue;
mod error;
mod pull;

use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use aiw_core::{hex, one_line};
use aiw_home::{
    Home, HomeError, LockedFile, LockedModel, ModelsLock, create_new, is_model_name, open_regular, publish_dir,
    remove_tree, run_blocking,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::catalogue::{ArchiveMember, CatalogModel, MODELS};
pub use self::catalogue::{DEFAULT_MODEL, RUNTIME_NAME};
pub use self::error::ModelsError;
pub use self::pull::{DownloadBody, DownloadError, DownloadProgress, Fetch};
use self::pull::{DownloadRequest, DownloadSource, fetch_file};
use crate::embed::{MODEL_FILES, ModelError, ModelFiles, ModelState, check_library, file_sha256};

/// The largest description of a model on a mirror.
const MAX_MANIFEST_BYTES: usize = 64 << 10;

/// The models of a home.
#[derive(Debug, Clone)]
pub struct EmbeddingModels {
    home: Home,
}

/// A model, or the library that runs them.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModelSummary {
    /// Its name
    pub name: String,
    /// A few words about it
    pub label: String,
    /// The bytes to download, or on disk
    pub size: u64,
    /// Whether it was pulled, or is a directory of yours
    pub pulled: bool,
    /// Whether it is in use
    pub used: bool,
    /// Where it came from, once it was pulled
    pub source: Option<String>,
}

/// The state of the model in use.
#[warn(missing_docs)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StateName {
    /// The model can be used.
    Ready,
    /// None was chosen.
    None,
    /// The model is switched off.
    Off,
    /// A file is missing.
    Missing,
    /// A file is not the one that was chosen.
    Changed,
    /// The model can't be loaded.
    Unusable,
}

/// The library that runs models.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RuntimeStatus {
    /// Its file
    pub path: PathBuf,
    /// Where it came from
    pub source: String,
}

/// Whether there is a model to search by meaning.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ModelStatus {
    /// The state
    pub state: StateName,
    /// The state as a sentence
    pub message: String,
    /// The model in use
    pub name: Option<String>,
    /// Where its files are
    pub directory: Option<PathBuf>,
    /// The library that runs it
    pub runtime: Option<RuntimeStatus>,
}

/// The manifest of a mirror for a model of its own: `model.json`.
#[derive(Debug, Deserialize)]
struct MirrorManifest {
    files: BTreeMap<String, LockedFile>,
}

impl EmbeddingModels {
    /// Opens the models of a home.
    pub fn new(home: Home) -> Self {
        Self { home }
    }

    fn root(&self) -> PathBuf {
        self.home.cache("models")
    }

    /// Has what makes the model in use load fast.
    fn prepared(&self) -> PathBuf {
        self.home.cache("prepared")
    }

    fn directory(&self, name: &str, locked: &LockedModel) -> PathBuf {
        locked.directory.clone().unwrap_or_else(|| self.root().join(name))
    }

    fn library(&self, locked: &LockedModel) -> PathBuf {
        let name = locked.files.keys().next().map_or("", String::as_str);
        self.directory(RUNTIME_NAME, locked).join(name)
    }

    /// Lists the library, the models that aiw knows, and your own.
    pub fn list(&self) -> Result<Vec<ModelSummary>, ModelsError> {
        let lock = self.home.models_lock()?;
        let offered = catalogue::runtime().into_iter().chain(MODELS).map(|offer| {
            let locked = if offer.name == RUNTIME_NAME { lock.runtime.as_ref() } else { lock.models.get(offer.name) };
            let size = offer.files.iter().map(|file| file.size).sum();
            self.summary(&lock, offer.name, offer.label, size, locked)
        });
        let mut all: Vec<ModelSummary> = offered.collect();
        for (name, locked) in lock.models.iter().filter(|(name, _)| offer(name).is_none()) {
            all.push(self.summary(&lock, name, "your own", 0, Some(locked)));
        }
        if let (None, Some(locked)) = (catalogue::runtime(), &lock.runtime) {
            all.insert(0, self.summary(&lock, RUNTIME_NAME, "the library that runs models", 0, Some(locked)));
        }
        Ok(all)
    }

    fn summary(
        &self,
        lock: &ModelsLock,
        name: &str,
        label: &str,
        size: u64,
        locked: Option<&LockedModel>,
    ) -> ModelSummary {
        let is_runtime = name == RUNTIME_NAME;
        // The cache may be deleted at any time.
        let there = |locked: &&LockedModel| {
            let directory = self.directory(name, locked);
            locked.files.keys().all(|file| directory.join(file).is_file())
        };
        let locked = locked.filter(there);
        ModelSummary {
            name: name.to_owned(),
            label: label.to_owned(),
            size: locked.map_or(size, |locked| locked.files.values().map(|file| file.size).sum()),
            pulled: locked.is_some(),
            used: locked.is_some() && (is_runtime || lock.used.as_deref() == Some(name)),
            source: locked.map(|locked| locked.source.clone()),
        }
    }

    /// Returns the files of the model in use, with their pins, or `None` if none was chosen or it is switched off. They
    /// may be missing or changed: [`ModelFiles::state`] tells.
    pub fn active_model_files(&self) -> Result<Option<ModelFiles>, ModelsError> {
        let lock = self.home.models_lock()?;
        Ok(lock.used.as_ref().filter(|_| !lock.off).and_then(|name| self.files(&lock, name)))
    }

    /// Switches the model in use off, or on again. It stays, as do the vectors that it made.
    pub fn set_enabled(&self, on: bool) -> Result<(), ModelsError> {
        let lock = self.home.lock()?;
        let mut document = self.home.models_lock()?;
        if document.used.is_none() {
            return Err(ModelsError::NoActiveModel);
        }
        document.off = !on;
        Ok(document.save(&lock)?)
    }

    fn files(&self, lock: &ModelsLock, name: &str) -> Option<ModelFiles> {
        let locked = lock.models.get(name)?;
        let runtime = lock.runtime.as_ref();
        // Where it would be.
        let missing = || {
            self.root().join(RUNTIME_NAME).join(catalogue::runtime().map_or(RUNTIME_NAME, |offer| library_name(&offer)))
        };
        let mut files = ModelFiles::new(
            self.directory(name, locked),
            runtime.map_or_else(missing, |runtime| self.library(runtime)),
        );
        files.pinned_digests = locked.files.iter().map(|(name, file)| (name.clone(), file.sha256.clone())).collect();
        files.runtime_digest = runtime.and_then(|runtime| Some(runtime.files.values().next()?.sha256.clone()));
        let pins: Vec<&str> = files.pinned_digests.values().chain(&files.runtime_digest).map(String::as_str).collect();
        let name = hex(&Sha256::digest(pins.join(" ")));
        files.prepared_dir = Some(self.prepared().join(&name[..32]));
        Some(files)
    }

    /// Says whether there is a model to use. Reads its files and loads the library: some tenths of a second.
    pub fn status(&self) -> Result<ModelStatus, ModelsError> {
        let lock = self.home.models_lock()?;
        let files = lock.used.as_ref().and_then(|name| self.files(&lock, name));
        let (state, message) = match files.as_ref().filter(|_| !lock.off).map(ModelFiles::state) {
            None if files.is_some() => {
                (StateName::Off, "the model is switched off: search goes by words alone".to_owned())
            }
            None => (StateName::None, "no model is in use: search goes by words alone".to_owned()),
            Some(ModelState::Ready) => (StateName::Ready, "search goes by words and by meaning".to_owned()),
            Some(ModelState::Unusable(error)) => {
                let state = match &error {
                    ModelError::Missing { .. } => StateName::Missing,
                    ModelError::DigestMismatch { .. } => StateName::Changed,
                    _ => StateName::Unusable,
                };
                (state, error.to_string())
            }
        };
        let runtime = lock
            .runtime
            .as_ref()
            .map(|locked| RuntimeStatus { path: self.library(locked), source: locked.source.clone() });
        Ok(ModelStatus { state, message, name: lock.used, directory: files.map(|files| files.directory), runtime })
    }

    /// Gets a model or the library, from `from` (a directory or the address of a mirror) or from where it is
    /// published. Returns whether anything had to be fetched. The first model that is pulled is used.
    pub fn pull<'a>(
        &'a self,
        name: &'a str,
        from: Option<&'a str>,
        fetch: &'a dyn Fetch,
        progress: DownloadProgress<'a>,
    ) -> BoxFuture<'a, Result<bool, ModelsError>> {
        Box::pin(async move {
            check_name(name)?;
            let offered = if name == RUNTIME_NAME {
                Some(catalogue::runtime().ok_or(ModelsError::UnsupportedPlatform)?)
            } else {
                offer(name)
            };
            let directory = from.filter(|from| !is_url(from)).map(Path::new);
            let mirror = from.filter(|from| is_url(from)).map(|url| url.trim_end_matches('/'));
            let wanted: Vec<(DownloadRequest, String)> = match (offered, directory, mirror) {
                (Some(offer), ..) => offer
                    .files
                    .iter()
                    .map(|file| {
                        let url =
                            mirror.map_or_else(|| file.url.to_owned(), |mirror| format!("{mirror}/{}", file.name));
                        let wanted =
                            DownloadRequest { name: file.name.into(), size: file.size, sha256: file.sha256.into() };
                        (wanted, url)
                    })
                    .collect(),
                (None, Some(directory), _) => own(directory)?.into_iter().map(|file| (file, String::new())).collect(),
                (None, None, Some(mirror)) => manifest(mirror, fetch).await?,
                (None, None, None) => return Err(ModelsError::NotFound { name: name.into() }),
            };
            let member = offered.and_then(|offer| offer.files[0].member);
            let files: BTreeMap<String, LockedFile> = match member {
                Some(member) => [(member.name.to_owned(), locked(member.size, member.sha256))].into(),
                None => wanted.iter().map(|(file, _)| (file.name.clone(), locked(file.size, &file.sha256))).collect(),
            };
            let target = self.root().join(name);
            let fetched = !is_whole(&target, &files);
            if fetched {
                let partial = self.root().join(".partial");
                let staged = self.home.temporary_dir(&self.root())?;
                for (file, url) in &wanted {
                    let from = match directory {
                        Some(directory) => DownloadSource::Directory(directory),
                        None => DownloadSource::Url(url.clone(), fetch),
                    };
                    let path = fetch_file(file, from, &partial, progress).await?;
                    match member {
                        Some(member) => {
                            let to = staged.path().to_owned();
                            let archive = path.clone();
                            run_blocking(move || unpack(&archive, &member, &to)).await?;
                        }
                        None => {
                            let to = staged.path().join(&file.name);
                            // Copied, not moved: what follows may fail, and models share files.
                            copy(&path, &to).map_err(|e| HomeError::io("write", &to, e))?;
                        }
                    }
                }
                publish_dir(staged.path(), &target)?;
                // Others may be downloading other files.
                wanted.iter().for_each(|(file, _)| pull::remove_partial(&partial, file));
            }
            let source = from.map_or_else(
                || offered.map_or_else(String::new, |offer| offer.files[0].url.to_owned()),
                |from| match directory {
                    Some(directory) => absolute(directory).display().to_string(),
                    None => one_line(&aiw_core::without_query(from), 200),
                },
            );
            self.record(name, LockedModel { source, directory: None, files })?;
            Ok(fetched)
        })
    }

    fn record(&self, name: &str, locked: LockedModel) -> Result<(), ModelsError> {
        let lock = self.home.lock()?;
        let mut document = self.home.models_lock()?;
        if name == RUNTIME_NAME {
            document.runtime = Some(locked);
        } else {
            document.models.insert(name.to_owned(), locked);
            document.used.get_or_insert_with(|| name.to_owned());
        }
        Ok(document.save(&lock)?)
    }

    /// Uses a model by its name, or a directory with one in place; and a library of your own. What the files are
    /// now is what they must stay. Returns the name in use.
    pub fn use_model(&self, model: &str, runtime: Option<&Path>) -> Result<String, ModelsError> {
        let lock = self.home.lock()?;
        let mut document = self.home.models_lock()?;
        let name = if model.contains(['/', '\\']) || model == "." || model == ".." {
            let directory = absolute(Path::new(model));
            let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            check_name(&name)?;
            // A name that aiw knows stands for the files that it knows.
            let name = if offer(&name).is_some() || name == RUNTIME_NAME { format!("{name}-own") } else { name };
            let files = own(&directory)?.into_iter().map(|file| (file.name, locked(file.size, &file.sha256))).collect();
            let source = directory.display().to_string();
            document.models.insert(name.clone(), LockedModel { source, directory: Some(directory), files });
            name
        } else {
            if !document.models.contains_key(model) {
                let name = one_line(model, 80);
                return Err(match offer(model) {
                    Some(_) => ModelsError::NotPulled { name },
                    None => ModelsError::NotFound { name },
                });
            }
            model.to_owned()
        };
        if let Some(library) = runtime {
            let library = absolute(library);
            let (Some(directory), Some(file)) = (library.parent(), library.file_name().and_then(|name| name.to_str()))
            else {
                return Err(ModelsError::MissingFile { path: library });
            };
            check_name(file)?;
            check_library(&library)?;
            let files = [(file.to_owned(), locked(size(&library)?, &file_sha256(&library)?))].into();
            let source = library.display().to_string();
            document.runtime = Some(LockedModel { source, directory: Some(directory.to_owned()), files });
        }
        document.used = Some(name.clone());
        document.off = false;
        document.save(&lock)?;
        Ok(name)
    }

    /// Removes a model, or the library: what was pulled, never a directory of yours.
    pub fn remove(&self, name: &str) -> Result<(), ModelsError> {
        check_name(name)?;
        let lock = self.home.lock()?;
        let mut document = self.home.models_lock()?;
        let removed = if name == RUNTIME_NAME { document.runtime.take() } else { document.models.remove(name) };
        if removed.is_none() {
            return Err(ModelsError::NotFound { name: name.into() });
        }
        if document.used.as_deref() == Some(name) {
            document.used = None;
            document.off = false;
        }
        document.save(&lock)?;
        remove_tree(&self.prepared())?;
        Ok(remove_tree(&self.root().join(name))?)
    }
}

fn offer(name: &str) -> Option<CatalogModel> {
    MODELS.into_iter().find(|offer| offer.name == name)
}

fn library_name(offer: &CatalogModel) -> &'static str {
    offer.files[0].member.map_or(offer.files[0].name, |member| member.name)
}

fn locked(size: u64, sha256: &str) -> LockedFile {
    LockedFile { size, sha256: sha256.to_owned() }
}

fn check_name(name: &str) -> Result<(), ModelsError> {
    if is_model_name(name) { Ok(()) } else { Err(ModelsError::InvalidName { name: one_line(name, 80) }) }
}

fn is_url(from: &str) -> bool {
    from.starts_with("https://") || from.starts_with("http://")
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn size(path: &Path) -> Result<u64, ModelsError> {
    match fs::metadata(path) {
        Ok(meta) => Ok(meta.len()),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Err(ModelsError::MissingFile { path: path.to_owned() })
        }
        Err(e) => Err(HomeError::io("read", path, e).into()),
    }
}

/// Returns the files of a model of the user's as they are.
fn own(directory: &Path) -> Result<Vec<DownloadRequest>, ModelsError> {
    let each = MODEL_FILES.iter().map(|name| {
        let path = directory.join(name);
        Ok(DownloadRequest { name: (*name).to_owned(), size: size(&path)?, sha256: file_sha256(&path)? })
    });
    each.collect()
}

/// Asks a mirror for the files of a model of its own.
async fn manifest(mirror: &str, fetch: &dyn Fetch) -> Result<Vec<(DownloadRequest, String)>, ModelsError> {
    let url = format!("{mirror}/model.json");
    let shown = one_line(&aiw_core::without_query(&url), 200);
    let bad = |problem: String| ModelsError::InvalidManifest { url: shown.clone(), problem };
    let mut body = fetch.open(&url, 0).await.map_err(|broken| bad(broken.reason))?;
    let mut bytes = Vec::new();
    while let Some(piece) = body.next_chunk().await.map_err(|broken| bad(broken.reason))? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(bad(format!("it is longer than {} KiB", MAX_MANIFEST_BYTES >> 10)));
        }
    }
    let manifest: MirrorManifest =
        aiw_core::from_foreign_json(&bytes).map_err(|e| bad(one_line(&e.to_string(), 200)))?;
    let each = MODEL_FILES.iter().map(|name| {
        let file = manifest.files.get(*name).ok_or_else(|| bad(format!("it does not name `{name}`")))?;
        // The digest becomes a path.
        if file.sha256.len() != 64 || !file.sha256.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(bad(format!("the sha256 of `{name}` is not 64 hexadecimal digits")));
        }
        let wanted = DownloadRequest { name: (*name).to_owned(), size: file.size, sha256: file.sha256.clone() };
        Ok((wanted, format!("{mirror}/{name}")))
    });
    each.collect()
}

/// Whether the files are there, and are the right ones.
fn is_whole(directory: &Path, files: &BTreeMap<String, LockedFile>) -> bool {
    files.iter().all(|(name, file)| {
        let path = directory.join(name);
        fs::metadata(&path).is_ok_and(|meta| meta.len() == file.size)
            && file_sha256(&path).is_ok_and(|found| found == file.sha256)
    })
}

fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    io::copy(&mut open_regular(from)?, &mut create_new(to)?)
}

/// Takes a file out of an archive.
fn unpack(archive: &Path, member: &ArchiveMember, to: &Path) -> Result<(), ModelsError> {
    let bad = |reason: String| ModelsError::InvalidArchive { archive: archive.display().to_string(), reason };
    let file = open_regular(archive).map_err(|e| HomeError::io("read", archive, e))?;
    let mut zip = zip::ZipArchive::new(file).map_err(|e| bad(one_line(&e.to_string(), 200)))?;
    let inside = zip.by_name(member.path).map_err(|e| bad(one_line(&e.to_string(), 200)))?;
    let path = to.join(member.name);
    let mut target = create_new(&path).map_err(|e| HomeError::io("write", &path, e))?;
    let written = io::copy(&mut inside.take(member.size + 1), &mut target);
    let written = written.map_err(|e| HomeError::io("write", &path, e))?;
    if written != member.size || file_sha256(&path)? != member.sha256 {
        return Err(bad(format!("`{}` in it is not the file that aiw knows", member.path)));
    }
    Ok(())
}

//! The remote: files by their names, of which there may be two.

use std::collections::HashMap;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::super::limits::MAX_REPLICAS;
use super::super::{ObjectListing, Remote, RemoteError, RemoteObject, check_name, check_object, fetch, matches_digest};
use super::files::{DriveFile, DriveFiles, is_id};
use super::place::REMOTE_NAME;
use super::upload::{read, remove, upload};
use crate::object::ObjectName;

/// Google Drive.
pub(super) struct Drive {
    files: DriveFiles,
    known: Mutex<DriveFileCache>,
}

/// Files and folders that were seen.
#[derive(Default)]
struct DriveFileCache {
    /// The folder that is written to.
    folder: Option<String>,
    /// The files by their names. A name that is not here may be there all the same.
    files: HashMap<String, Vec<DriveFile>>,
}

impl Drive {
    pub(super) fn new(files: DriveFiles) -> Self {
        Self { files, known: Mutex::default() }
    }

    /// Returns the folder to write to.
    async fn folder(&self) -> Result<String, RemoteError> {
        let known = self.known.lock().folder.clone();
        if let Some(folder) = known {
            return Ok(folder);
        }
        let folder = match self.files.folders().await?.into_iter().next() {
            Some(folder) => folder,
            None => {
                let made = self.files.make_folder().await?;
                // Somebody else may have made one at the same time.
                self.files.folders().await?.into_iter().chain([made]).min().unwrap_or_default()
            }
        };
        self.known.lock().folder = Some(folder.clone());
        Ok(folder)
    }

    /// Returns the files of a name: first those whose digest fits it as Drive says, last those whose digest doesn't. Of
    /// others, a whole file is longer than a partial one.
    async fn named(&self, name: &str) -> Result<Vec<DriveFile>, RemoteError> {
        let known = self.known.lock().files.get(name).cloned();
        let mut found = match known {
            Some(known) => known,
            None => {
                let mut found = Vec::new();
                for folder in self.files.folders().await? {
                    // A name and an id hold no quotes.
                    let query = format!("name='{name}' and '{folder}' in parents and trashed=false");
                    found.extend(self.files.find(&query).await?.into_iter().filter(|file| file.name == name));
                }
                found
            }
        };
        let wanted = ObjectName::parse(name).map(|name| name.digest);
        let misfit = |file: &DriveFile| match (&wanted, &file.sha256_checksum) {
            (Some(wanted), Some(found)) if found.eq_ignore_ascii_case(wanted) => 0,
            (Some(_), Some(_)) => 2,
            _ => 1,
        };
        found.sort_by(|a, b| misfit(a).cmp(&misfit(b)).then(b.size().cmp(&a.size())).then(a.id.cmp(&b.id)));
        Ok(found)
    }

    fn remember(&self, file: DriveFile) {
        let mut known = self.known.lock();
        let same_name = known.files.entry(file.name.clone()).or_default();
        same_name.retain(|other| other.id != file.id);
        same_name.push(file);
    }
}

#[async_trait]
impl Remote for Drive {
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<Option<String>, RemoteError> {
        check_object(name, bytes)?;
        let folder = self.folder().await?;
        let id = match upload(&self.files, &folder, name, bytes).await {
            // Somebody deleted the folder since it was found.
            Err(RemoteError::Status { status: 404, .. }) => {
                self.known.lock().folder = None;
                let folder = self.folder().await?;
                upload(&self.files, &folder, name, bytes).await?
            }
            done => done?,
        };
        Ok(Some(id))
    }

    async fn list(&self) -> Result<Vec<RemoteObject>, RemoteError> {
        let mut found = ObjectListing::new(REMOTE_NAME);
        let mut files = HashMap::<String, Vec<DriveFile>>::new();
        for folder in self.files.folders().await? {
            for file in self.files.find(&format!("'{folder}' in parents and trashed=false")).await? {
                found.add(&file.name, file.size())?;
                files.entry(file.name.clone()).or_default().push(file);
            }
        }
        self.known.lock().files = files;
        Ok(found.into_objects())
    }

    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        check_name(name)?;
        let mut misfit = Err(RemoteError::NotFound { name: name.to_owned(), place: REMOTE_NAME.into() });
        // Anybody who can write to the folder can add files of this name.
        for file in self.named(name).await?.into_iter().take(MAX_REPLICAS) {
            let found = match read(&self.files, &file.id, limit).await {
                Ok(Some(bytes)) if matches_digest(name, &bytes) => return Ok(bytes),
                Ok(Some(bytes)) => Ok(bytes),
                Ok(None) => continue,
                Err(RemoteError::TooLarge { .. }) => Err(RemoteError::TooLarge { name: name.to_owned(), limit }),
                Err(error) => return Err(error),
            };
            if misfit.is_err() {
                misfit = found;
            }
        }
        misfit
    }

    async fn contains(&self, name: &str, id: Option<&str>) -> Result<bool, RemoteError> {
        // A search for a name lags as the listing does. An id is found at once.
        if let Some(id) = id.filter(|id| is_id(id))
            && let Some(file) = self.files.file(id).await?.filter(|file| file.name == name)
        {
            self.remember(file);
        }
        match fetch(self, name).await {
            Ok(bytes) => Ok(matches_digest(name, &bytes)),
            Err(RemoteError::NotFound { .. } | RemoteError::TooLarge { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, name: &str) -> Result<(), RemoteError> {
        check_name(name)?;
        for file in self.named(name).await? {
            remove(&self.files, &file.id).await?;
        }
        self.known.lock().files.remove(name);
        Ok(())
    }
}

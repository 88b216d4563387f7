//! What a setup did, so that it can be undone: `setup/CLIENT.json`, and the files as they were.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::{SecretName, hex};
use aiw_home::{Home, HomeError, Mode, json, read_capped, read_dir, remove_file, replace};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::clients::SetupClient;
use crate::scope::SetupScope;

const FORMAT_VERSION: u32 = 1;

/// The record of `mcp.json`, which all clients and projects share.
pub(crate) const MCP_RECORD: &str = "mcp";

/// The record of a setup for one client, for the user or in one project. It may have secrets, so it has no `Debug`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    version: u32,
    /// The client.
    pub(crate) client: String,
    /// The project, if it was for one.
    pub(crate) project: Option<PathBuf>,
    /// The files that were changed.
    pub(crate) files: Vec<TouchedFile>,
    /// The servers that were moved to `mcp.json`.
    #[serde(default)]
    pub(crate) imported: Vec<ImportedServer>,
    /// The secrets that were stored.
    #[serde(default)]
    pub(crate) secrets: Vec<SecretName>,
}

/// The purpose of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// The client's servers.
    Servers,
    /// The calls that the client is told not to ask about.
    Approval,
    /// `mcp.json`
    Mcp,
    /// The client's settings, with our hooks.
    Hooks,
}

/// A file that was changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TouchedFile {
    /// The purpose of the file. Its path alone does not tell: variables that name a client's directory change.
    pub(crate) role: Role,
    /// The file.
    pub(crate) path: PathBuf,
    /// Its copy beside the record; none if aiw created it.
    pub(crate) backup: Option<String>,
    /// sha256 of what it was.
    pub(crate) original: Option<String>,
    /// sha256 of what aiw wrote; none if others changed it between two setups.
    pub(crate) written: Option<String>,
    /// sha256 of what it was before that. A process that was killed may not have written it.
    #[serde(default)]
    pub(crate) before: Option<String>,
    /// The directories that aiw made for it, the outermost first.
    #[serde(default)]
    pub(crate) made: Vec<PathBuf>,
}

impl TouchedFile {
    /// Whether it has nothing but what it was, and what aiw wrote.
    pub(crate) fn is_untouched(&self, digest: &str) -> bool {
        [&self.written, &self.before].into_iter().any(|known| known.as_deref() == Some(digest))
    }
}

/// A server that was moved.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ImportedServer {
    /// Its name there.
    pub(crate) name: String,
    /// Its name in `mcp.json`, if it has another one there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) renamed: Option<String>,
    /// sha256 of its declaration in `mcp.json`; none if that was there already.
    pub(crate) added: Option<String>,
    /// The client's own entry, to be given back. It has the keys that stood there in clear.
    pub(crate) entry: Value,
}

impl ImportedServer {
    /// Its name in `mcp.json`.
    pub(crate) fn target(&self) -> &str {
        self.renamed.as_deref().unwrap_or(&self.name)
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn directory(home: &Home) -> PathBuf {
    home.root().join("setup")
}

/// The name of a record, without an ending.
pub(crate) fn stem(client: &SetupClient, scope: &SetupScope) -> String {
    file_stem(client.id, scope)
}

/// The name of a record of something that was done, without an ending.
pub(crate) fn file_stem(what: &str, scope: &SetupScope) -> String {
    match scope {
        SetupScope::User => what.to_owned(),
        SetupScope::Project(root) => format!("{what}-{}", &digest(root.as_os_str().as_encoded_bytes())[..12]),
    }
}

impl Record {
    pub(crate) fn new(what: &str, scope: &SetupScope) -> Self {
        let project = match scope {
            SetupScope::User => None,
            SetupScope::Project(root) => Some(root.clone()),
        };
        let (client, files, imported, secrets) = (what.to_owned(), Vec::new(), Vec::new(), Vec::new());
        Self { version: FORMAT_VERSION, client, project, files, imported, secrets }
    }

    /// Reads a record; none if nothing was done.
    pub(crate) fn load(home: &Home, stem: &str) -> Result<Option<Self>, HomeError> {
        read(&directory(home).join(format!("{stem}.json")))
    }

    /// The records of all other clients and projects.
    pub(crate) fn load_others(home: &Home, stem: &str) -> Result<Vec<Self>, HomeError> {
        let own = format!("{stem}.json");
        let Ok(entries) = read_dir(&directory(home)) else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        for entry in entries.flatten() {
            let is_record = entry.path().extension().is_some_and(|ending| ending == "json");
            if is_record && entry.file_name().to_str() != Some(own.as_str()) {
                records.extend(read(&entry.path())?);
            }
        }
        Ok(records)
    }

    /// Removes the directories that were made, and the record.
    pub(crate) fn clean_up(&self, home: &Home, stem: &str) -> Result<(), HomeError> {
        for dir in self.files.iter().flat_map(|kept| kept.made.iter().rev()) {
            // Only where nothing is in it.
            let _ = fs::remove_dir(dir);
        }
        self.remove(home, stem)
    }

    /// Whether it added a server to `mcp.json`, in the form that it has there now.
    pub(crate) fn has_added(&self, name: &str, digest: &str) -> bool {
        self.imported.iter().any(|server| server.target() == name && server.added.as_deref() == Some(digest))
    }

    /// The copy of a file as it was.
    pub(crate) fn backup(home: &Home, kept: &TouchedFile) -> Result<Option<Vec<u8>>, HomeError> {
        let Some(name) = &kept.backup else { return Ok(None) };
        let path = directory(home).join(name);
        match read_capped(&path, json::MAX_BYTES)? {
            Some(bytes) if Some(digest(&bytes)) == kept.original => Ok(Some(bytes)),
            _ => Err(invalid(&path, "is not the copy that aiw made; nothing was changed")),
        }
    }

    /// Keeps a copy of a file before aiw changes it. Returns the copy's name.
    pub(crate) fn save_backup(home: &Home, stem: &str, number: usize, bytes: &[u8]) -> Result<String, HomeError> {
        home.make_dir(&directory(home))?;
        let name = format!("{stem}-{number}.backup");
        replace(&directory(home).join(&name), bytes, Mode::Private)?;
        Ok(name)
    }

    pub(crate) fn save(&self, home: &Home, stem: &str) -> Result<(), HomeError> {
        let path = directory(home).join(format!("{stem}.json"));
        home.make_dir(&directory(home))?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| invalid(&path, &e.to_string()))?;
        replace(&path, &text, Mode::Private)
    }

    /// Removes the record and the copies.
    fn remove(&self, home: &Home, stem: &str) -> Result<(), HomeError> {
        let dir = directory(home);
        let names = self.files.iter().filter_map(|kept| kept.backup.clone());
        // The record last: until then, the copies can be found.
        for name in names.chain([format!("{stem}.json")]) {
            match remove_file(&dir.join(&name)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(HomeError::Io { action: "remove", path: dir.join(name), source: e });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn invalid(path: &Path, problem: &str) -> HomeError {
    HomeError::Invalid { path: path.to_owned(), problem: problem.to_owned() }
}

fn read(path: &Path) -> Result<Option<Record>, HomeError> {
    let Some(bytes) = read_capped(path, 2 * json::MAX_BYTES)? else { return Ok(None) };
    let record: Record = serde_json::from_slice(&bytes).map_err(|e| invalid(path, &format!("is damaged: {e}")))?;
    let is_plain = |name: &String| !name.contains(['/', '\\']);
    if record.version != FORMAT_VERSION || !record.files.iter().filter_map(|kept| kept.backup.as_ref()).all(is_plain) {
        return Err(invalid(path, "was written by another version of aiw"));
    }
    Ok(Some(record))
}

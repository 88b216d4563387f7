//! The files of this machine that travel.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, SystemTime};

use aiw_core::matches_wildcard;
use aiw_home::{Home, read_capped};
use serde_json::Value;

use crate::content::{KeyRules, to_synced_content, top_level_keys};
use crate::generated::GeneratedFiles;
use crate::place::{Roots, SyncPath, SyncRoot};
use crate::policy::{Scope, SyncRule};
use crate::snapshot::{FileContent, MAX_FILES, MAX_SYNCED_FILE_BYTES, MachineFiles};

/// How deep directories are walked.
const MAX_DEPTH: usize = 16;

/// Names in directories of skills that are nobody's configuration.
const IGNORED_NAMES: [&str; 5] = [".git", "node_modules", "__pycache__", ".DS_Store", ".venv"];

/// How young a file is that may still be written.
const MIN_FILE_AGE: Duration = Duration::from_secs(2);

/// The files of this machine.
#[derive(Debug, Default)]
pub(crate) struct GatheredFiles {
    /// As they are.
    pub(crate) local: MachineFiles,
    /// The part of each that travels.
    pub(crate) files: MachineFiles,
    /// The patterns of what is known of this machine.
    pub(crate) covered_patterns: Vec<String>,
    /// Paths of which nothing is known: they count as deleted nowhere.
    pub(crate) unknown_paths: Vec<String>,
    /// Why.
    pub(crate) skipped: Vec<SkippedFile>,
    /// The servers of `mcp.json` that something else installs: they are installed again elsewhere.
    pub(crate) unsynced_servers: BTreeSet<String>,
}

impl GatheredFiles {
    /// Leaves a path out, with all below it.
    fn leave(&mut self, root: SyncRoot, below: &str, why: &str) {
        let path = format!("{}:{}", root.as_str(), below);
        self.unknown_paths.push(path.clone());
        self.skipped.push(SkippedFile { path: aiw_core::one_line(&path, 240), reason: why.into() });
    }

    /// Returns the names in a directory. Of one that can't be read, nothing is known.
    fn names(&mut self, root: SyncRoot, directory: &Path, below: &str) -> Vec<String> {
        let read = fs::read_dir(directory).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
        match read {
            Ok(entries) => {
                let mut names: Vec<String> =
                    entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
                names.sort();
                names
            }
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Vec::new(),
            Err(_) => {
                self.leave(root, below, "can't be read");
                Vec::new()
            }
        }
    }
}

/// A file that doesn't travel although its row does.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct SkippedFile {
    /// The file.
    pub path: String,
    /// Why, as the end of a sentence about it.
    pub reason: String,
}

/// Gathers files. `rules` says of what it reads which keys travel.
pub(crate) struct Gatherer<'a> {
    pub(crate) home: &'a Home,
    pub(crate) roots: &'a Roots,
    pub(crate) scope: &'a Scope,
    /// Files that synchronization makes, as they are to be.
    pub(crate) generated: &'a GeneratedFiles,
}

impl Gatherer<'_> {
    /// Reads everything that travels. A root that isn't there is left out, unless it is in `empty`: these have no file yet.
    pub(crate) fn gather(&self, empty: &BTreeSet<SyncRoot>) -> GatheredFiles {
        let mut gathered = GatheredFiles::default();
        let there: BTreeSet<SyncRoot> =
            SyncRoot::ALL.into_iter().filter(|root| self.is_there(*root) || empty.contains(root)).collect();
        gathered.covered_patterns = self.scope.patterns(&there);
        gathered.unknown_paths = self.scope.excluded().to_vec();
        gathered.unsynced_servers = unsynced_servers(self.home);
        for row in self.scope.synced_rules().filter(|row| there.contains(&row.root)) {
            self.of_row(row, &mut gathered);
        }
        self.settle(&mut gathered);
        gathered
    }

    /// Reads files again that somebody may be writing, until they stay as they are.
    fn settle(&self, gathered: &mut GatheredFiles) {
        let mut young: Vec<SyncPath> =
            gathered.local.keys().filter(|path| is_young(&self.roots.file(path))).cloned().collect();
        for _ in 0..20 {
            if young.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
            young.retain(|path| {
                let Some(before) = gathered.local.remove(path) else { return false };
                gathered.files.remove(path);
                if let Some(row) = self.scope.rule(path) {
                    self.file(row, path.clone(), gathered);
                }
                gathered.local.get(path) != Some(&before)
            });
        }
        for path in young {
            gathered.files.remove(&path);
            gathered.leave(path.root, path.relative_path(), "is being written");
        }
    }

    fn is_there(&self, root: SyncRoot) -> bool {
        self.roots.directory(root).is_dir()
    }

    fn of_row(&self, row: &SyncRule, gathered: &mut GatheredFiles) {
        let mut found = Vec::new();
        let parts: Vec<&str> = row.path.trim_end_matches('/').split('/').collect();
        let is_directory = row.path.ends_with('/');
        self.find(row.root, self.roots.directory(row.root), "", &parts, is_directory, &mut found, gathered);
        let made = self.generated.keys().filter(|path| path.root == row.root && path.relative_path() == row.path);
        found.extend(made.map(|path| path.relative_path().to_owned()));
        found.dedup();
        for below in found {
            let Ok(path) = SyncPath::new(row.root, &below) else {
                let path = format!("{}:{}", row.root.as_str(), aiw_core::one_line(&below, 120));
                gathered.skipped.push(SkippedFile { path, reason: "has a name that not every system can have".into() });
                continue;
            };
            // An earlier row may say something else of it.
            if self.scope.rule(&path).is_none_or(|own| own.pattern() != row.pattern()) {
                continue;
            }
            if gathered.local.len() >= MAX_FILES {
                gathered.leave(path.root, path.relative_path(), "is one file too many");
                continue;
            }
            self.file(row, path, gathered);
        }
    }

    /// Finds the files of a pattern below a directory.
    #[expect(clippy::too_many_arguments, reason = "a walk has a place, a pattern and what it found")]
    fn find(
        &self,
        root: SyncRoot,
        directory: &Path,
        below: &str,
        parts: &[&str],
        is_directory: bool,
        found: &mut Vec<String>,
        gathered: &mut GatheredFiles,
    ) {
        let Some((part, rest)) = parts.split_first() else { return };
        let joined = |name: &str| if below.is_empty() { name.to_owned() } else { format!("{below}/{name}") };
        let names = match part.contains('*') {
            true => gathered.names(root, directory, below),
            false => vec![(*part).to_owned()],
        };
        for name in names.into_iter().filter(|name| matches_wildcard(part, name)) {
            let path = directory.join(&name);
            let kind = match fs::metadata(&path) {
                Ok(meta) => meta.file_type(),
                Err(e) => {
                    // A link that leads nowhere, or a directory that may not be looked into, says nothing of a file.
                    let is_gone = matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
                    if !is_gone || fs::symlink_metadata(&path).is_ok() {
                        gathered.leave(root, &joined(&name), "can't be read");
                    }
                    continue;
                }
            };
            match (rest.is_empty(), is_directory) {
                (false, _) => self.find(root, &path, &joined(&name), rest, is_directory, found, gathered),
                (true, false) if kind.is_file() => found.push(joined(&name)),
                (true, true) if kind.is_dir() => walk(root, &path, &joined(&name), 0, found, gathered),
                // Nothing is known of a file, also not that it is gone.
                (true, _) => gathered.leave(root, &joined(&name), "is neither a file nor a directory here"),
            }
        }
    }

    fn file(&self, row: &SyncRule, path: SyncPath, gathered: &mut GatheredFiles) {
        let place = self.roots.file(&path);
        let made = self.generated.get(&path).cloned();
        let read = made.map_or_else(|| read(&place), |made| Ok(Some(made))).and_then(|read| {
            let Some(bytes) = read else { return Ok(None) };
            let travels = |key: &[String]| is_key_synced(row, &gathered.unsynced_servers, key);
            let is_set = |key: &[String]| row.is_set(key);
            let rules = KeyRules { is_synced: &travels, is_set: &is_set };
            let travelling = to_synced_content(row.form, &bytes, &rules, self.roots.home())?.bytes;
            Ok(Some((bytes, travelling)))
        });
        match read {
            Ok(Some((bytes, travelling))) => {
                let executable = is_executable(&place);
                // Without anything that travels, it is not a file for others.
                if !row.form.has_keys() || top_level_keys(row.form, &travelling).is_ok_and(|keys| !keys.is_empty()) {
                    gathered.files.insert(path.clone(), FileContent { bytes: travelling, executable });
                }
                gathered.local.insert(path, FileContent { bytes, executable });
            }
            Ok(None) => {}
            Err(why) => gathered.leave(path.root, path.relative_path(), &why),
        }
    }
}

/// Returns the servers of `mcp.json` that something else installs: they are installed again elsewhere.
pub(crate) fn unsynced_servers(home: &Home) -> BTreeSet<String> {
    let inside = ["bundles", "plugins", "data"].map(|part| home.root().join(part));
    let is_inside = |text: &str| inside.iter().any(|part| part.to_str().is_some_and(|part| text.contains(part)));
    let read = read_capped(&home.mcp_path(), MAX_SYNCED_FILE_BYTES).ok().flatten();
    let value = read.and_then(|bytes| Some(aiw_home::Jsonc::parse(&bytes).ok()?.value().clone()));
    let servers = value.as_ref().and_then(|value| value["mcpServers"].as_object());
    let own = servers.into_iter().flatten().filter(|(_, server)| has_text(server, &is_inside, 0));
    own.map(|(name, _)| name.clone()).collect()
}

/// Whether a key travels. `None` means that the keys below it decide.
pub(crate) fn is_key_synced(row: &SyncRule, stays: &BTreeSet<String>, key: &[String]) -> Option<bool> {
    if row.root == SyncRoot::Aiw && row.path == "mcp.json" && !stays.is_empty() {
        match key {
            [] => return None,
            [servers] if servers == "mcpServers" => return None,
            [servers, name, ..] if servers == "mcpServers" && stays.contains(name) => return Some(false),
            _ => {}
        }
    }
    row.is_key_synced(key)
}

fn has_text(value: &Value, is_it: &impl Fn(&str) -> bool, depth: usize) -> bool {
    match value {
        Value::String(text) => is_it(text),
        Value::Array(items) if depth < 32 => items.iter().any(|item| has_text(item, is_it, depth + 1)),
        Value::Object(fields) if depth < 32 => fields.values().any(|field| has_text(field, is_it, depth + 1)),
        _ => false,
    }
}

/// Walks a directory. Links in it stay: they lead to something else on each machine.
fn walk(
    root: SyncRoot,
    directory: &Path,
    below: &str,
    depth: usize,
    found: &mut Vec<String>,
    gathered: &mut GatheredFiles,
) {
    for name in gathered.names(root, directory, below) {
        if IGNORED_NAMES.contains(&name.as_str()) || name.starts_with(".aiw-") {
            continue;
        }
        let (path, own) = (directory.join(&name), format!("{below}/{name}"));
        let Ok(meta) = fs::symlink_metadata(&path) else {
            gathered.leave(root, &own, "can't be read");
            continue;
        };
        match meta.file_type() {
            kind if kind.is_symlink() => gathered.leave(root, &own, "is a link"),
            kind if kind.is_dir() && depth >= MAX_DEPTH => {
                gathered.leave(root, &own, "is too deep in other directories")
            }
            kind if kind.is_dir() => walk(root, &path, &own, depth + 1, found, gathered),
            kind if kind.is_file() => found.push(own),
            _ => gathered.leave(root, &own, "is neither a file nor a directory"),
        }
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match read_capped(path, MAX_SYNCED_FILE_BYTES) {
        Ok(read) => Ok(read),
        Err(aiw_home::HomeError::Invalid { .. }) => Err(format!("is larger than {} MiB", MAX_SYNCED_FILE_BYTES >> 20)),
        Err(e) => Err(format!("can't be read: {}", aiw_core::one_line(&e.to_string(), 160))),
    }
}

/// Whether somebody may still be writing a file: the programs that keep these files write them in place.
fn is_young(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
    age.is_some_and(|age| age <= MIN_FILE_AGE)
}

#[cfg(unix)]
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0)
}

#[cfg(not(unix))]
pub(crate) fn is_executable(_: &Path) -> bool {
    false
}

//! What killed processes left behind: temporary files, trees of plugins that nothing names, and secrets whose provider or
//! server was never written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aiw_core::SecretName;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::documents::STATE_PATHS;
use crate::files::StagedFile;
use crate::paths::TRIAL_LOCK_FILE;
use crate::{
    Home, HomeError, Lock, Mode, is_held, json, make_private_dir, read_capped, read_dir, remove_file, replace,
};

/// The age at which a temporary file belongs to no process that still runs.
const TEMP_FILE_MAX_AGE: Duration = Duration::from_secs(60 * 60);

/// The age by which a trial has locked its directory.
const LOCK_GRACE: Duration = Duration::from_secs(60);

/// The age at which a temporary file counts as given up.
const ABANDONED_FILE_MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// The part of the cache that names directories outside of the home in which temporary files were made.
const EXTERNAL_DIRS_CACHE: &str = "elsewhere";

/// The names of secrets that are stored before what names them is written.
const PENDING_SECRETS_FILE: &str = ".secrets.json";

/// The longest list of them.
const MAX_PENDING_BYTES: u64 = 1 << 20;

/// Secrets that are stored before the file that names them is written.
#[derive(Clone, Serialize, Deserialize)]
struct PendingSecrets {
    file: PathBuf,
    names: Vec<SecretName>,
}

impl Home {
    /// Notes secrets that are about to be stored, before the file that names them is written. If this process is killed in
    /// between, the next one that takes the lock removes those that the file does not name.
    pub fn record_pending_secrets(&self, _lock: &Lock, file: &Path, names: &[SecretName]) -> Result<(), HomeError> {
        if names.is_empty() {
            return Ok(());
        }
        let mut all = self.pending();
        all.push(PendingSecrets { file: file.to_owned(), names: names.to_vec() });
        self.keep_pending(&all)
    }

    /// Forgets the pending secrets: the file that names them is written.
    pub fn clear_pending_secrets(&self, _lock: &Lock, names: &[SecretName]) {
        let mut all = self.pending();
        let before = all.len();
        all.retain(|pending| pending.names != names);
        if all.len() < before {
            let _ = self.keep_pending(&all);
        }
    }

    /// Whether a process has noted secrets and not forgotten them yet: it is at work, or was killed.
    pub(crate) fn has_pending_secrets(&self) -> bool {
        self.root().join(PENDING_SECRETS_FILE).exists()
    }

    fn pending(&self) -> Vec<PendingSecrets> {
        let bytes = read_capped(&self.root().join(PENDING_SECRETS_FILE), MAX_PENDING_BYTES).ok().flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn keep_pending(&self, all: &[PendingSecrets]) -> Result<(), HomeError> {
        let path = self.root().join(PENDING_SECRETS_FILE);
        if all.is_empty() {
            let _ = remove_file(&path);
            return Ok(());
        }
        replace(&path, &serde_json::to_vec(all).unwrap_or_default(), Mode::Private)
    }

    /// Removes the secrets of a process that was killed before it wrote what names them. A file that is gone, or can't be
    /// read, may name them: then they wait.
    pub(crate) fn remove_orphaned_secrets(&self, lock: &Lock) {
        let all = self.pending();
        let mut waiting = Vec::new();
        for pending in &all {
            let Ok(Some(text)) = read_capped(&pending.file, json::MAX_BYTES) else {
                waiting.push(pending.clone());
                continue;
            };
            for name in pending.names.iter().filter(|name| !names(&text, name)) {
                // One that is still to be stored is not a leftover.
                let _ = self.vault().remove(lock, name);
            }
        }
        if waiting.len() < all.len() {
            let _ = self.keep_pending(&waiting);
        }
    }

    /// Replaces a file as [`crate::replace`] does, which may be outside of the home. If this process is killed meanwhile, what is
    /// left beside the file is removed as what is left in the home is.
    ///
    /// # Errors
    ///
    /// The file can't be written.
    pub fn replace_external(&self, path: &Path, bytes: &[u8], mode: Mode) -> Result<(), HomeError> {
        StagedFile::with_dir_callback(path, bytes, mode, |directory| self.record_external_dir(directory))?.publish()
    }

    /// Notes a directory in which a temporary file is about to be made. A change doesn't depend on it: what can't be noted is not
    /// swept.
    pub fn record_external_dir(&self, directory: &Path) {
        let Ok(directory) = std::path::absolute(directory) else { return };
        if directory.starts_with(self.root()) {
            return;
        }
        let (notes, bytes) = (self.cache(EXTERNAL_DIRS_CACHE), directory.as_os_str().as_encoded_bytes());
        let note = notes.join(&aiw_core::hex(&Sha256::digest(bytes))[..32]);
        // One of many files is noted with the first of them.
        if note.exists() && !is_old(&note, TEMP_FILE_MAX_AGE / 2) {
            return;
        }
        let _ = make_private_dir(&notes).and_then(|()| replace(&note, bytes, Mode::Private));
    }

    /// Returns the noted directories, each with its note.
    fn noted_elsewhere(&self) -> Vec<(PathBuf, PathBuf)> {
        let Ok(notes) = read_dir(&self.cache(EXTERNAL_DIRS_CACHE)) else { return Vec::new() };
        let notes = notes.flatten().map(|entry| entry.path()).filter(|note| {
            let name = note.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
        });
        let read = |note: PathBuf| {
            let directory = path_from(read_capped(&note, MAX_PATH_BYTES).ok()??)?;
            Some((note, directory))
        };
        notes.filter_map(read).collect()
    }

    /// Returns the directories of the files to which links in the home lead: a linked document is replaced there.
    fn linked_directories(&self) -> impl Iterator<Item = PathBuf> {
        let links = read_dir(self.root()).into_iter().flatten().flatten().map(|entry| entry.path());
        let files = links.filter(|path| path.is_symlink() && path.is_file()).flat_map(fs::canonicalize);
        files.filter_map(|file| Some(file.parent()?.to_owned()))
    }

    /// Forgets noted directories that have no temporary file.
    fn forget_elsewhere(&self) {
        for (note, directory) in self.noted_elsewhere() {
            // A process may be about to make one.
            if is_old(&note, TEMP_FILE_MAX_AGE) && temporary_files(&directory, Duration::ZERO).is_empty() {
                let _ = remove_file(&note);
            }
        }
    }

    /// Removes what is left over, at most once an hour.
    pub(crate) fn sweep_if_due(&self, lock: &Lock) {
        let stamp = self.root().join(".swept");
        let is_new = |time: SystemTime| time.elapsed().is_ok_and(|age| age < TEMP_FILE_MAX_AGE);
        if fs::metadata(&stamp).and_then(|meta| meta.modified()).is_ok_and(is_new) {
            return;
        }
        self.sweep(lock);
        let _ = replace(&stamp, b"", Mode::Private);
    }

    /// Removes what is left over.
    pub fn sweep(&self, _lock: &Lock) {
        for path in self.leftovers() {
            let is_dir = fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir());
            let _ = if is_dir { crate::remove_tree(&path).is_ok() } else { remove_file(&path).is_ok() };
        }
        self.forget_elsewhere();
    }

    /// The files and directories that killed processes left behind.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let root = self.root();
        let (mut dirs, trials) = (vec![root.to_owned(), self.cache("market")], self.cache("trials"));
        let ours = STATE_PATHS.iter().filter(|kept| kept.is_owned_directory());
        dirs.extend(ours.map(|kept| root.join(kept.path)).chain([root.join("role"), root.join("history/queue")]));
        let is_file = |name: &str| name.starts_with(".aiw-");
        // A question about what is in it may be open for long.
        let is_tree = |name: &str| name.starts_with(".new-");
        let mut found: Vec<PathBuf> =
            dirs.iter().chain([&trials]).flat_map(|dir| old_entries(dir, TEMP_FILE_MAX_AGE, &is_file)).collect();
        let noted = self.noted_elsewhere().into_iter().map(|(_, directory)| directory);
        let elsewhere: BTreeSet<PathBuf> = noted.chain(self.linked_directories()).collect();
        found.extend(elsewhere.iter().flat_map(|directory| temporary_files(directory, TEMP_FILE_MAX_AGE)));
        let trees = self.trees();
        // They have secrets.
        let of_trials = old_entries(&trials, LOCK_GRACE, &is_tree);
        found.extend(of_trials.into_iter().filter(|trial| !is_held(&trial.join(TRIAL_LOCK_FILE))));
        found.extend(dirs.iter().flat_map(|dir| old_entries(dir, ABANDONED_FILE_MAX_AGE, &is_tree)));
        // A plugin's tree is there before the record of the plugin. If the file of records is gone, it may come back.
        if root.join("plugins.json").exists()
            && let Ok(plugins) = self.plugins().and_then(|plugins| plugins.all())
        {
            let named: BTreeSet<String> = plugins.into_iter().map(|(_, plugin)| plugin.digest).collect();
            let is_digest = |name: &str| name.len() >= 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
            found.extend(old_entries(&trees, TEMP_FILE_MAX_AGE, &|name| is_digest(name) && !named.contains(name)));
        }
        found
    }
}

/// Whether a file's text holds a secret's name, and not as a part of a longer one.
fn names(text: &[u8], name: &SecretName) -> bool {
    let name = name.as_str().as_bytes();
    let continues = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b));
    let is_whole = |at: usize| !continues(text[..at].last()) && !continues(text.get(at + name.len()));
    text.windows(name.len()).enumerate().any(|(at, part)| part == name && is_whole(at))
}

/// The longest path that is noted.
const MAX_PATH_BYTES: u64 = 16 << 10;

fn path_from(bytes: Vec<u8>) -> Option<PathBuf> {
    #[cfg(unix)]
    let path = Some(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes)));
    #[cfg(not(unix))]
    let path = String::from_utf8(bytes).ok().map(PathBuf::from);
    path.filter(|path| path.is_absolute())
}

/// Temporary files of an age beside the files of others: regular ones by the names that only aiw gives.
fn temporary_files(directory: &Path, age: Duration) -> Vec<PathBuf> {
    let is_ours = |name: &str| {
        let random = name.strip_prefix(".aiw-");
        random.is_some_and(|random| {
            random.len() == 16 && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        })
    };
    let mut found = old_entries(directory, age, &is_ours);
    found.retain(|path| fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file()));
    found
}

fn is_old(path: &Path, age: Duration) -> bool {
    // A file may be of a time that is still to come.
    if age.is_zero() {
        return true;
    }
    let modified = path.symlink_metadata().and_then(|meta| meta.modified());
    modified.is_ok_and(|time| time.elapsed().is_ok_and(|since| since > age))
}

fn old_entries(dir: &Path, age: Duration, is_wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    // A link leads to what is somebody else's.
    if fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_symlink()) {
        return Vec::new();
    }
    let Ok(entries) = read_dir(dir) else { return Vec::new() };
    let wanted = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_wanted));
    wanted.map(|entry| entry.path()).filter(|path| is_old(path, age)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_core::Secret;

    fn age(path: &Path) {
        let then = SystemTime::now() - 2 * ABANDONED_FILE_MAX_AGE;
        fs::File::open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn what_is_old_and_belongs_to_nobody_goes_with_the_next_change() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        drop(home.lock().unwrap());
        let digest = "0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c";
        let old = [".aiw-1", "vault/.aiw-2", "servers/.aiw-3", "plugins/.new-4", &format!("plugins/{digest}")];
        let kept = ["mcp.json", "vault/key", "plugins/.new-5", "plugins/data"];
        fs::write(home.root().join("plugins.json"), "{}").unwrap();
        for name in old.into_iter().chain(kept) {
            let path = home.root().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            if name.starts_with("plugins/") {
                fs::create_dir(&path).unwrap()
            } else {
                fs::write(&path, "{}").unwrap()
            }
            if name != "plugins/.new-5" {
                age(&path);
            }
        }
        assert_eq!(home.leftovers().len(), old.len(), "{:?}", home.leftovers());
        // Not more than once an hour.
        drop(home.lock().unwrap());
        assert_eq!(home.leftovers().len(), old.len());
        age(&home.root().join(".swept"));
        drop(home.lock().unwrap());
        assert_eq!(home.leftovers(), Vec::<PathBuf>::new());
        assert!(kept.iter().all(|name| home.root().join(name).exists()));
    }

    #[test]
    fn a_temporary_file_outside_of_the_home_goes_too_and_no_other_file() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let (rules, linked) = (dir.path().join("rules"), dir.path().join("repository"));
        [&rules, &linked].iter().for_each(|directory| fs::create_dir(directory).unwrap());
        std::os::unix::fs::symlink(linked.join("real.md"), rules.join("link.md")).unwrap();
        fs::write(linked.join("real.md"), "old").unwrap();
        // As if the process were killed here.
        for file in ["a.md", "link.md"] {
            std::mem::forget(
                StagedFile::with_dir_callback(&rules.join(file), b"new", Mode::Shared, |directory| {
                    home.record_external_dir(directory)
                })
                .unwrap(),
            );
        }
        let theirs = [".aiw-0123456789abcde", ".aiw-0123456789ABCDEF", ".aiw-notes.md", "b.md"];
        for name in theirs {
            fs::write(rules.join(name), "theirs").unwrap();
            age(&rules.join(name));
        }
        fs::create_dir(rules.join(".aiw-0123456789abcdef")).unwrap();
        std::os::unix::fs::symlink("b.md", rules.join(".aiw-00112233445566ff")).unwrap();
        let lock = home.lock().unwrap();
        // One that is new may be in use.
        home.sweep(&lock);
        let left = [&rules, &linked].map(|directory| temporary_files(directory, Duration::ZERO));
        assert_eq!(left.each_ref().map(Vec::len), [1, 1]);
        left.iter().flatten().for_each(|path| age(path));
        home.sweep(&lock);
        assert!(left.iter().flatten().all(|path| !path.exists()));
        assert!(theirs.iter().all(|name| rules.join(name).exists()) && rules.join(".aiw-0123456789abcdef").exists());
        assert!(rules.join(".aiw-00112233445566ff").is_symlink());
        // A directory is forgotten once nothing can be left there.
        assert_eq!(home.noted_elsewhere().len(), 2);
        home.noted_elsewhere().iter().for_each(|(note, _)| age(note));
        home.sweep(&lock);
        assert_eq!(home.noted_elsewhere(), Vec::new());
        assert_eq!(fs::read(linked.join("real.md")).unwrap(), b"old");
        home.replace_external(&rules.join("link.md"), b"new", Mode::Shared).unwrap();
        assert_eq!(fs::read(linked.join("real.md")).unwrap(), b"new");
        home.replace_external(&home.root().join("x"), b"", Mode::Private).unwrap();
        assert_eq!(home.noted_elsewhere().len(), 1);
    }

    #[test]
    fn a_temporary_file_beside_a_linked_document_goes_too() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let lock = home.lock().unwrap();
        let dotfiles = dir.path().join("dotfiles");
        fs::create_dir(&dotfiles).unwrap();
        fs::write(dotfiles.join("settings.json"), "{}").unwrap();
        std::os::unix::fs::symlink(dotfiles.join("settings.json"), home.settings_path()).unwrap();
        std::mem::forget(StagedFile::new(&home.settings_path(), b"{}", Mode::Private).unwrap());
        let left = temporary_files(&dotfiles, Duration::ZERO);
        assert_eq!(left.len(), 1);
        age(&left[0]);
        home.sweep(&lock);
        assert!(!left[0].exists() && dotfiles.join("settings.json").exists());
    }

    #[test]
    fn a_trial_that_nobody_holds_goes_and_one_that_lasts_stays() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let (lasts, new) = (home.trial_dir().unwrap(), home.cache("trials").join(".new-1"));
        let killed = home.cache("trials").join(".new-2");
        for left in [&new, &killed] {
            fs::create_dir(left).unwrap();
            fs::write(left.join(TRIAL_LOCK_FILE), "").unwrap();
        }
        for old in [lasts.path(), &killed] {
            fs::File::open(old).unwrap().set_modified(SystemTime::now() - 2 * LOCK_GRACE).unwrap();
        }
        home.sweep(&home.lock().unwrap());
        assert_eq!([lasts.path(), &new, &killed].map(Path::exists), [true, true, false]);
        let path = lasts.path().to_owned();
        drop(lasts);
        assert!(!path.exists());
    }

    #[test]
    fn a_secret_without_its_owner_goes_and_one_that_is_named_stays() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        // `name` is a part of `named`, which the file names.
        let names = ["gone", "name", "named", "own"].map(|name| name.parse::<SecretName>().unwrap());
        {
            let lock = home.lock().unwrap();
            home.record_pending_secrets(&lock, &home.mcp_path(), &names[..3]).unwrap();
            names.iter().for_each(|name| home.vault().set(&lock, name, &Secret::new("x")).unwrap());
            fs::write(home.mcp_path(), r#"{"mcpServers": {"s": {"command": "${secret:named}"}}}"#).unwrap();
        }
        // While the file is somewhere else, nothing is known.
        fs::rename(home.mcp_path(), home.root().join("elsewhere")).unwrap();
        drop(home.lock().unwrap());
        assert_eq!(home.vault().names().unwrap(), names);
        fs::rename(home.root().join("elsewhere"), home.mcp_path()).unwrap();
        // The next reader sees only what is somebody's.
        home.recover().unwrap();
        assert_eq!(home.vault().names().unwrap(), names[2..]);
        assert!(!home.root().join(PENDING_SECRETS_FILE).exists());
    }
}

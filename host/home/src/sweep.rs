//! What killed processes left behind: temporary files, trees of plugins that nothing names, and secrets whose provider or
//! server was never written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use aiw_core::SecretName;
use serde::{Deserialize, Serialize};

use crate::documents::KEPT_PATHS;
use crate::paths::HELD;
use crate::{Home, HomeError, Lock, Mode, is_held, json, read_capped, read_dir, remove_file, replace};

/// The age at which a temporary file belongs to no process that still runs.
const OLD: Duration = Duration::from_secs(60 * 60);

/// The age by which a trial has locked its directory.
const HELD_BY: Duration = Duration::from_secs(60);

/// The age at which a temporary file counts as given up.
const VERY_OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// The names of secrets that are stored before what names them is written.
const PENDING: &str = ".secrets.json";

/// The longest list of them.
const MAX_PENDING: u64 = 1 << 20;

/// Secrets that are stored before the file that names them is written.
#[derive(Clone, Serialize, Deserialize)]
struct PendingSecrets {
    file: PathBuf,
    names: Vec<SecretName>,
}

impl Home {
    /// Notes secrets that are about to be stored, before the file that names them is written. If this process is killed in
    /// between, the next one that takes the lock removes those that the file does not name.
    pub fn note_pending(&self, _lock: &Lock, file: &Path, names: &[SecretName]) -> Result<(), HomeError> {
        if names.is_empty() {
            return Ok(());
        }
        let mut all = self.pending();
        all.push(PendingSecrets { file: file.to_owned(), names: names.to_vec() });
        self.keep_pending(&all)
    }

    /// Forgets the pending secrets: the file that names them is written.
    pub fn forget_pending(&self, _lock: &Lock, names: &[SecretName]) {
        let mut all = self.pending();
        let before = all.len();
        all.retain(|pending| pending.names != names);
        if all.len() < before {
            let _ = self.keep_pending(&all);
        }
    }

    /// Whether a process has noted secrets and not forgotten them yet: it is at work, or was killed.
    pub(crate) fn has_pending(&self) -> bool {
        self.root().join(PENDING).exists()
    }

    fn pending(&self) -> Vec<PendingSecrets> {
        let bytes = read_capped(&self.root().join(PENDING), MAX_PENDING).ok().flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    fn keep_pending(&self, all: &[PendingSecrets]) -> Result<(), HomeError> {
        let path = self.root().join(PENDING);
        if all.is_empty() {
            let _ = remove_file(&path);
            return Ok(());
        }
        replace(&path, &serde_json::to_vec(all).unwrap_or_default(), Mode::Private)
    }

    /// Removes the secrets of a process that was killed before it wrote what names them. A file that is gone, or can't be
    /// read, may name them: then they wait.
    pub(crate) fn drop_pending(&self, lock: &Lock) {
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

    /// Removes what is left over, at most once an hour.
    pub(crate) fn sweep_sometimes(&self, lock: &Lock) {
        let stamp = self.root().join(".swept");
        let is_new = |time: SystemTime| time.elapsed().is_ok_and(|age| age < OLD);
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
    }

    /// The files and directories that killed processes left behind.
    pub fn leftovers(&self) -> Vec<PathBuf> {
        let root = self.root();
        let (mut dirs, trials) = (vec![root.to_owned(), self.cache("market")], self.cache("trials"));
        let ours = KEPT_PATHS.iter().filter(|kept| kept.is_our_directory());
        dirs.extend(ours.map(|kept| root.join(kept.path)).chain([root.join("role"), root.join("history/queue")]));
        let is_file = |name: &str| name.starts_with(".aiw-");
        // A question about what is in it may be open for long.
        let is_tree = |name: &str| name.starts_with(".new-");
        let mut found: Vec<PathBuf> =
            dirs.iter().chain([&trials]).flat_map(|dir| old_entries(dir, OLD, &is_file)).collect();
        let trees = self.trees();
        // They have secrets.
        let of_trials = old_entries(&trials, HELD_BY, &is_tree);
        found.extend(of_trials.into_iter().filter(|trial| !is_held(&trial.join(HELD))));
        found.extend(dirs.iter().flat_map(|dir| old_entries(dir, VERY_OLD, &is_tree)));
        // A plugin's tree is there before the record of the plugin. If the file of records is gone, it may come back.
        if root.join("plugins.json").exists()
            && let Ok(plugins) = self.plugins().and_then(|plugins| plugins.all())
        {
            let named: BTreeSet<String> = plugins.into_iter().map(|(_, plugin)| plugin.digest).collect();
            let is_digest = |name: &str| name.len() >= 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
            found.extend(old_entries(&trees, OLD, &|name| is_digest(name) && !named.contains(name)));
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

fn old_entries(dir: &Path, age: Duration, is_wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let is_old = |entry: &fs::DirEntry| {
        let modified = entry.path().symlink_metadata().and_then(|meta| meta.modified());
        modified.is_ok_and(|time| time.elapsed().is_ok_and(|since| since > age))
    };
    // A link leads to what is somebody else's.
    if fs::symlink_metadata(dir).is_ok_and(|meta| meta.is_symlink()) {
        return Vec::new();
    }
    let Ok(entries) = read_dir(dir) else { return Vec::new() };
    let wanted = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_wanted));
    wanted.filter(is_old).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aiw_core::Secret;

    fn age(path: &Path) {
        let then = SystemTime::now() - 2 * VERY_OLD;
        fs::File::open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn what_is_old_and_belongs_to_nobody_goes_with_the_next_change() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
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
    fn a_trial_that_nobody_holds_goes_and_one_that_lasts_stays() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path().join("home"));
        let (lasts, new) = (home.trial_dir().unwrap(), home.cache("trials").join(".new-1"));
        let killed = home.cache("trials").join(".new-2");
        for left in [&new, &killed] {
            fs::create_dir(left).unwrap();
            fs::write(left.join(HELD), "").unwrap();
        }
        for old in [lasts.path(), &killed] {
            fs::File::open(old).unwrap().set_modified(SystemTime::now() - 2 * HELD_BY).unwrap();
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
        let home = Home::at(dir.path().join("home"));
        // `name` is a part of `named`, which the file names.
        let names = ["gone", "name", "named", "own"].map(|name| name.parse::<SecretName>().unwrap());
        {
            let lock = home.lock().unwrap();
            home.note_pending(&lock, &home.mcp_path(), &names[..3]).unwrap();
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
        assert!(!home.root().join(PENDING).exists());
    }
}

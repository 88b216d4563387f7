//! Bundles that MCP servers run from, and which of them are still needed.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::{Home, HomeError, Lock, files, json, read_capped, read_dir, remove_tree};

/// The digits of a digest in the name of a bundle's directory.
const DIGEST_LEN: usize = 16;

/// A bundle that is being installed. Until this is dropped, no process removes it.
#[derive(Debug)]
pub struct BundleGuard {
    _file: File,
}

impl Home {
    fn bundles(&self) -> PathBuf {
        self.root().join("bundles")
    }

    /// The directory of a bundle, by its digest.
    pub fn bundle(&self, sha256: &str) -> PathBuf {
        self.bundles().join(&sha256[..sha256.len().min(DIGEST_LEN)])
    }

    /// Notes that a bundle is being installed.
    pub fn use_bundle(&self, sha256: &str) -> Result<BundleGuard, HomeError> {
        self.make_dir(&self.cache("trials"))?;
        let path = self.bundle_lock(&sha256[..sha256.len().min(DIGEST_LEN)]);
        let file = files::open_owned(&path).map_err(|e| HomeError::io("open", &path, e))?;
        file.lock_shared().map_err(|e| HomeError::io("lock", &path, e))?;
        Ok(BundleGuard { _file: file })
    }

    fn bundle_lock(&self, name: &str) -> PathBuf {
        self.cache("trials").join(format!(".bundle-{name}.lock"))
    }

    /// Removes the bundles that neither `mcp.json` nor `registry.lock` names, and what broken installations left. A bundle
    /// that is being installed, or that a process runs in, stays. What can't be removed waits for the next call.
    pub fn sweep_bundles(&self, _lock: &Lock) {
        let directory = self.bundles();
        let (Some(named), Ok(())) = (self.naming_bundles(), self.make_dir(&self.cache("trials"))) else { return };
        let is_named =
            |name: &str| named.iter().any(|text| text.windows(name.len()).any(|part| part == name.as_bytes()));
        for entry in read_dir(&directory).into_iter().flatten().flatten() {
            let file = entry.file_name();
            let Some((name, is_staged)) = file.to_str().and_then(bundle_name) else { continue };
            let path = entry.path();
            let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_dir || (!is_staged && (is_named(name) || has_process(&path))) {
                continue;
            }
            let Ok(lock) = files::open_owned(&self.bundle_lock(name)) else { continue };
            if lock.try_lock().is_ok() {
                let _ = remove_tree(&path);
            }
        }
    }

    /// The texts of what names bundles. None if one of them can't be read: it may name any.
    fn naming_bundles(&self) -> Option<Vec<Vec<u8>>> {
        let read = |path: PathBuf| Some(read_capped(&path, json::MAX_BYTES).ok()?.unwrap_or_default());
        [self.mcp_path(), self.root().join("registry.lock")].into_iter().map(read).collect()
    }
}

/// The name of a bundle, from that of its directory or of one that is being written: `.NAME.PROCESS`.
fn bundle_name(file: &str) -> Option<(&str, bool)> {
    let (name, is_staged) = match file.strip_prefix('.') {
        Some(rest) => (rest.split_once('.')?.0, true),
        None => (file, false),
    };
    (name.len() == DIGEST_LEN && name.bytes().all(|b| b.is_ascii_hexdigit())).then_some((name, is_staged))
}

/// Whether a process works in a directory. Servers of a bundle start in it; those of a session that runs end a moment after
/// their entry is gone.
#[cfg(target_os = "linux")]
fn has_process(directory: &Path) -> bool {
    use std::fs;

    let Ok(directory) = fs::canonicalize(directory) else { return false };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut places = processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok());
    places.any(|place| place.starts_with(&directory))
}

#[cfg(not(target_os = "linux"))]
fn has_process(_directory: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn bundles_that_are_not_named_and_not_used_go() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        let lock = home.lock().unwrap();
        let names =
            ["aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "cccccccccccccccc", "dddddddddddddddd", "eeeeeeeeeeeeeeee"];
        let [of_mcp, of_record, running, used, gone] = names.map(|name| home.bundle(&name.repeat(4)));
        let (half, other) = (home.bundles().join(".eeeeeeeeeeeeeeee.123"), home.bundles().join("notes"));
        for path in [&of_mcp, &of_record, &running, &used, &gone, &half, &other] {
            fs::create_dir_all(path.join("lib")).unwrap();
        }
        fs::write(home.mcp_path(), format!("{{\"mcpServers\": {{\"a\": {{\"cwd\": {of_mcp:?}}}}}}}")).unwrap();
        fs::write(home.root().join("registry.lock"), format!("{{\"x\": {of_record:?}}}")).unwrap();
        let mut process =
            std::process::Command::new("sleep").arg("60").current_dir(running.join("lib")).spawn().unwrap();
        let using = home.use_bundle(names[3]).unwrap();
        home.sweep_bundles(&lock);
        let there = |paths: &[&PathBuf]| paths.iter().filter(|path| path.exists()).count();
        assert_eq!(there(&[&of_mcp, &of_record, &used, &other]), 4);
        assert_eq!(there(&[&gone, &half]), 0);
        assert_eq!(running.exists(), cfg!(target_os = "linux"));
        process.kill().unwrap();
        process.wait().unwrap();
        drop(using);
        home.sweep_bundles(&lock);
        assert_eq!((there(&[&running, &used]), there(&[&of_mcp, &of_record, &other])), (0, 3));
        // A file that can't be read may name any.
        fs::create_dir_all(&gone).unwrap();
        fs::remove_file(home.mcp_path()).unwrap();
        fs::create_dir(home.mcp_path()).unwrap();
        home.sweep_bundles(&lock);
        assert!(gone.exists());
    }
}

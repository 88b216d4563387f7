//! What is noted before files are written, so that it can be undone.

use std::path::{Path, PathBuf};

use aiw_home::{Home, HomeError};

use crate::plan::FileChange;
use crate::record::{Record, TouchedFile, digest};

impl Record {
    /// Notes what is done to files, on top of what was done to them before.
    pub(crate) fn add_changes<'a>(&mut self, files: impl IntoIterator<Item = &'a FileChange>) {
        for file in files {
            let (old, new) = (file.old.as_deref().map(digest), file.new.as_deref().map(digest));
            match self.files.iter_mut().find(|kept| kept.path == file.path) {
                Some(kept) => {
                    let is_known = old == kept.original || old.as_deref().is_some_and(|old| kept.is_untouched(old));
                    kept.written = new.filter(|_| is_known);
                    kept.before = old.filter(|_| is_known);
                }
                None => {
                    let made = missing_directories(&file.path);
                    let (role, path) = (file.role, file.path.clone());
                    let kept = TouchedFile {
                        role,
                        path,
                        backup: None,
                        before: old.clone(),
                        original: old,
                        written: new,
                        made,
                    };
                    self.files.push(kept);
                }
            }
        }
    }

    /// Keeps copies of files before they are changed, and the record itself. Whatever happens afterwards can be undone.
    pub(crate) fn save_with_backups(&self, home: &Home, stem: &str, files: &[FileChange]) -> Result<(), HomeError> {
        let mut record = self.clone();
        for (number, kept) in record.files.iter_mut().enumerate() {
            let file = files.iter().find(|file| file.path == kept.path);
            // Also one whose copy is gone, because an undo was killed at its end.
            if let Some(old) = file.and_then(|file| file.old.as_deref())
                && kept.original.as_deref() == Some(digest(old).as_str())
            {
                kept.backup = Some(Self::save_backup(home, stem, number, old)?);
            }
        }
        record.save(home, stem)
    }
}

/// The directories above a file that don't exist, the outermost first.
fn missing_directories(path: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = path.ancestors().skip(1).take_while(|dir| !dir.exists()).map(Path::to_owned).collect();
    dirs.reverse();
    dirs
}

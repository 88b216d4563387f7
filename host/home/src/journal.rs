//! Several documents changed as one.
//!
//! All new contents are staged on disk first (a full disk fails here, before anything changes). Then the journal is
//! written, each file is renamed into place, and the journal is deleted. If a journal is left behind, the next
//! process that takes the lock completes it: a file that still has its old content gets the new one. A file that the
//! user has changed since stays as it is; if it had not been replaced yet, the files after it aren't either, so that
//! the documents still describe the same state. The file that people edit most comes first.

use std::fs;
use std::path::{Path, PathBuf};

use crate::document::{DocumentChange, digest};
use crate::files::StagedFile;
use crate::{Document, HomeError, Mode, json, read_capped, remove_file, replace};

/// The journal contains whole documents.
const MAX_BYTES: u64 = 4 * json::MAX_BYTES;

pub(crate) fn commit(journal: &Path, documents: &[&Document]) -> Result<(), HomeError> {
    let mut changes = Vec::new();
    for document in documents {
        changes.extend(document.change());
    }
    let mut staged = Vec::new();
    for change in &mut changes {
        let file = StagedFile::new(&change.path, change.new.as_bytes(), Mode::Private)?;
        change.staged = file.staging_path();
        staged.push(file);
    }
    // Replacing a single file is already atomic.
    if changes.len() > 1 {
        let text = serde_json::to_vec(&changes).map_err(|e| HomeError::invalid(journal, e.to_string()))?;
        replace(journal, &text, Mode::Private)?;
    }
    for file in staged {
        file.publish()?;
    }
    remove(journal)
}

/// Returns where a journal that makes no sense is put: what it would have changed is not known.
pub(crate) fn damaged_path(journal: &Path) -> PathBuf {
    let mut aside = journal.as_os_str().to_owned();
    aside.push(".damaged");
    PathBuf::from(aside)
}

pub(crate) fn complete(journal: &Path) -> Result<(), HomeError> {
    let Some(bytes) = read_capped(journal, MAX_BYTES)? else { return Ok(()) };
    // It was replaced atomically, so it is complete; anything that isn't ours is put aside.
    let Ok(mut changes) = serde_json::from_slice::<Vec<DocumentChange>>(&bytes) else {
        let aside = damaged_path(journal);
        return fs::rename(journal, &aside).map_err(|e| HomeError::io("rename", journal, e));
    };
    // Documents are beside the journal, wherever it says that they are: as root, in somebody else's home, it could name
    // any file.
    for change in &mut changes {
        change.path = beside(journal, &change.path)?;
        change.staged = beside(journal, &change.staged).unwrap_or_default();
    }
    for change in &changes {
        let now = read_capped(&change.path, json::MAX_BYTES)?;
        if now.as_deref().map(digest) == change.old {
            replace(&change.path, change.new.as_bytes(), Mode::Private)?;
        } else if now.as_deref() != Some(change.new.as_bytes()) && change.staged.is_file() {
            break;
        }
    }
    for change in &changes {
        let ours = change.staged.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".aiw-"));
        if ours {
            let _ = remove_file(&change.staged);
        }
    }
    remove(journal)
}

/// The file of this name in the directory of the journal.
fn beside(journal: &Path, path: &Path) -> Result<PathBuf, HomeError> {
    let name = path.file_name().ok_or_else(|| HomeError::invalid(journal, "names something that is not a file"))?;
    Ok(journal.with_file_name(name))
}

fn remove(journal: &Path) -> Result<(), HomeError> {
    match remove_file(journal) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(HomeError::io("remove", journal, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Home;
    use serde_json::json;
    use std::fs;

    #[test]
    fn one_that_makes_no_sense_is_put_aside_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        drop(home.lock().unwrap());
        let journal = home.root().join(".journal.json");
        fs::write(&journal, "[{\"path\"").unwrap();
        drop(home.lock().unwrap());
        assert!(!journal.exists());
        assert_eq!(fs::read_to_string(damaged_path(&journal)).unwrap(), "[{\"path\"");
        let (_, problems) = home.check();
        assert!(problems.iter().any(|found| found.problem.contains("its journal was damaged")), "{problems:?}");
    }

    #[test]
    fn a_journal_that_was_left_behind_is_completed_and_the_users_own_change_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let (a, b) = (dir.path().join("a.json"), dir.path().join("b.json"));
        fs::write(&a, "{}").unwrap();
        fs::write(&b, "{\"mine\": 1}").unwrap();
        let changes = json!([
            {"path": a, "old": digest(b"{}"), "new": "{\"x\": 1}"},
            {"path": b, "old": digest(b"{}"), "new": "{\"x\": 1}"},
            {"path": dir.path().join("c.json"), "old": null, "new": "{}"}
        ]);
        fs::write(home.root().join(".journal.json"), changes.to_string()).unwrap();
        home.recover().unwrap();
        assert_eq!(fs::read_to_string(&a).unwrap(), "{\"x\": 1}");
        assert_eq!(fs::read_to_string(&b).unwrap(), "{\"mine\": 1}");
        assert!(dir.path().join("c.json").exists());
        assert!(!home.root().join(".journal.json").exists());
    }

    #[test]
    fn a_journal_leads_to_nothing_outside_of_its_home() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path().join("home"));
        fs::create_dir(home.root()).unwrap();
        let (other, staged) = (dir.path().join("other"), dir.path().join(".aiw-other"));
        fs::write(&other, "theirs").unwrap();
        fs::write(&staged, "theirs").unwrap();
        let changes = json!([
            {"path": other, "old": digest(b"theirs"), "new": "mine", "staged": staged},
            {"path": dir.path().join("new"), "old": null, "new": "mine"},
        ]);
        fs::write(home.root().join(".journal.json"), changes.to_string()).unwrap();
        home.recover().unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "theirs");
        assert!(staged.exists() && !dir.path().join("new").exists());
        assert!(!home.root().join(".journal.json").exists());
    }

    #[test]
    fn nothing_follows_a_file_that_was_edited_before_it_was_reached() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let (a, b, staged) = (dir.path().join("a.json"), dir.path().join("b.json"), dir.path().join(".aiw-1"));
        fs::write(&a, "{\"mine\": 1}").unwrap();
        fs::write(&b, "{}").unwrap();
        fs::write(&staged, "{\"x\": 1}").unwrap();
        let changes = json!([
            {"path": a, "old": digest(b"{}"), "new": "{\"x\": 1}", "staged": staged},
            {"path": b, "old": digest(b"{}"), "new": "{\"x\": 1}"}
        ]);
        fs::write(home.root().join(".journal.json"), changes.to_string()).unwrap();
        home.recover().unwrap();
        assert_eq!(fs::read_to_string(&a).unwrap(), "{\"mine\": 1}");
        assert_eq!(fs::read_to_string(&b).unwrap(), "{}");
        assert!(!staged.exists() && !home.root().join(".journal.json").exists());
    }

    #[test]
    fn documents_are_written_together_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        let lock = home.lock().unwrap();
        let (a, b) = (dir.path().join("a.json"), dir.path().join("none/b.json"));
        let mut first = Document::load(&a, "{}").unwrap();
        let mut second = Document::load(&b, "{}").unwrap();
        first.set(&["x"], &json!(1)).unwrap();
        second.set(&["x"], &json!(1)).unwrap();
        assert!(home.commit(&lock, &[&first, &second]).is_err());
        assert!(!a.exists());
        fs::create_dir(dir.path().join("none")).unwrap();
        home.commit(&lock, &[&first, &second]).unwrap();
        assert!(a.exists() && b.exists() && !home.root().join(".journal.json").exists());
    }
}

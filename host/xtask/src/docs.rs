//! The documents that the binary generates about itself: `aiw __docs DIRECTORY`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::command::{self, root};
use crate::tour::build_aiw;

/// Writes the generated documents into `docs/`.
pub fn write() -> Result<()> {
    write_into(&root().join("docs"))
}

/// Returns which generated documents differ from what the binary would write.
pub fn stale() -> Result<Vec<String>> {
    let fresh = tempfile::tempdir()?;
    write_into(fresh.path())?;
    let mut names = Vec::new();
    files(fresh.path(), &mut names)?;
    ensure!(!names.is_empty(), "the binary wrote no documents");
    let mut stale = Vec::new();
    for path in names {
        let name = path.strip_prefix(fresh.path())?;
        let kept = root().join("docs").join(name);
        if std::fs::read(&kept).ok() != Some(std::fs::read(&path)?) {
            stale.push(format!("docs/{} is not current: `cargo xtask docs` writes it", name.display()));
        }
    }
    Ok(stale)
}

fn write_into(directory: &Path) -> Result<()> {
    command::run(Command::new(build_aiw()?).arg("__docs").arg(directory).current_dir(root()))
}

fn files(directory: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, found)? } else { found.push(path) }
    }
    found.sort();
    Ok(())
}

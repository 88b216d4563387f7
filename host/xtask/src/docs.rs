//! The documents that the binary generates about itself, `aiw __docs DIRECTORY`, and the map of the rooms.

use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::command::{self, root};
use anyhow::{Context, Result, ensure};

use crate::check::rooms;
use crate::tour::build_aiw;

/// The file with the map of the rooms.
const MAP: &str = "host/README.md";

/// Writes the generated documents into `docs/`, and the map of the rooms into `host/README.md`.
pub fn write() -> Result<()> {
    std::fs::write(root().join(MAP), with_map()?)?;
    write_into(&root().join("docs"))
}

/// Returns the text of [`MAP`] with the present table of rooms between its marks.
fn with_map() -> Result<String> {
    let text = std::fs::read_to_string(root().join(MAP))?;
    let (before, rest) = text.split_once("<!-- rooms -->").context("the map has a mark for its table")?;
    let (_, after) = rest.split_once("<!-- end -->").context("the table of the map ends")?;
    Ok(format!("{before}<!-- rooms -->\n{}<!-- end -->{after}", rooms::table()))
}

/// Returns which generated documents differ from what would be written.
pub fn stale() -> Result<Vec<String>> {
    let fresh = tempfile::tempdir()?;
    write_into(fresh.path())?;
    let mut names = Vec::new();
    files(fresh.path(), &mut names)?;
    ensure!(!names.is_empty(), "the binary wrote no documents");
    let mut stale = Vec::new();
    if std::fs::read_to_string(root().join(MAP))? != with_map()? {
        stale.push(format!("{MAP} is not current: `cargo xtask docs` writes it"));
    }
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

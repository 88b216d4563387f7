//! `cargo xtask web`: the page of the dashboard, which is built with npm and kept in the repository, so that building aiw
//! needs none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use aiw_tests::command;
use anyhow::{Result, bail};

/// The page's sources.
pub const PAGE: &str = "host/web/page";

/// The files that are made of them, and of the API's description.
const MADE: [&str; 2] = ["dist", "src/api.d.ts"];

/// Builds the page. With `check`, it fails if what is in the repository is anything else.
pub fn build(check: bool) -> Result<bool> {
    let page = command::root().join(PAGE);
    let before = made(&page)?;
    npm(&page, &["ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"])?;
    for script in ["types", "test", "build"] {
        npm(&page, &["run", "--silent", script])?;
    }
    let after = made(&page)?;
    let names = before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name));
    let mut different: Vec<String> = names.map(|name| name.display().to_string()).collect();
    different.sort();
    different.dedup();
    if check && !different.is_empty() {
        println!("{PAGE}: `cargo xtask web` makes something else of {}", different.join(", "));
        return Ok(false);
    }
    Ok(true)
}

fn npm(page: &Path, arguments: &[&str]) -> Result<()> {
    let run = Command::new("npm").args(arguments).current_dir(page).env("CI", "true").status();
    match run {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => bail!("`npm {}` in {PAGE} ended with {status}", arguments.join(" ")),
        Err(e) => bail!("npm can't be started: {e}; the page is built with Node.js 20 or later"),
    }
}

/// Returns the files that are made, with their bytes.
fn made(page: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut files = BTreeMap::new();
    let mut open: Vec<PathBuf> = MADE.iter().map(|name| page.join(name)).collect();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                open.push(entry?.path());
            }
        } else if path.is_file() {
            files.insert(path.strip_prefix(page)?.to_owned(), fs::read(&path)?);
        }
    }
    Ok(files)
}

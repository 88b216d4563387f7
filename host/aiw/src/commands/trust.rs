//! `aiw trust …`

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::{one_line, shell_word};
use aiw_home::{Home, HomeError, Project, TrustSettings, read_unlinked};
use aiw_launch::{RoleSource, Roles};
use aiw_routing::MAX_FILE;
use aiw_servers::{FoundServer, PROJECT_FILE, Scope, in_file, visible};
use serde_json::json;

use super::suspicious;
use crate::cli::provider::TrustCommand;
use crate::failure::Failure;
use crate::output::Output;
use crate::terminal;

pub async fn run(command: TrustCommand, output: &Output) -> Result<(), Failure> {
    let home = Home::find()?;
    match command {
        TrustCommand::Add { directory, yes } => add(&home, directory, yes, output).await,
        TrustCommand::List => {
            list(home.settings()?.trust().directories(), output);
            Ok(())
        }
        TrustCommand::Remove { directory } => remove(&home, directory, output),
    }
}

/// More servers than anybody reads through.
const MOST_SERVERS: usize = 200;

/// The file that starts programs, as it was read once: what is shown is what is trusted.
struct Servers {
    file: PathBuf,
    bytes: Vec<u8>,
    /// Or why the file can't be used, as the end of a sentence about it.
    found: Result<Vec<FoundServer>, String>,
}

async fn add(home: &Home, directory: Option<PathBuf>, yes: bool, output: &Output) -> Result<(), Failure> {
    let directory = whole(directory)?;
    let servers = servers(&directory)?;
    let decide = |trust: &mut TrustSettings| {
        let is_new = trust.add(&directory);
        let file = directory.join(PROJECT_FILE);
        let is_changed = match &servers {
            Some(servers) if servers.found.is_ok() => trust.add_file(&file, &servers.bytes),
            _ => trust.remove_file(&file),
        };
        (is_new, is_changed)
    };
    let (is_new, is_changed) = decide(&mut home.settings()?.trust());
    if is_new || is_changed {
        output.before_question(format!("`{}`", visible(&directory.to_string_lossy())));
        for line in described(home, &directory, servers.as_ref())? {
            output.before_question(format!("  {line}"));
        }
        output.flush();
        if !terminal::confirm("Trust this directory and everything below it?", "--yes", yes).await? {
            return Err(Failure::declined("nothing was trusted"));
        }
        let lock = home.lock()?;
        let mut settings = home.settings()?;
        let mut trust = settings.trust();
        decide(&mut trust);
        settings.set_trust(&trust)?;
        settings.save(&lock)?;
    }
    let word = if is_new || is_changed { "Trusted" } else { "Already trusted" };
    output.line(format!("{word}: `{}`", directory.display()));
    let found = servers.iter().filter_map(|servers| servers.found.as_ref().ok()).flatten();
    let names: Vec<&String> = found.map(|found| &found.key).collect();
    // Otherwise it stands above the question.
    let is_told = (is_new || is_changed) && !output.is_json();
    if let Some((file, problem)) = left_out(servers.as_ref()).filter(|_| !is_told) {
        output.note(format!("note: `{}` is left out: it {problem}", visible(&file.to_string_lossy())));
    }
    output.answer(json!({"trusted": directory.to_string_lossy(), "new": is_new, "servers": names}));
    Ok(())
}

/// The file that is left out, and why.
fn left_out(servers: Option<&Servers>) -> Option<(&Path, &str)> {
    let servers = servers?;
    Some((&servers.file, servers.found.as_ref().err()?))
}

/// The servers of a directory's `.mcp.json`.
fn servers(directory: &Path) -> Result<Option<Servers>, Failure> {
    let file = directory.join(PROJECT_FILE);
    let bytes = match read_unlinked(&file, MAX_FILE) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Ok(None),
        // Whoever may write a link chooses what is trusted.
        Err(e) if fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_symlink()) => return Err(e.into()),
        // The rest of the directory can be trusted all the same.
        Err(HomeError::Invalid { problem, .. }) => {
            return Ok(Some(Servers { file, bytes: Vec::new(), found: Err(problem) }));
        }
        Err(HomeError::Io { source, .. }) => {
            let found = Err(format!("can't be read: {source}"));
            return Ok(Some(Servers { file, bytes: Vec::new(), found }));
        }
        Err(e) => return Err(e.into()),
    };
    let found = match in_file(&bytes) {
        Ok(declared) if declared.len() > MOST_SERVERS => {
            Err(format!("declares {} servers, more than {MOST_SERVERS}", declared.len()))
        }
        declared => declared.map(|declared| FoundServer::all(Scope::Project, declared)),
    };
    Ok(Some(Servers { file, bytes, found }))
}

/// All that the files of a directory decide, a line each.
fn described(home: &Home, directory: &Path, servers: Option<&Servers>) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    if let Some(servers) = servers {
        let file = visible(&servers.file.to_string_lossy());
        lines.push(match &servers.found {
            Ok(_) => format!("{file} starts these MCP servers in this directory:"),
            Err(problem) => format!("{file} is left out: it {problem}"),
        });
        for found in servers.found.iter().flatten() {
            match &found.server {
                Ok(server) => lines.extend(server.shown(&found.key).into_iter().map(|line| format!("  {line}"))),
                Err(problem) => lines.push(format!("  {} is left out: it {problem}", visible(&found.key))),
            }
        }
    }
    let file = directory.join(Project::FILE);
    // It can be trusted before it works: aiw reads it again for each use.
    match read_unlinked(&file, MAX_FILE).and_then(|bytes| bytes.map(|b| Project::parse(&file, &b)).transpose()) {
        Ok(Some(project)) => {
            lines.extend(
                project.providers().map(|(cli, name)| format!("{} uses the provider {}", cli.as_str(), visible(name))),
            );
            let profiles = project.profiles().keys().map(|name| visible(name)).collect::<Vec<_>>();
            if !profiles.is_empty() {
                lines.push(format!("defines the profiles {}", profiles.join(", ")));
            }
        }
        Ok(None) => {}
        Err(e @ (HomeError::Invalid { .. } | HomeError::Io { .. })) => lines.push(e.to_string()),
        Err(e) => return Err(e.into()),
    }
    let roles = Roles::at(home.clone(), &home.settings()?, Some(directory)).list().roles;
    for role in roles.into_iter().filter(|role| role.source == RoleSource::Project) {
        let said = role.description.map(|text| format!(": {}", one_line(&text, 200))).unwrap_or_default();
        lines.push(format!("role {}{said}", visible(&role.name)));
    }
    lines.extend(suspicious(&lines));
    if lines.is_empty() {
        lines.push("has no project files of aiw's yet".to_owned());
    }
    Ok(lines)
}

fn list(all: &[PathBuf], output: &Output) {
    if all.is_empty() {
        output.line("no directory is trusted");
    } else {
        let rows: Vec<_> = all.iter().map(|directory| vec![directory.display().to_string()]).collect();
        output.table(&["DIRECTORY"], &rows);
    }
    output.answer(json!({"directories": all.iter().map(|d| d.to_string_lossy()).collect::<Vec<_>>()}));
}

fn remove(home: &Home, directory: Option<PathBuf>, output: &Output) -> Result<(), Failure> {
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    let mut trust = settings.trust();
    // One that is gone, or has become a link, can still be taken out, as it is listed.
    let is_listed = |named: &PathBuf| trust.directories().contains(named) || (named.is_absolute() && !named.exists());
    let directory = match directory.clone().filter(is_listed) {
        Some(listed) => listed,
        None => whole(directory)?,
    };
    let removed = trust.remove(&directory);
    let above = trust.covering(&directory).map(Path::to_owned);
    if removed.is_empty() {
        let failure = Failure::user(format!("`{}` is not in the list", directory.display()));
        return Err(failure.with_hint(match above {
            Some(above) => format!(
                "it is trusted with `{}`: `aiw trust remove {}`",
                above.display(),
                shell_word(&above.to_string_lossy())
            ),
            None => "`aiw trust list` shows it".to_owned(),
        }));
    }
    settings.set_trust(&trust)?;
    settings.save(&lock)?;
    for gone in removed.iter().filter(|gone| **gone != directory).chain([&directory]) {
        output.line(format!("No longer trusted: `{}`", gone.display()));
    }
    if let Some(above) = above {
        output.note(format!("note: it is still trusted with `{}`", above.display()));
    }
    output.answer(json!({"removed": directory.to_string_lossy()}));
    Ok(())
}

/// A directory without links and dots.
fn whole(directory: Option<PathBuf>) -> Result<PathBuf, Failure> {
    let directory = directory.unwrap_or_else(|| Path::new(".").to_owned());
    match fs::canonicalize(&directory) {
        Ok(whole) if !whole.is_dir() => Err(Failure::user(format!("`{}` is not a directory", directory.display()))),
        // Settings hold text, and another directory may have the name that is left of this one.
        Ok(whole) if whole.to_str().is_none() => {
            Err(Failure::user(format!("the name of `{}` is not UTF-8, so settings can't hold it", whole.display())))
        }
        Ok(whole) => Ok(whole),
        Err(e) => Err(Failure::user(format!("there is no directory `{}`: {e}", directory.display()))),
    }
}

//! Directories whose files may decide what runs: what somebody trusts, and no longer does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aiw_core::{Ask, AskError, Effect, Fault, Plan, Sink, one_line, shell_word, visible};
use aiw_home::{Home, HomeError, Project, TrustSettings, read_unlinked};
use aiw_launch::{RoleSource, Roles};
use aiw_processes::ProcessProject;
use aiw_routing::{MAX_FILE, signs};
use aiw_servers::{PROJECT_FILE, ScopedServer, ServerScope, in_file};
use schemars::JsonSchema;
use serde::Serialize;

/// Why a directory can't be trusted, or taken out.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The home, or a file of the directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The person, or nobody.
    #[error("{}", .0.or_done("nothing was trusted"))]
    Ask(#[from] AskError),
    /// It is something else.
    #[error("`{}` is not a directory", .directory.display())]
    NoDirectory {
        /// The path.
        directory: PathBuf,
    },
    /// It is not there.
    #[error("there is no directory `{}`: {source}", .directory.display())]
    Absent {
        /// The path.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Its name is not text.
    #[error("the name of `{}` is not UTF-8, so settings can't hold it", .directory.display())]
    NotText {
        /// The path.
        directory: PathBuf,
    },
    /// It is not trusted by itself.
    #[error("`{}` is not in the list", .directory.display())]
    NotListed {
        /// The directory.
        directory: PathBuf,
        /// The directory above it that is trusted.
        above: Option<PathBuf>,
    },
}

impl Fault for TrustError {
    fn below(&self) -> Option<&dyn Fault> {
        aiw_core::passed_on!(self, Home, Ask)
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::NotListed { above: Some(above), .. } => Some(format!(
                "it is trusted with `{}`: `aiw trust remove {}`",
                above.display(),
                shell_word(&above.to_string_lossy())
            )),
            Self::NotListed { above: None, .. } => Some("`aiw trust list` shows it".into()),
            _ => None,
        }
    }
}

/// A directory that is trusted now.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TrustAdd {
    /// The directory
    pub trusted: String,
    /// Whether it was not trusted before
    pub new: bool,
    /// The servers of its `.mcp.json`
    pub servers: Vec<String>,
}

/// The directories that are trusted.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TrustList {
    /// The directories
    pub directories: Vec<String>,
}

/// A directory that is no longer trusted.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TrustRemove {
    /// The directory
    pub removed: String,
}

/// More servers than anybody reads through.
const MOST_SERVERS: usize = 200;

/// The file that starts programs, as it was read once: what is shown is what is trusted.
struct Servers {
    file: PathBuf,
    bytes: Vec<u8>,
    /// Or why the file can't be used, as the end of a sentence about it.
    found: Result<Vec<ScopedServer>, String>,
}

/// Trusts a directory and everything below it, after all that its files decide was shown and agreed to.
///
/// # Errors
///
/// Fails if the answer is no, it is not a directory, or the settings can't be written.
pub async fn add(home: &Home, directory: PathBuf, ask: &dyn Ask, sink: &dyn Sink) -> Result<TrustAdd, TrustError> {
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
    let (new, is_changed) = decide(&mut home.settings()?.trust());
    let is_asked = new || is_changed;
    if is_asked {
        let mut about = vec![format!("`{}`", visible(&directory.to_string_lossy()))];
        about.extend(described(home, &directory, servers.as_ref())?.into_iter().map(|line| format!("  {line}")));
        let question = "Trust this directory and everything below it?".to_owned();
        let effects = vec![Effect::Reads(directory.display().to_string()), Effect::Writes("settings.json".into())];
        let mut plan = Plan { about, effects, ..Plan::of(question) };
        servers.iter().for_each(|servers| plan.hold_for(&servers.bytes));
        ask.agree(&plan, &[]).await?;
        let lock = home.lock()?;
        let mut settings = home.settings()?;
        let mut trust = settings.trust();
        decide(&mut trust);
        settings.set_trust(&trust)?;
        settings.save(&lock)?;
    }
    let word = if is_asked { "Trusted" } else { "Already trusted" };
    sink.done(format!("{word}: `{}`", directory.display()));
    // Where it was asked about, it stood above the question.
    if let Some((file, problem)) = left_out(servers.as_ref()).filter(|_| !is_asked) {
        sink.note(format!("`{}` is left out: it {problem}", visible(&file.to_string_lossy())));
    }
    let found = servers.iter().filter_map(|servers| servers.found.as_ref().ok()).flatten();
    let servers = found.map(|found| found.key.clone()).collect();
    Ok(TrustAdd { trusted: directory.to_string_lossy().into_owned(), new, servers })
}

/// Returns the directories that are trusted.
///
/// # Errors
///
/// Fails if the settings can't be read.
pub fn list(home: &Home) -> Result<TrustList, TrustError> {
    let settings = home.settings()?;
    let trust = settings.trust();
    let directories = trust.directories().iter().map(|directory| directory.to_string_lossy().into_owned());
    Ok(TrustList { directories: directories.collect() })
}

/// Trusts a directory no longer, nor those below it.
///
/// # Errors
///
/// Fails if it is not trusted by itself, or the settings can't be written.
pub fn remove(home: &Home, directory: PathBuf, sink: &dyn Sink) -> Result<TrustRemove, TrustError> {
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    let mut trust = settings.trust();
    // One that is gone, or has become a link, can still be taken out, as it is listed.
    let is_listed = trust.directories().contains(&directory) || (directory.is_absolute() && !directory.exists());
    let directory = if is_listed { directory } else { whole(directory)? };
    let removed = trust.remove(&directory);
    let above = trust.covering(&directory).map(Path::to_owned);
    if removed.is_empty() {
        return Err(TrustError::NotListed { directory, above });
    }
    settings.set_trust(&trust)?;
    settings.save(&lock)?;
    for gone in removed.iter().filter(|gone| **gone != directory).chain([&directory]) {
        sink.done(format!("No longer trusted: `{}`", gone.display()));
    }
    if let Some(above) = above {
        sink.note(format!("it is still trusted with `{}`", above.display()));
    }
    Ok(TrustRemove { removed: directory.to_string_lossy().into_owned() })
}

/// The file that is left out, and why.
fn left_out(servers: Option<&Servers>) -> Option<(&Path, &str)> {
    let servers = servers?;
    Some((&servers.file, servers.found.as_ref().err()?))
}

/// The servers of a directory's `.mcp.json`.
fn servers(directory: &Path) -> Result<Option<Servers>, TrustError> {
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
        declared => declared.map(|declared| ScopedServer::all(ServerScope::Project, declared)),
    };
    Ok(Some(Servers { file, bytes, found }))
}

/// All that the files of a directory decide, a line each.
fn described(home: &Home, directory: &Path, servers: Option<&Servers>) -> Result<Vec<String>, TrustError> {
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
    let processes = ProcessProject::find(directory).map(|project| project.file());
    if let Some(file) = processes.ok().filter(|file| file.starts_with(directory) && file.exists()) {
        let file = visible(&file.to_string_lossy());
        lines.push(format!("{file} is allowed apart: `aiw up` shows what it starts, and asks"));
    }
    let roles = Roles::at(home.clone(), &home.settings()?, Some(directory)).list().roles;
    for role in roles.into_iter().filter(|role| role.source == RoleSource::Project) {
        let said = role.description.map(|text| format!(": {}", one_line(&text, 200))).unwrap_or_default();
        lines.push(format!("role {}{said}", visible(&role.name)));
    }
    lines.extend(signs(lines.iter().map(String::as_str)).into_iter().map(|sign| format!("suspicious: it {sign}")));
    if lines.is_empty() {
        lines.push("has no project files of aiw's yet".to_owned());
    }
    Ok(lines)
}

/// A directory without links and dots.
fn whole(directory: PathBuf) -> Result<PathBuf, TrustError> {
    match fs::canonicalize(&directory) {
        Ok(whole) if !whole.is_dir() => Err(TrustError::NoDirectory { directory }),
        // Settings hold text, and another directory may have the name that is left of this one.
        Ok(directory) if directory.to_str().is_none() => Err(TrustError::NotText { directory }),
        Ok(whole) => Ok(whole),
        Err(source) => Err(TrustError::Absent { directory, source }),
    }
}

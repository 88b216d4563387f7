//! Directories whose files may decide what runs: what somebody trusts, and no longer does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use aiw_core::{Diagnostic, Effect, Plan, PromptError, Prompter, Reporter, one_line, shell_quote, to_visible_line};
use aiw_home::{Home, HomeError, Project, TrustSettings, read_nofollow};
use aiw_launch::{ProjectContent, ProjectDeclarations, ProjectFile, RoleSource, Roles};
use aiw_processes::ProcessProject;
use aiw_routing::injection_findings;
use aiw_servers::{MAX_PROJECT_FILE_BYTES, PROJECT_FILE, ScopedServer, ServerScope};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// Why a directory can't be trusted, or taken out.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The home, or a file of the directory.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The person, or nobody.
    #[error("{}", .0.to_message("nothing was trusted"))]
    Prompt(#[from] PromptError),
    /// It is something else.
    #[error("`{}` is not a directory", .directory.display())]
    NotADirectory {
        /// The path.
        directory: PathBuf,
    },
    /// It is not there.
    #[error("there is no directory `{}`: {source}", .directory.display())]
    NotFound {
        /// The path.
        directory: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Its name is not text.
    #[error("the name of `{}` is not UTF-8, so settings can't hold it", .directory.display())]
    NotUtf8 {
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

impl Diagnostic for TrustError {
    fn diagnostic_source(&self) -> Option<&dyn Diagnostic> {
        aiw_core::forward_diagnostic!(self, Home, Prompt)
    }

    fn own_hint(&self) -> Option<String> {
        match self {
            Self::NotListed { above: Some(above), .. } => Some(format!(
                "it is trusted with `{}`: `aiw trust remove {}`",
                above.display(),
                shell_quote(&above.to_string_lossy())
            )),
            Self::NotListed { above: None, .. } => Some("`aiw trust list` shows it".into()),
            _ => None,
        }
    }
}

/// A directory that is trusted now.
#[warn(missing_docs)]
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
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TrustList {
    /// The directories
    pub directories: Vec<String>,
}

/// A directory that is no longer trusted.
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TrustRemove {
    /// The directory
    pub removed: String,
}

/// Trusts a directory and everything below it, after all that its files decide was shown and agreed to.
///
/// # Errors
///
/// Fails if the answer is no, it is not a directory, or the settings can't be written.
pub async fn add(
    home: &Home,
    directory: PathBuf,
    ask: &dyn Prompter,
    sink: &dyn Reporter,
) -> Result<TrustAdd, TrustError> {
    let directory = whole(directory)?;
    let mut files: Vec<ProjectFile> = ProjectFile::read_all(&directory).collect();
    // Whoever may write a link chooses what is trusted.
    let is_link = |file: &ProjectFile| file.path.ends_with(PROJECT_FILE) && file.path.is_symlink();
    if let Some(at) = files.iter().position(|file| file.content.is_err() && is_link(file)) {
        files.swap_remove(at).content?;
    }
    let decide = |trust: &mut TrustSettings| {
        let is_new = trust.add(&directory);
        let mut is_changed = false;
        for file in &files {
            is_changed |= match &file.content {
                Ok(Some(content)) => trust.add_file(&file.path, &content.bytes),
                Ok(None) | Err(_) => trust.remove_file(&file.path),
            };
        }
        (is_new, is_changed)
    };
    let (new, is_changed) = decide(&mut home.settings()?.trust());
    let is_asked = new || is_changed;
    if is_asked {
        let mut about = vec![format!("`{}`", to_visible_line(&directory.to_string_lossy()))];
        let roles = roles(home, &directory)?;
        about.extend(described(&directory, &files, &roles)?.into_iter().map(|line| format!("  {line}")));
        let question = "Trust this directory and everything below it?".to_owned();
        let effects = vec![Effect::Reads(directory.display().to_string()), Effect::Writes("settings.json".into())];
        let mut plan = Plan { details: about, effects, ..Plan::new(question) };
        files.iter().filter_map(content).for_each(|content| plan.add_hidden_bytes(&content.bytes));
        // Of a description, the beginning is shown.
        plan.add_hidden_bytes(format!("{roles:?}").as_bytes());
        ask.confirm(&plan, &[]).await?;
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
    for left_out in files.iter().filter_map(left_out).filter(|_| !is_asked) {
        sink.note(left_out);
    }
    let servers = files.iter().filter_map(content).filter_map(|content| match &content.declarations {
        ProjectDeclarations::Servers(servers) => Some(servers.keys().cloned()),
        ProjectDeclarations::Settings(_) => None,
    });
    let servers = servers.flatten().collect();
    Ok(TrustAdd { trusted: directory.to_string_lossy().into_owned(), new, servers })
}

/// Returns what a file holds, if it can be trusted.
fn content(file: &ProjectFile) -> Option<&ProjectContent> {
    file.content.as_ref().ok()?.as_ref()
}

/// Says that a file can't be trusted, and why.
fn left_out(file: &ProjectFile) -> Option<String> {
    let path = to_visible_line(&file.path.to_string_lossy());
    Some(match file.content.as_ref().err()? {
        HomeError::Invalid { problem, .. } => format!("`{path}` is left out: it {}", to_visible_line(problem)),
        error => format!("`{path}` is left out: {}", to_visible_line(&error.to_string())),
    })
}

/// Remembers that the user did not trust a directory when asked.
///
/// # Errors
///
/// Fails if the settings can't be written.
pub fn decline(home: &Home, directory: &Path) -> Result<(), TrustError> {
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    let mut trust = settings.trust();
    trust.decline(directory);
    settings.set_trust(&trust)?;
    Ok(settings.save(&lock)?)
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
pub fn remove(home: &Home, directory: PathBuf, sink: &dyn Reporter) -> Result<TrustRemove, TrustError> {
    let lock = home.lock()?;
    let mut settings = home.settings()?;
    let mut trust = settings.trust();
    // One that is gone, or has become a link, can still be taken out, as it is listed.
    let is_listed = trust.directories().contains(&directory) || (directory.is_absolute() && !directory.exists());
    let directory = if is_listed { directory } else { whole(directory)? };
    let removed = trust.remove(&directory);
    let above = trust.trusted_ancestor(&directory).map(Path::to_owned);
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

/// Returns what settings decide, a line each: the programs that they start first.
fn shown_settings(settings: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    let hooks = settings.get("hooks").and_then(Value::as_object);
    for (event, value) in hooks.into_iter().flatten() {
        commands(value, &mut |command| {
            lines.push(format!("runs at {}: {}", to_visible_line(event), to_visible_line(command)))
        });
    }
    let is_shown = |key: &str| key == "$schema" || (key == "hooks" && hooks.is_some());
    for (key, value) in settings.iter().filter(|(key, _)| !is_shown(key)) {
        lines.push(format!("sets {}: {}", to_visible_line(key), to_visible_line(&value.to_string())));
    }
    lines
}

/// Calls `found` for each hook: with its command, or with all of it if it has more than that.
fn commands(hooks: &Value, found: &mut impl FnMut(&str)) {
    match hooks {
        Value::Array(all) => all.iter().for_each(|hook| commands(hook, found)),
        // A matcher, and what runs where it matches.
        Value::Object(fields) if fields.contains_key("hooks") => {
            fields.get("hooks").into_iter().for_each(|hooks| commands(hooks, found));
        }
        Value::Object(fields) => match fields.get("command").and_then(Value::as_str) {
            Some(command)
                if fields.get("type").is_none_or(|kind| kind == "command")
                    && fields.keys().all(|key| key == "command" || key == "type") =>
            {
                found(command);
            }
            _ => found(&hooks.to_string()),
        },
        other => found(&other.to_string()),
    }
}

/// All that the files of a directory decide, a line each.
fn described(directory: &Path, files: &[ProjectFile], roles: &[ProjectRole]) -> Result<Vec<String>, TrustError> {
    let mut lines = Vec::new();
    for file in files {
        let (path, cli) = (to_visible_line(&file.path.to_string_lossy()), file.cli);
        match &file.content {
            Ok(None) => {}
            Ok(Some(ProjectContent { declarations: ProjectDeclarations::Servers(servers), .. })) => {
                lines.push(format!("{path} starts these MCP servers in this directory:"));
                for found in ScopedServer::from_declarations(ServerScope::Project, servers.clone()) {
                    match &found.server {
                        Ok(server) => {
                            lines.extend(server.describe(&found.key).into_iter().map(|line| format!("  {line}")))
                        }
                        Err(problem) => {
                            lines.push(format!("  {} is left out: it {problem}", to_visible_line(&found.key)))
                        }
                    }
                }
            }
            Ok(Some(ProjectContent { declarations: ProjectDeclarations::Settings(settings), .. })) => {
                lines.push(format!("{path} holds for {cli} in this directory:"));
                lines.extend(shown_settings(settings).into_iter().map(|line| format!("  {line}")));
            }
            Err(_) => lines.extend(left_out(file)),
        }
    }
    let file = directory.join(Project::FILE);
    // It can be trusted before it works: aiw reads it again for each use.
    match read_nofollow(&file, MAX_PROJECT_FILE_BYTES)
        .and_then(|bytes| bytes.map(|b| Project::parse(&file, &b)).transpose())
    {
        Ok(Some(project)) => {
            lines.extend(
                project
                    .providers()
                    .map(|(cli, name)| format!("{} uses the provider {}", cli.as_str(), to_visible_line(name))),
            );
            let profiles = project.profiles().keys().map(|name| to_visible_line(name)).collect::<Vec<_>>();
            if !profiles.is_empty() {
                lines.push(format!("defines the profiles {}", profiles.join(", ")));
            }
        }
        Ok(None) => {}
        Err(e @ (HomeError::Invalid { .. } | HomeError::Io { .. })) => lines.push(e.to_string()),
        Err(e) => return Err(e.into()),
    }
    let processes = ProcessProject::discover(directory).map(|project| project.file());
    if let Some(file) = processes.ok().filter(|file| file.starts_with(directory) && file.exists()) {
        let file = to_visible_line(&file.to_string_lossy());
        lines.push(format!("{file} is allowed apart: `aiw up` shows what it starts, and asks"));
    }
    for (name, description) in roles {
        let said = description.as_ref().map(|text| format!(": {}", one_line(text, 200))).unwrap_or_default();
        lines.push(format!("role {}{said}", to_visible_line(name)));
    }
    lines.extend(
        injection_findings(lines.iter().map(String::as_str)).into_iter().map(|sign| format!("suspicious: it {sign}")),
    );
    if lines.is_empty() {
        lines.push("has no project files of aiw's yet".to_owned());
    }
    Ok(lines)
}

/// The name of a role that a directory brings, and its description.
type ProjectRole = (String, Option<String>);

/// Returns the roles that a directory brings.
fn roles(home: &Home, directory: &Path) -> Result<Vec<ProjectRole>, TrustError> {
    let roles = Roles::open(home.clone(), &home.settings()?, Some(directory)).list().roles;
    let own = roles.into_iter().filter(|role| role.source == RoleSource::Project);
    Ok(own.map(|role| (role.name, role.description)).collect())
}

/// A directory without links and dots.
fn whole(directory: PathBuf) -> Result<PathBuf, TrustError> {
    match fs::canonicalize(&directory) {
        Ok(whole) if !whole.is_dir() => Err(TrustError::NotADirectory { directory }),
        // Settings hold text, and another directory may have the name that is left of this one.
        Ok(directory) if directory.to_str().is_none() => Err(TrustError::NotUtf8 { directory }),
        Ok(whole) => Ok(whole),
        Err(source) => Err(TrustError::NotFound { directory, source }),
    }
}

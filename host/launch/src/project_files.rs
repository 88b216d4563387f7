//! The files of a project from which AI CLIs take hooks, MCP servers and other settings. They are code of whoever wrote the
//! repository, so each is trusted with the bytes that it had.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use aiw_core::CliKind;
use aiw_home::{CLAUDE_LOCAL_SETTINGS, CliFiles, HomeError, read_nofollow};
use aiw_servers::{MAX_PROJECT_FILE_BYTES, MAX_SERVERS, PROJECT_FILE, parse_servers_file};
use serde_json::{Map, Value};

/// The largest settings that can be trusted: more than anybody reads through.
const MAX_SETTINGS_BYTES: u64 = 64 << 10;

/// The files of a directory, each with the CLI that reads it.
const PROJECT_FILES: [(CliKind, &str); 4] = [
    (CliKind::Claude, PROJECT_FILE),
    (CliKind::Claude, CliFiles::for_cli(CliKind::Claude).project_settings),
    (CliKind::Claude, CLAUDE_LOCAL_SETTINGS),
    (CliKind::Gemini, CliFiles::for_cli(CliKind::Gemini).project_settings),
];

/// A file of a project, as it was read once: what is shown is what is trusted.
#[derive(Debug)]
pub struct ProjectFile {
    /// The CLI that reads it.
    pub cli: CliKind,
    /// Its path.
    pub path: PathBuf,
    /// Its content, or why it can't be trusted. `None` if there is no such file.
    pub content: Result<Option<ProjectContent>, HomeError>,
}

/// The content of a file of a project.
#[derive(Debug)]
pub struct ProjectContent {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it declares.
    pub declarations: ProjectDeclarations,
}

/// What a file of a project declares.
#[derive(Debug)]
pub enum ProjectDeclarations {
    /// MCP servers by name.
    Servers(Map<String, Value>),
    /// Settings, hooks among them.
    Settings(Map<String, Value>),
}

impl ProjectFile {
    /// Reads the files that a directory can have, those that are absent included.
    pub fn read_all(directory: &Path) -> impl Iterator<Item = Self> {
        PROJECT_FILES.iter().map(move |(cli, name)| Self::read(*cli, directory.join(name)))
    }

    /// Reads those of a directory that a CLI reads.
    pub(crate) fn read_for_cli(cli: CliKind, directory: &Path) -> impl Iterator<Item = Self> {
        let own = PROJECT_FILES.iter().filter(move |(reader, _)| *reader == cli);
        own.map(move |(cli, name)| Self::read(*cli, directory.join(name)))
    }

    /// Reads a directory's `.claude/settings.local.json`.
    pub(crate) fn read_local(directory: &Path) -> Self {
        Self::read(CliKind::Claude, directory.join(CLAUDE_LOCAL_SETTINGS))
    }

    /// Reads a directory's `.mcp.json`.
    pub(crate) fn read_servers(directory: &Path) -> Self {
        Self::read(CliKind::Claude, directory.join(PROJECT_FILE))
    }

    fn read(cli: CliKind, path: PathBuf) -> Self {
        let is_servers = path.file_name().is_some_and(|name| name == PROJECT_FILE);
        let limit = if is_servers { MAX_PROJECT_FILE_BYTES } else { MAX_SETTINGS_BYTES };
        let content = match read_nofollow(&path, limit) {
            Ok(Some(bytes)) => {
                let text = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes.as_slice() };
                let declared = if is_servers { servers(text) } else { settings(text) };
                let invalid = |problem| HomeError::Invalid { path: path.clone(), problem };
                declared.map(|declared| Some(ProjectContent { bytes, declarations: declared })).map_err(invalid)
            }
            Ok(None) => Ok(None),
            // A directory on the way may be a link, and have no such file.
            Err(_) if fs::metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) => Ok(None),
            Err(error) => Err(error),
        };
        Self { cli, path, content }
    }
}

fn servers(bytes: &[u8]) -> Result<ProjectDeclarations, String> {
    match parse_servers_file(bytes)? {
        declared if declared.len() > MAX_SERVERS => {
            Err(format!("declares {} servers, more than {MAX_SERVERS}", declared.len()))
        }
        declared => Ok(ProjectDeclarations::Servers(declared)),
    }
}

fn settings(bytes: &[u8]) -> Result<ProjectDeclarations, String> {
    match aiw_home::json::parse_settings(bytes)? {
        Value::Object(settings) => Ok(ProjectDeclarations::Settings(settings)),
        _ => Err("is not a JSON object".into()),
    }
}

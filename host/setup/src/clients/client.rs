//! What a client is: where it keeps its servers, and how it writes them.

use std::path::{Path, PathBuf};

use aiw_core::CliKind;
use aiw_home::{CliPaths, ExecutionContext};
use serde_json::{Map, Value};

use crate::config::{Config, ConfigFormat};
use crate::ours::AiwEntry;
use crate::translate::{EnvSyntax, translate};

/// A client: where it keeps its servers, and how it writes them.
pub struct SetupClient {
    /// Its name on the command line.
    pub id: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Which AI CLI of aiw's it is. Others are installed where their directory is.
    pub cli: Option<CliKind>,
    /// A note after a setup for a project.
    pub(crate) project_note: Option<&'static str>,
    /// The client's treatment of calls that nobody approved, and the way to approve them.
    pub(crate) approval_note: Option<&'static str>,
    pub(crate) format: ConfigFormat,
    /// The key of its servers.
    pub(crate) servers_key: &'static str,
    /// The file of the user.
    pub(crate) user_path: fn(&ClientPaths) -> PathBuf,
    /// The file of a project, below its directory.
    pub(crate) project_path: Option<&'static str>,
    /// Writes our entry in its form.
    pub(crate) entry: fn(&AiwEntry) -> Map<String, Value>,
    /// Reads an entry of its into the form of `mcp.json`.
    pub(crate) parse_entry: fn(&Map<String, Value>) -> Result<ParsedEntry, String>,
    pub(crate) approval: AutoApprove,
    /// Why the client offers a server to nobody, by its whole file: the end of a sentence about the server.
    pub(crate) disabled_reason: fn(&Config, &str) -> Option<&'static str>,
}

/// A server in the form of `mcp.json`.
pub(crate) struct ParsedEntry {
    pub(crate) declaration: Map<String, Value>,
    /// The fields that mean something to the client alone, and don't come along.
    pub(crate) skipped: Vec<String>,
}

/// How a client is told not to ask before aiw's tools are called.
pub(crate) enum AutoApprove {
    /// The client has no such setting in a file.
    None,
    /// By a field of our entry.
    Field(&'static str, fn() -> Value),
    /// By an item in a list of another JSON file.
    ListItem {
        /// The file of the user.
        user: fn(&ClientPaths) -> PathBuf,
        /// The file of a project.
        project: &'static str,
        /// The list's path.
        list: &'static [&'static str],
        /// The item.
        item: &'static str,
    },
}

/// Where the clients of a user keep their files.
#[derive(Debug, Clone)]
pub struct ClientPaths {
    /// The files of AI CLIs.
    pub clis: CliPaths,
    /// Where desktop programs keep their configuration.
    pub config: PathBuf,
}

impl ClientPaths {
    /// The directories that the variables of aiw's own client name; none without a home.
    pub fn from_context(client: &ExecutionContext) -> Option<Self> {
        let clis = CliPaths::from_context(client)?;
        let home = clis.home();
        let config = match std::env::consts::OS {
            "macos" => home.join("Library/Application Support"),
            "windows" => client.variable_path("APPDATA").unwrap_or_else(|| home.join("AppData/Roaming")),
            _ => client.variable_path("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
        };
        Some(Self { config, clis })
    }

    /// The user's home.
    pub(crate) fn home(&self) -> &Path {
        self.clis.home()
    }

    /// `~/.config`, where some programs keep theirs on every system.
    pub(crate) fn dot_config(&self) -> PathBuf {
        if cfg!(target_os = "macos") { self.home().join(".config") } else { self.config.clone() }
    }
}

/// The form that most clients have in common: that of `mcp.json`, and no word about calls or projects.
pub(crate) const BASE_CLIENT: SetupClient = SetupClient {
    id: "",
    name: "",
    cli: None,
    project_note: None,
    approval_note: None,
    format: ConfigFormat::Json,
    servers_key: "mcpServers",
    user_path: |places| places.home().to_owned(),
    project_path: None,
    entry: AiwEntry::entry,
    parse_entry: |entry| read_plain(entry, EnvSyntax::Env, &[]),
    approval: AutoApprove::None,
    disabled_reason: |_, _| None,
};

impl SetupClient {
    /// Whether it seems to be installed. `installed` are the AI CLIs that were found.
    pub fn is_installed(&self, places: &ClientPaths, installed: &[CliKind]) -> bool {
        match self.cli {
            Some(cli) => installed.contains(&cli),
            None => (self.user_path)(places).parent().is_some_and(Path::is_dir),
        }
    }

    /// Whether it reads servers of a project.
    pub fn has_projects(&self) -> bool {
        self.project_path.is_some()
    }

    /// Whether it can be told not to ask before aiw's tools are called.
    pub fn can_approve(&self) -> bool {
        !matches!(self.approval, AutoApprove::None)
    }
}

impl std::fmt::Debug for SetupClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.id)
    }
}

/// Fails if an entry limits the tools that are offered: in `mcp.json` all of them would be.
pub(crate) fn check_unlimited(entry: &Map<String, Value>, fields: &[&str]) -> Result<(), String> {
    let limits = |field: &&&str| entry.get(**field).and_then(Value::as_array).is_some_and(|tools| !tools.is_empty());
    match fields.iter().find(limits) {
        Some(field) => Err(format!("offers only some of its tools there (`{field}`), and would offer all of them")),
        None => Ok(()),
    }
}

/// An entry that is in the form of `mcp.json` already, except for placeholders and fields of the client's own.
pub(crate) fn read_plain(entry: &Map<String, Value>, style: EnvSyntax, own: &[&str]) -> Result<ParsedEntry, String> {
    let mut read = ParsedEntry { declaration: Map::new(), skipped: Vec::new() };
    for (key, value) in entry {
        if own.contains(&key.as_str()) {
            read.skipped.push(key.clone());
        } else {
            read.declaration.insert(key.clone(), translate(value, style)?);
        }
    }
    Ok(read)
}

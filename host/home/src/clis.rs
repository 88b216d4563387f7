//! Where each AI CLI keeps its files: a table, what the user's variables change about it, and the directories that aiw
//! gives to CLIs.

use std::fs;
use std::path::{Path, PathBuf};

use aiw_core::CliKind;

use crate::{ExecutionContext, Home};

/// The variable that names the user's home.
const HOME_VARIABLE: &str = "HOME";

/// The directory in which Claude Code keeps subagents, below a project and below the user's home.
pub const CLAUDE_AGENTS: &str = ".claude/agents";

/// The directory in which Claude Code keeps a file about each of its processes, below its own directory.
pub const CLAUDE_SESSIONS_DIR: &str = "sessions";

/// The end of the name of a directory that is apart from the user's own.
const ISOLATED_SUFFIX: &str = "-isolated";

/// Where one AI CLI keeps its files. A path is below the CLI's own directory where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CliFiles {
    /// The variable that moves them.
    pub variable: &'static str,
    /// The CLI's own directory, below the user's home.
    own: &'static str,
    /// Whether the variable names the directory above the CLI's own one.
    is_above: bool,
    /// The user's settings.
    pub settings: &'static str,
    /// The settings of a project, below the project.
    pub project_settings: &'static str,
    /// The user's MCP servers, if they are not in the settings: below what the variable names, else the user's home.
    servers: Option<&'static str>,
    /// The directories and files that tell what was said in sessions.
    pub sessions: &'static [&'static str],
}

/// The settings of a project that Claude Code's users keep out of the repository, below the project.
pub const CLAUDE_LOCAL_SETTINGS: &str = ".claude/settings.local.json";

const CLAUDE_FILES: CliFiles = CliFiles {
    variable: "CLAUDE_CONFIG_DIR",
    own: ".claude",
    is_above: false,
    settings: "settings.json",
    project_settings: ".claude/settings.json",
    servers: Some(".claude.json"),
    sessions: &["projects"],
};

const CODEX_FILES: CliFiles = CliFiles {
    variable: "CODEX_HOME",
    own: ".codex",
    is_above: false,
    settings: "config.toml",
    project_settings: ".codex/config.toml",
    servers: None,
    sessions: &["sessions", "archived_sessions", "history.jsonl"],
};

const GEMINI_FILES: CliFiles = CliFiles {
    variable: "GEMINI_CLI_HOME",
    own: ".gemini",
    is_above: true,
    settings: "settings.json",
    project_settings: ".gemini/settings.json",
    servers: None,
    sessions: &["tmp"],
};

/// The variables that say where files are: aiw's own, and those of CLIs whose files it reads. A process of aiw's own that
/// goes on alone gets these and no others: none says whose process it is, and none is secret.
pub const INHERITED_VARIABLES: [&str; 9] = [
    "PATH",
    "HOME",
    "LANG",
    "TMPDIR",
    "AIW_HOME",
    "AIW_RUNTIME_DIR",
    CLAUDE_FILES.variable,
    CODEX_FILES.variable,
    GEMINI_FILES.variable,
];

impl CliFiles {
    /// Returns the row of a CLI.
    pub const fn for_cli(cli: CliKind) -> Self {
        match cli {
            CliKind::Claude => CLAUDE_FILES,
            CliKind::Codex => CODEX_FILES,
            CliKind::Gemini => GEMINI_FILES,
        }
    }

    /// Returns the CLI's own directory if its variable names `place`.
    pub fn directory_in(&self, place: &Path) -> PathBuf {
        if self.is_above { place.join(self.own) } else { place.to_owned() }
    }

    /// Returns what the CLI's variable names, else the user's home. `variable` looks up variables.
    pub fn base(&self, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
        variable(self.variable).or_else(|| variable(HOME_VARIABLE))
    }

    /// Returns the CLI's own directory. `variable` looks up variables.
    pub fn directory(&self, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
        match variable(self.variable) {
            Some(place) => Some(self.directory_in(&place)),
            None => Some(variable(HOME_VARIABLE)?.join(self.own)),
        }
    }

    /// Returns the file with the user's MCP servers. `variable` looks up variables.
    pub fn servers(&self, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
        match self.servers {
            Some(file) => Some(self.base(variable)?.join(file)),
            None => Some(self.directory(variable)?.join(self.settings)),
        }
    }
}

/// Where a user's AI CLIs keep their files.
#[derive(Debug, Clone)]
pub struct CliPaths {
    home: PathBuf,
    /// The CLIs' own directories, in the order of [`CliKind::ALL`].
    directories: [PathBuf; 3],
    servers: [PathBuf; 3],
}

impl CliPaths {
    /// Returns the places that a client's variables name, or `None` if the user has no home.
    pub fn from_context(client: &ExecutionContext) -> Option<Self> {
        Self::from_variables(|name| if name == HOME_VARIABLE { client.user_home() } else { client.variable_path(name) })
    }

    /// Returns the places that these variables name, or `None` without `HOME_VARIABLE`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<Self> {
        let look = &variable;
        Some(Self {
            home: look(HOME_VARIABLE)?,
            directories: [CLAUDE_FILES.directory(look)?, CODEX_FILES.directory(look)?, GEMINI_FILES.directory(look)?],
            servers: [CLAUDE_FILES.servers(look)?, CODEX_FILES.servers(look)?, GEMINI_FILES.servers(look)?],
        })
    }

    /// Returns the user's home.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the CLI's own directory.
    pub fn directory(&self, cli: CliKind) -> &Path {
        &self.directories[cli as usize]
    }

    /// Returns another directory in which versions of a CLI have kept their files, if no variable names one: Claude
    /// Code's was in `~/.config` for a while.
    pub fn legacy_directory(&self, cli: CliKind) -> Option<PathBuf> {
        let is_usual = self.directory(cli) == self.home.join(CliFiles::for_cli(cli).own);
        (cli == CliKind::Claude && is_usual).then(|| self.home.join(".config/claude"))
    }

    /// Returns the user's settings of a CLI.
    pub fn settings(&self, cli: CliKind) -> PathBuf {
        self.directory(cli).join(CliFiles::for_cli(cli).settings)
    }

    /// Returns the file with the user's MCP servers of a CLI.
    pub fn servers(&self, cli: CliKind) -> &Path {
        &self.servers[cli as usize]
    }
}

/// A directory that aiw gives to a CLI in place of the user's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RedirectedHome {
    /// The CLI's own directory.
    pub path: PathBuf,
    /// The provider that the CLI runs under there, if it is one's own.
    pub provider: Option<String>,
    /// Whether it is apart from the user's own configuration.
    pub isolated: bool,
}

impl Home {
    /// `isolated/CLI`: what the variable of a CLI names that is run apart from the user's own configuration.
    pub fn isolated_dir(&self, cli: CliKind) -> PathBuf {
        self.root().join("isolated").join(cli.as_str())
    }

    /// `gemini/PROVIDER`: what the variable of Gemini CLI names under a provider.
    pub fn gemini_dir(&self, provider: &str, isolated: bool) -> PathBuf {
        let end = if isolated { ISOLATED_SUFFIX } else { "" };
        self.root().join("gemini").join(format!("{provider}{end}"))
    }

    /// Returns the directories that aiw gives to a CLI.
    pub fn redirected_homes(&self, cli: CliKind) -> Vec<RedirectedHome> {
        let files = CliFiles::for_cli(cli);
        let path = files.directory_in(&self.isolated_dir(cli));
        let mut given = vec![RedirectedHome { path, provider: None, isolated: true }];
        if cli == CliKind::Gemini {
            for entry in fs::read_dir(self.root().join("gemini")).into_iter().flatten().flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let apart = name.strip_suffix(ISOLATED_SUFFIX);
                given.push(RedirectedHome {
                    path: files.directory_in(&entry.path()),
                    provider: Some(apart.unwrap_or(&name).to_owned()),
                    isolated: apart.is_some(),
                });
            }
            given[1..].sort();
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_moves_the_files_of_its_cli_alone() {
        let at = |moved: &'static str| {
            let variable = move |name: &str| match name {
                "HOME" => Some("/me".into()),
                name => (name == moved).then(|| "/else".into()),
            };
            let places = CliPaths::from_variables(variable).unwrap();
            CliKind::ALL.map(|cli| {
                [places.directory(cli).to_owned(), places.settings(cli), places.servers(cli).to_owned()]
                    .map(|path| path.to_str().unwrap().to_owned())
            })
        };
        let plain = [
            ["/me/.claude", "/me/.claude/settings.json", "/me/.claude.json"],
            ["/me/.codex", "/me/.codex/config.toml", "/me/.codex/config.toml"],
            ["/me/.gemini", "/me/.gemini/settings.json", "/me/.gemini/settings.json"],
        ];
        assert_eq!(at("OTHER"), plain);
        assert_eq!(at("CLAUDE_CONFIG_DIR")[0], ["/else", "/else/settings.json", "/else/.claude.json"]);
        assert_eq!(at("CODEX_HOME")[1], ["/else", "/else/config.toml", "/else/config.toml"]);
        let gemini = ["/else/.gemini", "/else/.gemini/settings.json", "/else/.gemini/settings.json"];
        assert_eq!(at("GEMINI_CLI_HOME")[2], gemini);
        assert_eq!(at("GEMINI_CLI_HOME")[..2], plain[..2]);
        assert!(CliPaths::from_variables(|name| (name != "HOME").then(|| "/x".into())).is_none());
    }

    #[test]
    fn the_homes_that_gemini_cli_gets_tell_their_provider() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::from_root(dir.path());
        for (provider, isolated) in [("router", true), ("router", false), ("a", false)] {
            fs::create_dir_all(home.gemini_dir(provider, isolated)).unwrap();
        }
        let given = home.redirected_homes(CliKind::Gemini);
        let told: Vec<_> = given.iter().map(|one| (one.provider.as_deref(), one.isolated)).collect();
        assert_eq!(told, [(None, true), (Some("a"), false), (Some("router"), false), (Some("router"), true)]);
        assert!(given.iter().all(|one| one.path.ends_with(".gemini")));
        assert_eq!(home.redirected_homes(CliKind::Codex)[0].path, home.isolated_dir(CliKind::Codex));
    }
}

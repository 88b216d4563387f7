//! Where travelling files are: the roots, and paths below them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use aiw_core::{CliKind, RelPath};
use aiw_home::{CliPaths, Home};
use serde::{Deserialize, Serialize};

/// The most bytes of a path.
pub(crate) const MAX_PATH_BYTES: usize = 240;

aiw_core::string_enum! {
    /// A directory of which files travel.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum SyncRoot, "root" {
        /// That of Claude Code, `~/.claude`.
        Claude = "claude",
        /// The directory with `.claude.json`, usually your home.
        ClaudeState = "claude-state",
        /// That of Codex, `~/.codex`.
        Codex = "codex",
        /// That of Gemini CLI, `~/.gemini`.
        Gemini = "gemini",
        /// `~/.agents`, which several CLIs read.
        Agents = "agents",
        /// aiw's own, `~/.aiw`.
        Aiw = "aiw",
    }
}

/// A file that travels: `claude:agents/reviewer.md`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SyncPath {
    /// The root.
    pub root: SyncRoot,
    below: String,
}

impl SyncPath {
    /// Returns a path below a root.
    ///
    /// # Errors
    ///
    /// It leads elsewhere, or some system can't have it.
    pub(crate) fn new(root: SyncRoot, below: &str) -> Result<Self, String> {
        Ok(Self { root, below: relative(below)?.as_str().to_owned() })
    }

    /// Returns the path below the root, with `/`.
    pub fn relative_path(&self) -> &str {
        &self.below
    }
}

impl fmt::Display for SyncPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.root.as_str(), self.below)
    }
}

impl FromStr for SyncPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unknown = || format!("`{}` is not a path of a snapshot", aiw_core::one_line(text, 120));
        let (root, below) = text.split_once(':').ok_or_else(unknown)?;
        Self::new(root.parse().map_err(|_| unknown())?, below)
    }
}

impl TryFrom<String> for SyncPath {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<SyncPath> for String {
    fn from(path: SyncPath) -> Self {
        path.to_string()
    }
}

/// Where the roots are on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    home: PathBuf,
    directories: BTreeMap<SyncRoot, PathBuf>,
}

impl Roots {
    /// Returns those of a client, or `None` if it has no home.
    pub(crate) fn new(home: &Home) -> Option<Self> {
        let places = CliPaths::from_context(home.context())?;
        let of = |cli| places.directory(cli).to_owned();
        let directories = BTreeMap::from([
            (SyncRoot::Claude, of(CliKind::Claude)),
            (SyncRoot::ClaudeState, places.servers(CliKind::Claude).parent()?.to_owned()),
            (SyncRoot::Codex, of(CliKind::Codex)),
            (SyncRoot::Gemini, of(CliKind::Gemini)),
            (SyncRoot::Agents, places.home().join(".agents")),
            (SyncRoot::Aiw, home.root().to_owned()),
        ]);
        Some(Self { home: places.home().to_owned(), directories })
    }

    /// Returns the user's home.
    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    /// Returns the directory of a root.
    pub(crate) fn directory(&self, root: SyncRoot) -> &Path {
        &self.directories[&root]
    }

    /// Returns where a file is.
    pub(crate) fn file(&self, path: &SyncPath) -> PathBuf {
        self.directory(path.root).join(&path.below)
    }
}

/// Checks a relative path as strictly as any system that it may come to.
fn relative(path: &str) -> Result<RelPath, String> {
    let parsed = RelPath::parse(path).map_err(|e| e.to_string())?;
    // One way to write it.
    if parsed.as_str() != path || path.is_empty() || path.len() > MAX_PATH_BYTES {
        return Err(format!("path `{}` is not a path of a snapshot", aiw_core::one_line(path, 120)));
    }
    Ok(parsed)
}

//! Which of aiw's own tools a server offers.

use std::str::FromStr;

use aiw_app::ProjectFeatures;
use aiw_core::one_line;

aiw_core::string_enum! {
    /// Tools that belong together.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Toolset {
        /// AI CLIs as tasks.
        Tasks = "tasks",
        /// The tools of other MCP servers.
        Servers = "servers",
        /// Finding them by what they do.
        Routing = "routing",
        /// Past sessions.
        History = "history",
        /// Finding MCP servers that are not installed.
        Registries = "registries",
        /// The project's processes.
        Processes = "processes",
        /// Scripts over the tools of other MCP servers.
        Workflows = "workflows",
        /// Runs of continuous integration.
        Ci = "ci",
    }
}

/// The tool of the toolset `processes` that tells what needs the user: tasks need them, too.
const STATUS_TOOL: &str = "get_status";

impl Toolset {
    /// Whether a tool of another toolset is in this one, too.
    pub(crate) fn includes(self, name: &str) -> bool {
        self == Self::Tasks && name == STATUS_TOOL
    }

    /// The toolsets that are offered by default.
    pub const DEFAULT: [Self; 4] = [Self::Tasks, Self::Servers, Self::Routing, Self::History];

    /// The word for all of these.
    pub const DEFAULT_NAME: &'static str = aiw_app::runs::DEFAULT_TOOLSET;

    /// Returns the toolsets of these names, of which `default` stands for the usual ones.
    pub fn from_names(names: &[String]) -> Result<Vec<Self>, UnknownToolset> {
        let mut toolsets = Vec::new();
        for name in names.iter().map(|name| name.trim()) {
            match name {
                Self::DEFAULT_NAME => toolsets.extend(Self::DEFAULT),
                name => toolsets.push(name.parse()?),
            }
        }
        Ok(toolsets)
    }

    /// Whether it is of no use without other MCP servers.
    pub(crate) fn needs_servers(self) -> bool {
        matches!(self, Self::Servers | Self::Routing | Self::Workflows)
    }
}

/// Which of aiw's own tools a session offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionToolsets {
    /// The toolsets.
    pub toolsets: Vec<Toolset>,
    /// Whether tools of the toolsets `processes` and `ci` are offered beside them, where the project has a use for them.
    pub has_project_tools: bool,
}

/// The tools for processes that a project declares. What defines one is in the toolset `processes` alone.
const DECLARED_PROCESS_TOOLS: [&str; 6] =
    ["list_processes", "get_process_status", "get_process_output", "wait_for_process", "start_process", "stop_process"];

/// The tools that read what CI says.
const CI_READ_TOOLS: [&str; 4] = ["list_ci_runs", "get_ci_run_details", "get_ci_failed_logs", "wait_for_ci_completion"];

/// Whether a tool is offered for what a project has, without its toolset.
pub(crate) fn is_for_project(name: &str, uses: ProjectFeatures) -> bool {
    (uses.offers_processes && DECLARED_PROCESS_TOOLS.contains(&name))
        || (uses.offers_ci && CI_READ_TOOLS.contains(&name))
}

impl SessionToolsets {
    /// The usual ones, where nobody has named any.
    pub fn with_defaults() -> Self {
        Self { toolsets: Toolset::DEFAULT.to_vec(), has_project_tools: true }
    }

    /// Those of these names, of which `default` stands for the usual ones; without names the usual ones.
    ///
    /// # Errors
    ///
    /// Fails if there is no toolset of a name.
    pub fn from_names(names: Option<&[String]>) -> Result<Self, UnknownToolset> {
        names.map_or_else(|| Ok(Self::with_defaults()), |names| Toolset::from_names(names).map(Self::from_toolsets))
    }

    /// These, and no others.
    pub fn from_toolsets(toolsets: Vec<Toolset>) -> Self {
        Self { toolsets, has_project_tools: false }
    }
}

/// No toolset has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no toolset `{}`", one_line(.name, 60))]
pub struct UnknownToolset {
    /// The name.
    pub name: String,
}

impl UnknownToolset {
    /// The names that there are.
    pub fn hint(&self) -> String {
        format!(
            "the toolsets are: {}, and `{}` for the usual ones",
            Toolset::ALL.map(Toolset::as_str).join(", "),
            Toolset::DEFAULT_NAME
        )
    }
}

impl FromStr for Toolset {
    type Err = UnknownToolset;

    fn from_str(name: &str) -> Result<Self, UnknownToolset> {
        let known = Self::ALL.into_iter().find(|toolset| toolset.as_str() == name);
        known.ok_or_else(|| UnknownToolset { name: name.to_owned() })
    }
}

//! The AI CLIs that aiw knows, one file each behind [`AiCli`]. A new one is a file, a line in
//! [`ALL`], and a name in [`CliKind`].

mod claude;
mod codex;
#[cfg(test)]
mod fuzz;
mod gemini;
#[cfg(test)]
mod tests;

use std::ffi::OsString;

use aiw_core::{Api, CliKind};
use aiw_providers::{CliApis, Clis};
use serde_json::{Map, Value};

pub(crate) use gemini::GeminiHome;

use crate::access::Access;
use crate::draft::Draft;
use crate::stream::CliStream;
use crate::{LaunchError, Permission};

/// What is particular to one AI CLI.
pub(crate) trait AiCli: Sync {
    /// Which it is.
    fn kind(&self) -> CliKind;

    /// Its package in the npm registry.
    fn npm_package(&self) -> &'static str;

    /// The APIs that it speaks, the preferred one first.
    fn speaks(&self) -> &'static [Api];

    /// The variable that names its directory of configuration, for `--isolated`.
    fn config_variable(&self) -> &'static str;

    /// Turns an intent into variables, arguments and settings, and neutralises what the user's own
    /// environment and settings could add. Errors if the CLI has no way to do what the intent asks.
    fn express(&self, access: &Access<'_>, draft: &mut Draft) -> Result<(), LaunchError>;

    /// Gives it a variable of the user's, which beats what was cleared.
    fn give(&self, name: &str, value: &str, draft: &mut Draft) {
        draft.give(name, value);
    }

    /// Passes the servers of `mcp.json` on.
    fn pass_servers(&self, servers: &Map<String, Value>, draft: &mut Draft) -> Result<(), LaunchError>;

    /// Its command line, with what the user's own arguments mean for it.
    fn command(&self, line: Line<'_>, draft: &mut Draft) -> Result<CommandLine, LaunchError>;

    /// How it is told of the settings over the user's own.
    fn pass_settings(&self, settings: &Value, draft: &Draft) -> Result<Passed, LaunchError>;

    /// Whether it looks up the real name of a file that it is given, which a descriptor does not have.
    fn wants_file_names(&self, _version: Option<&str>) -> bool {
        false
    }

    /// The reader of its structured stream.
    fn stream(&self) -> Box<dyn CliStream>;

    /// The arguments that resume a session of its own.
    fn resume(&self, session: &str) -> String;
}

/// All of them, in the order of lists.
const ALL: [&dyn AiCli; 3] = [&claude::Claude, &codex::Codex, &gemini::Gemini];

/// The module of a CLI.
pub(crate) fn of(kind: CliKind) -> &'static dyn AiCli {
    ALL.into_iter().find(|cli| cli.kind() == kind).unwrap_or(ALL[0])
}

/// All CLIs with the APIs that they speak, in the order of lists.
pub fn apis() -> Clis {
    Clis::new(ALL.map(|cli| CliApis { cli: cli.kind(), apis: cli.speaks() }))
}

/// The APIs that a CLI speaks, the preferred one first.
pub fn speaks(cli: CliKind) -> &'static [Api] {
    of(cli).speaks()
}

/// What a command line is made of.
pub(crate) struct Line<'a> {
    /// The prompt comes on standard input; else the CLI talks to the terminal.
    pub(crate) task: bool,
    pub(crate) permission: Permission,
    /// Where no provider passes it.
    pub(crate) model: Option<&'a str>,
    /// The provider that the run must keep to.
    pub(crate) provider: Option<&'a str>,
    /// The user's own arguments.
    pub(crate) own: &'a [OsString],
}

/// A command line, but for where the settings are.
#[derive(Default)]
pub(crate) struct CommandLine {
    /// Before the settings: aiw's.
    pub(crate) before: Vec<OsString>,
    /// After them: the user's. What stands behind a `--` of the user's would be text to the CLI.
    pub(crate) after: Vec<OsString>,
    /// The user's own argument that lifts the CLI's guards, as it was typed. aiw adds none.
    pub(crate) bypass: Option<String>,
}

/// How a CLI is told of settings.
#[derive(Clone)]
pub(crate) enum Passed {
    /// As a file in memory, after this argument.
    Argument(&'static str),
    /// As a file in memory, in this variable, over what that file holds already.
    Variable(&'static str, Value),
    /// As the settings of a home of its own.
    Home(GeminiHome),
}

/// Words as arguments.
fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

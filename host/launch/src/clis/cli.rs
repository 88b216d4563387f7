//! The interface of an AI CLI, and its command line.

use std::ffi::OsString;

use aiw_core::{Api, CliKind};
use serde_json::Value;

use super::gemini::home::GeminiHome;
use crate::access::ResolvedProvider;
use crate::builder::RunBuilder;
use crate::environment::Environment;
use crate::served::McpServerCommand;
use crate::stream::CliStream;
use crate::workspace::Workspace;
use crate::{LaunchError, Permission, RunRequest};

/// The properties of one AI CLI.
pub(crate) trait AiCli: Sync {
    /// Returns which CLI it is.
    fn kind(&self) -> CliKind;

    /// Returns the CLI's package in the npm registry.
    fn npm_package(&self) -> &'static str;

    /// Returns the APIs that the CLI speaks, the preferred one first.
    fn supported_apis(&self) -> &'static [Api];

    /// Returns the variables that aiw itself sets for the CLI under a provider.
    fn provider_variables(&self) -> &'static [&'static str];

    /// Returns the characters that the CLI can't send in a header's value.
    fn unsupported_header_chars(&self) -> &'static [char] {
        &[]
    }

    /// Turns an intent into variables, arguments and settings, and neutralizes what the user's own environment and
    /// settings could add. Returns an error if the CLI has no way to do what the intent asks.
    fn apply_provider(&self, access: &ResolvedProvider<'_>, draft: &mut RunBuilder) -> Result<(), LaunchError>;

    /// Gives the CLI a variable of the user's, which takes precedence over cleared variables.
    fn set_user_variable(&self, name: &str, value: &str, draft: &mut RunBuilder) {
        draft.set_user_variable(name, value);
    }

    /// Gives the CLI aiw's own MCP server as the only one, so that it calls the server's tools without asking.
    fn pass_server(&self, server: &McpServerCommand, draft: &mut RunBuilder);

    /// Returns whether a run uses what the project brings without asking anybody.
    fn skips_trust_prompt(&self, _request: &RunRequest) -> bool {
        false
    }

    /// Returns whether the CLI's own record says that the user trusts a project.
    fn has_recorded_trust(&self, _workspace: &Workspace, _environment: &Environment) -> bool {
        false
    }

    /// Returns whether a project brings anything that [`AiCli::restrict`] leaves out.
    fn has_project_files(&self, _workspace: &Workspace, _environment: &Environment) -> bool {
        false
    }

    /// Leaves out what a project brings, but for what it forbids, unless the CLI's own record trusts it. `why` is the note.
    fn restrict(&self, _workspace: &Workspace, _why: String, _draft: &mut RunBuilder) {}

    /// Tells the CLI for this run that the user trusts the project.
    fn trust(&self, _request: &RunRequest, _draft: &mut RunBuilder) {}

    /// Returns the CLI's arguments that choose which session it goes on with, each with whether a value follows it.
    fn session_arguments(&self) -> &'static [(&'static str, bool)];

    /// Returns the user's own arguments that also hold when the session goes on: all but those that choose a session. None
    /// of them if one is not text, or they are many.
    fn arguments_for_resume(&self, own: &[OsString]) -> Vec<String> {
        /// The bytes of arguments that are recorded.
        const MAX_ARGUMENT_BYTES: usize = 4 << 10;
        let texts: Option<Vec<&str>> = own.iter().map(|argument| argument.to_str()).collect();
        let mut kept = Vec::new();
        let mut rest = texts.unwrap_or_default().into_iter().peekable();
        while let Some(argument) = rest.next() {
            let name = argument.split_once('=').map_or(argument, |(name, _)| name);
            match self.session_arguments().iter().find(|(flag, _)| *flag == name) {
                None => kept.push(argument.to_owned()),
                Some((_, has_value)) if *has_value && name == argument => {
                    rest.next_if(|value| !value.starts_with('-'));
                }
                Some(_) => {}
            }
        }
        if kept.iter().map(String::len).sum::<usize>() > MAX_ARGUMENT_BYTES { Vec::new() } else { kept }
    }

    /// Returns the command line, including the meaning of the user's own arguments.
    fn command(&self, line: CommandParts<'_>, draft: &mut RunBuilder) -> Result<CommandLine, LaunchError>;

    /// Returns how to pass the CLI settings that override the user's own.
    fn pass_settings(&self, settings: &Value, draft: &RunBuilder) -> Result<Injection, LaunchError>;

    /// Returns whether the CLI looks up the real path of a file that it is given, which a descriptor does not have.
    fn needs_real_paths(&self, _version: Option<&str>) -> bool {
        false
    }

    /// Returns a reader of the CLI's structured stream.
    fn stream(&self) -> Box<dyn CliStream>;

    /// Returns the session that a process of the CLI is in, where the CLI says so while it runs.
    #[cfg_attr(not(unix), expect(dead_code, reason = "aiw looks at a CLI in the foreground on Unix only"))]
    fn running_session(&self, _environment: &Environment, _process: u32) -> Option<String> {
        None
    }

    /// Returns the arguments that resume a session of the CLI.
    fn resume_arguments(&self, session: &str) -> Vec<String>;

    /// Returns the arguments that resume the latest session of this directory.
    fn resume_latest_arguments(&self) -> &'static str;

    /// Returns the lines of a stream in which the CLI says these pieces, in each way that it can. They are parts of
    /// JSON strings.
    #[cfg(test)]
    fn render_stream_lines(&self, pieces: &[String]) -> String;
}

/// The input for a command line.
pub(crate) struct CommandParts<'a> {
    /// Whether the prompt comes on standard input. Otherwise the CLI talks to the terminal.
    pub(crate) is_task: bool,
    pub(crate) permission: Permission,
    /// The model, if no provider passes it.
    pub(crate) model: Option<&'a str>,
    /// The provider that the run must use.
    pub(crate) provider: Option<&'a str>,
    /// The user's own arguments.
    pub(crate) user_arguments: &'a [OsString],
}

/// A command line without the location of the settings.
#[derive(Default)]
pub(crate) struct CommandLine {
    /// aiw's arguments, before the settings.
    pub(crate) leading_arguments: Vec<OsString>,
    /// The user's arguments, after the settings. Anything after a `--` of the user's would be text to the CLI.
    pub(crate) trailing_arguments: Vec<OsString>,
    /// The user's own argument that disables the CLI's guards, as it was typed. aiw adds none.
    pub(crate) bypass_flag: Option<String>,
}

/// How settings are passed to a CLI.
#[derive(Clone)]
pub(crate) enum Injection {
    /// As a file in memory, named after this argument.
    Argument(&'static str),
    /// As a file in memory, named by this variable, on top of what the variable's original file contains.
    Variable(&'static str, Value),
    /// As the settings of a separate home.
    Home(GeminiHome),
}

/// Converts words to arguments.
pub(crate) fn to_os_strings(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

//! Going on with a session of a CLI: under the provider that it had, and where it was.

use std::path::Path;
use std::process::Command;

use aiw_core::{CliKind, ProviderName, shell_quote_printable};
use aiw_home::{CLI_LOGIN_NAME, Home, ProvidersFile};
use aiw_tasks::Task;

use crate::clis;

/// A session that a CLI has ended.
#[derive(Debug, Clone, Copy)]
pub struct EndedSession<'a> {
    /// The CLI.
    pub cli: CliKind,
    /// The session's id.
    pub session: &'a str,
    /// Where it was. Empty if unknown.
    pub directory: &'a str,
    /// The provider under which aiw ran the CLI.
    pub provider: Option<&'a str>,
    /// Whether aiw gave the CLI a separate configuration directory.
    pub isolated: bool,
}

/// The command that goes on with a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumePlan {
    directory: String,
    words: Vec<String>,
    /// Why this can't be done now, and what to do instead.
    pub problem: Option<String>,
}

/// Knows which providers there are, to go on with sessions.
#[derive(Debug)]
pub struct ResumeIndex {
    /// `None` if they can't be read: then nothing is said of them.
    providers: Option<ProvidersFile>,
}

impl ResumeIndex {
    /// Reads the providers of a home.
    pub fn new(home: &Home) -> Self {
        Self { providers: home.providers().ok() }
    }

    /// Returns what goes on with a session. Without a provider, the CLI itself does.
    pub fn plan_resume(&self, past: EndedSession<'_>) -> ResumePlan {
        let EndedSession { cli, session, directory, provider, isolated } = past;
        let resume = clis::for_kind(cli).resume_arguments(session);
        let words = match (provider, isolated) {
            (None, false) => [vec![cli.to_string()], resume.clone()].concat(),
            _ => ResumeCommand::new(cli, session, provider, isolated).to_argv(),
        };
        let is_gone =
            |name: &&str| *name != CLI_LOGIN_NAME && self.providers.as_ref().is_some_and(|file| is_gone(file, name));
        let problem = provider.filter(is_gone).map(|name| {
            let own = shell_join(&[vec![cli.to_string()], resume].concat());
            let again = match name.parse::<ProviderName>() {
                Ok(name) => format!("add it again with `aiw provider add {name}`"),
                Err(_) => "add it again".to_owned(),
            };
            format!("provider `{name}`, which this session had, is gone: {again}, or go on without it: `{own}`")
        });
        ResumePlan { directory: directory.to_owned(), words, problem }
    }
}

impl ResumePlan {
    /// Returns the line for a shell: one line, whatever the directory is called.
    pub fn command_line(&self) -> String {
        let line = shell_join(&self.words);
        match self.directory.as_str() {
            "" => line,
            directory => format!("cd {} && {line}", shell_quote_printable(directory)),
        }
    }

    /// Returns the command. `aiw` is this program.
    pub fn command(&self, aiw: &Path) -> Command {
        let (program, arguments) = self.words.split_first().map_or(("aiw", &[][..]), |(first, rest)| (first, rest));
        let mut command = if program == "aiw" { Command::new(aiw) } else { Command::new(program) };
        command.args(arguments);
        if !self.directory.is_empty() {
            command.current_dir(&self.directory);
        }
        command
    }
}

/// A run that goes on with a session, as aiw's command line has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeCommand {
    /// The CLI.
    pub cli: CliKind,
    /// The provider that the session had.
    pub provider: Option<String>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// Whether the CLI has a separate configuration directory.
    pub isolated: bool,
    /// Whether the run is kept out of the history.
    pub private: bool,
    /// Whether the CLI gets aiw as its only MCP server.
    pub mcp: bool,
    /// The CLI's own arguments, of which the first name the session.
    pub arguments: Vec<String>,
}

impl ResumeCommand {
    fn new(cli: CliKind, session: &str, provider: Option<&str>, isolated: bool) -> Self {
        Self {
            cli,
            provider: provider.map(str::to_owned),
            model: None,
            isolated,
            private: false,
            // With its own configuration, Gemini CLI gets the home in which the session is only together with aiw's server.
            mcp: cli == CliKind::Gemini && provider == Some(CLI_LOGIN_NAME),
            arguments: clis::for_kind(cli).resume_arguments(session),
        }
    }

    /// Returns what goes on with the session of a task, if its CLI has named one.
    pub fn from_task(task: &Task) -> Option<Self> {
        let about = &task.about;
        let mut run = Self::new(about.cli, about.session.as_deref()?, about.provider.as_deref(), about.isolated);
        run.arguments.extend(about.arguments.iter().cloned());
        Some(Self { model: about.model.clone(), private: about.private, ..run })
    }

    /// Returns the words of the command line.
    pub(crate) fn to_argv(&self) -> Vec<String> {
        let mut words = vec!["aiw".to_owned(), self.cli.to_string()];
        for (flag, value) in [("-p", &self.provider), ("-m", &self.model)] {
            words.extend(value.iter().flat_map(|value| [flag.to_owned(), value.clone()]));
        }
        let flags = [("--isolated", self.isolated), ("--private", self.private), ("--mcp", self.mcp)];
        words.extend(flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_owned()));
        words.push("--".to_owned());
        words.extend(self.arguments.iter().cloned());
        words
    }
}

/// Joins words to a line for a shell.
pub(crate) fn shell_join(words: &[String]) -> String {
    words.iter().map(|word| shell_quote_printable(word)).collect::<Vec<_>>().join(" ")
}
/// Returns whether there is neither a provider nor a pool of a name. One that can't be read is there.
fn is_gone(file: &ProvidersFile, name: &str) -> bool {
    file.get(name).is_ok_and(|found| found.is_none()) && file.pool(name).is_ok_and(|found| found.is_none())
}

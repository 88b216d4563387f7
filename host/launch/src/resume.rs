//! Going on with a session of a CLI: under the provider that it had, and where it was.

use std::path::Path;
use std::process::Command;

use aiw_core::{CliKind, ProviderName, shell_word_in_line};
use aiw_home::{Home, OWN, ProvidersFile};

use crate::clis;

/// A session that a CLI has ended.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
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
pub struct Resume {
    directory: String,
    words: Vec<String>,
    /// Why this can't be done now, and what to do instead.
    pub problem: Option<String>,
}

/// Knows which providers there are, to go on with sessions.
#[derive(Debug)]
pub struct Resumes {
    /// `None` if they can't be read: then nothing is said of them.
    providers: Option<ProvidersFile>,
}

impl Resumes {
    /// Reads the providers of a home.
    pub fn new(home: &Home) -> Self {
        Self { providers: home.providers().ok() }
    }

    /// Returns what goes on with a session. Without a provider, the CLI itself does.
    pub fn of(&self, past: Past<'_>) -> Resume {
        let Past { cli, session, directory, provider, isolated } = past;
        let resume = clis::of(cli).resume(session);
        let words = match (provider, isolated) {
            (None, false) => [vec![cli.to_string()], resume.clone()].concat(),
            _ => aiw_words(cli, session, provider, None, isolated),
        };
        let is_gone = |name: &&str| *name != OWN && self.providers.as_ref().is_some_and(|file| is_gone(file, name));
        let problem = provider.filter(is_gone).map(|name| {
            let own = joined(&[vec![cli.to_string()], resume].concat());
            let again = match name.parse::<ProviderName>() {
                Ok(name) => format!("add it again with `aiw provider add {name}`"),
                Err(_) => "add it again".to_owned(),
            };
            format!("provider `{name}`, which this session had, is gone: {again}, or go on without it: `{own}`")
        });
        Resume { directory: directory.to_owned(), words, problem }
    }
}

impl Resume {
    /// Returns the line for a shell: one line, whatever the directory is called.
    pub fn line(&self) -> String {
        let line = joined(&self.words);
        match self.directory.as_str() {
            "" => line,
            directory => format!("cd {} && {line}", shell_word_in_line(directory)),
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

/// Returns the words by which aiw goes on with a session.
pub(crate) fn aiw_words(
    cli: CliKind,
    session: &str,
    provider: Option<&str>,
    model: Option<&str>,
    isolated: bool,
) -> Vec<String> {
    let mut words = vec!["aiw".to_owned(), cli.to_string()];
    for (flag, value) in [("-p", provider), ("-m", model)] {
        words.extend(value.into_iter().flat_map(|value| [flag.to_owned(), value.to_owned()]));
    }
    if isolated {
        words.push("--isolated".to_owned());
    }
    // With its own configuration, Gemini CLI gets the home in which the session is only together with aiw's server.
    if cli == CliKind::Gemini && provider == Some(OWN) {
        words.push("--mcp".to_owned());
    }
    words.push("--".to_owned());
    words.extend(clis::of(cli).resume(session));
    words
}

/// Joins words to a line for a shell.
pub(crate) fn joined(words: &[String]) -> String {
    words.iter().map(|word| shell_word_in_line(word)).collect::<Vec<_>>().join(" ")
}
/// Returns whether there is neither a provider nor a pool of a name. One that can't be read is there.
fn is_gone(file: &ProvidersFile, name: &str) -> bool {
    file.get(name).is_ok_and(|found| found.is_none()) && file.pool(name).is_ok_and(|found| found.is_none())
}

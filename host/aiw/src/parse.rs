//! From the words of a command line to a command, or to what is said instead.

use std::ffi::OsString;

use aiw_core::CliKind;
use clap::Parser;

use crate::cli::{self, Cli};
use crate::commands;

/// A command, and the words after `--` that belong to an AI CLI.
pub struct ParsedArgs {
    pub cli: Cli,
    pub passthrough_args: Vec<OsString>,
}

/// What is said in place of running a command.
#[derive(Debug)]
pub enum ParseError {
    /// The help or the version, which was asked for.
    Help(clap::Error),
    /// The command line is wrong.
    InvalidUsage { error: clap::Error, hint: Option<String>, json: bool },
}

/// Parses a command line, whose first word is the program.
pub fn parse(words: &[OsString]) -> Result<ParsedArgs, ParseError> {
    let (ours, theirs) = commands::run::line::split_args(words.iter().cloned());
    let json = ours.iter().any(|word| word == "--json");
    let has_command = ours.iter().skip(1).any(|word| !word.to_string_lossy().starts_with('-'));
    let parsed = if has_command { Cli::try_parse_from(ours) } else { cli::groups::parse(ours) };
    match parsed {
        Ok(cli) => Ok(ParsedArgs { cli, passthrough_args: theirs }),
        Err(help) if !help.use_stderr() => Err(ParseError::Help(help)),
        Err(mut error) => {
            let runs = words.iter().skip(1).find_map(|word| word.to_str()?.parse::<CliKind>().ok());
            let hint = match runs {
                Some(cli) => commands::run::line::hint(cli, &mut error),
                None => commands::general::suggest_command(words, &error),
            };
            Err(ParseError::InvalidUsage { error, hint, json })
        }
    }
}

#[cfg(test)]
mod tests {
    use aiw_core::ErrorKind;
    use clap::CommandFactory;

    use super::*;
    use crate::output::Output;

    /// Returns what is said of a line that is wrong.
    fn wrong(line: &[&str]) -> (clap::Error, Option<String>, bool) {
        match parse_words(line) {
            Err(ParseError::InvalidUsage { error, hint, json }) => (error, hint, json),
            Err(ParseError::Help(_)) => panic!("{line:?} asks for help"),
            Ok(_) => panic!("{line:?} is right"),
        }
    }

    fn parse_words(line: &[&str]) -> Result<ParsedArgs, ParseError> {
        let words: Vec<OsString> = std::iter::once("aiw").chain(line.iter().copied()).map(OsString::from).collect();
        parse(&words)
    }

    fn help(line: &[&str]) -> String {
        match parse_words(line) {
            Err(ParseError::Help(help)) => help.render().to_string(),
            Err(ParseError::InvalidUsage { error, .. }) => panic!("{line:?}: {error}"),
            Ok(_) => panic!("{line:?} is a command"),
        }
    }

    #[test]
    fn each_command_has_a_help() {
        let mut ahead = vec![(Vec::new(), cli::groups::command())];
        let mut seen = 0;
        while let Some((path, command)) = ahead.pop() {
            let line: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
            let text = help(&line);
            assert!(text.contains("Usage: aiw"), "{text}");
            seen += 1;
            for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
                ahead.push(([path.clone(), vec![inner.get_name().to_owned()]].concat(), inner.clone()));
            }
        }
        assert!(seen > 100, "{seen}");
    }

    #[test]
    fn a_wrong_command_line_is_a_usage_error_in_both_forms() {
        for line in [
            &["nonsense"][..],
            &["plugin"],
            &["plugin", "instal"],
            &["plugin", "install"],
            &["plugin", "install", "x", "--nonsense"],
            &["plugin", "install", "x", "--env", "=x"],
            &["plugin", "install", "x", "--on-conflict", "maybe"],
            &["plugin", "marketplace", "add", "x", "--name", "../x"],
            &["plugin", "marketplace", "add", "x", "--source", "Not An Id"],
            &["extension", "new", "../x", "--kind", "market-source"],
        ] {
            let (error, hint, json) = wrong(line);
            assert!(!json && !error.render().to_string().is_empty(), "{line:?}");
            let code = Output::new(json).report_usage_error(&error, hint.as_deref());
            let usage = std::process::ExitCode::from(ErrorKind::Usage.exit_code());
            assert_eq!(format!("{code:?}"), format!("{usage:?}"), "{line:?}");
            assert!(wrong(&[line, &["--json"]].concat()).2, "{line:?}");
        }
    }

    #[test]
    fn a_command_without_its_noun_is_answered_with_the_whole_one() {
        for (line, right) in [
            (&["show", "2yg1"][..], "did you mean `aiw task show 2yg1`?"),
            (&["add", "web", "--", "npm", "run dev"], "did you mean `aiw process add web -- npm 'run dev'`?"),
            (&["remove", "2yg1", "a b"], "did you mean `aiw process remove 2yg1 'a b'`?"),
            (&["presets"], "did you mean `aiw provider presets`?"),
            (&["install", "x"], "did you mean `aiw plugin install`, `aiw mcp install`?"),
            (&["find", "github"], "did you mean `aiw mcp search WORDS`?"),
            (&["run", "x"], "did you mean `aiw claude \"PROMPT\"`?"),
            (&["--json", "prune"], "did you mean `aiw task prune`?"),
            (&["process", "list", "--all"], "did you mean `aiw ps --all`?"),
            (&["process", "logs", "a b"], "did you mean `aiw logs 'a b'`?"),
            (&["task", "wait", "x"], "did you mean `aiw wait x`?"),
            (&["add", "x", "--"], "did you mean `aiw process add x --`?"),
        ] {
            assert_eq!(wrong(line).1.as_deref(), Some(right), "{line:?}");
        }
    }

    /// Returns the files below a directory whose texts people read.
    fn sources(directory: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let is_skipped =
                ["target", "node_modules", "dist", "test", "tests", "bench"].iter().any(|other| name == *other);
            if entry.file_type().unwrap().is_dir() && !is_skipped {
                sources(&path, found);
            } else if path.extension().is_some_and(|kind| ["rs", "ts", "vue", "md"].iter().any(|known| kind == *known))
            {
                found.push(path);
            }
        }
    }

    #[test]
    fn each_command_in_a_text_exists() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = vec![root.join("README.md")];
        ["host", "docs"].iter().for_each(|directory| sources(&root.join(directory), &mut files));
        // They speak of programs that are no commands.
        files.retain(|file| !file.ends_with("host/README.md") && !file.to_string_lossy().contains("docs/decisions"));
        let pattern = regex::Regex::new(r"`aiw ([a-z][a-z0-9-]*)(?: ([a-z][a-z-]*)(?:[ `]))?").unwrap();
        let (commands, mut seen, mut unknown) = (Cli::command(), 0, Vec::new());
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            // A comment may speak of what people type instead.
            for line in text
                .lines()
                .filter(|line| !["// ", "///", "//!"].iter().any(|comment| line.trim_start().starts_with(comment)))
            {
                for found in pattern.captures_iter(line) {
                    seen += 1;
                    let command = commands.find_subcommand(&found[1]);
                    let inner = found.get(2).filter(|_| command.is_some_and(|command| command.has_subcommands()));
                    let is_known = command.is_some_and(|command| {
                        inner.is_none_or(|inner| command.find_subcommand(inner.as_str()).is_some())
                    });
                    if !is_known {
                        unknown.push(format!("{}: {}", file.display(), &found[0]));
                    }
                }
            }
        }
        assert!(seen > 1000, "{seen}");
        assert_eq!(unknown, [""; 0]);
    }

    #[test]
    fn similar_commands_are_named() {
        let (error, hint, _) = wrong(&["plugin", "instal"]);
        assert_eq!(hint, None);
        insta::assert_snapshot!(error.render().to_string(), @"
        error: unrecognized subcommand 'instal'

          tip: some similar subcommands exist: 'disable', 'list', 'uninstall', 'install'

        Usage: aiw plugin [OPTIONS] <COMMAND>

        For more information, try '--help'.
        ");
    }
}

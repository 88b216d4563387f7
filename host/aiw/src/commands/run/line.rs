//! The right command line, for one that was not: aiw's own flags, the prompt, `--`, the CLI's.

use std::borrow::Cow;
use std::ffi::OsString;

use aiw_app::AppError;
use aiw_core::{CliKind, closest, one_line, shell_quote};
use aiw_home::{CLI_LOGIN_NAME, Home};
use aiw_launch::LaunchError;
use aiw_providers::ProviderError;
use clap::CommandFactory;

use crate::cli::run::RunArgs;
use crate::failure::CliError;

/// The placeholder for a missing prompt.
const PROMPT_PLACEHOLDER: &str = "\"what to do\"";

/// Parts a command line for a CLI at its first `--`: what follows is the CLI's own.
pub fn split_args(arguments: impl Iterator<Item = OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let mut ours: Vec<OsString> = arguments.collect();
    let command = ours.iter().skip(1).find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    let runs = command.and_then(|word| word.to_str()).is_some_and(|word| word.parse::<CliKind>().is_ok());
    match ours.iter().position(|argument| argument == "--") {
        Some(at) if runs => {
            let theirs = ours.split_off(at + 1);
            ours.pop();
            (ours, theirs)
        }
        _ => (ours, Vec::new()),
    }
}

/// The line that this process was started with, as it would be right.
pub fn misplaced_flag_hint(cli: CliKind) -> String {
    let (words, theirs) = split_args(std::env::args_os());
    // Flags before the CLI's name count too.
    let mut words: Vec<OsString> = words.into_iter().skip(1).collect();
    if let Some(at) = words.iter().position(|word| word.to_str() == Some(cli.as_str())) {
        words.remove(at);
    }
    let line = put_right(cli, &words, &theirs);
    format!("flags of aiw go beside the prompt, those of {cli} after `--`: {line}")
}

fn put_right(cli: CliKind, words: &[OsString], theirs: &[OsString]) -> String {
    let quoted = |word: &OsString| shell_quote(&one_line(&word.to_string_lossy(), 60)).into_owned();
    let (mut ours, mut said, mut after): (Vec<String>, Vec<String>, Vec<String>) = Default::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy();
        if !is_flag(&text) {
            said.push(one_line(&text, 60));
            continue;
        }
        let meant = meant(cli, &text);
        let (text, word) = match &meant {
            Some(meant) => (Cow::Borrowed(meant.as_str()), &OsString::from(meant)),
            None => (text, word),
        };
        let Some(takes_value) = own_flag(cli, &text) else {
            after.push(quoted(word));
            // A word is its value if another one is left for the prompt.
            let is_word = |word: &OsString| !is_flag(&word.to_string_lossy());
            let mut rest = words.clone();
            let next = rest.next().filter(|next| is_word(next) && !next.to_string_lossy().contains(' '));
            if let Some(value) = next.filter(|_| !said.is_empty() || rest.any(is_word)) {
                after.push(quoted(value));
                words.next();
            }
            continue;
        };
        if text.contains('=') || !takes_value {
            ours.push(match text.starts_with("--env=") {
                true => redact_flag(&text),
                false => quoted(word),
            });
            continue;
        }
        let value = words.next();
        // A prompt after what is the print flag of two of the CLIs.
        if let (true, Some(value)) = (text == "-p", value.filter(|value| value.to_string_lossy().contains(' '))) {
            said.push(one_line(&value.to_string_lossy(), 60));
            continue;
        }
        ours.push(quoted(word));
        let value_shown = |value: &OsString| match text.as_ref() {
            "--env" => unvalued(&value.to_string_lossy()),
            _ => quoted(value),
        };
        ours.extend(value.map(value_shown));
    }
    after.extend(theirs.iter().map(quoted));
    let mut line: Vec<String> = ["aiw".to_owned(), cli.to_string()].into();
    line.extend(ours);
    line.push(if said.is_empty() { PROMPT_PLACEHOLDER.to_owned() } else { shell_quote(&said.join(" ")).into_owned() });
    if !after.is_empty() {
        line.push("--".to_owned());
        line.extend(after);
    }
    line.join(" ")
}

/// The flag of aiw's that a mistyped one stands for.
fn meant(cli: CliKind, flag: &str) -> Option<String> {
    let (name, value) = match flag.strip_prefix("--")?.split_once('=') {
        Some((name, value)) => (name, format!("={value}")),
        None => (flag.strip_prefix("--")?, String::new()),
    };
    let command = crate::cli::Cli::command();
    let own = command.find_subcommand(cli.as_str()).into_iter().flat_map(clap::Command::get_arguments);
    let name = closest(name, own.filter_map(clap::Arg::get_long))?;
    Some(format!("--{name}{value}"))
}

/// A flag as it may be shown: a variable may be a secret.
pub fn redact_flag(flag: &str) -> String {
    match flag.strip_prefix("--env=") {
        Some(pair) => format!("--env={}", unvalued(pair)),
        None => one_line(flag, 60),
    }
}

/// `K=V` without its value.
fn unvalued(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, _)) => format!("{}=…", one_line(name, 60)),
        None => one_line(pair, 60),
    }
}

/// Whether a word of a command line is a flag; `-` by itself isn't.
pub fn is_flag(word: &str) -> bool {
    word.starts_with('-') && word != "-"
}

/// Whether aiw itself has a flag, and whether its value is the next word. Short ones may stand
/// together, and the value of the last may follow at once: `-dpgw`.
fn own_flag(cli: CliKind, flag: &str) -> Option<bool> {
    let command = crate::cli::Cli::command();
    let arguments = || command.find_subcommand(cli.as_str()).into_iter().flat_map(clap::Command::get_arguments);
    let arguments = || arguments().chain(command.get_arguments());
    let takes_value = |argument: &clap::Arg| argument.get_action().takes_values();
    if let Some(long) = flag.strip_prefix("--") {
        let name = long.split('=').next().unwrap_or(long);
        return arguments().find(|argument| argument.get_long() == Some(name)).map(takes_value);
    }
    let mut letters = flag.strip_prefix('-')?.chars();
    while let Some(letter) = letters.next() {
        let takes_value = arguments().find(|argument| argument.get_short() == Some(letter)).map(takes_value)?;
        if takes_value {
            return Some(letters.as_str().is_empty());
        }
    }
    Some(false)
}

/// Returns a hint for a line that clap refuses: an unknown flag, or `-p` without a name.
pub fn hint(cli: CliKind, error: &mut clap::Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue, ErrorKind};

    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let flag = flag.clone();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            // After `--` come the CLI's own, not a prompt.
            error.remove(ContextKind::Suggested);
            Some(match flag.contains(' ') {
                true => format!("pass a prompt that begins with `-` on standard input: aiw {cli} -"),
                false => misplaced_flag_hint(cli),
            })
        }
        ErrorKind::InvalidValue if flag.starts_with("--provider") => Some(format!(
            "`-p` is the provider; a prompt needs no flag: aiw {cli} {PROMPT_PLACEHOLDER}, or `aiw {cli} -` to read it from standard input"
        )),
        _ => None,
    }
}

/// A failure for want of a prompt. Where `-p` names no provider, it was meant as the print flag of
/// two of the CLIs.
pub fn add_prompt_hint(cli: CliKind, args: &RunArgs, home: &Home, failure: CliError) -> CliError {
    let is_there =
        |name: &str| name == CLI_LOGIN_NAME || home.providers().map_or(true, |providers| providers.has(name));
    match &args.provider {
        Some(said) if said.contains(' ') || !is_there(said) => failure.with_hint(p_is_provider(cli, said)),
        Some(name) => failure.with_hint(format!("aiw {cli} -p {} {PROMPT_PLACEHOLDER}", shell_quote(name))),
        None => failure.with_hint(format!("aiw {cli} {PROMPT_PLACEHOLDER}, or `-` to read it from standard input")),
    }
}

fn p_is_provider(cli: CliKind, said: &str) -> String {
    format!("`-p` is the provider; a prompt needs no flag: aiw {cli} {}", shell_quote(&one_line(said, 60)))
}

/// The words of a prompt and the name that `-p` took for a provider's, as they were typed.
fn in_order(typed: impl Iterator<Item = String>, prompt: &[String], name: &str) -> Vec<String> {
    let (mut said, mut left) = (Vec::new(), prompt.iter().peekable());
    let (mut is_name, mut is_said) = (false, false);
    for word in typed {
        let attached =
            word.strip_prefix("--provider=").or_else(|| word.strip_prefix("-p").filter(|rest| !rest.is_empty()));
        if !is_said && (is_name || attached.is_some_and(|rest| rest.trim_start_matches('=') == name)) {
            said.push(name.to_owned());
            (is_name, is_said) = (false, true);
        } else if matches!(word.as_str(), "-p" | "--provider") {
            is_name = true;
        } else if left.peek().is_some_and(|next| **next == word) {
            said.extend(left.next().cloned());
        }
    }
    if !is_said {
        said.insert(0, name.to_owned());
    }
    said.extend(left.cloned());
    said
}

/// A run that can't be, where `-p` may have been meant as the print flag: what follows it is the
/// beginning of the prompt then.
pub fn add_provider_hint(cli: CliKind, args: &RunArgs, error: AppError) -> CliError {
    let named = args
        .provider
        .as_deref()
        .filter(|_| matches!(&error, AppError::Launch(LaunchError::UnknownProvider { source_name: None, .. })));
    let is_unreachable = matches!(&error, AppError::Launch(LaunchError::Provider(ProviderError::Unreachable { .. })));
    let failure = CliError::from(error);
    if is_unreachable {
        let hint = failure.hint().map(|hint| format!("{hint}; ")).unwrap_or_default();
        return failure.with_hint(format!("{hint}`--no-check` starts the CLI anyway"));
    }
    let Some(name) = named else { return failure };
    let typed = std::env::args_os().skip(2).map(|word| word.to_string_lossy().into_owned());
    let prompt: Vec<String> = args.prompt.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let hint = p_is_provider(cli, &in_order(typed, &prompt, name).join(" "));
    match failure.hint().filter(|_| !name.contains(' ') && !args.prompt.is_empty()) {
        Some(fits) => {
            let hint = format!("{fits}; {hint}");
            failure.with_hint(hint)
        }
        None => failure.with_hint(hint),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_put_right() {
        for (line, right) in [
            ("-p gw --model m -x fix\u{a0}it", "-p gw --model m 'fix it' -- -x"),
            ("--env TOKEN=sk-canary hello --foo", "--env TOKEN=… hello -- --foo"),
            ("--env=TOKEN=sk-canary --foo", "--env=TOKEN=… \"what to do\" -- --foo"),
            ("-pgw hello --model x", "-pgw --model x hello"),
            ("-dpgw hello -x", "-dpgw hello -- -x"),
            ("-dm foo -x hello", "-dm foo hello -- -x"),
            ("-dx hello", "hello -- -dx"),
            ("-p fix\u{a0}the\u{a0}bug --output-format json", "'fix the bug' -- --output-format json"),
            ("fix -m x the --add-dir / -- -y", "-m x 'fix the' -- --add-dir / -y"),
            ("--modle opus hi", "--model opus hi"),
            ("--provdier=x --verbose hi", "'--provider=x' hi -- --verbose"),
            ("a - b --detach", "--detach 'a - b'"),
            ("--model", "--model \"what to do\""),
        ] {
            let words: Vec<OsString> =
                line.split(' ').map(|word| OsString::from(word.replace('\u{a0}', " "))).collect();
            let (words, theirs) = match words.iter().position(|word| word == "--") {
                Some(at) => (&words[..at], &words[at + 1..]),
                None => (&words[..], &[][..]),
            };
            assert_eq!(put_right(CliKind::Claude, words, theirs), format!("aiw claude {right}"), "{line}");
        }
    }

    #[test]
    fn only_the_lines_that_run_a_cli_are_parted() {
        let parted = |line: &str| {
            let (ours, theirs) = split_args(line.split(' ').map(OsString::from));
            (ours.len(), theirs.len())
        };
        assert_eq!(parted("aiw codex -p x hello -- --color never"), (5, 2));
        assert_eq!(parted("aiw --json claude x -- -- y"), (4, 2));
        assert_eq!(parted("aiw claude --"), (2, 0));
        assert_eq!(parted("aiw plugin search -- x"), (5, 0));
    }
}

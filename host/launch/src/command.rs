//! The command line of each CLI: how it is told to run without questions and to write its
//! structured stream, and what a user's own arguments mean for that.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::str::FromStr;

use aiw_core::{CliKind, InvalidName};
use serde::{Deserialize, Serialize};

use crate::LaunchError;

/// What a CLI may do without asking, in each CLI's own safe modes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// What the CLI allows by itself.
    #[default]
    Default,
    /// Editing files of the project: `acceptEdits`, `workspace-write`, `auto_edit`.
    Edit,
}

impl Permission {
    /// The word on the command line and in settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Edit => "edit",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Permission {
    type Err = InvalidName;
    fn from_str(name: &str) -> Result<Self, InvalidName> {
        match name {
            "default" => Ok(Self::Default),
            "edit" => Ok(Self::Edit),
            _ => Err(InvalidName { what: "permission", name: name.to_owned(), why: "is neither `default` nor `edit`" }),
        }
    }
}

/// What goes into a command line beside what the CLI always gets.
#[derive(Debug, Default)]
pub(crate) struct Parts<'a> {
    /// Of the provider's launch plan and of aiw's own making.
    pub(crate) plan: Vec<OsString>,
    pub(crate) permission: Permission,
    /// Where no provider passes it.
    pub(crate) model: Option<&'a str>,
    /// The user's own, after `--`.
    pub(crate) own: &'a [OsString],
    /// The prompt comes on standard input; else the CLI talks to the terminal.
    pub(crate) task: bool,
}

/// The arguments of a run: those before the overlays', which are aiw's, and those after them, the
/// user's. What stands behind a `--` of the user's would be text to the CLI.
pub(crate) fn arguments(cli: CliKind, parts: Parts<'_>) -> (Vec<OsString>, Vec<OsString>) {
    let mut all: Vec<OsString> = Vec::new();
    let mut add = |arguments: &[&str]| all.extend(arguments.iter().map(OsString::from));
    match (cli, parts.task) {
        (CliKind::Claude, true) => add(&["-p", "--output-format", "stream-json", "--verbose"]),
        (CliKind::Codex, true) => add(&["exec", "--json"]),
        (CliKind::Gemini, true) => add(&["--output-format", "stream-json"]),
        (_, false) => {}
    }
    let says = |flags: &[&str]| !values_of(parts.own, flags).is_empty();
    if parts.permission == Permission::Edit {
        match cli {
            CliKind::Claude if !says(&["--permission-mode"]) => add(&["--permission-mode", "acceptEdits"]),
            CliKind::Codex if !says(&["-s", "--sandbox"]) => add(&["--sandbox", "workspace-write"]),
            CliKind::Gemini if !says(&["--approval-mode"]) => add(&["--approval-mode", "auto_edit"]),
            _ => {}
        }
    }
    if let Some(model) = parts.model {
        add(&["--model", model]);
    }
    all.extend(parts.plan);
    let mut after = parts.own.to_vec();
    if parts.task && cli == CliKind::Codex {
        after.push("-".into());
    }
    (all, after)
}

/// The values of some flags, wherever they stand: `--flag value`, `--flag=value`.
fn values_of<'a>(arguments: &'a [OsString], flags: &[&str]) -> Vec<&'a OsStr> {
    let value = |(at, argument): (usize, &'a OsString)| {
        let text = argument.to_str()?;
        flags.iter().find_map(|flag| {
            let rest = text.strip_prefix(flag)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(OsStr::new(value)),
                None if rest.is_empty() => Some(arguments.get(at + 1).map_or(OsStr::new(""), OsString::as_os_str)),
                None => None,
            }
        })
    };
    arguments.iter().enumerate().filter_map(value).collect()
}

/// The user's own argument that lifts the CLI's guards, as it was typed. aiw adds none.
pub(crate) fn bypass(cli: CliKind, own: &[OsString]) -> Option<String> {
    // Gemini's parser takes `--approvalMode` as well.
    let (flags, pairs): (&[&str], &[(&[&str], &str)]) = match cli {
        CliKind::Claude => (
            &["--dangerously-skip-permissions", "--allow-dangerously-skip-permissions"],
            &[(&["--permission-mode"], "bypassPermissions")],
        ),
        CliKind::Codex => (
            &["--dangerously-bypass-approvals-and-sandbox", "--yolo", "--dangerously-bypass-hook-trust"],
            &[(&["-s", "--sandbox"], "danger-full-access")],
        ),
        CliKind::Gemini => {
            (&["--yolo", "--skip-trust", "--skipTrust"], &[(&["--approvalMode", "--approval-mode"], "yolo")])
        }
    };
    let texts = || own.iter().filter_map(|argument| argument.to_str());
    let is =
        |text: &str, flag: &str| text.strip_prefix(flag).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    if let Some(flag) = texts().find(|text| flags.iter().any(|flag| is(text, flag))) {
        return Some(flag.to_owned());
    }
    for (names, value) in pairs {
        if values_of(own, names).iter().any(|given| given == value) {
            return Some(format!("{} {value}", names[names.len() - 1]));
        }
    }
    // Flags of one letter stand together: `-dy`.
    let cluster = |text: &str| {
        text.strip_prefix('-')
            .is_some_and(|letters| letters.bytes().all(|b| b.is_ascii_alphabetic()) && letters.contains('y'))
    };
    // `-c sandbox_mode="danger-full-access"`, in whatever spelling.
    let setting = |text: &str| text.contains("danger-full-access") || text.contains("dangerously");
    texts()
        .find(|text| match cli {
            CliKind::Claude => false,
            CliKind::Codex => setting(text),
            CliKind::Gemini => cluster(text),
        })
        .map(str::to_owned)
}

/// The same for settings that the user gave Claude Code.
pub(crate) fn bypass_in(settings: &serde_json::Value) -> Option<String> {
    let mode = &settings["permissions"]["defaultMode"];
    (mode == "bypassPermissions").then(|| "--settings permissions.defaultMode bypassPermissions".to_owned())
}

/// Refuses arguments that would undo what a provider is for.
pub(crate) fn check_own(cli: CliKind, own: &[OsString], provider: Option<&str>) -> Result<(), LaunchError> {
    if own.iter().any(|argument| argument.as_encoded_bytes().contains(&0)) {
        return Err(LaunchError::Invalid { message: "an argument holds a NUL byte".into(), hint: None });
    }
    let Some(provider) = provider else { return Ok(()) };
    let refuse = |argument: &str| {
        Err(LaunchError::invalid(
            format!("`{argument}` chooses another provider than `{provider}`"),
            format!("leave out one of the two; `-p {}` means the CLI's own configuration", aiw_home::OWN),
        ))
    };
    if cli != CliKind::Codex {
        return Ok(());
    }
    for (at, argument) in own.iter().enumerate() {
        let text = argument.to_string_lossy();
        // A flag of one letter may have its value right behind it.
        let short = text.starts_with("-p") && !text.starts_with("--");
        if short
            || ["--profile", "--oss", "--local-provider"]
                .iter()
                .any(|flag| text == *flag || text.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')))
        {
            return refuse(&text);
        }
        let setting = match text.as_ref() {
            "-c" | "--config" => own.get(at + 1).map(|next| next.to_string_lossy().into_owned()),
            text => text
                .strip_prefix("--config=")
                .or_else(|| text.strip_prefix("-c").filter(|rest| !rest.is_empty()))
                .map(|rest| rest.trim_start_matches('=').to_owned()),
        };
        let key = setting.as_deref().map(|setting| setting.split('=').next().unwrap_or_default().trim());
        if key.is_some_and(|key| {
            let first = key.split('.').next().unwrap_or_default().trim_matches('"');
            ["model_provider", "model_providers", "profile", "profiles", "openai_base_url", "chatgpt_base_url"]
                .contains(&first)
        }) {
            return refuse(setting.as_deref().unwrap_or_default().split('=').next().unwrap_or_default());
        }
    }
    Ok(())
}

/// Takes the user's own `--settings` out of Claude Code's arguments: of two it keeps the last,
/// so the user's are merged beneath ours. What they were: paths or JSON.
pub(crate) fn take_settings(own: &[OsString]) -> (Vec<OsString>, Vec<OsString>) {
    let (mut rest, mut settings) = (Vec::new(), Vec::new());
    let mut arguments = own.iter();
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--settings") => settings.extend(arguments.next().cloned()),
            Some(text) if text.starts_with("--settings=") => settings.push(text["--settings=".len()..].into()),
            _ => rest.push(argument.clone()),
        }
    }
    (rest, settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(arguments: &[&str]) -> Vec<OsString> {
        arguments.iter().map(OsString::from).collect()
    }

    fn line(cli: CliKind, permission: Permission, own: &[&str], task: bool) -> String {
        let own = os(own);
        let parts = Parts { plan: os(&["PLAN"]), permission, model: Some("m"), own: &own, task };
        let (before, after) = arguments(cli, parts);
        let all: Vec<String> = before.iter().chain(&after).map(|a| a.to_string_lossy().into_owned()).collect();
        all.join(" ")
    }

    #[test]
    fn each_cli_is_told_to_stream_and_no_guard_is_lifted() {
        use Permission::{Default, Edit};

        assert_eq!(
            line(CliKind::Claude, Edit, &["--x"], true),
            "-p --output-format stream-json --verbose --permission-mode acceptEdits --model m PLAN --x"
        );
        assert_eq!(line(CliKind::Codex, Edit, &[], true), "exec --json --sandbox workspace-write --model m PLAN -");
        assert_eq!(
            line(CliKind::Gemini, Edit, &[], true),
            "--output-format stream-json --approval-mode auto_edit --model m PLAN"
        );
        assert_eq!(
            line(CliKind::Gemini, Default, &["--approval-mode=plan"], false),
            "--model m PLAN --approval-mode=plan"
        );
        assert_eq!(line(CliKind::Codex, Edit, &["-s", "read-only"], false), "--model m PLAN -s read-only");
    }

    #[test]
    fn a_flag_that_lifts_the_guards_is_named() {
        for (cli, own, expected) in [
            (CliKind::Claude, &["--dangerously-skip-permissions"][..], "--dangerously-skip-permissions"),
            (CliKind::Claude, &["--permission-mode=bypassPermissions"], "--permission-mode bypassPermissions"),
            (CliKind::Codex, &["-s", "danger-full-access"], "--sandbox danger-full-access"),
            (CliKind::Codex, &["-c", "sandbox_mode=\"danger-full-access\""], "sandbox_mode=\"danger-full-access\""),
            (CliKind::Gemini, &["--approval-mode", "yolo"], "--approval-mode yolo"),
            (CliKind::Gemini, &["-dy"], "-dy"),
            (CliKind::Gemini, &["--approvalMode", "yolo"], "--approval-mode yolo"),
            (CliKind::Gemini, &["--approval-mode", "plan", "--approval-mode=yolo"], "--approval-mode yolo"),
            (
                CliKind::Claude,
                &["--permission-mode", "plan", "--permission-mode", "bypassPermissions"],
                "--permission-mode bypassPermissions",
            ),
        ] {
            assert_eq!(bypass(cli, &os(own)).as_deref(), Some(expected));
        }
        for (cli, own) in
            [(CliKind::Claude, "--permission-mode=plan"), (CliKind::Codex, "--yolo-not"), (CliKind::Gemini, "-s")]
        {
            assert_eq!(bypass(cli, &os(&[own])), None);
        }
    }

    #[test]
    fn arguments_that_choose_another_provider_are_refused() {
        for own in [
            &["-c", "model_provider=\"x\""][..],
            &["--config=model_providers.x.base_url=\"y\""],
            &["-cmodel_provider=x"],
            &["--profile", "x"],
            &["--profile=x"],
            &["-px"],
            &["--oss"],
        ] {
            assert!(check_own(CliKind::Codex, &os(own), Some("p")).is_err(), "{own:?}");
            assert!(check_own(CliKind::Codex, &os(own), None).is_ok(), "{own:?}");
        }
        for own in [&["-c", "model_reasoning_effort=\"low\""][..], &["--color", "never"], &["-c"]] {
            assert!(check_own(CliKind::Codex, &os(own), Some("p")).is_ok(), "{own:?}");
        }
        assert!(check_own(CliKind::Claude, &os(&["a\0b"]), None).is_err());
    }

    #[test]
    fn the_users_settings_are_taken_out() {
        let (rest, settings) = take_settings(&os(&["--a", "--settings", "x.json", "b", "--settings={}"]));
        assert_eq!((rest, settings), (os(&["--a", "b"]), os(&["x.json", "{}"])));
    }
}

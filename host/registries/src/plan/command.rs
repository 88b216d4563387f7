//! Arguments and variables of a command, with open places.

use aiw_core::registry::{Argument, Format, Input, ServerSetting};
use aiw_core::{EnvName, one_line, quoted};

use super::error::UnsupportedReason;
use super::inputs::{Questions, Value, ValueSlot, check_literal, parse_template};

/// More than any real package has, and more than anybody would look through.
const MAX_INPUTS: usize = 100;

/// Flags that take no value, however they are described.
const FLAGS_WITHOUT_VALUE: [&str; 4] = ["--mcp", "--stdio", "-y", "--yes"];

/// One or two words of a command, or none if nobody answers what they are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Arg {
    /// One word.
    Word { value: Value, required: bool },
    /// `--flag=value`, as the registry's schema has it; `-f value` for short flags, because many parsers read `-f=value`
    /// as the value `=value`.
    Named { flag: String, value: Value, joined: bool, required: bool },
    /// A flag that is there if the answer is `true`. One that is on by itself becomes `--flag=false` if it is `false`.
    Switch { flag: String, question: String, is_on: bool },
    /// `-e NAME`, if the variable has a value: Docker takes the value from its own environment.
    PassEnv(String),
}

impl Arg {
    pub(super) fn word(text: impl Into<String>) -> Self {
        Self::Word { value: Value::text(text), required: true }
    }

    pub(super) fn questions(&self) -> Vec<&str> {
        match self {
            Self::Word { value, .. } | Self::Named { value, .. } => value.questions().collect(),
            Self::Switch { question, .. } => vec![question],
            Self::PassEnv(_) => Vec::new(),
        }
    }

    pub(super) fn is_required(&self) -> bool {
        matches!(self, Self::Word { required: true, .. } | Self::Named { required: true, .. })
    }

    /// For people: open places as `<NAME>`.
    pub(super) fn display_words(&self) -> Vec<String> {
        match self {
            Self::Word { value, .. } => vec![value.display()],
            Self::Named { flag, value, joined: true, .. } => vec![format!("{flag}={}", value.display())],
            Self::Named { flag, value, .. } => vec![flag.clone(), value.display()],
            Self::Switch { flag, .. } => vec![format!("[{flag}]")],
            Self::PassEnv(name) => vec!["-e".to_owned(), name.clone()],
        }
    }
}

/// A variable of the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Env {
    pub(super) name: String,
    pub(super) value: Value,
}

/// Reads arguments of a row. A fixed value is put in; what is asked for is left open.
pub(super) fn arguments(questions: &mut Questions<'_>, given: &[Argument]) -> Result<Vec<Arg>, UnsupportedReason> {
    if given.len() > MAX_INPUTS {
        return Err(UnsupportedReason::TooMany { most: MAX_INPUTS, what: "arguments" });
    }
    let mut args = Vec::new();
    for (number, argument) in (1..).zip(given) {
        let part = argument.name.clone().unwrap_or_else(|| shown_name(number, argument));
        let is_needed = questions.is_needed(&argument.input);
        let made = self::argument(questions, number, argument);
        args.extend(questions.skip_if_optional(&part, is_needed, made)?);
    }
    Ok(args)
}

/// The name by which an argument without a flag is asked for.
fn shown_name(number: usize, argument: &Argument) -> String {
    let hint = argument.hint.as_deref().filter(|hint| !hint.trim().is_empty());
    hint.map_or_else(|| format!("argument {number}"), |hint| one_line(hint, 60))
}

fn argument(
    questions: &mut Questions<'_>,
    number: usize,
    argument: &Argument,
) -> Result<Option<Arg>, UnsupportedReason> {
    let input = &argument.input;
    let text = input.value.as_deref().filter(|text| !text.is_empty());
    let place = |name| ValueSlot { repeated: argument.repeated, ..ValueSlot::named(name) };
    let Some(name) = &argument.name else {
        let value = questions.value(place(&shown_name(number, argument)), input)?;
        return Ok(value.map(|value| {
            let required = input.required || value.questions().any(|name| questions.is_required(name));
            Arg::Word { value, required }
        }));
    };
    let flag = flag(name)?;
    let said = input.description.as_ref().or(input.default.as_ref()).or(input.placeholder.as_ref());
    let is_plain = input.format == Format::Text && input.choices.is_empty() && !input.required && !input.secret;
    if text.is_none()
        && (FLAGS_WITHOUT_VALUE.contains(&flag.as_str()) || flag.contains('=') || (is_plain && said.is_none()))
    {
        return Ok(Some(Arg::word(flag)));
    }
    if input.format == Format::Boolean && text.is_none_or(|text| text == "true") {
        if text.is_some() {
            return Ok(Some(Arg::word(flag)));
        }
        questions.merge_question(
            &flag,
            input,
            ValueSlot { secret: false, repeated: false, ..place(&flag) },
            input.required,
        );
        let is_on = input.default.as_deref() == Some("true");
        return Ok(Some(Arg::Switch { question: flag.clone(), flag, is_on }));
    }
    let bare = text.is_none() && is_plain;
    let value = questions.value(ValueSlot { allows_bare_flag: bare, ..place(&flag) }, input)?;
    Ok(value.map(|value| {
        let required = input.required || value.questions().any(|name| questions.is_required(name));
        Arg::Named { joined: flag.starts_with("--"), flag, value, required }
    }))
}

/// The flag as it is passed. A name without dashes gets them: real rows have `port` for `--port`.
fn flag(name: &str) -> Result<String, UnsupportedReason> {
    let bare = name.trim_start_matches('-');
    let dashes = name.len() - bare.len();
    // Some rows have the value in the name.
    let (word, value) = bare.split_once('=').map_or((bare, None), |(word, value)| (word, Some(value)));
    let fits = (1..=100).contains(&word.len())
        && dashes <= 2
        && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:-".contains(&b))
        && word.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if !fits {
        return Err(UnsupportedReason::Name { name: quoted(name), what: "an argument" });
    }
    if let Some(value) = value {
        check_literal(name, value)?;
        if parse_template(value).questions().next().is_some() {
            return Err(UnsupportedReason::Name { name: quoted(name), what: "an argument" });
        }
    }
    Ok(match dashes {
        0 if word.len() == 1 => format!("-{bare}"),
        0 => format!("--{bare}"),
        _ => name.to_owned(),
    })
}

/// Takes out the arguments that would show a secret. Every program on the machine can read arguments.
pub(super) fn drop_secret_args(questions: &mut Questions<'_>, args: Vec<Arg>) -> Result<Vec<Arg>, UnsupportedReason> {
    let mut kept = Vec::new();
    for arg in args {
        match arg.questions().into_iter().find(|name| questions.is_secret(name)).map(str::to_owned) {
            None => kept.push(arg),
            Some(name) if arg.is_required() => return Err(UnsupportedReason::SecretArgument { name: quoted(&name) }),
            Some(name) => {
                questions.add_skipped_note(&name, "as an argument, every program on this machine could read it")
            }
        }
    }
    Ok(kept)
}

/// Reads the variables of a row.
pub(super) fn environment(
    questions: &mut Questions<'_>,
    given: &[ServerSetting],
) -> Result<Vec<Env>, UnsupportedReason> {
    if given.len() > MAX_INPUTS {
        return Err(UnsupportedReason::TooMany { most: MAX_INPUTS, what: "variables" });
    }
    let mut env: Vec<Env> = Vec::new();
    for setting in given {
        let (name, input) = (setting.name.as_str(), &setting.input);
        if env.iter().any(|other| other.name == name) {
            continue;
        }
        let is_needed = if name.parse::<EnvName>().is_err() { input.required } else { questions.is_needed(input) };
        let made = variable(questions, name, input);
        env.extend(questions.skip_if_optional(name, is_needed, made)?);
    }
    Ok(env)
}

fn variable(questions: &mut Questions<'_>, name: &str, input: &Input) -> Result<Option<Env>, UnsupportedReason> {
    if name.parse::<EnvName>().is_err() {
        return Err(UnsupportedReason::Name { name: quoted(name), what: "a variable" });
    }
    // What decides where code comes from is not offered by the publisher.
    let bare = Input { default: None, ..input.clone() };
    let input = if aiw_core::is_code_loading(name) { &bare } else { input };
    let Some(value) = questions.value(ValueSlot::named(name), input)? else { return Ok(None) };
    check_variable(name, &value)?;
    Ok(Some(Env { name: name.to_owned(), value }))
}

/// Refuses a variable that decides what code runs: any that the row fixes, and the plainest ones if they are asked for.
pub(super) fn check_variable(name: &str, value: &Value) -> Result<(), UnsupportedReason> {
    let is_stage = |text: &str| name == "ENV" && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let steers = match value.as_literal() {
        Some(text) => (aiw_core::is_code_loading(name) || is_steering(name)) && !is_stage(text),
        None => is_steering(name),
    };
    if steers { Err(UnsupportedReason::UnsafeVariable { name: quoted(name) }) } else { Ok(()) }
}

/// Whether a server has no reason to ask for a variable: a loader, an interpreter or aiw itself reads it. Those that
/// servers do ask for (`DOCKER_HOST`, `GIT_SSH_COMMAND`, `HOME`) are the person's to answer.
fn is_steering(name: &str) -> bool {
    const TOOL_VARIABLES: [&str; 18] = [
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "BROWSER",
        "DENO_DIR",
        "EDITOR",
        "ENV",
        "HOME",
        "JAVA_HOME",
        "KRB5_CONFIG",
        "KUBECONFIG",
        "ODBCINI",
        "ODBCSYSINI",
        "ORACLE_HOME",
        "PAGER",
        "SHELL",
        "TF_CLI_CONFIG_FILE",
        "TNS_ADMIN",
        "VIRTUAL_ENV",
    ];
    const TOOL_VARIABLE_PREFIXES: [&str; 10] =
        ["ANSIBLE_", "CARGO_", "COMPOSER_", "CONDA_", "DOCKER_", "GIT_", "NUGET_", "PIP_", "UV_", "YARN_"];
    let upper = name.to_ascii_uppercase();
    let is_asked = TOOL_VARIABLES.contains(&upper.as_str())
        || TOOL_VARIABLE_PREFIXES.iter().any(|beginning| upper.starts_with(beginning));
    upper.starts_with("AIW_") || (aiw_core::is_code_loading(&upper) && !is_asked)
}

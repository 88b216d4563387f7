//! What the command of a package is made of.

use std::collections::VecDeque;

use aiw_core::quoted;
use aiw_core::registry::Package;

use super::command::{Arg, Env, arguments, check_variable};
use super::error::{Note, UnsupportedReason};
use super::inputs::{Questions, Value};
use super::names::custom_registry;

/// A command with open places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandTemplate {
    pub(super) program: String,
    pub(super) args: Vec<Arg>,
    pub(super) env: Vec<Env>,
    /// Where it starts, if that matters.
    pub(super) directory: Option<String>,
}

/// The parts of a package's command, and the notes about it.
pub(super) struct CommandBuilder<'a> {
    pub(super) package: &'a Package,
    pub(super) questions: Questions<'a>,
    pub(super) env: Vec<Env>,
    pub(super) host_access: Vec<String>,
    /// The program that runs, as people see it.
    pub(super) target: String,
}

/// A part of a runner's own arguments.
#[derive(Debug)]
pub(super) enum Token {
    Flag {
        flag: String,
        value: Option<Value>,
        required: bool,
    },
    Word(String),
    /// A flag that the person switches.
    Switch(Arg),
}

impl Token {
    fn flag(&self) -> Option<&str> {
        match self {
            Self::Flag { flag, .. } | Self::Switch(Arg::Switch { flag, .. }) => Some(flag),
            Self::Word(_) | Self::Switch(_) => None,
        }
    }
}

/// A runner's own arguments, one after the other.
pub(super) struct Tokens {
    program: &'static str,
    remaining_tokens: VecDeque<Token>,
}

impl Tokens {
    pub(super) fn next(&mut self) -> Option<Token> {
        self.remaining_tokens.pop_front()
    }

    /// The value of a flag: its own, or the word that follows.
    pub(super) fn value(&mut self, flag: &str, own: Option<Value>) -> Result<Value, UnsupportedReason> {
        match (own, self.remaining_tokens.front()) {
            (Some(value), _) => Ok(value),
            (None, Some(Token::Word(_))) => match self.remaining_tokens.pop_front() {
                Some(Token::Word(word)) => Ok(Value::text(word)),
                _ => Err(self.unsupported_argument(flag)),
            },
            (None, _) => Err(self.unsupported_argument(flag)),
        }
    }

    pub(super) fn unsupported_argument(&self, argument: &str) -> UnsupportedReason {
        UnsupportedReason::RuntimeArgument { program: self.program, argument: quoted(argument) }
    }
}

impl<'a> CommandBuilder<'a> {
    pub(super) fn new(package: &'a Package) -> Self {
        let mut questions = Questions::default();
        for argument in package.runtime_arguments.iter().chain(&package.package_arguments) {
            questions.declare(&argument.variables);
        }
        package.environment.iter().for_each(|setting| questions.declare(&setting.variables));
        Self { package, questions, env: Vec::new(), host_access: Vec::new(), target: package.identifier.clone() }
    }

    pub(super) fn add_note(&mut self, note: Note) {
        if !self.questions.notes.contains(&note) {
            self.questions.notes.push(note);
        }
    }

    /// The name of the package, and its version with a sign before it. A version in the name is one too.
    pub(super) fn pin_package(
        &mut self,
        sign: &str,
        is_name: fn(&str) -> bool,
        is_version: fn(&str) -> bool,
        what: &'static str,
    ) -> Result<(String, String), UnsupportedReason> {
        let given = self.package.identifier.trim();
        let (name, own) = match given.get(1..).and_then(|rest| rest.find(sign)).map(|at| at + 1) {
            Some(at) => (&given[..at], Some(&given[at + sign.len()..])),
            None => (given, None),
        };
        if !is_name(name) {
            return Err(UnsupportedReason::Identifier { identifier: quoted(given), what });
        }
        let version = self.package.version.as_deref().or(own).map(str::trim);
        let version = match version.filter(|version| !version.is_empty() && *version != "latest") {
            Some(version) if is_version(version) => format!("{sign}{version}"),
            Some(range) => return Err(UnsupportedReason::Version { version: quoted(range) }),
            None => {
                self.add_note(Note::NotPinned);
                String::new()
            }
        };
        self.target = format!("{name}{version}");
        Ok((name.to_owned(), version))
    }

    pub(super) fn registry(&mut self) -> Result<Option<String>, UnsupportedReason> {
        let other = custom_registry(&self.package.kind, self.package.base_url.as_deref())?;
        if let Some(url) = &other {
            self.add_note(Note::Registry { url: quoted(url) });
        }
        Ok(other)
    }

    /// The runner's own arguments. What is left to the person is passed if `takes` knows its flag; else it is left out,
    /// unless it is required.
    pub(super) fn tokens(
        &mut self,
        program: &'static str,
        takes: fn(&str) -> bool,
    ) -> Result<Tokens, UnsupportedReason> {
        let mut left = VecDeque::new();
        for arg in arguments(&mut self.questions, &self.package.runtime_arguments)? {
            let is_needed =
                arg.questions().is_empty() || arg.questions().iter().any(|name| self.questions.is_required(name));
            let (shown, is_needed) = (arg.display_words().join(" "), is_needed || arg.is_required());
            let refused = || UnsupportedReason::RuntimeArgument { program, argument: quoted(&shown) };
            let token = match arg {
                Arg::Named { flag, value, required, .. } => Ok(Token::Flag { flag, value: Some(value), required }),
                Arg::Word { value, required } => match (value.as_literal(), value.split('=')) {
                    (Some(word), _) if !word.starts_with('-') => Ok(Token::Word(word.to_owned())),
                    (_, Some((flag, value))) if flag.starts_with('-') => {
                        Ok(Token::Flag { flag: flag.to_owned(), value: Some(value), required })
                    }
                    (Some(flag), _) => Ok(Token::Flag { flag: flag.to_owned(), value: None, required }),
                    _ => Err(refused()),
                },
                switch => Ok(Token::Switch(switch)),
            };
            let token = match token {
                Ok(token) if is_needed || token.flag().is_some_and(takes) => Ok(Some(token)),
                Ok(_) => Err(refused()),
                Err(reason) => Err(reason),
            };
            left.extend(self.questions.skip_if_optional(&shown, is_needed, token)?);
        }
        Ok(Tokens { program, remaining_tokens: left })
    }

    /// Takes `-e NAME=VALUE`, Docker's way to set a variable.
    pub(super) fn set_variable(
        &mut self,
        value: &Value,
        required: bool,
        refused: UnsupportedReason,
    ) -> Result<(), UnsupportedReason> {
        let set = self.variable(value, refused).map(Some);
        let is_needed = required || value.as_literal().is_some();
        self.questions.skip_if_optional(&format!("-e {}", value.display()), is_needed, set).map(drop)
    }

    fn variable(&mut self, value: &Value, refused: UnsupportedReason) -> Result<(), UnsupportedReason> {
        let (name, value) = match (value.split('='), value.as_literal()) {
            (Some((name, value)), _) => (name.to_owned(), Some(value)),
            (None, Some(name)) => (name.to_owned(), None),
            (None, None) => return Err(refused),
        };
        if name.parse::<aiw_core::EnvName>().is_err() {
            return Err(UnsupportedReason::Name { name: quoted(&name), what: "a variable" });
        }
        let known = self.env.iter().any(|env| env.name == name);
        if !known {
            let value = match value.filter(|value| value.as_literal() != Some("")) {
                Some(value) => value,
                // Docker would take the person's own variable of this name without asking.
                None => {
                    self.questions.merge_variable_question(&name);
                    Value::placeholder(&name)
                }
            };
            check_variable(&name, &value)?;
            self.env.push(Env { name, value });
        }
        Ok(())
    }

    /// The package's own arguments, without what belongs to the runner and is repeated here.
    pub(super) fn package_arguments(
        &mut self,
        is_repeated: impl Fn(&str) -> bool,
    ) -> Result<Vec<Arg>, UnsupportedReason> {
        let args = arguments(&mut self.questions, &self.package.package_arguments)?;
        let repeats =
            |arg: &Arg| matches!(arg, Arg::Word { value, .. } if value.as_literal().is_some_and(&is_repeated));
        Ok(args.into_iter().skip_while(repeats).collect())
    }
}

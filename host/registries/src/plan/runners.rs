//! Packages, and the programs that download and run them.

use aiw_core::quoted;

use super::builder::{CommandBuilder, CommandTemplate, Token, Tokens};
use super::command::{Arg, drop_secret_args, environment};
use super::docker;
use super::error::{Note, UnsupportedReason};
use super::names::{is_npm, is_nuget, is_pep440, is_pypi, is_same_pypi, is_semver};

/// Whether an option sets a variable: the only one of a runner's that is left to the person.
fn is_env(flag: &str) -> bool {
    ["-e", "--env"].contains(&flag)
}

impl CommandBuilder<'_> {
    /// The command that runs the package.
    pub(super) fn build_command(&mut self) -> Result<CommandTemplate, UnsupportedReason> {
        self.env = environment(&mut self.questions, &self.package.environment)?;
        let (program, args) = match self.package.kind.as_str() {
            "npm" => self.npx()?,
            "pypi" => ("uvx", self.uvx()?),
            "nuget" => ("dnx", self.dnx()?),
            "oci" => ("docker", docker::run_args(self)?),
            other => return Err(UnsupportedReason::Kind { word: quoted(other) }),
        };
        let args = drop_secret_args(&mut self.questions, args)?;
        Ok(CommandTemplate { program: program.to_owned(), args, env: std::mem::take(&mut self.env), directory: None })
    }

    /// `npx -y [--registry=URL] NAME@VERSION ARGUMENTS`, or `bunx NAME@VERSION ARGUMENTS` where the row wants Bun. Bun takes another
    /// registry from its own configuration only.
    fn npx(&mut self) -> Result<(&'static str, Vec<Arg>), UnsupportedReason> {
        let (name, version) = self.pin_package("@", is_npm, is_semver, "name of an npm package")?;
        let spec = format!("{name}{version}");
        let registry = self.registry()?.map(|url| Arg::word(format!("--registry={url}")));
        let wants_bun = self.package.runtime.as_deref().is_some_and(|hint| ["bun", "bunx"].contains(&hint.trim()));
        let (runner, mut args) = match registry {
            None if wants_bun => ("bunx", Vec::new()),
            registry => ("npx", [Arg::word("-y")].into_iter().chain(registry).collect()),
        };
        let is_own = |word: &str| word == name || word.strip_prefix(&name).is_some_and(|rest| rest.starts_with('@'));
        let mut tokens = self.tokens(runner, is_env)?;
        let mut program = None;
        let mut is_chosen = false;
        while let Some(token) = tokens.next() {
            match token {
                Token::Flag { flag, value: None, .. } if ["-y", "--yes", "-q", "--quiet"].contains(&flag.as_str()) => {}
                Token::Flag { flag, value, .. } if ["-p", "--package"].contains(&flag.as_str()) => {
                    let value = tokens.value(&flag, value)?;
                    if !value.as_literal().is_some_and(is_own) {
                        return Err(tokens.unsupported_argument(&format!("{flag} {}", value.display())));
                    }
                    is_chosen = true;
                }
                Token::Flag { flag, value: None, .. } if flag == "--bun" && runner == "bunx" => {
                    args.push(Arg::word(flag))
                }
                Token::Word(word) if ["npx", "bunx", "bun", "x"].contains(&word.as_str()) || is_own(&word) => {}
                Token::Word(word) if is_chosen && program.is_none() && is_npm(&word) => program = Some(word),
                other => self.runner_token(other, &mut tokens)?,
            }
        }
        match program {
            // The package has several programs.
            Some(program) => args.extend([Arg::word(format!("--package={spec}")), Arg::word(program)]),
            None => args.push(Arg::word(spec)),
        }
        args.extend(self.package_arguments(|word| word == "-y" || word == "--yes" || is_own(word))?);
        Ok((runner, args))
    }

    /// `uvx [--default-index=URL] NAME==VERSION ARGUMENTS`
    fn uvx(&mut self) -> Result<Vec<Arg>, UnsupportedReason> {
        let (name, version) = self.pin_package("==", is_pypi, is_pep440, "name of a Python package")?;
        let mut spec = format!("{name}{version}");
        let mut args: Vec<Arg> =
            self.registry()?.map(|url| Arg::word(format!("--default-index={url}"))).into_iter().collect();
        let mut tokens = self.tokens("uvx", is_env)?;
        let (mut program, mut is_chosen) = (Vec::new(), false);
        while let Some(token) = tokens.next() {
            match token {
                Token::Flag { flag, value, .. } if flag == "--from" => {
                    let value = tokens.value(&flag, value)?;
                    let from = value.as_literal().unwrap_or_default();
                    let extras = from.split("==").next().unwrap_or_default();
                    if !is_same_pypi(from, &name) || !is_pypi(extras) {
                        return Err(tokens.unsupported_argument(&format!("--from {}", value.display())));
                    }
                    spec = format!("{extras}{version}");
                    is_chosen = true;
                }
                Token::Flag { flag, value, .. } if flag == "--with" => {
                    let value = tokens.value(&flag, value)?;
                    let with = value.as_literal().unwrap_or_default();
                    let (other, exact) = with.split_once("==").map_or((with, None), |(name, v)| (name, Some(v)));
                    if !is_pypi(other) || !exact.is_none_or(is_pep440) {
                        return Err(tokens.unsupported_argument(&format!("--with {}", value.display())));
                    }
                    self.add_note(Note::ExtraPackage { package: quoted(with), pinned: exact.is_some() });
                    args.push(Arg::word(format!("--with={with}")));
                }
                Token::Flag { flag, value, .. } if ["--python", "-p"].contains(&flag.as_str()) => {
                    let value = tokens.value(&flag, value)?;
                    let version = value.as_literal().unwrap_or_default();
                    // Anything else may be the path of a program.
                    if !version.starts_with('3') || !version.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                        return Err(tokens.unsupported_argument(&format!("--python {}", value.display())));
                    }
                    args.push(Arg::word(format!("--python={version}")));
                }
                // `python -m MODULE`
                Token::Flag { flag, value, .. } if flag == "-m" && program.is_empty() => {
                    let value = tokens.value(&flag, value)?;
                    let module = value.as_literal().unwrap_or_default();
                    let part = |part: &str| {
                        let starts = part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                        starts && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                    };
                    if !module.split('.').all(part) {
                        return Err(tokens.unsupported_argument(&format!("-m {}", value.display())));
                    }
                    program = ["python", "-m", module].map(str::to_owned).to_vec();
                }
                Token::Word(word) if ["uvx", "python", "python3"].contains(&word.as_str()) => {}
                Token::Word(word) if is_chosen && program.is_empty() && is_pypi(&word) => program.push(word),
                Token::Word(word) if is_same_pypi(&word, &name) => {}
                other => self.runner_token(other, &mut tokens)?,
            }
        }
        if program.is_empty() {
            args.push(Arg::word(spec));
        } else {
            args.push(Arg::word(format!("--from={spec}")));
            args.extend(program.into_iter().map(Arg::word));
        }
        args.extend(self.package_arguments(|word| word == name || word.starts_with(&format!("{name}==")))?);
        self.target = format!("{name}{version}");
        Ok(args)
    }

    /// `dnx NAME@VERSION --yes [--source URL] -- ARGUMENTS`
    fn dnx(&mut self) -> Result<Vec<Arg>, UnsupportedReason> {
        let (name, version) = self.pin_package("@", is_nuget, is_semver, "id of a NuGet package")?;
        let mut args = vec![Arg::word(format!("{name}{version}")), Arg::word("--yes")];
        if let Some(url) = self.registry()? {
            args.extend([Arg::word("--source"), Arg::word(url)]);
        }
        let is_own = |word: &str| {
            word.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(&name))
                && (word.len() == name.len() || word[name.len()..].starts_with('@'))
        };
        let mut tokens = self.tokens("dnx", is_env)?;
        while let Some(token) = tokens.next() {
            match token {
                Token::Flag { flag, value: None, .. } if ["-y", "--yes", "--"].contains(&flag.as_str()) => {}
                Token::Flag { flag, value: None, .. }
                    if ["--prerelease", "--allow-roll-forward"].contains(&flag.as_str()) =>
                {
                    args.push(Arg::word(flag));
                }
                Token::Word(word) if word == "dnx" || is_own(&word) => {}
                other => self.runner_token(other, &mut tokens)?,
            }
        }
        let own = self.package_arguments(|word| word == "--" || word == "--yes" || is_own(word))?;
        if !own.is_empty() {
            args.push(Arg::word("--"));
            args.extend(own);
        }
        Ok(args)
    }

    /// Handles Docker's arguments, which npx, uvx and dnx all get by mistake. Its variables are kept, the rest means
    /// nothing here.
    fn runner_token(&mut self, token: Token, tokens: &mut Tokens) -> Result<(), UnsupportedReason> {
        match token {
            Token::Flag { flag, value, required } if is_env(&flag) => {
                let value = tokens.value(&flag, value)?;
                self.set_variable(&value, required, tokens.unsupported_argument(&format!("{flag} {}", value.display())))
            }
            Token::Flag { flag, value: None, .. }
                if ["-i", "--interactive", "--rm", "-it", "--init"].contains(&flag.as_str()) =>
            {
                self.questions.add_skipped_note(&flag, "it is Docker's, and the package doesn't run in Docker");
                Ok(())
            }
            Token::Word(word) if word == "run" || word == "docker" => {
                self.questions.add_skipped_note(&word, "it is Docker's, and the package doesn't run in Docker");
                Ok(())
            }
            Token::Flag { flag, value, .. } => {
                let value = value.map(|value| format!("={}", value.display())).unwrap_or_default();
                Err(tokens.unsupported_argument(&format!("{flag}{value}")))
            }
            Token::Word(word) => Err(tokens.unsupported_argument(&word)),
            Token::Switch(arg) => Err(tokens.unsupported_argument(&arg.display_words().concat())),
        }
    }
}

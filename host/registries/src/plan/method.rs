//! One way to run a server.

use std::collections::BTreeSet;

use aiw_core::registry::Package;
use aiw_core::{Question, one_line, shell_word_in_line};

use super::answer::check;
use super::builder::OpenCommand;
use super::command::{Arg, Env};
use super::error::{Note, UnsupportedReason};
use super::inputs::Questions;
use super::names::is_pypi;
use super::remote::OpenAddress;

aiw_core::string_enum! {
    /// Where a server runs, and what brings it there.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum MethodKind {
        /// At an address, already.
        Remote = "remote",
        /// An npm package, by `npx`.
        Npm = "npm",
        /// A Python package, by `uvx`.
        Pypi = "pypi",
        /// An image, by `docker`.
        Oci = "oci",
        /// A NuGet package, by `dnx`.
        Nuget = "nuget",
        /// An MCP bundle, which aiw unpacks.
        Bundle = "mcpb",
        /// Anything else.
        Other = "other",
    }
}

impl MethodKind {
    pub(super) fn from_package(package: &Package) -> Self {
        match package.kind.as_str() {
            "npm" => Self::Npm,
            "pypi" => Self::Pypi,
            "oci" => Self::Oci,
            "nuget" => Self::Nuget,
            "mcpb" => Self::Bundle,
            _ => Self::Other,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InstallAction {
    Run(OpenCommand),
    Reach(OpenAddress),
    Fetch { url: String, package: Box<Package> },
}

/// One way to run a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallMethod {
    kind: MethodKind,
    target: String,
    pub(super) recipe: Result<InstallAction, UnsupportedReason>,
    questions: Vec<Question>,
    pub(super) notes: Vec<Note>,
    reaches: Vec<String>,
}

impl InstallMethod {
    pub(super) fn new(
        kind: MethodKind,
        target: &str,
        recipe: Result<InstallAction, UnsupportedReason>,
        questions: Questions<'_>,
        reaches: Vec<String>,
    ) -> Self {
        let mut used = BTreeSet::new();
        match &recipe {
            Ok(InstallAction::Run(run)) => {
                used.extend(run.args.iter().flat_map(Arg::questions));
                used.extend(run.env.iter().flat_map(|env| env.value.questions()));
            }
            Ok(InstallAction::Reach(reach)) => {
                used.extend(reach.url.questions());
                used.extend(reach.headers.iter().flat_map(|header| header.value.questions()));
            }
            Ok(InstallAction::Fetch { .. }) | Err(_) => {}
        }
        let (mut questions, notes) = questions.finish(&used);
        // Skip a default that is not a valid answer: accepting it would fail.
        for question in &mut questions {
            question.default = question.default.take().filter(|default| check(question, default).is_ok());
        }
        drop(used);
        Self { kind, target: one_line(target, 300), recipe, questions, notes, reaches }
    }

    /// Returns how it is brought to where it runs.
    pub fn kind(&self) -> MethodKind {
        self.kind
    }

    /// Returns what would run or be reached, in one line: the package and its version, the image, the address.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Why it can't be used.
    pub fn refused(&self) -> Option<&UnsupportedReason> {
        self.recipe.as_ref().err()
    }

    /// Returns its questions, each once.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// Returns notes for the person.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// Returns what it may do outside of its container, one line each, for the person to see before they agree.
    pub fn reaches(&self) -> &[String] {
        &self.reaches
    }

    /// Whether each start runs the same version.
    pub fn is_pinned(&self) -> bool {
        !self.notes.iter().any(|note| matches!(note, Note::NotPinned | Note::AlsoInstalls { pinned: false, .. }))
    }

    /// The host that it reaches inside a private or local network, if it does.
    pub fn inner_host(&self) -> Option<&str> {
        self.notes.iter().find_map(|note| match note {
            Note::Inner { host } => Some(host.as_str()),
            _ => None,
        })
    }

    /// Returns it with the program that its Python package has, after a start of the one named as the package said that
    /// there is none of that name: uv names it if it is the only one.
    pub fn with_program_from(&self, said: &str) -> Option<(Self, String)> {
        let Ok(InstallAction::Run(run)) = &self.recipe else { return None };
        // Backticks may have become other quotation marks on the way.
        let (_, rest) = said.split_once("uvx --from ").filter(|_| self.kind == MethodKind::Pypi)?;
        let (line, _) = rest.split_once(['`', '\''])?;
        let (_, program) = line.split_once(' ').filter(|(_, program)| is_pypi(program))?;
        let at = run.args.iter().position(|arg| *arg == Arg::word(self.target.as_str()))?;
        let mut run = run.clone();
        run.args.splice(at..=at, [Arg::word(format!("--from={}", self.target)), Arg::word(program)]);
        Some((Self { recipe: Ok(InstallAction::Run(run)), ..self.clone() }, program.to_owned()))
    }

    /// The program that has to be installed on this machine. A bundle may bring its own.
    pub fn program(&self) -> Option<&str> {
        match &self.recipe {
            Ok(InstallAction::Run(run)) => Some(run.program.as_str()).filter(|program| !program.contains('/')),
            _ => None,
        }
    }

    /// The command or the address, in one line, with open places as `<NAME>`; none if it isn't known yet.
    pub fn command(&self) -> Option<String> {
        match &self.recipe {
            Ok(InstallAction::Run(run)) => {
                let words = run.args.iter().flat_map(Arg::display_words);
                let words = std::iter::once(run.program.clone()).chain(words);
                Some(words.map(|word| shell_word_in_line(&word).into_owned()).collect::<Vec<_>>().join(" "))
            }
            Ok(InstallAction::Reach(reach)) => Some(one_line(&reach.url.display(), 500)),
            Ok(InstallAction::Fetch { .. }) | Err(_) => None,
        }
    }

    /// The variables or headers that it sets, by name.
    pub fn sets(&self) -> Vec<String> {
        let shown = |env: &Env| format!("{}={}", env.name, one_line(&env.value.display(), 300));
        match &self.recipe {
            Ok(InstallAction::Run(run)) => run.env.iter().map(shown).collect(),
            Ok(InstallAction::Reach(reach)) => reach.headers.iter().map(shown).collect(),
            Ok(InstallAction::Fetch { .. }) | Err(_) => Vec::new(),
        }
    }

    /// The address of the bundle to download, and the SHA-256 that it must have.
    pub fn bundle(&self) -> Option<(&str, Option<&str>)> {
        match &self.recipe {
            Ok(InstallAction::Fetch { url, package }) => Some((url, package.sha256.as_deref())),
            _ => None,
        }
    }
}

/// How to get a program that a way needs: one sentence.
pub fn how_to_get(program: &str) -> &'static str {
    match program {
        "npx" | "node" => "install Node.js, which brings it: https://nodejs.org",
        "uvx" | "uv" => "install uv, which brings it: https://docs.astral.sh/uv",
        "docker" => "install Docker: https://docs.docker.com/get-started/get-docker/",
        "dnx" | "dotnet" => "install the .NET 10 SDK, which brings it: https://dotnet.microsoft.com",
        "python" | "python3" => "install Python: https://www.python.org",
        "bun" | "bunx" => "install Bun: https://bun.sh",
        "deno" => "install Deno: https://deno.com",
        _ => "install it, and see that it is in your `PATH`",
    }
}

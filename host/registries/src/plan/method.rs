//! One way to run a server.

use std::collections::BTreeSet;

use aiw_core::registry::Package;
use aiw_core::{Question, one_line, shell_quote_printable};

use super::answer::check;
use super::builder::CommandTemplate;
use super::command::{Arg, Env};
use super::error::{Note, UnsupportedReason};
use super::inputs::Questions;
use super::names::is_pypi;
use super::remote::EndpointTemplate;

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
    Run(CommandTemplate),
    Connect(EndpointTemplate),
    Fetch { url: String, package: Box<Package> },
}

/// One way to run a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallMethod {
    kind: MethodKind,
    target: String,
    pub(super) action: Result<InstallAction, UnsupportedReason>,
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
            Ok(InstallAction::Connect(reach)) => {
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
        Self { kind, target: one_line(target, 300), action: recipe, questions, notes, reaches }
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
    pub fn unsupported_reason(&self) -> Option<&UnsupportedReason> {
        self.action.as_ref().err()
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
    pub fn host_access(&self) -> &[String] {
        &self.reaches
    }

    /// Whether each start runs the same version.
    pub fn is_pinned(&self) -> bool {
        !self.notes.iter().any(|note| matches!(note, Note::NotPinned | Note::ExtraPackage { pinned: false, .. }))
    }

    /// The host that it reaches inside a private or local network, if it does.
    pub fn private_host(&self) -> Option<&str> {
        self.notes.iter().find_map(|note| match note {
            Note::PrivateNetwork { host } => Some(host.as_str()),
            _ => None,
        })
    }

    /// Returns it with the program that its Python package has, after a start of the one named as the package said that
    /// there is none of that name: uv names it if it is the only one.
    pub fn with_suggested_program(&self, said: &str) -> Option<(Self, String)> {
        let Ok(InstallAction::Run(run)) = &self.action else { return None };
        // Backticks may have become other quotation marks on the way.
        let (_, rest) = said.split_once("uvx --from ").filter(|_| self.kind == MethodKind::Pypi)?;
        let (line, _) = rest.split_once(['`', '\''])?;
        let (_, program) = line.split_once(' ').filter(|(_, program)| is_pypi(program))?;
        let at = run.args.iter().position(|arg| *arg == Arg::word(self.target.as_str()))?;
        let mut run = run.clone();
        run.args.splice(at..=at, [Arg::word(format!("--from={}", self.target)), Arg::word(program)]);
        Some((Self { action: Ok(InstallAction::Run(run)), ..self.clone() }, program.to_owned()))
    }

    /// The program that has to be installed on this machine. A bundle may bring its own.
    pub fn program(&self) -> Option<&str> {
        match &self.action {
            Ok(InstallAction::Run(run)) => Some(run.program.as_str()).filter(|program| !program.contains('/')),
            _ => None,
        }
    }

    /// The command or the address, in one line, with open places as `<NAME>`; none if it isn't known yet.
    pub fn command(&self) -> Option<String> {
        match &self.action {
            Ok(InstallAction::Run(run)) => {
                let words = run.args.iter().flat_map(Arg::display_words);
                let words = std::iter::once(run.program.clone()).chain(words);
                Some(words.map(|word| shell_quote_printable(&word).into_owned()).collect::<Vec<_>>().join(" "))
            }
            Ok(InstallAction::Connect(reach)) => Some(one_line(&reach.url.display(), 500)),
            Ok(InstallAction::Fetch { .. }) | Err(_) => None,
        }
    }

    /// The variables or headers that it sets, by name.
    pub fn assignments(&self) -> Vec<String> {
        let shown = |env: &Env| format!("{}={}", env.name, one_line(&env.value.display(), 300));
        match &self.action {
            Ok(InstallAction::Run(run)) => run.env.iter().map(shown).collect(),
            Ok(InstallAction::Connect(reach)) => reach.headers.iter().map(shown).collect(),
            Ok(InstallAction::Fetch { .. }) | Err(_) => Vec::new(),
        }
    }

    /// The address of the bundle to download, and the SHA-256 that it must have.
    pub fn bundle(&self) -> Option<(&str, Option<&str>)> {
        match &self.action {
            Ok(InstallAction::Fetch { url, package }) => Some((url, package.sha256.as_deref())),
            _ => None,
        }
    }
}

/// How to get a program that a way needs: one sentence.
pub fn install_hint(program: &str) -> &'static str {
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

//! From a row of a registry to an entry of `mcp.json`: the ways to run a server, what each asks for, and the entry that the
//! answers make. Pure, except for [`Bundle::unpack`]; nothing is started or downloaded.
//!
//! A row is foreign. Each word of a command is either aiw's own, a checked name with its version, an argument of the row
//! or one answer; the words are a list and never pass a shell. Secrets are in the environment or in headers, as references
//! to the vault.
//!
//! Decisions, where rows and the schema leave room:
//!
//! - The first way is the default. Remotes come first, because nothing of theirs runs on this machine; then packages, in
//!   the publisher's order; what can't be used is last.
//! - `--flag=value` is one argument, as the schema has it: a value can't become an option. A short flag and its value are
//!   two.
//! - A named argument without a value is asked for if the row says anything about it, and is a bare flag otherwise. An
//!   empty answer gives the flag alone. `format: boolean` gives the bare flag for `true` and nothing for `false`, unless
//!   it is on by default.
//! - An argument, a variable or a header is there as a whole or not at all: if one place in it has no answer, it is left out.
//! - `{x}` is the same question wherever it is. If nothing declares it, it is asked for where it is required or secret.
//! - There is no escape for `${` in `mcp.json`, so a row that fixes one is refused.

mod bundle;
mod command;
mod docker;
mod entry;
mod error;
mod inputs;
mod names;
mod remote;
mod runners;

use std::collections::BTreeSet;

use aiw_core::registry::{Package, Server, Status, Transport};
use aiw_core::{one_line, quoted, shell_word_in_line};

pub use bundle::{Bundle, BundleError, MAX_BUNDLE, Machine};
pub use entry::{Answers, Entry, entry};
pub use error::{Note, PlanError, Reason};
pub use inputs::Question;

use inputs::Questions;
use names::{is_crate, is_go, is_semver};
use remote::{Reach, reach};
use runners::{Making, Run};

/// Where a server runs, and what brings it there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WayKind {
    /// At an address, already.
    Remote,
    /// An npm package, by `npx`.
    Npm,
    /// A Python package, by `uvx`.
    Pypi,
    /// An image, by `docker`.
    Oci,
    /// A NuGet package, by `dnx`.
    Nuget,
    /// An MCP bundle, which aiw unpacks.
    Bundle,
    /// Anything else.
    Other,
}

impl WayKind {
    fn of(package: &Package) -> Self {
        match package.kind.as_str() {
            "npm" => Self::Npm,
            "pypi" => Self::Pypi,
            "oci" => Self::Oci,
            "nuget" => Self::Nuget,
            "mcpb" => Self::Bundle,
            _ => Self::Other,
        }
    }

    /// Returns the word for it in JSON and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Remote => "remote",
            Self::Npm => "npm",
            Self::Pypi => "pypi",
            Self::Oci => "oci",
            Self::Nuget => "nuget",
            Self::Bundle => "mcpb",
            Self::Other => "other",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Recipe {
    Run(Run),
    Reach(Reach),
    Fetch { url: String, package: Box<Package> },
}

/// One way to run a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    kind: WayKind,
    target: String,
    recipe: Result<Recipe, Reason>,
    questions: Vec<Question>,
    notes: Vec<Note>,
    reaches: Vec<String>,
}

impl Way {
    fn new(
        kind: WayKind,
        target: &str,
        recipe: Result<Recipe, Reason>,
        questions: Questions<'_>,
        reaches: Vec<String>,
    ) -> Self {
        let mut used = BTreeSet::new();
        match &recipe {
            Ok(Recipe::Run(run)) => {
                used.extend(run.args.iter().flat_map(command::Arg::questions));
                used.extend(run.env.iter().flat_map(|env| env.value.questions()));
            }
            Ok(Recipe::Reach(reach)) => {
                used.extend(reach.url.questions());
                used.extend(reach.headers.iter().flat_map(|header| header.value.questions()));
            }
            Ok(Recipe::Fetch { .. }) | Err(_) => {}
        }
        let (questions, notes) = questions.finish(&used);
        drop(used);
        Self { kind, target: one_line(target, 300), recipe, questions, notes, reaches }
    }

    fn package(package: &Package, machine: &Machine) -> Self {
        let kind = WayKind::of(package);
        let mut making = Making::new(package);
        let recipe = match (&package.transport, kind) {
            (Transport::Sse(_), _) | (Transport::StreamableHttp(_), _) => Err(Reason::Listens),
            (Transport::Other(word), _) => Err(Reason::Transport { word: quoted(word) }),
            (Transport::Stdio, WayKind::Bundle) => bundle::fetch(&mut making, machine),
            (Transport::Stdio, WayKind::Other) => Err(by_hand(package)),
            (Transport::Stdio, _) => making.run().map(Recipe::Run),
        };
        Self::new(kind, &making.target.clone(), recipe, making.questions, making.reaches)
    }

    fn remote(transport: &Transport) -> Self {
        let mut questions = Questions::default();
        let (target, recipe) = match transport {
            Transport::StreamableHttp(endpoint) => {
                (endpoint.url.as_str(), reach(&mut questions, endpoint).map(Recipe::Reach))
            }
            Transport::Sse(endpoint) => (endpoint.url.as_str(), Err(Reason::Sse)),
            Transport::Stdio => ("", Err(Reason::Transport { word: "`stdio`".into() })),
            Transport::Other(word) => ("", Err(Reason::Transport { word: quoted(word) })),
        };
        Self::new(WayKind::Remote, target, recipe, questions, Vec::new())
    }

    /// What brings it to where it runs.
    pub fn kind(&self) -> WayKind {
        self.kind
    }

    /// What would run or be reached: the package and its version, the image, the address. One line.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Why it can't be used.
    pub fn refused(&self) -> Option<&Reason> {
        self.recipe.as_ref().err()
    }

    /// What it asks for, each once.
    pub fn questions(&self) -> &[Question] {
        &self.questions
    }

    /// What the person should know.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What it may do outside of its container, one line each, for the person to see before they agree.
    pub fn reaches(&self) -> &[String] {
        &self.reaches
    }

    /// Whether each start runs the same version.
    pub fn is_pinned(&self) -> bool {
        !self.notes.contains(&Note::NotPinned)
    }

    /// The program that it needs on this machine.
    pub fn program(&self) -> Option<&str> {
        match &self.recipe {
            Ok(Recipe::Run(run)) => Some(&run.program),
            _ => None,
        }
    }

    /// The command or the address, in one line, with open places as `<NAME>`; none if it isn't known yet.
    pub fn command(&self) -> Option<String> {
        match &self.recipe {
            Ok(Recipe::Run(run)) => {
                let words = run.args.iter().flat_map(command::Arg::shown);
                let words = std::iter::once(run.program.clone()).chain(words);
                Some(words.map(|word| shell_word_in_line(&word).into_owned()).collect::<Vec<_>>().join(" "))
            }
            Ok(Recipe::Reach(reach)) => Some(one_line(&reach.url.shown(), 500)),
            Ok(Recipe::Fetch { .. }) | Err(_) => None,
        }
    }

    /// The variables or headers that it sets, by name.
    pub fn sets(&self) -> Vec<&str> {
        match &self.recipe {
            Ok(Recipe::Run(run)) => run.env.iter().map(|env| env.name.as_str()).collect(),
            Ok(Recipe::Reach(reach)) => reach.headers.iter().map(|header| header.name.as_str()).collect(),
            Ok(Recipe::Fetch { .. }) | Err(_) => Vec::new(),
        }
    }

    /// The address of the bundle to download, and the SHA-256 that it must have.
    pub fn bundle(&self) -> Option<(&str, Option<&str>)> {
        match &self.recipe {
            Ok(Recipe::Fetch { url, package }) => Some((url, package.sha256.as_deref())),
            _ => None,
        }
    }
}

/// All ways to run a server, the default first. Those that can't be used are last, each with its reason.
pub fn ways(server: &Server) -> Vec<Way> {
    ways_on(server, &Machine::this())
}

fn ways_on(server: &Server, machine: &Machine) -> Vec<Way> {
    let remotes = server.remotes.iter().map(Way::remote);
    let packages = server.packages.iter().map(|package| Way::package(package, machine));
    let mut ways: Vec<Way> = remotes.chain(packages).collect();
    for way in &mut ways {
        match server.status {
            Status::Active => {}
            Status::Deprecated => {
                let why = server.status_message.as_deref().map(|why| one_line(why, 300)).filter(|why| !why.is_empty());
                way.notes.insert(0, Note::Deprecated { why });
            }
            Status::Deleted => way.recipe = Err(Reason::Withdrawn),
        }
    }
    ways.sort_by_key(|way| way.refused().is_some());
    ways
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

/// Kinds that are shown with the command that installs them once, or not known at all.
fn by_hand(package: &Package) -> Reason {
    let (name, version) = (package.identifier.trim(), package.version.as_deref().map(str::trim));
    let (is_name, what): (fn(&str) -> bool, _) = match package.kind.as_str() {
        "cargo" => (is_crate, "name of a crate"),
        "go" => (is_go, "path of a Go package"),
        other => return Reason::Kind { word: quoted(other) },
    };
    if !is_name(name) {
        return Reason::Identifier { identifier: quoted(name), what };
    }
    let version = version.filter(|version| !version.is_empty());
    if let Some(range) = version.filter(|version| !is_semver(version)) {
        return Reason::Version { version: quoted(range) };
    }
    let install = match (package.kind.as_str(), version) {
        ("cargo", Some(version)) => format!("cargo install {name}@{version}"),
        ("cargo", None) => format!("cargo install {name}"),
        (_, Some(version)) => format!("go install {name}@v{}", version.trim_start_matches('v')),
        (_, None) => format!("go install {name}@latest"),
    };
    Reason::ByHand { install }
}

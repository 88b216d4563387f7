//! All ways to run a server.

use aiw_core::registry::{Package, RegistryStatus, RegistryTransport, ServerVersion};
use aiw_core::{one_line, quoted};
use aiw_home::Surroundings;

use super::bundle::{TargetMachine, fetch};
use super::error::{Note, UnusableReason};
use super::inputs::Questions;
use super::making::Making;
use super::names::{is_crate, is_go, is_semver};
use super::passed::named;
use super::remote::reach;
use super::way::{Recipe, Way, WayKind};

impl Way {
    pub(super) fn package(package: &Package, machine: &TargetMachine) -> Self {
        let kind = WayKind::of(package);
        let package = &*named(package);
        let mut making = Making::new(package);
        let recipe = match (&package.transport, kind) {
            (RegistryTransport::Sse(_), _) | (RegistryTransport::StreamableHttp(_), _) => Err(UnusableReason::Listens),
            (RegistryTransport::Other(word), _) => Err(UnusableReason::Transport { word: quoted(word) }),
            (RegistryTransport::Stdio, WayKind::Bundle) => fetch(&mut making, machine),
            (RegistryTransport::Stdio, WayKind::Other) => Err(by_hand(package)),
            (RegistryTransport::Stdio, _) => making.run().map(Recipe::Run),
        };
        Self::new(kind, &making.target.clone(), recipe, making.questions, making.reaches)
    }

    pub(super) fn remote(transport: &RegistryTransport) -> Self {
        let mut questions = Questions::default();
        let asked;
        let (target, recipe) = match transport {
            RegistryTransport::StreamableHttp(endpoint) => {
                let reach = reach(&mut questions, endpoint);
                asked = reach.as_ref().ok().and_then(|reach| reach.url.fixed()).unwrap_or(&endpoint.url).to_owned();
                (asked.as_str(), reach.map(Recipe::Reach))
            }
            RegistryTransport::Sse(endpoint) => (endpoint.url.as_str(), Err(UnusableReason::Sse)),
            RegistryTransport::Stdio => ("", Err(UnusableReason::Transport { word: "`stdio`".into() })),
            RegistryTransport::Other(word) => ("", Err(UnusableReason::Transport { word: quoted(word) })),
        };
        Self::new(WayKind::Remote, target, recipe, questions, Vec::new())
    }
}

/// All ways to run a server, the default first. Those that can't be used are last, each with its reason.
pub fn ways(server: &ServerVersion, around: &Surroundings) -> Vec<Way> {
    ways_on(server, &TargetMachine::this(around))
}

pub(super) fn ways_on(server: &ServerVersion, machine: &TargetMachine) -> Vec<Way> {
    let remotes = server.remotes.iter().map(Way::remote);
    let packages = server.packages.iter().map(|package| Way::package(package, machine));
    let mut ways: Vec<Way> = remotes.chain(packages).collect();
    for way in &mut ways {
        match server.status {
            RegistryStatus::Active => {}
            RegistryStatus::Deprecated => {
                let why = server.status_message.as_deref().map(|why| one_line(why, 300)).filter(|why| !why.is_empty());
                way.notes.insert(0, Note::Deprecated { why });
            }
            RegistryStatus::Deleted => way.recipe = Err(UnusableReason::Withdrawn),
        }
    }
    ways.sort_by_key(|way| way.refused().is_some());
    ways
}

/// Kinds that are shown with the command that installs them once, or not known at all.
fn by_hand(package: &Package) -> UnusableReason {
    let (name, version) = (package.identifier.trim(), package.version.as_deref().map(str::trim));
    let (is_name, what): (fn(&str) -> bool, _) = match package.kind.as_str() {
        "cargo" => (is_crate, "name of a crate"),
        "go" => (is_go, "path of a Go package"),
        other => return UnusableReason::Kind { word: quoted(other) },
    };
    if !is_name(name) {
        return UnusableReason::Identifier { identifier: quoted(name), what };
    }
    let version = version.filter(|version| !version.is_empty());
    if let Some(range) = version.filter(|version| !is_semver(version)) {
        return UnusableReason::Version { version: quoted(range) };
    }
    let install = match (package.kind.as_str(), version) {
        ("cargo", Some(version)) => format!("cargo install {name}@{version}"),
        ("cargo", None) => format!("cargo install {name}"),
        (_, Some(version)) => format!("go install {name}@v{}", version.trim_start_matches('v')),
        (_, None) => format!("go install {name}@latest"),
    };
    UnusableReason::ByHand { install }
}

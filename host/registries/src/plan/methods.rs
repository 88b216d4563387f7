//! All ways to run a server.

use aiw_core::registry::{Package, RegistryStatus, RegistryTransport, ServerVersion};
use aiw_core::{one_line, quoted};
use aiw_home::ExecutionContext;

use super::builder::CommandBuilder;
use super::bundle::{TargetMachine, plan_fetch};
use super::error::{Note, UnsupportedReason};
use super::inputs::Questions;
use super::method::{InstallAction, InstallMethod, MethodKind};
use super::names::{is_crate, is_go, is_semver};
use super::passed::normalize_env_flags;
use super::remote::endpoint_template;

impl InstallMethod {
    pub(super) fn from_package(package: &Package, machine: &TargetMachine) -> Self {
        let kind = MethodKind::from_package(package);
        let package = &*normalize_env_flags(package);
        let mut making = CommandBuilder::new(package);
        let recipe = match (&package.transport, kind) {
            (RegistryTransport::Sse(_), _) | (RegistryTransport::StreamableHttp(_), _) => {
                Err(UnsupportedReason::HttpServer)
            }
            (RegistryTransport::Other(word), _) => Err(UnsupportedReason::Transport { word: quoted(word) }),
            (RegistryTransport::Stdio, MethodKind::Bundle) => plan_fetch(&mut making, machine),
            (RegistryTransport::Stdio, MethodKind::Other) => Err(by_hand(package)),
            (RegistryTransport::Stdio, _) => making.build_command().map(InstallAction::Run),
        };
        Self::new(kind, &making.target.clone(), recipe, making.questions, making.host_access)
    }

    pub(super) fn from_transport(transport: &RegistryTransport) -> Self {
        let mut questions = Questions::default();
        let asked;
        let (target, recipe) = match transport {
            RegistryTransport::StreamableHttp(endpoint) => {
                let reach = endpoint_template(&mut questions, endpoint);
                asked =
                    reach.as_ref().ok().and_then(|reach| reach.url.as_literal()).unwrap_or(&endpoint.url).to_owned();
                (asked.as_str(), reach.map(InstallAction::Connect))
            }
            RegistryTransport::Sse(endpoint) => (endpoint.url.as_str(), Err(UnsupportedReason::Sse)),
            RegistryTransport::Stdio => ("", Err(UnsupportedReason::Transport { word: "`stdio`".into() })),
            RegistryTransport::Other(word) => ("", Err(UnsupportedReason::Transport { word: quoted(word) })),
        };
        Self::new(MethodKind::Remote, target, recipe, questions, Vec::new())
    }
}

/// All ways to run a server, the default first. Those that can't be used are last, each with its reason.
pub fn install_methods(server: &ServerVersion, around: &ExecutionContext) -> Vec<InstallMethod> {
    install_methods_on(server, &TargetMachine::current(around))
}

pub(super) fn install_methods_on(server: &ServerVersion, machine: &TargetMachine) -> Vec<InstallMethod> {
    let remotes = server.remotes.iter().map(InstallMethod::from_transport);
    let packages = server.packages.iter().map(|package| InstallMethod::from_package(package, machine));
    let mut ways: Vec<InstallMethod> = remotes.chain(packages).collect();
    for way in &mut ways {
        match server.status {
            RegistryStatus::Active => {}
            RegistryStatus::Deprecated => {
                let why = server.status_message.as_deref().map(|why| one_line(why, 300)).filter(|why| !why.is_empty());
                way.notes.insert(0, Note::Deprecated { why });
            }
            RegistryStatus::Deleted => way.action = Err(UnsupportedReason::Withdrawn),
        }
    }
    ways.sort_by_key(|way| way.unsupported_reason().is_some());
    ways
}

/// Kinds that are shown with the command that installs them once, or not known at all.
fn by_hand(package: &Package) -> UnsupportedReason {
    let (name, version) = (package.identifier.trim(), package.version.as_deref().map(str::trim));
    let (is_name, what): (fn(&str) -> bool, _) = match package.kind.as_str() {
        "cargo" => (is_crate, "name of a crate"),
        "go" => (is_go, "path of a Go package"),
        other => return UnsupportedReason::Kind { word: quoted(other) },
    };
    if !is_name(name) {
        return UnsupportedReason::Identifier { identifier: quoted(name), what };
    }
    let version = version.filter(|version| !version.is_empty());
    if let Some(range) = version.filter(|version| !is_semver(version)) {
        return UnsupportedReason::Version { version: quoted(range) };
    }
    let install = match (package.kind.as_str(), version) {
        ("cargo", Some(version)) => format!("cargo install {name}@{version}"),
        ("cargo", None) => format!("cargo install {name}"),
        (_, Some(version)) => format!("go install {name}@v{}", version.trim_start_matches('v')),
        (_, None) => format!("go install {name}@latest"),
    };
    UnsupportedReason::ManualInstall { install }
}

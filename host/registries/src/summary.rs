//! What registries say of servers, in JSON.

use aiw_core::registry::{Instruction, RegistryStatus, RegistryTransport, ServerVersion};
use aiw_core::{Question, one_line, quoted_text};
use aiw_home::rfc3339;
use schemars::JsonSchema;
use serde::Serialize;

use crate::find::{MergedSearch, RegistrySearchStatus};
use crate::merge::MergedServer;
use crate::plan::{InstallMethod, MethodKind};

/// `aiw mcp search`
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct ServerSearch {
    /// The servers, the best first
    pub servers: Vec<RegistryServer>,
    /// How each registry answered
    pub sources: Vec<RegistrySearchStatus>,
}

/// A server in a registry.
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct RegistryServer {
    /// The name in the registry
    pub name: String,
    /// The component that reads the registry
    pub source: String,
    /// A name for people
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its description
    pub description: String,
    /// Its version in the registry
    pub version: String,
    /// `active`, `deprecated` or `deleted`
    pub status: &'static str,
    /// The publisher's reason for the status
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_message: Option<String>,
    /// The publisher, as far as the registry has checked
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// Where its source code is
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// A page about it
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// When the registry's entry changed last
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<String>,
    /// How often it is used, by the registry's own count
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uses: Option<u64>,
    /// How it runs: `npm`, `pypi`, `oci`, … on this machine, `http` or `sse` elsewhere
    pub kinds: Vec<String>,
    /// Other names of the same server, or other registries that have it, as `SOURCE NAME`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Other servers that were found and whose names look like its own, as `SOURCE NAME`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub confusable_with: Vec<String>,
    /// Steps after the installation
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub instructions: Vec<String>,
}

/// A way to run a server of a registry.
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct MethodSummary {
    /// `remote`, `npm`, `pypi`, `oci`, `nuget`, `mcpb` or `other`
    pub kind: &'static str,
    /// The program that would run, or the address that would be reached
    pub target: String,
    /// The command or the address, with open places as `<NAME>`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Why it can't be used
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Whether each start runs the same version
    pub pinned: bool,
    /// Its questions
    pub asks: Vec<RequiredValue>,
    /// The variables or headers that it sets, as `NAME=VALUE`, with open places as `<NAME>`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sets: Vec<String>,
    /// Its effects outside of its container
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reaches: Vec<String>,
    /// Notes for you
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A value that a server asks for.
#[warn(missing_docs)]
#[derive(Debug, Serialize, JsonSchema)]
pub struct RequiredValue {
    /// The name to answer it by, with `--set`
    pub name: String,
    /// Its purpose
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether the server needs it
    pub required: bool,
    /// Whether it is kept in the vault
    pub secret: bool,
    /// The publisher's default: the answer where none is given
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The values that it can have, if not any
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

impl RequiredValue {
    /// Says it in a line for people.
    pub fn summary_line(&self) -> String {
        let mut line = format!("{} {}", if self.required { "needs" } else { "takes" }, one_line(&self.name, 60));
        if self.secret {
            line.push_str(", a secret");
        }
        if let Some(default) = &self.default {
            line.push_str(&format!(", by its publisher's default {}", quoted_text(default, 100)));
        }
        if let Some(description) = &self.description {
            line.push_str(&format!(": {}", one_line(description, 200)));
        }
        line
    }
}

impl MethodSummary {
    /// A way to run a server.
    pub fn new(way: &InstallMethod) -> Self {
        Self {
            kind: way.kind().as_str(),
            target: way.target().to_owned(),
            command: way.command(),
            refused: way.unsupported_reason().map(ToString::to_string),
            pinned: way.is_pinned(),
            asks: way.questions().iter().map(asked).collect(),
            sets: way.assignments(),
            reaches: way.host_access().to_vec(),
            notes: way.notes().iter().map(ToString::to_string).collect(),
        }
    }
}

fn asked(question: &Question) -> RequiredValue {
    RequiredValue {
        name: question.name.clone(),
        description: question.description.clone(),
        required: question.required,
        secret: question.secret,
        default: question.default_answer().and(question.default.clone()),
        choices: question.choices.clone(),
    }
}

/// The questions of a way, in lines for people. What may stay without an answer is in one line: it can be much.
fn asks(way: &InstallMethod) -> Vec<String> {
    let all = way.questions().iter().map(asked);
    let (said, open): (Vec<RequiredValue>, Vec<RequiredValue>) =
        all.partition(|asked| asked.required || asked.default.is_some());
    let mut lines: Vec<String> = said.iter().map(RequiredValue::summary_line).collect();
    let short = |asked: &RequiredValue| {
        format!("{}{}", one_line(&asked.name, 60), if asked.secret { " (a secret)" } else { "" })
    };
    match &open[..] {
        [] => {}
        [one] => lines.push(one.summary_line()),
        several => lines.push(format!("takes {}", several.iter().map(short).collect::<Vec<_>>().join(", "))),
    }
    lines
}

/// The facts that decide whether to install a server, in lines for people: where it is from, what it runs, and what it
/// asks for.
pub fn install_summary(found: &MergedServer, way: &InstallMethod) -> Vec<String> {
    let server = RegistryServer::new(found);
    let mut lines = vec![format!("{} {} from {}", server.name, server.version, server.source)];
    if !server.description.is_empty() {
        lines.push(format!("  {}", server.description));
    }
    lines.push(format!("  publisher: {}", server.publisher.as_deref().unwrap_or("unknown")));
    lines.push(format!("  source code: {}", server.repository.as_deref().unwrap_or("unknown")));
    let does = match way.kind() {
        _ if way.bundle().is_some() => "fetches",
        MethodKind::Remote => "reaches",
        _ => "runs",
    };
    lines.push(format!("  {does}: {}", way.command().unwrap_or_else(|| way.target().to_owned())));
    lines.extend(way.assignments().into_iter().map(|set| format!("  sets: {set}")));
    lines.extend(asks(way).into_iter().map(|line| format!("  {line}")));
    lines.extend(way.host_access().iter().map(|line| format!("  outside of its container: {line}")));
    lines.extend(way.notes().iter().map(|note| format!("  note: {note}")));
    lines
}

impl ServerSearch {
    /// The answer to a search.
    pub fn new(found: &MergedSearch) -> Self {
        let all = &found.servers;
        let one = |found: &MergedServer| {
            let alike = all.iter().filter(|other| found.is_confusable_with(other));
            let looks_like = alike.map(|other| format!("{} {}", other.source, other.server.name)).collect();
            RegistryServer { confusable_with: looks_like, ..RegistryServer::new(found) }
        };
        Self { servers: all.iter().map(one).collect(), sources: found.sources.clone() }
    }
}

impl RegistryServer {
    /// A server that was found.
    pub fn new(found: &MergedServer) -> Self {
        let ServerVersion {
            name,
            title,
            description,
            version,
            status,
            status_message,
            publisher,
            repository,
            website,
            updated,
            uses,
            instructions,
            ..
        } = found.server.clone();
        Self {
            name,
            source: found.source.to_string(),
            title,
            description,
            version,
            status: word(status),
            status_message,
            publisher,
            repository,
            website,
            updated: updated.map(rfc3339),
            uses,
            kinds: kinds(&found.server),
            confusable_with: Vec::new(),
            aliases: found.duplicates.iter().map(|(source, name)| format!("{source} {name}")).collect(),
            instructions: instructions.into_iter().map(sentence).collect(),
        }
    }
}

fn word(status: RegistryStatus) -> &'static str {
    match status {
        RegistryStatus::Active => "active",
        RegistryStatus::Deprecated => "deprecated",
        RegistryStatus::Deleted => "deleted",
    }
}

fn sentence(Instruction { description, command, page }: Instruction) -> String {
    let command = command.map(|command| format!("`{command}`"));
    let parts = [Some(description), command, page].into_iter().flatten().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(": ")
}

/// How a server runs, each way once.
fn kinds(server: &ServerVersion) -> Vec<String> {
    let mut kinds: Vec<String> = Vec::new();
    let packages = server.packages.iter().map(|package| one_line(&package.kind, 20));
    let remotes = server.remotes.iter().map(|remote| match remote {
        RegistryTransport::Stdio => "stdio".to_owned(),
        RegistryTransport::StreamableHttp(_) => "http".to_owned(),
        RegistryTransport::Sse(_) => "sse".to_owned(),
        RegistryTransport::Other(word) => one_line(word, 20),
    });
    for kind in packages.chain(remotes) {
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    kinds
}

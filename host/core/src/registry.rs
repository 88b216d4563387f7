//! What a registry says about MCP servers. The contract's own types are in `wit/registry-source.wit`.
//!
//! Nothing here is to be trusted beyond its form: a publisher wrote it. Texts for people are one line, names are names,
//! and the counts are bounded. What may become part of a command is checked where the command is made.

use serde::{Deserialize, Serialize};

use crate::ReferenceForm;

/// A description of a registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryInfo {
    /// In a few words: `The official MCP registry`.
    pub label: String,
    /// Of several equally good servers, that of the lowest number comes first. 1 to 1000.
    pub priority: u32,
    /// The forms of its servers' names, each with an example.
    pub names: Vec<ReferenceForm>,
    /// Whether it reports what changed, so that there can be a copy.
    pub changes: bool,
    /// The secret that it can use.
    pub secret: Option<SecretRequirement>,
}

/// A secret that a registry can use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretRequirement {
    /// The name by which the component names it.
    pub name: String,
    /// Whether the registry answers nothing without it.
    pub required: bool,
    /// The page where you get one.
    pub page: Option<String>,
}

/// Whether a server is offered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RegistryStatus {
    /// It is offered.
    #[default]
    Active,
    /// Its publisher advises against it.
    Deprecated,
    /// It is no longer offered.
    Deleted,
}

/// The form of a value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Any text.
    #[default]
    Text,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// The path of a file.
    FilePath,
}

/// Something to fill in, or already filled in. The default says nothing about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its purpose.
    pub description: Option<String>,
    /// Whether the server needs it.
    pub required: bool,
    /// Whether it is a secret.
    pub secret: bool,
    /// The form of its value.
    pub format: Format,
    /// If present, it is not asked for. `{name}` in it stands for a variable.
    pub value: Option<String>,
    /// The value to offer when it is asked for.
    pub default: Option<String>,
    /// An example.
    pub placeholder: Option<String>,
    /// If there are any, the value is one of them.
    pub choices: Vec<String>,
}

/// A variable within a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerVariable {
    /// Its name, without braces.
    pub name: String,
    /// The value's input.
    pub input: Input,
}

/// A variable of the environment, or a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSetting {
    /// Its name, as the row has it.
    pub name: String,
    /// Its value.
    pub input: Input,
    /// The variables in the value's braces.
    pub variables: Vec<ServerVariable>,
}

/// An argument.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Argument {
    /// The name of a named argument, with its dashes.
    pub name: Option<String>,
    /// A word for a positional argument.
    pub hint: Option<String>,
    /// Its value.
    pub input: Input,
    /// The variables in the value's braces.
    pub variables: Vec<ServerVariable>,
    /// Whether it may be given several times.
    pub repeated: bool,
}

/// An address of a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// `{name}` in it stands for a variable.
    pub url: String,
    /// Headers of each request.
    pub headers: Vec<ServerSetting>,
    /// The variables in the URL's braces.
    pub variables: Vec<ServerVariable>,
}

/// How a client talks to a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegistryTransport {
    /// Over standard input and output.
    #[default]
    Stdio,
    /// Over HTTP.
    StreamableHttp(Endpoint),
    /// Over HTTP with two addresses, which the protocol gave up in 2025.
    Sse(Endpoint),
    /// In another way, by the row's word.
    Other(String),
}

/// A server that runs on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// `npm`, `pypi`, `oci`, `nuget`, `mcpb`, `cargo`, `go`, or another word.
    pub kind: String,
    /// The package registry, if it is not the usual one.
    pub base_url: Option<String>,
    /// The name of the package, the reference of an image, or the URL of a bundle.
    pub identifier: String,
    /// Its version, if the identifier doesn't say it.
    pub version: Option<String>,
    /// The SHA-256 of the file, in lowercase hexadecimal.
    pub sha256: Option<String>,
    /// The program that runs it, as the row says.
    pub runtime: Option<String>,
    /// How to talk to it.
    pub transport: RegistryTransport,
    /// Arguments of the program that runs it.
    pub runtime_arguments: Vec<Argument>,
    /// Arguments of the server.
    pub package_arguments: Vec<Argument>,
    /// Variables of its environment.
    pub environment: Vec<ServerSetting>,
}

/// A step after the installation. It is shown and never run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// The step.
    pub description: String,
    /// The command that does it.
    pub command: Option<String>,
    /// A page that explains it.
    pub page: Option<String>,
}

/// One version of a server in a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerVersion {
    /// The name within the registry: [`is_server_name`] holds.
    pub name: String,
    /// A name for people.
    pub title: Option<String>,
    /// Its description; may be empty.
    pub description: String,
    /// Its version; may be empty where a registry knows none.
    pub version: String,
    /// Whether no version of it is newer.
    pub latest: bool,
    /// Whether it is offered.
    pub status: RegistryStatus,
    /// The reason for the status.
    pub status_message: Option<String>,
    /// The publisher, as far as the registry has checked.
    pub publisher: Option<String>,
    /// The URL of the source code.
    pub repository: Option<String>,
    /// The URL of a page about it.
    pub website: Option<String>,
    /// When the row changed last, in milliseconds since 1970.
    pub updated: Option<u64>,
    /// How often it is used, by the registry's own count.
    pub uses: Option<u64>,
    /// The ways to run it on this machine.
    pub packages: Vec<Package>,
    /// The addresses where it runs already.
    pub remotes: Vec<RegistryTransport>,
    /// Steps after the installation.
    pub instructions: Vec<Instruction>,
    /// Other names of the same server, here or in another registry.
    pub aliases: Vec<String>,
}

/// A page of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The servers on it that are well-formed.
    pub servers: Vec<ServerVersion>,
    /// How many others there were.
    pub malformed: usize,
    /// The cursor of the next page, if there is one.
    pub next: Option<String>,
}

/// Whether this can be a server's name in a registry: 1 to 200 of `A-Z a-z 0-9 . _ - / @`, which begins with a letter,
/// a digit or `@`, and in which no part between slashes is empty or begins with a dot or a dash.
pub fn is_server_name(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with(['.', '-']);
    (1..=200).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/@".contains(&b))
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '@')
        && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_registries() {
        for good in ["io.github.acme/weather", "@smithery-ai/brave-search", "exa", "ai.waystation/gmail_2", "A/b.c"] {
            assert!(is_server_name(good), "{good}");
        }
        let long = "a".repeat(201);
        for bad in ["", "/", "a/", "/a", "a//b", "a/../b", "-a/b", "a/-b", "a b", "a/\u{1b}b", "a/б", ".a", &long] {
            assert!(!is_server_name(bad), "{bad}");
        }
    }
}

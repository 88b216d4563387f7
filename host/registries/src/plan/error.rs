//! Why a server can't be installed in a way, and what is wrong with an answer.

use std::borrow::Cow;

use aiw_core::{Diagnostic, quoted_list};

/// Why a way can't be used. Texts of the row are quoted already, and in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedReason {
    /// The server is no longer offered.
    #[error("its publisher withdrew it")]
    Withdrawn,
    /// The protocol's old HTTP transport.
    #[error("it is reached over SSE, which MCP gave up in 2025; ask its publisher for a streamable HTTP address")]
    Sse,
    /// A package that listens.
    #[error("its package starts an HTTP server, which you start yourself; `aiw mcp add NAME --url URL` adds it then")]
    HttpServer,
    /// A transport that aiw does not know.
    #[error("it speaks {word}, a transport that aiw does not know")]
    Transport {
        /// The row's word.
        word: String,
    },
    /// A kind of package that aiw does not know.
    #[error("it is a package of the kind {word}, which aiw does not know")]
    Kind {
        /// The row's word.
        word: String,
    },
    /// A kind without a program that downloads and runs in one step.
    #[error(
        "nothing runs such a package directly; `{install}` installs it, and `aiw mcp add NAME PROGRAM` adds it then"
    )]
    ManualInstall {
        /// The command that installs it once.
        install: String,
    },
    /// An identifier that its kind does not allow.
    #[error("{identifier} is not a valid {what}")]
    Identifier {
        /// The row's identifier.
        identifier: String,
        /// The expected form.
        what: &'static str,
    },
    /// A range of versions, or no version at all.
    #[error("{version} is not an exact version")]
    Version {
        /// The row's version.
        version: String,
    },
    /// A package registry that can't be passed on.
    #[error("it is in a package registry that can't be used: {url} is not a plain https address")]
    Registry {
        /// The row's address.
        url: String,
    },
    /// A variable with a value that the person would not choose.
    #[error("it sets {name}, which decides what code runs")]
    UnsafeVariable {
        /// The variable.
        name: String,
    },
    /// A name that can't be one.
    #[error("{name} is not a valid name of {what}")]
    Name {
        /// The row's name.
        name: String,
        /// `a variable`, `a header`, `an argument`
        what: &'static str,
    },
    /// A value that nobody could see as it is, or that would be read for variables.
    #[error("the value of {name} {why}")]
    Value {
        /// The variable, header or argument.
        name: String,
        /// The end of the sentence.
        why: &'static str,
    },
    /// A secret that other programs on the machine could read.
    #[error("it takes {name}, a secret, as an argument, where every program on this machine can read it")]
    SecretArgument {
        /// The argument.
        name: String,
    },
    /// An argument of the program that runs the package.
    #[error("it passes {argument} to `{program}`, which aiw does not allow")]
    RuntimeArgument {
        /// The program.
        program: &'static str,
        /// The argument.
        argument: String,
    },
    /// An address that can't be reached as it is.
    #[error("its address {url} {why}")]
    Url {
        /// The row's address.
        url: String,
        /// The end of the sentence.
        why: &'static str,
    },
    /// A bundle for another system or processor.
    #[error("it is for another machine: {platform}")]
    Platform {
        /// Its platform.
        platform: String,
    },
    /// More of something than anybody could look through.
    #[error("it has more than {most} {what}")]
    TooMany {
        /// The most that are taken.
        most: usize,
        /// `arguments`, `variables`, `headers`
        what: &'static str,
    },
    /// A bundle's manifest that doesn't say how to run it.
    #[error("the bundle's `manifest.json` {why}")]
    Manifest {
        /// The end of the sentence.
        why: String,
    },
}

/// A note for a person before they agree.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Note {
    /// No version, or one that moves.
    #[error("it is not pinned: the next start may run another version")]
    NotPinned,
    /// The publisher advises against it.
    #[error("it is deprecated{}", .why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    Deprecated {
        /// The publisher's reason.
        why: Option<String>,
    },
    /// A download that nothing is compared with.
    #[error("its file is not checked: the registry gives no SHA-256")]
    NoChecksum,
    /// An address that leads to something that runs here.
    #[error("its address is on this machine: a program that you started has to answer there")]
    LoopbackUrl,
    /// An address inside a network.
    #[error("its address is not on the public internet, but inside a private or local network: {host}")]
    PrivateNetwork {
        /// Its host, as it will be asked.
        host: String,
    },
    /// An address that is asked in another form than the registry's.
    #[error("its registry writes that address as {written}")]
    Rewritten {
        /// The registry's text.
        written: String,
    },
    /// A package registry of somebody's own.
    #[error("it comes from another package registry: {url}")]
    Registry {
        /// Its address.
        url: String,
    },
    /// A package besides the row's.
    #[error("it also installs {package}{}", if *.pinned { "" } else { ", which is not pinned: the next start may run another version" })]
    ExtraPackage {
        /// The package.
        package: String,
        /// Whether it is one version.
        pinned: bool,
    },
    /// A part of the row that does nothing, or would do harm.
    #[error("{part} is left out: {why}")]
    Skipped {
        /// The argument, variable or header.
        part: String,
        /// The reason.
        why: Cow<'static, str>,
    },
}

impl UnsupportedReason {
    /// Why one part of the row is left out, as the end of a sentence about it.
    pub(super) fn omission_reason(&self) -> Cow<'static, str> {
        match self {
            Self::Name { what, .. } => format!("that is not a valid name of {what}").into(),
            Self::Value { why, .. } => format!("its value {why}").into(),
            Self::RuntimeArgument { program, .. } => format!("aiw passes no such argument to `{program}`").into(),
            Self::UnsafeVariable { .. } => "it decides what code runs".into(),
            other => other.to_string().into(),
        }
    }
}

/// A problem of the answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryPlanError {
    /// The way can't be used.
    #[error("the server can't be installed like this: {0}")]
    Unsupported(#[from] UnsupportedReason),
    /// A bundle that has not been read.
    #[error("what the bundle runs is not known before it is read")]
    BundleNotRead,
    /// Required values that are missing.
    #[error("the server needs {}", quoted_list(.names))]
    MissingValues {
        /// The questions.
        names: Vec<String>,
    },
    /// An answer to nothing.
    #[error("the server has no setting {name}")]
    UnknownSetting {
        /// The name.
        name: String,
        /// The questions.
        known: Vec<String>,
    },
    /// An answer that doesn't fit. The answer itself is not repeated, because it may be a secret.
    #[error("the value of {name} {why}")]
    InvalidValue {
        /// The question.
        name: String,
        /// The end of the sentence.
        why: String,
    },
    /// An entry that `mcp.json` can't hold.
    #[error("the server {0}")]
    InvalidEntry(String),
}

impl Diagnostic for EntryPlanError {}

//! Errors of the testkit.

use std::error::Error;
use std::fmt::Display;
use std::path::PathBuf;

use aiw_core::Diagnostic;
pub use aiw_wasm::{CallError, ComponentReason as Refusal};

/// An error of the host, of a type that tests need not know.
type HostError = Box<dyn Error + Send + Sync>;

/// The reason that a component can't be driven.
#[derive(Debug, thiserror::Error)]
pub enum TestkitError {
    /// A file can't be read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The component, or the recorded answers.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file does not contain recorded answers.
    #[error("`{}` does not hold recorded answers: {source}", path.display())]
    InvalidResponses {
        /// The file.
        path: PathBuf,
        /// Where the problem is.
        source: serde_json::Error,
    },
    /// The file is not a component for this aiw.
    #[error("the component {0}")]
    Component(#[source] HostError),
    /// A task of the test is not one that can be.
    #[error("a task of the test has an invalid name: {0}")]
    Task(#[source] HostError),
    /// The component can't be loaded, or the host can't start.
    #[error("{0}")]
    Load(#[source] HostError),
    /// A temporary directory can't be created.
    #[error("no temporary directory can be made: {0}")]
    TempDir(std::io::Error),
}

/// The test itself asks for something that can't be.
pub(crate) fn invalid<E: Display>(why: E) -> CallError {
    CallError::Rejected { refusal: Refusal::Invalid, message: why.to_string() }
}

impl Diagnostic for TestkitError {}

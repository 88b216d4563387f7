//! Errors of the testkit.

use std::path::PathBuf;

use aiw_extensions::ExtensionError;
use aiw_net::NetError;
use aiw_wasm::LoadError;

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
    Answers {
        /// The file.
        path: PathBuf,
        /// Where the problem is.
        source: serde_json::Error,
    },
    /// The file is not a component for this aiw.
    #[error("the component {0}")]
    Component(#[from] ExtensionError),
    /// The component can't be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The network client or the reader of trees can't start.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A temporary directory can't be created.
    #[error("no temporary directory can be made: {0}")]
    Temporary(std::io::Error),
}

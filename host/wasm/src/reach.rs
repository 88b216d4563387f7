//! What one call may reach beside what its component was granted.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::budget::{BoundSecret, CallBudget};

/// The addresses, directories and secrets that the user named for one call. They are granted whatever the manifest
/// says.
#[derive(Debug, Clone, Default)]
pub struct CallPermissions {
    /// URLs whose host and port may be contacted, including private addresses.
    pub urls: Vec<String>,
    /// URLs that a component named and nobody typed. Their host and port may be contacted if they are public and
    /// encrypted.
    pub public_urls: Vec<String>,
    /// Directories that may be read.
    pub directories: Vec<PathBuf>,
    /// Secrets that the component may put into a header, by the names that it knows.
    pub secrets: BTreeMap<String, BoundSecret>,
    /// The budget that this call shares with the other calls of the same command.
    pub budget: Option<Arc<CallBudget>>,
}

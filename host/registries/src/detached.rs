//! The process that brings copies up to date. A search starts it, and nobody waits for it.

use std::ffi::OsString;
use std::path::Path;

use aiw_home::{Home, HomeError, INHERITED_VARIABLES, SecretRef, TASK_VARIABLE};

use crate::RegistryError;

/// The words after which `aiw` brings copies up to date.
const SYNC_ARGUMENTS: [&str; 2] = ["mcp", "__sync"];

/// How the network is reached.
const NETWORK_VARIABLES: [&str; 10] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// Starts the process that brings copies up to date. In a task, it starts none: it would be ended with the task, and would
/// count as left behind by it.
pub fn start_sync(home: &Home, aiw: &Path) -> Result<(), RegistryError> {
    if home.context().variable(TASK_VARIABLE).is_some() {
        return Ok(());
    }
    let settings = home.registry_settings()?;
    let asked = settings.sources.into_values().filter(|choice| choice.enabled);
    let keys = asked.filter_map(|choice| match choice.key {
        Some(SecretRef::Variable(name)) => Some(OsString::from(name.as_str())),
        _ => None,
    });
    let variables = home
        .context()
        .select_variables(INHERITED_VARIABLES.into_iter().chain(NETWORK_VARIABLES).map(OsString::from).chain(keys));
    aiw_supervisor::start_unattended(aiw, &SYNC_ARGUMENTS, variables).map_err(|e| HomeError::io("start", aiw, e).into())
}

/// Becomes the process that brings copies up to date, if `arguments` (without the program's name) ask for that. False in the
/// process that was there before, which should end. This must come before any thread is started.
pub fn detach_if_sync(arguments: &[OsString]) -> bool {
    if !arguments.iter().map(OsString::as_os_str).eq(SYNC_ARGUMENTS) {
        return true;
    }
    if !matches!(aiw_supervisor::detach(), Ok(true)) {
        return false;
    }
    // Whoever works at this machine comes first.
    let _ = rustix::process::nice(19);
    true
}

//! The processes of a project, as each command finds them.

use aiw_app::{directory, own_executable};
use aiw_home::Home;
use aiw_processes::Manager;

use crate::failure::CliError;

/// The processes of the project that the current directory belongs to.
pub fn manager(home: &Home) -> Result<Manager, CliError> {
    Ok(Manager::open_in(home, directory(home)?)?.with_executable(own_executable()?))
}

/// The project's processes, after what dead shims left behind was ended, or started again.
pub(super) fn open_reconciled(home: &Home) -> Result<Manager, CliError> {
    let manager = manager(home)?;
    manager.reconcile()?;
    Ok(manager)
}

//! What continuous integration says, for views: the runs of the project in the client's directory.

use aiw_ci::{Ci, CiError, MonitorRequest, MonitorStopSummary, MonitoredBranch};
use aiw_home::Home;
use aiw_processes::ProcessProject;

use crate::{App, AppError, directory, stable_executable};

/// How often the daemon asks if nobody says, in seconds.
pub const CI_INTERVAL: u64 = 30;

/// Returns the runs of the repository that is checked out where the client is, or of one that is named.
///
/// # Errors
///
/// There is no repository at a host that the user knows.
pub async fn open(app: &App, home: &Home, repository: Option<&str>) -> Result<Ci, AppError> {
    Ok(Ci::open(home, app.client()?, repository).await?)
}

/// Has the daemon ask for the runs of the branch that is checked out.
///
/// # Errors
///
/// There is no branch, or the daemon can't be started.
pub fn start(home: &Home, repository: Option<String>, interval: u64) -> Result<MonitoredBranch, AppError> {
    let project = ProcessProject::discover(directory(home)?)?.directory().to_owned();
    let request = MonitorRequest { project, repository, interval };
    Ok(aiw_ci::start_monitoring(home, &stable_executable()?, &request)?)
}

/// Ends that for the client's project.
///
/// # Errors
///
/// The home can't be written.
pub fn stop(home: &Home) -> Result<MonitorStopSummary, AppError> {
    Ok(aiw_ci::stop_monitoring(home, ProcessProject::discover(directory(home)?)?.directory())?)
}

impl From<CiError> for AppError {
    fn from(error: CiError) -> Self {
        Self::Ci(Box::new(error))
    }
}

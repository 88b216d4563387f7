//! What continuous integration says: the runs of GitHub Actions of a repository, what failed in them, and when they end.
//!
//! [`Ci`] reads the runs of one repository: of the one that is checked out, or of one that somebody names. [`start_monitoring`]
//! has the daemon ask for them, and [`attend`] is what the daemon does.
//!
//! A repository may come from anybody, and so may what its runs write. No token goes to a host that the user doesn't know; texts
//! are bounded and made printable, and secrets are taken out of logs.
//!
//! Not for starting or cancelling runs: this room only reads.
//!
//! ```no_run
//! # async fn example(home: aiw_home::Home) -> Result<(), Box<dyn std::error::Error>> {
//! let ci = aiw_ci::Ci::open(&home, &aiw_net::HttpClient::new()?, None).await?;
//! let found = ci.list(&aiw_ci::CiListRequest { limit: 5, branch: None }).await?;
//! let failed = ci.failed_logs(found.runs.first().map(|run| run.id)).await?;
//! # Ok(())
//! # }
//! ```

mod connection;
mod error;
mod log;
mod monitor;
mod place;
mod runs;
mod shapes;
mod source;
#[cfg(test)]
mod tests;
mod token;
mod wait;

pub use connection::CiLimit;
pub use error::CiError;
pub use log::{UNTRUSTED_LOG_NOTICE, UNTRUSTED_NAMES_NOTICE};
pub use monitor::{
    MonitorRequest, MonitorStopSummary, MonitoredBranch, list_monitored_branches, run_monitor, start_monitoring,
    stop_monitoring,
};
pub use place::CiRepository;
pub use runs::{Ci, CiFailedLogs, CiJobLog, CiListRequest, CiRunDetails, CiRunList, CiRunRequest};
pub use shapes::{CiJob, CiRun, CiStep};
pub use source::TokenSource;
pub use wait::CiWait;

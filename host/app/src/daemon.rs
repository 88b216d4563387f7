//! The daemon: one process of the home that is awake for what needs somebody awake. It has duties, each in a thread of its
//! own, so that one which fails takes no other along.

use std::convert::Infallible;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use aiw_ci::MonitoredBranch;
use aiw_home::Home;
use aiw_processes::{HomeDaemon, MonitoredProject, ProcessError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::error::AppError;
use crate::executable::stable_executable;
use crate::health;

/// The function of a duty. It gets the home, aiw's executable, and what says what is wrong.
type Does = fn(&Home, &Path, fn(&str)) -> Result<Infallible, AppError>;

/// A reason to be awake.
struct DaemonJob {
    name: &'static str,
    /// Whether it needs somebody awake now.
    is_needed: fn(&Home) -> bool,
    /// Does it, as long as the process lives.
    run: Does,
}

/// All duties. Decision 0040 says what starts and ends each, and what it costs.
const DAEMON_JOBS: [DaemonJob; 3] = [
    DaemonJob {
        name: "processes",
        is_needed: |home| !aiw_processes::monitored_projects(home).is_empty(),
        run: |home, aiw, say| Ok(aiw_processes::run_jobs(home, aiw, say)?),
    },
    DaemonJob { name: "health", is_needed: health::is_needed, run: health::run_health_checks },
    DaemonJob {
        name: "ci",
        is_needed: |home| !aiw_ci::list_monitored_branches(home).is_empty(),
        run: |home, _, say| Ok(aiw_ci::run_monitor(home, say)?),
    },
];

/// How often it looks whether it is needed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// How long it stays when nothing needs it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a duty that failed rests.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Does the duties of the daemon, until none is needed. Returns at once if another one is awake. `say` says what
/// is wrong: its supervisor keeps that in its log.
///
/// # Errors
///
/// The home can't be written, or there are no threads.
pub fn run_daemon(home: &Home, say: fn(&str)) -> Result<(), AppError> {
    let Some(on_duty) = HomeDaemon::try_lock(home).map_err(ProcessError::from)? else { return Ok(()) };
    let aiw = stable_executable()?;
    for duty in &DAEMON_JOBS {
        let (home, aiw) = (home.clone(), aiw.clone());
        let forever = move || {
            loop {
                match catch_unwind(|| (duty.run)(&home, &aiw, say)) {
                    Ok(Ok(never)) => match never {},
                    Ok(Err(error)) => say(&format!("{}: {error}", duty.name)),
                    Err(_) => say(&format!("{}: it failed, and begins anew", duty.name)),
                }
                std::thread::sleep(RETRY_DELAY);
            }
        };
        std::thread::Builder::new()
            .name(duty.name.into())
            .spawn(forever)
            .map_err(|source| AppError::Thread { source })?;
    }
    let is_needed = || DAEMON_JOBS.iter().any(|duty| (duty.is_needed)(home));
    let mut needed = Instant::now();
    std::thread::sleep(POLL_INTERVAL);
    on_duty.release_code_pages();
    loop {
        std::thread::sleep(POLL_INTERVAL);
        if is_needed() && home.root().is_dir() {
            needed = Instant::now();
        } else if needed.elapsed() > IDLE_TIMEOUT || !home.root().is_dir() {
            on_duty.exit_unless_needed(home, is_needed).map_err(ProcessError::from)?;
        }
    }
}

/// The daemon, and its reasons to be awake
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DaemonState {
    /// Whether it is awake
    pub awake: bool,
    /// Its process id
    pub pid: Option<u32>,
    /// The projects that it is to be awake for
    pub projects: Vec<MonitoredProject>,
    /// The reason why it can't be awake
    pub problem: Option<String>,
    /// Whether it is to check API providers from time to time
    pub checks_providers: bool,
    /// The branches whose runs of continuous integration it asks for
    pub ci: Vec<MonitoredBranch>,
}

impl DaemonState {
    /// Looks at the daemon of a home. It starts nothing.
    pub fn inspect(home: &Home) -> Self {
        let awake = HomeDaemon::is_running(home);
        let pid = HomeDaemon::state(home).filter(|_| awake).and_then(|state| state.record.child).map(|child| child.pid);
        let problem = HomeDaemon::lock_error(home).map(|obstacle| obstacle.to_string());
        let (checks_providers, ci) = (health::is_needed(home), aiw_ci::list_monitored_branches(home));
        Self { awake, pid, problem, projects: aiw_processes::monitored_projects(home), checks_providers, ci }
    }

    /// Returns the command that wakes it; `None` if it is awake or not needed.
    pub fn start_command(&self) -> Option<&'static str> {
        let is_needed = !self.awake && self.line().is_some();
        is_needed.then_some(match (self.projects.is_empty(), self.checks_providers) {
            (true, true) => "aiw provider list",
            (true, false) => "aiw ci watch --background",
            (false, _) => "aiw up",
        })
    }

    /// Returns it as a line; `None` if it is neither awake nor needed.
    pub fn line(&self) -> Option<String> {
        let projects = &self.projects;
        let count = |of: fn(&MonitoredProject) -> usize| projects.iter().map(of).sum::<usize>();
        let parts = [
            (count(|one| one.watched.len()), "watched"),
            (count(|one| one.scheduled.len()), "scheduled"),
            (count(|one| usize::from(one.hooks)), "with `on`"),
            (self.ci.len(), "asked for at CI"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, how)| format!("{count} {how}"));
        let what: Vec<String> = parts.chain(self.checks_providers.then(|| "checks of providers".into())).collect();
        if let Some(problem) = self.problem.as_ref().filter(|_| !what.is_empty()) {
            return Some(format!("the daemon can't run: {problem}"));
        }
        match (self.awake, what.is_empty()) {
            (true, true) => Some("the daemon is awake, and leaves soon: nothing needs it".into()),
            (true, false) => Some(format!("the daemon is awake ({})", what.join(", "))),
            (false, false) if projects.is_empty() && self.checks_providers => {
                Some("the daemon does not run: no provider is checked; `aiw provider list` starts it".into())
            }
            (false, false) if projects.is_empty() => {
                Some("the daemon does not run: CI is not asked; `aiw ci watch --background` starts it".into())
            }
            (false, false) => {
                Some("the daemon does not run: nothing that is watched or scheduled starts; `aiw up` starts it".into())
            }
            (false, true) => None,
        }
    }
}

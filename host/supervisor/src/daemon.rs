//! Processes of which a home has one each, and which others rely on: they are supervised, started by the first who needs
//! them, and end by themselves.

use std::fs::File;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_core::{ProcessId, ProcessState as State};
use aiw_home::{Home, INHERITED_VARIABLES, is_held, open_regular, try_lock};

use crate::error::SupervisorError;
use crate::names::Namespace;
use crate::new::{NewProcess, QueueLimit, Restart, RestartCondition};
use crate::processes::{Processes, StopOutcome, SupervisedProcess};
use crate::program::Program;
use crate::root::{ProcessScope, Root, digest};

/// A process of which a home has one.
#[derive(Debug, Clone)]
pub struct Daemon {
    /// The names of its files and variables.
    pub names: Namespace,
    /// The command of aiw that it is.
    pub arguments: &'static [&'static str],
    /// Whether a variable of its starter is for it, by its name. Those that say where files are always are.
    pub is_inherited_variable: fn(&str) -> bool,
}

impl Daemon {
    /// Starts it, supervised, in one process's turn. It is started again when it fails. `aiw` is the executable, and
    /// `listen` the address of the socket that becomes its standard input.
    ///
    /// # Errors
    ///
    /// It can't be started, or runs already.
    pub fn start(&self, home: &Home, aiw: &Path, listen: Option<SocketAddr>) -> Result<(), SupervisorError> {
        let processes = self.processes(home)?;
        let is_taken = |name: &str| INHERITED_VARIABLES.contains(&name) || (self.is_inherited_variable)(name);
        let taken = home.context().variables().filter(|(name, _)| name.to_str().is_some_and(is_taken));
        let mut environment: Vec<_> = taken.collect();
        environment.push(("AIW_HOME".into(), home.root().into()));
        let arguments = self.arguments.iter().map(Into::into).collect();
        let program = Program { arguments, environment, ..Program::new(aiw) };
        let new = NewProcess {
            restart: Restart {
                when: RestartCondition::Failed,
                pause: Duration::from_millis(20),
                longest: Duration::from_secs(2),
                limit: None,
                within: None,
            },
            listen,
            ..NewProcess::new("/")
        };
        let queue = QueueLimit { limit: u32::MAX, may_queue: false };
        processes.start_named(aiw, Self::id(home), new, program, queue)?;
        Ok(())
    }

    /// Returns it as it is, if it was ever started.
    pub fn state(&self, home: &Home) -> Option<SupervisedProcess> {
        self.processes(home).ok()?.get(Self::id(home)).ok()
    }

    /// Returns whether it runs, or is about to be started again.
    pub fn is_alive(&self, home: &Home) -> bool {
        self.state(home).is_some_and(|supervised| supervised.record.state != State::Ended)
    }

    /// Ends it, whether it runs or is about to be started again. Returns whether there was something to end.
    ///
    /// # Errors
    ///
    /// It can't be ended.
    pub fn stop(&self, home: &Home) -> Result<bool, SupervisorError> {
        if !self.is_alive(home) {
            return Ok(false);
        }
        Ok(matches!(self.processes(home)?.stop(Self::id(home), true)?, StopOutcome::Ended(_)))
    }

    fn processes(&self, home: &Home) -> Result<Processes, SupervisorError> {
        let root = Root::for_directory(home.root()).map_err(|e| SupervisorError::io("read", home.root(), e))?;
        Processes::open(home, self.names.clone(), ProcessScope::Root(root))
    }

    fn id(home: &Home) -> ProcessId {
        ProcessId::from_number(digest(home.root().as_os_str().as_encoded_bytes()) >> 2)
    }
}

/// The process of a home that is awake for what needs somebody awake. It goes when nothing needs it any more.
#[derive(Debug)]
pub struct HomeDaemon;

/// The right to be the daemon of a home. Two are never awake.
#[derive(Debug)]
pub struct DaemonLock {
    lock: File,
}

impl HomeDaemon {
    /// How long a new one may take.
    const START_TIMEOUT: Duration = Duration::from_secs(10);

    /// Variables of its starter that it gets, and that what it starts gets from it: none that holds a secret.
    const DAEMON: Daemon = Daemon {
        names: Namespace::new("daemon", "daemon.json", "daemon", ["AIW_DAEMON_ID", "AIW_DAEMON_INSTANCE"]),
        arguments: &["__daemon"],
        is_inherited_variable: crate::program::is_usual_variable,
    };

    fn lock_path(home: &Home) -> PathBuf {
        home.root().join(&*Self::DAEMON.names.directory).join("awake.lock")
    }

    /// Returns whether one is awake.
    pub fn is_running(home: &Home) -> bool {
        is_held(&Self::lock_path(home))
    }

    /// Returns why there can't be one, such as a link in the place of its lock.
    pub fn lock_error(home: &Home) -> Option<SupervisorError> {
        let path = Self::lock_path(home);
        let problem = open_regular(&path).err().filter(|problem| problem.kind() != ErrorKind::NotFound)?;
        Some(SupervisorError::io("lock", &path, problem))
    }

    /// Starts one, unless it is awake. `aiw` is the executable whose `shim` command supervises it. Nobody who calls this
    /// has the home's turn.
    ///
    /// # Errors
    ///
    /// It can't be started.
    pub fn ensure_running(home: &Home, aiw: &Path) -> Result<(), SupervisorError> {
        if let Some(obstacle) = Self::lock_error(home) {
            return Err(obstacle);
        }
        let begun = Instant::now();
        loop {
            if Self::is_running(home) {
                return Ok(());
            }
            let problem = {
                // Who is leaving has the turn until it is gone.
                let _turn = home.lock_start()?;
                if Self::is_running(home) {
                    return Ok(());
                }
                match Self::DAEMON.start(home, aiw, None) {
                    Ok(()) => return Ok(()),
                    Err(problem) => problem,
                }
            };
            // Its shim still records the end of the one before, or starts it again. What else is wrong stays so.
            let passes = matches!(problem, SupervisorError::StillRunning { .. } | SupervisorError::Busy { .. });
            if !passes || begun.elapsed() > Self::START_TIMEOUT {
                return Err(problem);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Takes the right to be it. `None` if another one is awake.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub fn try_lock(home: &Home) -> Result<Option<DaemonLock>, SupervisorError> {
        let path = Self::lock_path(home);
        path.parent().map_or(Ok(()), |directory| home.make_dir(directory))?;
        let held = try_lock(&path).map_err(|e| SupervisorError::io("lock", &path, e))?;
        Ok(held.map(|lock| DaemonLock { lock }))
    }

    /// Returns it as it is, if it was ever started.
    pub fn state(home: &Home) -> Option<SupervisedProcess> {
        Self::DAEMON.state(home)
    }
}

impl DaemonLock {
    /// Gives back what only the beginning of its duties needed.
    pub fn release_code_pages(&self) {
        crate::platform::release_code_pages();
    }

    /// Ends this process, unless it is needed. Whoever needs it from now on starts another one. It ends also with its home.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub fn exit_unless_needed(&self, home: &Home, is_needed: impl FnOnce() -> bool) -> Result<(), SupervisorError> {
        // Taking the turn would make the home anew.
        let turn = if home.root().is_dir() { Some(home.lock_start()?) } else { None };
        if turn.is_none() || !is_needed() {
            let _ = self.lock.unlock();
            std::process::exit(0);
        }
        Ok(())
    }
}

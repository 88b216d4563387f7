//! A separate home and runtime directory for each test.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_core::ProcessId;
use aiw_home::Home;
use aiw_supervisor::{
    Namespace, NewProcess, ProcessScope, Processes, QueueLimit, Root, State, SupervisedProcess, WaitMode,
};
use tempfile::TempDir;

pub use aiw_supervisor::testing::{HANG_TIMEOUT, is_running, program, wait_for};

pub const SERVERS: Namespace =
    Namespace::new("servers", "server.json", "server", ["TEST_SERVER_ID", "TEST_SERVER_INSTANCE"]);

pub struct Environment {
    directory: TempDir,
}

impl Environment {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn servers(&self) -> Processes {
        let scope = ProcessScope::Root(Root::for_pid(std::process::id()));
        let servers = Processes::open(&Home::from_root(self.path("home")), SERVERS, scope).unwrap();
        servers.with_runtime(self.path("run")).with_grace(Duration::from_millis(300))
    }

    pub fn start(&self, new: NewProcess, script: &str) -> SupervisedProcess {
        self.servers().start(shim(), new, program(script), QueueLimit::default()).unwrap()
    }

    pub fn ended(&self, id: ProcessId) -> SupervisedProcess {
        let never = AtomicBool::new(false);
        let deadline = Some(Instant::now() + HANG_TIMEOUT);
        let waited = self.servers().wait(&[id], WaitMode::All, deadline, &never, &mut |_| {}).unwrap();
        assert!(waited.done, "{:?}", waited.processes);
        waited.processes.into_iter().next().unwrap()
    }

    /// Returns the lines of the log from one stream.
    pub fn lines(&self, id: ProcessId, stream: aiw_supervisor::Stream) -> Vec<String> {
        let entries = self.servers().log(id).unwrap().tail(usize::MAX).unwrap();
        let of = entries.into_iter().filter(|entry| entry.stream == stream);
        of.map(|entry| String::from_utf8(entry.bytes).unwrap().trim_end_matches('\r').to_owned()).collect()
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        for one in self.servers().list().unwrap_or_default() {
            if one.record.state != State::Ended {
                let _ = self.servers().stop(one.record.id, true);
            }
        }
        let link = self.path("run").join(format!("{}_server2", std::process::id()));
        if let Ok(id) = std::fs::read_to_string(link) {
            let _ = std::fs::remove_file(Path::new("/dev/shm").join(id.trim_start_matches('/')));
        }
    }
}

pub fn shim() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_aiw-test-shim"))
}

/// Returns a number that a script writes into a file, with a line break.
pub fn number(path: &Path) -> u32 {
    wait_for(|| std::fs::read_to_string(path).ok().filter(|text| text.ends_with('\n'))?.trim().parse().ok())
}

pub fn kill(pid: u32) {
    aiw_supervisor::testing::signal(pid, rustix::process::Signal::KILL);
}

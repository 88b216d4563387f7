use std::ffi::OsString;
use std::path::{Path, PathBuf};

use aiw_core::provider::Passing;
use aiw_core::{CliKind, EnvName, ProviderName, TaskId};
use aiw_home::{Home, Turn};
use aiw_tasks::{NamedFile, NewTask, PassedFile, Program, Queue, Scope, Task, Tasks};
use serde_json::Value;

use crate::environment::Environment;
use crate::gemini::{self, GeminiHome};
use crate::overlay::Passed;
use crate::{Cli, Decision, LaunchError, Permission, Request, Session, overlay};

/// A run that only has to be started. It holds secrets: it has no `Debug`.
pub struct Prepared {
    /// The CLI.
    pub cli: Cli,
    /// Its provider; none for its own configuration.
    pub provider: Option<ProviderName>,
    /// What decided about the provider.
    pub decision: Decision,
    /// Sentences for the user, before the start.
    pub notes: Vec<String>,
    /// What the CLI may do.
    pub permission: Permission,
    /// A flag of the user's own that lifts the CLI's guards.
    pub bypass: Option<String>,
    pub(crate) path: PathBuf,
    /// Before the overlays'.
    pub(crate) before: Vec<OsString>,
    /// The user's own.
    pub(crate) after: Vec<OsString>,
    pub(crate) environment: Environment,
    pub(crate) overlays: Vec<overlay::File>,
    pub(crate) kept: Vec<EnvName>,
    pub(crate) set: Vec<EnvName>,
    pub(crate) stdin: Option<Vec<u8>>,
    /// What is masked in all that a task writes.
    pub(crate) secrets: Vec<Vec<u8>>,
    pub(crate) tag: Option<String>,
    /// Held until it has been started, or not.
    pub(crate) turn: Option<Turn>,
    pub(crate) request: Request,
}

/// What would be started, for `--explain`: names of variables, no values of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The executable.
    pub path: PathBuf,
    /// Its arguments; `…` stands for where an overlay will be.
    pub arguments: Vec<String>,
    /// Variables that the provider decides about: set, or (`false`) taken away or emptied.
    pub variables: Vec<(EnvName, bool)>,
    /// The keys of each overlay, joined by dots.
    pub overlays: Vec<Vec<String>>,
}

/// The first number of a passed file. Below, CLIs keep files of their own, and Node closes what it
/// finds when it starts itself again, up to the first gap.
const FIRST_FILE: i32 = 100;

impl Prepared {
    /// What would be started.
    pub fn explain(&self) -> Explanation {
        let (arguments, _) =
            self.with_overlays(|_, _| Ok::<_, ()>(PathBuf::from("…")), |_, _| Ok(())).unwrap_or_default();
        let set = |name: &EnvName| self.environment.get(name.as_str()).is_some_and(|value| !value.is_empty());
        let mut variables: Vec<(EnvName, bool)> = self.kept.iter().map(|name| (name.clone(), set(name))).collect();
        variables.sort();
        variables.dedup();
        Explanation {
            path: self.path.clone(),
            arguments: arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            variables,
            overlays: self.overlays.iter().map(|file| keys(&file.content)).collect(),
        }
    }

    /// The arguments and the variables with the places of the overlays, which `place` and `home`
    /// make.
    #[expect(clippy::type_complexity, reason = "arguments and variables, used right here")]
    fn with_overlays<E>(
        &self,
        mut place: impl FnMut(usize, Vec<u8>) -> Result<PathBuf, E>,
        home: impl Fn(&GeminiHome, &Value) -> Result<(), E>,
    ) -> Result<(Vec<OsString>, Vec<(EnvName, PathBuf)>), E> {
        let (mut arguments, mut variables) = (Vec::new(), Vec::new());
        for (number, file) in self.overlays.iter().enumerate() {
            let passing = match &file.passed {
                Passed::File(passing) => passing,
                Passed::Home(gemini) => {
                    home(gemini, &file.content)?;
                    variables.extend(gemini::VARIABLE.parse().map(|name| (name, gemini.path().to_owned())));
                    continue;
                }
            };
            let path = place(number, file.content.to_string().into_bytes())?;
            match passing {
                Passing::Argument(argument) => arguments.extend([argument.into(), path.into_os_string()]),
                Passing::Variable(name) => variables.push((name.clone(), path)),
            }
        }
        let all = [self.before.clone(), arguments, self.after.clone()].concat();
        Ok((all, variables))
    }

    /// Starts the run as a task of a session. `aiw` is the executable whose `shim` command
    /// supervises it.
    pub fn start(mut self, home: &Home, session: &Session, aiw: &Path, queue: Queue) -> Result<Task, LaunchError> {
        let depth = match session.task {
            // The record of a task that was removed says nothing; it was one above at least.
            Some(id) => Tasks::open(home, Scope::All)?.get(id).map_or(1, |above| above.depth.saturating_add(1)),
            None => 0,
        };
        let turn = self.turn.take();
        let (task, program) = self.into_task(depth, session.task)?;
        let started = Tasks::open(home, Scope::Session(session.root))?.start(aiw, task, program, queue);
        drop(turn);
        Ok(started?)
    }

    /// The run as a supervised task. Errors if it has no prompt.
    fn into_task(mut self, depth: u8, parent: Option<TaskId>) -> Result<(NewTask, Program), LaunchError> {
        let (mut files, mut named_files) = (Vec::new(), Vec::new());
        let (by_name, executable) = (self.wants_names(), self.path.clone());
        let place = |number: usize, bytes: Vec<u8>| {
            if by_name {
                let path = memory_path(&executable)?;
                named_files.push(NamedFile { path: path.clone(), bytes });
                return Ok::<_, LaunchError>(path);
            }
            let fd = FIRST_FILE + i32::try_from(number).unwrap_or(0);
            files.push(PassedFile { fd, bytes });
            Ok(PathBuf::from(format!("/proc/self/fd/{fd}")))
        };
        let (arguments, variables) = self.with_overlays(place, GeminiHome::make)?;
        self.set_places(variables);
        let stdin = self.stdin.take().ok_or_else(|| LaunchError::invalid("a task needs a prompt", "add one"))?;
        let request = self.request;
        let roles: Vec<&str> = request.roles.iter().map(|role| role.as_str()).collect();
        let task = NewTask {
            cli: request.cli,
            provider: self.provider.map(|name| name.to_string()),
            role: (!roles.is_empty()).then(|| roles.join(",")),
            tag: self.tag,
            model: request.model,
            permission: self.permission.to_string(),
            bypass: self.bypass,
            prompt_preview: String::from_utf8_lossy(request.prompt.as_deref().unwrap_or_default()).into_owned(),
            cwd: request.cwd,
            session: None,
            timeout: request.timeout,
            depth,
            parent,
            isolated: request.isolated,
        };
        let program = Program {
            path: self.path,
            arguments,
            environment: self.environment.into_pairs(),
            stdin,
            files,
            named_files,
            limits: request.limits,
            secrets: self.secrets,
        };
        Ok((task, program))
    }

    /// Says where the overlays are, and which variables are for this CLI alone.
    fn set_places(&mut self, variables: Vec<(EnvName, PathBuf)>) {
        for (name, path) in variables {
            self.environment.set(&name, path);
            self.set.push(name);
        }
        let names = self.kept.iter().chain(&self.set).map(EnvName::as_str);
        self.environment.mark(names);
    }

    /// Whether the CLI looks up the real name of a file that it is given, which a descriptor has
    /// not. Claude Code 2.1.197 does, 2.1.328 does not; between them nobody has looked.
    fn wants_names(&self) -> bool {
        const TAKES_DESCRIPTORS: [u64; 3] = [2, 1, 328];

        let version = self.cli.version.as_deref().unwrap_or_default();
        let numbers: Vec<u64> = version.split(['.', '-']).map_while(|part| part.parse().ok()).collect();
        let by_descriptor = cfg!(target_os = "linux") && *numbers >= TAKES_DESCRIPTORS[..];
        !self.overlays.is_empty() && self.cli.kind == CliKind::Claude && !by_descriptor
    }

    /// Starts the CLI in the foreground of this terminal: in this process's place, so that its exit
    /// code and its signals are its own. Where it needs files that somebody has to take away
    /// again, this process waits for it: only then, or if it fails, does this return.
    #[cfg(unix)]
    pub fn exec(mut self) -> Result<i32, LaunchError> {
        let failed = |path: PathBuf, reason: std::io::Error| LaunchError::Start { path, reason: reason.to_string() };
        let (mut files, by_name) = (platform::Files::default(), self.wants_names());
        let executable = self.path.clone();
        let place = |_: usize, bytes: Vec<u8>| {
            let name = if by_name { Some(memory_path(&executable)?) } else { None };
            files.place(&bytes, name).map_err(|e| failed(executable.clone(), e))
        };
        let (arguments, variables) = self.with_overlays(place, GeminiHome::make)?;
        self.set_places(variables);
        let mut command = std::process::Command::new(&self.path);
        command.args(arguments).env_clear().envs(self.environment.into_pairs()).current_dir(&self.request.cwd);
        files.run(command).map_err(|e| failed(self.path, e))
    }

    /// Runs the CLI in this terminal; its exit code.
    #[cfg(not(unix))]
    pub fn exec(self) -> Result<i32, LaunchError> {
        if !self.overlays.is_empty() {
            let reason = "settings can't be passed in memory on this system yet".into();
            return Err(LaunchError::Start { path: self.path, reason });
        }
        let mut command = std::process::Command::new(&self.path);
        command
            .args(self.before.iter().chain(&self.after))
            .env_clear()
            .envs(self.environment.into_pairs())
            .current_dir(&self.request.cwd);
        let status = command.status();
        let status = status.map_err(|e| LaunchError::Start { path: self.path, reason: e.to_string() })?;
        Ok(status.code().unwrap_or(1))
    }
}

/// A name for a file in memory, for a CLI that is about to start.
fn memory_path(executable: &Path) -> Result<PathBuf, LaunchError> {
    aiw_tasks::memory_path().ok_or_else(|| LaunchError::Start {
        path: executable.to_owned(),
        reason: "there is no memory file system at `/dev/shm`".into(),
    })
}

/// The keys that hold something, as far as objects go.
fn keys(value: &Value) -> Vec<String> {
    let Some(map) = value.as_object() else { return Vec::new() };
    map.iter()
        .flat_map(|(key, value)| match keys(value) {
            inner if inner.is_empty() => vec![key.clone()],
            inner => inner.into_iter().map(|inner| format!("{key}.{inner}")).collect(),
        })
        .collect()
}

#[cfg(unix)]
mod platform {
    use std::fs::{self, File};
    use std::io::{self, Write};
    use std::os::unix::fs::OpenOptionsExt;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    /// Files that no other user can reach, for a CLI in the foreground.
    #[derive(Default)]
    pub(super) struct Files {
        open: Vec<File>,
        named: Vec<PathBuf>,
    }

    impl Files {
        /// Makes one, with a name or without; where it is.
        pub(super) fn place(&mut self, bytes: &[u8], name: Option<PathBuf>) -> io::Result<PathBuf> {
            if let Some(path) = name {
                let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                self.named.push(path.clone());
                file.write_all(bytes)?;
                return Ok(path);
            }
            let (file, path) = descriptor(bytes)?;
            self.open.push(file);
            Ok(path)
        }

        /// In this process's place where nothing has to be taken away afterwards; else beneath it.
        pub(super) fn run(self, mut command: Command) -> io::Result<i32> {
            if self.named.is_empty() {
                return Err(command.exec());
            }
            // What the terminal sends reaches the CLI as well; this process only has to survive it.
            for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGQUIT] {
                signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
            }
            let mut signals =
                signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP])?;
            let mut child = command.spawn()?;
            let id = rustix::process::Pid::from_child(&child);
            std::thread::spawn(move || {
                for signal in &mut signals {
                    if let Some(signal) = rustix::process::Signal::from_named_raw(signal) {
                        let _ = rustix::process::kill_process(id, signal);
                    }
                }
            });
            let status = child.wait()?;
            drop(self);
            Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            for path in &self.named {
                let _ = fs::remove_file(path);
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn descriptor(bytes: &[u8]) -> io::Result<(File, PathBuf)> {
        use std::os::fd::AsRawFd;

        let file = aiw_tasks::memory_file()?;
        let mut file = File::from(rustix::io::fcntl_dupfd_cloexec(&file, super::FIRST_FILE)?);
        // It stays open across the exec: that is how the CLI finds it.
        rustix::io::fcntl_setfd(&file, rustix::io::FdFlags::empty())?;
        file.write_all(bytes)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok((file, path))
    }

    #[cfg(not(target_os = "linux"))]
    fn descriptor(_bytes: &[u8]) -> io::Result<(File, PathBuf)> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "settings can't be passed in memory on this system yet"))
    }
}

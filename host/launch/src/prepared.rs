//! A run that is ready to start, and how it is started.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use aiw_core::{ProviderName, shell_quote};
use aiw_home::{ExclusiveLock, ExecutionContext, Home, HomeError, Provider};
use aiw_tasks::{NamedFile, NewProcess, PassedFile, ProcessScope, Program, QueueLimit, Task, TaskDescription, Tasks};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::clis::gemini::home::GeminiHome;
use crate::clis::{self, Injection};
use crate::environment::Environment;
use crate::via::GatewayRoute;
use aiw_providers::SelectionSource;

use crate::{AiwServer, DetectedCli, LaunchError, Permission, ProcessSession, RunRequest, overlay};

/// A run that only has to be started. It contains secrets, so it has no `Debug`.
pub struct PreparedRun {
    /// The CLI.
    pub cli: DetectedCli,
    /// The provider, or `None` for the CLI's own configuration.
    pub provider: Option<ProviderName>,
    /// The model, if the run or its provider names one.
    pub model: Option<String>,
    /// The decision about the provider.
    pub decision: SelectionSource,
    /// Sentences for the user, to be shown before the start.
    pub notes: Vec<String>,
    /// How it gets into the gateway, if it goes through it.
    pub(crate) gateway_route: Option<GatewayRoute>,
    /// Why the provider can't be reached, as far as aiw can tell; one of the notes.
    pub unreachable_reason: Option<String>,
    /// The CLI's permissions.
    pub permission: Permission,
    /// The user's own flag that disables the CLI's guards.
    pub bypass_flag: Option<String>,
    pub(crate) path: PathBuf,
    /// Providers, completed with what is recorded at their first start: their ids, and where their presets lead.
    pub(crate) pinned_providers: Vec<Provider>,
    /// The arguments before the settings.
    pub(crate) leading_arguments: Vec<OsString>,
    /// The user's own arguments, after the settings.
    pub(crate) trailing_arguments: Vec<OsString>,
    pub(crate) environment: Environment,
    /// Settings that override the user's own, and how they are passed to the CLI.
    pub(crate) settings: Option<(Injection, Value)>,
    /// The user's own MCP servers that the CLI would leave out together with the project's.
    pub(crate) servers: Option<Value>,
    /// Variables that send the CLI to the provider.
    pub(crate) provider_variables: BTreeSet<String>,
    /// The user's own variables that were removed or emptied.
    pub(crate) cleared_variables: BTreeSet<String>,
    /// Variables for this CLI alone.
    pub(crate) non_inherited_variables: BTreeSet<String>,
    /// Variables with the keys of providers, which the CLI does not get.
    pub(crate) withheld_variables: BTreeSet<String>,
    pub(crate) stdin: Option<Vec<u8>>,
    /// The byte strings to mask in everything a task writes.
    pub(crate) secrets: Vec<Vec<u8>>,
    pub(crate) tag: Option<String>,
    /// Held until the run has been started, or has failed to start.
    pub(crate) start_lock: Option<ExclusiveLock>,
    pub(crate) request: RunRequest,
}

/// A description of a start, for `--explain`. It contains the names of variables, but no values of secrets.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Explanation {
    /// Which AI CLI
    pub cli: &'static str,
    /// Its executable
    pub path: String,
    /// Its version
    pub version: Option<String>,
    /// The API provider; null for the CLI's own configuration
    pub provider: Option<String>,
    /// The source of the decision about the provider: `-p`, the project's `.aiw.json`, the default, or nothing
    #[schemars(extend("enum" = ["flag", "project", "default", "none"]))]
    pub decided_by: &'static str,
    /// Whether it would run as a task
    pub task: bool,
    /// Its arguments; `…` stands for the place of the settings
    pub arguments: Vec<String>,
    /// The actions that the CLI takes without asking
    pub permission: String,
    /// A flag that was passed through and lifts the CLI's own guards
    pub bypass: Option<String>,
    /// The names of the variables that aiw sets
    pub sets: Vec<String>,
    /// The names of the variables that aiw removes or empties
    pub unsets: Vec<String>,
    /// The names of the variables with keys of providers that the CLI does not get
    pub scrub_env: Vec<String>,
    /// The keys of the settings that aiw puts over yours, joined by dots
    pub settings: Vec<String>,
    /// Notes for you, a sentence each
    pub notes: Vec<String>,
    /// How the gateway translates; null if the CLI talks to the provider itself
    pub gateway: Option<Translation>,
}

/// The gateway's translation between a CLI and a provider.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Translation {
    /// The API that the CLI speaks
    pub from: &'static str,
    /// The API that the provider speaks, or those of a pool's members
    pub to: String,
    /// The members of the pool, in their order; empty for a provider
    pub members: Vec<String>,
    /// The losses, a sentence each
    pub losses: Vec<&'static str>,
}

/// The number of a passed file. CLIs use lower numbers for files of their own, and Node, when it restarts itself,
/// closes the descriptors it finds up to the first gap.
const FIRST_PASSED_FD: i32 = 100;

/// The argument with MCP servers, which holds its value, because Claude Code would take the words after it too.
const MCP_CONFIG: &str = "--mcp-config=";

impl PreparedRun {
    /// Returns what would be started.
    pub fn explain(&self) -> Explanation {
        let (arguments, _) = self.with_settings(|_| Ok::<_, ()>(PathBuf::from("…")), |_, _| Ok(())).unwrap_or_default();
        let arguments = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let sets = self.provider_variables.union(&self.non_inherited_variables).cloned().collect();
        Explanation {
            cli: self.cli.kind.as_str(),
            path: self.path.to_string_lossy().into_owned(),
            version: self.cli.version.clone(),
            provider: self.provider.as_ref().map(ToString::to_string),
            decided_by: match &self.decision {
                SelectionSource::Explicit => "flag",
                SelectionSource::Project(_) => "project",
                SelectionSource::Default => "default",
                SelectionSource::CliLogin => "none",
            },
            task: self.request.prompt.is_some(),
            arguments,
            permission: self.permission.to_string(),
            bypass: self.bypass_flag.clone(),
            sets,
            unsets: self.cleared_variables.difference(&self.withheld_variables).cloned().collect(),
            scrub_env: self.withheld_variables.iter().cloned().collect(),
            settings: self.settings.iter().flat_map(|(_, settings)| overlay::keys(settings)).collect(),
            notes: self.notes.clone(),
            gateway: self.gateway_route.as_ref().map(|via| Translation {
                from: via.client_api.label(),
                to: via.describe_upstream_apis(),
                members: match &via.pool {
                    Some(_) => via.upstreams.iter().map(|(name, _)| name.to_string()).collect(),
                    None => Vec::new(),
                },
                losses: via.losses(),
            }),
        }
    }

    /// Returns whether the CLI gets a separate configuration directory.
    pub fn is_isolated(&self) -> bool {
        self.request.isolated
    }

    /// Returns the provider, or the pool and its members: what a budget may be for.
    pub fn budget_subjects(&self) -> Vec<&str> {
        let members = self.gateway_route.iter().flat_map(|via| via.upstreams.iter().map(|(name, _)| name.as_str()));
        let own = self.provider.as_ref().map_or(aiw_home::CLI_LOGIN_NAME, |name| name.as_str());
        std::iter::once(own).chain(members.filter(|name| *name != own)).collect()
    }

    /// Returns the working directory of the CLI.
    pub fn cwd(&self) -> &Path {
        &self.request.cwd
    }

    /// Returns whether the CLI's session is to be kept out of the history.
    pub fn is_private(&self) -> bool {
        self.request.private
    }

    /// Returns the arguments, and the variable with the location of the settings. `place` and `home` create the
    /// settings.
    #[expect(clippy::type_complexity, reason = "arguments and a variable, used right here")]
    fn with_settings<E>(
        &self,
        mut place: impl FnMut(Vec<u8>) -> Result<PathBuf, E>,
        home: impl FnOnce(&GeminiHome, &Value) -> Result<(), E>,
    ) -> Result<(Vec<OsString>, Option<(&'static str, PathBuf)>), E> {
        let (mut arguments, mut variable) = (self.leading_arguments.clone(), None);
        match &self.settings {
            None => {}
            Some((Injection::Argument(argument), settings)) => {
                let path = place(settings.to_string().into_bytes())?;
                arguments.extend([OsString::from(argument), path.into_os_string()]);
            }
            Some((Injection::Variable(name, below), settings)) => {
                let settings = overlay::merge(below.clone(), settings.clone());
                variable = Some((*name, place(settings.to_string().into_bytes())?));
            }
            Some((Injection::Home(gemini), settings)) => {
                home(gemini, settings)?;
                let (name, path) = gemini.variable();
                variable = Some((name, path.to_owned()));
            }
        }
        if let Some(servers) = &self.servers {
            let mut argument = OsString::from(MCP_CONFIG);
            argument.push(place(servers.to_string().into_bytes())?);
            arguments.push(argument);
        }
        arguments.extend(self.trailing_arguments.iter().cloned());
        Ok((arguments, variable))
    }

    /// Starts the run as a task of a session. `aiw` is the executable whose `shim` command supervises it.
    pub fn start(
        mut self,
        home: &Home,
        session: &ProcessSession,
        aiw: &Path,
        queue: QueueLimit,
    ) -> Result<Task, LaunchError> {
        let depth = match session.task {
            // If the task above was removed, its record can't tell its depth; at least one task is above.
            Some(id) => Tasks::open(home, ProcessScope::All)?.get(id).map_or(1, |above| above.depth.saturating_add(1)),
            None => 0,
        };
        self.write_pins(home)?;
        let (turn, via) = (self.start_lock.take(), self.gateway_route.take());
        let (mut about, process, program) = self.into_task()?;
        about.gateway = via.is_some();
        let process = NewProcess { depth, parent: session.task, ..process };
        let tasks = Tasks::open(home, ProcessScope::Root(session.root))?;
        let started = tasks.start(aiw, &about, process, program, queue);
        drop(turn);
        let started = started?;
        if let Some(via) = via
            && let Err(e) = via.access.bind_to_task(&via.admission, started.id)
        {
            // It would lose its way to the model within a minute.
            tasks.stop(started.id, false)?;
            return Err(e.into());
        }
        Ok(started)
    }

    /// Returns the run as a supervised task. Returns an error if it has no prompt.
    fn into_task(mut self) -> Result<(TaskDescription, NewProcess, Program), LaunchError> {
        let (mut files, mut named_files) = (Vec::new(), Vec::new());
        let (by_name, executable) = (self.wants_names(), self.path.clone());
        let place = |bytes: Vec<u8>| {
            if by_name {
                let path = memory_path(&executable)?;
                named_files.push(NamedFile { path: path.clone(), bytes });
                return Ok::<_, LaunchError>(path);
            }
            let fd = FIRST_PASSED_FD + i32::try_from(files.len()).unwrap_or_default();
            files.push(PassedFile { fd, bytes });
            Ok(PathBuf::from(format!("/proc/self/fd/{fd}")))
        };
        let (arguments, variable) = self.with_settings(place, GeminiHome::make)?;
        self.set_place(variable);
        let stdin = self.stdin.take().ok_or_else(|| LaunchError::invalid("a task needs a prompt", "add one"))?;
        let request = self.request;
        let roles: Vec<&str> = request.roles.iter().map(|role| role.as_str()).collect();
        let prompt = String::from_utf8_lossy(request.prompt.as_deref().unwrap_or_default());
        let about = TaskDescription {
            provider: self.provider.map(|name| name.to_string()),
            role: (!roles.is_empty()).then(|| roles.join(",")),
            tag: self.tag,
            model: request.model,
            answering_model: self.model,
            bypass: self.bypass_flag,
            isolated: request.isolated,
            private: request.private,
            arguments: clis::for_kind(request.cli).arguments_for_resume(&request.arguments),
            ..TaskDescription::new(request.cli, self.permission.to_string(), prompt)
        };
        let process = NewProcess { timeout: request.timeout, by: request.started_by, ..NewProcess::new(request.cwd) };
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
        Ok((about, process, program))
    }

    /// Records what is missing in providers that were written by hand.
    fn write_pins(&self, home: &Home) -> Result<(), HomeError> {
        if self.pinned_providers.is_empty() {
            return Ok(());
        }
        let lock = home.lock()?;
        let mut providers = home.providers()?;
        for pinned in &self.pinned_providers {
            // If another command has changed the provider meanwhile, the next start records it.
            let Some(now) = providers.get(pinned.name.as_str())?.cloned() else { continue };
            if (&now.preset, &now.component, &now.base_urls) == (&pinned.preset, &pinned.component, &pinned.base_urls) {
                providers.set(&Provider { id: pinned.id.clone(), origins: pinned.origins.clone(), ..now })?;
            }
        }
        providers.save(&lock)
    }

    /// Sets the variable with the location of the settings, and marks the variables that are for this CLI alone.
    fn set_place(&mut self, variable: Option<(&'static str, PathBuf)>) {
        if let Some((name, path)) = variable {
            self.environment.set(name, path);
            self.non_inherited_variables.insert(name.to_owned());
        }
        if let Some(provider) = &self.provider {
            self.environment.set(ProviderName::VARIABLE, provider.as_str());
        }
        let names = self
            .provider_variables
            .iter()
            .chain(&self.cleared_variables)
            .chain(&self.non_inherited_variables)
            .map(String::as_str);
        self.environment.record_non_inherited(names);
    }

    /// Returns whether the CLI gets a file with a name: it looks up the real path of a file that it is given, which a
    /// descriptor does not have; or this system has no path for a descriptor that can be read more than once.
    fn wants_names(&self) -> bool {
        match &self.settings {
            None if self.servers.is_none() => false,
            None | Some((Injection::Argument(_), _)) => {
                !overlay::HAS_REOPENABLE_FDS
                    || clis::for_kind(self.cli.kind).needs_real_paths(self.cli.version.as_deref())
            }
            _ => false,
        }
    }

    /// Returns the line that resumes an interactive run under its provider, for when it has ended. `None` if there may
    /// be nothing to resume: the user's own arguments can mean anything.
    pub fn resume_line(&self, around: &ExecutionContext) -> Option<String> {
        let provider = self.provider.as_ref().filter(|_| self.request.arguments.is_empty())?;
        let isolated = if self.request.isolated { " --isolated" } else { "" };
        let model =
            self.request.model.as_deref().map(|model| format!(" -m {}", shell_quote(model))).unwrap_or_default();
        // The latest session is that of the directory.
        let is_here =
            around.directory().is_ok_and(|here| std::fs::canonicalize(here).is_ok_and(|here| here == self.request.cwd));
        let cwd = if is_here {
            String::new()
        } else {
            format!(" --cwd {}", shell_quote(&self.request.cwd.to_string_lossy()))
        };
        let mcp = match &self.request.mcp {
            None => String::new(),
            Some(AiwServer { profile: None, .. }) => " --mcp".to_owned(),
            Some(AiwServer { profile: Some(profile), .. }) => format!(" --mcp={profile}"),
        };
        let kind = self.cli.kind;
        Some(format!(
            "aiw {kind} -p {provider}{model}{isolated}{mcp}{cwd} -- {}",
            clis::for_kind(kind).resume_latest_arguments()
        ))
    }

    /// Runs the CLI in the foreground of this terminal. Without a provider, the CLI of a run that is not private
    /// replaces this process, so that its exit code and its signals are its own. Otherwise this process waits for it,
    /// removes the files that it needed, and returns its exit code, and the sessions that it was in as far as it said
    /// so.
    #[cfg(unix)]
    pub fn exec(mut self, home: &Home) -> Result<(i32, BTreeSet<String>), LaunchError> {
        self.write_pins(home)?;
        let _held = self.gateway_route.take().map(|via| via.access.acquire_guard(&via.admission)).transpose()?;
        let waits = self.provider.is_some() || self.request.private;
        let failed =
            |path: PathBuf, reason: std::io::Error| LaunchError::StartFailed { path, reason: reason.to_string() };
        let (mut files, by_name) = (platform::PrivateFiles::default(), self.wants_names());
        let executable = self.path.clone();
        let place = |bytes: Vec<u8>| {
            let name = if by_name { Some(memory_path(&executable)?) } else { None };
            files.create(&bytes, name).map_err(|e| failed(executable.clone(), e))
        };
        let (arguments, variable) = self.with_settings(place, GeminiHome::make)?;
        self.set_place(variable);
        let mut command = std::process::Command::new(&self.path);
        command.args(arguments).env_clear().envs(self.environment.clone().into_pairs()).current_dir(&self.request.cwd);
        let (cli, environment) = (clis::for_kind(self.cli.kind), self.environment);
        let session = move |process: u32| cli.running_session(&environment, process);
        files.run(command, waits, session).map_err(|e| failed(self.path, e))
    }

    /// Runs the CLI in this terminal. Returns its exit code.
    #[cfg(not(unix))]
    pub fn exec(self, home: &Home) -> Result<(i32, BTreeSet<String>), LaunchError> {
        self.write_pins(home)?;
        if self.settings.is_some() {
            let reason = "settings can't be passed in memory on this system yet".into();
            return Err(LaunchError::StartFailed { path: self.path, reason });
        }
        let mut command = std::process::Command::new(&self.path);
        command
            .args(self.leading_arguments.iter().chain(&self.trailing_arguments))
            .env_clear()
            .envs(self.environment.into_pairs())
            .current_dir(&self.request.cwd);
        let status = command.status();
        let status = status.map_err(|e| LaunchError::StartFailed { path: self.path, reason: e.to_string() })?;
        Ok((status.code().unwrap_or(1), BTreeSet::new()))
    }
}

/// Returns a path for a file that only this user can reach, for a CLI that is about to start.
fn memory_path(executable: &Path) -> Result<PathBuf, LaunchError> {
    aiw_tasks::memory_path()
        .map_err(|e| LaunchError::StartFailed { path: executable.to_owned(), reason: e.to_string() })
}

#[cfg(unix)]
mod platform {
    use std::collections::BTreeSet;
    use std::fs::{self, File};
    use std::io::{self, Write};
    use std::os::unix::fs::OpenOptionsExt;
    use std::os::unix::process::CommandExt;
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, waitpid};

    /// How often a CLI in the foreground is looked at for the session that it is in.
    const SESSION_POLL_INTERVAL: Duration = Duration::from_millis(100);

    /// Files that no other user can reach, for a CLI in the foreground.
    #[derive(Default)]
    pub(super) struct PrivateFiles {
        open: Vec<File>,
        named: Vec<PathBuf>,
    }

    impl PrivateFiles {
        /// Creates a file, with or without a name. Returns its path.
        pub(super) fn create(&mut self, bytes: &[u8], name: Option<PathBuf>) -> io::Result<PathBuf> {
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

        /// Runs the command as a child, or in place of this process if nobody waits and no files have to be removed
        /// afterwards. Returns its exit code, and the sessions that `session` finds of the child while it runs.
        pub(super) fn run(
            self,
            mut command: Command,
            waits: bool,
            session: impl Fn(u32) -> Option<String> + Send + 'static,
        ) -> io::Result<(i32, BTreeSet<String>)> {
            if self.named.is_empty() && !waits {
                return Err(command.exec());
            }
            // The CLI also receives the terminal's signals; this process only has to survive them.
            for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGQUIT] {
                signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
            }
            let mut signals =
                signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP])?;
            let child = command.spawn()?;
            let id = Pid::from_child(&child);
            std::thread::spawn(move || {
                for signal in &mut signals {
                    if let Some(signal) = Signal::from_named_raw(signal) {
                        let _ = kill_process(id, signal);
                    }
                }
            });
            let sessions = Arc::new(parking_lot::Mutex::new(BTreeSet::new()));
            let (seen, process) = (sessions.clone(), child.id());
            std::thread::spawn(move || {
                loop {
                    seen.lock().extend(session(process));
                    std::thread::sleep(SESSION_POLL_INTERVAL);
                }
            });
            let status = ended(id)?;
            drop(self);
            let sessions = std::mem::take(&mut *sessions.lock());
            let code = status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0));
            Ok((code, sessions))
        }
    }

    /// Waits until a child has ended. If the child stops itself, as on Ctrl-Z, this process stops as well, so that the
    /// shell takes the terminal back.
    fn ended(child: Pid) -> io::Result<WaitStatus> {
        loop {
            let status = match waitpid(Some(child), WaitOptions::UNTRACED) {
                Ok(Some((_, status))) => status,
                Ok(None) | Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if !status.stopped() {
                return Ok(status);
            }
            let _ = kill_process(getpid(), Signal::STOP);
            let _ = kill_process(child, Signal::CONT);
        }
    }

    impl Drop for PrivateFiles {
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
        let mut file = File::from(rustix::io::fcntl_dupfd_cloexec(&file, super::FIRST_PASSED_FD)?);
        // The descriptor stays open across the exec, so that the CLI finds the file.
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

//! Starting one server, and the first words with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use aiw_core::{EnvName, Secret, SecretName};
use aiw_home::{ExecutionContext, Home, OpenDir, find_program};
use aiw_mcp::{ClientError, ClientInfo, EventHandler, Lifecycle, McpClient, ServerEndpoint};
use aiw_net::{HttpRequest, NetError, Policy};
use aiw_redact::known::Mask;
use aiw_servers::{DeclaredServer, Transport, ValueLookup, expand, placeholders};
use aiw_supervisor::{AttachedChild, Program, SupervisorError};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::process::{ChildStdin, ChildStdout};

use crate::access::{ServerAccess, is_login_secret};
use crate::error::PoolError;
use crate::found::ConfiguredServer;
use crate::log::{self, StderrTail};

/// How long a server has to begin a session. Package runners download what they run first.
const INITIALIZE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the last words of a server that has ended may take.
const STDERR_DRAIN_TIMEOUT: Duration = Duration::from_millis(500);

/// The time between SIGTERM and SIGKILL.
const KILL_GRACE_PERIOD: Duration = Duration::from_secs(2);

/// The parts that every server of a session starts with.
#[derive(Clone)]
pub struct ServerContext {
    /// The home.
    pub home: Home,
    /// The client for requests that leave the machine.
    pub net: aiw_net::HttpClient,
    /// The executable whose `shim` command supervises processes.
    pub executable: PathBuf,
    /// The directory of the session. A project's servers start in the project's instead.
    pub cwd: PathBuf,
}

/// A server that runs.
pub(crate) struct Connection {
    pub(crate) client: McpClient,
    pub(crate) process: Option<ServerProcess>,
    /// Its token, if it may want one.
    pub(crate) access: Option<ServerAccess>,
    /// How long its start took.
    pub(crate) start_duration: Duration,
}

/// The process of a server. Dropping it ends the process and all that it started.
pub(crate) struct ServerProcess {
    attached: Mutex<AttachedChild>,
    last_words: Arc<Mutex<StderrTail>>,
    /// Disconnected once all that it wrote to standard error was read.
    heard: Mutex<mpsc::Receiver<()>>,
}

impl ServerProcess {
    /// How it ended and its last words, if it has ended; waits a moment for that.
    pub(crate) fn exit_message(&self, patience: Duration) -> Option<String> {
        let exit = self.attached.lock().wait(patience)?;
        let how = match (exit.code, exit.signal) {
            (Some(code), _) => format!("it exited with code {code}"),
            (None, Some(signal)) => format!("it was killed by signal {signal}"),
            (None, None) => "it was killed".to_owned(),
        };
        // Its last words may still be on their way. A process that it left behind may hold the pipe open.
        let _ = self.heard.lock().recv_timeout(STDERR_DRAIN_TIMEOUT);
        let told = self.last_words.lock().error_line();
        Some(told.map_or_else(|| how.clone(), |told| format!("{how}; {told}")))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.attached.lock().pid()
    }
}

/// Where the values of a declaration come from. It collects those that must not be shown.
struct DeclaredValues<'a> {
    home: &'a Home,
    cwd: &'a Path,
    secrets: Mutex<Vec<Vec<u8>>>,
}

impl DeclaredValues<'_> {
    fn hide(&self, value: &str) {
        self.secrets.lock().push(value.as_bytes().to_vec());
    }
}

impl ValueLookup for DeclaredValues<'_> {
    fn variable(&self, name: &EnvName) -> Option<String> {
        if name.as_str() == "CLAUDE_PROJECT_DIR" {
            return Some(self.cwd.to_string_lossy().into_owned());
        }
        let value = self.home.context().variable_str(name.as_str())?.to_owned();
        self.hide(&value);
        Some(value)
    }

    fn secret(&self, name: &SecretName) -> Option<Secret> {
        // A token goes to the server that it was given for, and nowhere else.
        let secret = self.home.vault().get(name).ok().filter(|_| !is_login_secret(name))?;
        self.hide(secret.expose());
        Some(secret)
    }
}

/// What a server is started with.
pub(crate) struct ServerStart<'a> {
    pub(crate) context: &'a ServerContext,
    pub(crate) config: &'a ConfiguredServer,
    /// Where its standard error goes.
    pub(crate) log_path: PathBuf,
    /// The client's capabilities.
    pub(crate) capabilities: Value,
    pub(crate) events: Arc<dyn EventHandler>,
    /// How to begin the session. If that fails, another way may be tried.
    pub(crate) lifecycle: Lifecycle,
}

/// A start that failed.
struct FailedStart {
    error: PoolError,
    /// The lifecycle with which it could succeed.
    next: Option<Lifecycle>,
}

impl From<PoolError> for FailedStart {
    fn from(error: PoolError) -> Self {
        Self { error, next: None }
    }
}

impl ServerStart<'_> {
    /// Starts a server and begins a session with it. One that does not know how the session began is started once
    /// more, and begins it the other way.
    pub(crate) async fn run(self) -> Result<Connection, PoolError> {
        let began = Instant::now();
        let ConfiguredServer { key, server, .. } = self.config;
        let unusable =
            |problem: &String| PoolError::InvalidDeclaration { server: key.clone(), problem: problem.clone() };
        let server = server.as_ref().map_err(unusable)?;
        let resolved = resolve_server(self.context, key, server)?;
        let started = match self.begin(server, &resolved, self.lifecycle).await {
            Err(FailedStart { error, next: Some(next) }) => {
                // Of a server that fails both ways, what it says to `initialize` is known best.
                let second = self.begin(server, &resolved, next).await;
                second.map_err(|second| if next == Lifecycle::Initialize { second.error } else { error })
            }
            started => started.map_err(|failed| failed.error),
        };
        started.map(|connection| Connection { start_duration: began.elapsed(), ..connection })
    }

    async fn begin(
        &self,
        server: &DeclaredServer,
        resolved: &ResolvedServer,
        lifecycle: Lifecycle,
    ) -> Result<Connection, FailedStart> {
        let capabilities = self.capabilities.clone();
        let info = ClientInfo { name: "aiw".into(), version: env!("CARGO_PKG_VERSION").into(), capabilities };
        match server.transport {
            Transport::Http => self.begin_http(resolved, info, lifecycle).await,
            _ => self.begin_process(resolved, info, lifecycle).await,
        }
    }

    async fn begin_http(
        &self,
        (expanded, secrets): &ResolvedServer,
        info: ClientInfo,
        lifecycle: Lifecycle,
    ) -> Result<Connection, FailedStart> {
        let key = &self.config.key;
        let (endpoint, access) = endpoint(self.context, key, expanded);
        let begun = McpClient::connect_http(endpoint, info, self.events.clone(), lifecycle, INITIALIZE_TIMEOUT).await;
        match begun {
            Ok(client) => Ok(Connection { client, process: None, access, start_duration: Duration::ZERO }),
            Err(e) => Err(match access.as_ref().and_then(ServerAccess::take_error) {
                Some(refusal) => PoolError::from_token_error(refusal, key).into(),
                None => FailedStart { error: not_begun(key, &e, None, secrets), next: e.next_lifecycle(lifecycle) },
            }),
        }
    }

    async fn begin_process(
        &self,
        (expanded, secrets): &ResolvedServer,
        info: ClientInfo,
        lifecycle: Lifecycle,
    ) -> Result<Connection, FailedStart> {
        let ConfiguredServer { key, directory, open_dir: opened, .. } = self.config;
        let program =
            program(self.context.home.context(), directory, opened.is_some(), expanded).map_err(|program| {
                PoolError::ProgramNotFound { server: key.to_owned(), program: masked(&program, secrets) }
            })?;
        let place = WorkDir::of(&self.context.cwd, directory, opened.as_ref(), expanded);
        let (process, input, output) = self.spawn(place, program, secrets).await?;
        match McpClient::connect_streams(input, output, info, self.events.clone(), lifecycle, INITIALIZE_TIMEOUT).await
        {
            Ok(client) => {
                process.last_words.lock().set_serving();
                Ok(Connection { client, process: Some(process), access: None, start_duration: Duration::ZERO })
            }
            Err(e) => {
                // Whoever closed the connection is about to exit.
                let patience =
                    if matches!(e, ClientError::StartTimeout(_)) { Duration::ZERO } else { Duration::from_secs(1) };
                let end = aiw_home::run_blocking(move || process.exit_message(patience)).await;
                Err(FailedStart { error: not_begun(key, &e, end, secrets), next: e.next_lifecycle(lifecycle) })
            }
        }
    }

    /// Starts the process of a server.
    async fn spawn(
        &self,
        place: WorkDir,
        program: Program,
        secrets: &[Vec<u8>],
    ) -> Result<(ServerProcess, ChildStdout, ChildStdin), PoolError> {
        let key = &self.config.key;
        let (executable, words) = (self.context.executable.clone(), Arc::<Mutex<StderrTail>>::default());
        let (heard, (hears, all_heard)) = (words.clone(), mpsc::channel::<()>());
        let (log, hidden) = (self.log_path.clone(), secrets.to_vec());
        let spawned = aiw_home::run_blocking(move || {
            let mut attached = place.start(&executable, program)?;
            if let Some(stderr) = attached.stderr.take() {
                let last = move |line| heard.lock().push(line);
                let copy = move || {
                    log::copy_to_log(stderr, &log, &hidden, &last);
                    drop(hears);
                };
                // Without a thread its pipe closes, and the server writes to nobody.
                let _ = std::thread::Builder::new().name("aiw-stderr".into()).stack_size(256 << 10).spawn(copy);
            }
            Ok(attached)
        });
        let mut attached = spawned.await.map_err(|source: Box<SupervisorError>| {
            let (server, text) = (key.to_owned(), source.to_string());
            // The directory of an entry may hold a value too.
            match masked(&text, secrets) {
                problem if problem == text => PoolError::SpawnFailed { server, source },
                problem => PoolError::StartFailed { server, problem },
            }
        })?;
        let (stdin, stdout) = (attached.stdin.take(), attached.stdout.take());
        let process = ServerProcess { attached: Mutex::new(attached), last_words: words, heard: Mutex::new(all_heard) };
        let pipes = |e: std::io::Error| PoolError::StartFailed { server: key.to_owned(), problem: e.to_string() };
        let broken = || pipes(std::io::ErrorKind::BrokenPipe.into());
        let input = ChildStdout::from_std(stdout.ok_or_else(broken)?).map_err(pipes)?;
        let output = ChildStdin::from_std(stdin.ok_or_else(broken)?).map_err(pipes)?;
        Ok((process, input, output))
    }
}

/// A server may say what it was given.
fn not_begun(key: &str, error: &ClientError, end: Option<String>, secrets: &[Vec<u8>]) -> PoolError {
    let problem = end.filter(|_| !error.is_refusal()).unwrap_or_else(|| error.to_string());
    PoolError::StartFailed { server: key.to_owned(), problem: masked(&problem, secrets) }
}

/// A text without what must not be shown.
fn masked(text: &str, secrets: &[Vec<u8>]) -> String {
    let mut mask = Mask::new(secrets);
    let text = [mask.push(text.as_bytes()), mask.finish()].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// A declaration with its values, and those of them that must not be shown.
pub(crate) type ResolvedServer = (Map<String, Value>, Vec<Vec<u8>>);

pub(crate) fn resolve_server(
    ground: &ServerContext,
    key: &str,
    server: &DeclaredServer,
) -> Result<ResolvedServer, PoolError> {
    let values = DeclaredValues { home: &ground.home, cwd: &ground.cwd, secrets: Mutex::default() };
    let expanded = expand(&server.declaration, &values).map_err(|absent| {
        let variables = absent.variables.iter().map(|name| format!("the variable `{name}`"));
        let secrets = absent.secrets.iter().map(|name| format!("the secret `{name}`"));
        PoolError::MissingVariables { server: key.to_owned(), names: variables.chain(secrets).collect() }
    })?;
    Ok((expanded, values.secrets.into_inner()))
}

/// A key in the entry is sent as it is; without one, the server may want a login.
fn endpoint(
    ground: &ServerContext,
    key: &str,
    expanded: &Map<String, Value>,
) -> (ServerEndpoint, Option<ServerAccess>) {
    let (url, headers) = (url(expanded), headers(expanded));
    let mut policy = Policy::none();
    policy.grant_url(url);
    let has_key = headers.iter().any(|(name, _)| name == "authorization");
    let endpoint = ServerEndpoint::new(ground.net.clone(), policy, url, headers);
    if has_key {
        return (endpoint, None);
    }
    let access = ServerAccess::new(ground.home.clone(), ground.net.clone(), key, url);
    (endpoint.with_token_provider(Arc::new(access.clone())), Some(access))
}

/// Checks the address and the headers of a remote server, as far as they are known before it is started: what stands
/// in place of a variable or a secret is not.
pub fn check_remote(net: &aiw_net::HttpClient, declaration: &Map<String, Value>) -> Result<(), NetError> {
    let is_known = |text: &str| placeholders(text).is_empty();
    let url = Some(url(declaration)).filter(|url| is_known(url)).unwrap_or("https://localhost");
    let mut policy = Policy::none();
    policy.grant_url(url);
    let known = |(name, value): (String, Secret)| match is_known(value.expose()) {
        true => (name, value),
        false => (name, Secret::new("x")),
    };
    net.check(
        &policy,
        &HttpRequest { secret_headers: headers(declaration).into_iter().map(known).collect(), ..HttpRequest::new(url) },
    )
}

pub(crate) fn url(expanded: &Map<String, Value>) -> &str {
    expanded.get("url").and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn headers(expanded: &Map<String, Value>) -> Vec<(String, Secret)> {
    let headers = expanded.get("headers").and_then(Value::as_object).into_iter().flatten();
    headers.filter_map(|(name, value)| Some((name.to_lowercase(), Secret::new(value.as_str()?)))).collect()
}

fn texts<'a>(expanded: &'a Map<String, Value>, key: &str) -> impl Iterator<Item = &'a str> {
    expanded.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Where a server starts.
enum WorkDir {
    Path(PathBuf),
    /// Beneath the directory of a project whose file was read, and not what has its path now.
    InOpenDir(OpenDir, PathBuf),
}

impl WorkDir {
    /// Resolves a path against the file that holds the declaration, never against the directory of the session, which
    /// may be a stranger's.
    fn of(session: &Path, directory: &Path, opened: Option<&OpenDir>, expanded: &Map<String, Value>) -> Self {
        let cwd = expanded.get("cwd").and_then(Value::as_str);
        match (opened, cwd) {
            (Some(opened), cwd) => Self::InOpenDir(opened.clone(), cwd.unwrap_or(".").into()),
            (None, Some(cwd)) => Self::Path(directory.join(cwd)),
            (None, None) => Self::Path(session.to_owned()),
        }
    }

    fn start(&self, executable: &Path, program: Program) -> Result<AttachedChild, Box<SupervisorError>> {
        match self {
            Self::Path(cwd) => AttachedChild::start(executable, cwd, program, KILL_GRACE_PERIOD),
            Self::InOpenDir(opened, cwd) => {
                AttachedChild::start_beneath(executable, opened.file(), cwd, program, KILL_GRACE_PERIOD)
            }
        }
        .map_err(Box::new)
    }
}

/// The environment has what programs need to run and what the entry names, and nothing else of aiw's. The error is the
/// command that is not there.
fn program(
    around: &ExecutionContext,
    directory: &Path,
    is_beneath: bool,
    expanded: &Map<String, Value>,
) -> Result<Program, String> {
    const INHERITED_VARIABLES: [&str; 7] = ["PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TEMP", "TMP"];
    let mut environment = around.select_variables(INHERITED_VARIABLES);
    for (name, value) in expanded.get("env").and_then(Value::as_object).into_iter().flatten() {
        environment.retain(|(known, _)| known.to_string_lossy() != name.as_str());
        environment.push((name.into(), value.as_str().unwrap_or_default().into()));
    }
    let command = expanded.get("command").and_then(Value::as_str).unwrap_or_default();
    let search = environment.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.as_os_str());
    let path = find_program(command, search, directory).ok_or_else(|| command.to_owned())?;
    // One of the project's is run from its open directory too, which is where the process begins.
    let is_own =
        is_beneath && command.contains('/') && Path::new(command).is_relative() && !expanded.contains_key("cwd");
    let path = if is_own { Path::new(".").join(command) } else { path };
    let arguments = texts(expanded, "args").map(OsString::from).collect();
    Ok(Program { arguments, environment, ..Program::new(path) })
}

#[cfg(test)]
mod tests {
    use aiw_home::read_nofollow_with_dir;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_projects_server_starts_beneath_the_directory_that_was_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        std::fs::write(root.join("server"), "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(root.join("server"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        let (opened, _) = read_nofollow_with_dir(&root.join("server"), 100).unwrap().unwrap();
        let entry = |value: Value| value.as_object().cloned().unwrap();
        let place =
            |opened: Option<&OpenDir>, value: Value| match WorkDir::of("/s".as_ref(), &root, opened, &entry(value)) {
                WorkDir::Path(path) => (false, path),
                WorkDir::InOpenDir(_, path) => (true, path),
            };
        assert_eq!(place(Some(&opened), json!({})), (true, ".".into()));
        assert_eq!(place(Some(&opened), json!({"cwd": "sub"})), (true, "sub".into()));
        assert_eq!(place(None, json!({})), (false, "/s".into()));
        assert_eq!(place(None, json!({"cwd": "sub"})), (false, root.join("sub")));
        // Its own program is found there too, and others by their paths.
        let around = ExecutionContext::from_process();
        let path = |is_beneath, command: &str| {
            program(&around, &root, is_beneath, &entry(json!({"command": command}))).unwrap().path
        };
        assert_eq!(path(true, "./server"), Path::new("./server"));
        assert_eq!(path(false, "./server"), root.join("./server"));
        assert!(path(true, "sh").is_absolute());
        assert!(program(&around, &root, true, &entry(json!({"command": "./none"}))).is_err());
        // What it gets is its client's.
        let around = ExecutionContext::new(
            Ok(root.clone()),
            [("PATH".into(), "/usr/bin:/bin".into()), ("KEY".into(), "k".into())],
        );
        let started = program(&around, &root, true, &entry(json!({"command": "sh", "env": {"A": "b"}}))).unwrap();
        assert_eq!(started.environment, [("PATH".into(), "/usr/bin:/bin".into()), ("A".into(), "b".into())]);
    }
}

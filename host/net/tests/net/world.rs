//! Fixtures: scripted servers, repositories and directories.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiw_net::{HttpClient, Policy, RequestLimits, Trees};

/// A request as the server received it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// An HTTP server on this machine. Its thread ends with the test process.
pub struct Server {
    pub port: u16,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Seen, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), seen.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (answer.clone(), log.clone());
                std::thread::spawn(move || {
                    let mut stream = stream;
                    if let Some(request) = read_request(&stream) {
                        log.lock().unwrap().push(request.clone());
                        answer(&request, &mut stream);
                    }
                });
            }
        });
        Self { port, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn requests(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    /// Returns a policy that grants this server and nothing else.
    pub fn granted(&self) -> Policy {
        let mut policy = Policy::none();
        policy.grant_url(&self.url("/"));
        policy
    }
}

fn read_request(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { method, target, headers, body })
}

/// Writes a whole response. A client that has gone is not an error.
pub fn reply(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
}

/// Limits short enough for a test.
pub fn short() -> RequestLimits {
    RequestLimits {
        connect_timeout: Duration::from_millis(500),
        idle_timeout: Duration::from_millis(300),
        fetch_timeout: Duration::from_millis(900),
        ..RequestLimits::default()
    }
}

pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap().block_on(work)
}

/// A directory with a repository `r`, a cache and its own home directory.
pub struct World {
    pub root: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("home")).unwrap();
        Self { root }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    /// Creates a world whose repository has one commit, on `main`.
    pub fn with_repository() -> Self {
        let world = Self::new();
        std::fs::create_dir(world.path("r")).unwrap();
        world.git(&["init", "-q", "-b", "main"]);
        world.write("r/a.txt", "one");
        world.write("r/sub/b.txt", "b");
        world.commit("first");
        world
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    /// Commits all files.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "-A"]);
        self.commit_index(message)
    }

    pub fn commit_index(&self, message: &str) -> String {
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.git(&["rev-parse", "HEAD"])
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_with(arguments, b"")
    }

    pub fn git_with(&self, arguments: &[&str], input: &[u8]) -> String {
        let mut command = Command::new("git");
        plain(&mut command, &self.path("home"));
        command.current_dir(self.path("r")).args(arguments);
        let (output, done) = feed(command, input);
        done.unwrap();
        String::from_utf8(output).unwrap().trim().to_owned()
    }

    pub fn url(&self) -> String {
        format!("file://{}", self.path("r").display())
    }

    pub fn trees(&self) -> Trees {
        Trees::new(HttpClient::new().unwrap(), self.path("cache"))
    }

    /// Returns a policy that grants everything in this world.
    pub fn policy(&self) -> Policy {
        let mut policy = Policy::none();
        policy.directories.push(self.path(""));
        policy
    }

    /// Serves `r` as `/r` with git's own server.
    pub fn serve(&self) -> Server {
        let backend = Backend { root: self.path(""), home: self.path("home") };
        Server::start(move |request, stream| backend.answer(request, stream))
    }

    pub fn backend(&self) -> Backend {
        Backend { root: self.path(""), home: self.path("home") }
    }
}

/// Runs git without anyone's configuration.
fn plain(command: &mut Command, home: &Path) {
    command
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "a")])
        .env("GIT_COMMITTER_EMAIL", "a@b");
}

/// Runs a command with `input`. Returns its output, and its error output if it failed.
pub fn feed(mut command: Command, input: &[u8]) -> (Vec<u8>, Result<(), String>) {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("git is installed");
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    (output.stdout, output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into()))
}

/// `git http-backend`, run as CGI.
#[derive(Clone)]
pub struct Backend {
    root: PathBuf,
    home: PathBuf,
}

impl Backend {
    pub fn answer(&self, request: &Seen, stream: &mut TcpStream) {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
        let mut command = Command::new("git");
        plain(&mut command, &self.home);
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .envs([("GIT_HTTP_EXPORT_ALL", "1"), ("REMOTE_ADDR", "127.0.0.1"), ("PATH_INFO", path)])
            .envs([("QUERY_STRING", query), ("REQUEST_METHOD", &request.method)])
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", request.body.len().to_string());
        // The backend writes a refusal into its answer and fails as well.
        let (output, _) = feed(command, &request.body);
        let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        let head = String::from_utf8_lossy(&output[..end]).into_owned();
        let mut headers: Vec<(&str, &str)> = head.lines().filter_map(|line| line.split_once(": ")).collect();
        let status = headers.iter().find(|(name, _)| *name == "Status").map_or("200 OK", |(_, value)| *value);
        headers.retain(|(name, _)| *name != "Status");
        reply(stream, status, &headers, &output[end + 4..]);
    }
}

/// Runs one ignored test of this binary in its own process: libgit2 reads the home directory once per process, and
/// a test must not change its own environment.
pub fn in_child(test: &str, home: &Path, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("HOME", home)
        .env_remove("XDG_CONFIG_HOME")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is for `in_child` to set"))
}

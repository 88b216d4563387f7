//! A proxy that records what a run sends, and `strace` for what bypasses it.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;

/// The number of runs that one proxy can tell apart.
const LANES: u8 = 60;

/// `tests/record_proxy.py` on loopback: a proxy that records every request of a run, including those inside TLS.
/// Tests that run at the same time share one proxy, which ends with the last of them.
struct Proxy {
    child: Child,
    dir: TempDir,
    /// Free addresses. The one returned last is reused last, because its run may still send something.
    free: Mutex<VecDeque<SocketAddr>>,
}

/// A separate address of the proxy for one run.
pub struct Lane {
    proxy: Arc<Proxy>,
    address: SocketAddr,
}

/// What a run sent, and to which host.
#[derive(Debug)]
pub struct Sent {
    /// The host, from the request for a tunnel or from the request itself.
    pub host: String,
    /// The whole request, decoded; `None` for a tunnel.
    pub request: Option<Value>,
}

impl Sent {
    /// Returns whether the request contains a text anywhere: in its path, headers or body, also in base64.
    pub fn says(&self, text: &str) -> bool {
        // Ignore case, because a proxy may change the case of names. Text sent as JSON may be escaped.
        self.request.as_ref().is_some_and(|request| request.to_string().to_lowercase().contains(&text.to_lowercase()))
    }

    /// Returns the values of a header.
    pub fn header(&self, name: &str) -> Vec<&str> {
        let headers = self.request.as_ref().and_then(|request| request["headers"].as_array());
        let pairs = headers.into_iter().flatten().filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)));
        pairs.filter(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// Returns the body as text.
    pub fn body(&self) -> &str {
        self.request.as_ref().and_then(|request| request["body"].as_str()).unwrap_or_default()
    }

    /// Returns the path with its query.
    pub fn path(&self) -> &str {
        self.request.as_ref().and_then(|request| request["path"].as_str()).unwrap_or_default()
    }
}

impl Lane {
    /// Reserves an address of the proxy. The error says what is missing.
    pub fn open() -> Result<Self, &'static str> {
        static SHARED: Mutex<Weak<Proxy>> = Mutex::new(Weak::new());

        strace().ok_or("strace is not there")?;
        let mitmdump = mitmdump().ok_or("mitmproxy is not there")?;
        let mut shared = SHARED.lock();
        let proxy = match shared.upgrade() {
            Some(proxy) => proxy,
            None => {
                let proxy = Arc::new(Proxy::start(&mitmdump));
                *shared = Arc::downgrade(&proxy);
                proxy
            }
        };
        let address = proxy.free.lock().pop_front().expect("a lane is free");
        Ok(Self { proxy, address })
    }

    /// Returns the address of the proxy.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the variables of a user who is behind this proxy, and whose company signs its certificates.
    pub fn variables(&self) -> [(&'static str, String); 5] {
        let url = format!("http://{}", self.address);
        let authority = self.proxy.dir.path().join("mitmproxy-ca-cert.pem").display().to_string();
        [
            ("HTTPS_PROXY", url.clone()),
            ("HTTP_PROXY", url),
            ("NODE_EXTRA_CA_CERTS", authority.clone()),
            ("SSL_CERT_FILE", authority.clone()),
            ("CODEX_CA_CERTIFICATE", authority),
        ]
    }

    /// Lets a host answer from a script of `fake_model_api.py`. `{"close": true}` breaks connections.
    pub fn serve(&self, host: &str, turns: &Value) {
        let path = self.proxy.dir.path().join("hosts").join(format!("{host}.json"));
        fs::write(path, turns.to_string()).unwrap();
    }

    /// Returns everything sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        let text = fs::read_to_string(self.record()).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .map(|line| match line["connect"].as_str() {
                Some(to) => Sent { host: to.rsplit_once(':').map_or(to, |(host, _)| host).to_owned(), request: None },
                None => Sent { host: line["host"].as_str().unwrap_or_default().to_owned(), request: Some(line) },
            })
            .collect()
    }

    /// Forgets everything sent so far.
    pub fn clear(&self) {
        let _ = fs::remove_file(self.record());
    }

    fn record(&self) -> PathBuf {
        self.proxy.dir.path().join(format!("{}.jsonl", self.address.ip()))
    }

    /// Wraps a command in `strace`, which records to a file where the command and its child processes connect to,
    /// or send to without a connection.
    pub fn traced(command: &Command, to: &Path) -> Command {
        let mut traced = Command::new(strace().expect("strace"));
        traced.args(["-f", "--seccomp-bpf", "-qq", "-s", "0", "-e", "signal=none"]);
        traced.args(["-e", "trace=connect,sendto,sendmsg,sendmmsg", "-o"]).arg(to);
        traced.arg(command.get_program()).args(command.get_args()).env_clear();
        traced.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(dir) = command.get_current_dir() {
            traced.current_dir(dir);
        }
        traced
    }

    /// Returns the connections that bypassed this lane. Ignores sockets inside the machine: `AF_UNIX` (files) and
    /// `AF_NETLINK` (the kernel).
    pub fn around(&self, trace: &Path) -> Vec<String> {
        let proxy = format!("sin_port=htons({}), sin_addr=inet_addr(\"{}\")", self.address.port(), self.address.ip());
        let text = fs::read_to_string(trace).unwrap();
        let calls = text.lines().filter(|line| line.contains("sa_family="));
        let kinds = ["sa_family=AF_UNIX", "sa_family=AF_NETLINK", proxy.as_str()];
        calls.filter(|line| !kinds.iter().any(|kind| line.contains(kind))).map(str::to_owned).collect()
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.clear();
        self.proxy.free.lock().push_back(self.address);
    }
}

impl Proxy {
    fn start(mitmdump: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("hosts")).unwrap();
        let path = dir.path().display();
        let mut command = Command::new(mitmdump);
        command.arg("-q").arg("-s").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("record_proxy.py"));
        for setting in [format!("record_dir={path}"), format!("confdir={path}"), "connection_strategy=lazy".into()] {
            command.args(["--set", &setting]);
        }
        for lane in 1..=LANES {
            command.args(["--mode", &format!("regular@127.0.0.{lane}:0")]);
        }
        // The proxy ends when its standard input closes, so it ends with this process.
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("the proxy: {e}: {line}"));
        let ports: BTreeMap<String, u16> = serde_json::from_value(said["ports"].clone()).unwrap();
        let free = ports.into_iter().map(|(ip, port)| SocketAddr::new(ip.parse().unwrap(), port)).collect();
        Self { child, dir, free: Mutex::new(free) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns `AIW_TEST_MITMDUMP`, otherwise the one that `.ci/run` installed below `target/tools`, otherwise the one
/// on the `PATH`.
fn mitmdump() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("AIW_TEST_MITMDUMP") {
        return Some(path.into());
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let ours = root.join("target/tools/mitmproxy/bin/mitmdump");
    if ours.is_file() { Some(ours) } else { on_path("mitmdump") }
}

fn strace() -> Option<PathBuf> {
    on_path("strace")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|path| path.is_file())
}

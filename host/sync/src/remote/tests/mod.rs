//! Remotes: real servers, and servers on loopback that lie.

mod folder;
mod git;
mod google;
mod google_faults;
mod google_login;
mod s3;
mod webdav;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aiw_core::Secret;
use aiw_home::{ExecutionContext, Home};
use aiw_net::{HttpClient, RequestLimits};
use aiw_tests::{Answer, Then};
use sha2::{Digest, Sha256};

use super::*;

/// A value that must be nowhere but where it belongs.
pub(super) const CANARY: &str = "canary-5f1c";

/// A machine.
pub(super) struct World {
    pub dir: tempfile::TempDir,
    /// A login that is typed for the remote that is opened next.
    typed: parking_lot::Mutex<Option<(String, Secret)>>,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("user")).unwrap();
        Self { dir, typed: parking_lot::Mutex::default() }
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(path)
    }

    pub fn home(&self) -> Home {
        let variables = [("PATH", "/usr/local/bin:/usr/bin:/bin".into()), ("HOME", self.path("user").into())];
        let variables = variables.map(|(name, value)| (name.into(), value));
        Home::from_root(self.path("home")).with_context(ExecutionContext::new(Ok(self.path("")), variables))
    }

    /// Returns the context of remotes, with seconds that are short.
    pub fn context(&self) -> RemoteContext {
        let mut context = RemoteContext::new(self.home(), HttpClient::new().unwrap()).unwrap();
        context.delay_unit = Duration::from_millis(1);
        context
    }

    pub fn secret(&self, name: &str, value: &str) {
        let home = self.home();
        home.vault().set(&home.lock().unwrap(), &name.parse().unwrap(), &Secret::new(value)).unwrap();
    }

    /// Types a login for the remote that is opened next.
    pub fn login(&self, name: &str, login: &str) {
        *self.typed.lock() = Some((name.to_owned(), Secret::new(login)));
    }

    /// Returns an address, after the login for it was kept.
    pub fn with_login(&self, address: &str) -> RemoteUrl {
        let address = self.address(address);
        let url = match &address {
            RemoteUrl::WebDav(url) => url,
            RemoteUrl::S3(address) => &address.endpoint,
            _ => return address,
        };
        let typed = self.typed.lock().clone();
        if let Some((name, login)) = typed {
            self.secret(&name, bind_to_origin(url, &login).unwrap().expose());
        }
        address
    }

    pub fn address(&self, text: &str) -> RemoteUrl {
        RemoteUrl::parse(text, self.home().context()).unwrap()
    }

    pub fn open(&self, address: &str) -> Box<dyn Remote> {
        wait(open(&self.with_login(address), &self.context())).unwrap()
    }

    /// Opens a remote that will not answer.
    pub fn open_impatiently(&self, address: &str) -> Box<dyn Remote> {
        let short = Duration::from_millis(150);
        let limits = RequestLimits { connect_timeout: short, idle_timeout: short, ..RequestLimits::default() };
        let context = RemoteContext { net: HttpClient::with_limits(limits).unwrap(), ..self.context() };
        wait(open(&self.with_login(address), &context)).unwrap()
    }

    /// Opens a remote whose bodies may not stall.
    pub fn open_in_haste(&self, address: &str) -> Box<dyn Remote> {
        let limits = RequestLimits { idle_timeout: Duration::from_millis(40), ..RequestLimits::default() };
        let net = HttpClient::with_limits(limits).unwrap();
        let context = RemoteContext { net, ..self.context() };
        wait(open(&self.with_login(address), &context)).unwrap()
    }
}

pub(super) fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(work)
}

/// Bytes that don't compress and are the same each time.
pub(super) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

pub(super) fn object(name: &str, size: usize) -> RemoteObject {
    RemoteObject { name: name.into(), size: Some(size as u64) }
}

/// Returns the name of an object with these bytes.
pub(super) fn named(bytes: &[u8]) -> String {
    let digest = aiw_core::hex(&Sha256::digest(bytes));
    format!("s-{}-{}-{:010}-{digest}.age", "a".repeat(8), "b".repeat(16), 1)
}

/// Answers the beginning of a body, and nothing after it.
pub(super) fn stall() -> Answer {
    Answer::Part(200, vec![("content-length".into(), "6".into())], b"thr".to_vec(), Then::Silence)
}

/// Checks that a body that stalls is an error of a few reads.
pub(super) fn gives_up_a_body_that_stalls(far: &dyn Remote) {
    let begun = std::time::Instant::now();
    let error = wait(far.get("s-1.age", 9)).unwrap_err();
    assert!(error.to_string().contains("sent nothing for 0.04 s"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}

/// Checks that hold for each remote.
pub(super) fn keeps_what_it_is_given(far: &dyn Remote) {
    let (small, large) = (noise(7, 1), noise(700_000, 2));
    wait(async {
        assert_eq!(far.list().await.unwrap(), []);
        assert!(matches!(far.get("s-a-1.age", 9).await, Err(RemoteError::NotFound { .. })));
        assert!(!far.contains("s-a-1.age", None).await.unwrap());
        far.delete("s-a-1.age").await.unwrap();
        far.put("s-b-1.age", &large).await.unwrap();
        far.put("s-a-1.age", &small).await.unwrap();
        assert_eq!(far.list().await.unwrap(), [object("s-a-1.age", 7), object("s-b-1.age", 700_000)]);
        assert_eq!(far.get("s-a-1.age", 7).await.unwrap(), small);
        assert!(far.contains("s-a-1.age", None).await.unwrap());
        assert_eq!(far.get("s-b-1.age", 1 << 20).await.unwrap(), large);
        for limit in [0, 6] {
            let error = far.get("s-a-1.age", limit).await.unwrap_err();
            assert!(matches!(error, RemoteError::TooLarge { .. }), "{error}");
        }
        assert!(matches!(far.get("s-c-1.age", 9).await, Err(RemoteError::NotFound { .. })));
        for name in ["", "x", "../s.age", "/s.age", "a/b.age", "S.age", "s.age\n", "-s.age", ".age", &"a".repeat(220)] {
            assert!(matches!(far.put(name, b"x").await, Err(RemoteError::InvalidObjectName { .. })), "{name}");
            assert!(matches!(far.get(name, 9).await, Err(RemoteError::InvalidObjectName { .. })), "{name}");
            assert!(matches!(far.delete(name).await, Err(RemoteError::InvalidObjectName { .. })), "{name}");
        }
        let error = far.put("s-d-1.age", &vec![0; (32 << 20) + 1]).await.unwrap_err();
        assert!(matches!(error, RemoteError::TooLarge { .. }), "{error}");
        far.delete("s-a-1.age").await.unwrap();
        far.delete("s-a-1.age").await.unwrap();
        assert_eq!(far.list().await.unwrap(), [object("s-b-1.age", 700_000)]);
        assert!(matches!(far.get("s-a-1.age", 9).await, Err(RemoteError::NotFound { .. })));
    });
}

/// A server of another project. It ends with the test.
pub(super) struct Process {
    child: Child,
    pub port: u16,
}

impl Process {
    /// Starts a server at a free port, and waits until it answers.
    pub fn start(command: impl Fn(u16) -> Command) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = command(port);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut process = Self { child, port };
        for _ in 0..1200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return process;
            }
            assert!(process.child.try_wait().unwrap().is_none(), "the server has ended");
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the server does not listen");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that `cargo xtask test` installs.
pub(super) fn tool(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools").join(path);
    path.is_file().then_some(path)
}

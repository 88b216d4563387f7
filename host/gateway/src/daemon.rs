//! The gateway of runs: started by the first run that needs it, supervised, ended after the last.

use futures::future::BoxFuture;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use aiw_core::random_hex;
use aiw_home::{Home, Mode, read_capped, replace};
use aiw_listen::Listener;
use aiw_supervisor::{Daemon, Namespace};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::error::GatewayError;
use crate::gateway::{Gateway, NotifyFn};
use crate::proof::{PROOF_PATH_PREFIX, compute_proof};
use crate::routes::{IsRunningFn, RouteError, RouteStore};
use crate::serve::serve;

/// The gateway of runs, as a process. It gets the variables of the way out.
const GATEWAY_DAEMON: Daemon = Daemon {
    names: Namespace::new("gateway", "gateway.json", "gateway", ["AIW_GATEWAY_ID", "AIW_GATEWAY_INSTANCE"]),
    arguments: &["gateway", "serve", "--runs"],
    is_inherited_variable: |name| NETWORK_VARIABLES.contains(&name),
};

/// How long a new gateway may take.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// How often it looks for runs that have ended.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(5);

/// How often a run looks whether it is there.
const LIVENESS_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// How long it lives on after the last run.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Variables that the gateway of runs needs beside the places of files: the way out.
const NETWORK_VARIABLES: [&str; 10] = [
    "ALL_PROXY",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Where the gateway of runs is, and how it proves that it is ours: no other program gets what a run says.
#[derive(Clone, Serialize, Deserialize)]
struct GatewayEndpoint {
    address: SocketAddr,
    key: String,
}

impl GatewayEndpoint {
    fn path(home: &Home) -> std::path::PathBuf {
        home.gateway_dir().join("place.json")
    }

    fn read(home: &Home) -> Option<Self> {
        serde_json::from_slice(&read_capped(&Self::path(home), 4_096).ok()??).ok()
    }

    /// Returns whether the gateway answers there.
    fn is_ours(&self) -> bool {
        let Ok(nonce) = random_hex::<16>() else { return false };
        let proof = self.ask(&nonce).unwrap_or_default();
        proof.ends_with(&compute_proof(&self.key, &nonce))
    }

    fn ask(&self, nonce: &str) -> io::Result<String> {
        let time = Duration::from_secs(2);
        let mut stream = TcpStream::connect_timeout(&self.address, time)?;
        stream.set_read_timeout(Some(time))?;
        let (address, path) = (self.address, format!("{PROOF_PATH_PREFIX}{nonce}"));
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.take(16 << 10).read_to_string(&mut answer)?;
        Ok(answer)
    }
}

/// The state of the gateway of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayState {
    /// Where it listens, if it answers.
    pub address: Option<SocketAddr>,
    /// How many runs use it.
    pub runs: usize,
}

/// Returns whether the gateway of runs lives, and for whom.
pub fn state(home: &Home, is_running: &IsRunningFn) -> GatewayState {
    let place = GatewayEndpoint::read(home).filter(GatewayEndpoint::is_ours);
    GatewayState { address: place.map(|place| place.address), runs: RouteStore::new(home).sweep(is_running) }
}

/// Returns where the gateway of runs listens. Starts it if it does not run. `aiw` is the executable whose `shim`
/// command supervises it.
///
/// # Errors
///
/// Fails if it can't be started.
pub fn ensure_running(home: &Home, aiw: &Path) -> Result<SocketAddr, GatewayError> {
    if let Some(place) = GatewayEndpoint::read(home).filter(GatewayEndpoint::is_ours) {
        return Ok(place.address);
    }
    // One process at a time starts it.
    let _turn = home.lock_start().map_err(RouteError::from)?;
    let before = GatewayEndpoint::read(home);
    if let Some(place) = before.as_ref().filter(|place| place.is_ours()) {
        return Ok(place.address);
    }
    home.make_dir(&home.gateway_dir()).map_err(RouteError::from)?;
    // Runs that outlived its supervisor know the old address.
    let wanted = before.map(|place| place.address.port()).unwrap_or_default();
    if start(home, aiw, wanted).is_err() {
        start(home, aiw, 0)?;
    }
    let begun = Instant::now();
    while begun.elapsed() < START_TIMEOUT {
        if let Some(place) = GatewayEndpoint::read(home).filter(GatewayEndpoint::is_ours) {
            return Ok(place.address);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(GatewayError::StartTimeout)
}

/// Looks after the gateway for a run, until it is dropped.
#[derive(Debug)]
pub struct GatewayWatchdog(#[expect(dead_code, reason = "its end is what is waited for")] mpsc::Sender<()>);

/// Starts the gateway of runs again, on its address, where it is gone and nobody else has for a while: its supervisor
/// was killed too.
///
/// # Errors
///
/// Fails if the system has no thread for that.
pub fn spawn_watchdog(home: &Home, aiw: &Path) -> io::Result<GatewayWatchdog> {
    let (keeper, ends) = mpsc::channel();
    let (home, aiw) = (home.clone(), aiw.to_owned());
    std::thread::Builder::new().name("gateway".into()).spawn(move || {
        let mut missed = 0;
        loop {
            let is_there = GatewayEndpoint::read(&home).is_some_and(|place| place.is_ours());
            missed = if is_there { 0 } else { missed + 1 };
            // Its own supervisor is faster, if it lives. What fails is tried again.
            if missed > 1 && ensure_running(&home, &aiw).is_ok() {
                missed = 0;
            }
            if !matches!(ends.recv_timeout(LIVENESS_CHECK_INTERVAL), Err(mpsc::RecvTimeoutError::Timeout)) {
                return;
            }
        }
    })?;
    Ok(GatewayWatchdog(keeper))
}

fn start(home: &Home, aiw: &Path, port: u16) -> Result<(), GatewayError> {
    Ok(GATEWAY_DAEMON.start(home, aiw, Some(SocketAddr::from(([127, 0, 0, 1], port))))?)
}

/// Serves runs on the socket that is this process's standard input, until none is left.
///
/// # Errors
///
/// Fails if there is no such socket, or the home can't be written.
pub fn serve_runs(home: &Home, is_running: IsRunningFn, voice: NotifyFn) -> BoxFuture<'_, Result<(), GatewayError>> {
    Box::pin(async move {
        let socket = io::stdin().as_fd().try_clone_to_owned().map(TcpListener::from).map_err(GatewayError::Socket)?;
        let address = socket.local_addr().map_err(GatewayError::Socket)?;
        let listener = Listener::from_socket(socket).map_err(GatewayError::Socket)?;
        // The key stays the same for whoever asks meanwhile.
        let key = match GatewayEndpoint::read(home) {
            Some(place) if place.address == address => place.key,
            _ => random_hex::<16>().map_err(RouteError::from)?,
        };
        let place = GatewayEndpoint { address, key: key.clone() };
        let bytes = serde_json::to_vec(&place).map_err(RouteError::from)?;
        replace(&GatewayEndpoint::path(home), &bytes, Mode::Private).map_err(RouteError::from)?;
        let routes = Arc::new(RouteStore::new(home));
        let gateway = Arc::new(Gateway::new(home, routes.clone(), voice)?.with_key(key));
        let stop = CancellationToken::new();
        let end = async {
            let mut last = Instant::now();
            loop {
                tokio::time::sleep(CLEANUP_INTERVAL).await;
                if routes.sweep(&is_running) > 0 {
                    last = Instant::now();
                }
                if last.elapsed() > IDLE_TIMEOUT {
                    stop.cancel();
                    return;
                }
            }
        };
        tokio::join!(serve(listener, gateway, stop.clone()), end);
        Ok(())
    })
}

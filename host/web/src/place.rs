//! Where the dashboard of a home is: one serves it, and others find it.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_app::browser::open_in_browser;
use aiw_home::{Home, HomeError, Mode, check_permissions, is_held, read_capped, remove_file, replace, try_lock};
use aiw_listen::ListenError;
use aiw_supervisor::{Daemon, Namespace, is_usual_variable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, revoke_all};
use crate::error::WebError;
use crate::projects::OpenedDirectories;

/// The dashboard in the background. What it starts gets the variables of whoever started it, but none that holds a secret.
const WEB_DAEMON: Daemon = Daemon {
    names: Namespace::new("web", "web.json", "web", ["AIW_WEB_ID", INSTANCE_VARIABLE]),
    arguments: &["__web"],
    is_inherited_variable: is_usual_variable,
};

/// The variable that says which supervisor it has.
const INSTANCE_VARIABLE: &str = "AIW_WEB_INSTANCE";

/// Returns the name of the socket that the supervisor of this process holds: it has one, for as long as it lives.
pub(crate) fn supervised_socket(home: &Home) -> Option<String> {
    home.context().variable_str(INSTANCE_VARIABLE).map(str::to_owned)
}

/// How long one in the background may take to start, and any one to stop.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Where it listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct WebEndpoint {
    pub(crate) port: u16,
    pub(crate) in_background: bool,
    /// The name of the listening socket, which is that of no other: sessions and codes are good for it alone.
    #[serde(default)]
    pub(crate) socket: String,
}

impl WebEndpoint {
    pub(crate) fn path(home: &Home) -> PathBuf {
        home.web().join("place.json")
    }

    /// Returns where it is; none if nothing is written there, or nothing that can be read as a place.
    ///
    /// # Errors
    ///
    /// The home can't be read, or other users can write it: they would get the code of a new session.
    pub(crate) fn read(home: &Home) -> Result<Option<Self>, HomeError> {
        let path = Self::path(home);
        check_permissions(&home.web())?;
        check_permissions(&path)?;
        let bytes = read_capped(&path, 4_096)?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Returns who may ask there.
    pub(crate) fn access(&self, home: &Home) -> Access {
        Access::new(home, self.port, &self.socket)
    }

    pub(crate) fn write(&self, home: &Home) -> Result<(), HomeError> {
        replace(&Self::path(home), &serde_json::to_vec(self).unwrap_or_default(), Mode::Private)
    }

    pub(crate) fn remove(home: &Home) {
        let _ = remove_file(&Self::path(home));
    }
}

/// Where the one in the background was started: a supervised process of a home has no directory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StartDirectory {
    directory: PathBuf,
}

impl StartDirectory {
    fn path(home: &Home) -> PathBuf {
        home.web().join("begun.json")
    }

    fn here(home: &Home) -> Result<(), HomeError> {
        let directory = home.context().directory().map_or_else(|_| PathBuf::from("/"), Path::to_owned);
        replace(&Self::path(home), &serde_json::to_vec(&Self { directory }).unwrap_or_default(), Mode::Private)
    }

    /// Returns the home as whoever started it saw it.
    pub(crate) fn with_start_context(home: &Home) -> Home {
        let read = || serde_json::from_slice::<Self>(&read_capped(&Self::path(home), 16 << 10).ok()??).ok();
        let directory = read().map_or_else(|| PathBuf::from("/"), |begun| begun.directory);
        home.with_context(home.context().in_directory(directory))
    }
}

/// Returns the address of the page with a code that is good once, for a minute, and the project that it opens: the
/// directory that the home is seen from.
///
/// # Errors
///
/// The home can't be written.
pub(crate) fn new_address(access: &Access, home: &Home) -> Result<String, HomeError> {
    let project = OpenedDirectories::add_current(home)?;
    let project = project.as_deref().and_then(Path::to_str).map_or_else(String::new, |path| {
        format!("&project={}", percent_encoding::utf8_percent_encode(path, percent_encoding::NON_ALPHANUMERIC))
    });
    Ok(format!("{}/#code={}{project}", access.origin(), access.new_code()?))
}

/// Returns the address to listen on: the wanted port, or one that the system chooses. A usual port would be the origin of
/// whatever had it before, whose service worker and cached files a browser keeps.
///
/// # Errors
///
/// The wanted port is taken.
pub(crate) fn listen_address(wanted: Option<u16>) -> Result<SocketAddr, WebError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, wanted.unwrap_or(0)));
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(source) if source.kind() == io::ErrorKind::AddrInUse => Err(ListenError::InUse { address, source }.into()),
        Err(source) => Err(ListenError::BindFailed { address, source }.into()),
    }
}

/// The right to serve the dashboard of a home, as long as the process lives.
#[derive(Debug)]
pub(crate) struct DashboardLock(#[expect(dead_code, reason = "its lock is what counts")] File);

impl DashboardLock {
    fn path(home: &Home) -> PathBuf {
        home.web().join("serving.lock")
    }

    /// Takes it. `None` if somebody else has it.
    pub(crate) fn try_acquire(home: &Home) -> Result<Option<Self>, HomeError> {
        home.make_dir(&home.web())?;
        // Whoever can write there can make sessions.
        check_permissions(&home.web())?;
        let path = Self::path(home);
        Ok(try_lock(&path).map_err(|e| HomeError::io("lock", &path, e))?.map(Self))
    }
}

/// `aiw web status`
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WebState {
    /// Whether the dashboard runs
    pub running: bool,
    /// Its address, without a code: `aiw web` opens it
    pub url: Option<String>,
    /// Whether it runs in the background
    pub background: bool,
}

/// `aiw web stop`
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WebStopReport {
    /// Whether it ran
    pub stopped: bool,
}

/// Returns how the dashboard of a home stands.
///
/// # Errors
///
/// The home can't be read.
pub fn state(home: &Home) -> Result<WebState, WebError> {
    // Between two lives, nobody serves.
    let is_there = || is_held(&DashboardLock::path(home)) || WEB_DAEMON.is_alive(home);
    let place = WebEndpoint::read(home)?.filter(|_| is_there());
    Ok(WebState {
        running: place.is_some(),
        url: place.as_ref().map(|place| place.access(home).origin()),
        background: place.is_some_and(|place| place.in_background),
    })
}

/// Starts the dashboard in the background, unless one runs, and returns its address with a code that is good once, for a
/// minute. `aiw` is the executable whose `shim` command supervises it; without it, none is started.
///
/// # Errors
///
/// It can't be started, or runs on another port than the wanted one.
pub fn open(home: &Home, aiw: Option<&Path>, port: Option<u16>) -> Result<Option<String>, WebError> {
    if !is_held(&DashboardLock::path(home)) {
        let Some(aiw) = aiw else { return Ok(None) };
        let _turn = home.lock_start()?;
        // What keeps the one in the background from serving is told here, and not in its log alone. One that was just
        // started would find the right to serve taken.
        if !WEB_DAEMON.is_alive(home) && DashboardLock::try_acquire(home)?.is_some() {
            WebEndpoint::remove(home);
            StartDirectory::here(home)?;
            // Those of a socket that is closed are good for nothing.
            revoke_all(home)?;
            WEB_DAEMON.start(home, aiw, Some(listen_address(port)?))?;
        }
    }
    let begun = Instant::now();
    let place = loop {
        match WebEndpoint::read(home)? {
            Some(place) => break place,
            None if begun.elapsed() > START_TIMEOUT => return Err(WebError::StartTimeout),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let access = place.access(home);
    if port.is_some_and(|port| port != place.port && port != 0) {
        return Err(WebError::AlreadyRunning { url: access.origin() });
    }
    Ok(Some(new_address(&access, home)?))
}

/// Leads the user's browser to an address, by a page in a file: every user of the machine can read a command line, and this
/// user alone can read the file. Returns whether there is a browser.
///
/// # Errors
///
/// The home can't be written.
pub fn open_browser(home: &Home, url: &str) -> Result<bool, WebError> {
    home.make_dir(&home.web())?;
    let path = home.web().join("open.html");
    // The address is ours: letters, digits and the marks of addresses.
    let page = format!(
        "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=\"0;url={url}\"><title>aiw</title>\n"
    );
    replace(&path, page.as_bytes(), Mode::Private)?;
    Ok(open_in_browser(home.context(), path))
}

/// Ends the dashboard and all its sessions.
///
/// # Errors
///
/// The home can't be written, or it does not end.
pub fn stop(home: &Home) -> Result<WebStopReport, WebError> {
    let place = WebEndpoint::read(home)?;
    let port = place.map_or(0, |place| place.port);
    revoke_all(home)?;
    let was = is_held(&DashboardLock::path(home));
    WebEndpoint::remove(home);
    let begun = Instant::now();
    // Its supervisor gives the address up a moment later.
    let is_taken = || was && port != 0 && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err();
    while is_held(&DashboardLock::path(home)) || is_taken() {
        if begun.elapsed() > START_TIMEOUT {
            let source = io::Error::from(io::ErrorKind::TimedOut);
            return Err(WebError::System { what: "the dashboard does not end", source });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    // One that crashes again and again serves nothing just now, and would be started once more.
    let crashes = WEB_DAEMON.stop(home)?;
    WebEndpoint::remove(home);
    Ok(WebStopReport { stopped: was || crashes })
}

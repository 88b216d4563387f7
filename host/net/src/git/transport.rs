//! libgit2's HTTP: its smart protocol over our own client, so that the egress policy, the limits and
//! cancellation hold.

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream, Transport};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use tokio::runtime::Handle;
use url::Url;

use super::Cancel;
use super::command;
use crate::error::NetError;
use crate::http::{Client, Outgoing, Stream, parse_http};
use crate::place::shown;
use crate::policy::Policy;

thread_local! {
    /// libgit2 hands nothing through to a transport: what it may do is found here.
    static SESSION: RefCell<Option<Arc<Session>>> = const { RefCell::new(None) };
}

/// What one fetch may do, and what became of it.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) policy: Policy,
    pub(super) runtime: Handle,
    pub(super) cancel: Cancel,
    pub(super) deadline: Instant,
    /// Where `git credential` runs: no repository of the user's is there.
    pub(super) directory: PathBuf,
    received: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// libgit2 passes on only the text of an error.
    failure: Option<NetError>,
    /// Where the far end sent us, instead of the remote's URL.
    base: Option<Url>,
    /// `Basic …`, once the far end has asked.
    authorization: Option<HeaderValue>,
    /// The refs as the far end sent them: what is listed first and fetched then is asked for once.
    advertised: Option<Vec<u8>>,
}

impl Session {
    pub(super) fn new(
        client: Client,
        policy: Policy,
        runtime: Handle,
        cancel: Cancel,
        deadline: Instant,
        directory: PathBuf,
    ) -> Self {
        Self {
            client,
            policy,
            runtime,
            cancel,
            deadline,
            directory,
            received: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Our own reason for the last failure, if it was ours.
    pub(super) fn failure(&self) -> Option<NetError> {
        self.state().failure.take()
    }

    /// Notes why, and gives libgit2 something to fail with.
    pub(super) fn fail(&self, error: NetError) -> io::Error {
        self.state().failure.get_or_insert(error);
        io::Error::other("stopped by aiw")
    }

    /// Whether there is still someone who waits, and time.
    pub(super) fn check(&self) -> Result<(), NetError> {
        self.cancel.check()?;
        if Instant::now() >= self.deadline {
            return Err(NetError::unavailable("the repository took longer than it may"));
        }
        Ok(())
    }

    /// Runs to its end, unless the one who asked goes away.
    fn wait<T>(&self, work: impl Future<Output = Result<T, NetError>>) -> Result<T, NetError> {
        self.check()?;
        let mut cancel = self.cancel.clone();
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = cancel.cancelled() => Err(NetError::Cancelled),
                done = work => done,
            }
        })
    }
}

/// Runs `work`, whose HTTP is then the session's.
pub(super) fn with<T>(session: &Arc<Session>, work: impl FnOnce() -> T) -> Result<T, NetError> {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            SESSION.with_borrow_mut(Option::take);
        }
    }
    register()?;
    SESSION.with_borrow_mut(|slot| *slot = Some(session.clone()));
    let _reset = Reset;
    Ok(work())
}

/// Puts our transport before libgit2's own, once.
pub(super) fn register() -> Result<(), NetError> {
    static REGISTERED: OnceLock<Result<(), NetError>> = OnceLock::new();
    REGISTERED
        .get_or_init(|| {
            git2::opts::strict_hash_verification(true);
            register_transports()
                .map_err(|error| NetError::unavailable(format!("cannot use libgit2: {}", error.message())))
        })
        .clone()
}

#[expect(unsafe_code, reason = "libgit2's table of transports is not locked")]
fn register_transports() -> Result<(), git2::Error> {
    for scheme in ["http", "https"] {
        // SAFETY: registering must not run beside the creation of transports. Only this crate uses
        // git2; every remote is connected inside `with`, which comes here first, and `OnceLock` lets one thread
        // in and holds back the others.
        unsafe { git2::transport::register(scheme, |remote| Transport::smart(remote, true, Net::of_thread()?)) }?;
    }
    Ok(())
}

struct Net {
    session: Arc<Session>,
}

impl Net {
    fn of_thread() -> Result<Self, git2::Error> {
        let session = SESSION.with_borrow(Clone::clone);
        session.map(|session| Self { session }).ok_or_else(|| git2::Error::from_str("no policy for this connection"))
    }
}

impl SmartSubtransport for Net {
    fn action(&self, url: &str, action: Service) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let advertise = match action {
            Service::UploadPackLs => true,
            Service::UploadPack => false,
            Service::ReceivePackLs | Service::ReceivePack => {
                return Err(git2::Error::from_str("nothing is ever pushed"));
            }
        };
        Ok(Box::new(Exchange {
            session: self.session.clone(),
            remote: url.to_owned(),
            advertise,
            out: Vec::new(),
            stream: None,
            is_told: false,
            chunk: Vec::new(),
            at: 0,
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

/// One request and its answer.
struct Exchange {
    session: Arc<Session>,
    remote: String,
    advertise: bool,
    out: Vec<u8>,
    stream: Option<Stream>,
    /// The advertisement was handed over.
    is_told: bool,
    chunk: Vec<u8>,
    at: usize,
}

impl Exchange {
    /// The repository's URL, its last slash cut, and the credentials that the user's configuration put into it.
    fn base(&self) -> Result<(Url, Option<HeaderValue>), NetError> {
        let mut base = match self.session.state().base.clone() {
            Some(base) => base,
            None => parse_http(&self.remote)?,
        };
        let authorization = match (base.username(), base.password()) {
            ("", None) => None,
            (user, password) => Some(basic(&decoded(user), &decoded(password.unwrap_or_default()))?),
        };
        let _ = base.set_username("");
        let _ = base.set_password(None);
        let path = base.path().trim_end_matches('/').to_owned();
        base.set_path(&path);
        Ok((base, authorization))
    }

    fn start(&mut self) -> Result<Stream, NetError> {
        let (mut base, configured) = self.base()?;
        let mut authorization = self.session.state().authorization.clone().or(configured);
        let mut asked = false;
        loop {
            let stream = self.request(&base, authorization.clone())?;
            let status = stream.response.status().as_u16();
            let repository = if self.advertise { base_of(&stream.url) } else { base.clone() };
            if status == 401 && !asked {
                asked = true;
                authorization = Some(self.credentials(&repository)?);
                // Straight to where they belong: a redirect would lose them.
                base = repository;
                continue;
            }
            self.check_answer(&stream, &repository)?;
            if repository.origin() != base.origin() {
                authorization = None;
            }
            let mut state = self.session.state();
            state.authorization = authorization;
            if self.advertise {
                state.base = Some(repository);
            }
            return Ok(stream);
        }
    }

    fn request(&self, base: &Url, authorization: Option<HeaderValue>) -> Result<Stream, NetError> {
        let mut headers = HeaderMap::new();
        // Some servers speak the smart protocol only to what calls itself git.
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("git/2.0 (aiw ", env!("CARGO_PKG_VERSION"), ")")));
        let mut url = base.clone();
        let path = base.path().trim_end_matches('/');
        if self.advertise {
            url.set_path(&format!("{path}/info/refs"));
            url.set_query(Some("service=git-upload-pack"));
            headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        } else {
            url.set_path(&format!("{path}/git-upload-pack"));
            headers.insert(ACCEPT, HeaderValue::from_static("application/x-git-upload-pack-result"));
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-git-upload-pack-request"));
        }
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        let body = (!self.advertise).then(|| self.out.clone());
        let session = &self.session;
        session.wait(session.client.send(
            &session.policy,
            Outgoing { url, headers, secrets: HeaderMap::new(), body },
            session.deadline,
        ))
    }

    fn credentials(&self, repository: &Url) -> Result<HeaderValue, NetError> {
        let session = &self.session;
        match command::credentials(repository, &session.directory, &session.cancel, session.deadline)? {
            Some((user, password)) => basic(&user, &password),
            None => Err(NetError::denied(format!(
                "`{}` needs credentials, and no git credential helper has any for it",
                shown(repository)
            ))),
        }
    }

    fn check_answer(&self, stream: &Stream, repository: &Url) -> Result<(), NetError> {
        let header = |name: HeaderName| stream.response.headers().get(name).and_then(|value| value.to_str().ok());
        let shown = shown(repository);
        match stream.response.status().as_u16() {
            200 => {}
            401 => {
                return Err(NetError::denied(format!(
                    "`{shown}` does not take the credentials of the git credential helper"
                )));
            }
            403 => return Err(NetError::denied(format!("`{shown}` refuses access (403)"))),
            404 | 410 => return Err(NetError::not_found(format!("there is no git repository at `{shown}`"))),
            status @ (429 | 500..=599) => {
                return Err(NetError::Unavailable {
                    message: format!("`{shown}` answers with status {status}"),
                    retry_after: header(reqwest::header::RETRY_AFTER).and_then(|value| value.parse().ok()),
                });
            }
            status => return Err(NetError::malformed(format!("`{shown}` answers with status {status}"))),
        }
        let wanted = if self.advertise {
            "application/x-git-upload-pack-advertisement"
        } else {
            "application/x-git-upload-pack-result"
        };
        let found = header(CONTENT_TYPE).unwrap_or("something without a type");
        let found = found.split(';').next().unwrap_or_default().trim();
        if !found.eq_ignore_ascii_case(wanted) {
            let found = aiw_core::one_line(found, 80);
            return Err(NetError::malformed(format!("`{shown}` is not a git repository: it answered `{found}`")));
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<(), NetError> {
        self.at = 0;
        if !self.advertise {
            self.chunk = self.piece()?;
            return Ok(());
        }
        if self.is_told {
            self.chunk = Vec::new();
            return Ok(());
        }
        self.is_told = true;
        if let Some(advertised) = self.session.state().advertised.clone() {
            self.chunk = advertised;
            return Ok(());
        }
        // To its end, which libgit2 does not wait for: only then is the connection free for what comes next.
        let mut whole = Vec::new();
        loop {
            let chunk = self.piece()?;
            if chunk.is_empty() {
                break;
            }
            whole.extend_from_slice(&chunk);
        }
        self.chunk.clone_from(&whole);
        self.session.state().advertised = Some(whole);
        Ok(())
    }

    /// The next piece of the answer; empty at its end.
    fn piece(&mut self) -> Result<Vec<u8>, NetError> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => self.start()?,
        };
        let chunk = self.session.wait(stream.chunk())?.map(|bytes| bytes.to_vec()).unwrap_or_default();
        self.stream = Some(stream);
        let length = chunk.len() as u64;
        let limit = self.session.client.limits().pack;
        if self.session.received.fetch_add(length, Ordering::Relaxed) + length > limit {
            return Err(NetError::too_large(format!("the repository is larger than {limit} bytes")));
        }
        Ok(chunk)
    }
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            self.fill().map_err(|error| self.session.fail(error))?;
        }
        let rest = &self.chunk[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The repository that answered, from the URL that answered.
fn base_of(answered: &Url) -> Url {
    let mut base = answered.clone();
    let path = base.path().strip_suffix("/info/refs").unwrap_or(base.path()).to_owned();
    base.set_path(&path);
    base.set_query(None);
    base.set_fragment(None);
    base
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, NetError> {
    let encoded = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
    let mut value = HeaderValue::from_str(&encoded).map_err(|_| NetError::invalid("credentials fit no header"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = (0..3).fold(0, |word, i| word << 8 | u32::from(three.get(i).copied().unwrap_or(0)));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= three.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// `%xx` undone, as git does for the user and password of a URL.
fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                out.push(byte);
                at += 3;
            }
            _ => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_percent_signs_are_as_the_world_has_them() {
        for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob:~", "Zm9vYjp+")] {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(decoded("a%40b%2"), "a@b%2");
    }
}

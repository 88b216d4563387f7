//! Who may ask: a code that is good once becomes a session, whose token the page keeps and shows with each request.
//!
//! No cookie is worth anything here: browsers send those of 127.0.0.1 to every port of it, also to a server of another
//! user, which is no browser and can forge every header but the token. What a page keeps, it keeps for its origin. Whoever
//! has the port later is that origin, so a session is one of a listening socket and ends with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use aiw_core::{ErrorKind, hex, random_hex};
use aiw_home::{Home, HomeError, Mode, Timestamp, check_permissions, read_capped, remove_file, replace};
use aiw_listen::header::{CONTENT_TYPE, HOST, ORIGIN};
use aiw_listen::{
    Bytes, Full, HeaderMap, HeaderName, HeaderValue, Method, Parts, RejectionResponse, Response, StatusCode, bearer,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::api::{ErrorBody, ErrorResponse};

const CODE_TTL: Duration = Duration::from_secs(60);
pub(crate) const SESSION_TTL: Duration = Duration::from_secs(12 * 60 * 60);

/// Codes, and sessions, that are kept; the oldest goes when there are more.
const MAX_DIGESTS: usize = 64;

/// Headers by which some servers let a request pass for one of another method.
const METHOD_OVERRIDE_HEADERS: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The codes and sessions of a listening socket. Files hold only digests of them, so that a server that its supervisor starts
/// again on the same socket knows its pages, and nobody who reads the files becomes one.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    home: Home,
    port: u16,
    socket: String,
}

/// Digests, with the time at which each was made.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KnownDigests(BTreeMap<String, Timestamp>);

impl KnownDigests {
    fn add(&mut self, digest: String) {
        self.0.insert(digest, Timestamp::now());
        while self.0.len() > MAX_DIGESTS {
            let oldest = self.0.iter().min_by_key(|(_, made)| **made).map(|(digest, _)| digest.clone());
            let _ = oldest.and_then(|oldest| self.0.remove(&oldest));
        }
    }
}

/// A file of digests, and how long each is good.
struct DigestFile {
    path: PathBuf,
    ttl: Duration,
}

impl DigestFile {
    fn codes(home: &Home) -> Self {
        Self { path: home.web().join("codes.json"), ttl: CODE_TTL }
    }

    fn sessions(home: &Home) -> Self {
        Self { path: home.web().join("sessions.json"), ttl: SESSION_TTL }
    }

    /// Reads the digests that are good still. A file that is damaged, or of an older version, knows nobody.
    fn read(&self) -> Result<KnownDigests, HomeError> {
        let bytes = read_capped(&self.path, 64 << 10)?.unwrap_or_default();
        check_permissions(&self.path)?;
        let mut known: KnownDigests = serde_json::from_slice(&bytes).unwrap_or_default();
        let now = Timestamp::now();
        known.0.retain(|_, made| made.age_at(now) < self.ttl);
        Ok(known)
    }

    /// Changes the digests under the home's lock. What is over goes.
    fn change(&self, home: &Home, change: impl FnOnce(&mut KnownDigests)) -> Result<(), HomeError> {
        let _lock = home.lock()?;
        let mut known = self.read()?;
        change(&mut known);
        let bytes = serde_json::to_vec(&known).unwrap_or_default();
        replace(&self.path, &bytes, Mode::Private)
    }

    fn remove(&self) -> Result<(), HomeError> {
        match remove_file(&self.path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(HomeError::io("remove", &self.path, e)),
            _ => Ok(()),
        }
    }
}

/// Ends all sessions of a home, and forgets all codes.
///
/// # Errors
///
/// The home can't be written.
pub(crate) fn revoke_all(home: &Home) -> Result<(), HomeError> {
    DigestFile::codes(home).remove()?;
    DigestFile::sessions(home).remove()
}

impl Access {
    /// Returns the access to a listening socket of a home, by its port and its name.
    pub(crate) fn new(home: &Home, port: u16, socket: &str) -> Self {
        Self { home: home.clone(), port, socket: socket.to_owned() }
    }

    /// Returns the only origin of the page.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Makes a code.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub(crate) fn new_code(&self) -> Result<String, HomeError> {
        self.home.make_dir(&self.home.web())?;
        // A code that makes no session is good for nothing.
        DigestFile::sessions(&self.home).read()?;
        let code = random::<16>(&self.home)?;
        DigestFile::codes(&self.home).change(&self.home, |known| known.add(self.digest("code", &code)))?;
        Ok(code)
    }

    /// Takes a code, which is not good a second time. Returns the session's token.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub(crate) fn redeem(&self, code: &str) -> Result<Option<String>, HomeError> {
        let (codes, digest) = (DigestFile::codes(&self.home), self.digest("code", code));
        // Who guesses waits for nobody, and keeps nobody waiting.
        let mut is_good = codes.read()?.0.contains_key(&digest);
        if !is_good {
            return Ok(None);
        }
        codes.change(&self.home, |known| is_good = known.0.remove(&digest).is_some())?;
        if !is_good {
            return Ok(None);
        }
        let token = random::<32>(&self.home)?;
        DigestFile::sessions(&self.home).change(&self.home, |known| known.add(self.digest("session", &token)))?;
        Ok(Some(token))
    }

    /// Ends one session.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub(crate) fn end_session(&self, token: &str) -> Result<(), HomeError> {
        DigestFile::sessions(&self.home).change(&self.home, |known| {
            let _ = known.0.remove(&self.digest("session", token));
        })
    }

    /// Returns a digest of a secret of this socket: it is none of another one, and a code is no token.
    fn digest(&self, kind: &str, secret: &str) -> String {
        let Self { socket, port, .. } = self;
        hex(&Sha256::digest(format!("{kind}\0{socket}\0{port}\0{secret}").as_bytes()))
    }

    /// Returns whether a session is over.
    pub(crate) fn is_session_ended(&self, token: &str) -> bool {
        let sessions = DigestFile::sessions(&self.home).read();
        !sessions.is_ok_and(|known| known.0.contains_key(&self.digest("session", token)))
    }

    /// Lets a request in, or says why not.
    pub(crate) fn authorize(&self, head: &Parts) -> Result<(), RejectionResponse> {
        let refuse = |status, words| Err(Box::new(error_response(status, words)));
        if let Err((status, words)) = self.check_same_origin(head) {
            return refuse(status, words);
        }
        match session_token(&head.headers) {
            Some(token) if !self.is_session_ended(token) => Ok(()),
            _ => refuse(StatusCode::UNAUTHORIZED, NO_SESSION_MESSAGE),
        }
    }

    /// Returns whether our page made a request, as far as a browser tells. It keeps other pages of a browser away from a
    /// code; a program can say all of it.
    pub(crate) fn check_same_origin(&self, head: &Parts) -> Result<(), (StatusCode, &'static str)> {
        let text = |name: HeaderName| {
            let mut values = head.headers.get_all(name).iter();
            match (values.next(), values.next()) {
                (Some(value), None) => value.to_str().ok(),
                _ => None,
            }
        };
        let own_host = format!("127.0.0.1:{}", self.port);
        if text(HOST) != Some(&own_host) {
            return Err((StatusCode::MISDIRECTED_REQUEST, "this host has no API"));
        }
        if METHOD_OVERRIDE_HEADERS.iter().any(|name| head.headers.contains_key(*name)) {
            return Err((StatusCode::FORBIDDEN, "a request has the method that it says"));
        }
        if text(HeaderName::from_static("sec-fetch-site")) != Some("same-origin")
            || text(HeaderName::from_static("sec-fetch-dest")) != Some("empty")
            || !matches!(text(HeaderName::from_static("sec-fetch-mode")), Some("cors" | "same-origin"))
        {
            return Err((StatusCode::FORBIDDEN, "only aiw's own page may ask"));
        }
        if head.method != Method::GET && text(ORIGIN) != Some(&self.origin()) {
            return Err((StatusCode::FORBIDDEN, "only aiw's own page may change anything"));
        }
        Ok(())
    }
}

/// What a request without a session is answered.
pub(crate) const NO_SESSION_MESSAGE: &str = "there is no session: `aiw web` opens one";

/// Returns the token that a request shows, good or not.
pub(crate) fn session_token(headers: &HeaderMap) -> Option<&str> {
    std::str::from_utf8(bearer(headers)?).ok()
}

fn random<const BYTES: usize>(home: &Home) -> Result<String, HomeError> {
    random_hex::<BYTES>().map_err(|e| HomeError::io("find random bytes for", home.root(), e.into()))
}

/// Returns the name of a new socket.
///
/// # Errors
///
/// The system has no random bytes.
pub(crate) fn new_socket_name(home: &Home) -> Result<String, HomeError> {
    random::<16>(home)
}

/// Returns an answer of one sentence, in the shape of all errors.
pub(crate) fn error_response(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let error = ErrorBody { kind: ErrorKind::User.as_str().to_owned(), message: words.to_owned(), hint: None };
    let body = serde_json::to_vec(&ErrorResponse { error }).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

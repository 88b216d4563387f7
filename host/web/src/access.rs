//! Who may ask: a code that is good once becomes a session, and a session is a cookie with a token for writes beside it.
//!
//! Cookies know no ports, and a page of another program on this machine is of the same site. So the cookie alone lets
//! nobody in: a read shows by its fetch metadata that our page made it, a write by its origin and by a token that only
//! our page can read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aiw_core::{ErrorKind, hex, random_hex};
use aiw_home::{Home, HomeError, Mode, check_own, now_millis, read_capped, remove_file, replace};
use aiw_listen::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use aiw_listen::{
    Bytes, Full, HeaderMap, HeaderName, HeaderValue, Method, Parts, RefusedRequest, Response, StatusCode,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::api::{Failed, FailedAnswer};

/// How long a code is good.
const CODE_TIME: Duration = Duration::from_secs(60);

/// How long a session lasts.
pub(crate) const SESSION_TIME: Duration = Duration::from_secs(12 * 60 * 60);

/// As many codes, and as many sessions, are kept; the oldest goes when there are more.
const MOST: usize = 64;

/// The header with the token for writes.
pub(crate) const CSRF: HeaderName = HeaderName::from_static("x-aiw-csrf");

/// Headers by which some servers let a request pass for one of another method.
const OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The codes and sessions of a home. Files hold only digests of them, so that a server that was started again knows its
/// pages, and nobody who reads the files becomes one.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    home: Home,
    port: u16,
}

/// Digests with the time until which each is good, in milliseconds since 1970.
#[derive(Debug, Default, Serialize, Deserialize)]
struct KnownDigests(BTreeMap<String, u64>);

impl KnownDigests {
    fn add(&mut self, digest: String, time: Duration) {
        self.0.insert(digest, until(time));
        while self.0.len() > MOST {
            let oldest = self.0.iter().min_by_key(|(_, until)| **until).map(|(digest, _)| digest.clone());
            let _ = oldest.and_then(|oldest| self.0.remove(&oldest));
        }
    }
}

impl Access {
    pub(crate) fn new(home: &Home, port: u16) -> Self {
        Self { home: home.clone(), port }
    }

    /// Returns the only origin of the page.
    pub(crate) fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn codes(&self) -> PathBuf {
        self.home.web().join("codes.json")
    }

    fn sessions(&self) -> PathBuf {
        self.home.web().join("sessions.json")
    }

    /// Makes a code.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub(crate) fn new_code(&self) -> Result<String, HomeError> {
        self.home.make_dir(&self.home.web())?;
        // A code that makes no session is good for nothing.
        read(&self.sessions())?;
        let code = self.random()?;
        self.change(&self.codes(), |known| known.add(digest(&code), CODE_TIME))?;
        Ok(code)
    }

    /// Takes a code, which is not good a second time. Returns the session's token.
    ///
    /// # Errors
    ///
    /// The home can't be written.
    pub(crate) fn redeem(&self, code: &str) -> Result<Option<String>, HomeError> {
        // Who guesses waits for nobody, and keeps nobody waiting.
        let mut is_good = read(&self.codes())?.0.contains_key(&digest(code));
        if !is_good {
            return Ok(None);
        }
        self.change(&self.codes(), |known| is_good = known.0.remove(&digest(code)).is_some())?;
        if !is_good {
            return Ok(None);
        }
        let token = self.random()?;
        self.change(&self.sessions(), |known| {
            known.add(self.session_digest(&token), SESSION_TIME);
        })?;
        Ok(Some(token))
    }

    /// Ends one session.
    pub(crate) fn end(&self, token: &str) -> Result<(), HomeError> {
        self.change(&self.sessions(), |known| {
            let _ = known.0.remove(&self.session_digest(token));
        })
    }

    /// Ends all sessions, and forgets all codes.
    pub(crate) fn forget(&self) -> Result<(), HomeError> {
        for path in [self.codes(), self.sessions()] {
            match remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(HomeError::io("remove", &path, e)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns the digest of a session. It is one of this address: whoever takes another port is not shown to be us by it.
    fn session_digest(&self, token: &str) -> String {
        digest(&format!("{}\0{token}", self.port))
    }

    /// Returns whether a session is over.
    pub(crate) fn is_over(&self, token: &str) -> bool {
        !read(&self.sessions()).is_ok_and(|known| known.0.contains_key(&self.session_digest(token)))
    }

    fn random(&self) -> Result<String, HomeError> {
        random_hex::<16>().map_err(|e| HomeError::io("find random bytes for", self.home.root(), e.into()))
    }

    /// Changes a file of digests under the home's lock. What is over goes.
    fn change(&self, path: &Path, change: impl FnOnce(&mut KnownDigests)) -> Result<(), HomeError> {
        let _lock = self.home.lock()?;
        let mut known = read(path)?;
        change(&mut known);
        let bytes = serde_json::to_vec(&known).unwrap_or_default();
        replace(path, &bytes, Mode::Private)
    }

    /// Returns the name of the cookie: cookies are sent to every port.
    pub(crate) fn cookie_name(&self) -> String {
        format!("aiw-{}", self.port)
    }

    /// Returns the header that makes a browser keep a session.
    pub(crate) fn cookie(&self, token: &str) -> Option<HeaderValue> {
        let (name, age) = (self.cookie_name(), SESSION_TIME.as_secs());
        HeaderValue::from_str(&format!("{name}={token}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}")).ok()
    }

    /// Returns the token that a request shows, good or not.
    pub(crate) fn shown(&self, headers: &HeaderMap) -> Option<String> {
        let name = self.cookie_name();
        let cookies = headers.get_all(COOKIE).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let mut ours = cookies.filter_map(|cookie| {
            let (own, value) = std::str::from_utf8(cookie).ok()?.trim().split_once('=')?;
            (own == name).then(|| value.to_owned())
        });
        // Of two, one is somebody else's.
        let (Some(token), None) = (ours.next(), ours.next()) else { return None };
        Some(token)
    }

    /// Lets a request in, or says why not.
    pub(crate) fn admit(&self, head: &Parts) -> Result<(), RefusedRequest> {
        let refuse = |status, words| Err(Box::new(refusal(status, words)));
        if let Err((status, words)) = self.is_from_page(head) {
            return refuse(status, words);
        }
        let Some(token) = self.shown(&head.headers).filter(|token| !self.is_over(token)) else {
            return refuse(StatusCode::UNAUTHORIZED, "there is no session: `aiw web` opens one");
        };
        if head.method == Method::GET {
            return Ok(());
        }
        let mut shown = head.headers.get_all(CSRF).iter();
        let own = csrf(&token);
        match (shown.next(), shown.next()) {
            (Some(shown), None) if bool::from(shown.as_bytes().ct_eq(own.as_bytes())) => Ok(()),
            _ => refuse(StatusCode::FORBIDDEN, "the header `X-AIW-CSRF` is missing or wrong"),
        }
    }

    /// Returns whether our page made a request, as far as a browser tells.
    pub(crate) fn is_from_page(&self, head: &Parts) -> Result<(), (StatusCode, &'static str)> {
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
        if OVERRIDES.iter().any(|name| head.headers.contains_key(*name)) {
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

/// Returns what writes of a session show. It can't be guessed without the session's token, which no script can read.
pub(crate) fn csrf(token: &str) -> String {
    digest(&format!("csrf\0{token}"))
}

fn digest(word: &str) -> String {
    hex(&Sha256::digest(word.as_bytes()))
}

fn until(time: Duration) -> u64 {
    now_millis().saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// Reads the digests of a file that are good still. One that is damaged knows nobody.
fn read(path: &Path) -> Result<KnownDigests, HomeError> {
    let bytes = read_capped(path, 64 << 10)?.unwrap_or_default();
    check_own(path)?;
    let mut known: KnownDigests = serde_json::from_slice(&bytes).unwrap_or_default();
    let now = now_millis();
    known.0.retain(|_, until| *until > now);
    Ok(known)
}

/// Returns an answer of one sentence, in the shape of all errors.
pub(crate) fn refusal(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let error = Failed { kind: ErrorKind::User.as_str().to_owned(), message: words.to_owned(), hint: None };
    let body = serde_json::to_vec(&FailedAnswer { error }).unwrap_or_default();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

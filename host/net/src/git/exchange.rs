//! The smart protocol over HTTP. It has two requests: one for a repository's list of refs, one for commits.

use base64::prelude::{BASE64_STANDARD, Engine};
use std::io::{self, Read, Write};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use url::Url;

use super::advertisement::{Advertisement, AdvertisementReader};
use super::answer::ResponseCheck;
use super::command;
use super::session::FetchSession;
use super::transfer::RejectedBy;
use crate::error::NetError;
use crate::git_url::redact_url;
use crate::http::{Method, ResponseStream, SentRequest, parse_http_url};

/// The number of bytes of an answer that show which kind of list it is.
const SNIFF_BYTES: usize = 200;

/// One request and its answer. libgit2 writes the request and reads an answer that was checked.
pub(super) struct GitExchange {
    session: Arc<FetchSession>,
    remote: String,
    /// Whether the request is for refs rather than commits.
    advertise: bool,
    out: Vec<u8>,
    stream: Option<(ResponseStream, ResponseCheck)>,
    /// Whether everything was handed over.
    is_sent: bool,
    chunk: Vec<u8>,
    at: usize,
}

/// Returns a repository's list of refs, which is requested once per session.
pub(super) fn fetch_advertisement(session: &Arc<FetchSession>, remote: &str) -> Result<Arc<Advertisement>, RejectedBy> {
    if let Some(known) = session.state().advertisement.clone() {
        return Ok(known);
    }
    let mut stream = GitExchange::for_refs(session.clone(), remote).start()?;
    let mut reader = AdvertisementReader::new(session.repository.clone(), session.client.limits());
    // Read to the end: only then is the connection free for the next request.
    while let Some(piece) = session.block_on(stream.chunk())? {
        session.count_received(piece.len() as u64)?;
        reader.push(&piece)?;
    }
    let found = Arc::new(reader.finish()?);
    session.state().advertisement = Some(found.clone());
    Ok(found)
}

impl GitExchange {
    /// Creates a request for the refs.
    pub(super) fn for_refs(session: Arc<FetchSession>, remote: &str) -> Self {
        Self::new(session, remote, true)
    }

    /// Creates a request for commits.
    pub(super) fn for_pack(session: Arc<FetchSession>, remote: &str) -> Self {
        Self::new(session, remote, false)
    }

    fn new(session: Arc<FetchSession>, remote: &str, advertise: bool) -> Self {
        Self {
            session,
            remote: remote.to_owned(),
            advertise,
            out: Vec::new(),
            stream: None,
            is_sent: false,
            chunk: Vec::new(),
            at: 0,
        }
    }

    /// Returns the repository's URL without its trailing slash, and the credentials that the user's configuration
    /// put into it.
    fn base(&self) -> Result<(Url, Option<HeaderValue>), NetError> {
        let mut base = match self.session.state().base.clone() {
            Some(base) => base,
            None => parse_http_url(&self.remote)?,
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

    fn start(&mut self) -> Result<ResponseStream, NetError> {
        let (mut base, configured) = self.base()?;
        let mut authorization = self.session.state().authorization.clone().or(configured);
        let mut asked = false;
        loop {
            let mut stream = self.request(&base, authorization.clone())?;
            let status = stream.response.status().as_u16();
            let repository = if self.advertise { base_of(&stream.url) } else { base.clone() };
            if status == 401 && !asked {
                asked = true;
                authorization = Some(self.credentials(&repository)?);
                // Send them straight to the repository they belong to, because a redirect would lose them.
                base = repository;
                continue;
            }
            self.check_answer(&mut stream, &repository)?;
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

    fn request(&self, base: &Url, authorization: Option<HeaderValue>) -> Result<ResponseStream, NetError> {
        let mut headers = HeaderMap::new();
        // Some servers speak the smart protocol only to a client that calls itself git.
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
        let (method, body) = match self.advertise {
            true => (Method::Get, Vec::new()),
            false => (Method::Post, self.out.clone()),
        };
        let session = &self.session;
        session.block_on(session.client.send(
            &session.policy,
            SentRequest { method, url, headers, secret_headers: HeaderMap::new(), body, follow_see_other: false },
            session.deadline,
            session.client.limits().idle_timeout,
        ))
    }

    fn credentials(&self, repository: &Url) -> Result<HeaderValue, NetError> {
        let session = &self.session;
        match command::credentials(repository, &session.directory, &session.cancel, session.deadline)? {
            Some((user, password)) => basic(&user, &password),
            None => Err(NetError::denied(format!(
                "`{}` needs credentials, but no git credential helper has any for it",
                redact_url(repository)
            ))),
        }
    }

    fn check_answer(&self, stream: &mut ResponseStream, repository: &Url) -> Result<(), NetError> {
        let header = |name: HeaderName| stream.response.headers().get(name).and_then(|value| value.to_str().ok());
        let shown = redact_url(repository);
        match stream.response.status().as_u16() {
            200 => {}
            401 => {
                return Err(NetError::denied(format!(
                    "`{shown}` rejects the credentials from the git credential helper"
                )));
            }
            403 => return Err(NetError::denied(format!("`{shown}` refuses access (403)"))),
            404 | 410 => return Err(NetError::not_found(format!("there is no git repository at `{shown}`"))),
            status @ (429 | 500..=599) => {
                return Err(NetError::Unavailable {
                    message: format!("`{shown}` answers with status {status}"),
                    retry_after: header(reqwest::header::RETRY_AFTER).and_then(|value| value.parse().ok()),
                    source: None,
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
        let found = found.split(';').next().unwrap_or_default().trim().to_owned();
        if !found.eq_ignore_ascii_case(wanted) {
            let found = aiw_core::one_line(&found, 80);
            if self.advertise && self.is_static(stream)? {
                return Err(NetError::invalid(format!(
                    "`{shown}` offers only git's old \"dumb\" HTTP protocol, which aiw does not support: clone it and add \
                     the directory, or use a server with git's smart HTTP protocol"
                )));
            }
            return Err(NetError::malformed(format!("`{shown}` is not a git repository: it answered `{found}`")));
        }
        Ok(())
    }

    /// Returns whether an answer is the list that `git update-server-info` writes for static file servers: an id, a
    /// tab, a ref.
    fn is_static(&self, stream: &mut ResponseStream) -> Result<bool, NetError> {
        let mut beginning = Vec::new();
        while beginning.len() < SNIFF_BYTES
            && let Some(piece) = self.session.block_on(stream.chunk())?
        {
            beginning.extend_from_slice(&piece[..piece.len().min(SNIFF_BYTES)]);
        }
        let mut halves = beginning.splitn(2, |byte| *byte == b'\t');
        let (id, name) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        Ok(matches!(id.len(), 40 | 64) && id.iter().all(u8::is_ascii_hexdigit) && name.starts_with(b"refs/"))
    }

    /// Gets the next piece that libgit2 may see; empty at the end.
    fn fill(&mut self) -> Result<(), RejectedBy> {
        (self.at, self.chunk) = (0, Vec::new());
        if self.advertise && !self.is_sent {
            self.is_sent = true;
            self.chunk = fetch_advertisement(&self.session, &self.remote)?.to_wire();
        }
        while !self.advertise && !self.is_sent && self.chunk.is_empty() {
            let (mut stream, mut answer) = match self.stream.take() {
                Some(stream) => stream,
                None => {
                    let limits = self.session.client.limits();
                    (self.start()?, ResponseCheck::new(self.session.repository.clone(), limits, &self.out))
                }
            };
            match self.session.block_on(stream.chunk())? {
                Some(piece) => {
                    self.session.count_received(piece.len() as u64)?;
                    self.chunk = answer.push(&piece)?;
                }
                None => {
                    answer.finish()?;
                    self.is_sent = true;
                }
            }
            self.stream = Some((stream, answer));
        }
        Ok(())
    }
}

impl Read for GitExchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() {
            self.fill().map_err(|refused| self.session.fail(refused))?;
        }
        let rest = &self.chunk[self.at..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.at += length;
        Ok(length)
    }
}

impl Write for GitExchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Derives the URL of the repository from the URL that answered.
fn base_of(answered: &Url) -> Url {
    let mut base = answered.clone();
    let path = base.path().strip_suffix("/info/refs").unwrap_or(base.path()).to_owned();
    base.set_path(&path);
    base.set_query(None);
    base.set_fragment(None);
    base
}

fn basic(user: &str, password: &str) -> Result<HeaderValue, NetError> {
    let encoded = format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}")));
    let mut value =
        HeaderValue::from_str(&encoded).map_err(|_| NetError::invalid("the credentials can't be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Decodes `%xx`, as git does for the user and password of a URL.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_encoded_as_servers_read_them() {
        for (user, password, encoded) in [("", "", "Og=="), ("f", "", "Zjo="), ("foob", "~", "Zm9vYjp+")] {
            assert_eq!(basic(user, password).unwrap(), format!("Basic {encoded}"));
        }
        assert_eq!(decoded("a%40b%2%+f"), "a@b%2%+f");
    }
}

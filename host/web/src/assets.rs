//! The built page, packed into the binary.

use aiw_core::hex;
use aiw_listen::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use aiw_listen::{Bytes, HeaderMap, HeaderValue, Response, StatusCode};
use sha2::{Digest, Sha256};

/// A file of the page.
pub(crate) struct PageFile {
    /// Its path in URLs.
    pub(crate) path: &'static str,
    /// Its bytes, compressed.
    pub(crate) gzip: &'static [u8],
}

/// All files of the page.
pub(crate) static PAGE: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Returns the file of a path.
pub(crate) fn file(path: &str) -> Option<&'static PageFile> {
    let path = if path == "/" { "/index.html" } else { path };
    PAGE.iter().find(|file| file.path == path)
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("woff2") => "font/woff2",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

impl PageFile {
    /// Answers a request for it.
    pub(crate) fn answer(&self, asked: &HeaderMap) -> Response<Bytes> {
        let digest = hex(&Sha256::digest(self.gzip));
        let tag = format!("\"{}\"", digest.get(..32).unwrap_or(&digest));
        let is_known = asked.get(IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == tag.as_bytes());
        let body = if is_known { Bytes::new() } else { Bytes::from_static(self.gzip) };
        let mut response = Response::new(body);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(self.path)));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        // Asked for again each time: a newer aiw has another page.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(ETAG, tag);
        }
        response
    }
}

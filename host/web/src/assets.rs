//! The built page, packed into the binary.

use aiw_listen::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use aiw_listen::{Bytes, HeaderValue, Response};

/// A file of the page.
pub(crate) struct PageFile {
    /// Its path in URLs.
    pub(crate) path: &'static str,
    /// Its bytes, compressed.
    pub(crate) gzip: &'static [u8],
}

/// All files of the page.
pub(crate) static PAGE_FILES: &[PageFile] = include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Returns the file of a path.
pub(crate) fn find_file(path: &str) -> Option<&'static PageFile> {
    let path = if path == "/" { "/index.html" } else { path };
    PAGE_FILES.iter().find(|file| file.path == path)
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
    pub(crate) fn to_response(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from_static(self.gzip));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type(self.path)));
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        // A newer aiw has another page, and a browser that asks whether its own is the newest takes anybody's file for it.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

//! A folder of a WebDAV server. <https://www.rfc-editor.org/rfc/rfc4918>
//!
//! No conditional request is made and no ETag is read: servers answer 412 to a right `If-Match`, ignore `If-None-Match`,
//! and proxies that compress rewrite ETags.

use aiw_core::Secret;
use aiw_net::{HttpRequest, Method, Policy, Response};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;
use url::Url;

use super::request::RemoteClient;
use super::xml::resolve_entity;
use super::{ObjectListing, Remote, RemoteContext, RemoteError, RemoteObject, check_name, check_object, verify_stored};

/// The secret with user and password.
pub(crate) const CREDENTIALS_SECRET: &str = "sync-webdav";

/// The longest list. A server says some 700 bytes of each file.
const MAX_LISTING_BYTES: u64 = 32 << 20;

/// How deep a list may go. It needs six.
const MAX_DEPTH: usize = 32;

const DAV_NAMESPACE: &str = "DAV:";

/// The properties that are asked for.
const PROPFIND_BODY: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><d:propfind xmlns:d=\"DAV:\"><d:prop>\
                      <d:resourcetype/><d:getcontentlength/></d:prop></d:propfind>";

/// A folder of a WebDAV server.
pub(super) struct WebDav {
    client: RemoteClient,
    folder: Url,
    login: Secret,
}

impl WebDav {
    pub(super) async fn open(url: &Url, context: &RemoteContext) -> Result<Self, RemoteError> {
        let place = format!("`webdav:{url}`");
        let both = context.login(CREDENTIALS_SECRET, url, &place).await?;
        if both.expose().split_once(':').is_none_or(|(user, _)| user.is_empty()) {
            return Err(RemoteError::MalformedLogin { place, form: "user:password" });
        }
        let login = Secret::new(format!("Basic {}", STANDARD.encode(both.expose())));
        let mut policy = Policy::none();
        policy.grant_url(url.as_str());
        Ok(Self { client: RemoteClient::new(context, policy, place), folder: url.clone(), login })
    }

    fn request(&self, method: Method, url: &Url) -> HttpRequest {
        let mut request = HttpRequest { method, ..HttpRequest::new(url.as_str()) };
        request.secret_headers.push(("authorization".into(), self.login.clone()));
        request
    }

    fn file(&self, name: &str) -> Result<Url, RemoteError> {
        self.folder.join(name).map_err(|_| RemoteError::InvalidObjectName { name: name.to_owned() })
    }

    fn refused(&self, response: &Response) -> RemoteError {
        match response.status {
            401 => unsupported_schemes(response).map_or_else(
                || self.client.status_error(response, ""),
                |schemes| RemoteError::AuthUnsupported { place: self.client.place.clone(), schemes },
            ),
            _ => self.client.status_error(response, ""),
        }
    }

    async fn put_once(&self, url: &Url, bytes: &[u8]) -> Result<Response, RemoteError> {
        let mut request = self.request(Method::Put, url);
        request.headers.push(("content-type".into(), "application/octet-stream".into()));
        request.body = bytes.to_vec();
        self.client.send(&request).await
    }

    /// Makes the folder and those that it is in, as far as they are missing.
    async fn make_folders(&self) -> Result<(), RemoteError> {
        let mut missing = vec![self.folder.clone()];
        while let Some(folder) = missing.last().cloned() {
            let response = self.client.send(&self.request(Method::Mkcol, &folder)).await?;
            match response.status {
                // 405: it is there.
                200..=299 | 405 => drop(missing.pop()),
                // 409: the one that it would be in is not there. Some servers say 404.
                409 | 404 => match parent(&folder) {
                    Some(parent) if !missing.contains(&parent) => missing.push(parent),
                    _ => return Err(self.refused(&response)),
                },
                _ => return Err(self.refused(&response)),
            }
        }
        Ok(())
    }

    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        let response = self.client.read(self.request(Method::Get, &self.file(name)?), name, limit).await?;
        match response.status {
            200 => Ok(response.body),
            404 | 410 => Err(RemoteError::NotFound { name: name.to_owned(), place: self.client.place.clone() }),
            _ => Err(self.refused(&response)),
        }
    }
}

/// Returns the authentication schemes that a server offers, if Basic is not among them.
fn unsupported_schemes(response: &Response) -> Option<String> {
    let offered = response.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    let mut schemes: Vec<&str> = Vec::new();
    // One header may hold several challenges, each of which begins with its scheme. Parameters are `name=value`.
    for challenge in offered.flat_map(|(_, value)| value.split(',')) {
        let scheme = challenge.split_whitespace().next().unwrap_or_default();
        if (1..=20).contains(&scheme.len()) && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            schemes.push(scheme);
        }
    }
    let has_basic = schemes.iter().any(|scheme| scheme.eq_ignore_ascii_case("basic"));
    schemes.dedup();
    schemes.truncate(4);
    (!schemes.is_empty() && !has_basic).then(|| schemes.join(" and "))
}

/// Returns the folder that a folder is in.
fn parent(folder: &Url) -> Option<Url> {
    let parent = folder.join("..").ok()?;
    (parent != *folder && parent.path() != "/").then_some(parent)
}

#[async_trait]
impl Remote for WebDav {
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<Option<String>, RemoteError> {
        check_object(name, bytes)?;
        let url = self.file(name)?;
        let mut response = self.put_once(&url, bytes).await?;
        if matches!(response.status, 404 | 409) {
            self.make_folders().await?;
            response = self.put_once(&url, bytes).await?;
        }
        if !matches!(response.status, 200 | 201 | 204) {
            return Err(self.refused(&response));
        }
        verify_stored(self, &self.client.place, name, bytes).await?;
        Ok(None)
    }

    async fn list(&self) -> Result<Vec<RemoteObject>, RemoteError> {
        let mut request = self.request(Method::Propfind, &self.folder);
        // Servers refuse `infinity`.
        request.headers.push(("depth".into(), "1".into()));
        request.headers.push(("content-type".into(), "application/xml; charset=utf-8".into()));
        request.body = PROPFIND_BODY.as_bytes().to_vec();
        request.max_body_bytes = MAX_LISTING_BYTES;
        let response = self.client.send(&request).await?;
        match response.status {
            207 => objects(&self.folder, &response.body, &self.client.place),
            404 => Ok(Vec::new()),
            _ => Err(self.refused(&response)),
        }
    }

    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        check_name(name)?;
        self.read(name, limit).await
    }

    async fn delete(&self, name: &str) -> Result<(), RemoteError> {
        check_name(name)?;
        let response = self.client.send(&self.request(Method::Delete, &self.file(name)?)).await?;
        match response.status {
            200 | 202 | 204 | 404 | 410 => Ok(()),
            _ => Err(self.refused(&response)),
        }
    }
}

/// One file or folder of a list.
#[derive(Default)]
struct DavEntry {
    href: String,
    /// The status of all of it.
    status: String,
    size: String,
    is_folder: bool,
}

/// Where text belongs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DavField {
    Href,
    Status,
    Size,
}

/// Reads the answer to a `PROPFIND`.
fn objects(folder: &Url, body: &[u8], place: &str) -> Result<Vec<RemoteObject>, RemoteError> {
    let text = std::str::from_utf8(body).map_err(|error| RemoteError::unreadable(place, error))?;
    let mut reader = NsReader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut found = ObjectListing::new(place);
    let mut entry = DavEntry::default();
    let mut path: Vec<String> = Vec::new();
    let mut field = None;
    let mut is_whole = false;
    loop {
        let (namespace, event) = reader.read_resolved_event().map_err(|error| RemoteError::unreadable(place, error))?;
        let is_dav = matches!(namespace, ResolveResult::Bound(bound) if bound.as_ref() == DAV_NAMESPACE);
        match event {
            Event::Start(start) => {
                let name = start.local_name();
                let name = if is_dav { name.as_ref().to_owned() } else { String::new() };
                path.push(name);
                if path.len() > MAX_DEPTH {
                    return Err(RemoteError::invalid_response(place, "its elements are nested too deeply"));
                }
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                field = match names[..] {
                    ["multistatus", "response"] => {
                        entry = DavEntry::default();
                        None
                    }
                    ["multistatus", "response", "href"] => Some(DavField::Href),
                    ["multistatus", "response", "status"] => Some(DavField::Status),
                    ["multistatus", "response", "propstat", "prop", "getcontentlength"] => Some(DavField::Size),
                    ["multistatus", "response", "propstat", "prop", "resourcetype", "collection"] => {
                        entry.is_folder = true;
                        None
                    }
                    _ => None,
                };
            }
            Event::Text(text) => append(&mut entry, field, &text.xml10_content(), place)?,
            Event::CData(text) => append(&mut entry, field, &text.xml10_content(), place)?,
            Event::GeneralRef(reference) => {
                let character = resolve_entity(&reference, place)?;
                append(&mut entry, field, character.encode_utf8(&mut [0; 4]), place)?;
            }
            Event::End(_) => {
                field = None;
                if path.len() == 2 && path[1] == "response" && path[0] == "multistatus" {
                    add(&mut found, folder, &entry, place)?;
                }
                if path.len() == 1 && path[0] == "multistatus" {
                    is_whole = true;
                }
                path.pop();
            }
            Event::Eof => break,
            Event::DocType(_) => return Err(RemoteError::invalid_response(place, "it holds a document type")),
            _ => {}
        }
    }
    if !is_whole || !path.is_empty() {
        return Err(RemoteError::invalid_response(place, "it is not a whole list"));
    }
    Ok(found.into_objects())
}

fn append(entry: &mut DavEntry, field: Option<DavField>, text: &str, place: &str) -> Result<(), RemoteError> {
    let Some(field) = field else { return Ok(()) };
    let kept = match field {
        DavField::Href => &mut entry.href,
        DavField::Status => &mut entry.status,
        DavField::Size => &mut entry.size,
    };
    if kept.len() + text.len() > 8192 {
        return Err(RemoteError::invalid_response(place, "it holds an address that is too long"));
    }
    kept.push_str(text);
    Ok(())
}

fn add(found: &mut ObjectListing, folder: &Url, entry: &DavEntry, place: &str) -> Result<(), RemoteError> {
    match entry.status.split_whitespace().nth(1) {
        None | Some("200") => {}
        // It is gone.
        Some("404") => return Ok(()),
        // 507 is how a server says that it left some out.
        Some(_) => return Err(RemoteError::invalid_response(place, "the server could not list all files")),
    }
    let href = entry.href.trim();
    let Ok(url) = folder.join(href) else {
        return Err(RemoteError::invalid_response(place, "it holds an address that is not a URL"));
    };
    // A proxy's server may know itself by another host. The path is what counts.
    let decoded = |path: &str| percent_decode_str(path).collect::<Vec<u8>>();
    let (path, own) = (decoded(url.path()), decoded(folder.path()));
    let own = own.strip_suffix(b"/").unwrap_or(&own);
    let Some(rest) = path.strip_prefix(own) else {
        return Err(RemoteError::invalid_response(place, "it lists another folder"));
    };
    let name = match rest {
        [] | [b'/'] => return Ok(()),
        [b'/', name @ ..] => String::from_utf8_lossy(name).into_owned(),
        _ => return Err(RemoteError::invalid_response(place, "it lists another folder")),
    };
    let name = if entry.is_folder { "" } else { &name };
    found.add(name, entry.size.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listed(body: &str) -> Result<Vec<(String, Option<u64>)>, String> {
        let folder = Url::parse("https://cloud.example/dav/a%20b/").unwrap();
        let found = objects(&folder, body.as_bytes(), "x").map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|object| (object.name, object.size)).collect())
    }

    fn response(href: &str, inside: &str) -> String {
        format!("<D:response><D:href>{href}</D:href><D:propstat><D:prop>{inside}</D:prop></D:propstat></D:response>")
    }

    fn of(responses: &str) -> String {
        format!("<?xml version=\"1.0\"?><D:multistatus xmlns:D=\"DAV:\">{responses}</D:multistatus>")
    }

    #[test]
    fn a_list_is_read_by_namespace_whatever_its_hrefs_look_like() {
        let folder = "<D:resourcetype><D:collection/></D:resourcetype>";
        let size = "<D:resourcetype/><D:getcontentlength>7</D:getcontentlength>";
        let all = [
            response("/dav/a%20b/", folder),
            response("/dav/a%20b/s-1.age", size),
            response("https://inner.example/dav/a b/s-2%2Eage", size),
            response("s-3.age", "<x:getcontentlength xmlns:x=\"other:\">9</x:getcontentlength>"),
            response("/dav/a&#x20;b/s-&#52;.age", size),
            response("/dav/a%20b/s-5.age", folder),
            response("/dav/a%20b/Photo%20(1).jpg", size),
            response("/dav/a%20b/..%2F..%2Fs-6.age", size),
            response("/dav/a%20b/s-7.age/x", size),
            "<D:response><D:href>/dav/a%20b/s-8.age</D:href><D:status>HTTP/1.1 404 Gone</D:status></D:response>".into(),
            "<response xmlns=\"other:\"><href>/dav/a%20b/s-9.age</href></response>".into(),
        ];
        let expected: Vec<_> = [("s-1.age", Some(7)), ("s-2.age", Some(7)), ("s-3.age", None), ("s-4.age", Some(7))]
            .map(|(n, s)| (n.to_owned(), s))
            .into();
        assert_eq!(listed(&of(&all.concat())).unwrap(), expected);
        // Other prefixes, or none.
        let other = of(&all.concat()).replace("<D:", "<").replace("</D:", "</").replace("xmlns:D", "xmlns");
        assert_eq!(listed(&other).unwrap(), expected);
    }

    #[test]
    fn a_list_that_is_not_whole_is_an_error() {
        let one = response("/dav/a%20b/s-1.age", "");
        let whole = of(&one);
        for end in [0, 1, 30, whole.len() - 1, whole.len() - 20, whole.len() - 80] {
            assert!(listed(&whole[..end]).is_err(), "{end}");
        }
        let partial = "<D:response><D:href>/dav/a%20b/</D:href><D:status>HTTP/1.1 507 Full</D:status></D:response>";
        for bad in [
            of(&format!("{one}{partial}")),
            of(&response("/elsewhere/s-1.age", "")),
            of(&response("../../s-1.age", "")),
            of(&response("/dav/a%20bc/s-1.age", "")),
            format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{whole}"),
            of(&response("/dav/a%20b/&own;", "")),
            of(&"<x>".repeat(100)),
            "<html><body>s-1.age</body></html>".into(),
            "{}".into(),
            of(&(0..30_000).map(|n| response(&format!("s-{n}.age"), "")).collect::<String>()),
            of(&response(&"a".repeat(10_000), "")),
        ] {
            assert!(listed(&bad).is_err(), "{}", &bad[..bad.len().min(200)]);
        }
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn any_answer_is_read_without_panic(body in "(<D:response>|</D:response>|<D:href>|</D:href>|<[a-z:]{1,5}/?>|&[a-z#0-9]{1,4};|/dav/a%20b/|\\PC){0,40}") {
                for object in listed(&of(&body)).unwrap_or_default() {
                    prop_assert!(super::super::super::is_object_name(&object.0));
                }
                let _ = listed(&body);
            }
        }
    }
}

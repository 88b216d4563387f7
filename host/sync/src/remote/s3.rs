//! A bucket of a server that speaks as S3 does: requests are signed in headers, so that no address is a key.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use aiw_core::{Secret, hex};
use aiw_home::{now_millis, parse_http_date, rfc3339};
use aiw_net::{HttpRequest, Method, Policy, Response};
use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quick_xml::events::Event;
use quick_xml::reader::Reader;
use sha2::{Digest, Sha256};
use url::Url;

use super::address::S3Address;
use super::pages::Pages;
use super::request::{MAX_ERROR_BODY_BYTES, RemoteClient, check_size_limit};
use super::xml::resolve_entity;
use super::{ObjectListing, Remote, RemoteContext, RemoteError, RemoteObject, check_name, check_object, verify_stored};

/// The secret with the id of the key and the key.
pub(crate) const CREDENTIALS_SECRET: &str = "sync-s3";

/// The region of servers that have none.
const DEFAULT_REGION: &str = "us-east-1";

/// The names that are requested in one answer. A server may send fewer.
const PAGE_SIZE: usize = 1000;

/// The characters that a signature leaves as they are.
const PERCENT_ENCODE_SET: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A bucket, or a part of one.
pub(super) struct S3 {
    client: RemoteClient,
    address: S3Address,
    id: String,
    key: Secret,
    /// By how much the server's clock is ahead, in milliseconds.
    ahead: Mutex<i64>,
}

/// A request before it is signed.
struct UnsignedRequest<'a> {
    method: Method,
    /// The path after the bucket: `/name`, or nothing.
    name: Option<&'a str>,
    /// In the order of their names.
    query: &'a [(&'a str, &'a str)],
    body: &'a [u8],
    limit: u64,
}

impl S3 {
    pub(super) async fn open(address: &S3Address, context: &RemoteContext) -> Result<Self, RemoteError> {
        let place = format!("`s3:{address}`");
        let both = context.login(CREDENTIALS_SECRET, &address.endpoint, &place).await?;
        let valid = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic());
        let Some((id, key)) = both.expose().split_once(':').filter(|(id, key)| valid(id) && valid(key)) else {
            return Err(RemoteError::MalformedLogin { place, form: "ACCESS_KEY_ID:SECRET" });
        };
        let mut policy = Policy::none();
        policy.grant_url(address.endpoint.as_str());
        Ok(Self {
            client: RemoteClient::new(context, policy, place),
            address: address.clone(),
            id: id.to_owned(),
            key: Secret::new(key),
            ahead: Mutex::new(0),
        })
    }

    fn key_of(&self, name: &str) -> String {
        match &self.address.prefix {
            Some(prefix) => format!("{prefix}/{name}"),
            None => name.to_owned(),
        }
    }

    /// Returns a signed request.
    fn request(&self, wanted: &UnsignedRequest<'_>) -> Result<HttpRequest, RemoteError> {
        let invalid = || RemoteError::Internal { what: "the address of an object" };
        let mut url = self.address.endpoint.clone();
        let path = match wanted.name {
            Some(name) => format!("/{}/{}", self.address.bucket, self.key_of(name)),
            None => format!("/{}", self.address.bucket),
        };
        url.set_path(&path);
        let encoded = |text: &str| utf8_percent_encode(text, &PERCENT_ENCODE_SET).to_string();
        let pairs: Vec<String> =
            wanted.query.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let query = pairs.join("&");
        url.set_query(Some(query.as_str()).filter(|query| !query.is_empty()));
        let now = now_millis().saturating_add_signed(*self.ahead.lock());
        // 2026-11-27T10:00:00.000Z
        let time: String = rfc3339(now).chars().filter(|c| c.is_ascii_digit()).take(14).collect();
        let (day, clock) = time.split_at_checked(8).ok_or_else(invalid)?;
        let stamp = format!("{day}T{clock}Z");
        let digest = hex(&Sha256::digest(wanted.body));
        let verb = match wanted.method {
            Method::Put => "PUT",
            Method::Delete => "DELETE",
            _ => "GET",
        };
        let host = host(&url).ok_or_else(invalid)?;
        let names = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{verb}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{stamp}\n\n{names}\n{digest}"
        );
        let region = self.address.region.as_deref().unwrap_or(DEFAULT_REGION);
        let scope = format!("{day}/{region}/s3/aws4_request");
        let signature = signature(self.key.expose(), &[day, region, "s3", "aws4_request"], &stamp, &scope, &canonical)
            .ok_or_else(invalid)?;
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", self.id);
        let mut request =
            HttpRequest { method: wanted.method, max_body_bytes: wanted.limit, ..HttpRequest::new(url.as_str()) };
        request.headers.extend([("x-amz-content-sha256".to_owned(), digest), ("x-amz-date".to_owned(), stamp)]);
        request.secret_headers.push(("authorization".into(), Secret::new(authorization)));
        request.body = wanted.body.to_vec();
        Ok(request)
    }

    /// Sends a request. A server that says that this clock is wrong is asked again by its own.
    async fn send(&self, wanted: &UnsignedRequest<'_>) -> Result<Response, RemoteError> {
        let response = self.client.send(&self.request(wanted)?).await?;
        if response.status != 403 || code(&response.body) != "RequestTimeTooSkewed" {
            return Ok(response);
        }
        let Some(theirs) = response.header("date").and_then(parse_http_date) else { return Ok(response) };
        *self.ahead.lock() = theirs.saturating_sub_unsigned(now_millis());
        self.client.send(&self.request(wanted)?).await
    }

    fn refused(&self, response: &Response) -> RemoteError {
        match code(&response.body).as_str() {
            code @ "NoSuchBucket" => {
                RemoteError::Status { place: self.client.place.clone(), status: response.status, said: code.to_owned() }
            }
            "SlowDown" => RemoteError::RateLimited { place: self.client.place.clone(), seconds: None },
            code => self.client.status_error(response, code),
        }
    }

    async fn page(&self, from: Option<&str>) -> Result<S3Page, RemoteError> {
        let prefix = self.address.prefix.as_ref().map(|prefix| format!("{prefix}/"));
        let most = PAGE_SIZE.to_string();
        let mut query = Vec::new();
        query.extend(from.map(|token| ("continuation-token", token)));
        query.extend([("delimiter", "/"), ("list-type", "2"), ("max-keys", &most)]);
        query.extend(prefix.as_deref().map(|prefix| ("prefix", prefix)));
        // A key has at most 1024 bytes, and the server says some 400 bytes of each.
        let wanted = UnsignedRequest { method: Method::Get, name: None, query: &query, body: b"", limit: 8 << 20 };
        let response = self.send(&wanted).await?;
        match response.status {
            200 => S3Page::parse(&response.body, &self.client.place),
            _ => Err(self.refused(&response)),
        }
    }

    async fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        let limited = limit.max(MAX_ERROR_BODY_BYTES);
        let wanted = UnsignedRequest { method: Method::Get, name: Some(name), query: &[], body: b"", limit: limited };
        let response = check_size_limit(self.send(&wanted).await, name, limit)?;
        match response.status {
            200 => Ok(response.body),
            404 if code(&response.body) != "NoSuchBucket" => {
                Err(RemoteError::NotFound { name: name.to_owned(), place: self.client.place.clone() })
            }
            _ => Err(self.refused(&response)),
        }
    }
}

/// The host as it is sent: with its port, if it is not the scheme's own.
fn host(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn hmac(key: &[u8], text: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(text.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

/// Returns the signature of a canonical request.
fn signature(key: &str, parts: &[&str], stamp: &str, scope: &str, canonical: &str) -> Option<String> {
    let digest = hex(&Sha256::digest(canonical.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}");
    let key = parts.iter().try_fold(format!("AWS4{key}").into_bytes(), |key, part| hmac(&key, part))?;
    Some(hex(&hmac(&key, &text)?))
}

#[async_trait]
impl Remote for S3 {
    async fn put(&self, name: &str, bytes: &[u8]) -> Result<Option<String>, RemoteError> {
        check_object(name, bytes)?;
        let wanted = UnsignedRequest { method: Method::Put, name: Some(name), query: &[], body: bytes, limit: 1 << 20 };
        let response = self.send(&wanted).await?;
        if response.status != 200 {
            return Err(self.refused(&response));
        }
        verify_stored(self, &self.client.place, name, bytes).await?;
        Ok(None)
    }

    async fn list(&self) -> Result<Vec<RemoteObject>, RemoteError> {
        let place = &self.client.place;
        let prefix = self.key_of("");
        let mut found = ObjectListing::new(place);
        let mut token: Option<String> = None;
        let mut pages = Pages::new(place);
        loop {
            let page = self.page(token.as_deref()).await?;
            let names = page.objects.len();
            for (key, size) in page.objects {
                let Some(name) = key.strip_prefix(&prefix) else {
                    return Err(RemoteError::invalid_response(place, "it lists keys with another prefix"));
                };
                found.add(name, size)?;
            }
            match page.next {
                None if page.is_truncated => {
                    return Err(RemoteError::invalid_response(place, "its list has no end and no next part"));
                }
                None => return Ok(found.into_objects()),
                Some(next) => {
                    pages.record_page(names, &next)?;
                    token = Some(next);
                }
            }
        }
    }

    async fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        check_name(name)?;
        self.read(name, limit).await
    }

    async fn delete(&self, name: &str) -> Result<(), RemoteError> {
        check_name(name)?;
        let wanted =
            UnsignedRequest { method: Method::Delete, name: Some(name), query: &[], body: b"", limit: 1 << 20 };
        let response = self.send(&wanted).await?;
        match response.status {
            200 | 204 => Ok(()),
            404 if code(&response.body) != "NoSuchBucket" => Ok(()),
            _ => Err(self.refused(&response)),
        }
    }
}

/// A part of a list.
#[derive(Debug, Default)]
struct S3Page {
    objects: Vec<(String, Option<u64>)>,
    is_truncated: bool,
    next: Option<String>,
}

impl S3Page {
    fn parse(body: &[u8], place: &str) -> Result<Self, RemoteError> {
        let mut page = Self::default();
        let (mut key, mut size) = (String::new(), String::new());
        let is_whole = each_text(body, place, |path, text| {
            match path {
                ["ListBucketResult", "IsTruncated"] => page.is_truncated = text.trim() == "true",
                ["ListBucketResult", "NextContinuationToken"] if !text.is_empty() => page.next = Some(text.to_owned()),
                ["ListBucketResult", "Contents", "Key"] => text.clone_into(&mut key),
                ["ListBucketResult", "Contents", "Size"] => text.clone_into(&mut size),
                ["ListBucketResult", "Contents"] => {
                    page.objects.push((std::mem::take(&mut key), std::mem::take(&mut size).trim().parse().ok()));
                }
                _ => {}
            }
            Ok(())
        })?;
        if is_whole.as_deref() != Some("ListBucketResult") {
            return Err(RemoteError::invalid_response(place, "it is not a whole list"));
        }
        if !page.is_truncated {
            page.next = None;
        }
        Ok(page)
    }
}

/// Reads XML: gives each element, at its end, with its path and its text. Returns the name of the outermost one, if the
/// document is whole. Names are local: servers that speak as S3 does don't agree on a namespace.
fn each_text(
    body: &[u8],
    place: &str,
    mut take: impl FnMut(&[&str], &str) -> Result<(), RemoteError>,
) -> Result<Option<String>, RemoteError> {
    let text = std::str::from_utf8(body).map_err(|error| RemoteError::unreadable(place, error))?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let mut path: Vec<String> = Vec::new();
    let mut content = String::new();
    let mut outermost = None;
    loop {
        match reader.read_event().map_err(|error| RemoteError::unreadable(place, error))? {
            Event::Start(start) => {
                if path.len() > 16 {
                    return Err(RemoteError::invalid_response(place, "its elements are nested too deeply"));
                }
                path.push(start.local_name().as_ref().to_owned());
                content.clear();
            }
            Event::Text(text) => content.push_str(&text.xml10_content()),
            Event::CData(text) => content.push_str(&text.xml10_content()),
            Event::GeneralRef(reference) => content.push(resolve_entity(&reference, place)?),
            Event::End(_) => {
                let names: Vec<&str> = path.iter().map(String::as_str).collect();
                take(&names, &content)?;
                content.clear();
                outermost = path.pop();
            }
            Event::Eof => return Ok(outermost.filter(|_| path.is_empty())),
            Event::DocType(_) => return Err(RemoteError::invalid_response(place, "it holds a document type")),
            _ => {}
        }
    }
}

/// Returns the code of an error: `NoSuchKey`.
fn code(body: &[u8]) -> String {
    let mut code = String::new();
    let _ = each_text(body, "", |path, text| {
        if let ["Error", "Code"] = path {
            text.clone_into(&mut code);
        }
        Ok(())
    });
    code
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The example of AWS's documentation, "GET Object".
    #[test]
    fn a_request_is_signed_as_the_documentation_signs_it() {
        let empty = hex(&Sha256::digest(b""));
        let canonical = format!(
            "GET\n/test.txt\n\nhost:examplebucket.s3.amazonaws.com\nrange:bytes=0-9\nx-amz-content-sha256:{empty}\n\
             x-amz-date:20130524T000000Z\n\nhost;range;x-amz-content-sha256;x-amz-date\n{empty}"
        );
        let found = signature(
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            &["20130524", "us-east-1", "s3", "aws4_request"],
            "20130524T000000Z",
            "20130524/us-east-1/s3/aws4_request",
            &canonical,
        );
        assert_eq!(found.as_deref(), Some("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"));
    }

    #[test]
    fn a_page_is_read_whole_or_refused() {
        let text = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                    <IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken><Contents>\
                    <Key>p/s-1.age</Key><Size>7</Size><Owner><ID>x</ID></Owner></Contents><Contents><Key>q</Key></Contents>\
                    <CommonPrefixes><Prefix>p/x/</Prefix></CommonPrefixes></ListBucketResult>";
        let page = S3Page::parse(text.as_bytes(), "x").unwrap();
        assert_eq!(page.objects, [("p/s-1.age".to_owned(), Some(7)), ("q".to_owned(), None)]);
        assert_eq!((page.is_truncated, page.next.as_deref()), (true, Some("a&b")));
        for end in [0, 20, 200, text.len() - 1] {
            assert!(S3Page::parse(&text.as_bytes()[..end], "x").is_err(), "{end}");
        }
        for bad in ["<Error><Code>NoSuchKey</Code></Error>", "", "{}", "<!DOCTYPE x><ListBucketResult/>"] {
            assert!(S3Page::parse(bad.as_bytes(), "x").is_err(), "{bad}");
        }
        assert_eq!(code(b"<Error><Code>NoSuchKey</Code></Error>"), "NoSuchKey");
        assert_eq!(code(b"<html>"), "");
    }

    mod fuzz {
        use super::*;

        proptest! {
            #[test]
            fn any_answer_is_read_without_panic(body in "(<ListBucketResult>|</ListBucketResult>|<Contents>|</Contents>|<Key>|</Key>|&[a-z#0-9]{1,4};|\\PC){0,40}") {
                let _ = S3Page::parse(body.as_bytes(), "x");
                let _ = code(body.as_bytes());
            }
        }
    }
}

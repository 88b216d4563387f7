//! Requests to Drive. <https://developers.google.com/workspace/drive/api/reference/rest/v3>

use aiw_core::Secret;
use aiw_net::{HttpRequest, Method, Policy, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use url::Url;

use super::super::pages::Pages;
use super::super::request::{RemoteClient, is_transient_error, retry_after};
use super::super::{MAX_NAMES, RemoteContext, RemoteError};
use super::login::DriveAccess;
use super::place::{API_URL, REMOTE_NAME, join_url, resolve_base_url};

/// The folder, in the user's Drive.
pub(super) const FOLDER: &str = "agentic-warden";

const FOLDER_TYPE: &str = "application/vnd.google-apps.folder";

/// The files that are requested in one answer. Drive may send fewer.
const PAGE_SIZE: usize = 1000;

/// Reasons of a 403 that pass.
const RATE_LIMIT_REASONS: [&str; 3] = ["userRateLimitExceeded", "rateLimitExceeded", "sharingRateLimitExceeded"];

/// Reasons of a 403 that say that there is no space left.
const QUOTA_REASONS: [&str; 3] =
    ["storageQuotaExceeded", "teamDriveFileLimitExceeded", "numChildrenInNonRootLimitExceeded"];

/// A file as Drive describes it.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(super) struct DriveFile {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: String,
    /// A number, as text.
    #[serde(default)]
    size: Option<Value>,
    #[serde(default)]
    pub(super) sha256_checksum: Option<String>,
    #[serde(default)]
    trashed: bool,
}

impl DriveFile {
    pub(super) fn size(&self) -> Option<u64> {
        match self.size.as_ref()? {
            Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DrivePage {
    files: Vec<DriveFile>,
    #[serde(default)]
    next_page_token: Option<String>,
    #[serde(default)]
    incomplete_search: bool,
}

/// Drive, with a login.
pub(super) struct DriveFiles {
    pub(super) client: RemoteClient,
    access: DriveAccess,
    pub(super) api: Url,
}

impl DriveFiles {
    pub(super) async fn open(context: &RemoteContext) -> Result<Self, RemoteError> {
        let (api, policy): (Url, Policy) = resolve_base_url(context.settings.google.api_url.as_deref(), API_URL)?;
        let way = RemoteClient::new(context, policy, REMOTE_NAME);
        Ok(Self { client: way, access: DriveAccess::open(context).await?, api })
    }

    /// Returns a request for something below the API.
    pub(super) fn request(
        &self,
        method: Method,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<HttpRequest, RemoteError> {
        let mut url = join_url(&self.api, path)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = HttpRequest { method, ..HttpRequest::new(url.as_str()) };
        request.headers.push(("accept".into(), "application/json".into()));
        Ok(request)
    }

    /// Returns a request that sends JSON.
    pub(super) fn json_request(
        &self,
        path: &str,
        query: &[(&str, &str)],
        body: &Value,
    ) -> Result<HttpRequest, RemoteError> {
        let mut request = self.request(Method::Post, path, query)?;
        request.headers.push(("content-type".into(), "application/json; charset=UTF-8".into()));
        request.body = body.to_string().into_bytes();
        Ok(request)
    }

    /// Sends a request once, and once more if its token has ended.
    pub(super) async fn send_once(&self, request: &HttpRequest) -> Result<Response, RemoteError> {
        let token = self.access.token().await?;
        let response = self.client.send_once(&with_token(request, &token)).await?;
        if response.status != 401 {
            return Ok(response);
        }
        let token = self.access.refreshed_token(&token).await?;
        self.client.send_once(&with_token(request, &token)).await
    }

    /// Sends a request, which may be sent twice, until it is answered with something that does not pass.
    pub(super) async fn send(&self, request: &HttpRequest) -> Result<Response, RemoteError> {
        let mut pauses = self.client.backoff();
        loop {
            let sent = self.send_once(request).await;
            let asked = match &sent {
                Ok(response) if is_transient_response(response) => retry_after(response),
                Err(error) if is_transient_error(error) => {
                    pauses.record_timeout();
                    None
                }
                _ => return sent,
            };
            if !pauses.wait(asked).await {
                return sent.and_then(|response| Err(self.response_error(&response)));
            }
        }
    }

    /// Returns what a status means that is not what one hoped for.
    pub(super) fn response_error(&self, response: &Response) -> RemoteError {
        let place = || REMOTE_NAME.to_owned();
        let reasons = reasons(&response.body);
        let has = |known: &[&str]| reasons.iter().any(|reason| known.contains(&reason.as_str()));
        match response.status {
            403 if has(&QUOTA_REASONS) => RemoteError::StorageFull { place: place() },
            403 | 429 if has(&RATE_LIMIT_REASONS) || response.status == 429 => {
                RemoteError::RateLimited { place: place(), seconds: retry_after(response) }
            }
            401 => RemoteError::LoginExpired { place: place(), why: "it does not take the token any more".into() },
            _ => self.client.status_error(response, reasons.first().map_or("", String::as_str)),
        }
    }

    /// Reads an answer, which must be a success.
    pub(super) fn read<T: DeserializeOwned>(&self, response: &Response) -> Result<T, RemoteError> {
        match response.status {
            200 | 201 => {
                aiw_core::from_foreign_json(&response.body).map_err(|error| RemoteError::unreadable(REMOTE_NAME, error))
            }
            _ => Err(self.response_error(response)),
        }
    }

    /// Returns an id for a file that is about to be made. Who makes it twice makes one.
    pub(super) async fn new_id(&self) -> Result<String, RemoteError> {
        #[derive(Deserialize)]
        struct DriveIds {
            ids: Vec<String>,
        }

        let query = [("count", "1"), ("space", "drive"), ("type", "files")];
        let response = self.send(&self.request(Method::Get, "drive/v3/files/generateIds", &query)?).await?;
        let ids: DriveIds = self.read(&response)?;
        ids.ids
            .into_iter()
            .find(|id| is_id(id))
            .ok_or_else(|| RemoteError::invalid_response(REMOTE_NAME, "it holds no id"))
    }

    /// Returns all files that a query finds.
    pub(super) async fn find(&self, query: &str) -> Result<Vec<DriveFile>, RemoteError> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        let most = PAGE_SIZE.to_string();
        let mut pages = Pages::new(REMOTE_NAME);
        loop {
            let fields = "nextPageToken,incompleteSearch,files(id,name,size,sha256Checksum)";
            let mut pairs =
                vec![("q", query), ("fields", fields), ("pageSize", &most), ("spaces", "drive"), ("orderBy", "name")];
            pairs.extend(token.as_deref().map(|token| ("pageToken", token)));
            let response = self.send(&self.request(Method::Get, "drive/v3/files", &pairs)?).await?;
            let page: DrivePage = self.read(&response)?;
            if page.incomplete_search {
                return Err(RemoteError::invalid_response(REMOTE_NAME, "its list is not complete"));
            }
            let names = page.files.len();
            found.extend(page.files);
            if found.len() > MAX_NAMES {
                return Err(RemoteError::TooManyObjects { place: REMOTE_NAME.into() });
            }
            match page.next_page_token.filter(|token| !token.is_empty()) {
                None if found.iter().any(|file| !is_id(&file.id)) => {
                    return Err(RemoteError::invalid_response(
                        REMOTE_NAME,
                        "it names a file by something that is not an id",
                    ));
                }
                None => return Ok(found),
                Some(next) => {
                    pages.record_page(names, &next)?;
                    token = Some(next);
                }
            }
        }
    }

    /// Returns the file with an id. `None` if it doesn't exist, or is in the trash.
    pub(super) async fn file(&self, id: &str) -> Result<Option<DriveFile>, RemoteError> {
        let fields = [("fields", "id,name,size,sha256Checksum,trashed")];
        let response = self.send(&self.request(Method::Get, &format!("drive/v3/files/{id}"), &fields)?).await?;
        if response.status == 404 {
            return Ok(None);
        }
        let file: DriveFile = self.read(&response)?;
        Ok(Some(file).filter(|file| file.id == id && !file.trashed))
    }

    /// Returns the ids of all folders with our name, the lowest first. After a race there are two.
    pub(super) async fn folders(&self) -> Result<Vec<String>, RemoteError> {
        let query = format!("name='{FOLDER}' and mimeType='{FOLDER_TYPE}' and trashed=false");
        let mut ids: Vec<String> = self.find(&query).await?.into_iter().map(|folder| folder.id).collect();
        ids.sort();
        ids.dedup();
        Ok(ids)
    }

    /// Makes a folder. Returns its id.
    pub(super) async fn make_folder(&self) -> Result<String, RemoteError> {
        let id = self.new_id().await?;
        let body = json!({"id": id, "name": FOLDER, "mimeType": FOLDER_TYPE});
        let response = self.send(&self.json_request("drive/v3/files", &[("fields", "id")], &body)?).await?;
        match response.status {
            // 409: an attempt before this one had made it.
            200 | 201 | 409 => Ok(id),
            _ => Err(self.response_error(&response)),
        }
    }
}

fn with_token(request: &HttpRequest, token: &Secret) -> HttpRequest {
    let mut request = request.clone();
    request.secret_headers.push(("authorization".into(), Secret::new(format!("Bearer {}", token.expose()))));
    request
}

/// Returns whether a text can be an id: it becomes part of an address and of a query.
pub(super) fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=200).contains(&text.len()) && text.bytes().all(allowed)
}

/// Returns the reasons of an error.
fn reasons(body: &[u8]) -> Vec<String> {
    let said: Value = aiw_core::from_foreign_json(body).unwrap_or_default();
    let errors = said["error"]["errors"].as_array().into_iter().flatten();
    errors.filter_map(|error| error["reason"].as_str()).take(8).map(|reason| aiw_core::one_line(reason, 60)).collect()
}

/// Returns whether an answer may be another one in a moment.
pub(super) fn is_transient_response(response: &Response) -> bool {
    match response.status {
        408 | 429 | 500 | 502 | 503 | 504 => true,
        403 => reasons(&response.body).iter().any(|reason| RATE_LIMIT_REASONS.contains(&reason.as_str())),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_character_is_read() {
        aiw_tests::assert_reads_odd_json(r#"{"error": {"errors": [{"reason": "TEXT"}]}}"#, |bytes| {
            let said: Value = aiw_core::from_foreign_json(bytes).unwrap();
            let reason = said["error"]["errors"][0]["reason"].as_str()?.to_owned();
            assert_eq!(reasons(bytes), [aiw_core::one_line(&reason, 60)]);
            Some(reason)
        });
    }
}

//! Resumable uploads. <https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable>

use aiw_core::hex;
use aiw_net::{HttpRequest, Method, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use super::super::limits::READ_ATTEMPTS;
use super::super::request::{MAX_ERROR_BODY_BYTES, check_size_limit, is_transient_error, retry_after};
use super::super::{MAX_OBJECT_BYTES, RemoteError};
use super::files::{DriveFile, DriveFiles, is_transient_response};
use super::place::REMOTE_NAME;

/// The bytes of one request: a multiple of 256 KiB, as Drive demands.
const CHUNK_BYTES: usize = 8 << 20;

/// How often an upload is begun.
const MAX_UPLOAD_ATTEMPTS: u32 = 3;

/// How often a file is made whose bytes come back as others.
const MAX_FILE_ATTEMPTS: u32 = 2;

/// The end of an upload session.
enum Session {
    /// Drive says that it holds all.
    Done(Option<DriveFile>),
    /// Drive knows it no more.
    SessionExpired,
}

/// Makes a file in a folder. Returns its id once its bytes are there.
pub(super) async fn upload(files: &DriveFiles, folder: &str, name: &str, bytes: &[u8]) -> Result<String, RemoteError> {
    for _ in 0..MAX_FILE_ATTEMPTS {
        let id = files.new_id().await?;
        let mut made = None;
        for _ in 0..MAX_UPLOAD_ATTEMPTS {
            match begin(files, &id, folder, name, bytes.len()).await? {
                None => {
                    made = Some(None);
                    break;
                }
                Some(session) => match send(files, &session, bytes).await? {
                    Session::Done(file) => {
                        made = Some(file);
                        break;
                    }
                    Session::SessionExpired => {}
                },
            }
        }
        let Some(file) = made else {
            return Err(RemoteError::invalid_response(REMOTE_NAME, "it forgets each upload that it begins"));
        };
        if is_right(files, &id, file, bytes).await? {
            return Ok(id);
        }
        // What it kept is of no use to anybody.
        let _ = remove(files, &id).await;
    }
    Err(RemoteError::Damaged { name: name.to_owned(), place: REMOTE_NAME.into() })
}

/// Begins an upload. Returns its address; `None` if the file is there already.
async fn begin(
    files: &DriveFiles,
    id: &str,
    folder: &str,
    name: &str,
    length: usize,
) -> Result<Option<Url>, RemoteError> {
    let body = json!({"id": id, "name": name, "parents": [folder], "mimeType": "application/octet-stream"});
    let query = [("uploadType", "resumable"), ("fields", "id,name,size,sha256Checksum")];
    let mut request = files.json_request("upload/drive/v3/files", &query, &body)?;
    request.headers.push(("x-upload-content-type".into(), "application/octet-stream".into()));
    request.headers.push(("x-upload-content-length".into(), length.to_string()));
    let response = files.send(&request).await?;
    match response.status {
        200 | 201 => {}
        409 => return Ok(None),
        _ => return Err(files.response_error(&response)),
    }
    let url = response.header("location").and_then(|to| files.api.join(to).ok());
    // The bytes and the token go nowhere else.
    match url.filter(|url| url.origin() == files.api.origin()) {
        Some(url) => Ok(Some(url)),
        None => Err(RemoteError::invalid_response(REMOTE_NAME, "it names no address, or one elsewhere, for an upload")),
    }
}

/// Sends all bytes, piece by piece, from where Drive has kept them.
async fn send(files: &DriveFiles, session: &Url, bytes: &[u8]) -> Result<Session, RemoteError> {
    let total = bytes.len();
    let mut pauses = files.client.backoff();
    let mut kept = 0;
    // Whether Drive is asked what it has kept.
    let mut is_unsure = false;
    loop {
        let (range, piece) = if is_unsure || total == 0 {
            (format!("bytes */{total}"), &[][..])
        } else {
            let end = (kept + CHUNK_BYTES).min(total);
            (format!("bytes {kept}-{}/{total}", end - 1), &bytes[kept..end])
        };
        let sent = kept + piece.len();
        let mut request = HttpRequest { method: Method::Put, ..HttpRequest::new(session.as_str()) };
        request.headers.push(("content-range".into(), range));
        request.body = piece.to_vec();
        let answer = files.send_once(&request).await;
        let asked = match &answer {
            Ok(response) => match response.status {
                200 | 201 => return Ok(Session::Done(aiw_core::from_foreign_json(&response.body).ok())),
                // The file with this id is there.
                409 => return Ok(Session::Done(None)),
                404 | 410 => return Ok(Session::SessionExpired),
                308 => {
                    let now = kept_until(response, if is_unsure { total } else { sent })?;
                    let is_further = now > kept;
                    (kept, is_unsure) = (now, false);
                    if is_further {
                        pauses = files.client.backoff();
                        continue;
                    }
                    None
                }
                _ if is_transient_response(response) => {
                    is_unsure = true;
                    retry_after(response)
                }
                _ => return Err(files.response_error(response)),
            },
            Err(error) if is_transient_error(error) => {
                pauses.record_timeout();
                is_unsure = true;
                None
            }
            Err(_) => return answer.map(|_| Session::SessionExpired),
        };
        if !pauses.wait(asked).await {
            return match answer {
                Ok(response) if response.status == 308 => {
                    Err(RemoteError::invalid_response(REMOTE_NAME, "it keeps nothing of an upload"))
                }
                Ok(response) => Err(files.response_error(&response)),
                Err(error) => Err(error),
            };
        }
    }
}

/// Returns how many bytes Drive has kept: `Range: bytes=0-N`, or no such header for none.
fn kept_until(response: &Response, most: usize) -> Result<usize, RemoteError> {
    let Some(range) = response.header("range") else { return Ok(0) };
    let range = range.trim().trim_start_matches("bytes").trim_start_matches(['=', ' ']);
    let last = range.strip_prefix("0-").and_then(|last| last.parse::<usize>().ok());
    match last.and_then(|last| last.checked_add(1)) {
        Some(kept) if kept <= most => Ok(kept),
        _ => Err(RemoteError::invalid_response(REMOTE_NAME, "it has kept other bytes of an upload than it got")),
    }
}

/// Returns whether the bytes of a file are these: by the digest that Drive gives, else by reading them.
async fn is_right(files: &DriveFiles, id: &str, said: Option<DriveFile>, bytes: &[u8]) -> Result<bool, RemoteError> {
    if let Some(file) = said.filter(|file| file.id == id)
        && let Some(digest) = &file.sha256_checksum
    {
        let is_whole = file.size().is_none_or(|size| size == bytes.len() as u64);
        return Ok(is_whole && digest.eq_ignore_ascii_case(&hex(&Sha256::digest(bytes))));
    }
    for _ in 0..READ_ATTEMPTS {
        match read(files, id, MAX_OBJECT_BYTES).await {
            Ok(Some(kept)) if kept == bytes => return Ok(true),
            Ok(_) | Err(RemoteError::TooLarge { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Reads a file; `None` if it is not there.
pub(super) async fn read(files: &DriveFiles, id: &str, limit: u64) -> Result<Option<Vec<u8>>, RemoteError> {
    let request = files.request(Method::Get, &format!("drive/v3/files/{id}"), &[("alt", "media")])?;
    let request = HttpRequest { max_body_bytes: limit.max(MAX_ERROR_BODY_BYTES), ..request };
    let response = check_size_limit(files.send(&request).await, id, limit)?;
    match response.status {
        200 => Ok(Some(response.body)),
        404 => Ok(None),
        _ => Err(files.response_error(&response)),
    }
}

/// Deletes a file. One that is not there is deleted.
pub(super) async fn remove(files: &DriveFiles, id: &str) -> Result<(), RemoteError> {
    let response = files.send(&files.request(Method::Delete, &format!("drive/v3/files/{id}"), &[])?).await?;
    match response.status {
        200 | 204 | 404 => Ok(()),
        _ => Err(files.response_error(&response)),
    }
}

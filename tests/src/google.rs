//! A Google on loopback, after Google's documents: its logins of devices, and Drive.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::form_urlencoded::parse;

use crate::{Answer, Request, Server};

/// How each secret of this Google and of its client begins.
const SECRETS: &str = "canary-5f1c";

/// A file of Drive, or a folder.
#[derive(Clone, Default)]
pub struct DriveEntry {
    /// The name.
    pub name: String,
    /// Its MIME type.
    pub kind: String,
    /// The id of the folder that it is in.
    pub parent: String,
    /// The content.
    pub bytes: Vec<u8>,
    /// `true` if it is in the trash: listings leave it out.
    pub trashed: bool,
}

/// An upload that was begun.
#[derive(Default)]
struct Upload {
    id: String,
    file: DriveEntry,
    total: usize,
}

type Fault = Box<dyn FnMut(&Request, &mut GoogleState) -> Option<Answer> + Send>;

/// The state of this Google.
#[derive(Default)]
pub struct GoogleState {
    /// All files and folders, by id.
    pub files: BTreeMap<String, DriveEntry>,
    uploads: Vec<Option<Upload>>,
    ids: usize,
    /// The token that is good. Each refresh gives another one.
    pub access: usize,
    /// How often the token was refreshed.
    pub refreshes: usize,
    /// Whether the login was revoked.
    pub revoked: bool,
    /// Whether files are said with their digests.
    pub has_digests: bool,
    /// How many files a page has.
    pub page: usize,
    /// The answers of the token endpoint before it says yes.
    pub polls: Vec<Answer>,
    /// Fields that the token endpoint adds.
    pub more: Value,
    /// All requests so far.
    pub log: Vec<Request>,
}

/// A Google on loopback. Dropped, it checks that no secret was in an address.
pub struct LoopbackGoogle {
    /// Its server.
    pub server: Server,
    /// What it holds.
    pub state: Arc<Mutex<GoogleState>>,
    /// What it answers in place of what it should.
    fault: Arc<Mutex<Option<Fault>>>,
}

impl LoopbackGoogle {
    /// The kind of a folder of Drive.
    pub const FOLDER: &'static str = "application/vnd.google-apps.folder";

    /// The secret of its OAuth client.
    pub const CLIENT_SECRET: &'static str = "canary-5f1c-client";

    /// Starts a Google without a file, whose lists have two files a page.
    pub fn start() -> Self {
        let state = GoogleState { has_digests: true, page: 2, more: json!({}), ..GoogleState::default() };
        let state = Arc::new(Mutex::new(state));
        let fault = Arc::<Mutex<Option<Fault>>>::default();
        let (theirs, faults) = (state.clone(), fault.clone());
        let server = Server::start(move |request| {
            let mut state = theirs.lock();
            state.log.push(request.clone());
            let mut fault = faults.lock();
            let made = fault.as_mut().and_then(|fault| fault(request, &mut state));
            made.unwrap_or_else(|| state.answer(request))
        });
        Self { server, state, fault }
    }

    /// Returns a refusal as Google writes it.
    pub fn refusal(status: u16, reason: &str) -> Answer {
        let errors = json!([{"reason": reason, "message": "x"}]);
        Answer::json(status, &json!({"error": {"code": status, "errors": errors, "message": "x"}}))
    }

    /// Returns the settings of a machine that uses it.
    pub fn settings(&self) -> Value {
        json!({"sync": {"google": {
            "oauth_url": self.server.url() + "/oauth",
            "api_url": self.server.url() + "/api/",
            "client_id": "client.apps.example",
        }}})
    }

    /// Answers otherwise, for as long as `fault` does.
    pub fn but(&self, fault: impl FnMut(&Request, &mut GoogleState) -> Option<Answer> + Send + 'static) {
        *self.fault.lock() = Some(Box::new(fault));
    }

    /// Returns how many requests of this kind came.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.state.lock().log.iter().filter(|request| request.method == method && request.path.contains(path)).count()
    }
}

impl Drop for LoopbackGoogle {
    fn drop(&mut self) {
        // Whatever a test is about: no secret was in an address.
        for request in &self.state.lock().log {
            assert!(!request.path.contains(SECRETS) && !request.query.contains(SECRETS), "{request:?}");
        }
    }
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    parse(text.as_bytes()).into_owned().collect()
}

impl GoogleState {
    fn answer(&mut self, request: &Request) -> Answer {
        let query = pairs(&request.query);
        let form = pairs(std::str::from_utf8(&request.body).unwrap_or_default());
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/oauth/device/code") => Answer::json(
                200,
                &json!({
                    "device_code": format!("{SECRETS}-device"), "user_code": "GQVQ-JKEC", "expires_in": 1800, "interval": 5,
                    "verification_url": "https://www.google.com/device",
                }),
            ),
            ("POST", "/oauth/token") => self.token(&form),
            ("POST", "/oauth/revoke") => {
                assert!(form["token"].starts_with(SECRETS));
                self.revoked = true;
                Answer::ok("{}")
            }
            _ if request.headers.get("authorization") != Some(&format!("Bearer {SECRETS}-access-{}", self.access)) => {
                LoopbackGoogle::refusal(401, "authError")
            }
            ("GET", "/api/drive/v3/files/generateIds") => {
                self.ids += 1;
                Answer::json(200, &json!({"ids": [format!("id{:04}", self.ids)]}))
            }
            ("GET", "/api/drive/v3/files") => self.list(&query),
            ("POST", "/api/drive/v3/files") => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let id = body["id"].as_str().unwrap().to_owned();
                if self.files.contains_key(&id) {
                    return LoopbackGoogle::refusal(409, "fileIdInUse");
                }
                let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
                let file = DriveEntry { name: text("name"), kind: text("mimeType"), ..DriveEntry::default() };
                self.files.insert(id.clone(), file);
                Answer::json(200, &json!({"id": id}))
            }
            ("POST", "/api/upload/drive/v3/files") => self.begin(request, &query),
            ("PUT", path) if path.starts_with("/api/session/") => {
                let (range, total) = request.headers["content-range"].rsplit_once('/').unwrap();
                let last = range.rsplit_once('-').map_or(total, |(_, last)| last);
                let is_last = last.parse::<usize>().unwrap() + 1 >= total.parse().unwrap();
                assert!(is_last || request.body.len().is_multiple_of(256 << 10), "{range}");
                self.piece(request)
            }
            (method, path) => self.one(method, path.strip_prefix("/api/drive/v3/files/").unwrap(), &query),
        }
    }

    fn token(&mut self, form: &BTreeMap<String, String>) -> Answer {
        assert_eq!(form["client_id"], "client.apps.example");
        assert_eq!(form["client_secret"], LoopbackGoogle::CLIENT_SECRET);
        if form["grant_type"] == "refresh_token" {
            assert_eq!(form["refresh_token"], format!("{SECRETS}-refresh"));
            if self.revoked {
                return Answer::json(
                    400,
                    &json!({"error": "invalid_grant", "error_description": "Token has been revoked."}),
                );
            }
            self.refreshes += 1;
            self.access += 1;
        } else {
            assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
            assert_eq!(form["device_code"], format!("{SECRETS}-device"));
            if !self.polls.is_empty() {
                return self.polls.remove(0);
            }
        }
        let mut said = json!({
            "access_token": format!("{SECRETS}-access-{}", self.access), "expires_in": 3599, "token_type": "Bearer",
            "scope": "https://www.googleapis.com/auth/drive.file", "refresh_token": format!("{SECRETS}-refresh"),
        });
        for (key, value) in self.more.as_object().unwrap() {
            said[key] = value.clone();
        }
        Answer::json(200, &said)
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        let q = &query["q"];
        let quoted: Vec<&str> = q.split('\'').collect();
        let found = self.files.iter().filter(|(_, file)| !file.trashed).filter(|(_, file)| match quoted[..] {
            ["name=", name, " and mimeType=", kind, " and trashed=false"] => file.name == name && file.kind == kind,
            ["", parent, " in parents and trashed=false"] => file.parent == parent,
            ["name=", name, " and ", parent, " in parents and trashed=false"] => {
                file.name == name && file.parent == parent
            }
            _ => panic!("{q}"),
        });
        let found: Vec<_> = found.collect();
        let from: usize =
            query.get("pageToken").map_or(0, |token| token.strip_prefix("from").unwrap().parse().unwrap());
        let page = found.iter().skip(from).take(self.page).map(|(id, file)| self.shown(id, file));
        let mut said = json!({"files": page.collect::<Vec<_>>()});
        if from + self.page < found.len() {
            said["nextPageToken"] = format!("from{}", from + self.page).into();
        }
        Answer::json(200, &said)
    }

    fn shown(&self, id: &str, file: &DriveEntry) -> Value {
        let mut said = json!({"id": id, "name": file.name});
        if file.kind != LoopbackGoogle::FOLDER {
            said["size"] = file.bytes.len().to_string().into();
        }
        if self.has_digests {
            said["sha256Checksum"] =
                Sha256::digest(&file.bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        }
        said
    }

    fn begin(&mut self, request: &Request, query: &BTreeMap<String, String>) -> Answer {
        assert_eq!(query["uploadType"], "resumable");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let id = text(&body["id"]);
        if self.files.contains_key(&id) {
            return LoopbackGoogle::refusal(409, "fileIdInUse");
        }
        let parent = text(&body["parents"][0]);
        if !self.files.contains_key(&parent) {
            return LoopbackGoogle::refusal(404, "notFound");
        }
        let (name, kind) = (text(&body["name"]), text(&body["mimeType"]));
        let file = DriveEntry { name, kind, parent, ..DriveEntry::default() };
        let total = request.headers["x-upload-content-length"].parse().unwrap();
        self.uploads.push(Some(Upload { id, file, total }));
        let place = format!("/api/session/{}?upload_id=x", self.uploads.len() - 1);
        Answer::Plain(200, vec![("location".into(), place)], Vec::new())
    }

    fn piece(&mut self, request: &Request) -> Answer {
        let number: usize = request.path.rsplit('/').next().unwrap().parse().unwrap();
        let Some(upload) = self.uploads[number].as_mut() else { return Answer::status(404) };
        let range = request.headers["content-range"].strip_prefix("bytes ").unwrap();
        let (range, total) = range.split_once('/').unwrap();
        assert_eq!(total.parse::<usize>().unwrap(), upload.total);
        if range != "*" {
            let (from, to) = range.split_once('-').unwrap();
            let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
            assert_eq!(to + 1 - from, request.body.len());
            assert!(from <= upload.file.bytes.len(), "a gap");
            upload.file.bytes.truncate(from);
            upload.file.bytes.extend_from_slice(&request.body);
        }
        if upload.file.bytes.len() < upload.total {
            let kept = upload.file.bytes.len();
            let headers = (kept > 0).then(|| ("range".to_owned(), format!("bytes=0-{}", kept - 1)));
            return Answer::Plain(308, headers.into_iter().collect(), Vec::new());
        }
        let Upload { id, file, .. } = self.uploads[number].take().unwrap();
        let said = self.shown(&id, &file);
        self.files.insert(id, file);
        Answer::json(200, &said)
    }

    /// Keeps only so many bytes of the upload that was begun last.
    pub fn forget_after(&mut self, kept: usize) {
        if let Some(Some(upload)) = self.uploads.last_mut() {
            upload.file.bytes.truncate(kept);
        }
    }

    /// Takes a piece of an upload.
    pub fn upload(&mut self, request: &Request) {
        drop(self.piece(request));
    }

    /// Takes the upload that was begun last for whole.
    pub fn finish(&mut self) {
        let upload = self.uploads.last_mut().and_then(Option::take);
        self.files.extend(upload.map(|upload| (upload.id, upload.file)));
    }

    /// Forgets all uploads.
    pub fn forget_uploads(&mut self) {
        self.uploads.iter_mut().for_each(|upload| *upload = None);
    }

    fn one(&mut self, method: &str, id: &str, query: &BTreeMap<String, String>) -> Answer {
        match (method, self.files.get(id)) {
            ("GET", Some(file)) if query.get("alt").is_some_and(|alt| alt == "media") => Answer::ok(file.bytes.clone()),
            ("GET", Some(file)) => {
                let mut said = self.shown(id, file);
                said["trashed"] = file.trashed.into();
                Answer::json(200, &said)
            }
            ("DELETE", Some(_)) => {
                self.files.remove(id);
                Answer::status(204)
            }
            (_, None) => LoopbackGoogle::refusal(404, "notFound"),
            _ => panic!("{method} {id}"),
        }
    }
}

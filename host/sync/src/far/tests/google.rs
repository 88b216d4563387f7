//! A Google on loopback, after Google's documents, and what holds when nothing goes wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use aiw_core::hex;
use aiw_tests::{Answer, Request, Server};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::form_urlencoded::parse;

use super::*;
use crate::far::google::{GoogleLogin, login};

pub(super) const FOLDER_TYPE: &str = "application/vnd.google-apps.folder";

/// A file, or a folder.
#[derive(Clone, Default)]
pub(super) struct Stored {
    pub name: String,
    pub kind: String,
    pub parent: String,
    pub bytes: Vec<u8>,
}

/// An upload that was begun.
#[derive(Default)]
struct Upload {
    id: String,
    file: Stored,
    total: usize,
}

type Fault = Box<dyn FnMut(&Request, &mut State) -> Option<Answer> + Send>;

/// The state of this Google.
#[derive(Default)]
pub(super) struct State {
    pub files: BTreeMap<String, Stored>,
    uploads: Vec<Option<Upload>>,
    ids: usize,
    /// The token that is good. Each refresh gives another one.
    pub access: usize,
    pub refreshes: usize,
    pub revoked: bool,
    /// Whether files are said with their digests.
    pub has_digests: bool,
    /// How many files a page has.
    pub page: usize,
    /// The answers of the token endpoint before it says yes.
    pub polls: Vec<Answer>,
    /// Fields that the token endpoint adds.
    pub more: Value,
    pub log: Vec<Request>,
}

/// A Google.
pub(super) struct Google {
    pub server: Server,
    pub state: Arc<Mutex<State>>,
    pub fault: Arc<Mutex<Option<Fault>>>,
}

pub(super) fn answer(status: u16, body: &Value) -> Answer {
    Answer::Plain(status, vec![("content-type".into(), "application/json".into())], body.to_string().into_bytes())
}

pub(super) fn refusal(status: u16, reason: &str) -> Answer {
    answer(status, &json!({"error": {"code": status, "errors": [{"reason": reason, "message": "x"}], "message": "x"}}))
}

impl Google {
    pub fn start() -> Self {
        let state = Arc::new(Mutex::new(State { has_digests: true, page: 2, more: json!({}), ..State::default() }));
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

    /// Answers otherwise, for as long as `fault` does.
    pub fn but(&self, fault: impl FnMut(&Request, &mut State) -> Option<Answer> + Send + 'static) {
        *self.fault.lock() = Some(Box::new(fault));
    }

    /// A machine whose settings name this Google.
    pub fn world(&self) -> World {
        let world = World::new();
        std::fs::create_dir_all(world.path("home")).unwrap();
        let google = json!({
            "oauth_url": self.server.url() + "/oauth",
            "api_url": self.server.url() + "/api/",
            "client_id": "client.apps.example",
        });
        std::fs::write(world.path("home/settings.json"), json!({"sync": {"google": google}}).to_string()).unwrap();
        world.secret("sync-google-client", &format!("{CANARY}-client"));
        world
    }

    /// A machine that is logged in, and its far end.
    pub fn far(&self) -> (World, Box<dyn FarEnd>) {
        let world = self.world();
        logged_in(&world);
        let far = world.open("gdrive:");
        (world, far)
    }

    /// Returns how many requests of this kind came.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.state.lock().log.iter().filter(|request| request.method == method && request.path.contains(path)).count()
    }
}

impl Drop for Google {
    fn drop(&mut self) {
        // Whatever a test is about: no secret was in an address.
        for request in &self.state.lock().log {
            assert!(!request.path.contains(CANARY) && !request.query.contains(CANARY), "{request:?}");
        }
    }
}

pub(super) fn logged_in(world: &World) -> GoogleLogin {
    wait(login(&world.context(), &|_| {})).unwrap()
}

fn pairs(text: &str) -> BTreeMap<String, String> {
    parse(text.as_bytes()).into_owned().collect()
}

impl State {
    fn answer(&mut self, request: &Request) -> Answer {
        let query = pairs(&request.query);
        let form = pairs(std::str::from_utf8(&request.body).unwrap_or_default());
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/oauth/device/code") => answer(
                200,
                &json!({
                    "device_code": format!("{CANARY}-device"), "user_code": "GQVQ-JKEC", "expires_in": 1800, "interval": 5,
                    "verification_url": "https://www.google.com/device",
                }),
            ),
            ("POST", "/oauth/token") => self.token(&form),
            ("POST", "/oauth/revoke") => {
                assert!(form["token"].starts_with(CANARY));
                self.revoked = true;
                Answer::ok("{}")
            }
            _ if request.headers.get("authorization") != Some(&format!("Bearer {CANARY}-access-{}", self.access)) => {
                refusal(401, "authError")
            }
            ("GET", "/api/drive/v3/files/generateIds") => {
                self.ids += 1;
                answer(200, &json!({"ids": [format!("id{:04}", self.ids)]}))
            }
            ("GET", "/api/drive/v3/files") => self.list(&query),
            ("POST", "/api/drive/v3/files") => {
                let body: Value = serde_json::from_slice(&request.body).unwrap();
                let id = body["id"].as_str().unwrap().to_owned();
                if self.files.contains_key(&id) {
                    return refusal(409, "fileIdInUse");
                }
                let text = |key: &str| body[key].as_str().unwrap_or_default().to_owned();
                let file = Stored { name: text("name"), kind: text("mimeType"), ..Stored::default() };
                self.files.insert(id.clone(), file);
                answer(200, &json!({"id": id}))
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
        assert_eq!(form["client_secret"], format!("{CANARY}-client"));
        if form["grant_type"] == "refresh_token" {
            assert_eq!(form["refresh_token"], format!("{CANARY}-refresh"));
            if self.revoked {
                return answer(400, &json!({"error": "invalid_grant", "error_description": "Token has been revoked."}));
            }
            self.refreshes += 1;
            self.access += 1;
        } else {
            assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:device_code");
            assert_eq!(form["device_code"], format!("{CANARY}-device"));
            if !self.polls.is_empty() {
                return self.polls.remove(0);
            }
        }
        let mut said = json!({
            "access_token": format!("{CANARY}-access-{}", self.access), "expires_in": 3599, "token_type": "Bearer",
            "scope": "https://www.googleapis.com/auth/drive.file", "refresh_token": format!("{CANARY}-refresh"),
        });
        for (key, value) in self.more.as_object().unwrap() {
            said[key] = value.clone();
        }
        answer(200, &said)
    }

    fn list(&self, query: &BTreeMap<String, String>) -> Answer {
        let q = &query["q"];
        let quoted: Vec<&str> = q.split('\'').collect();
        let found = self.files.iter().filter(|(_, file)| match quoted[..] {
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
        answer(200, &said)
    }

    fn shown(&self, id: &str, file: &Stored) -> Value {
        let mut said = json!({"id": id, "name": file.name});
        if file.kind != FOLDER_TYPE {
            said["size"] = file.bytes.len().to_string().into();
        }
        if self.has_digests {
            said["sha256Checksum"] = hex(&Sha256::digest(&file.bytes)).into();
        }
        said
    }

    fn begin(&mut self, request: &Request, query: &BTreeMap<String, String>) -> Answer {
        assert_eq!(query["uploadType"], "resumable");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let id = text(&body["id"]);
        if self.files.contains_key(&id) {
            return refusal(409, "fileIdInUse");
        }
        let parent = text(&body["parents"][0]);
        if !self.files.contains_key(&parent) {
            return refusal(404, "notFound");
        }
        let file = Stored { name: text(&body["name"]), kind: text(&body["mimeType"]), parent, bytes: Vec::new() };
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
        answer(200, &said)
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
            ("GET", Some(file)) if query["alt"] == "media" => Answer::ok(file.bytes.clone()),
            ("DELETE", Some(_)) => {
                self.files.remove(id);
                Answer::status(204)
            }
            (_, None) => refusal(404, "notFound"),
            _ => panic!("{method} {id}"),
        }
    }
}

#[test]
fn drive_keeps_what_it_is_given_in_a_folder_of_its_own() {
    let google = Google::start();
    let (_world, far) = google.far();
    keeps_what_it_is_given(&*far);
    let state = google.state.lock();
    let folders: Vec<_> = state.files.values().filter(|file| file.kind == FOLDER_TYPE).collect();
    assert_eq!((folders.len(), folders[0].name.as_str()), (1, "agentic-warden"));
}

#[test]
fn what_another_machine_put_is_found_without_a_list() {
    let google = Google::start();
    let (_one, far) = google.far();
    wait(far.put("s-1.age", b"one")).unwrap();
    let (_two, far) = google.far();
    assert_eq!(wait(far.get("s-1.age", 9)).unwrap(), b"one");
    wait(far.delete("s-1.age")).unwrap();
    assert_eq!(wait(far.list()).unwrap(), []);
}

#[test]
fn a_digest_that_drive_gives_saves_the_reading_back() {
    let google = Google::start();
    let (_world, far) = google.far();
    wait(far.put("s-1.age", &noise(100_000, 1))).unwrap();
    let read = |google: &Google| google.state.lock().log.iter().filter(|request| request.query == "alt=media").count();
    assert_eq!(read(&google), 0);
    google.state.lock().has_digests = false;
    wait(far.put("s-2.age", &noise(100_000, 1))).unwrap();
    assert_eq!(read(&google), 1);
}

#[test]
fn a_long_object_goes_up_in_pieces() {
    let google = Google::start();
    let (_world, far) = google.far();
    let bytes = noise(20 << 20, 1);
    wait(far.put("s-1.age", &bytes)).unwrap();
    assert_eq!(google.count("PUT", "/session/"), 3);
    assert!(google.state.lock().files.values().any(|file| file.bytes == bytes));
}

#[test]
fn of_two_folders_with_our_name_both_are_read_and_the_lowest_is_written() {
    let google = Google::start();
    let (_world, far) = google.far();
    let folder = || Stored { name: "agentic-warden".into(), kind: FOLDER_TYPE.into(), ..Stored::default() };
    let file = |name: &str, parent: &str, bytes: &[u8]| Stored {
        name: name.into(),
        parent: parent.into(),
        bytes: bytes.into(),
        ..Stored::default()
    };
    google.state.lock().files.extend([
        ("fb".to_owned(), folder()),
        ("fa".to_owned(), folder()),
        ("1".to_owned(), file("s-1.age", "fa", b"one")),
        ("2".to_owned(), file("s-2.age", "fb", b"two")),
        // The same one twice, once cut off.
        ("3".to_owned(), file("s-3.age", "fa", b"thr")),
        ("4".to_owned(), file("s-3.age", "fb", b"three")),
        ("5".to_owned(), file("../s-4.age", "fa", b"x")),
        ("6".to_owned(), file("Notes.txt", "fb", b"x")),
    ]);
    let found = [object("s-1.age", 3), object("s-2.age", 3), object("s-3.age", 5)];
    assert_eq!(wait(far.list()).unwrap(), found);
    assert_eq!(wait(far.get("s-2.age", 9)).unwrap(), b"two");
    assert_eq!(wait(far.get("s-3.age", 9)).unwrap(), b"three");
    wait(far.put("s-5.age", b"five")).unwrap();
    assert!(google.state.lock().files.values().any(|file| file.name == "s-5.age" && file.parent == "fa"));
    wait(far.delete("s-3.age")).unwrap();
    assert!(!google.state.lock().files.values().any(|file| file.name == "s-3.age"));
}

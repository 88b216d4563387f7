//! A Google that is busy, forgets, or lies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiw_tests::{Answer, DriveEntry, Server};
use serde_json::json;

use super::google::{Google, Worlds};
use super::*;

const MB: usize = 1 << 20;

fn is_piece(path: &str) -> bool {
    path.starts_with("/api/session/")
}

/// Returns the object that was put, after whatever happened on its way.
fn put(google: &Google, far: &dyn Remote) {
    let bytes = noise(20 * MB, 4);
    wait(far.put("s-1.age", &bytes)).unwrap();
    let state = google.state.lock();
    let kept: Vec<_> = state.files.values().filter(|file| file.name == "s-1.age").collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].bytes == bytes);
}

#[test]
fn an_upload_goes_on_from_what_was_kept() {
    let google = Google::start();
    let (_world, far) = google.far();
    let mut pieces = 0;
    google.but(move |request, state| {
        if !is_piece(&request.path) {
            return None;
        }
        pieces += 1;
        match pieces {
            // Half of the first piece is kept, and the answer is lost.
            1 => {
                state.upload(request);
                state.forget_after(4 * MB);
                Some(Answer::status(503))
            }
            // Of the second one, nothing.
            3 => {
                state.upload(request);
                state.forget_after(4 * MB);
                Some(Answer::status(500))
            }
            5 => Some(Answer::Cut),
            _ => None,
        }
    });
    put(&google, &*far);
    let asked =
        |request: &aiw_tests::Request| request.headers.get("content-range").is_some_and(|range| range.contains('*'));
    assert!(google.state.lock().log.iter().filter(|request| asked(request)).count() >= 3);
}

#[test]
fn an_upload_that_is_forgotten_begins_again() {
    let google = Google::start();
    let (_world, far) = google.far();
    let mut pieces = 0;
    google.but(move |request, state| {
        pieces += usize::from(is_piece(&request.path));
        if pieces == 2 {
            state.forget_uploads();
        }
        None
    });
    put(&google, &*far);
    assert_eq!(google.count("POST", "/upload/"), 2);
    assert_eq!(google.count("GET", "/generateIds"), 2, "one of them is the folder's");
    google.but(|request, state| {
        if is_piece(&request.path) {
            state.forget_uploads();
        }
        None
    });
    let error = wait(far.put("s-2.age", b"x")).unwrap_err();
    assert!(matches!(error, RemoteError::InvalidResponse { .. }), "{error}");
}

#[test]
fn a_create_whose_answer_was_lost_makes_no_second_file() {
    let google = Google::start();
    let (_world, far) = google.far();
    let mut is_lost = false;
    google.but(move |request, state| {
        // The last piece.
        let is_last = request.headers.get("content-range").is_some_and(|range| range.contains("-20971519/"));
        if !is_last || is_lost {
            return None;
        }
        is_lost = true;
        state.upload(request);
        Some(Answer::status(502))
    });
    put(&google, &*far);
    assert!(google.count("POST", "/upload/") == 2, "404 for the session, 409 for the id");
}

#[test]
fn half_an_upload_that_is_answered_201_is_found_out() {
    for has_digests in [true, false] {
        let google = Google::start();
        let (_world, far) = google.far();
        google.state.lock().has_digests = has_digests;
        google.but(|request, state| {
            if !is_piece(&request.path) || request.body.is_empty() {
                return None;
            }
            let mut half = request.clone();
            half.body.truncate(3);
            half.headers.insert("content-range".into(), "bytes 0-2/6".into());
            state.upload(&half);
            state.finish();
            Some(Answer::json(201, &json!({"id": "id0002"})))
        });
        let error = wait(far.put("s-1.age", b"sixsix")).unwrap_err();
        assert!(matches!(error, RemoteError::Damaged { .. }), "{error}");
        assert!(!google.state.lock().files.values().any(|file| file.name == "s-1.age"));
    }
}

#[test]
fn limits_are_waited_for_and_a_full_drive_is_not() {
    let google = Google::start();
    let (_world, far) = google.far();
    let mut asked = 0;
    google.but(move |request, _| {
        if !request.path.starts_with("/api/drive") {
            return None;
        }
        asked += 1;
        match asked {
            1 => Some(Google::refusal(403, "userRateLimitExceeded")),
            2 => Some(Google::refusal(403, "rateLimitExceeded")),
            3 => Some(Answer::Plain(429, vec![("retry-after".into(), "20".into())], Vec::new())),
            4 => Some(Answer::status(500)),
            _ => None,
        }
    });
    assert_eq!(wait(far.list()).unwrap(), []);
    google.but(|_, _| Some(Google::refusal(403, "userRateLimitExceeded")));
    let before = google.server.seen().len();
    let error = wait(far.list()).unwrap_err();
    assert!(matches!(error, RemoteError::RateLimited { .. }), "{error}");
    assert_eq!(google.server.seen().len() - before, 7);
    google.but(|_, _| Some(Answer::Plain(429, vec![("retry-after".into(), "86400".into())], Vec::new())));
    let error = wait(far.list()).unwrap_err();
    assert!(matches!(error, RemoteError::RateLimited { seconds: Some(86400), .. }), "{error}");
    google.but(|request, _| {
        (request.path == "/api/upload/drive/v3/files").then(|| Google::refusal(403, "storageQuotaExceeded"))
    });
    let before = google.count("POST", "/upload/");
    let error = wait(far.put("s-1.age", b"x")).unwrap_err();
    assert!(matches!(error, RemoteError::StorageFull { .. }), "{error}");
    assert_eq!(google.count("POST", "/upload/") - before, 1);
    google.but(|_, _| Some(Google::refusal(403, "insufficientPermissions")));
    let error = wait(far.list()).unwrap_err();
    assert!(error.to_string().contains("403 insufficientPermissions"), "{error}");
}

#[test]
fn a_list_that_lags_makes_no_second_folder_for_one_machine() {
    let google = Google::start();
    let (_world, far) = google.far();
    google.but(|request, _| {
        (request.method == "GET" && request.path == "/api/drive/v3/files")
            .then(|| Answer::json(200, &json!({"files": []})))
    });
    wait(far.put("s-1.age", b"one")).unwrap();
    wait(far.put("s-2.age", b"two")).unwrap();
    assert_eq!(google.count("POST", "/api/drive/v3/files"), 1);
}

#[test]
fn a_list_that_is_not_whole_or_has_no_end_is_an_error() {
    let file = |name: &str, id: &str| json!({"name": name, "id": id, "size": "1"});
    let bodies = [
        json!({"files": [file("s-1.age", "a")], "nextPageToken": "same"}),
        json!({"files": [file("s-1.age", "a")], "incompleteSearch": true}),
        json!({"files": [file("s-1.age", "../a")]}),
        json!({"files": [file("s-1.age", "a' or 'x")]}),
        json!({"files": [{"name": "s-1.age"}]}),
        json!({"nextPageToken": "x"}),
        json!([]),
        json!("x"),
    ];
    for body in bodies {
        let google = Google::start();
        let (_world, far) = google.far();
        let said = body.clone();
        google.but(move |_, _| Some(Answer::json(200, &said)));
        let error = wait(far.list()).unwrap_err();
        assert!(matches!(error, RemoteError::InvalidResponse { .. }), "{body}: {error}");
    }
}

#[test]
fn a_flood_of_files_is_an_error() {
    let google = Google::start();
    let (_world, far) = google.far();
    let folder = DriveEntry { name: "agentic-warden".into(), kind: Google::FOLDER.into(), ..DriveEntry::default() };
    google.state.lock().files.insert("f".into(), folder);
    let mut page = 0;
    google.but(move |request, _| {
        if !request.query.contains("parents") {
            return None;
        }
        page += 1;
        let files: Vec<_> =
            (0..1000).map(|n| json!({"name": format!("s-{page}-{n}.age"), "id": format!("i{page}-{n}")})).collect();
        Some(Answer::json(200, &json!({"files": files, "nextPageToken": page.to_string()})))
    });
    let error = wait(far.list()).unwrap_err();
    assert!(matches!(error, RemoteError::TooManyObjects { .. }), "{error}");
    assert!(google.server.seen().len() < 70);
}

#[test]
fn no_redirect_takes_the_token_elsewhere() {
    let got = Arc::new(AtomicUsize::new(0));
    let log = got.clone();
    let inner = Server::start(move |_| {
        log.fetch_add(1, Ordering::Relaxed);
        Answer::ok("{}")
    });
    let google = Google::start();
    let (_world, far) = google.far();
    wait(far.put("s-1.age", b"one")).unwrap();
    let away = inner.url() + "/x";
    // An upload that is to go to another server.
    let to = away.clone();
    google.but(move |request, _| {
        let is_begin = request.path == "/api/upload/drive/v3/files";
        is_begin.then(|| Answer::Plain(200, vec![("location".into(), to.clone())], Vec::new()))
    });
    let error = wait(far.put("s-2.age", b"two")).unwrap_err();
    assert!(matches!(error, RemoteError::InvalidResponse { .. }), "{error}");
    for status in [301, 302, 303, 307, 308] {
        let to = away.clone();
        google.but(move |_, _| Some(Answer::Plain(status, vec![("location".into(), to.clone())], Vec::new())));
        wait(async {
            far.list().await.unwrap_err();
            far.get("s-1.age", 9).await.unwrap_err();
            far.put("s-3.age", b"x").await.unwrap_err();
            far.delete("s-1.age").await.unwrap_err();
        });
    }
    assert_eq!(got.load(Ordering::Relaxed), 0);
}

#[test]
fn stalls_garbage_and_wrong_sizes_are_errors() {
    let google = Google::start();
    let (world, _far) = google.far();
    let far = world.open_impatiently("gdrive:");
    wait(far.put("s-1.age", b"one")).unwrap();
    let kinds: [fn() -> Answer; 5] = [
        || Answer::Silence,
        || Answer::Endless,
        || Answer::Cut,
        || Answer::ok("<html>"),
        || Answer::ok(vec![b'{'; 100_000]),
    ];
    for kind in kinds {
        google.but(move |request, _| request.path.starts_with("/api").then(kind));
        assert!(wait(far.list()).is_err());
        let read = wait(far.get("s-1.age", 3));
        assert!(read.is_err(), "{read:?}");
        assert!(wait(far.put("s-2.age", b"x")).is_err());
    }
    google.but(|request, _| {
        let is_upload = is_piece(&request.path);
        is_upload.then(|| Answer::Plain(308, vec![("range".into(), "bytes=0-99".into())], Vec::new()))
    });
    let error = wait(far.put("s-2.age", b"x")).unwrap_err();
    assert!(matches!(error, RemoteError::InvalidResponse { .. }), "{error}");
    google.but(|request, _| is_piece(&request.path).then(|| Answer::status(308)));
    let error = wait(far.put("s-2.age", b"x")).unwrap_err();
    assert!(error.to_string().contains("keeps nothing"), "{error}");
}

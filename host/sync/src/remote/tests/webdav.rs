//! WebDAV: two real servers, and one that lies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiw_core::Diagnostic;
use aiw_tests::{Answer, Request, Server, not_run};

use super::*;

const USER: &str = "me";

fn world() -> World {
    let world = World::new();
    world.login("sync-webdav", &format!("{USER}:{CANARY}"));
    world
}

#[test]
fn wsgidav_keeps_what_it_is_given() {
    let Some(wsgidav) = tool("wsgidav/bin/wsgidav") else { return not_run("wsgidav is absent") };
    let world = world();
    std::fs::create_dir(world.path("root")).unwrap();
    let config = serde_json::json!({
        "provider_mapping": {"/dav": world.path("root")},
        "http_authenticator": {"accept_basic": true, "accept_digest": false, "default_to_digest": false},
        "simple_dc": {"user_mapping": {"*": {USER: {"password": CANARY}}}},
    });
    std::fs::write(world.path("wsgidav.json"), config.to_string()).unwrap();
    let server = Process::start(|port| {
        let mut command = Command::new(&wsgidav);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string(), "--config"]).arg(world.path("wsgidav.json"));
        command
    });
    let address = format!("webdav:http://127.0.0.1:{}/dav/a b/c", server.port);
    keeps_what_it_is_given(&*world.open(&address));
    assert!(world.path("root/a b/c/s-b-1.age").is_file());
    refuses_another_password(&address);
}

#[test]
fn rclone_keeps_what_it_is_given() {
    let Some(rclone) = aiw_tests::real_cli("rclone") else { return not_run("rclone is absent") };
    let world = world();
    std::fs::create_dir(world.path("root")).unwrap();
    let server = Process::start(|port| {
        let mut command = Command::new(&rclone);
        command.args(["serve", "webdav", "--config", "/dev/null", "--user", USER, "--pass", CANARY]);
        command.args(["--addr", &format!("127.0.0.1:{port}")]).arg(world.path("root"));
        command
    });
    let address = format!("webdav:http://127.0.0.1:{}/a b/c", server.port);
    keeps_what_it_is_given(&*world.open(&address));
    assert!(world.path("root/a b/c/s-b-1.age").is_file());
    refuses_another_password(&address);
}

fn refuses_another_password(address: &str) {
    let other = World::new();
    other.login("sync-webdav", "me:other");
    let far = other.open(address);
    for error in [wait(far.list()).unwrap_err(), wait(far.put("s-1.age", b"x")).unwrap_err()] {
        assert!(matches!(error, RemoteError::Unauthorized { .. }), "{error}");
        assert_eq!(error.hint().as_deref(), Some("`aiw sync login`"));
    }
}

#[test]
fn without_a_login_nothing_is_asked() {
    let world = World::new();
    let address = world.address("webdav:https://cloud.example/x");
    let error = wait(open(&address, &world.context())).err().unwrap();
    assert_eq!(error.to_string(), "there is no login for `webdav:https://cloud.example/x/`");
    let hint = "`aiw sync login webdav:https://cloud.example/x/`";
    assert_eq!((error.hint().as_deref(), error.exit_code()), (Some(hint), 3));
    world.login("sync-webdav", CANARY);
    let address = world.with_login("webdav:https://cloud.example/x");
    let error = wait(open(&address, &world.context())).err().unwrap();
    assert!(matches!(error, RemoteError::MalformedLogin { .. }) && !error.to_string().contains(CANARY), "{error}");
}

#[test]
fn a_server_that_is_silent_or_redirects_without_end_is_given_up_in_one_timeout() {
    const TIMEOUT: Duration = Duration::from_millis(400);

    let given_up = |server: &Server, ask: &dyn Fn(&dyn Remote) -> RemoteError| {
        let world = world();
        let context = RemoteContext { answer_timeout: TIMEOUT, ..world.context() };
        let far = wait(open(&world.with_login(&format!("webdav:{}", server.url())), &context)).unwrap();
        let error = ask(&*far);
        assert!(error.to_string().contains("sent no answer for 0.4 s"), "{error}");
        server.seen().len()
    };
    let silent = Server::start(|_| Answer::Silence);
    // On a busy machine, the time may be over before the server has read the request.
    assert!(given_up(&silent, &|far| wait(far.list()).unwrap_err()) <= 1);
    // Six redirects of 100 ms would fit in no timeout, and four attempts of them even less.
    let slow = Server::start(|request| {
        std::thread::sleep(TIMEOUT / 4);
        Answer::redirect(&request.path)
    });
    assert!(given_up(&slow, &|far| wait(far.get("s-1.age", 9)).unwrap_err()) <= 5);
}

#[test]
fn a_password_goes_to_the_server_that_it_was_typed_for_alone() {
    let asked = Arc::new(AtomicUsize::new(0));
    let log = asked.clone();
    let server = Server::start(move |_| {
        log.fetch_add(1, Ordering::Relaxed);
        Answer::status(500)
    });
    let other = format!("webdav:{}", server.url());
    for known in ["webdav:https://cloud.example/x", "webdav:http://127.0.0.1:1/x", &other.replace("http:", "https:")] {
        let world = world();
        world.with_login(known);
        let error = wait(open(&world.address(&other), &world.context())).err().unwrap();
        assert!(matches!(error, RemoteError::LoginOriginMismatch { .. }), "{error}");
        assert_eq!(error.hint().unwrap(), format!("`aiw sync login {other}/`"));
        assert!(!error.to_string().contains(CANARY));
    }
    // One of an older aiw, which said nothing of a server, is asked for once more.
    let world = World::new();
    world.secret("sync-webdav", &format!("{USER}:{CANARY}"));
    let error = wait(open(&world.address(&other), &world.context())).err().unwrap();
    assert!(matches!(error, RemoteError::UnboundLogin { .. }) && !error.to_string().contains(CANARY), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_half_upload_that_is_answered_201_is_no_success() {
    let deleted = Arc::new(AtomicUsize::new(0));
    let log = deleted.clone();
    let server = Server::start(move |request| match request.method.as_str() {
        "PUT" => Answer::status(201),
        "GET" => Answer::ok("hal"),
        "DELETE" => {
            log.fetch_add(1, Ordering::Relaxed);
            Answer::status(204)
        }
        _ => Answer::status(500),
    });
    let world = world();
    let error = wait(world.open(&format!("webdav:{}", server.url())).put("s-1.age", b"half")).unwrap_err();
    assert!(matches!(error, RemoteError::Damaged { .. }), "{error}");
    assert_eq!(deleted.load(Ordering::Relaxed), 1);
}

#[test]
fn a_flipped_bit_of_a_transfer_is_read_again_before_an_object_counts_as_damaged() {
    for flips in [1, 2] {
        let (reads, deleted) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (read, log) = (reads.clone(), deleted.clone());
        let server = Server::start(move |request| match request.method.as_str() {
            "GET" if read.fetch_add(1, Ordering::Relaxed) < flips => Answer::ok("wholf"),
            "GET" => Answer::ok("whole"),
            "DELETE" => {
                log.fetch_add(1, Ordering::Relaxed);
                Answer::status(204)
            }
            _ => Answer::status(201),
        });
        let put = wait(world().open(&format!("webdav:{}", server.url())).put("s-1.age", b"whole"));
        assert_eq!((put.is_ok(), deleted.load(Ordering::Relaxed)), (flips == 1, flips - 1));
        assert_eq!(reads.load(Ordering::Relaxed), 2);
    }
}

#[test]
fn a_server_that_offers_no_basic_authentication_is_named_as_unsupported() {
    let refused = |offers: &[&str]| {
        let headers: Vec<_> = offers.iter().map(|offer| ("www-authenticate".to_owned(), (*offer).to_owned())).collect();
        let server = Server::start(move |_| Answer::Plain(401, headers.clone(), Vec::new()));
        let far = world().open(&format!("webdav:{}", server.url()));
        let error = wait(far.list()).unwrap_err();
        let put = wait(far.put("s-1.age", b"x")).unwrap_err();
        assert_eq!(error.to_string(), put.to_string());
        (error.to_string().split_once("/` ").unwrap().1.to_owned(), error.hint().unwrap())
    };
    let digest = "Digest realm=\"a, Basic b\", qop=\"auth\", nonce=\"x\"";
    let (said, hint) = refused(&["Digest realm=\"a\", qop=\"auth\", nonce=\"x\""]);
    assert_eq!(said, "offers Digest authentication, which is not supported: aiw logs in by Basic authentication");
    assert!(hint.contains("Basic authentication on the server"), "{hint}");
    assert!(
        refused(&["Bearer realm=\"a\"", "Digest realm=\"a\", Negotiate"]).0.contains("Bearer and Digest and Negotiate")
    );
    // A password that is wrong is another thing.
    for offers in [&["Basic realm=\"a\""][..], &["Digest realm=\"a\", basic realm=\"b\""], &[digest], &[""], &[]] {
        assert!(refused(offers).0.contains("the login is wrong"), "{offers:?}");
    }
    let (said, _) = refused(&["<b>x", "Digest", &"x".repeat(5000)]);
    assert!(said.starts_with("offers Digest authentication"), "{said}");
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let server = Server::start(|_| stall());
    gives_up_a_body_that_stalls(&*world().open_in_haste(&format!("webdav:{}", server.url())));
}

#[test]
fn a_server_that_is_busy_is_asked_again_and_one_that_says_no_is_not() {
    let world = world();
    for (status, headers, expected, requests) in [
        (503, vec![("retry-after", "1")], "RateLimited", 7),
        (429, vec![("retry-after", "100000")], "RateLimited", 1),
        (500, vec![], "Status", 7),
        (507, vec![], "StorageFull", 1),
        (423, vec![], "Locked", 1),
        (403, vec![], "Unauthorized", 1),
        (301, vec![("location", "https://other.example/")], "Status", 1),
        (200, vec![], "Status", 1),
    ] {
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let server = Server::start(move |_| Answer::Plain(status, headers.clone(), b"<x/>".to_vec()));
        let error = wait(world.open(&format!("webdav:{}", server.url())).list()).unwrap_err();
        assert!(format!("{error:?}").starts_with(expected), "{status}: {error:?}");
        assert_eq!(server.seen().len(), requests, "{status}");
        assert!(!error.to_string().contains(CANARY), "{error}");
    }
}

#[test]
fn a_login_goes_to_no_other_address() {
    let got = Arc::new(AtomicUsize::new(0));
    let log = got.clone();
    let other = Server::start(move |_| {
        log.fetch_add(1, Ordering::Relaxed);
        Answer::ok("x")
    });
    let away = other.url() + "/s-1.age";
    let server = Server::start(move |_| Answer::Plain(307, vec![("location".into(), away.clone())], Vec::new()));
    let world = world();
    let far = world.open(&format!("webdav:{}", server.url()));
    wait(async {
        far.get("s-1.age", 9).await.unwrap_err();
        far.put("s-1.age", b"x").await.unwrap_err();
        far.list().await.unwrap_err();
        far.delete("s-1.age").await.unwrap_err();
    });
    assert_eq!(got.load(Ordering::Relaxed), 0);
}

#[test]
fn an_answer_that_never_ends_or_never_begins_is_an_error() {
    let world = world();
    let kinds: [fn(&Request) -> Answer; 4] =
        [|_| Answer::Silence, |_| Answer::Endless, |_| Answer::Cut, |_| Answer::ok(vec![b'x'; 100_000])];
    for answer in kinds {
        let server = Server::start(answer);
        let far = world.open_impatiently(&format!("webdav:{}", server.url()));
        assert!(wait(far.get("s-1.age", 1000)).is_err());
        assert!(wait(far.list()).is_err());
    }
}

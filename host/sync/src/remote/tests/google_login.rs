//! Logins at Google: the device flow, refreshes, and ends.

use aiw_core::Diagnostic;
use aiw_net::RequestLimits;
use aiw_tests::Answer;
use serde_json::json;

use super::google::{Google, Worlds, logged_in};
use super::*;
use crate::remote::google::{DeviceCode, GoogleLogin, LoginExpiry, Logout, current, login, logout};

fn error(code: &str, status: u16) -> Answer {
    Answer::json(status, &json!({"error": code, "error_description": "x"}))
}

fn vault_has(world: &World) -> bool {
    world.home().vault().has(&"sync-google".parse().unwrap())
}

#[test]
fn a_login_waits_through_everything_that_is_no_end() {
    let google = Google::start();
    google.state.lock().polls = vec![
        error("authorization_pending", 428),
        // As the standard has it.
        error("authorization_pending", 400),
        error("slow_down", 403),
        Answer::Plain(200, Vec::new(), b"<html>sign in to the hotel</html>".to_vec()),
        Answer::status(503),
        Answer::Plain(502, Vec::new(), b"{\"error\": \"x\"}".to_vec()),
        Answer::Plain(200, Vec::new(), b"{}".to_vec()),
        Answer::Plain(200, Vec::new(), b"[".to_vec()),
        Answer::Cut,
        Answer::ok(vec![b'x'; 300_000]),
        error("rate_limit_exceeded", 403),
    ];
    let world = google.world();
    let shown = parking_lot::Mutex::new(Vec::new());
    let found = wait(login(&world.context(), &|code: &DeviceCode| shown.lock().push(code.clone()))).unwrap();
    assert_eq!(found, GoogleLogin { expiry: None });
    let code = DeviceCode {
        url: "https://www.google.com/device".into(),
        code: "GQVQ-JKEC".into(),
        complete_url: None,
        expires_in_secs: 1800,
    };
    assert_eq!(*shown.lock(), [code]);
    assert_eq!(google.count("POST", "/oauth/token"), 12);
    assert_eq!(wait(current(&world.context())).unwrap(), Some(found));
    assert_eq!(wait(world.open("gdrive:").list()).unwrap(), []);
}

#[test]
fn the_standards_name_of_the_address_is_read_too() {
    let google = Google::start();
    google.but(|request, _| {
        (request.path == "/oauth/device/code").then(|| {
            Answer::json(200, &json!({
                "device_code": format!("{CANARY}-device"), "user_code": "A\u{1b}[2J-B", "expires_in": 60, "interval": 0,
                "verification_uri": "https://x.example/device", "verification_uri_complete": "https://x.example/d?c=A",
            }))
        })
    });
    let world = google.world();
    let shown = parking_lot::Mutex::new(None);
    wait(login(&world.context(), &|code: &DeviceCode| *shown.lock() = Some(code.clone()))).unwrap();
    let code = shown.lock().take().unwrap();
    assert_eq!((code.url.as_str(), code.expires_in_secs), ("https://x.example/device", 60));
    assert_eq!(code.complete_url.as_deref(), Some("https://x.example/d?c=A"));
    assert!(!code.code.contains('\u{1b}'), "{}", code.code);
}

#[test]
fn a_login_that_is_denied_or_runs_out_leaves_nothing() {
    for (polls, said) in [
        (error("access_denied", 403), "the login was denied"),
        (error("expired_token", 400), "the login ran out: nobody typed the code in time"),
        (error("invalid_grant", 400), "the login ran out: nobody typed the code in time"),
        (error("invalid_client", 401), "Google does not accept the OAuth client: invalid_client x"),
        (
            Answer::json(200, &json!({"access_token": "x", "scope": "openid"})),
            "the login was not allowed to see and change the files that aiw makes",
        ),
    ] {
        let google = Google::start();
        google.state.lock().polls = vec![error("authorization_pending", 428), polls];
        let world = google.world();
        let error = wait(login(&world.context(), &|_| {})).unwrap_err();
        assert_eq!(error.to_string(), said);
        assert!(!vault_has(&world));
        assert_eq!(google.count("POST", "/oauth/token"), 2, "{said}");
    }
    // Nobody ever answers: 60 s by the remote's word.
    let google = Google::start();
    google.but(|request, _| match request.path.as_str() {
        "/oauth/token" => Some(error("authorization_pending", 428)),
        _ => Some(Answer::json(
            200,
            &json!({
                "device_code": "x", "user_code": "x", "expires_in": 60, "verification_url": "https://x.example",
            }),
        )),
    });
    let error = wait(login(&google.world().context(), &|_| {})).unwrap_err();
    assert_eq!(error.to_string(), "the login ran out: nobody typed the code in time");
}

#[test]
fn an_answer_without_a_code_is_an_error() {
    for said in [
        json!({}),
        json!({"device_code": "x", "user_code": "x"}),
        json!({"device_code": "x", "verification_url": "https://x.example"}),
        json!({"device_code": "x", "user_code": "x", "verification_url": "javascript:alert(1)"}),
        json!({"device_code": "x", "user_code": "x", "verification_url": "https://google.com@x.example"}),
    ] {
        let google = Google::start();
        google.but(move |_, _| Some(Answer::json(200, &said)));
        let error = wait(login(&google.world().context(), &|_| panic!("a code"))).unwrap_err();
        assert!(matches!(error, RemoteError::InvalidResponse { .. }), "{error}");
    }
}

#[test]
fn without_a_client_the_next_step_is_said() {
    let world = World::new();
    let context = world.context();
    for error in
        [wait(login(&context, &|_| {})).unwrap_err(), wait(open(&RemoteUrl::GoogleDrive, &context)).err().unwrap()]
    {
        assert!(matches!(error, RemoteError::MissingOAuthClient), "{error}");
        assert_eq!(error.exit_code(), 3);
        let hint = error.hint().unwrap();
        assert!(hint.contains("TVs and Limited Input devices") && hint.contains("`sync.google.client_id`"), "{hint}");
    }
}

#[test]
fn a_login_that_ends_is_said_to_end() {
    let google = Google::start();
    google.state.lock().more = json!({"refresh_token_expires_in": 604_799});
    let world = google.world();
    let LoginExpiry::Timestamp(end) = logged_in(&world).expiry.unwrap() else { panic!() };
    let days = end.saturating_sub(aiw_home::now_millis()) / 86_400_000;
    assert_eq!(days, 6);
    google.state.lock().more = json!({"refresh_token": null});
    assert_eq!(logged_in(&world).expiry, Some(LoginExpiry::MissingRefreshToken));
}

#[test]
fn an_old_token_is_refreshed_once_by_all_who_need_it() {
    let google = Google::start();
    google.state.lock().more = json!({"expires_in": 0});
    let world = google.world();
    logged_in(&world);
    google.state.lock().more = json!({"expires_in": 3600});
    wait(async {
        let work = (0..6).map(|_| {
            let context = world.context();
            tokio::spawn(async move { open(&RemoteUrl::GoogleDrive, &context).await?.list().await })
        });
        for work in work.collect::<Vec<_>>() {
            assert_eq!(work.await.unwrap().unwrap(), []);
        }
    });
    assert_eq!(google.state.lock().refreshes, 1);
    // The server ends a token before its time.
    google.state.lock().access += 1;
    assert_eq!(wait(world.open("gdrive:").list()).unwrap(), []);
    assert_eq!(google.state.lock().refreshes, 2);
}

#[test]
fn a_refresh_token_that_the_server_does_not_repeat_is_kept() {
    let google = Google::start();
    let world = google.world();
    logged_in(&world);
    google.state.lock().more = json!({"refresh_token": null});
    for _ in 0..2 {
        google.state.lock().access += 1;
        assert_eq!(wait(world.open("gdrive:").list()).unwrap(), []);
    }
    assert_eq!(google.state.lock().refreshes, 2);
}

#[test]
fn a_login_that_was_revoked_is_over() {
    let google = Google::start();
    let (world, far) = google.far();
    {
        let mut state = google.state.lock();
        (state.revoked, state.access) = (true, 9);
    }
    let error = wait(far.list()).unwrap_err();
    assert!(matches!(&error, RemoteError::LoginExpired { why, .. } if why.contains("revoked")), "{error}");
    assert_eq!((error.hint().as_deref(), error.exit_code()), (Some("`aiw sync login`"), 3));
    assert!(!vault_has(&world));
    assert!(matches!(wait(far.list()), Err(RemoteError::NotLoggedIn { .. })));
}

#[test]
fn a_server_that_is_down_for_a_moment_ends_no_login() {
    let google = Google::start();
    let (world, far) = google.far();
    google.state.lock().access += 1;
    let mut left = 2;
    google.but(move |request, _| {
        let is_refused = request.path == "/oauth/token" && left > 0;
        left -= usize::from(is_refused);
        is_refused.then(|| Answer::status(503))
    });
    assert_eq!(wait(far.list()).unwrap(), []);
    google.state.lock().access += 1;
    google.but(|request, _| (request.path == "/oauth/token").then(|| Answer::status(500)));
    assert!(wait(far.list()).is_err());
    assert!(vault_has(&world));
}

#[test]
fn a_logout_revokes_and_removes() {
    let google = Google::start();
    let (world, _far) = google.far();
    assert!(matches!(wait(logout(&world.context())).unwrap(), Logout::Revoked));
    assert!(google.state.lock().revoked && !vault_has(&world));
    assert!(matches!(wait(logout(&world.context())).unwrap(), Logout::NotLoggedIn));
    assert!(matches!(wait(open(&RemoteUrl::GoogleDrive, &world.context())), Err(RemoteError::NotLoggedIn { .. })));
    logged_in(&world);
    google.but(|_, _| Some(Answer::status(500)));
    assert!(matches!(wait(logout(&world.context())).unwrap(), Logout::Removed(_)));
    assert!(!vault_has(&world));
}

#[test]
fn tokens_go_to_no_other_client_and_no_other_server() {
    let google = Google::start();
    let (world, _far) = google.far();
    let other = Google::start();
    let mut context = world.context();
    context.settings.google.oauth_url = Some(other.server.url() + "/oauth");
    assert!(matches!(wait(open(&RemoteUrl::GoogleDrive, &context)), Err(RemoteError::NotLoggedIn { .. })));
    assert!(matches!(wait(logout(&context)).unwrap(), Logout::Removed(_)));
    assert_eq!(other.server.seen().len(), 0);
    let (world, _far) = google.far();
    let mut context = world.context();
    context.settings.google.client_id = Some("other.apps.example".into());
    assert!(matches!(wait(open(&RemoteUrl::GoogleDrive, &context)), Err(RemoteError::NotLoggedIn { .. })));
    // Another API would get the token, too.
    let mut context = world.context();
    context.settings.google.api_url = Some(other.server.url());
    let error = wait(open(&RemoteUrl::GoogleDrive, &context)).err().unwrap();
    assert!(matches!(error, RemoteError::LoginOriginMismatch { .. }), "{error}");
    // An older aiw kept a login without it: it is asked for once more.
    let name = "sync-google".parse().unwrap();
    let mut tokens: serde_json::Value =
        serde_json::from_str(world.home().vault().get(&name).unwrap().expose()).unwrap();
    assert!(tokens.as_object_mut().unwrap().remove("api_url").is_some());
    world.secret("sync-google", &tokens.to_string());
    let error = wait(open(&RemoteUrl::GoogleDrive, &world.context())).err().unwrap();
    assert!(matches!(error, RemoteError::UnboundLogin { .. }), "{error}");
    assert_eq!(error.hint().as_deref(), Some("`aiw sync login`"));
    logged_in(&world);
    wait(world.open("gdrive:").list()).unwrap();
    assert_eq!(other.server.seen().len(), 0);
}

#[test]
fn what_the_server_quotes_of_the_request_is_not_shown() {
    for code in ["invalid_client", "server_says_no"] {
        let google = Google::start();
        google.but(move |request, _| {
            let sent = String::from_utf8_lossy(&request.body).into_owned();
            let description = format!("{} is wrong: {sent}", Google::CLIENT_SECRET);
            let refused = json!({"error": code, "error_description": description});
            (request.path == "/oauth/token").then(|| Answer::json(401, &refused))
        });
        let error = wait(login(&google.world().context(), &|_| {})).unwrap_err().to_string();
        assert!(error.contains(code) && error.contains("[secret] is wrong"), "{error}");
        assert!(!error.contains(Google::CLIENT_SECRET), "{error}");
    }
}

#[test]
fn silence_while_the_code_is_asked_for_is_an_error() {
    const SHORT: Duration = Duration::from_millis(100);

    let google = Google::start();
    google.but(|_, _| Some(Answer::Silence));
    let mut context = google.world().context();
    let limits = RequestLimits { connect_timeout: SHORT, idle_timeout: SHORT, ..RequestLimits::default() };
    context.net = HttpClient::with_limits(limits).unwrap();
    assert!(matches!(wait(login(&context, &|_| {})), Err(RemoteError::Net(_))));
}

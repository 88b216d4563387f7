//! What a host may answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aiw_core::{Diagnostic, ErrorKind};
use aiw_net::NetError;

use super::*;
use crate::CiListRequest;

fn listed(answer: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> (Result<crate::CiRunList, CiError>, World) {
    let world = World::new(answer).set("GH_ENTERPRISE_TOKEN", "the-token");
    let mut ci = world.open(None).unwrap();
    ci.connection.timeout = Duration::from_millis(1500);
    let list = wait(ci.list(&CiListRequest { limit: 10, branch: None }));
    if let Err(error) = &list {
        let (said, hint) = (error.to_string(), error.hint().unwrap_or_default());
        assert!(
            !said.contains("the-token") && !hint.contains("the-token") && !format!("{error:?}").contains("the-token")
        );
    }
    (list, world)
}

#[test]
fn a_limit_is_said_with_how_long_it_lasts() {
    let soon = (aiw_home::now_millis() / 1000 + 600).to_string();
    let far = (aiw_home::now_millis() / 1000 + 1_000_000).to_string();
    for (status, given, least, most) in [
        (403, vec![("retry-after", "7")], 7, 7),
        (429, vec![("retry-after", "99999999")], 3600, 3600),
        (
            403,
            vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-limit", "60"), ("x-ratelimit-reset", &soon)],
            500,
            600,
        ),
        (
            403,
            vec![("x-ratelimit-remaining", "0"), ("x-ratelimit-limit", "60"), ("x-ratelimit-reset", &far)],
            3600,
            3600,
        ),
        (403, vec![("x-ratelimit-remaining", "0")], 60, 60),
        (429, vec![], 60, 60),
    ] {
        let shown = given.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>();
        let (list, _) = listed(move |_| Answer::Plain(status, shown.clone(), b"{}".to_vec()));
        match list.unwrap_err() {
            CiError::RateLimited { seconds, .. } => assert!((least..=most).contains(&seconds), "{given:?}: {seconds}"),
            other => panic!("{given:?}: {other}"),
        }
    }
    let body = json!({"message": "You have exceeded a secondary rate limit"}).to_string();
    let (list, _) = listed(move |_| Answer::Plain(403, Vec::new(), body.clone().into_bytes()));
    assert!(matches!(list.unwrap_err(), CiError::RateLimited { seconds: 60, .. }));
}

#[test]
fn each_refusal_is_a_sentence() {
    type Case = (u16, fn(&CiError) -> bool, &'static str);
    let cases: [Case; 6] = [
        (403, |e| matches!(e, CiError::NotFound { .. }), "or your token can't see it"),
        (404, |e| matches!(e, CiError::NotFound { .. }), "or your token can't see it"),
        (410, |e| matches!(e, CiError::NotFound { .. }), "or your token can't see it"),
        (401, |e| matches!(e, CiError::Unauthorized { .. }), "does not accept the token in the environment"),
        (500, |e| e.kind() == ErrorKind::Unavailable, "status 500"),
        (304, |e| matches!(e, CiError::Status { status: 304, .. }), "status 304"),
    ];
    for (status, is_it, said) in cases {
        let error = listed(move |_| Answer::status(status)).0.unwrap_err();
        assert!(is_it(&error) && error.to_string().contains(said), "{status}: {error}");
    }
    // The host says more than a status, and is quoted.
    let body = json!({"message": "Resource not accessible by \u{1b}[31mpersonal access token"}).to_string();
    let error = listed(move |_| Answer::Plain(403, Vec::new(), body.clone().into_bytes())).0.unwrap_err();
    let said = error.to_string();
    assert!(said.starts_with("`ghe.test` refuses it: ") && said.contains("not accessible by"), "{said}");
    assert!(!said.contains('\u{1b}') && error.kind() == ErrorKind::User, "{said}");
}

#[test]
fn what_is_slow_stalled_cut_endless_or_junk_is_an_error_of_the_host() {
    let answers: [fn() -> Answer; 9] = [
        || Answer::Silence,
        || Answer::Trickle,
        || Answer::Cut,
        || Answer::Endless,
        || Answer::ok("<html>"),
        || Answer::ok("{}"),
        || Answer::ok("[1]"),
        || Answer::ok(format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000))),
        || Answer::ok(r#"{"total_count": -1, "workflow_runs": [{"id": "x"}]}"#),
    ];
    for (place, answer) in answers.into_iter().enumerate() {
        let error = listed(move |_| answer()).0.unwrap_err();
        let is_large = matches!(error, CiError::Net(NetError::TooLarge { .. }));
        assert!(error.kind() == ErrorKind::Unavailable || is_large, "{place}: {error:?}");
    }
}

#[test]
fn a_redirect_of_the_api_leads_nowhere_else() {
    for to in ["http://127.0.0.1:9/x", "http://169.254.169.254/latest", "http://10.0.0.1/x", "https://example.com/"] {
        let (list, world) = listed(move |_| Answer::redirect(to));
        assert!(matches!(list.unwrap_err(), CiError::Net(NetError::Denied { .. })), "{to}");
        assert_eq!(world.seen().len(), 1);
    }
}

#[test]
fn names_of_others_are_short_and_hide_nothing() {
    let mut one = run(7, "completed", Some("failure"));
    one["name"] = "CI\u{202e}\u{1b}[2J\n".into();
    one["head_branch"] = "x".repeat(100_000).into();
    one["display_title"] = Value::Null;
    let (list, world) = listed(move |_| runs(&[one.clone()]));
    let found = &list.unwrap().runs[0];
    assert_eq!((found.label().as_str(), found.title.as_str()), ("CI\\u{202e}\\u{1b}[2J #7", ""));
    assert!(found.branch.chars().count() <= 120);
    // A branch is one value of a query, whatever it is called.
    fs::write(world.path("repo/.git/HEAD"), "ref: refs/heads/a&per_page=1#x\n").unwrap();
    let ci = world.open(None).unwrap();
    wait(ci.list(&CiListRequest { limit: 10, branch: None })).unwrap();
    assert_eq!(world.seen().last().unwrap().query, "per_page=10&page=1&branch=a%26per_page%3D1%23x");
}

#[test]
fn three_thousand_runs_come_in_pages_as_far_as_they_are_wanted() {
    let page = |request: &Request| {
        let number = |name: &str| {
            let pairs = request.query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).find_map(|(_, value)| value.parse::<u64>().ok()).unwrap()
        };
        let (page, size) = (number("page"), number("per_page"));
        let all: Vec<Value> =
            (0..size).map(|at| run(3000 - (page - 1) * size - at, "completed", Some("success"))).collect();
        Answer::ok(json!({"total_count": 3000, "workflow_runs": all}).to_string())
    };
    let world = World::new(page);
    let ci = world.open(None).unwrap();
    let list = wait(ci.list(&CiListRequest { limit: 5000, branch: None })).unwrap();
    assert_eq!((list.runs.len(), list.total, world.seen().len()), (1000, 3000, 10));
    assert_eq!((list.runs[0].id, list.runs[999].id), (3000, 2001));
    let list = wait(ci.list(&CiListRequest { limit: 3, branch: Some("*".into()) })).unwrap();
    assert_eq!((list.runs.len(), list.branch), (3, None));
    assert!(!world.seen()[10].query.contains("branch"));
}

#[test]
fn waiting_asks_for_news_only_and_outlasts_what_passes() {
    let count = AtomicUsize::new(0);
    let world = World::new(move |request| {
        let marked =
            |body: Value| Answer::Plain(200, vec![("etag".into(), "\"m\"".into())], body.to_string().into_bytes());
        match (request.path.rsplit('/').next().unwrap(), count.fetch_add(1, Ordering::Relaxed)) {
            ("jobs", _) => jobs(&[job(1, "test (20)", "failure")]),
            // At first the commit has no run.
            (_, 0) => runs(&[]),
            (_, 1) => runs(&[run(7, "queued", None)]),
            (_, 3) => marked(json!({"total_count": 1, "workflow_runs": [run(7, "in_progress", None)]})),
            (_, 5..8) => Answer::status(304),
            (_, 8) => Answer::status(502),
            (_, _) => marked(json!({"total_count": 1, "workflow_runs": [run(7, "completed", Some("failure"))]})),
        }
    });
    let ci = world.open(None).unwrap();
    let mut told = Vec::new();
    let waited =
        wait(ci.wait(None, None, &mut |run, jobs| told.push(format!("{} {}", run.state(), jobs.len())), &mut |_| {}))
            .unwrap();
    assert!(waited.done && waited.run.unwrap().has_failed());
    assert_eq!(waited.failed, ["test (20)"]);
    assert_eq!(told, ["queued 1", "in_progress 1", "failure 1"]);
    let marks: Vec<bool> = world.seen().iter().map(|request| request.headers.contains_key("if-none-match")).collect();
    assert_eq!(marks, [false, false, false, false, false, true, true, true, true, true, false]);
    assert!(world.seen()[1].query.contains(COMMIT));
}

#[test]
fn a_commit_went_as_all_its_workflows_did() {
    let named = |id: u64, name: &str, status: &str, conclusion: Option<&str>| {
        let mut run = run(id, status, conclusion);
        run["name"] = name.into();
        run["path"] = format!(".github/workflows/{}.yml", name.to_lowercase()).into();
        run
    };
    let looked = Arc::new(AtomicUsize::new(0));
    let count = looked.clone();
    let world = World::new(move |request| match request.path.rsplit_once('/').unwrap() {
        (runs, "jobs") if runs.ends_with("/8") => jobs(&[job(1, "build", "success")]),
        (_, "jobs") => jobs(&[job(2, "test", "failure")]),
        (_, "logs") => Answer::ok("##[error]it broke\n"),
        _ => {
            // Tests still runs at first, and fails after Docs has succeeded. An older run of Tests was green.
            let tests = match count.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => named(7, "Tests", "in_progress", None),
                _ => named(7, "Tests", "completed", Some("failure")),
            };
            let docs = named(8, "Docs", "completed", Some("success"));
            runs(&[docs, tests, named(3, "Tests", "completed", Some("success"))])
        }
    });
    let ci = world.open(None).unwrap();
    let waited = wait(ci.wait(None, None, &mut |_, _| {}, &mut |_| {})).unwrap();
    assert!(waited.done && looked.load(Ordering::Relaxed) == 3);
    let name = |run: &crate::CiRun| (run.name.clone(), run.state().to_owned());
    assert_eq!(waited.run.as_ref().map(name), Some(("Tests".to_owned(), "failure".to_owned())));
    assert_eq!(waited.others.iter().map(name).collect::<Vec<_>>(), [("Docs".to_owned(), "success".to_owned())]);
    assert_eq!(waited.failed, ["Tests: test"]);
    let details = wait(ci.details(None)).unwrap();
    assert_eq!((details.run.id, details.others.len(), details.jobs.len()), (7, 1, 1));
    let logs = wait(ci.failed_logs(None)).unwrap();
    assert_eq!(
        (logs.jobs[0].workflow.as_str(), logs.jobs[0].lines.as_slice()),
        ("Tests", ["##[error]it broke".to_owned()].as_slice())
    );
    for workflow in ["docs", "docs.yml", ".github/workflows/docs.yml"] {
        let request = crate::CiRunRequest { id: None, workflow: Some(workflow.into()) };
        assert_eq!(wait(ci.details(request)).unwrap().run.id, 8, "{workflow}");
    }
    let request = crate::CiRunRequest { id: None, workflow: Some("Release".into()) };
    let error = wait(ci.details(request)).unwrap_err().to_string();
    assert_eq!(error, "the commit has no run of a workflow `Release`: it has `Docs` and `Tests`");
}

#[test]
fn waiting_ends_in_time_and_says_what_for() {
    let until = || Some(tokio::time::Instant::now() + Duration::from_millis(1500));
    let world = World::new(|_| headers(403, &[("retry-after", "3000")]));
    let waited =
        wait(async { world.open_async().await.wait(Some(7), until(), &mut |_, _| {}, &mut |_| {}).await }).unwrap();
    assert!(!waited.done && waited.waits.unwrap().contains("50 minutes"));
    let world = World::new(|_| runs(&[]));
    let waited =
        wait(async { world.open_async().await.wait(None, until(), &mut |_, _| {}, &mut |_| {}).await }).unwrap();
    assert_eq!((waited.done, waited.run, waited.waits), (false, None, None));
    let world = World::new(|_| Answer::Silence);
    let mut said = Vec::new();
    let waited = wait(async {
        let say = &mut |why: &str| said.push(why.to_owned());
        world.open_async().await.wait(Some(7), until(), &mut |_, _| {}, say).await
    });
    assert_eq!(waited.unwrap().waits.as_deref(), Some("`ghe.test` has not answered yet"));
    let world = World::new(|_| Answer::status(404));
    let error =
        wait(async { world.open_async().await.wait(Some(7), until(), &mut |_, _| {}, &mut |_| {}).await }).unwrap_err();
    assert!(matches!(error, CiError::NotFound { .. }));
    let world = World::new(|_| Answer::status(503));
    let error =
        wait(async { world.open_async().await.wait(Some(7), None, &mut |_, _| {}, &mut |_| {}).await }).unwrap_err();
    assert!(matches!(error, CiError::Status { status: 503, .. }));
}

impl World {
    async fn open_async(&self) -> Ci {
        let mut ci = Ci::open(&self.home(), &HttpClient::new().unwrap(), None).await.unwrap();
        ci.poll_interval = Duration::from_millis(5);
        ci
    }
}

#[test]
fn the_commit_that_is_checked_out_is_meant() {
    let world = World::new(|_| runs(&[]));
    let error = wait(world.open(None).unwrap().details(None)).unwrap_err();
    assert_eq!(error.to_string(), "commit `0123456789` has no run in `ghe.test/o/r`");
    let error = wait(world.open(Some("ghe.test/else/r")).unwrap().details(None)).unwrap_err();
    assert!(matches!(error, CiError::CommitNotFound { .. }));
}

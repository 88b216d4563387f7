//! What a component may reach: what its manifest names and the user agreed to, and what the user named.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crate::common::{fetch, hostile, mode};
use aiw_testkit::{EntryRef, EntrySource, RecordedResponse};

/// Returns grants as in the lock file: all imports, and these lists.
fn grants(lists: &[(&str, &[&str])]) -> BTreeMap<String, Vec<String>> {
    let imports: &[&str] = &["http", "trees", "cache", "settings", "log", "clock"];
    let lists = lists.iter().copied().chain([("imports", imports)]);
    lists.map(|(kind, values)| (kind.to_owned(), values.iter().map(|v| (*v).to_owned()).collect())).collect()
}

#[tokio::test]
async fn both_keys_open_a_host() {
    let hostile = hostile()
        .response("https://declared.example/a", RecordedResponse::ok("a"))
        .response("https://deep.in.wild.example/b", RecordedResponse::with_status(404))
        .load()
        .await
        .unwrap();
    assert_eq!(fetch(&hostile, "http:https://declared.example/a").await, "200 a");
    assert_eq!(fetch(&hostile, "http:https://deep.in.wild.example/b").await, "404 ");
    assert_eq!(
        fetch(&hostile, "http:https://declared.example/other").await,
        "unavailable: no recorded answer for `https://declared.example/other`"
    );
}

#[tokio::test]
async fn a_host_that_the_manifest_does_not_name_is_refused() {
    // The user's agreement alone is not enough.
    let hostile = hostile().grants(&grants(&[("hosts", &["*", "other.example"])])).load().await.unwrap();
    for host in ["other.example", "wild.example", "declared.example.other.example"] {
        let url = format!("https://{host}/");
        assert_eq!(
            fetch(&hostile, &format!("http:{url}")).await,
            format!("denied: component `hostile` may not reach `{host}`: its manifest does not name it under `hosts`"),
        );
    }
    // A pattern without a port means the default port of `https`.
    let other_port = fetch(&hostile, "http:https://declared.example:8443/").await;
    assert!(other_port.starts_with("denied: "), "{other_port}");
    assert_eq!(hostile.requested_urls(), [""; 0]);
}

#[tokio::test]
async fn a_host_that_the_user_did_not_agree_to_is_refused_with_the_command_that_agrees() {
    let hostile = hostile().grants(&grants(&[("hosts", &["*.wild.example"])])).load().await.unwrap();
    assert_eq!(
        fetch(&hostile, "http:https://declared.example/").await,
        "denied: component `hostile` may not reach `declared.example`: its manifest names it, but you did not agree to it; run `aiw extension update hostile --accept-changes`"
    );
}

#[tokio::test]
async fn what_the_user_typed_may_be_reached() {
    let url = "http://internal.example:8080/index";
    let hostile = hostile()
        .allow_url("http://internal.example:8080/")
        .response(url, RecordedResponse::ok("typed"))
        .load()
        .await
        .unwrap();
    assert_eq!(fetch(&hostile, &format!("http:{url}")).await, "200 typed");
    let other_port = fetch(&hostile, "http:http://internal.example/index").await;
    assert!(other_port.starts_with("denied: "), "{other_port}");
}

#[tokio::test]
async fn nothing_is_asked_in_the_clear_unless_it_was_typed() {
    let url = "http://declared.example/";
    let hostile = hostile().response(url, RecordedResponse::ok("clear")).load().await.unwrap();
    let said = fetch(&hostile, &format!("http:{url}")).await;
    assert!(said.starts_with("denied: "), "{said}");
    assert_eq!(hostile.requested_urls(), [""; 0]);
}

#[tokio::test]
async fn what_is_no_web_address_is_refused() {
    let hostile = hostile().load().await.unwrap();
    for url in ["file:///etc/passwd", "ftp://declared.example/", "declared.example", ""] {
        let said = fetch(&hostile, &format!("http:{url}")).await;
        assert!(said.starts_with("denied: ") || said.starts_with("invalid: "), "{url}: {said}");
    }
}

#[tokio::test]
async fn a_component_cannot_say_whom_its_request_is_for() {
    let hostile = hostile().response("https://declared.example/", RecordedResponse::ok("x")).load().await.unwrap();
    assert_eq!(
        fetch(&hostile, "http-host:https://declared.example/").await,
        "invalid: the header `host` is set by the host"
    );
}

#[tokio::test]
async fn a_repository_needs_both_keys() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("readme"), "hello").unwrap();
    let url = "https://declared.example/x.git";
    let open = hostile().repository(url, files.path()).load().await.unwrap();
    assert_eq!(fetch(&open, &format!("read:{url}!readme")).await, "hello");
    assert_eq!(
        fetch(&open, "tree:https://declared.example/y.git").await,
        "unavailable: no recorded repository for `https://declared.example/y.git`"
    );
    assert_eq!(
        fetch(&open, "tree:git@other.example:x.git").await,
        "denied: component `hostile` may not reach `other.example`: its manifest does not name it under `origins`"
    );
    let closed = hostile().grants(&grants(&[])).repository(url, files.path()).load().await.unwrap();
    let said = fetch(&closed, &format!("tree:{url}")).await;
    assert!(said.ends_with("run `aiw extension update hostile --accept-changes`"), "{said}");
}

#[tokio::test]
async fn a_directory_is_read_where_the_user_named_it() {
    let outside = tempfile::tempdir().unwrap();
    let named = outside.path().join("named");
    std::fs::create_dir(&named).unwrap();
    std::fs::write(named.join("readme"), "hello").unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret"), named.join("link")).unwrap();
    let hostile = hostile().directory(&named).load().await.unwrap();
    let at = named.display();
    assert_eq!(fetch(&hostile, &format!("read:{at}!readme")).await, "hello");
    for (origin, path) in
        [(at.to_string(), "../secret"), (at.to_string(), "link"), (outside.path().display().to_string(), "secret")]
    {
        let said = fetch(&hostile, &format!("read:{origin}!{path}")).await;
        assert!(said.starts_with("denied: ") || said.starts_with("invalid: "), "{origin} {path}: {said}");
    }
    // A returned tree outlives its call.
    let entry = EntryRef { name: "x".into(), source: EntrySource::Relative("./".into()), revision: "1".into() };
    let tree = hostile.market_source().download_plugin(&mode(&format!("tree:{at}")), &entry).await.unwrap();
    assert_eq!(tree.read("readme").unwrap(), b"hello");
    let manifests = hostile.market_source().fetch_plugin(&mode(&format!("tree:{at}")), &entry).await.unwrap();
    assert!(manifests.plugin_json.is_none() && manifests.files.is_some());
}

/// Creates a repository with one file, using the user's git.
fn make_repository(at: &std::path::Path) -> String {
    std::fs::create_dir(at).unwrap();
    std::fs::write(at.join("readme"), "hello").unwrap();
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        let who = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"];
        let output = git.current_dir(at).args(who).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    git(&["rev-parse", "HEAD"])
}

#[tokio::test]
async fn a_repository_on_this_machine_is_read_where_the_user_named_it() {
    let outside = tempfile::tempdir().unwrap();
    let path = outside.path().join("repository");
    let commit = make_repository(&path);
    let url = format!("file://{}", path.display());
    let named = hostile().git(true).directory(&path).load().await.unwrap();
    assert_eq!(fetch(&named, &format!("tree:{url}")).await, commit);
    assert_eq!(fetch(&named, &format!("read:{url}!readme")).await, "hello");
    let not_named = hostile().git(true).load().await.unwrap();
    for origin in [url, path.display().to_string()] {
        let said = fetch(&not_named, &format!("tree:{origin}")).await;
        assert!(said.starts_with("denied: "), "{said}");
    }
}

#[tokio::test]
async fn settings_are_read_where_they_are_declared_and_agreed_to() {
    let all = hostile().setting("shown", "yes").setting("hidden", "no").load().await.unwrap();
    assert_eq!(fetch(&all, "settings:shown").await, "yes");
    assert_eq!(fetch(&all, "settings:hidden").await, "none");
    let not_agreed = hostile().grants(&grants(&[])).setting("shown", "yes").load().await.unwrap();
    assert_eq!(fetch(&not_agreed, "settings:shown").await, "none");
    let not_declared =
        hostile().grants(&grants(&[("settings", &["hidden"])])).setting("hidden", "no").load().await.unwrap();
    assert_eq!(fetch(&not_declared, "settings:hidden").await, "none");
}

#[tokio::test]
async fn an_address_in_the_settings_was_typed_by_the_user() {
    let url = "https://private.example:8443/index";
    let hostile = hostile()
        .setting("shown", "https://private.example:8443")
        .response(url, RecordedResponse::ok("x"))
        .load()
        .await
        .unwrap();
    assert_eq!(fetch(&hostile, &format!("http:{url}")).await, "200 x");
}

#[tokio::test]
async fn the_cache_keeps_between_calls_and_within_its_quota() {
    let one = hostile().load().await.unwrap();
    assert_eq!(fetch(&one, "cache-get:key").await, "none");
    assert_eq!(fetch(&one, "cache:key").await, "kept");
    assert_eq!(fetch(&one, "cache-get:key").await, "kept");
    // A key is a name and never a path.
    assert_eq!(fetch(&one, "cache:../../../../escape").await, "kept");
    let kept: usize = fetch(&one, "cache-big").await.parse().unwrap();
    assert!((1..=16).contains(&kept), "{kept} MiB of a quota of 16");
    let other = hostile().load().await.unwrap();
    assert_eq!(fetch(&other, "cache-get:key").await, "none");
}

#[tokio::test]
async fn the_clock_is_the_hosts() {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_234_567_890_123);
    let hostile = hostile().clock(at).load().await.unwrap();
    assert_eq!(fetch(&hostile, "clock").await, "1234567890123");
}

#[tokio::test]
async fn what_the_user_did_not_agree_to_at_all_is_not_there() {
    let kit = hostile();
    let only_imports = BTreeMap::from([("imports".to_owned(), kit.info().requested["imports"].clone())]);
    let hostile = kit.grants(&only_imports).setting("shown", "yes").load().await.unwrap();
    assert_eq!(fetch(&hostile, "settings:shown").await, "none");
    assert!(fetch(&hostile, "http:https://declared.example/").await.starts_with("denied: "));
    assert_eq!(hostile.market_source().describe().await.unwrap().label, "Misbehaves on request");
}

#[tokio::test]
async fn a_component_whose_imports_were_not_agreed_to_does_not_load() {
    let Err(refused) = hostile().grants(&BTreeMap::new()).load().await else { panic!("it loads") };
    let wanted = "component `hostile` imports `cache`, which you did not agree to: run `aiw extension update hostile --accept-changes`";
    assert_eq!(refused.to_string(), wanted);
}

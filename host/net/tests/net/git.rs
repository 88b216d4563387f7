//! Git over HTTP, ssh and files, with real repositories.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aiw_core::{RelPath, Sha};
use aiw_net::{GitOrigin, HttpClient, NetError, Policy, RequestLimits, Tree, Trees};

use crate::world::{Server, World, in_child, reply, run, short, variable};

const ABSENT: &str = "00000000000000000000000000000000deadbeef";

fn origin(url: &str, reference: Option<&str>, sha: Option<&str>) -> GitOrigin {
    GitOrigin {
        url: url.to_owned(),
        reference: reference.map(str::to_owned),
        sha: sha.map(|sha| sha.parse().unwrap()),
        path: None,
    }
}

fn text(tree: &Tree, path: &str) -> String {
    String::from_utf8(tree.read(&RelPath::parse(path).unwrap(), 1 << 20).unwrap()).unwrap()
}

/// Three commits on `main`. The first is also `v1` (an annotated tag) and `old` (a branch).
fn history() -> (World, [String; 3]) {
    let world = World::with_repository();
    let first = world.git(&["rev-parse", "HEAD"]);
    world.git(&["tag", "-a", "v1", "-m", "one"]);
    world.git(&["branch", "old"]);
    world.write("r/a.txt", "two");
    let second = world.commit("second");
    world.write("r/a.txt", "three");
    let third = world.commit("third");
    (world, [first, second, third])
}

fn every_way_in(world: &World, url: &str, policy: &Policy, [first, second, third]: &[String; 3]) {
    // Each case has its own cache, because the way to the commit is what is tested.
    for (n, (reference, sha, commit, content)) in [
        (None, None, third, "three"),
        (Some("main"), None, third, "three"),
        (Some("refs/heads/main"), None, third, "three"),
        (Some("old"), None, first, "one"),
        (Some("v1"), None, first, "one"),
        (None, Some(second), second, "two"),
        (Some("main"), Some(first), first, "one"),
        (Some("v1"), Some(first), first, "one"),
    ]
    .into_iter()
    .enumerate()
    {
        let trees = Trees::new(HttpClient::new().unwrap(), world.path(&format!("cache-{n}")));
        let wanted = origin(url, reference, sha.map(String::as_str));
        let tree = run(trees.open_git(policy, &wanted)).unwrap_or_else(|error| panic!("{wanted:?}: {error}"));
        assert_eq!((tree.revision(), text(&tree, "a.txt").as_str()), (commit.as_str(), content), "{wanted:?}");
        assert_eq!(tree.commit().map(Sha::as_str), Some(commit.as_str()));
    }
    let trees = world.trees();
    let open = |reference, sha| run(trees.open_git(policy, &origin(url, reference, sha)));
    // One cache for all, in an order that goes back in history.
    for commit in [third, first, second] {
        assert_eq!(open(None, Some(commit)).unwrap().revision(), commit);
    }
    for (reference, sha, part) in [
        (Some("nope"), None, "has no branch or tag `nope`"),
        (None, Some(ABSENT), "commit `00000000000000000000000000000000deadbeef` is not in"),
        (Some("main"), Some(ABSENT), "commit `00000000000000000000000000000000deadbeef` is not in"),
    ] {
        match open(reference, sha) {
            Err(NetError::NotFound { message }) if message.contains(part) => {}
            other => panic!("{reference:?} {sha:?}: {:?}", other.err()),
        }
    }
    for bad in ["-x", "a..b", "a b", "", "a:b", "*", "x^{}", "refs/heads/*"] {
        assert!(matches!(open(Some(bad), None), Err(NetError::Invalid { .. })), "{bad:?}");
    }
    let refs = run(trees.list_refs(policy, url)).unwrap();
    assert_eq!(refs.resolve(None).unwrap().as_str(), third);
    assert_eq!(refs.resolve(Some("v1")).unwrap().as_str(), first);
    assert!(refs.iter().any(|r| r.name == "HEAD" && r.sha.as_str() == third));
}

#[test]
fn a_local_repository_opens_at_a_ref_and_at_a_commit() {
    let (world, commits) = history();
    every_way_in(&world, &world.url(), &world.policy(), &commits);
    every_way_in(&world, world.path("r").to_str().unwrap(), &world.policy(), &commits);
}

#[test]
fn a_local_repository_is_read_where_it_is() {
    let (world, [first, _, third]) = history();
    world.git(&["clone", "-q", "--bare", ".", "../bare.git"]);
    let trees = world.trees();
    for url in [world.url(), format!("file://{}", world.path("bare.git").display())] {
        let tree = run(trees.open_git(&world.policy(), &GitOrigin::new(&url))).unwrap();
        assert_eq!((tree.revision(), text(&tree, "a.txt").as_str()), (third.as_str(), "three"));
        let tree = run(trees.open_git(&world.policy(), &origin(&url, None, Some(&first)))).unwrap();
        assert_eq!(text(&tree, "a.txt"), "one");
        let refs = run(trees.list_refs(&world.policy(), &url)).unwrap();
        let listed: Vec<String> = refs.iter().map(|r| format!("{} {}", r.sha, r.name)).collect();
        let told = world.git(&["ls-remote", &url]).replace('\t', " ");
        let mut expected: Vec<&str> = told.lines().collect();
        expected.sort_unstable();
        let mut found = listed.clone();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert!(listed[0].ends_with(" HEAD"));
    }
    assert!(!world.path("cache").exists());
    // A directory inside a repository is not a repository.
    let inside = format!("{}/sub", world.url());
    match run(trees.open_git(&world.policy(), &GitOrigin::new(&inside))) {
        Err(NetError::NotFound { message }) => {
            assert_eq!(message, format!("there is no git repository at `{inside}`"));
        }
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_repository_of_another_user_names_safe_directory() {
    let (world, _) = history();
    // Only root can give files away.
    if std::os::unix::fs::chown(world.path("r/.git"), Some(12345), Some(12345)).is_err() {
        return;
    }
    std::os::unix::fs::chown(world.path("r"), Some(12345), Some(12345)).unwrap();
    let repository = world.path("r");
    let child = || {
        in_child(
            "git::child_with_a_repository_of_another",
            &world.path("home"),
            &[("T_PATH", repository.to_str().unwrap())],
        );
    };
    child();
    std::fs::write(world.path("home/.gitconfig"), format!("[safe]\n\tdirectory = {}\n", repository.display())).unwrap();
    child();
}

#[test]
#[ignore = "runs in a child"]
fn child_with_a_repository_of_another() {
    let path = variable("T_PATH");
    let mut policy = Policy::none();
    policy.grant_url(&path);
    let trees = Trees::new(HttpClient::new().unwrap(), "/nowhere".into());
    let opened = run(trees.open_git(&policy, &GitOrigin::new(&path)));
    if std::path::Path::new(&variable("HOME")).join(".gitconfig").exists() {
        assert!(opened.is_ok(), "{:?}", opened.err());
        return;
    }
    match opened {
        Err(NetError::Denied { message, .. }) => assert_eq!(
            message,
            format!(
                "the git repository at `{path}` belongs to another user, and git's `safe.directory` does not list it"
            )
        ),
        other => panic!("{:?}", other.err()),
    }
}

#[test]
fn a_server_that_allows_little_is_fetched_by_ref() {
    let (world, commits) = history();
    let server = world.serve();
    every_way_in(&world, &server.url("/r"), &server.granted(), &commits);
}

#[test]
fn a_server_that_allows_commits_is_asked_for_one() {
    let (world, commits) = history();
    world.git(&["config", "uploadpack.allowReachableSHA1InWant", "true"]);
    let server = world.serve();
    let wanted = origin(&server.url("/r/"), None, Some(&commits[1]));
    let trees = world.trees();
    let tree = run(trees.open_git(&server.granted(), &wanted)).unwrap();
    assert_eq!(text(&tree, "a.txt"), "two");
    // One request for the list, one for the ends of the history, and one for the pack of a single commit.
    assert_eq!(server.requests(), 3);
    let shallow = std::fs::read_dir(world.path("cache"))
        .unwrap()
        .flatten()
        .find_map(|entry| std::fs::read_to_string(entry.path().join("shallow")).ok());
    assert_eq!(shallow.unwrap().trim(), commits[1]);
    every_way_in(&world, &server.url("/r"), &server.granted(), &commits);
}

#[test]
fn what_was_fetched_is_opened_without_the_network() {
    let (world, commits) = history();
    let server = world.serve();
    let wanted = origin(&server.url("/r"), None, Some(&commits[2]));
    let trees = world.trees();
    run(trees.open_git(&server.granted(), &wanted)).unwrap();
    let before = server.requests();
    run(trees.open_git(&server.granted(), &wanted)).unwrap();
    assert_eq!(server.requests(), before);
    // A caller without permission gets nothing from the cache.
    assert!(matches!(run(trees.open_git(&Policy::none(), &wanted)), Err(NetError::Denied { .. })));
}

#[test]
fn nothing_of_the_repository_runs_or_is_checked_out() {
    let (world, _) = history();
    let server = world.serve();
    run(world.trees().open_git(&server.granted(), &GitOrigin::new(server.url("/r")))).unwrap();
    let cache = std::fs::read_dir(world.path("cache")).unwrap().flatten();
    let cache = cache.map(|entry| entry.path()).find(|path| path.is_dir()).unwrap();
    let name = cache.file_name().unwrap().to_str().unwrap();
    assert!(name.len() == 18 && name.ends_with("-r"), "{name}");
    for absent in ["a.txt", "refs/tags/v1", "refs/heads/main"] {
        assert!(!cache.join(absent).exists(), "{absent}");
    }
    // libgit2 empties the file before each fetch and writes nothing to it.
    assert_eq!(std::fs::read(cache.join("FETCH_HEAD")).unwrap(), b"");
    let hooks = std::fs::read_dir(cache.join("hooks")).unwrap().flatten();
    let hooks: Vec<_> = hooks.map(|entry| entry.file_name()).collect();
    assert_eq!(hooks, ["README.sample"]);
}

#[test]
fn an_empty_repository_says_so() {
    let world = World::new();
    std::fs::create_dir(world.path("r")).unwrap();
    world.git(&["init", "-q"]);
    let server = world.serve();
    for (url, policy) in [(world.url(), world.policy()), (server.url("/r"), server.granted())] {
        match run(world.trees().open_git(&policy, &GitOrigin::new(&url))) {
            Err(NetError::NotFound { message }) => {
                assert_eq!(message, format!("`{url}` is an empty repository: it has no commits"));
            }
            other => panic!("{:?}", other.err()),
        }
        let error = run(world.trees().open_git(&policy, &origin(&url, None, Some(ABSENT)))).err().unwrap();
        assert!(matches!(error, NetError::NotFound { .. }), "{error}");
    }
}

#[test]
fn a_sub_path_is_the_root_of_its_tree() {
    let (world, _) = history();
    let open = |path: &str| {
        let mut wanted = GitOrigin::new(world.url());
        wanted.path = Some(RelPath::parse(path).unwrap());
        run(world.trees().open_git(&world.policy(), &wanted))
    };
    assert_eq!(text(&open("sub").unwrap(), "b.txt"), "b");
    for absent in ["nope", "a.txt", "sub/b.txt/c"] {
        assert!(matches!(open(absent), Err(NetError::NotFound { .. })), "{absent}");
    }
}

#[test]
fn a_directory_that_was_not_granted_is_refused() {
    let (world, _) = history();
    let elsewhere = World::new();
    std::os::unix::fs::symlink(world.path("r"), elsewhere.path("link")).unwrap();
    for url in [world.url(), elsewhere.path("link").display().to_string(), "/nowhere/at/all".to_owned()] {
        let error = run(elsewhere.trees().open_git(&elsewhere.policy(), &GitOrigin::new(&url))).err().unwrap();
        assert!(matches!(error, NetError::Denied { .. }), "{url}: {error}");
    }
    assert!(run(elsewhere.trees().open_directory(&elsewhere.policy(), &world.path("r"))).is_err());
    assert!(run(elsewhere.trees().open_directory(&elsewhere.policy(), &elsewhere.path("link"))).is_err());
}

#[test]
fn a_server_that_sends_another_commit_is_not_believed() {
    let (world, [first, second, third]) = history();
    world.git(&["config", "uploadpack.allowReachableSHA1InWant", "true"]);
    let backend = world.backend();
    let (asked, given) = (second.clone(), first);
    let server = Server::start(move |request, stream| {
        let mut request = request.clone();
        if request.method == "POST" {
            let body = String::from_utf8(request.body).unwrap();
            request.body = body.replace(&asked, &given).replace(&third, &given).into_bytes();
        }
        backend.answer(&request, stream);
    });
    let result = run(world.trees().open_git(&server.granted(), &origin(&server.url("/r"), None, Some(&second))));
    match result {
        Err(NetError::NotFound { message }) => assert!(message.contains(&second), "{message}"),
        other => panic!("{:?}", other.map(|tree| tree.revision().to_owned())),
    }
}

#[test]
fn a_garbled_pack_is_an_error() {
    let (world, _) = history();
    let backend = world.backend();
    let server = Server::start(move |request, stream| {
        if request.method == "POST" {
            let body = b"0008NAK\nPACK\0\0\0\x02\0\0\0\x03garbage of some length, and more";
            reply(stream, "200 OK", &[("Content-Type", "application/x-git-upload-pack-result")], body);
        } else {
            backend.answer(request, stream);
        }
    });
    let error = run(world.trees().open_git(&server.granted(), &GitOrigin::new(server.url("/r")))).err().unwrap();
    assert!(matches!(error, NetError::Malformed { .. }), "{error}");
}

#[test]
fn what_is_no_repository_is_called_so() {
    let world = World::new();
    let server = Server::start(|request, stream| match request.target.split('/').nth(1).unwrap() {
        "html" => reply(stream, "200 OK", &[("Content-Type", "text/html; charset=utf-8")], b"<html>"),
        "401" => reply(stream, "401 No", &[("WWW-Authenticate", "Basic")], b""),
        "403" => reply(stream, "403 No", &[], b""),
        "503" => reply(stream, "503 Later", &[("Retry-After", "9")], b""),
        _ => reply(stream, "404 No", &[], b""),
    });
    let open = |path: &str| {
        let error = run(world.trees().open_git(&server.granted(), &GitOrigin::new(server.url(path)))).err().unwrap();
        (error.to_string().replace(&server.url(""), ""), error)
    };
    assert_eq!(open("/html/x").0, "`/html/x` is not a git repository: it answered `text/html`");
    assert_eq!(open("/404/x").0, "there is no git repository at `/404/x`");
    assert_eq!(open("/403/x").0, "`/403/x` refuses access (403)");
    assert!(matches!(open("/503/x").1, NetError::Unavailable { retry_after: Some(9), .. }));
    let (message, error) = open("/401/x");
    assert_eq!(message, "`/401/x` needs credentials, but no git credential helper has any for it");
    assert!(matches!(error, NetError::Denied { .. }));
}

#[test]
fn urls_of_other_kinds_are_refused() {
    let world = World::new();
    let mut policy = Policy::public();
    policy.directories.push("/".into());
    for url in
        ["ext::sh -c true", "git://example.com/x", "-x", "--upload-pack=x", "https://u:hunter2@example.com/x", "../r"]
    {
        let error = run(world.trees().open_git(&policy, &GitOrigin::new(url))).err().unwrap();
        assert!(matches!(error, NetError::Invalid { .. }), "{url}: {error}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
    for url in [
        "https://127.0.0.1:9/x",
        "https://localhost:9/x",
        "http://example.com/x",
        "ssh://git@localhost/x",
        "git@127.0.0.1:x",
    ] {
        let error = run(world.trees().open_git(&policy, &GitOrigin::new(url))).err().unwrap();
        assert!(matches!(error, NetError::Denied { .. }), "{url}: {error}");
    }
}

#[test]
fn a_redirect_is_followed_where_it_may_go() {
    let (world, commits) = history();
    let real = world.serve();
    let to = real.url("");
    let server = Server::start(move |request, stream| {
        reply(stream, "301 Moved", &[("Location", &format!("{to}{}", request.target))], b"");
    });
    let wanted = GitOrigin::new(server.url("/r"));
    let mut policy = server.granted();
    assert!(matches!(run(world.trees().open_git(&policy, &wanted)), Err(NetError::Denied { .. })));
    assert_eq!(real.requests(), 0);
    policy.grant_url(&real.url("/"));
    assert_eq!(run(world.trees().open_git(&policy, &wanted)).unwrap().revision(), commits[2]);
}

#[test]
fn a_stalled_server_is_left_when_the_future_is_dropped() {
    let (world, _) = history();
    let backend = world.backend();
    for stalls in ["GET", "POST"] {
        let backend = backend.clone();
        let server = Server::start(move |request, stream| {
            if request.method == stalls {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-");
                std::thread::sleep(Duration::from_secs(60));
            }
            backend.answer(request, stream);
        });
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let wanted = GitOrigin::new(server.url("/r"));
        let (trees, policy) = (world.trees(), server.granted());
        let done = runtime.block_on(async {
            tokio::time::timeout(Duration::from_millis(400), trees.open_git(&policy, &wanted)).await
        });
        assert!(done.is_err());
        // Dropping the runtime waits for the blocking thread.
        let dropped = Instant::now();
        drop(runtime);
        assert!(dropped.elapsed() < Duration::from_secs(20), "{stalls}: {:?}", dropped.elapsed());
    }
}

#[test]
fn a_stalled_server_and_a_large_pack_end_in_an_error() {
    let (world, _) = history();
    let server = Server::start(|_, _| std::thread::sleep(Duration::from_secs(60)));
    let trees = Trees::new(HttpClient::with_limits(short()).unwrap(), world.path("cache"));
    let error = run(trees.open_git(&server.granted(), &GitOrigin::new(server.url("/r")))).err().unwrap();
    assert!(matches!(error, NetError::Unavailable { .. }), "{error}");
    let server = world.serve();
    let limits = RequestLimits { max_pack_bytes: 700, ..RequestLimits::default() };
    let trees = Trees::new(HttpClient::with_limits(limits).unwrap(), world.path("cache"));
    let error = run(trees.open_git(&server.granted(), &GitOrigin::new(server.url("/r")))).err().unwrap();
    assert!(matches!(error, NetError::TooLarge { .. }), "{error}");
}

#[test]
fn progress_is_told_and_two_at_once_fetch_once() {
    let (world, commits) = history();
    world.git(&["config", "uploadpack.allowTipSHA1InWant", "true"]);
    let server = world.serve();
    let objects = Arc::new(AtomicU64::new(0));
    let told = objects.clone();
    let trees = world
        .trees()
        .on_progress(Arc::new(move |progress| _ = told.fetch_max(progress.received_objects, Ordering::SeqCst)));
    let wanted = origin(&server.url("/r"), Some("main"), Some(&commits[2]));
    let policy = server.granted();
    run(async {
        let (one, two) = tokio::join!(trees.open_git(&policy, &wanted), trees.open_git(&policy, &wanted));
        assert_eq!(one.unwrap().revision(), two.unwrap().revision());
    });
    assert!(objects.load(Ordering::SeqCst) >= 4);
    let listings = server.seen.lock().unwrap().iter().filter(|request| request.method == "GET").count();
    assert_eq!(listings, 1);
}

#[test]
fn instead_of_is_the_users_grant() {
    let (world, commits) = history();
    let server = world.serve();
    std::fs::write(
        world.path("home/.gitconfig"),
        format!(
            "[url \"{}\"]\n\tinsteadOf = https://forge.example/\n[url \"{}/\"]\n\tinsteadOf = forge:\n[url \"http://me:p%40ss@127.0.0.1:{}/\"]\n\tinsteadOf = https://token.example/\n",
            server.url("/"),
            world.path("").display(),
            server.port
        ),
    )
    .unwrap();
    let cache = world.path("cache");
    in_child(
        "git::child_with_instead_of",
        &world.path("home"),
        &[("T_COMMIT", &commits[2]), ("T_SERVER", &server.url("/")), ("T_CACHE", cache.to_str().unwrap())],
    );
    let seen = server.seen.lock().unwrap();
    // This is `me:p@ss`.
    let sent =
        seen.iter().filter(|request| request.headers.get("authorization").is_some_and(|v| v == "Basic bWU6cEBzcw=="));
    assert_eq!(sent.count(), 3, "one listing, and a pack in two steps");
}

#[test]
#[ignore = "runs in a child"]
fn child_with_instead_of() {
    let (commit, server) = (variable("T_COMMIT"), variable("T_SERVER"));
    assert_eq!(aiw_net::rewrite_url("https://forge.example/r"), Some(format!("{server}r")));
    assert_eq!(aiw_net::rewrite_url("https://other.example/r"), None);
    let trees = Trees::new(HttpClient::new().unwrap(), variable("T_CACHE").into());
    for url in ["https://forge.example/r", "forge:r", "https://token.example/r"] {
        let tree = run(trees.open_git(&Policy::none(), &GitOrigin::new(url))).unwrap();
        assert_eq!(tree.revision(), commit, "{url}");
    }
    // The grant is for the rewritten URL, not for a direct request to the same place.
    assert!(run(trees.open_git(&Policy::public(), &GitOrigin::new(format!("{server}r")))).is_err());
}

#[test]
fn a_credential_helper_is_asked_once_the_server_asks() {
    let (world, commits) = history();
    let backend = world.backend();
    let refused = Arc::new(Mutex::new(0));
    let count = refused.clone();
    let server = Server::start(move |request, stream| {
        if request.headers.get("authorization").map(String::as_str) == Some("Basic bWU6cGFzcw==") {
            backend.answer(request, stream);
        } else {
            *count.lock().unwrap() += 1;
            reply(stream, "401 No", &[("WWW-Authenticate", "Basic realm=\"x\"")], b"");
        }
    });
    let helper = |password: &str| {
        let config = format!(
            "[credential]\n\thelper = \"!f() {{ test \\\"$1\\\" = get && echo username=me && echo password={password}; }}; f\"\n"
        );
        std::fs::write(world.path("home/.gitconfig"), config).unwrap();
    };
    let cache = world.path("cache");
    let child = |commit: &str| {
        in_child(
            "git::child_with_a_credential_helper",
            &world.path("home"),
            &[("T_COMMIT", commit), ("T_URL", &server.url("/r")), ("T_CACHE", cache.to_str().unwrap())],
        );
    };
    helper("pass");
    child(&commits[2]);
    assert_eq!(*refused.lock().unwrap(), 1);
    helper("hunter2");
    child("");
}

#[test]
#[ignore = "runs in a child"]
fn child_with_a_credential_helper() {
    let mut policy = Policy::none();
    policy.grant_url(&variable("T_URL"));
    let trees = Trees::new(HttpClient::new().unwrap(), variable("T_CACHE").into());
    let opened = run(trees.open_git(&policy, &GitOrigin::new(variable("T_URL"))));
    match variable("T_COMMIT").as_str() {
        "" => match opened {
            Err(NetError::Denied { message, .. }) => {
                assert!(message.contains("rejects the credentials"), "{message}")
            }
            other => panic!("{:?}", other.err()),
        },
        commit => assert_eq!(opened.unwrap().revision(), commit),
    }
}

#[test]
fn ssh_is_the_users_git() {
    let (world, commits) = history();
    world.git(&["config", "uploadpack.allowReachableSHA1InWant", "true"]);
    // The last argument is the command for the server.
    world.write("ssh", "#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n");
    std::fs::set_permissions(world.path("ssh"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(world.path("home/.gitconfig"), "[safe]\n\tdirectory = *\n").unwrap();
    let (cache, ssh, repository) = (world.path("cache"), world.path("ssh"), world.path("r"));
    in_child(
        "git::child_with_ssh",
        &world.path("home"),
        &[
            ("T_COMMITS", &commits.join(" ")),
            ("T_PATH", repository.to_str().unwrap()),
            ("T_CACHE", cache.to_str().unwrap()),
            ("GIT_SSH_COMMAND", ssh.to_str().unwrap()),
        ],
    );
}

#[test]
#[ignore = "runs in a child"]
fn child_with_ssh() {
    let commits: Vec<String> = variable("T_COMMITS").split(' ').map(str::to_owned).collect();
    let url = format!("git@forge.example:{}", variable("T_PATH"));
    let trees = Trees::new(HttpClient::new().unwrap(), variable("T_CACHE").into());
    let mut policy = Policy::none();
    assert!(matches!(run(trees.open_git(&policy, &GitOrigin::new(&url))), Err(NetError::Denied { .. })));
    policy.grant_url(&url);
    let open = |reference, sha| run(trees.open_git(&policy, &origin(&url, reference, sha)));
    assert_eq!(open(None, None).unwrap().revision(), commits[2]);
    assert_eq!(open(Some("v1"), None).unwrap().revision(), commits[0]);
    assert_eq!(text(&open(None, Some(commits[1].as_str())).unwrap(), "a.txt"), "two");
    assert!(matches!(open(Some("nope"), None), Err(NetError::NotFound { .. })));
    assert!(open(None, Some(ABSENT)).is_err());
}

#[test]
fn the_proxy_of_gits_configuration_is_used() {
    let (world, commits) = history();
    let backend = world.backend();
    let proxy = Server::start(move |request, stream| {
        let mut request = request.clone();
        request.target = request.target.replace("http://forge.example", "");
        backend.answer(&request, stream);
    });
    std::fs::write(world.path("home/.gitconfig"), format!("[http]\n\tproxy = {}\n", proxy.url(""))).unwrap();
    let cache = world.path("cache");
    in_child(
        "git::child_with_a_proxy",
        &world.path("home"),
        &[("T_COMMIT", &commits[2]), ("T_CACHE", cache.to_str().unwrap()), ("NO_PROXY", ""), ("no_proxy", "")],
    );
    assert!(proxy.seen.lock().unwrap().iter().all(|request| request.target.starts_with("http://forge.example/r/")));
}

#[test]
#[ignore = "runs in a child"]
fn child_with_a_proxy() {
    let (url, mut policy) = ("http://forge.example/r", Policy::none());
    policy.grant_url(url);
    // On a single-threaded runtime, as in a small command.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let trees = Trees::new(HttpClient::new().unwrap(), variable("T_CACHE").into());
    let tree = runtime.block_on(trees.open_git(&policy, &GitOrigin::new(url))).unwrap();
    assert_eq!(tree.revision(), variable("T_COMMIT"));
    let other = GitOrigin::new("http://other.example/r");
    assert!(matches!(runtime.block_on(trees.open_git(&policy, &other)), Err(NetError::Denied { .. })));
}

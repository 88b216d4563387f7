//! Bare repositories, and what may be in them.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aiw_tests::{Answer, Server, git_backend};

use super::*;

fn git(world: &World, directory: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(world.path(directory)).args(arguments).env("HOME", world.path("user"));
    command.envs([("GIT_AUTHOR_NAME", "a"), ("GIT_AUTHOR_EMAIL", "a@b"), ("GIT_COMMITTER_NAME", "a")]);
    let output = command.env("GIT_COMMITTER_EMAIL", "a@b").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A machine, and a bare repository beside it.
fn world() -> (World, String) {
    let world = World::new();
    git(&world, "", &["init", "--quiet", "--bare", "far.git"]);
    let address = format!("git:{}", world.path("far.git").display());
    (world, address)
}

#[test]
fn a_repository_keeps_what_it_is_given_in_one_branch() {
    let (world, address) = world();
    keeps_what_it_is_given(&*world.open(&address));
    assert_eq!(git(&world, "far.git", &["for-each-ref", "--format=%(refname)"]), "refs/heads/aiw-sync");
    let log = git(&world, "far.git", &["log", "--format=%s %an <%ae>", "aiw-sync"]);
    let lines =
        ["Remove s-a-1.age", "Add s-a-1.age", "Add s-b-1.age"].map(|line| format!("{line} aiw <aiw@localhost>"));
    assert_eq!(log, lines.join("\n"));
}

#[test]
fn an_object_is_never_replaced() {
    let (world, address) = world();
    let far = world.open(&address);
    wait(far.put("s-1.age", b"one")).unwrap();
    wait(far.put("s-1.age", b"one")).unwrap();
    assert!(matches!(wait(far.put("s-1.age", b"two")), Err(RemoteError::AlreadyExists { .. })));
    assert_eq!(wait(far.get("s-1.age", 9)).unwrap(), b"one");
    assert_eq!(git(&world, "far.git", &["rev-list", "--count", "aiw-sync"]), "1");
}

#[test]
fn two_machines_that_push_at_once_lose_nothing() {
    const EACH: usize = 8;

    let (one, address) = world();
    let two = World::new();
    wait(async {
        let push = |far: Box<dyn Remote>, machine: &'static str| {
            tokio::spawn(async move {
                for number in 0..EACH {
                    far.put(&format!("s-{machine}-{number}.age"), machine.as_bytes()).await.unwrap();
                }
            })
        };
        let (context, other) = (one.context(), two.context());
        let first = push(open(&one.address(&address), &context).await.unwrap(), "a");
        let second = push(open(&two.address(&address), &other).await.unwrap(), "b");
        first.await.unwrap();
        second.await.unwrap();
    });
    for world in [&one, &two] {
        let far = world.open(&address);
        assert_eq!(wait(far.list()).unwrap().len(), 2 * EACH);
        assert_eq!(wait(far.get("s-b-0.age", 9)).unwrap(), b"b");
    }
}

#[test]
fn what_else_is_in_the_tree_stays_and_is_no_object() {
    let (world, address) = world();
    fs::create_dir(world.path("work")).unwrap();
    git(&world, "work", &["init", "--quiet", "-b", "aiw-sync"]);
    for name in ["README.md", "S.age", "s-1.age"] {
        fs::write(world.path("work").join(name), name).unwrap();
    }
    fs::create_dir(world.path("work/s-2.age")).unwrap();
    fs::write(world.path("work/s-2.age/s-3.age"), "x").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", world.path("work/s-4.age")).unwrap();
    git(&world, "work", &["add", "-A"]);
    // Another repository, and a name that git itself would refuse.
    let id = "1".repeat(40);
    git(&world, "work", &["update-index", "--add", "--cacheinfo", &format!("160000,{id},s-5.age")]);
    git(&world, "work", &["commit", "--quiet", "-m", "x"]);
    let blob = git(&world, "work", &["hash-object", "-w", "README.md"]);
    let listed = git(&world, "work", &["ls-tree", "-z", "HEAD"]);
    let listed = listed.trim_end_matches('\0');
    let mut mktree = Command::new("git");
    mktree.args(["mktree", "-z", "--missing"]).current_dir(world.path("work"));
    let mut mktree = mktree.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = format!("{listed}\0100644 blob {blob}\t..\0");
    mktree.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let tree = String::from_utf8(mktree.wait_with_output().unwrap().stdout).unwrap().trim().to_owned();
    let commit = git(&world, "work", &["commit-tree", &tree, "-m", "hostile"]);
    let url = world.path("far.git").display().to_string();
    git(&world, "work", &["push", "--quiet", &url, &format!("{commit}:refs/heads/aiw-sync")]);

    let far = world.open(&address);
    assert_eq!(wait(far.list()).unwrap(), [object("s-1.age", 7)]);
    for name in ["s-2.age", "s-4.age", "s-5.age"] {
        assert!(matches!(wait(far.get(name, 99)), Err(RemoteError::NotFound { .. })), "{name}");
        assert!(matches!(wait(far.put(name, b"x")), Err(RemoteError::AlreadyExists { .. })), "{name}");
    }
    wait(far.put("s-6.age", b"six")).unwrap();
    let names = git(&world, "far.git", &["ls-tree", "--name-only", "aiw-sync"]);
    assert_eq!(names.lines().count(), 8, "{names}");
}

#[test]
fn no_hook_of_the_user_runs_and_no_program_that_an_address_names() {
    let (world, address) = world();
    wait(World::new().open(&address).put("s-0.age", b"zero")).unwrap();
    let hooks = world.path("hooks");
    fs::create_dir(&hooks).unwrap();
    for hook in ["pre-push", "reference-transaction"] {
        let path = hooks.join(hook);
        fs::write(&path, format!("#!/bin/sh\ntouch {}\n", world.path("ran").display())).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let rewritten = format!("ext::sh -c touch% {}", world.path("ran").display());
    let config = format!(
        "[core]\n\thooksPath = {}\n[protocol]\n\tallow = always\n[url \"{rewritten}\"]\n\tinsteadOf = https://x.example/\n",
        hooks.display()
    );
    fs::write(world.path("user/.gitconfig"), config).unwrap();
    assert_eq!(wait(world.open(&address).list()).unwrap().len(), 1);
    assert!(!world.path("ran").exists());
    // The repository is on this machine, too, where the user's git serves it with the user's hooks.
    fs::remove_file(hooks.join("reference-transaction")).unwrap();
    wait(world.open(&address).put("s-1.age", b"one")).unwrap();
    let error = wait(world.open("git:https://x.example/").list()).unwrap_err();
    assert!(matches!(error, RemoteError::Git { .. }), "{error}");
    assert!(!world.path("ran").exists());
}

#[test]
fn a_repository_that_is_not_there_or_says_no_is_an_error() {
    let (world, address) = world();
    let error = wait(world.open(&format!("git:{}", world.path("none.git").display())).list()).unwrap_err();
    assert!(matches!(&error, RemoteError::Git { complaint, .. } if complaint.contains("none.git")), "{error}");
    let hook = world.path("far.git/hooks/pre-receive");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\nexit 1\n").unwrap();
    fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let error = wait(world.open(&address).put("s-1.age", b"one")).unwrap_err();
    assert!(matches!(error, RemoteError::Git { .. }), "{error}");
    assert_eq!(wait(world.open(&address).list()).unwrap(), []);
    let mut context = world.context();
    context.home = Home::from_root(world.path("home")).with_context(ExecutionContext::new(Ok(world.path("")), []));
    assert!(matches!(wait(open(&world.address(&address), &context)), Err(RemoteError::GitNotFound)));
}

#[test]
fn a_server_of_git_is_reached_over_http_on_this_machine() {
    let (world, _) = world();
    git(&world, "far.git", &["config", "http.receivepack", "true"]);
    let server = Server::start(git_backend(world.path("")));
    let far = world.open(&format!("git:{}/far.git", server.url()));
    wait(far.put("s-1.age", &noise(100_000, 3))).unwrap();
    assert_eq!(wait(far.list()).unwrap(), [object("s-1.age", 100_000)]);
    let again = World::new();
    let far = again.open(&format!("git:{}/far.git", server.url()));
    assert_eq!(wait(far.get("s-1.age", 100_000)).unwrap(), noise(100_000, 3));
}

#[test]
fn a_silent_server_is_given_up_once() {
    let (world, _) = world();
    let backend = git_backend(world.path(""));
    let pushes = Arc::new(AtomicUsize::new(0));
    let counted = pushes.clone();
    let server = Server::start(move |request| match request.query.contains("git-receive-pack") {
        true => {
            counted.fetch_add(1, Ordering::Relaxed);
            Answer::Silence
        }
        false => backend(request),
    });
    let context = RemoteContext { answer_timeout: Duration::from_secs(2), ..world.context() };
    let address = world.address(&format!("git:{}/far.git", server.url()));
    let far = wait(open(&address, &context)).unwrap();
    let error = wait(far.put("s-1.age", b"one")).unwrap_err();
    assert!(matches!(&error, RemoteError::Git { complaint, .. } if complaint == "it sent nothing for 2 s"), "{error}");
    assert_eq!(pushes.load(Ordering::Relaxed), 1);
}

#[test]
fn what_a_killed_git_leaves_holds_up_nothing() {
    let (world, address) = world();
    wait(world.open(&address).put("s-1.age", b"one")).unwrap();
    let clone = fs::read_dir(world.path("home/sync/git")).unwrap().flatten().next().unwrap().path();
    fs::create_dir_all(clone.join("objects/pack")).unwrap();
    fs::write(clone.join("objects/pack/tmp_pack_x"), noise(1_000, 1)).unwrap();
    for left in ["HEAD.lock", "config.lock", "packed-refs.lock", "shallow.lock", "refs/aiw/theirs.lock"] {
        fs::write(clone.join(left), "").unwrap();
    }
    wait(world.open(&address).put("s-2.age", b"two")).unwrap();
    wait(world.open(&address).delete("s-1.age")).unwrap();
    // Killed while the clone was made.
    for gone in ["aiw-ready", "config"] {
        fs::remove_file(clone.join(gone)).unwrap();
    }
    fs::remove_dir_all(clone.join("objects")).unwrap();
    fs::remove_dir_all(clone.join("refs")).unwrap();
    assert_eq!(wait(world.open(&address).list()).unwrap(), [object("s-2.age", 3)]);
}

#[test]
fn a_wait_that_is_given_up_ends_git() {
    let world = World::new();
    let server = Server::start(|_| Answer::Silence);
    let far = world.open(&format!("git:{}/far.git", server.url()));
    wait(async {
        let work = tokio::spawn(async move { far.list().await });
        while server.seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        work.abort();
        assert!(work.await.unwrap_err().is_cancelled());
    });
    // The runtime has waited for the thread, and that for git: the lock is free.
    let clones = fs::read_dir(world.path("home/sync/git")).unwrap().flatten();
    for clone in clones {
        assert!(!aiw_home::is_held(&clone.path().join("aiw.lock")));
    }
}

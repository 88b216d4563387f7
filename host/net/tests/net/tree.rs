//! Trees: paths, links, sizes.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use aiw_core::RelPath;
use aiw_net::{GitOrigin, ItemKind, NetError, Tree};
use proptest::prelude::*;

use crate::world::{World, run};

fn at(path: &str) -> RelPath {
    RelPath::parse(path).unwrap()
}

fn from_git(world: &World) -> Tree {
    run(world.trees().open_git(&world.policy(), &GitOrigin::new(world.url()))).unwrap()
}

fn from_directory(world: &World) -> Tree {
    run(world.trees().open_directory(&world.policy(), &world.path("r"))).unwrap()
}

/// Returns the same files as a git tree and as the directory that it was made from.
fn both(world: &World) -> [Tree; 2] {
    world.commit("all");
    [from_git(world), from_directory(world)]
}

fn materialized(tree: &Tree) -> (tempfile::TempDir, aiw_net::MaterializeSummary) {
    let into = tempfile::tempdir().unwrap();
    let done = tree.materialize(into.path()).unwrap();
    (into, done)
}

fn left_out(done: &aiw_net::MaterializeSummary) -> Vec<String> {
    done.skipped.iter().map(|left| format!("{}: {}", left.path, left.reason)).collect()
}

#[test]
fn a_tree_lists_and_reads_the_same_from_git_and_from_a_directory() {
    let world = World::with_repository();
    world.write("r/run.sh", "#!/bin/sh\n");
    std::fs::set_permissions(world.path("r/run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("sub/b.txt", world.path("r/link")).unwrap();
    symlink("sub", world.path("r/way")).unwrap();
    for tree in both(&world) {
        let items = tree.list(&RelPath::root()).unwrap();
        let items: Vec<_> = items.iter().map(|i| (i.name.as_str(), i.kind, i.size, i.executable)).collect();
        let expected = [
            ("a.txt", ItemKind::File, 3, false),
            ("link", ItemKind::Link, 0, false),
            ("run.sh", ItemKind::File, 10, true),
            ("sub", ItemKind::Directory, 0, false),
            ("way", ItemKind::Link, 0, false),
        ];
        assert_eq!(items, expected);
        for path in ["sub/b.txt", "link", "way/b.txt"] {
            assert_eq!(tree.read(&at(path), 1).unwrap(), b"b", "{path}");
        }
        assert_eq!(tree.list(&at("way")).unwrap()[0].name, "b.txt");
        assert!(matches!(tree.read(&at("a.txt"), 2), Err(NetError::TooLarge { .. })));
        for absent in ["nope", "sub", "a.txt/x", "sub/nope/x", ".git/config", ".GIT/config", ".git"] {
            assert!(matches!(tree.read(&at(absent), 99), Err(NetError::NotFound { .. })), "{absent}");
        }
        let walked: Vec<_> = tree.walk().unwrap().into_iter().map(|i| (i.path.to_string(), i.link_target)).collect();
        assert_eq!(walked.len(), 6);
        assert_eq!(walked[1], ("link".to_owned(), Some("sub/b.txt".to_owned())));
        let sub = tree.subtree(&at("sub")).unwrap();
        assert_eq!(sub.read(&at("b.txt"), 1).unwrap(), b"b");
        assert_eq!(sub.revision(), tree.revision());
    }
}

#[test]
fn a_digest_is_of_the_content_wherever_it_comes_from() {
    let world = World::with_repository();
    world.write("r/run.sh", "#!/bin/sh\n");
    std::fs::set_permissions(world.path("r/run.sh"), PermissionsExt::from_mode(0o755)).unwrap();
    symlink("run.sh", world.path("r/link")).unwrap();
    symlink("/etc/passwd", world.path("r/out")).unwrap();
    std::fs::create_dir(world.path("r/empty")).unwrap();
    let [git, directory] = both(&world);
    let digest = git.digest().unwrap();
    assert_eq!(digest.len(), 64);
    assert_eq!(directory.digest().unwrap(), digest);
    for tree in [&git, &directory] {
        let (into, done) = materialized(tree);
        assert_eq!((done.digest.as_str(), done.files, done.bytes), (digest.as_str(), 4, 14));
        assert_eq!(left_out(&done), ["out: link that leaves the plugin: -> /etc/passwd"]);
        let mode = |path: &str| std::fs::metadata(into.path().join(path)).unwrap().permissions().mode() & 0o111;
        assert_eq!((mode("run.sh") & 0o100, mode("a.txt")), (0o100, 0));
        assert_eq!(std::fs::read_link(into.path().join("link")).unwrap(), Path::new("run.sh"));
        assert!(!into.path().join(".git").exists());
        assert!(std::fs::symlink_metadata(into.path().join("out")).is_err());
    }
    std::fs::set_permissions(world.path("r/a.txt"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_ne!(directory.digest().unwrap(), digest);
}

#[test]
fn links_that_leave_are_refused_and_left_out() {
    let world = World::with_repository();
    world.write("secret", "secret");
    world.write("r/sub/deep/x", "x");
    for (target, link) in [
        ("../secret", "r/up"),
        ("../../secret", "r/sub/up"),
        ("/etc/passwd", "r/absolute"),
        ("up", "r/chain"),
        ("sub/../../secret", "r/round"),
        ("sub/nothing/../../../secret", "r/unknown"),
        ("loop", "r/loop"),
        ("nowhere", "r/dangling"),
        ("../a.txt", "r/sub/inside"),
    ] {
        symlink(target, world.path(link)).unwrap();
    }
    for tree in both(&world) {
        for bad in ["up", "sub/up", "absolute", "chain", "round", "unknown"] {
            let error = tree.read(&at(bad), 99).unwrap_err();
            assert!(matches!(error, NetError::Denied { .. }), "{bad}: {error}");
        }
        assert_eq!(tree.read(&at("up"), 99).unwrap_err().to_string(), "link `up` leaves the plugin: -> ../secret");
        assert!(matches!(tree.read(&at("loop"), 99), Err(NetError::Invalid { .. })));
        assert!(matches!(tree.read(&at("dangling"), 99), Err(NetError::NotFound { .. })));
        assert_eq!(tree.read(&at("sub/inside"), 99).unwrap(), b"one");
        let (into, done) = materialized(&tree);
        let names: BTreeSet<_> = done.skipped.iter().map(|left| left.path.to_string()).collect();
        let expected = ["absolute", "chain", "loop", "round", "sub/up", "unknown", "up"];
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert_eq!(std::fs::read(into.path().join("sub/inside")).unwrap(), b"one");
        // A link that stays in the repository may still leave the plugin.
        let sub = tree.subtree(&at("sub")).unwrap();
        assert!(matches!(sub.read(&at("inside"), 99), Err(NetError::Denied { .. })));
        let (_, done) = materialized(&sub);
        assert!(left_out(&done).contains(&"inside: link that leaves the plugin: -> ../a.txt".to_owned()));
    }
}

#[test]
fn a_submodule_is_not_followed() {
    let world = World::with_repository();
    let head = world.git(&["rev-parse", "HEAD"]);
    world.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},module")]);
    world.commit_index("module");
    let tree = from_git(&world);
    assert_eq!(tree.list(&RelPath::root()).unwrap()[1].kind, ItemKind::Submodule);
    for error in [
        tree.subtree(&at("module")).err().unwrap(),
        tree.subtree(&at("module/x")).err().unwrap(),
        tree.read(&at("module/a.txt"), 9).err().unwrap(),
    ] {
        assert_eq!(error.to_string(), "`module` is a git submodule, which is not followed");
    }
    assert_eq!(left_out(&materialized(&tree).1), ["module: git submodule, not followed"]);
}

#[test]
fn names_that_another_system_reads_otherwise_are_not_written() {
    for (names, part) in [
        (vec!["x/README.md", "x/readme.md"], "differ only in case"),
        (vec!["X/a", "x/b"], "differ only in case"),
        (vec!["x/aux.md"], "a Windows device name"),
        (vec!["a\\b"], "a backslash"),
        (vec!["x/c:d"], "a colon"),
        (vec!["dot."], "ends with a dot"),
    ] {
        let world = World::with_repository();
        for name in &names {
            world.write(&format!("r/{name}"), "x");
        }
        for tree in both(&world) {
            let into = tempfile::tempdir().unwrap();
            let error = tree.materialize(into.path()).unwrap_err();
            assert!(matches!(error, NetError::Invalid { .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 0);
        }
    }
}

#[test]
fn entries_that_git_itself_refuses_are_refused() {
    for name in [".git", "..", ".", ".GIT", "git~1", "a/b"] {
        let world = World::with_repository();
        let blob = world.git_with(&["hash-object", "-w", "--stdin"], b"x");
        let id: Vec<u8> = (0..20).map(|i| u8::from_str_radix(&blob[2 * i..2 * i + 2], 16).unwrap()).collect();
        let raw = [format!("100644 {name}\0").as_bytes(), &id].concat();
        let tree = world.git_with(&["hash-object", "--literally", "-t", "tree", "-w", "--stdin"], &raw);
        let commit = world.git(&["commit-tree", "-m", "evil", &tree]);
        world.git(&["update-ref", "refs/heads/main", &commit]);
        let opened = run(world.trees().open_git(&world.policy(), &GitOrigin::new(world.url())));
        let into = tempfile::tempdir().unwrap();
        let refused = opened.and_then(|tree| {
            assert!(tree.list(&RelPath::root()).is_err(), "{name}");
            tree.materialize(into.path())
        });
        assert!(refused.is_err(), "{name}");
        assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 0);
    }
}

#[test]
fn what_is_no_file_is_left_out() {
    let world = World::with_repository();
    let listener = std::os::unix::net::UnixListener::bind(world.path("r/socket")).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(world.path("r/pipe")).status().unwrap().success());
    let tree = from_directory(&world);
    let reason = "neither a file nor a directory nor a link";
    assert_eq!(left_out(&materialized(&tree).1), [format!("pipe: {reason}"), format!("socket: {reason}")]);
    for path in ["pipe", "socket"] {
        assert!(matches!(tree.read(&at(path), 9), Err(NetError::Invalid { .. })));
    }
    drop(listener);
}

#[test]
fn too_many_too_deep_and_too_large_end_in_an_error() {
    let world = World::with_repository();
    world.write(&format!("r/{}x", "d/".repeat(34)), "x");
    for tree in both(&world) {
        assert!(matches!(tree.walk(), Err(NetError::TooLarge { .. })));
    }
    let world = World::with_repository();
    let file = std::fs::File::create(world.path("r/hole")).unwrap();
    file.set_len(600 << 20).unwrap();
    let into = tempfile::tempdir().unwrap();
    assert!(matches!(from_directory(&world).materialize(into.path()), Err(NetError::TooLarge { .. })));
    let world = World::with_repository();
    // The same directory of directories, over and over: 10^6 files in a handful of objects.
    let blob = world.git_with(&["hash-object", "-w", "--stdin"], b"x");
    let (mut kind, mut id) = ("100644 blob", blob);
    for _ in 0..6 {
        let lines: String = (0..10).map(|n| format!("{kind} {id}\t{n}\n")).collect();
        id = world.git_with(&["mktree"], lines.as_bytes());
        kind = "040000 tree";
    }
    let commit = world.git(&["commit-tree", "-m", "bomb", &id]);
    world.git(&["update-ref", "refs/heads/main", &commit]);
    let start = Instant::now();
    assert!(matches!(from_git(&world).walk(), Err(NetError::TooLarge { .. })));
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_directory_has_a_revision_that_changes_with_its_files() {
    let world = World::with_repository();
    for n in 0..600 {
        world.write(&format!("r/many/{}/{n}", n % 20), "x");
    }
    let revision = || from_directory(&world).revision().to_owned();
    let first = revision();
    assert!(first.starts_with("dir-") && first.len() == 20, "{first}");
    world.write("r/.git/x", "y");
    world.write("r/node_modules/x", "y");
    std::fs::remove_dir_all(world.path("r/node_modules")).unwrap();
    assert_eq!(revision(), first);
    world.write("r/many/3/3", "xy");
    let second = revision();
    assert_ne!(second, first);
    let file = std::fs::File::options().append(true).open(world.path("r/a.txt")).unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(9)).unwrap();
    assert_ne!(revision(), second);
}

#[test]
fn the_root_may_be_a_link_that_the_user_named() {
    let world = World::with_repository();
    symlink(world.path("r"), world.path("named")).unwrap();
    let tree = run(world.trees().open_directory(&world.policy(), &world.path("named"))).unwrap();
    assert_eq!(tree.read(&at("a.txt"), 9).unwrap(), b"one");
    for (path, kind) in [("nope", "not found"), ("r/a.txt", "not found")] {
        let error = run(world.trees().open_directory(&world.policy(), &world.path(path))).err().unwrap();
        assert!(matches!(error, NetError::NotFound { .. }), "{kind}: {error}");
    }
}

#[test]
fn what_cannot_be_written_says_so() {
    let world = World::with_repository();
    let into = tempfile::tempdir().unwrap();
    std::fs::write(into.path().join("a.txt"), "already").unwrap();
    let error = from_directory(&world).materialize(into.path()).unwrap_err();
    assert!(matches!(error, NetError::Unavailable { .. }), "{error}");
    assert!(error.to_string().starts_with("cannot write `a.txt`: "), "{error}");
}

mod fuzz {
    use super::*;
    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn nothing_outside_of_a_tree_is_ever_read_or_linked(
            links in prop::collection::vec((0..5_usize, prop::collection::vec(0..8_usize, 1..6)), 1..8),
        ) {
            let world = World::new();
            world.write("secret", "secret");
            world.write("a/secret", "secret");
            world.write("r/a/b/f", "inside");
            let places = ["r/l", "r/m", "r/a/l", "r/a/m", "r/a/b/l"];
            let words = ["..", "a", "b", "l", "m", "secret", ".", "f"];
            for (place, way) in &links {
                let target = way.iter().map(|n| words[*n]).collect::<Vec<_>>().join("/");
                let _ = symlink(target, world.path(places[*place]));
            }
            let tree = from_directory(&world);
            for (_, way) in &links {
                for place in places {
                    let rest = way.iter().map(|n| words[*n]).filter(|w| *w != "..").collect::<Vec<_>>().join("/");
                    for path in [place[2..].to_owned(), format!("{}/{rest}", &place[2..])] {
                        if let Ok(bytes) = tree.read(&at(&path), 99) {
                            prop_assert_eq!(bytes, b"inside");
                        }
                    }
                }
            }
            let into = world.path("outer/into");
            std::fs::create_dir_all(&into).unwrap();
            world.write("outer/secret", "secret");
            tree.materialize(&into).unwrap();
            for item in tree.walk().unwrap() {
                if let Ok(real) = std::fs::canonicalize(into.join(item.path.as_str())) {
                    prop_assert!(real.starts_with(&into), "{:?} -> {:?}", item, real);
                }
            }
        }

        #[test]
        fn parsing_a_path_never_panics(text in "\\PC{0,40}|[./a\\\\]{0,20}") {
            if let Ok(path) = RelPath::parse(&text) {
                prop_assert!(!path.as_str().split('/').any(|part| part == ".."));
            }
        }
    }
}

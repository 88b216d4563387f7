//! Folders, also those that another program keeps in sync.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn a_folder_keeps_what_it_is_given() {
    let world = World::new();
    keeps_what_it_is_given(&*world.open("box"));
    assert_eq!(fs::metadata(world.path("box/s-b-1.age")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(world.path("box")).unwrap().permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(world.path("box")).unwrap().count(), 1);
}

#[test]
fn a_disk_that_is_not_mounted_is_no_empty_far_end() {
    let world = World::new();
    let far = world.open("disk/box");
    for error in [wait(far.list()).unwrap_err(), wait(far.put("s-1.age", b"x")).unwrap_err()] {
        assert!(matches!(error, RemoteError::ParentNotFound { .. }), "{error}");
    }
    assert!(!world.path("disk").exists());
}

#[test]
fn conflict_copies_foreign_files_and_links_are_no_objects() {
    let world = World::new();
    let far = world.open("box");
    wait(far.put("s-1.age", b"one")).unwrap();
    for name in [
        "s-1 (conflicted copy 2026-11-27).age",
        "s-1.sync-conflict-20261127-101500-ABCDEFG.age",
        "s-1.age.part",
        ".s-2.age",
        ".dropbox",
        "Readme.age",
        "ä.age",
    ] {
        fs::write(world.path("box").join(name), "x").unwrap();
    }
    fs::write(world.path("secret.age"), CANARY).unwrap();
    symlink(world.path("secret.age"), world.path("box/s-2.age")).unwrap();
    symlink(world.path("nowhere"), world.path("box/s-3.age")).unwrap();
    fs::create_dir(world.path("box/s-4.age")).unwrap();
    // A pipe without a writer would be read for ever.
    assert!(Command::new("mkfifo").arg(world.path("box/s-5.age")).status().unwrap().success());
    assert_eq!(wait(far.list()).unwrap(), [object("s-1.age", 3)]);
    for name in ["s-2.age", "s-3.age", "s-4.age", "s-5.age"] {
        assert!(matches!(wait(far.get(name, 99)), Err(RemoteError::NotFound { .. })), "{name}");
        assert!(matches!(wait(far.put(name, b"x")), Err(RemoteError::AlreadyExists { .. })), "{name}");
    }
    assert_eq!(fs::read_to_string(world.path("secret.age")).unwrap(), CANARY);
    assert!(!world.path("nowhere").exists());
}

#[test]
fn an_object_is_never_replaced() {
    let world = World::new();
    let far = world.open("box");
    wait(far.put("s-1.age", b"one")).unwrap();
    wait(far.put("s-1.age", b"one")).unwrap();
    for other in ["two", "on", "one more"] {
        assert!(
            matches!(wait(far.put("s-1.age", other.as_bytes())), Err(RemoteError::AlreadyExists { .. })),
            "{other}"
        );
    }
    assert_eq!(wait(far.get("s-1.age", 9)).unwrap(), b"one");
}

#[test]
fn a_flood_of_names_is_an_error() {
    let world = World::new();
    let far = world.open("box");
    fs::create_dir(world.path("box")).unwrap();
    for number in 0..=MAX_OBJECTS {
        fs::File::create(world.path("box").join(format!("s-{number}.age"))).unwrap();
    }
    assert!(matches!(wait(far.list()), Err(RemoteError::TooManyObjects { .. })));
}

#[test]
fn a_full_disk_and_a_folder_that_may_not_be_written_are_said() {
    let world = World::new();
    fs::write(world.path("file"), "x").unwrap();
    let error = wait(world.open("file/box").put("s-1.age", b"x")).unwrap_err();
    assert!(matches!(error, RemoteError::ParentNotFound { .. }), "{error}");
    let error = wait(world.open("file").put("s-1.age", b"x")).unwrap_err();
    assert!(matches!(error, RemoteError::Home(_)), "{error}");
    assert!(matches!(wait(world.open("file").list()), Err(RemoteError::Home(_))));
}

//! Drive on loopback, when nothing goes wrong.

use aiw_tests::DriveEntry;
pub(super) use aiw_tests::LoopbackGoogle as Google;

use super::*;
use crate::far::google::{GoogleLogin, login};

/// The machines of a Google.
pub(super) trait Worlds {
    /// Returns a machine whose settings name it.
    fn world(&self) -> World;

    /// Returns a machine that is logged in, and its far end.
    fn far(&self) -> (World, Box<dyn FarEnd>);
}

impl Worlds for Google {
    fn world(&self) -> World {
        let world = World::new();
        std::fs::create_dir_all(world.path("home")).unwrap();
        std::fs::write(world.path("home/settings.json"), self.settings().to_string()).unwrap();
        world.secret("sync-google-client", Self::CLIENT_SECRET);
        world
    }

    fn far(&self) -> (World, Box<dyn FarEnd>) {
        let world = self.world();
        logged_in(&world);
        let far = world.open("gdrive:");
        (world, far)
    }
}

pub(super) fn logged_in(world: &World) -> GoogleLogin {
    wait(login(&world.context(), &|_| {})).unwrap()
}

#[test]
fn drive_keeps_what_it_is_given_in_a_folder_of_its_own() {
    let google = Google::start();
    let (_world, far) = google.far();
    keeps_what_it_is_given(&*far);
    let state = google.state.lock();
    let folders: Vec<_> = state.files.values().filter(|file| file.kind == Google::FOLDER).collect();
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
    let folder = || DriveEntry { name: "agentic-warden".into(), kind: Google::FOLDER.into(), ..DriveEntry::default() };
    let file = |name: &str, parent: &str, bytes: &[u8]| DriveEntry {
        name: name.into(),
        parent: parent.into(),
        bytes: bytes.into(),
        ..DriveEntry::default()
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

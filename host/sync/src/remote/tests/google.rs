//! Drive on loopback, when nothing goes wrong.

use aiw_tests::DriveEntry;
pub(super) use aiw_tests::LoopbackGoogle as Google;

use super::*;
use crate::remote::google::{GoogleLogin, login};

/// The machines of a Google.
pub(super) trait Worlds {
    /// Returns a machine whose settings name it.
    fn world(&self) -> World;

    /// Returns a machine that is logged in, and its remote.
    fn far(&self) -> (World, Box<dyn Remote>);
}

impl Worlds for Google {
    fn world(&self) -> World {
        let world = World::new();
        std::fs::create_dir_all(world.path("home")).unwrap();
        std::fs::write(world.path("home/settings.json"), self.settings().to_string()).unwrap();
        world.secret("sync-google-client", Self::CLIENT_SECRET);
        world
    }

    fn far(&self) -> (World, Box<dyn Remote>) {
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

/// Returns a file in the folder `f`.
fn in_folder(name: &str, bytes: &[u8]) -> DriveEntry {
    DriveEntry { name: name.into(), parent: "f".into(), bytes: bytes.into(), ..DriveEntry::default() }
}

fn folder() -> (String, DriveEntry) {
    let name = "agentic-warden".into();
    ("f".into(), DriveEntry { name, kind: Google::FOLDER.into(), ..DriveEntry::default() })
}

#[test]
fn pages_of_one_file_make_a_whole_list() {
    let google = Google::start();
    let (_world, far) = google.far();
    google.state.lock().page = 1;
    google.state.lock().files.extend([folder()]);
    let files = (0..300).map(|file| (format!("id{file}"), in_folder(&format!("s-{file}.age"), b"x")));
    google.state.lock().files.extend(files);
    assert_eq!(wait(far.list()).unwrap().len(), 300);
}

#[test]
fn of_files_with_one_name_the_one_whose_digest_fits_is_read() {
    for has_digests in [true, false] {
        let google = Google::start();
        let (_world, far) = google.far();
        let name = named(b"good");
        google.state.lock().has_digests = has_digests;
        google.state.lock().files.extend([
            folder(),
            ("1".to_owned(), in_folder(&name, b"bad!")),
            ("2".to_owned(), in_folder(&name, &noise(100, 1))),
            ("3".to_owned(), in_folder(&name, b"good")),
            // Longer than it may be.
            ("4".to_owned(), in_folder(&name, &noise(200_000, 1))),
        ]);
        assert_eq!(wait(far.list()).unwrap().len(), 1);
        assert_eq!(wait(far.get(&name, 100)).unwrap(), b"good");
        assert!(wait(far.contains(&name, None)).unwrap());
        let reads = google.state.lock().log.iter().filter(|request| request.query == "alt=media").count();
        assert_eq!(reads, if has_digests { 2 } else { 8 });
        google.state.lock().files.remove("3");
        assert!(!wait(far.contains(&name, None)).unwrap());
    }
}

#[test]
fn a_file_is_found_by_its_id_where_lists_and_searches_lag() {
    let google = Google::start();
    let (_world, far) = google.far();
    let name = named(b"one");
    let id = wait(far.put(&name, b"one")).unwrap().unwrap();
    google.but(|request, _| {
        (request.path == "/api/drive/v3/files").then(|| Answer::json(200, &serde_json::json!({"files": []})))
    });
    let (_world, other) = google.far();
    assert_eq!(wait(other.list()).unwrap(), []);
    assert!(!wait(other.contains(&name, None)).unwrap());
    assert!(wait(other.contains(&name, Some(&id))).unwrap());
    assert_eq!(wait(other.get(&name, 9)).unwrap(), b"one");
    // Another file's id, and something that is no id.
    for id in ["id9999", "../../about", ""] {
        assert!(!wait(google.far().1.contains(&name, Some(id))).unwrap(), "{id}");
    }
    assert!(!wait(google.far().1.contains(&named(b"two"), Some(&id))).unwrap());
    // What is in the trash is gone.
    google.state.lock().files.get_mut(&id).unwrap().trashed = true;
    assert!(!wait(google.far().1.contains(&name, Some(&id))).unwrap());
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let google = Google::start();
    let (world, far) = google.far();
    wait(far.put("s-1.age", b"stalls")).unwrap();
    google.but(|request, _| (request.query == "alt=media").then(stall));
    gives_up_a_body_that_stalls(&*world.open_in_haste("gdrive:"));
}

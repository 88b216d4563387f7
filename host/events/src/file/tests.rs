//! What several writers and readers see, whatever becomes of them.

use std::io::Write as _;
use std::path::PathBuf;

use super::*;
use crate::event::{EventKind, EventSubject};

fn event(name: &str) -> HomeEvent {
    HomeEvent { name: Some(name.to_owned()), ..HomeEvent::now(EventKind::Ready, EventSubject::Process) }
}

fn names(page: &EventPage) -> Vec<&str> {
    page.events.iter().filter_map(|event| event.name.as_deref()).collect()
}

#[test]
fn a_reader_goes_on_where_it_ended_and_is_told_of_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let events = EventLog::new(dir.path());
    assert_eq!((events.end_offset().unwrap(), events.read(0, 10, |_| true).unwrap().next), (0, 0));
    (0..5).for_each(|number| events.add(&event(&number.to_string())).unwrap());
    let page = events.read(0, 3, |_| true).unwrap();
    assert_eq!(names(&page), ["0", "1", "2"]);
    let rest = events.read(page.next, 10, |event| event.name.as_deref() != Some("3")).unwrap();
    assert_eq!((names(&rest), rest.next, rest.has_gap), (vec!["4"], events.end_offset().unwrap(), false));
    // Both files are full twice: the first events are gone.
    let long = "x".repeat(TEXT_THAT_FITS);
    let count = 3 * MAX_FILE_BYTES as usize / (TEXT_THAT_FITS + 60);
    (0..count).for_each(|_| events.add(&event(&long)).unwrap());
    let late = events.read(page.next, usize::MAX, |_| true).unwrap();
    assert!(late.has_gap && late.events.len() < count, "{}", late.events.len());
    assert_eq!(late.next, events.end_offset().unwrap());
    let size = |path: PathBuf| std::fs::metadata(path).unwrap().len();
    assert!(size(events.files.active_path()) <= MAX_FILE_BYTES && size(events.files.rotated_path()) <= MAX_FILE_BYTES);
    // Somebody removed them: positions from before are of no use, and that is said.
    std::fs::remove_dir_all(events.directory()).unwrap();
    events.add(&event("again")).unwrap();
    let after = events.read(late.next, 10, |_| true).unwrap();
    assert_eq!((names(&after), after.has_gap), (vec!["again"], true));
}

const TEXT_THAT_FITS: usize = 150;

#[test]
fn events_of_a_name_are_found_however_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let events = EventLog::new(dir.path());
    let all = ["api", "api-1", "\"api\"", "a\\pi", "ä\u{1f600}", "ready"];
    all.iter().for_each(|name| events.add(&event(name)).unwrap());
    for name in all {
        let (named, is_it) =
            (EventLog::new(dir.path()).with_name_filter(name), |event: &HomeEvent| event.name.as_deref() == Some(name));
        assert_eq!(names(&named.read(0, 10, is_it).unwrap()), [name]);
        assert_eq!(names(&named.since("2026", 10, is_it).unwrap()), [name]);
        // Where reading goes on does not depend on it.
        assert_eq!(named.read(0, 10, is_it).unwrap().next, events.end_offset().unwrap());
    }
}

#[test]
fn what_a_writer_left_unfinished_is_no_event_and_spoils_none() {
    let dir = tempfile::tempdir().unwrap();
    let events = EventLog::new(dir.path());
    events.add(&event("one")).unwrap();
    let whole = std::fs::read(events.files.active_path()).unwrap();
    for torn in [&b"{\"time\":\"2026"[..], b"\0\0\0", b"@"] {
        std::fs::write(events.files.active_path(), [whole.as_slice(), torn].concat()).unwrap();
        assert_eq!(names(&events.read(0, 10, |_| true).unwrap()), ["one"]);
        events.add(&event("two")).unwrap();
        assert_eq!(names(&events.read(0, 10, |_| true).unwrap()), ["one", "two"]);
    }
    // More than any line is long, as after a power cut.
    std::fs::write(events.files.active_path(), [whole.as_slice(), &[0; 20_000]].concat()).unwrap();
    events.add(&event("two")).unwrap();
    assert_eq!(names(&events.read(0, 10, |_| true).unwrap()), ["one", "two"]);
    // In the older file, it hides nothing of the live one.
    std::fs::rename(events.files.active_path(), events.files.rotated_path()).unwrap();
    events.add(&event("three")).unwrap();
    let page = events.read(0, 10, |_| true).unwrap();
    let mut older = std::fs::OpenOptions::new().append(true).open(events.files.rotated_path()).unwrap();
    older.write_all(b"{\"unfinished").unwrap();
    assert_eq!(events.read(0, 10, |_| true).unwrap().events, page.events);
    assert_eq!((names(&page), events.end_offset().unwrap()), (vec!["one", "two", "three"], page.next));
    // A live file that was just made says not yet where it begins, and that is not a gap.
    std::fs::write(events.files.active_path(), "").unwrap();
    let end = events.end_offset().unwrap();
    assert_ne!(end, 0);
    let page = events.read(end, 10, |_| true).unwrap();
    assert_eq!((page.next, page.has_gap), (end, false));
    // Nobody writes a position that leaves no room to count on.
    std::fs::write(events.files.active_path(), format!("@{}\n", u64::MAX)).unwrap();
    events.add(&event("four")).unwrap();
    assert!(names(&events.read(0, 10, |_| true).unwrap()).contains(&"four"));
    std::fs::remove_file(events.files.rotated_path()).unwrap();
    // Lines of others are passed over.
    std::fs::write(events.files.active_path(), [b"@0\n[1]\n\xff\n{}\n", &whole[3..]].concat()).unwrap();
    assert_eq!(names(&events.read(0, 10, |_| true).unwrap()), ["one"]);
}

#[test]
fn many_writers_and_readers_lose_nothing_while_files_are_put_aside() {
    const WRITERS: usize = 8;
    const EACH: usize = 3000;
    let dir = tempfile::tempdir().unwrap();
    let events = EventLog::new(dir.path());
    let long = "y".repeat(TEXT_THAT_FITS);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (events, long) = (&events, &long);
            scope.spawn(move || {
                for number in 0..EACH {
                    // Waiting for others may take too long on a busy machine.
                    while events.add(&event(&format!("{writer} {number} {long}"))).is_err() {}
                }
            });
        }
        let (mut next, mut seen) = (0, vec![0; WRITERS]);
        while seen.iter().sum::<usize>() < WRITERS * EACH {
            let page = events.read(next, 20_000, |_| true).unwrap();
            assert!(!page.has_gap);
            for name in names(&page) {
                let mut words = name.split(' ').map(|word| word.parse::<usize>());
                let (writer, number) = (words.next().unwrap().unwrap(), words.next().unwrap().unwrap());
                assert_eq!(seen[writer], number);
                seen[writer] += 1;
            }
            next = page.next;
        }
    });
}

#[test]
fn events_of_a_time_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let events = EventLog::new(dir.path());
    let at = |time: &str| HomeEvent { time: time.into(), ..event(time) };
    for time in ["2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z", "2026-01-03T00:00:00.000Z"] {
        events.add(&at(time)).unwrap();
    }
    let page = events.since("2026-01-02T00:00:00.000Z", 10, |_| true).unwrap();
    assert_eq!(page.events.len(), 2);
}

#[test]
fn what_is_taken_out_is_in_no_file_and_positions_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let events = EventLog::new(dir.path());
    let files = LineFiles::new(events.directory().to_owned(), "events", 1000);
    files.retain(|_: &HomeEvent| true).unwrap();
    assert!(!events.directory().exists());
    (0..16).for_each(|number| files.add(&event(&format!("name-{number}"))).unwrap());
    assert!(files.rotated_path().exists());
    let end = events.end_offset().unwrap();
    files.retain(|event: &HomeEvent| event.name.as_deref() == Some("name-15")).unwrap();
    let text = std::fs::read_to_string(files.active_path()).unwrap();
    assert!(!files.rotated_path().exists() && !text.contains("name-14"), "{text}");
    files.add(&event("more")).unwrap();
    let page = events.read(end, 10, |_| true).unwrap();
    assert_eq!((names(&page), page.has_gap), (vec!["name-15", "more"], false));
}

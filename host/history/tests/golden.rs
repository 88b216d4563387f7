//! What the transcripts of a home come to. The transcripts are in `golden/home`, as the CLIs write them, whole and
//! damaged; the snapshot is what is kept of them, so that it holds wherever the readers are.

#![expect(clippy::unwrap_used, reason = "a test ends by a panic, its helpers too")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use aiw_history::{Import, Indexer, MessageRange, SessionFilter, render_markdown};
use aiw_home::{CliPaths, Home};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    let mut entries: Vec<_> = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for entry in entries {
        let to = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &to);
        } else {
            fs::write(&to, fs::read(&entry).unwrap()).unwrap();
        }
    }
}

#[test]
fn transcripts_come_to_what_they_came_to() {
    let dir = tempfile::tempdir().unwrap();
    let user = dir.path().canonicalize().unwrap();
    // A file's age decides which of two copies is the original.
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/home"), &user);
    let places = CliPaths::from_variables(|name| (name == "HOME").then(|| user.clone())).unwrap();
    let indexer = Indexer::new(Home::from_root(user.join("aiw")));
    indexer.import(&Import::find_all(&places), &places, &mut |_, _| {}).unwrap();
    let store = indexer.store().unwrap();
    let mut sessions = store.sessions(&SessionFilter::default()).unwrap();
    sessions.sort_by(|one, other| one.id.cmp(&other.id));
    let mut text = String::new();
    for session in &sessions {
        let view = store.session_view(&session.id, &MessageRange { around: None, limit: 100 }).unwrap();
        writeln!(text, "{}", render_markdown(&view)).unwrap();
    }
    let mut problems = store.problems().unwrap();
    problems.sort_by(|one, other| (&one.path, &one.reason).cmp(&(&other.path, &other.reason)));
    for problem in problems {
        let path = problem.path.strip_prefix(&user).unwrap().display();
        writeln!(text, "left out: {path}: {} ({})", problem.reason, problem.count).unwrap();
    }
    // Once more changes nothing.
    assert_eq!(indexer.import(&Import::find_all(&places), &places, &mut |_, _| {}).unwrap().new_messages, 0);
    insta::assert_snapshot!(text);
}

//! A transcript that is larger than memory should be, and a line in it that is.

use std::fs::{self, File};
use std::io::{BufWriter, Write};

use aiw_tests::{Environment, Run, not_run};
use serde_json::json;

use super::{add, hits, line, transcript};

/// The longest line.
const LONG: usize = 100 << 20;
/// What the process may hold, in bytes. With the longest line, it would be more: a line of up to 16 MiB is parsed, and
/// SQLite's cache is 40 MB.
const LIMIT: u64 = 120 << 20;

/// Writes a session of this size, with the proportions of real ones; returns the number of its messages.
fn write(env: &Environment, session: &str, bytes: u64) -> usize {
    let mut file = BufWriter::new(File::create(transcript(env, session)).unwrap());
    let schema = "{\"name\":\"tool\",\"description\":\"what it does\"}\n".repeat(2000);
    let mut wrapping = json!({"parentUuid": null, "type": "attachment", "uuid": "w", "attachment": {"text": schema}});
    let mut long = false;
    let (mut written, mut messages) = (0, 0);
    while written < bytes {
        wrapping["uuid"] = json!(format!("w{messages}"));
        let mut text = format!("{wrapping}\n");
        for kind in ["user", "assistant", "user"] {
            text += &line(session, &format!("u{messages}"), kind, &format!("message number{messages} about herons"));
            messages += 1;
        }
        file.write_all(text.as_bytes()).unwrap();
        written += text.len() as u64;
        if !long && written > bytes / 3 {
            long = true;
            // What a person pasted, piece by piece.
            let (before, after) = line(session, "long", "user", "[]")
                .split_once("[]")
                .map(|(a, b)| (a.to_owned(), b.to_owned()))
                .unwrap();
            file.write_all(before.as_bytes()).unwrap();
            let piece = "pasted text ".repeat(1 << 16);
            for _ in 0..LONG / piece.len() {
                file.write_all(piece.as_bytes()).unwrap();
            }
            file.write_all(after.as_bytes()).unwrap();
            written += LONG as u64;
            // As long as a line may be that is read.
            let most = line(session, "most", "user", &"mostpasted ".repeat((15 << 20) / 11));
            file.write_all(most.as_bytes()).unwrap();
            written += most.len() as u64;
            messages += 1;
        }
    }
    file.flush().unwrap();
    messages
}

/// The most that a process held so far, in bytes. What `wait4` says would count what the test itself holds.
fn most_held(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    kilobytes.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes << 10)
}

#[test]
fn a_large_transcript_and_a_long_line_take_little_memory() {
    if !cfg!(target_os = "linux") {
        return not_run("memory is read in /proc");
    }
    let megabytes: u64 =
        std::env::var("AIW_SOAK_MEGABYTES").ok().and_then(|megabytes| megabytes.parse().ok()).unwrap_or(200);
    let env = Environment::cold();
    let messages = write(&env, "large", megabytes << 20);
    let size = fs::metadata(transcript(&env, "large")).unwrap().len();
    let import = |what: &str| {
        let mut child = env.start(&["history", "import", "--all", "--json"]);
        let mut held = 0;
        while child.try_wait().unwrap().is_none() {
            held = held.max(most_held(child.id()).unwrap_or(0));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        let run = Run::from(child.wait_with_output().unwrap()).ok();
        let line = format!("{what}: {} MB of {} MB held\n", held >> 20, size >> 20);
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(held > 0 && held < LIMIT, "{line}");
        run.json()
    };
    assert_eq!(import("read")["messages"], json!(messages));
    // What comes after the long line is there, and the line is named.
    assert_eq!(hits(&env, &format!("number{}", messages - 2)).len(), 1);
    assert_eq!(hits(&env, "mostpasted").len(), 1);
    let doctor = env.json(&["history", "doctor"]);
    let reason = doctor["skipped"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("1 line longer than 16 MiB (the first at byte "), "{doctor}");
    // It grows, and only that is read.
    let more = line("large", "more", "user", "the last word");
    add(&env, "large", &more);
    let again = import("read again");
    assert_eq!((&again["messages"], &again["bytes"]), (&json!(1), &json!(more.len())));
}

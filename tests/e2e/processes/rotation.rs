//! Every line of a log that rotates while it is read: each reader gets it, or is told in its place that lines are missing.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use serde_json::json;

use super::Project;
use crate::crash::rounds;
use crate::mcp::Client;

const LINES: u64 = 20_000;

/// Checks what a reader got from a line on: the numbers of lines in order; `None` stands for lines that are missing.
fn check(seen: &[Option<u64>], first: u64, reader: &str) {
    let (mut next, mut is_gap) = (first, false);
    for one in seen {
        match one {
            None => is_gap = true,
            Some(number) => {
                assert!(*number == next || (is_gap && *number > next), "{reader}: {number} where {next} is next");
                (next, is_gap) = (number + 1, false);
            }
        }
    }
    assert_eq!(next, LINES, "{reader}");
}

/// What the command line shows of the log as it is written.
fn followed(mut command: Command) -> Vec<Option<u64>> {
    let mut follower = command.args(["logs", "p", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut seen = Vec::new();
    for line in BufReader::new(follower.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        match line.parse() {
            Ok(number) => seen.push(Some(number)),
            Err(_) if line.contains("missing") || line.contains("lost") => seen.push(None),
            Err(_) if line.contains("ended") => break,
            Err(_) => {}
        }
    }
    let _ = (follower.kill(), follower.wait());
    seen
}

/// What a model reads by positions.
fn read_on(client: &mut Client) -> Vec<Option<u64>> {
    let (mut from, mut seen) = (0, Vec::new());
    loop {
        let page =
            client.good("get_process_output", json!({"id": "p", "from": from, "lines": 1000, "stream": "Stdout"}));
        seen.extend((page["missed"] == true).then_some(None));
        let lines = page["lines"].as_array().unwrap();
        seen.extend(lines.iter().map(|line| Some(line.as_str().unwrap().parse::<u64>().unwrap())));
        from = page["next"].as_u64().unwrap();
        let is_over = ["stopped", "failed"].contains(&page["state"].as_str().unwrap());
        if is_over && page["more"] == false && lines.is_empty() {
            return seen;
        }
    }
}

#[test]
fn each_reader_accounts_for_every_line_through_rotations() {
    // A line is one write, so that no page ends within one.
    let script = format!("import os\nfor number in range({LINES}): os.write(1, b'%d\\n' % number)");
    for _ in 0..rounds().div_ceil(20) {
        let project = Project::new(&format!(
            "process \"p\" {{ command \"python3\" \"-c\" {script:?}; log files=3 size=\"64KB\"; auto-start #false }}"
        ));
        let mut client = super::tools::client(&project);
        project.up(&["p"]);
        std::thread::scope(|scope| {
            let follower = scope.spawn(|| followed(project.env.command(&[])));
            check(&read_on(&mut client), 0, "get_process_output");
            // It begins with the last lines before it: on a busy machine, those are not the first.
            let seen = follower.join().unwrap();
            let first = seen.iter().find_map(|one| *one).unwrap_or_default();
            check(&seen, first, "logs -f");
        });
    }
}

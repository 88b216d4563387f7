//! Kills at any moment of a push, a pull and an undo: the old state or the new one is left, and the next command goes on.

use std::time::{Duration, Instant};

use super::{Machine, pair};
use crate::crash::rounds;

const FILES: usize = 20;

/// The moments of a command at which it is killed.
const MOMENTS: u64 = 10;

fn write(machine: &Machine, round: u64) {
    for file in 0..FILES {
        machine.write(&format!(".claude/rules/{file}.md"), &format!("{round}\n"));
    }
}

fn all(machine: &Machine) -> Vec<String> {
    (0..FILES).map(|file| machine.read(&format!(".claude/rules/{file}.md"))).collect()
}

/// Whether all files are of this round.
fn is_of(machine: &Machine, round: u64) -> bool {
    all(machine).iter().all(|text| *text == format!("{round}\n"))
}

/// Runs a command to its end. Returns how long that took.
fn whole(machine: &Machine, verb: &str) -> Duration {
    let begun = Instant::now();
    machine.env.run(&["sync", verb]).ok();
    begun.elapsed()
}

/// Kills a command after a part of the time that it takes.
fn killed(machine: &Machine, verb: &str, takes: Duration, round: u64) {
    let mut child = machine.env.start(&["sync", verb]);
    std::thread::sleep(takes.mul_f64((round % MOMENTS) as f64 / MOMENTS as f64));
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Lets the next command finish what was begun, and checks that the files are all of this round, or all of the one before.
fn is_either(machine: &Machine, round: u64) {
    machine.env.run(&["sync", "status"]).ok();
    assert!(is_of(machine, round) || is_of(machine, round - 1), "round {round}: {:?}", all(machine));
}

/// How many snapshots this machine has written.
fn written(machine: &Machine) -> u64 {
    let status = machine.env.json(&["sync", "status"]);
    status["machines"].as_array().unwrap().iter().filter_map(|one| one["snapshots"].as_u64()).sum()
}

#[test]
fn a_command_that_is_killed_leaves_the_old_state_or_the_new_one() {
    let (_far, one, other, _) = pair();
    other.pull();
    write(&one, 0);
    let push = whole(&one, "push");
    let pull = whole(&other, "pull");
    let undo = whole(&other, "undo");
    whole(&other, "pull");
    let before = written(&one);
    for round in 1..=rounds() {
        write(&one, round);
        killed(&one, "push", push, round);
        one.env.run(&["sync", "push"]).ok();
        // The one that was killed has pushed, or the next one has, but not both.
        assert_eq!(written(&one), before + round);
        killed(&other, "pull", pull, round);
        is_either(&other, round);
        other.env.run(&["sync", "pull"]).ok();
        assert!(is_of(&other, round), "round {round}: {:?}", all(&other));
        killed(&other, "undo", undo, round);
        is_either(&other, round);
        other.env.run(&["sync", "pull"]).ok();
        assert!(is_of(&other, round), "round {round}: {:?}", all(&other));
    }
}

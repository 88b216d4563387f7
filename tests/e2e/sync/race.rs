//! Two machines that push at the same moment: no push is lost, and a pull merges both.

use aiw_tests::{Run, git};

use super::{Machine, meet};
use crate::crash::rounds;

const SHARED: &str = ".claude/rules/shared.md";

/// Changes a line of the file that both machines edit, and writes a file of its own.
fn edit(machine: &Machine, name: &str, line: usize, round: u64) {
    machine.write(&format!(".claude/rules/{name}-{round}.md"), &format!("{name} {round}\n"));
    let text = machine.read(SHARED);
    let mut lines: Vec<&str> = text.lines().collect();
    let changed = format!("{name} {round}");
    lines[line] = &changed;
    machine.write(SHARED, &(lines.join("\n") + "\n"));
}

/// Whether a push was refused because the other machine had pushed.
fn is_refused(run: &Run) -> bool {
    assert!(run.code == 0 || run.whole().contains("is not merged here yet"), "{}", run.whole());
    run.code != 0
}

fn race(far: &str, rounds: u64) {
    let (one, other) = (Machine::new(), Machine::new());
    // Lines that differ: of the same ones, nobody can tell which was changed.
    one.write(SHARED, &(0..9).map(|line| format!("line {line}\n")).collect::<String>());
    meet(far, &one, &other);
    other.pull();
    let machines = [("one", &one), ("other", &other)];
    for round in 0..rounds {
        edit(&one, "one", 1, round);
        edit(&other, "other", 7, round);
        let pushing = machines.map(|(_, machine)| machine.env.start(&["sync", "push", "--json"]));
        let pushed = pushing.map(|child| Run::from(child.wait_with_output().unwrap()));
        let listed = one.env.json(&["sync", "list"]).to_string();
        for run in pushed.iter().filter(|run| !is_refused(run)) {
            let name = run.json()["snapshot"].to_string();
            assert!(listed.contains(&name), "round {round}: {name} is lost: {listed}");
        }
        assert!(pushed.iter().any(|run| run.code == 0), "round {round}: {}", pushed[0].whole());
        // Whoever was refused merges first.
        for ((_, machine), run) in machines.iter().zip(&pushed) {
            machine.env.run(&["sync", "pull"]).ok();
            if is_refused(run) {
                machine.env.run(&["sync", "push"]).ok();
            }
        }
        for (_, machine) in machines {
            machine.env.run(&["sync", "pull"]).ok();
            for (name, _) in machines {
                let own = machine.read(&format!(".claude/rules/{name}-{round}.md"));
                assert_eq!(own, format!("{name} {round}\n"), "round {round}");
            }
            let shared = machine.read(SHARED);
            let lines: Vec<&str> = shared.lines().collect();
            assert_eq!((lines[1], lines[7]), (&*format!("one {round}"), &*format!("other {round}")), "{shared}");
        }
    }
    // Nothing of any round is gone.
    for (name, _) in machines {
        for round in 0..rounds {
            let path = format!(".claude/rules/{name}-{round}.md");
            assert!(machines.iter().all(|(_, machine)| machine.file(&path).exists()), "{path}");
        }
    }
}

#[test]
fn no_push_to_a_folder_is_lost() {
    let far = tempfile::tempdir().unwrap();
    race(far.path().to_str().unwrap(), rounds());
}

#[test]
fn no_push_to_a_git_repository_is_lost() {
    let far = tempfile::tempdir().unwrap();
    git(far.path(), &["init", "-q", "--bare"]);
    // Each push starts git several times.
    race(&format!("git:{}", far.path().display()), rounds() / 2);
}

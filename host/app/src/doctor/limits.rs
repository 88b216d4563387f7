//! Checks side by side, each for a second at most: one that hangs or fails says so, and hides no other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use aiw_home::Problem;
use parking_lot::Mutex;

use super::part::CheckedPart;

/// How many times longer checks may take in a build that is not optimized, which runs beside many others in tests.
const TIMEOUT_FACTOR: u64 = if cfg!(debug_assertions) { 10 } else { 1 };

/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(TIMEOUT_FACTOR);

/// How long all of them may take. What still waits for its turn then is not begun.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(3 * TIMEOUT_FACTOR);

/// How many checks run at once. With more of them, each takes longer on a small machine.
const MAX_PARALLEL_CHECKS: usize = 4;

/// A check of one part.
pub(super) struct PartCheck {
    /// The part.
    pub name: &'static str,
    /// The command that does the same work, and takes as long as it needs.
    pub manual_command: &'static str,
    /// The work. It returns nothing where there is nothing to check.
    pub work: Box<dyn FnOnce() -> Option<CheckedPart> + Send>,
}

/// A check that has begun.
struct BegunCheck {
    at: usize,
    since: Instant,
    answer: Receiver<Option<CheckedPart>>,
}

/// Checks that took too long and have not come to an end in this process, by their home. They are not begun again: a screen
/// asks often, and a thread can't be ended.
static HUNG_CHECKS: Mutex<Option<HashSet<(PathBuf, &'static str)>>> = Mutex::new(None);

fn hangs(key: &(PathBuf, &'static str)) -> bool {
    HUNG_CHECKS.lock().as_ref().is_some_and(|hanging| hanging.contains(key))
}

/// Does all checks, and returns what each found, in their order.
pub(super) fn check_all(home: &Path, checks: Vec<PartCheck>) -> Vec<CheckedPart> {
    check_within(home, checks, CHECK_TIMEOUT, TOTAL_TIMEOUT)
}

fn check_within(home: &Path, checks: Vec<PartCheck>, longest: Duration, all: Duration) -> Vec<CheckedPart> {
    let about: Vec<(&'static str, &'static str)> =
        checks.iter().map(|check| (check.name, check.manual_command)).collect();
    let late = |at: usize, what: String| {
        let (name, by_hand) = about[at];
        let problem = Problem::new(what, by_hand).with_purpose("takes the time that it needs");
        CheckedPart { summary: "not checked".to_owned(), ..CheckedPart::unreadable(name, problem) }
    };
    let mut found: Vec<Option<CheckedPart>> = about.iter().map(|_| None).collect();
    let (began, mut waiting) = (Instant::now(), checks.into_iter().enumerate());
    let mut running: Vec<BegunCheck> = Vec::new();
    loop {
        while running.len() < MAX_PARALLEL_CHECKS
            && let Some((at, check)) = waiting.next()
        {
            let key = (home.to_owned(), check.name);
            if began.elapsed() >= all || hangs(&key) {
                found[at] = Some(late(at, format!("the check of `{}` had no time, or hangs since before", check.name)));
                continue;
            }
            match begin(at, check, key) {
                Ok(begun) => running.push(begun),
                Err(e) => found[at] = Some(late(at, format!("the check of `{}` can't begin: {e}", about[at].0))),
            }
        }
        let Some(first) = running.first() else { return found.into_iter().flatten().collect() };
        let (at, left) = (first.at, longest.saturating_sub(first.since.elapsed()));
        let left = left.min(all.saturating_sub(began.elapsed()));
        let name = about[at].0;
        match first.answer.recv_timeout(left.min(Duration::from_millis(5))) {
            Ok(part) => found[at] = part,
            Err(RecvTimeoutError::Disconnected) => {
                found[at] = Some(late(at, format!("the check of `{name}` failed: this is a bug in aiw")));
            }
            // The next one may have an answer already.
            Err(RecvTimeoutError::Timeout) if left > Duration::from_millis(5) => {
                running.rotate_left(1);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {
                // Whoever answers takes itself off the list afterwards.
                let mut hanging = HUNG_CHECKS.lock();
                found[at] = first.answer.try_recv().unwrap_or_else(|_| {
                    hanging.get_or_insert_default().insert((home.to_owned(), name));
                    Some(late(at, format!("the check of `{name}` took too long, and was left")))
                });
            }
        }
        running.remove(0);
    }
}

/// Begins a check on a thread of its own, which nobody waits for when it hangs.
fn begin(at: usize, check: PartCheck, key: (PathBuf, &'static str)) -> std::io::Result<BegunCheck> {
    let (say, answer) = channel();
    let work = move || {
        let part = (check.work)();
        let _ = say.send(part);
        if let Some(hanging) = HUNG_CHECKS.lock().as_mut() {
            hanging.remove(&key);
        }
    };
    std::thread::Builder::new().name(format!("check {}", check.name)).spawn(work)?;
    Ok(BegunCheck { at, since: Instant::now(), answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, work: impl FnOnce() -> Option<CheckedPart> + Send + 'static) -> PartCheck {
        PartCheck { name, manual_command: "aiw status", work: Box::new(work) }
    }

    fn well(name: &'static str) -> PartCheck {
        check(name, move || Some(CheckedPart { name, summary: "well".into(), problems: Vec::new() }))
    }

    #[test]
    fn a_check_that_hangs_or_fails_says_so_and_hides_no_other() {
        let (let_go, hold) = channel::<()>();
        let hanging = check("mcp", move || {
            let _ = hold.recv();
            None
        });
        let fails = check("sync", || std::panic::resume_unwind(Box::new("a bug")));
        let checks = vec![hanging, well("home"), fails, check("budgets", || None), well("tasks"), well("clis")];
        let home = Path::new("a-home-of-this-test");
        let (longest, all) = (Duration::from_millis(100), Duration::from_secs(600));
        let parts = check_within(home, checks, longest, all);
        let shown = |part: &CheckedPart| {
            let problems = part.problems.iter().map(|found| format!(": {} → {}", found.problem, found.next));
            format!("{} {}{}", part.name, part.summary, problems.collect::<String>())
        };
        assert_eq!(
            parts.iter().map(shown).collect::<Vec<_>>(),
            [
                "mcp not checked: the check of `mcp` took too long, and was left → `aiw status` takes the time that it \
                 needs",
                "home well",
                "sync not checked: the check of `sync` failed: this is a bug in aiw → `aiw status` takes the time that \
                 it needs",
                "tasks well",
                "clis well",
            ]
        );
        // It still hangs, so it is not begun again: who looks often would have a thread for each time.
        let again = check_within(home, vec![check("mcp", || panic!("begun again")), well("home")], longest, all);
        assert!(again[0].problems[0].problem.contains("hangs since before"), "{again:?}");
        assert_eq!(again[1].summary, "well");
        let_go.send(()).unwrap();
        while hangs_now(home) {
            std::thread::yield_now();
        }
        assert_eq!(check_within(home, vec![well("mcp")], longest, all)[0].summary, "well");
    }

    fn hangs_now(home: &Path) -> bool {
        hangs(&(home.to_owned(), "mcp"))
    }
}

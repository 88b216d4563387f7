//! The queue, while its processes are killed at seeded random moments.

use std::collections::HashSet;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use aiw_supervisor::{NewProcess, Outcome, QueueLimit, State, WaitMode};

use crate::environment::{Environment, HANG_TIMEOUT, kill, program, shim, wait_for};

/// A random number generator with the same numbers every time.
struct Seed(u64);

impl Seed {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

#[test]
fn a_queue_of_which_some_are_killed_loses_no_place() {
    // `cargo xtask soak` runs more rounds.
    let rounds = std::env::var("AIW_SOAK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4);
    const PLACES: u32 = 4;
    const COUNT: usize = 40;
    for round in 0..rounds {
        let mut seed = Seed(round);
        let env = Environment::new();
        let (running, most) = (env.path("running"), env.path("most"));
        std::fs::create_dir(&running).unwrap();
        // Each process records how many run along with it. The entry of a killed process is removed by the next one.
        let script = format!(
            "touch {0}/$$; sleep 0.03; for p in {0}/*; do \
             case \"$(cat /proc/${{p##*/}}/stat 2>/dev/null)\" in ''|*') Z '*) rm -f $p;; esac; done; \
             ls {0} | wc -l >> {1}; rm -f {0}/$$",
            running.display(),
            most.display()
        );
        let queue = QueueLimit { limit: PLACES, may_queue: true };
        let start = || env.servers().start(shim(), NewProcess::new("/"), program(&script), queue);
        let started: Vec<_> = (0..COUNT).map(|_| start().unwrap()).collect();
        let mut killed = HashSet::new();
        // Whether they wait, were just handed a place, or run.
        for _ in 0..8 {
            std::thread::sleep(Duration::from_micros(seed.below(40_000)));
            let at = seed.below(COUNT as u64) as usize;
            kill(started[at].record.shim.pid);
            killed.insert(at);
        }
        let ids: Vec<_> = started.iter().map(|one| one.record.id).collect();
        let (never, deadline) = (AtomicBool::new(false), Some(Instant::now() + HANG_TIMEOUT));
        let waited = env.servers().wait(&ids, WaitMode::All, deadline, &never, &mut |_| {}).unwrap();
        assert!(
            waited.done,
            "round {round}: {:?}",
            waited.processes.iter().map(|one| one.record.state).collect::<Vec<_>>()
        );
        for (at, one) in waited.processes.iter().enumerate() {
            match one.record.outcome {
                Some(Outcome::Succeeded) => {}
                Some(Outcome::Lost) => assert!(killed.contains(&at), "round {round}"),
                other => panic!("round {round}: {other:?} {:?}", one.record.note),
            }
        }
        let most = std::fs::read_to_string(most).unwrap();
        assert!(most.lines().all(|count| count.trim().parse::<u32>().unwrap() <= PLACES), "round {round}: {most}");
        // All places still exist, and none is taken by a dead process.
        let gate = env.path("gate");
        let script = format!("while [ ! -e {} ]; do sleep 0.01; done", gate.display());
        let all: Vec<_> = (0..PLACES)
            .map(|_| env.servers().start(shim(), NewProcess::new("/"), program(&script), queue).unwrap().record.id)
            .collect();
        for id in &all {
            wait_for(|| (env.servers().get(*id).unwrap().record.state == State::Running).then_some(()));
        }
        std::fs::write(gate, "").unwrap();
        all.into_iter().for_each(|id| drop(env.ended(id)));
    }
}

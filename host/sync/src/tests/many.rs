//! Stores with many snapshots, the old ones of which go.

use super::*;

use std::collections::BTreeSet;

use proptest::prelude::*;

use crate::graph::{Listing, common_ancestors, heads, merge_base, merge_clocks, newest_first, prunable_objects};
use crate::object::{ObjectName, SeenSnapshot};
use crate::snapshot::{FORMAT_VERSION, MachineFiles, Snapshot, SnapshotManifest, VectorClock, pack, unpack};

#[tokio::test]
async fn a_machine_that_pulls_seldom_still_knows_what_it_had() {
    let (_far, one, other) = two(&[(MEMORY, "0\n"), (RULES, "x\n")]).await;
    for round in 1..=60 {
        one.write(MEMORY, &format!("{round}\n"));
        one.push().await.unwrap();
    }
    other.write(RULES, "y\n");
    let pulled = other.pull().await;
    assert_eq!((pulled.conflicts.len(), other.read(MEMORY).unwrap()), (0, "60\n".to_owned()));
    assert_eq!(other.read(RULES).unwrap(), "y\n");
    // Copies of what nobody needs any more go.
    let copies = |machine: &Machine| fs::read_dir(machine.path(".aiw/sync/objects")).unwrap().count();
    other.pull().await;
    assert!(copies(&other) <= 51, "{}", copies(&other));
    assert!(copies(&one) <= 52, "{}", copies(&one));
}

/// A machine of a history: how far it has pushed, and what it has merged.
#[derive(Debug, Clone, Default)]
struct Member {
    counter: u64,
    merged: VectorClock,
}

#[derive(Debug, Default)]
struct History {
    members: Vec<Member>,
    read: BTreeMap<String, Snapshot>,
    all: BTreeSet<ObjectName>,
    kept: BTreeSet<ObjectName>,
}

fn listing(names: &BTreeSet<ObjectName>) -> Listing {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    Listing::new("5".repeat(8).as_str(), names.iter().map(String::as_str))
}

impl History {
    fn push(&mut self, at: usize) {
        let member = &mut self.members[at];
        member.counter += 1;
        let seen = member.merged.clone();
        let machine = format!("{at:016}");
        let digest = format!("{:064}", member.counter);
        let name = ObjectName { store: "5".repeat(8), machine: machine.clone(), counter: member.counter, digest };
        member.merged.insert(machine, SeenSnapshot::from(&name));
        let manifest = SnapshotManifest {
            format: FORMAT_VERSION,
            machine_name: "one".into(),
            // No two clocks say the same.
            time: format!("20{}-01-{:02}T00:00:00Z", 20 + at * 7 % 9, 28 - member.counter % 28),
            aiw: "1".into(),
            parents: Vec::new(),
            seen,
            covers: Vec::new(),
            silent: Vec::new(),
            moved: None,
            files: BTreeMap::new(),
        };
        let snapshot = unpack(name.clone(), &pack(&manifest, &MachineFiles::new()).unwrap()).unwrap();
        self.read.insert(name.to_string(), snapshot);
        self.all.insert(name.clone());
        self.kept.insert(name);
    }

    /// Some machines merge everything and push at the same moment; then each deletes what is old by what it saw before.
    fn turn(&mut self, racing: &[usize]) {
        let seen = self.kept.clone();
        racing.iter().for_each(|at| self.pull(*at));
        racing.iter().for_each(|at| self.push(*at));
        self.prune(&seen);
    }

    fn pull(&mut self, at: usize) {
        for snapshot in self.newest(&self.all) {
            self.members[at].merged = merge_clocks(&self.members[at].merged, &snapshot.clock());
        }
    }

    fn newest(&self, names: &BTreeSet<ObjectName>) -> Vec<Snapshot> {
        listing(names).newest().into_iter().map(|name| self.read[&name.to_string()].clone()).collect()
    }

    /// Keeps one of each machine, and what is needed.
    fn prune(&mut self, seen: &BTreeSet<ObjectName>) {
        let listing = listing(seen);
        let newest = self.newest(seen);
        if let Some(meeting) = merge_base(&listing, &self.read).unwrap() {
            for name in prunable_objects(&listing, &newest.iter().collect::<Vec<_>>(), meeting, 1) {
                self.kept.remove(name);
            }
        }
    }

    /// Returns all from which two states may come, as a merge of them looks for it.
    fn looked_for(&self, one: &VectorClock, other: &VectorClock) -> BTreeSet<ObjectName> {
        let all = listing(&self.all);
        let mut looked_for = BTreeSet::new();
        let mut next = vec![(one.clone(), other.clone())];
        while let Some((one, other)) = next.pop() {
            let bases =
                common_ancestors(&all, &one, &other).into_iter().map(|name| &self.read[&name.to_string()]).collect();
            let bases = heads(bases);
            let mut clock = VectorClock::new();
            for base in &bases {
                if looked_for.insert(base.name.clone()) && !clock.is_empty() {
                    next.push((clock.clone(), base.clock()));
                }
                clock = merge_clocks(&clock, &base.clock());
            }
        }
        looked_for
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Whatever is deleted, no merge of what any machines pushed, some of them at the same moment, looks for it.
    #[test]
    fn nothing_that_a_merge_looks_for_is_deleted(turns in proptest::collection::vec(1..16u8, 1..40)) {
        let mut history = History { members: vec![Member::default(); 4], ..History::default() };
        for turn in turns {
            let racing: Vec<usize> = (0..4).filter(|at| turn & (1 << at) != 0).collect();
            history.turn(&racing);
            let newest = history.newest(&history.all);
            let ends = heads(newest.iter().collect());
            // What one contains is not merged into it.
            let is_merge = |one: &Snapshot, head: &Snapshot| !one.is_merged_into(&head.clock()) && !head.is_merged_into(&one.clock());
            let pairs = newest.iter().flat_map(|one| ends.iter().map(move |head| (one, *head)));
            for (one, other) in pairs.filter(|(one, head)| is_merge(one, head)) {
                for name in history.looked_for(&one.clock(), &other.clock()) {
                    prop_assert!(history.kept.contains(&name), "{name} of {:?}", history.all);
                }
            }
        }
    }

    /// The list of people is that of what contains what, whatever the clocks say.
    #[test]
    fn a_snapshot_is_listed_before_those_that_it_contains(turns in proptest::collection::vec(1..16u8, 1..20)) {
        let mut history = History { members: vec![Member::default(); 4], ..History::default() };
        for turn in turns {
            history.turn(&(0..4).filter(|at| turn & (1 << at) != 0).collect::<Vec<_>>());
        }
        let sorted = newest_first(history.read.values().collect());
        prop_assert_eq!(sorted.len(), history.read.len());
        for (at, one) in sorted.iter().enumerate() {
            prop_assert!(!sorted[..at].iter().any(|before| before.is_merged_into(&one.manifest.seen)), "{:?}", one.name);
        }
    }

    /// Where each machine pulls before it pushes, only the newest are kept, and of each machine what they name.
    #[test]
    fn what_is_merged_everywhere_goes(turns in proptest::collection::vec(0..3usize, 20..40)) {
        let mut history = History { members: vec![Member::default(); 3], ..History::default() };
        for at in turns {
            history.turn(&[at]);
        }
        prop_assert!(history.kept.len() <= 3 * 3 + 1, "{:?}", history.kept);
    }
}

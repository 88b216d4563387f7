//! The snapshots of all machines: which are the newest, and what two states have in common.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::object::{ObjectName, SeenSnapshot};
use crate::place::SyncPath;
use crate::policy::{is_covered, is_within};
use crate::snapshot::{Snapshot, VectorClock, is_merged_into};

/// The objects of a store, by machine and counter.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// Never an empty list. There are several objects with one number until they were read: without the key, anybody who can
    /// write to the remote can add one.
    there: BTreeMap<String, BTreeMap<u64, Vec<ObjectName>>>,
    /// Objects that this machine has, and the remote may have no more.
    known_objects: BTreeSet<ObjectName>,
}

/// Why a list of objects is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IntegrityError {
    /// A snapshot that was seen, or that another one names, is gone, and no newer one of its machine is there.
    Missing { machine: String, counter: u64 },
    /// A snapshot that was seen has other bytes now.
    Tampered { machine: String, counter: u64 },
}

impl Listing {
    /// Takes the objects of a store; others are none of its business.
    pub(crate) fn new<'a>(store: &str, names: impl Iterator<Item = &'a str>) -> Self {
        let mut listing = Self::default();
        names.filter_map(ObjectName::parse).filter(|name| name.store == store).for_each(|name| listing.add(name));
        listing
    }

    /// Takes in an object that the remote has.
    pub(crate) fn add(&mut self, name: ObjectName) {
        let same_number = self.there.entry(name.machine.clone()).or_default().entry(name.counter).or_default();
        if !same_number.contains(&name) {
            same_number.push(name);
        }
    }

    /// Drops an object that is gone, or that no machine of the store wrote.
    pub(crate) fn remove(&mut self, name: &ObjectName) {
        self.known_objects.remove(name);
        self.retain(name, |other| other != name);
    }

    /// Drops all other objects with the number of this one.
    pub(crate) fn drop_duplicates(&mut self, name: &ObjectName) {
        self.retain(name, |other| other == name);
    }

    fn retain(&mut self, number: &ObjectName, keep: impl Fn(&ObjectName) -> bool) {
        let Some(counters) = self.there.get_mut(&number.machine) else { return };
        if let Some(same_number) = counters.get_mut(&number.counter) {
            same_number.retain(keep);
            if same_number.is_empty() {
                counters.remove(&number.counter);
            }
        }
        if counters.is_empty() {
            self.there.remove(&number.machine);
        }
    }

    /// Puts objects that are known to be good before others with the same number.
    pub(crate) fn prefer_valid(&mut self, is_good: impl Fn(&ObjectName) -> bool) {
        let contested = self.there.values_mut().flat_map(BTreeMap::values_mut).filter(|names| names.len() > 1);
        contested.for_each(|names| names.sort_by_cached_key(|name| (!is_good(name), name.digest.clone())));
    }

    /// Takes in an object that is kept here.
    pub(crate) fn add_known(&mut self, name: ObjectName) {
        self.known_objects.insert(name);
    }

    /// Whether an object is there, or kept here.
    pub(crate) fn has(&self, name: &ObjectName) -> bool {
        self.known_objects.contains(name) || self.is_listed(name)
    }

    /// Whether the remote has an object.
    pub(crate) fn is_listed(&self, name: &ObjectName) -> bool {
        self.objects_with_counter(name).contains(name)
    }

    /// Returns the objects with the number of this one.
    pub(crate) fn objects_with_counter(&self, name: &ObjectName) -> &[ObjectName] {
        let same_number = self.there.get(&name.machine).and_then(|counters| counters.get(&name.counter));
        same_number.map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.there.is_empty()
    }

    /// Whether a machine has more objects than a number.
    pub(crate) fn has_more_than(&self, most: usize) -> bool {
        self.there.values().any(|counters| counters.len() > most)
    }

    /// Returns all objects.
    pub(crate) fn names(&self) -> impl Iterator<Item = &ObjectName> {
        self.there.values().flat_map(BTreeMap::values).flatten()
    }

    /// Returns the newest object of each machine.
    pub(crate) fn newest(&self) -> Vec<&ObjectName> {
        self.there.values().filter_map(|counters| counters.values().next_back()?.first()).collect()
    }

    /// Returns an object of each number that several have, from the number on that is known of its machine. An earlier one
    /// was settled when it came in.
    pub(crate) fn conflicting_objects(&self, known: &VectorClock) -> Vec<&ObjectName> {
        let is_settled = |name: &ObjectName| known.get(&name.machine).is_some_and(|seen| seen.counter > name.counter);
        let contested = self.there.values().flat_map(BTreeMap::values).filter(|names| names.len() > 1);
        contested.filter_map(|names| names.first()).filter(|name| !is_settled(name)).collect()
    }

    /// Returns the newest object of a machine up to a number.
    fn up_to(&self, machine: &str, counter: u64) -> Option<&ObjectName> {
        let there = self.there.get(machine).and_then(|own| own.range(..=counter).next_back()?.1.first());
        let kept = self.known_objects.iter().filter(|name| name.machine == machine && name.counter <= counter);
        there.into_iter().chain(kept).max_by_key(|name| name.counter)
    }

    /// Compares the list with what is known: no machine has an older newest snapshot than before, and none another one.
    pub(crate) fn check(&self, known: &VectorClock) -> Result<(), IntegrityError> {
        known.iter().try_for_each(|(machine, seen)| self.check_machine(machine, seen))
    }

    /// Returns the machines of which the list shows another snapshot than is known, or only older ones.
    pub(crate) fn inconsistent_machines<'a>(
        &'a self,
        known: &'a VectorClock,
    ) -> impl Iterator<Item = (&'a String, &'a SeenSnapshot)> {
        known.iter().filter(|(machine, seen)| self.check_machine(machine, seen).is_err())
    }

    fn check_machine(
        &self,
        machine: &str,
        SeenSnapshot { counter, digest }: &SeenSnapshot,
    ) -> Result<(), IntegrityError> {
        let counters = self.there.get(machine);
        if counters.and_then(|counters| counters.keys().next_back()).is_none_or(|newest| newest < counter) {
            return Err(IntegrityError::Missing { machine: machine.to_owned(), counter: *counter });
        }
        let same_number = counters.and_then(|counters| counters.get(counter));
        if same_number.is_some_and(|names| names.iter().all(|name| name.digest != *digest)) {
            return Err(IntegrityError::Tampered { machine: machine.to_owned(), counter: *counter });
        }
        Ok(())
    }
}

/// Returns those of a set of snapshots that are not merged into another one.
pub(crate) fn heads(snapshots: Vec<&Snapshot>) -> Vec<&Snapshot> {
    let is_old = |one: &&Snapshot| {
        snapshots.iter().any(|other| other.name != one.name && one.is_merged_into(&other.manifest.seen))
    };
    snapshots.iter().copied().filter(|one| !is_old(one)).collect()
}

/// Returns snapshots in the order in which people read them: each before those that it contains, and of others the later one by
/// their machines' clocks.
pub(crate) fn newest_first(snapshots: Vec<&Snapshot>) -> Vec<&Snapshot> {
    let contains = |other: &Snapshot, one: &Snapshot| {
        let is_later = other.name.machine == one.name.machine && other.name.counter > one.name.counter;
        is_later || (other.name != one.name && one.is_merged_into(&other.manifest.seen))
    };
    let over = |one: &&Snapshot| snapshots.iter().filter(|other| contains(other, one)).count();
    let mut left: Vec<(usize, &Snapshot)> = snapshots.iter().map(|one| (over(one), *one)).collect();
    let mut sorted = Vec::new();
    // Hostile ones may contain each other.
    let first = |left: &[(usize, &Snapshot)]| {
        let keys = left.iter().enumerate().map(|(at, (over, one))| (Reverse(*over), &one.manifest.time, &one.name, at));
        keys.max().map(|(.., at)| at)
    };
    while let Some(at) = first(&left) {
        let (_, next) = left.swap_remove(at);
        left.iter_mut().filter(|(_, one)| contains(next, one)).for_each(|(over, _)| *over = over.saturating_sub(1));
        sorted.push(next);
    }
    sorted
}

/// Returns the objects that two states have in common, of each machine the newest one that is still there.
pub(crate) fn common_ancestors<'a>(
    listing: &'a Listing,
    one: &VectorClock,
    other: &VectorClock,
) -> Vec<&'a ObjectName> {
    let both = one.iter().filter_map(|(machine, seen)| Some((machine, seen.counter.min(other.get(machine)?.counter))));
    both.filter_map(|(machine, counter)| listing.up_to(machine, counter)).collect()
}

/// Whether snapshots have all that two states have in common.
pub(crate) fn contains_common_state(snapshots: &[&Snapshot], one: &VectorClock, other: &VectorClock) -> bool {
    let has = |snapshot: &Snapshot, machine: &String, counter: u64| {
        let seen = snapshot.manifest.seen.get(machine).is_some_and(|seen| seen.counter >= counter);
        seen || (snapshot.name.machine == *machine && snapshot.name.counter >= counter)
    };
    one.iter().all(|(machine, seen)| {
        let counter = other.get(machine).map(|other| other.counter.min(seen.counter));
        counter.is_none_or(|counter| snapshots.iter().any(|snapshot| has(snapshot, machine, counter)))
    })
}

/// Finds who says something of a path: a snapshot, or its parents where it says nothing.
pub(crate) struct PathHeads<'a> {
    /// All snapshots that were read, by name.
    pub(crate) snapshots: &'a BTreeMap<String, Snapshot>,
}

impl<'a> PathHeads<'a> {
    /// Returns the newest snapshots among these and their ancestors that say something of a path, none of which is merged into
    /// another one. The names of those that would have to be read for that come second.
    pub(crate) fn heads(&self, path: &SyncPath, from: &[&'a Snapshot]) -> (Vec<&'a Snapshot>, Vec<String>) {
        let (mut found, mut missing, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut next: Vec<&Snapshot> = from.to_vec();
        while let Some(snapshot) = next.pop() {
            if !seen.insert(snapshot.name.to_string()) {
                continue;
            }
            if is_path_tracked(snapshot, path) {
                found.push(snapshot);
                continue;
            }
            for parent in &snapshot.manifest.parents {
                match self.snapshots.get(parent) {
                    Some(parent) => next.push(parent),
                    None => missing.push(parent.clone()),
                }
            }
        }
        let mut found = heads(found);
        found.sort_by(|one, other| one.name.cmp(&other.name));
        (found, missing)
    }
}

/// Whether a snapshot says something of a path.
pub(crate) fn is_path_tracked(snapshot: &Snapshot, path: &SyncPath) -> bool {
    matches_tracked_patterns(&snapshot.manifest.covers, &snapshot.manifest.silent, path)
}

/// Whether patterns lead to a path that is not left out.
pub(crate) fn matches_tracked_patterns(covers: &[String], silent: &[String], path: &SyncPath) -> bool {
    covers.iter().any(|pattern| is_covered(pattern, path)) && !silent.iter().any(|left_out| is_within(left_out, path))
}

/// Returns a clock that has what two have.
pub(crate) fn merge_clocks(one: &VectorClock, other: &VectorClock) -> VectorClock {
    let mut joined = one.clone();
    for (machine, seen) in other {
        match joined.get(machine) {
            Some(own) if own.counter >= seen.counter => {}
            _ => drop(joined.insert(machine.clone(), seen.clone())),
        }
    }
    joined
}

/// Returns the newest snapshot that each other one contains or is in, if there is one. No merge looks for anything before it: what
/// two states have in common contains it too. The objects that would have to be read first are an error.
pub(crate) fn merge_base<'a>(
    listing: &'a Listing,
    read: &'a BTreeMap<String, Snapshot>,
) -> Result<Option<&'a Snapshot>, Vec<ObjectName>> {
    let known = |names: Vec<&ObjectName>| -> Result<Vec<&'a Snapshot>, Vec<ObjectName>> {
        let (found, missing): (Vec<_>, Vec<_>) =
            names.into_iter().map(|name| read.get(&name.to_string()).ok_or(name)).partition(Result::is_ok);
        let missing: Vec<ObjectName> = missing.into_iter().filter_map(Result::err).cloned().collect();
        if missing.is_empty() { Ok(found.into_iter().flatten().collect()) } else { Err(missing) }
    };
    let mut level = heads(known(listing.newest())?);
    // Each turn goes back to earlier ones, unless their clocks lie.
    for _ in listing.names() {
        let Some((first, rest)) = level.split_first() else { return Ok(None) };
        let mut clock = first.clock();
        let mut beside: Vec<&Snapshot> = rest.to_vec();
        if rest.is_empty() {
            let later = listing.names().filter(|name| !is_merged_into(name, &clock)).collect();
            beside = known(later)?.into_iter().filter(|one| !first.is_merged_into(&one.manifest.seen)).collect();
            if beside.is_empty() {
                return Ok(Some(first));
            }
        }
        let mut below = Vec::new();
        for other in beside {
            below = common_ancestors(listing, &clock, &other.clock());
            clock = below.iter().map(|name| (name.machine.clone(), SeenSnapshot::from(*name))).collect();
        }
        level = heads(known(below)?);
    }
    Ok(None)
}

/// Returns the objects that nobody needs any more: all but the newest of each machine, heads, what any machine may have in common
/// with another one, and what came after all machines last met.
pub(crate) fn prunable_objects<'a>(
    listing: &'a Listing,
    newest: &[&Snapshot],
    meeting: &Snapshot,
    most: usize,
) -> Vec<&'a ObjectName> {
    let is_named = |name: &ObjectName| {
        let names = |snapshot: &&Snapshot| {
            snapshot.manifest.parents.contains(&name.to_string())
                || snapshot.manifest.seen.get(&name.machine).is_some_and(|seen| seen.counter == name.counter)
        };
        newest.iter().any(names)
    };
    let old = listing.there.values().flat_map(|counters| counters.values().rev().skip(most)).flatten();
    let is_past = |name: &ObjectName| is_merged_into(name, &meeting.manifest.seen);
    old.filter(|name| is_past(name) && !is_named(name) && !newest.iter().any(|own| own.name == **name)).collect()
}

//! Habits that were planted in random histories are found, and nothing else is.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use super::*;

const HERE: &str = "/here";
/// A Monday, 0:00 in UTC.
const MONDAY: u64 = 1_789_948_800_000;

fn id(text: &str) -> HabitId {
    text.parse().unwrap()
}

fn start(time: u64, process: &str) -> StartRecord {
    let hour = u8::try_from(time / HOUR_MS % 24).unwrap();
    let weekend = (time - MONDAY) / DAY_MS % 7 >= 5;
    StartRecord { time, project: HERE.into(), process: process.into(), by: "you".into(), branch: None, hour, weekend }
}

fn found(starts: &[StartRecord], failures: &[(u64, String)], now: u64) -> Vec<(String, usize, usize)> {
    let found = find(starts, Path::new(HERE), failures, now);
    found.into_iter().map(|habit| (habit.id.to_string(), habit.occurrence_count, habit.opportunities)).collect()
}

/// Numbers that a seed decides (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    fn is_kept(&mut self) -> bool {
        self.below(10) < 9
    }
}

/// A history with planted habits.
struct History {
    random: Random,
    pairs: Vec<(String, String)>,
    starts: Vec<StartRecord>,
}

impl History {
    /// Starts a process, and what is usually started after it.
    fn start(&mut self, time: u64, process: &str) {
        self.starts.push(start(time, process));
        let next: Vec<String> =
            self.pairs.iter().filter(|(cue, _)| cue == process).map(|(_, next)| next.clone()).collect();
        for next in next {
            if self.random.is_kept() {
                let time = time + 500 + self.random.below(8000);
                self.start(time, &next);
            }
        }
    }

    /// Twelve processes and five habits: three pairs, which may be a chain, one hour, and one change. Each is used once a day
    /// and kept in 90 %; another process is started once a day.
    fn of(seed: u64, days: u64) -> (Vec<StartRecord>, BTreeSet<HabitId>) {
        let mut random = Random(seed);
        let mut names: Vec<String> = (0..12).map(|number| format!("p{number}")).collect();
        (1..names.len()).rev().for_each(|at| names.swap(at, usize::try_from(random.below(at as u64 + 1)).unwrap()));
        let hour = random.below(24);
        let (timed, changed) = (names[10].clone(), names[11].clone());
        let is_branch = random.below(2) == 0;
        let mut pairs: Vec<(String, String)> = Vec::new();
        while pairs.len() < 3 {
            let to = 1 + random.below(9);
            let (from, to) = (random.below(to), to);
            let pair = (names[usize::try_from(from).unwrap()].clone(), names[usize::try_from(to).unwrap()].clone());
            if pairs.iter().all(|(cue, next)| *cue != pair.0 && *next != pair.1) {
                pairs.push(pair);
            }
        }
        let mut planted: BTreeSet<HabitId> =
            pairs.iter().map(|(cue, next)| id(&format!("after:{cue}:{next}"))).collect();
        planted.insert(id(&format!("weekday:{hour}:{timed}")));
        planted.insert(id(&format!("{}:{changed}", if is_branch { "branch" } else { "directory" })));
        let mut history = Self { random, pairs: pairs.clone(), starts: Vec::new() };
        // Branches are told apart by when they were checked out.
        let (mut branches, mut visits) = (Vec::new(), Vec::new());
        for day in 0..days {
            let midnight = MONDAY + day * DAY_MS;
            for (cue, _) in pairs.iter().filter(|(cue, _)| pairs.iter().all(|(_, next)| next != cue)) {
                let time = midnight + history.random.below(DAY_MS);
                history.start(time, cue);
            }
            if day % 7 < 5 && history.random.is_kept() {
                let time = midnight + hour * HOUR_MS + history.random.below(HOUR_MS);
                history.start(time, &timed);
            }
            let (branch, visit) = (midnight + history.random.below(DAY_MS), midnight + history.random.below(DAY_MS));
            branches.push(branch);
            visits.push(visit);
            if history.random.is_kept() {
                history.start(1 + if is_branch { branch } else { visit }, &changed);
            }
            let stray = names[usize::try_from(history.random.below(12)).unwrap()].clone();
            history.starts.push(start(midnight + history.random.below(DAY_MS), &stray));
        }
        for start in &mut history.starts {
            start.branch = branches.iter().filter(|branch| **branch < start.time).max().copied();
        }
        let elsewhere =
            visits.into_iter().map(|time| StartRecord { project: "/there".into(), ..start(time, "elsewhere") });
        history.starts.extend(elsewhere);
        history.starts.sort_by_key(|start| start.time);
        (history.starts, planted)
    }
}

#[test]
fn planted_habits_are_found_and_nothing_else() {
    const HISTORIES: u64 = 60;
    let seed = RandomState::new().hash_one("habits");
    let (mut right, mut all, mut planted) = (0, 0, 0);
    for history in 0..HISTORIES {
        let (starts, habits) = History::of(seed.wrapping_add(history), 20);
        let found = find(&starts, Path::new(HERE), &[], MONDAY + 20 * DAY_MS);
        let suggested: Vec<_> = found.into_iter().filter(Habit::is_suggested).map(|habit| habit.id).collect();
        right += suggested.iter().filter(|id| habits.contains(id)).count();
        all += suggested.len();
        planted += habits.len();
    }
    let (precision, recall) = (right as f64 / all as f64, right as f64 / planted as f64);
    println!("precision {precision:.3}, recall {recall:.3}");
    assert!(precision >= 0.95 && recall >= 0.9, "seed {seed}: precision {precision:.3}, recall {recall:.3}");
}

#[test]
fn a_pair_is_a_habit_from_the_fourth_time_on_and_only_if_it_is_kept() {
    let days = |days: u64, more: &[&str]| -> Vec<StartRecord> {
        let day = |day: u64| {
            // Never at the same hour.
            let time = MONDAY + day * DAY_MS + day * HOUR_MS;
            ["db", "api"].iter().chain(more).enumerate().map(move |(at, id)| start(time + at as u64 * 2000, id))
        };
        (0..days).flat_map(day).collect()
    };
    assert_eq!(found(&days(3, &[]), &[], MONDAY + 3 * DAY_MS), []);
    let expected = vec![("after:db:api".to_owned(), 4, 4)];
    assert_eq!(found(&days(4, &[]), &[], MONDAY + 4 * DAY_MS), expected);
    // What is started after the second follows from both pairs.
    let chain: Vec<_> = found(&days(6, &["web"]), &[], MONDAY + 6 * DAY_MS).into_iter().map(|(id, ..)| id).collect();
    assert_eq!(chain, ["after:api:web", "after:db:api"]);
    // One that was started just now may still be followed.
    let mut more = days(4, &[]);
    more.push(start(MONDAY + 5 * DAY_MS, "db"));
    assert_eq!(found(&more, &[], MONDAY + 5 * DAY_MS + 2000), expected);
    assert_eq!(found(&more, &[], MONDAY + 5 * DAY_MS + 20_000), [("after:db:api".to_owned(), 4, 5)]);
    // By another client, later, or long ago, it doesn't count.
    let mut others = days(9, &[]);
    others.iter_mut().filter(|start| start.process == "api").for_each(|start| start.by = "claude".into());
    assert_eq!(found(&others, &[], MONDAY + 9 * DAY_MS), []);
    let mut late = days(9, &[]);
    late.iter_mut().filter(|start| start.process == "api").for_each(|start| start.time += WINDOW_MS);
    assert_eq!(found(&late, &[], MONDAY + 9 * DAY_MS), []);
    assert_eq!(found(&days(9, &[]), &[], MONDAY + 400 * DAY_MS), []);
    // What is started all the time is started after everything.
    let busy = (0..9 * DAY_MS / 30_000).map(|at| start(MONDAY + at * 30_000, "api"));
    let mut busy: Vec<StartRecord> =
        busy.chain((0..9).map(|day| start(MONDAY + day * (DAY_MS + HOUR_MS), "db"))).collect();
    busy.sort_by_key(|start| start.time);
    assert_eq!(found(&busy, &[], MONDAY + 9 * DAY_MS), []);
}

#[test]
fn what_fails_after_another_is_told_and_a_loop_of_crashes_is_one_failure() {
    let failures: Vec<(u64, String)> = (0..6)
        .flat_map(|day| {
            let time = MONDAY + day * (DAY_MS + HOUR_MS);
            let looping = (0..9).map(move |again| (time + again * 4000, "db".to_owned()));
            let mut all: Vec<_> = looping.chain([(time + 3000, "api".to_owned())]).collect();
            all.sort();
            all
        })
        .collect();
    assert_eq!(found(&[], &failures, MONDAY + 9 * DAY_MS), [("fails:db:api".to_owned(), 6, 6)]);
}

#[test]
fn what_somebody_starts_after_a_failure_is_a_habit() {
    let day = |day: u64| MONDAY + day * (DAY_MS + HOUR_MS);
    let failures: Vec<(u64, String)> = (0..6).map(|at| (day(at), "db".to_owned())).collect();
    // Another one each day, and what has failed itself, say nothing.
    let rescues = (0..6).flat_map(|at| {
        let by = if at % 2 == 0 { "you" } else { "claude" };
        [start(day(at) + 2000, "db"), StartRecord { by: by.into(), ..start(day(at) + 5000, "repair") }]
    });
    let rescues: Vec<StartRecord> = rescues.collect();
    let known = found(&rescues, &failures, MONDAY + 9 * DAY_MS);
    assert!(known.contains(&("after-failed:db:repair".to_owned(), 6, 6)), "{known:?}");
    assert!(known.iter().all(|(id, ..)| id != "after-failed:db:db"), "{known:?}");
    // Late is by chance.
    let late: Vec<StartRecord> = (0..6).map(|at| start(day(at) + 11_000, "repair")).collect();
    assert_eq!(found(&late, &failures, MONDAY + 9 * DAY_MS), []);
}

#[test]
fn an_hour_and_changes_are_habits_too() {
    // Each weekday at nine, four times within the hour.
    let weekdays = (0..12).filter(|day| day % 7 < 5).flat_map(|day| {
        let at = MONDAY + day * DAY_MS + 9 * HOUR_MS;
        (0..4).map(move |again| start(at + again * 60_000, "mail"))
    });
    assert_eq!(
        found(&weekdays.collect::<Vec<_>>(), &[], MONDAY + 12 * DAY_MS),
        [("weekday:9:mail".to_owned(), 10, 10)]
    );
    let changes = |change: fn(u64, &mut StartRecord)| {
        let days = (0..10).flat_map(|day| {
            let time = MONDAY + HOUR_MS + day * (DAY_MS + HOUR_MS);
            let mut first = start(time, "gen");
            let mut later = start(time + HOUR_MS, "other");
            [&mut first, &mut later].into_iter().for_each(|start| change(day, start));
            [StartRecord { project: "/there".into(), ..start(time - 60_000, "x") }, first, later]
        });
        let mut ids: Vec<_> =
            found(&days.collect::<Vec<_>>(), &[], MONDAY + 11 * DAY_MS).into_iter().map(|(id, ..)| id).collect();
        ids.sort();
        ids
    };
    assert_eq!(changes(|_, _| ()), ["directory:gen"]);
    assert_eq!(changes(|day, start| start.branch = Some(day)), ["branch:gen", "directory:gen"]);
    // Another client comes from nowhere.
    assert_eq!(changes(|_, start| start.by = "claude".into()), [] as [&str; 0]);
}

#[test]
fn what_a_user_names_is_read_as_it_is_shown() {
    for text in [
        "after:db:api",
        "fails:a.b:c-d",
        "after-failed:db:api",
        "weekday:9:api",
        "weekend:23:api",
        "branch:api",
        "directory:api",
    ] {
        assert_eq!(id(text).to_string(), text);
    }
    for text in
        ["", "api", "after:api", "weekday:24:api", "weekday:x:api", "branch:x:api", "after:a b:c", "after:a:b c"]
    {
        assert!(text.parse::<HabitId>().is_err(), "{text}");
    }
}

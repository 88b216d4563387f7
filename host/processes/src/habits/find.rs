//! Finding habits in starts and failures. Nothing is read or written here.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::store::StartRecord;
use crate::definition::is_id;

/// How soon after a cue a process has to start or fail to count, in milliseconds.
const WINDOW_MS: u64 = 10_000;

/// At most so many starts after a cue are looked at.
const MAX_FOLLOWERS: usize = 16;

/// So often a habit was seen at least.
const MIN_OCCURRENCES: usize = 4;

/// From this bound on a habit may be one.
const MIN_LOW_CONFIDENCE: f64 = 0.35;

/// From this bound on a habit is suggested.
const MIN_HIGH_CONFIDENCE: f64 = 0.5;

/// So many times as often as by chance.
const MIN_LIFT: f64 = 3.0;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// After this time, a start counts half.
const HALF_LIFE: f64 = 30.0 * DAY_MS as f64;

/// The normal deviate of 90 %.
const CONFIDENCE_Z: f64 = 1.645;

/// The thing after which, or the time at which, a process is started or fails.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Trigger {
    /// Another process was started.
    AfterStart(String),
    /// Another process has failed, and this one fails.
    CascadingFailure(String),
    /// Another process has failed, and this one is started.
    AfterFailure(String),
    /// An hour of a weekday or of a day of the weekend.
    Hour { weekend: bool, hour: u8 },
    /// Another branch is checked out than at the start before.
    Branch,
    /// The start before was in another project.
    Directory,
}

/// The name of a habit: `after:db:api`, `weekday:9:api`, `branch:api`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct HabitId {
    pub trigger: Trigger,
    pub process: String,
}

impl fmt::Display for HabitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.trigger {
            Trigger::AfterStart(id) => write!(f, "after:{id}")?,
            Trigger::CascadingFailure(id) => write!(f, "fails:{id}")?,
            Trigger::AfterFailure(id) => write!(f, "after-failed:{id}")?,
            Trigger::Hour { weekend: false, hour } => write!(f, "weekday:{hour}")?,
            Trigger::Hour { weekend: true, hour } => write!(f, "weekend:{hour}")?,
            Trigger::Branch => f.write_str("branch")?,
            Trigger::Directory => f.write_str("directory")?,
        }
        write!(f, ":{}", self.process)
    }
}

impl FromStr for HabitId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (cue, process) = text.rsplit_once(':').ok_or(())?;
        let (kind, detail) = cue.split_once(':').unwrap_or((cue, ""));
        let id = || Some(detail.to_owned()).filter(|id| is_id(id)).ok_or(());
        let hour = || detail.parse().ok().filter(|hour| *hour < 24).ok_or(());
        let cue = match (kind, detail) {
            ("after", _) => Trigger::AfterStart(id()?),
            ("fails", _) => Trigger::CascadingFailure(id()?),
            ("after-failed", _) => Trigger::AfterFailure(id()?),
            ("weekday" | "weekend", _) => Trigger::Hour { weekend: kind == "weekend", hour: hour()? },
            ("branch", "") => Trigger::Branch,
            ("directory", "") => Trigger::Directory,
            _ => return Err(()),
        };
        if is_id(process) { Ok(Self { trigger: cue, process: process.to_owned() }) } else { Err(()) }
    }
}

/// A habit, with what speaks for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Habit {
    pub id: HabitId,
    /// How often it was so.
    pub occurrence_count: usize,
    /// How often it could have been.
    pub opportunities: usize,
    /// The lower bound of its share, in which old starts count less.
    pub confidence: f64,
    /// The starts or failures that count for it, and who started.
    pub occurrences: Vec<(u64, Option<String>)>,
}

impl Habit {
    pub fn is_suggested(&self) -> bool {
        self.confidence >= MIN_HIGH_CONFIDENCE
    }
}

/// The start or failure of a process.
#[derive(Debug, Clone, Copy)]
struct Occurrence<'a> {
    time: u64,
    process: &'a str,
    by: Option<&'a str>,
}

/// A cue that was there at a time.
#[derive(Debug)]
struct CueAt<'a> {
    trigger: Trigger,
    time: u64,
    /// Who has to start what follows, if it matters.
    by: Option<&'a str>,
    /// The moment from which on something follows it.
    from: usize,
}

/// How often a process followed a cue, and how often it could have.
#[derive(Debug, Default)]
struct Tally<'a> {
    of: usize,
    /// As `of`, where old ones count less.
    whole: f64,
    share: f64,
    seen: Vec<Occurrence<'a>>,
}

impl Tally<'_> {
    fn judge(self, id: HabitId, chance: f64) -> Option<Habit> {
        let confidence = wilson(self.share, self.whole);
        let is_one =
            self.seen.len() >= MIN_OCCURRENCES && confidence >= MIN_LOW_CONFIDENCE && confidence >= MIN_LIFT * chance;
        is_one.then(|| {
            let seen = self.seen.iter().map(|moment| (moment.time, moment.by.map(str::to_owned))).collect();
            Habit { id, occurrence_count: self.seen.len(), opportunities: self.of, confidence, occurrences: seen }
        })
    }
}

/// Returns the habits of a project, the surest first, given all starts of the home and the failures of the project, each
/// oldest first.
pub(crate) fn find(starts: &[StartRecord], project: &Path, failures: &[(u64, String)], now: u64) -> Vec<Habit> {
    let (own, cues) = starts_of(starts, project);
    let mut found = pairs(&own, &cues, now);
    let mut last: HashMap<&str, u64> = HashMap::new();
    let failed = failures.iter().filter_map(|(time, process)| {
        // One that fails again and again has failed once.
        let is_first = last.insert(process, *time).is_none_or(|last| time - last > WINDOW_MS);
        is_first.then_some(Occurrence { time: *time, process, by: None })
    });
    let failed: Vec<Occurrence<'_>> = failed.collect();
    let cue = |kind: fn(String) -> Trigger, failure: &Occurrence<'_>, from| {
        let cue = kind(failure.process.to_owned());
        CueAt { trigger: cue, time: failure.time, by: None, from }
    };
    let fails = failed.iter().enumerate().map(|(at, failure)| cue(Trigger::CascadingFailure, failure, at + 1));
    found.extend(pairs(&failed, &fails.collect::<Vec<_>>(), now));
    let started_since = |failure: &Occurrence<'_>| own.partition_point(|start| start.time < failure.time);
    let rescues = failed.iter().map(|failure| cue(Trigger::AfterFailure, failure, started_since(failure)));
    found.extend(pairs(&own, &rescues.collect::<Vec<_>>(), now));
    found.extend(hours(starts.iter().filter(|start| start.project == project), now));
    let mut found = without_implied(found);
    found.sort_by(|one, other| other.confidence.total_cmp(&one.confidence).then_with(|| one.id.cmp(&other.id)));
    found
}

/// Returns the starts of a project, and the cues among them.
fn starts_of<'a>(starts: &'a [StartRecord], project: &Path) -> (Vec<Occurrence<'a>>, Vec<CueAt<'a>>) {
    let (mut own, mut cues) = (Vec::new(), Vec::new());
    let mut projects: HashMap<&str, &Path> = HashMap::new();
    let mut branch = None;
    for start in starts {
        let before = projects.insert(&start.by, &start.project);
        if start.project != project {
            continue;
        }
        let (at, by) = (own.len(), Some(start.by.as_str()));
        own.push(Occurrence { time: start.time, process: &start.process, by });
        let mut add = |cue, from| cues.push(CueAt { trigger: cue, time: start.time, by, from });
        add(Trigger::AfterStart(start.process.clone()), at + 1);
        // What is started first is what shows the change, so it counts too.
        if before.is_some_and(|before| before != project) {
            add(Trigger::Directory, at);
        }
        if start.branch.is_some() && branch.replace(start.branch).is_some_and(|before| before != start.branch) {
            add(Trigger::Branch, at);
        }
    }
    (own, cues)
}

/// Finds what follows cues more often than by chance.
fn pairs(moments: &[Occurrence<'_>], cues: &[CueAt<'_>], now: u64) -> Vec<Habit> {
    let mut all: HashMap<&Trigger, (usize, f64)> = HashMap::new();
    let mut tallies: HashMap<(&Trigger, &str), Tally<'_>> = HashMap::new();
    for &CueAt { trigger: ref cue, time, by, from } in cues {
        let weight = weight(time, now);
        // It may still be followed.
        let is_over = now.saturating_sub(time) > WINDOW_MS;
        if is_over {
            let (of, whole) = all.entry(cue).or_default();
            *of += 1;
            *whole += weight;
        }
        let soon = moments[from..].iter().take(MAX_FOLLOWERS).take_while(|next| next.time - time <= WINDOW_MS);
        let mut followers: Vec<&Occurrence<'_>> = Vec::new();
        for next in soon.filter(|next| by.is_none() || next.by == by) {
            let is_itself = cue.process() == Some(next.process);
            if !is_itself && followers.iter().all(|known| known.process != next.process) {
                followers.push(next);
            }
        }
        for next in followers {
            let tally = tallies.entry((cue, next.process)).or_default();
            tally.share += weight;
            tally.seen.push(*next);
            if !is_over {
                tally.of += 1;
                tally.whole += weight;
            }
        }
    }
    let rates = rates(moments, now);
    let judged = tallies.into_iter().filter_map(|((cue, process), tally)| {
        let (of, whole) = all.get(cue).copied().unwrap_or_default();
        let tally = Tally { of: tally.of + of, whole: tally.whole + whole, ..tally };
        let chance = rates.get(process).copied().unwrap_or_default();
        tally.judge(HabitId { trigger: cue.clone(), process: process.to_owned() }, chance)
    });
    judged.collect()
}

/// Returns how likely each process is in as much time as may pass after a cue, whatever happened.
fn rates<'a>(moments: &[Occurrence<'a>], now: u64) -> HashMap<&'a str, f64> {
    let mut rates = HashMap::new();
    let since = now.saturating_sub(moments.first().map_or(now, |first| first.time)).max(DAY_MS);
    let decay = std::f64::consts::LN_2 / HALF_LIFE;
    let whole = (1.0 - (-decay * since as f64).exp()) / decay;
    for moment in moments {
        *rates.entry(moment.process).or_default() += weight(moment.time, now) * WINDOW_MS as f64 / whole;
    }
    rates
}

/// Finds the hours at which processes are started.
fn hours<'a>(starts: impl Iterator<Item = &'a StartRecord>, now: u64) -> Vec<Habit> {
    let mut days: BTreeMap<(&str, bool), Vec<&StartRecord>> = BTreeMap::new();
    for start in starts {
        let of = days.entry((&start.process, start.weekend)).or_default();
        // One that is started again and again in an hour was started once in it.
        if of.last().is_none_or(|last| last.time / HOUR_MS != start.time / HOUR_MS) {
            of.push(start);
        }
    }
    let habits = days.into_iter().flat_map(|((process, weekend), starts)| {
        let whole: f64 = starts.iter().map(|start| weight(start.time, now)).sum();
        let mut cells: BTreeMap<u8, Tally<'_>> = BTreeMap::new();
        for start in &starts {
            let cell = cells.entry(start.hour).or_insert_with(|| Tally { of: starts.len(), whole, ..Tally::default() });
            cell.share += weight(start.time, now);
            cell.seen.push(Occurrence { time: start.time, process, by: Some(&start.by) });
        }
        cells.into_iter().filter_map(move |(hour, tally)| {
            let id = HabitId { trigger: Trigger::Hour { weekend, hour }, process: process.to_owned() };
            tally.judge(id, 1.0 / 24.0)
        })
    });
    habits.collect()
}

/// Takes out the weaker of two directions, and what follows from two other habits.
fn without_implied(found: Vec<Habit>) -> Vec<Habit> {
    let known: HashMap<HabitId, f64> = found.iter().map(|habit| (habit.id.clone(), habit.confidence)).collect();
    let is_weaker = |habit: &Habit| {
        let back = |cue: fn(String) -> Trigger, id: &String| {
            let back = known.get(&HabitId { trigger: cue(habit.id.process.clone()), process: id.clone() });
            back.is_some_and(|confidence| *confidence > habit.confidence)
        };
        match &habit.id.trigger {
            Trigger::AfterStart(id) => back(Trigger::AfterStart, id),
            Trigger::CascadingFailure(id) => back(Trigger::CascadingFailure, id),
            _ => false,
        }
    };
    let stronger: Vec<Habit> = found.into_iter().filter(|habit| !is_weaker(habit)).collect();
    let is_implied = |habit: &Habit| {
        let from =
            |id: &String| known.contains_key(&HabitId { trigger: habit.id.trigger.clone(), process: id.clone() });
        let leads = |other: &Habit| match &other.id.trigger {
            Trigger::AfterStart(id) => !matches!(habit.id.trigger, Trigger::CascadingFailure(_)) && from(id),
            Trigger::CascadingFailure(id) => matches!(habit.id.trigger, Trigger::CascadingFailure(_)) && from(id),
            _ => false,
        };
        stronger.iter().any(|other| other.id.process == habit.id.process && leads(other))
    };
    stronger.iter().filter(|habit| !is_implied(habit)).cloned().collect()
}

/// Returns how much something counts that was at a time.
fn weight(time: u64, now: u64) -> f64 {
    (-(now.saturating_sub(time) as f64) / HALF_LIFE).exp2()
}

/// Returns the lower bound of Wilson's interval: the share is above it with some certainty.
fn wilson(share: f64, whole: f64) -> f64 {
    if whole <= 0.0 {
        return 0.0;
    }
    let (p, z) = ((share / whole).min(1.0), CONFIDENCE_Z * CONFIDENCE_Z / whole);
    let spread = CONFIDENCE_Z * (p * (1.0 - p) / whole + z / (4.0 * whole)).sqrt();
    (p + z / 2.0 - spread) / (1.0 + z)
}

#[cfg(test)]
mod tests;

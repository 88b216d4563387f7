//! Times at which a process starts, as crontab(5) writes them, by the clock on the wall.

use aiw_core::one_line;
use aiw_home::rfc3339;
use chrono::{DateTime, Local, TimeZone};
use croner::parser::{CronParser, Year};
use croner::{Cron, JobType};

/// A start that is later than this was missed, and is not made up for. In milliseconds.
const MAX_LATENESS_MS: u64 = 60_000;

/// A clock that is set back by up to this much starts nothing at a fixed time of the day again, as with cron. In
/// milliseconds.
const MAX_CLOCK_SETBACK_MS: u64 = 3 * 3_600_000;

/// Reads a pattern.
///
/// # Errors
///
/// It is not a pattern, or it never comes true; the problem is the end of a sentence about the process.
pub(crate) fn parse(text: &str) -> Result<Cron, String> {
    // A seventh field would be a year.
    let parser = CronParser::builder().year(Year::Disallowed).build();
    let cron = parser.parse(text).map_err(|error| {
        let problem = one_line(&error.to_string(), 120);
        format!("has a `cron` of `{}`, which is not a time, such as \"0 7 * * 1-5\": {problem}", one_line(text, 60))
    })?;
    if is_in_each_month_or_on_any_day(text) {
        return Ok(cron);
    }
    match cron.find_next_occurrence(&Local::now(), false) {
        Ok(_) => Ok(cron),
        Err(_) => Err(format!("has a `cron` of `{}`, which never comes", one_line(text, 60))),
    }
}

/// Whether a pattern comes true without a search: only a day of the month that a month doesn't have never comes.
fn is_in_each_month_or_on_any_day(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let [.., day, month, _] = fields[..] else { return false };
    fields.len() >= 5 && (day == "*" || month == "*")
}

/// The result of a look at the clock. Times are in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScheduleCheck {
    /// It is not time yet.
    NotDue,
    /// It is time: this is when it was due.
    Due(u64),
    /// It was due then, and nobody was awake, or the clock was set forward.
    Missed(u64),
}

/// The times of a process.
#[derive(Debug)]
pub(crate) struct Schedule {
    cron: Cron,
    due: Option<u64>,
    seen: u64,
}

impl Schedule {
    /// Returns the times after one, in milliseconds since 1970.
    pub fn from_cron(text: &str, time: u64) -> Result<Self, String> {
        let cron = parse(text)?;
        let due = next(&cron, &Local, time);
        Ok(Self { cron, due, seen: time })
    }

    /// Returns when it is due next, in milliseconds since 1970.
    pub fn next_due(&self) -> Option<u64> {
        self.due
    }

    /// Looks at the clock. Each time is told once.
    pub fn check(&mut self, now: u64) -> ScheduleCheck {
        self.look_in(&Local, now)
    }

    fn look_in<Zone: TimeZone>(&mut self, zone: &Zone, now: u64) -> ScheduleCheck {
        let back = self.seen.saturating_sub(now);
        if back > 0 && (back > MAX_CLOCK_SETBACK_MS || self.cron.determine_job_type() != JobType::FixedTime) {
            self.due = next(&self.cron, zone, now);
        }
        self.seen = now;
        let Some(due) = self.due.filter(|due| *due <= now) else { return ScheduleCheck::NotDue };
        self.due = next(&self.cron, zone, now);
        if now - due > MAX_LATENESS_MS { ScheduleCheck::Missed(due) } else { ScheduleCheck::Due(due) }
    }
}

/// Returns the next time after one, in milliseconds since 1970.
fn next<Zone: TimeZone>(cron: &Cron, zone: &Zone, after: u64) -> Option<u64> {
    let after = zone.timestamp_millis_opt(i64::try_from(after).ok()?).single()?;
    let next: DateTime<Zone> = cron.find_next_occurrence(&after, false).ok()?;
    u64::try_from(next.timestamp_millis()).ok()
}

/// Returns when a process is started next by its `cron`, in RFC 3339 format.
pub(crate) fn next_start(text: &str, now: u64) -> Option<String> {
    next(&parse(text).ok()?, &Local, now).map(rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::Tz;
    use proptest::prelude::*;

    fn at(zone: Tz, text: &str) -> u64 {
        let naive = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        u64::try_from(zone.from_local_datetime(&naive).earliest().unwrap().timestamp_millis()).unwrap()
    }

    fn schedule(zone: Tz, text: &str, from: u64) -> Schedule {
        let cron = parse(text).unwrap();
        let due = next(&cron, &zone, from);
        Schedule { cron, due, seen: from }
    }

    /// Returns what looking each 20 seconds tells.
    fn told(zone: Tz, text: &str, from: u64, to: u64) -> Vec<ScheduleCheck> {
        let mut schedule = schedule(zone, text, from);
        let looks = (from..to).step_by(20_000).map(|now| schedule.look_in(&zone, now));
        looks.filter(|look| *look != ScheduleCheck::NotDue).collect()
    }

    #[test]
    fn both_changes_of_daylight_time_start_a_job_once() {
        let zone = Tz::Europe__Berlin;
        // 02:30 doesn't exist on the first day, and comes twice on the second.
        for day in ["2026-03-29", "2026-10-25"] {
            let (from, to) = (at(zone, &format!("{day} 00:00")), at(zone, &format!("{day} 23:00")));
            assert_eq!(told(zone, "30 2 * * *", from, to).len(), 1, "{day}");
        }
        let (from, to) = (at(zone, "2026-10-25 00:00"), at(zone, "2026-10-25 05:00"));
        assert_eq!(told(zone, "0 * * * *", from, to).len(), 5, "an hourly job runs in both hours");
    }

    #[test]
    fn what_is_set_within_the_hour_that_comes_twice_is_not_lost() {
        let zone = Tz::Europe__Berlin;
        // 02:00 to 02:59 comes twice, from 00:00 to 01:59 in UTC.
        for pattern in ["30 2 * * *", "30 * * * *", "*/10 * * * *", "0 30 2 * * *", "0 3 * * *"] {
            for minutes in (0..150).step_by(5) {
                let from = at(Tz::UTC, "2026-10-25 00:00") + minutes * 60_000;
                let told = told(zone, pattern, from, from + 49 * 3_600_000);
                let times = told.iter().map(|look| match look {
                    ScheduleCheck::Due(due) | ScheduleCheck::Missed(due) => *due,
                    ScheduleCheck::NotDue => 0,
                });
                let times: Vec<u64> = times.collect();
                assert!(
                    times.is_sorted_by(|one, next| one < next) && times.iter().all(|due| *due > from),
                    "{pattern} {minutes}"
                );
                let days = times.iter().filter(|due| **due > at(zone, "2026-10-26 00:00")).count();
                assert!(
                    days >= 1 && told.iter().all(|look| matches!(look, ScheduleCheck::Due(_))),
                    "{pattern} {minutes}: {told:?}"
                );
            }
        }
    }

    #[test]
    fn what_was_slept_through_is_told_and_not_made_up_for() {
        let zone = Tz::UTC;
        let (from, due) = (at(zone, "2026-01-01 00:00"), at(zone, "2026-01-01 07:00"));
        let mut daily = schedule(zone, "0 7 * * *", from);
        assert_eq!(daily.look_in(&zone, due + 3_600_000), ScheduleCheck::Missed(due));
        assert_eq!(daily.look_in(&zone, due + 3_600_001), ScheduleCheck::NotDue);
        assert_eq!(daily.next_due(), Some(at(zone, "2026-01-02 07:00")));
        // A little late is not missed.
        let mut daily = schedule(zone, "0 7 * * *", from);
        assert_eq!(daily.look_in(&zone, due + MAX_LATENESS_MS), ScheduleCheck::Due(due));
    }

    #[test]
    fn a_clock_that_is_set_back_starts_a_daily_job_once_and_keeps_others_going() {
        let zone = Tz::UTC;
        let due = at(zone, "2026-01-01 07:00");
        let mut daily = schedule(zone, "0 7 * * *", due - 1);
        assert_eq!(daily.look_in(&zone, due), ScheduleCheck::Due(due));
        assert_eq!(daily.look_in(&zone, due - 1_800_000), ScheduleCheck::NotDue);
        assert_eq!(daily.look_in(&zone, due), ScheduleCheck::NotDue);
        let mut often = schedule(zone, "* * * * *", due - 1);
        assert_eq!(often.look_in(&zone, due), ScheduleCheck::Due(due));
        assert_eq!(often.look_in(&zone, due - 1_800_000), ScheduleCheck::NotDue);
        assert_eq!(often.look_in(&zone, due - 1_740_000), ScheduleCheck::Due(due - 1_740_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "7", "x * * * *", "0 0 7 * * 1 2030", "61 * * * *", "0 0 31 2 *"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("0 7 * * 1-5").is_ok() && parse("@daily").is_ok());
    }

    proptest! {
        #[test]
        fn any_text_is_a_time_or_refused(text in "[0-9*/, L#W@a-z-]{0,30}") {
            let _ = parse(&text);
        }

        #[test]
        fn each_time_is_told_once_whatever_the_clock_does(steps in proptest::collection::vec(-9_000_000i64..9_000_000, 1..60)) {
            let mut now = i64::try_from(at(Tz::UTC, "2026-03-01 00:00")).unwrap();
            let mut daily = schedule(Tz::UTC, "0 7 * * *", now.unsigned_abs());
            let mut all = Vec::new();
            for step in steps {
                now += step;
                match daily.look_in(&Tz::UTC, now.unsigned_abs()) {
                    ScheduleCheck::NotDue => {}
                    ScheduleCheck::Due(due) | ScheduleCheck::Missed(due) => all.push(due),
                }
            }
            let mut once = all.clone();
            once.dedup();
            prop_assert_eq!(all, once);
        }
    }
}

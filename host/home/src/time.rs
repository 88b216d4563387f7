//! Times as milliseconds since 1970 and as text.

use std::num::NonZeroU8;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use time::format_description::well_known::iso8601::{Config, EncodedConfig, TimePrecision};
use time::format_description::well_known::{Iso8601, Rfc2822, Rfc3339};
use time::{OffsetDateTime, UtcOffset, Weekday};

/// RFC 3339 with three digits below the second, always: such times sort as text.
const RFC3339_MILLIS: EncodedConfig =
    Config::DEFAULT.set_time_precision(TimePrecision::Second { decimal_digits: NonZeroU8::new(3) }).encode();

/// The time as RFC 3339 in UTC, whole seconds. `SOURCE_DATE_EPOCH` fixes it, for
/// reproducible files (<https://reproducible-builds.org/specs/source-date-epoch/>).
pub fn now_rfc3339() -> String {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|v| v.parse().ok());
    let now = fixed
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or_else(OffsetDateTime::now_utc);
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    whole.format(&Rfc3339).unwrap_or_default()
}

/// Milliseconds since 1970.
pub fn now_millis() -> u64 {
    aiw_core::unix_millis(SystemTime::now())
}

/// A time by two clocks, for what is good for a while: people and time servers set the wall clock back, and what was over
/// would be good again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp {
    /// Milliseconds since the system was started, those in which it slept included.
    pub uptime: i64,
    /// Milliseconds since 1970.
    pub wall: u64,
}

impl Timestamp {
    /// Returns the time now.
    pub fn now() -> Self {
        Self { uptime: uptime(), wall: now_millis() }
    }

    /// Returns how old it is at another time: the longer age by the two clocks. A time of another boot is as old as can be.
    pub fn age_at(self, now: Self) -> Duration {
        match u64::try_from(now.uptime.saturating_sub(self.uptime)) {
            Ok(age) => Duration::from_millis(age.max(now.wall.saturating_sub(self.wall))),
            Err(_) => Duration::MAX,
        }
    }

    /// Returns how old it is now.
    pub fn age(self) -> Duration {
        self.age_at(Self::now())
    }
}

#[cfg(unix)]
fn uptime() -> i64 {
    // Linux's monotonic clock stands still while the system sleeps; that of macOS goes on.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let clock = rustix::time::ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    let clock = rustix::time::ClockId::Monotonic;
    let time = Duration::try_from(rustix::time::clock_gettime(clock)).unwrap_or_default();
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(not(unix))]
fn uptime() -> i64 {
    0
}

/// A time in milliseconds since 1970 as RFC 3339 in UTC, with milliseconds, so that texts sort as the times do.
pub fn rfc3339(millis: u64) -> String {
    let nanos = i128::from(millis) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(&Iso8601::<RFC3339_MILLIS>).unwrap_or_default()
}

/// Returns the hour of a time where this machine is, and whether it is on a weekend there.
pub fn local_hour(millis: u64) -> (u8, bool) {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000);
    let time = time.unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let here = UtcOffset::local_offset_at(time).ok().and_then(|offset| time.checked_to_offset(offset)).unwrap_or(time);
    (here.hour(), matches!(here.weekday(), Weekday::Saturday | Weekday::Sunday))
}

/// Formats a time that may be before 1970; `None` if it is.
pub fn format_rfc3339(millis: i64) -> Option<String> {
    u64::try_from(millis).ok().map(rfc3339)
}

/// Milliseconds since 1970 of a time in RFC 3339, or of a date (`2026-03-01`), which is the start of its day in UTC.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    let text = text.trim();
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let time = OffsetDateTime::parse(&whole, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

/// Milliseconds since 1970 of a date of HTTP (RFC 9110, section 5.6.7): `Tue, 24 Nov 2026 20:00:00 GMT`.
pub fn parse_http_date(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text.trim(), &Rfc2822).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_grows_whatever_is_done_to_the_wall_clock() {
        const HOUR: u64 = 60 * 60 * 1000;
        let made = Timestamp { wall: 100 * HOUR, uptime: 5_000 };
        let after = |wall, uptime| made.age_at(Timestamp { wall, uptime }).as_millis();
        assert_eq!(after(101 * HOUR, 5_000 + 3_600_000), u128::from(HOUR));
        // The clock was set back by a day, and by an hour; then forward.
        assert_eq!(after(76 * HOUR, 5_000 + 3_600_000), u128::from(HOUR));
        assert_eq!(after(100 * HOUR, 5_000 + 3_600_000), u128::from(HOUR));
        assert_eq!(after(200 * HOUR, 5_001), u128::from(100 * HOUR));
        // The system was started again.
        assert_eq!(made.age_at(Timestamp { wall: 100 * HOUR, uptime: 4_999 }), Duration::MAX);
        let now = Timestamp::now();
        assert!(now.age() < Duration::from_secs(3600) && Timestamp::now() >= now, "{now:?}");
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        assert_eq!(parse_rfc3339(&rfc3339(1_790_000_000_123)), Some(1_790_000_000_123));
        assert_eq!(parse_rfc3339("2026-03-01"), Some(1_772_323_200_000));
        assert_eq!(parse_rfc3339("2026-03-01T01:00:00+01:00"), Some(1_772_323_200_000));
        assert_eq!(rfc3339(1_790_000_000_000), "2026-09-21T14:13:20.000Z");
        assert!(rfc3339(1_790_000_000_000) < rfc3339(1_790_000_000_100));
        assert_eq!(parse_http_date("Sun, 01 Mar 2026 00:00:00 GMT"), Some(1_772_323_200_000));
        assert_eq!([parse_http_date("Sunday"), parse_http_date("60")], [None; 2]);
        assert_eq!([parse_rfc3339("March"), parse_rfc3339("2026-13-01"), parse_rfc3339("")], [None; 3]);
    }
}

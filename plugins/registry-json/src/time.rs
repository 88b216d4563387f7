//! Times of registries: RFC 3339, to and from milliseconds since 1970.

const DAY_MS: u64 = 86_400_000;

/// Reads a time such as `2025-10-09T17:05:17.793149Z`. `None` if it is none from 1970 on.
pub fn from_rfc3339(text: &str) -> Option<u64> {
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = text.get(from..to)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let at = |index: usize, wanted: &[u8]| text.as_bytes().get(index).is_some_and(|b| wanted.contains(b));
    let shaped = at(4, b"-") && at(7, b"-") && at(10, b"Tt ") && at(13, b":") && at(16, b":");
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let valid = shaped && (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    if !valid || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let rest = text.get(19..)?;
    let fraction =
        rest.strip_prefix('.').map_or("", |rest| rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
    let zone = &rest[if fraction.is_empty() { 0 } else { fraction.len() + 1 }..];
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let days = days_before(year, month) + day - 1;
    let time = days * DAY_MS + (hour * 3600 + minute * 60 + second) * 1000 + millis;
    match zone {
        "Z" | "z" => Some(time),
        _ => {
            let (hours, minutes) = zone.get(1..)?.split_once(':')?;
            let two = |digits: &str| -> Option<u64> {
                (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
            };
            let shift = (two(hours)?.min(23) * 60 + two(minutes)?.min(59)) * 60_000;
            match zone.as_bytes().first() {
                Some(b'+') => time.checked_sub(shift),
                Some(b'-') => Some(time + shift),
                _ => None,
            }
        }
    }
}

/// Writes a time, at most that of the year 9999.
pub fn to_rfc3339(millis: u64) -> String {
    let millis = millis.min(days_before(10_000, 1) * DAY_MS - 1);
    let (days, rest) = (millis / DAY_MS, millis % DAY_MS);
    // An average year is a little shorter than 366 days, so this is the year or one before it.
    let mut year = 1970 + days / 366;
    while days_before(year + 1, 1) <= days {
        year += 1;
    }
    let month = (2..=12).take_while(|month| days_before(year, *month) <= days).last().unwrap_or(1);
    let day = days - days_before(year, month) + 1;
    let (hour, minute, second) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", rest % 1000)
}

/// Returns the days from 1970 to the beginning of a month.
fn days_before(year: u64, month: u64) -> u64 {
    const DAYS_BEFORE_MONTH: [u64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let leap_years = |year: u64| year / 4 - year / 100 + year / 400;
    let leap = leap_years(year) - leap_years(year - 1);
    let leap_day = if month > 2 { leap } else { 0 };
    let month = usize::try_from(month - 1).unwrap_or_default() % 12;
    (year - 1970) * 365 + leap_years(year - 1) - leap_years(1969) + DAYS_BEFORE_MONTH[month] + leap_day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form() {
        assert_eq!(from_rfc3339("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(from_rfc3339("2025-10-09T17:05:17.793149Z"), Some(1_760_029_517_793));
        assert_eq!(from_rfc3339("2025-10-09t17:05:17.5z"), Some(1_760_029_517_500));
        assert_eq!(from_rfc3339("2025-10-09T19:05:17+02:00"), Some(1_760_029_517_000));
        assert_eq!(from_rfc3339("2025-10-09T14:35:17-02:30"), Some(1_760_029_517_000));
        for bad in [
            "",
            "2025",
            "2025-10-09",
            "2025-13-09T00:00:00Z",
            "2025-10-09T17:05:17",
            "2025-10-09T17:05:17+2:00",
            "2025-10-09T17:05:17ZZ",
            "1969-12-31T23:59:59Z",
            "2025-10-09T17:05:61Z",
            "+025-10-09T17:05:17Z",
            "20251009T170517Z",
            "2025-10-09T17:05:é7Z",
            "1970-01-01T00:00:00+01:00",
        ] {
            assert_eq!(from_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (1_760_029_517_793, "2025-10-09T17:05:17.793Z"),
            (u64::MAX, "9999-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(to_rfc3339(millis), text);
        }
        for day in 0..200_000 {
            let millis = day * DAY_MS + day * 431;
            assert_eq!(from_rfc3339(&to_rfc3339(millis)), Some(millis));
        }
    }
}

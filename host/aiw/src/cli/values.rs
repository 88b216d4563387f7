//! Values of options, as they are typed.

use std::time::Duration;

/// `90s`, `10m`, `1h 30m`; a plain number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<u64>() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    duration
        .filter(|duration| !duration.is_zero() && *duration <= Duration::from_secs(366 * 24 * 3600))
        .ok_or_else(|| "expected a time such as `90s`, `10m` or `2h`, at most a year".into())
}

/// Milliseconds since 1970 of a time, a date, a day, or of a while ago. Days are those of UTC, as all times that are shown.
pub fn parse_since(text: &str) -> Result<u64, String> {
    let days_ago = match text {
        "today" => Some(0),
        "yesterday" => Some(1),
        _ => None,
    };
    if let Some(days) = days_ago {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        return Ok((aiw_home::now_millis() / DAY_MS).saturating_sub(days) * DAY_MS);
    }
    let now = std::time::SystemTime::now();
    let time = match humantime::parse_duration(text) {
        // A number alone doesn't mean a time ago: `2026` may be meant for a year.
        Ok(ago) if !text.bytes().all(|byte| byte.is_ascii_digit()) => now.checked_sub(ago),
        _ => humantime::parse_rfc3339_weak(text).ok(),
    };
    let since = time.and_then(|time| time.duration_since(std::time::SystemTime::UNIX_EPOCH).ok());
    since
        .and_then(|since| u64::try_from(since.as_millis()).ok())
        .or_else(|| aiw_home::parse_rfc3339(text).and_then(|millis| u64::try_from(millis).ok()))
        .ok_or_else(|| {
            "expected a time ago (`10m`, `2w`), `today`, `yesterday` or a date (`2026-01-31`, `2026-01-31T12:00:00Z`)"
                .into()
        })
}

/// `K=V`.
pub fn parse_pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected `K=V`"),
    }
}

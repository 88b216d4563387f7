//! Times as numbers.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the milliseconds from 1970 to a time; 0 if it is earlier.
pub fn unix_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the seconds from 1970 to now.
pub fn now_seconds() -> u64 {
    unix_millis(SystemTime::now()) / 1000
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_before_1970_counts_as_1970() {
        let times = [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH, UNIX_EPOCH + Duration::from_micros(1_234_567)];
        assert_eq!(times.map(unix_millis), [0, 0, 1234]);
        // The start of 2026: whoever takes milliseconds for seconds is far beyond the year 3000.
        assert!((1_767_225_600..32_503_680_000).contains(&now_seconds()));
    }
}

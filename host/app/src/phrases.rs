//! Times, durations and directories, as people read them, and what was started.

use std::path::Path;
use std::time::Duration;

use aiw_core::one_line;
use aiw_processes::{RunState, StartedProcess};

/// A directory, with `~` for your home.
pub fn abbreviate_home(directory: impl AsRef<Path>) -> String {
    let home = std::env::home_dir().filter(|home| home.parent().is_some());
    let below = home.and_then(|home| directory.as_ref().strip_prefix(home).ok());
    let below = below.map(|below| Path::new("~").join(below).components().as_path().to_owned());
    one_line(&below.as_deref().unwrap_or(directory.as_ref()).to_string_lossy(), 200)
}

/// A duration in its two largest units: 5.2s, 3m20s, 2h03m, 1d04h.
pub fn format_duration(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1}s", duration.as_secs_f64()),
        s @ 60..3600 => format!("{}m{:02}s", s / 60, s % 60),
        s @ 3600..86400 => format!("{}h{:02}m", s / 3600, s / 60 % 60),
        s => format!("{}d{:02}h", s / 86400, s / 3600 % 24),
    }
}

/// A time that long ago, in its largest unit: 5s ago, 3m ago.
pub fn format_ago(duration: Duration) -> String {
    match duration.as_secs() {
        s @ 0..60 => format!("{s}s ago"),
        s @ 60..3600 => format!("{}m ago", s / 60),
        s @ 3600..86400 => format!("{}h ago", s / 3600),
        s => format!("{}d ago", s / 86400),
    }
}

/// The time since a time in RFC 3339 format.
pub fn elapsed_since_rfc3339(time: &str) -> Option<Duration> {
    Some(elapsed_since(u64::try_from(aiw_home::parse_rfc3339(time)?).ok()?))
}

/// A time to come, in RFC 3339 format, as people say it: in 5.2s, in 2h03m.
pub fn format_time_until(time: &str) -> Option<String> {
    let time = u64::try_from(aiw_home::parse_rfc3339(time)?).ok()?;
    Some(format!("in {}", format_duration(Duration::from_millis(time.saturating_sub(aiw_home::now_millis())))))
}

/// The time since a time in milliseconds since 1970.
pub fn elapsed_since(millis: u64) -> Duration {
    Duration::from_millis(aiw_home::now_millis().saturating_sub(millis))
}

/// Says whether a process was started, and how it stands.
pub fn format_started(StartedProcess { status, is_new, is_outdated }: &StartedProcess) -> String {
    let word = match (is_new, status.state) {
        (false, state) if status.next_run_at.is_some() && !state.is_alive() => "Scheduled",
        (false, _) if *is_outdated => "Runs already, as it was defined before (`aiw restart` starts it anew):",
        (false, _) => "Runs already",
        (true, RunState::Failed) => "Failed",
        (true, _) => "Started",
    };
    let pid = status.pid().map(|pid| format!(" (process {pid})")).unwrap_or_default();
    let next = status.next_run_at.as_deref().and_then(format_time_until).map(|soon| format!(": {soon}"));
    let why = next.or(status.reason().map(|why| format!(": {}", one_line(&why, 200)))).unwrap_or_default();
    format!("{word} `{}`{pid}{why}", status.id)
}

/// Tokens for people: 950, 12.3k, 4.56M.
#[expect(clippy::cast_precision_loss, reason = "it is rounded anyway")]
pub fn format_tokens(count: u64) -> String {
    match count {
        0..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{:.1}k", count as f64 / 1e3),
        _ => format!("{:.2}M", count as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_two_units() {
        let shown = [5_200, 200_000, 7_380_000, 100_800_000].map(|ms| format_duration(Duration::from_millis(ms)));
        assert_eq!(shown, ["5.2s", "3m20s", "2h03m", "1d04h"]);
    }

    #[test]
    fn a_time_ago_has_one_unit() {
        let shown = [0, 100_000, 7_300_000, 172_800_000].map(|ms| format_ago(Duration::from_millis(ms)));
        assert_eq!(shown, ["0s ago", "1m ago", "2h ago", "2d ago"]);
        assert_eq!(elapsed_since_rfc3339("never"), None);
    }
}

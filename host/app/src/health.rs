//! Checks of API providers from time to time, as a duty of the daemon, where the settings ask for it.

use std::convert::Infallible;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::{ChildGroup, Home, now_millis, parse_rfc3339, try_lock};
use aiw_processes::{HomeDaemon, ProcessError};
use aiw_providers::{HealthChange, HealthRecords, health_dir, health_key, load_health_records, save_health_records};

use crate::{AppError, ClientSession, stable_executable};

/// The command of aiw that makes one round of checks.
const CHECK_COMMAND: &str = "__check-providers";

/// How often it is looked whether a round is due, and what the settings say.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// How long a round that failed waits for the next one, at the most.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(60);

/// How long a round may take.
const ROUND_TIMEOUT: Duration = Duration::from_secs(600);

/// How long a daemon that was just started may take to be awake.
const DAEMON_START_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether providers are to be checked from time to time.
pub(crate) fn is_needed(home: &Home) -> bool {
    every(home).is_some()
}

/// Returns the time from one round to the next, if the settings ask for checks and there are providers.
fn every(home: &Home) -> Option<Duration> {
    let seconds = home.settings().and_then(|settings| settings.health()).ok()?.every?;
    let has_some = home.providers().is_ok_and(|file| !file.providers().is_empty());
    has_some.then(|| Duration::from_secs(seconds.into()))
}

/// Starts the daemon if providers are to be checked from time to time. Returns whether it was started.
pub(crate) fn start_daemon(home: &Home) -> Result<bool, AppError> {
    if !is_needed(home) || HomeDaemon::is_running(home) {
        return Ok(false);
    }
    HomeDaemon::ensure_running(home, &stable_executable()?).map_err(ProcessError::from)?;
    Ok(true)
}

/// Starts the daemon if providers are to be checked from time to time, and waits until it is awake.
///
/// # Errors
///
/// It can't be started.
pub fn ensure_daemon_running(home: &Home) -> Result<(), AppError> {
    if !start_daemon(home)? {
        return Ok(());
    }
    let begun = Instant::now();
    while !HomeDaemon::is_running(home) && begun.elapsed() < DAEMON_START_TIMEOUT {
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Has providers checked, as long as this process lives. Each round is a process of its own, which reads their keys: this one
/// never has any.
pub(crate) fn run_health_checks(home: &Home, aiw: &Path, say: fn(&str)) -> Result<Infallible, AppError> {
    let (mut complaint, mut failed) = (String::new(), None::<Instant>);
    loop {
        if let Some(every) = every(home)
            && failed.is_none_or(|failed| failed.elapsed() >= MAX_RETRY_DELAY)
            && load_health_records(home).map_or(true, |book| is_due(&book, every, now_millis()))
        {
            let said = round(home, aiw).err().unwrap_or_default();
            if said != complaint && !said.is_empty() {
                say(&format!("providers can't be checked: {said}"));
            }
            // What can't be done is not tried all the time.
            failed = (!said.is_empty()).then(Instant::now);
            complaint = said;
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Whether the last round is so long ago that the next one is due. Times are in milliseconds since 1970; the clock may have been
/// set back.
fn is_due(book: &HealthRecords, every: Duration, now: u64) -> bool {
    let last = book.values().filter_map(|health| u64::try_from(parse_rfc3339(&health.checked)?).ok()).max();
    last.and_then(|last| now.checked_sub(last)).is_none_or(|since| u128::from(since) >= every.as_millis())
}

/// Makes a round in a process of its own, and waits until it has ended.
fn round(home: &Home, aiw: &Path) -> Result<(), String> {
    let mut command = Command::new(aiw);
    command.arg(CHECK_COMMAND).env("AIW_HOME", home.root()).current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    let ended = ChildGroup::start(&mut command).and_then(|mut round| round.wait_for(ROUND_TIMEOUT));
    match ended.map_err(|error| error.to_string())? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("a round ended with {status}")),
        None => Err(format!("a round took more than {} s", ROUND_TIMEOUT.as_secs())),
    }
}

/// Checks all providers once, unless another process does, and adds an event for each that fails now or answers again.
///
/// # Errors
///
/// The providers can't be read, or the home can't be written.
pub async fn check_providers(client: &ClientSession) -> Result<(), AppError> {
    let (home, providers) = (client.home(), client.providers()?);
    home.make_dir(&health_dir(home))?;
    let lock = health_dir(home).join("round.lock");
    let held = try_lock(&lock).map_err(|source| aiw_home::HomeError::io("lock", &lock, source))?;
    let Some(_alone) = held else { return Ok(()) };
    let before = load_health_records(home)?;
    let (mut after, mut changes) = (HealthRecords::new(), Vec::new());
    for (provider, health) in providers.check_each().await? {
        let key = health_key(&provider);
        let known = before.get(key);
        changes.extend(health.change_since(known).map(|change| (provider.name.to_string(), change)));
        after.insert(key.to_owned(), health.with_previous(known));
    }
    // It is kept before it is told, so that whoever is killed in between tells nothing twice.
    save_health_records(home, after)?;
    let events = EventLog::new(home.root());
    for (name, change) in changes {
        let (kind, why) = match change {
            HealthChange::Failed(why) => (EventKind::Unhealthy, Some(why)),
            HealthChange::Recovered => (EventKind::Recovered, None),
        };
        // A full disk stops no check.
        let name = Some(name);
        let _ = events.add(&HomeEvent { name, reason: why, ..HomeEvent::now(kind, EventSubject::Provider) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use aiw_home::rfc3339;
    use aiw_providers::ProviderHealth;

    use super::*;

    #[test]
    fn a_round_is_due_when_the_last_one_is_long_ago_or_there_was_none() {
        let (every, now) = (Duration::from_secs(60), 1_800_000_000_000);
        let book = |ago: i64| -> HealthRecords {
            let checked = rfc3339(u64::try_from(1_800_000_000_000 - ago).unwrap());
            [("a".to_owned(), ProviderHealth { checked, healthy: Some(true), problem: None, last: None })].into()
        };
        assert!(is_due(&HealthRecords::new(), every, now));
        assert!(is_due(&book(60_000), every, now) && !is_due(&book(58_000), every, now));
        // The clock was set back.
        assert!(is_due(&book(-10_000), every, now));
    }
}

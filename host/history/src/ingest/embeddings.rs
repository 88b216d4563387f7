//! Giving messages their vectors: one process at a time, with half a core at most, for as long as a model is in use.

use std::fmt;
use std::fs::{self, File};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_home::{Home, HomeError, now_millis, open_owned, read_capped, try_lock_for};
use aiw_vectors::{Embedder, EmbeddingModels};
use schemars::JsonSchema;
use serde::Serialize;

use super::indexer::is_locked;
use super::log::log;
use crate::{HistoryError, Store};

/// How many messages get their vectors in one transaction.
const BATCH_SIZE: usize = 64;

/// How long the turn is waited for: somebody may only have looked whether it is taken.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// How often a pause looks whether the model is still in use: whoever switches it off sees the end within a second.
const CANCEL_POLL_INTERVAL: Duration = Duration::from_millis(200);

/// The longest pause.
const MAX_PAUSE_DURATION: Duration = Duration::from_secs(10);

/// Where Linux tells of batteries.
const POWER_SUPPLY_DIR: &str = "/sys/class/power_supply";

/// How far the messages have vectors of the model in use.
#[warn(missing_docs)]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct VectorCoverage {
    /// How many messages have a vector
    pub done: u64,
    /// How many messages there are
    pub total: u64,
    /// Whether a process makes vectors now
    pub running: bool,
    /// How long that may still take, in seconds, once enough is done to tell
    pub eta_seconds: Option<u64>,
}

impl fmt::Display for VectorCoverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { done, total, running, eta_seconds: seconds_left } = self;
        if done == total {
            return write!(f, "all {total} messages");
        }
        write!(f, "{done} of {total} messages ({} %)", done * 100 / total.max(&1))?;
        match (running, seconds_left) {
            (false, _) => write!(f, ", waiting for the indexer"),
            (true, None) => Ok(()),
            (true, Some(left @ 0..120)) => write!(f, ", about {left} s left"),
            (true, Some(left)) => write!(f, ", about {} min left", left.div_ceil(60)),
        }
    }
}

/// Returns how far the messages have vectors of the model in use. `None` without a model, or if it is switched off.
pub fn embedding_coverage(home: &Home, store: &Store) -> Result<Option<VectorCoverage>, HistoryError> {
    let Some(identity) = EmbeddingModels::new(home.clone()).active_model_files()?.and_then(|files| files.identity())
    else {
        return Ok(None);
    };
    let (done, waiting) = store.count_vectors(&identity)?;
    let is_taken = is_at_work(home);
    let line = read_capped(&lock_path(home), 4 << 10).ok().flatten().filter(|_| is_taken);
    let begun = line.and_then(|line| VectorsStart::read(std::str::from_utf8(&line).ok()?));
    let left = begun.and_then(|begun| {
        let (made, took) = (done.checked_sub(begun.done)?, now_millis().checked_sub(begun.time)?);
        (waiting * took).checked_div(made * 1000)
    });
    Ok(Some(VectorCoverage { done, total: done + waiting, running: is_taken && waiting > 0, eta_seconds: left }))
}

/// Whether a process makes vectors now.
fn is_at_work(home: &Home) -> bool {
    is_locked(&lock_path(home))
}

/// Returns whether messages lack vectors of the model in use, and no indexer makes them: the last one may have been
/// ended.
pub(super) fn needs_embeddings(home: &Home, store: &Store) -> bool {
    let identity =
        EmbeddingModels::new(home.clone()).active_model_files().ok().flatten().and_then(|files| files.identity());
    identity.is_some_and(|identity| store.has_all_vectors(&identity).is_ok_and(|all| !all)) && !is_at_work(home)
}

/// Gives messages the vectors that they lack, until all have one or the model is no longer in use. If another process
/// does so already, there is nothing to do. A problem is only logged: words find what they can.
pub fn embed_messages(home: &Home, store: &Store) {
    if let Err(e) = give(home, store) {
        log(home, &format!("vectors: {e}"));
    }
}

fn give(home: &Home, store: &Store) -> Result<(), HistoryError> {
    let models = EmbeddingModels::new(home.clone());
    loop {
        let Some(files) = models.active_model_files()? else { return Ok(()) };
        // Most often nothing is to be done: no model is loaded for that.
        if files.identity().is_some_and(|identity| store.has_all_vectors(&identity).unwrap_or(false)) {
            return Ok(());
        }
        let path = lock_path(home);
        let unwritten = |e| HomeError::io("lock", &path, e);
        let lock = open_owned(&path).and_then(|file| try_lock_for(file, LOCK_TIMEOUT)).map_err(unwritten)?;
        let Some(mut lock) = lock else { return Ok(()) };
        let is_wanted = || models.active_model_files().is_ok_and(|now| now.as_ref() == Some(&files));
        let mut pace = Pace {
            should_continue: &is_wanted,
            since: Instant::now(),
            power: Path::new(POWER_SUPPLY_DIR),
            is_over: false,
        };
        let embedder = Embedder::load(&files)?;
        let (done, _) = store.count_vectors(embedder.identity())?;
        VectorsStart { time: now_millis(), done }.write(&mut lock).map_err(unwritten)?;
        while store.embed_while(&embedder, BATCH_SIZE, &mut || pace.rest())? > 0 {}
        drop(lock);
        // What came since found the turn taken.
        if pace.is_over || store.count_without_vectors(&embedder)? == 0 {
            return Ok(());
        }
    }
}

fn lock_path(home: &Home) -> PathBuf {
    home.history().join("meaning.lock")
}

/// When a process began to make vectors, and how many there were: from this, others see how fast it is.
struct VectorsStart {
    /// In milliseconds since 1970.
    time: u64,
    done: u64,
}

impl VectorsStart {
    fn write(&self, lock: &mut File) -> std::io::Result<()> {
        lock.set_len(0)?;
        lock.rewind()?;
        writeln!(lock, "{} {} {}", self.time, self.done, std::process::id())
    }

    fn read(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        Some(Self { time: words.next()?.parse().ok()?, done: words.next()?.parse().ok()? })
    }
}

/// Works half of the time at most, and a quarter on battery.
struct Pace<'a> {
    should_continue: &'a dyn Fn() -> bool,
    /// The end of the last pause.
    since: Instant,
    power: &'a Path,
    is_over: bool,
}

impl Pace<'_> {
    /// Pauses for as long as the work took since the last pause. Returns whether there is still something to do.
    fn rest(&mut self) -> bool {
        let parts = if is_on_battery(self.power) { 3 } else { 1 };
        let end = Instant::now() + (self.since.elapsed() * parts).min(MAX_PAUSE_DURATION);
        loop {
            if !(self.should_continue)() {
                self.is_over = true;
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            std::thread::sleep(left.min(CANCEL_POLL_INTERVAL));
        }
        self.since = Instant::now();
        true
    }
}

/// Whether a battery runs down. Other systems than Linux don't say so here.
fn is_on_battery(power: &Path) -> bool {
    let supplies = fs::read_dir(power).into_iter().flatten().flatten();
    let says = |path: &Path, name: &str, value: &str| {
        fs::read_to_string(path.join(name)).is_ok_and(|text| text.trim() == value)
    };
    let mut paths = supplies.map(|entry| entry.path());
    // Mice and keyboards have batteries too.
    paths.any(|path| {
        says(&path, "type", "Battery") && says(&path, "status", "Discharging") && !says(&path, "scope", "Device")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn battery(power: &Path, name: &str, status: &str) {
        let directory = power.join(name);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("type"), "Battery\n").unwrap();
        fs::write(directory.join("status"), format!("{status}\n")).unwrap();
    }

    #[test]
    fn a_pause_is_as_long_as_the_work_and_three_times_that_on_battery() {
        let power = tempfile::tempdir().unwrap();
        let pause = || {
            let since = Instant::now();
            std::thread::sleep(Duration::from_millis(100));
            let mut pace = Pace { should_continue: &|| true, since, power: power.path(), is_over: false };
            let begun = Instant::now();
            assert!(pace.rest());
            begun.elapsed().as_millis()
        };
        battery(power.path(), "BAT0", "Charging");
        battery(power.path(), "mouse", "Discharging");
        fs::write(power.path().join("mouse/scope"), "Device\n").unwrap();
        let usual = pause();
        assert!((100..250).contains(&usual), "{usual} ms");
        battery(power.path(), "BAT0", "Discharging");
        let saving = pause();
        assert!((300..600).contains(&saving), "{saving} ms");
    }

    #[test]
    fn progress_says_how_long_it_may_take_only_while_somebody_is_at_it() {
        let said = |done, running, seconds_left| {
            VectorCoverage { done, total: 56_000, running, eta_seconds: seconds_left }.to_string()
        };
        assert_eq!(said(56_000, false, None), "all 56000 messages");
        assert_eq!(said(14_000, true, Some(1230)), "14000 of 56000 messages (25 %), about 21 min left");
        assert_eq!(said(55_000, true, Some(44)), "55000 of 56000 messages (98 %), about 44 s left");
        assert_eq!(said(0, true, None), "0 of 56000 messages (0 %)");
        assert_eq!(said(100, false, Some(3)), "100 of 56000 messages (0 %), waiting for the indexer");
    }
}

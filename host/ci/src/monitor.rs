//! Monitoring: the resident asks for the runs of a branch, and writes what begins and ends as events of its project. Commands
//! write into the home what is monitored; the resident reads it, and forgets what is over.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::{
    Home, HomeError, Mode, Surroundings, make_private_dir, millis_of, now_millis, read_capped, remove_file, replace,
    rfc3339,
};
use aiw_net::HttpClient;
use aiw_supervisor::{Resident, boot, digest, is_usual_variable};
use futures::future::join_all;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::error::CiError;
use crate::place::{CiPlace, CiRepository, KnownHosts};
use crate::shapes::{CiRun, RunPage};
use crate::source::TokenSource;
use crate::token::CiToken;

/// How long it goes on after the last run, and with one that does not change, in milliseconds.
const GOES_ON: u64 = 30 * 60 * 1000;
const GIVES_UP: u64 = 24 * 3600 * 1000;

/// The shortest interval, and that without a token, in seconds: a host answers 60 requests an hour without one.
const SHORTEST: u64 = 10;
const WITHOUT_TOKEN: u64 = 90;

/// The longest pause when nothing happens, or nobody answers.
const LONGEST: Duration = Duration::from_secs(300);

/// How long a connection keeps its token.
const RENEWS: Duration = Duration::from_secs(600);

/// How often it looks what is monitored.
const LOOKS: Duration = Duration::from_secs(1);

/// The runs that it asks for at once, and those that it remembers.
const RUNS: &str = "30";
const REMEMBERED: usize = 100;

/// The longest record, in bytes.
const RECORD: u64 = 256 << 10;

/// A branch that is to be monitored.
#[derive(Debug, Clone)]
pub struct MonitorRequest {
    /// The directory of the project whose events they become.
    pub project: PathBuf,
    /// The repository; without one, that which is checked out.
    pub repository: Option<String>,
    /// How often the host is asked, in seconds.
    pub interval: u64,
}

/// A branch whose runs the resident asks for
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct MonitoredBranch {
    /// The directory of its project
    pub project: PathBuf,
    /// Its repository: `OWNER/REPO`, behind its host if that is not github.com
    pub repository: String,
    /// The branch; null for all branches
    pub branch: Option<String>,
    /// How often the host is asked at the most, in seconds
    pub interval: u64,
    /// Since when
    pub since: String,
    /// Why the host can't be asked
    pub problem: Option<String>,
    /// Notes for you
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The branches that are monitored no more
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StoppedMonitoring {
    /// The branches
    pub stopped: Vec<MonitoredBranch>,
}

/// A run that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct KnownRun {
    attempt: u64,
    is_over: bool,
}

/// A monitored branch, as the home keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    project: PathBuf,
    /// The boot of the system in which it was said: nothing starts by itself after a reboot.
    boot: Option<String>,
    repository: CiRepository,
    branch: Option<String>,
    interval: u64,
    /// When it began, and when a run has changed last, in milliseconds since 1970.
    started: u64,
    active: u64,
    /// Whether the host was asked before: what had ended by then is not news.
    #[serde(default)]
    has_looked: bool,
    #[serde(default)]
    runs: BTreeMap<u64, KnownRun>,
    #[serde(default)]
    problem: Option<String>,
}

fn directory(home: &Home) -> PathBuf {
    home.root().join("ci")
}

impl Record {
    pub fn new(project: &Path, repository: CiRepository, branch: Option<String>, interval: u64) -> Self {
        let now = now_millis();
        Self {
            project: project.to_owned(),
            boot: boot().map(str::to_owned),
            repository,
            branch,
            interval,
            started: now,
            active: now,
            has_looked: false,
            runs: BTreeMap::new(),
            problem: None,
        }
    }

    pub fn path(&self, home: &Home) -> PathBuf {
        let (repository, branch) = (self.repository.to_string(), self.branch.as_deref().unwrap_or_default());
        let name = [self.project.as_os_str().as_encoded_bytes(), repository.as_bytes(), branch.as_bytes()];
        directory(home).join(format!("{:016x}.json", digest(&name.join(&0))))
    }

    fn read(path: &Path) -> Option<Self> {
        let found: Self = serde_json::from_slice(&read_capped(path, RECORD).ok()??).ok()?;
        (found.boot.as_deref() == boot()).then_some(found)
    }

    fn all(home: &Home) -> Vec<Self> {
        let entries = std::fs::read_dir(directory(home)).into_iter().flatten().flatten();
        let mut all: Vec<Self> = entries.filter_map(|entry| Self::read(&entry.path())).collect();
        all.sort_by(|one, other| (&one.project, &one.branch).cmp(&(&other.project, &other.branch)));
        all
    }

    /// Writes it. Whoever does has the home's turn.
    pub fn write(&self, home: &Home) -> Result<(), HomeError> {
        make_private_dir(&directory(home))?;
        replace(&self.path(home), &serde_json::to_vec(self).unwrap_or_default(), Mode::Private)
    }

    fn remove(&self, home: &Home) -> Result<(), HomeError> {
        let path = self.path(home);
        match remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(HomeError::io("remove", &path, e)),
            _ => Ok(()),
        }
    }

    /// Whether its last run is long over, or one waits for what does not come.
    pub fn is_spent(&self, now: u64) -> bool {
        let most = if self.runs.values().all(|run| run.is_over) { GOES_ON } else { GIVES_UP };
        now.saturating_sub(self.active.max(self.started)) > most
    }

    fn summary(self) -> MonitoredBranch {
        MonitoredBranch {
            project: self.project,
            repository: self.repository.to_string(),
            branch: self.branch.map(|branch| aiw_core::one_line(&branch, 120)),
            interval: self.interval,
            since: rfc3339(self.started),
            problem: self.problem,
            notes: Vec::new(),
        }
    }

    /// Takes in what the host says now, and returns what is new.
    pub fn take(&mut self, mut runs: Vec<CiRun>) -> Vec<HomeEvent> {
        runs.sort_by_key(|run| run.id);
        let newest = self.runs.last_key_value().map_or(0, |(id, _)| *id);
        let mut events = Vec::new();
        for run in runs {
            let is_over = run.is_over();
            let known = self.runs.insert(run.id, KnownRun { attempt: run.attempt, is_over });
            let is_news = match known {
                None if is_over => self.has_looked && run.id > newest,
                None => true,
                Some(known) => run.attempt > known.attempt || (is_over && !known.is_over),
            };
            events.extend(is_news.then(|| self.event(&run)));
        }
        while self.runs.len() > REMEMBERED {
            self.runs.pop_first();
        }
        self.has_looked = true;
        events
    }

    fn event(&self, run: &CiRun) -> HomeEvent {
        let kind = match (run.is_over(), run.has_failed()) {
            (false, _) => EventKind::Started,
            (true, true) => EventKind::Failed,
            (true, false) => EventKind::Finished,
        };
        HomeEvent {
            name: Some(run.label()),
            project: Some(self.project.clone()),
            id: Some(run.id.to_string()),
            why: why(&run.conclusion).map(str::to_owned),
            ..HomeEvent::now(kind, EventSubject::Ci)
        }
    }
}

/// Returns how a run ended, in words of ours.
fn why(conclusion: &str) -> Option<&'static str> {
    let known = [
        ("timed_out", "it took too long"),
        ("startup_failure", "it could not start"),
        ("action_required", "somebody has to approve it"),
        ("cancelled", "it was cancelled"),
        ("skipped", "it was skipped"),
        ("stale", "it is out of date"),
    ];
    known.iter().find(|(word, _)| *word == conclusion).map(|(_, why)| *why)
}

/// Returns what is monitored, in all projects.
pub fn monitored(home: &Home) -> Vec<MonitoredBranch> {
    Record::all(home).into_iter().map(Record::summary).collect()
}

/// Has the resident ask for the runs of the branch that is checked out, or of a whole repository that is named. `aiw` is the
/// executable that supervises the resident.
///
/// # Errors
///
/// No branch at a host that the user knows is checked out, or the resident can't be started.
pub fn start_monitoring(home: &Home, aiw: &Path, request: &MonitorRequest) -> Result<MonitoredBranch, CiError> {
    let here = home.around().directory().map_err(|e| HomeError::io("read", &request.project, e))?;
    let place = CiPlace::find(home, here, request.repository.as_deref())?;
    if place.branch.is_none() && request.repository.is_none() {
        return Err(CiError::NoBranch);
    }
    // The resident has no other variables.
    let usual = home.around().variables().filter(|(name, _)| name.to_str().is_some_and(is_usual_variable));
    let theirs = home.seen_by(Surroundings::new(Ok(here.to_owned()), usual));
    let host = place.repository.host.clone();
    let is_known = KnownHosts::of(&theirs)?.api(&host).is_some();
    let source = if is_known { CiToken::find(&theirs, &host)?.source } else { TokenSource::None };
    let has_variable = CiToken::find(home, &host)?.source != TokenSource::None;
    let is_kept = matches!(source, TokenSource::Gh | TokenSource::Vault);
    let least = if is_kept { SHORTEST } else { WITHOUT_TOKEN };
    let interval = request.interval.clamp(least, 3600);
    let record = Record::new(&request.project, place.repository, place.branch, interval);
    {
        let _turn = home.turn()?;
        match Record::read(&record.path(home)) {
            Some(known) => {
                Record { has_looked: known.has_looked, runs: known.runs, ..record.clone() }.write(home)?;
            }
            None => record.write(home)?,
        }
    }
    Resident::ensure(home, aiw)?;
    let mut summary = record.summary();
    if !is_kept {
        let begin =
            if has_variable { "the token in your environment is not kept, so" } else { "there is no token, so" };
        summary.notes.push(format!(
            "{begin} `{host}` is asked each {least} s at most: `gh auth login`, or `aiw secret set ci.hosts.{host}.token`"
        ));
    }
    Ok(summary)
}

/// Ends the monitoring of a project.
///
/// # Errors
///
/// The home can't be written.
pub fn stop_monitoring(home: &Home, project: &Path) -> Result<StoppedMonitoring, CiError> {
    let _turn = home.turn()?;
    let mut stopped = Vec::new();
    for record in Record::all(home).into_iter().filter(|record| record.project == project) {
        record.remove(home)?;
        stopped.push(record.summary());
    }
    Ok(StoppedMonitoring { stopped })
}

/// Asks for the runs of all that is monitored, as long as this process lives. `say` says what is wrong.
///
/// # Errors
///
/// There are no threads or timers.
pub fn attend(home: &Home, say: fn(&str)) -> Result<Infallible, CiError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| CiError::Runtime { source })?;
    runtime.block_on(async {
        let client = HttpClient::new()?;
        let mut pollers: BTreeMap<PathBuf, Poller> = BTreeMap::new();
        loop {
            let records = Record::all(home);
            let wanted: BTreeMap<PathBuf, u64> = records.iter().map(|one| (one.path(home), one.interval)).collect();
            pollers.retain(|path, poller| wanted.get(path) == Some(&poller.interval));
            for (path, interval) in wanted {
                pollers.entry(path).or_insert_with(|| Poller::new(interval));
            }
            let now = Instant::now();
            let due = pollers.iter_mut().filter(|(_, poller)| poller.due <= now);
            join_all(due.map(|(path, poller)| poller.poll(home, &client, path, say))).await;
            tokio::time::sleep(LOOKS).await;
        }
    })
}

/// The requests for the runs of one branch.
pub(crate) struct Poller {
    interval: u64,
    pub due: Instant,
    pause: Duration,
    etag: Option<String>,
    connection: Option<(Connection, Instant)>,
    problem: Option<String>,
}

impl Poller {
    pub fn new(interval: u64) -> Self {
        let pause = Duration::from_secs(interval);
        Self { interval, due: Instant::now(), pause, etag: None, connection: None, problem: None }
    }

    pub async fn poll(&mut self, home: &Home, client: &HttpClient, path: &Path, say: fn(&str)) {
        let Some(record) = Record::read(path) else { return };
        let asked = self.ask(home, client, &record).await;
        let base = Duration::from_secs(self.interval);
        let is_running = record.runs.values().any(|run| !run.is_over);
        let (runs, problem) = match asked {
            Ok(runs) => {
                let longest = if is_running { base * 2 } else { base.max(LONGEST) };
                self.pause = if runs.is_some() { base } else { (self.pause * 3 / 2).min(longest) };
                self.due = Instant::now() + self.pause.max(self.rest());
                (runs, None)
            }
            Err(error) => {
                self.pause = (self.pause * 2).min(base.max(LONGEST));
                let seconds = if let CiError::Limited { seconds, .. } = error { seconds } else { 0 };
                self.due = Instant::now() + self.pause.max(Duration::from_secs(seconds));
                // The token may be another one by then.
                self.connection = None;
                (None, Some(error.to_string()))
            }
        };
        if problem != self.problem {
            problem.iter().for_each(|problem| say(&format!("{}: {problem}", record.repository)));
        }
        let is_new = problem != self.problem || problem != record.problem;
        self.problem.clone_from(&problem);
        let now = now_millis();
        let is_to_note = runs.is_some() || is_new || record.is_spent(now);
        if is_to_note && let Err(error) = note(home, path, runs, problem, now) {
            say(&error.to_string());
            // What was not written down is asked for again.
            self.etag = None;
        }
    }

    /// How long the host is left alone because it answers no more requests.
    fn rest(&self) -> Duration {
        let limit = self.connection.as_ref().and_then(|(connection, _)| connection.limit());
        limit.filter(|limit| limit.remaining == 0).map_or(Duration::ZERO, |limit| Duration::from_secs(limit.seconds))
    }

    /// Returns the runs, if something has changed.
    async fn ask(&mut self, home: &Home, client: &HttpClient, record: &Record) -> Result<Option<Vec<CiRun>>, CiError> {
        let (connection, _) = match self.connection.take().filter(|(_, since)| since.elapsed() < RENEWS) {
            Some(known) => self.connection.insert(known),
            None => {
                let host = &record.repository.host;
                let api = KnownHosts::of(home)?.api(host);
                let api = api.ok_or_else(|| CiError::UnknownHost { host: host.clone() })?;
                self.connection.insert((Connection::to(home, client, &api).await?, Instant::now()))
            }
        };
        let mut query = vec![("per_page", RUNS)];
        query.extend(record.branch.as_deref().map(|branch| ("branch", branch)));
        let found = connection.get::<RunPage>(&record.repository, &["runs"], &query, self.etag.as_deref()).await?;
        Ok(found.map(|found| {
            self.etag = found.etag;
            found.value.workflow_runs
        }))
    }
}

/// Writes down what was found, and the events of it, unless somebody has stopped it meanwhile.
fn note(home: &Home, path: &Path, runs: Option<Vec<CiRun>>, problem: Option<String>, now: u64) -> Result<(), CiError> {
    let _turn = home.turn()?;
    let Some(mut record) = Record::read(path) else { return Ok(()) };
    let before = record.clone();
    let last = runs.iter().flatten().filter_map(|run| u64::try_from(millis_of(&run.updated)?).ok()).max();
    let events = runs.map(|runs| record.take(runs)).unwrap_or_default();
    if !events.is_empty() {
        record.active = now;
    }
    record.active = record.active.max(last.unwrap_or_default().min(now));
    record.problem = problem;
    if record.is_spent(now) {
        return Ok(record.remove(home)?);
    }
    // Whoever is killed here writes an event twice, which is better than never.
    let log = EventLog::of(home.root());
    events.iter().for_each(|event| drop(log.add(event)));
    if record != before {
        record.write(home)?;
    }
    Ok(())
}

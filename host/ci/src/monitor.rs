//! Monitoring: the daemon asks for the runs of a branch, and writes what begins and ends as events of its project. Commands
//! write into the home what is monitored; the daemon reads it, and forgets what is over.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aiw_events::{EventKind, EventLog, EventSubject, HomeEvent};
use aiw_home::{ExecutionContext, Home, HomeError, now_millis, parse_rfc3339, rfc3339};
use aiw_net::HttpClient;
use aiw_supervisor::{DaemonRecord, HomeDaemon, boot_id, digest, is_usual_variable};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::connection::{ApiClient, CiLimit};
use crate::error::CiError;
use crate::place::{CiLocation, CiRepository, TrustedHosts};
use crate::runs::PAGE_SIZE;
use crate::shapes::{CiRun, RunPage};
use crate::source::TokenSource;
use crate::token::CiToken;

/// How long it goes on after the last run, and with one that does not change, in milliseconds.
const MONITOR_AFTER_LAST_RUN_MS: u64 = 30 * 60 * 1000;
const MAX_STALLED_MS: u64 = 24 * 3600 * 1000;

/// The shortest interval, and that without a token, in seconds: a host answers 60 requests an hour without one.
const MIN_INTERVAL_SECONDS: u64 = 10;
const MIN_ANONYMOUS_INTERVAL_SECS: u64 = 90;

/// The longest pause when nothing happens, or nobody answers.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// How often it looks what is monitored.
const CONFIG_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The pages that it asks for at once, and the runs that it remembers.
const MAX_PAGES: usize = 10;
const MAX_REMEMBERED_RUNS: usize = 300;

/// The most runs that it asks for one by one, because they are on no page.
const MAX_SINGLE_POLLS: usize = 20;

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

/// A branch whose runs the daemon asks for
#[warn(missing_docs)]
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
    /// The newest run of each workflow that has failed: its workflow and number
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed_runs: Vec<String>,
    /// Notes for you
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The branches that are monitored no more
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MonitorStopSummary {
    /// The branches
    pub stopped: Vec<MonitoredBranch>,
}

/// A run that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct KnownRun {
    attempt: u64,
    is_over: bool,
}

/// The newest run of a workflow that is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct NewestRun {
    id: u64,
    /// Its workflow and number, if it has failed.
    failed: Option<String>,
}

/// The most workflows whose newest run is kept.
const MAX_WORKFLOWS: usize = 50;

/// A monitored branch, as the home keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Monitor {
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
    has_polled: bool,
    #[serde(default)]
    runs: BTreeMap<u64, KnownRun>,
    /// By the file of the workflow.
    #[serde(default)]
    newest: BTreeMap<String, NewestRun>,
    #[serde(default)]
    problem: Option<String>,
}

impl DaemonRecord for Monitor {
    fn directory(home: &Home) -> PathBuf {
        home.root().join("ci")
    }

    fn file_name(&self) -> String {
        let (repository, branch) = (self.repository.to_string(), self.branch.as_deref().unwrap_or_default());
        let name = [self.project.as_os_str().as_encoded_bytes(), repository.as_bytes(), branch.as_bytes()];
        format!("{:016x}.json", digest(&name.join(&0)))
    }

    fn boot_id(&self) -> Option<&str> {
        self.boot.as_deref()
    }
}

impl Monitor {
    pub fn new(project: &Path, repository: CiRepository, branch: Option<String>, interval: u64) -> Self {
        let now = now_millis();
        Self {
            project: project.to_owned(),
            boot: boot_id().map(str::to_owned),
            repository,
            branch,
            interval,
            started: now,
            active: now,
            has_polled: false,
            runs: BTreeMap::new(),
            newest: BTreeMap::new(),
            problem: None,
        }
    }

    fn all(home: &Home) -> Vec<Self> {
        let mut all = Self::read_all(home);
        all.sort_by(|one, other| (&one.project, &one.branch).cmp(&(&other.project, &other.branch)));
        all
    }

    /// Whether its last run is long over, or one waits for what does not come.
    pub fn is_expired(&self, now: u64) -> bool {
        let most = if self.runs.values().all(|run| run.is_over) { MONITOR_AFTER_LAST_RUN_MS } else { MAX_STALLED_MS };
        now.saturating_sub(self.active.max(self.started)) > most
    }

    pub fn summary(self) -> MonitoredBranch {
        MonitoredBranch {
            project: self.project,
            repository: self.repository.to_string(),
            branch: self.branch.map(|branch| aiw_core::one_line(&branch, 120)),
            interval: self.interval,
            since: rfc3339(self.started),
            failed_runs: self.newest.into_values().filter_map(|run| run.failed).collect(),
            problem: self.problem,
            notes: Vec::new(),
        }
    }

    /// Takes in what the host says now, and returns what is new.
    pub fn apply_runs(&mut self, mut runs: Vec<CiRun>) -> Vec<HomeEvent> {
        runs.sort_by_key(|run| run.id);
        let newest = self.runs.last_key_value().map_or(0, |(id, _)| *id);
        let mut events = Vec::new();
        for run in runs {
            let is_over = run.is_over();
            let known = self.runs.insert(run.id, KnownRun { attempt: run.attempt, is_over });
            let is_newest = self.newest.get(&run.path).is_none_or(|newest| newest.id <= run.id);
            if is_over && is_newest && (self.newest.len() < MAX_WORKFLOWS || self.newest.contains_key(&run.path)) {
                let failed = run.has_failed().then(|| format!("{} {}", run.name, run.number_label()).trim().to_owned());
                self.newest.insert(run.path.clone(), NewestRun { id: run.id, failed });
            }
            let is_news = match known {
                None if is_over => self.has_polled && run.id > newest,
                None => true,
                Some(known) => run.attempt > known.attempt || (is_over && !known.is_over),
            };
            events.extend(is_news.then(|| self.event(&run)));
        }
        while self.runs.len() > MAX_REMEMBERED_RUNS {
            self.runs.pop_first();
        }
        self.has_polled = true;
        events
    }

    fn event(&self, run: &CiRun) -> HomeEvent {
        let kind = match (run.is_over(), run.has_failed()) {
            (false, _) => EventKind::Started,
            (true, true) => EventKind::Failed,
            (true, false) => EventKind::Finished,
        };
        HomeEvent {
            name: Some(run.number_label()),
            project: Some(self.project.clone()),
            id: Some(run.id.to_string()),
            reason: why(&run.conclusion).map(str::to_owned),
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
pub fn list_monitored_branches(home: &Home) -> Vec<MonitoredBranch> {
    Monitor::all(home).into_iter().map(Monitor::summary).collect()
}

/// Has the daemon ask for the runs of the branch that is checked out, or of a whole repository that is named. `aiw` is the
/// executable that supervises the daemon.
///
/// # Errors
///
/// No branch at a host that the user knows is checked out, or the daemon can't be started.
pub fn start_monitoring(home: &Home, aiw: &Path, request: &MonitorRequest) -> Result<MonitoredBranch, CiError> {
    let here = home.context().directory().map_err(|e| HomeError::io("read", &request.project, e))?;
    let place = CiLocation::find(home, here, request.repository.as_deref())?;
    if place.branch.is_none() && request.repository.is_none() {
        return Err(CiError::BranchNotFound { why: place.head_error });
    }
    // The daemon has no other variables.
    let usual = home.context().variables().filter(|(name, _)| name.to_str().is_some_and(is_usual_variable));
    let theirs = home.with_context(ExecutionContext::new(Ok(here.to_owned()), usual));
    let host = place.repository.host.clone();
    if TrustedHosts::load(&theirs)?.api(&host).is_none() {
        return Err(CiError::HostNotConfigured { host });
    }
    let source = CiToken::find(&theirs, &host)?.source;
    let is_kept = matches!(source, TokenSource::Gh | TokenSource::Vault);
    let least = if is_kept { MIN_INTERVAL_SECONDS } else { MIN_ANONYMOUS_INTERVAL_SECS };
    let interval = request.interval.clamp(least, 3600);
    let mut record = Monitor::new(&request.project, place.repository, place.branch, interval);
    let known = {
        let _turn = home.lock_start()?;
        let known = Monitor::read_at(&record.path(home));
        if let Some(known) = &known {
            (record.has_polled, record.runs) = (known.has_polled, known.runs.clone());
        }
        record.write(home)?;
        known
    };
    if let Err(error) = HomeDaemon::ensure_running(home, aiw) {
        let _turn = home.lock_start()?;
        known.map_or_else(|| record.remove(home), |known| known.write(home))?;
        return Err(error.into());
    }
    let mut summary = record.summary();
    if !is_kept {
        let has_variable = CiToken::find(home, &host)?.source != TokenSource::None;
        let begin =
            if has_variable { "the token in your environment is not kept, so" } else { "there is no token, so" };
        summary.notes.push(format!(
            "{begin} `{host}` is asked each {least} s at most: `gh auth login --hostname {host}`, or `aiw secret set \
             ci.hosts.{host}.token`"
        ));
    }
    Ok(summary)
}

/// Ends the monitoring of a project.
///
/// # Errors
///
/// The home can't be written.
pub fn stop_monitoring(home: &Home, project: &Path) -> Result<MonitorStopSummary, CiError> {
    let _turn = home.lock_start()?;
    let mut stopped = Vec::new();
    for record in Monitor::all(home).into_iter().filter(|record| record.project == project) {
        record.remove(home)?;
        stopped.push(record.summary());
    }
    Ok(MonitorStopSummary { stopped })
}

/// Asks for the runs of all that is monitored, as long as this process lives. `say` says what is wrong.
///
/// # Errors
///
/// There are no threads or timers.
pub fn run_monitor(home: &Home, say: fn(&str)) -> Result<Infallible, CiError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|source| CiError::Runtime { source })?;
    runtime.block_on(async {
        let client = HttpClient::new()?;
        // Each polls by itself: a host that is slow holds up no other one.
        let mut pollers: BTreeMap<PathBuf, ((u64, u64), JoinHandle<()>)> = BTreeMap::new();
        loop {
            // One that was stopped and started again begins anew.
            let of = |one: &Monitor| (one.path(home), (one.interval, one.started));
            let wanted: BTreeMap<PathBuf, (u64, u64)> = Monitor::all(home).iter().map(of).collect();
            pollers.retain(|path, (key, task)| {
                let is_wanted = wanted.get(path) == Some(key) && !task.is_finished();
                if !is_wanted {
                    task.abort();
                }
                is_wanted
            });
            for (path, key) in wanted {
                let new = || {
                    let (home, client, path) = (home.clone(), client.clone(), path.clone());
                    (key, tokio::spawn(async move { Poller::new(key.0).run(&home, &client, &path, say).await }))
                };
                pollers.entry(path.clone()).or_insert_with(new);
            }
            tokio::time::sleep(CONFIG_POLL_INTERVAL).await;
        }
    })
}

/// The runs of a branch that have changed, and the known ones that somebody has deleted.
struct RunChanges {
    runs: Vec<CiRun>,
    gone: Vec<u64>,
}

/// The requests for the runs of one branch.
pub(crate) struct Poller {
    interval: u64,
    pub next_poll: Instant,
    pause: Duration,
    /// The mark of the first page, and the runs on it.
    etag: Option<String>,
    first: BTreeSet<u64>,
    limit: Option<CiLimit>,
}

impl Poller {
    pub fn new(interval: u64) -> Self {
        let pause = Duration::from_secs(interval);
        Self { interval, next_poll: Instant::now(), pause, etag: None, first: BTreeSet::new(), limit: None }
    }

    /// Asks for the runs as often as it is time to, until nobody wants them any more.
    pub async fn run(&mut self, home: &Home, client: &HttpClient, path: &Path, say: fn(&str)) {
        while let Some(record) = Monitor::read_at(path) {
            self.poll(home, client, &record, say).await;
            tokio::time::sleep_until(self.next_poll.into()).await;
        }
    }

    pub async fn poll(&mut self, home: &Home, client: &HttpClient, record: &Monitor, say: fn(&str)) {
        let asked = self.ask(home, client, record).await;
        let base = Duration::from_secs(self.interval);
        let is_running = record.runs.values().any(|run| !run.is_over);
        let (news, problem) = match asked {
            Ok(news) => {
                let longest = if is_running { base * 2 } else { base.max(MAX_POLL_INTERVAL) };
                self.pause = if news.is_some() { base } else { (self.pause * 3 / 2).min(longest) };
                self.next_poll = Instant::now() + self.pause.max(self.rest());
                (news, None)
            }
            Err(error) => {
                self.pause = (self.pause * 2).min(base.max(MAX_POLL_INTERVAL));
                let seconds = if let CiError::RateLimited { seconds, .. } = error { seconds } else { 0 };
                self.next_poll = Instant::now() + self.pause.max(Duration::from_secs(seconds));
                (None, Some(error.to_string()))
            }
        };
        let is_new = problem != record.problem;
        if let Some(problem) = problem.as_ref().filter(|_| is_new) {
            say(&format!("{}: {problem}", record.repository));
        }
        let now = now_millis();
        let is_to_note = news.is_some() || is_new || record.is_expired(now);
        if is_to_note && let Err(error) = note(home, record, news, problem, now) {
            say(&error.to_string());
            // What was not written down is asked for again.
            self.etag = None;
        }
    }

    /// How long the host is left alone because it answers no more requests.
    fn rest(&self) -> Duration {
        let limit = self.limit.as_ref().filter(|limit| limit.remaining == 0);
        limit.map_or(Duration::ZERO, |limit| Duration::from_secs(limit.seconds))
    }

    /// Returns the runs, if something has changed. The token is found anew each time, and not kept.
    async fn ask(&mut self, home: &Home, client: &HttpClient, record: &Monitor) -> Result<Option<RunChanges>, CiError> {
        let host = &record.repository.host;
        let api = TrustedHosts::load(home)?.api(host);
        let api = api.ok_or_else(|| CiError::UnknownHost { host: host.clone() })?;
        let connection = ApiClient::open(home, client, &api).await?;
        let found = self.news(&connection, record).await;
        self.limit = connection.limit();
        found
    }

    /// Returns the runs of the first page if that has changed, with those of others that are as new, and with known ones that are on
    /// no page any more and had not ended.
    async fn news(&mut self, connection: &ApiClient, record: &Monitor) -> Result<Option<RunChanges>, CiError> {
        let size = PAGE_SIZE.to_string();
        let newest = record.runs.last_key_value().map_or(0, |(id, _)| *id);
        let (mut runs, mut gone, mut is_news) = (Vec::new(), Vec::new(), false);
        for page in 1..=MAX_PAGES {
            let number = page.to_string();
            let mut query = vec![("per_page", size.as_str()), ("page", &number)];
            query.extend(record.branch.as_deref().map(|branch| ("branch", branch)));
            let etag = self.etag.as_deref().filter(|_| page == 1 && record.has_polled);
            let Some(found) = connection.get::<RunPage>(&record.repository, &["runs"], &query, etag).await? else {
                break;
            };
            let of_page = found.value.workflow_runs;
            if page == 1 {
                (self.etag, is_news) = (found.etag, true);
                self.first = of_page.iter().map(|run| run.id).collect();
            }
            // What was there before the first look does not count as news.
            let is_last = !record.has_polled || of_page.len() < PAGE_SIZE || of_page.iter().any(|run| run.id <= newest);
            runs.extend(of_page);
            if is_last {
                break;
            }
        }
        let is_apart = |id: &&u64| !self.first.contains(id) && !runs.iter().any(|run: &CiRun| run.id == **id);
        let open = record.runs.iter().filter(|(_, run)| !run.is_over).map(|(id, _)| id);
        let apart: Vec<u64> = open.filter(is_apart).take(MAX_SINGLE_POLLS).copied().collect();
        for id in apart {
            match connection.get::<CiRun>(&record.repository, &["runs", &id.to_string()], &[], None).await {
                Ok(found) => runs.extend(found.map(|found| found.value)),
                Err(CiError::NotFound { .. }) => gone.push(id),
                Err(error) => return Err(error),
            }
            is_news = true;
        }
        Ok(is_news.then_some(RunChanges { runs, gone }))
    }
}

/// Writes down what was found, and the events of it, unless somebody has stopped it meanwhile.
fn note(
    home: &Home,
    record: &Monitor,
    news: Option<RunChanges>,
    problem: Option<String>,
    now: u64,
) -> Result<(), CiError> {
    let _turn = home.lock_start()?;
    let Some(before) = Monitor::read_at(&record.path(home)) else { return Ok(()) };
    let mut record = before.clone();
    let (runs, gone) = news.map(|news| (Some(news.runs), news.gone)).unwrap_or_default();
    let last = runs.iter().flatten().filter_map(|run| u64::try_from(parse_rfc3339(&run.updated)?).ok()).max();
    let events = runs.map(|runs| record.apply_runs(runs)).unwrap_or_default();
    record.runs.retain(|id, _| !gone.contains(id));
    if !events.is_empty() {
        record.active = now;
    }
    record.active = record.active.max(last.unwrap_or_default().min(now));
    record.problem = problem;
    if record.is_expired(now) {
        return Ok(record.remove(home)?);
    }
    // Whoever is killed here writes an event twice, which is better than never.
    let log = EventLog::new(home.root());
    events.iter().for_each(|event| drop(log.add(event)));
    if record != before {
        record.write(home)?;
    }
    Ok(())
}

//! Runs of a repository, what is in one, and what failed in it.

use std::time::Duration;

use aiw_core::{one_line, pluralize};
use aiw_home::{Home, run_blocking};
use aiw_net::{HttpClient, NetError};
use aiw_redact::rules::Redactor;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::connection::{ApiClient, ApiResponse, CiLimit};
use crate::error::CiError;
use crate::log::{ExcerptBuilder, LineBatcher, MAX_LINES, UNTRUSTED_LOG_NOTICE, UNTRUSTED_NAMES_NOTICE, read_lines};
use crate::place::{CiLocation, CiRepository};
use crate::shapes::{CiJob, CiRun, JobPage, RunPage};
use crate::source::TokenSource;

/// The most runs of a list: GitHub gives no more with a filter.
const MAX_RUNS: usize = 1000;

/// The items of a page.
pub(crate) const PAGE_SIZE: usize = 100;

/// The most pages of jobs that are read.
const MAX_JOB_PAGES: usize = 10;

/// How long a log may take, or those of all jobs that failed.
const LOG_DOWNLOAD_TIMEOUT: Duration = Duration::from_secs(300);

/// The most failed runs of a commit of which the jobs are read, beside the first.
pub(crate) const MAX_OTHER_FAILED_RUNS: usize = 4;

/// The most jobs whose logs are read, and the lines that each has at least.
const MAX_LOGS: usize = 10;
const MIN_LINES_PER_LOG: usize = 20;

/// Which runs.
#[derive(Debug, Clone, Default)]
pub struct CiListRequest {
    /// So many at the most.
    pub limit: usize,
    /// Of this branch; without one, of the branch that is checked out.
    pub branch: Option<String>,
}

/// Which run is meant: one by its id, or those of the commit that is checked out.
#[derive(Debug, Clone, Default)]
pub struct CiRunRequest {
    /// The id of one run.
    pub id: Option<u64>,
    /// Only this workflow of the commit: its name, or the name of its file.
    pub workflow: Option<String>,
}

impl From<Option<u64>> for CiRunRequest {
    fn from(id: Option<u64>) -> Self {
        Self { id, workflow: None }
    }
}

/// Runs of a repository
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CiRunList {
    /// The repository: `OWNER/REPO`, behind its host if that is not github.com
    pub repository: String,
    /// The branch that they are of; null for all branches
    pub branch: Option<String>,
    /// The runs, newest first
    pub runs: Vec<CiRun>,
    /// How many there are
    pub total: u64,
    /// Where the token is from: `gh`, `vault`, `variable` or `none`
    pub token: &'static str,
    /// The limit of requests, as the host said it
    pub limit: Option<CiLimit>,
    /// How far to believe names and titles
    pub about: &'static str,
    /// Notes for you
    pub notes: Vec<String>,
}

/// A run, and its jobs
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CiRunDetails {
    /// The repository: `OWNER/REPO`, behind its host if that is not github.com
    pub repository: String,
    /// The run; of several runs of the commit, one that failed, else one that has not ended
    pub run: CiRun,
    /// The newest runs of the other workflows of the commit, if no run was named
    pub others: Vec<CiRun>,
    /// The jobs of its latest attempt: those that failed first
    pub jobs: Vec<CiJob>,
    /// The limit of requests, as the host said it
    pub limit: Option<CiLimit>,
    /// How far to believe names and titles
    pub about: &'static str,
    /// Notes for you
    pub notes: Vec<String>,
}

/// The jobs of a run that failed, with their errors
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CiFailedLogs {
    /// The repository: `OWNER/REPO`, behind its host if that is not github.com
    pub repository: String,
    /// The run; of several runs of the commit, one that failed, else one that has not ended
    pub run: CiRun,
    /// The newest runs of the other workflows of the commit, if no run was named
    pub others: Vec<CiRun>,
    /// The jobs that failed, in all of these runs
    pub jobs: Vec<CiJobLog>,
    /// How far to believe the lines
    pub about: &'static str,
    /// Notes for you
    pub notes: Vec<String>,
}

/// The end of a job, as its log tells it
#[warn(missing_docs)]
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CiJobLog {
    /// The job's id
    pub id: u64,
    /// The name of its workflow
    pub workflow: String,
    /// Its name
    pub name: String,
    /// How it ended
    pub conclusion: String,
    /// The step that failed
    pub step: Option<String>,
    /// The errors, with the lines before each; secrets are taken out
    pub lines: Vec<String>,
    /// How many lines were left out
    pub skipped: u64,
    /// Why there are no lines, or not all
    pub note: Option<String>,
}

/// The runs of one repository.
pub struct Ci {
    pub(crate) connection: ApiClient,
    pub(crate) location: CiLocation,
    home: Home,
    /// When the logs of an answer are late, if there is such a time; else each has its own.
    until: Option<Instant>,
    /// The first pause while waiting.
    pub(crate) poll_interval: Duration,
}

impl Ci {
    /// Finds the repository that is meant where the caller is, and the token for its host. Nothing is sent.
    ///
    /// # Errors
    ///
    /// There is no repository at a host that the user knows.
    pub async fn open(home: &Home, client: &HttpClient, named: Option<&str>) -> Result<Self, CiError> {
        let (theirs, named) = (home.clone(), named.map(str::to_owned));
        let find = move || {
            let here = theirs.context().directory().map(ToOwned::to_owned).unwrap_or_else(|_| "/".into());
            CiLocation::find(&theirs, &here, named.as_deref())
        };
        let place = run_blocking(find).await?;
        let connection = ApiClient::open(home, client, &place.api).await?;
        let pace = if connection.source() == TokenSource::None { 60 } else { 3 };
        Ok(Self {
            connection,
            location: place,
            home: home.clone(),
            until: None,
            poll_interval: Duration::from_secs(pace),
        })
    }

    /// Gives all answers this long together, and logs what is left of it.
    #[must_use]
    pub fn with_timeout(mut self, patience: Duration) -> Self {
        self.until = Some(Instant::now() + patience);
        self.connection.deadline = self.until;
        self
    }

    /// Returns the repository.
    pub fn repository(&self) -> &CiRepository {
        &self.location.repository
    }

    /// Returns the branch that is checked out, if it is of this repository.
    pub fn branch(&self) -> Option<&str> {
        self.location.branch.as_deref()
    }

    /// Returns what you should know of where the answers are from.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let host = &self.location.repository.host;
        if self.connection.source() == TokenSource::None {
            notes.push(format!("there is no token for `{host}`: it answers 60 requests an hour"));
        }
        if let Some(limit) = self.connection.limit().filter(|limit| limit.remaining < 10) {
            notes.push(format!("`{host}` answers {} more requests until {}", limit.remaining, limit.resets));
        }
        let others = self.location.other_remotes.iter().take(5);
        notes.extend(
            others.map(|(remote, other)| format!("remote `{}` is `{other}`: `--repo {other}`", one_line(remote, 40))),
        );
        notes
    }

    /// Lists the newest runs.
    ///
    /// # Errors
    ///
    /// The host doesn't answer, or refuses.
    pub async fn list(&self, request: &CiListRequest) -> Result<CiRunList, CiError> {
        let limit = request.limit.clamp(1, MAX_RUNS);
        let branch = request.branch.as_deref().or(self.branch());
        let branch = branch.filter(|branch| *branch != "*");
        let (mut runs, mut total) = (Vec::<CiRun>::new(), 0);
        let size = limit.min(PAGE_SIZE).to_string();
        for page in 1..=limit.div_ceil(PAGE_SIZE) {
            let page = page.to_string();
            let mut query = vec![("per_page", size.as_str()), ("page", &page)];
            query.extend(branch.map(|branch| ("branch", branch)));
            let Some(found) = self.get::<RunPage>(&["runs"], &query, None).await? else { break };
            total = found.value.total_count;
            let is_last = found.value.workflow_runs.len() < limit.min(PAGE_SIZE);
            // One that began meanwhile moves the others to the next page.
            let known = |run: &CiRun| runs.iter().any(|other| other.id == run.id);
            let new: Vec<CiRun> = found.value.workflow_runs.into_iter().filter(|run| !known(run)).collect();
            runs.extend(new);
            if is_last || runs.len() >= limit {
                break;
            }
        }
        runs.truncate(limit);
        let mut notes = self.notes();
        if let Some(branch) = branch.filter(|_| runs.is_empty()) {
            notes.push(format!("no run is of branch `{}`: `--branch '*'` lists all", one_line(branch, 60)));
        }
        Ok(CiRunList {
            repository: self.location.repository.to_string(),
            branch: branch.map(|branch| one_line(branch, 120)),
            runs,
            total,
            token: self.connection.source().as_str(),
            limit: self.connection.limit(),
            about: UNTRUSTED_NAMES_NOTICE,
            notes,
        })
    }

    pub(crate) async fn get<T: serde::de::DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        known: Option<&str>,
    ) -> Result<Option<ApiResponse<T>>, CiError> {
        self.connection.get(&self.location.repository, path, query, known).await
    }

    /// Returns the runs that a request means, those first that decide how it went: failed ones, then those that have not
    /// ended. Of the commit that is checked out, they are the newest of each workflow, event and branch. `None` if nothing has
    /// changed since `etag`.
    pub(crate) async fn find_runs(
        &self,
        request: &CiRunRequest,
        etag: Option<&str>,
    ) -> Result<Option<ApiResponse<Vec<CiRun>>>, CiError> {
        let Some(id) = request.id else {
            let commit =
                self.location.commit.as_ref().ok_or(CiError::CommitNotFound { why: self.location.head_error })?;
            let query = [("head_sha", commit.as_str()), ("per_page", "100")];
            let found = self.get::<RunPage>(&["runs"], &query, etag).await?;
            let Some(ApiResponse { value: RunPage { workflow_runs, .. }, etag }) = found else { return Ok(None) };
            let mut runs: Vec<CiRun> = Vec::new();
            for run in workflow_runs {
                // A commit may be that of a branch and of a tag.
                let is_other = |known: &CiRun| {
                    known.workflow_key() != run.workflow_key() || known.event != run.event || known.branch != run.branch
                };
                if runs.iter().all(is_other) {
                    runs.push(run);
                }
            }
            if let Some(workflow) = request.workflow.as_deref().filter(|_| !runs.is_empty()) {
                let mut known: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
                known.dedup();
                runs.retain(|run| run.matches_workflow(workflow));
                if runs.is_empty() {
                    return Err(CiError::WorkflowNotFound { workflow: workflow.to_owned(), known });
                }
            }
            // Stable: the newest first.
            runs.sort_by_key(CiRun::rank);
            return Ok(Some(ApiResponse { value: runs, etag }));
        };
        match self.get::<CiRun>(&["runs", &id.to_string()], &[], etag).await {
            Ok(found) => Ok(found.map(|found| ApiResponse { value: vec![found.value], etag: found.etag })),
            Err(CiError::NotFound { host, token, .. }) => {
                let what = format!("run {id} of `{}`", self.location.repository);
                Err(CiError::NotFound { what, host, token })
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the run that decides, and the others.
    async fn run(&self, request: &CiRunRequest) -> Result<(CiRun, Vec<CiRun>), CiError> {
        let commit = self.location.commit.as_ref().map(|commit| commit.as_str()[..10].to_owned()).unwrap_or_default();
        let missing = || CiError::RunNotFound { commit, repository: self.location.repository.to_string() };
        let mut runs = self.find_runs(request, None).await?.map(|found| found.value).unwrap_or_default();
        if runs.is_empty() {
            return Err(missing());
        }
        Ok((runs.remove(0), runs))
    }

    pub(crate) async fn jobs(&self, run: u64) -> Result<Vec<CiJob>, CiError> {
        let (run, mut jobs) = (run.to_string(), Vec::new());
        for page in 1..=MAX_JOB_PAGES {
            let page = page.to_string();
            let query = [("filter", "latest"), ("per_page", "100"), ("page", page.as_str())];
            let Some(found) = self.get::<JobPage>(&["runs", &run, "jobs"], &query, None).await? else { break };
            let is_last = found.value.jobs.len() < PAGE_SIZE;
            jobs.extend(found.value.jobs);
            if is_last || jobs.len() as u64 >= found.value.total_count {
                break;
            }
        }
        jobs.sort_by_key(|job: &CiJob| !job.has_failed());
        Ok(jobs)
    }

    /// Returns a run with its jobs: without an id, that of the commit that is checked out that decides how it went.
    ///
    /// # Errors
    ///
    /// There is no such run, or the host doesn't answer.
    pub async fn details(&self, request: impl Into<CiRunRequest>) -> Result<CiRunDetails, CiError> {
        let (run, others) = self.run(&request.into()).await?;
        let jobs = self.jobs(run.id).await?;
        let (repository, notes) = (self.location.repository.to_string(), self.notes());
        Ok(CiRunDetails {
            repository,
            run,
            others,
            jobs,
            limit: self.connection.limit(),
            about: UNTRUSTED_NAMES_NOTICE,
            notes,
        })
    }

    fn redactor(&self) -> Result<Redactor, CiError> {
        let (mut values, _) = self.home.vault().values();
        values.extend(self.connection.secret().map(|secret| secret.expose().to_owned()));
        Ok(Redactor::new(&values)?)
    }

    /// Returns what failed in a run, or in all runs of the commit, from the logs of their jobs.
    ///
    /// # Errors
    ///
    /// There is no such run, or the host doesn't answer.
    pub async fn failed_logs(&self, request: impl Into<CiRunRequest>) -> Result<CiFailedLogs, CiError> {
        let CiRunDetails { repository, run, others, jobs, mut notes, .. } = self.details(request).await?;
        let until = self.logs_until();
        let has_jobs = !jobs.is_empty();
        let mut failed: Vec<(String, CiJob)> = jobs.into_iter().map(|job| (run.name.clone(), job)).collect();
        let mut red = others.iter().filter(|other| other.has_failed());
        for other in red.by_ref().take(MAX_OTHER_FAILED_RUNS) {
            failed.extend(self.jobs(other.id).await?.into_iter().map(|job| (other.name.clone(), job)));
        }
        let unread: Vec<String> = red.map(|other| format!("{} ({})", other.label(), other.id)).collect();
        if !unread.is_empty() {
            notes.push(format!("these have failed, too, and are left out: {}", one_line(&unread.join(", "), 300)));
        }
        failed.retain(|(_, job)| job.has_failed());
        let redactor = self.redactor()?;
        let share = (MAX_LINES / failed.len().max(1)).max(MIN_LINES_PER_LOG);
        let (mut room, mut logs) = (MAX_LINES, Vec::new());
        for (place, (workflow, job)) in failed.iter().enumerate() {
            let log = match place < MAX_LOGS && room > 0 {
                true => self.failed_log(job, share.min(room), until, &redactor).await?,
                false => named(job, "its log is left out: others before it fill the answer"),
            };
            let log = CiJobLog { workflow: workflow.clone(), ..log };
            room = room.saturating_sub(log.lines.len());
            logs.push(log);
        }
        if logs.is_empty() {
            notes.push(match (run.is_over(), run.has_succeeded()) {
                (true, true) => "it has succeeded: nothing failed in it".to_owned(),
                (true, false) if !has_jobs => format!("it has no jobs: the run ended as `{}`", run.state()),
                (true, false) => format!("no job failed: the run ended as `{}`", run.state()),
                (false, _) => "nothing has failed so far, and it still runs".to_owned(),
            });
        } else if !run.is_over() || others.iter().any(|other| !other.is_over()) {
            notes.push("it still runs: other jobs may fail too".to_owned());
        }
        Ok(CiFailedLogs { repository, run, others, jobs: logs, about: UNTRUSTED_LOG_NOTICE, notes })
    }

    /// When logs are late whose reading begins now.
    fn logs_until(&self) -> Instant {
        self.until.unwrap_or_else(|| Instant::now() + LOG_DOWNLOAD_TIMEOUT)
    }

    async fn failed_log(
        &self,
        job: &CiJob,
        room: usize,
        until: Instant,
        redactor: &Redactor,
    ) -> Result<CiJobLog, CiError> {
        let opened = tokio::time::timeout_at(until, self.connection.open_log(&self.location.repository, job.id));
        let Ok(opened) = opened.await else { return Ok(named(job, "its log came too late")) };
        let mut stream = match opened {
            Ok(Some(stream)) => stream,
            Ok(None) => return Ok(named(job, &gone(job))),
            Err(CiError::Net(error)) => return Ok(named(job, &unread(&error))),
            Err(error) => return Err(error),
        };
        // A gap may take a line at each of its ends.
        let mut cutter = ExcerptBuilder::new(room.saturating_sub(room / 10).max(1));
        let mut take = |line: &[u8]| {
            cutter.push_line(line);
            true
        };
        let note = match read_lines(&mut stream, until, &mut take).await {
            Ok(unread) => unread.note(),
            Err(CiError::Net(error)) => Some(unread(&error)),
            Err(error) => return Err(error),
        };
        let (mut lines, left_out) = cutter.finish(redactor);
        lines.truncate(room);
        let note = note.or_else(|| lines.is_empty().then(|| "its log is empty".to_owned()));
        Ok(CiJobLog { lines, skipped: left_out, note, ..named(job, "") })
    }

    /// Gives all lines of the logs of a run, job by job, without secrets. `each` gets the job and a line, or a sentence in place of
    /// a log, and returns whether it wants more.
    ///
    /// # Errors
    ///
    /// There is no such run, or the host doesn't answer.
    pub async fn all_logs(
        &self,
        request: impl Into<CiRunRequest>,
        each: &mut (dyn FnMut(&CiJob, Result<&str, &str>) -> bool + Send),
    ) -> Result<CiRun, CiError> {
        let CiRunDetails { run, mut jobs, .. } = self.details(request).await?;
        jobs.sort_by_key(|job| job.id);
        let redactor = self.redactor()?;
        for job in &jobs {
            let note = match self.connection.open_log(&self.location.repository, job.id).await? {
                None => Some(gone(job)),
                Some(mut stream) => {
                    let mut line = |line: &str| each(job, Ok(line));
                    let mut blocks = LineBatcher::new(&redactor, &mut line);
                    let read = read_lines(&mut stream, self.logs_until(), &mut |line| blocks.push(line)).await;
                    if !blocks.flush() {
                        break;
                    }
                    read?.note()
                }
            };
            if note.is_some_and(|note| !each(job, Err(&note))) {
                break;
            }
        }
        Ok(run)
    }
}

fn unread(error: &NetError) -> String {
    format!("its log can't be read: {}", one_line(&error.clone().without_paths().to_string(), 300))
}

fn gone(job: &CiJob) -> String {
    match job.status.as_str() {
        "completed" => "its log is gone: GitHub keeps logs for a time, by default 90 days".to_owned(),
        _ => "it still runs: its log is there once it has ended".to_owned(),
    }
}

/// A job without lines of its log.
fn named(job: &CiJob, why: &str) -> CiJobLog {
    let step = job.failed_step().map(|step| format!("{} {}", step.number, step.name));
    let note = Some(why.to_owned()).filter(|why| !why.is_empty());
    let (name, conclusion) = (job.name.clone(), job.state().to_owned());
    let workflow = String::new();
    CiJobLog { id: job.id, workflow, name, conclusion, step, lines: Vec::new(), skipped: 0, note }
}

/// Returns the failed jobs of a run in a few words.
pub(crate) fn failed_names(jobs: &[CiJob]) -> Vec<String> {
    truncate_names(jobs.iter().filter(|job| job.has_failed()).map(|job| job.name.clone()).collect())
}

/// Returns the first names of jobs, and how many others there are.
pub(crate) fn truncate_names(failed: Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = failed.iter().take(20).cloned().collect();
    if failed.len() > names.len() {
        names.push(pluralize(failed.len() - names.len(), "other job"));
    }
    names
}

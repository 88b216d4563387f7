//! What continuous integration says: the tools of the old server under their names.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aiw_app::{AppError, ci};
use aiw_ci::{
    Ci, CiFailedLogs, CiListRequest, CiRun, CiRunDetails, CiRunList, CiRunRequest, MonitoredBranch,
    UNTRUSTED_NAMES_NOTICE,
};
use aiw_mcp::Call;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bounds::{self, truncate_list};
use crate::context::Context;
use crate::error::CallError;

/// The longest that a call waits, in seconds, and that the answers to one may take: clients give a call one minute.
const MAX_WAIT_SECS: u64 = 45;
const MAX_CALL_DURATION: Duration = Duration::from_secs(48);

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListRuns {
    /// How many at the most
    #[schemars(range(min = 1, max = 100))]
    limit: Option<u64>,
    /// `OWNER/REPO`; without it, the repository and branch that are checked out
    repo: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunParams {
    /// The run's id; without it, the newest runs of all workflows of the commit that is checked out
    #[schemars(extend("maximum" = 9_007_199_254_740_991_u64))]
    run_id: Option<u64>,
    /// Only this workflow of the commit: its name, or the name of its file
    workflow: Option<String>,
    /// `OWNER/REPO`; without it, the repository that is checked out
    repo: Option<String>,
}

impl RunParams {
    fn request(&self) -> CiRunRequest {
        CiRunRequest { id: self.run_id, workflow: self.workflow.clone() }
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WaitForRun {
    /// The run's id; without it, the newest runs of all workflows of the commit that is checked out
    #[schemars(extend("maximum" = 9_007_199_254_740_991_u64))]
    run_id: Option<u64>,
    /// How long, over several calls: one answers after 45 seconds at the latest
    #[schemars(range(min = 1, max = 86400))]
    timeout_secs: Option<u64>,
    /// Only this workflow of the commit: its name, or the name of its file
    workflow: Option<String>,
    /// `OWNER/REPO`; without it, the repository that is checked out
    repo: Option<String>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StartMonitoring {
    /// How often the host is asked, in seconds (30)
    #[schemars(range(min = 10, max = 3600))]
    poll_interval: Option<u64>,
    /// `OWNER/REPO`; without it, the repository and branch that are checked out
    repo: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct RunWaitResponse {
    /// Whether it has ended, with all other runs of the commit if no run was named
    done: bool,
    /// The next tool to call
    message: String,
    /// The run; of several runs of the commit, one that failed, else one that has not ended
    run: Option<CiRun>,
    /// The newest runs of the other workflows of the commit
    others: Vec<CiRun>,
    /// The jobs that have failed
    failed: Vec<String>,
    /// How far to believe names and titles
    about: &'static str,
    /// Notes for you
    notes: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
pub(crate) struct MonitoringResponse {
    message: String,
    monitored: MonitoredBranch,
}

async fn open(context: &Context, repo: Option<&str>) -> Result<Ci, CallError> {
    let opened = ci::open(context.client.app(), &context.home, repo).await;
    Ok(opened.map_err(of_ci)?.with_timeout(MAX_CALL_DURATION))
}

/// Takes out the room's own error, whose hints the application has for the command line.
fn of_ci(error: AppError) -> CallError {
    match error {
        AppError::Ci(error) => CallError::Ci(*error),
        other => other.into(),
    }
}

/// Leaves out what doesn't fit into an answer, and notes how much.
fn fit<T: Serialize>(items: &mut Vec<T>, notes: &mut Vec<String>, what: &str) {
    let (first, left_out) = truncate_list(std::mem::take(items));
    *items = first;
    notes.extend((left_out > 0).then(|| format!("{left_out} {what}")));
}

/// Does what a call asks for, unless nobody waits any more.
async fn unless_cancelled<T>(call: &Call, work: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    tokio::select! {
        done = work => done,
        () = call.cancellation.wait_until_abandoned() => Err(CallError::NoWaiter),
    }
}

pub(crate) async fn list_ci_runs(context: Arc<Context>, asked: ListRuns, call: Call) -> Result<CiRunList, CallError> {
    let limit = usize::try_from(asked.limit.unwrap_or(10)).unwrap_or(10).min(100);
    let work = async {
        let ci = open(&context, asked.repo.as_deref()).await?;
        let mut list = ci.list(&CiListRequest { limit, branch: None }).await?;
        fit(&mut list.runs, &mut list.notes, "more are left out: ask for fewer");
        Ok(list)
    };
    unless_cancelled(&call, work).await
}

pub(crate) async fn get_ci_run_details(
    context: Arc<Context>,
    asked: RunParams,
    call: Call,
) -> Result<CiRunDetails, CallError> {
    let work = async {
        let mut details = open(&context, asked.repo.as_deref()).await?.details(asked.request()).await?;
        fit(&mut details.jobs, &mut details.notes, "more jobs are left out; those that failed come first");
        Ok(details)
    };
    unless_cancelled(&call, work).await
}

pub(crate) async fn get_ci_failed_logs(
    context: Arc<Context>,
    asked: RunParams,
    call: Call,
) -> Result<CiFailedLogs, CallError> {
    let work = async {
        let mut logs = open(&context, asked.repo.as_deref()).await?.failed_logs(asked.request()).await?;
        // The last error of a job says how it ended.
        let share = bounds::MAX_RESULT_BYTES / logs.jobs.iter().filter(|job| !job.lines.is_empty()).count().max(1);
        for job in &mut logs.jobs {
            let all = job.lines.len();
            job.lines = bounds::tail_lines_within(std::mem::take(&mut job.lines), share);
            job.skipped += (all - job.lines.len()) as u64;
        }
        fit(&mut logs.jobs, &mut logs.notes, "more jobs have failed, and are left out");
        Ok(logs)
    };
    unless_cancelled(&call, work).await
}

pub(crate) async fn wait_for_ci_completion(
    context: Arc<Context>,
    asked: WaitForRun,
    call: Call,
) -> Result<RunWaitResponse, CallError> {
    let end = Instant::now() + Duration::from_secs(asked.timeout_secs.unwrap_or(600).min(MAX_WAIT_SECS));
    let work = async {
        let ci = open(&context, asked.repo.as_deref()).await?;
        let request = CiRunRequest { id: asked.run_id, workflow: asked.workflow };
        let waited = ci.wait(request, Some(end.into()), &mut |_, _| {}, &mut |_| {}).await?;
        let message = match (&waited.run, waited.waits) {
            (Some(run), _) if run.has_succeeded() => "it has succeeded".to_owned(),
            (Some(run), _) if waited.done => {
                format!("it ended as `{}`: get_ci_failed_logs shows what failed", run.state())
            }
            (_, Some(waits)) => format!("not yet: {waits}; call again"),
            (Some(run), None) if waited.others.is_empty() => format!("not yet: call again with run_id {}", run.id),
            (Some(_), None) => "not yet: call again".to_owned(),
            (None, None) => "the commit has no run yet: call again".to_owned(),
        };
        let (run, others, failed) = (waited.run, waited.others, waited.failed);
        let notes = waited.notes.into_iter().chain(ci.notes()).collect();
        Ok(RunWaitResponse { done: waited.done, message, run, others, failed, about: UNTRUSTED_NAMES_NOTICE, notes })
    };
    unless_cancelled(&call, work).await
}

pub(crate) async fn start_ci_monitoring(
    context: Arc<Context>,
    asked: StartMonitoring,
    _: Call,
) -> Result<MonitoringResponse, CallError> {
    let home = context.home.clone();
    let start = move || ci::start(&home, asked.repo, asked.poll_interval.unwrap_or(30)).map_err(of_ci);
    let monitored: MonitoredBranch = context.concurrency_limits.start.run(start).await?;
    let message = "monitored until 30 minutes after the last run: its runs are events, for which wait_for_event waits; \
                   `aiw ci watch --stop` ends it";
    Ok(MonitoringResponse { message: message.into(), monitored })
}
